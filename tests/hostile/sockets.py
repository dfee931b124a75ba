"""Bytes over TLS to a running service, and what it does with the connection."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Iterator

from tests.support.service import ServiceProcess

TIMEOUT_SECONDS = 10.0


def port_of(service: ServiceProcess) -> int:
    return int(service.url.rpartition(":")[2])


def trusting(service: ServiceProcess) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(service.ca))


def connect(
    service: ServiceProcess, context: ssl.SSLContext | None = None, timeout: float = TIMEOUT_SECONDS
) -> ssl.SSLSocket:
    """Return a connection with its handshake done."""
    plain = socket.create_connection(("127.0.0.1", port_of(service)), timeout=timeout)
    return (context or trusting(service)).wrap_socket(plain, server_hostname="127.0.0.1")


@contextlib.contextmanager
def silent(service: ServiceProcess, number: int) -> Iterator[list[socket.socket]]:
    """Yield that many connections on which nothing was said, not even for a handshake."""
    made: list[socket.socket] = []
    try:
        for _ in range(number):
            made.append(socket.create_connection(("127.0.0.1", port_of(service)), timeout=TIMEOUT_SECONDS))
        yield made
    finally:
        for connection in made:
            connection.close()


def all_of(connection: socket.socket) -> bytes:
    """Return what comes until the service hangs up; raises `TimeoutError` when it does not."""
    received = b""
    while True:
        try:
            part = connection.recv(65536)
        except (ConnectionResetError, ssl.SSLEOFError):
            return received
        if not part:
            return received
        received += part


def talk(service: ServiceProcess, data: bytes) -> bytes:
    """Send the bytes and return all that comes until the service hangs up."""
    with connect(service) as connection:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError, ssl.SSLEOFError):
            connection.sendall(data)
        return all_of(connection)


def statuses_of(received: bytes) -> list[int]:
    """Return the status of every answer, one after the other."""
    found = []
    while received:
        head, _, rest = received.partition(b"\r\n\r\n")
        first, *lines = head.split(b"\r\n")
        assert first.startswith(b"HTTP/1.1 "), first
        found.append(int(first.split(b" ")[1]))
        lengths = [int(line.partition(b":")[2]) for line in lines if line.lower().startswith(b"content-length:")]
        received = rest[lengths[0] if lengths else 0 :]
    return found
