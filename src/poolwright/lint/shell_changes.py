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
# Where bash computes, `a=4` assigns: in subscripts, in places of `${a:0:4}`, in `$((a))`, what is declared as a number,
# and beside `-gt` in `[[ ]]`.
_COMPUTED: Final = (
    re.compile(r"\w\[([^\]\n]{1,500})"),
    re.compile(r"(?<=[\s(])\[([^\]\s]{1,500})\]\+?="),
    re.compile(r"\$\{\w+:(?![-=+?])([^}\n]{1,500})"),
    re.compile(r"\$\(\((.{1,500}?)\)\)", re.DOTALL),
    re.compile(
        r"\b(?:declare|typeset|local|export|readonly)\s+(?:-\w{1,20}\s+){0,9}-\w{0,20}i\w{0,20}\s+([^\n;&|]{1,500})"
    ),
    re.compile(r"\[\[([^\n]{1,500}?)\]\]"),
)
# What it computes with stands in the syntax; what the variables in it hold, it computes as well.
_COMPUTED_AS_WELL: Final = re.compile(r"\(\((.{1,500}?)\)\)|\$\[([^\]\n]{1,500})|\blet\s+([^\n;&|]{1,500})", re.DOTALL)
_HELD: Final = re.compile(r"(?<![\w$])(\w+)(?:\[[^\]\n]{0,500}\])?\+?=(?![=~])([^\n;&|]{1,500})")
_READONLY: Final = re.compile(
    r"\b(?:readonly|(?:declare|typeset|local|export|readonly)\s+(?:-\w{1,20}\s+){0,9}-\w{0,20}r\w{0,20})\s+([^\n;&|]+)"
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
    found |= _assigned_where_computed(source)
    for trap in _TRAP.finditer(source):
        signals = {signal.upper().removeprefix("SIG") for signal in trap["signals"].split()}
        if not signals - _AT_THE_END:
            continue
        names = set(_NAME.findall(trap["quoted"] or trap["filled"] or trap["word"] or ""))
        if names & _ANYTHING or "$" in (trap["filled"] or trap["word"] or ""):
            return None
        found |= names
    return found


def made_readonly(source: str) -> set[str]:
    """Return the variables that something may make readonly: they keep what they hold then."""
    words = (word for found in _READONLY.finditer(source) for word in found[1].split())
    return {name for word in words if _NAME.fullmatch(name := word.strip("\"'").partition("=")[0].partition("[")[0])}


def _assigned_where_computed(source: str) -> set[str]:
    """The variables that expressions assign, and the texts in the variables that they name."""
    expressions = [
        computed[1]
        for pattern in _COMPUTED
        for computed in pattern.finditer(source)
        if not computed[0].startswith("[[") or _NUMBERS_COMPARED.search(computed[1])
    ]
    found = {name for expression in expressions for name in _assigned(expression)}
    expressions += (part for each in _COMPUTED_AS_WELL.finditer(source) for part in each.groups() if part is not None)
    held: dict[str, list[str]] = {}
    for assignment in _HELD.finditer(source):
        held.setdefault(assignment[1], []).append(assignment[2])
    while expressions:
        for name in _NAME.findall(expressions.pop()):
            values = held.pop(name, [])
            found |= {each for value in values for each in _assigned(value)}
            expressions += values
    return found


def _assigned(expression: str) -> Iterator[str]:
    for assigned in _ASSIGNED.finditer(expression):
        yield assigned[1]
    for stepped in _STEPPED.finditer(expression):
        yield stepped[1] or stepped[2]
