"""`poolwright catalog`: what the service offers, and its replacement by the truth of a subscription.

The lists are sent as they are; the service reads them. Only from the machine it runs on.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO, Final
from urllib.parse import quote

import typer

from poolwright.cli.connection import connect
from poolwright.cli.failure import FAILED, USAGE, Failure, Refused
from poolwright.cli.options import AnyLocation, DataDir, Location, OutputForm, examples, in_any_case
from poolwright.cli.output import Json, Output, note, print_answer

if TYPE_CHECKING:
    from poolwright.cli.client import ServiceClient

app = typer.Typer(no_args_is_help=True, help="What the service offers: VM sizes, Kubernetes versions, node images.")

# RFC 7464: each file is a text of its own, so that a mistake is reported with its line in that file.
_SEQUENCE: Final = {"Content-Type": "application/json-seq"}
_SEPARATOR: Final = b"\x1e"
_CHUNK_BYTES: Final = 1024 * 1024
_STDIN: Final = "-"


class Reason(StrEnum):
    """As Compute writes a restriction's reason."""

    NOT_AVAILABLE = "NotAvailableForSubscription"
    QUOTA_ID = "QuotaId"


@app.command(
    "import",
    epilog=examples(
        "az vm list-skus --all -o json > skus.json; poolwright catalog import skus.json",
        "az aks get-versions -l eastus -o json | poolwright catalog import - -l eastus",
    ),
)
def import_lists(
    files: Annotated[
        list[str], typer.Argument(metavar="FILE...", help="What az or the REST call printed as JSON; - is stdin.")
    ],
    location: Annotated[
        str | None,
        typer.Option(
            "--location",
            "-l",
            help="Where a list of Kubernetes versions, which does not tell, is from. It limits no list of sizes; one "
            "that comes alone and has nothing there is refused.",
        ),
    ] = None,
    data_dir: DataDir = None,
    output: OutputForm = Output.TABLE,
) -> None:
    """Replace sizes, Kubernetes versions or node images by what the lists say.

    Taken are `az vm list-skus --all -o json`, `az aks get-versions -o json`, and the REST lists of skus,
    kubernetesVersions and nodeImageVersions, told by their content. A list of sizes replaces the locations it
    contains. All files are taken, or none.
    """
    if files.count(_STDIN) > 1:
        raise Failure("error: - is stdin, which can be read once", code=USAGE)
    with connect(data_dir, output) as client, ExitStack() as opened:
        texts = [(name, _opened(name, opened)) for name in files]
        query = {"location": location} if location else {}
        try:
            report = client.upload(_path(client), _joined(texts), _SEQUENCE, **query)
        except Refused as refused:
            raise _with_place(refused, files, output) from refused
        images = report.get("nodeImages")
        if output is Output.TABLE and images:
            _note_images(images)
        print_answer(report, [_imported_row(place) for place in report["locations"]], output)
        untouched = [place["location"] for place in report["locations"] if not _is_replaced(place)]
        if untouched and output is Output.TABLE:
            note(f"Nothing was taken of {', '.join(name or '-' for name in untouched)}, which stay as they were.")
        stored = [place["location"] for place in report["locations"] if not place["isOffered"] and place["sizes"]]
        if stored and output is Output.TABLE:
            note(
                f"{len(stored)} location(s) are stored and not offered by this service; "
                "`poolwright up --locations` says which are."
            )


@app.command(epilog=examples("poolwright catalog show", "poolwright catalog show -l eastus -o json"))
def show(location: AnyLocation = None, data_dir: DataDir = None, output: OutputForm = Output.TABLE) -> None:
    """Show what is in force in each location: where from, how many, and how much of it is assumed."""
    with connect(data_dir, output) as client:
        _print(client.get(_path(client)), location, output)


@app.command(epilog=examples("poolwright catalog reset", "poolwright catalog reset -l eastus"))
def reset(location: AnyLocation = None, data_dir: DataDir = None, output: OutputForm = Output.TABLE) -> None:
    """Go back to the built-in catalogue: in one location, or in all of them with the node images."""
    with connect(data_dir, output) as client:
        path = _path(client) if location is None else f"{_location_path(client, location)}/catalog"
        client.delete(path, {})
        _print(client.get(_path(client)), location, output)


@app.command(
    epilog=examples(
        "poolwright catalog restrict Standard_D4s_v5 -l eastus --reason NotAvailableForSubscription",
        "poolwright catalog restrict Standard_D4s_v5 -l eastus --zone 1 --reason QuotaId",
        "poolwright catalog restrict Standard_D4s_v5 -l eastus --clear",
    )
)
def restrict(
    size: Annotated[str, typer.Argument(metavar="SIZE", help="VM size.")],
    location: Location,
    zone: Annotated[
        list[str] | None, typer.Option("--zone", "-z", help="Only in this zone; may be given several times.")
    ] = None,
    reason: Annotated[
        Reason, typer.Option("--reason", help="Why, as `az vm list-skus` shows it.", **in_any_case(Reason))
    ] = Reason.NOT_AVAILABLE,
    clear: Annotated[bool, typer.Option("--clear", help="Lift restrictions: of the zones given, or all.")] = False,
    data_dir: DataDir = None,
    output: OutputForm = Output.TABLE,
) -> None:
    """Restrict a VM size for the subscription, or lift its restrictions. What already runs goes on."""
    with connect(data_dir, output) as client:
        place = location.replace(" ", "").lower()
        skus = client.get(client.skus_path(), **{"$filter": f"location eq '{place}'"})["value"]
        known: list[Json] = next((sku["restrictions"] for sku in skus if sku["name"].lower() == size.lower()), [])
        restrictions = _cleared(known, zone) if clear else _added(known, place, zone, reason.value)
        path = f"{_location_path(client, place)}/sizes/{quote(size, safe='')}"
        changed = client.put(path, {"restrictions": restrictions}, {}).json()
        row = {"Location": place, "Name": changed["name"], "Restrictions": _restrictions_text(changed["restrictions"])}
        print_answer(changed, [row], output)


