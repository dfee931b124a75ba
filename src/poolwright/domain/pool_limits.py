"""The limits of a node pool: counts, bounds, and what its mode and type exclude, whatever its image.

Invariant: a limit is a row with its source; a limit that a node pool exceeded before it existed as a rule
does not speak until somebody touches the property.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from poolwright import errors
from poolwright.domain.kubernetes_version import KubernetesVersion
from poolwright.domain.node_labels import TAINT_EFFECTS, malformed_label, malformed_taint, repeated_taint
from poolwright.domain.node_pool import NodePool, NodePoolRequest
from poolwright.domain.node_pool_kind import Mode, PoolType, PowerState, Priority
from poolwright.domain.os_sku import OsType
from poolwright.domain.refusal import Refusal, RefusalRow
from poolwright.domain.rules import Condition, Rule, when
from poolwright.domain.vm_size import VmSize

MAX_COUNT: Final = 1000
# Of a cluster: https://learn.microsoft.com/azure/aks/quotas-skus-regions
MAX_POOLS: Final = 100
MAX_SCALE_PROFILES: Final = 5
MAX_OS_DISK_GB: Final = 2048
PODS: Final = (10, 250)
# In MiB. QEMU maps a DIMM in steps of 2 MiB, and Linux's libnvdimm makes namespaces in steps of 16 MiB. The most is
# ours: QEMU fills the file before a real machine starts, and nobody looks after the other machines meanwhile.
VPMEM: Final = (16, 8192)
VPMEM_STEP: Final = 16
_SPEC = "Azure/azure-rest-api-specs AgentPool.tsp"
_LABELS_PAGE = "kubernetes.io/docs/concepts/overview/working-with-objects/labels"
_TAINTS_PAGE = "kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration"
_VIRTUAL_MACHINES_PAGE = "virtual-machines-node-pools.md (rule 53)"


@dataclass(frozen=True, slots=True)
class LimitFacts:
    """A node pool as the limits see it; `new_...` facts are about what the request changes."""

    version: KubernetesVersion
    os_type: OsType
    pool_type: PoolType
    system: bool
    spot: bool
    zoned: bool
    count_in_range: bool
    autoscaling: bool
    bounds_in_order: bool
    new_count_in_bounds: bool
    os_disk_in_range: bool
    new_sizes_hold_os_disk: bool
    max_pods_in_range: bool
    vpmem_in_range: bool
    few_profiles: bool
    one_family: bool
    newly_stopped: bool
    newly_unavailable: bool
    new_surge: bool
    new_labels_sound: bool
    new_taints_sound: bool
    new_taints_unique: bool


def _parameter(target: str, rule: Rule, condition: Condition, message: str, remedy: str) -> RefusalRow:
    return RefusalRow(rule, condition, errors.InvalidParameter, f"properties.{target}", message, remedy)


LIMIT_TABLE: Final = (
    _parameter(
        "count",
        Rule("count", f"A User node pool has 0 to {MAX_COUNT} nodes, a System node pool 1 to {MAX_COUNT}.", _SPEC),
        when(count_in_range=False),
        "The value of parameter agentPoolProfile.count is invalid: {count}. A {mode} node pool has {lowest} to "
        f"{MAX_COUNT} nodes.",
        f"choose a count from {{lowest}} to {MAX_COUNT}",
    ),
    RefusalRow(
        Rule("system-pool-regular", "System node pools have priority Regular.", "use-system-pools.md (rule 56)"),
        when(system=True, spot=True),
        errors.SystemPoolMustBeRegular,
        "properties.scaleSetPriority",
        "System node pools must have priority Regular; '{name}' asks for Spot.",
        "use mode User for Spot node pools",
    ),
    _parameter(
        "upgradeSettings.maxSurge",
        Rule(
            "spot-surge",
            "A spot node pool cannot ask for surge machines.",
            "hashicorp/terraform-provider-azurerm#19355, Azure/bicep#14517, with the service's code and words",
        ),
        when(spot=True, new_surge=True),
        "The value of parameter agentPoolProfile.upgrade.maxSurge is invalid. Error details: Spot pools can't set max "
        "surge. Please see https://aka.ms/aks-naming-rules for more details.",
        "leave maxSurge out",
    ),
    _parameter(
        "minCount",
        Rule("autoscaler-bounds", "The cluster autoscaler needs minCount and maxCount.", "cluster-autoscaler.md"),
        when(autoscaling=True, bounds_in_order=False),
        "With enableAutoScaling, minCount and maxCount are needed with {lowest} <= minCount <= maxCount <= "
        f"{MAX_COUNT}; got minCount {{low}} and maxCount {{high}}.",
        "send both bounds",
    ),
    _parameter(
        "count",
        Rule("count-in-bounds", "A count asked for is within the autoscaler's bounds.", "cluster-autoscaler.md"),
        when(autoscaling=True, bounds_in_order=True, new_count_in_bounds=False),
        "The count {count} is outside minCount {low} and maxCount {high}.",
        "choose a count from {low} to {high}",
    ),
    _parameter(
        "osDiskSizeGB",
        Rule("os-disk-size", f"An OS disk has up to {MAX_OS_DISK_GB} GB.", f"{_SPEC} (rule 55)"),
        when(os_disk_in_range=False),
        "The value of parameter agentPoolProfile.osDiskSizeGB is invalid: {os_disk}. It is 0 (the default of the size) "
        f"to {MAX_OS_DISK_GB}.",
        f"choose a size from 0 to {MAX_OS_DISK_GB}",
    ),
    RefusalRow(
        Rule(
            "ephemeral-os-disk",
            "A size whose EphemeralOSDiskSupported is False takes no ephemeral OS disk.",
            "Azure/AKS#2694, with the service's code and words; where no list tells, nothing is refused",
        ),
        when(new_sizes_hold_os_disk=False),
        errors.VMSizeDoesNotSupportEphemeralOS,
        "properties.osDiskType",
        "The Virtual Machine size {diskless} does not support Ephemeral OS disk.",
        "send osDiskType Managed or leave it out, or choose a size that takes one (EphemeralOSDiskSupported of "
        "`az vm list-skus`)",
    ),
    _parameter(
        "maxPods",
        Rule("max-pods", f"A node takes {PODS[0]} to {PODS[1]} pods.", "quotas-skus-regions.md"),
        when(max_pods_in_range=False),
        f"The value of parameter agentPoolProfile.maxPods is invalid: {{max_pods}}. It is {PODS[0]} to {PODS[1]}.",
        f"choose a number from {PODS[0]} to {PODS[1]}",
    ),
    _parameter(
        "vpmemMiB",
        Rule(
            "vpmem-size",
            f"A machine has {VPMEM[0]} to {VPMEM[1]} MiB of virtualized persistent memory, in steps of {VPMEM_STEP}.",
            "Poolwright; the step is that of Linux: drivers/nvdimm/region_devs.c, MEMREMAP_COMPAT_ALIGN_MAX",
        ),
        when(vpmem_in_range=False),
        "The value of parameter properties.vpmemMiB is invalid: {vpmem}. It is a multiple of "
        f"{VPMEM_STEP} from {VPMEM[0]} to {VPMEM[1]} (MiB for each machine).",
        f"choose a multiple of {VPMEM_STEP}, for example 128, or leave vpmemMiB out",
    ),
    _parameter(
        "powerState.code",
        Rule("system-pool-runs", "A System node pool cannot be stopped.", "start-stop-nodepools.md"),
        when(system=True, newly_stopped=True),
        "Node pool '{name}' has mode System and cannot be stopped.",
        "stop the whole cluster (az aks stop), or make the node pool a User pool first",
    ),
    _parameter(
        "upgradeSettings.maxUnavailable",
        Rule(
            "system-pool-available",
            "maxUnavailable cannot be set on System node pools.",
            "upgrade-aks-node-pools-rolling.md (05/29/2026)",
        ),
        when(system=True, newly_unavailable=True),
        "upgradeSettings.maxUnavailable cannot be set on node pool '{name}', which has mode System.",
        "set maxSurge and leave maxUnavailable out",
    ),
    _parameter(
        "type",
        Rule("virtual-machines-linux", "Node pools of type VirtualMachines are Linux.", _VIRTUAL_MACHINES_PAGE),
        when(pool_type=PoolType.VIRTUAL_MACHINES, os_type=OsType.WINDOWS),
        "Node pools of type VirtualMachines do not support osType Windows.",
        "use type VirtualMachineScaleSets",
    ),
    _parameter(
        "availabilityZones",
        Rule("virtual-machines-zones", "Node pools of type VirtualMachines have no zones.", _VIRTUAL_MACHINES_PAGE),
        when(pool_type=PoolType.VIRTUAL_MACHINES, zoned=True),
        "Node pools of type VirtualMachines do not support availabilityZones.",
        "leave availabilityZones out, or use type VirtualMachineScaleSets",
    ),
    _parameter(
        "virtualMachinesProfile.scale.manual",
        Rule(
            "virtual-machines-profiles",
            f"A node pool of type VirtualMachines has at most {MAX_SCALE_PROFILES} scale profiles.",
            _VIRTUAL_MACHINES_PAGE,
        ),
        when(pool_type=PoolType.VIRTUAL_MACHINES, few_profiles=False),
        f"A VirtualMachines node pool has at most {MAX_SCALE_PROFILES} scale profiles; got {{profiles}}.",
        "use fewer profiles",
    ),
    _parameter(
        "virtualMachinesProfile.scale.manual",
        Rule(
            "virtual-machines-family",
            "The sizes of a node pool of type VirtualMachines are of one family.",
            _VIRTUAL_MACHINES_PAGE,
        ),
        when(pool_type=PoolType.VIRTUAL_MACHINES, one_family=False),
        "The sizes of a VirtualMachines node pool are of one family; these are of {families}.",
        "choose sizes of one family",
    ),
    RefusalRow(
        Rule("node-labels", "Node labels have Kubernetes' syntax.", f"{_LABELS_PAGE}; AKS's words: Azure/AKS#1538"),
        when(new_labels_sound=False),
        errors.BadRequest,
        "properties.nodeLabels",
        "Node label '{label}' does not meet syntax and character specifications. Please see "
        "https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/ for more details.",
        "a key is [prefix/]name; name and value have at most 63 letters, digits, '-', '_', '.', a letter or digit at "
        "both ends",
    ),
    _parameter(
        "nodeTaints",
        Rule("node-taints", "Node taints have Kubernetes' syntax.", _TAINTS_PAGE),
        when(new_taints_sound=False),
        "The value of parameter agentPoolProfile.nodeTaints is invalid: '{taint}' is no taint.",
        "send key=value:effect or key:effect, key and value as in labels, effect one of " + ", ".join(TAINT_EFFECTS),
    ),
    _parameter(
        "nodeTaints",
        Rule("node-taints-unique", "The taints of a node differ in key or effect.", "Azure/AKS#1412"),
        when(new_taints_sound=True, new_taints_unique=False),
        "The value of parameter agentPoolProfile.nodeTaints is invalid: '{repeated}' stands there more than once.",
        "keep one taint with that key and effect",
    ),
)


def beyond_limits(
    pool: NodePool, request: NodePoolRequest, old: NodePool | None, sizes: Sequence[VmSize]
) -> list[Refusal]:
    """Return every limit the node pool would be beyond. `sizes` are those of its sizes the catalogue has."""
    families = sorted({size.family for size in sizes if size.family})
    diskless = _diskless(pool, old, sizes)
    facts = _facts(pool, request, old, families, diskless)
    words = {
        "name": pool.id.pool,
        "mode": pool.mode.value,
        "count": pool.count,
        "lowest": _lowest(pool),
        "low": pool.min_count,
        "high": pool.max_count,
        "os_disk": pool.os_disk_size_gb,
        "max_pods": pool.max_pods,
        "diskless": diskless[0].name if diskless else "",
        "vpmem": pool.vpmem_mib,
        "profiles": len(pool.scale),
        "families": ", ".join(families),
        "label": malformed_label(_labels(pool)),
        "taint": malformed_taint(_taints(pool)),
        "repeated": repeated_taint(_taints(pool)),
    }
    return [row.filled(words) for row in LIMIT_TABLE if row.condition.holds(facts)]


def _labels(pool: NodePool) -> Mapping[str, str | None]:
    return pool.sent.get("nodeLabels") or {}


def _taints(pool: NodePool) -> Sequence[str]:
    return pool.sent.get("nodeTaints") or ()


def _diskless(pool: NodePool, old: NodePool | None, sizes: Sequence[VmSize]) -> list[VmSize]:
    """The sizes that the node pool has not had so far and that cannot hold the OS disk it asks for."""
    if pool.os_disk_type != "Ephemeral":
        return []
    had = {profile.size for profile in old.scale} if old is not None else ()
    return [size for size in sizes if size.ephemeral_os_disk is False and size.name not in had]


def _surge(pool: NodePool) -> object:
    """The maxSurge that was said; the default is not."""
    return (pool.sent.get("upgradeSettings") or {}).get("maxSurge")


def _asks_for_surge(pool: NodePool) -> bool:
    return _surge(pool) not in (None, "", "0", "0%")


def _lowest(pool: NodePool) -> int:
    return 1 if pool.mode is Mode.SYSTEM else 0


def _facts(
    pool: NodePool,
    request: NodePoolRequest,
    old: NodePool | None,
    families: Sequence[str],
    diskless: Sequence[VmSize],
) -> LimitFacts:
    lowest, low, high = _lowest(pool), pool.min_count, pool.max_count
    in_order = low is not None and high is not None and lowest <= low <= high <= MAX_COUNT
    is_new_count = request.count is not None and (old is None or old.count != pool.count)
    becomes_system = old is None or old.mode is not pool.mode
    labels = {} if old is not None and _labels(old) == _labels(pool) else _labels(pool)
    taints = () if old is not None and _taints(old) == _taints(pool) else _taints(pool)
    return LimitFacts(
        version=KubernetesVersion.parse(pool.version),
        os_type=pool.os_type,
        pool_type=pool.pool_type,
        system=pool.mode is Mode.SYSTEM,
        spot=pool.priority is Priority.SPOT,
        zoned=bool(pool.zones),
        count_in_range=min(profile.count for profile in pool.scale) >= 0 and lowest <= pool.count <= MAX_COUNT,
        autoscaling=pool.autoscaling,
        bounds_in_order=in_order,
        new_count_in_bounds=not (in_order and is_new_count) or (low or 0) <= pool.count <= (high or 0),
        os_disk_in_range=0 <= pool.os_disk_size_gb <= MAX_OS_DISK_GB,
        new_sizes_hold_os_disk=not diskless,
        max_pods_in_range=PODS[0] <= pool.max_pods <= PODS[1],
        vpmem_in_range=pool.vpmem_mib is None
        or (VPMEM[0] <= pool.vpmem_mib <= VPMEM[1] and pool.vpmem_mib % VPMEM_STEP == 0),
        few_profiles=len(pool.scale) <= MAX_SCALE_PROFILES,
        one_family=len(families) <= 1,
        newly_stopped=pool.power is PowerState.STOPPED
        and (becomes_system or old is None or old.power is not pool.power),
        newly_unavailable=pool.upgrade.unavailable(100) > 0
        and (becomes_system or old is None or old.upgrade != pool.upgrade),
        new_surge=_asks_for_surge(pool) and (old is None or _surge(old) != _surge(pool)),
        new_labels_sound=malformed_label(labels) is None,
        new_taints_sound=malformed_taint(taints) is None,
        new_taints_unique=repeated_taint(taints) is None,
    )
