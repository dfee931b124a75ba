"""What happens in an operation, step by step.

A plan is a tuple of steps, readable aloud. A step's `do` and `undo` may run twice: they look before
they act. Where a plan says `EACH_WAVE`, the steps of `waves.py` follow for every wave that was planned; where
it says `EACH_STAGE`, those of `deployments.py` for every stage of the deployment.
The runner (`run_plan`) keeps the order, checkpoints through the port, retries temporary errors, and on a
permanent one undoes what is under way and marks the operation failed. An operation that somebody aborts
stops at the next step in the same way and is marked canceled.

A checkpoint is a commit of its own, so there is one only where it is needed (docs/decisions/0005-checkpoints.md): a
restart finds the plan that was made, the wave that is under way and the end that was reached in what the steps stored.

Invariant: an operation says Succeeded in the same transaction in which its resource does.
Invariant: a failure is checkpointed before it is undone, so that a restart does not try again what was undone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

import structlog
from sqlalchemy.engine import Connection
from sqlalchemy.exc import OperationalError as DatabaseUnavailable

from poolwright import errors
from poolwright.domain.cluster import ProvisioningState
from poolwright.domain.machine import Machine
from poolwright.domain.node_pool import NodePool, good_state, is_same_state
from poolwright.domain.operation import Operation, OperationError, OperationKind
from poolwright.domain.rollout import PlannedWaves
from poolwright.machines.engine import PermanentError, TemporaryError
from poolwright.operations.activity import ActivityLog
from poolwright.operations.bad_day import named_with_its_fault, troubled
from poolwright.operations.context import (
    Aborted,
    Context,
    OperationFailed,
    Renderer,
    has_ended,
    machines_by_pool,
    machines_failed,
    named,
    pools_of,
    put_operation,
    release_cluster,
    store_facts,
    store_released,
    stored,
    touch_cluster,
)
from poolwright.operations.deployments import (
    await_resources,
    conclude_deployment,
    deploy_resources,
    end_deployment,
    stages_of,
)
from poolwright.operations.waves import WAVE_STEPS, plan_waves, undo_wave
from poolwright.store import statements

__all__ = ["EACH_WAVE", "PLANS", "STEPS", "Context", "Failure", "NotEnded", "Renderer", "RunStep", "Step", "run_plan"]

log = structlog.get_logger(__name__)

RETRY_TIMEOUT_SECONDS: Final = 1800.0
DATABASE_RETRY_SECONDS: Final = 1.0


class NotEnded(Exception):
    """The operation could not even be marked failed; it stays in progress until it is enlisted anew."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step. `undo` is None where there is nothing to undo; the plan says why.

    `needs_checkpoint` is False where what it stores tells that it is done, and nothing is undone when it fails.
    """

    name: str
    do: Callable[[Context, Operation], None]
    undo: Callable[[Context, Operation], None] | None = None
    needs_checkpoint: bool = True


def mark_succeeded(context: Context, operation: Operation) -> None:
    """The node pools, their cluster and the operation say Succeeded, in one transaction.

    Not so when a machine vanished after its wave: then its row shows nothing and the operation fails.
    """
    with context.database.engine.connect() as connection:
        if has_ended(connection, operation):
            return
        machines = [
            machine
            for pool in pools_of(connection, operation)
            for machine in statements.machines_of_pool(connection, pool.id.key)
        ]
    keys = [machine.id.key for machine in machines]
    seen = context.engine.observe(keys)
    vanished = [key for key in keys if key not in seen]
    if vanished:
        store_facts(context, operation, dict.fromkeys(vanished))
        raise machines_failed("vanished", vanished)
    _require_none_quarantined(machines)
    with context.database.transaction() as connection:
        current = statements.operation(connection, operation.id)
        if current is None or current.status.is_terminal:
            return
        totals: dict[str, int] = {}
        for pool in pools_of(connection, operation):
            released = store_released(context, connection, _succeeded(pool, context.now()))
            for generation, number in released.observed.items():
                totals[generation] = totals.get(generation, 0) + number
        release_cluster(context, connection, operation, ProvisioningState.SUCCEEDED)
        _end(context, connection, current.succeeded(context.now(), totals))


def store_what_is_there(context: Context, operation: Operation) -> None:
    """Machine rows show what the engine sees now; a machine it does not have shows nothing."""
    machines = [machine for _, machines in machines_by_pool(context, operation) for machine in machines]
    facts = context.engine.observe([machine.id.key for machine in machines])
    store_facts(context, operation, {machine.id.key: facts.get(machine.id.key) for machine in machines})


def delete_machines(context: Context, operation: Operation) -> None:
    """No machine of the operation's node pools exists in the engine."""
    for _, machines in machines_by_pool(context, operation):
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
                touch_cluster(context, connection, operation)
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
        _end(context, connection, current.succeeded(context.now(), {}))


