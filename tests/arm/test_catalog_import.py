"""What an import reads, leaves out and refuses; and that a list of ours is read back as it was written from."""

from __future__ import annotations

import copy
import json
from functools import cache
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from poolwright import errors
from poolwright.arm.catalog_import import CatalogImport
from poolwright.arm.node_images import ListedImage, render_node_images
from poolwright.arm.skus import encode_sku, render_skus
from poolwright.arm.upgrades import kubernetes_versions, upgrades_of
from poolwright.catalog.catalog import Catalog
from poolwright.catalog.in_force import CatalogInForce, Replacements
from poolwright.domain.generation import Generation
from poolwright.domain.kubernetes_version import KubernetesVersion
from poolwright.domain.offer import Offer, Restriction, RestrictionReason, ZoneDetail
from poolwright.domain.size_name import available_vcpus, disk_controllers
from poolwright.domain.vm_size import Architecture, ConfidentialComputing
from poolwright.store.records import dump, load

LOCATIONS = ("eastus", "westcentralus", "westeurope")
NOW = 1_800_000_000.0

# An entry as `az vm list-skus --all -o json` prints it, after the captures in Azure/karpenter-provider-azure.
ENTRY: dict[str, Any] = {
    "apiVersions": None,
    "capabilities": [
        {"name": "MaxResourceVolumeMB", "value": "51200"},
        {"name": "OSVhdSizeMB", "value": "1047552"},
        {"name": "vCPUs", "value": "8"},
        {"name": "HyperVGenerations", "value": "V1,V2"},
        {"name": "MemoryGB", "value": "218.75"},
        {"name": "MaxDataDiskCount", "value": "8"},
        {"name": "CpuArchitectureType", "value": "x64"},
        {"name": "vCPUsAvailable", "value": "2"},
        {"name": "DiskControllerTypes", "value": "NVMe, SCSI"},
        {"name": "EphemeralOSDiskSupported", "value": "True"},
        {"name": "EncryptionAtHostSupported", "value": "False"},
        {"name": "TrustedLaunchDisabled", "value": "True"},
        {"name": "ParentSize", "value": "M8ms"},
        {"name": "SomethingNew", "value": "whatever it is"},
    ],
    "capacity": None,
    "costs": None,
    "family": "standardMSFamily",
    "kind": None,
    "locationInfo": [
        {
            "extendedLocations": None,
            "location": "EastUS",
            "type": None,
            "zoneDetails": [{"Name": ["2"], "capabilities": [{"name": "UltraSSDAvailable", "value": "True"}]}],
            "zones": ["3", "1", "2"],
        }
    ],
    "locations": ["EastUS"],
    "name": "Standard_M8-2ms",
    "resourceType": "virtualMachines",
    "restrictions": [
        {
            "reasonCode": "NotAvailableForSubscription",
            "restrictionInfo": {"locations": ["EastUS"], "zones": None},
            "type": "Location",
            "values": ["EastUS"],
        },
        {
            "reasonCode": "QuotaId",
            "restrictionInfo": {"locations": ["EastUS"], "zones": ["3", "1"]},
            "type": "Zone",
            "values": ["EastUS"],
        },
    ],
    "size": "M8-2ms",
    "tier": "Standard",
}


def read(*documents: Any, location: str | None = None) -> Replacements:
    lists = CatalogImport(location)
    for document in documents:
        lists.feed(document if isinstance(document, bytes) else json.dumps(document).encode())
    return lists.end(NOW)


def changed(**changes: Any) -> dict[str, Any]:
    return copy.deepcopy(ENTRY) | changes


def with_capability(name: str, value: str | None) -> dict[str, Any]:
    others = [part for part in ENTRY["capabilities"] if part["name"] != name]
    return changed(capabilities=[*others, {"name": name, "value": value}] if value is not None else others)


def only_offer(replacements: Replacements, location: str = "eastus") -> Offer:
    (offer,) = replacements.sizes[location].offers
    return offer


# What is read.


