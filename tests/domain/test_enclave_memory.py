"""Which sizes promise memory for SGX enclaves, and how much."""

from __future__ import annotations

from dataclasses import replace

import pytest

from poolwright.catalog.catalog import Catalog
from poolwright.domain.enclave_memory import ENCLAVE_MEMORY, epc_mib

SIZES = Catalog.built_in(("eastus",)).sizes


@pytest.mark.parametrize(
    ("name", "mib"),
    [
        ("Standard_DC1s_v2", 28),
        ("Standard_DC8_v2", 168),
        ("Standard_DC1s_v3", 4 * 1024),
        ("Standard_DC2ds_v3", 8 * 1024),
        ("Standard_DC24ds_v3", 128 * 1024),
        ("Standard_DC48s_v3", 256 * 1024),
        ("Standard_D2s_v5", 0),
        # Confidential by SEV-SNP and TDX: no SGX.
        ("Standard_DC2as_v5", 0),
        ("Standard_DC2es_v5", 0),
    ],
)
def test_a_size_promises_what_its_page_says(name: str, mib: int) -> None:
    assert epc_mib(next(size for size in SIZES if size.name == name)) == mib


def test_every_row_has_sizes_that_boot_generation_2_alone() -> None:
    for row in ENCLAVE_MEMORY:
        mine = [size for size in SIZES if size.family.lower() in row.families]
        assert {size.vcpus for size in mine} == set(row.epc_mib)
        assert {generation.value for size in mine for generation in size.generations} == {"V2"}
        assert row.source.startswith("DC")


def test_a_size_between_two_has_what_the_smaller_one_has() -> None:
    size = next(size for size in SIZES if size.name == "Standard_DC4s_v3")
    assert epc_mib(replace(size, vcpus=6)) == epc_mib(size)
