"""The waves of an operation: how its node pools' machines become the ones wanted.

`plan_waves` decides once and stores what it decided; the steps of a wave carry that out, for all node pools of the
operation together:

    add_machines -> await_ready -> cordon -> drain -> soak -> remove_machines

A wave that gives machines another disk drains them first as well:

    cordon -> drain -> soak -> reimage_machines -> await_reimaged

Invariant: each step may run twice and looks before it acts; what a wave does follows from the stored plan alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from sqlalchemy.engine import Connection

from poolwright import errors
from poolwright.domain import quota
from poolwright.domain.change import configuration_of
from poolwright.domain.enclave_memory import epc_mib
from poolwright.domain.machine import Login, Machine, MachineFacts, MachineSpec, machine_name
from poolwright.domain.node_login import login_of
from poolwright.domain.node_pool import NodePool
from poolwright.domain.node_pool_kind import ScaleDownMode
from poolwright.domain.operation import Operation, OperationError, OperationKind
from poolwright.domain.resource_id import MachineId
from poolwright.domain.rollout import PlannedMachine, PlannedWaves, PresentMachine, Rollout, Wave, plan_rollout
from poolwright.domain.upgrade_settings import UndrainableNodeBehavior
from poolwright.operations.context import (
    Context,
    OperationFailed,
    machines_by_pool,
    machines_failed,
    named,
    pools_of,
    put_operation,
    rendered,
    report,
    report_in,
    require_wanted,
    store_facts,
    store_facts_in,
    stored,
)
from poolwright.store import statements

# Machines and draining nodes are looked at again after a twentieth of the time waited so far, within these bounds.
POLL_SECONDS: Final = (0.05, 0.5)
# A wait of a second that seems to have taken another minute, or less than nothing: the clock was set.
CLOCK_JUMP_SECONDS: Final = 60.0
READY_TIMEOUT_SECONDS: Final = 1800.0


@dataclass(frozen=True, slots=True)
class WaveStep:
    """One step of each wave. `is_needed` says whether a wave has it, from the stored plan alone."""

    name: str
    do: Callable[[Context, Operation, PlannedWaves, int], None]
    is_needed: Callable[[PlannedWaves, int], bool]


def plan_waves(context: Context, operation: Operation) -> None:
    """The waves are stored with the operation, and a pool that Compute would refuse has failed.

    Planned waves are not planned again: they were decided from the machines there were.
    """
    with context.database.engine.connect() as connection:
        if statements.waves(connection, operation.id) is not None:
            return
    planned = {}
    attached: list[bool] = []
    drained = False
    facts: dict[str, MachineFacts | None] = {}
    for pool, machines in machines_by_pool(context, operation):
        if pool.late_failure is not None:
            raise OperationFailed(pool.late_failure)
        seen = context.engine.observe([machine.id.key for machine in machines])
        facts |= {
            machine.id.key: seen.get(machine.id.key)
            for machine in machines
            if not _tells_the_same(machine.facts, seen.get(machine.id.key))
        }
        is_reimaged = operation.kind is OperationKind.REIMAGE_MACHINE
        rollout = planned[pool.id.key] = planned_rollout(
            pool,
            machines,
            seen,
            doomed=() if is_reimaged else operation.machines,
            reimaged=operation.machines if is_reimaged else (),
        )
        attached.append(context.cluster.is_attached(pool.id.cluster_id.key))
        leaving = {ordinal for wave in rollout.waves for ordinal in wave.leaving}
        woken = {ordinal for wave in rollout.waves for ordinal in wave.refit}
        there = [replace(machine, facts=seen.get(machine.id.key)) for machine in machines]
        to_drain = {ordinal for wave in rollout.waves for ordinal in wave.drained}
        drained = drained or any(_is_drained(operation, machine) for machine in there if machine.ordinal in to_drain)
        # A former operation left machines cordoned that it parked, and those it could not uncordon.
        staying = [machine for machine in machines if machine.ordinal not in leaving]
        _uncordon(context, pool, [machine for machine in staying if machine.ordinal in woken or not machine.parked])
    if facts:
        store_facts(context, operation, facts)
    is_attached = bool(attached) and all(attached)
    waves = PlannedWaves(planned, drains=is_attached and drained)
    leaves = any(wave.drained for rollout in planned.values() for wave in rollout.waves)
    with context.database.transaction() as connection:
        current = statements.operation(connection, operation.id)
        if current is None or current.status.is_terminal:
            return
        statements.add_waves(connection, operation.id, waves)
        _store_what_the_plan_assumes(context, connection, operation)
        progress = current.advanced(
            step="plan_waves",
            percent=0,
            waves=max(waves.number, 1),
            to_replace=sum(rollout.to_replace for rollout in planned.values()),
            cluster_attached=is_attached if leaves else None,
        )
        put_operation(context, connection, progress)


def planned_rollout(
    pool: NodePool,
    machines: Sequence[Machine],
    seen: Mapping[str, MachineFacts],
    doomed: Sequence[str] = (),
    reimaged: Sequence[str] = (),
) -> Rollout:
    """Return the rollout from the machines a node pool has to those it wants; `seen` is what its engine sees.

    `doomed` names machines that go, `reimaged` those that get another disk.
    """

    def ordinals(names: Sequence[str]) -> frozenset[int]:
        wanted = {name.lower() for name in names}
        return frozenset(machine.ordinal for machine in machines if machine.id.machine.lower() in wanted)

    return plan_rollout(
        present_machines(pool, machines, seen),
        [(profile.size, profile.count) for profile in pool.scale],
        zones=pool.zones,
        settings=pool.upgrade,
        promised=pool.promised,
        park=pool.scale_down is ScaleDownMode.DEALLOCATE,
        leaving=ordinals(doomed),
        reimage=ordinals(reimaged),
    )


def present_machines(
    pool: NodePool, machines: Sequence[Machine], seen: Mapping[str, MachineFacts]
) -> list[PresentMachine]:
    """Return the machines of a node pool as the planner sees them."""
    configuration = configuration_of(pool)
    return [_present(pool, machine, seen.get(machine.id.key), configuration) for machine in machines]


def add_machines(context: Context, operation: Operation, planned: PlannedWaves, index: int) -> None:
    """The wave's new machines have rows, and they and the refitted ones exist in the engine as specified."""
    specs: list[MachineSpec] = []
    added: Counter[str] = Counter()
    with context.database.transaction() as connection:
        pools = pools_of(connection, operation)
        for pool, wave in _waves_of(pools, planned, index):
            configuration = configuration_of(pool)
            cluster = statements.cluster(connection, pool.id.cluster_id.key) if wave.add else None
            login = login_of(cluster, pool) if cluster is not None else None
            new = [_new(context, pool, part, configuration, login) for part in wave.add]
            keys = [machine.id.key for machine in new]
            known = {machine.id.key for machine in statements.machines_by_key(connection, keys)}
            statements.add_machines(connection, rendered(context, pool, (m for m in new if m.id.key not in known)))
            refit = [
                replace(machine, spec=replace(machine.spec, running=pool.is_running), parked=False)
                for machine in statements.machines_by_key(connection, _keys(pool, wave.refit))
            ]
            statements.update_machines(connection, rendered(context, pool, refit))
            specs += [machine.spec for machine in (*new, *refit)]
            added.update(machine.spec.size for machine in new if machine.id.key not in known)
        _require_quota(context, connection, operation, added)
        _progress(context, connection, operation, pools, planned, index, "add_machines", 0.0)
    context.engine.ensure(specs)


