"""Statements over everything at once: what is exported, imported and reset.

Invariant: identity (tenants, subscriptions, principals, settings) is no part of it.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from poolwright.domain.machine import Machine
from poolwright.store import tables
from poolwright.store.database import insert_many
from poolwright.store.identity_statements import delete_assignments_within
from poolwright.store.records import load

T = TypeVar("T")

# Every table that holds resources or what happened to them, in an order in which rows can be deleted.
RESETTABLE: Final = (
    tables.activity,
    tables.catalogue,
    tables.features,
    tables.deployment_resources,
    tables.deployments,
    tables.fault_firings,
    tables.faults,
    tables.maintenance_configurations,
    tables.snapshots,
    tables.rollouts,
    tables.operations,
    tables.machines,
    tables.node_pools,
    tables.clusters,
    tables.resource_groups,
    tables.quotas,
)
# What is left of something that is gone, which an import may overwrite.
_HISTORY: Final = frozenset({tables.activity, tables.operations, tables.rollouts})

# Actions whose entries in the activity log outlive a reset: they are about identity, or about the state as a whole.
_KEPT_ACTIONS: Final = (
    "microsoft.authorization/%",
    "microsoft.resources/subscriptions/write",
    "poolwright/reset/%",
    "poolwright/serviceprincipals/%",
    "poolwright/settings/%",
    "poolwright/state/%",
)
_STAYS: Final = sa.and_(
    tables.activity.c.group_name.is_(None), sa.or_(*(tables.activity.c.action.like(kept) for kept in _KEPT_ACTIONS))
)


def all_records(connection: Connection, table: sa.Table, kind: type[T]) -> list[T]:
    """Return every value of a table of records, in the order of its key."""
    (key,) = table.primary_key.columns
    return [load(kind, record) for (record,) in connection.execute(sa.select(table.c.record).order_by(key))]


def all_machines(connection: Connection) -> list[tuple[Machine, bytes]]:
    """Return every machine with what clients see of it, in the order of its key."""
    columns = tables.machines.c
    rows = connection.execute(sa.select(columns.record, columns.wire).order_by(columns.key))
    return [(load(Machine, record), wire) for record, wire in rows]


def all_rows(connection: Connection, table: sa.Table) -> list[dict[str, Any]]:
    """Return every row of a table, in the order of its key."""
    rows = connection.execute(sa.select(table).order_by(*table.primary_key.columns))
    return [dict(row) for row in rows.mappings()]


def add_rows(connection: Connection, table: sa.Table, rows: Sequence[Mapping[str, Any]]) -> None:
    insert_many(connection, table, [dict(row) for row in rows])


def packed(record: bytes) -> bytes:
    """Return a record as the catalogue keeps it."""
    return zlib.compress(record, level=3)


def unpacked(record: bytes) -> bytes:
    """Return the JSON of a record of the catalogue."""
    return zlib.decompress(record)


def delete_everything(connection: Connection) -> None:
    """Delete every resource with all that belongs to it, and the roles assigned in resource groups.

    Of the activity log stays what is about that which stays, and about resets and imports.
    """
    for key in connection.execute(sa.select(tables.resource_groups.c.key)).scalars().all():
        delete_assignments_within(connection, key)
    for table in RESETTABLE:
        connection.execute(sa.delete(table).where(~_STAYS) if table is tables.activity else sa.delete(table))


def counts(connection: Connection) -> dict[str, int]:
    """Return how many rows each table has that holds anything, by the table's name without its prefix."""
    found = {
        table.name.removeprefix("pw_"): connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
        for table in RESETTABLE
    }
    return {name: number for name, number in found.items() if number}


def is_empty(connection: Connection) -> bool:
    """Whether nothing is there that an import could overwrite."""
    return all(
        connection.execute(sa.select(sa.literal(1)).select_from(table).limit(1)).scalar_one_or_none() is None
        for table in RESETTABLE
        if table not in _HISTORY
    )


def delete_setting(connection: Connection, name: str) -> None:
    connection.execute(sa.delete(tables.settings).where(tables.settings.c.name == name))
