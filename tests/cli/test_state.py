"""`poolwright state`, `reset`, `requests` and `seed`: the tester's commands."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from tests.cli.conftest import CommandLine
from tests.support.service import ServiceProcess


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    process = ServiceProcess(tmp_path_factory.mktemp("state") / "data").start()
    yield process
    process.kill()


@pytest.fixture
def poolwright(service: ServiceProcess, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    """The command line against a service with a cluster and nothing else."""
    service.reset()
    service.client.make_cluster()
    monkeypatch.setenv("POOLWRIGHT_DATA_DIR", str(service.data_dir))
    return CommandLine()


def names(service: ServiceProcess) -> list[str]:
    pools = service.client.get(service.client.cluster()).json()["properties"]["agentPoolProfiles"]
    return [pool["name"] for pool in pools]


def test_a_state_goes_into_a_file_and_comes_back(
    poolwright: CommandLine, service: ServiceProcess, tmp_path: Path
) -> None:
    file = tmp_path / "lab.json"
    service.put_pool("np1", {"count": 1})
    assert poolwright.done("state", "export", str(file)).out == ""
    service.put_pool("np2", {"count": 1})

    refused = poolwright("state", "import", str(file))
    assert refused.code == 1
    assert "the service is not empty" in refused.err
    assert "--replace" in refused.err
    assert names(service) == ["np1", "np2", "sys"]

    poolwright.done("state", "import", str(file), "--replace")
    assert names(service) == ["np1", "sys"]
    poolwright.done("reset", "--yes")
    poolwright.done("state", "import", str(file))
    assert names(service) == ["np1", "sys"]


def test_a_state_is_printed_where_no_file_is_named(poolwright: CommandLine) -> None:
    for arguments in (["state", "export"], ["state", "export", "-"]):
        assert poolwright.done(*arguments).json["format"] == "poolwright-state"


def test_a_file_that_is_no_state_is_refused_with_every_problem(poolwright: CommandLine, tmp_path: Path) -> None:
    file = tmp_path / "bad.json"
    file.write_text(json.dumps({**poolwright.done("state", "export").json, "clusters": 1, "more": 2}))
    refused = poolwright("state", "import", str(file), "--replace")
    assert refused.code == 1
    assert "target: clusters" in refused.err
    assert "target: more" in refused.err


@pytest.mark.parametrize("arguments", [["export", "/nowhere/lab.json"], ["import", "/nowhere/lab.json"]], ids=" ".join)
def test_a_file_that_cannot_be_used_is_named(poolwright: CommandLine, arguments: list[str]) -> None:
    ended = poolwright("state", *arguments)
    assert (ended.code, ended.err) == (1, "error: /nowhere/lab.json: No such file or directory\n")


def test_a_reset_asks_first(poolwright: CommandLine, service: ServiceProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = poolwright("reset")
    assert (refused.code, refused.err) == (2, "error: nobody can be asked without a terminal: use --yes\n")
    assert names(service) == ["sys"]
    poolwright.done("reset", "--yes")
    assert service.client.get(service.client.group()).status_code == 404


def test_requests_show_what_was_sent(poolwright: CommandLine, service: ServiceProcess) -> None:
    service.put_pool(
        "win1",
        {"osType": "Windows", "windowsProfile": {"adminPassword": "Hunter2"}},
        headers={"UseWindowsGen2VM": "true", "CommandName": "aks nodepool add"},
    )
    shown = poolwright.done("requests", "--pool", "win1", "--method", "put", "--since", "10m")
    head, _, row = shown.out.splitlines()
    assert head.split() == ["Time", "Method", "Path", "ApiVersion", "Status", "Ms", "Command", "Headers", "Body"]
    assert "PUT" in row
    assert "/resourceGroups/rg/managedClusters/c1/agentPools/win1" in row
    assert "aks nodepool add" in row
    assert "usewindowsgen2vm=true" in row
    assert '"adminPassword": "***"' in row
    assert "Hunter2" not in shown.out

    (entry,) = poolwright.done("requests", "--pool", "win1", "--method", "PUT", "-o", "json").json["value"]
    assert entry["headers"]["usewindowsgen2vm"] == "true"
    assert poolwright.done("requests", "--since", "2999-01-01T00:00:00Z").out == ""
    assert poolwright.done("requests", "--since", "2999-01-01").out == ""


@pytest.mark.parametrize("command", ["requests", "activity"])
@pytest.mark.parametrize("since", ["yesterday", "1x", "999999999d", ""])
def test_an_unreadable_time_is_a_usage_error(command: str, since: str, alone: CommandLine) -> None:
    refused = alone(command, "--since", since)

    assert (refused.code, refused.out) == (2, "")
    assert f"'{since}' is neither 30s, 5m, 6h, 7d nor a time" in refused.err


def test_requests_are_followed_until_ctrl_c(poolwright: CommandLine, service: ServiceProcess) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "poolwright.cli.main", "requests", "--follow", "--pool", "late", "-o", "json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as following:
        assert following.stdout is not None
        seen = []
        for method in ("PUT", "DELETE"):
            service.client.request(method, service.client.pool("late"), json={"properties": {"vmSize": "nonsense"}})
            seen.append(json.loads(following.stdout.readline())["method"])
        following.send_signal(signal.SIGINT)
        _, told = following.communicate(timeout=30)
    assert (seen, following.returncode, told) == (["PUT", "DELETE"], 130, "")


def test_the_schema_of_a_seed_is_printed_without_a_service(alone: CommandLine) -> None:
    Draft202012Validator.check_schema(alone.done("seed", "schema").json)
