"""What every machine engine does the same, and how the simulated one can be made to misbehave.

Another engine joins the contract as a further parameter of the fixture `bench`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from poolwright.domain.generation import Generation
from poolwright.domain.machine import MachineSpec, Witness
from poolwright.machines.engine import MachineEngine, PermanentError
from poolwright.machines.simulated import Behaviour, SimulatedEngine

V1 = MachineSpec(
    key="pool/machines/m0",
    generation=Generation.V1,
    node_image="AKSUbuntu-2204containerd-202512.18.0",
    size="Standard_D2s_v5",
    vcpus=2,
    memory_gb=8.0,
    secure_boot=False,
    vtpm=False,
    running=True,
    zone="1",
)
V2 = replace(
    V1,
    key="pool/machines/m1",
    generation=Generation.V2,
    node_image="AKSUbuntu-2204gen2containerd-202512.18.0",
    secure_boot=True,
    vtpm=True,
    zone=None,
)
OFF = replace(V1, key="pool/machines/m2", running=False)


@dataclass
class Clock:
    """A clock that stands until it is set."""

    seconds: float = 1_000.0

    def __call__(self) -> float:
        return self.seconds


@dataclass
class Bench:
    """An engine under test. `reopen` closes it and opens it again on what it left; `boots` counts starts by key."""

    start: Callable[[], MachineEngine]
    boots_of: Callable[[MachineEngine], dict[str, int]]
    engine: MachineEngine = field(init=False)

    def __post_init__(self) -> None:
        self.engine = self.start()

    def reopen(self) -> None:
        self.engine.close()
        self.engine = self.start()

    def boots(self) -> dict[str, int]:
        return self.boots_of(self.engine)


def simulated(path: Path) -> Bench:
    def boots(engine: MachineEngine) -> dict[str, int]:
        assert isinstance(engine, SimulatedEngine)
        return engine.boots()

    return Bench(lambda: SimulatedEngine(path / "machines.sqlite", Clock()), boots)


@pytest.fixture(params=[simulated], ids=lambda make: make.__name__)
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    made = request.param(tmp_path)
    yield made
    made.engine.close()


class TestContract:
    def test_an_ensured_machine_is_there_as_specified(self, bench: Bench) -> None:
        bench.engine.ensure([V1, V2, OFF])
        facts = bench.engine.observe([V1.key, V2.key, OFF.key])
        assert {key: (fact.ready, fact.running) for key, fact in facts.items()} == {
            V1.key: (True, True),
            V2.key: (True, True),
            OFF.key: (False, False),
        }
        assert {key: fact.observed for key, fact in facts.items()} == {
            V1.key: Generation.V1,
            V2.key: Generation.V2,
            OFF.key: None,
        }
        assert (facts[V2.key].secure_boot, facts[V2.key].vtpm) == (True, True)
        assert (facts[V1.key].partition_table, facts[V2.key].partition_table) == ("mbr", "gpt")
        assert all(fact.key == key and fact.cause is None for key, fact in facts.items())

    def test_ensuring_again_changes_nothing(self, bench: Bench) -> None:
        bench.engine.ensure([V1, V2, OFF])
        before = bench.engine.observe([V1.key, V2.key, OFF.key]), bench.boots()
        bench.engine.ensure([OFF, V2, V1])
        assert (bench.engine.observe([V1.key, V2.key, OFF.key]), bench.boots()) == before
        assert bench.boots() == {V1.key: 1, V2.key: 1, OFF.key: 0}

    def test_ensuring_some_leaves_the_others_alone(self, bench: Bench) -> None:
        bench.engine.ensure([V1])
        bench.engine.ensure([V2])
        assert bench.engine.keys() == {V1.key, V2.key}
        assert bench.boots() == {V1.key: 1, V2.key: 1}

    @pytest.mark.parametrize(
        "changed",
        [
            replace(V1, generation=Generation.V2),
            replace(V1, node_image="AKSUbuntu-2204containerd-202601.07.0"),
            replace(V1, size="Standard_D4s_v5"),
            replace(V1, vcpus=4),
            replace(V1, memory_gb=16.0),
            replace(V1, secure_boot=True),
            replace(V1, vtpm=True),
            replace(V1, zone="2"),
        ],
        ids=["generation", "node image", "size", "vcpus", "memory", "secure boot", "vtpm", "zone"],
    )
    def test_a_changed_specification_makes_the_machine_again(self, bench: Bench, changed: MachineSpec) -> None:
        bench.engine.ensure([V1])
        bench.engine.ensure([changed])
        assert bench.boots() == {V1.key: 2}
        fact = bench.engine.observe([V1.key])[V1.key]
        assert (fact.observed, fact.secure_boot, fact.vtpm) == (changed.generation, changed.secure_boot, changed.vtpm)

    def test_stopping_and_starting_does_not_make_the_machine_again(self, bench: Bench) -> None:
        bench.engine.ensure([V1])
        bench.engine.ensure([replace(V1, running=False)])
        stopped = bench.engine.observe([V1.key])[V1.key]
        assert (stopped.ready, stopped.running, stopped.observed) == (False, False, Generation.V1)
        assert bench.boots() == {V1.key: 1}
        bench.engine.ensure([V1])
        assert bench.engine.observe([V1.key])[V1.key].ready
        assert bench.boots() == {V1.key: 2}

    def test_a_machine_made_again_while_stopped_has_shown_nothing_yet(self, bench: Bench) -> None:
        bench.engine.ensure([V1])
        bench.engine.ensure([replace(V1, generation=Generation.V2, running=False)])
        assert bench.engine.observe([V1.key])[V1.key].observed is None
        assert bench.boots() == {V1.key: 1}

    def test_a_deleted_machine_is_gone_and_deleting_again_is_fine(self, bench: Bench) -> None:
        bench.engine.ensure([V1, V2])
        for _ in range(2):
            bench.engine.delete([V1.key])
            assert bench.engine.keys() == {V2.key}
            assert V1.key not in bench.engine.observe([V1.key, V2.key])
        bench.engine.delete([])
        assert bench.engine.keys() == {V2.key}

    def test_unknown_keys_are_missing_from_what_is_observed(self, bench: Bench) -> None:
        assert bench.engine.observe(["nowhere/machines/m0"]) == {}
        bench.engine.ensure([V1])
        assert set(bench.engine.observe([V1.key, "nowhere/machines/m0"])) == {V1.key}
        assert bench.engine.observe([]) == {}

    def test_keys_are_those_of_all_machines(self, bench: Bench) -> None:
        assert bench.engine.keys() == set()
        bench.engine.ensure([V1, OFF])
        assert bench.engine.keys() == {V1.key, OFF.key}

    def test_machines_survive_the_engine_s_own_end(self, bench: Bench) -> None:
        bench.engine.ensure([V1, V2, OFF])
        before = bench.engine.observe([V1.key, V2.key, OFF.key])
        bench.reopen()
        assert bench.engine.observe([V1.key, V2.key, OFF.key]) == before
        bench.engine.ensure([V1, V2, OFF])
        assert bench.boots() == {V1.key: 1, V2.key: 1, OFF.key: 0}


@dataclass
class Simulated:
    """A simulated engine with its clock."""

    engine: SimulatedEngine
    clock: Clock

    @property
    def behaviour(self) -> Behaviour:
        return self.engine.behaviour


class TestSimulatedBehaviour:
    @pytest.fixture
    def simulated(self, tmp_path: Path) -> Iterator[Simulated]:
        clock = Clock()
        engine = SimulatedEngine(tmp_path / "machines.sqlite", clock)
        yield Simulated(engine, clock)
        engine.close()

    def test_what_it_observes_is_marked_as_simulated(self, simulated: Simulated) -> None:
        simulated.engine.ensure([V1])
        assert simulated.engine.observe([V1.key])[V1.key].observed_by is Witness.SIMULATED
        assert simulated.engine.name == "simulated"

    def test_a_slow_machine_is_ready_and_seen_only_after_its_boot_time(self, simulated: Simulated) -> None:
        simulated.behaviour.boot_seconds = 60
        simulated.engine.ensure([V2])
        simulated.clock.seconds += 59
        booting = simulated.engine.observe([V2.key])[V2.key]
        assert (booting.ready, booting.running, booting.observed, booting.last_seen) == (False, True, None, None)
        simulated.clock.seconds += 1
        booted = simulated.engine.observe([V2.key])[V2.key]
        assert (booted.ready, booted.observed, booted.last_seen) == (True, Generation.V2, simulated.clock.seconds)

    def test_ensuring_again_does_not_restart_a_slow_boot(self, simulated: Simulated) -> None:
        simulated.behaviour.boot_seconds = 60
        simulated.engine.ensure([V2])
        simulated.clock.seconds += 50
        simulated.engine.ensure([V2])
        simulated.clock.seconds += 10
        assert simulated.engine.observe([V2.key])[V2.key].ready

    def test_starting_a_stopped_machine_boots_it_again(self, simulated: Simulated) -> None:
        simulated.engine.ensure([V2])
        simulated.engine.ensure([replace(V2, running=False)])
        simulated.behaviour.boot_seconds = 60
        simulated.clock.seconds += 600
        simulated.engine.ensure([V2])
        assert not simulated.engine.observe([V2.key])[V2.key].ready

    def test_refusing_makes_nothing_and_says_why(self, simulated: Simulated) -> None:
        simulated.behaviour.refuse = "no capacity"
        with pytest.raises(PermanentError, match=r"^no capacity$"):
            simulated.engine.ensure([V1])
        assert simulated.engine.keys() == set()

    def test_failing_half_way_keeps_what_was_made_by_then(self, simulated: Simulated) -> None:
        simulated.behaviour.fail_after = 1
        with pytest.raises(PermanentError, match="failed after 1 of 2 machines"):
            simulated.engine.ensure([V1, V2])
        assert simulated.engine.keys() == {V1.key}
        with pytest.raises(PermanentError, match="failed after 1 of 2 machines"):
            simulated.engine.ensure([V1, V2, OFF])
        assert simulated.engine.keys() == {V1.key, V2.key}
        simulated.engine.ensure([V1, V2])

    def test_a_lost_machine_is_gone_until_it_is_made_again(self, simulated: Simulated) -> None:
        simulated.engine.ensure([V1, V2])
        simulated.behaviour.lose = ("/m0",)
        assert set(simulated.engine.observe([V1.key, V2.key])) == {V2.key}
        assert simulated.engine.keys() == {V2.key}
        simulated.behaviour.lose = ()
        assert simulated.engine.keys() == {V2.key}
        simulated.engine.ensure([V1, V2])
        assert simulated.engine.keys() == {V1.key, V2.key}

    def test_a_stuck_machine_never_gets_ready_and_says_why(self, simulated: Simulated) -> None:
        simulated.behaviour.never_ready = ("/m0",)
        simulated.engine.ensure([V1, V2])
        simulated.clock.seconds += 10_000
        facts = simulated.engine.observe([V1.key, V2.key])
        assert (facts[V1.key].ready, facts[V1.key].observed) == (False, None)
        assert facts[V1.key].cause == "the simulated engine was told never to make it ready"
        assert facts[V2.key].ready
        assert facts[V2.key].cause is None

    def test_the_machines_file_is_readable_by_its_owner_alone(self, simulated: Simulated, tmp_path: Path) -> None:
        simulated.engine.ensure([V1])
        assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}