def test_an_entry_of_az_is_read_in_full() -> None:
    offer = only_offer(read([ENTRY]))
    size = offer.size
    assert (size.name, size.tier, size.family) == ("Standard_M8-2ms", "Standard", "standardMSFamily")
    assert (size.vcpus, size.memory_gb, available_vcpus(size)) == (8, 218.75, 2)
    assert size.generations == {Generation.V1, Generation.V2}
    assert (size.architecture, size.confidential) == (Architecture.X64, None)
    assert (size.trusted_launch_disabled, size.ephemeral_os_disk, size.encryption_at_host) == (True, True, False)
    assert (size.max_data_disks, size.os_vhd_size_mb, size.premium_io) == (8, 1047552, None)
    assert disk_controllers(size.name, size) == {"SCSI", "NVMe"}
    assert size.further == (
        ("MaxResourceVolumeMB", "51200"),
        ("ParentSize", "M8ms"),
        ("SomethingNew", "whatever it is"),
    )
    assert (offer.zones, offer.assumed) == (("1", "2", "3"), frozenset())
    assert offer.zone_details == (ZoneDetail(("2",), (("UltraSSDAvailable", "True"),)),)
    assert offer.restrictions == (
        Restriction(RestrictionReason.NOT_AVAILABLE),
        Restriction(RestrictionReason.QUOTA_ID, ("1", "3")),
    )


def test_what_was_read_is_shown_again_with_the_capabilities_no_rule_reads() -> None:
    shown = encode_sku(only_offer(read([ENTRY])), "eastus")
    assert {part["name"]: part["value"] for part in shown["capabilities"]} == {
        **{part["name"]: part["value"] for part in ENTRY["capabilities"]},
        "DiskControllerTypes": "SCSI, NVMe",
    }
    assert shown["locationInfo"] == [
        {
            "location": "eastus",
            "zones": ("1", "2", "3"),
            "zoneDetails": [{"Name": ("2",), "capabilities": [{"name": "UltraSSDAvailable", "value": "True"}]}],
        }
    ]
    assert [one["restrictionInfo"] for one in shown["restrictions"]] == [
        {"locations": ["eastus"]},
        {"locations": ["eastus"], "zones": ("1", "3")},
    ]


def test_confidential_and_constrained_sizes_keep_their_truth() -> None:
    size = only_offer(read([with_capability("ConfidentialComputingType", "SNP")])).size
    assert size.confidential is ConfidentialComputing.SNP
    # The name says 2; the subscription's list knows better.
    assert available_vcpus(only_offer(read([with_capability("vCPUsAvailable", "4")])).size) == 4


def test_pages_lists_and_several_files_come_together() -> None:
    pages = [{"value": [changed(name=f"Standard_D{n}s_v5")], "nextLink": "https://next"} for n in (2, 4)]
    sizes = read(*pages, [changed(name="Standard_D8s_v5")]).sizes["eastus"].offers
    assert [offer.size.name for offer in sizes] == ["Standard_D2s_v5", "Standard_D4s_v5", "Standard_D8s_v5"]


def test_an_entry_of_several_locations_is_read_for_each() -> None:
    information = [{"location": place, "zones": zones} for place, zones in (("eastus", ["1"]), ("westus2", []))]
    found = read([changed(locations=["eastus", "West US 2"], locationInfo=information)])
    assert only_offer(found, "eastus").zones == ("1",)
    assert only_offer(found, "westus2").zones == ()
    assert only_offer(found, "eastus").restrictions
    assert only_offer(found, "westus2").restrictions == ()
    assert only_offer(found, "westus2").size is only_offer(found, "eastus").size


def test_an_import_takes_away_what_was_assumed() -> None:
    built_in = Catalog.built_in(LOCATIONS)
    imported = CatalogInForce(built_in, read([ENTRY])).present
    offer = imported.at("eastus").offer("Standard_M8-2ms")
    assert offer is not None
    assert offer.assumed == frozenset()
    assert imported.sizes_in("eastus") == (offer.size,)
    assert imported.at("westeurope") == built_in.at("westeurope")


