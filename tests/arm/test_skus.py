"""The SKU list of Compute: its shape, what it says of a size, and that it keeps to Azure's own schema."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft4Validator  # type: ignore[import-untyped]  # the package has no stubs

from poolwright.arm.skus import parse_location_filter, render_skus
from poolwright.catalog.catalog import Catalog

LOCATIONS = ("eastus", "westcentralus", "westeurope")
SPEC = Path(__file__).parents[1] / "spec" / "compute-skus.json"


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return Catalog.built_in(LOCATIONS)


@pytest.fixture(scope="module")
def entries(catalog: Catalog) -> list[dict[str, Any]]:
    return rendered(catalog, None)


def rendered(catalog: Catalog, location: str | None) -> list[dict[str, Any]]:
    reply = json.loads(render_skus(catalog, location))
    assert list(reply) == ["value"]
    entries: list[dict[str, Any]] = reply["value"]
    return entries


def entry(entries: list[dict[str, Any]], name: str, location: str) -> dict[str, Any]:
    (found,) = [one for one in entries if one["name"] == name and one["locations"] == [location]]
    return found


def capabilities(entries: list[dict[str, Any]], name: str, location: str) -> dict[str, str]:
    return {one["name"]: one["value"] for one in entry(entries, name, location)["capabilities"]}


def nulls(value: Any, path: str = "") -> list[str]:
    if isinstance(value, dict):
        return [found for key, inner in value.items() for found in nulls(inner, f"{path}/{key}")]
    if isinstance(value, list):
        return [found for place, inner in enumerate(value) for found in nulls(inner, f"{path}/{place}")]
    return [path] if value is None else []


def test_the_reply_keeps_to_the_published_schema_without_nulls(entries: list[dict[str, Any]]) -> None:
    specification = json.loads(SPEC.read_text(encoding="utf-8"))
    schema = {**specification, "$ref": "#/definitions/ResourceSkusResult"}
    errors = [error.message for error in Draft4Validator(schema).iter_errors({"value": entries})]
    assert errors == []
    assert nulls(entries) == []


def test_an_entry_has_only_properties_the_schema_names(entries: list[dict[str, Any]]) -> None:
    specification = json.loads(SPEC.read_text(encoding="utf-8"))["definitions"]
    assert {key for one in entries for key in one} <= set(specification["ResourceSku"]["properties"])
    information = specification["ResourceSkuLocationInfo"]["properties"]
    assert {key for one in entries for key in one["locationInfo"][0]} <= set(information)


def test_an_entry_speaks_of_one_region_and_always_has_restrictions(entries: list[dict[str, Any]]) -> None:
    for one in entries:
        assert one["resourceType"] == "virtualMachines"
        assert one["restrictions"] == []
        assert [information["location"] for information in one["locationInfo"]] == one["locations"]
        assert len(one["locations"]) == 1


def test_every_size_of_every_location_is_listed_once(catalog: Catalog, entries: list[dict[str, Any]]) -> None:
    listed = [(one["locations"][0], one["name"]) for one in entries]
    assert listed == [(place, size.name) for place in LOCATIONS for size in catalog.sizes_in(place)]


def test_one_location_is_the_same_as_its_part_of_all(catalog: Catalog, entries: list[dict[str, Any]]) -> None:
    assert rendered(catalog, "East US") == [one for one in entries if one["locations"] == ["eastus"]]


def test_a_location_that_is_not_offered_has_no_sizes(catalog: Catalog) -> None:
    assert render_skus(catalog, "westus") == b'{"value":[]}'


def test_a_size_with_known_facts_is_written_out(entries: list[dict[str, Any]]) -> None:
    assert entry(entries, "Standard_M8-2ms", "eastus") == {
        "resourceType": "virtualMachines",
        "name": "Standard_M8-2ms",
        "tier": "Standard",
        "size": "M8-2ms",
        "family": "standardMSFamily",
        "locations": ["eastus"],
        "locationInfo": [{"location": "eastus", "zones": ["1", "2", "3"], "zoneDetails": []}],
        "capabilities": [
            {"name": "vCPUs", "value": "8"},
            {"name": "vCPUsAvailable", "value": "2"},
            {"name": "MemoryGB", "value": "218.75"},
            {"name": "HyperVGenerations", "value": "V1,V2"},
            {"name": "CpuArchitectureType", "value": "x64"},
            {"name": "MaxDataDiskCount", "value": "8"},
            {"name": "OSVhdSizeMB", "value": "1047552"},
            {"name": "CachedDiskBytes", "value": "851477266432"},
            {"name": "AcceleratedNetworkingEnabled", "value": "True"},
            {"name": "PremiumIO", "value": "True"},
            {"name": "EncryptionAtHostSupported", "value": "True"},
            {"name": "EphemeralOSDiskSupported", "value": "True"},
            {"name": "TrustedLaunchDisabled", "value": "True"},
        ],
        "restrictions": [],
    }


def test_every_value_of_a_capability_is_a_text(entries: list[dict[str, Any]]) -> None:
    assert {type(one["value"]) for sku in entries for one in sku["capabilities"]} == {str}


@pytest.mark.parametrize(
    ("name", "memory"),
    [
        ("Standard_D2s_v3", "8"),
        ("Standard_A0", "0.75"),
        ("Standard_M416ms_v2", "11400"),
        ("Standard_M896ixds_32_v3", "30400"),
    ],
)
def test_memory_has_no_needless_decimals(entries: list[dict[str, Any]], name: str, memory: str) -> None:
    assert capabilities(entries, name, "westeurope")["MemoryGB"] == memory


def test_what_is_unknown_is_left_out_and_what_is_false_is_said(entries: list[dict[str, Any]]) -> None:
    unknown = capabilities(entries, "Standard_D4s_v6", "eastus")
    for absent in ("EncryptionAtHostSupported", "EphemeralOSDiskSupported", "OSVhdSizeMB", "CachedDiskBytes"):
        assert absent not in unknown
    assert capabilities(entries, "Standard_D2as_v6", "eastus")["EphemeralOSDiskSupported"] == "False"


def test_what_arm_names_only_where_it_holds_is_named_only_there(entries: list[dict[str, Any]]) -> None:
    plain = capabilities(entries, "Standard_D2s_v3", "eastus")
    assert not {"TrustedLaunchDisabled", "GPUs", "ConfidentialComputingType"} & set(plain)
    assert capabilities(entries, "Standard_D2ps_v5", "eastus")["TrustedLaunchDisabled"] == "True"
    assert capabilities(entries, "Standard_NC64as_T4_v3", "eastus")["GPUs"] == "4"
    assert capabilities(entries, "Standard_DC4as_v5", "eastus")["ConfidentialComputingType"] == "SNP"
    listed = [one for sku in entries for one in sku["capabilities"]]
    assert {one["value"] for one in listed if one["name"] == "TrustedLaunchDisabled"} == {"True"}


@pytest.mark.parametrize(
    ("name", "location", "assumed"),
    [
        ("Standard_D2s_v3", "eastus", None),
        ("Standard_D2ps_v5", "eastus", "zones"),
        ("Standard_D2s_v3", "westeurope", "locations,zones"),
        ("Standard_D4s_v6", "eastus", "locations,zones"),
    ],
)
def test_what_is_assumed_is_marked_on_the_entry(
    entries: list[dict[str, Any]], name: str, location: str, assumed: str | None
) -> None:
    assert capabilities(entries, name, location).get("PoolwrightAssumed") == assumed


def test_a_location_without_zones_lists_none(entries: list[dict[str, Any]]) -> None:
    assert entry(entries, "Standard_D2s_v3", "westcentralus")["locationInfo"][0]["zones"] == []


def test_an_unknown_family_is_left_out(entries: list[dict[str, Any]]) -> None:
    assert "family" not in entry(entries, "Basic_A0", "eastus")
    assert entry(entries, "Basic_A0", "eastus")["size"] == "A0"


def test_the_generations_of_a_size_that_fools_people_are_right(entries: list[dict[str, Any]]) -> None:
    assert capabilities(entries, "Standard_D2_v3", "eastus")["HyperVGenerations"] == "V1"
    assert capabilities(entries, "Standard_D2s_v3", "eastus")["HyperVGenerations"] == "V1,V2"
    assert capabilities(entries, "Standard_D2s_v6", "eastus")["HyperVGenerations"] == "V2"


@pytest.mark.parametrize("text", ["location eq 'eastus'", " location  eq  'eastus' ", "Location EQ 'eastus'"])
def test_the_location_filter_is_read(text: str) -> None:
    assert parse_location_filter(text) == "eastus"


@pytest.mark.parametrize(
    "text",
    ["", "location eq eastus", "location eq ''", "name eq 'eastus'", "location eq 'a' or location eq 'b'"],
)
def test_any_other_filter_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="write location eq 'eastus'"):
        parse_location_filter(text)
