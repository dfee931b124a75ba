"""Every az command the service offers: the real az against a real service process.

The tests share one service and one az. Those that change something do so on names of their own; what
is not under test is set up over plain HTTP, because each start of az costs half a second.
"""

from __future__ import annotations

import base64
import json
import re
import ssl
from pathlib import Path
from typing import Any

import httpx
import pytest
from lab import Lab

from tests.support.service import ServiceProcess

V1_ONLY, BOTH, ALSO_BOTH, V2_ONLY = "Standard_D2_v3", "Standard_D2s_v5", "Standard_D4s_v5", "Standard_D4ads_v6"
OF_CLUSTER = "--resource-group rg --cluster-name c1"
WINDOWS_GEN2 = "--os-type Windows --os-sku Windows2022 --aks-custom-headers UseWindowsGen2VM=true"

CLUSTER_COLUMNS = [
    "Name",
    "Location",
    "ResourceGroup",
    "KubernetesVersion",
    "CurrentKubernetesVersion",
    "ProvisioningState",
    "Fqdn",
]
POOL_COLUMNS = ["Name", "OsType", "KubernetesVersion", "VmSize", "Count", "MaxPods", "ProvisioningState", "Mode"]
MACHINE_COLUMNS = ["Name", "Ip", "Zones"]
ADDED_COLUMNS = ["NodeImageVersion", "Generation"]

pytestmark = pytest.mark.az


@pytest.fixture(scope="module")
def cluster(lab: Lab) -> dict[str, Any]:
    """Group rg and cluster c1 with one System node pool, as az creates them and prints them."""
    lab.ok("group create --name rg --location eastus")
    created: dict[str, Any] = lab.json("aks create --resource-group rg --name c1 --no-ssh-key --node-count 1")
    return created


@pytest.fixture(scope="module")
def windows_gen2(lab: Lab, cluster: dict[str, Any]) -> dict[str, Any]:
    """What az prints for the documented Windows command; the page names neither a count nor a location."""
    added: dict[str, Any] = lab.json(
        "aks nodepool add --resource-group rg --cluster-name c1 --name npwin "
        f"--vm-size {BOTH} --os-type Windows --os-sku Windows2022 --aks-custom-headers UseWindowsGen2VM=true"
    )
    return added


def test_a_resource_group_is_created_shown_listed_and_deleted(lab: Lab) -> None:
    created = lab.json("group create --name others --location westus2 --tags team=blue")
    shown, listed, exists, missing, not_there = lab.together(
        [
            "group show --name others",
            "group list --output table",
            "group exists --name others",
            "group exists --name nowhere",
            "group show --name nowhere",
        ]
    )
    assert json.loads(shown.stdout) == created
    assert (created["location"], created["tags"]) == ("westus2", {"team": "blue"})
    assert listed.stdout.splitlines()[0].split() == ["Name", "Location", "Status"]
    assert ["others", "westus2", "Succeeded"] in [line.split() for line in listed.stdout.splitlines()]
    assert (exists.stdout, missing.stdout) == ("true\n", "false\n")
    assert not_there.returncode == 3
    assert "(ResourceGroupNotFound)" in not_there.stderr

    lab.ok("group delete --name others --yes")

    assert lab.ok("group exists --name others") == "false\n"


def test_the_account_its_locations_and_providers_are_found(lab: Lab) -> None:
    account, locations, provider, registered, unknown = lab.together(
        [
            "account show",
            "account list-locations",
            "provider show --namespace Microsoft.ContainerService",
            "provider register --namespace Microsoft.ContainerService --wait",
            "provider show --namespace Microsoft.Unknown",
        ]
    )
    assert json.loads(account.stdout)["id"] == lab.service.credentials["subscriptionId"]
    places = [(place["name"], place["displayName"]) for place in json.loads(locations.stdout)]
    assert places == [("eastus", "East US"), ("westus2", "West US 2")]
    shown = json.loads(provider.stdout)
    assert (shown["namespace"], shown["registrationState"]) == ("Microsoft.ContainerService", "Registered")
    assert "managedClusters/agentPools" in [kind["resourceType"] for kind in shown["resourceTypes"]]
    assert registered.returncode == 0, registered.stderr
    assert unknown.returncode == 3


def test_list_skus_prints_and_filters_sizes_as_azure_does(lab: Lab) -> None:
    printed, in_zones, both_locations, disks, unknown = lab.together(
        [
            f"vm list-skus --location eastus --size {BOTH} --output table",
            f"vm list-skus --location EASTUS --size d2s_v5 --zone --all --output json --query [?name=='{BOTH}'].name",
            f"vm list-skus --size {V2_ONLY} --resource-type virtualMachines --output json",
            "vm list-skus --location eastus --resource-type disks",
            "vm list-skus --location eastus --size Standard_Unknown",
        ]
    )
    assert printed.stdout.splitlines() == [
        "ResourceType     Locations    Name             Zones    Restrictions",
        "---------------  -----------  ---------------  -------  --------------",
        "virtualMachines  eastus       Standard_D2s_v5  1,2,3    None",
    ]
    assert json.loads(in_zones.stdout) == [BOTH]
    found = json.loads(both_locations.stdout)
    assert sorted(sku["locations"] for sku in found) == [["eastus"], ["westus2"]]
    for sku in found:
        assert {part["name"]: part["value"] for part in sku["capabilities"]}["HyperVGenerations"] == "V2"
    displayed = lab.az.run(f"vm list-skus --size {BOTH} --output json --query [].name --location", "East US")
    assert json.loads(displayed.stdout) == [BOTH]
    assert (disks.stdout, unknown.stdout) == ("[]\n", "[]\n")


