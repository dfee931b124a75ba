"""Which VM generation and which node image a node pool gets, and why.

This is the heart of the product. It is a pure function over ordered tables; every row carries the
sentence it implements and where that sentence is written. A new behaviour is a new row.

Invariant: `resolve` decides the generation once; machine engines, plans and pages only repeat it.

The order of decisions: OS SKU when none is given -> OS release -> combinations that AKS refuses ->
the generation wanted -> does the size offer it -> the node image.
Sources are named by page of the AKS documentation (MicrosoftDocs/azure-aks-docs) with its date, by
issue, or as `Poolwright` where the rule is ours.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Final

from poolwright import errors
from poolwright.domain.generation import Generation, generations_text
from poolwright.domain.kubernetes_version import KubernetesVersion
from poolwright.domain.node_image import NodeImage
from poolwright.domain.node_pool_kind import Mode, PoolType
from poolwright.domain.os_sku import OsSku, OsType, names_of
from poolwright.domain.profile import Profile
from poolwright.domain.rules import Condition, Rule, first_match, when
from poolwright.domain.size_name import SizeName
from poolwright.domain.vm_size import Architecture, ConfidentialComputing, VmSize
from poolwright.domain.wish import Wish, WishSource

V1, V2 = Generation.V1, Generation.V2
_V1_ONLY, _V2_ONLY, _BOTH = frozenset({V1}), frozenset({V2}), frozenset({V1, V2})

PAGE = "Use Generation 2 virtual machines in AKS (generation-2-vm.md, 05/03/2024)"
TRUSTED_LAUNCH_PAGE = "Trusted launch for AKS (use-trusted-launch.md, 07/22/2026)"
CVM_PAGE = "Confidential VM node pools (use-cvm.md, 06/24/2026)"
IMAGES_PAGE = "Node images in AKS (node-images.md)"
OS_PAGE = "Upgrade OS versions (upgrade-os-version.md)"
FIPS_PAGE = "FIPS node pools (enable-fips-nodes.md)"
QUOTAS_PAGE = "Quotas, SKUs and regions (quotas-skus-regions.md)"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageRequest:
    """Everything the decision depends on.

    `os_sku` is None when not given. `fips` is None when not given. `wish` is the generation somebody
    asked for, already settled by `domain/wish.py`. `creating` is False for a node pool that exists:
    what can no longer be created keeps working.
    """

    profile: Profile
    os_type: OsType
    os_sku: OsSku | None
    version: KubernetesVersion
    size: VmSize
    fips: bool | None = None
    vtpm: bool = False
    secure_boot: bool = False
    workload_runtime: str | None = None
    gpu_driver: str | None = None
    wish: Wish | None = None
    pool_type: PoolType = PoolType.SCALE_SETS
    mode: Mode = Mode.USER
    creating: bool = True


@dataclass(frozen=True, slots=True)
class ResolutionWarning:
    """Something the caller should know that refuses nothing."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why the request is refused: the error it becomes, the rule behind it, and the next move.

    `information` is what a client may want to read by name besides.
    """

    error_type: type[errors.PoolwrightError]
    message: str
    target: str
    remedy: str
    rule: Rule
    information: Mapping[str, Any] = field(default_factory=dict)

    @property
    def code(self) -> str:
        return self.error_type.code


@dataclass(frozen=True, slots=True)
class Resolution:
    """The generation and node image a node pool gets, and the row that decided.

    `late_failure` is set where the real service accepts the request and Compute fails the operation.
    """

    generation: Generation
    image: NodeImage
    os_sku: OsSku
    rule: Rule
    warnings: tuple[ResolutionWarning, ...]
    late_failure: Refusal | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """The request as the rule tables see it: one name per fact, all comparable values."""

    profile: Profile
    os_type: OsType
    os_sku: OsSku | None
    sku_of_other_os: bool
    release: str | None
    version: KubernetesVersion
    offered: frozenset[Generation]
    architecture: Architecture
    cobalt: bool
    confidential: bool
    confidential_kind: ConfidentialComputing | None
    trusted_launch: bool
    vtpm_and_secure_boot: bool
    secure_boot: bool
    trusted_launch_disabled: bool
    fips: bool
    pod_sandboxing: bool
    gpu: bool
    gpu_driver_none: bool
    wish: Generation | None
    wish_by: WishSource | None
    creating: bool
    pool_type: PoolType
    system: bool
    below_user_minimum: bool
    below_system_minimum: bool


@dataclass(frozen=True, slots=True)
class OsSkuRow:
    rule: Rule
    condition: Condition
    os_sku: OsSku


@dataclass(frozen=True, slots=True)
class ReleaseRow:
    rule: Rule
    condition: Condition
    release: str


@dataclass(frozen=True, slots=True)
class RefusalRow:
    """`message` and `remedy` are templates over the names of `_words`."""

    rule: Rule
    condition: Condition
    error_type: type[errors.PoolwrightError]
    target: str
    message: str
    remedy: str


@dataclass(frozen=True, slots=True)
class GenerationRow:
    """`because` says why this node pool needs the generation; it is the rule's sentence where empty."""

    rule: Rule
    condition: Condition
    generation: Generation
    because: str = ""


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


@dataclass(frozen=True, slots=True)
class WarningRow:
    rule: Rule
    condition: Condition
    code: str
    message: str


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
        Rule("release-ubuntu-1804", "Ubuntu is 18.04 up to Kubernetes 1.24.", f"{OS_PAGE} (C5); {PAGE}"),
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

_LINUX_FORCED_V2 = (OsSku.AZURE_LINUX_OS_GUARD, OsSku.AZURE_CONTAINER_LINUX, OsSku.FLATCAR)

