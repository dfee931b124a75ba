"""What an apply or a rehearsal came to, for people: the same text as Markdown and as HTML.

Invariant: every node pool of the plan is in it once: moved, or with the reason why not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from poolwright.fleet.apply import MoveResult, Outcome
from poolwright.fleet.audit import Move
from poolwright.fleet.document import Document
from poolwright.fleet.plan import Plan, Stay
from poolwright.reports.blocks import Block, Bullets, Commands, Heading, Paragraph, Table
from poolwright.reports.numbers import counted

if TYPE_CHECKING:
    # It has a service to start, which is slow to import.
    from poolwright.fleet.rehearsal import Rehearsal


@dataclass(frozen=True, slots=True, kw_only=True)
class Report(Document):
    """What `poolwright fleet apply` came to. `plan` is the plan's digest; `only_looked` says that nothing was done."""

    plan: str
    endpoint: str
    only_looked: bool
    results: tuple[MoveResult, ...]
    stays: tuple[Stay, ...]


def apply_outline(report: Report) -> Iterator[Block]:
    """Yield the text of a report."""
    yield Heading(1, "Report: the fleet to Generation 2")
    what = "Only looked at, nothing was changed" if report.only_looked else "Carried out"
    yield Paragraph(f"{what} at {report.endpoint}; plan {report.plan[:12]}. {summary(report.results)}")
    yield from _moves(report.results)
    yield from _stays(report.stays)


def rehearsal_outline(rehearsal: Rehearsal, plan: Plan) -> Iterator[Block]:
    """Yield the text about a rehearsal."""
    yield Heading(1, "Rehearsal: the fleet to Generation 2")
    yield Paragraph(
        f"Profile {plan.profile}, {counted(rehearsal.parallel, 'cluster')} side by side. {summary(rehearsal.results)} "
        f"At most {counted(rehearsal.peak_machines, 'more machine')} than before at one time."
    )
    yield Bullets(rehearsal.remarks)
    if rehearsal.not_loaded:
        yield Heading(2, "Not rehearsed")
        yield Table(
            "What the service would not make", ("ID", "Why"), [(each.id, each.why) for each in rehearsal.not_loaded]
        )
    yield from _moves(rehearsal.results)
    if rehearsal.peak_vcpus:
        yield Heading(2, "Peak of vCPUs")
        yield Table(
            "Most vCPUs beyond those before, at one time",
            ("Subscription", "Location", "Family", "vCPUs"),
            [(each.subscription, each.location, each.family, each.vcpus) for each in rehearsal.peak_vcpus],
        )
    if rehearsal.clusters:
        yield Heading(2, "The longest clusters")
        yield Table(
            "Clusters, the longest first",
            ("Cluster", "Moves", "Machines", "Seconds here"),
            [(each.cluster, each.moves, each.machines, f"{each.seconds:.1f}") for each in rehearsal.clusters[:20]],
        )
    yield from _stays(plan.stays)


def summary(results: Iterable[MoveResult]) -> str:
    """Return how many moves stand how, in a sentence."""
    counted = Counter(result.outcome for result in results)
    parts = [f"{counted[outcome]:,} {outcome.value}" for outcome in Outcome if counted[outcome]]
    return f"Node pools: {', '.join(parts)}." if parts else "No node pool is to move."


def _moves(results: tuple[MoveResult, ...]) -> Iterator[Block]:
    if not results:
        return
    yield Heading(2, "Moves")
    yield Table(
        "Every move",
        ("Resource group", "Cluster", "Node pool", "New node pool", "Outcome", "Seconds", "Next step", "After", "Why"),
        [
            (
                *(result.resource_group, result.cluster, result.pool, result.replacement or "-", result.outcome.value),
                *(f"{result.seconds:.1f}", result.next.value if result.next else "-"),
                *(result.first.rpartition("/")[2] if result.first else "-", result.why or "-"),
            )
            for result in results
        ],
    )
    taken = [(result, step) for result in results for step in result.taken]
    if taken:
        yield Table(
            "Every step",
            ("Cluster", "Node pool", "Step", "Seconds", "Remark"),
            [
                (result.cluster, result.pool, step.step.value, f"{step.seconds:.1f}", step.told or "-")
                for result, step in taken
            ],
        )
    subscriptions = {result.id.strip("/").split("/")[1] for result in results}
    for result in results:
        if result.run:
            name = f"{result.resource_group}/{result.cluster}/{result.pool}"
            if len({subscription.lower() for subscription in subscriptions}) > 1:
                name = f"{result.id.strip('/').split('/')[1]}/{name}"
            yield Heading(3, f"To run for {name}")
            yield Commands([line for line in result.run if line])


def _stays(stays: tuple[Stay, ...]) -> Iterator[Block]:
    staying = [stay for stay in stays if stay.move is not Move.DONE]
    if not staying:
        return
    yield Heading(2, "What the plan leaves, and why")
    yield Table(
        "Node pools that stay",
        ("Resource group", "Cluster", "Node pool", "Generation", "Why"),
        [
            (
                *(stay.resource_group, stay.cluster, stay.pool, stay.generation or "unknown"),
                " ".join(finding.message for finding in stay.because),
            )
            for stay in staying
        ],
    )
