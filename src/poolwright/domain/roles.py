"""Who may do what: Azure's built-in roles as rows, and what an assignment of one covers.

A role assigned at a scope holds for the scope and everything below it. Of one role, what `not_actions`
name is taken from what `actions` name; several assignments add up, so that `not_actions` deny nothing
another assignment grants. Source: https://learn.microsoft.com/azure/role-based-access-control/role-definitions

Invariant: actions and scopes are compared without case; whatever no assignment grants is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

ASSIGNMENT_TYPE: Final = "Microsoft.Authorization/roleAssignments"
DEFINITION_TYPE: Final = "Microsoft.Authorization/roleDefinitions"


@dataclass(frozen=True, slots=True)
class Role:
    """A built-in role. In an action `*` stands for any characters, slashes included."""

    id: str
    name: str
    description: str
    actions: tuple[str, ...]
    not_actions: tuple[str, ...]
    source: str

    def grants(self, action: str) -> bool:
        return _matches(self.actions, action) and not _matches(self.not_actions, action)


_ARTICLES: Final = "https://learn.microsoft.com/azure/role-based-access-control/built-in-roles"

OWNER: Final = Role(
    id="8e3af657-a8ff-443c-a75c-2fe8c4bcb635",
    name="Owner",
    description="Grants full access to manage all resources, including the ability to assign roles in Azure RBAC.",
    actions=("*",),
    not_actions=(),
    source=f"{_ARTICLES}/privileged#owner",
)
CONTRIBUTOR: Final = Role(
    id="b24988ac-6180-42a0-ab88-20f7382dd24c",
    name="Contributor",
    description="Grants full access to manage all resources, but does not allow you to assign roles in Azure RBAC, "
    "manage assignments in Azure Blueprints, or share image galleries.",
    actions=("*",),
    not_actions=(
        "Microsoft.Authorization/*/Delete",
        "Microsoft.Authorization/*/Write",
        "Microsoft.Authorization/elevateAccess/Action",
        "Microsoft.Blueprint/blueprintAssignments/write",
        "Microsoft.Blueprint/blueprintAssignments/delete",
        "Microsoft.Compute/galleries/share/action",
        "Microsoft.Purview/consents/write",
        "Microsoft.Purview/consents/delete",
        "Microsoft.Resources/deploymentStacks/manageDenySetting/action",
    ),
    source=f"{_ARTICLES}/privileged#contributor",
)
READER: Final = Role(
    id="acdd72a7-3385-48ef-bd42-f606fba81ae7",
    name="Reader",
    description="View all resources, but does not allow you to make any changes.",
    actions=("*/read",),
    not_actions=(),
    source=f"{_ARTICLES}/general#reader",
)
AKS_CONTRIBUTOR: Final = Role(
    id="ed7f3fbd-7b88-4dd4-9017-9adb7ce333f8",
    name="Azure Kubernetes Service Contributor Role",
    description="Grants access to read and write Azure Kubernetes Service clusters",
    actions=(
        "Microsoft.Authorization/*/read",
        "Microsoft.ContainerService/locations/*",
        "Microsoft.ContainerService/managedClusters/*",
        "Microsoft.ContainerService/managedclustersnapshots/*",
        "Microsoft.ContainerService/snapshots/*",
        "Microsoft.Insights/alertRules/*",
        "Microsoft.Resources/deployments/*",
        "Microsoft.Resources/subscriptions/resourceGroups/read",
        "Microsoft.ContainerService/deploymentSafeguards/*",
    ),
    not_actions=(),
    source=f"{_ARTICLES}/containers#azure-kubernetes-service-contributor-role (as of 2025-07-24)",
)
ROLES: Final = (OWNER, CONTRIBUTOR, READER, AKS_CONTRIBUTOR)
_BY_ID: Final = {role.id: role for role in ROLES}


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleAssignment:
    """A role that a principal has at a scope. Times are UNIX seconds; `created_by` is an object ID.

    `created_by` is None where the local operator assigned the role, not a caller.
    """

    name: str
    scope: str
    role_id: str
    principal_id: str
    description: str | None = None
    created: float
    updated: float
    created_by: str | None = None
    updated_by: str | None = None

    @property
    def id(self) -> str:
        return f"{self.scope}/providers/{ASSIGNMENT_TYPE}/{self.name}"

    @property
    def key(self) -> str:
        return self.id.lower()

    @property
    def scope_key(self) -> str:
        return self.scope.lower()

    def has_same_core(self, other: RoleAssignment) -> bool:
        """Whether it gives the same principal the same role at the same scope."""
        return (self.scope_key, self.role_id, self.principal_id) == (other.scope_key, other.role_id, other.principal_id)


@dataclass(frozen=True, slots=True)
class WantedAssignment:
    """A PUT of a role assignment as decoded: the role's GUID and the principal's object ID."""

    role_id: str
    principal_id: str
    description: str | None = None


def role_by_id(role_id: str) -> Role | None:
    """Return the role with that GUID."""
    return _BY_ID.get(role_id.lower())


def role_by_name(name: str) -> Role | None:
    """Return the role with that name, or with that GUID, without case."""
    wanted = name.lower()
    return next((role for role in ROLES if wanted in (role.name.lower(), role.id)), None)


def may(assignments: Iterable[RoleAssignment], action: str, scope: str) -> bool:
    """Return whether one of the assignments grants the action at the scope."""
    wanted = scope.lower()
    return any(covers(held.scope_key, wanted) and _grants(held.role_id, action) for held in assignments)


def covers(scope: str, below: str) -> bool:
    """Return whether a scope is the other one or above it. Both are in lower case."""
    return below == scope or below.startswith(f"{scope}/")


@lru_cache(maxsize=4096)
def _grants(role_id: str, action: str) -> bool:
    role = _BY_ID.get(role_id)
    return role is not None and role.grants(action)


def _matches(patterns: Iterable[str], action: str) -> bool:
    return any(_pattern(pattern).fullmatch(action) for pattern in patterns)


@lru_cache(maxsize=256)
def _pattern(action: str) -> re.Pattern[str]:
    return re.compile(re.escape(action).replace(r"\*", ".*"), re.IGNORECASE | re.ASCII)