def test_a_cluster_is_printed_as_azure_prints_it_and_created_only_once(lab: Lab, cluster: dict[str, Any]) -> None:
    assert cluster["provisioningState"] == "Succeeded"
    assert cluster["windowsProfile"]["adminUsername"] == "azureuser"
    assert cluster["identity"]["principalId"]
    [system] = cluster["agentPoolProfiles"]
    assert (system["name"], system["mode"], system["count"]) == ("nodepool1", "System", 1)
    row = [
        "c1",
        "eastus",
        "rg",
        cluster["kubernetesVersion"],
        cluster["currentKubernetesVersion"],
        "Succeeded",
        cluster["fqdn"],
    ]
    assert lab.table("aks show --resource-group rg --name c1") == [CLUSTER_COLUMNS, row]
    listed, in_group, again, missing, no_group = lab.together(
        [
            "aks list --output table",
            "aks list --resource-group rg --query [].name --output tsv",
            "aks create --resource-group rg --name c1 --no-ssh-key",
            "aks show --resource-group rg --name c9",
            "aks list --resource-group nowhere",
        ]
    )
    assert [line.split() for line in listed.stdout.splitlines() if line.startswith("c1 ")] == [row]
    assert in_group.stdout == "c1\n"
    assert (again.returncode, "already exists" in again.stderr) == (1, True)
    assert (missing.returncode, "(ResourceNotFound)" in missing.stderr) == (3, True)
    assert (no_group.returncode, "(ResourceGroupNotFound)" in no_group.stderr) == (3, True)


def test_a_cluster_is_created_and_deleted_without_waiting_and_its_windows_password_is_nowhere(lab: Lab) -> None:
    password = "Correct-Horse-7-Battery"
    lab.ok("group create --name brief --location eastus")
    printed = lab.ok(
        "aks create --resource-group brief --name c2 --no-ssh-key --no-wait --node-count 1 "
        f"--windows-admin-username operator --windows-admin-password {password}"
    )
    assert printed == ""
    lab.ok("aks wait --resource-group brief --name c2 --created --interval 1 --timeout 30")
    cluster = lab.json("aks show --resource-group brief --name c2")
    assert cluster["provisioningState"] == "Succeeded"
    assert cluster["windowsProfile"]["adminUsername"] == "operator"
    assert cluster["windowsProfile"]["adminPassword"] is None
    stored = [path for path in lab.service.data_dir.rglob("*") if path.is_file() and "azure-cli" not in path.parts]
    assert stored
    assert [path for path in [*stored, lab.service.log_path] if password.encode() in path.read_bytes()] == []

    assert lab.ok("aks delete --resource-group brief --name c2 --yes --no-wait") == ""
    lab.ok("aks wait --resource-group brief --name c2 --deleted --interval 1 --timeout 30")

    lab.refused("aks show --resource-group brief --name c2", code=3)


def test_the_kubeconfig_leads_to_an_answer_that_says_no_cluster_is_attached(
    lab: Lab, cluster: dict[str, Any], tmp_path: Path
) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    get_credentials = "aks get-credentials --resource-group rg --name c1 --file"
    lab.ok(get_credentials, str(kubeconfig))
    lab.ok(get_credentials, str(kubeconfig), "--admin")

    text = kubeconfig.read_text()
    assert "current-context: c1-admin" in text
    [server] = set(re.findall(r"server: (\S+)", text))
    [authority] = set(re.findall(r"certificate-authority-data: (\S+)", text))
    assert server == f"{lab.service.url}/kube/c1"
    context = ssl.create_default_context(cadata=base64.b64decode(authority).decode())
    for method, path in (("GET", "/api/v1/nodes?limit=500"), ("GET", ""), ("POST", "/api/v1/namespaces")):
        reply = httpx.request(method, f"{server}{path}", verify=context)
        assert reply.status_code == 503
        status = reply.json()
        assert (status["kind"], status["apiVersion"], status["code"]) == ("Status", "v1", 503)
        assert status["reason"] == "NoClusterAttached"
        assert status["message"].count(".") == 1


