"""VM generations and the firmware each one boots.

Invariant: `V1` always means BIOS and `V2` always means UEFI; nothing else in the product decides
that again. Source: https://learn.microsoft.com/azure/virtual-machines/generation-2
"""

from __future__ import annotations

from enum import Enum


class Firmware(Enum):
    """The boot firmware of a machine."""

    BIOS = "bios"
    UEFI = "uefi"


class Generation(Enum):
    """The generation of a VM: `V1` boots BIOS, `V2` boots UEFI."""

    V1 = "V1"
    V2 = "V2"

    @classmethod
    def parse(cls, text: str) -> Generation:
        """Return the generation written as `V1` or `V2`, ignoring case and outer blanks.

        Raises `ValueError` for anything else.
        """
        return cls(text.strip().upper())

    @classmethod
    def parse_set(cls, text: str) -> frozenset[Generation]:
        """Return the generations of a `HyperVGenerations` capability such as `V1,V2`."""
        return frozenset(cls.parse(part) for part in text.split(",") if part.strip())

    @property
    def firmware(self) -> Firmware:
        return Firmware.BIOS if self is Generation.V1 else Firmware.UEFI

    @property
    def number(self) -> int:
        """1 or 2, as Compute's messages spell it (`Hypervisor Generation '1'`)."""
        return 1 if self is Generation.V1 else 2


def generations_text(generations: frozenset[Generation]) -> str:
    """Return the set in ARM's `HyperVGenerations` spelling: `V1`, `V2` or `V1,V2`."""
    return ",".join(sorted(generation.value for generation in generations))
