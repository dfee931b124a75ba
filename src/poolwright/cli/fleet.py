"""`poolwright fleet`: the node pools of a fleet, which of them are Generation 1, and how to move them.

Needs no service and no credentials where exports are given. Audit and plan change nothing outside of the files they
write; what does is in `fleet_moves`.
"""

from __future__ import annotations

import gc
import json
import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from poolwright.cli import fleet_moves
from poolwright.cli.connection import Connection, find
from poolwright.cli.explain import ProfileName, imported, service_directory
from poolwright.cli.failure import FAILED, GATE, NOT_FOUND, USAGE, Failure
from poolwright.cli.options import DataDir, chosen_of, examples, in_any_case, several_of
from poolwright.cli.output import document_text, note, table
from poolwright.cli.profiles import FOR_AZURE, ProfileForAzure, note_profile
from poolwright.reports.numbers import counted
from poolwright.reports.visible import visible

if TYPE_CHECKING:
    from poolwright.fleet.audit import Audit, AuditedPool, InputProblem
    from poolwright.fleet.plan import Plan
    from poolwright.fleet.reading import Reading
    from poolwright.fleet.targets import Targets
    from poolwright.fleet.values import Fleet

app = typer.Typer(
    no_args_is_help=True, help="Audit a fleet of node pools, plan its move to Generation 2, rehearse it, carry it out."
)

_ENDS = (
    "Ends with 0; with 1 when part of the input could not be read (the rest is in the answer), 2 when the command line "
    "cannot be used, 3 when a path is not there, 4 when --fail-on found something."
)
_PLAN_ENDS = _ENDS.replace("the command line cannot", "the command line or the overrides cannot").replace(
    ", 4 when --fail-on found something", ""
)


class AuditOutput(StrEnum):
    TABLE = "table"
    JSON = "json"
    CSV = "csv"
    SARIF = "sarif"
    HTML = "html"


class PlanOutput(StrEnum):
    TABLE = "table"
    JSON = "json"
    MARKDOWN = "markdown"
    HTML = "html"


class Gate(StrEnum):
    """What `--fail-on` can look for."""

    GEN1 = "gen1"
    UNKNOWN = "unknown"
    BLOCKED = "blocked"
    OVERDUE = "overdue"


Paths = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[FILE|FOLDER]...",
        help="Exports as JSON: az aks list / show, az aks nodepool list / show, az graph query, az vm list-skus, in "
        "any mixture; of a folder every *.json; - is standard input.",
    ),
]
Live = Annotated[
    bool,
    typer.Option(
        "--live",
        help="Read the subscriptions themselves as well: Azure's, or those of the service that --data-dir, "
        "POOLWRIGHT_ENDPOINT or POOLWRIGHT_DATA_DIR names. Only reads. Needs the extra azure: pip install "
        "'poolwright[azure]'.",
    ),
]
Subscriptions = Annotated[
    list[str] | None,
    typer.Option("--subscription", metavar="ID", help="For --live, any number of times; else AZURE_SUBSCRIPTION_ID."),
]
AsOf = Annotated[
    datetime | None,
    typer.Option(formats=["%Y-%m-%d"], metavar="YYYY-MM-DD", help="Which day to compare dates with; today."),
]
BuiltIn = Annotated[bool, typer.Option("--built-in", help="By the built-in catalogue, whatever was imported.")]
ToFile = Annotated[Path | None, typer.Option("--to", metavar="FILE", help="Write the answer there.")]


