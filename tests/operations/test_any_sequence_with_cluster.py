"""The same as in test_any_sequence.py with a Kubernetes cluster attached, some of whose nodes are never drained."""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule

from poolwright.domain.cluster import ProvisioningState
from poolwright.domain.operation import Operation
from poolwright.domain.upgrade_settings import UndrainableNodeBehavior, UpgradeSettings
from poolwright.machines.engine import PermanentError
from tests.operations.test_any_sequence import GENERATION, AnySequence
from tests.operations.workbench import Script

SETTINGS = [
    UpgradeSettings(surge, unavailable, drain_timeout_minutes=1, node_soak_minutes=soak, undrainable=undrainable)
    for surge, unavailable, soak in (("1", "0", 0), ("2", "1", 1), ("0", "1", 0))
    for undrainable in UndrainableNodeBehavior
]


class WithCluster(AnySequence):
    """`kept` are the machines that the operation `begun` last must not let go undrained, in the calls `since` then.

    `stuck` are those that were quarantined, also when an operation gives them another try.
    """

    def __init__(self) -> None:
        super().__init__()
        self.cluster = self.bench.kubernetes
        self.cluster.attach(evictions=2)
        self.begun: Operation | None = None
        self.kept: set[str] = set()
        self.since = 0
        self.stuck: set[str] = set()

    @precondition(lambda self: self.running is None)
    @rule(
        size=st.sampled_from(sorted(GENERATION)),
        count=st.integers(0, 6),
        upgrade=st.sampled_from(SETTINGS),
        after=st.integers(0, 12),
    )
    def put(self, size: str, count: int, upgrade: UpgradeSettings, after: int) -> None:
        super().put(size=size, count=count, upgrade=upgrade, after=after)

    @rule(data=st.data())
    def hold_a_node(self, data: st.DataObject) -> None:
        machines = self.bench.machines()
        if machines:
            self.cluster.place(data.draw(st.sampled_from(machines)).id.machine, evictions=None)

    @rule(data=st.data())
    def lose_a_machine(self, data: st.DataObject) -> None:
        before = self.bench.simulated.keys()
        super().lose_a_machine(data=data)
        for key in before - self.bench.simulated.keys():
            self.cluster.lose(key.rpartition("/")[2])

    @rule()
    def let_all_go(self) -> None:
        self.cluster.let_go()
        self.cluster.heal()

    @rule(verb=st.sampled_from(["cordon", "drain", "uncordon"]))
    def the_cluster_refuses_once(self, verb: str) -> None:
        self.cluster.fail(verb, PermanentError(f"{verb} is forbidden"))

    @precondition(lambda self: self.running is None)
    @rule(allowed=st.integers(0, 2))
    def the_engine_fails_once(self, allowed: int) -> None:
        self.let_all_go()
        super().the_engine_fails_once(allowed=allowed)

    @invariant()
    def at_rest_only_quarantined_nodes_are_cordoned(self) -> None:
        if not self.accepted or self.running is not None:
            return
        machines = {machine.id.machine: machine for machine in self.bench.machines()}
        cordoned = [machines[node] for node in self.cluster.cordoned & machines.keys()]
        if self.bench.there().state is ProvisioningState.SUCCEEDED:
            assert cordoned == []
        # What could not be uncordoned is known, so that the next operation does it.
        assert all(machine.cordoned for machine in cordoned)
        error = self.bench.there().error
        if error is None or "uncordon is forbidden" not in error.message:
            assert all(machine.quarantined for machine in cordoned)

    def count_working(self) -> int:
        machines = self.bench.machines()
        self.stuck &= {machine.id.key for machine in machines}
        self.stuck |= {machine.id.key for machine in machines if machine.quarantined}
        keys = [key for key in sorted(self.bench.simulated.keys() - self.stuck) if "/np1/" in key]
        return sum(facts.ready for facts in self.bench.simulated.observe(keys).values())

    def _begin(self, operation: Operation, after: int | None) -> Script:
        if self.begun is None or self.begun.id != operation.id:
            keys = self.bench.engine.keys()
            there = {machine.id.machine for machine in self.bench.machines() if machine.id.key in keys}
            self.begun, self.kept, self.since = operation, there - set(operation.machines), len(self.cluster.calls)
        script = super()._begin(operation, after)
        self.cluster.require_order(self.kept, since=self.since)
        return script


WithCluster.TestCase.settings = settings(
    max_examples=15,
    stateful_step_count=10,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
TestAnySequenceWithCluster = WithCluster.TestCase
