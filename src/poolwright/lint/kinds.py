"""What findings can be about: a stable ID, one sentence, and where it is written.

Rules of AKS and error codes have theirs in the tables of the service; these are the others.

Invariant: no sentence only repeats the ID.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Kind:
    """What findings of one ID have in common."""

    id: str
    text: str
    source: str


GEN1: Final = Kind("gen1", "The node pool gets Generation 1.", "Poolwright")
UNKNOWN: Final = Kind("unknown", "What the file tells does not decide the generation.", "Poolwright")
PROFILES_DIFFER: Final = Kind(
    "profiles-differ",
    "The documents and the service lead to different outcomes.",
    "docs/compatibility.md, Where the sources disagree",
)
VM_GENERATION: Final = Kind(
    "vm-generation-property", "vmGeneration is a property of Poolwright's own.", "docs/compatibility.md, The wish"
)
LOCATION: Final = Kind("unknown-location", "The catalogue knows no such location.", "catalog/locations.csv")
VERSION: Final = Kind(
    "kubernetes-version", "The Kubernetes version is not offered.", "https://aka.ms/supported-version-list"
)
HEADER: Final = Kind("header-value", "UseWindowsGen2VM takes true or false.", "generation-2-vm.md (rule 5)")
RETIRED: Final = Kind("size-retired", "The size is retired.", "catalog/retirements.csv")
RETIRING: Final = Kind("size-retiring", "The size will be retired.", "catalog/retirements.csv")
TYPE_RETIRED: Final = Kind("pool-type-retired", "The type of the node pool is retired.", "catalog/retirements.csv")
TYPE_RETIRING: Final = Kind(
    "pool-type-retiring", "The type of the node pool will be retired.", "catalog/retirements.csv"
)
TEMPLATE: Final = Kind(
    "template", "The template cannot be deployed as it stands.", "https://aka.ms/arm-template-expressions"
)
PARAMETERS: Final = Kind(
    "template-parameters",
    "A parameter is given that no template has, or with a value that the template does not take.",
    "https://aka.ms/arm-pass-parameter-values",
)
ELSEWHERE: Final = Kind(
    "template-elsewhere",
    "The template of a deployment does not stand in the file and was not read.",
    "https://aka.ms/arm-linked-templates",
)
WITHOUT_VALUE: Final = Kind(
    "parameter-without-value",
    "A parameter has neither a value nor a default.",
    "https://aka.ms/arm-create-parameter-file",
)
PLAN_IN_PART: Final = Kind(
    "plan-in-part",
    "The plan of Terraform does not have all that is configured.",
    "https://developer.hashicorp.com/terraform/internals/json-format",
)
AZ_OPTION: Final = Kind(
    "az-option", "az refuses the command for an option.", "https://learn.microsoft.com/cli/azure/aks"
)
OPERATION_FAILS: Final = Kind("operation-fails", "The request is accepted, then the operation fails.", "dapr/dapr#9994")

# What the service warns of, by the code of the warning.
OF_WARNINGS: Final[Mapping[str, Kind]] = {
    kind.id: kind
    for kind in (
        Kind(
            "WindowsDefaultsToGeneration1",
            "Windows Server 2022 uses Generation 1 by default where the size offers both generations.",
            "generation-2-vm.md, scenario 3",
        ),
        Kind("OsSkuRetired", "The OS SKU is no longer supported by AKS.", "upgrade-os-version.md (rules 19, 47)"),
        Kind(
            "OsReleaseRetired", "The OS release of the node image is retired.", "upgrade-os-version.md (rules 12, 43)"
        ),
        Kind(
            "OsReleaseRetiring", "The OS release of the node image will be retired.", "upgrade-os-version.md (rule 47)"
        ),
        Kind(
            "HeaderIgnored",
            "The header UseWindowsGen2VM concerns Windows node pools alone.",
            "generation-2-vm.md (rule 5)",
        ),
    )
}
