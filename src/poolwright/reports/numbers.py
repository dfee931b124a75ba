"""Numbers in sentences."""

from __future__ import annotations


def counted(number: int, noun: str) -> str:
    """Return how many of something there are: `1 move`, `12,000 moves`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
