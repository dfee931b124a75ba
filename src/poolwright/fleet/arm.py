"""Azure Resource Manager over HTTP, as far as a move needs it: read, send, wait until it is over.

Invariant: what may have taken effect is never sent twice here; only reads, and what was throttled or met an expired
token, are repeated. Whoever waits can be interrupted at any moment.
"""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

API_VERSION: Final = "2026-06-01"
SUBSCRIPTION_API_VERSION: Final = "2022-12-01"
TIMEOUT_SECONDS: Final = 60.0
# How long an endpoint may be silent while somebody reads: a restart of a service, a change of a network.
SILENCE_SECONDS: Final = 30.0
# How long a request may be throttled.
THROTTLED_SECONDS: Final = 900.0
_SILENT_PAUSE_SECONDS: Final = 1.0
_FIRST_PAUSE_SECONDS: Final = 0.05
_LONGEST_PAUSE_SECONDS: Final = 30.0
_ENDED: Final = ("Succeeded", "Failed", "Canceled")
# Codes of a 404 that say that the resource itself is not there. That its subscription, group or cluster is not, or that
# a proxy knows no such page, says that something was asked in the wrong place.
_GONE: Final = frozenset({"NotFound", "ResourceNotFound", "AgentPoolNotFound"})

Json = dict[str, Any]
# Returns an access token; a new one with True, when the last was refused.
Tokens = Callable[[bool], str]


class Refused(Exception):
    """The endpoint refused a request, or an operation failed; the text has the code and the message."""

    def __init__(self, text: str, *, status: int | None = None, code: str | None = None) -> None:
        super().__init__(text)
        self.status = status
        self.code = code


class NoAnswer(Exception):
    """The endpoint does not answer, or fails; whether the last request took effect is not known."""


class Interrupted(Exception):
    """Somebody asked to stop while this waited."""


