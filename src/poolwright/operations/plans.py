"""What happens in an operation, step by step.

A plan is a tuple of steps, readable aloud. A step's `do` and `undo` may run twice: they look before
they act. The runner (`run_plan`) keeps the order, checkpoints through the port, retries temporary
errors, and on a permanent one undoes the steps done so far and marks the operation failed.

Invariant: an operation says Succeeded in the same transaction in which its resource does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol

import structlog
from sqlalchemy.engine import Connection
from sqlalchemy.exc import OperationalError as DatabaseUnavailable

from poolwright import errors
from poolwright.domain.cluster import Cluster, ProvisioningState, ResourceGroup
from poolwright.domain.machine import Machine, MachineFacts, MachineSpec, machine_name
from poolwright.domain.node_pool import NodePool, assigned_sizes
from poolwright.domain.node_pool_kind import PowerState
from poolwright.domain.operation import Operation, OperationError, OperationKind
from poolwright.domain.resource_id import MachineId
from poolwright.domain.vm_size import VmSize
from poolwright.machines.engine import MachineEngine, PermanentError, TemporaryError
from poolwright.operations.crash_hook import CrashHook
from poolwright.store import statements
from poolwright.store.database import Database

log = structlog.get_logger(__name__)

# Machines are looked at again after a tenth of the time waited so far, within these bounds.
POLL_SECONDS: Final = (0.05, 1.0)
READY_TIMEOUT_SECONDS: Final = 1800.0
RETRY_TIMEOUT_SECONDS: Final = 1800.0
DATABASE_RETRY_SECONDS: Final = 1.0


class Renderer(Protocol):
    """How stored values look to clients (`arm/wire.py`); stored beside the record."""

    def node_pool(self, pool: NodePool) -> bytes: ...
    def machine(self, machine: Machine, pool: NodePool) -> bytes: ...
    def operation(self, operation: Operation) -> bytes: ...
    def resource_group(self, group: ResourceGroup) -> bytes: ...


class NotEnded(Exception):
    """The operation could not even be marked failed; it stays in progress until it is enlisted anew."""


class OperationFailed(Exception):
    """A step failed for good; carries what the operation's error will say."""

    def __init__(self, error: OperationError) -> None:
        super().__init__(error.message)
        self.error = error


@dataclass(frozen=True, slots=True)
class Context:
    """What steps work with. `wait` sleeps that many seconds."""

    database: Database
    engine: MachineEngine
    render: Renderer
    size_of: Callable[[str], VmSize | None]
    now: Callable[[], float]
    new_id: Callable[[], str]
    wait: Callable[[float], None]
    crash: CrashHook


@dataclass(frozen=True, slots=True)
class Step:
    """One step. `undo` is None where there is nothing to undo; the plan says why."""

    name: str
    do: Callable[[Context, Operation], None]
    undo: Callable[[Context, Operation], None] | None = None


def allocate_machines(context: Context, operation: Operation) -> None:
    """Every wanted machine has a row, and a pool that Compute would refuse has failed."""
    with context.database.transaction() as connection:
        for pool in _pools(connection, operation):
            if pool.late_failure is not None:
                raise OperationFailed(pool.late_failure)
            present = {machine.ordinal: machine for machine in statements.machines_of_pool(connection, pool.id.key)}
            wanted = _wanted_machines(context, pool, present)
            added = [machine for machine in wanted if machine.ordinal not in present]
            changed = [machine for machine in wanted if present.get(machine.ordinal, machine) != machine]
            statements.add_machines(connection, _rendered(context, pool, added))
            statements.update_machines(connection, _rendered(context, pool, changed))


def ensure_machines(context: Context, operation: Operation) -> None:
    """Every wanted machine exists in the engine as specified."""
    specs = [machine.spec for machine in _wanted(context, operation)]
    context.engine.ensure(specs)


def remove_new_machines(context: Context, operation: Operation) -> None:
    """Machines that no operation brought about successfully are gone; those the pool had before stay."""
    for pool, _ in _by_pool(context, operation):
        with context.database.engine.connect() as connection:
            new = statements.unsettled_machines(connection, pool.id.key)
        if new:
            context.engine.delete(new)
            with context.database.transaction() as connection:
                statements.delete_machines(connection, new)


