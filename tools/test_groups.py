"""Runs the project's checks group by group and prints how long each took, and how much CPU time of this machine.

`python tools/test_groups.py` runs all groups, `--quick` the ones of `make check`, names only those.
Exit code 1 when a group failed; later groups run all the same.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import threading
import time
from dataclasses import dataclass


@dataclass(frozen=True)
class Group:
    """One command of the checks; `quick` ones make up the inner loop.

    `preparations` install what its tests would install first; they run beside the groups before, which leave a core
    idle now and then. Where one fails, the tests try again and say why.
    """

    name: str
    command: tuple[str, ...]
    quick: bool = False
    preparations: tuple[tuple[str, ...], ...] = ()


def _pytest(*paths: str, distribution: str = "loadfile", workers: int = 2) -> tuple[str, ...]:
    return (sys.executable, "-m", "pytest", "-q", "-n", str(workers), "--dist", distribution, *paths)


_UNIT = (
    "architecture",
    "domain",
    "catalog",
    "arm",
    "identity",
    "store",
    "operations",
    "machines",
    "templates",
    "state",
    "seed",
    "fleet",
    "lint",
    "reports",
)
GROUPS = (
    Group("format", (sys.executable, "-m", "ruff", "format", "--check", "."), quick=True),
    Group("lint", (sys.executable, "-m", "ruff", "check", "."), quick=True),
    Group("types", (sys.executable, "-m", "mypy"), quick=True),
    Group("unit", _pytest(*(f"tests/{name}" for name in _UNIT)), quick=True),
    Group("scenarios", _pytest("tests/scenarios", "tests/cli", "tests/testing", workers=3)),
    Group("browser", _pytest("tests/browser")),
    Group("hostile", _pytest("tests/hostile", workers=3)),
    # These wait for the disk, for deadlines and for each other more than for a processor.
    Group("durability", _pytest("tests/durability", distribution="load", workers=4)),
    Group("local", _pytest("tests/local", distribution="worksteal", workers=3)),
    # Clients of others: each waits for itself now and then. The slowest files come first.
    Group(
        "clients",
        _pytest("tests/clients", "tests/az", workers=4),
        preparations=(
            (sys.executable, "-c", "from poolwright.az import installation; installation.ensure_az()"),
            (sys.executable, "tests/clients/environments.py"),
        ),
    ),
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("groups", nargs="*", metavar="group", help=", ".join(group.name for group in GROUPS))
    parser.add_argument("--quick", action="store_true", help="the groups of `make check`")
    wanted = parser.parse_args()
    unknown = set(wanted.groups) - {group.name for group in GROUPS}
    if unknown:
        parser.error(f"no such group: {', '.join(sorted(unknown))}")
    chosen = [
        group for group in GROUPS if (group.name in wanted.groups if wanted.groups else group.quick or not wanted.quick)
    ]
    # Hundreds of processes start, and each would compile all modules again.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    threading.Thread(target=_prepare, args=(chosen,)).start()
    results = []
    for group in chosen:
        print(f"== {group.name}", flush=True)
        started, used = time.monotonic(), _cpu_seconds()
        code = subprocess.run(group.command, check=False).returncode
        results.append((group.name, code, time.monotonic() - started, _cpu_seconds() - used))
    print("\ngroup          seconds      CPU  result")
    for name, code, seconds, cpu in results:
        print(f"{name:<14} {seconds:>7.1f}  {cpu:>7.1f}  {'ok' if code == 0 else f'FAILED (exit {code})'}")
    return 1 if any(code for _, code, _, _ in results) else 0


def _prepare(groups: list[Group]) -> None:
    for group in groups:
        for preparation in group.preparations:
            subprocess.run(
                preparation,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                check=False,
            )


def _cpu_seconds() -> float:
    """CPU seconds of what this process has run and waited for: preparations that ended meanwhile too, daemons not."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    sys.exit(main())
