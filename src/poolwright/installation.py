"""A data directory's identity: tenant, subscription, service principal; made at the first start.

Invariant: the secret of the service principal is stored hashed; in clear it exists only in
`credentials.json`, for the local operator, and only where that is wanted.
"""

from __future__ import annotations

import fcntl
import os
import uuid
from dataclasses import dataclass
from pathlib import Path

import orjson
from sqlalchemy.engine import Connection

from poolwright.identity import local_credentials
from poolwright.identity.local_credentials import Credentials
from poolwright.identity.private_files import write_atomically
from poolwright.identity.service_principal import hash_secret, new_secret, secret_matches
from poolwright.store import statements
from poolwright.store.database import Database, create_engine, migrate
from poolwright.store.statements import ServicePrincipal, Subscription

_TENANT = "tenant_id"
_PRINCIPAL = "service_principal_app_id"
_SUBSCRIPTION = "subscription_id"


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

    @property
    def machines(self) -> Path:
        return self.path / "machines"

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


class AlreadyRunning(RuntimeError):
    """Another service works on the data directory."""


def lock(directory: DataDirectory) -> int:
    """Return a file descriptor that holds the directory until the process ends. Raises `AlreadyRunning`."""
    descriptor = os.open(directory.path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise AlreadyRunning(
            f"another Poolwright service runs on {directory.path}: stop it, or choose another --data-dir"
        ) from error
    return descriptor


def open_database(directory: DataDirectory) -> Database:
    """Return the directory's database with the newest schema."""
    engine = create_engine(directory.database)
    migrate(engine)
    return Database(engine)


def ensure_identity(database: Database, directory: DataDirectory, *, local: bool) -> None:
    """Make tenant, subscription and service principal at the first start.

    With `local` the secret is in `credentials.json`; a lost file is made again with a new secret. Without
    it, `poolwright sp reset` shows a new secret once.
    """
    with database.transaction() as connection:
        tenant_id = statements.setting(connection, _TENANT)
        if tenant_id is None:
            tenant_id = str(uuid.uuid4())
            subscription_id = str(uuid.uuid4())
            statements.put_setting(connection, _TENANT, tenant_id)
            statements.put_setting(connection, _SUBSCRIPTION, subscription_id)
            statements.add_subscription(connection, Subscription(subscription_id, tenant_id, "Poolwright"))
            credentials = _new_credentials(connection)
        elif local and not _file_is_current(connection, directory):
            credentials = _new_credentials(connection)
        else:
            credentials = None
        # Before the commit: a kill in between leaves a file whose secret does not match, and is repaired above.
        if local and credentials is not None:
            local_credentials.write(directory.credentials, credentials)
    if not local:
        directory.credentials.unlink(missing_ok=True)


def reset_secret(database: Database, directory: DataDirectory, *, local: bool) -> Credentials:
    """Give the service principal a new secret and return it; the old one is refused from now on."""
    with database.transaction() as connection:
        if statements.setting(connection, _TENANT) is None:
            raise LookupError(f"{directory.path} holds no service yet: run `poolwright up` once")
        credentials = _new_credentials(connection)
        if local:
            local_credentials.write(directory.credentials, credentials)
    return credentials


def _file_is_current(connection: Connection, directory: DataDirectory) -> bool:
    known = local_credentials.read(directory.credentials)
    if known is None:
        return False
    principal = statements.service_principal(connection, known.client_id)
    return principal is not None and secret_matches(known.client_secret, principal.secret_hash)


def _new_credentials(connection: Connection) -> Credentials:
    """Store a new secret for the service principal (made when missing) and return the credentials."""
    tenant_id = statements.setting(connection, _TENANT)
    subscription_id = statements.setting(connection, _SUBSCRIPTION)
    assert tenant_id is not None
    assert subscription_id is not None
    app_id = statements.setting(connection, _PRINCIPAL)
    if app_id is None:
        app_id = str(uuid.uuid4())
        statements.put_setting(connection, _PRINCIPAL, app_id)
    secret = new_secret()
    object_id = str(uuid.uuid5(uuid.UUID(tenant_id), app_id))
    principal = ServicePrincipal(app_id, object_id, tenant_id, hash_secret(secret))
    statements.put_service_principal(connection, principal, "poolwright-owner")
    return Credentials(tenant_id=tenant_id, client_id=app_id, client_secret=secret, subscription_id=subscription_id)
