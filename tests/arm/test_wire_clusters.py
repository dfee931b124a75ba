"""Clusters as JSON: everything a client sends comes back, in Azure's spelling; secrets stay outside."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import orjson
import pytest
from hypothesis import given, settings

from poolwright import errors
from poolwright.arm.sent import parse_body
from poolwright.arm.wire_clusters import decode_cluster, encode_cluster
from poolwright.domain.cluster import Cluster, ClusterRequest
from poolwright.domain.profile import Profile
from poolwright.store.records import dump, load
from tests.arm.bodies import SECRET, SECRET_PLACES, cluster, unknown_properties, without_nulls
from tests.support.schema import require_valid


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


@settings(max_examples=60, deadline=None)
@given(unknown_properties(), unknown_properties())
def test_unknown_properties_of_a_cluster_come_back_as_they_were_sent(
    unknown: dict[str, Any], outside: dict[str, Any]
) -> None:
    back = encoded({"location": "eastus", "properties": {"dnsPrefix": "d", **unknown}, **outside})
    assert {name: back["properties"][name] for name in without_nulls(unknown)} == without_nulls(unknown)
    assert {name: back[name] for name in without_nulls(outside)} == without_nulls(outside)


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


@pytest.mark.parametrize("place", SECRET_PLACES)
def test_secrets_of_a_cluster_are_in_no_record_and_no_reply(place: dict[str, Any]) -> None:
    request, pools = decoded(place | {"agentPoolProfiles": [{"name": "np1", **place}]})
    kept = cluster(sent=request.sent)
    assert SECRET not in repr(request)
    assert SECRET not in repr(pools)
    assert SECRET.encode() not in dump(kept)
    assert SECRET.encode() not in encode_cluster(kept, [], "tenant")


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
