"""Whether a host can give machines EPC: what it shows, what libvirt says, and what an engine makes of it."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

import pytest

from poolwright.domain.generation import Generation
from poolwright.domain.machine import MachineSpec, WhenLost
from poolwright.machines.engine import PermanentError
from poolwright.machines.images.store import DiskImage, Origin
from poolwright.machines.local.allocation import Caps, HostRoom
from poolwright.machines.local.daemon import Account
from poolwright.machines.local.domain_xml import Accelerator
from poolwright.machines.local.engine import Host, LocalEngine
from poolwright.machines.local.evidence import EvidenceKey
from poolwright.machines.local.hypervisor import Domain, Hypervisor
from poolwright.machines.local.sgx import (
    EmulatorSgx,
    HostSgx,
    lacking_of_emulator,
    lacking_of_host,
    look_at_host,
    read,
)

CAPABILITIES = Path(__file__).parent / "domain_capabilities"
ABLE = HostSgx(is_kvm=True, has_cpu=True, has_device=True, is_accessible=True, account="poolwright")
SPEC = MachineSpec("m0", Generation.V2, "image-1", "Standard_DC2s_v2", 2, 8.0, False, False, True, epc_mib=56)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("with-sgx", EmulatorSgx(is_known=True, is_supported=True, epc_mib=512)),
        ("libvirt-9.0-qemu-7.2-tcg", EmulatorSgx(is_known=True, is_supported=False, epc_mib=0)),
        ("before-8.10", EmulatorSgx(is_known=False, is_supported=False, epc_mib=0)),
    ],
)
def test_libvirt_s_domain_capabilities_are_read(name: str, said: EmulatorSgx) -> None:
    assert read((CAPABILITIES / f"{name}.xml").read_text()) == said


@pytest.mark.parametrize(
    ("host", "words"),
    [
        (ABLE, []),
        (replace(ABLE, is_kvm=False), ["KVM"]),
        (replace(ABLE, has_cpu=False), ["a CPU that shows SGX"]),
        (replace(ABLE, has_device=False, is_accessible=False), ["/dev/sgx_vepc, from Linux 5.13 on"]),
        (replace(ABLE, is_accessible=False), ["access of the account poolwright to /dev/sgx_vepc"]),
        (HostSgx(False, False, False, False, "x"), ["KVM", "a CPU", "/dev/sgx_vepc, from"]),
    ],
)
def test_all_that_a_host_lacks_is_said_at_once(host: HostSgx, words: list[str]) -> None:
    lacking = lacking_of_host(host)
    assert len(lacking) == len(words)
    assert all(word in said for word, said in zip(words, lacking, strict=True))


def test_what_libvirt_and_qemu_lack_is_said_with_their_versions() -> None:
    assert lacking_of_emulator(EmulatorSgx(True, True, 512)) == []
    assert "QEMU" in lacking_of_emulator(EmulatorSgx(True, False, 0))[0]
    assert "8.10" in lacking_of_emulator(EmulatorSgx(False, False, 0))[0]


def test_a_device_is_there_for_the_account_that_runs_machines_or_not(tmp_path: Path) -> None:
    device = tmp_path / "sgx_vepc"
    mine = Account.own()
    assert not look_at_host(Accelerator.KVM, mine, device).has_device
    device.touch(mode=0o600)
    seen = look_at_host(Accelerator.KVM, mine, device)
    assert (seen.is_kvm, seen.has_device, seen.is_accessible) == (True, True, True)
    nobody = Account("nobody", 65534, 65534)
    assert not look_at_host(Accelerator.TCG, nobody, device).is_accessible
    device.chmod(0o666)
    assert look_at_host(Accelerator.TCG, nobody, device).is_accessible


@dataclass
class SilentHypervisor:
    """libvirt that runs nothing; `answer` is what it says of QEMU, or what it raises."""

    answer: str | PermanentError
    asked: list[tuple[str, str]] = field(default_factory=list)
    begun: int = 0

    def domains(self, prefix: str) -> Mapping[str, Domain]:
        return {}

    def domain_capabilities(self, emulator: str, kind: str) -> str:
        self.asked.append((emulator.rpartition("/")[2], kind))
        if isinstance(self.answer, PermanentError):
            raise self.answer
        return self.answer

    def begin(self, xml: str, uuid: str) -> None:
        self.begun += 1

    def close(self) -> None:
        pass


Made = Callable[..., tuple[LocalEngine, SilentHypervisor]]


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Made]:
    """Makes an engine that begins no machine, on a host that shows that of SGX."""
    engines: list[LocalEngine] = []
    image = DiskImage(
        digest="00",
        path=tmp_path / "image",
        form="gen2",
        generations=frozenset({Generation.V2}),
        virtual_bytes=1,
        origin=Origin.STAND_IN,
        has_agent=True,
        definition=None,
        source=(),
        secure_boot=None,
    )

    def make(host_sgx: HostSgx, answer: str | PermanentError = "") -> tuple[LocalEngine, SilentHypervisor]:
        hypervisor = SilentHypervisor(answer)
        engine = LocalEngine(
            tmp_path / "local.sqlite",
            Host(
                directory=tmp_path,
                sockets=tmp_path,
                logs=(),
                account=Account.own(),
                accelerator=Accelerator.KVM,
                caps=Caps(),
                parallel_boots=0,
                when_lost=WhenLost.REPAIR,
                room=lambda path: HostRoom(memory_mib=10**6, cpus=8, disk_bytes=10**12),
                boot="this one",
                sgx=lambda: host_sgx,
            ),
            cast(Hypervisor, hypervisor),
            lambda spec: image,
            EvidenceKey.generate(),
            now=time.time,
            new_id=lambda: str(uuid.uuid4()),
        )
        engine.start()
        engines.append(engine)
        return engine, hypervisor

    yield make
    for engine in engines:
        engine.close()


@pytest.mark.parametrize(
    ("host_sgx", "answer", "words", "asked"),
    [
        (replace(ABLE, is_kvm=False), "with-sgx", "this host lacks KVM", 0),
        (replace(ABLE, has_cpu=False), "with-sgx", "a CPU that shows SGX", 0),
        (ABLE, "libvirt-9.0-qemu-7.2-tcg", "this host lacks a QEMU that has EPC", 1),
        (ABLE, "before-8.10", "a libvirt that knows SGX", 1),
        (ABLE, None, "a libvirt that knows SGX", 1),
    ],
)
def test_a_machine_with_sgx_fails_before_anything_is_started(
    made: Made, host_sgx: HostSgx, answer: str | None, words: str, asked: int
) -> None:
    said = (CAPABILITIES / f"{answer}.xml").read_text() if answer else PermanentError("libvirt refused: no emulator")
    engine, hypervisor = made(host_sgx, said)
    with pytest.raises(PermanentError, match=words) as raised:
        engine.ensure([replace(SPEC, key="plain", epc_mib=0), SPEC])
    assert raised.value.code == "AllocationFailed"
    assert str(raised.value.remedy).startswith("Choose a size without SGX")
    assert engine.keys() == set()
    assert hypervisor.begun == 0
    assert len(hypervisor.asked) == asked


def test_a_machine_that_stops_needs_no_sgx(made: Made) -> None:
    engine, hypervisor = made(replace(ABLE, has_cpu=False))
    engine.ensure([replace(SPEC, running=False)])
    assert engine.keys() == {"m0"}
    assert hypervisor.asked == []


def test_epc_is_given_as_long_as_there_is_some_and_libvirt_is_asked_once(made: Made) -> None:
    engine, hypervisor = made(ABLE, (CAPABILITIES / "with-sgx.xml").read_text())
    specs = [replace(SPEC, key=f"m{number}", epc_mib=224) for number in range(3)]
    engine.ensure(specs[:2])
    assert engine.keys() == {"m0", "m1"}
    with pytest.raises(PermanentError, match=r"3 machine\(s\) need 672 MiB of EPC for SGX, and 512 MiB are free"):
        engine.ensure([specs[2]])
    assert engine.keys() == {"m0", "m1"}
    assert hypervisor.asked == [("qemu-system-x86_64", "kvm")]
