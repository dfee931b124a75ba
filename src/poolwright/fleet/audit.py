"""What a fleet is: the generation of every node pool now, how that is known, what ends when, and what blocks a move.

Invariant: nothing is guessed. A generation comes with its confidence and the rule that told it; what no rule tells is
`None`, and an end that nobody published is no end.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum
from typing import Final

from poolwright.catalog.catalog import LocationCatalog
from poolwright.catalog.retirements import Retirement
from poolwright.domain.evidence import NOTHING_TELLS, Confidence, Evidence, EvidenceRow, only_generation
from poolwright.domain.generation import Generation, generations_text
from poolwright.domain.image_name import ImageNames
from poolwright.domain.image_resolution import Resolution
from poolwright.domain.kubernetes_version import KubernetesVersion
from poolwright.domain.node_pool_kind import PoolType, PowerState
from poolwright.domain.os_sku import OsSku, OsType
from poolwright.domain.profile import Profile
from poolwright.domain.rules import Condition, Rule, when
from poolwright.domain.sources import OS_PAGE
from poolwright.domain.vm_size import VmSize
from poolwright.fleet import commands
from poolwright.fleet.document import Document, Finding, Place
from poolwright.fleet.targets import Targets, Unfit
from poolwright.fleet.values import Fleet, FleetCluster, FleetPool, Origin

SCHEMA_VERSION: Final = 1
# Ends that come within so many days are soon.
SOON_DAYS: Final = 365


class Ability(StrEnum):
    """Whether a size can do something."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


class Move(StrEnum):
    """How far a node pool is from Generation 2."""

    DONE = "done"  # it is there
    SAME_SIZE = "same-size"  # on the size it has
    OTHER_SIZE = "other-size"  # on another size, because its own does not offer it or ends
    WAITS = "waits"  # it can move once something else is done
    BLOCKED = "blocked"  # something has to be decided first
    UNKNOWN = "unknown"  # its generation is not known


class Urgency(StrEnum):
    """By the earliest end of the size, the OS release or the type of the node pool that is known."""

    OVERDUE = "overdue"
    SOON = "soon"
    LATER = "later"
    NONE = "none known"


@dataclass(frozen=True, slots=True, kw_only=True)
class End(Document):
    """What ends, when, what that means, and who says so."""

    subject: str
    day: date
    effect: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditedPool(Document):
    """A node pool and what was found out about it. `None` is what nobody knows."""

    id: str
    subscription: str
    resource_group: str
    cluster: str
    pool: str
    location: str | None
    mode: str | None
    os_type: str | None
    os_sku: str | None
    kubernetes_version: str | None
    pool_type: str | None
    priority: str | None
    power_state: str | None
    provisioning_state: str | None
    sizes: tuple[str, ...]
    count: int | None
    node_image_version: str | None
    os_release: str | None
    generation: str | None
    confidence: Confidence
    because: Finding
    gen2_size: Ability
    move: Move
    findings: tuple[Finding, ...]
    ends: tuple[End, ...]
    urgency: Urgency
    place: Place


@dataclass(frozen=True, slots=True, kw_only=True)
class InputProblem(Document):
    """A part of the input that could not be taken."""

    kind: str
    place: Place
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit(Document):
    """A fleet, node pool by node pool, and the input that could not be read."""

    schema_version: int
    as_of: date
    profile: str
    catalogue: str
    clusters: int
    pools: tuple[AuditedPool, ...]
    problems: tuple[InputProblem, ...]

    @property
    def gen1(self) -> tuple[AuditedPool, ...]:
        """The node pools of Generation 1, certain and likely ones."""
        return tuple(pool for pool in self.pools if pool.generation == Generation.V1.value)


