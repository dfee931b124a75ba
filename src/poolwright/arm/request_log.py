"""What clients really sent: the last requests, in memory and nowhere else.

Invariant: no Authorization header and no other header that may hold a secret is ever kept; a body is kept only
after its secrets were masked.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

import orjson
from starlette.types import Message, Receive, Scope

from poolwright.arm.masking import IS_KEPT, masked, without_secrets

MAX_BYTES: Final = 16 * 1024 * 1024
MAX_BODY_BYTES: Final = 256 * 1024
# What an entry takes beside its texts.
_ENTRY_BYTES: Final = 800
_WITHOUT_BODY: Final = frozenset({"GET", "HEAD", "OPTIONS"})
# Asked by whoever watches the service, not by the code under test.
_UNSEEN: Final = ("/_poolwright", "/healthz", "/metrics")


class Entry(NamedTuple):
    """One request and how it was answered. `body` is JSON without secrets; `omitted` says why there is none."""

    sequence: int
    began: float
    method: str
    path: str
    query: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    status: int
    seconds: float
    correlation_id: str
    operation: str | None
    body: bytes | None
    omitted: str | None
    size: int


class Sent:
    """A body as far as the application has read it."""

    __slots__ = ("_receive", "chunks", "length")

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self.chunks: list[bytes] = []
        self.length = 0

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            chunk = message.get("body", b"")
            self.length += len(chunk)
            if self.length <= MAX_BODY_BYTES:
                self.chunks.append(chunk)
            else:
                self.chunks.clear()
        return message


class RequestLog:
    """The last `count` requests, and no more than `max_bytes` of them; 0 keeps none."""

    def __init__(self, count: int, now: Callable[[], float], *, max_bytes: int = MAX_BYTES) -> None:
        # Plain tuples of plain values, which the garbage collector lets go; an `Entry` it would follow for good.
        self._entries: deque[tuple[Any, ...]] = deque()
        self._count = count
        self.is_on = count > 0
        self._now = now
        self._max_bytes = max_bytes
        self._bytes = 0
        self.last = 0

    def listen(self, scope: Scope, receive: Receive) -> Sent | None:
        """Return what to read the request's body from, where it is one to be kept: credentials are not."""
        if (
            not self.is_on
            or scope["method"] in _WITHOUT_BODY
            or not scope["path"].lower().lstrip("/").startswith("subscriptions/")
        ):
            return None
        return Sent(receive)

    def add(
        self,
        scope: Scope,
        path: str,
        sent: Sent | None,
        status: int,
        seconds: float,
        correlation_id: str,
        operation_url: bytes | None,
    ) -> None:
        """Keep a request that was answered, and let the oldest ones make room. What watches the service is not kept."""
        if path.startswith(_UNSEEN):
            return
        headers = tuple([header for header in scope["headers"] if IS_KEPT[header[0]]])
        body, omitted = None, None
        if sent is not None:
            if sent.length:
                body, omitted = _kept_body(sent)
        elif scope["method"] not in _WITHOUT_BODY:
            omitted = "it may hold credentials"
        query = without_secrets(scope["query_string"])
        size = _ENTRY_BYTES + len(path) + len(query) + len(body or b"")
        for header in headers:
            size += len(header[1])
        self.last += 1
        self._entries.append(
            (
                self.last,
                self._now() - seconds,
                scope["method"],
                path,
                query,
                headers,
                status,
                seconds,
                correlation_id,
                _operation_of(operation_url) if operation_url else None,
                body,
                omitted,
                size,
            )
        )
        self._bytes += size
        while len(self._entries) > self._count or (self._bytes > self._max_bytes and len(self._entries) > 1):
            self._bytes -= self._entries.popleft()[-1]

    def clear(self) -> None:
        """Forget the requests kept so far; the numbering goes on."""
        self._entries.clear()
        self._bytes = 0

    def entries(self) -> Iterator[Entry]:
        """Yield the requests kept, oldest first."""
        return map(Entry._make, tuple(self._entries))


def _kept_body(sent: Sent) -> tuple[bytes | None, str | None]:
    """A body without its secrets, or why it is not kept. What is no JSON cannot be masked."""
    if sent.length > MAX_BODY_BYTES:
        return None, f"it has {sent.length} bytes"
    try:
        return orjson.dumps(masked(orjson.loads(b"".join(sent.chunks)))), None
    except ValueError:
        return None, f"its {sent.length} bytes are no JSON, so secrets in it cannot be told"


def _operation_of(url: bytes) -> str:
    return url.partition(b"?")[0].rpartition(b"/")[2].decode("latin-1")
