"""A real Poolwright process for tests, and its HTTP client: those that users' tests get, with every reply checked."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import httpx

from poolwright.testing import Service
from poolwright.testing.client import API_VERSION, Client
from tests.support import schema

__all__ = ["API_VERSION", "ArmClient", "ServiceProcess"]


class ArmClient(Client):
    """The client of `poolwright.testing`. A reply that is not as Azure publishes it fails the test.

    `checked` names the operations of Azure that were answered, and not refused. `sent` are the names of all properties
    it sent, which come back whatever they are; None where others send some, too.
    """

    def __init__(self, **settings: Any) -> None:
        self.checked: set[str] = set()
        self.sent: set[str] | None = set()
        super().__init__(**settings)

    def send(self, request: httpx.Request, *, stream: bool = False, **settings: Any) -> httpx.Response:
        reply = super().send(request, stream=stream, **settings)
        if self.sent is not None and request.method in ("PUT", "PATCH"):
            self.sent |= names_in(request)
        if not stream:
            url, status = str(request.url), reply.status_code
            operation = schema.check(request.method, url, status, reply.content, self.sent)
            if operation is not None and not reply.is_error:
                self.checked.add(operation)
        return reply


def names_in(request: httpx.Request) -> set[str]:
    """The name of every property in a body, at any depth; none where it is no JSON, or was sent piece by piece."""
    names: set[str] = set()
    with suppress(ValueError, RecursionError, httpx.RequestNotRead):
        json.loads(request.content, object_pairs_hook=lambda pairs: names.update(name for name, _ in pairs))
    return names


class ServiceProcess(Service):
    """A service whose client checks what it gets."""

    @property
    def client(self) -> ArmClient:
        if not isinstance(self._client, ArmClient):
            self._client = ArmClient.of(self.url, self.ca, self.credentials)
        return self._client
