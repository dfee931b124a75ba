"""The faults of a service: which could fire, and that each firing is counted once.

Whoever decides at a `Point` asks `could_fire`, one look into memory, and then `fire`, inside a transaction. The
tally and the firing are written there: together with what else the transaction stores, and before an effect
outside the database. A firing in an operation is known by its occasion, so a step that a kill interrupted meets it
again instead of another one.

Invariant: memory only says what is worth a look; whether a fault fires is decided from what is stored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import structlog
from sqlalchemy.engine import Connection

from poolwright.domain.fault import (
    Fault,
    Firing,
    Point,
    Situation,
    Target,
    is_spent,
    picked,
    point_of,
    tallied,
    touched,
    words_of,
)
from poolwright.store import fault_statements
from poolwright.store.database import Database

log = structlog.get_logger(__name__)

_NOTHING: Final = MappingProxyType[Point, tuple[Fault, ...]]({})
# Here nothing of a firing is left to do after it, so a spent fault is of no more use.
_WITHOUT_AFTERMATH: Final = frozenset({Point.REQUEST, Point.ADMISSION})


@dataclass(frozen=True, slots=True)
class Fired:
    """A fault that fires, and what it hits."""

    fault: Fault
    hit: tuple[Target, ...]
    firing: Firing


class Faults:
    """The faults stored in a database. `now` gives UNIX seconds, `new_id` names occasions that never come again.

    `meet_requests` is `could_fire(Point.REQUEST)`, which every request asks, as an attribute.
    """

    meet_requests: bool

    def __init__(self, database: Database, now: Callable[[], float], new_id: Callable[[], str]) -> None:
        self._database = database
        self._now = now
        self._new_id = new_id
        self._at = _NOTHING
        self.reload()

    def reload(self) -> None:
        """Take up what is stored; call it after a commit that changed faults."""
        with self._database.engine.connect() as connection:
            stored = fault_statements.faults(connection)
            at_work = fault_statements.faults_at_work(connection) if stored else set()
        self._take_up(
            fault
            for fault, tally in stored
            if not is_spent(fault, tally) or fault.name in at_work or point_of(fault) is Point.BOOT
        )

    def could_fire(self, *points: Point) -> bool:
        """Whether any fault is decided at one of the points."""
        return any(point in self._at for point in points)

    def is_meant(self, point: Point, situation: Situation) -> bool:
        """Whether `fire` is worth a transaction."""
        return any(touched(fault, situation) is not None for fault in self._at.get(point, ()))

    def fire(
        self,
        connection: Connection,
        point: Point,
        situation: Situation,
        *,
        occasion: str | None = None,
        operation_id: str | None = None,
    ) -> list[Fired]:
        """Return the faults that fire in the situation, by name, up to the first after which nothing else happens.

        Of one occasion, the second time and each further one gives what the first did. Without an occasion, each
        situation is one of its own.
        """
        fired: list[Fired] = []
        for known in self._at.get(point, ()):
            if touched(known, situation) is None:
                continue
            one = self._fire(connection, point, known.name, situation, occasion, operation_id)
            if one is not None:
                fired.append(one)
                if one.fault.row.ends:
                    break
        return fired

    def _fire(
        self,
        connection: Connection,
        point: Point,
        name: str,
        situation: Situation,
        occasion: str | None,
        operation_id: str | None,
    ) -> Fired | None:
        stored = fault_statements.fault(connection, name)
        # It may have been cleared or replaced since memory was filled.
        hit = touched(stored[0], situation) if stored is not None and point_of(stored[0]) is point else None
        if stored is None or hit is None:
            return None
        fault, tally = stored
        earlier = fault_statements.firing(connection, name, occasion) if occasion is not None else None
        if earlier is not None:
            struck = tuple(Target("", machine=key) for key in earlier.machines) or hit
            return Fired(fault, struck, earlier) if earlier.fired else None
        if is_spent(fault, tally):
            if point in _WITHOUT_AFTERMATH:
                self._forget(name)
            return None
        tally, fires = tallied(fault, tally)
        fault_statements.put_tally(connection, name, tally)
        hit = picked(fault, hit)
        firing = Firing(
            occasion=occasion or self._new_id(),
            at=self._now(),
            fired=fires,
            on=words_of(situation, hit),
            operation_id=operation_id,
            machines=tuple(target.machine for target in hit if target.machine is not None),
        )
        if fires or occasion is not None:
            broken = firing.machines[0] if fires and point is Point.BOOT else None
            fault_statements.add_firing(connection, name, firing, broken=broken)
        if not fires:
            return None
        log.info("fault_fired", fault=name, on=firing.on)
        return Fired(fault, hit, firing)

    def _forget(self, name: str) -> None:
        self._take_up(fault for faults in self._at.values() for fault in faults if fault.name != name)

    def _take_up(self, faults: Iterable[Fault]) -> None:
        at: dict[Point, list[Fault]] = {}
        for fault in faults:
            point = point_of(fault)
            if point is not None:
                at.setdefault(point, []).append(fault)
        self.meet_requests = Point.REQUEST in at
        # Replaced as a whole: other threads look without a lock.
        self._at = MappingProxyType({point: tuple(found) for point, found in at.items()})
