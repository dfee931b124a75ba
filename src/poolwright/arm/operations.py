"""Long-running operations over HTTP: how clients poll.

Invariant: every reply about an operation that has not ended carries Retry-After.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from poolwright import errors
from poolwright.arm import paths
from poolwright.arm import wire_documents as documents
from poolwright.arm.area import Area, OfferedRoute, Over
from poolwright.arm.documents import listing
from poolwright.arm.http import RETRY_AFTER, json_response, listed, target_of
from poolwright.arm.paths import CLUSTER, LOCATION, POOL
from poolwright.domain.cluster import Cluster
from poolwright.domain.operation import Operation, OperationKind, OperationStatus
from poolwright.operations.context import CLUSTER_KINDS
from poolwright.store import statements
from poolwright.store.records import load

_Row = Sequence[Any]


class Operations(Area):
    """Handlers of operations and their results."""

    def offered(self) -> tuple[OfferedRoute, ...]:
        return (
            OfferedRoute(
                "Operations_Get",
                "GET",
                LOCATION + "/operations/{operation}",
                self.get_operation,
                over=Over.OPERATION,
                answers={200: documents.OPERATION},
            ),
            OfferedRoute(
                "Operations_GetResult",
                "GET",
                LOCATION + "/operationresults/{operation}",
                self.get_operation_result,
                over=Over.OPERATION,
                answers={200: documents.OPERATION_RESULT, 202: None, 204: None},
            ),
            OfferedRoute(
                "OperationStatusResult_List",
                "GET",
                CLUSTER + "/operations",
                self.list_operations,
                answers={200: listing(documents.OPERATION)},
                query=("activeOnly",),
            ),
            OfferedRoute(
                "OperationStatusResult_Get",
                "GET",
                CLUSTER + "/operations/{operation}",
                self.get_cluster_operation,
                answers={200: documents.OPERATION},
            ),
            OfferedRoute(
                "OperationStatusResult_ListByAgentPool",
                "GET",
                POOL + "/operations",
                self.list_pool_operations,
                answers={200: listing(documents.OPERATION)},
                query=("activeOnly",),
            ),
            OfferedRoute(
                "OperationStatusResult_GetByAgentPool",
                "GET",
                POOL + "/operations/{operation}",
                self.get_pool_operation,
                answers={200: documents.OPERATION},
            ),
            OfferedRoute(
                "Subscriptions_OperationResult",
                "GET",
                "/subscriptions/{subscription}/operationresults/{operation}",
                self.get_operation_result,
                over=Over.OPERATION,
                answers={200: documents.OPERATION_RESULT, 202: None, 204: None},
            ),
        )

    async def list_operations(self, request: Request) -> Response:
        cluster_key = paths.cluster_id(request).key
        self._require_cluster(cluster_key, request)
        return _listed(request, [*self._of_resource(cluster_key), *self._of_pools(cluster_key)])

    async def list_pool_operations(self, request: Request) -> Response:
        self._require_pool(request)
        return _listed(request, self._of_resource(paths.node_pool_id(request).key))

    async def get_cluster_operation(self, request: Request) -> Response:
        cluster_key = paths.cluster_id(request).key
        self._require_cluster(cluster_key, request)
        return self._found(request, [*self._of_resource(cluster_key), *self._of_pools(cluster_key)])

    async def get_pool_operation(self, request: Request) -> Response:
        self._require_pool(request)
        return self._found(request, self._of_resource(paths.node_pool_id(request).key))

    def _of_resource(self, key: str) -> Sequence[_Row]:
        return self._reader.rows(statements.OPERATIONS_OF_RESOURCE, key=key)

    def _of_pools(self, cluster_key: str) -> Sequence[_Row]:
        # Every key that begins with the path of the node pools: the character after "/" is "0".
        pools = f"{cluster_key}/agentpools"
        return self._reader.rows(statements.OPERATIONS_BELOW, first=f"{pools}/", last=f"{pools}0")

    def _found(self, request: Request, rows: Sequence[_Row]) -> Response:
        wanted = request.path_params["operation"]
        for operation_id, wire, record in rows:
            if operation_id == wanted:
                terminal = load(Operation, record).status.is_terminal
                return json_response(wire, headers={} if terminal else RETRY_AFTER)
        raise _no_operation(wanted)

    async def get_operation(self, request: Request) -> Response:
        wire, status, _ = self._operation(request)
        terminal = OperationStatus(status).is_terminal
        return json_response(wire, headers={} if terminal else RETRY_AFTER)

    async def get_operation_result(self, request: Request) -> Response:
        _, status, operation = self._operation(request)
        if not OperationStatus(status).is_terminal:
            headers = RETRY_AFTER | {"Location": f"{self._service.base_of(request)}{target_of(request)}"}
            return Response(status_code=202, headers=headers)
        if operation.error is not None:
            return json_response(
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
            return json_response(row[0]) if row is not None else Response(status_code=204)
        record = self._reader.row(statements.CLUSTER_RECORD, key=operation.resource_key)
        if record is None:
            return Response(status_code=204)
        return json_response(self._encoded(load(Cluster, record[0]), request))

    def _operation(self, request: Request) -> tuple[bytes, str, Operation]:
        operation_id = request.path_params["operation"]
        row = self._reader.row(statements.OPERATION_WIRE, key=operation_id)
        if row is None or row[2] != request.path_params["subscription"]:
            raise _no_operation(operation_id)
        return row[0], row[1], load(Operation, row[3])


def _listed(request: Request, rows: Sequence[_Row]) -> Response:
    """The operations, newest first; with activeOnly only those that have not ended."""
    active_only = request.query_params.get("activeOnly", "").lower() == "true"
    known = [(load(Operation, record), wire) for _, wire, record in rows]
    known.sort(key=lambda item: (-item[0].started, item[0].id))
    return listed(wire for operation, wire in known if not (active_only and operation.status.is_terminal))


def _no_operation(operation_id: str) -> errors.OperationNotFound:
    return errors.OperationNotFound(
        f"The operation '{operation_id}' was not found.",
        remedy="use the URL of the Azure-AsyncOperation header",
    )
