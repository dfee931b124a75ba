"""`poolwright aks`: managed clusters and Kubernetes versions."""

from __future__ import annotations

from typing import Annotated, Any, Final

import typer

from poolwright.cli import changes, machines, node_pools, options
from poolwright.cli.cluster_options import ADMINISTRATOR, CLUSTER_OPTIONS, PUBLIC_KEYS
from poolwright.cli.connection import connect
from poolwright.cli.failure import Failure, Refused
from poolwright.cli.option_rows import Asked, all_in, refuse_alone, with_options
from poolwright.cli.options import (
    AnyGroup,
    AzStyleCommand,
    CustomHeaders,
    DataDir,
    Group,
    IfMatch,
    IfNoneMatch,
    Location,
    NoWait,
    OutputForm,
    OwnClusterName,
    Yes,
    examples,
)
from poolwright.cli.output import Json, Output, print_answer
from poolwright.cli.pool_options import NEW_POOL, Taker, of_new_pool, taken_by
from poolwright.cli.ssh_keys import DEFAULT_FILE, public_key

app = typer.Typer(no_args_is_help=True, help="Clusters, node pools and machines.")
app.add_typer(node_pools.app, name="nodepool")
app.add_typer(machines.app, name="machine")


_FIRST_POOL: Final = taken_by(Taker.CREATE)
_HIDDEN: Final = "az's scripts pass it; there is nothing to switch here"


@app.command(
    cls=AzStyleCommand,
    epilog=examples(
        "poolwright aks create -g rg -n c1 -s Standard_D2s_v5 -c 1",
        "poolwright aks create -g rg -n c1 --generate-ssh-keys --nodepool-labels team=a --network-plugin azure",
    ),
)
@with_options(first=_FIRST_POOL, cluster=CLUSTER_OPTIONS)
def create(
    resource_group: Group,
    name: OwnClusterName,
    cluster: Asked,
    first: Asked,
    nodepool_name: Annotated[str, typer.Option(help="First node pool, of mode System.")] = "nodepool1",
    ssh_key_value: Annotated[
        str | None, typer.Option(metavar="FILE|KEY", help=f"SSH public key; else {DEFAULT_FILE} where it is.")
    ] = None,
    generate_ssh_keys: Annotated[bool, typer.Option("--generate-ssh-keys", help="Make that file if missing.")] = False,
    no_ssh_key: Annotated[bool, typer.Option("--no-ssh-key", "-x", help="Send no SSH key.")] = False,
    enable_managed_identity: Annotated[
        bool, typer.Option("--enable-managed-identity", hidden=True, help=_HIDDEN)
    ] = False,
    aks_custom_headers: CustomHeaders = None,
    if_match: IfMatch = None,
    if_none_match: IfNoneMatch = None,
    yes: options.NothingAsked = False,
    no_wait: NoWait = False,
    data_dir: DataDir = None,
    output: OutputForm = Output.TABLE,
) -> None:
    """Create a cluster with its first node pool. Without --location: where its resource group is."""
    refuse_alone(first, _FIRST_POOL, NEW_POOL)
    refuse_alone(cluster, CLUSTER_OPTIONS, {})
    is_automatic = cluster.get("sku.name") == "Automatic"  # its nodes take no key
    settings: dict[str, Any] = dict(cluster)
    key = None if no_ssh_key or is_automatic else public_key(ssh_key_value, generate=generate_ssh_keys)
    if key is not None:
        settings = {ADMINISTRATOR: "azureuser"} | settings | {PUBLIC_KEYS: [{"keyData": key}]}
    else:
        settings.pop(ADMINISTRATOR, None)  # az sends no account without a key either
    pool = all_in(of_new_pool(first)) | {"name": nodepool_name, "mode": "System", "osType": "Linux"}
    body = {"identity": {"type": "SystemAssigned"}} | all_in(settings | {"properties.agentPoolProfiles": [pool]})
    conditions = options.precondition_headers(if_match, if_none_match) or {"If-None-Match": "*"}
    headers = options.custom_headers(aks_custom_headers) | conditions
    with connect(data_dir, output) as client:
        path = client.cluster_path(resource_group, name)
        try:
            made = changes.put(client, path, body, headers, f"creating cluster '{name}'", no_wait=no_wait)
        except Refused as refused:
            if refused.status == 412 and not (if_match or if_none_match):
                raise Failure(
                    f"error: cluster '{name}' exists already in resource group '{resource_group}'",
                    document=refused.document,
                ) from refused
            raise
        print_answer(made, [_row(made)], output)


