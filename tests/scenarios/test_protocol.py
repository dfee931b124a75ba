"""What Azure clients send and need, over HTTP: endpoints, methods, statuses, headers, polling, ETags.

The order follows docs/compatibility.md: login, resources, long-running operations, ETags, paths, the rest.
"""

from __future__ import annotations

import base64
import json
import re
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.service import API_VERSION, ArmClient, ServiceProcess

# What clients send today, on the same paths.
API_VERSIONS = [
    "2026-08-01",
    "2026-06-01",
    "2026-04-01",
    "2026-01-02-preview",
    "2019-04-01",
    "2099-12-31",
]
BOOT_SECONDS = 1.0


@pytest.fixture(scope="module")
def client(service: ServiceProcess) -> ArmClient:
    service.client.make_cluster()
    return service.client


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ArmClient]:
    """A service whose machines take their time, with a cluster."""
    process = ServiceProcess(tmp_path_factory.mktemp("slow") / "data", simulated_boot_seconds=BOOT_SECONDS).start()
    process.client.make_cluster()
    yield process.client
    process.stop()


def put_pool(client: ArmClient, name: str, **properties: Any) -> httpx.Response:
    return client.put(client.pool(name), json={"properties": {"vmSize": "Standard_D2s_v5", "count": 1} | properties})


# Rows 1 to 3: metadata, discovery, tokens.


def test_metadata_is_one_object_with_what_az_subscripts(service: ServiceProcess) -> None:
    known = service.client.get("/metadata/endpoints", params={"api-version": "2022-09-01"})
    document = known.json()
    assert known.status_code == 200
    assert document["resourceManager"] == service.url
    assert document["authentication"]["loginEndpoint"] == f"{service.url}/adfs"
    assert document["authentication"]["audiences"][0] == "https://management.core.windows.net/"
    assert isinstance(document["name"], str)
    assert isinstance(document["suffixes"], dict)
    assert document["portal"].startswith(service.url)


@pytest.mark.parametrize("path", ["//metadata/endpoints", "/metadata//endpoints/", "/METADATA/Endpoints"])
def test_metadata_answers_with_duplicate_slashes_and_any_case(service: ServiceProcess, path: str) -> None:
    assert service.client.get(service.url + path).status_code == 200


@pytest.mark.parametrize("family", ["adfs", "tenant", "adfs/tenant", "adfs/tenant/v2.0"])
def test_all_authority_families_lead_from_discovery_to_a_token_that_works(service: ServiceProcess, family: str) -> None:
    known = service.credentials
    tenant = known["tenantId"]
    discovery, issuer = {
        "adfs": ("/adfs", "/adfs"),
        "tenant": (f"/{tenant}/v2.0", f"/{tenant}/v2.0"),
        # The login endpoint of the metadata joined with the tenant, as azure-identity asks for it.
        "adfs/tenant": (f"/adfs/{tenant}", f"/{tenant}/v2.0"),
        "adfs/tenant/v2.0": (f"/adfs/{tenant}/v2.0", f"/{tenant}/v2.0"),
    }[family]
    document = service.client.get(f"{discovery}/.well-known/openid-configuration").json()
    assert document["issuer"] == service.url + issuer
    assert document["token_endpoint"].startswith(service.url)
    assert service.client.get(document["jwks_uri"]).json()["keys"][0]["alg"] == "RS256"
    reply = service.client.post(
        document["token_endpoint"],
        data={
            "client_id": known["clientId"],
            "grant_type": "client_credentials",
            "client_info": "1",
            "client_secret": known["clientSecret"],
            "claims": '{"access_token":{"xms_cc":{"values":["CP1"]}}}',
            "scope": "https://management.core.windows.net//.default",
        },
    )
    answer = reply.json()
    assert (reply.status_code, answer["token_type"]) == (200, "Bearer")
    assert answer["expires_in"] == answer["ext_expires_in"] > 3600
    subscriptions = service.client.get("/subscriptions", headers={"Authorization": f"Bearer {answer['access_token']}"})
    assert [row["subscriptionId"] for row in subscriptions.json()["value"]] == [known["subscriptionId"]]


def test_the_login_endpoint_joined_with_the_tenant_gives_tokens_without_discovery(service: ServiceProcess) -> None:
    known = service.credentials
    login = service.client.get("/metadata/endpoints").json()["authentication"]["loginEndpoint"]
    form = {
        "client_id": known["clientId"],
        "grant_type": "client_credentials",
        "client_secret": known["clientSecret"],
        "scope": f"{service.url}/.default",
    }
    token = service.client.post(f"{login}/{known['tenantId']}/oauth2/v2.0/token", data=form).json()["access_token"]
    assert service.client.get("/subscriptions", headers={"Authorization": f"Bearer {token}"}).status_code == 200
    elsewhere = service.client.post(f"{login}/{uuid.uuid4()}/oauth2/v2.0/token", data=form)
    assert (elsewhere.status_code, elsewhere.json()["error"]) == (401, "invalid_client")


