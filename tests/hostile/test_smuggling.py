"""Requests inside requests: whatever the first one is taken for, the second one is never carried out."""

from __future__ import annotations

import json

import pytest

from tests.hostile.sockets import statuses_of, talk
from tests.support.everything import everything
from tests.support.service import ArmClient, ServiceProcess

DELETE = b"DELETE {group}?api-version=2026-06-01 HTTP/1.1\r\n{headers}\r\n"
READ = b"GET {group}?api-version=2026-06-01 HTTP/1.1\r\n{headers}"
PUT = b"PUT {new}?api-version=2026-06-01 HTTP/1.1\r\n{headers}"
BODY = b'{"location":"eastus"}'
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
CHUNK = b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)

# What is sent ahead of a DELETE, which would be carried out if the service and a proxy took the end of it for another.
REFUSED: dict[str, bytes] = {
    "length and chunks": PUT + b"Content-Length: 21\r\n" + CHUNKED + CHUNK,
    "chunks and length": PUT + b"Transfer-Encoding: chunked\r\nContent-Length: 21\r\n\r\n" + CHUNK,
    "length 0 and chunks": READ + b"Content-Length: 0\r\n" + CHUNKED + b"0\r\n\r\n",
    "two lengths": PUT + b"Content-Length: 21\r\nContent-Length: 0\r\n\r\n" + BODY,
    "the same length twice": PUT + b"Content-Length: 21\r\nContent-Length: 21\r\n\r\n" + BODY,
    "a list of lengths": PUT + b"Content-Length: 21, 21\r\n\r\n" + BODY,
    "a length with a plus": PUT + b"Content-Length: +21\r\n\r\n" + BODY,
    "a length with a minus": PUT + b"Content-Length: -21\r\n\r\n" + BODY,
    "a hexadecimal length": PUT + b"Content-Length: 0x15\r\n\r\n" + BODY,
    "a length with an underscore": PUT + b"Content-Length: 2_1\r\n\r\n" + BODY,
    "a length in quotes": PUT + b'Content-Length: "21"\r\n\r\n' + BODY,
    "an empty length": PUT + b"Content-Length:\r\n\r\n" + BODY,
    "a length beyond 64 bits": PUT + b"Content-Length: 18446744073709551637\r\n\r\n" + BODY,
    "a length in a folded line": PUT + b"X: y\r\n Content-Length: 21\r\n\r\n" + BODY,
    "a folded length": PUT + b"Content-Length:\r\n 21\r\n\r\n" + BODY,
    "a space before the colon": PUT + b"Content-Length : 21\r\n\r\n" + BODY,
    "a space in a name": PUT + b"Content Length: 21\r\n\r\n" + BODY,
    "a name with a NUL": PUT + b"Content-Length\x00: 21\r\n\r\n" + BODY,
    "a value with a NUL": PUT + b"X: a\x00b\r\nContent-Length: 21\r\n\r\n" + BODY,
    "a value with a CR": PUT + b"X: a\rContent-Length: 0\r\nContent-Length: 21\r\n\r\n" + BODY,
    "a bare LF after a header": PUT + b"X: a\nContent-Length: 21\r\n\r\n" + BODY,
    "a bare LF before the body": PUT + b"Content-Length: 21\r\n\n" + BODY,
    "bare LFs only": PUT.replace(b"\r\n", b"\n") + b"Content-Length: 21\n\n" + BODY,
    "a line without a colon": PUT + b"Content-Length\r\n\r\n" + BODY,
    "no name": PUT + b": 21\r\n\r\n" + BODY,
    "xchunked": PUT + b"Transfer-Encoding: xchunked\r\n\r\n" + CHUNK,
    "gzip alone": PUT + b"Transfer-Encoding: gzip\r\n\r\n" + CHUNK,
    "chunked that is not last": PUT + b"Transfer-Encoding: chunked, identity\r\n\r\n" + CHUNK,
    "chunked twice over": PUT + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n" + CHUNK,
    "chunked after a vertical tab": PUT + b"Transfer-Encoding:\x0bchunked\r\n\r\n" + CHUNK,
    "chunked in quotes": PUT + b'Transfer-Encoding: "chunked"\r\n\r\n' + CHUNK,
    "chunked with a space before the colon": PUT + b"Transfer-Encoding : chunked\r\n\r\n" + CHUNK,
    "chunked and a NUL": PUT + b"Transfer-Encoding: chunked\x00\r\n\r\n" + CHUNK,
    "a chunk's size with 0x": PUT + CHUNKED + b"0x15\r\n" + BODY + b"\r\n0\r\n\r\n",
    "a chunk's size with a plus": PUT + CHUNKED + b"+15\r\n" + BODY + b"\r\n0\r\n\r\n",
    "a chunk's size after a space": PUT + CHUNKED + b" 15\r\n" + BODY + b"\r\n0\r\n\r\n",
    "a chunk's size beyond 64 bits": PUT + CHUNKED + b"10000000000000015\r\n" + BODY + b"\r\n0\r\n\r\n",
    "a chunk's size with a bare LF": PUT + CHUNKED + b"15\n" + BODY + b"\r\n0\r\n\r\n",
    "a chunk longer than its size": PUT + CHUNKED + b"14\r\n" + BODY + b"\r\n0\r\n\r\n",
    "a chunk's extension with a bare LF": PUT + CHUNKED + b"15;a\nb\r\n" + BODY + b"\r\n0\r\n\r\n",
    "a space before the version's end": b"GET {group} HTTP/1.1 \r\n{headers}\r\n",
    "a version there is not": b"GET {group} HTTP/1.2\r\n{headers}\r\n",
    "a line of a request that is folded": b"GET {group}\r\n HTTP/1.1\r\n{headers}\r\n",
    "two hosts": READ + b"Host: elsewhere\r\n\r\n",
    "a DELETE of unknown length": DELETE[:-2] + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "a DELETE with two lengths": DELETE[:-2] + b"Content-Length: 0\r\nContent-Length: 5\r\n\r\n",
    "a DELETE with a broken chunk": DELETE[:-2] + CHUNKED + b"zz\r\n",
}
# Here the service knows where the first request ends, and hangs up after it.
ANSWERED_ALONE: dict[str, tuple[bytes, int]] = {
    "a connection to be closed": (READ + b"Connection: close\r\n\r\n", 200),
    "HTTP/1.0": (READ.replace(b"HTTP/1.1", b"HTTP/1.0") + b"\r\n", 200),
    "HTTP/1.0 with chunks": (PUT.replace(b"HTTP/1.1", b"HTTP/1.0") + CHUNKED + CHUNK, 201),
    "an upgrade to h2c": (
        READ
        + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n",
        200,
    ),
    "an upgrade to a WebSocket": (READ + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n", 200),
}


@pytest.fixture(scope="module")
def client(service: ServiceProcess) -> ArmClient:
    service.client.make_cluster()
    return service.client


def filled(client: ArmClient, data: bytes) -> bytes:
    headers = b"Host: 127.0.0.1\r\nAuthorization: " + client.headers["Authorization"].encode() + b"\r\n"
    for key, value in {
        b"{group}": client.group().encode(),
        b"{new}": client.group("new").encode(),
        b"{headers}": headers,
    }.items():
        data = data.replace(key, value)
    return data


@pytest.mark.parametrize("name", REFUSED)
def test_what_can_be_read_in_two_ways_is_refused_and_ends_the_connection(
    service: ServiceProcess, client: ArmClient, name: str
) -> None:
    before = everything(client)
    received = talk(service, filled(client, REFUSED[name] + DELETE))
    assert statuses_of(received) == [400]
    error = json.loads(received.partition(b"\r\n\r\n")[2])["error"]
    assert error["code"] == "InvalidRequestContent"
    assert error["additionalInfo"][0]["info"]["remedy"]
    assert everything(client) == before


@pytest.mark.parametrize("name", ANSWERED_ALONE)
def test_what_ends_a_connection_is_the_last_request_of_it(
    service: ServiceProcess, client: ArmClient, name: str
) -> None:
    data, status = ANSWERED_ALONE[name]
    received = talk(service, filled(client, data + DELETE))
    assert statuses_of(received) == [status]
    assert client.get(client.group()).status_code == 200
    client.delete(client.group("new"))


def test_requests_one_after_the_other_are_answered_in_their_order(service: ServiceProcess, client: ArmClient) -> None:
    missing = READ.replace(b"{group}", b"{group}-not-there") + b"\r\n"
    chunked = (
        PUT.replace(b"{new}", b"{group}-pipelined")
        + CHUNKED
        + b"15;name=value\r\n"
        + BODY
        + b"\r\n0\r\nAuthorization: Bearer nonsense\r\n\r\n"
    )
    last = READ + b"Connection: close\r\n\r\n"
    received = talk(service, filled(client, READ + b"\r\n" + missing + chunked + last))
    assert statuses_of(received) == [200, 404, 201, 200]


@pytest.mark.parametrize("name", ["x-ms-correlation-request-id", "x-ms-client-request-id", "Host"])
def test_what_a_client_says_comes_back_in_no_header_but_as_it_may(
    service: ServiceProcess, client: ArmClient, name: str
) -> None:
    for value in ("a%0d%0aSet-Cookie: b", "a\x85Set-Cookie: b", "a, b", "é", "x" * 500, "\tx"):
        host = b"" if name == "Host" else b"Host: 127.0.0.1\r\n"
        token = client.headers["Authorization"].encode()
        line = f"{name}: {value}\r\n".encode()
        request = (
            b"PUT %s?api-version=2026-06-01 HTTP/1.1\r\nConnection: close\r\nAuthorization: %s\r\n%s%s"
            b"Content-Length: 2\r\n\r\n{}" % (client.cluster("never").encode(), token, host, line)
        )
        received = talk(service, request)
        assert statuses_of(received) == [400]
        head = received.partition(b"\r\n\r\n")[0].lower()
        assert b"\r\nset-cookie" not in head
        assert value.encode().lower() not in head


@pytest.mark.parametrize("part", ["%0d%0aSet-Cookie:%20b", "%0a", "%00", "%c2%85", "%e2%80%a8", "a%22b"])
def test_what_stands_in_a_path_comes_back_in_no_header(service: ServiceProcess, client: ArmClient, part: str) -> None:
    for path in (client.group(part), client.cluster(part), client.pool(part)):
        request = f"PUT {path}?api-version=2026-06-01&x={part} HTTP/1.1\r\n".encode() + (
            b"{headers}Connection: close\r\nContent-Length: 21\r\n\r\n" + BODY
        )
        received = talk(service, filled(client, request))
        assert statuses_of(received)[0] in (400, 404)
        assert b"\r\nset-cookie" not in received.partition(b"\r\n\r\n")[0].lower()


JSON: dict[str, bytes] = {
    "not UTF-8": b'{"location":"\xff"}',
    "UTF-16": '{"location":"eastus"}'.encode("utf-16"),
    "half a surrogate": b'{"location":"\\ud800"}',
    "a byte order mark": b"\xef\xbb\xbf" + BODY,
    "nested 100 000 deep": b'{"properties":' + b'{"a":' * 100_000 + b"1" + b"}" * 100_001,
    "lists 100 000 deep": b'{"location":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "a number of 400 000 digits": b'{"location":"eastus","properties":{"agentPoolProfiles":[{"count":'
    + b"9" * 400_000
    + b"}]}}",
    "an exponent out of range": b'{"properties":{"agentPoolProfiles":[{"name":"sys","count":1e999}]}}',
    "NaN": b'{"properties":{"agentPoolProfiles":[{"name":"sys","count":NaN}]}}',
    "two documents": BODY + BODY,
    "no end": BODY[:-1],
    "a comment": b'/* */ {"location":"eastus"}',
    "a list": b"[]",
    "nothing": b"",
    "NUL at the end": BODY + b"\x00",
}


@pytest.mark.parametrize("name", JSON)
def test_what_is_no_json_is_refused_in_arm_s_words(client: ArmClient, name: str) -> None:
    before = everything(client)
    reply = client.put(client.cluster("never"), content=JSON[name])
    assert reply.status_code == 400
    error = reply.json()["error"]
    assert error["code"] in ("InvalidRequestContent", "InvalidParameter")
    assert len(reply.content) < 10_000
    assert everything(client) == before


def test_of_a_property_that_is_sent_twice_the_last_counts(client: ArmClient) -> None:
    """As in ARM's own reader, and everywhere in one request: what was checked is what is stored."""
    name = client.group("twice")
    assert client.put(name, content=b'{"location":"mars","location":"westus2"}').status_code == 201
    assert client.get(name).json()["location"] == "westus2"
    assert client.put(client.group("other"), content=b'{"location":"westus2","location":"mars"}').status_code == 400
    assert client.get(client.group("other")).status_code == 404


def test_the_log_has_no_bug(service: ServiceProcess) -> None:
    assert "Traceback" not in service.log()
    assert "request_failed" not in service.log()