# What is left out.


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (changed(resourceType="disks"), "resource type disks"),
        (with_capability("HyperVGenerations", None), "no generations"),
        (with_capability("HyperVGenerations", ""), "no generations"),
        (with_capability("vCPUs", None), "no vCPUs"),
        (with_capability("MemoryGB", None), "no memory"),
        (with_capability("HyperVGenerations", "V1,V3"), "unreadable HyperVGenerations V1,V3"),
        (with_capability("vCPUs", "many"), "unreadable vCPUs many"),
        (with_capability("vCPUs", "0"), "unreadable vCPUs 0"),
        (with_capability("vCPUs", "9" * 5000), "unreadable vCPUs " + "9" * 40),
        (with_capability("MemoryGB", "nan"), "unreadable MemoryGB nan"),
        (with_capability("MemoryGB", "inf"), "unreadable MemoryGB inf"),
        (with_capability("MemoryGB", "-1"), "unreadable MemoryGB -1"),
        (with_capability("CpuArchitectureType", "RISC-V"), "unreadable CpuArchitectureType RISC-V"),
        (with_capability("ConfidentialComputingType", "X"), "unreadable ConfidentialComputingType X"),
        (with_capability("EphemeralOSDiskSupported", "maybe"), "unreadable EphemeralOSDiskSupported maybe"),
        (with_capability("MaxDataDiskCount", "-3"), "unreadable MaxDataDiskCount -3"),
        (with_capability("DiskControllerTypes", "IDE"), "unreadable DiskControllerTypes IDE"),
        (changed(restrictions=[{"type": "Moon", "reasonCode": "QuotaId"}]), "unreadable restriction type Moon"),
        (changed(restrictions=[{"type": "Zone", "reasonCode": "X"}]), "unreadable restriction reason X"),
        (changed(locationInfo=[{"location": "eastus", "type": "EdgeZone"}]), "extended location"),
        (changed(name="STANDARD_D2S_V5"), "listed before"),
    ],
)
def test_what_means_nothing_here_is_left_out_and_counted(entry: dict[str, Any], reason: str) -> None:
    lists = CatalogImport(None)
    lists.feed(orjson.dumps([changed(name="Standard_D2s_v5"), entry]))
    found = lists.end(NOW)
    assert [offer.size.name for offer in found.sizes["eastus"].offers] == ["Standard_D2s_v5"]
    assert lists.left_out == {"eastus": {reason: 1}}
    assert found.sizes["eastus"].left_out == {reason: 1}


def test_a_location_of_which_nothing_is_taken_is_not_replaced() -> None:
    assert read([changed(resourceType="disks"), changed(locations=[], locationInfo=None)]) == Replacements()


# What is refused.


@pytest.mark.parametrize(
    ("document", "place", "reason"),
    [
        (b"", None, "holds no entry of any list"),
        ([], None, "holds no entry of any list"),
        ({"value": []}, None, "holds no entry of any list"),
        ({"error": {"code": "x"}}, None, "holds no entry of any list"),
        ([1], "[0]", "it is no object"),
        ([ENTRY, {"a": 1, "b": 2}], "[1]", r"an entry of no list known here \(it has a, b\)"),
        ({"value": [{}]}, "value[0]", r"an entry of no list known here \(it has nothing\)"),
        ([changed(name=None)], "[0]", r"\[0\]\.name: it is missing"),
        ([changed(name=7)], "[0]", r"\[0\]\.name: it is no text"),
        ([changed(locations="eastus")], "[0]", r"\[0\]\.locations: it is no list"),
        ([changed(locations=[None])], "[0]", r"\[0\]\.locations\[0\]: it is no text"),
        ([changed(capabilities=[[]])], "[0]", r"\[0\]\.capabilities\[0\]: it is no object"),
        ([changed(capabilities=[{"value": "x"}])], "[0]", r"capabilities\[0\]\.name: it is missing"),
        ([changed(restrictions=[{"type": "Zone"}])], "[0]", r"restrictions\[0\]\.reasonCode: it is missing"),
        ([changed(locationInfo=[{"zones": []}])], "[0]", r"locationInfo\[0\]\.location: it is missing"),
        (b'[{"resourceType": "x", "name": "\\ud800"}]', "[0]", "half of a surrogate pair"),
        ({"value": [{"fullName": "x", "os": "y"}]}, "value[0]", r"value\[0\]\.sku: it is missing"),
        ({"values": [{"version": "x", "patchVersions": {}}]}, "values[0]", "no Kubernetes version: x"),
        (
            {"values": [{"version": "1.33", "patchVersions": {"1.34.1": {}}}]},
            "values[0]",
            "1.34.1, which is no patch of 1.33",
        ),
    ],
)
def test_a_list_that_is_none_is_refused_with_the_place(document: Any, place: str | None, reason: str) -> None:
    with pytest.raises(errors.InvalidRequestContent, match=reason) as refused:
        read(document)
    assert refused.value.target == place


def test_the_place_is_told_for_programs_too() -> None:
    with pytest.raises(errors.InvalidRequestContent) as refused:
        read(b"\x1e[]", b'\x1e[\n  {"a": 1}\n]')
    assert refused.value.information == {
        "document": 2,
        "line": 2,
        "column": 3,
        "reason": "[0]: it is an entry of no list known here (it has a)",
    }


