"""What may change on an existing node pool, and how.

Every property of a node pool has one row: it changes at once, by replacing machines, or never. A second
table refuses changes that are of the right kind but not possible from what there is.

Invariant: a machine is replaced exactly when a row of class ROLLS says so; `configuration_of` is made of them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from poolwright import errors
from poolwright.domain.kubernetes_version import KubernetesVersion
from poolwright.domain.node_pool import NodePool
from poolwright.domain.node_pool_kind import PoolType
from poolwright.domain.os_sku import OsType
from poolwright.domain.profile import Profile
from poolwright.domain.refusal import Refusal, RefusalRow
from poolwright.domain.rules import Condition, Rule, first_match, when
from poolwright.domain.size_name import disk_controllers
from poolwright.domain.surroundings import CatalogView, Surroundings
from poolwright.domain.vm_size import VmSize

RESIZE_API_VERSION: Final = "2026-01-02-preview"
_SPEC = "Azure/azure-rest-api-specs AgentPool.tsp"
_ONLY_ADD = "azure-cli 2.91: `az aks nodepool add` takes it, `update` does not"
_RESIZE_PAGE = "Resize node pools in AKS (resize-node-pool.md, preview from 2026-04-30)"


class Effect(Enum):
    """How a property changes."""

    AT_ONCE = "at once"
    ROLLS = "by replacing machines"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class ChangeRow:
    """A property of an existing node pool. `wire` is its path in a request.

    `attribute` is its name in `NodePool`; where empty, the property is only kept, and `default` is what it
    is when nobody sent it.
    """

    wire: str
    effect: Effect
    source: str
    attribute: str = ""
    default: Any = None


_AT_ONCE, _ROLLS, _NEVER = Effect.AT_ONCE, Effect.ROLLS, Effect.NEVER

CHANGES: Final = (
    ChangeRow("vmSize", _ROLLS, f"{_RESIZE_PAGE}; generation-2-vm.md (conflicts C1, C2)", "sizes"),
    ChangeRow("vmGeneration", _ROLLS, "generation-2-vm.md (conflict C2)", "generation"),
    ChangeRow("vpmemMiB", _ROLLS, "Poolwright; vPMEM is of Generation 2 (generation-2-vm.md)", "vpmem_mib"),
    ChangeRow("osSKU", _ROLLS, "upgrade-os-version.md (rule 45)", "os_sku"),
    ChangeRow("orchestratorVersion", _ROLLS, "upgrade-aks-node-pools-rolling.md", "version"),
    ChangeRow("nodeImageVersion", _ROLLS, "node-image-upgrade.md (rules 60, 61)", "node_image"),
    ChangeRow("enableFIPS", _ROLLS, "enable-fips-nodes.md", "fips"),
    ChangeRow("securityProfile.enableVTPM", _ROLLS, "use-trusted-launch.md, 2026-07 (rule 27)", "vtpm"),
    ChangeRow("securityProfile.enableSecureBoot", _ROLLS, "use-trusted-launch.md, 2026-07 (rule 27)", "secure_boot"),
    ChangeRow("kubeletConfig", _ROLLS, "Poolwright; AKS documents it for new node pools only", default={}),
    ChangeRow("linuxOSConfig", _ROLLS, "Poolwright; AKS documents it for new node pools only", default={}),
    ChangeRow("localDNSProfile", _ROLLS, "localdns-custom.md"),
    ChangeRow("creationData", _ROLLS, "node-pool-snapshot.md (az aks nodepool upgrade --snapshot-id)", "snapshot"),
    ChangeRow("count", _AT_ONCE, "scale-cluster.md", "count"),
    ChangeRow("virtualMachinesProfile.scale.manual", _AT_ONCE, "virtual-machines-node-pools.md (rule 53)", "scale"),
    ChangeRow("enableAutoScaling", _AT_ONCE, "cluster-autoscaler.md", "autoscaling"),
    ChangeRow("minCount", _AT_ONCE, "cluster-autoscaler.md", "min_count"),
    ChangeRow("maxCount", _AT_ONCE, "cluster-autoscaler.md", "max_count"),
    ChangeRow("scaleDownMode", _AT_ONCE, "scale-down-mode.md", "scale_down"),
    ChangeRow("mode", _AT_ONCE, "use-system-pools.md", "mode"),
    ChangeRow("powerState.code", _AT_ONCE, "start-stop-nodepools.md", "power"),
    ChangeRow("nodeLabels", _AT_ONCE, "use-labels.md", default={}),
    ChangeRow("nodeTaints", _AT_ONCE, "use-node-taints.md", default=[]),
    ChangeRow("tags", _AT_ONCE, "use-tags.md", default={}),
    ChangeRow("upgradeSettings", _AT_ONCE, "upgrade-aks-node-pools-rolling.md", "upgrade"),
    ChangeRow("spotMaxPrice", _AT_ONCE, _SPEC, default=-1.0),
    ChangeRow("networkProfile", _AT_ONCE, "use-node-public-ips.md (az aks nodepool update --allowed-host-ports)"),
    ChangeRow("securityProfile.sshAccess", _AT_ONCE, "manage-ssh-node-access.md", default="LocalUser"),
    ChangeRow("osType", _NEVER, _SPEC, "os_type"),
    ChangeRow("type", _NEVER, _SPEC, "pool_type"),
    ChangeRow("osDiskType", _NEVER, f"{_SPEC}: may not be changed after creation", "os_disk_type"),
    ChangeRow("osDiskSizeGB", _NEVER, _SPEC, "os_disk_size_gb"),
    ChangeRow("kubeletDiskType", _NEVER, _SPEC, default="OS"),
    ChangeRow("maxPods", _NEVER, _SPEC, "max_pods"),
    ChangeRow("availabilityZones", _NEVER, "create-node-pools.md (conflict C1)", "zones"),
    ChangeRow("vnetSubnetID", _NEVER, _SPEC, "subnet"),
    ChangeRow("podSubnetID", _NEVER, _SPEC),
    ChangeRow("hostGroupID", _NEVER, _SPEC, "host_group"),
    ChangeRow("proximityPlacementGroupID", _NEVER, _SPEC),
    ChangeRow("gpuInstanceProfile", _NEVER, _SPEC, "gpu_instance_profile"),
    ChangeRow("gpuProfile.driver", _NEVER, "use-nvidia-gpu.md", "gpu_driver"),
    ChangeRow("scaleSetPriority", _NEVER, "kubernetes-sigs/cluster-api-provider-azure#1925", "priority"),
    ChangeRow("workloadRuntime", _NEVER, "use-pod-sandboxing.md", "workload_runtime"),
    ChangeRow("enableEncryptionAtHost", _NEVER, "enable-host-encryption.md", default=False),
    ChangeRow("enableNodePublicIP", _NEVER, _SPEC, default=False),
    ChangeRow("nodePublicIPPrefixID", _NEVER, _SPEC),
    ChangeRow("scaleSetEvictionPolicy", _NEVER, "spot-node-pool.md", default="Delete"),
    ChangeRow("podIPAllocationMode", _NEVER, _SPEC, default="DynamicIndividual"),
    ChangeRow("enableUltraSSD", _NEVER, _ONLY_ADD, default=False),
    ChangeRow("capacityReservationGroupID", _NEVER, _ONLY_ADD),
    ChangeRow("messageOfTheDay", _NEVER, _ONLY_ADD),
    ChangeRow("windowsProfile.disableOutboundNat", _NEVER, _ONLY_ADD, default=False),
    ChangeRow("gatewayProfile.publicIPPrefixSize", _NEVER, _ONLY_ADD, default=31),
)


@dataclass(frozen=True, slots=True)
class Difference:
    """One property that a request changes, with its values as JSON."""

    row: ChangeRow
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class ChangeFacts:
    """A change as the refusal table sees it."""

    profile: Profile
    version: KubernetesVersion
    os_type: OsType
    pool_type: PoolType
    resize_is_gated: bool
    size_changes: bool
    generation_changes: bool
    os_sku_changes: bool
    version_changes: bool
    count_changes: bool
    architecture_changes: bool
    confidentiality_changes: bool
    controller_changes: bool
    replaces_machines: bool
    never_surges: bool
    cannot_start: bool


@dataclass(frozen=True, slots=True)
class WayRow:
    """How a node pool can be had as wanted where this one cannot become it."""

    rule: Rule
    condition: Condition
    way: str


# The first that holds stands in the remedies for {anew}.
WAYS: Final = (
    WayRow(
        Rule(
            "add-again",
            "A node pool of which no machine can start has no workload, and keeps the generation that cannot start.",
            f"{_RESIZE_PAGE} (rule 51, conflicts C2, C3)",
        ),
        when(cannot_start=True),
        "delete this node pool, no machine of which can start, and add it again as wanted: with the header "
        "UseWindowsGen2VM: true (az: --aks-custom-headers UseWindowsGen2VM=true), or on a size that offers "
        "Generation 1",
    ),
    WayRow(
        Rule("add-another", "What an existing node pool cannot become, a new one can be.", _RESIZE_PAGE),
        when(),
        "add a node pool with the wanted value, move the workload, then delete this one",
    ),
)
_NEW_POOL = "{anew}"
_SIZE = "properties.vmSize"
_NOT_ALLOWED = "Changing property 'properties.{wire}' is not allowed."

# Of the rows about one property the first that holds speaks.
REFUSED_CHANGES: Final = (
    RefusalRow(
        Rule(
            "resize-gate",
            f'In an api-version before "{RESIZE_API_VERSION}" the size cannot be changed.',
            f"{_RESIZE_PAGE} (rule 49); wording seen in Azure/bicep-registry-modules#7130",
        ),
        when(profile=Profile.AZURE_2026, pool_type=PoolType.SCALE_SETS, size_changes=True, resize_is_gated=True),
        errors.PropertyChangeNotAllowed,
        "agentPoolProfile.vmSize",
        'Changing property "agentPoolProfile.vmSize" is not allowed in an api-version before "'
        + RESIZE_API_VERSION
        + '".',
        f"send api-version {RESIZE_API_VERSION} or later, or {_NEW_POOL}",
    ),
    RefusalRow(
        Rule("resize-architecture", "The CPU architecture cannot be changed.", f"{_RESIZE_PAGE} (rules 36, 51)"),
        when(size_changes=True, architecture_changes=True),
        errors.PropertyChangeNotAllowed,
        _SIZE,
        "Changing property 'properties.vmSize' is not allowed. VM sizes '{before}' and '{after}' have different CPU "
        "architectures.",
        f"choose a size of the same architecture, or {_NEW_POOL}",
    ),
    RefusalRow(
        Rule(
            "resize-confidential",
            "A node pool moves neither to nor away from confidential computing.",
            f"use-cvm.md; {_RESIZE_PAGE} (rules 33, 51)",
        ),
        when(size_changes=True, confidentiality_changes=True),
        errors.PropertyChangeNotAllowed,
        _SIZE,
        "Changing property 'properties.vmSize' is not allowed. VM sizes '{before}' and '{after}' differ in "
        "confidential computing.",
        f"choose a size of the same kind, or {_NEW_POOL}",
    ),
    RefusalRow(
        Rule("resize-availability-set", "Availability set node pools keep their machines' kind.", _RESIZE_PAGE),
        when(pool_type=PoolType.AVAILABILITY_SET, size_changes=True),
        errors.PropertyChangeNotAllowed,
        _SIZE,
        "Changing property 'properties.vmSize' is not allowed. Node pools of type AvailabilitySet cannot be resized.",
        f"use type VirtualMachineScaleSets: {_NEW_POOL}",
    ),
    RefusalRow(
        Rule("availability-set", "Availability set node pools keep their machines' kind.", _RESIZE_PAGE),
        when(pool_type=PoolType.AVAILABILITY_SET, size_changes=False, replaces_machines=True),
        errors.PropertyChangeNotAllowed,
        "properties.type",
        "Machines of a node pool of type AvailabilitySet cannot be replaced by another kind.",
        f"use type VirtualMachineScaleSets: {_NEW_POOL}",
    ),
    RefusalRow(
        Rule(
            "resize-generation",
            "A resize does not cross hypervisor generations.",
            f"{_RESIZE_PAGE} (rule 51, conflict C2)",
        ),
        when(profile=Profile.AZURE_2026, pool_type=PoolType.SCALE_SETS, size_changes=True, generation_changes=True),
        errors.PropertyChangeNotAllowed,
        _SIZE,
        "Changing property 'properties.vmSize' is not allowed. The node pool is of Hypervisor Generation {number} and "
        "VM size '{after}' would make it Generation {new_number}.",
        f"choose a size that keeps the generation, or {_NEW_POOL}; profile documented does it in place",
    ),
    RefusalRow(
        Rule("resize-controller", "The type of disk controller cannot be changed.", f"{_RESIZE_PAGE} (rule 51)"),
        when(profile=Profile.AZURE_2026, pool_type=PoolType.SCALE_SETS, size_changes=True, controller_changes=True),
        errors.PropertyChangeNotAllowed,
        _SIZE,
        "Changing property 'properties.vmSize' is not allowed. VM sizes '{before}' and '{after}' have different disk "
        "controllers (SCSI and NVMe).",
        f"choose a size with the same disk controller, or {_NEW_POOL}; profile documented does it in place",
    ),
    RefusalRow(
        Rule("resize-alone", "A resize does not go together with an upgrade.", f"{_RESIZE_PAGE} (rule 51)"),
        when(profile=Profile.AZURE_2026, pool_type=PoolType.SCALE_SETS, size_changes=True, version_changes=True),
        errors.InvalidParameter,
        "properties.orchestratorVersion",
        "The VM size and the Kubernetes version of a node pool cannot be changed in one request.",
        "change one after the other",
    ),
    RefusalRow(
        Rule("resize-no-scale", "A resize does not go together with another count.", f"{_RESIZE_PAGE} (rule 51)"),
        when(profile=Profile.AZURE_2026, pool_type=PoolType.SCALE_SETS, size_changes=True, count_changes=True),
        errors.InvalidParameter,
        "properties.count",
        "The VM size and the count of a node pool cannot be changed in one request.",
        "change one after the other",
    ),
    RefusalRow(
        Rule("resize-surge", "A resize needs a surge.", f"{_RESIZE_PAGE} (rule 52)"),
        when(profile=Profile.AZURE_2026, pool_type=PoolType.SCALE_SETS, size_changes=True, never_surges=True),
        errors.InvalidParameter,
        "properties.upgradeSettings.maxSurge",
        "The VM size of a node pool cannot be changed with maxSurge 0.",
        "set maxSurge to at least 1",
    ),
    RefusalRow(
        Rule("generation-kept", "The generation of a node pool stays.", f"{_RESIZE_PAGE} (rule 51, conflict C2)"),
        when(profile=Profile.AZURE_2026, size_changes=False, generation_changes=True),
        errors.PropertyChangeNotAllowed,
        "properties.vmGeneration",
        "Changing property 'properties.vmGeneration' is not allowed. The node pool is of Hypervisor Generation "
        "{number} and this would make it Generation {new_number}.",
        f"{_NEW_POOL}; profile documented does it in place",
    ),
    RefusalRow(
        Rule("windows-os-sku", "The OS SKU of a Windows node pool stays.", "upgrade-os-version.md (rule 45)"),
        when(os_type=OsType.WINDOWS, os_sku_changes=True),
        errors.PropertyChangeNotAllowed,
        "properties.osSKU",
        "Changing property 'properties.osSKU' is not allowed.",
        _NEW_POOL,
    ),
)


def differences(old: NodePool, new: NodePool) -> list[Difference]:
    """Return every property that differs, in the order of the table."""
    return list(_differences(old, new))


def refused(old: NodePool, new: NodePool, surroundings: Surroundings) -> list[Refusal]:
    """Return why the change is refused: every property at fault, in AKS's words where it has them."""
    changed = differences(old, new)
    refusals: list[Refusal] = []
    facts = _facts(old, new, changed, surroundings)
    words = {
        "before": old.vm_size,
        "after": _new_size(old, new),
        "number": str(old.generation.number),
        "new_number": str(new.generation.number),
        "anew": anew(facts),
    }
    spoken: set[str] = set()
    for row in REFUSED_CHANGES:
        subject = row.target.rpartition(".")[2]
        if subject not in spoken and row.condition.holds(facts):
            spoken.add(subject)
            refusals.append(row.filled(words, _from_to(changed, subject)))
    never = [difference for difference in changed if difference.row.effect is Effect.NEVER]
    return refusals + [_never(difference, words["anew"]) for difference in never]


