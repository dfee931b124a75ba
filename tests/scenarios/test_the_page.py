"""The page "Use Generation 2 virtual machines in AKS", statement by statement, over HTTP."""

from __future__ import annotations

import pytest

from tests.support.service import ArmClient, ServiceProcess

V1_ONLY, BOTH, V2_ONLY = "Standard_D2_v3", "Standard_D2s_v5", "Standard_D4ads_v6"
WINDOWS = {"osType": "Windows", "osSKU": "Windows2022"}
HEADER = {"UseWindowsGen2VM": "true"}


@pytest.fixture(scope="module")
def client(service: ServiceProcess) -> ArmClient:
    service.client.make_cluster()
    return service.client


@pytest.mark.parametrize(
    ("name", "properties", "headers", "generation"),
    [
        ("l1", {"vmSize": V1_ONLY}, {}, "V1"),
        ("w1", {"vmSize": V1_ONLY} | WINDOWS, {}, "V1"),
        ("l2", {"vmSize": V2_ONLY}, {}, "V2"),
        ("w2", {"vmSize": V2_ONLY} | WINDOWS, {}, "V2"),
        ("l3", {"vmSize": BOTH}, {}, "V2"),
        ("w3", {"vmSize": BOTH} | WINDOWS, {}, "V1"),
        ("w4", {"vmSize": BOTH} | WINDOWS, HEADER, "V2"),
        ("w5", {"vmSize": BOTH, "vmGeneration": "V2"} | WINDOWS, {}, "V2"),
    ],
)
def test_the_page_s_scenarios_give_the_generation_it_says(
    client: ArmClient, name: str, properties: dict[str, str], headers: dict[str, str], generation: str
) -> None:
    pool = client.make_pool(name, properties, headers=headers)
    assert pool["poolwright"]["resolvedGeneration"] == generation
    assert ("gen2" in pool["nodeImageVersion"]) == (generation == "V2")
    assert pool["poolwright"]["observedGenerations"][generation] == 1


def test_windows_2019_cannot_be_generation_2(client: ArmClient) -> None:
    reply = client.put(
        client.pool("w9"),
        json={"properties": {"vmSize": BOTH, "osType": "Windows", "osSKU": "Windows2019"}},
        headers=HEADER,
    )
    assert reply.status_code == 400
    assert "Windows Server 2022" in reply.json()["error"]["message"] or "1.32" in reply.json()["error"]["message"]
    assert client.get(client.pool("w9")).status_code == 404


def test_a_windows_2022_pool_runs_on_a_v6_size_that_list_skus_lists(client: ArmClient) -> None:
    pool = client.make_pool("w6", {"vmSize": "standard_d4ADS_v6"} | WINDOWS)
    assert pool["vmSize"] == V2_ONLY
    assert pool["nodeImageVersion"].startswith("AKSWindows-2022-containerd-gen2-")
    assert "CatalogueAssumption" in [warning["code"] for warning in pool["poolwright"]["warnings"]]
    listed = client.get(
        f"{client.subscription}/providers/Microsoft.Compute/skus", params={"$filter": "location eq 'eastus'"}
    ).json()["value"]
    [sku] = [sku for sku in listed if sku["name"] == V2_ONLY]
    capabilities = {part["name"]: part["value"] for part in sku["capabilities"]}
    assert (capabilities["HyperVGenerations"], capabilities["PoolwrightAssumed"]) == ("V2", "locations,zones")
    assert (sku["locations"], sku["restrictions"]) == (["eastus"], [])
