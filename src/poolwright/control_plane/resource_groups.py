"""The verbs of resource groups.

Invariant: a resource group is deleted only when none of its clusters and node pools is in an operation, and does not
change while it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from sqlalchemy.engine import Connection

from poolwright import errors
from poolwright.control_plane.acceptance import Acceptance
from poolwright.control_plane.calls import Accepted, Call
from poolwright.control_plane.names import require_group_name
from poolwright.control_plane.preconditions import in_progress, require_group, require_idle_cluster
from poolwright.domain.cluster import ProvisioningState, ResourceGroup
from poolwright.domain.operation import OperationKind
from poolwright.domain.resource_id import GroupId
from poolwright.store import statements


class ResourceGroups:
    """All changes to resource groups. Every method takes the connection of the transaction it runs in."""

    def __init__(self, acceptance: Acceptance) -> None:
        self._acceptance = acceptance

    def put(
        self, connection: Connection, group_id: GroupId, location: str, sent: dict[str, object]
    ) -> tuple[ResourceGroup, bool]:
        """Store a resource group; returns it and whether it is new."""
        require_group_name(group_id.group)
        place = self._acceptance.require_location(location, "location")
        old = statements.group(connection, group_id.key)
        if old is not None:
            if old.location != place:
                raise errors.InvalidResourceLocation(
                    f"Invalid resource group location '{location}'. The Resource group already exists in location "
                    f"'{old.location}'.",
                    target="location",
                    remedy="choose another name, or delete the resource group first",
                )
            if old.operation_id is not None:
                raise in_progress(connection, old.operation_id, f"resource group {old.id.group}")
            group = replace(old, sent=sent)
        else:
            group = ResourceGroup(id=group_id, location=place, sent=sent)
        statements.put_group(connection, group, self._acceptance.render.resource_group(group))
        return group, old is None

    def put_tags(self, connection: Connection, group_id: GroupId, tags: Mapping[str, str]) -> None:
        """Store other tags for a resource group; nothing else of it changes."""
        group = require_group(connection, group_id)
        if group.operation_id is not None:
            raise in_progress(connection, group.operation_id, f"resource group {group.id.group}")
        changed = replace(group, sent={**group.sent, "tags": dict(tags)})
        statements.put_group(connection, changed, self._acceptance.render.resource_group(changed))

    def delete(self, connection: Connection, group_id: GroupId, call: Call) -> Accepted:
        """Accept the deletion of a resource group with everything in it."""
        group = require_group(connection, group_id)
        if group.operation_id is not None:
            raise in_progress(connection, group.operation_id, f"resource group {group.id.group}")
        pool_keys: list[str] = []
        for cluster in statements.clusters_of_group(connection, group.id):
            pool_keys += require_idle_cluster(connection, cluster)
        operation = self._acceptance.operation(
            connection,
            OperationKind.DELETE_RESOURCE_GROUP,
            group.id,
            group.location,
            str(group.id),
            group.id.key,
            pool_keys,
            call,
        )
        deleting = replace(group, state=ProvisioningState.DELETING, operation_id=operation.id)
        statements.put_group(connection, deleting, self._acceptance.render.resource_group(deleting))
        return self._acceptance.accept(connection, operation)
