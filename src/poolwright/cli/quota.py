"""`poolwright quota`: vCPUs in use and their limits, per family and location.

`az vm list-usage` lists the same. Setting a limit is Poolwright's own: on Azure it is a request to the Quota provider.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final
from urllib.parse import quote

import typer

from poolwright.cli.connection import connect
from poolwright.cli.options import DataDir, Location, OutputForm, examples
from poolwright.cli.output import Json, Output, note, print_answer

if TYPE_CHECKING:
    from poolwright.cli.client import ServiceClient

app = typer.Typer(no_args_is_help=True, help="vCPU quota.")

# As poolwright.domain.quota has them, which commands do not import; a test compares the two.
TOTAL: Final = "cores"
DEFAULT_LIMIT: Final = 100_000

Family = Annotated[
    str,
    typer.Argument(
        metavar="FAMILY",
        help="Family (standardDSv5Family), a VM size of it (Standard_D4s_v5), or cores for the regional total.",
    ),
]
Limit = Annotated[int, typer.Argument(metavar="LIMIT", min=0, help="How many vCPUs may be in use.")]


@app.command(
    "list", epilog=examples("poolwright quota list -l eastus", "poolwright quota list -l eastus --all -o json")
)
def list_usages(
    location: Location,
    all_families: Annotated[
        bool, typer.Option("--all", "-a", help="Also families without use that have the limit of all.")
    ] = False,
    data_dir: DataDir = None,
    output: OutputForm = Output.TABLE,
) -> None:
    """List vCPUs in use and limits: of the location, and of each family in use or with a limit of its own."""
    with connect(data_dir, output) as client:
        usages = client.get(_path(client, location))
        _print(usages, [usage for usage in usages["value"] if all_families or _is_telling(usage)], output)


@app.command(
    "set",
    epilog=examples(
        "poolwright quota set standardDSv5Family 24 -l eastus",
        "poolwright quota set Standard_D4s_v5 24 -l eastus",
        "poolwright quota set cores 350 -l eastus",
    ),
)
def set_limit(
    family: Family,
    limit: Limit,
    location: Location,
    data_dir: DataDir = None,
    output: OutputForm = Output.TABLE,
) -> None:
    """Set how many vCPUs of a family may be in use in a location. What already runs goes on."""
    with connect(data_dir, output) as client:
        named = _family(client, location, family)
        client.put(_path(client, location, named), {"limit": limit}, {})
        _print_family(client, location, named, output)


@app.command(
    epilog=examples("poolwright quota reset standardDSv5Family -l eastus", "poolwright quota reset cores -l eastus")
)
def reset(family: Family, location: Location, data_dir: DataDir = None, output: OutputForm = Output.TABLE) -> None:
    """Give a family the limit again that it had before one was set."""
    with connect(data_dir, output) as client:
        named = _family(client, location, family)
        client.delete(_path(client, location, named), {})
        _print_family(client, location, named, output)


def _path(client: ServiceClient, location: str, family: str | None = None) -> str:
    # The list of SKUs stands directly under Compute, as the locations do.
    compute = client.skus_path().removesuffix("/skus")
    usages = f"{compute}/locations/{quote(_place(location), safe='')}/usages"
    return usages if family is None else f"{usages}/{quote(family, safe='')}"


def _place(location: str) -> str:
    return location.replace(" ", "").lower()


def _family(client: ServiceClient, location: str, given: str) -> str:
    """Return a family in Azure's spelling, given either of its names or a size; what is unknown is left as it is.

    The service refuses what it does not know, in its own words.
    """
    usages = client.get(_path(client, location))["value"]
    known = {name.lower(): usage["name"]["value"] for usage in usages for name in usage["name"].values()}
    if given.lower() in known:
        return str(known[given.lower()])
    skus = client.get(client.skus_path(), **{"$filter": f"location eq '{_place(location)}'"})["value"]
    for sku in skus:
        if sku["name"].lower() == given.lower():
            # A size without a family has its own name among the usages, so this one has a family.
            family = str(sku["family"])
            note(f"{sku['name']} belongs to {family}.")
            return family
    return given


def _print_family(client: ServiceClient, location: str, family: str, output: Output) -> None:
    usages = client.get(_path(client, location))
    _print(usages, [usage for usage in usages["value"] if usage["name"]["value"] == family], output)


def _print(usages: Json, chosen: list[Json], output: Output) -> None:
    print_answer({**usages, "value": chosen}, [_row(usage) for usage in chosen], output)


def _is_telling(usage: Json) -> bool:
    return bool(usage["name"]["value"] == TOTAL or usage["currentValue"] or usage["limit"] != DEFAULT_LIMIT)


def _row(usage: Json) -> dict[str, object]:
    return {"Name": usage["name"]["value"], "Used": usage["currentValue"], "Limit": usage["limit"]}
