"""The `$filter` of a list: clauses joined by `and`, which is all that Azure takes there as well.

Invariant: a clause that is not understood is refused; none is ignored.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from poolwright import errors

_TEXT: Final = r"'(?:[^']|'')*'"
_CLAUSE: Final = re.compile(
    rf"\s*(?:(?P<name>\w+)\s+(?P<operator>eq|ge|le)\s+(?P<value>{_TEXT}|[^\s']+)"
    rf"|(?P<function>\w+)\(\s*(?P<argument>{_TEXT})?\s*\))\s*(?:and\b|$)",
    re.IGNORECASE | re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Clause:
    """`name eq 'value'`, or a function as `name()`; name and operator in lower case."""

    name: str
    operator: str
    value: str


def clauses(text: str | None, offered: Collection[str]) -> list[Clause]:
    """Return the clauses of a filter; none for no filter. Raises `InvalidParameter`.

    `offered` has what may be asked, as `name operator` and `function()`.
    """
    known = {form.lower() for form in offered}
    found: list[Clause] = []
    rest = text or ""
    while rest.strip():
        match = _CLAUSE.match(rest)
        clause = _clause(match) if match is not None else None
        if match is None or clause is None or f"{clause.name} {clause.operator}".strip() not in known:
            raise errors.InvalidParameter(
                f"The $filter '{text}' is not offered.",
                target="$filter",
                remedy=f"join with `and` some of: {', '.join(offered)}",
            )
        found.append(clause)
        rest = rest[match.end() :]
    return found


def _clause(match: re.Match[str]) -> Clause:
    if match["function"]:
        return Clause(f"{match['function'].lower()}()", "", _unquoted(match["argument"] or ""))
    return Clause(match["name"].lower(), match["operator"].lower(), _unquoted(match["value"]))


def _unquoted(text: str) -> str:
    return text[1:-1].replace("''", "'") if text.startswith("'") else text
