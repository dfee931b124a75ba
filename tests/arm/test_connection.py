"""How long a client may take, how much it may say, and what becomes of what is no request."""

from __future__ import annotations

import pytest

from poolwright.arm.connection import LEAST_BYTES_PER_SECOND, MAX_HEAD_BYTES, MAX_HEADERS, PATIENCE_SECONDS
from tests.support.fake_connection import FakeConnection

GET = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
PUT = b"PUT /a HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"
A_BIT = PATIENCE_SECONDS / 4


@pytest.fixture
def connection() -> FakeConnection:
    return FakeConnection()


def test_a_client_that_says_nothing_is_hung_up_on(connection: FakeConnection) -> None:
    connection.waits(PATIENCE_SECONDS - 1)
    assert connection.is_open
    connection.waits(1)
    assert not connection.is_open
    assert connection.transport.sent == b""


def test_a_head_that_comes_byte_by_byte_has_no_more_time_than_another(connection: FakeConnection) -> None:
    for byte in GET[: int(PATIENCE_SECONDS) - 1]:
        connection.sends(bytes([byte]))
        connection.waits(1)
        assert connection.is_open
    connection.waits(1)
    assert (connection.reply.status_code, connection.reply.json()["error"]["code"]) == (408, "RequestTimeout")
    assert not connection.is_open
    assert connection.requests == []


def test_empty_lines_between_requests_gain_no_time(connection: FakeConnection) -> None:
    connection.sends(GET)
    for _ in range(4):
        connection.sends(b"\r\n")
        assert connection.is_open
        connection.waits(A_BIT)
    assert not connection.is_open


def test_a_body_has_a_second_more_for_every_500_bytes(connection: FakeConnection) -> None:
    connection.answers = False
    connection.sends(PUT % 1_000_000)
    for _ in range(20):
        connection.sends(b" " * int(LEAST_BYTES_PER_SECOND * A_BIT))
        connection.waits(A_BIT)
        assert connection.is_open
    connection.waits(PATIENCE_SECONDS)
    assert connection.reply.status_code == 408
    assert not connection.is_open


def test_a_body_that_comes_too_slowly_is_not_waited_for(connection: FakeConnection) -> None:
    connection.answers = False
    connection.sends(PUT % 100)
    for _ in range(4):
        assert connection.is_open
        connection.sends(b" ")
        connection.waits(A_BIT + 0.1)
    assert connection.reply.status_code == 408
    assert connection.reply.json()["error"]["message"].startswith("The body of the request did not come")


def test_the_rest_of_a_body_that_was_answered_is_taken_for_a_while_and_no_longer(connection: FakeConnection) -> None:
    connection.sends(PUT % 1_000_000_000)
    assert connection.reply.status_code == 200
    for _ in range(4):
        assert connection.is_open
        connection.sends(b" " * 100_000)
        connection.waits(A_BIT)
    assert not connection.is_open
    assert connection.reply.status_code == 200


def test_a_service_that_does_not_read_or_answer_is_not_the_client_s_fault(connection: FakeConnection) -> None:
    connection.answers = False
    connection.sends(PUT % 1_000_000 + b" " * 100_000)
    assert connection.protocol.flow.read_paused
    connection.waits(1000)
    assert connection.is_open
    connection = FakeConnection()
    connection.answers = False
    connection.sends(GET + GET[:5])
    connection.waits(1000)
    assert connection.is_open


def test_a_client_that_takes_no_answer_is_hung_up_on_and_a_slow_one_is_not(connection: FakeConnection) -> None:
    connection.sends(GET)
    connection.transport.unsent = 1_000_000
    connection.protocol.pause_writing()
    for _ in range(3):
        connection.transport.unsent -= int(LEAST_BYTES_PER_SECOND * PATIENCE_SECONDS)
        connection.waits(PATIENCE_SECONDS)
        assert not connection.transport.aborted
    connection.waits(PATIENCE_SECONDS)
    assert connection.transport.aborted
    other = FakeConnection()
    other.protocol.pause_writing()
    other.protocol.resume_writing()
    other.waits(PATIENCE_SECONDS - 1)
    assert not other.transport.aborted


