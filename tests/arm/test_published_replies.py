"""Every reply that the client of the tests gets is checked against Azure's definitions; here, one of each operation."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from azure.mgmt import containerservice

from poolwright.arm.not_offered import known_operations, missing
from poolwright.arm.offered import AREAS, rows_of
from tests.support import schema
from tests.support.in_process import InProcess
from tests.support.schema import NotAsPublished
from tests.support.service import ArmClient

MANAGED_CLUSTER = "/subscriptions/s/resourceGroups/rg/providers/Microsoft.ContainerService/managedClusters/c1"
POOL = f"{MANAGED_CLUSTER}/agentPools/np1"
IN_AZURE = {"name": "np1", "properties": {"count": 1, "vmSize": "Standard_D2s_v5"}}


@pytest.fixture
def app(tmp_path: Path) -> Iterator[InProcess]:
    service = InProcess(tmp_path / "data")
    yield service
    service.close()


class Answering(ArmClient):
    """A client that every request of gets one and the same answer."""

    def __init__(self, status: int, body: Any) -> None:
        content = b"" if body is None else json.dumps(body).encode()
        transport = httpx.MockTransport(lambda request: httpx.Response(status, content=content))
        super().__init__(transport=transport, base_url="https://poolwright.test")


@pytest.mark.parametrize(
    ("method", "path", "status", "body"),
    [
        ("GET", POOL, 200, IN_AZURE),
        ("GET", POOL.lower(), 200, IN_AZURE),
        ("DELETE", POOL, 204, None),
        ("GET", POOL, 404, {"error": {"code": "ResourceNotFound", "message": "none"}}),
        ("HEAD", POOL, 404, None),
        ("GET", "/metadata/endpoints", 200, {"anything": None}),
    ],
)
def test_a_reply_as_azure_publishes_it_is_taken(method: str, path: str, status: int, body: Any) -> None:
    with Answering(status, body) as client:
        assert client.request(method, path).status_code == status


@pytest.mark.parametrize(
    ("method", "path", "status", "body", "why"),
    [
        ("GET", POOL, 200, {"properties": {"count": "1"}}, "properties/count: '1' is not of type 'integer'"),
        ("GET", POOL.upper(), 200, {"properties": {"count": "1"}}, "is not of type 'integer'"),
        ("GET", POOL.replace("/agentPools", "//agentPools"), 200, {"properties": {"count": "1"}}, "not of type"),
        ("GET", POOL, 200, {"properties": {"osType": "Solaris"}}, "'Solaris' is not one of"),
        ("GET", POOL, 200, {"properties": {"counted": 1}}, "'counted' was unexpected"),
        ("GET", POOL, 200, {"properties": {"tags": None}}, "tags"),
        ("GET", POOL, 200, {"id": "np1"}, "id: 'np1' is not a 'arm-id'"),
        ("GET", POOL, 200, None, "no JSON"),
        ("GET", POOL, 202, IN_AZURE, "the status is none of [200]"),
        ("PUT", POOL, 202, IN_AZURE, "the status is none of [200, 201]"),
        ("DELETE", POOL, 202, IN_AZURE, "it has a body"),
        ("GET", f"{MANAGED_CLUSTER}/agentPools", 200, {}, "'value' is a required property"),
        ("GET", POOL, 404, {"code": "ResourceNotFound"}, "'code' was unexpected"),
        ("GET", "/subscriptions/s/resourceGroups/rg", 404, None, "no JSON"),
        ("GET", POOL, 500, {"error": {"code": 500}}, "error/code: 500 is not of type 'string'"),
    ],
)
def test_a_reply_that_azure_does_not_publish_fails_the_test(
    method: str, path: str, status: int, body: Any, why: str
) -> None:
    with Answering(status, body) as client, pytest.raises(NotAsPublished, match=re.escape(why)):
        client.request(method, path)


def test_what_a_client_sent_and_nobody_knows_may_come_back_and_nothing_else() -> None:
    with Answering(200, {"properties": {"count": 1, "tomorrow": {"x": 1}}}) as client:
        with pytest.raises(NotAsPublished, match="'tomorrow' was unexpected"):
            client.get(POOL)
        client.put(POOL, json={"properties": {"tomorrow": {"x": 1}}})
        client.get(POOL)
    both = {"properties": {"count": 1, "tomorrow": 1, "yesterday": 1}}
    with Answering(200, both) as client, pytest.raises(NotAsPublished, match="'yesterday'"):
        client.put(POOL, json={"properties": {"tomorrow": 1}})


def test_the_operations_are_where_azure_has_them() -> None:
    known = {row.operation: (row.method, row.path) for row in known_operations()}
    # Of another provider, of an old api-version, and in no list of Azure's.
    others = {"ResourceSkus_List", "ContainerServices_ListOrchestrators", "Operations_Get", "Operations_GetResult"}
    ours = {row.name: (row.method, row.path) for row in schema.operations() if row.name not in others}
    assert ours == {name: known[name] for name in ours}


def test_the_statuses_are_those_of_the_sdk() -> None:
    """What was written down by hand is compared with what Microsoft generates from the same source."""
    stable = {row.operation for row in known_operations() if row.api_version == "2026-08-01"}
    ours = {row.name: sorted(row.responses) for row in schema.operations() if row.name in stable}
    assert len(ours) == 34
    assert ours == {name: statuses for name, statuses in _statuses_of_the_sdk().items() if name in ours}


def _statuses_of_the_sdk() -> dict[str, list[int]]:
    """`AgentPools_Get` -> [200]: what each method of the SDK takes as an answer."""
    source = (Path(containerservice.__file__).parent / "operations" / "_operations.py").read_text()
    statuses = {}
    for group in ast.parse(source).body:
        if isinstance(group, ast.ClassDef) and group.name.endswith("Operations"):
            for method in group.body:
                taken = re.search(r"status_code not in (\[.*?\])", ast.unparse(method))
                if isinstance(method, ast.FunctionDef) and taken is not None:
                    words = method.name.removeprefix("_").removesuffix("_initial").split("_")
                    name = "".join(word.capitalize() for word in words)
                    statuses[f"{group.name.removesuffix('Operations')}_{name}"] = ast.literal_eval(taken[1])
    return statuses


def test_every_offered_operation_of_azure_answers_as_azure_publishes_it(
    app: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = app.client
    lacking = {row.operation for row in missing(rows_of(AREAS))}
    offered = {row.operation for row in known_operations()} - lacking
    assert len(offered) > 40
    provider = f"{client.subscription}/providers/Microsoft.ContainerService"
    in_group = f"{client.group()}/providers/Microsoft.ContainerService"
    location = f"{provider}/locations/eastus"
    cluster, pool = client.cluster(), client.pool("np1")
    window = f"{cluster}/maintenanceConfigurations/default"

    def ok(method: str, path: str, body: Any = None) -> httpx.Response:
        return client.expect((200, 201, 202), client.request(method, path, json=body))

    client.make_cluster()
    client.make_pool("np1", {"vmSize": "Standard_D2s_v5", "count": 3})
    client.done(ok("PATCH", cluster, {"tags": {"a": "b"}}))
    client.done(ok("PATCH", pool, {"properties": {"count": 2}}))
    ok("PUT", f"{in_group}/snapshots/s1", _snapshot_of(pool))
    ok("PATCH", f"{in_group}/snapshots/s1", {"tags": {"a": "b"}})
    ok("PUT", window, {"properties": {"timeInWeek": [{"day": "Monday", "hourSlots": [1]}]}})
    client.done(ok("POST", f"{pool}/upgradeNodeImageVersion"))
    machines = ok("GET", f"{pool}/machines").json()["value"]
    ok("GET", f"{pool}/machines/{machines[0]['name']}")
    client.done(ok("POST", f"{pool}/deleteMachines", {"machineNames": [machines[0]["name"]]}))
    client.done(ok("POST", f"{cluster}/stop"))
    started = ok("POST", f"{cluster}/start")
    client.done(started)
    assert client.get(started.headers["Location"], params={}).status_code == 200
    operations = [row["name"] for row in ok("GET", f"{cluster}/operations").json()["value"]]
    of_pool = [row["name"] for row in ok("GET", f"{pool}/operations").json()["value"]]
    for path in (
        f"{cluster}/operations/{operations[0]}",
        f"{pool}/operations/{of_pool[0]}",
        f"{provider}/managedClusters",
        f"{provider}/snapshots",
        f"{in_group}/managedClusters",
        f"{in_group}/snapshots",
        f"{in_group}/snapshots/s1",
        f"{cluster}/agentPools",
        f"{cluster}/maintenanceConfigurations",
        window,
        f"{cluster}/upgradeProfiles/default",
        f"{cluster}/availableAgentPoolVersions",
        f"{pool}/upgradeProfiles/default",
        f"{location}/kubernetesVersions",
        f"{location}/nodeImageVersions",
        f"{location}/orchestrators",
        f"{location}/vmSkus",
        f"{client.subscription}/providers/Microsoft.Compute/skus",
    ):
        ok("GET", path)
    for path in (f"{cluster}/listClusterAdminCredential", f"{cluster}/listClusterUserCredential"):
        ok("POST", path)
    # What is to be aborted has to be under way: accepted, and not carried out yet.
    larger = {"agentPoolProfiles": [{"name": "sys", "mode": "System", "count": 2}]}
    for path, change in (
        (pool, {"properties": {"count": 3}}),
        (cluster, {"location": "eastus", "properties": larger}),
    ):
        with monkeypatch.context() as patch:
            held: list[str] = []
            patch.setattr(app.operations, "begin", held.append)
            ok("PUT", path, change)
            aborted = ok("POST", f"{path}/abort")
        app.operations.begin(*held)
        client.done(aborted)
    ok("DELETE", window)
    ok("DELETE", f"{in_group}/snapshots/s1")
    client.done(ok("DELETE", pool))
    client.done(ok("DELETE", cluster))
    assert client.checked == {row.name for row in schema.operations()}
    assert offered <= client.checked


def _snapshot_of(pool: str) -> dict[str, Any]:
    return {"location": "eastus", "properties": {"creationData": {"sourceResourceId": pool}}}
