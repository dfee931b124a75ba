"""The durable port in a process of its own: DBOS is a singleton of its process, and a kill takes the process."""

from __future__ import annotations

import json
import multiprocessing
import signal
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from tests.support.scripted_cluster import ScriptedCluster

DEADLINE_SECONDS = 60.0
# Processes come from one that has everything imported: a start takes a tenth of a second.
_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["tests.durability.serve_operations"])


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it did not come to be"
        threading.Event().wait(0.005)


class Died(Exception):
    """The process ended instead of answering."""


class OperationsProcess:
    """A workbench on DBOS in another process, on a directory that survives it.

    `call` runs the methods of `serve_operations.Commands`. `cluster` is the Kubernetes cluster it works with.
    """

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self.cluster = ScriptedCluster(directory / "cluster.sqlite")
        self._process: BaseProcess | None = None
        self._line: Connection | None = None

    def start(
        self, *, crash: str | None = None, plans_version: str | None = None, set_forward: float = 0.0
    ) -> OperationsProcess:
        """Start the process; its recovery is under way when this returns. `set_forward` is its clock, in seconds."""
        from tests.durability.serve_operations import serve

        self._line, far_end = _FORKS.Pipe()
        self._process = _FORKS.Process(target=serve, args=(far_end, self.directory, crash, plans_version, set_forward))
        self._process.start()
        far_end.close()
        assert self._answer() == "started"
        return self

    def call(self, command: str, **arguments: Any) -> Any:
        """Run a command there and return its answer. Raises `Died` when the process ends instead."""
        assert self._line is not None
        try:
            self._line.send((command, arguments))
        except BrokenPipeError as error:
            raise Died from error
        return self._answer()

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        assert self.wait() == -signal.SIGKILL

    def require_killed(self, operation: str, where: str) -> None:
        """The process kills itself while it carries out that operation."""
        # When it does so after the operation has ended, it may still say that.
        with suppress(Died):
            self.call("end", operation=operation)
        assert self.wait() == -signal.SIGKILL, f"{where}: {self.log()[-2000:]}"

    def stop(self) -> None:
        """Stop as the service does after SIGTERM."""
        with suppress(Died):
            self.call("stop")
        assert self.wait() == 0, self.log()

    def wait(self) -> int | None:
        """Wait until the process has ended and return its exit code."""
        assert self._process is not None
        assert self._line is not None
        self._process.join(DEADLINE_SECONDS)
        self._line.close()
        return self._process.exitcode

    def end(self) -> None:
        """Whatever happened: leave no process behind."""
        if self._process is not None and self._process.is_alive():
            self.kill()
        self.cluster.close()

    def stored(self, operation: str) -> dict[str, Any]:
        """The record of an operation, also while no process is there to be asked."""
        store = f"file:{self.directory / 'poolwright.sqlite'}?mode=ro"
        with closing(sqlite3.connect(store, uri=True)) as connection:
            [(record,)] = connection.execute("SELECT record FROM pw_operations WHERE id = ?", (operation,)).fetchall()
        found: dict[str, Any] = json.loads(record)
        return found

    def log(self) -> str:
        return (self.directory / "log").read_text(errors="replace")

    def _answer(self) -> Any:
        assert self._line is not None
        assert self._line.poll(DEADLINE_SECONDS), self.log()
        try:
            answer, raised = self._line.recv()
        except (EOFError, ConnectionResetError) as error:
            raise Died from error
        assert raised is None, raised
        return answer
