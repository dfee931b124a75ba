"""Which operations nobody would ever finish, decided from what is stored.

DBOS takes up what a killed process left. It does not take up a workflow that ended with an error, was
cancelled, or belongs to other plans (`on_dbos.PLANS_VERSION`). Their operations would stay InProgress,
and their node pools locked, for good; so each start looks for them and enlists them anew.

Invariant: an operation has at most one runner that can still act.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping


def workflow_id(operation_id: str, runner: str) -> str:
    """Return the ID of the workflow in which that runner carries out the operation."""
    return f"{operation_id}.{runner}"


def stranded(in_progress: Mapping[str, str | None], living: Collection[str]) -> list[str]:
    """Return the operations in progress that none of the living workflows will finish.

    `in_progress` maps operation IDs to the runner that claimed each, None where none has. A claimed
    operation needs its own runner's workflow; an unclaimed one is in good hands with any of its workflows.
    """
    awaited = {identifier.partition(".")[0] for identifier in living}
    return [
        operation_id
        for operation_id, runner in in_progress.items()
        if (operation_id not in awaited if runner is None else workflow_id(operation_id, runner) not in living)
    ]
