"""The verbs of what stands beside clusters and node pools: snapshots, maintenance configurations, features.

None of them touches a machine, so each is done when its transaction is: there is no operation to poll.

Invariant: what a snapshot keeps of its node pool is what the node pool showed at that moment, outside any operation.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from enum import Enum
from typing import Any, Final

from sqlalchemy.engine import Connection

from poolwright import errors
from poolwright.control_plane.control_plane import ControlPlane
from poolwright.domain.cluster import ProvisioningState, ResourceGroup
from poolwright.domain.maintenance import NAMES, MaintenanceConfiguration
from poolwright.domain.resource_id import GroupId, MaintenanceId, NodePoolId, SnapshotId
from poolwright.domain.snapshot import Snapshot, captured
from poolwright.store import statements

# The patterns and lengths of names in Azure/azure-rest-api-specs (Snapshots_CreateOrUpdate, Features_Register).
_SNAPSHOT_NAME: Final = re.compile(r"[a-zA-Z0-9]([-_a-zA-Z0-9]{0,61}[a-zA-Z0-9])?")
_FEATURE_NAME: Final = re.compile(r"[a-zA-Z0-9]([-_.a-zA-Z0-9]{0,126}[a-zA-Z0-9])?")
_SOURCE: Final = "properties.creationData.sourceResourceId"

# Features that AKS's pages name for what this service does; their names are known in Azure's spelling.
# AgentPoolVMSSResize: resize-node-pool.md and Azure/azure-cli-extensions#9732.
KNOWN_FEATURES: Final = ("Microsoft.ContainerService/AgentPoolVMSSResize",)


class FeatureState(Enum):
    """Azure's states of a feature, as far as this service has them: nothing takes time here."""

    NOT_REGISTERED = "NotRegistered"
    REGISTERED = "Registered"
    UNREGISTERED = "Unregistered"


class SideResources:
    """All changes to snapshots, maintenance configurations and features.

    Every method takes the connection of the transaction it runs in.
    """

    def __init__(self, plane: ControlPlane, now: Callable[[], float]) -> None:
        self._plane = plane
        self._now = now

    def put_snapshot(
        self,
        connection: Connection,
        snapshot_id: SnapshotId,
        location: str | None,
        source: str | None,
        sent: Mapping[str, Any],
    ) -> tuple[Snapshot, bool]:
        """Take a snapshot of a node pool, or change the tags of one there is; returns it and whether it is new."""
        group = _require_usable_group(connection, snapshot_id.group_id)
        place = self._plane.require_location(location or group.location, "location")
        old = statements.snapshot(connection, snapshot_id.key)
        if old is None:
            made = self._taken(connection, group, snapshot_id, place, source, sent)
            statements.put_snapshot(connection, made)
            return made, True
        if place != old.location:
            raise errors.InvalidResourceLocation(
                f"The resource '{old.id.snapshot}' already exists in location '{old.location}' in resource group "
                f"'{group.id.group}'. A resource with the same name cannot be created in location '{place}'. Please "
                "select a new resource name.",
                target="location",
                remedy="choose another name, or delete the snapshot first",
            )
        if source is not None and source.lower() != old.source.lower():
            raise errors.PropertyChangeNotAllowed(
                f"Changing property '{_SOURCE}' is not allowed.",
                target=_SOURCE,
                remedy="take another snapshot, under another name",
            )
        changed = replace(old, sent=sent)
        statements.put_snapshot(connection, changed)
        return changed, False

    def put_snapshot_tags(self, connection: Connection, snapshot_id: SnapshotId, tags: Mapping[str, str]) -> Snapshot:
        """Store other tags for a snapshot; nothing else of it changes."""
        group = _require_usable_group(connection, snapshot_id.group_id)
        old = statements.snapshot(connection, snapshot_id.key)
        if old is None:
            raise no_snapshot(snapshot_id.snapshot, group.id.group)
        changed = replace(old, sent={**old.sent, "tags": dict(tags)})
        statements.put_snapshot(connection, changed)
        return changed

    def delete_snapshot(self, connection: Connection, snapshot_id: SnapshotId) -> bool:
        """Delete a snapshot; False when there is none. Node pools made from it keep their node image."""
        _require_usable_group(connection, snapshot_id.group_id)
        return statements.delete_snapshot(connection, snapshot_id.key)

    def put_maintenance_configuration(
        self, connection: Connection, maintenance_id: MaintenanceId, sent: Mapping[str, Any]
    ) -> bool:
        """Store a maintenance configuration of a cluster; returns whether it is new."""
        group = _require_usable_group(connection, maintenance_id.cluster_id.group_id)
        cluster = statements.cluster(connection, maintenance_id.cluster_id.key)
        if cluster is None or cluster.state is ProvisioningState.DELETING:
            raise errors.ParentResourceNotFound(
                "Failed to perform 'write' on resource(s) of type 'managedClusters/maintenanceConfigurations', because "
                f"the parent resource '{maintenance_id.cluster_id}' could not be found.",
                remedy=f"create the cluster first; `az aks list --resource-group {group.id.group}` shows what exists",
            )
        name = next((known for known in NAMES if known.lower() == maintenance_id.name.lower()), None)
        if name is None:
            raise errors.InvalidParameter(
                f"The maintenance configuration name '{maintenance_id.name}' is invalid. AKS has {', '.join(NAMES)}.",
                target="name",
                remedy=f"choose one of {', '.join(NAMES)}",
            )
        old = statements.maintenance_configuration(connection, maintenance_id.key)
        made = MaintenanceConfiguration(id=MaintenanceId(cluster.id, name), sent=sent)
        statements.put_maintenance_configuration(connection, made)
        return old is None

    def delete_maintenance_configuration(self, connection: Connection, maintenance_id: MaintenanceId) -> bool:
        """Delete a maintenance configuration; False when there is none."""
        return statements.delete_maintenance_configuration(connection, maintenance_id.key)

    def put_feature(self, connection: Connection, subscription: str, name: str, state: FeatureState) -> str:
        """Store the state of a feature named `namespace/feature`; returns the name in Azure's spelling."""
        spelled = feature_name(name)
        statements.put_feature(connection, subscription, spelled, state.value)
        return spelled

    def _taken(
        self,
        connection: Connection,
        group: ResourceGroup,
        snapshot_id: SnapshotId,
        location: str,
        source: str | None,
        sent: Mapping[str, Any],
    ) -> Snapshot:
        require_snapshot_name(snapshot_id.snapshot)
        if source is None:
            raise errors.InvalidParameter(
                f"The value of parameter {_SOURCE} is invalid: it is required.",
                target=_SOURCE,
                remedy="send the ID of a node pool (az aks nodepool snapshot create --nodepool-id)",
            )
        pool_id = NodePoolId.parse(source)
        pool = statements.node_pool(connection, pool_id.key) if pool_id is not None else None
        if pool is None or not _are_of_one_tenant(connection, snapshot_id.group_id, pool.id.cluster_id.group_id):
            raise errors.InvalidParameter(
                f"The node pool '{source}' was not found.",
                target=_SOURCE,
                remedy="send the id that `az aks nodepool show` prints",
            )
        cluster = statements.cluster(connection, pool.id.cluster_id.key)
        assert cluster is not None
        if cluster.location != location:
            raise errors.InvalidParameter(
                f"The snapshot would be in location '{location}' and its node pool is in '{cluster.location}': a "
                "snapshot is taken in the region of its node pool, and can be used in others.",
                target="location",
                remedy=f"send location {cluster.location}",
            )
        if pool.operation_id is not None:
            raise errors.OperationNotAllowed(
                f"Agent pool '{pool.id.pool}' is in an operation (operation ID: {pool.operation_id}), which may change "
                "its node image. A snapshot is taken when it has ended.",
                remedy="wait for the operation to finish",
            )
        return Snapshot(
            id=SnapshotId(group.id, snapshot_id.snapshot),
            location=location,
            source=str(pool.id),
            sent=sent,
            configuration=captured(pool),
            created=self._now(),
        )


