"""What the two generations can and cannot do: one table, with where each row is from and what is done about it here.

Invariant: a row says what Azure documents; `here` says what Poolwright's local machines do, which is policy where QEMU
could do more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from poolwright.domain.generation import Generation

_AZURE: Final = "Support for Generation 2 VMs on Azure, https://learn.microsoft.com/azure/virtual-machines/generation-2"
_PAGE: Final = "Use Generation 2 virtual machines in AKS (generation-2-vm.md, 05/03/2024)"
_NVME: Final = "NVMe overview, https://learn.microsoft.com/azure/virtual-machines/nvme-overview"
_SGX: Final = f"{_PAGE}; DCsv2, DCsv3 and DCdsv3 series, https://learn.microsoft.com/azure/virtual-machines/dcv3-series"
_TRUSTED_LAUNCH: Final = "Trusted Launch, https://learn.microsoft.com/azure/virtual-machines/trusted-launch"


@dataclass(frozen=True, slots=True)
class Feature:
    """One feature in each generation, in words; `here` is what a local machine of Poolwright's has."""

    name: str
    v1: str
    v2: str
    here: str
    source: str

    def of(self, generation: Generation) -> str:
        """Return what a generation has of it."""
        return self.v1 if generation is Generation.V1 else self.v2


FEATURES: Final = (
    Feature("Boot", "BIOS (PCAT)", "UEFI", "SeaBIOS on pc / OVMF on q35", _AZURE),
    Feature("Partition table of the OS disk", "MBR", "GPT", "as the image has it; the guest says which", _AZURE),
    Feature("OS disk larger than 2 TB", "no", "yes", "the image's own size", _AZURE),
    Feature("Disk controller at boot", "IDE", "SCSI", "virtio-blk / virtio-scsi", _AZURE),
    Feature("NVMe disk controller", "no", "yes, with sizes and images that have it", "no: virtio-scsi", _NVME),
    Feature(
        "Memory",
        "sizes that offer V1",
        "also the largest sizes (increased memory)",
        "capped by a setting; at least 128 MiB under BIOS, 256 MiB under UEFI, 512 MiB with Secure Boot",
        _PAGE,
    ),
    Feature("Secure Boot", "no", "yes, with Trusted Launch", "no / enforced: SMM and enrolled keys", _TRUSTED_LAUNCH),
    Feature("vTPM", "no", "yes, with Trusted Launch", "no, by policy / a TPM 2.0 of its own (swtpm)", _TRUSTED_LAUNCH),
    Feature(
        "Virtualized persistent memory (vPMEM)",
        "no",
        "yes",
        "no, by policy / an NVDIMM of as many MiB as the node pool's vpmemMiB says",
        _PAGE,
    ),
    Feature(
        "Intel SGX",
        "no",
        "yes, with sizes that have it: DCsv2, DCsv3, DCdsv3",
        "no / EPC where host, KVM and QEMU have it; refused where not; never tried on such a host",
        _SGX,
    ),
)
