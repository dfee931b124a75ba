"""What an imported state is checked for beyond its types: that requests could have left it, and that it can be shown.

Each resource is looked at by the functions that read requests and write replies, so that nothing is known twice.

Invariant: a resource that passes can be read by clients; what stands in the way is said with its place in the document.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final

import orjson
from pydantic import BaseModel, ConfigDict

from poolwright import errors
from poolwright.arm.faults import decode_fault, encode_fault
from poolwright.arm.sent import Json, checked, wrong
from poolwright.arm.wire import GUID, decode_group, decode_quota_limit, encode_group, encode_operation, timestamp
from poolwright.arm.wire_clusters import decode_cluster, encode_cluster
from poolwright.arm.wire_deployments import shown_deployment, shown_operations
from poolwright.arm.wire_machines import encode_machine
from poolwright.arm.wire_maintenance import decode_maintenance, encode_maintenance
from poolwright.arm.wire_node_pools import PoolProperties, decode_node_pool, encode_node_pool, pool_properties
from poolwright.arm.wire_snapshots import decode_snapshot, encode_snapshot
from poolwright.catalog.catalog import normalized_location
from poolwright.control_plane.names import require_cluster_name, require_deployment_name, require_group_name
from poolwright.domain.cluster import Cluster, ResourceGroup
from poolwright.domain.deployment import Deployment, DeploymentResource
from poolwright.domain.fault import Fault, Firing, Tally
from poolwright.domain.kubernetes_version import KubernetesRelease, KubernetesVersion
from poolwright.domain.machine import Machine, machine_name
from poolwright.domain.maintenance import NAMES, MaintenanceConfiguration
from poolwright.domain.node_pool import GoodState, NodePool, NodePoolRequest
from poolwright.domain.operation import Operation
from poolwright.domain.pool_limits import beyond_limits
from poolwright.domain.pool_requirements import refuse_cluster, refuse_generation, refuse_name
from poolwright.domain.profile import Profile
from poolwright.domain.resource_id import SnapshotId
from poolwright.domain.snapshot import Snapshot
from poolwright.domain.wish import ABSENT
from poolwright.side_resources import FeatureState, feature_name, require_snapshot_name
from poolwright.state import EXPORT, Document, Records

# What six base-36 digits of a machine's name can say.
_MOST_ORDINAL: Final = 36**6 - 1
_ETAG: Final = re.compile(r"[!#-~]+")
_OPERATION_ID: Final = re.compile(r"[-0-9A-Za-z]+")
_LOCATION: Final = re.compile(r"[a-z0-9]+")
_GENERATIONS: Final = frozenset({"V1", "V2", "unknown"})
_GPU_DRIVERS: Final = (None, "Install", "None")

# One resource: its place in the document, where its parts stand there by what a request calls them, and the look.
_Look = tuple[str, Mapping[str, str], Callable[[], object]]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, defer_build=True)


class _Rule(_Strict):
    id: str
    text: str
    source: str


class _Image(_Strict):
    definition: str
    booted: None
    standIn: bool


class _Warning(_Strict):
    code: str
    message: str


class _Decision(_Strict):
    """What a machine shows of the decision of its node pool, which may have changed since."""

    profile: Profile
    engine: str
    requestedGeneration: str | None
    requestedBy: str | None
    rule: _Rule
    image: _Image
    warnings: list[_Warning]


def problems(document: Document, records: Records) -> Iterator[errors.InvalidParameter]:
    """Yield what is wrong with each resource; `records` are the values of the document's rows."""
    for place, parts, look in _looks(document, records):
        try:
            look()
        except errors.PoolwrightError as error:
            for part in (error, *error.details):
                yield errors.InvalidParameter(part.message, target=_target(place, parts, part.target), remedy=EXPORT)
        except Exception as error:  # whatever keeps it from being shown would keep every list from being shown
            yield errors.InvalidParameter(f"It cannot be shown: {error}.", target=place, remedy=EXPORT)


