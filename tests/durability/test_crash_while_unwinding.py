"""A process kills itself before and after every undo of every plan and while it marks the operation failed.

The machine engine is told to fail so late that the whole plan is undone: machines never get ready, or cannot
be deleted.
"""

from __future__ import annotations

from typing import Any

import pytest

from poolwright.domain.operation import OperationKind
from poolwright.operations.plans import EACH_WAVE, PLANS
from tests.durability.chains import Case, chained, require_all_in
from tests.durability.operations_process import OperationsProcess
from tests.operations.workbench import KINDS

DELETIONS = (OperationKind.DELETE_NODE_POOL, OperationKind.DELETE_CLUSTER, OperationKind.DELETE_RESOURCE_GROUP)
CASES = [
    Case(kind, name, moment, fails=True)
    for kind in KINDS
    # A machine that never gets ready does not keep its cluster from being stopped.
    if kind is not OperationKind.STOP_CLUSTER
    for name in (*(["undo_wave"] if EACH_WAVE in PLANS[kind] else ["undo_delete_machines"]), "mark_failed")
    for moment in ("before", "after")
]
CHAINS = chained(CASES, 4)
# Machines in a group with pools sys and np1 after the operation has failed.
LEFT = {
    OperationKind.CREATE_NODE_POOL: {"sys": 2, "np1": 0},
    OperationKind.UPDATE_NODE_POOL: {"sys": 2, "np1": 3},
    OperationKind.UPGRADE_NODE_IMAGE: {"sys": 2, "np1": 3},
    OperationKind.ROLLBACK_NODE_POOL: {"sys": 2, "np1": 3},
    OperationKind.DELETE_MACHINES: {"sys": 2, "np1": 3},
    OperationKind.REIMAGE_MACHINE: {"sys": 2, "np1": 3},
    OperationKind.START_CLUSTER: {"sys": 2, "np1": 3},
    OperationKind.DELETE_NODE_POOL: {"sys": 2, "np1": 3},
    OperationKind.CREATE_CLUSTER: {"sys": 0, "np1": 0},
    OperationKind.UPDATE_CLUSTER: {"sys": 2, "np1": 3},
    OperationKind.DELETE_CLUSTER: {"sys": 2, "np1": 3},
    OperationKind.DELETE_RESOURCE_GROUP: {"sys": 2, "np1": 3},
}
POOL, OF_CLUSTER, OF_GROUP = {"np1"}, {"sys", "np1", "cluster"}, {"sys", "np1", "group"}
FAILED = {
    OperationKind.CREATE_NODE_POOL: POOL,
    OperationKind.UPDATE_NODE_POOL: POOL,
    OperationKind.UPGRADE_NODE_IMAGE: POOL,
    OperationKind.ROLLBACK_NODE_POOL: POOL,
    OperationKind.DELETE_MACHINES: POOL,
    OperationKind.REIMAGE_MACHINE: POOL,
    OperationKind.START_CLUSTER: OF_CLUSTER,
    OperationKind.DELETE_NODE_POOL: POOL,
    OperationKind.CREATE_CLUSTER: OF_CLUSTER,
    OperationKind.UPDATE_CLUSTER: OF_CLUSTER,
    OperationKind.DELETE_CLUSTER: OF_CLUSTER,
    OperationKind.DELETE_RESOURCE_GROUP: OF_GROUP,
}


def test_every_undo_of_every_plan_is_covered() -> None:
    require_all_in(CHAINS, CASES)


@pytest.mark.parametrize("chain", CHAINS, ids=[f"chain {number}" for number in range(len(CHAINS))])
def test_an_operation_killed_while_it_unwinds_has_failed_and_left_nothing_when_it_starts_again(
    chain: list[Case], process: OperationsProcess
) -> None:
    left: tuple[Case, str, str] | None = None
    for number, case in enumerate(chain):
        process.start(crash=case.place)
        if left is not None:
            require(process, *left)
        group = f"g{number}"
        process.call("prepare", group=group, kind=case.kind.value)
        process.call("misbehave", **({"delete": 100} if case.kind in DELETIONS else {"never_ready": [""]}))
        operation = process.call("ask", group=group, kind=case.kind.value)
        process.require_killed(operation, case.place)
        left = case, group, operation
    process.start()
    assert left is not None
    require(process, *left)
    process.stop()


def require(process: OperationsProcess, case: Case, group: str, operation: str) -> None:
    ended = process.call("end", operation=operation)
    assert ended["status"] == "Failed", case.place
    cause = "told not to delete" if case.kind in DELETIONS else "told never to make it ready"
    assert cause in ended["error"], case.place
    found: dict[str, Any] = process.call("look", group=group)
    assert found["pools"] == LEFT[case.kind], case.place
    assert found["rows"] == sorted(found["machines"]), case.place
    twice = (OperationKind.START_CLUSTER, OperationKind.REIMAGE_MACHINE)
    assert set(found["machines"].values()) <= ({1, 2} if case.kind in twice else {1}), case.place
    assert {name for name, state in found["states"].items() if state == "Failed"} == FAILED[case.kind], case.place
    assert set(found["states"].values()) <= {"Failed", "Succeeded"}, case.place
    assert found["busy"] == 0, case.place
