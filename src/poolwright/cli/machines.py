"""`poolwright aks machine`: the machines of a node pool."""

from __future__ import annotations

import typer

from poolwright.cli import changes
from poolwright.cli.connection import connect
from poolwright.cli.options import (
    AzStyleCommand,
    ClusterName,
    DataDir,
    Group,
    MachineName,
    NoWait,
    OutputForm,
    PoolOfMachines,
    examples,
)
from poolwright.cli.output import Json, Output, print_answer

app = typer.Typer(no_args_is_help=True, help="Machines of a node pool.")


@app.command(
    "list",
    cls=AzStyleCommand,
    epilog=examples("poolwright aks machine list -g rg --cluster-name c1 --nodepool-name np1"),
)
def list_machines(
    resource_group: Group,
    cluster_name: ClusterName,
    nodepool_name: PoolOfMachines,
    data_dir: DataDir = None,
    output: OutputForm = Output.TABLE,
) -> None:
    """List the machines of a node pool with the generation each one's firmware shows."""
    with connect(data_dir, output) as client:
        machines = client.get(f"{client.pool_path(resource_group, cluster_name, nodepool_name)}/machines")
        print_answer(machines, [_row(machine) for machine in machines["value"]], output)


@app.command(
    cls=AzStyleCommand,
    epilog=examples(
        "poolwright aks machine show -g rg --cluster-name c1 --nodepool-name np1 "
        "--machine-name aks-np1-12345678-vmss000000"
    ),
)
def show(
    resource_group: Group,
    cluster_name: ClusterName,
    nodepool_name: PoolOfMachines,
    machine_name: MachineName,
    data_dir: DataDir = None,
    output: OutputForm = Output.TABLE,
) -> None:
    """Show a machine with the generation its firmware shows."""
    with connect(data_dir, output) as client:
        path = client.machine_path(resource_group, cluster_name, nodepool_name, machine_name)
        machine = client.get(path)
        print_answer(machine, [_row(machine)], output)


@app.command(
    cls=AzStyleCommand,
    epilog=examples(
        "poolwright aks machine reimage -g rg --cluster-name c1 --nodepool-name np1 "
        "--machine-name aks-np1-12345678-vmss000000"
    ),
)
def reimage(
    resource_group: Group,
    cluster_name: ClusterName,
    nodepool_name: PoolOfMachines,
    machine_name: MachineName,
    no_wait: NoWait = False,
    data_dir: DataDir = None,
    output: OutputForm = Output.TABLE,
) -> None:
    """Give a machine another disk, made from its node image; name, zone, firmware variables and TPM stay.

    It is cordoned and drained first where a Kubernetes cluster is attached. Nothing stands in for it meanwhile.
    """
    with connect(data_dir, output) as client:
        path = client.machine_path(resource_group, cluster_name, nodepool_name, machine_name)
        changes.begin(client, f"{path}/reimage", None, f"reimaging machine '{machine_name}'", no_wait=no_wait)
        machine = client.get(path)
        print_answer(machine, [_row(machine)], output)


def _row(machine: Json) -> dict[str, object]:
    properties = machine["properties"]
    addresses = properties["network"]["ipAddresses"]
    return {
        "Name": machine["name"],
        "Ip": "".join(f"ip:{address['ip']},family:{address['family']};" for address in addresses),
        "Zones": ", ".join(machine.get("zones", [])),
        "NodeImageVersion": properties.get("nodeImageVersion") or properties["poolwright"]["image"]["definition"],
        "Generation": properties["poolwright"]["observedGeneration"] or "unknown",
    }
