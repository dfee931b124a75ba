"""What changes variables of a script without an assignment that the syntax shows.

Source: https://www.gnu.org/software/bash/manual/bash.html (Bash Variables, Coprocesses, Redirections, Shell Arithmetic,
Bourne Shell Builtins for `trap`, Aliases).

Invariant: pure, and in doubt too many: a name that is found here is known nowhere in the script.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from poolwright.lint.shell_words import Names

# What bash itself gives another value each time, or after each command.
_MOVING: Final = frozenset(
    (
        *("RANDOM", "SRANDOM", "SECONDS", "LINENO", "PWD", "OLDPWD", "EPOCHSECONDS", "EPOCHREALTIME", "DIRSTACK"),
        *("BASHPID", "BASH_COMMAND", "BASH_SUBSHELL", "BASH_ARGV0", "FUNCNAME", "GROUPS", "HISTCMD", "PIPESTATUS", "_"),
        *("COLUMNS", "LINES", "COPROC"),
    )
)
_OPENED: Final = re.compile(r"\{(\w+)\}[<>]")
_COPROCESS: Final = re.compile(r"\bcoproc\s+(\w+)")
_TIMED: Final = re.compile(r"\btime\s+(?:-p\s+)?((?:\w+\+?=[^\s;&|]*[ \t]*)+)")
# Where bash computes, `a=4` assigns: in subscripts, in places of `${a:0:4}`, and beside `-gt` in `[[ ]]`.
_COMPUTED: Final = (
    re.compile(r"\$\{[!#]?\w+\[([^\]\n]{1,500})"),
    re.compile(r"\$\{\w+:(?![-=+?])([^}\n]{1,500})"),
    re.compile(r"\[\[([^\n]{1,500}?)\]\]"),
)
_ASSIGNED: Final = re.compile(r"(\w+)\s*(?:[-+*/%&|^]|<<|>>)?=(?![=~])")
_STEPPED: Final = re.compile(r"(?:\+\+|--)\s*(\w+)|(\w+)\s*(?:\+\+|--)")
_NUMBERS_COMPARED: Final = re.compile(r"\s-(?:eq|ne|lt|le|gt|ge)\s")
_TRAP: Final = re.compile(
    r"\btrap\s+(?:--\s+)?(?:'(?P<quoted>[^']{0,4000})'|\"(?P<filled>[^\"]{0,4000})\"|(?P<word>[^\s;&|'\"]+))"
    r"(?P<signals>[^\n;&|]*)"
)
# At the end of the script, or by what ends it.
_AT_THE_END: Final = frozenset(("EXIT", "0", "INT", "TERM", "HUP", "QUIT", "PIPE"))
_NAME: Final = re.compile(r"[A-Za-z_]\w*")
_ANYTHING: Final = frozenset(("eval", "source"))


def changed_unseen(source: str) -> Names:
    """Return the variables that something may change unseen, all of them (None) where that cannot be told.

    Of traps every name in them is taken, those of functions included.
    """
    if "expand_aliases" in source:
        return None
    found = {*_MOVING, *_OPENED.findall(source), *_COPROCESS.findall(source)}
    for timed in _TIMED.finditer(source):
        found |= set(_NAME.findall(timed[1]))
    for pattern in _COMPUTED:
        for computed in pattern.finditer(source):
            if not computed[0].startswith("[[") or _NUMBERS_COMPARED.search(computed[1]):
                found |= set(_assigned(computed[1]))
    for trap in _TRAP.finditer(source):
        signals = {signal.upper().removeprefix("SIG") for signal in trap["signals"].split()}
        if not signals - _AT_THE_END:
            continue
        names = set(_NAME.findall(trap["quoted"] or trap["filled"] or trap["word"] or ""))
        if names & _ANYTHING or "$" in (trap["filled"] or trap["word"] or ""):
            return None
        found |= names
    return found


def _assigned(expression: str) -> Iterator[str]:
    for assigned in _ASSIGNED.finditer(expression):
        yield assigned[1]
    for stepped in _STEPPED.finditer(expression):
        yield stepped[1] or stepped[2]
