"""Whose world it is: lists of a subscription replace the built-in catalogue of a running service."""

from __future__ import annotations

import base64
import json
import os
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from poolwright.domain.resource_id import CLUSTER_TYPE
from poolwright.domain.roles import READER
from tests.arm.test_catalog_import import ENTRY, VERSIONS, changed, damaged, jsonish, listed
from tests.support.in_process import InProcess
from tests.support.schema import require_valid
from tests.support.service import ArmClient, ServiceProcess

D2S, D4S, ONLY_THEIRS = "Standard_D2s_v5", "Standard_D4s_v5", "Standard_Z4s_v9"
NOT_AVAILABLE = {"type": "Location", "reasonCode": "NotAvailableForSubscription"}


@pytest.fixture
def app(tmp_path: Path) -> Iterator[InProcess]:
    service = InProcess(tmp_path / "data")
    yield service
    service.close()


def catalog(client: ArmClient) -> str:
    return "/_poolwright/catalog"


def location(client: ArmClient, rest: str, place: str = "eastus") -> str:
    return f"/_poolwright/locations/{place}/{rest}"


def aks(client: ArmClient, rest: str, place: str = "eastus") -> str:
    return f"{client.subscription}/providers/Microsoft.ContainerService/locations/{place}/{rest}"


def skus(client: ArmClient, place: str = "eastus") -> dict[str, dict[str, Any]]:
    path = f"{client.subscription}/providers/Microsoft.Compute/skus"
    reply = client.get(path, params={"$filter": f"location eq '{place}'", "api-version": "2021-07-01"})
    return {sku["name"]: sku for sku in reply.json()["value"]}


def entry(name: str, place: str = "eastus", **changes: Any) -> dict[str, Any]:
    """An entry of a size that everybody takes, restricted nowhere."""
    information = [{"location": place, "zones": ["1", "2"]}]
    facts = {"vCPUs": "4", "MemoryGB": "16", "HyperVGenerations": "V1,V2", "CpuArchitectureType": "x64"}
    capabilities = [{"name": fact, "value": value} for fact, value in facts.items()]
    return (
        changed(
            name=name,
            family="standardFamily",
            locations=[place],
            locationInfo=information,
            capabilities=capabilities,
            restrictions=[],
        )
        | changes
    )


def put(client: ArmClient, document: Any, **query: str) -> httpx.Response:
    content = document if isinstance(document, bytes) else json.dumps(document).encode()
    return client.put(catalog(client), content=content, params={"api-version": "2026-06-01", **query})


def restrict(client: ArmClient, size: str, *restrictions: dict[str, Any], place: str = "eastus") -> httpx.Response:
    return client.put(location(client, f"sizes/{size}", place), json={"restrictions": list(restrictions)})


def in_zones(*zones: str, reason: str = "NotAvailableForSubscription") -> dict[str, Any]:
    return {"type": "Zone", "reasonCode": reason, "restrictionInfo": {"locations": ["eastus"], "zones": list(zones)}}


# In force at once, and after a kill.


def test_an_import_is_in_force_at_once_and_after_a_kill(fresh: ServiceProcess) -> None:
    client = fresh.start().client
    assert ONLY_THEIRS not in skus(client)
    before = skus(client, "westus2")
    report = put(client, [entry(ONLY_THEIRS), entry(D2S), changed(resourceType="disks")])
    assert report.json() == {
        "locations": [
            {
                "location": "eastus",
                "isOffered": True,
                "sizes": 2,
                "restricted": 0,
                "kubernetesReleases": 0,
                "leftOut": {"resource type disks": 1},
            }
        ]
    }
    client.make_cluster(agentPoolProfiles=[{"name": "sys", "mode": "System", "count": 1, "vmSize": ONLY_THEIRS}])
    fresh.kill()
    client = fresh.start().client
    assert list(skus(client)) == [ONLY_THEIRS, D2S]
    assert skus(client, "westus2") == before
    assert client.make_pool("np1", {"vmSize": ONLY_THEIRS, "count": 2})["vmSize"] == ONLY_THEIRS
    refused = client.put(client.pool("np2"), json={"properties": {"vmSize": D4S}})
    assert refused.json()["error"]["code"] == "VMSizeNotSupported"
    fresh.kill()
    client = fresh.start().client
    assert client.delete(catalog(client)).status_code == 200
    assert ONLY_THEIRS not in skus(client)
    assert D4S in skus(client)


