"""The service that is fuzzed: populated, looked at from outside, and made whole again after what requests did to it.

Invariant: `State.digest` differs when anything that a client can change differs, and by nothing else.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from tests.support.service import ArmClient, ServiceProcess

# Not state: who tried what is written down whether or not it was allowed; the rest is DBOS's own bookkeeping.
LEFT_OUT: Final = ("pw_activity",)
PREFIX: Final = "pw_"
QUIET_SECONDS: Final = 10.0
_READER: Final = "acdd72a7-3385-48ef-bd42-f606fba81ae7"
# Names that are not a machine's, in turns.
_NAMES: Final = (
    {
        "location": "eastus",
        "snapshot": "snap",
        "configuration": "default",
        "deployment": "main",
        "namespace": "Microsoft.ContainerService",
        "feature": "EnableWindowsGen2VM",
        "family": "standardDSv5Family",
        "size": "Standard_D2s_v5",
    },
    {
        "location": "westus2",
        "snapshot": "snap",
        "configuration": "aksManagedAutoUpgradeSchedule",
        "deployment": "main",
        "namespace": "Microsoft.Compute",
        "feature": "nobodyKnowsIt",
        "family": "cores",
        "size": "Standard_D4ads_v6",
    },
)
IN_WEEK: Final = {"properties": {"timeInWeek": [{"day": "Monday", "hourSlots": [1, 2]}]}}
MAINTENANCE_WINDOW: Final = {
    "properties": {
        "maintenanceWindow": {
            "schedule": {"weekly": {"intervalWeeks": 1, "dayOfWeek": "Friday"}},
            "durationHours": 8,
            "startTime": "20:00",
        }
    }
}


def _deploying(schema: str, *resources: Mapping[str, Any]) -> dict[str, Any]:
    template = {
        "$schema": f"https://schema.management.azure.com/schemas/{schema}#",
        "contentVersion": "1.0.0.0",
        "resources": list(resources),
    }
    return {"properties": {"mode": "Incremental", "template": template}}


DEPLOY: Final = _deploying(
    "2019-04-01/deploymentTemplate.json",
    {
        "type": "Microsoft.ContainerService/managedClusters/agentPools",
        "apiVersion": "2025-10-01",
        "name": "c1/deployed",
        "properties": {"count": 1, "vmSize": "Standard_D2s_v5"},
    },
)
DEPLOY_GROUP: Final = _deploying(
    "2018-05-01/subscriptionDeploymentTemplate.json",
    {"type": "Microsoft.Resources/resourceGroups", "apiVersion": "2024-03-01", "name": "west", "location": "westus2"},
)
FAULT: Final = {"match": {"pool": "nobody", "step": "mark_succeeded"}, "effect": {"failAtStep": "never"}}
IMPORTED_SIZE: Final = {
    "resourceType": "virtualMachines",
    "name": "Standard_D2s_v5",
    "tier": "Standard",
    "size": "D2s_v5",
    "family": "standardDSv5Family",
    "locations": ["eastus"],
    "locationInfo": [{"location": "eastus", "zones": ["1", "2", "3"], "zoneDetails": []}],
    "capabilities": [
        {"name": name, "value": value}
        for name, value in {"HyperVGenerations": "V1,V2", "vCPUs": "2", "MemoryGB": "8"}.items()
    ],
    "restrictions": [],
}
_ENDED: Final = ("Succeeded", "Failed", "Canceled")


class State:
    """What the service keeps, read from its files by connections of its own."""

    def __init__(self, data_dir: Path) -> None:
        files = (data_dir / "poolwright.sqlite", data_dir / "machines" / "simulated.sqlite")
        self._connections = [sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=30) for file in files]
        self._versions: tuple[int, ...] = ()
        self._digest = b""

    def close(self) -> None:
        for connection in self._connections:
            connection.close()

    @property
    def digest(self) -> bytes:
        """A digest of every row. SQLite says whether anybody committed anything since it was made last."""
        versions = tuple(each.execute("PRAGMA data_version").fetchone()[0] for each in self._connections)
        if versions != self._versions:
            self._versions, self._digest = versions, self._made()
        return self._digest

    def is_quiet(self) -> bool:
        """Whether no operation is under way."""
        marks = ",".join("?" * len(_ENDED))
        (count,) = (
            self._connections[0]
            .execute(f"SELECT count(*) FROM pw_operations WHERE status NOT IN ({marks})", _ENDED)
            .fetchone()
        )
        return bool(count == 0)

    def operations(self) -> list[tuple[str, str]]:
        """ID and resource of operations, those begun last first; resource IDs are in lower case."""
        rows = self._connections[0].execute("SELECT id, resource_key FROM pw_operations ORDER BY rowid DESC LIMIT 200")
        return [(row[0], row[1]) for row in rows]

    def machines(self) -> list[str]:
        """Resource IDs of machines, in lower case."""
        return [row[0] for row in self._connections[0].execute("SELECT key FROM pw_machines ORDER BY key LIMIT 50")]

    def _made(self) -> bytes:
        seen = hashlib.sha256()
        for connection in self._connections:
            # One transaction, so that all tables are of the same moment.
            connection.execute("BEGIN")
            try:
                names = [
                    row[0]
                    for row in connection.execute("SELECT name FROM sqlite_master WHERE type='table' ORDER BY name")
                ]
                for name in names:
                    if name not in LEFT_OUT and (name.startswith(PREFIX) or name == "machines"):
                        seen.update(name.encode())
                        for row in sorted(map(repr, connection.execute(f'SELECT * FROM "{name}"'))):
                            seen.update(row.encode())
            finally:
                connection.execute("COMMIT")
        return seen.digest()


class World:
    """A populated service. `names` are the real ones of what the description's paths name."""

    def __init__(self, service: ServiceProcess) -> None:
        self.service = service
        self.client: ArmClient = service.client
        self.client.sent = None
        self.state = State(service.data_dir)
        # By the end of the names of operations at that scope.
        self._scopes = {
            "": self.client.subscription,
            "Group": self.client.group(),
            "Cluster": self.client.cluster(),
            "Pool": self.client.pool("np1"),
        }
        self._assignments = {end: str(uuid.uuid4()) for end in self._scopes}
        _populate(self.client)
        assert self.wait_quiet()
        self._assign()
        self._special = self._special_names()
        self._bodies = self._likely_bodies()
        self._whole = self.client.expect(200, self.client.get("/_poolwright/state")).content

    def close(self) -> None:
        self.state.close()

    @property
    def subscription(self) -> str:
        return self.client.subscription.rpartition("/")[2]

    def paths(self) -> list[dict[str, str]]:
        """Names that belong together, as paths have them: a row for each machine."""
        operations = self.state.operations()
        found = []
        for key in self.state.machines():
            parts = key.split("/")
            about = [operation for operation, resource in operations if key.startswith(f"{resource}/")]
            found.append(
                {"group": parts[4], "cluster": parts[8], "pool": parts[10], "machine": parts[12]}
                | _NAMES[len(found) % len(_NAMES)]
                | {"operation": about[0] if about else "none"}
            )
        return found or [{"group": "rg", "cluster": "c1", "pool": "sys"} | _NAMES[0]]

    def names_for(self, operation: str) -> Mapping[str, str]:
        """The names that mean something else in that operation's path."""
        if operation.startswith("RoleAssignments"):
            name = self._assignments[operation.partition("At")[2]]
            return {"group": "rg", "cluster": "c1", "pool": "np1", "name": name}
        return next((names for prefix, names in self._special.items() if operation.startswith(prefix)), {})

    def body_for(self, operation: str, names: Mapping[str, str]) -> Any:
        """A body that such an operation is likely to take; None where there is none of ours."""
        return next((body(names) for prefix, body in self._bodies.items() if operation.startswith(prefix)), None)

    def wait_quiet(self) -> bool:
        """Wait until no operation is under way; returns whether that was soon."""
        deadline = time.monotonic() + QUIET_SECONDS
        while not self.state.is_quiet():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.002)
        return True

    def is_whole(self) -> bool:
        """Whether what most requests are about is there."""
        return all(
            self.client.get(path).status_code == 200
            for path in (self.client.pool("np1"), self.client.pool("vms", "c2", "west"), _snapshot(self.client))
        )

    def make_whole(self) -> None:
        """Bring back the state there was at first. Operations that take too long are stopped by a reset."""
        if not self.wait_quiet():
            self.client.expect(204, self.client.post("/_poolwright/reset"))
        reply = self.client.put("/_poolwright/state", params={"replace": "true"}, content=self._whole)
        self.client.expect(204, reply)
        self._assign()

    def rss_bytes(self) -> int:
        """The memory that the service's process has now."""
        status = Path(f"/proc/{self.service.pid}/status").read_text()
        return next(1024 * int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:"))

    def _assign(self) -> None:
        """A role assignment at every scope that may be deleted; the caller keeps its own."""
        for end, scope in self._scopes.items():
            path = f"{scope}/providers/Microsoft.Authorization/roleAssignments/{self._assignments[end]}"
            # It is there already, or another one is that says the same.
            self.client.expect((200, 201, 409), self.client.put(path, json=self._reader()))

    def _reader(self) -> dict[str, Any]:
        held = self.client.get(f"{self.client.subscription}/providers/Microsoft.Authorization/roleAssignments")
        properties: Mapping[str, Any] = self.client.expect(200, held).json()["value"][0]["properties"]
        definition = f"{self.client.subscription}/providers/Microsoft.Authorization/roleDefinitions/{_READER}"
        return {"properties": {"roleDefinitionId": definition, "principalId": properties["principalId"]}}

    def _special_names(self) -> dict[str, dict[str, str]]:
        listed = self.client.expect(200, self.client.get(f"{_deployment(self.client)}/operations")).json()["value"]
        key = _deployment(self.client).lower()
        (begun,) = [operation for operation, resource in self.state.operations() if resource == key]
        return {
            "Faults": {"name": "harmless"},
            "RoleDefinitions": {"name": _READER},
            "Snapshots": {"group": "rg"},
            "MaintenanceConfigurations": {"group": "rg", "cluster": "c1"},
            "DeploymentOperations": {"group": "rg", "operation": listed[0]["operationId"]},
            "Deployments": {"group": "rg", "operation": begun},
        }

    def _likely_bodies(self) -> dict[str, Callable[[Mapping[str, str]], Any]]:
        source = {"creationData": {"sourceResourceId": self.client.pool("np1")}}
        reader = self._reader()
        return {
            "AgentPools_DeleteMachines": lambda names: {"machineNames": [names.get("machine", "none")]},
            "ManagedClusters_UpdateTags": lambda names: {"tags": {"a": "b"}},
            "ResourceGroups_Update": lambda names: {"tags": {"a": "b"}},
            "Snapshots_UpdateTags": lambda names: {"tags": {"a": "b"}},
            "Snapshots_CreateOrUpdate": lambda names: {"location": "eastus", "properties": source},
            "MaintenanceConfigurations": lambda names: (
                IN_WEEK if names["configuration"] == "default" else MAINTENANCE_WINDOW
            ),
            **{
                f"Deployments_{verb}AtSubscriptionScope": lambda names: {"location": "eastus"} | DEPLOY_GROUP
                for verb in ("CreateOrUpdate", "Validate", "WhatIf")
            },
            "Deployments": lambda names: DEPLOY,
            "RoleAssignments": lambda names: reader,
            "Faults_Put": lambda names: FAULT,
            "Catalog_RestrictSize": lambda names: {
                "restrictions": [{"type": "Location", "reasonCode": "NotAvailableForSubscription"}]
            },
            "Catalog_Import": lambda names: [IMPORTED_SIZE],
            "State_Import": lambda names: json.loads(self._whole),
        }


def _snapshot(client: ArmClient) -> str:
    return f"{client.group()}/providers/Microsoft.ContainerService/snapshots/snap"


def _deployment(client: ArmClient) -> str:
    return f"{client.group()}/providers/Microsoft.Resources/deployments/main"


def _populate(client: ArmClient) -> None:
    """Two clusters in two locations, with node pools of every kind, and of everything else at least one."""
    client.make_cluster()
    client.make_pool("np1", {"count": 3, "vmSize": "Standard_D2s_v5"})
    client.make_pool("win1", {"count": 1, "osType": "Windows", "osSKU": "Windows2022", "vmSize": "Standard_D2s_v5"})
    client.expect(201, client.put(client.group("west"), json={"location": "westus2"}))
    pools = [{"name": "sys", "mode": "System", "count": 1}]
    body = {"location": "westus2", "properties": {"agentPoolProfiles": pools}}
    client.done(client.put(client.cluster("c2", "west"), json=body))
    manual = [{"size": "Standard_D2s_v5", "count": 1}, {"size": "Standard_D4s_v5", "count": 1}]
    virtual_machines = {"type": "VirtualMachines", "virtualMachinesProfile": {"scale": {"manual": manual}}}
    client.make_pool("vms", virtual_machines, cluster="c2", group="west")
    source = {"creationData": {"sourceResourceId": client.pool("np1")}}
    client.expect(201, client.put(_snapshot(client), json={"location": "eastus", "properties": source}))
    maintenance = f"{client.cluster()}/maintenanceConfigurations"
    client.expect(201, client.put(f"{maintenance}/default", json=IN_WEEK))
    client.expect(201, client.put(f"{maintenance}/aksManagedAutoUpgradeSchedule", json=MAINTENANCE_WINDOW))
    quota = f"{client.subscription}/providers/Microsoft.Compute/locations/eastus/usages/standardDSv5Family"
    client.expect(200, client.put(quota, json={"limit": 500}))
    client.expect(201, client.put("/_poolwright/faults/harmless", json=FAULT))
    feature = f"{client.subscription}/providers/Microsoft.Features/providers/Microsoft.ContainerService/features"
    client.expect(200, client.post(f"{feature}/EnableWindowsGen2VM/register"))
    client.expect(201, client.put(_deployment(client), json=DEPLOY))
    below = f"{client.subscription}/providers/Microsoft.Resources/deployments/main"
    client.expect(201, client.put(below, json={"location": "eastus"} | DEPLOY_GROUP))
