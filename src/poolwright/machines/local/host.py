"""This host: what it has room for, where its machines lie, and whether hardware really runs them.

A `/dev/kvm` that opens proves nothing: under nested software virtualization QEMU starts and the guest never runs. So a
small boot is tried once, within a time limit, before KVM is used.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Final

from poolwright.machines.local.allocation import HostRoom
from poolwright.machines.local.daemon import ACCOUNT, Account, PrivateDaemon
from poolwright.machines.local.domain_xml import Accelerator

PROBE_SECONDS: Final = 10.0
# mov dx,0x3f8; mov al,'K'; out dx,al; cli; hlt; jmp to the hlt: it writes a letter to the first serial port.
_PROBE_SECTOR: Final = bytes.fromhex("baf803b04beefaf4ebfd").ljust(510, b"\0") + b"\x55\xaa"
_KIB_PER_MIB: Final = 1024
_ROOT_MACHINES: Final = Path("/var/lib/poolwright")
_ROOT_SOCKETS: Final = Path("/run/poolwright")
_OWNER: Final = "data-directory"


def room(directory: Path) -> HostRoom:
    """Return what is free on this host: memory as the kernel sees it, all CPUs, the disk that holds the directory."""
    return HostRoom(
        memory_mib=_available_mib(Path("/proc/meminfo").read_text()),
        cpus=os.cpu_count() or 1,
        disk_bytes=shutil.disk_usage(directory).free,
    )


def probe() -> tuple[Accelerator, str]:
    """Return what executes machines here, and why in words. Takes at most `PROBE_SECONDS`."""
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return Accelerator.TCG, "there is no /dev/kvm for this account"
    flags = Path("/proc/cpuinfo").read_text()
    if " vmx" not in flags and " svm" not in flags:
        return Accelerator.TCG, "the CPU shows neither vmx nor svm"
    if not boots_under(Accelerator.KVM):
        return Accelerator.TCG, f"/dev/kvm opens, and no machine ran under it within {PROBE_SECONDS:.0f} s"
    return Accelerator.KVM, "a probe machine booted under KVM"


def boots_under(accelerator: Accelerator, seconds: float = PROBE_SECONDS) -> bool:
    """Whether a machine executes the first sector of its disk within the time."""
    name = "kvm" if accelerator is Accelerator.KVM else "tcg"
    with tempfile.TemporaryDirectory(prefix="poolwright-probe-") as place:
        disk, serial = Path(place) / "disk", Path(place) / "serial"
        disk.write_bytes(_PROBE_SECTOR.ljust(1 << 20, b"\0"))
        command = (
            *("qemu-system-x86_64", "-accel", name, "-machine", "pc", "-m", "64", "-nodefaults", "-display", "none"),
            *("-drive", f"if=ide,format=raw,file={disk}", "-serial", f"file:{serial}"),
        )
        nowhere = subprocess.DEVNULL
        try:
            process = subprocess.Popen(command, stdin=nowhere, stdout=nowhere, stderr=nowhere)
        except FileNotFoundError:
            return False
        deadline = time.monotonic() + seconds
        try:
            while process.poll() is None and time.monotonic() < deadline:
                if serial.exists() and b"K" in serial.read_bytes():
                    return True
                time.sleep(0.05)
        finally:
            process.kill()
            process.wait()
    return False


def directories(data: Path) -> tuple[Path, Path, Account]:
    """Return where machines lie, where their sockets are, and whose they are, for a service's data directory.

    Machines of root's service run under another account, which cannot enter root's directories. Paths of sockets
    are at most 108 bytes long (unix(7)).
    """
    name = hashlib.sha256(str(data).encode()).hexdigest()[:8]
    if os.geteuid() == 0:
        return _ROOT_MACHINES / name, _ROOT_SOCKETS / name, Account.called(ACCOUNT)
    runtime = Path(os.environ.get("XDG_RUNTIME_DIR") or f"/tmp/poolwright-{os.geteuid()}")
    return data / "machines" / "local", runtime / "poolwright" / name, Account.own()


def mark(directory: Path, data: Path) -> None:
    """The directory of machines says whose it is, so that it can be told when that is gone."""
    (directory / _OWNER).write_text(f"{data}\n")


def abandoned() -> list[tuple[Path, Path]]:
    """Return directories and sockets of root's machines whose service's data directory is gone."""
    found = []
    for owner in sorted(_ROOT_MACHINES.glob(f"*/{_OWNER}")):
        if not Path(owner.read_text().rstrip("\n")).exists():
            found.append((owner.parent, _ROOT_SOCKETS / owner.parent.name))
    return found


def private_daemon(directory: Path, sockets: Path, account: Account) -> PrivateDaemon:
    """Return root's own daemon for those directories."""
    return PrivateDaemon(account, directory / "libvirt", sockets / "libvirt.d")


def session_logs() -> Path:
    """Return where libvirt's session daemon of this account writes about machines."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "libvirt" / "qemu" / "log"


def _available_mib(meminfo: str) -> int:
    for line in meminfo.splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) // _KIB_PER_MIB
    return 0
