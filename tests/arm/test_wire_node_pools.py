"""Node pools as JSON: everything a client sends comes back, defaults and spelling are Azure's, secrets stay outside."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import orjson
import pytest
from hypothesis import given, settings

from poolwright import errors
from poolwright.arm.sent import MAX_DEPTH, MAX_PROBLEMS, parse_body
from poolwright.arm.wire_node_pools import decode_node_pool, encode_node_pool, pool_properties
from poolwright.catalog.catalog import Catalog
from poolwright.domain.admission import settle
from poolwright.domain.node_pool import NodePool
from poolwright.domain.operation import OperationError
from poolwright.domain.profile import Profile
from poolwright.domain.resource_id import NodePoolId
from poolwright.domain.surroundings import Surroundings
from poolwright.store.records import dump, load
from tests.arm.bodies import (
    CLUSTER,
    GROUP,
    SECRET,
    SECRET_PLACES,
    cluster,
    json_values,
    unknown_properties,
    without_nulls,
)
from tests.support.schema import require_valid

POOL = NodePoolId(CLUSTER, "np1")

# What az 2.91 sends for `nodepool add -n np1`.
AZ_ADD: dict[str, Any] = {
    "vmSize": "",
    "osType": "Linux",
    "enableNodePublicIP": False,
    "count": 3,
    "enableAutoScaling": False,
    "scaleSetPriority": "Regular",
    "nodeTaints": [],
    "upgradeSettings": {"undrainableNodeBehavior": "Schedule"},
    "type": "VirtualMachineScaleSets",
    "enableEncryptionAtHost": False,
    "enableUltraSSD": False,
    "enableFIPS": False,
    "mode": "User",
    "scaleDownMode": "Delete",
}


@cache
def catalog() -> Catalog:
    return Catalog.built_in(("eastus",))


def settled(
    properties: Mapping[str, Any], old: NodePool | None = None, profile: Profile = Profile.DOCUMENTED
) -> NodePool:
    """The node pool that a PUT with these properties leads to, as it comes out of the store."""
    body = parse_body(orjson.dumps({"properties": properties}))
    surroundings = Surroundings(
        profile=profile,
        engine="simulated",
        catalog=catalog().at("eastus"),
        cluster=cluster(),
        subscription=GROUP.subscription,
        api_version="2026-06-01",
    )
    pool = settle(POOL, decode_node_pool(body, profile), old, surroundings, header=None, etag="e")
    kept = load(NodePool, dump(pool))
    assert kept == pool
    return kept


def shown(properties: Mapping[str, Any]) -> dict[str, Any]:
    """The properties as they come back."""
    document: dict[str, Any] = json.loads(encode_node_pool(settled(properties)))["properties"]
    return document


@settings(max_examples=150, deadline=None)
@given(unknown_properties())
def test_unknown_properties_of_a_node_pool_come_back_as_they_were_sent(unknown: dict[str, Any]) -> None:
    back = shown(AZ_ADD | unknown)
    assert {name: back[name] for name in without_nulls(unknown)} == without_nulls(unknown)
    assert all(name not in back for name, value in unknown.items() if value is None)


def test_what_stands_beside_the_properties_comes_back_and_cannot_change_the_identity() -> None:
    body = {"properties": AZ_ADD, "kind": "special", "extra": {"deep": [1, "two"]}, "id": "/elsewhere", "eTag": "x"}
    request = decode_node_pool(parse_body(orjson.dumps(body)), Profile.DOCUMENTED)
    assert request.beside == {"kind": "special", "extra": {"deep": [1, "two"]}}
    document = json.loads(encode_node_pool(replace(settled(AZ_ADD), beside=request.beside)))
    assert (document["kind"], document["extra"]) == ("special", {"deep": [1, "two"]})
    assert document["id"] == str(POOL)


@settings(max_examples=100, deadline=None)
@given(unknown_properties(), json_values())
def test_unknown_properties_inside_known_ones_come_back(unknown: dict[str, Any], value: Any) -> None:
    sent = {"upgradeSettings": {"maxSurge": "33%", **unknown}, "kubeletConfig": {"cpuManagerPolicy": "", "deep": value}}
    back = shown(AZ_ADD | sent)
    wanted = without_nulls(sent)
    assert {name: back["upgradeSettings"][name] for name in wanted["upgradeSettings"]} == wanted["upgradeSettings"]
    assert back["kubeletConfig"] == wanted["kubeletConfig"]


@settings(max_examples=60, deadline=None)
@given(unknown_properties())
def test_what_the_service_showed_can_be_sent_back_and_shows_the_same(unknown: dict[str, Any]) -> None:
    first = settled(AZ_ADD | unknown | {"nodeLabels": {"a": "b"}, "tags": {"c": "d"}, "vmGeneration": "V2"})
    answer = json.loads(encode_node_pool(first))["properties"]
    second = settled(answer, old=first)
    again = json.loads(encode_node_pool(second))["properties"]
    assert again.pop("provisioningState") == "Updating"
    assert answer.pop("provisioningState") == "Creating"
    assert again == answer
    assert second.wish == first.wish


# What az and the SDKs can set, and what comes back for it.
KNOWN: dict[str, Any] = {
    "vmSize": "Standard_D4s_v5",
    "osType": "Linux",
    "osSKU": "AzureLinux",
    "count": 7,
    "mode": "System",
    "orchestratorVersion": "1.33.2",
    "scaleSetPriority": "Regular",
    "scaleDownMode": "Deallocate",
    "enableFIPS": True,
    "securityProfile": {"enableVTPM": False, "enableSecureBoot": False, "sshAccess": "Disabled"},
    "workloadRuntime": "OCIContainer",
    "gpuProfile": {"driver": "None"},
    "gpuInstanceProfile": "MIG1g",
    "enableAutoScaling": True,
    "minCount": 1,
    "maxCount": 9,
    "osDiskType": "Ephemeral",
    "osDiskSizeGB": 64,
    "kubeletDiskType": "Temporary",
    "maxPods": 30,
    "availabilityZones": ["1", "3"],
    "vnetSubnetID": "/subscriptions/s/subnets/One",
    "podSubnetID": "/subscriptions/s/subnets/Two",
    "nodePublicIPPrefixID": "/subscriptions/s/prefixes/P",
    "proximityPlacementGroupID": "/subscriptions/s/ppg/G",
    "hostGroupID": "/subscriptions/s/hostGroups/H",
    "capacityReservationGroupID": "/subscriptions/s/crg/C",
    "messageOfTheDay": "aGVsbG8=",
    "enableNodePublicIP": True,
    "enableEncryptionAtHost": True,
    "enableUltraSSD": True,
    "nodeLabels": {"team": "a", "empty": ""},
    "nodeTaints": ["a=b:NoSchedule"],
    "tags": {"Cost Centre": "7"},
    "upgradeSettings": {
        "maxSurge": "33%",
        "maxUnavailable": "0",
        "drainTimeoutInMinutes": 5,
        "nodeSoakDurationInMinutes": 3,
        "undrainableNodeBehavior": "Cordon",
    },
    "kubeletConfig": {"failSwapOn": False, "podMaxPids": 100},
    "linuxOSConfig": {"sysctls": {"vmSwappiness": 1}},
    "networkProfile": {"allowedHostPorts": [{"portStart": 80, "portEnd": 81, "protocol": "TCP"}]},
    "windowsProfile": {"disableOutboundNat": False},
    "gatewayProfile": {"publicIPPrefixSize": 31},
    "localDNSProfile": {"mode": "Preferred"},
    "spotMaxPrice": -1,
    "powerState": {"code": "Running"},
    "type": "VirtualMachineScaleSets",
}


def test_every_known_property_comes_back_and_fits_azures_definition() -> None:
    back = shown(KNOWN)
    assert {name: back[name] for name in KNOWN} == KNOWN
    require_valid(json.loads(encode_node_pool(settled(KNOWN))), "AgentPool")


@pytest.mark.parametrize("blank", ["", None, "missing"])
@pytest.mark.parametrize(
    ("name", "default"),
    [
        ("vmSize", "Standard_DS2_v2"),
        ("orchestratorVersion", "1.33"),
        ("osType", "Linux"),
        ("osSKU", "Ubuntu"),
        ("mode", "User"),
        ("type", "VirtualMachineScaleSets"),
        ("scaleSetPriority", "Regular"),
        ("osDiskType", "Managed"),
        ("kubeletDiskType", "OS"),
        ("scaleDownMode", "Delete"),
    ],
)
def test_empty_null_and_missing_mean_the_default(name: str, default: str, blank: str | None) -> None:
    sent = {key: value for key, value in AZ_ADD.items() if key != name}
    if blank != "missing":
        sent[name] = blank
    assert shown(sent)[name] == default


@pytest.mark.parametrize("name", ["count", "osDiskSizeGB", "maxPods", "enableFIPS", "upgradeSettings", "nodeLabels"])
def test_null_means_the_default_for_other_types_too(name: str) -> None:
    assert shown({name: None}) == shown({})


@pytest.mark.parametrize("blank", [{}, {"workloadRuntime": ""}, {"workloadRuntime": None}])
def test_the_ordinary_workload_runtime_is_shown_where_it_was_asked_for(blank: dict[str, Any]) -> None:
    assert "workloadRuntime" not in shown(blank)
    assert shown({"workloadRuntime": "OCIContainer"})["workloadRuntime"] == "OCIContainer"


@pytest.mark.parametrize(
    ("sent", "back"),
    [
        ({}, {"maxSurge": "10%", "maxUnavailable": "0"}),
        ({"upgradeSettings": {"maxSurge": None}}, {"maxSurge": "10%", "maxUnavailable": "0"}),
        ({"upgradeSettings": {"maxSurge": "2"}}, {"maxSurge": "2", "maxUnavailable": "0"}),
        (
            {"upgradeSettings": {"drainTimeoutInMinutes": 30, "nodeSoakDurationInMinutes": 0}},
            {"maxSurge": "10%", "maxUnavailable": "0", "drainTimeoutInMinutes": 30, "nodeSoakDurationInMinutes": 0},
        ),
        ({"upgradeSettings": {"drainTimeoutInMinutes": 0}}, {"maxSurge": "10%", "maxUnavailable": "0"}),
        ({"scaleSetPriority": "Spot"}, {}),
        (
            {
                "scaleSetPriority": "Spot",
                "upgradeSettings": {"drainTimeoutInMinutes": 5, "undrainableNodeBehavior": ""},
            },
            {"drainTimeoutInMinutes": 5},
        ),
    ],
)
def test_of_upgrade_settings_what_was_said_comes_back_and_how_many_at_once(
    sent: dict[str, Any], back: dict[str, Any]
) -> None:
    assert shown(sent)["upgradeSettings"] == back


def test_empty_strings_of_unknown_properties_are_kept() -> None:
    assert shown({"x9": "", "x8": {"y": ""}})["x8"] == {"y": ""}
    assert shown({"x9": ""})["x9"] == ""


def test_nulls_inside_labels_and_tags_are_left_out() -> None:
    back = shown({"nodeLabels": {"a": None, "b": "c"}, "tags": {"d": None}})
    assert back["nodeLabels"] == {"b": "c"}
    assert back["tags"] == {}


@pytest.mark.parametrize(
    ("sent", "name", "back"),
    [
        ({"osType": "linux"}, "osType", "Linux"),
        ({"osSKU": "AZURELINUX"}, "osSKU", "AzureLinux"),
        ({"osSKU": "Mariner", "orchestratorVersion": "1.30"}, "osSKU", "CBLMariner"),
        ({"mode": "SYSTEM"}, "mode", "System"),
        ({"type": "virtualmachinescalesets"}, "type", "VirtualMachineScaleSets"),
        ({"scaleSetPriority": "spot"}, "scaleSetPriority", "Spot"),
        ({"scaleDownMode": "deallocate"}, "scaleDownMode", "Deallocate"),
        ({"osDiskType": "ephemeral"}, "osDiskType", "Ephemeral"),
        ({"powerState": {"code": "stopped"}}, "powerState", {"code": "Stopped"}),
        ({"vmSize": "standard_d2S_V5"}, "vmSize", "Standard_D2s_v5"),
        ({"gpuProfile": {"driver": "none"}}, "gpuProfile", {"driver": "None"}),
        ({"vmGeneration": "v2"}, "vmGeneration", "V2"),
    ],
)
def test_enums_and_sizes_come_back_in_azures_spelling(sent: dict[str, Any], name: str, back: object) -> None:
    assert shown(sent)[name] == back


def test_names_are_compared_without_case_and_come_back_in_azures_spelling() -> None:
    back = shown({"osSku": "AzureLinux", "VMSIZE": "Standard_D4s_v5", "securityprofile": {"enablevtpm": True}})
    assert (back["osSKU"], back["vmSize"], back["securityProfile"]["enableVTPM"]) == (
        "AzureLinux",
        "Standard_D4s_v5",
        True,
    )
    assert not {"osSku", "VMSIZE", "securityprofile"} & back.keys()
    assert shown({"vmgeneration": "V1", "vmSize": "Standard_D2s_v5"})["vmGeneration"] == "V1"


def test_the_exact_name_counts_when_two_spellings_are_sent() -> None:
    assert shown({"osSku": "Ubuntu", "osSKU": "AzureLinux"})["osSKU"] == "AzureLinux"
    assert shown({"osSKU": "AzureLinux", "osSku": "Ubuntu"})["osSKU"] == "AzureLinux"


READ_ONLY: dict[str, Any] = {
    "eTag": "nonsense",
    "provisioningState": "Failed",
    "currentOrchestratorVersion": "1.1.1",
    "status": {"provisioningError": {"code": "X"}},
    "poolwright": {"resolvedGeneration": "V9"},
    "virtualMachineNodesStatus": [{"size": "x", "count": 1}],
    "nodeImageVersion": "AKSUbuntu-9",
}


def test_echoed_read_only_properties_are_ignored() -> None:
    assert shown(READ_ONLY) == shown({})
    assert shown({name.upper(): value for name, value in READ_ONLY.items()}) == shown({})


def test_read_only_properties_of_the_wrong_type_are_ignored_too() -> None:
    assert shown({"eTag": 5, "status": "x", "poolwright": []}) == shown({})


@pytest.mark.parametrize("place", SECRET_PLACES)
def test_secrets_of_a_node_pool_are_in_no_record_and_no_reply(place: dict[str, Any]) -> None:
    pool = settled(AZ_ADD | place)
    assert SECRET.encode() not in dump(pool)
    assert SECRET.encode() not in encode_node_pool(pool)


def test_labels_and_tags_keep_the_names_their_owner_chose() -> None:
    named = {"secret": "no", "password": "rotated", "adminPassword": "x"}
    back = shown({"nodeLabels": named, "tags": named})
    assert (back["nodeLabels"], back["tags"]) == (named, named)


@pytest.mark.parametrize(
    ("properties", "targets"),
    [
        ({"vmSize": 5}, ["properties.vmSize"]),
        ({"count": "3"}, ["properties.count"]),
        ({"count": True}, ["properties.count"]),
        ({"count": 1.5}, ["properties.count"]),
        ({"mode": "Other"}, ["properties.mode"]),
        ({"osSKU": "Windows2008"}, ["properties.osSKU"]),
        ({"vmGeneration": "V3"}, ["properties.vmGeneration"]),
        ({"vmGeneration": 2}, ["properties.vmGeneration"]),
        ({"vmGeneration": ["V2"]}, ["properties.vmGeneration"]),
        ({"tags": {"int": 5}}, ["properties.tags.int"]),
        ({"nodeTaints": ["a", 1]}, ["properties.nodeTaints[1]"]),
        ({"nodeTaints": "a"}, ["properties.nodeTaints"]),
        ({"enableFIPS": "true"}, ["properties.enableFIPS"]),
        ({"spotMaxPrice": "x"}, ["properties.spotMaxPrice"]),
        ({"powerState": "Stopped"}, ["properties.powerState"]),
        ({"upgradeSettings": {"drainTimeoutInMinutes": -1}}, ["properties.upgradeSettings.drainTimeoutInMinutes"]),
        (
            {"upgradeSettings": {"nodeSoakDurationInMinutes": 31}},
            ["properties.upgradeSettings.nodeSoakDurationInMinutes"],
        ),
        (
            {"virtualMachinesProfile": {"scale": {"manual": [{"size": "x"}]}}},
            ["properties.virtualMachinesProfile.scale.manual[0].count"],
        ),
        ({"kubeletConfig": {"cpuCfsQuota": "yes"}}, ["properties.kubeletConfig.cpuCfsQuota"]),
        ({"kubeletConfig": {"allowedUnsafeSysctls": [True]}}, ["properties.kubeletConfig.allowedUnsafeSysctls[0]"]),
        ({"linuxOSConfig": {"sysctls": True}}, ["properties.linuxOSConfig.sysctls"]),
        (
            {"linuxOSConfig": {"swapFileSizeMB": "1", "sysctls": {"vmMaxMapCount": []}}},
            ["properties.linuxOSConfig.swapFileSizeMB", "properties.linuxOSConfig.sysctls.vmMaxMapCount"],
        ),
        (
            {"networkProfile": {"allowedHostPorts": [{"portStart": 0, "portEnd": 1, "protocol": "ICMP"}]}},
            [
                "properties.networkProfile.allowedHostPorts[0].portStart",
                "properties.networkProfile.allowedHostPorts[0].protocol",
            ],
        ),
        (
            {"networkProfile": {"nodePublicIPTags": [{"tag": {}}]}},
            ["properties.networkProfile.nodePublicIPTags[0].tag"],
        ),
        ({"windowsProfile": {"disableOutboundNat": -1}}, ["properties.windowsProfile.disableOutboundNat"]),
        ({"gatewayProfile": {"publicIPPrefixSize": 32}}, ["properties.gatewayProfile.publicIPPrefixSize"]),
        ({"vmSize": 5, "count": "3", "mode": []}, ["properties.count", "properties.mode", "properties.vmSize"]),
    ],
)
def test_every_value_of_the_wrong_type_is_named(properties: dict[str, Any], targets: list[str]) -> None:
    with pytest.raises(errors.InvalidRequest) as refused:
        decode_node_pool({"properties": properties}, Profile.DOCUMENTED)
    error = refused.value
    assert sorted([error.target or "", *(detail.target or "" for detail in error.details)]) == targets
    assert all(detail.details == () for detail in error.details)


def test_a_refusal_of_many_values_stays_readable() -> None:
    with pytest.raises(errors.InvalidParameter) as refused:
        decode_node_pool({"properties": {"nodeTaints": list(range(5000))}}, Profile.DOCUMENTED)
    assert len(refused.value.details) == MAX_PROBLEMS - 1


def test_a_body_as_deep_as_allowed_is_taken() -> None:
    depth = MAX_DEPTH - 1
    nested = json.loads('{"a":' * (depth - 1) + "1" + "}" * (depth - 1))
    assert shown({"x9": nested["a"]})["x9"] == nested["a"]


def test_a_pool_of_type_virtual_machines_shows_its_sizes_and_keeps_unknown_parts() -> None:
    back = shown(
        {
            "type": "VirtualMachines",
            "virtualMachinesProfile": {
                "x9": 1,
                "scale": {"manual": [{"size": "standard_d2s_v5", "count": 3}], "autoscale": {"size": "y"}},
            },
        }
    )
    assert back["virtualMachinesProfile"] == {
        "x9": 1,
        "scale": {"manual": [{"size": "Standard_D2s_v5", "count": 3}], "autoscale": {"size": "y"}},
    }
    assert "vmSize" not in back


def test_profile_azure_2026_keeps_vm_generation_as_a_property_it_does_not_know() -> None:
    pool = settled({"vmGeneration": "V1", "vmSize": "Standard_D2s_v5"}, profile=Profile.AZURE_2026)
    assert pool.wish is None
    assert pool_properties(pool)["vmGeneration"] == "V1"
    odd = settled({"vmGeneration": {"any": ["thing"]}}, profile=Profile.AZURE_2026)
    assert pool_properties(odd)["vmGeneration"] == {"any": ["thing"]}


def test_a_failed_pool_shows_why() -> None:
    pool = settled({})
    failed = NodePool(
        **{
            **{name: getattr(pool, name) for name in NodePool.__dataclass_fields__},
            "error": OperationError("SomeCode", "some words", remedy="do it", fault="f"),
        }
    )
    document = json.loads(encode_node_pool(failed))
    assert document["properties"]["status"]["provisioningError"] == {
        "code": "SomeCode",
        "message": "some words",
        "additionalInfo": [{"type": "PoolwrightRemedy", "info": {"remedy": "do it", "fault": "f"}}],
    }
    require_valid(document, "AgentPool")
