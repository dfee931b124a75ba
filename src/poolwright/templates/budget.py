"""What the evaluation of one deployment may cost, all its templates, loops, functions and types together.

Templates are prepared while no other change is made, so a small one that expands without end would stop the
service. Work is charged before it is done, by the size of what it will build.

Invariant: what was charged never exceeds the limits, and a value that was weighed can be shown as JSON.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from poolwright import errors
from poolwright.templates.expressions import LONG, Expression, parse

# Ours; ARM counts resources by template. Steps and bytes together are about two seconds, and 100 MB at the highest.
# A cluster is rehearsed with the node pools in it, which are no resources of the template.
LIMITS: Final[Mapping[str, int]] = {"steps": 500_000, "bytes": 50_000_000, "resources": 800, "node pools": 2_000}
# As deep as a request may be (docs/limits.md).
MAX_DEPTH: Final = 64

_CHARACTERS_A_STEP: Final = 4
_BYTES_A_TREE_CHARACTER: Final = 32


@dataclass(slots=True)
class Budget:
    """What is left. Each method raises `InvalidTemplate` naming the limit when that is not enough."""

    left: dict[str, int] = field(default_factory=lambda: dict(LIMITS))
    trees: dict[str, Expression] = field(default_factory=dict)
    hashes: dict[str, str] = field(default_factory=dict)

    @property
    def has_half(self) -> bool:
        """Whether at least half of everything is left."""
        return all(2 * left >= LIMITS[what] for what, left in self.left.items())

    @property
    def is_spent(self) -> bool:
        """Whether more was asked for than there was."""
        return any(left < 0 for left in self.left.values())

    def charge(self, what: str, amount: int = 1) -> None:
        """Take from the steps, bytes or resources."""
        left = self.left[what] = self.left[what] - amount
        if left < 0:
            raise errors.InvalidTemplate(
                f"The deployment takes more than the limit of {LIMITS[what]} {what} that its evaluation may take.",
                remedy="split it, or build smaller values; docs/limits.md has the limits",
            )

    def tree(self, text: str) -> Expression:
        """Return the tree of an expression, which is parsed once."""
        found = self.trees.get(text)
        if found is None:
            self.charge("steps", len(text) // _CHARACTERS_A_STEP)
            self.charge("bytes", len(text) * _BYTES_A_TREE_CHARACTER)
            found = self.trees[text] = parse(text)
        return found

    def weigh(self, value: Any, times: int = 1) -> Any:
        """Return the value after taking the bytes of all that is in it, as often as it is in it.

        Integers outside 64 bits and values nested too deeply are refused.
        """
        layer = [value]
        for _ in range(MAX_DEPTH):
            below: list[Any] = []
            for part in layer:
                size = sys.getsizeof(part) + 8
                if isinstance(part, dict):
                    size += sum(map(sys.getsizeof, part))
                elif type(part) is int and part not in LONG:
                    raise errors.InvalidTemplate(
                        "An integer is outside the range of a signed 64-bit integer.", remedy="send it as a string"
                    )
                self.charge("bytes", size * times)
                if isinstance(part, dict):
                    below += part.values()
                elif isinstance(part, list):
                    below += part
            if not below:
                return value
            layer = below
        raise errors.InvalidTemplate(f"A value is nested deeper than {MAX_DEPTH} levels.", remedy="nest it less deeply")
