"""One `poolwright up` as a child process: started, killed, started again, and never left behind.

Invariants: the service ends with the process that started it, also where that is killed: it holds on to a pipe.
Every start of one `ChildService` has the same address.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Final, Self

READY_TIMEOUT_SECONDS: Final = 60
END_TIMEOUT_SECONDS: Final = 30


class ServiceEnded(AssertionError):
    """The service did not start, or ended although nobody asked it to; the message has its log."""


class ChildService:
    """A service on a data directory. `settings` are those of `poolwright up`: profile="azure-2026", seed=Path(...).

    Raises `TypeError` for a setting there is not. Without a port among them it has a free one, the same at every start.
    """

    # What runs `poolwright up`; a test may put something in front of it.
    command: Sequence[str] = (sys.executable, "-m", "poolwright.cli.main", "up")

    def __init__(self, data_dir: Path, **settings: object) -> None:
        self.data_dir = data_dir
        self.settings = known(settings)
        self.url = ""
        self._port: int | None = None
        self._process: subprocess.Popen[str] | None = None
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._log: IO[bytes] | None = None

    def start(self, **settings: object) -> Self:
        """Start the process and wait until it is ready. Raises `ServiceEnded` with its log when it ends instead."""
        self.launch(**settings)
        self.url = self.wait_ready()
        return self

    def launch(self, **settings: object) -> None:
        """Start the process without waiting. `settings` go before those of the object."""
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("POOLWRIGHT_", "AZURE_"))
        }
        chosen: dict[str, object] = {"data_dir": self.data_dir, "stop_with_stdin": True, **self.settings}
        chosen |= known(settings)
        if "port" not in chosen:
            chosen["port"] = self._own_port(str(chosen.get("host", "127.0.0.1")))
        for name, value in chosen.items():
            environment[f"POOLWRIGHT_{name.upper()}"] = str(value)
        self.data_dir.parent.mkdir(parents=True, exist_ok=True)
        self._log = self.log_path.open("ab")
        self._lines = queue.Queue()
        self._process = subprocess.Popen(
            self.command,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )
        threading.Thread(target=_read, args=(self._process, self._lines), daemon=True).start()

    def wait_ready(self) -> str:
        """Return the URL of the ready line. Raises `ServiceEnded`."""
        deadline = time.monotonic() + READY_TIMEOUT_SECONDS
        try:
            line = self._lines.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            raise ServiceEnded(f"no ready line within {READY_TIMEOUT_SECONDS} s:\n{self.log()}") from None
        if line is None:
            raise ServiceEnded(f"the service ended with {self.wait()}:\n{self.log()}")
        if not line.startswith("ready https://"):
            raise ServiceEnded(f"the service printed {line!r} in the place of its ready line:\n{self.log()}")
        return line.split()[1]

    @property
    def pid(self) -> int:
        return self._started.pid

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def credentials(self) -> dict[str, str]:
        """`tenantId`, `clientId`, `clientSecret` and `subscriptionId`."""
        loaded: dict[str, str] = json.loads((self.data_dir / "credentials.json").read_text())
        return loaded

    @property
    def ca(self) -> Path:
        """The certificate of the authority that clients have to trust."""
        return self.data_dir / "tls" / "ca.pem"

    @property
    def log_path(self) -> Path:
        return self.data_dir.with_name(self.data_dir.name + ".log")

    def log(self, since: int = 0) -> str:
        """Return what the service has logged, from a byte on."""
        with self.log_path.open("rb") as file:
            file.seek(since)
            return file.read().decode(errors="replace")

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal, wait, and return the exit code."""
        if self._started.poll() is None:
            self._started.send_signal(number)
        return self.wait()

    def kill(self) -> None:
        """End it as a crash would; what was accepted goes on at the next start."""
        self.stop(signal.SIGKILL)

    def wait(self) -> int:
        """Wait until the process ends by itself and return its exit code."""
        code = self._started.wait(timeout=END_TIMEOUT_SECONDS)
        if self._started.stdin is not None:
            self._started.stdin.close()
        if self._log is not None:
            self._log.close()
        return code

    def _own_port(self, host: str) -> int:
        """A port that nobody else gets as long as this object lives, also while no process listens on it.

        A socket that is bound and does not listen keeps it; with SO_REUSEADDR the service can listen there still.
        """
        if self._port is None:
            holder = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
            weakref.finalize(self, holder.close)
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                holder.bind((host, 0))
            except OSError:
                return 0  # an address that cannot be: the service says so
            self._port = holder.getsockname()[1]
        return self._port

    @property
    def _started(self) -> subprocess.Popen[str]:
        if self._process is None:
            raise ServiceEnded("the service was not started yet")
        return self._process


def known(settings: Mapping[str, object]) -> Mapping[str, object]:
    """The settings, all of which `poolwright up` has. Raises `TypeError`."""
    from poolwright.settings import Settings, unknown

    for name, meant in unknown(settings, Settings.model_fields):
        raise TypeError(f"Poolwright has no setting '{name}'{meant}")
    return settings


def _read(process: subprocess.Popen[str], lines: queue.Queue[str | None]) -> None:
    """Pass the lines of stdout on, and None at its end."""
    assert process.stdout is not None
    with process.stdout:
        for line in process.stdout:
            lines.put(line.rstrip("\n"))
    lines.put(None)
