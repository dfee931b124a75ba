"""What a verb is called with besides its arguments, and what a changing verb answers.

Invariant: values only; they are read off a request in `arm/http.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

from poolwright.domain.operation import Operation


@dataclass(frozen=True, slots=True)
class Preconditions:
    """If-Match and If-None-Match of a request, without quotes; None when absent."""

    if_match: str | None = None
    if_none_match: str | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """What a verb needs to know of the call besides its arguments."""

    api_version: str
    correlation_id: str
    preconditions: Preconditions = Preconditions()
    header: bool | None = None


@dataclass(frozen=True, slots=True)
class Accepted:
    """What a changing verb leads to: the operation, None when there is nothing to do, and whether it creates."""

    operation: Operation | None
    created: bool = False
