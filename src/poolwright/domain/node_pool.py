"""Node pools: what is asked for, what it becomes, and what may change afterwards.

`settle` turns a decoded PUT, the node pool as it is, and the surroundings into the node pool as it
will be, or raises one error that names every problem.

Invariant: the generation is resolved anew only when size, OS SKU, Trusted Launch, FIPS or the wish
changes; otherwise it stays (docs/compatibility.md, "The wish").
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any, Final, Protocol

from poolwright import errors
from poolwright.domain.cluster import Cluster, ProvisioningState
from poolwright.domain.generation import Generation
from poolwright.domain.image_resolution import (
    ImageRequest,
    Refusal,
    Resolution,
    ResolutionWarning,
    admit,
    default_os_sku,
    refuse_cluster,
    refuse_name,
    resolve,
)
from poolwright.domain.kubernetes_version import KubernetesVersion
from poolwright.domain.machine import Witness, assign_sizes, scale_set_name
from poolwright.domain.node_image import NodeImage
from poolwright.domain.node_pool_kind import Mode, PoolType, PowerState, Priority
from poolwright.domain.operation import OperationError
from poolwright.domain.os_sku import OsSku, OsType
from poolwright.domain.profile import Profile
from poolwright.domain.resource_id import NodePoolId
from poolwright.domain.rules import Rule
from poolwright.domain.size_name import alternatives, nearest_names
from poolwright.domain.vm_size import VmSize
from poolwright.domain.wish import Absent, SettledWish, Wish, WishConflict, settle_wish

MAX_COUNT: Final = 1000
MAX_SCALE_PROFILES: Final = 5
MAX_ALTERNATIVES: Final = 5
DEFAULT_OS_DISK_GB: Final = 128
# With Azure CNI Overlay, what az creates today (https://learn.microsoft.com/azure/aks/quotas-skus-regions).
DEFAULT_MAX_PODS: Final = 250
# The last size AKS documented as the fixed default, before May 2025 (quotas-skus-regions.md, rule 59).
DEFAULT_SIZE: Final = "Standard_DS2_v2"
# AKS supports node pools up to three minor versions behind the control plane since 1.28
# (https://learn.microsoft.com/azure/aks/supported-kubernetes-versions).
MAX_VERSION_SKEW: Final = 3


@dataclass(frozen=True, slots=True)
class ScaleProfile:
    """So many machines of one size. A VirtualMachines pool may have several."""

    size: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NodePoolRequest:
    """A PUT of a node pool as decoded. None means not given.

    `sent` is all of its properties and `beside` what stood beside them, both without read-only parts.
    """

    sent: Mapping[str, Any]
    beside: Mapping[str, Any] = field(default_factory=dict)
    vm_generation: Generation | Absent | None
    vm_size: str | None = None
    os_type: OsType | None = None
    os_sku: OsSku | None = None
    count: int | None = None
    kubernetes_version: str | None = None
    mode: Mode | None = None
    pool_type: PoolType | None = None
    priority: Priority | None = None
    power: PowerState | None = None
    fips: bool | None = None
    vtpm: bool | None = None
    secure_boot: bool | None = None
    workload_runtime: str | None = None
    gpu_driver: str | None = None
    autoscaling: bool | None = None
    min_count: int | None = None
    max_count: int | None = None
    os_disk_type: str | None = None
    os_disk_size_gb: int | None = None
    max_pods: int | None = None
    zones: tuple[str, ...] | None = None
    subnet: str | None = None
    host_group: str | None = None
    gpu_instance_profile: str | None = None
    node_image: str | None = None
    manual_scale: tuple[ScaleProfile, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NodePool:
    """A node pool as the service keeps it: the goal, the decision behind it, and how far it is.

    `observed` counts machines by observed generation (`V1`, `V2`, `unknown`).
    """

    id: NodePoolId
    sent: Mapping[str, Any]
    beside: Mapping[str, Any] = field(default_factory=dict)
    mode: Mode
    os_type: OsType
    os_sku: OsSku
    scale: tuple[ScaleProfile, ...]
    wanted_version: str
    version: str
    pool_type: PoolType
    priority: Priority
    power: PowerState
    fips: bool
    vtpm: bool
    secure_boot: bool
    workload_runtime: str
    gpu_driver: str | None
    autoscaling: bool
    min_count: int | None
    max_count: int | None
    os_disk_type: str
    os_disk_size_gb: int
    max_pods: int
    zones: tuple[str, ...]
    subnet: str | None
    host_group: str | None
    gpu_instance_profile: str | None
    wish: Wish | None
    generation: Generation
    image_definition: str
    node_image: str
    rule: Rule
    warnings: tuple[ResolutionWarning, ...]
    profile: Profile
    engine: str
    late_failure: OperationError | None
    etag: str
    state: ProvisioningState
    operation_id: str | None = None
    error: OperationError | None = None
    observed: Mapping[str, int] = field(default_factory=dict)
    observed_by: Witness | None = None

    @property
    def count(self) -> int:
        return sum(profile.count for profile in self.scale)

    @property
    def vm_size(self) -> str:
        """The size of the first scale profile; scale-set pools have one."""
        return self.scale[0].size


class VersionsView(Protocol):
    """What the decision reads of the Kubernetes versions."""

    def find(self, text: str) -> KubernetesVersion | None: ...


class CatalogView(Protocol):
    """What the decision reads of the catalogue."""

    @property
    def kubernetes(self) -> VersionsView: ...

    @property
    def images(self) -> tuple[NodeImage, ...]: ...
    def size(self, name: str) -> VmSize | None: ...
    def sizes_in(self, location: str) -> tuple[VmSize, ...]: ...
    def offered_in(self, size: VmSize, location: str) -> bool: ...
    def zones(self, size: VmSize, location: str) -> tuple[str, ...]: ...
    def assumed(self, size: VmSize, location: str) -> frozenset[str]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a node pool's admission depends on besides the request."""

    profile: Profile
    engine: str
    catalog: CatalogView
    cluster: Cluster
    subscription: str
    api_version: str
    target: str = "properties"


