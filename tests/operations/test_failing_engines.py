"""What becomes of an operation, its pool and its machines when the machine engine or the database fails."""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError
from structlog.contextvars import get_contextvars

from poolwright.arm.wire_renderer import WireRenderer
from poolwright.domain.cluster import ProvisioningState
from poolwright.domain.machine import machine_name
from poolwright.domain.node_pool import NodePool
from poolwright.domain.node_pool_kind import Mode, PowerState
from poolwright.domain.operation import Operation, OperationError, OperationKind, OperationStatus
from poolwright.domain.os_sku import OsType
from poolwright.domain.profile import Profile
from poolwright.domain.resource_id import NodePoolId
from poolwright.machines.engine import PermanentError, TemporaryError
from poolwright.operations.plans import EACH_WAVE, PLANS, RETRY_TIMEOUT_SECONDS, NotEnded
from poolwright.operations.waves import READY_TIMEOUT_SECONDS
from tests.operations.workbench import CLUSTER, KINDS, Workbench, accept, once

Log = list[MutableMapping[str, Any]]
MACHINES_FAILED = "ReconcileVMSSAgentPoolFailed"
FIRST, SECOND = (machine_name(NodePoolId(CLUSTER, "np1"), OsType.LINUX, ordinal) for ordinal in (0, 1))

# Every place where a plan asks the engine for something.
asking_the_engine = pytest.mark.parametrize(
    ("kind", "method"),
    [
        pytest.param(kind, method, id=f"{kind.value}-{method}")
        for kind in KINDS
        # A node image that is the newest already leaves nothing to make.
        if kind is not OperationKind.UPGRADE_NODE_IMAGE
        for method in (["ensure", "observe"] if EACH_WAVE in PLANS[kind] else ["delete"])
    ],
)


@asking_the_engine
def test_a_permanent_error_fails_the_operation_in_the_engine_s_words(
    bench: Workbench, kind: OperationKind, method: str
) -> None:
    operation = accept(bench, kind)
    bench.engine.raises[method] = [PermanentError("the host has no room")]
    ended = bench.done(operation)
    assert ended.status is OperationStatus.FAILED
    assert ended.error is not None
    assert (ended.error.code, ended.error.message.partition(". ")[0]) == (MACHINES_FAILED, "the host has no room")
    assert ended.ended == bench.clock.now


@asking_the_engine
def test_a_temporary_error_is_tried_again_after_the_time_it_names(
    bench: Workbench, kind: OperationKind, method: str, log: Log
) -> None:
    operation = accept(bench, kind)
    bench.engine.raises[method] = [TemporaryError("busy", retry_after_seconds=7.5) for _ in range(3)]
    bench.clock.waits.clear()
    assert bench.done(operation).status is OperationStatus.SUCCEEDED
    assert bench.clock.waits == [7.5, 7.5, 7.5]
    assert [entry["cause"] for entry in log if entry["event"] == "operation_step_retried"] == ["busy"] * 3


@asking_the_engine
def test_a_temporary_error_without_end_fails_the_operation_at_last(
    bench: Workbench, kind: OperationKind, method: str
) -> None:
    operation = accept(bench, kind)
    accepted = bench.clock.now
    retry_after = RETRY_TIMEOUT_SECONDS / 10
    bench.engine.raises[method] = [TemporaryError("still busy", retry_after_seconds=retry_after) for _ in range(11)]
    ended = bench.done(operation)
    assert ended.error is not None
    assert (ended.error.code, ended.error.message.partition(". ")[0]) == (MACHINES_FAILED, "still busy")
    assert bench.clock.now - accepted == pytest.approx(RETRY_TIMEOUT_SECONDS)


@asking_the_engine
def test_an_unexpected_error_is_logged_and_shows_nothing_of_itself(
    bench: Workbench, kind: OperationKind, method: str, log: Log
) -> None:
    operation = accept(bench, kind)
    bench.engine.raises[method] = [ZeroDivisionError("secret of the implementation")]
    ended = bench.done(operation)
    assert ended.error is not None
    assert ended.error.code == "InternalServerError"
    assert "secret" not in ended.error.message
    [entry] = [entry for entry in log if entry["event"] == "operation_step_failed"]
    assert isinstance(entry["exc_info"], ZeroDivisionError)