def audit(fleet: Fleet, targets: Targets) -> Audit:
    """Return what the fleet is, judged by what `targets` knows."""
    knowledge = targets.knowledge
    auditor = _Auditor(targets)
    return Audit(
        schema_version=SCHEMA_VERSION,
        as_of=knowledge.as_of,
        profile=knowledge.profile.value,
        catalogue=knowledge.called,
        clusters=len(fleet.clusters),
        pools=tuple(auditor.audited(pool, cluster) for cluster in fleet.clusters for pool in cluster.pools),
        problems=tuple(
            InputProblem(kind=problem.kind.value, place=place_of(problem.origin), message=problem.what)
            for problem in fleet.problems
        ),
    )


def place_of(origin: Origin) -> Place:
    return Place(file=origin.file, line=origin.line, path=origin.path)


# --- what blocks a move -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class MoveFacts:
    """A node pool as the table of obstacles sees it."""

    generation: Generation | None
    profile: Profile
    version: KubernetesVersion
    pool_type: PoolType | None
    os_sku: OsSku
    cluster_stopped: bool
    pool_stopped: bool
    settled: bool
    size_gone: bool
    cannot_start: bool
    sizes_told: bool
    counts_told: bool
    sizes_known: bool
    has_target: bool
    os_sku_refused: bool
    keeps_sizes: bool
    image_contradicts_size: bool
    located: bool
    mode_told: bool


class Effect(StrEnum):
    """What a row does to the move."""

    BLOCKS = "blocks"
    WAITS = "waits"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class ObstacleRow:
    """Something between a node pool and Generation 2.

    Message and remedy are templates; those of a remedy stand for options of az.
    """

    rule: Rule
    condition: Condition
    effect: Effect
    message: str
    remedy: str


