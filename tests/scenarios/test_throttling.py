"""AKS's request limits: by default none; with the setting as documented; and the SDK that waits as it is told."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from azure.core.exceptions import HttpResponseError
from azure.identity import ClientSecretCredential
from azure.mgmt.containerservice import ContainerServiceClient
from azure.mgmt.containerservice.models import AgentPool

from poolwright.arm.throttle import MOST_BUCKETS, Throttle
from poolwright.errors import Throttled
from tests.support.in_process import InProcess
from tests.support.service import ArmClient, ServiceProcess


@pytest.fixture
def app(tmp_path: Path) -> Iterator[InProcess]:
    service = InProcess(tmp_path / "data", throttled=True)
    moment = service.now()
    service.now = lambda: moment
    service.client.make_cluster()
    service.now = lambda: moment + 600.0
    yield service
    service.close()


def pass_time(app: InProcess, seconds: float) -> None:
    later = app.now() + seconds
    app.now = lambda: later


def test_puts_of_a_node_pool_come_twenty_at_once_and_then_one_a_minute(app: InProcess) -> None:
    body = {"properties": {"count": 1}}

    def put(name: str) -> int:
        return app.client.put(app.client.pool(name), json=body).status_code

    assert [put("np1") for _ in range(20)] == [201, *[200] * 19]
    refused = app.client.put(app.client.pool("NP1"), json=body)
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "60")
    error = refused.json()["error"]
    assert error["code"] == "Throttled"
    assert error["message"].startswith("The PutAgentPoolHandler.PUT request limit has been exceeded for SubID='")
    assert error["message"].endswith(
        "retry again in 60 seconds. For more information, please visit aka.ms/aks/throttling"
    )
    assert put("np2") == 201
    pass_time(app, 59)
    assert app.client.put(app.client.pool("np1"), json=body).headers["Retry-After"] == "1"
    pass_time(app, 1)
    assert (put("np1"), put("np1")) == (200, 429)


def test_polling_has_a_larger_bucket_and_reading_one_for_all(app: InProcess) -> None:
    reply = app.client.put(app.client.pool("np1"), json={"properties": {"count": 1}})
    url = reply.headers["Azure-AsyncOperation"]
    assert [app.client.get(url, params={}).status_code for _ in range(201)] == [200] * 200 + [429]
    statuses = [app.client.get(app.client.pool("np1")).status_code for _ in range(61)]
    assert statuses == [200] * 60 + [429]
    # Neither resource groups nor faults are AKS's.
    assert app.client.get(app.client.group()).status_code == 200
    assert app.client.get("/_poolwright/faults").status_code == 200
    pass_time(app, 1)
    assert app.client.get(app.client.pool("np1")).status_code == 200


def test_somebody_who_may_not_uses_up_nothing(app: InProcess) -> None:
    nobody, path = app.make_principal("nobody"), app.client.pool("np1")
    assert {nobody.put(path, json={}).status_code for _ in range(25)} == {403}
    assert app.client.put(path, json={"properties": {"count": 1}}).status_code == 201


def test_without_the_setting_nobody_waits(service: ServiceProcess) -> None:
    client = service.client
    client.make_cluster()
    assert {client.get(client.pool("sys")).status_code for _ in range(100)} == {200}


def test_buckets_in_memory_are_bounded() -> None:
    throttle = Throttle(lambda: 0.0)
    path = "/subscriptions/s/resourcegroups/rg/providers/microsoft.containerservice/managedclusters/c/agentpools/{}"
    for number in range(MOST_BUCKETS + 10):
        throttle.require("PUT", path.format(number))
    assert len(throttle._buckets) == MOST_BUCKETS
    for _ in range(19):
        throttle.require("PUT", path.format(MOST_BUCKETS + 9))
    with pytest.raises(Throttled):
        throttle.require("PUT", path.format(MOST_BUCKETS + 9))


def sdk(service: ServiceProcess, **options: object) -> ContainerServiceClient:
    known = service.credentials
    credential = ClientSecretCredential(
        known["tenantId"],
        known["clientId"],
        known["clientSecret"],
        authority=service.url,
        disable_instance_discovery=True,
    )
    return ContainerServiceClient(
        credential, known["subscriptionId"], base_url=service.url, polling_interval=1, **options
    )


@pytest.fixture(scope="module")
def throttled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    process = ServiceProcess(tmp_path_factory.mktemp("throttled") / "data", throttle="documented").start()
    process.client.make_cluster()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REQUESTS_CA_BUNDLE", str(process.ca))
        yield process
    process.stop()


def test_a_script_of_the_sdk_that_asks_too_often_succeeds_in_the_end(throttled: ServiceProcess) -> None:
    with sdk(throttled) as client:
        started = time.monotonic()
        for _ in range(64):
            assert client.agent_pools.get("rg", "c1", "sys").name == "sys"
        # Sixty at once; the others came when Retry-After said so.
        assert time.monotonic() - started >= 2


def test_the_sdk_sends_a_throttled_put_again_and_waits_for_its_operation(throttled: ServiceProcess) -> None:
    client: ArmClient = throttled.client
    fault = {"match": {"method": "PUT", "path": "*/agentPools/np1"}, "effect": {"throttle": 1}, "count": 2}
    assert client.put("/_poolwright/faults/busy", json=fault).status_code == 201
    polls = {"match": {"method": "GET", "path": "*/operations/*"}, "effect": {"throttle": 1}, "count": 1}
    assert client.put("/_poolwright/faults/polls", json=polls).status_code == 201
    with sdk(throttled) as azure:
        pool = azure.agent_pools.begin_create_or_update("rg", "c1", "np1", AgentPool(count=1, mode="User")).result()
        assert pool.provisioning_state == "Succeeded"
    states = [fault["state"]["fired"] for fault in client.get("/_poolwright/faults").json()["value"]]
    assert states == [2, 1]
    assert client.delete("/_poolwright/faults").json() == {"cleared": 2}


def test_the_sdk_shows_a_throttled_request_it_may_not_send_again(throttled: ServiceProcess) -> None:
    client: ArmClient = throttled.client
    fault = {"match": {"path": "*/agentPools/sys"}, "effect": {"throttle": 30}, "count": 1}
    assert client.put("/_poolwright/faults/busy", json=fault).status_code == 201
    with sdk(throttled, retry_total=0) as azure, pytest.raises(HttpResponseError) as refused:
        azure.agent_pools.get("rg", "c1", "sys")
    assert refused.value.status_code == 429
    assert refused.value.error is not None
    assert refused.value.error.code == "Throttled"