REFUSAL_TABLE: Final = (
    RefusalRow(
        Rule("os-sku-of-other-os", "An OS SKU belongs to one OS type.", "osSKU in Azure/azure-rest-api-specs"),
        when(sku_of_other_os=True),
        errors.InvalidOSSKU,
        "properties.osSKU",
        "The OS SKU '{os_sku}' is not valid for OS type '{os_type}'. Valid OS SKUs are: {os_skus}.",
        "choose one of: {os_skus}",
    ),
    RefusalRow(
        Rule(
            "flatcar-retired",
            "Flatcar node pools can no longer be created since 2026-07.",
            "Azure/AKS CHANGELOG (rule 42)",
        ),
        when(os_sku=OsSku.FLATCAR, creating=True),
        errors.InvalidOSSKU,
        "properties.osSKU",
        "Creating node pools with OS SKU 'Flatcar' is no longer possible since July 2026.",
        "choose one of: Ubuntu, AzureLinux",
    ),
    RefusalRow(
        Rule(
            "windows-annual-retired",
            "Windows Annual node pools can no longer be created since 2026-05-15.",
            "Azure/AKS CHANGELOG (rule 19, conflict C8)",
        ),
        when(profile=Profile.AZURE_2026, os_sku=OsSku.WINDOWS_ANNUAL, creating=True),
        errors.InvalidOSSKU,
        "properties.osSKU",
        "Creating node pools with OS SKU 'WindowsAnnual' is no longer possible since 15 May 2026.",
        "choose Windows2022 or Windows2025",
    ),
    RefusalRow(
        Rule("arm64-windows", "Windows node pools cannot use Arm64 sizes.", "use-arm64-vms.md (rule 36)"),
        when(os_type=OsType.WINDOWS, architecture=Architecture.ARM64),
        errors.InvalidParameter,
        "properties.vmSize",
        "VM size '{size}' is Arm64, and Windows node pools need an x64 size.",
        "choose an x64 size",
    ),
    RefusalRow(
        Rule("cvm-tdx", "Intel TDX sizes are not supported on AKS.", f"{CVM_PAGE} (rule 34)"),
        when(confidential_kind=ConfidentialComputing.TDX),
        errors.InvalidParameter,
        "properties.vmSize",
        "VM size '{size}' is an Intel TDX size, which AKS does not support for node pools.",
        "choose an AMD SEV-SNP size, or one without confidential computing",
    ),
    RefusalRow(
        Rule(
            "cvm-os-sku",
            "Confidential sizes take Ubuntu, Ubuntu2404, AzureLinux or AzureLinux3.",
            f"{CVM_PAGE} (rule 31)",
        ),
        when(
            confidential=True,
            os_sku=(
                OsSku.UBUNTU_2204,
                OsSku.FLATCAR,
                OsSku.AZURE_LINUX_OS_GUARD,
                OsSku.AZURE_CONTAINER_LINUX,
                OsSku.CBL_MARINER,
                OsSku.WINDOWS_2019,
                OsSku.WINDOWS_2022,
                OsSku.WINDOWS_2025,
                OsSku.WINDOWS_ANNUAL,
            ),
        ),
        errors.InvalidOSSKU,
        "properties.osSKU",
        "OS SKU '{os_sku}' has no image for the confidential VM size '{size}'.",
        "choose OS SKU Ubuntu or AzureLinux, or a size without confidential computing",
    ),
    RefusalRow(
        Rule("cvm-fips", "Confidential VMs exclude FIPS.", f"{CVM_PAGE} (rule 32)"),
        when(confidential=True, fips=True),
        errors.InvalidParameter,
        "properties.enableFIPS",
        "FIPS cannot be enabled on the confidential VM size '{size}'.",
        "leave enableFIPS out, or choose a size without confidential computing",
    ),
    RefusalRow(
        Rule("cvm-trusted-launch", "Confidential VMs exclude Trusted Launch.", f"{CVM_PAGE} (rule 32)"),
        when(confidential=True, trusted_launch=True),
        errors.InvalidParameter,
        "properties.securityProfile",
        "Trusted Launch cannot be enabled on the confidential VM size '{size}'.",
        "leave enableVTPM and enableSecureBoot out, or choose a size without confidential computing",
    ),
    RefusalRow(
        Rule("cvm-pod-sandboxing", "Confidential VMs exclude Pod Sandboxing.", f"{CVM_PAGE} (rule 32)"),
        when(confidential=True, pod_sandboxing=True),
        errors.InvalidParameter,
        "properties.workloadRuntime",
        "Pod Sandboxing cannot be used on the confidential VM size '{size}'.",
        "leave workloadRuntime out, or choose a size without confidential computing",
    ),
    RefusalRow(
        Rule("pod-sandboxing-os-sku", "Pod Sandboxing needs Azure Linux.", "use-pod-sandboxing.md (rule 44)"),
        when(
            pod_sandboxing=True,
            os_sku=(
                OsSku.UBUNTU,
                OsSku.UBUNTU_2204,
                OsSku.UBUNTU_2404,
                OsSku.AZURE_LINUX_OS_GUARD,
                OsSku.AZURE_CONTAINER_LINUX,
                OsSku.FLATCAR,
                OsSku.WINDOWS_2019,
                OsSku.WINDOWS_2022,
                OsSku.WINDOWS_2025,
                OsSku.WINDOWS_ANNUAL,
            ),
        ),
        errors.InvalidParameter,
        "properties.workloadRuntime",
        "Pod Sandboxing needs OS SKU AzureLinux; '{os_sku}' has no image with it.",
        "choose OS SKU AzureLinux",
    ),
    RefusalRow(
        Rule("pod-sandboxing-fips", "Pod Sandboxing excludes FIPS.", "use-pod-sandboxing.md (rule 44)"),
        when(pod_sandboxing=True, fips=True),
        errors.InvalidParameter,
        "properties.enableFIPS",
        "FIPS cannot be enabled together with Pod Sandboxing.",
        "leave one of the two out",
    ),
    RefusalRow(
        Rule("pod-sandboxing-arm64", "Pod Sandboxing excludes Arm64.", "use-pod-sandboxing.md (rule 44)"),
        when(pod_sandboxing=True, architecture=Architecture.ARM64),
        errors.InvalidParameter,
        "properties.vmSize",
        "VM size '{size}' is Arm64, and Pod Sandboxing needs an x64 size.",
        "choose an x64 size",
    ),
    RefusalRow(
        Rule(
            "pod-sandboxing-trusted-launch",
            "Pod Sandboxing excludes Trusted Launch.",
            f"{TRUSTED_LAUNCH_PAGE} (rules 24, 44)",
        ),
        when(pod_sandboxing=True, trusted_launch=True),
        errors.InvalidParameter,
        "properties.securityProfile",
        "Trusted Launch cannot be enabled together with Pod Sandboxing.",
        "leave one of the two out",
    ),
    RefusalRow(
        Rule(
            "windows-2019-kubernetes",
            "Windows2019 does not run on Kubernetes 1.33 and later.",
            f"{OS_PAGE} (rule 47)",
        ),
        when(os_sku=OsSku.WINDOWS_2019, from_version="1.33.0"),
        errors.InvalidOSSKU,
        "properties.osSKU",
        "OS SKU 'Windows2019' is not supported on Kubernetes {version}; its last version is 1.32.",
        "choose Windows2022 or Windows2025",
    ),
    RefusalRow(
        Rule(
            "windows-2022-kubernetes",
            "Windows2022 does not run on Kubernetes 1.37 and later.",
            f"{OS_PAGE} (rule 47)",
        ),
        when(os_sku=OsSku.WINDOWS_2022, from_version="1.37.0"),
        errors.InvalidOSSKU,
        "properties.osSKU",
        "OS SKU 'Windows2022' is not supported on Kubernetes {version}; its last version is 1.36.",
        "choose Windows2025",
    ),
    RefusalRow(
        Rule(
            "trusted-launch-windows",
            "Trusted Launch is for Linux node pools.",
            f"{TRUSTED_LAUNCH_PAGE} (rule 24)",
        ),
        when(os_type=OsType.WINDOWS, trusted_launch=True),
        errors.InvalidParameter,
        "properties.securityProfile",
        "Trusted Launch (enableVTPM, enableSecureBoot) is not supported on Windows node pools.",
        "leave enableVTPM and enableSecureBoot out",
    ),
    RefusalRow(
        Rule(
            "windows-2019-gen2-size",
            "Windows2019 node pools don't support Gen 2 sizes.",
            "generation-2-vms.md (rule 18)",
        ),
        when(os_sku=OsSku.WINDOWS_2019, offered=_V2_ONLY),
        errors.InvalidParameter,
        "properties.vmSize",
        "Windows2019 node pools don't support Generation 2 VM sizes, and VM size '{size}' offers only {offered}.",
        "choose OS SKU Windows2022 or Windows2025, or a size that offers Generation 1",
    ),
    RefusalRow(
        Rule("windows-2025-fips", "Windows2025 requires enableFIPS.", f"{FIPS_PAGE} (rule 39)"),
        when(os_sku=OsSku.WINDOWS_2025, fips=False),
        errors.InvalidParameter,
        "properties.enableFIPS",
        "OS SKU 'Windows2025' requires enableFIPS to be true; it cannot be turned off.",
        "send enableFIPS true (az: --enable-fips-image), or choose Windows2022",
    ),
    RefusalRow(
        Rule("windows-no-fips", "Windows2019 and WindowsAnnual have no FIPS image.", f"{FIPS_PAGE} (rule 39)"),
        when(os_sku=(OsSku.WINDOWS_2019, OsSku.WINDOWS_ANNUAL), fips=True),
        errors.InvalidParameter,
        "properties.enableFIPS",
        "OS SKU '{os_sku}' has no FIPS image.",
        "choose Windows2022 or Windows2025, or leave enableFIPS out",
    ),
    RefusalRow(
        Rule(
            "os-guard-features",
            "AzureLinuxOSGuard always has FIPS and Trusted Launch.",
            f"{IMAGES_PAGE} (rule 40)",
        ),
        when(os_sku=OsSku.AZURE_LINUX_OS_GUARD, trusted_launch=False),
        errors.InvalidParameter,
        "properties.securityProfile",
        "OS SKU 'AzureLinuxOSGuard' requires Trusted Launch (enableVTPM and enableSecureBoot) and enableFIPS.",
        "send enableVTPM, enableSecureBoot and enableFIPS true",
    ),
    RefusalRow(
        Rule(
            "os-guard-fips",
            "AzureLinuxOSGuard always has FIPS and Trusted Launch.",
            f"{IMAGES_PAGE} (rule 40)",
        ),
        when(os_sku=OsSku.AZURE_LINUX_OS_GUARD, fips=False),
        errors.InvalidParameter,
        "properties.enableFIPS",
        "OS SKU 'AzureLinuxOSGuard' requires enableFIPS to be true.",
        "send enableFIPS true (az: --enable-fips-image)",
    ),
    RefusalRow(
        Rule("os-guard-kubernetes", "AzureLinuxOSGuard needs Kubernetes 1.32.", f"{IMAGES_PAGE} (rule 40)"),
        when(os_sku=OsSku.AZURE_LINUX_OS_GUARD, below_version="1.32.0"),
        errors.InvalidOSSKU,
        "properties.osSKU",
        "OS SKU 'AzureLinuxOSGuard' needs Kubernetes 1.32 or later; this pool would run {version}.",
        "choose AzureLinux, or Kubernetes 1.32 or later",
    ),
    RefusalRow(
        Rule(
            "acl-features",
            "AzureContainerLinux requires Secure Boot and vTPM.",
            "azure-container-linux-overview.md (rule 41)",
        ),
        when(os_sku=OsSku.AZURE_CONTAINER_LINUX, vtpm_and_secure_boot=False),
        errors.InvalidParameter,
        "properties.securityProfile",
        "OS SKU 'AzureContainerLinux' requires both enableVTPM and enableSecureBoot.",
        "send enableVTPM and enableSecureBoot true",
    ),
    RefusalRow(
        Rule(
            "acl-kubernetes",
            "AzureContainerLinux needs Kubernetes 1.34.",
            "azure-container-linux-overview.md (rule 41)",
        ),
        when(os_sku=OsSku.AZURE_CONTAINER_LINUX, below_version="1.34.0"),
        errors.InvalidOSSKU,
        "properties.osSKU",
        "OS SKU 'AzureContainerLinux' needs Kubernetes 1.34 or later; this pool would run {version}.",
        "choose AzureLinux, or Kubernetes 1.34 or later",
    ),
    RefusalRow(
        Rule("trusted-launch-flatcar", "Flatcar has no Trusted Launch image.", f"{IMAGES_PAGE} (rule 42)"),
        when(os_sku=OsSku.FLATCAR, trusted_launch=True),
        errors.InvalidParameter,
        "properties.securityProfile",
        "Trusted Launch is not supported with OS SKU 'Flatcar'.",
        "leave enableVTPM and enableSecureBoot out",
    ),
    RefusalRow(
        Rule(
            "trusted-launch-kubernetes",
            "Trusted Launch needs Kubernetes 1.25.2.",
            f"{TRUSTED_LAUNCH_PAGE} (rule 23)",
        ),
        when(trusted_launch=True, below_version="1.25.2"),
        errors.InvalidParameter,
        "properties.securityProfile",
        "Trusted Launch needs Kubernetes 1.25.2 or later; this pool would run {version}.",
        "choose a later Kubernetes version",
    ),
    RefusalRow(
        Rule(
            "trusted-launch-pool-type",
            "Trusted Launch needs a scale-set node pool.",
            f"{TRUSTED_LAUNCH_PAGE} (rule 24)",
        ),
        when(trusted_launch=True, pool_type=(PoolType.AVAILABILITY_SET, PoolType.VIRTUAL_MACHINES)),
        errors.InvalidParameter,
        "properties.securityProfile",
        "Trusted Launch is not supported on node pools of type {pool_type}.",
        "use type VirtualMachineScaleSets",
    ),
    RefusalRow(
        Rule(
            "trusted-launch-arm64",
            "Trusted Launch excludes Arm64, except AzureContainerLinux.",
            f"{TRUSTED_LAUNCH_PAGE} (rules 24, 37)",
        ),
        when(
            trusted_launch=True,
            architecture=Architecture.ARM64,
            os_sku=tuple(sku for sku in OsSku if sku is not OsSku.AZURE_CONTAINER_LINUX),
        ),
        errors.InvalidParameter,
        "properties.vmSize",
        "Trusted Launch is not supported on the Arm64 VM size '{size}' with OS SKU '{os_sku}'.",
        "choose an x64 size, or OS SKU AzureContainerLinux on a size of version 6",
    ),
    RefusalRow(
        Rule(
            "acl-arm64",
            "AzureContainerLinux runs on Arm64 only with Cobalt sizes (version 6).",
            f"{TRUSTED_LAUNCH_PAGE} (rule 37)",
        ),
        when(os_sku=OsSku.AZURE_CONTAINER_LINUX, architecture=Architecture.ARM64, cobalt=False),
        errors.InvalidParameter,
        "properties.vmSize",
        "VM size '{size}' is Arm64 and not a Cobalt size (version 6), which OS SKU 'AzureContainerLinux' needs there.",
        "choose a version 6 Arm64 size, or an x64 size",
    ),
    RefusalRow(
        Rule(
            "trusted-launch-size",
            "A size with TrustedLaunchDisabled takes no vTPM or Secure Boot.",
            "trusted-launch.md of the Compute documentation (rule 29; that AKS refuses it up front is our reading)",
        ),
        when(trusted_launch=True, trusted_launch_disabled=True),
        errors.InvalidParameter,
        "properties.vmSize",
        "VM size '{size}' does not support Trusted Launch (TrustedLaunchDisabled).",
        "choose a size that supports Trusted Launch",
    ),
    RefusalRow(
        Rule(
            "trusted-launch-gpu",
            "Ubuntu with a GPU and Secure Boot needs gpuProfile.driver None.",
            f"{TRUSTED_LAUNCH_PAGE} (rule 28)",
        ),
        when(
            os_sku=(OsSku.UBUNTU, OsSku.UBUNTU_2204, OsSku.UBUNTU_2404),
            gpu=True,
            secure_boot=True,
            gpu_driver_none=False,
        ),
        errors.InvalidParameter,
        "properties.gpuProfile.driver",
        "Secure Boot on the GPU size '{size}' with Ubuntu needs gpuProfile.driver to be None: "
        "the GPU driver is not signed.",
        "send gpuProfile.driver None (az: --gpu-driver None), or choose AzureLinux",
    ),
    RefusalRow(
        Rule("fips-ubuntu2404", "FIPS on Ubuntu is 22.04, never 24.04.", f"{FIPS_PAGE} (rule 38)"),
        when(os_sku=OsSku.UBUNTU_2404, fips=True),
        errors.InvalidParameter,
        "properties.enableFIPS",
        "FIPS is not supported with OS SKU 'Ubuntu2404'.",
        "choose OS SKU Ubuntu, Ubuntu2204 or AzureLinux",
    ),
    RefusalRow(
        Rule("fips-arm64", "FIPS on Arm64 needs Azure Linux 3.0.", f"{FIPS_PAGE} (rule 36)"),
        when(
            fips=True,
            architecture=Architecture.ARM64,
            release=(
                "18.04",
                "20.04",
                "22.04",
                "24.04",
                "Azure Linux 2.0",
                "CBL-Mariner 2.0",
                "Flatcar",
                "Azure Linux 3.0 OS Guard",
            ),
        ),
        errors.InvalidParameter,
        "properties.enableFIPS",
        "FIPS on the Arm64 VM size '{size}' is supported only with Azure Linux 3.0; this pool would run {release}.",
        "choose OS SKU AzureLinux3, or an x64 size",
    ),
    RefusalRow(
        Rule(
            "fips-trusted-launch",
            "FIPS with Trusted Launch needs Ubuntu 22.04.",
            f"{TRUSTED_LAUNCH_PAGE} (rule 25)",
        ),
        when(
            fips=True,
            trusted_launch=True,
            release=(
                "18.04",
                "20.04",
                "24.04",
                "Azure Linux 2.0",
                "Azure Linux 3.0",
                "CBL-Mariner 2.0",
                "Flatcar",
            ),
        ),
        errors.InvalidParameter,
        "properties.enableFIPS",
        "FIPS together with Trusted Launch is supported only with Ubuntu 22.04; this pool would run {release}.",
        "choose OS SKU Ubuntu2204, or leave one of the two out",
    ),
    RefusalRow(
        Rule("fips-flatcar", "Flatcar has no FIPS image.", IMAGES_PAGE),
        when(os_sku=OsSku.FLATCAR, fips=True),
        errors.InvalidParameter,
        "properties.enableFIPS",
        "FIPS is not supported with OS SKU 'Flatcar'.",
        "leave enableFIPS out",
    ),
    RefusalRow(
        Rule("wish-gen2-windows-2019", "Generation 2 VM also requires Windows Server 2022.", f"{PAGE} (rule 6)"),
        when(os_sku=OsSku.WINDOWS_2019, wish=V2),
        errors.InvalidParameter,
        "properties.osSKU",
        "Generation 2 was asked for, and OS SKU 'Windows2019' has only a Generation 1 image. "
        "Generation 2 requires Windows Server 2022 or later.",
        "choose OS SKU Windows2022 or Windows2025, or do not ask for Generation 2",
    ),
    RefusalRow(
        Rule(
            "wish-gen1-trusted-launch",
            "Trusted Launch is for Generation 2.",
            f"{TRUSTED_LAUNCH_PAGE} (rule 24)",
        ),
        when(wish=V1, trusted_launch=True),
        errors.InvalidParameter,
        "properties.vmGeneration",
        "Generation 1 was asked for, and Trusted Launch needs Generation 2.",
        "do not ask for Generation 1, or leave enableVTPM and enableSecureBoot out",
    ),
    RefusalRow(
        Rule("wish-gen1-confidential", "A confidential size always uses Generation 2.", f"{CVM_PAGE} (rule 30)"),
        when(wish=V1, confidential=True),
        errors.InvalidParameter,
        "properties.vmGeneration",
        "Generation 1 was asked for, and the confidential VM size '{size}' always uses Generation 2.",
        "do not ask for Generation 1, or choose another size",
    ),
    RefusalRow(
        Rule("wish-gen1-arm64", "Arm64 sizes always use Generation 2.", "use-arm64-vms.md (rule 35)"),
        when(wish=V1, architecture=Architecture.ARM64),
        errors.InvalidParameter,
        "properties.vmGeneration",
        "Generation 1 was asked for, and the Arm64 VM size '{size}' always uses Generation 2.",
        "do not ask for Generation 1, or choose an x64 size",
    ),
    RefusalRow(
        Rule(
            "wish-gen1-pod-sandboxing",
            "Pod Sandboxing is for Generation 2.",
            "use-pod-sandboxing.md (rule 44)",
        ),
        when(wish=V1, pod_sandboxing=True),
        errors.InvalidParameter,
        "properties.vmGeneration",
        "Generation 1 was asked for, and Pod Sandboxing needs Generation 2.",
        "do not ask for Generation 1, or leave workloadRuntime out",
    ),
    RefusalRow(
        Rule(
            "wish-gen1-os-sku",
            "OS Guard, Azure Container Linux and Flatcar have only Generation 2 images.",
            f"{IMAGES_PAGE} (rules 40, 41, 42)",
        ),
        when(wish=V1, os_sku=_LINUX_FORCED_V2),
        errors.InvalidParameter,
        "properties.vmGeneration",
        "Generation 1 was asked for, and OS SKU '{os_sku}' has only Generation 2 images.",
        "do not ask for Generation 1, or choose another OS SKU",
    ),
)

