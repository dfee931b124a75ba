"""The database: one engine, one kept connection for reads, one thread for the API's writes.

SQLite runs with WAL and synchronous=FULL: what was answered survives a kill and a power cut.
Transactions start as BEGIN IMMEDIATE, so that a writer waits for its turn instead of failing late. SQLite
waits by sleeping and trying again, up to 100 ms at a time and in no order; with a hundred operations at
work that is seconds. So the writers of this process take turns (`_Turns`), and a request waits for no more than
the writer at work and one operation.

Invariant: every change happens inside `Database.transaction`; reads never wait for writes.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Self, TypeVar
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

T = TypeVar("T")

BUSY_TIMEOUT_MILLISECONDS: Final = 30_000
VERSION_TABLE: Final = "pw_alembic_version"
_MIGRATIONS: Final = Path(__file__).parent / "migrations"


# Of each connection. The system keeps the file in memory as well, and SQLite's own 2 MiB would fill up connection by
# connection for as long as the database grows.
_CACHE_KIB = 512


def create_engine(path: Path) -> Engine:
    """Return the engine of the SQLite database at that path; the file is made, readable by its owner alone.

    It has as many connections as threads ask for, and keeps eight: an operation never fails for want of one.
    """
    path.touch(mode=0o600)

    class Connecting(_Connection):
        turns = _Turns()

    engine = sa.create_engine(
        f"sqlite:///{path}",
        connect_args={"check_same_thread": False, "factory": Connecting},
        pool_size=8,
        max_overflow=-1,
    )

    @sa.event.listens_for(engine, "connect")
    def configure(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = "IMMEDIATE"
        connection.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MILLISECONDS}")
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute(f"PRAGMA cache_size=-{_CACHE_KIB}")

    return engine


class _Turns:
    """Who of this process may write: one thread at a time.

    The API has one writer thread. Among a hundred operations at work it would wait for a hundred commits, and so would
    every request behind it. So a request that waits gets the next turn, and after it an operation that waits does.
    Operations compete: passing the turn on from one to the next would leave it with threads that wait for a core.
    """

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._is_taken = False
        self._was_request = False
        # Each waits on a lock of its own, by whether it is a request.
        self._waiting: dict[bool, deque[threading.Lock]] = {True: deque(), False: deque()}

    def take(self, *, is_request: bool, timeout_seconds: float) -> bool:
        """Wait for the turn; False when it did not come in time."""
        give_up = time.monotonic() + timeout_seconds
        waiting = self._waiting[is_request]
        wait_in_line = waiting.append
        while True:
            with self._guard:
                if not self._is_taken:
                    self._is_taken, self._was_request = True, is_request
                    return True
                called = threading.Lock()
                called.acquire()
                wait_in_line(called)
            if not called.acquire(timeout=max(0.0, give_up - time.monotonic())):
                with self._guard:
                    if called in waiting:
                        waiting.remove(called)
                        return False
            # A request is called with the turn in its hands, an operation to take it if it is still free.
            if is_request:
                return True
            wait_in_line = waiting.appendleft

    def end(self) -> None:
        """Let the next one have the turn."""
        with self._guard:
            requests, operations = self._waiting[True], self._waiting[False]
            if requests and not (self._was_request and operations):
                self._was_request = True
                requests.popleft().release()
                return
            self._is_taken = False
            if operations:
                operations.popleft().release()


class _Writing(threading.local):
    """What the present thread writes for."""

    is_request = False


_writing = _Writing()


def _for_requests() -> None:
    _writing.is_request = True


class _Connection(sqlite3.Connection):
    """A connection whose transactions take the process's turn at writing, from the first change to the end."""

    turns: _Turns
    _has_turn = False

    def cursor(self, factory: Any = None) -> Any:
        return super().cursor(factory or _Cursor)

    def commit(self) -> None:
        try:
            super().commit()
        finally:
            self._end_turn()

    def rollback(self) -> None:
        try:
            super().rollback()
        finally:
            self._end_turn()

    def close(self) -> None:
        try:
            super().close()
        finally:
            self._end_turn()

    def take_turn(self, sql: str) -> None:
        """Wait until no other thread writes, when this statement begins a transaction."""
        if not self._has_turn and not self.in_transaction and sql.lstrip()[:6].upper() in _BEGINNINGS:
            # After the timeout SQLite decides: it waits as long again, and then says that the database is locked.
            self._has_turn = self.turns.take(
                is_request=_writing.is_request, timeout_seconds=BUSY_TIMEOUT_MILLISECONDS / 1000
            )

    def _end_turn(self) -> None:
        if self._has_turn:
            self._has_turn = False
            self.turns.end()


