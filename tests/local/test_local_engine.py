"""The contract of all engines for real machines, and what only real machines do."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from poolwright.domain.generation import Generation
from poolwright.domain.machine import WhenLost, Witness
from poolwright.machines.engine import PermanentError, TemporaryError
from poolwright.machines.images.build import Form
from poolwright.machines.images.store import DiskImage
from poolwright.machines.local import abandoned, host
from poolwright.machines.local.allocation import HostRoom
from poolwright.machines.local.evidence import verify
from poolwright.machines.local.hypervisor import Hypervisor, binding
from poolwright.machines.local.sgx import EmulatorSgx, read
from tests.local.bench import LocalBench
from tests.local.service import processes_with
from tests.machines.contract import TRUSTED, V1, V2, Bench, EngineContract


class TestLocalEngine(EngineContract):
    """Each test boots real machines; of what makes a machine another one, one of each kind is enough."""

    @pytest.mark.parametrize("what", ["generation", "trusted launch", "size"])
    def test_a_changed_specification_makes_the_machine_again(self, bench: Bench, what: str) -> None:
        super().test_a_changed_specification_makes_the_machine_again(bench, what)

    def test_an_ensured_machine_is_there_as_specified(self, bench: Bench) -> None:
        super().test_an_ensured_machine_is_there_as_specified(bench)
        assert isinstance(bench, LocalBench)
        _require_shown_by_the_guests(bench)
        _require_nothing_left_of_deleted_ones(bench)


def _require_shown_by_the_guests(bench: LocalBench) -> None:
    """The machines that are there, of Generation 1 and of Trusted Launch, and one of plain Generation 2."""
    plain = replace(V2, key="pool/machines/m3")
    bench.ensure(plain)
    facts = bench.engine.observe([V1.key, V2.key, plain.key])
    assert {key: (fact.observed, fact.secure_boot, fact.vtpm, fact.partition_table) for key, fact in facts.items()} == {
        V1.key: (Generation.V1, None, False, "mbr"),
        V2.key: (Generation.V2, True, True, "gpt"),
        plain.key: (Generation.V2, False, False, "gpt"),
    }
    assert {fact.observed_by for fact in facts.values()} == {Witness.GUEST_AGENT}
    for spec in (V1, TRUSTED, plain):
        statement = bench.engine.evidence(spec.key)
        assert statement is not None
        verified = verify(statement, bench.key.public_pem)
        assert verified["observedGeneration"] == verified["resolvedGeneration"] == spec.generation.value
        assert verified["report"]["nonce"] == verified["nonce"]
    # The address comes with a later report.
    bench.wait(lambda: all(fact.ip == "10.0.2.15" for fact in bench.engine.observe([V1.key, V2.key]).values()))
    assert all(fact.memory_mib == 512 and fact.cpus == 1 and fact.stand_in for fact in facts.values())


def _require_nothing_left_of_deleted_ones(bench: LocalBench) -> None:
    keys = bench.engine.keys()
    uuids = [domain.uuid for domain in bench.domains()]
    assert len(keys) == 4
    assert len(uuids) >= 3
    bench.engine.delete(sorted(keys))
    assert bench.domains() == []
    left = [
        path
        for place in (bench.directory, bench.sockets)
        for path in place.rglob("*")
        if any(uuid in str(path) or uuid[:8] in str(path) for uuid in uuids)
    ]
    assert left == []


@pytest.mark.parametrize(
    ("spec", "form", "words"),
    [
        (V2, Form.GEN1, "UEFI found no boot loader"),
        (V1, Form.GEN2, "no Generation 1 image"),
        (TRUSTED, Form.UNSIGNED, "Secure Boot refused the boot loader"),
    ],
    ids=["a Gen 1 image on UEFI", "a Gen 2 image on BIOS", "an unsigned boot loader under Secure Boot"],
)
def test_what_cannot_come_up_is_stopped_and_says_why(bench: LocalBench, spec: object, form: Form, words: str) -> None:
    assert isinstance(spec, type(V1))
    bench.image_for = lambda _: bench.images[form]
    bench.ensure(spec)
    fact = bench.engine.observe([spec.key])[spec.key]
    assert (fact.ready, fact.observed) == (False, None)
    assert fact.cause is not None
    assert words in fact.cause
    # It does not go on burning a core.
    bench.wait(lambda: not any(domain.active for domain in bench.domains()))
    assert bench.engine.evidence(spec.key) is None


def test_the_unsigned_image_boots_where_nobody_checks(bench: LocalBench) -> None:
    bench.image_for = lambda _: bench.images[Form.UNSIGNED]
    bench.ensure(V2)
    assert bench.seen(V2.key)[V2.key].ready


def test_the_hybrid_image_shows_the_firmware_and_not_itself(bench: LocalBench) -> None:
    bench.image_for = lambda _: bench.images[Form.HYBRID]
    bench.ensure(V1, V2)
    assert {key: fact.observed for key, fact in bench.seen(V1.key, V2.key).items()} == {
        V1.key: Generation.V1,
        V2.key: Generation.V2,
    }


def test_a_machine_started_again_is_known_by_the_image_it_was_made_from(bench: LocalBench) -> None:
    bench.ensure(V1)
    made_from = bench.engine.observe([V1.key])[V1.key].booted
    bench.ensure(replace(V1, running=False))
    # Meanwhile there is a newer image, which its disk does not lie on.
    bench.image_for = lambda _: bench.images[Form.HYBRID]
    bench.reopen()
    bench.ensure(V1)
    statement = bench.engine.evidence(V1.key)
    assert statement is not None
    assert (bench.boots(), statement["boot"]) == ({V1.key: 2}, 2)
    assert bench.engine.observe([V1.key])[V1.key].booted == made_from == statement["image"]["digest"]
    assert made_from == f"sha256:{bench.images[Form.GEN1].digest}"


def test_whatever_a_guest_answers_its_tools_are_its_own_affair(
    bench: LocalBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.ensure(V1)
    (domain,) = bench.domains()
    hypervisor = Hypervisor(bench.daemon.uri, bench.daemon.ensure)
    # The image has no such agent.
    assert hypervisor.tools_answer(domain.uuid) is False
    assert hypervisor.tools_answer(str(uuid.uuid4())) is False

    def refused(*_: object) -> str:
        raise libvirt.libvirtError("internal error: unable to execute QEMU agent command 'guest-ping': disabled")

    libvirt = binding()
    monkeypatch.setattr("libvirt_qemu.qemuAgentCommand", refused)
    assert hypervisor.tools_answer(domain.uuid) is False
    hypervisor.close()


def test_a_seed_beside_the_disk_is_not_taken_for_it_and_goes_with_the_machine(bench: LocalBench) -> None:
    bench.image_for = lambda _: replace(bench.images[Form.GEN2], cloud_init=True)
    bench.ensure(V2)
    (seed,) = bench.directory.rglob("seed*")
    assert (seed.name, seed.stat().st_mode & 0o777) == ("seed.img", 0o600)
    statement = bench.engine.evidence(V2.key)
    assert statement is not None
    assert statement["report"]["disk"] == {
        "name": statement["report"]["disk"]["name"],
        "bytes": bench.images[Form.GEN2].virtual_bytes,
        "bus": "virtio-scsi",
        "partitionTable": "gpt",
    }
    bench.engine.delete([V2.key])
    assert list(bench.directory.rglob("seed*")) == []


def test_a_reimaged_machine_keeps_all_but_its_disk(bench: LocalBench) -> None:
    """Persistent memory included, which the guest sees, and which goes with the machine."""
    spec = replace(V2, vtpm=True, vpmem_mib=128)
    bench.ensure(spec)
    first, before = bench.engine.evidence(spec.key), bench.seen(spec.key)[spec.key]
    assert first is not None
    assert (before.ready, before.vpmem_mib, before.vtpm) == (True, 128, True)
    assert first["report"]["pmem"] == [{"device": "pmem0", "bytes": 128 << 20}]
    assert first["allocation"]["vpmemMiB"] == 128
    [disk], [nvram], [pmem] = (
        list(bench.directory.glob(f"*/{name}")) for name in ("disk.qcow2", "nvram.fd", "pmem.img")
    )
    # Counted as disk, because QEMU fills it.
    assert pmem.stat().st_blocks * 512 >= 128 << 20
    [domain] = bench.domains()

    bench.ensure(replace(spec, running=False))
    with pmem.open("r+b") as file:
        file.write(b"written before")
    kept = nvram.stat().st_ino
    with disk.open("rb") as old:
        bench.ensure(replace(spec, reimaged_by="the operation"))
        # Held open, its inode cannot be another file's: this disk is gone, and that one is new.
        assert os.fstat(old.fileno()).st_nlink == 0
        assert disk.stat().st_ino != os.fstat(old.fileno()).st_ino
    second, after = bench.engine.evidence(spec.key), bench.seen(spec.key)[spec.key]
    assert second is not None
    assert (second["boot"], second["uuid"]) == (first["boot"] + 1, first["uuid"])
    assert second["nonce"] != first["nonce"]
    assert replace(after, ip=None) == replace(before, ip=None)
    assert [domain.uuid for domain in bench.domains()] == [domain.uuid]
    assert nvram.stat().st_ino == kept
    assert pmem.read_bytes()[:14] == b"written before"

    bench.engine.delete([spec.key])
    assert not pmem.parent.exists()


def test_a_machine_that_failed_is_repaired_by_reimaging_it(bench: LocalBench) -> None:
    bench.image_for = lambda _: bench.images[Form.GEN1]
    bench.ensure(V2)
    assert bench.engine.observe([V2.key])[V2.key].cause is not None
    bench.image_for = bench.stand_in
    bench.engine.ensure([replace(V2, reimaged_by="the operation")])
    # At once: whoever waits for it does not take the former cause for the new machine's.
    assert bench.engine.observe([V2.key])[V2.key].cause is None
    bench.settle([V2.key])
    assert bench.seen(V2.key)[V2.key].ready


def test_libvirt_says_what_qemu_can_do_here(bench: LocalBench) -> None:
    hypervisor = Hypervisor(bench.daemon.uri, bench.daemon.ensure)
    said = read(hypervisor.domain_capabilities("/usr/bin/qemu-system-x86_64", "qemu"))
    hypervisor.close()
    # EPC is KVM's; libvirt before 8.10 does not say.
    assert said in (EmulatorSgx(True, False, 0), EmulatorSgx(False, False, 0))


def test_a_machine_with_sgx_is_refused_where_machines_are_emulated(bench: LocalBench) -> None:
    with pytest.raises(PermanentError, match="it has SGX, for which this host lacks KVM") as raised:
        bench.engine.ensure([replace(V2, epc_mib=56)])
    assert raised.value.code == "AllocationFailed"
    assert (bench.engine.keys(), bench.domains()) == (set(), [])


def test_a_machine_that_somebody_destroys_is_repaired(bench: LocalBench) -> None:
    bench.ensure(V1)
    bench.destroy_all()
    bench.wait(lambda: bench.boots() == {V1.key: 2})
    bench.settle([V1.key])
    assert bench.seen(V1.key)[V1.key].ready


def test_a_machine_that_somebody_destroys_is_only_reported_where_that_is_wanted(
    tmp_path: Path, node_images: dict[Form, DiskImage]
) -> None:
    bench = LocalBench(tmp_path, node_images, WhenLost.REPORT)
    try:
        bench.ensure(V1)
        bench.destroy_all()
        bench.wait(lambda: bench.engine.observe([V1.key])[V1.key].cause is not None)
        fact = bench.engine.observe([V1.key])[V1.key]
        assert (fact.ready, fact.running) == (False, False)
        assert "nobody here had asked for it" in str(fact.cause)
        assert bench.boots() == {V1.key: 1}
    finally:
        bench.close()


def test_a_machine_that_reboots_shows_again_what_it_is_and_is_not_lost(
    tmp_path: Path, node_images: dict[Form, DiskImage]
) -> None:
    """Under a supervision that repairs nothing: whatever was lost here would have failed."""
    bench = LocalBench(tmp_path, node_images, WhenLost.REPORT)
    try:
        bench.ensure(V1)
        first = verify(bench.engine.evidence(V1.key) or {}, bench.key.public_pem)

        bench.reset_all()
        bench.wait(lambda: bench.boots() == {V1.key: 2} and not bench.engine.underway([V1.key]))
        second = verify(bench.engine.evidence(V1.key) or {}, bench.key.public_pem)
        assert bench.seen(V1.key)[V1.key].ready
        assert (first["boot"], second["boot"]) == (1, 2)
        assert first["nonce"] != second["nonce"]

        # It reboots by itself, and nobody is there to see it.
        bench.engine.close()
        bench.say_to_agent(V1.key, "reboot")
        bench.engine = bench.start()
        bench.wait(
            lambda: verify(bench.engine.evidence(V1.key) or {}, bench.key.public_pem)["nonce"] != second["nonce"]
        )
        assert bench.seen(V1.key)[V1.key].ready

        # What a silent machine gets: its next reset ends it.
        bench.let_reset(allowed=False)
        bench.reset_all()
        bench.wait(lambda: bench.engine.observe([V1.key])[V1.key].cause is not None)
        assert not any(domain.active for domain in bench.domains())
    finally:
        bench.close()


def test_machines_outlive_the_daemon_and_the_engine_finds_them_again(
    bench: LocalBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    let_reset, calls = Hypervisor.let_reset, []

    def killed_meanwhile(hypervisor: Hypervisor, uuid: str, *, allowed: bool) -> None:
        """What comes after the agent has said what the machine is, which it says once."""
        calls.append(uuid)
        if len(calls) == 1:
            bench.kill_daemon()
            raise TemporaryError("libvirt's daemon went away", retry_after_seconds=0)
        let_reset(hypervisor, uuid, allowed=allowed)

    monkeypatch.setattr(Hypervisor, "let_reset", killed_meanwhile)
    bench.ensure(V1)
    bench.wait(lambda: len(calls) > 1)
    for number in range(20):
        bench.kill_daemon()
        # One that the new daemon ends itself is repaired.
        bench.wait(lambda: bool(bench.domains()) and not bench.engine.underway([V1.key]))
        assert bench.seen(V1.key)[V1.key].ready, number


def test_what_begins_or_ends_twice_at_once_has_begun_or_ended(bench: LocalBench) -> None:
    """Somebody else may be faster between looking at a machine and acting."""
    name, machine = "somebody-elses", str(uuid.uuid4())
    xml = (
        f"<domain type='qemu'><name>{name}</name><uuid>{machine}</uuid><memory unit='MiB'>64</memory>"
        "<os><type arch='x86_64' machine='pc'>hvm</type></os></domain>"
    )
    hypervisors = [bench.hypervisor() for _ in range(2)]
    with ThreadPoolExecutor(2) as both:
        for _ in range(5):
            list(both.map(lambda each: each.begin(xml, machine), hypervisors))
            assert hypervisors[0].domains(name)[machine].active
            list(both.map(lambda each: each.end(machine), hypervisors))
            assert not hypervisors[0].domains(name)[machine].active
    hypervisors[0].undefine(machine)
    for each in hypervisors:
        each.close()


def test_an_orphan_is_ended(bench: LocalBench) -> None:
    bench.ensure(V1)
    bench.forget(V1.key)
    bench.wait(lambda: bench.domains() == [])


@pytest.mark.skipif(os.geteuid() != 0, reason="machines of other accounts lie in the data directory")
def test_what_a_lost_data_directory_leaves_is_cleaned_up(
    tmp_path: Path, node_images: dict[Form, DiskImage], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a place of its own: what other services of this host left is not this test's."""
    place = f"t{uuid.uuid4().hex[:4]}"
    monkeypatch.setattr(host, "ROOT_MACHINES", host.ROOT_MACHINES / place)
    monkeypatch.setattr(host, "ROOT_SOCKETS", host.ROOT_SOCKETS / place)
    bench = LocalBench(tmp_path, node_images)
    told: list[str] = []
    try:
        bench.ensure(V1)
        assert bench.seen(V1.key)[V1.key].cause is None
        bench.engine.close()
        abandoned.mark(bench.directory, tmp_path, None)
        assert abandoned.clean(None, told.append) == 0
        assert [domain.active for domain in bench.domains()] == [True]
        (name,) = (domain.name for domain in bench.domains())
    finally:
        # What a failure before this line leaves is cleaned up all the same.
        abandoned.mark(bench.directory, tmp_path / "gone", None)
        assert abandoned.clean(None, told.append) == 1
    assert told == [f"ending {name}"]
    left = {Path(f"/proc/{pid}/comm").read_text().strip() for pid in processes_with(str(bench.directory))}
    # libvirt's daemon for logs ends by itself after two minutes.
    assert left <= {"virtlogd"}
    for parent in (host.ROOT_MACHINES, host.ROOT_SOCKETS):
        assert list(parent.iterdir()) == []
        parent.rmdir()


def test_what_does_not_fit_fails_before_anything_is_started(bench: LocalBench) -> None:
    bench.room = lambda _: HostRoom(memory_mib=600, cpus=2, disk_bytes=10**12)
    with pytest.raises(PermanentError, match=r"2 machine\(s\) need 1152 MiB of memory, and 600 MiB are free") as raised:
        bench.engine.ensure([V1, V2])
    assert raised.value.code == "AllocationFailed"
    assert bench.engine.keys() == set()
    assert bench.domains() == []


@pytest.fixture
def bench(tmp_path: Path, node_images: dict[Form, DiskImage]) -> Iterator[LocalBench]:
    made = LocalBench(tmp_path, node_images)
    yield made
    made.close()
