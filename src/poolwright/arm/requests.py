"""`/_poolwright/requests`: what clients really sent, for the local operator.

Invariant: nothing is shown here that `request_log.py` does not keep, and it keeps no secrets.
"""

from __future__ import annotations

import itertools
import math
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl

import orjson
from starlette.requests import Request
from starlette.responses import Response

from poolwright import errors
from poolwright.arm.area import Area, OfferedRoute
from poolwright.arm.documents import COUNT, TAGS, TEXT, TIME, an_object, document, list_of
from poolwright.arm.http import json_response
from poolwright.arm.masking import masked
from poolwright.arm.request_log import Entry
from poolwright.arm.wire import timestamp

_LOG = document(
    "RequestLog",
    {
        "value": list_of(
            an_object({"sequence": COUNT, "time": TIME, "method": TEXT, "path": TEXT, "status": COUNT, "headers": TAGS})
        ),
        "last": COUNT,
    },
)


class Requests(Area):
    """The handler of `/_poolwright/requests`."""

    def offered(self) -> tuple[OfferedRoute, ...]:
        return (
            OfferedRoute(
                "Requests_List",
                "GET",
                "/_poolwright/requests",
                self.list_requests,
                answers={200: _LOG},
                query=("pool", "method", "after", "since"),
            ),
            OfferedRoute(
                "Requests_Forget", "DELETE", "/_poolwright/requests", self.forget_requests, answers={204: None}
            ),
        )

    async def list_requests(self, request: Request) -> Response:
        log, query = self._service.requests, request.query_params
        pool, method = query.get("pool", "").lower(), query.get("method", "").upper()
        after, since = _number(query.get("after"), "after"), _number(query.get("since"), "since")
        shown = [
            _shown(entry)
            for entry in log.entries()
            if entry.sequence > after
            and entry.began >= since
            and (not method or entry.method == method)
            and (not pool or _names_pool(entry.path, pool))
        ]
        return json_response(orjson.dumps({"value": shown, "last": log.last}))

    async def forget_requests(self, request: Request) -> Response:
        self._service.requests.clear()
        return Response(status_code=204)


def _names_pool(path: str, pool: str) -> bool:
    segments = path.lower().split("/")
    return any(part == "agentpools" and name == pool for part, name in itertools.pairwise(segments))


def _shown(entry: Entry) -> dict[str, Any]:
    query = parse_qsl(entry.query.decode("latin-1"), keep_blank_values=True)
    shown: dict[str, Any] = {
        "sequence": entry.sequence,
        "time": timestamp(entry.began),
        "method": entry.method,
        "path": entry.path,
        "apiVersion": next((value for name, value in query if name.lower() == "api-version"), None),
        "query": {name: value for name, value in query if name.lower() != "api-version"},
        "headers": _shown_headers(entry.headers),
        "status": entry.status,
        "milliseconds": round(1000 * entry.seconds, 3),
        "correlationId": entry.correlation_id,
        "operation": entry.operation,
        "body": orjson.loads(entry.body) if entry.body is not None else None,
    }
    if entry.omitted is not None:
        shown["bodyOmitted"] = entry.omitted
    return shown


def _shown_headers(headers: tuple[tuple[bytes, bytes], ...]) -> dict[str, str]:
    """The headers as they were sent; of one that was sent several times, all values."""
    joined: dict[str, str] = {}
    for raw_name, raw_value in headers:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        joined[name] = f"{joined[name]}, {value}" if name in joined else value
    shown: dict[str, str] = masked(joined)
    return shown


def _number(text: str | None, name: str) -> float:
    """A count, UNIX seconds, or a time in ISO 8601. Raises `InvalidParameter`."""
    if not text:
        return 0.0
    for read in (float, lambda text: datetime.fromisoformat(text).timestamp()):
        try:
            number = read(text)
        except (ValueError, OverflowError):
            continue
        if math.isfinite(number):
            return number
    raise errors.InvalidParameter(
        f"The value of the query parameter '{name}' is neither a number nor a time: '{text[:60]}'.",
        target=name,
        remedy="send a number, UNIX seconds, or a time such as 2026-06-01T12:00:00Z",
    )
