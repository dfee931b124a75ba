"""The activity log over HTTP, in the shape of Azure Monitor's.

Of what is stored once, Azure shows two events where a change begins: that the request came and what was
answered. Source of the shape: https://learn.microsoft.com/azure/azure-monitor/platform/activity-log-schema

Invariant: an event is shown to those who may read the log at its resource.
"""

from __future__ import annotations

import asyncio
import http
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote, urlencode

import orjson
from starlette.requests import Request
from starlette.responses import Response

from poolwright import errors
from poolwright.arm import paging, paths
from poolwright.arm import wire_documents as documents
from poolwright.arm.area import Area, OfferedRoute, Over
from poolwright.arm.documents import listing
from poolwright.arm.http import json_response
from poolwright.arm.odata import Clause, clauses
from poolwright.arm.wire_roles import encode_role_assignment
from poolwright.domain.activity import OMITTED, Event, Outcome, group_of, type_of
from poolwright.domain.roles import ASSIGNMENT_TYPE, RoleAssignment
from poolwright.store.activity_statements import ActivityQuery, Recorded, events
from poolwright.store.records import load

VALUES: Final = paths.SUBSCRIPTION + "/providers/microsoft.insights/eventtypes/management/values"
# Azure's own: https://learn.microsoft.com/azure/role-based-access-control/permissions/monitor
READ_LOG: Final = "Microsoft.Insights/eventtypes/values/Read"
PAGE: Final = 200
# Ours: what changed may be 64 KiB before and after in each entry.
PAGE_BYTES: Final = 2 * 1024 * 1024
_FILTERS: Final = (
    "eventTimestamp ge",
    "eventTimestamp le",
    "resourceGroupName eq",
    "resourceUri eq",
    "resourceId eq",
    "resourceProvider eq",
    "correlationId eq",
    "operationId eq",
    "caller eq",
    "status eq",
    "levels eq",
    "eventChannels eq",
)
_PHRASES: Final = {status.value: status.phrase for status in http.HTTPStatus}


class Activity(Area):
    """Handlers of what Azure has under Microsoft.Insights."""

    def offered(self) -> tuple[OfferedRoute, ...]:
        return (
            OfferedRoute(
                "ActivityLogs_List",
                "GET",
                VALUES,
                self.list_events,
                over=Over.EACH,
                answers={200: listing(documents.EVENT)},
                query=("$filter", "$select", "$skiptoken"),
            ),
        )

    async def list_events(self, request: Request) -> Response:
        wanted = clauses(request.query_params.get("$filter"), _FILTERS)
        query = _query(wanted, request)
        statuses = {clause.value.lower() for clause in wanted if clause.name == "status"}
        levels = {
            part.strip().lower() for clause in wanted if clause.name == "levels" for part in clause.value.split(",")
        }

        def read() -> tuple[list[Recorded], bool]:
            with self._service.database.engine.connect() as connection:
                return events(connection, query, PAGE, PAGE_BYTES)

        found, has_more = await asyncio.to_thread(read)
        access, subscription = self._access(request), query.subscription
        sees_all = access.may_everywhere(READ_LOG, subscription)
        shown = [
            event
            for recorded in found
            if sees_all or access.may(READ_LOG, recorded.event.change.resource_key)
            for event in _shown(recorded)
            if statuses <= {event["status"]["value"].lower()} and (not levels or event["level"].lower() in levels)
        ]
        page: dict[str, Any] = {"value": _selected(shown, request.query_params.get("$select"))}
        if has_more:
            page["nextLink"] = self._next_link(request, found[-1].sequence)
        return json_response(orjson.dumps(page))

    def _next_link(self, request: Request, below: int) -> str:
        query = [*paging.without_token(request.scope["query_string"]), ("$skipToken", str(below))]
        path = quote(request.scope[paths.AS_SENT], safe="/")
        return f"{self._service.base_of(request)}{path}?{urlencode(query)}"


def _query(wanted: list[Clause], request: Request) -> ActivityQuery:
    known = {(clause.name, clause.operator): clause.value for clause in wanted}
    if ("eventtimestamp", "ge") not in known:
        raise errors.InvalidParameter(
            "The $filter needs the start of the time range.",
            target="$filter",
            remedy="begin it with: eventTimestamp ge '2026-01-01T00:00:00Z'",
        )

    def value(name: str) -> str | None:
        found = known.get((name, "eq"))
        return found.lower() if found is not None else None

    resource = value("resourceuri") or value("resourceid")
    token = paging.token_of(request)
    if token is not None and not (token.isascii() and token.isdecimal() and len(token) < 19):
        raise paging.invalid_token()
    until = known.get(("eventtimestamp", "le"))
    return ActivityQuery(
        subscription=request.path_params["subscription"],
        since=_seconds(known[("eventtimestamp", "ge")]),
        until=_seconds(until) if until is not None else None,
        group=value("resourcegroupname"),
        resource_key=paths.fold(resource) if resource is not None else None,
        provider=value("resourceprovider"),
        correlation_id=value("correlationid"),
        operation_id=value("operationid"),
        caller=value("caller"),
        below=int(token) if token is not None else None,
    )


