"""The extension in the real az: nothing stock is lost, and the documented commands run as printed.

https://learn.microsoft.com/azure/aks/generation-2-vms prints the commands of `DOCUMENTED`.
"""

from __future__ import annotations

import ast
import json
import shutil
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from arm_recorder import CLUSTER, ArmRecorder
from registered_az import Az, service_of

from poolwright.az import configuration
from poolwright.identity.tls import TlsFiles

COMMANDS = (
    "aks nodepool add",
    "aks nodepool update",
    "aks nodepool show",
    "aks nodepool list",
    "aks machine list",
    "aks machine show",
)

DOCUMENTED = {
    "add Windows": "aks nodepool add --resource-group <resource-group-name> --cluster-name <cluster-name> "
    "--name <node-pool-name> --vm-size <supported-generation-2-vm-size> --os-type Windows --os-sku Windows2022 "
    "--aks-custom-headers UseWindowsGen2VM=true",
    "update Linux": "aks nodepool update --resource-group <resource-group-name> --cluster-name <cluster-name> "
    "--name <node-pool-name> --vm-size <supported-generation-2-vm-size> --os-type Linux",
    "update Windows": "aks nodepool update --resource-group <resource-group-name> --cluster-name <cluster-name> "
    "--name <node-pool-name> --vm-size <supported-generation-2-vm-size> --os-type Windows --os-sku Windows2022 "
    "--aks-custom-headers UseWindowsGen2VM=true",
    "show": "aks nodepool show --resource-group <resource-group-name> --cluster-name <cluster-name> "
    "--name <node-pool-name>",
}

SIZE = "Standard_D4s_v5"
OF_POOL = "--resource-group lab --cluster-name c1 --name np1"
OF_CLUSTER = "--resource-group lab --cluster-name c1"
OF_MACHINES = f"{OF_CLUSTER} --nodepool-name np1"

POOL: dict[str, Any] = {
    "vmSize": "Standard_D2_v2",
    "count": 3,
    "osType": "Linux",
    "osSKU": "Ubuntu",
    "mode": "User",
    "type": "VirtualMachineScaleSets",
    "maxPods": 110,
    "orchestratorVersion": "1.33",
    "nodeImageVersion": "AKSUbuntu-2204containerd-202512.18.0",
    "nodeLabels": {"team": "blue"},
    "provisioningState": "Succeeded",
}
POOL_BLOCK = {
    "profile": "documented",
    "resolvedGeneration": "V1",
    "observedGenerations": {"V1": 3, "V2": 0, "unknown": 0},
    "warnings": [{"code": "GenerationForcedBySize", "message": "The size offers V1 only."}],
}
MACHINE: dict[str, Any] = {
    "resourceId": "/somewhere/m0",
    "network": {"ipAddresses": [{"family": "IPv4", "ip": "10.224.0.4"}]},
}
MACHINE_BLOCK = {"observedGeneration": "V1", "firmware": "bios", "image": {"definition": "2204containerd"}}


def documented(name: str, pool: str = "np1") -> str:
    values = {
        "<resource-group-name>": "lab",
        "<cluster-name>": "c1",
        "<node-pool-name>": pool,
        "<supported-generation-2-vm-size>": SIZE,
    }
    command = DOCUMENTED[name]
    for placeholder, value in values.items():
        command = command.replace(placeholder, value)
    return command


@pytest.fixture
def az(az_path: Path, recorder: ArmRecorder, tls: TlsFiles, tmp_path: Path) -> Az:
    service = service_of(recorder, tls)
    configuration.prepare(az_path, tmp_path, service)
    recorder.requests.clear()
    return Az(az_path, configuration.environment(tmp_path, service))


@pytest.fixture
def stock_az(az: Az) -> Iterator[Az]:
    """The same az with the extension taken away."""
    directory = Path(az.environment["AZURE_CONFIG_DIR"])
    shutil.rmtree(directory / "cliextensions")
    for index in configuration.INDEXES:
        (directory / index).unlink(missing_ok=True)
    return az


@pytest.mark.az
def test_every_stock_argument_and_setting_stays_and_only_the_documented_ones_are_added(
    az: Az, az_path: Path, tmp_path: Path
) -> None:
    ours = {"AZURE_CONFIG_DIR", "AZURE_EXTENSION_DIR", "AZURE_CLOUD_NAME"}
    inherited = {name: value for name, value in az.environment.items() if name not in ours}
    stock = Az(az_path, {**inherited, "AZURE_CONFIG_DIR": str(tmp_path / "stock")})
    before, after = (which.inside("describe_commands.py", *COMMANDS) for which in (stock, az))

    added = {name: after["aks nodepool update"]["arguments"].pop(name) for name in ("node_vm_size", "os_type")}
    assert added["node_vm_size"]["options_list"] == ["--node-vm-size", "-s", "--vm-size"]
    assert added["os_type"]["options_list"] == ["--os-type"]
    assert added["os_type"]["choices"] == ["Linux", "Windows"]

    spellings = before["aks nodepool add"]["arguments"]["node_vm_size"]["options_list"]
    spellings.append("--vm-size")
    os_skus = before["aks nodepool update"]["arguments"]["os_sku"]["choices"]
    os_skus += [sku for sku in before["aks nodepool add"]["arguments"]["os_sku"]["choices"] if sku not in os_skus]
    before["aks nodepool update"]["operation"] = "azext_poolwright.update#{}"
    assert len(before["aks nodepool add"]["arguments"]) > 50
    assert after == before


