"""A client's connection: how long it may take to say what it wants, and how much it may say before that.

uvicorn has a time-out between requests and none inside one: a client that sends a byte now and then, or takes
one, would keep its connection for good. What is refused before the application sees it gets ARM's error body.

Invariant: a request that is refused here changes nothing, and its connection is closed: nothing that follows on
it is taken for a request.
"""

from __future__ import annotations

import asyncio
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, Final, NoReturn

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from poolwright import errors
from poolwright.arm.errors import error_response

if TYPE_CHECKING:
    from uvicorn._types import ASGI3Application, ASGIReceiveCallable, ASGISendCallable
    from uvicorn._types import Scope as AnyScope
    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

# Apache's rule for heads and bodies, `RequestReadTimeout header=20 body=20,MinRate=500`, and here for answers too:
# https://httpd.apache.org/docs/2.4/mod/mod_reqtimeout.html
PATIENCE_SECONDS: Final = 20.0
LEAST_BYTES_PER_SECOND: Final = 500
# A token has at most 16 KiB (`identity/tokens.py`); what azure-cli sends beside it is below 2 KiB.
MAX_HEAD_BYTES: Final = 64 * 1024
MAX_HEADERS: Final = 200
_BUSY_SECONDS: Final = 5


class _Part(Enum):
    """What the client sends next."""

    REQUEST = auto()
    HEAD = auto()
    BODY = auto()


