"""Every form of the node image boots where it says it does, and its agent tells what the firmware shows.

Real machines of bare QEMU, one at a time, always emulated.
"""

from __future__ import annotations

import subprocess
import time
import uuid
from pathlib import Path
from typing import Any

import pytest

from poolwright.machines.images.build import Form
from poolwright.machines.images.store import DiskImage
from tests.local import disks
from tests.local.bare_qemu import BOOT_SECONDS, Hardware, Machine, booted

UUID = "6f1d9e34-8c52-4c1b-9c0e-0a4f6b2d7e11"
WEIRD_NAME = 'we"ird\\ machine $(reboot) `x` ü'


def nonce() -> str:
    return uuid.uuid4().hex


def answered(machine: Machine) -> dict[str, Any]:
    """A report that was asked for."""
    asked = nonce()
    machine.say(f"report {asked}")
    return machine.heard("report", nonce=asked)


def test_gen1_boots_by_bios_and_its_agent_keeps_to_the_protocol(
    node_images: dict[Form, DiskImage], short_directory: Path
) -> None:
    hardware = Hardware(generation=1, network=True, further=("-uuid", UUID))
    with booted(node_images[Form.GEN1].path, hardware, short_directory) as machine:
        first = machine.heard("report")
        assert machine.lines == [first]
        assert {name: first[name] for name in ("firmware", "secureBoot", "setupMode", "tpm")} == {
            "firmware": "bios",
            "secureBoot": None,
            "setupMode": None,
            "tpm": None,
        }
        assert first["disk"] == {"name": "sda", "bytes": 64 * 1024**2, "bus": "ide", "partitionTable": "mbr"}
        assert (first["uuid"], first["machine"], first["firmwareVendor"]) == (UUID, "m1", "SeaBIOS")
        assert (first["vendor"], first["product"]) == ("QEMU", "Standard PC (i440FX + PIIX, 1996)")
        assert first["kernel"] in node_images[Form.GEN1].source[0]
        assert 150_000 < first["memory"]["availableKiB"] < first["memory"]["totalKiB"] < 256 * 1024
        assert (first["cpus"], first["pmem"], first["sgx"]) == (1, [], False)
        assert "poolwright-agent: {" in machine.console

        second = answered(machine)
        assert second["uptime"] > first["uptime"]
        assert second.keys() == first.keys()
        deadline = time.monotonic() + 60
        while answered(machine)["ip"] != "10.0.2.15":
            assert time.monotonic() < deadline
            time.sleep(1)

        machine.say("")
        machine.say("   ")
        machine.say("report" + " x" * 200)
        assert machine.heard("report", nonce="x")["firmware"] == "bios"
        for line, command in ((r'no\nsense" *', r"no\nsense" + '"'), ("panic", "panic"), ("* /*", "*")):
            machine.say(line)
            assert machine.heard("error")["command"] == command
        machine.say("ping p1")
        machine.heard("pong", nonce="p1")

        beats = [machine.heard("heartbeat")["uptime"] for _ in range(3)]
        assert beats == sorted(beats)
        assert 4.5 < (beats[2] - beats[0]) / 2 < 9, beats

        # Nobody listens for a while: nothing that was said meanwhile may be heard afterwards.
        last = answered(machine)["uptime"]
        machine.disconnect()
        time.sleep(12)
        machine.connect()
        machine.lines.clear()
        assert answered(machine)["uptime"] >= last + 11
        assert all(line["uptime"] >= last + 11 for line in machine.lines), machine.lines

        machine.monitor("system_powerdown")
        machine.heard("stopping")
        assert machine.ended() == 0


