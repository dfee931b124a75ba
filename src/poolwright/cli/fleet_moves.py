"""`poolwright fleet rehearse` and `apply`: a plan tried out, and carried out.

Invariant: without --yes nothing is changed anywhere; with it, nothing at a public endpoint before the subscription was
named by whoever asks for it.
"""

from __future__ import annotations

import ipaddress
import shlex
import ssl
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final
from urllib.parse import urlsplit

import typer

from poolwright.cli import connection, progress
from poolwright.cli.failure import FAILED, GATE, NOT_FOUND, USAGE, Failure
from poolwright.cli.interruption import code_of, signals_interrupt
from poolwright.cli.options import DataDir, examples, in_any_case
from poolwright.cli.output import document_text, note, table
from poolwright.reports.numbers import counted

if TYPE_CHECKING:
    from poolwright.fleet.apply import Application, MoveResult, Tell
    from poolwright.fleet.arm import Arm
    from poolwright.fleet.document import Document
    from poolwright.fleet.journal import Entry, Journal
    from poolwright.fleet.plan import Plan, PoolMove
    from poolwright.fleet.rehearsal import Rehearsal
    from poolwright.reports.blocks import Block

# Azure's endpoints, by the documents of its clouds; a token for one is asked for by its name.
AZURE_HOSTS: Final = ("management.azure.com", "management.usgovcloudapi.net", "management.chinacloudapi.cn")
MOST_PARALLEL: Final = 64


class ReportOutput(StrEnum):
    TABLE = "table"
    JSON = "json"
    MARKDOWN = "markdown"


PlanFile = Annotated[Path, typer.Argument(metavar="PLAN", help="What `poolwright fleet plan -o json` printed.")]
Parallel = Annotated[int, typer.Option(min=1, max=MOST_PARALLEL, help="How many clusters side by side.")]
ReportForm = Annotated[ReportOutput, typer.Option("--output", "-o", **in_any_case(ReportOutput))]
ToFile = Annotated[Path | None, typer.Option("--to", metavar="FILE", help="Write the report there.")]
_POOLS: Final = "GROUP/CLUSTER[/POOL]"
_POOL: Final = "[SUBSCRIPTION/]GROUP/CLUSTER/POOL"
# How many node pools a refusal of an ambiguous name lists.
_MOST_LISTED: Final = 10


def rehearse(
    plan_file: PlanFile,
    seed: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="A seed: catalogue imports, restrictions, quotas and faults; see docs/testing.md."
        ),
    ] = None,
    boot_seconds: Annotated[
        float, typer.Option(min=0, max=3600, metavar="SECONDS", help="How long a machine takes to boot.")
    ] = 0.0,
    parallel: Parallel = 4,
    output: ReportForm = ReportOutput.TABLE,
    to: ToFile = None,
) -> None:
    """Carry a plan out on a copy of the fleet, in a service of its own with simulated machines.

    Loads clusters and node pools as the plan found them, and does what `poolwright fleet apply` does, by the same code.
    Says what would fail, how many machines and vCPUs there are more at one time, and which cluster takes longest.
    Nothing is drained, and nothing outside of that service is touched or asked.

    Ends with 0 when every move came to its end; with 1 when one failed, or its node pool could not be loaded, 2 when
    plan or seed cannot be used, 3 when a file is not there, 130 after Ctrl-C, 143 after SIGTERM.
    """
    from poolwright.child_service import ServiceEnded
    from poolwright.fleet import rehearsal
    from poolwright.fleet.apply_report import rehearsal_outline
    from poolwright.fleet.arm import NoAnswer, Refused
    from poolwright.seed.reading import WrongSeed

    plan = _plan(plan_file)
    _require_writable(to, plan_file)
    conditions = rehearsal.Conditions(parallel=parallel, boot_seconds=boot_seconds, seed=seed)
    try:
        course, several = Course(plan.moves), _has_several_subscriptions(plan)
        shown = _shown(f"rehearsing {plan_file.name}", course, several, output, to)
        with signals_interrupt(), shown as (say, tell):
            done = rehearsal.rehearse(plan, plan_file.name, conditions, say, tell)
    except KeyboardInterrupt as interrupt:
        told = "Interrupted. The rehearsal is gone; nothing else was touched."
        raise Failure(told, code=code_of(interrupt)) from None
    except WrongSeed as error:
        raise Failure(f"error: {error}", code=USAGE) from error
    except FileNotFoundError as error:
        raise Failure(f"error: {error.filename}: {error.strerror}", code=NOT_FOUND) from error
    except (OSError, ServiceEnded, Refused, NoAnswer) as error:
        raise Failure(f"error: the rehearsal could not be carried out: {error}") from error
    with _report_written(output, to, done, done.results, lambda: rehearsal_outline(done, plan)):
        _tell_rehearsed(plan, done)