@app.command(
    epilog=examples(
        "az aks list -o json > clusters.json && poolwright fleet audit clusters.json",
        "poolwright fleet audit exports/ --fail-on gen1,overdue -o sarif --to audit.sarif",
        "poolwright fleet audit exports/ -o html --to audit.html",
        "poolwright fleet audit --live --subscription 00000000-0000-0000-0000-000000000000",
    ),
    help=f"""Say of every node pool which generation it is, how that is known, and what a move needs.

    Reads exports, which need no credentials here. A generation is certain where the node image or the size leaves no
    choice, and likely where only AKS's rules tell. {_ENDS}
    """,
)
def audit(
    paths: Paths = None,
    live: Live = False,
    subscription: Subscriptions = None,
    profile: ProfileForAzure = FOR_AZURE,
    as_of: AsOf = None,
    fail_on: Annotated[
        list[str] | None,
        typer.Option(
            help="What ends the command with 4: such a node pool; several by commas, any number of times.",
            **several_of(Gate),
        ),
    ] = None,
    built_in: BuiltIn = False,
    data_dir: DataDir = None,
    output: Annotated[AuditOutput, typer.Option("--output", "-o", **in_any_case(AuditOutput))] = AuditOutput.TABLE,
    to: ToFile = None,
) -> None:
    from poolwright.fleet.audit import audit as audited

    gates = chosen_of(Gate, fail_on, "--fail-on")
    _require_other(to, paths or ())
    with _no_collection():
        read = _read(_sources(paths, live, subscription, data_dir), profile, as_of, built_in, data_dir)
        found = audited(read.fleet, read.targets)
    _write(_audit_text(found, output, on_terminal=to is None and _is_terminal()), to)
    _tell(found)
    note_profile(profile)
    caught = [gate for gate in gates if any(_is_caught(pool, gate) for pool in found.pools)]
    if caught:
        raise Failure(f"found: {', '.join(caught)}", code=GATE)
    if found.problems:
        raise Failure(f"{counted(len(found.problems), 'part')} of the input could not be taken", code=FAILED)


@app.command(
    epilog=examples(
        "poolwright fleet plan exports/ -o json --to plan.json",
        "poolwright fleet plan exports/ --overrides decisions.yaml -o markdown --to plan.md",
        "poolwright fleet plan exports/ --profile documented",
    ),
    help=f"""Say how every node pool of Generation 1 gets to Generation 2: size, way, order, quota, commands, checks.

    Nothing is changed. The same input gives the same plan. --overrides takes decisions about single node pools: another
    size or OS SKU, the way, the new name, or to leave it. {_PLAN_ENDS}
    """,
)
def plan(
    paths: Paths = None,
    live: Live = False,
    subscription: Subscriptions = None,
    profile: ProfileForAzure = FOR_AZURE,
    overrides: Annotated[Path | None, typer.Option(metavar="FILE", help="Decisions, as YAML.")] = None,
    allow_unmatched: Annotated[
        bool,
        typer.Option(
            "--allow-unmatched",
            help="Of a fleet that is moved in part: tell the decisions no node pool is left for, and go on.",
        ),
    ] = False,
    as_of: AsOf = None,
    built_in: BuiltIn = False,
    data_dir: DataDir = None,
    output: Annotated[PlanOutput, typer.Option("--output", "-o", **in_any_case(PlanOutput))] = PlanOutput.TABLE,
    to: ToFile = None,
) -> None:
    from poolwright.fleet.audit import audit as audited
    from poolwright.fleet.overrides import WrongOverrides, read_overrides
    from poolwright.fleet.planning import NoSuchMove
    from poolwright.fleet.planning import plan as planned

    if allow_unmatched and overrides is None:
        raise typer.BadParameter("it is for --overrides", param_hint="--allow-unmatched")
    _require_other(to, (*(paths or ()), *([str(overrides)] if overrides is not None else ())))
    try:
        decided = read_overrides(overrides, allow_unmatched=allow_unmatched) if overrides is not None else None
    except OSError as error:
        code = NOT_FOUND if isinstance(error, FileNotFoundError) else USAGE
        raise Failure(f"error: the overrides {overrides} cannot be read: {error.strerror}", code=code) from error
    except WrongOverrides as error:
        raise Failure(f"error: {error}", code=USAGE) from error
    try:
        with _no_collection():
            read = _read(_sources(paths, live, subscription, data_dir), profile, as_of, built_in, data_dir)
            made = planned(read.fleet, audited(read.fleet, read.targets), read.targets, decided)
    except (WrongOverrides, NoSuchMove) as error:
        raise Failure(f"error: {error}", code=USAGE) from error
    _write(_plan_text(made, output), to)
    for unmet in decided.unmet() if decided is not None else ():
        note(visible(f"warning: {unmet}"))
    _tell_plan(made)
    note_profile(profile)
    if made.problems:
        raise Failure(f"{counted(len(made.problems), 'part')} of the input could not be taken", code=FAILED)


