"""`poolwright az`: every argument and the exit code are az's. A script stands in for az."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.service import ServiceProcess

STAND_IN = f"""#!{sys.executable}
import json, os, sys
if sys.argv[1:2] != ["login"]:
    names = ("AZURE_CONFIG_DIR", "REQUESTS_CA_BUNDLE", "AZURE_CLOUD_NAME")
    print(json.dumps({{"arguments": sys.argv[1:]}} | {{name: os.environ.get(name) for name in names}}))
    sys.exit(7)
"""


@pytest.fixture
def az(tmp_path: Path) -> Path:
    program = tmp_path / "az"
    program.write_text(STAND_IN)
    program.chmod(0o755)
    return program


def run(arguments: list[str], az: Path, data_dir: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "poolwright.cli.main", "az", *arguments],
        env={**os.environ, "POOLWRIGHT_AZ": str(az), "POOLWRIGHT_DATA_DIR": str(data_dir)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ["aks", "nodepool", "list", "--output", "table", "-g", "rg", "--query", "[].name"],
        ["--help"],
        ["-h"],
        ["--version"],
        ["--data-dir", "/somewhere", "rest", "--", "--json"],
        [],
    ],
    ids=" ".join,
)
def test_every_argument_and_the_exit_code_are_azs(arguments: list[str], az: Path, service: ServiceProcess) -> None:
    ended = run(arguments, az, service.data_dir)

    assert ended.returncode == 7, ended.stderr
    assert json.loads(ended.stdout) == {
        "arguments": arguments,
        "AZURE_CONFIG_DIR": str(service.data_dir / "azure-cli"),
        "REQUESTS_CA_BUNDLE": str(service.ca),
        "AZURE_CLOUD_NAME": "Poolwright",
    }


def test_a_service_that_does_not_answer_is_said_before_az_starts(az: Path, fresh: ServiceProcess) -> None:
    fresh.start()
    fresh.stop()

    ended = run(["aks", "list"], az, fresh.data_dir)

    assert (ended.returncode, ended.stdout) == (1, "")
    assert len(ended.stderr.splitlines()) == 1
    assert fresh.url in ended.stderr
    assert "poolwright up" in ended.stderr


def test_an_az_that_cannot_be_used_is_one_line(service: ServiceProcess, tmp_path: Path) -> None:
    ended = run(["aks", "list"], tmp_path / "missing", service.data_dir)

    assert (ended.returncode, ended.stdout) == (1, "")
    assert "POOLWRIGHT_AZ" in ended.stderr
    assert "Traceback" not in ended.stderr
