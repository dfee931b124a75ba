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