app.command(epilog=fleet_moves.REHEARSE_EXAMPLES)(fleet_moves.rehearse)
app.command(epilog=fleet_moves.APPLY_EXAMPLES)(fleet_moves.apply)


def _audit_text(found: Audit, output: AuditOutput, *, on_terminal: bool) -> Iterable[str]:
    match output:
        case AuditOutput.TABLE:
            rows = [_row(pool) for pool in found.pools]
            return [_drawn(rows) if on_terminal else table(rows)]
        case AuditOutput.JSON:
            return document_text(found)
        case AuditOutput.CSV:
            from poolwright.fleet.audit_reports import csv_text

            return [csv_text(found)]
        case AuditOutput.SARIF:
            from poolwright.fleet.audit_reports import sarif_log

            return [json.dumps(sarif_log(found), indent=2)]
        case AuditOutput.HTML:
            from poolwright.fleet.html_pages import audit_page

            return [audit_page(found)]


def _is_terminal() -> bool:
    return sys.stdout.isatty()


def _drawn(rows: Sequence[Mapping[str, object]]) -> str:
    """The rows for a terminal: as wide as it is, with the generations in colour."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    drawn = Table(box=None, pad_edge=False, header_style="bold")
    names = list(rows[0]) if rows else []
    for name in names:
        # What people look for and copy stays in one piece.
        whole = name in ("Cluster", "Pool", "Size", "Generation")
        drawn.add_column(name, justify="right" if name == "Count" else "left", overflow="fold", no_wrap=whole)
    for row in rows:
        cells = {name: escape(visible(str(row[name]))) for name in names}
        colour = {"V1": "yellow", "V2": "green"}.get(cells["Generation"][:2], "dim")
        cells["Generation"] = f"[{colour}]{cells['Generation']}[/{colour}]"
        drawn.add_row(*cells.values())
    console = Console(highlight=False)
    with console.capture() as text:
        console.print(drawn)
    return text.get()


def _plan_text(made: Plan, output: PlanOutput) -> Iterable[str]:
    match output:
        case PlanOutput.TABLE:
            return [_plan_table(made)]
        case PlanOutput.JSON:
            return document_text(made)
        case PlanOutput.MARKDOWN:
            from poolwright.fleet.plan_report import outline
            from poolwright.reports.blocks import markdown

            return [markdown(outline(made))]
        case PlanOutput.HTML:
            from poolwright.fleet.html_pages import plan_page

            return [plan_page(made)]


def _plan_table(made: Plan) -> str:
    moves = [
        {
            "ResourceGroup": cluster.resource_group,
            "Cluster": cluster.cluster,
            "Order": move.order,
            "Pool": move.pool,
            "Mode": move.mode or "-",
            "Way": move.way.value,
            "Size": "+".join(size.size for size in move.sizes),
            "To": "+".join(dict.fromkeys(size.to.size for size in move.sizes)),
            "NewPool": move.replacement or "-",
            "ExtraMachines": move.extra_machines,
        }
        for cluster in made.clusters
        for move in cluster.moves
    ]
    quota = [
        {
            "Subscription": row.subscription,
            "Location": row.location or "-",
            "Family": row.family,
            "OneAtATime": row.one_at_a_time,
            "AllAtOnce": row.all_at_once,
            "ForGood": row.for_good,
        }
        for row in made.quota
    ]
    return "\n\n".join(table(rows) for rows in (moves, quota) if rows)


def _tell_plan(made: Plan) -> None:
    ways = Counter(move.way.value for move in made.moves)
    stays = Counter(stay.move.value for stay in made.stays)
    moved = ", ".join(f"{number:,} {way}" for way, number in sorted(ways.items())) or "none"
    stay = ", ".join(f"{number:,} {move}" for move, number in sorted(stays.items())) or "none"
    note(
        f"{counted(len(made.moves), 'node pool')} to move ({moved}) in {counted(len(made.clusters), 'cluster')}; "
        f"{len(made.stays):,} stay ({stay}). Profile {made.profile}, as of {made.as_of}, catalogue {made.catalogue}. "
        "Quotas are vCPUs beyond today's."
    )
    for change in _other_architectures(made):
        note(visible(change))
    for left in made.stays:
        if left.move != "done":
            reasons = "; ".join(finding.advice for finding in left.because)
            note(visible(f"stays: {left.resource_group}/{left.cluster}/{left.pool}: {reasons}"))
    _tell_problems(made.problems)


def _other_architectures(made: Plan) -> Iterator[str]:
    """A warning for each node pool whose machines get another architecture."""
    from poolwright.fleet.capabilities import ARCHITECTURE
    from poolwright.fleet.remarks import other_architecture

    for cluster in made.clusters:
        for move in cluster.moves:
            for size in move.sizes:
                for each in size.to.differences:
                    if each.capability == ARCHITECTURE:
                        told = other_architecture(size.size, each.before, size.to.size, each.after)
                        yield f"{cluster.resource_group}/{cluster.cluster}/{move.pool}: {told}"


@contextmanager
def _no_collection() -> Iterator[None]:
    """Nothing of a fleet is garbage while it is read and judged, and looking for it takes a quarter of the time."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@dataclass(frozen=True)
