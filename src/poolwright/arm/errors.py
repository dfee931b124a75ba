"""Where errors meet HTTP: the only place that knows both status codes and error families.

Invariant: every error leaves as ARM's error body; a bug leaves as InternalServerError without details.
"""

from __future__ import annotations

from typing import Any, Final

import orjson
from starlette.responses import Response

from poolwright import errors

MAX_TEXT: Final = 2000

STATUS: Final[tuple[tuple[type[errors.PoolwrightError], int], ...]] = (
    (errors.InvalidRequest, 400),
    (errors.Unauthenticated, 401),
    (errors.Forbidden, 403),
    (errors.NotFound, 404),
    (errors.MethodNotOffered, 405),
    (errors.Conflict, 409),
    (errors.FailedPrecondition, 412),
    (errors.TooLarge, 413),
    (errors.TooSlow, 408),
    (errors.TooManyRequests, 429),
    (errors.Internal, 500),
    (errors.Unavailable, 503),
)


def status_of(kind: type[errors.PoolwrightError]) -> int | None:
    """Return the HTTP status of an error; None for those that only an operation ends with."""
    return next((status for family, status in STATUS if issubclass(kind, family)), None)


def error_body(error: errors.PoolwrightError) -> dict[str, Any]:
    """Return ARM's error object; remedy, rule and alternatives stand in `additionalInfo`."""
    body: dict[str, Any] = {"code": error.code, "message": _clipped(error.message)}
    if error.target is not None:
        body["target"] = _clipped(error.target)
    if error.details:
        body["details"] = [error_body(detail) for detail in error.details]
    info = {**({"remedy": error.remedy} if error.remedy else {}), **error.information}
    if info:
        body["additionalInfo"] = [{"type": "PoolwrightRemedy", "info": info}]
    return body


def _clipped(text: str) -> str:
    """The text as far as anybody reads it: it may repeat a value of the request, which may be megabytes."""
    return text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}..."


def error_response(error: errors.PoolwrightError, headers: dict[str, str] | None = None) -> Response:
    """Return the HTTP answer for an error."""
    if isinstance(error, (errors.Throttled, errors.StorageUnavailable)):
        headers = {"Retry-After": str(error.retry_after_seconds)} | (headers or {})
    return Response(
        orjson.dumps({"error": error_body(error)}),
        status_of(type(error)) or 500,
        headers=headers,
        media_type="application/json; charset=utf-8",
    )
