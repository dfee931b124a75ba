"""A machine's life: every phase, every way from it, and what must hold whatever is seen."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poolwright.domain.generation import Generation
from poolwright.domain.machine import MachineSpec, WhenLost, Witness
from poolwright.machines.local.agent import Began, Heartbeat, Message, PersistentMemory, Report, Stopping
from poolwright.machines.local.life import (
    MOST_REPAIRS,
    SILENT_AFTER_SECONDS,
    STOP_TIMEOUT_SECONDS,
    Action,
    Life,
    Phase,
    Seen,
    advance,
)

UUID = "0a1b2c3d-0000-4000-8000-000000000001"
SPEC = MachineSpec("c/machines/m0", Generation.V1, "image", "Standard_D2s_v5", 2, 8.0, False, False, True)
OFF = replace(SPEC, running=False)
TRUSTED = replace(SPEC, generation=Generation.V2, secure_boot=True, vtpm=True)
BIOS = Report.model_validate(
    {
        "nonce": "n1",
        "firmware": "bios",
        "disk": {"name": "vda", "bytes": 67108864, "bus": "virtio0", "partitionTable": "mbr"},
        "memory": {"totalKiB": 216000, "availableKiB": 190000},
        "cpus": 1,
        "uuid": UUID,
        "machine": "m0",
        "uptime": 3.4,
    }
)
UEFI = BIOS.model_copy(update={"firmware": "uefi", "secure_boot": True, "tpm": "2"})
PERSISTENT = replace(SPEC, generation=Generation.V2, vpmem_mib=128)
NOW = 1000.0


def a(phase: Phase, spec: MachineSpec = SPEC, **more: object) -> Life:
    return replace(Life(spec=spec, uuid=UUID, phase=phase, began=NOW), **more)


def shown(phase: Phase = Phase.READY, **more: object) -> Life:
    """A machine that has shown what it is."""
    seen_then = {"last_seen": NOW, "report": BIOS, "observed": Generation.V1, "observed_by": Witness.GUEST_AGENT}
    return a(phase, **{**seen_then, "boots": 1, **more})


def seen(*messages: Message, active: bool = True, after: float = 1.0, **more: object) -> Seen:
    return replace(Seen(now=NOW + after, active=active, messages=messages), **more)


def after(life: Life, what: Seen, when_lost: WhenLost = WhenLost.REPAIR) -> tuple[Phase, tuple[Action, ...]]:
    changed, actions = advance(life, what, when_lost)
    return changed.phase, actions


def test_a_machine_waits_for_room_and_then_begins() -> None:
    assert after(a(Phase.QUEUED), seen(active=False)) == (Phase.QUEUED, ())
    begun, actions = advance(a(Phase.QUEUED), seen(active=False, may_begin=True), WhenLost.REPAIR)
    assert (begun.phase, begun.boots, actions) == (Phase.BOOTING, 1, (Action.BEGIN,))


def test_a_machine_that_a_killed_service_had_begun_is_not_begun_again() -> None:
    assert after(a(Phase.QUEUED), seen(active=True, may_begin=True)) == (Phase.BOOTING, ())


def test_a_machine_whose_beginning_a_kill_prevented_is_begun() -> None:
    assert after(a(Phase.BOOTING), seen(active=False, has_begun=False)) == (Phase.QUEUED, ())


def test_only_an_answer_of_the_right_firmware_makes_it_ready() -> None:
    assert after(a(Phase.BOOTING), seen()) == (Phase.BOOTING, ())
    assert after(a(Phase.BOOTING), seen(Heartbeat(3.0))) == (Phase.BOOTING, ())
    assert after(a(Phase.BOOTING), seen(BIOS)) == (Phase.READY, (Action.WITNESS, Action.LET_RESET))
    assert after(a(Phase.BOOTING, TRUSTED), seen(UEFI)) == (Phase.READY, (Action.WITNESS, Action.LET_RESET))
    pmem = UEFI.model_copy(update={"pmem": (PersistentMemory(device="pmem0", bytes=128 << 20),)})
    enclaves = UEFI.model_copy(update={"sgx": True})
    spec = replace(SPEC, generation=Generation.V2, epc_mib=56)
    assert after(a(Phase.BOOTING, spec), seen(enclaves)) == (Phase.READY, (Action.WITNESS, Action.LET_RESET))
    assert after(a(Phase.BOOTING, PERSISTENT), seen(pmem)) == (Phase.READY, (Action.WITNESS, Action.LET_RESET))


@pytest.mark.parametrize(
    ("spec", "report", "words"),
    [
        (SPEC, UEFI, "generation V1 and booted UEFI, which is V2"),
        (TRUSTED, BIOS, "generation V2 and booted BIOS, which is V1"),
        (TRUSTED, UEFI.model_copy(update={"secure_boot": False}), "Secure Boot was to be on"),
        (TRUSTED, UEFI.model_copy(update={"secure_boot": None}), "Secure Boot was to be on"),
        (TRUSTED, UEFI.model_copy(update={"tpm": None}), "it was to have a TPM"),
        (PERSISTENT, UEFI, "it was to have 128 MiB of persistent memory, and the guest sees none"),
        (
            replace(SPEC, generation=Generation.V2, epc_mib=56),
            UEFI,
            "it was to have SGX, and the guest's CPU shows none",
        ),
        (SPEC, BIOS.model_copy(update={"uuid": UUID.replace("a", "b")}), "another machine answered"),
    ],
)
@pytest.mark.parametrize("phase", [Phase.BOOTING, Phase.READY])
def test_a_contradiction_stops_it_and_says_why(spec: MachineSpec, report: Report, words: str, phase: Phase) -> None:
    failed, actions = advance(a(phase, spec, last_seen=NOW), seen(report), WhenLost.REPAIR)
    assert (failed.phase, actions) == (Phase.FAILED, (Action.END,))
    assert failed.cause is not None
    assert words in failed.cause
    # What it did show stays visible.
    assert failed.report == report


def test_a_hopeless_boot_is_stopped_instead_of_burning_a_core() -> None:
    panicked = seen(console="Kernel panic - not syncing: no init\n")
    assert after(a(Phase.BOOTING), panicked) == (Phase.FAILED, (Action.END,))
    assert after(a(Phase.FAILED), seen(active=True)) == (Phase.FAILED, (Action.END,))
    assert after(a(Phase.FAILED), seen(active=False)) == (Phase.FAILED, ())


@pytest.mark.parametrize("phase", [Phase.BOOTING, Phase.READY, Phase.SILENT])
def test_a_machine_that_ends_is_started_again_but_not_for_ever(phase: Phase) -> None:
    life = a(phase, last_seen=NOW)
    for number in range(MOST_REPAIRS):
        life, actions = advance(replace(life, phase=phase), seen(active=False), WhenLost.REPAIR)
        assert (life.phase, life.repairs, actions) == (Phase.QUEUED, number + 1, (Action.END,))
    life, actions = advance(replace(life, phase=phase), seen(active=False), WhenLost.REPAIR)
    assert (life.phase, actions) == (Phase.FAILED, (Action.END,))
    assert life.cause is not None
    assert f"started {MOST_REPAIRS + 1} times" in life.cause


def test_a_lost_machine_is_only_reported_where_that_is_wanted() -> None:
    lost, actions = advance(a(Phase.READY, last_seen=NOW), seen(active=False), WhenLost.REPORT)
    assert (lost.phase, actions) == (Phase.FAILED, (Action.END,))
    assert lost.cause == "the machine ended, and nobody here had asked for it"


def test_a_heartbeat_decides_whether_it_is_ready() -> None:
    late = SILENT_AFTER_SECONDS + 1
    life = shown()
    assert after(life, seen(after=late - 2)) == (Phase.READY, ())
    silent, _ = advance(life, seen(after=late), WhenLost.REPAIR)
    assert silent.phase is Phase.SILENT
    assert after(silent, seen(Stopping(), after=late)) == (Phase.SILENT, ())
    awake, _ = advance(silent, seen(Heartbeat(9.0), after=late), WhenLost.REPAIR)
    assert (awake.phase, awake.last_seen) == (Phase.READY, NOW + late)


def test_a_machine_that_reboots_itself_is_asked_again_and_that_is_no_repair() -> None:
    rebooting, actions = advance(shown(), seen(Began()), WhenLost.REPORT)
    assert (rebooting.phase, rebooting.observed, rebooting.boots, actions) == (
        Phase.SILENT,
        None,
        2,
        (Action.END_AT_RESET,),
    )
    # Nothing but an answer counts, however long that takes.
    for what in (seen(), seen(Heartbeat(1.0)), seen(after=10 * SILENT_AFTER_SECONDS)):
        assert advance(rebooting, what, WhenLost.REPORT) == (rebooting, ())
    # One that resets for ever begins again and again, and is not let.
    assert advance(rebooting, seen(Began()), WhenLost.REPORT)[1] == ()
    ready, actions = advance(rebooting, seen(BIOS), WhenLost.REPORT)
    assert (ready.phase, ready.observed, ready.repairs) == (Phase.READY, Generation.V1, 0)
    assert actions == (Action.WITNESS, Action.LET_RESET)
    assert after(rebooting, seen(UEFI)) == (Phase.FAILED, (Action.END,))
    assert after(rebooting, seen(active=False), WhenLost.REPORT) == (Phase.FAILED, (Action.END,))


def test_a_silent_machine_is_ended_by_a_reset_until_it_speaks() -> None:
    late = seen(after=SILENT_AFTER_SECONDS + 1)
    silent, actions = advance(shown(), late, WhenLost.REPAIR)
    assert (silent.phase, actions) == (Phase.SILENT, (Action.END_AT_RESET,))
    assert advance(silent, late, WhenLost.REPAIR) == (silent, ())
    assert after(silent, seen(Heartbeat(1.0))) == (Phase.READY, (Action.LET_RESET,))
    assert after(shown(), seen(Heartbeat(1.0))) == (Phase.READY, ())


@pytest.mark.parametrize("when_lost", WhenLost)
@pytest.mark.parametrize("phase", [Phase.BOOTING, Phase.READY, Phase.SILENT])
def test_a_reboot_of_the_host_is_no_loss_of_its_machines(phase: Phase, when_lost: WhenLost) -> None:
    """Also hours later, and whatever the console of the cut boot shows."""
    life = shown(phase, host_boot="first", repairs=MOST_REPAIRS)
    rebooted = seen(active=False, after=1e5, host_boot="second", console="Kernel panic - not syncing: cut\n")
    waiting, actions = advance(life, rebooted, when_lost)
    assert (waiting.phase, waiting.observed, waiting.repairs, actions) == (
        Phase.QUEUED,
        None,
        MOST_REPAIRS,
        (Action.END,),
    )
    begun, actions = advance(waiting, replace(rebooted, may_begin=True), when_lost)
    assert (begun.phase, begun.host_boot, actions) == (Phase.BOOTING, "second", (Action.BEGIN,))
    assert after(begun, rebooted, when_lost)[0] is Phase.FAILED


def test_after_a_reboot_of_the_host_what_was_off_or_had_failed_stays_so() -> None:
    rebooted = seen(active=False, host_boot="second", may_begin=True)
    for life in (a(Phase.OFF, OFF), a(Phase.FAILED, cause="why")):
        assert advance(life, rebooted, WhenLost.REPAIR) == (life, ())
    assert after(a(Phase.READY, OFF), rebooted) == (Phase.OFF, ())
    assert after(a(Phase.STOPPING, OFF), rebooted) == (Phase.OFF, ())


def test_what_a_machine_did_while_nobody_looked_is_not_held_against_it() -> None:
    """A service that was away for a day hears a machine before it judges it."""
    day = 86400.0
    away = seen(after=day + 1, since=NOW + day, cpu_seconds=1e4)
    for life in (a(Phase.BOOTING), shown()):
        assert advance(life, away, WhenLost.REPAIR) == (life, ())
        assert after(life, replace(away, messages=(BIOS,)))[0] is Phase.READY
    later = replace(away, now=away.since + SILENT_AFTER_SECONDS + 1)
    assert after(a(Phase.BOOTING), later)[0] is Phase.FAILED
    assert after(shown(), later)[0] is Phase.SILENT


FROM_BIOS = {"firmware_log": "Booting from 0000:7c00\n"}
FROM_UEFI = {"console": 'BdsDxe: starting Boot0001 "UEFI QEMU HARDDISK"\r\nnode login: '}


@pytest.mark.parametrize(
    ("spec", "what", "expected"),
    [
        (SPEC, seen(tools=True, **FROM_BIOS), (Phase.READY, Witness.GUEST_TOOLS)),
        (SPEC, seen(console="node login: ", **FROM_BIOS), (Phase.READY, Witness.FIRMWARE_LOG)),
        (replace(TRUSTED, vtpm=False), seen(**FROM_UEFI), (Phase.READY, Witness.FIRMWARE_LOG)),
        (SPEC, seen(console="Linux version 6.1\n", **FROM_BIOS), (Phase.BOOTING, None)),
        (SPEC, seen(tools=True), (Phase.BOOTING, None)),
        (SPEC, seen(**FROM_UEFI), (Phase.FAILED, Witness.FIRMWARE_LOG)),
    ],
    ids=["tools", "login on BIOS", "login on UEFI", "kernel only", "no firmware seen", "the other firmware"],
)
def test_a_machine_without_our_agent_is_seen_from_outside(
    spec: MachineSpec, what: Seen, expected: tuple[Phase, Witness | None]
) -> None:
    shown, actions = advance(a(Phase.BOOTING, spec, has_agent=False), what, WhenLost.REPAIR)
    assert (shown.phase, shown.observed_by) == expected
    assert (Action.WITNESS in actions) == (shown.phase is Phase.READY)


def test_a_machine_without_our_agent_stays_ready_as_long_as_it_can_be_seen() -> None:
    late = SILENT_AFTER_SECONDS + 1
    tools = shown(has_agent=False, observed_by=Witness.GUEST_TOOLS)
    assert after(tools, seen(after=late, tools=True)) == (Phase.READY, ())
    assert after(tools, seen(after=late)) == (Phase.SILENT, ())
    assert after(replace(tools, observed_by=Witness.FIRMWARE_LOG), seen(after=late)) == (Phase.READY, ())


def test_tools_that_answer_later_than_the_console_shows_a_system_are_the_better_witness() -> None:
    life = a(Phase.READY, has_agent=False, observed=Generation.V1, observed_by=Witness.FIRMWARE_LOG, last_seen=NOW)
    answered, actions = advance(life, seen(tools=True), WhenLost.REPAIR)
    assert (answered.phase, answered.observed_by, actions) == (Phase.READY, Witness.GUEST_TOOLS, (Action.WITNESS,))
    assert advance(answered, seen(tools=True, after=2.0), WhenLost.REPAIR)[1] == ()


@pytest.mark.parametrize(
    ("spec", "what", "words"),
    [
        # A system that never writes to the serial console looks the same, until it has had more than its time.
        (SPEC, seen(firmware_log="Booting from 0000:7c00\n", cpu_seconds=1201.0), "neither its console nor"),
        (TRUSTED, seen(console="BdsDxe: failed to load Boot0001: Not Found\n"), "no Generation 2 image"),
    ],
    ids=["V1", "V2"],
)
def test_an_image_of_the_other_generation_fails_without_our_agent_too(
    spec: MachineSpec, what: Seen, words: str
) -> None:
    failed, actions = advance(a(Phase.BOOTING, spec, has_agent=False), what, WhenLost.REPAIR)
    assert (failed.phase, actions) == (Phase.FAILED, (Action.END,))
    assert words in str(failed.cause)


def test_a_whole_system_may_take_longer_than_our_own_image() -> None:
    slow = seen(console="Linux version 6.1\n", cpu_seconds=500.0)
    assert after(a(Phase.BOOTING, has_agent=False), slow) == (Phase.BOOTING, ())
    assert after(a(Phase.BOOTING), slow) == (Phase.FAILED, (Action.END,))
    assert after(a(Phase.BOOTING, has_agent=False), replace(slow, cpu_seconds=2000.0)) == (
        Phase.FAILED,
        (Action.END,),
    )


def test_a_stop_asks_first_and_pulls_the_plug_only_later() -> None:
    stopping, actions = advance(a(Phase.READY, OFF), seen(), WhenLost.REPAIR)
    assert (stopping.phase, actions) == (Phase.STOPPING, (Action.POWER_BUTTON,))
    assert after(stopping, seen()) == (Phase.STOPPING, ())
    assert after(stopping, seen(after=STOP_TIMEOUT_SECONDS + 2)) == (Phase.STOPPING, (Action.END,))
    assert after(stopping, seen(active=False)) == (Phase.OFF, ())
    assert after(a(Phase.OFF), seen(active=False, may_begin=True)) == (Phase.BOOTING, (Action.BEGIN,))


def test_a_machine_that_is_wanted_again_while_it_stops_comes_down_first() -> None:
    assert after(a(Phase.STOPPING), seen(may_begin=True)) == (Phase.STOPPING, ())
    assert after(a(Phase.STOPPING), seen(active=False, may_begin=True)) == (Phase.BOOTING, (Action.BEGIN,))


@pytest.mark.parametrize(
    ("mark", "there", "action"),
    [("outdated", "has_files", Action.WIPE), ("reimaging", "has_disk", Action.DISCARD_DISK)],
)
@pytest.mark.parametrize("phase", Phase)
def test_what_is_to_be_another_is_thrown_away_before_it_is_made_anew(
    phase: Phase, mark: str, there: str, action: Action
) -> None:
    former = a(phase, report=BIOS, boots=2, cause="it failed", **{mark: True})
    for still in (seen(), seen(**{there: True}), seen(active=False, **{there: True})):
        # As often as it takes: a kill may come before, between and after the two.
        assert advance(former, still, WhenLost.REPAIR) == (former, (Action.END, action))
    anew, actions = advance(former, seen(active=False), WhenLost.REPAIR)
    assert actions == ()
    assert anew == Life(spec=SPEC, uuid=UUID, boots=2, began=NOW + 1.0)


def test_what_is_outdated_is_thrown_away_whole_although_only_its_disk_was_to_be_another() -> None:
    former = a(Phase.READY, outdated=True, reimaging=True)
    left = seen(active=False, has_files=True, has_disk=False)
    assert advance(former, left, WhenLost.REPAIR) == (former, (Action.END, Action.WIPE))


@pytest.mark.parametrize("phase", Phase)
def test_what_leaves_leaves_from_every_phase(phase: Phase) -> None:
    _, actions = advance(a(phase, leaving=True), seen(), WhenLost.REPAIR)
    assert actions == (Action.END, Action.WIPE, Action.FORGET)


MESSAGES = st.lists(st.sampled_from([BIOS, UEFI, Heartbeat(1.0), Stopping(), Began()]), max_size=2).map(tuple)
SEEN = st.builds(
    Seen,
    now=st.just(NOW),
    active=st.booleans(),
    has_begun=st.booleans(),
    cpu_seconds=st.sampled_from([0.0, 10.0, 1e4]),
    messages=MESSAGES,
    console=st.sampled_from(["", "Linux\n", "Kernel panic - not syncing: x\n"]),
    firmware_log=st.sampled_from(["", "Booting from 0000:7c00\n"]),
    may_begin=st.booleans(),
    host_boot=st.sampled_from(["", "another"]),
)


@given(
    st.lists(SEEN, max_size=25),
    st.sampled_from([SPEC, OFF, TRUSTED]),
    st.sampled_from(WhenLost),
)
def test_whatever_is_seen_ready_means_witnessed(things: list[Seen], spec: MachineSpec, when_lost: WhenLost) -> None:
    life, witnessed = Life(spec=spec, uuid=UUID), False
    for number, thing in enumerate(things):
        before = life
        life, actions = advance(life, replace(thing, now=NOW + 7 * number), when_lost)
        if Action.BEGIN in actions or life.boots > before.boots:
            witnessed = False
        witnessed = witnessed or Action.WITNESS in actions
        assert life.boots >= before.boots
        assert life.repairs <= MOST_REPAIRS
        assert (life.cause is not None) == (life.phase is Phase.FAILED)
        if life.phase is Phase.READY:
            assert witnessed
            assert life.observed is spec.generation
        if before.phase is Phase.FAILED:
            assert life == before
        # A machine that is not wanted up is never begun, one that is active never begun twice.
        if Action.BEGIN in actions:
            assert spec.running
            assert not thing.active
