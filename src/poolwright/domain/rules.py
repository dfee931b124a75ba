"""What a rule row is: a condition over facts, the sentence it implements, and where that is written.

Invariant: tables of rows are ordered, the first row whose condition holds decides.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol, TypeVar

from poolwright.domain.kubernetes_version import KubernetesVersion


class HasVersion(Protocol):
    @property
    def version(self) -> KubernetesVersion: ...


@dataclass(frozen=True, slots=True)
class Condition:
    """Holds when every named fact has one of the allowed values and the version is in the range.

    `from_version` is inclusive, `below_version` exclusive. An empty condition always holds.
    """

    allowed: Mapping[str, tuple[Any, ...]]
    from_version: KubernetesVersion | None = None
    below_version: KubernetesVersion | None = None

    def holds(self, facts: HasVersion) -> bool:
        if self.from_version is not None and facts.version < self.from_version:
            return False
        if self.below_version is not None and not facts.version < self.below_version:
            return False
        # A loop and no `all`: a fleet of 10 000 node pools asks half a million times.
        for name, values in self.allowed.items():  # noqa: SIM110
            if getattr(facts, name) not in values:
                return False
        return True

    def __str__(self) -> str:
        """The condition in words, for the generated tables of docs/compatibility.md."""
        parts = [
            f"{name.replace('_', ' ')} {' or '.join(_text(value) for value in values)}"
            for name, values in self.allowed.items()
        ]
        if self.from_version is not None:
            parts.append(f"Kubernetes from {self.from_version}")
        if self.below_version is not None:
            parts.append(f"Kubernetes below {self.below_version}")
        return ", ".join(parts) or "always"


def when(*, from_version: str | None = None, below_version: str | None = None, **allowed: Any) -> Condition:
    """Return the condition; a value that is not a tuple stands for a tuple of one."""
    return Condition(
        {name: value if isinstance(value, tuple) else (value,) for name, value in allowed.items()},
        KubernetesVersion.parse(from_version) if from_version else None,
        KubernetesVersion.parse(below_version) if below_version else None,
    )


def _text(value: object) -> str:
    match value:
        case None:
            return "not given"
        case bool():
            return "yes" if value else "no"
        case Enum():
            return str(value.value)
        case frozenset():
            return "+".join(sorted(_text(part) for part in value))
        case _:
            return str(value)


@dataclass(frozen=True, slots=True)
class Rule:
    """The identity of a row: a stable ID, the sentence it implements, and its source."""

    id: str
    text: str
    source: str


class Row(Protocol):
    @property
    def rule(self) -> Rule: ...
    @property
    def condition(self) -> Condition: ...


R = TypeVar("R", bound=Row)


def first_match(rows: Iterable[R], facts: HasVersion) -> R | None:
    """Return the first row whose condition holds, or None."""
    return next((row for row in rows if row.condition.holds(facts)), None)
