"""Files that hold keys and secrets.

Invariant: at every moment, a crash included, a path holds either its old content or all of the new
one, and what is written here is readable by its owner alone before its first byte is there.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

PRIVATE = 0o600
_TEMPORARY_SUFFIX = ".unfinished"


def write_atomically(path: Path, content: bytes, mode: int = PRIVATE) -> None:
    """Replace `path` by a file with this content and mode that is on disk when the call returns."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}{_TEMPORARY_SUFFIX}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(temporary, flags, PRIVATE)
    try:
        with open(descriptor, "wb") as file:
            os.fchmod(descriptor, mode)
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_directory(path.parent)


def remove_unfinished(directory: Path) -> None:
    """Remove what a killed `write_atomically` left; only for a directory nobody else is writing to."""
    for leftover in directory.glob(f".*{_TEMPORARY_SUFFIX}"):
        leftover.unlink(missing_ok=True)


def _sync_directory(directory: Path) -> None:
    # The new name of a file is durable only once its directory is.
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
