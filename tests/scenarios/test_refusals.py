"""Bad input gets a clear answer, and nothing is lost: code, wording, target, remedy, and nothing changed.

Where Azure's own words are public they are written out here (docs/compatibility.md says which are ours).
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
import sqlalchemy as sa

from poolwright import errors
from poolwright.arm.connection import PATIENCE_SECONDS
from poolwright.arm.errors import status_of
from poolwright.domain.fault import WORDINGS
from poolwright.domain.profile import Profile
from poolwright.domain.roles import CONTRIBUTOR, OWNER, READER
from tests.support.everything import everything
from tests.support.fake_connection import FakeConnection
from tests.support.in_process import InProcess
from tests.support.schema import require_valid
from tests.support.service import ArmClient, ServiceProcess

WINDOWS = {"osType": "Windows", "osSKU": "Windows2022"}
V1_ONLY, BOTH, V2_ONLY = "Standard_D2_v3", "Standard_DS2_v2", "Standard_D4ads_v6"
TRUE, FALSE = {"UseWindowsGen2VM": "true"}, {"UseWindowsGen2VM": "false"}
TRUSTED = {"securityProfile": {"enableVTPM": True, "enableSecureBoot": True}}
CANNOT_BOOT_1 = (
    "The selected VM size 'Standard_D4ads_v6' cannot boot Hypervisor Generation '1'. If this was a Create operation "
    "please check that the Hypervisor Generation of the Image matches the Hypervisor Generation of the selected VM "
    "Size. If this was an Update operation please select a Hypervisor Generation '1' VM Size. For more information, "
    "see https://aka.ms/azuregen2vm"
)
SOME_GUID, OTHER_GUID = "11111111-2222-4333-8444-555555555555", "22222222-2222-4333-8444-555555555555"
IN_PROGRESS = (
    r"Operation is not allowed because there's an in-progress {kind} operation \(operation ID: [0-9a-f-]{{36}}\) on "
    r"{on} started on UTC \d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d\. Please wait for it to finish before starting a new "
    r"operation\."
)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ArmClient]:
    """Clusters of Kubernetes 1.35 (c1), 1.32 (old) and 1.37 (new), and one without a Windows profile."""
    service = InProcess(tmp_path_factory.mktemp("refusals") / "data")
    client = service.client
    client.make_cluster()
    client.make_cluster("old", kubernetesVersion="1.32")
    client.make_cluster("new", kubernetesVersion="1.37")
    client.make_cluster("plain", networkProfile={"networkPlugin": "none"})
    client.make_pool("lin", {"vmSize": BOTH})
    client.make_pool("win", {"vmSize": BOTH, **WINDOWS})
    yield client
    service.close()


@pytest.fixture
def app(tmp_path: Path) -> Iterator[InProcess]:
    service = InProcess(tmp_path / "data")
    service.client.make_cluster()
    yield service
    service.close()


class Refused(NamedTuple):
    """A node pool's PUT that is refused: the body, and what the answer says."""

    properties: dict[str, Any]
    code: str
    target: str
    message: str
    headers: dict[str, str] = {}  # noqa: RUF012 - never changed
    cluster: str = "c1"
    pool: str = "bad"
    status: int = 400
    others: tuple[tuple[str, str], ...] = ()
    alternatives: bool = False


