"""`poolwright faults` against a running service."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import CommandLine
from tests.support.service import ServiceProcess

POOL = ("-g", "rg", "--cluster-name", "c1")


@pytest.fixture(autouse=True)
def no_faults(cluster: ServiceProcess) -> Iterator[None]:
    yield
    cluster.client.delete("/_poolwright/faults")


def test_a_fault_is_added_fires_is_shown_and_cleared(poolwright: CommandLine) -> None:
    added = poolwright.done(
        "faults", "add", "disk", "--pool", "np1", "--step", "await_ready", "--fail", "no space left", "--count", "1"
    )
    assert "failAtStep=no space left" in added.out
    assert "pool=np1 step=await_ready" in added.out
    failed = poolwright("aks", "nodepool", "add", *POOL, "-n", "np1", "-c", "1")
    assert failed.code == 1
    assert "ReconcileVMSSAgentPoolFailed: no space left" in failed.err
    assert "this was asked for: poolwright faults show disk" in failed.err
    heading, _, row = poolwright.done("faults", "list").out.splitlines()
    assert heading.split() == ["Name", "Effect", "Match", "At", "Fired", "Last"]
    assert "1 of 1" in row
    assert row.endswith("create node pool np1, wave_1.await_ready")
    assert poolwright.done("faults", "show", "disk").out.splitlines()[-1].endswith("np1, wave_1.await_ready")
    assert poolwright.done("faults", "clear", "disk").err == "1 fault cleared\n"
    assert poolwright.done("faults", "list").out == ""


@pytest.mark.parametrize(
    ("options", "document"),
    [
        ("--refuse InvalidOSSKU --message no", {"effect": {"refuse": {"code": "InvalidOSSKU", "message": "no"}}}),
        (
            "--throttle 2 --method get --path */x",
            {"match": {"method": "GET", "path": "*/x"}, "effect": {"throttle": 2}},
        ),
        ("--delay 1.5 --step drain", {"match": {"step": "drain"}, "effect": {"delaySeconds": 1.5}}),
        ("--lose-machine 2 --step drain", {"match": {"step": "drain"}, "effect": {"loseMachine": 2}}),
        ("--retired-size --size Standard_D*", {"match": {"size": "Standard_D*"}, "effect": {"retiredSize": True}}),
        ("--no-capacity zonalallocationfailed -z 2", {"effect": {"noCapacity": "ZonalAllocationFailed"}}),
        ("--quota-short --nth 2 --cluster c1", {"match": {"cluster": "c1", "nth": 2}, "effect": {"quotaShort": True}}),
        ("--unsigned-driver x.ko -l eastus", {"effect": {"unsignedDriver": "x.ko"}}),
        ("--fail-drain why --operation update_node_pool", {"match": {"operation": "update_node_pool"}}),
    ],
)
def test_options_make_the_document(poolwright: CommandLine, options: str, document: dict[str, object]) -> None:
    made = poolwright.done("faults", "add", "f", *options.split(), "-o", "json").json
    assert {part: made[part] for part in document} == document
    assert poolwright.done("faults", "show", "f", "-o", "json").json == made
    assert poolwright.done("faults", "list", "-o", "json").json == {"value": [made]}


def test_a_document_comes_from_a_file_and_back(poolwright: CommandLine, tmp_path: Path) -> None:
    file = tmp_path / "fault.json"
    file.write_text(json.dumps({"effect": {"quotaShort": True}, "count": 2}))
    stored = poolwright.done("faults", "add", "f", "--file", str(file), "-o", "json").json
    file.write_text(json.dumps(stored))
    assert poolwright.done("faults", "add", "f", "--file", str(file), "-o", "json").json == stored
    schema = poolwright.done("faults", "schema").json
    assert set(schema["properties"]) == {"match", "effect", "count"}


def test_a_drain_that_cannot_fail_is_warned_of(poolwright: CommandLine) -> None:
    assert (
        "warning: No Kubernetes cluster is attached" in poolwright.done("faults", "add", "f", "--fail-drain", "x").err
    )


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["add", "f"], 2, "say what it does"),
        (["add", "f", "--file", "x", "--quota-short"], 2, "the file is the whole document"),
        (["add", "f", "--file", "/nowhere"], 1, "/nowhere cannot be read: No such file"),
        (["add", "f", "--operation", "nap", "--quota-short"], 2, "create_node_pool"),
        (["add", "f", "--fail", "x"], 1, "effect.failAtStep is invalid: it needs match.step"),
        (["add", "f", "--refuse", "Nonsens", "--step", "nap"], 1, "effect.refuse.code is invalid"),
        (["show", "none"], 3, "There is no fault 'none'"),
        (["clear", "none"], 3, "There is no fault 'none'"),
        (["clear"], 2, "name faults, or give --all"),
        (["clear", "f", "--all"], 2, "name faults, or give --all"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_what_is_wrong_is_said_with_an_exit_code(
    poolwright: CommandLine, arguments: list[str], code: int, said: str
) -> None:
    ended = poolwright("faults", *arguments)
    assert (ended.code, ended.out) == (code, "")
    assert said in " ".join(ended.err.replace("│", " ").split())


def test_all_faults_are_cleared_at_once(poolwright: CommandLine) -> None:
    for name in ("a", "b"):
        poolwright.done("faults", "add", name, "--quota-short")
    assert poolwright.done("faults", "clear", "--all", "-o", "json").json == {"cleared": 2}
    assert poolwright.done("faults", "clear", "--all").err == "0 faults cleared\n"


def test_commands_wait_when_they_are_throttled(poolwright: CommandLine) -> None:
    poolwright.done(
        "faults", "add", "busy", "--method", "GET", "--path", "*/agentPools", "--throttle", "1", "--count", "1"
    )
    assert "sys" in poolwright.done("aks", "nodepool", "list", *POOL).out
    poolwright.done("faults", "add", "busy", "--method", "GET", "--path", "*/agentPools", "--throttle", "3600")
    refused = poolwright("aks", "nodepool", "list", *POOL)
    assert refused.code == 1
    assert "Throttled (HTTP 429)" in refused.err