def test_restricted_sizes_are_printed_and_hidden_as_azure_does(lab: Lab, cluster: dict[str, Any]) -> None:
    client = lab.service.client
    size = "/_poolwright/locations/westus2/sizes"
    in_zone_1 = {
        "type": "Zone",
        "reasonCode": "NotAvailableForSubscription",
        "restrictionInfo": {"locations": ["westus2"], "zones": ["1"]},
    }
    in_all = {"type": "Location", "reasonCode": "NotAvailableForSubscription"}
    quota = {"type": "Location", "reasonCode": "QuotaId"}
    for name, restriction in ((BOTH, in_all), (ALSO_BOTH, in_zone_1), (V2_ONLY, quota)):
        assert client.put(f"{size}/{name}", json={"restrictions": [restriction]}).status_code == 200
    everything, usable = lab.together(
        [
            "vm list-skus --location westus2 --all --size Standard_D --output table",
            "vm list-skus --location westus2 --output json --query [].name",
        ]
    )
    assert everything.returncode == 0, everything.stderr
    rows = {line.split()[2]: line for line in everything.stdout.splitlines()[2:]}
    restrictions = {name: rows[name].partition("1,2,3")[2].strip() for name in (BOTH, ALSO_BOTH, V2_ONLY, V1_ONLY)}
    assert restrictions == {
        BOTH: "NotAvailableForSubscription, type: Location, locations: westus2",
        ALSO_BOTH: "NotAvailableForSubscription, type: Zone, locations: westus2, zones: 1",
        V2_ONLY: "QuotaId, type: Location, locations: westus2",
        V1_ONLY: "None",
    }
    names = json.loads(usable.stdout)
    assert BOTH not in names
    assert {ALSO_BOTH, V2_ONLY, V1_ONLY} <= set(names)
    refused = lab.refused(f"aks create --resource-group rg --name c9 --no-ssh-key --location westus2 -s {BOTH}")
    assert f"(VMSizeNotSupported) Virtual Machine size: '{BOTH}' is not supported for subscription" in refused
    client.delete("/_poolwright/locations/westus2/catalog")


def test_what_az_prints_is_imported_and_printed_again(lab: Lab, tmp_path: Path) -> None:
    client = lab.service.client
    theirs, versions, before = lab.together(
        [
            "vm list-skus --all --location westus2 --output json",
            "aks get-versions --location westus2 --output json",
            "vm list-sizes --location westus2 --output json",
        ]
    )
    skus = json.loads(theirs.stdout)
    kept = skus[:3]
    kept[0]["capabilities"].append({"name": "SomethingNew", "value": "yes"})
    releases = json.loads(versions.stdout)["values"]
    newest = [release for release in releases if release["version"] in ("1.34", "1.35")]
    catalog = "/_poolwright/catalog"
    content = b"\x1e" + json.dumps(kept).encode() + b"\x1e" + json.dumps({"values": newest}).encode()
    reply = client.put(catalog, content=content, params={"api-version": "2026-06-01", "location": "westus2"})
    assert reply.status_code == 200, reply.text
    again, sizes, table, printed = lab.together(
        [
            "vm list-skus --all --location westus2 --output json",
            "vm list-sizes --location westus2 --output json",
            "vm list-sizes --location westus2 --output table",
            "aks get-versions --location westus2 --output json",
        ]
    )
    shown = json.loads(again.stdout)
    assert [sku["name"] for sku in shown] == [sku["name"] for sku in kept]
    for old, new in zip(kept, shown, strict=True):
        assert sorted(map(str, new.pop("capabilities"))) == sorted(map(str, old.pop("capabilities")))
        assert new == old
    names = [sku["name"] for sku in kept]
    assert [size["name"] for size in json.loads(sizes.stdout)] == names
    assert json.loads(sizes.stdout) == json.loads(before.stdout)[:3]
    assert table.returncode == 0, table.stderr
    assert [release["version"] for release in json.loads(printed.stdout)["values"]] == ["1.34", "1.35"]
    client.delete(catalog)


def test_versions_and_upgrades_are_printed(lab: Lab, cluster: dict[str, Any]) -> None:
    table, versions, upgrades, upgrades_table = lab.together(
        [
            "aks get-versions --location eastus --output table",
            "aks get-versions --location eastus",
            "aks get-upgrades --resource-group rg --name c1",
            "aks get-upgrades --resource-group rg --name c1 --output table",
        ]
    )
    assert table.stdout.splitlines()[0].split() == ["KubernetesVersion", "IsPreview", "Upgrades", "SupportPlan"]
    [default] = [value for value in json.loads(versions.stdout)["values"] if value["isDefault"]]
    assert default["version"] == cluster["kubernetesVersion"]
    assert cluster["currentKubernetesVersion"] in default["patchVersions"]
    control_plane = json.loads(upgrades.stdout)["controlPlaneProfile"]
    assert control_plane["kubernetesVersion"] == cluster["currentKubernetesVersion"]
    targets = [target["kubernetesVersion"] for target in control_plane["upgrades"]]
    assert targets
    assert [line.split() for line in upgrades_table.stdout.splitlines()[::2]] == [
        ["Name", "ResourceGroup", "MasterVersion", "Upgrades"],
        ["default", "rg", cluster["currentKubernetesVersion"], *", ".join(targets).split()],
    ]


