"""A machine of bare QEMU, emulated, with the other end of the guest agent's port.

It is what the machine engine is compared with, and it starts nothing but QEMU: no libvirt, never KVM.
"""

from __future__ import annotations

import json
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from poolwright.machines import host_packages

OVMF = Path("/usr/share/OVMF")
# One boot takes 6 to 20 s of processor time; other tests may run beside it.
BOOT_SECONDS = 480.0
SHORT_DIRECTORY = Path("/tmp")  # the path of a Unix socket has 107 characters at most


@dataclass(frozen=True)
class Hardware:
    """What the machine consists of besides its disk."""

    generation: int
    secure_boot: bool = False
    network: bool = False
    machine: str = "m1"
    virtio_disk: bool = False
    further: Sequence[str] = ()

    def options(self, directory: Path) -> list[str]:
        if self.generation == 1:
            device = "virtio-blk-pci" if self.virtio_disk else "ide-hd"
            disk = ["-machine", "pc", "-m", "256M", "-device", f"{device},drive=disk,bootindex=1"]
        else:
            code, variables, machine, memory = "OVMF_CODE_4M.fd", "OVMF_VARS_4M.fd", "q35", "256M"
            if self.secure_boot:
                code, variables = "OVMF_CODE_4M.secboot.fd", "OVMF_VARS_4M.ms.fd"
                machine, memory = "q35,smm=on", "512M"
            shutil.copyfile(OVMF / variables, directory / "variables.fd")
            disk = [
                *("-machine", machine, "-m", memory),
                *("-drive", f"if=pflash,unit=0,format=raw,readonly=on,file={OVMF / code}"),
                *("-drive", f"if=pflash,unit=1,format=raw,file={directory}/variables.fd"),
                *("-device", "virtio-scsi-pci,id=scsi", "-device", "scsi-hd,drive=disk,bus=scsi.0,bootindex=1"),
            ]
            if self.secure_boot:
                disk += ["-global", "driver=cfi.pflash01,property=secure,value=on"]
        nic = ["-netdev", "user,id=net,restrict=on", "-device", "virtio-net-pci,netdev=net"] if self.network else []
        return [*disk, *nic, "-smbios", f"type=11,value=poolwright:machine={self.machine}", *self.further]


class Machine:
    """A running machine."""

    def __init__(self, process: subprocess.Popen[bytes], directory: Path) -> None:
        self.process = process
        self._directory = directory
        self._port = socket.socket(socket.AF_UNIX)
        self._buffer = b""
        self.lines: list[dict[str, Any]] = []

    @property
    def console(self) -> str:
        return (self._directory / "serial.log").read_text(errors="replace")

    def connect(self, seconds: float = 30.0) -> None:
        deadline = time.monotonic() + seconds
        while True:
            self._port.close()
            self._port = socket.socket(socket.AF_UNIX)
            try:
                self._port.connect(str(self._directory / "agent.sock"))
                return
            except OSError:
                assert self.process.poll() is None, (self._directory / "qemu.log").read_text()
                assert time.monotonic() < deadline
                time.sleep(0.05)

    def disconnect(self) -> None:
        self._port.close()
        self._buffer = b""

    def say(self, line: str) -> None:
        self._port.sendall(line.encode() + b"\n")

    def heard(self, kind: str, seconds: float = BOOT_SECONDS, nonce: str | None = None) -> dict[str, Any]:
        """Return the next line of that type (and nonce) the agent says; every line must be JSON."""
        deadline = time.monotonic() + seconds
        while True:
            line = self._line(deadline)
            self.lines.append(line)
            if line["type"] == kind and line.get("nonce") == nonce:
                return line

    def console_shows(self, pattern: str, seconds: float = BOOT_SECONDS) -> re.Match[str]:
        deadline = time.monotonic() + seconds
        while (found := re.search(pattern, self.console)) is None:
            assert time.monotonic() < deadline, self.console
            assert self.process.poll() is None, self.console
            time.sleep(0.2)
        return found

    def ended(self, seconds: float = 60.0) -> int:
        return self.process.wait(seconds)

    def monitor(self, command: str) -> None:
        """Say one command to QEMU's monitor."""
        with socket.socket(socket.AF_UNIX) as monitor:
            monitor.connect(str(self._directory / "qmp.sock"))
            with monitor.makefile("rw") as both:
                both.readline()
                for name in ("qmp_capabilities", command):
                    both.write(json.dumps({"execute": name}) + "\n")
                    both.flush()
                    both.readline()

    def _line(self, deadline: float) -> dict[str, Any]:
        while b"\n" not in self._buffer:
            assert time.monotonic() < deadline, f"{self.lines}\n{self.console}"
            self._port.settimeout(max(0.1, deadline - time.monotonic()))
            try:
                more = self._port.recv(65536)
            except TimeoutError:
                continue
            assert more, f"QEMU ended: {self.console}"
            self._buffer += more
        line, _, self._buffer = self._buffer.partition(b"\n")
        spoken: dict[str, Any] = json.loads(line)
        return spoken


@contextmanager
def booted(image: Path, hardware: Hardware, directory: Path) -> Iterator[Machine]:
    """Yield a machine that has just been switched on with a disk on top of the image; it is off afterwards."""
    directory.mkdir(exist_ok=True)
    disk = directory / "disk.qcow2"
    command = host_packages.command("qemu-img")
    assert command is not None
    subprocess.run(
        [command, "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", str(image.absolute()), str(disk)],
        check=True,
        timeout=60,
    )
    program = host_packages.command("qemu-system-x86_64")
    assert program is not None
    line = [
        *(program, "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "1"),
        *("-nodefaults", "-no-user-config", "-display", "none", "-boot", "strict=on", "-no-reboot"),
        *("-chardev", f"file,id=serial,path={directory}/serial.log", "-serial", "chardev:serial"),
        *(
            "-chardev",
            f"socket,id=qmp,path={directory}/qmp.sock,server=on,wait=off",
            "-mon",
            "chardev=qmp,mode=control",
        ),
        *(
            "-device",
            "virtio-serial-pci",
            "-chardev",
            f"socket,id=agent,path={directory}/agent.sock,server=on,wait=off",
        ),
        *("-device", "virtserialport,chardev=agent,name=org.poolwright.agent.0"),
        *("-drive", f"if=none,id=disk,format=qcow2,file={disk},cache=unsafe"),
        *hardware.options(directory),
    ]
    with (directory / "qemu.log").open("wb") as log:
        process = subprocess.Popen(line, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    machine = Machine(process, directory)
    try:
        machine.connect()
        yield machine
    finally:
        machine.disconnect()
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        process.wait(30)