@app.command(cls=AzStyleCommand, epilog=examples("poolwright aks show -g rg -n c1"))
def show(
    resource_group: Group, name: OwnClusterName, data_dir: DataDir = None, output: OutputForm = Output.TABLE
) -> None:
    """Show a cluster."""
    with connect(data_dir, output) as client:
        cluster = client.get(client.cluster_path(resource_group, name))
        print_answer(cluster, [_row(cluster)], output)


@app.command("list", cls=AzStyleCommand, epilog=examples("poolwright aks list", "poolwright aks list -g rg"))
def list_clusters(resource_group: AnyGroup = None, data_dir: DataDir = None, output: OutputForm = Output.TABLE) -> None:
    """List the clusters of the subscription or of a resource group."""
    with connect(data_dir, output) as client:
        clusters = client.get(client.cluster_path(resource_group))
        print_answer(clusters, [_row(cluster) for cluster in clusters["value"]], output)


@app.command(cls=AzStyleCommand, epilog=examples("poolwright aks delete -g rg -n c1 --yes"))
def delete(
    resource_group: Group,
    name: OwnClusterName,
    if_match: IfMatch = None,
    yes: Yes = False,
    no_wait: NoWait = False,
    data_dir: DataDir = None,
    output: OutputForm = Output.TABLE,
) -> None:
    """Delete a cluster with its node pools."""
    changes.confirm(f"Delete cluster '{name}' with its node pools?", yes=yes, az_asks=True)
    with connect(data_dir, output) as client:
        changes.delete(
            client,
            client.cluster_path(resource_group, name),
            options.precondition_headers(if_match, None),
            f"cluster '{name}'",
            no_wait=no_wait,
        )


@app.command(cls=AzStyleCommand, epilog=examples("poolwright aks stop -g rg -n c1"))
def stop(
    resource_group: Group,
    name: OwnClusterName,
    no_wait: NoWait = False,
    data_dir: DataDir = None,
    output: OutputForm = Output.TABLE,
) -> None:
    """Stop all machines of a cluster; `start` brings them back."""
    with connect(data_dir, output) as client:
        path = client.cluster_path(resource_group, name)
        changes.begin(client, f"{path}/stop", None, f"stopping cluster '{name}'", no_wait=no_wait)
        cluster = client.get(path)
        print_answer(cluster, [_row(cluster)], output)


@app.command(cls=AzStyleCommand, epilog=examples("poolwright aks start -g rg -n c1"))
def start(
    resource_group: Group,
    name: OwnClusterName,
    no_wait: NoWait = False,
    data_dir: DataDir = None,
    output: OutputForm = Output.TABLE,
) -> None:
    """Start the machines of a stopped cluster, except those of node pools that were stopped themselves."""
    with connect(data_dir, output) as client:
        path = client.cluster_path(resource_group, name)
        changes.begin(client, f"{path}/start", None, f"starting cluster '{name}'", no_wait=no_wait)
        cluster = client.get(path)
        print_answer(cluster, [_row(cluster)], output)


@app.command("get-versions", cls=AzStyleCommand, epilog=examples("poolwright aks get-versions -l eastus"))
def get_versions(location: Location, data_dir: DataDir = None, output: OutputForm = Output.TABLE) -> None:
    """List the Kubernetes versions that a location offers."""
    with connect(data_dir, output) as client:
        versions = client.get(client.location_path(location, "kubernetesVersions"))
        print_answer(versions, _version_rows(versions), output)


def _row(cluster: Json) -> dict[str, object]:
    properties = cluster["properties"]
    return {
        "Name": cluster["name"],
        "Location": cluster["location"],
        "ResourceGroup": cluster["id"].split("/")[4],
        "KubernetesVersion": properties["kubernetesVersion"],
        "CurrentKubernetesVersion": properties["currentKubernetesVersion"],
        "ProvisioningState": properties["provisioningState"],
        "Fqdn": properties["fqdn"],
    }


def _version_rows(versions: Json) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = [
        {
            "KubernetesVersion": patch,
            "IsPreview": bool(release.get("isPreview")),
            "Upgrades": ", ".join(sorted(about["upgrades"], key=_numbers)) or "None available",
            "SupportPlan": ", ".join(release["capabilities"]["supportPlan"]),
        }
        for release in versions["values"]
        for patch, about in release["patchVersions"].items()
    ]
    return sorted(rows, key=lambda row: _numbers(str(row["KubernetesVersion"])), reverse=True)


def _numbers(version: str) -> list[int]:
    return [int(part) for part in version.split(".")]
