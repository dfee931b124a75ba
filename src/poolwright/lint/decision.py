"""What a node pool leads to, by `domain.admission.settle`, the function behind the PUT.

Where something that decides is unknown, every value it can have is tried. What all of them agree on is known; the
rest is not, and what they hang on is named.

A node pool that exists was asked for by somebody once, and how is told nowhere: what tells is the evidence that an
audit goes by as well (`domain.evidence`), its size first.

Invariant: no rule stands here. Only what a value can be does, and which unknown value a refusal may come from.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from itertools import islice, product
from math import prod
from typing import Any, Final

from poolwright import errors
from poolwright.arm.wire_node_pools import decode_node_pool
from poolwright.catalog.catalog import LocationCatalog
from poolwright.catalog.retirements import Retirement, Retirements
from poolwright.domain.admission import settle
from poolwright.domain.cluster import Cluster, ProvisioningState
from poolwright.domain.evidence import Confidence, Evidence, only_generation
from poolwright.domain.generation import Generation
from poolwright.domain.node_pool import NodePool
from poolwright.domain.node_pool_kind import PoolType
from poolwright.domain.os_sku import OsSku, OsType
from poolwright.domain.pool_requirements import refuse_name
from poolwright.domain.profile import Profile
from poolwright.domain.resource_id import ClusterId, GroupId, NodePoolId
from poolwright.domain.size_name import alternatives
from poolwright.domain.surroundings import Surroundings
from poolwright.domain.vm_size import VmSize
from poolwright.lint.catalogs import ANYWHERE, Catalogs, suggesting
from poolwright.lint.findings import Finding, LintedPool, Outcome, finding_of, softened
from poolwright.lint.kinds import (
    GEN1,
    HEADER,
    LOCATION,
    OF_WARNINGS,
    OPERATION_FAILS,
    PROFILES_DIFFER,
    RETIRED,
    RETIRING,
    TYPE_RETIRED,
    TYPE_RETIRING,
    UNKNOWN,
    VM_GENERATION,
    Kind,
)
from poolwright.lint.pools import Action, FoundPool, Json
from poolwright.lint.properties import ABSENT, known_part, put, value_at, without
from poolwright.lint.versions import is_refused, taken_for
from poolwright.reports.sarif import Level
from poolwright.templates.partial import Unknown, holds_unknown

# A node pool of which more is unknown than this many combinations is itself unknown.
MAX_CASES: Final = 4096
# All that is tried of one file, which takes some seconds; after that its node pools with something unknown are unknown.
MAX_CASES_OF_FILE: Final = 20_000
# Sizes are suggested where trying each of them is quick.
_MAX_CASES_TO_SUGGEST: Final = 64
MAX_SUGGESTIONS: Final = 5
# Of the nearest sizes that many are tried.
_MAX_TRIED: Final = 50
# Findings about what a node pool gets.
_OF_OUTCOME: Final = frozenset((GEN1.id, UNKNOWN.id, OPERATION_FAILS.id, PROFILES_DIFFER.id, *OF_WARNINGS))
_OF_LIMITS: Final = ("vmSize", "mode", "type", "osType")
_SPENT: Final = (
    f"too much is unknown in its file, more than {MAX_CASES_OF_FILE} combinations in all: tell some of it, or split it"
)
# What tells of a node pool that exists (generation-2-vm.md, rule 9).
_LOOK: Final = "see its nodeImageVersion, which has gen2 in it where it is of Generation 2: `az aks nodepool show`"
# Source: availability-sets-on-aks.md, for the one type that ends.
_MIGRATE: Final = "migrate the cluster: az aks update --migrate-vmas-to-vms"
_NO_SUBSCRIPTION: Final = "00000000-0000-0000-0000-000000000000"
_CLUSTER_ID: Final = ClusterId(GroupId(_NO_SUBSCRIPTION, "rg"), "cluster")
# Stands for the name of every node pool, which its messages get in its place: two of them are one case.
_NAME: Final = "nphere"
_ASSUMPTION: Final = "CatalogueAssumption"
_HEADER_SAID: Final = ("WindowsDefaultsToGeneration1",)

# What decides about generation and image, and the values each can have. What can also be left out has `ABSENT`.
_CHOICES: Final[Mapping[str, tuple[Any, ...]]] = {
    "osType": ("Linux", "Windows"),
    "osSKU": (ABSENT, *(sku.value for sku in OsSku)),
    "enableFIPS": (ABSENT, True, False),
    "securityProfile.enableVTPM": (False, True),
    "securityProfile.enableSecureBoot": (False, True),
    "workloadRuntime": ("OCIContainer", "KataMshvVmIsolation"),
    "gpuProfile.driver": ("Install", "None"),
    "mode": ("User", "System"),
    "type": ("VirtualMachineScaleSets", "VirtualMachines"),
    "vmGeneration": (ABSENT, "V1", "V2"),
}
_HEADER_CHOICES: Final = (None, True, False)
# What an update of an existing node pool leaves as it is and nobody told.
_KEPT_BY_UPDATE: Final = ("osType", "osSKU", "enableFIPS", "securityProfile.enableVTPM")
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


@dataclass(frozen=True, slots=True)
class _Problem:
    kind: Kind
    code: str
    path: str
    message: str
    remedy: str


@dataclass(frozen=True, slots=True)
class _Case:
    """What one combination of values leads to."""

    values: Mapping[str, Any]
    pool: NodePool | None
    problems: tuple[_Problem, ...]


@dataclass(slots=True)
class Decider:
    """Decides about node pools by a catalogue; what was decided before is remembered."""

    catalogs: Catalogs
    profile: Profile
    today: date
    _retirements: Retirements = field(default_factory=Retirements.built_in)
    _known: dict[str, tuple[NodePool | None, tuple[_Problem, ...]]] = field(default_factory=dict)
    _cases_of: dict[str, list[_Case]] = field(default_factory=dict)
    _ways: dict[str, str] = field(default_factory=dict)
    _tried: Counter[str] = field(default_factory=Counter)
    _near: dict[tuple[str, str], tuple[VmSize, ...]] = field(default_factory=dict)
    _catalogs: dict[str, LocationCatalog] = field(default_factory=dict)
    _quiet: dict[str, LocationCatalog] = field(default_factory=dict)

    def _at(self, location: str | Unknown) -> LocationCatalog:
        """What a location offers; of its sizes those are suggested that have not ended."""
        whole = self.catalogs.at(location)
        if whole.location not in self._catalogs:
            sizes = [size for size in whole.usable_sizes if all(end.day > self.today for end in self._ends_of(size))]
            self._catalogs[whole.location] = suggesting(whole, sizes)
        return self._catalogs[whole.location]

    def _without_suggestions(self, catalog: LocationCatalog) -> LocationCatalog:
        """The same for trying many node pools: what it refuses, it refuses without naming other sizes."""
        if catalog.location not in self._quiet:
            self._quiet[catalog.location] = suggesting(catalog, ())
        return self._quiet[catalog.location]

    def _ends_of(self, size: VmSize) -> tuple[Retirement, ...]:
        return self._retirements.of_size(size.name, size)

    def _nearest(self, size: VmSize, catalog: LocationCatalog) -> tuple[VmSize, ...]:
        """The nearest sizes of which no end is known: what a remedy may name."""
        key = catalog.location, size.name
        if key not in self._near:
            lasting = [each for each in catalog.usable_sizes if not self._ends_of(each)]
            self._near[key] = alternatives(size, lasting, limit=_MAX_TRIED)
        return self._near[key]

    def linted(self, pool: FoundPool) -> LintedPool:
        """Return the node pool's outcome by the profile, and what is to be said, the other profile's included."""
        outcome, findings = self._decided(pool, self.profile)
        other = next(profile for profile in Profile if profile is not self.profile)
        findings += self._differences(pool, outcome, *self._decided(pool, other))
        if isinstance(pool.header, str):
            findings.append(
                _finding(
                    pool, HEADER, Level.ERROR, "header", f"UseWindowsGen2VM is '{pool.header}'", "use true or false"
                )
            )
        if pool.properties.get("vmGeneration") is not None:
            findings.append(
                _finding(
                    pool,
                    VM_GENERATION,
                    Level.WARNING,
                    "vmGeneration",
                    "vmGeneration is a property of Poolwright's own, which Azure ignores",
                    "leave it out" + (f"; {_asks(pool)}" if _is_windows(pool) else ": Linux needs none"),
                )
            )
        if isinstance(pool.cluster.location, str) and not self.catalogs.knows(pool.cluster.location):
            findings.append(
                _finding(
                    pool,
                    LOCATION,
                    Level.ERROR,
                    "location",
                    f"the catalogue knows no location '{pool.cluster.location}'",
                    "use a name that `az account list-locations` lists",
                )
            )
        findings += self._ends(pool)
        findings += [finding_of(mistake, pool) for mistake in pool.mistakes]
        if is_refused(pool, self.catalogs, self.profile):
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
        sizes = [self._at(pool.cluster.location).size(name) for name in _sizes_of(pool)]
        known = [size for size in sizes if size is not None]
        of_size = only_generation(known) if len(known) == len(sizes) else None
        row = Evidence(size=of_size, rules=outcome.generation).deciding
        if row is None:
            why = outcome.because_unknown or "the rules would not make it anew, and its size offers both"
            told, more = _unknown(pool, outcome.profile, why, "vmSize")
            noted = any(finding.kind == UNKNOWN for finding in findings)
            return replace(told, images=outcome.images, rules=outcome.rules), findings + ([] if noted else more)
        is_certain = row.confidence is Confidence.CERTAIN
        rules = (Kind(row.rule.id, row.rule.text, row.rule.source),) if is_certain else outcome.rules
        generation = of_size or outcome.generation
        outcome = replace(
            outcome,
            generation=generation,
            images=outcome.images if outcome.generation in (None, generation) else (),
            rules=rules,
            because_unknown=None,
            is_refused=False,
            fails_later=False,
            is_likely=not is_certain,
        )
        findings = [finding for finding in findings if finding.kind.id not in (UNKNOWN.id, GEN1.id, OPERATION_FAILS.id)]
        if outcome.generation is Generation.V1:
            findings.append(self._gen1(pool, outcome.profile, rules))
        return outcome, findings

    def _asked_for(self, pool: FoundPool, profile: Profile) -> tuple[Outcome, list[Finding]]:
        kept = _kept(pool)
        if kept is not None:
            return Outcome(profile, None, (), (kept,), "it stays what it is", is_refused=False), []
        why = _undecidable(pool, self.catalogs)
        if why is not None:
            return _unknown(pool, profile, why, "vmSize")
        catalog = self._at(pool.cluster.location)
        choices = _choices(pool, catalog)
        if prod(map(len, choices.values())) > MAX_CASES:
            names = ", ".join(choices)
            return _unknown(pool, profile, f"too much is unknown: {names}", next(iter(choices)))
        if choices and not self._may_try(pool, profile, choices):
            return _unknown(pool, profile, _SPENT, next(iter(choices)))
        # What the generation hangs on is decided once for node pools that differ in counts and labels alone.
        cases = self._cases(_bare(pool), profile, catalog, choices)
        others = self._other_problems(pool, profile, catalog, [case for case in cases if not case.problems])
        if others:
            outcome = Outcome(profile, None, (), (), None, is_refused=True)
            return outcome, [_refused(pool, problem) for problem in others]
        return self._joined(pool, profile, catalog, cases, choices)

    def _other_problems(
        self, pool: FoundPool, profile: Profile, catalog: LocationCatalog, possible: Sequence[_Case]
    ) -> tuple[_Problem, ...]:
        """What refuses the node pool as a whole, whichever of the possible cases it is; none where one is taken.

        What is no matter of the image hangs on size, mode, type and OS alone, so one case of each is enough.
        """
        problems: tuple[_Problem, ...] = ()
        for case in {tuple(map(case.values.get, _OF_LIMITS)): case for case in possible}.values():
            problems = self._case(pool, profile, catalog, case.values).problems
            if not problems:
                return ()
        return problems

    def _joined(
        self,
        pool: FoundPool,
        profile: Profile,
        catalog: LocationCatalog,
        cases: Sequence[_Case],
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
            return outcome, [_refused(pool, problem) for problem in self._in_most(pool, profile, catalog, cases)]
        findings: list[Finding] = []
        pools = [case.pool for case in possible if case.pool is not None]
        generations = {decided.generation for decided in pools}
        images = tuple(dict.fromkeys(decided.node_image for decided in pools))
        rules = tuple(dict.fromkeys(Kind(each.rule.id, each.rule.text, each.rule.source) for each in pools))
        late = [decided.late_failure for decided in pools]
        if len(generations) > 1 or (any(late) and not all(late)):
            hangs = _hangs_on(pool, possible, choices)
            outcome, more = _unknown(pool, profile, f"it depends on {hangs[1]}", hangs[0])
            return replace(outcome, images=images, rules=rules), findings + more
        generation = next(iter(generations))
        is_late = all(late)
        if is_late and late[0] is not None:
            findings.append(
                _finding(
                    pool,
                    Kind(OPERATION_FAILS.id, OPERATION_FAILS.text, rules[0].source),
                    Level.ERROR,
                    "vmSize",
                    f"accepted, then the operation fails: {_named(late[0].message, pool)}",
                    self._way_to_gen2(pool, profile, catalog) or late[0].remedy or "",
                )
            )
        findings += self._warnings(pool, profile, catalog, pools)
        if generation is Generation.V1 and not is_late:
            findings.append(self._gen1(pool, profile, rules))
        assumed = () if isinstance(pool.cluster.location, Unknown) else _assumptions(pools[0])
        return Outcome(
            profile, generation, images, rules, None, is_refused=False, fails_later=is_late, assumptions=assumed
        ), findings

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
            remedy = self._way_to_gen2(pool, profile, catalog) if warning.code in _HEADER_SAID else ""
            message = (
                warning.message.partition("; send the header")[0] if warning.code in _HEADER_SAID else warning.message
            )
            yield _finding(
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
        remedy = self._way_to_gen2(pool, profile, self._at(pool.cluster.location))
        return _finding(pool, GEN1, Level.NOTE, "vmSize", message, remedy)

    def _way_to_gen2(self, pool: FoundPool, profile: Profile, catalog: LocationCatalog) -> str:
        """What would make this node pool Generation 2, tried by the same rules; "" where nothing is found."""
        # A node pool that exists gets there by being made anew.
        pool = replace(_bare(pool), action=Action.CREATE) if pool.action is Action.KEEP else _bare(pool)
        key = f"{pool.tool.name} {_signature(pool, profile)}"
        if key not in self._ways:
            self._ways[key] = self._found_way(pool, profile, catalog)
        return self._ways[key]

    def _found_way(self, pool: FoundPool, profile: Profile, catalog: LocationCatalog) -> str:
        silent = replace(pool, properties=without(pool.properties, "vmGeneration"))
        if silent.properties != pool.properties and self._generation(silent, profile, catalog) is Generation.V2:
            return "leave vmGeneration out"
        with_header = replace(silent, header=True)
        if pool.header is not True and self._generation(with_header, profile, catalog) is Generation.V2:
            return _asks(pool)
        wanted = pool.properties.get("vmSize")
        size = catalog.size(str(wanted.values[0] if isinstance(wanted, Unknown) and wanted.values else wanted))
        choices = _choices(pool, catalog)
        if size is None or prod(map(len, choices.values())) > _MAX_CASES_TO_SUGGEST:
            return ""
        if not self._may_try(pool, profile, choices):
            return ""
        fitting = (
            each.name
            for each in self._nearest(size, catalog)
            if self._generation(_of_size(pool, each.name), profile, catalog) is Generation.V2
        )
        names = list(islice(fitting, MAX_SUGGESTIONS))
        return f"for Generation 2 choose a size that offers it, for example {', '.join(names)}" if names else ""

    def _generation(self, pool: FoundPool, profile: Profile, catalog: LocationCatalog) -> Generation | None:
        """The generation where it is certain and nothing fails."""
        cases = self._cases(pool, profile, catalog, _choices(pool, catalog))
        pools = [case.pool for case in cases if case.pool is not None]
        if not pools or any(decided.late_failure for decided in pools):
            return None
        found = {decided.generation for decided in pools}
        return next(iter(found)) if len(found) == 1 else None

    def _may_try(self, pool: FoundPool, profile: Profile, choices: Mapping[str, tuple[Any, ...]]) -> bool:
        """Whether the cases were decided before, or the pool's file has enough left for them."""
        if _signature(_bare(pool), profile) in self._cases_of:
            return True
        return self._tried[pool.place.file] + prod(map(len, choices.values())) <= MAX_CASES_OF_FILE

    def _cases(
        self, pool: FoundPool, profile: Profile, catalog: LocationCatalog, choices: Mapping[str, tuple[Any, ...]]
    ) -> list[_Case]:
        key = _signature(pool, profile)
        if key not in self._cases_of:
            quiet = self._without_suggestions(catalog)
            self._cases_of[key] = [self._case(pool, profile, quiet, values) for values in _combinations(choices)]
            self._tried[pool.place.file] += len(self._cases_of[key])
        return self._cases_of[key]

    def _in_most(
        self, pool: FoundPool, profile: Profile, catalog: LocationCatalog, cases: Sequence[_Case]
    ) -> Iterator[_Problem]:
        """What refuses every case, else what refuses most of them; in the words of the last case, the newest version's.

        Only these words name other sizes: looking for them takes much longer than refusing.
        """
        latest = {problem.kind: case for case in cases for problem in case.problems}
        often = Counter(kind for case in cases for kind in {problem.kind for problem in case.problems})
        most = max(often.values())
        for kind, case in latest.items():
            if often[kind] == most:
                told = self._case(_bare(pool), profile, catalog, case.values).problems
                yield next(problem for problem in told if problem.kind == kind)

    def _case(
        self,
        pool: FoundPool,
        profile: Profile,
        catalog: LocationCatalog,
        values: Mapping[str, Any],
    ) -> _Case:
        properties = known_part(pool.properties)
        for path, value in values.items():
            if path in _CHOICES or path == "vmSize":
                put(properties, path, value)
        header = values.get("header", pool.header if isinstance(pool.header, bool) else None)
        version = values.get("version", pool.cluster.version)
        if "version" in values:
            properties.pop("orchestratorVersion", None)
        wanted = properties.get("orchestratorVersion")
        if version is None or isinstance(version, Unknown):
            version = wanted
        name = _name_that_counts(pool)
        key = json.dumps(
            [profile.value, catalog.location, bool(catalog.usable_sizes), name, properties, header, version],
            sort_keys=True,
            default=str,
        )
        if key not in self._known:
            self._known[key] = _settled(name, properties, header, version, catalog, profile)
        settled, problems = self._known[key]
        return _Case(values, settled, problems)

    def _ends(self, pool: FoundPool) -> Iterator[Finding]:
        """When the sizes of the node pool are retired, and its type."""
        yield from self._ends_of_type(pool)
        catalog = self._at(pool.cluster.location)
        for name in _sizes_of(pool):
            size = catalog.size(name)
            for end in self._retirements.of_size(size.name if size is not None else name, size):
                is_over = end.day <= self.today
                nearest = self._nearest(size, catalog)[:MAX_SUGGESTIONS] if size is not None else ()
                lasting = ", ".join(each.name for each in nearest)
                yield _finding(
                    pool,
                    replace(RETIRED if is_over else RETIRING, source=end.source),
                    Level.ERROR if is_over else Level.WARNING,
                    "vmSize",
                    f"{end.subject} {'was' if is_over else 'will be'} {end.effect} on {end.day.isoformat()}",
                    "choose a size that lasts" + (f", for example {lasting}" if lasting else ""),
                )

    def _ends_of_type(self, pool: FoundPool) -> Iterator[Finding]:
        written = str(pool.properties.get("type")).lower()
        pool_type = next((each for each in PoolType if each.value.lower() == written), None)
        ends = self._retirements.of_pool_type(pool_type) if pool_type is not None else ()
        if not ends:
            return
        is_over = min(end.day for end in ends) <= self.today
        told = ", ".join(
            f"{end.effect} {'since' if end.day <= self.today else 'from'} {end.day.isoformat()}" for end in ends
        )
        remedy = _MIGRATE if pool.action is Action.KEEP else "use type VirtualMachineScaleSets"
        yield _finding(
            pool,
            replace(TYPE_RETIRED if is_over else TYPE_RETIRING, source=ends[0].source),
            Level.ERROR if is_over else Level.WARNING,
            "type",
            f"{ends[0].subject}: {told}",
            remedy,
        )

    def _differences(
        self, pool: FoundPool, mine: Outcome, other: Outcome, findings: Sequence[Finding]
    ) -> list[Finding]:
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
            _finding(
                pool,
                PROFILES_DIFFER,
                level,
                "vmSize",
                f"by profile {other.profile.value} the outcome is another: {says}",
                failing[0].remedy if failing else f"see what it leads to: --profile {other.profile.value}",
            )
        ]


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
        return f"the size is {_expressed(size)}"
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


