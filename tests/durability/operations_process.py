"""The durable port in a process of its own: DBOS is a singleton of its process, and a kill takes the process."""

from __future__ import annotations

import multiprocessing
import signal
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

DEADLINE_SECONDS = 60.0
# Processes come from one that has everything imported: a start takes a tenth of a second.
_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["tests.durability.serve_operations"])


class Died(Exception):
    """The process ended instead of answering."""


class OperationsProcess:
    """A workbench on DBOS in another process, on a directory that survives it.

    `call` runs the methods of `serve_operations.Commands`.
    """

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
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