def test_a_kill_in_the_middle_of_an_import_leaves_everything_as_it_was(fresh: ServiceProcess) -> None:
    client = fresh.start().client
    before = skus(client)

    def content() -> Iterator[bytes]:
        yield json.dumps([entry(f"Standard_D{number}s_v5") for number in range(2000)]).encode()[:-1]
        fresh.kill()
        yield b"]"

    with pytest.raises(httpx.HTTPError):
        client.put(catalog(client), content=content())
    client = fresh.start().client
    assert skus(client) == before
    assert put(client, [entry(D2S)]).status_code == 200


def test_a_pool_whose_size_left_every_list_scales_rolls_and_counts(fresh: ServiceProcess) -> None:
    client = fresh.start().client
    put(client, [entry(ONLY_THEIRS), entry("Standard_DS2_v2")])
    client.make_cluster()
    client.make_pool("np1", {"vmSize": ONLY_THEIRS, "count": 1})
    assert client.delete(catalog(client)).status_code == 200
    fresh.kill()
    client = fresh.start().client
    assert ONLY_THEIRS not in skus(client)
    assert client.make_pool("np1", {"vmSize": ONLY_THEIRS.lower(), "count": 3})["count"] == 3
    rolled = client.make_pool("np1", {"vmSize": ONLY_THEIRS, "count": 3, "vmGeneration": "V1"})
    assert rolled["poolwright"]["observedGenerations"] == {"V1": 3, "V2": 0, "unknown": 0}
    usages = f"{client.subscription}/providers/Microsoft.Compute/locations/eastus/usages"
    [total] = [one for one in client.get(usages).json()["value"] if one["name"]["value"] == "cores"]
    assert total["currentValue"] == 3 * 4 + 2
    refused = client.put(client.pool("np2"), json={"properties": {"vmSize": ONLY_THEIRS}})
    assert refused.json()["error"]["code"] == "VMSizeNotSupported"
    client.done(client.delete(client.pool("np1")))


