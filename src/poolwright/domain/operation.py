"""Operations: one long-running change each, durable and polled by the client.

    InProgress --> Succeeded
        |--------> Failed
        '--------> Canceled

Invariant: a terminal operation never changes again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any, Final


class OperationStatus(Enum):
    """ARM's operation states."""

    IN_PROGRESS = "InProgress"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    CANCELED = "Canceled"

    @property
    def is_terminal(self) -> bool:
        return self is not OperationStatus.IN_PROGRESS


class OperationKind(Enum):
    """What an operation does; the value is the name of its plan."""

    CREATE_NODE_POOL = "create_node_pool"
    UPDATE_NODE_POOL = "update_node_pool"
    UPGRADE_NODE_IMAGE = "upgrade_node_image"
    ROLLBACK_NODE_POOL = "rollback_node_pool"
    DELETE_MACHINES = "delete_machines"
    REIMAGE_MACHINE = "reimage_machine"
    ABORT_NODE_POOL = "abort_node_pool"
    DELETE_NODE_POOL = "delete_node_pool"
    CREATE_CLUSTER = "create_cluster"
    UPDATE_CLUSTER = "update_cluster"
    STOP_CLUSTER = "stop_cluster"
    START_CLUSTER = "start_cluster"
    ABORT_CLUSTER = "abort_cluster"
    DELETE_CLUSTER = "delete_cluster"
    DELETE_RESOURCE_GROUP = "delete_resource_group"
    CREATE_DEPLOYMENT = "create_deployment"

    @property
    def words(self) -> str:
        """The kind as AKS's messages say it: `create node pool`."""
        return self.value.replace("_", " ").replace("cluster", "managed cluster")


# These have no plan of their own: they end together with the operation they stop.
ABORTS: Final = frozenset({OperationKind.ABORT_NODE_POOL, OperationKind.ABORT_CLUSTER})


class IllegalTransition(ValueError):
    """A terminal operation was asked to change."""


@dataclass(frozen=True, slots=True)
class OperationError:
    """Why an operation failed: ARM code, message, target, and the next move in words.

    `fault` is the name of the fault that caused it, where one did.
    """

    code: str
    message: str
    target: str | None = None
    remedy: str | None = None
    fault: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One operation. Times are UNIX seconds; `pool_keys` are the node pools it changes.

    `generations` counts the machines by observed generation (`V1`, `V2`, `unknown`). `replaced` of
    `to_replace` machines have been replaced. `machines` names those a deletion of machines takes away, or the
    one that is reimaged.
    `until` is when the step under way gives up or goes on. `aborted_by` is the operation that asks this
    one to stop. `cluster_attached` says whether there is a Kubernetes cluster to cordon and drain in,
    None where nothing leaves.
    """

    id: str
    kind: OperationKind
    subscription: str
    location: str
    resource_id: str
    resource_key: str
    pool_keys: tuple[str, ...]
    started: float
    correlation_id: str
    status: OperationStatus = OperationStatus.IN_PROGRESS
    ended: float | None = None
    error: OperationError | None = None
    percent: int = 0
    step: str | None = None
    wave: int = 1
    waves: int = 1
    generations: Mapping[str, int] = field(default_factory=dict)
    replaced: int = 0
    to_replace: int = 0
    machines: tuple[str, ...] = ()
    until: float | None = None
    aborted_by: str | None = None
    cluster_attached: bool | None = None

    def advanced(self, *, step: str, percent: int, wave: int = 1, **progress: Any) -> Operation:
        """Return the operation at that step, with the fields in `progress`. Raises `IllegalTransition` when terminal.

        The percentage never falls and stays below 100; the wave never falls.
        """
        self._require_running()
        return replace(
            self, step=step, percent=max(self.percent, min(percent, 99)), wave=max(self.wave, wave), **progress
        )

    def succeeded(self, now: float, generations: Mapping[str, int]) -> Operation:
        """Return the operation ended well. Raises `IllegalTransition` when it is terminal."""
        self._require_running()
        return replace(
            self,
            status=OperationStatus.SUCCEEDED,
            ended=now,
            percent=100,
            step=None,
            until=None,
            wave=self.waves,
            generations=generations,
        )

    def failed(self, now: float, error: OperationError) -> Operation:
        """Return the operation ended badly. Raises `IllegalTransition` when it is terminal."""
        self._require_running()
        return replace(self, status=OperationStatus.FAILED, ended=now, until=None, error=error)

    def canceled(self, now: float, error: OperationError) -> Operation:
        """Return the operation stopped because somebody aborted it. Raises `IllegalTransition` when it is terminal."""
        self._require_running()
        return replace(self, status=OperationStatus.CANCELED, ended=now, until=None, error=error)

    def _require_running(self) -> None:
        if self.status.is_terminal:
            raise IllegalTransition(f"operation {self.id} is {self.status.value}")