def _choices(pool: FoundPool, catalog: LocationCatalog) -> dict[str, tuple[Any, ...]]:
    """What is unknown and decides, with the values it can have."""
    choices: dict[str, tuple[Any, ...]] = {}
    is_update = pool.action is Action.UPDATE
    size = pool.properties.get("vmSize")
    if isinstance(size, Unknown) and size.values:
        choices["vmSize"] = size.values
    for path, values in _CHOICES.items():
        value = value_at(pool.properties, path)
        untold = value is ABSENT and (
            (is_update and path in _KEPT_BY_UPDATE) or (pool.open_ended is not None and path != "vmGeneration")
        )
        if isinstance(value, Unknown):
            choices[path] = value.values or values
        elif untold:
            # A node pool that exists has one of them.
            choices[path] = tuple(each for each in values if each is not ABSENT) if is_update else values
    if "osType" in choices and isinstance(pool.properties.get("osSKU"), str):
        of_sku = _os_type_of(pool.properties["osSKU"])
        choices["osType"] = (of_sku,) if of_sku is not None else choices["osType"]
    is_untold = pool.header is None and (pool.open_ended is not None or pool.action is Action.KEEP)
    if isinstance(pool.header, Unknown) or is_untold:
        choices["header"] = _HEADER_CHOICES
    wanted = pool.properties.get("orchestratorVersion")
    of_cluster = pool.cluster.version
    versions = tuple(str(release.newest_patch) for release in catalog.kubernetes.supported)
    text = wanted or of_cluster
    if isinstance(text, Unknown):
        standing_for = [taken_for(catalog.kubernetes, str(each)) for each in text.values or ()]
        choices["version"] = tuple(str(each) for each in standing_for if each is not None) or versions
    elif isinstance(text, str) and catalog.kubernetes.find(text) is None:
        standing = taken_for(catalog.kubernetes, text)
        choices["version"] = (str(standing),) if standing is not None else versions
    return choices