@dataclass(frozen=True, slots=True)
class ChangeRow:
    """A property that an existing node pool keeps. `wire` is its path in a request."""

    attribute: str
    wire: str
    source: str


# What an update may not change. Sizes, OS SKU, generation and security features follow with change in place.
UNCHANGEABLE: Final = (
    ChangeRow("vm_size", "vmSize", "create-node-pools.md (conflict C1)"),
    ChangeRow("os_type", "osType", "Azure/azure-rest-api-specs AgentPool.tsp"),
    ChangeRow("os_sku", "osSKU", "rule 45"),
    ChangeRow("pool_type", "type", "Azure/azure-rest-api-specs AgentPool.tsp"),
    ChangeRow("os_disk_type", "osDiskType", "may not be changed after creation (AgentPool.tsp)"),
    ChangeRow("os_disk_size_gb", "osDiskSizeGB", "Azure/azure-rest-api-specs AgentPool.tsp"),
    ChangeRow("max_pods", "maxPods", "Azure/azure-rest-api-specs AgentPool.tsp"),
    ChangeRow("zones", "availabilityZones", "create-node-pools.md (conflict C1)"),
    ChangeRow("subnet", "vnetSubnetID", "Azure/azure-rest-api-specs AgentPool.tsp"),
    ChangeRow("host_group", "hostGroupID", "Azure/azure-rest-api-specs AgentPool.tsp"),
    ChangeRow("gpu_instance_profile", "gpuInstanceProfile", "Azure/azure-rest-api-specs AgentPool.tsp"),
    ChangeRow("priority", "scaleSetPriority", "kubernetes-sigs/cluster-api-provider-azure#1925"),
    ChangeRow("fips", "enableFIPS", "enable-fips-nodes.md"),
    ChangeRow("vtpm", "securityProfile.enableVTPM", "use-trusted-launch.md (rule 27: follows with change in place)"),
    ChangeRow(
        "secure_boot",
        "securityProfile.enableSecureBoot",
        "use-trusted-launch.md (rule 27: follows with change in place)",
    ),
    ChangeRow("workload_runtime", "workloadRuntime", "use-pod-sandboxing.md"),
    ChangeRow("generation", "vmGeneration", "generation-2-vms.md (conflict C2: follows with change in place)"),
)

_CHANGE_REMEDY = (
    "changing it in place is not offered yet: add a node pool with the wanted value, move the workload, "
    "then delete this one"
)
_RESIZE_API_VERSION = "2026-01-02-preview"


