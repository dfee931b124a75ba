"""Plans are carried out on a model: additions and refits first, then removals, with or without a machine that fails.

What must hold whatever there is at the start is tried with arbitrary machines; the examples show the usual cases
with every wave written out.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poolwright.domain.rollout import (
    PlannedMachine,
    PlannedWaves,
    PresentMachine,
    Rollout,
    Wave,
    moments_together,
    plan_rollout,
)
from poolwright.domain.upgrade_settings import UpgradeSettings

A, B = "Standard_A", "Standard_B"
ZONES = ("1", "2", "3")
MANY = settings(max_examples=300, deadline=None)


@dataclass(frozen=True, slots=True)
class Situation:
    """Machines there are, and what their node pool wants."""

    present: tuple[PresentMachine, ...]
    wanted: tuple[tuple[str, int], ...]
    promised: int
    settings: UpgradeSettings = field(default_factory=UpgradeSettings)
    zones: tuple[str, ...] = ()
    park: bool = False
    leaving: frozenset[int] = frozenset()

    @property
    def floor(self) -> int:
        return max(0, self.promised - self.settings.unavailable(self.promised))

    @property
    def total(self) -> int:
        return sum(count for _, count in self.wanted)

    def plan(self) -> Rollout:
        return plan_rollout(
            self.present,
            self.wanted,
            zones=self.zones,
            settings=self.settings,
            promised=self.promised,
            park=self.park,
            leaving=self.leaving,
        )

    def after(self, waves: Sequence[Wave]) -> Situation:
        """The situation when the waves are done; what was named is gone then."""
        present = self.present
        for wave in waves:
            present = removed(added(present, wave), wave)
        left = frozenset(machine.ordinal for machine in present)
        return replace(self, present=present, leaving=self.leaving & left)


def added(
    present: tuple[PresentMachine, ...], wave: Wave, failing: frozenset[int] = frozenset()
) -> tuple[PresentMachine, ...]:
    """The machines after the first half of a wave; the failing ones of its additions are there and useless."""
    refitted = tuple(
        replace(machine, available=True, vanished=False, powered=True, parked=False)
        if machine.ordinal in wave.refit
        else machine
        for machine in present
    )
    new = (
        PresentMachine(planned.ordinal, planned.size, planned.zone, available=planned.ordinal not in failing)
        for planned in wave.add
    )
    return (*refitted, *new)


def removed(present: tuple[PresentMachine, ...], wave: Wave) -> tuple[PresentMachine, ...]:
    """The machines after the second half of a wave."""
    return tuple(
        replace(machine, parked=True, powered=False) if machine.ordinal in wave.park else machine
        for machine in present
        if machine.ordinal not in wave.remove
    )


def working(present: Sequence[PresentMachine]) -> int:
    return sum(machine.available and not machine.parked for machine in present)


def active(present: Sequence[PresentMachine]) -> list[PresentMachine]:
    return [machine for machine in present if not machine.parked]


def spread(present: Sequence[PresentMachine], zones: Sequence[str]) -> int:
    """How many machines more the fullest zone has than the emptiest."""
    population = Counter(dict.fromkeys(zones, 0))
    population.update(machine.zone for machine in active(present) if machine.zone is not None)
    return max(population.values()) - min(population.values()) if zones else 0


def last_of_roll(rollout: Rollout) -> int:
    """The index of the last wave that replaces something, -1 where nothing is replaced."""
    return max(
        (index for index, wave in enumerate(rollout.waves) if any(part.replaces is not None for part in wave.add)),
        default=-1,
    )


percentages = st.sampled_from(["1%", "10%", "33%", "50%", "100%"])
shares = st.one_of(st.integers(0, 5).map(str), percentages)
upgrade_settings = (
    st.tuples(shares, shares).filter(lambda pair: pair != ("0", "0")).map(lambda pair: UpgradeSettings(*pair))
)


@st.composite
def machines(draw: st.DrawFn, sizes: Sequence[str], zones: Sequence[str]) -> tuple[PresentMachine, ...]:
    """Any machines: working, vanished, dead, stopped against the wish, parked, old or as wanted."""
    ordinals = draw(st.lists(st.integers(0, 15), unique=True, max_size=9))
    kinds = st.sampled_from(
        [
            {},
            {},
            {},
            {"available": False},
            {"available": False, "vanished": True},
            {"powered": False},
            {"parked": True, "powered": False},
        ]
    )
    return tuple(
        PresentMachine(
            ordinal,
            draw(st.sampled_from(sizes)),
            draw(st.sampled_from(zones)) if zones else None,
            current=draw(st.booleans()),
            **draw(kinds),
        )
        for ordinal in ordinals
    )


@st.composite
def situations(draw: st.DrawFn) -> Situation:
    sizes = draw(st.sampled_from([(A,), (A, B)]))
    zones = draw(st.sampled_from([(), ZONES]))
    present = draw(machines(sizes, zones))
    wanted = tuple((size, draw(st.integers(0, 5))) for size in sizes)
    known = [machine.ordinal for machine in present]
    return Situation(
        present,
        wanted,
        promised=draw(st.one_of(st.just(len(active(present))), st.integers(0, 9))),
        settings=draw(upgrade_settings),
        zones=zones,
        park=draw(st.booleans()),
        leaving=draw(st.frozensets(st.sampled_from(known))) if known else frozenset(),
    )


@MANY
@given(situations())
def test_a_plan_ends_in_exactly_what_is_wanted_and_planning_again_gives_nothing(situation: Situation) -> None:
    end = situation.after(situation.plan().waves)
    there = active(end.present)
    assert Counter(machine.size for machine in there) == +Counter(dict(situation.wanted))
    assert all(m.current and m.available and not m.vanished and m.powered for m in there)
    assert not situation.leaving & {machine.ordinal for machine in end.present}
    assert all(m.current for m in end.present)
    assert situation.park or len(there) == len(end.present)
    assert end.plan().waves == ()


@MANY
@given(situations())
def test_working_machines_stay_within_the_bounds_at_every_moment(situation: Situation) -> None:
    rollout = situation.plan()
    present = situation.present
    start = sum(not machine.is_dead for machine in active(present))
    last = last_of_roll(rollout)
    surge = situation.settings.surge(situation.promised)
    while_replacing = max(situation.promised, start) + surge
    for index, wave in enumerate(rollout.waves):
        present = added(present, wave)
        most = working(present)
        assert most <= (while_replacing if index <= last else max(while_replacing, situation.total + surge))
        present = removed(present, wave)
        # The wanted count, not the promised one, holds once the replacing is over.
        floor = situation.floor if index <= last else min(situation.floor, situation.total)
        assert working(present) >= min(floor, most)


@MANY
@given(situations())
def test_a_name_never_means_two_machines_and_a_machine_goes_once(situation: Situation) -> None:
    rollout = situation.plan()
    names = [machine.ordinal for machine in situation.present]
    names += [planned.ordinal for wave in rollout.waves for planned in wave.add]
    assert len(names) == len(set(names))
    leaving = [ordinal for wave in rollout.waves for ordinal in wave.leaving]
    assert len(leaving) == len(set(leaving))
    present = situation.present
    for wave in rollout.waves:
        present = added(present, wave)
        assert {*wave.leaving, *wave.refit} <= {machine.ordinal for machine in present}
        present = removed(present, wave)


@MANY
@given(situations())
def test_a_plan_has_no_more_waves_than_machines_that_come_or_go(situation: Situation) -> None:
    waves = situation.plan().waves
    assert Wave() not in waves
    assert len(waves) <= sum(len(wave.add) + len(wave.refit) + len(wave.leaving) for wave in waves)


@MANY
@given(situations(), st.data())
def test_a_rollout_stopped_anywhere_goes_on_from_there_to_the_same_end(
    situation: Situation, data: st.DataObject
) -> None:
    rollout = situation.plan()
    done = data.draw(st.integers(0, len(rollout.waves)))
    stopped = situation.after(rollout.waves[:done])
    if done < len(rollout.waves):
        wave = rollout.waves[done]
        failing = data.draw(st.frozensets(st.sampled_from([p.ordinal for p in wave.add]))) if wave.add else frozenset()
        stopped = replace(stopped, present=added(stopped.present, wave, failing))
    resumed = stopped.after(stopped.plan().waves)
    there = active(resumed.present)
    assert Counter(machine.size for machine in there) == +Counter(dict(situation.wanted))
    assert all(machine.current and machine.available for machine in there)
    assert resumed.plan().waves == ()


@MANY
@given(
    st.lists(st.tuples(st.integers(0, 12), st.booleans()), min_size=1, max_size=6),
    st.integers(1, 3),
    st.booleans(),
    upgrade_settings,
)
def test_zones_stay_balanced_through_any_row_of_scalings_and_replacements(
    steps: list[tuple[int, bool]], zones: int, park: bool, upgrade: UpgradeSettings
) -> None:
    situation = Situation((), ((A, 0),), 0, upgrade, ZONES[:zones], park)
    for count, is_outdated in steps:
        present = tuple(replace(m, current=m.current and not is_outdated) for m in situation.present)
        situation = replace(situation, present=present, wanted=((A, count),), promised=len(active(present)))
        situation = situation.after(situation.plan().waves)
        assert spread(situation.present, situation.zones) <= 1


@MANY
@given(st.lists(st.booleans(), min_size=1, max_size=9), st.integers(0, 5), upgrade_settings)
def test_finishing_a_half_done_replacement_keeps_zones_balanced(
    currents: list[bool], more: int, upgrade: UpgradeSettings
) -> None:
    present = tuple(
        PresentMachine(ordinal, A, zone, current=current)
        for ordinal, (current, zone) in enumerate(zip(currents, itertools.cycle(ZONES), strict=False))
    )
    situation = Situation(present, ((A, len(present) + more),), len(present), upgrade, ZONES)
    assert spread(situation.after(situation.plan().waves).present, ZONES) <= 1


def old(number: int, size: str = A) -> tuple[PresentMachine, ...]:
    return tuple(PresentMachine(ordinal, size, current=False) for ordinal in range(number))


def there(number: int, size: str = A) -> tuple[PresentMachine, ...]:
    return tuple(PresentMachine(ordinal, size) for ordinal in range(number))


def short(waves: Sequence[Wave]) -> list[str]:
    """Each wave in a line: `+` added (with what it replaces), `*` refitted, `-` removed, `z` parked."""
    return [
        " ".join(
            [f"+{p.ordinal}" + (f"/{p.replaces}" if p.replaces is not None else "") for p in wave.add]
            + [f"*{ordinal}" for ordinal in wave.refit]
            + [f"-{ordinal}" for ordinal in wave.remove]
            + [f"z{ordinal}" for ordinal in wave.park]
        )
        for wave in waves
    ]


EXAMPLES: dict[str, tuple[Situation, list[str]]] = {
    "nothing to do": (Situation(there(3), ((A, 3),), 3), []),
    "a new pool": (Situation((), ((A, 3),), 0), ["+0 +1 +2"]),
    "a deleted count": (Situation(there(2), ((A, 0),), 2), ["-1 -0"]),
    "one surge machine at a time by default": (
        Situation(old(3), ((A, 3),), 3),
        ["+3/0 -0", "+4/1 -1", "+5/2 -2"],
    ),
    "a third at a time, rounded up": (
        Situation(old(4), ((A, 4),), 4, UpgradeSettings("33%")),
        ["+4/0 +5/1 -0 -1", "+6/2 +7/3 -2 -3"],
    ),
    "all at once": (Situation(old(2), ((A, 2),), 2, UpgradeSettings("100%")), ["+2/0 +3/1 -0 -1"]),
    "no surge: first one goes, then its replacement comes": (
        Situation(old(3), ((A, 3),), 3, UpgradeSettings("0", "1")),
        ["-0", "+3/0 -1", "+4/1 -2", "+5/2"],
    ),
    "surge and unavailable add up": (
        Situation(old(4), ((A, 4),), 4, UpgradeSettings("1", "1")),
        ["+4/0 -0 -1", "+5/1 +6/2 -2 -3", "+7/3"],
    ),
    "another size replaces like another image": (
        Situation(there(2), ((B, 2),), 2),
        ["+2/0 -0", "+3/1 -1"],
    ),
    "a half done roll touches only the rest": (
        Situation((*old(2), PresentMachine(2, A)), ((A, 3),), 3),
        ["+3/0 -0", "+4/1 -1"],
    ),
    "a new count comes after the roll: more": (
        Situation(old(2), ((A, 4),), 2),
        ["+2/0 -0", "+3/1 -1", "+4 +5"],
    ),
    "a new count comes after the roll: fewer": (
        Situation(old(4), ((A, 2),), 4),
        ["+4/0 -0", "+5/1 -1", "-3 -2"],
    ),
    "what was lacking comes with the replacements, within the surge": (
        Situation(old(2), ((A, 6),), 6),
        ["+2 +3 +4 +5 +6/0 -0", "+7/1 -1"],
    ),
    "one size of two is rolled": (
        Situation((PresentMachine(0, A), PresentMachine(1, B, current=False)), ((A, 1), (B, 1)), 2),
        ["+2/1 -1"],
    ),
    "the same size twice counts together": (Situation(there(3), ((A, 1), (A, 2)), 3), []),
    "a named machine goes and the rest stay": (
        Situation(there(4), ((A, 3),), 4, leaving=frozenset({1})),
        ["-1"],
    ),
    "a named machine is replaced where the count stays": (
        Situation(there(3), ((A, 3),), 3, leaving=frozenset({1})),
        ["+3/1 -1"],
    ),
    "a dead machine goes when its replacement is there": (
        Situation((PresentMachine(0, A, available=False), PresentMachine(1, A)), ((A, 2),), 2),
        ["+2/0 -0"],
    ),
    "a dead machine goes first when the pool shrinks": (
        Situation((PresentMachine(0, A, available=False), PresentMachine(1, A)), ((A, 1),), 2),
        ["-0"],
    ),
    "a vanished machine is made again under its name": (
        Situation((PresentMachine(0, A), PresentMachine(1, A, available=False, vanished=True)), ((A, 2),), 2),
        ["*1"],
    ),
    "a vanished machine of the former kind is replaced": (
        Situation((PresentMachine(0, A, current=False, available=False, vanished=True),), ((A, 1),), 1),
        ["+1/0 -0"],
    ),
    "stopped machines are started in place": (
        Situation(tuple(replace(machine, powered=False) for machine in there(2)), ((A, 2),), 2),
        ["*0 *1"],
    ),
    "scaling down with Deallocate stops the newest": (
        Situation(there(3), ((A, 1),), 3, park=True),
        ["z1 z2"],
    ),
    "scaling up with Deallocate wakes before it makes": (
        Situation((*there(1), PresentMachine(1, A, parked=True)), ((A, 3),), 1, park=True),
        ["+2 *1"],
    ),
    "a named machine makes room for a dead one's replacement": (
        Situation(
            (*old(2), PresentMachine(2, A, current=False, available=False)),
            ((A, 2),),
            2,
            UpgradeSettings("0", "1"),
            leaving=frozenset({0}),
        ),
        ["-2 -1", "+3/2 -0", "+4/1"],
    ),
    "parked machines of the former kind go": (
        Situation((*there(1), PresentMachine(1, A, parked=True, current=False)), ((A, 1),), 1, park=True),
        ["-1"],
    ),
    "parked machines go when the mode is Delete again": (
        Situation((*there(1), PresentMachine(1, A, parked=True)), ((A, 1),), 1),
        ["-1"],
    ),
    "a named parked machine goes and is not woken": (
        Situation((*there(1), PresentMachine(1, A, parked=True)), ((A, 2),), 1, park=True, leaving=frozenset({1})),
        ["+2 -1"],
    ),
    "an outdated machine that is one too many is deleted, not parked": (
        Situation(old(2), ((A, 1),), 2, park=True),
        ["+2/0 -0", "-1"],
    ),
    "machines a stopped roll left over go before others come": (
        Situation((*old(2), PresentMachine(2, A), PresentMachine(3, A)), ((A, 3),), 3),
        ["+4/0 -1 -0"],
    ),
}


@pytest.mark.parametrize(("situation", "waves"), EXAMPLES.values(), ids=EXAMPLES)
def test_the_usual_cases_wave_by_wave(situation: Situation, waves: list[str]) -> None:
    assert short(situation.plan().waves) == waves


def test_a_replacement_takes_the_zone_of_what_it_replaces_and_an_additional_one_the_emptiest() -> None:
    present = (PresentMachine(0, A, "3", current=False), PresentMachine(1, A, "1", current=False))
    waves = Situation(present, ((A, 3),), 2, UpgradeSettings("100%"), ZONES).plan().waves
    assert waves[0].add == (PlannedMachine(2, A, "3", 0), PlannedMachine(3, A, "1", 1))
    assert waves[1].add == (PlannedMachine(4, A, "2"),)


def test_the_parked_machine_of_the_emptiest_zone_is_woken_first() -> None:
    present = (
        PresentMachine(0, A, "1"),
        PresentMachine(1, A, "1", parked=True),
        PresentMachine(2, A, "2", parked=True),
    )
    assert short(Situation(present, ((A, 2),), 1, zones=("1", "2"), park=True).plan().waves) == ["*2"]


def test_scaling_a_half_rolled_pool_down_counts_the_rolled_machines_of_a_zone_too() -> None:
    present = (
        PresentMachine(0, A, "1", current=False),
        PresentMachine(1, A, "2", current=False),
        PresentMachine(2, A, "1"),
    )
    situation = Situation(present, ((A, 2),), 3, zones=("1", "2"))
    assert spread(situation.after(situation.plan().waves).present, situation.zones) == 0


def test_a_rollout_tells_its_surge_and_the_sizes_it_needs_at_its_busiest_moment() -> None:
    situation = Situation(old(4), ((B, 6),), 4, UpgradeSettings("50%"))
    rollout = situation.plan()
    assert (rollout.promised, rollout.surge, rollout.to_replace) == (4, 2, 4)
    # Two of the new size beside four old ones, twice; then two more.
    assert rollout.moments(situation.present) == [{A: 4, B: 2}, {A: 2, B: 4}, {B: 6}, {B: 6}]
    # Two beyond the four while they are replaced, which is not beyond the six they become.
    assert rollout.most_surge(situation.present) == 0
    assert Situation(old(4), ((B, 4),), 4, UpgradeSettings("50%")).plan().most_surge(old(4)) == 2


@MANY
@given(situations())
def test_what_a_rollout_says_it_needs_is_what_carrying_it_out_needs(situation: Situation) -> None:
    rollout = situation.plan()
    present = situation.present
    moments = []
    for wave in rollout.waves:
        present = added(present, wave)
        moments.append(Counter(machine.size for machine in present))
        present = removed(present, wave)
    assert rollout.moments(situation.present) == [*moments, Counter(machine.size for machine in present)]


def test_moments_of_several_pools_are_those_of_waves_carried_out_together() -> None:
    long, brief = Situation(old(2), ((A, 2),), 2), Situation(there(1, B), ((B, 2),), 1)
    together = moments_together([(each.present, each.plan()) for each in (long, brief)])
    assert together == [{A: 3, B: 2}, {A: 3, B: 2}, {A: 2, B: 2}]
    assert moments_together([]) == []


def test_rollouts_of_several_pools_share_wave_numbers() -> None:
    one, two = Situation(old(2), ((A, 2),), 2).plan(), Situation(there(1), ((A, 2),), 1).plan()
    planned = PlannedWaves({"one": one, "two": two, "idle": Situation((), ((A, 0),), 0).plan()}, drains=True)
    assert planned.number == 2
    assert set(planned.wave(0)) == {"one", "two"}
    assert planned.wave(1) == {"one": one.waves[1]}


def reimaging(ordinal: int, *present: PresentMachine, wanted: tuple[str, int] = (A, 2)) -> tuple[Wave, ...]:
    return plan_rollout(
        present,
        [wanted],
        zones=(),
        settings=UpgradeSettings(),
        promised=len(present),
        reimage=frozenset({ordinal}),
    ).waves


@pytest.mark.parametrize(
    "state",
    [{}, {"available": False}, {"available": False, "vanished": True}],
    ids=["well", "failed", "vanished"],
)
def test_a_machine_to_reimage_stays_whatever_is_wrong_with_it(state: dict[str, bool]) -> None:
    assert reimaging(1, PresentMachine(0, A), PresentMachine(1, A, **state)) == (Wave(reimage=(1,)),)


def test_a_machine_to_reimage_that_is_replaced_needs_no_disk() -> None:
    waves = reimaging(0, PresentMachine(0, A, current=False), PresentMachine(1, A))
    assert waves == (Wave(add=(PlannedMachine(2, A, None, replaces=0),), remove=(0,)),)


def test_what_is_left_of_a_change_comes_before_a_reimaging() -> None:
    first, last = reimaging(1, PresentMachine(0, A, current=False), PresentMachine(1, A))
    assert (first.remove, first.reimage) == ((0,), ())
    assert last == Wave(reimage=(1,))
    assert last.drained == (1,)
    assert last.leaving == ()


def test_nobody_is_reimaged_who_is_not_there() -> None:
    assert reimaging(7, PresentMachine(0, A), PresentMachine(1, A)) == ()
