"""An operation that has ended never changes again."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from poolwright.domain.operation import IllegalTransition, Operation, OperationError, OperationKind, OperationStatus
from poolwright.errors import OperationNotAllowed
from tests.operations.workbench import Workbench

RUNNING = Operation(
    id="00000000-0000-4000-8000-000000000001",
    kind=OperationKind.CREATE_NODE_POOL,
    subscription="00000000-0000-4000-8000-000000000000",
    location="eastus",
    resource_id="/subscriptions/s/resourceGroups/RG",
    resource_key="/subscriptions/s/resourcegroups/rg",
    pool_keys=(),
    started=1.0,
    correlation_id="c",
)
ERROR = OperationError("Broken", "told to fail")
TRANSITIONS: dict[str, Callable[[Operation], Operation]] = {
    "advanced": lambda operation: operation.advanced(step="await_ready", percent=50, generations={"V2": 1}),
    "succeeded": lambda operation: operation.succeeded(2.0, {"V2": 1}),
    "failed": lambda operation: operation.failed(2.0, ERROR),
}


@pytest.mark.parametrize("transition", TRANSITIONS.values(), ids=TRANSITIONS)
@pytest.mark.parametrize("end", [TRANSITIONS["succeeded"], TRANSITIONS["failed"]], ids=["succeeded", "failed"])
def test_an_ended_operation_refuses_to_change(
    end: Callable[[Operation], Operation], transition: Callable[[Operation], Operation]
) -> None:
    ended = end(RUNNING)
    same = end(RUNNING)
    with pytest.raises(IllegalTransition, match=f"operation {RUNNING.id} is (Succeeded|Failed)"):
        transition(ended)
    assert ended == same


def test_progress_never_goes_back_and_never_reaches_the_end_by_itself() -> None:
    half = RUNNING.advanced(step="await_ready", percent=50, generations={})
    assert half.advanced(step="await_ready", percent=20, generations={}).percent == 50
    assert half.advanced(step="await_ready", percent=100, generations={}).percent == 99
    assert half.succeeded(2.0, {}).percent == 100


def test_the_wave_never_falls() -> None:
    second = RUNNING.advanced(step="drain", percent=50, wave=2)
    assert second.advanced(step="cordon", percent=20, wave=1).wave == 2
    assert second.advanced(step="cordon", percent=60, wave=3).wave == 3


def test_only_operations_in_progress_are_not_ended() -> None:
    assert [status for status in OperationStatus if not status.is_terminal] == [OperationStatus.IN_PROGRESS]


def test_a_busy_resource_refuses_the_next_operation_and_stays_as_it_is(bench: Workbench) -> None:
    bench.put_group()
    bench.done(bench.put_cluster())
    running = bench.put_pool(count=3)
    before = bench.everything()
    for verb in (bench.put_pool, bench.delete_pool, bench.put_cluster, bench.delete_cluster, bench.delete_group):
        with pytest.raises(OperationNotAllowed, match=running.id):
            verb()
    assert bench.everything() == before