class Connection(HttpToolsProtocol):
    """uvicorn's connection, with an end to waiting and to heads. There are at most `most` at a time."""

    def __init__(self, *arguments: Any, most: int, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._most = most
        self._part = _Part.REQUEST
        self._head_bytes = 0
        self._body_bytes = 0
        self._body_began = 0.0
        self._refusal: errors.PoolwrightError | None = None
        # The request that is being answered; `cycle` is the last one whose head was read.
        self._at_work: RequestResponseCycle | None = None
        self._reading: asyncio.TimerHandle | None = None
        self._writing: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        if len(self.connections) <= self._most:
            self._reading = self.loop.call_later(PATIENCE_SECONDS, self._waited)
            return
        self._refuse(
            errors.Throttled(
                f"More than {self._most} connections are open at the same time.",
                retry_after_seconds=_BUSY_SECONDS,
                remedy="use connections again, or start the service with a higher limit of open files (ulimit -n)",
            )
        )

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        self.resume_writing()
        super().connection_lost(exc)

    # What comes.

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._part is _Part.HEAD:
            # The parser hands over whole headers; what has come of one that does not end is counted here.
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                self._refuse(_head_too_large())
                return
        if self._reading is None and self._is_owed_something():
            self._reading = self.loop.call_later(PATIENCE_SECONDS, self._waited)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._part = _Part.HEAD
        self._head_bytes = self._body_bytes = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        # Those after the body are trailers, not headers (RFC 9110, 6.5.1): the request is under way already.
        if self._part is _Part.HEAD:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if size > MAX_HEAD_BYTES or len(self.headers) > MAX_HEADERS:
            self._stop_parser(_head_too_large())
        hosts = sum(name == b"host" for name, _ in self.headers)
        if hosts > 1 or (hosts == 0 and self.parser.get_http_version() == "1.1"):
            # RFC 9112, 3.2 wants 400 for these.
            self._stop_parser(_malformed("it must have one Host header"))
        # This may raise as well: for a path that is none.
        super().on_headers_complete()
        self._part = _Part.BODY
        self._body_began = self.loop.time()
        self._stop_waiting()

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._part = _Part.REQUEST
        self._stop_waiting()
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Answer what the parser did not take."""
        self._refuse(self._refusal or _malformed("it is not HTTP/1.1 as RFC 9112 has it"))

    def _unsupported_upgrade_warning(self) -> None:
        # The request is answered as if nothing else had been asked for; what follows it is no HTTP.
        self.cycle.keep_alive = False

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        async def unless_refused(scope: AnyScope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
            # The task begins after all that came with the head was parsed, which may have shown that it is no request.
            if not cycle.disconnected:
                await app(scope, receive, send)

        self._at_work = cycle
        super()._start_asgi_task(cycle, unless_refused)

    # How long it takes.

    def _is_owed_something(self) -> bool:
        """Whether the client is to send more, and nothing else ends the wait for it."""
        is_idle = self.cycle is None or self.cycle.response_complete
        return self._part is not _Part.REQUEST or (is_idle and self.timeout_keep_alive_task is None)

    def _waited(self) -> None:
        self._reading = None
        if self.transport.is_closing():
            return
        left = self._time_left()
        if left > 0:
            self._reading = self.loop.call_later(left, self._waited)
        elif self._part is _Part.REQUEST:
            self.transport.close()
        else:
            self._refuse(
                errors.RequestTimeout(
                    f"The {self._part.name.lower()} of the request did not come within {PATIENCE_SECONDS:g} seconds, "
                    f"or came with less than {LEAST_BYTES_PER_SECOND} bytes a second.",
                    remedy="send the request again, without pauses",
                )
            )

    def _time_left(self) -> float:
        """How many seconds the client has left; not counted is the time in which it waits for the service."""
        if self._part is not _Part.BODY:
            is_answering = self._at_work is not None and not self._at_work.response_complete
            return PATIENCE_SECONDS if is_answering else 0.0
        if self.flow.read_paused:
            return PATIENCE_SECONDS
        # Nobody reads the rest of a body that was answered already; the client may end it, but not forever.
        earned = 0.0 if self.cycle.response_complete else self._body_bytes / LEAST_BYTES_PER_SECOND
        return self._body_began + PATIENCE_SECONDS + earned - self.loop.time()

    def _stop_waiting(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None

    def pause_writing(self) -> None:
        super().pause_writing()
        self._await_reader()

    def resume_writing(self) -> None:
        if self._writing is not None:
            self._writing.cancel()
            self._writing = None
        super().resume_writing()

    def _await_reader(self) -> None:
        """Look from time to time whether the client takes its answer; hang up when it does not."""
        before = self.transport.get_write_buffer_size()

        def look() -> None:
            self._writing = None
            if before - self.transport.get_write_buffer_size() < LEAST_BYTES_PER_SECOND * PATIENCE_SECONDS:
                self.transport.abort()
            else:
                self._await_reader()

        self._writing = self.loop.call_later(PATIENCE_SECONDS, look)

    # What is refused.

    def _stop_parser(self, error: errors.PoolwrightError) -> NoReturn:
        """Have the error told in the place of the parser's own."""
        self._refusal = error
        raise error

    def _refuse(self, error: errors.PoolwrightError) -> None:
        """Answer with the error, where the client can tell what it belongs to, and hang up."""
        self._stop_waiting()
        waiting = [cycle for cycle in (self._at_work, self.cycle) if cycle is not None and not cycle.response_complete]
        is_told = not any(cycle.response_started for cycle in waiting) and not (
            self._part is _Part.BODY and self.cycle.response_complete
        )
        for cycle in waiting:
            cycle.disconnected = True
            cycle.message_event.set()
        if is_told:
            answer = error_response(error, {"Connection": "close"})
            head = b"".join(b"%b: %b\r\n" % header for header in answer.raw_headers)
            self.transport.write(STATUS_LINE[answer.status_code] + head + b"\r\n" + bytes(answer.body))
        self.transport.close()


def _head_too_large() -> errors.PoolwrightError:
    return errors.InvalidRequestContent(
        f"The head of the request is larger than {MAX_HEAD_BYTES} bytes, or has more than {MAX_HEADERS} headers.",
        remedy="send fewer or shorter headers",
    )


def _malformed(why: str) -> errors.PoolwrightError:
    return errors.InvalidRequestContent(
        f"The request cannot be read: {why}.", remedy="send a well-formed request on a new connection"
    )
