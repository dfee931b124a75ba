"""A TLS server that speaks just enough of Azure's API for az to run node pool commands against it.

It decides nothing: it notes every request and answers from the pools and machines a test gave it.
"""

from __future__ import annotations

import json
import re
import ssl
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from poolwright.identity.tls import TlsFiles

TENANT = "10000000-0000-4000-8000-000000000001"
CLIENT = "20000000-0000-4000-8000-000000000002"
SUBSCRIPTION = "30000000-0000-4000-8000-000000000003"
SECRET = "not-a-secret~of.anyone"

CLUSTER = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/lab/providers/Microsoft.ContainerService/managedClusters/c1"
OPERATION = f"/subscriptions/{SUBSCRIPTION}/providers/Microsoft.ContainerService/locations/eastus/operations/op1"


@dataclass(frozen=True, slots=True)
class Recorded:
    """One request as it arrived; header names in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def form(self) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(self.body.decode()).items()}


class ArmRecorder:
    """The server; a context manager that serves on a port of its own."""

    def __init__(self, tls: TlsFiles, secret: str = SECRET) -> None:
        self.secret = secret
        self.requests: list[Recorded] = []
        self.pools: dict[str, dict[str, Any]] = {}
        self.machines: dict[str, dict[str, Any]] = {}
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tls.certificate, tls.key)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler_for(self))
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    def __enter__(self) -> ArmRecorder:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def base_url(self) -> str:
        return f"https://127.0.0.1:{self._server.server_port}"

    def of(self, method: str, path_end: str = "") -> list[Recorded]:
        return [
            request
            for request in self.requests
            if request.method == method and request.path.lower().endswith(path_end.lower())
        ]

    def answer(self, request: Recorded) -> tuple[int, Any, dict[str, str]]:
        routes: tuple[tuple[str, str, Callable[..., tuple[int, Any, dict[str, str]]]], ...] = (
            ("GET", "/metadata/endpoints", self._metadata),
            ("GET", "/adfs/.well-known/openid-configuration", self._openid),
            ("POST", "/adfs/oauth2/token", self._token),
            ("GET", "/subscriptions", self._subscriptions),
            ("GET", f"{CLUSTER}/agentPools", self._list_pools),
            ("GET", f"{CLUSTER}/agentPools/([^/]+)", self._get_pool),
            ("PUT", f"{CLUSTER}/agentPools/([^/]+)", self._put_pool),
            ("GET", f"{CLUSTER}/agentPools/[^/]+/machines", self._list_machines),
            ("GET", f"{CLUSTER}/agentPools/[^/]+/machines/([^/]+)", self._get_machine),
            ("GET", OPERATION, self._operation),
        )
        for method, pattern, reply in routes:
            matched = re.fullmatch(pattern, request.path, re.IGNORECASE)
            if method == request.method and matched:
                return reply(request, *matched.groups())
        return _not_found(request.path)

    def _metadata(self, _: Recorded) -> tuple[int, Any, dict[str, str]]:
        base, management = self.base_url, "https://management.core.windows.net/"
        authentication = {
            "loginEndpoint": f"{base}/adfs",
            "audiences": [management, "https://management.azure.com/"],
            "tenant": "common",
            "identityProvider": "AAD",
        }
        return (
            200,
            {
                "name": "Poolwright",
                "portal": f"{base}/portal",
                "resourceManager": base,
                "graphAudience": f"{base}/graph/",
                "microsoftGraphResourceId": f"{base}/msgraph/",
                "gallery": f"{base}/gallery/",
                "authentication": authentication,
                "suffixes": {},
            },
            {},
        )

    def _openid(self, _: Recorded) -> tuple[int, Any, dict[str, str]]:
        base = f"{self.base_url}/adfs"
        endpoints = {
            f"{name}_endpoint": f"{base}/oauth2/{path}"
            for name, path in (("authorization", "authorize"), ("token", "token"))
        }
        return 200, {"issuer": base, "jwks_uri": f"{self.base_url}/keys", **endpoints}, {}

    def _token(self, request: Recorded) -> tuple[int, Any, dict[str, str]]:
        if request.form["client_secret"] != self.secret:
            description = "AADSTS7000215: Invalid client secret provided."
            return 401, {"error": "invalid_client", "error_description": description}, {}
        return 200, {"token_type": "Bearer", "expires_in": 3600, "access_token": "a.b.c"}, {}

    def _subscriptions(self, _: Recorded) -> tuple[int, Any, dict[str, str]]:
        subscription = {
            "id": f"/subscriptions/{SUBSCRIPTION}",
            "subscriptionId": SUBSCRIPTION,
            "tenantId": TENANT,
            "displayName": "lab",
            "state": "Enabled",
            "managedByTenants": [],
        }
        return 200, {"value": [subscription]}, {}

    def _list_pools(self, _: Recorded) -> tuple[int, Any, dict[str, str]]:
        return 200, {"value": [_resource("agentPools", name, p) for name, p in self.pools.items()]}, {}

    def _get_pool(self, request: Recorded, name: str) -> tuple[int, Any, dict[str, str]]:
        if name not in self.pools:
            return _not_found(request.path)
        return 200, _resource("agentPools", name, self.pools[name]), {}

    def _put_pool(self, request: Recorded, name: str) -> tuple[int, Any, dict[str, str]]:
        self.pools[name] = {**request.json["properties"], "provisioningState": "Succeeded"}
        begun = _resource("agentPools", name, {**self.pools[name], "provisioningState": "Creating"})
        operation = f"{self.base_url}{OPERATION}?api-version=2026-06-01"
        return 201, begun, {"Azure-AsyncOperation": operation, "Retry-After": "1"}

    def _operation(self, _: Recorded) -> tuple[int, Any, dict[str, str]]:
        return 200, {"name": "op1", "status": "Succeeded", "startTime": "2026-11-22T23:10:00Z"}, {}

    def _list_machines(self, _: Recorded) -> tuple[int, Any, dict[str, str]]:
        machines = [_resource("agentPools/machines", name, p) for name, p in self.machines.items()]
        return 200, {"value": machines}, {}

    def _get_machine(self, request: Recorded, name: str) -> tuple[int, Any, dict[str, str]]:
        if name not in self.machines:
            return _not_found(request.path)
        return 200, _resource("agentPools/machines", name, self.machines[name]), {}


def _resource(kind: str, name: str, properties: Mapping[str, Any]) -> dict[str, Any]:
    top = {"zones": ["1"]} if kind.endswith("machines") else {}
    return {
        "id": f"{CLUSTER}/{kind}/{name}",
        "name": name,
        "type": f"Microsoft.ContainerService/managedClusters/{kind}",
        "properties": dict(properties),
        **top,
    }


def _not_found(path: str) -> tuple[int, Any, dict[str, str]]:
    return 404, {"error": {"code": "ResourceNotFound", "message": f"{path} was not found."}}, {}


def _handler_for(recorder: ArmRecorder) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            request = Recorded(
                self.command,
                urlsplit(self.path).path,
                {name.lower(): value for name, value in self.headers.items()},
                self.rfile.read(length),
            )
            recorder.requests.append(request)
            status, content, headers = recorder.answer(request)
            body = json.dumps(content).encode()
            self.send_response(status)
            for name, value in {**headers, "Content-Type": "application/json"}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_PUT = do_POST = _serve

        def log_message(self, *_: object) -> None:
            """Requests are recorded, not printed."""

    return Handler
