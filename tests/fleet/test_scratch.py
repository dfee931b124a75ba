"""What a killed process leaves of its temporary directory goes with the next one, and nothing else does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from poolwright.fleet.scratch import scratch

PREFIX = "poolwright-tried-"
HOLDS = f"""
import sys
from poolwright.fleet.scratch import scratch

with scratch({PREFIX!r}) as directory:
    (directory / "kubeconfig").write_text("secret")
    print(directory, flush=True)
    sys.stdin.read()
"""


def holder(place: Path) -> tuple[subprocess.Popen[str], Path]:
    """A process with a directory of its own, which was made two minutes ago."""
    environment = {**os.environ, "TMPDIR": str(place)}
    running = subprocess.Popen(
        [sys.executable, "-c", HOLDS], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert running.stdout is not None
    directory = Path(running.stdout.readline().strip())
    age(directory)
    return running, directory


def age(directory: Path) -> None:
    made = directory.stat().st_mtime - 120
    os.utime(directory, (made, made))


def test_what_a_killed_process_left_goes_with_the_next_and_nothing_else_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (killed, left), (running, held) = holder(tmp_path), holder(tmp_path)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    just_made, file, elsewhere = tmp_path / f"{PREFIX}new", tmp_path / f"{PREFIX}file", tmp_path / "elsewhere"
    just_made.mkdir()
    file.touch()
    elsewhere.mkdir()
    link = tmp_path / f"{PREFIX}link"
    link.symlink_to(elsewhere)
    for each in (file, elsewhere):
        age(each)
    assert (left / "kubeconfig").exists()
    try:
        with scratch(PREFIX) as directory:
            assert directory.parent == tmp_path
            assert not left.exists()
            assert all(each.exists() for each in (held / "kubeconfig", just_made, file, elsewhere, link))
        assert not directory.exists()
    finally:
        running.communicate("")
    assert not held.exists()
