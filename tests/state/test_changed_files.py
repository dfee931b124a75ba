"""A state file that somebody changed by hand: refused with the place, or brought back so that all of it can be read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.state.test_state import USAGES, add_what_stands_beside, exported, imported
from tests.support.in_process import InProcess

Place = tuple[str | int, ...]

REMOVED: Final = object()
# What stands in the place of a value: other types, out of range, no name of anything.
IN_ITS_PLACE: Final = (
    REMOVED,
    None,
    7,
    -5,
    10**12,
    10**30,
    1.5,
    1e300,
    True,
    "",
    "Bad Name!",
    "Standard_Nope",
    "Creating",
    "x\r\ny: z/é",
    [],
    [7],
    {},
    {"id": 5, "x": [None]},
)


class Changed:
    """A service whose whole export is known, and that is brought back to it whenever something else was imported."""

    def __init__(self, path: Path) -> None:
        self.service = InProcess(path)
        client = self.service.client
        client.make_cluster(windowsProfile={"adminUsername": "azureuser"}, networkProfile={"networkPlugin": "azure"})
        client.make_pool(
            "np1",
            {
                "vmSize": "Standard_D2s_v5",
                "count": 1,
                "upgradeSettings": {"maxSurge": "50%"},
                "nodeLabels": {"a": "b"},
                "enableAutoScaling": True,
                "minCount": 1,
                "maxCount": 3,
            },
        )
        client.make_pool("np1", {"vmSize": "Standard_D4s_v5", "count": 1})
        self.service.behaviour.never_ready = ("000001",)
        client.operation(client.put(client.pool("bad"), json={"properties": {"count": 2}}))
        self.service.behaviour.never_ready = ()
        client.make_pool("lost", {"count": 1})
        client.put(f"{client.subscription}{USAGES}/cores", json={"limit": 77})
        add_what_stands_beside(self.service)
        client.operation(
            client.put(
                f"{client.group()}/providers/Microsoft.Resources/deployments/d2",
                json={"properties": {"mode": "Incremental", "template": TEMPLATE}},
            )
        )
        self.document = exported(self.service)
        self.places = list(_places(self.document))

    def outcome(self, place: Place, value: object) -> tuple[httpx.Response, list[str]]:
        """What the import of the changed document answers, and what is wrong with the service afterwards."""
        document = json.loads(json.dumps(self.document))
        parent = document
        for part in place[:-1]:
            parent = parent[part]
        if value is REMOVED:
            del parent[place[-1]]
        else:
            parent[place[-1]] = value
        reply = imported(self.service, document, replace=True)
        if reply.status_code == 400:
            same = {**exported(self.service), "made": ""} == {**self.document, "made": ""}
            named = bool(reply.json()["error"].get("target")) or place[0] in ("format", "subscription")
            return reply, [] if same and named else ["refused, and yet something has changed, or no place is named"]
        if reply.status_code != 204:
            return reply, [f"the import answers {reply.status_code}"]
        wrong = list(self._unreadable())
        assert imported(self.service, self.document, replace=True).status_code == 204
        return reply, wrong

    def _unreadable(self) -> Iterator[str]:
        """Every list and every item that does not answer 200."""
        client = self.service.client
        provider = f"{client.subscription}/providers/Microsoft.ContainerService"
        lists = [
            f"{client.subscription}/resourceGroups",
            f"{client.subscription}/resources",
            f"{provider}/managedClusters",
            f"{provider}/snapshots",
            f"{client.subscription}{USAGES}",
            f"{client.subscription}/providers/Microsoft.Features/features",
            f"{client.subscription}/providers/Microsoft.Resources/deployments",
            "/_poolwright/state",
            "/_poolwright/faults",
            "/_poolwright/catalog",
        ]
        # A list leads to its items, and an item to what belongs to it.
        for path in lists:
            reply = self._read(path)
            if reply.status_code != 200:
                yield f"{path}: {reply.status_code} {reply.text[:200]}"
                continue
            for item in reply.json().get("value", ()) if isinstance(reply.json(), dict) else ():
                identifier = item.get("id")
                if not isinstance(identifier, str):
                    if path == "/_poolwright/faults":
                        lists.append(f"{path}/{item['name']}")
                    continue
                kind = str(item.get("type", "")).lower()
                if kind.startswith("microsoft.containerservice/") or kind.startswith("microsoft.resources/"):
                    if identifier not in lists:
                        lists.append(identifier)
                    lists.extend(
                        deeper for part in BELOW.get(kind, ()) if (deeper := f"{identifier}/{part}") not in lists
                    )
        with self.service.database.engine.connect() as connection:
            ids = connection.exec_driver_sql("SELECT id FROM pw_operations").scalars().all()
        for operation in ids:
            reply = self._read(f"{provider}/locations/eastus/operations/{operation}")
            if reply.status_code != 200:
                yield f"operation {operation}: {reply.status_code} {reply.text[:200]}"

    def _read(self, path: str) -> httpx.Response:
        """Without the look at Azure's definitions: a subnet may be any text, in a request too."""
        client = self.service.client
        return httpx.Client.send(client, client.build_request("GET", path, params={"api-version": "2025-10-01"}))


BELOW: Final = {
    "microsoft.resources/resourcegroups": ("resources", "providers/Microsoft.Resources/deployments"),
    "microsoft.containerservice/managedclusters": (
        "agentPools",
        "maintenanceConfigurations",
        "upgradeProfiles/default",
        "availableAgentPoolVersions",
    ),
    "microsoft.containerservice/managedclusters/agentpools": ("machines", "upgradeProfiles/default"),
    "microsoft.resources/deployments": ("operations",),
}
TEMPLATE: Final[dict[str, Any]] = {
    "$schema": "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#",
    "contentVersion": "1.0.0.0",
    "resources": [
        {
            "type": "Microsoft.ContainerService/managedClusters/maintenanceConfigurations",
            "apiVersion": "2025-10-01",
            "name": "c1/aksManagedNodeOSUpgradeSchedule",
            "properties": {
                "maintenanceWindow": {
                    "schedule": {"daily": {"intervalDays": 1}},
                    "durationHours": 4,
                    "startTime": "01:00",
                }
            },
        }
    ],
}


def _places(value: Any, place: Place = ()) -> Iterator[Place]:
    """Every place in a document, the objects and lists too."""
    if place:
        yield place
    if isinstance(value, dict):
        for name, part in value.items():
            yield from _places(part, (*place, name))
    elif isinstance(value, list):
        for index, part in enumerate(value):
            yield from _places(part, (*place, index))


@pytest.fixture(scope="module")
def changed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Changed]:
    made = Changed(tmp_path_factory.mktemp("changed") / "data")
    yield made
    made.service.close()


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_one_changed_value_is_refused_or_harmless(changed: Changed, data: st.DataObject) -> None:
    # A table first, so that the many machines and templates do not take all the turns.
    top = data.draw(
        st.sampled_from(sorted({place[:2] if place[0] == "rows" else place[:1] for place in changed.places}))
    )
    place = data.draw(st.sampled_from([place for place in changed.places if place[: len(top)] == top]))
    value = data.draw(st.sampled_from(IN_ITS_PLACE))
    reply, wrong = changed.outcome(place, value)
    assert not wrong, (place, value, reply.text, wrong)
