"""`poolwright aks`: managed clusters and Kubernetes versions."""

from __future__ import annotations

from typing import Annotated

import typer

from poolwright.cli import changes, machines, node_pools, options
from poolwright.cli.connection import connect
from poolwright.cli.failure import Failure, Refused
from poolwright.cli.node_pools import changed
from poolwright.cli.options import (
    DEFAULT_COUNT,
    AnyGroup,
    AnyLocation,
    AzStyleCommand,
    Count,
    DataDir,
    Group,
    IfMatch,
    IfNoneMatch,
    KubernetesVersion,
    Location,
    NoWait,
    OutputForm,
    OwnClusterName,
    SecureBoot,
    Size,
    Tags,
    VmGenerationOption,
    Vpmem,
    Vtpm,
    Yes,
    Zones,
    examples,
    value_of,
)
from poolwright.cli.output import Json, Output, print_answer

app = typer.Typer(no_args_is_help=True, help="Clusters, node pools and machines.")
app.add_typer(node_pools.app, name="nodepool")
app.add_typer(machines.app, name="machine")


@app.command(cls=AzStyleCommand, epilog=examples("poolwright aks create -g rg -n c1 -s Standard_D2s_v5 -c 1"))
def create(
    resource_group: Group,
    name: OwnClusterName,
    no_ssh_key: Annotated[bool, typer.Option("--no-ssh-key", "-x", hidden=True)] = False,
    location: AnyLocation = None,
    kubernetes_version: KubernetesVersion = None,
    vm_size: Size = None,
    node_count: Count = DEFAULT_COUNT,
    nodepool_name: Annotated[str, typer.Option(help="First node pool, of mode System.")] = "nodepool1",
    os_sku: options.OsSku = None,
    zones: Zones = None,
    fips: options.Fips = None,
    vtpm: Vtpm = None,
    secure_boot: SecureBoot = None,
    vm_generation: VmGenerationOption = None,
    vpmem_mib: Vpmem = None,
    network_plugin: Annotated[str | None, typer.Option(help="azure (the default), kubenet or none.")] = None,
    tags: Tags = None,
    if_match: IfMatch = None,
    if_none_match: IfNoneMatch = None,
    no_wait: NoWait = False,
    data_dir: DataDir = None,
    output: OutputForm = Output.TABLE,
) -> None:
    """Create a cluster with its first node pool. Without --location: where its resource group is."""
    pool = changed(
        {"name": nodepool_name, "mode": "System", "osType": "Linux"},
        vmSize=vm_size,
        count=node_count,
        osSKU=os_sku,
        availabilityZones=zones,
        enableFIPS=fips,
        enableVTPM=vtpm,
        enableSecureBoot=secure_boot,
        vmGeneration=value_of(vm_generation),
        vpmemMiB=vpmem_mib,
    )
    properties: Json = {"agentPoolProfiles": [pool]}
    if kubernetes_version is not None:
        properties["kubernetesVersion"] = kubernetes_version
    if network_plugin is not None:
        properties["networkProfile"] = {"networkPlugin": network_plugin}
    body: Json = {"identity": {"type": "SystemAssigned"}, "properties": properties}
    given_tags = options.pairs(tags, "--tags")
    if location is not None:
        body["location"] = location
    if given_tags is not None:
        body["tags"] = given_tags
    conditions = options.precondition_headers(if_match, if_none_match) or {"If-None-Match": "*"}
    with connect(data_dir, output) as client:
        path = client.cluster_path(resource_group, name)
        try:
            cluster = changes.put(client, path, body, conditions, f"creating cluster '{name}'", no_wait=no_wait)
        except Refused as refused:
            if refused.status == 412 and not (if_match or if_none_match):
                raise Failure(
                    f"error: cluster '{name}' exists already in resource group '{resource_group}'",
                    document=refused.document,
                ) from refused
            raise
        print_answer(cluster, [_row(cluster)], output)


@app.command(epilog=examples("poolwright aks show -g rg -n c1"))
def show(
    resource_group: Group, name: OwnClusterName, data_dir: DataDir = None, output: OutputForm = Output.TABLE
) -> None:
    """Show a cluster."""
    with connect(data_dir, output) as client:
        cluster = client.get(client.cluster_path(resource_group, name))
        print_answer(cluster, [_row(cluster)], output)


@app.command("list", epilog=examples("poolwright aks list", "poolwright aks list -g rg"))
def list_clusters(resource_group: AnyGroup = None, data_dir: DataDir = None, output: OutputForm = Output.TABLE) -> None:
    """List the clusters of the subscription or of a resource group."""
    with connect(data_dir, output) as client:
        clusters = client.get(client.cluster_path(resource_group))
        print_answer(clusters, [_row(cluster) for cluster in clusters["value"]], output)


@app.command(epilog=examples("poolwright aks delete -g rg -n c1 --yes"))
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


@app.command(epilog=examples("poolwright aks stop -g rg -n c1"))
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


@app.command(epilog=examples("poolwright aks start -g rg -n c1"))
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


@app.command("get-versions", epilog=examples("poolwright aks get-versions -l eastus"))
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
