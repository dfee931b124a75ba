"""The steps of a move are what was decided, can be typed as they are, and say what takes them back."""

from __future__ import annotations

import json
import shlex
from typing import Any

import pytest

from poolwright.domain.profile import Profile
from poolwright.fleet.plan import Plan, StepName
from poolwright.fleet.reading import read
from tests.fleet.fleets import SUBSCRIPTION, cluster, fleet_of, pool
from tests.fleet.plans import GEN1, move_of, named, planned

ADD_AND_DELETE = (StepName.ADD_POOL, StepName.DELETE_POOL)


def test_the_same_size_in_place_is_asked_for_by_the_wish() -> None:
    move = move_of(Profile.DOCUMENTED, nodeImageVersion=GEN1, vmSize="Standard_D4s_v5")
    (line,) = move.steps[1].az
    assert line.endswith("--set properties.vmGeneration=V2")
    assert move.steps[1].request is not None
    assert move.steps[1].request.properties == {"vmGeneration": "V2"}


def test_windows_in_place_asks_by_the_header() -> None:
    image = "AKSWindows-2022-containerd-20348.4529.251212"
    windows = {"osType": "Windows", "osSKU": "Windows2022", "nodeImageVersion": image}
    move = move_of(Profile.DOCUMENTED, vmSize="Standard_D4s_v5", **windows)
    request = move.steps[1].request
    assert request is not None
    assert (request.properties, request.headers) == ({}, {"UseWindowsGen2VM": "true"})
    assert "--aks-custom-headers UseWindowsGen2VM=true" in move.steps[1].az[0]
    assert "--aks-custom-headers UseWindowsGen2VM=false" in move.way_back[-1]
    assert move.image_definition == "windows-2022-containerd-gen2"


def test_a_new_pool_is_the_old_one_on_another_size(made: Plan) -> None:
    steps = {step.name: step for step in named(made, "shop-prod/spot").steps}
    assert list(steps) == [
        *(StepName.CONFIRM, StepName.ADD_POOL, StepName.HOLD_AUTOSCALER),
        *(StepName.CORDON, StepName.DRAIN, StepName.DELETE_POOL),
    ]
    request = steps[StepName.ADD_POOL].request
    assert request is not None
    assert request.pool.endswith("/agentPools/spotg2")
    assert request.properties == {
        **{"count": 3, "enableAutoScaling": True, "enableFIPS": False, "enableNodePublicIP": False, "maxCount": 10},
        **{"maxPods": 110, "minCount": 0, "mode": "User", "orchestratorVersion": "1.33.2", "osDiskSizeGB": 128},
        **{"osDiskType": "Managed", "osSKU": "Ubuntu", "osType": "Linux", "scaleSetEvictionPolicy": "Delete"},
        **{"scaleSetPriority": "Spot", "spotMaxPrice": -1.0, "type": "VirtualMachineScaleSets"},
        "securityProfile": {"enableSecureBoot": False, "enableVTPM": False},
        # The export has maxSurge, too, which no spot node pool can be made with.
        "upgradeSettings": {"maxUnavailable": "0"},
        "vmSize": "Standard_D8s_v3",
    }
    (line,) = steps[StepName.ADD_POOL].az
    words = shlex.split(line)
    assert line.startswith("az aks nodepool add -g shop --cluster-name shop-prod -n spotg2 ")
    for option, value in {"--priority": "Spot", "--max-count": "10"}.items():
        assert words[words.index(option) + 1] == value
    assert "--spot-max-price=-1.0" in words
    assert "--max-surge" not in (*words, *shlex.split(" ".join(steps[StepName.DELETE_POOL].undo)))


def test_what_az_cannot_say_is_told() -> None:
    move = move_of(windowsProfile={"unheardOf": 1})
    assert any("no option for windowsProfile.unheardOf" in remark for remark in move.remarks)
    assert "unheardOf" in str(move.steps[1].sdk)


