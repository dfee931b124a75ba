"""A service killed around a fault counts it once and does what it does once."""

from __future__ import annotations

import random
import signal
import threading
from contextlib import suppress
from typing import Any

import httpx
import pytest

from tests.support.service import ArmClient, ServiceProcess

FAULTS = "/_poolwright/faults"
TRUSTED = {"securityProfile": {"enableVTPM": True, "enableSecureBoot": True}}
# Fault, and what its operation's error says.
CASES: dict[str, tuple[dict[str, Any], str, str]] = {
    "fails": (
        {"match": {"step": "{step}"}, "effect": {"failAtStep": "no disk"}},
        "await_ready",
        "no disk",
    ),
    "refused": ({"match": {"step": "{step}"}, "effect": {"refuse": "OperationPreempted"}}, "plan_waves", "Another"),
    "lost": ({"match": {"step": "{step}"}, "effect": {"loseMachine": 1}}, "await_ready", "1 machine(s) vanished"),
    "no room": ({"effect": {"noCapacity": "AllocationFailed"}}, "add_machines", "Allocation failed."),
    "no quota": ({"match": {"step": "{step}"}, "effect": {"quotaShort": True}}, "add_machines", "Insufficient vcpu"),
    "unsigned": (
        {"effect": {"unsignedDriver": True}},
        "add_machines",
        "1 machine(s) will not become ready (Sec",
    ),
}


def put(client: ArmClient, name: str, **properties: Any) -> httpx.Response:
    return client.put(client.pool(name), json={"properties": {"count": 2, **TRUSTED} | properties})


def ended(client: ArmClient, name: str) -> dict[str, Any]:
    for _ in range(3000):
        pool: dict[str, Any] = client.get(client.pool(name)).json()["properties"]
        if pool["provisioningState"] in ("Succeeded", "Failed"):
            return pool
        threading.Event().wait(0.02)
    raise AssertionError(f"still {pool['provisioningState']}")


def state(client: ArmClient, name: str = "f") -> dict[str, Any]:
    found: dict[str, Any] = client.get(f"{FAULTS}/{name}").json()["state"]
    return found


@pytest.mark.parametrize("case", CASES)
def test_a_fault_that_fired_right_before_a_kill_is_neither_lost_nor_doubled(case: str, fresh: ServiceProcess) -> None:
    fault, step, message = CASES[case]
    match = {name: value.format(step=step) for name, value in fault.get("match", {}).items()}
    fresh.start(test_crash=f"create_node_pool:{step}:after")
    fresh.client.make_cluster()
    assert fresh.client.put(f"{FAULTS}/f", json=fault | {"match": match, "count": 1}).status_code == 201
    with suppress(httpx.TransportError):
        put(fresh.client, "np1")
    assert fresh.wait() == -signal.SIGKILL, fresh.log()[-2000:]
    fresh.start()
    pool = ended(fresh.client, "np1")
    assert pool["provisioningState"] == "Failed"
    assert pool["status"]["provisioningError"]["message"].startswith(message)
    told = state(fresh.client)
    assert (told["matched"], told["fired"], len(told["firings"])) == (1, 1, 1)
    put(fresh.client, "np1")
    assert ended(fresh.client, "np1")["provisioningState"] == "Succeeded"
    assert len(fresh.client.get(f"{fresh.client.pool('np1')}/machines").json()["value"]) == 2
    assert state(fresh.client)["fired"] == 1


def test_a_delay_that_a_kill_interrupted_is_not_begun_again(fresh: ServiceProcess) -> None:
    fresh.start(test_crash="create_node_pool:plan_waves:after")
    fresh.client.make_cluster()
    fault = {"match": {"step": "plan_waves", "pool": "np1"}, "effect": {"delaySeconds": 1}, "count": 1}
    assert fresh.client.put(f"{FAULTS}/f", json=fault).status_code == 201
    with suppress(httpx.TransportError):
        put(fresh.client, "np1")
    assert fresh.wait() == -signal.SIGKILL
    fresh.start()
    assert ended(fresh.client, "np1")["provisioningState"] == "Succeeded"
    assert state(fresh.client)["fired"] == 1


@pytest.mark.parametrize("seed", range(3))
def test_of_many_kills_at_random_a_fault_fires_exactly_as_often_as_it_should(seed: int, fresh: ServiceProcess) -> None:
    chance = random.Random(seed)
    fresh.start()
    fresh.client.make_cluster()
    fault = {"match": {"step": "await_ready"}, "effect": {"failAtStep": "bad luck"}, "count": 3}
    assert fresh.client.put(f"{FAULTS}/f", json=fault).status_code == 201
    for number in range(8):
        killer = threading.Timer(chance.uniform(0.0, 0.15), fresh.kill) if number % 2 else None
        if killer is not None:
            killer.start()
        with suppress(httpx.TransportError):
            put(fresh.client, f"p{number}", securityProfile={})
        if killer is not None:
            killer.join()
            fresh.start()
    pools = [pool["name"] for pool in fresh.client.get(f"{fresh.client.cluster()}/agentPools").json()["value"]]
    states = [ended(fresh.client, name)["provisioningState"] for name in pools]
    told = state(fresh.client)
    assert (states.count("Failed"), told["fired"], told["matched"]) == (3, 3, 3)
    assert len(told["firings"]) == 3
