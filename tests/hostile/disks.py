"""A disk of one's own: small, and read-only when it is told to be.

It is a tmpfs in the mount namespace of a process that does nothing else; a service enters it, and the tests look in
through /proc. Root makes one at once; anybody else needs a user namespace, which some systems forbid: then the
tests say so and are skipped.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.service import ServiceProcess

_IS_ROOT = os.geteuid() == 0
_TIMEOUT_SECONDS = 30


class Disk:
    """`path` is where those who entered see it, `from_outside` where the others do; `enter` begins a command."""

    def __init__(self, mounted_at: Path, holder: subprocess.Popen[str]) -> None:
        self.path = mounted_at
        self.from_outside = Path(f"/proc/{holder.pid}/root{mounted_at}")
        user = () if _IS_ROOT else (f"--user=/proc/{holder.pid}/ns/user", "--preserve-credentials")
        self.enter = ("nsenter", f"--mount=/proc/{holder.pid}/ns/mnt", *user)

    def service(self) -> ServiceProcess:
        """Return a service, not started yet, whose data directory and log are on this disk."""
        made = ServiceProcess(self.from_outside / "data")
        made.settings["data_dir"] = self.path / "data"
        made.command = (*self.enter, *made.command)
        return made

    def free(self) -> int:
        """Return how many bytes fit."""
        room = os.statvfs(self.from_outside)
        return room.f_bavail * room.f_frsize

    def fill(self, *, leave: int = 0) -> None:
        """Leave so many bytes, in whole pages."""
        with (self.from_outside / "ballast").open("ab", buffering=0) as file, contextlib.suppress(OSError):
            while self.free() > leave:
                file.write(b"\0" * 4096)
        assert self.free() <= leave

    def make_room(self) -> None:
        (self.from_outside / "ballast").unlink()

    def make_read_only(self) -> None:
        """Nobody may have a file open for writing."""
        subprocess.run([*self.enter, "mount", "-o", "remount,ro", self.path], check=True, timeout=_TIMEOUT_SECONDS)


@contextlib.contextmanager
def disk(mounted_at: Path, kibibytes: int) -> Iterator[Disk]:
    """Yield an empty disk of that size."""
    mounted_at.mkdir()
    unshare = ["unshare", "--mount", *([] if _IS_ROOT else ["--map-root-user"])]
    script = f'mount -t tmpfs -o mode=700,size={kibibytes}k tmpfs "$0" && echo mounted && exec cat'
    try:
        holder = subprocess.Popen(
            [*unshare, "sh", "-c", script, mounted_at],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
    except FileNotFoundError:
        pytest.skip("unshare (util-linux) is not installed")
    with holder:
        assert holder.stdout is not None
        assert holder.stderr is not None
        assert holder.stdin is not None
        if holder.stdout.readline() != "mounted\n":
            pytest.skip(f"no file system can be mounted here: {holder.stderr.read().strip()}")
        yield Disk(mounted_at, holder)
        # It ends with its stdin, and the disk with it.
        holder.stdin.close()
