"""The service over HTTP: log in, send, and wait for operations.

Invariant: every expected trouble (nobody answers, a foreign certificate, a refusal, a failed operation,
Ctrl-C) leaves as a `Failure`.
"""

from __future__ import annotations

import shlex
import ssl
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlsplit

import httpx

from poolwright.cli import progress
from poolwright.cli.connection import Connection
from poolwright.cli.failure import INTERRUPTED, Failure, NoAnswer, Refused
from poolwright.cli.output import Json, Output, error_text

API_VERSION: Final = "2026-06-01"
SCOPE: Final = "https://management.core.windows.net//.default"
TIMEOUT_SECONDS: Final = 30.0
# How long all waiting for a throttled request may take; then its refusal is shown.
THROTTLED_SECONDS: Final = 120.0
# Azure's whole list of SKUs is read in half a minute.
UPLOAD_TIMEOUT_SECONDS: Final = 600.0
# An import or a reset is over when the answer comes, and may wait for a step of an operation.
WHOLE_STATE_TIMEOUT_SECONDS: Final = 300.0
# A poll costs the service less than a millisecond; short first pauses show a quick operation's end at once.
_FIRST_PAUSE_SECONDS: Final = 0.05
# The service refuses to stop these.
_NOT_ABORTED: Final = ("delete node pool", "abort node pool")
_VERSIONED: Final = {"api-version": API_VERSION}


@dataclass(frozen=True, slots=True)
class Polling:
    """Where an operation is polled, its ID, and its location where the URL names one."""

    target: str
    operation: str
    location: str | None

    @classmethod
    def of(cls, url: str) -> Polling:
        parts = urlsplit(url)
        segments = parts.path.strip("/").split("/")
        location = segments[segments.index("locations") + 1] if "locations" in segments else None
        return cls(f"{parts.path}?{parts.query}", segments[-1], location)

    @property
    def how_to_follow(self) -> str:
        if self.location is None:
            return ""
        return f"; follow it with: poolwright operations watch {self.operation} --location {self.location}"


