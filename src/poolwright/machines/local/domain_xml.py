"""The libvirt definition of a machine: from what it is to be to XML.

Generation 1 is SeaBIOS on `pc`; Generation 2 is OVMF on `q35`, with Secure Boot enforced by SMM and enrolled keys where
the node pool has it, and a TPM 2.0 of its own where it has a vTPM.

Invariant: pure; the same machine on the same host renders the same text, which golden files show. Nothing else in
the product writes libvirt XML. Source of the elements: https://libvirt.org/formatdomain.html
"""

from __future__ import annotations

import hashlib
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Final

from poolwright.domain.generation import Generation
from poolwright.machines.local.allocation import Allocation

# An element of ours in a definition tells people which machine of which node pool it is.
NAMESPACE: Final = "urn:poolwright:libvirt:1"
AGENT_PORT: Final = "org.poolwright.agent.0"
GUEST_TOOLS_PORT: Final = "org.qemu.guest_agent.0"
# Where SeaBIOS writes what it does; it writes nothing to a serial port of a machine without a display.
_SEABIOS_DEBUG_PORT: Final = "0x402"


class Accelerator(Enum):
    """What executes a machine's instructions; the value is libvirt's domain type."""

    KVM = "kvm"
    TCG = "qemu"


class DiskBus(Enum):
    """How a machine sees its disk: the value is libvirt's name of the bus."""

    IDE = "ide"
    VIRTIO = "virtio"
    SCSI = "scsi"


@dataclass(frozen=True, slots=True)
class Files:
    """Everything of one machine on this host; `sockets` is elsewhere: the path of a socket is short (108 bytes)."""

    directory: Path
    sockets: Path

    @property
    def disk(self) -> Path:
        return self.directory / "disk.qcow2"

    @property
    def nvram(self) -> Path:
        return self.directory / "nvram.fd"

    @property
    def console(self) -> Path:
        return self.directory / "console.log"

    @property
    def firmware_log(self) -> Path:
        return self.directory / "firmware.log"

    @property
    def pmem(self) -> Path:
        return self.directory / "pmem.img"

    @property
    def seed(self) -> Path:
        return self.directory / "seed.img"

    @property
    def agent(self) -> Path:
        return self.sockets / "agent"

    @property
    def guest_tools(self) -> Path:
        return self.sockets / "tools"


@dataclass(frozen=True, slots=True)
class Definition:
    """A machine as libvirt is to run it. `service` marks whose it is; `vpmem_mib` is 0 where it has none.

    `bridge` is the host's bridge of its network card, None for QEMU's own user-mode network.
    """

    name: str
    uuid: str
    service: str
    key: str
    generation: Generation
    secure_boot: bool
    vtpm: bool
    allocation: Allocation
    accelerator: Accelerator
    files: Files
    product: str
    disk_bus: DiskBus
    emulator: str
    bridge: str | None = None
    vpmem_mib: int = 0
    has_seed: bool = False

    @property
    def has_memory_devices(self) -> bool:
        return bool(self.vpmem_mib or self.allocation.epc_mib)


def bus_of(generation: Generation) -> DiskBus:
    """Return the bus of a generation's disks: virtio-blk under BIOS, virtio-scsi under UEFI."""
    return DiskBus.VIRTIO if generation is Generation.V1 else DiskBus.SCSI


def mac_of(uuid: str) -> str:
    """Return the address of a machine's network card, below the prefix of QEMU, 52:54:00.

    It follows from the UUID, so that the card stays the same one when the machine is defined again.
    """
    return ":".join(("52", "54", "00", *(f"{byte:02x}" for byte in hashlib.sha256(uuid.encode()).digest()[:3])))


def render(machine: Definition) -> str:
    """Return the XML that libvirt defines the machine from."""
    domain = ET.Element("domain", type=machine.accelerator.value)
    _text(domain, "name", machine.name)
    _text(domain, "uuid", machine.uuid)
    ET.register_namespace("poolwright", NAMESPACE)
    own = ET.SubElement(ET.SubElement(domain, "metadata"), f"{{{NAMESPACE}}}machine")
    own.set("service", machine.service)
    own.set("key", machine.key)
    if machine.has_memory_devices:
        most = machine.allocation.memory_mib + machine.vpmem_mib + machine.allocation.epc_mib
        _text(domain, "maxMemory", str(most), slots="2", unit="MiB")
    _text(domain, "memory", str(machine.allocation.memory_mib + machine.vpmem_mib), unit="MiB")
    _text(domain, "vcpu", str(machine.allocation.cpus))
    _firmware(domain, machine)
    _identity(domain, machine)
    features = ET.SubElement(domain, "features")
    ET.SubElement(features, "acpi")
    ET.SubElement(features, "apic")
    if machine.secure_boot:
        ET.SubElement(features, "smm", state="on")
    _cpu(domain, machine)
    _text(domain, "on_poweroff", "destroy")
    # A machine that resets before it has shown itself does so for ever. Afterwards it may (`Hypervisor.let_reset`).
    _text(domain, "on_reboot", "destroy")
    _text(domain, "on_crash", "destroy")
    _devices(ET.SubElement(domain, "devices"), machine)
    ET.indent(domain)
    return ET.tostring(domain, encoding="unicode") + "\n"