def _tell_rehearsed(plan: Plan, done: Rehearsal) -> None:
    """Say what a rehearsal came to, and end with the code that says how it went."""
    from poolwright.fleet.apply_report import summary

    note(summary(done.results))
    note(f"At most {counted(done.peak_machines, 'more machine')} at one time.")
    if done.clusters:
        first = done.clusters[0]
        parts = (counted(first.moves, "move"), counted(first.machines, "machine"), f"{first.seconds:.1f} s")
        note(f"Longest: {first.cluster}: {', '.join(parts)}.")
    for remark in done.remarks:
        note(f"note: {remark}")
    for missing in done.not_loaded:
        note(f"not loaded: {missing.id}: {missing.why}")
    _tell_bad(done.failed, _has_several_subscriptions(plan))
    missed = len(plan.moves) - len(done.results)
    if done.failed or missed:
        raise Failure(
            f"{counted(len(done.failed), 'move')} would fail; {counted(missed, 'move')} could not be rehearsed",
            code=FAILED,
        )


def apply(
    plan_file: PlanFile,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Carry it out; else only look.")] = False,
    endpoint: Annotated[
        str | None,
        typer.Option(metavar="azure|URL", help="Where; else the service that --data-dir or the environment names."),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(
            metavar=_POOLS,
            help="Only these; * and ? stand for text; SUBSCRIPTION/GROUP/CLUSTER/POOL too. Any number of times.",
        ),
    ] = None,
    kubectl: Annotated[
        bool,
        typer.Option("--kubectl", help="Run kubectl's lines, with the credentials the endpoint gives for the cluster."),
    ] = False,
    kubectl_done: Annotated[
        list[str] | None,
        typer.Option(metavar=_POOLS, help="The lines of kubectl that were printed for these were run."),
    ] = None,
    roll_back: Annotated[str | None, typer.Option(metavar=_POOL, help="Take back what was begun of this one.")] = None,
    parallel: Parallel = 1,
    confirm_subscription: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="The subscription's name, for a public endpoint. Any number of times."),
    ] = None,
    journal_file: Annotated[
        Path | None, typer.Option("--journal", metavar="FILE", help="What was done; else PLAN.journal.")
    ] = None,
    data_dir: DataDir = None,
    output: ReportForm = ReportOutput.TABLE,
    to: ToFile = None,
) -> None:
    """Carry a plan out, step by step. Without --yes it only looks, and says what it would do.

    Every step is in the journal before the next begins: after a kill, the same command goes on. It stops at the first
    failure. A node pool whose ETag is another than when it was planned is left alone. Where a new node pool takes the
    place of the old one, it stops before kubectl's lines and prints them; --kubectl-done has it go on, and --kubectl
    has it run them itself.

    Ends with 0 when all is moved (or would be begun), 1 when something failed (or would) or was changed by others, 2
    when the command line or the plan cannot be used, 3 when a file or service is not there, 4 when kubectl's lines have
    to be run first, 130 after Ctrl-C, 143 after SIGTERM.
    """
    from poolwright.fleet import journal
    from poolwright.fleet.apply import Application, ByHand
    from poolwright.fleet.apply_report import Report, apply_outline, summary
    from poolwright.fleet.arm import NoAnswer, Refused
    from poolwright.fleet.kubectl import Kubectl, WouldRun

    plan = _plan(plan_file)
    if kubectl and kubectl_done:
        raise typer.BadParameter("either kubectl is run here, or it was run", param_hint="--kubectl")
    if roll_back is not None and only:
        raise typer.BadParameter("it names one node pool, so --only has no place beside it", param_hint="--roll-back")
    chosen = _chosen(plan, only, "--only")
    said = {move.id for move in _chosen(plan, kubectl_done, "--kubectl-done")} if kubectl_done else set()
    back = _chosen(plan, [roll_back], "--roll-back") if roll_back is not None else []
    if len(back) > 1:
        raise typer.BadParameter(f"{roll_back} names {len(back)} node pools; one at a time", param_hint="--roll-back")
    several = _has_several_subscriptions(plan)
    path = journal_file or plan_file.with_name(f"{plan_file.name}.journal")
    _require_writable(to, plan_file, path)
    try:
        with signals_interrupt(), _connected(endpoint, data_dir) as arm:
            arm.log_in()
            url, wanted = arm.url, {move.id for move in back or chosen}
            if not yes:
                seen = journal.glanced_at(path, plan, url, _now)
                looking = WouldRun() if kubectl else ByHand(said, seen)
                with _shown(plan_file.name, Course(()), several, output, to) as (_, tell):
                    application = Application(plan, arm, seen, looking, tell)
                    _tell_order(application, () if back else wanted, plan)
                    results = (application.look_back(back[0]),) if back else application.look(wanted, parallel)
                    going_back = application.going_back()
            else:
                _confirm(arm, plan, back or chosen, confirm_subscription or [])
                with ExitStack() as stack:
                    kept = stack.enter_context(journal.opened(path, plan, url, _now))
                    course = Course(back or chosen, kept, back=bool(back))
                    say, tell = stack.enter_context(_shown(plan_file.name, course, several, output, to))
                    nodes = Kubectl(arm, say) if kubectl else ByHand(said, kept)
                    application = Application(plan, arm, kept, nodes, tell)
                    _tell_order(application, () if back else wanted, plan)
                    results = (application.roll_back(back[0]),) if back else application.run(wanted, parallel)
                    going_back = application.going_back()
    except KeyboardInterrupt as interrupt:
        raise Failure(_interrupted(path, yes), code=code_of(interrupt)) from None
    except journal.JournalProblem as error:
        raise Failure(f"error: {error}") from error
    except (Refused, NoAnswer) as error:
        raise Failure(f"error: {error}") from error
    report = Report(plan=journal.digest(plan), endpoint=url, only_looked=not yes, results=results, stays=plan.stays)
    with _report_written(output, to, report, results, lambda: apply_outline(report)):
        note(summary(results))
        options = _again(
            endpoint=endpoint,
            data_dir=data_dir,
            journal=journal_file,
            kubectl=kubectl,
            parallel=parallel if parallel != 1 else None,
            confirm_subscription=confirm_subscription,
        )
        _end(results, _Asked(plan_file, path, yes, bool(back), several, options, going_back))


