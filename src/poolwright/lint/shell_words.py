"""What the words of a command mean to bash: which command runs in the end, and which variables it assigns.

Sources: https://www.gnu.org/software/bash/manual/bash.html#Shell-Builtin-Commands, and the pages of sudo(8), env(1),
timeout(1), xargs(1) and their like, for the options that take a word of their own.

Invariant: pure; a word that may be something else makes unknown what hangs on it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from poolwright.lint.texts import Place
from poolwright.templates.partial import Unknown

Value: TypeAlias = str | Unknown
# Longer values, and longer arrays, are unknown: doubled a few dozen times they would fill any memory.
MAX_VALUE: Final = 65_536
MAX_ELEMENTS: Final = 4_096
MAX_SHOWN: Final = 80
# Names of variables; None are all there may be.
Names: TypeAlias = set[str] | None


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a command; `may_split` where an unknown one may turn out to be any number of words."""

    value: Value
    place: Place
    may_split: bool = False


@dataclass(frozen=True, slots=True)
class _Wrapper:
    """What runs its arguments as a command: its letters and long options that take a word, and its own words.

    With `adds`, words are added to those of the command; `put` are options that name a text to be put in their place.
    """

    letters: str = ""
    options: tuple[str, ...] = ()
    own_words: int = 0
    adds: bool = False
    put: tuple[str, ...] = ()


_WRAPPERS: Final[Mapping[str, _Wrapper]] = {
    "sudo": _Wrapper(
        "CDRTUghprtu",
        (
            *("--close-from", "--chdir", "--chroot", "--command-timeout", "--other-user", "--group", "--host"),
            *("--prompt", "--role", "--type", "--user"),
        ),
    ),
    "doas": _Wrapper("Cu"),
    "command": _Wrapper(),
    "builtin": _Wrapper(),
    "exec": _Wrapper("a"),
    "time": _Wrapper("fo", ("--format", "--output")),
    "nohup": _Wrapper(),
    "setsid": _Wrapper(),
    "env": _Wrapper("uC", ("--unset", "--chdir")),
    "nice": _Wrapper("n", ("--adjustment",)),
    "ionice": _Wrapper("cn", ("--class", "--classdata")),
    "timeout": _Wrapper("ks", ("--kill-after", "--signal"), own_words=1),
    "stdbuf": _Wrapper("ioe", ("--input", "--output", "--error")),
    "flock": _Wrapper("wE", ("--wait", "--timeout", "--conflict-exit-code"), own_words=1),
    "xargs": _Wrapper(
        "EILPadns",
        ("--arg-file", "--delimiter", "--max-args", "--max-chars", "--max-lines", "--max-procs"),
        adds=True,
        put=("-I", "--replace"),
    ),
    # Of Windows: in scripts for cmd, and in Git Bash.
    "call": _Wrapper(),
    "winpty": _Wrapper(),
}
# With these the words are looked up or printed, and nothing runs.
_LOOKS: Final[Mapping[str, str]] = {"command": "vV", "sudo": "elvV"}
# What reads commands from its arguments or its input.
_SHELLS: Final = frozenset(
    (
        *(
            "bash",
            "sh",
            "dash",
            "zsh",
            "ksh",
            "su",
            "eval",
            "source",
            ".",
            "ssh",
            "docker",
            "podman",
            "kubectl",
            "flock",
        ),
        *("chroot", "nsenter", "at", "batch", "parallel", "cmd", "pwsh"),
    )
)
_ASSIGNMENT: Final = re.compile(r"[A-Za-z_]\w*=")