def test_what_is_in_force_is_shown_with_its_origin_and_assumptions(app: InProcess) -> None:
    client = app.client
    started = app.now()
    app.now = lambda: started
    when = datetime.fromtimestamp(started, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    built_in = client.get(catalog(client)).json()
    eastus, westus2 = built_in["locations"]
    assert (eastus["location"], eastus["sizes"]["origin"], eastus["kubernetesVersions"]["origin"]) == (
        "eastus",
        "built-in",
        "built-in",
    )
    assert eastus["sizes"]["assumed"]["zones"] > 1000
    assert built_in["nodeImages"] == {"origin": "built-in", "count": 83}
    put(client, [ENTRY, entry(D2S), entry("Standard_X", "mars"), changed(resourceType="disks")])
    put(client, VERSIONS, location="East US")
    put(client, {"value": [listed("AKSUbuntu", "2204gen2containerd", "202611.05.0")]})
    shown = client.get(catalog(client)).json()
    assert shown["locations"] == [
        {
            "location": "eastus",
            "sizes": {
                "origin": "imported",
                "imported": when,
                "count": 2,
                "restricted": 1,
                "restrictionsSetByHand": [],
                "assumed": {"locations": 0, "zones": 0},
                "leftOut": {"resource type disks": 1},
            },
            "kubernetesVersions": {
                "origin": "imported",
                "imported": when,
                "count": 2,
                "default": "1.33",
            },
        },
        westus2,
    ]
    assert shown["nodeImages"]["origin"] == "imported"
    assert shown["kept"] == [{"location": "mars", "sizes": 1, "kubernetesReleases": 0}]
    only_here = client.delete(location(client, "catalog")).json()
    assert only_here["locations"] == [eastus, westus2]
    assert (only_here["nodeImages"]["origin"], only_here["kept"]) == ("imported", shown["kept"])
    assert client.delete(catalog(client)).json() == built_in


def test_versions_and_images_of_an_import_are_what_clusters_get(app: InProcess) -> None:
    client = app.client
    put(client, VERSIONS, location="eastus")
    put(client, {"value": [listed("AKSUbuntu", "2204gen2containerd", "202611.05.0")]})
    assert [value["version"] for value in client.get(aks(client, "kubernetesVersions")).json()["values"]] == [
        "1.33",
        "1.34",
    ]
    assert client.make_cluster()["properties"]["currentKubernetesVersion"] == "1.33.10"
    pool = client.get(client.pool("sys")).json()["properties"]
    assert pool["nodeImageVersion"] == "AKSUbuntu-2204gen2containerd-202611.05.0"
    refused = client.put(client.cluster(), json={"location": "eastus", "properties": {"kubernetesVersion": "1.35"}})
    assert refused.json()["error"]["code"] == "AgentPoolK8sVersionNotSupported"
    profile = client.get(f"{client.cluster()}/upgradeProfiles/default").json()["properties"]["controlPlaneProfile"]
    assert [one["kubernetesVersion"] for one in profile["upgrades"]] == ["1.34.1"]
    assert len(client.get(aks(client, "kubernetesVersions", "westus2")).json()["values"]) == 14


def test_a_cluster_whose_version_left_the_list_goes_on(app: InProcess) -> None:
    client = app.client
    client.make_cluster(kubernetesVersion="1.32")
    put(client, VERSIONS, location="eastus")
    assert client.make_pool("np1", {"vmSize": D2S, "count": 1})["orchestratorVersion"] == "1.32"
    client.done(client.put(client.cluster(), json={"location": "eastus", "properties": {"kubernetesVersion": "1.33"}}))
    assert client.make_pool("np1", {"vmSize": D2S, "count": 1, "orchestratorVersion": "1.33"})["orchestratorVersion"]


# Nothing or all.


def state(app: InProcess) -> tuple[Any, ...]:
    client = app.client
    return (
        client.get(catalog(client)).json(),
        client.get(f"{client.subscription}/providers/Microsoft.Compute/skus").content,
        client.get(aks(client, "kubernetesVersions")).content,
        client.get(aks(client, "nodeImageVersions")).content,
    )


@given(
    st.lists(st.one_of(jsonish, damaged(), st.just(ENTRY), st.just(VERSIONS)), max_size=3),
    st.sampled_from([b"", b"]", b'{"value": [', b"\xff", b"[1]", b'{"value": [{"resourceType": 1}]}']),
    st.booleans(),
)
@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_an_import_that_is_refused_changes_nothing(app: InProcess, parts: list[Any], end: bytes, wrapped: bool) -> None:
    before = state(app)
    document = json.dumps({"value": parts} if wrapped else parts).encode()
    reply = put(app.client, document + end)
    if reply.status_code == 200:
        assert end == b""
        app.client.delete(catalog(app.client))
    else:
        assert (reply.status_code, reply.json()["error"]["code"]) in (
            (400, "InvalidRequestContent"),
            (400, "InvalidParameter"),
        )
    assert state(app) == before


def test_a_good_file_beside_a_bad_one_is_not_taken(app: InProcess) -> None:
    before = state(app)
    reply = put(app.client, b"\x1e" + json.dumps([ENTRY]).encode() + b'\x1e[\n\n {"a": oops}]')
    assert reply.json()["error"]["message"] == (
        "The import cannot be used, and nothing was changed: Expecting value (document 2, line 3, column 8)."
    )
    assert state(app) == before


def test_a_list_of_ours_imported_again_gives_the_same_catalogue(app: InProcess) -> None:
    client = app.client
    path = f"{client.subscription}/providers/Microsoft.Compute/skus"
    ours = client.get(path).content
    assert put(client, ours).status_code == 200
    assert client.get(path).content == ours
    restrict(client, D2S, NOT_AVAILABLE)
    restricted = client.get(path).content
    assert put(client, restricted).status_code == 200
    assert client.get(path).content == restricted != ours


# Who may.


@pytest.mark.parametrize("address", ["192.0.2.7", "2001:db8::7", "not an address"])
def test_only_this_machine_changes_the_catalogue(app: InProcess, address: str) -> None:
    client, before = app.client, state(app)
    app.address = address
    for reply in (
        put(client, [ENTRY]),
        client.delete(catalog(client)),
        client.delete(location(client, "catalog")),
        restrict(client, D2S, NOT_AVAILABLE),
    ):
        assert (reply.status_code, reply.json()["error"]["code"]) == (403, "AuthorizationFailed")
    app.address = "127.0.0.1"
    assert state(app) == before


@pytest.mark.parametrize("address", ["127.0.0.1", "127.9.9.9", "::1"])
def test_this_machine_has_several_addresses(app: InProcess, address: str) -> None:
    app.address = address
    assert put(app.client, [ENTRY]).status_code == 200


# Restrictions.


def test_restrictions_are_shown_as_compute_shows_them(app: InProcess) -> None:
    client = app.client
    shown = restrict(client, D2S.upper(), NOT_AVAILABLE, in_zones("3", "1", reason="QuotaId")).json()
    assert shown == skus(client)[D2S]
    require_valid(shown, "ResourceSku")
    assert shown["restrictions"] == [
        {
            "type": "Location",
            "values": ["eastus"],
            "restrictionInfo": {"locations": ["eastus"]},
            "reasonCode": "NotAvailableForSubscription",
        },
        {
            "type": "Zone",
            "values": ["eastus"],
            "restrictionInfo": {"locations": ["eastus"], "zones": ["1", "3"]},
            "reasonCode": "QuotaId",
        },
    ]
    assert skus(client, "westus2")[D2S]["restrictions"] == []
    assert restrict(client, D2S).json()["restrictions"] == []


def test_an_import_is_the_whole_truth_of_its_locations(app: InProcess) -> None:
    client = app.client
    restrict(client, D2S, NOT_AVAILABLE)
    restrict(client, D2S, NOT_AVAILABLE | {"restrictionInfo": {"locations": ["westus2"]}}, place="westus2")
    put(client, [entry(D2S), ENTRY])
    assert skus(client)[D2S]["restrictions"] == []
    assert skus(client, "westus2")[D2S]["restrictions"]
    assert len(skus(client)[ENTRY["name"]]["restrictions"]) == 2
    assert restrict(client, ENTRY["name"]).json()["restrictions"] == []
    assert client.get(catalog(client)).json()["locations"][0]["sizes"]["restrictionsSetByHand"] == ["standard_m8-2ms"]


@pytest.mark.parametrize(
    ("size", "place", "body", "code"),
    [
        ("Standard_Nothing", "eastus", {"restrictions": []}, "InvalidParameter"),
        (D2S, "mars", {"restrictions": []}, "LocationNotAvailableForResourceType"),
        (D2S, "eastus", {"restrictions": [in_zones("7")]}, "InvalidParameter"),
        (D2S, "eastus", {"restrictions": "all"}, "InvalidRequestContent"),
        (D2S, "eastus", {"restrictions": [{"type": "Location"}]}, "InvalidRequestContent"),
        (D2S, "eastus", {"restrictions": [NOT_AVAILABLE | {"reasonCode": "X"}]}, "InvalidRequestContent"),
        (D2S, "eastus", {"restrictions": [NOT_AVAILABLE | {"type": "X"}]}, "InvalidRequestContent"),
        (D2S, "eastus", [], "InvalidRequestContent"),
    ],
)
def test_a_restriction_that_makes_no_sense_is_refused(
    app: InProcess, size: str, place: str, body: Any, code: str
) -> None:
    before = state(app)
    reply = app.client.put(location(app.client, f"sizes/{size}", place), json=body)
    assert (reply.status_code, reply.json()["error"]["code"]) == (400, code)
    assert state(app) == before


def test_a_node_pool_of_a_restricted_size_shrinks_and_goes_and_does_not_grow(app: InProcess) -> None:
    client = app.client
    client.make_cluster()
    client.make_pool("np1", {"vmSize": D4S, "count": 2})
    restrict(client, D4S, NOT_AVAILABLE)
    pool = {"vmSize": D4S, "upgradeSettings": {"maxSurge": "1"}}
    grown = client.put(client.pool("np1"), json={"properties": pool | {"count": 3}})
    assert (grown.status_code, grown.json()["error"]["code"]) == (409, "SkuNotAvailable")
    assert grown.json()["error"]["message"] == (
        f"The requested VM size for resource 'Following SKUs have failed for Capacity Restrictions: {D4S}' is "
        "currently not available in location 'eastus'. Please try another size or deploy to a different location or "
        "different zone. See https://aka.ms/azureskunotavailable for details."
    )
    what_if = client.post(f"{client.pool('np1')}/whatIf", json={"properties": pool | {"count": 3}})
    assert what_if.json() == grown.json()
    assert client.make_pool("np1", pool | {"count": 2, "nodeLabels": {"a": "b"}})["nodeLabels"] == {"a": "b"}
    # Replacing machines takes one more, unless the node pool may do with one fewer.
    rolls = pool | {"count": 2, "vmGeneration": "V1"}
    assert client.put(client.pool("np1"), json={"properties": rolls}).status_code == 409
    rolls["upgradeSettings"] = {"maxSurge": "0", "maxUnavailable": "1"}
    assert client.make_pool("np1", rolls)["poolwright"]["observedGenerations"]["V1"] == 2
    assert client.make_pool("np1", pool | {"count": 1})["count"] == 1
    assert client.make_pool("np1", {"vmSize": D2S, "count": 3})["vmSize"] == D2S
    client.done(client.delete(client.pool("np1")))


def test_a_node_pool_in_a_restricted_zone_does_not_grow(app: InProcess) -> None:
    client = app.client
    client.make_cluster()
    client.make_pool("np1", {"vmSize": D4S, "count": 2, "availabilityZones": ["1", "2"]})
    restrict(client, D4S, in_zones("1"))
    grown = client.put(client.pool("np1"), json={"properties": {"count": 3, "availabilityZones": ["1", "2"]}})
    assert (grown.status_code, grown.json()["error"]["code"]) == (409, "SkuNotAvailable")
    assert "currently not available in location 'eastus' zones '1' for subscription" in grown.json()["error"]["message"]
    elsewhere = {"vmSize": D4S, "count": 3, "availabilityZones": ["2", "3"]}
    assert client.make_pool("np2", elsewhere)["count"] == 3


# What a location offers.


def test_node_image_versions_are_those_that_node_pools_get(app: InProcess) -> None:
    client = app.client
    client.make_cluster()
    image = client.get(client.pool("sys")).json()["properties"]["nodeImageVersion"]
    shown = client.get(aks(client, "nodeImageVersions")).json()
    assert list(shown) == ["value"]
    assert {frozenset(one) for one in shown["value"]} == {frozenset({"fullName", "os", "sku", "version"})}
    assert [one["os"] for one in shown["value"] if one["fullName"] == image] == ["AKSUbuntu"]


def test_vm_skus_are_those_that_aks_takes(app: InProcess) -> None:
    client = app.client
    all_sizes = skus(client)
    taken = {sku["name"]: sku for sku in client.get(aks(client, "vmSkus")).json()["value"]}
    assert taken == {name: all_sizes[name] for name in taken}
    facts = {name: {part["name"]: part["value"] for part in sku["capabilities"]} for name, sku in all_sizes.items()}
    assert set(taken) == {
        name
        for name, known in facts.items()
        if int(known["vCPUs"]) >= 2
        and float(known["MemoryGB"]) >= 2
        and known.get("ConfidentialComputingType") != "TDX"
    }
    assert 0 < len(taken) < len(all_sizes)


def test_sizes_are_listed_as_they_were_before_skus(app: InProcess) -> None:
    client = app.client
    put(client, [ENTRY, entry(D2S)])
    path = f"{client.subscription}/providers/Microsoft.Compute/locations/EastUS/vmSizes"
    assert client.get(path).json() == {
        "value": [
            {
                "name": "Standard_M8-2ms",
                "numberOfCores": 8,
                "osDiskSizeInMB": 1047552,
                "resourceDiskSizeInMB": 51200,
                "memoryInMB": 224000,
                "maxDataDiskCount": 8,
            },
            {"name": D2S, "numberOfCores": 4, "memoryInMB": 16384},
        ]
    }


@pytest.mark.parametrize("rest", ["nodeImageVersions", "vmSkus", "kubernetesVersions"])
def test_a_location_that_is_not_offered_has_nothing_to_list(app: InProcess, rest: str) -> None:
    reply = app.client.get(aks(app.client, rest, "mars"))
    assert reply.json()["error"]["code"] == "LocationNotAvailableForResourceType"


# Size.

SIZES, PLACES = 1400, 50
MOST_SECONDS, MOST_MEGABYTES = 120, 200


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="memory is read from /proc")
def test_the_list_of_all_of_azure_is_read_in_bounded_time_and_memory(
    fresh: ServiceProcess, record_property: Callable[[str, object], None]
) -> None:
    """1 400 sizes in 50 locations, a hundred megabytes; measured: 6 s and 50 MB on two shared cores."""
    client = fresh.start().client
    skus(client)

    def content() -> Iterator[bytes]:
        yield b"[\n"
        for place in range(PLACES):
            name = f"place{place}" if place else "eastus"
            for number in range(SIZES):
                # az indents by two and writes what is absent as null.
                document = entry(f"Standard_D{number}s_v5", name)
                document["capabilities"] = ENTRY["capabilities"] + document["capabilities"]
                yield orjson.dumps(document, option=orjson.OPT_INDENT_2) + b",\n"
        yield json.dumps(entry("Standard_Last")).encode() + b"]"

    before, started = peak_megabytes(fresh.pid), time.monotonic()
    reply = client.put(catalog(client), content=content(), timeout=600)
    seconds, megabytes = time.monotonic() - started, peak_megabytes(fresh.pid) - before
    assert reply.status_code == 200, reply.text
    assert sum(place["sizes"] for place in reply.json()["locations"]) == SIZES * PLACES + 1
    assert len(skus(client)) == SIZES + 1
    record_property("seconds", seconds)
    record_property("megabytes", megabytes)
    assert seconds < MOST_SECONDS
    assert megabytes < MOST_MEGABYTES