@pytest.mark.parametrize(
    "scope",
    [
        "https://management.core.windows.net//.default",
        "https://management.core.windows.net/.default",
        "https://management.azure.com/.default",
        "https://management.azure.com//.default",
    ],
)
def test_every_scope_clients_ask_for_gives_a_token_that_works(service: ServiceProcess, scope: str) -> None:
    known = service.credentials
    form = {
        "client_id": known["clientId"],
        "grant_type": "client_credentials",
        "client_secret": known["clientSecret"],
        "scope": scope,
    }
    token = service.client.post("/adfs/oauth2/token", data=form).json()["access_token"]
    assert service.client.get("/subscriptions", headers={"Authorization": f"Bearer {token}"}).status_code == 200


def test_a_wrong_secret_is_answered_as_entra_answers_it(service: ServiceProcess) -> None:
    form = {"client_id": "nobody", "grant_type": "client_credentials", "client_secret": "x"}
    reply = service.client.post("/adfs/oauth2/token", data=form)
    assert reply.status_code == 401
    assert reply.json()["error"] == "invalid_client"
    assert reply.json()["error_description"] == "AADSTS7000215: Invalid client secret provided."
    assert reply.json()["error_codes"] == [7000215]


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({}, "unsupported_grant_type"),
        ({"grant_type": "client_credentials", "scope": "https://graph.microsoft.com/.default"}, "invalid_scope"),
        ({"grant_type": "client_credentials"} | {f"f{index}": "1" for index in range(100)}, "invalid_request"),
    ],
)
def test_a_token_request_that_makes_no_sense_is_refused(
    service: ServiceProcess, form: dict[str, str], error: str
) -> None:
    reply = service.client.post("/adfs/oauth2/token", data=form)
    assert (reply.status_code, reply.json()["error"]) == (400, error)


# Row 4: subscriptions and locations.


def test_subscriptions_are_listed_and_shown(client: ArmClient) -> None:
    (row,) = client.get("/subscriptions").json()["value"]
    assert client.get(client.subscription).json() == row
    assert (row["id"], row["state"], row["authorizationSource"]) == (client.subscription, "Enabled", "RoleBased")
    assert row["managedByTenants"] == []


def test_locations_are_listed(client: ArmClient) -> None:
    rows = client.get(f"{client.subscription}/locations").json()["value"]
    assert [row["name"] for row in rows] == ["eastus", "westus2"]
    assert all(row["id"] == f"{client.subscription}/locations/{row['name']}" for row in rows)


# Row 5: resource groups.


@pytest.mark.parametrize("spelling", ["resourceGroups", "resourcegroups", "RESOURCEGROUPS"])
def test_a_resource_group_lives_as_az_expects(client: ArmClient, spelling: str) -> None:
    path = f"{client.subscription}/{spelling}/My.Group-1_{spelling[:1]}{len(spelling)}{spelling[8:9]}"
    name = path.rpartition("/")[2]
    assert client.head(path).status_code == 404
    assert client.get(path).json()["error"]["code"] == "ResourceGroupNotFound"
    created = client.put(path, json={"location": "East US", "tags": {"a": "b"}})
    assert created.status_code == 201
    assert created.json() == {
        "id": f"{client.subscription}/resourceGroups/{name}",
        "name": name,
        "type": "Microsoft.Resources/resourceGroups",
        "location": "eastus",
        "tags": {"a": "b"},
        "properties": {"provisioningState": "Succeeded"},
    }
    assert client.put(path.lower(), json={"location": "eastus"}).status_code == 200
    shown = client.get(path.upper().replace("/SUBSCRIPTIONS", "/subscriptions"))
    assert (shown.status_code, shown.json()["name"], "tags" in shown.json()) == (200, name, False)
    assert name in [row["name"] for row in client.get(f"{client.subscription}/{spelling}").json()["value"]]
    head = client.head(path)
    assert (head.status_code, head.content) == (204, b"")
    deleted = client.delete(path)
    assert (deleted.status_code, deleted.content) == (202, b"")
    assert deleted.headers["Retry-After"] == "1"
    assert poll(client, deleted.headers["Location"]).status_code == 204
    gone = client.head(path)
    assert (gone.status_code, gone.content) == (404, b"")


def test_deleting_a_resource_group_takes_everything_in_it(service: ServiceProcess) -> None:
    client = service.client
    client.make_cluster("deep", "doomed")
    deleted = client.delete(client.group("doomed"))
    assert poll(client, deleted.headers["Location"]).status_code == 204
    for path in (client.group("doomed"), client.cluster("deep", "doomed"), client.pool("sys", "deep", "doomed")):
        assert client.get(path).status_code == 404
    assert (
        "doomed" not in client.get(f"{client.subscription}/providers/Microsoft.ContainerService/managedClusters").text
    )


def poll(client: ArmClient, url: str) -> httpx.Response:
    """Follow a Location until it is no longer 202, and check the headers on the way."""
    for _ in range(2000):
        reply = client.get(url, params={})
        if reply.status_code != 202:
            assert "Retry-After" not in reply.headers
            return reply
        assert reply.headers["Retry-After"] == "1"
        assert reply.headers["Location"].startswith("https://")
        assert reply.content == b""
    raise AssertionError(f"{url} never ends")


# Row 6: sizes.


