"""Node images: what a machine boots from, and the string AKS prints for it.

Invariant: an image has exactly one generation. It is a field, never parsed from the string, because
`AKSAzureContainerLinux-202606.01.0` is a Gen 2 image without `gen2` in its name (domain rule 48).
"""

from __future__ import annotations

from dataclasses import dataclass

from poolwright.domain.generation import Generation
from poolwright.domain.kubernetes_version import KubernetesRelease
from poolwright.domain.vm_size import Architecture


@dataclass(frozen=True, slots=True)
class NodeImage:
    """One node image definition of a gallery, with its newest version.

    `os_skus` are the OS SKUs that may select it; `release` is the distribution release
    (`22.04`, `Azure Linux 3.0`, `Windows Server 2022`). `first_kubernetes` and `last_kubernetes`
    bound the Kubernetes minor versions it serves; `None` means not stated.
    `version_string` is the full `nodeImageVersion`.
    """

    gallery: str
    definition: str
    version_string: str
    os_skus: tuple[str, ...]
    release: str
    generation: Generation
    architecture: Architecture
    fips: bool
    trusted_launch: bool
    first_kubernetes: KubernetesRelease | None = None
    last_kubernetes: KubernetesRelease | None = None

    @property
    def is_confidential(self) -> bool:
        """True for a confidential VM image (`CVM` in the definition, upper case: domain section 3)."""
        return "CVM" in self.definition

    @property
    def is_kata(self) -> bool:
        """True for a Pod Sandboxing image (`kata` in the definition: domain section 3)."""
        return "kata" in self.definition

    def serves(self, release: KubernetesRelease) -> bool:
        """Whether the image may run nodes of that Kubernetes minor version."""
        return (self.first_kubernetes is None or self.first_kubernetes <= release) and (
            self.last_kubernetes is None or release <= self.last_kubernetes
        )
