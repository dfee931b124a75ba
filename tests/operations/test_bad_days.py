"""Faults below HTTP: each effect on operations, repeated and interrupted steps, and what is counted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from poolwright import errors
from poolwright.domain.cluster import ProvisioningState
from poolwright.domain.fault import Effect, EffectKind, Fault, Firing, Match, Point, Tally
from poolwright.domain.operation import Operation, OperationKind, OperationStatus
from poolwright.domain.resource_id import NodePoolId
from poolwright.domain.upgrade_settings import UpgradeSettings
from poolwright.operations.faults import Faults
from poolwright.store import fault_statements
from tests.operations.workbench import (
    KINDS,
    OTHER_SIZE,
    WANTED,
    Script,
    Workbench,
    ask,
    prepare,
    steps_of,
    until_halt,
)

FAILED = errors.ReconcileVMSSAgentPoolFailed.code
REPLACE = {"vm_size": OTHER_SIZE, "count": 4, "upgrade": UpgradeSettings("2")}


def add(bench: Workbench, kind: EffectKind, *, name: str = "f", count: int | None = None, **parts: Any) -> Fault:
    """Store a fault; `parts` are those of its match and of its effect."""
    effect = {part: parts.pop(part) for part in ("code", "message", "seconds", "machines") if part in parts}
    fault = Fault(name=name, match=Match(**parts), effect=Effect(kind=kind, **effect), count=count)
    with bench.database.transaction() as connection:
        fault_statements.put_fault(connection, fault)
    bench.faults.reload()
    return fault


def tally(bench: Workbench, name: str = "f") -> Tally:
    with bench.database.engine.connect() as connection:
        found = fault_statements.fault(connection, name)
    assert found is not None
    return found[1]


def firings(bench: Workbench, name: str = "f") -> list[Firing]:
    with bench.database.engine.connect() as connection:
        return fault_statements.firings(connection, name)


def failed(operation: Operation, code: str = FAILED, *, fault: str = "f") -> str:
    """The message of an operation that the fault must have made fail with that code."""
    assert operation.status is OperationStatus.FAILED
    assert operation.error is not None
    assert (operation.error.code, operation.error.fault) == (code, fault)
    return operation.error.message


@pytest.fixture
def pool(bench: Workbench) -> Workbench:
    """A cluster with the node pool np1 of four machines."""
    bench.put_group()
    bench.done(bench.put_cluster())
    bench.done(bench.put_pool(count=4))
    return bench


@pytest.mark.parametrize(
    ("kind", "step"),
    [pytest.param(kind, step, id=f"{kind.value}-{step}") for kind in KINDS for step in steps_of(kind)],
)
@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_fault_at_any_step_fires_once_however_often_the_step_is_done(
    bench: Workbench, kind: OperationKind, step: str, moment: str
) -> None:
    prepare(bench, kind)
    add(bench, EffectKind.FAIL_AT_STEP, step=step, message="the host is on fire", count=1)
    operation = ask(bench, kind)
    until_halt(bench, operation, Script(twice=True, **{moment: step}))
    # What a new process would know: the fault is spent, and its operation is not over yet.
    bench.faults.reload()
    ended = bench.run(operation, Script(twice=True))
    assert failed(ended).startswith("the host is on fire")
    assert ended.error is not None
    assert ended.error.remedy == "this was asked for: poolwright faults show f"
    assert tally(bench) == Tally(1, 1)
    assert [(firing.operation_id, firing.fired) for firing in firings(bench)] == [(operation.id, True)]
    # Asked again, a deletion of machines means another one.
    if kind not in (OperationKind.DELETE_RESOURCE_GROUP, OperationKind.DELETE_MACHINES):
        again = bench.done(ask(bench, kind))
        assert again.status is OperationStatus.SUCCEEDED
        assert {name: len(bench.machines(name)) for name in WANTED[kind]} == WANTED[kind]


def test_a_change_that_a_fault_stopped_half_way_goes_on_with_the_same_put(pool: Workbench) -> None:
    add(pool, EffectKind.FAIL_AT_STEP, step="wave_2.await_ready", message="no", count=1, pool="np1")
    assert "2 of 4 machines were replaced" in failed(pool.done(pool.put_pool(**REPLACE)))
    assert pool.there().state is ProvisioningState.FAILED
    boots = pool.simulated.boots()
    assert pool.done(pool.put_pool(**REPLACE)).status is OperationStatus.SUCCEEDED
    assert {machine.spec.size for machine in pool.machines()} == {OTHER_SIZE}
    replaced_first = {key for key, number in boots.items() if number and key in pool.simulated.boots()}
    assert replaced_first
    assert all(pool.simulated.boots()[key] == 1 for key in replaced_first)


def test_a_change_that_a_fault_stopped_half_way_can_be_taken_back(pool: Workbench) -> None:
    add(pool, EffectKind.FAIL_AT_STEP, step="wave_2.await_ready", message="no", count=1)
    before = pool.there().vm_size
    failed(pool.done(pool.put_pool(**REPLACE)))
    back = pool.post("node_pools.rollback", NodePoolId(pool.cluster_id, "np1"))
    assert pool.done(back).status is OperationStatus.SUCCEEDED
    assert {machine.spec.size for machine in pool.machines()} == {before}


def test_a_fault_for_one_pool_of_an_operation_leaves_other_operations_alone(pool: Workbench) -> None:
    add(pool, EffectKind.FAIL_AT_STEP, step="await_ready", message="no", pool="np2")
    first, second, third = (pool.put_pool(name, count=2) for name in ("np2", "np3", "np1"))
    assert failed(pool.done(first)) == "no"
    assert pool.done(second).status is OperationStatus.SUCCEEDED
    assert pool.done(third).status is OperationStatus.SUCCEEDED
    assert tally(pool) == Tally(1, 1)


def test_only_the_nth_match_fires_and_count_ends_a_fault(pool: Workbench) -> None:
    add(pool, EffectKind.FAIL_AT_STEP, step="await_ready", message="second", nth=2)
    add(pool, EffectKind.FAIL_AT_STEP, name="g", step="plan_waves", message="twice", count=2, pool="twice*")
    assert pool.done(pool.put_pool("a", count=1)).status is OperationStatus.SUCCEEDED
    assert failed(pool.done(pool.put_pool("b", count=1))) == "second"
    assert pool.done(pool.put_pool("c", count=1)).status is OperationStatus.SUCCEEDED
    assert tally(pool) == Tally(2, 1)
    outcomes = [pool.done(pool.put_pool(f"twice{n}", count=1)).status for n in range(3)]
    assert outcomes == [OperationStatus.FAILED, OperationStatus.FAILED, OperationStatus.SUCCEEDED]
    assert tally(pool, "g") == Tally(2, 2)


# Delays.


def test_a_delayed_step_waits_for_what_is_left_after_a_restart(pool: Workbench) -> None:
    add(pool, EffectKind.DELAY, step="plan_waves", seconds=100.0, count=1)
    operation = pool.put_pool("late", count=1)
    pool.clock.waits.clear()

    def halt_half_way() -> None:
        if sum(pool.clock.waits) >= 40:
            raise KeyboardInterrupt

    pool.clock.meanwhile = halt_half_way
    with pytest.raises(KeyboardInterrupt):
        pool.done(operation)
    pool.clock.meanwhile = lambda: None
    pool.faults.reload()
    pool.clock.now += 10
    assert pool.done(operation).status is OperationStatus.SUCCEEDED
    assert sum(pool.clock.waits) == pytest.approx(90)
    assert tally(pool) == Tally(1, 1)


def test_a_delayed_step_is_aborted(pool: Workbench) -> None:
    add(pool, EffectKind.DELAY, step="add_machines", seconds=1000.0)
    operation = pool.put_pool("late", count=1)
    pool.clock.meanwhile = lambda: pool.post("node_pools.abort", NodePoolId(pool.cluster_id, "late")) and None
    pool.clock.waits.clear()
    assert pool.done(operation).status is OperationStatus.CANCELED
    assert len(pool.clock.waits) == 1


# Machines.


@pytest.mark.parametrize("step", ["await_ready", "remove_machines", "mark_succeeded"])
@pytest.mark.parametrize("twice", [False, True])
def test_a_machine_vanishes_before_a_step_and_the_next_put_makes_up_for_it(
    pool: Workbench, step: str, twice: bool
) -> None:
    add(pool, EffectKind.LOSE_MACHINE, step=step, count=1)
    message = failed(pool.run(pool.put_pool(**REPLACE), Script(twice=twice)))
    (firing,) = firings(pool)
    (lost,) = firing.machines
    assert message.startswith(f"1 machine(s) vanished: {lost.rpartition('/')[2]}.")
    assert tally(pool) == Tally(1, 1)
    assert pool.done(pool.put_pool(**REPLACE)).status is OperationStatus.SUCCEEDED
    assert pool.simulated.keys() == pool.rows()
    assert [machine.spec.size for machine in pool.machines()] == [OTHER_SIZE] * 4


def test_a_machine_lost_before_a_kill_is_not_lost_again(pool: Workbench) -> None:
    add(pool, EffectKind.LOSE_MACHINE, step="plan_waves", machines=2, count=1)
    operation = pool.put_pool(count=4)
    until_halt(pool, operation, Script(after="plan_waves"))
    lost = set(firings(pool)[0].machines)
    assert len(lost) == 2
    assert pool.rows() - pool.simulated.keys() == lost
    pool.faults.reload()
    assert pool.done(operation).status is OperationStatus.SUCCEEDED
    assert pool.rows() == pool.simulated.keys()
    assert tally(pool) == Tally(1, 1)


def test_nothing_is_lost_where_no_machine_matches(pool: Workbench) -> None:
    add(pool, EffectKind.LOSE_MACHINE, step="await_ready", size="Standard_E*")
    assert pool.done(pool.put_pool(**REPLACE)).status is OperationStatus.SUCCEEDED
    assert tally(pool) == Tally(0, 0)


@pytest.mark.parametrize("code", ["AllocationFailed", "ZonalAllocationFailed", "SkuNotAvailable"])
def test_there_is_no_capacity_in_a_zone_and_the_other_zone_has_its_machines(pool: Workbench, code: str) -> None:
    add(pool, EffectKind.NO_CAPACITY, code=code, zone="2", count=1)
    asked: list[set[str | None]] = []
    ensure = pool.simulated.ensure

    def noted(specs: Any) -> None:
        asked.append({spec.zone for spec in specs})
        ensure(specs)

    pool.simulated.ensure = noted  # type: ignore[method-assign]
    operation = pool.put_pool("zonal", count=4, zones=("1", "2"))
    message = failed(pool.run(operation, Script(twice=True)), code)
    assert asked[0] == {"1"}
    assert set().union(*asked) == {"1"}
    assert ("zone" in message) == (code != "AllocationFailed")
    assert "Standard_D2s_v5" in message or code != "SkuNotAvailable"
    assert tally(pool) == Tally(1, 1)
    assert len(firings(pool)[0].machines) == 2
    assert pool.simulated.keys() == pool.rows()
    assert pool.done(pool.put_pool("zonal", count=4, zones=("1", "2"))).status is OperationStatus.SUCCEEDED


def test_machines_that_exist_need_no_capacity(pool: Workbench) -> None:
    add(pool, EffectKind.NO_CAPACITY, code="AllocationFailed")
    assert pool.done(pool.put_pool(count=2)).status is OperationStatus.SUCCEEDED
    assert pool.done(pool.post("clusters.stop", pool.cluster_id)).status is OperationStatus.SUCCEEDED
    assert pool.done(pool.post("clusters.start", pool.cluster_id)).status is OperationStatus.SUCCEEDED
    assert tally(pool) == Tally(0, 0)


def test_the_quota_is_one_short_half_way(pool: Workbench) -> None:
    add(pool, EffectKind.QUOTA_SHORT, step="wave_2.add_machines", count=1)
    message = failed(pool.done(pool.put_pool(**REPLACE)), "ErrCode_InsufficientVCPUQuota")
    # Two machines with four vCPUs each are asked for in the second wave.
    assert message.startswith("Insufficient vcpu quota requested 8, remaining 7 for family standardDSv5Family for")
    assert "2 of 4 machines were replaced" in message
    assert pool.done(pool.put_pool(**REPLACE)).status is OperationStatus.SUCCEEDED


def test_the_quota_is_one_short_at_the_request_and_nothing_changes(pool: Workbench) -> None:
    add(pool, EffectKind.QUOTA_SHORT)
    before = pool.everything()
    with pytest.raises(errors.InsufficientVcpuQuota) as refused:
        pool.put_pool(count=6)
    assert refused.value.message.startswith("Insufficient vcpu quota requested 4, remaining 3 for family standardDSv5")
    assert pool.everything() == before
    assert tally(pool) == Tally(1, 1)
    pool.done(pool.put_pool(count=3))
    pool.done(pool.delete_pool())
    assert tally(pool) == Tally(1, 1), "what needs no vCPU is not refused"


def test_an_unsigned_driver_keeps_machines_with_secure_boot_from_becoming_ready(pool: Workbench) -> None:
    add(pool, EffectKind.UNSIGNED_DRIVER, message="nvidia.ko", count=1)
    secure = {"secure_boot": True, "vtpm": True, "count": 2}
    operation = pool.put_pool("safe", **secure)
    script = Script(twice=True, after="wave_1.add_machines")
    until_halt(pool, operation, script)
    pool.faults.reload()
    ended = pool.run(operation, Script(twice=True))
    message = failed(ended)
    assert "1 machine(s) will not become ready (Secure Boot refused to load nvidia.ko, which is not signed" in message
    assert "(fault f)" in message
    assert tally(pool) == Tally(1, 1)
    assert pool.done(pool.put_pool("plain", count=2)).status is OperationStatus.SUCCEEDED
    # The next PUT makes another machine, which the spent fault leaves alone.
    assert pool.done(pool.put_pool("safe", **secure)).status is OperationStatus.SUCCEEDED
    assert pool.simulated.keys() == pool.rows()


def test_machines_that_a_fault_broke_are_well_when_it_is_cleared(pool: Workbench) -> None:
    add(pool, EffectKind.UNSIGNED_DRIVER)
    secure = {"secure_boot": True, "vtpm": True, "count": 2}
    operation = pool.put_pool("safe", **secure)
    until_halt(pool, operation, Script(after="wave_1.add_machines"))
    with pool.database.transaction() as connection:
        assert fault_statements.delete_faults(connection) == 1
    pool.faults.reload()
    assert pool.done(operation).status is OperationStatus.SUCCEEDED


# Drains.


def test_a_drain_fails_where_a_cluster_is_attached_and_pods_stay(tmp_path: Path) -> None:
    bench = Workbench(tmp_path)
    cluster = bench.kubernetes
    cluster.attach()
    bench.put_group()
    bench.done(bench.put_cluster())
    bench.done(bench.put_pool(count=2))
    bench.done(bench.put_pool("np2", count=2))
    add(bench, EffectKind.FAIL_DRAIN, message="pod default/web has no other node", pool="np1", count=1)
    soon = UpgradeSettings(drain_timeout_minutes=1)
    message = failed(bench.done(bench.put_pool(count=2, vm_size=OTHER_SIZE, upgrade=soon)), "UpgradeFailed")
    assert "did not end within 1 minutes: pod default/web has no other node" in message
    assert not any(call.nodes for call in cluster.calls if call.verb == "drain")
    assert cluster.cordoned == set()
    assert tally(bench) == Tally(1, 1)
    assert bench.done(bench.put_pool("np2", count=2, vm_size=OTHER_SIZE)).status is OperationStatus.SUCCEEDED
    assert bench.done(bench.put_pool(count=2, vm_size=OTHER_SIZE)).status is OperationStatus.SUCCEEDED
    assert sum(len(call.drained) for call in cluster.calls) == 4
    bench.close()


def test_without_a_cluster_nothing_drains_and_the_fault_does_not_fire(pool: Workbench) -> None:
    add(pool, EffectKind.FAIL_DRAIN, message="no")
    assert pool.done(pool.put_pool(**REPLACE)).status is OperationStatus.SUCCEEDED
    assert tally(pool) == Tally(0, 0)


# Admission.


@pytest.mark.parametrize("kind", [*KINDS], ids=lambda kind: kind.value)
def test_any_change_can_be_refused_and_then_nothing_has_changed(bench: Workbench, kind: OperationKind) -> None:
    prepare(bench, kind)
    add(bench, EffectKind.REFUSE, code="OperationNotAllowed", operation=kind, count=1)
    before = bench.everything()
    with pytest.raises(errors.OperationNotAllowed, match=f"an in-progress {kind.words} operation .operation ID"):
        ask(bench, kind)
    assert bench.everything() == before
    assert tally(bench) == Tally(1, 1)
    assert firings(bench)[0].on.startswith(kind.words)
    assert bench.done(ask(bench, kind)).status is OperationStatus.SUCCEEDED


def test_an_abort_can_be_refused(pool: Workbench) -> None:
    add(pool, EffectKind.REFUSE, code="InternalServerError", operation=OperationKind.ABORT_NODE_POOL, count=1)
    operation = pool.put_pool(count=5)
    with pytest.raises(errors.InternalServerError):
        pool.post("node_pools.abort", NodePoolId(pool.cluster_id, "np1"))
    assert pool.done(operation).status is OperationStatus.SUCCEEDED


def test_a_retired_size_is_refused_and_pools_that_have_it_can_leave_it(pool: Workbench) -> None:
    add(pool, EffectKind.RETIRED_SIZE, size="Standard_D2s_v5")
    with pytest.raises(errors.VMSizeNotSupported) as refused:
        pool.put_pool(count=5)
    assert refused.value.message.startswith("Virtual Machine size: 'Standard_D2s_v5' is not supported for subscription")
    assert refused.value.message.rpartition("sizes are '")[2].count(",") == 4
    assert pool.done(pool.put_pool(count=4, vm_size=OTHER_SIZE)).status is OperationStatus.SUCCEEDED
    assert pool.done(pool.delete_pool()).status is OperationStatus.SUCCEEDED


# What is remembered.


def test_a_fault_that_was_cleared_or_replaced_behind_its_back_does_not_fire_as_it_was(pool: Workbench) -> None:
    add(pool, EffectKind.FAIL_AT_STEP, step="await_ready", message="old")
    with pool.database.transaction() as connection:
        replaced = Fault(
            name="f", match=Match(step="drain"), effect=Effect(kind=EffectKind.FAIL_AT_STEP, message="new")
        )
        assert not fault_statements.put_fault(connection, replaced)
    assert pool.done(pool.put_pool("a", count=1)).status is OperationStatus.SUCCEEDED
    with pool.database.transaction() as connection:
        fault_statements.delete_fault(connection, "f")
    assert pool.done(pool.put_pool("b", count=1)).status is OperationStatus.SUCCEEDED


def test_a_spent_fault_is_no_longer_looked_for(pool: Workbench) -> None:
    add(pool, EffectKind.REFUSE, code="InvalidParameter", count=1)
    with pytest.raises(errors.InvalidParameter):
        pool.put_pool("a", count=1)
    assert pool.faults.could_fire(Point.ADMISSION)
    pool.done(pool.put_pool("a", count=1))
    assert not pool.faults.could_fire(Point.ADMISSION)
    assert not Faults(pool.database, pool.clock, lambda: "x").could_fire(*Point)


def test_faults_are_taken_up_at_the_start(pool: Workbench) -> None:
    add(pool, EffectKind.REFUSE, code="InvalidParameter", count=2)
    assert Faults(pool.database, pool.clock, lambda: "x").could_fire(Point.ADMISSION)


def test_only_the_newest_firings_are_kept(pool: Workbench) -> None:
    add(pool, EffectKind.REFUSE, code="InvalidParameter")
    for _ in range(fault_statements.KEPT_FIRINGS + 5):
        with pytest.raises(errors.InvalidParameter):
            pool.put_pool("a", count=1)
    with pool.database.engine.connect() as connection:
        (stored,) = connection.exec_driver_sql("SELECT count(*) FROM pw_fault_firings").one()
    assert stored == fault_statements.KEPT_FIRINGS
    assert tally(pool).fired == fault_statements.KEPT_FIRINGS + 5


def test_faults_are_asked_in_the_order_of_their_names_up_to_the_first_that_ends(pool: Workbench) -> None:
    add(pool, EffectKind.DELAY, name="a", step="plan_waves", seconds=5.0)
    add(pool, EffectKind.FAIL_AT_STEP, name="b", step="plan_waves", message="b")
    add(pool, EffectKind.FAIL_AT_STEP, name="c", step="plan_waves", message="c")
    pool.clock.waits.clear()
    assert failed(pool.done(pool.put_pool("x", count=1)), fault="b") == "b"
    assert sum(pool.clock.waits) == pytest.approx(5)
    assert [tally(pool, name).fired for name in "abc"] == [1, 1, 0]
