"""The options that several commands share, spelled as az spells them.

az takes several values after one option (`--labels a=b c=d`); `AzStyleCommand` does so too (`az_words`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from enum import Enum, StrEnum
from itertools import takewhile
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

import typer
from typer.core import TyperCommand

from poolwright.cli import option_rows
from poolwright.cli.az_words import NotAsAzReads, Option, as_az_reads, meant_by
from poolwright.cli.not_taken import why_not_taken
from poolwright.cli.option_rows import PAIRS_SHOWN
from poolwright.cli.output import Output

E = TypeVar("E", bound=StrEnum)

SINCE_HELP: Final = "From when: 30s, 5m, 6h, 7d ago, or a time such as 2026-01-31T12:00:00Z."
_AGO: Final = re.compile(r"(\d+(?:\.\d+)?)([smhd])")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def in_any_case(kind: type[StrEnum], *, shown: str | None = None) -> dict[str, Any]:
    """Return what makes an option take the values of an enumeration in any case, and show them as documented."""
    return option_rows.in_any_case({value.value: value for value in kind}, shown=shown)


def several_of(kind: type[StrEnum]) -> dict[str, Any]:
    """Return what makes an option of texts show the values of an enumeration, for `chosen_of` to read."""
    return {"metavar": f"{'|'.join(kind)}[,...]", "autocompletion": in_any_case(kind)["autocompletion"]}


def chosen_of(kind: type[E], texts: Sequence[str] | None, option: str) -> list[E]:
    """Return the values of an option that is given any number of times, each time with one or several by commas."""
    values = {choice.value.lower(): choice for choice in kind}
    chosen = [part.strip() for text in texts or () for part in text.split(",")]
    for part in chosen:
        if part.lower() not in values:
            raise typer.BadParameter(f"'{part}' is not one of {', '.join(kind)}", param_hint=option)
    return list(dict.fromkeys(values[part.lower()] for part in chosen))


def _whole_number(text: str) -> int:
    try:
        return option_rows.whole_number(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


DataDir = Annotated[
    Path | None,
    typer.Option(
        help="Data directory of the service; else POOLWRIGHT_ENDPOINT with the AZURE_ variables of "
        "`poolwright env`, else POOLWRIGHT_DATA_DIR, else ~/.local/share/poolwright.",
    ),
]
OwnDataDir = Annotated[
    Path | None, typer.Option(help="Data directory; else POOLWRIGHT_DATA_DIR, else ~/.local/share/poolwright.")
]
LocalCredentials = Annotated[
    bool | None,
    typer.Option(
        "--local-credentials/--no-local-credentials",
        help="Whether the data directory holds the secrets of owners; else POOLWRIGHT_LOCAL_CREDENTIALS.",
    ),
]
OutputForm = Annotated[
    Output,
    typer.Option(
        "--output",
        "-o",
        help="json prints the wire's JSON on stdout and nothing else; a refusal is its error JSON.",
        **in_any_case(Output),
    ),
]
Group = Annotated[str, typer.Option("--resource-group", "-g", help="Resource group.")]
AnyGroup = Annotated[str | None, typer.Option("--resource-group", "-g", help="Only this resource group.")]
GroupName = Annotated[str, typer.Option("--name", "--resource-group", "-n", "-g", help="Resource group.")]
ClusterName = Annotated[str, typer.Option("--cluster-name", help="Cluster.")]
OwnClusterName = Annotated[str, typer.Option("--name", "-n", help="Cluster.")]
PoolName = Annotated[str, typer.Option("--name", "--nodepool-name", "-n", help="Node pool.")]
PoolOfMachines = Annotated[str, typer.Option("--nodepool-name", help="Node pool.")]
MachineName = Annotated[str, typer.Option("--machine-name", "--name", "-n", help="Machine.")]
Location = Annotated[str, typer.Option("--location", "-l", help="Location.")]
AnyLocation = Annotated[str | None, typer.Option("--location", "-l", help="Location.")]
Count = Annotated[
    int | None, typer.Option("--node-count", "-c", parser=_whole_number, metavar="N", help="How many machines.")
]
CustomHeaders = Annotated[
    str | None,
    typer.Option("--aks-custom-headers", help="Headers of the PUT: UseWindowsGen2VM=true,B=c."),
]
IfMatch = Annotated[str | None, typer.Option("--if-match", help="Only if the resource has this ETag.")]
IfNoneMatch = Annotated[str | None, typer.Option("--if-none-match", help="'*': only if it does not exist.")]
NoWait = Annotated[bool, typer.Option("--no-wait", help="Return when the request is accepted.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")]
# az's scripts pass it where az asks and this command does not.
NothingAsked = Annotated[bool, typer.Option("--yes", "-y", hidden=True)]
NodeImageOnly = Annotated[bool, typer.Option("--node-image-only", help="Only the newest node image.")]
MachineNames = Annotated[list[str], typer.Option("--machine-names", help="Machines: name name.")]


class AzStyleCommand(TyperCommand):
    """A command whose words are read as az reads them: list options take every value up to the next option.

    An option that az's command has and this one has not is refused with the reason and the way round.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if ctx.resilient_parsing:
            return super().parse_args(ctx, args)
        help_names = {*ctx.help_option_names} & {*args}
        if help_names:
            return super().parse_args(ctx, [*help_names])
        known = [_as_option(parameter) for parameter in self.params]
        try:
            understood = as_az_reads(known, args)
        except NotAsAzReads as error:
            raise typer.BadParameter(error.text, ctx=ctx, param_hint=error.option or None) from error
        names = " ".join(ctx.command_path.split()[1:])
        for word in takewhile(lambda word: word != "--", understood.unknown):
            option = word.partition("=")[0]
            why = why_not_taken(names, option) or _why_not_that_short(option, meant_by(known, option))
            if why is not None:
                raise typer.BadParameter(why, ctx=ctx, param_hint=option)
        return super().parse_args(ctx, [*understood.words, *understood.unknown])