def _combinations(choices: Mapping[str, tuple[Any, ...]]) -> Iterator[dict[str, Any]]:
    """Every combination of the values, without those whose OS SKU is of another OS."""
    for chosen in product(*choices.values()):
        values = dict(zip(choices, chosen, strict=True))
        of_sku = _os_type_of(values["osSKU"]) if isinstance(values.get("osSKU"), str) else None
        if of_sku in (None, values.get("osType", of_sku)):
            yield values


def _settled(
    name: str,
    properties: Json,
    header: bool | None,
    version: str | None,
    catalog: LocationCatalog,
    profile: Profile,
) -> tuple[NodePool | None, tuple[_Problem, ...]]:
    """What the PUT of a new node pool leads to."""
    kubernetes = catalog.kubernetes
    found = (taken_for(kubernetes, version) if version else None) or kubernetes.newest_patch(kubernetes.default)
    cluster = Cluster(
        id=_CLUSTER_ID,
        location=catalog.location,
        sent={},
        wanted_version=str(found),
        version=str(found),
        principal_id="",
        has_windows_profile=True,
        etag="",
        state=ProvisioningState.SUCCEEDED,
    )
    surroundings = Surroundings(
        profile=profile,
        engine="simulated",
        catalog=catalog,
        cluster=cluster,
        subscription=_NO_SUBSCRIPTION,
        api_version="",
    )
    try:
        request = decode_node_pool({"properties": properties}, profile)
        return settle(NodePoolId(_CLUSTER_ID, name), request, None, surroundings, header=header, etag=""), ()
    except errors.InvalidRequest as error:
        return None, tuple(_problem(each) for each in (error, *error.details))