def test_the_documented_windows_add_and_show_end_with_a_gen2_image(lab: Lab, windows_gen2: dict[str, Any]) -> None:
    assert windows_gen2["provisioningState"] == "Succeeded"
    assert (windows_gen2["osType"], windows_gen2["osSku"], windows_gen2["vmSize"]) == ("Windows", "Windows2022", BOTH)

    shown = lab.json("aks nodepool show --resource-group rg --cluster-name c1 --name npwin")

    assert "gen2" in shown["nodeImageVersion"]
    block = shown["poolwright"]
    assert (block["requestedGeneration"], block["requestedBy"]) == ("V2", "header")
    assert block["resolvedGeneration"] == "V2"
    assert block["observedGenerations"] == {"V1": 0, "V2": shown["count"], "unknown": 0}
    assert (block["rule"]["id"], block["observedBy"]) == ("gen2-header", "simulated")
    assert {name: value for name, value in shown.items() if name != "poolwright"} == windows_gen2


def test_the_documented_updates_make_generation_2_node_pools(lab: Lab, cluster: dict[str, Any]) -> None:
    lab.service.client.make_pool("lin", {"vmSize": V1_ONLY, "count": 3})
    lab.service.client.make_pool("win", {"vmSize": BOTH, "osType": "Windows", "osSKU": "Windows2022", "count": 2})
    documented = {
        "lin": f"aks nodepool update --resource-group rg --cluster-name c1 --name lin --vm-size {BOTH} --os-type Linux",
        "win": f"aks nodepool update --resource-group rg --cluster-name c1 --name win --vm-size {ALSO_BOTH} "
        "--os-type Windows --os-sku Windows2022 --aks-custom-headers UseWindowsGen2VM=true",
    }
    before = {name: lab.pool(name) for name in documented}
    for name, outcome in zip(documented, lab.together(list(documented.values())), strict=True):
        assert outcome.returncode == 0, outcome.stderr
        assert before[name]["poolwright"]["resolvedGeneration"] == "V1"
        assert "gen2" not in before[name]["nodeImageVersion"]
        printed = json.loads(outcome.stdout)
        assert "gen2" in printed["nodeImageVersion"]
        after = lab.pool(name)
        assert after["nodeImageVersion"] == printed["nodeImageVersion"]
        assert after["vmSize"] == printed["vmSize"] != before[name]["vmSize"]
        assert after["poolwright"]["observedGenerations"] == {"V1": 0, "V2": before[name]["count"], "unknown": 0}
    shown = lab.json(f"aks nodepool show {OF_CLUSTER} --name lin")
    assert "gen2" in shown["nodeImageVersion"]


def test_pools_are_shown_in_tables_with_image_and_generation(lab: Lab, windows_gen2: dict[str, Any]) -> None:
    lab.ok(f"aks nodepool add {OF_CLUSTER} --name np1 --node-vm-size {V1_ONLY} --node-count 2 --zones 1 2")
    show, listed, machines, machine = (
        f"aks nodepool show {OF_CLUSTER} --name np1",
        f"aks nodepool list {OF_CLUSTER}",
        f"aks machine list {OF_CLUSTER} --nodepool-name np1",
        f"aks machine show {OF_CLUSTER} --nodepool-name np1 --machine-name",
    )
    pool = lab.pool("np1")
    version, image = pool["orchestratorVersion"], pool["nodeImageVersion"]
    row = ["np1", "Linux", version, V1_ONLY, "2", "250", "Succeeded", "User", image, "V1"]
    assert "gen2" not in image
    assert lab.table(show) == [POOL_COLUMNS + ADDED_COLUMNS, row]
    heading, *rows = lab.table(listed)
    assert heading == POOL_COLUMNS + ADDED_COLUMNS
    assert row in rows
    assert [cells[-2:] for cells in rows if cells[0] == "npwin"] == [[windows_gen2["nodeImageVersion"], "V2"]]

    heading, *rows = lab.table(machines)
    assert heading == MACHINE_COLUMNS + ADDED_COLUMNS
    assert [(cells[2], cells[4]) for cells in rows] == [("1", "V1"), ("2", "V1")]
    names = [cells[0] for cells in rows]
    shown, missing = lab.together([f"{machine} {names[0]}", f"{machine} m9"])
    block = json.loads(shown.stdout)["poolwright"]
    assert (block["firmware"], block["observedGeneration"], block["resolvedGeneration"]) == ("bios", "V1", "V1")
    assert block["rule"]["id"] == pool["poolwright"]["rule"]["id"] == "gen1-only-size"
    assert missing.returncode == 3