EACH_WAVE: Final = "each wave"
EACH_STAGE: Final = "each stage"
STAGE_STEPS: Final[Mapping[str, Callable[[Context, Operation, int], None]]] = {
    "deploy_resources": deploy_resources,
    "await_resources": await_resources,
}

# The waves undo themselves (`undo_wave`): planning leaves nothing behind but the plan.
_BRING_ABOUT: Final[tuple[Step | str, ...]] = (
    Step("plan_waves", plan_waves, needs_checkpoint=False),
    EACH_WAVE,
    Step("mark_succeeded", mark_succeeded, needs_checkpoint=False),
)
# A deleted machine does not come back; undoing only says which are left. Deleting again completes the work.
_TAKE_AWAY: Final[tuple[Step | str, ...]] = (
    Step("delete_machines", delete_machines, store_what_is_there),
    Step("remove_resources", remove_resources),
)

# An abort has no plan: it ends together with the operation it stops (`_end`).
PLANS: Final[Mapping[OperationKind, tuple[Step | str, ...]]] = {
    OperationKind.CREATE_NODE_POOL: _BRING_ABOUT,
    OperationKind.UPDATE_NODE_POOL: _BRING_ABOUT,
    OperationKind.UPGRADE_NODE_IMAGE: _BRING_ABOUT,
    OperationKind.ROLLBACK_NODE_POOL: _BRING_ABOUT,
    OperationKind.DELETE_MACHINES: _BRING_ABOUT,
    # A disk that was thrown away does not come back; what fails leaves a machine that can be reimaged again.
    OperationKind.REIMAGE_MACHINE: _BRING_ABOUT,
    OperationKind.CREATE_CLUSTER: _BRING_ABOUT,
    OperationKind.UPDATE_CLUSTER: _BRING_ABOUT,
    OperationKind.STOP_CLUSTER: _BRING_ABOUT,
    OperationKind.START_CLUSTER: _BRING_ABOUT,
    OperationKind.DELETE_NODE_POOL: _TAKE_AWAY,
    OperationKind.DELETE_CLUSTER: _TAKE_AWAY,
    OperationKind.DELETE_RESOURCE_GROUP: _TAKE_AWAY,
    # Nothing is undone: what was deployed stays, as in Azure.
    OperationKind.CREATE_DEPLOYMENT: (EACH_STAGE, Step("conclude_deployment", conclude_deployment)),
}


def _steps() -> Iterator[str]:
    for plan in PLANS.values():
        for part in plan:
            if isinstance(part, Step):
                yield from (part.name, *((f"undo_{part.name}",) if part.undo else ()))
            else:
                yield from (*(step.name for step in WAVE_STEPS), "undo_wave")


# Every step a fault may name. How an operation ends badly is none: it could not end then.
STEPS: Final = tuple(dict.fromkeys(_steps()))

Failure = dict[str, str | None]
Effect = Callable[[], Failure | None]
RunStep = Callable[[str, Effect], Failure | None]
_CANCELED: Final = errors.OperationCanceled.code
# An abort waits for the plan, without which a wave under way could not be undone, and comes too late at the end.
_NOT_STOPPED: Final = frozenset({"plan_waves", "mark_succeeded"})
_WAVES: Final = "waves"


