"""The options that say something about node pools: every row of the table, against a running service."""

from __future__ import annotations

from itertools import chain, combinations
from pathlib import Path
from typing import Any, get_args

import pytest

from poolwright.arm import wire_node_pools
from poolwright.cli.cluster_options import CLUSTER_OPTIONS
from poolwright.cli.pool_options import OS_SKU, POOL_OPTIONS, Taker, taken_by
from poolwright.domain.os_sku import OsSku
from poolwright.lint import az_commands
from tests.cli.conftest import CommandLine
from tests.support.pool_words import FIRST_POOL, OF_CLUSTER, SAID, found_at
from tests.support.service import ServiceProcess

ASG = "/subscriptions/s/resourceGroups/rg/providers/Microsoft.Network/applicationSecurityGroups/a"
POOL = ("-g", "rg", "--cluster-name", "c1")


def nodepool(command: str, name: str, *arguments: str) -> tuple[str, ...]:
    return ("aks", "nodepool", command, *POOL, "-n", name, *arguments)


def properties(service: ServiceProcess, name: str) -> dict[str, Any]:
    found: dict[str, Any] = service.client.get(service.client.pool(name)).json()["properties"]
    return found


@pytest.mark.parametrize("name", SAID)
def test_a_node_pool_has_what_the_options_say(
    name: str, poolwright: CommandLine, cluster: ServiceProcess, tmp_path: Path
) -> None:
    said = SAID[name]

    poolwright.done(*nodepool("add", name[:6], *said.arguments(tmp_path), *said.ours.split()))

    has = properties(cluster, name[:6])
    assert {path: found_at(has, path) for path in said.properties} == said.properties
    if said.ours:
        ours = ("vmGeneration", "vpmemMiB", "securityProfile.sshAccess")
        assert [found_at(has, path) for path in ours] == ["V2", 128, "Disabled"]


def test_every_option_of_the_table_is_tried() -> None:
    words = " ".join(chain.from_iterable((said.words, said.ours) for said in SAID.values())).split()
    names = {spelling for row in POOL_OPTIONS for spelling in row.words.split()}
    tried = {row.path for row in POOL_OPTIONS if set(words) & set(row.words.split())}

    assert {word for word in words if word.startswith("--")} <= names
    # tried below, where there is a snapshot
    assert {row.path for row in POOL_OPTIONS} - tried == {"creationData.sourceResourceId"}


def test_values_to_choose_from_are_those_the_service_knows() -> None:
    known = {
        "osType": wire_node_pools._OsTypes,
        "mode": wire_node_pools._Modes,
        "type": wire_node_pools._PoolTypes,
        "scaleSetPriority": wire_node_pools._Priorities,
        "scaleSetEvictionPolicy": wire_node_pools._Evictions,
        "scaleDownMode": wire_node_pools._Evictions,
        "osDiskType": wire_node_pools._DiskTypes,
        "upgradeSettings.undrainableNodeBehavior": wire_node_pools._Undrainable,
        "workloadRuntime": wire_node_pools._Runtimes,
        "gpuProfile.driver": wire_node_pools._GpuDrivers,
        "securityProfile.sshAccess": wire_node_pools._SshAccess,
        "vmGeneration": wire_node_pools._Generations,
    }
    offered = {row.path: row.form.settings["autocompletion"] for row in POOL_OPTIONS if "parser" in row.form.settings}
    for path, values in known.items():
        assert offered.pop(path)("") == list(get_args(values)), path
    # `Mariner` is an old name of one.
    assert {*offered.pop("osSKU")("")} == {sku.value for sku in OsSku} | {"Mariner"}
    assert offered.keys() == {"gpuInstanceProfile", "podIPAllocationMode"}
    assert OS_SKU.settings["autocompletion"]("windows20") == ["Windows2019", "Windows2022", "Windows2025"]


def test_lint_reads_the_same_property_out_of_an_option() -> None:
    paths = {word: row.path for row in POOL_OPTIONS for word in row.words.split()}
    flags = {option: path for option, (path, _) in az_commands._FLAGS.items()}
    for option, path in {**az_commands._OPTIONS, **az_commands._NUMBERS, **az_commands._LISTS, **flags}.items():
        assert paths[option] == path, option


