"""Changing a node pool in place: every option of update, upgrade, rollback, power, machines, what-if, progress."""

from __future__ import annotations

from typing import Any

import pytest

from tests.cli.conftest import CommandLine
from tests.support.service import ServiceProcess

POOL = ("-g", "rg", "--cluster-name", "c1")
NO_CLUSTER = "note: no Kubernetes cluster is attached: nodes are neither cordoned nor drained before they are removed"


def nodepool(command: str, name: str, *arguments: str) -> tuple[str, ...]:
    return ("aks", "nodepool", command, *POOL, "-n", name, *arguments)


def properties(service: ServiceProcess, name: str) -> dict[str, Any]:
    found: dict[str, Any] = service.client.get(service.client.pool(name)).json()["properties"]
    return found


@pytest.fixture(scope="module")
def changing(cluster: ServiceProcess) -> ServiceProcess:
    """The cluster with the node pool `one` of a single machine, which the tests of single options change."""
    cluster.client.make_pool("one", {"vmSize": "Standard_D2s_v5", "count": 1})
    return cluster


@pytest.mark.parametrize(
    ("options", "path", "value"),
    [
        ("--node-vm-size Standard_D4s_v5", "vmSize", "Standard_D4s_v5"),
        ("--vm-size Standard_D2s_v5", "vmSize", "Standard_D2s_v5"),
        ("--os-sku AzureLinux", "osSKU", "AzureLinux"),
        ("--os-type linux --vm-generation v1", "vmGeneration", "V1"),
        ("--vm-generation V2", "poolwright.resolvedGeneration", "V2"),
        ("--vpmem-mib 128", "vpmemMiB", 128),
        ("--enable-vtpm", "securityProfile.enableVTPM", True),
        ("--enable-secure-boot", "securityProfile.enableSecureBoot", True),
        ("--disable-secure-boot --disable-vtpm", "securityProfile.enableVTPM", False),
        ("--enable-fips-image", "enableFIPS", True),
        ("--disable-fips-image", "enableFIPS", False),
        ("--max-surge 33%", "upgradeSettings.maxSurge", "33%"),
        ("--max-surge 0 --max-unavailable 1", "upgradeSettings.maxUnavailable", "1"),
        ("--max-surge 1 --max-unavailable 0", "upgradeSettings.maxSurge", "1"),
        ("--drain-timeout 5", "upgradeSettings.drainTimeoutInMinutes", 5),
        ("--node-soak-duration 2", "upgradeSettings.nodeSoakDurationInMinutes", 2),
        ("--undrainable-node-behavior cordon", "upgradeSettings.undrainableNodeBehavior", "Cordon"),
        ("--scale-down-mode deallocate", "scaleDownMode", "Deallocate"),
        ("-e --min-count 1 --max-count 3", "maxCount", 3),
        ("--update-cluster-autoscaler --min-count 1 --max-count 4", "maxCount", 4),
        ("--disable-cluster-autoscaler", "enableAutoScaling", False),
        ("--mode system", "mode", "System"),
        ("--mode user", "mode", "User"),
        ("--labels a=b c=d", "nodeLabels", {"a": "b", "c": "d"}),
        ("--tags e=f g=h", "tags", {"e": "f", "g": "h"}),
        ("--node-taints k=v:NoSchedule", "nodeTaints", ["k=v:NoSchedule"]),
    ],
)
def test_update_changes_the_property_and_keeps_the_others(
    options: str, path: str, value: object, poolwright: CommandLine, changing: ServiceProcess
) -> None:
    before = properties(changing, "one")

    poolwright.done(*nodepool("update", "one", *options.split()))

    after = properties(changing, "one")
    found: Any = after
    for part in path.split("."):
        found = found[part]
    assert found == value
    assert after["provisioningState"] == "Succeeded"
    for kept in ("count", "maxPods", "osDiskType", "orchestratorVersion"):
        assert after[kept] == before[kept]


BOUNDS = ("--min-count", "1", "--max-count", "4")


def test_an_autoscaler_that_is_switched_to_what_it_is_is_left_alone(
    poolwright: CommandLine, cluster: ServiceProcess
) -> None:
    client = cluster.client
    client.make_pool("off", {"count": 0})
    client.make_pool("on", {"count": 1, "enableAutoScaling": True, "minCount": 1, "maxCount": 3})
    before = [client.get(client.pool(name)).json() for name in ("off", "on")]

    off = poolwright.done(*nodepool("update", "off", "-d", "--labels", "a=b"))
    on = poolwright.done(*nodepool("update", "on", "-e", *BOUNDS, "-o", "json"))

    assert [client.get(client.pool(name)).json() for name in ("off", "on")] == before
    assert (off.out, on.out) == ("", "")
    assert off.err == "warning: the cluster autoscaler of node pool 'off' is off already, so nothing is changed\n"
    assert "is on already, so nothing is changed; --update-cluster-autoscaler changes its bounds" in on.err