@dataclass(frozen=True, slots=True)
class _Act:
    """A step about to run: `name` is its own in this operation, `step` the one the plan gives it. `wave` is from 1."""

    name: str
    step: str
    do: Callable[[Context, Operation], None]
    undo: tuple[_Act, ...] = ()
    wave: int | None = None

    def is_finished(self, operation: Operation) -> bool:
        """Whether it belongs to a wave before the one under way, which is stored with what that one does first."""
        return self.wave is not None and self.wave < operation.wave


@dataclass(frozen=True, slots=True)
class _Part:
    """Acts that follow each other, and the name of the checkpoint after them if they need one."""

    checkpoint: str | None
    acts: Sequence[_Act]


def at_once(name: str, effect: Effect) -> Failure | None:
    """Carry out a step, or a part of a plan, without keeping what came of it."""
    return effect()


def run_plan(context: Context, operation_id: str, run_step: RunStep, checkpoint: RunStep = at_once) -> None:
    """Carry out the operation's plan, ending with the operation Succeeded, Failed or Canceled. Raises `NotEnded`.

    `run_step(name, effect)` carries out one step and returns what came of it: None, or the failure as plain JSON.
    `checkpoint(name, part)` does so with a part of the plan, keeps it, and returns that instead of repeating the part.
    """
    with context.database.engine.connect() as connection:
        operation = statements.operation(connection, operation_id)
    # An ended operation has let go of its resource, which may be in another one by now.
    if operation is None or operation.status.is_terminal:
        return
    with structlog.contextvars.bound_contextvars(
        correlation_id=operation.correlation_id, operation_id=operation_id, operation=operation.kind.value
    ):
        begun: list[_Act] = []
        for part in _parts(context, operation):
            begun += part.acts
            failure = _carried_out(context, operation, part, run_step, checkpoint)
            if failure is not None:
                [failed] = [act for act in part.acts if act.name == failure["step"]]
                _unwind(context, operation, failed.undo or _undone(begun), failure, run_step, checkpoint)
                return


def _carried_out(
    context: Context, operation: Operation, part: _Part, run_step: RunStep, checkpoint: RunStep
) -> Failure | None:
    """What came of the part: None, or the first failure with the name of its step."""

    def effect() -> Failure | None:
        for act in part.acts:
            failure = run_step(act.name, _effect(context, operation, act))
            if failure is not None:
                return failure | {"step": act.name}
        return None

    return effect() if part.checkpoint is None else checkpoint(part.checkpoint, effect)


def _parts(context: Context, operation: Operation) -> Iterator[_Part]:
    """The plan in parts, one after the other: what the waves are is known only once they are planned."""
    together: list[_Act] = []
    for planned in PLANS[operation.kind]:
        if isinstance(planned, Step):
            name = planned.name
            undo = (_Act(f"undo_{name}", f"undo_{name}", planned.undo),) if planned.undo else ()
            act = _Act(name, name, planned.do, undo)
            if together:
                together.append(act)
            else:
                yield _Part(name if planned.needs_checkpoint else None, [act])
            continue
        acts, is_one_part = _acts_of(context, operation, planned)
        if is_one_part:
            together += acts
        else:
            yield from (_Part(act.name, [act]) for act in acts)
    if together:
        yield _Part(_WAVES, together)


def _acts_of(context: Context, operation: Operation, planned: str) -> tuple[list[_Act], bool]:
    """The acts of each wave or stage, and whether one checkpoint is enough for all of them.

    Acts that wait for minutes or hours have one each, so that the time does not begin anew.
    """
    with context.database.engine.connect() as connection:
        if planned == EACH_STAGE:
            return _acts_of_stages(stages_of(connection, operation)), False
        waves = statements.waves(connection, operation.id)
    # The plan is gone when the operation ended in the meantime: then nothing is left to do.
    return ([], True) if waves is None else (_acts_of_waves(waves), not waves.drains)


