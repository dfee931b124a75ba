"""`poolwright`: the tree of commands, and how each run ends.

Exit codes are in `failure`. Modules of libraries that are slow to import (httpx, pydantic, the service) are
imported by the commands that use them, so that help and completion are quick.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence
from typing import Annotated, Final

import typer

from poolwright.cli import (
    catalog,
    clusters,
    credentials,
    evidence,
    faults,
    fleet,
    groups,
    host,
    images,
    machines_of_host,
    operations,
    quota,
    seed,
    sizes,
    state,
    subscriptions,
)
from poolwright.cli.activity import activity
from poolwright.cli.az import PassThrough, az
from poolwright.cli.explain import explain
from poolwright.cli.failure import FAILED, Failure
from poolwright.cli.generations import generations
from poolwright.cli.lint import lint
from poolwright.cli.options import AzStyleCommand, examples
from poolwright.cli.output import note, print_json
from poolwright.cli.requests import requests
from poolwright.cli.up import up


def _print_version(wanted: bool) -> None:
    if wanted:
        version()
        raise typer.Exit


def poolwright(
    show_version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """An AKS node pool service that you run yourself.

    Exit codes: 0 done, 1 refused or failed, 2 usage, 3 not found, 4 a gate found something, 130 Ctrl-C.
    """


def version() -> None:
    """Print the version."""
    from importlib.metadata import version as installed_version

    print(f"poolwright {installed_version('poolwright')}")


_OF_WRITING: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EPIPE)

app = typer.Typer(
    name="poolwright",
    callback=poolwright,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    # Plain help: frames would cut long option names short at 80 columns.
    rich_markup_mode=None,
    context_settings={"help_option_names": ["--help", "-h"]},
)
app.command(epilog=examples("poolwright up", "poolwright up --port 0 --data-dir ./lab --profile azure-2026"))(up)
app.command(epilog=examples('eval "$(poolwright env)"', "poolwright env --json"))(credentials.env)
app.command(cls=PassThrough, add_help_option=False)(az)
app.command(
    cls=AzStyleCommand,
    epilog=examples(
        "poolwright explain --vm-size Standard_D2s_v5",
        "poolwright explain --vm-size Standard_D4ads_v6 --os-type Windows --os-sku Windows2022 "
        "--aks-custom-headers UseWindowsGen2VM=true",
        "poolwright explain --vm-size Standard_D2s_v5 --vpmem-mib 128 --priority Spot --zones 1 2",
    ),
)(explain)
app.add_typer(fleet.app, name="fleet")
app.command(
    epilog=examples(
        "az bicep build -f main.bicep && poolwright lint main.json --parameters main.parameters.json",
        "terraform show -json plan.tfplan > plan.json && poolwright lint plan.json",
        "poolwright lint . --fail-on warning,gen1 -o json",
    )
)(lint)
app.add_typer(groups.app, name="group")
app.add_typer(clusters.app, name="aks")
app.add_typer(sizes.app, name="vm")
app.add_typer(catalog.app, name="catalog")
app.add_typer(images.app, name="images")
app.add_typer(operations.app, name="operations")
app.add_typer(machines_of_host.app, name="machines")
app.add_typer(evidence.app, name="evidence")
app.add_typer(host.app, name="host")
app.command(epilog=examples("poolwright generations", "poolwright generations -o json"))(generations)
app.add_typer(quota.app, name="quota")
app.add_typer(faults.app, name="faults")
app.add_typer(credentials.app, name="sp")
app.add_typer(subscriptions.app, name="subscription")
app.add_typer(seed.app, name="seed")
app.add_typer(state.app, name="state")
app.command(epilog=examples("poolwright reset --yes"))(state.reset)
app.command(
    epilog=examples("poolwright requests --pool np1 --method PUT", "poolwright requests --since 5m --follow -o json")
)(requests)
app.command(
    epilog=examples("poolwright activity --since 1h", "poolwright activity -g rg --cluster-name c1 --pool np1 -o json")
)(activity)
app.command(epilog=examples("poolwright version"))(version)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command; ends with SystemExit."""
    try:
        try:
            app(None if arguments is None else list(arguments), prog_name="poolwright")
        except Failure as failure:
            if failure.document is not None:
                print_json(failure.document)
            else:
                note(failure.text)
            sys.exit(failure.code)
        finally:
            sys.stdout.flush()
    except OSError as error:
        # What commands write elsewhere they tell themselves.
        if error.filename is not None or error.errno not in _OF_WRITING:
            raise
        # What is still to be written would fail again when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            note(f"error: stdout cannot be written: {error.strerror}")
        sys.exit(FAILED)


if __name__ == "__main__":
    main()
