"""A VM size and the questions asked of it.

Invariant: a `VmSize` offers at least one generation. What the catalogue does not know is `None`
here, never `False`: unknown warns, it never blocks.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from poolwright.domain.generation import Generation


class Architecture(Enum):
    """CPU architecture, in the spelling of the ARM capability `CpuArchitectureType`."""

    X64 = "x64"
    ARM64 = "Arm64"


class ConfidentialComputing(Enum):
    """Kind of confidential computing a size is built for (AMD SEV-SNP or Intel TDX)."""

    SNP = "SNP"
    TDX = "TDX"


@dataclass(frozen=True, slots=True)
class VmSize:
    """One VM size, wherever it is offered.

    `memory_gb` may be fractional. `vcpus_available` and `disk_controllers` are `None` where only the name tells
    them (`size_name.py`). `further` are the capabilities that no rule reads, by ARM's names.
    """

    name: str
    family: str
    tier: str
    vcpus: int
    memory_gb: float
    generations: frozenset[Generation]
    architecture: Architecture
    confidential: ConfidentialComputing | None = None
    trusted_launch_disabled: bool = False
    gpus: int = 0
    max_data_disks: int | None = None
    accelerated_networking: bool | None = None
    premium_io: bool | None = None
    encryption_at_host: bool | None = None
    ephemeral_os_disk: bool | None = None
    os_vhd_size_mb: int | None = None
    cached_disk_bytes: int | None = None
    vcpus_available: int | None = None
    disk_controllers: frozenset[str] | None = None
    further: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        if not self.generations:
            raise ValueError(f"size {self.name} offers no generation")

    def supports(self, generation: Generation) -> bool:
        return generation in self.generations

    @property
    def is_arm64(self) -> bool:
        return self.architecture is Architecture.ARM64

    @property
    def is_confidential(self) -> bool:
        return self.confidential is not None