REFUSALS: dict[str, Refused] = {
    # Sizes.
    "unknown size": Refused(
        {"vmSize": "Standard_D2s_v55"},
        "VMSizeNotSupported",
        "properties.vmSize",
        r"Virtual Machine size: 'Standard_D2s_v55' is not supported for subscription [0-9a-f-]{36} in location "
        r"'eastus'\. The available VM sizes are 'standard_d2s_v5,",
        alternatives=True,
    ),
    "unknown size, nothing alike": Refused(
        {"vmSize": "none of this"},
        "VMSizeNotSupported",
        "properties.vmSize",
        r"Virtual Machine size: 'none of this' is not supported .*The available VM sizes are '[a-z]",
    ),
    "size not in the location": Refused(
        {"vmSize": "Standard_DC2es_v5"}, "VMSizeNotSupported", "properties.vmSize", r"in location 'eastus'"
    ),
    "size too small for a user pool": Refused(
        {"vmSize": "Standard_DS1_v2"},
        "VMSizeRestrictedByAKS",
        "properties.vmSize",
        r"'Standard_DS1_v2' has 1 vCPUs and 3.* GB; AKS node pools need at least 2 vCPUs and 2 GB",
        alternatives=True,
    ),
    "size too small for a system pool": Refused(
        {"vmSize": "Standard_B2ats_v2", "mode": "System"},
        "SystemPoolSkuTooLow",
        "properties.vmSize",
        r"^System node pool must use VM sku with more than 2 cores and 4GB memory\. Nodepool name: bad\.$",
        alternatives=True,
    ),
    # Generations.
    "Gen 2 by header on a Gen 1 size": Refused(
        {"vmSize": V1_ONLY, **WINDOWS},
        "UnsupportedGen2VMSize",
        "properties.vmSize",
        r"'Standard_D2_v3' supports only Hypervisor Generation V1.*needs Generation 2 \(the header UseWindowsGen2VM",
        headers=TRUE,
        alternatives=True,
    ),
    "Gen 2 by property on a Gen 1 size": Refused(
        {"vmSize": V1_ONLY, "vmGeneration": "V2"},
        "UnsupportedGen2VMSize",
        "properties.vmSize",
        r"\(properties\.vmGeneration is V2\)",
        alternatives=True,
    ),
    "Gen 1 by header on a Gen 2 size": Refused(
        {"vmSize": V2_ONLY, **WINDOWS},
        "BadRequest",
        "properties.vmSize",
        re.escape(CANNOT_BOOT_1),
        headers=FALSE,
        alternatives=True,
    ),
    "Trusted Launch on a Gen 1 size": Refused(
        {"vmSize": V1_ONLY, **TRUSTED},
        "UnsupportedGen2VMSize",
        "properties.vmSize",
        r"needs Generation 2 \(Trusted Launch uses the Generation 2 node image\)",
        alternatives=True,
    ),
    "Windows 2019 with the header": Refused(
        {"vmSize": BOTH, "osType": "Windows", "osSKU": "Windows2019"},
        "InvalidParameter",
        "properties.osSKU",
        r"'Windows2019' has only a Generation 1 image\. Generation 2 requires Windows Server 2022",
        headers=TRUE,
        cluster="old",
    ),
    "Windows 2019 on a Gen 2 size": Refused(
        {"vmSize": V2_ONLY, "osType": "Windows", "osSKU": "Windows2019"},
        "InvalidParameter",
        "properties.vmSize",
        r"Windows2019 node pools don't support Generation 2 VM sizes",
        cluster="old",
        alternatives=True,
    ),
    "Windows 2019 on Kubernetes 1.35": Refused(
        {"vmSize": BOTH, "osType": "Windows", "osSKU": "Windows2019"},
        "InvalidOSSKU",
        "properties.osSKU",
        r"'Windows2019' is not supported on Kubernetes 1\.35\.7",
    ),
    "Windows 2022 on Kubernetes 1.37": Refused(
        {"vmSize": BOTH, **WINDOWS},
        "InvalidOSSKU",
        "properties.osSKU",
        r"'Windows2022' is not supported on Kubernetes 1\.37\.0",
        cluster="new",
    ),
    # Combinations.
    "Arm64 with Windows": Refused(
        {"vmSize": "Standard_D4ps_v5", **WINDOWS},
        "InvalidParameter",
        "properties.vmSize",
        r"'Standard_D4ps_v5' is Arm64, and Windows node pools need an x64 size",
        alternatives=True,
    ),
    "Arm64 with Trusted Launch": Refused(
        {"vmSize": "Standard_D4ps_v6", **TRUSTED},
        "InvalidParameter",
        "properties.vmSize",
        r"Trusted Launch is not supported on the Arm64 VM size",
        alternatives=True,
    ),
    "Trusted Launch with Windows": Refused(
        {"vmSize": BOTH, **WINDOWS, **TRUSTED}, "InvalidParameter", "properties.securityProfile", "Windows node pools"
    ),
    "confidential VM with a wrong OS SKU": Refused(
        {"vmSize": "Standard_DC4as_v5", "osSKU": "Ubuntu2204"},
        "InvalidOSSKU",
        "properties.osSKU",
        r"'Ubuntu2204' has no image for the confidential VM size 'Standard_DC4as_v5'",
    ),
    "confidential VM with Windows": Refused(
        {"vmSize": "Standard_DC4as_v5", **WINDOWS}, "InvalidOSSKU", "properties.osSKU", "'Windows2022' has no image"
    ),
    "OS SKU of the other OS": Refused(
        {"osType": "Windows", "osSKU": "Ubuntu"},
        "InvalidOSSKU",
        "properties.osSKU",
        r"'Ubuntu' is not valid for OS type 'Windows'\. Valid OS SKUs are: Windows2019, Windows2022",
    ),
    "unknown OS SKU": Refused(
        {"osSKU": "Debian"}, "InvalidOSSKU", "properties.osSKU", r"'Debian' is unknown\. Valid OS SKUs are: Ubuntu"
    ),
    "no image for the Kubernetes version": Refused(
        {"osSKU": "AzureLinux"},
        "InvalidImageRef",
        "properties.osSKU",
        r"No node image exists for AzureLinux.* on Kubernetes 1\.37\. It exists for Kubernetes 1\.28 to 1\.36",
        cluster="new",
    ),
    "FIPS with Ubuntu2404": Refused(
        {"osSKU": "Ubuntu2404", "enableFIPS": True}, "InvalidParameter", "properties.enableFIPS", "Ubuntu2404"
    ),
    # Names and numbers.
    **{
        f"pool name {name!r}": Refused({}, "InvalidParameter", "name", r"starts with a lower-case letter", pool=name)
        for name in ("BadName", "1abc", "a-b", "abcdefghijklm", "ä", "a_b", "a%20b", "null\u00adx")
    },
    "Windows pool name of 7": Refused(
        {"vmSize": BOTH, **WINDOWS},
        "InvalidParameter",
        "name",
        r"^Windows agent pool name can not be longer than 6 characters\.$",
        pool="seven77",
    ),
    "0 nodes in a system pool": Refused(
        {"count": 0, "mode": "System"},
        "InvalidParameter",
        "properties.count",
        r"agentPoolProfile\.count is invalid: 0\. A System node pool has 1 to 1000 nodes",
    ),
    "1001 nodes": Refused({"count": 1001}, "InvalidParameter", "properties.count", r"0 to 1000 nodes"),
    "-1 nodes": Refused({"count": -1}, "InvalidParameter", "properties.count", r"invalid: -1"),
    "stopped system pool": Refused(
        {"mode": "System", "powerState": {"code": "Stopped"}},
        "InvalidParameter",
        "properties.powerState.code",
        r"^Node pool 'bad' has mode System and cannot be stopped\.$",
    ),
    "system pool without surge machines": Refused(
        {"mode": "System", "upgradeSettings": {"maxSurge": "0", "maxUnavailable": "1"}},
        "InvalidParameter",
        "properties.upgradeSettings.maxUnavailable",
        r"^upgradeSettings\.maxUnavailable cannot be set on node pool 'bad', which has mode System\.$",
    ),
    "disk size": Refused({"osDiskSizeGB": 4096}, "InvalidParameter", "properties.osDiskSizeGB", "0 .* to 2048"),
    "ephemeral OS disk on a size without room for it": Refused(
        {"vmSize": "Standard_D2_v3", "osDiskType": "Ephemeral"},
        "VMSizeDoesNotSupportEphemeralOS",
        "properties.osDiskType",
        r"^The Virtual Machine size Standard_D2_v3 does not support Ephemeral OS disk\.$",
    ),
    "max pods": Refused({"maxPods": 5}, "InvalidParameter", "properties.maxPods", "10 to 250"),
    "autoscaler without bounds": Refused(
        {"enableAutoScaling": True, "minCount": 3}, "InvalidParameter", "properties.minCount", "maxCount None"
    ),
    "autoscaler bounds crossed": Refused(
        {"enableAutoScaling": True, "minCount": 3, "maxCount": 2},
        "InvalidParameter",
        "properties.minCount",
        "minCount 3 and maxCount 2",
    ),
    "count outside the autoscaler": Refused(
        {"enableAutoScaling": True, "minCount": 3, "maxCount": 5, "count": 9},
        "InvalidParameter",
        "properties.count",
        "outside minCount 3 and maxCount 5",
    ),
    "wrong types": Refused(
        {"vmSize": 5, "count": "3"},
        "InvalidParameter",
        "properties.vmSize",
        "5",
        others=(("InvalidParameter", "properties.count"),),
    ),
    # Modes.
    "Windows system pool": Refused(
        {"vmSize": BOTH, "mode": "System", **WINDOWS}, "SystemPoolMustBeLinux", "properties.osType", "must be Linux"
    ),
    "Spot system pool": Refused(
        {"mode": "System", "scaleSetPriority": "Spot"},
        "SystemPoolMustBeRegular",
        "properties.scaleSetPriority",
        "priority Regular",
    ),
    "Windows pool without a Windows profile": Refused(
        {"vmSize": BOTH, **WINDOWS},
        "InvalidParameter",
        "properties.osType",
        r"^Windows profile definition is missing for the cluster\.$",
        cluster="plain",
    ),
    # Versions.
    "unknown version": Refused(
        {"orchestratorVersion": "1.18.14"},
        "AgentPoolK8sVersionNotSupported",
        "properties.orchestratorVersion",
        r"^Version 1\.18\.14 is not supported in this region\. Please use \[az aks get-versions\] command to get the "
        r"supported version list in this region\. For more information, please check "
        r"https://aka\.ms/supported-version-list$",
    ),
    "newer than the control plane": Refused(
        {"orchestratorVersion": "1.36"},
        "NodePoolMcVersionIncompatible",
        "properties.orchestratorVersion",
        r"^Node pool version 1\.36\.\d+ and control plane version 1\.35\.\d+ are incompatible\. Minor version of node "
        r"pool version 36 is bigger than control plane version 35\. For more information, please check "
        r"https://aka\.ms/version-skew-policy$",
    ),
    "too old for the control plane": Refused(
        {"orchestratorVersion": "1.31"},
        "NodePoolMcVersionIncompatible",
        "properties.orchestratorVersion",
        r"Minor version of node pool cannot be more than 3 versions less than control plane's version\. Minor version "
        r"of node pool is 31 and control plane is \d+\.",
    ),
    # Zones.
    "zone that does not exist": Refused(
        {"vmSize": BOTH, "availabilityZones": ["1", "4"]},
        "AvailabilityZoneNotSupported",
        "properties.availabilityZones",
        r"The zone\(s\) '4' for resource 'bad' is not supported\. The supported zones for location 'eastus' are "
        r"'1,2,3'",
    ),
    "zone of a size without zones": Refused(
        {"vmSize": "Standard_A2_v2", "availabilityZones": ["9"]},
        "AvailabilityZoneNotSupported",
        "properties.availabilityZones",
        r"'9' for resource 'bad'",
    ),
    # VirtualMachines pools.
    "VirtualMachines with Windows": Refused(
        {"type": "VirtualMachines", "vmSize": BOTH, **WINDOWS}, "InvalidParameter", "properties.type", "osType Windows"
    ),
    "VirtualMachines with zones": Refused(
        {"type": "VirtualMachines", "vmSize": BOTH, "availabilityZones": ["1"]},
        "InvalidParameter",
        "properties.availabilityZones",
        "do not support availabilityZones",
    ),
    "VirtualMachines of two families": Refused(
        {
            "type": "VirtualMachines",
            "virtualMachinesProfile": {
                "scale": {"manual": [{"size": BOTH, "count": 1}, {"size": "Standard_E2s_v3", "count": 1}]}
            },
        },
        "InvalidParameter",
        "properties.virtualMachinesProfile.scale.manual",
        "of one family",
    ),
    "VirtualMachines with six profiles": Refused(
        {
            "type": "VirtualMachines",
            "virtualMachinesProfile": {"scale": {"manual": [{"size": BOTH, "count": 1}] * 6}},
        },
        "InvalidParameter",
        "properties.virtualMachinesProfile.scale.manual",
        "at most 5",
    ),
    # Several at once.
    "everything at once": Refused(
        {"vmSize": V1_ONLY, "count": 2000, "mode": "System", "maxPods": 1, **WINDOWS},
        "InvalidParameter",
        "name",
        "starts with a lower-case letter",
        headers=TRUE,
        pool="Bad-Name",
        others=(
            ("InvalidParameter", "properties.count"),
            ("InvalidParameter", "properties.maxPods"),
            ("SystemPoolMustBeLinux", "properties.osType"),
            ("UnsupportedGen2VMSize", "properties.vmSize"),
        ),
    ),
    # Changes of a pool that exists.
    "change of OS and disk": Refused(
        {"vmSize": "Standard_D4s_v3", "osType": "Windows", "osDiskSizeGB": 64, "maxPods": 30},
        "PropertyChangeNotAllowed",
        "properties.osType",
        r"^Changing property 'properties\.osType' is not allowed\.$",
        pool="lin",
        others=(
            ("PropertyChangeNotAllowed", "properties.osDiskSizeGB"),
            ("PropertyChangeNotAllowed", "properties.maxPods"),
        ),
    ),
    "change of a Windows OS SKU": Refused(
        {"osSKU": "Windows2025", "enableFIPS": True},
        "PropertyChangeNotAllowed",
        "properties.osSKU",
        r"^Changing property 'properties\.osSKU' is not allowed\.$",
        pool="win",
    ),
    "change of architecture": Refused(
        {"vmSize": "Standard_D2ps_v5"},
        "PropertyChangeNotAllowed",
        "properties.vmSize",
        r"^Changing property 'properties\.vmSize' is not allowed\. .* different CPU architectures\.$",
        pool="lin",
    ),
    "change to confidential computing": Refused(
        {"vmSize": "Standard_DC2as_v5"},
        "PropertyChangeNotAllowed",
        "properties.vmSize",
        r"^Changing property 'properties\.vmSize' is not allowed\. .* differ in confidential computing\.$",
        pool="lin",
    ),
    "change of everything else that stays": Refused(
        {
            "scaleSetPriority": "Spot",
            "availabilityZones": ["1"],
            "vnetSubnetID": "/subscriptions/s/x",
            "hostGroupID": "/subscriptions/s/y",
            "gpuInstanceProfile": "MIG1g",
            "osDiskType": "Ephemeral",
            "workloadRuntime": "WasmWasi",
            "type": "AvailabilitySet",
        },
        "PropertyChangeNotAllowed",
        "properties.type",
        r"properties\.type' is not allowed",
        pool="lin",
        others=tuple(
            ("PropertyChangeNotAllowed", f"properties.{name}")
            for name in (
                "osDiskType",
                "availabilityZones",
                "vnetSubnetID",
                "hostGroupID",
                "gpuInstanceProfile",
                "scaleSetPriority",
                "workloadRuntime",
            )
        ),
    ),
    "nothing could ever be replaced": Refused(
        {"upgradeSettings": {"maxSurge": "0", "maxUnavailable": "0"}},
        "InvalidParameter",
        "properties.upgradeSettings",
        "cannot both be 0",
        pool="lin",
    ),
    "older version for a pool that exists": Refused(
        {"orchestratorVersion": "1.34"},
        "AgentPoolUpgradeVersionNotAllowed",
        "properties.orchestratorVersion",
        r"runs Kubernetes 1\.35\.7 and cannot be moved back to 1\.34\.10",
        pool="lin",
    ),
    "another node image": Refused(
        {"nodeImageVersion": "AKSUbuntu-2404gen2containerd-202401.01.0"},
        "InvalidParameter",
        "properties.nodeImageVersion",
        r"^NodeImageVersion 'AKSUbuntu-2404gen2containerd-202401\.01\.0' is not accepted\. NodeImageVersion can only "
        r"be current version 'AKSUbuntu-2404gen2containerd-202512\.18\.0' or 'latest'$",
        pool="lin",
    ),
    "a Windows pool made a system pool": Refused(
        {"mode": "System"}, "SystemPoolMustBeLinux", "properties.osType", "must be Linux", pool="win"
    ),
    "a spot pool that asks for surge machines": Refused(
        {"scaleSetPriority": "Spot", "upgradeSettings": {"maxSurge": "33%"}},
        "InvalidParameter",
        "properties.upgradeSettings.maxSurge",
        r"^The value of parameter agentPoolProfile\.upgrade\.maxSurge is invalid\. Error details: Spot pools can't set "
        r"max surge\. Please see https://aka\.ms/aks-naming-rules for more details\.$",
    ),
    "0 nodes in a system pool that exists": Refused(
        {"count": 0}, "InvalidParameter", "properties.count", "1 to 1000", pool="sys"
    ),
    "the last system pool made a user pool": Refused(
        {"mode": "User"},
        "OperationNotAllowed",
        "properties.mode",
        r"'sys' is the only System node pool of managed cluster 'c1'",
        pool="sys",
        status=409,
    ),
}


