"""`poolwright aks nodepool`: node pools.

`update` and `scale` read the node pool, change it, and send the whole of it back, as az does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import typer

from poolwright.cli import changes, options
from poolwright.cli.connection import connect
from poolwright.cli.failure import FAILED, Failure, Refused
from poolwright.cli.option_rows import Asked, put_in, refuse_alone, with_options
from poolwright.cli.options import (
    AzStyleCommand,
    ClusterName,
    Count,
    CustomHeaders,
    DataDir,
    Group,
    IfMatch,
    IfNoneMatch,
    MachineNames,
    NodeImageOnly,
    NoWait,
    OutputForm,
    PoolName,
    Yes,
    examples,
)
from poolwright.cli.output import Json, Output, decision_text, error_text, note, note_warnings, print_answer, print_json
from poolwright.cli.pool_options import (
    DEFAULT_COUNT,
    DISABLE_AUTOSCALER,
    ENABLE_AUTOSCALER,
    NEW_POOL,
    UPDATE_AUTOSCALER,
    Taker,
    of_new_pool,
    taken_by,
)

if TYPE_CHECKING:
    from poolwright.cli.client import ServiceClient

app = typer.Typer(no_args_is_help=True, help="Node pools of a cluster.")

# What az's own model of a node pool leaves out of a PUT, and what only Poolwright adds to the reply.
_NOT_SENT_BACK: Final = ("eTag", "provisioningState", "currentOrchestratorVersion", "status", "poolwright")
_ADD, _UPDATE, _UPGRADE = taken_by(Taker.ADD), taken_by(Taker.UPDATE), taken_by(Taker.UPGRADE)
_EITHER = taken_by(Taker.ADD | Taker.UPDATE)
_SNAPSHOT: Final = "creationData.sourceResourceId"


@app.command(
    cls=AzStyleCommand,
    epilog=examples(
        "poolwright aks nodepool add -g rg --cluster-name c1 -n np1 -s Standard_D2s_v5",
        "poolwright aks nodepool add -g rg --cluster-name c1 -n win1 --os-type Windows --os-sku Windows2022 "
        "-s Standard_D4ads_v6 --aks-custom-headers UseWindowsGen2VM=true",
    ),
)
@with_options(asked=_ADD)
def add(
    resource_group: Group,
    cluster_name: ClusterName,
    name: PoolName,
    asked: Asked,
    aks_custom_headers: CustomHeaders = None,
    if_match: IfMatch = None,
    if_none_match: IfNoneMatch = None,
    no_wait: NoWait = False,
    data_dir: DataDir = None,
    output: OutputForm = Output.TABLE,
) -> None:
    """Add a node pool to a cluster, and wait until its machines run."""
    refuse_alone(asked, _ADD, NEW_POOL)
    body = {"properties": changed({}, of_new_pool(asked))}
    headers = options.custom_headers(aks_custom_headers) | (
        options.precondition_headers(if_match, if_none_match) or {"If-None-Match": "*"}
    )
    with connect(data_dir, output) as client:
        path = client.pool_path(resource_group, cluster_name, name)
        try:
            pool = changes.put(client, path, body, headers, f"adding node pool '{name}'", no_wait=no_wait)
        except Refused as refused:
            if refused.status == 412 and not (if_match or if_none_match):
                raise Failure(
                    f"error: node pool '{name}' exists already: `poolwright aks nodepool update` changes it, "
                    "`poolwright aks nodepool list` shows all",
                    document=refused.document,
                ) from refused
            raise
        _print(pool, output)


@app.command(cls=AzStyleCommand, epilog=examples("poolwright aks nodepool show -g rg --cluster-name c1 -n np1 -o json"))
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


@app.command("list", cls=AzStyleCommand, epilog=examples("poolwright aks nodepool list -g rg --cluster-name c1"))
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
        "poolwright aks nodepool update -g rg --cluster-name c1 -n np1 --node-vm-size Standard_D4s_v6 --max-surge 33%",
        "poolwright aks nodepool update -g rg --cluster-name c1 -n win1 --aks-custom-headers UseWindowsGen2VM=true",
        "poolwright aks nodepool update -g rg --cluster-name c1 -n np1 --enable-vtpm --enable-secure-boot",
        "poolwright aks nodepool update -g rg --cluster-name c1 -n np1 --labels team=a tier=web",
    ),
)
@with_options(asked=_UPDATE)
def update(
    resource_group: Group,
    cluster_name: ClusterName,
    name: PoolName,
    asked: Asked,
    aks_custom_headers: CustomHeaders = None,
    if_match: IfMatch = None,
    if_none_match: IfNoneMatch = None,
    no_wait: NoWait = False,
    data_dir: DataDir = None,
    output: OutputForm = Output.TABLE,
) -> None:
    """Change a node pool; another size, OS SKU or generation replaces its machines wave by wave.

    Reads it, changes it, sends the whole of it back. Without options: repairs it, or goes on with a change that
    stopped. `what-if` says before what would happen, `rollback` takes it back.
    """
    headers = options.custom_headers(aks_custom_headers) | options.precondition_headers(if_match, if_none_match)
    with connect(data_dir, output) as client:
        path = client.pool_path(resource_group, cluster_name, name)
        present = client.get(path)["properties"]
        refuse_alone(asked, _UPDATE, present)
        if _is_switched_already(name, asked, present):
            return
        body = {"properties": changed(present, asked)}
        pool = changes.put(client, path, body, headers, f"updating node pool '{name}'", no_wait=no_wait)
        _print(pool, output)


@app.command(
    cls=AzStyleCommand,
    epilog=examples(
        "poolwright aks nodepool upgrade -g rg --cluster-name c1 -n np1 --kubernetes-version 1.34",
        "poolwright aks nodepool upgrade -g rg --cluster-name c1 -n np1 --node-image-only",
    ),
)
@with_options(asked=_UPGRADE)
def upgrade(
    resource_group: Group,
    cluster_name: ClusterName,
    name: PoolName,
    asked: Asked,
    node_image_only: NodeImageOnly = False,
    aks_custom_headers: CustomHeaders = None,
    if_match: IfMatch = None,
    if_none_match: IfNoneMatch = None,
    yes: options.NothingAsked = False,
    no_wait: NoWait = False,
    data_dir: DataDir = None,
    output: OutputForm = Output.TABLE,
) -> None:
    """Upgrade the Kubernetes version, or only the node image; the generation stays.

    Without --kubernetes-version: to the version of the cluster, or of the snapshot. Another version
    without --snapshot-id leaves the snapshot that the node pool is from.
    """
    headers = options.custom_headers(aks_custom_headers) | options.precondition_headers(if_match, if_none_match)
    if node_image_only and (headers or any(value != "" for path, value in asked.items() if path != _SNAPSHOT)):
        raise typer.BadParameter(
            "goes with --snapshot-id and with no other change: a Kubernetes upgrade brings its node image, and how "
            "machines are replaced is set with `nodepool update`",
            param_hint="--node-image-only",
        )
    with connect(data_dir, output) as client:
        path = client.pool_path(resource_group, cluster_name, name)
        doing = f"upgrading node pool '{name}'"
        if node_image_only:
            snapshot = {"AKSSnapshotId": asked[_SNAPSHOT]} if _SNAPSHOT in asked else {}
            changes.begin(client, f"{path}/upgradeNodeImageVersion", None, doing, no_wait=no_wait, headers=snapshot)
            _print(client.get(path), output)
            return
        present = client.get(path)["properties"]
        present.pop("creationData", None)
        # Blank means the cluster's version, and with a snapshot the snapshot's.
        body = {"properties": changed(present, {"orchestratorVersion": ""} | asked)}
        _print(changes.put(client, path, body, headers, doing, no_wait=no_wait), output)


@app.command(
    "get-upgrades",
    cls=AzStyleCommand,
    epilog=examples("poolwright aks nodepool get-upgrades -g rg --cluster-name c1 -n np1"),
)
def get_upgrades(
    resource_group: Group,
    cluster_name: ClusterName,
    name: PoolName,
    data_dir: DataDir = None,
    output: OutputForm = Output.TABLE,
) -> None:
    """List what a node pool can be upgraded to, and what an Azure rollback could go back to."""
    with connect(data_dir, output) as client:
        profile = client.get(f"{client.pool_path(resource_group, cluster_name, name)}/upgradeProfiles/default")
        print_answer(profile, [upgrade_row(name, profile)], output)


@app.command(cls=AzStyleCommand, epilog=examples("poolwright aks nodepool scale -g rg --cluster-name c1 -n np1 -c 5"))
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
        if properties["enableAutoScaling"]:
            raise Failure(
                f"error: the cluster autoscaler of node pool '{name}' is on and decides over its count: "
                f"`poolwright aks nodepool update` changes its bounds with {UPDATE_AUTOSCALER}, or switches it off "
                f"with {DISABLE_AUTOSCALER}"
            )
        if properties["type"] == "VirtualMachines":
            raise Failure(
                f"error: node pool '{name}' has several sizes of machines: scale each with "
                "`poolwright az aks nodepool manual-scale update`"
            )
        if properties["count"] == node_count:
            raise Failure(f"error: node pool '{name}' has {node_count} machines already")
        body = {"properties": changed(properties, {"count": node_count})}
        pool = changes.put(client, path, body, {}, f"scaling node pool '{name}'", no_wait=no_wait)
        _print(pool, output)


@app.command(cls=AzStyleCommand, epilog=examples("poolwright aks nodepool rollback -g rg --cluster-name c1 -n np1"))
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
    "operation-abort",
    cls=AzStyleCommand,
    epilog=examples("poolwright aks nodepool operation-abort -g rg --cluster-name c1 -n np1"),
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


@app.command(
    "delete-machines",
    cls=AzStyleCommand,
    epilog=examples(
        "poolwright aks nodepool delete-machines -g rg --cluster-name c1 -n np1 "
        "--machine-names aks-np1-12345678-vmss000000 aks-np1-12345678-vmss000001"
    ),
)
def delete_machines(
    resource_group: Group,
    cluster_name: ClusterName,
    name: PoolName,
    machine_names: MachineNames,
    no_wait: NoWait = False,
    data_dir: DataDir = None,
    output: OutputForm = Output.TABLE,
) -> None:
    """Delete machines by name; the node pool's count falls by as many."""
    with connect(data_dir, output) as client:
        path = client.pool_path(resource_group, cluster_name, name)
        body = {"machineNames": machine_names}
        doing = f"deleting {len(machine_names)} machine(s) of node pool '{name}'"
        changes.begin(client, f"{path}/deleteMachines", body, doing, no_wait=no_wait)
        _print(client.get(path), output)


