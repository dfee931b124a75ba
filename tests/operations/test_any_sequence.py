"""Whatever is asked in whatever order, whatever fails: a model says what must hold, and it holds.

One node pool meets PUTs of other sizes, counts and settings, upgrades, rollbacks, deletions of machines,
aborts, lost and broken machines, and kills between any two steps. The model knows only what was accepted.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from poolwright import errors
from poolwright.domain.cluster import ProvisioningState
from poolwright.domain.generation import Generation
from poolwright.domain.operation import Operation, OperationKind, OperationStatus
from poolwright.domain.resource_id import NodePoolId
from poolwright.domain.upgrade_settings import UpgradeSettings
from poolwright.domain.what_if import WhatIf
from tests.operations.workbench import CALL, Halt, Script, Workbench, pool_request, until_halt

V1_ONLY, BOTH, OTHER = "Standard_D2_v3", "Standard_D2s_v3", "Standard_D4s_v3"
GENERATION = {V1_ONLY: Generation.V1, BOTH: Generation.V2, OTHER: Generation.V2}
SETTINGS = [
    UpgradeSettings(),
    UpgradeSettings("2"),
    UpgradeSettings("50%"),
    UpgradeSettings("0", "1"),
    UpgradeSettings("1", "2"),
]


class AnySequence(RuleBasedStateMachine):
    """A node pool np1 of 1 to 6 machines. `accepted` is the last goal that was accepted."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = TemporaryDirectory()
        self.bench = Workbench(Path(self.directory.name))
        self.running: Operation | None = None
        self.accepted: dict[str, Any] = {}
        self.bounds = (0, 0)
        self.lost: set[str] = set()

    def teardown(self) -> None:
        self.bench.close()
        self.directory.cleanup()

    @initialize(size=st.sampled_from(sorted(GENERATION)), count=st.integers(1, 6))
    def create(self, size: str, count: int) -> None:
        self.bench.put_group()
        self.bench.done(self.bench.put_cluster())
        self.accepted = {"vm_size": size, "count": count}
        self.bench.done(self.bench.put_pool(**self.accepted))

    @precondition(lambda self: self.running is None)
    @rule(
        size=st.sampled_from(sorted(GENERATION)),
        count=st.integers(0, 6),
        upgrade=st.sampled_from(SETTINGS),
        after=st.integers(0, 9),
    )
    def put(self, size: str, count: int, upgrade: UpgradeSettings, after: int) -> None:
        """A PUT, carried out for so many steps and then killed; what-if says before what it will do."""
        wanted = {"vm_size": size, "count": count, "upgrade": upgrade}
        told = self._what_if(wanted)
        operation = self.bench.put_pool(**wanted)
        self.accepted = {"vm_size": size, "count": count}
        assert self.bench.there().generation is told.pool.generation
        if not self.lost:
            script = self._begin(operation, after=0)
            ended = self.bench.operation(operation)
            assert script.steps[0] == "plan_waves"
            assert ended.waves == max(1, len(told.rollout.waves))
            assert ended.to_replace == told.rollout.to_replace
        self._begin(operation, after)

    @precondition(lambda self: self.running is None)
    @rule(after=st.integers(0, 9))
    def go_back(self, after: int) -> None:
        former = self.bench.there().last_good
        with self.bench.database.transaction() as connection, suppress(errors.RollbackNotPossible):
            accepted = self.bench.plane.node_pools.rollback(connection, self._pool_id, CALL)
            assert former is not None
            assert accepted.operation is not None
            self.accepted = {"vm_size": former.scale[0].size, "count": self.accepted["count"]}
            self.running = accepted.operation
        if self.running is not None:
            self._begin(self.running, after)

    @precondition(lambda self: self.running is None)
    @rule(after=st.integers(0, 9))
    def upgrade_image(self, after: int) -> None:
        with self.bench.database.transaction() as connection:
            accepted = self.bench.plane.node_pools.upgrade_node_image(connection, self._pool_id, CALL)
        assert accepted.operation is not None
        self._begin(accepted.operation, after)

    @precondition(lambda self: self.running is None and self.bench.there().count > 0 and self.bench.machines())
    @rule(data=st.data(), after=st.integers(0, 9))
    def delete_a_machine(self, data: st.DataObject, after: int) -> None:
        machine = data.draw(st.sampled_from(self.bench.machines()))
        before = self.bench.there().count
        with self.bench.database.transaction() as connection:
            accepted = self.bench.plane.machines.delete(connection, self._pool_id, [machine.id.machine], CALL)
        assert accepted.operation is not None
        count = self.bench.there().count
        assert before - 1 <= count <= before
        self.accepted["count"] = count
        self._begin(accepted.operation, after)

    @precondition(lambda self: self.running is None and self.bench.machines())
    @rule(data=st.data(), after=st.integers(0, 9))
    def reimage_a_machine(self, data: st.DataObject, after: int) -> None:
        machine = data.draw(st.sampled_from(self.bench.machines()))
        with self.bench.database.transaction() as connection:
            accepted = self.bench.plane.machines.reimage(connection, machine.id, CALL)
        assert accepted.operation is not None
        self._begin(accepted.operation, after)

    @precondition(lambda self: self.running is not None)
    @rule(after=st.integers(0, 9))
    def restart(self, after: int) -> None:
        assert self.running is not None
        self._begin(self.running, after)

    @precondition(lambda self: self.running is not None)
    @rule()
    def abort(self) -> None:
        with self.bench.database.transaction() as connection:
            accepted = self.bench.plane.node_pools.abort(connection, self._pool_id, CALL)
        assert accepted.operation is not None
        assert accepted.operation.kind is OperationKind.ABORT_NODE_POOL

    @rule(data=st.data())
    def lose_a_machine(self, data: st.DataObject) -> None:
        keys = [key for key in sorted(self.bench.simulated.keys()) if "/np1/" in key]
        if keys:
            key = data.draw(st.sampled_from(keys))
            self.bench.simulated.delete([key])
            self.lost.add(key)

    @precondition(lambda self: self.running is None)
    @rule(allowed=st.integers(0, 2))
    def the_engine_fails_once(self, allowed: int) -> None:
        """The next machines cannot all be made; the PUT ends Failed and the same PUT again goes on."""
        other = BOTH if self.accepted["vm_size"] == V1_ONLY else V1_ONLY
        self.bench.behaviour.fail_after = allowed
        operation = self.bench.put_pool(vm_size=other, count=self.accepted["count"])
        self.accepted["vm_size"] = other
        self._begin(operation, None)
        self.bench.behaviour.fail_after = None
        self._begin(self.bench.put_pool(**self.accepted), None)
        assert self.bench.there().state is ProvisioningState.SUCCEEDED

    @invariant()
    def what_was_accepted_is_never_forgotten(self) -> None:
        if self.accepted:
            pool = self.bench.there()
            assert (pool.vm_size, pool.count) == (self.accepted["vm_size"], self.accepted["count"])
            assert pool.generation is GENERATION[pool.vm_size]

    @invariant()
    def no_machine_is_orphaned(self) -> None:
        if self.accepted:
            assert self.bench.simulated.keys() <= self.bench.rows()

    @invariant()
    def at_rest_what_is_observed_is_what_was_resolved(self) -> None:
        if not self.accepted or self.running is not None or self.lost:
            return
        pool = self.bench.there()
        assert pool.operation_id is None
        assert pool.state.is_terminal
        if pool.state is ProvisioningState.SUCCEEDED:
            machines = self.bench.machines()
            assert [machine.spec.size for machine in machines] == [pool.vm_size] * pool.count
            for machine in machines:
                assert machine.facts is not None
                assert machine.facts.ready
                assert machine.facts.observed is machine.spec.generation is pool.generation
            assert pool.observed == {"V1": 0, "V2": 0, "unknown": 0} | (
                {pool.generation.value: pool.count} if pool.count else {}
            )

    @property
    def _pool_id(self) -> NodePoolId:
        return NodePoolId(self.bench.cluster_id, "np1")

    def _what_if(self, wanted: dict[str, Any]) -> WhatIf:
        with self.bench.database.engine.connect() as connection:
            return self.bench.plane.node_pools.what_if(connection, self._pool_id, pool_request(**wanted), CALL)

    def _begin(self, operation: Operation, after: int | None) -> Script:
        """Carry the operation out, killed after so many steps where it has that many; watch the machines meanwhile."""
        pool = self.bench.there()
        present = self.count_working()
        low = min(present, pool.promised) - pool.upgrade.unavailable(pool.promised)
        high = max(present, pool.promised) + pool.upgrade.surge(pool.promised)
        script = _Watching(self, low, max(high, pool.count), pool.count, after)
        ended = until_halt(self.bench, operation, script)
        self.running = None if ended.status.is_terminal else ended
        if ended.status.is_terminal:
            self._look_at(ended)
        return script

    def _look_at(self, ended: Operation) -> None:
        if ended.status is OperationStatus.SUCCEEDED:
            self.lost.clear()
        elif ended.status is OperationStatus.CANCELED:
            assert ended.aborted_by is not None
        else:
            assert ended.error is not None

    def count_working(self) -> int:
        keys = [key for key in sorted(self.bench.simulated.keys()) if "/np1/" in key]
        return sum(facts.ready for facts in self.bench.simulated.observe(keys).values())


class _Watching(Script):
    """A runner that halts after so many steps and checks the bounds of the promise after each."""

    def __init__(self, world: AnySequence, low: int, high: int, count: int, after: int | None) -> None:
        super().__init__()
        self.world, self.low, self.high, self.count, self.left = world, low, high, count, after

    def __call__(self, name: str, effect: Any) -> Any:
        outcome = super().__call__(name, effect)
        working = self.world.count_working()
        if not self.world.lost:
            assert working <= self.high, (name, working, self.high)
            # A count that was lowered is applied after the roll; from then on the new count is the promise.
            assert working >= min(self.low, self.count), (name, working, self.low)
        if self.left is not None:
            if self.left == 0:
                raise Halt
            self.left -= 1
        return outcome


AnySequence.TestCase.settings = settings(
    max_examples=15,
    stateful_step_count=10,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
TestAnySequence = AnySequence.TestCase