def settle(
    pool_id: NodePoolId,
    request: NodePoolRequest,
    old: NodePool | None,
    surroundings: Surroundings,
    *,
    header: bool | None,
    etag: str,
) -> NodePool:
    """Return the node pool a PUT leads to.

    `header` is the value of UseWindowsGen2VM, None when absent. The result is `Creating` or
    `Updating`. Raises one `InvalidRequest`; where there are several problems, the first carries the
    others as `details`.
    """
    problems: list[errors.PoolwrightError] = []
    os_type = request.os_type or (old.os_type if old else OsType.LINUX)
    settled = _wish(request, old, os_type, surroundings, problems, header=header)
    version, wanted_version = _version(request, old, surroundings, problems)
    pool_type = request.pool_type or (old.pool_type if old else PoolType.SCALE_SETS)
    scale = _scale(request, old, pool_type, surroundings, problems)
    # Without a wish, a version and sizes that make sense nothing can be resolved; nor for an OS that cannot be had.
    is_resolvable = not problems and (old is None or old.os_type is os_type)
    pool = _goal(pool_id, request, old, os_type, pool_type, scale, version, wanted_version, settled.wish, surroundings)
    pool = replace(pool, etag=etag)
    problems += _name_problems(pool)
    problems += _number_problems(pool, request, old)
    problems += _scale_set_problems(pool, surroundings)
    problems += _image_problems(request, old)
    problems += _windows_profile_problems(pool, surroundings)
    refusals: list[errors.PoolwrightError] = []
    if is_resolvable and (old is None or _resolved_anew(old, pool)):
        pool = _resolved(pool, request, old, surroundings, refusals, header_ignored=settled.header_ignored)
    elif is_resolvable and old is not None:
        pool = _kept(pool, request, old, surroundings, refusals, header_ignored=settled.header_ignored)
    if old is not None:
        problems += _changes(old, pool, surroundings)
    problems += refusals
    if problems:
        raise errors.joined([_retarget(problem, surroundings) for problem in problems])
    return pool


def assigned_sizes(pool: NodePool, present: Mapping[int, str]) -> dict[int, str]:
    """Return ordinal -> size of the machines the pool wants, given those there are."""
    return assign_sizes(present, [(profile.size, profile.count) for profile in pool.scale])


def image_request(
    pool: NodePool, size: VmSize, version: KubernetesVersion, *, os_sku: OsSku | None, creating: bool
) -> ImageRequest:
    """Return what the resolution of this node pool depends on."""
    return ImageRequest(
        profile=pool.profile,
        os_type=pool.os_type,
        os_sku=os_sku,
        version=version,
        size=size,
        fips=pool.fips,
        vtpm=pool.vtpm,
        secure_boot=pool.secure_boot,
        workload_runtime=pool.workload_runtime,
        gpu_driver=pool.gpu_driver,
        wish=pool.wish,
        pool_type=pool.pool_type,
        mode=pool.mode,
        creating=creating,
    )


def error_of(refusal: Refusal, suggestions: Sequence[VmSize] = ()) -> errors.PoolwrightError:
    """Return the error a refusal becomes, with its rule, remedy and alternative sizes as information."""
    return refusal.error_type(
        refusal.message,
        target=refusal.target,
        remedy=refusal.remedy,
        information={
            "rule": {"id": refusal.rule.id, "text": refusal.rule.text, "source": refusal.rule.source},
            "alternatives": [size.name for size in suggestions],
        },
    )


def _wish(
    request: NodePoolRequest,
    old: NodePool | None,
    os_type: OsType,
    surroundings: Surroundings,
    problems: list[errors.PoolwrightError],
    *,
    header: bool | None,
) -> SettledWish:
    stored = old.wish if old else None
    try:
        return settle_wish(
            stored,
            header=header,
            vm_generation=request.vm_generation,
            os_type=os_type,
            profile=surroundings.profile,
        )
    except WishConflict as conflict:
        problems.append(
            errors.InvalidParameter(
                str(conflict),
                target="properties.vmGeneration",
                remedy="send only one of the two, or the same generation in both",
            )
        )
        return SettledWish(stored)