def await_ready(context: Context, operation: Operation) -> None:
    """Every wanted machine is ready and shows the resolved generation, or is stopped as wanted."""
    wanted = {machine.id.key: machine for machine in _wanted(context, operation)}
    started = context.now()
    reported = -1
    while True:
        facts = context.engine.observe(list(wanted))
        _require_sound(wanted, facts)
        awaited = [key for key, machine in wanted.items() if not _is_settled(machine, facts[key])]
        if not awaited:
            break
        if len(awaited) != reported:
            _report(context, operation, len(wanted) - len(awaited), len(wanted), facts)
            reported = len(awaited)
        waited = context.now() - started
        if waited > READY_TIMEOUT_SECONDS:
            raise _machines_failed("did not become ready in time", awaited)
        context.wait(min(max(waited / 10, POLL_SECONDS[0]), POLL_SECONDS[1]))
    _store_facts(context, operation, facts)


def store_what_is_there(context: Context, operation: Operation) -> None:
    """Machine rows show what the engine sees now; a machine it does not have shows nothing."""
    machines = [machine for _, machines in _by_pool(context, operation) for machine in machines]
    facts = context.engine.observe([machine.id.key for machine in machines])
    _store_facts(context, operation, {machine.id.key: facts.get(machine.id.key) for machine in machines})


def remove_surplus_machines(context: Context, operation: Operation) -> None:
    """Machines the pool no longer wants are gone from the engine and the store."""
    for pool, machines in _by_pool(context, operation):
        kept = _kept_ordinals(pool, machines)
        surplus = [machine.id.key for machine in machines if machine.ordinal not in kept]
        if surplus:
            context.engine.delete(surplus)
            with context.database.transaction() as connection:
                statements.delete_machines(connection, surplus)


def mark_succeeded(context: Context, operation: Operation) -> None:
    """The node pools, their cluster and the operation say Succeeded, in one transaction."""
    with context.database.transaction() as connection:
        current = statements.operation(connection, operation.id)
        if current is None or current.status.is_terminal:
            return
        totals: Counter[str] = Counter()
        for pool in _pools(connection, operation):
            statements.settle_machines(connection, pool.id.key)
            succeeded = replace(pool, state=ProvisioningState.SUCCEEDED, error=None)
            totals.update(_store_released(context, connection, succeeded).observed)
        _release_cluster(context, connection, operation, ProvisioningState.SUCCEEDED)
        _put_operation(context, connection, current.succeeded(context.now(), dict(totals)))


def delete_machines(context: Context, operation: Operation) -> None:
    """No machine of the operation's node pools exists in the engine."""
    for _, machines in _by_pool(context, operation):
        context.engine.delete([machine.id.key for machine in machines])


def remove_resources(context: Context, operation: Operation) -> None:
    """The resource is gone from the store and the operation says Succeeded, in one transaction."""
    with context.database.transaction() as connection:
        current = statements.operation(connection, operation.id)
        if current is None or current.status.is_terminal:
            return
        key = operation.resource_key
        match operation.kind:
            case OperationKind.DELETE_NODE_POOL:
                statements.delete_node_pool(connection, key)
                _touch_cluster(context, connection, operation)
            case OperationKind.DELETE_CLUSTER:
                statements.delete_cluster(connection, key)
            case OperationKind.DELETE_RESOURCE_GROUP:
                group = statements.group(connection, key)
                if group is not None:
                    for cluster in statements.clusters_of_group(connection, group.id):
                        statements.delete_cluster(connection, cluster.id.key)
                    statements.delete_group(connection, key)
            case _:
                raise AssertionError(f"{operation.kind} removes nothing")
        _put_operation(context, connection, current.succeeded(context.now(), {}))


