"""vCPU quota: per family and location, as Azure counts it.

Invariant: every machine there is counts, stopped and surge ones too; deallocated VMs count on Azure as well. Families
are keys in lower case everywhere here, because Azure itself spells them in several ways.
Source: https://learn.microsoft.com/azure/virtual-machines/quotas
"""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from poolwright import errors
from poolwright.domain.vm_size import VmSize

# What Azure calls "Total Regional vCPUs".
TOTAL: Final = "cores"
# Per family and for the total. Generous on purpose, and ours: new Azure subscriptions have 10 to 100 vCPUs.
DEFAULT_LIMIT: Final = 100_000


def family_of(size: VmSize) -> str:
    """Return the name a size's quota goes by, in lower case: its family, or the size itself where none is known."""
    return (size.family or size.name).lower()


def family_names(sizes: Iterable[VmSize]) -> dict[str, str]:
    """Return the families by their lower-case name in Azure's spelling."""
    return {family_of(size): size.family or size.name for size in sizes}


def used_by_family(counts: Mapping[str, int], size_of: Callable[[str], VmSize | None]) -> dict[str, int]:
    """Return the vCPUs that so many machines of each size take, by family, with their sum under `cores` at the end.

    `size_of` answers None for a size that has left the catalogue; its machines count nothing.
    """
    used: Counter[str] = Counter()
    for name, number in counts.items():
        size = size_of(name)
        if size is not None:
            used[family_of(size)] += number * size.vcpus
    return {**used, TOTAL: used.total()}


def most_beyond(
    moments: Iterable[Mapping[str, int]], now: Mapping[str, int], size_of: Callable[[str], VmSize | None]
) -> dict[str, int]:
    """Return the vCPUs that the moments need beyond those of `now`, by family with `cores` at the end.

    `moments` and `now` are machines by size. Each family has the moment at which most of it is needed, so that
    machines which are not there at the same time are not added up; a family of which no more is needed is left out.
    """
    present = used_by_family(now, size_of)
    most: Counter[str] = Counter()
    for moment in moments:
        most |= Counter(used_by_family(moment, size_of))
    beyond = {family: vcpus - present.get(family, 0) for family, vcpus in most.items()}
    return {family: vcpus for family, vcpus in sorted(beyond.items(), key=lambda each: each[0] == TOTAL) if vcpus > 0}


def shortage(
    needed: Mapping[str, int],
    used: Mapping[str, int],
    limits: Mapping[str, int],
    *,
    location: str,
    names: Mapping[str, str],
) -> errors.InsufficientVcpuQuota | None:
    """Return the refusal of the first family of which more is needed than is left, in AKS's words, or None.

    `needed` comes on top of `used`; `names` has the families as they are shown. A family without a limit has
    `DEFAULT_LIMIT`. Source of the wording: a reply of AKS quoted in public (docs/compatibility.md).
    """
    for family, vcpus in needed.items():
        taken = used.get(family, 0)
        remaining = max(0, limits.get(family, DEFAULT_LIMIT) - taken)
        if vcpus > remaining:
            name = names.get(family, family)
            return errors.InsufficientVcpuQuota(
                f"Insufficient vcpu quota requested {vcpus}, remaining {remaining} for family "
                f"{name} for region {location}. If you want to increase the quota, please follow "
                "this instruction: https://learn.microsoft.com/en-us/azure/quotas/view-quotas. Surge nodes would also "
                "consume vcpu quota, please consider use smaller maxSurge or use maxUnavailable to proceed upgrade "
                "without surge nodes, details: aka.ms/aks/maxUnavailable.",
                target="properties.count",
                # Some families have blanks in their names.
                remedy=f"raise it: poolwright quota set {shlex.quote(name)} {taken + vcpus} --location {location}; "
                "or choose a smaller count, size or maxSurge",
                information={"family": name, "requested": vcpus, "remaining": remaining},
            )
    return None
