"""What the local operator does at the data directory: service principals, subscriptions, secrets.

Whoever can read and write the data directory may do this, whether the service runs or not; there is no
way to do it over the network. When a verb returns, a running service has noticed.

Invariant: every change is in the activity log of a subscription of its tenant, without the secret.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from sqlalchemy.engine import Connection

from poolwright import installation
from poolwright.access_control import NOTICED_WITHIN_SECONDS, AccessControl, require_role
from poolwright.domain import roles
from poolwright.domain.activity import OPERATOR
from poolwright.identity import local_credentials
from poolwright.identity.local_credentials import Credentials
from poolwright.installation import DataDirectory
from poolwright.operations.activity import ActivityLog
from poolwright.store import identity_statements
from poolwright.store.database import Database
from poolwright.store.identity_statements import ServicePrincipal, Subscription

NEW_TENANT: Final = "new"


@dataclass(frozen=True, slots=True)
class ShownPrincipal:
    """A service principal with its roles, by name, and where they hold."""

    principal: ServicePrincipal
    roles: tuple[tuple[str, str], ...]


class Administration:
    """The verbs of the local operator, each in one transaction. `LookupError` and `ValueError` say what is wrong.

    `subscription` is an ID or a name; None stands for the one made at the first start.
    """

    def __init__(self, directory: DataDirectory) -> None:
        self._directory = directory
        self._database: Database = installation.open_database(directory)
        self._control = AccessControl(now=time.time, new_id=_new_id)
        self._log = ActivityLog(time.time, _new_id)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()

    def create_principal(
        self, name: str, *, subscription: str | None, role: str | None, scope: str | None, expires: float | None
    ) -> tuple[ServicePrincipal, str]:
        """Make a service principal in the subscription's tenant, with a role where one is named; returns its secret."""
        with self._changing(subscription) as (connection, chosen):
            made, secret = self._control.create_principal(connection, chosen.tenant_id, name, expires=expires)
            installation.note_principal(self._log, connection, chosen, OPERATOR, made.app_id, "write")
            if role is not None:
                known = roles.role_by_name(role) or require_role(role)
                at = (scope or f"/subscriptions/{chosen.subscription_id}").rstrip("/").lower()
                granted = self._control.assign(connection, chosen, at, known, made.object_id)
                installation.note_assignment(self._log, connection, chosen, OPERATOR, granted)
        return made, secret

    def principals(self, subscription: str | None) -> list[ShownPrincipal]:
        """Return the service principals of the subscription's tenant."""
        with self._reading(subscription) as (connection, chosen):
            return [
                self._shown(connection, known)
                for known in identity_statements.service_principals(connection, chosen.tenant_id)
            ]

    def principal(self, name: str, subscription: str | None) -> ShownPrincipal:
        """Return a service principal by name, app ID or object ID."""
        with self._reading(subscription) as (connection, chosen):
            return self._shown(connection, self._found(connection, chosen, name))

    def delete_principal(self, name: str, subscription: str | None) -> None:
        """Delete a service principal with its roles; its tokens are refused from now on."""
        with self._changing(subscription) as (connection, chosen):
            gone = self._found(connection, chosen, name)
            if gone.app_id == installation.owner_app_id(connection, chosen.tenant_id):
                raise ValueError(f"'{gone.display_name}' is the owner of its tenant, which `poolwright env` logs in as")
            for assignment in self._control.delete_principal(connection, gone):
                installation.note_assignment(self._log, connection, chosen, OPERATOR, assignment, deleted=True)
            installation.note_principal(self._log, connection, chosen, OPERATOR, gone.app_id, "delete", gone)

    def reset_principal(
        self, name: str | None, subscription: str | None, *, expires: float | None, local: bool
    ) -> Credentials:
        """Give a principal a new secret and return it; the old one is refused from now on.

        Without a name it is the owner of the subscription's tenant, whose secret never expires and, with
        `local`, lies in the credentials file.
        """
        with self._changing(subscription) as (connection, chosen):
            owner = installation.owner_app_id(connection, chosen.tenant_id)
            found = self._found(connection, chosen, name or owner or "")
            if found.app_id == owner:
                credentials = installation.new_owner_secret(connection, chosen)
                self._keep(connection, credentials, local=local)
            else:
                secret = self._control.reset_secret(connection, found, expires=expires)
                credentials = Credentials(
                    tenant_id=chosen.tenant_id,
                    client_id=found.app_id,
                    client_secret=secret,
                    subscription_id=chosen.subscription_id,
                )
            installation.note_principal(
                self._log, connection, chosen, OPERATOR, found.app_id, installation.RESET_SECRET, found
            )
        return credentials

    def create_subscription(
        self, name: str, tenant: str | None, *, local: bool, subscription_id: str | None = None
    ) -> tuple[Subscription, Credentials | None]:
        """Make a subscription in a known tenant (the first one with None) or a new one, whose owner is made with it.

        It has the ID that is given, a GUID, so that what names a subscription of Azure fits here too.
        The owner of the tenant is Owner of the subscription. The credentials are those of a new tenant's owner.
        """
        with self._changing(None) as (connection, home):
            known = {found.tenant_id for found in identity_statements.subscriptions(connection)}
            if tenant not in (None, NEW_TENANT, *known):
                raise LookupError(f"there is no tenant '{tenant}': `poolwright subscription list` shows them")
            tenant_id = None if tenant == NEW_TENANT else tenant or home.tenant_id
            wanted = _guid(subscription_id) if subscription_id is not None else None
            made = self._control.create_subscription(connection, name, tenant_id, wanted)
            owner = installation.owner_app_id(connection, made.tenant_id)
            credentials = installation.new_owner_secret(connection, made) if owner is None else None
            if credentials is not None:
                self._keep(connection, credentials, local=local)
                owner = credentials.client_id
            principal = self._found(connection, made, owner or "")
            at = f"/subscriptions/{made.subscription_id}"
            granted = self._control.assign(connection, made, at, roles.OWNER, principal.object_id)
            installation.note_subscription(self._log, connection, made, OPERATOR)
            if credentials is not None:
                installation.note_principal(self._log, connection, made, OPERATOR, principal.app_id, "write")
            installation.note_assignment(self._log, connection, made, OPERATOR, granted)
        return made, credentials

    def subscriptions(self) -> list[Subscription]:
        with self._database.engine.connect() as connection:
            return identity_statements.subscriptions(connection)

    def owners_file(self, subscription: str) -> tuple[Path, str]:
        """Return where the credentials of the owner of a subscription's tenant lie, and the subscription's ID."""
        with self._reading(subscription) as (connection, chosen):
            home = installation.home_subscription(connection).tenant_id
        return self._directory.credentials_of(chosen.tenant_id, home), chosen.subscription_id

    @contextmanager
    def _changing(self, subscription: str | None) -> Iterator[tuple[Connection, Subscription]]:
        with self._database.transaction() as connection:
            yield connection, _chosen(connection, subscription)
        time.sleep(NOTICED_WITHIN_SECONDS)

    @contextmanager
    def _reading(self, subscription: str | None) -> Iterator[tuple[Connection, Subscription]]:
        with self._database.engine.connect() as connection:
            yield connection, _chosen(connection, subscription)

    @staticmethod
    def _found(connection: Connection, subscription: Subscription, name: str) -> ServicePrincipal:
        wanted = name.lower()
        for known in identity_statements.service_principals(connection, subscription.tenant_id):
            if wanted in (known.display_name.lower(), known.app_id, known.object_id):
                return known
        raise LookupError(
            f"there is no service principal '{name}' in the tenant of subscription '{subscription.display_name}': "
            "`poolwright sp list` shows them"
        )

    @staticmethod
    def _shown(connection: Connection, principal: ServicePrincipal) -> ShownPrincipal:
        held = identity_statements.assignments_of_principal(connection, principal.object_id)
        return ShownPrincipal(
            principal, tuple(sorted((require_role(assignment.role_id).name, assignment.scope) for assignment in held))
        )

    def _keep(self, connection: Connection, credentials: Credentials, *, local: bool) -> None:
        """Before the commit: a kill in between leaves a file that does not match, which the next start mends."""
        home = installation.home_subscription(connection).tenant_id
        path = self._directory.credentials_of(credentials.tenant_id, home)
        if not local:
            path.unlink(missing_ok=True)
            return
        path.parent.mkdir(mode=0o700, exist_ok=True)
        local_credentials.write(path, credentials)


def _chosen(connection: Connection, wanted: str | None) -> Subscription:
    home = installation.home_subscription(connection)
    if wanted is None:
        return home
    for known in identity_statements.subscriptions(connection):
        if wanted.lower() in (known.subscription_id, known.display_name.lower()):
            return known
    raise LookupError(f"there is no subscription '{wanted}': `poolwright subscription list` shows them")


def _new_id() -> str:
    return str(uuid.uuid4())


def _guid(text: str) -> str:
    try:
        return str(uuid.UUID(text))
    except ValueError:
        raise ValueError(f"'{text}' is no ID of a subscription: those are GUIDs") from None