def _looks(document: Document, records: Records) -> Iterator[_Look]:
    for index, group in enumerate(document.resource_groups):
        place = f"resource_groups[{index}]"
        yield place, {"location": "location", "": "sent"}, partial(_look_at_group, group)
    pools_by_cluster: dict[str, list[NodePool]] = {}
    pools = {pool.id.key: pool for pool in document.node_pools}
    for pool in document.node_pools:
        pools_by_cluster.setdefault(pool.id.cluster_id.key, []).append(pool)
    clusters = {cluster.id.key: cluster for cluster in document.clusters}
    # A node pool first: what cannot be shown of it cannot be shown of its cluster either.
    for index, pool in enumerate(document.node_pools):
        yield (
            f"node_pools[{index}]",
            {"name": "id.pool", "properties": "sent", "": "beside"},
            partial(_look_at_pool, pool, clusters.get(pool.id.cluster_id.key)),
        )
    for index, cluster in enumerate(document.clusters):
        yield f"clusters[{index}]", {"": "sent"}, partial(_look_at_cluster, cluster)
    for index, shown in enumerate(document.machines):
        owner = pools.get(shown.machine.id.pool_id.key)
        if owner is not None:
            yield f"machines[{index}]", {}, partial(_look_at_machine, shown.machine, owner, shown.shown)
    for index, operation in enumerate(document.operations):
        yield f"operations[{index}]", {}, partial(_look_at_operation, operation)
    yield from _looks_at_rows(document, records)


def _looks_at_rows(document: Document, records: Records) -> Iterator[_Look]:
    for index, row in enumerate(document.rows.get("quotas", ())):
        yield f"rows.quotas[{index}]", {"limit": "vcpus"}, partial(_look_at_quota, row)
    for index, row in enumerate(document.rows.get("features", ())):
        yield f"rows.features[{index}]", {"featureName": "name"}, partial(_look_at_feature, row)
    for index, snapshot in records.get("snapshots", {}).items():
        yield f"rows.snapshots[{index}].record", {"": "sent"}, partial(_look_at_snapshot, snapshot)
    for index, kept in records.get("maintenance_configurations", {}).items():
        place = f"rows.maintenance_configurations[{index}].record"
        yield place, {"name": "id.name", "": "sent"}, partial(_look_at_maintenance, kept)
    firings: dict[str, list[Firing]] = {}
    for index, firing in records.get("fault_firings", {}).items():
        firings.setdefault(document.rows["fault_firings"][index]["fault"], []).append(firing)
    for index, fault in records.get("faults", {}).items():
        row = document.rows["faults"][index]
        tally = Tally(row["matched"], row["fired"])
        yield f"rows.faults[{index}].record", {}, partial(_look_at_fault, fault, tally, firings.get(fault.name, []))
    resources: dict[str, list[DeploymentResource]] = {}
    for index, resource in records.get("deployment_resources", {}).items():
        resources.setdefault(document.rows["deployment_resources"][index]["deployment_key"], []).append(resource)
    for index, deployment in records.get("deployments", {}).items():
        made = sorted(resources.get(deployment.id.key, []), key=lambda resource: resource.ordinal)
        yield f"rows.deployments[{index}].record", {}, partial(_look_at_deployment, deployment, made)


def _look_at_group(group: ResourceGroup) -> None:
    require_group_name(group.id.group)
    _require_location(group.location)
    _require_as_sent(decode_group({**group.sent, "location": group.location})[1], group.sent)
    encode_group(group)


def _look_at_cluster(cluster: Cluster) -> None:
    require_cluster_name(cluster.id.cluster)
    _require_location(cluster.location)
    _require_versions(cluster)
    _require(_ETAG.fullmatch(cluster.etag) is not None, "etag", "it is no ETag")
    _require(re.fullmatch(GUID, cluster.principal_id) is not None, "principal_id", "it is no GUID")
    request, _ = decode_cluster({**cluster.sent, "location": cluster.location}, Profile.DOCUMENTED)
    _require_as_sent(request.sent, cluster.sent)
    encode_cluster(cluster, (), "")