@dataclass(frozen=True, slots=True)
class _Asked:
    """What apply was asked for, as far as a command that goes on has to say it again."""

    plan_file: Path
    journal: Path
    yes: bool
    takes_back: bool
    several: bool
    options: tuple[str, ...]
    going_back: Collection[str]

    def command(self, *further: str) -> str:
        """Return the command that carries out more of the same plan at the same endpoint."""
        return shlex.join(["poolwright", "fleet", "apply", str(self.plan_file), "--yes", *further, *self.options])


def _again(**options: object) -> tuple[str, ...]:
    """The options that were given, as they were."""
    words: list[str] = []
    for name, given in options.items():
        for value in given if isinstance(given, list) else [given]:
            if value is True:
                words.append(f"--{name.replace('_', '-')}")
            elif value not in (None, False):
                words += [f"--{name.replace('_', '-')}", str(value)]
    return tuple(words)


def _end(results: Sequence[MoveResult], asked: _Asked) -> None:
    """Say what comes next, and end with the code that says how it went."""
    from poolwright.fleet.apply import Outcome

    several = asked.several
    waiting = [result for result in results if result.outcome is Outcome.WAITS and result.run]
    for result in waiting:
        name = _called(result.id, several)
        lines = "\n".join(f"  {line}" for line in result.run)
        note(
            f"{name} waits: with kubectl at cluster {result.cluster} run\n{lines}\nand then the same command with "
            f"--kubectl-done {shlex.quote(name)}"
        )
    unfinished = [result for result in results if result.outcome is Outcome.WAITS and not result.run]
    for result in unfinished:
        name = _called(result.id, several)
        note(f"{name} waits: {result.why}. End it:\n  {asked.command('--roll-back', name)}")
    # A roll-back that comes when the old node pool is deleted has only lines that make it again.
    late = [result for result in results if result.outcome is Outcome.MOVED and result.run]
    for result in late:
        lines = "\n".join(result.run)
        note(f"{_called(result.id, several)}: {result.why}. What makes it again:\n{lines}")
    for result in results:
        if result.outcome in (Outcome.TO_DO, Outcome.ROLLED_BACK, Outcome.NOTHING_TO_TAKE_BACK) and result.why:
            note(f"{result.outcome.value}: {_called(result.id, several)}: {result.why}")
    bad = [result for result in results if result.outcome in (Outcome.FAILED, Outcome.CHANGED)]
    _tell_bad(bad, several)
    held = _tell_held_up(results, asked)
    stopped = [result for result in results if result.outcome is Outcome.STOPPED and result.first is None]
    if stopped:
        names = [_called(result.id, several) for result in stopped]
        listed = ", ".join(names[:_MOST_LISTED]) + (", ..." if len(names) > _MOST_LISTED else "")
        note(
            f"stopped: {listed}: another move failed, and nothing begins after that. Mend it, and then the same "
            "command; or go on without it: name others with --only"
        )
    if not asked.yes:
        note("Nothing was changed: this only looked. --yes carries it out.")
    if bad:
        would = "be taken back" if asked.takes_back else "move"
        did = "was not taken back" if asked.takes_back else "did not move"
        what = f"{did}. What was done is in {asked.journal}" if asked.yes else f"would not {would}"
        raise Failure(f"{counted(len(bad), 'node pool')} {what}", code=FAILED)
    if late:
        raise Failure(f"{counted(len(late), 'node pool')} not rolled back", code=FAILED)
    if waiting:
        raise Failure(f"{counted(len(waiting), 'node pool')} waiting for kubectl", code=GATE)
    if held:
        raise Failure(f"{counted(held, 'node pool')} not begun: another one of the cluster is under way", code=FAILED)
    if unfinished:
        raise Failure(f"{counted(len(unfinished), 'node pool')} with a roll-back that has not ended", code=FAILED)


