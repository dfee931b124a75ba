"""A data directory's identity: tenant, subscription, and the service principal that owns it; made at the first start.

Every tenant has one such principal, its owner, whose credentials lie in a file of their own for the local
operator: `credentials.json` for the first tenant, `tenants/{tenant}.json` for others.

Invariant: secrets are stored hashed; in clear they exist only in those files, and only where that is wanted.
Every change is in the activity log of a subscription of its tenant, without the secret.
"""

from __future__ import annotations

import fcntl
import os
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import orjson
from sqlalchemy.engine import Connection

from poolwright.access_control import AccessControl, object_id_of
from poolwright.domain.activity import OPERATOR, SERVICE, Change
from poolwright.domain.roles import ASSIGNMENT_TYPE, OWNER, RoleAssignment
from poolwright.identity import local_credentials
from poolwright.identity.local_credentials import Credentials
from poolwright.identity.private_files import write_atomically
from poolwright.identity.service_principal import hash_secret, new_secret, secret_matches
from poolwright.operations.activity import ActivityLog, without_token
from poolwright.store import identity_statements
from poolwright.store.database import Database, create_engine, migrate, require_whole
from poolwright.store.database import trouble_of as trouble_of
from poolwright.store.identity_statements import ServicePrincipal, Subscription
from poolwright.store.records import dump

OWNER_NAME = "poolwright-owner"
_TENANT = "tenant_id"
_PRINCIPAL = "service_principal_app_id"
_SUBSCRIPTION = identity_statements.HOME_SETTING
_SETTINGS = "settings_of_last_start"
_PRINCIPALS = "Poolwright/servicePrincipals"
RESET_SECRET = "resetSecret/action"


@dataclass(frozen=True, slots=True)
class DataDirectory:
    """Where everything of one service lies."""

    path: Path

    @property
    def database(self) -> Path:
        return self.path / "poolwright.sqlite"

    @property
    def tls(self) -> Path:
        return self.path / "tls"

    @property
    def signing_key(self) -> Path:
        return self.path / "signing-key.pem"

    @property
    def credentials(self) -> Path:
        return self.path / "credentials.json"

    def credentials_of(self, tenant_id: str, home: str) -> Path:
        """Where the credentials of a tenant's owner lie; `home` is the first tenant."""
        return self.credentials if tenant_id == home else self.path / "tenants" / f"{tenant_id}.json"

    def credentials_of_other_tenants(self) -> list[Path]:
        """The files there are."""
        return sorted((self.path / "tenants").glob("*.json"))

    @property
    def machines(self) -> Path:
        return self.path / "machines"

    @property
    def simulated_machines(self) -> Path:
        return self.machines / "simulated.sqlite"

    @property
    def images(self) -> Path:
        """The disk images that were imported, or built on purpose, for this service's machines."""
        return self.path / "images"

    @property
    def evidence_key(self) -> Path:
        """What signs the evidence of machines; the public half is beside it, `.pub`."""
        return self.path / "evidence-key.pem"

    @property
    def rehearsal(self) -> Path:
        """Where a seed is rehearsed; nothing is there at any other time, unless the service was killed meanwhile."""
        return self.path / "rehearsal"

    @property
    def endpoint(self) -> Path:
        """The address of the service that runs, or ran last, on this directory."""
        return self.path / "endpoint.json"

    def create(self) -> None:
        """Make the directory and what lies in it, for its owner alone."""
        for directory in (self.path, self.machines):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)

    def write_endpoint(self, url: str, ca: Path) -> None:
        write_atomically(self.endpoint, orjson.dumps({"url": url, "ca": str(ca), "pid": os.getpid()}))


class EngineUnavailable(RuntimeError):
    """The host lacks what the machine engine needs; the message says what to do."""


class AlreadyRunning(RuntimeError):
    """Another service works on the data directory."""


