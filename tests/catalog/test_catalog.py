"""The built-in catalogue: what is offered where, what is assumed, and what is left out."""

from __future__ import annotations

from dataclasses import replace
from importlib.resources import files

import pytest

from poolwright.catalog import shipped_table
from poolwright.catalog.catalog import Catalog, LeftOutSize
from poolwright.catalog.kubernetes_versions import KubernetesVersions, OfferedRelease
from poolwright.domain.generation import Generation
from poolwright.domain.kubernetes_version import KubernetesRelease, KubernetesVersion
from poolwright.domain.node_image import NodeImage
from poolwright.domain.offer import Offer
from poolwright.domain.os_sku import OsSku
from poolwright.domain.vm_size import Architecture, ConfidentialComputing, VmSize

LOCATIONS = ("eastus", "westcentralus", "westeurope")


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return Catalog.built_in(LOCATIONS)


def size(catalog: Catalog, name: str) -> VmSize:
    found = catalog.size(name)
    assert found is not None
    return found


def image(catalog: Catalog, definition: str, gallery: str = "AKSUbuntu") -> NodeImage:
    (found,) = [one for one in catalog.images if (one.gallery, one.definition) == (gallery, definition)]
    return found


def test_every_row_is_either_offered_or_listed_as_left_out(catalog: Catalog) -> None:
    names = [row["name"] for row in shipped_table.rows("vm-sizes.csv")]
    offered_names = [one.name for one in catalog.sizes]
    left_out_names = [one.name for one in catalog.left_out]
    assert sorted(names) == sorted(offered_names + left_out_names)
    assert (len(catalog.sizes), len(catalog.left_out)) == (1413, 157)


def test_a_left_out_size_says_what_is_unknown_about_it(catalog: Catalog) -> None:
    assert LeftOutSize("Standard_D4s_v7", ("vCPUs", "memory")) in catalog.left_out
    assert LeftOutSize("Standard_H16r", ("generations",)) in catalog.left_out
    assert catalog.size("Standard_H16r") is None


@pytest.mark.parametrize("name", ["Standard_D2s_v3", "standard_d2s_v3", "STANDARD_D2S_V3"])
def test_a_size_is_found_whatever_its_case(catalog: Catalog, name: str) -> None:
    assert size(catalog, name).name == "Standard_D2s_v3"


def test_an_unknown_size_is_not_found(catalog: Catalog) -> None:
    assert catalog.size("Standard_D2s_v33") is None


def test_no_two_sizes_differ_only_by_case(catalog: Catalog) -> None:
    assert len({one.name.lower() for one in catalog.sizes}) == len(catalog.sizes)


def test_the_facts_of_a_size_are_those_of_its_row(catalog: Catalog) -> None:
    assert size(catalog, "Standard_M8-2ms") == VmSize(
        name="Standard_M8-2ms",
        family="standardMSFamily",
        tier="Standard",
        vcpus=8,
        memory_gb=218.75,
        generations=frozenset({Generation.V1, Generation.V2}),
        architecture=Architecture.X64,
        trusted_launch_disabled=True,
        max_data_disks=8,
        accelerated_networking=True,
        premium_io=True,
        encryption_at_host=True,
        ephemeral_os_disk=True,
        os_vhd_size_mb=1047552,
        cached_disk_bytes=851477266432,
    )
    assert size(catalog, "Standard_DC4as_v5").confidential is ConfidentialComputing.SNP
    assert size(catalog, "Standard_D2ps_v5").is_arm64
    assert size(catalog, "Standard_NC64as_T4_v3").gpus == 4


def test_a_blank_flag_is_unknown_and_a_false_one_is_false(catalog: Catalog) -> None:
    assert size(catalog, "Standard_D4s_v6").encryption_at_host is None
    assert size(catalog, "Standard_D4s_v6").accelerated_networking is None
    assert size(catalog, "Standard_A0").encryption_at_host is False