# Any subset, and garbage.

jsonish = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*ENTRY, "x"]), inner, max_size=3),
    max_leaves=6,
)


@st.composite
def damaged(draw: st.DrawFn) -> Any:
    """The entry with some place of it replaced by anything, or taken out."""
    document = copy.deepcopy(ENTRY)
    holder: Any = document
    for _ in range(draw(st.integers(0, 3))):
        keys: list[Any] = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
        inner = [key for key in keys if isinstance(holder[key], dict | list) and holder[key]]
        if not inner:
            break
        holder = holder[draw(st.sampled_from(inner))]
    key = draw(st.sampled_from(list(holder) if isinstance(holder, dict) else list(range(len(holder)))))
    if draw(st.booleans()):
        holder[key] = draw(jsonish)
    else:
        del holder[key]
    return document


@given(damaged())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_damaged_entry_is_taken_left_out_or_refused_and_nothing_else(entry: Any) -> None:
    try:
        found = read([entry, changed(name="Standard_Whole")])
    except errors.InvalidRequestContent as error:
        refused = error
    else:
        refused = None
    if refused is not None:
        assert refused.target == "[0]"
        return
    assert found.sizes["eastus"].offers[-1].size.name == "Standard_Whole"
    for sizes in found.sizes.values():
        assert load(type(sizes), dump(sizes)) == sizes
        for offer in sizes.offers:
            orjson.dumps(encode_sku(offer, "eastus"))


@given(jsonish)
@settings(max_examples=100, deadline=None)
def test_any_json_at_all_is_an_import_or_refused(document: Any) -> None:
    try:
        read(document)
    except (errors.InvalidRequestContent, errors.InvalidParameter):
        return


# There and back.


@given(st.sets(st.integers(0, 1200), min_size=1, max_size=40), st.randoms(use_true_random=False))
@settings(max_examples=30, deadline=None)
def test_any_part_of_a_list_of_ours_is_read_as_the_offers_it_was_written_from(places: set[int], random: Any) -> None:
    here = built_in().at("westcentralus")
    offers = [here.offers[place] for place in sorted(places) if place < len(here.offers)] or [here.offers[0]]
    random.shuffle(offers)
    found = read([encode_sku(offer, "westcentralus") for offer in offers])
    assert list(found.sizes["westcentralus"].offers) == offers


def test_the_whole_list_of_ours_read_again_gives_the_same_catalogue() -> None:
    catalog = built_in()
    again = CatalogInForce(catalog, read(render_skus(catalog, None))).present
    assert again == catalog
    assert render_skus(again, None) == render_skus(catalog, None)


def test_an_imported_list_written_and_read_again_is_the_same() -> None:
    first = read([ENTRY])
    written = render_skus(CatalogInForce(built_in(), first).present, "eastus")
    assert read(written) == first


@cache
def built_in() -> Catalog:
    return Catalog.built_in(LOCATIONS)


# Kubernetes versions.

VERSIONS = {
    "values": [
        {
            "capabilities": {"supportPlan": ["KubernetesOfficial"]},
            "isDefault": None,
            "isPreview": True,
            "patchVersions": {"1.34.1": {"upgrades": []}},
            "version": "1.34",
        },
        {
            "capabilities": {"supportPlan": ["KubernetesOfficial", "AKSLongTermSupport"]},
            "isDefault": True,
            "isPreview": None,
            "patchVersions": {"1.33.10": {"upgrades": ["1.34.1"]}, "1.33.9": {"upgrades": ["1.34.1", "1.33.10"]}},
            "version": "1.33",
        },
    ]
}


def test_a_list_of_versions_replaces_those_of_its_location_alone() -> None:
    catalogs = CatalogInForce(built_in(), read(VERSIONS, location="East US"))
    here = catalogs.present.at("eastus").kubernetes
    assert [str(offered.release) for offered in here.releases] == ["1.33", "1.34"]
    assert (str(here.default), str(here.newest_patch(here.default))) == ("1.33", "1.33.10")
    assert [str(version) for version in upgrades_of(KubernetesVersion.parse("1.33.9"), here)] == ["1.33.10", "1.34.1"]
    assert here.releases[1].is_preview
    assert catalogs.present.at("westeurope").kubernetes == built_in().at("westeurope").kubernetes
    assert catalogs.present.at("eastus").offers == built_in().at("eastus").offers


