"""What every machine engine does the same: one class, which each engine's tests inherit with a bench of their own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from poolwright.domain.generation import Generation
from poolwright.domain.machine import Login, MachineFacts, MachineSpec
from poolwright.machines.engine import MachineEngine

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
    zone=None,
)
# Under emulation it takes more than twice the time of the one before.
TRUSTED = replace(V2, secure_boot=True, vtpm=True)
OFF = replace(V1, key="pool/machines/m2", running=False)


class Bench(ABC):
    """An engine under test."""

    engine: MachineEngine

    @abstractmethod
    def boots(self) -> dict[str, int]:
        """Return how often each machine was started, by key."""

    @abstractmethod
    def reopen(self) -> None:
        """Close the engine and open it again on what it left."""

    def ensure(self, *specs: MachineSpec) -> None:
        self.engine.ensure(specs)
        self.settle([spec.key for spec in specs])

    def seen(self, *keys: str) -> dict[str, MachineFacts]:
        """What is observed of these machines, whenever it was seen."""
        return {key: replace(facts, last_seen=None) for key, facts in self.engine.observe(keys).items()}

    @abstractmethod
    def settle(self, keys: Sequence[str]) -> None:
        """Wait until these machines are what they are on their way to."""


def changed_specifications() -> Mapping[str, MachineSpec]:
    """What makes the first machine another one."""
    return {
        "generation": replace(V1, generation=Generation.V2, node_image=V2.node_image),
        "node image": replace(V1, node_image="AKSUbuntu-2204containerd-202601.07.0"),
        "size": replace(V1, size="Standard_D4s_v5"),
        "vcpus": replace(V1, vcpus=4),
        "memory": replace(V1, memory_gb=16.0),
        "trusted launch": replace(V1, generation=Generation.V2, secure_boot=True, vtpm=True),
        "zone": replace(V1, zone="2"),
        "persistent memory": replace(V1, generation=Generation.V2, node_image=V2.node_image, vpmem_mib=128),
    }


class EngineContract:
    def test_an_ensured_machine_is_there_as_specified(self, bench: Bench) -> None:
        bench.ensure(V1, TRUSTED, OFF)
        facts = bench.seen(V1.key, V2.key, OFF.key)
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
        bench.ensure(V1, V2, OFF)
        before = bench.seen(V1.key, V2.key, OFF.key), bench.boots()
        bench.ensure(OFF, V2, V1)
        assert (bench.seen(V1.key, V2.key, OFF.key), bench.boots()) == before
        assert bench.boots() == {V1.key: 1, V2.key: 1, OFF.key: 0}

    def test_ensuring_some_leaves_the_others_alone(self, bench: Bench) -> None:
        bench.ensure(V1)
        bench.ensure(V2)
        assert bench.engine.keys() == {V1.key, V2.key}
        assert bench.boots() == {V1.key: 1, V2.key: 1}

    def test_a_changed_login_waits_for_the_next_machine(self, bench: Bench) -> None:
        bench.ensure(V1)
        bench.ensure(replace(V1, login=Login("azureuser", ("ssh-rsa one",))))
        assert bench.boots() == {V1.key: 1}

    @pytest.mark.parametrize("what", changed_specifications())
    def test_a_changed_specification_makes_the_machine_again(self, bench: Bench, what: str) -> None:
        changed = changed_specifications()[what]
        bench.ensure(V1)
        bench.ensure(changed)
        assert bench.boots() == {V1.key: 2}
        fact = bench.seen(V1.key)[V1.key]
        assert (fact.observed, bool(fact.secure_boot), fact.vtpm, fact.vpmem_mib) == (
            changed.generation,
            changed.secure_boot,
            changed.vtpm,
            changed.vpmem_mib,
        )

    def test_a_reimaged_machine_begins_again_as_the_same_one_and_once_for_each_reimaging(self, bench: Bench) -> None:
        bench.ensure(V1, V2)
        before = bench.seen(V1.key, V2.key)
        reimaged = replace(V1, reimaged_by="first")
        for _ in range(2):
            bench.ensure(reimaged, V2)
            assert bench.boots() == {V1.key: 2, V2.key: 1}
        bench.reopen()
        bench.ensure(reimaged)
        assert bench.boots() == {V1.key: 2, V2.key: 1}
        assert bench.seen(V1.key, V2.key) == before
        bench.ensure(replace(V1, reimaged_by="second", running=False))
        assert bench.boots() == {V1.key: 2, V2.key: 1}
        assert bench.seen(V1.key)[V1.key].observed is None

    def test_stopping_and_starting_does_not_make_the_machine_again(self, bench: Bench) -> None:
        bench.ensure(V1)
        bench.ensure(replace(V1, running=False))
        stopped = bench.seen(V1.key)[V1.key]
        assert (stopped.ready, stopped.running, stopped.observed) == (False, False, Generation.V1)
        assert bench.boots() == {V1.key: 1}
        bench.ensure(V1)
        assert bench.seen(V1.key)[V1.key].ready
        assert bench.boots() == {V1.key: 2}

    def test_a_machine_made_again_while_stopped_has_shown_nothing_yet(self, bench: Bench) -> None:
        bench.ensure(V1)
        bench.ensure(replace(V1, generation=Generation.V2, node_image=V2.node_image, running=False))
        assert bench.seen(V1.key)[V1.key].observed is None
        assert bench.boots() == {V1.key: 1}

    def test_a_deleted_machine_is_gone_and_deleting_again_is_fine(self, bench: Bench) -> None:
        bench.ensure(V1, V2)
        for _ in range(2):
            bench.engine.delete([V1.key])
            assert bench.engine.keys() == {V2.key}
            assert V1.key not in bench.engine.observe([V1.key, V2.key])
        bench.engine.delete([])
        assert bench.engine.keys() == {V2.key}

    def test_unknown_keys_are_missing_from_what_is_observed(self, bench: Bench) -> None:
        assert bench.engine.observe(["nowhere/machines/m0"]) == {}
        bench.ensure(OFF)
        assert set(bench.engine.observe([OFF.key, "nowhere/machines/m0"])) == {OFF.key}
        assert bench.engine.observe([]) == {}

    def test_keys_are_those_of_all_machines(self, bench: Bench) -> None:
        assert bench.engine.keys() == set()
        bench.ensure(V1, OFF)
        assert bench.engine.keys() == {V1.key, OFF.key}

    def test_machines_survive_the_engine_s_own_end(self, bench: Bench) -> None:
        bench.ensure(V1, V2, OFF)
        before = bench.seen(V1.key, V2.key, OFF.key)
        bench.reopen()
        assert bench.seen(V1.key, V2.key, OFF.key) == before
        bench.ensure(V1, V2, OFF)
        assert bench.boots() == {V1.key: 1, V2.key: 1, OFF.key: 0}
