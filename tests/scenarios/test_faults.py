"""Bad days over HTTP, in a running service: every error on demand, every effect, and what survives a restart."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from poolwright import errors
from poolwright.arm.errors import status_of
from tests.support.everything import everything
from tests.support.service import ArmClient, ServiceProcess

FAULTS = "/_poolwright/faults"
BOTH, ALSO_BOTH = "Standard_D2s_v5", "Standard_D4s_v5"
TRUSTED = {"securityProfile": {"enableVTPM": True, "enableSecureBoot": True}}


@pytest.fixture(scope="module")
def cluster(service: ServiceProcess) -> ServiceProcess:
    service.client.make_cluster()
    return service


@pytest.fixture
def client(cluster: ServiceProcess) -> Iterator[ArmClient]:
    yield cluster.client
    assert cluster.client.delete(FAULTS).status_code == 200


def add(client: ArmClient, name: str = "f", *, count: int | None = None, match: Any = None, **effect: Any) -> None:
    document = {"match": match or {}, "effect": effect} | ({"count": count} if count is not None else {})
    reply = client.put(f"{FAULTS}/{name}", json=document)
    assert reply.status_code in (200, 201), reply.text


def state(client: ArmClient, name: str = "f") -> dict[str, Any]:
    found: dict[str, Any] = client.get(f"{FAULTS}/{name}").json()["state"]
    return found


def put(client: ArmClient, pool: str, **properties: Any) -> httpx.Response:
    return client.put(client.pool(pool), json={"properties": {"vmSize": BOTH, "count": 1} | properties})


def failure(client: ArmClient, reply: httpx.Response) -> dict[str, Any]:
    """The error of the operation, which the fault f must have made fail; its node pool says the same."""
    operation = client.operation(reply)
    assert operation["status"] == "Failed", operation
    pool = client.get(operation["resourceId"]).json()["properties"]
    assert pool["provisioningState"] == "Failed"
    error: dict[str, Any] = operation["error"]
    assert pool["status"]["provisioningError"] == error
    assert error["additionalInfo"] == [
        {
            "type": "PoolwrightRemedy",
            "info": {"remedy": "this was asked for: poolwright faults show f", "fault": "f"},
        }
    ]
    return error


def properties(client: ArmClient, pool: str) -> dict[str, Any]:
    found: dict[str, Any] = client.get(client.pool(pool)).json()["properties"]
    return found


LEAVES = list(errors.leaves())


@pytest.mark.parametrize("leaf", [leaf for leaf in LEAVES if status_of(leaf)], ids=lambda leaf: leaf.code)
def test_every_error_of_a_request_can_be_had_on_demand(client: ArmClient, leaf: type[errors.PoolwrightError]) -> None:
    before = everything(client)
    for match in (
        {"method": "PUT", "path": "*/agentPools/wanted"},
        {"operation": "create_node_pool", "pool": "wanted"},
    ):
        add(client, match=match, refuse=leaf.code, count=1)
        refused = put(client, "wanted")
        assert (refused.status_code, refused.json()["error"]["code"]) == (status_of(leaf), leaf.code)
        assert "{" not in refused.json()["error"]["message"]
        assert refused.json()["error"]["additionalInfo"][0]["info"]["fault"] == "f"
        assert state(client)["fired"] == 1
    assert everything(client) == before


@pytest.mark.parametrize("leaf", LEAVES, ids=lambda leaf: leaf.code)
def test_every_error_of_an_operation_can_be_had_on_demand(
    client: ArmClient, leaf: type[errors.PoolwrightError]
) -> None:
    add(
        client,
        match={"step": "plan_waves", "pool": "asked"},
        refuse={"code": leaf.code, "message": "on demand"},
        count=1,
    )
    if leaf is errors.OperationCanceled:
        assert client.operation(put(client, "asked"))["status"] == "Canceled"
        return
    error = failure(client, put(client, "asked"))
    assert (error["code"], error["message"]) == (leaf.code, "on demand")


def test_a_size_is_retired(client: ArmClient) -> None:
    client.done(put(client, "retire"))
    add(client, match={"size": BOTH, "location": "eastus"}, retiredSize=True)
    before = everything(client)
    for pool in ("retire", "another"):
        refused = put(client, pool, count=2)
        assert (refused.status_code, refused.json()["error"]["code"]) == (400, "VMSizeNotSupported")
    assert everything(client) == before
    client.done(put(client, "retire", vmSize=ALSO_BOTH))


@pytest.mark.parametrize("code", ["AllocationFailed", "ZonalAllocationFailed", "SkuNotAvailable"])
def test_there_is_no_capacity_in_a_zone(client: ArmClient, code: str) -> None:
    name = f"cap{len(code)}"
    add(client, match={"zone": "2"}, noCapacity=code)
    error = failure(client, put(client, name, count=3, availabilityZones=["1", "2", "3"]))
    assert error["code"] == code
    client.done(put(client, f"{name}b", count=2, availabilityZones=["1"]))
    client.delete(FAULTS)
    client.done(put(client, name, count=3, availabilityZones=["1", "2", "3"]))
    assert properties(client, name)["poolwright"]["observedGenerations"]["V2"] == 3


@pytest.mark.parametrize("half_way", [False, True])
def test_the_quota_is_one_vcpu_short(client: ArmClient, half_way: bool) -> None:
    name = f"quota{half_way:d}"
    add(client, match={"step": "add_machines"} if half_way else {}, quotaShort=True, count=1)
    reply = put(client, name, count=3)
    error = failure(client, reply) if half_way else reply.json()["error"]
    assert error["code"] == "ErrCode_InsufficientVCPUQuota"
    assert error["message"].startswith(
        "Insufficient vcpu quota requested 6, remaining 5 for family standardDSv5Family for region eastus. If you want"
    )
    client.done(put(client, name, count=3))


def test_machines_with_an_unsigned_driver_never_become_ready(client: ArmClient) -> None:
    add(client, unsignedDriver="nvidia.ko", count=1)
    error = failure(client, put(client, "driver", count=2, **TRUSTED))
    assert "Secure Boot refused to load nvidia.ko, which is not signed" in error["message"]
    client.done(put(client, "plain", count=1))
    client.done(put(client, "driver", count=2, **TRUSTED))


def test_a_machine_vanishes(client: ArmClient) -> None:
    add(client, match={"step": "await_ready", "pool": "lost"}, loseMachine=1, count=1)
    error = failure(client, put(client, "lost", count=3))
    (firing,) = state(client)["firings"]
    assert error["message"] == f"1 machine(s) vanished: {firing['machines'][0]}."
    client.done(put(client, "lost", count=3))
    assert len(client.get(f"{client.pool('lost')}/machines").json()["value"]) == 3


def test_a_failure_that_no_fault_caused_names_none(client: ArmClient) -> None:
    add(client, "late", match={"step": "add_machines", "pool": "two"}, delaySeconds=0.1)
    add(client, "bad", match={"step": "await_ready", "pool": "two"}, failAtStep="bad")
    (told,) = client.operation(put(client, "two"))["error"]["additionalInfo"]
    assert told["info"]["fault"] == "bad"


def test_replies_and_steps_come_late(client: ArmClient) -> None:
    add(client, "reply", match={"method": "GET", "path": "*/agentPools/sys"}, delaySeconds=0.4, count=1)
    add(client, "step", match={"step": "plan_waves", "pool": "late"}, delaySeconds=0.4, count=1)
    started = time.monotonic()
    assert client.get(client.pool("sys")).status_code == 200
    assert time.monotonic() - started >= 0.4
    assert client.get(client.pool("sys")).status_code == 200
    started = time.monotonic()
    client.done(put(client, "late"))
    assert time.monotonic() - started >= 0.4
    assert [state(client, name)["fired"] for name in ("reply", "step")] == [1, 1]


def test_a_drain_that_could_never_fail_is_warned_of(client: ArmClient) -> None:
    add(client, failDrain="a pod stays")
    assert "nothing is drained" in state(client)["warnings"][0]
    client.done(put(client, "drain"))
    client.done(put(client, "drain", vmSize=ALSO_BOTH))
    assert state(client)["matched"] == 0


def test_a_change_stopped_half_way_goes_on_with_the_same_put_or_goes_back(client: ArmClient) -> None:
    change = {"vmSize": ALSO_BOTH, "count": 4, "upgradeSettings": {"maxSurge": "2"}}
    for name, back in (("on", False), ("back", True)):
        client.done(put(client, name, count=4))
        add(client, match={"step": "wave_2.add_machines", "pool": name}, failAtStep="the host is full", count=1)
        error = failure(client, put(client, name, **change))
        assert error["message"].startswith("the host is full. 2 of 4 machines were replaced, 2 were not;")
        assert properties(client, name)["poolwright"]["observedGenerations"]["V2"] == 4
        if back:
            client.done(client.post(f"{client.pool(name)}/rollback"))
        else:
            client.done(put(client, name, **change))
        assert properties(client, name)["vmSize"] == (BOTH if back else ALSO_BOTH)
        assert properties(client, name)["poolwright"]["observedGenerations"]["V2"] == 4


def test_several_pools_at_once_meet_only_their_own_faults(client: ArmClient) -> None:
    add(client, "bad", match={"pool": "bad*", "step": "await_ready"}, failAtStep="bad", count=2)
    add(client, "cap", match={"pool": "cap*"}, noCapacity="AllocationFailed")
    names = [f"{kind}{number}x" for number in range(3) for kind in ("bad", "good", "cap")]
    replies = {name: put(client, name, count=2) for name in names}
    ended = {name: client.operation(reply) for name, reply in replies.items()}
    codes = {name: operation.get("error", {}).get("code") for name, operation in ended.items()}
    assert (
        sorted(code for name, code in codes.items() if name.startswith("bad") and code)
        == ["ReconcileVMSSAgentPoolFailed"] * 2
    )
    assert {code for name, code in codes.items() if name.startswith("good")} == {None}
    assert {code for name, code in codes.items() if name.startswith("cap")} == {"AllocationFailed"}
    assert (state(client, "bad")["fired"], state(client, "cap")["fired"]) == (2, 3)


def test_faults_and_what_they_counted_survive_a_kill(fresh: ServiceProcess) -> None:
    fresh.start()
    fresh.client.make_cluster()
    add(fresh.client, match={"operation": "create_node_pool"}, refuse="SkuNotAvailable", count=3)
    assert [put(fresh.client, "np1").status_code for _ in range(2)] == [409, 409]
    before = fresh.client.get(FAULTS).json()
    fresh.kill()
    fresh.start()
    assert fresh.client.get(FAULTS).json() == before
    assert [put(fresh.client, "np1").status_code for _ in range(2)] == [409, 201]
    assert state(fresh.client)["isSpent"]
