"""Numbers in sentences."""

from __future__ import annotations


def counted(number: int, noun: str, nouns: str = "") -> str:
    """Return how many of something there are: `1 move`, `12,000 moves`; `nouns` is a plural other than by s."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {nouns or f'{noun}s'}"
