"""How a plan is made: which node pools of a fleet move, to which size, by which way, in which order, and which stay.

It is a pure function of the fleet, what it is judged by, and the overrides: the same input gives the same plan, byte
for byte.

Invariant: a plan moves every node pool of Generation 1 that nothing stands in the way of, and names the others with the
reason; system node pools come after all others of their cluster.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Final

from poolwright.catalog.retirements import Retirement
from poolwright.domain import pool_requirements
from poolwright.domain.change import REFUSED_CHANGES, ChangeFacts
from poolwright.domain.generation import Generation
from poolwright.domain.kubernetes_version import KubernetesVersion
from poolwright.domain.node_pool_kind import PoolType
from poolwright.domain.os_sku import OsType
from poolwright.domain.pool_limits import MAX_POOLS
from poolwright.domain.resource_id import NodePoolId
from poolwright.domain.rules import Rule, first_match
from poolwright.domain.size_name import disk_controllers
from poolwright.fleet import commands
from poolwright.fleet.audit import OBSTACLES, Audit, AuditedPool, Effect, End, Move
from poolwright.fleet.document import Finding
from poolwright.fleet.draft import Draft, as_it_was, as_made, upgrade_settings
from poolwright.fleet.overrides import Decision, Overrides
from poolwright.fleet.plan import (
    SCHEMA_VERSION,
    CapabilityDifference,
    ClusterFound,
    ClusterPlan,
    Plan,
    PoolFound,
    PoolMove,
    SizeChoice,
    SizeMove,
    Stay,
    Way,
)
from poolwright.fleet.quota_needs import needs_of, quota_rows
from poolwright.fleet.remarks import remarks_on
from poolwright.fleet.steps import headers_of, in_place_steps, new_pool_steps, new_properties
from poolwright.fleet.targets import Target, Targets, Unfit
from poolwright.fleet.values import Fleet, FleetCluster, FleetPool


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
        quota=tuple(quota_rows(clusters)),
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
                properties=as_it_was(pool),
            )
            for pool in cluster.pools
        ),
    )


class _ClusterPlanner:
    """Plans the moves of one cluster."""

    def __init__(self, cluster: FleetCluster, targets: Targets, choices: Callable[[Target], SizeChoice]) -> None:
        self._cluster = cluster
        self._choices = choices
        self._targets = targets
        self._here = targets.knowledge.at(cluster.location)
        self._names = {pool.id.pool.lower() for pool in cluster.pools}

    def drafted(self, pool: FleetPool, found: AuditedPool, decision: Decision) -> Draft | Stay:
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
        if isinstance(drafted, Draft) and drafted.way is Way.NEW_POOL and len(self._cluster.pools) >= MAX_POOLS:
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

    def planned(self, drafts: list[Draft]) -> ClusterPlan:
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

    def _draft(self, pool: FleetPool, found: AuditedPool, decision: Decision) -> Draft | Stay:
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
        draft = Draft(pool, found, decision, os_sku, tuple(chosen), Way.NEW_POOL, _ASKED)
        refused = self._why_not_in_place(draft)
        if decision.way == Way.IN_PLACE and refused is not None:
            raise NoSuchMove(f"{_called(pool)} cannot be moved in place: {refused.text} ({refused.source})")
        if decision.way is not None:
            return replace(draft, way=Way(decision.way))
        if refused is not None:
            return replace(draft, because=refused)
        return replace(draft, way=Way.IN_PLACE, because=_IN_PLACE)

    def _why_not_in_place(self, draft: Draft) -> Rule | None:
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

    def _move(self, draft: Draft, number: int) -> PoolMove:
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
            properties = new_properties(draft)
            added = commands.az_add(replacement, properties, headers_of(draft))
            steps, way_back = new_pool_steps(draft, replacement, properties, added.lines, self._again(pool))
            if added.unsaid:
                remarks.append(f"{_unsaid(added)}; the call of the SDK sends it")
            extra = pool.count
        else:
            replacement = None
            steps, way_back = in_place_steps(draft)
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
            quota=tuple(needs_of(draft)),
            remarks=tuple(remarks),
            steps=steps,
            way_back=way_back,
        )

    def _again(self, pool: FleetPool) -> tuple[str, ...]:
        """How the old node pool can be had again, where the rules still give what it was."""
        if (why := self._targets.why_not_again(pool, self._cluster.location)) is not None:
            return (f"# no way back: {why}",)
        added = commands.az_add(pool.id, as_made(pool), {})
        lost = (f"# {_unsaid(added)}; the node pool is made without it",) if added.unsaid else ()
        return (*lost, *added.lines)

    def _choice(self, draft: Draft, target: Target) -> SizeChoice:
        choice, before = self._choices(target), draft.found.os_release
        if before is None or before == target.release:
            return choice
        release = CapabilityDifference(capability="OS release", before=before, after=target.release)
        return replace(choice, differences=(release, *choice.differences))

    def _new_name(self, draft: Draft) -> NodePoolId:
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
