"""What reading a script may cost in all.

A few lines can double a value until it fills any memory, or copy what is known again and again. Whatever repeats work
or makes a text longer takes from one amount first.

Invariant: once something was not there, nothing is, so that all that follows is treated alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

# Scripts of 10 000 lines that were tried take some hundred thousand steps; a million takes about a second.
MAX_STEPS: Final = 2_000_000
# Of what variables become, not of what is written.
MAX_CHARACTERS: Final = 4 * 1024 * 1024
# A word that a variable becomes takes a quarter of a kilobyte.
_STEPS_A_WORD: Final = 20


@dataclass(slots=True)
class Effort:
    """What is left."""

    steps: int = MAX_STEPS
    characters: int = MAX_CHARACTERS
    is_spent: bool = False

    def takes(self, *, steps: int = 0, words: int = 0, characters: int = 0) -> bool:
        """Take it, and return whether it was there."""
        self.steps -= steps + words * _STEPS_A_WORD
        self.characters -= characters
        self.is_spent = self.is_spent or min(self.steps, self.characters) < 0
        return not self.is_spent
