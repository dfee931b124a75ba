"""A real service killed in the middle of deployments: at each of their steps, in the operations they begin, at random.

When it starts again, every deployment finishes, and every resource was accepted once and has its machines.
"""

from __future__ import annotations

import json
import signal
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from poolwright.operations.plans import STAGE_STEPS
from tests.durability.test_crash_at_every_step import machine_rows, machines, operations
from tests.support.service import ArmClient, ServiceProcess

DEADLINE_SECONDS = 60
BICEP = Path(__file__).parent.parent / "templates" / "bicep"
PLACES = [
    *(
        f"create_deployment:{step}:{moment}"
        for step in (*STAGE_STEPS, "conclude_deployment")
        for moment in ("before", "after")
    ),
    "create_deployment:stage_2.deploy_resources:after",
    "create_deployment:stage_3.await_resources:before",
    "create_cluster:add_machines:after",
    "create_node_pool:mark_succeeded:before",
]


@pytest.mark.parametrize("place", PLACES)
def test_a_deployment_killed_at_a_step_is_finished_by_the_next_start(place: str, fresh: ServiceProcess) -> None:
    fresh.start(test_crash=place)
    put(fresh.client)
    assert fresh.wait() == -signal.SIGKILL, f"not killed\n{fresh.log()[-2000:]}"
    fresh.start()
    require_finished(fresh)


def test_a_deployment_with_modules_killed_again_and_again_is_finished(fresh: ServiceProcess) -> None:
    fresh.start(simulated_boot_seconds=0.3)
    put(fresh.client)
    for tenth in (1, 3, 6, 9):
        threading.Event().wait(tenth / 10)
        fresh.kill()
        fresh.start(simulated_boot_seconds=0.3)
    require_finished(fresh)


def put(client: ArmClient) -> None:
    """Begin a deployment to the subscription: a group, a cluster in a module, and serial node pools in another."""
    pools = json.loads((BICEP / "node-pools.json").read_text())
    module = {
        "type": "Microsoft.Resources/deployments",
        "apiVersion": "2025-04-01",
        "name": "pools",
        "resourceGroup": "made",
        "properties": {
            "mode": "Incremental",
            "expressionEvaluationOptions": {"scope": "inner"},
            "parameters": {
                "clusterName": {"value": "c1"},
                "adminPassword": {"value": "[parameters('adminPassword')]"},
                "pools": {"value": [{"name": "np1", "count": 1, "generation": "V1"}, {"name": "np2", "count": 2}]},
            },
            "template": pools,
        },
        "dependsOn": ["group"],
    }
    group = {
        "type": "Microsoft.Resources/resourceGroups",
        "apiVersion": "2024-11-01",
        "name": "made",
        "location": "[deployment().location]",
    }
    template = {
        "languageVersion": "2.0",
        "parameters": {"adminPassword": {"type": "securestring"}},
        "resources": {"group": group, "pools": module},
        "outputs": {"fqdn": {"type": "string", "value": "[reference('pools').outputs.clusterFqdn.value]"}},
    }
    sent = {"mode": "Incremental", "template": template, "parameters": {"adminPassword": {"value": "hunter2-hunter2"}}}
    # The process may die before it answers.
    with suppress(httpx.TransportError):
        reply = client.put(main(client), json={"location": "eastus", "properties": sent})
        assert reply.status_code == 201, reply.text


def main(client: ArmClient) -> str:
    return f"{client.subscription}/providers/Microsoft.Resources/deployments/main"


def require_finished(service: ServiceProcess) -> None:
    client = service.client
    deadline = time.monotonic() + DEADLINE_SECONDS
    shown: dict[str, Any] = {}
    while time.monotonic() < deadline:
        shown = client.get(main(client)).json()["properties"]
        if shown["provisioningState"] not in ("Accepted", "Running"):
            break
        threading.Event().wait(0.05)
    assert shown["provisioningState"] == "Succeeded", shown
    assert shown["outputs"]["fqdn"]["value"] == client.get(client.cluster("c1", "made")).json()["properties"]["fqdn"]
    kinds = [kind for (_, kind), status in operations(service.data_dir).items() if status == "Succeeded"]
    assert sorted(kinds) == [
        "create_cluster",
        "create_deployment",
        "create_deployment",
        "create_node_pool",
        "create_node_pool",
    ]
    booted = machines(service.data_dir)
    assert machine_rows(service.data_dir) == booted.keys()
    assert len(booted) == 4
    assert set(booted.values()) == {1}
    generations = {
        name: client.get(client.pool(name, group="made")).json()["properties"]["poolwright"]["resolvedGeneration"]
        for name in ("np1", "np2")
    }
    assert generations == {"np1": "V1", "np2": "V2"}
    stored = (service.data_dir / "poolwright.sqlite").read_bytes()
    assert b"hunter2" not in stored
