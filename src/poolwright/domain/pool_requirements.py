"""What is asked of a node pool whatever its image: how large its machines are, its name, its cluster, its generation.

Invariant: these rows decide no generation. Only `GENERATION_NEEDS` looks at the resolved one, once it is there; the
others hold for a node pool without a generation too.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from poolwright import errors
from poolwright.domain.generation import Generation
from poolwright.domain.image_facts import ImageRequest
from poolwright.domain.kubernetes_version import KubernetesVersion
from poolwright.domain.node_pool_kind import Mode
from poolwright.domain.os_sku import OsType
from poolwright.domain.refusal import Refusal, RefusalRow
from poolwright.domain.rules import Rule, first_match, when

_QUOTAS_PAGE = "Quotas, SKUs and regions (quotas-skus-regions.md)"
_NAME = re.compile(r"[a-z][a-z0-9]{0,11}")
_WINDOWS_NAME_LENGTH = 6
_NO_VERSION = KubernetesVersion.parse("0.0.0")  # no row about a name or a cluster looks at it

# What a node pool needs by its mode. Every row that holds speaks.
ADMISSION_TABLE: Final = (
    RefusalRow(
        Rule(
            "system-pool-size",
            "System node pools need at least 2 vCPUs and 4 GB.",
            f"{_QUOTAS_PAGE} (rule 58, C6)",
        ),
        when(system=True, below_system_minimum=True),
        errors.SystemPoolSkuTooLow,
        "properties.vmSize",
        "System node pool must use VM sku with more than 2 cores and 4GB memory. Nodepool name: {name}.",
        "choose a size with at least 2 vCPUs and 4 GB, or make the pool a User pool",
    ),
    RefusalRow(
        Rule("user-pool-size", "Sizes below 2 vCPUs or 2 GB are restricted.", f"{_QUOTAS_PAGE} (rule 58)"),
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

# What a node pool's name may be (rule 54).
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

# What a node pool may ask for only with machines of some generation.
GENERATION_NEEDS: Final = (
    RefusalRow(
        Rule(
            "vpmem-generation",
            "Virtualized persistent memory (vPMEM) is for Generation 2.",
            "Use Generation 2 virtual machines in AKS (generation-2-vm.md, 05/03/2024); here by policy: QEMU could",
        ),
        when(generation=Generation.V1, vpmem=True),
        errors.InvalidParameter,
        "properties.vpmemMiB",
        "Virtualized persistent memory was asked for, and the machines of this node pool are of Generation 1 (V1), "
        "which has none.",
        "leave vpmemMiB out (null takes it back), or have Generation 2 machines: choose a size that offers V2 and, on "
        "Windows, send the header UseWindowsGen2VM: true or properties.vmGeneration V2",
    ),
)


def admit(request: ImageRequest, *, name: str) -> tuple[Refusal, ...]:
    """Return every admission row the node pool breaks."""
    facts, words = _admission_facts(request), admission_words(request, name)
    return tuple(row.filled(words) for row in ADMISSION_TABLE if row.condition.holds(facts))


def refuse_name(name: str, os_type: OsType) -> Refusal | None:
    """Return why a node pool cannot have that name, or None."""
    facts = _NameFacts(os_type, _NAME.fullmatch(name) is not None, len(name) > _WINDOWS_NAME_LENGTH)
    row = first_match(NAME_TABLE, facts)
    words = {"name": name, "shortened": name[:_WINDOWS_NAME_LENGTH]}
    return row.filled(words) if row is not None else None


def refuse_cluster(os_type: OsType, *, has_windows_profile: bool) -> Refusal | None:
    """Return why a cluster cannot have a node pool of that OS type, or None."""
    row = first_match(CLUSTER_TABLE, _ClusterFacts(os_type, has_windows_profile))
    return row.filled({}) if row is not None else None


def refuse_generation(generation: Generation, *, vpmem: bool) -> Refusal | None:
    """Return why machines of the resolved generation cannot have what the node pool asks for, or None."""
    row = first_match(GENERATION_NEEDS, _GenerationFacts(generation, vpmem))
    return row.filled({}) if row is not None else None


def admission_words(request: ImageRequest, name: str) -> dict[str, str]:
    """Return the words that messages of the admission table may use."""
    size = request.size
    return {"name": name, "size": size.name, "vcpus": str(size.vcpus), "memory": f"{size.memory_gb:g}"}


@dataclass(frozen=True, slots=True)
class _AdmissionFacts:
    system: bool
    os_type: OsType
    below_user_minimum: bool
    below_system_minimum: bool
    version: KubernetesVersion


@dataclass(frozen=True, slots=True)
class _NameFacts:
    os_type: OsType
    well_formed: bool
    longer_than_windows_takes: bool
    version: KubernetesVersion = _NO_VERSION


@dataclass(frozen=True, slots=True)
class _ClusterFacts:
    os_type: OsType
    has_windows_profile: bool
    version: KubernetesVersion = _NO_VERSION


@dataclass(frozen=True, slots=True)
class _GenerationFacts:
    generation: Generation
    vpmem: bool
    version: KubernetesVersion = _NO_VERSION


def _admission_facts(request: ImageRequest) -> _AdmissionFacts:
    size = request.size
    return _AdmissionFacts(
        system=request.mode is Mode.SYSTEM,
        os_type=request.os_type,
        below_user_minimum=size.vcpus < 2 or size.memory_gb < 2,
        below_system_minimum=size.vcpus < 2 or size.memory_gb < 4,
        version=request.version,
    )
