"""The limit: Starlette answering a constant of a node pool's size, on the same uvicorn with the same TLS.

`python -m bench.bare CERTIFICATE KEY BODY_FILE` prints `ready URL`.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from pathlib import Path

import uvicorn
import uvloop
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route


def main() -> None:
    certificate, key, body_file = sys.argv[1:]
    body = Path(body_file).read_bytes()

    async def constant(request: Request) -> Response:
        return Response(body, media_type="application/json; charset=utf-8")

    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(2048)
    config = uvicorn.Config(
        Starlette(routes=[Route("/constant", constant)]),
        ssl_certfile=certificate,
        ssl_keyfile=key,
        http="httptools",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
    )
    print(f"ready https://127.0.0.1:{listener.getsockname()[1]}/constant", flush=True)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(uvicorn.Server(config).serve(sockets=[listener]))


if __name__ == "__main__":
    main()
