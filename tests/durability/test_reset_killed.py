"""A service killed in the middle of a reset, of an import, or of seeding finishes that at the next start."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from poolwright.testing import Service
from tests.support.everything import everything

RESET = "/_poolwright/reset"
SEED = {
    "resourceGroups": [
        {
            "name": "rg",
            "location": "eastus",
            "clusters": [
                {
                    "name": "c1",
                    "nodePools": [
                        {"name": "sys", "properties": {"mode": "System", "count": 1}},
                        *({"name": f"np{number}", "properties": {"count": 3}} for number in range(5)),
                    ],
                }
            ],
        }
    ]
}


@pytest.fixture
def seeded(tmp_path: Path) -> Iterator[Service]:
    file = tmp_path / "seed.json"
    file.write_text(json.dumps(SEED))
    service = Service(tmp_path / "data", seed=file)
    yield service
    if service.is_running:
        service.kill()


def require_seeded(service: Service) -> None:
    """The seed is there and nothing else, in the store and in the engine."""
    state = service.client.expect(200, service.client.get("/_poolwright/state")).json()
    assert [pool["id"]["pool"] for pool in state["node_pools"]] == ["np0", "np1", "np2", "np3", "np4", "sys"]
    assert {pool["state"] for pool in state["node_pools"]} == {"Succeeded"}
    machines = sorted(part["machine"]["spec"]["key"] for part in state["machines"])
    assert len(machines) == 16
    assert machines == [machine["key"] for machine in state["engine"]["machines"]]


def send(service: Service, path: str) -> threading.Thread:
    """Post in a thread; the service may be killed before it answers."""
    client = service.client

    def post() -> None:
        with contextlib.suppress(httpx.TransportError):
            client.post(path)

    sending = threading.Thread(target=post)
    sending.start()
    return sending


@pytest.mark.parametrize("milliseconds", [0, 1, 2, 4, 8, 15, 30, 60, 120, 250])
def test_a_kill_at_any_moment_of_a_reset_leads_to_the_seed(seeded: Service, milliseconds: int) -> None:
    client = seeded.start().client
    client.make_pool("mine", {"count": 5})
    client.put(client.pool("busy"), json={"properties": {"count": 50}})
    sending = send(seeded, RESET)
    threading.Event().wait(milliseconds / 1000)
    seeded.kill()
    sending.join()

    client = seeded.start().client
    names = [pool["name"] for pool in client.get(f"{client.pool('')}".rstrip("/")).json()["value"]]
    if "mine" in names:
        # The kill came before the reset was decided: everything is as it was, and a reset does it all.
        client.operation(client.put(client.pool("mine"), json={"properties": {"count": 1}}))
        seeded.reset()
    require_seeded(seeded)


@pytest.mark.parametrize("place", ["create_cluster:add_machines:after", "create_node_pool:await_ready:before"])
def test_a_kill_while_a_seed_comes_about_is_made_good_at_the_next_start(seeded: Service, place: str) -> None:
    seeded.launch(test_crash=place)
    assert seeded.wait() == -9
    seeded.start()
    require_seeded(seeded)


def test_a_reset_stops_an_operation_that_waits_for_its_machines(tmp_path: Path) -> None:
    service = Service(tmp_path / "data").start()
    try:
        service.client.make_cluster()
        service.stop()
        client = service.start(simulated_boot_seconds=600).client
        client.put(client.pool("slow"), json={"properties": {"count": 3}})
        reply: dict[str, Any] = client.get(client.pool("slow")).json()
        assert reply["properties"]["provisioningState"] == "Creating"

        service.reset()

        state = client.expect(200, client.get("/_poolwright/state")).json()
        assert (state["node_pools"], state["machines"], state["engine"]["machines"]) == ([], [], [])
        assert "operation_step_failed" not in service.log()
        # Names of before are free, and nothing of before comes back.
        client.put(client.group(), json={"location": "eastus"})
        assert client.get(client.cluster()).status_code == 404
    finally:
        service.kill()


def without_identity(service: Service, shown: object) -> str:
    """What a service shows, whoever it belongs to: identity is no part of its state."""
    credentials = service.credentials
    return json.dumps(shown).replace(credentials["subscriptionId"], "SUB").replace(credentials["tenantId"], "TENANT")


def test_an_import_survives_a_kill_right_after_its_answer(seeded: Service, tmp_path: Path) -> None:
    client = seeded.start().client
    document = client.get("/_poolwright/state").content
    other = Service(tmp_path / "other").start()
    try:
        other.client.expect(204, other.client.put("/_poolwright/state", content=document))
        other.kill()
        other.start()
        assert without_identity(other, everything(other.client)) == without_identity(seeded, everything(client))
        require_seeded(other)
    finally:
        other.kill()