def test_several_sizes_move_together(made: Plan) -> None:
    move = named(made, "lake/mixed")
    assert [(size.size, size.count, size.to.size) for size in move.sizes] == [
        ("Standard_D2_v3", 2, "Standard_D2s_v3"),
        ("Standard_D4_v3", 1, "Standard_D4s_v3"),
    ]
    add, further = move.steps[1].az
    assert "--vm-set-type VirtualMachines" in add
    assert "--vm-sizes Standard_D2s_v3 " in add
    assert " --node-count 2 " in add
    assert "manual-scale add" in further
    assert "--vm-sizes Standard_D4s_v3 --node-count 1" in further


def test_a_step_says_how_a_program_takes_it_back() -> None:
    move = move_of(scaleSetPriority="Spot", enableAutoScaling=True, minCount=1, maxCount=9, nodeImageVersion=GEN1)
    undo = {step.name: step.undo_request for step in move.steps if step.undo_request is not None}
    add, hold = undo[StepName.ADD_POOL], undo[StepName.HOLD_AUTOSCALER]
    assert (add.method, add.pool.rpartition("/")[2]) == ("DELETE", move.replacement)
    assert hold.properties == {"enableAutoScaling": True, "minCount": 1, "maxCount": 9}


@pytest.mark.parametrize(
    ("properties", "asked", "headers", "back"),
    [
        # Its size offers Generation 1 alone, so that nobody asked for it.
        ({"vmSize": "Standard_D4_v3"}, {"vmSize": "Standard_D4s_v3"}, {}, {"vmSize": "Standard_D4_v3"}),
        # The same, and a wish for Generation 1 is stored, which a PUT without another would keep.
        (
            {"vmSize": "Standard_D4_v3", "vmGeneration": "V1"},
            {"vmSize": "Standard_D4s_v3", "vmGeneration": "V2"},
            {},
            {"vmSize": "Standard_D4_v3", "vmGeneration": "V1"},
        ),
        ({"vmSize": "Standard_D4s_v5"}, {"vmGeneration": "V2"}, {}, {"vmGeneration": "V1"}),
        (
            {"vmSize": "Standard_D4s_v5", "osType": "Windows", "osSKU": "Windows2022", "nodeImageVersion": None},
            {},
            {"UseWindowsGen2VM": "true"},
            {},
        ),
    ],
)
def test_a_change_in_place_asks_for_generation_2_where_it_would_not_come_by_itself(
    properties: dict[str, Any], asked: dict[str, Any], headers: dict[str, str], back: dict[str, Any]
) -> None:
    change = move_of(Profile.DOCUMENTED, **{"nodeImageVersion": GEN1, **properties}).steps[-1]
    assert change.request is not None
    assert change.undo_request is not None
    assert (change.request.properties, change.request.headers) == (asked, headers)
    assert change.undo_request.properties == back
    assert change.undo_request.headers == dict.fromkeys(headers, "false")


def test_whatever_names_an_export_has_a_printed_command_is_one_command() -> None:
    names = "x'; touch $(y) `z` && \"w"
    entry = cluster(pool(nodeImageVersion=GEN1), location="eastus; touch x", group=names, name=names)
    entry["id"] = str(entry["id"]).replace(SUBSCRIPTION, subscription := "s; touch x")
    made = planned(read([("x.json", json.dumps([entry]))]))
    (move,) = made.moves
    lines = [line for step in move.steps for line in (*step.az, *step.kubectl, *(check.run for check in step.checks))]
    lines += [row.check for row in made.quota]
    lines += [line for line in move.way_back if line.startswith(("az ", "kubectl "))]
    assert {row.location for row in made.quota} == {None}
    for line in lines:
        if line.startswith("#"):
            # A location that is not known has to be filled in, which the line says before it is one to run.
            assert line.startswith("# with the location in the place of LOCATION: az vm list-usage -l LOCATION ")
            continue
        lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        found = list(lexer)
        assert found == shlex.split(line)
        assert found[0] in ("az", "kubectl")
        if "-g" in found:
            assert found[found.index("-g") + 1] == names
        if "--subscription" in found:
            assert found[found.index("--subscription") + 1] == subscription


