"""Fleets for tests: the exports beside this file, made-up ones, and what they are judged by."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

from poolwright.domain.profile import Profile
from poolwright.fleet.audit import Audit, AuditedPool, audit
from poolwright.fleet.knowledge import knowledge_for
from poolwright.fleet.reading import read
from poolwright.fleet.targets import Targets
from poolwright.fleet.values import Fleet

EXPORTS = Path(__file__).parent / "exports"
TODAY = date(2026, 11, 26)
SUBSCRIPTION = "00000000-1111-2222-3333-444444444444"

Json = dict[str, Any]


def export(name: str) -> str:
    return (EXPORTS / name).read_text()


def exported() -> Fleet:
    """The fleet of every export beside this file."""
    return read((path.name, path.read_text()) for path in sorted(EXPORTS.glob("*.json")))


def targets_for(fleet: Fleet, profile: Profile = Profile.AZURE_2026) -> Targets:
    return Targets(knowledge_for(fleet, profile, TODAY))


def audited(fleet: Fleet, profile: Profile = Profile.AZURE_2026) -> Audit:
    return audit(fleet, targets_for(fleet, profile))


def pool(name: str = "np1", **properties: Any) -> Json:
    """A node pool as `az aks list` has it in a cluster."""
    known: Json = {"name": name, "mode": "User", "count": 3, "osType": "Linux", "type": "VirtualMachineScaleSets"}
    return known | {"vmSize": "Standard_D4_v3", "provisioningState": "Succeeded"} | properties


def cluster(*pools: Json, name: str = "c1", group: str = "rg", **members: Any) -> Json:
    """A cluster as `az aks list` has it."""
    identity = f"/subscriptions/{SUBSCRIPTION}/resourcegroups/{group}"
    return {
        "id": f"{identity}/providers/Microsoft.ContainerService/managedClusters/{name}",
        "name": name,
        "location": "eastus",
        "kubernetesVersion": "1.33.2",
        "provisioningState": "Succeeded",
        "agentPoolProfiles": list(pools),
    } | members


def fleet_of(*clusters: Json) -> Fleet:
    fleet = read([("fleet.json", json.dumps(list(clusters)))])
    assert not fleet.problems
    return fleet


def audited_pool(profile: Profile = Profile.AZURE_2026, **properties: Any) -> AuditedPool:
    """The only node pool of the only cluster, with these properties, audited."""
    (found,) = audited(fleet_of(cluster(pool(**properties))), profile).pools
    return found
