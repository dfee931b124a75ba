"""What faults do to a change: refuse it when it is asked for, or trouble the steps that carry it out.

`troubled` is called right before a step of an operation. What fires there has been counted, in a transaction of its
own, before it has its effect; the step's checkpoint names the occasion, so a step that is done again after a kill
meets the same effect without another count.

Invariant: the effects of a firing may happen twice: they end with the step they stop, or look before they act.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from sqlalchemy.engine import Connection

from poolwright import errors
from poolwright.domain import quota
from poolwright.domain.fault import (
    EffectKind,
    Fault,
    Point,
    Situation,
    Target,
    circumstances_of,
    parents_of,
    refusal,
    remedy,
    said,
)
from poolwright.domain.machine import MachineSpec, scale_set_name
from poolwright.domain.node_pool import NodePool
from poolwright.domain.operation import Operation, OperationError
from poolwright.domain.vm_size import VmSize
from poolwright.kubernetes.faulty import FaultyCluster
from poolwright.machines.engine import PermanentError
from poolwright.machines.faulty import FaultyEngine
from poolwright.operations.context import (
    Context,
    OperationFailed,
    machines_by_pool,
    pools_of,
    require_wanted,
)
from poolwright.operations.faults import Faults, Fired
from poolwright.store import fault_statements

_IN_STEPS: Final = (Point.STEP, Point.LOSS, Point.CAPACITY, Point.BOOT, Point.DRAIN)
# A delay is waited for in parts, so that an abort ends it.
_WAIT_SECONDS: Final = 1.0
_UNSIGNED: Final = "Secure Boot refused to load {driver}, which is not signed, so the machine never became ready"
_HELD: Final = "pods do not leave"


def refused_on_demand(
    connection: Connection,
    faults: Faults,
    operation: Operation,
    pools: Sequence[NodePool],
    needed: Mapping[str, Mapping[str, int]],
    near: Callable[[str], Sequence[VmSize]],
) -> errors.PoolwrightError | None:
    """Return the error with which a fault refuses the operation, or None.

    `needed` has the vCPUs that each pool (by key) needs beyond those there are, by family, the total last. `near`
    names the sizes that come nearest to one.
    """
    targets = tuple(_target(pool, vcpus=needed.get(pool.id.key, {}).get(quota.TOTAL, 0)) for pool in pools)
    for fired in faults.fire(connection, Point.ADMISSION, _situation(operation, targets=targets)):
        hit = fired.hit[0].pool if fired.hit else ""
        pool = next((pool for pool in pools if str(pool.id) == hit), pools[0] if pools else None)
        circumstances = _circumstances(operation, pool)
        if pool is not None:
            circumstances |= _quota_words(needed.get(pool.id.key, {}))
            circumstances["sizes"] = ",".join(size.name.lower() for size in near(pool.vm_size))
        return refusal(fired.fault, circumstances)
    return None


def troubled(context: Context, operation: Operation, checkpoint: str, *, may_stop: bool) -> Context:
    """Return what a step works with on a bad day, after the delays and losses that come before it.

    Raises `OperationFailed` when a fault ends the operation here, `Aborted` when somebody does while it is delayed.
    Without a fault that could fire it is the context as it was.
    """
    faults = context.faults
    if not faults.could_fire(*_IN_STEPS):
        return context
    if faults.could_fire(Point.STEP):
        _before_step(context, operation, checkpoint, may_stop=may_stop)
    if faults.could_fire(Point.LOSS):
        _lose_machines(context, operation, checkpoint)
    trouble = _Trouble(context, operation, checkpoint)
    engine = FaultyEngine(context.engine, trouble) if faults.could_fire(Point.CAPACITY, Point.BOOT) else context.engine
    cluster = FaultyCluster(context.cluster, trouble.held) if faults.could_fire(Point.DRAIN) else context.cluster
    return replace(context, engine=engine, cluster=cluster)


def named_with_its_fault(context: Context, operation: Operation, failed: OperationFailed) -> OperationError:
    """Return why the step failed, with the fault that struck the machines the failure is about, if one did."""
    error = failed.error
    if error.fault is not None or not failed.machines:
        return error
    with context.database.engine.connect() as connection:
        struck = fault_statements.fault_of_machines(connection, operation.id, failed.machines)
    if struck is None:
        return error
    return replace(error, fault=struck, remedy=error.remedy or remedy(struck))


def _before_step(context: Context, operation: Operation, checkpoint: str, *, may_stop: bool) -> None:
    with context.database.engine.connect() as connection:
        pools = pools_of(connection, operation)
    for one in _fired(context, operation, checkpoint, Point.STEP, [_target(pool) for pool in pools]):
        if one.fault.effect.kind is not EffectKind.DELAY:
            kind, message = said(one.fault, _circumstances(operation, pools[0] if pools else None))
            raise OperationFailed(
                OperationError(kind.code, message, remedy=remedy(one.fault.name), fault=one.fault.name)
            )
        until = one.firing.at + one.fault.effect.seconds
        while (left := until - context.now()) > 0:
            if may_stop:
                require_wanted(context, operation)
            context.wait(min(left, _WAIT_SECONDS))


def _lose_machines(context: Context, operation: Operation, checkpoint: str) -> None:
    targets: list[Target] = []
    for pool, machines in machines_by_pool(context, operation):
        seen = context.engine.observe([machine.id.key for machine in machines])
        targets += [_machine_target(pool, machine.spec) for machine in machines if machine.id.key in seen]
    for one in _fired(context, operation, checkpoint, Point.LOSS, targets):
        context.engine.delete(one.firing.machines)


@dataclass(frozen=True, slots=True)
class _Trouble:
    """Implements `machines.faulty.Trouble` for one step, and says which nodes are held."""

    context: Context
    operation: Operation
    checkpoint: str

    def lacking(self, new: Sequence[MachineSpec]) -> tuple[Collection[str], PermanentError] | None:
        pairs = _by_pool(self.context, self.operation, new)
        targets = [_machine_target(pool, spec) for pool, spec in pairs]
        for one in _fired(self.context, self.operation, self.checkpoint, Point.CAPACITY, targets):
            pool, first = next((pool, spec) for pool, spec in pairs if spec.key in one.firing.machines)
            counts = Counter(spec.size for _, spec in pairs if spec.key in one.firing.machines)
            names = quota.family_names(size for name in counts if (size := self.context.size_of(name)) is not None)
            needed = quota.used_by_family(counts, self.context.size_of)
            circumstances = _circumstances(self.operation, pool) | {"size": first.size}
            circumstances |= _quota_words({names.get(family, family): vcpus for family, vcpus in needed.items()})
            kind, message = said(one.fault, circumstances)
            lack = PermanentError(message, code=kind.code, remedy=remedy(one.fault.name), fault=one.fault.name)
            return set(one.firing.machines), lack
        return None

    def booting(self, new: Sequence[MachineSpec]) -> None:
        broken: set[str] = set()
        for pool, spec in _by_pool(self.context, self.operation, new):
            target = _machine_target(pool, spec)
            if _fired(self.context, self.operation, self.checkpoint, Point.BOOT, [target], beside=spec.key):
                broken.add(spec.key)
        # A machine of that name that a fault broke before is another one.
        self.gone([spec.key for spec in new if spec.key not in broken])

    def causes(self) -> Mapping[str, str]:
        if not self.context.faults.could_fire(Point.BOOT):
            return {}
        with self.context.database.engine.connect() as connection:
            broken = fault_statements.broken_machines(connection)
            stored = {name: fault_statements.fault(connection, name) for name in set(broken.values())}
        return {key: _cause(found[0]) for key, name in broken.items() if (found := stored[name]) is not None}

    def gone(self, keys: Sequence[str]) -> None:
        if keys and self.context.faults.could_fire(Point.BOOT):
            with self.context.database.transaction() as connection:
                fault_statements.mend_machines(connection, keys)

    def held(self, nodes: Sequence[str]) -> Mapping[str, str]:
        with self.context.database.engine.connect() as connection:
            pools = pools_of(connection, self.operation)
        # A node's name is its scale set's and six digits (domain/machine.py).
        targets = [
            _target(pool, machine=f"{pool.id.key}/machines/{node}")
            for pool in pools
            for node in nodes
            if node[:-6] == scale_set_name(pool.id, pool.os_type)
        ]
        beside = targets[0].pool if targets else ""
        fired = _fired(self.context, self.operation, self.checkpoint, Point.DRAIN, targets, beside=beside)
        return {
            key.rpartition("/")[2]: one.fault.effect.message or _HELD for one in fired for key in one.firing.machines
        }


def _fired(
    context: Context,
    operation: Operation,
    checkpoint: str,
    point: Point,
    targets: Sequence[Target],
    *,
    beside: str = "",
) -> list[Fired]:
    """What fires at the point in the step; `beside` tells apart what fires there more than once."""
    situation = _situation(operation, checkpoint, tuple(targets))
    if not context.faults.is_meant(point, situation):
        return []
    occasion = f"{operation.id} {checkpoint} {point.value} {beside}".rstrip()
    with context.database.transaction() as connection:
        return context.faults.fire(connection, point, situation, occasion=occasion, operation_id=operation.id)


def _situation(operation: Operation, step: str = "", targets: tuple[Target, ...] = ()) -> Situation:
    return Situation(
        operation=operation.kind,
        cluster=parents_of(operation.resource_id)[0],
        location=operation.location,
        step=step,
        targets=targets,
    )


def _target(pool: NodePool, *, vcpus: int = 0, machine: str | None = None) -> Target:
    sizes = tuple(profile.size for profile in pool.scale)
    return Target(str(pool.id), sizes, tuple(pool.zones), machine=machine, vcpus=vcpus)


def _machine_target(pool: NodePool, spec: MachineSpec) -> Target:
    zones = (spec.zone,) if spec.zone is not None else ()
    return Target(str(pool.id), (spec.size,), zones, machine=spec.key, secure_boot=spec.secure_boot, vcpus=spec.vcpus)


def _by_pool(
    context: Context, operation: Operation, specs: Sequence[MachineSpec]
) -> list[tuple[NodePool, MachineSpec]]:
    """The specifications with their node pools."""
    with context.database.engine.connect() as connection:
        pools = {pool.id.key: pool for pool in pools_of(connection, operation)}
    return [(pools[key], spec) for spec in specs if (key := spec.key.rpartition("/machines/")[0]) in pools]


def _circumstances(operation: Operation, pool: NodePool | None) -> dict[str, str]:
    known = circumstances_of(operation.resource_id)
    known |= {
        "location": operation.location,
        "operation": operation.kind.words,
        "operation_id": operation.id,
        "started": datetime.fromtimestamp(operation.started, UTC).strftime("%Y-%m-%d %H:%M:%S"),
    }
    if pool is not None:
        known |= circumstances_of(str(pool.id)) | {
            "size": pool.vm_size,
            "version": pool.version,
            "node": f"a node of {pool.id.pool}",
            "minutes": str(pool.upgrade.drain_timeout_minutes),
            "why": _HELD,
        }
    return known


def _quota_words(needed: Mapping[str, int]) -> dict[str, str]:
    """What is said of the first family of those needed; one vCPU less is left."""
    family, vcpus = next(iter(needed.items()), ("", 0))
    return {"family": family, "requested": str(vcpus), "remaining": str(max(0, vcpus - 1))}


def _cause(fault: Fault) -> str:
    """Why a machine never becomes ready; names the fault, because only these words are seen."""
    return f"{_UNSIGNED.format(driver=fault.effect.message or 'a driver')} (fault {fault.name})"
