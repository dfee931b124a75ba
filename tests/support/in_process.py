"""The application in the test's own process: no socket, operations carried out at once, a clock to set."""

from __future__ import annotations

import asyncio
import atexit
import shutil
import tempfile
import threading
import time
import uuid
from collections.abc import Callable
from functools import cache
from pathlib import Path

import httpx

from poolwright import installation
from poolwright.access_control import AccessControl, object_id_of
from poolwright.arm import imported, paths
from poolwright.arm.app import ArmApp
from poolwright.arm.area import Service
from poolwright.arm.deployable import Deployable
from poolwright.arm.directory import Directory
from poolwright.arm.login import Login
from poolwright.arm.metrics import Metrics
from poolwright.arm.request_log import RequestLog
from poolwright.arm.skus import SkuPages
from poolwright.arm.throttle import Throttle
from poolwright.arm.trail import Trail
from poolwright.arm.wire_renderer import WireRenderer
from poolwright.catalog.catalog import Catalog
from poolwright.catalog.in_force import CatalogInForce
from poolwright.catalog_keeping import CatalogKeeper, stored
from poolwright.control_plane.acceptance import Acceptance
from poolwright.control_plane.control_plane import ControlPlane
from poolwright.domain.activity import OPERATOR, Change
from poolwright.domain.profile import Profile
from poolwright.domain.roles import Role
from poolwright.identity import local_credentials
from poolwright.identity.tokens import SigningKey, TokenIssuer, TokenVerifier
from poolwright.installation import DataDirectory
from poolwright.machines.simulated import Behaviour, SimulatedEngine
from poolwright.operations.activity import ActivityLog
from poolwright.operations.durable import DurableOperations
from poolwright.operations.faults import Faults
from poolwright.operations.in_memory import InMemoryOperations
from poolwright.operations.plans import Context
from poolwright.state import State
from poolwright.store.identity_statements import ServicePrincipal, Subscription
from tests.support.scripted_cluster import ScriptedCluster
from tests.support.service import ArmClient

BASE = "https://poolwright.test"