@pytest.mark.parametrize("accept", ["gzip", "identity"])
def test_skus_fit_azures_definition_and_always_have_restrictions(client: ArmClient, accept: str) -> None:
    path = f"{client.subscription}/providers/Microsoft.Compute/skus"
    reply = client.get(path, params={"api-version": "2019-04-01"}, headers={"Accept-Encoding": accept})
    document = reply.json()
    assert {tuple(row["locations"]) for row in document["value"]} == {("eastus",), ("westus2",)}
    assert all(row["restrictions"] == [] and len(row["locationInfo"]) == 1 for row in document["value"])


def test_skus_take_azures_only_filter(client: ArmClient) -> None:
    path = f"{client.subscription}/providers/Microsoft.Compute/skus"
    rows = client.get(path, params={"$filter": "location eq 'WestUS2'", "api-version": "2021-07-01"}).json()["value"]
    assert {row["locations"][0] for row in rows} == {"westus2"}
    assert client.get(path, params={"$filter": "location eq 'mars'", "api-version": API_VERSION}).json()["value"] == []
    refused = client.get(path, params={"$filter": "name eq 'x'", "api-version": API_VERSION})
    assert (refused.status_code, refused.json()["error"]["target"]) == (400, "$filter")


# Row 7: clusters.


def test_a_cluster_that_does_not_exist_is_a_real_404_with_an_arm_body(client: ArmClient) -> None:
    reply = client.get(client.cluster("nope"))
    assert (reply.status_code, reply.json()["error"]["code"]) == (404, "ResourceNotFound")


def test_az_aks_create_s_body_makes_a_cluster(service: ServiceProcess) -> None:
    client = service.client
    client.put(client.group(), json={"location": "eastus"})
    body = {
        "location": "eastus",
        "identity": {"type": "SystemAssigned"},
        "sku": {"name": "Base", "tier": "Free"},
        "properties": {
            "kubernetesVersion": "",
            "dnsPrefix": "made-rg-8b08de",
            "agentPoolProfiles": [
                {
                    "name": "nodepool1",
                    "vmSize": "",
                    "osType": "Linux",
                    "count": 2,
                    "mode": "System",
                    "orchestratorVersion": "",
                    "enableNodePublicIP": False,
                    "enableAutoScaling": False,
                    "type": "VirtualMachineScaleSets",
                    "upgradeSettings": {},
                    "enableFIPS": False,
                }
            ],
            "addonProfiles": {},
            "enableRBAC": True,
            "networkProfile": {"outboundType": "loadBalancer", "loadBalancerSku": "standard"},
            "disableLocalAccounts": False,
            "storageProfile": {},
            "bootstrapProfile": {"artifactSource": "Direct"},
        },
    }
    created = client.put(client.cluster("made"), json=body)
    assert created.status_code == 201
    require_long_running(created)
    assert created.json()["properties"]["provisioningState"] == "Creating"
    client.done(created)
    shown = client.get(client.cluster("made"))
    document = shown.json()
    assert shown.headers["ETag"] == f'"{document["eTag"]}"'
    properties = document["properties"]
    assert properties["provisioningState"] == "Succeeded"
    assert properties["maxAgentPools"] >= 8
    assert {"principalId", "tenantId"} <= document["identity"].keys()
    assert properties["windowsProfile"] == {"adminUsername": "azureuser"}
    assert [pool["name"] for pool in properties["agentPoolProfiles"]] == ["nodepool1"]
    again = client.put(client.cluster("made"), json=document)
    assert again.status_code == 200
    client.done(again)
    deleted = client.delete(client.cluster("made"))
    assert (deleted.status_code, deleted.content) == (202, b"")
    require_long_running(deleted)
    client.done(deleted)
    assert client.get(client.cluster("made")).status_code == 404
    assert client.delete(client.cluster("made")).status_code == 204


def test_clusters_are_listed_by_subscription_and_by_group(client: ArmClient) -> None:
    client.make_cluster("c2", "rg2")
    everywhere = client.get(f"{client.subscription}/providers/Microsoft.ContainerService/managedClusters").json()
    assert {"c1", "c2"} <= {row["name"] for row in everywhere["value"]}
    one = client.get(f"{client.group('RG2')}/providers/microsoft.containerservice/managedclusters").json()
    assert [row["name"] for row in one["value"]] == ["c2"]
    missing = client.get(f"{client.group('none')}/providers/Microsoft.ContainerService/managedClusters")
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "ResourceGroupNotFound")


def test_pools_not_named_in_a_cluster_s_body_stay_and_named_ones_change(client: ArmClient) -> None:
    client.make_cluster("c3")
    pool = client.pool("np1", "c3")
    client.done(client.put(pool, json={"properties": {"vmSize": "Standard_D2s_v5", "count": 1}}))
    body = {"location": "eastus", "properties": {"agentPoolProfiles": [{"name": "np1", "count": 3}]}}
    client.done(client.put(client.cluster("c3"), json=body))
    pools = client.get(client.pool("", "c3").rstrip("/")).json()["value"]
    assert {row["name"]: row["properties"]["count"] for row in pools} == {"np1": 3, "sys": 1}
    client.done(client.put(client.cluster("c3"), json={"location": "eastus", "tags": {"a": "b"}}))
    assert client.get(client.cluster("c3")).json()["tags"] == {"a": "b"}
    assert client.get(pool).json()["properties"]["count"] == 3


# Row 8: credentials, and what stands behind them.


