"""Where an operation goes on after a kill: what is checkpointed, and what the stored operation tells by itself."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from poolwright.domain.operation import Operation, OperationKind, OperationStatus
from poolwright.domain.upgrade_settings import UpgradeSettings
from poolwright.operations.plans import Effect, Failure, run_plan
from tests.operations.workbench import OTHER_SIZE, SIZE, Halt, Script, Workbench, accept, until_halt

COUNT = 4


class Kept:
    """Checkpoints that outlive a kill."""

    def __init__(self) -> None:
        self.done: dict[str, Failure | None] = {}

    def __call__(self, name: str, part: Effect) -> Failure | None:
        if name not in self.done:
            self.done[name] = part()
        return self.done[name]


def two_waves(bench: Workbench) -> Operation:
    """An operation that replaces four machines in two waves, accepted and not begun."""
    bench.put_group()
    bench.done(bench.put_cluster())
    bench.done(bench.put_pool(count=COUNT, vm_size=SIZE))
    return bench.put_pool(count=COUNT, vm_size=OTHER_SIZE, upgrade=UpgradeSettings("2"))


@pytest.mark.parametrize("step", ["add_machines", "await_ready", "remove_machines"])
def test_a_change_goes_on_with_the_wave_that_was_under_way(bench: Workbench, step: str) -> None:
    operation = two_waves(bench)
    until_halt(bench, operation, Script(after=f"wave_2.{step}"))
    ensured: list[str] = []
    waves: list[int] = []

    def look(name: str, effect: Callable[[], Failure | None]) -> Failure | None:
        outcome = effect()
        waves.append(bench.operation(operation).wave)
        return outcome

    ensure = bench.engine.ensure
    bench.engine.ensure = lambda specs: ensured.extend(spec.key for spec in specs) or ensure(specs)  # type: ignore[method-assign, func-returns-value]
    assert bench.run(operation, look).status is OperationStatus.SUCCEEDED
    assert set(waves) == {2}
    # The machines of the first wave are not asked for again.
    assert ensured == [machine.id.key for machine in bench.machines()][2:]
    assert set(bench.simulated.boots().values()) == {1}


def test_a_wave_that_was_finished_and_followed_by_none_yet_is_looked_at_again(bench: Workbench) -> None:
    operation = two_waves(bench)
    halted = until_halt(bench, operation, Script(after="wave_1.remove_machines"))
    assert (halted.wave, halted.replaced) == (1, 2)
    assert bench.run(operation, Script()).replaced == COUNT
    assert set(bench.simulated.boots().values()) == {1}


@pytest.mark.parametrize("killed", ["wave_2.undo_wave", "mark_failed"])
def test_what_failed_before_a_kill_is_not_tried_again(bench: Workbench, killed: str) -> None:
    operation, kept = two_waves(bench), Kept()
    with pytest.raises(Halt):
        run_plan(bench.context, operation.id, Script(fails="wave_2.await_ready", before=killed), kept)
    run_plan(bench.context, operation.id, Script(), kept)
    ended = bench.operation(operation)
    assert ended.status is OperationStatus.FAILED
    assert ended.error is not None
    assert ended.error.code == "Broken"
    assert ended.error.message.startswith("told to fail. 2 of 4 machines were replaced")
    assert bench.simulated.keys() == bench.rows()
    assert len(bench.machines()) == COUNT


def test_new_machines_stay_when_the_old_ones_they_replace_are_gone(bench: Workbench) -> None:
    operation = two_waves(bench)
    ended = bench.run(operation, Script(fails="wave_2.remove_machines"))
    assert ended.status is OperationStatus.FAILED
    assert [machine.spec.size for machine in bench.machines()] == [OTHER_SIZE] * COUNT
    assert bench.simulated.keys() == bench.rows()


class TestCheckpoints:
    def test_waves_that_drain_nothing_have_one_together(self, bench: Workbench) -> None:
        assert list(self.checkpoints(bench, two_waves(bench))) == ["waves"]

    def test_waves_that_drain_have_one_each_step(self, bench: Workbench) -> None:
        bench.kubernetes.attach()
        assert list(self.checkpoints(bench, two_waves(bench))) == [
            f"wave_{wave}.{step}"
            for wave in (1, 2)
            for step in ("add_machines", "await_ready", "cordon", "drain", "soak", "remove_machines")
        ]

    def test_a_change_that_leaves_the_machines_alone_has_none(self, bench: Workbench) -> None:
        bench.put_group()
        bench.done(bench.put_cluster())
        bench.done(bench.put_pool())
        assert self.checkpoints(bench, bench.put_pool()) == {}

    def test_a_deletion_has_one_each_step(self, bench: Workbench) -> None:
        operation = accept(bench, OperationKind.DELETE_NODE_POOL)
        assert list(self.checkpoints(bench, operation)) == ["delete_machines", "remove_resources"]

    def checkpoints(self, bench: Workbench, operation: Operation) -> dict[str, Failure | None]:
        kept = Kept()
        run_plan(bench.context, operation.id, Script(), kept)
        assert bench.operation(operation).status is OperationStatus.SUCCEEDED
        return kept.done
