"""The rows that choose: OS SKU, OS release, generation, what a size's offer leads to, and what to warn of.

The tables stand in the order in which `image_resolution` asks them; what is refused stands in
`image_refusals`. A new behaviour is a new row.

Invariant: a row decides by facts alone, and says the sentence it implements and where that is written.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from poolwright import errors
from poolwright.domain.generation import Generation
from poolwright.domain.os_sku import OsSku, OsType
from poolwright.domain.profile import Profile
from poolwright.domain.rules import Condition, Rule, when
from poolwright.domain.sources import CVM_PAGE, FIPS_PAGE, GEN2_PAGE, IMAGES_PAGE, OS_PAGE, TRUSTED_LAUNCH_PAGE
from poolwright.domain.vm_size import Architecture
from poolwright.domain.wish import WishSource

V1, V2 = Generation.V1, Generation.V2
_V1_ONLY, _V2_ONLY, _BOTH = frozenset({V1}), frozenset({V2}), frozenset({V1, V2})


@dataclass(frozen=True, slots=True)
class OsSkuRow:
    rule: Rule
    condition: Condition
    os_sku: OsSku


OS_SKU_TABLE: Final = (
    OsSkuRow(
        Rule("os-sku-linux", "Without an OS SKU a Linux node pool is Ubuntu.", IMAGES_PAGE),
        when(os_type=OsType.LINUX),
        OsSku.UBUNTU,
    ),
    OsSkuRow(
        Rule(
            "os-sku-windows-2019",
            "Without an OS SKU a Windows node pool is Windows2019 up to Kubernetes 1.24.",
            "comment on osSKU in Azure/azure-rest-api-specs (conflict C4)",
        ),
        when(os_type=OsType.WINDOWS, below_version="1.25.0"),
        OsSku.WINDOWS_2019,
    ),
    OsSkuRow(
        Rule(
            "os-sku-windows-2025",
            "Without an OS SKU a Windows node pool is Windows2025 from Kubernetes 1.36.",
            f"{OS_PAGE} (conflict C4)",
        ),
        when(os_type=OsType.WINDOWS, profile=Profile.DOCUMENTED, from_version="1.36.0"),
        OsSku.WINDOWS_2025,
    ),
    OsSkuRow(
        Rule(
            "os-sku-windows-2025-azure",
            "Without an OS SKU a Windows node pool is Windows2025 from Kubernetes 1.37.",
            "Azure/AKS CHANGELOG, 2026-07-17 (conflict C4)",
        ),
        when(os_type=OsType.WINDOWS, profile=Profile.AZURE_2026, from_version="1.37.0"),
        OsSku.WINDOWS_2025,
    ),
    OsSkuRow(
        Rule(
            "os-sku-windows-2022",
            "Without an OS SKU a Windows node pool is Windows2022 from Kubernetes 1.25.",
            "comment on osSKU in Azure/azure-rest-api-specs (conflict C4)",
        ),
        when(os_type=OsType.WINDOWS),
        OsSku.WINDOWS_2022,
    ),
)


@dataclass(frozen=True, slots=True)
class ReleaseRow:
    rule: Rule
    condition: Condition
    release: str


RELEASE_TABLE: Final = (
    ReleaseRow(
        Rule(
            "release-ubuntu-cvm-2004",
            "Confidential sizes run Ubuntu 20.04 for Kubernetes 1.24 to 1.33.",
            CVM_PAGE,
        ),
        when(os_sku=OsSku.UBUNTU, confidential=True, below_version="1.34.0"),
        "20.04",
    ),
    ReleaseRow(
        Rule("release-ubuntu-cvm-2404", "Confidential sizes run Ubuntu 24.04 from Kubernetes 1.34.", CVM_PAGE),
        when(os_sku=OsSku.UBUNTU, confidential=True),
        "24.04",
    ),
    ReleaseRow(
        Rule("release-ubuntu-fips-2004", "FIPS on Ubuntu was 20.04 before the 22.04 image came.", FIPS_PAGE),
        when(os_sku=OsSku.UBUNTU, fips=True, below_version="1.25.0"),
        "20.04",
    ),
    ReleaseRow(
        Rule("release-ubuntu-fips-2204", "FIPS on Ubuntu is 22.04, never 24.04.", FIPS_PAGE),
        when(os_sku=OsSku.UBUNTU, fips=True),
        "22.04",
    ),
    ReleaseRow(
        Rule("release-ubuntu-1804", "Ubuntu is 18.04 up to Kubernetes 1.24.", f"{OS_PAGE} (C5); {GEN2_PAGE}"),
        when(os_sku=OsSku.UBUNTU, below_version="1.25.0"),
        "18.04",
    ),
    ReleaseRow(
        Rule("release-ubuntu-2204", "Ubuntu is 22.04 for Kubernetes 1.25 to 1.34.", f"{OS_PAGE} (C5)"),
        when(os_sku=OsSku.UBUNTU, below_version="1.35.0"),
        "22.04",
    ),
    ReleaseRow(
        Rule("release-ubuntu-2404", "Ubuntu is 24.04 from Kubernetes 1.35.", f"{OS_PAGE} (C5)"),
        when(os_sku=OsSku.UBUNTU),
        "24.04",
    ),
    ReleaseRow(
        Rule("release-ubuntu2204", "Ubuntu2204 is Ubuntu 22.04.", OS_PAGE),
        when(os_sku=OsSku.UBUNTU_2204),
        "22.04",
    ),
    ReleaseRow(
        Rule("release-ubuntu2404", "Ubuntu2404 is Ubuntu 24.04.", OS_PAGE),
        when(os_sku=OsSku.UBUNTU_2404),
        "24.04",
    ),
    ReleaseRow(
        Rule("release-azurelinux-cvm", "Confidential sizes run Azure Linux 3.0.", CVM_PAGE),
        when(os_sku=OsSku.AZURE_LINUX, confidential=True),
        "Azure Linux 3.0",
    ),
    ReleaseRow(
        Rule("release-azurelinux-2", "AzureLinux is 2.0 for Kubernetes 1.27 to 1.31.", OS_PAGE),
        when(os_sku=OsSku.AZURE_LINUX, below_version="1.32.0"),
        "Azure Linux 2.0",
    ),
    ReleaseRow(
        Rule("release-azurelinux-3", "AzureLinux is 3.0 from Kubernetes 1.32.", OS_PAGE),
        when(os_sku=(OsSku.AZURE_LINUX, OsSku.AZURE_LINUX_3)),
        "Azure Linux 3.0",
    ),
    ReleaseRow(
        Rule("release-os-guard", "AzureLinuxOSGuard has an image line of its own.", IMAGES_PAGE),
        when(os_sku=OsSku.AZURE_LINUX_OS_GUARD),
        "Azure Linux 3.0 OS Guard",
    ),
    ReleaseRow(
        Rule(
            "release-acl",
            "AzureContainerLinux has an image line of its own.",
            "azure-container-linux-overview.md",
        ),
        when(os_sku=OsSku.AZURE_CONTAINER_LINUX),
        "Azure Container Linux",
    ),
    ReleaseRow(
        Rule("release-mariner", "CBLMariner is CBL-Mariner 2.0.", IMAGES_PAGE),
        when(os_sku=OsSku.CBL_MARINER),
        "CBL-Mariner 2.0",
    ),
    ReleaseRow(Rule("release-flatcar", "Flatcar is Flatcar.", IMAGES_PAGE), when(os_sku=OsSku.FLATCAR), "Flatcar"),
    ReleaseRow(
        Rule("release-windows-2019", "Windows2019 is Windows Server 2019.", IMAGES_PAGE),
        when(os_sku=OsSku.WINDOWS_2019),
        "Windows Server 2019",
    ),
    ReleaseRow(
        Rule("release-windows-2022", "Windows2022 is Windows Server 2022.", IMAGES_PAGE),
        when(os_sku=OsSku.WINDOWS_2022),
        "Windows Server 2022",
    ),
    ReleaseRow(
        Rule("release-windows-2025", "Windows2025 is Windows Server 2025.", IMAGES_PAGE),
        when(os_sku=OsSku.WINDOWS_2025),
        "Windows Server 2025",
    ),
    ReleaseRow(
        Rule("release-windows-annual", "WindowsAnnual is Windows Server 23H2.", IMAGES_PAGE),
        when(os_sku=OsSku.WINDOWS_ANNUAL),
        "Windows Server Annual 23H2",
    ),
)


@dataclass(frozen=True, slots=True)
class GenerationRow:
    """`because` says why this node pool needs the generation; it is the rule's sentence where empty."""

    rule: Rule
    condition: Condition
    generation: Generation
    because: str = ""


