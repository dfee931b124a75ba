"""Brings a seed about: rehearsed on a copy first, then through the control plane's own verbs.

What came about is remembered, entry by entry. An entry is applied when it is new or another one than the last time;
one that is gone from the seed is left alone, and so is what somebody changed since.

Invariant: a seed of which anything would be refused or fail changes nothing.
"""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, cast

import orjson
import structlog
from sqlalchemy.engine import Connection

from poolwright import errors
from poolwright.catalog.in_force import CatalogInForce, InForce
from poolwright.control_plane.calls import Accepted
from poolwright.control_plane.control_plane import ControlPlane
from poolwright.domain.activity import OPERATOR, type_of
from poolwright.domain.machine import Machine
from poolwright.domain.operation import Operation, OperationError
from poolwright.domain.profile import Profile
from poolwright.kubernetes.endpoint import NoCluster
from poolwright.machines.simulated import SimulatedEngine
from poolwright.operations.activity import ActivityLog, without_token
from poolwright.operations.context import Context
from poolwright.operations.durable import DurableOperations
from poolwright.operations.faults import Faults
from poolwright.operations.in_memory import InMemoryOperations
from poolwright.seed.reading import Problem, SeedFile, WrongSeed
from poolwright.seed.sections import CORRELATION_ID, Destination, Item, items_of
from poolwright.state import SEED_APPLIED
from poolwright.store import identity_statements, statements, tables, whole_statements
from poolwright.store.database import Database, create_engine
from poolwright.store.records import load

log = structlog.get_logger(__name__)

POLL_SECONDS: Final = 0.005


@dataclass(frozen=True, slots=True)
class _Site:
    """Destination with what carries operations out on it."""

    destination: Destination
    database: Database
    operations: DurableOperations
    wait: Callable[[float], None]


