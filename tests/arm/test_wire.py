"""JSON in, JSON out: everything a client sends comes back, defaults and spelling are Azure's, secrets stay outside."""

from __future__ import annotations

import json
import string
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poolwright import errors
from poolwright.arm.sent import MAX_DEPTH, MAX_PROBLEMS, parse_body
from poolwright.arm.wire import decode_group, encode_group
from poolwright.arm.wire_clusters import decode_cluster, encode_cluster
from poolwright.arm.wire_node_pools import decode_node_pool, encode_node_pool, pool_properties
from poolwright.catalog.catalog import Catalog
from poolwright.domain.admission import settle
from poolwright.domain.cluster import Cluster, ClusterRequest, ProvisioningState, ResourceGroup
from poolwright.domain.node_pool import NodePool
from poolwright.domain.operation import OperationError
from poolwright.domain.profile import Profile
from poolwright.domain.resource_id import ClusterId, GroupId, NodePoolId
from poolwright.domain.surroundings import Surroundings
from poolwright.store.records import dump, load
from tests.support.schema import require_valid

GROUP = GroupId("00000000-0000-4000-8000-000000000001", "rg")
CLUSTER = ClusterId(GROUP, "c1")
POOL = NodePoolId(CLUSTER, "np1")
SECRET = "Hunter2-and-nobody-else"

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


def json_values() -> st.SearchStrategy[Any]:
    """Everything a JSON document can hold that a number of 64 bits can."""
    scalars = (
        st.none()
        | st.booleans()
        | st.integers(-(2**63), 2**64 - 1)
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.sampled_from([1e30, 1.5e-300, -0.0, 1e22, "", "\0", "\u2028", "ß", "\U0001f600", "null"])
        | st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
    )
    # Not the name of a secret, which Hypothesis would find in the source.
    names = st.text(st.characters(exclude_categories=["Cs"]), max_size=6).map(lambda text: f"{text}9")
    return st.recursive(
        scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3), max_leaves=8
    )


def unknown_properties() -> st.SearchStrategy[dict[str, Any]]:
    names = st.text(string.ascii_letters + string.digits + "-_. é", max_size=8).map(lambda text: f"x{text}9")
    return st.dictionaries(names, json_values(), max_size=4)


@cache
def catalog() -> Catalog:
    return Catalog.built_in(("eastus",))


def cluster(**changes: Any) -> Cluster:
    known: dict[str, Any] = {
        "id": CLUSTER,
        "location": "eastus",
        "sent": {},
        "wanted_version": "1.33",
        "version": "1.33.2",
        "principal_id": "p",
        "has_windows_profile": True,
        "etag": "e",
        "state": ProvisioningState.SUCCEEDED,
    }
    return Cluster(**(known | changes))


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


def decoded(properties: Mapping[str, Any]) -> tuple[ClusterRequest, list[tuple[str, Any]]]:
    return decode_cluster(
        parse_body(orjson.dumps({"location": "eastus", "properties": properties})), Profile.DOCUMENTED
    )


def encoded(body: Mapping[str, Any]) -> dict[str, Any]:
    """A cluster's body as it comes back."""
    request, _ = decode_cluster(parse_body(orjson.dumps(body)), Profile.DOCUMENTED)
    kept = load(Cluster, dump(cluster(sent=request.sent, has_windows_profile=request.has_windows_profile)))
    document: dict[str, Any] = json.loads(encode_cluster(kept, [], "tenant"))
    return document


def without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: without_nulls(part) for name, part in value.items() if part is not None}
    if isinstance(value, list):
        return [without_nulls(part) for part in value if part is not None]
    return value


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


@settings(max_examples=60, deadline=None)
@given(unknown_properties(), unknown_properties())
def test_unknown_properties_of_a_cluster_come_back_as_they_were_sent(
    unknown: dict[str, Any], outside: dict[str, Any]
) -> None:
    back = encoded({"location": "eastus", "properties": {"dnsPrefix": "d", **unknown}, **outside})
    assert {name: back["properties"][name] for name in without_nulls(unknown)} == without_nulls(unknown)
    assert {name: back[name] for name in without_nulls(outside)} == without_nulls(outside)


@settings(max_examples=60, deadline=None)
@given(unknown_properties())
def test_unknown_properties_of_a_resource_group_come_back_as_they_were_sent(unknown: dict[str, Any]) -> None:
    location, sent = decode_group(parse_body(orjson.dumps({"location": "eastus", "tags": {"a": "b"}, **unknown})))
    group = load(ResourceGroup, dump(ResourceGroup(id=GROUP, location=location, sent=sent)))
    back = json.loads(encode_group(group))
    assert {name: back[name] for name in without_nulls(unknown)} == without_nulls(unknown)
    assert back["tags"] == {"a": "b"}


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
        ("workloadRuntime", "OCIContainer"),
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


def test_a_clusters_read_only_properties_are_ignored() -> None:
    plain = encoded({"location": "eastus", "properties": {}})
    echoed = encoded(
        plain | {"systemData": {"createdBy": "x"}, "eTag": "y", "id": "/z", "name": "other", "type": "other"}
    )
    assert echoed == plain