def test_a_request_in_time_and_the_next_ones_on_the_connection_are_answered(connection: FakeConnection) -> None:
    for number in range(1, 4):
        connection.sends(GET[:10])
        connection.waits(A_BIT)
        connection.sends(GET[10:])
        assert len(connection.requests) == number
        # uvicorn's own time-out between requests is 5 s here.
        connection.waits(4)
    assert connection.is_open


@pytest.mark.parametrize("piece", [b"a" * 1000, b"\r\nX: " + b"a" * 996], ids=["in one header", "in many"])
def test_a_head_that_does_not_end_is_refused_as_soon_as_it_is_too_large(
    connection: FakeConnection, piece: bytes
) -> None:
    connection.sends(b"GET / HTTP/1.1\r\nHost: x\r\nX: ")
    sent = 0
    while connection.is_open:
        connection.sends(piece)
        sent += len(piece)
        assert sent <= MAX_HEAD_BYTES + 1000
    assert (connection.reply.status_code, connection.reply.json()["error"]["code"]) == (400, "InvalidRequestContent")


def head(headers: bytes) -> bytes:
    return b"GET / HTTP/1.1\r\nHost: x\r\n" + headers + b"\r\n"


@pytest.mark.parametrize(
    ("headers", "is_taken"),
    [
        (b"X: a\r\n" * (MAX_HEADERS - 1), True),
        (b"X: a\r\n" * MAX_HEADERS, False),
        (b"X: " + b"a" * (MAX_HEAD_BYTES - 100) + b"\r\n", True),
        (b"X: " + b"a" * MAX_HEAD_BYTES + b"\r\n", False),
        (b"Host: y\r\n", False),
    ],
    ids=["many", "too many", "large", "too large", "two hosts"],
)
def test_what_a_head_may_have(connection: FakeConnection, headers: bytes, is_taken: bool) -> None:
    connection.sends(head(headers))
    assert connection.reply.status_code == (200 if is_taken else 400)
    assert len(connection.requests) == is_taken
    assert connection.is_open == is_taken


def test_http_1_1_needs_a_host_and_http_1_0_does_not() -> None:
    for version, status in ((b"1.1", 400), (b"1.0", 200)):
        connection = FakeConnection()
        connection.sends(b"GET / HTTP/" + version + b"\r\n\r\n")
        assert connection.reply.status_code == status


def test_what_turns_out_to_be_no_request_reaches_no_application(connection: FakeConnection) -> None:
    """llhttp reports the head as complete before it looks whether it can tell where the body ends."""
    connection.sends(b"DELETE /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n")
    assert connection.requests == []
    assert connection.reply.status_code == 400
    assert not connection.is_open


def test_a_path_that_is_none_is_refused(connection: FakeConnection) -> None:
    connection.sends(b"CONNECT x:443 HTTP/1.1\r\nHost: x\r\n\r\n")
    assert connection.reply.status_code == 400
    assert not connection.is_open


def test_a_trailer_is_no_header(connection: FakeConnection) -> None:
    connection.answers = False
    connection.sends(b"PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nIf-Match: x\r\n\r\n")
    [request] = connection.requests
    assert dict(request["headers"]).keys() == {b"host", b"transfer-encoding"}


def test_what_follows_an_upgrade_that_is_not_offered_is_no_request(connection: FakeConnection) -> None:
    connection.sends(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n" + GET)
    assert connection.reply.status_code == 200
    assert not connection.is_open
    assert len(connection.requests) == 1


def test_a_refusal_never_stands_in_the_middle_of_an_answer(connection: FakeConnection) -> None:
    connection.sends(GET)
    before = bytes(connection.transport.sent)
    connection.protocol.cycle.response_complete = False
    connection.sends(b"\x00nonsense")
    assert bytes(connection.transport.sent) == before
    assert not connection.is_open


def test_one_connection_too_many_is_told_to_come_back(connection: FakeConnection) -> None:
    others = [FakeConnection(most=3, state=connection.state) for _ in range(4)]
    assert [other.is_open for other in others] == [True, True, False, False]
    reply = others[2].reply
    assert (reply.status_code, reply.json()["error"]["code"]) == (429, "Throttled")
    assert int(reply.headers["retry-after"]) > 0
    others[0].protocol.connection_lost(None)
    others[3].protocol.connection_lost(None)
    others[2].protocol.connection_lost(None)
    assert FakeConnection(most=3, state=connection.state).is_open
