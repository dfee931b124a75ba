"""What a plan tells people about a move beside its steps: what to look at before, and what checks should find.

Invariant: nothing here decides about a move.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from poolwright.domain.os_sku import OsSku
from poolwright.domain.vm_size import VmSize
from poolwright.fleet.values import FleetPool
from poolwright.reports.numbers import counted

# Properties that bind a node pool to a size or to machines, and what to look at before it gets another.
_BOUND: Final = {
    "capacityReservationGroupID": "its capacity reservation group has to have reservations of the new size",
    "hostGroupID": "its dedicated hosts have to take the new size",
    "proximityPlacementGroupID": "its proximity placement group pins it to a place that may not have the new size",
    "creationData": "it is from a snapshot, which holds the old image; the new one is not",
    "nodePublicIPPrefixID": "its public addresses are from a prefix that has to have room for both",
    "localDNSProfile": "it has a local DNS profile, which is sent along",
}


def remarks_on(
    pool: FleetPool,
    sizes: Sequence[tuple[VmSize, VmSize]],
    *,
    os_sku: OsSku | None,
    has_new_pool: bool,
    offers_version: bool,
) -> Iterator[str]:
    """Yield what to look at before a node pool moves from each size to the other.

    `os_sku` is the one that the overrides decide; `has_new_pool` is whether the move makes a node pool,
    `offers_version` whether such a one can have the Kubernetes version.
    """
    for old, new in sizes:
        if old.architecture is not new.architecture:
            yield other_architecture(old.name, old.architecture.value, new.name, new.architecture.value)
    for name, remark in _BOUND.items():
        if name in pool.properties:
            yield remark
    if has_new_pool:
        yield (
            f"workloads that ask for the node pool by name (kubernetes.azure.com/agentpool={pool.id.pool}) have to be "
            "changed before the drain"
        )
        if not offers_version:
            yield f"Kubernetes {pool.version} may no longer be given to new node pools; upgrade the cluster first"
    if pool.properties.get("osDiskType") == "Ephemeral" and any(new.ephemeral_os_disk is None for _, new in sizes):
        yield "its OS disk is ephemeral; whether the new size has room for that is not known"
    if pool.properties.get("kubeletDiskType") == "Temporary":
        yield "its pods use the temporary disk; see whether the new size has one"
    if pool.properties.get("enableUltraSSD") is True:
        yield "it uses Ultra disks; see whether the new size takes them in its zones"
    if os_sku is not None:
        yield f"its OS becomes {os_sku.value}, which is decided in the overrides; container images have to match"


def other_architecture(old: str, before: str, new: str, after: str) -> str:
    """Return the warning that a size has another CPU architecture, which only the overrides can decide."""
    return (
        f"warning: {new} is {after} and {old} is {before}: every container image that runs there has to exist for "
        f"{after}, or its pods do not start"
    )


def nodes_of(pool: FleetPool) -> str:
    """Return how many nodes a node pool of these properties has, as a check says it."""
    if not pool.autoscaling:
        return f"{counted(pool.count, 'node')}, all Ready" if pool.count else "no nodes: it has none until it is scaled"
    return f"{machines_of(pool)} nodes, as the autoscaler has it, all Ready"


def machines_of(pool: FleetPool) -> str:
    """Return the number of its machines, for an autoscaled node pool its bounds."""
    if not pool.autoscaling:
        return f"{pool.count:,}"
    return f"{pool.min_count or 0:,} to {max(pool.max_count or 0, pool.count):,}"