@pytest.mark.parametrize("kind", [OperationKind.CREATE_NODE_POOL, OperationKind.CREATE_CLUSTER])
@pytest.mark.parametrize(
    "misbehave",
    [
        pytest.param(lambda bench: setattr(bench.behaviour, "refuse", "no capacity"), id="refused"),
        pytest.param(lambda bench: setattr(bench.behaviour, "fail_after", 1), id="failed half way"),
        pytest.param(lambda bench: setattr(bench.behaviour, "lose", (SECOND,)), id="lost a machine"),
        pytest.param(lambda bench: setattr(bench.behaviour, "never_ready", (SECOND,)), id="never ready"),
        pytest.param(lambda bench: setattr(bench.behaviour, "boot_seconds", 1e9), id="not ready in time"),
    ],
)
def test_a_failed_creation_leaves_no_machine_and_a_pool_that_says_why(
    bench: Workbench, kind: OperationKind, misbehave: Callable[[Workbench], None]
) -> None:
    operation = accept(bench, kind)
    before = bench.rows()
    misbehave(bench)
    ended = bench.done(operation)
    assert ended.status is OperationStatus.FAILED
    assert ended.error is not None
    assert bench.engine.keys() == bench.rows() == before
    pool = bench.there()
    assert (pool.state, pool.error, pool.count) == (ProvisioningState.FAILED, ended.error, 3)
    assert pool.observed == {"V1": 0, "V2": 0, "unknown": 0}


def test_a_refused_pool_is_created_by_the_next_put(bench: Workbench) -> None:
    operation = accept(bench, OperationKind.CREATE_NODE_POOL)
    bench.behaviour.refuse = "no capacity"
    bench.done(operation)
    bench.behaviour.refuse = None
    again = bench.put_pool()
    assert again.kind is OperationKind.UPDATE_NODE_POOL
    assert bench.done(again).status is OperationStatus.SUCCEEDED
    assert len(bench.machines()) == 3
    assert (bench.there().state, bench.there().error) == (ProvisioningState.SUCCEEDED, None)


def test_a_failed_scale_up_keeps_the_ready_machines_and_removes_only_the_new_ones(bench: Workbench) -> None:
    bench.done(accept(bench, OperationKind.CREATE_NODE_POOL))
    ready = bench.machines()
    operation = bench.put_pool(count=6)
    bench.behaviour.fail_after = 2
    ended = bench.done(operation)
    assert ended.error == OperationError(MACHINES_FAILED, "the simulated engine failed after 2 of 3 machines")
    assert [machine.id for machine in bench.machines()] == [machine.id for machine in ready]
    assert all(machine.facts is not None and machine.facts.ready for machine in bench.machines())
    assert bench.engine.keys() == bench.rows()
    assert set(bench.simulated.boots().values()) == {1}
    pool = bench.there()
    assert (pool.state, pool.count, pool.observed["V2"]) == (ProvisioningState.FAILED, 6, 3)
    bench.behaviour.fail_after = None
    assert bench.done(bench.put_pool()).status is OperationStatus.SUCCEEDED
    assert len(bench.machines()) == 6


def test_machines_left_by_a_failed_clean_up_are_put_right_by_the_next_put(bench: Workbench) -> None:
    operation = accept(bench, OperationKind.CREATE_NODE_POOL)
    bench.behaviour.never_ready = (FIRST,)
    bench.engine.raises["delete"] = [PermanentError("the host is away")]
    ended = bench.done(operation)
    assert ended.error is not None
    assert ended.error.message.endswith("Cleaning up failed as well: the host is away")
    # Nothing is forgotten: what could not be deleted is still known.
    assert len(bench.machines()) == 3
    assert bench.engine.keys() == bench.rows()
    assert bench.done(bench.put_pool()).status is OperationStatus.SUCCEEDED
    assert len(bench.machines()) == 3
    assert FIRST not in {machine.id.machine for machine in bench.machines()}
    assert bench.engine.keys() == bench.rows()


def test_a_failed_kubernetes_upgrade_keeps_the_machines(bench: Workbench) -> None:
    bench.put_group()
    bench.done(bench.put_cluster(version="1.35.5"))
    bench.done(bench.put_pool(count=3, kubernetes_version="1.34.1"))
    before = bench.there()
    operation = bench.put_pool(count=3, kubernetes_version="1.35.5")
    assert bench.there().node_image != before.node_image
    bench.behaviour.fail_after = 0
    ended = bench.done(operation)
    assert ended.status is OperationStatus.FAILED
    assert len(bench.machines()) == 3
    assert bench.engine.keys() == bench.rows()
    assert bench.there().state is ProvisioningState.FAILED
    bench.behaviour.fail_after = None
    assert bench.done(bench.put_pool(kubernetes_version="1.35.5")).status is OperationStatus.SUCCEEDED
    assert {machine.spec.node_image for machine in bench.machines()} == {bench.there().node_image}
    pool_machines = {machine.id.key for machine in bench.machines()}
    assert {count for key, count in bench.simulated.boots().items() if key in pool_machines} == {1}


