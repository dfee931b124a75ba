"""The wish over HTTP: every az verb that PUTs a whole pool leaves its generation alone, in both profiles."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from tests.support.everything import everything
from tests.support.service import ArmClient, ServiceProcess

WINDOWS = {"osType": "Windows", "osSKU": "Windows2022"}
V1_ONLY, BOTH, V2_ONLY = "Standard_D2_v3", "Standard_DS2_v2", "Standard_D4ads_v6"
TRUE = {"UseWindowsGen2VM": "true"}
PROFILES = ("documented", "azure-2026")
READ_ONLY_FOR_AZ = ("eTag", "provisioningState", "currentOrchestratorVersion")


@pytest.fixture(scope="module")
def labs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, ArmClient]]:
    """A service per profile, each with a cluster of Kubernetes 1.34."""
    processes = {
        profile: ServiceProcess(tmp_path_factory.mktemp(profile) / "data", profile=profile).start()
        for profile in PROFILES
    }
    for process in processes.values():
        process.client.make_cluster(kubernetesVersion="1.34")
    yield {profile: process.client for profile, process in processes.items()}
    for process in processes.values():
        process.stop()


@pytest.fixture(scope="module")
def client(service: ServiceProcess) -> ArmClient:
    service.client.make_cluster(kubernetesVersion="1.35")
    return service.client


def decided(properties: dict[str, Any]) -> tuple[Any, ...]:
    """What must not change: the generation, the image's definition, what was asked, and how."""
    block = properties["poolwright"]
    return (
        block["resolvedGeneration"],
        block["image"]["definition"],
        block["requestedGeneration"],
        block["requestedBy"],
        block["rule"]["id"],
        "gen2" in properties["nodeImageVersion"],
    )


def from_az(client: ArmClient, name: str, *, echoes: bool) -> dict[str, Any]:
    """The body az makes of a pool it has read: without what it knows to be read-only.

    `echoes` is whether it sends back properties it does not know.
    """
    body: dict[str, Any] = client.get(client.pool(name)).json()
    properties = {key: value for key, value in body["properties"].items() if key not in READ_ONLY_FOR_AZ}
    if not echoes:
        properties = {key: value for key, value in properties.items() if key not in ("poolwright", "vmGeneration")}
    return {"properties": properties}


def put(client: ArmClient, name: str, body: dict[str, Any], **headers: str) -> httpx.Response:
    return client.put(client.pool(name), json=body, headers=headers)


def scale(client: ArmClient, name: str, echoes: bool) -> httpx.Response:
    body = from_az(client, name, echoes=echoes)
    body["properties"]["count"] += 1
    return put(client, name, body)


def update_labels(client: ArmClient, name: str, echoes: bool) -> httpx.Response:
    body = from_az(client, name, echoes=echoes)
    body["properties"]["nodeLabels"] = {"team": "a"}
    return put(client, name, body)


def reconcile(client: ArmClient, name: str, echoes: bool) -> httpx.Response:
    return put(client, name, from_az(client, name, echoes=echoes))


def upgrade(client: ArmClient, name: str, echoes: bool) -> httpx.Response:
    body = from_az(client, name, echoes=echoes)
    body["properties"]["orchestratorVersion"] = "1.34"
    return put(client, name, body)


def upgrade_without_version(client: ArmClient, name: str, echoes: bool) -> httpx.Response:
    body = from_az(client, name, echoes=echoes)
    body["properties"]["orchestratorVersion"] = ""
    return put(client, name, body)


def stop(client: ArmClient, name: str, echoes: bool) -> httpx.Response:
    body = from_az(client, name, echoes=echoes)
    body["properties"]["powerState"] = {"code": "Stopped"}
    return put(client, name, body)


def start(client: ArmClient, name: str, echoes: bool) -> httpx.Response:
    body = from_az(client, name, echoes=echoes)
    body["properties"]["powerState"] = {"code": "Running"}
    return put(client, name, body)


