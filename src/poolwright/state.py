"""The whole state of a service: written down, brought back, or thrown away.

The database decides. What engine machines there are to be after an import or a reset is stored in the same
transaction as the rows, and then the engine follows; a kill in between is made good at the next start.

Invariant: a document that cannot be brought back changes nothing. Identity and certificates are no part of the
state, and no secret is. Whoever throws state away is in the activity log afterwards, with how much it was.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from dataclasses import replace as replaced
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import islice
from typing import Annotated, Any, Final, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from sqlalchemy import Table
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError

from poolwright import catalog_keeping, errors
from poolwright.catalog import in_force
from poolwright.catalog.in_force import CatalogInForce
from poolwright.domain.activity import Change
from poolwright.domain.cluster import Cluster, ResourceGroup
from poolwright.domain.deployment import Deployment, DeploymentResource
from poolwright.domain.fault import Fault, Firing
from poolwright.domain.machine import Machine
from poolwright.domain.maintenance import MaintenanceConfiguration
from poolwright.domain.node_pool import NodePool
from poolwright.domain.operation import Operation
from poolwright.domain.snapshot import Snapshot
from poolwright.machines.engine import MachineEngine, PortableEngine
from poolwright.misfits import Misfit, misfits
from poolwright.operations.activity import ActivityLog
from poolwright.operations.context import Renderer
from poolwright.operations.durable import DurableOperations
from poolwright.operations.faults import Faults
from poolwright.store import identity_statements, statements, tables, whole_statements
from poolwright.store.database import Database
from poolwright.store.records import dump, load

FORMAT: Final = "poolwright-state"
VERSION: Final = 1
# How long a reset waits for the step that is under way in an operation it stops.
STEP_TIMEOUT_SECONDS: Final = 60.0
# What of the seed was brought about (`seed/seeding.py`).
SEED_APPLIED: Final = "seed_applied"
FORGOTTEN_BY_RESET: Final = (SEED_APPLIED,)
# The machines there are to be once the engine has followed; the setting is gone when it has.
_ENGINE_FOLLOWS: Final = "engine_follows"
_GUID: Final = r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}"
_MOST_PROBLEMS: Final = 100
# The largest whole number a column of the database takes.
MOST: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class RowTable:
    """A table that is written down row by row. `kinds` are those of its records, by the value of the column `by`."""

    table: Table
    kinds: Mapping[str | None, type[Any]]
    by: str | None = None
    is_packed: bool = False
    # What columns say of the record beside them.
    derived: Callable[[Any], Mapping[str, Any]] = lambda value: {}

    def kind(self, row: Mapping[str, Any]) -> type[Any] | None:
        return self.kinds.get(row.get(self.by) if self.by else None)


# What stands beside clusters, node pools and machines. A new table of that sort is a new row, parents first.
ROW_TABLES: Final[Mapping[str, RowTable]] = {
    "quotas": RowTable(tables.quotas, {}),
    "snapshots": RowTable(
        tables.snapshots,
        {None: Snapshot},
        derived=lambda snapshot: {
            "key": snapshot.id.key,
            "group_key": snapshot.id.group_id.key,
            "subscription_id": snapshot.id.group_id.subscription,
        },
    ),
    "maintenance_configurations": RowTable(
        tables.maintenance_configurations,
        {None: MaintenanceConfiguration},
        derived=lambda configuration: {"key": configuration.id.key, "cluster_key": configuration.id.cluster_id.key},
    ),
    "features": RowTable(tables.features, {}),
    "faults": RowTable(tables.faults, {None: Fault}, derived=lambda fault: {"name": fault.name}),
    "fault_firings": RowTable(
        tables.fault_firings,
        {None: Firing},
        derived=lambda firing: {"occasion": firing.occasion, "operation_id": firing.operation_id},
    ),
    "deployments": RowTable(
        tables.deployments,
        {None: Deployment},
        derived=lambda deployment: {"key": deployment.id.key, "scope_key": deployment.id.scope.lower()},
    ),
    "deployment_resources": RowTable(
        tables.deployment_resources, {None: DeploymentResource}, derived=lambda resource: {"ordinal": resource.ordinal}
    ),
    "catalogue": RowTable(
        tables.catalogue,
        {
            catalog_keeping.SIZES: in_force.ImportedSizes,
            catalog_keeping.VERSIONS: in_force.ImportedVersions,
            catalog_keeping.IMAGES: in_force.ImportedImages,
            catalog_keeping.RESTRICTIONS: in_force.SetRestrictions,
            catalog_keeping.FORMER: in_force.FormerSizes,
        },
        by="kind",
        is_packed=True,
    ),
}


StoredRows = list[tuple[Table, list[dict[str, Any]]]]
# The values of the rows' records, by the name of the table and the place of the row.
Records = Mapping[str, Mapping[int, Any]]
# What is said of a document whose resources are not as requests leave them.
Check = Callable[["Document", Records], Iterable[errors.InvalidParameter]]


class _Part(BaseModel):
    # Built when it is first needed, not at every start.
    model_config = ConfigDict(extra="forbid", defer_build=True)


class ShownMachine(_Part):
    """A machine, and what clients see of it: rendered when it last changed, which need not be when its pool did."""

    machine: Machine
    shown: dict[str, Any]


class EngineMachines(_Part):
    """The machines as their engine has them: what is switched on, since when, and what it shows."""

    name: Annotated[str, Field(description="The engine they belong to; another one refuses them.")]
    machines: list[dict[str, Any]]
    lost: Annotated[
        list[str], Field(description="The keys of listed machines that the engine has no more, or never made.")
    ] = []


class Document(_Part):
    """The state of one service as one JSON document. Times are UNIX seconds; keys are resource IDs in lower case."""

    format: Literal["poolwright-state"]
    version: Literal[1]
    made: Annotated[str, Field(description="When it was exported, by which version of Poolwright.")]
    subscription: Annotated[
        str, Field(pattern=_GUID, description="Its resources'; an import puts the service's own in its place.")
    ]
    resource_groups: list[ResourceGroup]
    clusters: list[Cluster]
    node_pools: list[NodePool]
    machines: list[ShownMachine]
    operations: Annotated[list[Operation], Field(description="Operations that have ended.")]
    rows: Annotated[
        dict[str, list[dict[str, Any]]],
        Field(description=f"What else is stored, row by row, with records as JSON: {', '.join(ROW_TABLES)}."),
    ]
    engine: EngineMachines


def schema() -> dict[str, Any]:
    """Return the JSON schema of the document; docs/state.schema.json has it."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Document.model_json_schema()}


