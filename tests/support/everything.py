"""All that a client can see of a service, to prove that a request changed nothing."""

from __future__ import annotations

from typing import Any

from tests.support.service import ArmClient


def everything(client: ArmClient) -> dict[str, Any]:
    """Return path -> JSON of everything there is: groups, clusters and what belongs to them, snapshots, machines."""
    seen: dict[str, Any] = {}
    provider = f"{client.subscription}/providers/Microsoft.ContainerService"
    clusters = f"{provider}/managedClusters"
    for path in (f"{client.subscription}/resourceGroups", clusters, f"{provider}/snapshots"):
        seen[path] = _get(client, path)
    for cluster in seen[clusters]["value"]:
        configurations = f"{cluster['id']}/maintenanceConfigurations"
        seen[configurations] = _get(client, configurations)
        pools = f"{cluster['id']}/agentPools"
        seen[pools] = _get(client, pools)
        for pool in seen[pools]["value"]:
            seen[f"{pool['id']}/machines"] = _get(client, f"{pool['id']}/machines")
    return seen


def _get(client: ArmClient, path: str) -> Any:
    reply = client.get(path)
    assert reply.status_code == 200, reply.text
    return reply.json()
