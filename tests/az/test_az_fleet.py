"""A fleet exported by the real az, planned, and moved by the very lines of the plan.

No Kubernetes cluster stands behind the service, so the lines of kubectl are not run.
"""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest
from lab import Lab

from poolwright.fleet.commands import option
from tests.cli.conftest import CommandLine
from tests.fleet.test_commands import expanded

pytestmark = pytest.mark.az

CLUSTER = "-g rg --cluster-name c1"
ADDED = {
    "lin1": "--node-vm-size Standard_D2_v3 --node-count 2 --labels team=blue tier=web --node-taints a=b:NoSchedule "
    "--zones 1 2 --max-surge 1 --drain-timeout 20 --tags cost=42",
    "spot1": "--node-vm-size Standard_D2_v3 --node-count 1 --priority Spot --eviction-policy Delete "
    "--enable-cluster-autoscaler --min-count 1 --max-count 3",
    "win1": "--os-type Windows --os-sku Windows2022 --node-vm-size Standard_D2s_v5 --node-count 1",
    "vms1": "--vm-set-type VirtualMachines --vm-sizes Standard_D2_v3 --node-count 1",
}


@pytest.fixture(scope="module")
def fleet(lab: Lab) -> Lab:
    lab.ok("group create --name rg --location eastus")
    lab.ok("aks create -g rg -n c1 --no-ssh-key --node-count 1 --node-vm-size Standard_D2_v3")
    for name, options in ADDED.items():
        lab.ok(f"aks nodepool add {CLUSTER} -n {name} {options}")
    return lab


def test_az_reads_no_file_for_a_value_of_a_printed_command(lab: Lab, tmp_path: Path) -> None:
    """The escape that az offers is none for @, and the one that is printed holds for all else."""
    file = tmp_path / "x"
    file.write_text("FILE")
    told = [f"@{file}", f"a=@{file}", f"-o=@{file}", "a@b", "@", "-g=-o"]
    assert lab.az.inside("expanded_words.py", *told) == expanded(told)
    taken = shlex.split(f"{option('--tags', f'a=@{file}')} {option('-g', '-o')} {option('--labels', 'a@b', '@a=b')}")
    assert lab.az.inside("expanded_words.py", *taken) == taken


def test_the_lines_of_a_plan_move_every_pool_of_what_az_exported(fleet: Lab, tmp_path: Path) -> None:
    exports = tmp_path / "exports"
    exports.mkdir()
    for name, command in {
        "list": "aks list",
        "show": "aks show -g rg -n c1",
        "pools": f"aks nodepool list {CLUSTER}",
        "skus": "vm list-skus --location eastus --size Standard_D2 --all",
    }.items():
        (exports / f"{name}.json").write_text(fleet.ok(f"{command} --output json"))
    poolwright = CommandLine()
    audit = poolwright.done("fleet", "audit", str(exports), "--built-in", "-o", "json").json
    known = {pool["pool"]: (pool["generation"], pool["confidence"]) for pool in audit["pools"]}
    assert known == dict.fromkeys(("nodepool1", *ADDED), ("V1", "certain"))

    plan = poolwright.done("fleet", "plan", str(exports), "--built-in", "-o", "json").json
    (cluster,) = plan["clusters"]
    assert [move["pool"] for move in cluster["moves"]][-1] == "nodepool1", "the system node pool is the last"
    for move in cluster["moves"]:
        for step in move["steps"]:
            for line in step["az"]:
                run(fleet, line)
            for check in step["checks"]:
                if check["run"].startswith("az aks nodepool show") and check["expect"] == "Succeeded":
                    assert run(fleet, check["run"]) == "Succeeded"
    after = {pool["name"]: pool for pool in json.loads(fleet.ok(f"aks nodepool list {CLUSTER} --output json"))}
    assert sorted(after) == ["lin1g2", "nodepool1g2", "spot1g2", "vms1g2", "win1g2"]
    assert all("gen2" in pool["nodeImageVersion"] for pool in after.values())
    kept: dict[str, Any] = after["lin1g2"]
    assert kept["nodeLabels"] == {"team": "blue", "tier": "web"}
    assert kept["nodeTaints"] == ["a=b:NoSchedule"]
    assert (kept["availabilityZones"], kept["count"], kept["tags"]) == (["1", "2"], 2, {"cost": "42"})
    assert kept["upgradeSettings"]["drainTimeoutInMinutes"] == 20
    spot = after["spot1g2"]
    assert (spot["scaleSetPriority"], spot["enableAutoScaling"], spot["maxCount"]) == ("Spot", True, 3)


def test_the_lines_of_a_plan_in_place_and_back(fleet: Lab, tmp_path: Path) -> None:
    fleet.ok(f"aks nodepool add {CLUSTER} -n here --node-vm-size Standard_D2_v3 --node-count 1")
    fleet.ok(
        f"aks nodepool add {CLUSTER} -n winh --os-type Windows --os-sku Windows2022 --node-vm-size Standard_D2s_v5 "
        "--node-count 1"
    )
    (tmp_path / "list.json").write_text(fleet.ok("aks list --output json"))
    arguments = ("fleet", "plan", str(tmp_path), "--built-in", "--profile", "documented", "-o", "json")
    (cluster,) = CommandLine().done(*arguments).json["clusters"]
    moves = {move["pool"]: move for move in cluster["moves"]}
    assert {name: move["way"] for name, move in moves.items()} == {"here": "in-place", "winh": "in-place"}
    for name, move in moves.items():
        (change,) = [step for step in move["steps"] if step["name"] == "change"]
        for line in change["az"]:
            run(fleet, line)
        assert fleet.pool(name)["poolwright"]["observedGenerations"]["V2"] == 1
        (line,) = [line for line in move["wayBack"] if line.startswith("az ")]
        run(fleet, line)
        assert fleet.pool(name)["poolwright"]["observedGenerations"]["V1"] == 1


def run(fleet: Lab, line: str) -> str:
    """What a line of the plan prints."""
    program, *words = shlex.split(line)
    assert program == "az"
    # The words are what a shell would hand over, so they are not split again.
    return fleet.ok("", *words).strip()
