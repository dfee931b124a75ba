"""A fleet as its exports tell it: clusters, node pools, the sizes of a subscription, and what could not be read.

Invariant: what an export does not say is `None` here, never a default; whoever assumes something says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from poolwright.domain.generation import Generation
from poolwright.domain.kubernetes_version import KubernetesVersion
from poolwright.domain.node_pool import ScaleProfile
from poolwright.domain.node_pool_kind import Mode, PoolType, PowerState, Priority
from poolwright.domain.offer import Offer
from poolwright.domain.os_sku import OsSku, OsType
from poolwright.domain.resource_id import ClusterId, NodePoolId


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an export says it: the file, the line (from 1; 0 is the whole file), and the path in the document."""

    file: str
    line: int = 0
    path: str = ""

    def __str__(self) -> str:
        return ":".join(str(part) for part in (self.file, self.line, self.path) if part)


class ProblemKind(Enum):
    """Why a part of the input is not, or not wholly, in the fleet."""

    UNREADABLE = "unreadable"  # no file, or no text
    BROKEN = "broken"  # no JSON
    UNKNOWN = "unknown"  # JSON that is no export known here
    MISSHAPEN = "misshapen"  # an export with a value of another kind
    INCOMPLETE = "incomplete"  # the export says itself that more was to come
    CONTRADICTORY = "contradictory"  # two exports that say different things of one resource


@dataclass(frozen=True, slots=True)
class Problem:
    """A part of the input that was not taken, and why. Everything else was."""

    kind: ProblemKind
    origin: Origin
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetPool:
    """A node pool as exported. `None` is what the export does not say.

    `scale` has one size, except in a VirtualMachines pool; `counts_told` is whether it tells how many machines of each,
    else they stand there as 0. `machines` is how many they are together, where it tells. `stated` is the generation
    that the service which wrote the export states; Azure states none. `state` is the provisioning state. `properties`
    are all of its properties that a PUT could carry, by ARM's names.
    """

    id: NodePoolId
    origin: Origin
    scale: tuple[ScaleProfile, ...] = ()
    counts_told: bool | None = None
    machines: int | None = None
    os_type: OsType | None = None
    os_sku: OsSku | None = None
    version: KubernetesVersion | None = None
    node_image: str | None = None
    stated: Generation | None = None
    mode: Mode | None = None
    pool_type: PoolType | None = None
    priority: Priority | None = None
    power: PowerState | None = None
    state: str | None = None
    fips: bool | None = None
    vtpm: bool | None = None
    secure_boot: bool | None = None
    workload_runtime: str | None = None
    gpu_driver: str | None = None
    autoscaling: bool | None = None
    min_count: int | None = None
    max_count: int | None = None
    zones: tuple[str, ...] = ()
    etag: str | None = None
    properties: Mapping[str, Any] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """How many machines it has, as far as it tells how many of each size."""
        return sum(profile.count for profile in self.scale)

    @property
    def role(self) -> Mode:
        """What it is moved as: its mode, and without one a system node pool wherever AKS takes it for one.

        A cluster needs one of those, so that none is lost. Source: use-system-pools.md (rule 56)
        """
        never_system = self.os_type is OsType.WINDOWS or self.priority is Priority.SPOT
        return self.mode or (Mode.USER if never_system else Mode.SYSTEM)

    @property
    def sizes(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(profile.size for profile in self.scale))


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetCluster:
    """A cluster as exported, with its node pools by name. One that only its node pools tell of has no location."""

    id: ClusterId
    origin: Origin
    location: str | None = None
    version: KubernetesVersion | None = None
    power: PowerState | None = None
    state: str | None = None
    pools: tuple[FleetPool, ...] = ()


@dataclass(frozen=True, slots=True)
class Fleet:
    """Everything the exports told. `offers` are the sizes of `az vm list-skus`, by location."""

    clusters: tuple[FleetCluster, ...]
    offers: Mapping[str, tuple[Offer, ...]]
    problems: tuple[Problem, ...]

    @property
    def locations(self) -> tuple[str, ...]:
        return tuple(sorted({cluster.location for cluster in self.clusters if cluster.location}))