def _tell_held_up(results: Sequence[MoveResult], asked: _Asked) -> int:
    """Say which moves have to end before others begin, by which commands; returns how many moves are held up."""
    from poolwright.fleet.apply import Outcome

    held: dict[str, list[MoveResult]] = {}
    chosen = {result.id for result in results}
    for result in results:
        # Of one that was chosen itself it is told how it stands, and what helps.
        if result.first is None or result.first in chosen or result.outcome is Outcome.CHANGED:
            continue
        held.setdefault(result.first, []).append(result)
    for first, others in held.items():
        name = _called(first, asked.several)
        names = ", ".join(_called(other.id, asked.several) for other in others)
        back = f"  {asked.command('--roll-back', name)}"
        helps = (
            f"Its roll-back was begun: end it:\n{back}"
            if first in asked.going_back
            else f"Go on with it:\n  {asked.command('--only', name)}\nor take it back:\n{back}"
        )
        note(
            f"{'stopped' if asked.yes else 'later'}: {names}: {name} of the same cluster is under way, and no other "
            f"move begins there before it has ended. {helps}"
        )
    return sum(len(others) for others in held.values())


def _tell_order(application: Application, chosen: Collection[str], plan: Plan) -> None:
    """Say where --only has a system node pool move before its turn: the plan has them last."""
    several = _has_several_subscriptions(plan)
    for move, earlier in application.before_their_turn(chosen):
        names = ", ".join(other.pool for other in earlier)
        note(
            f"note: {_called(move.id, several)} takes system pods and comes before its turn: the plan has {names} first"
        )


