"""Every other az command of AKS, and those of features, providers and resources, against a real service process.

tools/az-commands.csv says of each command of `az aks` what becomes of it here; a test compares it with az's own table.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from lab import Lab

from tests.support.service import ServiceProcess
from tools.az_commands import STATES, az_commands

V1_ONLY, BOTH, ALSO_BOTH = "Standard_D2_v3", "Standard_D2s_v5", "Standard_D4s_v5"
OF_CLUSTER = "--resource-group rg --cluster-name c1"
CLUSTER = "--resource-group rg --name c1"
IDENTITY = "/subscriptions/s/resourceGroups/rg/providers/Microsoft.ManagedIdentity/userAssignedIdentities/u"
ZONE = "/subscriptions/s/resourceGroups/rg/providers/Microsoft.Network/dnszones/example.com"
AUTO, NODE_OS = "aksManagedAutoUpgradeSchedule", "aksManagedNodeOSUpgradeSchedule"

pytestmark = pytest.mark.az


@pytest.fixture(scope="module")
def cluster(lab: Lab) -> str:
    """Cluster c1 of group rg with node pools sys and np1."""
    lab.service.client.make_cluster()
    lab.service.client.make_pool("np1", {"vmSize": BOTH, "count": 1})
    return lab.service.client.cluster()


def test_every_command_of_az_aks_is_accounted_for(lab: Lab) -> None:
    listed = [row.command for row in az_commands()]
    assert listed == lab.az.inside("list_commands.py", "aks")
    assert {row.state for row in az_commands()} == STATES.keys()


def test_a_snapshot_is_created_shown_listed_tagged_and_waited_for(lab: Lab, cluster: str) -> None:
    pool_id = lab.service.client.pool("np1")
    created = lab.json(f"aks nodepool snapshot create -g rg -n s1 --nodepool-id {pool_id} --tags team=a")
    assert created["creationData"]["sourceResourceId"] == pool_id
    assert (created["nodeImageVersion"], created["osSku"], created["enableFips"]) == (
        lab.pool("np1")["nodeImageVersion"],
        "Ubuntu",
        False,
    )
    heading, row = lab.table("aks nodepool snapshot show -g rg -n s1")
    assert heading == ["Name", "Location", "ResourceGroup", "NodeImageVersion", "KubernetesVersion", "OsType"]
    assert row == ["s1", "eastus", "rg", created["nodeImageVersion"], created["kubernetesVersion"], "Linux"]
    listed, in_group, waited, old_words, missing = lab.together(
        [
            "aks nodepool snapshot list --query [].name --output tsv",
            "aks nodepool snapshot list -g rg --output table",
            "aks nodepool snapshot wait -g rg -n s1 --exists --interval 1 --timeout 10",
            "aks snapshot show -g rg -n s1 --query name --output tsv",
            "aks nodepool snapshot show -g rg -n none",
        ]
    )
    assert (listed.stdout, old_words.stdout, waited.returncode) == ("s1\n", "s1\n", 0)
    assert in_group.stdout.splitlines()[-1].split()[:3] == ["s1", "eastus", "rg"]
    assert (missing.returncode, "(ResourceNotFound)" in missing.stderr) == (3, True)
    assert lab.json("aks nodepool snapshot update -g rg -n s1 --tags stage=test")["tags"] == {"stage": "test"}


def test_the_deprecated_words_for_snapshots_do_the_same(lab: Lab, cluster: str) -> None:
    lab.ok(f"aks snapshot create -g rg -n old --nodepool-id {lab.service.client.pool('np1')}")
    names, waited = lab.together(
        ["aks snapshot list -g rg --query [].name -o tsv", "aks snapshot wait -g rg -n old --exists"]
    )
    assert "old" in names.stdout.split()
    assert waited.returncode == 0
    lab.ok("aks snapshot delete -g rg -n old --yes")
    lab.refused("aks snapshot show -g rg -n old", code=3)


def test_node_pools_and_clusters_are_made_from_a_snapshot_and_upgraded_to_it(lab: Lab, cluster: str) -> None:
    client = lab.service.client
    client.make_pool("gen1", {"vmSize": V1_ONLY, "count": 1})
    snapshot = lab.json(f"aks nodepool snapshot create -g rg -n gen1 --nodepool-id {client.pool('gen1')}")
    added = lab.json(f"aks nodepool add {OF_CLUSTER} -n copy --snapshot-id {snapshot['id']} --node-count 1")
    assert (added["vmSize"], added["nodeImageVersion"]) == (V1_ONLY, snapshot["nodeImageVersion"])
    created = lab.json(
        f"aks create -g rg -n copied --no-ssh-key --node-count 1 --snapshot-id {snapshot['id']} --node-vm-size {BOTH}"
    )
    [profile] = created["agentPoolProfiles"]
    assert profile["nodeImageVersion"] == snapshot["nodeImageVersion"]
    assert profile["creationData"] == {"sourceResourceId": snapshot["id"]}
    refused = lab.refused(
        f"aks nodepool add {OF_CLUSTER} -n bad --snapshot-id {snapshot['id']} --node-vm-size Standard_D4ads_v6"
    )
    assert "(InvalidParameter)" in refused
    assert "boots V1 only" in refused

    newer = lab.json(f"aks nodepool snapshot create -g rg -n newer --nodepool-id {client.pool('np1')}")
    client.make_pool("old", {"vmSize": BOTH, "count": 1, "orchestratorVersion": "1.34"})
    lab.ok(f"aks nodepool upgrade {OF_CLUSTER} -n old --snapshot-id {newer['id']} --yes")
    old = lab.pool("old")
    assert (old["currentOrchestratorVersion"], old["nodeImageVersion"]) == (
        newer["kubernetesVersion"],
        newer["nodeImageVersion"],
    )
    lab.ok(f"aks nodepool scale {OF_CLUSTER} -n old --node-count 2")
    assert lab.pool("old")["creationData"] == {"sourceResourceId": newer["id"]}
    lab.ok(f"aks nodepool upgrade {OF_CLUSTER} -n old --node-image-only")
    assert "creationData" not in lab.pool("old")
    lab.ok(f"aks nodepool upgrade {OF_CLUSTER} -n old --node-image-only --snapshot-id {newer['id']}")
    assert lab.pool("old")["creationData"] == {"sourceResourceId": newer["id"]}
    lab.ok("aks nodepool snapshot delete -g rg -n newer --yes")
    lab.ok(f"aks nodepool scale {OF_CLUSTER} -n old --node-count 1")
    missing = lab.refused(f"aks nodepool add {OF_CLUSTER} -n bad --snapshot-id {newer['id']}", code=3)
    assert "ERROR: Snapshot 'newer' not found." in missing


def test_an_operation_of_a_cluster_is_aborted(az_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    slow = ServiceProcess(tmp_path_factory.mktemp("slow") / "data", simulated_boot_seconds=120).start()
    try:
        lab = Lab(az_path, slow, tmp_path_factory.mktemp("home"))
        slow.client.put(slow.client.group(), json={"location": "eastus"})
        lab.ok("aks create -g rg -n c1 --no-ssh-key --node-count 2 --no-wait")
        assert lab.ok(f"aks operation-abort {CLUSTER}") == ""
        assert lab.json(f"aks show {CLUSTER}")["provisioningState"] == "Canceled"
        assert "(OperationNotAllowed)" in lab.refused(f"aks operation-abort {CLUSTER}")
    finally:
        slow.stop()


def test_maintenance_configurations_are_added_updated_shown_listed_and_deleted(lab: Lab, cluster: str) -> None:
    of_default = f"{OF_CLUSTER} --name default"
    added = lab.json(f"aks maintenanceconfiguration add {of_default} --weekday Monday --start-hour 1")
    assert added["timeInWeek"] == [{"day": "Monday", "hourSlots": [1]}]
    added = lab.json(
        f"aks maintenanceconfiguration add {OF_CLUSTER} --name {AUTO} --schedule-type Weekly --day-of-week Friday "
        "--interval-weeks 3 --duration 8 --utc-offset=+05:30 --start-date 2026-12-01 --start-time 00:00"
    )
    window = added["maintenanceWindow"]
    assert window["schedule"]["weekly"] == {"dayOfWeek": "Friday", "intervalWeeks": 3}
    assert (window["durationHours"], window["utcOffset"], window["startDate"]) == (8, "+05:30", "2026-12-01")
    monthly = f"{OF_CLUSTER} --name {NODE_OS} --schedule-type RelativeMonthly --day-of-week Tuesday --interval-months 1"
    lab.ok(f"aks maintenanceconfiguration add {monthly} --week-index Last --duration 4 --start-time 09:00")
    lab.ok(
        f"aks maintenanceconfiguration update {OF_CLUSTER} --name {NODE_OS} --schedule-type AbsoluteMonthly "
        "--day-of-month 15 --interval-months 3 --duration 4 --start-time 09:00"
    )
    shown, listed, short = lab.together(
        [
            f"aks maintenanceconfiguration show {OF_CLUSTER} --name {NODE_OS}",
            f"aks maintenanceconfiguration list {OF_CLUSTER} --query [].name --output tsv",
            f"aks maintenanceconfiguration update {OF_CLUSTER} --name {AUTO} --schedule-type Daily --interval-days 1 "
            "--duration 3 --start-time 00:00",
        ]
    )
    schedule = json.loads(shown.stdout)["maintenanceWindow"]["schedule"]
    assert (schedule["absoluteMonthly"], schedule["relativeMonthly"]) == ({"dayOfMonth": 15, "intervalMonths": 3}, None)
    assert listed.stdout.split() == [AUTO, NODE_OS, "default"]
    assert (short.returncode, "(InvalidParameter)" in short.stderr) == (1, True)
    lab.ok(f"aks maintenanceconfiguration delete {of_default}")
    assert "(ResourceNotFound)" in lab.refused(f"aks maintenanceconfiguration show {of_default}", code=3)


def test_a_cluster_is_updated_in_what_is_kept_and_in_its_only_node_pool(lab: Lab, cluster: str) -> None:
    lab.service.client.make_cluster("one")
    of_one = "aks update --resource-group rg --name one"
    scaled = lab.json(f"{of_one} --enable-cluster-autoscaler --min-count 2 --max-count 4")["agentPoolProfiles"][0]
    assert (scaled["enableAutoScaling"], scaled["minCount"], scaled["maxCount"], scaled["count"]) == (True, 2, 4, 2)
    scaled = lab.json(f"{of_one} --update-cluster-autoscaler --min-count 1 --max-count 5")["agentPoolProfiles"][0]
    assert (scaled["minCount"], scaled["maxCount"]) == (1, 5)
    scaled = lab.json(f"{of_one} --disable-cluster-autoscaler")["agentPoolProfiles"][0]
    assert (scaled["enableAutoScaling"], scaled["count"]) == (False, 2)
    kept = lab.json(
        f"{of_one} --tags team=a --tier standard --enable-oidc-issuer --enable-workload-identity --enable-keda "
        "--auto-upgrade-channel patch --node-os-upgrade-channel None --api-server-authorized-ip-ranges 1.2.3.4/32 "
        "--enable-image-cleaner --disable-local-accounts --nodepool-labels a=b --nodepool-taints c=d:NoSchedule"
    )
    assert (kept["tags"], kept["sku"]["tier"]) == ({"team": "a"}, "Standard")
    assert kept["oidcIssuerProfile"]["enabled"]
    assert kept["securityProfile"]["workloadIdentity"]["enabled"]
    assert kept["securityProfile"]["imageCleaner"]["enabled"]
    assert kept["workloadAutoScalerProfile"]["keda"]["enabled"]
    assert kept["autoUpgradeProfile"] == {"nodeOsUpgradeChannel": "None", "upgradeChannel": "patch"}
    assert kept["apiServerAccessProfile"]["authorizedIpRanges"] == ["1.2.3.4/32"]
    assert kept["disableLocalAccounts"]
    assert kept["agentPoolProfiles"][0]["nodeLabels"] == {"a": "b"}
    assert kept["agentPoolProfiles"][0]["nodeTaints"] == ["c=d:NoSchedule"]
    again = lab.json(f"{of_one} --tags team=b")
    assert again["tags"] == {"team": "b"}
    for name in ("sku", "oidcIssuerProfile", "securityProfile", "autoUpgradeProfile", "apiServerAccessProfile"):
        assert again[name] == kept[name]


def test_what_works_inside_the_cluster_is_kept_with_it_and_shown(lab: Lab, cluster: str) -> None:
    lab.service.client.make_cluster("kept")
    of_kept = "--resource-group rg --name kept"
    assert lab.json(f"aks enable-addons {of_kept} --addons azure-policy")["addonProfiles"]["azurepolicy"]["enabled"]
    assert not lab.json(f"aks disable-addons {of_kept} --addons azure-policy")["addonProfiles"]["azurepolicy"][
        "enabled"
    ]
    assert lab.json(f"aks approuting enable {of_kept}")["ingressProfile"]["webAppRouting"]["enabled"]
    updated = lab.json(f"aks approuting update {of_kept} --nginx Internal")
    assert updated["ingressProfile"]["webAppRouting"]["nginx"] == {"defaultIngressControllerType": "Internal"}
    assert "No dns zone attached" in lab.refused(f"aks approuting zone list {of_kept}")
    assert not lab.json(f"aks approuting disable {of_kept} --yes")["ingressProfile"]["webAppRouting"]["enabled"]
    assert lab.json(f"aks mesh enable {of_kept}")["serviceMeshProfile"]["mode"] == "Istio"
    assert lab.json(f"aks mesh disable {of_kept} --yes")["serviceMeshProfile"]["mode"] == "Disabled"
    assert "/workloads" in lab.ok(f"aks browse {of_kept} --disable-browser")


def test_networks_and_registries_are_not_here_and_az_says_so(lab: Lab, cluster: str) -> None:
    subnet = f"{lab.service.client.group()}/providers/Microsoft.Network/virtualNetworks/v/subnets/s"
    create = "aks create -g rg --no-ssh-key --node-count 1 --name"
    skipped, asked, attached = lab.together(
        [
            f"{create} skipped --vnet-subnet-id {subnet} --skip-subnet-role-assignment",
            f"{create} asked --vnet-subnet-id {subnet}",
            f"{create} attached --attach-acr registry",
        ]
    )
    assert skipped.returncode == 0, skipped.stderr
    assert json.loads(skipped.stdout)["agentPoolProfiles"][0]["vnetSubnetId"] == subnet
    assert (asked.returncode, "(InvalidResourceType)" in asked.stderr) == (3, True)
    assert (attached.returncode, "'Microsoft.ContainerRegistry/registries' could not be found" in attached.stderr) == (
        1,
        True,
    )
    names = {row["name"] for row in lab.service.client.get(f"{lab.service.client.group()}/resources").json()["value"]}
    # az looks for the registry when the cluster is there.
    assert (names & {"skipped", "asked", "attached"}) == {"skipped", "attached"}


def test_zones_and_gateways_are_kept_with_the_cluster(lab: Lab, cluster: str) -> None:
    client = lab.service.client
    for name in ("zones", "gates"):
        client.make_cluster(name)
    routing = ("aks approuting", "-g rg -n zones")
    mesh = ("aks mesh", "-g rg -n gates")
    # Each of one cluster after the other, and of both clusters at a time.
    for (one, more), (other, further) in zip(
        (
            ("enable", ""),
            ("zone add", f"--ids {ZONE}"),
            ("zone update", f"--ids {ZONE}"),
            ("zone list", ""),
            ("gateway istio enable", ""),
            ("gateway istio disable", "--yes"),
        ),
        (
            ("enable", ""),
            ("enable-ingress-gateway", "--ingress-gateway-type Internal"),
            ("enable-egress-gateway", "--istio-egressgateway-name out --gateway-configuration-name way"),
            ("proxy-redirection-mechanism", "--mechanism CNIChaining"),
            ("disable-ingress-gateway", "--ingress-gateway-type Internal --yes"),
            ("disable-egress-gateway", "--istio-egressgateway-name out --yes"),
        ),
        strict=True,
    ):
        commands = [f"{routing[0]} {one} {routing[1]} {more}", f"{mesh[0]} {other} {mesh[1]} {further}"]
        for command, outcome in zip(commands, lab.together(commands), strict=True):
            assert outcome.returncode == 0, f"{command}: {outcome.stderr}"
    routed = client.get(client.cluster("zones")).json()["properties"]["ingressProfile"]["webAppRouting"]
    assert routed["dnsZoneResourceIds"] == [ZONE]
    assert routed["gatewayAPIImplementations"]["appRoutingIstio"]["mode"] == "Disabled"
    istio = client.get(client.cluster("gates")).json()["properties"]["serviceMeshProfile"]["istio"]
    assert istio["components"]["proxyRedirectionMechanism"] == "CNIChaining"
    assert [gateway["enabled"] for gateway in istio["components"]["ingressGateways"]] == [False]
    assert [gateway["enabled"] for gateway in istio["components"]["egressGateways"]] == [False]
    deleted, start, complete, rollback = lab.together(
        [
            f"aks approuting zone delete -g rg -n zones --ids {ZONE} --yes",
            "aks mesh upgrade start -g rg -n gates --revision asm-1-27",
            "aks mesh upgrade complete -g rg -n gates --yes",
            "aks mesh upgrade rollback -g rg -n gates --yes",
        ]
    )
    assert deleted.returncode == 0, deleted.stderr
    assert (start.returncode, "(OperationNotOffered)" in start.stderr) == (1, True)
    # az counts the revisions of the mesh, of which it is told none.
    assert (complete.returncode, rollback.returncode) == (1, 1)


def test_autoscale_profiles_are_kept_with_the_node_pool(lab: Lab, cluster: str) -> None:
    scale = {"scale": {"manual": [{"size": BOTH, "count": 1}]}}
    lab.service.client.make_pool("vms", {"type": "VirtualMachines", "virtualMachinesProfile": scale})
    of_pool = f"{OF_CLUSTER} --name vms"
    lab.ok(f"aks nodepool auto-scale add {of_pool} --node-vm-size {BOTH} --min-count 1 --max-count 2")
    lab.ok(f"aks nodepool auto-scale update {of_pool} --current-node-vm-size {BOTH} --max-count 3")
    kept = lab.pool("vms")["virtualMachinesProfile"]["scale"]
    assert kept == {"manual": [{"size": BOTH, "count": 1}], "autoscale": [{"size": BOTH, "minCount": 1, "maxCount": 3}]}
    lab.ok(f"aks nodepool auto-scale delete {of_pool} --current-node-vm-size {BOTH} --yes")
    assert lab.pool("vms")["virtualMachinesProfile"]["scale"]["autoscale"] == []


REFUSED = {
    "command invoke": f"{CLUSTER} --command hostname",
    "command result": f"{CLUSTER} --command-id 5",
    "identity-binding create": f"{OF_CLUSTER} --name x --managed-identity-resource-id {IDENTITY}",
    "identity-binding delete": f"{OF_CLUSTER} --name x --yes",
    "identity-binding list": OF_CLUSTER,
    "identity-binding show": f"{OF_CLUSTER} --name x",
    "mesh get-revisions": "--location eastus",
    "mesh get-upgrades": CLUSTER,
    "namespace list": OF_CLUSTER,
    "namespace show": f"{OF_CLUSTER} --name x",
    "namespace add": f"{OF_CLUSTER} --name x --cpu-request 1m --cpu-limit 1m --memory-request 1Mi --memory-limit 1Mi",
    "namespace update": f"{OF_CLUSTER} --name x --cpu-request 1m",
    "namespace delete": f"{OF_CLUSTER} --name x",
    "namespace get-credentials": f"{OF_CLUSTER} --name x",
    "oidc-issuer rotate-signing-keys": f"{CLUSTER} --yes",
    "rotate-certs": f"{CLUSTER} --yes",
    "safeguards show": CLUSTER,
    "safeguards list": CLUSTER,
    "safeguards update": f"{CLUSTER} --level Warn",
    "safeguards wait": f"{CLUSTER} --exists --timeout 5 --interval 1",
    "safeguards delete": f"{CLUSTER} --yes",
    "trustedaccess role list": "--location eastus",
    "trustedaccess rolebinding create": f"{OF_CLUSTER} --name x --source-resource-id {IDENTITY} --roles a/b",
    "trustedaccess rolebinding update": f"{OF_CLUSTER} --name x --roles a/b",
    "trustedaccess rolebinding list": OF_CLUSTER,
    "trustedaccess rolebinding show": f"{OF_CLUSTER} --name x",
    "trustedaccess rolebinding delete": f"{OF_CLUSTER} --name x --yes",
    "update-credentials": f"{CLUSTER} --reset-service-principal --service-principal x --client-secret y",
}


def test_what_is_not_offered_says_so_and_why(lab: Lab, cluster: str) -> None:
    before = lab.service.client.get(cluster).json()
    outcomes = lab.together([f"aks {command} {arguments}" for command, arguments in REFUSED.items()])
    for command, outcome in zip(REFUSED, outcomes, strict=True):
        assert outcome.returncode == 1, f"{command}: {outcome.stdout} {outcome.stderr}"
        assert "Traceback" not in outcome.stderr, command
        told = re.search(
            r"ERROR: \(OperationNotOffered\) The operation (\w+) of Microsoft.ContainerService", outcome.stderr
        )
        assert told is not None, f"{command}: {outcome.stderr}"
    assert lab.service.client.get(cluster).json() == before


def test_features_and_providers_are_registered_and_listed(lab: Lab) -> None:
    name = "--namespace Microsoft.ContainerService --name AgentPoolVMSSResize"
    registered = lab.json(f"feature register {name}")
    assert (registered["name"], registered["properties"]["state"]) == (
        "Microsoft.ContainerService/AgentPoolVMSSResize",
        "Registered",
    )
    shown, listed, everything, providers, kept = lab.together(
        [
            f"feature show {name} --query properties.state --output tsv",
            "feature list --namespace Microsoft.ContainerService --output table",
            "feature list --query [].name --output tsv",
            "provider list --query [].namespace --output tsv",
            "provider unregister --namespace Microsoft.ContainerService",
        ]
    )
    assert shown.stdout == "Registered\n"
    assert ["Microsoft.ContainerService/AgentPoolVMSSResize", "Registered"] in [
        line.split() for line in listed.stdout.splitlines()
    ]
    assert everything.stdout == "Microsoft.ContainerService/AgentPoolVMSSResize\n"
    assert {"Microsoft.ContainerService", "Microsoft.Features"} <= set(providers.stdout.split())
    assert (kept.returncode, "(OperationNotAllowed)" in kept.stderr) == (1, True)
    assert lab.json(f"feature unregister {name}")["properties"]["state"] == "Unregistered"
    lab.ok("provider register --namespace Microsoft.ContainerService --wait")


def test_resources_are_listed_by_filter_and_shown_by_any_type(lab: Lab, cluster: str) -> None:
    client = lab.service.client
    client.make_cluster("listed")
    client.done(client.patch(client.cluster("listed"), json={"tags": {"listed": "yes"}}))
    of_type = "--resource-type Microsoft.ContainerService/managedClusters"
    names = "--query [].name --output tsv"
    by_name, by_tag, by_prefix, none, shown, pool, tagged = lab.together(
        [
            f"resource list --resource-group rg {of_type} --name listed --location eastus {names}",
            f"resource list --tag listed=yes {names}",
            f"resource list --tag list* {names}",
            f"resource list --resource-type Microsoft.ContainerRegistry/registries {names}",
            f"resource show --resource-group rg {of_type} --name listed --query location --output tsv",
            f"resource show --ids {client.pool('np1')} --query properties.vmSize --output tsv",
            f"resource tag --resource-group rg {of_type} --name c1 --tags by=resource --query tags.by --output tsv",
        ]
    )
    assert (by_name.stdout, by_tag.stdout, by_prefix.stdout, none.stdout) == ("listed\n", "listed\n", "listed\n", "")
    assert (shown.stdout, pool.stdout, tagged.stdout) == ("eastus\n", f"{BOTH}\n", "resource\n")
    status = {row[0]: row[-1] for row in lab.table("resource list --resource-group rg")}
    assert status["listed"] == "Succeeded"


def test_the_tags_of_a_group_are_updated(lab: Lab) -> None:
    client = lab.service.client
    client.put(client.group("tagged"), json={"location": "eastus", "tags": {"a": "1"}})
    assert lab.json("group update --name tagged --set tags.b=2")["tags"] == {"a": "1", "b": "2"}
    assert lab.json("group update --name tagged --tags c=3")["tags"] == {"c": "3"}
    shown: dict[str, Any] = client.get(client.group("tagged")).json()
    assert (shown["tags"], shown["location"]) == ({"c": "3"}, "eastus")


def test_a_rollback_goes_back_to_a_version_with_the_same_image(lab: Lab, cluster: str) -> None:
    client = lab.service.client
    client.make_cluster("back", kubernetesVersion="1.36.2")
    client.done(client.put(client.pool("np1", "back"), json={"properties": {"orchestratorVersion": "1.35.7"}}))
    client.done(client.put(client.pool("np1", "back"), json={"properties": {"orchestratorVersion": "1.36.2"}}))
    image = lab.pool("np1", "back")["nodeImageVersion"]
    of_pool = "--resource-group rg --cluster-name back --nodepool-name np1"
    assert lab.table(f"aks nodepool get-rollback-versions {of_pool}")[1][:2] == ["1.35.7", image]
    lab.ok(f"aks nodepool rollback {of_pool}")
    back = lab.pool("np1", "back")
    assert (back["currentOrchestratorVersion"], back["nodeImageVersion"]) == ("1.35.7", image)
