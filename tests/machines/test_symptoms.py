"""How boots that go wrong look from outside. The texts are what firmware and kernels wrote on real boots."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from poolwright.domain.generation import Generation
from poolwright.machines.local.engine import both_ends_of
from poolwright.machines.local.symptoms import (
    HANDED_OVER,
    IDLE_SECONDS,
    UNSEEN,
    UNSEEN_FROM_OUTSIDE,
    Boot,
    diagnose,
    firmware_seen,
    has_come_up,
    plain,
    tail,
)

NOT_FOUND = (
    '\x1b[2J\x1b[01;01H\x1b[=3h\x1b[2J\x1b[01;01HBdsDxe: failed to load Boot0001 "UEFI QEMU QEMU HARDDISK " from '
    "PciRoot(0x0)/Pci(0x1,0x1)/Pci(0x0,0x0)/Scsi(0x0,0x0): Not Found\r\n"
)
VIOLATION = (
    'BdsDxe: loading Boot0001 "UEFI QEMU QEMU HARDDISK " from PciRoot(0x0)\r\n'
    "Verification failed: (0x1A) Security Violation\r\n"
)


def boot(
    console: str = "", log: str = "", *, cpu: float = 5.0, clock: float = 5.0, generation: Generation = Generation.V2
) -> Boot:
    return Boot(generation, console, log, cpu, clock)


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        (boot(NOT_FOUND), "UEFI found no boot loader"),
        (boot("UEFI Interactive Shell v2.2\r\n"), "UEFI found no boot loader"),
        (boot(VIOLATION), "Secure Boot refused the boot loader"),
        (boot("error: bad shim signature.\r\n"), "Secure Boot refused the kernel"),
        (boot(log="Boot failed: not a bootable disk\n", generation=Generation.V1), "BIOS found nothing to boot"),
        (boot(log="No bootable device.\n", generation=Generation.V1), "BIOS found nothing to boot"),
        (boot("Kernel panic - not syncing: VFS: Unable to mount\n"), "the kernel panicked: VFS: Unable to mount"),
        (boot("grub rescue> "), "GRUB found no system"),
    ],
)
def test_a_boot_that_failed_is_recognised(seen: Boot, words: str) -> None:
    cause = diagnose(seen)
    assert cause is not None
    assert words in cause


def test_a_boot_that_goes_on_is_left_alone() -> None:
    for generation in Generation:
        assert diagnose(boot("Linux version 6.1\n", "Booting from 0000:7c00\n", generation=generation)) is None


def test_zeros_that_are_executed_for_ever_are_recognised_by_their_silence() -> None:
    spent = HANDED_OVER.cpu_seconds + 1
    log = "Booting from Hard Disk...\nBooting from 0000:7c00\n"
    assert diagnose(boot("", log, cpu=spent, generation=Generation.V1)) == HANDED_OVER.cause
    # One line on the console, and it is a system that takes its time.
    assert diagnose(boot("Linux version\n", log, cpu=spent, generation=Generation.V1)) is None


def test_an_image_without_our_agent_may_be_silent() -> None:
    """Windows, and cloud images whose kernel writes to the screen alone."""
    spent = UNSEEN.cpu_seconds + 1
    silent = replace(boot("", "Booting from 0000:7c00\n", cpu=spent, generation=Generation.V1), has_agent=False)
    assert diagnose(silent) is None
    assert diagnose(replace(silent, cpu_seconds=UNSEEN_FROM_OUTSIDE.cpu_seconds + 1)) is not None


def test_the_clock_alone_decides_nothing_on_a_busy_host() -> None:
    assert diagnose(boot(cpu=1.0, clock=IDLE_SECONDS - 1)) is None
    assert diagnose(boot(cpu=UNSEEN.cpu_seconds + 1, clock=1.0)) is not None
    assert diagnose(boot(cpu=1.0, clock=IDLE_SECONDS + 1)) is not None


def test_what_firmware_wrote_stays_in_sight_when_a_system_writes_much(tmp_path: Path) -> None:
    console = tmp_path / "console.log"
    lines = "".join(f"[ {number}] a line of a kernel that says all it does\n" for number in range(8000))
    assert len(lines) > 300_000
    console.write_text(f'BdsDxe: starting Boot0001 "UEFI QEMU HARDDISK"\n{lines}node login: ')
    shown = both_ends_of(console)
    assert len(shown) < 140_000
    assert firmware_seen(shown, "") is Generation.V2
    assert has_come_up(shown)
    console.write_text("short\n")
    assert both_ends_of(console) == "short\n"
    assert both_ends_of(tmp_path / "none") == ""


def test_a_console_is_shown_without_its_colours() -> None:
    assert plain("\x1b[01;32mok\x1b[0m\r\nnext\x07") == "ok\nnext"
    assert tail("a\n\n  \nb\r\nc", 2) == ("b", "c")