def test_versions_are_listed_as_they_were_imported() -> None:
    here = CatalogInForce(built_in(), read(VERSIONS, location="eastus")).present.at("eastus").kubernetes
    first, second = json.loads(kubernetes_versions(here))["values"]
    assert first["patchVersions"] == {
        "1.33.9": {"upgrades": ["1.33.10", "1.34.1"]},
        "1.33.10": {"upgrades": ["1.34.1"]},
    }
    assert (first["isDefault"], second["isPreview"]) == (True, True)
    again = read(kubernetes_versions(here), location="eastus").versions["eastus"].kubernetes
    assert again == here


def test_a_list_of_versions_needs_its_location() -> None:
    with pytest.raises(errors.InvalidParameter, match="does not say which location") as refused:
        read(VERSIONS)
    assert refused.value.remedy is not None
    assert "--location" in refused.value.remedy


def test_where_no_version_is_the_default_the_newest_that_is_no_preview_is() -> None:
    unmarked = {"values": [entry | {"isDefault": None} for entry in VERSIONS["values"]]}
    assert str(read(unmarked, location="eastus").versions["eastus"].kubernetes.default) == "1.33"
    only_preview = {"values": [VERSIONS["values"][0]]}
    assert str(read(only_preview, location="eastus").versions["eastus"].kubernetes.default) == "1.34"


# Node images.


def listed(os: str, sku: str, version: str) -> dict[str, str]:
    return {"fullName": f"{os}-{sku.removeprefix('windows-')}-{version}", "os": os, "sku": sku, "version": version}


def test_a_list_of_node_images_replaces_the_versions_of_those_it_names() -> None:
    entries = [
        listed("AKSUbuntu", "2204gen2containerd", "202611.05.0"),
        listed("AKSWindows", "windows-2022-containerd", "20348.5000.261101"),
        listed("AKSUbuntu", "9904containerd", "1.2.3"),
    ]
    lists = CatalogImport(None)
    lists.feed(orjson.dumps({"value": entries}))
    catalog = CatalogInForce(built_in(), lists.end(NOW)).present
    versions = {(image.gallery, image.definition): image.version_string for image in catalog.images}
    before = {(image.gallery, image.definition): image.version_string for image in built_in().images}
    assert versions == before | {
        ("AKSUbuntu", "2204gen2containerd"): "AKSUbuntu-2204gen2containerd-202611.05.0",
        ("AKSWindows", "windows-2022-containerd"): "AKSWindows-2022-containerd-20348.5000.261101",
    }
    report = lists.images_report(built_in().images)
    assert (report.named, report.kept, report.unknown) == (2, len(before) - 2, ("AKSUbuntu-9904containerd-1.2.3",))


@pytest.mark.parametrize("order", [1, -1])
def test_of_two_versions_of_one_definition_the_newer_counts(order: int) -> None:
    # Both stand in a real list (Azure/karpenter-provider-azure pkg/fake/nodeimageversionsapi.go).
    entries = [listed("AKSUbuntu", "2204gen2containerd", version) for version in ("2022.10.03", "202505.27.0")]
    images = read({"value": entries[::order]}).images
    assert images is not None
    assert list(images.version_strings.values()) == ["AKSUbuntu-2204gen2containerd-202505.27.0"]


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ("2022.10.03", "2022.11.01"),
        ("2022.12.15", "202301.10.0"),
        ("202505.27.0", "202506.03.0"),
        ("20348.3692.250518", "20348.4529.251212"),
        ("", "1"),
    ],
)
def test_versions_order_by_their_numbers(older: str, newer: str) -> None:
    assert ListedImage("o", "s", older, "f").age < ListedImage("o", "s", newer, "f").age


def test_node_images_are_listed_once_each_and_read_again() -> None:
    body = json.loads(render_node_images(built_in().images))["value"]
    names = [(entry["os"], entry["sku"]) for entry in body]
    assert len(names) == len(set(names))
    for entry in body:
        assert entry["fullName"].endswith(f"-{entry['version']}")
    images = read({"value": body}).images
    assert images is not None
    assert CatalogInForce(built_in(), read({"value": body})).present.images == built_in().images


def test_sizes_alone_are_refused_with_a_location_they_are_not_of() -> None:
    with pytest.raises(errors.InvalidParameter, match="none in location 'westus2'; it has eastus") as refused:
        read([changed()], location="West US 2")
    assert refused.value.target == "location"
    assert set(read([changed()], location="East US").sizes) == {"eastus"}
