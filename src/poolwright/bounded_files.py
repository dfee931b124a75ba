"""Files that people name, read without waiting for nobody and without an end.

A name can be that of a pipe, as in `<(az aks list)`, or of a device: a pipe that nobody writes to would be waited for
without end, and /dev/zero has none.

Invariant: whatever has the name, reading it takes no more bytes than the caller allows, and waits only for somebody.
"""

from __future__ import annotations

import errno
import os
import select
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

_PIECE_BYTES: Final = 1024 * 1024
# How long the other side of a pipe has to open it.
WRITER_SECONDS: Final = 5.0


class TooLarge(OSError):
    """There is more in a file than the caller takes."""


def content(path: Path, most_bytes: int) -> bytes:
    """Return what a file holds. Raises `TooLarge`, and `OSError` where it cannot be read."""
    return _joined(pieces(path, most_bytes), str(path))


def content_of(file: BinaryIO, name: str, most_bytes: int) -> bytes:
    """Return what is left of an open file. Raises as `content` does."""
    return _joined(_pieces_of(file, name, most_bytes), name)


def pieces(path: Path, most_bytes: int) -> Iterator[bytes]:
    """Yield what a file holds. Raises as `content` does, also for a pipe that nobody writes to."""
    with open(path, "rb", buffering=0, opener=_opened_at_once) as file:
        first = _first_of_pipe(file, path) if stat.S_ISFIFO(os.fstat(file.fileno()).st_mode) else b""
        os.set_blocking(file.fileno(), True)
        yield from _pieces_of(file, str(path), most_bytes, first)


def _joined(pieces: Iterator[bytes], name: str) -> bytes:
    try:
        return b"".join(pieces)
    except MemoryError as error:
        raise OSError(errno.ENOMEM, "there is more in it than memory for it", name) from error


def _pieces_of(file: BinaryIO, name: str, most_bytes: int, first: bytes = b"") -> Iterator[bytes]:
    """What comes first, and then the rest of an open file."""
    left, piece = most_bytes, first or file.read(_PIECE_BYTES)
    while piece:
        left -= len(piece)
        if left < 0:
            raise TooLarge(errno.EFBIG, f"it is larger than {most_bytes // 1024**2} MiB", name)
        yield piece
        piece = file.read(_PIECE_BYTES)


def _opened_at_once(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)


def _first_of_pipe(file: BinaryIO, path: Path) -> bytes:
    """What has come by now, nothing where somebody has yet to write. Raises `OSError` where nobody has opened it."""
    poll = select.poll()
    poll.register(file, select.POLLIN)
    has_come = poll.poll(WRITER_SECONDS * 1000)
    piece: bytes | None = file.read(_PIECE_BYTES)
    # None says that somebody has it open for writing, no bytes that nobody has it any more, or nobody had.
    if piece == b"" and not has_come:
        raise OSError(errno.EPIPE, "it is a pipe that nobody writes to", str(path))
    return piece or b""
