"""What all changing commands share: ask, send, wait, and give back the result."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

import typer

from poolwright.cli.failure import NOT_FOUND, USAGE, Failure
from poolwright.cli.output import Json, note

if TYPE_CHECKING:
    from poolwright.cli.client import Polling, ServiceClient


def put(client: ServiceClient, path: str, body: Json, headers: Mapping[str, str], doing: str, *, no_wait: bool) -> Json:
    """Send a PUT and return the resource: as it is in the end, or with `no_wait` as it was accepted."""
    reply = client.put(path, body, headers)
    if no_wait:
        _note_accepted(client.polling(reply))
        accepted: Json = reply.json()
        return accepted
    client.wait(reply, doing)
    return client.get(path)


def begin(
    client: ServiceClient,
    path: str,
    body: Json | None,
    doing: str,
    *,
    no_wait: bool,
    headers: Mapping[str, str] | None = None,
) -> None:
    """Send a POST that begins an operation, and wait for its end unless `no_wait` is set."""
    reply = client.begin(path, body, headers or {})
    if no_wait:
        _note_accepted(client.polling(reply))
    else:
        client.wait(reply, doing)


def delete(client: ServiceClient, path: str, headers: Mapping[str, str], what: str, *, no_wait: bool) -> None:
    """Delete what is at the path. Raises `Failure` with exit code 3 when there is nothing."""
    reply = client.delete(path, headers)
    if reply.status_code == 204:
        raise Failure(f"error: {what} does not exist", code=NOT_FOUND)
    if no_wait:
        _note_accepted(client.polling(reply))
    else:
        client.wait(reply, f"deleting {what}")


def confirm(question: str, *, yes: bool, az_asks: bool) -> None:
    """Return when the deletion is wanted.

    Without a terminal nobody can be asked: then a deletion that az asks about needs --yes, and others go on.
    """
    if yes:
        return
    if sys.stdin.isatty():
        typer.confirm(question, abort=True, err=True)
    elif az_asks:
        raise Failure("error: nobody can be asked without a terminal: use --yes", code=USAGE)


def _note_accepted(polling: Polling) -> None:
    note(f"Operation {polling.operation} goes on{polling.how_to_follow}")
