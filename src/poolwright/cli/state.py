"""`poolwright state` and `poolwright reset`: the whole state of a service as one file, or thrown away.

They work on the machine the service runs on, and nowhere else.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from poolwright.cli import changes
from poolwright.cli.connection import connect
from poolwright.cli.failure import Failure
from poolwright.cli.options import DataDir, Yes, examples
from poolwright.cli.output import Output, note

app = typer.Typer(no_args_is_help=True, help="The whole state of the service as one JSON file.")

STATE: Final = "/_poolwright/state"
RESET: Final = "/_poolwright/reset"
File = Annotated[Path, typer.Argument(metavar="FILE", help="The file; - is stdin.", allow_dash=True)]
OutFile = Annotated[
    Path | None,
    typer.Argument(metavar="[FILE]", help="Where to write it; stdout when not given or -.", allow_dash=True),
]


@app.command(epilog=examples("poolwright state export lab.json", "poolwright state export | jq .node_pools"))
def export(file: OutFile = None, data_dir: DataDir = None) -> None:
    """Write the state down: groups, clusters, node pools, machines, quotas, operations; no secrets.

    Refused while operations run.
    """
    with connect(data_dir, Output.TABLE) as client:
        content = client.get_bytes(STATE)
    if file is None or str(file) == "-":
        sys.stdout.write(content.decode() + "\n")
        return
    try:
        file.write_bytes(content)
    except OSError as error:
        raise Failure(f"error: {file}: {error.strerror}") from error


@app.command(
    "import", epilog=examples("poolwright state import lab.json", "poolwright state import lab.json --replace")
)
def import_state(
    file: File,
    replace: Annotated[bool, typer.Option("--replace", help="Also where there is something already.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Bring an exported state back, exactly. What is refused changes nothing; so is everything while operations run."""
    try:
        content = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    except OSError as error:
        raise Failure(f"error: {file}: {error.strerror}") from error
    with connect(data_dir, Output.TABLE) as client:
        client.put_bytes(STATE, content, replace=str(replace).lower())


def reset(yes: Yes = False, data_dir: DataDir = None) -> None:
    """Throw everything away: groups, clusters, node pools, machines, operations, quotas. Back to the seed, if any.

    What operations are under way stops. Identity and certificates stay, so clients remain logged in.
    """
    changes.confirm("Throw away everything in this service?", yes=yes, az_asks=True)
    with connect(data_dir, Output.TABLE) as client:
        client.post_nothing(RESET)
    note("Everything is gone; the service begins anew.")