def await_ready(context: Context, operation: Operation, planned: PlannedWaves, index: int) -> None:
    """The wave's new and refitted machines are ready and show the resolved generation, or are stopped as wanted."""
    facts = _settled(
        context,
        operation,
        planned,
        index,
        "await_ready",
        (0.1, 0.7),
        lambda wave: (*(part.ordinal for part in wave.add), *wave.refit),
    )
    # Where others leave at once, `remove_machines` stores what it sees of these with that.
    if planned.drains or not _leaves(planned, index):
        store_facts(context, operation, facts)


def cordon(context: Context, operation: Operation, planned: PlannedWaves, index: int) -> None:
    """No leaving machine takes new pods, and the time their pods have to leave has begun."""
    leaving = _leaving(context, operation, planned, index)
    # Stored first: a node that is cordoned is always known to be.
    _mark(context, leaving, cordoned=True)
    for pool, machines in leaving:
        context.cluster.cordon(pool.id.cluster_id.key, _names(machines))
    if not _has_begun(context, operation, "cordon", index):
        minutes = max((pool.upgrade.drain_timeout_minutes for pool, _ in leaving), default=0)
        _report(context, operation, planned, index, "cordon", 0.7, until=context.now() + 60 * minutes)


def drain(context: Context, operation: Operation, planned: PlannedWaves, index: int) -> None:
    """The leaving machines' pods have left, or the machine is quarantined where the settings say so."""
    leaving = _leaving(context, operation, planned, index)
    held: dict[str, str] = {}

    def awaited() -> list[str]:
        nonlocal held
        held = {
            machine: why
            for pool, machines in leaving
            for machine, why in context.cluster.drain(pool.id.cluster_id.key, _names(machines)).items()
        }
        return list(held)

    _report(context, operation, planned, index, "drain", 0.75)
    until = _until(context, operation)
    if not _poll(context, operation, awaited, until):
        return
    stuck = [(pool, [machine for machine in machines if machine.id.machine in held]) for pool, machines in leaving]
    for pool, machines in stuck:
        names = _names(machines)
        # What is reimaged has no replacement beside which it could stay.
        if names and (operation.kind is OperationKind.REIMAGE_MACHINE or not _may_quarantine(context, pool, names)):
            raise OperationFailed(
                OperationError(
                    errors.UpgradeFailed.code,
                    f"Draining {named(names)} did not end within {pool.upgrade.drain_timeout_minutes} minutes: "
                    f"{held[names[0]]}. This is often caused by a restrictive Pod Disruption Budget (PDB) policy. "
                    "See https://aka.ms/aks/debugdrainfailures.",
                    target="properties.upgradeSettings.drainTimeoutInMinutes",
                ),
                [machine.id.key for machine in machines],
            )
    _mark(context, stuck, quarantined=True)