def _version(
    request: NodePoolRequest,
    old: NodePool | None,
    surroundings: Surroundings,
    problems: list[errors.PoolwrightError],
) -> tuple[KubernetesVersion, str]:
    """The full version and the text shown for it. Not given: a new pool takes the cluster's, an old one keeps its."""
    cluster = surroundings.cluster
    control_plane = KubernetesVersion.parse(cluster.version)
    wanted = request.kubernetes_version
    if not wanted or (old is not None and wanted == old.wanted_version):
        if old is not None:
            return KubernetesVersion.parse(old.version), old.wanted_version
        return control_plane, cluster.wanted_version
    target = f"{surroundings.target}.orchestratorVersion"
    version = surroundings.catalog.kubernetes.find(wanted)
    if version is None:
        problems.append(unsupported_version(wanted, target))
        return control_plane, cluster.wanted_version
    if "." not in wanted.partition(".")[2] and version.release == control_plane.release:
        version = min(version, control_plane)
    if version > control_plane:
        problems.append(
            errors.InvalidAgentPoolOrchestratorVersion(
                f"Node pool version {version} and control plane version {control_plane} are incompatible: "
                "a node pool cannot be newer than its control plane.",
                target=target,
                remedy="upgrade the control plane first: az aks upgrade --control-plane-only",
            )
        )
    elif control_plane.release.minor - version.release.minor > MAX_VERSION_SKEW:
        problems.append(
            errors.InvalidAgentPoolOrchestratorVersion(
                f"Node pool version {version} and control plane version {control_plane} are incompatible: "
                f"a node pool can be at most {MAX_VERSION_SKEW} minor versions older.",
                target=target,
                remedy=f"choose a version from {control_plane.release.major}."
                f"{control_plane.release.minor - MAX_VERSION_SKEW} to {control_plane}",
            )
        )
    if old is not None and version < KubernetesVersion.parse(old.version):
        problems.append(
            errors.AgentPoolUpgradeVersionNotAllowed(
                f"Node pool '{old.id.pool}' runs Kubernetes {old.version} and cannot be moved back to {version}.",
                target=target,
                remedy=f"choose a version from {old.version} to {control_plane}",
            )
        )
    return version, wanted


def unsupported_version(wanted: str, target: str) -> errors.AgentPoolK8sVersionNotSupported:
    """Return the refusal of an unknown Kubernetes version, in AKS's words."""
    return errors.AgentPoolK8sVersionNotSupported(
        f"Version {wanted} is not supported in this region. Please use [az aks get-versions] command to get the "
        "supported version list in this region. For more information, please check "
        "https://aka.ms/supported-version-list",
        target=target,
        remedy="choose a version `az aks get-versions` lists",
    )


def _scale(
    request: NodePoolRequest,
    old: NodePool | None,
    pool_type: PoolType,
    surroundings: Surroundings,
    problems: list[errors.PoolwrightError],
) -> tuple[ScaleProfile, ...]:
    """The wanted sizes and counts, with the sizes in the catalogue's spelling."""
    if pool_type is PoolType.VIRTUAL_MACHINES and request.manual_scale:
        wanted = request.manual_scale
    elif pool_type is PoolType.VIRTUAL_MACHINES and old is not None and not request.vm_size:
        wanted = old.scale
    else:
        count = request.count if request.count is not None else (old.count if old else 1)
        wanted = (ScaleProfile(request.vm_size or (old.vm_size if old else DEFAULT_SIZE), count),)
    # A size the pool has already stays usable when the catalogue no longer offers it.
    spelled = {profile.size.lower(): profile.size for profile in old.scale} if old else {}
    settled = []
    for profile in wanted:
        size = surroundings.catalog.size(profile.size)
        name = spelled.get(profile.size.lower())
        if name is None and size is not None and surroundings.catalog.offered_in(size, surroundings.cluster.location):
            name = size.name
        if name is None:
            problems.append(_size_not_supported(profile.size, surroundings))
        settled.append(ScaleProfile(name or profile.size, profile.count))
    return tuple(settled)


def _size_not_supported(name: str, surroundings: Surroundings) -> errors.PoolwrightError:
    location = surroundings.cluster.location
    offered = surroundings.catalog.sizes_in(location)
    near = nearest_names(name, offered)
    listed = ",".join(size.name.lower() for size in near or offered[:5])
    return errors.VMSizeNotSupported(
        f"Virtual Machine size: '{name}' is not supported for subscription {surroundings.subscription} in location "
        f"'{location}'. The available VM sizes are '{listed},...'",
        target="properties.vmSize",
        remedy=f"choose a size `az vm list-skus --location {location}` lists"
        + (f"; nearest: {', '.join(size.name for size in near)}" if near else ""),
        information={"alternatives": [size.name for size in near]},
    )


