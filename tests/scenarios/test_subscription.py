"""What a subscription shows beside AKS over HTTP: features, resource providers, lists of resources, tags of groups."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from poolwright.arm.offered import AREAS
from poolwright.arm.resources import parse_filter
from tests.support.in_process import InProcess
from tests.support.service import ArmClient

RESIZE = "Microsoft.ContainerService/AgentPoolVMSSResize"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ArmClient]:
    """Clusters c1 and C2 in two groups and locations, and a snapshot; some of them tagged."""
    service = InProcess(tmp_path_factory.mktemp("subscription") / "data")
    client = service.client
    client.make_cluster()
    client.put(client.group("west"), json={"location": "westus2"})
    body = {
        "location": "westus2",
        "tags": {"team": "blue", "stage": "test"},
        "properties": {"agentPoolProfiles": [{"name": "sys", "mode": "System"}]},
    }
    client.done(client.put(client.cluster("C2", "west"), json=body))
    body = {
        "location": "eastus",
        "tags": {"Team": "red"},
        "properties": {"creationData": {"sourceResourceId": client.pool("sys")}},
    }
    assert (
        client.put(f"{client.group()}/providers/Microsoft.ContainerService/snapshots/s1", json=body).status_code == 201
    )
    yield client
    service.close()


def features(client: ArmClient, path: str = "") -> str:
    return f"{client.subscription}/providers/Microsoft.Features/{path}"


def test_a_feature_is_registered_shown_listed_and_taken_back(client: ArmClient) -> None:
    feature = features(client, "providers/Microsoft.ContainerService/features/agentpoolvmssresize")
    shown = client.get(feature).json()
    assert shown == {
        "id": features(client, "providers/Microsoft.ContainerService/features/AgentPoolVMSSResize"),
        "name": RESIZE,
        "type": "Microsoft.Features/providers/features",
        "properties": {"state": "NotRegistered"},
    }
    registered = client.post(f"{feature}/register")
    assert (registered.status_code, registered.json()["properties"]) == (200, {"state": "Registered"})
    assert client.get(feature).json() == registered.json()
    for listing in ("features", "providers/microsoft.containerservice/features"):
        assert registered.json() in client.get(features(client, listing)).json()["value"]
    assert client.get(features(client, "providers/Microsoft.Compute/features")).json() == {"value": []}
    assert client.post(f"{feature}/unregister").json()["properties"] == {"state": "Unregistered"}
    assert client.get(feature).json()["properties"] == {"state": "Unregistered"}


def test_a_feature_the_service_does_not_know_keeps_its_name(client: ArmClient) -> None:
    feature = features(client, "providers/Microsoft.ContainerService/features/Some-Preview")
    assert client.post(f"{feature}/register").json()["name"] == "Microsoft.ContainerService/Some-Preview"
    again = client.get(features(client, "providers/Microsoft.ContainerService/features/SOME-PREVIEW")).json()
    assert again["properties"] == {"state": "Registered"}


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("providers/Microsoft.Unknown/features/X/register", 404, "InvalidResourceType"),
        ("providers/Microsoft.ContainerService/features/a b/register", 400, "InvalidParameter"),
    ],
)
def test_a_feature_of_nothing_is_refused(client: ArmClient, path: str, status: int, code: str) -> None:
    reply = client.post(features(client, path))
    assert (reply.status_code, reply.json()["error"]["code"]) == (status, code)


def test_providers_are_listed_registered_and_stay(client: ArmClient) -> None:
    listed = client.get(f"{client.subscription}/providers").json()["value"]
    names = {row["namespace"] for row in listed}
    assert {"Microsoft.ContainerService", "Microsoft.Compute", "Microsoft.Features", "Microsoft.Resources"} <= names
    assert {row["registrationState"] for row in listed} == {"Registered"}
    aks = client.get(f"{client.subscription}/providers/microsoft.containerservice").json()
    assert aks in listed
    types = {row["resourceType"] for row in aks["resourceTypes"]}
    assert {"managedClusters", "managedClusters/agentPools", "snapshots"} <= types
    assert client.post(f"{client.subscription}/providers/Microsoft.ContainerService/register").json() == aks
    refused = client.post(f"{client.subscription}/providers/Microsoft.ContainerService/unregister")
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "OperationNotAllowed")


def test_tags_of_a_group_are_patched_and_nothing_else(client: ArmClient) -> None:
    client.put(client.group("tagged"), json={"location": "eastus", "tags": {"a": "1"}, "managedBy": "someone"})
    before = client.get(client.group("tagged")).json()
    patched = client.patch(client.group("tagged"), json={"tags": {"b": "2", "c": None}})
    assert (patched.status_code, patched.json()) == (200, before | {"tags": {"b": "2"}})
    assert client.get(client.group("tagged")).json() == patched.json()
    for body in ({"location": "westus2"}, {"tags": ["a"]}, {"tags": {"a": 1}}):
        assert client.patch(client.group("tagged"), json=body).status_code == 400
    assert client.patch(client.group("none"), json={"tags": {}}).json()["error"]["code"] == "ResourceGroupNotFound"
    assert client.get(client.group("tagged")).json() == patched.json()


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (None, ["C2", "c1", "s1"]),
        ("", ["C2", "c1", "s1"]),
        ("resourceType eq 'Microsoft.ContainerService/managedClusters'", ["C2", "c1"]),
        ("resourceType eq 'microsoft.containerservice/SNAPSHOTS'", ["s1"]),
        ("resourceType eq 'Microsoft.ContainerRegistry/registries'", []),
        ("resourceType ne 'Microsoft.ContainerService/managedClusters'", ["s1"]),
        ("resourceGroup eq 'WEST'", ["C2"]),
        ("name eq 'c2'", ["C2"]),
        ("location eq 'West US 2'", ["C2"]),
        ("location eq 'eastus' and name ne 's1'", ["c1"]),
        ("name eq 's1' or name eq 'C2' and location eq 'eastus'", ["s1"]),
        ("(name eq 's1' or name eq 'C2') and location eq 'eastus'", ["s1"]),
        ("substringof('C', name)", ["C2", "c1"]),
        ("substringof('snap', resourceType)", ["s1"]),
        ("tagname eq 'team'", ["C2", "s1"]),
        ("tagName eq 'team' and tagValue eq 'red'", ["s1"]),
        ("tagName eq 'team' and tagValue eq 'RED'", []),
        ("tagName eq 'team' and location eq 'westus2'", ["C2"]),
        ("startswith(tagname, 'sta')", ["C2"]),
        ("name eq 'it''s'", []),
    ],
)
def test_resources_are_listed_by_filter(client: ArmClient, wanted: str | None, found: list[str]) -> None:
    parameters = client.params if wanted is None else client.params.set("$filter", wanted)
    parameters = parameters.set("$expand", "createdTime,changedTime,provisioningState")
    listed = client.get(f"{client.subscription}/resources", params=parameters)
    assert listed.status_code == 200, listed.text
    assert sorted(row["name"] for row in listed.json()["value"]) == found


def test_a_resource_is_listed_with_what_arm_shows_of_it(client: ArmClient) -> None:
    rows = {row["name"]: row for row in client.get(f"{client.group('west')}/resources").json()["value"]}
    assert rows == {
        "C2": {
            "id": client.cluster("C2", "west"),
            "name": "C2",
            "type": "Microsoft.ContainerService/managedClusters",
            "location": "westus2",
            "provisioningState": "Succeeded",
            "tags": {"team": "blue", "stage": "test"},
        }
    }
    assert (
        len(client.get(f"{client.subscription}/resources", params=client.params.set("$top", "2")).json()["value"]) == 2
    )
    assert client.get(f"{client.group('none')}/resources").json()["error"]["code"] == "ResourceGroupNotFound"


@pytest.mark.parametrize(
    "wanted",
    [
        "name",
        "name eq",
        "name eq c1",
        "name like 'c1'",
        "name eq 'c1' and",
        "name eq 'c1' name eq 'c2'",
        "color eq 'red'",
        "tagValue eq 'red'",
        "substringof('a' name)",
        "substringof('a', color)",
        "(name eq 'c1'",
        "name eq 'c1')",
        "'c1' eq name",
        "name eq 'c1",
        "name eq \u2028",
        "(" * 60 + "name eq 'c1'" + ")" * 60,
        "name eq 'c1' or " * 400 + "name eq 'c1'",
    ],
)
def test_a_filter_that_is_not_understood_is_refused(client: ArmClient, wanted: str) -> None:
    reply = client.get(f"{client.subscription}/resources", params=client.params.set("$filter", wanted))
    assert reply.status_code == 400, reply.text
    assert (reply.json()["error"]["code"], reply.json()["error"]["target"]) == ("InvalidParameter", "$filter")


@pytest.mark.parametrize("top", ["0", "-1", "x", "1.5", "9" * 10, "²"])
def test_a_top_that_is_no_number_is_refused(client: ArmClient, top: str) -> None:
    reply = client.get(f"{client.subscription}/resources", params=client.params.set("$top", top))
    assert (reply.status_code, reply.json()["error"]["target"]) == (400, "$top")


def test_a_filter_is_read_as_deep_as_it_may_be() -> None:
    assert parse_filter("(" * 50 + "name eq 'c1'" + ")" * 50)({"name": "C1"})


def test_no_operation_is_offered_twice(client: ArmClient) -> None:
    rows: list[Any] = [row for area in AREAS for row in object.__new__(area).offered()]
    places = [(row.method, row.path) for row in rows]
    assert len(places) == len(set(places))
