"""The local machine engine: carries out what `life.py` decides, machine by machine.

One thread looks at every machine again and again, lets `advance` decide, and acts. Whoever asks for machines only
writes down what is wanted and, where the port says so, waits for that thread.

Invariant: only the supervising thread touches the hypervisor, the files and the agents of machines. Machines know
nothing of the service: it may be killed at any moment, and finds them again.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import structlog

from poolwright.domain.machine import MachineFacts, MachineSpec, WhenLost
from poolwright.machines.engine import PermanentError, TemporaryError
from poolwright.machines.images import disk
from poolwright.machines.images.programs import ProgramFailed
from poolwright.machines.images.store import DiskImage, Origin
from poolwright.machines.local import cloud_init
from poolwright.machines.local.abandoned import remove, remove_logs
from poolwright.machines.local.agent import AgentLink, Message
from poolwright.machines.local.allocation import Caps, HostRoom, allocate, shortage
from poolwright.machines.local.cloud_init import UserData
from poolwright.machines.local.daemon import Account
from poolwright.machines.local.domain_xml import Accelerator, Definition, Files, bus_of, mac_of, render
from poolwright.machines.local.evidence import EvidenceKey, digest_of_file, digest_of_text
from poolwright.machines.local.hypervisor import Domain, Hypervisor
from poolwright.machines.local.journal import Journal
from poolwright.machines.local.life import Action, Life, Phase, Seen, advance, failed
from poolwright.machines.local.sgx import EmulatorSgx, HostSgx, lacking_of_emulator, lacking_of_host, read
from poolwright.machines.local.symptoms import plain, tail

log = structlog.get_logger(__name__)

_PAUSE_SECONDS: Final = 0.1
_IDLE_PAUSE_SECONDS: Final = 1.0
_GONE_TIMEOUT_SECONDS: Final = 120.0
_CAPABILITIES_TIMEOUT_SECONDS: Final = 30.0
# A console is read from its end: what a machine says without end is not read again and again.
_SHOWN_BYTES: Final = 64 * 1024
# How often a machine without our agent is asked whether QEMU's is there.
_TOOLS_SECONDS: Final = 3.0
_EMULATOR: Final = "qemu-system-x86_64"


@dataclass(frozen=True, slots=True)
class Host:
    """What the engine is told about its host.

    `directory` is reachable for the account, `sockets` has a short path, and libvirt logs about machines in `logs`.
    `boot` tells one boot of the host from another, `sgx` looks at what the host shows of SGX. `user_data` are the
    operator's own, for images that have cloud-init.
    """

    directory: Path
    sockets: Path
    logs: tuple[Path, ...]
    account: Account
    accelerator: Accelerator
    caps: Caps
    parallel_boots: int
    when_lost: WhenLost
    room: Callable[[Path], HostRoom]
    boot: str
    sgx: Callable[[], HostSgx]
    bridge: str | None = None
    user_data: UserData | None = None


class LocalEngine:
    """Implements `MachineEngine`.

    `image_for` returns the image a machine boots from and raises `PermanentError` where there is none; it may take
    as long as building one. `start` begins the supervision.
    """

    name = "local"

    def __init__(
        self,
        journal_path: Path,
        host: Host,
        hypervisor: Hypervisor,
        image_for: Callable[[MachineSpec], DiskImage],
        key: EvidenceKey,
        *,
        now: Callable[[], float],
        new_id: Callable[[], str],
    ) -> None:
        self._host = host
        self._hypervisor = hypervisor
        self._image_for = image_for
        self._key = key
        self._now = now
        self._new_id = new_id
        self._journal = Journal(journal_path)
        self._service = self._journal.setting("service", new_id().replace("-", "")[:8])
        self._lives = self._journal.lives()
        self._images: dict[str, DiskImage] = {}
        self._links: dict[str, AgentLink] = {}
        self._tools: dict[str, tuple[float, bool]] = {}
        self._changed = threading.Condition()
        # Asked once, when a size with SGX is first wanted.
        self._emulator_sgx: EmulatorSgx | None = None
        self._is_sgx_asked = False
        self._closing = False
        self._since = now()
        self._thread = threading.Thread(target=self._supervise, name="machines", daemon=True)

    def start(self) -> None:
        """Begin to look after the machines there are."""
        self._thread.start()

    # -- the port

    def ensure(self, specs: Sequence[MachineSpec]) -> None:
        epc_mib = self._epc_mib() if any(spec.epc_mib and spec.running for spec in specs) else 0
        images = {spec.key: self._image_for(spec) for spec in specs}
        with self._changed:
            new = [spec for spec in specs if spec.key not in self._lives]
            self._require_room(new, images, epc_mib)
            lives = [self._wanted(spec) for spec in specs]
            self._journal.put(*lives)
            self._lives.update({life.key: life for life in lives})
            self._images.update(images)
            self._changed.notify_all()

    def observe(self, keys: Sequence[str]) -> Mapping[str, MachineFacts]:
        with self._changed:
            return {key: self._facts(life) for key in keys if (life := self._lives.get(key)) and not life.leaving}

    def delete(self, keys: Sequence[str]) -> None:
        with self._changed:
            leaving = [replace(self._lives[key], leaving=True) for key in keys if key in self._lives]
            self._journal.put(*leaving)
            self._lives.update({life.key: life for life in leaving})
            self._changed.notify_all()
            if not self._changed.wait_for(
                lambda: not any(key in self._lives and self._lives[key].leaving for key in keys), _GONE_TIMEOUT_SECONDS
            ):
                raise TemporaryError("machines are not gone yet", retry_after_seconds=5)

    def keys(self) -> set[str]:
        with self._changed:
            return {key for key, life in self._lives.items() if not life.leaving}

    def close(self) -> None:
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join()
        for link in self._links.values():
            link.close()
        self._hypervisor.close()
        self._journal.close()

    # -- beyond the port

    def evidence(self, key: str) -> Mapping[str, Any] | None:
        """Return the signed evidence of what a machine has shown, None while it has shown nothing."""
        with self._changed:
            return self._journal.evidence(key)

    def console(self, key: str) -> str | None:
        """Return the end of what a machine has written to its serial console, None where there is no such machine."""
        with self._changed:
            life = self._lives.get(key)
        return plain(_end_of(self._files(life).console)) if life is not None else None

    def evidence_public_key(self) -> str:
        """Return the PEM of the public key that evidence is verified with."""
        return self._key.public_pem.decode("ascii")

    def boots(self) -> dict[str, int]:
        """Return how often each machine was started."""
        with self._changed:
            return {key: life.boots for key, life in self._lives.items()}

    def underway(self, keys: Sequence[str]) -> list[str]:
        """Return those of the machines that are not yet what they are to be, nor have failed."""
        settled = (Phase.READY, Phase.OFF, Phase.FAILED)
        with self._changed:
            lives = [self._lives[key] for key in keys if key in self._lives]
            return [
                life.key
                for life in lives
                if life.leaving
                or life.begins_anew
                or life.phase not in settled
                or (life.phase is not Phase.FAILED and life.spec.running != (life.phase is Phase.READY))
            ]

    # -- what is wanted

    def _wanted(self, spec: MachineSpec) -> Life:
        """The life of a machine that is to be as specified; one that is anything else is begun anew.

        One that was reimaged since keeps all but its disk: NVRAM, TPM, persistent memory.
        """
        life = self._lives.get(spec.key)
        if life is None:
            return Life(spec=spec, uuid=self._new_id(), began=self._now())
        is_same = not life.leaving and spec.is_met_by(life.spec)
        return replace(
            life,
            spec=spec,
            leaving=False,
            outdated=life.outdated or not is_same,
            reimaging=life.reimaging or spec.reimaged_by != life.spec.reimaged_by,
        )

    def _epc_mib(self) -> int:
        """All the EPC of the host. Raises `PermanentError` that says what it lacks where machines can have none."""
        lacking = lacking_of_host(self._host.sgx())
        # Only a host that can do it is worth asking what QEMU can.
        emulator = self._asked_emulator() if not lacking else None
        if emulator is not None:
            lacking = lacking_of_emulator(emulator)
        if lacking or emulator is None:
            raise PermanentError(
                "Allocation failed. We do not have sufficient capacity for the requested VM size in this region: "
                f"it has SGX, for which this host lacks {'; '.join(lacking)}.",
                code="AllocationFailed",
                remedy="Choose a size without SGX, or run machines on a host that has what is missing.",
            )
        return emulator.epc_mib

    def _asked_emulator(self) -> EmulatorSgx:
        with self._changed:
            self._is_sgx_asked = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._emulator_sgx is not None, _CAPABILITIES_TIMEOUT_SECONDS)
            if self._emulator_sgx is None:
                raise TemporaryError("libvirt has not said what QEMU can do", retry_after_seconds=5)
            return self._emulator_sgx

    def _require_room(self, new: Sequence[MachineSpec], images: Mapping[str, DiskImage], epc_mib: int) -> None:
        if not new:
            return
        waiting = [life.spec for life in self._lives.values() if life.phase is Phase.QUEUED and not life.leaving]
        others = [life.spec for life in self._lives.values() if life.phase is not Phase.QUEUED and not life.leaving]
        given = sum(allocate(spec, self._host.caps).epc_mib for spec in others if spec.running)
        room = replace(self._host.room(self._host.directory), epc_mib=max(0, epc_mib - given))
        lacking = shortage(
            [allocate(spec, self._host.caps) for spec in (*new, *waiting) if spec.running],
            sum(images[spec.key].virtual_bytes + (spec.vpmem_mib << 20) for spec in new),
            room,
        )
        if lacking is not None:
            raise PermanentError(
                "Allocation failed. We do not have sufficient capacity for the requested VM size in this region: "
                f"{lacking}.",
                code="AllocationFailed",
                remedy="Free some, ask for fewer machines, or lower the caps of memory and CPUs per machine.",
            )

    def _facts(self, life: Life) -> MachineFacts:
        report, given = life.report, allocate(life.spec, self._host.caps)
        return MachineFacts(
            key=life.key,
            ready=life.phase is Phase.READY and life.spec.running and not life.begins_anew,
            running=life.phase in (Phase.BOOTING, Phase.READY, Phase.SILENT, Phase.STOPPING),
            observed=life.observed,
            observed_by=life.observed_by,
            secure_boot=report.secure_boot if report is not None else None,
            vtpm=report.tpm is not None if report is not None else None,
            partition_table=report.disk.partition_table if report is not None else None,
            last_seen=life.last_seen,
            # What was wrong with it is no reason to give up what is on its way.
            cause=life.cause if not life.begins_anew else None,
            ip=report.ip if report is not None else None,
            memory_mib=given.memory_mib,
            cpus=given.cpus,
            booted=f"sha256:{life.made_from}" if life.made_from else None,
            stand_in=life.stand_in,
            vpmem_mib=report.pmem_mib if report is not None else None,
        )

    # -- the supervising thread

    def _supervise(self) -> None:
        pause = 0.0
        while True:
            with self._changed:
                self._changed.wait(pause)
                if self._closing:
                    return
                lives = list(self._lives.values())
            try:
                pause = _PAUSE_SECONDS if self._look_after(lives) else _IDLE_PAUSE_SECONDS
            except TemporaryError as error:
                log.warning("machines_unseen", cause=str(error))
                pause = error.retry_after_seconds
            except PermanentError as error:
                log.error("machines_unseen", cause=str(error), remedy=error.remedy)
                pause = _IDLE_PAUSE_SECONDS
            except Exception:
                log.exception("machines_unseen")
                pause = _IDLE_PAUSE_SECONDS

    def _look_after(self, lives: Sequence[Life]) -> bool:
        """Look at each machine once and act; whether any is on its way somewhere."""
        if self._is_sgx_asked and self._emulator_sgx is None:
            self._ask_emulator()
        prefix = f"poolwright-{self._service}-"
        domains = self._hypervisor.domains(prefix)
        self._end_orphans(domains, lives)
        booting = sum(life.phase is Phase.BOOTING for life in lives)
        moving = False
        for life in lives:
            seen = self._seen(life, domains.get(life.uuid), booting < self._host.parallel_boots)
            after, actions = advance(life, seen, self._host.when_lost)
            booting += (after.phase is Phase.BOOTING) - (life.phase is Phase.BOOTING)
            moving = moving or bool(actions) or after.phase in (Phase.QUEUED, Phase.BOOTING, Phase.STOPPING)
            if after != life or actions:
                try:
                    self._carry_out(life, after, actions)
                except Exception:
                    self._have_said_again(life)
                    raise
        return moving

    def _ask_emulator(self) -> None:
        try:
            answer = read(self._hypervisor.domain_capabilities(_emulator(), self._host.accelerator.value))
        except PermanentError as error:
            log.warning("capabilities_refused", cause=str(error))
            answer = EmulatorSgx(is_known=False, is_supported=False, epc_mib=0)
        with self._changed:
            self._emulator_sgx = answer
            self._changed.notify_all()

    def _seen(self, life: Life, domain: Domain | None, may_begin: bool) -> Seen:
        files = self._files(life)
        active = domain is not None and domain.active
        messages: tuple[Message, ...] = ()
        if active:
            link = self._links.setdefault(life.key, AgentLink(files.agent, self._new_id))
            messages = tuple(link.listen(self._now()))
        else:
            self._tools.pop(life.uuid, None)
            if life.key in self._links:
                self._links.pop(life.key).close()
        wanted = active and not life.has_agent and life.phase in (Phase.BOOTING, Phase.READY, Phase.SILENT)
        awaited = life.phase is Phase.BOOTING or not active
        return Seen(
            now=self._now(),
            active=active,
            host_boot=self._host.boot,
            since=self._since,
            has_begun=files.console.exists(),
            has_files=life.outdated and (files.directory.exists() or domain is not None),
            has_disk=life.reimaging and files.disk.exists(),
            cpu_seconds=domain.cpu_seconds if domain is not None else 0.0,
            messages=messages,
            console=both_ends_of(files.console) if awaited else "",
            firmware_log=both_ends_of(files.firmware_log) if awaited else "",
            may_begin=may_begin,
            tools=wanted and self._tools_answer(life),
        )

    def _tools_answer(self, life: Life) -> bool:
        """Whether QEMU's guest agent answered when it was last asked; one that does not costs a second of waiting."""
        asked, answered = self._tools.get(life.uuid, (float("-inf"), False))
        if not 0 <= self._now() - asked < _TOOLS_SECONDS:
            answered = self._hypervisor.tools_answer(life.uuid)
            self._tools[life.uuid] = (self._now(), answered)
        return answered

    def _carry_out(self, before: Life, after: Life, actions: Sequence[Action]) -> None:
        """Write down first what is about to be done, then do it; nothing of a machine that was asked anew meanwhile."""
        if after.phase is Phase.FAILED and before.phase is not Phase.FAILED:
            after = replace(after, cause=self._with_last_lines(after))
            log.warning("machine_failed", machine=after.key, cause=after.cause)
        if Action.BEGIN in actions and not self._files(after).disk.exists():
            image = self._image(after)
            after = replace(
                after,
                made_from=image.digest,
                stand_in=image.origin is Origin.STAND_IN,
                has_agent=image.has_agent,
                has_seed=image.cloud_init,
            )
        with self._changed:
            if self._lives.get(before.key) != before:
                self._have_said_again(before)
                return
            if Action.WITNESS in actions:
                self._journal.witness(after, self._statement(after))
            else:
                self._journal.put(after)
            self._lives[after.key] = after
        try:
            for action in actions:
                self._act(after, action)
        except PermanentError as error:
            self._put_instead(after, failed(after, str(error), self._now()))
        except TemporaryError:
            self._put_instead(after, before)
            raise
        with self._changed:
            self._changed.notify_all()

    def _have_said_again(self, life: Life) -> None:
        """What its agent said came to nothing, and it says that once only: it is asked for it again."""
        if life.key in self._links:
            self._links[life.key].ask_anew()

    def _put_instead(self, life: Life, other: Life) -> None:
        """The machine is in the other state, unless somebody wants something else of it by now."""
        with self._changed:
            if self._lives.get(life.key) == life:
                self._journal.put(other)
                self._lives[life.key] = other

    def _act(self, life: Life, action: Action) -> None:
        match action:
            case Action.BEGIN:
                self._begin(life)
            case Action.POWER_BUTTON:
                self._hypervisor.press_power_button(life.uuid)
            case Action.END:
                self._hypervisor.end(life.uuid)
            case Action.WIPE:
                self._hypervisor.undefine(life.uuid)
                files = self._files(life)
                for directory in (files.directory, files.sockets):
                    shutil.rmtree(directory, ignore_errors=True)
                remove_logs(self._name(life), self._host.logs)
            case Action.DISCARD_DISK:
                # With another disk cloud-init begins anew, and is told who may log in now.
                self._files(life).seed.unlink(missing_ok=True)
                self._files(life).disk.unlink(missing_ok=True)
            case Action.FORGET:
                with self._changed:
                    if self._lives.get(life.key) == life:
                        self._journal.forget(life.key)
                        del self._lives[life.key]
            case Action.LET_RESET | Action.END_AT_RESET:
                self._hypervisor.let_reset(life.uuid, allowed=action is Action.LET_RESET)
            case Action.WITNESS:
                log.info("machine_ready", machine=life.key, generation=life.spec.generation.value)

    def _begin(self, life: Life) -> None:
        files, account = self._files(life), self._host.account
        for directory in (files.directory, files.sockets):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            account.give(directory)
        for old in (files.console, files.firmware_log):
            old.unlink(missing_ok=True)
        if not files.disk.exists():
            self._make_disk(files.disk, self._image(life))
        if life.has_seed and not files.seed.exists():
            self._make_seed(files, life)
        if life.spec.vpmem_mib and not files.pmem.exists():
            self._make_pmem(files.pmem, life.spec.vpmem_mib << 20)
        self._hypervisor.begin(render(self._definition(life)), life.uuid)

    def _make_disk(self, disk: Path, image: DiskImage) -> None:
        """The disk is a layer over its image, and there as a whole or not at all."""
        base = self._host.directory / "images" / f"sha256-{image.digest}.qcow2"
        if not base.exists():
            base.parent.mkdir(mode=0o755, exist_ok=True)
            _place(image.path, base)
        unfinished = disk.with_suffix(".part")
        unfinished.unlink(missing_ok=True)
        subprocess.run(
            ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", str(base), str(unfinished)],
            check=True,
            capture_output=True,
            timeout=60,
        )
        self._host.account.give(unfinished)
        unfinished.rename(disk)

    def _make_seed(self, files: Files, life: Life) -> None:
        """The seed for cloud-init, there as a whole or not at all. What it holds may be secret: it is the account's."""
        content = cloud_init.seed(
            instance_id=life.uuid,
            hostname=life.key.rpartition("/")[2],
            mac=mac_of(life.uuid),
            login=life.spec.login,
            user=self._host.user_data,
        )
        unfinished = files.directory / "seed"
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        try:
            places = {name: unfinished / name for name in content}
            for name, place in places.items():
                place.write_bytes(content[name])
            made = unfinished / "made.img"
            disk.fat(made, cloud_init.SEED_BYTES, cloud_init.LABEL, places, bits=12)
            made.chmod(0o600)
            self._host.account.give(made)
            made.rename(files.seed)
        except ProgramFailed as error:
            raise PermanentError(f"the seed for cloud-init could not be made: {error}") from error
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)

    def _make_pmem(self, pmem: Path, size: int) -> None:
        """Zeros that take room on the host's disk once the guest has written something else."""
        unfinished = pmem.with_suffix(".part")
        with unfinished.open("wb") as file:
            file.truncate(size)
        self._host.account.give(unfinished)
        unfinished.rename(pmem)

    def _definition(self, life: Life) -> Definition:
        spec = life.spec
        return Definition(
            name=self._name(life),
            uuid=life.uuid,
            service=self._service,
            key=spec.key,
            generation=spec.generation,
            secure_boot=spec.secure_boot,
            vtpm=spec.vtpm,
            allocation=allocate(spec, self._host.caps),
            accelerator=self._host.accelerator,
            files=self._files(life),
            product=spec.size,
            disk_bus=bus_of(spec.generation),
            emulator=_emulator(),
            bridge=self._host.bridge,
            has_seed=life.has_seed,
            vpmem_mib=spec.vpmem_mib,
        )

    def _name(self, life: Life) -> str:
        # Machines of other clusters may have the same name.
        return f"poolwright-{self._service}-{life.key.rpartition('/')[2]}-{life.uuid[:8]}"

    def _files(self, life: Life) -> Files:
        return self._files_of(life.uuid)

    def _files_of(self, uuid: str) -> Files:
        return Files(self._host.directory / uuid, self._host.sockets / uuid[:8])

    def _image(self, life: Life) -> DiskImage:
        image = self._images.get(life.key)
        if image is None:
            image = self._images[life.key] = self._image_for(life.spec)
        return image

    def _statement(self, life: Life) -> dict[str, Any]:
        """The evidence for what a machine has just shown."""
        files, report = self._files(life), life.report
        assert life.observed is not None
        assert life.observed_by is not None
        origin = Origin.STAND_IN if life.stand_in else Origin.IMPORTED
        return self._key.sign(
            {
                "machine": life.key,
                "uuid": life.uuid,
                "nonce": report.nonce if report is not None else None,
                "nodeImage": life.spec.node_image,
                "image": {"digest": f"sha256:{life.made_from}", "origin": origin.value},
                "resolvedGeneration": life.spec.generation.value,
                "observedGeneration": life.observed.value,
                "observedBy": life.observed_by.value,
                "report": report.model_dump(mode="json", by_alias=True) if report is not None else None,
                "accelerator": self._host.accelerator.name,
                "allocation": {
                    "memoryMiB": allocate(life.spec, self._host.caps).memory_mib,
                    "cpus": allocate(life.spec, self._host.caps).cpus,
                    "vpmemMiB": life.spec.vpmem_mib,
                    "epcMiB": allocate(life.spec, self._host.caps).epc_mib,
                },
                "bootLog": {
                    "console": digest_of_file(files.console),
                    "firmware": digest_of_file(files.firmware_log),
                },
                "definition": digest_of_text(render(self._definition(life))),
                "boot": life.boots,
                "witnessedAt": self._now(),
            }
        )

    def _with_last_lines(self, life: Life) -> str:
        lines = tail(_end_of(self._files(life).console), 3)
        shown = " | ".join(lines)
        return f"{life.cause}. Last on its console: {shown}" if shown else f"{life.cause}. Its console is empty."

    def _end_orphans(self, domains: Mapping[str, Domain], lives: Sequence[Life]) -> None:
        """End what has no row: a kill between the two, or a journal that was lost."""
        known = {life.uuid for life in lives}
        for uuid in domains.keys() - known:
            with self._changed:
                if any(life.uuid == uuid for life in self._lives.values()):
                    continue
            log.warning("orphan_ended", domain=domains[uuid].name)
            remove(self._hypervisor, domains[uuid], self._host.logs)
            files = self._files_of(uuid)
            for directory in (files.directory, files.sockets):
                shutil.rmtree(directory, ignore_errors=True)


def _emulator() -> str:
    return shutil.which(_EMULATOR) or f"/usr/bin/{_EMULATOR}"


def _end_of(path: Path) -> str:
    with suppress(FileNotFoundError), path.open("rb") as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - _SHOWN_BYTES))
        return file.read().decode(errors="replace")
    return ""


def both_ends_of(path: Path) -> str:
    """Return what firmware wrote first and a system wrote last; a console that is longer has a gap between them."""
    with suppress(FileNotFoundError), path.open("rb") as file:
        beginning = file.read(_SHOWN_BYTES)
        file.seek(max(len(beginning), os.fstat(file.fileno()).st_size - _SHOWN_BYTES))
        return (beginning + file.read()).decode(errors="replace")
    return ""


def _place(source: Path, target: Path) -> None:
    """The image is where machines reach it, readable for all: it holds no secret."""
    unfinished = target.with_suffix(".part")
    unfinished.unlink(missing_ok=True)
    try:
        os.link(source, unfinished)
    except OSError:
        shutil.copyfile(source, unfinished)
    unfinished.chmod(0o444)
    unfinished.rename(target)
