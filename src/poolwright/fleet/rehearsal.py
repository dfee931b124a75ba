"""A plan rehearsed: the fleet it was made for, loaded into a service of its own, and the plan carried out there.

The machines are simulated and no Kubernetes cluster stands behind them, so that nothing is drained. Everything else is
what `poolwright fleet apply` does, by the same code.

Invariant: a rehearsal touches nothing but its own service, which is gone afterwards; what could not be loaded is named.
"""

from __future__ import annotations

import json
import ssl
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from poolwright import installation
from poolwright.administration import Administration
from poolwright.arm.upgrades import kubernetes_versions
from poolwright.catalog.kubernetes_versions import KubernetesVersions
from poolwright.child_service import ChildService
from poolwright.domain.kubernetes_version import KubernetesVersion
from poolwright.domain.profile import Profile
from poolwright.domain.resource_id import ClusterId, NodePoolId
from poolwright.fleet import tokens
from poolwright.fleet.apply import Application, MoveResult, Outcome
from poolwright.fleet.arm import Arm, Refused, etag_of
from poolwright.fleet.document import Document
from poolwright.fleet.journal import Entry, Event, Journal, in_memory
from poolwright.fleet.plan import ClusterFound, Plan, PoolFound, PoolMove, StepName
from poolwright.fleet.scratch import scratch
from poolwright.installation import DataDirectory
from poolwright.seed import reading, sections
from poolwright.seed.reading import SeedFile

