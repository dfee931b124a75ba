"""What may change on an existing node pool, by the page and by Azure as it is.

Refusals go through a whole decision with the built-in catalogue: what a client would be told, in its order.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest

from poolwright import errors
from poolwright.catalog.catalog import LocationCatalog
from poolwright.domain.change import (
    CHANGES,
    REFUSED_CHANGES,
    RESIZE_API_VERSION,
    controller_change,
    differences,
    rolls,
)
from poolwright.domain.generation import Generation
from poolwright.domain.node_pool import NodePool, ScaleProfile
from poolwright.domain.node_pool_kind import PoolType
from poolwright.domain.os_sku import OsSku, OsType
from poolwright.domain.profile import Profile
from poolwright.domain.upgrade_settings import UpgradeSettings
from tests.domain.test_node_pool import around, catalog, put

# ManagedClusterAgentPoolProfileProperties of Azure/azure-rest-api-specs, containerservice.json. `False`: it is
# read-only there or tells a state, so that no request changes it. Strings: the part of it that has a row.
PROPERTIES: dict[str, bool | tuple[str, ...]] = {
    "eTag": False,
    "count": True,
    "vmSize": True,
    "osDiskSizeGB": True,
    "osDiskType": True,
    "kubeletDiskType": True,
    "workloadRuntime": True,
    "messageOfTheDay": True,
    "vnetSubnetID": True,
    "podSubnetID": True,
    "podIPAllocationMode": True,
    "maxPods": True,
    "osType": True,
    "osSKU": True,
    "maxCount": True,
    "minCount": True,
    "enableAutoScaling": True,
    "scaleDownMode": True,
    "type": True,
    "mode": True,
    "orchestratorVersion": True,
    "currentOrchestratorVersion": False,
    # Read-only there; a rollback sends it all the same (roll-back-node-pool-version.md).
    "nodeImageVersion": True,
    "upgradeSettings": True,
    "provisioningState": False,
    "powerState": ("code",),
    "availabilityZones": True,
    "enableNodePublicIP": True,
    "nodePublicIPPrefixID": True,
    "scaleSetPriority": True,
    "scaleSetEvictionPolicy": True,
    "spotMaxPrice": True,
    "tags": True,
    "nodeLabels": True,
    "nodeTaints": True,
    "proximityPlacementGroupID": True,
    "kubeletConfig": True,
    "linuxOSConfig": True,
    "enableEncryptionAtHost": True,
    "enableUltraSSD": True,
    "enableFIPS": True,
    "gpuInstanceProfile": True,
    "creationData": True,
    "capacityReservationGroupID": True,
    "hostGroupID": True,
    "networkProfile": True,
    "windowsProfile": ("disableOutboundNat",),
    "securityProfile": ("enableVTPM", "enableSecureBoot", "sshAccess"),
    "gpuProfile": ("driver",),
    "gatewayProfile": ("publicIPPrefixSize",),
    "virtualMachinesProfile": ("scale.manual",),
    "virtualMachineNodesStatus": False,
    "status": False,
    "localDNSProfile": True,
}
OURS = {"vmGeneration", "vpmemMiB"}


def paths() -> list[str]:
    found: list[str] = []
    for name, has_row in PROPERTIES.items():
        if isinstance(has_row, tuple):
            found += [f"{name}.{part}" for part in has_row]
        elif has_row:
            found.append(name)
    return found


@pytest.mark.parametrize("path", paths())
def test_every_property_a_request_can_set_has_exactly_one_row(path: str) -> None:
    assert [row.wire for row in CHANGES].count(path) == 1


def test_no_row_is_about_a_property_there_is_not() -> None:
    assert {row.wire for row in CHANGES} - set(paths()) == OURS


def test_every_row_has_a_source_and_is_about_something_a_node_pool_has() -> None:
    pool = put()
    derived = {"sizes", "upgrade"}
    for row in CHANGES:
        assert row.source
        assert not row.attribute or row.attribute in derived or hasattr(pool, row.attribute), row.wire


D2_V3, D2S_V3, DS2_V2, D2S_V5, D4S_V5, D4ADS_V6, D2S_V6 = (
    "Standard_D2_v3",
    "Standard_D2s_v3",
    "Standard_DS2_v2",
    "Standard_D2s_v5",
    "Standard_D4s_v5",
    "Standard_D4ads_v6",
    "Standard_D2s_v6",
)
ARM, ARM_V6, CONFIDENTIAL = "Standard_D2ps_v5", "Standard_D2ps_v6", "Standard_DC2as_v5"
V1, V2 = Generation.V1, Generation.V2
WINDOWS: dict[str, Any] = {"os_type": OsType.WINDOWS, "os_sku": OsSku.WINDOWS_2022}
AVAILABILITY_SET: dict[str, Any] = {"pool_type": PoolType.AVAILABILITY_SET}
NO_SURGE = UpgradeSettings("0", "1")
NEW, OLD = RESIZE_API_VERSION, "2026-01-01"
NOT_ALLOWED = "PropertyChangeNotAllowed"
GATE = (
    NOT_ALLOWED,
    "agentPoolProfile.vmSize",
    'Changing property "agentPoolProfile.vmSize" is not allowed in an api-version before "2026-01-02-preview".',
)


def of_size(words: str) -> tuple[str, str, str]:
    return NOT_ALLOWED, "properties.vmSize", f"Changing property 'properties.vmSize' is not allowed. {words}"


def architectures(before: str, after: str) -> tuple[str, str, str]:
    return of_size(f"VM sizes '{before}' and '{after}' have different CPU architectures.")


def confidentiality(before: str, after: str) -> tuple[str, str, str]:
    return of_size(f"VM sizes '{before}' and '{after}' differ in confidential computing.")


def controllers(before: str, after: str) -> tuple[str, str, str]:
    return of_size(f"VM sizes '{before}' and '{after}' have different disk controllers (SCSI and NVMe).")


def generations(number: int, after: str, other: int) -> tuple[str, str, str]:
    return of_size(
        f"The node pool is of Hypervisor Generation {number} and VM size '{after}' would make it Generation {other}."
    )


KEEPS_ITS_KIND = of_size("Node pools of type AvailabilitySet cannot be resized.")
NOT_REPLACED = (
    NOT_ALLOWED,
    "properties.type",
    "Machines of a node pool of type AvailabilitySet cannot be replaced by another kind.",
)
GENERATION_KEPT = (
    NOT_ALLOWED,
    "properties.vmGeneration",
    "Changing property 'properties.vmGeneration' is not allowed. The node pool is of Hypervisor Generation 1 and this "
    "would make it Generation 2.",
)
WINDOWS_SKU = (NOT_ALLOWED, "properties.osSKU", "Changing property 'properties.osSKU' is not allowed.")
WITH_UPGRADE = (
    "InvalidParameter",
    "properties.orchestratorVersion",
    "The VM size and the Kubernetes version of a node pool cannot be changed in one request.",
)
WITH_SCALE = (
    "InvalidParameter",
    "properties.count",
    "The VM size and the count of a node pool cannot be changed in one request.",
)
WITHOUT_SURGE = (
    "InvalidParameter",
    "properties.upgradeSettings.maxSurge",
    "The VM size of a node pool cannot be changed with maxSurge 0.",
)
Told = tuple[str, str, str]


@dataclass(frozen=True)
class Case:
    """A change of a pool, and what it is told in each profile; nothing where it is done.

    `old_api` is what Azure says with an api-version before the one that brought the resize.
    """

    made: dict[str, Any]
    change: dict[str, Any]
    documented: tuple[Told, ...] = ()
    azure: tuple[Told, ...] = ()
    old_api: tuple[Told, ...] = (GATE,)
    header: bool | None = None
    version: str = "1.34.1"


SAME: dict[str, Any] = {"old_api": ()}
CASES: dict[str, Case] = {
    "a larger size of the same kind": Case({"vm_size": D2S_V5}, {"vm_size": D4S_V5}),
    "Gen 1 to Gen 2 by size": Case({"vm_size": D2_V3}, {"vm_size": D2S_V3}, azure=(generations(1, D2S_V3, 2),)),
    "Gen 2 to Gen 1 by size": Case({"vm_size": D2S_V3}, {"vm_size": D2_V3}, azure=(generations(2, D2_V3, 1),)),
    "Gen 1 to Gen 2 and SCSI to NVMe": Case(
        {"vm_size": D2_V3}, {"vm_size": D4ADS_V6}, azure=(generations(1, D4ADS_V6, 2),)
    ),
    "SCSI to NVMe": Case({"vm_size": D2S_V5}, {"vm_size": D2S_V6}, azure=(controllers(D2S_V5, D2S_V6),)),
    "NVMe to SCSI": Case({"vm_size": D2S_V6}, {"vm_size": D2S_V5}, azure=(controllers(D2S_V6, D2S_V5),)),
    "x64 to Arm64": Case(
        {"vm_size": D2S_V5},
        {"vm_size": ARM},
        documented=(architectures(D2S_V5, ARM),),
        azure=(architectures(D2S_V5, ARM),),
    ),
    "Arm64 to x64": Case(
        {"vm_size": ARM},
        {"vm_size": D2S_V5},
        documented=(architectures(ARM, D2S_V5),),
        azure=(architectures(ARM, D2S_V5),),
    ),
    "Arm64 to Arm64 with another controller": Case(
        {"vm_size": ARM}, {"vm_size": ARM_V6}, azure=(controllers(ARM, ARM_V6),)
    ),
    "to confidential": Case(
        {"vm_size": D2S_V5},
        {"vm_size": CONFIDENTIAL},
        documented=(confidentiality(D2S_V5, CONFIDENTIAL),),
        azure=(confidentiality(D2S_V5, CONFIDENTIAL),),
    ),
    "away from confidential": Case(
        {"vm_size": CONFIDENTIAL},
        {"vm_size": D2S_V5},
        documented=(confidentiality(CONFIDENTIAL, D2S_V5),),
        azure=(confidentiality(CONFIDENTIAL, D2S_V5),),
    ),
    "size and count": Case(
        {"vm_size": D2S_V5}, {"vm_size": D4S_V5, "count": 4}, azure=(WITH_SCALE,), old_api=(GATE, WITH_SCALE)
    ),
    "size and Kubernetes version": Case(
        {"vm_size": D2S_V5, "kubernetes_version": "1.33"},
        {"vm_size": D4S_V5, "kubernetes_version": "1.34.1"},
        azure=(WITH_UPGRADE,),
        old_api=(GATE, WITH_UPGRADE),
    ),
    "size without a surge": Case(
        {"vm_size": D2S_V5, "upgrade": NO_SURGE},
        {"vm_size": D4S_V5},
        azure=(WITHOUT_SURGE,),
        old_api=(GATE, WITHOUT_SURGE),
    ),
    "everything at once": Case(
        {"vm_size": D2S_V5, "kubernetes_version": "1.33"},
        {"vm_size": D2S_V6, "kubernetes_version": "1.34.1", "count": 4, "upgrade": NO_SURGE},
        azure=(controllers(D2S_V5, D2S_V6), WITH_UPGRADE, WITH_SCALE, WITHOUT_SURGE),
        old_api=(GATE, WITH_UPGRADE, WITH_SCALE, WITHOUT_SURGE),
    ),
    "Windows: size of the same generation": Case({"vm_size": DS2_V2, **WINDOWS}, {"vm_size": D2S_V5}),
    "Windows: Gen 1 to Gen 2 by header": Case(
        {"vm_size": DS2_V2, **WINDOWS},
        {},
        header=True,
        azure=(GENERATION_KEPT,),
        old_api=(GENERATION_KEPT,),
    ),
    "Windows: Gen 1 to Gen 2 by size and header": Case(
        {"vm_size": DS2_V2, **WINDOWS}, {"vm_size": D2S_V5}, header=True, azure=(generations(1, D2S_V5, 2),)
    ),
    "Windows: another OS SKU": Case(
        {"vm_size": DS2_V2, **WINDOWS},
        {"os_sku": OsSku.WINDOWS_2025, "fips": True},
        documented=(WINDOWS_SKU,),
        # Both change here, and every offender is named.
        azure=(
            GENERATION_KEPT,
            WINDOWS_SKU,
        ),
        old_api=(
            GENERATION_KEPT,
            WINDOWS_SKU,
        ),
    ),
    "Linux: another OS SKU": Case({"vm_size": D2S_V5}, {"os_sku": OsSku.AZURE_LINUX}, **SAME),
    "Linux: back to Ubuntu": Case({"vm_size": D2S_V5, "os_sku": OsSku.AZURE_LINUX}, {"os_sku": OsSku.UBUNTU}, **SAME),
    "Linux: another count without a surge": Case({"vm_size": D2S_V5}, {"count": 5, "upgrade": NO_SURGE}, **SAME),
    "Linux: another Kubernetes version and count": Case(
        {"vm_size": D2S_V5, "kubernetes_version": "1.33"}, {"kubernetes_version": "1.34.1", "count": 5}, **SAME
    ),
    "availability set: size": Case(
        {"vm_size": D2S_V5, **AVAILABILITY_SET},
        {"vm_size": D4S_V5},
        documented=(KEEPS_ITS_KIND,),
        azure=(KEEPS_ITS_KIND,),
        old_api=(KEEPS_ITS_KIND,),
    ),
    "availability set: OS SKU": Case(
        {"vm_size": D2S_V5, **AVAILABILITY_SET},
        {"os_sku": OsSku.AZURE_LINUX},
        documented=(NOT_REPLACED,),
        azure=(NOT_REPLACED,),
        old_api=(NOT_REPLACED,),
    ),
    "availability set: count, labels and Kubernetes version": Case(
        {"vm_size": D2S_V5, "kubernetes_version": "1.33", **AVAILABILITY_SET},
        {"count": 3, "kubernetes_version": "1.34.1", "sent": {"nodeLabels": {"a": "b"}}},
        **SAME,
    ),
    "VirtualMachines: another size of the family": Case(
        {"pool_type": PoolType.VIRTUAL_MACHINES, "manual_scale": (ScaleProfile(D2S_V5, 2),)},
        {"manual_scale": (ScaleProfile(D4S_V5, 2),)},
        **SAME,
    ),
    "VirtualMachines: one more size, and fewer of the other": Case(
        {"pool_type": PoolType.VIRTUAL_MACHINES, "manual_scale": (ScaleProfile(D2S_V5, 2),)},
        {"manual_scale": (ScaleProfile(D2S_V5, 1), ScaleProfile(D4S_V5, 3))},
        **SAME,
    ),
    "VirtualMachines: to Arm64": Case(
        {"pool_type": PoolType.VIRTUAL_MACHINES, "manual_scale": (ScaleProfile(D2S_V5, 2),)},
        {"manual_scale": (ScaleProfile(ARM, 2),)},
        documented=(architectures(D2S_V5, ARM),),
        azure=(architectures(D2S_V5, ARM),),
        old_api=(architectures(D2S_V5, ARM),),
    ),
}


def told(case: Case, profile: Profile, api_version: str) -> tuple[list[Told], NodePool | None]:
    """What the change is told, and the pool it leads to where it is done."""
    # The pool is made in the profile it lives in; Azure has no vmGeneration to make it by.
    surroundings = around(case.version, profile=profile, api_version=api_version)
    made = put(surroundings=surroundings, **case.made)
    try:
        return [], put(made, surroundings, header=case.header, **case.change)
    except errors.PoolwrightError as error:
        return [(each.code, each.target or "", each.message) for each in (error, *error.details)], None


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
@pytest.mark.parametrize("api_version", ["2025-05-01", OLD, NEW, "2026-06-01"])
def test_the_page_s_changes_are_done_in_place_whatever_the_api_version(case: Case, api_version: str) -> None:
    assert tuple(told(case, Profile.DOCUMENTED, api_version)[0]) == case.documented


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
@pytest.mark.parametrize("api_version", [NEW, "2026-01-02-Preview", "2026-02-01", "2026-06-02-preview"])
def test_azure_resizes_within_its_limits_from_the_api_version_on(case: Case, api_version: str) -> None:
    assert tuple(told(case, Profile.AZURE_2026, api_version)[0]) == case.azure


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
@pytest.mark.parametrize("api_version", ["2021-05-01", "2025-10-02-preview", OLD])
def test_azure_does_not_resize_before_that_api_version(case: Case, api_version: str) -> None:
    assert tuple(told(case, Profile.AZURE_2026, api_version)[0]) == case.old_api


def test_every_refusal_is_met_by_a_case() -> None:
    outcomes = [(case, profile) for case in CASES.values() for profile in Profile]
    met = set()
    for case, profile in outcomes:
        for api_version in (OLD, NEW):
            surroundings = around(profile=profile, api_version=api_version)
            made = put(surroundings=surroundings, **case.made)
            try:
                put(made, surroundings, header=case.header, **case.change)
            except errors.PoolwrightError as error:
                met |= {each.information["rule"]["id"] for each in (error, *error.details)}
    assert met == {row.rule.id for row in REFUSED_CHANGES}


def test_every_refusal_names_a_way_around_and_its_source() -> None:
    for row in REFUSED_CHANGES:
        assert row.remedy
        assert row.rule.source
        in_place = "profile documented does it in place"
        # Only what the profile alone refuses is done by the other one.
        assert in_place not in row.remedy or "profile azure-2026" in str(row.condition)


@pytest.mark.parametrize(
    ("made", "change", "header", "before", "after"),
    [
        ({"vm_size": D2_V3}, {"vm_size": D2S_V3}, None, V1, V2),
        ({"vm_size": D2S_V3}, {"vm_size": D2_V3}, None, V2, V1),
        ({"vm_size": D2_V3}, {"vm_size": D4ADS_V6}, None, V1, V2),
        ({"vm_size": D2S_V3}, {"vm_generation": V1}, None, V2, V1),
        ({"vm_size": D2S_V3, "vm_generation": V1}, {"vm_generation": V2}, None, V1, V2),
        ({"vm_size": DS2_V2, **WINDOWS}, {}, True, V1, V2),
        ({"vm_size": DS2_V2, **WINDOWS}, {"vm_generation": V2}, None, V1, V2),
        ({"vm_size": DS2_V2, "vm_generation": V2, **WINDOWS}, {"vm_generation": V1}, None, V2, V1),
        ({"vm_size": DS2_V2, **WINDOWS}, {"vm_size": D4ADS_V6}, True, V1, V2),
    ],
)
def test_the_generation_changes_in_place_in_both_directions(
    made: dict[str, Any], change: dict[str, Any], header: bool | None, before: Generation, after: Generation
) -> None:
    old = put(**made)
    new = put(old, header=header, **change)
    assert (old.generation, new.generation) == (before, after)
    assert ("gen2" in old.node_image, "gen2" in new.node_image) == (before is V2, after is V2)
    rolled = {difference.row.wire: (difference.before, difference.after) for difference in rolls(differences(old, new))}
    assert rolled["vmGeneration"] == (before.value, after.value)
    assert ("vmSize" in rolled) == ("vm_size" in change)


def test_a_change_of_the_disk_controller_is_done_and_told() -> None:
    scsi = put(vm_size=D2_V3)
    nvme = put(scsi, vm_size=D4ADS_V6)
    assert controller_change(scsi, nvme, catalog()) == ("SCSI", "NVMe")
    assert controller_change(nvme, put(nvme, vm_size=D2_V3), catalog()) == ("NVMe", "SCSI")
    assert controller_change(scsi, put(scsi, vm_size=D2S_V5), catalog()) is None
    assert controller_change(scsi, scsi, catalog()) is None


def test_what_the_catalogue_says_of_disk_controllers_counts_more_than_the_name() -> None:
    scsi = put(vm_size=D2_V3)
    nvme = put(scsi, vm_size=D4ADS_V6)
    both = with_controllers(D4ADS_V6, frozenset({"SCSI", "NVMe"}))
    assert controller_change(scsi, nvme, both) is None
    assert controller_change(scsi, put(scsi, vm_size=D2S_V5), with_controllers(D2S_V5, frozenset({"NVMe"}))) == (
        "SCSI",
        "NVMe",
    )


def with_controllers(name: str, controllers: frozenset[str]) -> LocationCatalog:
    offers = tuple(
        replace(offer, size=replace(offer.size, disk_controllers=controllers)) if offer.size.name == name else offer
        for offer in catalog().offers
    )
    return replace(catalog(), offers=offers)


def test_a_size_that_takes_both_controllers_keeps_either() -> None:
    both = put(vm_size="Standard_E2bs_v5")
    for size in (D2S_V5, D2S_V6):
        assert controller_change(both, put(both, vm_size=size), catalog()) is None


def test_a_refused_size_is_told_with_both_values_beside_other_offenders() -> None:
    made = put(vm_size=D2S_V5)
    with pytest.raises(errors.PropertyChangeNotAllowed) as refused:
        put(made, vm_size=ARM, max_pods=30, os_disk_type="Ephemeral")
    parts = (refused.value, *refused.value.details)
    assert [(part.target, part.information["from"], part.information["to"]) for part in parts] == [
        ("properties.vmSize", D2S_V5, ARM),
        ("properties.osDiskType", "Managed", "Ephemeral"),
        ("properties.maxPods", 250, 30),
    ]


def test_windows_keeps_its_os_sku_whichever_way() -> None:
    before = around("1.32.2")
    for one, other in (
        (OsSku.WINDOWS_2019, OsSku.WINDOWS_2022),
        (OsSku.WINDOWS_2022, OsSku.WINDOWS_2019),
        (OsSku.WINDOWS_2022, OsSku.WINDOWS_2025),
        (OsSku.WINDOWS_2025, OsSku.WINDOWS_2022),
    ):
        # Windows2025 demands FIPS and Windows2019 has none.
        fips = one is OsSku.WINDOWS_2025 or None
        made = put(surroundings=before, vm_size=DS2_V2, os_type=OsType.WINDOWS, os_sku=one, fips=fips)
        with pytest.raises(errors.PropertyChangeNotAllowed) as refused:
            put(made, before, os_sku=other)
        told_parts = (refused.value, *refused.value.details)
        assert "properties.osSKU" in [part.target for part in told_parts]


def test_linux_moves_between_its_os_skus_and_is_rolled() -> None:
    pool = put(vm_size=D2S_V5)
    for os_sku in (OsSku.UBUNTU_2404, OsSku.AZURE_LINUX, OsSku.AZURE_LINUX_3, OsSku.UBUNTU_2204, OsSku.UBUNTU):
        moved = put(pool, os_sku=os_sku)
        assert moved.os_sku is os_sku
        assert "osSKU" in {difference.row.wire for difference in rolls(differences(pool, moved))}
        pool = moved
