"""How a table of rules says no: a row, and the refusal it becomes once its message is filled.

Invariant: a refusal carries the rule behind it and the next move; nothing is refused without both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from poolwright import errors
from poolwright.domain.rules import Condition, Rule


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why the request is refused: the error it becomes, the rule behind it, and the next move.

    `information` is what a client may want to read by name besides.
    """

    error_type: type[errors.PoolwrightError]
    message: str
    target: str
    remedy: str
    rule: Rule
    information: Mapping[str, Any] = field(default_factory=dict)

    @property
    def code(self) -> str:
        return self.error_type.code


@dataclass(frozen=True, slots=True)
class RefusalRow:
    """`message` and `remedy` are templates over words that the table's caller fills in."""

    rule: Rule
    condition: Condition
    error_type: type[errors.PoolwrightError]
    target: str
    message: str
    remedy: str

    def filled(self, words: Mapping[str, object], information: Mapping[str, Any] | None = None) -> Refusal:
        """Return the refusal, its message and remedy in these words."""
        return Refusal(
            self.error_type,
            self.message.format(**words),
            self.target,
            self.remedy.format(**words),
            self.rule,
            information or {},
        )
