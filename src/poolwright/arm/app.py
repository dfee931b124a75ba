"""The HTTP application: routes, authentication, polling. It decides nothing.

A request goes: fold the path -> who calls -> api-version -> subscription -> handler. A handler reads,
calls one verb, writes. Reads send the wire form that was stored when the resource was written.

Invariant: every reply carries the correlation ID; every non-terminal reply carries Retry-After: 1.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final
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
from poolwright.arm.errors import error_response
from poolwright.arm.kubeconfig import credential_results, kubernetes_status
from poolwright.arm.login import Login
from poolwright.arm.metrics import Metrics
from poolwright.arm.skus import SkuPages
from poolwright.arm.upgrades import (
    available_node_pool_versions,
    cluster_upgrade_profile,
    kubernetes_versions,
    node_pool_upgrade_profile,
)
from poolwright.arm.usages import render_usages
from poolwright.arm.wire import (
    decode_cluster,
    decode_group,
    decode_machine_names,
    decode_node_pool,
    decode_quota_limit,
    encode_cluster,
    encode_what_if,
    parse_body,
)
from poolwright.catalog.catalog import display_names
from poolwright.control_plane import Accepted, Call, ControlPlane, Preconditions, WhatIf
from poolwright.domain.cluster import Cluster
from poolwright.domain.node_pool import NodePool
from poolwright.domain.operation import Operation, OperationKind, OperationStatus
from poolwright.domain.profile import Profile
from poolwright.identity.tokens import Caller, InvalidToken, TokenVerifier, claims_challenge
from poolwright.kubernetes.endpoint import ClusterEndpoint
from poolwright.operations.context import CLUSTER_KINDS
from poolwright.operations.durable import DurableOperations
from poolwright.store import statements
from poolwright.store.database import Database
from poolwright.store.records import load
from poolwright.store.statements import Subscription

log = structlog.get_logger(__name__)

MAX_BODY_BYTES: Final = 4 * 1024 * 1024  # ARM's own limit for a request body
RETRY_AFTER: Final = {"Retry-After": "1"}
_JSON: Final = "application/json; charset=utf-8"
_CLUSTERS: Final = "/subscriptions/{subscription}/providers/microsoft.containerservice/managedclusters"
_GROUP: Final = "/subscriptions/{subscription}/resourcegroups/{group}"
_GROUP_CLUSTERS: Final = _GROUP + "/providers/microsoft.containerservice/managedclusters"
_CLUSTER: Final = _GROUP_CLUSTERS + "/{cluster}"
_POOLS: Final = _CLUSTER + "/agentpools"
_POOL: Final = _POOLS + "/{pool}"
_LOCATION: Final = "/subscriptions/{subscription}/providers/microsoft.containerservice/locations/{location}"
_USAGES: Final = "/subscriptions/{subscription}/providers/microsoft.compute/locations/{location}/usages"
_API_VERSIONS: Final = ("2026-08-01", "2026-06-01", "2026-04-01", "2026-01-02-preview", "2025-10-01")


@dataclass(frozen=True, slots=True)
class Service:
    """Everything the application works with."""

    database: Database
    control_plane: ControlPlane
    operations: DurableOperations
    verifier: TokenVerifier
    login: Login
    skus: SkuPages
    cluster_endpoint: ClusterEndpoint
    metrics: Metrics
    profile: Profile
    subscriptions: dict[str, Subscription]
    ca_pem: bytes
    now: Callable[[], float]
    base_of: Callable[[Request], str]


@dataclass(frozen=True, slots=True)
class OfferedRoute:
    """A row of the table of operations: what Azure calls it, and where it is."""

    operation: str
    method: str
    path: str
    handler: Callable[[Request], Awaitable[Response]]


class ArmApp:
    """The ASGI application."""

    def __init__(self, service: Service) -> None:
        self._service = service
        handlers = Handlers(service)
        self._open: ASGIApp = Router(
            [
                _route("/healthz", {"GET": self._health, "HEAD": self._health}),
                _route("/metrics", {"GET": self._metrics, "HEAD": self._metrics}),
                Route("/kube/{cluster}", handlers.kubernetes, methods=_ANY_METHOD),
                Route("/kube/{cluster}/{rest:path}", handlers.kubernetes, methods=_ANY_METHOD),
                *(_route(path, {method: handler}) for path, method, handler in service.login.routes()),
            ],
            default=_not_offered,
            redirect_slashes=False,
        )
        self._resources: ASGIApp = Router(_routes(offered(handlers)), default=_not_offered, redirect_slashes=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        started = time.perf_counter()
        headers = dict(scope["headers"])
        correlation_id = _correlation_id(headers)
        status = 500

        async def send_with_ids(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
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
            await self._answer(scope, headers, receive, send_with_ids)
        except errors.PoolwrightError as error:
            await error_response(error)(scope, receive, send_with_ids)
        except ClientDisconnect:
            log.info("client_disconnected", path=_loggable(scope))
        except Exception:
            log.exception("request_failed", method=scope["method"], path=_loggable(scope))
            bug = errors.InternalServerError(
                f"The service met an internal error. Correlation ID: {correlation_id}.",
                remedy="report it with the correlation ID; the service's log has the details",
            )
            await error_response(bug)(scope, receive, send_with_ids)
        finally:
            seconds = time.perf_counter() - started
            self._service.metrics.observe(scope["method"], status, seconds)
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
        if not f"{scope['path']}/".startswith("/subscriptions/"):
            await self._open(scope, receive, send)
            return
        caller = self._caller(scope, headers)
        if isinstance(caller, Response):
            await caller(scope, receive, send)
            return
        scope["poolwright.api_version"] = paths.api_version(scope["query_string"])
        scope["poolwright.caller"] = caller
        self._require_subscription(scope["path"], caller)
        await self._resources(scope, receive, send)

    def _caller(self, scope: Scope, headers: dict[bytes, bytes]) -> Caller | Response:
        scheme, _, token = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
        if scheme.lower() != "bearer" or not token:
            return self._challenge(
                scope,
                errors.AuthenticationFailed("Authentication failed. The 'Authorization' header is missing."),
            )
        try:
            return self._service.verifier.verify(token.strip(), self._service.now())
        except InvalidToken as error:
            return self._challenge(
                scope, errors.InvalidAuthenticationToken(f"The access token is invalid: {error.reason}.")
            )

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

    async def _health(self, request: Request) -> Response:
        self._service.database.reader.row(statements.RESOURCE_COUNTS)
        return _json(orjson.dumps({"status": "ok"}))

    async def _metrics(self, request: Request) -> Response:
        self._service.metrics.count_resources(self._service.database.reader)
        return Response(generate_latest(self._service.metrics.registry), media_type=CONTENT_TYPE_LATEST)


class Handlers:
    """One method per operation."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._reader = service.database.reader

    async def get_node_pool(self, request: Request) -> Response:
        # The folded, lower-case path of a node pool is its key.
        row = self._reader.row(statements.POOL_WIRE, key=request.scope["path"])
        if row is None:
            pool_id = paths.node_pool_id(request)
            self._require_cluster(pool_id.cluster_id.key, request)
            raise errors.AgentPoolNotFound(
                f"The agent pool '{pool_id.pool}' was not found in managed cluster '{pool_id.cluster_id.cluster}'.",
                remedy="`az aks nodepool list` shows what exists",
            )
        return _json(row[0], headers={"ETag": f'"{row[1]}"'})

    async def list_node_pools(self, request: Request) -> Response:
        cluster_key = paths.cluster_id(request).key
        rows = self._reader.rows(statements.POOL_WIRES, key=cluster_key)
        if not rows:
            self._require_cluster(cluster_key, request)
        return _listed(row[0] for row in rows)

    async def put_node_pool(self, request: Request) -> Response:
        pool_id, call = paths.node_pool_id(request), _call(request)
        wanted = decode_node_pool(await _body(request), self._service.profile)
        plane = self._service.control_plane
        accepted = await self._service.database.write(
            lambda connection: plane.put_node_pool(connection, pool_id, wanted, call)
        )
        row = self._reader.row(statements.POOL_WIRE, key=pool_id.key)
        self._begin(accepted)
        assert row is not None
        headers = self._polling(request, accepted) | {"ETag": f'"{row[1]}"'}
        return _json(row[0], 201 if accepted.created else 200, headers)

    async def what_if_node_pool(self, request: Request) -> Response:
        pool_id, call = paths.node_pool_id(request), _call(request)
        wanted = decode_node_pool(await _body(request), self._service.profile)
        plane = self._service.control_plane

        def settle() -> WhatIf:
            with self._service.database.engine.connect() as connection:
                return plane.what_if_node_pool(connection, pool_id, wanted, call)

        return _json(encode_what_if(await asyncio.to_thread(settle)))

    async def upgrade_node_image(self, request: Request) -> Response:
        pool_id, call = paths.node_pool_id(request), _call(request)
        plane = self._service.control_plane
        return await self._posted(request, lambda connection: plane.upgrade_node_image(connection, pool_id, call))

    async def rollback_node_pool(self, request: Request) -> Response:
        pool_id, call = paths.node_pool_id(request), _call(request)
        plane = self._service.control_plane
        return await self._posted(request, lambda connection: plane.rollback_node_pool(connection, pool_id, call))

    async def delete_machines(self, request: Request) -> Response:
        pool_id, call = paths.node_pool_id(request), _call(request)
        names = decode_machine_names(await _body(request))
        plane = self._service.control_plane
        return await self._posted(request, lambda connection: plane.delete_machines(connection, pool_id, names, call))

    async def abort_node_pool(self, request: Request) -> Response:
        pool_id, call = paths.node_pool_id(request), _call(request)
        plane = self._service.control_plane
        # An abort has no plan of its own to begin: the operation it stops ends it.
        return await self._posted(
            request, lambda connection: plane.abort_node_pool(connection, pool_id, call), begins=False
        )

    async def stop_cluster(self, request: Request) -> Response:
        cluster_id, call = paths.cluster_id(request), _call(request)
        plane = self._service.control_plane
        return await self._posted(request, lambda connection: plane.stop_cluster(connection, cluster_id, call))

    async def start_cluster(self, request: Request) -> Response:
        cluster_id, call = paths.cluster_id(request), _call(request)
        plane = self._service.control_plane
        return await self._posted(request, lambda connection: plane.start_cluster(connection, cluster_id, call))

    async def get_node_pool_upgrades(self, request: Request) -> Response:
        cluster = self._cluster(request)
        self._require_pool(request)
        record = self._reader.row(statements.POOL_RECORD, key=paths.node_pool_id(request).key)
        assert record is not None
        return _json(node_pool_upgrade_profile(cluster, load(NodePool, record[0]), self._service.control_plane.catalog))

    async def list_node_pool_versions(self, request: Request) -> Response:
        cluster = self._cluster(request)
        return _json(available_node_pool_versions(cluster, self._service.control_plane.catalog.kubernetes))

    async def list_usages(self, request: Request) -> Response:
        plane = self._service.control_plane
        location = plane.require_location(request.path_params["location"], "location")
        subscription = request.path_params["subscription"]

        def read() -> tuple[dict[str, int], dict[str, int]]:
            with self._service.database.engine.connect() as connection:
                return plane.quota(connection, subscription, location)

        used, limits = await asyncio.to_thread(read)
        return _json(render_usages(plane.catalog, location, used, limits))

    async def put_quota(self, request: Request) -> Response:
        return await self._store_quota(request, decode_quota_limit(await _body(request)))

    async def delete_quota(self, request: Request) -> Response:
        return await self._store_quota(request, None)

    async def _store_quota(self, request: Request, limit: int | None) -> Response:
        plane, place = self._service.control_plane, request.path_params
        await self._service.database.write(
            lambda connection: plane.put_quota(
                connection, place["subscription"], place["location"], place["family"], limit
            )
        )
        return await self.list_usages(request)

    async def delete_node_pool(self, request: Request) -> Response:
        pool_id, call = paths.node_pool_id(request), _call(request)
        plane = self._service.control_plane
        return await self._deleted(request, lambda connection: plane.delete_node_pool(connection, pool_id, call))

    async def get_machine(self, request: Request) -> Response:
        machine_id = paths.machine_id(request)
        row = self._reader.row(statements.MACHINE_WIRE, key=machine_id.key)
        if row is None:
            self._require_pool(request)
            raise errors.MachineNotFound(
                f"The machine '{machine_id.machine}' was not found in agent pool '{machine_id.pool_id.pool}'.",
                remedy="`az aks machine list` shows what exists",
            )
        return _json(row[0])

    async def list_machines(self, request: Request) -> Response:
        self._require_pool(request)
        rows = self._reader.rows(statements.MACHINE_WIRES, key=paths.node_pool_id(request).key)
        return _listed(row[0] for row in rows)

    async def get_cluster(self, request: Request) -> Response:
        cluster = self._cluster(request)
        return _json(self._encoded(cluster, request), headers={"ETag": f'"{cluster.etag}"'})

    async def list_clusters(self, request: Request) -> Response:
        subscription = request.path_params["subscription"]
        rows = self._reader.rows(statements.CLUSTERS_OF_SUBSCRIPTION, key=subscription)
        return _listed(self._encoded(load(Cluster, record), request) for _, record in rows)

    async def list_group_clusters(self, request: Request) -> Response:
        group_id = paths.group_id(request)
        self._require_group(group_id.key, group_id.group)
        rows = self._reader.rows(statements.CLUSTERS_OF_GROUP, key=group_id.key)
        return _listed(self._encoded(load(Cluster, record), request) for _, record in rows)

    async def put_cluster(self, request: Request) -> Response:
        cluster_id, call = paths.cluster_id(request), _call(request)
        wanted, pools = decode_cluster(await _body(request), self._service.profile)
        plane = self._service.control_plane
        accepted = await self._service.database.write(
            lambda connection: plane.put_cluster(connection, cluster_id, wanted, pools, call)
        )
        cluster = self._cluster(request)
        body = self._encoded(cluster, request)
        self._begin(accepted)
        headers = self._polling(request, accepted) | {"ETag": f'"{cluster.etag}"'}
        return _json(body, 201 if accepted.created else 200, headers)

    async def delete_cluster(self, request: Request) -> Response:
        cluster_id, call = paths.cluster_id(request), _call(request)
        plane = self._service.control_plane
        return await self._deleted(request, lambda connection: plane.delete_cluster(connection, cluster_id, call))

    async def user_credentials(self, request: Request) -> Response:
        return self._credentials(request, admin=False)

    async def admin_credentials(self, request: Request) -> Response:
        return self._credentials(request, admin=True)

    async def get_cluster_upgrades(self, request: Request) -> Response:
        cluster = self._cluster(request)
        kubernetes = self._service.control_plane.catalog.kubernetes
        return _json(cluster_upgrade_profile(cluster, self._pools(cluster), kubernetes))

    async def list_kubernetes_versions(self, request: Request) -> Response:
        return _json(kubernetes_versions(self._service.control_plane.catalog.kubernetes))

    async def get_operation(self, request: Request) -> Response:
        wire, status, _ = self._operation(request)
        terminal = OperationStatus(status).is_terminal
        return _json(wire, headers={} if terminal else RETRY_AFTER)

    async def get_operation_result(self, request: Request) -> Response:
        _, status, operation = self._operation(request)
        if not OperationStatus(status).is_terminal:
            headers = RETRY_AFTER | {"Location": f"{self._service.base_of(request)}{_target(request)}"}
            return Response(status_code=202, headers=headers)
        if operation.error is not None:
            return _json(
                orjson.dumps({"error": {"code": operation.error.code, "message": operation.error.message}}), 409
            )
        if operation.kind in (
            OperationKind.DELETE_CLUSTER,
            OperationKind.DELETE_NODE_POOL,
            OperationKind.DELETE_RESOURCE_GROUP,
        ):
            return Response(status_code=204)
        if operation.kind not in CLUSTER_KINDS:
            row = self._reader.row(statements.POOL_WIRE, key=operation.resource_key)
            return _json(row[0]) if row is not None else Response(status_code=204)
        record = self._reader.row(statements.CLUSTER_RECORD, key=operation.resource_key)
        if record is None:
            return Response(status_code=204)
        return _json(self._encoded(load(Cluster, record[0]), request))

    async def list_skus(self, request: Request) -> Response:
        body, encoding = self._service.skus.page(
            request.query_params.get("$filter"), request.headers.get("accept-encoding", "")
        )
        headers = {"Content-Encoding": encoding, "Vary": "Accept-Encoding"} if encoding else {}
        return _json(body, headers=headers)

    async def list_subscriptions(self, request: Request) -> Response:
        tenant = request.scope["poolwright.caller"].tenant_id
        return _listed(
            orjson.dumps(_subscription(known))
            for known in self._service.subscriptions.values()
            if known.tenant_id == tenant
        )

    async def get_subscription(self, request: Request) -> Response:
        return _json(orjson.dumps(_subscription(self._service.subscriptions[request.path_params["subscription"]])))

    async def list_locations(self, request: Request) -> Response:
        subscription = request.path_params["subscription"]
        shown = display_names()
        return _listed(
            orjson.dumps(
                {
                    "id": f"/subscriptions/{subscription}/locations/{location}",
                    "name": location,
                    "type": "Region",
                    "displayName": shown.get(location, location),
                    "regionalDisplayName": shown.get(location, location),
                    "metadata": {"regionType": "Physical", "regionCategory": "Recommended"},
                }
            )
            for location in self._service.control_plane.catalog.locations
        )

    async def get_group(self, request: Request) -> Response:
        group_id = paths.group_id(request)
        return _json(self._require_group(group_id.key, group_id.group))

    async def head_group(self, request: Request) -> Response:
        row = self._reader.row(statements.GROUP_WIRE, key=paths.group_id(request).key)
        return Response(status_code=204 if row is not None else 404)

    async def list_groups(self, request: Request) -> Response:
        rows = self._reader.rows(statements.GROUP_WIRES, key=request.path_params["subscription"])
        return _listed(row[0] for row in rows)

    async def put_group(self, request: Request) -> Response:
        group_id = paths.group_id(request)
        location, sent = decode_group(await _body(request))
        plane = self._service.control_plane
        _, created = await self._service.database.write(
            lambda connection: plane.put_resource_group(connection, group_id, location, sent)
        )
        return _json(self._require_group(group_id.key, group_id.group), 201 if created else 200)

    async def delete_group(self, request: Request) -> Response:
        group_id, call = paths.group_id(request), _call(request)
        plane = self._service.control_plane
        accepted = await self._service.database.write(
            lambda connection: plane.delete_resource_group(connection, group_id, call)
        )
        self._begin(accepted)
        assert accepted.operation is not None
        base, version = self._service.base_of(request), request.scope["poolwright.api_version"]
        location = (
            f"{base}/subscriptions/{accepted.operation.subscription}/operationresults/{accepted.operation.id}"
            f"?api-version={version}"
        )
        return Response(status_code=202, headers=RETRY_AFTER | {"Location": location})

    async def get_provider(self, request: Request) -> Response:
        subscription = request.path_params["subscription"]
        known = _PROVIDERS.get(request.path_params["namespace"])
        if known is None:
            raise errors.InvalidResourceType(
                f"The resource provider '{request.path_params['namespace']}' is not one this service offers.",
                remedy=f"offered are {', '.join(name for name, _ in _PROVIDERS.values())}",
            )
        namespace, types = known
        document = {
            "id": f"/subscriptions/{subscription}/providers/{namespace}",
            "namespace": namespace,
            "registrationState": "Registered",
            "registrationPolicy": "RegistrationRequired",
            "resourceTypes": [
                {
                    "resourceType": kind,
                    "locations": list(self._service.control_plane.catalog.locations),
                    "apiVersions": list(_API_VERSIONS),
                }
                for kind in types
            ],
        }
        return _json(orjson.dumps(document))

    async def kubernetes(self, request: Request) -> Response:
        return kubernetes_status(self._service.cluster_endpoint.answer(request.path_params["cluster"]))

    def _begin(self, accepted: Accepted) -> None:
        if accepted.operation is not None:
            self._service.operations.begin(accepted.operation.id)

    def _polling(self, request: Request, accepted: Accepted) -> dict[str, str]:
        operation = accepted.operation
        assert operation is not None
        return RETRY_AFTER | {"Azure-AsyncOperation": self._operation_url(request, operation, "operations")}

    def _operation_url(self, request: Request, operation: Operation, kind: str) -> str:
        return (
            f"{self._service.base_of(request)}/subscriptions/{operation.subscription}/providers/"
            f"Microsoft.ContainerService/locations/{operation.location}/{kind}/{operation.id}"
            f"?api-version={request.scope['poolwright.api_version']}"
        )

    async def _deleted(self, request: Request, verb: Callable[[Any], Accepted]) -> Response:
        accepted = await self._service.database.write(verb)
        if accepted.operation is None:
            return Response(status_code=204)
        self._begin(accepted)
        headers = self._polling(request, accepted)
        headers["Location"] = self._operation_url(request, accepted.operation, "operationresults")
        return Response(status_code=202, headers=headers)

    async def _posted(self, request: Request, verb: Callable[[Any], Accepted], *, begins: bool = True) -> Response:
        accepted = await self._service.database.write(verb)
        assert accepted.operation is not None
        if begins:
            self._begin(accepted)
        headers = self._polling(request, accepted)
        headers["Location"] = self._operation_url(request, accepted.operation, "operationresults")
        return Response(status_code=202, headers=headers)

    def _credentials(self, request: Request, *, admin: bool) -> Response:
        cluster = self._cluster(request)
        body = credential_results(
            self._service.base_of(request),
            cluster.id.cluster,
            cluster.id.group_id.group,
            admin=admin,
            ca_pem=self._service.ca_pem,
        )
        return _json(body)

    def _operation(self, request: Request) -> tuple[bytes, str, Operation]:
        operation_id = request.path_params["operation"]
        row = self._reader.row(statements.OPERATION_WIRE, key=operation_id)
        if row is None or row[2] != request.path_params["subscription"]:
            raise errors.OperationNotFound(
                f"The operation '{operation_id}' was not found.",
                remedy="use the URL of the Azure-AsyncOperation header",
            )
        return row[0], row[1], load(Operation, row[3])

    def _cluster(self, request: Request) -> Cluster:
        cluster_id = paths.cluster_id(request)
        row = self._reader.row(statements.CLUSTER_RECORD, key=cluster_id.key)
        if row is None:
            self._require_group(cluster_id.group_id.key, cluster_id.group_id.group)
            raise _no_cluster(cluster_id.cluster, cluster_id.group_id.group)
        return load(Cluster, row[0])

    def _pools(self, cluster: Cluster) -> list[NodePool]:
        return [load(NodePool, row[0]) for row in self._reader.rows(statements.POOL_RECORDS, key=cluster.id.key)]

    def _encoded(self, cluster: Cluster, request: Request) -> bytes:
        tenant = self._service.subscriptions[cluster.id.group_id.subscription].tenant_id
        return encode_cluster(cluster, self._pools(cluster), tenant)

    def _require_group(self, key: str, name: str) -> bytes:
        row = self._reader.row(statements.GROUP_WIRE, key=key)
        if row is None:
            raise errors.ResourceGroupNotFound(
                f"Resource group '{name}' could not be found.",
                remedy=f"create it: az group create --name {name} --location <location>",
            )
        wire: bytes = row[0]
        return wire

    def _require_cluster(self, key: str, request: Request) -> None:
        if self._reader.row(statements.CLUSTER_EXISTS, key=key) is None:
            cluster_id = paths.cluster_id(request)
            self._require_group(cluster_id.group_id.key, cluster_id.group_id.group)
            raise _no_cluster(cluster_id.cluster, cluster_id.group_id.group)

    def _require_pool(self, request: Request) -> None:
        pool_id = paths.node_pool_id(request)
        if self._reader.row(statements.POOL_EXISTS, key=pool_id.key) is None:
            self._require_cluster(pool_id.cluster_id.key, request)
            raise errors.AgentPoolNotFound(
                f"The agent pool '{pool_id.pool}' was not found in managed cluster '{pool_id.cluster_id.cluster}'.",
                remedy="`az aks nodepool list` shows what exists",
            )


