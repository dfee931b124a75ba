"""ARM's `uniqueString` and the hash under it.

The values are joined with hyphens and hashed in UTF-8 to 64 bits, which are written as 13 letters of
`a-z2-7`, five bits each, the highest first. The hash is MurmurHash3 with two lanes of 32 bits, other
rotations and constants, and a seed of 0.

Source: Microsoft does not document the function; the algorithm was published by several people from the
MIT-licensed packages Azure.Deployments.Expression and Microsoft.PowerPlatform.ResourceStack, with results
seen in Azure, which the tests repeat: https://gist.github.com/maskati/23f329e7db43c00184143f04498e537c,
https://github.com/JasonWhall/go-azure-uniquestring.

Invariant: the same values give the same text, here and in Azure.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

_ALPHABET: Final = "abcdefghijklmnopqrstuvwxyz234567"
_MASK: Final = 0xFFFFFFFF
_FIRST, _SECOND = 0x239B961B, 0xAB0E9789
_STEP: Final = (0x561CCD1B, 0x0BCAA747)
_MIX: Final = (0x85EBCA6B, 0xC2B2AE35)


def unique_string(values: Sequence[str]) -> str:
    """Return the 13 letters that ARM gives for these values."""
    # 64 bits are 12 letters and four bits of another, whose last one is 0.
    number = hash64("-".join(values).encode()) << 1
    return "".join(_ALPHABET[number >> 5 * place & 31] for place in reversed(range(13)))


def hash64(data: bytes) -> int:
    """Return the 64-bit hash of the bytes."""
    one = two = 0
    whole = len(data) - len(data) % 8
    for start in range(0, whole, 8):
        one = _rotated(one ^ _first(data[start : start + 4]), 19)
        one = ((one + two) * 5 + _STEP[0]) & _MASK
        two = _rotated(two ^ _second(data[start + 4 : start + 8]), 13)
        two = ((two + one) * 5 + _STEP[1]) & _MASK
    one ^= _first(data[whole : whole + 4])
    two ^= _second(data[whole + 4 :])
    one, two = one ^ len(data), two ^ len(data)
    one = (one + two) & _MASK
    two = (two + one) & _MASK
    one, two = _mixed(one), _mixed(two)
    one = (one + two) & _MASK
    two = (two + one) & _MASK
    return two << 32 | one


def _first(part: bytes) -> int:
    """The share of up to four bytes in the first lane; none have none."""
    return _rotated(int.from_bytes(part, "little") * _FIRST & _MASK, 15) * _SECOND & _MASK


def _second(part: bytes) -> int:
    return _rotated(int.from_bytes(part, "little") * _SECOND & _MASK, 17) * _FIRST & _MASK


def _rotated(number: int, by: int) -> int:
    return (number << by | number >> (32 - by)) & _MASK


def _mixed(number: int) -> int:
    number = (number ^ number >> 16) * _MIX[0] & _MASK
    number = (number ^ number >> 13) * _MIX[1] & _MASK
    return number ^ number >> 16