@pytest.mark.parametrize(("who", "name"), [("User", "clusterUser"), ("Admin", "clusterAdmin")])
def test_a_kubeconfig_names_the_address_that_answers_no_cluster_attached(
    service: ServiceProcess, client: ArmClient, who: str, name: str
) -> None:
    reply = client.post(f"{client.cluster('C1')}/listCluster{who}Credential", params={"format": "exec"})
    (known,) = reply.json()["kubeconfigs"]
    assert known["name"] == name
    config = json.loads(base64.b64decode(known["value"]))
    (row,) = config["clusters"]
    assert row["cluster"]["server"] == f"{service.url}/kube/c1"
    assert base64.b64decode(row["cluster"]["certificate-authority-data"]) == service.ca.read_bytes()
    assert config["current-context"] in [context["name"] for context in config["contexts"]]


def test_the_token_of_a_kubeconfig_is_its_users_as_long_as_the_cluster_lives(client: ArmClient) -> None:
    def token(cluster: str, who: str) -> str:
        (known,) = client.post(f"{client.cluster(cluster)}/listCluster{who}Credential").json()["kubeconfigs"]
        (user,) = json.loads(base64.b64decode(known["value"]))["users"]
        return str(user["user"]["token"])

    client.make_cluster("k1")
    first = token("k1", "User")
    assert re.fullmatch(r"[0-9a-f]{128}", first)
    assert token("K1", "User") == first
    assert len({first, token("k1", "Admin"), token("c1", "User")}) == 3
    client.done(client.delete(client.cluster("k1")))
    client.make_cluster("k1")
    assert token("k1", "User") != first


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("rest", ["", "/", "/api/v1/namespaces/default/pods", "/version?timeout=32s", "/Apis//x"])
def test_the_kubernetes_address_answers_every_request_with_one_status(
    service: ServiceProcess, method: str, rest: str
) -> None:
    reply = service.client.request(method, f"{service.url}/kube/c1{rest}", headers={"Authorization": "none"})
    assert reply.status_code == 503
    if method != "HEAD":
        status = reply.json()
        assert (status["kind"], status["apiVersion"], status["status"]) == ("Status", "v1", "Failure")
        assert (status["reason"], status["code"]) == ("NoClusterAttached", 503)
        assert "c1" in status["message"]


# Rows 10 and 11: upgrades and versions.


@pytest.mark.parametrize("spelling", ["upgradeProfiles", "upgradeprofiles"])
def test_upgrade_profiles_have_what_az_shows(client: ArmClient, spelling: str) -> None:
    document = client.get(f"{client.cluster()}/{spelling}/default").json()
    assert document["properties"]["controlPlaneProfile"]["kubernetesVersion"] == "1.35.7"
    assert {row["kubernetesVersion"] for row in document["properties"]["controlPlaneProfile"]["upgrades"]} >= {"1.36.3"}


def test_kubernetes_versions_have_what_az_shows(client: ArmClient) -> None:
    path = f"{client.subscription}/providers/Microsoft.ContainerService/locations/EastUS/kubernetesVersions"
    document = client.get(path).json()
    versions = {row["version"]: row for row in document["values"]}
    assert [name for name, row in versions.items() if row.get("isDefault")] == ["1.35"]
    assert versions["1.37"]["isPreview"] is True
    assert "1.24" in versions
    assert "1.36.3" in versions["1.35"]["patchVersions"]["1.35.7"]["upgrades"]


def orchestrators(client: ArmClient, **query: str) -> httpx.Response:
    return client.get(
        f"{client.subscription}/providers/Microsoft.ContainerService/locations/EastUS/orchestrators", params=query
    )


def test_orchestrators_are_the_patches_of_the_kubernetes_versions_and_lead_where_those_lead(client: ArmClient) -> None:
    document = orchestrators(client, **{"api-version": "2019-04-01", "resource-type": "managedClusters"}).json()
    listed = {row["orchestratorVersion"]: row for row in document["properties"]["orchestrators"]}
    path = f"{client.subscription}/providers/Microsoft.ContainerService/locations/eastus/kubernetesVersions"
    patches = {
        patch: upgrades["upgrades"]
        for release in client.get(path).json()["values"]
        for patch, upgrades in release["patchVersions"].items()
    }
    assert {name: [to["orchestratorVersion"] for to in row["upgrades"]] for name, row in listed.items()} == patches
    assert [name for name, row in listed.items() if row.get("default")] == ["1.35.7"]
    assert [name for name, row in listed.items() if row.get("isPreview")] == ["1.37.0"]
    assert {"1.37.0"} == {to["orchestratorVersion"] for to in listed["1.36.3"]["upgrades"] if to.get("isPreview")}