def offered(handlers: Handlers) -> tuple[OfferedRoute, ...]:
    """Return the table of Azure operations this service offers; docs/compatibility.md prints it."""
    return (
        OfferedRoute("AgentPools_Get", "GET", _POOL, handlers.get_node_pool),
        OfferedRoute("AgentPools_List", "GET", _POOLS, handlers.list_node_pools),
        OfferedRoute("AgentPools_CreateOrUpdate", "PUT", _POOL, handlers.put_node_pool),
        OfferedRoute("AgentPools_Delete", "DELETE", _POOL, handlers.delete_node_pool),
        OfferedRoute("Operations_Get", "GET", _LOCATION + "/operations/{operation}", handlers.get_operation),
        OfferedRoute(
            "Operations_GetResult", "GET", _LOCATION + "/operationresults/{operation}", handlers.get_operation_result
        ),
        OfferedRoute("Machines_List", "GET", _POOL + "/machines", handlers.list_machines),
        OfferedRoute("Machines_Get", "GET", _POOL + "/machines/{machine}", handlers.get_machine),
        OfferedRoute("AgentPools_WhatIf (Poolwright)", "POST", _POOL + "/whatif", handlers.what_if_node_pool),
        OfferedRoute("AgentPools_Rollback (Poolwright)", "POST", _POOL + "/rollback", handlers.rollback_node_pool),
        OfferedRoute(
            "AgentPools_UpgradeNodeImageVersion",
            "POST",
            _POOL + "/upgradenodeimageversion",
            handlers.upgrade_node_image,
        ),
        OfferedRoute("AgentPools_DeleteMachines", "POST", _POOL + "/deletemachines", handlers.delete_machines),
        OfferedRoute("AgentPools_AbortLatestOperation", "POST", _POOL + "/abort", handlers.abort_node_pool),
        OfferedRoute(
            "AgentPools_GetUpgradeProfile", "GET", _POOL + "/upgradeprofiles/default", handlers.get_node_pool_upgrades
        ),
        OfferedRoute(
            "AgentPools_GetAvailableAgentPoolVersions",
            "GET",
            _CLUSTER + "/availableagentpoolversions",
            handlers.list_node_pool_versions,
        ),
        OfferedRoute("ManagedClusters_Stop", "POST", _CLUSTER + "/stop", handlers.stop_cluster),
        OfferedRoute("ManagedClusters_Start", "POST", _CLUSTER + "/start", handlers.start_cluster),
        OfferedRoute("Usage_List", "GET", _USAGES, handlers.list_usages),
        OfferedRoute("Usage_SetLimit (Poolwright)", "PUT", _USAGES + "/{family}", handlers.put_quota),
        OfferedRoute("Usage_ResetLimit (Poolwright)", "DELETE", _USAGES + "/{family}", handlers.delete_quota),
        OfferedRoute("ManagedClusters_Get", "GET", _CLUSTER, handlers.get_cluster),
        OfferedRoute("ManagedClusters_CreateOrUpdate", "PUT", _CLUSTER, handlers.put_cluster),
        OfferedRoute("ManagedClusters_Delete", "DELETE", _CLUSTER, handlers.delete_cluster),
        OfferedRoute("ManagedClusters_List", "GET", _CLUSTERS, handlers.list_clusters),
        OfferedRoute("ManagedClusters_ListByResourceGroup", "GET", _GROUP_CLUSTERS, handlers.list_group_clusters),
        OfferedRoute(
            "ManagedClusters_GetUpgradeProfile",
            "GET",
            _CLUSTER + "/upgradeprofiles/default",
            handlers.get_cluster_upgrades,
        ),
        OfferedRoute(
            "ManagedClusters_ListClusterUserCredentials",
            "POST",
            _CLUSTER + "/listclusterusercredential",
            handlers.user_credentials,
        ),
        OfferedRoute(
            "ManagedClusters_ListClusterAdminCredentials",
            "POST",
            _CLUSTER + "/listclusteradmincredential",
            handlers.admin_credentials,
        ),
        OfferedRoute(
            "ManagedClusters_ListKubernetesVersions",
            "GET",
            _LOCATION + "/kubernetesversions",
            handlers.list_kubernetes_versions,
        ),
        OfferedRoute(
            "ResourceSkus_List",
            "GET",
            "/subscriptions/{subscription}/providers/microsoft.compute/skus",
            handlers.list_skus,
        ),
        OfferedRoute("ResourceGroups_Get", "GET", _GROUP, handlers.get_group),
        OfferedRoute("ResourceGroups_CheckExistence", "HEAD", _GROUP, handlers.head_group),
        OfferedRoute("ResourceGroups_CreateOrUpdate", "PUT", _GROUP, handlers.put_group),
        OfferedRoute("ResourceGroups_Delete", "DELETE", _GROUP, handlers.delete_group),
        OfferedRoute(
            "ResourceGroups_List", "GET", "/subscriptions/{subscription}/resourcegroups", handlers.list_groups
        ),
        OfferedRoute(
            "Subscriptions_OperationResult",
            "GET",
            "/subscriptions/{subscription}/operationresults/{operation}",
            handlers.get_operation_result,
        ),
        OfferedRoute(
            "Providers_Get", "GET", "/subscriptions/{subscription}/providers/{namespace}", handlers.get_provider
        ),
        OfferedRoute(
            "Providers_Register",
            "POST",
            "/subscriptions/{subscription}/providers/{namespace}/register",
            handlers.get_provider,
        ),
        OfferedRoute("Subscriptions_List", "GET", "/subscriptions", handlers.list_subscriptions),
        OfferedRoute("Subscriptions_Get", "GET", "/subscriptions/{subscription}", handlers.get_subscription),
        OfferedRoute(
            "Subscriptions_ListLocations", "GET", "/subscriptions/{subscription}/locations", handlers.list_locations
        ),
    )


