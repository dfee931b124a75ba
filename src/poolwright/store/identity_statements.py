"""The statements about settings, tenants, subscriptions, service principals and role assignments.

Whoever changes one of them also calls `note_change`, in the same transaction: a running service
compares that number and forgets what it knew.

Invariant: of a secret only its hash is stored.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from poolwright.domain.roles import RoleAssignment
from poolwright.store import tables
from poolwright.store.records import dump, load

HOME_SETTING: Final = "subscription_id"
VERSION_SETTING: Final = "identity_version"
_KEY: sa.BindParameter[str] = sa.bindparam("key")
_PRINCIPAL_COLUMNS: Final = (
    tables.service_principals.c.app_id,
    tables.service_principals.c.object_id,
    tables.service_principals.c.tenant_id,
    tables.service_principals.c.secret_hash,
    tables.service_principals.c.display_name,
    tables.service_principals.c.expires,
)

SETTING: Final = sa.select(tables.settings.c.value).where(tables.settings.c.name == _KEY)
# The one made at the first start is first: az takes the first one it is shown for its default.
SUBSCRIPTIONS: Final = sa.select(
    tables.subscriptions.c.subscription_id, tables.subscriptions.c.tenant_id, tables.subscriptions.c.display_name
).order_by(
    sa.case(
        (
            tables.subscriptions.c.subscription_id
            == sa.select(tables.settings.c.value)
            .where(tables.settings.c.name == sa.literal_column(f"'{HOME_SETTING}'"))
            .scalar_subquery(),
            sa.literal_column("0"),
        ),
        else_=sa.literal_column("1"),
    ),
    tables.subscriptions.c.subscription_id,
)
SERVICE_PRINCIPAL: Final = sa.select(*_PRINCIPAL_COLUMNS).where(tables.service_principals.c.app_id == _KEY)
SERVICE_PRINCIPALS_OF_TENANT: Final = (
    sa.select(*_PRINCIPAL_COLUMNS)
    .where(tables.service_principals.c.tenant_id == _KEY)
    .order_by(tables.service_principals.c.display_name)
)
ASSIGNMENTS_OF_PRINCIPAL: Final = sa.select(tables.role_assignments.c.record).where(
    tables.role_assignments.c.principal_id == _KEY
)
ASSIGNMENTS_OF_SUBSCRIPTION: Final = (
    sa.select(tables.role_assignments.c.record)
    .where(tables.role_assignments.c.subscription_id == _KEY)
    .order_by(tables.role_assignments.c.key)
)
ASSIGNMENT: Final = sa.select(tables.role_assignments.c.record).where(tables.role_assignments.c.key == _KEY)


@dataclass(frozen=True, slots=True)
class Subscription:
    """A subscription of the service."""

    subscription_id: str
    tenant_id: str
    display_name: str


@dataclass(frozen=True, slots=True)
class ServicePrincipal:
    """A service principal; `secret_hash` is never shown. `expires` is None for one that never does."""

    app_id: str
    object_id: str
    tenant_id: str
    secret_hash: str
    display_name: str
    expires: float | None = None

    def has_expired(self, now: float) -> bool:
        return self.expires is not None and now >= self.expires


def setting(connection: Connection, name: str) -> str | None:
    """Return a stored setting, or None."""
    return connection.execute(SETTING, {"key": name}).scalar_one_or_none()


def put_setting(connection: Connection, name: str, value: str) -> None:
    """Store a setting, replacing what was there."""
    connection.execute(sa.delete(tables.settings).where(tables.settings.c.name == name))
    connection.execute(sa.insert(tables.settings).values(name=name, value=value))


def note_change(connection: Connection) -> None:
    """Let running services notice that tenants, subscriptions, principals or assignments have changed."""
    put_setting(connection, VERSION_SETTING, str(int(setting(connection, VERSION_SETTING) or 0) + 1))


def add_subscription(connection: Connection, subscription: Subscription) -> None:
    connection.execute(
        sa.insert(tables.subscriptions).values(
            subscription_id=subscription.subscription_id,
            tenant_id=subscription.tenant_id,
            display_name=subscription.display_name,
        )
    )
    note_change(connection)


def subscriptions(connection: Connection) -> list[Subscription]:
    return [Subscription(*row) for row in connection.execute(SUBSCRIPTIONS)]


def put_service_principal(connection: Connection, principal: ServicePrincipal) -> None:
    """Store a service principal, replacing the one with its app ID."""
    _delete_principal_row(connection, principal.app_id)
    connection.execute(
        sa.insert(tables.service_principals).values(
            app_id=principal.app_id,
            object_id=principal.object_id,
            tenant_id=principal.tenant_id,
            display_name=principal.display_name,
            secret_hash=principal.secret_hash,
            expires=principal.expires,
        )
    )
    note_change(connection)


def service_principal(connection: Connection, app_id: str) -> ServicePrincipal | None:
    row = connection.execute(SERVICE_PRINCIPAL, {"key": app_id}).one_or_none()
    return ServicePrincipal(*row) if row is not None else None


def service_principals(connection: Connection, tenant_id: str) -> list[ServicePrincipal]:
    """Return the service principals of a tenant, by name."""
    rows = connection.execute(SERVICE_PRINCIPALS_OF_TENANT, {"key": tenant_id})
    return [ServicePrincipal(*row) for row in rows]


def delete_service_principal(connection: Connection, principal: ServicePrincipal) -> None:
    """Delete a service principal with the roles assigned to it."""
    connection.execute(
        sa.delete(tables.role_assignments).where(tables.role_assignments.c.principal_id == principal.object_id)
    )
    _delete_principal_row(connection, principal.app_id)
    note_change(connection)


def assignment(connection: Connection, key: str) -> RoleAssignment | None:
    record = connection.execute(ASSIGNMENT, {"key": key}).scalar_one_or_none()
    return load(RoleAssignment, record) if record is not None else None


def assignments_of_subscription(connection: Connection, subscription: str) -> list[RoleAssignment]:
    """Return the assignments at a subscription and below it."""
    rows = connection.execute(ASSIGNMENTS_OF_SUBSCRIPTION, {"key": subscription})
    return [load(RoleAssignment, record) for (record,) in rows]


def assignments_of_principal(connection: Connection, object_id: str) -> list[RoleAssignment]:
    rows = connection.execute(ASSIGNMENTS_OF_PRINCIPAL, {"key": object_id})
    return [load(RoleAssignment, record) for (record,) in rows]


def assignments_named(connection: Connection, name: str) -> list[RoleAssignment]:
    """Return the assignments of that name; Azure lets a tenant have one."""
    rows = connection.execute(sa.select(tables.role_assignments.c.record).where(tables.role_assignments.c.name == name))
    return [load(RoleAssignment, record) for (record,) in rows]


def put_assignment(connection: Connection, subscription: str, value: RoleAssignment) -> None:
    """Store an assignment, replacing the one with its key."""
    connection.execute(sa.delete(tables.role_assignments).where(tables.role_assignments.c.key == value.key))
    connection.execute(
        sa.insert(tables.role_assignments).values(
            key=value.key,
            name=value.name,
            subscription_id=subscription,
            scope_key=value.scope_key,
            role_id=value.role_id,
            principal_id=value.principal_id,
            record=dump(value),
        )
    )
    note_change(connection)


def delete_assignment(connection: Connection, key: str) -> None:
    connection.execute(sa.delete(tables.role_assignments).where(tables.role_assignments.c.key == key))
    note_change(connection)


def delete_assignments_within(connection: Connection, scope_key: str) -> None:
    """Delete the assignments at a scope that ceases to exist, and below it.

    Otherwise a resource of the same name, made later, would have them.
    """
    scopes = tables.role_assignments.c.scope_key
    deleted = connection.execute(
        sa.delete(tables.role_assignments).where(
            sa.or_(scopes == scope_key, scopes.startswith(f"{scope_key}/", autoescape=True))
        )
    )
    if deleted.rowcount:
        note_change(connection)


def _delete_principal_row(connection: Connection, app_id: str) -> None:
    connection.execute(sa.delete(tables.service_principals).where(tables.service_principals.c.app_id == app_id))
