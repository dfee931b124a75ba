"""The table of what the generations have: complete, with sources, and the same as what local machines are made of."""

from __future__ import annotations

from poolwright.domain.enclave_memory import ENCLAVE_MEMORY
from poolwright.domain.generation import Generation
from poolwright.domain.generation_features import FEATURES
from poolwright.machines.local.allocation import FLOORS

HERE = {feature.name: feature.here for feature in FEATURES}


def test_what_people_ask_about_generations_has_a_row_with_a_source() -> None:
    names = " | ".join(HERE)
    for wanted in ("Boot", "Memory", "Secure Boot", "vTPM", "vPMEM", "SGX", "NVMe", "Disk controller", "Partition"):
        assert wanted in names
    assert len(HERE) == len(FEATURES)
    assert all("https://" in feature.source or ".md" in feature.source for feature in FEATURES)


def test_generation_1_has_nothing_that_needs_uefi() -> None:
    lacking = {feature.name for feature in FEATURES if feature.of(Generation.V1) == "no"}
    assert lacking == {
        "OS disk larger than 2 TB",
        "NVMe disk controller",
        "Secure Boot",
        "vTPM",
        "Virtualized persistent memory (vPMEM)",
        "Intel SGX",
    }


def test_the_least_memory_is_what_machines_get() -> None:
    for floor in FLOORS:
        assert f"{floor.memory_mib} MiB" in HERE["Memory"]


def test_the_series_with_sgx_are_those_that_get_epc() -> None:
    told = next(feature.of(Generation.V2) for feature in FEATURES if feature.name == "Intel SGX")
    for row in ENCLAVE_MEMORY:
        for series in row.source.partition(" series")[0].split(" and "):
            assert series in told