def test_a_machine_that_vanished_goes_first_when_the_pool_shrinks(bench: Workbench) -> None:
    bench.done(accept(bench, OperationKind.CREATE_NODE_POOL))
    bench.simulated.delete([machine.id.key for machine in bench.machines() if machine.id.machine == FIRST])
    assert bench.done(bench.put_pool(count=2)).status is OperationStatus.SUCCEEDED
    assert FIRST not in {machine.id.machine for machine in bench.machines()}
    assert bench.there().observed == {"V1": 0, "V2": 2, "unknown": 0}
    assert bench.engine.keys() == bench.rows()


def test_a_machine_that_vanished_comes_back_under_its_name_with_the_next_put(bench: Workbench) -> None:
    bench.done(accept(bench, OperationKind.CREATE_NODE_POOL))
    bench.simulated.delete([machine.id.key for machine in bench.machines() if machine.id.machine == SECOND])
    assert bench.done(bench.put_pool()).status is OperationStatus.SUCCEEDED
    assert SECOND in {machine.id.machine for machine in bench.machines()}
    assert bench.there().observed == {"V1": 0, "V2": 3, "unknown": 0}
    assert bench.engine.keys() == bench.rows()


def test_a_failed_deletion_says_which_machines_are_left_and_deleting_again_completes_it(bench: Workbench) -> None:
    operation = accept(bench, OperationKind.DELETE_CLUSTER)
    bench.simulated.delete([bench.machines("sys")[0].id.key])
    bench.engine.raises["delete"] = [PermanentError("the host is away")]
    assert bench.done(operation).status is OperationStatus.FAILED
    assert [machine.facts is not None for machine in bench.machines("sys")] == [False, True]
    assert [machine.facts is not None for machine in bench.machines("np1")] == [True] * 3
    assert bench.done(bench.delete_cluster()).status is OperationStatus.SUCCEEDED
    assert bench.engine.keys() == bench.rows() == set()


def test_machines_that_boot_the_other_generation_fail_the_operation(bench: Workbench) -> None:
    operation = accept(bench, OperationKind.CREATE_NODE_POOL)
    bench.engine.turned = True
    ended = bench.done(operation)
    assert ended.error is not None
    assert "booted another generation than the resolved one" in ended.error.message
    assert bench.machines() == []


def test_machines_not_ready_in_time_are_named(bench: Workbench) -> None:
    bench.behaviour.boot_seconds = 1e9
    bench.put_group()
    operation = bench.put_cluster(pools={"sys": {"mode": Mode.SYSTEM, "count": 7}})
    ended = bench.done(operation)
    assert ended.error is not None
    names = [machine_name(NodePoolId(CLUSTER, "sys"), OsType.LINUX, ordinal) for ordinal in range(5)]
    assert ended.error.message == f"7 machine(s) did not become ready in time: {', '.join(names)} and 2 more."
    assert ended.ended is not None
    assert READY_TIMEOUT_SECONDS <= ended.ended - ended.started < READY_TIMEOUT_SECONDS + 60


@pytest.mark.parametrize("jump", [365 * 86_400.0, -3600.0], ids=["a year forward", "an hour back"])
def test_a_clock_that_is_set_while_machines_boot_costs_neither_the_operation_nor_time(
    bench: Workbench, jump: float
) -> None:
    operation = accept(bench, OperationKind.CREATE_NODE_POOL)
    bench.behaviour.boot_seconds = 1e9
    bench.clock.waits.clear()

    def meanwhile() -> None:
        match len(bench.clock.waits):
            case 3:
                bench.clock.now += jump
            case 6:
                bench.behaviour.boot_seconds = 60

    bench.clock.meanwhile = meanwhile
    assert bench.done(operation).status is OperationStatus.SUCCEEDED
    assert sum(bench.clock.waits) < 120


def test_waiting_looks_often_at_first_and_less_often_later(bench: Workbench) -> None:
    operation = accept(bench, OperationKind.CREATE_NODE_POOL)
    bench.behaviour.boot_seconds = 60
    bench.clock.waits.clear()
    assert bench.done(operation).status is OperationStatus.SUCCEEDED
    assert bench.clock.waits == sorted(bench.clock.waits)
    assert (bench.clock.waits[0], bench.clock.waits[-1]) == (0.05, 0.5)
    assert sum(bench.clock.waits) < 61


def test_progress_is_stored_while_machines_get_ready(bench: Workbench) -> None:
    operation = accept(bench, OperationKind.CREATE_NODE_POOL)
    bench.behaviour.boot_seconds = 60
    seen: list[Operation] = []
    bench.clock.meanwhile = lambda: seen.append(bench.operation(operation))
    bench.done(operation)
    assert {(state.status, state.step, state.percent) for state in seen} == {
        (OperationStatus.IN_PROGRESS, "await_ready", 10)
    }
    assert seen[0].generations == {"V1": 0, "V2": 0, "unknown": 3}