@pytest.mark.az
def test_the_documented_windows_add_sends_the_header_and_the_size(az: Az, recorder: ArmRecorder) -> None:
    outcome = az.run(documented("add Windows", pool="npwin"))

    assert outcome.returncode == 0, outcome.stderr
    [put] = recorder.of("PUT")
    assert put.path == f"{CLUSTER}/agentPools/npwin"
    assert put.headers["usewindowsgen2vm"] == "true"
    sent = put.json["properties"]
    assert (sent["vmSize"], sent["osType"], sent["osSKU"]) == (SIZE, "Windows", "Windows2022")
    assert [request.headers.get("usewindowsgen2vm") for request in recorder.of("GET")].count("true") == 0


@pytest.mark.az
def test_the_documented_linux_update_changes_the_size_and_nothing_else(az: Az, recorder: ArmRecorder) -> None:
    recorder.pools["np1"] = POOL

    outcome = az.run(documented("update Linux"))

    assert outcome.returncode == 0, outcome.stderr
    [put] = recorder.of("PUT")
    expected = {name: value for name, value in POOL.items() if name != "provisioningState"}
    assert put.json["properties"] == {**expected, "vmSize": SIZE}
    assert "usewindowsgen2vm" not in put.headers
    assert [request.path for request in recorder.requests[-2:]] == [
        recorder.of("GET", "/operations/op1")[0].path,
        put.path,
    ]


@pytest.mark.az
def test_the_documented_windows_update_sends_header_size_and_os_sku(az: Az, recorder: ArmRecorder) -> None:
    recorder.pools["np1"] = {**POOL, "osType": "Windows", "osSKU": "Windows2019"}

    outcome = az.run(documented("update Windows"))

    assert outcome.returncode == 0, outcome.stderr
    [put] = recorder.of("PUT")
    sent = put.json["properties"]
    assert put.headers["usewindowsgen2vm"] == "true"
    assert (sent["vmSize"], sent["osType"], sent["osSKU"]) == (SIZE, "Windows", "Windows2022")
    assert sent["nodeLabels"] == {"team": "blue"}


@pytest.mark.az
def test_stock_az_refuses_the_documented_update_before_any_request(stock_az: Az, recorder: ArmRecorder) -> None:
    """The reason for this extension; when it fails, az has learned the arguments itself."""
    outcome = stock_az.run(documented("update Linux"))

    assert outcome.returncode == 2
    assert "unrecognized arguments: --vm-size" in outcome.stderr
    assert recorder.requests == []


@pytest.mark.az
def test_stock_arguments_of_update_work_beside_the_added_ones(az: Az, recorder: ArmRecorder) -> None:
    recorder.pools["np1"] = POOL

    outcome = az.run(
        f"aks nodepool update {OF_POOL} --labels a=b c=d --node-taints x=y:NoSchedule --max-surge 50% "
        "--node-vm-size Standard_D8s_v5 --if-match abc --tags t=1 u=2 --no-wait"
    )

    assert outcome.returncode == 0, outcome.stderr
    assert outcome.stdout == ""
    [put] = recorder.of("PUT")
    sent = put.json["properties"]
    assert sent["nodeLabels"] == {"a": "b", "c": "d"}
    assert sent["nodeTaints"] == ["x=y:NoSchedule"]
    assert sent["upgradeSettings"] == {"maxSurge": "50%"}
    assert sent["tags"] == {"t": "1", "u": "2"}
    assert sent["vmSize"] == "Standard_D8s_v5"
    assert put.headers["if-match"] == '"abc"'
    assert recorder.of("GET", "/operations/op1") == []


@pytest.mark.az
def test_an_update_without_the_added_arguments_leaves_size_and_os_type_alone(az: Az, recorder: ArmRecorder) -> None:
    recorder.pools["np1"] = POOL

    az.json(f"aks nodepool update {OF_POOL} --labels a=b")

    [put] = recorder.of("PUT")
    sent = put.json["properties"]
    assert (sent["vmSize"], sent["osType"], sent["osSKU"]) == ("Standard_D2_v2", "Linux", "Ubuntu")


