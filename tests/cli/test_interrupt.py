"""Ctrl-C while an operation runs: the command ends, the operation goes on."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import CommandLine
from tests.support.service import ServiceProcess

ADD = ["aks", "nodepool", "add", "-g", "rg", "--cluster-name", "c1", "-n", "slow", "-s", "Standard_D2s_v5", "-c", "2"]


@pytest.fixture
def slow(fresh: ServiceProcess) -> ServiceProcess:
    """A service whose machines take half a minute to boot, with a cluster that was made before that."""
    fresh.start().client.make_cluster()
    fresh.stop()
    return fresh.start(simulated_boot_seconds=30)


def interrupted(arguments: list[str], data_dir: Path) -> tuple[int, str, str]:
    """Run the command on a terminal, press Ctrl-C once progress shows; return exit code, stdout and the terminal."""
    leader, follower = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "poolwright.cli.main", *arguments],
        env={**os.environ, "POOLWRIGHT_DATA_DIR": str(data_dir), "TERM": "xterm", "COLUMNS": "200"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=follower,
        text=True,
    ) as process:
        os.close(follower)
        seen = ""
        while not re.search(r"\d+%.*unknown: ", seen):
            seen += os.read(leader, 4096).decode(errors="replace")
        process.send_signal(signal.SIGINT)
        assert process.stdout is not None
        out = process.stdout.read()
        code = process.wait(timeout=30)
    while True:
        try:
            more = os.read(leader, 4096)
        except OSError:  # how Linux says that the other side is closed
            break
        seen += more.decode(errors="replace")
    os.close(leader)
    return code, out, seen


def test_ctrl_c_while_modules_are_imported_ends_with_130_and_without_a_word(tmp_path: Path) -> None:
    # Stands for a library that takes long to import.
    (tmp_path / "typer.py").write_text("import time\nprint('importing', flush=True)\ntime.sleep(60)\n")
    with subprocess.Popen(
        [Path(sys.executable).with_name("poolwright"), "up"],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "importing\n"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)

    assert (process.returncode, out, err) == (130, "", "")


def test_ctrl_c_ends_the_command_with_130_and_the_operation_goes_on(slow: ServiceProcess) -> None:
    code, out, seen = interrupted(ADD, slow.data_dir)

    assert (code, out) == (130, "")
    operation = re.search(r"Operation ([0-9a-f-]{36}) goes on; follow it with: poolwright operations watch", seen)
    assert operation is not None
    assert "Traceback" not in seen
    path = f"{slow.client.subscription}/providers/Microsoft.ContainerService/locations/eastus/operations/{operation[1]}"
    assert slow.client.get(path).json()["status"] == "InProgress"

    code, out, seen = interrupted(["operations", "watch", operation[1], "-l", "eastus"], slow.data_dir)
    assert (code, out) == (130, "")
    assert operation[1] in seen
    assert "Stop it with: poolwright aks nodepool operation-abort -g rg --cluster-name c1 -n slow" in seen


def test_the_abort_that_ctrl_c_names_stops_the_operation(slow: ServiceProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    _, _, seen = interrupted(ADD, slow.data_dir)
    named = re.search(r"Stop it with: poolwright ([^\r\n]+)", seen)
    operation = re.search(r"Operation ([0-9a-f-]{36})", seen)
    assert named is not None
    assert operation is not None
    monkeypatch.setenv("POOLWRIGHT_DATA_DIR", str(slow.data_dir))
    poolwright = CommandLine()

    poolwright.done(*named[1].split())

    ended = poolwright("operations", "watch", operation[1], "-o", "json")
    assert (ended.code, ended.json["status"]) == (1, "Canceled")


def test_a_terminal_shows_waves_and_says_once_that_no_cluster_is_attached(slow: ServiceProcess) -> None:
    slow.stop()
    # Long enough for the first wave to be seen, short enough to wait for the machines it replaces.
    slow.start(simulated_boot_seconds=3).client.make_pool("roll", {"vmSize": "Standard_D2s_v5", "count": 2})

    update = ["aks", "nodepool", "update", *ADD[3:7], "-n", "roll", "-s", "Standard_D4s_v5"]
    code, _, seen = interrupted(update, slow.data_dir)

    assert code == 130
    assert seen.count("no Kubernetes cluster is attached") == 1
    assert re.search(r"(add machines|await ready) +wave 1 of 2 +0 of 2 replaced +V2: 2, unknown: 1", seen)