def send(client: ArmClient, refused: Refused, method: str = "PUT", suffix: str = "") -> httpx.Response:
    path = client.pool(refused.pool, refused.cluster) + suffix
    return client.request(method, path, json={"properties": refused.properties}, headers=refused.headers)


def remedy(error: dict[str, Any]) -> dict[str, Any]:
    (info,) = error["additionalInfo"]
    found: dict[str, Any] = info["info"]
    return found


@pytest.mark.parametrize("name", REFUSALS)
def test_a_refused_pool_is_told_why_also_by_what_if_and_changes_nothing(client: ArmClient, name: str) -> None:
    refused = REFUSALS[name]
    before = everything(client)
    reply = send(client, refused)
    error = reply.json()["error"]
    assert (reply.status_code, error["code"], error["target"]) == (refused.status, refused.code, refused.target)
    assert re.search(refused.message, error["message"]), error["message"]
    assert tuple((other["code"], other["target"]) for other in error.get("details", ())) == refused.others
    for part in (error, *error.get("details", ())):
        assert remedy(part)["remedy"]
        assert "{" not in part["message"]
    if refused.alternatives:
        assert 0 < len(remedy(error)["alternatives"]) <= 5
    what_if = send(client, refused, "POST", "/whatIf")
    assert (what_if.status_code, what_if.json()) == (reply.status_code, reply.json())
    assert everything(client) == before


@pytest.mark.parametrize(
    ("properties", "headers"),
    [
        ({"vmSize": BOTH}, {}),
        ({"vmSize": V1_ONLY}, TRUE),
        ({"vmSize": V2_ONLY}, {}),
        ({"vmSize": BOTH, **WINDOWS}, TRUE),
        ({"vmSize": BOTH, **WINDOWS, "vmGeneration": "V2"}, {}),
        ({"vmSize": BOTH, **TRUSTED}, {}),
        ({"osSKU": "AzureLinux", "enableFIPS": True, "count": 0}, {}),
    ],
)
def test_what_if_says_beforehand_what_the_put_then_does(
    client: ArmClient, properties: dict[str, Any], headers: dict[str, str]
) -> None:
    before = everything(client)
    told = client.post(f"{client.pool('plan')}/whatIf", json={"properties": properties}, headers=headers)
    assert told.status_code == 200
    assert everything(client) == before
    done = client.make_pool("plan", properties, headers=headers)
    after = told.json()["properties"]["after"]
    untold = {"eTag", "provisioningState", "poolwright"}
    assert {name: value for name, value in done.items() if name not in untold} == {
        name: value for name, value in after.items() if name not in untold
    }
    assert after["poolwright"]["rule"] == done["poolwright"]["rule"] == told.json()["properties"]["rule"]
    client.done(client.delete(client.pool("plan")))


def test_alternatives_are_accepted_when_they_are_asked_for(client: ArmClient) -> None:
    for name, refused in REFUSALS.items():
        if not refused.alternatives:
            continue
        error = send(client, refused).json()["error"]
        for size in remedy(error)["alternatives"]:
            again = refused._replace(properties=refused.properties | {"vmSize": size})
            reply = send(client, again, "POST", "/whatIf")
            assert reply.status_code == 200, (name, size, reply.text)


def test_a_size_without_known_locations_is_taken_with_a_warning(client: ArmClient) -> None:
    pool = client.make_pool("assume", {"vmSize": V2_ONLY, "availabilityZones": ["2"]})
    (warning,) = pool["poolwright"]["warnings"]
    assert warning["code"] == "CatalogueAssumption"
    assert "locations and zones of VM size 'Standard_D4ads_v6'" in warning["message"]
    assert warning["message"].endswith("offered in eastus with zones 1,2,3.")
    without = client.make_pool("assumed", {"vmSize": V2_ONLY})
    assert without["poolwright"]["warnings"][0]["message"].endswith("offered in eastus.")


@pytest.mark.parametrize("zones", [["2", "1"], ["1", "2"], None, []])
def test_the_order_of_zones_and_the_case_of_ids_are_no_change(client: ArmClient, zones: list[str] | None) -> None:
    subnet = "/subscriptions/s/resourceGroups/RG/subnets/One"
    asked = {"vmSize": BOTH, "availabilityZones": ["1", "2"], "vnetSubnetID": subnet}
    client.make_pool("zones", asked)
    again = client.make_pool("zones", asked | {"availabilityZones": zones, "vnetSubnetID": subnet.upper()})
    assert sorted(again["availabilityZones"]) == ["1", "2"]


def test_profile_azure_2026_says_vm_size_changes_in_the_words_seen_in_2026(tmp_path: Path) -> None:
    service = InProcess(tmp_path / "data", profile=Profile.AZURE_2026)
    client = service.client
    client.make_cluster()
    client.make_pool("win", {"vmSize": BOTH, **WINDOWS})
    body = {"properties": {"vmSize": V2_ONLY, "osDiskSizeGB": 64}}
    old = client.put(client.pool("win"), json=body, params={"api-version": "2025-10-01"}).json()["error"]
    assert old["message"] == (
        'Changing property "agentPoolProfile.vmSize" is not allowed in an api-version before "2026-01-02-preview".'
    )
    assert [detail["target"] for detail in old["details"]] == ["properties.osDiskSizeGB"]
    new = client.put(client.pool("win"), json=body, params={"api-version": "2026-06-01"}).json()["error"]
    assert new["message"].startswith("Changing property 'properties.vmSize' is not allowed. ")
    service.close()