def test_gen2_boots_with_secure_boot_a_tpm_and_persistent_memory_and_says_so(
    node_images: dict[Form, DiskImage], short_directory: Path
) -> None:
    (short_directory / "tpm").mkdir()
    socket = short_directory / "tpm.sock"
    hardware = Hardware(
        generation=2,
        secure_boot=True,
        machine=WEIRD_NAME,
        further=(
            *("-uuid", UUID, "-machine", "nvdimm=on", "-m", "slots=2,maxmem=2G"),
            *("-object", f"memory-backend-file,id=nv,share=on,mem-path={short_directory}/pmem,size=128M"),
            *("-device", "nvdimm,id=nvdimm,memdev=nv"),
            *("-chardev", f"socket,id=tpm,path={socket}", "-tpmdev", "emulator,id=tpm0,chardev=tpm"),
            *("-device", "tpm-crb,tpmdev=tpm0"),
        ),
    )
    line = ["swtpm", "socket", "--tpm2", "--tpmstate", f"dir={short_directory}/tpm", "--terminate"]
    with subprocess.Popen([*line, "--ctrl", f"type=unixio,path={socket}"], stdin=subprocess.DEVNULL) as swtpm:
        try:
            deadline = time.monotonic() + 30
            while not socket.exists():
                assert time.monotonic() < deadline
                time.sleep(0.05)
            with booted(node_images[Form.GEN2].path, hardware, short_directory) as machine:
                machine.heard("report")
                report = answered(machine)
                assert (report["firmware"], report["secureBoot"], report["setupMode"]) == ("uefi", True, False)
                assert report["tpm"] == "2"
                assert report["disk"]["bus"] == "virtio-scsi"
                assert report["disk"]["partitionTable"] == "gpt"
                assert report["pmem"] == [{"device": "pmem0", "bytes": 128 * 1024**2}]
                assert report["uuid"] == UUID
                assert report["machine"] == WEIRD_NAME.removesuffix("ü")
                assert report["ip"] is None
                machine.say("poweroff")
                machine.heard("stopping")
                assert machine.ended() == 0
        finally:
            swtpm.kill()


@pytest.mark.parametrize(
    ("generation", "firmware", "bus"), [(1, "bios", "ide"), (2, "uefi", "virtio-scsi")], ids=["bios", "uefi"]
)
def test_hybrid_boots_by_both_and_panics_only_in_a_test(
    generation: int, firmware: str, bus: str, node_images: dict[Form, DiskImage], short_directory: Path
) -> None:
    further = ("-smbios", "type=11,value=poolwright:test=1") if generation == 1 else ()
    hardware = Hardware(generation, further=further)
    with booted(node_images[Form.HYBRID].path, hardware, short_directory) as machine:
        machine.heard("report")
        report = answered(machine)
        assert (report["firmware"], report["disk"]["bus"]) == (firmware, bus)
        assert report["disk"]["partitionTable"] == "gpt"
        assert report["secureBoot"] is (None if generation == 1 else False)
        machine.say("panic" if generation == 1 else "reboot")
        machine.heard("stopping") if generation == 2 else machine.console_shows("Kernel panic")
        assert machine.ended() == 0


def test_a_kernel_that_secure_boot_refuses_ends_the_machine_instead_of_burning_a_core(
    node_images: dict[Form, DiskImage], short_directory: Path
) -> None:
    raw, kernel = short_directory / "raw", short_directory / "vmlinuz"
    place = ("-i", f"{raw}@@1M")
    disks.program("qemu-img", "convert", "-O", "raw", node_images[Form.GEN2].path, raw)
    disks.program("mcopy", *place, "::/boot/vmlinuz", kernel)
    changed = bytearray(kernel.read_bytes())
    changed[len(changed) // 2] ^= 0xFF
    kernel.write_bytes(changed)
    disks.program("mcopy", "-o", *place, kernel, "::/boot/vmlinuz")
    disks.program("qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw, short_directory / "image.qcow2")

    with booted(short_directory / "image.qcow2", Hardware(generation=2, secure_boot=True), short_directory) as machine:
        assert machine.ended(BOOT_SECONDS) == 0
        assert "poolwright: GRUB cannot start the kernel" in machine.console
        assert "poolwright-agent" not in machine.console
