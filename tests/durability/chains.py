"""Places in plans where a process dies, in an order in which one start serves two cases.

The start that finishes what the last case left is also the one that dies at the next place. So neighbours are
of different kinds: finishing the one must not meet the place of the other.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from poolwright.domain.operation import OperationKind


@dataclass(frozen=True)
class Case:
    """One place to die at, in an operation that succeeds or one that `fails` and unwinds."""

    kind: OperationKind
    step: str
    moment: str
    fails: bool = False

    @property
    def place(self) -> str:
        return f"{self.kind.value}:{self.step}:{self.moment}"


def chained(cases: Iterable[Case], number: int) -> list[list[Case]]:
    """The cases in that many parts of about the same length, in each of which no kind follows itself."""
    by_kind: dict[OperationKind, list[Case]] = {}
    for case in cases:
        by_kind.setdefault(case.kind, []).append(case)
    ordered: list[Case] = []
    while any(by_kind.values()):
        last = ordered[-1].kind if ordered else None
        kind = max((kind for kind in by_kind if kind is not last), key=lambda kind: len(by_kind[kind]))
        ordered.append(by_kind[kind].pop())
    length = -(-len(ordered) // number)
    return [ordered[start : start + length] for start in range(0, len(ordered), length)]


def require_all_in(chains: Sequence[Sequence[Case]], cases: Iterable[Case]) -> None:
    """Every case stands in one chain, and no kind follows itself."""
    assert sorted(case.place for chain in chains for case in chain) == sorted(case.place for case in cases)
    for chain in chains:
        assert all(first.kind is not second.kind for first, second in itertools.pairwise(chain))
