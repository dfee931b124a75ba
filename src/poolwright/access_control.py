"""The verbs about who may do what: service principals, subscriptions, role assignments.

Each runs in one write transaction, like those of the control plane, and stores nothing when it raises.

Invariant: a role is assigned only to a principal of the subscription's own tenant, and every
subscription keeps an Owner at its own scope.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from sqlalchemy.engine import Connection

from poolwright import errors
from poolwright.domain import roles
from poolwright.domain.resource_id import CLUSTER_TYPE
from poolwright.domain.roles import Role, RoleAssignment, WantedAssignment
from poolwright.identity.service_principal import hash_secret, new_secret
from poolwright.store import identity_statements, statements
from poolwright.store.identity_statements import ServicePrincipal, Subscription

# How long a running service may go without noticing what another process has changed.
NOTICED_WITHIN_SECONDS: Final = 0.05


class AccessControl:
    """All changes to principals, subscriptions and role assignments.

    Every method takes the connection of the transaction it runs in.
    """

    def __init__(self, *, now: Callable[[], float], new_id: Callable[[], str]) -> None:
        self._now = now
        self._new_id = new_id

    def create_subscription(
        self, connection: Connection, name: str, tenant_id: str | None, subscription_id: str | None = None
    ) -> Subscription:
        """Store a subscription, in a tenant of its own with None and with an ID of its own. Raises `NameTaken`."""
        for known in identity_statements.subscriptions(connection):
            if known.display_name.lower() == name.lower():
                raise NameTaken(f"there is a subscription '{name}' already")
            if known.subscription_id == subscription_id:
                raise NameTaken(f"there is a subscription {subscription_id} already: '{known.display_name}'")
        made = Subscription(subscription_id or self._new_id(), tenant_id or self._new_id(), name)
        identity_statements.add_subscription(connection, made)
        return made

    def create_principal(
        self, connection: Connection, tenant_id: str, name: str, *, expires: float | None
    ) -> tuple[ServicePrincipal, str]:
        """Store a service principal; returns it and its secret, which is not stored. Raises `NameTaken`."""
        there = identity_statements.service_principals(connection, tenant_id)
        if any(known.display_name.lower() == name.lower() for known in there):
            raise NameTaken(f"there is a service principal '{name}' in the tenant already")
        app_id, secret = self._new_id(), new_secret()
        made = ServicePrincipal(app_id, object_id_of(tenant_id, app_id), tenant_id, hash_secret(secret), name, expires)
        identity_statements.put_service_principal(connection, made)
        return made, secret

    def reset_secret(self, connection: Connection, principal: ServicePrincipal, *, expires: float | None) -> str:
        """Give the principal a new secret, which is returned and not stored; the old one is refused from now on."""
        secret = new_secret()
        changed = replace(principal, secret_hash=hash_secret(secret), expires=expires)
        identity_statements.put_service_principal(connection, changed)
        return secret

    def delete_principal(self, connection: Connection, principal: ServicePrincipal) -> list[RoleAssignment]:
        """Delete a principal with the roles assigned to it, which are returned. Raises `LastOwner`."""
        held = identity_statements.assignments_of_principal(connection, principal.object_id)
        for assignment in held:
            self._require_other_owner(connection, assignment)
        identity_statements.delete_service_principal(connection, principal)
        return held

    def put_role_assignment(
        self,
        connection: Connection,
        subscription: Subscription,
        scope_key: str,
        name: str,
        wanted: WantedAssignment,
        *,
        by: str | None = None,
    ) -> tuple[RoleAssignment, bool]:
        """Store a role assignment; returns it and whether it is new. `by` is the object ID of who asks."""
        scope = existing_scope(connection, subscription, scope_key)
        role = require_role(wanted.role_id)
        self._require_principal(connection, subscription.tenant_id, wanted.principal_id)
        made = RoleAssignment(
            name=name.lower(),
            scope=scope,
            role_id=role.id,
            principal_id=wanted.principal_id.lower(),
            description=wanted.description,
            created=self._now(),
            updated=self._now(),
            created_by=by,
            updated_by=by,
        )
        for known in identity_statements.assignments_named(connection, made.name):
            if not known.has_same_core(made):
                raise errors.RoleAssignmentUpdateNotPermitted(
                    "Tenant ID, application ID, principal ID, and scope are not allowed to be updated.",
                    remedy="use another name (a new GUID), or delete the assignment first",
                )
            changed = replace(made, created=known.created, created_by=known.created_by)
            identity_statements.put_assignment(connection, subscription.subscription_id, changed)
            return changed, False
        for known in identity_statements.assignments_of_principal(connection, made.principal_id):
            if known.has_same_core(made):
                raise errors.RoleAssignmentExists(
                    f"The role assignment already exists. The ID of the existing role assignment is "
                    f"{known.name.replace('-', '')}.",
                    remedy="nothing to do",
                )
        identity_statements.put_assignment(connection, subscription.subscription_id, made)
        return made, True

    def delete_role_assignment(self, connection: Connection, key: str) -> RoleAssignment | None:
        """Delete a role assignment and return it; None where there is none. Raises `LastOwner`."""
        known = identity_statements.assignment(connection, key)
        if known is not None:
            self._require_other_owner(connection, known)
            identity_statements.delete_assignment(connection, key)
        return known

    def assign(
        self, connection: Connection, subscription: Subscription, scope_key: str, role: Role, principal_id: str
    ) -> RoleAssignment:
        """Assign a role on behalf of the local operator."""
        wanted = WantedAssignment(role.id, principal_id)
        made, _ = self.put_role_assignment(connection, subscription, scope_key, self._new_id(), wanted)
        return made

    def _require_principal(self, connection: Connection, tenant_id: str, object_id: str) -> None:
        there = identity_statements.service_principals(connection, tenant_id)
        if not any(known.object_id == object_id.lower() for known in there):
            raise errors.PrincipalNotFound(
                f"Principal {object_id.lower().replace('-', '')} does not exist in the directory {tenant_id}. Check "
                "that you have the correct principal ID. If you are creating this principal and then immediately "
                "assigning a role, this error might be related to a replication delay. In this case, set the role "
                "assignment principalType property to a value, such as ServicePrincipal, User, or Group. See "
                "https://aka.ms/docs-principaltype",
                target="properties.principalId",
                remedy="`poolwright sp list` shows the object IDs",
            )

    def _require_other_owner(self, connection: Connection, going: RoleAssignment) -> None:
        match going.scope_key.strip("/").split("/"):
            case ["subscriptions", subscription] if going.role_id == roles.OWNER.id:
                held = identity_statements.assignments_of_subscription(connection, subscription)
            case _:
                return
        if not any(
            other.role_id == roles.OWNER.id
            and other.scope_key == going.scope_key
            and other.principal_id != going.principal_id
            for other in held
        ):
            raise errors.LastOwner(
                "Cannot delete the last RBAC admin assignment.", remedy="assign Owner to somebody else first"
            )


class NameTaken(ValueError):
    """Something of that name exists; the message says what."""


def object_id_of(tenant_id: str, app_id: str) -> str:
    """Return the object ID that an application's service principal has in a tenant."""
    return str(uuid.uuid5(uuid.UUID(tenant_id), app_id))