def test_the_check_of_a_drain_shows_pods_that_found_no_node() -> None:
    (drain,) = [step for step in move_of(nodeImageVersion=GEN1).steps if step.name is StepName.DRAIN]
    (check,) = drain.checks
    assert "Pending" in check.expect
    (selector,) = [word for word in shlex.split(check.run) if word.startswith("--field-selector=")]
    left_out = selector.removeprefix("--field-selector=").split(",")
    assert left_out == ["status.phase!=Succeeded", "status.phase!=Failed"]


@pytest.mark.parametrize(
    ("properties", "profile", "expected"),
    [
        ({"count": 1}, Profile.AZURE_2026, "1 node, all Ready"),
        ({"count": 12}, Profile.AZURE_2026, "12 nodes, all Ready"),
        ({"count": 0}, Profile.AZURE_2026, "no nodes: it has none until it is scaled"),
        (
            {"count": 2, "enableAutoScaling": True, "minCount": 1, "maxCount": 5},
            Profile.AZURE_2026,
            "1 to 5 nodes, as the autoscaler has it, all Ready",
        ),
        ({"count": 3}, Profile.DOCUMENTED, "0 of V1 and 3 of V2"),
        (
            {"count": 2, "enableAutoScaling": True, "minCount": 1, "maxCount": 5},
            Profile.DOCUMENTED,
            "0 of V1 and 1 to 5 of V2",
        ),
    ],
)
def test_a_check_expects_as_many_nodes_as_there_can_be(
    properties: dict[str, object], profile: Profile, expected: str
) -> None:
    (move,) = planned(fleet_of(cluster(pool(nodeImageVersion=GEN1, **properties))), profile).moves
    assert expected in [check.expect for step in move.steps for check in step.checks]


def test_the_sizes_of_a_virtual_machines_pool_are_counted_once_on_the_way_back() -> None:
    manual = {"scale": {"manual": [{"size": "Standard_D2_v3", "count": 2}, {"size": "Standard_D4_v3", "count": 1}]}}
    (move,) = planned(
        fleet_of(
            cluster(
                pool(
                    vmSize=None,
                    type="VirtualMachines",
                    virtualMachinesProfile=manual,
                    count=3,
                    nodeImageVersion=GEN1,
                )
            )
        )
    ).moves
    counts = [line.split("--node-count ")[1:] for line in move.way_back if "--node-count" in line]
    assert [[each.split()[0] for each in line] for line in counts] == [["2"], ["1"]]


WIN22 = {"osType": "Windows", "nodeImageVersion": "AKSWindows-2022-containerd-20348.4529.251212"}


@pytest.mark.parametrize(
    ("properties", "why"),
    [
        ({}, None),
        ({"osSKU": "Windows2022", "vmSize": "Standard_D4s_v5", **WIN22}, None),
        # Compute's words: the operation fails after AKS took the request.
        ({"osSKU": "Windows2022", "vmSize": "Standard_D4ads_v6", **WIN22}, "cannot boot Hypervisor Generation '1'"),
        ({"vmSize": "Standard_D4s_v5", "nodeImageVersion": GEN1}, "Standard_D4s_v5 gets a Generation 2 image here"),
        ({"vmSize": "Standard_NC6s_v3", "nodeImageVersion": GEN1}, "the size Standard_NC6s_v3 is retired"),
    ],
)
def test_a_way_back_is_one_by_the_rules(properties: dict[str, Any], why: str | None) -> None:
    move = move_of(**properties)
    (line,) = move.way_back[move.way_back.index("After that:") + 1 :]
    if why is None:
        assert line.startswith("az aks nodepool add ")
    else:
        assert line.startswith("# no way back: ")
        assert why in line
        assert "\n" not in line
