"""ARM resource IDs of the resources this product has.

Invariant: an ID keeps the case its names were created with; `key` is the lower-case form that all
look-ups use, because Azure compares IDs without case.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

CLUSTER_TYPE = "Microsoft.ContainerService/managedClusters"
NODE_POOL_TYPE = f"{CLUSTER_TYPE}/agentPools"
MACHINE_TYPE = f"{NODE_POOL_TYPE}/machines"
MAINTENANCE_TYPE = f"{CLUSTER_TYPE}/maintenanceConfigurations"
SNAPSHOT_TYPE = "Microsoft.ContainerService/snapshots"


@dataclass(frozen=True, slots=True)
class GroupId:
    """A resource group of a subscription."""

    subscription: str
    group: str

    def __str__(self) -> str:
        return f"/subscriptions/{self.subscription}/resourceGroups/{self.group}"

    @property
    def key(self) -> str:
        return str(self).lower()


@dataclass(frozen=True, slots=True)
class ClusterId:
    """A managed cluster of a resource group."""

    group_id: GroupId
    cluster: str

    def __str__(self) -> str:
        return f"{self.group_id}/providers/{CLUSTER_TYPE}/{self.cluster}"

    @property
    def key(self) -> str:
        return str(self).lower()


@dataclass(frozen=True, slots=True)
class NodePoolId:
    """A node pool of a cluster."""

    cluster_id: ClusterId
    pool: str

    def __str__(self) -> str:
        return f"{self.cluster_id}/agentPools/{self.pool}"

    @property
    def key(self) -> str:
        return str(self).lower()


@dataclass(frozen=True, slots=True)
class MachineId:
    """A machine of a node pool."""

    pool_id: NodePoolId
    machine: str

    def __str__(self) -> str:
        return f"{self.pool_id}/machines/{self.machine}"

    @property
    def key(self) -> str:
        return str(self).lower()


@dataclass(frozen=True, slots=True)
class SnapshotId:
    """A node pool snapshot of a resource group."""

    group_id: GroupId
    snapshot: str

    @classmethod
    def parse(cls, text: str) -> SnapshotId | None:
        """Return the ID that the text is, ignoring case; None when it is none of a snapshot."""
        match = _SNAPSHOT_ID.fullmatch(text)
        return cls(GroupId(match[1].lower(), match[2]), match[3]) if match is not None else None

    def __str__(self) -> str:
        return f"{self.group_id}/providers/{SNAPSHOT_TYPE}/{self.snapshot}"

    @property
    def key(self) -> str:
        return str(self).lower()


_SNAPSHOT_ID = re.compile(
    rf"/subscriptions/([^/]+)/resourceGroups/([^/]+)/providers/{SNAPSHOT_TYPE}/([^/]+)", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class MaintenanceId:
    """A maintenance configuration of a cluster."""

    cluster_id: ClusterId
    name: str

    def __str__(self) -> str:
        return f"{self.cluster_id}/maintenanceConfigurations/{self.name}"

    @property
    def key(self) -> str:
        return str(self).lower()
