"""`poolwright machines`: what the host shows of real machines. On the machine the service runs on, and nowhere else."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import quote

import typer

from poolwright.cli.connection import connect
from poolwright.cli.failure import INTERRUPTED
from poolwright.cli.options import DataDir, examples
from poolwright.cli.output import Output, note, print_json

FOLLOW_SECONDS: Final = 0.5

app = typer.Typer(no_args_is_help=True, help="Consoles of real machines, and evidence of what their firmware showed.")
Machine = Annotated[str, typer.Argument(metavar="NAME", help="Machine, by its name or its resource ID.")]


@app.command(
    epilog=examples(
        "poolwright machines console aks-np1-12345678-vmss000000",
        "poolwright machines console aks-np1-12345678-vmss000000 --follow",
    )
)
def console(
    machine: Machine,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what comes, until Ctrl-C.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Show the end of what a machine has written to its serial console: its firmware, its kernel, its agent."""
    with connect(data_dir, Output.TABLE) as client:
        shown = ""
        try:
            while True:
                text: str = client.get(_path(machine, "console"), **_which(machine))["console"]
                # The service keeps the end only, and a machine that boots again begins anew.
                sys.stdout.write(text.removeprefix(shown))
                sys.stdout.flush()
                if not follow:
                    return
                shown = text
                time.sleep(FOLLOW_SECONDS)
        except KeyboardInterrupt:
            sys.exit(INTERRUPTED)


@app.command(
    epilog=examples(
        "poolwright machines evidence aks-np1-12345678-vmss000000 > evidence.json",
        "poolwright machines evidence aks-np1-12345678-vmss000000 --key-to evidence.pub > evidence.json",
    )
)
def evidence(
    machine: Machine,
    key_to: Annotated[
        Path | None, typer.Option(help="Also write the public key there that `poolwright evidence verify` takes.")
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Print the signed evidence of what a machine's firmware showed when it booted, as JSON."""
    with connect(data_dir, Output.TABLE) as client:
        answer = client.get(_path(machine, "evidence"), **_which(machine))
    if key_to is not None:
        key_to.write_text(answer["publicKey"])
        note(f"wrote {key_to}")
    print_json(answer["evidence"])


def _path(machine: str, what: str) -> str:
    return f"/_poolwright/machines/{quote(machine.rpartition('/')[2])}/{what}"


def _which(machine: str) -> dict[str, str]:
    return {"resourceId": machine} if "/" in machine else {}