def soak(context: Context, operation: Operation, planned: PlannedWaves, index: int) -> None:
    """The time has passed that workloads have to settle before the drained machines go."""
    if not _has_begun(context, operation, "soak", index):
        leaving = _leaving(context, operation, planned, index)
        minutes = max((pool.upgrade.node_soak_minutes for pool, _ in leaving), default=0)
        _report(context, operation, planned, index, "soak", 0.8, until=context.now() + 60 * minutes)
    until = _until(context, operation)
    _poll(context, operation, lambda: ["soaking"] if context.now() < until else [], until)


def remove_machines(context: Context, operation: Operation, planned: PlannedWaves, index: int) -> None:
    """The leaving machines are gone from the engine and the store, or stopped and parked; quarantined ones stay."""
    with context.database.engine.connect() as connection:
        gone: list[str] = []
        parked: list[Machine] = []
        needed: list[str] = []
        replaced = 0
        for pool, wave in _waves_of(pools_of(connection, operation), planned, index):
            there = statements.machines_by_key(connection, _keys(pool, wave.leaving))
            needed += _keys(pool, [*(part.ordinal for part in wave.add), *wave.refit])
            gone += [m.id.key for m in there if m.ordinal in wave.remove and not m.quarantined]
            parked += [
                replace(m, spec=replace(m.spec, running=False), parked=True)
                for m in there
                if m.ordinal in wave.park and not m.quarantined
            ]
    # Counted from the plan, so that a second run of the step does not count twice.
    for done in range(index + 1):
        replaced += sum(part.replaces is not None for wave in planned.wave(done).values() for part in wave.add)
    # Draining and soaking take hours: a replacement lost meanwhile keeps what it was to replace.
    seen = context.engine.observe(needed)
    vanished = [key for key in needed if key not in seen]
    if vanished:
        raise machines_failed("vanished", vanished)
    context.engine.delete(gone)
    context.engine.ensure([machine.spec for machine in parked])
    with context.database.transaction() as connection:
        pools = pools_of(connection, operation)
        statements.delete_machines(connection, gone)
        for pool in pools:
            mine = [machine for machine in parked if machine.id.pool_id.key == pool.id.key]
            statements.update_machines(connection, rendered(context, pool, mine))
        store_facts_in(context, connection, pools, seen)
        _progress(context, connection, operation, pools, planned, index, "remove_machines", 1.0, replaced=replaced)