def test_orchestrators_of_another_resource_type_are_refused(client: ArmClient) -> None:
    refused = orchestrators(client, **{"api-version": "2019-04-01", "resource-type": "containerServices"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "InvalidParameter")
    assert refused.json()["error"]["target"] == "resource-type"
    assert orchestrators(client, **{"api-version": "2019-04-01"}).status_code == 200


# Row 12: node pools. Section 4: long-running operations.


def require_long_running(reply: httpx.Response) -> None:
    """Check the headers of an accepted change."""
    assert reply.headers["Retry-After"] == "1"
    url = reply.headers["Azure-AsyncOperation"]
    assert url.startswith(str(reply.request.url.copy_with(raw_path=b"/subscriptions/")))
    assert url.endswith(f"?api-version={reply.request.url.params['api-version']}")
    if reply.request.method == "DELETE":
        assert "/operationresults/" in reply.headers["Location"].lower()
    else:
        assert "Location" not in reply.headers


def test_a_node_pool_is_created_updated_and_deleted_with_the_statuses_az_expects(client: ArmClient) -> None:
    created = put_pool(client, "life")
    assert created.status_code == 201
    require_long_running(created)
    assert created.json()["properties"]["provisioningState"] == "Creating"
    client.done(created)
    updated = put_pool(client, "life", count=2)
    assert updated.status_code == 200
    require_long_running(updated)
    assert updated.json()["properties"]["provisioningState"] == "Updating"
    client.done(updated)
    shown = client.get(client.pool("life"))
    assert shown.headers["ETag"] == f'"{shown.json()["properties"]["eTag"]}"'
    assert "Retry-After" not in shown.headers
    deleted = client.delete(client.pool("life"))
    assert (deleted.status_code, deleted.content) == (202, b"")
    require_long_running(deleted)
    client.done(deleted)
    gone = client.get(client.pool("life"))
    assert (gone.status_code, gone.json()["error"]["code"]) == (404, "AgentPoolNotFound")
    assert client.delete(client.pool("life")).status_code == 204


def test_the_location_of_a_delete_ends_with_204(client: ArmClient) -> None:
    client.done(put_pool(client, "loc"))
    assert poll(client, client.delete(client.pool("loc")).headers["Location"]).status_code == 204


def test_the_result_of_a_put_is_the_resource_itself(client: ArmClient) -> None:
    created = put_pool(client, "res")
    client.done(created)
    results = created.headers["Azure-AsyncOperation"].replace("/operations/", "/operationresults/")
    reply = client.get(results, params={})
    assert (reply.status_code, reply.json()) == (200, client.get(client.pool("res")).json())


@pytest.mark.parametrize("api_version", API_VERSIONS)
def test_any_well_formed_api_version_is_taken_and_echoed(client: ArmClient, api_version: str) -> None:
    reply = client.put(
        client.pool("api"),
        params={"api-version": api_version},
        json={"properties": {"vmSize": "Standard_D2s_v5", "count": 1}},
    )
    assert reply.headers["Azure-AsyncOperation"].endswith(f"api-version={api_version}")
    client.done(reply)
    assert client.get(client.pool("api"), params={"api-version": api_version}).status_code == 200


@pytest.mark.parametrize(
    "api_version", ["2026", "2026-6-1", "latest", "2026-06-01-", "２０２６-０６-０１", "2026-06-01x", "a b"]
)
def test_an_api_version_of_another_form_is_refused(client: ArmClient, api_version: str) -> None:
    reply = put = client.put(client.pool("never"), params={"api-version": api_version}, json={"properties": {}})
    assert (put.status_code, reply.json()["error"]["code"]) == (400, "InvalidApiVersionParameter")
    assert client.get(client.pool("never")).status_code == 404


def test_every_reply_of_a_running_operation_says_when_to_come_back(slow: ArmClient) -> None:
    created = put_pool(slow, "slow1", count=3)
    require_long_running(created)
    url = created.headers["Azure-AsyncOperation"]
    results = url.replace("/operations/", "/operationresults/")
    seen: list[str] = []
    while True:
        reply = slow.get(url, params={})
        operation = reply.json()
        assert reply.status_code == 200
        if operation["status"] != "InProgress":
            break
        assert reply.headers["Retry-After"] == "1"
        assert "endTime" not in operation
        assert 0 <= operation["percentComplete"] < 100
        result = slow.get(results, params={})
        assert result.status_code in (200, 202)
        if result.status_code == 202:
            assert (result.headers["Retry-After"], result.content) == ("1", b"")
            assert result.headers["Location"].lower() == results.lower()
        seen.append(operation["status"])
    assert seen
    assert "Retry-After" not in reply.headers
    assert (operation["status"], operation["percentComplete"]) == ("Succeeded", 100)
    assert operation["endTime"] > operation["startTime"]
    assert operation["name"] == url.partition("/operations/")[2].partition("?")[0]


def test_succeeded_is_said_only_when_a_get_already_shows_it(client: ArmClient) -> None:
    for count in (1, 40, 3, 25, 0):
        accepted = put_pool(client, "tight", count=count)
        url = accepted.headers["Azure-AsyncOperation"]
        while client.get(url, params={}).json()["status"] == "InProgress":
            pass
        pool = client.get(client.pool("tight")).json()["properties"]
        machines = client.get(f"{client.pool('tight')}/machines").json()["value"]
        inside = client.get(client.cluster()).json()["properties"]["agentPoolProfiles"]
        assert (pool["provisioningState"], len(machines)) == ("Succeeded", count)
        assert sum(pool["poolwright"]["observedGenerations"].values()) == count
        assert [row["count"] for row in inside if row["name"] == "tight"] == [count]
    url = client.delete(client.pool("tight")).headers["Azure-AsyncOperation"]
    while client.get(url, params={}).json()["status"] == "InProgress":
        pass
    assert client.get(client.pool("tight")).status_code == 404
    assert "tight" not in client.get(client.cluster()).text


def test_an_operation_progresses_although_nobody_asks_for_it(slow: ArmClient) -> None:
    url = put_pool(slow, "alone").headers["Azure-AsyncOperation"]
    while slow.get(slow.pool("alone")).json()["properties"]["provisioningState"] != "Succeeded":
        pass
    assert slow.get(url, params={}).json()["status"] == "Succeeded"


def test_operations_of_others_and_unknown_ones_are_not_found(client: ArmClient) -> None:
    base = f"{client.subscription}/providers/Microsoft.ContainerService/locations/eastus"
    for kind in ("operations", "operationresults"):
        for name in ("00000000-0000-4000-8000-000000000000", "x", "%27"):
            reply = client.get(f"{base}/{kind}/{name}")
            assert (reply.status_code, reply.json()["error"]["code"]) == (404, "OperationNotFound")


def test_a_running_operation_s_location_survives_any_location_in_the_path(slow: ArmClient) -> None:
    accepted = put_pool(slow, "odd")
    name = accepted.headers["Azure-AsyncOperation"].partition("/operations/")[2].partition("?")[0]
    reply = slow.get(
        f"{slow.subscription}/providers/Microsoft.ContainerService/locations/ж%20ü/operationresults/{name}"
    )
    assert reply.status_code == 202
    assert reply.headers["Location"].isascii()
    slow.done(accepted)


# ETags.


@pytest.mark.parametrize("form", ['"{}"', "{}", 'W/"{}"', "*"])
def test_a_matching_if_match_is_taken_quoted_and_unquoted(client: ArmClient, form: str) -> None:
    client.done(put_pool(client, "etag"))
    etag = client.get(client.pool("etag")).json()["properties"]["eTag"]
    body = {"properties": {"count": 1}}
    reply = client.put(client.pool("etag"), json=body, headers={"If-Match": form.format(etag)})
    client.done(reply)
    assert client.get(client.pool("etag")).json()["properties"]["eTag"] != etag


@pytest.mark.parametrize(
    ("headers", "kind"),
    [
        ({"If-Match": '"other"'}, "existing"),
        ({"If-Match": "other"}, "existing"),
        ({"If-Match": ""}, "existing"),
        ({"If-None-Match": "*"}, "existing"),
        ({"If-None-Match": '"{etag}"'}, "existing"),
        ({"If-Match": "*"}, "missing"),
        ({"If-Match": '"any"'}, "missing"),
    ],
)
@pytest.mark.parametrize("method", ["PUT", "DELETE"])
@pytest.mark.parametrize("resource", ["pool", "cluster"])
def test_a_failed_precondition_is_412_and_changes_nothing(
    client: ArmClient, headers: dict[str, str], kind: str, method: str, resource: str
) -> None:
    existing, missing = (
        (client.pool("sys"), client.pool("gone")) if resource == "pool" else (client.cluster(), client.cluster("gone"))
    )
    path = existing if kind == "existing" else missing
    before = client.get(path)
    etag = before.headers.get("ETag", "").strip('"')
    sent = {name: value.format(etag=etag) for name, value in headers.items()}
    body = {"location": "eastus", "properties": {"agentPoolProfiles": [{"name": "sys", "mode": "System"}]}}
    reply = client.request(
        method, path, headers=sent, json=body if resource == "cluster" else {"properties": {"count": 1}}
    )
    assert (reply.status_code, reply.json()["error"]["code"]) == (412, "PreconditionFailed")
    after = client.get(path)
    assert (after.status_code, after.content) == (before.status_code, before.content)


def test_if_none_match_star_creates_what_is_missing(client: ArmClient) -> None:
    reply = client.put(client.pool("only"), json={"properties": {"count": 1}}, headers={"If-None-Match": "*"})
    assert reply.status_code == 201
    client.done(reply)
    body = client.get(client.pool("only")).json()
    body["properties"]["count"] = 2
    again = client.put(client.pool("only"), json=body, headers={"If-None-Match": '"other"'})
    assert again.status_code == 200, "an eTag in the body, as `az resource update` sends it, is ignored"
    client.done(again)


def test_the_etag_header_is_the_one_of_the_body_on_every_reply(client: ArmClient) -> None:
    for reply in (put_pool(client, "same"), client.get(client.pool("same")), client.get(client.pool("sys"))):
        assert reply.headers["ETag"] == f'"{reply.json()["properties"]["eTag"]}"'
        if "Azure-AsyncOperation" in reply.headers:
            client.done(reply)


# Paths.


def test_paths_are_compared_without_case_and_ids_keep_the_case_of_their_creation(client: ArmClient) -> None:
    client.make_cluster("Mixed-Case", "Mixed.Group")
    wanted = client.cluster("Mixed-Case", "Mixed.Group")
    for path in (wanted, wanted.lower(), wanted.upper().replace("/SUBSCRIPTIONS", "/Subscriptions")):
        reply = client.get(path)
        assert (reply.status_code, reply.json()["id"]) == (200, wanted)
    created = client.put(
        f"{wanted.lower()}/AGENTPOOLS/np1", json={"properties": {"vmSize": "STANDARD_D2S_V5", "count": 1}}
    )
    client.done(created)
    assert created.json()["id"] == f"{wanted}/agentPools/np1"
    upper = client.put(f"{wanted}/agentPools/NP1", json={"properties": {"count": 2}})
    client.done(upper)
    assert (upper.status_code, upper.json()["name"]) == (200, "np1")
    (machine, _) = client.get(f"{wanted.upper()}/agentpools/np1/MACHINES").json()["value"]
    assert machine["id"].startswith(f"{wanted}/agentPools/np1/machines/")
    assert client.get(machine["id"].upper()).json() == machine


@pytest.mark.parametrize("path", ["{pool}//", "/{pool}", "{pool}/", "{pool}"])
def test_duplicate_and_trailing_slashes_change_nothing(service: ServiceProcess, client: ArmClient, path: str) -> None:
    folded = path.format(pool=client.pool("sys").replace("/providers/", "//providers///"))
    reply = client.get(f"{service.url}{folded}")
    assert (reply.status_code, reply.json()["name"]) == (200, "sys")


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nothing/here", 404, "InvalidResourceType"),
        ("GET", "/", 404, "InvalidResourceType"),
        ("GET", "/subscriptionsandmore/x", 404, "InvalidResourceType"),
        ("GET", "{sub}/providers/Microsoft.Nothing", 404, "InvalidResourceType"),
        ("GET", "{sub}/resourceGroups/rg/providers/Microsoft.Web/sites", 404, "InvalidResourceType"),
        ("PATCH", "{sub}", 405, "HttpMethodNotAllowed"),
        ("POST", "{pool}", 405, "HttpMethodNotAllowed"),
        ("HEAD", "{pool}", 405, None),
        ("DELETE", "/subscriptions", 405, "HttpMethodNotAllowed"),
        ("TRACE", "{pool}", 405, "HttpMethodNotAllowed"),
        ("PROPFIND", "/healthz", 405, "HttpMethodNotAllowed"),
        ("POST", "/healthz", 405, "HttpMethodNotAllowed"),
        ("GET", "/adfs/oauth2/token", 405, "HttpMethodNotAllowed"),
        ("OPTIONS", "{pool}", 405, "HttpMethodNotAllowed"),
    ],
)
def test_what_is_not_offered_is_said_in_arm_s_form(
    client: ArmClient, method: str, path: str, status: int, code: str | None
) -> None:
    reply = client.request(method, path.format(sub=client.subscription, pool=client.pool("sys")))
    assert reply.status_code == status
    if code is not None:
        assert reply.json()["error"]["code"] == code


