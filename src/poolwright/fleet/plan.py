"""How a fleet gets to Generation 2: per node pool the size, the way, the steps, the checks and the way back.

    new pool:  confirm -> add-pool -> [hold-autoscaler] -> cordon -> drain -> delete-pool
    in place:  confirm -> change

A plan is a pure function of the fleet, what it is judged by, and the overrides: the same input gives the same plan,
byte for byte. It is carried out cluster by cluster in any order or side by side; within a cluster one move after the
other.

Invariant: a plan moves every node pool of Generation 1 that nothing stands in the way of, and names the others with the
reason; system node pools come after all others of their cluster, and one is taken away only after its replacement is
ready.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final, Literal

from poolwright.catalog.retirements import Retirement
from poolwright.domain import pool_requirements
from poolwright.domain.change import REFUSED_CHANGES, ChangeFacts
from poolwright.domain.generation import Generation
from poolwright.domain.kubernetes_version import KubernetesVersion
from poolwright.domain.node_pool_kind import Mode, PoolType, Priority
from poolwright.domain.os_sku import OsSku, OsType
from poolwright.domain.pool_limits import MAX_POOLS
from poolwright.domain.quota import TOTAL
from poolwright.domain.resource_id import NodePoolId
from poolwright.domain.rules import Rule, first_match
from poolwright.domain.size_name import disk_controllers
from poolwright.domain.upgrade_settings import UpgradeSettings
from poolwright.domain.vm_size import VmSize
from poolwright.fleet import commands
from poolwright.fleet.audit import OBSTACLES, Audit, AuditedPool, Effect, End, InputProblem, Move, Urgency
from poolwright.fleet.commands import az_show
from poolwright.fleet.document import Document, Finding
from poolwright.fleet.overrides import Decision, Overrides
from poolwright.fleet.remarks import machines_of, nodes_of, remarks_on
from poolwright.fleet.targets import Target, Targets, Unfit
from poolwright.fleet.values import Fleet, FleetCluster, FleetPool

SCHEMA_VERSION: Final = 1
# What Azure counts spot machines against, in the place of a family.
SPOT_FAMILY: Final = "lowPriorityCores"
# What stands before the size in the place of a family that no catalogue tells.
_UNKNOWN_FAMILY: Final = "unknown family of "
# OS SKUs that get Generation 2 only by the header, where the size offers both (rules 16 and 19).
_NEEDS_HEADER: Final = frozenset({OsSku.WINDOWS_2022, OsSku.WINDOWS_ANNUAL})


class Way(StrEnum):
    """How a node pool gets to Generation 2."""

    IN_PLACE = "in-place"
    NEW_POOL = "new-pool"


class StepName(StrEnum):
    """What a step does."""

    CONFIRM = "confirm"
    CHANGE = "change"
    ADD_POOL = "add-pool"
    HOLD_AUTOSCALER = "hold-autoscaler"
    CORDON = "cordon"
    DRAIN = "drain"
    DELETE_POOL = "delete-pool"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request(Document):
    """The request that carries a step out, for programs. `on` is what its body starts from: a GET, or nothing.

    `properties` are those to set, by ARM's names; null takes one away.
    """

    method: Literal["PUT", "DELETE"]
    pool: str
    on: Literal["current", "nothing"] = "nothing"
    properties: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Check(Document):
    """A command, and what its answer must be."""

    run: str
    expect: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Step(Document):
    """One step. `undo` is what takes it back; `needs_kubernetes` that kubectl must reach the cluster.

    `request` and `undo_request` are the same for programs.
    """

    name: StepName
    what: str
    az: tuple[str, ...] = ()
    kubectl: tuple[str, ...] = ()
    sdk: str | None = None
    request: Request | None = None
    checks: tuple[Check, ...] = ()
    undo: tuple[str, ...] = ()
    undo_request: Request | None = None

    @property
    def needs_kubernetes(self) -> bool:
        return bool(self.kubectl)


@dataclass(frozen=True, slots=True, kw_only=True)
class CapabilityDifference(Document):
    """A capability that differs between the size there is and the other one."""

    capability: str
    before: str
    after: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeChoice(Document):
    """A size a node pool could have, with every known difference to the present one."""

    size: str
    differences: tuple[CapabilityDifference, ...]
    unknown: tuple[str, ...]
    assumed: tuple[str, ...]
    ends: tuple[End, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeMove(Document):
    """The machines of one size: which they get, and what else could have been chosen, best first."""

    size: str
    count: int
    to: SizeChoice
    alternatives: tuple[SizeChoice, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaNeed(Document):
    """vCPUs of a quota family: needed beyond today's while the move runs, and after it (less than 0: given back).

    Of a size whose family is not known the words say so in its place.
    """

    family: str
    during: int
    after: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolMove(Document):
    """One node pool's way to Generation 2. `order` counts within the cluster, from 1."""

    id: str
    pool: str
    mode: str | None
    order: int
    etag: str | None
    confidence: str
    urgency: Urgency
    os_sku: str
    image_definition: str
    sizes: tuple[SizeMove, ...]
    way: Way
    because: Finding
    replacement: str | None
    extra_machines: int
    quota: tuple[QuotaNeed, ...]
    remarks: tuple[str, ...]
    steps: tuple[Step, ...]
    way_back: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterPlan(Document):
    """The moves of one cluster, one after the other."""

    id: str
    subscription: str
    resource_group: str
    cluster: str
    location: str | None
    moves: tuple[PoolMove, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stay(Document):
    """A node pool that the plan leaves as it is, and why."""

    id: str
    resource_group: str
    cluster: str
    pool: str
    generation: str | None
    move: Move
    because: tuple[Finding, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolFound(Document):
    """A node pool as it was when this was planned: what a PUT of it would carry, and what only a GET shows."""

    name: str
    generation: str | None
    node_image: str | None
    etag: str | None
    properties: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterFound(Document):
    """A cluster as it was, with all of its node pools."""

    id: str
    location: str | None
    version: str | None
    power: str | None
    pools: tuple[PoolFound, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaRow(Document):
    """vCPUs needed beyond today's of one family in one place: one cluster at a time, all at once, and for good."""

    subscription: str
    location: str | None
    family: str
    one_at_a_time: int
    all_at_once: int
    for_good: int
    check: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan(Document):
    """The plan for a fleet. `found` is the fleet it was made for."""

    schema_version: int
    as_of: date
    profile: str
    catalogue: str
    clusters: tuple[ClusterPlan, ...]
    stays: tuple[Stay, ...]
    quota: tuple[QuotaRow, ...]
    problems: tuple[InputProblem, ...]
    found: tuple[ClusterFound, ...]

    @property
    def moves(self) -> tuple[PoolMove, ...]:
        return tuple(move for cluster in self.clusters for move in cluster.moves)


class NoSuchMove(ValueError):
    """An override asks for what cannot be done; says what and why."""


def plan(fleet: Fleet, audit: Audit, targets: Targets, overrides: Overrides | None = None) -> Plan:
    """Return how the fleet gets to Generation 2. Raises `NoSuchMove` and `WrongOverrides`."""
    overrides = overrides or Overrides()
    audited = {pool.id: pool for pool in audit.pools}
    clusters, stays = [], []
    # Node pools that need the same share their choices.
    choices = lru_cache(maxsize=None)(_choice)
    for cluster in fleet.clusters:
        planner = _ClusterPlanner(cluster, targets, choices)
        moves = []
        for pool in cluster.pools:
            found = audited[str(pool.id)]
            drafted = planner.drafted(pool, found, overrides.of(pool, is_moved=found.move is Move.DONE))
            if isinstance(drafted, Stay):
                stays.append(drafted)
            else:
                moves.append(drafted)
        if moves:
            clusters.append(planner.planned(moves))
    overrides.unmet()
    return Plan(
        schema_version=SCHEMA_VERSION,
        as_of=audit.as_of,
        profile=audit.profile,
        catalogue=audit.catalogue,
        clusters=tuple(clusters),
        stays=tuple(stays),
        quota=tuple(_quota(clusters)),
        problems=audit.problems,
        found=tuple(_found(cluster, audited) for cluster in fleet.clusters),
    )


def _found(cluster: FleetCluster, audited: Mapping[str, AuditedPool]) -> ClusterFound:
    return ClusterFound(
        id=str(cluster.id),
        location=cluster.location,
        version=str(cluster.version) if cluster.version else None,
        power=cluster.power.value if cluster.power else None,
        pools=tuple(
            PoolFound(
                name=pool.id.pool,
                generation=audited[str(pool.id)].generation,
                node_image=pool.node_image,
                etag=pool.etag,
                properties=_as_it_was(pool),
            )
            for pool in cluster.pools
        ),
    )


def _as_it_was(pool: FleetPool) -> dict[str, Any]:
    """What a PUT of it would carry. Its mode is the one that it is moved as, so that all that makes it again has it."""
    version = {"orchestratorVersion": str(pool.version)} if pool.version is not None else {}
    return dict(sorted({**pool.properties, **version, "mode": pool.role.value}.items()))


@dataclass(frozen=True, slots=True)
class _Draft:
    """A move before its place in the order and its steps are known."""

    pool: FleetPool
    found: AuditedPool
    decision: Decision
    os_sku: OsSku
    chosen: tuple[tuple[VmSize, int, Target, tuple[Target, ...]], ...]
    way: Way
    because: Rule

    @property
    def resizes(self) -> bool:
        return any(size.name.lower() != target.size.name.lower() for size, _, target, _ in self.chosen)

    @property
    def rank(self) -> tuple[bool, int, str]:
        """User node pools first; of each kind the most urgent."""
        return self.pool.role is Mode.SYSTEM, list(Urgency).index(self.found.urgency), self.pool.id.pool


class _ClusterPlanner:
    """Plans the moves of one cluster."""

    def __init__(self, cluster: FleetCluster, targets: Targets, choices: Callable[[Target], SizeChoice]) -> None:
        self._cluster = cluster
        self._choices = choices
        self._targets = targets
        self._here = targets.knowledge.at(cluster.location)
        self._names = {pool.id.pool.lower() for pool in cluster.pools}

    def drafted(self, pool: FleetPool, found: AuditedPool, decision: Decision) -> _Draft | Stay:
        """Return the move, or why there is none."""
        if decision.leave is not None:
            asked = Finding(id="left", message=decision.leave, remedy="take the override away", source="the overrides")
            return _stay(found, (asked,))
        left = tuple(finding for finding in found.findings if not _is_decided(finding, decision))
        in_the_way = [finding for finding in left if _EFFECTS[finding.id] is not Effect.NOTE]
        if found.generation != Generation.V1.value or in_the_way:
            # What is decided is for when nothing else is in the way any more, and has to be possible all the same.
            if decision.size is not None:
                self._require_possible(pool, decision)
            reasons = left if found.move is not Move.DONE else ()
            return _stay(found, reasons or (found.because,), _how_it_stays(found, in_the_way))
        drafted = self._draft(pool, found, decision)
        if isinstance(drafted, _Draft) and drafted.way is Way.NEW_POOL and len(self._cluster.pools) >= MAX_POOLS:
            return _stay(found, (_FULL,))
        return drafted

    def _require_possible(self, pool: FleetPool, decision: Decision) -> None:
        """Return when its sizes can become the one that is decided, as far as they are known. Raises `NoSuchMove`."""
        for size in pool.sizes:
            if self._here.size(size) is not None:
                self._decided_target(pool, size, decision)

    def _decided_target(self, pool: FleetPool, size: str, decision: Decision) -> Target:
        assert decision.size is not None
        location = self._cluster.location
        wanted = self._targets.target(pool, location, size, decision.size, os_sku=decision.os_sku)
        if isinstance(wanted, Unfit):
            raise NoSuchMove(f"{_called(pool)} cannot have {decision.size}: {wanted.why}")
        return wanted

    def planned(self, drafts: list[_Draft]) -> ClusterPlan:
        """Return the cluster's moves in their order, each with its steps."""
        moves = []
        ordered = sorted(drafts, key=lambda draft: draft.rank)
        for number, draft in enumerate(ordered, 1):
            moves.append(self._move(draft, number))
        identity = self._cluster.id
        return ClusterPlan(
            id=str(identity),
            subscription=identity.group_id.subscription,
            resource_group=identity.group_id.group,
            cluster=identity.cluster,
            location=self._cluster.location,
            moves=tuple(moves),
        )

    def _draft(self, pool: FleetPool, found: AuditedPool, decision: Decision) -> _Draft | Stay:
        os_sku = decision.os_sku or self._targets.os_sku(pool, self._cluster.location)
        if os_sku.os_type is not (pool.os_type or OsType.LINUX):
            raise NoSuchMove(f"{_called(pool)}: the OS SKU {os_sku.value} is of another OS type; choose one of its own")
        chosen = []
        for profile in pool.scale:
            size = self._here.size(profile.size)
            ranked = self._targets.ranked(pool, self._cluster.location, profile.size, os_sku=decision.os_sku)
            if decision.size is not None:
                wanted = self._decided_target(pool, profile.size, decision)
                ranked = (wanted, *(target for target in ranked if target.size.name != wanted.size.name))
            if size is None or not ranked:
                if decision.os_sku is not None:
                    unfit = self._targets.os_sku_refused(
                        pool, self._cluster.location, profile.size, os_sku=decision.os_sku
                    )
                    if unfit is not None:
                        raise NoSuchMove(f"{_called(pool)} cannot have OS SKU {os_sku.value}: {unfit.why}")
                    raise NoSuchMove(
                        f"{_called(pool)} cannot have OS SKU {os_sku.value} in Generation 2 on any size of the line of "
                        f"{profile.size}; name a size as well"
                    )
                return _stay(found, found.findings or (found.because,))
            chosen.append((size, profile.count, ranked[0], ranked[1:]))
        draft = _Draft(pool, found, decision, os_sku, tuple(chosen), Way.NEW_POOL, _ASKED)
        refused = self._why_not_in_place(draft)
        if decision.way == Way.IN_PLACE and refused is not None:
            raise NoSuchMove(f"{_called(pool)} cannot be moved in place: {refused.text} ({refused.source})")
        if decision.way is not None:
            return replace(draft, way=Way(decision.way))
        if refused is not None:
            return replace(draft, because=refused)
        return replace(draft, way=Way.IN_PLACE, because=_IN_PLACE)

    def _why_not_in_place(self, draft: _Draft) -> Rule | None:
        """The rule that refuses the change of the present node pool; None where none does."""
        if draft.pool.pool_type is PoolType.VIRTUAL_MACHINES:
            return _MANY_SIZES
        size, _, target, _ = draft.chosen[0]
        before, after = (disk_controllers(each.name, each) for each in (size, target.size))
        version = draft.pool.version or self._here.kubernetes.newest_patch(self._here.kubernetes.default)
        assert version is not None
        facts = ChangeFacts(
            profile=self._targets.knowledge.profile,
            version=version,
            os_type=draft.pool.os_type or OsType.LINUX,
            pool_type=draft.pool.pool_type or PoolType.SCALE_SETS,
            resize_is_gated=False,
            size_changes=draft.resizes,
            generation_changes=True,
            os_sku_changes=draft.decision.os_sku not in (None, draft.pool.os_sku),
            version_changes=False,
            count_changes=False,
            architecture_changes=size.architecture is not target.size.architecture,
            confidentiality_changes=size.is_confidential is not target.size.is_confidential,
            controller_changes=before is not None and after is not None and not before & after,
            replaces_machines=True,
            never_surges=upgrade_settings(draft.pool).surge(100) == 0,
            cannot_start=False,
        )
        row = first_match(REFUSED_CHANGES, facts)
        return row.rule if row is not None else None

    def _move(self, draft: _Draft, number: int) -> PoolMove:
        pool = draft.pool
        remarks = list(
            remarks_on(
                pool,
                [(size, target.size) for size, _, target, _ in draft.chosen],
                os_sku=draft.decision.os_sku,
                has_new_pool=draft.way is Way.NEW_POOL,
                offers_version=self._offers_version(pool.version),
            )
        )
        remarks += dict.fromkeys(text for _, _, target, _ in draft.chosen for text in target.warnings)
        if draft.way is Way.NEW_POOL:
            replacement = self._new_name(draft)
            properties = _new_properties(draft)
            added = commands.az_add(replacement, properties, _headers(draft))
            steps, way_back = _new_pool_steps(draft, replacement, properties, added.lines, self._again(pool))
            if added.unsaid:
                remarks.append(f"{_unsaid(added)}; the call of the SDK sends it")
            extra = pool.count
        else:
            replacement = None
            steps, way_back = _in_place_steps(draft)
            extra = upgrade_settings(pool).surge(pool.count)
        return PoolMove(
            id=str(pool.id),
            pool=pool.id.pool,
            mode=pool.role.value,
            order=number,
            etag=pool.etag,
            confidence=draft.found.confidence.value,
            urgency=draft.found.urgency,
            os_sku=draft.os_sku.value,
            image_definition=draft.chosen[0][2].definition,
            sizes=tuple(
                SizeMove(
                    size=size.name,
                    count=count,
                    to=self._choice(draft, target),
                    alternatives=tuple(self._choice(draft, other) for other in others),
                )
                for size, count, target, others in draft.chosen
            ),
            way=draft.way,
            because=Finding(id=draft.because.id, message=draft.because.text, remedy="", source=draft.because.source),
            replacement=replacement.pool if replacement is not None else None,
            extra_machines=extra,
            quota=tuple(_needs(draft)),
            remarks=tuple(remarks),
            steps=steps,
            way_back=way_back,
        )

    def _again(self, pool: FleetPool) -> tuple[str, ...]:
        """How the old node pool can be had again, where the rules still give what it was."""
        if (why := self._targets.why_not_again(pool, self._cluster.location)) is not None:
            return (f"# no way back: {why}",)
        added = commands.az_add(pool.id, _as_it_was(pool), {})
        lost = (f"# {_unsaid(added)}; the node pool is made without it",) if added.unsaid else ()
        return (*lost, *added.lines)

    def _choice(self, draft: _Draft, target: Target) -> SizeChoice:
        choice, before = self._choices(target), draft.found.os_release
        if before is None or before == target.release:
            return choice
        release = CapabilityDifference(capability="OS release", before=before, after=target.release)
        return replace(choice, differences=(release, *choice.differences))

    def _new_name(self, draft: _Draft) -> NodePoolId:
        """A name that the cluster does not have: as decided, else the old one with g2."""
        pool, os_type = draft.pool, draft.pool.os_type or OsType.LINUX
        wanted = draft.decision.name
        if wanted is not None:
            refusal = pool_requirements.refuse_name(wanted, os_type)
            if refusal is not None or wanted.lower() in self._names:
                reason = refusal.message if refusal is not None else "the cluster has a node pool of that name"
                raise NoSuchMove(f"{_called(pool)} cannot become {wanted}: {reason}")
            candidates: Iterable[str] = (wanted,)
        else:
            longest = 6 if os_type is OsType.WINDOWS else 12
            base = pool.id.pool.lower()
            candidates = (base[: longest - len(suffix)] + suffix for suffix in _numbered_suffixes())
        name = next(name for name in candidates if name not in self._names)
        self._names.add(name)
        return NodePoolId(pool.id.cluster_id, name)

    def _offers_version(self, version: KubernetesVersion | None) -> bool:
        return version is None or self._here.kubernetes.offered(version.release) is not None


_FULL: Final = Finding(
    id="cluster-full",
    message=f"It needs a node pool beside it, and the cluster has {MAX_POOLS}, which is the most.",
    remedy="delete a node pool that is not needed, or leave this one",
    source="quotas-skus-regions.md",
)
_EFFECTS: Final = {row.rule.id: row.effect for row in OBSTACLES}
# What is no obstacle any more once the overrides decide about one of these.
_DECIDED_BY: Final = {"windows-2019": ("os_sku",), "os-sku-refused": ("os_sku",), "no-target": ("size", "os_sku")}
_ASKED: Final = Rule("asked", "The overrides ask for it.", "the overrides")
_IN_PLACE: Final = Rule(
    "in-place",
    "The endpoint replaces the machines of a node pool wave by wave.",
    "profile documented (conflicts C1, C2)",
)
_MANY_SIZES: Final = Rule(
    "many-sizes",
    "A VirtualMachines node pool is moved by one beside it: its sizes are of one family and of one generation.",
    "virtual-machines-node-pools.md (rule 53)",
)


def upgrade_settings(pool: FleetPool) -> UpgradeSettings:
    """Return how its machines are replaced, AKS's defaults where it does not say or says nonsense."""
    sent = pool.properties.get("upgradeSettings")
    settings: Mapping[str, Any] = sent if isinstance(sent, dict) else {}
    timeout, soak = settings.get("drainTimeoutInMinutes"), settings.get("nodeSoakDurationInMinutes")
    try:
        return UpgradeSettings(
            max_surge=str(settings.get("maxSurge") or "10%"),
            max_unavailable=str(settings.get("maxUnavailable") or "0"),
            drain_timeout_minutes=timeout if isinstance(timeout, int) and timeout > 0 else 30,
            node_soak_minutes=soak if isinstance(soak, int) and soak >= 0 else 0,
        )
    except ValueError:
        return UpgradeSettings()


def _numbered_suffixes() -> Iterator[str]:
    yield "g2"
    yield from (f"g2{letter}" for letter in "bcdefghijklmnopqrstuvwxyz")
    yield from (f"g{number}" for number in range(100, 1000))


def _is_decided(finding: Finding, decision: Decision) -> bool:
    return any(getattr(decision, part) is not None for part in _DECIDED_BY.get(finding.id, ()))


def _how_it_stays(found: AuditedPool, in_the_way: Sequence[Finding]) -> Move:
    """How far a node pool is from Generation 2 that has these obstacles left."""
    if found.move is Move.BLOCKED and {_EFFECTS[finding.id] for finding in in_the_way} == {Effect.WAITS}:
        return Move.WAITS
    return found.move


def _stay(found: AuditedPool, because: tuple[Finding, ...], move: Move | None = None) -> Stay:
    return Stay(
        id=found.id,
        resource_group=found.resource_group,
        cluster=found.cluster,
        pool=found.pool,
        generation=found.generation,
        move=move or found.move,
        because=because,
    )


def _called(pool: FleetPool) -> str:
    cluster = pool.id.cluster_id
    return f"node pool {cluster.group_id.group}/{cluster.cluster}/{pool.id.pool}"


def _unsaid(added: commands.Spelled) -> str:
    return f"az aks nodepool add has no option for {', '.join(added.unsaid)} as it is"


def _choice(target: Target) -> SizeChoice:
    return SizeChoice(
        size=target.size.name,
        differences=tuple(
            CapabilityDifference(capability=each.capability, before=each.before, after=each.after)
            for each in target.differences
        ),
        unknown=target.unknown,
        assumed=target.assumed,
        ends=tuple(_end(end) for end in target.ends),
    )


def _end(end: Retirement) -> End:
    return End(subject=end.subject, day=end.day, effect=end.effect, source=end.source)


# --- steps ------------------------------------------------------------------------------------------------------------


def _new_properties(draft: _Draft) -> dict[str, Any]:
    """What the new node pool is asked to be: the old one, on its new sizes."""
    pool = draft.pool
    properties = {
        name: value
        for name, value in _as_it_was(pool).items()
        # A snapshot holds the old image, and the wish is of the old generation.
        if name not in ("creationData", "vmGeneration")
    }
    properties["osSKU"] = draft.os_sku.value
    if draft.os_sku is OsSku.WINDOWS_2025:
        # It has no other way (rule 39).
        properties["enableFIPS"] = True
    if pool.pool_type is PoolType.VIRTUAL_MACHINES:
        counted: dict[str, int] = {}
        for _, count, target, _ in draft.chosen:
            counted[target.size.name] = counted.get(target.size.name, 0) + count
        manual = [{"size": size, "count": count} for size, count in counted.items()]
        properties["virtualMachinesProfile"] = {"scale": {"manual": manual}}
        properties.pop("count", None)
    else:
        properties["vmSize"] = draft.chosen[0][2].size.name
        properties["count"] = pool.count
    if properties.get("scaleSetPriority") != Priority.SPOT.value:
        for name in ("scaleSetEvictionPolicy", "spotMaxPrice"):
            properties.pop(name, None)
    return dict(sorted(properties.items()))


def _headers(draft: _Draft) -> dict[str, str]:
    return {commands.WINDOWS_GEN2_HEADER: "true"} if draft.os_sku in _NEEDS_HEADER else {}


def _confirm(draft: _Draft) -> Step:
    pool = draft.pool
    checks = [Check(run=az_show(pool.id, "provisioningState"), expect="Succeeded")]
    if pool.etag is not None:
        checks.append(Check(run=az_show(pool.id, "eTag"), expect=f"{pool.etag}, or the node pool changed since"))
    if draft.found.confidence != "certain":
        checks.append(
            Check(
                run=az_show(pool.id, "nodeImageVersion"),
                expect="no gen2 in it; its generation is only likely V1",
            )
        )
    return Step(
        name=StepName.CONFIRM, what="See that the node pool is as it was when this was planned.", checks=tuple(checks)
    )


def _new_pool_steps(
    draft: _Draft,
    replacement: NodePoolId,
    properties: dict[str, Any],
    added: tuple[str, ...],
    again: tuple[str, ...],
) -> tuple[tuple[Step, ...], tuple[str, ...]]:
    pool, old, new = draft.pool, draft.pool.id.pool, replacement.pool
    headers, timeout = _headers(draft), upgrade_settings(draft.pool).drain_timeout_minutes
    uncordon = commands.kubectl_uncordon(old)
    steps = [
        _confirm(draft),
        Step(
            name=StepName.ADD_POOL,
            what=f"Add node pool {new} of Generation 2 beside {old}.",
            az=added,
            sdk=commands.sdk_create(replacement, properties, headers),
            request=Request(method="PUT", pool=str(replacement), properties=properties, headers=headers),
            checks=(
                Check(run=az_show(replacement, "provisioningState"), expect="Succeeded"),
                Check(run=az_show(replacement, "nodeImageVersion"), expect=_image(draft)),
                Check(run=commands.kubectl("get nodes", new), expect=nodes_of(pool)),
            ),
            undo=(commands.az("aks nodepool delete", replacement),),
            undo_request=Request(method="DELETE", pool=str(replacement)),
        ),
    ]
    if pool.autoscaling:
        bounds = ("--min-count", str(pool.min_count or 0)), ("--max-count", str(pool.max_count or pool.count))
        held = {"enableAutoScaling": False, "minCount": None, "maxCount": None}
        former = {
            "enableAutoScaling": True,
            "minCount": pool.min_count or 0,
            "maxCount": pool.max_count or pool.count,
        }
        steps.append(
            Step(
                name=StepName.HOLD_AUTOSCALER,
                what=f"Keep the autoscaler from giving {old} new machines while it is drained.",
                az=(commands.az("aks nodepool update", pool.id, ("--disable-cluster-autoscaler",)),),
                sdk=commands.sdk_change(pool.id, held, {}),
                request=Request(method="PUT", pool=str(pool.id), on="current", properties=held),
                checks=(Check(run=az_show(pool.id, "enableAutoScaling"), expect="false"),),
                undo=(commands.az("aks nodepool update", pool.id, ("--enable-cluster-autoscaler",), *bounds),),
                undo_request=Request(method="PUT", pool=str(pool.id), on="current", properties=former),
            )
        )
    # A cluster keeps at least one system node pool (rule 56).
    systems = commands.az_system_pools(pool.id.cluster_id)
    steps += [
        Step(
            name=StepName.CORDON,
            what=f"Let no further pods come to the nodes of {old}.",
            kubectl=(commands.kubectl_cordon(old),),
            checks=(Check(run=commands.kubectl("get nodes", old), expect="SchedulingDisabled on every node"),),
            undo=(uncordon,),
        ),
        Step(
            name=StepName.DRAIN,
            what=f"Have the pods leave the nodes of {old}, as their disruption budgets allow.",
            kubectl=(commands.kubectl_drain(old, timeout),),
            checks=(
                Check(
                    run=commands.kubectl_unfinished_pods(),
                    expect=f"on the nodes of {old} only pods of daemon sets; no pod elsewhere is Pending because of it",
                ),
            ),
            undo=(uncordon,),
        ),
        Step(
            name=StepName.DELETE_POOL,
            what=f"Delete node pool {old}.",
            az=(commands.az("aks nodepool delete", pool.id),),
            sdk=commands.sdk_delete(pool.id),
            request=Request(method="DELETE", pool=str(pool.id)),
            checks=(Check(run=systems, expect=f"{new} is among them"),) if pool.role is Mode.SYSTEM else (),
            undo=again,
        ),
    ]
    until = [line for step in reversed(steps[:-1]) for line in step.undo]
    back = tuple(dict.fromkeys(until))
    return tuple(steps), ("Until the old node pool is deleted:", *back, "After that:", *again)


def _in_place_steps(draft: _Draft) -> tuple[tuple[Step, ...], tuple[str, ...]]:
    pool, target = draft.pool, draft.chosen[0][2].size
    headers = _headers(draft)
    properties: dict[str, Any] = {}
    former: dict[str, Any] = {}
    if draft.resizes:
        properties["vmSize"], former["vmSize"] = target.name, draft.chosen[0][0].name
    # What is of Generation 1 although its size does both was asked to be, and the wish is kept until another is made.
    if not headers and (not draft.resizes or draft.found.gen2_size == "yes" or "vmGeneration" in pool.properties):
        properties["vmGeneration"], former["vmGeneration"] = Generation.V2.value, Generation.V1.value
    former_headers = {commands.WINDOWS_GEN2_HEADER: "false"} if headers else {}
    line = commands.az_change(pool.id, properties, headers)
    back = commands.az_change(pool.id, former, former_headers)
    counted = "{V1: poolwright.observedGenerations.V1, V2: poolwright.observedGenerations.V2}"
    step = Step(
        name=StepName.CHANGE,
        what="Replace the machines by ones of Generation 2, wave by wave.",
        az=(line,),
        sdk=commands.sdk_change(pool.id, properties, headers),
        request=Request(method="PUT", pool=str(pool.id), on="current", properties=properties, headers=headers),
        checks=(
            Check(run=az_show(pool.id, "provisioningState"), expect="Succeeded"),
            Check(run=az_show(pool.id, "nodeImageVersion"), expect=_image(draft)),
            Check(run=az_show(pool.id, counted), expect=f"0 of V1 and {machines_of(pool)} of V2"),
        ),
        undo=(back,),
        undo_request=Request(method="PUT", pool=str(pool.id), on="current", properties=former, headers=former_headers),
    )
    return (_confirm(draft), step), ("The same change the other way:", back)


def _image(draft: _Draft) -> str:
    definition = draft.chosen[0][2].definition.removeprefix("windows-")
    return f"it contains {definition}"


# --- quota ------------------------------------------------------------------------------------------------------------


def _needs(draft: _Draft) -> Iterator[QuotaNeed]:
    """vCPUs of each family that gets more during the move, those of the region as a whole at the end."""
    spot = draft.pool.priority is Priority.SPOT
    during: dict[str, int] = {}
    after: dict[str, int] = {}
    for size, count, target, _ in draft.chosen:
        old, new = (_family(each, spot) for each in (size, target.size))
        surge = count if draft.way is Way.NEW_POOL else min(count, upgrade_settings(draft.pool).surge(count))
        added, freed = count * target.size.vcpus, count * size.vcpus
        # In the last wave all but the surge are replaced; of a family of its own there are then all.
        grown = max(0, (count - surge) * (target.size.vcpus - size.vcpus))
        for family in (new,) if spot else (new, TOTAL):
            most = surge * target.size.vcpus + grown if family in (old, TOTAL) else added
            during[family] = during.get(family, 0) + most
        for family, vcpus in ((new, added), (old, -freed), *(() if spot else ((TOTAL, added - freed),))):
            after[family] = after.get(family, 0) + vcpus
    for family in sorted(during.keys() | after.keys(), key=lambda name: (name == TOTAL, name)):
        yield QuotaNeed(family=family, during=during.get(family, 0), after=after.get(family, 0))


def _family(size: VmSize, spot: bool) -> str:
    return SPOT_FAMILY if spot else size.family or f"{_UNKNOWN_FAMILY}{size.name}"


def _quota(clusters: list[ClusterPlan]) -> Iterator[QuotaRow]:
    """The needs of all moves together. What a finished move leaves behind counts for those after it."""
    rows: dict[tuple[str, str, str], list[int]] = {}
    for cluster in clusters:
        own: dict[tuple[str, str, str], list[int]] = {}
        for move in cluster.moves:
            for need in move.quota:
                key = cluster.subscription, cluster.location or "", need.family
                for kept in (rows, own):
                    peak, now = kept.setdefault(key, [0, 0, 0])[:2]
                    kept[key][:2] = [max(peak, now + need.during), now + need.after]
        for key, (peak, _, _) in own.items():
            rows[key][2] += peak
    for (subscription, location, family), (peak, after, together) in sorted(rows.items()):
        if max(peak, together) > 0:
            yield QuotaRow(
                subscription=subscription,
                location=location or None,
                family=family,
                one_at_a_time=peak,
                all_at_once=together,
                for_good=after,
                check=commands.az_usage(
                    subscription, location or None, None if family.startswith(_UNKNOWN_FAMILY) else family
                ),
            )
