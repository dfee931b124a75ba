"""What a plan is: per node pool the size, the way to Generation 2, the steps, the checks and the way back.

    new pool:  confirm -> add-pool -> [hold-autoscaler] -> cordon -> drain -> delete-pool
    in place:  confirm -> change

It is carried out cluster by cluster in any order or side by side; within a cluster one move after the other. How one is
made stands in `planning.py`.

Invariant: a plan is a document: what is read back from its JSON is the plan that was written.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import Any, Final, Literal

from poolwright.fleet.audit import End, InputProblem, Move, Urgency
from poolwright.fleet.document import Document, Finding

SCHEMA_VERSION: Final = 1


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