# The first undo takes back what the next steps added: a failed creation leaves no machine behind. The node
# pool itself stays, Failed, and the next PUT tries again. Specifications stay as wanted for the same reason.
# The order matters: surplus machines go only after their replacements are ready.
_BRING_ABOUT: Final = (
    Step("allocate_machines", allocate_machines, remove_new_machines),
    Step("ensure_machines", ensure_machines, store_what_is_there),
    Step("await_ready", await_ready),
    Step("remove_surplus_machines", remove_surplus_machines),
    Step("mark_succeeded", mark_succeeded),
)
# A deleted machine does not come back; undoing only says which are left. Deleting again completes the work.
_TAKE_AWAY: Final = (
    Step("delete_machines", delete_machines, store_what_is_there),
    Step("remove_resources", remove_resources),
)

PLANS: Final[Mapping[OperationKind, tuple[Step, ...]]] = {
    OperationKind.CREATE_NODE_POOL: _BRING_ABOUT,
    OperationKind.UPDATE_NODE_POOL: _BRING_ABOUT,
    OperationKind.CREATE_CLUSTER: _BRING_ABOUT,
    OperationKind.UPDATE_CLUSTER: _BRING_ABOUT,
    OperationKind.DELETE_NODE_POOL: _TAKE_AWAY,
    OperationKind.DELETE_CLUSTER: _TAKE_AWAY,
    OperationKind.DELETE_RESOURCE_GROUP: _TAKE_AWAY,
}

Failure = dict[str, str | None]
RunStep = Callable[[str, Callable[[], Failure | None]], Failure | None]


def run_plan(context: Context, operation_id: str, run_step: RunStep) -> None:
    """Carry out the operation's plan, ending with the operation Succeeded or Failed. Raises `NotEnded`.

    `run_step(name, effect)` checkpoints what the effect returned (None, or the failure as plain JSON) and
    returns the checkpoint instead of repeating a step that is done.
    """
    with context.database.engine.connect() as connection:
        operation = statements.operation(connection, operation_id)
    # An ended operation has let go of its resource, which may be in another one by now.
    if operation is None or operation.status.is_terminal:
        return
    plan = PLANS[operation.kind]
    with structlog.contextvars.bound_contextvars(
        correlation_id=operation.correlation_id, operation_id=operation_id, operation=operation.kind.value
    ):
        for position, step in enumerate(plan):
            failure = run_step(step.name, _effect(context, operation, step.name, step.do))
            if failure is not None:
                _unwind(context, operation, plan[: position + 1], failure, run_step)
                return


def _unwind(context: Context, operation: Operation, begun: Sequence[Step], failure: Failure, run_step: RunStep) -> None:
    """Undo the steps begun, last first, and mark the operation failed with the first cause.

    What cannot be undone is said with the cause. It stays known: machine rows go only after their machines.
    """
    message = failure["message"] or ""
    for step in reversed(begun):
        if step.undo is not None:
            left = run_step(f"undo_{step.name}", _effect(context, operation, f"undo_{step.name}", step.undo))
            if left is not None:
                message += f" Cleaning up failed as well: {left['message']}"
    error = OperationError(failure["code"] or "", message, failure["target"], failure.get("remedy"))

    def mark_failed(context: Context, operation: Operation) -> None:
        _mark_failed(context, operation, error)

    if run_step("mark_failed", _effect(context, operation, "mark_failed", mark_failed)) is not None:
        raise NotEnded(f"operation {operation.id} could not be marked failed")


def _effect(
    context: Context, operation: Operation, name: str, act: Callable[[Context, Operation], None]
) -> Callable[[], Failure | None]:
    """The act with the crash hook around it; temporary errors are retried, others become the returned failure."""

    def effect() -> Failure | None:
        context.crash(operation.kind.value, name, "before")
        give_up = context.now() + RETRY_TIMEOUT_SECONDS
        while True:
            try:
                act(context, operation)
                failure = None
            except (TemporaryError, DatabaseUnavailable) as error:
                if context.now() < give_up:
                    log.warning("operation_step_retried", step=name, cause=str(error))
                    context.wait(
                        error.retry_after_seconds if isinstance(error, TemporaryError) else DATABASE_RETRY_SECONDS
                    )
                    continue
                failure = _failure(error, name)
            except Exception as error:
                failure = _failure(error, name)
            break
        context.crash(operation.kind.value, name, "after")
        return failure

    return effect