def aks_scale(client: ArmClient, name: str, echoes: bool) -> httpx.Response:
    body = client.get(client.cluster()).json()
    for pool in body["properties"]["agentPoolProfiles"]:
        if pool["name"] == name:
            pool["count"] += 1
        if not echoes:
            for key in ("poolwright", "vmGeneration"):
                pool.pop(key, None)
    return client.put(client.cluster(), json=body)


def aks_upgrade(client: ArmClient, name: str, echoes: bool) -> httpx.Response:
    body = client.get(client.cluster()).json()
    body["properties"]["kubernetesVersion"] = "1.35"
    for pool in body["properties"]["agentPoolProfiles"]:
        pool["orchestratorVersion"] = "1.35"
        if not echoes:
            for key in ("poolwright", "vmGeneration"):
                pool.pop(key, None)
    return client.put(client.cluster(), json=body)


def resource_update(client: ArmClient, name: str, echoes: bool) -> httpx.Response:
    body = client.get(client.pool(name)).json()
    body["properties"]["tags"] = {"a": "b"}
    return put(client, name, body)


def sparse_sdk_update(client: ArmClient, name: str, echoes: bool) -> httpx.Response:
    return put(client, name, {"properties": {"count": 2}})


VERBS: list[Callable[[ArmClient, str, bool], httpx.Response]] = [
    scale,
    update_labels,
    reconcile,
    upgrade,
    upgrade_without_version,
    stop,
    start,
    aks_scale,
    resource_update,
    sparse_sdk_update,
    aks_upgrade,
]


@pytest.mark.parametrize("echoes", [True, False], ids=["az-echoes-unknown", "az-drops-unknown"])
@pytest.mark.parametrize(
    ("profile", "made_by"), [("documented", "header"), ("documented", "property"), ("azure-2026", "header")]
)
def test_every_verb_of_az_leaves_a_windows_gen2_pool_alone(
    labs: dict[str, ArmClient], profile: str, made_by: str, echoes: bool
) -> None:
    client, name = labs[profile], f"w{made_by[0]}{int(echoes)}"
    wanted = {"vmSize": BOTH, "count": 1, "orchestratorVersion": "1.33", **WINDOWS}
    if made_by == "header":
        made = client.make_pool(name, wanted, headers=TRUE)
    else:
        made = client.make_pool(name, wanted | {"vmGeneration": "V2"})
    assert decided(made) == ("V2", "windows-2022-containerd-gen2", "V2", made_by, f"gen2-{made_by}", True)
    for verb in VERBS:
        client.done(verb(client, name, echoes))
        after = client.get(client.pool(name)).json()
        assert decided(after["properties"]) == decided(made), verb.__name__
        expected = "V2" if profile == "documented" else None
        assert after["properties"].get("vmGeneration") == expected, verb.__name__
        machines = client.get(f"{client.pool(name)}/machines").json()["value"]
        assert {row["properties"]["poolwright"]["resolvedGeneration"] for row in machines} == {"V2"}, verb.__name__
    assert after["properties"]["currentOrchestratorVersion"].startswith("1.35")
    client.done(client.delete(client.pool(name)))


@pytest.mark.parametrize("profile", PROFILES)
def test_a_windows_gen1_pool_without_a_wish_stays_gen1_through_every_verb(
    labs: dict[str, ArmClient], profile: str
) -> None:
    client = labs[profile]
    made = client.make_pool("wplain", {"vmSize": BOTH, "count": 1, "orchestratorVersion": "1.33", **WINDOWS})
    assert decided(made)[:4] == ("V1", "windows-2022-containerd", None, None)
    for verb in VERBS:
        client.done(verb(client, "wplain", True))
        after = client.get(client.pool("wplain")).json()["properties"]
        assert decided(after) == decided(made), verb.__name__
        assert "vmGeneration" not in after
    client.done(client.delete(client.pool("wplain")))