def _tell_bad(results: Iterable[MoveResult], several: bool) -> None:
    for result in results:
        note(f"{result.outcome.value}: {_called(result.id, several)}: {result.why}")


def _interrupted(path: Path, yes: bool) -> str:
    if not yes:
        return "Interrupted. Nothing was changed."
    return (
        f"Interrupted. What the endpoint works on goes on there; what was done is in {path}. The same command goes on; "
        "with --roll-back GROUP/CLUSTER/POOL it takes back one node pool."
    )


def _plan(path: Path) -> Plan:
    """The plan of a file, all of which can be carried out."""
    from poolwright.fleet.plan_file import BrokenPlan, OtherVersion, read_plan

    try:
        return read_plan(path)
    except OSError as error:
        code = NOT_FOUND if isinstance(error, FileNotFoundError) else USAGE
        raise Failure(f"error: {path}: {error.strerror}", code=code) from error
    except (BrokenPlan, OtherVersion) as error:
        raise Failure(f"error: {error}", code=USAGE) from error


def _chosen(plan: Plan, patterns: Sequence[str] | None, option: str) -> list[PoolMove]:
    """The moves that the patterns name, all of them without one."""
    if patterns is None:
        return list(plan.moves)
    wanted = {move.id for pattern in patterns for move in _named(plan, pattern, option)}
    return [move for move in plan.moves if move.id in wanted]


def _named(plan: Plan, pattern: str, option: str) -> list[PoolMove]:
    """The moves that one pattern names. One of two subscriptions has to be named where it could be either."""
    whole = pattern.lower() if pattern.count("/") >= 2 else f"{pattern.lower()}/*"
    with_subscription = whole.count("/") >= 3
    found = [move for move in plan.moves if fnmatchcase(_called(move.id, with_subscription).lower(), whole)]
    if not found:
        raise typer.BadParameter(f"the plan moves no node pool {pattern}", param_hint=option)
    if not with_subscription and _are_mixed_up(whole, found):
        names = [_called(move.id, True) for move in found]
        listed = ", ".join(names[:_MOST_LISTED]) + (", ..." if len(names) > _MOST_LISTED else "")
        raise typer.BadParameter(
            f"{pattern} is of more than one subscription; name it as SUBSCRIPTION/GROUP/CLUSTER/POOL: {listed}",
            param_hint=option,
        )
    return found


def _are_mixed_up(pattern: str, found: Sequence[PoolMove]) -> bool:
    """Whether a name without subscription stands for node pools of several, and whoever gave it may mean one."""
    if len({_subscription(move.id) for move in found}) < 2:
        return False
    names_its_group = not set(pattern.partition("/")[0]) & set("*?[")
    clusters = {move.id.rpartition("/agentPools/")[0].lower() for move in found}
    shorter = {_called(move.id, False).lower().rpartition("/")[0] for move in found}
    return names_its_group or len(shorter) < len(clusters)


def _called(move: str, with_subscription: bool) -> str:
    """What people call a node pool, by its ID: GROUP/CLUSTER/POOL, with its subscription before it where asked."""
    parts = move.strip("/").split("/")
    short = f"{parts[3]}/{parts[-3]}/{parts[-1]}"
    return f"{parts[1]}/{short}" if with_subscription else short


