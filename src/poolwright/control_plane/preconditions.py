"""What has to hold of stored resources before a verb changes them.

They exist, have the ETag that was asked for, run, and are in no operation.

Invariant: nothing is written here, and every verb refuses what it finds otherwise in the same words.
"""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy.engine import Connection

from poolwright import errors
from poolwright.control_plane.calls import Call, Preconditions
from poolwright.domain.cluster import Cluster, ResourceGroup
from poolwright.domain.node_pool import NodePool, NodePoolRequest
from poolwright.domain.node_pool_kind import PowerState
from poolwright.domain.pool_limits import MAX_POOLS
from poolwright.domain.resource_id import ClusterId, GroupId, NodePoolId, SnapshotId
from poolwright.domain.snapshot import Snapshot
from poolwright.store import statements


def require_group(connection: Connection, group_id: GroupId) -> ResourceGroup:
    """Return the resource group. Raises `ResourceGroupNotFound`."""
    group = statements.group(connection, group_id.key)
    if group is None:
        raise errors.ResourceGroupNotFound(
            f"Resource group '{group_id.group}' could not be found.",
            remedy=f"create it: az group create --name {group_id.group} --location <location>",
        )
    return group


def require_cluster(connection: Connection, cluster_id: ClusterId) -> Cluster:
    """Return the cluster. Raises `ResourceGroupNotFound` or `ResourceNotFound`."""
    require_group(connection, cluster_id.group_id)
    cluster = statements.cluster(connection, cluster_id.key)
    if cluster is None:
        raise errors.ResourceNotFound(
            f"The Resource 'Microsoft.ContainerService/managedClusters/{cluster_id.cluster}' under resource group "
            f"'{cluster_id.group_id.group}' was not found.",
            remedy="`az aks list` shows what exists",
        )
    return cluster


def pool_and_cluster(connection: Connection, pool_id: NodePoolId, action: str) -> tuple[Cluster, NodePool | None]:
    """Return the cluster of a node pool, and the node pool if there is one.

    Raises `ResourceGroupNotFound` or `ParentResourceNotFound`; `action` is what the latter says was asked for.
    """
    require_group(connection, pool_id.cluster_id.group_id)
    cluster = statements.cluster(connection, pool_id.cluster_id.key)
    if cluster is None:
        raise errors.ParentResourceNotFound(
            f"Failed to perform '{action}' on resource(s) of type 'managedClusters/agentPools', because the parent "
            f"resource '{pool_id.cluster_id}' could not be found.",
            remedy="create the cluster first",
        )
    return cluster, statements.node_pool(connection, pool_id.key)


def require_pool(pool: NodePool | None, pool_id: NodePoolId) -> NodePool:
    """Return the node pool that was looked up by that ID. Raises `AgentPoolNotFound` where there was none."""
    if pool is None:
        raise errors.AgentPoolNotFound(
            f"The agent pool '{pool_id.pool}' was not found in managed cluster '{pool_id.cluster_id.cluster}'.",
            remedy="`az aks nodepool list` shows what exists",
        )
    return pool


def idle_pool(connection: Connection, pool_id: NodePoolId, call: Call) -> tuple[Cluster, NodePool]:
    """Return a running cluster and its node pool, which exists, has the wanted ETag and is in no operation."""
    cluster, pool = pool_and_cluster(connection, pool_id, "write")
    pool = require_pool(pool, pool_id)
    require_preconditions(call.preconditions, pool.etag)
    require_cluster_free(connection, cluster)
    require_running(cluster)
    if pool.operation_id is not None:
        raise in_progress(connection, pool.operation_id, f"agent pool {pool.id.pool}")
    return cluster, pool


def require_cluster_free(connection: Connection, cluster: Cluster) -> None:
    """Raise `OperationNotAllowed` while an operation runs on the cluster or on its resource group."""
    if cluster.operation_id is not None:
        raise in_progress(connection, cluster.operation_id, f"managed cluster {cluster.id.cluster}")
    group = statements.group(connection, cluster.id.group_id.key)
    if group is not None and group.operation_id is not None:
        raise in_progress(connection, group.operation_id, f"resource group {group.id.group}")


