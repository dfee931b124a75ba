"""What a change of a node pool would come to, told before it is made."""

from __future__ import annotations

from dataclasses import dataclass

from poolwright.domain.change import Difference
from poolwright.domain.node_pool import NodePool
from poolwright.domain.rollout import Rollout


@dataclass(frozen=True, slots=True, kw_only=True)
class WhatIf:
    """What a PUT would do: the node pool after it, the differences, and how the machines would follow.

    `surge_machines` is the most machines beyond the count at any moment, `surge_vcpus` the vCPUs beyond
    those in use now. `controllers` are the disk controllers before and after where they change.
    """

    pool: NodePool
    old: NodePool | None
    differences: tuple[Difference, ...]
    rollout: Rollout
    surge_machines: int
    surge_vcpus: int
    controllers: tuple[str, str] | None
