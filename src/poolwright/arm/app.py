"""The HTTP application: routes, authentication, polling. It decides nothing.

A request goes: fold the path -> who calls -> api-version -> subscription -> may the caller -> gate -> handler.
A handler reads, calls one verb, writes. Reads send the wire form that was stored when the resource was written.

Invariant: no handler of a resource runs before its row's action was granted to the caller; every reply
carries the correlation ID; every non-terminal reply carries Retry-After: 1.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final, NoReturn
from urllib.parse import quote

import orjson
import structlog
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from poolwright import errors
from poolwright.arm import paths
from poolwright.arm.area import Handler, OfferedRoute, Over, Service
from poolwright.arm.directory import Access
from poolwright.arm.errors import error_response
from poolwright.arm.gate import Gate, asked_for
from poolwright.arm.graph import Graph
from poolwright.arm.http import json_response
from poolwright.arm.kubeconfig import kubernetes_status
from poolwright.arm.local_operator import for_local_operator
from poolwright.arm.not_offered import refusing_routes
from poolwright.arm.offered import AREAS, LOCAL_AREAS
from poolwright.domain.fault import wording
from poolwright.identity.tokens import Caller, InvalidToken, claims_challenge
from poolwright.store import statements
from poolwright.store.database import trouble_of

log = structlog.get_logger(__name__)


class ArmApp:
    """The ASGI application."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._gate = Gate(service.database, service.faults, service.throttle)
        local = [
            replace(route, handler=for_local_operator(route, service, self._identify))
            for area in LOCAL_AREAS
            for route in area(service).offered()
        ]
        offered = [route for area in AREAS for route in area(service).offered()]
        refusing = refusing_routes(offered)
        of_tenant = [route for route in refusing if not route.path.startswith("/subscriptions/")]
        self._open: ASGIApp = Router(
            [
                _route("/healthz", {"GET": self._health, "HEAD": self._health}),
                _route("/metrics", {"GET": self._metrics, "HEAD": self._metrics}),
                Route("/kube/{cluster}", self._kubernetes, methods=_ANY_METHOD),
                Route("/kube/{cluster}/{rest:path}", self._kubernetes, methods=_ANY_METHOD),
                *(_route(path, {method: handler}) for path, method, handler in service.login.routes()),
                *(
                    _route(path, {method: row.handler for method, row in rows.items()})
                    for path, rows in _by_path([*local, *of_tenant]).items()
                ),
            ],
            default=_not_offered,
            redirect_slashes=False,
        )
        of_subscription = [route for route in refusing if route not in of_tenant]
        self._resources: ASGIApp = Router(
            self._routes([*offered, *of_subscription]), default=_not_offered, redirect_slashes=False
        )
        self._graph: ASGIApp = Router(
            [_route(path, {method: handler}) for path, method, handler in Graph(service).routes()],
            default=_not_offered,
            redirect_slashes=False,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        started = time.perf_counter()
        headers = dict(scope["headers"])
        correlation_id = _correlation_id(headers)
        status = 500
        requests, path = self._service.requests, scope["path"]
        sent = requests.listen(scope, receive) if scope["method"] != "GET" else None
        operation_url: bytes | None = None

        async def send_with_ids(message: Message) -> None:
            nonlocal status, operation_url
            if message["type"] == "http.response.start":
                status = message["status"]
                if sent is not None:
                    operation_url = dict(message["headers"]).get(b"azure-asyncoperation")
                identity = correlation_id.encode("ascii")
                message["headers"] += [
                    (b"x-ms-request-id", identity),
                    (b"x-ms-correlation-request-id", identity),
                ]
            await send(message)

        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(correlation_id=correlation_id)
        scope["poolwright.correlation_id"] = correlation_id
        try:
            await self._answer(scope, headers, sent.receive if sent is not None else receive, send_with_ids)
        except errors.PoolwrightError as error:
            await error_response(error)(scope, receive, send_with_ids)
        except ClientDisconnect:
            log.info("client_disconnected", path=_loggable(scope))
        except Exception as error:
            await error_response(_unexpected(scope, error))(scope, receive, send_with_ids)
        finally:
            seconds = time.perf_counter() - started
            self._service.metrics.observe(scope["method"], status, seconds)
            if requests.is_on:
                requests.add(scope, path, sent, status, seconds, correlation_id, operation_url)
            if scope["method"] not in ("GET", "HEAD") or status >= 500:
                log.info(
                    "request", method=scope["method"], path=_loggable(scope), status=status, seconds=round(seconds, 4)
                )

    async def _answer(self, scope: Scope, headers: dict[bytes, bytes], receive: Receive, send: Send) -> None:
        path = paths.fold(scope["path"])
        scope[paths.AS_SENT] = path
        scope["path"] = path.lower()
        scope["root_path"] = ""
        if scope["method"] not in _ANY_METHOD:
            raise _method_not_allowed(scope["method"], _ANY_METHOD)
        is_resource = f"{scope['path']}/".startswith("/subscriptions/")
        if not is_resource and not scope["path"].startswith("/msgraph/"):
            await self._open(scope, receive, send)
            return
        refusal = self._identify(scope, headers)
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        if not is_resource:
            await self._graph(scope, receive, send)
            return
        scope["poolwright.api_version"] = paths.api_version(scope["query_string"])
        self._require_subscription(scope["path"], scope["poolwright.caller"])
        await self._resources(scope, receive, send)

    def _identify(self, scope: Scope, headers: dict[bytes, bytes]) -> Response | None:
        """Note in the scope who calls and what that principal may do; returns the refusal of an unusable token."""
        scheme, _, token = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
        if scheme.lower() != "bearer" or not token:
            return self._challenge(
                scope,
                errors.AuthenticationFailed("Authentication failed. The 'Authorization' header is missing."),
            )
        if sum(name == b"authorization" for name, _ in scope["headers"]) > 1:
            # Whatever stands in front of the service may have looked at the other one.
            return self._challenge(
                scope,
                errors.AuthenticationFailed("Authentication failed. There is more than one 'Authorization' header."),
            )
        directory = self._service.directory
        directory.catch_up()
        try:
            caller = self._service.verifier.verify(token.strip(), self._service.now())
            scope["poolwright.access"] = directory.access(caller)
        except InvalidToken as error:
            return self._challenge(
                scope, errors.InvalidAuthenticationToken(f"The access token is invalid: {error.reason}.")
            )
        scope["poolwright.caller"] = caller
        return None

    def _challenge(self, scope: Scope, error: errors.Unauthenticated) -> Response:
        challenge = claims_challenge(self._service.base_of(Request(scope)), self._service.now())
        return error_response(error, {"WWW-Authenticate": challenge})

    def _require_subscription(self, path: str, caller: Caller) -> None:
        segments = path.split("/")
        if len(segments) < 3:
            return
        wanted = segments[2]
        known = self._service.subscriptions.get(wanted)
        if known is None or known.tenant_id != caller.tenant_id:
            paths.require_subscription_guid(wanted)
            raise errors.SubscriptionNotFound(
                f"The subscription '{wanted}' could not be found.",
                remedy="use the subscription `poolwright env` prints",
            )

    def _routes(self, table: Iterable[OfferedRoute]) -> list[Route]:
        """One Starlette route per path; an unknown method is answered in ARM's form."""
        return [Route(path, self._guarded(rows), methods=_ANY_METHOD) for path, rows in _by_path(table).items()]

    def _guarded(self, rows: Mapping[str, OfferedRoute]) -> Handler:
        """The rows' handlers, each behind the question whether the caller may."""
        # The action is looked up once, None where the handler itself leaves out what the caller may not see.
        handlers = {
            method: (row, row.handler, row.requirement, row.requirement.action if row.over is not Over.EACH else None)
            for method, row in rows.items()
        }

        async def dispatch(request: Request) -> Response:
            offered = handlers.get(request.method)
            if offered is None:
                raise _method_not_allowed(request.method, rows)
            row, handler, requirement, action = offered
            if action is not None:
                scope, names = request.scope, request.path_params
                if "{" in action:
                    action = action.format(**names)
                scope["poolwright.needs"] = action, requirement.scope(scope[paths.AS_SENT])
                access: Access = scope["poolwright.access"]
                if not access.may_everywhere(action, names["subscription"]) and not self._may_here(row, request):
                    await self._refuse(request)
            if self._gate.is_watched:
                await self._let_through(request)
            return await handler(request)

        return dispatch

    def _may_here(self, row: OfferedRoute, request: Request) -> bool:
        """Whether a role below the subscription grants the action."""
        action, _ = request.scope["poolwright.needs"]
        over = row.requirement.scope(request.scope["path"])
        if row.over is Over.OPERATION:
            names = request.path_params
            found = self._service.database.reader.row(
                statements.OPERATION_RESOURCE, key=names["operation"], subscription=names["subscription"]
            )
            over = found[0] if found is not None else over
        access: Access = request.scope["poolwright.access"]
        return access.may(action, over)

    async def _let_through(self, request: Request) -> None:
        try:
            await self._gate.let_through(request.scope)
        except errors.Forbidden as error:
            # A fault stands in for the real thing, which is logged.
            await self._service.trail.refused(request, error)
            raise

    async def _refuse(self, request: Request) -> NoReturn:
        error = errors.AuthorizationFailed(
            wording(errors.AuthorizationFailed.code, asked_for(request.scope)),
            remedy="an Owner assigns a role: az role assignment create",
        )
        await self._service.trail.refused(request, error)
        raise error

    async def _health(self, request: Request) -> Response:
        self._service.database.reader.row(statements.RESOURCE_COUNTS)
        return json_response(orjson.dumps({"status": "ok"}))

    async def _metrics(self, request: Request) -> Response:
        self._service.metrics.count_resources(self._service.database.reader)
        return Response(generate_latest(self._service.metrics.registry), media_type=CONTENT_TYPE_LATEST)

    async def _kubernetes(self, request: Request) -> Response:
        return kubernetes_status(self._service.cluster_endpoint.answer(request.path_params["cluster"]))


_ANY_METHOD: Final = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


def _by_path(table: Iterable[OfferedRoute]) -> dict[str, dict[str, OfferedRoute]]:
    """The rows by path and method."""
    found: dict[str, dict[str, OfferedRoute]] = {}
    for row in table:
        found.setdefault(row.path, {})[row.method] = row
    return found


def _route(path: str, handlers: dict[str, Handler]) -> Route:
    return Route(path, _by_method(handlers), methods=_ANY_METHOD)


def _by_method(
    handlers: dict[str, Handler],
) -> Handler:
    async def dispatch(request: Request) -> Response:
        handler = handlers.get(request.method)
        if handler is None:
            raise _method_not_allowed(request.method, handlers)
        return await handler(request)

    return dispatch


def _method_not_allowed(method: str, offered_methods: Iterable[str]) -> errors.HttpMethodNotAllowed:
    allowed = ", ".join(sorted(offered_methods))
    return errors.HttpMethodNotAllowed(
        f"The method {method} is not offered for this path. Offered: {allowed}.", remedy=f"use {allowed}"
    )


async def _not_offered(scope: Scope, receive: Receive, send: Send) -> None:
    raise errors.InvalidResourceType(
        f"The path '{scope[paths.AS_SENT]}' is not one this service offers.",
        remedy="docs/compatibility.md lists what is offered",
    )


def _correlation_id(headers: Mapping[bytes, bytes]) -> str:
    """The client's own ID, so that its logs and ours meet; else a new one."""
    for name in _CORRELATION_HEADERS:
        value = headers.get(name, b"")
        if 0 < len(value) <= 64 and value.replace(b"-", b"").isalnum():
            return value.decode("ascii")
    digits = f"{random.getrandbits(128):032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def _unexpected(scope: Scope, error: Exception) -> errors.PoolwrightError:
    """What to answer after an error that nobody raised on purpose; the log has the details."""
    trouble = trouble_of(error)
    if trouble is not None:
        log.error(
            "storage_unavailable", method=scope["method"], path=_loggable(scope), cause=str(error).splitlines()[0]
        )
        return errors.StorageUnavailable(
            f"The request was not carried out, and nothing was changed: {trouble}.",
            remedy="whoever runs the service looks at the disk of its data directory; then send the request again",
        )
    log.error("request_failed", method=scope["method"], path=_loggable(scope), exc_info=error)
    return errors.InternalServerError(
        f"The service met an internal error. Correlation ID: {scope['poolwright.correlation_id']}.",
        remedy="report it with the correlation ID; the service's log has the details",
    )


_CORRELATION_HEADERS: Final = (b"x-ms-correlation-request-id", b"x-ms-client-request-id")


def _loggable(scope: Scope) -> str:
    """The path for the log: what somebody wrote into it must not write into a terminal."""
    return quote(scope["path"][: paths.MAX_PATH], safe="/")
