"""Role assignments and role definitions over HTTP, at every scope the service has.

Invariant: an assignment lies in one subscription, and is neither seen nor changed through another.
"""

from __future__ import annotations

import asyncio
from typing import Final

import orjson
from starlette.requests import Request
from starlette.responses import Response

from poolwright import errors
from poolwright.access_control import existing_scope, require_role
from poolwright.arm import wire_documents as documents
from poolwright.arm.area import Area, OfferedRoute
from poolwright.arm.documents import listing
from poolwright.arm.http import json_response, listed, read_body
from poolwright.arm.odata import clauses
from poolwright.arm.paths import CLUSTER, GROUP, POOL, SUBSCRIPTION
from poolwright.arm.wire_roles import decode_role_assignment, encode_role, encode_role_assignment
from poolwright.domain import roles
from poolwright.domain.roles import RoleAssignment
from poolwright.store import identity_statements
from poolwright.store.records import load

_SCOPES: Final = (SUBSCRIPTION, GROUP, CLUSTER, POOL)
_ASSIGNMENTS: Final = "/providers/microsoft.authorization/roleassignments"
_DEFINITIONS: Final = "/providers/microsoft.authorization/roledefinitions"
_ASSIGNMENT_FILTERS: Final = ("atScope()", "assignedTo()", "principalId eq")
_DEFINITION_FILTERS: Final = ("roleName eq", "type eq", "atScopeAndBelow()")


class Authorization(Area):
    """Handlers of what Azure has under Microsoft.Authorization."""

    def offered(self) -> tuple[OfferedRoute, ...]:
        return tuple(
            row
            for scope in _SCOPES
            for row in (
                OfferedRoute(
                    "RoleAssignments_ListForScope",
                    "GET",
                    scope + _ASSIGNMENTS,
                    self.list_assignments,
                    answers={200: listing(documents.ASSIGNMENT)},
                    query=("$filter",),
                ),
                OfferedRoute(
                    "RoleAssignments_Get",
                    "GET",
                    scope + _ASSIGNMENTS + "/{name}",
                    self.get_assignment,
                    answers={200: documents.ASSIGNMENT},
                ),
                OfferedRoute(
                    "RoleAssignments_Create",
                    "PUT",
                    scope + _ASSIGNMENTS + "/{name}",
                    self.put_assignment,
                    takes=documents.PUT_ASSIGNMENT,
                    answers={200: documents.ASSIGNMENT, 201: documents.ASSIGNMENT},
                ),
                OfferedRoute(
                    "RoleAssignments_Delete",
                    "DELETE",
                    scope + _ASSIGNMENTS + "/{name}",
                    self.delete_assignment,
                    answers={200: documents.ASSIGNMENT, 204: None},
                ),
                OfferedRoute(
                    "RoleDefinitions_List",
                    "GET",
                    scope + _DEFINITIONS,
                    self.list_definitions,
                    answers={200: listing(documents.ROLE)},
                    query=("$filter",),
                ),
                OfferedRoute(
                    "RoleDefinitions_Get",
                    "GET",
                    scope + _DEFINITIONS + "/{name}",
                    self.get_definition,
                    answers={200: documents.ROLE},
                ),
            )
        )

    async def list_assignments(self, request: Request) -> Response:
        """Those at, above and below the scope; `atScope()` leaves out those below."""
        scope = request.scope["path"].removesuffix(_ASSIGNMENTS)
        wanted = clauses(request.query_params.get("$filter"), _ASSIGNMENT_FILTERS)
        principals = {clause.value.lower() for clause in wanted if clause.name != "atscope()"}
        with_below = all(clause.name != "atscope()" for clause in wanted)
        await self._existing_scope(request, scope)
        subscription = self._subscription(request)
        rows = self._reader.rows(identity_statements.ASSIGNMENTS_OF_SUBSCRIPTION, key=subscription.subscription_id)
        found = [load(RoleAssignment, record) for (record,) in rows]
        return listed(
            orjson.dumps(encode_role_assignment(held, subscription.subscription_id))
            for held in found
            if (roles.covers(held.scope_key, scope) or (with_below and roles.covers(scope, held.scope_key)))
            and principals <= {held.principal_id}
        )

    async def get_assignment(self, request: Request) -> Response:
        row = self._reader.row(identity_statements.ASSIGNMENT, key=request.scope["path"])
        if row is None:
            raise errors.RoleAssignmentNotFound(
                f"The role assignment '{request.path_params['name']}' is not found.",
                remedy="`az role assignment list --all` shows what exists",
            )
        return self._shown(request, load(RoleAssignment, row[0]))

    async def put_assignment(self, request: Request) -> Response:
        name, subscription = request.path_params["name"], self._subscription(request)
        wanted = decode_role_assignment(await read_body(request), subscription.subscription_id, name)
        scope = request.scope["path"].rpartition(_ASSIGNMENTS)[0]
        control, by = self._service.access_control, self._access(request).principal.object_id
        assignment, created = await self._changed(
            request,
            lambda connection: control.put_role_assignment(connection, subscription, scope, name, wanted, by=by),
            lambda result: 201 if result[1] else 200,
        )
        return self._shown(request, assignment, 201 if created else 200)

    async def delete_assignment(self, request: Request) -> Response:
        key, control = request.scope["path"], self._service.access_control
        gone = await self._changed(
            request,
            lambda connection: control.delete_role_assignment(connection, key),
            lambda result: 204 if result is None else 200,
        )
        return Response(status_code=204) if gone is None else self._shown(request, gone)

    async def list_definitions(self, request: Request) -> Response:
        wanted = clauses(request.query_params.get("$filter"), _DEFINITION_FILTERS)
        names = {clause.value.lower() for clause in wanted if clause.name == "rolename"}
        kinds = {clause.value.lower() for clause in wanted if clause.name == "type"}
        subscription = request.path_params["subscription"]
        return listed(
            orjson.dumps(encode_role(role, subscription))
            for role in roles.ROLES
            if names <= {role.name.lower()} and kinds <= {"builtinrole"}
        )

    async def get_definition(self, request: Request) -> Response:
        role = require_role(request.path_params["name"])
        return json_response(orjson.dumps(encode_role(role, request.path_params["subscription"])))

    async def _existing_scope(self, request: Request, scope: str) -> None:
        subscription = self._subscription(request)

        def look() -> None:
            with self._service.database.engine.connect() as connection:
                existing_scope(connection, subscription, scope)

        await asyncio.to_thread(look)

    def _shown(self, request: Request, assignment: RoleAssignment, status: int = 200) -> Response:
        shown = encode_role_assignment(assignment, request.path_params["subscription"])
        return json_response(orjson.dumps(shown), status)
