"""What a node pool leads to, by `domain.admission.settle`, the function behind the PUT.

Where something that decides is unknown, every value it can have is tried (`cases.py`). What all of them agree on is
known; the rest is not, and what they hang on is named.

A node pool that exists was asked for by somebody once, and how is told nowhere: what tells is the evidence that an
audit goes by as well (`domain.evidence`): its node image, where the file has that, its size, and the rules last.

Invariant: no rule of AKS's stands here; what is known would be the same whatever the unknown turns out to be.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date
from functools import cached_property
from math import prod
from typing import Any, Final

from poolwright.catalog.catalog import LocationCatalog
from poolwright.domain.evidence import Confidence, only_generation
from poolwright.domain.generation import Generation
from poolwright.domain.image_name import ImageNames
from poolwright.domain.node_pool import NodePool
from poolwright.domain.profile import Profile
from poolwright.lint.cases import MAX_CASES_OF_FILE, Case, Cases, Problem, bare, choices_of, named
from poolwright.lint.catalogs import ANYWHERE, Catalogs
from poolwright.lint.dated_catalogs import DatedCatalogs
from poolwright.lint.decision_findings import (
    differences,
    expressed,
    hangs_on,
    refusal,
    retirements_of,
    unknown_outcome,
    written_findings,
)
from poolwright.lint.findings import Finding, LintedPool, Outcome, finding_at, finding_of, softened
from poolwright.lint.kinds import GEN1, OF_WARNINGS, OPERATION_FAILS, PROFILES_DIFFER, UNKNOWN, Kind
from poolwright.lint.pools import Action, FoundPool
from poolwright.lint.properties import sizes_of
from poolwright.lint.versions import is_refused
from poolwright.lint.ways import Ways
from poolwright.reports.sarif import Level
from poolwright.templates.partial import Unknown, holds_unknown

# A node pool of which more is unknown than this many combinations is itself unknown.
MAX_CASES: Final = 4096
# Findings about what a node pool gets.
_OF_OUTCOME: Final = frozenset((GEN1.id, UNKNOWN.id, OPERATION_FAILS.id, PROFILES_DIFFER.id, *OF_WARNINGS))
_OF_LIMITS: Final = ("vmSize", "mode", "type", "osType")
_SPENT: Final = (
    f"too much is unknown in its file, more than {MAX_CASES_OF_FILE} combinations in all: tell some of it, or split it"
)
_ASSUMPTION: Final = "CatalogueAssumption"
_HEADER_SAID: Final = ("WindowsDefaultsToGeneration1",)
_UPGRADES_KEEP: Final = Kind(
    "upgrade-keeps",
    "An upgrade moves to the newest image and never changes the generation.",
    "upgrade-node-image.md (rule 61)",
)
_UPDATES_KEEP: Final = Kind(
    "update-keeps",
    "The generation is resolved anew only when size, OS SKU, Trusted Launch, FIPS or the header changes.",
    "docs/compatibility.md, The wish",
)
_RESOLVED_ANEW: Final = ("vmSize", "osSKU", "enableFIPS", "securityProfile", "vmGeneration")


class Decider:
    """Decides about node pools by a catalogue; what was decided before is remembered."""

    def __init__(self, catalogs: Catalogs, profile: Profile, today: date) -> None:
        self.profile = profile
        self._catalogs = DatedCatalogs(catalogs, today)
        self._cases = Cases()
        self._ways = Ways(self._cases, self._catalogs)

    @cached_property
    def _images(self) -> ImageNames:
        return ImageNames(self._catalogs.at(ANYWHERE).images)

    def linted(self, pool: FoundPool) -> LintedPool:
        """Return the node pool's outcome by the profile, and what is to be said, the other profile's included."""
        outcome, findings = self._decided(pool, self.profile)
        other = next(profile for profile in Profile if profile is not self.profile)
        findings += differences(pool, outcome, *self._decided(pool, other))
        findings += written_findings(pool, self._catalogs.catalogs)
        findings += retirements_of(pool, self._catalogs)
        findings += [finding_of(mistake, pool) for mistake in pool.mistakes]
        if is_refused(pool, self._catalogs.catalogs, self.profile):
            # Said where the version stands; what the node pool would be is of no release that can be had.
            outcome = Outcome(self.profile, None, (), (), None, is_refused=True)
            findings = [finding for finding in findings if finding.kind.id not in _OF_OUTCOME]
        if pool.action is Action.KEEP:
            findings = [softened(finding) for finding in findings]
        return LintedPool(pool, outcome, sorted(findings, key=lambda each: (each.place, each.level.value)))

    def _decided(self, pool: FoundPool, profile: Profile) -> tuple[Outcome, list[Finding]]:
        outcome, findings = self._asked_for(pool, profile)
        return self._existing(pool, outcome, findings) if pool.action is Action.KEEP else (outcome, findings)

    def _existing(self, pool: FoundPool, outcome: Outcome, findings: list[Finding]) -> tuple[Outcome, list[Finding]]:
        """What a node pool that exists is, where `outcome` and `findings` are what the rules say of it."""
        sizes = [self._catalogs.at(pool.cluster.location).size(name) for name in sizes_of(pool.properties)]
        known = [size for size in sizes if size is not None]
        of_size = only_generation(known) if len(known) == len(sizes) else None
        image = pool.properties.get("nodeImageVersion")
        image = image if isinstance(image, str) else ""
        evidence = replace(self._images.evidence(image), size=of_size, rules=outcome.generation)
        row = evidence.deciding
        if row is None:
            why = outcome.because_unknown or "the rules would not make it anew, and its size offers both"
            told, more = unknown_outcome(pool, outcome.profile, why, "vmSize")
            noted = any(finding.kind == UNKNOWN for finding in findings)
            return replace(told, images=outcome.images, rules=outcome.rules), findings + ([] if noted else more)
        is_by_rules = row.evidence == "rules"
        rules = outcome.rules if is_by_rules else (Kind(row.rule.id, row.rule.text, row.rule.source),)
        generation: Generation = getattr(evidence, row.evidence)
        outcome = replace(
            outcome,
            generation=generation,
            images=(image,) if image else outcome.images if outcome.generation in (None, generation) else (),
            rules=rules,
            because_unknown=None,
            is_refused=False,
            fails_later=False,
            is_likely=row.confidence is not Confidence.CERTAIN,
        )
        findings = [finding for finding in findings if finding.kind.id not in (UNKNOWN.id, GEN1.id, OPERATION_FAILS.id)]
        if outcome.generation is Generation.V1:
            findings.append(self._gen1(pool, outcome.profile, rules))
        return outcome, findings

    def _asked_for(self, pool: FoundPool, profile: Profile) -> tuple[Outcome, list[Finding]]:
        kept = _kept(pool)
        if kept is not None:
            return Outcome(profile, None, (), (kept,), "it stays what it is", is_refused=False), []
        why = _undecidable(pool, self._catalogs.catalogs)
        if why is not None:
            return unknown_outcome(pool, profile, why, "vmSize")
        catalog = self._catalogs.at(pool.cluster.location)
        choices = choices_of(pool, catalog)
        if prod(map(len, choices.values())) > MAX_CASES:
            names = ", ".join(choices)
            return unknown_outcome(pool, profile, f"too much is unknown: {names}", next(iter(choices)))
        if choices and not self._cases.may_try(pool, profile, choices):
            return unknown_outcome(pool, profile, _SPENT, next(iter(choices)))
        # What the generation hangs on is decided once for node pools that differ in counts and labels alone.
        cases = self._cases.of(bare(pool), profile, catalog, choices)
        others = self._other_problems(pool, profile, catalog, [case for case in cases if not case.problems])
        if others:
            outcome = Outcome(profile, None, (), (), None, is_refused=True)
            return outcome, [refusal(pool, problem) for problem in others]
        return self._joined(pool, profile, catalog, cases, choices)

    def _other_problems(
        self, pool: FoundPool, profile: Profile, catalog: LocationCatalog, possible: Sequence[Case]
    ) -> tuple[Problem, ...]:
        """What refuses the node pool as a whole, whichever of the possible cases it is; none where one is taken.

        What is no matter of the image hangs on size, mode, type and OS alone, so one case of each is enough.
        """
        problems: tuple[Problem, ...] = ()
        for case in {tuple(map(case.values.get, _OF_LIMITS)): case for case in possible}.values():
            problems = self._cases.case(pool, profile, catalog, case.values).problems
            if not problems:
                return ()
        return problems

    def _joined(
        self,
        pool: FoundPool,
        profile: Profile,
        catalog: LocationCatalog,
        cases: Sequence[Case],
        choices: Mapping[str, tuple[Any, ...]],
    ) -> tuple[Outcome, list[Finding]]:
        """What all cases agree on. A case that is refused is none of those that the node pool can turn out to be.

        Nor is one that fails later, of a node pool that exists.
        """
        accepted = [case for case in cases if not case.problems]
        lasting = [case for case in accepted if case.pool is not None and case.pool.late_failure is None]
        possible = lasting if pool.action is Action.KEEP and lasting else accepted
        if not possible:
            outcome = Outcome(profile, None, (), (), None, is_refused=True)
            return outcome, [refusal(pool, problem) for problem in self._in_most(pool, profile, catalog, cases)]
        findings: list[Finding] = []
        pools = [case.pool for case in possible if case.pool is not None]
        generations = {decided.generation for decided in pools}
        images = tuple(dict.fromkeys(decided.node_image for decided in pools))
        rules = tuple(dict.fromkeys(Kind(each.rule.id, each.rule.text, each.rule.source) for each in pools))
        late = [decided.late_failure for decided in pools]
        if len(generations) > 1 or (any(late) and not all(late)):
            hangs = hangs_on(pool, possible, choices)
            outcome, more = unknown_outcome(pool, profile, f"it depends on {hangs[1]}", hangs[0])
            return replace(outcome, images=images, rules=rules), findings + more
        generation = next(iter(generations))
        is_late = all(late)
        if is_late and late[0] is not None:
            findings.append(
                finding_at(
                    pool,
                    Kind(OPERATION_FAILS.id, OPERATION_FAILS.text, rules[0].source),
                    Level.ERROR,
                    "vmSize",
                    f"accepted, then the operation fails: {named(late[0].message, pool)}",
                    self._ways.to_gen2(pool, profile, catalog) or late[0].remedy or "",
                )
            )
        findings += self._warnings(pool, profile, catalog, pools)
        if generation is Generation.V1 and not is_late:
            findings.append(self._gen1(pool, profile, rules))
        assumed = () if isinstance(pool.cluster.location, Unknown) else _assumptions(pools[0])
        return Outcome(
            profile, generation, images, rules, None, is_refused=False, fails_later=is_late, assumptions=assumed
        ), findings

    def _in_most(
        self, pool: FoundPool, profile: Profile, catalog: LocationCatalog, cases: Sequence[Case]
    ) -> Iterator[Problem]:
        """What refuses every case, else what refuses most of them; in the words of the last case, the newest version's.

        Only these words name other sizes: looking for them takes much longer than refusing.
        """
        latest = {problem.kind: case for case in cases for problem in case.problems}
        often = Counter(kind for case in cases for kind in {problem.kind for problem in case.problems})
        most = max(often.values())
        for kind, case in latest.items():
            if often[kind] == most:
                told = self._cases.case(bare(pool), profile, catalog, case.values).problems
                yield next(problem for problem in told if problem.kind == kind)

    def _warnings(
        self, pool: FoundPool, profile: Profile, catalog: LocationCatalog, pools: Sequence[NodePool]
    ) -> Iterator[Finding]:
        """What every case warns of."""
        for warning in pools[0].warnings:
            if any(warning not in other.warnings for other in pools):
                continue
            if warning.code == _ASSUMPTION:
                continue  # said beside the outcome
            if warning.code == "GenerationForcedBySize":
                continue  # said as `gen1`
            remedy = self._ways.to_gen2(pool, profile, catalog) if warning.code in _HEADER_SAID else ""
            message = (
                warning.message.partition("; send the header")[0] if warning.code in _HEADER_SAID else warning.message
            )
            yield finding_at(
                pool,
                OF_WARNINGS[warning.code],
                Level.WARNING,
                "osSKU" if warning.code.startswith("Os") else "header" if warning.code == "HeaderIgnored" else "vmSize",
                message,
                remedy,
            )

    def _gen1(self, pool: FoundPool, profile: Profile, rules: Sequence[Kind]) -> Finding:
        gets = "is of" if pool.action is Action.KEEP else "gets"
        message = f"{gets} Generation 1: {' or '.join(rule.text for rule in rules)}"
        remedy = self._ways.to_gen2(pool, profile, self._catalogs.at(pool.cluster.location))
        return finding_at(pool, GEN1, Level.NOTE, "vmSize", message, remedy)


def _kept(pool: FoundPool) -> Kind | None:
    """Why the generation stays as it is, where it does."""
    if pool.action is Action.UPGRADE:
        return _UPGRADES_KEEP
    if pool.action is Action.UPDATE and pool.open_ended is None and pool.header is None:
        return None if any(name in pool.properties for name in _RESOLVED_ANEW) else _UPDATES_KEEP
    return None


def _undecidable(pool: FoundPool, catalogs: Catalogs) -> str | None:
    """Why nothing can be said of the generation, where that is so before any rule is asked."""
    properties = pool.properties
    size = properties.get("vmSize")
    if properties.get("creationData"):
        return "its image is that of a snapshot"
    if pool.open_ended is not None and size in (None, ""):
        return f"{pool.open_ended} may say anything"
    manual = properties.get("virtualMachinesProfile")
    if isinstance(size, Unknown) and not size.values:
        return f"the size is {expressed(size)}"
    if manual is not None and holds_unknown(manual):
        return "the sizes of its scale profiles are not known"
    for each in size.values or () if isinstance(size, Unknown) else (size,):
        lacking = catalogs.lacks(each) if isinstance(each, str) else ()
        if lacking:
            what = " and ".join(lacking)
            return f"the catalogue does not know the {what} of {each}; --catalog takes a list that does"
    if size in (None, "") and manual is None:
        if pool.action is Action.UPDATE:
            return "the size it has is not known"
        return "no size is given, and AKS chooses one (quotas-skus-regions.md)"
    return None


def _assumptions(pool: NodePool) -> tuple[str, ...]:
    return tuple(warning.message for warning in pool.warnings if warning.code == _ASSUMPTION)