class ServiceClient:
    """One service as one principal. Refusals carry the wire's document where `output` asks for JSON."""

    def __init__(self, service: Connection, output: Output) -> None:
        self._service = service
        self._output = output
        # Environment proxies are for the world outside; the service is asked directly.
        self._http = httpx.Client(
            base_url=service.url, verify=_trust(service.ca), timeout=TIMEOUT_SECONDS, trust_env=False
        )

    def close(self) -> None:
        self._http.close()

    def log_in(self) -> None:
        """Get a token; raises `NoAnswer` or a `Failure` that says why there is none."""
        service = self._service
        form = {
            "grant_type": "client_credentials",
            "client_id": service.client_id,
            "client_secret": service.client_secret,
            "scope": SCOPE,
        }
        reply = self._exchange("POST", f"/{quote(service.tenant_id, safe='')}/oauth2/v2.0/token", data=form)
        answer = _json_object(reply)
        if reply.status_code != 200 or not isinstance(answer.get("access_token"), str):
            why = answer.get("error_description") or f"HTTP {reply.status_code}"
            raise Failure(
                f"error: {service.url} refused the credentials of {service.origin}: {why} "
                "`poolwright sp reset` makes a new secret"
            )
        self._http.headers["Authorization"] = f"Bearer {answer['access_token']}"

    def subscription_path(self, rest: str) -> str:
        return f"/subscriptions/{self._service.subscription_id}/{rest}"

    def group_path(self, group: str | None = None) -> str:
        base = f"/subscriptions/{self._service.subscription_id}/resourceGroups"
        return base if group is None else f"{base}/{quote(group, safe='')}"

    def cluster_path(self, group: str | None, cluster: str | None = None) -> str:
        scope = self.group_path(group) if group else f"/subscriptions/{self._service.subscription_id}"
        clusters = f"{scope}/providers/Microsoft.ContainerService/managedClusters"
        return clusters if cluster is None else f"{clusters}/{quote(cluster, safe='')}"

    def pool_path(self, group: str, cluster: str, pool: str | None = None) -> str:
        pools = f"{self.cluster_path(group, cluster)}/agentPools"
        return pools if pool is None else f"{pools}/{quote(pool, safe='')}"

    def machine_path(self, group: str, cluster: str, pool: str, machine: str) -> str:
        return f"{self.pool_path(group, cluster, pool)}/machines/{quote(machine, safe='')}"

    def location_path(self, location: str, rest: str) -> str:
        place = quote(location.replace(" ", "").lower(), safe="")
        return (
            f"/subscriptions/{self._service.subscription_id}/providers/Microsoft.ContainerService/locations/"
            f"{place}/{rest}"
        )

    def operation_path(self, location: str, operation: str) -> str:
        return self.location_path(location, f"operations/{quote(operation, safe='')}")

    def skus_path(self) -> str:
        return f"/subscriptions/{self._service.subscription_id}/providers/Microsoft.Compute/skus"

    def fault_path(self, name: str | None = None) -> str:
        faults = "/_poolwright/faults"
        return faults if name is None else f"{faults}/{quote(name, safe='')}"

    def get(self, path: str, **query: str) -> Json:
        """Return the document at the path. Raises `Refused`."""
        return _json_object(self._send("GET", path, params={"api-version": API_VERSION, **query}))

    def get_target(self, target: str) -> Json:
        """Return the document at a path with its query, as a link in a reply names it. Raises `Refused`."""
        return _json_object(self._send("GET", target))

    def get_bytes(self, path: str) -> bytes:
        """Return the document at the path as it came. Raises `Refused`."""
        return self._send("GET", path, params=_VERSIONED).content

    def put_bytes(self, path: str, content: bytes, **query: str) -> None:
        """Put a document that is JSON already. Raises `Refused`."""
        self._send(
            "PUT",
            path,
            params=_VERSIONED | query,
            content=content,
            headers={"Content-Type": "application/json"},
            timeout=WHOLE_STATE_TIMEOUT_SECONDS,
        )

    def post_nothing(self, path: str) -> None:
        """Post without a body, for what is done when the answer comes. Raises `Refused`."""
        self._send("POST", path, params=_VERSIONED, timeout=WHOLE_STATE_TIMEOUT_SECONDS)

    def post(self, path: str, body: Json, headers: Mapping[str, str]) -> Json:
        """Return the answer to a POST. Raises `Refused`."""
        return _json_object(self._send("POST", path, params=_VERSIONED, json=body, headers=headers))

    def begin(self, path: str, body: Json | None, headers: Mapping[str, str]) -> httpx.Response:
        """Return the first reply to a POST that begins an operation; `wait` takes it. Raises `Refused`."""
        return self._send("POST", path, params=_VERSIONED, json=body, headers=headers)

    def put(self, path: str, body: Json, headers: Mapping[str, str]) -> httpx.Response:
        """Return the first reply to a PUT; `wait` takes it. Raises `Refused`."""
        return self._send("PUT", path, params=_VERSIONED, json=body, headers=headers)

    def upload(self, path: str, content: Iterator[bytes], headers: Mapping[str, str], **query: str) -> Json:
        """Return the answer to a PUT of a body that may be long. Raises `Refused`."""
        return _json_object(
            self._send(
                "PUT",
                path,
                params={"api-version": API_VERSION, **query},
                content=content,
                headers=headers,
                timeout=UPLOAD_TIMEOUT_SECONDS,
            )
        )

    def delete(self, path: str, headers: Mapping[str, str]) -> httpx.Response:
        """Return the first reply to a DELETE; 204 where there was nothing. Raises `Refused`."""
        return self._send("DELETE", path, params=_VERSIONED, headers=headers)

    def polling(self, reply: httpx.Response) -> Polling:
        """Return where the operation that a reply began is polled."""
        return Polling.of(reply.headers.get("azure-asyncoperation") or reply.headers["location"])

    def wait(self, reply: httpx.Response, doing: str) -> None:
        """Return when the operation that a reply began has succeeded. Raises `Failure` when it failed."""
        operation = self.follow(self.polling(reply), doing)
        if operation is not None and operation["status"] != "Succeeded":
            error = operation.get("error") or {"code": operation["status"], "message": "The operation did not succeed."}
            raise Failure(error_text(error), document=self._document({"error": error}))

    def watch(self, location: str, operation: str) -> Json:
        """Return an operation at its end, whatever that is."""
        polling = Polling(f"{self.operation_path(location, operation)}?api-version={API_VERSION}", operation, location)
        ended = self.follow(polling, f"operation {operation}")
        assert ended is not None, "an operation's own path answers with its status"
        return ended

    def follow(self, polling: Polling, doing: str) -> Json | None:
        """Poll until the operation has ended and return it; None where only a Location was there to poll."""
        pause = _FIRST_PAUSE_SECONDS
        operation: Json | None = None
        try:
            with progress.shown(doing, lines=self._output is not Output.JSON) as show:
                while True:
                    reply = self._send("GET", polling.target)
                    operation = _json_object(reply) if reply.content else None
                    if operation is not None and "status" in operation:
                        show(operation)
                        if operation["status"] in ("Succeeded", "Failed", "Canceled"):
                            return operation
                    elif reply.status_code != 202:
                        return None
                    time.sleep(min(pause, _retry_after(reply)))
                    pause *= 1.5
        except KeyboardInterrupt:
            raise Failure(
                f"Interrupted. Operation {polling.operation} goes on{polling.how_to_follow}{_how_to_abort(operation)}",
                code=INTERRUPTED,
            ) from None
        except NoAnswer as silence:
            raise NoAnswer(
                f"{silence.text}\nOperation {polling.operation} goes on when the service runs again"
                f"{polling.how_to_follow}"
            ) from silence

    def _send(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        deadline = time.monotonic() + THROTTLED_SECONDS
        while (reply := self._exchange(method, path, **arguments)).status_code == 429:
            # A throttled request changed nothing, and is sent again as az and the SDKs do.
            if (pause := _retry_after(reply)) > deadline - time.monotonic():
                break
            time.sleep(pause)
        if reply.status_code < 400:
            return reply
        answer = _json_object(reply)
        error = answer.get("error", answer)
        if not isinstance(error, dict) or "message" not in error:
            error = {"code": f"HTTP{reply.status_code}", "message": reply.text[:500] or "The answer has no body."}
        raise Refused(
            error_text(error, status=reply.status_code),
            status=reply.status_code,
            document=self._document({"error": error}),
            error=error,
        )

    def _document(self, document: Json) -> Json | None:
        return document if self._output is Output.JSON else None

    def _exchange(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        url = self._service.url
        try:
            return self._http.request(method, path, **arguments)
        except httpx.ConnectError as error:
            distrust = _distrust(error)
            if isinstance(distrust, ssl.SSLCertVerificationError) and distrust.verify_code in _OUT_OF_DATE:
                what = _OUT_OF_DATE[distrust.verify_code]
                raise NoAnswer(
                    f"error: the certificate of {url} {what} by the clock of this machine: set the clock right, or "
                    "restart the service (`poolwright up` renews certificates)"
                ) from error
            if distrust is not None:
                raise NoAnswer(
                    f"error: what answers at {url} does not have a certificate of {self._service.ca}: another program "
                    f"may have the port now ({error})"
                ) from error
            raise NoAnswer(f"error: no service answers at {url} ({error}); start it with `poolwright up`") from error
        except httpx.TimeoutException as error:
            raise NoAnswer(f"error: {url} did not answer within {TIMEOUT_SECONDS:g} s") from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise NoAnswer(f"error: the connection to {url} failed: {error or type(error).__name__}") from error


def _trust(ca: Path) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=str(ca))
    except (OSError, ssl.SSLError) as error:
        raise NoAnswer(f"error: the certificate authority {ca} cannot be read: {error}") from error


# X509_V_ERR_CERT_NOT_YET_VALID and X509_V_ERR_CERT_HAS_EXPIRED of OpenSSL.
_OUT_OF_DATE: Final = {9: "is not valid yet", 10: "has expired"}


def _distrust(error: httpx.ConnectError) -> ssl.SSLError | None:
    """Why the other side was not trusted; None where it was another thing that failed."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ssl.SSLError):
        cause = cause.__cause__ or cause.__context__
    return cause


def _how_to_abort(operation: Json | None) -> str:
    """The command that stops an operation; empty where it is not known to be one that can be stopped."""
    if operation is None or operation["properties"]["poolwright"]["operation"] in _NOT_ABORTED:
        return ""
    match operation["resourceId"].strip("/").split("/"):
        case [_, _, _, group, _, _, _, cluster, "agentPools", pool]:
            place = f"-g {shlex.quote(group)} --cluster-name {cluster} -n {pool}"
            return f"\nStop it with: poolwright aks nodepool operation-abort {place}"
    return ""


def _json_object(reply: httpx.Response) -> Json:
    try:
        document = reply.json()
    except ValueError:
        document = None
    if isinstance(document, dict):
        return document
    return {}


def _retry_after(reply: httpx.Response) -> float:
    try:
        return max(float(reply.headers.get("retry-after", "1")), 0.0) or 1.0
    except ValueError:
        return 1.0
