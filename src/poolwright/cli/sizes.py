"""`poolwright vm`: VM sizes."""

from __future__ import annotations

from typing import Annotated

import typer

from poolwright.cli.connection import connect
from poolwright.cli.options import AnyLocation, AzStyleCommand, DataDir, OutputForm, examples
from poolwright.cli.output import Json, Output, note, print_answer

app = typer.Typer(no_args_is_help=True, help="VM sizes.")

_UNAVAILABLE = "NotAvailableForSubscription"


@app.callback()
def vm() -> None:
    """VM sizes."""


@app.command(
    "list-skus",
    cls=AzStyleCommand,
    epilog=examples(
        "poolwright vm list-skus -l eastus --size Standard_D4", "poolwright vm list-skus -l eastus --zone -o json"
    ),
)
def list_skus(
    location: AnyLocation = None,
    size: Annotated[str | None, typer.Option("--size", "-s", help="Only names with this text.")] = None,
    zone: Annotated[bool, typer.Option("--zone", "-z", help="Only sizes with availability zones.")] = False,
    all_sizes: Annotated[bool, typer.Option("--all", "-a", help="Also what the subscription may not use.")] = False,
    resource_type: Annotated[
        str | None, typer.Option("--resource-type", "-r", help="Only this type of resource.")
    ] = None,
    data_dir: DataDir = None,
    output: OutputForm = Output.TABLE,
) -> None:
    """List the VM sizes with the generations each one offers."""
    with connect(data_dir, output) as client:
        query = {"$filter": f"location eq '{location}'"} if location else {}
        skus = client.get(client.skus_path(), **query)
        chosen = [
            sku
            for sku in skus["value"]
            if (all_sizes or _is_available(sku, zone))
            and (not resource_type or sku["resourceType"].lower() == resource_type.lower())
            and (not size or (sku["resourceType"] == "virtualMachines" and size.lower() in sku["name"].lower()))
            and (not zone or _zones(sku))
        ]
        if not chosen and output is Output.TABLE:
            note("No size matches. Without --location, --size and --zone all offered sizes are listed.")
        print_answer({**skus, "value": chosen}, [_row(sku) for sku in chosen], output)


def _is_available(sku: Json, zone: bool) -> bool:
    """As az sees it: not restricted in its location, nor, where zones are asked for, in all of them."""
    place = sku["locationInfo"][0]
    for restriction in sku["restrictions"]:
        if restriction["reasonCode"] != _UNAVAILABLE:
            continue
        restricted = restriction["restrictionInfo"]
        if restriction["type"] == "Location" and place["location"] in restricted["locations"]:
            return False
        if zone and restriction["type"] == "Zone" and set(place["zones"]) <= set(restricted.get("zones", [])):
            return False
    return True


def _zones(sku: Json) -> list[str]:
    return sorted(sku["locationInfo"][0].get("zones", []))


def _row(sku: Json) -> dict[str, object]:
    return {
        "ResourceType": sku["resourceType"],
        "Locations": sku["locations"][0],
        "Name": sku["name"],
        "Zones": ",".join(_zones(sku)),
        "Restrictions": "; ".join(_restriction(one) for one in sku["restrictions"]) or "None",
        "Generations": next((part["value"] for part in sku["capabilities"] if part["name"] == "HyperVGenerations"), ""),
    }


def _restriction(restriction: Json) -> str:
    about = restriction["restrictionInfo"]
    parts = [restriction["reasonCode"], f"type: {restriction['type']}", f"locations: {','.join(about['locations'])}"]
    if about.get("zones"):
        parts.append(f"zones: {','.join(about['zones'])}")
    return ", ".join(parts)
