"""`poolwright requests`: what clients really sent. On the machine the service runs on, and nowhere else."""

from __future__ import annotations

import json
import re
import sys
import time
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Final

import typer

from poolwright.cli.connection import connect
from poolwright.cli.failure import INTERRUPTED
from poolwright.cli.options import SINCE_HELP, DataDir, OutputForm, in_any_case, moment
from poolwright.cli.output import Json, Output, print_answer

if TYPE_CHECKING:
    from poolwright.cli.client import ServiceClient

REQUESTS: Final = "/_poolwright/requests"
FOLLOW_SECONDS: Final = 0.5


class Method(StrEnum):
    GET = "GET"
    HEAD = "HEAD"
    PUT = "PUT"
    POST = "POST"
    PATCH = "PATCH"
    DELETE = "DELETE"


def requests(
    pool: Annotated[str | None, typer.Option("--pool", help="Only requests whose path names this node pool.")] = None,
    method: Annotated[
        Method | None, typer.Option("--method", help="Only requests of this method.", **in_any_case(Method))
    ] = None,
    since: Annotated[str | None, typer.Option("--since", help=SINCE_HELP)] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what comes, until Ctrl-C.")] = False,
    data_dir: DataDir = None,
    output: OutputForm = Output.TABLE,
) -> None:
    """Show what clients really sent, oldest first: the last 1000 requests, or POOLWRIGHT_REQUESTS_KEPT of them.

    Secrets in bodies are masked. With --follow, JSON is one line for each request.
    """
    start = "" if since is None else moment(since).isoformat()
    query = {"pool": pool or "", "method": method.value if method else "", "since": start}
    with connect(data_dir, output) as client:
        if follow:
            _follow(client, query, output)
        else:
            answer = client.get(REQUESTS, **query)
            print_answer(answer, [_row(request) for request in answer["value"]], output)


def _follow(client: ServiceClient, query: dict[str, str], output: Output) -> None:
    after = 0
    try:
        while True:
            answer = client.get(REQUESTS, **query, after=str(after))
            for request in answer["value"]:
                print(json.dumps(request) if output is Output.JSON else _line(request), flush=True)
            after = answer["last"]
            time.sleep(FOLLOW_SECONDS)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def _line(request: Json) -> str:
    return "  ".join(str(value) for value in _row(request).values() if value is not None)


def _row(request: Json) -> dict[str, object]:
    headers = request["headers"]
    return {
        "Time": request["time"][11:23],
        "Method": request["method"],
        "Path": _short(request["path"]),
        "ApiVersion": request["apiVersion"],
        "Status": request["status"],
        "Ms": request["milliseconds"],
        "Command": headers.get("commandname") or headers.get("user-agent", "").partition(" ")[0],
        "Headers": ", ".join(f"{name}={value}" for name, value in headers.items() if name not in _SHOWN_OTHERWISE),
        "Body": json.dumps(request["body"]) if request["body"] is not None else None,
    }


_SHOWN_OTHERWISE: Final = frozenset(
    {"user-agent", "commandname", "parametersetname", "content-type", "x-ms-client-request-id"}
)


def _short(path: str) -> str:
    """The path without what is the same for all: subscription and providers."""
    return re.sub(
        r"/providers/microsoft\.\w+", "", re.sub(r"^/+subscriptions/[^/]+", "", path), flags=re.IGNORECASE | re.ASCII
    )