def _seconds(text: str) -> float:
    """A time as az writes it, which is UTC where no zone is named. A plus may have come as a blank."""
    try:
        parsed = datetime.fromisoformat(text.replace(" ", "+"))
        return (parsed if parsed.tzinfo is not None else parsed.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        raise errors.InvalidParameter(
            f"The time '{text}' in $filter is invalid.",
            target="$filter",
            remedy="write it as 2026-01-01T00:00:00Z",
        ) from None


def _shown(recorded: Recorded) -> Iterator[dict[str, Any]]:
    """The events that Azure shows for a stored one, newest first."""
    event = recorded.event
    yield _encoded(recorded, "EndRequest" if event.begins else "EndOperation", event.outcome.value, event.id)
    if event.begins:
        yield _encoded(recorded, "BeginRequest", "Started", str(uuid.uuid5(uuid.UUID(event.id), "begin")))


def _encoded(recorded: Recorded, name: str, status: str, event_id: str) -> dict[str, Any]:
    event = recorded.event
    change = event.change
    at = _timestamp(event.at)
    kind = type_of(change.resource_id)
    answered = name != "BeginRequest"
    phrase = _PHRASES.get(event.status or 0, "") if answered else ""
    return {
        "authorization": {"action": change.action, "scope": change.resource_id},
        "caller": change.caller,
        "channels": "Operation",
        "claims": _claims(event),
        "correlationId": change.correlation_id,
        "description": "",
        "eventDataId": event_id,
        "eventName": _localized(name, _EVENT_NAMES[name]),
        "category": _localized("Administrative"),
        "eventTimestamp": at,
        "httpRequest": {
            "clientRequestId": change.client_request_id or "",
            "clientIpAddress": change.address or "",
            "method": change.method or "",
        },
        "id": f"{change.resource_id}/events/{event_id}/ticks/{_ticks(event.at)}",
        "level": "Error" if answered and event.outcome is Outcome.FAILED else "Informational",
        "operationId": event.operation_id,
        "operationName": _localized(change.action),
        "resourceGroupName": group_of(change.resource_id.lower()) or "",
        "resourceProviderName": _localized(kind.split("/")[0]),
        "resourceType": _localized(kind),
        "resourceId": change.resource_id,
        "status": _localized(status),
        "subStatus": {
            "value": phrase.replace(" ", ""),
            "localizedValue": f"{phrase} (HTTP Status Code: {event.status})" if phrase else "",
        },
        "submissionTimestamp": at,
        "subscriptionId": change.subscription,
        "tenantId": change.tenant,
        "properties": _properties(recorded, answered=answered, phrase=phrase),
    }


_EVENT_NAMES: Final = {"BeginRequest": "Begin request", "EndRequest": "End request", "EndOperation": "End operation"}


def _claims(event: Event) -> dict[str, str]:
    change = event.change
    if change.object_id is None:
        return {}
    return {
        "appid": change.caller,
        "http://schemas.microsoft.com/identity/claims/objectidentifier": change.object_id,
        "http://schemas.microsoft.com/identity/claims/tenantid": change.tenant,
        "idtyp": "app",
        "ver": "1.0",
    }


def _properties(recorded: Recorded, *, answered: bool, phrase: str) -> dict[str, str]:
    """Everything in it is text, as Azure has it; `before` and `after` are Poolwright's own."""
    event = recorded.event
    change = event.change
    properties = {
        "eventCategory": "Administrative",
        "entity": change.resource_id,
        "message": change.action,
        "hierarchy": f"{change.tenant}/{change.subscription}",
    }
    assignment = _assignment(recorded)
    if not answered:
        return properties | ({"requestbody": assignment} if assignment and change.method == "PUT" else {})
    if phrase:
        properties |= {"statusCode": phrase.replace(" ", ""), "serviceRequestId": change.correlation_id}
    if event.error_code is not None:
        properties["statusMessage"] = _text({"error": {"code": event.error_code, "message": event.error_message}})
    if assignment:
        properties["responseBody"] = assignment
    return properties | {"before": _text(recorded.before), "after": _text(recorded.after)}


def _assignment(recorded: Recorded) -> str | None:
    """A role assignment as ARM shows it, which `az role assignment list-changelogs` reads."""
    change = recorded.event.change
    if type_of(change.resource_id).lower() != ASSIGNMENT_TYPE.lower():
        return None
    for record in (recorded.after or recorded.before).values():
        if OMITTED in record:
            continue
        return _text(encode_role_assignment(load(RoleAssignment, orjson.dumps(record)), change.subscription))
    return None


def _selected(shown: list[dict[str, Any]], select: str | None) -> list[dict[str, Any]]:
    if not select:
        return shown
    wanted = {part.strip().lower() for part in select.split(",")}
    return [{name: value for name, value in event.items() if name.lower() in wanted} for event in shown]


def _localized(value: str, localized: str | None = None) -> dict[str, str]:
    return {"value": value, "localizedValue": localized or value}


def _text(document: object) -> str:
    return orjson.dumps(document).decode()


def _timestamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _ticks(seconds: float) -> int:
    """.NET's ticks: tenths of microseconds since the year 1."""
    return 621_355_968_000_000_000 + round(seconds * 10_000_000)
