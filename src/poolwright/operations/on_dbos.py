"""Durable execution on DBOS, in the service's own database.

An operation is enlisted twice, by public calls of DBOS alone:

1. `enlist` queues a workflow inside the caller's transaction. It is the guarantee: whatever happens
   after the commit, the queue is looked at every half second and after each start.
2. `begin` starts a second workflow at once, so that nobody waits for the queue.

Both begin by claiming the operation; the first one to do so carries it out, the other ends. The claim
happens inside a workflow that already exists, so a claimed operation always has a workflow that DBOS
recovers after a kill.

Invariant: one process per database at a time (`serve.py` holds a lock), hence one executor ID. DBOS
is a process-wide singleton; only this module knows it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from dbos import DBOS, DBOSClient, DBOSConfig, DBOSPortableJSONSerializer, SetWorkflowID
from sqlalchemy.engine import Connection, Engine

from poolwright.operations.plans import Context, Failure, run_plan
from poolwright.store import statements

QUEUE: Final = "operations"
QUEUE_POLL_SECONDS: Final = 0.5
# Raised when a plan's steps change names or order, so that old workflows are not replayed on new plans.
PLANS_VERSION: Final = "1"
_WORKFLOW: Final = "run_operation"


class DbosOperations:
    """Implements `DurableOperations`."""

    def __init__(self, engine: Engine, context: Context, executor_id: str) -> None:
        config: DBOSConfig = {
            "name": "poolwright",
            "system_database_engine": engine,
            "executor_id": executor_id,
            "application_version": PLANS_VERSION,
            "serializer": DBOSPortableJSONSerializer(),
            # Also silences the advertisement for the hosted console.
            "log_level": "WARNING",
        }
        DBOS(config=config)
        self._workflow = _workflow(context)
        self._client = DBOSClient(system_database_engine=engine, serializer=DBOSPortableJSONSerializer())

    def enlist(self, connection: Connection, operation_id: str) -> None:
        self._client.enqueue_in_transaction(
            connection,
            {
                "queue_name": QUEUE,
                "workflow_name": _WORKFLOW,
                "workflow_id": f"{operation_id}.queued",
                "app_version": PLANS_VERSION,
            },
            operation_id,
            "queued",
        )

    def begin(self, operation_id: str) -> None:
        with SetWorkflowID(f"{operation_id}.at-once"):
            DBOS.start_workflow(self._workflow, operation_id, "at-once")

    def start(self) -> None:
        DBOS.launch()
        DBOS.register_queue(QUEUE, polling_interval_sec=QUEUE_POLL_SECONDS)

    def stop(self) -> None:
        DBOS.destroy(workflow_completion_timeout_sec=0)


def _workflow(context: Context) -> Callable[[str, str], None]:
    @DBOS.workflow(name=_WORKFLOW, max_recovery_attempts=None)
    def run_operation(operation_id: str, runner: str) -> None:
        def claim() -> bool:
            with context.database.transaction() as connection:
                return statements.claim_operation(connection, operation_id, runner)

        def run_step(name: str, effect: Callable[[], Failure | None]) -> Failure | None:
            return DBOS.run_step({"name": name}, effect)

        if DBOS.run_step({"name": "claim"}, claim):
            run_plan(context, operation_id, run_step)

    return run_operation
