"""Small templates, the world they are prepared in, and what becomes of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from poolwright.domain.deployment import DeploymentId, PreparedDeployment
from poolwright.templates.preparation import prepare
from poolwright.templates.requested import Requested
from poolwright.templates.world import World

SUBSCRIPTION = "00000000-0000-4000-8000-000000000000"
GROUP = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg"
CLUSTERS, POOLS = "Microsoft.ContainerService/managedClusters", "Microsoft.ContainerService/managedClusters/agentPools"
NAMES = (CLUSTERS, POOLS, "Microsoft.Resources/deployments", "Microsoft.Resources/resourceGroups")
SCOPES = ("group", "group", "any", "subscription")
HERE = DeploymentId(SUBSCRIPTION, "rg", "main")
BELOW_SUBSCRIPTION = DeploymentId(SUBSCRIPTION, None, "main")
BICEP = Path(__file__).parent / "bicep"


def cleaned(body: dict[str, Any]) -> dict[str, Any]:
    def clean(part: Any) -> Any:
        if isinstance(part, dict):
            return {name: clean(each) for name, each in part.items() if name.lower() != "adminpassword"}
        return [clean(each) for each in part] if isinstance(part, list) else part

    return dict(clean(body))


WORLD = World(
    require_access=lambda resource: None,
    types={name.lower(): (name, scope) for name, scope in zip(NAMES, SCOPES, strict=True)},
    group=lambda subscription, group: (
        {"id": f"/subscriptions/{subscription}/resourceGroups/{group}", "location": "eastus"} if group == "rg" else None
    ),
    subscription=lambda identifier: (
        {"id": f"/subscriptions/{identifier}", "subscriptionId": identifier} if identifier == SUBSCRIPTION else None
    ),
    facts={},
    cleaned=cleaned,
    now=1_750_000_000.0,
    new_id=lambda: "made",
    correlation_id="c0ffee00-0000-4000-8000-000000000000",
)


def cluster(name: str = "c1", **more: Any) -> dict[str, Any]:
    return {"type": CLUSTERS, "apiVersion": "2025-10-01", "name": name, "location": "eastus", "properties": {}, **more}


def pool(name: str = "c1/np1", **more: Any) -> dict[str, Any]:
    return {"type": POOLS, "apiVersion": "2025-10-01", "name": name, "properties": {"count": 1}, **more}


def module(name: str, template: Mapping[str, Any], parameters: Mapping[str, Any] | None = None, **more: Any) -> Any:
    return {
        "type": "Microsoft.Resources/deployments",
        "apiVersion": "2025-04-01",
        "name": name,
        "properties": {
            "mode": "Incremental",
            "expressionEvaluationOptions": {"scope": "inner"},
            "template": template,
            "parameters": {key: {"value": value} for key, value in (parameters or {}).items()},
        },
        **more,
    }


def prepared(
    resources: Any, given: Mapping[str, Any] | None = None, *, at: DeploymentId = HERE, **sections: Any
) -> PreparedDeployment:
    sent = {name: {"value": value} for name, value in (given or {}).items()}
    location = None if at.group else "eastus"
    return prepare(at, Requested({"resources": resources, **sections}, sent, location), WORLD)


def names_by_stage(made: PreparedDeployment) -> list[list[str]]:
    number = max(resource.stage for resource in made.resources) + 1
    return [[each.name for each in made.resources if each.stage == stage] for stage in range(number)]