@pytest.mark.parametrize(
    ("command", "pool", "words", "code", "why"),
    [
        ("update", "alone1", ("--max-count", "4"), 2, "goes only with --enable-cluster-autoscaler or --update-cluster"),
        ("update", "alone1", ("-u", "--max-count", "4"), 2, "--update-cluster-autoscaler: needs --min-count and --max"),
        ("update", "alone1", ("-e",), 2, "--enable-cluster-autoscaler: needs --min-count and --max-count"),
        ("update", "alone0", ("-u", *BOUNDS), 1, "of node pool 'alone0' is off: use --enable-cluster-autoscaler"),
        ("scale", "alone1", ("-c", "2"), 1, "node pool 'alone1' is on and decides over its count"),
    ],
)
def test_what_does_not_go_with_the_state_of_the_autoscaler_changes_nothing(
    command: str,
    pool: str,
    words: tuple[str, ...],
    code: int,
    why: str,
    poolwright: CommandLine,
    cluster: ServiceProcess,
) -> None:
    client = cluster.client
    if client.get(client.pool("alone1")).status_code == 404:
        client.make_pool("alone0", {"count": 0})
        client.make_pool("alone1", {"count": 1, "enableAutoScaling": True, "minCount": 1, "maxCount": 3})
    before = client.get(client.pool(pool)).json()

    ended = poolwright(*nodepool(command, pool, *words))

    assert (ended.code, ended.out) == (code, "")
    assert why in " ".join(ended.err.split())
    assert client.get(client.pool(pool)).json() == before


def test_a_part_of_the_upgrade_settings_leaves_the_rest(poolwright: CommandLine, cluster: ServiceProcess) -> None:
    cluster.client.make_pool("settings", {"count": 0, "upgradeSettings": {"maxSurge": "2", "drainTimeoutInMinutes": 7}})

    poolwright.done(*nodepool("update", "settings", "--node-soak-duration", "3"))

    assert properties(cluster, "settings")["upgradeSettings"] == {
        "maxSurge": "2",
        "maxUnavailable": "0",
        "drainTimeoutInMinutes": 7,
        "nodeSoakDurationInMinutes": 3,
    }


def test_bounds_are_updated_only_where_the_autoscaler_is_on(poolwright: CommandLine, cluster: ServiceProcess) -> None:
    refused = poolwright(*nodepool("update", "sys", "-u", "--min-count", "1", "--max-count", "2"))

    assert (refused.code, refused.out) == (1, "")
    assert "is off: use --enable-cluster-autoscaler" in refused.err


def test_what_if_foretells_what_update_then_does_and_rollback_takes_back(
    poolwright: CommandLine, cluster: ServiceProcess
) -> None:
    poolwright.done(*nodepool("add", "roll", "-s", "Standard_D2s_v5", "-c", "3", "--vm-generation", "V1"))
    change = ("-s", "Standard_D4s_v5", "--vm-generation", "V2", "--max-surge", "1", "--labels", "a=b")
    old = properties(cluster, "roll")

    foretold = poolwright.done(*nodepool("what-if", "roll", *change)).out.splitlines()
    document = poolwright.done(*nodepool("what-if", "roll", *change, "-o", "json")).json

    assert foretold[0] == "Generation        V1 (BIOS) -> V2 (UEFI)"
    assert foretold[1].startswith("NodeImageVersion  AKSUbuntu-2404containerd-")
    assert foretold[2].startswith("Rule              gen2-property: ")
    assert foretold[3].startswith("Source            ")
    assert foretold[4].startswith("RuleBefore        gen1-property: ")
    assert foretold[5].startswith("SourceBefore      ")
    cells = {line.split()[0]: line.split()[1:] for line in foretold[9 : foretold.index("", 9)]}
    assert cells["vmSize"] == ["Standard_D2s_v5", "Standard_D4s_v5", "by", "replacing", "machines"]
    assert cells["vmGeneration"] == ["V1", "V2", "by", "replacing", "machines"]
    assert cells["nodeLabels.a"] == ["-", "b", "at", "once"]
    assert cells["upgradeSettings.maxSurge"] == ["10%", "1", "at", "once"]
    assert "Rollout           3 machines replaced in 3 waves" in foretold
    assert document["properties"]["rollsMachines"] is True
    rollout = document["properties"]["rollout"]
    assert f"Surge             up to 1 machine and {rollout['surgeVcpus']} vCPUs more" in foretold
    assert properties(cluster, "roll") == old

    updated = poolwright.done(*nodepool("update", "roll", *change))
    new = properties(cluster, "roll")
    assert (new["vmSize"], new["nodeImageVersion"]) == (
        "Standard_D4s_v5",
        document["properties"]["nodeImageVersion"],
    )
    assert updated.err.splitlines().count(NO_CLUSTER) == 1
    assert "updating node pool 'roll': 100%  wave 3 of 3  3 of 3 replaced  V2: 3" in updated.err.splitlines()

    poolwright.done(*nodepool("rollback", "roll"))
    back = properties(cluster, "roll")
    assert [back[name] for name in ("vmSize", "nodeImageVersion")] == [
        old[name] for name in ("vmSize", "nodeImageVersion")
    ]