# What assigns the variables that its words name, with the letters of its options that take a word of another kind.
_ASSIGNING: Final[Mapping[str, str]] = {
    "read": "dinNptu",
    "mapfile": "CcdnOsu",
    "readarray": "CcdnOsu",
    "getopts": "",
    "let": "",
    "unset": "",
    "wait": "",
    "declare": "",
    "typeset": "",
    "local": "",
    "export": "",
    "readonly": "",
}
# Their options that name a variable.
_NAMING: Final[Mapping[str, str]] = {"read": "a", "wait": "p"}
# What they assign without being told.
_UNTOLD: Final = frozenset(("REPLY", "MAPFILE", "OPTARG", "OPTIND"))
# Declarations that hide what a variable held before, where they give no value.
HIDING: Final = ("declare", "typeset", "local")
# In sh, and in bash after `set -o posix`, `A=x` before these stays assigned:
# https://www.gnu.org/software/bash/manual/bash.html#Special-Builtins
KEEPING: Final = frozenset(
    (
        *("break", ":", ".", "continue", "eval", "exec", "exit", "export", "readonly", "return", "set", "shift"),
        *("times", "trap", "unset"),
    )
)
# The options of those that leave values as they are written; with others they are numbers, capitals or references.
PLAIN_OPTION: Final = re.compile(r"[-+][aAfFgprtx]*")
_NAME: Final = re.compile(r"[A-Za-z_]\w*")


def run_by(words: list[Word]) -> list[Word]:
    """Return the command that `sudo -u x env A=b timeout 60 ...` runs; nothing where it runs none."""
    while words and isinstance(words[0].value, str):
        name = words[0].value
        wrapper = _WRAPPERS.get(name.rpartition("/")[2])
        if wrapper is None:
            break
        words = _run_by(words[1:], wrapper, _LOOKS.get(name, ""))
    return words


def is_shell(value: Value) -> bool:
    """Whether a command of that name reads commands from its arguments or its input."""
    return isinstance(value, str) and value.rpartition("/")[2] in _SHELLS


def _run_by(words: list[Word], wrapper: _Wrapper, looks: str) -> list[Word]:
    own_words = wrapper.own_words
    put: Value | None = None
    at = 0
    while at < len(words):
        value = words[at].value
        if isinstance(value, Unknown):
            # `timeout "$LONG" az` has one word; `sudo $OPTIONS az` may have any number.
            if words[at].may_split or not own_words:
                break
            own_words -= 1
        elif value == "--":
            at += 1
            break
        elif value.startswith("-") and value != "-":
            flags, option, inline = _parts(value, wrapper)
            if any(flag in looks for flag in flags):
                return []
            if option is not None and inline is None:
                at += 1
            if option in wrapper.put:
                put = inline or (words[at].value if at < len(words) and inline is None else "{}")
        elif _ASSIGNMENT.match(value):
            pass
        elif own_words:
            own_words -= 1
        else:
            break
        at += 1
    rest = words[at + own_words :] if at < len(words) else []
    if not wrapper.adds or not rest:
        return rest
    if put is None:
        # The first may be the value of an option, the others anything.
        return [*rest, *[Word(Unknown("what xargs adds"), rest[-1].place, may_split=True)] * 2]
    return [_with_put(word, put) for word in rest]


def _parts(text: str, wrapper: _Wrapper) -> tuple[str, str | None, str | None]:
    """The flags in a word such as `-Eu`, the option in it that takes a word, and that word if it is the rest."""
    if text.startswith("--"):
        name, equals, inline = text.partition("=")
        if name == "--replace" and name in wrapper.put:
            return "", name, inline or "{}"
        return "", name if name in wrapper.options else None, inline if equals else None
    for at, letter in enumerate(text[1:], 1):
        if letter in wrapper.letters:
            return text[1:at], f"-{letter}", text[at + 1 :] or None
    return text[1:], None, None


def _with_put(word: Word, put: Value) -> Word:
    """The word, unknown where xargs puts something into it."""
    is_put = isinstance(word.value, str) and (isinstance(put, Unknown) or put in word.value)
    return Word(Unknown(f"{word.value}, filled in by xargs"), word.place) if is_put else word


