"""Files that people name: what is no file with an end is told, and what a shell gives for one is read."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from poolwright import bounded_files
from poolwright.bounded_files import TooLarge, content
from poolwright.domain.profile import Profile
from poolwright.fleet.files import take_paths
from poolwright.fleet.journal import JournalProblem, glanced_at, opened
from poolwright.fleet.overrides import read_overrides
from poolwright.fleet.plan_file import read_plan
from poolwright.fleet.reading import Reading
from poolwright.lint.catalogs import Catalogs, read_catalogs
from poolwright.lint.linting import Settings, lint, settings_of
from tests.fleet.fleets import cluster, fleet_of, pool
from tests.fleet.sites import plan_of

NOBODY = "it is a pipe that nobody writes to"


def linted(path: Path) -> str:
    report = lint([path], Settings(profile=Profile.AZURE_2026), Catalogs(), date(2026, 11, 26))
    return report.broken[0][1]


def taken(path: Path) -> str:
    reading = Reading()
    take_paths(reading, [str(path)])
    return reading.fleet().problems[0].what


READERS: dict[str, Callable[[Path], object]] = {
    "lint": linted,
    "--parameters": lambda path: settings_of("azure-2026", [str(path)], None),
    "--catalog": lambda path: read_catalogs([path], None),
    "fleet audit": taken,
    "fleet apply": read_plan,
    "--overrides": read_overrides,
}


def said(read: Callable[[Path], object], path: Path) -> str:
    """What a reader says of a file."""
    try:
        return str(read(path))
    except (ValueError, OSError) as error:
        return str(error)


@pytest.mark.parametrize("name", list(READERS))
def test_a_pipe_that_nobody_writes_to_is_told(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded_files, "WRITER_SECONDS", 0.05)
    os.mkfifo(tmp_path / "pipe")
    assert NOBODY in said(READERS[name], tmp_path / "pipe")


@pytest.mark.parametrize("name", ["lint", "--parameters", "--overrides"])
def test_a_device_without_an_end_is_told(name: str) -> None:
    assert "larger than" in said(READERS[name], Path("/dev/zero"))


def test_more_than_the_limit_is_told_also_of_exports_and_plans(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("files", "plan_file"):
        monkeypatch.setattr(f"poolwright.fleet.{module}.MAX_BYTES", 1 << 21)
    assert taken(Path("/dev/zero")) == "it is larger than 2 MiB"
    with pytest.raises(TooLarge, match="it is larger than 2 MiB"):
        read_plan(Path("/dev/zero"))


def test_a_pipe_is_read_to_its_end_however_late_its_writer_comes(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    def write() -> None:
        time.sleep(0.2)
        with pipe.open("wb") as file:
            file.write(b"a" * 100_000)
            file.flush()
            time.sleep(0.2)
            file.write(b"b")

    writer = threading.Thread(target=write)
    writer.start()
    assert content(pipe, 1 << 20) == b"a" * 100_000 + b"b"
    writer.join()


def test_a_writer_that_is_there_and_says_nothing_yet_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounded_files, "WRITER_SECONDS", 0.05)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    both = os.open(pipe, os.O_RDWR)
    writer = threading.Timer(0.3, lambda: (os.write(both, b"late"), os.close(both)))
    writer.start()
    assert content(pipe, 1 << 20) == b"late"
    writer.join()


@pytest.mark.parametrize("command", ["{1} <(cat {0})", "{1} /dev/stdin < {0}", "cat {0} | {1} /dev/stdin"])
def test_what_a_shell_gives_for_a_file_is_read(command: str, tmp_path: Path) -> None:
    resource = {"type": "Microsoft.ContainerService/managedClusters/agentPools", "name": "c/p", "properties": {}}
    template = {"$schema": "x/deploymentTemplate.json#", "contentVersion": "1.0.0.0", "resources": [resource]}
    (tmp_path / "t").write_text(json.dumps(template))
    line = command.format(tmp_path / "t", f"{sys.executable} -m poolwright.cli.entry lint")
    ended = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False, timeout=60)
    assert "c/p (ARM template)" in ended.stdout
    assert "1 node pool in 1 file" in ended.stdout


@pytest.mark.parametrize("name", ["pipe", "/dev/full", "/dev/zero"])
def test_a_journal_is_a_regular_file(name: str, tmp_path: Path) -> None:
    plan = plan_of(fleet_of(cluster(pool())), Profile.AZURE_2026)
    os.mkfifo(tmp_path / "pipe")
    arguments = tmp_path / name, plan, "https://127.0.0.1", lambda: datetime.now(UTC)
    with pytest.raises(JournalProblem, match="is no regular file; name another one with --journal"):
        glanced_at(*arguments)
    with pytest.raises(JournalProblem, match="is no regular file; name another one with --journal"), opened(*arguments):
        pass
