"""The composition root: settings, clock, store, machine engine and application become a running service.

Invariant: clock, IDs and randomness are made here and handed down.
"""

from __future__ import annotations

import asyncio
import ctypes
import io
import logging
import os
import resource
import shutil
import signal
import socket
import ssl
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, TextIO, cast
from urllib.parse import urlsplit

import structlog
import uvicorn
import uvloop
from sqlalchemy.exc import OperationalError
from starlette.requests import Request

from poolwright import installation
from poolwright.access_control import AccessControl
from poolwright.arm import imported, paths
from poolwright.arm.app import ArmApp
from poolwright.arm.area import Service
from poolwright.arm.connection import Connection
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
from poolwright.domain.activity import RETENTION_SECONDS
from poolwright.engines import engine_of
from poolwright.identity.tls import TlsFiles, ensure_certificates, renew
from poolwright.identity.tokens import SigningKey, TokenVerifier
from poolwright.installation import DataDirectory
from poolwright.kubernetes.endpoint import NoCluster
from poolwright.operations.activity import ActivityLog
from poolwright.operations.crash_hook import crash_hook
from poolwright.operations.durable import DurableOperations
from poolwright.operations.faults import Faults
from poolwright.operations.on_dbos import DbosOperations
from poolwright.operations.plans import Context
from poolwright.settings import Settings
from poolwright.state import State
from poolwright.store import activity_statements
from poolwright.store.database import Database

if TYPE_CHECKING:
    from poolwright.seed.seeding import Seeder

log = structlog.get_logger(__name__)

EXECUTOR_ID = "poolwright"
_GRACE_SECONDS = 2
# malloc.h of glibc.
_M_ARENA_MAX = -8
_PURGE_PAUSE_SECONDS = 60
_RENEWAL_PAUSE_SECONDS = 60
# Settings that decide what is refused and how pools come about; a change of one is in the activity log.
_NOTED_SETTINGS = {"engine", "locations", "profile", "throttle"}


def up(settings: Settings, *, announce: Callable[[], None] = lambda: None) -> int:
    """Run the service until SIGTERM or Ctrl-C; prints `ready URL` on stdout. Returns the exit code.

    `announce` is called once, after that line. Raises `AlreadyRunning` when the data directory is taken,
    `OSError` when the port is or a file cannot be read, `WrongSeed` when the seed cannot be applied.
    """
    configure_logging(settings)
    _share_memory()
    directory = DataDirectory(settings.directory)
    directory.create()
    held = installation.lock(directory)
    shutil.rmtree(directory.rehearsal, ignore_errors=True)
    listener = _listen(settings)
    port = listener.getsockname()[1]
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    url = settings.public_url or f"https://{host}:{port}"
    tls = ensure_certificates(directory.tls, (settings.host, *settings.names), datetime.now(UTC))
    database = installation.open_database(directory)
    installation.ensure_identity(database, directory, local=settings.local_credentials)
    installation.note_settings(database, settings.model_dump(mode="json", include=_NOTED_SETTINGS))
    catalogs = _catalogs(settings, database)
    engine = engine_of(settings, directory, catalogs)
    faults = Faults(database, time.time, _new_id)
    deployable = Deployable(settings.profile, time.time, _new_id)
    context = Context(
        database=database,
        engine=engine,
        cluster=NoCluster(),
        render=WireRenderer(),
        size_of=catalogs.size,
        now=time.time,
        new_id=_new_id,
        wait=time.sleep,
        crash=crash_hook(settings.test_crash),
        faults=faults,
        resources=deployable,
    )
    operations = DbosOperations(database.engine, context, EXECUTOR_ID)
    seeder = _seeder(settings, context, catalogs, operations, directory)
    state = State(
        database=database,
        engine=engine,
        operations=operations,
        catalogs=catalogs,
        faults=faults,
        render=WireRenderer(),
        check=imported.problems,
        log=ActivityLog(time.time, _new_id),
        again=seeder.apply_again if seeder is not None else lambda: False,
    )
    skus = SkuPages(catalogs)
    app = _application(settings, context, catalogs, operations, state, deployable, skus, directory, tls, url)
    state.finish()
    if settings.stop_with_stdin:
        threading.Thread(target=_stop_with_stdin, daemon=True).start()
    try:
        operations.start()
        if seeder is not None:
            with _signals_end_it():
                seeder.apply()
        threading.Thread(target=skus.warm, daemon=True).start()
        threading.Thread(target=_keep_activity_short, args=(database, settings.activity_kept), daemon=True).start()
        renewed = partial(renew, directory=directory.tls, names=(settings.host, *settings.names))
        code = _run(app, listener, tls, renewed, lambda: _ready(directory, url, tls, announce))
    except _Signaled as signaled:
        code = signaled.code
    except BaseException:
        operations.stop()
        raise
    operations.stop()
    engine.close()
    os.close(held)
    # Steps still running in other threads go on at the next start; waiting for them would hold the signal up.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _share_memory() -> None:
    """Have all threads take memory from two arenas. glibc has eight for each core, and gives little of them back."""
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 2)