def require_idle_cluster(connection: Connection, cluster: Cluster) -> list[str]:
    """Return the keys of the cluster's node pools.

    Raises `OperationNotAllowed` while an operation runs on the cluster, its resource group or any of them.
    """
    require_cluster_free(connection, cluster)
    pools = statements.node_pools_of_cluster(connection, cluster.id.key)
    for pool in pools:
        if pool.operation_id is not None:
            raise in_progress(connection, pool.operation_id, f"agent pool {pool.id.pool}")
    return [pool.id.key for pool in pools]


def require_running(cluster: Cluster) -> None:
    """Raise `OperationNotAllowed` for a stopped cluster: it can only be started or deleted (start-stop-cluster.md)."""
    if cluster.power is PowerState.STOPPED:
        raise errors.OperationNotAllowed(
            f"Managed cluster '{cluster.id.cluster}' is stopped; it can only be started or deleted.",
            remedy=f"start it first: az aks start --name {cluster.id.cluster}",
        )


def in_progress(connection: Connection, operation_id: str, on: str) -> errors.OperationNotAllowed:
    """Return the refusal of a change to what an operation runs on; `on` names that."""
    operation = statements.operation(connection, operation_id)
    words = operation.kind.words if operation else "unknown"
    started = utc(operation.started) if operation else "?"
    return errors.OperationNotAllowed(
        f"Operation is not allowed because there's an in-progress {words} operation (operation ID: {operation_id}) "
        f"on {on} started on UTC {started}. Please wait for it to finish before starting a new operation.",
        remedy="wait for the operation to finish",
    )


def require_preconditions(preconditions: Preconditions, etag: str | None) -> None:
    """Raise `PreconditionFailed` unless If-Match and If-None-Match hold for the ETag there is (None: no resource)."""
    wanted, unwanted = preconditions.if_match, preconditions.if_none_match
    if wanted is not None and (etag is None or (wanted not in ("*", etag))):
        raise errors.PreconditionFailed(
            f"The ETag in If-Match is '{wanted}', and the resource "
            + (f"has '{etag}'." if etag is not None else "does not exist."),
            remedy="read the resource again and repeat the change with its ETag",
        )
    if unwanted is not None and etag is not None and unwanted in ("*", etag):
        raise errors.PreconditionFailed(
            f"If-None-Match is '{unwanted}', and the resource exists with ETag '{etag}'.",
            remedy="leave If-None-Match out to change an existing resource",
        )


def named_snapshot(
    connection: Connection, cluster: Cluster, request: NodePoolRequest, old: NodePool | None, target: str = "properties"
) -> Snapshot | None:
    """Return the snapshot that the request names, None when it names none or the one the node pool is from.

    That one may be gone: it is not looked at again.
    """
    wanted = request.snapshot
    if wanted is None or (old is not None and old.snapshot is not None and old.snapshot.lower() == wanted.lower()):
        return None
    return require_snapshot(connection, wanted, cluster, f"{target}.creationData.sourceResourceId")


def require_snapshot(connection: Connection, wanted: str, cluster: Cluster, target: str) -> Snapshot:
    """Return the snapshot with that ID. Raises `InvalidParameter`.

    It may be of another resource group, region or subscription (Azure/AKS#3037), but not of another tenant.
    """
    snapshot_id = SnapshotId.parse(wanted)
    if snapshot_id is None:
        raise errors.InvalidParameter(
            f"'{wanted}' is not the ID of a node pool snapshot.",
            target=target,
            remedy="use the id that `az aks nodepool snapshot show` prints",
        )
    snapshot = statements.snapshot(connection, snapshot_id.key)
    tenants = statements.tenants_of(connection, {snapshot_id.group_id.subscription, cluster.id.group_id.subscription})
    if snapshot is None or len(tenants) != 1:
        raise errors.InvalidParameter(
            f"The node pool snapshot '{wanted}' was not found.",
            target=target,
            remedy="`az aks nodepool snapshot list` shows what exists",
        )
    return snapshot


def require_pool_room(count: int) -> None:
    """Raise `InvalidParameter` when a cluster would have more node pools than it may."""
    if count > MAX_POOLS:
        raise errors.InvalidParameter(
            f"A managed cluster has at most {MAX_POOLS} node pools; this would be {count}.",
            target="agentPoolProfiles",
            remedy="delete a node pool, or use another cluster",
        )


def utc(seconds: float) -> str:
    """Return a time, in seconds since 1970, as AKS writes it in messages."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")