def _subscription(move: str) -> str:
    return move.strip("/").split("/")[1].lower()


def _has_several_subscriptions(plan: Plan) -> bool:
    return len({cluster.subscription.lower() for cluster in plan.clusters}) > 1


@contextmanager
def _connected(endpoint: str | None, data_dir: Path | None) -> Iterator[Arm]:
    """The endpoint that was chosen, with whoever logs in there."""
    from poolwright.fleet import live, tokens
    from poolwright.fleet.arm import Arm

    url = live.AZURE if endpoint is not None and endpoint.lower() == "azure" else (endpoint or "").rstrip("/")
    if urlsplit(url).hostname in AZURE_HOSTS and urlsplit(url).scheme == "https":
        try:
            credential = live.default_credential()
        except live.NotInstalled as error:
            raise Failure(f"error: Azure needs its SDK: pip install 'poolwright[azure]' ({error})") from error
        arm = Arm(url, tokens.of_credential(credential, f"{url}/.default"))
    else:
        service = connection.find(data_dir)
        if url and url.lower() != service.url.lower():
            raise typer.BadParameter(
                f"{url} is neither azure nor {service.url}, which {service.origin} names: name its data directory with "
                "--data-dir, or set the variables of its `poolwright env`",
                param_hint="--endpoint",
            )
        try:
            verify = ssl.create_default_context(cafile=str(service.ca))
        except (OSError, ssl.SSLError) as error:
            raise Failure(f"error: the certificate authority {service.ca} cannot be read: {error}") from error
        secret = tokens.Secret(service.tenant_id, service.client_id, service.client_secret)
        arm = Arm(service.url, tokens.of_poolwright(service.url, verify, secret), verify=verify, own_machine=True)
    try:
        yield arm
    finally:
        arm.close()


def _confirm(arm: Arm, plan: Plan, moves: Iterable[PoolMove], given: Sequence[str]) -> None:
    """Return when whoever asks has named every subscription that is changed; only a public endpoint asks."""
    if _is_own_machine(arm.url):
        return
    changed = {move.id for move in moves}
    subscriptions = dict.fromkeys(
        cluster.subscription for cluster in plan.clusters if any(move.id in changed for move in cluster.moves)
    )
    for subscription in subscriptions:
        name = arm.subscription_name(subscription)
        if name in given:
            continue
        if given or not sys.stdin.isatty():
            raise Failure(
                f"error: {arm.url} is not on this machine, and the subscription {subscription} was not named. Name it: "
                "--confirm-subscription NAME",
                code=USAGE,
            )
        typed = typer.prompt(f"This changes subscription {subscription} at {arm.url}. Type its name to go on", err=True)
        if typed.strip() != name:
            raise Failure("error: that is not its name; nothing was changed. `az account show` has it", code=USAGE)