ADMISSION_TABLE: Final = (
    RefusalRow(
        Rule(
            "system-pool-size",
            "System node pools need at least 2 vCPUs and 4 GB.",
            f"{QUOTAS_PAGE} (rule 58, C6)",
        ),
        when(system=True, below_system_minimum=True),
        errors.SystemPoolSkuTooLow,
        "properties.vmSize",
        "System node pool must use VM sku with more than 2 cores and 4GB memory. Nodepool name: {name}.",
        "choose a size with at least 2 vCPUs and 4 GB, or make the pool a User pool",
    ),
    RefusalRow(
        Rule("user-pool-size", "Sizes below 2 vCPUs or 2 GB are restricted.", f"{QUOTAS_PAGE} (rule 58)"),
        when(system=False, below_user_minimum=True),
        errors.VMSizeRestrictedByAKS,
        "properties.vmSize",
        "VM size '{size}' has {vcpus} vCPUs and {memory} GB; AKS node pools need at least 2 vCPUs and 2 GB.",
        "choose a size with at least 2 vCPUs and 2 GB",
    ),
    RefusalRow(
        Rule("system-pool-linux", "System node pools are Linux.", "use-system-pools.md (rules 21, 56)"),
        when(system=True, os_type=OsType.WINDOWS),
        errors.SystemPoolMustBeLinux,
        "properties.osType",
        "System node pools must be Linux; '{name}' asks for osType Windows.",
        "use mode User for Windows node pools",
    ),
)