@app.command(cls=AzStyleCommand, epilog=examples("poolwright aks nodepool stop -g rg --cluster-name c1 -n np1"))
def stop(
    resource_group: Group,
    cluster_name: ClusterName,
    name: PoolName,
    no_wait: NoWait = False,
    data_dir: DataDir = None,
    output: OutputForm = Output.TABLE,
) -> None:
    """Stop the machines of a node pool; `start` brings them back as they were."""
    with connect(data_dir, output) as client:
        path = client.pool_path(resource_group, cluster_name, name)
        _print(_powered(client, path, "Stopped", f"stopping node pool '{name}'", no_wait=no_wait), output)


@app.command(cls=AzStyleCommand, epilog=examples("poolwright aks nodepool start -g rg --cluster-name c1 -n np1"))
def start(
    resource_group: Group,
    cluster_name: ClusterName,
    name: PoolName,
    no_wait: NoWait = False,
    data_dir: DataDir = None,
    output: OutputForm = Output.TABLE,
) -> None:
    """Start the machines of a stopped node pool."""
    with connect(data_dir, output) as client:
        path = client.pool_path(resource_group, cluster_name, name)
        _print(_powered(client, path, "Running", f"starting node pool '{name}'", no_wait=no_wait), output)


@app.command(cls=AzStyleCommand, epilog=examples("poolwright aks nodepool delete -g rg --cluster-name c1 -n np1"))
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
        "poolwright aks nodepool what-if -g rg --cluster-name c1 -n np1 --node-vm-size Standard_D4s_v6 --max-surge 33%",
    ),
)
@with_options(asked=_EITHER)
def what_if(
    resource_group: Group,
    cluster_name: ClusterName,
    name: PoolName,
    asked: Asked,
    aks_custom_headers: CustomHeaders = None,
    data_dir: DataDir = None,
    output: OutputForm = Output.TABLE,
) -> None:
    """Say what add, or update of a pool that exists, would decide or refuse. Changes nothing.

    For a pool that exists: what differs, what of it replaces machines, the generation before and after with rule and
    source, waves, surge machines and their vCPUs, and warnings.
    """
    headers = options.custom_headers(aks_custom_headers)
    with connect(data_dir, output) as client:
        path = client.pool_path(resource_group, cluster_name, name)
        pools = client.get(client.pool_path(resource_group, cluster_name))["value"]
        present = next((pool for pool in pools if pool["name"].lower() == name.lower()), None)
        refuse_alone(asked, _EITHER, present["properties"] if present else NEW_POOL)
        properties = changed(present["properties"], asked) if present else changed({}, of_new_pool(asked))
        body = {"properties": properties}
        print_decision(client.post(f"{path}/whatIf", body, headers), output)


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


