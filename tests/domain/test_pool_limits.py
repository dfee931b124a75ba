"""Limits of a node pool: every row is met by a case, at its edge, and speaks only about what is touched."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from poolwright import errors
from poolwright.domain.node_pool import NodePool, ScaleProfile
from poolwright.domain.node_pool_kind import Mode, PoolType, PowerState, Priority
from poolwright.domain.pool_limits import LIMIT_TABLE
from poolwright.domain.profile import Profile
from poolwright.domain.upgrade_settings import UpgradeSettings
from tests.domain.test_node_pool import WINDOWS, around, put

SYSTEM: dict[str, Any] = {"mode": Mode.SYSTEM}
SPOT: dict[str, Any] = {"priority": Priority.SPOT}
VMS: dict[str, Any] = {"pool_type": PoolType.VIRTUAL_MACHINES}
IN_PLACE = UpgradeSettings("0", "1")


def of(*sizes: str) -> dict[str, Any]:
    return VMS | {"manual_scale": tuple(ScaleProfile(size, 1) for size in sizes)}


# rule -> what is beyond the limit, what is just within it, and what the refusal says.
CASES: dict[str, tuple[dict[str, Any], dict[str, Any], str, str]] = {
    "count": (
        {"count": 1001},
        {"count": 1000},
        "properties.count",
        "The value of parameter agentPoolProfile.count is invalid: 1001. A User node pool has 0 to 1000 nodes.",
    ),
    "system-pool-regular": (
        SYSTEM | {"priority": Priority.SPOT},
        {"priority": Priority.SPOT},
        "properties.scaleSetPriority",
        "System node pools must have priority Regular; 'np1' asks for Spot.",
    ),
    "spot-surge": (
        SPOT | {"sent": {"upgradeSettings": {"maxSurge": "1"}}},
        SPOT | {"sent": {"upgradeSettings": {"maxSurge": "0"}}},
        "properties.upgradeSettings.maxSurge",
        "The value of parameter agentPoolProfile.upgrade.maxSurge is invalid. Error details: Spot pools can't set max "
        "surge. Please see https://aka.ms/aks-naming-rules for more details.",
    ),
    "autoscaler-bounds": (
        {"autoscaling": True, "min_count": 3, "max_count": 2},
        {"autoscaling": True, "min_count": 2, "max_count": 2},
        "properties.minCount",
        "With enableAutoScaling, minCount and maxCount are needed with 0 <= minCount <= maxCount <= 1000; got minCount "
        "3 and maxCount 2.",
    ),
    "count-in-bounds": (
        {"autoscaling": True, "min_count": 2, "max_count": 4, "count": 5},
        {"autoscaling": True, "min_count": 2, "max_count": 4, "count": 4},
        "properties.count",
        "The count 5 is outside minCount 2 and maxCount 4.",
    ),
    "os-disk-size": (
        {"os_disk_size_gb": 2049},
        {"os_disk_size_gb": 2048},
        "properties.osDiskSizeGB",
        "The value of parameter agentPoolProfile.osDiskSizeGB is invalid: 2049. It is 0 (the default of the size) to "
        "2048.",
    ),
    "ephemeral-os-disk": (
        {"os_disk_type": "Ephemeral", "vm_size": "Standard_D2_v3"},
        # Nothing is known of this one.
        {"os_disk_type": "Ephemeral", "vm_size": "Standard_D2d_v4"},
        "properties.osDiskType",
        "The Virtual Machine size Standard_D2_v3 does not support Ephemeral OS disk.",
    ),
    "max-pods": (
        {"max_pods": 251},
        {"max_pods": 250},
        "properties.maxPods",
        "The value of parameter agentPoolProfile.maxPods is invalid: 251. It is 10 to 250.",
    ),
    "vpmem-size": (
        {"vpmem_mib": 100},
        {"vpmem_mib": 8192},
        "properties.vpmemMiB",
        "The value of parameter properties.vpmemMiB is invalid: 100. It is a multiple of 16 from 16 to 8192 (MiB for "
        "each machine).",
    ),
    "system-pool-runs": (
        SYSTEM | {"power": PowerState.STOPPED},
        {"power": PowerState.STOPPED},
        "properties.powerState.code",
        "Node pool 'np1' has mode System and cannot be stopped.",
    ),
    "system-pool-available": (
        SYSTEM | {"upgrade": IN_PLACE},
        {"upgrade": IN_PLACE},
        "properties.upgradeSettings.maxUnavailable",
        "upgradeSettings.maxUnavailable cannot be set on node pool 'np1', which has mode System.",
    ),
    "virtual-machines-linux": (
        VMS | WINDOWS,
        WINDOWS,
        "properties.type",
        "Node pools of type VirtualMachines do not support osType Windows.",
    ),
    "virtual-machines-zones": (
        VMS | {"zones": ("1",)},
        {"zones": ("1",)},
        "properties.availabilityZones",
        "Node pools of type VirtualMachines do not support availabilityZones.",
    ),
    "virtual-machines-profiles": (
        of(*(f"Standard_D{number}s_v5" for number in (2, 4, 8, 16, 32, 48))),
        of(*(f"Standard_D{number}s_v5" for number in (2, 4, 8, 16, 32))),
        "properties.virtualMachinesProfile.scale.manual",
        "A VirtualMachines node pool has at most 5 scale profiles; got 6.",
    ),
    "virtual-machines-family": (
        of("Standard_D2s_v5", "Standard_E2s_v5"),
        of("Standard_D2s_v5", "Standard_D4s_v5"),
        "properties.virtualMachinesProfile.scale.manual",
        "The sizes of a VirtualMachines node pool are of one family; these are of standardDSv5Family, "
        "standardESv5Family.",
    ),
    "node-labels": (
        {"sent": {"nodeLabels": {"-bad/!!": "***"}}},
        {"sent": {"nodeLabels": {"team": "a", "example.com/tier": "", "x": None}}},
        "properties.nodeLabels",
        "Node label '-bad/!!: ***' does not meet syntax and character specifications. Please see "
        "https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/ for more details.",
    ),
    "node-taints": (
        {"sent": {"nodeTaints": ["k=v:NoSchedule", "k=v:Bad"]}},
        {"sent": {"nodeTaints": ["k=v:NoSchedule", "example.com/k:NoExecute"]}},
        "properties.nodeTaints",
        "The value of parameter agentPoolProfile.nodeTaints is invalid: 'k=v:Bad' is no taint.",
    ),
    "node-taints-unique": (
        {"sent": {"nodeTaints": ["k=v:NoSchedule", "k=w:NoSchedule"]}},
        {"sent": {"nodeTaints": ["k=v:NoSchedule", "k=v:NoExecute"]}},
        "properties.nodeTaints",
        "The value of parameter agentPoolProfile.nodeTaints is invalid: 'k:NoSchedule' stands there more than once.",
    ),
}


def test_every_limit_has_a_case_and_a_source() -> None:
    assert list(CASES) == [row.rule.id for row in LIMIT_TABLE]
    assert all(row.rule.source and row.remedy for row in LIMIT_TABLE)


@pytest.mark.parametrize("rule", CASES)
def test_what_is_beyond_a_limit_is_refused_with_its_rule(rule: str) -> None:
    beyond, _, target, message = CASES[rule]
    with pytest.raises(errors.InvalidRequest) as refused:
        put(**beyond)
    told = [each for each in (refused.value, *refused.value.details) if each.target == target]
    assert [each.message for each in told] == [message]
    assert told[0].information["rule"]["id"] == rule
    assert "{" not in str(told[0].remedy)


@pytest.mark.parametrize("rule", CASES)
def test_what_is_just_within_a_limit_is_accepted(rule: str) -> None:
    within = CASES[rule][1]
    assert isinstance(put(**within), NodePool)


def test_lowest_counts_depend_on_the_mode() -> None:
    assert put(count=0).count == 0
    assert put(mode=Mode.SYSTEM, count=1).count == 1
    with pytest.raises(errors.InvalidParameter, match="A System node pool has 1 to 1000 nodes"):
        put(mode=Mode.SYSTEM, count=0)
    with pytest.raises(errors.InvalidParameter, match="1 <= minCount"):
        put(mode=Mode.SYSTEM, autoscaling=True, min_count=0, max_count=3)


@pytest.mark.parametrize(
    "exceeding",
    [{"power": PowerState.STOPPED, "mode": Mode.SYSTEM}, {"upgrade": IN_PLACE, "mode": Mode.SYSTEM}],
    ids=["stopped", "in place"],
)
def test_a_limit_leaves_a_pool_alone_that_was_beyond_it_and_is_not_touched_there(exceeding: dict[str, Any]) -> None:
    beyond = replace(put(), **exceeding)
    assert put(beyond, count=3).count == 3


def test_a_size_without_room_for_an_ephemeral_os_disk_is_refused_when_it_comes_and_only_then() -> None:
    without = put(vm_size="Standard_D2_v3")
    assert put(without, count=3).os_disk_type == "Managed"
    had = replace(without, os_disk_type="Ephemeral")
    assert put(had, count=3).count == 3
    with pytest.raises(errors.VMSizeDoesNotSupportEphemeralOS):
        put(put(vm_size="Standard_D2d_v4", os_disk_type="Ephemeral"), vm_size="Standard_D2_v3")


@pytest.mark.parametrize(
    "exceeding", [{"power": PowerState.STOPPED}, {"upgrade": IN_PLACE}], ids=["stopped", "in place"]
)
def test_a_user_pool_beyond_the_limits_of_system_pools_does_not_become_one(exceeding: dict[str, Any]) -> None:
    with pytest.raises(errors.InvalidParameter, match="has mode System"):
        put(put(**exceeding), mode=Mode.SYSTEM)


MALFORMED: dict[str, Any] = {"nodeLabels": {"-bad": "x"}, "nodeTaints": ["k"]}


@pytest.mark.parametrize("profile", Profile)
@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_labels_and_taints_are_refused_when_they_change_and_only_then(profile: Profile, name: str) -> None:
    surroundings = around(profile=profile)
    sent = {name: MALFORMED[name]}
    with pytest.raises(errors.InvalidRequest):
        put(surroundings=surroundings, sent=sent)
    good = put(surroundings=surroundings)
    with pytest.raises(errors.InvalidRequest):
        put(good, surroundings=surroundings, sent=sent)
    old = replace(good, sent=sent)
    assert put(old, surroundings=surroundings, sent=sent, count=3).count == 3
    assert put(old, surroundings=surroundings, sent={}).sent == {}
