"""The simulated machine engine: machines that are rows, with nothing booted.

It is the default, the example to copy, and the double in tests: it can be slow, refuse to begin,
fail half way, and lose a machine. What it says it observed is what was specified, and says so:
`observedBy` is `simulated`. A machine that was never started has shown nothing.

Its machines live in a database of their own, as a hypervisor's would, so a killed service finds
them again. Invariant: this engine never looks at the service's database.
"""

from __future__ import annotations

import json
import math
import sqlite3
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from poolwright.domain.generation import Firmware, Generation
from poolwright.domain.machine import MachineFacts, MachineSpec, Witness
from poolwright.machines.engine import PermanentError, TemporaryError

_RETRY_SECONDS = 1.0

# `started` is when the machine was last started, NULL when it never was since it was made.
_SCHEMA = """
CREATE TABLE IF NOT EXISTS machines (
    key TEXT PRIMARY KEY,
    specification TEXT NOT NULL,
    generation TEXT NOT NULL,
    secure_boot INTEGER NOT NULL,
    vtpm INTEGER NOT NULL,
    running INTEGER NOT NULL,
    started REAL,
    boots INTEGER NOT NULL,
    vpmem_mib INTEGER NOT NULL DEFAULT 0
)
"""


_COLUMNS: dict[str, type | tuple[type, ...]] = {
    "key": str,
    "specification": str,
    "generation": str,
    "secure_boot": int,
    "vtpm": int,
    "running": int,
    "started": (float, int, type(None)),
    "boots": int,
    "vpmem_mib": int,
}


@dataclass(slots=True)
class Behaviour:
    """How the engine behaves, for tests. Changing it takes effect at the next call.

    `boot_seconds` is the time from start to Ready. `refuse` refuses every `ensure` with that cause.
    `fail_after` makes that many machines of an `ensure` and then fails. `lose` names machines (by the
    end of their key) that vanish once they exist; `never_ready` ones that stay unready with a cause.
    `capacity` is the most machines there can be; one more is refused in Azure's words.
    """

    boot_seconds: float = 0.0
    refuse: str | None = None
    fail_after: int | None = None
    lose: tuple[str, ...] = ()
    never_ready: tuple[str, ...] = ()
    capacity: int | None = None


class SimulatedEngine:
    """Implements `MachineEngine` over one SQLite file."""

    name = "simulated"

    def __init__(self, path: Path, clock: Callable[[], float], behaviour: Behaviour | None = None) -> None:
        path.touch(mode=0o600)
        self.behaviour = behaviour or Behaviour()
        self._clock = clock
        self._lock = threading.Lock()
        self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=30)
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=FULL")
        self._connection.execute(_SCHEMA)
        # One made before there was persistent memory.
        if "vpmem_mib" not in {row[1] for row in self._connection.execute("PRAGMA table_info(machines)")}:
            self._connection.execute("ALTER TABLE machines ADD COLUMN vpmem_mib INTEGER NOT NULL DEFAULT 0")

    def ensure(self, specs: Sequence[MachineSpec]) -> None:
        if self.behaviour.refuse is not None:
            raise PermanentError(self.behaviour.refuse)
        if not specs:
            return
        limit = self.behaviour.fail_after
        now = self._clock()
        with self._transaction() as connection:
            present = {
                key: (specification, bool(running))
                for key, specification, running in connection.execute(
                    f"SELECT key, specification, running FROM machines WHERE {_AMONG}",
                    _keys(spec.key for spec in specs),
                )
            }
            changed = [spec for spec in specs if present.get(spec.key) != (_specification(spec), spec.running)]
            connection.executemany(
                "INSERT INTO machines VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO UPDATE SET "
                "boots = boots + (excluded.running AND (excluded.specification <> specification OR NOT running)), "
                "started = CASE WHEN excluded.running OR excluded.specification <> specification "
                "THEN excluded.started ELSE started END, "
                "specification = excluded.specification, generation = excluded.generation, "
                "secure_boot = excluded.secure_boot, vtpm = excluded.vtpm, running = excluded.running, "
                "vpmem_mib = excluded.vpmem_mib",
                [
                    (
                        spec.key,
                        _specification(spec),
                        spec.generation.value,
                        spec.secure_boot,
                        spec.vtpm,
                        spec.running,
                        now if spec.running else None,
                        int(spec.running),
                        spec.vpmem_mib,
                    )
                    for spec in changed[:limit]
                ],
            )
            self._require_capacity(connection)
        if limit is not None and limit < len(changed):
            raise PermanentError(f"the simulated engine failed after {limit} of {len(changed)} machines")

    def observe(self, keys: Sequence[str]) -> Mapping[str, MachineFacts]:
        self._lose()
        now = self._clock()
        with self._lock:
            rows = self._connection.execute(
                f"SELECT key, generation, secure_boot, vtpm, running, started, vpmem_mib FROM machines WHERE {_AMONG}",
                _keys(keys),
            ).fetchall()
        return {row[0]: self._facts(row, now) for row in rows}

    def delete(self, keys: Sequence[str]) -> None:
        with self._transaction() as connection:
            connection.executemany("DELETE FROM machines WHERE key = ?", [(key,) for key in keys])

    def keys(self) -> set[str]:
        self._lose()
        with self._lock:
            return {key for (key,) in self._connection.execute("SELECT key FROM machines")}

    def written_down(self) -> list[dict[str, Any]]:
        with self._lock:
            rows = self._connection.execute(f"SELECT {', '.join(_COLUMNS)} FROM machines ORDER BY key").fetchall()
        return [dict(zip(_COLUMNS, row, strict=True)) for row in rows]

    def require_own(self, machines: Sequence[Mapping[str, Any]]) -> None:
        for machine in map(_as_now, machines):
            if set(machine) != set(_COLUMNS) or not all(
                isinstance(machine[name], kinds) for name, kinds in _COLUMNS.items()
            ):
                raise ValueError(f"'{machine.get('key')}' is no machine of the simulated engine")
            Generation(machine["generation"])
            if any(machine[name] not in (0, 1) for name in ("secure_boot", "vtpm", "running")) or not (
                0 <= machine["boots"] < 2**63
                and 0 <= machine["vpmem_mib"] < 2**63
                and math.isfinite(machine["started"] or 0)
            ):
                raise ValueError(f"'{machine['key']}' has a value that no machine of the simulated engine has")
        if len({machine["key"] for machine in machines}) != len(machines):
            raise ValueError("a machine stands there twice")

    def bring_back(self, machines: Sequence[Mapping[str, Any]]) -> None:
        with self._transaction() as connection:
            connection.execute("DELETE FROM machines")
            connection.executemany(
                f"INSERT INTO machines ({', '.join(_COLUMNS)}) VALUES ({', '.join(':' + name for name in _COLUMNS)})",
                [_as_now(machine) for machine in machines],
            )

    def boots(self) -> dict[str, int]:
        """Return how often each machine was started: shows whether an effect happened twice."""
        with self._lock:
            return dict(self._connection.execute("SELECT key, boots FROM machines").fetchall())

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    def _require_capacity(self, connection: sqlite3.Connection) -> None:
        """Raise inside the transaction, which takes back what was made."""
        (number,) = connection.execute("SELECT count(*) FROM machines").fetchone()
        if self.behaviour.capacity is not None and number > self.behaviour.capacity:
            raise PermanentError(
                "Allocation failed. We do not have sufficient capacity for the requested VM size in this region. Read "
                "more about improving likelihood of allocation success at http://aka.ms/allocation-guidance",
                code="AllocationFailed",
            )

    def _lose(self) -> None:
        if self.behaviour.lose:
            with self._transaction() as connection:
                connection.executemany(
                    "DELETE FROM machines WHERE key LIKE '%' || ?", [(ending,) for ending in self.behaviour.lose]
                )

    def _facts(self, row: tuple[str, str, int, int, int, float | None, int], now: float) -> MachineFacts:
        key, generation_text, secure_boot, vtpm, running, started, vpmem_mib = row
        generation = Generation(generation_text)
        stuck = key.endswith(self.behaviour.never_ready or ("\0",))
        # One that was started in the future has booted: the clock was set back meanwhile.
        is_booting = started is not None and 0 <= now - started < self.behaviour.boot_seconds
        booted = bool(running) and not stuck and started is not None and not is_booting
        has_shown = booted or (not running and started is not None)
        return MachineFacts(
            key=key,
            ready=booted,
            running=bool(running),
            observed=generation if has_shown else None,
            observed_by=Witness.SIMULATED,
            secure_boot=bool(secure_boot),
            vtpm=bool(vtpm),
            partition_table="gpt" if generation.firmware is Firmware.UEFI else "mbr",
            last_seen=now if booted else None,
            cause="the simulated engine was told never to make it ready" if stuck else None,
            vpmem_mib=vpmem_mib,
        )

    def _transaction(self) -> _Transaction:
        return _Transaction(self._connection, self._lock)


