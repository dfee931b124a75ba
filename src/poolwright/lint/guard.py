"""Reads what nobody vouches for in a child process with limits of time and memory.

The grammar of bash takes quadratic time on some nonsense (`a|a|a|...`), inside of a library that cannot be
interrupted. A child can be ended.

Invariant: whatever the text, the caller goes on after `CPU_SECONDS` at the latest. Limits that the process has itself
are never raised, and what ended the child is told as what it was.
"""

from __future__ import annotations

import os
import pickle
import resource
import signal
from collections.abc import Callable
from typing import Final, TypeVar

from poolwright.lint.texts import Broken, Text

CPU_SECONDS: Final = 10
_MEMORY_BYTES: Final = 4 * 1024 * 1024 * 1024
# Shorter texts take no half second, whatever they hold.
SHORT: Final = 4096

_LIMITS: Final = {resource.RLIMIT_CPU: CPU_SECONDS, resource.RLIMIT_AS: _MEMORY_BYTES}
# The exit code of a child that lacked memory.
_NO_MEMORY: Final = 3

T = TypeVar("T")


def within_limits(text: Text, read: Callable[[], T]) -> T:
    """Return what reading the text gives. Raises `Broken`, also where it takes more than the limits."""
    if "\0" in text.content:
        raise Broken(text.place(text.content.index("\0")), "there is a NUL character: this is no text")
    if len(text.content) <= SHORT:
        return read()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        _answer(reading, writing, read)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        answer = pipe.read()
    _, status = os.waitpid(child, 0)
    if not answer or status != 0:
        raise Broken(text.place(0), _why(os.waitstatus_to_exitcode(status)))
    kind, result = pickle.loads(answer)
    if kind == "broken":
        raise Broken(*result)
    if kind == "failed":
        raise result
    return result  # type: ignore[no-any-return]  # what `read` gave, through a pipe


def _answer(reading: int, writing: int, read: Callable[[], object]) -> None:
    """In the child: write what was read to the pipe, and end without anything of the parent's being done again."""
    try:
        os.close(reading)
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.signal(signal.SIGXCPU, signal.SIG_DFL)
        for kind in _LIMITS:
            resource.setrlimit(kind, (_lowered(kind), resource.getrlimit(kind)[1]))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        try:
            answer: tuple[str, object] = ("read", read())
        except Broken as broken:
            answer = ("broken", (broken.place, broken.reason))
        except MemoryError:
            os._exit(_NO_MEMORY)
        except Exception as error:
            answer = ("failed", error)
        with os.fdopen(writing, "wb") as pipe:
            pickle.dump(answer, pipe)
        os._exit(0)
    finally:
        os._exit(1)


def _lowered(kind: int) -> int:
    """The limit of a kind for a child: no higher than the process has it itself."""
    present = resource.getrlimit(kind)[0]
    return _LIMITS[kind] if present == resource.RLIM_INFINITY else min(present, _LIMITS[kind])


def _why(code: int) -> str:
    """Why a child gave no answer, by its exit code; a negative one is the signal that ended it."""
    if code == -signal.SIGXCPU:
        return f"reading it takes more than {_lowered(resource.RLIMIT_CPU)} seconds; split it"
    if code == _NO_MEMORY:
        mebibytes = _lowered(resource.RLIMIT_AS) // 1024**2
        return f"reading it takes more than {mebibytes:,} MiB of memory; split it"
    ended = f"was ended by signal {-code} ({signal.strsignal(-code)})" if code < 0 else f"ended with {code}"
    return f"the process that was to read it {ended}; split it, or look whether memory or time is short (`ulimit -a`)"
