"""Which combinations AKS refuses before a generation is chosen.

Invariant: the table is ordered; where several rows hold, the first one speaks.
"""

from __future__ import annotations

from typing import Final

from poolwright import errors
from poolwright.domain.generation import Generation
from poolwright.domain.node_pool_kind import PoolType
from poolwright.domain.os_sku import OsSku, OsType
from poolwright.domain.profile import Profile
from poolwright.domain.refusal import RefusalRow
from poolwright.domain.rules import Rule, when
from poolwright.domain.sources import CVM_PAGE, FIPS_PAGE, GEN2_PAGE, IMAGES_PAGE, OS_PAGE, TRUSTED_LAUNCH_PAGE
from poolwright.domain.vm_size import Architecture, ConfidentialComputing

V1, V2 = Generation.V1, Generation.V2
_V2_ONLY = frozenset({V2})
_LINUX_FORCED_V2 = (OsSku.AZURE_LINUX_OS_GUARD, OsSku.AZURE_CONTAINER_LINUX, OsSku.FLATCAR)

REFUSAL_TABLE: Final = (
    RefusalRow(
        Rule("os-sku-of-other-os", "An OS SKU belongs to one OS type.", "osSKU in Azure/azure-rest-api-specs"),
        when(sku_of_other_os=True),
        errors.InvalidOSSKU,
        "properties.osSKU",
        "The OS SKU '{os_sku}' is not valid for OS type '{os_type}'. Valid OS SKUs are: {os_skus}.",
        "choose one of: {lasting_os_skus}",
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
        Rule("wish-gen2-windows-2019", "Generation 2 VM also requires Windows Server 2022.", f"{GEN2_PAGE} (rule 6)"),
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
