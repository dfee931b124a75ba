"""The process behind `OperationsProcess`: a workbench on DBOS that obeys commands."""

from __future__ import annotations

import os
import signal
import sqlite3
import sys
import threading
import time
import uuid
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import sqlalchemy as sa
import structlog
from dbos import DBOS

from poolwright.domain.operation import Operation, OperationKind
from poolwright.domain.resource_id import NodePoolId
from poolwright.domain.upgrade_settings import UndrainableNodeBehavior, UpgradeSettings
from poolwright.machines.engine import PermanentError
from poolwright.operations import on_dbos
from poolwright.operations.crash_hook import crash_hook
from poolwright.operations.on_dbos import DbosOperations
from poolwright.store import statements
from tests.operations import workbench
from tests.operations.workbench import Clock, Workbench
from tests.support.scripted_cluster import ScriptedCluster

DEADLINE_SECONDS = 60.0


class RealTime(Clock):
    """The time of this machine; `now` is by how much it was set forward."""

    def __init__(self, set_forward: float) -> None:
        super().__init__()
        self.now = set_forward

    def __call__(self) -> float:
        return time.time() + self.now

    def wait(self, seconds: float) -> None:
        self.meanwhile()
        time.sleep(seconds)


class DurableBench(Workbench):
    """Carries operations out in the background, as the service does; `done` waits for the end.

    Besides what the crash hook knows, `crash` may be operation:step:during. It kills the process when the step
    waits, and when it has deleted machines and not yet forgotten them.
    """

    waits_for_the_disk = True

    def __init__(self, directory: Path, crash: str | None, set_forward: float) -> None:
        self._dies_during = crash.removesuffix(":during") if crash and crash.endswith(":during") else None
        # A step runs on one thread from its beginning to its end.
        self._under_way = threading.local()
        super().__init__(
            directory,
            operations=lambda context: DbosOperations(context.database.engine, context, "test"),
            crash=self._note if self._dies_during else crash_hook(crash),
            clock=RealTime(set_forward),
            new_id=lambda: str(uuid.uuid4()),
            kubernetes=ScriptedCluster(directory / "cluster.sqlite"),
        )
        self.clock.meanwhile = self._die_here
        self.engine.deleted = self._deleted

    def _note(self, operation: str, step: str, moment: str) -> None:
        self._under_way.step = f"{operation}:{step.rpartition('.')[2]}" if moment == "before" else None

    def _die_here(self) -> None:
        if self._dies_during and getattr(self._under_way, "step", None) == self._dies_during:
            os.kill(os.getpid(), signal.SIGKILL)

    def _deleted(self, keys: list[str]) -> None:
        self.kubernetes.removed(keys)
        if keys:
            self._die_here()

    def done(self, operation: Operation) -> Operation:
        self.operations.begin(operation.id)
        return self.ended(operation.id)

    def ended(self, operation_id: str) -> Operation:
        deadline = time.monotonic() + DEADLINE_SECONDS
        while time.monotonic() < deadline:
            with self.database.engine.connect() as connection:
                operation = statements.operation(connection, operation_id)
            assert operation is not None
            if operation.status.is_terminal:
                return operation
            time.sleep(0.002)
        raise AssertionError(f"still in progress: {operation}")


