"""What steps work with, and what every step does: read the operation's node pools, store what came of them.

Invariant: a step reads what is stored anew; nothing survives in memory from one step to the next.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Protocol

from sqlalchemy.engine import Connection

from poolwright import errors
from poolwright.domain.cluster import Cluster, ProvisioningState, ResourceGroup
from poolwright.domain.deployment import Deployment, DeploymentResource
from poolwright.domain.machine import Machine, MachineFacts
from poolwright.domain.node_pool import NodePool
from poolwright.domain.operation import Operation, OperationError, OperationKind
from poolwright.domain.vm_size import VmSize
from poolwright.kubernetes.endpoint import ClusterEndpoint
from poolwright.machines.engine import MachineEngine
from poolwright.operations.crash_hook import CrashHook
from poolwright.operations.faults import Faults
from poolwright.store import statements
from poolwright.store.database import Database

CLUSTER_KINDS: Final = frozenset(
    {
        OperationKind.CREATE_CLUSTER,
        OperationKind.UPDATE_CLUSTER,
        OperationKind.DELETE_CLUSTER,
        OperationKind.STOP_CLUSTER,
        OperationKind.START_CLUSTER,
        OperationKind.ABORT_CLUSTER,
    }
)


class Renderer(Protocol):
    """How stored values look to clients (`arm/wire_renderer.py`); stored beside the record."""

    def node_pool(self, pool: NodePool) -> bytes: ...
    def machine(self, machine: Machine, pool: NodePool) -> bytes: ...
    def operation(self, operation: Operation) -> bytes: ...
    def operation_error(self, error: OperationError) -> Mapping[str, Any]: ...
    def resource_group(self, group: ResourceGroup) -> bytes: ...


class Resources(Protocol):
    """The resources that deployments lead to, by the verbs of the control plane (`arm/deployable.py`)."""

    def put(
        self,
        connection: Connection,
        deployment: Deployment,
        resource: DeploymentResource,
        body: Mapping[str, Any],
    ) -> str | None:
        """Accept the resource as a PUT of it would be, and return its operation, None when it is there at once."""

    def show(self, connection: Connection, deployment: Deployment, identifier: str) -> Mapping[str, Any] | None:
        """Return the resource as clients see it, None when there is none."""

    def begin(self, operation_id: str) -> None:
        """Have an accepted operation started; nothing happens when it is at work or has ended."""

    def refusal(self, error: errors.PoolwrightError, identifier: str) -> Mapping[str, Any]:
        """Return the refusal of a resource as ARM writes it."""


class NoResources:
    """Implements `Resources` where nothing is deployed."""

    def put(
        self,
        connection: Connection,
        deployment: Deployment,
        resource: DeploymentResource,
        body: Mapping[str, Any],
    ) -> str | None:
        raise NotImplementedError

    def show(self, connection: Connection, deployment: Deployment, identifier: str) -> Mapping[str, Any] | None:
        return None

    def begin(self, operation_id: str) -> None:
        pass

    def refusal(self, error: errors.PoolwrightError, identifier: str) -> Mapping[str, Any]:
        return {"code": error.code, "target": identifier, "message": error.message}


class OperationFailed(Exception):
    """A step failed for good; carries what the operation's error will say, and the keys of the machines it is about."""

    def __init__(self, error: OperationError, machines: Sequence[str] = ()) -> None:
        super().__init__(error.message)
        self.error = error
        self.machines = machines


class Aborted(Exception):
    """Somebody asked for the operation to stop."""


@dataclass(frozen=True, slots=True)
class Context:
    """What steps work with. `wait` sleeps that many seconds."""

    database: Database
    engine: MachineEngine
    cluster: ClusterEndpoint
    render: Renderer
    size_of: Callable[[str], VmSize | None]
    now: Callable[[], float]
    new_id: Callable[[], str]
    wait: Callable[[float], None]
    crash: CrashHook
    faults: Faults
    resources: Resources = field(default_factory=NoResources)


def pools_of(connection: Connection, operation: Operation) -> list[NodePool]:
    """Return the operation's node pools that there are."""
    found = (statements.node_pool(connection, key) for key in operation.pool_keys)
    return [pool for pool in found if pool is not None]


def machines_by_pool(context: Context, operation: Operation) -> list[tuple[NodePool, list[Machine]]]:
    """Return the operation's node pools with all their machines."""
    with context.database.engine.connect() as connection:
        return [
            (pool, statements.machines_of_pool(connection, pool.id.key)) for pool in pools_of(connection, operation)
        ]


def stored(context: Context, operation: Operation) -> Operation | None:
    """Return the operation as it is stored now."""
    with context.database.engine.connect() as connection:
        return statements.operation(connection, operation.id)


def require_wanted(context: Context, operation: Operation) -> None:
    """Raise `Aborted` when somebody asked for the operation to stop, or it was thrown away with everything else."""
    current = stored(context, operation)
    if current is None or current.aborted_by is not None:
        raise Aborted


