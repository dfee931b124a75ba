"""What can be wrong with a data directory or a setting, as one line for the operator."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from poolwright.cli.failure import Failure


@contextmanager
def told(directory: Path) -> Iterator[None]:
    """Turn what an operator can act on into a `Failure`; only for commands that work on the directory itself."""
    from alembic.util.exc import CommandError
    from sqlalchemy.exc import DatabaseError

    from poolwright.installation import AlreadyRunning

    try:
        yield
    except AlreadyRunning as error:
        raise Failure(f"error: {error}") from error
    except OSError as error:
        place = f"{error.filename}: " if error.filename is not None else ""
        raise Failure(f"error: {place}{error.strerror or error}") from error
    except DatabaseError as error:
        raise Failure(f"error: the database in {directory} cannot be used: {error.orig}") from error
    except CommandError as error:
        raise Failure(f"error: the database in {directory} is of another version of Poolwright: {error}") from error
    except ValueError as error:
        # A setting that only use shows to be wrong, or a damaged key, certificate or credentials file.
        raise Failure(f"error: {error}") from error