def anew(facts: ChangeFacts) -> str:
    """Return how to have a node pool as wanted that this one cannot become."""
    row = first_match(WAYS, facts)
    assert row is not None
    return row.way


def configuration_of(pool: NodePool) -> str:
    """Return the digest of everything machines are replaced for, except the size, which each machine has itself."""
    values = {row.wire: value_of(pool, row) for row in CHANGES if row.effect is Effect.ROLLS and row.wire != "vmSize"}
    # What nobody set is left out, so that a row added to the table makes no machine outdated.
    values = {wire: value for wire, value in values.items() if value is not None}
    return hashlib.sha256(json.dumps(values, sort_keys=True, default=str).encode()).hexdigest()[:16]


def rolls(changed: Sequence[Difference]) -> list[Difference]:
    """Return those of the differences that replace machines."""
    return [difference for difference in changed if difference.row.effect is Effect.ROLLS]


def controller_change(old: NodePool, new: NodePool, catalog: CatalogView) -> tuple[str, str] | None:
    """Return the disk controllers before and after when no old one is among the new ones, else None."""
    before, after = (disk_controllers(name, catalog.size(name)) for name in (old.vm_size, _new_size(old, new)))
    if before is None or after is None or before & after:
        return None
    return "/".join(sorted(before)), "/".join(sorted(after))