def require_snapshot_name(name: str) -> None:
    """Raise `InvalidParameter` for a name that no snapshot can have."""
    if _SNAPSHOT_NAME.fullmatch(name) is None:
        raise errors.InvalidParameter(
            f"The snapshot name '{name}' is invalid: it has 1 to 63 letters, digits, underscores and hyphens, a letter "
            "or digit at both ends.",
            target="name",
            remedy="choose another name",
        )


def feature_name(name: str) -> str:
    """Return a feature's name in Azure's spelling, where that is known. Raises `InvalidParameter`."""
    if _FEATURE_NAME.fullmatch(name.rpartition("/")[2]) is None:
        raise errors.InvalidParameter(
            f"The feature name '{name.rpartition('/')[2]}' is invalid: it has letters, digits, periods, underscores "
            "and hyphens.",
            target="featureName",
            remedy="use the name the page of the feature gives",
        )
    return next((known for known in KNOWN_FEATURES if known.lower() == name.lower()), name)


def no_snapshot(snapshot: str, group: str) -> errors.ResourceNotFound:
    """Return the refusal of a snapshot that does not exist, in ARM's words."""
    return errors.ResourceNotFound(
        f"The Resource 'Microsoft.ContainerService/snapshots/{snapshot}' under resource group '{group}' was not found. "
        "For more details please go to https://aka.ms/ARMResourceNotFoundFix",
        remedy="`az aks nodepool snapshot list` shows what exists",
    )


def _require_usable_group(connection: Connection, group_id: GroupId) -> ResourceGroup:
    """The resource group, which exists and is not being deleted."""
    group = statements.group(connection, group_id.key)
    if group is None or group.state is ProvisioningState.DELETING:
        raise errors.ResourceGroupNotFound(
            f"Resource group '{group_id.group}' could not be found"
            + (" any more: it is being deleted." if group is not None else "."),
            remedy=f"create it: az group create --name {group_id.group} --location <location>",
        )
    return group


def _are_of_one_tenant(connection: Connection, *groups: GroupId) -> bool:
    return len(statements.tenants_of(connection, {group.subscription for group in groups})) == 1