# Where a cluster is loaded whose export does not say where it is.
_SOMEWHERE: Final = "eastus"
# Only this section is there before the fleet: sizes that the fleet has.
_BEFORE: Final = "catalogImports"
Say = Callable[[str], None]
Tell = Callable[[PoolMove, Entry], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class NotLoaded(Document):
    """A cluster or node pool that the service would not make, and its reason. Its moves are not rehearsed."""

    id: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PeakVcpus(Document):
    """The most vCPUs of a family beyond those before the rehearsal, at one time."""

    subscription: str
    location: str
    family: str
    vcpus: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterTime(Document):
    """How long the moves of a cluster took in the rehearsal, in seconds."""

    cluster: str
    moves: int
    machines: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsal(Document):
    """What came of it. `clusters` has the longest first, which is what a move of the whole fleet waits for."""

    plan: str
    parallel: int
    boot_seconds: float
    seconds: float
    results: tuple[MoveResult, ...]
    not_loaded: tuple[NotLoaded, ...]
    peak_machines: int
    peak_vcpus: tuple[PeakVcpus, ...]
    clusters: tuple[ClusterTime, ...]
    remarks: tuple[str, ...]

    @property
    def failed(self) -> tuple[MoveResult, ...]:
        return tuple(result for result in self.results if result.outcome is not Outcome.MOVED)


@dataclass(frozen=True, slots=True)
class Conditions:
    """How it is rehearsed. `seed` has catalogue, restrictions, quotas, faults; `boot_seconds` is for every machine."""

    parallel: int = 1
    boot_seconds: float = 0.0
    seed: Path | None = None


class NotDrained:
    """There are no nodes, so nothing is cordoned and drained."""

    def done(self, move: PoolMove, lines: Sequence[str]) -> str | None:
        return "not rehearsed: no Kubernetes cluster stands behind simulated machines"


def rehearse(plan: Plan, name: str, conditions: Conditions, say: Say, tell: Tell) -> Rehearsal:
    """Return what came of the plan in a service of its own. Raises `WrongSeed`, `ServiceEnded` and `OSError`."""
    seed = _checked(conditions.seed) if conditions.seed is not None else None
    journal = in_memory(lambda: datetime.now(UTC))
    with scratch("poolwright-rehearsal-") as directory:
        service = _service(plan, directory / "data")
        try:
            # Under these rules a node pool can be asked to be of Generation 1, as an old one is.
            catalogue, assumed = _first_seed(plan, seed, directory)
            service.start(profile=Profile.DOCUMENTED.value, seed=catalogue)
            with _connected(service) as arm:
                say(f"loading {sum(len(cluster.pools) for cluster in plan.found):,} node pools")
                not_loaded = load(plan, arm, say, conditions.parallel)
            service.stop()
            later = {"seed": conditions.seed.absolute()} if conditions.seed is not None else {}
            service.start(profile=plan.profile, simulated_boot_seconds=conditions.boot_seconds, **later)
            with _connected(service) as arm:
                _limit(plan, arm, seed)
                loaded = as_loaded(plan, arm)
                say("carrying the plan out")
                application = Application(loaded, arm, journal, NotDrained(), tell, halts=False)
                started = datetime.now(UTC)
                results = application.run({move.id for move in loaded.moves}, conditions.parallel)
                seconds = (datetime.now(UTC) - started).total_seconds()
        finally:
            if service.is_running:
                service.kill()
    return Rehearsal(
        plan=name,
        parallel=conditions.parallel,
        boot_seconds=conditions.boot_seconds,
        seconds=seconds,
        results=results,
        not_loaded=not_loaded,
        peak_machines=_peak_machines(loaded, journal),
        peak_vcpus=tuple(_peak_vcpus(loaded, journal)),
        clusters=tuple(_times(loaded, results)),
        remarks=(
            *assumed,
            "Nothing was cordoned or drained: no Kubernetes cluster stands behind simulated machines. How long pods "
            "take to leave, and whether disruption budgets let them, is not known from this.",
            f"Every machine took {conditions.boot_seconds:g} s to boot here; the times compare clusters, and are not "
            "those of Azure.",
        ),
    )


# --- the service ------------------------------------------------------------------------------------------------------


def _service(plan: Plan, data_dir: Path) -> ChildService:
    """A service that is not started, and has the fleet's subscriptions and locations."""
    directory = DataDirectory(data_dir)
    directory.create()
    subscriptions = list(dict.fromkeys(_identity(cluster).group_id.subscription for cluster in plan.found))
    database = installation.open_database(directory)
    try:
        installation.ensure_identity(database, directory, local=True, subscription_id=next(iter(subscriptions), None))
    finally:
        database.close()
    with Administration(directory) as operator:
        for subscription in subscriptions[1:]:
            operator.create_subscription(subscription, None, local=True, subscription_id=subscription)
    locations = dict.fromkeys([cluster.location or _SOMEWHERE for cluster in plan.found] or [_SOMEWHERE])
    return ChildService(data_dir, locations=",".join(locations), engine="simulated", log_level="warning")


@contextmanager
def _connected(service: ChildService) -> Iterator[Arm]:
    verify = ssl.create_default_context(cafile=str(service.ca))
    known = service.credentials
    secret = tokens.Secret(known["tenantId"], known["clientId"], known["clientSecret"])
    arm = Arm(service.url, tokens.of_poolwright(service.url, verify, secret), verify=verify, own_machine=True)
    try:
        yield arm
    except KeyboardInterrupt:
        arm.stop()
        raise
    finally:
        arm.close()


def _checked(path: Path) -> SeedFile:
    """The seed, all of whose entries can be. Raises `WrongSeed` and `OSError`."""
    file = reading.read(path)
    sections.items_of(file)
    return file


def _first_seed(plan: Plan, seed: SeedFile | None, scratch: Path) -> tuple[Path, list[str]]:
    """What the fleet is loaded with, as a seed: the lists that were given, and its Kubernetes versions.

    Also says which versions are only assumed to be offered, because the fleet has them.
    """
    imports = [dict(entry) for entry in (seed.value.get(_BEFORE) or [] if seed is not None else [])]
    for entry in imports:
        assert seed is not None
        entry["file"] = str(Path(seed.name).absolute().parent / Path(entry["file"]).expanduser())
    remarks = []
    for number, location in enumerate(sorted({cluster.location or _SOMEWHERE for cluster in plan.found})):
        if any(entry.get("location") == location for entry in imports):
            continue
        versions, assumed = _with_those_of(plan, location, KubernetesVersions.built_in())
        if assumed:
            listed = scratch / f"versions-{number}.json"
            listed.write_bytes(kubernetes_versions(versions))
            imports.append({"file": str(listed), "location": location})
            remarks.append(
                f"Kubernetes {', '.join(map(str, assumed))}: taken to be offered in {location}, because the fleet has "
                "it there. `az aks get-versions` knows better; give its answer to a seed as a catalogue import."
            )
    written = scratch / "first.json"
    written.write_text(json.dumps({_BEFORE: imports}))
    return written, remarks


def _with_those_of(
    plan: Plan, location: str, offered: KubernetesVersions
) -> tuple[KubernetesVersions, list[KubernetesVersion]]:
    """The versions that are offered with those the fleet has in the location, and which of them were added."""
    texts = [
        text
        for cluster in plan.found
        if (cluster.location or _SOMEWHERE) == location
        for text in (cluster.version, *(pool.properties.get("orchestratorVersion") for pool in cluster.pools))
    ]
    added = []
    for text in sorted({str(text) for text in texts if text is not None and str(text).count(".") == 2}):
        with suppress(ValueError):
            version = KubernetesVersion.parse(text)
            # A release that is in no list is one that AKS gives to nobody any more.
            if offered.offered(version.release) is not None and offered.find(text) is None:
                offered = offered.with_patch(version)
                added.append(version)
    return offered, added


def _limit(plan: Plan, arm: Arm, seed: SeedFile | None) -> None:
    """Give every subscription the limits of the seed, which are those of the first one."""
    subscriptions = dict.fromkeys(_identity(cluster).group_id.subscription for cluster in plan.found)
    for subscription in list(subscriptions)[1:]:
        for quota in (seed.value.get("quotas") or []) if seed is not None else []:
            place = f"/subscriptions/{subscription}/providers/Microsoft.Compute/locations/{quota['location']}"
            arm.put(f"{place}/usages/{quota['family']}", {"limit": quota["limit"]}, {})


# --- the fleet --------------------------------------------------------------------------------------------------------


def load(plan: Plan, arm: Arm, say: Say, parallel: int = 1) -> tuple[NotLoaded, ...]:
    """Make every cluster and node pool of the fleet; returns what the service refuses."""
    new_names = {move.replacement for move in plan.moves}
    # A resource group is made in one location, which binds none of its clusters.
    groups: dict[str, str] = {}
    for cluster in plan.found:
        groups.setdefault(_group(cluster), cluster.location or _SOMEWHERE)
    refused: list[NotLoaded] = []
    with ThreadPoolExecutor(parallel, thread_name_prefix="load") as pool:
        try:
            loading = [
                pool.submit(_load_cluster, cluster, groups[_group(cluster)], arm, new_names) for cluster in plan.found
            ]
            for number, each in enumerate(loading, 1):
                refused += each.result()
                if number % 20 == 0:
                    say(f"loaded {number:,} of {len(loading):,} clusters")
        except BaseException:
            arm.stop()
            pool.shutdown(cancel_futures=True)
            raise
    return tuple(refused)


def _load_cluster(
    cluster: ClusterFound, group_location: str, arm: Arm, new_names: Collection[str | None]
) -> list[NotLoaded]:
    identity = _identity(cluster)
    location = cluster.location or _SOMEWHERE
    # A cluster is made with a system node pool; which of the fleet's can be made is only known afterwards.
    taken = {pool.name for pool in cluster.pools}.union(name for name in new_names if name is not None)
    stand_in = next(name for name in (f"standin{number}" for number in range(1000)) if name not in taken)
    body = {
        "location": location,
        "identity": {"type": "SystemAssigned"},
        "properties": {
            **({"kubernetesVersion": cluster.version} if cluster.version is not None else {}),
            "agentPoolProfiles": [{"name": stand_in, "mode": "System", "count": 1}],
        },
    }
    try:
        arm.put(str(identity.group_id), {"location": group_location}, {})
        arm.put(cluster.id, body, {})
        refused = [each for pool in cluster.pools if (each := _load_pool(cluster, pool, arm)) is not None]
        missing = {each.id for each in refused}
        if any(
            pool.properties.get("mode") == "System" and _pool_id(cluster, pool) not in missing for pool in cluster.pools
        ):
            arm.delete(f"{cluster.id}/agentPools/{stand_in}", {})
    except Refused as refusal:
        return [NotLoaded(id=cluster.id, why=str(refusal))]
    return refused


def _load_pool(cluster: ClusterFound, pool: PoolFound, arm: Arm) -> NotLoaded | None:
    path = _pool_id(cluster, pool)
    try:
        arm.put(path, {"properties": pool.properties}, {})
        if pool.generation is not None and _generation(arm, path) != pool.generation:
            # Its size does both, and new node pools get the other one.
            arm.put(path, {"properties": {**pool.properties, "vmGeneration": pool.generation}}, {})
            if _generation(arm, path) != pool.generation:
                return NotLoaded(id=path, why=f"the service gives it no Generation {pool.generation.removeprefix('V')}")
    except Refused as refused:
        return NotLoaded(id=path, why=str(refused))
    return None


def _generation(arm: Arm, path: str) -> object:
    resource = arm.get(path) or {}
    return resource.get("properties", {}).get("poolwright", {}).get("resolvedGeneration")


def as_loaded(plan: Plan, arm: Arm) -> Plan:
    """The plan for the fleet as it was loaded: with the ETags of this service, without what is not there."""
    etags: dict[str, str | None] = {}
    for cluster in plan.found:
        for pool in cluster.pools:
            try:
                resource = arm.get(_pool_id(cluster, pool))
            except Refused:
                # Where a cluster was not loaded its resource group may not be there either.
                resource = None
            state = (resource or {}).get("properties", {}).get("poolwright", {}).get("resolvedGeneration")
            if resource is not None and (pool.generation is None or state == pool.generation):
                etags[_pool_id(cluster, pool).lower()] = etag_of(resource)
    return replace(
        plan,
        clusters=tuple(
            replace(cluster, moves=tuple(move for move in cluster.moves if move.id.lower() in etags))
            for cluster in plan.clusters
        ),
        found=tuple(
            replace(
                cluster,
                pools=tuple(
                    replace(pool, etag=etags.get(_pool_id(cluster, pool).lower(), pool.etag)) for pool in cluster.pools
                ),
            )
            for cluster in plan.found
        ),
    )


def _identity(cluster: ClusterFound) -> ClusterId:
    of_a_pool = NodePoolId.parse(f"{cluster.id}/agentPools/any")
    assert of_a_pool is not None, "a plan has IDs of clusters"
    return of_a_pool.cluster_id


def _group(cluster: ClusterFound) -> str:
    return str(_identity(cluster).group_id).lower()


def _pool_id(cluster: ClusterFound, pool: PoolFound) -> str:
    return f"{cluster.id}/agentPools/{pool.name}"


# --- figures ----------------------------------------------------------------------------------------------------------


def _in_flight(plan: Plan, journal: Journal) -> Iterator[tuple[set[str], set[str]]]:
    """At each change of it: the moves that run, and those that are over. What failed half way stays as it is."""
    moves = {move.id: move for move in plan.moves}
    running: set[str] = set()
    over: set[str] = set()
    for entry in journal.entries:
        if entry.event is Event.BEGUN and entry.step in (StepName.ADD_POOL, StepName.CHANGE):
            running.add(entry.pool)
            yield running, over
        elif entry.event is Event.DONE and entry.step == moves[entry.pool].steps[-1].name:
            running.discard(entry.pool)
            over.add(entry.pool)
            yield running, over


def _peak_machines(plan: Plan, journal: Journal) -> int:
    extra = {move.id: move.extra_machines for move in plan.moves}
    return max((sum(extra[move] for move in running) for running, _ in _in_flight(plan, journal)), default=0)


def _peak_vcpus(plan: Plan, journal: Journal) -> Iterator[PeakVcpus]:
    places = {
        move.id: (move, cluster.subscription, cluster.location or _SOMEWHERE)
        for cluster in plan.clusters
        for move in cluster.moves
    }
    peaks: Counter[tuple[str, str, str]] = Counter()
    for running, over in _in_flight(plan, journal):
        now: Counter[tuple[str, str, str]] = Counter()
        for identity in running | over:
            move, *place = places[identity]
            for need in move.quota:
                now[place[0], place[1], need.family] += need.during if identity in running else need.after
        peaks |= now
    for (subscription, location, family), vcpus in sorted(peaks.items()):
        yield PeakVcpus(subscription=subscription, location=location, family=family, vcpus=vcpus)


def _times(plan: Plan, results: Iterable[MoveResult]) -> list[ClusterTime]:
    took: Mapping[str, float] = {result.id: result.seconds for result in results}
    times = [
        ClusterTime(
            cluster=f"{cluster.resource_group}/{cluster.cluster}",
            moves=len(cluster.moves),
            machines=sum(size.count for move in cluster.moves for size in move.sizes),
            seconds=round(sum(took[move.id] for move in cluster.moves), 3),
        )
        for cluster in plan.clusters
        if cluster.moves
    ]
    return sorted(times, key=lambda time: (-time.seconds, time.cluster))