_FAILED: Final = "Failed"
_TO_MOVE: Final = (Generation.V1, None)
OBSTACLES: Final = (
    ObstacleRow(
        Rule(
            "availability-set",
            "An availability set keeps its machines' kind, and its cluster takes no further pool.",
            "availability-sets-on-aks.md (MicrosoftDocs/azure-aks-docs)",
        ),
        when(generation=_TO_MOVE, pool_type=PoolType.AVAILABILITY_SET),
        Effect.BLOCKS,
        "The machines of an availability set can neither be replaced by another kind nor moved to another node pool.",
        "migrate the cluster first: az aks update {group} {cluster} --migrate-vmas-to-vms; then export it anew",
    ),
    ObstacleRow(
        Rule("windows-2019", "Windows2019 has only a Generation 1 image.", "generation-2-vms.md (rule 18)"),
        when(generation=_TO_MOVE, os_sku=OsSku.WINDOWS_2019),
        Effect.BLOCKS,
        "Windows Server 2019 has no Generation 2 image.",
        "decide on another OS SKU for the workload: osSku Windows2022 for this node pool in the overrides of the plan",
    ),
    ObstacleRow(
        Rule("size-not-told", "Without a size nothing can be decided.", "Poolwright"),
        when(generation=_TO_MOVE, sizes_told=False),
        Effect.BLOCKS,
        "The export does not say which size the machines have.",
        "export the node pool anew: az aks nodepool list {group} {of_cluster} -o json",
    ),
    ObstacleRow(
        Rule("count-not-told", "A new node pool needs room for all pods of the old one.", "Poolwright"),
        when(generation=_TO_MOVE, counts_told=False),
        Effect.BLOCKS,
        "The export does not say how many machines it has.",
        "export the node pool anew: az aks nodepool list {group} {of_cluster} -o json",
    ),
    ObstacleRow(
        Rule("size-unknown", "A size without facts can be compared with none.", "Poolwright"),
        when(generation=_TO_MOVE, sizes_told=True, sizes_known=False),
        Effect.BLOCKS,
        "The catalogue knows nothing of {sizes}.",
        "add the sizes of your subscription to the input: az vm list-skus {location} --all -o json > skus.json"
        "{fill_in}",
    ),
    ObstacleRow(
        Rule(
            "os-sku-refused",
            "The OS SKU gets no new machines of Generation 2 on any size: AKS refuses it, or it with its FIPS setting, "
            "or its node images are gone.",
            f"{OS_PAGE} (rules 19, 43, 47), and what decides over a PUT",
        ),
        when(
            generation=_TO_MOVE,
            sizes_known=True,
            has_target=False,
            os_sku_refused=True,
            pool_type=(PoolType.SCALE_SETS, PoolType.VIRTUAL_MACHINES, None),
            os_sku=tuple(sku for sku in OsSku if sku is not OsSku.WINDOWS_2019),
        ),
        Effect.BLOCKS,
        "{os_sku_refused}",
        "name another OS SKU in the overrides of the plan: osSku {os_skus}",
    ),
    ObstacleRow(
        Rule("no-target", "A move needs a size of the same line that offers Generation 2 there.", "Poolwright"),
        when(
            generation=_TO_MOVE,
            sizes_known=True,
            has_target=False,
            os_sku_refused=False,
            pool_type=(PoolType.SCALE_SETS, PoolType.VIRTUAL_MACHINES, None),
            os_sku=tuple(sku for sku in OsSku if sku is not OsSku.WINDOWS_2019),
        ),
        Effect.BLOCKS,
        "No size of the line of {sizes} that can be had in {location} takes this node pool in Generation 2.",
        "name another size in the overrides of the plan",
    ),
    ObstacleRow(
        Rule("cluster-stopped", "A stopped cluster cannot be changed.", "start-stop-cluster.md"),
        when(generation=_TO_MOVE, cluster_stopped=True),
        Effect.WAITS,
        "The cluster is stopped.",
        "start it: az aks start {group} {cluster}",
    ),
    ObstacleRow(
        Rule("pool-stopped", "Machines of a stopped node pool cannot be drained.", "start-stop-nodepools.md"),
        when(generation=_TO_MOVE, cluster_stopped=False, pool_stopped=True),
        Effect.WAITS,
        "The node pool is stopped.",
        "start it: az aks nodepool start {group} {of_cluster} {pool}",
    ),
    ObstacleRow(
        Rule(
            "not-settled",
            "AKS refuses changes while an operation runs, and after one that failed it is to be repaired.",
            "OperationNotAllowed (domain section 5)",
        ),
        when(generation=_TO_MOVE, settled=False, size_gone=False, cannot_start=False),
        Effect.WAITS,
        "The provisioning state is {state}.",
        "wait for Succeeded, or repair it: az aks nodepool update {group} {of_cluster} {pool}",
    ),
    ObstacleRow(
        Rule(
            "size-gone",
            "Machines of a retired size are deallocated, and none is made any more.",
            "nc-series-retirement.md and its like (catalog/retirements.csv)",
        ),
        when(generation=_TO_MOVE, size_gone=True),
        Effect.BLOCKS,
        "It failed, and no repair can succeed: {gone}.",
        "add a node pool {of_size}for its workload, and delete this one: az aks nodepool delete {group} {of_cluster} "
        "{pool}",
    ),
    ObstacleRow(
        Rule(
            "cannot-start",
            "Machines of a generation that the size does not offer fail at every repair, and the generation stays.",
            "dapr/dapr#9994; resize-node-pool.md (rule 51, conflicts C2, C3)",
        ),
        when(generation=Generation.V1, profile=Profile.AZURE_2026, cannot_start=True),
        Effect.BLOCKS,
        "It failed, and every repair fails again: it is of Generation 1, which {sizes} does not offer, and stays so.",
        "where no machine of it runs, delete it and add it again{by_header}: "
        "az aks nodepool delete {group} {of_cluster} {pool}",
    ),
    ObstacleRow(
        Rule(
            "cannot-start-yet",
            "Machines of a generation that the size does not offer fail until the generation is changed in place.",
            "generation-2-vm.md (conflict C2)",
        ),
        when(generation=Generation.V1, profile=Profile.DOCUMENTED, cannot_start=True),
        Effect.WAITS,
        "It failed: it is of Generation 1, which {sizes} does not offer.",
        "repair it in Generation 2: az aks nodepool update {group} {of_cluster} {pool}{header}",
    ),
    ObstacleRow(
        Rule(
            "image-contradicts-size",
            "A machine resized behind AKS's back keeps the old size in its node pool.",
            "Azure/AKS#2028",
        ),
        when(image_contradicts_size=True, cannot_start=False),
        Effect.NOTE,
        "The node image and the size contradict each other: {sizes} offers {offered}.",
        "compare the machines with the node pool, and the catalogue with az vm list-skus",
    ),
    ObstacleRow(
        Rule("no-location", "Which sizes can be had depends on the location.", "Poolwright"),
        when(located=False),
        Effect.NOTE,
        "The location is not known, so every size counts as offered.",
        "add the cluster to the input: az aks show {group} {cluster} -o json",
    ),
    ObstacleRow(
        Rule("no-mode", "Exports of api-versions before 2019-11-01 have no mode.", "Azure/azure-rest-api-specs"),
        when(mode_told=False),
        Effect.NOTE,
        "The export does not say its mode; it counts as {mode}, and its replacement is made as that.",
        "export it with a current az",
    ),
)