def reimage_machines(context: Context, operation: Operation, planned: PlannedWaves, index: int) -> None:
    """The wave's machines are to have a disk made by this operation, in their rows and in the engine."""
    with context.database.transaction() as connection:
        pools = pools_of(connection, operation)
        specs: list[MachineSpec] = []
        for pool, wave in _waves_of(pools, planned, index):
            reimaged = [
                replace(machine, spec=replace(machine.spec, reimaged_by=operation.id), quarantined=False)
                for machine in statements.machines_by_key(connection, _keys(pool, wave.reimage))
            ]
            statements.update_machines(connection, rendered(context, pool, reimaged))
            specs += [machine.spec for machine in reimaged]
        _progress(context, connection, operation, pools, planned, index, "reimage_machines", 0.8)
    context.engine.ensure(specs)


def await_reimaged(context: Context, operation: Operation, planned: PlannedWaves, index: int) -> None:
    """The wave's reimaged machines are ready, or stopped as wanted, and take pods again."""
    facts = _settled(context, operation, planned, index, "await_reimaged", (0.8, 1.0), lambda wave: wave.reimage)
    store_facts(context, operation, facts)
    for pool, machines in machines_by_pool(context, operation):
        _uncordon(context, pool, [machine for machine in machines if machine.id.key in facts and not machine.parked])


def undo_wave(context: Context, operation: Operation, planned: PlannedWaves, index: int) -> None:
    """What the wave has begun is taken back as far as its node pools keep what they promised.

    New machines that failed are gone, and so many of the others as are beyond the promised count. Machine rows
    show what the engine sees. Machines that stay take pods again, unless they are quarantined.
    """
    for pool, machines in machines_by_pool(context, operation):
        wave = planned.wave(index).get(pool.id.key)
        if wave is None:
            continue
        facts = context.engine.observe([machine.id.key for machine in machines])
        working = [machine for machine in machines if _works(machine, facts.get(machine.id.key))]
        added = {part.ordinal for part in wave.add}
        spare = max(0, len(working) - pool.promised)
        new = [machine for machine in working if machine.ordinal in added]
        useless = [machine for machine in machines if machine.ordinal in added and machine not in working]
        surplus = [machine.id.key for machine in (*useless, *new[max(0, len(new) - spare) :])]
        context.engine.delete(surplus)
        with context.database.transaction() as connection:
            statements.delete_machines(connection, surplus)
        store_facts(context, operation, {m.id.key: facts.get(m.id.key) for m in machines if m.id.key not in surplus})
    # Last: a cluster that is away keeps nothing else from being taken back.
    for pool, machines in machines_by_pool(context, operation):
        _uncordon(context, pool, [machine for machine in machines if not machine.parked])


WAVE_STEPS: Final = (
    WaveStep("add_machines", add_machines, lambda planned, index: _adds(planned, index)),
    WaveStep("await_ready", await_ready, lambda planned, index: _adds(planned, index)),
    WaveStep("cordon", cordon, lambda planned, index: planned.drains and _drains(planned, index)),
    WaveStep("drain", drain, lambda planned, index: planned.drains and _drains(planned, index)),
    WaveStep("soak", soak, lambda planned, index: planned.drains and _drains(planned, index)),
    WaveStep("remove_machines", remove_machines, lambda planned, index: _leaves(planned, index)),
    WaveStep("reimage_machines", reimage_machines, lambda planned, index: _reimages(planned, index)),
    WaveStep("await_reimaged", await_reimaged, lambda planned, index: _reimages(planned, index)),
)


