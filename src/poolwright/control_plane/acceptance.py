"""What every verb works with, and how an operation is accepted.

Invariant: an operation that is accepted is stored with its resource and its workflow in one commit; one that a fault
refuses is refused before anything is written.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from sqlalchemy.engine import Connection

from poolwright import errors
from poolwright.catalog.catalog import Catalog, normalized_location
from poolwright.catalog.in_force import CatalogInForce
from poolwright.control_plane.calls import Accepted, Call
from poolwright.control_plane.capacity import require_machines, rollout_of, vcpus_beyond
from poolwright.domain import quota
from poolwright.domain.cluster import Cluster
from poolwright.domain.fault import Point
from poolwright.domain.node_pool import NodePool
from poolwright.domain.operation import Operation, OperationKind
from poolwright.domain.profile import Profile
from poolwright.domain.resource_id import GroupId
from poolwright.domain.size_name import alternatives
from poolwright.domain.surroundings import Surroundings
from poolwright.domain.vm_size import VmSize
from poolwright.operations.bad_day import refused_on_demand
from poolwright.operations.context import Renderer, pools_of
from poolwright.operations.durable import DurableOperations
from poolwright.operations.faults import Faults
from poolwright.store import statements
from poolwright.store.database import Kept


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceptance:
    """What every verb works with, and how its operation is made, stored and enlisted.

    What reads or stores takes the connection of the verb's transaction. `now` returns seconds since 1970.
    """

    catalogs: CatalogInForce
    operations: DurableOperations
    render: Renderer
    profile: Profile
    engine_name: str
    now: Callable[[], float]
    new_id: Callable[[], str]
    faults: Faults

    @property
    def catalog(self) -> Catalog:
        """The present catalogue."""
        return self.catalogs.present

    def require_location(self, location: str, target: str) -> str:
        """Return the location in ARM's short spelling (`East US` is `eastus`), if the service offers it.

        Raises `LocationNotAvailableForResourceType`.
        """
        place = normalized_location(location)
        if place not in self.catalog.locations:
            offered = ",".join(self.catalog.locations)
            raise errors.LocationNotAvailableForResourceType(
                f"The provided location '{location}' is not available for resource type "
                f"'Microsoft.ContainerService/managedClusters'. List of available regions for the resource type is "
                f"'{offered}'.",
                target=target,
                remedy=f"choose one of {offered}, or start the service with --locations",
            )
        return place

    def surroundings(self, cluster: Cluster, call: Call, target: str = "properties") -> Surroundings:
        """Return what the cluster's node pools are admitted by; `target` is where the request has the node pool."""
        return Surroundings(
            profile=self.profile,
            engine=self.engine_name,
            catalog=self.catalog.at(cluster.location),
            cluster=cluster,
            subscription=cluster.id.group_id.subscription,
            api_version=call.api_version,
            target=target,
        )

    def require_machines(self, connection: Connection, cluster: Cluster, pools: Sequence[NodePool], call: Call) -> None:
        """Raise unless the machines that the node pools need may be had (`capacity.require_machines`)."""
        require_machines(connection, self.catalog, self.surroundings(cluster, call), pools)

    def pool_operation(
        self, connection: Connection, kind: OperationKind, cluster: Cluster, pool: NodePool, call: Call
    ) -> Operation:
        """Return an operation on one node pool, about to be stored. Raises what a fault refuses it with."""
        return self.operation(
            connection,
            kind,
            cluster.id.group_id,
            cluster.location,
            str(pool.id),
            pool.id.key,
            [pool.id.key],
            call,
            wanted=[pool],
        )

    def cluster_operation(
        self,
        connection: Connection,
        kind: OperationKind,
        cluster: Cluster,
        pool_keys: Sequence[str],
        call: Call,
        *,
        wanted: Sequence[NodePool] = (),
    ) -> Operation:
        """Return an operation on a cluster and those of its node pools. Raises what a fault refuses it with.

        `wanted` are the node pools that it will change, as they are to become.
        """
        return self.operation(
            connection,
            kind,
            cluster.id.group_id,
            cluster.location,
            str(cluster.id),
            cluster.id.key,
            pool_keys,
            call,
            wanted=wanted,
        )

    def operation(
        self,
        connection: Connection,
        kind: OperationKind,
        group_id: GroupId,
        location: str,
        resource_id: str,
        resource_key: str,
        pool_keys: Sequence[str],
        call: Call,
        *,
        wanted: Sequence[NodePool] = (),
    ) -> Operation:
        """Return an operation about to be stored. Raises what a fault refuses it with, before anything is written."""
        operation = Operation(
            id=str(uuid.UUID(self.new_id())),
            kind=kind,
            subscription=group_id.subscription.lower(),
            location=location,
            resource_id=resource_id,
            resource_key=resource_key,
            pool_keys=tuple(pool_keys),
            started=self.now(),
            correlation_id=call.correlation_id,
        )
        if self.faults.could_fire(Point.ADMISSION):
            self._refuse_on_demand(connection, operation, wanted)
        return operation

    def accept(self, connection: Connection, operation: Operation, *, created: bool = False) -> Accepted:
        """Store the operation and enlist its workflow."""
        statements.put_operation(connection, operation, self.render.operation(operation))
        self.operations.enlist(connection, operation.id)
        return Accepted(operation, created)

    def stop(self, connection: Connection, running: Operation, abort: Operation) -> Accepted:
        """Ask the running operation to stop; the abort ends together with it. Asked again, it is the same abort."""
        if running.aborted_by is not None:
            earlier = statements.operation(connection, running.aborted_by)
            if earlier is not None:
                return Accepted(earlier)
        stopping = replace(running, aborted_by=abort.id)
        statements.put_operation(connection, abort, self.render.operation(abort))
        statements.put_operation(connection, stopping, self.render.operation(stopping))
        return Accepted(abort)

    def store_pool(self, connection: Connection, pool: NodePool) -> None:
        """Store the node pool with what clients see of it."""
        statements.put_node_pool(connection, pool, self.render.node_pool(pool))

    def _refuse_on_demand(self, connection: Connection, operation: Operation, wanted: Sequence[NodePool]) -> None:
        """Raise what a fault has for the operation; that it fired is kept, and nothing else is there to keep yet."""
        names = quota.family_names(self.catalog.sizes)
        needed: dict[str, dict[str, int]] = {}
        for pool in wanted:
            beyond = vcpus_beyond([rollout_of(connection, pool)], self.catalog)
            needed[pool.id.key] = {names.get(family, family): vcpus for family, vcpus in beyond.items()}
        error = refused_on_demand(
            connection,
            self.faults,
            operation,
            wanted or pools_of(connection, operation),
            needed,
            lambda name: self._sizes_near(name, operation.location),
        )
        if error is not None:
            raise Kept(error)

    def _sizes_near(self, name: str, location: str) -> tuple[VmSize, ...]:
        size = self.catalog.size(name)
        return alternatives(size, self.catalog.sizes_in(location)) if size is not None else ()