def _look_at_pool(pool: NodePool, cluster: Cluster | None) -> None:
    _require_versions(pool)
    _require(_ETAG.fullmatch(pool.etag) is not None, "etag", "it is no ETag")
    _require(pool.gpu_driver in _GPU_DRIVERS, "gpu_driver", "there is no such GPU driver")
    _require(pool.promised >= 0, "promised", "a count is not negative")
    _require(
        pool.observed.keys() <= _GENERATIONS and all(number >= 0 for number in pool.observed.values()),
        "observed",
        f"it counts machines by {', '.join(sorted(_GENERATIONS))}",
    )
    _require_snapshot(pool, "snapshot")
    for name, state in (("good", pool.good), ("before", pool.before)):
        if state is not None:
            _require_snapshot(state, f"{name}.snapshot")
            _require_versions(state, f"{name}.")
            _require(all(part.count >= 0 for part in state.scale), f"{name}.scale", "a count is not negative")
            timestamp(state.since)
    request = decode_node_pool({**pool.beside, "properties": dict(pool.sent)}, pool.profile)
    _require_as_sent(request.sent, pool.sent, "properties")
    _require_as_sent(request.beside, pool.beside)
    refused = [
        refuse_name(pool.id.pool, pool.os_type),
        refuse_generation(pool.generation, vpmem=pool.vpmem_mib is not None),
        refuse_cluster(pool.os_type, has_windows_profile=cluster.has_windows_profile) if cluster is not None else None,
        *beyond_limits(pool, NodePoolRequest(sent={}, vm_generation=ABSENT), pool, ()),
    ]
    found = [errors.InvalidParameter(each.message, target=_ours(each.target)) for each in refused if each]
    if found:
        raise errors.joined(found)
    # What was decided is shown by the names of requests, and is to be of their types.
    try:
        checked(PoolProperties, orjson.loads(orjson.dumps(pool_properties(pool))), "properties")
    except errors.PoolwrightError as error:
        for part in (error, *error.details):
            part.target = _ours(part.target)
        raise
    encode_node_pool(pool)


# The places of what the rows about limits and the decided properties speak of.
_OURS: Final = {
    "name": "id.pool",
    "properties.count": "scale",
    "properties.minCount": "min_count",
    "properties.maxCount": "max_count",
    "properties.osDiskSizeGB": "os_disk_size_gb",
    "properties.osDiskType": "os_disk_type",
    "properties.maxPods": "max_pods",
    "properties.vpmemMiB": "vpmem_mib",
    "properties.workloadRuntime": "workload_runtime",
    "properties.osType": "os_type",
    "properties.scaleSetPriority": "priority",
    "properties.availabilityZones": "zones",
    "properties.virtualMachinesProfile.scale.manual": "scale",
    "properties.upgradeSettings.drainTimeoutInMinutes": "upgrade.drain_timeout_minutes",
    "properties.upgradeSettings.nodeSoakDurationInMinutes": "upgrade.node_soak_minutes",
}


def _ours(target: str | None) -> str | None:
    place = _OURS.get(target or "")
    return f"={place}" if place is not None else None


def _look_at_machine(machine: Machine, pool: NodePool, shown: Json) -> None:
    _require(0 <= machine.ordinal <= _MOST_ORDINAL, "machine.ordinal", f"it is not from 0 to {_MOST_ORDINAL}")
    # The digits are of the cluster's ID, which had another subscription where the state comes from.
    name, digits = machine_name(pool.id, pool.os_type, machine.ordinal), r"-[0-9]{8}-vmss"
    _require(
        re.sub(digits, "", machine.id.machine, count=1) == re.sub(digits, "", name, count=1),
        "machine.id.machine",
        f"the machine with that ordinal is '{name}'",
    )
    _require(0 < machine.spec.vcpus <= _MOST_ORDINAL, "machine.spec.vcpus", "a machine has at least one")
    _require(0 < machine.spec.memory_gb <= _MOST_ORDINAL, "machine.spec.memory_gb", "a machine has some")
    fresh = orjson.loads(encode_machine(machine, pool))
    properties = shown.get("properties")
    block = properties.get("poolwright") if isinstance(properties, dict) else None
    if not isinstance(properties, dict) or not isinstance(block, dict):
        raise wrong([("shown", "it is not what clients see of a machine")])
    decision = {name: part for name, part in block.items() if name in _Decision.model_fields}
    _Decision.model_validate_json(orjson.dumps(decision))
    # All but that decision follows from the machine itself.
    fresh["properties"]["poolwright"] |= decision
    _require(fresh == shown, "shown", "it is not what clients see of this machine")


def _look_at_operation(operation: Operation) -> None:
    _require(_OPERATION_ID.fullmatch(operation.id) is not None, "id", "it is no ID of an operation")
    _require_location(operation.location)
    _require(0 <= operation.percent <= 100, "percent", "it is not from 0 to 100")
    for name in ("wave", "waves", "replaced", "to_replace"):
        _require(getattr(operation, name) >= 0, name, "a count is not negative")
    _require(
        operation.generations.keys() <= _GENERATIONS and all(number >= 0 for number in operation.generations.values()),
        "generations",
        f"it counts machines by {', '.join(sorted(_GENERATIONS))}",
    )
    encode_operation(operation)