def carried(old: Mapping[str, Any], sent: Mapping[str, Any]) -> dict[str, Any]:
    """Return the properties sent, with those kept that cannot change at once and were left out."""
    kept = dict(sent)
    for row in CHANGES:
        name = row.wire.partition(".")[0]
        if row.effect is not Effect.AT_ONCE and not row.attribute and name not in kept and name in old:
            kept[name] = old[name]
    return kept


def value_of(pool: NodePool, row: ChangeRow) -> Any:
    """Return the property as JSON, so that a mere difference of order, or of case in an ARM ID, is none."""
    match row.attribute:
        case "":
            value: Any = pool.sent
            for part in row.wire.split("."):
                value = value.get(part) if isinstance(value, Mapping) else None
            value = row.default if value is None else value
        case "sizes":
            value = sorted({profile.size for profile in pool.scale})
            value = value[0] if len(value) == 1 else value
        case "scale":
            if pool.pool_type is not PoolType.VIRTUAL_MACHINES:
                return None
            value = [{"size": profile.size, "count": profile.count} for profile in pool.scale]
        case "upgrade":
            settings = pool.upgrade
            value = {
                "maxSurge": settings.max_surge,
                "maxUnavailable": settings.max_unavailable,
                "drainTimeoutInMinutes": settings.drain_timeout_minutes,
                "nodeSoakDurationInMinutes": settings.node_soak_minutes,
                "undrainableNodeBehavior": settings.undrainable.value,
            }
        case "zones":
            value = sorted(pool.zones)
        case attribute:
            value = getattr(pool, attribute)
    if isinstance(value, str) and value.startswith("/"):
        return value.lower()
    return value.value if isinstance(value, Enum) else value


