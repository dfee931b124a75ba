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

from poolwright.machines.engine import PermanentError
from poolwright.machines.local.allocation import HostRoom
from poolwright.machines.local.daemon import Account
from poolwright.machines.local.domain_xml import Accelerator

PROBE_SECONDS: Final = 10.0
# mov dx,0x3f8; mov al,'K'; out dx,al; cli; hlt; jmp to the hlt: it writes a letter to the first serial port.
_PROBE_SECTOR: Final = bytes.fromhex("baf803b04beefaf4ebfd").ljust(510, b"\0") + b"\x55\xaa"
_KIB_PER_MIB: Final = 1024
ROOT_MACHINES: Final = Path("/var/lib/poolwright")
ROOT_SOCKETS: Final = Path("/run/poolwright")
_IN_DATA: Final = Path("machines/local")


def room(directory: Path) -> HostRoom:
    """Return what is free on this host: memory as the kernel sees it, all CPUs, the disk that holds the directory."""
    return HostRoom(
        memory_mib=_available_mib(Path("/proc/meminfo").read_text()),
        cpus=os.cpu_count() or 1,
        disk_bytes=shutil.disk_usage(directory).free,
    )


def boot() -> str:
    """Return what tells one boot of this host from another, and one run of a container that the service is in.

    Sources: random(4) for the ID, proc(5) for the start time of process 1, which everything here ends with.
    """
    identity = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    # The name of a process, in parentheses, may hold spaces; the start time is the 20th field after it.
    return f"{identity}-{Path('/proc/1/stat').read_text().rpartition(')')[2].split()[19]}"


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


def directories(data: Path) -> tuple[Path, Path]:
    """Return where the machines of a service with that data directory lie, and where their sockets are.

    Machines of root's service run under another account, which cannot enter root's directories. Paths of sockets
    are at most 108 bytes long (unix(7)).
    """
    name = hashlib.sha256(str(data).encode()).hexdigest()[:8]
    if os.geteuid() == 0:
        return ROOT_MACHINES / name, ROOT_SOCKETS / name
    return data / _IN_DATA, _own_sockets() / name


def data_of(disk: Path) -> Path:
    """Return the data directory of the service, of an ordinary account, that has a machine's disk there."""
    return disk.parents[1 + len(_IN_DATA.parts)]


def make_directories(directory: Path, sockets: Path, account: Account) -> None:
    """They are there, and the account's. Raises `PermanentError` where somebody else has them."""
    for made, mode in ((directory, 0o755), (sockets, 0o755 if os.geteuid() == 0 else 0o700)):
        made.mkdir(mode=mode, parents=True, exist_ok=True)
        account.give(made)
    # In /tmp anybody may have made it before.
    owner = _own_sockets() if os.geteuid() != 0 else sockets.parent
    if owner.is_symlink() or owner.stat().st_uid != os.geteuid():
        raise PermanentError(
            f"the directory of sockets {owner} belongs to another account",
            remedy="Have its owner remove it, or set XDG_RUNTIME_DIR to a directory of yours.",
        )


def _own_sockets() -> Path:
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    return Path(runtime) / "poolwright" if runtime else Path(f"/tmp/poolwright-{os.geteuid()}")


def _available_mib(meminfo: str) -> int:
    for line in meminfo.splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) // _KIB_PER_MIB
    return 0