def test_in_azure_2026_vm_generation_is_a_property_like_any_unknown_one(labs: dict[str, ArmClient]) -> None:
    client = labs["azure-2026"]
    made = client.make_pool("unk", {"vmSize": BOTH, "vmGeneration": "V1", "osType": "Linux"})
    assert made["vmGeneration"] == "V1"
    assert made["poolwright"]["requestedGeneration"] is None
    assert made["poolwright"]["resolvedGeneration"] == "V2"
    anything = client.make_pool("unk", {"vmGeneration": {"any": [1, "x"]}})
    assert anything["vmGeneration"] == {"any": [1, "x"]}


def test_a_linux_pool_that_asked_for_gen1_keeps_it_when_an_upgrade_brings_another_image(client: ArmClient) -> None:
    asked = {"vmSize": BOTH, "vmGeneration": "V1", "orchestratorVersion": "1.34"}
    made = client.make_pool("old", asked)
    assert made["poolwright"]["image"]["definition"] == "2204containerd"
    assert [warning["code"] for warning in made["poolwright"]["warnings"]] == ["OsReleaseRetiring"]
    upgraded = client.make_pool("old", {"orchestratorVersion": "1.35"})
    assert upgraded["poolwright"]["image"]["definition"] == "2404containerd"
    assert upgraded["poolwright"]["resolvedGeneration"] == "V1"
    assert upgraded["poolwright"]["warnings"] == [], "the warning was about the old image"


def test_the_wish_is_replaced_by_header_and_property_and_cleared_by_null(client: ArmClient) -> None:
    """On a size with one generation only, so that the wish changes and the generation does not."""

    def asked(properties: dict[str, Any], **headers: str) -> tuple[Any, Any, Any]:
        pool = client.make_pool("swap", properties, headers=headers)
        block = pool["poolwright"]
        assert block["resolvedGeneration"] == "V2"
        return block["requestedGeneration"], block["requestedBy"], pool.get("vmGeneration")

    assert asked({"vmSize": V2_ONLY, **WINDOWS}) == (None, None, None)
    assert asked({}, UseWindowsGen2VM="TRUE") == ("V2", "header", "V2")
    assert asked({"vmGeneration": "V2"}) == ("V2", "header", "V2"), "an echo is no new wish"
    assert asked({"vmGeneration": None}) == (None, None, None)
    assert asked({"vmGeneration": "v2"}) == ("V2", "property", "V2")
    assert asked({}) == ("V2", "property", "V2")
    assert asked({"vmGeneration": "V2"}, UseWindowsGen2VM="True") == ("V2", "header", "V2")
    assert asked({"vmGeneration": ""}) == (None, None, None)


def test_header_and_property_conflict_only_when_both_are_new_and_different(client: ArmClient) -> None:
    client.make_pool("conf", {"vmSize": V2_ONLY, **WINDOWS}, headers=TRUE)
    before = everything(client)
    for properties, headers in (
        ({"vmGeneration": "V1"}, TRUE),
        ({"vmGeneration": None}, TRUE),
        ({"vmGeneration": "V1"}, {"UseWindowsGen2VM": "true"}),
    ):
        reply = client.put(client.pool("conf"), json={"properties": properties}, headers=headers)
        assert (reply.status_code, reply.json()["error"]["target"]) == (400, "properties.vmGeneration")
        assert reply.json()["error"]["code"] == "InvalidParameter"
    new = client.put(
        client.pool("none"),
        json={"properties": {"vmSize": BOTH, "vmGeneration": "V2", **WINDOWS}},
        headers={"UseWindowsGen2VM": "false"},
    )
    assert (new.status_code, new.json()["error"]["code"]) == (400, "InvalidParameter")
    assert everything(client) == before
    echo = client.put(client.pool("conf"), json={"properties": {"vmGeneration": "V2"}}, headers=TRUE)
    client.done(echo)


@pytest.mark.parametrize("value", ["true", "TRUE", "True", "tRuE"])
def test_the_header_s_value_is_read_without_case(client: ArmClient, value: str) -> None:
    pool = client.make_pool("case", {"vmSize": V2_ONLY, **WINDOWS}, headers={"usewindowsgen2vm": value})
    assert pool["poolwright"]["requestedGeneration"] == "V2"