def assigned_by_builtin(name: str, rest: list[Word]) -> Names:
    """Return the variables that a command of bash itself may assign, by its arguments."""
    if name == "printf":
        # Only with -v, which comes first.
        if not rest or (isinstance(rest[0].value, Unknown) and not rest[0].may_split):
            return set()
        first, rest = rest[0].value, rest[1:]
        if isinstance(first, Unknown):
            return None
        if not first.startswith("-v"):
            return set()
        words: list[Value] = [first[2:]] if first != "-v" else [word.value for word in rest[:1]]
    elif name in _ASSIGNING:
        words = [word.value for word in rest]
        if name == "getopts":
            words = words[1:]
    else:
        return set()
    found = set(_UNTOLD)
    skips = False
    for value in words:
        if skips:
            skips = False
        elif isinstance(value, Unknown):
            return None
        elif value.startswith("-"):
            if name in HIDING and not PLAIN_OPTION.fullmatch(value):
                return None
            letter, inline = _valued(value, _ASSIGNING.get(name, "") + _NAMING.get(name, ""))
            is_named = letter in tuple(_NAMING.get(name, ""))
            found |= {inline} if is_named and inline else set()
            skips = bool(letter) and not inline and not is_named
        else:
            found |= set(_NAME.findall(value)) if name == "let" else {re.split(r"\[|\+?=", value)[0]}
    return found


def _valued(text: str, letters: str) -> tuple[str, str]:
    """The first of the letters in a word such as `-raNAME` ("" where there is none), and what follows it."""
    found = re.search(f"[{letters}]", text[1:]) if letters else None
    return (found[0], text[1:][found.end() :]) if found is not None else ("", "")


def together(parts: Iterable[Names]) -> Names:
    """Return all names; None where a part is any."""
    found: set[str] = set()
    for part in parts:
        if part is None:
            return None
        found |= part
    return found


def is_pattern(text: str) -> bool:
    """Whether bash makes other words of a text outside of quotes: files by `*`, a home by `~`, several by `{a,b}`."""
    if text.startswith("~"):
        return True
    if _GLOB.search(text):
        return True
    # As a regular expression it would take the cube of the time.
    *closed, _ = text.split("}")
    for part in closed:
        _, brace, inside = part.partition("{")
        if brace and ("," in inside or ".." in inside):
            return True
    return False


_OPTION: Final = re.compile(r"(--[a-z][a-z-]*|-[a-z])=?(.*)", re.DOTALL)
_GLOB: Final = re.compile(r"(?<!\\)[*?\[]")


def shortened(text: str) -> str:
    """Return the text as it is shown to people."""
    return text if len(text) <= MAX_SHOWN else f"{text[: MAX_SHOWN - 3]}..."


def unescaped(text: str) -> str:
    """Return what a text in double quotes means: a backslash quotes a few characters only, and joins lines."""
    return re.sub(r'\\([$`"\\\n])', lambda found: "" if found[1] == "\n" else found[1], text)


def perhaps(words: list[Word]) -> list[Word]:
    """Return words that may be there or not: an option with its values is one `Unknown` such as `--option=a b`."""
    groups: list[tuple[str, list[str], Place]] = []
    for word in words:
        option = _OPTION.fullmatch(word.value) if isinstance(word.value, str) else None
        around, values, _ = groups[-1] if groups else ("", [], word.place)
        if option is not None:
            groups.append((option[1], [option[2]] if option[2] else [], word.place))
        elif around and not (word.may_split and values):
            values.append(str(word.value))
        else:
            groups.append(("", [str(word.value)], word.place))
    texts = [(f"{name}=" if name else "") + (" ".join(values) or name) for name, values, _ in groups]
    return [
        Word(Unknown(f"{text}, if it is added"), place, may_split=True)
        for text, (*_, place) in zip(texts, groups, strict=True)
    ]


def more(before: Value | list[Word], added: Value | list[Word]) -> Value | list[Word]:
    """Return what `name+=added` makes of a value, unknown where it grows too long."""
    if isinstance(before, list) and isinstance(added, list) and len(before) + len(added) <= MAX_ELEMENTS:
        return [*before, *added]
    if isinstance(before, str) and isinstance(added, str) and len(before) + len(added) <= MAX_VALUE:
        return before + added
    return Unknown("+=")