def _look_at_quota(row: Json) -> None:
    _require_location(row["location"])
    _require(row["family"] == row["family"].lower(), "family", "it is in lower case")
    decode_quota_limit({"limit": row["vcpus"]})


def _look_at_feature(row: Json) -> None:
    _require(row["state"] in {state.value for state in FeatureState}, "state", "a feature has no such state")
    _require(row["key"] == row["name"].lower(), "key", "it is not the name in lower case")
    _require(feature_name(row["name"]) == row["name"], "name", "it is not in Azure's spelling")
    _require(row["name"].count("/") == 1, "name", "it has no namespace")


def _look_at_snapshot(snapshot: Snapshot) -> None:
    require_snapshot_name(snapshot.id.snapshot)
    _require_location(snapshot.location)
    _require_version(snapshot.configuration.version, "configuration.version")
    sent = decode_snapshot({**snapshot.sent, "location": snapshot.location})[2]
    _require_as_sent(sent, snapshot.sent)
    encode_snapshot(snapshot)


def _look_at_maintenance(kept: MaintenanceConfiguration) -> None:
    _require(kept.id.name in NAMES, "name", f"AKS has {', '.join(NAMES)}")
    _require_as_sent(decode_maintenance(dict(kept.sent), kept.id.name), kept.sent)
    encode_maintenance(kept)


def _look_at_fault(fault: Fault, tally: Tally, firings: Sequence[Firing]) -> None:
    shown = encode_fault(fault, tally, firings, ())
    _require(decode_fault(fault.name, shown) == fault, "", "no document leads to this fault")
    orjson.dumps(shown)
    # Those that were met without effect are not shown, and have a time all the same.
    for firing in firings:
        timestamp(firing.at)


def _look_at_deployment(deployment: Deployment, resources: Sequence[DeploymentResource]) -> None:
    require_deployment_name(deployment.id.name)
    _require(deployment.ended is not None, "ended", "the deployment has ended, and no time is said")
    _require(
        [resource.ordinal for resource in resources] == list(range(len(resources))),
        "",
        "the ordinals of its resources are not 0, 1, 2 and so on",
    )
    _require(
        all(0 <= other < len(resources) for resource in resources for other in resource.depends_on),
        "",
        "a resource depends on one that is not there",
    )
    orjson.dumps([shown_deployment(deployment, resources), shown_operations(deployment, resources)])


def _require(holds: bool, place: str, what: str) -> None:
    if not holds:
        raise errors.InvalidParameter(f"The state contradicts itself: {what}.", target=f"={place}" if place else None)


def _require_as_sent(read: Mapping[str, Any], found: Mapping[str, Any], place: str = "") -> None:
    """Raise unless what is stored is what reading it as a request would store."""
    if read != found:
        names = sorted(name for name in read.keys() | found.keys() if read.get(name) != found.get(name))
        raise wrong([(f"{place}.{name}" if place else name, "no request leaves it so") for name in names])


def _require_location(location: str) -> None:
    holds = _LOCATION.fullmatch(location) is not None and normalized_location(location) == location
    _require(holds, "location", f"'{location}' is no location")


def _require_snapshot(value: NodePool | GoodState, place: str) -> None:
    named = value.snapshot
    _require(named is None or SnapshotId.parse(named) is not None, place, f"'{named}' is no ID of a snapshot")


def _require_version(version: str, place: str) -> None:
    try:
        KubernetesVersion.parse(version)
    except ValueError as error:
        _require(False, place, str(error))


def _require_versions(value: Cluster | NodePool | GoodState, place: str = "") -> None:
    _require_version(value.version, f"{place}version")
    try:
        KubernetesRelease.parse(value.wanted_version)
    except ValueError as error:
        _require(False, f"{place}wanted_version", str(error))


def _target(place: str, parts: Mapping[str, str], target: str | None) -> str:
    """The place in the document of what a request calls `target`; `=` begins one that is the document's own."""
    if not target:
        return place
    if target.startswith("="):
        return f"{place}.{target[1:]}"
    first, dot, rest = target.partition(".")
    if first in parts:
        return f"{place}.{parts[first]}{dot}{rest}"
    return f"{place}.{parts['']}.{target}" if "" in parts else f"{place}.{target}"