def lock(directory: DataDirectory) -> int:
    """Return a file descriptor that holds the directory until the process ends. Raises `AlreadyRunning`."""
    descriptor = os.open(directory.path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = os.read(descriptor, 20).decode("ascii", "replace")
        os.close(descriptor)
        raise AlreadyRunning(
            f"another Poolwright service runs on {directory.path}{_whereabouts(directory, holder)}: stop it, or choose "
            "another --data-dir"
        ) from error
    os.ftruncate(descriptor, 0)
    os.write(descriptor, b"%d" % os.getpid())
    return descriptor


def _whereabouts(directory: DataDirectory, holder: str) -> str:
    """The process that holds the directory and the address it has, as far as they are known."""
    if not holder.isdecimal():
        return ""
    try:
        endpoint = orjson.loads(directory.endpoint.read_bytes())
        # Until a service is ready, the address of the one before stands there.
        url = f" at {endpoint['url']}" if endpoint["pid"] == int(holder) else ""
    except (OSError, ValueError, KeyError, TypeError):
        url = ""
    return f" (process {holder}{url})"


def open_database(directory: DataDirectory) -> Database:
    """Return the directory's database with the newest schema. Raises `Damaged`, before anything is changed."""
    for path in (directory.database, directory.simulated_machines):
        require_whole(path, had_content=directory.endpoint.exists())
    engine = create_engine(directory.database)
    migrate(engine)
    return Database(engine)


def ensure_identity(
    database: Database, directory: DataDirectory, *, local: bool, subscription_id: str | None = None
) -> None:
    """Make tenant, subscription (with that ID, else a new one) and their owner at the first start.

    With `local` the secret is in `credentials.json`; a lost file is made again with a new secret. Without
    it, `poolwright sp reset` shows a new secret once. Files of other tenants are made to match the database.
    """
    log = ActivityLog(time.time, _new_id)
    with database.transaction() as connection:
        if identity_statements.setting(connection, _TENANT) is None:
            control = AccessControl(now=time.time, new_id=_new_id)
            subscription = control.create_subscription(connection, "Poolwright", None, subscription_id)
            identity_statements.put_setting(connection, _TENANT, subscription.tenant_id)
            identity_statements.put_setting(connection, _SUBSCRIPTION, subscription.subscription_id)
            credentials = new_owner_secret(connection, subscription)
            object_id = object_id_of(credentials.tenant_id, credentials.client_id)
            scope = f"/subscriptions/{subscription.subscription_id}"
            granted = control.assign(connection, subscription, scope, OWNER, object_id)
            note_subscription(log, connection, subscription, SERVICE)
            note_principal(log, connection, subscription, SERVICE, credentials.client_id, "write")
            note_assignment(log, connection, subscription, SERVICE, granted)
        elif local and not _is_current(connection, directory.credentials):
            subscription = home_subscription(connection)
            credentials = new_owner_secret(connection, subscription)
            note_principal(log, connection, subscription, SERVICE, credentials.client_id, RESET_SECRET)
        else:
            credentials = None
        # Before the commit: a kill in between leaves a file whose secret does not match, and is repaired above.
        if local and credentials is not None:
            local_credentials.write(directory.credentials, credentials)
        for path in directory.credentials_of_other_tenants():
            _mend(log, connection, path, local=local)
    if not local:
        directory.credentials.unlink(missing_ok=True)


def note_settings(database: Database, now: Mapping[str, object]) -> None:
    """Remember with which settings the service was started; where some differ from the last time, log them."""
    with database.transaction() as connection:
        stored = identity_statements.setting(connection, _SETTINGS)
        identity_statements.put_setting(connection, _SETTINGS, orjson.dumps(now).decode())
        last = orjson.loads(stored) if stored is not None else now
        names = sorted(name for name in now if last.get(name) != now[name])
        if not names:
            return
        home = home_subscription(connection).subscription_id
        place = f"/subscriptions/{home}/providers/Poolwright/settings/up"
        change = without_token(connection, OPERATOR, home, "Poolwright/settings/write", place, _new_id())
        before, after = (
            {change.resource_key: orjson.dumps({name: known.get(name) for name in names})} for known in (last, now)
        )
        ActivityLog(time.time, _new_id).done(connection, change, before, after)


def note_subscription(log: ActivityLog, connection: Connection, subscription: Subscription, caller: str) -> None:
    """Log that a subscription was made."""
    place = f"/subscriptions/{subscription.subscription_id}"
    told = {"displayName": subscription.display_name, "tenantId": subscription.tenant_id}
    change = _change(connection, subscription, caller, "Microsoft.Resources/subscriptions/write", place)
    log.done(connection, change, after={place: orjson.dumps(told)})


def note_principal(
    log: ActivityLog,
    connection: Connection,
    subscription: Subscription,
    caller: str,
    app_id: str,
    verb: str,
    before: ServicePrincipal | None = None,
) -> None:
    """Log what was done to a service principal, as it is now and as it was `before`."""
    place = f"/tenants/{subscription.tenant_id}/providers/{_PRINCIPALS}/{app_id}"
    there = identity_statements.service_principal(connection, app_id)
    was, became = ({place.lower(): _told(known)} if known is not None else None for known in (before, there))
    change = _change(connection, subscription, caller, f"{_PRINCIPALS}/{verb}", place)
    log.done(connection, change, was, became)


def note_assignment(
    log: ActivityLog,
    connection: Connection,
    subscription: Subscription,
    caller: str,
    assignment: RoleAssignment,
    *,
    deleted: bool = False,
) -> None:
    """Log that a role was assigned, or taken back."""
    action = f"{ASSIGNMENT_TYPE}/{'delete' if deleted else 'write'}"
    change = _change(connection, subscription, caller, action, assignment.id)
    shown = {assignment.key: dump(assignment)}
    log.done(connection, change, shown if deleted else None, None if deleted else shown)


def _change(connection: Connection, subscription: Subscription, caller: str, action: str, resource_id: str) -> Change:
    return without_token(connection, caller, subscription.subscription_id, action, resource_id, _new_id())


def _told(principal: ServicePrincipal) -> bytes:
    """What the log says of a principal: everything but the secret's hash."""
    return orjson.dumps(
        {
            "displayName": principal.display_name,
            "appId": principal.app_id,
            "objectId": principal.object_id,
            "expires": principal.expires,
        }
    )


def _new_id() -> str:
    return str(uuid.uuid4())


def home_subscription(connection: Connection) -> Subscription:
    """Return the subscription made at the first start. Raises `LookupError` before that."""
    wanted = identity_statements.setting(connection, _SUBSCRIPTION)
    for known in identity_statements.subscriptions(connection):
        if known.subscription_id == wanted:
            return known
    raise LookupError("it holds no service yet: run `poolwright up` once")


def owner_app_id(connection: Connection, tenant_id: str) -> str | None:
    """Return the app ID of a tenant's owner, or None when there is none yet."""
    return identity_statements.setting(connection, _owner_setting(connection, tenant_id))


def new_owner_secret(connection: Connection, subscription: Subscription) -> Credentials:
    """Store a new secret for the owner of a subscription's tenant (made when missing); the old one is refused.

    The credentials name that subscription.
    """
    tenant_id = subscription.tenant_id
    app_id = owner_app_id(connection, tenant_id)
    if app_id is None:
        app_id = str(uuid.uuid4())
        identity_statements.put_setting(connection, _owner_setting(connection, tenant_id), app_id)
    secret = new_secret()
    object_id = object_id_of(tenant_id, app_id)
    principal = ServicePrincipal(app_id, object_id, tenant_id, hash_secret(secret), OWNER_NAME)
    identity_statements.put_service_principal(connection, principal)
    return Credentials(
        tenant_id=tenant_id, client_id=app_id, client_secret=secret, subscription_id=subscription.subscription_id
    )


def _owner_setting(connection: Connection, tenant_id: str) -> str:
    return _PRINCIPAL if tenant_id == identity_statements.setting(connection, _TENANT) else f"{_PRINCIPAL}:{tenant_id}"


def _mend(log: ActivityLog, connection: Connection, path: Path, *, local: bool) -> None:
    """Make a tenant's file hold its owner's secret, whatever a kill left; remove it where none is wanted."""
    subscriptions = [known for known in identity_statements.subscriptions(connection) if known.tenant_id == path.stem]
    if not local or not subscriptions:
        path.unlink()
    elif not _is_current(connection, path):
        credentials = new_owner_secret(connection, subscriptions[0])
        local_credentials.write(path, credentials)
        note_principal(log, connection, subscriptions[0], SERVICE, credentials.client_id, RESET_SECRET)


def _is_current(connection: Connection, path: Path) -> bool:
    known = local_credentials.read(path)
    if known is None:
        return False
    principal = identity_statements.service_principal(connection, known.client_id)
    return principal is not None and secret_matches(known.client_secret, principal.secret_hash)
