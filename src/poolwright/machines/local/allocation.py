"""What a machine really gets of this host, next to what its size promises.

A size such as Standard_D64s_v5 does not fit on a laptop; its firmware and boot chain do. So memory and CPUs are
capped, never below what the firmware needs to come up.

Invariant: pure; numbers come in and go out in MiB, CPUs and bytes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from poolwright.domain.generation import Generation
from poolwright.domain.machine import MachineSpec

# Eight machines on 4 GB: what stays of each in memory is about 250 MiB, 340 under Secure Boot.
DEFAULT_MEMORY_MIB: Final = 512
DEFAULT_CPUS: Final = 1
# What QEMU itself takes beside the memory of the machine; measured as PSS less resident guest memory.
OVERHEAD_MIB: Final = 64


@dataclass(frozen=True, slots=True)
class Floor:
    """The least memory with which machines of a kind come up, and what was seen below it."""

    generation: Generation
    secure_boot: bool
    memory_mib: int
    because: str


# Tried with QEMU 7.2, SeaBIOS 1.16.2 and OVMF 2022.11.
FLOORS: Final = (
    Floor(Generation.V1, False, 128, "96 MiB came up, with nothing to spare"),
    Floor(Generation.V2, False, 256, "UEFI hangs with 192 MiB before it reaches the kernel"),
    Floor(
        Generation.V2,
        True,
        512,
        "with 256 MiB the firmware resets once Secure Boot is on; 320 MiB was the least that came up",
    ),
)


@dataclass(frozen=True, slots=True)
class Caps:
    """The most a machine gets."""

    memory_mib: int = DEFAULT_MEMORY_MIB
    cpus: int = DEFAULT_CPUS


@dataclass(frozen=True, slots=True)
class Allocation:
    """What a machine gets. `epc_mib` is its memory for SGX enclaves, which is the host's own kind."""

    memory_mib: int
    cpus: int
    epc_mib: int = 0


@dataclass(frozen=True, slots=True)
class HostRoom:
    """What a host has: all its CPUs, the memory, disk and EPC that are free beside what machines were promised."""

    memory_mib: int
    cpus: int
    disk_bytes: int
    epc_mib: int = 0


def floor_of(spec: MachineSpec) -> Floor:
    """Return the row that holds for the machine."""
    secure = spec.secure_boot and spec.generation is Generation.V2
    return next(row for row in FLOORS if row.generation is spec.generation and row.secure_boot == secure)


def allocate(spec: MachineSpec, caps: Caps) -> Allocation:
    """Return what the machine gets: its size's promise, at most the caps, at least what its firmware needs.

    EPC is capped as memory is.
    """
    promised = int(spec.memory_gb * 1024)
    return Allocation(
        memory_mib=max(min(promised, caps.memory_mib), floor_of(spec).memory_mib),
        cpus=min(spec.vcpus, caps.cpus) or 1,
        epc_mib=min(spec.epc_mib, caps.memory_mib),
    )


def shortage(wanted: Iterable[Allocation], disk_bytes: int, room: HostRoom) -> str | None:
    """Return in words, with the numbers, what the host lacks for all of them together; None when they fit.

    `disk_bytes` is what their disks may grow to. CPUs are shared, so only a machine with more than all of them is
    too large.
    """
    asked = list(wanted)
    memory = sum(one.memory_mib + OVERHEAD_MIB for one in asked)
    if memory > room.memory_mib:
        return f"{len(asked)} machine(s) need {memory} MiB of memory, and {room.memory_mib} MiB are free on this host"
    cpus = max((one.cpus for one in asked), default=0)
    if cpus > room.cpus:
        return f"a machine needs {cpus} CPUs, and this host has {room.cpus}"
    epc = sum(one.epc_mib for one in asked)
    if epc > room.epc_mib:
        return f"{len(asked)} machine(s) need {epc} MiB of EPC for SGX, and {room.epc_mib} MiB are free on this host"
    if disk_bytes > room.disk_bytes:
        return f"{len(asked)} machine(s) need {_mib(disk_bytes)} MiB of disk, and {_mib(room.disk_bytes)} MiB are free"
    return None


def _mib(number: int) -> int:
    return number // 2**20