def _goal(
    pool_id: NodePoolId,
    request: NodePoolRequest,
    old: NodePool | None,
    os_type: OsType,
    pool_type: PoolType,
    scale: tuple[ScaleProfile, ...],
    version: KubernetesVersion,
    wanted_version: str,
    wish: Wish | None,
    surroundings: Surroundings,
) -> NodePool:
    """The node pool before its generation is resolved: given values, else the old ones, else AKS's defaults."""

    def value(name: str, default: Any) -> Any:
        given = getattr(request, name)
        if given is not None:
            return given
        return getattr(old, name) if old is not None else default

    profile = surroundings.profile
    os_sku = value("os_sku", None) or default_os_sku(os_type, version, profile)
    autoscaling = bool(request.autoscaling)
    return NodePool(
        id=old.id if old else pool_id,
        sent=request.sent,
        beside=request.beside,
        mode=value("mode", Mode.USER),
        os_type=os_type,
        os_sku=os_sku,
        scale=scale,
        wanted_version=wanted_version,
        version=str(version),
        pool_type=pool_type,
        priority=value("priority", Priority.REGULAR),
        power=value("power", PowerState.RUNNING),
        fips=value("fips", _fips_by_default(os_sku)),
        vtpm=value("vtpm", False),
        secure_boot=value("secure_boot", False),
        workload_runtime=value("workload_runtime", "OCIContainer"),
        gpu_driver=value("gpu_driver", None),
        autoscaling=autoscaling,
        min_count=request.min_count if autoscaling else None,
        max_count=request.max_count if autoscaling else None,
        os_disk_type=value("os_disk_type", "Managed"),
        os_disk_size_gb=value("os_disk_size_gb", None) or DEFAULT_OS_DISK_GB,
        max_pods=value("max_pods", None) or DEFAULT_MAX_PODS,
        zones=value("zones", ()),
        subnet=value("subnet", None),
        host_group=value("host_group", None),
        gpu_instance_profile=value("gpu_instance_profile", None),
        wish=wish,
        generation=old.generation if old else Generation.V1,
        image_definition=old.image_definition if old else "",
        node_image=old.node_image if old else "",
        rule=old.rule if old else Rule("", "", ""),
        warnings=(),
        profile=profile,
        engine=surroundings.engine,
        late_failure=None,
        etag="",
        state=ProvisioningState.UPDATING if old else ProvisioningState.CREATING,
        observed=old.observed if old else {},
        observed_by=old.observed_by if old else None,
    )


def _fips_by_default(os_sku: OsSku) -> bool:
    """Windows Server 2022 has FIPS on by default (enable-fips-nodes.md, rule 39)."""
    return os_sku is OsSku.WINDOWS_2022


def _name_problems(pool: NodePool) -> list[errors.PoolwrightError]:
    refusal = refuse_name(pool.id.pool, pool.os_type)
    return [error_of(refusal)] if refusal is not None else []


def _image_problems(request: NodePoolRequest, old: NodePool | None) -> list[errors.PoolwrightError]:
    """The node image version is read-only; a changed one is a rollback, in AKS's words (rule 60)."""
    wanted = request.node_image
    if old is None or wanted is None or wanted.lower() in ("latest", old.node_image.lower()):
        return []
    return [
        errors.InvalidParameter(
            f"NodeImageVersion '{wanted}' is not accepted. NodeImageVersion can only be current version "
            f"'{old.node_image}' or 'latest'",
            target="properties.nodeImageVersion",
            remedy="leave nodeImageVersion out; rolling back to an older node image is not offered yet",
        )
    ]


