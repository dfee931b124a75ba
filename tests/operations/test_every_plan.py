"""What holds for every plan: repeated, interrupted and failing steps; nothing is lost, doubled or left behind."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from poolwright.arm.wire_renderer import WireRenderer
from poolwright.domain.cluster import ProvisioningState
from poolwright.domain.node_pool import NodePool
from poolwright.domain.operation import ABORTS, Operation, OperationKind, OperationStatus
from poolwright.operations.plans import PLANS, Step
from poolwright.operations.waves import WAVE_STEPS
from tests.operations.workbench import (
    KINDS,
    WANTED,
    Halt,
    Script,
    Workbench,
    accept,
    ask,
    once,
    steps_of,
    until_halt,
)

DELETIONS = (OperationKind.DELETE_NODE_POOL, OperationKind.DELETE_CLUSTER, OperationKind.DELETE_RESOURCE_GROUP)
CREATIONS = (OperationKind.CREATE_NODE_POOL, OperationKind.CREATE_CLUSTER)
OF_CLUSTER = (
    OperationKind.CREATE_CLUSTER,
    OperationKind.UPDATE_CLUSTER,
    OperationKind.DELETE_CLUSTER,
    OperationKind.STOP_CLUSTER,
    OperationKind.START_CLUSTER,
)
every_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.value)
every_step = pytest.mark.parametrize(
    ("kind", "step"),
    [pytest.param(kind, step, id=f"{kind.value}-{step}") for kind in KINDS for step in steps_of(kind)],
)
every_step_but_the_last = pytest.mark.parametrize(
    ("kind", "step"),
    [pytest.param(kind, step, id=f"{kind.value}-{step}") for kind in KINDS for step in steps_of(kind)[:-1]],
)


def test_every_kind_of_operation_but_an_abort_has_a_plan() -> None:
    assert set(PLANS) == set(OperationKind) - ABORTS


def test_every_kind_of_step_is_met() -> None:
    met = {step.rpartition(".")[2] for kind in KINDS for step in steps_of(kind)}
    plain = {part.name for kind in KINDS for part in PLANS[kind] if isinstance(part, Step)}
    # Cordon, drain and soak need a cluster: test_leaving.py.
    assert met == plain | {step.name for step in WAVE_STEPS} - {"cordon", "drain", "soak"}
    assert "wave_2.remove_machines" in steps_of(OperationKind.UPDATE_NODE_POOL)


@every_kind
def test_an_operation_brings_about_what_was_asked(bench: Workbench, kind: OperationKind) -> None:
    ended = bench.done(accept(bench, kind))
    assert (ended.status, ended.percent, ended.step) == (OperationStatus.SUCCEEDED, 100, None)
    assert_succeeded(bench, kind)


@every_kind
def test_every_step_may_happen_twice(bench: Workbench, kind: OperationKind) -> None:
    operation = accept(bench, kind)
    ended = bench.run(operation, Script(twice=True))
    assert ended.status is OperationStatus.SUCCEEDED
    assert_succeeded(bench, kind)


@pytest.mark.parametrize("moment", ["before", "after"])
@every_step
def test_an_operation_interrupted_at_any_step_is_completed_from_the_start(
    bench: Workbench, kind: OperationKind, step: str, moment: str
) -> None:
    operation = accept(bench, kind)
    script = Script(before=step) if moment == "before" else Script(after=step)
    until_halt(bench, operation, script)
    assert script.steps[-1] == step
    assert bench.run(operation, once).status is OperationStatus.SUCCEEDED
    assert_succeeded(bench, kind)


@every_kind
def test_an_ended_operation_carried_out_again_changes_nothing(bench: Workbench, kind: OperationKind) -> None:
    operation = accept(bench, kind)
    bench.done(operation)
    before = bench.everything()
    script = Script()
    bench.run(operation, script)
    assert script.steps == []
    # Its last step may still be repeated after a kill, once the operation has ended.
    last = PLANS[kind][-1]
    assert isinstance(last, Step)
    last.do(bench.context, operation)
    assert bench.everything() == before


@pytest.mark.parametrize("without_effect", [False, True], ids=["after its effect", "without effect"])
@every_step_but_the_last
def test_a_failure_at_any_step_ends_the_operation_and_frees_its_resource(
    bench: Workbench, kind: OperationKind, step: str, without_effect: bool
) -> None:
    ended = bench.run(accept(bench, kind), Script(fails=step, without_effect=without_effect))
    assert_failed(bench, kind, ended)


@every_step_but_the_last
def test_every_undo_may_happen_twice(bench: Workbench, kind: OperationKind, step: str) -> None:
    script = Script(twice=True, fails=step)
    ended = bench.run(accept(bench, kind), script)
    before = steps_of(kind)[: steps_of(kind).index(step) + 1]
    assert script.steps == [*before, *undoing(step), "mark_failed"]
    assert_failed(bench, kind, ended)


@every_step_but_the_last
def test_an_unwinding_interrupted_anywhere_is_completed(bench: Workbench, kind: OperationKind, step: str) -> None:
    operation = accept(bench, kind)
    whole = Script(fails=step)
    for name in [*undoing(step), "mark_failed"]:
        until_halt(bench, operation, replace(whole, after=name, steps=[]))
    assert_failed(bench, kind, bench.run(operation, whole))


@every_step_but_the_last
def test_what_failed_is_repaired_by_asking_again(bench: Workbench, kind: OperationKind, step: str) -> None:
    bench.run(accept(bench, kind), Script(fails=step))
    if kind is OperationKind.DELETE_MACHINES and step.endswith("remove_machines"):
        pytest.skip("the machine is gone, and asking again would delete another one")
    assert bench.done(ask(bench, kind)).status is OperationStatus.SUCCEEDED
    assert_succeeded(bench, kind, asked=2)


@every_kind
def test_a_failure_after_success_was_said_changes_nothing_any_more(bench: Workbench, kind: OperationKind) -> None:
    ended = bench.run(accept(bench, kind), Script(fails=steps_of(kind)[-1]))
    assert ended.status is OperationStatus.SUCCEEDED
    assert_succeeded(bench, kind)


@pytest.mark.parametrize("group", ["rg", "agentPools"])
def test_a_cluster_changes_its_etag_with_its_node_pools(bench: Workbench, group: str) -> None:
    bench.work_in(group)
    operation = accept(bench, OperationKind.CREATE_NODE_POOL)
    etags = [etag(bench)]
    bench.done(operation)
    etags.append(etag(bench))
    bench.run(bench.put_pool(count=1), Script(fails="plan_waves"))
    etags.append(etag(bench))
    bench.done(bench.delete_pool())
    etags.append(etag(bench))
    assert len(set(etags)) == 4


class BrokenRenderer(WireRenderer):
    """Cannot say that an operation has ended, once told so."""

    broken = False

    def operation(self, operation: Operation) -> bytes:
        if self.broken and operation.status.is_terminal:
            raise RuntimeError("the renderer was told to break")
        return super().operation(operation)


class TestEndsInOneTransaction:
    @pytest.fixture
    def render(self) -> BrokenRenderer:
        return BrokenRenderer()

    @pytest.fixture
    def bench(self, tmp_path: Path, render: BrokenRenderer) -> Iterator[Workbench]:
        made = Workbench(tmp_path, render=render)
        yield made
        made.close()

    @every_kind
    def test_success_is_said_together_with_the_resource_or_not_at_all(
        self, bench: Workbench, render: BrokenRenderer, kind: OperationKind
    ) -> None:
        operation = accept(bench, kind)
        last = PLANS[kind][-1]
        assert isinstance(last, Step)
        until_halt(bench, operation, Script(before=last.name))
        before = bench.everything()
        render.broken = True
        with pytest.raises(RuntimeError, match="told to break"):
            last.do(bench.context, operation)
        assert bench.everything() == before
        assert bench.operation(operation).status is OperationStatus.IN_PROGRESS

    @every_kind
    def test_failure_is_said_together_with_the_resource_or_not_at_all(
        self, bench: Workbench, render: BrokenRenderer, kind: OperationKind
    ) -> None:
        operation = accept(bench, kind)
        first = PLANS[kind][0]
        assert isinstance(first, Step)
        until_halt(bench, operation, Script(fails=first.name, before="mark_failed"))
        before = bench.everything()
        render.broken = True
        with pytest.raises(Halt):
            bench.run(operation, Script(fails=first.name, after="mark_failed"))
        assert bench.everything()["pw_node_pools"] == before["pw_node_pools"]
        assert bench.everything()["pw_clusters"] == before["pw_clusters"]
        assert bench.operation(operation).status is OperationStatus.IN_PROGRESS


def assert_succeeded(bench: Workbench, kind: OperationKind, *, asked: int = 1) -> None:
    """The resource is as asked, and store and engine have the same machines, each started once."""
    wanted = WANTED[kind]
    assert {name: len(bench.machines(name)) for name in wanted} == wanted
    assert bench.engine.keys() == bench.rows()
    assert_started_once(bench, kind, asked)
    pools = [pool for pool in map(bench.pool, wanted) if pool is not None]
    assert [pool.id.pool for pool in pools] == [name for name, count in wanted.items() if count]
    for pool in pools:
        assert_free(pool, ProvisioningState.SUCCEEDED)
        assert pool.error is None
        assert pool.observed == {"V1": 0, "V2": pool.count, "unknown": 0}
    cluster = bench.cluster()
    if kind in (OperationKind.DELETE_CLUSTER, OperationKind.DELETE_RESOURCE_GROUP):
        assert cluster is None
    else:
        assert cluster is not None
        assert (cluster.state, cluster.operation_id) == (ProvisioningState.SUCCEEDED, None)
    assert (bench.group() is None) == (kind is OperationKind.DELETE_RESOURCE_GROUP)


def assert_failed(bench: Workbench, kind: OperationKind, ended: Operation) -> None:
    """The operation and its resource say Failed with the cause, are free again, and no machine is left behind."""
    assert ended.status is OperationStatus.FAILED
    assert ended.error is not None
    assert ended.error.code == "Broken"
    replaced, wanted = ended.replaced, ended.to_replace
    progress = (
        f". {replaced} of {wanted} machines were replaced, {wanted - replaced} were not; "
        "the node pool keeps running on both."
    )
    assert ended.error.message == "told to fail" + (progress if wanted else "")
    changed = [pool for pool in (bench.pool("sys"), bench.pool("np1")) if pool and pool.id.key in ended.pool_keys]
    assert {pool.id.key for pool in changed} == set(ended.pool_keys)
    for pool in changed:
        assert_free(pool, ProvisioningState.FAILED)
        assert pool.error == ended.error
        assert sum(pool.observed.values()) == len(bench.machines(pool.id.pool))
    cluster = bench.cluster()
    assert cluster is not None
    assert cluster.operation_id is None
    assert cluster.state is (ProvisioningState.FAILED if kind in OF_CLUSTER else ProvisioningState.SUCCEEDED)
    if kind is OperationKind.DELETE_RESOURCE_GROUP:
        there = bench.group()
        assert there is not None
        assert (there.state, there.operation_id) == (ProvisioningState.FAILED, None)
    known = {machine.id.key for name in ("sys", "np1") for machine in bench.machines(name) if machine.facts is not None}
    assert bench.engine.keys() == known
    if kind in CREATIONS:
        assert not any(machine.id.pool_id.key in ended.pool_keys for machine in bench.machines())
    if kind not in DELETIONS:
        assert bench.rows() == known
    twice = (OperationKind.START_CLUSTER, OperationKind.REIMAGE_MACHINE)
    assert set(bench.simulated.boots().values()) <= ({1, 2} if kind in twice else {1})


def assert_started_once(bench: Workbench, kind: OperationKind, asked: int) -> None:
    """Each machine was started once; what was stopped once more, and what was reimaged at most once each time."""
    boots = sorted(bench.simulated.boots().values())
    if kind is OperationKind.REIMAGE_MACHINE:
        assert boots[:-1] == [1, 1, 1, 1]
        assert 2 <= boots[-1] <= 1 + asked
        [machine] = [machine for machine in bench.machines() if machine.spec.reimaged_by]
        assert bench.simulated.boots()[machine.id.key] == boots[-1]
    else:
        assert set(boots) <= {2 if kind is OperationKind.START_CLUSTER else 1}


def undoing(step: str) -> list[str]:
    """The steps that take back what is under way when that step fails."""
    wave, _, name = step.rpartition(".")
    if wave:
        return [f"{wave}.undo_wave"]
    return ["undo_delete_machines"] if name in ("delete_machines", "remove_resources") else []


def etag(bench: Workbench) -> str:
    cluster = bench.cluster()
    assert cluster is not None
    return cluster.etag


def assert_free(pool: NodePool, state: ProvisioningState) -> None:
    assert (pool.state, pool.operation_id) == (state, None)