def _adds(planned: PlannedWaves, index: int) -> bool:
    return any(wave.add or wave.refit for wave in planned.wave(index).values())


def _leaves(planned: PlannedWaves, index: int) -> bool:
    return any(wave.leaving for wave in planned.wave(index).values())


def _drains(planned: PlannedWaves, index: int) -> bool:
    return any(wave.drained for wave in planned.wave(index).values())


def _reimages(planned: PlannedWaves, index: int) -> bool:
    return any(wave.reimage for wave in planned.wave(index).values())


def _settled(
    context: Context,
    operation: Operation,
    planned: PlannedWaves,
    index: int,
    step: str,
    shares: tuple[float, float],
    ordinals: Callable[[Wave], Iterable[int]],
) -> Mapping[str, MachineFacts]:
    """What is seen of these machines of the wave, once each of them is what it is to be."""
    with context.database.engine.connect() as connection:
        wanted = {
            machine.id.key: machine
            for pool, wave in _waves_of(pools_of(connection, operation), planned, index)
            for machine in statements.machines_by_key(connection, _keys(pool, ordinals(wave)))
        }
    reported = -1
    facts: Mapping[str, MachineFacts] = {}

    def awaited() -> list[str]:
        nonlocal reported, facts
        facts = context.engine.observe(list(wanted))
        _require_sound(wanted, facts)
        left = [key for key, machine in wanted.items() if not _is_settled(machine, facts[key])]
        if left and len(left) != reported:
            low, high = shares
            share = low + (high - low) * (len(wanted) - len(left)) / len(wanted)
            _report(context, operation, planned, index, step, share)
            reported = len(left)
        return left

    left = _poll(context, operation, awaited, context.now() + READY_TIMEOUT_SECONDS)
    if left:
        raise machines_failed("did not become ready in time", left)
    return facts


def _present(pool: NodePool, machine: Machine, facts: MachineFacts | None, configuration: str) -> PresentMachine:
    spec = machine.spec
    is_current = (
        spec.configuration == configuration
        if spec.configuration
        else (spec.generation, spec.node_image, spec.secure_boot, spec.vtpm)
        == (pool.generation, pool.node_image, pool.secure_boot, pool.vtpm)
    )
    awaited = facts is None or (facts.cause is None and spec.running and not facts.ready)
    return PresentMachine(
        machine.ordinal,
        spec.size,
        spec.zone,
        current=is_current,
        available=_works(machine, facts) or (machine.parked and facts is not None),
        vanished=awaited and not machine.quarantined,
        powered=spec.running == pool.is_running,
        parked=machine.parked,
    )


def _tells_the_same(one: MachineFacts | None, other: MachineFacts | None) -> bool:
    """Whether both facts say the same, whenever they were seen."""
    if one is None or other is None:
        return one is other
    return replace(one, last_seen=None) == replace(other, last_seen=None)


def _works(machine: Machine, facts: MachineFacts | None) -> bool:
    """Whether the machine is as it should be: ready, or stopped when it should be."""
    if facts is None or facts.cause is not None or machine.quarantined or machine.parked:
        return False
    return facts.ready or not machine.spec.running