@pytest.mark.parametrize("value", ["", "yes", "1", "true,false", "truefalse", "null", "é"])
@pytest.mark.parametrize("name", ["sys", "new"])
def test_any_other_value_of_the_header_is_refused(client: ArmClient, value: str, name: str) -> None:
    reply = client.put(
        client.pool(name), json={"properties": {"count": 1}}, headers={"UseWindowsGen2VM": value.encode()}
    )
    assert (reply.status_code, reply.json()["error"]["code"]) == (400, "InvalidParameter")
    assert reply.json()["error"]["target"] == "UseWindowsGen2VM"


@pytest.mark.parametrize(("values", "status"), [(("true", "true"), 200), (("true", "false"), 400)])
def test_the_header_sent_twice_must_say_the_same(client: ArmClient, values: tuple[str, str], status: int) -> None:
    client.make_pool("twice", {"vmSize": V2_ONLY, **WINDOWS})
    reply = client.put(
        client.pool("twice"),
        json={"properties": {"count": 1}},
        headers=[("UseWindowsGen2VM", value) for value in values],
    )
    assert reply.status_code == status
    if status == 200:
        client.done(reply)


def test_on_a_linux_pool_the_header_is_ignored_with_a_warning(client: ArmClient) -> None:
    for value in ("true", "false"):
        made = client.make_pool("lin", {"vmSize": BOTH}, headers={"UseWindowsGen2VM": value})
        assert made["poolwright"]["requestedGeneration"] is None
        assert made["poolwright"]["resolvedGeneration"] == "V2"
        assert [warning["code"] for warning in made["poolwright"]["warnings"]] == ["HeaderIgnored"]
    assert client.make_pool("lin", {"count": 2})["poolwright"]["warnings"] == []


def test_a_size_that_cannot_meet_a_stored_wish_is_refused(client: ArmClient) -> None:
    client.make_pool("meet", {"vmSize": BOTH, **WINDOWS}, headers=TRUE)
    before = everything(client)
    reply = client.put(client.pool("meet"), json={"properties": {"vmSize": V1_ONLY}})
    error = reply.json()["error"]
    assert reply.status_code == 400
    assert error["code"] == "UnsupportedGen2VMSize"
    assert everything(client) == before


def test_the_generation_never_falls_silently(client: ArmClient) -> None:
    forced = client.make_pool("fell", {"vmSize": V1_ONLY})
    assert [warning["code"] for warning in forced["poolwright"]["warnings"]] == ["GenerationForcedBySize"]
    wanted = client.make_pool("fellw", {"vmSize": V1_ONLY, "vmGeneration": "V1"})
    assert wanted["poolwright"]["warnings"] == []
    refused = client.put(client.pool("fellx"), json={"properties": {"vmSize": V1_ONLY, "vmGeneration": "V2"}})
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "UnsupportedGen2VMSize")
    client.make_pool("fally", {"vmSize": BOTH, **WINDOWS}, headers=TRUE)
    clearing = client.put(client.pool("fally"), json={"properties": {"vmGeneration": None}})
    assert client.done(clearing)["status"] == "Succeeded"
    cleared = client.get(client.pool("fally")).json()["properties"]["poolwright"]
    assert (cleared["requestedGeneration"], cleared["observedGenerations"]["V1"]) == (None, 1)
    assert "WindowsDefaultsToGeneration1" in [warning["code"] for warning in cleared["warnings"]]


def test_the_poolwright_block_of_a_request_is_ignored(client: ArmClient) -> None:
    lies = {"poolwright": {"resolvedGeneration": "V1", "requestedGeneration": "V1", "profile": "azure-2026"}}
    made = client.make_pool("lies", {"vmSize": BOTH, **lies})
    assert made["poolwright"]["resolvedGeneration"] == "V2"
    assert made["poolwright"]["requestedGeneration"] is None
    assert made["poolwright"]["profile"] == "documented"