def test_a_cluster_that_comes_back_can_be_sent_again() -> None:
    body = {
        "location": "eastus",
        "identity": {"type": "systemassigned"},
        "sku": {"name": "base", "tier": "STANDARD"},
        "tags": {"a": "b"},
        "properties": {
            "dnsPrefix": "",
            "nodeResourceGroup": "",
            "enableRBAC": None,
            "networkProfile": {"networkPlugin": "Azure", "loadBalancerSku": "Standard", "outboundType": "loadbalancer"},
            "windowsProfile": {"adminUsername": "azureuser", "licenseType": "Windows_Server"},
            "addonProfiles": {"azurepolicy": {"enabled": True}, "omsagent": None},
        },
    }
    back = encoded(body)
    require_valid(back, "ManagedCluster")
    assert back["identity"] == {"type": "SystemAssigned", "principalId": "p", "tenantId": "tenant"}
    assert back["sku"] == {"name": "Base", "tier": "Standard"}
    assert back["properties"]["networkProfile"]["networkPlugin"] == "azure"
    assert back["properties"]["nodeResourceGroup"] == "MC_rg_c1_eastus"
    assert back["properties"]["dnsPrefix"] == "c1-rg"
    assert encoded(back) == back


@pytest.mark.parametrize(
    ("network", "windows", "has_profile"),
    [
        ({}, {}, False),
        ({"networkProfile": {"networkPlugin": "AZURE"}}, {}, False),
        ({}, {"windowsProfile": {"adminUsername": "me"}}, True),
        ({}, {"windowsProfile": {"adminUsername": ""}}, False),
        ({}, {"windowsProfile": None}, False),
    ],
)
def test_a_windows_profile_counts_when_it_names_somebody(
    network: dict[str, Any], windows: dict[str, Any], has_profile: bool
) -> None:
    request, _ = decoded(network | windows)
    assert request.has_windows_profile is has_profile
    assert request.network_plugin == ("azure" if network else None)


@pytest.mark.parametrize(
    ("sent", "identity", "service_principal"),
    [
        ({}, {"type": "SystemAssigned", "principalId": "p", "tenantId": "tenant"}, "msi"),
        ({"identity": {"type": "UserAssigned"}}, {"type": "UserAssigned"}, "msi"),
        ({"properties": {"servicePrincipalProfile": {"clientId": "x"}}}, None, "x"),
    ],
)
def test_every_cluster_says_whom_it_works_as(sent: dict[str, Any], identity: Any, service_principal: str) -> None:
    request, _ = decode_cluster({"location": "eastus", **sent}, Profile.DOCUMENTED)
    shown = json.loads(encode_cluster(cluster(sent=request.sent), [], "tenant"))
    require_valid(shown, "ManagedCluster")
    assert shown.get("identity") == identity
    assert shown["properties"]["servicePrincipalProfile"] == {"clientId": service_principal}


SSH_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEvdRMwBJaZLg0rmX2DVO4F2Zpo6V+Jg0E2mqVqzQqJC me@laptop"


def linux_profile(key: str) -> dict[str, Any]:
    return {"linuxProfile": {"adminUsername": "azureuser", "ssh": {"publicKeys": [{"keyData": key}]}}}


def test_a_linux_profile_comes_back_as_it_was_sent() -> None:
    request, _ = decoded(linux_profile(SSH_KEY))
    assert request.sent["properties"] == linux_profile(SSH_KEY)
    assert decoded({"linuxprofile": {"SSH": {"publickeys": [{"keydata": SSH_KEY}]}}})[0].sent["properties"] == {
        "linuxProfile": {"ssh": {"publicKeys": [{"keyData": SSH_KEY}]}}
    }


@pytest.mark.parametrize("name", ["", None])
def test_a_linux_profile_may_name_nobody(name: str | None) -> None:
    assert decoded({"linuxProfile": {"adminUsername": name}})[0].sent["properties"] == {"linuxProfile": {}}


@pytest.mark.parametrize("name", ["1x", "me@x", "a b", "root:", 5])
def test_the_name_of_an_account_is_one(name: object) -> None:
    with pytest.raises(errors.InvalidParameter) as refused:
        decoded({"linuxProfile": {"adminUsername": name}})
    assert refused.value.target == "properties.linuxProfile.adminUsername"


@pytest.mark.parametrize(
    "key", ["", "keydata", "ssh-rsa AAAA", f"{SSH_KEY}\n{SSH_KEY}", SSH_KEY.partition(" ")[2], "---- BEGIN SSH2 ----"]
)
def test_what_is_no_public_key_is_refused_in_aks_s_words(key: str) -> None:
    with pytest.raises(errors.InvalidParameter) as refused:
        decoded(linux_profile(key))
    assert str(refused.value).startswith("The value of parameter linuxProfile.ssh.publicKeys.keyData is invalid.")
    assert refused.value.target == "linuxProfile.ssh.publicKeys.keyData"


