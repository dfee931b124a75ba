"""The statements of the activity log.

Invariant: entries are added and, when they are too old or too many, deleted; none is changed.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from poolwright.domain.activity import Event, Snapshot, group_of, shortened
from poolwright.store import tables
from poolwright.store.records import dump, load

_TABLE: Final = tables.activity
_READ: Final = (_TABLE.c.sequence, _TABLE.c.record, _TABLE.c.before, _TABLE.c.after)
# So many hold up the next change by tens of milliseconds, on a busy machine.
PURGED_AT_ONCE: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """An entry as it is read back: its place in the log, and what changed, by key."""

    sequence: int
    event: Event
    before: Mapping[str, Any]
    after: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivityQuery:
    """Which entries: `since` and `until` are inclusive, `below` is a sequence to go on from; None asks for any.

    `provider` is a resource provider, `group` the name of a resource group; all but the times in lower case.
    """

    subscription: str
    since: float | None = None
    until: float | None = None
    group: str | None = None
    resource_key: str | None = None
    provider: str | None = None
    correlation_id: str | None = None
    operation_id: str | None = None
    caller: str | None = None
    below: int | None = None


def add_event(connection: Connection, event: Event, before: Snapshot, after: Snapshot) -> None:
    change = event.change
    connection.execute(
        sa.insert(_TABLE).values(
            at=event.at,
            subscription_id=change.subscription,
            resource_key=change.resource_key,
            group_name=group_of(change.resource_key),
            action=change.action.lower(),
            caller=change.caller.lower(),
            correlation_id=change.correlation_id.lower(),
            operation_id=event.operation_id,
            record=dump(event),
            before=_joined(shortened(before)),
            after=_joined(shortened(after)),
        )
    )


def beginning_of(connection: Connection, operation_id: str) -> Recorded | None:
    """Return the entry with which an operation began, or None."""
    rows = connection.execute(
        sa.select(*_READ).where(_TABLE.c.operation_id == operation_id).order_by(_TABLE.c.sequence).limit(1)
    ).all()
    return _recorded(rows[0]) if rows else None


def events(
    connection: Connection, query: ActivityQuery, most: int, most_bytes: int | None = None
) -> tuple[list[Recorded], bool]:
    """Return entries, newest first, and whether there may be more: no more than so many, nor much more than the bytes.

    The bytes are those of what changed; one entry is always among them where there is one.
    """
    wanted: list[sa.ColumnElement[bool]] = [_TABLE.c.subscription_id == query.subscription]
    for column, value in (
        (_TABLE.c.group_name, query.group),
        (_TABLE.c.resource_key, query.resource_key),
        (_TABLE.c.correlation_id, query.correlation_id),
        (_TABLE.c.operation_id, query.operation_id),
        (_TABLE.c.caller, query.caller),
    ):
        if value is not None:
            wanted.append(column == value)
    if query.provider is not None:
        wanted.append(_TABLE.c.action.startswith(f"{query.provider}/", autoescape=True))
    if query.since is not None:
        wanted.append(_TABLE.c.at >= query.since)
    if query.until is not None:
        wanted.append(_TABLE.c.at <= query.until)
    if query.below is not None:
        wanted.append(_TABLE.c.sequence < query.below)
    # First which, then what: sorting whole entries takes thirty times as long where there are 100 000.
    chosen = sa.select(_TABLE.c.sequence).where(*wanted).order_by(_TABLE.c.sequence.desc()).limit(most)
    found: list[Recorded] = []
    size = 0
    rows = connection.execution_options(yield_per=10).execute(
        sa.select(*_READ).where(_TABLE.c.sequence.in_(chosen)).order_by(_TABLE.c.sequence.desc())
    )
    with rows:
        for row in rows:
            found.append(_recorded(row))
            size += len(row.before) + len(row.after)
            if most_bytes is not None and size >= most_bytes:
                return found, True
    return found, len(found) == most


def purge(connection: Connection, older_than: float, most: int) -> int:
    """Delete the oldest entries that are too old, or more than `most`, and return how many.

    No more than `PURGED_AT_ONCE` go at once.
    """
    surplus = connection.execute(sa.select(sa.func.count()).select_from(_TABLE)).scalar_one() - most
    oldest = connection.execute(
        sa.select(_TABLE.c.sequence, _TABLE.c.at).order_by(_TABLE.c.sequence).limit(PURGED_AT_ONCE)
    ).all()
    gone = [row.sequence for place, row in enumerate(oldest) if row.at < older_than or place < surplus]
    if gone:
        connection.execute(sa.delete(_TABLE).where(_TABLE.c.sequence.in_(gone)))
    return len(gone)


def snapshot(connection: Connection, key: str) -> dict[str, bytes]:
    """Return the stored JSON of a resource and of what lies below it, machines left out, by key.

    Of lists imported into the catalogue it is how long they are, and a digest.
    """
    groups, clusters, pools = tables.resource_groups, tables.clusters, tables.node_pools
    configurations, snapshots = tables.maintenance_configurations, tables.snapshots
    match key.strip("/").split("/"):
        case ["subscriptions", _, "resourcegroups", _]:
            of_group = sa.select(clusters.c.key).where(clusters.c.group_key == key)
            wanted = [
                _records(groups, groups.c.key == key),
                _records(clusters, clusters.c.group_key == key),
                _records(pools, pools.c.cluster_key.in_(of_group)),
                _records(configurations, configurations.c.cluster_key.in_(of_group)),
                _records(snapshots, snapshots.c.group_key == key),
            ]
        case [*_, "managedclusters", _]:
            wanted = [
                _records(clusters, clusters.c.key == key),
                _records(pools, pools.c.cluster_key == key),
                _records(configurations, configurations.c.cluster_key == key),
            ]
        case [*_, "agentpools", _]:
            wanted = [_records(pools, pools.c.key == key)]
        case [*_, "agentpools", _, "machines", _]:
            wanted = [_records(pools, pools.c.key == key.rsplit("/", 2)[0])]
        case [*_, "maintenanceconfigurations", _]:
            wanted = [_records(configurations, configurations.c.key == key)]
        case [*_, "microsoft.containerservice", "snapshots", _]:
            wanted = [_records(snapshots, snapshots.c.key == key)]
        case [*_, "roleassignments", _]:
            assignments = tables.role_assignments
            wanted = [_records(assignments, assignments.c.key == key)]
        case ["subscriptions", subscription, _, "microsoft.features", _, namespace, "features", name]:
            return _feature(connection, key, subscription, f"{namespace}/{name}")
        case ["subscriptions", subscription, _, "microsoft.compute", _, location, "usages", family]:
            return _quota(connection, key, subscription, location, family)
        case ["subscriptions", _, "providers", "poolwright", *local]:
            return _local(connection, key, local)
        case _:
            wanted = []
    return {row.key: row.record for statement in wanted for row in connection.execute(statement)}


def _records(table: sa.Table, condition: sa.ColumnElement[bool]) -> sa.Select[Any]:
    return sa.select(table.c.key, table.c.record).where(condition)


def _local(connection: Connection, key: str, local: Sequence[str]) -> dict[str, bytes]:
    """The same of what the local operator changes: faults, and what replaces the built-in catalogue."""
    faults, catalogue = tables.faults.c, tables.catalogue.c
    match local:
        case ["faults", *name]:
            chosen = sa.select(faults.name, faults.record).where(*(faults.name == part for part in name))
            place = key.removesuffix(f"/{name[0]}") if name else key
            return {f"{place}/{row.name}": row.record for row in connection.execute(chosen)}
        case ["catalog"]:
            return _catalogue(connection, key)
        case ["locations", location, "catalog"]:
            return _catalogue(connection, key, catalogue.location == location.replace(" ", ""))
        case ["locations", location, "sizes", size]:
            record = connection.execute(
                sa.select(catalogue.record).where(
                    catalogue.kind == "restrictions", catalogue.location == location.replace(" ", "")
                )
            ).scalar_one_or_none()
            found = json.loads(zlib.decompress(record))["by_size"].get(size) if record is not None else None
            return {key: json.dumps({"restrictions": found}).encode()} if found is not None else {}
    return {}


def _catalogue(connection: Connection, key: str, *chosen: sa.ColumnElement[bool]) -> dict[str, bytes]:
    """How long each list in the catalogue is, and whether it is the same one, by kind and location."""
    table = tables.catalogue
    rows = connection.execute(sa.select(table).where(*chosen).order_by(table.c.kind, table.c.location))
    return {
        f"{key}/{row.kind}{f'/{row.location}' if row.location else ''}": json.dumps(
            {"entries": row.entries, "sha256": hashlib.sha256(row.record).hexdigest()}
        ).encode()
        for row in rows
    }


def _feature(connection: Connection, key: str, subscription: str, feature: str) -> dict[str, bytes]:
    features = tables.features
    state = connection.execute(
        sa.select(features.c.state).where(features.c.subscription_id == subscription, features.c.key == feature)
    ).scalar_one_or_none()
    return {key: json.dumps({"state": state}).encode()} if state is not None else {}


def _quota(connection: Connection, key: str, subscription: str, location: str, family: str) -> dict[str, bytes]:
    quotas = tables.quotas
    vcpus = connection.execute(
        sa.select(quotas.c.vcpus).where(
            quotas.c.subscription_id == subscription, quotas.c.location == location, quotas.c.family == family
        )
    ).scalar_one_or_none()
    return {key: json.dumps({"limit": vcpus}).encode()} if vcpus is not None else {}


def _recorded(row: Any) -> Recorded:
    return Recorded(
        sequence=row.sequence,
        event=load(Event, row.record),
        before=json.loads(row.before),
        after=json.loads(row.after),
    )


def _joined(snapshot: Snapshot) -> bytes:
    """One JSON object of all, without reading them."""
    parts: Sequence[bytes] = [json.dumps(key).encode() + b":" + record for key, record in sorted(snapshot.items())]
    return b"{" + b",".join(parts) + b"}"
