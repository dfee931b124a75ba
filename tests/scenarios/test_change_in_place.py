"""Change in place over HTTP: the page's updates, what-if before them, going back, stopping, quota."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.service import ArmClient, ServiceProcess

V1_ONLY, BOTH, ALSO_BOTH, V2_ONLY = "Standard_D2_v3", "Standard_D2s_v5", "Standard_D4s_v5", "Standard_D4ads_v6"
TRUE = {"UseWindowsGen2VM": "true"}


@pytest.fixture(scope="module")
def client(service: ServiceProcess) -> ArmClient:
    service.client.make_cluster()
    return service.client


def properties(client: ArmClient, name: str, cluster: str = "c1") -> dict[str, Any]:
    found: dict[str, Any] = client.get(client.pool(name, cluster)).json()["properties"]
    return found


@pytest.mark.parametrize(
    ("name", "before", "after", "headers"),
    [
        ("lin", {"vmSize": V1_ONLY}, {"vmSize": BOTH, "osType": "Linux"}, {}),
        (
            "win",
            {"vmSize": BOTH, "osType": "Windows", "osSKU": "Windows2022"},
            {"vmSize": ALSO_BOTH, "osType": "Windows", "osSKU": "Windows2022"},
            TRUE,
        ),
        ("prop", {"vmSize": BOTH, "vmGeneration": "V1"}, {"vmGeneration": "V2"}, {}),
    ],
)
def test_what_if_tells_what_the_put_then_does(
    client: ArmClient, name: str, before: dict[str, Any], after: dict[str, Any], headers: dict[str, str]
) -> None:
    old = client.make_pool(name, {**before, "count": 5, "upgradeSettings": {"maxSurge": "2"}})
    assert "gen2" not in old["nodeImageVersion"]
    told = client.post(f"{client.pool(name)}/whatIf", json={"properties": after}, headers=headers).json()["properties"]
    assert (told["before"]["generation"], told["generation"], told["rollsMachines"]) == ("V1", "V2", True)
    assert told["rollout"]["waves"] == 3
    assert told["rollout"]["surgeMachines"] == 2

    operation = client.done(client.put(client.pool(name), json={"properties": after}, headers=headers))

    block = operation["properties"]["poolwright"]
    assert (block["waves"], block["replaced"], block["toReplace"]) == (3, 5, 5)
    assert block["kubernetes"]["attached"] is False
    new = properties(client, name)
    assert "gen2" in new["nodeImageVersion"]
    assert new["nodeImageVersion"] == told["nodeImageVersion"]
    assert new["poolwright"]["rule"] == told["rule"]
    assert new["poolwright"]["observedGenerations"] == {"V1": 0, "V2": 5, "unknown": 0}
    assert new["poolwright"]["lastGood"]["generation"] == "V1"
    machines = client.get(f"{client.pool(name)}/machines").json()["value"]
    assert [machine["properties"]["poolwright"]["observedGeneration"] for machine in machines] == ["V2"] * 5


def test_a_move_to_nvme_is_done_and_what_if_warns_of_it(client: ArmClient) -> None:
    client.make_pool("nvme", {"vmSize": V1_ONLY, "count": 1})
    told = client.post(f"{client.pool('nvme')}/whatIf", json={"properties": {"vmSize": V2_ONLY}}).json()["properties"]
    assert "DiskControllerChanges" in [warning["code"] for warning in told["warnings"]]
    client.done(client.put(client.pool("nvme"), json={"properties": {"vmSize": V2_ONLY}}))
    assert properties(client, "nvme")["poolwright"]["observedGenerations"]["V2"] == 1


def test_a_rollback_restores_size_wish_and_generation(client: ArmClient) -> None:
    client.make_pool("back", {"vmSize": BOTH, "vmGeneration": "V1", "count": 2})
    client.done(client.put(client.pool("back"), json={"properties": {"vmSize": ALSO_BOTH, "vmGeneration": "V2"}}))
    recent = client.get(f"{client.pool('back')}/upgradeProfiles/default").json()["properties"]["recentlyUsedVersions"]
    crossing = client.put(client.pool("back"), json={"properties": {"nodeImageVersion": recent[0]["nodeImageVersion"]}})
    assert (crossing.status_code, crossing.json()["error"]["code"]) == (409, "RollbackNotPossible")
    unknown = client.put(client.pool("back"), json={"properties": {"nodeImageVersion": "AKSUbuntu-none"}})
    assert unknown.status_code == 400
    assert "NodeImageVersion 'AKSUbuntu-none' is not accepted." in unknown.json()["error"]["message"]

    client.done(client.post(f"{client.pool('back')}/rollback"))

    pool = properties(client, "back")
    assert (pool["vmSize"], pool["vmGeneration"]) == (BOTH, "V1")
    assert pool["poolwright"]["observedGenerations"] == {"V1": 2, "V2": 0, "unknown": 0}
    accepted = client.expect(202, client.post(f"{client.pool('back')}/upgradeNodeImageVersion"))
    assert accepted.json()["name"] == "back"
    assert accepted.json()["properties"]["provisioningState"] == "Updating"
    client.done(accepted)
    assert properties(client, "back")["poolwright"]["resolvedGeneration"] == "V1"


def test_a_count_in_the_same_put_is_applied_and_parked_machines_come_back(client: ArmClient) -> None:
    client.make_pool("park", {"vmSize": V1_ONLY, "count": 2, "scaleDownMode": "Deallocate"})
    client.done(client.put(client.pool("park"), json={"properties": {"vmSize": BOTH, "count": 3}}))
    assert properties(client, "park")["poolwright"]["observedGenerations"]["V2"] == 3
    names = [machine["name"] for machine in client.get(f"{client.pool('park')}/machines").json()["value"]]
    client.done(client.put(client.pool("park"), json={"properties": {"count": 1}}))
    assert properties(client, "park")["count"] == 1
    client.done(client.put(client.pool("park"), json={"properties": {"count": 3}}))
    machines = client.get(f"{client.pool('park')}/machines").json()["value"]
    assert [machine["name"] for machine in machines] == names, "the stopped ones were started again"


def test_a_stopped_cluster_takes_no_change_until_it_is_started(client: ArmClient) -> None:
    client.make_cluster("rest")
    client.done(client.post(f"{client.cluster('rest')}/stop"))
    assert client.get(client.cluster("rest")).json()["properties"]["powerState"] == {"code": "Stopped"}
    refused = client.put(client.pool("np1", "rest"), json={"properties": {"count": 1}})
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "OperationNotAllowed")
    again = client.post(f"{client.cluster('rest')}/stop")
    assert again.status_code == 409
    client.done(client.post(f"{client.cluster('rest')}/start"))
    assert client.get(client.cluster("rest")).json()["properties"]["powerState"] == {"code": "Running"}


def test_a_change_is_aborted_between_steps_and_the_same_put_goes_on(tmp_path: Path) -> None:
    slow = ServiceProcess(tmp_path / "data", simulated_boot_seconds=0.5).start()
    try:
        client = slow.client
        client.make_cluster()
        client.make_pool("np1", {"vmSize": V1_ONLY, "count": 4, "upgradeSettings": {"maxSurge": "1"}})
        body = {"properties": {"vmSize": BOTH}}
        running = client.put(client.pool("np1"), json=body)
        assert client.done(client.post(f"{client.pool('np1')}/abort"))["status"] == "Succeeded"
        assert client.operation(running)["status"] == "Canceled"
        canceled = properties(client, "np1")
        assert canceled["provisioningState"] == "Canceled"
        assert sum(canceled["poolwright"]["observedGenerations"].values()) == 4
        nothing = client.post(f"{client.pool('np1')}/abort")
        assert (nothing.status_code, nothing.json()["error"]["code"]) == (409, "OperationNotAllowed")
        client.done(client.put(client.pool("np1"), json=body))
        assert properties(client, "np1")["poolwright"]["observedGenerations"] == {"V1": 0, "V2": 4, "unknown": 0}
    finally:
        slow.stop()
