"""The application in the test's own process: no socket, operations carried out at once, a clock to set."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable
from functools import cache
from pathlib import Path

import httpx

from poolwright import installation
from poolwright.arm import paths
from poolwright.arm.app import ArmApp
from poolwright.arm.area import Service
from poolwright.arm.deployable import Deployable
from poolwright.arm.login import Login
from poolwright.arm.metrics import Metrics
from poolwright.arm.skus import SkuPages
from poolwright.arm.throttle import Throttle
from poolwright.arm.wire import WireRenderer
from poolwright.catalog.catalog import Catalog
from poolwright.control_plane import ControlPlane
from poolwright.domain.profile import Profile
from poolwright.identity import local_credentials
from poolwright.identity.tokens import SigningKey, TokenIssuer, TokenVerifier
from poolwright.installation import DataDirectory
from poolwright.machines.simulated import Behaviour, SimulatedEngine
from poolwright.operations.faults import Faults
from poolwright.operations.in_memory import InMemoryOperations
from poolwright.operations.plans import Context
from poolwright.store.statements import SUBSCRIPTIONS, Subscription
from tests.support.scripted_cluster import ScriptedCluster
from tests.support.service import API_VERSION, ArmClient

BASE = "https://poolwright.test"


class InProcess:
    """The application on a directory of its own.

    `behaviour` is the simulated engine's; it, the clock `now` and the client's `address` may be changed.
    """

    def __init__(self, path: Path, *, profile: Profile = Profile.DOCUMENTED, throttled: bool = False) -> None:
        directory = DataDirectory(path)
        directory.create()
        self.now: Callable[[], float] = time.time
        self.address = "127.0.0.1"
        self.behaviour = Behaviour()
        self.cluster = ScriptedCluster()
        # Nothing waits here: each look at a draining node lets a minute pass.
        self.cluster.meanwhile = lambda: self._pass_time(60.0)
        self.database = installation.open_database(directory)
        installation.ensure_identity(self.database, directory, local=True)
        known = local_credentials.read(directory.credentials)
        assert known is not None
        self.credentials = known
        self.key = _key()
        self.catalog = _catalog()
        self._engine = SimulatedEngine(directory.machines / "simulated.sqlite", self._clock, self.behaviour)
        self.faults = Faults(self.database, self._clock, _new_id)
        deployable = Deployable(profile, self._clock, _new_id)
        operations = InMemoryOperations(
            Context(
                database=self.database,
                engine=self._engine,
                cluster=self.cluster,
                render=WireRenderer(),
                size_of=self.catalog.size,
                now=self._clock,
                new_id=_new_id,
                wait=lambda seconds: None,
                crash=lambda operation, step, moment: None,
                faults=self.faults,
                resources=deployable,
            )
        )
        self.login = Login(key=self.key, reader=self.database.reader, now=self._clock, base_of=lambda request: BASE)
        control_plane = ControlPlane(
            catalog=self.catalog,
            operations=operations,
            render=WireRenderer(),
            profile=profile,
            engine_name="simulated",
            now=self._clock,
            new_id=_new_id,
            faults=self.faults,
        )
        subscriptions = {row[0]: Subscription(*row) for row in self.database.reader.rows(SUBSCRIPTIONS)}
        deployable.attach(control_plane, operations, subscriptions)
        self.service = Service(
            database=self.database,
            control_plane=control_plane,
            operations=operations,
            faults=self.faults,
            throttle=Throttle(self._clock) if throttled else None,
            deployable=deployable,
            verifier=TokenVerifier(self.key, {known.tenant_id}, {f"{BASE}/adfs", f"{BASE}/{known.tenant_id}/v2.0"}),
            login=self.login,
            skus=SkuPages(self.catalog),
            cluster_endpoint=self.cluster,
            metrics=Metrics(),
            profile=profile,
            subscriptions=subscriptions,
            ca_pem=b"",
            now=self._clock,
            base_of=lambda request: paths.base_url(request, None, BASE),
        )
        self.app = ArmApp(self.service)
        self._runner = asyncio.Runner()
        self.client = InProcessClient(self)

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
            "object_id": "00000000-0000-4000-8000-000000000000",
            "issuer": f"{BASE}/adfs",
            "audience": "https://management.core.windows.net/",
            "now": self._clock(),
            "lifetime_seconds": 3600,
        }
        return TokenIssuer(key).issue(**(arguments | changes))  # type: ignore[arg-type]  # changes are arguments of it

    def answer(self, request: httpx.Request) -> httpx.Response:
        """Let the application answer, until the whole body is there."""
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
    """The same client as for a real service, over the application in this process."""

    def __init__(self, service: InProcess) -> None:
        httpx.Client.__init__(self, transport=_Transport(service), base_url=BASE, timeout=30)
        self.subscription = f"/subscriptions/{service.credentials.subscription_id}"
        self.headers["Authorization"] = f"Bearer {service.token()}"
        self.params = self.params.set("api-version", API_VERSION)


class _Transport(httpx.BaseTransport):
    def __init__(self, service: InProcess) -> None:
        self._service = service

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return self._service.answer(request)


@cache
def _key() -> SigningKey:
    return SigningKey.create()


@cache
def _catalog() -> Catalog:
    return Catalog.built_in(("eastus", "westus2"))


def _new_id() -> str:
    return str(uuid.uuid4())