def test_what_if_says_when_nothing_would_happen(poolwright: CommandLine, cluster: ServiceProcess) -> None:
    shown = poolwright.done(*nodepool("what-if", "sys")).out.splitlines()

    assert "No property differs." in shown
    assert "Rollout           no machine is replaced" in shown
    assert "Surge             none" in shown


def test_a_waiting_command_prints_no_progress_where_json_is_asked_for(
    poolwright: CommandLine, cluster: ServiceProcess
) -> None:
    cluster.client.make_pool("quiet", {"vmSize": "Standard_D2s_v5", "count": 2})

    ended = poolwright.done(*nodepool("update", "quiet", "-s", "Standard_D4s_v5", "-o", "json"))

    assert ended.err == ""
    assert ended.json["properties"]["vmSize"] == "Standard_D4s_v5"


def test_upgrade_moves_to_the_named_version_and_without_one_to_the_clusters(
    poolwright: CommandLine, cluster: ServiceProcess
) -> None:
    poolwright.done(*nodepool("add", "old", "-s", "Standard_D2s_v5", "-c", "1", "-k", "1.33"))
    profile = poolwright.done(*nodepool("get-upgrades", "old", "-o", "json")).json
    assert profile == cluster.client.get(f"{cluster.client.pool('old')}/upgradeProfiles/default").json()
    offered = [upgrade["kubernetesVersion"] for upgrade in profile["properties"]["upgrades"]]
    listed = poolwright.done(*nodepool("get-upgrades", "old")).out.splitlines()
    assert listed[0].split() == ["Name", "KubernetesVersion", "Upgrades", "LatestNodeImageVersion"]
    assert ", ".join(offered) in listed[2]

    poolwright.done(*nodepool("upgrade", "old", "-k", "1.34", "--max-surge", "1"))
    upgraded = properties(cluster, "old")
    assert upgraded["currentOrchestratorVersion"] in offered
    assert upgraded["orchestratorVersion"] == "1.34"
    assert upgraded["upgradeSettings"]["maxSurge"] == "1"

    poolwright.done(*nodepool("upgrade", "old", "--yes"))
    control_plane = cluster.client.get(cluster.client.cluster()).json()["properties"]["currentKubernetesVersion"]
    assert properties(cluster, "old")["currentOrchestratorVersion"] == control_plane

    back = poolwright("aks", "nodepool", "upgrade", *POOL, "-n", "old", "-k", "1.33")
    assert back.code == 1
    assert "error: " in back.err


def test_upgrade_leaves_a_version_that_is_the_clusters_as_it_was_written(
    poolwright: CommandLine, cluster: ServiceProcess
) -> None:
    before = properties(cluster, "sys")["orchestratorVersion"]

    poolwright.done(*nodepool("upgrade", "sys"))

    assert properties(cluster, "sys")["orchestratorVersion"] == before


def test_a_node_image_upgrade_keeps_version_and_generation(poolwright: CommandLine, cluster: ServiceProcess) -> None:
    before = properties(cluster, "sys")

    ended = poolwright.done(*nodepool("upgrade", "sys", "--node-image-only", "-o", "json"))

    for name in ("currentOrchestratorVersion", "vmSize", "osSKU"):
        assert ended.json["properties"][name] == before[name]
    assert ended.json["properties"]["poolwright"]["resolvedGeneration"] == before["poolwright"]["resolvedGeneration"]


@pytest.mark.parametrize("also", ["-k 1.34", "--max-surge 1", "--if-match abc"])
def test_a_node_image_upgrade_goes_with_no_other_change(also: str, alone: CommandLine) -> None:
    ended = alone(*nodepool("upgrade", "sys", "--node-image-only", *also.split()))

    assert (ended.code, ended.out) == (2, "")
    assert "--node-image-only" in ended.err


