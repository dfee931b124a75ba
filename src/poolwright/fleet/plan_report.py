"""A plan for people: the same text as Markdown and as HTML.

Invariant: it says what the plan says, in the plan's order; only what stands under which heading is decided here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from poolwright.fleet.plan import ClusterPlan, Plan, PoolMove, SizeChoice, Stay, Step
from poolwright.reports.blocks import Block, Bullets, Code, Commands, Heading, Paragraph, Table
from poolwright.reports.numbers import counted

# What nobody has seen of an offer, in words.
_ASSUMED: Final = {"locations": "that it is offered there", "zones": "that it is in zones 1, 2 and 3"}


def outline(plan: Plan) -> Iterator[Block]:
    """Yield the text of a plan."""
    yield Heading(1, "Plan: the fleet to Generation 2")
    yield Paragraph(
        f"As of {plan.as_of}, profile {plan.profile}, catalogue {plan.catalogue}. To move: "
        f"{counted(len(plan.moves), 'node pool')} in {counted(len(plan.clusters), 'cluster')}; {len(plan.stays):,} "
        "stay. Clusters can be done in any order or side by side; the moves of one cluster one after the other. Stop "
        "at the first check that does not hold."
    )
    yield Heading(2, "Moves")
    yield Table(
        "Every move",
        (
            "Resource group",
            "Cluster",
            "Order",
            "Node pool",
            "Mode",
            "Way",
            "Size",
            "To",
            "New node pool",
            "Extra machines",
        ),
        [
            (
                *(cluster.resource_group, cluster.cluster, move.order, move.pool, move.mode or "-", move.way.value),
                *(_sizes(move), _to(move), move.replacement or "-", move.extra_machines),
            )
            for cluster in plan.clusters
            for move in cluster.moves
        ],
    )
    yield Heading(2, "Quota")
    yield Paragraph("vCPUs beyond those in use today. The commands show each limit, and what is used of it.")
    yield Table(
        "vCPUs needed",
        ("Subscription", "Location", "Family", "One cluster at a time", "All clusters at once", "For good"),
        [
            (
                *(row.subscription, row.location or "unknown", row.family),
                *(row.one_at_a_time, row.all_at_once, row.for_good),
            )
            for row in plan.quota
        ],
    )
    if plan.quota:
        yield Commands([row.check for row in plan.quota])
    staying = [stay for stay in plan.stays if stay.move != "done"]
    yield Heading(2, "What stays")
    yield Paragraph(f"Of Generation 2 already: {counted(len(plan.stays) - len(staying), 'node pool')}.")
    if staying:
        yield Table(
            "Node pools that stay, and why",
            ("Resource group", "Cluster", "Node pool", "Generation", "State", "Why", "What helps"),
            [
                (
                    *(stay.resource_group, stay.cluster, stay.pool, stay.generation or "unknown", stay.move.value),
                    " ".join(finding.message for finding in stay.because),
                    _helps(stay),
                )
                for stay in staying
            ],
        )
    if plan.problems:
        yield Heading(2, "Input that could not be taken")
        yield Bullets(
            [
                f"{problem.kind}: {problem.place.file}:{problem.place.line}: {problem.message}"
                for problem in plan.problems
            ]
        )
    for cluster in plan.clusters:
        yield from _cluster(cluster)


def _helps(stay: Stay) -> Code | str:
    """What helps; where that is a command, as it can be copied."""
    helps = "; ".join(finding.remedy for finding in stay.because if finding.remedy)
    return Code(helps) if ": az " in helps else helps or "-"


def _cluster(cluster: ClusterPlan) -> Iterator[Block]:
    name = f"{cluster.resource_group}/{cluster.cluster}"
    yield Heading(2, f"Cluster {name} ({cluster.location or 'location unknown'})", name)
    for move in cluster.moves:
        yield from _move(move, name)


def _move(move: PoolMove, cluster: str) -> Iterator[Block]:
    yield Heading(3, f"{move.order}. Node pool {move.pool}: {_sizes(move)} to {_to(move)}", f"{cluster}/{move.pool}")
    way = f"a new node pool, {move.replacement}" if move.replacement else "in place"
    yield Paragraph(f"Way: {way}. {move.because.message} ({move.because.source})")
    yield Paragraph(
        f"OS SKU {move.os_sku}, node image {move.image_definition}; {counted(move.extra_machines, 'more machine')} "
        "while it runs. "
        + " ".join(
            f"{need.family}: {counted(need.during, 'vCPU')} more while it runs, {need.after:+d} after it."
            for need in move.quota
        )
    )
    for size in move.sizes:
        yield Table(
            f"{size.size} to what",
            ("Rank", "Size", "What differs", "Not known", "Assumed", "Ends"),
            [(rank, *_described(choice)) for rank, choice in enumerate((size.to, *size.alternatives), 1)],
        )
    if move.remarks:
        yield Bullets(move.remarks)
    for number, step in enumerate(move.steps, 1):
        yield from _step(step, number)
    yield Heading(4, "The way back")
    yield Commands([line if line.startswith(("az ", "kubectl ", "#")) else f"# {line}" for line in move.way_back])


def _step(step: Step, number: int) -> Iterator[Block]:
    yield Heading(4, f"Step {number}, {step.name.value}: {step.what}")
    if step.az or step.kubectl:
        yield Commands((*step.az, *step.kubectl))
    if step.sdk is not None:
        yield Commands(step.sdk.splitlines(), "python")
    for check in step.checks:
        yield Paragraph(f"Check: {check.expect}")
        yield Commands([check.run])


def _described(choice: SizeChoice) -> tuple[str, str, str, str, str]:
    differences = "; ".join(f"{each.capability}: {each.before} to {each.after}" for each in choice.differences)
    assumed = "; ".join(_ASSUMED.get(each, each) for each in choice.assumed)
    ends = "; ".join(f"{end.day} {end.effect}" for end in choice.ends)
    return choice.size, differences or "nothing", ", ".join(choice.unknown) or "-", assumed or "-", ends or "none known"


def _sizes(move: PoolMove) -> str:
    return " + ".join(size.size for size in move.sizes)


def _to(move: PoolMove) -> str:
    return " + ".join(dict.fromkeys(size.to.size for size in move.sizes))
