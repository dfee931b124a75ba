"""`poolwright explain`: what a node pool would get, and why, without a service.

The answer comes from `domain.node_pool.settle`, the function behind the PUT, for a made-up cluster that
runs the node pool's Kubernetes version; so the two never differ. What was imported into the catalogue, or restricted in
it, is read in the data directory of the service that other commands would talk to, whether it runs or not.
"""

from __future__ import annotations

import os
from difflib import get_close_matches
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from poolwright.cli import connection, options
from poolwright.cli.failure import USAGE, Failure, NoService, Refused
from poolwright.cli.node_pools import print_decision
from poolwright.cli.option_rows import Asked, all_in, refuse_alone, with_options
from poolwright.cli.options import CustomHeaders, DataDir, OutputForm, in_any_case
from poolwright.cli.output import Json, Output, error_text
from poolwright.cli.pool_options import NEW_POOL, Taker, taken_by

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from poolwright.catalog.catalog import LocationCatalog
    from poolwright.catalog.in_force import Replacements
    from poolwright.domain.cluster import Cluster
    from poolwright.domain.node_pool import NodePool, NodePoolRequest
    from poolwright.domain.resource_id import ClusterId

_OPTIONS = taken_by(Taker.EXPLAIN)
_HEADER = "usewindowsgen2vm"
_NO_SUBSCRIPTION = "00000000-0000-0000-0000-000000000000"
# Every refusal of `settle` is an InvalidRequest.
_STATUS = 400


class ProfileName(StrEnum):
    DOCUMENTED = "documented"
    AZURE_2026 = "azure-2026"


class Truth(StrEnum):
    TRUE = "true"
    FALSE = "false"


@with_options(asked=_OPTIONS)
def explain(
    vm_size: Annotated[str, typer.Option("--vm-size", "--node-vm-size", "-s", help="VM size of the machines.")],
    asked: Asked,
    use_windows_gen2_vm: Annotated[
        Truth | None,
        typer.Option(
            "--use-windows-gen2-vm",
            "--header",
            help="Value of the header UseWindowsGen2VM.",
            **in_any_case(Truth),
        ),
    ] = None,
    aks_custom_headers: CustomHeaders = None,
    name: Annotated[str, typer.Option("--name", "-n", help="Node pool.")] = "np1",
    location: Annotated[str, typer.Option("--location", "-l", help="Location.")] = "eastus",
    profile: Annotated[
        ProfileName,
        typer.Option(envvar="POOLWRIGHT_PROFILE", help="Whose truth to follow.", **in_any_case(ProfileName)),
    ] = ProfileName.DOCUMENTED,
    built_in: Annotated[
        bool, typer.Option("--built-in", help="By the built-in catalogue, whatever was imported.")
    ] = False,
    data_dir: DataDir = None,
    output: OutputForm = Output.TABLE,
) -> None:
    """Say which generation and image a pool would get, and why.

    Needs no service; `--profile` or POOLWRIGHT_PROFILE says whose rules. The answer names its catalogue: the one
    in force in the data directory, or the built-in one where there is none.

    Exits with 1 when the node pool would be refused, with the error the PUT would give, or when it would be
    accepted and then fail.
    """
    from poolwright import errors
    from poolwright.arm.wire_node_pools import decode_node_pool
    from poolwright.domain.profile import Profile

    refuse_alone(asked, _OPTIONS, NEW_POOL)
    followed = Profile(profile.value)
    header = _header(use_windows_gen2_vm, aks_custom_headers)
    catalog, called = _catalogue(location, None if built_in else service_directory(data_dir))
    try:
        request = decode_node_pool({"properties": all_in({"vmSize": vm_size} | asked)}, followed)
        pool = _settled(name, request, catalog, followed, header, _subscription())
    except errors.InvalidRequest as error:
        from poolwright.arm.errors import error_body

        body = error_body(error)
        raise Refused(
            f"{error_text(body, status=_STATUS)}\n  catalogue: {called}",
            status=_STATUS,
            document={"error": body} if output is Output.JSON else None,
        ) from error
    print_decision(_decision(pool, called), output)


def service_directory(data_dir: Path | None) -> Path | None:
    """The data directory of the service that other commands would talk to; None when it is elsewhere."""
    directory = connection.data_directory(data_dir)
    named = os.environ.get("POOLWRIGHT_ENDPOINT")
    try:
        there = connection.of_directory(directory)
    except NoService:
        return None
    return directory if data_dir is not None or named is None or named.rstrip("/") == there.url.rstrip("/") else None