def configure_logging(settings: Settings) -> None:
    """Log to stderr, as JSON lines or for people; libraries log warnings."""
    final: structlog.types.Processor = (
        structlog.processors.JSONRenderer()
        if settings.log_format == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            final,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(cast("TextIO", _Unfailing(sys.stderr))),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING)


class _Unfailing(io.TextIOBase):
    """Writes as long as that is possible: a full disk or a closed pipe under the log fails no request."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            self._stream.flush()


def _catalogs(settings: Settings, database: Database) -> CatalogInForce:
    """The built-in catalogue of the settings' locations, with what was imported and restricted earlier."""
    built_in = Catalog.built_in(settings.locations)
    with database.engine.connect() as connection:
        return CatalogInForce(built_in, stored(connection, built_in.locations))


def _control_plane(
    settings: Settings, engine_name: str, catalogs: CatalogInForce, operations: DurableOperations, faults: Faults
) -> ControlPlane:
    return ControlPlane(
        Acceptance(
            catalogs=catalogs,
            operations=operations,
            render=WireRenderer(),
            profile=settings.profile,
            engine_name=engine_name,
            now=time.time,
            new_id=_new_id,
            faults=faults,
        )
    )


def _seeder(
    settings: Settings,
    context: Context,
    catalogs: CatalogInForce,
    operations: DbosOperations,
    directory: DataDirectory,
) -> Seeder | None:
    """What brings the seed about, None where there is none. Raises `WrongSeed`."""
    if settings.seed is None:
        return None
    # Models of a seed take a tenth of a second to build, and most services have none.
    from poolwright.seed import reading
    from poolwright.seed.seeding import Seeder

    return Seeder(
        reading.read(settings.seed.expanduser()),
        context=context,
        operations=operations,
        plane_with=lambda carrying_out, faults, catalogs: _control_plane(
            settings, context.engine.name, catalogs, carrying_out, faults
        ),
        catalogs=catalogs,
        subscription=Directory(context.database, time.time, time.monotonic).home,
        profile=settings.profile,
        scratch=directory.rehearsal,
    )


def _application(
    settings: Settings,
    context: Context,
    catalogs: CatalogInForce,
    operations: DbosOperations,
    state: State,
    deployable: Deployable,
    skus: SkuPages,
    directory: DataDirectory,
    tls: TlsFiles,
    url: str,
) -> ArmApp:
    key, database, faults = SigningKey.load_or_create(directory.signing_key), context.database, context.faults
    known = Directory(database, time.time, time.monotonic)

    def base_of(request: Request) -> str:
        return paths.base_url(request, settings.public_url, url)

    control_plane = _control_plane(settings, context.engine.name, catalogs, operations, faults)
    deployable.attach(control_plane, operations, lambda subscription: known.subscriptions.get(subscription))
    return ArmApp(
        Service(
            database=database,
            control_plane=control_plane,
            catalog_keeper=CatalogKeeper(catalogs),
            operations=operations,
            state=state,
            engine=context.engine,
            requests=RequestLog(settings.requests_kept, time.time),
            faults=faults,
            throttle=Throttle(time.monotonic) if settings.throttle == "documented" else None,
            deployable=deployable,
            access_control=AccessControl(now=time.time, new_id=_new_id),
            directory=known,
            trail=Trail(database, ActivityLog(time.time, _new_id)),
            verifier=TokenVerifier(key, known.is_tenant, known.is_issuer, _own_addresses(settings)),
            login=Login(key=key, reader=database.reader, now=time.time, base_of=base_of),
            skus=skus,
            cluster_endpoint=NoCluster(),
            metrics=Metrics(),
            profile=settings.profile,
            key=key,
            ca_pem=tls.ca.read_bytes(),
            now=time.time,
            base_of=base_of,
        )
    )


