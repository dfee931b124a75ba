"""What a node pool takes from a snapshot, what it keeps of it, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import pytest

from poolwright import errors
from poolwright.catalog.catalog import Catalog, LocationCatalog
from poolwright.domain.admission import rolled_back, settle, with_image_of, with_newest_image
from poolwright.domain.change import configuration_of
from poolwright.domain.cluster import Cluster, ProvisioningState
from poolwright.domain.generation import Generation
from poolwright.domain.node_pool import NodePool, NodePoolRequest, good_state, same_again
from poolwright.domain.os_sku import OsSku, OsType
from poolwright.domain.profile import Profile
from poolwright.domain.resource_id import ClusterId, GroupId, NodePoolId, SnapshotId
from poolwright.domain.snapshot import SNAPSHOT_TABLE, Snapshot, captured
from poolwright.domain.surroundings import Surroundings
from poolwright.domain.wish import ABSENT

V1, V2 = Generation.V1, Generation.V2
GROUP = GroupId("00000000-0000-4000-8000-000000000001", "rg")
CLUSTER = ClusterId(GROUP, "c1")
V1_ONLY, BOTH, ALSO_BOTH, V2_ONLY = "Standard_D2_v3", "Standard_D2s_v5", "Standard_D4s_v5", "Standard_D4ads_v6"
ARM, GPU, CONFIDENTIAL = "Standard_D2ps_v5", "Standard_NC6s_v3", "Standard_DC2as_v5"
WINDOWS: dict[str, Any] = {"os_type": OsType.WINDOWS, "os_sku": OsSku.WINDOWS_2022}
# az sends these whether or not anybody asked for them.
AZ: dict[str, Any] = {"fips": False, "os_type": OsType.LINUX, "autoscaling": False}


@cache
def catalog() -> LocationCatalog:
    return Catalog.built_in(("eastus",)).at("eastus")


def later_catalog() -> LocationCatalog:
    """The catalogue after a new version of every image came out."""
    images = tuple(
        replace(image, version_string=f"{stem(image.version_string)}-209901.01.0") for image in catalog().images
    )
    return replace(catalog(), images=images)


def stem(text: str) -> str:
    return text.rpartition("-")[0]


def around(version: str = "1.34.1", **changes: Any) -> Surroundings:
    cluster = Cluster(
        id=CLUSTER,
        location="eastus",
        sent={},
        wanted_version=version,
        version=version,
        principal_id="p",
        has_windows_profile=True,
        etag="e",
        state=ProvisioningState.SUCCEEDED,
    )
    known: dict[str, Any] = {
        "profile": Profile.DOCUMENTED,
        "engine": "simulated",
        "catalog": catalog(),
        "cluster": cluster,
        "subscription": GROUP.subscription,
        "api_version": "2026-06-01",
    }
    return Surroundings(**(known | changes))


def put(
    old: NodePool | None = None,
    surroundings: Surroundings | None = None,
    *,
    snapshot: Snapshot | None = None,
    header: bool | None = None,
    name: str = "np1",
    **properties: Any,
) -> NodePool:
    asked: dict[str, Any] = {"sent": {}, "vm_generation": ABSENT}
    if snapshot is not None:
        asked["snapshot"] = str(snapshot.id)
    return settle(
        NodePoolId(CLUSTER, name),
        NodePoolRequest(**(asked | properties)),
        old,
        surroundings or around(),
        header=header,
        etag="e",
        snapshot=snapshot,
    )


def snapshot_of(pool: NodePool, name: str = "s1") -> Snapshot:
    return Snapshot(
        id=SnapshotId(GROUP, name),
        location="eastus",
        source=str(pool.id),
        sent={},
        configuration=captured(pool),
        created=0.0,
    )


@pytest.mark.parametrize(
    "properties",
    [
        {"vm_size": BOTH},
        {"vm_size": V1_ONLY},
        {"vm_size": BOTH, "vm_generation": V1},
        {"vm_size": V2_ONLY},
        {"vm_size": BOTH, "fips": True},
        {"vm_size": BOTH, "os_sku": OsSku.AZURE_LINUX, "kubernetes_version": "1.33.2"},
        {"vm_size": BOTH, "vtpm": True, "secure_boot": True},
        {"vm_size": BOTH, "vpmem_mib": 128},
        {"vm_size": ARM},
        {"vm_size": CONFIDENTIAL},
        {"vm_size": BOTH, **WINDOWS},
        {"vm_size": BOTH, "header": True, **WINDOWS},
    ],
    ids=str,
)
def test_a_new_node_pool_is_what_the_snapshot_s_was_although_newer_images_exist(properties: dict[str, Any]) -> None:
    source = put(**properties)
    made = put(surroundings=around(catalog=later_catalog()), snapshot=snapshot_of(source), name="np2")
    assert captured(made) == captured(source)
    assert made.snapshot == str(snapshot_of(source).id)
    assert (made.rule.id, made.wish, made.late_failure) == ("snapshot", None, None)
    assert put(surroundings=around(catalog=later_catalog()), **properties).node_image != made.node_image


def test_persistent_memory_comes_to_new_node_pools_only_and_may_be_asked_for_otherwise() -> None:
    snapshot = snapshot_of(put(vm_size=BOTH, vpmem_mib=128))
    for asked, has in ((256, 256), (None, None)):
        assert put(snapshot=snapshot, vpmem_mib=asked).vpmem_mib == has
    for present in (None, 64):
        old = put(vm_size=BOTH, kubernetes_version="1.33", vpmem_mib=present)
        assert put(old, snapshot=snapshot).vpmem_mib == present


def test_what_az_sends_for_everybody_does_not_contradict_a_snapshot() -> None:
    source = put(vm_size=BOTH, fips=True)
    made = put(snapshot=snapshot_of(source), vm_size=BOTH, kubernetes_version=source.version, **AZ)
    assert made.fips
    assert made.node_image == source.node_image


def test_another_size_of_the_same_family_takes_the_same_image() -> None:
    source = put(vm_size=BOTH)
    for size in (ALSO_BOTH, V2_ONLY):
        assert put(snapshot=snapshot_of(source), vm_size=size).node_image == source.node_image


def test_a_blank_version_is_the_snapshot_s() -> None:
    source = put(vm_size=BOTH, kubernetes_version="1.33.2")
    assert put(snapshot=snapshot_of(source), kubernetes_version="").version == "1.33.2"


def test_the_minor_version_alone_is_the_snapshot_s_version() -> None:
    source = put(vm_size=BOTH, surroundings=around("1.34.0"))
    made = put(snapshot=snapshot_of(source), surroundings=around("1.34.1"), kubernetes_version="1.34")
    assert made.version == "1.34.0"


REFUSED: dict[str, tuple[dict[str, Any], dict[str, Any], str, str]] = {
    "OS type": ({"vm_size": BOTH}, {"os_type": OsType.WINDOWS}, "snapshot-os-type", "properties.osType"),
    "OS SKU": ({"vm_size": BOTH}, {"os_sku": OsSku.UBUNTU_2404}, "snapshot-os-sku", "properties.osSKU"),
    "version": (
        {"vm_size": BOTH, "kubernetes_version": "1.33.2"},
        {"kubernetes_version": "1.34.1"},
        "snapshot-version",
        "properties.orchestratorVersion",
    ),
    "no version at all": (
        {"vm_size": BOTH},
        {"kubernetes_version": "banana"},
        "snapshot-version",
        "properties.orchestratorVersion",
    ),
    "FIPS": ({"vm_size": BOTH}, {"fips": True}, "snapshot-fips", "properties.enableFIPS"),
    "family": ({"vm_size": BOTH}, {"vm_size": GPU}, "snapshot-family", "properties.vmSize"),
    "confidential": ({"vm_size": BOTH}, {"vm_size": CONFIDENTIAL}, "snapshot-family", "properties.vmSize"),
    "Gen 2 image on a Gen 1 size": (
        {"vm_size": BOTH},
        {"vm_size": V1_ONLY},
        "snapshot-generation",
        "properties.vmSize",
    ),
    "Gen 1 image on a Gen 2 size": (
        {"vm_size": V1_ONLY},
        {"vm_size": V2_ONLY},
        "snapshot-generation",
        "properties.vmSize",
    ),
    "wish by property": (
        {"vm_size": BOTH},
        {"vm_generation": V1},
        "snapshot-wish",
        "properties.vmGeneration",
    ),
    "wish by header": (
        {"vm_size": BOTH, **WINDOWS},
        {"header": True},
        "snapshot-wish",
        "properties.vmGeneration",
    ),
    "architecture": (
        {"vm_size": BOTH},
        {"vm_size": ARM},
        "snapshot-image",
        "properties.creationData.sourceResourceId",
    ),
    "Trusted Launch": (
        {"vm_size": BOTH},
        {"vtpm": True},
        "snapshot-image",
        "properties.creationData.sourceResourceId",
    ),
    "no Trusted Launch": (
        {"vm_size": BOTH, "vtpm": True},
        {"vtpm": False},
        "snapshot-image",
        "properties.creationData.sourceResourceId",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_contradicts_the_snapshot_is_refused_with_its_place(case: str) -> None:
    taken_of, asked, rule, target = REFUSED[case]
    source = snapshot_of(put(**taken_of))
    with pytest.raises(errors.InvalidParameter) as refused:
        put(snapshot=source, **asked)
    assert (refused.value.information["rule"]["id"], refused.value.target) == (rule, target)
    assert "'s1'" in refused.value.message
    assert refused.value.remedy


def test_every_row_refuses_something() -> None:
    met = {rule for _, _, rule, _ in REFUSED.values()} | {"snapshot-older"}
    assert met == {row.rule.id for row in SNAPSHOT_TABLE}


def test_a_node_pool_is_upgraded_to_a_newer_snapshot_and_its_machines_are_outdated() -> None:
    old = put(vm_size=BOTH, kubernetes_version="1.33.2")
    newer = snapshot_of(put(vm_size=BOTH, surroundings=around(catalog=later_catalog())))
    # az sends the version of the snapshot, and everything else as it was.
    request = replace(same_again(old), snapshot=str(newer.id), kubernetes_version=newer.configuration.version)
    upgraded = settle(old.id, request, old, around(), header=None, etag="e", snapshot=newer)
    assert (upgraded.version, upgraded.node_image) == ("1.34.1", newer.configuration.node_image)
    assert configuration_of(upgraded) != configuration_of(old)


def test_a_node_pool_is_not_moved_to_an_older_image_or_version() -> None:
    older = snapshot_of(put(vm_size=BOTH))
    present = put(vm_size=BOTH, surroundings=around(catalog=later_catalog()))
    with pytest.raises(errors.InvalidParameter) as refused:
        put(present, snapshot=older)
    assert refused.value.information["rule"]["id"] == "snapshot-older"
    of_old_version = snapshot_of(put(vm_size=BOTH, kubernetes_version="1.33.2"))
    with pytest.raises(errors.AgentPoolUpgradeVersionNotAllowed):
        put(put(vm_size=BOTH), snapshot=of_old_version)


def test_an_upgrade_never_crosses_os_skus_and_crosses_generations_only_where_a_change_in_place_does() -> None:
    linux = snapshot_of(put(vm_size=BOTH, os_sku=OsSku.AZURE_LINUX))
    with pytest.raises(errors.InvalidParameter) as refused:
        put(put(vm_size=BOTH), snapshot=linux)
    assert refused.value.information["rule"]["id"] == "snapshot-os-sku"
    gen2 = snapshot_of(put(vm_size=BOTH))
    gen1 = put(vm_size=BOTH, vm_generation=V1)
    with pytest.raises(errors.InvalidParameter) as wished:
        put(gen1, snapshot=gen2)
    assert wished.value.information["rule"]["id"] == "snapshot-wish"
    assert put(gen1, snapshot=gen2, vm_generation=None).generation is V2
    azure = around(profile=Profile.AZURE_2026)
    in_azure = replace(put(vm_size=BOTH, surroundings=azure), generation=V1, image_definition="2204containerd")
    with pytest.raises(errors.PropertyChangeNotAllowed):
        put(in_azure, azure, snapshot=gen2)


@pytest.fixture
def held() -> NodePool:
    """A node pool from a snapshot of which newer images exist."""
    return put(surroundings=around(catalog=later_catalog()), snapshot=snapshot_of(put(vm_size=BOTH)))


NEWER = {"surroundings": around(catalog=later_catalog())}


@pytest.mark.parametrize("repeated", [True, False], ids=["creationData repeated", "left out"])
def test_scaling_and_labels_keep_image_and_snapshot(held: NodePool, repeated: bool) -> None:
    again = {"snapshot": held.snapshot} if repeated else {}
    request = replace(same_again(held), sent={"nodeLabels": {"a": "b"}}, count=7, **again)
    changed = settle(held.id, request, held, NEWER["surroundings"], header=None, etag="e")
    assert (changed.node_image, changed.snapshot, changed.rule) == (held.node_image, held.snapshot, held.rule)
    assert configuration_of(changed) == configuration_of(held)


def test_an_upgrade_without_the_snapshot_leaves_it_for_the_newest_image(held: NodePool) -> None:
    newest = later_catalog().images
    for changed in (
        put(held, around("1.35.0", catalog=later_catalog()), kubernetes_version="1.35"),
        put(held, NEWER["surroundings"], node_image="latest", snapshot=None),
        put(held, NEWER["surroundings"], os_sku=OsSku.UBUNTU_2404),
        with_newest_image(held, NEWER["surroundings"], etag="e"),
    ):
        assert changed.snapshot is None
        assert changed.node_image in {image.version_string for image in newest}


def test_the_snapshot_named_again_holds_the_image_or_refuses(held: NodePool) -> None:
    surroundings = around("1.35.0", catalog=later_catalog())

    def again(**properties: Any) -> NodePool:
        request = replace(same_again(held), snapshot=held.snapshot, **properties)
        return settle(held.id, request, held, surroundings, header=None, etag="e")

    assert again(vm_size=ALSO_BOTH).node_image == held.node_image
    assert again(vm_generation=V2).node_image == held.node_image
    refusals: list[tuple[str, dict[str, Any]]] = [
        ("snapshot-generation", {"vm_size": V1_ONLY}),
        ("snapshot-os-sku", {"os_sku": OsSku.UBUNTU_2404}),
        ("snapshot-fips", {"fips": True}),
        ("snapshot-image", {"vtpm": True}),
        ("snapshot-wish", {"vm_generation": V1}),
        ("snapshot-version", {"kubernetes_version": "1.35"}),
        ("snapshot-version", {"kubernetes_version": ""}),
    ]
    for rule, properties in refusals:
        with pytest.raises(errors.InvalidParameter) as refused:
            again(**properties)
        assert refused.value.information["rule"]["id"] == rule


def test_a_snapshot_whose_image_has_left_the_catalogue_still_scales_and_makes_no_new_pool(held: NodePool) -> None:
    without = replace(catalog(), images=tuple(i for i in catalog().images if i.definition != held.image_definition))
    empty = around(catalog=without)
    assert put(held, empty, count=4, snapshot=None).node_image == held.node_image
    with pytest.raises(errors.PoolwrightError):
        put(surroundings=empty, snapshot=snapshot_of(held))


def test_going_back_gives_the_former_snapshot_back(held: NodePool) -> None:
    former = good_state(held, 0.0)
    left = replace(with_newest_image(held, NEWER["surroundings"], etag="e"), good=former)
    assert left.snapshot is None
    back = rolled_back(left, etag="e")
    assert (back.snapshot, back.node_image) == (held.snapshot, held.node_image)
    # az aks nodepool rollback names the image.
    by_image = put(left, NEWER["surroundings"], node_image=held.node_image)
    assert (by_image.snapshot, by_image.node_image) == (held.snapshot, held.node_image)


def test_the_node_image_alone_moves_to_a_snapshot_of_the_same_version_only() -> None:
    old = put(vm_size=BOTH)
    newer = snapshot_of(put(vm_size=BOTH, surroundings=around(catalog=later_catalog())))
    moved = with_image_of(old, newer, around(), etag="e")
    assert (moved.node_image, moved.snapshot) == (newer.configuration.node_image, str(newer.id))
    with pytest.raises(errors.InvalidParameter, match="within one version"):
        with_image_of(replace(old, version="1.33.2"), newer, around(), etag="e")


def test_a_request_for_the_same_again_changes_nothing() -> None:
    made = put(vm_size=BOTH, sent={"nodeLabels": {"a": "b"}}, autoscaling=True, min_count=1, max_count=3)
    again = settle(made.id, same_again(made), made, around(), header=None, etag="e")
    assert again == replace(made, state=ProvisioningState.UPDATING, promised=made.count)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("/subscriptions/S/resourcegroups/RG/providers/microsoft.containerservice/SNAPSHOTS/One", True),
        (str(SnapshotId(GROUP, "One")), True),
        ("/subscriptions/s/resourceGroups/rg/providers/Microsoft.Compute/snapshots/One", False),
        (f"{SnapshotId(GROUP, 'One')}/more", False),
        ("One", False),
        ("", False),
    ],
)
def test_only_the_id_of_a_snapshot_is_one(text: str, key: bool) -> None:
    parsed = SnapshotId.parse(text)
    assert (parsed is not None) is key
    if parsed is not None:
        assert parsed.key == text.lower()
