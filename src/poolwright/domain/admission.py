"""What a PUT of a node pool leads to, or everything that speaks against it.

`settle` turns a decoded PUT, the node pool as it is, and the surroundings into the node pool as it
will be, or raises one error that names every problem.

Invariant: the generation is resolved anew only when size, OS SKU, Trusted Launch, FIPS or the wish
changes; otherwise it stays (docs/compatibility.md, "The wish").
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from typing import Any, Final

from poolwright import errors
from poolwright.domain import change
from poolwright.domain.cluster import ProvisioningState
from poolwright.domain.generation import Generation
from poolwright.domain.image_facts import ImageRequest
from poolwright.domain.image_resolution import Resolution, ResolutionWarning, default_os_sku, resolve
from poolwright.domain.kubernetes_version import KubernetesVersion
from poolwright.domain.machine import scale_set_name
from poolwright.domain.node_pool import GoodState, NodePool, NodePoolRequest, ScaleProfile, same_again
from poolwright.domain.node_pool_kind import ORDINARY_RUNTIME, Mode, PoolType, PowerState, Priority, ScaleDownMode
from poolwright.domain.operation import OperationError
from poolwright.domain.os_sku import OsSku, OsType
from poolwright.domain.pool_limits import beyond_limits
from poolwright.domain.pool_requirements import admit, refuse_cluster, refuse_generation, refuse_name
from poolwright.domain.refusal import Refusal
from poolwright.domain.resource_id import NodePoolId
from poolwright.domain.restriction import refused_size, refused_zones
from poolwright.domain.rules import Rule
from poolwright.domain.size_name import alternatives, nearest_names
from poolwright.domain.snapshot import (
    FROM_SNAPSHOT,
    Configuration,
    Snapshot,
    captured,
    refuse_image,
    refuse_request,
    refuse_size,
    taken,
)
from poolwright.domain.surroundings import CatalogView, Surroundings
from poolwright.domain.upgrade_settings import UpgradeSettings
from poolwright.domain.vm_size import VmSize
from poolwright.domain.wish import ABSENT, Absent, SettledWish, Wish, WishConflict, settle_wish

MAX_ALTERNATIVES: Final = 5
DEFAULT_OS_DISK_GB: Final = 128
# With Azure CNI Overlay, what az creates today (https://learn.microsoft.com/azure/aks/quotas-skus-regions).
DEFAULT_MAX_PODS: Final = 250
# The last size AKS documented as the fixed default, before May 2025 (quotas-skus-regions.md, rule 59).
DEFAULT_SIZE: Final = "Standard_DS2_v2"
# AKS supports node pools up to three minor versions behind the control plane since 1.28
# (https://learn.microsoft.com/azure/aks/supported-kubernetes-versions).
MAX_VERSION_SKEW: Final = 3
_SKEW_POLICY: Final = "https://aka.ms/version-skew-policy"


def settle(
    pool_id: NodePoolId,
    request: NodePoolRequest,
    old: NodePool | None,
    surroundings: Surroundings,
    *,
    header: bool | None,
    etag: str,
    snapshot: Snapshot | None = None,
) -> NodePool:
    """Return the node pool a PUT leads to.

    `header` is the value of UseWindowsGen2VM, None when absent; `snapshot` the one the request names,
    unless the node pool is from it already. The result is `Creating` or `Updating`. Raises one
    `InvalidRequest`; where there are several problems, the first carries the others as `details`.
    """
    problems: list[errors.PoolwrightError] = []
    held = _held(request, old, snapshot)
    if held is not None:
        problems += _contradictions(request, old, held, surroundings, is_own=snapshot is None)
    if snapshot is not None:
        request = taken(request, snapshot.configuration, old)
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
    sizes = [surroundings.catalog.size(profile.size) for profile in pool.scale]
    known = [size for size in sizes if size is not None]
    problems += [error_of(refusal) for refusal in beyond_limits(pool, request, old, known)]
    problems += _image_problems(request, old)
    problems += _windows_profile_problems(pool, surroundings)
    refusals: list[errors.PoolwrightError] = []
    is_anew = old is None or snapshot is not None or _resolved_anew(old, pool)
    leaves = held is None and (old is None or is_anew or _is_new_image(request, old, pool))
    pool = replace(pool, snapshot=str(snapshot.id) if snapshot else None if leaves else pool.snapshot)
    if is_resolvable and is_anew and held is not None:
        pool = _with_held_image(pool, request, old, surroundings, refusals, held, header_ignored=settled.header_ignored)
    elif is_resolvable and is_anew:
        pool = _resolved(pool, request, old, surroundings, refusals, header_ignored=settled.header_ignored)
    elif is_resolvable and old is not None:
        pool = _kept(pool, request, old, surroundings, refusals, header_ignored=settled.header_ignored)
    if old is not None:
        problems += [error_of(refusal) for refusal in change.refused(old, pool, surroundings)]
    if is_resolvable and not refusals:
        problems += _generation_problems(pool)
    problems += refusals
    if problems:
        raise errors.joined([_retarget(problem, surroundings) for problem in problems])
    return pool


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
            **refusal.information,
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
    """The full version and the text shown for it.

    Not given: a new pool takes the cluster's, an old one keeps its. Blank, as `az aks nodepool upgrade` sends it
    without a version: the cluster's.
    """
    cluster = surroundings.cluster
    control_plane = KubernetesVersion.parse(cluster.version)
    wanted = request.kubernetes_version
    if old is not None and (wanted in (None, old.wanted_version) or (not wanted and old.version == cluster.version)):
        return KubernetesVersion.parse(old.version), old.wanted_version
    if not wanted:
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
            errors.NodePoolMcVersionIncompatible(
                f"Node pool version {version} and control plane version {control_plane} are incompatible. "
                f"{_bigger(version, control_plane)}. For more information, please check {_SKEW_POLICY}",
                target=target,
                remedy="upgrade the control plane first: az aks upgrade --control-plane-only",
            )
        )
    elif control_plane.release.minor - version.release.minor > MAX_VERSION_SKEW:
        problems.append(
            errors.NodePoolMcVersionIncompatible(
                f"Node pool version {version} and control plane version {control_plane} are incompatible. Minor "
                f"version of node pool cannot be more than {MAX_VERSION_SKEW} versions less than control plane's "
                f"version. Minor version of node pool is {version.release.minor} and control plane is "
                f"{control_plane.release.minor}. For more information, please check {_SKEW_POLICY}",
                target=target,
                remedy=f"choose a version from {control_plane.release.major}."
                f"{control_plane.release.minor - MAX_VERSION_SKEW} to {control_plane}",
            )
        )
    former = goes_back(request, old)
    is_former = former is not None and str(version) == former.version
    if old is not None and version < KubernetesVersion.parse(old.version) and not is_former:
        problems.append(
            errors.AgentPoolUpgradeVersionNotAllowed(
                f"Node pool '{old.id.pool}' runs Kubernetes {old.version} and cannot be moved back to {version}.",
                target=target,
                remedy=f"choose a version from {old.version} to {control_plane}",
            )
        )
    return version, wanted


def _bigger(version: KubernetesVersion, control_plane: KubernetesVersion) -> str:
    """What of a node pool's version is bigger; AKS's words for the minor version, ours for the patch."""
    if version.release == control_plane.release:
        part, one, other = "Patch", version.patch, control_plane.patch
    else:
        part, one, other = "Minor", version.release.minor, control_plane.release.minor
    return f"{part} version of node pool version {one} is bigger than control plane version {other}"


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
    if request.autoscaling and len(wanted) == 1:
        wanted = (_within_bounds(wanted[0], request, old),)
    # A size the pool has already stays usable when the catalogue no longer offers it.
    spelled = {profile.size.lower(): profile.size for profile in old.scale} if old else {}
    settled = []
    for profile in wanted:
        offer = surroundings.catalog.offer(profile.size)
        name = spelled.get(profile.size.lower())
        if name is None and offer is not None:
            name = offer.size.name
            refusal = refused_size(offer, surroundings)
            problems += [error_of(refusal)] if refusal is not None else []
        if name is None:
            problems.append(_size_not_supported(profile.size, surroundings))
        settled.append(ScaleProfile(name or profile.size, profile.count))
    return tuple(settled)


def _within_bounds(profile: ScaleProfile, request: NodePoolRequest, old: NodePool | None) -> ScaleProfile:
    """The autoscaler brings a count nobody asked to change into its bounds (cluster-autoscaler.md)."""
    low, high = request.min_count, request.max_count
    is_asked = request.count is not None and (old is None or request.count != old.count)
    if low is None or high is None or low > high or is_asked:
        return profile
    return replace(profile, count=min(max(profile.count, low), high))


def _size_not_supported(name: str, surroundings: Surroundings) -> errors.PoolwrightError:
    location = surroundings.cluster.location
    offered = surroundings.catalog.usable_sizes
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
        sent=change.carried(old.sent, request.sent) if old else request.sent,
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
        workload_runtime=value("workload_runtime", ORDINARY_RUNTIME),
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
        upgrade=value("upgrade", UpgradeSettings()),
        scale_down=value("scale_down", ScaleDownMode.DELETE),
        promised=old.count if old else 0,
        good=old.good if old else None,
        before=old.before if old else None,
        cluster_stopped=old.cluster_stopped if old else False,
        snapshot=old.snapshot if old else None,
        vpmem_mib=_vpmem(request, old),
    )


def _vpmem(request: NodePoolRequest, old: NodePool | None) -> int | None:
    """Silence changes nothing; null takes it back."""
    if isinstance(request.vpmem_mib, Absent):
        return old.vpmem_mib if old is not None else None
    return request.vpmem_mib


def _held(request: NodePoolRequest, old: NodePool | None, snapshot: Snapshot | None) -> Configuration | None:
    """What the node pool has to have because of its snapshot: the one the request names, or its own, named again."""
    if snapshot is not None:
        return snapshot.configuration
    leaves = request.snapshot is None or _is_latest(request) or goes_back(request, old) is not None
    return captured(old) if old is not None and not leaves else None


def _contradictions(
    request: NodePoolRequest, old: NodePool | None, held: Configuration, surroundings: Surroundings, *, is_own: bool
) -> list[errors.PoolwrightError]:
    """What the request asks for that the snapshot does not have.

    A blank version means the cluster's where the node pool has the snapshot already, and nothing with a new one.
    """
    wanted = request.kubernetes_version
    if is_own and wanted == "":
        wanted = surroundings.cluster.version
    is_said = wanted and not (old is not None and wanted in (old.wanted_version, old.version))
    refusal = refuse_request(request, old, held, request.snapshot or "", wanted if is_said else None)
    return [error_of(refusal)] if refusal is not None else []


def _fips_by_default(os_sku: OsSku) -> bool:
    """Windows Server 2022 has FIPS on by default (enable-fips-nodes.md, rule 39)."""
    return os_sku is OsSku.WINDOWS_2022


def _name_problems(pool: NodePool) -> list[errors.PoolwrightError]:
    refusal = refuse_name(pool.id.pool, pool.os_type)
    return [error_of(refusal)] if refusal is not None else []


def goes_back(request: NodePoolRequest, old: NodePool | None) -> GoodState | None:
    """Return the former state that the request asks for by its node image version, or None.

    Where only the Kubernetes version was another one, that version has to be asked for as well.
    """
    wanted = request.node_image
    former = old.last_good if old is not None else None
    if old is None or wanted is None or former is None or former.node_image.lower() != wanted.lower():
        return None
    is_same_image = former.node_image.lower() == old.node_image.lower()
    is_same_version = former.version == old.version or request.kubernetes_version != former.version
    return None if is_same_image and is_same_version else former


def _is_new_image(request: NodePoolRequest, old: NodePool, pool: NodePool) -> bool:
    """Whether a node pool whose generation stays gets another node image all the same."""
    return pool.version != old.version or _is_latest(request) or goes_back(request, old) is not None


def _is_latest(request: NodePoolRequest) -> bool:
    """Whether the request asks for the newest node image by nodeImageVersion."""
    return (request.node_image or "").lower() == "latest"


def _image_problems(request: NodePoolRequest, old: NodePool | None) -> list[errors.PoolwrightError]:
    """Another node image version is a rollback, and only to what the pool had before.

    Source: rule 60; roll-back-node-pool-version.md.
    """
    wanted = request.node_image
    if old is None or wanted is None or wanted.lower() in ("latest", old.node_image.lower()):
        return []
    former = goes_back(request, old)
    if former is None:
        return [
            errors.InvalidParameter(
                f"NodeImageVersion '{wanted}' is not accepted. NodeImageVersion can only be current version "
                f"'{old.node_image}' or 'latest'",
                target="properties.nodeImageVersion",
                remedy="leave nodeImageVersion out, or send one that `az aks nodepool get-rollback-versions` lists",
            )
        ]
    if former.generation is not old.generation or former.os_sku is not old.os_sku:
        return [
            errors.RollbackNotPossible(
                f"Node pool '{old.id.pool}' cannot go back to node image '{former.node_image}' by its version alone: "
                f"it is {old.generation.value} on {old.os_sku.value} and was {former.generation.value} on "
                f"{former.os_sku.value}.",
                target="properties.nodeImageVersion",
                remedy="go back with size, OS SKU and generation: poolwright aks nodepool rollback",
            )
        ]
    return []


def rolled_back(old: NodePool, *, etag: str) -> NodePool:
    """Return the node pool as it was when an operation on it last succeeded, with today's counts, labels and settings.

    Raises `RollbackNotPossible` when nothing is known to go back to.
    """
    former = old.last_good
    if former is None:
        raise errors.RollbackNotPossible(
            f"Node pool '{old.id.pool}' has no former state to go back to.",
            remedy="a node pool can go back once a change of size, OS SKU, generation, image or version was made",
        )
    scale = former.scale
    if old.pool_type is not PoolType.VIRTUAL_MACHINES:
        scale = (ScaleProfile(former.scale[0].size, old.count),)
    return replace(
        old,
        scale=scale,
        os_sku=former.os_sku,
        wish=former.wish,
        generation=former.generation,
        rule=former.rule,
        image_definition=former.image_definition,
        node_image=former.node_image,
        wanted_version=former.wanted_version,
        version=former.version,
        fips=former.fips,
        vtpm=former.vtpm,
        secure_boot=former.secure_boot,
        snapshot=former.snapshot,
        vpmem_mib=former.vpmem_mib,
        warnings=(),
        late_failure=None,
        promised=old.count,
        etag=etag,
        state=ProvisioningState.UPDATING,
        error=None,
    )


def with_newest_image(old: NodePool, surroundings: Surroundings, *, etag: str) -> NodePool:
    """Return the node pool with the newest image of its definition; the generation stays (rule 61).

    Raises `InvalidRequest` when there is no image for it any more.
    """
    problems: list[errors.PoolwrightError] = []
    pool = replace(old, promised=old.count, etag=etag, state=ProvisioningState.UPDATING, error=None, snapshot=None)
    pool = _with_image(pool, NodePoolRequest(sent=old.sent, vm_generation=ABSENT), old, surroundings, problems)
    if problems:
        raise errors.joined(problems)
    return pool


def with_image_of(old: NodePool, snapshot: Snapshot, surroundings: Surroundings, *, etag: str) -> NodePool:
    """Return the node pool with the node image of a snapshot. Raises `InvalidRequest` when it cannot have it."""
    kept = snapshot.configuration
    if kept.version != old.version:
        raise errors.InvalidParameter(
            f"Node pool '{old.id.pool}' runs Kubernetes {old.version} and snapshot '{snapshot.id.snapshot}' is of "
            f"{kept.version}: the node image alone is upgraded only within one version.",
            target="AKSSnapshotId",
            remedy="upgrade without --node-image-only: az aks nodepool upgrade --snapshot-id",
        )
    request = replace(same_again(old), snapshot=str(snapshot.id))
    return settle(old.id, request, old, surroundings, header=None, etag=etag, snapshot=snapshot)


def _generation_problems(pool: NodePool) -> list[errors.PoolwrightError]:
    refusal = refuse_generation(pool.generation, vpmem=pool.vpmem_mib is not None)
    return [error_of(refusal)] if refusal is not None else []


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
    catalog = surroundings.catalog
    resolutions: list[Resolution] = []
    warnings: list[ResolutionWarning] = []
    problems += _admission_problems(pool, request, old, surroundings)
    for size, asked in _asked(pool, request, old, surroundings):
        outcome = resolve(asked, catalog.images, vmss=scale_set_name(pool.id, pool.os_type))
        if isinstance(outcome, Refusal):
            problems.append(error_of(outcome, suggest(outcome, asked, catalog)))
        else:
            resolutions.append(outcome)
        problems += _zone_problems(pool, size, old, surroundings)
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


def _with_held_image(
    pool: NodePool,
    request: NodePoolRequest,
    old: NodePool | None,
    surroundings: Surroundings,
    problems: list[errors.PoolwrightError],
    held: Configuration,
    *,
    header_ignored: bool,
) -> NodePool:
    """The pool with the node image of its snapshot; whatever speaks against it is added to the problems."""
    snapshot = pool.snapshot or ""
    warnings: list[ResolutionWarning] = []
    problems += _admission_problems(pool, request, old, surroundings)
    for size, asked in _asked(pool, request, old, surroundings):
        refusal = refuse_size(size, pool.wish, held, snapshot)
        if refusal is None:
            outcome = resolve(asked, surroundings.catalog.images, kept=held.generation)
            if isinstance(outcome, Refusal):
                refusal = outcome
            else:
                refusal = refuse_image(outcome.image.definition, size, held, snapshot)
                warnings += [warning for warning in outcome.warnings if warning not in warnings]
        if refusal is not None:
            problems.append(error_of(refusal))
        problems += _zone_problems(pool, size, old, surroundings)
        warnings += _assumptions(pool, size, surroundings)
    if problems:
        return pool
    return replace(
        pool,
        generation=held.generation,
        image_definition=held.image_definition,
        node_image=held.node_image,
        rule=FROM_SNAPSHOT,
        warnings=(*warnings, *_header_warning(header_ignored)),
        late_failure=None,
    )


def _admission_problems(
    pool: NodePool, request: NodePoolRequest, old: NodePool | None, surroundings: Surroundings
) -> list[errors.PoolwrightError]:
    """What AKS refuses for a pool of this mode and size, whatever its image."""
    return [
        error_of(refusal, suggest(refusal, asked, surroundings.catalog))
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
    former = goes_back(request, old)
    if former is not None:
        return replace(
            kept,
            image_definition=former.image_definition,
            node_image=former.node_image,
            snapshot=former.snapshot,
        )
    if pool.version == old.version and not _is_latest(request):
        return kept
    return _with_image(kept, request, old, surroundings, problems, header_ignored=header_ignored)


def _with_image(
    pool: NodePool,
    request: NodePoolRequest,
    old: NodePool,
    surroundings: Surroundings,
    problems: list[errors.PoolwrightError],
    *,
    header_ignored: bool = False,
) -> NodePool:
    """The pool with the newest node image of its generation for its Kubernetes version."""
    asked = _asked(pool, request, old, surroundings)
    if not asked:
        return pool
    size, wanted = asked[0]
    outcome = resolve(wanted, surroundings.catalog.images, kept=pool.generation)
    if isinstance(outcome, Refusal):
        problems.append(error_of(outcome))
        return pool
    assumptions = _assumptions(pool, size, surroundings)
    return replace(
        pool,
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
    location, offer = surroundings.cluster.location, surroundings.catalog.offer(size.name)
    assumed = sorted(offer.assumed - (frozenset() if pool.zones else {"zones"})) if offer is not None else []
    if offer is None or not assumed:
        return []
    zones = f" with zones {','.join(offer.zones)}" if "zones" in assumed else ""
    return [
        ResolutionWarning(
            "CatalogueAssumption",
            f"The catalogue does not know the {' and '.join(assumed)} of VM size '{size.name}'; it is assumed to be "
            f"offered in {location}{zones}.",
        )
    ]


def _zone_problems(
    pool: NodePool, size: VmSize, old: NodePool | None, surroundings: Surroundings
) -> list[errors.PoolwrightError]:
    """Zones that a size new to the node pool does not have, or in which it is restricted."""
    offer = surroundings.catalog.offer(size.name)
    if offer is None or (old is not None and size.name in {profile.size for profile in old.scale}):
        return []
    refusal = refused_zones(offer, pool.zones, pool.id.pool, surroundings)
    return [error_of(refusal)] if refusal is not None else []


def suggest(refusal: Refusal, asked: ImageRequest, catalog: CatalogView) -> tuple[VmSize, ...]:
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
    offered = catalog.usable_sizes
    nearest = alternatives(asked.size, offered, limit=len(offered))
    return tuple(islice(filter(accepted, nearest), MAX_ALTERNATIVES))


def _retarget(problem: errors.PoolwrightError, surroundings: Surroundings) -> errors.PoolwrightError:
    """Move a target below `agentPoolProfiles[i]` when the pool came inside a cluster."""
    if problem.target is not None and surroundings.target != "properties":
        problem.target = f"{surroundings.target}.{problem.target.removeprefix('properties.')}"
    return problem