# Row 17: machines.


def test_machines_are_listed_and_shown(client: ArmClient) -> None:
    pool = client.make_pool("mach", {"vmSize": "Standard_D2s_v5", "count": 3, "availabilityZones": ["1", "2", "3"]})
    listed = client.get(f"{client.pool('mach')}/machines")
    machines = listed.json()["value"]
    assert len(machines) == pool["count"] == 3
    assert sorted(machine["zones"][0] for machine in machines) == ["1", "2", "3"]
    for machine in machines:
        shown = client.get(f"{client.pool('mach')}/machines/{machine['name']}")
        assert shown.json() == machine
    assert len({machine["name"] for machine in machines}) == 3
    for path, code in (("mach", "MachineNotFound"), ("none", "AgentPoolNotFound")):
        missing = client.get(f"{client.pool(path)}/machines/nope")
        assert (missing.status_code, missing.json()["error"]["code"]) == (404, code)
    assert client.get(f"{client.pool('none')}/machines").json()["error"]["code"] == "AgentPoolNotFound"


# Row 19: providers.


@pytest.mark.parametrize("namespace", ["Microsoft.ContainerService", "microsoft.compute", "MICROSOFT.RESOURCES"])
def test_providers_are_registered_and_list_their_types(client: ArmClient, namespace: str) -> None:
    shown = client.get(f"{client.subscription}/providers/{namespace}").json()
    assert shown["registrationState"] == "Registered"
    assert all(row["apiVersions"] and row["locations"] for row in shown["resourceTypes"])
    assert client.post(f"{client.subscription}/providers/{namespace}/register").json() == shown