def peak_megabytes(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


# Pages.


def walk(client: ArmClient, path: str, **query: str) -> list[list[str]]:
    """The names on each page, following nextLink as clients do."""
    document = client.get(path, params={"api-version": "2026-06-01", **query}).json()
    pages = [[one["name"] for one in document["value"]]]
    while "nextLink" in document:
        document = follow(client, document["nextLink"])
        pages.append([one["name"] for one in document["value"]])
        assert len(pages) < 10
    return pages


def follow(client: ArmClient, link: str) -> dict[str, Any]:
    # httpx puts the client's own parameters in the place of a link's.
    url = httpx.URL(link)
    document: dict[str, Any] = client.get(url.copy_with(query=None), params=dict(url.params)).json()
    return document


def test_resource_groups_come_in_pages_when_top_asks_for_them(app: InProcess) -> None:
    client = app.client
    names = [f"g{number}" for number in range(5)]
    for name in reversed(names):
        client.put(client.group(name), json={"location": "eastus"})
    path = f"{client.subscription}/resourceGroups"
    assert walk(client, path) == [names]
    assert walk(client, path, **{"$top": "2"}) == [names[:2], names[2:4], names[4:]]
    assert walk(client, path, **{"$top": "5"}) == [names]
    first = client.get(path, params={"api-version": "2026-06-01", "$top": "2"}).json()
    client.delete(client.group("g1"))
    client.put(client.group("g0a"), json={"location": "eastus"})
    assert [one["name"] for one in follow(client, first["nextLink"])["value"]] == names[2:4]


def test_clusters_come_in_pages(app: InProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    client = app.client
    names = [f"c{number}" for number in range(5)]
    for name in names:
        client.make_cluster(name)
    clusters = "providers/Microsoft.ContainerService/managedClusters"
    assert walk(client, f"{client.subscription}/{clusters}") == [names]
    monkeypatch.setattr("poolwright.arm.paging.CLUSTERS_PER_PAGE", 2)
    for scope in (client.subscription, client.group()):
        assert walk(client, f"{scope}/{clusters}") == [names[:2], names[2:4], names[4:]]


def test_no_token_names_what_the_caller_may_not_see(app: InProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("poolwright.arm.paging.CLUSTERS_PER_PAGE", 2)
    names = ["a-hidden", "b-mine", "c-hidden", "d-hidden", "e-hidden", "f-mine", "g-mine", "h-hidden"]
    for name in names:
        app.client.make_cluster("c1", name)
    mine = [name for name in names if name.endswith("mine")]
    reader = app.make_principal("reader", *((READER, app.client.group(name)) for name in mine))
    groups = f"{reader.subscription}/resourceGroups"
    assert walk(reader, groups, **{"$top": "1"}) == [[name] for name in mine]
    assert walk(reader, groups, **{"$top": "2"}) == [mine[:2], mine[2:]]
    for path, size in ((groups, "1"), (f"{reader.subscription}/providers/{CLUSTER_TYPE}", "ignored")):
        document = reader.get(path, params={"api-version": "2026-06-01", "$top": size}).json()
        token = httpx.URL(document["nextLink"]).params["$skiptoken"]
        assert b"mine" in base64.urlsafe_b64decode(token)
    assert [len(page) for page in walk(reader, f"{reader.subscription}/providers/{CLUSTER_TYPE}")] == [2, 1]


@pytest.mark.parametrize("token", ["", "x", "!!!", "Z3JvdXBz", "Y2x1c3RlcnMgL3g=", "/w==", "A" * 5000])
def test_a_skiptoken_the_list_did_not_give_is_refused(app: InProcess, token: str) -> None:
    path = f"{app.client.subscription}/resourceGroups"
    reply = app.client.get(path, params={"api-version": "2026-06-01", "$skiptoken": token})
    assert (reply.status_code, reply.json()["error"]["target"]) == (400, "$skiptoken")


@pytest.mark.parametrize("top", ["", "0", "-1", "x", "1001", "9" * 5000, "１"])
def test_a_top_that_is_no_number_of_entries_is_refused(app: InProcess, top: str) -> None:
    path = f"{app.client.subscription}/resourceGroups"
    reply = app.client.get(path, params={"api-version": "2026-06-01", "$top": top})
    assert (reply.status_code, reply.json()["error"]["target"]) == (400, "$top")