SECRET_PLACES: list[dict[str, Any]] = [
    {"windowsProfile": {"adminUsername": "me", "adminPassword": SECRET}},
    {"WindowsProfile": {"adminUsername": "me", "AdminPassword": SECRET}},
    {"servicePrincipalProfile": {"clientId": "x", "secret": SECRET}},
    {"aadProfile": {"serverAppSecret": SECRET}},
    {"x9": {"deep": [{"er": {"clientSecret": SECRET, "password": SECRET}}]}},
]


@pytest.mark.parametrize("place", SECRET_PLACES)
def test_secrets_of_a_cluster_are_in_no_record_and_no_reply(place: dict[str, Any]) -> None:
    request, pools = decoded(place | {"agentPoolProfiles": [{"name": "np1", **place}]})
    kept = cluster(sent=request.sent)
    assert SECRET not in repr(request)
    assert SECRET not in repr(pools)
    assert SECRET.encode() not in dump(kept)
    assert SECRET.encode() not in encode_cluster(kept, [], "tenant")


@pytest.mark.parametrize("place", SECRET_PLACES)
def test_secrets_of_a_node_pool_are_in_no_record_and_no_reply(place: dict[str, Any]) -> None:
    pool = settled(AZ_ADD | place)
    assert SECRET.encode() not in dump(pool)
    assert SECRET.encode() not in encode_node_pool(pool)


@pytest.mark.parametrize(
    "body",
    [
        {"windowsProfile": [{"adminPassword": SECRET}]},
        {"windowsProfile": {"adminUsername": {"adminPassword": SECRET}}},
        {"agentPoolProfiles": [[{"secret": SECRET}]]},
        {"agentPoolProfiles": [{"name": {"secret": SECRET}}]},
        {"agentPoolProfiles": [{"name": "np1", "securityProfile": [{"secret": SECRET}]}]},
        {"networkProfile": {"networkPlugin": [SECRET]}},
    ],
)
def test_a_refused_body_shows_no_secret_in_the_refusal(body: dict[str, Any]) -> None:
    with pytest.raises(errors.InvalidRequest) as refused:
        decoded(body)
    assert SECRET not in f"{refused.value.message} {[detail.message for detail in refused.value.details]}"


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
        ({"upgradeSettings": {"drainTimeoutInMinutes": 0}}, ["properties.upgradeSettings.drainTimeoutInMinutes"]),
        (
            {"upgradeSettings": {"nodeSoakDurationInMinutes": 31}},
            ["properties.upgradeSettings.nodeSoakDurationInMinutes"],
        ),
        (
            {"virtualMachinesProfile": {"scale": {"manual": [{"size": "x"}]}}},
            ["properties.virtualMachinesProfile.scale.manual[0].count"],
        ),
        ({"vmSize": 5, "count": "3", "mode": []}, ["properties.count", "properties.mode", "properties.vmSize"]),
    ],
)
def test_every_value_of_the_wrong_type_is_named(properties: dict[str, Any], targets: list[str]) -> None:
    with pytest.raises(errors.InvalidRequest) as refused:
        decode_node_pool({"properties": properties}, Profile.DOCUMENTED)
    error = refused.value
    assert sorted([error.target or "", *(detail.target or "" for detail in error.details)]) == targets
    assert all(detail.details == () for detail in error.details)


def test_wrong_values_of_all_pools_in_a_cluster_are_named() -> None:
    profiles = [{"name": "a", "count": "1"}, {"count": 1}, {"name": 5}, {"name": "b", "osSKU": "x", "vmSize": "y"}]
    with pytest.raises(errors.InvalidRequest) as refused:
        decoded({"agentPoolProfiles": profiles})
    error = refused.value
    assert [error.target, *(detail.target for detail in error.details)] == [
        "agentPoolProfiles[0].count",
        "agentPoolProfiles[1].name",
        "agentPoolProfiles[2].name",
        "agentPoolProfiles[3].osSKU",
    ]


def test_a_refusal_of_many_values_stays_readable() -> None:
    with pytest.raises(errors.InvalidParameter) as refused:
        decode_node_pool({"properties": {"nodeTaints": list(range(5000))}}, Profile.DOCUMENTED)
    assert len(refused.value.details) == MAX_PROBLEMS - 1


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"text"',
        b"{}{}",
        b'{"a":NaN}',
        b'{"a":1e999}',
        b'{"a":"\xff"}',
        b'{"a":"\\ud800"}',
        b"\xef\xbb\xbf{}",
        '{"a":1}'.encode("utf-16"),
        b'{"a":' * 2000 + b"1" + b"}" * 2000,
        b'{"a":' * (MAX_DEPTH + 1) + b"1" + b"}" * (MAX_DEPTH + 1),
        b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ],
)
def test_a_body_that_is_no_json_object_is_refused(raw: bytes) -> None:
    with pytest.raises(errors.InvalidRequestContent):
        parse_body(raw)


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
