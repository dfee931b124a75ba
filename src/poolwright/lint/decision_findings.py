"""What is said about a node pool that was decided about: what is unknown, refused, retired, or different by profile.

Invariant: nothing is decided here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from poolwright.domain.node_pool_kind import PoolType
from poolwright.domain.profile import Profile
from poolwright.lint.cases import Case, Problem, named, os_type_of
from poolwright.lint.catalogs import Catalogs
from poolwright.lint.dated_catalogs import MAX_SUGGESTIONS, DatedCatalogs
from poolwright.lint.findings import Finding, Outcome, finding_at
from poolwright.lint.kinds import (
    HEADER,
    LOCATION,
    PROFILES_DIFFER,
    RETIRED,
    RETIRING,
    TYPE_RETIRED,
    TYPE_RETIRING,
    UNKNOWN,
    VM_GENERATION,
)
from poolwright.lint.pools import Action, FoundPool
from poolwright.lint.properties import sizes_of, value_at
from poolwright.lint.ways import asks_for_gen2
from poolwright.reports.sarif import Level
from poolwright.templates.partial import Unknown

# What tells of a node pool that exists (generation-2-vm.md, rule 9).
_LOOK: Final = "see its nodeImageVersion, which has gen2 in it where it is of Generation 2: `az aks nodepool show`"
# Source: availability-sets-on-aks.md, for the one type that ends.
_MIGRATE: Final = "migrate the cluster: az aks update --migrate-vmas-to-vms"


def unknown_outcome(pool: FoundPool, profile: Profile, why: str, path: str) -> tuple[Outcome, list[Finding]]:
    """Return the outcome of a node pool of which the generation is unknown, with the finding that says why."""
    unknown = _unknown_at(pool, path)
    tells = pool.tool.gives if unknown is not None and unknown.root.is_parameter else pool.tool.tells
    finding = finding_at(
        pool,
        UNKNOWN,
        Level.NOTE,
        path,
        f"the generation is unknown: {why}",
        _LOOK if pool.action is Action.KEEP else tells,
    )
    return Outcome(profile, None, (), (), why, is_refused=False), [finding]


def refusal(pool: FoundPool, problem: Problem) -> Finding:
    """Return a problem as a finding of the node pool."""
    code = f"{problem.code}: " if problem.code != problem.kind.id else ""
    message, remedy = named(f"{code}{problem.message}", pool), named(problem.remedy, pool)
    return finding_at(pool, problem.kind, Level.ERROR, problem.path, message, remedy)


def written_findings(pool: FoundPool, catalogs: Catalogs) -> Iterator[Finding]:
    """Yield what is to be said of a node pool as it is written, whatever it gets."""
    if isinstance(pool.header, str):
        yield finding_at(
            pool, HEADER, Level.ERROR, "header", f"UseWindowsGen2VM is '{pool.header}'", "use true or false"
        )
    if pool.properties.get("vmGeneration") is not None:
        yield finding_at(
            pool,
            VM_GENERATION,
            Level.WARNING,
            "vmGeneration",
            "vmGeneration is a property of Poolwright's own, which Azure ignores",
            "leave it out" + (f"; {asks_for_gen2(pool)}" if _is_windows(pool) else ": Linux needs none"),
        )
    if isinstance(pool.cluster.location, str) and not catalogs.knows(pool.cluster.location):
        yield finding_at(
            pool,
            LOCATION,
            Level.ERROR,
            "location",
            f"the catalogue knows no location '{pool.cluster.location}'",
            "use a name that `az account list-locations` lists",
        )


def retirements_of(pool: FoundPool, catalogs: DatedCatalogs) -> Iterator[Finding]:
    """Yield when the sizes of the node pool are retired, and its type."""
    yield from _ends_of_type(pool, catalogs)
    catalog = catalogs.at(pool.cluster.location)
    for name in sizes_of(pool.properties):
        size = catalog.size(name)
        for end in catalogs.retirements.of_size(size.name if size is not None else name, size):
            is_over = end.day <= catalogs.today
            nearest = catalogs.nearest(size, catalog)[:MAX_SUGGESTIONS] if size is not None else ()
            lasting = ", ".join(each.name for each in nearest)
            yield finding_at(
                pool,
                replace(RETIRED if is_over else RETIRING, source=end.source),
                Level.ERROR if is_over else Level.WARNING,
                "vmSize",
                f"{end.subject} {'was' if is_over else 'will be'} {end.effect} on {end.day.isoformat()}",
                "choose a size that lasts" + (f", for example {lasting}" if lasting else ""),
            )


def _ends_of_type(pool: FoundPool, catalogs: DatedCatalogs) -> Iterator[Finding]:
    written = str(pool.properties.get("type")).lower()
    pool_type = next((each for each in PoolType if each.value.lower() == written), None)
    ends = catalogs.retirements.of_pool_type(pool_type) if pool_type is not None else ()
    if not ends:
        return
    is_over = min(end.day for end in ends) <= catalogs.today
    told = ", ".join(
        f"{end.effect} {'since' if end.day <= catalogs.today else 'from'} {end.day.isoformat()}" for end in ends
    )
    remedy = _MIGRATE if pool.action is Action.KEEP else "use type VirtualMachineScaleSets"
    yield finding_at(
        pool,
        replace(TYPE_RETIRED if is_over else TYPE_RETIRING, source=ends[0].source),
        Level.ERROR if is_over else Level.WARNING,
        "type",
        f"{ends[0].subject}: {told}",
        remedy,
    )


def differences(pool: FoundPool, mine: Outcome, other: Outcome, findings: Sequence[Finding]) -> list[Finding]:
    """Return what is to be said where the outcome by the other profile, with its findings, is another."""
    same = (mine.generation, mine.is_refused, mine.fails_later) == (
        other.generation,
        other.is_refused,
        other.fails_later,
    )
    if same or (mine.is_refused and other.is_refused):
        return []
    failing = [finding for finding in findings if finding.level is Level.ERROR]
    says = (
        failing[0].message
        if failing
        else f"Generation {other.generation.number}"
        if other.generation is not None
        else f"the generation is unknown: {other.because_unknown}"
    )
    level = Level.WARNING if failing or other.generation is not mine.generation else Level.NOTE
    return [
        finding_at(
            pool,
            PROFILES_DIFFER,
            level,
            "vmSize",
            f"by profile {other.profile.value} the outcome is another: {says}",
            failing[0].remedy if failing else f"see what it leads to: --profile {other.profile.value}",
        )
    ]


def hangs_on(pool: FoundPool, cases: Sequence[Case], choices: Mapping[str, tuple[Any, ...]]) -> tuple[str, str]:
    """Return the first property that alone makes a difference, and what to call it; else all that is unknown."""
    for path in choices:
        by_rest: dict[str, set[object]] = {}
        for case in cases:
            rest = repr([(name, value) for name, value in case.values.items() if name != path])
            decided = case.pool
            if decided is not None:
                by_rest.setdefault(rest, set()).add((decided.generation, decided.late_failure is not None))
        if any(len(outcomes) > 1 for outcomes in by_rest.values()):
            return path, _called(pool, path)
    return next(iter(choices)), ", ".join(_called(pool, path) for path in choices)


def expressed(unknown: Unknown) -> str:
    """Return what is unknown as messages show it."""
    return f"{unknown}, which hangs on {unknown.root}" if unknown.cause is not None else str(unknown)


def _called(pool: FoundPool, path: str) -> str:
    value = _unknown_at(pool, path)
    name = {"header": "the header UseWindowsGen2VM", "version": "the Kubernetes version"}.get(path, path)
    return f"{name}, which is {expressed(value)}" if value is not None else f"{name}, which is not told"


def _unknown_at(pool: FoundPool, path: str) -> Unknown | None:
    """What is unknown there, where something is written."""
    if path == "header":
        value: Any = pool.header
    elif path == "version":
        value = pool.properties.get("orchestratorVersion") or pool.cluster.version
    else:
        value = value_at(pool.properties, path)
    return value if isinstance(value, Unknown) else None


def _is_windows(pool: FoundPool) -> bool:
    return pool.properties.get("osType") == "Windows" or os_type_of(str(pool.properties.get("osSKU"))) == "Windows"