@pytest.mark.parametrize(
    ("wanted", "headers", "target", "words"),
    [
        ({"vmSize": V2_ONLY}, TRUE, "properties.vmSize", "would make it Generation 2"),
        ({"vmSize": "Standard_D4s_v5", "count": 2}, {}, "properties.count", "cannot be changed in one request"),
        (
            {"vmSize": "Standard_D4s_v5", "upgradeSettings": {"maxSurge": "0", "maxUnavailable": "1"}},
            {},
            "properties.upgradeSettings.maxSurge",
            "with maxSurge 0",
        ),
        ({"count": 1}, TRUE, "properties.vmGeneration", "would make it Generation 2"),
    ],
)
def test_profile_azure_2026_resizes_alone_and_within_a_generation(
    tmp_path: Path, wanted: dict[str, Any], headers: dict[str, str], target: str, words: str
) -> None:
    service = InProcess(tmp_path / "data", profile=Profile.AZURE_2026)
    client = service.client
    client.make_cluster()
    client.make_pool("win", {"vmSize": BOTH, **WINDOWS, "count": 1})
    refused = client.put(client.pool("win"), json={"properties": wanted}, headers=headers).json()["error"]
    assert refused["target"] == target
    assert words in refused["message"]
    assert refused["additionalInfo"][0]["info"]["remedy"]
    resized = client.put(client.pool("win"), json={"properties": {"vmSize": "Standard_D4s_v5"}})
    assert client.operation(resized)["status"] == "Succeeded"
    assert client.get(client.pool("win")).json()["properties"]["vmSize"] == "Standard_D4s_v5"
    service.close()


def test_in_profile_documented_the_api_version_makes_no_difference(app: InProcess) -> None:
    client = app.client
    client.make_pool("win", {"vmSize": BOTH, **WINDOWS, "count": 1})
    for version, size in (("2025-10-01", V2_ONLY), ("2026-06-01", BOTH)):
        put = client.put(
            client.pool("win"), json={"properties": {"vmSize": size}}, params={"api-version": version}, headers=TRUE
        )
        assert client.operation(put)["status"] == "Succeeded"
        pool = client.get(client.pool("win")).json()["properties"]
        assert (pool["vmSize"], pool["poolwright"]["observedGenerations"]["V2"]) == (size, 1)


def test_profile_azure_2026_lets_the_operation_fail_as_compute_does(tmp_path: Path) -> None:
    service = InProcess(tmp_path / "data", profile=Profile.AZURE_2026)
    client = service.client
    client.make_cluster()
    told = client.post(f"{client.pool('win')}/whatIf", json={"properties": {"vmSize": V2_ONLY, **WINDOWS}})
    accepted = client.put(client.pool("win"), json={"properties": {"vmSize": V2_ONLY, **WINDOWS}})
    assert accepted.status_code == 201
    operation = client.operation(accepted)
    assert operation["status"] == "Failed"
    assert operation["error"]["code"] == "BadRequest"
    assert operation["error"]["message"] == f"Create or update VMSS akswin failed. {CANNOT_BOOT_1}"
    assert told.json()["properties"]["operationWouldFail"]["message"] == operation["error"]["message"]
    pool = client.get(client.pool("win")).json()
    assert pool["properties"]["provisioningState"] == "Failed"
    assert pool["properties"]["status"]["provisioningError"]["code"] == "BadRequest"
    assert client.get(f"{client.pool('win')}/machines").json()["value"] == []

    # What the answers advise leads out: no update does, what is added again with the header does.
    assert "is deleted first" in operation["error"]["additionalInfo"][0]["info"]["remedy"]
    for properties, headers in (({}, TRUE), ({"vmSize": BOTH}, {}), ({"osDiskSizeGB": 200}, {})):
        refused = client.put(client.pool("win"), json={"properties": properties}, headers=headers).json()["error"]
        assert refused["code"] == "PropertyChangeNotAllowed"
        assert "delete this node pool, no machine of which can start, and add it again" in remedy_of(refused)
        assert "move the workload" not in remedy_of(refused)
    assert client.operation(client.put(client.pool("win"), json={"properties": {}}))["status"] == "Failed"
    assert client.operation(client.delete(client.pool("win")))["status"] == "Succeeded"
    again = client.put(client.pool("win"), json={"properties": {"vmSize": V2_ONLY, **WINDOWS}}, headers=TRUE)
    assert client.operation(again)["status"] == "Succeeded"

    # One that has machines has a workload to move.
    client.make_pool("winold", {"vmSize": BOTH, **WINDOWS, "count": 1})
    refused = client.put(client.pool("winold"), json={"properties": {}}, headers=TRUE).json()["error"]
    assert remedy_of(refused).startswith("add a node pool with the wanted value, move the workload")
    service.close()


def remedy_of(error: dict[str, Any]) -> str:
    remedy: str = error["additionalInfo"][0]["info"]["remedy"]
    return remedy


# Clusters and groups.


def put_cluster(client: ArmClient, body: dict[str, Any], name: str = "bad") -> httpx.Response:
    return client.put(client.cluster(name), json={"location": "eastus"} | body)


def system_pool(**changes: Any) -> dict[str, Any]:
    return {"name": "sys", "mode": "System", "count": 1} | changes


@pytest.mark.parametrize(
    ("body", "name", "status", "code", "targets"),
    [
        ({"location": "mars"}, "bad", 400, "LocationNotAvailableForResourceType", ["location"]),
        ({"location": 5}, "bad", 400, "InvalidParameter", ["location"]),
        ({"properties": []}, "bad", 400, "InvalidParameter", ["properties"]),
        ({"properties": {}}, "bad", 400, "InvalidParameter", ["agentPoolProfiles"]),
        (
            {"properties": {"agentPoolProfiles": [system_pool()], "addonProfiles": {"omsagent": {"config": {}}}}},
            "bad",
            400,
            "InvalidParameter",
            ["properties.addonProfiles.omsagent.enabled"],
        ),
        (
            {"properties": {"agentPoolProfiles": [system_pool(mode="User")]}},
            "bad",
            400,
            "InvalidParameter",
            ["agentPoolProfiles"],
        ),
        (
            {"properties": {"agentPoolProfiles": [system_pool(), system_pool(name="SYS")]}},
            "bad",
            400,
            "InvalidParameter",
            ["agentPoolProfiles[1].name"],
        ),
        (
            {"properties": {"agentPoolProfiles": [system_pool()] * 101}},
            "bad",
            400,
            "InvalidParameter",
            ["properties.agentPoolProfiles"],
        ),
        (
            {"properties": {"agentPoolProfiles": [{"mode": "System"}]}},
            "bad",
            400,
            "InvalidParameter",
            ["agentPoolProfiles[0].name"],
        ),
        (
            {"properties": {"kubernetesVersion": "1.2"}},
            "bad",
            400,
            "AgentPoolK8sVersionNotSupported",
            ["properties.kubernetesVersion"],
        ),
        (
            {"properties": {"kubernetesVersion": "1.33"}},
            "c1",
            400,
            "AgentPoolUpgradeVersionNotAllowed",
            ["properties.kubernetesVersion"],
        ),
        (
            {"properties": {"kubernetesVersion": "1.34"}},
            "old",
            400,
            "AgentPoolUpgradeVersionNotAllowed",
            ["properties.kubernetesVersion"],
        ),
        ({"location": "westus2"}, "c1", 409, "InvalidResourceLocation", ["location"]),
        ({"properties": {"agentPoolProfiles": [system_pool()]}}, "bad name!", 400, "InvalidParameter", ["name"]),
        (
            {
                "properties": {
                    "agentPoolProfiles": [
                        system_pool(count=0),
                        {"name": "Bad", "vmSize": "none"},
                        {"name": "win", "osType": "Windows", "mode": "System", "vmSize": V1_ONLY, "vmGeneration": "V2"},
                    ]
                }
            },
            "bad",
            400,
            "InvalidParameter",
            [
                "agentPoolProfiles[0].count",
                "agentPoolProfiles[1].vmSize",
                "agentPoolProfiles[1].name",
                "agentPoolProfiles[2].osType",
                "agentPoolProfiles[2].vmSize",
            ],
        ),
        (
            {"properties": {"agentPoolProfiles": [{"name": "sys", "maxPods": 30, "osDiskSizeGB": 64}]}},
            "c1",
            400,
            "PropertyChangeNotAllowed",
            ["agentPoolProfiles[0].osDiskSizeGB", "agentPoolProfiles[0].maxPods"],
        ),
    ],
)
def test_a_refused_cluster_is_told_why_and_changes_nothing(
    client: ArmClient, body: dict[str, Any], name: str, status: int, code: str, targets: list[str]
) -> None:
    before = everything(client)
    reply = put_cluster(client, body, name)
    error = reply.json()["error"]
    assert (reply.status_code, error["code"]) == (status, code)
    assert [error["target"], *(detail["target"] for detail in error.get("details", ()))] == targets
    assert remedy(error)["remedy"]
    assert everything(client) == before


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("rg", {"location": "westus2"}, 409, "InvalidResourceLocation"),
        ("new-group", {"location": "mars"}, 400, "LocationNotAvailableForResourceType"),
        ("new-group", {"location": ""}, 400, "LocationNotAvailableForResourceType"),
        ("new-group", {}, 400, "InvalidParameter"),
        ("new-group", {"location": "eastus", "tags": []}, 400, "InvalidParameter"),
        ("a.", {"location": "eastus"}, 400, "InvalidParameter"),
        ("a b", {"location": "eastus"}, 400, "InvalidParameter"),
        ("x" * 91, {"location": "eastus"}, 400, "InvalidParameter"),
    ],
)
def test_a_refused_resource_group_is_told_why_and_changes_nothing(
    client: ArmClient, path: str, body: dict[str, Any], status: int, code: str
) -> None:
    before = everything(client)
    reply = client.put(client.group(path), json=body)
    assert (reply.status_code, reply.json()["error"]["code"]) == (status, code)
    assert everything(client) == before


