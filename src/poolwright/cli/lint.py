"""`poolwright lint`: which generation and image the node pools in files will get, and what is wrong with them.

Works without a service and without a network.
"""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from poolwright.cli.failure import FAILED, GATE, NOT_FOUND, USAGE, Failure
from poolwright.cli.options import chosen_of, in_any_case, several_of
from poolwright.cli.output import note, print_json
from poolwright.cli.profiles import FOR_AZURE, ProfileForAzure, note_profile
from poolwright.reports.visible import visible_lines

if TYPE_CHECKING:
    from poolwright.lint.findings import LintReport


class LintOutput(StrEnum):
    TEXT = "text"
    JSON = "json"
    SARIF = "sarif"


class Gate(StrEnum):
    """What ends the command with 4."""

    ERROR = "error"
    WARNING = "warning"
    GEN1 = "gen1"
    UNKNOWN = "unknown"
    NEVER = "never"


_GATES: Final = {
    Gate.ERROR: ("errors",),
    Gate.WARNING: ("errors", "warnings"),
    Gate.GEN1: ("gen1",),
    Gate.UNKNOWN: ("unknown", "elsewhere"),
    Gate.NEVER: (),
}


def lint(
    paths: Annotated[
        list[Path],
        typer.Argument(metavar="PATH...", help="Files, and folders whose JSON, YAML and shell scripts are read."),
    ],
    profile: ProfileForAzure = FOR_AZURE,
    parameters: Annotated[
        list[str] | None,
        typer.Option(
            "--parameters",
            "-p",
            metavar="FILE|NAME=VALUE",
            help="Values of template parameters: a parameters file, or values (JSON or text). May be given several "
            "times; the last one counts.",
        ),
    ] = None,
    location: Annotated[
        str | None, typer.Option("--location", "-l", help="Location of what tells none itself.")
    ] = None,
    catalog: Annotated[
        list[Path] | None,
        typer.Option(
            "--catalog",
            metavar="FILE",
            help="What `az vm list-skus --all -o json` or `az aks get-versions -o json` printed, in place of the "
            "built-in catalogue. May be given several times.",
        ),
    ] = None,
    fail_on: Annotated[
        list[str] | None,
        typer.Option(
            "--fail-on",
            help="What ends the command with 4; several by commas, any number of times. warning includes error. "
            "Without it: error.",
            **several_of(Gate),
        ),
    ] = None,
    skip_unrelated: Annotated[
        bool,
        typer.Option("--skip-unrelated", help="Leave out named files without a word about node pools, as in folders."),
    ] = False,
    output: Annotated[
        LintOutput, typer.Option("--output", "-o", help="Form of the answer.", **in_any_case(LintOutput))
    ] = LintOutput.TEXT,
) -> None:
    """Say which generation and image node pools in files will get, why, and what is wrong.

    Reads ARM templates as `bicep build` prints them, `terraform show -json`, pipelines and shell scripts with `az aks`
    commands, and Ansible tasks. Needs no service and no network. What a file does not decide is reported as unknown.

    Ends with 0; with 1 when something could not be read (the rest is in the answer), 2 when the command line, a
    parameters file or a list for --catalog cannot be used, 3 when a path is not there, 4 when --fail-on found
    something.
    """
    gates = chosen_of(Gate, fail_on or [Gate.ERROR], "--fail-on")
    # As for az, several values may stand behind one --parameters.
    values = [str(path) for path in paths if parameters and "=" in path.name and not path.exists()]
    paths = [path for path in paths if str(path) not in values]
    missing = [str(path) for path in paths if not path.exists()]
    if missing:
        raise Failure(f"error: there is no file or folder {', '.join(missing)}", code=NOT_FOUND)
    from poolwright.lint.catalogs import UnusableCatalog, read_catalogs
    from poolwright.lint.linting import UnusableParameters, settings_of
    from poolwright.lint.linting import lint as linted

    try:
        settings = settings_of(profile.value, [*(parameters or ()), *values], location, skip_unrelated=skip_unrelated)
        catalogs = read_catalogs(catalog or (), location)
    except (UnusableParameters, UnusableCatalog) as error:
        raise Failure(f"error: {error}", code=NOT_FOUND if error.is_missing else USAGE) from error
    report = linted(paths, settings, catalogs, datetime.now(UTC).date())
    _print(report, output)
    note_profile(profile)
    _end(report, gates)


def _print(report: LintReport, output: LintOutput) -> None:
    from poolwright.lint import rendering

    if output is LintOutput.JSON:
        print_json(rendering.json_of(report))
        return
    if output is LintOutput.SARIF:
        from importlib.metadata import version

        print_json(rendering.sarif_of(report, version("poolwright")))
    else:
        print(visible_lines(rendering.text_of(report)))
    for line in rendering.left_out_of(report):
        note(line)


def _end(report: LintReport, gates: list[Gate]) -> None:
    from poolwright.lint.rendering import counts_of

    counts = counts_of(report)
    if any(counts[name] for gate in gates for name in _GATES[gate]):
        raise typer.Exit(GATE)
    if report.broken:
        raise typer.Exit(FAILED)