class State:
    """Exports, imports and resets. Its methods run alone: on the writer's thread, while no request changes anything.

    `again` is called at the end of the first reset and brings about what the service was started with; it says
    whether there was anything. Later resets bring back what it led to. A `change` says for the activity log who asks.
    `check` says what of a document's resources no request would have left, or cannot be shown.
    """

    def __init__(
        self,
        *,
        database: Database,
        engine: MachineEngine,
        operations: DurableOperations,
        catalogs: CatalogInForce,
        faults: Faults,
        render: Renderer,
        check: Check,
        log: ActivityLog,
        again: Callable[[], bool],
    ) -> None:
        self._database = database
        self._engine = engine
        self._operations = operations
        self._catalogs = catalogs
        self._faults = faults
        self._render = render
        self._check = check
        self._log = log
        self._again = again
        self._begun_anew: tuple[Document, str | None] | None = None

    def exported(self, subscription: str) -> bytes:
        """Return the state as JSON. Raises `OperationNotAllowed` while operations run."""
        return self._written_down(subscription).model_dump_json().encode()

    def restore(self, raw: bytes, subscription: str, change: Change, *, replace: bool) -> None:
        """Bring an exported state back: into an empty service, or with `replace` in the place of what is there.

        Raises `InvalidRequestContent` or `InvalidParameter` for a document that is not one, `OperationNotAllowed`
        while operations run or when the service is not empty; then nothing has changed.
        """
        engine = self._portable()
        document = _document(raw, subscription)
        rows: StoredRows = []
        records: dict[str, dict[int, Any]] = {}
        subscriptions = self._subscriptions()
        problems = [
            *_inconsistencies(document, subscriptions),
            *_foreign_machines(document, engine),
            *_rows_of(document, rows, records),
            *_foreign_rows(document, records, subscriptions),
            *self._check(document, records),
        ]
        if problems:
            raise errors.joined(problems[:_MOST_PROBLEMS])
        with self._database.transaction() as connection:
            _require_no_operation(connection, "imported")
            if not replace and not whole_statements.is_empty(connection):
                raise errors.OperationNotAllowed(
                    "The state was not imported: the service is not empty.",
                    remedy="reset it first, or say that its state may be replaced: poolwright state import --replace",
                )
            before = _counted(connection, change)
            whole_statements.delete_everything(connection)
            self._add(connection, document, rows)
            self._require_known_sizes(connection, document)
            self._log.done(connection, change, before, _counted(connection, change))
        self.finish()

    def reset(self, subscription: str, change: Change) -> None:
        """Throw everything away, stopping what operations are under way, and begin anew.

        Operations are not undone: with their rows gone they have nothing left to do, and end at their next step.
        Raises `OperationNotAllowed` when a step takes too long; the next start, or another reset, goes on.
        """
        with self._database.transaction() as connection:
            before = _counted(connection, change)
            self._delete_everything(connection)
            self._log.done(connection, change, before)
        while self._is_anything_left():
            # A deployment that was under way has made something in its last step.
            with self._database.transaction() as connection:
                self._delete_everything(connection)
        self.finish()
        if self._begun_anew is not None:
            document, applied = self._begun_anew
            rows: StoredRows = []
            for problem in _rows_of(document, rows, {}):
                raise problem
            with self._database.transaction() as connection:
                self._add(connection, document, rows)
                if applied is not None:
                    identity_statements.put_setting(connection, SEED_APPLIED, applied)
                again = seed_brought_back(change)
                self._log.done(connection, again, after=_counted(connection, again))
            self.finish()
        elif self._again() and isinstance(self._engine, PortableEngine):
            with self._database.engine.connect() as connection:
                applied = identity_statements.setting(connection, SEED_APPLIED)
            self._begun_anew = self._written_down(subscription), applied

    def finish(self) -> None:
        """Let the engine, and what is kept in memory, follow an import or a reset that was decided.

        Nothing happens when they have already. For the start of a service, before operations are carried out, and
        for the ends of both.
        """
        with self._database.engine.connect() as connection:
            stored = identity_statements.setting(connection, _ENGINE_FOLLOWS)
        if stored is None:
            return
        machines = orjson.loads(stored)
        if machines:
            self._portable().bring_back(machines)
        else:
            self._engine.delete(sorted(self._engine.keys()))
        with self._database.transaction() as connection:
            whole_statements.delete_setting(connection, _ENGINE_FOLLOWS)
            replacements = catalog_keeping.stored(connection, self._catalogs.present.locations)
        self._catalogs.put(self._catalogs.with_replacements(replacements))
        self._faults.reload()

    def _delete_everything(self, connection: Connection) -> None:
        whole_statements.delete_everything(connection)
        identity_statements.put_setting(connection, _ENGINE_FOLLOWS, "[]")
        for name in FORGOTTEN_BY_RESET:
            whole_statements.delete_setting(connection, name)

    def _is_anything_left(self) -> bool:
        """Whether something came about before the last operation was stopped."""
        if not self._operations.await_idle(STEP_TIMEOUT_SECONDS):
            raise errors.OperationNotAllowed(
                "Everything is deleted, but a step of a former operation is still under way.",
                remedy="reset once more, or stop the service and start it again",
            )
        with self._database.engine.connect() as connection:
            return not whole_statements.is_empty(connection)

    def _subscriptions(self) -> set[str]:
        with self._database.engine.connect() as connection:
            return {known.subscription_id for known in identity_statements.subscriptions(connection)}

    def _portable(self) -> PortableEngine:
        if isinstance(self._engine, PortableEngine):
            return self._engine
        raise errors.OperationNotAllowed(
            f"A state is exported and imported with the simulated engine alone: machines of the engine "
            f"'{self._engine.name}' are not in a document, nor made from one. Nothing has changed.",
            remedy="reset works with every engine, and so do seeds (poolwright up --seed FILE); to export and import, "
            "start the service with --engine simulated",
        )

    def _written_down(self, subscription: str) -> Document:
        engine = self._portable()
        with self._database.transaction() as connection:
            _require_no_operation(connection, "exported")
            return Document(
                format=FORMAT,
                version=VERSION,
                made=f"{datetime.fromtimestamp(self._log.now(), UTC):%Y-%m-%dT%H:%M:%SZ} by {version('poolwright')}",
                subscription=subscription,
                resource_groups=whole_statements.all_records(connection, tables.resource_groups, ResourceGroup),
                clusters=whole_statements.all_records(connection, tables.clusters, Cluster),
                node_pools=whole_statements.all_records(connection, tables.node_pools, NodePool),
                machines=[
                    ShownMachine(machine=machine, shown=orjson.loads(wire))
                    for machine, wire in whole_statements.all_machines(connection)
                ],
                operations=whole_statements.all_records(connection, tables.operations, Operation),
                rows={name: _written_rows(connection, kept) for name, kept in ROW_TABLES.items()},
                engine=_engine_machines(connection, engine),
            )

    def _require_known_sizes(self, connection: Connection, document: Document) -> None:
        """Raise unless the catalogue that the document leads to can be in force, and has every size in use."""
        try:
            replacements = catalog_keeping.stored(connection, self._catalogs.present.locations)
            catalog = self._catalogs.with_replacements(replacements).catalog
        except (ValueError, TypeError, LookupError) as error:
            raise _wrong("rows.catalogue", f"no catalogue can be made of it: {error}") from error
        unknown = [
            _wrong(place, f"there is no size '{size}' in the catalogue")
            for place, size in _sizes(document)
            if catalog.size(size) is None
        ]
        if unknown:
            raise errors.joined(unknown[:_MOST_PROBLEMS])

    def _add(self, connection: Connection, document: Document, rows: StoredRows) -> None:
        for group in document.resource_groups:
            statements.put_group(connection, group, self._render.resource_group(group))
        for cluster in document.clusters:
            statements.put_cluster(connection, cluster)
        for pool in document.node_pools:
            statements.put_node_pool(connection, pool, self._render.node_pool(pool))
        statements.add_machines(connection, [(part.machine, orjson.dumps(part.shown)) for part in document.machines])
        for operation in document.operations:
            statements.put_operation(connection, operation, self._render.operation(operation))
        for table, stored in rows:
            try:
                whole_statements.add_rows(connection, table, stored)
            except IntegrityError as error:
                name = table.name.removeprefix("pw_")
                raise _wrong(
                    f"rows.{name}", f"a row of {name} stands twice, or what it is part of is missing"
                ) from error
        identity_statements.put_setting(connection, _ENGINE_FOLLOWS, orjson.dumps(document.engine.machines).decode())