def test_a_pool_of_a_cluster_or_group_that_is_missing_is_told_which(client: ArmClient) -> None:
    for method, action in (("PUT", "write"), ("DELETE", "delete")):
        reply = client.request(method, client.pool("np1", "none"), json={"properties": {}})
        assert (reply.status_code, reply.json()["error"]["code"]) == (404, "ParentResourceNotFound")
        assert reply.json()["error"]["message"] == (
            f"Failed to perform '{action}' on resource(s) of type 'managedClusters/agentPools', because the parent "
            f"resource '{client.cluster('none')}' could not be found."
        )
    for path in (client.pool("np1", "c1", "none"), client.cluster("c1", "none"), client.group("none")):
        reply = client.get(path)
        assert (reply.status_code, reply.json()["error"]["code"]) == (404, "ResourceGroupNotFound")


def test_the_last_system_pool_cannot_be_deleted_and_another_one_can(client: ArmClient) -> None:
    client.make_cluster("last")
    before = everything(client)
    reply = client.delete(client.pool("sys", "last"))
    error = reply.json()["error"]
    assert (reply.status_code, error["code"]) == (409, "OperationNotAllowed")
    assert "a cluster keeps at least one" in error["message"]
    assert everything(client) == before
    client.done(client.put(client.pool("two", "last"), json={"properties": {"mode": "System", "count": 1}}))
    client.done(client.delete(client.pool("sys", "last")))
    assert client.delete(client.pool("two", "last")).status_code == 409


def test_a_cluster_has_at_most_100_pools(app: InProcess) -> None:
    client = app.client
    pools = [{"name": f"p{index}", "count": 0, "vmSize": BOTH} for index in range(99)]
    client.done(put_cluster(client, {"properties": {"agentPoolProfiles": pools}}, "c1"))
    before = everything(client)
    one_more = client.put(client.pool("p99"), json={"properties": {"count": 0}})
    named = put_cluster(client, {"properties": {"agentPoolProfiles": [{"name": "p99", "count": 0}]}}, "c1")
    for reply in (one_more, named):
        assert (reply.status_code, reply.json()["error"]["code"]) == (400, "InvalidParameter")
        assert "at most 100 node pools; this would be 101" in reply.json()["error"]["message"]
    assert everything(client) == before


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("{sub}/resourceGroups/gone", "Resource group 'gone' could not be found."),
        (
            "{cluster}x",
            "The Resource 'Microsoft.ContainerService/managedClusters/c1x' under resource group 'rg' was not found. "
            "For more details please go to https://aka.ms/ARMResourceNotFoundFix",
        ),
        (
            "/subscriptions/00000000-0000-4000-8000-000000000000",
            "The subscription '00000000-0000-4000-8000-000000000000' could not be found.",
        ),
        ("/subscriptions/nonsense", "The provided subscription identifier 'nonsense' is malformed or invalid."),
    ],
)
def test_what_is_missing_is_named_in_arm_s_words(client: ArmClient, path: str, message: str) -> None:
    reply = client.get(path.format(sub=client.subscription, cluster=client.cluster()))
    assert reply.json()["error"]["message"] == message


def test_a_missing_api_version_is_named_in_arm_s_words(client: ArmClient) -> None:
    request = client.build_request("GET", client.pool("sys"))
    request.url = request.url.copy_remove_param("api-version")
    error = client.send(request).json()["error"]
    assert (error["code"], error["message"]) == (
        "MissingApiVersionParameter",
        "The api-version query parameter (?api-version=) is required for all requests.",
    )


# Operations in progress.


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ArmClient]:
    process = ServiceProcess(tmp_path_factory.mktemp("slow") / "data", simulated_boot_seconds=2).start()
    process.client.make_cluster()
    yield process.client
    process.client.close()
    process.stop()


def test_an_operation_on_a_pool_excludes_its_cluster_and_group_and_no_other_pool(slow: ArmClient) -> None:
    running = slow.put(slow.pool("one"), json={"properties": {"count": 1}})
    other = slow.put(slow.pool("two"), json={"properties": {"count": 1}})
    assert other.status_code == 201
    on_one = IN_PROGRESS.format(kind="create node pool", on="agent pool one")
    for method, path, body in (
        ("PUT", slow.pool("one"), {"properties": {"count": 2}}),
        ("DELETE", slow.pool("one"), None),
        ("POST", f"{slow.pool('one')}/whatIf", {"properties": {"count": 2}}),
        ("PUT", slow.cluster(), {"location": "eastus"}),
        ("DELETE", slow.cluster(), None),
        ("DELETE", slow.group(), None),
    ):
        reply = slow.request(method, path, json=body)
        assert (reply.status_code, reply.json()["error"]["code"]) == (409, "OperationNotAllowed"), path
        assert re.fullmatch(on_one, reply.json()["error"]["message"]), reply.json()["error"]["message"]
        assert running.headers["Azure-AsyncOperation"].partition("/operations/")[2][:36] in reply.text
    slow.done(running)
    slow.done(other)


def test_an_operation_on_a_cluster_excludes_its_pools_and_group(slow: ArmClient) -> None:
    body = {"location": "eastus", "properties": {"agentPoolProfiles": [{"name": "sys", "count": 2}]}}
    running = slow.put(slow.cluster(), json=body)
    on_cluster = IN_PROGRESS.format(kind="update managed cluster", on="managed cluster c1")
    for method, path, sent in (
        ("PUT", slow.pool("three"), {"properties": {"count": 1}}),
        ("PUT", slow.pool("sys"), {"properties": {"count": 3}}),
        ("DELETE", slow.pool("sys"), None),
        ("PUT", slow.cluster(), {"location": "eastus"}),
        ("DELETE", slow.cluster(), None),
        ("DELETE", slow.group(), None),
    ):
        reply = slow.request(method, path, json=sent)
        assert (reply.status_code, reply.json()["error"]["code"]) == (409, "OperationNotAllowed"), path
        assert re.fullmatch(on_cluster, reply.json()["error"]["message"]), reply.json()["error"]["message"]
    slow.done(running)


def test_the_deletion_of_a_group_excludes_everything_in_it(app: InProcess) -> None:
    client = app.client
    held: list[str] = []
    app.service.operations.begin = held.append  # type: ignore[method-assign]  # nothing is carried out until the end
    deleting = client.delete(client.group())
    assert deleting.status_code == 202
    in_group = IN_PROGRESS.format(kind="delete resource group", on="resource group rg")
    for method, path, body in (
        ("PUT", client.group(), {"location": "eastus"}),
        ("DELETE", client.group(), None),
        ("PUT", client.cluster("c2"), {"location": "eastus"}),
        ("PUT", client.cluster(), {"location": "eastus"}),
        ("DELETE", client.cluster(), None),
        ("PUT", client.pool("np1"), {"properties": {"count": 1}}),
        ("DELETE", client.pool("sys"), None),
        ("POST", f"{client.pool('np1')}/whatIf", {"properties": {"count": 1}}),
    ):
        reply = client.request(method, path, json=body)
        assert (reply.status_code, reply.json()["error"]["code"]) == (409, "OperationNotAllowed"), path
        assert re.fullmatch(in_group, reply.json()["error"]["message"]), reply.json()["error"]["message"]
    assert client.get(client.group()).json()["properties"]["provisioningState"] == "Deleting"
    del app.service.operations.begin
    app.service.operations.begin(*held)
    assert client.get(client.group()).status_code == 404


