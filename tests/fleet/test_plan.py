"""The plan: hand-written fleets, decisions, and what holds for any fleet."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from poolwright.catalog.catalog import Catalog
from poolwright.domain.generation import Generation
from poolwright.domain.image_resolution import Resolution
from poolwright.domain.profile import Profile
from poolwright.fleet.audit import Move, audit
from poolwright.fleet.capabilities import CAPABILITIES
from poolwright.fleet.document import document_of, json_of, json_pieces
from poolwright.fleet.overrides import Overrides, WrongOverrides, read_overrides
from poolwright.fleet.plan import NoSuchMove, Plan, PoolMove, StepName, Way, plan
from poolwright.fleet.reading import read
from poolwright.fleet.targets import Targets
from poolwright.fleet.values import Fleet
from tests.fleet.fleets import SUBSCRIPTION, TODAY, audited, cluster, exported, fleet_of, pool, targets_for

GEN1 = "AKSUbuntu-2204containerd-202512.18.0"
ADD_AND_DELETE = (StepName.ADD_POOL, StepName.DELETE_POOL)


def planned(fleet: Fleet, profile: Profile = Profile.AZURE_2026, overrides: Overrides | None = None) -> Plan:
    targets = targets_for(fleet, profile)
    return plan(fleet, audit(fleet, targets), targets, overrides)


def move_of(profile: Profile = Profile.AZURE_2026, **properties: Any) -> PoolMove:
    """The move of the only node pool of the only cluster."""
    (only,) = planned(fleet_of(cluster(pool(**properties))), profile).moves
    return only


def decided(tmp_path: Path, text: str) -> Overrides:
    (tmp_path / "decisions.yaml").write_text(text)
    return read_overrides(tmp_path / "decisions.yaml")


@pytest.fixture(scope="module")
def made() -> Plan:
    return planned(exported())


def named(made: Plan, name: str) -> PoolMove:
    (only,) = [move for each in made.clusters for move in each.moves if f"{each.cluster}/{move.pool}" == name]
    return only


def test_every_pool_moves_or_stays(made: Plan) -> None:
    fleet = exported()
    pools = {str(pool.id) for each in fleet.clusters for pool in each.pools}
    assert {move.id for move in made.moves} | {stay.id for stay in made.stays} == pools
    assert {stay.pool: stay.move for stay in made.stays if stay.move is not Move.DONE} == {
        "win19": Move.BLOCKED,
        "system": Move.WAITS,
    }


@pytest.mark.parametrize(
    ("name", "way", "because", "size", "replacement"),
    [
        ("shop-prod/batch", Way.NEW_POOL, "resize-generation", "Standard_D4s_v3", "batchg2"),
        ("shop-prod/win22", Way.NEW_POOL, "generation-kept", "Standard_D4s_v5", "win2g2"),
        ("lake/mixed", Way.NEW_POOL, "many-sizes", "Standard_D2s_v3", "mixedg2"),
        # Its own size offers Generation 2 and ends in 2028; a size without a known end comes first.
        ("old2/agentpool", Way.NEW_POOL, "resize-generation", "Standard_D2s_v3", "agentpoolg2"),
        ("Edge1/nodepool1", Way.NEW_POOL, "resize-generation", "Standard_F4as_v6", "nodepool1g2"),
    ],
)
def test_moves_of_the_exports(
    made: Plan, name: str, way: Way, because: str, size: str, replacement: str | None
) -> None:
    move = named(made, name)
    assert (move.way, move.because.id, move.sizes[0].to.size) == (way, because, size)
    assert move.replacement == replacement


def test_where_the_endpoint_can_a_pool_is_moved_in_place() -> None:
    move = move_of(Profile.DOCUMENTED, nodeImageVersion=GEN1, eTag="e1")
    assert (move.way, move.replacement, move.extra_machines) == (Way.IN_PLACE, None, 1)
    confirm, change = move.steps
    assert (confirm.name, change.name) == (StepName.CONFIRM, StepName.CHANGE)
    assert change.request is not None
    assert (change.request.on, change.request.properties) == ("current", {"vmSize": "Standard_D4s_v3"})
    (line,) = change.az
    assert line.startswith("az aks nodepool update -g rg --cluster-name c1 -n np1 --node-vm-size Standard_D4s_v3")
    assert "--node-vm-size Standard_D4_v3" in move.way_back[-1]
    assert any("e1" in check.expect for check in confirm.checks)


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
        "upgradeSettings": {"maxSurge": "10%", "maxUnavailable": "0"},
        "vmSize": "Standard_D8s_v3",
    }
    (line,) = steps[StepName.ADD_POOL].az
    words = shlex.split(line)
    assert line.startswith("az aks nodepool add -g shop --cluster-name shop-prod -n spotg2 ")
    for option, value in {"--priority": "Spot", "--max-count": "10"}.items():
        assert words[words.index(option) + 1] == value
    assert "--spot-max-price=-1.0" in words


@pytest.mark.parametrize(
    ("properties", "mode"),
    [
        ({}, "System"),
        ({"mode": "User"}, "User"),
        ({"scaleSetPriority": "Spot"}, "User"),
        ({"osType": "Windows", "osSKU": "Windows2022", "vmSize": "Standard_D4s_v5"}, "User"),
    ],
)
def test_what_has_no_mode_counts_as_a_system_pool_wherever_it_can_be_one(properties: dict[str, Any], mode: str) -> None:
    made = planned(fleet_of(cluster(pool(**{"mode": None, **properties}), pool("user"))))
    move = named(made, "c1/np1")
    assert move.mode == mode
    assert mode == "User" or move.order == 2
    add, delete = (next(step for step in move.steps if step.name is name) for name in ADD_AND_DELETE)
    assert add.request is not None
    assert add.sdk is not None
    assert add.request.properties["mode"] == mode
    assert f"--mode {mode} " in add.az[0]
    assert f"'mode': '{mode}'" in add.sdk
    assert bool(delete.checks) == (mode == "System")
    assert "# no way back" in delete.undo[0] or f"--mode {mode} " in delete.undo[0]
    assert made.found[0].pools[0].properties["mode"] == mode


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


def test_a_plan_has_the_fleet_it_was_made_for(made: Plan) -> None:
    fleet = exported()
    pools = {str(known.id): known for each in fleet.clusters for known in each.pools}
    found = {f"{each.id}/agentPools/{known.name}": known for each in made.found for known in each.pools}
    assert found.keys() == pools.keys()
    for identity, known in pools.items():
        assert (found[identity].etag, found[identity].node_image) == (known.etag, known.node_image)
        version = {"orchestratorVersion": str(known.version)} if known.version else {}
        assert found[identity].properties == {**known.properties, **version, "mode": known.role.value}


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


def test_quota_counts_what_runs_beside_each_other_and_what_stays(made: Plan) -> None:
    rows = {(row.location, row.family): row for row in made.quota}
    v3 = rows["eastus", "standardDSv3Family"]
    # lake: mixed 8 and system 4; old2: 6; shop-prod: batch 20.
    assert (v3.one_at_a_time, v3.all_at_once, v3.for_good) == (38, 38, 38)
    # win22 needs 8 beside its 8, and gives them back.
    v5 = rows["eastus", "standardDSv5Family"]
    assert (v5.one_at_a_time, v5.all_at_once, v5.for_good) == (8, 8, 0)
    assert rows["eastus", "lowPriorityCores"].one_at_a_time == 24


def test_a_size_is_not_taken_for_a_family() -> None:
    old = pool("old", vmSize="Standard_D4_v3"), pool("sgx", vmSize="Standard_DC2s", nodeImageVersion=GEN1, count=1)
    made = planned(fleet_of(cluster(*old)), Profile.DOCUMENTED)
    families = {row.family: row.check for row in made.quota}
    (unknown,) = [name for name in families if name.startswith("unknown family of ")]
    assert "family: name.value, limit: limit" in families[unknown]
    assert not any("Standard_" in check for check in families.values())


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


def test_a_remedy_that_is_a_command_can_be_typed() -> None:
    (only,) = audited(fleet_of(cluster(pool(), name="a;b", powerState={"code": "Stopped"}))).pools
    (remedy,) = [finding.remedy for finding in only.findings if finding.id == "cluster-stopped"]
    assert remedy == "start it: az aks start -g rg -n 'a;b'"


@pytest.mark.parametrize(
    ("old", "new", "count", "during", "after"),
    [
        # One family, more vCPUs: the last of three waves has one old machine, two new ones and one of surge.
        ("Standard_D2s_v3", "Standard_D4s_v3", 3, 2 * 2 + 4, 6),
        # Another family: at the end there are all of it.
        ("Standard_D2_v3", "Standard_D4s_v3", 3, 12, 12),
    ],
)
def test_quota_of_a_move_in_place(old: str, new: str, count: int, during: int, after: int, tmp_path: Path) -> None:
    fleet = fleet_of(cluster(pool(vmSize=old, count=count, nodeImageVersion=GEN1)))
    overrides = decided(tmp_path, f"overrides: [{{pools: rg/c1/np1, size: {new}}}]")
    (move,) = planned(fleet, Profile.DOCUMENTED, overrides).moves
    need = next(need for need in move.quota if need.family == "standardDSv3Family")
    assert (need.during, need.after) == (during, after)


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


def test_another_architecture_is_warned_of(tmp_path: Path) -> None:
    fleet = fleet_of(cluster(pool(nodeImageVersion=GEN1, vmSize="Standard_D4_v3")))
    overrides = decided(tmp_path, "overrides: [{pools: rg/c1/np1, size: Standard_D4ps_v5}]")
    (move,) = planned(fleet, overrides=overrides).moves
    assert move.remarks[0] == (
        "warning: Standard_D4ps_v5 is Arm64 and Standard_D4_v3 is x64: every container image that runs there has to "
        "exist for Arm64, or its pods do not start"
    )
    assert not any("warning" in remark for remark in planned(fleet).moves[0].remarks)


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


def test_the_new_name_fits_and_is_free() -> None:
    taken = [pool(name) for name in ("averylongnam", "averylonngg2", "np1", "np1g2", "npg2")]
    fleet = fleet_of(cluster(*taken, pool("win1", osType="Windows", osSKU="Windows2022", vmSize="Standard_D4s_v5")))
    names = {move.pool: move.replacement for move in planned(fleet).moves}
    assert names["averylongnam"] == "averylongng2"
    assert names["np1"] == "np1g2b"
    assert names["win1"] == "win1g2"


def test_a_full_cluster_has_no_room_for_a_pool_beside() -> None:
    fleet = fleet_of(cluster(*(pool(f"p{number}", vmSize="Standard_D4s_v6") for number in range(99)), pool("old")))
    made = planned(fleet)
    assert made.moves == ()
    assert [stay.because[0].id for stay in made.stays if stay.pool == "old"] == ["cluster-full"]
    assert len(planned(fleet, Profile.DOCUMENTED).moves) == 1, "in place there is no pool beside"


def test_decisions_are_followed(tmp_path: Path) -> None:
    overrides = decided(
        tmp_path,
        """
        overrides:
          - {pools: shop/shop-prod/win19, osSku: Windows2022, note: agreed}
          - {pools: SHOP/*/batch, size: standard_d4s_v5, name: batch2}
          - {pools: "*/*/spot", leave: its team moves it in March}
        """,
    )
    made = planned(exported(), overrides=overrides)
    win19 = named(made, "shop-prod/win19")
    assert (win19.os_sku, win19.image_definition) == ("Windows2022", "windows-2022-containerd-gen2")
    assert (win19.way, win19.sizes[0].to.size) == (Way.NEW_POOL, "Standard_D4s_v3")
    batch = named(made, "shop-prod/batch")
    assert (batch.replacement, batch.sizes[0].to.size) == ("batch2", "Standard_D4s_v5")
    (spot,) = [stay for stay in made.stays if stay.pool == "spot"]
    assert spot.because[0].message == "its team moves it in March"


def test_a_change_of_the_os_release_is_a_difference_and_what_the_rules_warn_of_a_remark(tmp_path: Path) -> None:
    mariner = pool("mar", osSKU="CBLMariner", nodeImageVersion="AKSCBLMariner-V2-202505.27.0")
    ubuntu = pool("ubu", osSKU="Ubuntu2204", nodeImageVersion=GEN1)
    overrides = decided(tmp_path, "overrides: [{pools: '*/*/mar', osSku: AzureLinux3}]")
    moves = {move.pool: move for move in planned(fleet_of(cluster(mariner, ubuntu)), overrides=overrides).moves}
    for choice in (moves["mar"].sizes[0].to, *moves["mar"].sizes[0].alternatives):
        first = choice.differences[0]
        assert (first.capability, first.before, first.after) == ("OS release", "CBL-Mariner 2.0", "Azure Linux 3.0")
    assert "OS release" not in [each.capability for each in moves["ubu"].sizes[0].to.differences]
    assert any(remark.startswith("Ubuntu 22.04 ends on 2027-06-30") for remark in moves["ubu"].remarks)


def test_an_override_takes_away_one_reason_and_leaves_the_others(tmp_path: Path) -> None:
    stopped = cluster(
        pool("gone", availabilityZones=["7"]),
        pool("sku", osSKU="CBLMariner"),
        name="off",
        powerState={"code": "Stopped"},
    )
    text = """
        overrides:
          - {pools: rg/off/gone, size: Standard_D4s_v5, name: other}
          - {pools: rg/off/sku, osSku: AzureLinux3}
          - {pools: rg/on/set, way: new-pool}
        """
    running = cluster(pool("np1"), pool("set", type="AvailabilitySet"), name="on")
    with pytest.raises(NoSuchMove, match=r"cannot have Standard_D4s_v5: .* not to be had in zone 7"):
        planned(fleet_of(stopped, running), overrides=decided(tmp_path, text))
    made = planned(fleet_of(stopped, running), overrides=decided(tmp_path, text.replace("size: Standard_D4s_v5, ", "")))
    assert [move.pool for move in made.moves] == ["np1"]
    stays = {stay.pool: (stay.move, [finding.id for finding in stay.because]) for stay in made.stays}
    assert stays == {
        "gone": (Move.BLOCKED, ["no-target", "cluster-stopped"]),
        "sku": (Move.WAITS, ["cluster-stopped"]),
        "set": (Move.BLOCKED, ["availability-set"]),
    }


@pytest.mark.parametrize(
    ("text", "place", "what"),
    [
        ("overrides: [{pools: a/b/c}]", "1:21", "overrides[0].pools: no node pool of the fleet is a/b/c"),
        (
            "overrides: [{pools: shop/shop-prod/*, sise: x}]",
            "1:45",
            "overrides[0].sise: there is no such member; did you mean size?",
        ),
        (
            "overrides: [{pools: shop/shop-prod/*, x: x}]",
            "1:42",
            "overrides[0].x: there is no such member; there are pools, size, osSku, way, name, leave, note",
        ),
        (
            "overrides: [{pools: batch, size: x}]",
            "1:21",
            "overrides[0].pools: 'batch' stands there; expected is resource group/cluster/node pool",
        ),
        ("overrides: [{size: x}]", "1:13", "overrides[0].pools: it is missing; expected is resource group/cluster"),
        (
            "overrides: [{pools: '*/*/*', osSku: BeOS}]",
            "1:37",
            "overrides[0].osSku: 'BeOS' stands there; expected is one of Ubuntu, ",
        ),
        (
            "overrides: [{pools: '*/*/*', way: sideways}]",
            "1:35",
            "overrides[0].way: 'sideways' stands there; expected is in-place or new-pool",
        ),
        (
            "overrides: [{pools: '*/*/*', size: 4}]",
            "1:36",
            "overrides[0].size: 4 stands there; expected is the name of a VM size",
        ),
        (
            "overrides: [{pools: '*/*/*', leave: ''}]",
            "1:37",
            "overrides[0].leave: nothing stands there; expected is the reason",
        ),
        ("overrides: [x]", "1:13", "overrides[0]: 'x' stands there; expected is `pools` with what is decided"),
        ("overrides: {pools: x}", "1:12", "overrides: a mapping stands there; expected is a list"),
        ("override: []", "1:11", "override: there is no such member; did you mean overrides?"),
        ("[]", "1:1", "a list stands there; expected is `overrides:` with a list below it"),
        ("overrides: [", "1:13", ""),
    ],
)
def test_overrides_that_mean_nothing_are_named_with_their_line(
    text: str, place: str, what: str, tmp_path: Path
) -> None:
    with pytest.raises(WrongOverrides) as wrong:
        planned(exported(), overrides=decided(tmp_path, text))
    assert f"decisions.yaml:{place}:" in str(wrong.value)
    assert what in str(wrong.value)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{pools: shop/shop-prod/batch, size: Standard_D4_v3}", "offers only Generation 1"),
        ("{pools: shop/shop-prod/batch, size: Standard_Nobody_v9}", "is not offered in eastus"),
        ("{pools: shop/shop-prod/batch, way: in-place}", "cannot be moved in place"),
        ("{pools: shop/shop-prod/batch, osSku: Windows2022}", "of another OS type"),
        ("{pools: shop/shop-prod/batch, name: Batch}", "cannot become Batch"),
        ("{pools: shop/shop-prod/batch, name: system}", "has a node pool of that name"),
        ("{pools: shop/shop-test/system, size: Standard_D4_v3}", "offers only Generation 1"),
        (
            "{pools: shop/shop-prod/win19, osSku: WindowsAnnual}",
            "cannot have OS SKU WindowsAnnual: Creating node pools",
        ),
    ],
)
def test_what_is_decided_has_to_be_possible(text: str, reason: str, tmp_path: Path) -> None:
    with pytest.raises(NoSuchMove, match=reason):
        planned(exported(), overrides=decided(tmp_path, f"overrides: [{text}]"))


MOVED_IN_PART = """
overrides:
  - {pools: shop/shop-prod/gone, osSku: Windows2022}
  - {pools: shop/shop-prod/system, size: Standard_D4s_v5}
  - {pools: shop/shop-prod/s*, way: new-pool}
  - {pools: shop/shop-prod/batch, name: batch2}
"""


def test_decisions_about_what_is_moved_are_told_with_what_helps(tmp_path: Path) -> None:
    with pytest.raises(WrongOverrides) as wrong:
        planned(exported(), overrides=decided(tmp_path, MOVED_IN_PART))
    problems = str(wrong.value).splitlines()
    assert [line.partition("decisions.yaml:")[2].strip() for line in problems[1:3]] == [
        "3:13: overrides[0].pools: no node pool of the fleet is shop/shop-prod/gone",
        "4:13: overrides[1].pools: nothing is left to decide: shop/shop-prod/system is of Generation 2 already",
    ]
    assert len(problems) == 4
    assert "plan with --allow-unmatched" in problems[3]


def test_a_fleet_that_is_moved_in_part_is_planned_by_the_decisions_that_are_left(tmp_path: Path) -> None:
    decided(tmp_path, MOVED_IN_PART)
    overrides = read_overrides(tmp_path / "decisions.yaml", allow_unmatched=True)
    made = planned(exported(), overrides=overrides)
    assert named(made, "shop-prod/batch").replacement == "batch2"
    assert [line.partition("overrides[")[2] for line in overrides.unmet()] == [
        "0].pools: no node pool of the fleet is shop/shop-prod/gone",
        "1].pools: nothing is left to decide: shop/shop-prod/system is of Generation 2 already",
    ]
    (left,) = [stay for stay in made.stays if stay.pool == "system" and "shop-prod" in stay.id]
    assert left.move is Move.DONE


def test_every_known_difference_is_told(made: Plan) -> None:
    to = named(made, "shop-prod/batch").sizes[0].to
    assert {each.capability: (each.before, each.after) for each in to.differences} == {
        "generations": ("V1", "V1,V2"),
        "premium storage": ("no", "yes"),
        "Trusted Launch": ("no", "yes"),
        "quota family": ("standardDv3Family", "standardDSv3Family"),
    }
    told = {each.capability for each in to.differences} | set(to.unknown)
    sizes = [Catalog.built_in(["eastus"]).size(name) for name in ("Standard_D4_v3", "Standard_D4s_v3")]
    for row in CAPABILITIES:
        values = [row.tell(size) for size in sizes if size is not None]
        assert (row.name in told) == (None in values or values[0] != values[1]), row.name


def test_the_pieces_of_a_document_are_its_json(made: Plan) -> None:
    for document in (made, planned(fleet_of()), audit(exported(), targets_for(exported()))):
        assert b"".join(json_pieces(document)) == json_of(document, indent=2) + b"\n"


def test_the_plan_is_a_document_that_can_be_read_back(made: Plan) -> None:
    assert document_of(Plan, json_of(made)) == made


# --- any fleet --------------------------------------------------------------------------------------------------------

CATALOG = Catalog.built_in(["eastus"])
SIZES = [*(size.name for size in CATALOG.at("eastus").sizes[::7]), "Standard_Nobody_v9"]
IMAGES = [*(image.version_string for image in CATALOG.images), None, "AKSUbuntu-2804gen2-1.2.3"]
POOLS = st.fixed_dictionaries(
    {
        "vmSize": st.sampled_from(SIZES),
        "count": st.integers(0, 20),
        "mode": st.sampled_from(["System", "User", "User", None]),
        "type": st.sampled_from(["VirtualMachineScaleSets", "VirtualMachineScaleSets", "AvailabilitySet"]),
        "nodeImageVersion": st.sampled_from(IMAGES),
        "scaleSetPriority": st.sampled_from(["Regular", "Spot", None]),
        "availabilityZones": st.sampled_from([None, ["1"], ["1", "2", "3"]]),
        "osDiskType": st.sampled_from(["Managed", "Ephemeral"]),
        "provisioningState": st.sampled_from(["Succeeded", "Succeeded", "Succeeded", "Failed"]),
        "upgradeSettings": st.sampled_from([None, {"maxSurge": "50%"}, {"maxSurge": "nonsense"}]),
    }
)
SYSTEMS = st.sampled_from(
    [
        {"osType": "Linux"},
        {"osType": "Linux", "osSKU": "Ubuntu2404"},
        {"osType": "Linux", "osSKU": "AzureLinux"},
        {"osType": "Windows", "osSKU": "Windows2019"},
        {"osType": "Windows", "osSKU": "Windows2022"},
        {"osType": "Windows", "osSKU": "Windows2025", "enableFIPS": True},
    ]
)
CLUSTERS = st.lists(
    st.tuples(
        st.lists(st.tuples(POOLS, SYSTEMS), max_size=8),
        st.sampled_from(["1.24.9", "1.31.3", "1.33.2", "1.36.0"]),
        st.sampled_from(["Running", "Running", "Stopped"]),
    ),
    max_size=3,
)


def fleet_from(drawn: Any) -> Fleet:
    clusters = [
        cluster(
            *(pool(f"p{number}", **(properties | system)) for number, (properties, system) in enumerate(pools)),
            name=f"c{index}",
            kubernetesVersion=version,
            powerState={"code": power},
        )
        for index, (pools, version, power) in enumerate(drawn)
    ]
    return read([("drawn.json", json.dumps(clusters))])


_SHARED: dict[Profile, Targets] = {}


@settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.too_slow])
@given(CLUSTERS, st.sampled_from(Profile))
def test_what_holds_for_any_fleet(drawn: Any, profile: Profile) -> None:
    fleet = fleet_from(drawn)
    # All fleets are of one place, so that they share what is known of it.
    targets = _SHARED.setdefault(profile, targets_for(fleet_of(cluster()), profile))
    found = audit(fleet, targets)
    made = plan(fleet, found, targets)

    audited = {each.id: each for each in found.pools}
    moves, stays = {move.id: move for move in made.moves}, {stay.id: stay for stay in made.stays}
    assert moves.keys() | stays.keys() == audited.keys()
    assert not moves.keys() & stays.keys()
    for each in audited.values():
        # What can be moved is moved, and nothing else is.
        assert (each.id in moves) == (each.move in (Move.SAME_SIZE, Move.OTHER_SIZE)), each
        if each.id in stays:
            assert stays[each.id].because
    for planned_cluster in made.clusters:
        _check_cluster(
            planned_cluster.moves, {each.pool for each in audited.values() if each.cluster == planned_cluster.cluster}
        )
    for move in made.moves:
        kept = all(size.size == size.to.size for size in move.sizes)
        assert audited[move.id].move is (Move.SAME_SIZE if kept else Move.OTHER_SIZE), "audit and plan agree"
        _check_move(move, targets, fleet)
    again = plan(fleet, audit(fleet, targets), targets)
    assert json_of(again) == json_of(made), "the same input, the same plan"
    assert document_of(Plan, json_of(made)) == made


def _check_cluster(moves: tuple[PoolMove, ...], names: set[str]) -> None:
    assert [move.order for move in moves] == list(range(1, len(moves) + 1))
    systems = [move.mode != "User" for move in moves]
    assert systems == sorted(systems), "system node pools last"
    new = [move.replacement for move in moves if move.replacement is not None]
    assert len({*new, *names}) == len(new) + len(names), "new names are free"


def _check_move(move: PoolMove, targets: Targets, fleet: Fleet) -> None:
    steps = [step.name for step in move.steps]
    assert steps[0] is StepName.CONFIRM
    if move.way is Way.IN_PLACE:
        assert targets.knowledge.profile is Profile.DOCUMENTED
        assert steps == [StepName.CONFIRM, StepName.CHANGE]
    else:
        order = [StepName.ADD_POOL, StepName.CORDON, StepName.DRAIN, StepName.DELETE_POOL]
        assert [step for step in steps if step in order] == order, "the new pool is ready before the old one goes"
        add = next(step for step in move.steps if step.name is StepName.ADD_POOL)
        assert add.checks
        assert add.undo
    for step in move.steps:
        for line in (*step.az, *step.kubectl, *step.undo, *(check.run for check in step.checks)):
            assert line.startswith("#") or shlex.split(line)[0] in ("az", "kubectl"), line
    (exported_pool,) = [each for one in fleet.clusters for each in one.pools if str(each.id) == move.id]
    location = fleet.clusters[0].location
    for size in move.sizes:
        for choice in (size.to, *size.alternatives):
            known = targets.knowledge.at(location).size(choice.size)
            assert known is not None
            assert known.supports(Generation.V2)
            assert not any(end.day <= TODAY for end in choice.ends)
        assert isinstance(targets.resolution(exported_pool, location, known), Resolution)
    assert all(need.during >= 0 for need in move.quota)


def test_documents_are_as_the_published_schemas_say(made: Plan) -> None:
    docs = Path(__file__).parents[2] / "docs"
    fleet = exported()
    for name, document in (("fleet-plan", made), ("fleet-audit", audit(fleet, targets_for(fleet)))):
        schema = json.loads((docs / f"{name}.schema.json").read_text())
        jsonschema.Draft202012Validator.check_schema(schema)
        jsonschema.Draft202012Validator(schema).validate(json.loads(json_of(document)))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
MEMBERS = st.sampled_from(
    (
        *("name", "vmSize", "count", "mode", "type", "osType", "osSKU", "orchestratorVersion", "nodeImageVersion"),
        *("scaleSetPriority", "availabilityZones", "osDiskType", "upgradeSettings", "securityProfile", "gpuProfile"),
        *("virtualMachinesProfile", "virtualMachineNodesStatus", "powerState", "eTag", "nodeLabels", "nodeTaints"),
        *("minCount", "maxCount", "enableAutoScaling", "provisioningState", "poolwright", "enableFIPS", "tags", "id"),
    )
)


@settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.dictionaries(MEMBERS, JSON, max_size=4),
    st.dictionaries(st.sampled_from(["location", "kubernetesVersion", "powerState", "id", "agentPoolProfiles"]), JSON),
    JSON,
    st.sampled_from(Profile),
)
def test_nonsense_is_named_and_never_ends_a_plan(
    wrong: dict[str, Any], wrong_cluster: dict[str, Any], anything: Any, profile: Profile
) -> None:
    entries = [cluster(pool("p1") | wrong, pool("p2")), cluster(pool("p3"), name="c2") | wrong_cluster, anything]
    fleet = read([("nonsense.json", json.dumps(entries))])
    found = planned(fleet, profile)
    assert all(problem.message and problem.place.file == "nonsense.json" for problem in found.problems)
    assert document_of(Plan, json_of(found)) == found
    for move in found.moves:
        for line in (line for step in move.steps for line in (*step.az, *step.kubectl)):
            shlex.split(line)
