"""The fixtures, in runs of pytest as users have them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

PROJECT = """
from poolwright import testing
import pytest

SEED = {
    "resourceGroups": [
        {
            "name": "rg",
            "location": "eastus",
            "clusters": [
                {"name": "c1", "nodePools": [{"name": "sys", "properties": {"mode": "System", "count": 1}}]}
            ],
        }
    ]
}


@pytest.fixture(scope="session")
def poolwright_settings():
    return {"seed": SEED}
"""


def run(project: Path, test: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run pytest on one file of tests in a project of its own."""
    (project / "conftest.py").write_text(PROJECT)
    (project / "test_mine.py").write_text(test)
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "--basetemp",
            str(project / "tmp"),
            *arguments,
        ],
        cwd=project,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_fixtures_do_what_they_say(tmp_path: Path) -> None:
    ended = run(
        tmp_path,
        """
import os

def test_one(poolwright_reset, poolwright_client):
    poolwright_reset.put_pool("np1", {"count": 1})
    assert poolwright_client.get(poolwright_client.pool("np1")).status_code == 200

def test_two(poolwright_reset, poolwright_service):
    assert poolwright_reset is poolwright_service
    pools = poolwright_service.client.get(poolwright_service.client.cluster()).json()["properties"]["agentPoolProfiles"]
    assert [pool["name"] for pool in pools] == ["sys"], "what the other test made is gone"
    assert len(poolwright_service.requests()) == 1, "and so are its requests"

def test_three(poolwright_environment, poolwright_service):
    assert os.environ["POOLWRIGHT_ENDPOINT"] == poolwright_environment["POOLWRIGHT_ENDPOINT"] == poolwright_service.url

def test_four():
    assert "POOLWRIGHT_ENDPOINT" not in os.environ
""",
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "4 passed" in ended.stdout


def test_a_failure_shows_what_the_service_logged_during_the_test_and_no_other(tmp_path: Path) -> None:
    ended = run(
        tmp_path,
        """
def test_fine(poolwright_client):
    poolwright_client.put(poolwright_client.group("before"), json={"location": "eastus"})

def test_broken(poolwright_client):
    poolwright_client.put(poolwright_client.group("during"), json={"location": "mars"})
    raise RuntimeError("mine")
""",
    )
    assert ended.returncode == 1
    _, _, shown = ended.stdout.partition("Poolwright service log")
    assert "resourcegroups/during" in shown
    assert "resourcegroups/before" not in ended.stdout


def test_each_worker_has_a_service_of_its_own(tmp_path: Path) -> None:
    ended = run(
        tmp_path,
        """
import pathlib, pytest, threading

@pytest.mark.parametrize("number", range(4))
def test_it(number, poolwright_reset, worker_id):
    poolwright_reset.put_pool(f"np{number}", {"count": 1})
    with open(pathlib.Path(__file__).with_name("urls.txt"), "a") as file:
        file.write(f"{worker_id} {poolwright_reset.url} {poolwright_reset.pid}\\n")
""",
        "-n",
        "2",
        "--dist",
        "each",
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    lines = {tuple(line.split()) for line in (tmp_path / "urls.txt").read_text().splitlines()}
    assert len(lines) == len({worker for worker, _, _ in lines}) == len({url for _, url, _ in lines}) == 2
    assert not [pid for _, _, pid in lines if Path(f"/proc/{pid}").exists()], "they are gone with their workers"


def test_a_run_that_uses_none_of_them_starts_nothing(tmp_path: Path) -> None:
    ended = run(
        tmp_path,
        """
import sys

def test_it():
    assert "httpx" not in sys.modules and "poolwright.cli" not in sys.modules
""",
    )
    assert ended.returncode == 0, ended.stdout
    assert not list((tmp_path / "tmp").glob("poolwright*"))


def test_the_fixtures_are_listed_with_what_they_are_for(tmp_path: Path) -> None:
    listed = run(tmp_path, "", "--fixtures").stdout
    for name in ("settings", "service", "reset", "client", "environment", "az"):
        assert re.search(rf"^poolwright_{name}\b.*\n    [A-Z]", listed, re.MULTILINE), name
