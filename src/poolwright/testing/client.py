"""An HTTP client for tests: httpx with the service's CA, a token, and ARM's paths and way of waiting."""

from __future__ import annotations

import ssl
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Self

import httpx

# az 2.91 sends it.
API_VERSION: Final = "2026-06-01"
# What takes long is asked about less often: whoever asks takes processor time from what is asked about.
SHORTEST_POLL_SECONDS: Final = 0.01
LONGEST_POLL_SECONDS: Final = 0.25


class Client(httpx.Client):
    """Relative URLs are the service's; every request has the token and the api-version of az 2.91."""

    subscription: str

    @classmethod
    def of(cls, url: str, ca: Path, credentials: Mapping[str, str]) -> Self:
        """Return a client that is logged in to the service."""
        client = cls(base_url=url, verify=ssl.create_default_context(cafile=str(ca)), timeout=60, trust_env=False)
        form = {
            "grant_type": "client_credentials",
            "client_id": credentials["clientId"],
            "client_secret": credentials["clientSecret"],
            "scope": "https://management.core.windows.net//.default",
        }
        token = client.expect(200, client.post("/adfs/oauth2/token", data=form)).json()["access_token"]
        client.set_up(token, credentials["subscriptionId"])
        return client

    def set_up(self, token: str, subscription: str) -> None:
        self.subscription = f"/subscriptions/{subscription}"
        self.headers["Authorization"] = f"Bearer {token}"
        self.params = self.params.set("api-version", API_VERSION)

    def is_healthy(self) -> bool:
        """Whether the service answers."""
        try:
            return self.get("/healthz").is_success
        except httpx.TransportError:
            return False

    def group(self, group: str = "rg") -> str:
        return f"{self.subscription}/resourceGroups/{group}"

    def cluster(self, cluster: str = "c1", group: str = "rg") -> str:
        return f"{self.group(group)}/providers/Microsoft.ContainerService/managedClusters/{cluster}"

    def pool(self, pool: str, cluster: str = "c1", group: str = "rg") -> str:
        return f"{self.cluster(cluster, group)}/agentPools/{pool}"

    def make_cluster(self, cluster: str = "c1", group: str = "rg", **properties: Any) -> dict[str, Any]:
        """Create the group and a cluster with one System pool `sys`, and return the cluster."""
        self.expect((200, 201), self.put(self.group(group), json={"location": "eastus"}))
        body = {
            "location": "eastus",
            "identity": {"type": "SystemAssigned"},
            "properties": {"agentPoolProfiles": [{"name": "sys", "mode": "System", "count": 1}], **properties},
        }
        self.done(self.put(self.cluster(cluster, group), json=body))
        document: dict[str, Any] = self.get(self.cluster(cluster, group)).json()
        return document

    def make_pool(
        self,
        pool: str,
        properties: Mapping[str, Any],
        *,
        cluster: str = "c1",
        group: str = "rg",
        headers: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """PUT a node pool, wait until that has succeeded, and return its properties."""
        path = self.pool(pool, cluster, group)
        self.done(self.put(path, json={"properties": dict(properties)}, headers=dict(headers or {})))
        document: dict[str, Any] = self.get(path).json()["properties"]
        return document

    def operation(self, reply: httpx.Response, timeout_seconds: float = 60) -> dict[str, Any]:
        """Poll the operation that a reply began until it has ended, and return it."""
        url = self.expect((200, 201, 202), reply).headers["Azure-AsyncOperation"]
        began = time.monotonic()
        while True:
            operation: dict[str, Any] = self.get(url, params={}).json()
            if operation["status"] != "InProgress":
                return operation
            passed = time.monotonic() - began
            if passed > timeout_seconds:
                raise AssertionError(f"the operation is still running after {timeout_seconds} s: {operation}")
            time.sleep(min(max(SHORTEST_POLL_SECONDS, passed / 20), LONGEST_POLL_SECONDS))

    def done(self, reply: httpx.Response) -> dict[str, Any]:
        """Like `operation`, and it must have succeeded."""
        operation = self.operation(reply)
        if operation["status"] != "Succeeded":
            raise AssertionError(f"the operation ended {operation['status']}: {operation}")
        return operation

    @staticmethod
    def expect(status: int | tuple[int, ...], reply: httpx.Response) -> httpx.Response:
        """Return the reply, which must have that status, or one of those."""
        wanted = (status,) if isinstance(status, int) else status
        if reply.status_code not in wanted:
            request = reply.request
            raise AssertionError(f"{request.method} {request.url.path} answered {reply.status_code}: {reply.text}")
        return reply