class _Input:
    fleet: Fleet
    targets: Targets


@dataclass(frozen=True)
class _Sources:
    """Where a fleet is read from: files, or subscriptions of an endpoint, or both."""

    paths: Sequence[str]
    connection: Connection | None
    subscriptions: Sequence[str]


def _sources(
    paths: Sequence[str] | None, live: bool, subscriptions: Sequence[str] | None, data_dir: Path | None
) -> _Sources:
    """Where to read; a command line that names nothing is wrong."""
    if not live:
        if subscriptions:
            raise typer.BadParameter("it is for --live", param_hint="--subscription")
        if not paths:
            raise typer.BadParameter("name files or folders of exports, or --live", param_hint="FILE|FOLDER")
        return _Sources(paths, None, ())
    named = data_dir is not None or any(map(os.environ.get, ("POOLWRIGHT_ENDPOINT", "POOLWRIGHT_DATA_DIR")))
    connection = find(data_dir) if named else None
    known = os.environ.get("AZURE_SUBSCRIPTION_ID")
    chosen = subscriptions or ([connection.subscription_id] if connection else [known] if known else [])
    if not chosen:
        raise typer.BadParameter("--live needs it, or AZURE_SUBSCRIPTION_ID", param_hint="--subscription")
    return _Sources(paths or (), connection, chosen)


def _read(
    sources: _Sources, profile: ProfileName, as_of: datetime | None, built_in: bool, data_dir: Path | None
) -> _Input:
    """What there is to judge, and by what."""
    from poolwright.fleet.files import take_paths
    from poolwright.fleet.knowledge import knowledge_for, profile_named
    from poolwright.fleet.reading import Reading
    from poolwright.fleet.targets import Targets

    reading = Reading()
    try:
        take_paths(reading, sources.paths)
    except FileNotFoundError as error:
        raise Failure(f"error: {error}", code=NOT_FOUND) from error
    if sources.subscriptions:
        _take_live(reading, sources)
    fleet, directory = reading.fleet(), None if built_in else service_directory(data_dir)
    replacements, called = imported(directory, fleet.locations)
    day = as_of.date() if as_of is not None else date.today()
    knowledge = knowledge_for(fleet, profile_named(profile.value), day, imported=replacements, called=called)
    return _Input(fleet, Targets(knowledge))