@pytest.mark.parametrize(
    ("options", "path", "value"),
    [
        (f"--allowed-host-ports 80/tcp --asg-ids {ASG}", "networkProfile.applicationSecurityGroups", [ASG]),
        ("--enable-managed-dranet", "networkProfile.dranet", {"mode": "Managed"}),
        ("--enable-artifact-streaming", "artifactStreamingProfile", {"enabled": True}),
        ("--disable-artifact-streaming", "artifactStreamingProfile", {"enabled": False}),
        ("--localdns-config {files}/dns.json", "localDNSProfile", {"mode": "Required"}),
        ("--ssh-access entraid", "securityProfile.sshAccess", "EntraId"),
        ("--gpu-driver install", "gpuProfile.driver", "Install"),
        ("--labels a=b", "nodeLabels", {"a": "b"}),
        ("--labels", "nodeLabels", {}),
        ("--tags a b=c", "tags", {"a": "", "b": "c"}),
        ("--tags --labels a=", "tags", {}),
        ("--node-taints k=v:NoSchedule", "nodeTaints", ["k=v:NoSchedule"]),
    ],
)
def test_update_says_a_part_and_keeps_the_rest(
    options: str, path: str, value: Any, poolwright: CommandLine, cluster: ServiceProcess, tmp_path: Path
) -> None:
    (tmp_path / "dns.json").write_text('{"mode": "Required"}')
    if cluster.client.get(cluster.client.pool("parts")).status_code == 404:
        given = {"vmSize": "Standard_NC6s_v3", "count": 0, "gpuProfile": {"driver": "Install", "driverType": "CUDA"}}
        cluster.client.make_pool("parts", given | {"networkProfile": {"other": 1}})

    poolwright.done(*nodepool("update", "parts", *options.format(files=tmp_path).split()))

    has = properties(cluster, "parts")
    assert found_at(has, path) == value
    assert (has["gpuProfile"]["driverType"], has["networkProfile"]["other"], has["count"]) == ("CUDA", 1, 0)


