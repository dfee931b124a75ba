"""The life of a machine on this host: which phase it is in, and what is to be done next.

    queued -> booting -> ready <-> silent
                 |         |
               failed    stopping -> off -> queued

A machine that was ready may reboot by itself: it is silent from when its agent begins anew until that has answered.
Before it is ready, and while an agent of ours is silent, a reset ends it: so one that resets without end is found.

Invariant: pure. `advance` is asked again and again with what is seen now, and decides alone; whoever carries out its
actions (`engine.py`) decides nothing. Each action may be carried out twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

from poolwright.domain.generation import Generation
from poolwright.domain.machine import MachineSpec, WhenLost, Witness
from poolwright.machines.local.agent import Began, Message, Report, Stopping
from poolwright.machines.local.symptoms import Boot, diagnose, firmware_seen, has_come_up

# The agent beats every 5 s; a host that is busy booting others may starve it for a while.
SILENT_AFTER_SECONDS: Final = 30.0
# ACPI's button is a request: a guest that does not hear it is switched off.
STOP_TIMEOUT_SECONDS: Final = 60.0
MOST_REPAIRS: Final = 3


class Phase(Enum):
    """Where a machine is in its life."""

    QUEUED = "queued"
    BOOTING = "booting"
    READY = "ready"
    SILENT = "silent"
    STOPPING = "stopping"
    OFF = "off"
    FAILED = "failed"


class Action(Enum):
    """What the engine is to do.

    `BEGIN` makes disk and definition and starts, `END` pulls the plug, `WIPE` removes everything of it from the host,
    `DISCARD_DISK` its disk and what cloud-init is told, `FORGET` its row, and `WITNESS` signs what it has shown.
    `LET_RESET` has a reset of the machine start it again, as on hardware, `END_AT_RESET` has it end the machine, as
    when it is begun.
    """

    BEGIN = "begin"
    POWER_BUTTON = "power button"
    END = "end"
    WIPE = "wipe"
    DISCARD_DISK = "discard disk"
    FORGET = "forget"
    WITNESS = "witness"
    LET_RESET = "let reset"
    END_AT_RESET = "end at reset"


@dataclass(frozen=True, slots=True)
class Life:
    """One machine of this host. Times are UNIX seconds, `began` is when its phase did.

    `made_from` is the digest of its disk's image, "" before it has a disk, and `stand_in` says that this image is in
    the place of another; `has_agent` says whether the image has Poolwright's agent, `has_seed` whether the machine has
    a seed for cloud-init beside its disk. `outdated` says that what there is of it is thrown away first, `reimaging`
    that its disk is. `boots` counts the times it was seen to boot. `host_boot` says which boot of the host it was begun
    in, "" where that was not kept. `cause` says why it failed, `report` is what it last said of itself. `observed` is
    the generation that it showed, and `observed_by` who saw that.
    """

    spec: MachineSpec
    uuid: str
    phase: Phase = Phase.QUEUED
    began: float = 0.0
    made_from: str = ""
    stand_in: bool = False
    has_agent: bool = True
    has_seed: bool = False
    outdated: bool = False
    reimaging: bool = False
    leaving: bool = False
    boots: int = 0
    repairs: int = 0
    host_boot: str = ""
    last_seen: float | None = None
    report: Report | None = None
    observed: Generation | None = None
    observed_by: Witness | None = None
    cause: str | None = None

    @property
    def key(self) -> str:
        return self.spec.key

    @property
    def begins_anew(self) -> bool:
        """Whether what there is of it, or its disk, is to be thrown away: what it has shown says nothing any more."""
        return self.outdated or self.reimaging

    def now_in(self, phase: Phase, now: float) -> Life:
        """The same life in another phase from now on."""
        return self if phase is self.phase else replace(self, phase=phase, began=now)


@dataclass(frozen=True, slots=True)
class Seen:
    """What is seen of a machine now.

    `active` is whether libvirt runs it, `has_begun` whether QEMU ever did since it was last begun: a kill may come
    before that. `has_files` is whether anything of it lies on the host, `has_disk` whether its disk does; both are
    looked at only where something of it is to be thrown away. `cpu_seconds` is what it has used since then. `may_begin`
    is whether there is room for one more boot. The texts are what its console and firmware log hold. `tools` says
    whether QEMU's guest agent answers; asked only of machines without ours. `host_boot` says which boot of the host
    this is, and `since` when the service began to look: what a machine said before that was not heard.
    """

    now: float
    active: bool
    host_boot: str = ""
    since: float = 0.0
    has_begun: bool = True
    has_files: bool = False
    has_disk: bool = False
    cpu_seconds: float = 0.0
    messages: Sequence[Message] = ()
    console: str = ""
    firmware_log: str = ""
    may_begin: bool = False
    tools: bool = False


def advance(life: Life, seen: Seen, when_lost: WhenLost) -> tuple[Life, tuple[Action, ...]]:
    """Return the life from now on, and what is to be done for it, in that order."""
    if life.leaving:
        return life, (Action.END, Action.WIPE, Action.FORGET)
    if life.begins_anew:
        # Begun anew only once it is gone: a kill may come between the two.
        if seen.active or (seen.has_files if life.outdated else seen.has_disk):
            return life, (Action.END, Action.WIPE if life.outdated else Action.DISCARD_DISK)
        return Life(spec=life.spec, uuid=life.uuid, boots=life.boots, began=seen.now), ()
    if life.phase is Phase.FAILED:
        return life, (Action.END,) if seen.active else ()
    if not life.spec.running:
        return _down(life, seen)
    if not seen.active and life.host_boot != seen.host_boot and life.phase in _BEGUN:
        # It ended with its host, whatever `when_lost` says of machines that end alone.
        return _unseen(life).now_in(Phase.QUEUED, seen.now), (Action.END,)
    match life.phase:
        case Phase.QUEUED | Phase.OFF | Phase.STOPPING:
            return _up(life, seen)
        case Phase.BOOTING:
            return _booting(life, seen)
        case Phase.READY | Phase.SILENT:
            return _working(life, seen, when_lost)


def failed(life: Life, cause: str, now: float) -> Life:
    """The machine has failed for good, and that is why."""
    return replace(life, cause=cause).now_in(Phase.FAILED, now)


_BEGUN: Final = (Phase.BOOTING, Phase.READY, Phase.SILENT)
_WITNESSED: Final = (Action.WITNESS, Action.LET_RESET)


def _down(life: Life, seen: Seen) -> tuple[Life, tuple[Action, ...]]:
    if not seen.active:
        return life.now_in(Phase.OFF, seen.now), ()
    if life.phase is not Phase.STOPPING:
        return life.now_in(Phase.STOPPING, seen.now), (Action.POWER_BUTTON,)
    if seen.now - life.began > STOP_TIMEOUT_SECONDS:
        return life, (Action.END,)
    return life, ()


def _up(life: Life, seen: Seen) -> tuple[Life, tuple[Action, ...]]:
    if seen.active and life.phase is Phase.STOPPING:
        # On its way down; it is started when it is there.
        return (life, (Action.END,)) if seen.now - life.began > STOP_TIMEOUT_SECONDS else (life, ())
    if seen.active:
        # Begun before a kill, and not written down: it shows by itself whether it is what it should be.
        begun = replace(life, boots=life.boots + 1, host_boot=seen.host_boot)
        return begun.now_in(Phase.BOOTING, seen.now), ()
    if not seen.may_begin:
        return life.now_in(Phase.QUEUED, seen.now), ()
    begun = replace(_unseen(life), boots=life.boots + 1, cause=None, host_boot=seen.host_boot)
    return begun.now_in(Phase.BOOTING, seen.now), (Action.BEGIN,)


def _booting(life: Life, seen: Seen) -> tuple[Life, tuple[Action, ...]]:
    if not life.has_agent:
        shown = _shown_outside(life, seen)
        if shown is not None:
            return shown
    report = _report_in(seen)
    if report is not None:
        reported = _reported(life, report)
        mismatch = contradiction(life.spec, life.uuid, report)
        if mismatch is not None:
            return failed(reported, mismatch, seen.now), (Action.END,)
        return replace(reported, last_seen=seen.now).now_in(Phase.READY, seen.now), _WITNESSED
    # One that came up while nobody listened has used its CPU since; it answers once it is asked.
    listened = seen.now - max(life.began, seen.since)
    cpu_seconds = seen.cpu_seconds if life.began >= seen.since or listened > SILENT_AFTER_SECONDS else 0.0
    boot = Boot(
        life.spec.generation,
        seen.console,
        seen.firmware_log,
        cpu_seconds,
        listened,
        has_agent=life.has_agent,
    )
    cause = diagnose(boot)
    if cause is not None:
        return failed(life, cause, seen.now), (Action.END,)
    if seen.active:
        return life, ()
    if not seen.has_begun:
        return life.now_in(Phase.QUEUED, seen.now), ()
    return _again(life, "the machine switched itself off or reset before it had shown its firmware", seen.now)


def _working(life: Life, seen: Seen, when_lost: WhenLost) -> tuple[Life, tuple[Action, ...]]:
    if not seen.active:
        boot = Boot(life.spec.generation, seen.console, seen.firmware_log, 0.0, 0.0)
        why = diagnose(boot) or "the machine ended, and nobody here had asked for it"
        if when_lost is WhenLost.REPORT:
            return failed(life, why, seen.now), (Action.END,)
        return _again(life, why, seen.now)
    report = _report_in(seen)
    if report is not None:
        life = _reported(life, report)
        mismatch = contradiction(life.spec, life.uuid, report)
        if mismatch is not None:
            return failed(life, mismatch, seen.now), (Action.END,)
        return replace(life, last_seen=seen.now).now_in(Phase.READY, seen.now), _WITNESSED
    if any(isinstance(message, Began) for message in seen.messages):
        # It rebooted, and what it is now it has not shown yet.
        return _silent(replace(_unseen(life), boots=life.boots + 1), seen)
    if life.observed_by is Witness.FIRMWARE_LOG and seen.tools:
        # They began to answer after the console had shown that the system is up: from now on they are asked.
        answered = replace(life, observed_by=Witness.GUEST_TOOLS, last_seen=seen.now)
        return answered.now_in(Phase.READY, seen.now), (Action.WITNESS,)
    if life.observed is None:
        return life, ()
    if life.observed_by is Witness.FIRMWARE_LOG or (life.observed_by is Witness.GUEST_TOOLS and seen.tools):
        # Nobody inside answers for the one: all that is known of it is that it runs.
        return _heard(life, seen)
    if any(not isinstance(message, Stopping) for message in seen.messages):
        return _heard(life, seen)
    if seen.now - max(life.last_seen or 0.0, seen.since) > SILENT_AFTER_SECONDS:
        return _silent(life, seen)
    return life, ()


def _heard(life: Life, seen: Seen) -> tuple[Life, tuple[Action, ...]]:
    heard = replace(life, last_seen=seen.now).now_in(Phase.READY, seen.now)
    return heard, () if life.phase is Phase.READY else (Action.LET_RESET,)


def _silent(life: Life, seen: Seen) -> tuple[Life, tuple[Action, ...]]:
    """One that resets again before it has spoken is ended then, which is seen.

    Not one without our agent: a system that installs its updates may be silent and reset again and again.
    """
    is_new = life.has_agent and life.phase is not Phase.SILENT
    return life.now_in(Phase.SILENT, seen.now), (Action.END_AT_RESET,) if is_new else ()


def _again(life: Life, why: str, now: float) -> tuple[Life, tuple[Action, ...]]:
    """Have the machine started again, unless that has happened too often."""
    if life.repairs >= MOST_REPAIRS:
        return failed(life, f"{why}, again and again: it was started {MOST_REPAIRS + 1} times", now), (Action.END,)
    again = replace(_unseen(life), repairs=life.repairs + 1)
    return again.now_in(Phase.QUEUED, now), (Action.END,)


def _reported(life: Life, report: Report) -> Life:
    return replace(life, report=report, observed=report.generation, observed_by=Witness.GUEST_AGENT)


def _unseen(life: Life) -> Life:
    return replace(life, report=None, observed=None, observed_by=None, last_seen=None)


def _shown_outside(life: Life, seen: Seen) -> tuple[Life, tuple[Action, ...]] | None:
    """What a machine without our agent has come to, by what is seen of it; None while that is not yet clear."""
    came_up = seen.tools or has_come_up(seen.console)
    observed = firmware_seen(seen.console, seen.firmware_log) if came_up else None
    if observed is None:
        return None
    by = Witness.GUEST_TOOLS if seen.tools else Witness.FIRMWARE_LOG
    shown = replace(life, observed=observed, observed_by=by, last_seen=seen.now)
    if observed is not life.spec.generation:
        why = f"it was to be generation {life.spec.generation.value} and its firmware is that of {observed.value}"
        return failed(shown, why, seen.now), (Action.END,)
    return shown.now_in(Phase.READY, seen.now), _WITNESSED


def contradiction(spec: MachineSpec, uuid: str, report: Report) -> str | None:
    """Return in words where what the firmware shows is not what was asked for, None where it is."""
    rows = (
        (report.uuid.lower() == uuid.lower(), f"another machine answered: its UUID is {report.uuid}"),
        (
            report.generation is spec.generation,
            f"it was to be generation {spec.generation.value} and booted {report.firmware.upper()}, "
            f"which is {report.generation.value}",
        ),
        (
            not spec.secure_boot or report.secure_boot is True,
            "Secure Boot was to be on, and the firmware says that it is not",
        ),
        (not spec.vtpm or report.tpm is not None, "it was to have a TPM, and the guest sees none"),
        (
            # What a guest makes of it, a namespace with room for its own tables for one, is the guest's affair.
            not spec.vpmem_mib or report.pmem_mib > 0,
            f"it was to have {spec.vpmem_mib} MiB of persistent memory, and the guest sees none",
        ),
        (not spec.epc_mib or report.sgx, "it was to have SGX, and the guest's CPU shows none"),
    )
    return next((words for holds, words in rows if not holds), None)


def _report_in(seen: Seen) -> Report | None:
    return next((message for message in seen.messages if isinstance(message, Report)), None)