def _firmware(domain: ET.Element, machine: Definition) -> None:
    if machine.generation is Generation.V1:
        os = ET.SubElement(domain, "os")
        _text(os, "type", "hvm", arch="x86_64", machine="pc")
    else:
        os = ET.SubElement(domain, "os", firmware="efi")
        _text(os, "type", "hvm", arch="x86_64", machine="q35")
        wanted = "yes" if machine.secure_boot else "no"
        firmware = ET.SubElement(os, "firmware")
        ET.SubElement(firmware, "feature", enabled=wanted, name="secure-boot")
        ET.SubElement(firmware, "feature", enabled=wanted, name="enrolled-keys")
        if machine.secure_boot:
            ET.SubElement(os, "loader", secure="yes")
        _text(os, "nvram", str(machine.files.nvram))
    ET.SubElement(os, "boot", dev="hd")
    ET.SubElement(os, "smbios", mode="sysinfo")


def _identity(domain: ET.Element, machine: Definition) -> None:
    """SMBIOS tells the guest who it is: the only thing it is told before it speaks."""
    sysinfo = ET.SubElement(domain, "sysinfo", type="smbios")
    system = ET.SubElement(sysinfo, "system")
    _text(system, "entry", "Poolwright", name="manufacturer")
    _text(system, "entry", machine.product, name="product")
    _text(system, "entry", machine.name, name="serial")
    _text(ET.SubElement(sysinfo, "oemStrings"), "entry", f"poolwright:machine={machine.name}")


def _cpu(domain: ET.Element, machine: Definition) -> None:
    cpu = ET.SubElement(domain, "cpu", mode="maximum" if machine.accelerator is Accelerator.TCG else "host-passthrough")
    if machine.has_memory_devices:
        last = machine.allocation.cpus - 1
        ET.SubElement(
            ET.SubElement(cpu, "numa"),
            "cell",
            id="0",
            cpus="0" if last == 0 else f"0-{last}",
            memory=str(machine.allocation.memory_mib),
            unit="MiB",
        )


def _devices(devices: ET.Element, machine: Definition) -> None:
    _text(devices, "emulator", machine.emulator)
    # Its content goes with the machine, so nothing waits for the host's disk.
    disk = ET.SubElement(devices, "disk", type="file", device="disk")
    ET.SubElement(disk, "driver", name="qemu", type="qcow2", cache="unsafe", discard="unmap")
    ET.SubElement(disk, "source", file=str(machine.files.disk))
    target = {DiskBus.IDE: "hda", DiskBus.VIRTIO: "vda", DiskBus.SCSI: "sda"}[machine.disk_bus]
    ET.SubElement(disk, "target", dev=target, bus=machine.disk_bus.value)
    if machine.disk_bus is DiskBus.SCSI:
        ET.SubElement(devices, "controller", type="scsi", index="0", model="virtio-scsi")
    if machine.has_seed:
        # A disk and no CD-ROM: kernels for clouds, as Debian's, lack the drivers of AHCI.
        seed = ET.SubElement(devices, "disk", type="file", device="disk")
        ET.SubElement(seed, "driver", name="qemu", type="raw")
        ET.SubElement(seed, "source", file=str(machine.files.seed))
        ET.SubElement(seed, "target", dev=f"{target[:-1]}b", bus=machine.disk_bus.value)
        ET.SubElement(seed, "readonly")
    ET.SubElement(devices, "controller", type="usb", model="none")
    _network(devices, machine)
    _port(devices, machine.files.console, "isa-serial", "isa-serial")
    if machine.generation is Generation.V1:
        debug = _port(devices, machine.files.firmware_log, "isa-debug", "isa-debugcon")
        ET.SubElement(debug, "address", type="isa", iobase=_SEABIOS_DEBUG_PORT)
    for path, name in ((machine.files.agent, AGENT_PORT), (machine.files.guest_tools, GUEST_TOOLS_PORT)):
        channel = ET.SubElement(devices, "channel", type="unix")
        ET.SubElement(channel, "source", mode="bind", path=str(path))
        ET.SubElement(channel, "target", type="virtio", name=name)
    if machine.vtpm:
        backend = ET.SubElement(ET.SubElement(devices, "tpm", model="tpm-crb"), "backend")
        backend.set("type", "emulator")
        backend.set("version", "2.0")
    ET.SubElement(devices, "memballoon", model="none")
    rng = ET.SubElement(devices, "rng", model="virtio")
    _text(rng, "backend", "/dev/urandom", model="random")
    if machine.vpmem_mib:
        memory = ET.SubElement(devices, "memory", model="nvdimm", access="shared")
        _text(ET.SubElement(memory, "source"), "path", str(machine.files.pmem))
        target_of_memory = ET.SubElement(memory, "target")
        _text(target_of_memory, "size", str(machine.vpmem_mib), unit="MiB")
        _text(target_of_memory, "node", "0")
    if machine.allocation.epc_mib:
        enclaves = ET.SubElement(ET.SubElement(devices, "memory", model="sgx-epc"), "target")
        _text(enclaves, "size", str(machine.allocation.epc_mib), unit="MiB")
        _text(enclaves, "node", "0")


def _network(devices: ET.Element, machine: Definition) -> None:
    card = ET.SubElement(devices, "interface", type="user" if machine.bridge is None else "bridge")
    ET.SubElement(card, "mac", address=mac_of(machine.uuid))
    if machine.bridge is not None:
        ET.SubElement(card, "source", bridge=machine.bridge)
    ET.SubElement(card, "model", type="virtio")


def _port(devices: ET.Element, path: Path, kind: str, model: str) -> ET.Element:
    port = ET.SubElement(devices, "serial", type="file")
    ET.SubElement(port, "source", path=str(path), append="off")
    ET.SubElement(ET.SubElement(port, "target", type=kind), "model", name=model)
    return port


def _text(parent: ET.Element, tag: str, text: str, **attributes: str) -> ET.Element:
    element = ET.SubElement(parent, tag, attributes)
    element.text = text
    return element
