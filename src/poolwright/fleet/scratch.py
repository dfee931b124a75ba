"""Temporary directories that also go when their process was killed: by the next one that needs such a directory.

Invariant: a directory that a living process holds is never removed, nor one of another account.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

# Between making one and holding it a process may be anywhere.
_MAKING_SECONDS: Final = 60.0


@contextmanager
def scratch(prefix: str) -> Iterator[Path]:
    """A directory for the block alone, whose name begins so; first those go that killed processes left."""
    for left in Path(tempfile.gettempdir()).glob(f"{prefix}*"):
        with suppress(OSError):
            _remove_unless_held(left)
    with tempfile.TemporaryDirectory(prefix=prefix, ignore_cleanup_errors=True) as made:
        held = os.open(made, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(held, fcntl.LOCK_EX)
            yield Path(made)
        finally:
            os.close(held)


def _remove_unless_held(directory: Path) -> None:
    """Raises `OSError` where it is held, or is no directory."""
    found = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        about = os.fstat(found)
        if about.st_uid == os.geteuid() and time.time() - about.st_mtime > _MAKING_SECONDS:
            fcntl.flock(found, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(directory, ignore_errors=True)
    finally:
        os.close(found)
