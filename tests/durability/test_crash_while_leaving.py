"""A process is killed while machines leave a Kubernetes cluster: cordoned, drained, left to soak, removed, taken back.

The cluster is scripted and outlives the process. A place `operation:step:during` is in the middle of a step: while it
waits for pods or for the soak to end, or when machines are deleted and not yet forgotten. A process that is started
later than the last one is set forward; nothing sleeps.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection
from contextlib import suppress
from typing import Any

import pytest

from poolwright.domain.operation import OperationKind
from poolwright.machines.engine import TemporaryError
from tests.durability.chains import Case, chained, require_all_in
from tests.durability.operations_process import Died, OperationsProcess, until
from tests.operations.workbench import OTHER_SIZE

MINUTE = 60.0
UPDATE, ROLLBACK = OperationKind.UPDATE_NODE_POOL, OperationKind.ROLLBACK_NODE_POOL
PLACES = [
    (step, moment)
    for step in ("cordon", "drain", "soak", "remove_machines", "undo_wave")
    for moment in ("before", "during", "after")
    # Nothing waits while nodes are cordoned.
    if (step, moment) != ("cordon", "during")
]
# Both kinds have the same steps, so each place comes up in one of them.
CASES = [
    Case(kind, step, moment, fails=step == "undo_wave")
    for (step, moment), kind in zip(PLACES, itertools.cycle([UPDATE, ROLLBACK]), strict=False)
]
CHAINS = chained(CASES, 2)


def test_every_place_is_covered() -> None:
    require_all_in(CHAINS, CASES)


@pytest.mark.parametrize("chain", CHAINS, ids=[f"chain {number}" for number in range(len(CHAINS))])
def test_an_operation_killed_while_machines_leave_goes_on_or_unwinds(
    chain: list[Case], process: OperationsProcess
) -> None:
    process.cluster.attach(evictions=2)
    left: tuple[Case, Roll] | None = None
    for number, case in enumerate(chain):
        # Set forward at every start, so that a soak begun by the last process is over.
        process.start(crash=case.place, set_forward=number * 10 * MINUTE)
        if left is not None:
            require(*left)
        roll = Roll(process, f"g{number}", case.kind)
        left = case, roll
        if case.fails:
            process.cluster.place(roll.old[0], evictions=None)
        roll.begin(**({"max_surge": "3", "node_soak_minutes": 5} if case.place.endswith("soak:during") else {}))
        if case.fails:
            roll.abort_at("drain")
        roll.require_died(case.place)
    process.start(set_forward=len(chain) * 10 * MINUTE)
    assert left is not None
    require(*left)
    process.stop()


def require(case: Case, roll: Roll) -> None:
    """An operation that somebody aborted was canceled, any other one has succeeded."""
    roll.require_ended("Canceled" if case.fails else "Succeeded", case.place)
    assert roll.there & set(roll.old) == (set(roll.old) if case.fails else set()), case.place
    assert len(roll.there) == 3, case.place


class TestADrainThatTimesOut:
    """The time it has goes on while no process runs, and is the same after any number of kills."""

    @pytest.fixture
    def roll(self, process: OperationsProcess) -> Roll:
        """A change whose first node is never drained, killed in the middle of a drain that has ten minutes, twice."""
        process.cluster.attach()
        process.start(crash="update_node_pool:drain:during")
        return Roll(process, "g")

    def test_the_operation_fails_and_the_same_put_goes_on(self, roll: Roll) -> None:
        process = roll.process
        stuck = self.stuck_twice(roll)
        for place in ("drain:after", "undo_wave:during", "mark_failed:before"):
            process.start(crash=f"update_node_pool:{place}", set_forward=10 * MINUTE)
            roll.require_died(place)
        process.start(set_forward=10 * MINUTE)
        ended = roll.require_ended("Failed")
        assert f"Draining {stuck} did not end within 10 minutes: pod default/web" in ended["error"]["message"]
        assert "0 of 3 machines were replaced" in ended["error"]["message"]
        assert roll.there == set(roll.old)
        process.cluster.let_go()
        roll.begin()
        roll.require_ended("Succeeded")
        assert not roll.there & set(roll.old)
        process.stop()

    def test_with_cordon_the_node_stays_quarantined_and_a_rollback_takes_it_along(self, roll: Roll) -> None:
        process = roll.process
        stuck = self.stuck_twice(roll, undrainable="Cordon")
        for place in ("drain:after", "remove_machines:during", "mark_failed:after"):
            process.start(crash=f"update_node_pool:{place}", set_forward=10 * MINUTE)
            roll.require_died(place)
        process.start(set_forward=10 * MINUTE)
        ended = roll.require_ended("Failed", quarantined={stuck})
        assert f"left cordoned beside their replacements: {stuck}." in ended["error"]["message"]
        assert roll.there & set(roll.old) == {stuck}
        assert len(roll.there) == 4
        process.cluster.let_go()
        replaced = roll.there
        roll.begin(ROLLBACK)
        roll.require_ended("Succeeded")
        assert not roll.there & replaced
        process.stop()

    def stuck_twice(self, roll: Roll, **upgrade: Any) -> str:
        process, stuck = roll.process, roll.old[0]
        process.cluster.place(stuck, evictions=None)
        operation = roll.begin(drain_timeout_minutes=10, **upgrade)
        roll.require_died("while it drains")
        first = process.stored(operation)
        process.start(crash="update_node_pool:drain:during", set_forward=9 * MINUTE)
        roll.require_died("while it drains, a minute before the end")
        again = process.stored(operation)
        assert (again["step"], again["until"]) == ("drain", first["until"])
        assert first["until"] - first["started"] == pytest.approx(10 * MINUTE, abs=MINUTE / 2)
        return stuck


def test_a_soak_killed_in_the_middle_ends_when_it_would_have(process: OperationsProcess) -> None:
    process.cluster.attach()
    process.start(crash="update_node_pool:soak:during")
    roll = Roll(process, "g")
    operation = roll.begin(node_soak_minutes=20)
    roll.require_died("while it soaks")
    first = process.stored(operation)
    assert (first["step"], first["wave"], first["replaced"]) == ("soak", 1, 0)
    process.start(crash="update_node_pool:soak:during", set_forward=19 * MINUTE)
    roll.require_died("while it soaks, a minute before the end")
    assert process.stored(operation)["until"] == first["until"]
    process.start(crash="update_node_pool:soak:during", set_forward=20 * MINUTE)
    roll.require_died("while the second wave soaks")
    second = process.stored(operation)
    assert (second["step"], second["wave"], second["replaced"]) == ("soak", 2, 2)
    assert second["until"] - first["until"] == pytest.approx(20 * MINUTE, abs=MINUTE / 2)
    process.start(set_forward=40 * MINUTE)
    roll.require_ended("Succeeded")
    assert not roll.there & set(roll.old)
    process.stop()


def test_a_cluster_that_was_away_when_the_process_died_is_waited_for(process: OperationsProcess) -> None:
    process.cluster.attach()
    process.start(crash="update_node_pool:drain:during")
    roll = Roll(process, "g")
    process.cluster.fail("drain", TemporaryError("the cluster is away", retry_after_seconds=0.01), times=3)
    roll.begin()
    roll.require_died("while it waits for the cluster")
    process.start()
    roll.require_ended("Succeeded")
    process.stop()


def test_a_node_that_vanished_while_no_process_ran_holds_nothing(process: OperationsProcess) -> None:
    process.cluster.attach()
    process.start(crash="update_node_pool:drain:during")
    roll = Roll(process, "g")
    process.cluster.place(roll.old[0], evictions=None)
    roll.begin()
    roll.require_died("while it drains")
    process.cluster.lose(roll.old[0])
    process.start()
    roll.require_ended("Succeeded")
    process.stop()


def test_newer_plans_take_a_drain_over_and_soak_finished_waves_no_more(process: OperationsProcess) -> None:
    process.cluster.attach()
    process.start(plans_version="older")
    roll = Roll(process, "g")
    stuck = roll.old[2]
    process.cluster.place(stuck, evictions=None)
    operation = roll.begin(node_soak_minutes=30)
    until(lambda: bool(process.stored(operation)["step"] == "soak"))
    process.call("set_forward", seconds=30 * MINUTE)
    until(lambda: process.cluster.calls[-1].nodes == {stuck} and process.cluster.verbs[-1] == "drain")
    process.kill()
    process.start(plans_version="newer", set_forward=30 * MINUTE)
    process.cluster.let_go()
    until(lambda: stuck not in process.cluster.pods and process.stored(operation)["step"] == "soak")
    process.call("set_forward", seconds=30 * MINUTE)
    roll.require_ended("Succeeded")
    assert not roll.there & set(roll.old)
    process.stop()


def test_an_abort_during_a_drain_survives_any_number_of_kills(process: OperationsProcess) -> None:
    process.cluster.attach()
    process.start(crash="update_node_pool:drain:after")
    roll = Roll(process, "g")
    process.cluster.place(roll.old[0], evictions=None)
    roll.begin()
    roll.abort_at("drain")
    roll.require_died("once it has stopped to drain")
    for place in ("undo_wave:before", "undo_wave:during", "mark_canceled:after"):
        process.start(crash=f"update_node_pool:{place}")
        roll.require_died(place)
    process.start()
    roll.require_ended("Canceled")
    assert roll.there == set(roll.old)
    process.cluster.let_go()
    roll.begin()
    roll.require_ended("Succeeded")
    process.stop()


class Roll:
    """Changes of a node pool of three machines, in a group of its own. `old` are the machines before the first one.

    What has to be true however often they are killed is in `require_ended`.
    """

    def __init__(self, process: OperationsProcess, group: str, kind: OperationKind = UPDATE) -> None:
        self.process, self._group, self._kind = process, group, kind
        process.call("prepare", group=group, kind=UPDATE.value)
        if kind is ROLLBACK:
            self.begin(UPDATE, max_surge="3")
            self.require_ended("Succeeded")
        self.old = sorted(self.there)

    @property
    def there(self) -> set[str]:
        """The names of the node pool's machines that there are."""
        machines = self.process.call("look", group=self._group)["machines"]
        return {key.rpartition("/")[2] for key in machines if "/agentpools/np1/" in key}

    def begin(self, kind: OperationKind | None = None, **upgrade: Any) -> str:
        """Begin the change to another size, or going back from it, with these settings."""
        self._leaving, self._since = self.there, len(self.process.cluster.calls)
        if upgrade or (kind or self._kind) is UPDATE:
            # A rollback keeps the settings there are.
            self._operation = self.process.call(
                "change", group=self._group, count=3, vm_size=OTHER_SIZE, upgrade={"max_surge": "2", **upgrade}
            )
        if (kind or self._kind) is ROLLBACK:
            if upgrade:
                self.require_ended("Succeeded")
            self._operation = self.process.call("post", group=self._group, verb="node_pools.rollback")
        return self._operation

    def abort_at(self, step: str) -> None:
        """Ask the operation to stop once it is at that step."""
        until(lambda: bool(self.process.stored(self._operation)["step"] == step))
        with suppress(Died):
            self.process.call("post", group=self._group, verb="node_pools.abort")

    def require_died(self, where: str) -> None:
        self.process.require_killed(self._operation, where)

    def require_ended(self, status: str, where: str = "", *, quarantined: Collection[str] = ()) -> dict[str, Any]:
        """It ended like that; no machine is orphaned or was started twice, and only quarantined nodes are cordoned."""
        assert self.process.call("end", operation=self._operation)["status"] == status, where
        found = self.process.call("look", group=self._group)
        assert found["rows"] == sorted(found["machines"]), where
        assert set(found["machines"].values()) == {1}, where
        assert (found["states"]["np1"], found["busy"]) == (status, 0), where
        assert self.process.cluster.cordoned & self.there == set(quarantined), where
        self.process.cluster.require_order(self._leaving, since=self._since)
        ended = self.process.stored(self._operation)
        if status == "Canceled":
            assert self.process.stored(ended["aborted_by"])["status"] == "Succeeded", where
        return ended