def test_a_machine_is_reimaged_and_shown(poolwright: CommandLine, cluster: ServiceProcess) -> None:
    cluster.client.make_pool("again", {"count": 1})
    [machine] = cluster.client.get(f"{cluster.client.pool('again')}/machines").json()["value"]
    named = ("--nodepool-name", "again", "--machine-name", machine["name"])
    done = poolwright.done("aks", "machine", "reimage", *POOL, *named)
    assert machine["name"] in done.out
    refused = poolwright("aks", "machine", "reimage", *POOL, *named[:-1], "aks-again-0-vmss000009")
    assert "was not found in agent pool 'again'" in refused.err


def test_machines_are_deleted_by_name_and_the_count_falls(poolwright: CommandLine, cluster: ServiceProcess) -> None:
    cluster.client.make_pool("fewer", {"vmSize": "Standard_D2s_v5", "count": 3})
    names = [m["name"] for m in cluster.client.get(f"{cluster.client.pool('fewer')}/machines").json()["value"]]

    poolwright.done(*nodepool("delete-machines", "fewer", "--machine-names", names[0], names[2]))

    assert properties(cluster, "fewer")["count"] == 1
    left = cluster.client.get(f"{cluster.client.pool('fewer')}/machines").json()["value"]
    assert [machine["name"] for machine in left] == [names[1]]
    unknown = poolwright(*nodepool("delete-machines", "fewer", "--machine-names", names[0]))
    assert (unknown.code, unknown.out) == (1, "")
    assert names[0] in unknown.err


def test_a_pool_stops_and_starts(poolwright: CommandLine, cluster: ServiceProcess) -> None:
    cluster.client.make_pool("power", {"vmSize": "Standard_D2s_v5", "count": 2})

    poolwright.done(*nodepool("stop", "power"))
    assert properties(cluster, "power")["powerState"] == {"code": "Stopped"}
    poolwright.done(*nodepool("start", "power"))
    assert properties(cluster, "power")["powerState"] == {"code": "Running"}
    assert properties(cluster, "power")["count"] == 2


def test_a_cluster_stops_and_starts(poolwright: CommandLine, fresh: ServiceProcess, monkeypatch: Any) -> None:
    fresh.start().client.make_cluster()
    monkeypatch.setenv("POOLWRIGHT_DATA_DIR", str(fresh.data_dir))

    def power() -> str:
        code: str = fresh.client.get(fresh.client.cluster()).json()["properties"]["powerState"]["code"]
        return code

    poolwright.done("aks", "stop", "-g", "rg", "-n", "c1")
    assert power() == "Stopped"
    poolwright.done("aks", "start", "-g", "rg", "-n", "c1")
    assert power() == "Running"


def test_nothing_to_abort_and_nothing_to_go_back_to_are_refused(
    poolwright: CommandLine, cluster: ServiceProcess
) -> None:
    cluster.client.make_pool("calm", {"count": 0})

    for command, code in (("operation-abort", "OperationNotAllowed"), ("rollback", "RollbackNotPossible")):
        ended = poolwright(*nodepool(command, "calm"))
        assert (ended.code, ended.out) == (1, "")
        assert f"error: {code} (HTTP 409)" in ended.err
        assert "  remedy: " in ended.err


def test_an_operation_is_watched_by_its_id_alone(poolwright: CommandLine, cluster: ServiceProcess) -> None:
    cluster.client.make_pool("watched", {"count": 0})
    begun = poolwright.done(*nodepool("update", "watched", "--labels", "a=b", "--no-wait"))
    operation = next(line for line in begun.err.splitlines() if line.startswith("Operation ")).split()[1]

    watched = poolwright.done("operations", "watch", operation, "-o", "json")
    shown = poolwright.done("operations", "show", operation, "-o", "json")

    assert watched.err == ""
    assert watched.json == shown.json
    assert (shown.json["name"], shown.json["status"]) == (operation, "Succeeded")


def test_a_stopped_operation_ends_its_commands_with_message_and_remedy(
    fresh: ServiceProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh.start().client.make_cluster()
    fresh.client.make_pool("slow", {"vmSize": "Standard_D2s_v5", "count": 2})
    fresh.stop()
    fresh.start(simulated_boot_seconds=600)
    monkeypatch.setenv("POOLWRIGHT_DATA_DIR", str(fresh.data_dir))
    poolwright = CommandLine()
    begun = poolwright.done(*nodepool("update", "slow", "-s", "Standard_D4s_v5", "--no-wait", "-o", "json"))
    operation = begun.err.split()[1]

    poolwright.done(*nodepool("operation-abort", "slow"))
    watched = poolwright("operations", "watch", operation)
    printed = poolwright("operations", "watch", operation, "-o", "json")

    assert watched.code == printed.code == 1
    assert "error: OperationCanceled: " in watched.err
    assert "  remedy: " in watched.err
    assert printed.json["status"] == "Canceled"
    assert properties(fresh, "slow")["provisioningState"] == "Canceled"