class Seeder:
    """Applies one seed. Raises `WrongSeed` when it is made with one that is not as it must be.

    `scratch` is a directory that is there during a rehearsal only.
    """

    def __init__(
        self,
        file: SeedFile,
        *,
        context: Context,
        operations: DurableOperations,
        plane_with: Callable[[DurableOperations, Faults, CatalogInForce], ControlPlane],
        catalogs: CatalogInForce,
        subscription: str,
        profile: Profile,
        scratch: Path,
    ) -> None:
        self._file = file
        self._items = items_of(file)
        self._context = context
        self._plane_with = plane_with
        self._catalogs = catalogs
        self._subscription = subscription
        self._profile = profile
        self._scratch = scratch
        self._log = ActivityLog(context.now, context.new_id)
        self._site = _Site(
            self._destination(operations, context.faults, catalogs, context.now),
            context.database,
            operations,
            context.wait,
        )

    def _destination(
        self, operations: DurableOperations, faults: Faults, catalogs: CatalogInForce, now: Callable[[], float]
    ) -> Destination:
        plane = self._plane_with(operations, faults, catalogs)
        return Destination(plane, catalogs, faults, self._subscription, self._profile, now)

    def apply(self) -> None:
        """Bring about what is new or another in the seed, and return when its operations have ended.

        Raises `WrongSeed` with every refusal and failure there would be.
        """
        due = self._due()
        if not due:
            return
        # What a killed service left under way ends first: it may be the seed's own.
        if self._is_busy():
            log.info("seed_waits_for_operations_under_way")
            while self._is_busy():
                self._site.wait(POLL_SECONDS)
        with self._rehearsal() as site:
            self._bring_about(site, due)
        self._bring_about(self._site, due)
        log.info("seed_applied", entries=len(due), of=len(self._items))

    def apply_again(self) -> bool:
        """The same after a reset, and True. Raises `OperationNotAllowed` in the place of `WrongSeed`."""
        try:
            self.apply()
        except WrongSeed as error:
            raise errors.OperationNotAllowed(
                f"Everything is deleted, and {error}", remedy="correct the seed and start the service again"
            ) from error
        return True

    def _due(self) -> list[Item]:
        with self._site.database.engine.connect() as connection:
            applied = orjson.loads(identity_statements.setting(connection, SEED_APPLIED) or "{}")
        return [item for item in self._items if applied.get(item.key) != _digest(item)]

    def _is_busy(self) -> bool:
        with self._site.database.engine.connect() as connection:
            return bool(statements.operations_in_progress(connection))

    def _bring_about(self, site: _Site, due: Sequence[Item]) -> None:
        """Raise `WrongSeed` with what was refused or failed; what needs it is left out."""
        problems: list[Problem] = []
        missing: set[str] = set()
        for together in _stages(due):
            begun: list[tuple[Item, str | None]] = []
            for item in together:
                if item.parent in missing:
                    missing.add(item.key)
                    continue
                try:
                    with site.database.transaction() as connection:
                        done = self._done(site.destination, connection, item)
                except errors.PoolwrightError as error:
                    missing.add(item.key)
                    problems += self._refusals(item, error)
                    continue
                if isinstance(done, InForce):
                    site.destination.catalogs.put(done)
                operation = _operation(done)
                if operation is not None:
                    site.operations.begin(operation.id)
                begun.append((item, operation.id if operation is not None else None))
            for item, operation_id in begun:
                failure = _failure(site, operation_id) if operation_id is not None else None
                if failure is None:
                    self._remember(site, item)
                else:
                    missing.add(item.key)
                    problems.append(self._file.problem(item.place, f"{failure.code}: {failure.message}"))
        site.destination.faults.reload()
        if problems:
            raise WrongSeed(self._file.name, problems)

    def _done(self, destination: Destination, connection: Connection, item: Item) -> Accepted | InForce | None:
        """Do it, with its entry in the activity log: whoever started the service wanted it."""
        resource_id = f"/subscriptions/{destination.subscription}/{item.resource}"
        action = f"{type_of(resource_id)}/write"
        change = without_token(connection, OPERATOR, destination.subscription, action, resource_id, CORRELATION_ID)
        return self._log.recorded(
            connection,
            change,
            lambda connection: item.verb(destination, connection),
            lambda done: (_operation(done), None),
        )

    def _refusals(self, item: Item, error: errors.PoolwrightError) -> Iterator[Problem]:
        for part in (error, *error.details):
            place = item.place_of(part.target) if part.target else item.place
            remedy = f" ({part.remedy})" if part.remedy else ""
            yield self._file.problem(place, f"{part.code}: {part.message}{remedy}")

    def _remember(self, site: _Site, applied: Item) -> None:
        with site.database.transaction() as connection:
            known = orjson.loads(identity_statements.setting(connection, SEED_APPLIED) or "{}")
            kept = {item.key: known[item.key] for item in self._items if item.key in known}
            kept[applied.key] = _digest(applied)
            identity_statements.put_setting(connection, SEED_APPLIED, orjson.dumps(kept).decode())

    @contextmanager
    def _rehearsal(self) -> Iterator[_Site]:
        """Yield a copy of the database, with simulated machines and a clock that waiting moves on."""
        with _directory(self._scratch) as scratch:
            copy = scratch / "poolwright.sqlite"
            _copy(self._site.database, copy)
            database = Database(create_engine(copy))
            waited = 0.0

            def wait(seconds: float) -> None:
                nonlocal waited
                waited += seconds

            def now() -> float:
                return self._context.now() + waited

            engine = SimulatedEngine(scratch / "machines.sqlite", now)
            try:
                with database.engine.connect() as connection:
                    machines = whole_statements.all_records(connection, tables.machines, Machine)
                engine.ensure([machine.spec for machine in machines])
                faults, catalogs = Faults(database, now, self._context.new_id), self._catalogs.apart()
                context = replace(
                    self._context,
                    database=database,
                    engine=engine,
                    cluster=NoCluster(),
                    size_of=catalogs.size,
                    now=now,
                    wait=wait,
                    crash=_never,
                    faults=faults,
                )
                operations = InMemoryOperations(context)
                destination = self._destination(operations, faults, catalogs, now)
                yield _Site(destination, database, operations, wait)
            finally:
                engine.close()
                database.close()


def _stages(items: Sequence[Item]) -> list[list[Item]]:
    """The items in order, those together that do not need one another."""
    stages: list[list[Item]] = []
    stage_of: dict[str, int] = {}
    for item in items:
        stage = stage_of.get(item.parent or "", -1) + 1
        stage_of[item.key] = stage
        while len(stages) <= stage:
            stages.append([])
        stages[stage].append(item)
    return stages


def _operation(done: Accepted | InForce | None) -> Operation | None:
    return done.operation if isinstance(done, Accepted) else None


def _failure(site: _Site, operation_id: str) -> OperationError | None:
    """Why the operation failed, once it has ended."""
    while True:
        row = site.database.reader.row(statements.OPERATION_WIRE, key=operation_id)
        operation = load(Operation, row[3]) if row is not None else None
        if operation is None or operation.status.is_terminal:
            return operation.error if operation is not None else None
        site.wait(POLL_SECONDS)


def _digest(item: Item) -> str:
    return hashlib.sha256(orjson.dumps(item.content, option=orjson.OPT_SORT_KEYS)).hexdigest()


@contextmanager
def _directory(path: Path) -> Iterator[Path]:
    """Make a directory for its owner alone; it is gone afterwards."""
    path.mkdir(mode=0o700)
    try:
        yield path
    finally:
        shutil.rmtree(path)


def _copy(database: Database, path: Path) -> None:
    original = database.engine.raw_connection()
    copied = sqlite3.connect(path)
    try:
        cast("sqlite3.Connection", original.driver_connection).backup(copied)
    finally:
        copied.close()
        original.close()


def _never(operation: str, step: str, moment: str) -> None:
    """The crash hook of a rehearsal."""