_ANY_METHOD: Final = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
_PROVIDERS: Final = {
    "microsoft.containerservice": (
        "Microsoft.ContainerService",
        ("managedClusters", "managedClusters/agentPools", "managedClusters/agentPools/machines"),
    ),
    "microsoft.compute": ("Microsoft.Compute", ("skus", "locations/usages")),
    "microsoft.resources": ("Microsoft.Resources", ("resourceGroups", "subscriptions")),
}


def _routes(table: Iterable[OfferedRoute]) -> list[Route]:
    """One Starlette route per path, with a handler per method; an unknown method is answered in ARM's form."""
    by_path: dict[str, dict[str, Callable[[Request], Awaitable[Response]]]] = {}
    for row in table:
        by_path.setdefault(row.path, {})[row.method] = row.handler
    return [_route(path, handlers) for path, handlers in by_path.items()]


def _route(path: str, handlers: dict[str, Callable[[Request], Awaitable[Response]]]) -> Route:
    return Route(path, _by_method(handlers), methods=_ANY_METHOD)


def _by_method(
    handlers: dict[str, Callable[[Request], Awaitable[Response]]],
) -> Callable[[Request], Awaitable[Response]]:
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


def _call(request: Request) -> Call:
    return Call(
        api_version=request.scope["poolwright.api_version"],
        correlation_id=request.scope["poolwright.correlation_id"],
        preconditions=Preconditions(
            _unquoted(request.headers.get("if-match")), _unquoted(request.headers.get("if-none-match"))
        ),
        header=_generation_header(request.headers.getlist("usewindowsgen2vm")),
    )


