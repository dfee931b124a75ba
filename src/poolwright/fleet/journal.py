"""What was done of a plan, on disk before anybody relies on it: one line of JSON for each event.

    {"at": ..., "pool": ID, "step": "add-pool", "event": "begun", "told": {...}}

Invariant: an entry that `append` returned from survives the process and the machine. A line that was cut off by a kill
was never relied on, and is taken away; any other damage is refused. One process at a time has a journal.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import stat
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from poolwright.fleet.document import Document, document_of, json_of
from poolwright.fleet.plan import Plan, StepName

FORMAT: Final = "poolwright-fleet-journal"
VERSION: Final = 1


class Event(StrEnum):
    """What happened with a step, or with a whole move."""

    BEGUN = "begun"
    DONE = "done"
    FAILED = "failed"
    WAITS = "waits"
    UNDOING = "undoing"
    UNDONE = "undone"
    ROLLED_BACK = "rolled-back"


@dataclass(frozen=True, slots=True, kw_only=True)
class Header(Document):
    """The first line: whose journal this is."""

    format: str
    version: int
    plan: str
    endpoint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry(Document):
    """A line. `step` is empty where the event is of the whole move."""

    at: datetime
    pool: str
    step: str
    event: Event
    told: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Past:
    """What the entries about a move come to: its steps, and the node pool as the last one of them left it.

    `printed` are the lines of kubectl that somebody was asked to run, `left` what a roll-back left as others set it.
    """

    begun: dict[str, datetime] = field(default_factory=dict)
    done: dict[str, Entry] = field(default_factory=dict)
    undoing: set[str] = field(default_factory=set)
    printed: set[str] = field(default_factory=set)
    left: list[str] = field(default_factory=list)
    rolled_back: bool = False
    etag: str | None = None
    properties: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, entries: Iterable[Entry]) -> Past:
        past = cls()
        for entry in entries:
            past.take(entry)
        return past

    def take(self, entry: Entry) -> None:
        """Count with one more entry."""
        match entry.event:
            case Event.BEGUN:
                self.begun.setdefault(entry.step, entry.at)
            case Event.DONE:
                self.done[entry.step] = entry
                self.etag = entry.told.get("etag", self.etag)
                self.properties = entry.told.get("properties", self.properties)
            case Event.UNDOING:
                self.undoing.add(entry.step)
            case Event.UNDONE:
                self.begun.pop(entry.step, None)
                self.done.pop(entry.step, None)
                self.left += [str(entry.told["left"])] if "left" in entry.told else []
            case Event.WAITS:
                self.printed.update(entry.told.get("run", ()))
            case Event.ROLLED_BACK:
                self.rolled_back = True

    def suppose(self, step: StepName, told: Mapping[str, Any]) -> None:
        """Count with a step that was not noted, as who only looks does."""
        self.take(Entry(at=_NEVER, pool="", step=step, event=Event.DONE, told=dict(told)))

    @property
    def has_ended(self) -> bool:
        """Whether it is moved, or taken back: no step of it is taken any more."""
        return self.rolled_back or (not self.undoing and bool(self.done.keys() & _LAST))

    @property
    def has_changed(self) -> bool:
        """Whether something was changed by it, and not taken back as if it had never been."""
        return bool(self.undoing or self.begun.keys() - {StepName.CONFIRM})

    @property
    def is_under_way(self) -> bool:
        """Whether something of it was changed, and it has not ended."""
        return not self.has_ended and self.has_changed


# A pipe is told, and not waited for.
_AT_ONCE: Final = os.O_NONBLOCK | os.O_CLOEXEC
# How many moves a problem with a journal lists.
_MOST_LISTED: Final = 10
_NEVER: Final = datetime.min.replace(tzinfo=UTC)
# The steps with which a move is over.
_LAST: Final = frozenset({StepName.CHANGE, StepName.DELETE_POOL})


class JournalProblem(Exception):
    """The journal cannot be used; says why, and what to do."""


def digest(plan: Plan) -> str:
    """Return what names a plan, however its file is laid out."""
    return hashlib.sha256(json_of(plan)).hexdigest()


class Journal:
    """The entries of a plan at an endpoint, oldest first, and where the next one goes."""

    def __init__(self, entries: list[Entry], write: Callable[[bytes], None], now: Callable[[], datetime]) -> None:
        self._entries = entries
        # A large fleet has a hundred thousand entries, and asks for those of one node pool all the time.
        self._of: dict[str, list[Entry]] = {}
        for entry in entries:
            self._of.setdefault(entry.pool, []).append(entry)
        self._write = write
        self._now = now
        self._lock = threading.Lock()
        self._trouble: JournalProblem | None = None

    @property
    def entries(self) -> tuple[Entry, ...]:
        return tuple(self._entries)

    def of(self, pool: str) -> tuple[Entry, ...]:
        """Return the entries about a node pool."""
        return tuple(self._of.get(pool, ()))

    def append(self, pool: str, step: str, event: Event, told: Mapping[str, Any] | None = None) -> Entry:
        """Keep an entry; when this returns it is on disk. Raises `JournalProblem`, and then ever after."""
        with self._lock:
            if self._trouble is not None:
                raise self._trouble
            entry = Entry(at=self._now(), pool=pool, step=step, event=event, told=dict(told or {}))
            try:
                self._write(json_of(entry) + b"\n")
            except OSError as error:
                # Half a line may be there, and what came after it would be read as a part of it.
                self._trouble = JournalProblem(
                    f"the journal cannot be written: {error.strerror}; nothing further was begun. Make room, and go on "
                    "with the same command"
                )
                raise self._trouble from error
            self._entries.append(entry)
            self._of.setdefault(pool, []).append(entry)
        return entry


@contextmanager
def opened(path: Path, plan: Plan, endpoint: str, now: Callable[[], datetime]) -> Iterator[Journal]:
    """Yield the journal at the path, made where there is none. Raises `JournalProblem`."""
    header = Header(format=FORMAT, version=VERSION, plan=digest(plan), endpoint=endpoint)
    try:
        file = os.open(path, os.O_RDWR | os.O_CREAT | _AT_ONCE, 0o644)
    except OSError as error:
        raise JournalProblem(f"the journal {path} cannot be written: {error.strerror}") from error
    try:
        _require_regular(file, path)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise JournalProblem(f"{path} is in use: another `poolwright fleet apply` carries this plan out") from None
        content = _all(file)
        kept, entries = _read(content, header, path)

        def write(line: bytes) -> None:
            _write_whole(file, line)
            os.fsync(file)

        if kept < len(content):
            os.ftruncate(file, kept)
        os.lseek(file, kept, os.SEEK_SET)
        if not kept:
            try:
                write(json_of(header) + b"\n")
                _sync_directory(path.parent)
            except OSError as error:
                raise JournalProblem(f"the journal {path} cannot be written: {error.strerror}") from error
        yield Journal(entries, write, now)
    finally:
        os.close(file)


def glanced_at(path: Path, plan: Plan, endpoint: str, now: Callable[[], datetime]) -> Journal:
    """Return the journal as it is, empty where there is none; it cannot be written to. Raises `JournalProblem`."""
    header = Header(format=FORMAT, version=VERSION, plan=digest(plan), endpoint=endpoint)
    try:
        file = os.open(path, os.O_RDONLY | _AT_ONCE)
        try:
            _require_regular(file, path)
            content = _all(file)
        finally:
            os.close(file)
    except FileNotFoundError:
        content = b""
    except OSError as error:
        raise JournalProblem(f"the journal {path} cannot be read: {error.strerror}") from error
    return Journal(_read(content, header, path)[1], _not_written, now)


def in_memory(now: Callable[[], datetime]) -> Journal:
    """Return a journal that nobody has to find again."""
    return Journal([], lambda line: None, now)


def _not_written(line: bytes) -> None:
    raise AssertionError("who only looks writes nothing")


def _write_whole(file: int, content: bytes) -> None:
    """Write all of it. Raises `OSError`; a disk that fills up takes the first part and says so only at the next."""
    left = memoryview(content)
    while left:
        written = os.write(file, left)
        if written <= 0:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        left = left[written:]


def _require_regular(file: int, path: Path) -> None:
    """Return when it is a file that has an end and keeps what is written. Raises `JournalProblem`."""
    if not stat.S_ISREG(os.fstat(file).st_mode):
        raise JournalProblem(f"the journal {path} is no regular file; name another one with --journal")


def _all(file: int) -> bytes:
    return b"".join(iter(lambda: os.read(file, 1 << 20), b""))


def _read(content: bytes, wanted: Header, path: Path) -> tuple[int, list[Entry]]:
    """How many bytes are whole lines, and the entries in them."""
    whole = content[: content.rfind(b"\n") + 1]
    lines = whole.splitlines()
    if not lines:
        if content and not _prefix_of(content, wanted):
            raise JournalProblem(_no_journal(path))
        return 0, []
    read = [_entry(line) for line in lines[1:]]
    entries = [entry for entry in read if entry is not None]
    try:
        header = document_of(Header, lines[0])
    except ValueError:
        raise JournalProblem(_damaged(path, 1, _NO_LINE, entries) if entries else _no_journal(path)) from None
    _require_own(header, wanted, path, entries)
    for number, what in _damages(read):
        raise JournalProblem(_damaged(path, number + 2, what, entries))
    return len(whole), entries


def _damages(read: Iterable[Entry | None]) -> Iterator[tuple[int, str]]:
    """The lines that cannot be relied on, by number, and why."""
    confirmed: set[str] = set()
    for number, entry in enumerate(read):
        if entry is None:
            yield number, _NO_LINE
        elif (entry.step, entry.event) == (StepName.CONFIRM, Event.DONE):
            confirmed.add(entry.pool)
        elif entry.event is Event.BEGUN and entry.step != StepName.CONFIRM and entry.pool not in confirmed:
            # What is gone on with, and gone back to, is what the first step remembered.
            yield number, "the line before it that says what its node pool was is missing"


_NO_LINE: Final = "no line of a journal"


def _entry(line: bytes) -> Entry | None:
    """The entry of a line, None where it is none that this wrote."""
    try:
        entry = document_of(Entry, line)
    except ValueError:
        return None
    is_confirmed = (entry.step, entry.event) == (StepName.CONFIRM, Event.DONE)
    return entry if entry.at.tzinfo is not None and _is_told(entry.told, _CONFIRMED if is_confirmed else ()) else None


def _is_told(told: Mapping[str, Any], needed: Iterable[str]) -> bool:
    """Whether what is remembered has what is needed, and each of it is of its kind."""
    return all(name in told for name in needed) and all(_TOLD[name](told[name]) for name in told.keys() & _TOLD.keys())


def _is_text_or_none(value: object) -> bool:
    return value is None or isinstance(value, str)


# What those who go on rely on.
_CONFIRMED: Final = ("etag", "properties", "image")
_TOLD: Final[Mapping[str, Callable[[Any], bool]]] = {
    "etag": _is_text_or_none,
    "image": _is_text_or_none,
    "properties": lambda value: isinstance(value, dict),
    "made": lambda value: isinstance(value, dict),
    "run": lambda value: isinstance(value, list) and all(isinstance(line, str) for line in value),
}


def _require_own(header: Header, wanted: Header, path: Path, entries: Iterable[Entry]) -> None:
    """Return when the journal is that of this plan at this endpoint. Raises `JournalProblem`."""
    under_way = _under_way(entries)
    if (header.format, header.version) != (FORMAT, VERSION):
        raise JournalProblem(
            f"{path} is of another version of Poolwright ({header.format} {header.version}): go on with that version "
            "until no move is under way; this one begins with a journal of its own, named with --journal"
        )
    if header.plan != wanted.plan:
        raise JournalProblem(
            f"{path} is the journal of another plan ({header.plan[:12]}, and this one is {wanted.plan[:12]}). "
            + (
                f"By that plan these are under way: {under_way}. End them with that plan, or take them back with it "
                "(--roll-back), before this one begins: it knows nothing of them. The same exports, overrides and "
                "--as-of give that plan again, byte for byte. Keep the journal until then"
                if under_way
                else "No move is under way by it: keep it as a record, and name another file with --journal"
            )
        )
    if header.endpoint != wanted.endpoint:
        raise JournalProblem(
            f"{path} tells of {header.endpoint}, and this is {wanted.endpoint}. "
            + (
                f"Under way there: {under_way}. If this is the same service at another address, have it listen where "
                "it did, and go on there. If it is another one, name another file with --journal, and keep this one: "
                "without it nobody can go on with them"
                if under_way
                else "No move is under way there: keep it as a record, and name another file with --journal"
            )
        )


def _no_journal(path: Path) -> str:
    return f"{path} is no journal of `poolwright fleet apply`; name another file with --journal"


def _damaged(path: Path, line: int, what: str, entries: Iterable[Entry]) -> str:
    under_way = _under_way(entries)
    known = (
        f"by what can be read of it, these are under way: {under_way}"
        if under_way
        else "by what can be read of it no move is under way, but the damaged line may have been of one"
    )
    return (
        f"{path}:{line} is damaged: {what}. Bring the file back from where it was whole, and begin "
        f"nothing without it: {known}. Where there is no whole copy, keep this one, and see at the endpoint which new "
        "node pools stand beside their old ones; end or take back each of these by hand, by the plan's steps and "
        "wayBack, before you plan anew from a fresh export"
    )


def _under_way(entries: Iterable[Entry]) -> str:
    """The moves that were begun and have not ended, each with the last step that was begun; empty for none."""
    of: dict[str, Past] = {}
    for entry in entries:
        of.setdefault(entry.pool, Past()).take(entry)
    names = []
    for pool, past in of.items():
        if past.is_under_way:
            parts = pool.strip("/").split("/")
            step = [*past.begun, *past.undoing][-1]
            names.append(f"{'/'.join((*parts[3:4], *parts[7::2])) or pool} ({step})")
    more = f" and {len(names) - _MOST_LISTED:,} more" if len(names) > _MOST_LISTED else ""
    return ", ".join(names[:_MOST_LISTED]) + more


def _prefix_of(content: bytes, header: Header) -> bool:
    """Whether a kill cut the very first line off."""
    return (json_of(header) + b"\n").startswith(content)


def _sync_directory(directory: Path) -> None:
    """Make the file's name durable, too."""
    opened_directory = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(opened_directory)
    finally:
        os.close(opened_directory)