def _failure(error: Exception, step: str) -> Failure:
    """What the operation's error will say. Only what was raised on purpose shows its own words."""
    match error:
        case OperationFailed():
            told = error.error
        case PermanentError() | TemporaryError():
            told = OperationError(errors.ReconcileVMSSAgentPoolFailed.code, str(error))
        case _:
            log.error("operation_step_failed", step=step, exc_info=error)
            told = OperationError(
                errors.InternalServerError.code,
                "The operation met an internal error; the service's log has the details.",
            )
    return {"code": told.code, "message": told.message, "target": told.target, "remedy": told.remedy}


def _mark_failed(context: Context, operation: Operation, error: OperationError) -> None:
    """The node pools, their cluster and the operation say Failed with the cause, in one transaction."""
    with context.database.transaction() as connection:
        current = statements.operation(connection, operation.id)
        if current is None or current.status.is_terminal:
            return
        for pool in _pools(connection, operation):
            _store_released(context, connection, replace(pool, state=ProvisioningState.FAILED, error=error))
        _release_cluster(context, connection, operation, ProvisioningState.FAILED)
        _put_operation(context, connection, current.failed(context.now(), error))


def _pools(connection: Connection, operation: Operation) -> list[NodePool]:
    found = (statements.node_pool(connection, key) for key in operation.pool_keys)
    return [pool for pool in found if pool is not None]


def _by_pool(context: Context, operation: Operation) -> list[tuple[NodePool, list[Machine]]]:
    with context.database.engine.connect() as connection:
        return [(pool, statements.machines_of_pool(connection, pool.id.key)) for pool in _pools(connection, operation)]


def _wanted(context: Context, operation: Operation) -> list[Machine]:
    """The machines the operation's pools want, from their rows."""
    wanted = []
    for pool, machines in _by_pool(context, operation):
        kept = _kept_ordinals(pool, machines)
        wanted += [machine for machine in machines if machine.ordinal in kept]
    return wanted


def _kept_ordinals(pool: NodePool, machines: Iterable[Machine]) -> set[int]:
    return set(assigned_sizes(pool, {machine.ordinal: machine.spec.size for machine in machines}))


def _wanted_machines(context: Context, pool: NodePool, present: Mapping[int, Machine]) -> list[Machine]:
    """The machines the pool wants, finished. A machine there was keeps its last facts until it is seen again."""
    machines = []
    for ordinal, size in assigned_sizes(pool, {ordinal: old.spec.size for ordinal, old in present.items()}).items():
        machine_id = MachineId(pool.id, machine_name(pool.id, pool.os_type, ordinal))
        old = present.get(ordinal)
        spec = _spec(context, pool, machine_id, size, ordinal, old)
        machines.append(Machine(id=machine_id, ordinal=ordinal, spec=spec, facts=old.facts if old else None))
    return machines


def _spec(
    context: Context, pool: NodePool, machine_id: MachineId, size_name: str, ordinal: int, old: Machine | None
) -> MachineSpec:
    size = context.size_of(size_name)
    if size is not None:
        vcpus, memory_gb = size.vcpus, size.memory_gb
    elif old is not None:
        vcpus, memory_gb = old.spec.vcpus, old.spec.memory_gb
    else:
        raise OperationFailed(
            OperationError(errors.VMSizeNotSupported.code, f"VM size '{size_name}' has left the catalogue.")
        )
    return MachineSpec(
        key=machine_id.key,
        generation=pool.generation,
        node_image=pool.node_image,
        size=size_name,
        vcpus=vcpus,
        memory_gb=memory_gb,
        secure_boot=pool.secure_boot,
        vtpm=pool.vtpm,
        running=pool.power is PowerState.RUNNING,
        zone=pool.zones[ordinal % len(pool.zones)] if pool.zones else None,
    )


def _is_settled(machine: Machine, facts: MachineFacts) -> bool:
    if not machine.spec.running:
        return not facts.running
    return facts.ready and facts.observed is machine.spec.generation


