"""What a PUT leads to, below HTTP: what an update keeps, what it decides anew, and what it may not change."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import pytest

from poolwright import errors
from poolwright.catalog.catalog import Catalog, LocationCatalog
from poolwright.domain.admission import rolled_back, settle
from poolwright.domain.change import CHANGES, Effect, configuration_of
from poolwright.domain.cluster import Cluster, ProvisioningState
from poolwright.domain.generation import Generation
from poolwright.domain.node_pool import NodePool, NodePoolRequest, ScaleProfile, good_state
from poolwright.domain.node_pool_kind import Mode, PoolType, Priority
from poolwright.domain.os_sku import OsSku, OsType
from poolwright.domain.profile import Profile
from poolwright.domain.resource_id import ClusterId, GroupId, NodePoolId, SnapshotId
from poolwright.domain.snapshot import Snapshot, captured
from poolwright.domain.surroundings import Surroundings
from poolwright.domain.wish import ABSENT, Wish, WishSource

V1, V2 = Generation.V1, Generation.V2
CLUSTER = ClusterId(GroupId("00000000-0000-4000-8000-000000000001", "rg"), "c1")
WINDOWS: dict[str, Any] = {"os_type": OsType.WINDOWS, "os_sku": OsSku.WINDOWS_2022}
BOTH, V1_ONLY, V2_ONLY = "Standard_DS2_v2", "Standard_D2_v3", "Standard_D4ads_v6"


@cache
def catalog() -> LocationCatalog:
    return Catalog.built_in(("eastus",)).at("eastus")


def around(version: str = "1.34.1", catalogue: LocationCatalog | None = None, **changes: Any) -> Surroundings:
    cluster = Cluster(
        id=CLUSTER,
        location="eastus",
        sent={},
        wanted_version=version.rpartition(".")[0],
        version=version,
        principal_id="p",
        has_windows_profile=True,
        etag="e",
        state=ProvisioningState.SUCCEEDED,
    )
    known: dict[str, Any] = {
        "profile": Profile.DOCUMENTED,
        "engine": "simulated",
        "catalog": catalogue or catalog(),
        "cluster": cluster,
        "subscription": CLUSTER.group_id.subscription,
        "api_version": "2026-06-01",
    }
    return Surroundings(**(known | changes))


def put(
    old: NodePool | None = None,
    surroundings: Surroundings | None = None,
    *,
    header: bool | None = None,
    name: str = "np1",
    snapshot: Snapshot | None = None,
    **properties: Any,
) -> NodePool:
    asked: dict[str, Any] = {"sent": {}, "vm_generation": ABSENT, "snapshot": str(snapshot.id) if snapshot else None}
    return settle(
        NodePoolId(CLUSTER, name),
        NodePoolRequest(**(asked | properties)),
        old,
        surroundings or around(),
        header=header,
        etag="e",
        snapshot=snapshot,
    )


def targets(error: errors.PoolwrightError) -> list[str | None]:
    return [error.target, *(detail.target for detail in error.details)]


def test_an_empty_put_of_an_existing_pool_changes_nothing_but_its_state() -> None:
    for made in (put(), put(vm_size=V1_ONLY), put(vm_size=BOTH, header=True, **WINDOWS), put(mode=Mode.SYSTEM)):
        assert put(made) == replace(made, state=ProvisioningState.UPDATING, promised=made.count)


def test_an_update_that_touches_nothing_decisive_keeps_the_decision_although_the_rules_moved_on() -> None:
    made = put(vm_size=BOTH, surroundings=around("1.32.2"), os_type=OsType.WINDOWS, os_sku=OsSku.WINDOWS_2019)
    later = around("1.34.1")
    scaled = put(made, later, count=4)
    assert (scaled.generation, scaled.node_image, scaled.rule) == (made.generation, made.node_image, made.rule)
    with pytest.raises(errors.InvalidOSSKU):
        put(made, later, kubernetes_version="1.34")


def test_a_retired_os_sku_keeps_working_and_cannot_be_created() -> None:
    azure = around(profile=Profile.AZURE_2026)
    with pytest.raises(errors.InvalidOSSKU):
        put(surroundings=azure, os_type=OsType.WINDOWS, os_sku=OsSku.WINDOWS_ANNUAL)
    made = replace(
        put(os_type=OsType.WINDOWS, os_sku=OsSku.WINDOWS_ANNUAL, surroundings=around("1.33.2")),
        profile=Profile.AZURE_2026,
    )
    assert put(made, azure, count=3).count == 3
    assert put(made, azure, kubernetes_version="1.34").version == "1.34.1"


def test_the_rule_follows_a_wish_that_only_changes_its_source() -> None:
    made = put(vm_size=BOTH, header=True, **WINDOWS)
    assert made.rule.id == "gen2-header"
    cleared_and_asked = put(made, header=True, vm_generation=V2)
    assert cleared_and_asked.wish == Wish(V2, WishSource.HEADER)
    on_v2_only = put(vm_size=V2_ONLY, vm_generation=V2, **WINDOWS)
    assert on_v2_only.rule.id == "gen2-property"
    by_header = put(on_v2_only, header=True)
    assert (by_header.rule.id, by_header.generation) == ("gen2-header", V2)


def test_a_new_kubernetes_version_brings_a_new_image_of_the_same_generation() -> None:
    made = put(vm_size=BOTH, vm_generation=V1, surroundings=around("1.34.1"))
    upgraded = put(made, around("1.35.7"), kubernetes_version="1.35")
    assert (made.image_definition, upgraded.image_definition) == ("2204containerd", "2404containerd")
    assert (upgraded.generation, upgraded.rule, upgraded.version) == (V1, made.rule, "1.35.7")
    assert [warning.code for warning in made.warnings] == ["OsReleaseRetiring"]
    assert upgraded.warnings == ()


def test_an_upgrade_to_a_version_without_an_image_is_refused_whole() -> None:
    made = put(vm_size=BOTH, fips=True, surroundings=around("1.36.2"))
    with pytest.raises(errors.InvalidImageRef):
        put(made, around("1.37.0"), kubernetes_version="1.37")


@pytest.mark.parametrize(
    ("asked", "wanted", "version"),
    [
        (None, "1.34", "1.34.1"),
        ("", "1.34", "1.34.1"),
        ("1.34", "1.34", "1.34.1"),
        ("1.34.1", "1.34.1", "1.34.1"),
        ("1.34.0", "1.34.0", "1.34.0"),
        ("1.33", "1.33", "1.33.13"),
        ("1.31", "1.31", "1.31.100"),
    ],
)
def test_a_new_pool_s_version_is_the_control_plane_s_or_an_older_one(
    asked: str | None, wanted: str, version: str
) -> None:
    pool = put(kubernetes_version=asked)
    assert (pool.wanted_version, pool.version) == (wanted, version)


def test_an_existing_pool_keeps_its_version_until_another_is_asked_for() -> None:
    made = put(kubernetes_version="1.33")
    newer = around("1.35.7")
    for asked in (None, "1.33"):
        assert put(made, newer, kubernetes_version=asked).version == "1.33.13"


def test_a_blank_version_is_the_cluster_s_as_az_upgrade_means_it() -> None:
    made = put(kubernetes_version="1.33")
    upgraded = put(made, around("1.35.7"), kubernetes_version="")
    assert (upgraded.version, upgraded.wanted_version) == ("1.35.7", around("1.35.7").cluster.wanted_version)
    # Nothing is asked of a node pool that is there already; its version stays as it was written.
    assert put(made, around(made.version), kubernetes_version="").wanted_version == "1.33"
    assert put(made, around("1.35.7"), kubernetes_version="1.34").version == "1.34.10"


@pytest.mark.parametrize(
    ("asked", "error"),
    [
        ("1.34.3", errors.NodePoolMcVersionIncompatible),
        ("1.35", errors.NodePoolMcVersionIncompatible),
        ("1.30", errors.NodePoolMcVersionIncompatible),
        ("1.34.99", errors.AgentPoolK8sVersionNotSupported),
        ("latest", errors.AgentPoolK8sVersionNotSupported),
        ("１.34", errors.AgentPoolK8sVersionNotSupported),
        ("1.34\n", errors.AgentPoolK8sVersionNotSupported),
    ],
)
def test_a_version_outside_the_skew_or_unknown_is_refused(asked: str, error: type[errors.PoolwrightError]) -> None:
    with pytest.raises(error) as refused:
        put(kubernetes_version=asked)
    assert refused.value.target == "properties.orchestratorVersion"


def test_a_size_that_has_left_the_catalogue_stays_usable_and_cannot_be_decided_again() -> None:
    made = put(vm_size=BOTH, **WINDOWS)
    known = {name: size for name, size in catalog().known.items() if name != BOTH.lower()}
    offers = tuple(offer for offer in catalog().offers if offer.size.name != BOTH)
    smaller = replace(catalog(), offers=offers, known=known)
    without = around(catalogue=smaller)
    assert without.catalog.size(BOTH) is None
    for changes in ({"count": 3}, {"vm_size": BOTH.lower()}, {"kubernetes_version": "1.34"}, {"mode": Mode.USER}):
        kept = put(made, without, **changes)
        assert (kept.vm_size, kept.generation, kept.node_image) == (BOTH, made.generation, made.node_image)
    with pytest.raises(errors.VMSizeNotSupported):
        put(made, without, vm_generation=V1)
    with pytest.raises(errors.VMSizeNotSupported):
        put(surroundings=without, vm_size=BOTH)


def test_a_size_that_its_location_no_longer_offers_and_that_is_known_can_be_decided_again() -> None:
    made = put(vm_size=BOTH, zones=("1",), **WINDOWS)
    offers = tuple(offer for offer in catalog().offers if offer.size.name != BOTH)
    without = around(catalogue=replace(catalog(), offers=offers))
    assert without.catalog.offer(BOTH) is None
    assert put(made, without, vm_generation=V2).generation is V2
    with pytest.raises(errors.VMSizeNotSupported):
        put(surroundings=without, vm_size=BOTH)


def test_a_pool_that_becomes_a_system_pool_is_admitted_as_one() -> None:
    small = put(vm_size="Standard_A2")
    windows = put(vm_size=BOTH, **WINDOWS)
    with pytest.raises(errors.SystemPoolSkuTooLow):
        put(small, mode=Mode.SYSTEM)
    with pytest.raises(errors.SystemPoolMustBeLinux):
        put(windows, mode=Mode.SYSTEM)
    assert put(put(vm_size=BOTH), mode=Mode.SYSTEM).mode is Mode.SYSTEM


def test_a_stricter_rule_leaves_a_pool_alone_that_does_not_touch_it() -> None:
    made = replace(put(vm_size=BOTH, mode=Mode.SYSTEM), scale=(ScaleProfile("Standard_B2ats_v2", 1),))
    assert put(made, count=2).count == 2


NEVER: dict[str, dict[str, Any]] = {
    "osType": {"os_type": OsType.WINDOWS},
    "type": {"pool_type": PoolType.AVAILABILITY_SET},
    "osDiskType": {"os_disk_type": "Ephemeral"},
    "osDiskSizeGB": {"os_disk_size_gb": 64},
    "kubeletDiskType": {"sent": {"kubeletDiskType": "Temporary"}},
    "maxPods": {"max_pods": 30},
    "availabilityZones": {"zones": ("1",)},
    "vnetSubnetID": {"subnet": "/subscriptions/s/other"},
    "podSubnetID": {"sent": {"podSubnetID": "/subscriptions/s/pods"}},
    "hostGroupID": {"host_group": "/subscriptions/s/h"},
    "proximityPlacementGroupID": {"sent": {"proximityPlacementGroupID": "/subscriptions/s/p"}},
    "gpuInstanceProfile": {"gpu_instance_profile": "MIG1g"},
    "gpuProfile.driver": {"gpu_driver": "None"},
    "scaleSetPriority": {"priority": Priority.SPOT},
    "workloadRuntime": {"workload_runtime": "WasmWasi"},
    "enableEncryptionAtHost": {"sent": {"enableEncryptionAtHost": True}},
    "enableNodePublicIP": {"sent": {"enableNodePublicIP": True}},
    "nodePublicIPPrefixID": {"sent": {"nodePublicIPPrefixID": "/subscriptions/s/ip"}},
    "scaleSetEvictionPolicy": {"sent": {"scaleSetEvictionPolicy": "Deallocate"}},
    "podIPAllocationMode": {"sent": {"podIPAllocationMode": "StaticBlock"}},
    "enableUltraSSD": {"sent": {"enableUltraSSD": True}},
    "capacityReservationGroupID": {"sent": {"capacityReservationGroupID": "/subscriptions/s/c"}},
    "messageOfTheDay": {"sent": {"messageOfTheDay": "aGVsbG8="}},
    "windowsProfile.disableOutboundNat": {"sent": {"windowsProfile": {"disableOutboundNat": True}}},
    "gatewayProfile.publicIPPrefixSize": {"sent": {"gatewayProfile": {"publicIPPrefixSize": 30}}},
}
SNAPSHOT = Snapshot(
    id=SnapshotId(CLUSTER.group_id, "s1"),
    location="eastus",
    source="",
    sent={},
    configuration=captured(put(vm_size=BOTH, kubernetes_version="1.33")),
    created=0.0,
)
ROLLS: dict[str, dict[str, Any]] = {
    "vmSize": {"vm_size": "Standard_D2s_v3"},
    "vmGeneration": {"vm_generation": V1},
    "vpmemMiB": {"vpmem_mib": 128},
    "osSKU": {"os_sku": OsSku.AZURE_LINUX},
    "orchestratorVersion": {"kubernetes_version": "1.34.1"},
    "nodeImageVersion": {"os_sku": OsSku.AZURE_LINUX},
    "enableFIPS": {"fips": True},
    "securityProfile.enableVTPM": {"vtpm": True},
    "securityProfile.enableSecureBoot": {"secure_boot": True},
    "kubeletConfig": {"sent": {"kubeletConfig": {"podMaxPids": 100}}},
    "linuxOSConfig": {"sent": {"linuxOSConfig": {"swapFileSizeMB": 100}}},
    "localDNSProfile": {"sent": {"localDNSProfile": {"mode": "Required"}}},
    "creationData": {"snapshot": SNAPSHOT},
}


@pytest.mark.parametrize("row", [row for row in CHANGES if row.effect is Effect.NEVER], ids=lambda row: row.wire)
def test_every_property_that_stays_is_refused_with_its_path(row: Any) -> None:
    made = put(vm_size=BOTH, subnet="/subscriptions/s/net")
    with pytest.raises(errors.PropertyChangeNotAllowed) as refused:
        put(made, **NEVER[row.wire])
    assert f"properties.{row.wire}" in targets(refused.value)
    assert refused.value.message == f"Changing property '{refused.value.target}' is not allowed."
    assert None not in refused.value.information.values()


@pytest.mark.parametrize("row", [row for row in CHANGES if row.effect is Effect.ROLLS], ids=lambda row: row.wire)
def test_every_property_that_rolls_makes_machines_outdated(row: Any) -> None:
    made = put(vm_size=BOTH, kubernetes_version="1.33")
    changed = put(made, **ROLLS[row.wire])
    outdated = configuration_of(changed) != configuration_of(made)
    # Each machine has its size itself.
    assert outdated or row.wire == "vmSize"
    assert changed.promised == made.count


def test_what_changes_at_once_makes_no_machine_outdated() -> None:
    made = put(vm_size=BOTH)
    changed = put(made, count=4, mode=Mode.SYSTEM, sent={"nodeLabels": {"a": "b"}, "nodeTaints": ["c=d:NoSchedule"]})
    assert configuration_of(changed) == configuration_of(made)


def test_a_change_is_proposed_for_every_row() -> None:
    assert set(NEVER) == {row.wire for row in CHANGES if row.effect is Effect.NEVER}
    assert set(ROLLS) == {row.wire for row in CHANGES if row.effect is Effect.ROLLS}


@pytest.mark.parametrize(
    "same",
    [
        {"vm_size": BOTH.upper()},
        {"zones": ("3", "1")},
        {"zones": None},
        {"subnet": "/SUBSCRIPTIONS/S/NET"},
        {"os_sku": OsSku.UBUNTU, "os_type": OsType.LINUX, "priority": Priority.REGULAR, "fips": False},
        {"pool_type": PoolType.SCALE_SETS, "os_disk_type": "Managed", "os_disk_size_gb": 128, "max_pods": 250},
    ],
)
def test_saying_the_same_again_is_no_change(same: dict[str, Any]) -> None:
    made = put(vm_size=BOTH, zones=("1", "3"), subnet="/subscriptions/s/net")
    assert put(made, **same).generation is made.generation


@pytest.mark.parametrize(
    ("asked", "kept"),
    [({}, 128), ({"vpmem_mib": ABSENT}, 128), ({"vpmem_mib": 256}, 256), ({"vpmem_mib": None}, None)],
)
def test_silence_keeps_persistent_memory_and_null_takes_it_back(asked: dict[str, Any], kept: int | None) -> None:
    made = put(vm_size=BOTH, vpmem_mib=128)
    assert put(made, **asked).vpmem_mib == kept


@pytest.mark.parametrize(
    ("old", "asked"),
    [
        (None, {"vm_size": V1_ONLY, "vpmem_mib": 128}),
        (None, {**WINDOWS, "vm_size": BOTH, "vpmem_mib": 128}),
        ({"vm_size": V1_ONLY}, {"vpmem_mib": 128}),
        ({"vm_size": BOTH, "vpmem_mib": 128}, {"vm_generation": V1}),
        ({"vm_size": BOTH, "vpmem_mib": 128}, {"vm_size": V1_ONLY}),
    ],
    ids=["a size of V1", "Windows unless asked", "added to a pool of V1", "a wish for V1", "a resize to V1"],
)
def test_persistent_memory_on_generation_1_is_refused_with_the_way_out(
    old: dict[str, Any] | None, asked: dict[str, Any]
) -> None:
    made = put(**old) if old is not None else None
    with pytest.raises(errors.InvalidParameter) as refused:
        put(made, **asked)
    assert targets(refused.value) == ["properties.vpmemMiB"]
    assert "Generation 1" in refused.value.message
    assert "vmGeneration V2" in str(refused.value.remedy)
    assert refused.value.information["rule"]["id"] == "vpmem-generation"


def test_persistent_memory_goes_with_a_rollback() -> None:
    made = put(vm_size=BOTH)
    changed = replace(put(made, vpmem_mib=128), good=good_state(made, 0.0))
    assert changed.last_good is not None
    assert rolled_back(changed, etag="f").vpmem_mib is None


def test_a_former_version_with_the_same_image_is_gone_back_to_only_when_both_are_named() -> None:
    former = put(kubernetes_version="1.33.2")
    upgraded = replace(put(former, kubernetes_version="1.34.1"), good=good_state(former, 0.0))
    assert former.node_image == upgraded.node_image
    assert put(upgraded, kubernetes_version="1.33.2", node_image=upgraded.node_image).version == "1.33.2"
    assert put(upgraded, node_image=upgraded.node_image).version == "1.34.1"
    for version in ("1.33.2", "1.33", "1.33.1"):
        with pytest.raises(errors.PoolwrightError):
            put(upgraded, kubernetes_version=version)
    with pytest.raises(errors.PoolwrightError):
        put(upgraded, kubernetes_version="1.33.1", node_image=upgraded.node_image)


def test_problems_of_different_kinds_are_reported_together() -> None:
    with pytest.raises(errors.PoolwrightError) as refused:
        put(name="Bad", vm_size=V1_ONLY, vm_generation=V2, count=5000, mode=Mode.SYSTEM, max_pods=1, zones=("7",))
    assert targets(refused.value) == [
        "name",
        "properties.count",
        "properties.maxPods",
        "properties.vmSize",
        "properties.availabilityZones",
    ]


def test_a_wish_conflict_is_reported_with_the_other_problems() -> None:
    with pytest.raises(errors.InvalidParameter) as refused:
        put(vm_size="none", vm_generation=V1, header=True, count=5000, **WINDOWS)
    assert targets(refused.value) == ["properties.vmGeneration", "properties.vmSize", "properties.count"]


def test_inside_a_cluster_s_body_targets_point_into_it() -> None:
    with pytest.raises(errors.PoolwrightError) as refused:
        put(surroundings=around(target="agentPoolProfiles[2]"), name="Bad", count=5000)
    assert targets(refused.value) == ["agentPoolProfiles[2].name", "agentPoolProfiles[2].count"]


def test_virtual_machines_pools_mix_sizes_of_one_family_and_one_image() -> None:
    sizes = (ScaleProfile("standard_d2s_v5", 2), ScaleProfile("Standard_D4s_v5", 1))
    pool = put(pool_type=PoolType.VIRTUAL_MACHINES, manual_scale=sizes)
    assert [profile.size for profile in pool.scale] == ["Standard_D2s_v5", "Standard_D4s_v5"]
    assert (pool.count, pool.generation) == (3, V2)
    rescaled = put(pool, manual_scale=(sizes[1], replace(sizes[0], count=5)))
    assert rescaled.count == 6
    assert put(pool).scale == pool.scale
    assert put(pool, manual_scale=(sizes[0],)).vm_size == "Standard_D2s_v5"
    with pytest.raises(errors.InvalidParameter) as refused:
        put(pool_type=PoolType.VIRTUAL_MACHINES, manual_scale=(sizes[0], ScaleProfile("Standard_E2s_v5", 1)))
    assert "of one family" in refused.value.message


def test_windows_2022_has_fips_by_default_and_windows_2025_demands_it() -> None:
    assert put(vm_size=BOTH, **WINDOWS).fips is True
    assert put(vm_size=BOTH, fips=False, **WINDOWS).fips is False
    with pytest.raises(errors.InvalidParameter) as refused:
        put(os_type=OsType.WINDOWS, os_sku=OsSku.WINDOWS_2025)
    assert refused.value.target == "properties.enableFIPS"