def _problem(error: errors.PoolwrightError) -> _Problem:
    rule = error.information.get("rule") or {
        "id": error.code,
        "text": f"{type(error).cause[:1].upper()}{type(error).cause[1:]}.",
        "source": "docs/compatibility.md",
    }
    path = (error.target or "").removeprefix("properties.")
    remedy = error.remedy or ""
    suggested = error.information.get("alternatives")
    if suggested and "nearest" not in remedy:
        remedy = f"{remedy}; for example {', '.join(suggested)}"
    if error.code == errors.VMSizeNotSupported.code:
        remedy = f"{remedy}; --catalog takes the list of your subscription"
    # Azure's message names the subscription, and a file has none; nor need it tell a location.
    message = error.message.replace(f" for subscription {_NO_SUBSCRIPTION}", "")
    message = message.replace(f"in location '{ANYWHERE}'", "in any location")
    remedy = remedy.replace(f" --location {ANYWHERE}", "")
    return _Problem(Kind(rule["id"], rule["text"], rule["source"]), error.code, path, message, remedy)


def _assumptions(pool: NodePool) -> tuple[str, ...]:
    return tuple(warning.message for warning in pool.warnings if warning.code == _ASSUMPTION)


def _hangs_on(pool: FoundPool, cases: Sequence[_Case], choices: Mapping[str, tuple[Any, ...]]) -> tuple[str, str]:
    """The first property that alone makes a difference, and what to call it; else all that is unknown."""
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