def seed_brought_back(change: Change) -> Change:
    """Return what a reset that brings the seed back is in the activity log, beside the reset itself."""
    place = change.resource_id.rpartition("/")[0]
    return replaced(change, action="Poolwright/seed/write", resource_id=f"{place}/seed", method=None)


def _engine_machines(connection: Connection, engine: PortableEngine) -> EngineMachines:
    machines = engine.written_down()
    there = {machine["key"] for machine in machines}
    listed = [machine.id.key for machine, _ in whole_statements.all_machines(connection)]
    return EngineMachines(name=engine.name, machines=machines, lost=[key for key in listed if key not in there])


def _sizes(document: Document) -> Iterator[tuple[str, str]]:
    """Every size in use, and where it stands."""
    for index, pool in enumerate(document.node_pools):
        for name, part in (("", pool), (".good", pool.good), (".before", pool.before)):
            for place, profile in enumerate(part.scale if part is not None else ()):
                yield f"node_pools[{index}]{name}.scale[{place}].size", profile.size
    for index, shown in enumerate(document.machines):
        yield f"machines[{index}].machine.spec.size", shown.machine.spec.size


def _counted(connection: Connection, change: Change) -> dict[str, bytes]:
    """How much there is, as the activity log tells it of the change."""
    return {change.resource_key: orjson.dumps(whole_statements.counts(connection))}