GENERATION_TABLE: Final = (
    GenerationRow(
        Rule(
            "gen2-trusted-launch",
            "Trusted Launch uses the Generation 2 node image.",
            f"{TRUSTED_LAUNCH_PAGE} (rule 24)",
        ),
        when(trusted_launch=True),
        V2,
    ),
    GenerationRow(
        Rule(
            "gen2-confidential",
            "A confidential VM size always uses Generation 2 and a CVM image.",
            f"{CVM_PAGE} (rule 30, C9)",
        ),
        when(confidential=True),
        V2,
    ),
    GenerationRow(
        Rule(
            "gen2-arm64",
            "Arm64 sizes always use Generation 2, even where ARM says V1,V2.",
            "use-arm64-vms.md (rule 35)",
        ),
        when(architecture=Architecture.ARM64),
        V2,
    ),
    GenerationRow(
        Rule(
            "gen2-pod-sandboxing",
            "Pod Sandboxing uses a Generation 2 image.",
            "use-pod-sandboxing.md (rule 44)",
        ),
        when(pod_sandboxing=True),
        V2,
    ),
    GenerationRow(
        Rule("gen2-os-sku", "Flatcar has only Generation 2 images.", f"{IMAGES_PAGE} (rule 42)"),
        when(os_sku=OsSku.FLATCAR),
        V2,
    ),
    GenerationRow(
        Rule("gen1-windows-2019", "Windows2019 has only a Generation 1 image.", "generation-2-vms.md (rule 18)"),
        when(os_sku=OsSku.WINDOWS_2019),
        V1,
    ),
    GenerationRow(
        Rule(
            "gen2-header",
            "To specify that you want to use Generation 2, add a custom header UseWindowsGen2VM=true.",
            f"{GEN2_PAGE} (rules 5, 8)",
        ),
        when(os_type=OsType.WINDOWS, wish=V2, wish_by=WishSource.HEADER),
        V2,
        because="the header UseWindowsGen2VM is true",
    ),
    GenerationRow(
        Rule(
            "gen1-header",
            "With UseWindowsGen2VM=false a Windows node pool uses Generation 1.",
            "generation-2-vms.md (rule 16)",
        ),
        when(os_type=OsType.WINDOWS, wish=V1, wish_by=WishSource.HEADER),
        V1,
    ),
    GenerationRow(
        Rule(
            "gen2-property",
            "properties.vmGeneration V2 asks for Generation 2.",
            "Poolwright, for clients that cannot send headers (asked for in Azure/AKS#5566)",
        ),
        when(wish=V2, wish_by=WishSource.PROPERTY),
        V2,
        because="properties.vmGeneration is V2",
    ),
    GenerationRow(
        Rule(
            "gen1-property",
            "properties.vmGeneration V1 asks for Generation 1.",
            "Poolwright, for clients that cannot send headers (asked for in Azure/AKS#5566)",
        ),
        when(wish=V1, wish_by=WishSource.PROPERTY),
        V1,
    ),
    GenerationRow(
        Rule(
            "gen1-only-size",
            "If the VM size supports only Generation 1, Linux and Windows node pools use the Generation 1 node image.",
            f"{GEN2_PAGE}, scenario 1 (rule 1)",
        ),
        when(offered=_V1_ONLY),
        V1,
    ),
    GenerationRow(
        Rule(
            "gen1-windows-2022-azure",
            "Windows2022 node pools are Generation 1 unless the header is true, also on "
            "a size that only supports Generation 2.",
            "generation-2-vms.md since 2025-02-27 (rules 12, 16); dapr/dapr#9994 (conflict C3)",
        ),
        when(profile=Profile.AZURE_2026, os_sku=OsSku.WINDOWS_2022, offered=_V2_ONLY),
        V1,
    ),
    GenerationRow(
        Rule(
            "gen2-only-size",
            "If the VM size supports only Generation 2, Linux and Windows node pools use the Generation 2 node image.",
            f"{GEN2_PAGE}, scenario 2 (rule 2, conflict C3)",
        ),
        when(offered=_V2_ONLY),
        V2,
    ),
    GenerationRow(
        Rule(
            "gen2-linux",
            "If the VM size supports both generations, Linux uses the Generation 2 node image.",
            f"{GEN2_PAGE}, scenario 3 (rules 3, 15)",
        ),
        when(os_type=OsType.LINUX),
        V2,
    ),
    GenerationRow(
        Rule(
            "gen2-windows-2025",
            "Windows2025 uses Generation 2 by default, without a header.",
            "generation-2-vms.md (rule 17)",
        ),
        when(os_sku=OsSku.WINDOWS_2025),
        V2,
    ),
    GenerationRow(
        Rule(
            "gen1-windows-annual",
            "Windows Annual uses the Generation 1 image when the size supports both.",
            f"{IMAGES_PAGE} (rule 19, conflict C8)",
        ),
        when(os_sku=OsSku.WINDOWS_ANNUAL),
        V1,
    ),
    GenerationRow(
        Rule(
            "gen1-windows",
            "If the VM size supports both generations, Windows uses the Generation 1 node image.",
            f"{GEN2_PAGE}, scenario 3 (rules 4, 16)",
        ),
        when(os_type=OsType.WINDOWS),
        V1,
    ),
)