def _called(pool: FoundPool, path: str) -> str:
    value = _unknown_at(pool, path)
    name = {"header": "the header UseWindowsGen2VM", "version": "the Kubernetes version"}.get(path, path)
    return f"{name}, which is {_expressed(value)}" if value is not None else f"{name}, which is not told"


def _unknown_at(pool: FoundPool, path: str) -> Unknown | None:
    """What is unknown there, where something is written."""
    if path == "header":
        value: Any = pool.header
    elif path == "version":
        value = pool.properties.get("orchestratorVersion") or pool.cluster.version
    else:
        value = value_at(pool.properties, path)
    return value if isinstance(value, Unknown) else None


def _expressed(unknown: Unknown) -> str:
    return f"{unknown}, which hangs on {unknown.root}" if unknown.cause is not None else str(unknown)


def _unknown(pool: FoundPool, profile: Profile, why: str, path: str) -> tuple[Outcome, list[Finding]]:
    unknown = _unknown_at(pool, path)
    tells = pool.tool.gives if unknown is not None and unknown.root.is_parameter else pool.tool.tells
    finding = _finding(
        pool,
        UNKNOWN,
        Level.NOTE,
        path,
        f"the generation is unknown: {why}",
        _LOOK if pool.action is Action.KEEP else tells,
    )
    return Outcome(profile, None, (), (), why, is_refused=False), [finding]


