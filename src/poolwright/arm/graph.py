"""As much of Microsoft Graph as `az role assignment` asks: the service principals of the caller's tenant.

It is read-only: principals are made by `poolwright sp create`. The metadata name BASE/msgraph/ as
Graph's address. Source of the shapes: https://learn.microsoft.com/graph/api/resources/serviceprincipal

Invariant: a tenant's principals are shown to its own principals alone, and never their secrets.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

import orjson
from starlette.requests import Request
from starlette.responses import Response

from poolwright import errors
from poolwright.arm.area import Handler, Service
from poolwright.arm.http import json_response, read_body
from poolwright.arm.odata import clauses
from poolwright.store.identity_statements import SERVICE_PRINCIPALS_OF_TENANT, ServicePrincipal

_TYPE: Final = "#microsoft.graph.servicePrincipal"
_BY_APP_ID: Final = re.compile(
    r"\s*servicePrincipalNames/any\(\s*(\w+)\s*:\s*\1\s+eq\s+'([^']*)'\s*\)\s*", re.IGNORECASE | re.ASCII
)
_FILTERS: Final = ("appId eq", "displayName eq")


class Graph:
    """Handlers of Graph's service principals."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def routes(self) -> tuple[tuple[str, str, Handler], ...]:
        """Return path, method and handler of each endpoint."""
        return (
            ("/msgraph/v1.0/serviceprincipals", "GET", self.list_principals),
            ("/msgraph/v1.0/serviceprincipals/{id}", "GET", self.get_principal),
            ("/msgraph/v1.0/directoryobjects/getbyids", "POST", self.get_by_ids),
        )

    async def list_principals(self, request: Request) -> Response:
        text = request.query_params.get("$filter")
        by_app_id = _BY_APP_ID.fullmatch(text or "")
        if by_app_id is not None:
            return _listed(known for known in self._there(request) if known.app_id == by_app_id[2].lower())
        wanted = clauses(text, _FILTERS)
        return _listed(
            known
            for known in self._there(request)
            if all(
                clause.value.lower() == (known.app_id if clause.name == "appid" else known.display_name.lower())
                for clause in wanted
            )
        )

    async def get_principal(self, request: Request) -> Response:
        wanted = request.path_params["id"]
        for known in self._there(request):
            if known.object_id == wanted:
                return json_response(orjson.dumps(_encoded(known)))
        raise errors.DirectoryObjectNotFound(
            f"Resource '{wanted}' does not exist or one of its queried reference-property objects are not present.",
            remedy="`poolwright sp list` shows the object IDs",
        )

    async def get_by_ids(self, request: Request) -> Response:
        ids = (await read_body(request)).get("ids")
        wanted = {part.lower() for part in ids if isinstance(part, str)} if isinstance(ids, list) else set()
        return _listed(known for known in self._there(request) if known.object_id in wanted)

    def _there(self, request: Request) -> list[ServicePrincipal]:
        tenant_id = request.scope["poolwright.caller"].tenant_id
        rows = self._service.database.reader.rows(SERVICE_PRINCIPALS_OF_TENANT, key=tenant_id)
        return [ServicePrincipal(*row) for row in rows]


def _listed(principals: Iterable[ServicePrincipal]) -> Response:
    return json_response(orjson.dumps({"value": [_encoded(principal) for principal in principals]}))


def _encoded(principal: ServicePrincipal) -> dict[str, Any]:
    return {
        "@odata.type": _TYPE,
        "id": principal.object_id,
        "appId": principal.app_id,
        "displayName": principal.display_name,
        "appDisplayName": principal.display_name,
        "servicePrincipalNames": [principal.app_id],
        "servicePrincipalType": "Application",
        "accountEnabled": True,
    }
