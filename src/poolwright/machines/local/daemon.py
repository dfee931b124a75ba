"""Where libvirt is: the user's own daemon, the system's, or, for root, a private one under an unprivileged account.

Root has no session mode of libvirt's, and machines must not run as root, so the service starts a daemon of its own
there. It needs neither systemd nor a change to the host's libvirt configuration, and ends by itself when it has nothing
to do.

Invariant: a daemon outlives the service, and its machines outlive the daemon.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from poolwright.machines.engine import PermanentError, TemporaryError

ACCOUNT: Final = "poolwright"
_IDLE_SECONDS: Final = 120
_START_TIMEOUT_SECONDS: Final = 20.0
_SEARCH_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True)
class Account:
    """Who runs the machines. `name` is None for whoever runs the service."""

    name: str | None
    uid: int
    gid: int

    @classmethod
    def own(cls) -> Account:
        return cls(None, os.getuid(), os.getgid())

    @classmethod
    def called(cls, name: str) -> Account:
        """Raises `PermanentError` where there is no such account."""
        try:
            known = pwd.getpwnam(name)
        except KeyError:
            raise PermanentError(
                f"the host has no account '{name}', under which machines run when the service is root's",
                remedy=f"Run `poolwright host install`, or: useradd --system --shell /usr/sbin/nologin {name}",
            ) from None
        return cls(name, known.pw_uid, known.pw_gid)

    def give(self, path: Path) -> None:
        """The path belongs to the account."""
        if self.name is not None:
            os.chown(path, self.uid, self.gid)


@dataclass(frozen=True, slots=True)
class PrivateDaemon:
    """A libvirt daemon of this service's own. `runtime` holds its sockets, `home` its configuration and log."""

    account: Account
    home: Path
    runtime: Path

    @property
    def uri(self) -> str:
        return f"qemu+unix:///session?socket={self._socket}"

    @property
    def logs(self) -> Path:
        """Where it and QEMU write about machines."""
        return self.home / "cache" / "libvirt" / "qemu" / "log"

    @property
    def pid(self) -> int | None:
        """The process that runs, None where none does."""
        try:
            pid = int((self.runtime / "libvirt" / "libvirtd.pid").read_text())
            os.kill(pid, 0)
        except (OSError, ValueError):
            return None
        return pid

    def ensure(self) -> None:
        """Afterwards the daemon takes connections. Raises `PermanentError` without libvirt, else `TemporaryError`."""
        if self._answers():
            return
        program = shutil.which("libvirtd", path=_SEARCH_PATH)
        if program is None:
            raise PermanentError("libvirt is not installed", remedy="Run `poolwright host install`.")
        for directory in (self.home, self.runtime):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.account.give(directory)
        deadline = time.monotonic() + _START_TIMEOUT_SECONDS
        self._start(program)
        while not self._answers():
            if time.monotonic() > deadline:
                raise TemporaryError("libvirt's daemon does not answer", retry_after_seconds=2)
            time.sleep(0.02)

    def end(self) -> None:
        """The daemon is gone; machines that run go on."""
        pid = self.pid
        if pid is None:
            return
        os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + _START_TIMEOUT_SECONDS
        while self.pid == pid and time.monotonic() < deadline:
            time.sleep(0.02)

    def _start(self, program: str) -> None:
        """It goes to the background by itself; a second one ends at once because the first holds the PID file."""
        is_other = self.account.name is not None
        try:
            subprocess.run(
                [program, "--daemon", "--timeout", str(_IDLE_SECONDS)],
                user=self.account.uid if is_other else None,
                group=self.account.gid if is_other else None,
                extra_groups=[] if is_other else None,
                env={
                    "PATH": _SEARCH_PATH,
                    "LANG": "C.UTF-8",
                    "HOME": str(self.home),
                    "XDG_RUNTIME_DIR": str(self.runtime),
                    "XDG_CONFIG_HOME": str(self.home / "config"),
                    "XDG_CACHE_HOME": str(self.home / "cache"),
                },
                cwd="/",
                umask=0o077,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                # Ctrl-C at the service's terminal is not for the daemon.
                start_new_session=True,
                timeout=_START_TIMEOUT_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise TemporaryError("libvirt's daemon does not start", retry_after_seconds=2) from error

    @property
    def _socket(self) -> Path:
        return self.runtime / "libvirt" / "libvirt-sock"

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as attempt:
            try:
                attempt.connect(str(self._socket))
            except OSError:
                return False
        return True