class _Transaction:
    """BEGIN IMMEDIATE to COMMIT under the engine's lock; a failure rolls back. Raises `TemporaryError`."""

    def __init__(self, connection: sqlite3.Connection, lock: threading.Lock) -> None:
        self._connection = connection
        self._lock = lock

    def __enter__(self) -> sqlite3.Connection:
        self._lock.acquire()
        try:
            self._connection.execute("BEGIN IMMEDIATE")
        except BaseException as error:
            self._lock.release()
            raise _temporary(error) from error
        return self._connection

    def __exit__(self, kind: object, error: BaseException | None, _: object) -> None:
        try:
            if error is None:
                self._connection.execute("COMMIT")
        except sqlite3.OperationalError as failed:
            raise _temporary(failed) from failed
        finally:
            # A commit that finds no room may leave its transaction open, and some errors end one by themselves.
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            self._lock.release()
        if isinstance(error, sqlite3.OperationalError):
            raise _temporary(error) from error


def _temporary(error: BaseException) -> BaseException:
    """A full disk or a lock passes; the error itself where it is another one."""
    if isinstance(error, sqlite3.OperationalError):
        return TemporaryError(f"the machines' database: {error}", retry_after_seconds=_RETRY_SECONDS)
    return error


def _as_now(machine: Mapping[str, Any]) -> Mapping[str, Any]:
    """A machine that was written down before there was persistent memory has none."""
    return {"vpmem_mib": 0, **machine}


_AMONG = "key IN (SELECT value FROM json_each(?))"


def _keys(keys: Iterable[str]) -> tuple[str]:
    """The parameter of `_AMONG`: any number of keys in one."""
    return (json.dumps(list(keys)),)


def _specification(spec: MachineSpec) -> str:
    """Everything that makes a machine another machine when it changes; the power state does not."""
    return "|".join(
        str(part)
        for part in (
            spec.generation.value,
            spec.node_image,
            spec.size,
            spec.vcpus,
            spec.memory_gb,
            spec.secure_boot,
            spec.vtpm,
            spec.zone,
            # Only where there is some: machines made before it was known stay what they are.
            *((f"vpmem {spec.vpmem_mib}",) if spec.vpmem_mib else ()),
            *((f"reimaged {spec.reimaged_by}",) if spec.reimaged_by else ()),
        )
    )