def _number_problems(pool: NodePool, request: NodePoolRequest, old: NodePool | None) -> list[errors.PoolwrightError]:
    """Counts and bounds (rule 55 and AKS autoscaler rules)."""
    problems: list[errors.PoolwrightError] = []

    def refuse(message: str, target: str, remedy: str) -> None:
        problems.append(errors.InvalidParameter(message, target=f"properties.{target}", remedy=remedy))

    lowest = 1 if pool.mode is Mode.SYSTEM else 0
    counts = [profile.count for profile in pool.scale]
    if min(counts) < 0 or not lowest <= pool.count <= MAX_COUNT:
        refuse(
            f"The value of parameter agentPoolProfile.count is invalid: {pool.count}. "
            f"A {pool.mode.value} node pool has {lowest} to {MAX_COUNT} nodes.",
            "count",
            f"choose a count from {lowest} to {MAX_COUNT}",
        )
    if pool.mode is Mode.SYSTEM and pool.priority is Priority.SPOT:
        problems.append(
            errors.SystemPoolMustBeRegular(
                f"System node pools must have priority Regular; '{pool.id.pool}' asks for Spot.",
                target="properties.scaleSetPriority",
                remedy="use mode User for Spot node pools",
            )
        )
    if pool.autoscaling:
        low, high = pool.min_count, pool.max_count
        if low is None or high is None or not lowest <= low <= high <= MAX_COUNT:
            refuse(
                f"With enableAutoScaling, minCount and maxCount are needed with {lowest} <= minCount <= maxCount <= "
                f"{MAX_COUNT}; got minCount {low} and maxCount {high}.",
                "minCount",
                "send both bounds",
            )
        elif not low <= pool.count <= high and request.count is not None and (old is None or old.count != pool.count):
            refuse(
                f"The count {pool.count} is outside minCount {low} and maxCount {high}.",
                "count",
                f"choose a count from {low} to {high}",
            )
    if not 0 <= pool.os_disk_size_gb <= 2048:
        refuse(
            f"The value of parameter agentPoolProfile.osDiskSizeGB is invalid: {pool.os_disk_size_gb}. "
            "It is 0 (the default of the size) to 2048.",
            "osDiskSizeGB",
            "choose a size from 0 to 2048",
        )
    if not 10 <= pool.max_pods <= 250:
        refuse(
            f"The value of parameter agentPoolProfile.maxPods is invalid: {pool.max_pods}. It is 10 to 250.",
            "maxPods",
            "choose a number from 10 to 250",
        )
    return problems


def _scale_set_problems(pool: NodePool, surroundings: Surroundings) -> list[errors.PoolwrightError]:
    """What a pool of type VirtualMachines cannot have that scale sets can, and its own limits (rule 53)."""
    if pool.pool_type is not PoolType.VIRTUAL_MACHINES:
        return []
    problems: list[errors.PoolwrightError] = []

    def refuse(message: str, target: str, remedy: str) -> None:
        problems.append(errors.InvalidParameter(message, target=f"properties.{target}", remedy=remedy))

    if pool.os_type is OsType.WINDOWS:
        refuse(
            "Node pools of type VirtualMachines do not support osType Windows.",
            "type",
            "use type VirtualMachineScaleSets",
        )
    if pool.zones:
        refuse(
            "Node pools of type VirtualMachines do not support availabilityZones.",
            "availabilityZones",
            "leave availabilityZones out, or use type VirtualMachineScaleSets",
        )
    if len(pool.scale) > MAX_SCALE_PROFILES:
        refuse(
            f"A VirtualMachines node pool has at most {MAX_SCALE_PROFILES} scale profiles; got {len(pool.scale)}.",
            "virtualMachinesProfile.scale.manual",
            "use fewer profiles",
        )
    sizes = [surroundings.catalog.size(profile.size) for profile in pool.scale]
    families = sorted({size.family for size in sizes if size is not None and size.family})
    if len(families) > 1:
        refuse(
            f"The sizes of a VirtualMachines node pool are of one family; these are of {', '.join(families)}.",
            "virtualMachinesProfile.scale.manual",
            "choose sizes of one family",
        )
    return problems


def _windows_profile_problems(pool: NodePool, surroundings: Surroundings) -> list[errors.PoolwrightError]:
    refusal = refuse_cluster(pool.os_type, has_windows_profile=surroundings.cluster.has_windows_profile)
    return [error_of(refusal)] if refusal is not None else []


def _resolved_anew(old: NodePool, new: NodePool) -> bool:
    return (
        {profile.size for profile in old.scale} != {profile.size for profile in new.scale}
        or old.os_sku is not new.os_sku
        or (old.vtpm, old.secure_boot, old.fips) != (new.vtpm, new.secure_boot, new.fips)
        or old.wish != new.wish
    )