class InProcess:
    """The application on a directory of its own.

    `behaviour` is the simulated engine's; it, the clock `now` and the client's `address` may be changed.
    """

    def __init__(
        self,
        path: Path,
        *,
        profile: Profile = Profile.DOCUMENTED,
        throttled: bool = False,
        subscription_id: str | None = None,
    ) -> None:
        directory = DataDirectory(path)
        directory.create()
        self.rehearsal = directory.rehearsal
        self.now: Callable[[], float] = time.time
        self.monotonic: Callable[[], float] = time.monotonic
        self.address = "127.0.0.1"
        self.behaviour = Behaviour()
        self.cluster = ScriptedCluster()
        # Nothing waits here: each look at a draining node lets a minute pass.
        self.cluster.meanwhile = lambda: self._pass_time(60.0)
        if not directory.database.exists():
            shutil.copyfile(_empty_database(), directory.database)
        self.database = installation.open_database(directory)
        installation.ensure_identity(self.database, directory, local=True, subscription_id=subscription_id)
        known = local_credentials.read(directory.credentials)
        assert known is not None
        self.credentials = known
        self.key = _key()
        with self.database.engine.connect() as connection:
            self.catalogs = CatalogInForce(_catalog(), stored(connection, _catalog().locations))
        self._engine = SimulatedEngine(directory.machines / "simulated.sqlite", self._clock, self.behaviour)
        self.faults = Faults(self.database, self._clock, _new_id)
        deployable = Deployable(profile, self._clock, _new_id)
        self.context = Context(
            database=self.database,
            engine=self._engine,
            cluster=self.cluster,
            render=WireRenderer(),
            size_of=self.catalogs.size,
            now=self._clock,
            new_id=_new_id,
            wait=lambda seconds: None,
            crash=lambda operation, step, moment: None,
            faults=self.faults,
            resources=deployable,
        )
        self.operations = operations = InMemoryOperations(self.context)
        self.again: Callable[[], bool] = lambda: False
        self.profile = profile
        self.state = State(
            database=self.database,
            engine=self._engine,
            operations=operations,
            catalogs=self.catalogs,
            faults=self.faults,
            render=WireRenderer(),
            check=imported.problems,
            log=ActivityLog(self._clock, _new_id),
            again=lambda: self.again(),
        )
        self.login = Login(key=self.key, reader=self.database.reader, now=self._clock, base_of=lambda request: BASE)
        control_plane = self.control_plane(operations, self.faults)
        self.directory = Directory(self.database, self._clock, lambda: self.monotonic())
        deployable.attach(
            control_plane, operations, lambda subscription: self.directory.subscriptions.get(subscription)
        )
        self.service = Service(
            database=self.database,
            control_plane=control_plane,
            catalog_keeper=CatalogKeeper(self.catalogs),
            operations=operations,
            state=self.state,
            engine=self._engine,
            requests=RequestLog(1000, self._clock),
            faults=self.faults,
            throttle=Throttle(self._clock) if throttled else None,
            deployable=deployable,
            access_control=AccessControl(now=self._clock, new_id=_new_id),
            directory=self.directory,
            trail=Trail(self.database, ActivityLog(self._clock, _new_id)),
            verifier=TokenVerifier(
                self.key, self.directory.is_tenant, self.directory.is_issuer, {BASE, f"{BASE}/msgraph"}
            ),
            login=self.login,
            skus=SkuPages(self.catalogs),
            cluster_endpoint=self.cluster,
            metrics=Metrics(),
            profile=profile,
            key=self.key,
            ca_pem=b"",
            now=self._clock,
            base_of=lambda request: paths.base_url(request, None, BASE),
        )
        self.app = ArmApp(self.service)
        self._turn = threading.Lock()
        self._runner = asyncio.Runner()
        self.client = InProcessClient(self)

    def control_plane(
        self, operations: DurableOperations, faults: Faults, catalogs: CatalogInForce | None = None
    ) -> ControlPlane:
        """The verbs, with operations carried out by these."""
        return ControlPlane(
            Acceptance(
                catalogs=catalogs or self.catalogs,
                operations=operations,
                render=WireRenderer(),
                profile=self.profile,
                engine_name="simulated",
                now=self._clock,
                new_id=_new_id,
                faults=faults,
            )
        )

    def change(self, action: str) -> Change:
        """What the local operator does, for the activity log: `reset/action`."""
        subscription = self.credentials.subscription_id
        return Change(
            subscription=subscription,
            tenant=self.credentials.tenant_id,
            caller=OPERATOR,
            action=f"Poolwright/{action}",
            resource_id=f"/subscriptions/{subscription}/providers/Poolwright/{action.partition('/')[0]}",
            correlation_id=_new_id(),
        )

    def _pass_time(self, seconds: float) -> None:
        later = self._clock() + seconds
        self.now = lambda: later

    def token(self, **changes: object) -> str:
        """A token the service takes; `changes` replace arguments of `TokenIssuer.issue`, or its `key`."""
        key = changes.pop("key", self.key)
        assert isinstance(key, SigningKey)
        arguments: dict[str, object] = {
            "tenant_id": self.credentials.tenant_id,
            "app_id": self.credentials.client_id,
            "object_id": object_id_of(self.credentials.tenant_id, self.credentials.client_id),
            "issuer": f"{BASE}/adfs",
            "audience": "https://management.core.windows.net/",
            "now": self._clock(),
            "lifetime_seconds": 3600,
        }
        return TokenIssuer(key).issue(**(arguments | changes))  # type: ignore[arg-type]  # changes are arguments of it

    def make_subscription(self, name: str, *, new_tenant: bool = False) -> Subscription:
        """A further subscription; nobody has a role in it yet."""
        tenant_id = None if new_tenant else self.credentials.tenant_id
        with self.database.transaction() as connection:
            return self.service.access_control.create_subscription(connection, name, tenant_id)

    def make_principal(
        self, name: str, *held: tuple[Role, str], subscription: Subscription | None = None, expires: float | None = None
    ) -> InProcessClient:
        """A client of a new service principal that has these roles at these scopes, logged in with its secret."""
        chosen = subscription or self.directory.subscriptions[self.credentials.subscription_id]
        control = self.service.access_control
        with self.database.transaction() as connection:
            made, secret = control.create_principal(connection, chosen.tenant_id, name, expires=expires)
            for role, scope in held:
                control.assign(connection, chosen, scope.lower(), role, made.object_id)
        return InProcessClient(self, made, secret, chosen.subscription_id)

    def transport(self) -> httpx.BaseTransport:
        """What another client of httpx reaches it by; tokens are checked as always."""
        return _Transport(self)

    def answer(self, request: httpx.Request) -> httpx.Response:
        """Let the application answer, until the whole body is there; clients on several threads take turns."""
        with self._turn:
            return self._runner.run(self._answer(request))

    def close(self) -> None:
        self.client.close()
        self._runner.close()
        self._engine.close()
        self.cluster.close()
        self.database.close()

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        # httpx hands a plain transport a synchronous body; the ASGI one reads it asynchronously.
        again = httpx.Request(request.method, request.url, headers=request.headers, content=request.read())
        transport = httpx.ASGITransport(self.app, client=(self.address, 50_000))
        reply = await transport.handle_async_request(again)
        body = await reply.aread()
        kept = [(name, value) for name, value in reply.headers.raw if name.lower() != b"content-encoding"]
        return httpx.Response(reply.status_code, headers=kept, content=body)

    def _clock(self) -> float:
        return self.now()


class InProcessClient(ArmClient):
    """The same client as for a real service, over the application in this process.

    Without a principal it is the Owner that the first start made.
    """

    def __init__(
        self,
        service: InProcess,
        principal: ServicePrincipal | None = None,
        secret: str = "",
        subscription_id: str | None = None,
    ) -> None:
        super().__init__(transport=_Transport(service), base_url=BASE, timeout=30)
        self.principal, self.secret = principal, secret
        token = service.token() if principal is None else self.log_in()
        self.set_up(token, subscription_id or service.credentials.subscription_id)

    def log_in(self, scope: str = "https://management.core.windows.net//.default") -> str:
        """A new token of the principal."""
        assert self.principal is not None
        form = {"grant_type": "client_credentials", "client_id": self.principal.app_id, "scope": scope}
        reply = self.post("/adfs/oauth2/token", data=form | {"client_secret": self.secret})
        assert reply.status_code == 200, reply.text
        return str(reply.json()["access_token"])


class _Transport(httpx.BaseTransport):
    def __init__(self, service: InProcess) -> None:
        self._service = service

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return self._service.answer(request)


@cache
def _key() -> SigningKey:
    return SigningKey.create()


@cache
def _empty_database() -> Path:
    """A database with the newest schema and nothing in it: hundreds of tests begin with one."""
    directory = DataDirectory(Path(tempfile.mkdtemp(prefix="poolwright-empty-")))
    atexit.register(shutil.rmtree, directory.path, ignore_errors=True)
    directory.create()
    installation.open_database(directory).close()
    return directory.database


@cache
def _catalog() -> Catalog:
    return Catalog.built_in(("eastus", "westus2"))


def _new_id() -> str:
    return str(uuid.uuid4())
