"""A service that uses a system libvirt, started here by hand in a private view of the file system, and a bridge.

libvirt keeps its configuration and state in fixed places of the host. So it, its log daemon, its machines and the
service run in a mount namespace in which those places are this test's; nothing of the host's libvirt is touched.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from poolwright.machines.images.build import Form
from poolwright.machines.images.store import DiskImage
from poolwright.machines.local import host
from poolwright.machines.local.daemon import private_daemon
from poolwright.testing.process import Service, ServiceEnded
from tests.local.service import PATIENCE_SECONDS, cluster_of, lives, machines, processes_with, wait

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root has a system libvirt")

# As Debian's libvirt-daemon-system makes it; the service has to ask libvirt for it.
QEMU_ACCOUNT, QEMU_UID = "libvirt-qemu", 64055
HELPER = "/usr/lib/qemu/qemu-bridge-helper"
PLACES = ("/etc/libvirt", "/var/lib/libvirt", "/var/log/libvirt", "/var/cache/libvirt", "/run/libvirt")


@dataclass(frozen=True)
class SystemLibvirt:
    """A libvirt that runs as root. What is run with `inside` before it sees the same file system."""

    directory: Path
    inside: tuple[str, ...]

    @property
    def uri(self) -> str:
        return f"qemu+unix:///system?socket={self.directory / 'sockets' / 'libvirt-sock'}"

    def found(self, *places: str) -> list[str]:
        """What lies in places that it keeps machines in."""
        command = (*self.inside, "find", *places, "-type", "f")
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines()


@contextmanager
def view(places: Sequence[str], *commands: str) -> Iterator[tuple[str, ...]]:
    """Yield what a command is run with to see empty directories in those places, after the commands were run there."""
    with ExitStack() as stack:
        for place in places:
            if not Path(place).exists():
                Path(place).mkdir(parents=True)
                # Not before the end: it would take the mount away as well.
                stack.callback(Path(place).rmdir)
        mounts = [f"mount -t tmpfs -o mode=755 none {place}" for place in places]
        holder = subprocess.Popen(
            ["unshare", "--mount", "sh", "-c", " && ".join([*mounts, *commands, "echo held", "exec cat"])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        stack.callback(stop, holder)
        assert holder.stdout is not None
        if holder.stdout.readline() != b"held\n":
            pytest.skip("this host allows no private mounts")
        yield ("nsenter", f"--mount=/proc/{holder.pid}/ns/mnt", "--")


@pytest.fixture
def system() -> Iterator[SystemLibvirt]:
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pw-system-", dir="/tmp")))
        (directory / "sockets").mkdir()
        for accounts, line in (
            ("passwd", f"{QEMU_ACCOUNT}:x:{QEMU_UID}:{QEMU_UID}::/var/lib/libvirt:/usr/sbin/nologin"),
            ("group", f"{QEMU_ACCOUNT}:x:{QEMU_UID}:"),
        ):
            known = Path("/etc", accounts).read_text()
            (directory / accounts).write_text(known if QEMU_ACCOUNT in known else f"{known}{line}\n")
        binds = [f"mount --bind {directory / accounts} /etc/{accounts}" for accounts in ("passwd", "group")]
        # Root's libvirt asks QEMU what KVM can do, for a minute where there is a /dev/kvm that does not work.
        binds.append("{ [ ! -e /dev/kvm ] || mount --bind /dev/null /dev/kvm; }")
        inside = stack.enter_context(view(PLACES, *binds))
        (directory / "libvirtd.conf").write_text(
            f'unix_sock_dir = "{directory}/sockets"\nauth_unix_rw = "none"\nauth_unix_ro = "none"\n'
        )
        for program in (["virtlogd"], ["libvirtd", "-f", str(directory / "libvirtd.conf"), "-p", "/run/libvirt/pid"]):
            log = stack.enter_context((directory / f"{program[0]}.log").open("wb"))
            daemon = subprocess.Popen([*inside, *program], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            stack.callback(stop, daemon)
        socket = directory / "sockets" / "libvirt-sock"
        deadline = time.monotonic() + 30
        while not socket.exists() or daemon.poll() is not None:
            assert time.monotonic() < deadline, (directory / "libvirtd.log").read_text()
            time.sleep(0.1)
        yield SystemLibvirt(directory, inside)


@pytest.fixture
def bridge() -> Iterator[str]:
    name = f"pw{uuid.uuid4().hex[:8]}"
    command = ["ip", "link", "add", "name", name, "type", "bridge"]
    if shutil.which("ip") is None or subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("this host lets nobody make a bridge")
    subprocess.run(["ip", "link", "set", name, "up"], check=True)
    yield name
    subprocess.run(["ip", "link", "delete", name], check=True)


def test_a_system_libvirt_runs_machines_on_a_bridge_and_nothing_stays(
    system: SystemLibvirt, bridge: str, tmp_path: Path, node_images: dict[Form, DiskImage]
) -> None:
    service = Service(
        tmp_path / "data",
        engine="local",
        local_uri=system.uri,
        local_bridge=bridge,
        local_stand_ins=node_images[Form.GEN1].path.parent,
        local_accelerator="tcg",
        local_memory_mib=256,
    )
    service.command = (*system.inside, *Service.command)
    service.start()
    directory, sockets = host.directories(service.data_dir)
    try:
        client = service.client
        client.expect(201, client.put(client.group(), json={"location": "eastus"}))
        cluster_of(service)
        (machine,) = machines(service, "sys")
        assert machine["observedGeneration"] == "V1"
        # Nobody gives addresses on this bridge, so the guest reports none.
        assert machine.get("ip") is None
        (qemu,) = emulators(directory)
        assert Path(f"/proc/{qemu}").stat().st_uid == qemu_uid()
        assert len(list(Path(f"/sys/class/net/{bridge}/brif").iterdir())) == 1

        service.kill()
        service.start()
        wait(lambda: lives(service)["sys"]["phase"] == "ready")
        assert emulators(directory) == [qemu]

        service.client.timeout = PATIENCE_SECONDS
        service.reset()
        assert emulators(directory) == []
        assert list(Path(f"/sys/class/net/{bridge}/brif").iterdir()) == []
        assert [line for line in system.found(*PLACES) if "poolwright-" in line or "domain-" in line] == []
        assert sorted(path.name for path in directory.iterdir()) == ["data-directory", "images"]
        assert list(sockets.iterdir()) == []
    finally:
        if service.is_running:
            service.client.timeout = PATIENCE_SECONDS
            service.reset()
            service.stop()
        for place in (directory, sockets):
            shutil.rmtree(place, ignore_errors=True)


def test_a_private_libvirt_uses_a_bridge_once_the_helper_may(
    bridge: str, tmp_path: Path, node_images: dict[Form, DiskImage]
) -> None:
    """What the refusal names is all that is missing."""
    service = Service(
        tmp_path / "data",
        engine="local",
        local_bridge=bridge,
        local_stand_ins=node_images[Form.GEN1].path.parent,
        local_accelerator="tcg",
        local_memory_mib=256,
    )
    directory, sockets = host.directories(service.data_dir)
    # Copies in the place of the host's own, to be changed.
    copies = f"cp {HELPER} /etc/qemu/helper && mount --bind /etc/qemu/helper {HELPER}"
    with view(["/etc/qemu", "/dev/net"], copies, "mknod -m 600 /dev/net/tun c 10 200") as inside:
        service.command = (*inside, *Service.command)
        with pytest.raises(ServiceEnded, match="As root: ") as refused:
            service.start()
        remedy = str(refused.value).partition("As root: ")[2].partition(". Or ")[0]
        subprocess.run([*inside, "sh", "-c", remedy], check=True)
        service.start()
        try:
            client = service.client
            client.expect(201, client.put(client.group(), json={"location": "eastus"}))
            cluster_of(service)
            assert [machine["observedGeneration"] for machine in machines(service, "sys")] == ["V1"]
            assert len(list(Path(f"/sys/class/net/{bridge}/brif").iterdir())) == 1
        finally:
            service.client.timeout = PATIENCE_SECONDS
            service.reset()
            service.stop()
            private_daemon(directory, sockets).end()
            for place in (directory, sockets):
                shutil.rmtree(place, ignore_errors=True)


def qemu_uid() -> int:
    try:
        return pwd.getpwnam(QEMU_ACCOUNT).pw_uid
    except KeyError:
        return QEMU_UID


def emulators(directory: Path) -> list[int]:
    """The virtual machines whose disks lie there."""
    return [pid for pid in processes_with(str(directory)) if "qemu-system" in Path(f"/proc/{pid}/cmdline").read_text()]


def stop(process: subprocess.Popen[bytes]) -> None:
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
    process.terminate()
    process.wait(timeout=30)
