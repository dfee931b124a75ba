"""The statements of faults and their firings, beside those of `statements`.

Invariant: a fault has at most one firing per occasion, so an effect that happens again finds the first one.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from poolwright.domain.fault import Fault, Firing, Tally
from poolwright.domain.operation import OperationStatus
from poolwright.store import tables
from poolwright.store.records import dump, load

# How many firings of a fault are kept beside those of operations in progress.
KEPT_FIRINGS: Final = 100

_FAULTS = tables.faults.c
_FIRINGS = tables.fault_firings.c
_IN_PROGRESS = sa.select(tables.operations.c.id).where(tables.operations.c.status == OperationStatus.IN_PROGRESS.value)


def faults(connection: Connection) -> list[tuple[Fault, Tally]]:
    """Return every fault with its tally, by name."""
    rows = connection.execute(sa.select(_FAULTS.record, _FAULTS.matched, _FAULTS.fired).order_by(_FAULTS.name))
    return [(load(Fault, record), Tally(matched, fired)) for record, matched, fired in rows]


def fault(connection: Connection, name: str) -> tuple[Fault, Tally] | None:
    row = connection.execute(
        sa.select(_FAULTS.record, _FAULTS.matched, _FAULTS.fired).where(_FAULTS.name == name)
    ).one_or_none()
    return (load(Fault, row.record), Tally(row.matched, row.fired)) if row is not None else None


def put_fault(connection: Connection, value: Fault) -> bool:
    """Store a fault that was never meant so far, replacing the one with its name; returns whether there was none."""
    is_new = not delete_fault(connection, value.name)
    connection.execute(sa.insert(tables.faults).values(name=value.name, matched=0, fired=0, record=dump(value)))
    return is_new


def delete_fault(connection: Connection, name: str) -> bool:
    """Delete a fault with its firings; returns whether there was one."""
    connection.execute(sa.delete(tables.fault_firings).where(_FIRINGS.fault == name))
    return connection.execute(sa.delete(tables.faults).where(_FAULTS.name == name)).rowcount > 0


def delete_faults(connection: Connection) -> int:
    """Delete every fault with its firings; returns how many there were."""
    connection.execute(sa.delete(tables.fault_firings))
    return connection.execute(sa.delete(tables.faults)).rowcount


def put_tally(connection: Connection, name: str, tally: Tally) -> None:
    connection.execute(
        sa.update(tables.faults).where(_FAULTS.name == name).values(matched=tally.matched, fired=tally.fired)
    )


def firing(connection: Connection, name: str, occasion: str) -> Firing | None:
    record = connection.execute(
        sa.select(_FIRINGS.record).where(_FIRINGS.fault == name, _FIRINGS.occasion == occasion)
    ).scalar_one_or_none()
    return load(Firing, record) if record is not None else None


def firings(connection: Connection, name: str, most: int = KEPT_FIRINGS) -> list[Firing]:
    """Return when a fault was meant, newest first."""
    rows = connection.execute(
        sa.select(_FIRINGS.record).where(_FIRINGS.fault == name).order_by(_FIRINGS.number.desc()).limit(most)
    )
    return [load(Firing, record) for (record,) in rows]


def add_firing(connection: Connection, name: str, value: Firing, *, broken: str | None = None) -> None:
    """Store that a fault was meant, and forget what is long past."""
    connection.execute(
        sa.insert(tables.fault_firings).values(
            fault=name,
            occasion=value.occasion,
            operation_id=value.operation_id,
            broken=broken,
            record=dump(value),
        )
    )
    oldest_kept = (
        sa.select(_FIRINGS.number)
        .where(_FIRINGS.fault == name)
        .order_by(_FIRINGS.number.desc())
        .offset(KEPT_FIRINGS)
        .limit(1)
        .scalar_subquery()
    )
    connection.execute(
        sa.delete(tables.fault_firings).where(
            _FIRINGS.fault == name,
            _FIRINGS.number <= oldest_kept,
            _FIRINGS.broken.is_(None),
            _FIRINGS.operation_id.is_(None) | _FIRINGS.operation_id.not_in(_IN_PROGRESS),
        )
    )


def faults_at_work(connection: Connection) -> set[str]:
    """Return the names of faults with firings of operations in progress: those meet them again after a restart."""
    return set(
        connection.execute(
            sa.select(_FIRINGS.fault).where(_FIRINGS.operation_id.in_(_IN_PROGRESS)).distinct()
        ).scalars()
    )


def fault_of_machines(connection: Connection, operation_id: str, keys: Iterable[str]) -> str | None:
    """Return the name of the last fault that hit one of the machines in the operation, or keeps one from booting."""
    wanted = set(keys)
    rows = connection.execute(
        sa.select(_FIRINGS.fault, _FIRINGS.broken, _FIRINGS.record)
        .where((_FIRINGS.operation_id == operation_id) | _FIRINGS.broken.in_(wanted))
        .order_by(_FIRINGS.number.desc())
    )
    for row in rows:
        firing = load(Firing, row.record)
        if row.broken in wanted or (firing.fired and wanted.intersection(firing.machines)):
            return str(row.fault)
    return None


def broken_machines(connection: Connection) -> dict[str, str]:
    """Return the key of every machine that a fault keeps from becoming ready, with the fault's name."""
    rows = connection.execute(sa.select(_FIRINGS.broken, _FIRINGS.fault).where(_FIRINGS.broken.is_not(None)))
    return {row.broken: row.fault for row in rows}


def mend_machines(connection: Connection, keys: Iterable[str]) -> None:
    """No fault keeps those machines from becoming ready any more."""
    rows = [{"mended": key} for key in keys]
    if rows:
        connection.execute(
            sa.update(tables.fault_firings).where(_FIRINGS.broken == sa.bindparam("mended")).values(broken=None), rows
        )