class Arm:
    """One endpoint, as one principal. Methods may be called from several threads. Paths are resource IDs."""

    def __init__(
        self,
        url: str,
        tokens: Tokens,
        *,
        verify: ssl.SSLContext | bool = True,
        own_machine: bool = False,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.url = url.rstrip("/")
        self._tokens = tokens
        self._stopping = threading.Event()
        self._heard = False
        # Proxies of the environment are for the world outside; a service of one's own is asked directly.
        self._http = httpx.Client(
            base_url=self.url,
            verify=verify,
            timeout=TIMEOUT_SECONDS,
            trust_env=not own_machine,
            transport=transport,
        )

    def close(self) -> None:
        self._http.close()

    def log_in(self) -> None:
        """Get a token before anything is asked. Raises `Refused` and `NoAnswer`."""
        self._tokens(False)

    def stop(self) -> None:
        """Have everybody who waits raise `Interrupted`."""
        self._stopping.set()

    def get(self, path: str, api_version: str = API_VERSION) -> Json | None:
        """Return the resource, None where there is none. Raises `Refused` and `NoAnswer`."""
        try:
            reply = self._read(path, params={"api-version": api_version})
        except Refused as refused:
            if refused.status == 404 and refused.code in _GONE:
                return None
            raise
        resource = _json(reply)
        if not resource:
            raise self._no_resource(reply)
        return resource

    def put(self, path: str, body: Json, headers: Mapping[str, str]) -> None:
        """Send a resource, and return when its operation has succeeded. Raises `Refused` and `NoAnswer`."""
        self._wait(self._send("PUT", path, params={"api-version": API_VERSION}, json=body, headers=dict(headers)))

    def delete(self, path: str, headers: Mapping[str, str]) -> None:
        """Delete a resource, and return when it is gone. Raises `Refused` and `NoAnswer`."""
        self._wait(self._send("DELETE", path, params={"api-version": API_VERSION}, headers=dict(headers)))

    def post(self, path: str) -> Json:
        """Ask for what only a POST shows, such as credentials. Raises `Refused` and `NoAnswer`."""
        return _json(self._send("POST", path, params={"api-version": API_VERSION}))

    def what_if(self, path: str, body: Json, headers: Mapping[str, str]) -> Json:
        """Ask a Poolwright what the same PUT of a node pool would do. Raises what the PUT would be refused with.

        No published API of Azure has this; there it is `Refused` with status 404 or 405.
        """
        arguments: Json = {"params": {"api-version": API_VERSION}, "json": body, "headers": dict(headers)}
        return properties_of(_json(self._send("POST", f"{path}/whatIf", **arguments)))

    def settled(self, path: str) -> Json | None:
        """Return the resource once no operation works on it, None once it is gone. Raises as `get` does."""
        pause = _FIRST_PAUSE_SECONDS
        while True:
            resource = self.get(path)
            if resource is None or state_of(resource) in _ENDED:
                return resource
            if not is_busy(resource):
                # Waiting would have no end.
                raise NoAnswer(f"{self.url} shows no provisioning state of {path.rpartition('/')[2]}")
            self.pause(pause)
            pause = min(pause * 1.5, _LONGEST_PAUSE_SECONDS)

    def subscription_name(self, subscription: str) -> str:
        """Return what the subscription is called. Raises `Refused` and `NoAnswer`."""
        found = self.get(f"/subscriptions/{subscription}", SUBSCRIPTION_API_VERSION)
        if found is None:
            raise Refused(f"there is no subscription {subscription} at {self.url}", status=404)
        return str(found.get("displayName", ""))

    def _wait(self, reply: httpx.Response) -> None:
        """Poll the operation that a reply began until it has succeeded."""
        url = reply.headers.get("azure-asyncoperation") or reply.headers.get("location")
        pause = _FIRST_PAUSE_SECONDS
        while url is not None:
            self.pause(min(pause, _retry_after(reply)))
            pause = min(pause * 1.5, _LONGEST_PAUSE_SECONDS)
            parts = urlsplit(url)
            # Tokens go to the endpoint that was chosen and nowhere else.
            try:
                reply = self._read(f"{parts.path}?{parts.query}")
            except Refused as refused:
                # The request was taken; only how it ends is not shown.
                raise NoAnswer(f"how the operation ends cannot be seen: {refused}") from refused
            operation = _json(reply)
            if not operation and reply.content.strip() and reply.status_code == 200:
                raise self._no_resource(reply)
            # The resource itself, or nothing: what a Location answers with when it is over.
            status = operation.get("status", "InProgress" if reply.status_code == 202 else "Succeeded")
            if status == "Succeeded":
                return
            if status in ("Failed", "Canceled"):
                raise Refused(_told(operation, f"the operation ended {status}"))

    def _read(self, target: str, **arguments: Any) -> httpx.Response:
        """Return the reply to a GET, which is sent again while an endpoint that answered before is silent."""
        deadline = time.monotonic() + (SILENCE_SECONDS if self._heard else 0.0)
        while True:
            try:
                return self._send("GET", target, **arguments)
            except NoAnswer:
                if time.monotonic() > deadline:
                    raise
                self.pause(_SILENT_PAUSE_SECONDS)

    def _send(
        self, method: str, path: str, *, headers: Mapping[str, str] | None = None, **arguments: Any
    ) -> httpx.Response:
        """Return the reply to a request that was taken. Raises `Refused` and `NoAnswer`."""
        renewed = False
        deadline = time.monotonic() + THROTTLED_SECONDS
        while True:
            if self._stopping.is_set():
                raise Interrupted
            authorized = {**(headers or {}), "Authorization": f"Bearer {self._tokens(renewed)}"}
            try:
                request = self._http.build_request(method, path, headers=authorized, **arguments)
            except (ValueError, httpx.InvalidURL) as error:
                # HTTP has no such text, or JSON no such number; nothing was sent.
                raise Refused(f"the request cannot be sent: {error}") from error
            try:
                reply = self._http.send(request)
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                raise NoAnswer(f"{self.url} does not answer: {error or type(error).__name__}") from error
            if reply.status_code == 401 and not renewed:
                renewed = True
            elif reply.status_code == 429 and time.monotonic() + _retry_after(reply) < deadline:
                # Throttled requests change nothing and are sent again, as az and the SDKs do.
                self.pause(_retry_after(reply))
            elif reply.status_code >= 500:
                raise NoAnswer(f"{self.url} failed: {_told(_json(reply), f'HTTP {reply.status_code}')}")
            elif reply.status_code >= 400:
                answer = _json(reply)
                told = _told(answer, f"HTTP {reply.status_code}")
                raise Refused(told, status=reply.status_code, code=_code(answer))
            elif reply.status_code >= 300:
                # Azure Resource Manager sends nobody elsewhere; a proxy, or a page to log in, does.
                raise NoAnswer(f"{self.url} answers with HTTP {reply.status_code}, which sends elsewhere")
            else:
                self._heard = True
                return reply

    def _no_resource(self, reply: httpx.Response) -> NoAnswer:
        kind = reply.headers.get("content-type", "no content type")
        return NoAnswer(f"{self.url} answers with what is no resource: HTTP {reply.status_code}, {kind}")

    def pause(self, seconds: float) -> None:
        """Return after so many seconds. Raises `Interrupted` at once after `stop`."""
        if self._stopping.wait(seconds):
            raise Interrupted


def state_of(resource: Json) -> str:
    """Return the provisioning state of a resource."""
    return str(properties_of(resource).get("provisioningState") or "")


def is_busy(resource: Json) -> bool:
    """Return whether the resource shows that an operation works on it."""
    return bool(state_of(resource)) and state_of(resource) not in _ENDED


def properties_of(resource: Json) -> Json:
    """Return the properties of a resource, none where it shows none."""
    found = resource.get("properties")
    return found if isinstance(found, dict) else {}


def etag_of(resource: Json) -> str | None:
    """Return the ETag of a node pool, which Azure has among its properties and az beside them."""
    found = properties_of(resource).get("eTag") or resource.get("eTag") or resource.get("etag")
    return unquoted(found) if isinstance(found, str) else None


def unquoted(etag: str) -> str:
    """Return the ETag without the quotes some replies have around it."""
    return etag.removeprefix("W/").strip('"')


def _json(reply: httpx.Response) -> Json:
    try:
        document = reply.json()
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def _told(answer: Json, otherwise: str) -> str:
    error = answer.get("error", answer)
    if not isinstance(error, dict) or "message" not in error:
        return otherwise
    parts = [f"{error.get('code', 'Error')}: {error['message']}"]
    details = error.get("details")
    for detail in details if isinstance(details, list) else [details]:
        text = detail.get("message") if isinstance(detail, dict) else detail
        if text:
            parts.append(str(text))
    return " ".join(parts)


def _code(answer: Json) -> str | None:
    error = answer.get("error", answer)
    code = error.get("code") if isinstance(error, dict) else None
    return code if isinstance(code, str) else None


def _retry_after(reply: httpx.Response) -> float:
    try:
        return max(float(reply.headers.get("retry-after", "1")), 0.0) or 1.0
    except ValueError:
        return 1.0
