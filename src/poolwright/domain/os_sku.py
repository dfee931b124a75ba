"""Operating systems of node pools: the OS type and the OS SKU.

Invariant: an `OsSku` belongs to exactly one `OsType`.
Source of the list: properties.osSKU of agentPools, Azure/azure-rest-api-specs, and the AKS pages.
"""

from __future__ import annotations

from enum import Enum


class OsType(Enum):
    """The operating system family of a node pool."""

    LINUX = "Linux"
    WINDOWS = "Windows"


class OsSku(Enum):
    """An OS SKU in Azure's own spelling."""

    UBUNTU = "Ubuntu"
    UBUNTU_2204 = "Ubuntu2204"
    UBUNTU_2404 = "Ubuntu2404"
    AZURE_LINUX = "AzureLinux"
    AZURE_LINUX_3 = "AzureLinux3"
    AZURE_LINUX_OS_GUARD = "AzureLinuxOSGuard"
    AZURE_CONTAINER_LINUX = "AzureContainerLinux"
    CBL_MARINER = "CBLMariner"
    FLATCAR = "Flatcar"
    WINDOWS_2019 = "Windows2019"
    WINDOWS_2022 = "Windows2022"
    WINDOWS_2025 = "Windows2025"
    WINDOWS_ANNUAL = "WindowsAnnual"

    @classmethod
    def parse(cls, text: str) -> OsSku:
        """Return the OS SKU of that name, ignoring case; `Mariner` is the old name of `CBLMariner`.

        Raises `ValueError` for an unknown name.
        """
        try:
            return _BY_NAME[text.lower()]
        except KeyError:
            raise ValueError(f"unknown OS SKU: {text!r}") from None

    @property
    def os_type(self) -> OsType:
        return OsType.WINDOWS if self.value.startswith("Windows") else OsType.LINUX


_BY_NAME = {sku.value.lower(): sku for sku in OsSku} | {"mariner": OsSku.CBL_MARINER}


def names_of(os_type: OsType) -> tuple[str, ...]:
    """Return the OS SKU names of an OS type, in the order Azure lists them."""
    return tuple(sku.value for sku in OsSku if sku.os_type is os_type)
