"""`poolwright up`: one line on stdout, clear ends, and what the command line may override."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.cli.conftest import CommandLine
from tests.support.service import ServiceProcess

COMMAND = [sys.executable, "-m", "poolwright.cli.main", "up"]


def up(*arguments: str, environment: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run `up` to its end, for cases in which it must not start."""
    return subprocess.run(
        [*COMMAND, *arguments],
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_up_prints_one_line_tells_a_terminal_how_to_connect_and_ends_well_on_sigterm(tmp_path: Path) -> None:
    leader, follower = pty.openpty()
    data = tmp_path / "data"
    with subprocess.Popen(
        [*COMMAND, "--port", "0", "--data-dir", str(data), "--log-level", "error"],
        stdout=subprocess.PIPE,
        stderr=follower,
        text=True,
    ) as process:
        os.close(follower)
        assert process.stdout is not None
        ready = process.stdout.readline()
        told = ""
        while "Ctrl-C stops the service" not in told:
            told += os.read(leader, 1000).decode()
        process.send_signal(signal.SIGTERM)
        rest = process.stdout.read()
        code = process.wait(timeout=30)
    os.close(leader)

    assert re.fullmatch(r"ready https://127\.0\.0\.1:\d+\n", ready)
    assert (rest, code) == ("", 0)
    assert f"export POOLWRIGHT_DATA_DIR={data}" in told
    assert "poolwright az aks list" in told
    assert 'eval "$(poolwright env)"' in told


def test_a_second_service_on_the_same_directory_is_refused(service: ServiceProcess) -> None:
    ended = up("--port", "0", "--data-dir", str(service.data_dir))

    assert (ended.returncode, ended.stdout) == (1, "")
    assert re.fullmatch(r"error: another Poolwright service runs on .*\n", ended.stderr)


def test_a_port_that_is_taken_is_named(service: ServiceProcess, tmp_path: Path) -> None:
    port = service.url.rpartition(":")[2]

    ended = up("--port", port, "--data-dir", str(tmp_path / "other"))

    assert (ended.returncode, ended.stdout) == (1, "")
    assert re.fullmatch(rf"error: cannot listen on 127\.0\.0\.1:{port}: .*\n", ended.stderr)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--engine", "qemu"], "simulated"),
        (["--profile", "azure-1999"], "azure-2026"),
        (["--port", "70000"], "65535"),
    ],
)
def test_an_option_that_cannot_be_is_a_usage_error_that_names_what_can(
    arguments: list[str], named: str, alone: CommandLine
) -> None:
    ended = alone("up", *arguments)

    assert (ended.code, ended.out) == (2, "")
    assert arguments[0] in ended.err
    assert named in ended.err


def test_a_wrong_variable_is_named(alone: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POOLWRIGHT_PORT", "many")

    ended = alone("up")

    assert ended.code == 1
    assert ended.err.startswith("error: POOLWRIGHT_PORT: ")


def test_the_command_line_goes_before_the_environment(tmp_path: Path) -> None:
    ended = up("--data-dir", str(tmp_path / "data"), "--host", "192.0.2.1", environment={"POOLWRIGHT_PORT": "4711"})

    assert ended.returncode == 1
    assert ended.stderr.startswith("error: cannot listen on 192.0.2.1:4711")


@pytest.mark.parametrize(
    ("file", "content"),
    [("poolwright.sqlite", "not a database, and long enough to be read as one" * 100), ("signing-key.pem", "no key")],
)
def test_a_damaged_file_is_one_clear_line(file: str, content: str, tmp_path: Path) -> None:
    (tmp_path / file).write_text(content)

    ended = up("--port", "0", "--data-dir", str(tmp_path))

    assert (ended.returncode, ended.stdout) == (1, "")
    assert re.fullmatch(rf"error: .*{re.escape(str(tmp_path))}.*\n", ended.stderr)