def _refused(pool: FoundPool, problem: _Problem) -> Finding:
    code = f"{problem.code}: " if problem.code != problem.kind.id else ""
    message, remedy = _named(f"{code}{problem.message}", pool), _named(problem.remedy, pool)
    return _finding(pool, problem.kind, Level.ERROR, problem.path, message, remedy)


def _named(text: str, pool: FoundPool) -> str:
    """The text about the case of a node pool, with the name that the file gives this one."""
    return text.replace(_NAME, str(pool.name))


def _finding(pool: FoundPool, kind: Kind, level: Level, path: str, message: str, remedy: str) -> Finding:
    return Finding(kind, level, pool.place_of(path), message, remedy, pool)


def _sizes_of(pool: FoundPool) -> list[str]:
    """The sizes that are known."""
    profiles = value_at(pool.properties, "virtualMachinesProfile.scale.manual")
    manual = [part.get("size") for part in profiles if isinstance(part, dict)] if isinstance(profiles, list) else []
    named = [name for name in (pool.properties.get("vmSize"), *manual) if isinstance(name, str) and name]
    return list(dict.fromkeys(named))


def _signature(pool: FoundPool, profile: Profile) -> str:
    """All that a decision depends on, as a text."""
    name = _name_that_counts(pool)
    return repr((profile, name, pool.action, pool.properties, pool.header, pool.cluster, pool.open_ended))