# Lists and the rest of the replies against Azure's definitions.


def test_lists_of_pools_fit_azures_definition(client: ArmClient) -> None:
    for name, properties in {
        "wina": {"osType": "Windows", "osSKU": "Windows2022", "vmGeneration": "V2"},
        "winb": {"osType": "Windows", "osSKU": "Windows2025", "enableFIPS": True},
        "lina": {"osSKU": "AzureLinux", "enableAutoScaling": True, "minCount": 1, "maxCount": 3},
        "linb": {
            "type": "VirtualMachines",
            "virtualMachinesProfile": {"scale": {"manual": [{"size": "standard_d2s_v5", "count": 1}]}},
        },
        "linc": {"scaleSetPriority": "Spot", "scaleSetEvictionPolicy": "Delete", "spotMaxPrice": -1.0},
        "lind": {"powerState": {"code": "Stopped"}},
    }.items():
        client.done(put_pool(client, name, **properties))
    document = client.get(f"{client.cluster()}/agentPools").json()
    assert {"sys", "wina", "winb", "lina", "linb", "linc", "lind"} <= {row["name"] for row in document["value"]}
    assert client.get(client.cluster()).status_code == 200


def test_a_pool_of_type_virtual_machines_scales_with_the_lower_case_sizes_az_sends(client: ArmClient) -> None:
    profile = {"scale": {"manual": [{"size": "Standard_D2s_v5", "count": 2}]}}
    client.done(
        client.put(
            client.pool("vms"),
            json={"properties": {"type": "VirtualMachines", "osType": "Linux", "virtualMachinesProfile": profile}},
        )
    )
    shown = client.get(client.pool("vms")).json()
    assert shown["properties"]["virtualMachinesProfile"] == profile
    assert shown["properties"]["count"] == 2
    assert "vmSize" not in shown["properties"]
    shown["properties"]["virtualMachinesProfile"]["scale"]["manual"] = [{"size": "standard_d2s_v5", "count": 3}]
    client.done(client.put(client.pool("vms"), json=shown))
    back = client.get(client.pool("vms")).json()["properties"]
    assert back["virtualMachinesProfile"]["scale"]["manual"] == [{"size": "Standard_D2s_v5", "count": 3}]
    assert len(client.get(f"{client.pool('vms')}/machines").json()["value"]) == 3