def _acts_of_waves(planned: PlannedWaves) -> list[_Act]:
    acts = []
    for index in range(planned.number):

        def taken_back(context: Context, operation: Operation, index: int = index) -> None:
            undo_wave(context, operation, planned, index)

        undo = (_Act(f"wave_{index + 1}.undo_wave", "undo_wave", taken_back),)
        for step in WAVE_STEPS:
            if step.is_needed(planned, index):

                def done(
                    context: Context,
                    operation: Operation,
                    index: int = index,
                    do: Callable[[Context, Operation, PlannedWaves, int], None] = step.do,
                ) -> None:
                    do(context, operation, planned, index)

                acts.append(_Act(f"wave_{index + 1}.{step.name}", step.name, done, undo, wave=index + 1))
    return acts


def _acts_of_stages(number: int) -> list[_Act]:
    acts = []
    for stage in range(number):
        for name, step in STAGE_STEPS.items():

            def done(
                context: Context,
                operation: Operation,
                stage: int = stage,
                do: Callable[[Context, Operation, int], None] = step,
            ) -> None:
                do(context, operation, stage)

            acts.append(_Act(f"stage_{stage + 1}.{name}", name, done))
    return acts


def _undone(begun: Sequence[_Act]) -> tuple[_Act, ...]:
    """The undoing of the plain steps begun, last first; finished waves stay."""
    return tuple(undo for act in reversed(begun) if act.wave is None for undo in act.undo)


def _unwind(
    context: Context,
    operation: Operation,
    undoing: Sequence[_Act],
    failure: Failure,
    run_step: RunStep,
    checkpoint: RunStep,
) -> None:
    """Undo what is under way, and mark the operation failed or canceled with the first cause.

    What cannot be undone is said with the cause. It stays known: machine rows go only after their machines.
    """
    message = failure["message"] or ""
    for act in undoing:
        effect = _effect(context, operation, act, may_stop=False)
        left = checkpoint(act.name, partial(run_step, act.name, effect))
        if left is not None:
            message += f" Cleaning up failed as well: {left['message']}"
    error = OperationError(
        failure["code"] or "", message, failure["target"], failure.get("remedy"), failure.get("fault")
    )
    name = "mark_canceled" if error.code == _CANCELED else "mark_failed"

    def mark_ended(context: Context, operation: Operation) -> None:
        _mark_ended(context, operation, error)

    if run_step(name, _effect(context, operation, _Act(name, name, mark_ended), may_stop=False)) is not None:
        raise NotEnded(f"operation {operation.id} could not be marked failed")


def _effect(context: Context, operation: Operation, act: _Act, *, may_stop: bool = True) -> Effect:
    """The act with the crash hook around it; temporary errors are retried, others become the returned failure."""

    def effect() -> Failure | None:
        context.crash(operation.kind.value, act.name, "before")
        give_up = context.now() + RETRY_TIMEOUT_SECONDS
        while True:
            try:
                current = stored(context, operation)
                if current is not None and not current.status.is_terminal and not act.is_finished(current):
                    if may_stop and act.step not in _NOT_STOPPED and current.aborted_by is not None:
                        raise Aborted
                    # Whether it is a bad day (`domain/fault.py`) is decided here, once for every step there is.
                    act.do(troubled(context, current, act.name, may_stop=may_stop), current)
                failure = None
            except (TemporaryError, DatabaseUnavailable) as error:
                if context.now() < give_up:
                    log.warning("operation_step_retried", step=act.name, cause=str(error))
                    context.wait(
                        error.retry_after_seconds if isinstance(error, TemporaryError) else DATABASE_RETRY_SECONDS
                    )
                    continue
                failure = _failure(context, operation, error, act.name)
            except Exception as error:
                failure = _failure(context, operation, error, act.name)
            break
        context.crash(operation.kind.value, act.name, "after")
        return failure

    return effect