# What a node pool's name may be (rule 54). The name is no fact of the image, so it has facts of its own.
NAME_TABLE: Final = (
    RefusalRow(
        Rule(
            "pool-name",
            "A node pool name has 1 to 12 lower-case letters and digits and starts with a letter.",
            "create-node-pools.md; Azure/azure-rest-api-specs AgentPool.tsp (rule 54)",
        ),
        when(well_formed=False),
        errors.InvalidParameter,
        "name",
        "The value of parameter agentPoolProfile.name is invalid: '{name}'. A node pool name starts with a "
        "lower-case letter and has at most 12 lower-case letters and digits (6 for Windows). "
        "Please see https://aka.ms/aks-naming-rules for more details.",
        "choose a name such as np1",
    ),
    RefusalRow(
        Rule(
            "pool-name-windows",
            "A Windows node pool name has at most 6 characters.",
            "create-node-pools.md (rule 54); wording quoted in kubernetes-sigs/cluster-api-provider-azure",
        ),
        when(os_type=OsType.WINDOWS, longer_than_windows_takes=True),
        errors.InvalidParameter,
        "name",
        "Windows agent pool name can not be longer than 6 characters.",
        "choose a name of at most 6 characters, for example {shortened}",
    ),
)

# What a node pool needs of its cluster (rule 57).
CLUSTER_TABLE: Final = (
    RefusalRow(
        Rule(
            "windows-profile",
            "A Windows node pool needs a cluster with a Windows profile.",
            "AKS documentation of Windows node pools (rule 57)",
        ),
        when(os_type=OsType.WINDOWS, has_windows_profile=False),
        errors.InvalidParameter,
        "properties.osType",
        "Windows profile definition is missing for the cluster.",
        "create the cluster with network plugin azure, or with windowsProfile.adminUsername",
    ),
)

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
            f"{PAGE} (rules 5, 8)",
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
            f"{PAGE}, scenario 1 (rule 1)",
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
            f"{PAGE}, scenario 2 (rule 2, conflict C3)",
        ),
        when(offered=_V2_ONLY),
        V2,
    ),
    GenerationRow(
        Rule(
            "gen2-linux",
            "If the VM size supports both generations, Linux uses the Generation 2 node image.",
            f"{PAGE}, scenario 3 (rules 3, 15)",
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
            f"{PAGE}, scenario 3 (rules 4, 16)",
        ),
        when(os_type=OsType.WINDOWS),
        V1,
    ),
)