def _require_no_operation(connection: Connection, what: str) -> None:
    running = statements.operations_in_progress(connection)
    if running:
        raise errors.OperationNotAllowed(
            f"The state was not {what}: {len(running)} operation(s) are in progress, for example {min(running)}.",
            remedy="wait for them to finish; `poolwright operations watch ID` follows one",
        )


def _document(raw: bytes, subscription: str) -> Document:
    """The document with the service's subscription in the place of its own. Raises `InvalidRequest`."""
    try:
        found = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise errors.InvalidRequestContent(f"The state is no JSON: {error}.", remedy=EXPORT) from error
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise errors.InvalidRequestContent("The file does not hold the state of a Poolwright service.", remedy=EXPORT)
    if found.get("version") != VERSION:
        raise errors.InvalidParameter(
            f"The state has version {found.get('version')!r}; this service reads version {VERSION}.",
            target="version",
            remedy="export and import with the same version of Poolwright",
        )
    old = found.get("subscription")
    if isinstance(old, str) and re.fullmatch(_GUID, old, re.IGNORECASE | re.ASCII) and old.lower() != subscription:
        raw = re.sub(re.escape(old).encode(), subscription.encode(), raw, flags=re.IGNORECASE)
    try:
        return Document.model_validate_json(raw)
    except ValidationError as error:
        raise errors.joined(
            [
                errors.InvalidParameter(_sentence(misfit), target=_target(misfit.place), remedy=EXPORT)
                for misfit in islice(misfits(error, Document), _MOST_PROBLEMS)
            ]
        ) from error