def _unquoted(etag: str | None) -> str | None:
    return etag.strip().removeprefix("W/").strip('"') if etag is not None else None


def _generation_header(values: list[str]) -> bool | None:
    """The wish of UseWindowsGen2VM; sent more than once, it must say the same."""
    wishes = {value.strip().lower() for value in values}
    if not wishes:
        return None
    if wishes in ({"true"}, {"false"}):
        return wishes == {"true"}
    raise errors.InvalidParameter(
        f"The value of the header UseWindowsGen2VM is invalid: '{', '.join(values)[:60]}'. It is true or false.",
        target="UseWindowsGen2VM",
        remedy="send true or false (az: --aks-custom-headers UseWindowsGen2VM=true)",
    )


async def _body(request: Request) -> dict[str, Any]:
    declared = request.headers.get("content-length", "0")
    body = bytearray()
    if declared.isdecimal() and int(declared) <= MAX_BODY_BYTES:
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_BODY_BYTES:
                raise _too_large()
        return parse_body(bytes(body))
    raise _too_large()


def _too_large() -> errors.RequestEntityTooLarge:
    return errors.RequestEntityTooLarge(
        f"The request body is larger than {MAX_BODY_BYTES} bytes.", remedy="send a smaller body"
    )


def _correlation_id(headers: Mapping[bytes, bytes]) -> str:
    """The client's own ID, so that its logs and ours meet; else a new one."""
    for name in _CORRELATION_HEADERS:
        value = headers.get(name, b"")
        if 0 < len(value) <= 64 and value.replace(b"-", b"").isalnum():
            return value.decode("ascii")
    digits = f"{random.getrandbits(128):032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


