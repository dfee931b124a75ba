"""Every change is in the activity log, whoever made it: the local operator's, the service's, the seed's as well."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from poolwright import installation
from poolwright.administration import Administration
from poolwright.domain.roles import CONTRIBUTOR
from poolwright.identity import local_credentials
from poolwright.installation import DataDirectory
from poolwright.store import activity_statements
from tests.arm.test_catalog_import import ENTRY
from tests.scenarios.test_deployments import at, deployed, node_pools
from tests.seed.test_sections import GOOD
from tests.seed.test_seeding import seeder
from tests.support.in_process import InProcess
from tests.support.service import ArmClient

FAULT: dict[str, Any] = {"match": {"method": "PUT"}, "effect": {"delaySeconds": 0.001}}
RESTRICTED = {"type": "Location", "reasonCode": "NotAvailableForSubscription"}


@pytest.fixture
def app(tmp_path: Path) -> Iterator[InProcess]:
    service = InProcess(tmp_path / "data")
    yield service
    service.close()


def entries(client: ArmClient, provider: str | None = None, **wanted: str) -> list[dict[str, Any]]:
    """How changes stood, oldest first, with what they changed."""
    clauses = ["eventTimestamp ge '2020-01-01T00:00:00Z'", *(f"{name} eq '{value}'" for name, value in wanted.items())]
    if provider is not None:
        clauses.append(f"resourceProvider eq '{provider}'")
    path = f"{client.subscription}/providers/Microsoft.Insights/eventtypes/management/values"
    reply = client.get(path, params=dict(client.params) | {"$filter": " and ".join(clauses)})
    assert reply.status_code == 200, reply.text
    assert "nextLink" not in reply.json()
    shown = []
    for event in reversed(reply.json()["value"]):
        if event["eventName"]["value"] != "BeginRequest":
            event["before"], event["after"] = (json.loads(event["properties"][name]) for name in ("before", "after"))
            shown.append(event)
    return shown


def said(found: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    return [(event["caller"], event["operationName"]["value"], event["status"]["value"]) for event in found]


def local(app: InProcess, rest: str) -> str:
    return f"/subscriptions/{app.credentials.subscription_id}/providers/Poolwright/{rest}"


def test_the_first_start_is_the_service_s_own(app: InProcess) -> None:
    made, owner, role = entries(app.client)
    assert said([made, owner, role]) == [
        ("Poolwright", "Microsoft.Resources/subscriptions/write", "Succeeded"),
        ("Poolwright", "Poolwright/servicePrincipals/write", "Succeeded"),
        ("Poolwright", "Microsoft.Authorization/roleAssignments/write", "Succeeded"),
    ]
    assert owner["resourceType"]["value"] == "Poolwright/servicePrincipals"
    ((_, told),) = owner["after"].items()
    assert (told["appId"], told["displayName"]) == (app.credentials.client_id, "poolwright-owner")
    assert app.credentials.client_secret not in str(entries(app.client))


def test_a_secret_made_anew_at_a_start_is_logged(app: InProcess, tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path / "data")
    directory.credentials.unlink()
    before = len(entries(app.client))

    installation.ensure_identity(app.database, directory, local=True)
    installation.ensure_identity(app.database, directory, local=True)

    (reset,) = entries(app.client)[before:]
    assert said([reset]) == [("Poolwright", "Poolwright/servicePrincipals/resetSecret/action", "Succeeded")]
    known = local_credentials.read(directory.credentials)
    assert known is not None
    assert known.client_secret not in str(reset)


def test_principals_and_subscriptions_are_logged_where_they_belong(app: InProcess, tmp_path: Path) -> None:
    before = len(entries(app.client))
    with Administration(DataDirectory(tmp_path / "data")) as administration:
        administration.create_principal("ci", subscription=None, role="Reader", scope=None, expires=None)
        administration.reset_principal("ci", None, expires=1e10, local=True)
        administration.delete_principal("ci", None)
        made, credentials = administration.create_subscription("theirs", "new", local=True)
    assert credentials is not None

    found = entries(app.client)[before:]
    assert said(found) == [
        ("local operator", f"{kind}", "Succeeded")
        for kind in (
            "Poolwright/servicePrincipals/write",
            "Microsoft.Authorization/roleAssignments/write",
            "Poolwright/servicePrincipals/resetSecret/action",
            "Microsoft.Authorization/roleAssignments/delete",
            "Poolwright/servicePrincipals/delete",
        )
    ]
    assert [event["expires"] for event in (*found[2]["before"].values(), *found[2]["after"].values())] == [None, 1e10]
    with app.database.transaction() as connection:
        theirs, _ = activity_statements.events(
            connection, activity_statements.ActivityQuery(subscription=made.subscription_id), 10
        )
    assert [recorded.event.change.action for recorded in reversed(theirs)] == [
        "Microsoft.Resources/subscriptions/write",
        "Poolwright/servicePrincipals/write",
        "Microsoft.Authorization/roleAssignments/write",
    ]
    assert {recorded.event.change.tenant for recorded in theirs} == {made.tenant_id}


def test_faults_are_logged_with_what_they_were(app: InProcess) -> None:
    client, path = app.client, "/_poolwright/faults/slow"
    client.put(path, json=FAULT)
    client.put(path, json=FAULT | {"count": 2})
    assert client.delete(path).status_code == 204
    assert client.delete(path).status_code == 404
    client.put("/_poolwright/faults/other", json=FAULT)
    client.delete("/_poolwright/faults")

    found = entries(client, "Poolwright", resourceUri=local(app, "faults/slow"))

    owner = app.credentials.client_id
    assert said(found) == [(owner, f"Poolwright/faults/{verb}", "Succeeded") for verb in ("write", "write", "delete")]
    key = local(app, "faults/slow").lower()
    counts = [tuple(event[when].get(key, {}).get("count", "none") for when in ("before", "after")) for event in found]
    assert counts == [("none", None), (None, 2), (2, "none")]
    assert [event["subStatus"]["value"] for event in found] == ["Created", "OK", "NoContent"]
    (cleared,) = entries(client, resourceUri=local(app, "faults"))
    assert cleared["before"].keys() == {local(app, "faults/other").lower()}


def test_imports_restrictions_and_the_way_back_are_logged(app: InProcess) -> None:
    client = app.client
    catalog, size = "/_poolwright/catalog", "/_poolwright/locations/eastus/sizes/Standard_D2s_v5"
    for restrictions in ([RESTRICTED], []):
        assert client.put(size, json={"restrictions": restrictions}).status_code == 200
    assert client.put(catalog, content=json.dumps([ENTRY])).status_code == 200
    assert client.put(catalog, content="[{}]").status_code == 400
    assert client.delete(catalog).status_code == 200

    restricted, lifted, imported, back = entries(client, "Poolwright")[1:]

    assert restricted["operationName"]["value"] == "Poolwright/locations/sizes/write"
    ((key, one),) = restricted["after"].items()
    assert (key, one["restrictions"][0]["reason"]) == (
        local(app, "locations/eastus/sizes/standard_d2s_v5").lower(),
        "NotAvailableForSubscription",
    )
    assert (lifted["before"][key], lifted["after"][key]) == (one, {"restrictions": []})
    place = f"{local(app, 'catalog').lower()}/sizes/eastus"
    assert imported["after"][place]["entries"] == 1
    assert (back["operationName"]["value"], back["before"][place]) == (
        "Poolwright/catalog/delete",
        imported["after"][place],
    )


def test_whoever_may_not_is_logged_too(app: InProcess) -> None:
    home = app.client.subscription
    other = app.make_principal("other", (CONTRIBUTOR, home))
    before = len(entries(app.client))
    assert other.post("/_poolwright/reset").status_code == 403
    app.address = "192.0.2.1"
    assert app.client.delete("/_poolwright/faults").status_code == 403
    assert app.client.get("/_poolwright/faults").status_code == 403
    assert other.principal is not None
    assert said(entries(app.client)[before:]) == [
        (other.principal.app_id, "Poolwright/reset/action", "Failed"),
        (app.credentials.client_id, "Poolwright/faults/delete", "Failed"),
    ]


def test_what_a_seed_brings_about_is_the_local_operator_s(app: InProcess) -> None:
    before = len(entries(app.client))
    seed = GOOD | {"faults": [{"name": "slow", **FAULT}]}
    seeder(app, seed).apply()
    seeder(app, seed).apply()

    found = entries(app.client, correlationId="seed")

    assert len(found) == len(entries(app.client)) - before
    provider = "Microsoft.ContainerService/managedClusters"
    assert sorted(said(found)) == sorted(
        ("local operator", f"{kind}/write", status)
        for kind, *statuses in (
            ("Microsoft.Compute/locations/usages", "Succeeded"),
            ("Microsoft.Resources/subscriptions/resourceGroups", "Succeeded"),
            (provider, "Accepted", "Succeeded"),
            (f"{provider}/agentPools", "Accepted", "Succeeded"),
            ("Poolwright/faults", "Succeeded"),
        )
        for status in statuses
    )


def test_a_reset_does_not_erase_who_did_it_nor_what_is_about_what_stays(app: InProcess) -> None:
    client = app.client
    client.make_cluster()
    client.make_pool("np1", {"count": 2})
    client.put("/_poolwright/faults/slow", json=FAULT)
    stays = said(entries(client))[:3]

    for _ in range(2):
        assert client.post("/_poolwright/reset").status_code == 204

    found = entries(client)
    owner = app.credentials.client_id
    assert said(found) == [*stays, *[(owner, "Poolwright/reset/action", "Succeeded")] * 2]
    first, second = found[3:]
    key = local(app, "reset").lower()
    counted = first["before"][key]
    assert counted["machines"] == 3
    assert {name: counted[name] for name in ("resource_groups", "clusters", "node_pools", "faults")} == {
        "resource_groups": 1,
        "clusters": 1,
        "node_pools": 2,
        "faults": 1,
    }
    assert counted["activity"] > 3
    # Of the second one it is the log alone, in which the first one stands.
    assert second["before"][key] == {"activity": 4}
    assert first["after"] == {}


def test_a_reset_to_a_seed_says_what_came_back(app: InProcess) -> None:
    maker = seeder(app, GOOD)
    app.again = maker.apply_again
    maker.apply()
    for _ in range(2):
        assert app.client.post("/_poolwright/reset").status_code == 204
    again = entries(app.client)[-1]
    assert again["operationName"]["value"] == "Poolwright/seed/write"
    assert again["after"][local(app, "seed").lower()]["node_pools"] == 2


def test_an_import_says_what_it_replaced(app: InProcess) -> None:
    client = app.client
    client.make_cluster()
    document = client.get("/_poolwright/state").content
    client.make_pool("np1", {"count": 1})

    assert client.put("/_poolwright/state", content=document).status_code == 409
    assert client.put("/_poolwright/state", params={"replace": "true"}, content=document).status_code == 204

    (done,) = [event for event in entries(client) if "state" in event["operationName"]["value"]]
    key = local(app, "state").lower()
    assert said([done]) == [(app.credentials.client_id, "Poolwright/state/write", "Succeeded")]
    assert (done["before"][key]["node_pools"], done["after"][key]["node_pools"]) == (2, 1)


def test_an_entry_fails_together_with_its_change(app: InProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    client = app.client
    client.make_cluster()

    def fail(*_: object) -> None:
        raise RuntimeError("the disk is full")

    monkeypatch.setattr(activity_statements, "add_event", fail)
    assert client.put("/_poolwright/faults/slow", json=FAULT).status_code == 500
    assert client.put("/_poolwright/catalog", content=json.dumps([ENTRY])).status_code == 500
    assert client.post("/_poolwright/reset").status_code == 500

    assert client.get("/_poolwright/faults").json()["value"] == []
    assert client.get("/_poolwright/catalog").json()["locations"][0]["sizes"]["origin"] == "built-in"
    assert client.get(client.cluster()).status_code == 200


def test_what_a_template_deploys_is_its_deployer_s(app: InProcess) -> None:
    client = app.client
    assert client.put(client.group(), json={"location": "eastus"}).status_code == 201
    deployer = app.make_principal("deployer", (CONTRIBUTOR, client.group()))
    assert deployer.principal is not None
    deployed(deployer, at(client), node_pools())

    found = [event for event in entries(client) if event["resourceType"]["value"].endswith("agentPools")]

    kind = "Microsoft.ContainerService/managedClusters/agentPools/write"
    assert sorted(said(found)) == sorted(
        (deployer.principal.app_id, kind, status) for _ in range(2) for status in ("Accepted", "Succeeded")
    )


def test_snapshots_maintenance_and_features_have_a_before_and_an_after(app: InProcess) -> None:
    client = app.client
    client.make_cluster()
    windows = f"{client.cluster()}/maintenanceConfigurations/default"
    body = {"properties": {"timeInWeek": [{"day": "Monday", "hourSlots": [1]}]}}
    assert client.put(windows, json=body).status_code == 201
    assert client.delete(windows).status_code == 200
    snapshot = f"{client.group()}/providers/Microsoft.ContainerService/snapshots/s1"
    taken = {"location": "eastus", "properties": {"creationData": {"sourceResourceId": client.pool("sys")}}}
    assert client.put(snapshot, json=taken).status_code == 201
    feature = f"{client.subscription}/providers/Microsoft.Features/providers/Microsoft.ContainerService/features/X"
    assert client.post(f"{feature}/register").status_code == 200

    created, gone, kept, registered = entries(client)[-4:]

    assert created["after"][windows.lower()]["sent"] == body
    assert (gone["before"], gone["after"]) == (created["after"], {})
    assert kept["after"].keys() == {snapshot.lower()}
    assert list(registered["after"].values()) == [{"state": "Registered"}]


def test_settings_that_change_what_is_refused_are_logged_where_they_differ(app: InProcess) -> None:
    before = len(entries(app.client))
    for throttle in ("off", "off", "documented"):
        installation.note_settings(app.database, {"throttle": throttle, "profile": "documented"})
    (changed,) = entries(app.client)[before:]
    assert said([changed]) == [("local operator", "Poolwright/settings/write", "Succeeded")]
    key = local(app, "settings/up").lower()
    assert (changed["before"], changed["after"]) == ({key: {"throttle": "off"}}, {key: {"throttle": "documented"}})