# Correlation, health, metrics.


@pytest.mark.parametrize("name", ["x-ms-correlation-request-id", "x-ms-client-request-id"])
def test_the_client_s_correlation_id_comes_back_and_stands_in_the_log(
    service: ServiceProcess, client: ArmClient, name: str
) -> None:
    sent = f"0f0f0f0f-aaaa-4bbb-8ccc-{len(name):012d}"
    reply = client.delete(client.pool("nope"), headers={name: sent})
    assert reply.headers["x-ms-correlation-request-id"] == reply.headers["x-ms-request-id"] == sent
    client.get("/healthz")  # the log line is written after the reply, and before the next one
    assert sent in service.log()


@pytest.mark.parametrize("sent", ["", "a b", "x" * 65, "é", "a\tb", "{}"])
def test_a_correlation_id_of_another_form_is_replaced(client: ArmClient, sent: str) -> None:
    reply = client.get("/subscriptions", headers={"x-ms-client-request-id": sent.encode()})
    assert reply.status_code == 200
    assert len(reply.headers["x-ms-correlation-request-id"]) == 36
    assert reply.headers["x-ms-correlation-request-id"] != sent


def test_errors_carry_a_correlation_id_too(client: ArmClient) -> None:
    for reply in (client.get("/nothing"), client.get("/subscriptions", headers={"Authorization": "x"})):
        assert len(reply.headers["x-ms-request-id"]) == 36


def test_healthz_needs_no_token(service: ServiceProcess) -> None:
    reply = service.client.get("/healthz", headers={"Authorization": ""})
    assert (reply.status_code, reply.json()) == (200, {"status": "ok"})


def test_metrics_parse_and_have_bounded_labels(service: ServiceProcess, client: ArmClient) -> None:
    client.get(client.pool("a-name-that-must-not-be-a-label"))
    reply = client.get("/metrics", headers={"Authorization": ""})
    families = {family.name: family for family in text_string_to_metric_families(reply.text)}
    assert {"poolwright_requests", "poolwright_request_seconds", "poolwright_operations", "poolwright_resources"} <= (
        families.keys()
    )
    labels = {name for family in families.values() for sample in family.samples for name in sample.labels}
    assert labels <= {"method", "status", "kind", "le"}
    assert "a-name-that-must-not-be-a-label" not in reply.text
    kinds = {sample.labels["kind"]: sample.value for sample in families["poolwright_resources"].samples}
    assert kinds["node_pools"] >= kinds["clusters"] >= 1


# Parallel requests.


def test_of_parallel_puts_on_one_pool_each_is_accepted_or_told_to_wait(slow: ArmClient) -> None:
    slow.done(put_pool(slow, "race"))
    with ThreadPoolExecutor(8) as threads:
        replies = list(threads.map(lambda count: put_pool(slow, "race", count=count), range(2, 10)))
    accepted = [reply for reply in replies if reply.status_code == 200]
    refused = [reply for reply in replies if reply.status_code != 200]
    assert accepted
    assert refused, "machines take a second here, so some come while one is being started"
    assert {(reply.status_code, reply.json()["error"]["code"]) for reply in refused} == {(409, "OperationNotAllowed")}
    for reply in accepted:
        slow.done(reply)
    pool = slow.get(slow.pool("race")).json()["properties"]
    assert pool["count"] in [reply.json()["properties"]["count"] for reply in accepted]
    assert len(slow.get(f"{slow.pool('race')}/machines").json()["value"]) == pool["count"]


def test_many_parallel_puts_on_different_pools_all_succeed(client: ArmClient) -> None:
    names = [f"par{index}" for index in range(24)]
    with ThreadPoolExecutor(12) as threads:
        accepted = list(threads.map(lambda name: put_pool(client, name, count=2), names))
    assert [reply.status_code for reply in accepted] == [201] * len(names)
    for reply in accepted:
        client.done(reply)
    listed = {row["name"]: row["properties"] for row in client.get(f"{client.cluster()}/agentPools").json()["value"]}
    assert all(listed[name]["provisioningState"] == "Succeeded" for name in names)
    assert all(listed[name]["poolwright"]["observedGenerations"] == {"V1": 0, "V2": 2, "unknown": 0} for name in names)
