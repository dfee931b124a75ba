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
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from poolwright.machines.engine import PermanentError, TemporaryError
from poolwright.machines.local.hypervisor import Hypervisor

ACCOUNT: Final = "poolwright"
_IDLE_SECONDS: Final = 120
_START_TIMEOUT_SECONDS: Final = 20.0
_SEARCH_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_SESSION: Final = "qemu:///session"
# unix(7), and qemuDomainSetPrivatePaths in libvirt: the number of a machine and 20 characters of its name.
_LONGEST_SOCKET: Final = 107
_MONITOR: Final = f"/libvirt/qemu/lib/domain-99999-{'n' * 20}/monitor.sock"
# Where the host's libvirt writes about machines, and swtpm for it.
_SYSTEM_LOGS: Final = (Path("/var/log/libvirt/qemu"), Path("/var/log/swtpm/libvirt/qemu"))


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

    @classmethod
    def numbered(cls, uid: int, gid: int) -> Account:
        try:
            return cls(pwd.getpwuid(uid).pw_name, uid, gid)
        except KeyError:
            return cls(str(uid), uid, gid)

    def give(self, path: Path) -> None:
        """The path belongs to the account."""
        if self.name is not None:
            os.chown(path, self.uid, self.gid)


@dataclass(frozen=True, slots=True)
class Libvirt:
    """Where libvirt is. `ensure` starts what listens at `uri`, where that is ours to start.

    `account` is whom its machines run as, `logs` where they are written about; `is_privileged` says that it runs as
    root, and so reaches all of the host.
    """

    uri: str
    account: Account
    logs: tuple[Path, ...]
    ensure: Callable[[], None] = lambda: None
    is_privileged: bool = False

    def hypervisor(self) -> Hypervisor:
        return Hypervisor(self.uri, self.ensure)


def libvirt_of(uri: str | None, directory: Path, sockets: Path) -> Libvirt:
    """Return where libvirt is for the machines in those directories; `uri` is what somebody wants it to be.

    Raises `PermanentError`, which says what to do, where that cannot be.
    """
    is_root = os.geteuid() == 0
    if uri is None and is_root:
        daemon = private_daemon(directory, sockets)
        return Libvirt(daemon.uri, daemon.account, (daemon.logs,), daemon.ensure)
    if uri is None or urlsplit(uri).path == "/session":
        account = Account.called(ACCOUNT) if is_root else Account.own()
        if not is_root:
            _require_short(Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"))
        return Libvirt(uri or _SESSION, account, (_session_logs(),))
    parts = urlsplit(uri)
    if parts.scheme.partition("+")[0] != "qemu" or parts.path != "/system":
        raise PermanentError(
            f"POOLWRIGHT_LOCAL_URI={uri} is no connection to QEMU on this host",
            remedy="Use qemu:///system or qemu:///session, or leave it away.",
        )
    if parts.hostname:
        raise PermanentError(
            f"POOLWRIGHT_LOCAL_URI={uri} names another host, and the files of machines are on this one",
            remedy=f"Run the service on {parts.hostname}.",
        )
    if not is_root:
        raise PermanentError(
            "machines of the system's libvirt belong to another account, and only root can give files to it and talk "
            "to the agents inside",
            remedy="Run the service as root, or leave POOLWRIGHT_LOCAL_URI away: qemu:///session needs no root.",
        )
    return Libvirt(uri, _owner_of_machines(uri), _SYSTEM_LOGS, is_privileged=True)


def private_daemon(directory: Path, sockets: Path) -> PrivateDaemon:
    """Return root's own daemon for machines in those directories. Raises `PermanentError` without its account."""
    return PrivateDaemon(Account.called(ACCOUNT), directory / "libvirt", sockets / "libvirt.d")


def _owner_of_machines(uri: str) -> Account:
    """Return whom a privileged libvirt runs machines as. Raises `PermanentError` where it does not answer."""
    hypervisor = Hypervisor(uri, lambda: None)
    try:
        owner = hypervisor.owner_of_machines()
    except TemporaryError as error:
        raise PermanentError(
            str(error), remedy="Start it (systemctl start libvirtd), or leave POOLWRIGHT_LOCAL_URI away."
        ) from error
    finally:
        hypervisor.close()
    return Account.numbered(*owner)


def _require_short(configuration: Path) -> None:
    """Raises `PermanentError` where libvirt's sockets of machines would have longer paths than sockets can."""
    if len(str(configuration)) + len(_MONITOR) > _LONGEST_SOCKET:
        raise PermanentError(
            f"libvirt keeps sockets of machines below {configuration}, and their paths would be longer than "
            f"{_LONGEST_SOCKET} bytes",
            remedy=f"Set XDG_CONFIG_HOME to a directory of at most {_LONGEST_SOCKET - len(_MONITOR)} bytes.",
        )


def _session_logs() -> Path:
    """Where libvirt's session daemon of this account writes about machines."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "libvirt" / "qemu" / "log"


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
            # After a reboot of the host the number may be another process's.
            is_ours = Path(f"/proc/{pid}/comm").read_text() == "libvirtd\n"
        except (OSError, ValueError):
            return None
        return pid if is_ours else None

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
                    # Not a directory further down: libvirt has sockets below it.
                    "XDG_CONFIG_HOME": str(self.home),
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
