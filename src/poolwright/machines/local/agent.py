"""What the agent inside a machine says, and the line it says it on.

The agent of Poolwright's node image speaks over virtio-serial, in lines of JSON; it is asked in lines of words. A guest
is not trusted: what it says is read as data, within limits, and believed only as the answer to a question of ours.

Invariant: a report counts only with the nonce it was asked with, and once. Lines that lay in the port while nobody
listened, left from before a restart, carry another one or none, and say nothing.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from poolwright.domain.generation import Firmware, Generation

# A guest that sends more than this without a line's end is not read any further.
MAX_LINE_BYTES: Final = 64 * 1024
_READ_BYTES: Final = 64 * 1024
ASK_AGAIN_SECONDS: Final = 2.0
# Each question costs an emulated machine 0.3 s of CPU, and one without an address is asked for ever.
MOST_ASK_AGAIN_SECONDS: Final = 32.0

Word = Annotated[str, Field(max_length=256)]
Count = Annotated[int, Field(ge=0, lt=2**53)]


class _Said(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", alias_generator=to_camel, populate_by_name=True)


class Disk(_Said):
    """The disk the machine booted from; `bytes` is its size."""

    name: Word
    bytes: Count
    bus: Word
    partition_table: Literal["mbr", "gpt", "unknown"]


class Memory(_Said):
    """What the kernel has, in KiB."""

    total_ki_b: Annotated[Count, Field(alias="totalKiB")]
    available_ki_b: Annotated[Count, Field(alias="availableKiB")]


class PersistentMemory(_Said):
    """One persistent memory device; `bytes` is its size."""

    device: Word
    bytes: Count


class Report(_Said):
    """What the firmware of a machine is, as seen from inside it. `uptime` is in seconds.

    `secure_boot` and `setup_mode` are None where there is no UEFI; `tpm` is the TPM's version, None without one;
    `machine` is who SMBIOS says it is; `ip` is its address, None as long as it has none.
    """

    nonce: Word | None = None
    firmware: Literal["bios", "uefi"]
    secure_boot: bool | None = None
    setup_mode: bool | None = None
    tpm: Word | None = None
    disk: Disk
    memory: Memory
    cpus: Count
    pmem: tuple[PersistentMemory, ...] = ()
    sgx: bool = False
    uuid: Word
    machine: Word
    vendor: Word = ""
    product: Word = ""
    firmware_vendor: Word = ""
    firmware_version: Word = ""
    kernel: Word = ""
    ip: Word | None = None
    uptime: Annotated[float, Field(ge=0)]

    @property
    def pmem_mib(self) -> int:
        """All its persistent memory, in MiB."""
        return sum(device.bytes for device in self.pmem) >> 20

    @property
    def generation(self) -> Generation:
        """The generation that the firmware shows."""
        return Generation.V1 if Firmware(self.firmware) is Firmware.BIOS else Generation.V2


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """The agent is there. `uptime` is in seconds."""

    uptime: float


@dataclass(frozen=True, slots=True)
class Stopping:
    """The machine is on its way down."""


@dataclass(frozen=True, slots=True)
class Began:
    """The agent has begun anew, which means that the machine has booted again."""


Message = Report | Heartbeat | Stopping | Began


def parse(line: bytes) -> Message | None:
    """Return what a line says, None where it is none of the agent's."""
    try:
        said = orjson.loads(line)
        match said:
            case {"type": "report"}:
                return Report.model_validate(said)
            case {"type": "heartbeat" | "pong"}:
                return Heartbeat(float(said.get("uptime") or 0))
            case {"type": "stopping"}:
                return Stopping()
    except (orjson.JSONDecodeError, ValidationError, TypeError, ValueError):
        return None
    return None


class AgentLink:
    """Our end of one machine's agent port: connects when it can, never waits.

    After each connecting, and when the agent begins anew, it asks for a report with a nonce of its own; until that is
    answered, it has heard nothing. A report without an address is asked for again, less and less often.
    """

    def __init__(self, path: Path, new_nonce: Callable[[], str]) -> None:
        self._path = path
        self._new_nonce = new_nonce
        self._socket: socket.socket | None = None
        self._buffer = b""
        self._nonce: str | None = None
        self._is_answered = False
        self._ask_at = 0.0
        self._pause = ASK_AGAIN_SECONDS

    def listen(self, now: float) -> Iterator[Message]:
        """Return what the agent has said since the last call; `now` is any clock's seconds."""
        if not self._open():
            return
        if now >= self._ask_at:
            self._ask(now)
        for line in self._lines():
            message = parse(line)
            if isinstance(message, Report):
                message = self._answer(message, now)
            if self._is_answered and message is not None:
                if isinstance(message, Began):
                    self.ask_anew()
                yield message

    def send(self, words: str) -> None:
        """Send a line of words; what cannot be sent is lost, and asked again by the one who waits."""
        if self._socket is None:
            return
        try:
            self._socket.send(words.encode() + b"\n")
        except BlockingIOError:
            return
        except OSError:
            self.close()

    def ask_anew(self) -> None:
        """Have the agent asked for a report with a new nonce; what it says before its answer is not heard."""
        self._nonce, self._is_answered = self._new_nonce(), False
        self._ask_at, self._pause = float("-inf"), ASK_AGAIN_SECONDS

    def close(self) -> None:
        """Let go of the port; the next `listen` connects anew."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _ask(self, now: float) -> None:
        self._nonce = self._nonce or self._new_nonce()
        self._ask_at = now + self._pause
        self._pause = min(2 * self._pause, MOST_ASK_AGAIN_SECONDS)
        self.send(f"report {self._nonce}")

    def _answer(self, report: Report, now: float) -> Report | Began | None:
        """What a report means: the answer, or that the agent began anew, which reports unasked, or nothing."""
        if report.nonce is None:
            return Began()
        if report.nonce != self._nonce:
            return None
        if not self._is_answered:
            self._pause = ASK_AGAIN_SECONDS
        self._is_answered, self._nonce = True, None
        self._ask_at = now + self._pause if report.ip is None else float("inf")
        return report

    def _open(self) -> bool:
        if self._socket is not None:
            return True
        attempt = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        attempt.setblocking(False)
        try:
            attempt.connect(str(self._path))
        except OSError:
            # Not there yet, not there any more, or somebody else listens.
            attempt.close()
            return False
        self._socket, self._buffer = attempt, b""
        self.ask_anew()
        return True

    def _lines(self) -> Iterator[bytes]:
        while self._socket is not None:
            try:
                piece = self._socket.recv(_READ_BYTES)
            except BlockingIOError:
                return
            except OSError:
                piece = b""
            if not piece:
                self.close()
                return
            *lines, self._buffer = (self._buffer + piece).split(b"\n")
            if len(self._buffer) > MAX_LINE_BYTES:
                self._buffer = b""
            yield from lines
