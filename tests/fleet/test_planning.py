"""What is moved, to which size, by which way and name: hand-written fleets, decisions, and what holds for any fleet."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from poolwright.catalog.catalog import Catalog
from poolwright.domain.generation import Generation
from poolwright.domain.image_resolution import Resolution
from poolwright.domain.profile import Profile
from poolwright.fleet.audit import Move, audit
from poolwright.fleet.capabilities import CAPABILITIES
from poolwright.fleet.document import document_of, json_of
from poolwright.fleet.overrides import WrongOverrides, read_overrides
from poolwright.fleet.plan import Plan, PoolMove, StepName, Way
from poolwright.fleet.planning import NoSuchMove, plan
from poolwright.fleet.reading import read
from poolwright.fleet.targets import Targets
from poolwright.fleet.values import Fleet
from tests.fleet.fleets import TODAY, cluster, exported, fleet_of, pool, targets_for
from tests.fleet.plans import GEN1, decided, move_of, named, planned

ADD_AND_DELETE = (StepName.ADD_POOL, StepName.DELETE_POOL)


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


def test_a_plan_has_the_fleet_it_was_made_for(made: Plan) -> None:
    fleet = exported()
    pools = {str(known.id): known for each in fleet.clusters for known in each.pools}
    found = {f"{each.id}/agentPools/{known.name}": known for each in made.found for known in each.pools}
    assert found.keys() == pools.keys()
    for identity, known in pools.items():
        assert (found[identity].etag, found[identity].node_image) == (known.etag, known.node_image)
        version = {"orchestratorVersion": str(known.version)} if known.version else {}
        assert found[identity].properties == {**known.properties, **version, "mode": known.role.value}


def test_another_architecture_is_warned_of(tmp_path: Path) -> None:
    fleet = fleet_of(cluster(pool(nodeImageVersion=GEN1, vmSize="Standard_D4_v3")))
    overrides = decided(tmp_path, "overrides: [{pools: rg/c1/np1, size: Standard_D4ps_v5}]")
    (move,) = planned(fleet, overrides=overrides).moves
    assert move.remarks[0] == (
        "warning: Standard_D4ps_v5 is Arm64 and Standard_D4_v3 is x64: every container image that runs there has to "
        "exist for Arm64, or its pods do not start"
    )
    assert not any("warning" in remark for remark in planned(fleet).moves[0].remarks)


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