_CANNOT_BOOT = (
    "The selected VM size '{size}' cannot boot Hypervisor Generation '{number}'. If this was a Create operation "
    "please check that the Hypervisor Generation of the Image matches the Hypervisor Generation of the selected "
    "VM Size. If this was an Update operation please select a Hypervisor Generation '{number}' VM Size. "
    "For more information, see https://aka.ms/azuregen2vm"
)

OFFER_TABLE: Final = (
    OfferRow(
        Rule("gen2-not-offered", "Generation 2 needs a size that supports it.", f"{PAGE} (rules 5, 24, 40, 41)"),
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
        errors.CannotBootGeneration,
        late=True,
        message="Create or update VMSS {vmss} failed. " + _CANNOT_BOOT,
        remedy="send the header UseWindowsGen2VM: true (az: --aks-custom-headers UseWindowsGen2VM=true), "
        "or choose a size that offers Generation 1",
    ),
    OfferRow(
        Rule(
            "gen1-not-offered",
            "Generation 1 needs a size that supports it.",
            "terraform-provider-azurerm#28252 (Compute's wording)",
        ),
        when(),
        V1,
        errors.CannotBootGeneration,
        late=False,
        message=_CANNOT_BOOT,
        remedy="do not ask for Generation 1, or choose a size that offers it",
    ),
)

