"""Reimaging a machine over HTTP: who may, what it does, what the activity log and a refusal say."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from poolwright.domain.roles import AKS_CONTRIBUTOR, READER, Role
from tests.arm.test_authorization import grant
from tests.scenarios.test_audit_trail import entries, said
from tests.support.in_process import InProcess
from tests.support.service import ArmClient

ACTION = "Microsoft.ContainerService/managedClusters/agentPools/machines/reimage/action"


@pytest.fixture
def app(tmp_path: Path) -> Iterator[InProcess]:
    service = InProcess(tmp_path / "data")
    service.client.make_cluster()
    service.client.make_pool("np1", {"count": 2, "nodeLabels": {"a": "b"}})
    yield service
    service.close()


def machines(client: ArmClient) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = client.get(f"{client.pool('np1')}/machines").json()["value"]
    return listed


def reimage(client: ArmClient, name: str) -> Any:
    return client.post(f"{client.pool('np1')}/machines/{name}/reimage")


def test_a_reimaged_machine_is_the_same_one_on_another_disk(app: InProcess) -> None:
    client = app.client
    before, pool = machines(client), client.get(client.pool("np1")).json()["properties"]
    name = before[1]["name"]

    accepted = reimage(client, name)

    assert accepted.status_code == 202
    assert accepted.content == b""
    assert {"azure-asyncoperation", "location"} <= set(accepted.headers)
    ended = client.operation(accepted)
    assert ended["status"] == "Succeeded"
    told = ended["properties"]["poolwright"]
    assert told["operation"] == "reimage machine"
    assert told["kubernetes"]["message"].endswith("neither cordoned nor drained before they are reimaged")
    after = machines(client)
    assert [machine["name"] for machine in after] == [machine["name"] for machine in before]
    boots = app.service.engine.boots()
    assert [boots[machine["id"].lower()] for machine in after] == [1, 2]
    now = client.get(client.pool("np1")).json()["properties"]
    assert {**now, "eTag": ""} == {**pool, "eTag": ""}

    [begun, done] = [entry for entry in entries(client) if entry["operationName"]["value"] == ACTION]
    owner = app.credentials.client_id
    assert said([begun, done]) == [(owner, ACTION, "Accepted"), (owner, ACTION, "Succeeded")]
    assert begun["resourceId"].lower() == before[1]["id"].lower()
    [key] = begun["before"]
    assert key == client.pool("np1").lower()


@pytest.mark.parametrize(("role", "may"), [(AKS_CONTRIBUTOR, True), (READER, False)], ids=["contributor", "reader"])
def test_who_may_change_node_pools_may_reimage(app: InProcess, role: Role, *, may: bool) -> None:
    somebody = app.make_principal("somebody")
    assert grant(app.client, app.client.cluster(), role, somebody).status_code == 201
    name = machines(app.client)[0]["name"]
    reply = reimage(somebody, name)
    assert reply.status_code == (202 if may else 403)
    if not may:
        assert ACTION in reply.json()["error"]["message"]
        assert set(app.service.engine.boots().values()) == {1}


def test_what_is_not_there_or_busy_is_refused_and_changes_nothing(app: InProcess) -> None:
    client = app.client
    missing = reimage(client, "aks-np1-00000000-vmss000009")
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "MachineNotFound")
    name = machines(client)[0]["name"]
    client.done(client.post(f"{client.cluster()}/stop"))
    stopped = reimage(client, name)
    assert (stopped.status_code, stopped.json()["error"]["code"]) == (409, "OperationNotAllowed")
    assert "is stopped" in stopped.json()["error"]["message"]
    assert set(app.service.engine.boots().values()) == {1}