EXPORT: Final = "import what `poolwright state export` wrote, unchanged"


def _target(location: tuple[int | str, ...]) -> str:
    path = ""
    for part in location:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else part
    return path


def _inconsistencies(document: Document, subscriptions: Collection[str]) -> Iterator[errors.InvalidParameter]:
    """What the parts of a document contradict each other in."""
    groups = {group.id.key for group in document.resource_groups}
    clusters = {cluster.id.key for cluster in document.clusters}
    pools = {pool.id.key for pool in document.node_pools}
    machines = [part.machine for part in document.machines]
    parts: tuple[tuple[str, list[tuple[str, str | None]], set[str]], ...] = (
        ("resource_groups", [(group.id.key, None) for group in document.resource_groups], set()),
        ("clusters", [(cluster.id.key, cluster.id.group_id.key) for cluster in document.clusters], groups),
        ("node_pools", [(pool.id.key, pool.id.cluster_id.key) for pool in document.node_pools], clusters),
        ("machines", [(machine.id.key, machine.id.pool_id.key) for machine in machines], pools),
        ("operations", [(operation.id, None) for operation in document.operations], set()),
    )
    for name, keys, parents in parts:
        for key in _repeated(key for key, _ in keys):
            yield _wrong(name, f"'{key}' stands there twice")
        for index, (key, parent) in enumerate(keys):
            if parent is not None and parent not in parents:
                yield _wrong(f"{name}[{index}]", f"'{key}' is part of '{parent}', which is not in the document")
    for index, group in enumerate(document.resource_groups):
        if group.id.subscription not in subscriptions:
            yield _wrong(
                f"resource_groups[{index}]",
                f"'{group.id}' is of a subscription that is neither the document's nor one of this service",
            )
    for name, busy in (
        ("resource_groups", [group.operation_id for group in document.resource_groups]),
        ("clusters", [cluster.operation_id for cluster in document.clusters]),
        ("node_pools", [pool.operation_id for pool in document.node_pools]),
        ("operations", [None if operation.status.is_terminal else operation.id for operation in document.operations]),
    ):
        for index, operation_id in enumerate(busy):
            if operation_id is not None:
                yield _wrong(f"{name}[{index}]", f"operation {operation_id} has not ended")
    # Operations have ended, so nothing is on its way any more.
    for name, states in (
        ("resource_groups", [group.state for group in document.resource_groups]),
        ("clusters", [cluster.state for cluster in document.clusters]),
        ("node_pools", [pool.state for pool in document.node_pools]),
    ):
        for index, state in enumerate(states):
            if not state.is_terminal:
                yield _wrong(f"{name}[{index}].state", f"it is {state.value} without an operation in progress")
    for index, operation in enumerate(document.operations):
        if operation.resource_id.lower() != operation.resource_key:
            yield _wrong(
                f"operations[{index}].resource_key", f"'{operation.resource_key}' is not of '{operation.resource_id}'"
            )
        if operation.subscription not in subscriptions:
            yield _wrong(f"operations[{index}].subscription", f"there is no subscription '{operation.subscription}'")
        if operation.status.is_terminal and operation.ended is None:
            yield _wrong(f"operations[{index}].ended", "the operation has ended, and no time is said")
    for index, pool in enumerate(document.node_pools):
        for place, part in (("", pool), (".good", pool.good), (".before", pool.before)):
            if part is not None and not part.scale:
                yield _wrong(f"node_pools[{index}]{place}.scale", "a node pool has at least one size")
    for index, (machine, shown) in enumerate((part.machine, part.shown) for part in document.machines):
        if machine.spec.key != machine.id.key:
            yield _wrong(f"machines[{index}].machine.spec.key", f"'{machine.spec.key}' is not '{machine.id.key}'")
        if machine.facts is not None and machine.facts.key != machine.id.key:
            yield _wrong(f"machines[{index}].machine.facts.key", f"'{machine.facts.key}' is not '{machine.id.key}'")
        if shown.get("id") != str(machine.id):
            yield _wrong(f"machines[{index}].shown.id", f"'{shown.get('id')}' is not '{machine.id}'")
    for place in _repeated((machine.id.pool_id.key, machine.ordinal) for machine in machines):
        yield _wrong("machines", f"ordinal {place[1]} stands twice in '{place[0]}'")


