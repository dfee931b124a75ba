"""How machines leave when a Kubernetes cluster is attached: cordoned, drained, left to soak, removed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from poolwright.domain.cluster import ProvisioningState
from poolwright.domain.operation import Operation, OperationStatus
from poolwright.domain.resource_id import NodePoolId
from poolwright.domain.upgrade_settings import UndrainableNodeBehavior, UpgradeSettings
from tests.operations.workbench import CALL, OTHER_SIZE, Script, Workbench, once, until_halt
from tests.support.scripted_cluster import ScriptedCluster

LEAVING = ["cordon", "drain", "soak", "remove_machines"]
MINUTE = 60.0


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


def resize(bench: Workbench, **settings: object) -> Operation:
    return bench.put_pool(count=3, vm_size=OTHER_SIZE, upgrade=UpgradeSettings(**{"max_surge": "1", **settings}))  # type: ignore[arg-type]


def first(bench: Workbench) -> str:
    return bench.machines()[0].id.machine


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
    operation = resize(bench, node_soak_minutes=1)
    until_halt(bench, operation, Script(before=step) if moment == "before" else Script(after=step))
    assert bench.run(operation, once).status is OperationStatus.SUCCEEDED
    assert [machine.spec.size for machine in bench.machines()] == [OTHER_SIZE] * 3
    assert bench.engine.keys() == bench.rows()


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
    script = Script()

    def from_drain(name: str, effect: object) -> object:
        return script(name, effect) if name == "wave_1.drain" or "undo" in name or "mark" in name else None  # type: ignore[arg-type]

    ended = bench.run(operation, from_drain)  # type: ignore[arg-type]
    assert ended.status is OperationStatus.FAILED
    assert bench.clock.now - begun < 11 * MINUTE


def test_with_cordon_an_undrainable_node_stays_beside_its_replacement(
    bench: Workbench, cluster: ScriptedCluster
) -> None:
    stuck = first(bench)
    cluster.place(stuck, evictions=None)
    ended = bench.run(
        resize(bench, drain_timeout_minutes=1, undrainable=UndrainableNodeBehavior.CORDON, max_surge="2"), once
    )
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
        bench.post("abort_node_pool", NodePoolId(bench.cluster_id, "np1"))

    bench.clock.meanwhile = abort
    ended = bench.run(operation, once)
    assert ended.status is OperationStatus.CANCELED
    assert ended.error is not None
    assert bench.there().state is ProvisioningState.CANCELED
    assert cluster.cordoned == set()
    cluster.let_go()
    assert bench.done(resize(bench)).status is OperationStatus.SUCCEEDED
    back = bench.post("rollback_node_pool", NodePoolId(bench.cluster_id, "np1"))
    assert bench.done(back).status is OperationStatus.SUCCEEDED
    assert {machine.spec.size for machine in bench.machines()} == {"Standard_D2s_v5"}


def test_machines_deleted_by_name_are_not_drained(bench: Workbench, cluster: ScriptedCluster) -> None:
    with bench.database.transaction() as connection:
        accepted = bench.plane.delete_machines(connection, NodePoolId(bench.cluster_id, "np1"), [first(bench)], CALL)
    assert accepted.operation is not None
    assert bench.done(accepted.operation).status is OperationStatus.SUCCEEDED
    assert set(cluster.verbs) == {"remove"}
