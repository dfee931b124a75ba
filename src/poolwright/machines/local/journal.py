"""What the engine remembers of its machines: one row each, in a database of its own.

Invariant: a machine has a row before anything of it exists on the host, and until nothing of it does. So what a kill
left is always found: what has a row is carried on with, what has none is an orphan.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import orjson

from poolwright.domain.generation import Generation
from poolwright.domain.machine import Login, MachineSpec, Witness
from poolwright.machines.local.agent import Report
from poolwright.machines.local.life import Life, Phase

_SCHEMA = """
CREATE TABLE IF NOT EXISTS lives (key TEXT PRIMARY KEY, life BLOB NOT NULL, evidence BLOB);
CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""


class Journal:
    """One SQLite file. Called by one thread at a time."""

    def __init__(self, path: Path) -> None:
        path.touch(mode=0o600)
        self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=30)
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=FULL")
        self._connection.executescript(_SCHEMA)

    def lives(self) -> dict[str, Life]:
        """Return every machine by key."""
        rows = self._connection.execute("SELECT life FROM lives").fetchall()
        return {life.key: life for life in (_read(content) for (content,) in rows)}

    def put(self, *lives: Life) -> None:
        """Store machines, all or none; evidence of theirs stays."""
        with self._connection:
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.executemany(
                "INSERT INTO lives (key, life) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET life = excluded.life",
                [(life.key, _written(life)) for life in lives],
            )

    def witness(self, life: Life, evidence: Mapping[str, Any]) -> None:
        """Store a machine together with the evidence for what it has shown."""
        self._connection.execute(
            "UPDATE lives SET life = ?, evidence = ? WHERE key = ?", (_written(life), orjson.dumps(evidence), life.key)
        )

    def evidence(self, key: str) -> dict[str, Any] | None:
        """Return the newest evidence of a machine, None while it has shown nothing."""
        row = self._connection.execute("SELECT evidence FROM lives WHERE key = ?", (key,)).fetchone()
        return orjson.loads(row[0]) if row is not None and row[0] is not None else None

    def forget(self, key: str) -> None:
        self._connection.execute("DELETE FROM lives WHERE key = ?", (key,))

    def setting(self, name: str, default: str) -> str:
        """Return what was stored under the name; the first time that is the default, which stays."""
        self._connection.execute("INSERT INTO settings VALUES (?, ?) ON CONFLICT DO NOTHING", (name, default))
        (value,) = self._connection.execute("SELECT value FROM settings WHERE name = ?", (name,)).fetchone()
        return str(value)

    def close(self) -> None:
        self._connection.close()


_NOT_JSON = frozenset({"spec", "phase", "report", "observed", "observed_by"})


def _written(life: Life) -> bytes:
    fields = {name: getattr(life, name) for name in Life.__slots__ if name not in _NOT_JSON}
    spec = {**asdict(life.spec), "generation": life.spec.generation.value}
    report = life.report.model_dump(mode="json", by_alias=True) if life.report is not None else None
    shown = {
        "observed": life.observed.value if life.observed is not None else None,
        "observed_by": life.observed_by.value if life.observed_by is not None else None,
    }
    return orjson.dumps({**fields, **shown, "phase": life.phase.value, "spec": spec, "report": report})


def _read(content: bytes) -> Life:
    fields = orjson.loads(content)
    spec = fields.pop("spec")
    login = spec.get("login")
    report, observed, by = fields.pop("report"), fields.pop("observed"), fields.pop("observed_by")
    return Life(
        spec=MachineSpec(
            **{
                **spec,
                "generation": Generation(spec["generation"]),
                "login": Login(login["user"], tuple(login["public_keys"])) if login is not None else None,
            }
        ),
        phase=Phase(fields.pop("phase")),
        report=Report.model_validate(report) if report is not None else None,
        observed=Generation(observed) if observed is not None else None,
        observed_by=Witness(by) if by is not None else None,
        **fields,
    )
