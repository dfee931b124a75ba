"""Node pools: what is asked for, and what the service keeps.

Invariant: a `NodePool` is a goal together with the decision behind it; how it comes about is an operation's affair.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from poolwright.domain.cluster import ProvisioningState
from poolwright.domain.generation import Generation
from poolwright.domain.image_resolution import ResolutionWarning
from poolwright.domain.machine import Witness
from poolwright.domain.node_pool_kind import Mode, PoolType, PowerState, Priority, ScaleDownMode
from poolwright.domain.operation import OperationError
from poolwright.domain.os_sku import OsSku, OsType
from poolwright.domain.profile import Profile
from poolwright.domain.resource_id import NodePoolId
from poolwright.domain.rules import Rule
from poolwright.domain.upgrade_settings import UpgradeSettings
from poolwright.domain.wish import ABSENT, Absent, Wish


@dataclass(frozen=True, slots=True)
class ScaleProfile:
    """So many machines of one size. A VirtualMachines pool may have several."""

    size: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NodePoolRequest:
    """A PUT of a node pool as decoded. None means not given.

    `sent` is all of its properties and `beside` what stood beside them, both without read-only parts. Of
    `vm_generation` and `vpmem_mib`, ABSENT is not given and None takes back what was asked for.
    """

    sent: Mapping[str, Any]
    beside: Mapping[str, Any] = field(default_factory=dict)
    vm_generation: Generation | Absent | None
    vm_size: str | None = None
    os_type: OsType | None = None
    os_sku: OsSku | None = None
    count: int | None = None
    kubernetes_version: str | None = None
    mode: Mode | None = None
    pool_type: PoolType | None = None
    priority: Priority | None = None
    power: PowerState | None = None
    fips: bool | None = None
    vtpm: bool | None = None
    secure_boot: bool | None = None
    workload_runtime: str | None = None
    gpu_driver: str | None = None
    autoscaling: bool | None = None
    min_count: int | None = None
    max_count: int | None = None
    os_disk_type: str | None = None
    os_disk_size_gb: int | None = None
    max_pods: int | None = None
    zones: tuple[str, ...] | None = None
    subnet: str | None = None
    host_group: str | None = None
    gpu_instance_profile: str | None = None
    node_image: str | None = None
    snapshot: str | None = None
    manual_scale: tuple[ScaleProfile, ...] | None = None
    upgrade: UpgradeSettings | None = None
    scale_down: ScaleDownMode | None = None
    vpmem_mib: int | Absent | None = ABSENT


@dataclass(frozen=True, slots=True, kw_only=True)
class GoodState:
    """What a node pool was when an operation on it succeeded: all that rolling its machines can change.

    `since` is in UNIX seconds.
    """

    scale: tuple[ScaleProfile, ...]
    os_sku: OsSku
    wish: Wish | None
    generation: Generation
    rule: Rule
    image_definition: str
    node_image: str
    wanted_version: str
    version: str
    fips: bool
    vtpm: bool
    secure_boot: bool
    since: float
    snapshot: str | None = None
    vpmem_mib: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NodePool:
    """A node pool as the service keeps it: the goal, the decision behind it, and how far it is.

    `observed` counts machines by observed generation (`V1`, `V2`, `unknown`). `promised` is the count the
    pool had before its last change and keeps while machines are replaced. `good` is the state the last
    successful operation left, `before` the one before that, both for going back. `cluster_stopped` holds
    while the whole cluster is stopped. `snapshot` is the ID of the snapshot its node image is from.
    `vpmem_mib` is the virtualized persistent memory of each machine in MiB, None where none was asked for.
    """

    id: NodePoolId
    sent: Mapping[str, Any]
    beside: Mapping[str, Any] = field(default_factory=dict)
    mode: Mode
    os_type: OsType
    os_sku: OsSku
    scale: tuple[ScaleProfile, ...]
    wanted_version: str
    version: str
    pool_type: PoolType
    priority: Priority
    power: PowerState
    fips: bool
    vtpm: bool
    secure_boot: bool
    workload_runtime: str
    gpu_driver: str | None
    autoscaling: bool
    min_count: int | None
    max_count: int | None
    os_disk_type: str
    os_disk_size_gb: int
    max_pods: int
    zones: tuple[str, ...]
    subnet: str | None
    host_group: str | None
    gpu_instance_profile: str | None
    wish: Wish | None
    generation: Generation
    image_definition: str
    node_image: str
    rule: Rule
    warnings: tuple[ResolutionWarning, ...]
    profile: Profile
    engine: str
    late_failure: OperationError | None
    etag: str
    state: ProvisioningState
    operation_id: str | None = None
    error: OperationError | None = None
    observed: Mapping[str, int] = field(default_factory=dict)
    observed_by: Witness | None = None
    upgrade: UpgradeSettings = field(default_factory=UpgradeSettings)
    scale_down: ScaleDownMode = ScaleDownMode.DELETE
    promised: int = 0
    good: GoodState | None = None
    before: GoodState | None = None
    cluster_stopped: bool = False
    snapshot: str | None = None
    vpmem_mib: int | None = None

    @property
    def count(self) -> int:
        return sum(profile.count for profile in self.scale)

    @property
    def vm_size(self) -> str:
        """The size of the first scale profile; scale-set pools have one."""
        return self.scale[0].size

    @property
    def is_running(self) -> bool:
        """Whether its machines should run: neither it nor its cluster is stopped."""
        return self.power is PowerState.RUNNING and not self.cluster_stopped

    @property
    def last_good(self) -> GoodState | None:
        """The state to go back to: the one before a change that failed, else the one before the last change."""
        if self.good is None or is_same_state(good_state(self, 0), self.good):
            return self.before
        return self.good


def good_state(pool: NodePool, since: float) -> GoodState:
    """Return what of the node pool can be gone back to."""
    return GoodState(
        scale=pool.scale,
        os_sku=pool.os_sku,
        wish=pool.wish,
        generation=pool.generation,
        rule=pool.rule,
        image_definition=pool.image_definition,
        node_image=pool.node_image,
        wanted_version=pool.wanted_version,
        version=pool.version,
        fips=pool.fips,
        vtpm=pool.vtpm,
        secure_boot=pool.secure_boot,
        since=since,
        snapshot=pool.snapshot,
        vpmem_mib=pool.vpmem_mib,
    )


def same_again(pool: NodePool) -> NodePoolRequest:
    """Return the request that leaves the node pool as it is, for verbs that change one thing of it."""
    return NodePoolRequest(
        sent=pool.sent,
        beside=pool.beside,
        vm_generation=ABSENT,
        autoscaling=pool.autoscaling,
        min_count=pool.min_count,
        max_count=pool.max_count,
    )


def is_same_state(one: GoodState, other: GoodState) -> bool:
    """Whether going from one to the other would change nothing that counts; counts and times do not."""

    def comparable(state: GoodState) -> dict[str, object]:
        sizes = [profile.size for profile in state.scale]
        return {name: getattr(state, name) for name in _COMPARED} | {"sizes": sizes}

    return comparable(one) == comparable(other)


_COMPARED = ("os_sku", "wish", "generation", "node_image", "version", "fips", "vtpm", "secure_boot", "vpmem_mib")