def test_a_node_pool_comes_from_a_snapshot_and_leaves_it(poolwright: CommandLine, cluster: ServiceProcess) -> None:
    client = cluster.client
    client.make_pool("source", {"vmSize": "Standard_D2_v3", "count": 1, "orchestratorVersion": "1.33"})
    snapshot = f"{client.group()}/providers/Microsoft.ContainerService/snapshots/s1"
    creation = {"creationData": {"sourceResourceId": client.pool("source")}}
    kept = client.put(snapshot, json={"location": "eastus", "properties": creation}).json()["properties"]

    def of_snapshot() -> tuple[str, str | None]:
        has = properties(cluster, "taken")
        return has["nodeImageVersion"], found_at(has, "creationData.sourceResourceId")

    poolwright.done(*nodepool("add", "taken", "-c", "1", "--snapshot-id", snapshot))
    assert of_snapshot() == (kept["nodeImageVersion"], snapshot)
    assert properties(cluster, "taken")["vmSize"] == "Standard_D2_v3"

    poolwright.done(*nodepool("upgrade", "taken", "--node-image-only"))
    assert of_snapshot()[1] is None
    poolwright.done(*nodepool("upgrade", "taken", "--node-image-only", "--snapshot-id", snapshot))
    assert of_snapshot() == (kept["nodeImageVersion"], snapshot)
    poolwright.done(*nodepool("upgrade", "taken"))
    assert of_snapshot()[1] is None

    client.make_pool("old", {"vmSize": "Standard_D2_v3", "count": 1, "orchestratorVersion": "1.32"})
    poolwright.done(*nodepool("upgrade", "old", "--snapshot-id", snapshot, "--max-surge", "1"))
    upgraded = properties(cluster, "old")
    assert (upgraded["nodeImageVersion"], upgraded["orchestratorVersion"][:4]) == (kept["nodeImageVersion"], "1.33")
    assert upgraded["upgradeSettings"]["maxSurge"] == "1"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("-s A --vm-sizes A --vm-set-type VirtualMachines", "--vm-sizes: cannot be given together with --node-vm-size"),
        ("--vm-sizes A", "--vm-sizes: goes only with --vm-set-type VirtualMachines"),
        ("--vm-set-type VirtualMachines --vm-sizes A,B", "a node pool begins with one size, not 'A,B'"),
        ("--spot-max-price 1", "--spot-max-price: goes only with --priority Spot"),
        ("--priority Spot --spot-max-price 0", "0 is neither -1 (up to on demand) nor above 0"),
        ("--priority Spot --spot-max-price 0.123456", "with at most five decimals"),
        ("--priority Spot --spot-max-price nan", "nan is neither -1"),
        (f"--asg-ids {ASG}", "--asg-ids: goes only with --allowed-host-ports"),
        ("--min-count 1 --max-count 3", "--min-count: goes only with --enable-cluster-autoscaler"),
        ("-d --max-count 3", "--max-count: goes only with --enable-cluster-autoscaler"),
        ("-e --min-count 1", "--enable-cluster-autoscaler: needs --min-count and --max-count"),
        ("--labe a=b", "--labe: options are written out here, and this may be --labels"),
        ("--min 1", "this may be --min-count"),
        ("--enable-=x", "may be --enable-artifact-streaming or --enable-cluster-autoscaler or"),
        ("--node-vm-size --max-surge 1", "--node-vm-size: needs a value"),
        ("--zones -c 1", "--zones: needs a value"),
        ("--enable-vtpm=true", "--enable-vtpm: takes no value"),
        ("--labels=a=b c=d", "Got unexpected extra argument(s) (c=d)"),
        ("-- --labels a=b", "Got unexpected extra argument(s) (--labels a=b)"),
        ("--allowed-host-ports 80", "'80' is not of the form 80/tcp or 4000-5000/udp"),
        ("--gateway-prefix-size 30", "goes only with --mode Gateway"),
        ("--disable-windows-outbound-nat", "goes only with --os-type Windows"),
        ("--os-type Windows --message-of-the-day {files}/text", "goes only with --os-type Linux"),
        ("--message-of-the-day {files}/umlaut", "has characters beyond ASCII"),
        ("--kubelet-config {files}/text", "is no JSON"),
        ("--linux-os-config {files}/list", "has no JSON object"),
        ("--kubelet-config {files}/none", "cannot be read: No such file or directory"),
        ("--labels a", "'a' is not of the form key=value"),
        ("--asg-ids /a", "--asg-ids: '/a' is no resource ID, such as /subscriptions/"),
        ("--crg-id=", "--crg-id: '' is no resource ID"),
        ("-c 1.0", "--node-count: '1.0' is no whole number"),
        ("--drain-timeout 1441", "--drain-timeout: 1441 is not from 1 to 1440"),
        ("--vpmem-mib -1", "--vpmem-mib: -1 is not 0 or more"),
        ("--max-surge=", "--max-surge: '' is neither a number of machines"),
        ("--max-unavailable -1", "--max-unavailable: '-1' is neither a number of machines"),
        ("--aks-custom-headers a=", "--aks-custom-headers: 'a=' is not of the form name=value"),
        ("--aks-custom-headers a=b=c", "'a=b=c' is not of the form name=value"),
        (
            "--vm-set-type VirtualMachines -e --min-count 1 --max-count 2",
            "--enable-cluster-autoscaler: does not go with type VirtualMachines: each of its sizes has bounds",
        ),
        ("--tags =a", "'=a' is not of the form key[=value]"),
        ("--priority spotty", "'spotty' is not one of 'Regular', 'Spot'"),
        ("--labels=a=b --query=name", "--query: az takes it"),
        ("--query name", "--query: az takes it, and `poolwright aks nodepool add` does not: an option of az itself"),
        ("--debug", "use `poolwright az`"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_sent(
    options: str, words: str, alone: CommandLine, tmp_path: Path
) -> None:
    for name, content in (("text", "Hello"), ("umlaut", "Grüße"), ("list", "[]")):
        (tmp_path / name).write_text(content)

    ended = alone(*nodepool("add", "np1", *options.format(files=tmp_path).split()))

    assert (ended.code, ended.out) == (2, "")
    assert words in " ".join(ended.err.split())


SWITCHES = [
    (one.spelling, other.spelling)
    for one, other in combinations([row for row in POOL_OPTIONS if row.form.says is not None], 2)
    if one.path == other.path
]


@pytest.mark.parametrize(("one", "other"), SWITCHES)
def test_two_options_that_say_the_same_are_refused_in_either_order(one: str, other: str, alone: CommandLine) -> None:
    for options in ((one, other), (other, one)):
        ended = alone(*nodepool("update", "np1", *options))

        assert (ended.code, ended.out) == (2, "")
        assert f"{other}: cannot be given together with {one}: both say" in " ".join(ended.err.split())


def test_those_are_all_pairs_that_az_refuses() -> None:
    assert {one.removeprefix("--enable-") for one, _ in SWITCHES} >= {
        *("cluster-autoscaler", "fips-image", "vtpm", "secure-boot", "artifact-streaming"),
    }
    assert ("--disable-cluster-autoscaler", "--update-cluster-autoscaler") in SWITCHES


def test_a_cluster_has_what_the_options_say_and_so_has_its_first_node_pool(
    poolwright: CommandLine, cluster: ServiceProcess
) -> None:
    assert {path for path, _ in OF_CLUSTER.values()} == {row.path for row in CLUSTER_OPTIONS}
    words = " ".join((*OF_CLUSTER, FIRST_POOL.words, "--generate-ssh-keys")).split()

    poolwright.done("aks", "create", "-g", "rg", "-n", "all", *words)

    made = cluster.client.get(cluster.client.cluster("all")).json()
    [key] = made["properties"]["linuxProfile"]["ssh"]["publicKeys"]
    assert key["keyData"] == (Path.home() / ".ssh" / "id_rsa.pub").read_text().strip()
    assert {path: found_at(made, path) for path, _ in OF_CLUSTER.values()} == dict(OF_CLUSTER.values())
    [pool] = made["properties"]["agentPoolProfiles"]
    assert {path: found_at(pool, path) for path in FIRST_POOL.properties} == FIRST_POOL.properties


def test_taints_are_sent_with_their_blanks_and_refused(poolwright: CommandLine, cluster: ServiceProcess) -> None:
    for text in ("a=b:NoSchedule,", "a=b:NoSchedule, c=d:NoSchedule"):
        ended = poolwright(*nodepool("add", "blanks", "-c", "0", "--node-taints", text))

        assert (ended.code, ended.out) == (1, "")
        assert "target: properties.nodeTaints" in ended.err


def test_a_new_node_pool_has_what_az_sends_unasked(poolwright: CommandLine, cluster: ServiceProcess) -> None:
    poolwright.done(*nodepool("add", "evicted", "-c", "0", "--priority", "spot"))
    poolwright.done(*nodepool("add", "steady", "-c", "0", "--priority", "regular", "--eviction-policy", "deallocate"))
    poolwright.done(*nodepool("add", "winner", "-c", "0", "--os-type", "windows", "--os-sku", "windows2022"))

    spot, steady, windows = (properties(cluster, name) for name in ("evicted", "steady", "winner"))
    assert (spot["scaleSetEvictionPolicy"], spot["spotMaxPrice"], spot["nodeTaints"]) == ("Delete", -1, [])
    assert not steady.keys() & {"scaleSetEvictionPolicy", "spotMaxPrice"}
    assert windows["enableFIPS"] is False


@pytest.mark.parametrize(
    "words",
    [
        "--kubelet-config= --linux-os-config= --localdns-config= --message-of-the-day= --snapshot-id=",
        "--os-type= --undrainable-node-behavior= --vnet-subnet-id= --node-public-ip-tags= --drain-timeout 0",
        "--max-pods 0 --node-soak-duration 0 --if-match= --aks-custom-headers=",
    ],
)
def test_a_blank_and_a_0_that_az_does_not_send_say_nothing(
    words: str, poolwright: CommandLine, cluster: ServiceProcess
) -> None:
    made = []
    for given in ("", words):
        poolwright.done(*nodepool("add", "blank", "-c", "0", *given.split()))
        made.append({**properties(cluster, "blank"), "eTag": ""})
        poolwright.done(*nodepool("delete", "blank", "--yes"))

    assert made[0] == made[1]


def test_an_update_with_blanks_and_0_keeps_what_there_is(poolwright: CommandLine, cluster: ServiceProcess) -> None:
    settings = {"drainTimeoutInMinutes": 7, "nodeSoakDurationInMinutes": 5}
    before = cluster.client.make_pool("kept", {"count": 0, "upgradeSettings": settings})
    words = "--undrainable-node-behavior= --localdns-config= --drain-timeout 0 --node-soak-duration 0"

    poolwright.done(*nodepool("update", "kept", *words.split()))
    assert properties(cluster, "kept")["upgradeSettings"] == before["upgradeSettings"]

    poolwright.done(*nodepool("upgrade", "kept", "--node-soak-duration", "0", "--drain-timeout", "0"))
    after = properties(cluster, "kept")["upgradeSettings"]
    assert after == {**before["upgradeSettings"], "nodeSoakDurationInMinutes": 0}


def test_the_first_node_pool_takes_what_a_node_pool_takes() -> None:
    """What is missing is what az's `aks create` has not, and its own pages."""
    added, first = ({row.path for row in taken_by(taker)} for taker in (Taker.ADD, Taker.CREATE))
    assert first < added
    assert added - first == {
        *("osType", "orchestratorVersion", "mode", "scaleSetPriority", "scaleSetEvictionPolicy", "spotMaxPrice"),
        *("scaleDownMode", "gpuProfile.driver", "networkProfile.dranet.mode", "localDNSProfile"),
        *("windowsProfile.disableOutboundNat", "gatewayProfile.publicIPPrefixSize", "artifactStreamingProfile.enabled"),
        *(row.path for row in POOL_OPTIONS if row.path.startswith("upgradeSettings.")),
    }


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("--attach-acr x", "--attach-acr: az takes it, and `poolwright aks create` does not: it needs another service"),
        ("-d x", "it needs another service of Azure"),
        ("--windows-admin-password x", "goes only with --windows-admin-username"),
        ("--nonsense x", "No such option: --nonsense"),
    ],
)
def test_create_names_what_it_does_not_take(options: str, words: str, alone: CommandLine) -> None:
    ended = alone("aks", "create", "-g", "rg", "-n", "c9", *options.split())

    assert (ended.code, ended.out) == (2, "")
    assert words in " ".join(ended.err.split())
