"""`poolwright aks nodepool`: node pools.

`update` and `scale` read the node pool, change it, and send the whole of it back, as az does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import typer

from poolwright.cli import changes, options
from poolwright.cli.connection import connect
from poolwright.cli.failure import FAILED, Failure, Refused
from poolwright.cli.options import (
    AzStyleCommand,
    ClusterName,
    Count,
    CustomHeaders,
    DataDir,
    Fips,
    GpuDriverOption,
    Group,
    IfMatch,
    IfNoneMatch,
    KubernetesVersion,
    Labels,
    Mode,
    ModeOption,
    NoWait,
    OsSku,
    OsType,
    OsTypeOption,
    OutputForm,
    PoolName,
    SecureBoot,
    Size,
    Taints,
    VmGenerationOption,
    Vtpm,
    WorkloadRuntimeOption,
    Yes,
    Zones,
    examples,
    value_of,
)
from poolwright.cli.output import Json, Output, decision_text, error_text, note, note_warnings, print_answer, print_json

app = typer.Typer(no_args_is_help=True, help="Node pools of a cluster.")

DEFAULT_COUNT: Final = 3  # az's
# What az's own model of a node pool leaves out of a PUT, and what only Poolwright adds to the reply.
_NOT_SENT_BACK: Final = ("eTag", "provisioningState", "currentOrchestratorVersion", "status", "poolwright")


@app.command(
    cls=AzStyleCommand,
    epilog=examples(
        "poolwright aks nodepool add -g rg --cluster-name c1 -n np1 -s Standard_D2s_v5",
        "poolwright aks nodepool add -g rg --cluster-name c1 -n win1 --os-type Windows --os-sku Windows2022 "
        "-s Standard_D4ads_v6 --aks-custom-headers UseWindowsGen2VM=true",
    ),
)
def add(
    resource_group: Group,
    cluster_name: ClusterName,
    name: PoolName,
    vm_size: Size = None,
    node_count: Count = DEFAULT_COUNT,
    os_type: OsTypeOption = OsType.LINUX,
    os_sku: OsSku = None,
    kubernetes_version: KubernetesVersion = None,
    mode: ModeOption = Mode.USER,
    labels: Labels = None,
    node_taints: Taints = None,
    zones: Zones = None,
    fips: Fips = None,
    vtpm: Vtpm = None,
    secure_boot: SecureBoot = None,
    vm_generation: VmGenerationOption = None,
    workload_runtime: WorkloadRuntimeOption = None,
    gpu_driver: GpuDriverOption = None,
    aks_custom_headers: CustomHeaders = None,
    if_match: IfMatch = None,
    if_none_match: IfNoneMatch = None,
    no_wait: NoWait = False,
    data_dir: DataDir = None,
    output: OutputForm = Output.TABLE,
) -> None:
    """Add a node pool to a cluster, and wait until its machines run."""
    properties = changed(
        {},
        vmSize=vm_size,
        count=node_count,
        osType=value_of(os_type),
        osSKU=os_sku,
        orchestratorVersion=kubernetes_version,
        mode=value_of(mode),
        nodeLabels=options.pairs(labels, "--labels"),
        nodeTaints=options.listed(node_taints),
        availabilityZones=zones,
        enableFIPS=fips,
        enableVTPM=vtpm,
        enableSecureBoot=secure_boot,
        vmGeneration=value_of(vm_generation),
        workloadRuntime=value_of(workload_runtime),
        driver=value_of(gpu_driver),
    )
    headers = options.custom_headers(aks_custom_headers)
    conditions = options.precondition_headers(if_match, if_none_match) or {"If-None-Match": "*"}
    with connect(data_dir, output) as client:
        path = client.pool_path(resource_group, cluster_name, name)
        try:
            pool = changes.put(
                client,
                path,
                {"properties": properties},
                headers | conditions,
                f"adding node pool '{name}'",
                no_wait=no_wait,
            )
        except Refused as refused:
            if refused.status == 412 and not (if_match or if_none_match):
                raise Failure(
                    f"error: node pool '{name}' exists already: `poolwright aks nodepool update` changes it, "
                    "`poolwright aks nodepool list` shows all",
                    document=refused.document,
                ) from refused
            raise
        _print(pool, output)


@app.command(epilog=examples("poolwright aks nodepool show -g rg --cluster-name c1 -n np1 -o json"))
def show(
    resource_group: Group,
    cluster_name: ClusterName,
    name: PoolName,
    data_dir: DataDir = None,
    output: OutputForm = Output.TABLE,
) -> None:
    """Show a node pool with its node image and generation."""
    with connect(data_dir, output) as client:
        pool = client.get(client.pool_path(resource_group, cluster_name, name))
        print_answer(pool, [pool_row(pool)], output)


@app.command("list", epilog=examples("poolwright aks nodepool list -g rg --cluster-name c1"))
def list_pools(
    resource_group: Group, cluster_name: ClusterName, data_dir: DataDir = None, output: OutputForm = Output.TABLE
) -> None:
    """List the node pools of a cluster."""
    with connect(data_dir, output) as client:
        pools = client.get(client.pool_path(resource_group, cluster_name))
        print_answer(pools, [pool_row(pool) for pool in pools["value"]], output)


@app.command(
    cls=AzStyleCommand,
    epilog=examples(
        "poolwright aks nodepool update -g rg --cluster-name c1 -n np1 --labels team=a tier=web",
    ),
)
def update(
    resource_group: Group,
    cluster_name: ClusterName,
    name: PoolName,
    vm_size: Size = None,
    os_type: OsTypeOption = None,
    os_sku: OsSku = None,
    mode: ModeOption = None,
    labels: Labels = None,
    node_taints: Taints = None,
    fips: Fips = None,
    vtpm: Vtpm = None,
    secure_boot: SecureBoot = None,
    vm_generation: VmGenerationOption = None,
    aks_custom_headers: CustomHeaders = None,
    if_match: IfMatch = None,
    if_none_match: IfNoneMatch = None,
    no_wait: NoWait = False,
    data_dir: DataDir = None,
    output: OutputForm = Output.TABLE,
) -> None:
    """Change a node pool: read it, change it, send the whole of it back. Without options: repair it."""
    headers = options.custom_headers(aks_custom_headers) | options.precondition_headers(if_match, if_none_match)
    changes_asked: dict[str, Any] = {
        "vmSize": vm_size,
        "osType": value_of(os_type),
        "osSKU": os_sku,
        "mode": value_of(mode),
        "nodeLabels": options.pairs(labels, "--labels"),
        "nodeTaints": options.listed(node_taints),
        "enableFIPS": fips,
        "enableVTPM": vtpm,
        "enableSecureBoot": secure_boot,
        "vmGeneration": value_of(vm_generation),
    }
    with connect(data_dir, output) as client:
        path = client.pool_path(resource_group, cluster_name, name)
        body = {"properties": changed(client.get(path)["properties"], **changes_asked)}
        pool = changes.put(client, path, body, headers, f"updating node pool '{name}'", no_wait=no_wait)
        _print(pool, output)


@app.command(epilog=examples("poolwright aks nodepool scale -g rg --cluster-name c1 -n np1 -c 5"))
def scale(
    resource_group: Group,
    cluster_name: ClusterName,
    name: PoolName,
    node_count: Count = DEFAULT_COUNT,
    no_wait: NoWait = False,
    data_dir: DataDir = None,
    output: OutputForm = Output.TABLE,
) -> None:
    """Change how many machines a node pool has."""
    with connect(data_dir, output) as client:
        path = client.pool_path(resource_group, cluster_name, name)
        properties = client.get(path)["properties"]
        if properties["type"] == "VirtualMachines":
            raise Failure(
                f"error: node pool '{name}' has several sizes of machines: scale each with "
                "`poolwright az aks nodepool manual-scale update`"
            )
        if properties["count"] == node_count:
            raise Failure(f"error: node pool '{name}' has {node_count} machines already")
        body = {"properties": changed(properties, count=node_count)}
        pool = changes.put(client, path, body, {}, f"scaling node pool '{name}'", no_wait=no_wait)
        _print(pool, output)


@app.command(epilog=examples("poolwright aks nodepool rollback -g rg --cluster-name c1 -n np1"))
def rollback(
    resource_group: Group,
    cluster_name: ClusterName,
    name: PoolName,
    no_wait: NoWait = False,
    data_dir: DataDir = None,
    output: OutputForm = Output.TABLE,
) -> None:
    """Go back to the last good state: size, OS SKU, generation, node image and Kubernetes version."""
    with connect(data_dir, output) as client:
        path = client.pool_path(resource_group, cluster_name, name)
        changes.begin(client, f"{path}/rollback", None, f"rolling back node pool '{name}'", no_wait=no_wait)
        _print(client.get(path), output)


@app.command(
    "operation-abort", epilog=examples("poolwright aks nodepool operation-abort -g rg --cluster-name c1 -n np1")
)
def operation_abort(
    resource_group: Group,
    cluster_name: ClusterName,
    name: PoolName,
    no_wait: NoWait = False,
    data_dir: DataDir = None,
    output: OutputForm = Output.TABLE,
) -> None:
    """Stop the running operation between two steps; machines that run keep running. The next update goes on."""
    with connect(data_dir, output) as client:
        path = client.pool_path(resource_group, cluster_name, name)
        changes.begin(client, f"{path}/abort", None, f"stopping the operation on '{name}'", no_wait=no_wait)
        _print(client.get(path), output)


@app.command(epilog=examples("poolwright aks nodepool delete -g rg --cluster-name c1 -n np1"))
def delete(
    resource_group: Group,
    cluster_name: ClusterName,
    name: PoolName,
    if_match: IfMatch = None,
    yes: Yes = False,
    no_wait: NoWait = False,
    data_dir: DataDir = None,
    output: OutputForm = Output.TABLE,
) -> None:
    """Delete a node pool with its machines. Asks first when there is a terminal."""
    changes.confirm(f"Delete node pool '{name}' with its machines?", yes=yes, az_asks=False)
    with connect(data_dir, output) as client:
        changes.delete(
            client,
            client.pool_path(resource_group, cluster_name, name),
            options.precondition_headers(if_match, None),
            f"node pool '{name}'",
            no_wait=no_wait,
        )


@app.command(
    "what-if",
    cls=AzStyleCommand,
    epilog=examples(
        "poolwright aks nodepool what-if -g rg --cluster-name c1 -n win1 --os-type Windows -s Standard_D4ads_v6",
    ),
)
def what_if(
    resource_group: Group,
    cluster_name: ClusterName,
    name: PoolName,
    vm_size: Size = None,
    node_count: Count = None,
    os_type: OsTypeOption = None,
    os_sku: OsSku = None,
    kubernetes_version: KubernetesVersion = None,
    mode: ModeOption = None,
    labels: Labels = None,
    node_taints: Taints = None,
    zones: Zones = None,
    fips: Fips = None,
    vtpm: Vtpm = None,
    secure_boot: SecureBoot = None,
    vm_generation: VmGenerationOption = None,
    workload_runtime: WorkloadRuntimeOption = None,
    gpu_driver: GpuDriverOption = None,
    aks_custom_headers: CustomHeaders = None,
    data_dir: DataDir = None,
    output: OutputForm = Output.TABLE,
) -> None:
    """Say what add, or update of a pool that exists, would decide or refuse. Changes nothing."""
    asked: dict[str, Any] = {
        "vmSize": vm_size,
        "count": node_count,
        "osType": value_of(os_type),
        "osSKU": os_sku,
        "orchestratorVersion": kubernetes_version,
        "mode": value_of(mode),
        "nodeLabels": options.pairs(labels, "--labels"),
        "nodeTaints": options.listed(node_taints),
        "availabilityZones": zones,
        "enableFIPS": fips,
        "enableVTPM": vtpm,
        "enableSecureBoot": secure_boot,
        "vmGeneration": value_of(vm_generation),
        "workloadRuntime": value_of(workload_runtime),
        "driver": value_of(gpu_driver),
    }
    headers = options.custom_headers(aks_custom_headers)
    with connect(data_dir, output) as client:
        path = client.pool_path(resource_group, cluster_name, name)
        pools = client.get(client.pool_path(resource_group, cluster_name))["value"]
        present = next((pool for pool in pools if pool["name"].lower() == name.lower()), None)
        start = present["properties"] if present else {"count": DEFAULT_COUNT, "osType": "Linux", "mode": "User"}
        print_decision(client.post(f"{path}/whatIf", {"properties": changed(start, **asked)}, headers), output)


def print_decision(decision: Json, output: Output) -> None:
    """Print what a PUT would lead to. Exits with 1 where the operation would fail after it was accepted."""
    properties = decision["properties"]
    if output is Output.JSON:
        print_json(decision)
    else:
        print(decision_text(properties))
    failure = properties.get("operationWouldFail")
    if failure is None:
        return
    if output is not Output.JSON:
        note(f"The request would be accepted, and then the operation would fail:\n{error_text(failure)}")
    raise typer.Exit(FAILED)


def pool_row(pool: Json) -> dict[str, object]:
    """Return a node pool's row: az's columns, then its node image and generation."""
    properties = pool["properties"]
    return {
        "Name": pool["name"],
        "OsType": properties["osType"],
        "KubernetesVersion": properties["orchestratorVersion"],
        "VmSize": properties.get("vmSize"),
        "Count": properties["count"],
        "MaxPods": properties["maxPods"],
        "ProvisioningState": properties["provisioningState"],
        "Mode": properties["mode"],
        "NodeImageVersion": properties["nodeImageVersion"],
        "Generation": properties["poolwright"]["resolvedGeneration"],
    }


def changed(properties: Mapping[str, Any], **asked: Any) -> Json:
    """Return the properties to send: those there are, without what only replies have, with what was asked."""
    body = {name: value for name, value in properties.items() if name not in _NOT_SENT_BACK}
    for name, value in asked.items():
        if value is None:
            continue
        if name in ("enableVTPM", "enableSecureBoot"):
            body["securityProfile"] = {**body.get("securityProfile", {}), name: value}
        elif name == "driver":
            body["gpuProfile"] = {**body.get("gpuProfile", {}), name: value}
        else:
            body[name] = value
    return body


def _print(pool: Json, output: Output) -> None:
    print_answer(pool, [pool_row(pool)], output)
    if output is not Output.JSON:
        note_warnings(pool)
