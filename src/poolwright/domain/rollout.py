"""How the machines there are become the machines wanted, wave by wave. A pure function decides.

    a wave:  add -> wait until ready and of the resolved generation -> cordon -> drain -> soak -> remove

Invariant: with what a plan is given, machines that can work never fall below `promised - maxUnavailable`
nor exceed `promised + maxSurge` while machines are replaced; a changed count is applied after that.
Within one rollout a name never means two machines.

Source of the order: resize-node-pool.md and upgrade-aks-node-pools-rolling.md (rule 50).
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from poolwright.domain.upgrade_settings import UpgradeSettings


@dataclass(frozen=True, slots=True)
class PresentMachine:
    """A machine there is. `current`: it is as the pool wants its machines, apart from the size.

    `available`: it runs as it should; false for one that vanished, failed, is quarantined or was never there.
    `vanished`: the engine has no such machine. `powered`: its power state is the wanted one.
    `parked`: it was scaled down by stopping it and does not count.
    """

    ordinal: int
    size: str
    zone: str | None = None
    current: bool = True
    available: bool = True
    vanished: bool = False
    powered: bool = True
    parked: bool = False

    @property
    def is_dead(self) -> bool:
        """Whether it is of no more use, also when made again: it failed or is quarantined."""
        return not self.available and not self.vanished


@dataclass(frozen=True, slots=True)
class PlannedMachine:
    """A machine to come. `replaces` is the ordinal of the one it stands in for, None for an additional one."""

    ordinal: int
    size: str
    zone: str | None
    replaces: int | None = None


@dataclass(frozen=True, slots=True)
class Wave:
    """What happens together: `add` and `refit` first, then `remove` (or `park`) by ordinal.

    `refit` machines keep their name: they are started, stopped, or made again after they vanished. So do those to
    `reimage`, which are drained first; nothing stands in for them meanwhile.
    """

    add: tuple[PlannedMachine, ...] = ()
    refit: tuple[int, ...] = ()
    remove: tuple[int, ...] = ()
    park: tuple[int, ...] = ()
    reimage: tuple[int, ...] = ()

    @property
    def leaving(self) -> tuple[int, ...]:
        return (*self.remove, *self.park)

    @property
    def drained(self) -> tuple[int, ...]:
        return (*self.leaving, *self.reimage)

    def joined(self, other: Wave) -> Wave:
        """Return one wave that does what both do."""
        return Wave(
            (*self.add, *other.add),
            (*self.refit, *other.refit),
            (*self.remove, *other.remove),
            (*self.park, *other.park),
            (*self.reimage, *other.reimage),
        )


@dataclass(frozen=True, slots=True)
class Rollout:
    """The waves of one node pool. `promised` is the count kept while machines are replaced.

    `surge` is how many machines there may be beyond it; `to_replace` how many are replaced.
    """

    waves: tuple[Wave, ...]
    promised: int
    surge: int
    to_replace: int

    def moments(self, present: Sequence[PresentMachine]) -> list[Counter[str]]:
        """Return size -> machines of it at the busiest moment of each wave, and in the end. `present` are those now."""
        sizes = {machine.ordinal: machine.size for machine in present}
        now = Counter(sizes.values())
        moments = []
        for wave in self.waves:
            sizes |= {planned.ordinal: planned.size for planned in wave.add}
            now.update(planned.size for planned in wave.add)
            moments.append(+now)
            now.subtract(sizes[ordinal] for ordinal in wave.remove)
        return [*moments, +now]

    def most_surge(self, present: Sequence[PresentMachine]) -> int:
        """Return how many machines beyond the larger of old and new count there are at the busiest moment."""
        totals = [moment.total() for moment in self.moments(present)]
        return max(0, max(totals) - max(len(present), totals[-1]))


def moments_together(rollouts: Sequence[tuple[Sequence[PresentMachine], Rollout]]) -> list[Counter[str]]:
    """Return the moments of node pools whose waves are carried out together, with the machines of all of them.

    Each comes with the machines it has now. One with fewer waves than others stays as it ends.
    """
    of_each = [rollout.moments(present) for present, rollout in rollouts]
    longest = max(map(len, of_each), default=0)
    return [
        sum((moments[min(index, len(moments) - 1)] for moments in of_each), Counter[str]()) for index in range(longest)
    ]


@dataclass(frozen=True, slots=True)
class PlannedWaves:
    """The rollouts of one operation by node pool key. `drains`: machines are cordoned and drained before they go."""

    rollouts: Mapping[str, Rollout]
    drains: bool

    @property
    def number(self) -> int:
        return max((len(rollout.waves) for rollout in self.rollouts.values()), default=0)

    def wave(self, index: int) -> dict[str, Wave]:
        """Return what happens in that wave (from 0), by node pool key."""
        return {key: rollout.waves[index] for key, rollout in self.rollouts.items() if index < len(rollout.waves)}


def plan_rollout(
    present: Sequence[PresentMachine],
    wanted: Sequence[tuple[str, int]],
    *,
    zones: Sequence[str],
    settings: UpgradeSettings,
    promised: int,
    park: bool = False,
    leaving: frozenset[int] = frozenset(),
    reimage: frozenset[int] = frozenset(),
) -> Rollout:
    """Return the waves that lead from the machines there are to the wanted sizes and counts.

    `promised` is the count the pool had before the change. `leaving` names machines that must go whatever else does.
    `reimage` names machines that get another disk, in the end and where they are still there: whatever is wrong with
    one now is no reason to replace it. With `park`, machines that are one too many are stopped and kept (scale-down
    mode Deallocate).
    Planning again with what a plan led to gives no wave.
    """
    present = [
        replace(machine, available=True, vanished=False) if machine.ordinal in reimage else machine
        for machine in present
    ]
    parked = [machine for machine in present if machine.parked]
    active = [machine for machine in present if not machine.parked]
    kept, incoming = _kept(active, wanted, leaving)
    outgoing = _without(active, kept)
    surplus = _surplus(outgoing, max(0, len(outgoing) - len(incoming)), leaving, beside=kept)
    replaced = sorted(_without(outgoing, surplus), key=lambda machine: (machine.available, machine.ordinal))
    surge, unavailable = settings.surge(promised), settings.unavailable(promised)
    rolling = _Rolling(kept, surplus, replaced, promised, upper=promised + surge, lower=max(0, promised - unavailable))
    names = _free_ordinals(present)
    asleep = [m for m in parked if park and m.current and not m.is_dead and m.ordinal not in leaving]
    # What a pool lacks of what it promised comes with the replacements; what it is to have beyond that, after them.
    additional = incoming[len(replaced) :]
    lacking = min(rolling.lacking, len(additional)) if replaced else 0
    woken_first, missing = _woken(additional[:lacking], asleep, [*kept, *replaced])
    refill = _placed(missing, [*kept, *replaced, *woken_first], zones, names)
    waves, unplaced, unremoved = rolling.waves(incoming[: len(replaced)], names, refill, len(woken_first))
    staying: list[PresentMachine | PlannedMachine] = [
        *kept,
        *woken_first,
        *(planned for wave in waves for planned in wave.add),
    ]
    woken, extra = _woken([*unplaced, *additional[lacking:]], _without(asleep, woken_first), staying)
    refit = [machine.ordinal for machine in kept if machine.vanished or not machine.powered]
    useless = [*_without(parked, asleep), *(machine for machine in surplus if machine.is_dead)]
    at_once = Wave(
        refit=(*refit, *(machine.ordinal for machine in woken_first)),
        remove=tuple(machine.ordinal for machine in useless),
    )
    scale_up = Wave(
        add=_placed(extra, [*staying, *woken], zones, names),
        refit=tuple(machine.ordinal for machine in woken),
    )
    living = [machine for machine in surplus if not machine.is_dead and machine.ordinal not in rolling.removed_surplus]
    to_park = {m.ordinal for m in living if park and m.current and m.available and m.ordinal not in leaving}
    scale_down = Wave(
        remove=(*unremoved, *(machine.ordinal for machine in living if machine.ordinal not in to_park)),
        park=tuple(sorted(to_park)),
    )
    first, *rest = waves or [Wave()]
    planned = [first.joined(at_once), *rest, scale_up, scale_down]
    if not waves:
        planned = [at_once.joined(scale_up).joined(scale_down)]
    gone = {ordinal for wave in planned for ordinal in wave.leaving}
    there = {machine.ordinal for machine in present}
    planned += [Wave(reimage=(ordinal,)) for ordinal in sorted(reimage & there - gone)]
    return Rollout(tuple(wave for wave in planned if wave != Wave()), promised, surge, len(replaced))


class _Rolling:
    """The waves that replace machines: as many at once as the two bounds allow."""

    def __init__(
        self,
        kept: Sequence[PresentMachine],
        surplus: Sequence[PresentMachine],
        replaced: Sequence[PresentMachine],
        promised: int,
        *,
        upper: int,
        lower: int,
    ) -> None:
        self._upper, self._lower = upper, lower
        # Vanished ones are made again in the first wave, before anything leaves.
        self._working = len(kept) + sum(machine.available for machine in (*surplus, *replaced))
        self._surplus = [machine for machine in surplus if machine.available]
        self._replaced = replaced
        self._promised = promised
        self.removed_surplus: frozenset[int] = frozenset()

    @property
    def lacking(self) -> int:
        """How many machines there are fewer than promised."""
        return max(0, self._promised - self._working)

    def waves(
        self, incoming: Sequence[str], names: Iterator[int], refill: Sequence[PlannedMachine], woken: int
    ) -> tuple[list[Wave], list[str], list[int]]:
        """Return the waves, the sizes for which the bounds left no room, and the ordinals they did not let go.

        Both follow when the new count applies. `incoming` are the sizes of the replacements; `refill` and the
        `woken`, which are there from the first wave on, are what was lacking.
        """
        replaced = self._replaced
        self._working += woken
        coming = [
            *refill,
            *(
                PlannedMachine(next(names), size, machine.zone, machine.ordinal)
                for size, machine in zip(incoming, replaced, strict=True)
            ),
        ]
        dead = [machine.ordinal for machine in replaced if not machine.available]
        working = [machine.ordinal for machine in replaced if machine.available]
        # What a former scale-down left behind goes first: it would take the room of the replacements.
        over = max(0, self._working - self._promised) if replaced else 0
        first = [machine.ordinal for machine in self._surplus[:over]]
        # A named machine may be one too many while a dead one is replaced, and then has the room its replacement needs.
        working += [machine.ordinal for machine in self._surplus[over:][: len(dead)]]
        self.removed_surplus = frozenset((*first, *working))
        self._working -= len(first)
        waves: list[Wave] = []
        while coming or working or dead:
            added = coming[: max(0, self._upper - self._working)]
            self._working += len(added)
            removed = working[: max(0, self._working - self._lower)]
            self._working -= len(removed)
            if not (added or removed or dead):
                break
            waves.append(Wave(add=tuple(added), remove=(*first, *dead, *removed)))
            coming, working, dead, first = coming[len(added) :], working[len(removed) :], [], []
        return waves, [planned.size for planned in coming], working


def _kept(
    active: Sequence[PresentMachine], wanted: Sequence[tuple[str, int]], leaving: frozenset[int]
) -> tuple[list[PresentMachine], list[str]]:
    """The machines that stay as they are, and the sizes that are missing then."""
    kept: list[PresentMachine] = []
    missing: list[str] = []
    usable: dict[str, list[PresentMachine]] = {}
    for machine in active:
        if machine.current and not machine.is_dead and machine.ordinal not in leaving:
            usable.setdefault(machine.size, []).append(machine)
    counts = Counter[str]()
    for size, count in wanted:
        counts[size] += count
    for size, count in counts.items():
        there = usable.get(size, [])
        kept += _without(there, _surplus(there, max(0, len(there) - count), leaving))
        missing += [size] * max(0, count - len(there))
    return sorted(kept, key=lambda machine: machine.ordinal), missing


def _surplus(
    machines: Sequence[PresentMachine],
    number: int,
    leaving: frozenset[int],
    beside: Iterable[PresentMachine] = (),
) -> list[PresentMachine]:
    """So many of the machines, those to go first: named ones, dead ones, then the newest of the fullest zone.

    `beside` are those that stay in any case; they count for how full a zone is.
    """
    by_zone: dict[str | None, list[PresentMachine]] = {}
    for machine in sorted(machines, key=lambda m: (m.ordinal in leaving, not m.available, not m.current, m.ordinal)):
        by_zone.setdefault(machine.zone, []).append(machine)
    population = Counter(machine.zone for machine in (*machines, *beside))
    chosen: list[PresentMachine] = []
    while len(chosen) < number:
        ends = [zone[-1] for zone in by_zone.values() if zone]
        urgent = [machine for machine in ends if machine.ordinal in leaving or not machine.available]
        first = max(urgent or ends, key=lambda machine: (population[machine.zone], machine.ordinal))
        population[first.zone] -= 1
        chosen.append(by_zone[first.zone].pop())
    return chosen


def _woken(
    sizes: Sequence[str], parked: Sequence[PresentMachine], staying: Iterable[PresentMachine | PlannedMachine]
) -> tuple[list[PresentMachine], list[str]]:
    """The parked machines that take the place of additional ones, emptiest zone first; the sizes still to be made."""
    population = Counter(machine.zone for machine in staying)
    left, asleep = Counter(sizes), list(parked)
    woken: list[PresentMachine] = []
    while fitting := [machine for machine in asleep if left[machine.size]]:
        machine = min(fitting, key=lambda each: (population[each.zone], each.ordinal))
        asleep.remove(machine)
        left[machine.size] -= 1
        population[machine.zone] += 1
        woken.append(machine)
    return woken, list(left.elements())


def _placed(
    sizes: Sequence[str],
    staying: Iterable[PresentMachine | PlannedMachine],
    zones: Sequence[str],
    names: Iterator[int],
) -> tuple[PlannedMachine, ...]:
    """Additional machines, each in the zone that has the fewest."""
    population = Counter(dict.fromkeys(zones, 0))
    population.update(machine.zone for machine in staying if machine.zone is not None and machine.zone in population)
    placed = []
    for size in sizes:
        zone = min(zones, key=lambda each: population[each]) if zones else None
        if zone is not None:
            population[zone] += 1
        placed.append(PlannedMachine(next(names), size, zone))
    return tuple(placed)


def _free_ordinals(present: Iterable[PresentMachine]) -> Iterator[int]:
    taken = {machine.ordinal for machine in present}
    return (ordinal for ordinal in itertools.count() if ordinal not in taken)


def _without(machines: Iterable[PresentMachine], others: Iterable[PresentMachine]) -> list[PresentMachine]:
    ordinals = {machine.ordinal for machine in others}
    return [machine for machine in machines if machine.ordinal not in ordinals]