def _new(context: Context, pool: NodePool, part: PlannedMachine, configuration: str, login: Login | None) -> Machine:
    machine_id = MachineId(pool.id, machine_name(pool.id, pool.os_type, part.ordinal))
    size = context.size_of(part.size)
    if size is None:
        raise OperationFailed(
            OperationError(errors.VMSizeNotSupported.code, f"VM size '{part.size}' has left the catalogue.")
        )
    spec = MachineSpec(
        key=machine_id.key,
        generation=pool.generation,
        node_image=pool.node_image,
        size=part.size,
        vcpus=size.vcpus,
        memory_gb=size.memory_gb,
        secure_boot=pool.secure_boot,
        vtpm=pool.vtpm,
        running=pool.is_running,
        zone=part.zone,
        configuration=configuration,
        login=login,
        vpmem_mib=pool.vpmem_mib or 0,
        epc_mib=epc_mib(size),
    )
    return Machine(id=machine_id, ordinal=part.ordinal, spec=spec)


def _require_quota(context: Context, connection: Connection, operation: Operation, added: Counter[str]) -> None:
    """Fail when the machines just added are beyond the quota: it was lowered, or used by others, since the request."""
    if not added:
        return
    counts = statements.machine_counts(connection, operation.subscription, operation.location)
    missing = quota.shortage(
        quota.used_by_family(added, context.size_of),
        quota.used_by_family({size: number - added[size] for size, number in counts.items()}, context.size_of),
        statements.quota_limits(connection, operation.subscription, operation.location),
        location=operation.location,
        names=quota.family_names(size for size in map(context.size_of, added) if size is not None),
    )
    if missing is not None:
        raise OperationFailed(OperationError(missing.code, missing.message, missing.target, missing.remedy))


def _waves_of(pools: Iterable[NodePool], planned: PlannedWaves, index: int) -> Iterator[tuple[NodePool, Wave]]:
    waves = planned.wave(index)
    for pool in pools:
        if pool.id.key in waves:
            yield pool, waves[pool.id.key]


def _keys(pool: NodePool, ordinals: Iterable[int]) -> list[str]:
    return [MachineId(pool.id, machine_name(pool.id, pool.os_type, ordinal)).key for ordinal in ordinals]


def _leaving(
    context: Context, operation: Operation, planned: PlannedWaves, index: int
) -> list[tuple[NodePool, list[Machine]]]:
    """The node pools with the machines that are there and are drained in the wave; without quarantined ones."""
    with context.database.engine.connect() as connection:
        there = [
            (pool, statements.machines_by_key(connection, _keys(pool, wave.drained)))
            for pool, wave in _waves_of(pools_of(connection, operation), planned, index)
        ]
    leaving = [
        (pool, [machine for machine in machines if _is_drained(operation, machine) and not machine.quarantined])
        for pool, machines in there
    ]
    return [(pool, machines) for pool, machines in leaving if machines]


def _is_drained(operation: Operation, machine: Machine) -> bool:
    """Whether the machine is drained before it goes. One that is stopped or vanished has no work that could leave.

    AKS deletes machines by name without draining them (Azure/AKS#3520); others that leave with them are drained.
    """
    is_named = operation.kind is OperationKind.DELETE_MACHINES and machine.id.machine in operation.machines
    return machine.spec.running and machine.facts is not None and not is_named


def _names(machines: Iterable[Machine]) -> list[str]:
    return [machine.id.machine for machine in machines]


def _uncordon(context: Context, pool: NodePool, machines: Iterable[Machine]) -> None:
    """Those of the machines that were cordoned and are not quarantined take pods again."""
    cordoned = [machine for machine in machines if machine.cordoned and not machine.quarantined]
    if cordoned and context.cluster.is_attached(pool.id.cluster_id.key):
        context.cluster.uncordon(pool.id.cluster_id.key, _names(cordoned))
        _mark(context, [(pool, cordoned)], cordoned=False)


def _mark(context: Context, marked: Iterable[tuple[NodePool, Sequence[Machine]]], **marks: bool) -> None:
    """The rows of these machines say so, in one transaction."""
    with context.database.transaction() as connection:
        for pool, machines in marked:
            there = statements.machines_by_key(connection, [machine.id.key for machine in machines])
            changed = [replace(machine, **marks) for machine in there]  # type: ignore[arg-type]  # marks are fields
            statements.update_machines(connection, rendered(context, pool, changed))