class _Auditor:
    def __init__(self, targets: Targets) -> None:
        self._targets = targets
        self._knowledge = targets.knowledge
        self._images = ImageNames(self._knowledge.catalog.images)

    def audited(self, pool: FleetPool, cluster: FleetCluster) -> AuditedPool:
        here = self._knowledge.at(cluster.location)
        sizes = [here.size(name) for name in pool.sizes]
        known = [size for size in sizes if size is not None]
        resolution = self._resolution(pool, cluster, known)
        evidence = self._evidence(pool, known, resolution)
        row = evidence.deciding
        generation: Generation | None = getattr(evidence, row.evidence) if row is not None else None
        release = self._release(pool, resolution)
        ends = self._ends(pool, here, release)
        facts = self._facts(pool, cluster, sizes, generation)
        findings, effects = self._obstacles(pool, cluster, sizes, facts)
        return AuditedPool(
            id=str(pool.id),
            subscription=pool.id.cluster_id.group_id.subscription,
            resource_group=pool.id.cluster_id.group_id.group,
            cluster=pool.id.cluster_id.cluster,
            pool=pool.id.pool,
            location=cluster.location,
            mode=pool.mode.value if pool.mode else None,
            os_type=pool.os_type.value if pool.os_type else None,
            os_sku=pool.os_sku.value if pool.os_sku else None,
            kubernetes_version=str(pool.version) if pool.version else None,
            pool_type=pool.pool_type.value if pool.pool_type else None,
            priority=pool.priority.value if pool.priority else None,
            power_state=_power(pool, cluster),
            provisioning_state=pool.state,
            sizes=pool.sizes,
            count=pool.machines,
            node_image_version=pool.node_image,
            os_release=release,
            generation=generation.value if generation else None,
            confidence=row.confidence if row is not None else Confidence.UNKNOWN,
            because=_because(row, resolution),
            gen2_size=_ability(sizes),
            move=_move(facts, effects),
            findings=findings,
            ends=tuple(End(subject=end.subject, day=end.day, effect=end.effect, source=end.source) for end in ends),
            urgency=urgency(ends, self._knowledge.as_of),
            place=place_of(pool.origin),
        )

    def _resolution(self, pool: FleetPool, cluster: FleetCluster, known: list[VmSize]) -> Resolution | None:
        """What the rules give the node pool; None where they need a size or refuse it."""
        if not known:
            return None
        return self._targets.resolution(pool, cluster.location, known[0])

    def _evidence(self, pool: FleetPool, known: list[VmSize], resolution: Resolution | None) -> Evidence:
        return replace(
            self._images.evidence(pool.node_image or ""),
            stated=pool.stated,
            size=only_generation(known) if len(known) == len(pool.sizes) else None,
            rules=resolution.generation if resolution is not None else None,
        )

    def _release(self, pool: FleetPool, resolution: Resolution | None) -> str | None:
        """The OS release by the node image, and only where the export tells none by the rules."""
        if pool.node_image:
            return self._images.release(pool.node_image)
        return resolution.image.release if resolution is not None else None

    def _ends(self, pool: FleetPool, here: LocationCatalog, release: str | None) -> tuple[Retirement, ...]:
        of_sizes = [end for name in pool.sizes for end in self._targets.ends(here.location, name)]
        of_release = self._knowledge.retirements.of_release(release) if release is not None else ()
        of_type = self._knowledge.retirements.of_pool_type(pool.pool_type) if pool.pool_type is not None else ()
        return tuple(sorted((*of_sizes, *of_release, *of_type), key=lambda end: (end.day, end.subject)))

    def _obstacles(
        self, pool: FleetPool, cluster: FleetCluster, sizes: list[VmSize | None], facts: MoveFacts
    ) -> tuple[tuple[Finding, ...], frozenset[Effect]]:
        offered = frozenset[Generation]().union(*(size.generations for size in sizes if size is not None))
        words: Mapping[str, str] = {
            "group": pool.id.cluster_id.group_id.group,
            "cluster": pool.id.cluster_id.cluster,
            "pool": pool.id.pool,
            "sizes": ", ".join(pool.sizes),
            "location": cluster.location or "any location",
            "state": pool.state if pool.state not in (None, "Succeeded") else f"{cluster.state} (of the cluster)",
            "offered": generations_text(offered),
            "mode": pool.role.value,
            "gone": ", ".join(f"{end.subject} is retired since {end.day}" for end in self._gone(pool, cluster)),
            "os_sku_refused": refused.why if (refused := self._os_sku_refused(pool, cluster)) is not None else "",
        }
        rows = [row for row in OBSTACLES if row.condition.holds(facts)]
        return (
            tuple(
                Finding(
                    id=row.rule.id,
                    message=row.message.format(**words),
                    remedy=self._typed(row.remedy, pool, cluster),
                    source=row.rule.source,
                )
                for row in rows
            ),
            frozenset(row.effect for row in rows),
        )

    def _typed(self, remedy: str, pool: FleetPool, cluster: FleetCluster) -> str:
        """The remedy with its command as it can be typed, or with the reason why it cannot."""
        if "{" not in remedy:
            return remedy
        identity = pool.id.cluster_id
        header = f" --aks-custom-headers {commands.WINDOWS_GEN2_HEADER}=true" if pool.os_type is OsType.WINDOWS else ""
        words = {
            "os_skus": self._os_skus_instead(pool, cluster) if "{os_skus}" in remedy else "",
            "of_size": self._of_size(pool, cluster) if "{of_size}" in remedy else "",
            "by_header": header and f" with{header}",
        }
        try:
            return remedy.format(
                **words,
                group=commands.option("-g", identity.group_id.group),
                cluster=commands.option("-n", identity.cluster),
                of_cluster=commands.option("--cluster-name", identity.cluster),
                pool=commands.option("-n", pool.id.pool),
                location=commands.option("-l", cluster.location or commands.LOCATION),
                header=header,
                fill_in="" if cluster.location else f", with its location in the place of {commands.LOCATION}",
            )
        except commands.Unsayable as why:
            return f"{remedy.partition(': az ')[0].format(**words)} (not with az: {why})"

    def _gone(self, pool: FleetPool, cluster: FleetCluster) -> Iterator[Retirement]:
        """The ends of its sizes that are over."""
        for name in pool.sizes:
            yield from (end for end in self._targets.ends(cluster.location, name) if end.day <= self._knowledge.as_of)

    def _os_sku_refused(self, pool: FleetPool, cluster: FleetCluster) -> Unfit | None:
        """What stands in the way of its OS SKU on every size; None where nothing does."""
        refused = (self._targets.os_sku_refused(pool, cluster.location, name) for name in pool.sizes)
        return next((each for each in refused if each is not None), None)

    def _os_skus_instead(self, pool: FleetPool, cluster: FleetCluster) -> str:
        names = [sku.value for sku in self._targets.os_skus_instead(pool, cluster.location)]
        listed = ", ".join(names[:-1]) + " or " if names[1:] else ""
        return listed + names[-1] if names else "and a size that takes it; none of the line of its own does"

    def _of_size(self, pool: FleetPool, cluster: FleetCluster) -> str:
        """The nearest size, in words that stand behind "a node pool"."""
        ranked = self._targets.ranked(pool, cluster.location, pool.sizes[0])
        return f"of {ranked[0].size.name} or another size " if ranked else "of another size "

    def _facts(
        self, pool: FleetPool, cluster: FleetCluster, sizes: list[VmSize | None], generation: Generation | None
    ) -> MoveFacts:
        here = self._knowledge.at(cluster.location)
        known = bool(sizes) and all(size is not None for size in sizes)
        to_move = generation is not Generation.V2 and known
        ranked = [self._targets.ranked(pool, cluster.location, name) for name in pool.sizes] if to_move else []
        version = pool.version or here.kubernetes.newest_patch(here.kubernetes.default)
        assert version is not None
        contradicts = (
            known
            and generation is not None
            and not all(size.supports(generation) for size in sizes if size is not None)
        )
        return MoveFacts(
            generation=generation,
            profile=self._knowledge.profile,
            version=version,
            pool_type=pool.pool_type,
            os_sku=self._targets.os_sku(pool, cluster.location),
            cluster_stopped=cluster.power is PowerState.STOPPED,
            pool_stopped=pool.power is PowerState.STOPPED,
            settled=all(state in (None, "Succeeded") for state in (pool.state, cluster.state)),
            size_gone=pool.state == _FAILED and any(self._gone(pool, cluster)),
            cannot_start=contradicts and generation is Generation.V1 and pool.state == _FAILED,
            sizes_told=bool(sizes),
            counts_told=pool.counts_told is not False,
            sizes_known=known,
            has_target=all(ranked),
            os_sku_refused=not all(ranked) and self._os_sku_refused(pool, cluster) is not None,
            keeps_sizes=all(
                targets and targets[0].size.name.lower() == name.lower()
                for name, targets in zip(pool.sizes, ranked, strict=False)
            ),
            image_contradicts_size=contradicts,
            located=cluster.location is not None,
            mode_told=pool.mode is not None,
        )