def _failure(context: Context, operation: Operation, error: Exception, step: str) -> Failure:
    """What the operation's error will say. Only what was raised on purpose shows its own words."""
    match error:
        case Aborted():
            told = OperationError(_CANCELED, "The operation was aborted.")
        case OperationFailed():
            told = named_with_its_fault(context, operation, error)
        case PermanentError():
            code = error.code or errors.ReconcileVMSSAgentPoolFailed.code
            told = OperationError(code, str(error), remedy=error.remedy, fault=error.fault)
        case TemporaryError():
            told = OperationError(errors.ReconcileVMSSAgentPoolFailed.code, str(error))
        case _:
            log.error("operation_step_failed", step=step, exc_info=error)
            told = OperationError(
                errors.InternalServerError.code,
                "The operation met an internal error; the service's log has the details.",
            )
    return {
        "code": told.code,
        "message": told.message,
        "target": told.target,
        "remedy": told.remedy,
        "fault": told.fault,
    }


def _mark_ended(context: Context, operation: Operation, error: OperationError) -> None:
    """The node pools, their cluster and the operation say Failed or Canceled with the cause, in one transaction."""
    with context.database.transaction() as connection:
        current = statements.operation(connection, operation.id)
        if current is None or current.status.is_terminal:
            return
        is_canceled = error.code == _CANCELED
        state = ProvisioningState.CANCELED if is_canceled else ProvisioningState.FAILED
        told = _with_progress(current, error)
        for pool in pools_of(connection, operation):
            store_released(context, connection, replace(pool, state=state, error=told))
        release_cluster(context, connection, operation, state)
        if operation.kind is OperationKind.CREATE_DEPLOYMENT:
            end_deployment(context, connection, operation, told, is_canceled=is_canceled)
        now = context.now()
        _end(context, connection, current.canceled(now, told) if is_canceled else current.failed(now, told))


def _end(context: Context, connection: Connection, ended: Operation) -> None:
    """Store and log an ended operation, forget its waves, and end the abort that was waiting for it."""
    activity = ActivityLog(context.now, context.new_id)
    put_operation(context, connection, ended)
    activity.ended(connection, ended)
    statements.delete_waves(connection, ended.id)
    abort = statements.operation(connection, ended.aborted_by) if ended.aborted_by else None
    if abort is None or abort.status.is_terminal or ended.ended is None:
        return
    if ended.error is not None and ended.error.code == _CANCELED:
        abort = abort.succeeded(ended.ended, ended.generations)
    else:
        error = OperationError(
            errors.OperationNotAllowed.code, "The operation ended before it could be aborted.", remedy="nothing to do"
        )
        abort = abort.failed(ended.ended, error)
    put_operation(context, connection, abort)
    activity.ended(connection, abort)


def _with_progress(operation: Operation, error: OperationError) -> OperationError:
    """The error with what was replaced and what not, and how to go on."""
    if operation.to_replace == 0:
        return error
    left = operation.to_replace - operation.replaced
    return replace(
        error,
        message=f"{error.message.rstrip('.')}. {operation.replaced} of {operation.to_replace} machines were replaced, "
        f"{left} were not; the node pool keeps running on both.",
        remedy=error.remedy or "send the request again to go on, or go back: poolwright aks nodepool rollback",
    )


def _succeeded(pool: NodePool, now: float) -> NodePool:
    """The node pool with nothing left to do; the state it had before is kept where it was another one."""
    reached = good_state(pool, now)
    good, before = pool.good, pool.before
    if good is None:
        good = reached
    elif not is_same_state(reached, good):
        good, before = reached, good
    return replace(pool, state=ProvisioningState.SUCCEEDED, error=None, promised=pool.count, good=good, before=before)


def _require_none_quarantined(machines: Sequence[Machine]) -> None:
    quarantined = [machine.id.key for machine in machines if machine.quarantined]
    if quarantined:
        raise OperationFailed(
            OperationError(
                errors.UpgradeFailed.code,
                f"{len(quarantined)} node(s) could not be drained and were left cordoned beside their replacements: "
                f"{named(quarantined)}.",
                remedy="let their pods leave and send the request again, or az aks nodepool delete-machines",
            ),
            quarantined,
        )