def require_role(role_id: str) -> Role:
    """Return the role with that GUID. Raises `RoleDefinitionDoesNotExist`."""
    role = roles.role_by_id(role_id)
    if role is None:
        raise errors.RoleDefinitionDoesNotExist(
            f"The specified role definition with ID '{role_id}' does not exist.",
            remedy=f"offered are {', '.join(f'{known.name} ({known.id})' for known in roles.ROLES)}",
        )
    return role


def existing_scope(connection: Connection, subscription: Subscription, scope_key: str) -> str:
    """Return the ID of what a lower-case scope names, as it was created. Raises when there is no such resource."""
    match scope_key.strip("/").split("/"):
        case ["subscriptions", subscription.subscription_id]:
            return f"/subscriptions/{subscription.subscription_id}"
        case ["subscriptions", subscription.subscription_id, "resourcegroups", name]:
            group = statements.group(connection, scope_key)
            if group is None:
                raise errors.ResourceGroupNotFound(
                    f"Resource group '{name}' could not be found.", remedy="`az group list` shows what exists"
                )
            return str(group.id)
        case ["subscriptions", subscription.subscription_id, _, group_name, _, _, _, name, *below]:
            cluster = statements.cluster(connection, scope_key.partition("/agentpools/")[0] if below else scope_key)
            pool = statements.node_pool(connection, scope_key) if below else None
            if cluster is not None and not below:
                return str(cluster.id)
            if pool is not None:
                return str(pool.id)
            what = f"{CLUSTER_TYPE}/{name}" + (f"/agentPools/{below[-1]}" if below else "")
            raise errors.ResourceNotFound(
                f"The Resource '{what}' under resource group '{group_name}' was not found. For more details please go "
                "to https://aka.ms/ARMResourceNotFoundFix",
                remedy="`az aks list` and `az aks nodepool list` show what exists",
            )
    raise errors.ResourceNotFound(
        f"The scope '{scope_key}' is none of this service.",
        target="scope",
        remedy="a scope is a subscription, a resource group, a managed cluster or a node pool",
    )