def test_every_verb_that_puts_leaves_a_windows_gen2_pool_alone(lab: Lab) -> None:
    """The wish: asked for once, by header or by property, it outlives each PUT of the whole pool."""
    client = lab.service.client
    client.make_cluster("wish", kubernetesVersion="1.34.8")
    of_wish = "--resource-group rg --cluster-name wish"
    lab.ok(f"aks nodepool add {of_wish} --name header --node-count 1 --vm-size {BOTH} {WINDOWS_GEN2}")
    body = {"vmSize": BOTH, "osType": "Windows", "osSKU": "Windows2022", "vmGeneration": "V2", "count": 1}
    url = f"{client.pool('prop', 'wish')}?api-version=2026-06-01"
    printed = lab.json("rest --method put --url", url, "--body", json.dumps({"properties": body}))
    assert printed["properties"]["vmGeneration"] == "V2"
    lab.ok(f"aks nodepool wait {of_wish} --name prop --created --interval 1 --timeout 30")

    def on_both(command: str, **changed: object) -> None:
        """Run the command for both pools and check that it did its work, and did not touch the generation."""
        for outcome in lab.together([command.replace("POOL", name) for name in wishes]):
            assert outcome.returncode == 0, outcome.stderr
        generation_stayed()
        for name in wishes:
            found = lab.pool(name, "wish")
            assert {key: found[key] for key in changed} == changed

    def generation_stayed() -> None:
        for name, source in wishes.items():
            found = lab.pool(name, "wish")
            block = found["poolwright"]
            assert found["provisioningState"] == "Succeeded"
            assert (block["requestedGeneration"], block["requestedBy"]) == ("V2", source)
            assert (block["resolvedGeneration"], block["image"]["definition"]) == ("V2", "windows-2022-containerd-gen2")
            assert found["vmGeneration"] == "V2"
            assert "gen2" in found["nodeImageVersion"]
            assert block["observedGenerations"] == {"V1": 0, "V2": found["count"], "unknown": 0}

    wishes = {"header": "header", "prop": "property"}
    generation_stayed()
    ids = f"--ids {client.pool('POOL', 'wish')}"
    on_both(f"aks nodepool scale {of_wish} --name POOL --node-count 2", count=2)
    on_both(f"aks nodepool update {of_wish} --name POOL --labels a=b c=d", nodeLabels={"a": "b", "c": "d"})
    on_both(f"aks nodepool stop {of_wish} --nodepool-name POOL", powerState={"code": "Stopped"})
    on_both(f"aks nodepool start {of_wish} --nodepool-name POOL", powerState={"code": "Running"})
    # az echoes every read-only property it was shown, eTag and the poolwright block among them.
    on_both(f"resource update {ids} --set properties.nodeLabels.e=f", nodeLabels={"a": "b", "c": "d", "e": "f"})
    on_both(f"aks nodepool update {of_wish} --name POOL", count=2)

    lab.ok("aks scale --resource-group rg --name wish --nodepool-name header --node-count 3")
    generation_stayed()
    assert lab.pool("header", "wish")["count"] == 3
    lab.ok("aks update --resource-group rg --name wish --tags team=blue --nodepool-labels a=b")
    generation_stayed()
    assert lab.pool("prop", "wish")["nodeLabels"] == {"a": "b"}
    lab.ok("aks upgrade --resource-group rg --name wish --control-plane-only --kubernetes-version 1.35.5 --yes")
    generation_stayed()
    assert lab.pool("header", "wish")["currentOrchestratorVersion"] == "1.34.8"
    upgrade = f"aks nodepool upgrade {of_wish} --name POOL --yes"
    on_both(f"{upgrade} --kubernetes-version 1.35.4", currentOrchestratorVersion="1.35.4")
    # Without a version az sends a blank one: the cluster's.
    on_both(upgrade, currentOrchestratorVersion="1.35.5")
    lab.ok("aks upgrade --resource-group rg --name wish --kubernetes-version 1.36.2 --yes")
    generation_stayed()
    assert lab.pool("prop", "wish")["currentOrchestratorVersion"] == "1.36.2"


def test_resource_update_and_rest_change_the_size_and_with_it_the_generation(lab: Lab, cluster: dict[str, Any]) -> None:
    client = lab.service.client
    for name in ("byres", "byrest"):
        client.make_pool(name, {"vmSize": V1_ONLY, "count": 2})
    lab.ok(f"resource update --ids {client.pool('byres')} --set properties.vmSize={BOTH}")
    url = f"{client.pool('byrest')}?api-version=2026-06-01"
    lab.ok("rest --method put --url", url, "--body", json.dumps({"properties": {"vmSize": V2_ONLY}}))
    lab.ok(f"aks nodepool wait {OF_CLUSTER} --name byrest --updated --interval 1 --timeout 30")

    for name, size in (("byres", BOTH), ("byrest", V2_ONLY)):
        pool = lab.pool(name)
        assert (pool["vmSize"], pool["poolwright"]["observedGenerations"]["V2"]) == (size, 2)
        assert "gen2" in pool["nodeImageVersion"]


