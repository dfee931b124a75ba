"""`poolwright group`: resource groups."""

from __future__ import annotations

import typer

from poolwright.cli import changes
from poolwright.cli.connection import connect
from poolwright.cli.option_rows import TAGS, Asked, OptionRow, with_options
from poolwright.cli.options import AzStyleCommand, DataDir, GroupName, Location, NoWait, OutputForm, Yes, examples
from poolwright.cli.output import Json, Output, print_answer

app = typer.Typer(no_args_is_help=True, help="Resource groups.")


@app.command(cls=AzStyleCommand, epilog=examples("poolwright group create -n rg -l eastus"))
@with_options(wanted=[OptionRow(words="--tags", path="tags", form=TAGS, help="Tags: a=b c=d.")])
def create(
    name: GroupName,
    location: Location,
    wanted: Asked,
    data_dir: DataDir = None,
    output: OutputForm = Output.TABLE,
) -> None:
    """Create a resource group, or change its tags."""
    body: Json = {"location": location, **wanted}
    with connect(data_dir, output) as client:
        group = client.put(client.group_path(name), body, {}).json()
        print_answer(group, [_row(group)], output)


@app.command(cls=AzStyleCommand, epilog=examples("poolwright group show -n rg"))
def show(name: GroupName, data_dir: DataDir = None, output: OutputForm = Output.TABLE) -> None:
    """Show a resource group."""
    with connect(data_dir, output) as client:
        group = client.get(client.group_path(name))
        print_answer(group, [_row(group)], output)


@app.command("list", cls=AzStyleCommand, epilog=examples("poolwright group list"))
def list_groups(data_dir: DataDir = None, output: OutputForm = Output.TABLE) -> None:
    """List the resource groups."""
    with connect(data_dir, output) as client:
        groups = client.get(client.group_path())
        print_answer(groups, [_row(group) for group in groups["value"]], output)


@app.command(cls=AzStyleCommand, epilog=examples("poolwright group delete -n rg --yes"))
def delete(
    name: GroupName,
    yes: Yes = False,
    no_wait: NoWait = False,
    data_dir: DataDir = None,
    output: OutputForm = Output.TABLE,
) -> None:
    """Delete a resource group with everything in it."""
    changes.confirm(f"Delete resource group '{name}' with everything in it?", yes=yes, az_asks=True)
    with connect(data_dir, output) as client:
        changes.delete(client, client.group_path(name), {}, f"resource group '{name}'", no_wait=no_wait)


def _row(group: Json) -> dict[str, object]:
    return {"Name": group["name"], "Location": group["location"], "Status": group["properties"]["provisioningState"]}