def _require_sound(wanted: Mapping[str, Machine], facts: Mapping[str, MachineFacts]) -> None:
    vanished = [key for key in wanted if key not in facts]
    if vanished:
        raise _machines_failed("vanished", vanished)
    broken = [key for key, machine in wanted.items() if machine.spec.running and facts[key].cause is not None]
    if broken:
        raise _machines_failed(f"will not become ready ({facts[broken[0]].cause})", broken)
    wrong = [
        key
        for key, machine in wanted.items()
        if facts[key].ready and facts[key].observed not in (None, machine.spec.generation)
    ]
    if wrong:
        raise _machines_failed("booted another generation than the resolved one", wrong)


def _machines_failed(what: str, keys: Sequence[str]) -> OperationFailed:
    names = [key.rpartition("/")[2] for key in keys]
    shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    return OperationFailed(
        OperationError(errors.ReconcileVMSSAgentPoolFailed.code, f"{len(names)} machine(s) {what}: {shown}.")
    )


def _report(
    context: Context, operation: Operation, settled: int, total: int, facts: Mapping[str, MachineFacts]
) -> None:
    """Store how far the operation is."""
    with context.database.transaction() as connection:
        current = statements.operation(connection, operation.id)
        if current is not None and not current.status.is_terminal:
            advanced = current.advanced(
                step="await_ready", percent=100 * settled // max(total, 1), generations=_counts(facts.values())
            )
            _put_operation(context, connection, advanced)


def _store_facts(context: Context, operation: Operation, facts: Mapping[str, MachineFacts | None]) -> None:
    with context.database.transaction() as connection:
        for pool in _pools(connection, operation):
            seen = [
                replace(machine, facts=facts[machine.id.key])
                for machine in statements.machines_of_pool(connection, pool.id.key)
                if machine.id.key in facts
            ]
            statements.update_machines(connection, _rendered(context, pool, seen))


def _rendered(context: Context, pool: NodePool, machines: Iterable[Machine]) -> list[tuple[Machine, bytes]]:
    return [(machine, context.render.machine(machine, pool)) for machine in machines]


def _store_released(context: Context, connection: Connection, pool: NodePool) -> NodePool:
    """Store the pool, free for the next operation and with its machines counted by observed generation."""
    machines = statements.machines_of_pool(connection, pool.id.key)
    counted = replace(
        pool,
        observed=_counts(machine.facts for machine in machines),
        observed_by=next((machine.facts.observed_by for machine in machines if machine.facts is not None), None),
        operation_id=None,
        etag=context.new_id(),
    )
    statements.put_node_pool(connection, counted, context.render.node_pool(counted))
    return counted


def _counts(facts: Iterable[MachineFacts | None]) -> dict[str, int]:
    counts = {"V1": 0, "V2": 0, "unknown": 0}
    for fact in facts:
        observed = fact.observed if fact is not None else None
        counts[observed.value if observed is not None else "unknown"] += 1
    return counts


def _release_cluster(context: Context, connection: Connection, operation: Operation, state: ProvisioningState) -> None:
    """The cluster of a cluster operation takes the state; for a node pool's operation it only gets a new ETag."""
    if operation.kind in (OperationKind.CREATE_CLUSTER, OperationKind.UPDATE_CLUSTER, OperationKind.DELETE_CLUSTER):
        cluster = statements.cluster(connection, operation.resource_key)
        if cluster is not None:
            _put_cluster(context, connection, replace(cluster, state=state, operation_id=None))
    elif operation.kind is OperationKind.DELETE_RESOURCE_GROUP:
        group = statements.group(connection, operation.resource_key)
        if group is not None:
            kept = replace(group, state=ProvisioningState.FAILED, operation_id=None)
            statements.put_group(connection, kept, context.render.resource_group(kept))
    else:
        _touch_cluster(context, connection, operation)


def _touch_cluster(context: Context, connection: Connection, operation: Operation) -> None:
    # From the right: a resource group or cluster may be called agentpools as well.
    cluster = statements.cluster(connection, operation.resource_key.rpartition("/agentpools/")[0])
    if cluster is not None:
        _put_cluster(context, connection, cluster)


def _put_cluster(context: Context, connection: Connection, cluster: Cluster) -> None:
    statements.put_cluster(connection, replace(cluster, etag=context.new_id()))


def _put_operation(context: Context, connection: Connection, operation: Operation) -> None:
    statements.put_operation(connection, operation, context.render.operation(operation))