def _own_addresses(settings: Settings) -> Callable[[str], bool]:
    """Tokens may also be meant for the service itself or its Graph, by any name its certificate has, on any port."""
    names = {"127.0.0.1", "localhost", "::1", settings.host, *settings.names}
    if settings.public_url is not None:
        names.add(urlsplit(settings.public_url).hostname or "")

    def is_own(address: str) -> bool:
        parts = urlsplit(address)
        return parts.scheme == "https" and parts.hostname in names and parts.path in ("", "/msgraph")

    return is_own


def _keep_activity_short(database: Database, most: int) -> None:
    """Delete what is too old or too much for the activity log, now and every minute, a few entries at a time."""
    while True:
        try:
            with database.transaction() as connection:
                purged = activity_statements.purge(connection, time.time() - RETENTION_SECONDS, most)
        except OperationalError as error:
            log.warning("activity_not_purged", cause=str(error.orig))
            purged = 0
        # Between two batches others get their turn at writing.
        time.sleep(0.1 if purged == activity_statements.PURGED_AT_ONCE else _PURGE_PAUSE_SECONDS)


def _listen(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
    except OSError as error:
        listener.close()
        raise OSError(
            error.errno,
            f"cannot listen on {settings.host}:{settings.port}: {error.strerror}; choose another --host or --port",
        ) from error
    listener.listen(2048)
    return listener


class _Signaled(BaseException):
    """A signal asked the process to end before it served."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.code = _code_after([number])


@contextmanager
def _signals_end_it() -> Iterator[None]:
    """SIGTERM and Ctrl-C raise `_Signaled` inside; before and afterwards, somebody else takes them."""

    def leave(number: int, _frame: object) -> None:
        raise _Signaled(number)

    before = {number: signal.signal(number, leave) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _code_after(received: Sequence[int]) -> int:
    """The exit code after signals: 0 after SIGTERM and 130 after Ctrl-C."""
    return 130 if signal.SIGINT in received else 0


def _stop_with_stdin() -> None:
    """End like after SIGTERM once whoever holds the other end of stdin has gone, however it went."""
    while os.read(sys.stdin.fileno(), 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def _ready(directory: DataDirectory, url: str, tls: TlsFiles, announce: Callable[[], None]) -> None:
    directory.write_endpoint(url, tls.ca)
    print(f"ready {url}", flush=True)
    announce()


def _run(
    app: ArmApp,
    listener: socket.socket,
    tls: TlsFiles,
    renewed: Callable[..., bool],
    ready: Callable[[], None],
) -> int:
    """Serve until a signal comes; returns 0 after SIGTERM and 130 after Ctrl-C."""
    received: list[int] = []

    def remember(number: int, _frame: object) -> None:
        received.append(number)

    # uvicorn raises the signals it caught again when it has finished; these take them.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, remember)
    config = uvicorn.Config(
        app,
        ssl_certfile=str(tls.certificate),
        ssl_keyfile=str(tls.key),
        http=partial(Connection, most=_most_connections()),  # type: ignore[arg-type]  # uvicorn only calls it
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )
    server = uvicorn.Server(config)

    async def serve() -> None:
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        while not server.started and not serving.done():
            await asyncio.sleep(0.005)
        if server.started:
            ready()
        assert config.ssl is not None
        keeping = asyncio.create_task(_keep_certificate_valid(renewed, config.ssl))
        await serving
        keeping.cancel()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve())
    return _code_after(received)


async def _keep_certificate_valid(renewed: Callable[..., bool], context: ssl.SSLContext) -> None:
    """Look now and then, on the loop that does the handshakes, whether the certificate is still good."""
    while True:
        await asyncio.sleep(_RENEWAL_PAUSE_SECONDS)
        try:
            if renewed(context, now=datetime.now(UTC)):
                log.warning("certificate_renewed", remedy="only where tls/ca.pem is new as well, clients trust it anew")
        except OSError as error:
            log.error("certificate_not_renewed", cause=str(error))


def _most_connections() -> int:
    """Allow the process as many open files as it may have, and return how many of them are for connections.

    The rest is for the database: an operation at work (there are up to 256) has three files open.
    """
    most, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        most = hard
    return max(most - 1024, most // 2)


def _new_id() -> str:
    return str(uuid.uuid4())
