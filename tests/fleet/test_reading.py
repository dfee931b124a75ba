"""Exports of every kind as one fleet."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest

from poolwright.domain.generation import Generation
from poolwright.domain.node_pool import ScaleProfile
from poolwright.domain.node_pool_kind import Mode, PoolType, PowerState, Priority
from poolwright.domain.os_sku import OsSku, OsType
from poolwright.fleet.audit import Audit
from poolwright.fleet.document import document_of, json_of
from poolwright.fleet.files import take_paths
from poolwright.fleet.reading import Reading, read
from poolwright.fleet.values import Fleet, FleetPool, Origin, ProblemKind
from tests.fleet.fleets import EXPORTS, audited, cluster, export, exported, fleet_of, pool


def read_paths(paths: list[str]) -> Fleet:
    reading = Reading()
    take_paths(reading, paths)
    return reading.fleet()


def pools_of(fleet: Fleet) -> dict[str, FleetPool]:
    return {f"{pool.id.cluster_id.cluster}/{pool.id.pool}": pool for each in fleet.clusters for pool in each.pools}


def test_every_export_is_read_without_a_problem() -> None:
    fleet = exported()
    assert fleet.problems == ()
    assert sorted(pools_of(fleet)) == [
        "Edge1/nodepool1",
        *("ancient/agentpool", "lake/acl", "lake/extra", "lake/mixed", "lake/system", "old2/agentpool"),
        *("shop-prod/batch", "shop-prod/spot", "shop-prod/system", "shop-prod/win19", "shop-prod/win22"),
        "shop-test/system",
    ]
    assert fleet.locations == ("eastus", "westus2")
    assert {place: len(offers) for place, offers in fleet.offers.items()} == {"westus2": 3}


def test_what_az_flattens_and_renames_is_read_by_arms_names() -> None:
    spot = pools_of(exported())["shop-prod/spot"]
    assert spot.scale == (ScaleProfile("Standard_D8_v3", 3),)
    assert (spot.os_type, spot.os_sku, spot.mode) == (OsType.LINUX, OsSku.UBUNTU, Mode.USER)
    assert (spot.priority, spot.pool_type, spot.power) == (Priority.SPOT, PoolType.SCALE_SETS, PowerState.RUNNING)
    assert (spot.fips, spot.vtpm, spot.autoscaling, spot.min_count, spot.max_count) == (False, False, True, 0, 10)
    assert spot.etag == "etag-spot"
    assert spot.properties["osDiskSizeGB"] == 128
    assert spot.properties["securityProfile"] == {"enableSecureBoot": False, "enableVTPM": False}
    assert {"nodeImageVersion", "eTag", "powerState", "provisioningState", "name"}.isdisjoint(spot.properties)


def test_labels_keep_the_names_people_gave_them() -> None:
    assert pools_of(exported())["shop-prod/batch"].properties["nodeLabels"] == {"team": "batch", "Tier": None}


def test_a_pool_of_several_sizes_has_them_all() -> None:
    mixed = pools_of(exported())["lake/mixed"]
    assert mixed.pool_type is PoolType.VIRTUAL_MACHINES
    assert mixed.scale == (ScaleProfile("Standard_D2_v3", 2), ScaleProfile("Standard_D4_v3", 1))
    assert mixed.count == 3


def test_a_pool_of_several_sizes_without_a_profile_is_read_by_its_machines() -> None:
    (only,) = pools_of(
        fleet_of(
            cluster(
                pool(
                    vmSize=None,
                    type="VirtualMachines",
                    virtualMachineNodesStatus=[{"size": "Standard_D2_v3", "count": 2}],
                )
            )
        )
    ).values()
    assert only.scale == (ScaleProfile("Standard_D2_v3", 2),)


def test_an_export_of_an_old_api_version_says_less_and_nothing_is_made_up() -> None:
    old = pools_of(exported())["ancient/agentpool"]
    assert (old.pool_type, old.os_type) == (PoolType.AVAILABILITY_SET, OsType.LINUX)
    assert (old.mode, old.os_sku, old.node_image, old.etag, old.power, old.fips) == (None,) * 6
    assert str(old.version) == "1.18.14", "its cluster's"


def test_a_pool_alone_belongs_to_its_cluster_wherever_that_is_told() -> None:
    fleet = exported()
    extra = pools_of(fleet)["lake/extra"]
    assert extra.pool_type is PoolType.SCALE_SETS
    assert extra.origin == Origin("az-aks-nodepool-list.json", 2, "[0]")
    alone = read([("pools.json", export("az-aks-nodepool-list.json"))])
    assert [each.location for each in alone.clusters] == [None]


def test_two_exports_of_a_pool_fill_each_others_gaps() -> None:
    first, second = cluster(pool(nodeImageVersion=None)), cluster(pool(nodeImageVersion="AKSUbuntu-x", eTag="e"))
    fleet = read([("a.json", json.dumps([first])), ("b.json", json.dumps(second))])
    (only,) = pools_of(fleet).values()
    assert (only.node_image, only.etag, only.origin.file) == ("AKSUbuntu-x", "e", "a.json")
    assert fleet.problems == ()


def test_two_exports_that_differ_are_named_and_the_first_counts() -> None:
    texts = [
        (f"{size}.json", json.dumps([cluster(pool(vmSize=size))])) for size in ("Standard_D2_v3", "Standard_D4_v3")
    ]
    fleet = read(texts)
    (only,) = pools_of(fleet).values()
    assert only.sizes == ("Standard_D2_v3",)
    (problem,) = fleet.problems
    assert problem.kind is ProblemKind.CONTRADICTORY
    assert problem.origin == Origin("Standard_D4_v3.json", 1, "[0].agentPoolProfiles[0]")
    assert "differs in scale" in problem.what


def test_the_order_of_the_exports_changes_nothing_but_who_is_first() -> None:
    texts = [(path.name, path.read_text()) for path in sorted(EXPORTS.glob("*.json"))]
    assert read(texts).clusters == read(reversed(texts)).clusters


def test_broken_input_is_named_by_line_and_the_rest_goes_on() -> None:
    broken = json.dumps([cluster(pool())], indent=1)[:-1] + ",\n{ oops ]"
    fleet = read([("broken.json", broken), ("good.json", json.dumps([cluster(pool(), name="c2")]))])
    assert [each.id.cluster for each in fleet.clusters] == ["c1", "c2"]
    (problem,) = fleet.problems
    assert (problem.kind, problem.origin.file) == (ProblemKind.BROKEN, "broken.json")
    assert problem.origin.line == broken.count("\n") + 1
    assert "1 entry before it was read" in problem.what


@pytest.mark.parametrize(
    ("entry", "kind", "path", "what"),
    [
        ({"foo": 1}, ProblemKind.UNKNOWN, "[0]", "an entry that has foo"),
        (
            {"type": "Microsoft.Compute/virtualMachines", "id": "x"},
            ProblemKind.UNKNOWN,
            "[0]",
            "type microsoft.compute",
        ),
        (7, ProblemKind.UNKNOWN, "[0]", "it is no object"),
        ({"agentPoolProfiles": []}, ProblemKind.MISSHAPEN, "[0]", "it has no ID of a cluster"),
        (cluster(pool(vmSize=7)), ProblemKind.MISSHAPEN, "[0].agentPoolProfiles[0].vmSize", "it is no text"),
        (cluster(pool(osType="BeOS")), ProblemKind.MISSHAPEN, "[0].agentPoolProfiles[0].osType", "none of Linux"),
        (cluster(pool(osSKU="BeOS")), ProblemKind.MISSHAPEN, "[0].agentPoolProfiles[0].osSKU", "unknown OS SKU"),
        (
            cluster(pool(orchestratorVersion="new")),
            ProblemKind.MISSHAPEN,
            "[0].agentPoolProfiles[0].orchestratorVersion",
            "no Kubernetes version",
        ),
        (cluster(location="eastus; touch x"), ProblemKind.MISSHAPEN, "[0].location", "letters and digits only"),
        (cluster(location=7), ProblemKind.MISSHAPEN, "[0].location", "it is no location"),
        (cluster({"count": 1}), ProblemKind.MISSHAPEN, "[0].agentPoolProfiles[0]", "no node pool with a name"),
        (cluster(agentPoolProfiles="x"), ProblemKind.MISSHAPEN, "[0].agentpoolprofiles", "it is no list"),
    ],
)
def test_what_cannot_be_taken_is_named_with_its_place(entry: object, kind: ProblemKind, path: str, what: str) -> None:
    (problem,) = read([("x.json", json.dumps([entry]))]).problems
    assert (problem.kind, problem.origin) == (kind, Origin("x.json", 1, path))
    assert what in problem.what


def test_a_value_that_cannot_be_read_leaves_the_rest_of_its_pool() -> None:
    reading = Reading()
    reading.take_text("x.json", json.dumps([cluster(pool(osType="BeOS", vmSize="Standard_D2_v3"))]))
    (only,) = pools_of(reading.fleet()).values()
    assert (only.os_type, only.sizes) == (None, ("Standard_D2_v3",))


def nested(levels: int) -> dict[str, object]:
    found: dict[str, object] = {}
    for _ in range(levels):
        found = {"deeper": found}
    return found


@pytest.mark.parametrize(
    ("member", "text", "path", "what"),
    [
        ("kubeletConfig", json.dumps(nested(300)), "kubeletConfig" + ".deeper" * 61, "deeper than 64 levels"),
        ("count", "9" * 4300, "count", "more than 64 bits"),
        ("count", "9" * 5000, "count", "more than 64 bits"),
        ("count", str(2**63), "count", "more than 64 bits"),
        ("count", str(-(2**63) - 1), "count", "more than 64 bits"),
        ("spotMaxPrice", "NaN", "spotMaxPrice", "no finite number"),
        ("spotMaxPrice", "-Infinity", "spotMaxPrice", "no finite number"),
        ("spotMaxPrice", "1e999", "spotMaxPrice", "no finite number"),
        ("vmSize", r'"Standard_\ud800"', "vmSize", "lone surrogate"),
        ("tags", r'{"team": "a", "\udc00": "b"}', "tags", "lone surrogate"),
        ("nodeLabels", r'{"team": "\ud800"}', "nodeLabels.team", "lone surrogate"),
    ],
)
def test_what_no_json_reader_takes_is_named_and_the_rest_is_read(member: str, text: str, path: str, what: str) -> None:
    whole = json.dumps([cluster(pool("first", **{member: "HERE"}), pool("second"))]).replace('"HERE"', text)
    fleet = read([("x.json", whole)])
    (problem,) = fleet.problems
    assert problem.kind is ProblemKind.MISSHAPEN
    assert problem.origin == Origin("x.json", 1, f"[0].agentPoolProfiles[0].{path}")
    assert what in problem.what
    assert sorted(pools_of(fleet)) == ["c1/first", "c1/second"]
    assert document_of(Audit, json_of(found := audited(fleet))) == found


def test_the_widest_numbers_and_pairs_of_surrogates_are_read() -> None:
    text = r'{"min": -9223372036854775808, "max": 9223372036854775807, "face": "\ud83d\ude00"}'
    whole = json.dumps([cluster(pool(kubeletConfig="HERE"))]).replace('"HERE"', text)
    fleet = read([("x.json", whole)])
    assert fleet.problems == ()
    (only,) = pools_of(fleet).values()
    assert only.properties["kubeletConfig"] == {"min": -(2**63), "max": 2**63 - 1, "face": "\U0001f600"}


def test_a_name_of_a_cluster_that_is_no_text_is_named() -> None:
    fleet = read([("x.json", json.dumps([cluster(pool(), name="c\ud800"), cluster(pool(), name="c2")]))])
    assert [each.id.cluster for each in fleet.clusters] == ["c2"]
    assert [problem.origin.path for problem in fleet.problems] == ["[0]", "[0].id", "[0].name"]


def test_a_location_is_read_by_its_short_name_or_not_at_all() -> None:
    written = {"c1": "East US", "c2": "westus2", "c3": "eastus $(touch x)", "c4": "éast", "c5": None, "c6": ""}
    fleet = read([("x.json", json.dumps([cluster(name=name, location=place) for name, place in written.items()]))])
    assert [each.location for each in fleet.clusters] == ["eastus", "westus2", None, None, None, None]
    assert [problem.origin.path for problem in fleet.problems] == ["[2].location", "[3].location"]


@pytest.mark.parametrize("inside", [False, True])
def test_a_node_pool_and_what_is_wrong_with_it_stand_on_its_own_line(inside: bool) -> None:
    members = cluster(pool("np1"), pool("np2", count="x", maxPods=2**70))
    if inside:
        members["properties"] = {"agentPoolProfiles": members.pop("agentPoolProfiles")}
    text = json.dumps([cluster(name="c0"), members], indent=1)
    lines = [number for number, line in enumerate(text.splitlines(), 1) if '"name": "np' in line]
    fleet = read([("x.json", text)])
    found = pools_of(fleet)
    # The name is the first member of each.
    assert [found[f"c1/np{number}"].origin.line for number in (1, 2)] == [line - 1 for line in lines]
    assert [text.splitlines()[line - 1].strip() for line in (each.origin.line for each in found.values())] == ["{", "{"]
    assert {problem.origin.line for problem in fleet.problems} == {lines[1] - 1}
    paths = {problem.origin.path.removeprefix("[1].").removeprefix("properties.") for problem in fleet.problems}
    assert paths == {f"agentPoolProfiles[1].{name}" for name in ("count", "maxPods")}


@pytest.mark.parametrize("name", ["a/../b", "x\u202ey", "x\ny", "x\x9b2J", "..", ""])
def test_a_name_that_could_mislead_is_no_name(name: str) -> None:
    """Names become paths of requests, words of commands, and cells of tables."""
    fleet = read([("x.json", json.dumps([cluster(pool(name), pool("np2"))]))])
    assert sorted(pools_of(fleet)) == ["c1/np2"]
    assert [problem.origin.path for problem in fleet.problems] == ["[0].agentPoolProfiles[0]"]
    parts = {"subscriptionId": "s", "resourceGroup": "rg", "name": name, "type": cluster()["id"].split("providers/")[1]}
    projected = parts | {"type": "microsoft.containerservice/managedclusters"}
    identity = f"{cluster(name=name)['id']}/agentPools/np1"
    alone = {"id": identity, "type": "Microsoft.ContainerService/managedClusters/agentPools"}
    for entry in (cluster(pool(), name=name), projected, alone):
        fleet = read([("x.json", json.dumps([entry]))])
        assert fleet.clusters == ()
        assert len(fleet.problems) == 1


def test_many_entries_of_one_unknown_kind_are_one_problem() -> None:
    (problem,) = read([("x.json", json.dumps([{"foo": number} for number in range(500)]))]).problems
    assert "(500 such entries)" in problem.what


def test_a_page_that_is_not_the_last_is_a_problem() -> None:
    text = json.dumps({"value": [cluster(pool())], "nextLink": "https://management.azure.com/next"})
    fleet = read([("page.json", text)])
    assert len(fleet.clusters) == 1
    assert [problem.kind for problem in fleet.problems] == [ProblemKind.INCOMPLETE]


def test_what_a_service_states_about_the_generation_is_read() -> None:
    (only,) = pools_of(fleet_of(cluster(pool(poolwright={"resolvedGeneration": "V2"})))).values()
    assert only.stated is Generation.V2
    assert "poolwright" not in only.properties


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_files_are_read_as_shells_write_them(encoding: str, tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "clusters.json").write_text(json.dumps([cluster(pool())]), encoding=encoding)
    (tmp_path / "notes.txt").write_text("no export")
    fleet = read_paths([str(tmp_path)])
    assert len(fleet.clusters) == 1
    assert fleet.problems == ()


def test_files_that_hold_nothing_are_named(tmp_path: Path) -> None:
    (tmp_path / "empty.json").write_text("\n")
    (tmp_path / "latin.json").write_bytes(b'[\n"\xe4"]')
    (tmp_path / "folder").mkdir()
    fleet = read_paths([str(tmp_path), str(tmp_path / "folder")])
    found = [(problem.kind, Path(problem.origin.file).name, problem.origin.line) for problem in fleet.problems]
    unreadable = ProblemKind.UNREADABLE
    assert found == [(unreadable, "empty.json", 0), (unreadable, "folder", 0), (unreadable, "latin.json", 2)]


def test_a_pipe_in_a_folder_is_named_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.json")
    (tmp_path / "b.json").write_text(json.dumps([cluster(pool())]))
    fleet = read_paths([str(tmp_path)])
    assert len(fleet.clusters) == 1
    (problem,) = fleet.problems
    assert (problem.kind, problem.origin) == (ProblemKind.UNREADABLE, Origin(str(tmp_path / "a.json")))


def test_a_pipe_that_is_named_is_read(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=(json.dumps([cluster(pool())]),))
    writer.start()
    assert len(read_paths([str(pipe)]).clusters) == 1
    writer.join()


def test_a_path_that_is_not_there_is_an_error() -> None:
    with pytest.raises(FileNotFoundError, match="nowhere"):
        read_paths(["nowhere"])
