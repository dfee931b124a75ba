"""The contract of all engines for the simulated one, and how that one can be made to misbehave."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from poolwright.domain.generation import Generation
from poolwright.domain.machine import Witness
from poolwright.machines.engine import PermanentError
from poolwright.machines.simulated import Behaviour, SimulatedEngine
from tests.machines.contract import OFF, V1, V2, Bench, EngineContract


@dataclass
class Clock:
    """A clock that stands until it is set."""

    seconds: float = 1_000.0

    def __call__(self) -> float:
        return self.seconds


class SimulatedBench(Bench):
    engine: SimulatedEngine

    def __init__(self, path: Path) -> None:
        self._path = path
        self.engine = SimulatedEngine(path, Clock())

    def boots(self) -> dict[str, int]:
        return self.engine.boots()

    def settle(self, keys: Sequence[str]) -> None:
        """Nothing is on its way: its machines are at once what they are to be."""

    def reopen(self) -> None:
        self.engine.close()
        self.engine = SimulatedEngine(self._path, Clock())


class TestSimulatedEngine(EngineContract):
    @pytest.fixture
    def bench(self, tmp_path: Path) -> Iterator[Bench]:
        made = SimulatedBench(tmp_path / "machines.sqlite")
        yield made
        made.engine.close()


def test_machines_from_before_there_was_persistent_memory_are_left_alone(tmp_path: Path) -> None:
    bench = SimulatedBench(tmp_path / "machines.sqlite")
    bench.ensure(V1, V2)
    bench.engine.close()
    with closing(sqlite3.connect(tmp_path / "machines.sqlite")) as connection:
        connection.execute("ALTER TABLE machines DROP COLUMN vpmem_mib")
    bench.engine = SimulatedEngine(tmp_path / "machines.sqlite", Clock())
    bench.ensure(V1, V2)
    assert bench.boots() == {V1.key: 1, V2.key: 1}
    assert bench.seen(V2.key)[V2.key].vpmem_mib == 0
    written = [
        {name: value for name, value in row.items() if name != "vpmem_mib"} for row in bench.engine.written_down()
    ]
    bench.engine.require_own(written)
    bench.engine.bring_back(written)
    assert bench.engine.keys() == {V1.key, V2.key}
    bench.engine.close()


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