def offer(catalog: Catalog, name: str, location: str) -> Offer:
    found = catalog.at(location).offer(name)
    assert found is not None
    return found


def test_a_size_is_offered_only_in_locations_of_the_service(catalog: Catalog) -> None:
    assert catalog.at("eastus").offer("standard_d2s_V3") is not None
    assert catalog.at("westus").offer("Standard_D2s_v3") is None
    assert catalog.at("westus").size("Standard_D2s_v3") == size(catalog, "Standard_D2s_v3")
    assert catalog.sizes_in("westus") == catalog.at("westus").sizes == ()


def test_a_size_known_elsewhere_is_not_offered_where_the_source_looked_and_saw_none(catalog: Catalog) -> None:
    only_eastus2 = size(catalog, "Standard_NG8ads_V620_v1")
    assert catalog.at("eastus").offer(only_eastus2.name) is None
    assert only_eastus2 not in catalog.sizes_in("eastus")
    assert catalog.at("eastus").size(only_eastus2.name) == only_eastus2


def test_a_size_with_unknown_locations_is_offered_everywhere_and_marked(catalog: Catalog) -> None:
    newest = size(catalog, "Standard_D4s_v6")
    for location in LOCATIONS:
        assert newest in catalog.sizes_in(location)
        assert offer(catalog, newest.name, location).zones == ("1", "2", "3")
        assert offer(catalog, newest.name, location).assumed == {"locations", "zones"}


def test_a_location_nobody_looked_at_is_assumed_to_offer_every_size(catalog: Catalog) -> None:
    assert offer(catalog, "Standard_D2s_v3", "westeurope").assumed == {"locations", "zones"}
    assert catalog.sizes_in("westeurope") == catalog.sizes


def test_zones_known_for_a_location_are_no_assumption(catalog: Catalog) -> None:
    captured = offer(catalog, "Standard_NC24ads_A100_v4", "eastus")
    assert (captured.zones, captured.assumed) == (("3",), frozenset())


def test_a_location_listed_without_zones_offers_none(catalog: Catalog) -> None:
    captured = offer(catalog, "Standard_D2s_v3", "westcentralus")
    assert (captured.zones, captured.assumed) == ((), frozenset())


def test_zones_of_one_location_say_nothing_about_another() -> None:
    seen_in_eastus = offer(Catalog.built_in(["westus2"]), "Standard_D2s_v3", "westus2")
    assert (seen_in_eastus.zones, seen_in_eastus.assumed) == (("1", "2", "3"), {"zones"})


def test_zones_seen_in_a_location_show_that_the_size_is_offered_there() -> None:
    catalog = Catalog.built_in(["southcentralus"])
    assert offer(catalog, "Standard_D128ds_v6", "southcentralus").assumed == frozenset()


def test_a_location_with_other_offers_assumes_nothing_and_leaves_the_others_as_they_were(catalog: Catalog) -> None:
    known = Offer(size(catalog, "Standard_D2s_v3"), ("1",))
    changed = catalog.replaced({"eastus": (known,)}, {}, None)
    assert changed.at("eastus").offers == (known,)
    assert changed.at("westeurope") == catalog.at("westeurope")
    assert changed.at("eastus").offer("Standard_D4s_v6") is None
    assert changed.at("eastus").size("Standard_D4s_v6") == size(catalog, "Standard_D4s_v6")


def test_locations_are_understood_in_the_spelling_of_the_portal() -> None:
    catalog = Catalog.built_in(["East US", "eastus", "West Europe"])
    assert catalog.locations == ("eastus", "westeurope")
    assert catalog.at("East US") == catalog.at("eastus")


def test_a_catalogue_without_locations_cannot_be_made() -> None:
    with pytest.raises(ValueError, match="at least one location"):
        Catalog.built_in([])