def _resolved(
    pool: NodePool,
    request: NodePoolRequest,
    old: NodePool | None,
    surroundings: Surroundings,
    problems: list[errors.PoolwrightError],
    *,
    header_ignored: bool,
) -> NodePool:
    """The pool with generation, image, rule and warnings decided; problems are added to the list."""
    catalog, location = surroundings.catalog, surroundings.cluster.location
    resolutions: list[Resolution] = []
    warnings: list[ResolutionWarning] = []
    problems += _admission_problems(pool, request, old, surroundings)
    for size, asked in _asked(pool, request, old, surroundings):
        outcome = resolve(asked, catalog.images, vmss=scale_set_name(pool.id, pool.os_type))
        if isinstance(outcome, Refusal):
            problems.append(error_of(outcome, suggest(outcome, asked, catalog, location)))
        else:
            resolutions.append(outcome)
        problems += _zone_problems(pool, size, surroundings)
        warnings += _assumptions(pool, size, surroundings)
    if len({resolution.image.version_string for resolution in resolutions}) > 1:
        problems.append(
            errors.InvalidParameter(
                "The sizes of a VirtualMachines node pool must all use the same node image; these would use "
                + ", ".join(sorted({resolution.image.version_string for resolution in resolutions}))
                + ".",
                target="properties.virtualMachinesProfile.scale.manual",
                remedy="choose sizes of one architecture that offer the same generation",
            )
        )
    if not resolutions and not problems:
        problems.append(_size_not_supported(pool.vm_size, surroundings))
    if problems:
        return pool
    resolution = resolutions[0]
    late = resolution.late_failure
    return replace(
        pool,
        generation=resolution.generation,
        image_definition=resolution.image.definition,
        node_image=resolution.image.version_string,
        rule=resolution.rule,
        warnings=(*resolution.warnings, *warnings, *_header_warning(header_ignored)),
        late_failure=OperationError(late.code, late.message, late.target, late.remedy) if late else None,
    )


def _admission_problems(
    pool: NodePool, request: NodePoolRequest, old: NodePool | None, surroundings: Surroundings
) -> list[errors.PoolwrightError]:
    """What AKS refuses for a pool of this mode and size, whatever its image."""
    catalog, location = surroundings.catalog, surroundings.cluster.location
    return [
        error_of(refusal, suggest(refusal, asked, catalog, location))
        for _, asked in _asked(pool, request, old, surroundings)
        for refusal in admit(asked, name=pool.id.pool)
    ]


def _asked(
    pool: NodePool, request: NodePoolRequest, old: NodePool | None, surroundings: Surroundings
) -> list[tuple[VmSize, ImageRequest]]:
    """What the resolution is asked for each size of the pool; a size that has left the catalogue asks nothing."""
    version = KubernetesVersion.parse(pool.version)
    sizes = (surroundings.catalog.size(name) for name in dict.fromkeys(profile.size for profile in pool.scale))
    return [
        (size, image_request(pool, size, version, os_sku=request.os_sku or pool.os_sku, creating=old is None))
        for size in sizes
        if size is not None
    ]


def _kept(
    pool: NodePool,
    request: NodePoolRequest,
    old: NodePool,
    surroundings: Surroundings,
    problems: list[errors.PoolwrightError],
    *,
    header_ignored: bool,
) -> NodePool:
    """The pool with its generation kept; a new Kubernetes version may bring a new image of that generation."""
    kept = replace(
        pool,
        warnings=(*(w for w in old.warnings if w.code != _HEADER_IGNORED), *_header_warning(header_ignored)),
        late_failure=old.late_failure,
    )
    if pool.mode is not old.mode:
        problems += _admission_problems(pool, request, old, surroundings)
    asked = _asked(pool, request, old, surroundings)
    if pool.version == old.version or not asked:
        return kept
    size, wanted = asked[0]
    outcome = resolve(wanted, surroundings.catalog.images, kept=pool.generation)
    if isinstance(outcome, Refusal):
        problems.append(error_of(outcome))
        return kept
    assumptions = _assumptions(pool, size, surroundings)
    return replace(
        kept,
        image_definition=outcome.image.definition,
        node_image=outcome.image.version_string,
        warnings=(*outcome.warnings, *assumptions, *_header_warning(header_ignored)),
    )


_HEADER_IGNORED: Final = "HeaderIgnored"


def _header_warning(header_ignored: bool) -> tuple[ResolutionWarning, ...]:
    if not header_ignored:
        return ()
    return (
        ResolutionWarning(
            _HEADER_IGNORED,
            "The header UseWindowsGen2VM concerns Windows node pools and was ignored on this Linux one.",
        ),
    )


