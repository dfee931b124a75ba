"""The vCPUs that moves need of quota families: each move by itself, and all moves of a fleet together.

Invariant: a size whose family no catalogue tells is never counted to a family that there is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from poolwright.domain.node_pool_kind import Priority
from poolwright.domain.quota import TOTAL
from poolwright.domain.vm_size import VmSize
from poolwright.fleet import commands
from poolwright.fleet.draft import Draft, upgrade_settings
from poolwright.fleet.plan import ClusterPlan, QuotaNeed, QuotaRow, Way

# What Azure counts spot machines against, in the place of a family.
SPOT_FAMILY: Final = "lowPriorityCores"
# What stands before the size in the place of a family that no catalogue tells.
_UNKNOWN_FAMILY: Final = "unknown family of "


def needs_of(draft: Draft) -> Iterator[QuotaNeed]:
    """Yield the vCPUs of each family that gets more during the move, those of the region as a whole at the end."""
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


def quota_rows(clusters: Sequence[ClusterPlan]) -> Iterator[QuotaRow]:
    """Yield the needs of all moves together. What a finished move leaves behind counts for those after it."""
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
