"""The commands against a real service: tables, the wire's JSON, exit codes."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from poolwright.cli.connection import DEFAULT_DATA_DIR
from poolwright.settings import DEFAULT_DATA_DIR as DEFAULT_OF_THE_SERVICE
from tests.cli.conftest import CommandLine, Ended
from tests.support.service import ServiceProcess

POOL = ("-g", "rg", "--cluster-name", "c1")
ONE_MACHINE = ("-s", "Standard_D2s_v5", "-c", "1")


def columns(ended: Ended) -> list[str]:
    return ended.out.splitlines()[0].split()


def row(ended: Ended, name: str) -> dict[str, str]:
    """A row without blank cells, by heading; cells stand at least two blanks apart."""
    line = next(line for line in ended.out.splitlines() if line.startswith(f"{name} "))
    return dict(zip(columns(ended), re.split(" {2,}", line), strict=True))


def test_a_group_is_created_shown_listed_and_deleted(poolwright: CommandLine, service: ServiceProcess) -> None:
    created = poolwright.done("group", "create", "-n", "other", "-l", "East US", "--tags", "a=b", "c=d")

    assert created.out.splitlines() == [
        "Name    Location    Status",
        "------  ----------  ---------",
        "other   eastus      Succeeded",
    ]
    assert poolwright.done("group", "show", "-g", "other", "-o", "json").json["tags"] == {"a": "b", "c": "d"}
    assert row(poolwright.done("group", "list"), "other")["Location"] == "eastus"
    assert poolwright.done("group", "delete", "--name", "other", "--yes").out == ""
    assert poolwright("group", "show", "-n", "other").code == 3


def test_a_cluster_is_created_shown_listed_and_deleted(poolwright: CommandLine, service: ServiceProcess) -> None:
    poolwright.done("group", "create", "-n", "clusters", "-l", "westus2")
    created = poolwright.done("aks", "create", "-g", "clusters", "-n", "new", *ONE_MACHINE, "-k", "1.33")

    assert columns(created) == [
        "Name",
        "Location",
        "ResourceGroup",
        "KubernetesVersion",
        "CurrentKubernetesVersion",
        "ProvisioningState",
        "Fqdn",
    ]
    assert row(created, "new")["Location"] == "westus2"
    assert row(created, "new")["ProvisioningState"] == "Succeeded"
    assert row(poolwright.done("aks", "list"), "new") == row(poolwright.done("aks", "list", "-g", "clusters"), "new")
    shown = poolwright.done("aks", "show", "-g", "clusters", "-n", "new", "-o", "json").json
    assert shown == service.client.get(service.client.cluster("new", "clusters")).json()

    again = poolwright("aks", "create", "-g", "clusters", "-n", "new")
    assert again.code == 1
    assert "exists already" in again.err

    assert poolwright.done("aks", "delete", "-g", "clusters", "-n", "new", "-y").out == ""
    assert poolwright("aks", "delete", "-g", "clusters", "-n", "new", "-y").code == 3


def test_a_pool_is_added_updated_scaled_and_deleted(poolwright: CommandLine, cluster: ServiceProcess) -> None:
    added = poolwright.done(
        "aks", "nodepool", "add", *POOL, "-n", "life", *ONE_MACHINE, "--zones", "1", "2", "--labels", "a=b"
    )
    assert columns(added) == [
        "Name",
        "OsType",
        "KubernetesVersion",
        "VmSize",
        "Count",
        "MaxPods",
        "ProvisioningState",
        "Mode",
        "NodeImageVersion",
        "Generation",
    ]
    assert row(added, "life")["Generation"] == "V2"

    def properties() -> dict[str, object]:
        found: dict[str, object] = cluster.client.get(cluster.client.pool("life")).json()["properties"]
        return found

    assert properties()["availabilityZones"] == ["1", "2"]
    poolwright.done("aks", "nodepool", "update", *POOL, "-n", "life", "--labels", "c=d", "e=f")
    assert properties()["nodeLabels"] == {"c": "d", "e": "f"}
    poolwright.done("aks", "nodepool", "update", *POOL, "-n", "life", "--node-taints", "k=v:NoSchedule")
    assert properties()["nodeTaints"] == ["k=v:NoSchedule"]
    assert properties()["nodeLabels"] == {"c": "d", "e": "f"}
    poolwright.done("aks", "nodepool", "scale", *POOL, "-n", "life", "-c", "2")
    assert properties()["count"] == 2
    same = poolwright("aks", "nodepool", "scale", *POOL, "-n", "life", "-c", "2")
    assert (same.code, same.out) == (1, "")
    assert row(poolwright.done("aks", "nodepool", "list", *POOL), "life")["Count"] == "2"
    machines = poolwright.done("aks", "machine", "list", *POOL, "--nodepool-name", "life", "-o", "json").json["value"]
    assert len(machines) == 2
    shown = poolwright.done(
        "aks", "machine", "show", *POOL, "--nodepool-name", "life", "--machine-name", machines[0]["name"]
    )
    assert shown.out.splitlines()[0].split() == ["Name", "Ip", "Zones", "NodeImageVersion", "Generation"]

    assert poolwright.done("aks", "nodepool", "delete", *POOL, "-n", "life").out == ""
    gone = poolwright("aks", "nodepool", "show", *POOL, "-n", "life")
    assert (gone.code, gone.out) == (3, "")
    assert "AgentPoolNotFound (HTTP 404)" in gone.err
    assert poolwright("aks", "nodepool", "delete", *POOL, "-n", "life").code == 3


def test_the_header_and_our_property_ask_for_a_generation(poolwright: CommandLine, cluster: ServiceProcess) -> None:
    windows = ("--os-type", "windows", "--os-sku", "Windows2022", "-s", "Standard_D4ads_v5", "-c", "1")
    poolwright.done(
        "aks", "nodepool", "add", *POOL, "-n", "whdr", *windows, "--aks-custom-headers", "UseWindowsGen2VM=true"
    )
    poolwright.done("aks", "nodepool", "add", *POOL, "-n", "wprop", *windows, "--vm-generation", "v2")
    plain = poolwright.done("aks", "nodepool", "add", *POOL, "-n", "wplain", *windows)

    shown = poolwright.done("aks", "nodepool", "list", *POOL)
    assert [row(shown, name)["Generation"] for name in ("whdr", "wprop", "wplain")] == ["V2", "V2", "V1"]
    assert "warning: WindowsDefaultsToGeneration1" in plain.err
    poolwright.done("aks", "nodepool", "update", *POOL, "-n", "whdr", "--labels", "a=b")
    assert row(poolwright.done("aks", "nodepool", "show", *POOL, "-n", "whdr"), "whdr")["Generation"] == "V2"


@pytest.mark.parametrize(
    ("arguments", "path"),
    [
        (["group", "list"], "{subscription}/resourceGroups"),
        (["group", "show", "-n", "rg"], "{group}"),
        (["aks", "list"], "{subscription}/providers/Microsoft.ContainerService/managedClusters"),
        (["aks", "show", "-g", "rg", "-n", "c1"], "{cluster}"),
        (["aks", "nodepool", "list", *POOL], "{cluster}/agentPools"),
        (["aks", "nodepool", "show", *POOL, "-n", "sys"], "{cluster}/agentPools/sys"),
        (["aks", "machine", "list", *POOL, "--nodepool-name", "sys"], "{cluster}/agentPools/sys/machines"),
        (
            ["aks", "get-versions", "-l", "eastus"],
            "{subscription}/providers/Microsoft.ContainerService/locations/eastus/kubernetesVersions",
        ),
        (["vm", "list-skus", "-l", "eastus"], "{subscription}/providers/Microsoft.Compute/skus"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_json_is_the_wires_and_nothing_else(
    arguments: list[str], path: str, poolwright: CommandLine, cluster: ServiceProcess
) -> None:
    client = cluster.client
    url = path.format(subscription=client.subscription, group=client.group(), cluster=client.cluster())
    query = {"$filter": "location eq 'eastus'"} if path.endswith("/skus") else {}

    ended = poolwright.done(*arguments, "--output", "json")

    assert ended.json == client.get(url, params=query).json()
    assert ended.err == ""


def test_what_was_added_is_printed_as_the_wires_json(poolwright: CommandLine, cluster: ServiceProcess) -> None:
    ended = poolwright.done("aks", "nodepool", "add", *POOL, "-n", "pure", *ONE_MACHINE, "-o", "json")

    assert ended.json == cluster.client.get(cluster.client.pool("pure")).json()
    assert ended.err == ""


def test_a_refusal_is_told_to_people_on_stderr_and_to_programs_as_json(
    poolwright: CommandLine, cluster: ServiceProcess
) -> None:
    arguments = ("aks", "nodepool", "add", *POOL, "-n", "no", "--os-type", "Windows", "-s", "Standard_D2_v3")
    asked = ("--aks-custom-headers", "UseWindowsGen2VM=true")

    told, printed = poolwright(*arguments, *asked), poolwright(*arguments, *asked, "-o", "json")

    assert (told.code, told.out) == (1, "")
    for line in ("error: UnsupportedGen2VMSize (HTTP 400)", "  alternatives: Standard_D2s_v3, ", "  source: "):
        assert line in told.err
    assert (printed.code, printed.err) == (1, "")
    wire = cluster.client.put(
        cluster.client.pool("no"),
        json={"properties": {"osType": "Windows", "vmSize": "Standard_D2_v3", "count": 3, "mode": "User"}},
        headers={"UseWindowsGen2VM": "true"},
    )
    assert printed.json == wire.json()


def test_adding_a_pool_that_exists_changes_nothing(poolwright: CommandLine, cluster: ServiceProcess) -> None:
    before = cluster.client.get(cluster.client.pool("sys")).json()

    ended = poolwright("aks", "nodepool", "add", *POOL, "-n", "sys", "-c", "5")

    assert (ended.code, ended.out) == (1, "")
    assert "node pool 'sys' exists already" in ended.err
    assert cluster.client.get(cluster.client.pool("sys")).json() == before


def test_an_etag_that_does_not_match_is_refused(poolwright: CommandLine, cluster: ServiceProcess) -> None:
    ended = poolwright("aks", "nodepool", "update", *POOL, "-n", "sys", "--labels", "x=y", "--if-match", "stale")

    assert ended.code == 1
    assert "PreconditionFailed (HTTP 412)" in ended.err
    etag = cluster.client.get(cluster.client.pool("sys")).json()["properties"]["eTag"]
    poolwright.done("aks", "nodepool", "update", *POOL, "-n", "sys", "--labels", "x=y", "--if-match", etag)


def test_without_waiting_the_operation_is_named_and_can_be_followed(
    poolwright: CommandLine, cluster: ServiceProcess
) -> None:
    begun = poolwright.done("aks", "nodepool", "add", *POOL, "-n", "later", *ONE_MACHINE, "--no-wait", "-o", "json")

    assert begun.json["properties"]["provisioningState"] == "Creating"
    assert begun.err.startswith("Operation ")
    operation = begun.err.split()[1]
    watched = poolwright.done("operations", "watch", operation, "--location", "eastus")
    assert row(watched, operation)["Status"] == "Succeeded"
    shown = poolwright.done("operations", "show", operation, "-l", "eastus", "-o", "json").json
    assert (shown["name"], shown["status"]) == (operation, "Succeeded")
    assert poolwright("operations", "show", "11111111-2222-3333-4444-555555555555", "-l", "eastus").code == 3


def test_what_if_decides_and_refuses_like_the_put_and_changes_nothing(
    poolwright: CommandLine, cluster: ServiceProcess
) -> None:
    new = poolwright.done("aks", "nodepool", "what-if", *POOL, "-n", "maybe", "-s", "Standard_D2s_v5")
    assert new.out.splitlines()[0] == "Generation        V2 (UEFI)"
    assert poolwright("aks", "nodepool", "show", *POOL, "-n", "maybe").code == 3

    before = cluster.client.get(cluster.client.pool("sys")).json()
    refused = poolwright("aks", "nodepool", "what-if", *POOL, "-n", "sys", "--os-type", "Windows", "-o", "json")
    assert refused.code == 1
    assert refused.json["error"]["code"]
    kept = poolwright.done("aks", "nodepool", "what-if", *POOL, "-n", "sys", "--labels", "q=r", "-o", "json")
    assert kept.json["properties"]["exists"] is True
    assert kept.json["properties"]["after"]["nodeLabels"] == {"q": "r"}
    assert cluster.client.get(cluster.client.pool("sys")).json() == before


def test_sizes_are_filtered_as_az_filters_them(poolwright: CommandLine, service: ServiceProcess) -> None:
    ended = poolwright.done("vm", "list-skus", "--location", "eastus", "--size", "standard_d4ADS", "--zone")

    assert columns(ended) == ["ResourceType", "Locations", "Name", "Zones", "Restrictions", "Generations"]
    assert row(ended, "virtualMachines")["Name"] == "Standard_D4ads_v5"
    assert {line.split()[2] for line in ended.out.splitlines()[2:]} == {
        "Standard_D4ads_v5",
        "Standard_D4ads_v6",
        "Standard_D4ads_v7",
    }
    assert poolwright.done("vm", "list-skus", "-l", "mars").out == ""


def test_versions_stand_newest_first_with_their_upgrades(poolwright: CommandLine, service: ServiceProcess) -> None:
    ended = poolwright.done("aks", "get-versions", "--location", "eastus")

    assert columns(ended) == ["KubernetesVersion", "IsPreview", "Upgrades", "SupportPlan"]
    versions = [[int(part) for part in line.split()[0].split(".")] for line in ended.out.splitlines()[2:]]
    assert versions == sorted(versions, reverse=True)
    assert "None available" in ended.out.splitlines()[2]


def test_an_operation_that_fails_ends_the_command_with_1(
    fresh: ServiceProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Azure accepts this node pool and Compute fails it (conflict C3).
    fresh.start(profile="azure-2026").client.make_cluster()
    monkeypatch.setenv("POOLWRIGHT_DATA_DIR", str(fresh.data_dir))
    poolwright = CommandLine()
    arguments = ("-g", "rg", "--cluster-name", "c1", "--os-type", "Windows", "--os-sku", "Windows2022")
    size = ("-s", "Standard_D4ads_v6", "-c", "1")

    foretold = poolwright("aks", "nodepool", "what-if", *arguments, "-n", "w1", *size)
    told = poolwright("aks", "nodepool", "add", *arguments, "-n", "w1", *size)
    printed = poolwright("aks", "nodepool", "add", *arguments, "-n", "w2", *size, "-o", "json")
    explained = poolwright(
        "explain", "--profile", "azure-2026", "--name", "w2", "-s", "Standard_D4ads_v6", *arguments[4:], "-o", "json"
    )

    assert foretold.code == 1
    assert "the operation would fail" in foretold.err
    assert foretold.out.startswith("Generation        V1 (BIOS)")
    assert (told.code, told.out) == (1, "")
    assert "cannot boot Hypervisor Generation '1'" in told.err
    assert (printed.code, printed.err) == (1, "")
    failure = printed.json["error"]
    assert explained.code == 1
    assert explained.json["properties"]["operationWouldFail"] == {
        "code": failure["code"],
        "message": failure["message"],
    }
    watched = poolwright("operations", "watch", _failed_operation(fresh), "-l", "eastus", "-o", "json")
    assert (watched.code, watched.json["status"]) == (1, "Failed")


def _failed_operation(service: ServiceProcess) -> str:
    """The ID of an operation that has failed: of a PUT that repeats the doomed one."""
    body = {"properties": {"osType": "Windows", "osSKU": "Windows2022", "vmSize": "Standard_D4ads_v6", "count": 1}}
    reply = service.client.put(service.client.pool("w3"), json=body)
    name: str = service.client.operation(reply)["name"]
    return name


def test_without_a_service_one_line_says_what_to_do(
    poolwright: CommandLine, fresh: ServiceProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh.start()
    fresh.stop()
    monkeypatch.setenv("POOLWRIGHT_DATA_DIR", str(fresh.data_dir))

    ended = poolwright("aks", "list", "-o", "json")

    assert (ended.code, ended.out) == (1, "")
    assert len(ended.err.splitlines()) == 1
    assert fresh.url in ended.err
    assert "poolwright up" in ended.err


def test_where_no_service_was_ever_started_one_line_says_so(alone: CommandLine) -> None:
    ended = alone("aks", "list")

    assert (ended.code, ended.out) == (3, "")
    assert len(ended.err.splitlines()) == 1
    assert "poolwright up" in ended.err


def test_another_program_on_the_port_is_not_taken_for_the_service(
    poolwright: CommandLine, service: ServiceProcess, fresh: ServiceProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh.start()
    monkeypatch.setenv("POOLWRIGHT_DATA_DIR", str(fresh.data_dir))
    (fresh.data_dir / "endpoint.json").write_text(json.dumps({"url": service.url}))

    ended = poolwright("aks", "list")

    assert ended.code == 1
    assert "does not have a certificate of" in ended.err


@pytest.mark.parametrize(
    ("file", "content"),
    [("credentials.json", "no JSON"), ("credentials.json", "[]"), ("credentials.json", "{}"), ("endpoint.json", "{}")],
)
def test_a_damaged_file_is_named_and_never_quoted(
    file: str, content: str, poolwright: CommandLine, service: ServiceProcess, tmp_path: Path
) -> None:
    for name in ("credentials.json", "endpoint.json"):
        (tmp_path / name).write_bytes((service.data_dir / name).read_bytes())
    (tmp_path / file).write_text(content)

    ended = poolwright("aks", "list", "--data-dir", str(tmp_path))

    assert ended.code == 1
    assert f"{tmp_path / file} is damaged" in ended.err
    assert service.credentials["clientSecret"] not in ended.err


def test_the_default_directory_is_the_services() -> None:
    assert DEFAULT_DATA_DIR == DEFAULT_OF_THE_SERVICE
