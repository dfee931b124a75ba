"""Runs the programs of the host that make and read disks.

Invariant: nothing here waits for ever, and a program gets neither a shell nor our standard input.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from poolwright.machines import host_packages

TIMEOUT_SECONDS = 120.0


class ProgramFailed(Exception):
    """A program ended with an error, or not in time; `code` is its exit code, None when it was ended."""

    def __init__(self, message: str, code: int | None) -> None:
        super().__init__(message)
        self.code = code


def run(
    name: str,
    *arguments: str | Path,
    given: bytes = b"",
    directory: Path | None = None,
    environment: Mapping[str, str] | None = None,
    timeout_seconds: float = TIMEOUT_SECONDS,
) -> bytes:
    """Run a program to its end and return what it printed. Raises `ProgramFailed` with what it said."""
    try:
        ended = subprocess.run(
            line(name, *arguments),
            input=given,
            capture_output=True,
            cwd=directory,
            env=surroundings(environment),
            timeout=timeout_seconds,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ProgramFailed(f"{name} did not end within {timeout_seconds:.0f} s", None) from error
    if ended.returncode != 0:
        raise failed(name, ended.returncode, ended.stderr or ended.stdout)
    return ended.stdout


def line(name: str, *arguments: str | Path) -> Sequence[str]:
    """Return the command line of a program. Raises `ProgramFailed` where the host has none of that name."""
    program = host_packages.command(name)
    if program is None:
        raise ProgramFailed(f"there is no program {name} on this host", None)
    return [program, *(str(argument) for argument in arguments)]


def surroundings(further: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment of programs: ours, in plain English, in UTC."""
    return {**os.environ, "LC_ALL": "C", "TZ": "UTC", **(further or {})}


def failed(name: str, code: int, said: bytes) -> ProgramFailed:
    """Return the error of a program that ended with an exit code, with the end of what it said."""
    text = said.decode("utf-8", "replace").strip()[-1000:]
    return ProgramFailed(f"{name} ended with {code}: {text or 'it said nothing'}", code)
