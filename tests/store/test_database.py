"""What the database promises: durable, serialised, seen at once, and never short of connections."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa

from poolwright.store import identity_statements as statements
from poolwright.store import tables
from poolwright.store.database import Database, _Turns, create_engine, migrate

VALUE = sa.select(tables.settings.c.value).where(tables.settings.c.name == sa.bindparam("key"))
NAMES = sa.select(tables.settings.c.name).order_by(tables.settings.c.name)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    engine = create_engine(tmp_path / "poolwright.sqlite")
    migrate(engine)
    made = Database(engine)
    yield made
    made.close()


def put(database: Database, name: str, value: str) -> None:
    with database.transaction() as connection:
        statements.put_setting(connection, name, value)


def test_every_connection_waits_for_the_disk_and_checks_foreign_keys(database: Database) -> None:
    # More connections than the pool keeps, so that overflowing ones are looked at as well.
    connections = [database.engine.connect() for _ in range(20)]
    try:
        assert len({id(connection.connection.dbapi_connection) for connection in connections}) == 20
        for connection in connections:
            pragmas = {
                name: connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
                for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
            }
            assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 30_000}
            driver = connection.connection.dbapi_connection
            assert isinstance(driver, sqlite3.Connection)
            assert driver.isolation_level == "IMMEDIATE"
    finally:
        for connection in connections:
            connection.close()


def test_a_machine_without_its_node_pool_is_refused(database: Database) -> None:
    row = {"key": "k", "pool_key": "nowhere", "ordinal": 0, "size": "s", "observed": "V1", "record": b"", "wire": b""}
    with pytest.raises(sa.exc.IntegrityError, match="FOREIGN KEY"), database.transaction() as connection:
        connection.execute(sa.insert(tables.machines), row)


def test_the_database_is_readable_by_its_owner_alone(database: Database, tmp_path: Path) -> None:
    put(database, "a", "b")
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}


def test_a_failed_transaction_leaves_nothing_and_lets_the_next_one_write(database: Database) -> None:
    def fail_after_writing() -> None:
        with database.transaction() as connection:
            statements.put_setting(connection, "lost", "1")
            raise LookupError

    for _ in range(3):
        with pytest.raises(LookupError):
            fail_after_writing()
    put(database, "kept", "1")
    assert database.reader.rows(NAMES) == [("kept",)]


def test_a_refused_statement_lets_the_next_transaction_write(database: Database) -> None:
    put(database, "a", "1")
    row = {"name": "a", "value": "2"}
    for _ in range(3):
        with pytest.raises(sa.exc.IntegrityError), database.engine.begin() as connection:
            connection.execute(sa.insert(tables.settings), row)
    put(database, "a", "3")
    assert database.reader.row(VALUE, key="a") == ("3",)


class TestReader:
    def test_it_sees_what_another_connection_committed_at_once(self, database: Database) -> None:
        for number in range(20):
            put(database, "a", str(number))
            assert database.reader.row(VALUE, key="a") == (str(number),)

    def test_it_does_not_see_what_is_not_committed_and_does_not_wait_for_it(self, database: Database) -> None:
        put(database, "a", "before")
        with database.transaction() as connection:
            statements.put_setting(connection, "a", "after")
            assert database.reader.row(VALUE, key="a") == ("before",)
        assert database.reader.row(VALUE, key="a") == ("after",)

    def test_nothing_found_is_none_or_no_rows(self, database: Database) -> None:
        assert database.reader.row(VALUE, key="absent") is None
        assert database.reader.rows(NAMES) == []

    def test_it_may_be_used_from_several_threads(self, database: Database) -> None:
        for number in range(50):
            put(database, f"n{number:02}", str(number))
        with ThreadPoolExecutor(8) as threads:
            found = list(threads.map(lambda n: database.reader.row(VALUE, key=f"n{n % 50:02}"), range(2000)))
        assert found == [(str(number % 50),) for number in range(2000)]


class TestWriters:
    def test_they_take_turns_and_lose_nothing(self, database: Database) -> None:
        put(database, "sum", "0")

        def add_one(_: int) -> None:
            with database.transaction() as connection:
                value = statements.setting(connection, "sum")
                assert value is not None
                statements.put_setting(connection, "sum", str(int(value) + 1))

        with ThreadPoolExecutor(16) as threads:
            list(threads.map(add_one, range(200)))
        assert database.reader.row(VALUE, key="sum") == ("200",)

    def test_one_waits_until_the_other_has_committed(self, database: Database) -> None:
        began, order = threading.Event(), []

        def second() -> None:
            began.set()
            with database.transaction() as connection:
                order.append(statements.setting(connection, "a"))

        with ThreadPoolExecutor(1) as threads:
            with database.transaction() as connection:
                waiting = threads.submit(second)
                assert began.wait(10)
                statements.put_setting(connection, "a", "first")
                assert not waiting.done()
                order.append("committing")
            waiting.result(10)
        assert order == ["committing", "first"]

    def test_a_writer_that_begins_with_its_first_change_takes_its_turn_as_well(self, database: Database) -> None:
        """As DBOS does: no BEGIN of its own, sqlite3 begins at the first INSERT, UPDATE or DELETE."""
        put(database, "sum", "0")

        def add_one(_: int) -> None:
            with database.engine.begin() as connection:
                connection.exec_driver_sql("UPDATE pw_settings SET value = value + 1 WHERE name = 'sum'")

        with ThreadPoolExecutor(16) as threads:
            list(threads.map(add_one, range(200)))
        assert database.reader.row(VALUE, key="sum") == ("200",)

    def test_they_wait_for_each_other_without_sqlite_s_own_waiting(self, database: Database) -> None:
        """SQLite would sleep and try again, in no order; with its waiting off it would say `database is locked`."""

        @sa.event.listens_for(database.engine, "checkout")
        def never_wait(connection: sqlite3.Connection, _record: object, _proxy: object) -> None:
            connection.execute("PRAGMA busy_timeout=0")

        together = threading.Barrier(16)

        def write(number: int) -> None:
            together.wait(30)
            for turn in range(20):
                put(database, f"{number}-{turn}", "1")

        with ThreadPoolExecutor(16) as threads:
            list(threads.map(write, range(16)))
        assert len(database.reader.rows(NAMES)) == 320

    def test_a_writer_of_another_process_is_waited_for(self, database: Database, tmp_path: Path) -> None:
        other = sqlite3.connect(tmp_path / "poolwright.sqlite", isolation_level=None, check_same_thread=False)
        other.execute("BEGIN IMMEDIATE")
        other.execute("INSERT INTO pw_settings VALUES ('other', '1')")
        with ThreadPoolExecutor(1) as threads:
            waiting = threads.submit(put, database, "ours", "1")
            assert not waiting.done()
            other.execute("COMMIT")
            waiting.result(30)
        other.close()
        assert database.reader.rows(NAMES) == [("other",), ("ours",)]

    def test_a_hundred_threads_find_a_connection(self, database: Database) -> None:
        together = threading.Barrier(100)

        def look(_: int) -> int:
            with database.engine.connect() as connection:
                together.wait(30)
                found: int = connection.exec_driver_sql("SELECT count(*) FROM pw_settings").scalar_one()
                return found

        with ThreadPoolExecutor(100) as threads:
            assert list(threads.map(look, range(100))) == [0] * 100

    def test_the_writer_thread_returns_what_the_change_returns(self, database: Database) -> None:
        async def write() -> tuple[str, int]:
            def change(connection: sa.Connection) -> tuple[str, int]:
                statements.put_setting(connection, "a", "1")
                return threading.current_thread().name, 7

            return await database.write(change)

        thread, answer = asyncio.run(write())
        assert thread.startswith("writer")
        assert answer == 7
        assert database.reader.row(VALUE, key="a") == ("1",)

    def test_a_request_goes_before_the_operations_that_wait(self, database: Database) -> None:
        """Before, it took its chance among them: with fifty at work it waited for about fifty commits."""
        order: list[str] = []

        def operation() -> None:
            with database.transaction():
                order.append("operation")

        async def everything() -> None:
            with ThreadPoolExecutor(8) as threads:
                with database.transaction() as connection:
                    turns = connection.connection.driver_connection.turns  # type: ignore[union-attr]
                    operations = [threads.submit(operation) for _ in range(8)]
                    await asyncio.to_thread(until_waiting, turns, 8)
                    request = asyncio.create_task(database.write(lambda _: order.append("request")))
                    await asyncio.to_thread(until_waiting, turns, 9)
                await request
                for each in operations:
                    await asyncio.to_thread(each.result, 30)

        asyncio.run(everything())
        assert order == ["request"] + 8 * ["operation"]

    def test_requests_and_operations_that_wait_alternate(self) -> None:
        turns, order = _Turns(), []

        def write(kind: str) -> None:
            assert turns.take(is_request=kind == "request", timeout_seconds=30)
            order.append(kind)
            turns.end()

        assert turns.take(is_request=False, timeout_seconds=1)
        with ThreadPoolExecutor(8) as threads:
            writers = [threads.submit(write, kind) for kind in 5 * ["operation"] + 3 * ["request"]]
            until_waiting(turns, 8)
            turns.end()
            for writer in writers:
                writer.result(30)
        assert order == 3 * ["request", "operation"] + 2 * ["operation"]

    def test_one_that_gives_up_leaves_the_turn_to_others(self) -> None:
        turns = _Turns()
        assert turns.take(is_request=False, timeout_seconds=1)
        assert not turns.take(is_request=True, timeout_seconds=0.01)
        turns.end()
        assert turns.take(is_request=True, timeout_seconds=0.01)
        assert not turns.take(is_request=False, timeout_seconds=0.01)


def until_waiting(turns: _Turns, number: int) -> None:
    deadline = time.monotonic() + 30
    while sum(map(len, turns._waiting.values())) < number:
        assert time.monotonic() < deadline
        time.sleep(0.005)
