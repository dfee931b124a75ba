"""The Python SDK as its users write it: azure-identity, azure-mgmt-containerservice and azure-mgmt-compute."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

import pytest
from azure.core import MatchConditions
from azure.core.credentials import TokenCredential
from azure.core.exceptions import (
    ClientAuthenticationError,
    HttpResponseError,
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
)
from azure.core.polling import LROPoller
from azure.core.rest import HttpRequest
from azure.identity import ClientSecretCredential, EnvironmentCredential
from azure.mgmt.compute import ComputeManagementClient
from azure.mgmt.containerservice import ContainerServiceClient
from azure.mgmt.containerservice.models import (
    AgentPool,
    CreationData,
    DateSpan,
    MaintenanceConfiguration,
    MaintenanceWindow,
    ManagedCluster,
    ManagedClusterAgentPoolProfile,
    ManagedClusterIdentity,
    PowerState,
    Schedule,
    Snapshot,
    TagsObject,
    WeeklySchedule,
)
from azure.mgmt.core.polling.arm_polling import ARMPolling

from tests.arm.test_catalog_import import ENTRY
from tests.support.service import ServiceProcess

V1_ONLY, BOTH, ALSO_BOTH, V2_ONLY = "Standard_D2_v3", "Standard_D2s_v5", "Standard_D4s_v5", "Standard_D4ads_v6"
HEADER = {"UseWindowsGen2VM": "true"}
GEN2_WINDOWS_IMAGE = "windows-2022-containerd-gen2"


@dataclass(frozen=True)
class Lab:
    """The clients of one user of a running service."""

    service: ServiceProcess
    credential: TokenCredential
    containers: ContainerServiceClient
    compute: ComputeManagementClient

    def rest(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """The JSON reply to a request that the SDK has no method for, sent through its pipeline."""
        url = f"{self.service.url}/subscriptions/{self.service.credentials['subscriptionId']}{path}"
        request = HttpRequest(method, f"{url}?api-version=2026-06-01", json=body, headers=headers)
        reply = self.containers.send_request(request)
        reply.raise_for_status()
        return reply.json()

    def put(self, name: str, pool: Any, **options: Any) -> LROPoller[AgentPool]:
        return self.containers.agent_pools.begin_create_or_update("rg", "c1", name, pool, **options)

    def pool(self, name: str) -> AgentPool:
        return self.containers.agent_pools.get("rg", "c1", name)

    def block(self, name: str) -> dict[str, Any]:
        """What the service says about the generation of a node pool."""
        block: dict[str, Any] = self.pool(name).as_dict()["properties"]["poolwright"]
        return block


def containers_of(service: ServiceProcess, credential: TokenCredential, **options: Any) -> ContainerServiceClient:
    subscription = service.credentials["subscriptionId"]
    return ContainerServiceClient(credential, subscription, base_url=service.url, polling_interval=1, **options)


def secret_credential(service: ServiceProcess, **changed: Any) -> ClientSecretCredential:
    known = service.credentials
    arguments = {
        "tenant_id": known["tenantId"],
        "client_id": known["clientId"],
        "client_secret": known["clientSecret"],
        "authority": service.url,
        # Without it, azure-identity would ask login.microsoftonline.com about this authority.
        "disable_instance_discovery": True,
    }
    return ClientSecretCredential(**arguments | changed)


@pytest.fixture(scope="module", autouse=True)
def trust(service: ServiceProcess) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REQUESTS_CA_BUNDLE", str(service.ca))
        yield


@pytest.fixture(scope="module")
def lab(service: ServiceProcess, trust: None) -> Iterator[Lab]:
    with (
        secret_credential(service) as credential,
        containers_of(service, credential) as containers,
        ComputeManagementClient(
            credential,
            service.credentials["subscriptionId"],
            base_url=service.url,
            credential_scopes=["https://management.core.windows.net/.default"],
        ) as compute,
    ):
        yield Lab(service, credential, containers, compute)


@pytest.fixture(scope="module")
def cluster(lab: Lab) -> ManagedCluster:
    lab.rest("PUT", "/resourcegroups/rg", {"location": "eastus", "tags": {"team": "blue"}})
    wanted = ManagedCluster(
        location="eastus",
        identity=ManagedClusterIdentity(type="SystemAssigned"),
        dns_prefix="sdk",
        kubernetes_version="1.34.8",
        agent_pool_profiles=[ManagedClusterAgentPoolProfile(name="sys", mode="System", count=1, vm_size=BOTH)],
    )
    return lab.containers.managed_clusters.begin_create_or_update("rg", "c1", wanted).result()


@pytest.fixture(scope="module")
def windows_gen2(lab: Lab, cluster: ManagedCluster) -> dict[str, AgentPool]:
    """Two Windows node pools of Generation 2: one asked for by header, one by property."""
    by_header = AgentPool(vm_size=BOTH, count=1, os_type="Windows", os_sku="Windows2022", mode="User")
    by_property = AgentPool(vm_size=BOTH, count=1, os_type="Windows", os_sku="Windows2022", mode="User")
    by_property["properties"]["vmGeneration"] = "V2"
    pollers = {"header": lab.put("header", by_header, headers=HEADER), "prop": lab.put("prop", by_property)}
    return {name: poller.result() for name, poller in pollers.items()}


@pytest.mark.parametrize(
    "credential_of",
    [
        pytest.param(lambda service: secret_credential(service), id="Microsoft Entra"),
        pytest.param(
            lambda service: secret_credential(service, tenant_id="adfs", disable_instance_discovery=False), id="AD FS"
        ),
        pytest.param(lambda service: EnvironmentCredential(disable_instance_discovery=True), id="environment"),
    ],
)
def test_both_authority_families_and_the_environment_log_in(
    service: ServiceProcess, monkeypatch: pytest.MonkeyPatch, credential_of: Any
) -> None:
    known = service.credentials
    for name, value in (
        ("AZURE_TENANT_ID", known["tenantId"]),
        ("AZURE_CLIENT_ID", known["clientId"]),
        ("AZURE_CLIENT_SECRET", known["clientSecret"]),
        ("AZURE_AUTHORITY_HOST", service.url),
    ):
        monkeypatch.setenv(name, value)

    with credential_of(service) as credential, containers_of(service, credential) as containers:
        assert containers.managed_clusters.list_kubernetes_versions("eastus").values_property


def test_a_wrong_secret_is_a_client_authentication_error(service: ServiceProcess) -> None:
    with (
        secret_credential(service, client_secret="wrong") as credential,
        containers_of(service, credential) as containers,
        pytest.raises(ClientAuthenticationError, match="AADSTS7000215"),
    ):
        list(containers.managed_clusters.list())


def test_a_cluster_is_created_read_and_listed(lab: Lab, cluster: ManagedCluster) -> None:
    clusters = lab.containers.managed_clusters
    assert cluster.provisioning_state == "Succeeded"
    assert (cluster.dns_prefix, cluster.kubernetes_version) == ("sdk", "1.34.8")
    assert cluster.identity.principal_id
    assert cluster.identity.tenant_id == lab.service.credentials["tenantId"]
    assert cluster.windows_profile.admin_username == "azureuser"
    read = clusters.get("RG", "C1")
    assert read.id == cluster.id
    assert ("sys", "System") in [(pool.name, pool.mode) for pool in read.agent_pool_profiles]
    assert [found.id for found in clusters.list()] == [cluster.id]
    assert [found.id for found in clusters.list_by_resource_group("rg")] == [cluster.id]


def test_the_header_and_the_property_lead_to_generation_2(windows_gen2: dict[str, AgentPool], lab: Lab) -> None:
    for name, requested_by in (("header", "header"), ("prop", "property")):
        pool, block = windows_gen2[name], lab.block(name)
        assert pool.provisioning_state == "Succeeded"
        assert "gen2" in pool.node_image_version
        assert (block["requestedGeneration"], block["requestedBy"]) == ("V2", requested_by)
        assert (block["resolvedGeneration"], block["image"]["definition"]) == ("V2", GEN2_WINDOWS_IMAGE)
        assert block["observedGenerations"] == {"V1": 0, "V2": 1, "unknown": 0}


def test_the_default_generation_follows_the_size_and_the_os(lab: Lab, cluster: ManagedCluster) -> None:
    wanted = {
        "l1": (AgentPool(vm_size=V1_ONLY, count=1), "V1"),
        "l2": (AgentPool(vm_size=BOTH, count=1, os_type="Linux"), "V2"),
        "l3": (AgentPool(vm_size=V2_ONLY, count=1), "V2"),
        "w1": (AgentPool(vm_size=BOTH, count=1, os_type="Windows", os_sku="Windows2022"), "V1"),
    }
    pollers = {name: lab.put(name, pool) for name, (pool, _) in wanted.items()}
    for name, (_, generation) in wanted.items():
        assert ("gen2" in pollers[name].result().node_image_version) == (generation == "V2")
        assert lab.block(name)["resolvedGeneration"] == generation
    listed = {pool.name: pool for pool in lab.containers.agent_pools.list("rg", "c1")}
    assert {name: listed[name].vm_size for name in wanted} == {name: pool.vm_size for name, (pool, _) in wanted.items()}


def test_a_json_body_is_kept_with_what_the_sdk_does_not_know(lab: Lab, cluster: ManagedCluster) -> None:
    body = {"properties": {"vmSize": BOTH, "count": 0, "futureThing": {"depth": [1, {"two": True}]}}}

    lab.put("future", io.BytesIO(json.dumps(body).encode()), content_type="application/json").result()

    pool = lab.pool("future")
    assert pool.as_dict()["properties"]["futureThing"] == {"depth": [1, {"two": True}]}
    pool.node_labels = {"a": "b"}
    lab.put("future", pool).result()
    kept = lab.pool("future").as_dict()["properties"]
    assert (kept["futureThing"], kept["nodeLabels"]) == ({"depth": [1, {"two": True}]}, {"a": "b"})


def test_reading_changing_and_putting_back_leaves_the_generation_alone(
    lab: Lab, windows_gen2: dict[str, AgentPool]
) -> None:
    def change(name: str, **changes: Any) -> LROPoller[AgentPool]:
        pool = lab.pool(name)
        for attribute, value in changes.items():
            setattr(pool, attribute, value)
        return lab.put(name, pool)

    for changes in (
        {"count": 2},
        {"node_labels": {"a": "b"}},
        {"power_state": PowerState(code="Stopped")},
        {"power_state": PowerState(code="Running"), "max_pods": None},
    ):
        pollers = {name: change(name, **changes) for name in windows_gen2}
        for name, poller in pollers.items():
            pool, block = poller.result(), lab.block(name)
            assert pool.node_image_version == windows_gen2[name].node_image_version
            assert (block["requestedGeneration"], block["resolvedGeneration"]) == ("V2", "V2")
            assert block["image"]["definition"] == GEN2_WINDOWS_IMAGE
    assert (lab.pool("prop").count, lab.pool("prop").node_labels) == (2, {"a": "b"})
    assert lab.pool("header").power_state.code == "Running"


def test_a_sparse_body_keeps_what_it_does_not_name(lab: Lab, windows_gen2: dict[str, AgentPool]) -> None:
    before = lab.pool("prop")

    after = lab.put("prop", AgentPool(count=before.count)).result()

    assert (after.vm_size, after.os_type, after.os_sku) == (BOTH, "Windows", "Windows2022")
    assert after.node_image_version == before.node_image_version
    assert lab.block("prop")["requestedGeneration"] == "V2"


def test_upgrades_leave_the_generation_alone(lab: Lab, windows_gen2: dict[str, AgentPool]) -> None:
    cluster = lab.containers.managed_clusters.get("rg", "c1")
    cluster.kubernetes_version = "1.35.4"
    upgraded = lab.containers.managed_clusters.begin_create_or_update("rg", "c1", cluster).result()
    assert upgraded.current_kubernetes_version == "1.35.4"

    pool = lab.pool("header")
    pool.orchestrator_version = "1.35.4"
    upgraded_pool = lab.put("header", pool).result()

    assert upgraded_pool.current_orchestrator_version == "1.35.4"
    assert "gen2" in upgraded_pool.node_image_version
    assert lab.block("header")["requestedBy"] == "header"


def test_a_put_with_another_size_rolls_the_machines_and_keeps_the_wish(
    lab: Lab, windows_gen2: dict[str, AgentPool]
) -> None:
    pool = lab.pool("header")
    pool.vm_size = ALSO_BOTH

    lab.put("header", pool).result()
    resized = lab.pool("header")

    assert resized.vm_size == ALSO_BOTH
    assert "gen2" in resized.node_image_version
    lab.put("header", AgentPool(vm_size=BOTH)).result()
    assert lab.pool("header").vm_size == BOTH


def test_a_change_that_is_never_possible_is_refused_with_code_target_and_remedy(
    lab: Lab, windows_gen2: dict[str, AgentPool]
) -> None:
    pool = lab.pool("header")
    pool.max_pods = 30

    with pytest.raises(HttpResponseError) as refused:
        lab.put("header", pool)

    error = refused.value.error
    assert (refused.value.status_code, error.code) == (400, "PropertyChangeNotAllowed")
    assert (error.message, error.target) == (
        "Changing property 'properties.maxPods' is not allowed.",
        "properties.maxPods",
    )
    [remedy] = error.additional_info
    assert "add a node pool with the wanted value" in remedy.info["remedy"]
    assert lab.pool("header").max_pods != 30


def test_what_if_shows_the_decision_and_changes_nothing(lab: Lab, cluster: ManagedCluster) -> None:
    body = {"properties": {"vmSize": BOTH, "osType": "Windows", "osSKU": "Windows2022"}}
    what_if = "/resourceGroups/rg/providers/Microsoft.ContainerService/managedClusters/c1/agentPools/maybe/whatIf"

    without = lab.rest("POST", what_if, body)["properties"]
    with_header = lab.rest("POST", what_if, body, **HEADER)["properties"]

    assert (without["generation"], with_header["generation"]) == ("V1", "V2")
    assert (without["exists"], with_header["rule"]["id"]) == (False, "gen2-header")
    with pytest.raises(ResourceNotFoundError):
        lab.pool("maybe")


def test_etags_guard_changes_and_deletions(lab: Lab, cluster: ManagedCluster) -> None:
    pool = lab.put("tagged", AgentPool(count=0)).result()
    stale = pool.e_tag
    current = lab.put("tagged", pool, etag=stale, match_condition=MatchConditions.IfNotModified).result().e_tag
    assert current != stale

    with pytest.raises(ResourceModifiedError) as modified:
        lab.put("tagged", pool, etag=stale, match_condition=MatchConditions.IfNotModified)
    assert (modified.value.status_code, modified.value.error.code) == (412, "PreconditionFailed")
    with pytest.raises(ResourceExistsError):
        lab.put("tagged", pool, match_condition=MatchConditions.IfMissing)
    with pytest.raises(ResourceNotFoundError):
        lab.put("absent", AgentPool(count=0), match_condition=MatchConditions.IfPresent)
    delete = lab.containers.agent_pools.begin_delete
    with pytest.raises(ResourceModifiedError):
        delete("rg", "c1", "tagged", etag=stale, match_condition=MatchConditions.IfNotModified)
    delete("rg", "c1", "tagged", etag=current, match_condition=MatchConditions.IfNotModified).result()

    with pytest.raises(ResourceNotFoundError):
        lab.pool("tagged")


def test_without_polling_the_reply_is_the_pool_being_created_and_the_wait_can_go_on_elsewhere(
    lab: Lab, cluster: ManagedCluster
) -> None:
    begun = lab.put("later", AgentPool(count=1), polling=False).result()
    assert (begun.name, begun.provisioning_state) == ("later", "Creating")
    eventually(lambda: lab.pool("later").provisioning_state == "Succeeded")

    token = lab.put("later", AgentPool(count=2)).continuation_token()
    with secret_credential(lab.service) as credential, containers_of(lab.service, credential) as elsewhere:
        resumed = elsewhere.agent_pools.begin_create_or_update(
            "rg", "c1", "later", AgentPool(), continuation_token=token
        )
        assert resumed.result().count == 2


def test_machines_are_listed_with_what_their_firmware_showed(lab: Lab, windows_gen2: dict[str, AgentPool]) -> None:
    machines = list(lab.containers.machines.list("rg", "c1", "prop"))
    assert len(machines) == lab.pool("prop").count

    machine = lab.containers.machines.get("rg", "c1", "prop", machines[0].name)

    block = machine.as_dict()["properties"]["poolwright"]
    assert machine.id == machines[0].id
    assert (block["firmware"], block["observedGeneration"], block["observedBy"]) == ("uefi", "V2", "simulated")
    with pytest.raises(ResourceNotFoundError):
        lab.containers.machines.get("rg", "c1", "prop", "none")


def test_versions_upgrades_and_credentials_are_there(lab: Lab, cluster: ManagedCluster) -> None:
    clusters = lab.containers.managed_clusters
    versions = clusters.list_kubernetes_versions("eastus").values_property
    assert [value.version for value in versions if value.is_default] == ["1.35"]
    assert any("1.34.8" in value.patch_versions for value in versions)

    profile = clusters.get_upgrade_profile("rg", "c1")
    targets = [target.kubernetes_version for target in profile.control_plane_profile.upgrades]
    assert targets
    assert cluster.current_kubernetes_version not in targets
    assert "sys" in [pool.name for pool in profile.agent_pool_profiles]

    [kubeconfig] = clusters.list_cluster_user_credentials("rg", "c1").kubeconfigs
    assert f"{lab.service.url}/kube/c1" in kubeconfig.value.decode()


def test_sizes_are_listed_for_one_location_with_their_generations(lab: Lab) -> None:
    skus = list(lab.compute.resource_skus.list(filter="location eq 'westus2'"))

    assert {tuple(sku.locations) for sku in skus} == {("westus2",)}
    generations = {
        sku.name: part.value for sku in skus for part in sku.capabilities if part.name == "HyperVGenerations"
    }
    assert {name: generations[name] for name in (V1_ONLY, BOTH, V2_ONLY)} == {
        V1_ONLY: "V1",
        BOTH: "V1,V2",
        V2_ONLY: "V2",
    }


def test_imported_sizes_are_listed_with_restrictions_and_zone_details_and_as_old_sizes(lab: Lab) -> None:
    client = lab.service.client
    path = "/_poolwright/catalog"
    assert client.put(path, json=[ENTRY]).status_code == 200
    try:
        [sku] = lab.compute.resource_skus.list(filter="location eq 'eastus'")
        assert sku.name == ENTRY["name"]
        assert [one.reason_code for one in sku.restrictions] == ["NotAvailableForSubscription", "QuotaId"]
        assert sku.location_info[0].zone_details[0].name == ["2"]
        [size] = lab.compute.virtual_machine_sizes.list("eastus")
        assert (size.name, size.number_of_cores, size.memory_in_mb) == (ENTRY["name"], 8, 224000)
    finally:
        client.delete(path)


@pytest.mark.parametrize("api_version", ["2025-10-01", "2026-04-01", "2026-06-02-preview"])
def test_older_and_newer_api_versions_are_served(lab: Lab, cluster: ManagedCluster, api_version: str) -> None:
    with containers_of(lab.service, lab.credential, api_version=api_version) as client:
        assert client.agent_pools.get("rg", "c1", "sys").mode == "System"


def test_errors_have_azure_s_types_and_codes(lab: Lab, cluster: ManagedCluster) -> None:
    pools = lab.containers.agent_pools
    windows = {"os_type": "Windows", "vm_size": BOTH, "count": 1}
    for refused, code in (
        (lambda: lab.put("BadName", AgentPool()), "InvalidParameter"),
        (lambda: lab.put("w9", AgentPool(**windows, os_sku="Ubuntu")), "InvalidOSSKU"),
        (lambda: lab.put("w9", AgentPool(os_type="Windows", vm_size=V1_ONLY), headers=HEADER), "UnsupportedGen2VMSize"),
        (lambda: lab.put("n9", AgentPool(vm_size="Standard_D99s_v5")), "VMSizeNotSupported"),
        (lambda: lab.put("n9", AgentPool(count=5000)), "InvalidParameter"),
        (lambda: lab.put("w9", AgentPool(**windows), headers={"UseWindowsGen2VM": "maybe"}), "InvalidParameter"),
    ):
        with pytest.raises(HttpResponseError) as invalid:
            refused()
        assert (invalid.value.status_code, invalid.value.error.code) == (400, code)
    for missing, code in (
        (lambda: pools.get("rg", "c1", "none"), "AgentPoolNotFound"),
        (lambda: list(pools.list("rg", "none")), "ResourceNotFound"),
        (lambda: lab.containers.managed_clusters.get("none", "c1"), "ResourceGroupNotFound"),
        (lambda: pools.begin_create_or_update("rg", "none", "n9", AgentPool()), "ParentResourceNotFound"),
    ):
        with pytest.raises(ResourceNotFoundError) as not_found:
            missing()
        assert (not_found.value.status_code, not_found.value.error.code) == (404, code)
    with pytest.raises(ResourceExistsError) as conflict:
        pools.begin_delete("rg", "c1", "sys")
    assert (conflict.value.status_code, conflict.value.error.code) == (409, "OperationNotAllowed")


def test_another_subscription_is_not_found(lab: Lab) -> None:
    foreign = "00000000-0000-4000-8000-000000000000"
    with (
        ContainerServiceClient(lab.credential, foreign, base_url=lab.service.url) as client,
        pytest.raises(ResourceNotFoundError) as not_found,
    ):
        list(client.managed_clusters.list())
    assert not_found.value.error.code == "SubscriptionNotFound"


def test_a_failed_operation_raises_what_it_failed_with_and_the_pool_says_so(fresh: ServiceProcess) -> None:
    """Profile azure-2026 accepts a Windows 2022 pool on a size of Generation 2 alone, and then fails as Azure does."""
    fresh.start(profile="azure-2026")
    fresh.client.make_cluster()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REQUESTS_CA_BUNDLE", str(fresh.ca))
        with secret_credential(fresh) as credential, containers_of(fresh, credential) as containers:
            pool = AgentPool(vm_size=V2_ONLY, count=1, os_type="Windows", os_sku="Windows2022")
            poller = containers.agent_pools.begin_create_or_update("rg", "c1", "win", pool)

            with pytest.raises(HttpResponseError, match="cannot boot Hypervisor Generation '1'"):
                poller.result()

            failed = containers.agent_pools.get("rg", "c1", "win")
    assert poller.status() == "Failed"
    assert failed.provisioning_state == "Failed"
    assert "cannot boot Hypervisor Generation '1'" in failed.status.provisioning_error.message


def test_pools_and_clusters_are_deleted_and_deleting_them_again_is_no_error(lab: Lab, cluster: ManagedCluster) -> None:
    second = ManagedCluster(
        location="eastus", agent_pool_profiles=[ManagedClusterAgentPoolProfile(name="sys", mode="System", count=1)]
    )
    clusters, pools = lab.containers.managed_clusters, lab.containers.agent_pools
    clusters.begin_create_or_update("rg", "c2", second).result()
    pools.begin_create_or_update("rg", "c2", "np1", AgentPool(count=1)).result()

    for _ in range(2):
        pools.begin_delete("rg", "c2", "np1").result()
    assert [pool.name for pool in pools.list("rg", "c2")] == ["sys"]
    for _ in range(2):
        clusters.begin_delete("rg", "c2").result()
    assert [found.name for found in clusters.list()] == ["c1"]


def test_a_restart_with_another_signing_key_is_not_noticed(lab: Lab, cluster: ManagedCluster) -> None:
    """Last, because it restarts the service: the claims challenge makes the SDK ask for a new token by itself."""
    assert lab.pool("sys").mode == "System"
    lab.service.kill()
    (lab.service.data_dir / "signing-key.pem").unlink()
    lab.service.start()

    assert lab.pool("sys").mode == "System"
    assert lab.put("after", AgentPool(count=1)).result().provisioning_state == "Succeeded"


def eventually(condition: Any, timeout_seconds: float = 20) -> None:
    """Wait until the condition holds."""
    pause = threading.Event()
    for _ in range(int(timeout_seconds / 0.05)):
        if condition():
            return
        pause.wait(0.05)
    raise AssertionError(f"not within {timeout_seconds} s")


def test_snapshots_through_the_sdk(lab: Lab, cluster: ManagedCluster) -> None:
    source = lab.put("source", AgentPool(vm_size=BOTH, count=1)).result()
    wanted = Snapshot(location="eastus", tags={"a": "1"}, creation_data=CreationData(source_resource_id=source.id))
    taken = lab.containers.snapshots.create_or_update("rg", "snap", wanted)
    assert (taken.node_image_version, taken.snapshot_type) == (source.node_image_version, "NodePool")
    assert taken.kubernetes_version == source.current_orchestrator_version
    assert (taken.vm_size, taken.enable_fips) == (BOTH, False)
    assert lab.containers.snapshots.update_tags("rg", "snap", TagsObject(tags={"b": "2"})).tags == {"b": "2"}
    assert [found.name for found in lab.containers.snapshots.list()] == ["snap"]
    assert [found.name for found in lab.containers.snapshots.list_by_resource_group("rg")] == ["snap"]
    copied = lab.put("copied", AgentPool(count=1, creation_data=CreationData(source_resource_id=taken.id))).result()
    assert (copied.node_image_version, copied.vm_size) == (source.node_image_version, BOTH)
    assert copied.creation_data.source_resource_id == taken.id
    lab.containers.snapshots.delete("rg", "snap")
    lab.containers.snapshots.delete("rg", "snap")
    with pytest.raises(ResourceNotFoundError):
        lab.containers.snapshots.get("rg", "snap")


def test_maintenance_configurations_through_the_sdk(lab: Lab, cluster: ManagedCluster) -> None:
    name = "aksManagedAutoUpgradeSchedule"
    window = MaintenanceWindow(
        schedule=Schedule(weekly=WeeklySchedule(interval_weeks=2, day_of_week="Monday")),
        duration_hours=4,
        start_time="03:00",
        start_date=date(2026, 12, 1),
        not_allowed_dates=[DateSpan(start=date(2026, 12, 23), end=date(2027, 1, 5))],
    )
    configurations = lab.containers.maintenance_configurations
    made = configurations.create_or_update("rg", "c1", name, MaintenanceConfiguration(maintenance_window=window))
    assert (made.name, made.maintenance_window) == (name, window)
    assert configurations.get("rg", "c1", name).maintenance_window == window
    assert [found.name for found in configurations.list_by_managed_cluster("rg", "c1")] == [name]
    window.duration_hours = 25
    with pytest.raises(HttpResponseError) as refused:
        configurations.create_or_update("rg", "c1", name, MaintenanceConfiguration(maintenance_window=window))
    assert refused.value.error is not None
    assert refused.value.error.target == "properties.maintenanceWindow.durationHours"
    configurations.delete("rg", "c1", name)
    assert list(configurations.list_by_managed_cluster("rg", "c1")) == []


def test_tags_and_abort_of_a_cluster_through_the_sdk(lab: Lab, cluster: ManagedCluster) -> None:
    clusters = lab.containers.managed_clusters
    assert clusters.begin_update_tags("rg", "c1", TagsObject(tags={"team": "red"})).result().tags == {"team": "red"}
    etag = clusters.get("rg", "c1").e_tag
    with pytest.raises(ResourceModifiedError):
        clusters.begin_update_tags(
            "rg", "c1", TagsObject(tags={}), etag=f"{etag}x", match_condition=MatchConditions.IfNotModified
        ).result()
    with pytest.raises(HttpResponseError) as nothing:
        clusters.begin_abort_latest_operation("rg", "c1").result()
    assert nothing.value.error is not None
    assert nothing.value.error.code == "OperationNotAllowed"


def test_an_operation_that_is_not_offered_is_told_to_the_sdk_by_name(lab: Lab, cluster: ManagedCluster) -> None:
    for call in (
        lambda: lab.containers.trusted_access_roles.list("eastus").next(),
        lambda: lab.containers.managed_namespaces.get("rg", "c1", "x"),
        lambda: lab.containers.managed_clusters.begin_rotate_cluster_certificates("rg", "c1").result(),
        lambda: lab.containers.operations.list().next(),
    ):
        with pytest.raises(HttpResponseError) as refused:
            call()
        assert (refused.value.status_code, refused.value.error and refused.value.error.code) == (
            400,
            "OperationNotOffered",
        )


def test_a_patch_scales_through_the_sdk_s_pipeline(lab: Lab, cluster: ManagedCluster) -> None:
    lab.put("patched", AgentPool(vm_size=BOTH, count=1, node_labels={"a": "b"})).result()
    url = f"{lab.service.url}{lab.pool('patched').id}?api-version=2026-08-02-preview"
    request = HttpRequest("PATCH", url, json={"properties": {"count": 2}})
    # What the generated begin_update of the preview package does with the first reply.
    pipeline = lab.containers._client._pipeline
    poller: LROPoller[Any] = LROPoller(
        lab.containers._client,
        pipeline.run(request),
        lambda response: response.http_response.json(),
        ARMPolling(1),
    )
    assert poller.result()["properties"]["count"] == 2
    assert lab.pool("patched").node_labels == {"a": "b"}
