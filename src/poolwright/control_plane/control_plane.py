"""The control plane as a whole: the verbs of the product, independent of HTTP, and their rehearsal.

Each changing verb runs in one write transaction: it looks at what is stored, calls the pure functions
of `domain/`, stores resource and operation, and enlists the operation. Nothing is stored when it raises.

Invariant: a rehearsal is the same verbs with the same admission; only nobody carries out what they accept.
"""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy.engine import Connection

from poolwright.catalog.catalog import Catalog
from poolwright.catalog.in_force import CatalogInForce
from poolwright.control_plane.acceptance import Acceptance
from poolwright.control_plane.clusters import Clusters
from poolwright.control_plane.deployments import Deployments
from poolwright.control_plane.machines import Machines
from poolwright.control_plane.node_pools import NodePools
from poolwright.control_plane.quotas import Quotas
from poolwright.control_plane.resource_groups import ResourceGroups
from poolwright.domain.cluster import ProvisioningState
from poolwright.domain.operation import Operation
from poolwright.operations.context import CLUSTER_KINDS
from poolwright.store import statements


class ControlPlane:
    """The verbs by what they change. Every method takes the connection of the transaction it runs in.

    A returned operation is to be begun (`DurableOperations.begin`) after the commit.
    """

    def __init__(self, acceptance: Acceptance) -> None:
        self._acceptance = acceptance
        self.resource_groups = ResourceGroups(acceptance)
        self.clusters = Clusters(acceptance)
        self.node_pools = NodePools(acceptance)
        self.machines = Machines(acceptance)
        self.deployments = Deployments(acceptance)
        self.quotas = Quotas(acceptance)

    @property
    def catalogs(self) -> CatalogInForce:
        """The catalogue as it is replaced as a whole."""
        return self._acceptance.catalogs

    @property
    def catalog(self) -> Catalog:
        """The present catalogue."""
        return self._acceptance.catalog

    def require_location(self, location: str, target: str) -> str:
        """Return the location in short spelling. Raises `LocationNotAvailableForResourceType`."""
        return self._acceptance.require_location(location, target)

    def rehearsing(self) -> ControlPlane:
        """Return one whose accepted operations nobody carries out, for a transaction that is rolled back."""
        return ControlPlane(replace(self._acceptance, operations=_Nobody()))

    def take_as_done(self, connection: Connection, operation: Operation) -> None:
        """Store the operation and its resources as if it had succeeded: without machines. For rehearsals."""
        ended = operation.succeeded(self._acceptance.now(), {})
        statements.put_operation(connection, ended, self._acceptance.render.operation(ended))
        for key in operation.pool_keys:
            pool = statements.node_pool(connection, key)
            if pool is not None:
                state = ProvisioningState.SUCCEEDED
                self._acceptance.store_pool(
                    connection, replace(pool, state=state, operation_id=None, promised=pool.count)
                )
        if operation.kind in CLUSTER_KINDS:
            cluster = statements.cluster(connection, operation.resource_key)
            if cluster is not None:
                state = ProvisioningState.SUCCEEDED
                statements.put_cluster(connection, replace(cluster, state=state, operation_id=None))


class _Nobody:
    """Operations that nobody carries out."""

    def enlist(self, connection: Connection, operation_id: str) -> None:
        pass

    def begin(self, operation_id: str) -> None:
        pass

    def start(self) -> None:
        pass

    def await_idle(self, seconds: float) -> bool:
        return True

    def stop(self) -> None:
        pass
