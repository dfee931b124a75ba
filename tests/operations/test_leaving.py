"""How machines leave when a Kubernetes cluster is attached: cordoned, drained, left to soak, removed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from poolwright.domain.cluster import ProvisioningState
from poolwright.domain.node_pool_kind import PowerState, ScaleDownMode
from poolwright.domain.operation import Operation, OperationStatus
from poolwright.domain.resource_id import NodePoolId
from poolwright.domain.upgrade_settings import UndrainableNodeBehavior, UpgradeSettings
from poolwright.machines.engine import PermanentError, TemporaryError
from tests.operations.workbench import OTHER_SIZE, Script, Workbench, once, until_halt
from tests.support.scripted_cluster import ScriptedCluster

LEAVING = ["cordon", "drain", "soak", "remove_machines"]
MINUTE = 60.0
# A node that is not drained within a minute stays, cordoned.
KEPT_CORDONED: dict[str, Any] = {
    "max_surge": "2",
    "drain_timeout_minutes": 1,
    "undrainable": UndrainableNodeBehavior.CORDON,
}


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Workbench]:
    made = Workbench(tmp_path)
    made.kubernetes.attach(evictions=3)
    made.put_group()
    made.done(made.put_cluster())
    made.done(made.put_pool(count=3))
    yield made
    made.close()


@pytest.fixture
def cluster(bench: Workbench) -> ScriptedCluster:
    return bench.kubernetes


def resize(bench: Workbench, **settings: Any) -> Operation:
    return bench.put_pool(count=3, vm_size=OTHER_SIZE, upgrade=UpgradeSettings(**{"max_surge": "1", **settings}))


def delete(bench: Workbench, *machines: str) -> Operation:
    return bench.post("machines.delete", pool_id(bench), machines)


def pool_id(bench: Workbench) -> NodePoolId:
    return NodePoolId(bench.cluster_id, "np1")


def names(bench: Workbench) -> list[str]:
    return [machine.id.machine for machine in bench.machines()]


def first(bench: Workbench) -> str:
    return names(bench)[0]


def test_machines_leave_cordoned_and_drained_and_after_a_soak(bench: Workbench, cluster: ScriptedCluster) -> None:
    operation, script = resize(bench, node_soak_minutes=5), Script()
    started = bench.clock.now
    ended = bench.run(operation, script)
    assert (ended.status, ended.cluster_attached) == (OperationStatus.SUCCEEDED, True)
    for wave in (1, 2, 3):
        assert [name for name in script.steps if name.startswith(f"wave_{wave}.")][2:] == [
            f"wave_{wave}.{name}" for name in LEAVING
        ]
    assert 15 * MINUTE <= bench.clock.now - started < 16 * MINUTE
    assert "uncordon" not in cluster.verbs


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("step", [f"wave_2.{name}" for name in LEAVING])
def test_an_operation_interrupted_while_machines_leave_goes_on(
    bench: Workbench, cluster: ScriptedCluster, step: str, moment: str
) -> None:
    old = names(bench)
    operation = resize(bench, node_soak_minutes=1)
    until_halt(bench, operation, Script(before=step) if moment == "before" else Script(after=step))
    assert bench.run(operation, once).status is OperationStatus.SUCCEEDED
    assert [machine.spec.size for machine in bench.machines()] == [OTHER_SIZE] * 3
    assert bench.engine.keys() == bench.rows()
    assert cluster.cordoned == set()
    cluster.require_order(old)


def test_a_node_that_is_not_drained_in_time_stops_the_change_and_takes_pods_again(
    bench: Workbench, cluster: ScriptedCluster
) -> None:
    cluster.place(first(bench), evictions=None)
    started = bench.clock.now
    ended = bench.run(resize(bench, drain_timeout_minutes=7), once)
    assert ended.status is OperationStatus.FAILED
    assert ended.error is not None
    assert ended.error.code == "UpgradeFailed"
    assert "did not end within 7 minutes: pod default/web" in ended.error.message
    assert "0 of 3 machines were replaced, 3 were not" in ended.error.message
    assert 7 * MINUTE <= bench.clock.now - started < 8 * MINUTE
    assert cluster.cordoned == set()
    assert len(bench.machines()) == 3, "the surge machine is gone"
    cluster.let_go()
    assert bench.done(resize(bench)).status is OperationStatus.SUCCEEDED


def test_a_restart_gives_a_draining_node_no_more_time(bench: Workbench, cluster: ScriptedCluster) -> None:
    cluster.place(first(bench), evictions=None)
    operation = resize(bench, drain_timeout_minutes=10)
    until_halt(bench, operation, Script(before="wave_1.drain"))
    begun = bench.clock.now
    bench.clock.now += 9 * MINUTE
    ended = bench.run(operation, Script(at="wave_1.drain"))
    assert ended.status is OperationStatus.FAILED
    assert 10 * MINUTE <= bench.clock.now - begun < 11 * MINUTE


def test_a_restart_before_nodes_are_known_to_be_cordoned_gives_them_no_more_time(
    bench: Workbench, cluster: ScriptedCluster
) -> None:
    operation = resize(bench, drain_timeout_minutes=10)
    until_halt(bench, operation, Script(after="wave_1.cordon"))
    until = bench.operation(operation).until
    bench.clock.now += 9 * MINUTE
    until_halt(bench, operation, Script(at="wave_1.cordon", before="wave_1.drain"))
    assert bench.operation(operation).until == until
    until_halt(bench, operation, Script(at="wave_1.drain", before="wave_2.drain"))
    assert bench.operation(operation).until == bench.clock.now + 10 * MINUTE, "each wave has its own time"


def test_with_cordon_an_undrainable_node_stays_beside_its_replacement(
    bench: Workbench, cluster: ScriptedCluster
) -> None:
    stuck = first(bench)
    cluster.place(stuck, evictions=None)
    ended = bench.run(resize(bench, **KEPT_CORDONED), once)
    assert ended.status is OperationStatus.FAILED
    assert ended.error is not None
    assert f"left cordoned beside their replacements: {stuck}." in ended.error.message
    quarantined = [machine.id.machine for machine in bench.machines() if machine.quarantined]
    assert quarantined == [stuck]
    assert stuck in cluster.cordoned
    assert [m.spec.size for m in bench.machines() if not m.quarantined] == [OTHER_SIZE] * 3
    cluster.let_go()
    assert bench.done(resize(bench)).status is OperationStatus.SUCCEEDED
    assert stuck not in {machine.id.machine for machine in bench.machines()}
    assert len(bench.machines()) == 3


def test_an_abort_during_a_drain_ends_it_and_the_next_put_goes_on_and_a_rollback_goes_back(
    bench: Workbench, cluster: ScriptedCluster
) -> None:
    cluster.place(first(bench), evictions=None)
    operation = resize(bench, drain_timeout_minutes=1000)

    def abort() -> None:
        bench.clock.meanwhile = lambda: None
        bench.post("node_pools.abort", pool_id(bench))

    bench.clock.meanwhile = abort
    ended = bench.run(operation, once)
    assert ended.status is OperationStatus.CANCELED
    assert ended.error is not None
    assert bench.there().state is ProvisioningState.CANCELED
    assert cluster.cordoned == set()
    cluster.let_go()
    assert bench.done(resize(bench)).status is OperationStatus.SUCCEEDED
    back = bench.post("node_pools.rollback", pool_id(bench))
    assert bench.done(back).status is OperationStatus.SUCCEEDED
    assert {machine.spec.size for machine in bench.machines()} == {"Standard_D2s_v5"}


@pytest.mark.parametrize("again", ["put", "rollback"])
@pytest.mark.parametrize(
    ("error", "times"),
    [(PermanentError("forbidden"), 1), (TemporaryError("the cluster is away", retry_after_seconds=100), 20)],
    ids=["forbidden", "away"],
)
def test_a_node_that_could_not_be_uncordoned_is_by_the_next_operation(
    bench: Workbench, cluster: ScriptedCluster, error: PermanentError | TemporaryError, times: int, again: str
) -> None:
    stuck = first(bench)
    cluster.place(stuck, evictions=None)
    cluster.fail("uncordon", error, times=times)
    ended = bench.run(resize(bench, drain_timeout_minutes=1), once)
    assert ended.error is not None
    assert f"Cleaning up failed as well: {error}" in ended.error.message
    assert cluster.cordoned == {stuck}
    assert bench.engine.keys() == bench.rows(), "everything else is taken back"
    cluster.heal()
    cluster.let_go()
    next_one = resize(bench) if again == "put" else bench.post("node_pools.rollback", pool_id(bench))
    assert bench.done(next_one).status is OperationStatus.SUCCEEDED
    assert cluster.cordoned == set()
    assert (stuck in names(bench)) is (again == "rollback")


def test_an_operation_carried_out_from_the_start_again_leaves_no_later_wave_cordoned_when_it_fails(
    bench: Workbench, cluster: ScriptedCluster
) -> None:
    operation = resize(bench, node_soak_minutes=1)
    until_halt(bench, operation, Script(after="wave_2.cordon"))
    before = bench.operation(operation)
    cluster.place(names(bench)[0], evictions=None)
    ended = bench.run(operation, Script(fails="wave_1.soak"))
    assert (ended.status, ended.wave) == (OperationStatus.FAILED, before.wave)
    assert cluster.cordoned == set()
    assert len(bench.machines()) == 3
    assert bench.engine.keys() == bench.rows()


def test_a_node_that_vanished_while_it_was_cordoned_takes_pods_when_it_is_made_again(
    bench: Workbench, cluster: ScriptedCluster
) -> None:
    lost = bench.machines()[0]
    operation = resize(bench)
    until_halt(bench, operation, Script(before="wave_1.drain"))
    bench.simulated.delete([lost.id.key])
    assert bench.run(operation, Script(fails="wave_1.drain", at="wave_1.drain")).status is OperationStatus.FAILED
    assert bench.done(bench.post("node_pools.rollback", pool_id(bench))).status is OperationStatus.SUCCEEDED
    assert bench.engine.keys() == bench.rows()
    assert cluster.cordoned == set()


def test_a_parked_machine_takes_pods_again_when_it_is_woken(bench: Workbench, cluster: ScriptedCluster) -> None:
    deallocate: dict[str, Any] = {"scale_down": ScaleDownMode.DEALLOCATE}
    assert bench.done(bench.put_pool(count=2, **deallocate)).status is OperationStatus.SUCCEEDED
    [parked] = [machine.id.machine for machine in bench.machines() if machine.parked]
    assert bench.done(bench.put_pool(count=2, **deallocate)).status is OperationStatus.SUCCEEDED
    assert cluster.cordoned == {parked}
    assert bench.done(bench.put_pool(count=3, **deallocate)).status is OperationStatus.SUCCEEDED
    assert [machine.parked for machine in bench.machines()] == [False] * 3
    assert cluster.cordoned == set()


def test_a_machine_whose_pods_did_not_leave_is_not_parked(bench: Workbench, cluster: ScriptedCluster) -> None:
    cluster.attach(evictions=None)
    shrink = {"count": 2, "scale_down": ScaleDownMode.DEALLOCATE, "upgrade": UpgradeSettings(**KEPT_CORDONED)}
    ended = bench.done(bench.put_pool(**shrink))
    assert ended.error is not None
    assert "left cordoned" in ended.error.message
    [stuck] = [machine for machine in bench.machines() if machine.quarantined]
    assert (stuck.parked, stuck.spec.running) == (False, True)
    assert cluster.cordoned == {stuck.id.machine}
    cluster.let_go()
    assert bench.done(bench.put_pool(**shrink)).status is OperationStatus.SUCCEEDED
    assert stuck.id.machine not in names(bench)
    cluster.require_order([stuck.id.machine])


def test_machines_deleted_by_name_are_not_drained(bench: Workbench, cluster: ScriptedCluster) -> None:
    assert bench.done(delete(bench, first(bench))).status is OperationStatus.SUCCEEDED
    assert cluster.verbs == []


def test_machines_that_leave_together_with_deleted_ones_are_drained(bench: Workbench, cluster: ScriptedCluster) -> None:
    old = names(bench)
    cluster.place(old[1], evictions=None)
    assert bench.done(resize(bench, drain_timeout_minutes=1)).status is OperationStatus.FAILED
    cluster.let_go()
    [new] = set(names(bench)) - set(old)
    assert bench.done(delete(bench, new)).status is OperationStatus.SUCCEEDED
    assert {machine.spec.size for machine in bench.machines()} == {OTHER_SIZE}
    assert not any(new in call.nodes for call in cluster.calls if call.verb in ("cordon", "drain"))
    cluster.require_order(old)


def test_a_quarantined_machine_is_drained_before_a_deletion_of_others_takes_it_along(
    bench: Workbench, cluster: ScriptedCluster
) -> None:
    cluster.attach(evictions=None)
    assert (
        bench.done(bench.put_pool(count=2, upgrade=UpgradeSettings(**KEPT_CORDONED))).status is OperationStatus.FAILED
    )
    [stuck] = cluster.cordoned
    other = next(name for name in names(bench) if name != stuck)
    bench.engine.raises["delete"] = [PermanentError("the host is away")]
    cluster.let_go()
    assert bench.done(delete(bench, other)).status is OperationStatus.FAILED
    assert cluster.cordoned == set()
    assert bench.done(delete(bench, other)).status is OperationStatus.SUCCEEDED
    assert stuck not in names(bench)
    cluster.require_order([stuck])


def test_a_stopped_machine_is_not_drained(bench: Workbench, cluster: ScriptedCluster) -> None:
    assert bench.done(bench.put_pool(count=3, power=PowerState.STOPPED)).status is OperationStatus.SUCCEEDED
    script = Script()
    assert bench.run(bench.put_pool(count=3, vm_size=OTHER_SIZE), script).status is OperationStatus.SUCCEEDED
    assert {machine.spec.size for machine in bench.machines()} == {OTHER_SIZE}
    assert cluster.verbs == []
    assert not any(name.endswith(("cordon", "drain", "soak")) for name in script.steps)


def reimage(bench: Workbench, number: int = 0) -> Operation:
    return bench.post("machines.reimage", bench.machines()[number].id)


def reimaged_by(bench: Workbench) -> list[str]:
    return [machine.spec.reimaged_by for machine in bench.machines()]


def test_a_machine_is_drained_before_it_is_reimaged_and_takes_pods_again(
    bench: Workbench, cluster: ScriptedCluster
) -> None:
    old = names(bench)
    operation, script = reimage(bench), Script()
    ended = bench.run(operation, script)
    assert (ended.status, ended.cluster_attached, ended.to_replace) == (OperationStatus.SUCCEEDED, True, 0)
    assert script.steps == [
        "plan_waves",
        *(f"wave_1.{step}" for step in ("cordon", "drain", "soak", "reimage_machines", "await_reimaged")),
        "mark_succeeded",
    ]
    assert names(bench) == old
    assert reimaged_by(bench) == [operation.id, "", ""]
    assert [call.nodes for call in cluster.calls if call.verb in ("cordon", "uncordon")] == [{old[0]}] * 2
    assert cluster.cordoned == set()


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("step", ["cordon", "drain", "soak", "reimage_machines", "await_reimaged"])
def test_a_reimage_interrupted_anywhere_goes_on_and_makes_one_disk(
    bench: Workbench, cluster: ScriptedCluster, step: str, moment: str
) -> None:
    operation, place = reimage(bench), f"wave_1.{step}"
    until_halt(bench, operation, Script(before=place) if moment == "before" else Script(after=place))
    assert bench.run(operation, once).status is OperationStatus.SUCCEEDED
    assert reimaged_by(bench) == [operation.id, "", ""]
    assert [bench.simulated.boots()[machine.id.key] for machine in bench.machines()] == [2, 1, 1]
    assert cluster.cordoned == set()


def test_a_node_that_cannot_be_drained_is_not_reimaged(bench: Workbench, cluster: ScriptedCluster) -> None:
    bench.done(bench.put_pool(count=3, upgrade=UpgradeSettings(**KEPT_CORDONED)))
    cluster.place(first(bench), evictions=None)
    ended = bench.run(reimage(bench), once)
    assert ended.status is OperationStatus.FAILED
    assert ended.error is not None
    assert "did not end within 1 minutes: pod default/web" in ended.error.message
    assert reimaged_by(bench) == ["", "", ""]
    assert cluster.cordoned == set()
    assert not any(machine.quarantined for machine in bench.machines())


def test_a_broken_machine_is_repaired_in_its_place(bench: Workbench) -> None:
    old = names(bench)
    bench.simulated.delete([bench.machines()[1].id.key])
    assert bench.done(reimage(bench, 1)).status is OperationStatus.SUCCEEDED
    assert names(bench) == old
    assert bench.engine.keys() == bench.rows()


def test_what_a_failed_change_left_is_brought_about_first(bench: Workbench) -> None:
    bench.run(resize(bench), Script(fails="wave_2.await_ready"))
    sizes = {machine.id.machine: machine.spec.size for machine in bench.machines()}
    moved = next(name for name, size in sizes.items() if size == OTHER_SIZE)
    operation = reimage(bench, list(sizes).index(moved))
    assert bench.done(operation).status is OperationStatus.SUCCEEDED
    assert [machine.spec.size for machine in bench.machines()] == [OTHER_SIZE] * 3
    assert {machine.id.machine for machine in bench.machines() if machine.spec.reimaged_by} == {moved}
    assert bench.there().state is ProvisioningState.SUCCEEDED


def test_a_stopped_machine_gets_its_disk_when_it_starts_again(bench: Workbench) -> None:
    bench.done(bench.put_pool(count=3, power=PowerState.STOPPED))
    operation, script = reimage(bench), Script()
    assert bench.run(operation, script).status is OperationStatus.SUCCEEDED
    assert not any("drain" in step for step in script.steps)
    bench.done(bench.put_pool(count=3, power=PowerState.RUNNING))
    assert reimaged_by(bench) == [operation.id, "", ""]