def _differences(old: NodePool, new: NodePool) -> Iterator[Difference]:
    for row in CHANGES:
        before, after = value_of(old, row), value_of(new, row)
        if before != after:
            yield Difference(row, before, after)


def _facts(old: NodePool, new: NodePool, changed: Sequence[Difference], surroundings: Surroundings) -> ChangeFacts:
    names = {difference.row.wire for difference in changed}
    added = [surroundings.catalog.size(profile.size) for profile in new.scale]
    there = [surroundings.catalog.size(profile.size) for profile in old.scale]
    kinds = {difference.row.wire for difference in rolls(changed)} - {"orchestratorVersion", "nodeImageVersion"}
    return ChangeFacts(
        profile=surroundings.profile,
        version=KubernetesVersion.parse(new.version),
        os_type=old.os_type,
        pool_type=old.pool_type,
        resize_is_gated=surroundings.api_version.lower() < RESIZE_API_VERSION,
        size_changes="vmSize" in names,
        generation_changes="vmGeneration" in names,
        os_sku_changes="osSKU" in names,
        version_changes="orchestratorVersion" in names,
        count_changes=old.count != new.count,
        architecture_changes=_differ(there, added, "architecture"),
        confidentiality_changes=_differ(there, added, "is_confidential"),
        controller_changes=controller_change(old, new, surroundings.catalog) is not None,
        replaces_machines=bool(kinds),
        never_surges=new.upgrade.surge(100) == 0,
        # What succeeded once has machines; what failed by a lack of something can be repaired.
        cannot_start=old.late_failure is not None and old.good is None,
    )


def _differ(there: Sequence[VmSize | None], added: Sequence[VmSize | None], attribute: str) -> bool:
    """Whether a size has another kind than those there are; a size that has left the catalogue tells nothing."""
    before = {getattr(size, attribute) for size in there if size is not None}
    after = {getattr(size, attribute) for size in added if size is not None}
    return bool(before) and not after <= before


def _new_size(old: NodePool, new: NodePool) -> str:
    before = {profile.size for profile in old.scale}
    return next((profile.size for profile in new.scale if profile.size not in before), new.vm_size)


def _never(difference: Difference, remedy: str) -> Refusal:
    row = difference.row
    return Refusal(
        errors.PropertyChangeNotAllowed,
        _NOT_ALLOWED.format(wire=row.wire),
        f"properties.{row.wire}",
        remedy,
        Rule(f"never-{row.wire}", f"{row.wire} of an existing node pool cannot be changed.", row.source),
        _values(difference),
    )


def _from_to(changed: Sequence[Difference], subject: str) -> dict[str, Any]:
    return next((_values(each) for each in changed if each.row.wire == subject), {})


def _values(difference: Difference) -> dict[str, Any]:
    pairs = (("from", difference.before), ("to", difference.after))
    return {name: value for name, value in pairs if value is not None}