class Commands:
    """What the process can be told."""

    def __init__(self, bench: Workbench) -> None:
        assert isinstance(bench, DurableBench)
        self._bench = bench

    def prepare(self, group: str, kind: str) -> None:
        """Make what an operation of that kind needs, in a resource group of its own."""
        self._bench.work_in(group)
        workbench.prepare(self._bench, OperationKind(kind))

    def ask(self, group: str, kind: str, begin: bool = True) -> str:
        """Accept an operation of that kind, begin it, and return its ID."""
        self._bench.work_in(group)
        operation = workbench.ask(self._bench, OperationKind(kind))
        if begin:
            self._bench.operations.begin(operation.id)
        return operation.id

    def change(self, group: str, upgrade: dict[str, Any], **properties: Any) -> str:
        """Accept a PUT of node pool np1 with those upgrade settings, begin its operation, and return the ID."""
        self._bench.work_in(group)
        settings = UpgradeSettings(
            **upgrade | {"undrainable": UndrainableNodeBehavior(upgrade.get("undrainable", "Schedule"))}
        )
        operation = self._bench.put_pool(upgrade=settings, **properties)
        self._bench.operations.begin(operation.id)
        return operation.id

    def post(self, group: str, verb: str) -> str:
        """Accept another verb of the control plane on node pool np1, begin its operation, and return the ID."""
        self._bench.work_in(group)
        operation = self._bench.post(verb, NodePoolId(self._bench.cluster_id, "np1"))
        if operation.kind is not OperationKind.ABORT_NODE_POOL:
            self._bench.operations.begin(operation.id)
        return operation.id

    def begin(self, operation: str) -> None:
        """Begin an operation, again perhaps."""
        self._bench.operations.begin(operation)

    def misbehave(self, delete: int = 0, ensure_seconds: float = 0.0, **behaviour: Any) -> None:
        """Set the simulated engine's behaviour; deleting fails that many times, ensuring takes that long."""
        self._bench.engine.raises["delete"] = [PermanentError("told not to delete")] * delete
        self._bench.engine.meanwhile = lambda: time.sleep(ensure_seconds)
        for name, value in behaviour.items():
            setattr(self._bench.behaviour, name, tuple(value) if isinstance(value, list) else value)

    def set_forward(self, seconds: float) -> None:
        """Set the clock forward."""
        self._bench.clock.now += seconds

    def end(self, operation: str) -> dict[str, Any]:
        """Wait for the operation's end; say how it ended and how long that took."""
        began = time.monotonic()
        ended = self._bench.ended(operation)
        return {
            "status": ended.status.value,
            "error": ended.error.message if ended.error else None,
            "seconds": time.monotonic() - began,
        }

    def look(self, group: str) -> dict[str, Any]:
        """What is stored of a group, and the machines there are with how often each was started."""
        self._bench.work_in(group)
        mine = f"/resourcegroups/{group}/"
        pools = {name: self._bench.pool(name) for name in ("sys", "np1")}
        cluster, there = self._bench.cluster(), self._bench.group()
        busy = [resource for resource in (*pools.values(), cluster, there) if resource and resource.operation_id]
        return {
            "rows": sorted(key for key in self._bench.rows() if mine in key),
            "machines": {key: boots for key, boots in self._bench.simulated.boots().items() if mine in key},
            "pools": {name: len(self._bench.machines(name)) for name, pool in pools.items() if pool},
            "states": {name: pool.state.value for name, pool in pools.items() if pool}
            | ({"cluster": cluster.state.value} if cluster else {})
            | ({"group": there.state.value} if there else {}),
            "busy": len(busy),
        }

    def workflows(self) -> dict[str, str]:
        """The status of every workflow DBOS knows."""
        return {known.workflow_id: known.status for known in DBOS.list_workflows()}

    def steps(self) -> dict[str, list[str]]:
        """The checkpoints of every workflow DBOS knows."""
        return {
            known: [step["function_name"] for step in DBOS.list_workflow_steps(known)] for known in self.workflows()
        }

    def enlist_and_roll_back(self, operation: str) -> None:
        with suppress(LookupError), self._bench.database.transaction() as connection:
            self._bench.operations.enlist(connection, operation)
            raise LookupError

    def cancel(self, operation: str) -> None:
        """Cancel the workflows of an operation behind its back."""
        DBOS.cancel_workflows([known for known in self.workflows() if known.startswith(operation)])

    def fill_disk(self, statement: str, times: int) -> None:
        """Let statements with that text meet a full disk, so many times."""
        left = [times]

        @sa.event.listens_for(self._bench.database.engine, "do_execute")
        def meet_a_full_disk(_cursor: object, text: str, _parameters: object, _context: object) -> None:
            if statement in text and left[0]:
                left[0] -= 1
                raise sqlite3.OperationalError("database or disk is full")

    def connections(self) -> list[dict[str, Any]]:
        """What every connection that was given back so far was set to, and whether DBOS's threads had it."""
        return [dict(each) for each in sorted(_SEEN)]

    def stop(self) -> None:
        """Stop as the service does, then see what becomes of the steps under way; the service would be gone by then.

        Exits with 3 when they do not end soon.
        """
        self._bench.operations.stop()
        carrying_out = [thread for thread in threading.enumerate() if thread.name.startswith("dbos-executor")]
        for thread in carrying_out:
            thread.join(10)
        self._bench.simulated.close()
        os._exit(3 if any(thread.is_alive() for thread in carrying_out) else 0)


_SEEN: set[tuple[tuple[str, Any], ...]] = set()


def _remember(connection: Any, _record: object) -> None:
    facts = {name: connection.execute(f"PRAGMA {name}").fetchone()[0] for name in _PRAGMAS}
    facts["isolation_level"] = connection.isolation_level
    facts["by_dbos"] = threading.current_thread().name.startswith(("dbos-", "queue-worker-"))
    _SEEN.add(tuple(sorted(facts.items())))


_PRAGMAS = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")


def serve(line: Connection, directory: Path, crash: str | None, plans_version: str | None, set_forward: float) -> None:
    """Obey the commands that come on the line until it ends."""
    log = os.open(directory / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(log, sys.stderr.fileno())
    structlog.configure(
        processors=[structlog.processors.format_exc_info, structlog.processors.JSONRenderer()],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    # On the class: connections of any engine there might be, also one that DBOS made for itself.
    sa.event.listen(sa.pool.Pool, "checkin", _remember)
    if plans_version is not None:
        on_dbos.PLANS_VERSION = plans_version  # type: ignore[misc]  # as a release with other plans would
    bench = DurableBench(directory, crash, set_forward)
    bench.operations.start()
    commands = Commands(bench)
    line.send(("started", None))
    while True:
        try:
            command, arguments = line.recv()
        except EOFError:
            os._exit(0)
        try:
            line.send((getattr(commands, command)(**arguments), None))
        except Exception as error:
            line.send((None, repr(error)))