class _Cursor(sqlite3.Cursor):
    """A cursor that waits for the writers' turn."""

    connection: _Connection

    def execute(self, sql: str, parameters: Any = (), /) -> Self:
        self.connection.take_turn(sql)
        return super().execute(sql, parameters)

    def executemany(self, sql: str, parameters: Any, /) -> Self:
        self.connection.take_turn(sql)
        return super().executemany(sql, parameters)


# What makes Python's sqlite3 begin a transaction, and beginning one outright.
_BEGINNINGS: Final = frozenset({"INSERT", "UPDATE", "DELETE", "REPLAC", "BEGIN "})


# Primary result codes (https://www.sqlite.org/rescode.html) that are no bug: the operator has to look at the disk.
_TROUBLES: Final[Mapping[int, str]] = {
    sqlite3.SQLITE_FULL: "the disk of the data directory is full",
    sqlite3.SQLITE_READONLY: "the data directory cannot be written to",
    sqlite3.SQLITE_IOERR: "the disk of the data directory reports an error",
    sqlite3.SQLITE_CANTOPEN: "a file of the data directory cannot be opened",
    sqlite3.SQLITE_BUSY: "another process holds the database",
    sqlite3.SQLITE_LOCKED: "another process holds the database",
    sqlite3.SQLITE_CORRUPT: "the database is damaged",
    sqlite3.SQLITE_NOTADB: "the database is damaged",
}


def trouble_of(error: BaseException) -> str | None:
    """Return what is wrong with the data directory, in words, when that is why a statement failed; else None."""
    cause = error.orig if isinstance(error, sa.exc.DBAPIError) else error
    code = getattr(cause, "sqlite_errorcode", None)
    # The extended codes, which say more than anybody asks for, have the primary one in their last byte.
    return _TROUBLES.get(code & 0xFF) if isinstance(code, int) else None


class Damaged(ValueError):
    """A file is not the whole database that it should be; the message says what the operator can do."""


def require_whole(path: Path, *, had_content: bool) -> None:
    """Raise `Damaged` where the file, or its write-ahead log, is no whole database. Neither is changed by the look.

    A file that is missing is to be made; one that is empty is so too, unless it `had_content` before.
    """
    log = path.with_name(f"{path.name}-wal")
    size, logged = (file.stat().st_size if file.exists() else 0 for file in (path, log))
    if logged:
        with log.open("rb") as file:
            magic = file.read(4)
        # Zeros are what a power cut may leave of the first commit. SQLite would pass over anything else in silence.
        if magic.strip(b"\0") and magic not in _LOG_MAGIC:
            raise Damaged(_damaged(log, "it is not the write-ahead log of a database"))
    if size == 0:
        if logged or (had_content and path.exists()):
            # SQLite takes an empty file for a new database, and throws its log away.
            raise Damaged(_damaged(path, "it is empty"))
        return
    looking = sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)
    try:
        (found,) = looking.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.DatabaseError as error:
        # Other troubles are temporary, and a lock or a permission has words of its own.
        if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            raise
        found = str(error)
    finally:
        looking.close()
    if found != "ok":
        raise Damaged(_damaged(path, " ".join(found.split())))


# https://www.sqlite.org/fileformat2.html#the_write_ahead_log
_LOG_MAGIC: Final = (bytes.fromhex("377f0682"), bytes.fromhex("377f0683"))


def _damaged(path: Path, what: str) -> str:
    return (
        f"{path} is damaged ({what}); it was not changed. Bring back a copy of the whole data directory, or choose "
        "another --data-dir to begin anew"
    )


def migrate(engine: Engine) -> None:
    """Bring the schema to the newest revision, in one transaction; nothing happens when it is there already."""
    with engine.connect() as connection:
        _begin(connection)
        if _revision(connection) == max(path.name[:4] for path in (_MIGRATIONS / "versions").glob("[0-9]*.py")):
            return
        # Loading Alembic is a tenth of a start, and few starts need it.
        from alembic import command
        from alembic.config import Config

        config = Config()
        config.set_main_option("script_location", str(_MIGRATIONS))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        connection.commit()