def _foreign_machines(document: Document, engine: PortableEngine) -> Iterator[errors.InvalidParameter]:
    if document.engine.name != engine.name:
        yield _wrong("engine.name", f"the machines are of engine '{document.engine.name}', and this is '{engine.name}'")
        return
    try:
        engine.require_own(document.engine.machines)
    except ValueError as error:
        yield _wrong("engine.machines", str(error))
        return
    there, lost = {machine["key"] for machine in document.engine.machines}, set(document.engine.lost)
    listed = {part.machine.id.key for part in document.machines}
    for key in sorted(listed - there - lost):
        yield _wrong("engine.machines", f"'{key}' is among the machines, and the engine neither has it nor lost it")
    for key in sorted(there - listed):
        yield _wrong("engine.machines", f"the engine has '{key}', which is not among the machines")
    for key in sorted(lost & there | lost - listed):
        yield _wrong("engine.lost", f"'{key}' is no machine that the engine has lost")


def _foreign_rows(
    document: Document, records: Records, subscriptions: Collection[str]
) -> Iterator[errors.InvalidParameter]:
    """Rows of subscriptions that are not there, and deployments that have not ended."""
    for name, found in document.rows.items():
        for index, row in enumerate(found):
            subscription = row.get("subscription_id")
            if isinstance(subscription, str) and subscription not in subscriptions:
                yield _wrong(f"rows.{name}[{index}].subscription_id", f"there is no subscription '{subscription}'")
    for index, deployment in records.get("deployments", {}).items():
        place = f"rows.deployments[{index}].record"
        if deployment.id.subscription not in subscriptions:
            yield _wrong(f"{place}.id.subscription", f"there is no subscription '{deployment.id.subscription}'")
        if not deployment.state.is_terminal:
            yield _wrong(f"{place}.state", f"it is {deployment.state.value} without an operation in progress")