def _poll(context: Context, operation: Operation, left: Callable[[], list[str]], until: float) -> list[str]:
    """Look until nothing is left or the time is over; returns what is left. Raises `Aborted` when asked to stop.

    A clock that is set while nobody looks changes nothing: only the time that was waited counts.
    """
    started = context.now()
    while True:
        awaited = left()
        now = context.now()
        if not awaited or now >= until:
            return awaited
        require_wanted(context, operation)
        pause = min(max((now - started) / 20, POLL_SECONDS[0]), POLL_SECONDS[1], max(until - now, POLL_SECONDS[0]))
        before = context.now()
        context.wait(pause)
        jumped = context.now() - before - pause
        if abs(jumped) > CLOCK_JUMP_SECONDS:
            started, until = started + jumped, until + jumped


def _has_begun(context: Context, operation: Operation, step: str, index: int) -> bool:
    """Whether the step was under way when the process ended: then the time it has is running."""
    current = stored(context, operation)
    return current is not None and (current.step, current.wave) == (step, index + 1)


def _until(context: Context, operation: Operation) -> float:
    """When the step under way gives up: stored, so that a restart gives no more time."""
    current = stored(context, operation)
    return current.until if current is not None and current.until is not None else context.now()


def _may_quarantine(context: Context, pool: NodePool, names: Sequence[str]) -> bool:
    """Whether undrainable nodes may stay beside their replacements: as many as there are surge machines."""
    if pool.upgrade.undrainable is not UndrainableNodeBehavior.CORDON:
        return False
    with context.database.engine.connect() as connection:
        machines = statements.machines_of_pool(connection, pool.id.key)
    quarantined = {machine.id.machine for machine in machines if machine.quarantined} | set(names)
    return len(quarantined) <= pool.upgrade.surge(pool.promised)


def _is_settled(machine: Machine, facts: MachineFacts) -> bool:
    if not machine.spec.running:
        return not facts.running
    return facts.ready and facts.observed is machine.spec.generation


def _require_sound(wanted: Mapping[str, Machine], facts: Mapping[str, MachineFacts]) -> None:
    vanished = [key for key in wanted if key not in facts]
    if vanished:
        raise machines_failed("vanished", vanished)
    broken = [key for key, machine in wanted.items() if machine.spec.running and facts[key].cause is not None]
    if broken:
        raise machines_failed(f"will not become ready ({facts[broken[0]].cause})", broken)
    wrong = [
        key
        for key, machine in wanted.items()
        if facts[key].ready and facts[key].observed not in (None, machine.spec.generation)
    ]
    if wrong:
        raise machines_failed("booted another generation than the resolved one", wrong)


def _store_what_the_plan_assumes(context: Context, connection: Connection, operation: Operation) -> None:
    """Machines that stay have the configuration they were stored without; quarantined ones may be drained again."""
    for pool in pools_of(connection, operation):
        configuration = configuration_of(pool)
        staying = [
            replace(machine, spec=replace(machine.spec, configuration=configuration), quarantined=False)
            if _present(pool, machine, None, configuration).current
            else replace(machine, quarantined=False)
            for machine in statements.machines_of_pool(connection, pool.id.key)
            if machine.quarantined or not machine.spec.configuration
        ]
        statements.update_machines(connection, rendered(context, pool, staying))


def _report(
    context: Context,
    operation: Operation,
    planned: PlannedWaves,
    index: int,
    step: str,
    share: float,
    **progress: float,
) -> None:
    report(context, operation, step=step, percent=_percent(planned, index, share), wave=index + 1, **progress)


def _progress(
    context: Context,
    connection: Connection,
    operation: Operation,
    pools: Iterable[NodePool],
    planned: PlannedWaves,
    index: int,
    step: str,
    share: float,
    **progress: float,
) -> None:
    percent = _percent(planned, index, share)
    report_in(context, connection, operation, pools, step=step, percent=percent, wave=index + 1, **progress)


def _percent(planned: PlannedWaves, index: int, share: float) -> int:
    return int(100 * (index + share) / max(planned.number, 1))
