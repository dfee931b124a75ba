"""The OpenAPI description of what is offered, made from the rows of the table of operations and from nothing else.

Invariant: an operation is in the description because its row is in the table; there is no second list.
Source of the form: https://spec.openapis.org/oas/v3.1.0, whose schemas are those of JSON Schema 2020-12.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from poolwright.arm.actions import spelled
from poolwright.arm.area import OfferedRoute, Over
from poolwright.arm.documents import COUNT, ERROR, FLAG, TEXT, Document, Json
from poolwright.arm.paging import MOST_PER_PAGE
from poolwright.arm.paths import API_VERSION, GUID

_OURS: Final = " (Poolwright)"
_NAME: Final = re.compile(r"\{(\w+)\}")
_LAST_NAME: Final = re.compile(r"/\{\w+\}$")
_WORD: Final = re.compile(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])")
_MEDIA_TYPE: Final = "application/json"

_A_NAME: Final[Json] = {"type": "string", "minLength": 1}
# The names in paths that are more than a text.
_NAMES: Final[Mapping[str, Json]] = {"subscription": {"type": "string", "pattern": rf"^{GUID}$"}}
_API_VERSION: Final[Json] = {
    "name": "api-version",
    "in": "query",
    "required": True,
    "description": "Any well-formed one is taken; az 2.91 sends several.",
    "schema": {"type": "string", "pattern": rf"^{API_VERSION}$", "examples": ["2026-06-01"]},
}
# What rows name in `query` and `headers`.
_QUERY: Final[Mapping[str, tuple[Json, str]]] = {
    "$filter": (TEXT, "An OData filter; what a list does not understand is refused."),
    "$top": ({"type": "integer", "minimum": 1, "maximum": MOST_PER_PAGE}, "How many entries at most."),
    "$skiptoken": (TEXT, "From nextLink, as it is."),
    "$select": (TEXT, "The properties to show, separated by commas."),
    "activeOnly": (FLAG, "Only operations that have not ended."),
    "after": (COUNT, "Only requests after that sequence number."),
    "location": (TEXT, "The location the lists are of, where they do not say so themselves."),
    "method": (TEXT, "Only requests of that method."),
    "pool": (TEXT, "Only requests about node pools of that name."),
    "replace": (FLAG, "Whether what is there may be thrown away."),
    "resourceId": (TEXT, "Which machine, where several have the name."),
    "resource-type": ({"const": "managedClusters"}, "Whose versions are listed."),
    "since": (TEXT, "Only requests since then: UNIX seconds, or a time in ISO 8601."),
}
_HEADERS: Final[Mapping[str, tuple[Json, str]]] = {
    "If-Match": (TEXT, "The ETag the resource must have."),
    "If-None-Match": (TEXT, "* when the resource must not exist yet."),
    "UseWindowsGen2VM": ({"enum": ["true", "false"]}, "The wish for Generation 2 of a Windows node pool."),
    "AKSSnapshotId": (TEXT, "The snapshot to upgrade to."),
}
_POLLING: Final = {
    "Azure-AsyncOperation": {"description": "Where the operation's status is.", "schema": TEXT},
    "Location": {"description": "Where its result is.", "schema": TEXT},
    "Retry-After": {"description": "Seconds until it is worth asking.", "schema": TEXT},
}
_STATUSES: Final[Mapping[int, str]] = {
    200: "Done.",
    201: "Created.",
    202: "Accepted, or still under way.",
    204: "Done, or nothing to do; there is nothing to show.",
    404: "It does not exist.",
}


def description(routes: Iterable[OfferedRoute], version: str) -> Json:
    """Return the OpenAPI document of the routes. Raises `ValueError` where two documents have the same name."""
    schemas = _Schemas()
    parameters: dict[str, Json] = {}
    error = schemas.reference(ERROR)
    paths: dict[str, Json] = {}
    taken: set[str] = set()
    for route in routes:
        operation_id = _operation_id(route, taken)
        taken.add(operation_id)
        place = paths.setdefault(_as_azure_spells(route.path), {})
        place[route.method.lower()] = _operation(route, operation_id, schemas)
        parameters |= _parameters(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Poolwright",
            "version": version,
            "description": "The operations of Azure Resource Manager that Poolwright offers, and, below /_poolwright, "
            "its own. Paths and the names of properties are compared without case.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [{"bearer": []}],
        "paths": paths,
        "components": {
            "schemas": dict(sorted(schemas.found.items())),
            "parameters": dict(sorted(parameters.items())),
            "headers": _POLLING,
            "responses": {
                "Error": {
                    "description": "Refused, in ARM's form.",
                    "content": {_MEDIA_TYPE: {"schema": error}},
                }
            },
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "A token of a service principal, from /{tenant}/oauth2/v2.0/token.",
                }
            },
        },
    }


def _operation(route: OfferedRoute, operation_id: str, schemas: _Schemas) -> Json:
    operation: Json = {
        "operationId": operation_id,
        "summary": _summary(route),
        "description": _needs(route),
        "tags": [operation_id.partition("_")[0]],
        "parameters": [{"$ref": f"#/components/parameters/{name}"} for name in _parameters(route)],
        "responses": _responses(route, schemas),
    }
    if route.takes is not None:
        operation["requestBody"] = {
            "required": True,
            "content": {_MEDIA_TYPE: {"schema": schemas.reference(route.takes)}},
        }
    if route.begins:
        operation["x-ms-long-running-operation"] = True
    return operation


def _operation_id(route: OfferedRoute, taken: set[str]) -> str:
    """Azure's name of the operation; where it is offered at several scopes, with the scope's kind."""
    name = route.operation.removesuffix(_OURS)
    if name not in taken:
        return name
    scope = route.path.rpartition("/providers/")[0] or _LAST_NAME.sub("", route.path)
    return f"{name}At{_NAME.findall(scope)[-1].capitalize()}"


def _summary(route: OfferedRoute) -> str:
    """The operation's name in words: `Managed clusters: list by resource group`."""
    subject, _, verb = (
        " ".join(word if word.isupper() else word.lower() for word in _WORD.findall(part))
        for part in route.operation.removesuffix(_OURS).partition("_")
    )
    return f"{subject[0].upper()}{subject[1:]}: {verb}"