def _revision(connection: Connection) -> str | None:
    """The revision of the schema; None where there is none, or several."""
    known = sa.select(sa.literal(1)).select_from(sa.table("sqlite_master")).where(sa.column("name") == VERSION_TABLE)
    if connection.execute(known).first() is None:
        return None
    kept = sa.select(sa.column("version_num", sa.Text)).select_from(sa.table(VERSION_TABLE))
    revisions = connection.execute(kept).scalars().all()
    return revisions[0] if len(revisions) == 1 else None


class Kept(Exception):
    """Raised inside a transaction: what was written stays, and `error` is raised after the commit."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


class Reader:
    """Reads on one kept connection. The statements are Core's, compiled once."""

    def __init__(self, engine: Engine) -> None:
        self._dialect = engine.dialect
        self._connection = engine.raw_connection()
        self._lock = threading.Lock()
        self._compiled: dict[int, tuple[sa.Select[Any], str, tuple[str, ...]]] = {}

    def rows(self, statement: sa.Select[Any], **parameters: object) -> list[Any]:
        """Return the rows of a select with named bind parameters, as plain tuples."""
        text, names = self._text(statement)
        with self._lock:
            cursor = self._connection.cursor()
            try:
                cursor.execute(text, [parameters[name] for name in names])
                return list(cursor.fetchall())
            finally:
                cursor.close()

    def row(self, statement: sa.Select[Any], **parameters: object) -> Any | None:
        """Return the first row, or None."""
        rows = self.rows(statement, **parameters)
        return rows[0] if rows else None

    def close(self) -> None:
        self._connection.close()

    def _text(self, statement: sa.Select[Any]) -> tuple[str, tuple[str, ...]]:
        known = self._compiled.get(id(statement))
        if known is None:
            compiled = statement.compile(dialect=self._dialect)
            known = (statement, str(compiled), tuple(getattr(compiled, "positiontup", None) or ()))
            self._compiled[id(statement)] = known
        return known[1], known[2]


class Database:
    """The engine with its reader and its single writer thread.

    `commits` is another number after every change that this process has made.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.commits = 0
        self.reader = Reader(engine)
        self._writer = ThreadPoolExecutor(1, "writer", initializer=_for_requests)

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Yield a connection inside a write transaction; commit at the end, roll back on an exception but `Kept`."""
        with self.engine.connect() as connection:
            _begin(connection)
            try:
                yield connection
            except Kept as kept:
                connection.commit()
                raise kept.error from None
            except BaseException:
                connection.rollback()
                raise
            connection.commit()
            # After the commit: whoever sees the new number also sees the change.
            self.commits += 1

    async def write(self, change: Callable[[Connection], T], then: Callable[[T], None] | None = None) -> T:
        """Run the change in a transaction on the writer thread and return its result.

        `then` is called with it after the commit, before the next change begins.
        """

        def run() -> T:
            with self.transaction() as connection:
                result = change(connection)
            if then is not None:
                then(result)
            return result

        return await asyncio.get_running_loop().run_in_executor(self._writer, run)

    async def alone(self, work: Callable[[], T]) -> T:
        """Run the work on the writer thread and return its result: no request changes anything meanwhile."""
        return await asyncio.get_running_loop().run_in_executor(self._writer, work)

    def close(self) -> None:
        self._writer.shutdown()
        self.reader.close()
        self.engine.dispose()


@contextmanager
def only_reading(path: Path) -> Iterator[Connection]:
    """Yield a connection that changes nothing, to a database that a service may be working on or not.

    Raises what SQLAlchemy raises where there is none.
    """
    engine = sa.create_engine(f"sqlite:///file:{quote(str(path))}?mode=ro&uri=true")
    try:
        with engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()


def _begin(connection: Connection) -> None:
    """Begin to write. sqlite3 would begin only at the first change, and not at all for CREATE TABLE."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def insert_many(connection: Connection, table: sa.Table, rows: Sequence[dict[str, object]]) -> None:
    """Insert the rows with one executemany; nothing happens for no rows."""
    if rows:
        connection.execute(sa.insert(table), rows)
