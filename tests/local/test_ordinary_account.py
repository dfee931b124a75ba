"""The whole service as an ordinary account: its own libvirt session, no systemd, no runtime directory, no root.

The account is the one that root's machines run under, which every host with this test has; it has no home, so it gets
one. Nothing of the service runs as root.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import poolwright
from poolwright.machines.images.build import Form
from poolwright.machines.images.store import DiskImage
from poolwright.machines.local.daemon import ACCOUNT
from poolwright.testing.process import Service
from tests.local.service import PATIENCE_SECONDS, cluster_of, end, lives, machines, processes_with, put_cluster, wait

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another account")


@dataclass(frozen=True)
class Ordinary:
    """An account with a home; `prefix` runs a command as it, with nothing but that home in its environment."""

    uid: int
    home: Path
    python: tuple[str, ...]

    @property
    def prefix(self) -> tuple[str, ...]:
        # setpriv itself still finds programs as root does; env does not.
        return ("setpriv", f"--reuid={self.uid}", f"--regid={ACCOUNT}", "--clear-groups", "--no-new-privs", "env")

    @property
    def environment(self) -> dict[str, str]:
        packages = [path for path in sys.path if path.endswith("-packages")]
        source = str(Path(poolwright.__file__).parent.parent)
        path = os.pathsep.join([*packages, source])
        return {"HOME": str(self.home), "PATH": "/usr/bin:/bin", "PYTHONPATH": path}

    @property
    def sockets(self) -> Path:
        return Path(f"/tmp/poolwright-{self.uid}")

    def poolwright(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            (*self.prefix, *self.python, *arguments),
            env=self.environment,
            cwd="/",
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
        )

    @property
    def processes(self) -> list[int]:
        """Everything that runs of this home."""
        return processes_with(str(self.home))


@pytest.fixture
def ordinary(node_images: dict[Form, DiskImage]) -> Iterator[Ordinary]:
    known = pwd.getpwnam(ACCOUNT)
    home = Path(tempfile.mkdtemp(prefix="pw-home-", dir="/tmp"))
    shutil.copytree(node_images[Form.GEN1].path.parent, home / "images")
    for path in (home, *home.rglob("*")):
        os.chown(path, known.pw_uid, known.pw_gid)
    # The interpreter of this test may lie where only root can go.
    for interpreter in (sys.executable, "/usr/bin/python3"):
        made = Ordinary(known.pw_uid, home, (interpreter, "-m", "poolwright.cli.main"))
        if made.poolwright("--version").returncode == 0:
            break
    else:
        pytest.skip(f"no Python here that the account {ACCOUNT} can run with this package")
    yield made
    end(made.processes)
    wait(lambda: not made.processes)
    for place in (home, made.sockets):
        shutil.rmtree(place, ignore_errors=True)


@pytest.fixture
def service(ordinary: Ordinary) -> Iterator[Service]:
    made = Service(
        ordinary.home / "data",
        engine="local",
        local_stand_ins=ordinary.home / "images",
        local_accelerator="tcg",
        local_memory_mib=256,
    )
    bare = [f"{name}={value}" for name, value in ordinary.environment.items()]
    gone = [option for name in os.environ if name.startswith("XDG_") for option in ("-u", name)]
    made.command = (*ordinary.prefix, *gone, *bare, *ordinary.python, "up")
    made.start()
    yield made
    made.kill()


def test_machines_of_an_ordinary_account_come_up_outlive_its_service_and_leave_nothing(
    ordinary: Ordinary, service: Service
) -> None:
    client = service.client
    client.expect(201, client.put(client.group(), json={"location": "eastus"}))
    cluster_of(service)
    assert [machine["observedGeneration"] for machine in machines(service, "sys")] == ["V1"]
    (machine,) = emulators(ordinary)
    assert Path(f"/proc/{machine}").stat().st_uid == ordinary.uid

    service.kill()
    service.start()
    wait(lambda: lives(service)["sys"]["phase"] == "ready")
    assert emulators(ordinary) == [machine]
    assert lives(service)["sys"]["boots"] == 1

    service.client.timeout = PATIENCE_SECONDS
    service.reset()
    assert emulators(ordinary) == []
    assert left_of_machines(ordinary) == []

    # Its data directory is lost while a machine runs; another service's stays.
    client = service.client
    client.expect(201, client.put(client.group(), json={"location": "eastus"}))
    client.expect(201, put_cluster(service))
    wait(lambda: len(emulators(ordinary)) == 1)
    assert ordinary.poolwright("host", "clean").stderr.splitlines()[-1] == "0 service(s) cleaned up after"
    assert len(emulators(ordinary)) == 1
    service.kill()
    shutil.rmtree(service.data_dir)
    cleaned = ordinary.poolwright("host", "clean")
    assert cleaned.returncode == 0, cleaned.stderr
    assert cleaned.stderr.splitlines()[-1] == "1 service(s) cleaned up after"
    assert emulators(ordinary) == []
    assert left_of_machines(ordinary) == []


def emulators(ordinary: Ordinary) -> list[int]:
    return [pid for pid in ordinary.processes if "qemu-system" in Path(f"/proc/{pid}/cmdline").read_text()]


def left_of_machines(ordinary: Ordinary) -> list[Path]:
    """Files and directories of machines in the account's home and among its sockets."""
    places = [*ordinary.home.rglob("*"), *ordinary.sockets.rglob("*")]
    mine = ("poolwright-", "domain-", "-vmss", "disk.qcow2", "agent")
    return [place for place in places if "images" not in place.parts and place.name.startswith(mine)]