_CORRELATION_HEADERS: Final = (b"x-ms-correlation-request-id", b"x-ms-client-request-id")


def _loggable(scope: Scope) -> str:
    """The path for the log: what somebody wrote into it must not write into a terminal."""
    return quote(scope["path"][: paths.MAX_PATH], safe="/")


def _target(request: Request) -> str:
    """The request's path and query as a header may carry them."""
    path = quote(request.scope[paths.AS_SENT], safe="/")
    query = request.scope["query_string"].decode("latin-1")
    return f"{path}?{query}" if query else path


def _subscription(known: Subscription) -> dict[str, Any]:
    return {
        "id": f"/subscriptions/{known.subscription_id}",
        "subscriptionId": known.subscription_id,
        "tenantId": known.tenant_id,
        "displayName": known.display_name,
        "state": "Enabled",
        "authorizationSource": "RoleBased",
        "managedByTenants": [],
        "subscriptionPolicies": {
            "locationPlacementId": "Public_2014-09-01",
            "quotaId": "PayAsYouGo_2014-09-01",
            "spendingLimit": "Off",
        },
    }


def _no_cluster(cluster: str, group: str) -> errors.ResourceNotFound:
    return errors.ResourceNotFound(
        f"The Resource 'Microsoft.ContainerService/managedClusters/{cluster}' under resource group '{group}' was not "
        "found. For more details please go to https://aka.ms/ARMResourceNotFoundFix",
        remedy="`az aks list` shows what exists",
    )


def _json(body: bytes, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(body, status, headers=headers, media_type=_JSON)


def _listed(documents: Iterable[bytes]) -> Response:
    return _json(b'{"value":[' + b",".join(documents) + b"]}")
