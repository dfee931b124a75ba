"""Clients that are slow, silent, many, or no clients at all: others are served, and the memory and the files hold."""

from __future__ import annotations

import contextlib
import os
import resource
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from poolwright.arm.connection import PATIENCE_SECONDS
from tests.hostile.sockets import all_of, connect, port_of, silent, statuses_of, trusting
from tests.support.service import ArmClient, ServiceProcess

IDLE_CONNECTIONS = 3000
FEW_FILES = 128
LONG_ANSWERS = 40
# What a busy machine may add to a time.
SLACK_SECONDS = 10


@pytest.fixture(scope="module")
def client(service: ServiceProcess) -> ArmClient:
    service.client.make_cluster()
    return service.client


@pytest.fixture
def many_files() -> Iterator[None]:
    """This process may have as many files open as it is allowed to allow itself."""
    before, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most < IDLE_CONNECTIONS + 200:
        pytest.skip(f"this process may have only {most} files open")
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (before, most))


def memory_mib(service: ServiceProcess) -> float:
    pages = int(Path(f"/proc/{service.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def files_of(service: ServiceProcess) -> int:
    return len(os.listdir(f"/proc/{service.pid}/fd"))


def until_files(service: ServiceProcess, most: int, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while files_of(service) > most:
        assert time.monotonic() < deadline, f"{files_of(service)} files are open"
        time.sleep(0.05)


def require_service(client: ArmClient) -> None:
    """Reads and changes are answered, on connections that there are and on a new one."""
    began = time.monotonic()
    assert client.get(client.cluster()).status_code == 200
    assert client.put(client.group("rg"), json={"location": "eastus"}).status_code == 200
    assert time.monotonic() - began < SLACK_SECONDS


def test_slow_clients_are_hung_up_on_in_time_and_others_are_served_meanwhile(
    service: ServiceProcess, client: ArmClient
) -> None:
    """All kinds at once: the time is real."""
    token = client.headers["Authorization"].encode()
    put = b"PUT %s?api-version=2026-06-01 HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\n" % (
        client.group("slow").encode(),
        token,
    )
    sizes = f"{client.subscription}/providers/Microsoft.Compute/skus"
    asked = b"GET %s?api-version=2026-06-01 HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\n\r\n" % (sizes.encode(), token)
    # What is sent at once, then a byte at a time; and what comes back.
    kinds: dict[str, tuple[bytes, bytes, list[int]]] = {
        "says nothing": (b"", b"", []),
        "head by bytes": (b"", b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 500, [408]),
        "half a head": (b"GET /healthz HTTP/1.1\r\nHost", b"", [408]),
        "no body": (put + b"Content-Length: 21\r\n\r\n", b"", [408]),
        "body by bytes": (put + b"Content-Length: 1000\r\n\r\n", b" " * 500, [408]),
        "half a chunk": (put + b"Transfer-Encoding: chunked\r\n\r\n15\r\n{", b"", [408]),
        "a token by bytes": (
            b"POST /adfs/oauth2/token HTTP/1.1\r\nHost: x\r\nContent-Length: 999\r\n\r\n",
            b"a" * 500,
            [408],
        ),
        "a body nobody asked for": (
            b"GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 999\r\n\r\n",
            b"a" * 500,
            [200],
        ),
        "empty lines": (b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", b"\r\n" * 250, [200]),
    }
    began = time.monotonic()
    with contextlib.ExitStack() as stack:
        slow = [
            (kind, stack.enter_context(connect(service, timeout=PATIENCE_SECONDS + SLACK_SECONDS)), rest, statuses)
            for kind, (first, rest, statuses) in kinds.items()
            for _ in range(20)
        ]
        for kind, connection, _, _ in slow:
            connection.sendall(kinds[kind][0])
        deaf = stack.enter_context(connect(service))
        deaf.sendall(asked * LONG_ANSWERS)
        turn = 0
        while (now := time.monotonic() - began) < PATIENCE_SECONDS - 2:
            for _, connection, rest, _ in slow:
                if turn < len(rest):
                    connection.sendall(rest[turn : turn + 1])
            require_service(client)
            turn += 1
            time.sleep(max(0.0, turn - now))
        for kind, connection, _, statuses in slow:
            assert statuses_of(all_of(connection)) == statuses, kind
        assert PATIENCE_SECONDS - 1 < time.monotonic() - began < PATIENCE_SECONDS + SLACK_SECONDS
        # One that takes no answers: what stood in the sockets' buffers is there, and the rest never comes. Its time
        # began when its answers stood still, and whoever reads before it has run out takes answers.
        time.sleep(SLACK_SECONDS)
        assert len(all_of(deaf)) < (LONG_ANSWERS - 1) * len(client.get(sizes).content)
    assert client.get(client.group("slow")).status_code == 404


def test_thousands_of_idle_connections_hold_nobody_up(
    service: ServiceProcess, client: ArmClient, many_files: None
) -> None:
    """Half of them do not even begin the handshake."""
    before, files = memory_mib(service), files_of(service)
    context = trusting(service)
    with silent(service, IDLE_CONNECTIONS // 2), contextlib.ExitStack() as stack:
        for _ in range(IDLE_CONNECTIONS // 2):
            stack.enter_context(connect(service, context))
        assert files_of(service) >= IDLE_CONNECTIONS - 200
        for _ in range(10):
            require_service(client)
        with httpx.Client(base_url=service.url, verify=context, trust_env=False) as newcomer:
            assert newcomer.get("/healthz").status_code == 200
        # Nearly all of it is OpenSSL's.
        assert memory_mib(service) - before < IDLE_CONNECTIONS * 80 / 1024
    until_files(service, files + 20, SLACK_SECONDS)


def test_a_service_that_is_out_of_files_serves_again_when_there_are_some(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    process = ServiceProcess(tmp_path / "data")
    process.launch()
    # Lowered for a process that has read its limits would do nothing: so before.
    resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (FEW_FILES, FEW_FILES))
    process.url = process.wait_ready()
    try:
        client = process.client
        client.make_cluster()
        files = files_of(process)
        with silent(process, 2 * FEW_FILES):
            # The connection that there is goes on; a change may lack a file, and says so.
            for number in range(20):
                assert client.get(client.cluster()).status_code == 200
                reply = client.put(client.group(f"g{number}"), json={"location": "eastus"})
                assert reply.status_code in (201, 503), reply.text
                if reply.status_code == 503:
                    assert reply.json()["error"]["code"] == "StorageUnavailable"
            with pytest.raises(OSError):  # noqa: PT011  # refused, hung up on or not answered: all are its right
                connect(process, timeout=3)
        until_files(process, files + 5, SLACK_SECONDS)
        assert client.get(client.cluster()).status_code == 200
        assert client.make_pool("np1", {"count": 2})["provisioningState"] == "Succeeded"
        with connect(process) as newcomer:
            newcomer.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            assert statuses_of(all_of(newcomer)) == [200]
        assert process.stop() == 0
        assert "Traceback" not in process.log()
    finally:
        if process.is_running:
            process.kill()
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == before


def test_more_connections_than_there_are_files_for_are_told_so(tmp_path: Path) -> None:
    process = ServiceProcess(tmp_path / "data")
    process.launch()
    resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (FEW_FILES, FEW_FILES))
    process.url = process.wait_ready()
    try:
        context = trusting(process)
        with contextlib.ExitStack() as stack:
            for _ in range(FEW_FILES // 2):
                stack.enter_context(connect(process, context))
            with connect(process, context) as late:
                assert statuses_of(all_of(late)) == [429]
        assert process.client.is_healthy()
    finally:
        process.kill()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_old_versions_of_tls_are_refused(service: ServiceProcess, client: ArmClient, version: ssl.TLSVersion) -> None:
    context = trusting(service)
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1"):
        context.minimum_version = context.maximum_version = version
    with pytest.raises(ssl.SSLError, match=r"(?i)protocol|version|EOF"):
        connect(service, context)
    assert client.is_healthy()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_current_versions_of_tls_are_taken(service: ServiceProcess, version: ssl.TLSVersion) -> None:
    context = trusting(service)
    context.minimum_version = context.maximum_version = version
    with connect(service, context) as connection:
        assert connection.version() == version.name.replace("_", ".")


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x00" * 1000,
        b"\x16\x03\x01\xff\xff" + b"a" * 70_000,
        b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00",
        b"SSH-2.0-x\r\n",
        os.urandom(100_000),
    ],
    ids=["plain HTTP", "zeros", "a record too long", "a hello too short", "SSH", "noise"],
)
def test_what_is_no_tls_is_hung_up_on(service: ServiceProcess, client: ArmClient, sent: bytes) -> None:
    with socket.create_connection(("127.0.0.1", port_of(service)), timeout=SLACK_SECONDS) as plain:
        with contextlib.suppress(ConnectionError):
            plain.sendall(sent)
            plain.shutdown(socket.SHUT_WR)
        assert b"HTTP/" not in all_of(plain)
    assert client.is_healthy()


def test_the_log_has_no_bug(service: ServiceProcess) -> None:
    assert "Traceback" not in service.log()
    assert "request_failed" not in service.log()
