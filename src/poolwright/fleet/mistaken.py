"""What a text is that was taken for JSON and is none: what az prints otherwise, or what got in between.

Invariant: rows only say what a text looks like and what to do; whether it is JSON is decided before.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

_LONGEST_SHOWN: Final = 60
_GIVE_JSON: Final = "give the command -o json"
_NO_LOG: Final = "redirect only stdout (> FILE, without 2>&1)"

# As knack, which az is made of, writes its log to stderr, and as Python warns.
_LOG: Final = re.compile(
    r"(\x1b\[[\d;]*m)*(\[?(critical|error|warning|info|debug)\]?\s?:|(cli|urllib3|msrest|azure)\.\S+\s?:|\S*Warning:)",
    re.I,
)
_PYTHON_WARNING: Final = re.compile(r"\S+\.py:\d+: \w*Warning: ")
_RULE: Final = re.compile(r"[\s|+]*[-=]{2,}[\s|+=-]*")
_YAML: Final = re.compile(r"(- |---|[A-Za-z_][\w.]*:(\s|$))")
_JSON: Final = re.compile(r"^[\[{]", re.M)


@dataclass(frozen=True, slots=True)
class _Look:
    """A way to be no JSON. `holds` is asked about the line that is none and the text after it.

    `anywhere` is whether it can be also inside of a document.
    """

    called: str
    remedy: str
    holds: Callable[[str, str], bool]
    anywhere: bool = False


def _is_log(line: str, _after: str) -> bool:
    return _LOG.match(line) is not None or _PYTHON_WARNING.match(line) is not None


def _is_table(_line: str, after: str) -> bool:
    return _RULE.fullmatch(_first(after)) is not None


def _is_separated_by(separator: str) -> Callable[[str, str], bool]:
    def is_separated(line: str, after: str) -> bool:
        number, following = line.count(separator), _first(after)
        return number > 0 and following.count(separator) in ((number,) if following else (0,))

    return is_separated


def _is_yaml(line: str, _after: str) -> bool:
    return _YAML.match(line) is not None


def _stands_before_json(_line: str, after: str) -> bool:
    return _JSON.search(after) is not None


# The first that holds is told.
_LOOKS: Final = (
    _Look("a line of a log", _NO_LOG, _is_log, anywhere=True),
    _Look("a table", _GIVE_JSON, _is_table),
    _Look("a line that something printed before the JSON", _NO_LOG, _stands_before_json),
    _Look("columns with tabs between them", _GIVE_JSON, _is_separated_by("\t")),
    _Look("CSV", _GIVE_JSON, _is_separated_by(",")),
    _Look("YAML", _GIVE_JSON, _is_yaml),
)


def looks_like(text: str, place: int, *, is_document: bool) -> str | None:
    """Return what the line at a place of the text looks like and what to do, None where no row tells.

    `is_document` is whether a document should begin at the place, else it is inside of one.
    """
    begins = text.rfind("\n", 0, place) + 1
    line, _, after = text[begins:].partition("\n") if is_document else (_first(text[begins:]), "", "")
    for look in _LOOKS:
        if (is_document or look.anywhere) and look.holds(line.rstrip("\r"), after):
            return f"it looks like {look.called} ({_shown(line)}): {look.remedy}"
    return None


def _first(text: str) -> str:
    return text.partition("\n")[0].rstrip("\r")


def _shown(line: str) -> str:
    words = " ".join(line.split())
    return words if len(words) <= _LONGEST_SHOWN else f"{words[: _LONGEST_SHOWN - 3]}..."