def _path(client: ServiceClient) -> str:
    return "/_poolwright/catalog"


def _location_path(client: ServiceClient, location: str) -> str:
    return f"/_poolwright/locations/{quote(location.replace(' ', '').lower(), safe='')}"


def _opened(name: str, opened: ExitStack) -> BinaryIO:
    if name == _STDIN:
        return sys.stdin.buffer
    try:
        return opened.enter_context(Path(name).expanduser().open("rb"))
    except OSError as error:
        raise Failure(f"error: {name} cannot be read: {error.strerror}") from error


def _joined(texts: list[tuple[str, BinaryIO]]) -> Iterator[bytes]:
    for name, file in texts:
        yield _SEPARATOR
        try:
            while chunk := file.read(_CHUNK_BYTES):
                yield chunk
        except OSError as error:
            raise Failure(f"error: {name} cannot be read: {error.strerror}") from error


def _with_place(refused: Refused, files: list[str], output: Output) -> Failure:
    """The refusal with the file it is about, as compilers name a place."""
    place = _place_in(refused.error)
    if place is None or output is Output.JSON or not 1 <= place["document"] <= len(files):
        return refused
    name = files[place["document"] - 1]
    return Failure(
        f"error: {name}:{place['line']}:{place['column']}: {place['reason']}. Nothing was changed.", code=FAILED
    )


def _place_in(error: Mapping[str, Any]) -> Json | None:
    for part in error.get("additionalInfo", []):
        if "document" in part.get("info", {}):
            return dict(part["info"])
    return None


def _added(known: list[Json], location: str, zones: list[str] | None, reason: str) -> list[Json]:
    """The restrictions with one more; one of the same extent gets another reason."""
    if zones is None:
        about: dict[str, Any] = {"type": "Location", "restrictionInfo": {"locations": [location]}}
        kept = [one for one in known if one["type"] != "Location"]
    else:
        about = {"type": "Zone", "restrictionInfo": {"locations": [location], "zones": sorted(set(zones))}}
        kept = _cleared(known, zones)
    return [*kept, {**about, "values": [location], "reasonCode": reason}]


def _cleared(known: list[Json], zones: list[str] | None) -> list[Json]:
    """The restrictions without those of the zones, or without any."""
    if zones is None:
        return []
    left = []
    for one in known:
        restricted = one["restrictionInfo"].get("zones", [])
        still = [zone for zone in restricted if zone not in zones]
        if one["type"] != "Zone":
            left.append(one)
        elif still:
            left.append({**one, "restrictionInfo": {**one["restrictionInfo"], "zones": still}})
    return left


def _restrictions_text(restrictions: list[Json]) -> str:
    parts = []
    for one in restrictions:
        zones = one["restrictionInfo"].get("zones")
        parts.append(f"{one['reasonCode']}, type: {one['type']}" + (f", zones: {','.join(zones)}" if zones else ""))
    return "; ".join(parts) or "None"


def _note_images(images: Json) -> None:
    note(f"Node images: {images['named']} named by the list, {images['kept']} kept as they are.")
    if images["unknown"]:
        shown = ", ".join(images["unknown"][:5]) + (", ..." if len(images["unknown"]) > 5 else "")
        note(f"{len(images['unknown'])} of the list are of no definition known here: {shown}")


def _is_replaced(place: Json) -> bool:
    return bool(place["sizes"] or place["kubernetesReleases"])


def _imported_row(place: Json) -> dict[str, object]:
    return {
        "Location": place["location"] or "-",
        "Sizes": place["sizes"],
        "Restricted": place["restricted"],
        "KubernetesReleases": place["kubernetesReleases"] or None,
        "LeftOut": sum(place["leftOut"].values()),
        "Why": ", ".join(f"{reason}: {count}" for reason, count in place["leftOut"].items()) or "-",
    }


def _print(catalog: Json, location: str | None, output: Output) -> None:
    wanted = location.replace(" ", "").lower() if location is not None else None
    chosen = [place for place in catalog["locations"] if wanted in (None, place["location"])]
    if wanted is not None and not chosen:
        raise Failure(f"error: the service does not offer location {wanted}")
    print_answer({**catalog, "locations": chosen}, [_shown_row(place) for place in chosen], output)
    if output is Output.JSON:
        return
    images = catalog["nodeImages"]
    note(f"Node images: {images['count']}, {_origin(images)}.")
    if catalog["kept"] and wanted is None:
        places = ", ".join(place["location"] for place in catalog["kept"])
        note(f"Stored for locations this service does not offer: {places}.")


def _shown_row(place: Json) -> dict[str, object]:
    sizes, versions = place["sizes"], place["kubernetesVersions"]
    return {
        "Location": place["location"],
        "Sizes": sizes["count"],
        "From": _origin(sizes),
        "Restricted": sizes["restricted"],
        "AssumedOffered": sizes["assumed"]["locations"],
        "AssumedZones": sizes["assumed"]["zones"],
        "LeftOut": sum(sizes["leftOut"].values()),
        "KubernetesReleases": versions["count"],
        "VersionsFrom": _origin(versions),
    }


def _origin(part: Json) -> str:
    return f"imported {part['imported']}" if part["origin"] == "imported" else str(part["origin"])
