"""The port without a workflow engine, and what every implementation of the port owes its caller."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from poolwright.domain.operation import OperationKind, OperationStatus
from poolwright.operations.in_memory import InMemoryOperations
from tests.operations.workbench import Workbench, accept


def test_an_enlisted_operation_waits_until_it_is_begun(bench: Workbench) -> None:
    operation = accept(bench, OperationKind.CREATE_NODE_POOL)
    assert bench.operation(operation).status is OperationStatus.IN_PROGRESS
    assert bench.machines() == []
    assert bench.done(operation).status is OperationStatus.SUCCEEDED


def test_start_carries_out_what_was_enlisted_and_never_begun(bench: Workbench) -> None:
    operation = accept(bench, OperationKind.CREATE_NODE_POOL)
    bench.operations.start()
    assert bench.operation(operation).status is OperationStatus.SUCCEEDED


def test_a_step_that_is_done_is_not_done_again(bench: Workbench) -> None:
    operation = accept(bench, OperationKind.CREATE_NODE_POOL)
    bench.done(operation)
    before = bench.everything()
    bench.done(operation)
    assert bench.everything() == before


def test_a_transaction_rolled_back_leaves_nothing_to_carry_out(bench: Workbench) -> None:
    bench.put_group()
    before = bench.everything()

    def refused_after_enlisting() -> None:
        with bench.database.transaction() as connection:
            bench.operations.enlist(connection, "00000000-0000-4000-8000-00000000dead")
            raise LookupError("refused")

    with pytest.raises(LookupError):
        refused_after_enlisting()
    bench.operations.start()
    assert bench.everything() == before


class TestInTheBackground:
    @pytest.fixture
    def bench(self, tmp_path: Path) -> Iterator[Workbench]:
        made = Workbench(tmp_path, operations=lambda context: InMemoryOperations(context, background=True))
        yield made
        made.close()

    def test_stopping_waits_for_what_was_begun(self, bench: Workbench) -> None:
        bench.put_group()
        operation = bench.put_cluster()
        bench.operations.begin(operation.id)
        bench.operations.stop()
        assert bench.operation(operation).status is OperationStatus.SUCCEEDED
