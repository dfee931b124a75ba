"""Durable execution on DBOS, in the service's own database.

An operation is enlisted twice, by public calls of DBOS alone:

1. `enlist` queues a workflow inside the caller's transaction. It is the guarantee: whatever happens
   after the commit, the queue is looked at every half second and after each start.
2. `begin` starts a second workflow at once, so that nobody waits for the queue.

Both begin by claiming the operation; the first one to do so carries it out, the other ends. The claim
happens inside a workflow that already exists, so a claimed operation always has a workflow that DBOS
recovers after a kill. What DBOS would not take up again, `start` enlists anew (`recovery.py`); what it
let go because the database could not be written to, as when the disk is full, is enlisted anew when it can.

Invariant: one process per database at a time (`serve.py` holds a lock), hence one executor ID. DBOS
is a process-wide singleton; only this module knows it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

import structlog
from dbos import DBOS, DBOSClient, DBOSConfig, DBOSPortableJSONSerializer, SetWorkflowID
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import OperationalError as DatabaseUnavailable

from poolwright.operations.plans import DATABASE_RETRY_SECONDS, Context, Effect, Failure, run_plan
from poolwright.operations.recovery import stranded, workflow_id
from poolwright.store import statements

log = structlog.get_logger(__name__)

QUEUE: Final = "operations"
QUEUE_POLL_SECONDS: Final = 0.5
# Raised when a plan's checkpoints change names or order, so that old workflows are not replayed on new plans.
PLANS_VERSION: Final = "3"
# Operations at work at the same time, a thread each; further ones wait for their turn.
MAX_AT_WORK: Final = 256
# A workflow that has ended is of no more use: the operation's record says what came of it.
KEEP_ENDED_SECONDS: Final = 3600.0
FORGET_EVERY_SECONDS: Final = 600.0
_FORGET_AT_ONCE: Final = 500
_WORKFLOW: Final = "run_operation"
_QUEUED: Final = "queued"
_AT_ONCE: Final = "at-once"


class Stopping(BaseException):
    """The process is ending: the step under way gets no checkpoint and is done again at the next start.

    Not an `Exception`, because DBOS and the plans take those as outcomes and would record them.
    """


class DbosOperations:
    """Implements `DurableOperations`."""

    def __init__(self, engine: Engine, context: Context, executor_id: str) -> None:
        config: DBOSConfig = {
            "name": "poolwright",
            "system_database_engine": engine,
            "executor_id": executor_id,
            "application_version": PLANS_VERSION,
            "serializer": DBOSPortableJSONSerializer(),
            "max_executor_threads": MAX_AT_WORK,
            # Also silences the advertisement for the hosted console.
            "log_level": "WARNING",
        }
        DBOS(config=config)
        self._executor_id = executor_id
        self._context = context
        self._stopping = threading.Event()
        self._at_work = 0
        self._work_ended = threading.Condition()
        self._workflow = self._register(replace(context, wait=self._wait))
        self._client = DBOSClient(system_database_engine=engine, serializer=DBOSPortableJSONSerializer())
        # Starting a workflow writes to the database, which must not happen on the event loop.
        self._starter = ThreadPoolExecutor(max_workers=1, thread_name_prefix="begin")

    def enlist(self, connection: Connection, operation_id: str) -> None:
        self._enqueue(connection, operation_id, _QUEUED)

    def begin(self, operation_id: str) -> None:
        self._starter.submit(self._start_at_once, operation_id)

    def start(self) -> None:
        DBOS.launch()
        DBOS.register_queue(QUEUE, polling_interval_sec=QUEUE_POLL_SECONDS)
        self._enlist_stranded()
        threading.Thread(target=self._forget_ended, name="forget-ended", daemon=True).start()

    def await_idle(self, seconds: float) -> bool:
        with self._work_ended:
            return self._work_ended.wait_for(lambda: self._at_work == 0, seconds)

    def stop(self) -> None:
        self._stopping.set()
        self._starter.shutdown(cancel_futures=True)
        DBOS.destroy(workflow_completion_timeout_sec=0)

    def _register(self, context: Context) -> Callable[[str, str], None]:
        @DBOS.workflow(name=_WORKFLOW, max_recovery_attempts=None)
        def run_operation(operation_id: str, runner: str) -> None:
            def claim() -> bool:
                with context.database.transaction() as connection:
                    return statements.claim_operation(connection, operation_id, runner)

            def run_step(name: str, effect: Effect) -> Failure | None:
                outcome = effect()
                # What a step met while everything around it was being closed is no outcome.
                if self._stopping.is_set():
                    raise Stopping
                return outcome

            def checkpoint(name: str, part: Effect) -> Failure | None:
                return DBOS.run_step({"name": name}, part)

            try:
                # Claimed again after a kill: whoever has the claim still has it.
                if claim():
                    with self._working():
                        run_plan(context, operation_id, run_step, checkpoint)
            except DatabaseUnavailable:
                # DBOS could not store how far this came, and takes it up again only at the next start.
                self._take_up_again(operation_id, runner)
                raise

        return run_operation

    @contextmanager
    def _working(self) -> Iterator[None]:
        with self._work_ended:
            self._at_work += 1
        try:
            yield
        finally:
            with self._work_ended:
                self._at_work -= 1
                self._work_ended.notify_all()

    def _wait(self, seconds: float) -> None:
        self._context.wait(seconds)
        if self._stopping.is_set():
            raise Stopping

    def _enqueue(self, connection: Connection, operation_id: str, runner: str) -> None:
        self._client.enqueue_in_transaction(
            connection,
            {
                "queue_name": QUEUE,
                "workflow_name": _WORKFLOW,
                "workflow_id": workflow_id(operation_id, runner),
                "app_version": PLANS_VERSION,
            },
            operation_id,
            runner,
        )

    def _start_at_once(self, operation_id: str) -> None:
        try:
            with SetWorkflowID(workflow_id(operation_id, _AT_ONCE)):
                DBOS.start_workflow(self._workflow, operation_id, _AT_ONCE)
        except Exception:
            log.exception("operation_left_to_queue", operation_id=operation_id)

    def _enlist_stranded(self) -> None:
        """Enlist anew what no workflow that DBOS would run again is going to finish."""
        pending = DBOS.list_workflows(
            name=_WORKFLOW, status=["ENQUEUED", "PENDING"], load_input=False, load_output=False
        )
        living = {
            known.workflow_id
            for known in pending
            if known.app_version == PLANS_VERSION
            and (known.status == "ENQUEUED" or known.executor_id == self._executor_id)
        }
        if len(living) < len(pending):
            # They could act again only under other plans; what they left undone is enlisted below.
            DBOS.cancel_workflows([known.workflow_id for known in pending if known.workflow_id not in living])
        with self._context.database.engine.connect() as connection:
            lost = stranded(statements.operations_in_progress(connection), living)
        for operation_id in lost:
            with self._context.database.transaction() as connection:
                self._enlist_anew(connection, operation_id)

    def _enlist_anew(self, connection: Connection, operation_id: str) -> None:
        log.warning("operation_enlisted_anew", operation_id=operation_id)
        statements.release_operation(connection, operation_id)
        self._enqueue(connection, operation_id, f"again-{self._context.new_id()}")

    def _take_up_again(self, operation_id: str, runner: str) -> None:
        """Enlist the operation anew as soon as the database can be written to, unless another runner has it."""

        def take_up() -> None:
            while not self._stopping.wait(DATABASE_RETRY_SECONDS):
                try:
                    with self._context.database.transaction() as connection:
                        if statements.operations_in_progress(connection).get(operation_id, "") in (None, runner):
                            self._enlist_anew(connection, operation_id)
                    return
                except DatabaseUnavailable as error:
                    log.warning("operation_waits_for_the_database", operation_id=operation_id, cause=str(error.orig))

        threading.Thread(target=take_up, name="take-up-again", daemon=True).start()

    def _forget_ended(self) -> None:
        """Keep DBOS's tables from growing: every now and then, delete workflows that ended an hour ago."""
        while not self._stopping.is_set():
            try:
                while self._forget_some():
                    pass
            except Exception:
                log.exception("ended_workflows_not_forgotten")
            self._stopping.wait(FORGET_EVERY_SECONDS)

    def _forget_some(self) -> bool:
        before = datetime.fromtimestamp(self._context.now() - KEEP_ENDED_SECONDS, UTC).isoformat()
        ended = DBOS.list_workflows(completed_before=before, limit=_FORGET_AT_ONCE, load_input=False, load_output=False)
        if ended:
            DBOS.delete_workflows([known.workflow_id for known in ended])
        return len(ended) == _FORGET_AT_ONCE and not self._stopping.is_set()