def test_the_images_of_the_page_are_there(catalog: Catalog) -> None:
    assert image(catalog, "1804gen2containerd").version_string == "AKSUbuntu-1804gen2containerd-2024.01.26"
    assert image(catalog, "2204gen2containerd").version_string == "AKSUbuntu-2204gen2containerd-202512.18.0"
    windows = image(catalog, "windows-2022-containerd-gen2", "AKSWindows")
    assert windows.version_string == "AKSWindows-2022-containerd-gen2-20348.4529.251212"


def test_a_missing_version_is_that_of_a_sibling_of_the_same_release(catalog: Catalog) -> None:
    assert image(catalog, "1804containerd").version_string == "AKSUbuntu-1804containerd-2024.01.26"
    assert image(catalog, "2004gen2containerd").version_string == "AKSUbuntu-2004gen2containerd-202512.18.0"


def test_a_sibling_of_another_gallery_serves_where_the_own_gallery_has_none(catalog: Catalog) -> None:
    edge_zone = image(catalog, "V3gen2", "AKSAzureLinuxEdgeZone")
    assert edge_zone.version_string == "AKSAzureLinuxEdgeZone-V3gen2-202512.18.0"


def test_a_derived_windows_string_drops_the_prefix_of_its_definition(catalog: Catalog) -> None:
    trusted_launch = image(catalog, "windows-2025-gen2-tl", "AKSWindows")
    assert trusted_launch.version_string == "AKSWindows-2025-gen2-tl-26100.7462.251212"


def test_an_image_without_version_and_sibling_is_left_out(catalog: Catalog) -> None:
    assert len(catalog.images) == len(shipped_table.rows("node-images.csv")) - 1
    assert "16.04" not in {one.release for one in catalog.images}


def test_the_facts_of_an_image_are_those_of_its_row(catalog: Catalog) -> None:
    assert image(catalog, "2204gen2fipsTLcontainerd") == NodeImage(
        gallery="AKSUbuntu",
        definition="2204gen2fipsTLcontainerd",
        version_string="AKSUbuntu-2204gen2fipsTLcontainerd-202512.18.0",
        os_skus=("Ubuntu", "Ubuntu2204"),
        release="22.04",
        generation=Generation.V2,
        architecture=Architecture.X64,
        fips=True,
        trusted_launch=True,
        first_kubernetes=KubernetesRelease(1, 25),
        last_kubernetes=KubernetesRelease(1, 36),
    )
    assert image(catalog, "2004containerd").first_kubernetes is None


@pytest.mark.parametrize(
    ("generation", "definition"),
    [(Generation.V1, "1804containerd"), (Generation.V2, "1804gen2containerd")],
)
def test_the_first_ubuntu_1804_image_that_serves_1_24_is_the_plain_containerd_one(
    catalog: Catalog, generation: Generation, definition: str
) -> None:
    serving = [
        one
        for one in catalog.images
        if one.release == "18.04" and one.generation is generation and one.serves(KubernetesRelease(1, 24))
    ]
    assert serving[0].definition == definition
    assert all("containerd" in one.definition for one in serving)


def test_images_of_a_release_keep_the_order_of_the_table(catalog: Catalog) -> None:
    order = [(row["family"], row["image_definition"]) for row in shipped_table.rows("node-images.csv")]
    positions = [order.index((one.gallery, one.definition)) for one in catalog.images]
    assert positions == sorted(positions)


def test_every_image_names_os_skus_that_exist(catalog: Catalog) -> None:
    for one in catalog.images:
        assert one.os_skus
        for name in one.os_skus:
            assert OsSku.parse(name).value in {name, "CBLMariner"}


def test_every_release_from_1_24_to_1_37_is_offered(catalog: Catalog) -> None:
    releases = [str(offered.release) for offered in catalog.at("eastus").kubernetes.releases]
    assert releases == [f"1.{minor}" for minor in range(24, 38)]


