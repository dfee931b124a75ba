"""Whether the machines that a change needs may be had: by quota, and by the restrictions of their sizes.

Invariant: what is asked for is what the waves will start, surge included, for it is read off the very rollout that the
operation will carry out (`operations/waves.py`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from sqlalchemy.engine import Connection

from poolwright.catalog.catalog import Catalog
from poolwright.domain import quota
from poolwright.domain.admission import error_of
from poolwright.domain.node_pool import NodePool
from poolwright.domain.restriction import refused_growth
from poolwright.domain.rollout import PresentMachine, Rollout, moments_together
from poolwright.domain.surroundings import Surroundings
from poolwright.operations.waves import planned_rollout, present_machines
from poolwright.store import statements


def require_machines(
    connection: Connection, catalog: Catalog, surroundings: Surroundings, pools: Sequence[NodePool]
) -> None:
    """Raise unless the machines of all waves, surge included, are neither restricted nor beyond the quota.

    Raises `SkuNotAvailable`, or the error of the quota that falls short.
    """
    rollouts = [rollout_of(connection, pool) for pool in pools]
    for pool, (present, rollout) in zip(pools, rollouts, strict=True):
        now = Counter(machine.size for machine in present)
        further = {size for moment in rollout.moments(present) for size in moment - now}
        _require_unrestricted(surroundings, pool, sorted(further))
    needed = vcpus_beyond(rollouts, catalog)
    if not needed:
        return
    location = surroundings.cluster.location
    used, limits = vcpus_in_use(connection, catalog, surroundings.subscription, location)
    missing = quota.shortage(needed, used, limits, location=location, names=quota.family_names(catalog.sizes))
    if missing is not None:
        raise missing


def rollout_of(connection: Connection, pool: NodePool) -> tuple[list[PresentMachine], Rollout]:
    """Return the machines there are, as far as is stored, and the waves that would make them the wanted ones."""
    machines = statements.machines_of_pool(connection, pool.id.key)
    seen = {machine.id.key: machine.facts for machine in machines if machine.facts is not None}
    return present_machines(pool, machines, seen), planned_rollout(pool, machines, seen)


def vcpus_beyond(rollouts: Sequence[tuple[Sequence[PresentMachine], Rollout]], catalog: Catalog) -> dict[str, int]:
    """Return the vCPUs by family that the rollouts need at their busiest moment beyond those in use now."""
    now = Counter(machine.size for present, _ in rollouts for machine in present)
    return quota.most_beyond(moments_together(rollouts), now, catalog.size)


def vcpus_in_use(
    connection: Connection, catalog: Catalog, subscription: str, location: str
) -> tuple[dict[str, int], dict[str, int]]:
    """Return vCPUs in use and limits that were set, by family in lower case. The location is in short spelling."""
    counts = statements.machine_counts(connection, subscription, location)
    return quota.used_by_family(counts, catalog.size), statements.quota_limits(connection, subscription, location)


def _require_unrestricted(surroundings: Surroundings, pool: NodePool, further: Sequence[str]) -> None:
    """Raise `SkuNotAvailable` when a size of which machines are needed is restricted where they would be."""
    for name in further:
        offer = surroundings.catalog.offer(name)
        refusal = refused_growth(offer, pool.zones, pool.id.pool, surroundings) if offer is not None else None
        if refusal is not None:
            raise error_of(refusal)
