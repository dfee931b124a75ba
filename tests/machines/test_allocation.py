"""What machines get of the host."""

from __future__ import annotations

from dataclasses import replace

import pytest

from poolwright.domain.generation import Generation
from poolwright.domain.machine import MachineSpec
from poolwright.machines.local.allocation import (
    FLOORS,
    OVERHEAD_MIB,
    Allocation,
    Caps,
    HostRoom,
    allocate,
    floor_of,
    shortage,
)

SPEC = MachineSpec("m", Generation.V1, "image", "Standard_D2s_v5", 2, 8.0, False, False, True)
ROOM = HostRoom(memory_mib=4096, cpus=2, disk_bytes=10 * 2**30)


def test_a_size_is_capped() -> None:
    assert allocate(SPEC, Caps(512, 1)) == Allocation(512, 1)


def test_a_size_smaller_than_the_caps_gets_what_it_promises() -> None:
    assert allocate(replace(SPEC, vcpus=1, memory_gb=0.5), Caps(4096, 8)) == Allocation(512, 1)


@pytest.mark.parametrize("row", FLOORS, ids=lambda row: f"{row.generation.value}-{row.secure_boot}")
def test_no_cap_goes_below_what_the_firmware_needs(row: object) -> None:
    assert isinstance(row, type(FLOORS[0]))
    spec = replace(SPEC, generation=row.generation, secure_boot=row.secure_boot)
    assert floor_of(spec) is row
    assert allocate(spec, Caps(1, 1)).memory_mib == row.memory_mib


def test_memory_for_enclaves_is_capped_as_memory_is() -> None:
    assert allocate(replace(SPEC, epc_mib=56), Caps(512, 1)).epc_mib == 56
    assert allocate(replace(SPEC, epc_mib=8192), Caps(512, 1)).epc_mib == 512
    assert allocate(SPEC, Caps(512, 1)).epc_mib == 0


def test_eight_machines_fit_in_four_gib() -> None:
    trusted = replace(SPEC, generation=Generation.V2)
    assert 8 * allocate(trusted, Caps()).memory_mib <= 4096


def test_what_does_not_fit_is_said_with_its_numbers() -> None:
    wanted = [Allocation(512, 1)] * 8
    need = 8 * (512 + OVERHEAD_MIB)
    assert shortage(wanted, 0, ROOM) == f"8 machine(s) need {need} MiB of memory, and 4096 MiB are free on this host"
    assert shortage([Allocation(512, 4)], 0, ROOM) == "a machine needs 4 CPUs, and this host has 2"
    assert shortage([Allocation(1, 1, epc_mib=56)] * 2, 0, replace(ROOM, epc_mib=100)) == (
        "2 machine(s) need 112 MiB of EPC for SGX, and 100 MiB are free on this host"
    )
    assert shortage([Allocation(1, 1)], 20 * 2**30, ROOM) == (
        "1 machine(s) need 20480 MiB of disk, and 10240 MiB are free"
    )


def test_what_fits_exactly_fits() -> None:
    assert shortage([Allocation(4096 - OVERHEAD_MIB, 2)], 10 * 2**30, ROOM) is None
    assert shortage([], 0, HostRoom(0, 0, 0)) is None