@dataclass(frozen=True, slots=True)
class OfferRow:
    """What happens when the size does not offer the generation wanted."""

    rule: Rule
    condition: Condition
    wanted: Generation
    error_type: type[errors.PoolwrightError]
    late: bool
    message: str
    remedy: str


_CANNOT_BOOT = (
    "The selected VM size '{size}' cannot boot Hypervisor Generation '{number}'. If this was a Create operation "
    "please check that the Hypervisor Generation of the Image matches the Hypervisor Generation of the selected "
    "VM Size. If this was an Update operation please select a Hypervisor Generation '{number}' VM Size. "
    "For more information, see https://aka.ms/azuregen2vm"
)

OFFER_TABLE: Final = (
    OfferRow(
        Rule("gen2-not-offered", "Generation 2 needs a size that supports it.", f"{GEN2_PAGE} (rules 5, 24, 40, 41)"),
        when(),
        V2,
        errors.UnsupportedGen2VMSize,
        late=False,
        message="VM size '{size}' supports only Hypervisor Generation {offered}, and this node pool needs "
        "Generation 2 ({reason}).",
        remedy="choose a size that offers Generation 2, or drop what asks for it",
    ),
    OfferRow(
        Rule(
            "gen1-not-offered-azure",
            "Compute refuses the machine after the node pool was accepted.",
            "terraform-provider-azurerm#28252, dapr/dapr#9994 (conflict C3)",
        ),
        when(profile=Profile.AZURE_2026),
        V1,
        errors.BadRequest,
        late=True,
        message="Create or update VMSS {vmss} failed. " + _CANNOT_BOOT,
        # An update cannot mend it: the generation stays (conflict C2).
        remedy="add the node pool with the header UseWindowsGen2VM: true (az: --aks-custom-headers "
        "UseWindowsGen2VM=true), or on a size that offers Generation 1; its generation stays, so one that was added "
        "without and never ran is deleted first",
    ),
    OfferRow(
        Rule(
            "gen1-not-offered",
            "Generation 1 needs a size that supports it.",
            "terraform-provider-azurerm#28252 (Compute's wording)",
        ),
        when(),
        V1,
        errors.BadRequest,
        late=False,
        message=_CANNOT_BOOT,
        remedy="do not ask for Generation 1, or choose a size that offers it",
    ),
)


