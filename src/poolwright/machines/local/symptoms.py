"""How a machine that will not come up is recognised from outside: what its console shows, and what it does not.

Each row is a pattern and what it means. A boot that goes wrong rarely ends: firmware waits at a prompt, or executes
zeros at full speed for ever, so silence counts as well, in seconds of CPU time that the machine has used. On a busy
host seconds of the clock say nothing.

Invariant: first match wins, and the sentence of a row is the cause that node pool and machine carry.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from poolwright.domain.generation import Generation

# Colours and cursor movements that firmware writes to a serial console.
_CONTROL: Final = re.compile(r"\x1b\[[0-9;?=]*[A-Za-z]|\x1b[()][A-Z0-9]|\x1b[78=>cM]|[\x00-\x08\x0b-\x1f\x7f]")
TAIL_LINES: Final = 12


@dataclass(frozen=True, slots=True)
class Symptom:
    """What shows on a machine's console or firmware log. `cause` is what it means, in words."""

    pattern: re.Pattern[str]
    cause: str
    source: str


def _row(pattern: str, cause: str, source: str) -> Symptom:
    return Symptom(re.compile(pattern), cause, source)


SYMPTOMS: Final = (
    _row(
        r"Verification failed: \(0x1A\) Security Violation|Security Violation|Access Denied",
        "Secure Boot refused the boot loader: it is not signed by a key that the firmware trusts",
        "shim and OVMF 2022.11",
    ),
    _row(
        r"bad shim signature",
        "Secure Boot refused the kernel: its signature does not match",
        "GRUB 2.06 under shim",
    ),
    _row(
        r"failed to load Boot[0-9A-F]{4}.*: Not Found|UEFI Interactive Shell|No bootable option or device was found",
        "UEFI found no boot loader on the disk: the image is no Generation 2 image, or the disk is blank",
        "OVMF 2022.11",
    ),
    _row(
        r"Boot failed: not a bootable disk|No bootable device",
        "BIOS found nothing to boot on the disk: the image is no Generation 1 image, or the disk is blank",
        "SeaBIOS 1.16.2",
    ),
    _row(
        r"grub rescue>|error: no such partition|error: unknown filesystem", "GRUB found no system to start", "GRUB 2.06"
    ),
    _row(r"Kernel panic - not syncing: ?(.*)", "the kernel panicked", "Linux"),
)


@dataclass(frozen=True, slots=True)
class Silence:
    """A boot that goes on without a sign of life: `cpu_seconds` of it are too many."""

    cpu_seconds: float
    cause: str
    source: str


# A boot that ends well takes 6 to 20 CPU seconds under emulation, with a TPM the most. Of images without our agent some
# never write to the serial console, so that their silence means nothing.
HANDED_OVER: Final = Silence(
    15.0,
    "the machine runs what BIOS found in the first sector of the disk and shows no sign of life: the image is no "
    "Generation 1 image",
    "SeaBIOS jumps into a protective MBR, which is zeros, and executes them for ever; the node image's first line is "
    "there after 0.3 to 0.4 CPU seconds, emulated",
)
UNSEEN: Final = Silence(
    180.0, "the machine uses its CPU and its agent has not spoken", "nine times what the slowest boot took"
)
# An image without our agent is a whole system: systemd, cloud-init and SSH host keys, all of it emulated.
UNSEEN_FROM_OUTSIDE: Final = Silence(
    1200.0,
    "the machine uses its CPU, and neither its console nor QEMU's guest agent shows that a system is up",
    "ten times what Debian 12 with systemd and cloud-init took, emulated: QEMU's guest agent answered after 66 s of "
    "CPU time, cloud-init had finished after 127 s",
)
# The clock decides only where a machine does nothing at all.
IDLE_SECONDS: Final = 900.0
IDLE_FROM_OUTSIDE_SECONDS: Final = 1500.0
IDLE_CAUSE: Final = "the machine has not spoken in time"
_HAND_OVER: Final = re.compile(r"Booting from 0000:7c00")


@dataclass(frozen=True, slots=True)
class Boot:
    """A boot as it looks from outside. `console` and `firmware_log` are text, the times seconds since it began.

    `has_agent` says whether our agent is to speak; what is without it shows itself by other things, and later.
    """

    generation: Generation
    console: str
    firmware_log: str
    cpu_seconds: float
    clock_seconds: float
    has_agent: bool = True


def diagnose(boot: Boot) -> str | None:
    """Return why the machine will not come up, None while it still may."""
    shown = plain(boot.console)
    for row in SYMPTOMS:
        found = row.pattern.search(shown) or row.pattern.search(boot.firmware_log)
        if found is not None:
            detail = found.group(1).strip() if found.re.groups and found.group(1) else ""
            return f"{row.cause}: {detail}" if detail else row.cause
    handed_over = boot.generation is Generation.V1 and _HAND_OVER.search(boot.firmware_log) is not None
    if boot.has_agent and handed_over and not shown.strip() and boot.cpu_seconds > HANDED_OVER.cpu_seconds:
        return HANDED_OVER.cause
    unseen = UNSEEN if boot.has_agent else UNSEEN_FROM_OUTSIDE
    if boot.cpu_seconds > unseen.cpu_seconds:
        return f"{unseen.cause} after {unseen.cpu_seconds:.0f} s of it"
    idle_seconds = IDLE_SECONDS if boot.has_agent else IDLE_FROM_OUTSIDE_SECONDS
    if boot.clock_seconds > idle_seconds:
        return f"{IDLE_CAUSE} ({idle_seconds:.0f} s)"
    return None


# What a system writes to its console when it is up: what getty, systemd, cloud-init and our own agent print.
_UP: Final = re.compile(
    r"(?m)login: ?$|Reached target .*(Multi-User|Cloud-init)|Cloud-init .* finished|poolwright-agent:"
)
# OVMF says on the console which entry it starts; SeaBIOS says on its debug port that it jumps into the boot sector.
_UEFI_STARTS: Final = re.compile(r"BdsDxe: (starting|loading) Boot[0-9A-F]{4}")


def has_come_up(console: str) -> bool:
    """Whether the console shows that a system is up."""
    return _UP.search(plain(console)) is not None


def firmware_seen(console: str, firmware_log: str) -> Generation | None:
    """Return the generation whose firmware started the system, as seen from outside; None where nothing shows it."""
    if _UEFI_STARTS.search(plain(console)):
        return Generation.V2
    return Generation.V1 if _HAND_OVER.search(firmware_log) else None


def plain(console: str) -> str:
    """Return a console's text without colours and cursor movements."""
    return _CONTROL.sub("", console.replace("\r\n", "\n").replace("\r", "\n"))


def tail(console: str, lines: int = TAIL_LINES) -> tuple[str, ...]:
    """Return the last lines that say something."""
    return tuple(line.rstrip() for line in plain(console).splitlines() if line.strip())[-lines:]