def test_a_pool_goes_back_to_the_kubernetes_version_and_image_it_had(lab: Lab) -> None:
    client = lab.service.client
    client.make_cluster("back", kubernetesVersion="1.34.8")
    of_back = "--resource-group rg --cluster-name back"
    client.done(client.put(client.pool("np1", "back"), json={"properties": {"vmSize": BOTH, "count": 2}}))
    old = lab.pool("np1", "back")
    versions = f"aks nodepool get-rollback-versions {of_back} --nodepool-name np1"
    assert lab.ok(versions) == ""
    assert "No rollback versions available" in lab.refused(f"aks nodepool rollback {of_back} --nodepool-name np1")
    lab.ok("aks upgrade --resource-group rg --name back --kubernetes-version 1.35.5 --yes")
    assert "2404gen2" in lab.pool("np1", "back")["nodeImageVersion"]

    (recent,) = lab.json(versions)
    assert (recent["orchestratorVersion"], recent["nodeImageVersion"]) == ("1.34.8", old["nodeImageVersion"])
    lab.ok(f"aks nodepool rollback {of_back} --nodepool-name np1")

    pool = lab.pool("np1", "back")
    assert (pool["currentOrchestratorVersion"], pool["nodeImageVersion"]) == ("1.34.8", old["nodeImageVersion"])
    upgrades = lab.json(f"aks nodepool get-upgrades {of_back} --nodepool-name np1")
    assert upgrades["latestNodeImageVersion"] == pool["nodeImageVersion"]
    assert "1.35.5" in [target["kubernetesVersion"] for target in upgrades["upgrades"]]


def test_a_rollback_across_generations_is_refused_and_names_the_one_that_does_it(
    lab: Lab, cluster: dict[str, Any]
) -> None:
    lab.service.client.make_pool("cross", {"vmSize": V1_ONLY, "count": 1})
    lab.ok(f"aks nodepool update {OF_CLUSTER} --name cross --vm-size {BOTH}")
    before = lab.pool("cross")

    said = lab.refused(f"aks nodepool rollback {OF_CLUSTER} --nodepool-name cross")

    assert "(RollbackNotPossible)" in said
    assert lab.pool("cross") == before


