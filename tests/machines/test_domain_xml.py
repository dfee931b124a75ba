"""What libvirt is told about a machine. People read the golden files; `POOLWRIGHT_WRITE_GOLDEN=1` writes them."""

from __future__ import annotations

import os
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import pytest

from poolwright.domain.generation import Generation
from poolwright.machines.local.allocation import Allocation
from poolwright.machines.local.domain_xml import Accelerator, Definition, Files, bus_of, render

GOLDEN = Path(__file__).parent / "golden"
GEN1 = Definition(
    name="poolwright-5e4f1c2a-aks-np1-12345678-vmss000000-0a1b2c3d",
    uuid="0a1b2c3d-0000-4000-8000-000000000001",
    service="5e4f1c2a",
    key="/subscriptions/s/resourcegroups/rg/…/agentpools/np1/machines/aks-np1-12345678-vmss000000",
    generation=Generation.V1,
    secure_boot=False,
    vtpm=False,
    allocation=Allocation(memory_mib=512, cpus=1),
    accelerator=Accelerator.TCG,
    files=Files(Path("/var/lib/poolwright/m"), Path("/run/poolwright/m")),
    product="Standard_D2s_v5",
    disk_bus=bus_of(Generation.V1),
    emulator="/usr/bin/qemu-system-x86_64",
)
GEN2 = replace(GEN1, generation=Generation.V2, disk_bus=bus_of(Generation.V2))
MACHINES = {
    "gen1": GEN1,
    "gen2": GEN2,
    "trusted-launch": replace(GEN2, secure_boot=True, vtpm=True),
    "vtpm-without-secure-boot": replace(GEN2, vtpm=True),
    "pmem": replace(GEN2, vpmem_mib=128, allocation=Allocation(512, 2)),
    "sgx": replace(GEN2, accelerator=Accelerator.KVM, allocation=Allocation(512, 1, epc_mib=56)),
    "sgx-and-pmem": replace(GEN2, accelerator=Accelerator.KVM, vpmem_mib=128, allocation=Allocation(512, 1, 56)),
    "kvm-and-bridge": replace(GEN1, accelerator=Accelerator.KVM, bridge="br0"),
    "cloud-init": replace(GEN2, has_seed=True),
}


@pytest.mark.parametrize("name", MACHINES)
def test_a_machine_renders_as_its_golden_file_shows(name: str) -> None:
    golden = GOLDEN / f"{name}.xml"
    if os.environ.get("POOLWRIGHT_WRITE_GOLDEN"):
        golden.write_text(render(MACHINES[name]))
    assert render(MACHINES[name]) == golden.read_text()


def test_every_golden_file_has_its_machine() -> None:
    assert {path.stem for path in GOLDEN.glob("*.xml")} == set(MACHINES)


@pytest.mark.parametrize(
    ("machine", "chipset", "firmware", "bus"),
    [(GEN1, "pc", None, "virtio"), (GEN2, "q35", "efi", "scsi")],
    ids=["V1", "V2"],
)
def test_the_generation_alone_decides_firmware_chipset_and_bus(
    machine: Definition, chipset: str, firmware: str | None, bus: str
) -> None:
    domain = ET.fromstring(render(machine))
    system, disk = domain.find("os"), domain.find("devices/disk/target")
    kind = domain.find("os/type")
    assert system is not None
    assert kind is not None
    assert disk is not None
    assert (kind.get("machine"), system.get("firmware"), disk.get("bus")) == (chipset, firmware, bus)
    assert (system.find("nvram") is None) == (machine.generation is Generation.V1)


def test_secure_boot_is_enforced_and_not_only_shown() -> None:
    domain = ET.fromstring(render(MACHINES["trusted-launch"]))
    features = {feature.get("name"): feature.get("enabled") for feature in domain.iterfind("os/firmware/feature")}
    smm, loader = domain.find("features/smm"), domain.find("os/loader")
    assert features == {"secure-boot": "yes", "enrolled-keys": "yes"}
    # Without SMM the guest could write the variables itself.
    assert smm is not None
    assert smm.get("state") == "on"
    assert loader is not None
    assert loader.get("secure") == "yes"


def test_what_a_name_holds_cannot_become_xml() -> None:
    hostile = replace(GEN1, key='"><evil/>', product="<&>")
    domain = ET.fromstring(render(hostile))
    assert domain.find(".//evil") is None
    assert domain.findtext("sysinfo/system/entry[@name='product']") == "<&>"
