"""How many transactions an operation takes: few, and no more for a thousand machines than for ten."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from poolwright.domain.operation import Operation, OperationStatus
from poolwright.domain.upgrade_settings import UpgradeSettings
from tests.operations.workbench import Workbench


class CountedTransactions:
    """Counts the transactions of the service's database and of the simulated engine's."""

    def __init__(self) -> None:
        self.of_store = self.of_engine = 0

    def count_store(self, _connection: sa.Connection) -> None:
        self.of_store += 1

    def count_engine(self, statement: str) -> None:
        self.of_engine += statement.startswith("BEGIN")


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> CountedTransactions:
    """Counts from now on; the workbench must come after it."""
    made = CountedTransactions()
    connect = sqlite3.connect

    def traced(*arguments: Any, **options: Any) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(*arguments, **options)
        connection.set_trace_callback(made.count_engine)
        return connection

    monkeypatch.setattr("poolwright.machines.simulated.sqlite3.connect", traced)
    return made


@pytest.fixture
def bench(counted: CountedTransactions, tmp_path: Path) -> Iterator[Workbench]:
    made = Workbench(tmp_path)
    sa.event.listen(made.database.engine, "commit", counted.count_store)
    made.put_group()
    made.done(made.put_cluster())
    yield made
    made.close()


def transactions(bench: Workbench, counted: CountedTransactions, operation: Operation) -> tuple[int, int]:
    """How many transactions of the store and of the engine carrying out the operation takes."""
    before = counted.of_store, counted.of_engine
    assert bench.done(operation).status is OperationStatus.SUCCEEDED
    return counted.of_store - before[0], counted.of_engine - before[1]


def test_a_thousand_machines_take_as_few_transactions_as_ten(bench: Workbench, counted: CountedTransactions) -> None:
    few = transactions(bench, counted, bench.put_pool("few", count=10))
    many = transactions(bench, counted, bench.put_pool("many", count=1000))
    assert few == many == (4, 1)
    assert len(bench.machines("many")) == 1000
    assert bench.there("many").observed == {"V1": 0, "V2": 1000, "unknown": 0}


def test_replacing_machines_takes_two_transactions_a_wave_however_many_there_are(
    bench: Workbench, counted: CountedTransactions
) -> None:
    def replaced(name: str, count: int, surge: str) -> tuple[int, int]:
        settings = UpgradeSettings(surge)
        bench.done(bench.put_pool(name, count=count, vm_size="Standard_D2_v3", upgrade=settings))
        operation = bench.put_pool(name, count=count, vm_size="Standard_D2s_v3", upgrade=settings)
        taken = transactions(bench, counted, operation)
        assert bench.operation(operation).waves == 3
        assert bench.there(name).observed == {"V1": 0, "V2": count, "unknown": 0}
        return taken

    # The plan, two each wave, the end; new machines are made and old ones deleted each wave.
    assert replaced("few", 10, "33%") == replaced("many", 1000, "34%") == (1 + 3 * 2 + 1, 3 * 2)


def test_scaling_in_and_deleting_take_as_few(bench: Workbench, counted: CountedTransactions) -> None:
    bench.done(bench.put_pool(count=300))
    assert transactions(bench, counted, bench.put_pool(count=1)) == (3, 1)
    bench.done(bench.put_pool(count=300))
    assert transactions(bench, counted, bench.delete_pool()) == (1, 1)
    assert bench.machines() == []