def test_a_running_change_is_aborted_and_the_next_update_goes_on(
    az_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    slow = ServiceProcess(tmp_path_factory.mktemp("slow") / "data", simulated_boot_seconds=3).start()
    try:
        lab = Lab(az_path, slow, tmp_path_factory.mktemp("home"))
        slow.client.make_cluster("c1")
        slow.client.make_pool("np1", {"vmSize": V1_ONLY, "count": 4, "upgradeSettings": {"maxSurge": "1"}})
        update = f"aks nodepool update {OF_CLUSTER} --name np1"
        lab.ok(f"{update} --vm-size {BOTH} --no-wait")
        assert lab.ok(f"aks nodepool operation-abort {OF_CLUSTER} --nodepool-name np1") == ""
        aborted = lab.pool("np1")
        assert aborted["provisioningState"] == "Canceled"
        assert aborted["poolwright"]["observedGenerations"]["V1"] > 0
        lab.ok(f"{update} --max-surge 4")
        resumed = lab.pool("np1")
        assert resumed["provisioningState"] == "Succeeded"
        assert resumed["poolwright"]["observedGenerations"] == {"V1": 0, "V2": 4, "unknown": 0}
        assert "gen2" in resumed["nodeImageVersion"]
    finally:
        slow.stop()


def test_machines_are_deleted_by_name_and_images_upgraded(lab: Lab, cluster: dict[str, Any]) -> None:
    lab.service.client.make_pool("few", {"count": 3})
    names = lab.json(f"aks machine list {OF_CLUSTER} --nodepool-name few --query [].name")

    lab.ok(f"aks nodepool delete-machines {OF_CLUSTER} --nodepool-name few --machine-names {names[1]}")

    assert lab.json(f"aks machine list {OF_CLUSTER} --nodepool-name few --query [].name") == [names[0], names[2]]
    assert lab.pool("few")["count"] == 2
    image = lab.pool("few")["nodeImageVersion"]
    assert lab.ok(f"aks nodepool upgrade {OF_CLUSTER} --name few --node-image-only --yes") == ""
    assert lab.pool("few")["nodeImageVersion"] == image


def test_a_cluster_is_stopped_and_started(lab: Lab) -> None:
    lab.service.client.make_cluster("power")
    assert lab.ok("aks stop --resource-group rg --name power") == ""
    show = "aks show --resource-group rg --name power --query powerState.code --output tsv"
    assert lab.ok(show) == "Stopped\n"
    said = lab.refused("aks nodepool add --resource-group rg --cluster-name power --name np1 --node-count 1")
    assert "(OperationNotAllowed)" in said
    assert lab.ok("aks start --resource-group rg --name power") == ""
    said = lab.refused("aks nodepool stop --resource-group rg --cluster-name power --nodepool-name sys")
    assert "Node pool 'sys' has mode System and cannot be stopped." in said
    assert lab.ok(show) == "Running\n"


def test_usage_is_listed_and_a_quota_refuses_what_goes_beyond(lab: Lab, cluster: dict[str, Any]) -> None:
    heading, *rows = lab.table("vm list-usage --location eastus")
    assert heading == ["Name", "CurrentValue", "Limit"]
    assert "Total Regional vCPUs" in [cells[0] for cells in rows]
    compute = f"/subscriptions/{lab.service.credentials['subscriptionId']}/providers/Microsoft.Compute"
    url = f"{compute}/locations/eastus/usages/standardFSv2Family?api-version=2024-11-01"
    lab.ok("rest --method put --url", url, "--body", '{"limit": 6}')
    add = f"aks nodepool add {OF_CLUSTER} --name quota --node-vm-size Standard_F2s_v2 --node-count"

    said = lab.refused(f"{add} 4")
    assert "Insufficient vcpu quota requested 8, remaining 6 for family standardFSv2Family for region eastus." in said
    lab.ok(f"{add} 3")
    # Replacing machines one by one takes two vCPUs that are not left.
    said = lab.refused(f"aks nodepool update {OF_CLUSTER} --name quota --enable-vtpm")
    assert "requested 2, remaining 0" in said
    lab.ok("rest --method delete --url", url)
    lab.ok(f"aks nodepool update {OF_CLUSTER} --name quota --enable-vtpm")
    assert "gen2TL" in lab.pool("quota")["nodeImageVersion"]


def test_update_arguments_reach_the_pool(lab: Lab, cluster: dict[str, Any]) -> None:
    lab.service.client.make_pool("upd", {"count": 1})
    query = "[minCount,maxCount,enableAutoScaling,mode,nodeTaints,tags,upgradeSettings.maxSurge]"

    updated = lab.json(
        f"aks nodepool update {OF_CLUSTER} --name upd --enable-cluster-autoscaler --min-count 1 --max-count 3 "
        f"--mode System --node-taints a=b:NoSchedule --tags team=blue --max-surge 33% --query {query}"
    )
    assert updated == [1, 3, True, "System", ["a=b:NoSchedule"], {"team": "blue"}, "33%"]

    back = lab.json(
        f"aks nodepool update {OF_CLUSTER} --name upd --disable-cluster-autoscaler --mode User --query {query}"
    )
    assert back == [None, None, False, "User", ["a=b:NoSchedule"], {"team": "blue"}, "33%"]


def test_a_virtual_machines_pool_is_added_and_scaled_by_size(lab: Lab, cluster: dict[str, Any]) -> None:
    lab.ok(
        f"aks nodepool add {OF_CLUSTER} --name vms --vm-set-type VirtualMachines --vm-sizes {BOTH} --node-count 1",
    )
    # az sends the sizes of this command in lower case.
    scaled = lab.json(
        f"aks nodepool manual-scale update {OF_CLUSTER} --name vms --current-vm-sizes {BOTH} --vm-sizes {BOTH} "
        "--node-count 2 --query virtualMachinesProfile.scale.manual"
    )
    assert scaled == [{"count": 2, "size": BOTH}]
    resized = lab.json(
        f"aks nodepool manual-scale update {OF_CLUSTER} --name vms --current-vm-sizes {BOTH} --vm-sizes {ALSO_BOTH} "
        "--node-count 3 --query virtualMachinesProfile.scale.manual"
    )
    assert resized == [{"count": 3, "size": ALSO_BOTH}]
    assert lab.pool("vms")["poolwright"]["observedGenerations"]["V2"] == 3
    added = lab.json(
        f"aks nodepool manual-scale add {OF_CLUSTER} --name vms --vm-sizes {BOTH} --node-count 1 "
        "--query virtualMachinesProfile.scale.manual"
    )
    assert added == [{"count": 3, "size": ALSO_BOTH}, {"count": 1, "size": BOTH}]
    lab.ok(f"aks nodepool manual-scale delete {OF_CLUSTER} --name vms --current-vm-sizes {ALSO_BOTH} --yes")
    left = lab.pool("vms")
    assert left["virtualMachinesProfile"]["scale"]["manual"] == [{"count": 1, "size": BOTH}]
    assert left["poolwright"]["observedGenerations"] == {"V1": 0, "V2": 1, "unknown": 0}


def test_nothing_is_waited_for_where_that_is_asked(lab: Lab, cluster: dict[str, Any]) -> None:
    add = f"aks nodepool add {OF_CLUSTER} --name brief --node-vm-size {V2_ONLY} --node-count 1 --no-wait"
    wait = f"aks nodepool wait {OF_CLUSTER} --name brief --interval 1 --timeout 30"

    assert lab.ok(add) == ""
    lab.ok(f"{wait} --created")
    assert lab.pool("brief")["provisioningState"] == "Succeeded"

    assert lab.ok(f"aks nodepool delete {OF_CLUSTER} --name brief --no-wait") == ""
    lab.ok(f"{wait} --deleted")
    lab.refused(f"aks nodepool show {OF_CLUSTER} --name brief", code=3)


def test_changes_are_made_only_on_the_etag_that_is_named(lab: Lab, cluster: dict[str, Any]) -> None:
    lab.service.client.make_pool("tagged", {"count": 0})
    etag = lab.ok(f"aks nodepool show {OF_CLUSTER} --name tagged --query eTag --output tsv").strip()
    update = f"aks nodepool update {OF_CLUSTER} --name tagged --labels a=b"
    delete = f"aks nodepool delete {OF_CLUSTER} --name tagged --if-match"

    for refused in lab.together([f"{update} --if-match stale", f"{update} --if-none-match *", f"{delete} stale"]):
        assert (refused.returncode, "(PreconditionFailed)" in refused.stderr) == (1, True)
    assert lab.pool("tagged")["eTag"] == etag

    changed = lab.ok(f"{update} --if-match {etag} --query eTag --output tsv").strip()
    assert changed != etag
    assert "(PreconditionFailed)" in lab.refused(f"{delete} {etag}")
    assert lab.ok(f"{delete} {changed}") == ""


def test_refusals_end_with_1_missing_resources_with_3_and_wrong_usage_with_2(lab: Lab, cluster: dict[str, Any]) -> None:
    add = f"aks nodepool add {OF_CLUSTER} --name"
    expected = {
        f"{add} BadName": (1, "(InvalidParameter)"),
        f"{add} toolong --os-type Windows": (1, "Windows agent pool name can not be longer than 6 characters."),
        f"{add} w1 --vm-size {V1_ONLY} {WINDOWS_GEN2}": (1, "(UnsupportedGen2VMSize)"),
        f"{add} w2 --os-type Windows --os-sku Ubuntu": (1, "(InvalidOSSKU)"),
        f"{add} w3 --os-type Windows --mode System": (1, "(SystemPoolMustBeLinux)"),
        f"{add} n1 --node-vm-size Standard_D99s_v5": (1, "(VMSizeNotSupported)"),
        f"{add} n2 --kubernetes-version 1.99.0": (1, "(AgentPoolK8sVersionNotSupported)"),
        f"{add} nodepool1": (1, "already exists"),
        f"aks nodepool delete {OF_CLUSTER} --name nodepool1": (1, "(OperationNotAllowed)"),
        f"aks nodepool delete {OF_CLUSTER} --name none": (1, "Node pool none doesnt exist"),
        "group create --name elsewhere --location westeurope": (1, "(LocationNotAvailableForResourceType)"),
        f"aks nodepool show {OF_CLUSTER} --name none": (3, "(AgentPoolNotFound)"),
        "aks nodepool list --resource-group rg --cluster-name none": (3, "(ResourceNotFound)"),
        f"aks nodepool update {OF_CLUSTER} --name np1 --colour red": (2, "unrecognized arguments: --colour red"),
        f"aks nodepool add {OF_CLUSTER}": (2, "--name"),
    }
    for (command, (code, words)), outcome in zip(expected.items(), lab.together(list(expected)), strict=True):
        assert outcome.returncode == code, f"az {command}: {outcome.stderr}"
        assert words in outcome.stderr, f"az {command}: {outcome.stderr}"
        assert "Traceback" not in outcome.stderr


def test_az_rest_speaks_to_the_service_and_gets_its_errors(lab: Lab, cluster: dict[str, Any]) -> None:
    url = f"{cluster['id']}/agentPools/nodepool1"
    shown = lab.json("rest --method get --url", f"{url}?api-version=2025-10-01")
    assert shown["properties"]["poolwright"]["resolvedGeneration"] == "V2"
    what_if = lab.json(
        "rest --method post --url",
        f"{cluster['id']}/agentPools/w1/whatIf?api-version=2025-10-01",
        "--headers",
        "UseWindowsGen2VM=true",
        "--body",
        json.dumps({"properties": {"vmSize": BOTH, "osType": "Windows"}}),
    )
    assert what_if["properties"]["generation"] == "V2"
    assert "MissingApiVersionParameter" in lab.refused("rest --method get --url", url)


def test_a_pool_a_cluster_and_a_group_with_everything_in_it_are_deleted(lab: Lab) -> None:
    client = lab.service.client
    for name in ("c1", "c2"):
        client.make_cluster(name, "gone")
    client.done(client.put(client.pool("np1", "c1", "gone"), json={"properties": {"count": 1}}))

    commands = [
        "aks nodepool delete --resource-group gone --cluster-name c1 --name np1",
        "aks delete --resource-group gone --name c2 --yes",
    ]
    assert [(deleted.returncode, deleted.stdout) for deleted in lab.together(commands)] == [(0, ""), (0, "")]
    assert client.get(client.pool("np1", "c1", "gone")).status_code == 404
    assert lab.ok("aks list --resource-group gone --query [].name --output tsv") == "c1\n"
    lab.ok("group delete --name gone --yes")
    assert client.get(client.cluster("c1", "gone")).json()["error"]["code"] == "ResourceGroupNotFound"


def test_az_goes_on_after_a_restart_with_another_signing_key(lab: Lab) -> None:
    """Last, because it restarts the service: the claims challenge makes az ask for a new token by itself."""
    url = f"{lab.service.url}/subscriptions?api-version=2022-12-01"
    context = ssl.create_default_context(cafile=str(lab.service.ca))

    def status_with(token: str) -> int:
        return httpx.get(url, headers={"Authorization": f"Bearer {token}"}, verify=context).status_code

    before = lab.json("account get-access-token")["accessToken"]
    assert status_with(before) == 200
    lab.service.kill()
    (lab.service.data_dir / "signing-key.pem").unlink()
    lab.service.start()
    assert status_with(before) == 401

    outcome = lab.az.run("group list")

    assert (outcome.returncode, outcome.stderr) == (0, "")
    assert status_with(lab.json("account get-access-token")["accessToken"]) == 200
