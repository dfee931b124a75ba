"""The verbs of node pools.

Invariant: what a PUT would do is found by the PUT's own admission; and a cluster keeps a System node pool.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy.engine import Connection

from poolwright import errors
from poolwright.control_plane.acceptance import Acceptance
from poolwright.control_plane.calls import Accepted, Call
from poolwright.control_plane.capacity import rollout_of, vcpus_beyond
from poolwright.control_plane.preconditions import (
    idle_pool,
    in_progress,
    named_snapshot,
    pool_and_cluster,
    require_cluster_free,
    require_pool,
    require_pool_room,
    require_preconditions,
    require_running,
    require_snapshot,
)
from poolwright.domain import change, quota
from poolwright.domain.admission import rolled_back, settle, with_image_of, with_newest_image
from poolwright.domain.cluster import Cluster, ProvisioningState
from poolwright.domain.node_pool import NodePool, NodePoolRequest, ScaleProfile, same_again
from poolwright.domain.node_pool_kind import Mode, PoolType
from poolwright.domain.operation import OperationKind
from poolwright.domain.resource_id import NodePoolId
from poolwright.domain.what_if import WhatIf
from poolwright.store import statements


class NodePools:
    """All changes to node pools. Every method takes the connection of the transaction it runs in."""

    def __init__(self, acceptance: Acceptance) -> None:
        self._acceptance = acceptance

    def put(self, connection: Connection, pool_id: NodePoolId, request: NodePoolRequest, call: Call) -> Accepted:
        """Accept the creation or change of a node pool."""
        cluster, old, pool = self._admitted(connection, pool_id, request, call)
        kind = OperationKind.UPDATE_NODE_POOL if old else OperationKind.CREATE_NODE_POOL
        return self._accept(connection, kind, cluster, pool, call, created=old is None)

    def what_if(self, connection: Connection, pool_id: NodePoolId, request: NodePoolRequest, call: Call) -> WhatIf:
        """Return what the same PUT would do. Changes nothing.

        Whatever refuses the PUT refuses this too, in the same words.
        """
        cluster, old, pool = self._admitted(connection, pool_id, request, call)
        present, rollout = rollout_of(connection, pool)
        offered = self._acceptance.catalog.at(cluster.location)
        return WhatIf(
            pool=pool,
            old=old,
            differences=tuple(change.differences(old, pool)) if old else (),
            rollout=rollout,
            surge_machines=rollout.most_surge(present),
            surge_vcpus=vcpus_beyond([(present, rollout)], self._acceptance.catalog).get(quota.TOTAL, 0),
            controllers=change.controller_change(old, pool, offered) if old else None,
        )

    def scale(
        self,
        connection: Connection,
        pool_id: NodePoolId,
        count: int | None,
        manual: Sequence[ScaleProfile] | None,
        call: Call,
    ) -> Accepted:
        """Accept another count, or other scale profiles; whatever was not given stays."""
        _, old = idle_pool(connection, pool_id, call)
        is_virtual_machines = old.pool_type is PoolType.VIRTUAL_MACHINES
        if (count is not None and is_virtual_machines) or (manual is not None and not is_virtual_machines):
            name = "count" if count is not None and is_virtual_machines else "virtualMachinesProfile"
            raise errors.InvalidParameter(
                f"Node pool '{old.id.pool}' is of type {old.pool_type.value}, which is not scaled by {name}.",
                target=f"properties.{name}",
                remedy="scale pools of type VirtualMachines by virtualMachinesProfile.scale, others by count",
            )
        request = replace(same_again(old), count=count, manual_scale=tuple(manual) if manual is not None else None)
        return self.put(connection, pool_id, request, call)

    def upgrade_node_image(
        self, connection: Connection, pool_id: NodePoolId, call: Call, snapshot_id: str | None = None
    ) -> Accepted:
        """Accept the move of a node pool to the newest image of its definition, or to the snapshot's image.

        Its generation and its Kubernetes version stay.
        """
        cluster, old = idle_pool(connection, pool_id, call)
        surroundings = self._acceptance.surroundings(cluster, call)
        if snapshot_id is None:
            pool = with_newest_image(old, surroundings, etag=self._acceptance.new_id())
        else:
            snapshot = require_snapshot(connection, snapshot_id, cluster, "AKSSnapshotId")
            pool = with_image_of(old, snapshot, surroundings, etag=self._acceptance.new_id())
        self._acceptance.require_machines(connection, cluster, [pool], call)
        return self._accept(connection, OperationKind.UPGRADE_NODE_IMAGE, cluster, pool, call)

    def rollback(self, connection: Connection, pool_id: NodePoolId, call: Call) -> Accepted:
        """Accept going back to the last good state: size, OS SKU, wish, image and Kubernetes version."""
        cluster, old = idle_pool(connection, pool_id, call)
        pool = rolled_back(old, etag=self._acceptance.new_id())
        self._acceptance.require_machines(connection, cluster, [pool], call)
        return self._accept(connection, OperationKind.ROLLBACK_NODE_POOL, cluster, pool, call)

    def abort(self, connection: Connection, pool_id: NodePoolId, call: Call) -> Accepted:
        """Accept that the node pool's running operation stops at its next step; it ends Canceled."""
        cluster, pool = pool_and_cluster(connection, pool_id, "abort")
        pool = require_pool(pool, pool_id)
        running = statements.operation(connection, pool.operation_id) if pool.operation_id else None
        if running is None or running.status.is_terminal or running.resource_key != pool.id.key:
            raise errors.OperationNotAllowed(
                f"There is no operation to abort on agent pool '{pool.id.pool}'"
                + (f": operation {running.id} runs on the whole cluster." if running is not None else "."),
                remedy="`az aks nodepool show` tells whether one is in progress",
            )
        if running.kind is OperationKind.DELETE_NODE_POOL:
            raise errors.OperationNotAllowed(
                f"The deletion of agent pool '{pool.id.pool}' (operation ID: {running.id}) cannot be aborted.",
                remedy="wait for it to finish and create the node pool again",
            )
        return self._acceptance.stop(
            connection,
            running,
            self._acceptance.pool_operation(connection, OperationKind.ABORT_NODE_POOL, cluster, pool, call),
        )

    def delete(self, connection: Connection, pool_id: NodePoolId, call: Call) -> Accepted:
        """Accept the deletion of a node pool; nothing happens for one that does not exist."""
        cluster, pool = pool_and_cluster(connection, pool_id, "delete")
        require_preconditions(call.preconditions, pool.etag if pool else None)
        if pool is None:
            return Accepted(None)
        require_cluster_free(connection, cluster)
        if pool.operation_id is not None:
            raise in_progress(connection, pool.operation_id, f"agent pool {pool.id.pool}")
        self._require_other_system_pool(connection, cluster, pool)
        operation = self._acceptance.pool_operation(connection, OperationKind.DELETE_NODE_POOL, cluster, pool, call)
        self._acceptance.store_pool(
            connection,
            replace(pool, state=ProvisioningState.DELETING, operation_id=operation.id, etag=self._acceptance.new_id()),
        )
        return self._acceptance.accept(connection, operation)

    def _admitted(
        self, connection: Connection, pool_id: NodePoolId, request: NodePoolRequest, call: Call
    ) -> tuple[Cluster, NodePool | None, NodePool]:
        """The cluster, the node pool there is, and the one the PUT leads to; raises when the PUT is refused."""
        cluster, old = pool_and_cluster(connection, pool_id, "write")
        require_preconditions(call.preconditions, old.etag if old else None)
        require_cluster_free(connection, cluster)
        require_running(cluster)
        if old is not None and old.operation_id is not None:
            raise in_progress(connection, old.operation_id, f"agent pool {old.id.pool}")
        pool = settle(
            NodePoolId(cluster.id, pool_id.pool),
            request,
            old,
            self._acceptance.surroundings(cluster, call),
            header=call.header,
            etag=self._acceptance.new_id(),
            snapshot=named_snapshot(connection, cluster, request, old),
        )
        if old is None:
            require_pool_room(1 + statements.node_pool_count(connection, cluster.id.key))
        elif old.mode is Mode.SYSTEM and pool.mode is not Mode.SYSTEM:
            self._require_other_system_pool(connection, cluster, old)
        self._acceptance.require_machines(connection, cluster, [pool], call)
        return cluster, old, pool

    def _accept(
        self,
        connection: Connection,
        kind: OperationKind,
        cluster: Cluster,
        pool: NodePool,
        call: Call,
        *,
        created: bool = False,
    ) -> Accepted:
        operation = self._acceptance.pool_operation(connection, kind, cluster, pool, call)
        self._acceptance.store_pool(connection, replace(pool, operation_id=operation.id))
        return self._acceptance.accept(connection, operation, created=created)

    def _require_other_system_pool(self, connection: Connection, cluster: Cluster, pool: NodePool) -> None:
        others = (
            other
            for other in statements.node_pools_of_cluster(connection, cluster.id.key)
            if other.id.key != pool.id.key
            and other.mode is Mode.SYSTEM
            and other.state is not ProvisioningState.DELETING
        )
        if pool.mode is Mode.SYSTEM and next(others, None) is None:
            raise errors.OperationNotAllowed(
                f"Node pool '{pool.id.pool}' is the only System node pool of managed cluster '{cluster.id.cluster}'; "
                "a cluster keeps at least one.",
                target="properties.mode",
                remedy="add another node pool with mode System first",
            )
