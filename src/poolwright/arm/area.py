"""What every area of the API has in common: the service it works with, how changes are made and answered.

Invariant: a handler reads, calls one verb, writes; it decides nothing.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, TypeVar

from sqlalchemy.engine import Connection
from starlette.requests import Request
from starlette.responses import Response

from poolwright import errors
from poolwright.access_control import AccessControl
from poolwright.arm import paths
from poolwright.arm.actions import Requirement, required
from poolwright.arm.deployable import Deployable
from poolwright.arm.directory import Access, Directory
from poolwright.arm.documents import Document
from poolwright.arm.http import RETRY_AFTER, json_response, read_body
from poolwright.arm.linked import SOURCE, not_linked, sources_of
from poolwright.arm.login import Login
from poolwright.arm.metrics import Metrics
from poolwright.arm.request_log import RequestLog
from poolwright.arm.skus import SkuPages
from poolwright.arm.throttle import Throttle
from poolwright.arm.trail import Trail
from poolwright.arm.wire_clusters import encode_cluster
from poolwright.catalog_keeping import CatalogKeeper
from poolwright.control_plane.calls import Accepted
from poolwright.control_plane.control_plane import ControlPlane
from poolwright.domain.cluster import Cluster
from poolwright.domain.node_pool import NodePool
from poolwright.domain.operation import Operation
from poolwright.domain.profile import Profile
from poolwright.domain.resource_id import NodePoolId, ResourceId
from poolwright.identity.tokens import SigningKey, TokenVerifier
from poolwright.kubernetes.endpoint import ClusterEndpoint
from poolwright.machines.engine import MachineEngine
from poolwright.operations.durable import DurableOperations
from poolwright.operations.faults import Faults
from poolwright.state import State
from poolwright.store import statements
from poolwright.store.database import Database
from poolwright.store.identity_statements import Subscription
from poolwright.store.records import load

T = TypeVar("T")
Handler = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Service:
    """Everything the application works with."""

    database: Database
    control_plane: ControlPlane
    access_control: AccessControl
    directory: Directory
    trail: Trail
    catalog_keeper: CatalogKeeper
    operations: DurableOperations
    state: State
    engine: MachineEngine
    requests: RequestLog
    faults: Faults
    throttle: Throttle | None
    deployable: Deployable
    verifier: TokenVerifier
    login: Login
    skus: SkuPages
    cluster_endpoint: ClusterEndpoint
    metrics: Metrics
    profile: Profile
    key: SigningKey
    ca_pem: bytes
    now: Callable[[], float]
    base_of: Callable[[Request], str]

    @property
    def subscriptions(self) -> dict[str, Subscription]:
        """The subscriptions there are now, by ID."""
        return self.directory.subscriptions


class Over(Enum):
    """What a caller must have the action over, before the handler is called."""

    PATH = "what the path names"
    OPERATION = "what the operation is about"
    # The handler asks `Access` itself and leaves out what the caller may not see, as ARM does.
    EACH = "each of what is listed; the others are left out"


@dataclass(frozen=True, slots=True)
class OfferedRoute:
    """A row of the table of operations: what Azure calls it, where it is, and what a caller needs for it.

    The rest is for the description (`openapi.py`): the document it takes; the statuses it answers with when nothing
    is refused, each with its document; whether it begins an operation; what of the query and the headers it reads.
    """

    operation: str
    method: str
    path: str
    handler: Handler
    over: Over = Over.PATH
    takes: Document | None = None
    answers: Mapping[int, Document | None] = field(default_factory=dict)
    begins: bool = False
    query: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()

    @property
    def requirement(self) -> Requirement:
        return required(self.method, self.path)


class Area(ABC):
    """The handlers of one area of the API, one method per operation."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._reader = service.database.reader

    @abstractmethod
    def offered(self) -> tuple[OfferedRoute, ...]:
        """Return the area's rows of the table of Azure operations; docs/compatibility.md prints it."""

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

    async def _changed(
        self,
        request: Request,
        verb: Callable[[Connection], T],
        status_of: Callable[[T], int],
        then: Callable[[T], None] | None = None,
    ) -> T:
        """Make a change that is done at once; `status_of` tells what HTTP's status will be.

        `then` is called after the commit, before the next change begins.
        """
        return await self._service.trail.changed(request, verb, lambda result: (None, status_of(result)), then)

    async def _accepted(self, request: Request, verb: Callable[[Connection], Accepted]) -> Accepted:
        """Make a change that begins an operation."""

        def told(accepted: Accepted) -> tuple[Operation | None, int]:
            if accepted.operation is None:
                return None, 204
            return accepted.operation, 202 if request.method != "PUT" else 201 if accepted.created else 200

        return await self._service.trail.changed(request, verb, told)

    async def _deleted(self, request: Request, verb: Callable[[Connection], Accepted]) -> Response:
        accepted = await self._accepted(request, verb)
        if accepted.operation is None:
            return Response(status_code=204)
        self._begin(accepted)
        headers = self._polling(request, accepted)
        headers["Location"] = self._operation_url(request, accepted.operation, "operationresults")
        return Response(status_code=202, headers=headers)

    async def _posted(
        self,
        request: Request,
        verb: Callable[[Connection], Accepted],
        *,
        begins: bool = True,
        shown: NodePoolId | None = None,
    ) -> Response:
        """Accept an operation; the reply has a body only where a node pool is `shown` in it."""
        accepted = await self._accepted(request, verb)
        assert accepted.operation is not None
        row = self._reader.row(statements.POOL_WIRE, key=shown.key) if shown is not None else None
        if begins:
            self._begin(accepted)
        headers = self._polling(request, accepted)
        headers["Location"] = self._operation_url(request, accepted.operation, "operationresults")
        return Response(status_code=202, headers=headers) if row is None else json_response(row[0], 202, headers)

    async def _body(self, request: Request) -> dict[str, Any]:
        """The JSON object sent. Raises `LinkedAuthorizationFailed` where its source is not the caller's to read."""
        body = await read_body(request)
        for source in sources_of(body):
            self._require_readable(request, source)
        return body

    def _require_readable(self, request: Request, source: ResourceId, target: str = SOURCE) -> None:
        """Raise `LinkedAuthorizationFailed` where the caller may not read what it makes something from."""
        access, action = self._access(request), f"{source.type}/read"
        if not access.may(action, str(source)):
            raise not_linked(access.principal.object_id, action, source, target)

    def _access(self, request: Request) -> Access:
        access: Access = request.scope["poolwright.access"]
        return access

    def _subscription(self, request: Request) -> Subscription:
        return self._service.subscriptions[request.path_params["subscription"]]

    def _cluster(self, request: Request) -> Cluster:
        cluster_id = paths.cluster_id(request)
        row = self._reader.row(statements.CLUSTER_RECORD, key=cluster_id.key)
        if row is None:
            self._require_group(cluster_id.group_id.key, cluster_id.group_id.group)
            raise no_cluster(cluster_id.cluster, cluster_id.group_id.group)
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
            raise no_cluster(cluster_id.cluster, cluster_id.group_id.group)

    def _require_pool(self, request: Request) -> None:
        pool_id = paths.node_pool_id(request)
        if self._reader.row(statements.POOL_EXISTS, key=pool_id.key) is None:
            self._require_cluster(pool_id.cluster_id.key, request)
            raise errors.AgentPoolNotFound(
                f"The agent pool '{pool_id.pool}' was not found in managed cluster '{pool_id.cluster_id.cluster}'.",
                remedy="`az aks nodepool list` shows what exists",
            )


def no_cluster(cluster: str, group: str) -> errors.ResourceNotFound:
    """Return the refusal of a cluster that does not exist, in ARM's words."""
    return errors.ResourceNotFound(
        f"The Resource 'Microsoft.ContainerService/managedClusters/{cluster}' under resource group '{group}' was not "
        "found. For more details please go to https://aka.ms/ARMResourceNotFoundFix",
        remedy="`az aks list` shows what exists",
    )
