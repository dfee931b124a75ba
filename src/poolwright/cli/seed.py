"""`poolwright seed`: what may stand in the file of `poolwright up --seed`."""

from __future__ import annotations

import typer

from poolwright.cli.options import examples
from poolwright.cli.output import print_json

app = typer.Typer(no_args_is_help=True, help="What a service starts with: poolwright up --seed FILE.")


@app.callback()
def seed() -> None:
    """What a service starts with: poolwright up --seed FILE."""


@app.command(epilog=examples("poolwright seed schema > seed.schema.json"))
def schema() -> None:
    """Print the JSON schema of a seed; editors complete and check with it."""
    from poolwright.seed import sections

    print_json(sections.schema())