def changed(properties: Mapping[str, Any], asked: Mapping[str, Any]) -> Json:
    """Return the properties to send: those there are, without what only replies have, with what was asked."""
    body = {name: value for name, value in properties.items() if name not in _NOT_SENT_BACK}
    for path, value in asked.items():
        body = put_in(body, path, value)
    if not body.get("enableAutoScaling", True):
        # Bounds without an autoscaler are refused; az drops them as well.
        body.pop("minCount", None)
        body.pop("maxCount", None)
    return body


def _is_switched_already(name: str, asked: Asked, present: Mapping[str, Any]) -> bool:
    """Whether the autoscaler is to be switched to what it is: az says so then, and sends nothing.

    Raises `Failure` where its bounds are to change and it is off.
    """
    is_on = present["enableAutoScaling"]
    said = {row.spelling for row in asked.rows}
    if UPDATE_AUTOSCALER in said and not is_on:
        raise Failure(f"error: the cluster autoscaler of node pool '{name}' is off: use {ENABLE_AUTOSCALER}")
    if (ENABLE_AUTOSCALER if is_on else DISABLE_AUTOSCALER) not in said:
        return False
    state, way = ("on", f"; {UPDATE_AUTOSCALER} changes its bounds") if is_on else ("off", "")
    note(f"warning: the cluster autoscaler of node pool '{name}' is {state} already, so nothing is changed{way}")
    return True


def upgrade_row(name: str, profile: Json) -> dict[str, object]:
    """Return what a node pool's upgrade profile says, as a row."""
    properties = profile["properties"]
    former = [
        f"{version['orchestratorVersion']} {version['nodeImageVersion']}"
        for version in properties.get("recentlyUsedVersions", [])
    ]
    return {
        "Name": name,
        "KubernetesVersion": properties["kubernetesVersion"],
        "Upgrades": ", ".join(upgrade["kubernetesVersion"] for upgrade in properties["upgrades"]) or "None available",
        "LatestNodeImageVersion": properties["latestNodeImageVersion"],
        "RecentlyUsed": ", ".join(former) or None,
    }


def _powered(client: ServiceClient, path: str, power: str, doing: str, *, no_wait: bool) -> Json:
    body = {"properties": changed(client.get(path)["properties"], {"powerState.code": power})}
    return changes.put(client, path, body, {}, doing, no_wait=no_wait)


def _print(pool: Json, output: Output) -> None:
    print_answer(pool, [pool_row(pool)], output)
    if output is not Output.JSON:
        note_warnings(pool)