def _as_option(parameter: Any) -> Option:
    names = tuple(parameter.opts)
    if parameter.is_flag:
        return Option(names=names, least=0, most=0)
    if not parameter.multiple:
        return Option(names=names, least=1, most=1)
    # As with az, pairs may be none.
    return Option(names=names, least=0 if parameter.metavar == PAIRS_SHOWN else 1, most=None)


def _why_not_that_short(option: str, meant: Sequence[str]) -> str | None:
    if not option.startswith("--") or not meant:
        return None
    return f"options are written out here, and this may be {' or '.join(meant)}"


def examples(*lines: str) -> str:
    """Return the end of a command's help: one example a line, never wrapped."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


def custom_headers(text: str | None) -> dict[str, str]:
    """Return the headers of `A=b,C=d`. Raises `typer.BadParameter`."""
    headers: dict[str, str] = {}
    for part in (text or "").split(",") if text and text.strip() else ():
        name, _, value = (piece.strip() for piece in part.partition("="))
        if not name or not value or "=" in value:
            raise typer.BadParameter(f"'{part}' is not of the form name=value", param_hint="--aks-custom-headers")
        # As az has it: what is said twice of a name is a list.
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    for name, value in headers.items():
        if not (name.isascii() and name.replace("-", "").isalnum() and value.isascii() and value.isprintable()):
            raise typer.BadParameter(f"'{name}={value}' cannot be an HTTP header", param_hint="--aks-custom-headers")
    return headers


def precondition_headers(if_match: str | None, if_none_match: str | None) -> dict[str, str]:
    """Return If-Match and If-None-Match as az sends them: an ETag in quotes, `*` without, and no empty one."""
    given = {"If-Match": if_match, "If-None-Match": if_none_match}
    bare = {name: value.strip('"') for name, value in given.items() if value}
    return {name: value if value == "*" else f'"{value}"' for name, value in bare.items()}


def moment(text: str) -> datetime:
    """Return the time that --since names, in UTC where it names no zone: so long ago, or ISO 8601."""
    ago = _AGO.fullmatch(text)
    try:
        if ago is not None:
            return datetime.now(UTC) - timedelta(**{_UNITS[ago[2]]: float(ago[1])})
        parsed = datetime.fromisoformat(text)
        return (parsed if parsed.tzinfo is not None else parsed.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise typer.BadParameter(
            f"'{text}' is neither 30s, 5m, 6h, 7d nor a time such as 2026-01-31T12:00:00Z", param_hint="--since"
        ) from error


def value_of(choice: Enum | None) -> str | None:
    """Return the spelling of a choice; None when it was not made."""
    return None if choice is None else str(choice.value)