def _take_live(reading: Reading, sources: _Sources) -> None:
    from poolwright.fleet import live

    service = sources.connection
    try:
        if service is None:
            live.take_live(reading, live.AZURE, sources.subscriptions, live.default_credential())
        else:
            ca = str(service.ca)
            credential = live.secret_credential(
                service.url, service.tenant_id, service.client_id, service.client_secret, ca
            )
            live.take_live(reading, service.url, sources.subscriptions, credential, ca=ca)
    except live.NotInstalled as error:
        raise Failure(f"error: --live needs Azure's SDK: pip install 'poolwright[azure]' ({error})") from error


def _row(pool: AuditedPool) -> dict[str, object]:
    sign = {"certain": "", "likely": " ?", "unknown": ""}[pool.confidence]
    first = pool.ends[0] if pool.ends else None
    return {
        "ResourceGroup": pool.resource_group,
        "Cluster": pool.cluster,
        "Pool": pool.pool,
        "Mode": pool.mode or "-",
        "Os": pool.os_sku or pool.os_type or "-",
        "Size": "+".join(pool.sizes) or "-",
        "Count": pool.count if pool.count is not None else "-",
        "Generation": f"{pool.generation or '-'}{sign}",
        "Because": pool.because.id,
        "Move": pool.move.value,
        "FirstEnd": f"{first.day} {first.subject}" if first else "-",
        "Findings": ", ".join(finding.id for finding in pool.findings) or "-",
    }


def _tell(found: Audit) -> None:
    """Tell a person what it comes to, and what could not be read."""
    likely = sum(pool.confidence == "likely" for pool in found.gen1)
    second = sum(pool.generation == "V2" for pool in found.pools)
    unknown = sum(pool.generation is None for pool in found.pools)
    moves = sum(pool.move in ("same-size", "other-size") for pool in found.gen1)
    note(
        f"{counted(len(found.pools), 'node pool')} in {counted(found.clusters, 'cluster')}: {len(found.gen1)} of "
        f"Generation 1{f' ({likely} likely)' if likely else ''}, {second} of Generation 2, {unknown} unknown. "
        f"{moves} of Generation 1 can be moved. Profile {found.profile}, as of {found.as_of}, "
        f"catalogue {found.catalogue}."
    )
    _tell_problems(found.problems)


def _tell_problems(problems: Iterable[InputProblem]) -> None:
    for problem in problems:
        place = ":".join(str(part) for part in (problem.place.file, problem.place.line, problem.place.path) if part)
        note(visible(f"{problem.kind}: {place}: {problem.message}"))


def _is_caught(pool: AuditedPool, gate: Gate) -> bool:
    return {
        Gate.GEN1: pool.generation == "V1",
        Gate.UNKNOWN: pool.generation is None,
        Gate.BLOCKED: pool.move == "blocked",
        Gate.OVERDUE: pool.urgency == "overdue",
    }[gate]


def _require_other(to: Path | None, paths: Iterable[str]) -> None:
    """Return when the answer takes the place of nothing that is read."""
    if to is None or not to.exists():
        return
    for path in map(Path, paths):
        is_below = path.is_dir() and to.suffix == ".json" and to.resolve().is_relative_to(path.resolve())
        if is_below or (path.exists() and to.samefile(path)):
            raise typer.BadParameter(f"{to} is among what is read; name another file", param_hint="--to")


def _write(pieces: Iterable[str], to: Path | None) -> None:
    """Write a text that arrives in pieces, with a line break at its end."""
    try:
        with nullcontext(sys.stdout) if to is None else to.open("w", encoding="utf-8") as out:
            last = ""
            for piece in pieces:
                out.write(piece)
                last = piece or last
            if last and not last.endswith("\n"):
                out.write("\n")
    except OSError as error:
        if to is None:
            raise
        raise Failure(f"error: {to} cannot be written: {error.strerror}; name another file with --to") from error
