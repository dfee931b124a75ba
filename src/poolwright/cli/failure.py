"""How a command ends when it does not end well.

    0  done                         3  what was named does not exist (HTTP 404), or no service was started yet
    1  refused or failed            4  a gate found something
    2  the command line is wrong  130  Ctrl-C

Invariant: what a user can act on is a `Failure`; everything else is a bug and shows its traceback.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

FAILED: Final = 1
USAGE: Final = 2
NOT_FOUND: Final = 3
GATE: Final = 4
INTERRUPTED: Final = 130


class Failure(Exception):
    """What to tell the user, and the exit code.

    `document` is the error as it came over the wire; where it is given, it is printed as JSON on stdout in
    place of the text on stderr.
    """

    def __init__(self, text: str, *, code: int = FAILED, document: Mapping[str, Any] | None = None) -> None:
        super().__init__(text)
        self.text = text
        self.code = code
        self.document = document


class NoService(Failure):
    """No service is known, or its credentials are not."""


class NothingThere(NoService):
    """No service was ever started on the data directory, or local credentials are off."""

    def __init__(self, text: str) -> None:
        super().__init__(text, code=NOT_FOUND)


class NoAnswer(Failure):
    """The service cannot be reached."""


class Refused(Failure):
    """The service answered with an error; `status` is the HTTP status, `error` what came with it."""

    def __init__(
        self, text: str, *, status: int, document: Mapping[str, Any] | None, error: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(text, code=NOT_FOUND if status == 404 else FAILED, document=document)
        self.status = status
        self.error = error or {}