# Every leaf of errors.py.


def by_path(method: str, path: str, **changes: Any) -> Callable[[InProcess], httpx.Response]:
    def send_it(app: InProcess) -> httpx.Response:
        names = {"sub": app.client.subscription, "pool": app.client.pool("sys"), "cluster": app.client.cluster()}
        return app.client.request(method, path.format(**names), **changes)

    return send_it


def by_pool(name: str) -> Callable[[InProcess], httpx.Response]:
    def send_it(app: InProcess) -> httpx.Response:
        refused = REFUSALS[name]
        if refused.cluster != "c1":
            versions = {"old": "1.32", "new": "1.37"}
            app.client.make_cluster(refused.cluster, kubernetesVersion=versions[refused.cluster])
        if refused.pool == "lin":
            app.client.make_pool("lin", {"vmSize": BOTH})
        return send(app.client, refused)

    return send_it


def evidence_of_a_simulated_machine(app: InProcess) -> httpx.Response:
    machine = app.client.get(f"{app.client.pool('sys')}/machines").json()["value"][0]["name"]
    return app.client.get(f"/_poolwright/machines/{machine}/evidence")


def failing_operation(app: InProcess) -> httpx.Response:
    app.behaviour.refuse = "no room on this host"
    accepted = app.client.put(app.client.pool("np1"), json={"properties": {"count": 1}})
    error = app.client.operation(accepted)["error"]
    pool = app.client.get(app.client.pool("np1")).json()["properties"]
    assert pool["status"]["provisioningError"]["code"] == error["code"]
    assert "no room on this host" in error["message"]
    return httpx.Response(200, json={"error": error})


def stuck_drain(app: InProcess) -> httpx.Response:
    app.client.make_pool("np1", {"vmSize": BOTH, "count": 2})
    app.cluster.attach(evictions=None)
    accepted = app.client.put(app.client.pool("np1"), json={"properties": {"vmSize": "Standard_D4s_v5"}})
    error = app.client.operation(accepted)["error"]
    assert "Pod Disruption Budget" in error["message"]
    assert app.cluster.cordoned == set(), "the node takes pods again"
    return httpx.Response(200, json={"error": error})


def no_capacity(app: InProcess) -> httpx.Response:
    app.behaviour.capacity = 2
    accepted = app.client.put(app.client.pool("np1"), json={"properties": {"count": 3}})
    return httpx.Response(200, json={"error": app.client.operation(accepted)["error"]})


def aborted_operation(app: InProcess) -> httpx.Response:
    client, held = app.client, []
    app.service.operations.begin = held.append  # type: ignore[method-assign]
    accepted = client.put(client.pool("np1"), json={"properties": {"count": 3}})
    abort = client.post(f"{client.pool('np1')}/abort")
    assert abort.status_code == 202
    del app.service.operations.begin
    app.service.operations.begin(*held)
    assert client.operation(abort)["status"] == "Succeeded"
    assert client.get(client.pool("np1")).json()["properties"]["provisioningState"] == "Canceled"
    operation = client.operation(accepted)
    assert operation["status"] == "Canceled"
    return httpx.Response(200, json={"error": operation["error"]})


def no_quota(app: InProcess) -> httpx.Response:
    usage = f"{app.client.subscription}/providers/Microsoft.Compute/locations/eastus/usages/cores"
    assert app.client.put(usage, json={"limit": 3}).status_code == 200
    return app.client.put(app.client.pool("np1"), json={"properties": {"vmSize": BOTH, "count": 2}})


def restricted_size(app: InProcess) -> httpx.Response:
    client = app.client
    client.make_pool("np1", {"vmSize": BOTH, "count": 1})
    path = f"/_poolwright/locations/eastus/sizes/{BOTH}"
    client.put(path, json={"restrictions": [{"type": "Location", "reasonCode": "QuotaId"}]})
    return client.put(client.pool("np1"), json={"properties": {"vmSize": BOTH, "count": 2}})


def nothing_to_go_back_to(app: InProcess) -> httpx.Response:
    return app.client.post(f"{app.client.pool('sys')}/rollback")


def failing_handler(app: InProcess) -> httpx.Response:
    def fail(*_: object) -> None:
        raise RuntimeError("a bug, with details that are nobody's business")

    app.service.control_plane.node_pools.put = fail  # type: ignore[method-assign,assignment]  # the bug
    return app.client.put(app.client.pool("np1"), json={"properties": {"count": 1}})


def slow_head(app: InProcess) -> httpx.Response:
    connection = FakeConnection()
    connection.sends(b"GET / HTTP/1.1\r\n")
    connection.waits(PATIENCE_SECONDS)
    return connection.reply


def read_only_disk(app: InProcess) -> httpx.Response:
    @sa.event.listens_for(app.database.engine, "checkout")
    def write_nothing(connection: sqlite3.Connection, _record: object, _proxy: object) -> None:
        connection.execute("PRAGMA query_only=ON")

    return app.client.put(app.client.pool("np1"), json={"properties": {"count": 1}})


def on_demand(code: str) -> Callable[[InProcess], httpx.Response]:
    """An error that this service has no reason of its own to say: a fault does."""

    def send_it(app: InProcess) -> httpx.Response:
        in_operation = status_of(errors.with_code(code)) is None
        fault = {"effect": {"refuse": code}, "match": {"step": "plan_waves"} if in_operation else {}}
        assert app.client.put("/_poolwright/faults/f", json=fault).status_code == 201
        reply = app.client.put(app.client.pool("np1"), json={"properties": {"count": 1}})
        return httpx.Response(200, json={"error": app.client.operation(reply)["error"]}) if in_operation else reply

    return send_it


def no_cluster(app: InProcess) -> httpx.Response:
    status = app.client.get("/kube/c1/version").json()
    return httpx.Response(status["code"], json={"error": {"code": status["reason"], "message": status["message"]}})


def deployed(template: dict[str, Any], verb: str = "") -> Callable[[InProcess], httpx.Response]:
    """Deploy a template to group rg, or ask the verb; the answer is the PUT's, or the operation's when it fails."""

    def send_it(app: InProcess) -> httpx.Response:
        path = f"{app.client.group()}/providers/Microsoft.Resources/deployments/main"
        sent = {"properties": {"mode": "Incremental", "template": template}}
        reply = app.client.put(path, json=sent)
        if verb:
            return app.client.post(f"{path}/{verb}")
        if reply.status_code != 201:
            return reply
        return httpx.Response(200, json=app.client.get(reply.headers["Azure-AsyncOperation"], params={}).json())

    return send_it


def failing_deployment(app: InProcess) -> httpx.Response:
    app.behaviour.refuse = "no room on this host"
    return deployed({"resources": [NEW_POOL]})(app)


def first_detail(send_it: Callable[[InProcess], httpx.Response]) -> Callable[[InProcess], httpx.Response]:
    def send_and_look(app: InProcess) -> httpx.Response:
        reply = send_it(app)
        return httpx.Response(reply.status_code, json={"error": reply.json()["error"]["details"][0]})

    return send_and_look


def active_deployment(app: InProcess) -> httpx.Response:
    app.service.operations.begin = lambda operation_id: None  # type: ignore[method-assign]
    path = f"{app.client.group()}/providers/Microsoft.Resources/deployments/main"
    sent = {"properties": {"mode": "Incremental", "template": {"resources": []}}}
    assert app.client.put(path, json=sent).status_code == 201
    return app.client.put(path, json=sent)


NEW_POOL = {
    "type": "Microsoft.ContainerService/managedClusters/agentPools",
    "apiVersion": "2025-10-01",
    "name": "c1/np1",
    "properties": {"count": 1},
}
LOST_POOL = {**NEW_POOL, "name": "none/np1"}
UNKNOWN_TYPE = {"type": "Microsoft.Web/sites", "apiVersion": "2024-04-01", "name": "x"}
BAD_OUTPUT = {"x": {"type": "string", "value": "[reference(resourceId('Microsoft.Resources/deployments', 'no')).x]"}}


def as_reader(app: InProcess) -> httpx.Response:
    reader = app.make_principal("reader", (READER, app.client.subscription))
    return reader.put(app.client.pool("np1"), json={"properties": {"count": 1}})


def made_from_what_it_may_not_read(app: InProcess) -> httpx.Response:
    holder = app.make_principal("holder of a cluster", (CONTRIBUTOR, app.client.cluster()))
    snapshot = f"{app.client.group('other')}/providers/Microsoft.ContainerService/snapshots/s"
    properties = {"count": 1, "creationData": {"sourceResourceId": snapshot}}
    return holder.put(app.client.pool("np1"), json={"properties": properties})