def urgency(ends: tuple[Retirement, ...], as_of: date) -> Urgency:
    """Return how soon the first of the ends comes."""
    if not ends:
        return Urgency.NONE
    days = (min(end.day for end in ends) - as_of).days
    return Urgency.OVERDUE if days <= 0 else Urgency.SOON if days <= SOON_DAYS else Urgency.LATER


def _ability(sizes: list[VmSize | None]) -> Ability:
    if any(size is not None and not size.supports(Generation.V2) for size in sizes):
        return Ability.NO
    return Ability.YES if sizes and all(sizes) else Ability.UNKNOWN


def _move(facts: MoveFacts, effects: frozenset[Effect]) -> Move:
    if facts.generation is Generation.V2:
        return Move.DONE
    if Effect.BLOCKS in effects:
        return Move.BLOCKED
    if facts.generation is None:
        return Move.UNKNOWN
    if Effect.WAITS in effects:
        return Move.WAITS
    return Move.SAME_SIZE if facts.keeps_sizes else Move.OTHER_SIZE


def _because(row: EvidenceRow | None, resolution: Resolution | None) -> Finding:
    rule = row.rule if row is not None else NOTHING_TELLS
    if row is not None and row.evidence == "rules" and resolution is not None:
        rule = resolution.rule
    return Finding(id=rule.id, message=rule.text, remedy="", source=rule.source)


def _power(pool: FleetPool, cluster: FleetCluster) -> str | None:
    if PowerState.STOPPED in (pool.power, cluster.power):
        return PowerState.STOPPED.value
    power = pool.power or cluster.power
    return power.value if power else None
