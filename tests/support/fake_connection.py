"""A connection as uvicorn makes one, over no socket: its clock is set, and what it would send is kept."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Generator
from typing import Any

import httpx
import uvicorn
from uvicorn.server import ServerState

from poolwright.arm.connection import Connection


class FakeConnection:
    """One client. `requests` are those that an application would be asked to answer."""

    def __init__(self, *, most: int = 10, state: ServerState | None = None) -> None:
        self.loop = _Loop()
        self.transport = _Transport()
        self.requests: list[dict[str, Any]] = []
        self.answers = True
        config = uvicorn.Config(
            self._answer, ws="none", lifespan="off", log_config=None, interface="asgi3", proxy_headers=False
        )
        self.state = state or ServerState()
        self.protocol = Connection(config, self.state, {}, _loop=self.loop, most=most)
        self.protocol.connection_made(self.transport)  # type: ignore[arg-type]  # as much of one as is used

    def sends(self, data: bytes) -> None:
        self.protocol.data_received(data)
        self.loop.run_tasks()

    def waits(self, seconds: float) -> None:
        self.loop.pass_time(seconds)
        self.loop.run_tasks()

    @property
    def is_open(self) -> bool:
        return not self.transport.closed

    @property
    def reply(self) -> httpx.Response:
        """All that was sent, as the one response it must be."""
        head, _, body = bytes(self.transport.sent).partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines)
        assert len(body) == int(headers["content-length"])
        return httpx.Response(int(first.split(" ")[1]), headers=headers, content=body)

    async def _answer(self, scope: Any, receive: Any, send: Any) -> None:
        self.requests.append(scope)
        if not self.answers:
            await _Never()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"{}"})


class _Never:
    def __await__(self) -> Generator[None, None, None]:
        yield


class _Transport:
    def __init__(self) -> None:
        self.sent = bytearray()
        self.closed = self.aborted = False
        self.unsent = 0

    def get_extra_info(self, name: str) -> Any:
        return None

    def write(self, data: bytes) -> None:
        assert not self.closed, data
        self.sent += data

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = self.aborted = True

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


class _Timer:
    def __init__(self, due: float, action: Callable[[], None]) -> None:
        self.due, self.action, self.cancelled = due, action, False

    def cancel(self) -> None:
        self.cancelled = True


class _Task:
    def __init__(self, coroutine: Coroutine[Any, Any, None]) -> None:
        self.coroutine = coroutine

    def add_done_callback(self, _: object) -> None:
        pass


class _Loop(asyncio.AbstractEventLoop):
    """Time passes when it is told to; tasks run as far as they come without waiting."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.timers: list[_Timer] = []
        self.tasks: list[_Task] = []

    def time(self) -> float:
        return self.now

    def call_later(self, delay: float, action: Any, *_: Any, **__: Any) -> Any:
        timer = _Timer(self.now + delay, action)
        self.timers.append(timer)
        return timer

    def create_task(self, coroutine: Any, **_: Any) -> Any:
        task = _Task(coroutine)
        self.tasks.append(task)
        return task

    def run_tasks(self) -> None:
        while self.tasks:
            with contextlib.suppress(StopIteration):
                self.tasks.pop(0).coroutine.send(None)

    def pass_time(self, seconds: float) -> None:
        end = self.now + seconds
        while due := [timer for timer in self.timers if timer.due <= end and not timer.cancelled]:
            timer = min(due, key=lambda timer: timer.due)
            self.timers.remove(timer)
            self.now = max(self.now, timer.due)
            timer.action()
        self.now = end