def _assumptions(pool: NodePool, size: VmSize, surroundings: Surroundings) -> list[ResolutionWarning]:
    """What is assumed of the size and matters for this pool: its zones only where some were asked for."""
    catalog, location = surroundings.catalog, surroundings.cluster.location
    assumed = sorted(catalog.assumed(size, location) - (frozenset() if pool.zones else {"zones"}))
    if not assumed:
        return []
    zones = f" with zones {','.join(catalog.zones(size, location))}" if "zones" in assumed else ""
    return [
        ResolutionWarning(
            "CatalogueAssumption",
            f"The catalogue does not know the {' and '.join(assumed)} of VM size '{size.name}'; it is assumed to be "
            f"offered in {location}{zones}.",
        )
    ]


def _zone_problems(pool: NodePool, size: VmSize, surroundings: Surroundings) -> list[errors.PoolwrightError]:
    location = surroundings.cluster.location
    offered = surroundings.catalog.zones(size, location)
    missing = [zone for zone in pool.zones if zone not in offered]
    if not missing:
        return []
    return [
        errors.AvailabilityZoneNotSupported(
            f"The zone(s) '{','.join(missing)}' for resource '{pool.id.pool}' is not supported. "
            f"The supported zones for location '{location}' are '{','.join(offered)}'",
            target="properties.availabilityZones",
            remedy=f"choose from zones {', '.join(offered)}" if offered else "leave availabilityZones out",
        )
    ]


def suggest(refusal: Refusal, asked: ImageRequest, catalog: CatalogView, location: str) -> tuple[VmSize, ...]:
    """Return up to five sizes of the same line with which the same request would be accepted.

    Only where another size is a remedy: the refusal is about the size.
    """
    if refusal.target != "properties.vmSize":
        return ()

    def accepted(size: VmSize) -> bool:
        changed = replace(asked, size=size)
        outcome = resolve(changed, catalog.images)
        return (
            isinstance(outcome, Resolution)
            and outcome.late_failure is None
            and all(broken.target != refusal.target for broken in admit(changed, name=""))
        )

    # Ranking is cheap and a resolution is not, so only the nearest sizes are tried.
    offered = catalog.sizes_in(location)
    nearest = alternatives(asked.size, offered, limit=len(offered))
    return tuple(islice(filter(accepted, nearest), MAX_ALTERNATIVES))


def _changes(old: NodePool, new: NodePool, surroundings: Surroundings) -> list[errors.PoolwrightError]:
    """Every property the request would change that an existing pool keeps."""
    problems: list[errors.PoolwrightError] = []
    for row in UNCHANGEABLE:
        before, after = _comparable(old, row.attribute), _comparable(new, row.attribute)
        if before == after:
            continue
        problems.append(
            errors.PropertyChangeNotAllowed(
                _change_message(row, surroundings),
                target=f"properties.{row.wire}",
                remedy=_CHANGE_REMEDY,
                information={name: value for name, value in (("from", before), ("to", after)) if value is not None},
            )
        )
    return problems


def _change_message(row: ChangeRow, surroundings: Surroundings) -> str:
    """AKS's wording: of 2021, and for vmSize in profile azure-2026 the one seen in 2026."""
    if (
        surroundings.profile is Profile.AZURE_2026
        and row.attribute == "vm_size"
        and surroundings.api_version.lower() < _RESIZE_API_VERSION
    ):
        return (
            f'Changing property "agentPoolProfile.{row.wire}" is not allowed in an api-version before '
            f'"{_RESIZE_API_VERSION}".'
        )
    return f"Changing property 'properties.{row.wire}' is not allowed."


def _comparable(pool: NodePool, attribute: str) -> object:
    """The property as JSON, so that a mere difference of order, or of case in an ARM ID, is none."""
    value = {profile.size for profile in pool.scale} if attribute == "vm_size" else getattr(pool, attribute)
    if isinstance(value, (set, tuple)):
        return sorted(value)
    if isinstance(value, str) and value.startswith("/"):
        return value.lower()
    return getattr(value, "value", value)


def _retarget(problem: errors.PoolwrightError, surroundings: Surroundings) -> errors.PoolwrightError:
    """Move a target below `agentPoolProfiles[i]` when the pool came inside a cluster."""
    if problem.target is not None and surroundings.target != "properties":
        problem.target = f"{surroundings.target}.{problem.target.removeprefix('properties.')}"
    return problem