def _is_own_machine(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Course:
    """How much is done of what a command does: of the steps of its moves, or of those that it takes back."""

    def __init__(self, moves: Iterable[PoolMove], earlier: Journal | None = None, *, back: bool = False) -> None:
        """Begin with what earlier runs did."""
        from poolwright.fleet.journal import Past

        self._counts: Final = "undone" if back else "done"
        self._steps: set[tuple[str, str]] = set()
        self._ended: set[tuple[str, str]] = set()
        for move in moves:
            past = Past.of(earlier.of(move.id) if earlier is not None else ())
            steps = {*past.begun, *past.undoing} if back else {step.name.value for step in move.steps}
            ended = steps - past.begun.keys() if back else steps & past.done.keys()
            self._steps |= {(move.id, step) for step in steps}
            self._ended |= {(move.id, step) for step in ended}

    def take(self, entry: Entry) -> None:
        """Count with one more entry of the journal."""
        if entry.event == self._counts:
            self._ended.add((entry.pool, entry.step))

    @property
    def share(self) -> float:
        """How much is done, from 0 to 1."""
        return len(self._ended & self._steps) / (len(self._steps) or 1)


@contextmanager
def _shown(
    doing: str, course: Course, several: bool, output: ReportOutput, to: Path | None
) -> Iterator[tuple[Callable[[str], None], Tell]]:
    """Progress: a bar on a terminal, a line for each step elsewhere, nothing beside JSON on a pipe."""
    with progress.steps_shown(doing, lines=output is not ReportOutput.JSON or to is not None) as show:

        def say(text: str) -> None:
            show(text, course.share)

        def tell(move: PoolMove, entry: Entry) -> None:
            course.take(entry)
            name = _called(move.id, True) if several else f"{move.id.split('/')[-3]}/{move.pool}"
            say(f"{name}: {f'{entry.step} ' if entry.step else ''}{entry.event.value}")

        yield say, tell


def _require_writable(to: Path | None, *taken: Path) -> None:
    """Return when a report can be written there, and takes the place of none of the files this needs."""
    if to is None:
        return
    for path in taken:
        if to.resolve() == path.resolve() or (to.exists() and path.exists() and to.samefile(path)):
            raise typer.BadParameter(f"{to} is the plan or its journal; name another file", param_hint="--to")
    there = to.exists()
    # Opening a pipe would wait for its reader.
    if there and not (to.is_file() or to.is_dir()):
        return
    try:
        with to.open("ab"):
            pass
        if not there:
            # A link to what is not there yet stays one.
            to.resolve().unlink()
    except OSError as error:
        raise _not_writable(to, error) from error


def _not_writable(to: Path, error: OSError) -> Failure:
    return Failure(f"error: {to} cannot be written: {error.strerror}; name another file with --to")


@contextmanager
def _report_written(
    output: ReportOutput,
    to: Path | None,
    document: Document,
    results: Iterable[MoveResult],
    outline: Callable[[], Iterator[Block]],
) -> Iterator[None]:
    """Write the report before what is within says how it went; a file that takes none fails only after that.

    What was done is done: the report then goes to stdout.
    """
    from poolwright.reports.blocks import markdown

    match output:
        case ReportOutput.TABLE:
            rows = [_row(result) for result in results]
            text = table(rows) + "\n" if rows else ""
        case ReportOutput.JSON:
            text = "".join(document_text(document))
        case ReportOutput.MARKDOWN:
            text = markdown(outline())
    failed = None
    try:
        if to is not None:
            to.write_text(text, encoding="utf-8")
    except OSError as error:
        failed = _not_writable(to, error) if to is not None else None
    if to is None or failed is not None:
        try:
            sys.stdout.write(text)
            sys.stdout.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            failed = Failure(f"error: stdout cannot be written: {error.strerror}; --to FILE writes the report there")
    if failed is not None:
        note(str(failed))
    yield
    if failed is not None:
        raise failed


def _row(result: MoveResult) -> dict[str, object]:
    return {
        "ResourceGroup": result.resource_group,
        "Cluster": result.cluster,
        "Pool": result.pool,
        "NewPool": result.replacement or "-",
        "Outcome": result.outcome.value,
        "Next": result.next.value if result.next else "-",
        "After": result.first.rpartition("/")[2] if result.first else None,
        "Seconds": f"{result.seconds:.1f}",
    }


def _now() -> datetime:
    return datetime.now(UTC)


REHEARSE_EXAMPLES: Final = examples(
    "poolwright fleet rehearse plan.json",
    "poolwright fleet rehearse plan.json --seed bad-day.yaml --parallel 8 -o markdown --to rehearsal.md",
)
APPLY_EXAMPLES: Final = examples(
    "poolwright fleet apply plan.json",
    "poolwright fleet apply plan.json --yes --parallel 4",
    "poolwright fleet apply plan.json --yes --only shop/shop-prod --kubectl-done shop/shop-prod/batch",
    "poolwright fleet apply plan.json --yes --endpoint azure --confirm-subscription 'Shop, production'",
    "poolwright fleet apply plan.json --yes --roll-back shop/shop-prod/batch",
)
