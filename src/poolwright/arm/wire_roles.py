"""Role assignments and role definitions as JSON.

Invariant: no assignment is read that would grant more than was asked for: what is not offered is refused.
"""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import Field

from poolwright import errors
from poolwright.arm.sent import Json, Sent, Text, checked
from poolwright.arm.wire import GUID, timestamp
from poolwright.domain.roles import ASSIGNMENT_TYPE, DEFINITION_TYPE, Role, RoleAssignment, WantedAssignment


class _AssignmentProperties(Sent):
    roleDefinitionId: str
    principalId: Annotated[str, Field(pattern=GUID)]
    description: Text = None
    condition: Text = None


class AssignmentBody(Sent):
    properties: _AssignmentProperties


def decode_role_assignment(body: Json, subscription: str, name: str) -> WantedAssignment:
    """Return the wish of a role assignment's PUT. Raises `InvalidParameter` for a name that is no GUID.

    So it does for a condition, which would be ignored.
    """
    if re.fullmatch(GUID, name, re.IGNORECASE | re.ASCII) is None:
        raise errors.InvalidParameter(
            f"The role assignment ID '{name}' is not valid. The role assignment ID must be a GUID.",
            target="roleAssignmentName",
            remedy="name the assignment with a new GUID",
        )
    sent = checked(AssignmentBody, body, "").properties
    if sent.condition is not None:
        raise errors.InvalidParameter(
            "Conditions of role assignments are not offered: the role would be granted without them.",
            target="properties.condition",
            remedy="assign the role without a condition, or at a narrower scope",
        )
    definition = sent.roleDefinitionId.strip("/").lower()
    scope, _, role_id = definition.rpartition(f"providers/{DEFINITION_TYPE.lower()}/")
    if not definition.startswith("providers/") and scope.strip("/").split("/")[:2] != ["subscriptions", subscription]:
        raise errors.RoleDefinitionDoesNotExist(
            f"The specified role definition with ID '{sent.roleDefinitionId}' does not exist.",
            target="properties.roleDefinitionId",
            remedy=f"name one of the subscription: /subscriptions/{subscription}/providers/{DEFINITION_TYPE}/<GUID>",
        )
    return WantedAssignment(role_id, sent.principalId, sent.description)


def encode_role_assignment(assignment: RoleAssignment, subscription: str) -> Json:
    """Return a role assignment as ARM shows it."""
    properties = {
        "roleDefinitionId": _role_definition_id(assignment.role_id, subscription),
        "principalId": assignment.principal_id,
        "principalType": "ServicePrincipal",
        "scope": assignment.scope,
        "createdOn": timestamp(assignment.created),
        "updatedOn": timestamp(assignment.updated),
        "description": assignment.description,
        "createdBy": assignment.created_by,
        "updatedBy": assignment.updated_by,
    }
    return {
        "properties": {name: value for name, value in properties.items() if value is not None},
        "id": assignment.id,
        "type": ASSIGNMENT_TYPE,
        "name": assignment.name,
    }


def encode_role(role: Role, subscription: str) -> Json:
    """Return a role definition as ARM shows it."""
    return {
        "properties": {
            "roleName": role.name,
            "type": "BuiltInRole",
            "description": role.description,
            "assignableScopes": ["/"],
            "permissions": [
                {
                    "actions": role.actions,
                    "notActions": role.not_actions,
                    "dataActions": [],
                    "notDataActions": [],
                }
            ],
        },
        "id": _role_definition_id(role.id, subscription),
        "type": DEFINITION_TYPE,
        "name": role.id,
    }


def _role_definition_id(role_id: str, subscription: str) -> str:
    return f"/subscriptions/{subscription}/providers/{DEFINITION_TYPE}/{role_id}"
