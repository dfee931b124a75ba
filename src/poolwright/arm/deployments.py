"""Deployments of templates over HTTP.

Invariant: a template that is refused has changed nothing.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any, Final
from urllib.parse import quote

import orjson
from sqlalchemy.engine import Connection
from starlette.requests import Request
from starlette.responses import Response

from poolwright import errors
from poolwright.arm import paths
from poolwright.arm import wire_documents as documents
from poolwright.arm.area import Area, OfferedRoute
from poolwright.arm.deployable import Rehearsal
from poolwright.arm.documents import listing
from poolwright.arm.errors import error_body
from poolwright.arm.http import RETRY_AFTER, call_of, json_response, listed, read_body
from poolwright.arm.login import cloud_of
from poolwright.arm.paths import GROUP
from poolwright.arm.wire_deployments import (
    shown_deployment,
    shown_operations,
    shown_status,
    shown_validation,
    what_if_result,
)
from poolwright.control_plane.calls import Accepted
from poolwright.domain.deployment import Deployment, DeploymentId, DeploymentResource, PreparedDeployment
from poolwright.domain.resource_id import GroupId
from poolwright.store import statements
from poolwright.store.records import load
from poolwright.templates.budget import Budget
from poolwright.templates.requested import Requested, requested

Json = dict[str, Any]

_SUBSCRIPTION: Final = "/subscriptions/{subscription}"
_DEPLOYMENTS: Final = "/providers/microsoft.resources/deployments"
_ONE: Final = _DEPLOYMENTS + "/{deployment}"
# az asks for the operations of a group's deployments at a path without a provider.
_SHORT: Final = GROUP + "/deployments/{deployment}"
_BY_STATE: Final = re.compile(r"\s*provisioningstate\s+eq\s+'(\w+)'\s*", re.IGNORECASE | re.ASCII)


class Deployments(Area):
    """Handlers of `Microsoft.Resources/deployments`, of resource groups and of subscriptions."""

    def offered(self) -> tuple[OfferedRoute, ...]:
        rows: list[OfferedRoute] = []
        for scope, suffix in ((GROUP, ""), (_SUBSCRIPTION, "AtSubscriptionScope")):
            one = scope + _ONE
            rows += [
                OfferedRoute(
                    f"Deployments_CreateOrUpdate{suffix}",
                    "PUT",
                    one,
                    self.put_deployment,
                    takes=documents.PUT_DEPLOYMENT,
                    answers={200: documents.DEPLOYMENT, 201: documents.DEPLOYMENT},
                    begins=True,
                ),
                OfferedRoute(
                    f"Deployments_Get{suffix}", "GET", one, self.get_deployment, answers={200: documents.DEPLOYMENT}
                ),
                OfferedRoute(
                    f"Deployments_CheckExistence{suffix}",
                    "HEAD",
                    one,
                    self.head_deployment,
                    answers={204: None, 404: None},
                ),
                OfferedRoute(f"Deployments_Delete{suffix}", "DELETE", one, self.delete_deployment, answers={204: None}),
                OfferedRoute(
                    f"Deployments_Validate{suffix}",
                    "POST",
                    one + "/validate",
                    self.validate_deployment,
                    takes=documents.PUT_DEPLOYMENT,
                    answers={200: documents.DEPLOYMENT},
                ),
                OfferedRoute(
                    f"Deployments_WhatIf{suffix}",
                    "POST",
                    one + "/whatif",
                    self.what_if_deployment,
                    takes=documents.PUT_DEPLOYMENT,
                    answers={200: documents.DEPLOYMENT_WHAT_IF},
                ),
                OfferedRoute(
                    f"Deployments_Cancel{suffix}", "POST", one + "/cancel", self.cancel_deployment, answers={204: None}
                ),
                OfferedRoute(
                    f"Deployments_ExportTemplate{suffix}",
                    "POST",
                    one + "/exporttemplate",
                    self.export,
                    answers={200: documents.TEMPLATE},
                ),
                OfferedRoute(
                    f"Deployments_OperationStatus{suffix}",
                    "GET",
                    one + "/operationstatuses/{operation}",
                    self.poll,
                    answers={200: documents.DEPLOYMENT_STATUS},
                ),
                OfferedRoute(
                    f"DeploymentOperations_List{suffix}",
                    "GET",
                    one + "/operations",
                    self.list_operations,
                    answers={200: listing(documents.DEPLOYMENT_OPERATION)},
                ),
                OfferedRoute(
                    f"DeploymentOperations_Get{suffix}",
                    "GET",
                    one + "/operations/{operation}",
                    self.get_operation,
                    answers={200: documents.DEPLOYMENT_OPERATION},
                ),
                OfferedRoute(
                    "Deployments_ListByResourceGroup" if not suffix else f"Deployments_List{suffix}",
                    "GET",
                    scope + _DEPLOYMENTS,
                    self.list_deployments,
                    answers={200: listing(documents.DEPLOYMENT)},
                    query=("$filter", "$top"),
                ),
            ]
        return (
            *rows,
            OfferedRoute(
                "DeploymentOperations_List",
                "GET",
                _SHORT + "/operations",
                self.list_operations,
                answers={200: listing(documents.DEPLOYMENT_OPERATION)},
            ),
            OfferedRoute(
                "DeploymentOperations_Get",
                "GET",
                _SHORT + "/operations/{operation}",
                self.get_operation,
                answers={200: documents.DEPLOYMENT_OPERATION},
            ),
        )

    async def put_deployment(self, request: Request) -> Response:
        identifier, call = _deployment_id(request), call_of(request)
        asked = requested(await read_body(request, loosely=True))
        plane = self._service.control_plane
        document = b""

        def accept(connection: Connection) -> Accepted:
            prepared, rehearsal = self._rehearsed(request, connection, identifier, asked)
            _require_no_problems(identifier, rehearsal, call.correlation_id)
            accepted = plane.deployments.put(connection, prepared, call)
            # What cannot be shown is not stored.
            nonlocal document
            document = _rendered(shown_deployment(*_stored(connection, identifier)))
            return accepted

        accepted = await self._accepted(request, accept)
        self._begin(accepted)
        assert accepted.operation is not None
        # A name may have letters that no header can have.
        path = quote(str(identifier), safe="/")
        headers = RETRY_AFTER | {
            "Azure-AsyncOperation": f"{self._service.base_of(request)}{path}/operationStatuses/"
            f"{accepted.operation.id}?api-version={request.scope['poolwright.api_version']}"
        }
        return json_response(document, 201 if accepted.created else 200, headers)

    async def validate_deployment(self, request: Request) -> Response:
        identifier, correlation_id = _deployment_id(request), call_of(request).correlation_id
        asked = requested(await read_body(request, loosely=True))
        prepared, rehearsal = await self._service.database.write(
            lambda connection: self._rehearsed(request, connection, identifier, asked)
        )
        _require_no_problems(identifier, rehearsal, correlation_id)
        return json_response(_rendered(shown_validation(prepared.deployment, prepared.resources)))

    async def what_if_deployment(self, request: Request) -> Response:
        identifier, correlation_id = _deployment_id(request), call_of(request).correlation_id
        body = await read_body(request, loosely=True)
        deployable = self._service.deployable

        def rehearse(connection: Connection) -> Json:
            asked = requested(body)
            rehearsal = self._rehearsed(request, connection, identifier, replace(asked, checks_resources=True))[1]
            _require_no_problems(identifier, rehearsal, correlation_id)
            ignored: list[Json] = []
            if identifier.group is not None:
                group = GroupId(identifier.subscription, identifier.group)
                keys = {change.resource_id.lower() for change in rehearsal.changes}
                ignored = deployable.ignored(connection, group, keys)
            return what_if_result(rehearsal.changes, ignored, only_ids=asked.only_ids)

        try:
            document = _rendered(await self._service.database.write(rehearse))
        except errors.InvalidRequest as error:
            # The question was answered, and the answer is that the template would be refused.
            document = orjson.dumps({"status": "Failed", "error": error_body(error)})
        return json_response(document)

    async def get_deployment(self, request: Request) -> Response:
        return json_response(orjson.dumps(self._shown(_deployment_id(request))))

    async def head_deployment(self, request: Request) -> Response:
        row = self._reader.row(statements.DEPLOYMENT_RECORD, key=_deployment_id(request).key)
        return Response(status_code=204 if row is not None else 404)

    async def list_deployments(self, request: Request) -> Response:
        scope = self._scope(request)
        wanted = _state_wanted(request.query_params.get("$filter"))
        found = [
            load(Deployment, row[0]) for row in self._reader.rows(statements.DEPLOYMENT_RECORDS, key=scope.lower())
        ]
        shown = [each for each in found if wanted is None or each.state.value.lower() == wanted]
        shown = sorted(shown, key=lambda each: -each.started)[: _most_wanted(request.query_params.get("$top"))]
        return listed(orjson.dumps(shown_deployment(each, self._resources(each.id))) for each in shown)

    async def delete_deployment(self, request: Request) -> Response:
        identifier = _deployment_id(request)
        plane = self._service.control_plane
        await self._changed(request, lambda connection: plane.deployments.delete(connection, identifier), lambda _: 200)
        return Response(status_code=204)

    async def cancel_deployment(self, request: Request) -> Response:
        identifier = _deployment_id(request)
        plane = self._service.control_plane
        await self._changed(request, lambda connection: plane.deployments.cancel(connection, identifier), lambda _: 200)
        return Response(status_code=204)

    async def export(self, request: Request) -> Response:
        template = self._deployment(_deployment_id(request)).template
        return json_response(orjson.dumps({"template": dict(template)}))

    async def poll(self, request: Request) -> Response:
        deployment = self._deployment(_deployment_id(request))
        if deployment.operation_id != request.path_params["operation"]:
            raise errors.OperationNotFound(
                f"The operation '{request.path_params['operation']}' was not found.",
                remedy="use the URL of the Azure-AsyncOperation header",
            )
        return json_response(
            orjson.dumps(shown_status(deployment)), headers={} if deployment.state.is_terminal else RETRY_AFTER
        )

    async def list_operations(self, request: Request) -> Response:
        return listed(orjson.dumps(shown) for shown in self._operations(request))

    async def get_operation(self, request: Request) -> Response:
        wanted = request.path_params["operation"]
        for shown in self._operations(request):
            if shown["operationId"].lower() == wanted:
                return json_response(orjson.dumps(shown))
        raise errors.OperationNotFound(
            f"The deployment operation '{wanted}' was not found.",
            remedy="`az deployment operation group list` shows what exists",
        )

    def _rehearsed(
        self, request: Request, connection: Connection, identifier: DeploymentId, asked: Requested
    ) -> tuple[PreparedDeployment, Rehearsal]:
        budget, deployable = Budget(), self._service.deployable
        prepared = self._prepared(request, connection, identifier, asked, budget)
        return prepared, deployable.rehearse(connection, prepared, budget) if asked.checks_resources else Rehearsal()

    def _prepared(
        self, request: Request, connection: Connection, identifier: DeploymentId, asked: Requested, budget: Budget
    ) -> PreparedDeployment:
        caller = request.scope["poolwright.caller"]
        facts = {
            "tenant": {
                "id": f"/tenants/{caller.tenant_id}",
                "tenantId": caller.tenant_id,
                "displayName": "Poolwright",
                "tenantCategory": "Home",
            },
            "environment": cloud_of(self._service.base_of(request)),
            "deployer": {"objectId": caller.object_id, "tenantId": caller.tenant_id},
        }
        correlation_id = call_of(request).correlation_id
        return self._service.deployable.prepare(connection, identifier, asked, facts, correlation_id, budget)

    def _shown(self, identifier: DeploymentId) -> Json:
        return shown_deployment(self._deployment(identifier), self._resources(identifier))

    def _operations(self, request: Request) -> list[Json]:
        identifier = _deployment_id(request)
        return shown_operations(self._deployment(identifier), self._resources(identifier))

    def _deployment(self, identifier: DeploymentId) -> Deployment:
        row = self._reader.row(statements.DEPLOYMENT_RECORD, key=identifier.key)
        if row is None:
            if identifier.group is not None:
                group = GroupId(identifier.subscription, identifier.group)
                self._require_group(group.key, group.group)
            raise errors.DeploymentNotFound(
                f"Deployment '{identifier.name}' could not be found.",
                remedy="`az deployment group list` shows what exists",
            )
        return load(Deployment, row[0])

    def _resources(self, identifier: DeploymentId) -> list[DeploymentResource]:
        rows = self._reader.rows(statements.DEPLOYMENT_RESOURCES, key=identifier.key)
        return [load(DeploymentResource, row[0]) for row in rows]

    def _scope(self, request: Request) -> str:
        if "group" not in request.path_params:
            return f"/subscriptions/{request.path_params['subscription']}"
        group = paths.group_id(request)
        self._require_group(group.key, group.group)
        return str(group)


def _deployment_id(request: Request) -> DeploymentId:
    segments = paths.segments(request)
    if "group" not in request.path_params:
        return DeploymentId(segments[1].lower(), None, segments[5])
    is_short = segments[4].lower() == "deployments"
    return DeploymentId(segments[1].lower(), segments[3], segments[5 if is_short else 7])


def _stored(connection: Connection, identifier: DeploymentId) -> tuple[Deployment, list[DeploymentResource]]:
    deployment = statements.deployment(connection, identifier.key)
    assert deployment is not None
    return deployment, statements.deployment_resources(connection, identifier.key)


def _rendered(document: Json) -> bytes:
    """The document as JSON. Raises `InvalidTemplate` where it has a number or a text that JSON cannot say."""
    try:
        return orjson.dumps(document)
    except TypeError as error:
        raise errors.InvalidTemplate(
            f"The deployment cannot be shown as JSON: {error}.", remedy="correct the values in it"
        ) from error


def _require_no_problems(identifier: DeploymentId, rehearsal: Rehearsal, correlation_id: str) -> None:
    if rehearsal.problems:
        raise errors.InvalidTemplateDeployment(
            f"The template deployment '{identifier.name}' is not valid according to the validation procedure. The "
            f"tracking id is '{correlation_id}'. See inner errors for details.",
            details=rehearsal.problems,
            remedy="the details name the resources and say why",
        )


def _state_wanted(query: str | None) -> str | None:
    """The state that a filter asks for, the only filter ARM has here."""
    if not query:
        return None
    found = _BY_STATE.fullmatch(query)
    if found is None:
        raise errors.InvalidParameter(
            f"The filter '{query[:60]}' is not one this service knows.",
            target="$filter",
            remedy="write: provisioningState eq 'Failed'",
        )
    return found[1].lower()


def _most_wanted(top: str | None) -> int | None:
    return int(top) if top and top.isdecimal() and len(top) < 9 else None