def _written_rows(connection: Connection, kept: RowTable) -> list[dict[str, Any]]:
    rows = whole_statements.all_rows(connection, kept.table)
    for row in rows:
        if "record" in row:
            record = whole_statements.unpacked(row["record"]) if kept.is_packed else row["record"]
            row["record"] = orjson.loads(record)
    return rows


def _rows_of(
    document: Document, found: StoredRows, records: dict[str, dict[int, Any]]
) -> Iterator[errors.InvalidParameter]:
    """Add the rows as they are stored to `found`, parents first, and their values to `records`.

    Yields what is wrong with them.
    """
    for name in sorted(document.rows.keys() - ROW_TABLES.keys()):
        yield _wrong(f"rows.{name}", f"there is no '{name}'")
    for name, kept in ROW_TABLES.items():
        stored = []
        values = records.setdefault(name, {})
        for index, row in enumerate(document.rows.get(name, ())):
            try:
                prepared, value = _stored_row(kept, row)
                stored.append(prepared)
                if value is not None:
                    values[index] = value
            except (ValueError, TypeError) as error:
                problem = str(error).splitlines()[0] if not isinstance(error, ValidationError) else _first(error)
                yield _wrong(f"rows.{name}[{index}]", problem)
        found.append((kept.table, stored))


def _stored_row(kept: RowTable, row: Mapping[str, Any]) -> tuple[dict[str, Any], Any]:
    """A row as it is stored, and the value of its record if it has one. Raises `ValueError` for one that cannot be."""
    columns = {column.name: column for column in kept.table.columns}
    if row.keys() != columns.keys():
        raise ValueError(f"it has {', '.join(sorted(row))} in the place of {', '.join(sorted(columns))}")
    stored, value = dict(row), None
    if "record" in columns:
        kind = kept.kind(row)
        if kind is None:
            raise ValueError(f"there is no {kept.by} '{row.get(kept.by or '')}'")
        value = load(kind, orjson.dumps(row["record"]))
        for name, said in kept.derived(value).items():
            if said != row[name]:
                raise ValueError(f"{name} is '{row[name]}', and its record says '{said}'")
        record = dump(value)
        stored["record"] = whole_statements.packed(record) if kept.is_packed else record
    for name, column in columns.items():
        cell, wanted = stored[name], column.type.python_type
        takes = (int, float) if wanted is float else (wanted,)
        if not (cell is None and column.nullable) and (not isinstance(cell, takes) or isinstance(cell, bool)):
            raise ValueError(f"{name} is no {wanted.__name__}")
        if isinstance(cell, int) and not 0 <= cell <= MOST:
            raise ValueError(f"{name} is {cell}, which is not from 0 to {MOST}")
    return stored, value


def _first(error: ValidationError) -> str:
    first = next(misfits(error))
    return f"{_target(first.place) or 'record'}: {first.what}"


def _sentence(misfit: Misfit) -> str:
    end = "" if misfit.what.endswith("?") else "."
    return f"The state cannot be read at {_target(misfit.place) or 'its beginning'}: {misfit.what}{end}"


def _repeated(values: Iterator[Any]) -> list[Any]:
    return [value for value, number in Counter(values).items() if number > 1]


def _wrong(target: str, what: str) -> errors.InvalidParameter:
    return errors.InvalidParameter(f"The state contradicts itself: {what}.", target=target, remedy=EXPORT)
