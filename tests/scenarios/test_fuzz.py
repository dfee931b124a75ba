"""Hostile and random input: never a 5xx, never a hang, and what is refused changes nothing. Bounded in time."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from poolwright.arm.http import MAX_RESOURCE_BYTES
from poolwright.store import tables
from tests.fuzzing.hostile import BODIES, HEADERS, NAMES, QUERIES
from tests.support.everything import everything
from tests.support.in_process import InProcess
from tests.support.service import ArmClient, ServiceProcess

TIMEOUT_SECONDS = 10

PATHS = st.sampled_from(
    [
        "{group}",
        "{group}/resources",
        "{cluster}",
        "{cluster}/agentPools",
        "{pool}",
        "{pool}/whatIf",
        "{pool}/machines",
        "{pool}/machines/{name}",
        "{cluster}/listClusterUserCredential",
        "{pools}/{name}",
        "{cluster}/upgradeProfiles/default",
        "{cluster}/abort",
        "{cluster}/operations",
        "{cluster}/operations/{name}",
        "{pool}/operations",
        "{cluster}/maintenanceConfigurations",
        "{cluster}/maintenanceConfigurations/default",
        "{cluster}/maintenanceConfigurations/{name}",
        "{cluster}/managedNamespaces/{name}",
        "{group}/providers/Microsoft.ContainerService/snapshots/{name}",
        "{sub}/providers/Microsoft.ContainerService/snapshots",
        "{sub}/providers/Microsoft.Features/providers/Microsoft.ContainerService/features/{name}/register",
        "{sub}/providers/Microsoft.Features/features",
        "{sub}/providers",
        "{sub}/resources",
        "{sub}/providers/Microsoft.Compute/skus",
        "{sub}/resourceGroups/{name}",
        "{sub}/providers/{name}",
        "{sub}/providers/{name}/register",
        "{sub}",
        "{sub}/locations",
        "/subscriptions",
        "{sub}/providers/Microsoft.ContainerService/locations/{name}/kubernetesVersions",
        "{sub}/providers/Microsoft.ContainerService/locations/{name}/orchestrators",
        "{sub}/providers/Microsoft.ContainerService/locations/{name}/operations/{name}",
        "{sub}/operationresults/{name}",
        "{group}/providers/Microsoft.ContainerService/managedClusters/{name}",
        "/subscriptions/{name}",
        "/{name}",
        "/{name}/oauth2/token",
        "/adfs/oauth2/token",
        "/keys",
        "/metrics",
        "/healthz",
        "/metadata/endpoints",
        "/{name}/v2.0/.well-known/openid-configuration",
        "/adfs/{name}/.well-known/openid-configuration",
        "//{name}//",
    ]
)
METHODS = st.sampled_from(["GET", "PUT", "PUT", "PUT", "POST", "DELETE", "PATCH", "HEAD", "OPTIONS"])


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InProcess]:
    service = InProcess(tmp_path_factory.mktemp("fuzz") / "data")
    service.client.make_cluster()
    yield service
    service.close()


@pytest.fixture(scope="module")
def client(service: ServiceProcess) -> ArmClient:
    service.client.make_cluster()
    return service.client


def request_of(client: ArmClient, method: str, path: str, name: str, query: str, **content: Any) -> httpx.Response:
    pools = client.pool("np1").rpartition("/")[0]
    filled = path.format(
        sub=client.subscription,
        group=client.group(),
        cluster=client.cluster(),
        pools=pools,
        pool=client.pool("np1"),
        name=name.replace("%", "%25").replace("?", "%3F"),
    )
    request = client.build_request(method, filled, **content)
    request.url = request.url.copy_with(query=quote(query.encode("utf-8", "surrogateescape"), safe="=&$").encode())
    return client.send(request)


def stored(app: InProcess) -> list[Any]:
    """All that the service keeps; what a request deleted is made again first."""
    if app.client.get(app.client.cluster()).status_code == 404:
        app.client.make_cluster()
    return _rows(app)


def _rows(app: InProcess) -> list[Any]:
    with app.database.engine.connect() as connection:
        return [
            connection.execute(sa.select(table.c.record).order_by(table.c.record)).scalars().all()
            for table in (
                tables.resource_groups,
                tables.clusters,
                tables.node_pools,
                tables.machines,
                tables.operations,
                tables.snapshots,
                tables.maintenance_configurations,
            )
        ]


bounded = settings(
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    phases=[Phase.explicit, Phase.generate],
)


@settings(bounded, max_examples=500)
@given(method=METHODS, path=PATHS, name=NAMES, query=QUERIES, headers=HEADERS, body=BODIES)
def test_random_requests_get_an_answer_and_refused_ones_change_nothing(
    app: InProcess, method: str, path: str, name: str, query: str, headers: dict[str, bytes], body: Any
) -> None:
    before = stored(app)
    reply = request_of(app.client, method, path, name, query, headers=headers, json=body)
    assert reply.status_code < 500, (reply.status_code, reply.text)
    if reply.status_code >= 400:
        assert _rows(app) == before
        if method != "HEAD":
            assert "error" in reply.json()


@settings(bounded, max_examples=500)
@given(path=st.sampled_from(["{pool}", "{pools}/win1", "{cluster}", "{pool}/whatIf"]), headers=HEADERS, body=BODIES)
def test_random_bodies_of_pools_and_clusters_are_taken_or_refused_with_a_reason(
    app: InProcess, path: str, headers: dict[str, bytes], body: Any
) -> None:
    before = stored(app)
    method = "POST" if path.endswith("whatIf") else "PUT"
    reply = request_of(app.client, method, path, "", "api-version=2026-06-01", headers=headers, json=body)
    assert reply.status_code in (200, 201, 400, 409, 412), (reply.status_code, reply.text)
    if reply.status_code >= 400 or method == "POST":
        assert _rows(app) == before
    if reply.status_code >= 400:
        error = reply.json()["error"]
        for part in (error, *error.get("details", ())):
            assert part["code"] != "InternalServerError"
            assert part["message"]
            assert part["additionalInfo"][0]["info"]["remedy"]


@settings(bounded, max_examples=150)
@given(body=st.binary(max_size=200), path=st.sampled_from(["{pool}", "{cluster}", "{group}", "/adfs/oauth2/token"]))
def test_random_bytes_never_break_anything(app: InProcess, body: bytes, path: str) -> None:
    before = stored(app)
    method = "POST" if path.endswith("token") else "PUT"
    reply = request_of(app.client, method, path, "", "api-version=2026-06-01", content=body)
    assert reply.status_code < 500
    if reply.status_code >= 400:
        assert _rows(app) == before


@settings(bounded, max_examples=60)
@given(method=METHODS, path=PATHS, name=NAMES, query=QUERIES, headers=HEADERS, body=BODIES)
def test_the_real_process_answers_random_requests_too(
    client: ArmClient, method: str, path: str, name: str, query: str, headers: dict[str, bytes], body: Any
) -> None:
    try:
        reply = request_of(client, method, path, name, query, headers=headers, json=body)
    except httpx.LocalProtocolError:
        return  # httpx itself would not send it
    assert reply.status_code < 500, (reply.status_code, reply.text)
    if reply.status_code == 202:
        location = httpx.URL(reply.headers["Location"]).raw_path.decode()
        while client.get(location).status_code == 202:
            pass
        client.make_cluster()  # what was deleted is there again for the tests that follow
    elif "Azure-AsyncOperation" in reply.headers:
        url = httpx.URL(reply.headers["Azure-AsyncOperation"])
        while client.get(url.raw_path.decode()).json()["status"] == "InProgress":
            pass


# Bytes on the wire.


def talk(service: ServiceProcess, data: bytes, *more: bytes) -> bytes:
    """Send the bytes over TLS and return what comes back until the other side is done; fails after a time-out."""
    context = ssl.create_default_context(cafile=str(service.ca))
    port = int(service.url.rpartition(":")[2])
    with (
        socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_SECONDS) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as connection,
    ):
        for part in (data, *more):
            try:
                connection.sendall(part)
            except (BrokenPipeError, ConnectionResetError):
                break  # it was answered before all was sent
        return _answer(connection)


def _answer(connection: ssl.SSLSocket) -> bytes:
    received = b""
    while True:
        try:
            part = connection.recv(65536)
        except (ConnectionResetError, ssl.SSLEOFError):
            return received
        received += part
        head, separator, body = received.partition(b"\r\n\r\n")
        if not part:
            return received
        if separator and head.startswith(b"HTTP/1.1 100"):
            received = body
            continue
        lengths = [int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        if separator and lengths and len(body) >= lengths[0]:
            return received


def status_of(received: bytes) -> int:
    return int(received.split(b" ", 2)[1])


def headers(client: ArmClient) -> bytes:
    return b"Host: 127.0.0.1\r\nAuthorization: " + client.headers["Authorization"].encode() + b"\r\n"


def _put(rest: bytes) -> bytes:
    return b"PUT {pool}?api-version=2026-06-01 HTTP/1.1\r\n{headers}" + rest


def _group(method: bytes, name: bytes, rest: bytes = b"\r\n") -> bytes:
    return method + b" {sub}/resourceGroups/" + name + b"?api-version=2026-06-01 HTTP/1.1\r\n{headers}" + rest


RAW: dict[str, tuple[bytes, set[int]]] = {
    "no http at all": (b"\x00\x01\x02garbage\r\n\r\n", {400}),
    "no version": (b"GET /\r\n\r\n", {400, 404}),
    "HTTP/2 preface": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", {400}),
    "HTTP/1.0": (b"GET /healthz HTTP/1.0\r\n\r\n", {200}),
    "a raw NUL": (b"GET /a\x00b HTTP/1.1\r\nHost: x\r\n\r\n", {400}),
    "an escaped NUL": (_group(b"PUT", b"%00"), {400}),
    "raw bytes that are not UTF-8": (_group(b"GET", b"\xff\xfe"), {400}),
    "escaped bytes that are not UTF-8": (_group(b"PUT", b"%ff%fe"), {400}),
    "overlong UTF-8": (_group(b"PUT", b"%c0%ae%c0%ae"), {400}),
    "half a surrogate": (_group(b"PUT", b"%ed%a0%80"), {400}),
    "a query that is not UTF-8": (b"GET {sub}?api-version=%ff HTTP/1.1\r\n{headers}\r\n", {400}),
    "dots to climb": (_group(b"GET", b"../../../healthz"), {404}),
    "dots as a name": (
        _group(b"PUT", b"..", b'Content-Length: 21\r\n\r\n{"location":"eastus"}'),
        {400},
    ),
    "an escaped slash": (_group(b"GET", b"a%2Fb"), {404}),
    "a broken escape": (_group(b"GET", b"%zz"), {404}),
    "a path of a megabyte": (b"GET /" + b"a" * 2**20 + b" HTTP/1.1\r\nHost: x\r\n\r\n", {400, 414}),
    "a path of 3000": (b"GET /" + b"a" * 3000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", {400}),
    "OPTIONS *": (b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", {404}),
    "CONNECT": (b"CONNECT x:443 HTTP/1.1\r\nHost: x\r\n\r\n", {400, 404, 405}),
    "TRACE": (b"TRACE /healthz HTTP/1.1\r\nHost: x\r\n\r\n", {405}),
    "a WebSocket": (
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
        {200, 400, 403, 404},
    ),
    "a header of a megabyte": (
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 2**20 + b"\r\n\r\n",
        {200, 400, 431},
    ),
    "a token of a megabyte": (
        b"GET /subscriptions?api-version=2026-06-01 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "
        + b"a" * 2**20
        + b"\r\n\r\n",
        {400, 401, 431},
    ),
    "ten thousand headers": (
        b"GET /healthz HTTP/1.1\r\nHost: x\r\n" + b"".join(b"X-%d: y\r\n" % n for n in range(10_000)) + b"\r\n",
        {200, 400, 431},
    ),
    "a host to inject": (b'GET /metadata/endpoints HTTP/1.1\r\nHost: a"b<c>\r\n\r\n', {200, 400}),
    "a host that is not ASCII": (b"GET /metadata/endpoints HTTP/1.1\r\nHost: \xff\r\n\r\n", {200, 400}),
    "a negative length": (_put(b"Content-Length: -1\r\n\r\n"), {400}),
    "a length in letters": (_put(b"Content-Length: abc\r\n\r\n"), {400}),
    "a superscript length": (_put(b"Content-Length: \xb2\r\n\r\n"), {400}),
    "an endless length": (_put(b"Content-Length: ") + b"9" * 30 + b"\r\n\r\n", {400, 413}),
    "two lengths": (_put(b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}"), {400}),
    "length and chunks": (
        _put(b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        {400},
    ),
    "a broken chunk": (_put(b"Transfer-Encoding: chunked\r\n\r\nzz\r\n"), {400}),
    "an unknown encoding": (_put(b"Transfer-Encoding: gzip\r\n\r\nzz\r\n"), {400, 501}),
    "a body to wait for": (
        _put(b"Expect: 100-continue\r\nContent-Length: 1\r\n\r\n{"),
        {400},
    ),
    "10 MB declared": (
        _put(b"Content-Length: 10485760\r\n\r\n") + b" " * 10_485_760,
        {413},
    ),
    "10 MB in chunks": (
        _put(b"Transfer-Encoding: chunked\r\n\r\n") + (b"100000\r\n" + b" " * 0x100000 + b"\r\n") * 10 + b"0\r\n\r\n",
        {413},
    ),
    "a token form of 10 MB": (
        b"POST /adfs/oauth2/token HTTP/1.1\r\nHost: x\r\nContent-Length: 10485760\r\n\r\n" + b"a" * 10_485_760,
        {413},
    ),
    "depth": (
        _put(b"Content-Length: 400002\r\n\r\n") + b'{"a":' + b"[" * 199_998 + b"]" * 199_998 + b"}",
        {400},
    ),
}


@pytest.mark.parametrize("name", RAW)
def test_malformed_and_oversized_requests_are_refused_and_change_nothing(
    service: ServiceProcess, client: ArmClient, name: str
) -> None:
    data, statuses = RAW[name]
    for key, value in {
        b"{headers}": headers(client),
        b"{pool}": client.pool("never").encode(),
        b"{sub}": client.subscription.encode(),
    }.items():
        data = data.replace(key, value)
    before = everything(client)
    assert status_of(talk(service, data)) in statuses
    assert everything(client) == before
    assert client.get("/healthz").status_code == 200


def test_the_largest_body_is_taken_and_one_byte_more_is_not(service: ServiceProcess, client: ArmClient) -> None:
    def body_of(size: int) -> bytes:
        frame = b'{"properties":{"count":0,"x9":"%s"}}'
        return frame % (b"a" * (size - len(frame) + 2))

    assert len(body_of(MAX_RESOURCE_BYTES)) == MAX_RESOURCE_BYTES
    taken = client.put(client.pool("large"), content=body_of(MAX_RESOURCE_BYTES))
    assert taken.status_code == 201
    client.done(taken)
    assert len(client.get(client.pool("large")).json()["properties"]["x9"]) > MAX_RESOURCE_BYTES - 100
    assert client.put(client.pool("large"), content=body_of(MAX_RESOURCE_BYTES + 1)).status_code == 413
    client.done(client.delete(client.pool("large")))


def test_a_body_of_many_wrong_values_is_answered_in_time(client: ArmClient) -> None:
    for properties in (
        {"nodeTaints": list(range(120_000))},
        {"agentPoolProfiles": [{"name": f"p{index}"} for index in range(40_000)]},
        {"nodeLabels": {str(index): index for index in range(50_000)}},
    ):
        reply = client.put(client.cluster("many"), json={"location": "eastus", "properties": properties})
        assert reply.status_code == 400
        assert len(reply.content) < 100_000


def test_a_body_that_comes_slowly_holds_nobody_up(service: ServiceProcess, client: ArmClient) -> None:
    context = ssl.create_default_context(cafile=str(service.ca))
    port = int(service.url.rpartition(":")[2])
    head = f"PUT {client.pool('slow')}?api-version=2026-06-01 HTTP/1.1\r\n".encode() + headers(client)
    with (
        socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_SECONDS) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as connection,
    ):
        first, rest = b'{"properties"', b':{"count":0}}'
        connection.sendall(head + b"Content-Length: %d\r\n\r\n" % len(first + rest) + first)
        done = client.put(client.pool("quick"), json={"properties": {"count": 0}})
        client.done(done)
        assert client.get(client.pool("slow")).status_code == 404
        connection.sendall(rest)
        assert status_of(_answer(connection)) == 201


def test_clients_that_leave_in_the_middle_leave_nothing_behind(service: ServiceProcess, client: ArmClient) -> None:
    context = ssl.create_default_context(cafile=str(service.ca))
    port = int(service.url.rpartition(":")[2])
    head = f"PUT {client.pool('left')}?api-version=2026-06-01 HTTP/1.1\r\n".encode() + headers(client)
    for part in (b"", b"GET", head, head + b"Content-Length: 100\r\n\r\n{"):
        with (
            socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_SECONDS) as plain,
            context.wrap_socket(plain, server_hostname="127.0.0.1") as connection,
        ):
            connection.sendall(part)
    with socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_SECONDS) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\n\r\n")  # not TLS
        assert plain.recv(100) in (b"", b"\x15\x03\x03\x00\x02\x02\x16")
    assert client.get(client.pool("left")).status_code == 404


def test_many_connections_that_say_nothing_hold_nobody_up(service: ServiceProcess, client: ArmClient) -> None:
    port = int(service.url.rpartition(":")[2])
    silent = [socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_SECONDS) for _ in range(100)]
    try:
        assert client.get(client.pool("sys")).status_code == 200
    finally:
        for connection in silent:
            connection.close()


def test_a_path_cannot_write_into_the_log_or_a_terminal(service: ServiceProcess, client: ArmClient) -> None:
    client.delete(f"{service.url}/a%0aforged%20line%1b%5b31m%c2%9b%e2%80%ae")
    client.delete(f"{service.url}/b%c2%9b%e2%80%ae")
    client.get("/healthz")  # the log line is written after the reply, and before the next one
    (line,) = [line for line in service.log().splitlines() if "forged" in line]
    assert "path=/a%0Aforged%20line%1B%5B31m%C2%9B%E2%80%AE" in line
    assert not set("\x1b\x9b\u202e") & set(service.log())


def test_the_log_has_no_traceback_after_all_this(service: ServiceProcess) -> None:
    assert "Traceback" not in service.log()
    assert "request_failed" not in service.log()