def test_exactly_one_row_is_the_default_and_it_is_no_preview(catalog: Catalog) -> None:
    rows = shipped_table.rows("kubernetes-versions.csv")
    assert [row["release"] for row in rows if row["default"] == "true"] == ["1.35"]
    assert catalog.at("eastus").kubernetes.default == KubernetesRelease(1, 35)
    releases = catalog.at("eastus").kubernetes.releases
    assert [str(offered.release) for offered in releases if offered.is_preview] == ["1.37"]


def test_support_plans_are_spelled_as_in_arm(catalog: Catalog) -> None:
    plans = {str(offered.release): offered.support_plans for offered in catalog.at("eastus").kubernetes.releases}
    assert plans["1.24"] == ("KubernetesOfficial",)
    assert plans["1.33"] == ("AKSLongTermSupport",)
    assert plans["1.35"] == ("KubernetesOfficial", "AKSLongTermSupport")
    assert {plan for of_release in plans.values() for plan in of_release} == set(plans["1.35"])


def test_every_kubernetes_row_names_its_source() -> None:
    assert all(row["source"] for row in shipped_table.rows("kubernetes-versions.csv"))


@pytest.mark.parametrize(
    ("text", "found"),
    [("1.33", "1.33.13"), ("1.33.2", "1.33.2"), ("1.34", "1.34.10"), ("1.30", "1.30.101")],
)
def test_a_version_is_found_with_or_without_its_patch(catalog: Catalog, text: str, found: str) -> None:
    assert catalog.at("eastus").kubernetes.find(text) == KubernetesVersion.parse(found)


@pytest.mark.parametrize("text", ["1.33.99", "1.23", "1.23.4", "2.0", "", "latest", "1.33.2.1", "v1.33"])
def test_a_version_that_is_not_offered_is_not_found(catalog: Catalog, text: str) -> None:
    assert catalog.at("eastus").kubernetes.find(text) is None


def test_the_newest_patch_orders_by_number(catalog: Catalog) -> None:
    assert str(catalog.at("eastus").kubernetes.newest_patch(KubernetesRelease(1, 34))) == "1.34.10"
    assert catalog.at("eastus").kubernetes.newest_patch(KubernetesRelease(1, 20)) is None


def offered(*patches: str) -> OfferedRelease:
    versions = tuple(KubernetesVersion.parse(patch) for patch in patches)
    return OfferedRelease(KubernetesRelease(1, 33), versions, ("KubernetesOfficial",), is_preview=False)


def test_a_release_without_patches_cannot_be_made() -> None:
    with pytest.raises(ValueError, match="has no patch"):
        offered()


def test_a_release_with_patches_out_of_order_cannot_be_made() -> None:
    with pytest.raises(ValueError, match="not in order"):
        offered("1.33.10", "1.33.9")


def test_a_release_with_a_patch_of_another_cannot_be_made() -> None:
    with pytest.raises(ValueError, match="another release"):
        offered("1.33.1", "1.34.1")


def test_versions_without_their_default_cannot_be_made() -> None:
    with pytest.raises(ValueError, match=r"default release 1\.34 is not offered"):
        KubernetesVersions((offered("1.33.1"),), KubernetesRelease(1, 34))


@pytest.mark.parametrize("text", ["", "yes", "0"])
def test_a_flag_that_is_neither_true_nor_false_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="neither true nor false"):
        shipped_table.flag(text)


def test_the_sources_of_every_table_are_noted() -> None:
    noted = files("poolwright.catalog").joinpath("SOURCES.md").read_text(encoding="utf-8")
    for table in ("vm-sizes.csv", "node-images.csv", "kubernetes-versions.csv"):
        assert f"## {table}" in noted


def test_releases_before_the_oldest_with_long_term_support_have_ended() -> None:
    versions = KubernetesVersions.built_in()
    assert [str(each.release) for each in versions.supported] == [f"1.{minor}" for minor in range(27, 38)]
    community = tuple(replace(each, support_plans=("KubernetesOfficial",)) for each in versions.releases)
    assert replace(versions, releases=community).supported == community