def test_a_stuck_machine_does_not_keep_its_pool_from_being_stopped(bench: Workbench) -> None:
    bench.done(accept(bench, OperationKind.CREATE_NODE_POOL))
    operation = bench.put_pool(power=PowerState.STOPPED)
    bench.behaviour.never_ready = (FIRST,)
    assert bench.done(operation).status is OperationStatus.SUCCEEDED
    assert not any(machine.facts and machine.facts.running for machine in bench.machines())


@pytest.mark.parametrize(
    "kind",
    [
        OperationKind.CREATE_NODE_POOL,
        OperationKind.UPDATE_NODE_POOL,
        OperationKind.CREATE_CLUSTER,
        OperationKind.UPDATE_CLUSTER,
    ],
)
def test_a_pool_that_compute_would_refuse_fails_without_machines(tmp_path: Path, kind: OperationKind) -> None:
    # Generation 2 only, without the header: accepted by the real service, then refused by Compute (conflict C3).
    windows: dict[str, Any] = {"vm_size": "Standard_D4ads_v6", "os_type": OsType.WINDOWS, "count": 2}
    bench = Workbench(tmp_path, profile=Profile.AZURE_2026)
    bench.put_group()
    if kind is OperationKind.CREATE_CLUSTER:
        operation = bench.put_cluster(pools={"sys": {"mode": Mode.SYSTEM}, "win": windows})
    else:
        bench.done(bench.put_cluster())
        operation = bench.put_pool("win", **windows)
        if kind is not OperationKind.CREATE_NODE_POOL:
            bench.done(operation)
            operation = (
                bench.put_pool("win", **windows)
                if kind is OperationKind.UPDATE_NODE_POOL
                else bench.put_cluster(pools={"win": windows})
            )
    assert operation.kind is kind
    ended = bench.done(operation)
    assert ended.error is not None
    assert "cannot boot Hypervisor Generation '1'" in ended.error.message
    assert bench.machines("win") == []
    assert bench.engine.keys() == bench.rows()
    assert bench.there("win").error == ended.error
    bench.close()


class Flaky(WireRenderer):
    """Raises what it is told to instead of rendering node pools."""

    def __init__(self) -> None:
        self.raises: list[Exception] = []

    def node_pool(self, pool: NodePool) -> bytes:
        if self.raises and pool.state.is_terminal:
            raise self.raises.pop(0)
        return super().node_pool(pool)


class TestTheDatabase:
    @pytest.fixture
    def render(self) -> Flaky:
        return Flaky()

    @pytest.fixture
    def bench(self, tmp_path: Path, render: Flaky) -> Any:
        made = Workbench(tmp_path, render=render)
        yield made
        made.close()

    def test_a_locked_or_full_database_is_waited_for(self, bench: Workbench, render: Flaky) -> None:
        operation = accept(bench, OperationKind.CREATE_NODE_POOL)
        render.raises = [OperationalError("COMMIT", {}, Exception("database or disk is full")) for _ in range(60)]
        bench.clock.waits.clear()
        assert bench.done(operation).status is OperationStatus.SUCCEEDED
        assert bench.clock.waits == [1.0] * 60

    def test_an_operation_that_cannot_even_be_marked_failed_says_so_and_goes_on_when_carried_out_again(
        self, bench: Workbench, render: Flaky, log: Log
    ) -> None:
        operation = accept(bench, OperationKind.CREATE_NODE_POOL)
        render.raises = [ZeroDivisionError(), ZeroDivisionError()]
        with pytest.raises(NotEnded, match=operation.id):
            bench.done(operation)
        assert bench.operation(operation).status is OperationStatus.IN_PROGRESS
        assert bench.there().operation_id == operation.id
        assert bench.run(operation, once).status is OperationStatus.SUCCEEDED
        assert len(bench.machines()) == 3


def test_log_entries_of_a_step_carry_the_client_s_correlation_id(bench: Workbench) -> None:
    operation = accept(bench, OperationKind.CREATE_NODE_POOL)
    seen: list[dict[str, Any]] = []
    bench.engine.raises["ensure"] = [TemporaryError("busy", retry_after_seconds=1)]
    bench.clock.meanwhile = lambda: seen.append(dict(get_contextvars()))
    bench.done(operation)
    assert seen[0]["correlation_id"] == operation.correlation_id
    assert seen[0]["operation_id"] == operation.id
    assert get_contextvars() == {}
