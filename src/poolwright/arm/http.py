"""Reading a request and writing a reply, as every handler does.

Invariant: a body is read up to its limit and no further.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final
from urllib.parse import quote

import orjson
from starlette.requests import Request
from starlette.responses import Response

from poolwright import errors
from poolwright.arm import paths
from poolwright.arm.sent import parse_body
from poolwright.control_plane.calls import Call, Preconditions

MAX_BODY_BYTES: Final = 4 * 1024 * 1024  # ARM's own limit for a request body
# Ours, for everything but templates: what is stored of a resource is written again by each of its steps.
MAX_RESOURCE_BYTES: Final = 1024 * 1024
_PIECE_BYTES: Final = 1024 * 1024
RETRY_AFTER: Final = {"Retry-After": "1"}
_JSON: Final = "application/json; charset=utf-8"
# A string, a comment, a name without quotes, or the rest of a body that ends within one of the first two. Nothing is
# looked at twice: a body of 4 MiB would take hours.
_LOOSE: Final = re.compile(
    rb'"(?:[^"\\]|\\.)*+"|//[^\n]*|/\*.*?\*/|(?<!\w)[A-Za-z_]\w*+(?=\s*+:)|(?P<unended>(?:"|/\*).*)', re.DOTALL
)


def call_of(request: Request) -> Call:
    """Return what verbs need to know of the request. Raises `InvalidParameter` for an unusable UseWindowsGen2VM."""
    return Call(
        api_version=request.scope["poolwright.api_version"],
        correlation_id=request.scope["poolwright.correlation_id"],
        preconditions=Preconditions(
            _unquoted(request.headers.get("if-match")), _unquoted(request.headers.get("if-none-match"))
        ),
        header=_generation_header(request.headers.getlist("usewindowsgen2vm")),
    )


async def read_body(request: Request, *, loosely: bool = False) -> dict[str, Any]:
    """Return the JSON object sent. Raises `InvalidRequestContent` or `RequestEntityTooLarge`.

    az sends a template as it is in the file: `loosely` takes what ARM's reader takes beyond JSON, and ARM's 4 MiB.
    """
    body = await read_bytes(request, MAX_BODY_BYTES if loosely else MAX_RESOURCE_BYTES)
    return parse_body(plain_json(body) if loosely else body)


async def read_bytes(request: Request, most: int) -> bytes:
    """Return the body sent, of at most so many bytes. Raises `RequestEntityTooLarge`."""
    declared = request.headers.get("content-length", "0")
    body = bytearray()
    if declared.isdecimal() and int(declared) <= most:
        async for chunk in request.stream():
            body += chunk
            if len(body) > most:
                raise _too_large(most)
        return bytes(body)
    raise _too_large(most)


def plain_json(body: bytes) -> bytes:
    """Return what ARM's reader takes beyond JSON as JSON: comments, names without quotes, line breaks in strings."""

    def plain(found: re.Match[bytes]) -> bytes:
        text = found[0]
        if found["unended"]:
            return text
        if text.startswith(b'"'):
            return text.replace(b"\r", b"\\r").replace(b"\n", b"\\n").replace(b"\t", b"\\t")
        return b" " if text.startswith(b"/") else b'"' + text + b'"'

    return _LOOSE.sub(plain, body)


async def stream_body(request: Request, take: Callable[[bytes], None]) -> None:
    """Hand the body to `take` in pieces of a megabyte, each in another thread, so that others are answered meanwhile.

    After an error the rest is read all the same: a client that is still sending would not hear the answer.
    """
    failure: Exception | None = None
    piece = bytearray()

    async def hand_over() -> None:
        nonlocal failure
        try:
            await asyncio.to_thread(take, bytes(piece))
        except errors.PoolwrightError as error:
            failure = error

    async for chunk in request.stream():
        if failure is None:
            piece += chunk
            if len(piece) >= _PIECE_BYTES:
                await hand_over()
                piece.clear()
    if failure is None and piece:
        await hand_over()
    if failure is not None:
        raise failure


def target_of(request: Request) -> str:
    """Return the request's path and query as a header may carry them."""
    path = quote(request.scope[paths.AS_SENT], safe="/")
    query = request.scope["query_string"].decode("latin-1")
    return f"{path}?{query}" if query else path


def json_response(body: bytes, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Return a reply with a JSON document that is rendered already."""
    return Response(body, status, headers=headers, media_type=_JSON)


def listed(documents: Iterable[bytes]) -> Response:
    """Return rendered documents as ARM lists them."""
    return json_response(b'{"value":[' + b",".join(documents) + b"]}")


def _unquoted(etag: str | None) -> str | None:
    return etag.strip().removeprefix("W/").strip('"') if etag is not None else None


def _generation_header(values: list[str]) -> bool | None:
    """The wish of UseWindowsGen2VM; sent more than once, it must say the same."""
    wishes = {value.strip().lower() for value in values}
    if not wishes:
        return None
    if wishes in ({"true"}, {"false"}):
        return wishes == {"true"}
    raise errors.InvalidParameter(
        f"The value of the header UseWindowsGen2VM is invalid: '{', '.join(values)[:60]}'. It is true or false.",
        target="UseWindowsGen2VM",
        remedy="send true or false (az: --aks-custom-headers UseWindowsGen2VM=true)",
    )


def require_size(body: Mapping[str, Any]) -> None:
    """Raise `RequestEntityTooLarge` for what a template makes a resource of, where a PUT of it would be refused."""
    if len(orjson.dumps(body)) > MAX_RESOURCE_BYTES:
        raise _too_large(MAX_RESOURCE_BYTES)


def _too_large(most: int) -> errors.RequestEntityTooLarge:
    return errors.RequestEntityTooLarge(f"The request body is larger than {most} bytes.", remedy="send a smaller body")