def role_assignment(
    role: str = READER.id, principal: str | None = None, *, name: str = SOME_GUID, again: str | None = None
) -> Callable[[InProcess], httpx.Response]:
    """The PUT of a role assignment for a new principal, after one by that name, or by another one for the same."""

    def send(app: InProcess) -> httpx.Response:
        made = app.make_principal("somebody").principal
        assert made is not None
        path = f"{app.client.subscription}/providers/Microsoft.Authorization/roleAssignments/"
        definition = f"{app.client.subscription}/providers/Microsoft.Authorization/roleDefinitions/"
        body = {"properties": {"roleDefinitionId": definition + READER.id, "principalId": made.object_id}}
        if again is not None:
            assert app.client.put(path + again, json=body).status_code == 201
        body["properties"]["roleDefinitionId"] = definition + role
        if principal is not None:
            body["properties"]["principalId"] = principal
        return app.client.put(path + name, json=body)

    return send


def last_owner(app: InProcess) -> httpx.Response:
    path = f"{app.client.subscription}/providers/Microsoft.Authorization/roleAssignments"
    (only,) = app.client.get(path).json()["value"]
    return app.client.delete(only["id"])


def unknown_object(app: InProcess) -> httpx.Response:
    return app.client.get(f"/msgraph/v1.0/servicePrincipals/{SOME_GUID}")


STRANGER = "/subscriptions/00000000-0000-4000-8000-000000000000/resourceGroups"
PRODUCED: dict[type[errors.PoolwrightError], tuple[int, Callable[[InProcess], httpx.Response]]] = {
    errors.MissingApiVersionParameter: (400, by_path("GET", "{pool}", params={"api-version": ""})),
    errors.InvalidApiVersionParameter: (400, by_path("GET", "{pool}", params={"api-version": "new"})),
    errors.InvalidSubscriptionId: (400, by_path("GET", "/subscriptions/nonsense/resourceGroups")),
    errors.InvalidRequestContent: (400, by_path("PUT", "{pool}", content=b"{")),
    errors.InvalidParameter: (400, by_pool("0 nodes in a system pool")),
    errors.InvalidOSSKU: (400, by_pool("unknown OS SKU")),
    errors.InvalidImageRef: (400, by_pool("no image for the Kubernetes version")),
    errors.InvalidTagName: (400, by_path("PUT", "{pool}", json={"properties": {"tags": {"n" * 513: "x"}}})),
    errors.InvalidTagNameCharacters: (400, by_path("PUT", "{pool}", json={"properties": {"tags": {"a<b>": "x"}}})),
    errors.InvalidTagValueLength: (400, by_path("PUT", "{pool}", json={"properties": {"tags": {"a": "x" * 257}}})),
    errors.UnsupportedGen2VMSize: (400, by_pool("Gen 2 by header on a Gen 1 size")),
    errors.BadRequest: (400, by_pool("Gen 1 by header on a Gen 2 size")),
    errors.PropertyChangeNotAllowed: (400, by_pool("change of architecture")),
    errors.VMSizeNotSupported: (400, by_pool("unknown size")),
    errors.InsufficientVcpuQuota: (400, no_quota),
    errors.VMSizeRestrictedByAKS: (400, by_pool("size too small for a user pool")),
    errors.SystemPoolSkuTooLow: (400, by_pool("size too small for a system pool")),
    errors.SystemPoolMustBeLinux: (400, by_pool("Windows system pool")),
    errors.SystemPoolMustBeRegular: (400, by_pool("Spot system pool")),
    errors.AvailabilityZoneNotSupported: (400, by_pool("zone that does not exist")),
    errors.AgentPoolK8sVersionNotSupported: (400, by_pool("unknown version")),
    errors.NodePoolMcVersionIncompatible: (400, by_pool("newer than the control plane")),
    errors.AgentPoolUpgradeVersionNotAllowed: (400, by_pool("older version for a pool that exists")),
    errors.InvalidAgentPoolOrchestratorVersion: (400, on_demand("InvalidAgentPoolOrchestratorVersion")),
    errors.LocationNotAvailableForResourceType: (400, by_path("PUT", "{cluster}", json={"location": "mars"})),
    errors.VMSizeDoesNotSupportEphemeralOS: (400, by_pool("ephemeral OS disk on a size without room for it")),
    errors.VMSizeDoesNotSupportEncryptionAtHost: (400, on_demand("VMSizeDoesNotSupportEncryptionAtHost")),
    errors.VMCacheSizeTooSmall: (400, on_demand("VMCacheSizeTooSmall")),
    errors.CannotChangeOSDiskType: (400, on_demand("CannotChangeOSDiskType")),
    errors.ManagedClusterCountExceedsQuotaLimit: (400, on_demand("ManagedClusterCountExceedsQuotaLimit")),
    errors.InvalidTemplate: (400, deployed({"resources": [{"type": "[concat('x')]"}]})),
    errors.InvalidTemplateDeployment: (400, deployed({"resources": [LOST_POOL]})),
    errors.NoRegisteredProviderFound: (400, deployed({"resources": [UNKNOWN_TYPE]})),
    errors.PrincipalNotFound: (400, role_assignment(principal=SOME_GUID)),
    errors.OperationNotOffered: (400, by_path("GET", "{cluster}/managedNamespaces")),
    errors.AuthenticationFailed: (401, by_path("GET", "{pool}", headers={"Authorization": ""})),
    errors.InvalidAuthenticationToken: (401, by_path("GET", "{pool}", headers={"Authorization": "Bearer x"})),
    errors.AuthorizationFailed: (403, as_reader),
    errors.LinkedAuthorizationFailed: (403, made_from_what_it_may_not_read),
    errors.RequestDisallowedByPolicy: (403, on_demand("RequestDisallowedByPolicy")),
    errors.SubscriptionNotFound: (404, by_path("GET", STRANGER)),
    errors.ResourceGroupNotFound: (404, by_path("GET", "{sub}/resourceGroups/none")),
    errors.ResourceNotFound: (404, by_path("GET", "{cluster}x")),
    errors.ParentResourceNotFound: (404, by_path("PUT", "{cluster}x/agentPools/np1", json={})),
    errors.AgentPoolNotFound: (404, by_path("GET", "{pool}x")),
    errors.MachineNotFound: (404, by_path("GET", "{pool}/machines/x")),
    errors.EvidenceNotFound: (404, evidence_of_a_simulated_machine),
    errors.DeploymentNotFound: (404, by_path("GET", "{sub}/providers/Microsoft.Resources/deployments/none")),
    errors.OperationNotFound: (
        404,
        by_path("GET", "{sub}/providers/Microsoft.ContainerService/locations/eastus/operations/x"),
    ),
    errors.InvalidResourceType: (404, by_path("GET", "{sub}/nothing")),
    errors.RoleDefinitionDoesNotExist: (404, role_assignment(role=SOME_GUID)),
    errors.RoleAssignmentNotFound: (
        404,
        by_path("GET", f"{{sub}}/providers/Microsoft.Authorization/roleAssignments/{SOME_GUID}"),
    ),
    errors.DirectoryObjectNotFound: (404, unknown_object),
    errors.HttpMethodNotAllowed: (405, by_path("POST", "{pool}")),
    errors.OperationNotAllowed: (409, by_path("DELETE", "{pool}")),
    errors.DeploymentActive: (409, active_deployment),
    errors.DeploymentCannotBeCancelled: (409, deployed({"resources": []}, "cancel")),
    errors.RollbackNotPossible: (409, nothing_to_go_back_to),
    errors.InvalidResourceLocation: (409, by_path("PUT", "{cluster}", json={"location": "westus2"})),
    errors.RoleAssignmentExists: (409, role_assignment(again=OTHER_GUID)),
    errors.RoleAssignmentUpdateNotPermitted: (409, role_assignment(role=OWNER.id, again=SOME_GUID)),
    errors.LastOwner: (409, last_owner),
    errors.SkuNotAvailable: (409, restricted_size),
    errors.PreconditionFailed: (412, by_path("DELETE", "{pool}", headers={"If-Match": "x"})),
    errors.RequestEntityTooLarge: (413, by_path("PUT", "{pool}", content=b" " * (5 * 2**20))),
    errors.RequestTimeout: (408, slow_head),
    errors.Throttled: (429, on_demand("Throttled")),
    errors.ReconcileVMSSAgentPoolFailed: (200, failing_operation),
    errors.UpgradeFailed: (200, stuck_drain),
    errors.AllocationFailed: (200, no_capacity),
    errors.ZonalAllocationFailed: (200, on_demand("ZonalAllocationFailed")),
    errors.CreateVMSSAgentPoolFailed: (200, on_demand("CreateVMSSAgentPoolFailed")),
    errors.OperationPreempted: (200, on_demand("OperationPreempted")),
    errors.DeploymentFailed: (200, failing_deployment),
    errors.DeploymentOutputEvaluationFailed: (200, deployed({"resources": [], "outputs": BAD_OUTPUT})),
    errors.ResourceDeploymentFailure: (200, first_detail(failing_deployment)),
    errors.OperationCanceled: (200, aborted_operation),
    errors.NoClusterAttached: (503, no_cluster),
    errors.StorageUnavailable: (503, read_only_disk),
    errors.InternalServerError: (500, failing_handler),
    errors.GetLatestNodeImageVersionError: (500, on_demand("GetLatestNodeImageVersionError")),
}