@dataclass(frozen=True, slots=True)
class WarningRow:
    rule: Rule
    condition: Condition
    code: str
    message: str


OS_SKU_RETIRED: Final = "OsSkuRetired"
OS_RELEASE_RETIRED: Final = "OsReleaseRetired"
WARNING_TABLE: Final = (
    WarningRow(
        Rule("warn-gen1-forced", "The generation never falls silently.", "Poolwright"),
        when(offered=_V1_ONLY, wish=None),
        "GenerationForcedBySize",
        "VM size '{size}' supports only Generation 1, so the node pool uses the Generation 1 node image.",
    ),
    WarningRow(
        Rule("warn-windows-default", "The Windows default is easily missed.", f"{GEN2_PAGE}, scenario 3"),
        when(profile=Profile.DOCUMENTED, os_sku=OsSku.WINDOWS_2022, offered=_BOTH, wish=None),
        "WindowsDefaultsToGeneration1",
        "VM size '{size}' supports both generations and Windows2022 uses Generation 1 by default; "
        "send the header UseWindowsGen2VM: true or properties.vmGeneration V2 for Generation 2.",
    ),
    WarningRow(
        Rule("warn-windows-default-azure", "The Windows default is easily missed.", f"{GEN2_PAGE}, scenario 3"),
        when(profile=Profile.AZURE_2026, os_sku=OsSku.WINDOWS_2022, offered=_BOTH, wish=None),
        "WindowsDefaultsToGeneration1",
        "VM size '{size}' supports both generations and Windows2022 uses Generation 1 by default; "
        "send the header UseWindowsGen2VM: true for Generation 2.",
    ),
    WarningRow(
        Rule(
            "warn-windows-2019",
            "Windows Server 2019 is unsupported since 2026-03-01.",
            f"{OS_PAGE} (rule 47)",
        ),
        when(os_sku=OsSku.WINDOWS_2019),
        OS_SKU_RETIRED,
        "OS SKU Windows2019 is unsupported since 2026-03-01 and its images are removed on 2027-04-01; "
        "scaling fails after that.",
    ),
    WarningRow(
        Rule("warn-windows-annual", "Windows Annual works until 2027-05-15.", "Azure/AKS CHANGELOG (rule 19)"),
        when(os_sku=OsSku.WINDOWS_ANNUAL),
        OS_SKU_RETIRED,
        "OS SKU WindowsAnnual can no longer be created on Azure since 2026-05-15 and ends on 2027-05-15.",
    ),
    WarningRow(
        Rule("warn-azurelinux-2", "Azure Linux 2.0 images are removed from 2026-03-31.", f"{OS_PAGE} (rule 43)"),
        when(release=("Azure Linux 2.0", "CBL-Mariner 2.0")),
        OS_RELEASE_RETIRED,
        "{release} images are removed from Azure since 2026-03-31; scaling fails there.",
    ),
    WarningRow(
        Rule(
            "warn-ubuntu-1804",
            "Ubuntu 18.04 is retired.",
            "generation-2-vms.md, change of 2025-02-27 (rule 12)",
        ),
        when(release="18.04"),
        OS_RELEASE_RETIRED,
        "Ubuntu 18.04 is retired on Azure since 2025-06-17; it is kept here because the Generation 2 page names it.",
    ),
    WarningRow(
        Rule("warn-ubuntu-2004", "Ubuntu 20.04 ends on 2027-03-17.", f"{OS_PAGE} (rule 47)"),
        when(release="20.04"),
        "OsReleaseRetiring",
        "Ubuntu 20.04 ends on 2027-03-17; scaling fails once its images are removed.",
    ),
    WarningRow(
        Rule("warn-ubuntu-2204", "Ubuntu 22.04 ends on 2027-06-30.", f"{OS_PAGE} (rule 47)"),
        when(release="22.04"),
        "OsReleaseRetiring",
        "Ubuntu 22.04 ends on 2027-06-30 and its images are removed on 2028-04-30; scaling fails after that.",
    ),
)