def _catalogue(location: str, directory: Path | None) -> tuple[LocationCatalog, str]:
    """The location's catalogue, and what to call it."""
    from poolwright.catalog.catalog import Catalog, normalized_location

    built_in = Catalog.built_in((location,))
    found, called = imported(directory, (normalized_location(location),))
    if found is None:
        _require_known(location, ())
        return built_in.at(location), called
    from poolwright.catalog.in_force import in_force

    _require_known(location, {*found.sizes, *found.versions, *found.restrictions})
    return in_force(built_in, found).at(location), called


def imported(directory: Path | None, locations: Sequence[str]) -> tuple[Replacements | None, str]:
    """Return what a data directory has in place of the built-in catalogue, and what to call the result."""
    if directory is None:
        return None, "built-in"
    from poolwright.catalog_keeping import stored_at
    from poolwright.installation import DataDirectory

    try:
        found = stored_at(DataDirectory(directory).database, locations)
    except ValueError as error:
        cause = str(error).splitlines()[0]
        return None, f"built-in; the one of {directory} cannot be read: {cause}"
    parts = [
        name
        for name, is_there in (
            ("sizes", found.sizes),
            ("Kubernetes versions", found.versions),
            ("node images", found.images),
            ("restrictions", found.restrictions),
        )
        if is_there
    ]
    return found, f"{', '.join(parts)} of {directory}, else built-in" if parts else "built-in"


def _require_known(location: str, imported: Collection[str]) -> None:
    """Raise `typer.BadParameter`, with what comes near, for a location that is neither Azure's nor imported."""
    from poolwright.catalog.catalog import display_names, normalized_location

    place, known = normalized_location(location), display_names()
    if place not in known and place not in imported:
        near = get_close_matches(place, known, n=3)
        hint = f"did you mean {', '.join(near)}?" if near else "`az account list-locations` lists them"
        raise typer.BadParameter(f"'{location}' is no location the catalogue knows; {hint}", param_hint="--location")


def _settled(
    name: str,
    request: NodePoolRequest,
    catalog: LocationCatalog,
    profile: Any,
    header: bool | None,
    subscription: str,
) -> NodePool:
    from poolwright.domain.admission import settle
    from poolwright.domain.resource_id import ClusterId, GroupId, NodePoolId
    from poolwright.domain.surroundings import Surroundings

    cluster_id = ClusterId(GroupId(subscription, "rg"), "c1")
    surroundings = Surroundings(
        profile=profile,
        engine="simulated",
        catalog=catalog,
        cluster=_cluster(cluster_id, request, catalog),
        subscription=subscription,
        api_version="",
    )
    return settle(NodePoolId(cluster_id, name), request, None, surroundings, header=header, etag="")


def _cluster(cluster_id: ClusterId, request: NodePoolRequest, catalog: LocationCatalog) -> Cluster:
    """The made-up cluster: in the location, with a Windows profile, on the node pool's version if that is known."""
    from poolwright.domain.cluster import Cluster, ProvisioningState

    kubernetes = catalog.kubernetes
    version = kubernetes.find(request.kubernetes_version or "") or kubernetes.newest_patch(kubernetes.default)
    return Cluster(
        id=cluster_id,
        location=catalog.location,
        sent={},
        wanted_version=str(version),
        version=str(version),
        principal_id="",
        has_windows_profile=True,
        etag="",
        state=ProvisioningState.SUCCEEDED,
    )


def _header(given: Truth | None, custom: str | None) -> bool | None:
    """The value of UseWindowsGen2VM by either option; other headers mean nothing here."""
    values = [given.value] if given else []
    values += [value.lower() for name, value in options.custom_headers(custom).items() if name.lower() == _HEADER]
    if len(set(values)) > 1 or not set(values) <= {"true", "false"}:
        raise Failure("error: UseWindowsGen2VM is true or false, given once", code=USAGE)
    return values[0] == "true" if values else None


def _subscription() -> str:
    """The subscription that some messages name: a known service's, or zeros."""
    try:
        return connection.find(None).subscription_id
    except NoService:
        return _NO_SUBSCRIPTION


def _decision(pool: NodePool, catalogue: str) -> Json:
    """The decision in the form of the service's whatIf, with the catalogue it was made by."""
    properties: Json = {
        "exists": False,
        "generation": pool.generation.value,
        "nodeImageVersion": pool.node_image,
        "rule": {"id": pool.rule.id, "text": pool.rule.text, "source": pool.rule.source},
        "catalogue": catalogue,
        "warnings": [{"code": warning.code, "message": warning.message} for warning in pool.warnings],
    }
    if pool.late_failure is not None:
        properties["operationWouldFail"] = {"code": pool.late_failure.code, "message": pool.late_failure.message}
    return {"name": pool.id.pool, "properties": properties}
