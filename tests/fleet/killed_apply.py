"""`poolwright fleet apply`, killed by SIGKILL at one point of its course: the arguments are POINT, and those of apply.

after-entry    right after the first entry it writes is on disk
before-entry   right before its second entry
in-flight      when the first request that changes something was sent, and nobody has waited for it yet
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any, NoReturn

from poolwright.cli.main import main
from poolwright.fleet.arm import Arm
from poolwright.fleet.journal import Entry, Journal

_append, _send = Journal.append, Arm._send


def killed() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("nobody outlives that")


def after_entry(self: Journal, *arguments: Any) -> Entry:
    _append(self, *arguments)
    killed()


written: list[Entry] = []


def before_entry(self: Journal, *arguments: Any) -> Entry:
    if written:
        killed()
    written.append(_append(self, *arguments))
    return written[-1]


def in_flight(self: Arm, method: str, path: str, **arguments: Any) -> Any:
    reply = _send(self, method, path, **arguments)
    if method in ("PUT", "DELETE"):
        killed()
    return reply


if __name__ == "__main__":
    match sys.argv[1]:
        case "after-entry":
            Journal.append = after_entry  # type: ignore[method-assign]  # the point of it
        case "before-entry":
            Journal.append = before_entry  # type: ignore[method-assign]  # the point of it
        case "in-flight":
            Arm._send = in_flight  # type: ignore[method-assign]  # the point of it
    main(["fleet", "apply", *sys.argv[2:]])
