"""Node pool snapshots over HTTP: taken, used, changed, deleted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from poolwright.domain.profile import Profile
from poolwright.domain.roles import CONTRIBUTOR
from poolwright.store import statements
from tests.support.everything import everything
from tests.support.in_process import InProcess
from tests.support.service import ArmClient

V1_ONLY, BOTH, ALSO_BOTH, V2_ONLY = "Standard_D2_v3", "Standard_D2s_v5", "Standard_D4s_v5", "Standard_D4ads_v6"
PROVIDER = "providers/Microsoft.ContainerService"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ArmClient]:
    """Cluster c1 with node pools of both generations, and a cluster in another location."""
    service = InProcess(tmp_path_factory.mktemp("snapshots") / "data")
    client = service.client
    client.make_cluster()
    client.make_pool("gen2", {"vmSize": BOTH})
    client.make_pool("gen1", {"vmSize": V1_ONLY})
    assert client.put(client.group("west"), json={"location": "westus2"}).status_code == 201
    body = {"location": "westus2", "properties": {"agentPoolProfiles": [{"name": "sys", "mode": "System"}]}}
    client.done(client.put(client.cluster("w1", "west"), json=body))
    yield client
    service.close()


@pytest.fixture
def app(tmp_path: Path) -> Iterator[InProcess]:
    service = InProcess(tmp_path / "data")
    service.client.make_cluster()
    yield service
    service.close()


def path(client: ArmClient, name: str, group: str = "rg") -> str:
    return f"{client.group(group)}/{PROVIDER}/snapshots/{name}"


def take(client: ArmClient, name: str, pool: str, **more: Any) -> httpx.Response:
    body = {"location": "eastus", "properties": {"creationData": {"sourceResourceId": client.pool(pool)}}} | more
    return client.put(path(client, name), json=body)


def from_snapshot(client: ArmClient, name: str, **more: Any) -> dict[str, Any]:
    return {"properties": {"creationData": {"sourceResourceId": path(client, name)}} | more}


def error_of(reply: httpx.Response, status: int) -> dict[str, Any]:
    assert reply.status_code == status, reply.text
    error: dict[str, Any] = reply.json()["error"]
    return error


def test_a_snapshot_shows_what_it_keeps_of_the_node_pool(client: ArmClient) -> None:
    pool = client.get(client.pool("gen2")).json()["properties"]
    taken = take(client, "Shown", "gen2", tags={"team": "a"})
    assert taken.status_code == 201
    document = taken.json()
    kept = document["properties"]
    assert kept["creationData"] == {"sourceResourceId": client.pool("gen2")}
    assert (kept["snapshotType"], kept["vmSize"]) == ("NodePool", BOTH)
    assert kept["nodeImageVersion"] == pool["nodeImageVersion"]
    assert kept["kubernetesVersion"] == pool["currentOrchestratorVersion"]
    assert (kept["osType"], kept["osSku"], kept["enableFIPS"]) == ("Linux", "Ubuntu", False)
    assert kept["poolwright"]["generation"] == "V2"
    assert (document["name"], document["location"], document["tags"]) == ("Shown", "eastus", {"team": "a"})
    assert client.get(path(client, "SHOWN")).json() == document
    for place in (f"{client.subscription}/{PROVIDER}/snapshots", f"{client.group()}/{PROVIDER}/snapshots"):
        listed = client.get(place).json()
        assert document in listed["value"]
    assert client.get(f"{client.group('west')}/{PROVIDER}/snapshots").json() == {"value": []}


def test_only_the_tags_of_a_snapshot_change(client: ArmClient) -> None:
    before = take(client, "tagged", "gen2", tags={"a": "1"}).json()
    patched = client.patch(path(client, "tagged"), json={"tags": {"b": "2"}})
    assert (patched.status_code, patched.json()) == (200, before | {"tags": {"b": "2"}})
    client.done(client.put(client.pool("gen2"), json={"properties": {"count": 2}}))
    again = take(client, "tagged", "gen2", tags={})
    assert (again.status_code, again.json()) == (200, before | {"tags": {}})
    other = error_of(take(client, "tagged", "gen1"), 400)
    assert (other["code"], other["target"]) == (
        "PropertyChangeNotAllowed",
        "properties.creationData.sourceResourceId",
    )
    assert error_of(client.patch(path(client, "tagged"), json={"location": "westus2"}), 400)["target"] == "location"
    assert error_of(client.patch(path(client, "none"), json={"tags": {}}), 404)["code"] == "ResourceNotFound"


def test_a_node_pool_and_a_cluster_are_made_from_a_snapshot(client: ArmClient) -> None:
    kept = take(client, "source", "gen1").json()["properties"]
    made = client.make_pool("copy", from_snapshot(client, "source", vmSize="", count=2)["properties"])
    assert (made["nodeImageVersion"], made["vmSize"]) == (kept["nodeImageVersion"], V1_ONLY)
    assert made["creationData"] == {"sourceResourceId": path(client, "source")}
    assert made["poolwright"]["rule"]["id"] == "snapshot"
    assert made["poolwright"]["observedGenerations"] == {"V1": 2, "V2": 0, "unknown": 0}
    # A size with both generations would get V2, and here boots what the snapshot has.
    other = client.make_pool("both", from_snapshot(client, "source", vmSize=BOTH)["properties"])
    assert other["poolwright"]["resolvedGeneration"] == "V1"
    body = {
        "location": "westus2",
        "properties": {
            "kubernetesVersion": kept["kubernetesVersion"],
            "agentPoolProfiles": [
                {"name": "sys", "mode": "System", "vmSize": BOTH, **from_snapshot(client, "source")["properties"]}
            ],
        },
    }
    client.done(client.put(client.cluster("made", "west"), json=body))
    document = client.get(client.cluster("made", "west")).json()
    [profile] = document["properties"]["agentPoolProfiles"]
    assert profile["nodeImageVersion"] == kept["nodeImageVersion"]


def test_what_if_tells_the_same_as_the_put_from_a_snapshot(client: ArmClient) -> None:
    take(client, "asked", "gen1")
    told = client.post(f"{client.pool('new')}/whatIf", json=from_snapshot(client, "asked", vmSize=BOTH))
    assert (told.json()["properties"]["generation"], told.json()["properties"]["rule"]["id"]) == ("V1", "snapshot")
    body = from_snapshot(client, "asked", vmSize=V2_ONLY)
    refusals = [
        error_of(reply, 400)
        for reply in (client.post(f"{client.pool('new')}/whatIf", json=body), client.put(client.pool("new"), json=body))
    ]
    assert refusals[0] == refusals[1]
    assert refusals[0]["target"] == "properties.vmSize"
    assert "boots V1 only" in refusals[0]["message"]


def test_every_problem_of_a_cluster_from_snapshots_is_named_with_its_place(client: ArmClient) -> None:
    take(client, "one", "gen1")
    profiles = [
        {"name": "sys", "mode": "System", "vmSize": V2_ONLY, **from_snapshot(client, "one")["properties"]},
        {"name": "np1", "vmSize": BOTH, **from_snapshot(client, "missing")["properties"]},
    ]
    reply = client.put(
        client.cluster("bad"), json={"location": "eastus", "properties": {"agentPoolProfiles": profiles}}
    )
    error = error_of(reply, 400)
    assert [error["target"], *(detail["target"] for detail in error["details"])] == [
        "agentPoolProfiles[0].vmSize",
        "agentPoolProfiles[1].creationData.sourceResourceId",
    ]


def test_a_node_pool_is_upgraded_to_a_snapshot_and_rolled_back(app: InProcess) -> None:
    client = app.client
    client.make_pool("old", {"vmSize": BOTH, "orchestratorVersion": "1.34", "count": 3})
    client.make_pool("new", {"vmSize": BOTH})
    kept = take(client, "s1", "new").json()["properties"]
    before = client.get(client.pool("old")).json()["properties"]
    # As az sends it: the whole node pool with the snapshot and its version.
    sent = before | from_snapshot(client, "s1", orchestratorVersion=kept["kubernetesVersion"])["properties"]
    operation = client.done(client.put(client.pool("old"), json={"properties": sent}))
    assert operation["properties"]["poolwright"]["replaced"] == 3
    upgraded = client.get(client.pool("old")).json()["properties"]
    assert upgraded["nodeImageVersion"] == kept["nodeImageVersion"]
    assert upgraded["currentOrchestratorVersion"] == kept["kubernetesVersion"]
    machines = client.get(f"{client.pool('old')}/machines").json()["value"]
    assert {machine["properties"]["nodeImageVersion"] for machine in machines} == {kept["nodeImageVersion"]}

    client.done(client.post(f"{client.pool('old')}/rollback"))

    back = client.get(client.pool("old")).json()["properties"]
    assert back["nodeImageVersion"] == before["nodeImageVersion"]
    assert "creationData" not in back


def test_the_node_image_alone_is_upgraded_to_a_snapshot_by_header(app: InProcess) -> None:
    client = app.client
    client.make_pool("np1", {"vmSize": BOTH})
    client.make_pool("behind", {"vmSize": BOTH, "orchestratorVersion": "1.34"})
    take(client, "s1", "np1")
    upgrade, header = f"{client.pool('np1')}/upgradeNodeImageVersion", {"AKSSnapshotId": path(client, "s1")}
    client.done(client.post(upgrade, headers=header))
    held = client.get(client.pool("np1")).json()["properties"]
    assert held["creationData"] == {"sourceResourceId": path(client, "s1")}
    client.done(client.post(upgrade))
    assert "creationData" not in client.get(client.pool("np1")).json()["properties"]
    before = everything(client)
    other = error_of(client.post(f"{client.pool('behind')}/upgradeNodeImageVersion", headers=header), 400)
    missing = error_of(client.post(upgrade, headers={"AKSSnapshotId": path(client, "none")}), 400)
    assert (other["target"], missing["target"]) == ("AKSSnapshotId", "AKSSnapshotId")
    assert everything(client) == before


def test_a_snapshot_named_by_header_must_be_the_callers_to_read(app: InProcess) -> None:
    client = app.client
    client.make_pool("np1", {"vmSize": BOTH})
    client.make_cluster("c2", "elsewhere")
    take(client, "s1", "np1")
    contributor = app.make_principal("contributor", (CONTRIBUTOR, client.group("elsewhere")))
    upgrade = f"{client.pool('sys', 'c2', 'elsewhere')}/upgradeNodeImageVersion"
    before = everything(client)
    for name in ("s1", "none"):
        # Whether it exists is told to nobody who may not read it.
        refused = error_of(contributor.post(upgrade, headers={"AKSSnapshotId": path(client, name).upper()}), 403)
        assert (refused["code"], refused["target"]) == ("LinkedAuthorizationFailed", "AKSSnapshotId")
    assert everything(client) == before


def test_a_deleted_snapshot_stays_with_the_node_pools_from_it(app: InProcess) -> None:
    client = app.client
    client.make_pool("np1", {"vmSize": BOTH})
    take(client, "s1", "np1")
    client.make_pool("np2", from_snapshot(client, "s1")["properties"])
    assert client.delete(path(client, "s1")).status_code == 200
    assert client.delete(path(client, "s1")).status_code == 204
    assert error_of(client.get(path(client, "s1")), 404)["code"] == "ResourceNotFound"
    shown = client.get(client.pool("np2")).json()["properties"]
    client.done(client.put(client.pool("np2"), json={"properties": shown | {"count": 3}}))
    assert client.get(client.pool("np2")).json()["properties"]["creationData"] == shown["creationData"]
    error = error_of(client.put(client.pool("np3"), json=from_snapshot(client, "s1")), 400)
    assert (error["code"], error["target"]) == ("InvalidParameter", "properties.creationData.sourceResourceId")


def test_a_snapshot_outlives_its_node_pool_and_goes_with_its_group(app: InProcess) -> None:
    client = app.client
    client.make_pool("np1", {"vmSize": BOTH})
    client.put(client.group("kept"), json={"location": "eastus"})
    place = path(client, "s1", "kept")
    body = {"location": "eastus", "properties": {"creationData": {"sourceResourceId": client.pool("np1")}}}
    assert client.put(place, json=body).status_code == 201
    client.done(client.delete(client.pool("np1")))
    made = client.make_pool("np2", {"creationData": {"sourceResourceId": place.upper()}})
    assert made["creationData"] == {"sourceResourceId": place}
    client.delete(client.group("kept"))
    assert error_of(client.get(place), 404)["code"] == "ResourceGroupNotFound"
    assert app.database.reader.rows(statements.SNAPSHOTS_OF_SUBSCRIPTION, key=client.subscription.split("/")[2]) == []


@pytest.mark.parametrize(
    ("name", "body", "status", "target"),
    [
        ("-bad", {}, 400, "name"),
        ("x" * 64, {}, 400, "name"),
        ("s9", {"properties": {}}, 400, "properties.creationData.sourceResourceId"),
        ("s9", {"properties": {"creationData": {"sourceResourceId": 7}}}, 400, None),
        ("s9", {"properties": {"creationData": {"sourceResourceId": "/nowhere"}}}, 400, None),
        ("s9", {"location": "westus2"}, 400, "location"),
        ("s9", {"location": "mars"}, 400, "location"),
        ("s9", {"properties": {"snapshotType": "ManagedCluster"}}, 400, "properties.creationData.sourceResourceId"),
    ],
)
def test_a_snapshot_that_cannot_be_taken_is_refused(
    client: ArmClient, name: str, body: dict[str, Any], status: int, target: str | None
) -> None:
    error = error_of(take(client, name, "gen2", **body), status)
    assert error["target"] == (target or "properties.creationData.sourceResourceId")
    assert client.get(path(client, "s9")).status_code == 404


def test_a_snapshot_needs_its_group_and_a_node_pool_at_rest(client: ArmClient) -> None:
    body = {"location": "eastus", "properties": {"creationData": {"sourceResourceId": client.pool("gen2")}}}
    assert error_of(client.put(path(client, "s1", "nowhere"), json=body), 404)["code"] == "ResourceGroupNotFound"
    assert error_of(client.get(path(client, "s1", "nowhere")), 404)["code"] == "ResourceGroupNotFound"


def test_no_snapshot_is_taken_of_a_node_pool_that_is_changing(app: InProcess) -> None:
    client = app.client
    client.make_pool("np1", {"vmSize": BOTH})
    with app.database.transaction() as connection:
        pool = statements.node_pool(connection, client.pool("np1").lower())
        assert pool is not None
        statements.put_node_pool(connection, replace(pool, operation_id="some"), b"{}")
    assert error_of(take(client, "s1", "np1"), 409)["code"] == "OperationNotAllowed"


def test_profile_azure_2026_takes_snapshots_within_a_generation_only(tmp_path: Path) -> None:
    service = InProcess(tmp_path / "data", profile=Profile.AZURE_2026)
    client = service.client
    client.make_cluster()
    client.make_pool("gen1", {"vmSize": V1_ONLY})
    client.make_pool("gen2", {"vmSize": BOTH})
    take(client, "s1", "gen1")
    take(client, "s2", "gen2")
    client.make_pool("copy", from_snapshot(client, "s1", vmSize=BOTH)["properties"])
    error = error_of(client.put(client.pool("copy"), json=from_snapshot(client, "s2")), 400)
    assert error["code"] == "PropertyChangeNotAllowed"
    service.close()
