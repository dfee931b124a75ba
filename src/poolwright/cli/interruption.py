"""Signals that ask a command to end: SIGTERM, and SIGHUP when a terminal closes, end it as Ctrl-C does.

Invariant: what a command made only for itself - folders, services, programs it runs - is gone when it ends by a signal.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, NoReturn

from poolwright.cli.failure import INTERRUPTED

_ASKING_TO_END: Final = (signal.SIGTERM, signal.SIGHUP)


class Ended(KeyboardInterrupt):
    """A signal asked the command to end; what cleans up after Ctrl-C cleans up after it."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


@contextmanager
def signals_interrupt() -> Iterator[None]:
    """Signals that ask to end raise `Ended` inside. One that is ignored, as by nohup, stays ignored."""
    if threading.current_thread() is not threading.main_thread():
        # Only the main thread gets signals.
        yield
        return

    asked: list[int] = []

    def end(number: int, _frame: object) -> NoReturn:
        asked.append(number)
        raise Ended(number)

    taken = [number for number in _ASKING_TO_END if signal.getsignal(number) is signal.SIG_DFL]
    for number in taken:
        signal.signal(number, end)
    try:
        yield
    except KeyboardInterrupt as interrupt:
        # Libraries that catch it keep no more than that something interrupted them.
        if asked and not isinstance(interrupt, Ended):
            raise Ended(asked[0]) from interrupt
        raise
    finally:
        for number in taken:
            signal.signal(number, signal.SIG_DFL)


def code_of(interrupt: KeyboardInterrupt) -> int:
    """Return the exit code: that of Ctrl-C, or what a shell gives for the signal."""
    return 128 + interrupt.number if isinstance(interrupt, Ended) else INTERRUPTED