@pytest.mark.az
def test_show_and_list_print_what_stock_az_prints_plus_the_block(az: Az, recorder: ArmRecorder) -> None:
    commands = [
        f"{command} --output json"
        for command in (
            documented("show"),
            f"aks nodepool list {OF_CLUSTER}",
            f"aks machine list {OF_MACHINES}",
            f"aks machine show {OF_MACHINES} --machine-name m0",
        )
    ]
    recorder.pools["np1"] = POOL
    recorder.machines["m0"] = MACHINE
    plain_pool, plain_pools, plain_machines, plain_machine = printed_json(az, commands)

    recorder.pools["np1"] = {**POOL, "poolwright": POOL_BLOCK}
    recorder.machines["m0"] = {**MACHINE, "poolwright": MACHINE_BLOCK}
    pool, pools, machines, machine = printed_json(az, commands)

    assert pool == {**plain_pool, "poolwright": POOL_BLOCK}
    assert pools == [{**plain_pools[0], "poolwright": POOL_BLOCK}]
    assert machines == [{**plain_machines[0], "poolwright": MACHINE_BLOCK}]
    assert machine == {**plain_machine, "poolwright": MACHINE_BLOCK}
    assert "poolwright" not in plain_pool
    assert "gen2" not in plain_pool["nodeImageVersion"]


@pytest.mark.az
def test_tables_get_node_image_version_and_generation(az: Az, recorder: ArmRecorder) -> None:
    recorder.pools["np1"] = {**POOL, "poolwright": POOL_BLOCK}
    recorder.machines["m0"] = {
        **MACHINE,
        "nodeImageVersion": "AKSUbuntu-2204gen2containerd-202512.18.0",
        "poolwright": {**MACHINE_BLOCK, "observedGeneration": "V2"},
    }
    recorder.machines["m1"] = {**MACHINE, "poolwright": {**MACHINE_BLOCK, "observedGeneration": None}}
    show_pool, list_pools, list_machines, show_machine = (
        outcome["printed"].splitlines()
        for outcome in az.run_all(
            [
                f"{documented('show')} --output table",
                f"aks nodepool list {OF_CLUSTER} --output table",
                f"aks machine list {OF_MACHINES} --output table",
                f"aks machine show {OF_MACHINES} --machine-name m0 --output table",
            ]
        )
    )

    assert show_pool == list_pools
    heading, _, row = show_pool
    stock_columns = ["Name", "OsType", "KubernetesVersion", "VmSize", "Count", "MaxPods", "ProvisioningState", "Mode"]
    assert heading.split() == [*stock_columns, "NodeImageVersion", "Generation"]
    assert row.split()[-2:] == ["AKSUbuntu-2204containerd-202512.18.0", "V1"]

    heading, _, first, second = list_machines
    assert heading.split() == ["Name", "Ip", "Zones", "NodeImageVersion", "Generation"]
    assert first.split()[-2:] == ["AKSUbuntu-2204gen2containerd-202512.18.0", "V2"]
    assert second.split()[-2:] == ["2204containerd", "unknown"]
    assert show_machine[0].split() == heading.split()
    assert show_machine[2].split() == first.split()


@pytest.mark.az
def test_without_the_block_every_output_is_stock_to_the_byte(
    az: Az, recorder: ArmRecorder, request: pytest.FixtureRequest
) -> None:
    recorder.pools["np1"] = POOL
    recorder.pools["np2"] = {**POOL, "vmSize": SIZE}
    recorder.machines["m0"] = MACHINE
    commands = [
        f"{command} --output {output}"
        for command in (
            f"aks nodepool show {OF_POOL}",
            f"aks nodepool list {OF_CLUSTER}",
            f"aks machine list {OF_MACHINES}",
            f"aks machine show {OF_MACHINES} --machine-name m0",
        )
        for output in ("json", "table", "tsv")
    ]
    extended = az.run_all(commands)
    stock = request.getfixturevalue("stock_az").run_all(commands)

    assert extended == stock
    assert all(outcome["code"] == 0 and outcome["printed"] for outcome in stock)


@pytest.mark.az
def test_show_of_a_missing_pool_or_machine_keeps_the_exit_code_for_not_found(az: Az) -> None:
    missing_pool = az.run(f"aks nodepool show {OF_POOL}")
    missing_machine = az.run(f"aks machine show {OF_MACHINES} --machine-name m9")

    assert (missing_pool.returncode, missing_machine.returncode) == (3, 3)
    assert "ResourceNotFound" in missing_pool.stderr


@pytest.mark.az
def test_a_query_reaches_into_the_block(az: Az, recorder: ArmRecorder) -> None:
    recorder.pools["np1"] = {**POOL, "poolwright": POOL_BLOCK}

    outcome = az.run(f"aks nodepool show {OF_POOL} --query poolwright.resolvedGeneration --output tsv")

    assert outcome.stdout == "V1\n"


def test_the_files_of_the_extension_need_only_az_and_the_standard_library() -> None:
    allowed = {"azure", "azext_poolwright", *sys.stdlib_module_names}
    for path in configuration.EXTENSION_FILES.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            assert {name.split(".")[0] for name in names} <= allowed, path.name


def test_the_version_of_the_extension_is_that_of_poolwright() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]

    assert configuration.extension_version() == project["version"]


def printed_json(az: Az, commands: list[str]) -> list[Any]:
    outcomes = az.run_all(commands)
    assert [outcome["code"] for outcome in outcomes] == [0] * len(commands)
    return [json.loads(outcome["printed"]) for outcome in outcomes]
