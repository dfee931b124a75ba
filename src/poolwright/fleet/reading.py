"""Exports as one fleet: any number of texts, whatever commands wrote them, in any mixture.

A resource that several exports tell of is one resource: what the first says counts, the others fill its gaps.

Invariant: nothing of the input disappears silently; what is not in the fleet is among its problems, with its place.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any, Final, TypeVar

from poolwright.arm.shape import Misshapen
from poolwright.arm.skus import LeftOutSku, decode_sku
from poolwright.domain.offer import Offer
from poolwright.fleet import formats
from poolwright.fleet.json_text import BrokenJson, Entries, bounded
from poolwright.fleet.values import Fleet, FleetCluster, FleetPool, Origin, Problem, ProblemKind
from poolwright.reports.numbers import counted

R = TypeVar("R", FleetPool, FleetCluster)

EXPORTS: Final = "az aks list, az aks show, az aks nodepool list or show, az graph query, az vm list-skus"
# What two exports of one node pool should agree about.
_COMPARED: Final = ("scale", "os_type", "os_sku", "version", "node_image", "mode", "pool_type", "etag")


def read(texts: Iterable[tuple[str, str]]) -> Fleet:
    """Return the fleet that the texts tell of; each comes with the name of its file."""
    reading = Reading()
    for name, text in texts:
        reading.take_text(name, text)
    return reading.fleet()


class Reading:
    """Takes exports one after the other and gives the fleet."""

    def __init__(self) -> None:
        self._clusters: dict[str, FleetCluster] = {}
        self._pools: dict[str, FleetPool] = {}
        self._offers: dict[str, dict[str, Offer]] = {}
        self._values: dict[Any, Any] = {}
        self._problems: dict[Problem, None] = {}  # in their order, each once
        self._counted: dict[tuple[ProblemKind, str, str], tuple[int, Problem]] = {}

    def take_text(self, file: str, text: str) -> None:
        """Take what a file holds; what is wrong with it becomes a problem."""
        entries, number = Entries(text, located=formats.POOLS), 0
        try:
            for line, path, value, lines in entries:
                number += 1
                self.take_entry(value, Origin(file, line, path), lines)
        except BrokenJson as broken:
            read_before = (
                f"; {counted(number, 'entry', 'entries')} before it {'was' if number == 1 else 'were'} read"
                if number
                else ""
            )
            what = f"column {broken.column}: this is no JSON: {broken.reason}{read_before}"
            self.complain(ProblemKind.BROKEN, Origin(file, broken.line), what)
        for page in entries.incomplete:
            self.complain(ProblemKind.INCOMPLETE, Origin(file, page.line, page.path), str(page))

    def take_entry(self, entry: Any, origin: Origin, lines: Sequence[int] = ()) -> None:
        """Take one entry of an export. `lines` are those of the node pools in it, where they are known."""

        def complain(path: str, what: str) -> None:
            dot = "." if origin.path and path and not path.startswith("[") else ""
            place = formats.origin_of(path, origin, lines)
            self.complain(ProblemKind.MISSHAPEN, replace(place, path=f"{origin.path}{dot}{path}"), what)

        entry = bounded(entry, complain)
        if not isinstance(entry, dict):
            self.complain(ProblemKind.UNKNOWN, origin, f"it is no object of an export; known are {EXPORTS}", once=True)
            return
        kind = formats.kind_of(entry)
        if kind == formats.CLUSTER_KIND:
            cluster = formats.read_cluster(entry, origin, complain, lines)
            if cluster is not None:
                self._take_cluster(cluster)
        elif kind == formats.POOL_KIND:
            pool = formats.read_pool(entry, origin, complain)
            if pool is not None:
                self._take_pool(pool)
        elif "resourceType" in entry and "capabilities" in entry:
            self._take_size(entry, origin)
        else:
            names = ", ".join(sorted(str(name) for name in entry)[:5]) or "nothing"
            what = f"a resource of type {kind}" if kind else f"an entry that has {names}"
            self.complain(
                ProblemKind.UNKNOWN, origin, f"{what} is of no export known here; known are {EXPORTS}", once=True
            )

    def complain(self, kind: ProblemKind, origin: Origin, what: str, *, once: bool = False) -> None:
        """Note a problem; with `once` the same in one file is counted, not repeated."""
        problem = Problem(kind, origin, what)
        if not once:
            self._problems[problem] = None
            return
        number, first = self._counted.get((kind, origin.file, what), (0, problem))
        self._counted[kind, origin.file, what] = number + 1, first

    def fleet(self) -> Fleet:
        """Return everything that was taken, in an order that does not depend on that of the exports."""
        by_cluster: dict[str, list[FleetPool]] = {}
        for pool in self._pools.values():
            by_cluster.setdefault(pool.id.cluster_id.key, []).append(pool)
            self._clusters.setdefault(pool.id.cluster_id.key, FleetCluster(id=pool.id.cluster_id, origin=pool.origin))
        clusters = tuple(_with_pools(self._clusters[key], by_cluster.get(key, [])) for key in sorted(self._clusters))
        offers = {place: tuple(by_name.values()) for place, by_name in sorted(self._offers.items())}
        repeated = [
            replace(first, what=f"{first.what} ({number} such entries)" if number > 1 else first.what)
            for number, first in self._counted.values()
        ]
        return Fleet(clusters, offers, tuple(sorted([*self._problems, *repeated], key=_place)))

    def _take_cluster(self, cluster: FleetCluster) -> None:
        known = self._clusters.get(cluster.id.key)
        self._clusters[cluster.id.key] = replace(_filled(known, cluster) if known else cluster, pools=())
        for pool in cluster.pools:
            self._take_pool(pool)

    def _take_pool(self, pool: FleetPool) -> None:
        known = self._pools.get(pool.id.key)
        if known is None:
            self._pools[pool.id.key] = pool
            return
        different = [
            name
            for name in _COMPARED
            if getattr(known, name) and getattr(pool, name) and getattr(known, name) != getattr(pool, name)
        ]
        if different:
            words = ", ".join(name.replace("_", " ") for name in different)
            what = f"{pool.id.pool} is in {known.origin} too and differs in {words}; that one counts: export them anew"
            self.complain(ProblemKind.CONTRADICTORY, pool.origin, what)
        self._pools[pool.id.key] = _filled(known, pool)

    def _take_size(self, entry: Mapping[str, Any], origin: Origin) -> None:
        try:
            for found in decode_sku(entry, self._values):
                if not isinstance(found, LeftOutSku):
                    location, offer = found
                    self._offers.setdefault(location, {}).setdefault(offer.size.name.lower(), offer)
                elif not found.reason.startswith(("resource type", "extended location")):
                    self.complain(ProblemKind.MISSHAPEN, origin, f"a size was left out: {found.reason}", once=True)
        except Misshapen as misshapen:
            place = f"{origin.path}.{misshapen.place}" if misshapen.place else origin.path
            self.complain(ProblemKind.MISSHAPEN, Origin(origin.file, origin.line, place), misshapen.expected)


def _with_pools(cluster: FleetCluster, pools: list[FleetPool]) -> FleetCluster:
    """The cluster with its node pools; one that tells no Kubernetes version runs its cluster's."""
    told = [replace(pool, version=cluster.version) if pool.version is None else pool for pool in pools]
    return replace(cluster, pools=tuple(sorted(told, key=lambda pool: pool.id.key)))


def _filled(known: R, other: R) -> R:
    """The first, with what only the other says."""
    gaps = {
        part.name: getattr(other, part.name)
        for part in fields(known)
        if getattr(known, part.name) in (None, (), {}) and getattr(other, part.name) not in (None, (), {})
    }
    return replace(known, **gaps)


def _place(problem: Problem) -> tuple[str, int, str, str]:
    return problem.origin.file, problem.origin.line, problem.origin.path, problem.what