def test_every_error_has_a_scenario() -> None:
    assert list(PRODUCED) == list(errors.leaves())


@pytest.mark.parametrize("leaf", PRODUCED, ids=lambda leaf: leaf.__name__)
def test_every_error_can_be_got(app: InProcess, leaf: type[errors.PoolwrightError]) -> None:
    status, send_it = PRODUCED[leaf]
    reply = send_it(app)
    assert (reply.status_code, reply.json()["error"]["code"]) == (status, leaf.code)
    require_valid({"error": reply.json()["error"]}, "ErrorResponse")
    if leaf is errors.OperationNotAllowed:
        return  # It is said of other things as well: test_an_operation_on_a_pool_excludes_... has these words.
    # What a fault would say is what is said here, with other names in it.
    said = re.escape(WORDINGS.get(leaf.code, "{any}")).replace("'1'", "'[12]'")
    assert re.match(re.sub(r"\\{\w+\\}", ".+", said), reply.json()["error"]["message"])


def test_a_bug_is_an_internal_error_without_details_and_changes_nothing(app: InProcess) -> None:
    before = everything(app.client)
    reply = failing_handler(app)
    assert reply.status_code == 500
    assert "nobody's business" not in reply.text
    assert reply.headers["x-ms-correlation-request-id"] in reply.json()["error"]["message"]
    assert everything(app.client) == before


@pytest.mark.parametrize("behaviour", [{"refuse": "no room"}, {"fail_after": 1}, {"never_ready": ("000001",)}])
def test_a_failed_creation_leaves_a_failed_pool_that_a_repeated_put_repairs(
    app: InProcess, behaviour: dict[str, Any]
) -> None:
    client = app.client
    for name, value in behaviour.items():
        setattr(app.behaviour, name, value)
    operation = client.operation(client.put(client.pool("np1"), json={"properties": {"count": 3}}))
    assert (operation["status"], operation["error"]["code"]) == ("Failed", "ReconcileVMSSAgentPoolFailed")
    result = client.get(operation["id"].replace("/operations/", "/operationresults/"))
    assert (result.status_code, result.json()["error"]["code"]) == (409, "ReconcileVMSSAgentPoolFailed")
    pool = client.get(client.pool("np1")).json()
    assert pool["properties"]["provisioningState"] == "Failed"
    for name, value in {"refuse": None, "fail_after": None, "never_ready": ()}.items():
        setattr(app.behaviour, name, value)
    client.done(client.put(client.pool("np1"), json={"properties": {"count": 3}}))
    repaired = client.get(client.pool("np1")).json()["properties"]
    assert "status" not in repaired
    assert len(client.get(f"{client.pool('np1')}/machines").json()["value"]) == 3


# Tags.

NAMED_TAGS: dict[str, tuple[dict[str, str], str | None]] = {
    "as many as there may be": ({f"t{number}": "x" for number in range(50)}, None),
    "too many": ({f"t{number}": "x" for number in range(51)}, "InvalidParameter"),
    "as long as they may be": ({"n" * 512: "v" * 256}, None),
    "a long name": ({"n" * 513: "v"}, "InvalidTagName"),
    "a blank name": ({" ": "v"}, "InvalidTagName"),
    "a long value": ({"n": "v" * 257}, "InvalidTagValueLength"),
    **{f"a name with {mark}": ({f"a{mark}b": "v"}, "InvalidTagNameCharacters") for mark in ("<", ">", *"%&\\?/", "\n")},
    "a hidden link": ({"hidden-link:/subscriptions/x": "Resource", "link:a/b": "c"}, None),
}


@pytest.mark.parametrize("case", NAMED_TAGS)
def test_tags_are_limited_wherever_they_stand(app: InProcess, case: str) -> None:
    (tags, code), client = NAMED_TAGS[case], app.client
    deployments = f"{client.group()}/providers/Microsoft.Resources/deployments"
    snapshots = f"{client.group()}/providers/Microsoft.ContainerService/snapshots"
    client.done(client.put(client.pool("np1"), json={"properties": {"count": 1}}))
    taken = {"location": "eastus", "properties": {"creationData": {"sourceResourceId": client.pool("np1")}}}
    assert client.put(f"{snapshots}/s0", json=taken).status_code < 300
    profiles = [system_pool(), {**system_pool(), "name": "sys2", "tags": tags}]
    for method, path, body in (
        ("PUT", client.group("g2"), {"location": "eastus", "tags": tags}),
        ("PATCH", client.group(), {"tags": tags}),
        (
            "PUT",
            client.cluster("c2"),
            {"location": "eastus", "tags": tags, "properties": {"agentPoolProfiles": profiles}},
        ),
        ("PUT", client.cluster("c3"), {"location": "eastus", "properties": {"agentPoolProfiles": profiles}}),
        ("PATCH", client.cluster(), {"tags": tags}),
        ("PUT", client.pool("np2"), {"properties": {"count": 1, "tags": tags}}),
        ("PUT", f"{snapshots}/s1", {**taken, "tags": tags}),
        ("PATCH", f"{snapshots}/s0", {"tags": tags}),
        (
            "PUT",
            f"{deployments}/d1",
            {"tags": tags, "properties": {"mode": "Incremental", "template": {"resources": []}}},
        ),
    ):
        reply = client.request(method, path, json=body)
        if code is None:
            assert reply.status_code < 300, (method, path, reply.text)
        else:
            assert (reply.status_code, reply.json()["error"]["code"]) == (400, code), (method, path)
            assert len(reply.content) < 4096


# Secrets.


@pytest.mark.parametrize("name", ["windowsProfile", "servicePrincipalProfile", "aadProfile", "WINDOWSPROFILE"])
def test_a_text_where_an_object_with_a_secret_belongs_is_refused_and_not_repeated(app: InProcess, name: str) -> None:
    for value in ("Hunter2-and-nobody-else", ["Hunter2-and-nobody-else"], 22222):
        body = {"location": "eastus", "properties": {name: value, "agentPoolProfiles": [system_pool()]}}
        reply = app.client.put(app.client.cluster("hush"), json=body)
        assert (reply.status_code, reply.json()["error"]["code"]) == (400, "InvalidParameter")
        assert f"properties.{name[0].lower()}" in reply.json()["error"]["message"].replace("WINDOWS", "windows")
        assert "Hunter2" not in reply.text
        assert "22222" not in reply.text
    pool = app.client.put(app.client.pool("np1"), json={"properties": {"windowsProfile": "Hunter2"}})
    assert pool.status_code == 400
    assert "Hunter2" not in pool.text


def test_secrets_reach_neither_the_log_nor_the_store_nor_a_reply(service: ServiceProcess) -> None:
    secret, client = "Hunter2-and-nobody-else", service.client
    client.make_cluster()
    body = {
        "location": "eastus",
        "properties": {
            "windowsProfile": {"adminUsername": "azureuser", "adminPassword": secret},
            "servicePrincipalProfile": {"clientId": "x", "secret": secret},
            "agentPoolProfiles": [system_pool(windowsProfile={"adminPassword": secret})],
        },
    }
    accepted = client.put(client.cluster("hush"), json=body)
    client.done(accepted)
    shown = client.get(client.cluster("hush"))
    assert shown.json()["properties"]["windowsProfile"] == {"adminUsername": "azureuser"}
    wrong = client.put(client.cluster("hush2"), json=body | {"properties": {"windowsProfile": [secret], "x": secret}})
    form = {"grant_type": "client_credentials", "client_id": service.credentials["clientId"], "client_secret": secret}
    refused = client.post("/adfs/oauth2/token", data=form)
    assert (wrong.status_code, refused.status_code) == (400, 401)
    for text in (accepted.text, shown.text, wrong.text, refused.text, service.log()):
        assert secret not in text
        assert service.credentials["clientSecret"] not in text
    for file in service.data_dir.glob("poolwright.sqlite*"):
        assert secret.encode() not in file.read_bytes()
        assert service.credentials["clientSecret"].encode() not in file.read_bytes()