def has_ended(connection: Connection, operation: Operation) -> bool:
    """Whether the operation has ended: its machines' names may mean machines of another one by now."""
    current = statements.operation(connection, operation.id)
    return current is None or current.status.is_terminal


def machines_failed(what: str, keys: Sequence[str]) -> OperationFailed:
    """Return the failure of a step that names up to five machines."""
    return OperationFailed(
        OperationError(errors.ReconcileVMSSAgentPoolFailed.code, f"{len(keys)} machine(s) {what}: {named(keys)}."),
        keys,
    )


def named(keys: Sequence[str]) -> str:
    """Return the names of up to five machines by key, and how many more there are."""
    names = [key.rpartition("/")[2] for key in keys]
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def rendered(context: Context, pool: NodePool, machines: Iterable[Machine]) -> list[tuple[Machine, bytes]]:
    return [(machine, context.render.machine(machine, pool)) for machine in machines]


def store_facts(context: Context, operation: Operation, facts: Mapping[str, MachineFacts | None]) -> None:
    """Machine rows show these facts; a machine whose facts are None shows nothing."""
    with context.database.transaction() as connection:
        store_facts_in(context, connection, pools_of(connection, operation), facts)


def store_facts_in(
    context: Context, connection: Connection, pools: Iterable[NodePool], facts: Mapping[str, MachineFacts | None]
) -> None:
    """The same within a transaction, for machines of these node pools."""
    for pool in pools:
        prefix = f"{pool.id.key}/"
        there = statements.machines_by_key(connection, [key for key in facts if key.startswith(prefix)])
        seen = [replace(machine, facts=facts[machine.id.key]) for machine in there]
        statements.update_machines(connection, rendered(context, pool, seen))


def report(context: Context, operation: Operation, *, step: str, percent: int, **progress: Any) -> None:
    """Store how far the operation is, and count its node pools' machines by observed generation, for clients to see."""
    with context.database.transaction() as connection:
        pools = pools_of(connection, operation)
        report_in(context, connection, operation, pools, step=step, percent=percent, **progress)


def report_in(
    context: Context,
    connection: Connection,
    operation: Operation,
    pools: Iterable[NodePool],
    *,
    step: str,
    percent: int,
    **progress: Any,
) -> None:
    """The same within a transaction, with the operation's node pools."""
    current = statements.operation(connection, operation.id)
    if current is None or current.status.is_terminal:
        return
    totals: dict[str, int] = {}
    for pool in pools:
        counted = statements.observed_counts(connection, pool.id.key)
        for generation, number in counted.items():
            totals[generation] = totals.get(generation, 0) + number
        if counted != dict(pool.observed):
            shown = replace(pool, observed=counted)
            statements.put_node_pool(connection, shown, context.render.node_pool(shown))
    put_operation(context, connection, current.advanced(step=step, percent=percent, generations=totals, **progress))


def store_released(context: Context, connection: Connection, pool: NodePool) -> NodePool:
    """Store the pool, free for the next operation and with its machines counted by observed generation."""
    first = statements.machine_of_pool(connection, pool.id.key)
    counted = replace(
        pool,
        observed=statements.observed_counts(connection, pool.id.key),
        observed_by=first.facts.observed_by if first is not None and first.facts is not None else None,
        operation_id=None,
        etag=context.new_id(),
    )
    statements.put_node_pool(connection, counted, context.render.node_pool(counted))
    return counted


def release_cluster(context: Context, connection: Connection, operation: Operation, state: ProvisioningState) -> None:
    """The cluster of a cluster operation takes the state; for a node pool's operation it only gets a new ETag."""
    if operation.kind in CLUSTER_KINDS:
        cluster = statements.cluster(connection, operation.resource_key)
        if cluster is not None:
            put_cluster(context, connection, replace(cluster, state=state, operation_id=None))
    elif operation.kind is OperationKind.DELETE_RESOURCE_GROUP:
        group = statements.group(connection, operation.resource_key)
        if group is not None:
            kept = replace(group, state=ProvisioningState.FAILED, operation_id=None)
            statements.put_group(connection, kept, context.render.resource_group(kept))
    else:
        touch_cluster(context, connection, operation)


def touch_cluster(context: Context, connection: Connection, operation: Operation) -> None:
    """The cluster of a node pool's operation gets a new ETag: its body has changed."""
    # From the right: a resource group or cluster may be called agentpools as well.
    cluster = statements.cluster(connection, operation.resource_key.rpartition("/agentpools/")[0])
    if cluster is not None:
        put_cluster(context, connection, cluster)


def put_cluster(context: Context, connection: Connection, cluster: Cluster) -> None:
    statements.put_cluster(connection, replace(cluster, etag=context.new_id()))


def put_operation(context: Context, connection: Connection, operation: Operation) -> None:
    statements.put_operation(connection, operation, context.render.operation(operation))
