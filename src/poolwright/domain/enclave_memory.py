"""Which sizes have Intel SGX, and how much memory for enclaves (EPC) they promise.

No capability of a SKU tells: Azure writes it down in the pages of the series alone.

Invariant: a size outside the table has no SGX.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from poolwright.domain.vm_size import VmSize

_GIB: Final = 1024


@dataclass(frozen=True, slots=True)
class EnclaveMemory:
    """What the sizes of some families promise: MiB of EPC by vCPUs."""

    families: frozenset[str]
    epc_mib: Mapping[int, int]
    source: str


ENCLAVE_MEMORY: Final = (
    EnclaveMemory(
        frozenset({"standarddcsv2family"}),
        {1: 28, 2: 56, 4: 112, 8: 168},
        "DCsv2 series, https://learn.microsoft.com/azure/virtual-machines/dcv2-series",
    ),
    EnclaveMemory(
        frozenset({"standarddcsv3family", "standardddcsv3family"}),
        {
            vcpus: gib * _GIB
            for vcpus, gib in ((1, 4), (2, 8), (4, 16), (8, 32), (16, 64), (24, 128), (32, 192), (48, 256))
        },
        "DCsv3 and DCdsv3 series, https://learn.microsoft.com/azure/virtual-machines/dcv3-series",
    ),
)


def epc_mib(size: VmSize) -> int:
    """Return the EPC that a size promises in MiB, 0 where it has no SGX.

    A size of such a family that the pages do not list has what the next smaller one has.
    """
    row = next((row for row in ENCLAVE_MEMORY if size.family.lower() in row.families), None)
    if row is None:
        return 0
    return max((mib for vcpus, mib in row.epc_mib.items() if vcpus <= size.vcpus), default=0)
