"""Keep-alive load on one URL: `python -m bench.load URL CA|- SECONDS CONNECTIONS [HEADER ...]`.

Runs in a process of its own, so that server and client do not share an interpreter. Prints JSON:
{"requests": n, "seconds": s, "not_200": n}.
"""

from __future__ import annotations

import asyncio
import json
import os
import ssl
import sys
import time
from collections.abc import Callable
from typing import cast
from urllib.parse import urlsplit

import uvloop


class _Connection(asyncio.Protocol):
    """Sends the request again as soon as its answer is complete; a server that closes is connected to anew."""

    def __init__(self, request: bytes, counts: list[int], connect: Callable[[], None]) -> None:
        self._request = request
        self._counts = counts
        self._connect = connect
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, separator, rest = self._buffer.partition(b"\r\n\r\n")
        if not separator:
            return
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        if len(rest) < length:
            return
        self._counts[0] += 1
        self._counts[1] += not head.startswith(b"HTTP/1.1 200")
        self._buffer = rest[length:]
        if b"\r\nconnection: close" in head.lower():
            self.transport.close()
            return
        self.transport.write(self._request)

    def connection_lost(self, _error: Exception | None) -> None:
        self._connect()


async def _measure(url: str, ca: str, seconds: float, connections: int, headers: list[str]) -> dict[str, float]:
    parts = urlsplit(url)
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    lines = [f"GET {target} HTTP/1.1", f"Host: {parts.netloc}", *headers, "", ""]
    request = "\r\n".join(lines).encode()
    counts = [0, 0]
    context = ssl.create_default_context(cafile=ca) if ca != "-" else None
    loop = asyncio.get_running_loop()
    connecting: set[asyncio.Task[object]] = set()

    def connect() -> None:
        task: asyncio.Task[object] = loop.create_task(
            loop.create_connection(
                lambda: _Connection(request, counts, connect), parts.hostname, parts.port, ssl=context
            )
        )
        connecting.add(task)
        task.add_done_callback(connecting.discard)

    for _ in range(connections):
        connect()
    await asyncio.sleep(0.3)
    counts[:] = [0, 0]
    started = time.perf_counter()
    await asyncio.sleep(seconds)
    result = {"requests": counts[0], "seconds": time.perf_counter() - started, "not_200": counts[1]}
    return result


if __name__ == "__main__":
    _url, _ca, _seconds, _connections, *_headers = sys.argv[1:]
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(json.dumps(runner.run(_measure(_url, _ca, float(_seconds), int(_connections), _headers))), flush=True)
        # Closing the connections in good order is not what is measured.
        os._exit(0)
