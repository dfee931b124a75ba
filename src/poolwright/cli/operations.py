"""`poolwright operations`: what runs, and what came of it."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from poolwright.cli import progress
from poolwright.cli.connection import connect
from poolwright.cli.failure import FAILED
from poolwright.cli.options import DataDir, OutputForm, examples
from poolwright.cli.output import Json, Output, error_text, note, print_answer

app = typer.Typer(no_args_is_help=True, help="Long-running operations.")

_ID = "0f5bd8c2-5b4c-4d52-9a43-0d5d1a4c2f11"
# An operation's ID is enough for the service; its path has a place for a location all the same.
_ANYWHERE: Final = "global"
AnyLocation = Annotated[str, typer.Option("--location", "-l", help="Location; the ID is enough.", show_default=False)]
OperationId = Annotated[str, typer.Argument(metavar="ID", help="The operation's ID.")]


@app.command(epilog=examples(f"poolwright operations show {_ID}"))
def show(
    operation_id: OperationId,
    location: AnyLocation = _ANYWHERE,
    data_dir: DataDir = None,
    output: OutputForm = Output.TABLE,
) -> None:
    """Show how far an operation is."""
    with connect(data_dir, output) as client:
        operation = client.get(client.operation_path(location, operation_id))
        _print(operation, output)


@app.command(epilog=examples(f"poolwright operations watch {_ID}"))
def watch(
    operation_id: OperationId,
    location: AnyLocation = _ANYWHERE,
    data_dir: DataDir = None,
    output: OutputForm = Output.TABLE,
) -> None:
    """Follow an operation to its end. Exits with 1 when it failed."""
    with connect(data_dir, output) as client:
        operation = client.watch(location, operation_id)
        _print(operation, output)
        if operation["status"] != "Succeeded":
            raise typer.Exit(FAILED)


def _print(operation: Json, output: Output) -> None:
    row = {
        "Name": operation["name"],
        "Status": operation["status"],
        "PercentComplete": operation["percentComplete"],
        "Detail": progress.detail(operation),
        "StartTime": operation["startTime"],
        "EndTime": operation.get("endTime"),
    }
    print_answer(operation, [row], output)
    if output is not Output.JSON and "error" in operation:
        note(error_text(operation["error"]))
