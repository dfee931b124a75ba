"""One client's connection to the service: it retries as the Azure SDKs do and measures every answer.

Invariant: a request that is sent again is one that may be (`azure.core.pipeline.policies.RetryPolicy`).
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any, Final

import httpx

from poolwright.testing.client import API_VERSION

# azure-core 1.x, RetryPolicy: retry_connect and retry_read, retry_backoff_factor, _RETRY_CODES, _method_whitelist.
MOST_RETRIES: Final = 3
BACKOFF_SECONDS: Final = 0.8
RETRIED_STATUSES: Final = frozenset({408, 429, *range(500, 999)} - {501, 505})
RETRIED_METHODS: Final = frozenset({"HEAD", "GET", "PUT", "DELETE", "OPTIONS", "TRACE"})
TIMEOUT_SECONDS: Final = 60.0


class GaveUp(Exception):
    """No answer, as often as the client has asked: what became of the request is not known."""


@dataclass
class Traffic:
    """What all clients together have sent and were answered. Times are seconds, by kind of request."""

    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    statuses: Counter[tuple[str, int]] = field(default_factory=Counter)
    broken: Counter[str] = field(default_factory=Counter)
    retries: int = 0
    gave_up: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def requests(self) -> int:
        return sum(self.statuses.values())


@dataclass(frozen=True)
class Address:
    """Where the service is, and what a client needs to be let in."""

    url: str
    trust: ssl.SSLContext
    token: str


class Session:
    """Sends one request at a time over connections of its own."""

    def __init__(self, address: Address, traffic: Traffic) -> None:
        self.traffic = traffic
        # How often the last request was sent in vain.
        self.failures = 0
        self._http = httpx.AsyncClient(
            base_url=address.url,
            verify=address.trust,
            timeout=TIMEOUT_SECONDS,
            trust_env=False,
            headers={"Authorization": f"Bearer {address.token}"},
            params={"api-version": API_VERSION},
        )

    async def send(self, kind: str, method: str, path: str, body: dict[str, Any] | None = None) -> httpx.Response:
        """Return the answer to a request. Raises `GaveUp`."""
        self.failures = 0
        while True:
            started = time.perf_counter()
            try:
                reply = await self._http.request(method, path, json=body)
            except httpx.TransportError as error:
                self.traffic.broken[type(error).__name__] += 1
            else:
                self.traffic.seconds[kind].append(time.perf_counter() - started)
                self.traffic.statuses[kind, reply.status_code] += 1
                if reply.status_code >= 500:
                    self.traffic.problems.append(f"{method} {path} answered {reply.status_code}: {reply.text[:500]}")
                if reply.status_code not in RETRIED_STATUSES:
                    return reply
            self.failures += 1
            if self.failures > MOST_RETRIES or method not in RETRIED_METHODS:
                self.traffic.gave_up += 1
                raise GaveUp(f"{method} {path}")
            self.traffic.retries += 1
            await asyncio.sleep(0 if self.failures == 1 else BACKOFF_SECONDS * 2 ** (self.failures - 1))

    async def close(self) -> None:
        await self._http.aclose()
