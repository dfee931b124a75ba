"""Long-running operations over HTTP: how clients poll.

Invariant: every reply about an operation that has not ended carries Retry-After.
"""

from __future__ import annotations

import orjson
from starlette.requests import Request
from starlette.responses import Response

from poolwright import errors
from poolwright.arm.area import Area, OfferedRoute, Over
from poolwright.arm.http import RETRY_AFTER, json_response, target_of
from poolwright.arm.paths import LOCATION
from poolwright.domain.cluster import Cluster
from poolwright.domain.operation import Operation, OperationKind, OperationStatus
from poolwright.operations.context import CLUSTER_KINDS
from poolwright.store import statements
from poolwright.store.records import load


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
            ),
            OfferedRoute(
                "Operations_GetResult",
                "GET",
                LOCATION + "/operationresults/{operation}",
                self.get_operation_result,
                over=Over.OPERATION,
            ),
            OfferedRoute(
                "Subscriptions_OperationResult",
                "GET",
                "/subscriptions/{subscription}/operationresults/{operation}",
                self.get_operation_result,
                over=Over.OPERATION,
            ),
        )

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
            raise errors.OperationNotFound(
                f"The operation '{operation_id}' was not found.",
                remedy="use the URL of the Azure-AsyncOperation header",
            )
        return row[0], row[1], load(Operation, row[3])