def _needs(route: OfferedRoute) -> str:
    if route.path.startswith("/_poolwright"):
        return "For the local operator: an owner of the service, on the machine it runs on."
    where = "" if route.over is Over.PATH else f", over {route.over.value}"
    own = " Not Azure's, but Poolwright's own." if route.operation.endswith(_OURS) else ""
    return f"Needs the action `{route.requirement.action}`{where}.{own}"


def _parameters(route: OfferedRoute) -> dict[str, Json]:
    """The route's parameters, each by its place and name."""
    named: list[Json] = [
        {"name": name, "in": "path", "required": True, "schema": _NAMES.get(name, _A_NAME)}
        for name in _NAME.findall(route.path)
    ]
    if route.path.startswith("/subscriptions"):
        named.append(_API_VERSION)
    for place, names, known in (("query", route.query, _QUERY), ("header", route.headers, _HEADERS)):
        for name in names:
            schema, text = known[name]
            named.append({"name": name, "in": place, "description": text, "schema": schema})
    return {f"{each['in']}.{each['name'].strip('$')}": each for each in named}


def _responses(route: OfferedRoute, schemas: _Schemas) -> Json:
    responses: Json = {}
    for status, answer in route.answers.items():
        response: Json = {"description": _STATUSES[status]}
        if answer is not None:
            response["content"] = {_MEDIA_TYPE: {"schema": schemas.reference(answer)}}
        if route.begins and status < 300:
            response["headers"] = {name: {"$ref": f"#/components/headers/{name}"} for name in _POLLING}
        responses[str(status)] = response
    # A reply to HEAD has no body, whatever it says.
    responses["default"] = (
        {"description": "Refused."} if route.method == "HEAD" else {"$ref": "#/components/responses/Error"}
    )
    return responses


def _as_azure_spells(path: str) -> str:
    return "/".join(spelled(part) for part in path.split("/"))


class _Schemas:
    """The named schemas of a description, collected while they are referred to."""

    def __init__(self) -> None:
        self.found: dict[str, Json] = {}
        self._documents: dict[str, Document] = {}

    def reference(self, document: Document) -> Json:
        """Return a reference to the document, which stands in the description from now on."""
        known = self._documents.setdefault(document.name, document)
        if known is not document:
            raise ValueError(f"two documents are called {document.name}")
        if document.name not in self.found:
            # There before it is made, because a document may stand in itself.
            self.found[document.name] = {}
            schema = document.schema()
            definitions = schema.pop("$defs", {})
            schema.pop("$schema", None)
            self.found[document.name] = self._placed(schema, document.name, definitions)
        return _to(document.name)

    def _placed(self, part: Any, home: str, definitions: Json) -> Any:
        """The part with references in the place of documents, and of the definitions of the document `home`."""
        if isinstance(part, Document):
            return self.reference(part)
        if isinstance(part, list):
            return [self._placed(each, home, definitions) for each in part]
        if not isinstance(part, dict):
            return part
        if isinstance(part.get("$ref"), str):
            name = part["$ref"].removeprefix("#/$defs/")
            named = f"{home}.{name.lstrip('_')}"
            if named not in self.found:
                self.found[named] = {}
                self.found[named] = self._placed(definitions[name], home, definitions)
            return part | _to(named)
        return {key: self._placed(value, home, definitions) for key, value in part.items()}


def _to(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}