def _name_that_counts(pool: FoundPool) -> str:
    """The node pool's name where a rule may refuse it; else, also of an unknown one, the same for all."""
    if isinstance(pool.name, str) and any(refuse_name(pool.name, os_type) is not None for os_type in OsType):
        return pool.name
    return _NAME


def _asks(pool: FoundPool) -> str:
    """How the node pool's tool asks for Generation 2 of Windows."""
    return pool.tool.header or pool.tool.instead


def _is_windows(pool: FoundPool) -> bool:
    return pool.properties.get("osType") == "Windows" or _os_type_of(str(pool.properties.get("osSKU"))) == "Windows"


def _os_type_of(os_sku: str) -> str | None:
    try:
        return OsSku.parse(os_sku).os_type.value
    except ValueError:
        return None


def _of_size(pool: FoundPool, size: str) -> FoundPool:
    return replace(pool, properties={**pool.properties, "vmSize": size})


def _bare(pool: FoundPool) -> FoundPool:
    """The node pool with the properties alone that generation and image hang on: no counts, labels and the like."""
    names = {"vmSize", "orchestratorVersion", "virtualMachinesProfile", *(path.partition(".")[0] for path in _CHOICES)}
    return replace(pool, properties={name: part for name, part in pool.properties.items() if name in names})