WARNING_TABLE: Final = (
    WarningRow(
        Rule("warn-gen1-forced", "The generation never falls silently.", "Poolwright"),
        when(offered=_V1_ONLY, wish=None),
        "GenerationForcedBySize",
        "VM size '{size}' supports only Generation 1, so the node pool uses the Generation 1 node image.",
    ),
    WarningRow(
        Rule("warn-windows-default", "The Windows default is easily missed.", f"{PAGE}, scenario 3"),
        when(profile=Profile.DOCUMENTED, os_sku=OsSku.WINDOWS_2022, offered=_BOTH, wish=None),
        "WindowsDefaultsToGeneration1",
        "VM size '{size}' supports both generations and Windows2022 uses Generation 1 by default; "
        "send the header UseWindowsGen2VM: true or properties.vmGeneration V2 for Generation 2.",
    ),
    WarningRow(
        Rule("warn-windows-default-azure", "The Windows default is easily missed.", f"{PAGE}, scenario 3"),
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
        "OsSkuRetired",
        "OS SKU Windows2019 is unsupported since 2026-03-01 and its images are removed on 2027-04-01; "
        "scaling fails after that.",
    ),
    WarningRow(
        Rule("warn-windows-annual", "Windows Annual works until 2027-05-15.", "Azure/AKS CHANGELOG (rule 19)"),
        when(os_sku=OsSku.WINDOWS_ANNUAL),
        "OsSkuRetired",
        "OS SKU WindowsAnnual can no longer be created on Azure since 2026-05-15 and ends on 2027-05-15.",
    ),
    WarningRow(
        Rule("warn-azurelinux-2", "Azure Linux 2.0 images are removed from 2026-03-31.", f"{OS_PAGE} (rule 43)"),
        when(release=("Azure Linux 2.0", "CBL-Mariner 2.0")),
        "OsReleaseRetired",
        "{release} images are removed from Azure since 2026-03-31; scaling fails there.",
    ),
    WarningRow(
        Rule(
            "warn-ubuntu-1804",
            "Ubuntu 18.04 is retired.",
            "generation-2-vms.md, change of 2025-02-27 (rule 12)",
        ),
        when(release="18.04"),
        "OsReleaseRetired",
        "Ubuntu 18.04 is retired on Azure; it is kept here because the Generation 2 page names it.",
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

_NO_IMAGE = Rule(
    "no-image", "OS SKU, size, generation and features together choose the image.", f"{IMAGES_PAGE} (rule 22)"
)
_FIRST_CONTAINERD = KubernetesVersion.parse("1.24.0")
_NAME = re.compile(r"[a-z][a-z0-9]{0,11}")
_WINDOWS_NAME_LENGTH = 6
_SPECIAL_DEFINITIONS = ("gpu", "minimal", "gb")


def resolve(
    request: ImageRequest, images: Sequence[NodeImage], *, vmss: str = "", kept: Generation | None = None
) -> Resolution | Refusal:
    """Return the generation and node image of a node pool, or why it is refused.

    `images` are the catalogue's, best first. `vmss` is the scale set's name, which Azure's late
    failure message carries. With `kept` the node pool keeps that generation and
    only its image is chosen; the row returned is then not the one that decided.
    """
    facts = _facts(request)
    refused = first_match(REFUSAL_TABLE, facts)
    if refused is not None:
        return _refusal(refused, facts, request)
    decided = _decided(facts)
    generation, late_failure = kept or decided.generation, None
    if kept is None and not request.size.supports(generation):
        failure, is_late = _not_offered(decided, facts, request, vmss)
        if not is_late:
            return failure
        late_failure = failure
    image = select_image(images, facts, generation)
    if image is None:
        return _no_image(images, facts, generation)
    assert facts.os_sku is not None
    return Resolution(generation, image, facts.os_sku, decided.rule, _warnings(facts, request), late_failure)


def admit(request: ImageRequest, *, name: str) -> tuple[Refusal, ...]:
    """Return every admission row the node pool breaks: what AKS refuses whatever the image."""
    facts = _facts(request)
    return tuple(_refusal(row, facts, request, name=name) for row in ADMISSION_TABLE if row.condition.holds(facts))


def refuse_name(name: str, os_type: OsType) -> Refusal | None:
    """Return why a node pool cannot have that name, or None."""
    facts = _NameFacts(os_type, _NAME.fullmatch(name) is not None, len(name) > _WINDOWS_NAME_LENGTH)
    row = first_match(NAME_TABLE, facts)
    words = {"name": name, "shortened": name[:_WINDOWS_NAME_LENGTH]}
    return _filled(row, words) if row is not None else None


def refuse_cluster(os_type: OsType, *, has_windows_profile: bool) -> Refusal | None:
    """Return why a cluster cannot have a node pool of that OS type, or None."""
    row = first_match(CLUSTER_TABLE, _ClusterFacts(os_type, has_windows_profile))
    return _filled(row, {}) if row is not None else None


def default_os_sku(os_type: OsType, version: KubernetesVersion, profile: Profile) -> OsSku:
    """Return the OS SKU a node pool gets when none is given."""
    row = first_match(OS_SKU_TABLE, _DefaultFacts(os_type, version, profile))
    assert row is not None
    return row.os_sku


def select_image(images: Sequence[NodeImage], facts: Facts, generation: Generation) -> NodeImage | None:
    """Return the first image that fits, or None.

    Windows definitions carry no `fips` (rule 39), so FIPS does not select among them. GPU, minimal and
    GB200 definitions serve other node pools; docker-era Ubuntu definitions end before Kubernetes 1.24.
    """
    release = facts.version.release
    return next((image for image in images if image.serves(release) and _fits(image, facts, generation)), None)


def _decided(facts: Facts) -> GenerationRow:
    row = first_match(GENERATION_TABLE, facts)
    if row is None:
        raise AssertionError(f"no generation rule for {facts}")
    return row


def _not_offered(decided: GenerationRow, facts: Facts, request: ImageRequest, vmss: str) -> tuple[Refusal, bool]:
    """What becomes of a generation that the size does not offer, and whether only the operation fails."""
    row = next(row for row in OFFER_TABLE if row.wanted is decided.generation and row.condition.holds(facts))
    words = _words(facts, request) | {
        "number": str(decided.generation.number),
        "reason": decided.because or decided.rule.text.rstrip("."),
        "vmss": vmss,
    }
    return Refusal(row.error_type, row.message.format(**words), "properties.vmSize", row.remedy, row.rule), row.late


@dataclass(frozen=True, slots=True)
class _NameFacts:
    os_type: OsType
    well_formed: bool
    longer_than_windows_takes: bool
    version: KubernetesVersion = _FIRST_CONTAINERD  # no row of these tables looks at it


@dataclass(frozen=True, slots=True)
class _ClusterFacts:
    os_type: OsType
    has_windows_profile: bool
    version: KubernetesVersion = _FIRST_CONTAINERD  # no row of these tables looks at it


@dataclass(frozen=True, slots=True)
class _DefaultFacts:
    os_type: OsType
    version: KubernetesVersion
    profile: Profile


def _facts(request: ImageRequest) -> Facts:
    os_sku = request.os_sku or default_os_sku(request.os_type, request.version, request.profile)
    size = request.size
    partial = Facts(
        profile=request.profile,
        os_type=request.os_type,
        os_sku=os_sku,
        sku_of_other_os=os_sku.os_type is not request.os_type,
        release=None,
        version=request.version,
        offered=size.generations,
        architecture=size.architecture,
        cobalt=_is_cobalt(size),
        confidential=size.is_confidential,
        confidential_kind=size.confidential,
        trusted_launch=request.vtpm or request.secure_boot,
        vtpm_and_secure_boot=request.vtpm and request.secure_boot,
        secure_boot=request.secure_boot,
        trusted_launch_disabled=size.trusted_launch_disabled,
        fips=bool(request.fips),
        pod_sandboxing=(request.workload_runtime or "").lower().startswith("kata"),
        gpu=size.gpus > 0,
        gpu_driver_none=(request.gpu_driver or "").lower() == "none",
        wish=request.wish.generation if request.wish else None,
        wish_by=request.wish.source if request.wish else None,
        creating=request.creating,
        pool_type=request.pool_type,
        system=request.mode is Mode.SYSTEM,
        below_user_minimum=size.vcpus < 2 or size.memory_gb < 2,
        below_system_minimum=size.vcpus < 2 or size.memory_gb < 4,
    )
    release = first_match(RELEASE_TABLE, partial)
    values = {item.name: getattr(partial, item.name) for item in fields(Facts)}
    return Facts(**(values | {"release": release.release if release else None}))


def _is_cobalt(size: VmSize) -> bool:
    """Whether an Arm64 size is of version 6 or later; a name outside the grammar tells nothing and blocks nothing."""
    try:
        return size.is_arm64 and SizeName.parse(size.name).version >= 6
    except ValueError:
        return size.is_arm64


def _fits(image: NodeImage, facts: Facts, generation: Generation) -> bool:
    assert facts.os_sku is not None
    return (
        image.generation is generation
        and image.architecture is facts.architecture
        and facts.os_sku.value.lower() in (name.lower() for name in image.os_skus)
        and image.release == facts.release
        and image.trusted_launch == facts.trusted_launch
        and image.is_confidential == facts.confidential
        and image.is_kata == facts.pod_sandboxing
        and (facts.os_type is OsType.WINDOWS or image.fips == facts.fips)
        and "EdgeZone" not in image.gallery
        and not any(word in image.definition for word in _SPECIAL_DEFINITIONS)
        and (
            image.gallery != "AKSUbuntu" or facts.version < _FIRST_CONTAINERD or image.definition.endswith("containerd")
        )
    )


def _no_image(images: Sequence[NodeImage], facts: Facts, generation: Generation) -> Refusal:
    served = sorted(
        {
            f"{image.first_kubernetes or 'any'} to {image.last_kubernetes or 'any'}"
            for image in images
            if _fits(image, facts, generation)
        }
    )
    features = [
        word
        for word, present in (
            ("FIPS", facts.fips),
            ("Trusted Launch", facts.trusted_launch),
            ("confidential computing", facts.confidential),
            ("Pod Sandboxing", facts.pod_sandboxing),
        )
        if present
    ]
    assert facts.os_sku is not None
    wanted = f"{facts.os_sku.value} ({facts.release}), {generation.value}, {facts.architecture.value}"
    known = f"It exists for Kubernetes {', '.join(served)}." if served else "None exists for any Kubernetes version."
    return Refusal(
        errors.InvalidImageRef,
        f"No node image exists for {wanted}{', ' + ', '.join(features) if features else ''} "
        f"on Kubernetes {facts.version.release}. {known}",
        "properties.osSKU",
        "choose another OS SKU, Kubernetes version or size",
        _NO_IMAGE,
    )


def _refusal(row: RefusalRow, facts: Facts, request: ImageRequest, *, name: str = "") -> Refusal:
    return _filled(row, _words(facts, request) | {"name": name})


def _filled(row: RefusalRow, words: Mapping[str, str]) -> Refusal:
    return Refusal(row.error_type, row.message.format(**words), row.target, row.remedy.format(**words), row.rule)


def _warnings(facts: Facts, request: ImageRequest) -> tuple[ResolutionWarning, ...]:
    words = _words(facts, request)
    return tuple(
        ResolutionWarning(row.code, row.message.format(**words)) for row in WARNING_TABLE if row.condition.holds(facts)
    )


def _words(facts: Facts, request: ImageRequest) -> dict[str, str]:
    assert facts.os_sku is not None
    return {
        "size": request.size.name,
        "os_sku": facts.os_sku.value,
        "os_type": facts.os_type.value,
        "pool_type": facts.pool_type.value,
        "os_skus": ", ".join(names_of(facts.os_type)),
        "offered": generations_text(facts.offered),
        "version": str(facts.version),
        "release": str(facts.release),
        "vcpus": str(request.size.vcpus),
        "memory": f"{request.size.memory_gb:g}",
    }
