"""What can be wrong with a data directory or a setting, as one line for the operator."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from poolwright.cli.failure import Failure

_OF_THE_DISK: Final = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS)


@contextmanager
def told(directory: Path) -> Iterator[None]:
    """Turn what an operator can act on into a `Failure`; only for commands that work on the directory itself."""
    from alembic.util.exc import CommandError
    from sqlalchemy.exc import DatabaseError

    from poolwright.installation import AlreadyRunning, EngineUnavailable, trouble_of

    try:
        yield
    except (AlreadyRunning, EngineUnavailable) as error:
        raise Failure(f"error: {error}") from error
    except OSError as error:
        # What fails while it is being written has no name.
        place = error.filename or (directory if error.errno in _OF_THE_DISK else None)
        raise Failure(f"error: {f'{place}: ' if place is not None else ''}{error.strerror or error}") from error
    except (DatabaseError, sqlite3.DatabaseError) as error:
        cause = error.orig if isinstance(error, DatabaseError) else error
        raise Failure(f"error: the database in {directory} cannot be used: {trouble_of(error)} ({cause})") from error
    except CommandError as error:
        raise Failure(
            f"error: the database in {directory} is of a newer version of Poolwright ({error}): start that version, or "
            "choose another --data-dir"
        ) from error
    except ValueError as error:
        # A setting that only use shows to be wrong, or a damaged key, certificate or credentials file.
        raise Failure(f"error: {error}") from error
