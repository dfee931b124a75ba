"""What is done to whole clusters and node pools besides PUT, over HTTP: tags, abort, PATCH, lists of operations."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.everything import everything
from tests.support.in_process import InProcess
from tests.support.service import ServiceProcess

BOTH, ALSO_BOTH = "Standard_D2s_v5", "Standard_D4s_v5"


@pytest.fixture
def app(tmp_path: Path) -> Iterator[InProcess]:
    service = InProcess(tmp_path / "data")
    service.client.make_cluster()
    yield service
    service.close()


def code_of(reply: httpx.Response) -> tuple[int, str]:
    return reply.status_code, reply.json()["error"]["code"]


def held(app: InProcess) -> list[str]:
    """From now on accepted operations are not begun; returns the IDs of those that are waiting."""
    waiting: list[str] = []
    app.service.operations.begin = waiting.append  # type: ignore[method-assign]
    return waiting


def release(app: InProcess, waiting: list[str]) -> None:
    del app.service.operations.begin
    for operation_id in waiting:
        app.service.operations.begin(operation_id)


def test_tags_of_a_cluster_are_patched_in_an_operation_that_touches_no_machine(app: InProcess) -> None:
    client = app.client
    before = client.get(client.cluster()).json()
    accepted = client.patch(client.cluster(), json={"tags": {"team": "a"}}, headers={"If-Match": before["eTag"]})
    assert (accepted.status_code, accepted.json()["properties"]["provisioningState"]) == (200, "Updating")
    operation = client.done(accepted)
    assert operation["properties"]["poolwright"]["toReplace"] == 0
    after = client.get(client.cluster()).json()
    assert after["tags"] == {"team": "a"}
    assert after["properties"]["provisioningState"] == "Succeeded"
    assert {**after, "tags": None, "eTag": None} == {**before, "tags": None, "eTag": None}
    client.done(client.patch(client.cluster(), json={"tags": {}}))
    assert client.get(client.cluster()).json()["tags"] == {}


def test_a_patch_of_a_cluster_that_is_refused_changes_nothing(app: InProcess) -> None:
    client = app.client
    before = everything(client)
    body = {"tags": {"team": "a"}}
    assert code_of(client.patch(client.cluster(), json=body, headers={"If-Match": '"x"'})) == (
        412,
        "PreconditionFailed",
    )
    assert code_of(client.patch(client.cluster(), json=body | {"sku": {}})) == (400, "InvalidParameter")
    assert code_of(client.patch(client.cluster("c9"), json=body)) == (404, "ResourceNotFound")
    assert everything(client) == before
    waiting = held(app)
    client.put(client.pool("np1"), json={"properties": {"count": 1}})
    assert code_of(client.patch(client.cluster(), json=body)) == (409, "OperationNotAllowed")
    release(app, waiting)
    client.done(client.post(f"{client.cluster()}/stop"))
    assert code_of(client.patch(client.cluster(), json=body)) == (409, "OperationNotAllowed")


def test_the_operation_of_a_cluster_is_aborted_and_the_same_put_goes_on(app: InProcess) -> None:
    client = app.client
    profile = {"name": "sys", "mode": "System", "vmSize": BOTH, "count": 5}
    body = {"location": "eastus", "properties": {"agentPoolProfiles": [profile]}}
    waiting = held(app)
    running = client.put(client.cluster(), json=body)
    abort = client.post(f"{client.cluster()}/abort")
    again = client.post(f"{client.cluster()}/abort")
    assert (abort.status_code, abort.content) == (202, b"")
    assert again.headers["Azure-AsyncOperation"] == abort.headers["Azure-AsyncOperation"]
    assert client.get(abort.headers["Azure-AsyncOperation"], params={}).json()["status"] == "InProgress"
    release(app, waiting)
    assert client.done(abort)["properties"]["poolwright"]["operation"] == "abort managed cluster"
    assert client.operation(running)["status"] == "Canceled"
    cluster = client.get(client.cluster()).json()
    assert cluster["properties"]["provisioningState"] == "Canceled"
    assert client.get(abort.headers["Location"], params={}).json()["id"] == cluster["id"]
    client.done(client.put(client.cluster(), json=body))
    assert client.get(client.cluster()).json()["properties"]["agentPoolProfiles"][0]["count"] == 5


def test_an_abort_survives_a_kill_and_a_creation_that_was_aborted_is_done_again(tmp_path: Path) -> None:
    slow = ServiceProcess(tmp_path / "data", simulated_boot_seconds=1.0).start()
    try:
        client = slow.client
        client.put(client.group(), json={"location": "eastus"})
        body = {"properties": {"agentPoolProfiles": [{"name": "sys", "mode": "System", "count": 3}]}}
        running = client.put(client.cluster(), json={"location": "eastus", **body})
        abort = client.post(f"{client.cluster()}/abort")
        assert abort.status_code == 202
        urls = [reply.headers["Azure-AsyncOperation"].partition("/subscriptions")[2] for reply in (running, abort)]
        slow.kill()
        slow.start()
        client = slow.client
        for url, status in zip(urls, ("Canceled", "Succeeded"), strict=True):
            reply = httpx.Response(202, headers={"Azure-AsyncOperation": f"{slow.url}/subscriptions{url}"})
            assert client.operation(reply)["status"] == status
        client.done(client.put(client.cluster(), json={"location": "eastus", **body}))
        assert client.get(client.cluster()).json()["properties"]["provisioningState"] == "Succeeded"
    finally:
        slow.stop()


def test_nothing_is_aborted_that_does_not_run_on_the_cluster_itself(app: InProcess) -> None:
    client = app.client
    abort = f"{client.cluster()}/abort"
    assert code_of(client.post(abort)) == (409, "OperationNotAllowed")
    assert code_of(client.post(f"{client.cluster('c9')}/abort")) == (404, "ResourceNotFound")
    waiting = held(app)
    client.put(client.pool("np1"), json={"properties": {"count": 1}})
    refused = client.post(abort)
    assert code_of(refused) == (409, "OperationNotAllowed")
    assert "nodepool operation-abort" in refused.text
    release(app, waiting)
    waiting = held(app)
    client.delete(client.cluster())
    assert code_of(client.post(abort)) == (409, "OperationNotAllowed")
    release(app, waiting)
    assert client.get(client.cluster()).status_code == 404


def test_a_patch_scales_a_node_pool_and_keeps_everything_else(app: InProcess) -> None:
    client = app.client
    labels = {"nodeLabels": {"a": "b"}, "nodeTaints": ["c=d:NoSchedule"], "upgradeSettings": {"maxSurge": "33%"}}
    before = client.make_pool("np1", {"vmSize": BOTH, "count": 1, **labels})
    etag = client.get(client.pool("np1")).headers["ETag"]
    accepted = client.patch(client.pool("np1"), json={"properties": {"count": 3}}, headers={"If-Match": etag})
    assert accepted.status_code == 202
    assert accepted.headers["Retry-After"] == "1"
    client.done(accepted)
    after = client.get(client.pool("np1")).json()["properties"]
    moved = {"count", "eTag", "poolwright"}
    assert {k: v for k, v in after.items() if k not in moved} == {k: v for k, v in before.items() if k not in moved}
    assert after["count"] == 3
    assert client.get(accepted.headers["Location"], params={}).json()["properties"]["count"] == 3
    assert len(client.get(f"{client.pool('np1')}/machines").json()["value"]) == 3


def test_a_patch_scales_the_profiles_of_virtual_machines(app: InProcess) -> None:
    client = app.client
    scale = {"scale": {"manual": [{"size": BOTH, "count": 1}]}}
    client.make_pool("vms", {"type": "VirtualMachines", "virtualMachinesProfile": scale})
    wanted = [{"size": BOTH.lower(), "count": 2}, {"size": ALSO_BOTH, "count": 1}]
    body = {"properties": {"virtualMachinesProfile": {"scale": {"manual": wanted}}}}
    client.done(client.patch(client.pool("vms"), json=body))
    after = client.get(client.pool("vms")).json()["properties"]
    assert after["virtualMachinesProfile"]["scale"]["manual"] == [
        {"size": BOTH, "count": 2},
        {"size": ALSO_BOTH, "count": 1},
    ]
    assert after["count"] == 3


def test_a_patch_of_an_autoscaled_node_pool_stays_within_its_bounds(app: InProcess) -> None:
    client = app.client
    client.make_pool("np1", {"vmSize": BOTH, "count": 2, "enableAutoScaling": True, "minCount": 1, "maxCount": 3})
    client.done(client.patch(client.pool("np1"), json={"properties": {"count": 3}}))
    after = client.get(client.pool("np1")).json()["properties"]
    assert (after["count"], after["enableAutoScaling"], after["minCount"], after["maxCount"]) == (3, True, 1, 3)
    assert code_of(client.patch(client.pool("np1"), json={"properties": {"count": 4}})) == (400, "InvalidParameter")


@pytest.mark.parametrize(
    ("properties", "target"),
    [
        ({"vmSize": ALSO_BOTH}, "properties.vmSize"),
        ({"count": 2, "nodeLabels": {}}, "properties.nodeLabels"),
        ({"count": -1}, "properties.count"),
        ({"count": 1001}, "properties.count"),
        ({"count": "2"}, "properties.count"),
        (
            {"virtualMachinesProfile": {"scale": {"manual": [{"size": BOTH, "count": 1}]}}},
            "properties.virtualMachinesProfile",
        ),
        (
            {"virtualMachinesProfile": {"scale": {"manual": [{"size": BOTH}]}}},
            "properties.virtualMachinesProfile.scale.manual[0].count",
        ),
    ],
)
def test_a_patch_changes_only_what_it_is_for(app: InProcess, properties: dict[str, Any], target: str) -> None:
    client = app.client
    client.make_pool("np1", {"vmSize": BOTH})
    before = everything(client)
    reply = client.patch(client.pool("np1"), json={"properties": properties})
    assert code_of(reply) == (400, "InvalidParameter")
    assert reply.json()["error"]["target"] == target
    assert everything(client) == before


def test_a_patch_needs_a_node_pool_at_rest_and_its_etag(app: InProcess) -> None:
    client = app.client
    body = {"properties": {"count": 2}}
    assert code_of(client.patch(client.pool("none"), json=body)) == (404, "AgentPoolNotFound")
    assert code_of(client.patch(client.pool("sys"), json=body, headers={"If-Match": "x"})) == (
        412,
        "PreconditionFailed",
    )
    waiting = held(app)
    client.put(client.pool("sys"), json={"properties": {"count": 2}})
    assert code_of(client.patch(client.pool("sys"), json=body)) == (409, "OperationNotAllowed")
    release(app, waiting)


def test_operations_are_listed_newest_first_and_by_node_pool(app: InProcess) -> None:
    client = app.client
    moment = [app.now()]

    def later() -> float:
        moment[0] += 1
        return moment[0]

    app.now = later
    client.make_pool("np1", {"vmSize": BOTH})
    client.make_pool("np10", {"vmSize": BOTH})
    client.done(client.put(client.pool("np1"), json={"properties": {"count": 2}}))
    client.make_cluster("c10")
    of_cluster = client.get(f"{client.cluster()}/operations").json()["value"]
    assert [
        (row["resourceId"].rpartition("/")[2], row["properties"]["poolwright"]["operation"]) for row in of_cluster
    ] == [
        ("np1", "update node pool"),
        ("np10", "create node pool"),
        ("np1", "create node pool"),
        ("c1", "create managed cluster"),
    ]
    of_pool = client.get(f"{client.pool('np1')}/operations").json()["value"]
    assert of_pool == [of_cluster[0], of_cluster[2]]
    name = of_pool[0]["name"]
    for path in (client.cluster(), client.pool("np1")):
        assert client.get(f"{path}/operations/{name}").json() == of_pool[0]
    for path in (client.pool("np10"), client.cluster("c10")):
        assert code_of(client.get(f"{path}/operations/{name}")) == (404, "OperationNotFound")
    active = client.params.set("activeOnly", "true")
    assert client.get(f"{client.pool('np1')}/operations", params=active).json() == {"value": []}
    waiting = held(app)
    accepted = client.put(client.pool("np1"), json={"properties": {"count": 1}})
    [running] = client.get(f"{client.cluster()}/operations", params=active).json()["value"]
    assert running["status"] == "InProgress"
    polled = client.get(f"{client.cluster()}/operations/{running['name']}")
    assert polled.headers["Retry-After"] == "1"
    release(app, waiting)
    client.done(accepted)
    assert code_of(client.get(f"{client.cluster('c9')}/operations")) == (404, "ResourceNotFound")
    assert code_of(client.get(f"{client.pool('none')}/operations")) == (404, "AgentPoolNotFound")
