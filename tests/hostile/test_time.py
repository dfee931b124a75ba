"""Clocks that jump and certificates that run out, for the running service and its clients."""

from __future__ import annotations

import contextlib
import io
import shutil
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from poolwright.cli.main import main
from poolwright.identity.tls import AUTHORITY_LIFETIME, CERTIFICATE_LIFETIME, TlsFiles, ensure_certificates, renew
from poolwright.testing.client import Client
from tests.support.in_process import InProcess
from tests.support.service import ServiceProcess

NOW = datetime.now(UTC)
EXPIRED = NOW - CERTIFICATE_LIFETIME - timedelta(days=1)
AUTHORITY_EXPIRED = NOW - AUTHORITY_LIFETIME - timedelta(days=1)
YEAR, HOUR = 365 * 86_400.0, 3600.0


class Terminal:
    """A server that does handshakes and nothing else."""

    def __init__(self, files: TlsFiles) -> None:
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(files.certificate, files.key)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"https://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                plain, _ = self._listener.accept()
                with contextlib.suppress(OSError), plain, self.context.wrap_socket(plain, server_side=True):
                    pass

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Callable[[datetime], Terminal]]:
    made: list[Terminal] = []

    def make(moment: datetime) -> Terminal:
        made.append(Terminal(ensure_certificates(tmp_path / "tls", (), moment)))
        return made[-1]

    yield make
    for each in made:
        each.close()


def handshake(terminal: Terminal, ca: Path) -> None:
    port = int(terminal.url.rpartition(":")[2])
    context = ssl.create_default_context(cafile=ca)
    with (
        socket.create_connection(("127.0.0.1", port), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1"),
    ):
        pass


def test_a_certificate_that_expires_while_it_is_served_is_replaced_for_the_next_handshake(
    terminal: Callable[[datetime], Terminal], tmp_path: Path
) -> None:
    served = terminal(EXPIRED)
    ca = tmp_path / "tls" / "ca.pem"
    trusted = ca.read_bytes()
    with pytest.raises(ssl.SSLCertVerificationError, match="expired"):
        handshake(served, ca)
    assert renew(served.context, tmp_path / "tls", (), NOW)
    handshake(served, ca)
    assert ca.read_bytes() == trusted
    assert not renew(served.context, tmp_path / "tls", (), NOW)


@pytest.mark.parametrize(("moment", "words"), [(EXPIRED, "has expired"), (NOW + timedelta(days=3), "is not valid yet")])
def test_the_command_line_says_that_a_certificate_is_out_of_date(
    terminal: Callable[[datetime], Terminal],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    moment: datetime,
    words: str,
) -> None:
    # The authority is good in any case.
    ensure_certificates(tmp_path / "tls", (), min(moment, NOW)).certificate.unlink()
    served = terminal(moment)
    for name, value in {
        "POOLWRIGHT_ENDPOINT": served.url,
        "REQUESTS_CA_BUNDLE": str(tmp_path / "tls" / "ca.pem"),
        **dict.fromkeys(("AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET", "AZURE_SUBSCRIPTION_ID"), "x"),
    }.items():
        monkeypatch.setenv(name, value)
    told = io.StringIO()
    with contextlib.redirect_stderr(told), pytest.raises(SystemExit) as ended:
        main(["group", "list"])
    assert ended.value.code == 1
    assert told.getvalue() == (
        f"error: the certificate of {served.url} {words} by the clock of this machine: set the clock right, or restart "
        "the service (`poolwright up` renews certificates)\n"
    )


@pytest.mark.parametrize("moment", [EXPIRED, AUTHORITY_EXPIRED], ids=["certificate", "authority"])
def test_a_start_with_what_has_expired_renews_it(fresh: ServiceProcess, tmp_path: Path, moment: datetime) -> None:
    fresh.data_dir.mkdir()
    old = tmp_path / "old.pem"
    shutil.copy(ensure_certificates(fresh.data_dir / "tls", (), moment).ca, old)
    assert fresh.start().client.is_healthy()
    # Who trusted an authority that has expired has to read the new one.
    if moment is EXPIRED:
        with contextlib.closing(Client.of(fresh.url, old, fresh.credentials)) as client:
            assert client.is_healthy()
    else:
        assert old.read_bytes() != fresh.ca.read_bytes()


@pytest.fixture
def app(tmp_path: Path) -> Iterator[InProcess]:
    made = InProcess(tmp_path / "data")
    made.client.make_cluster()
    yield made
    made.close()


@pytest.mark.parametrize("jump", [YEAR, -HOUR], ids=["a year forward", "an hour back"])
def test_a_clock_that_jumps_costs_a_new_token_and_nothing_else(app: InProcess, jump: float) -> None:
    real = app.now
    start = real()
    client = app.client
    client.make_pool("before", {"count": 2})
    known = client.get(client.cluster()).json()
    token = client.headers["Authorization"]

    app.now = lambda: real() + jump
    refused = client.get(client.cluster())
    assert refused.status_code == 401
    assert "insufficient_claims" in refused.headers["WWW-Authenticate"]
    client.headers["Authorization"] = f"Bearer {app.token(now=start + jump)}"
    assert client.get(client.cluster()).json() == known
    reply = client.put(client.pool("after"), json={"properties": {"count": 2}})
    operation = client.operation(reply)
    assert operation["status"] == "Succeeded"
    assert operation["startTime"] <= operation["endTime"]
    client.done(client.delete(client.pool("before")))

    app.now = real
    client.headers["Authorization"] = token
    assert client.get(client.pool("after")).json()["properties"]["provisioningState"] == "Succeeded"
    client.done(client.delete(client.pool("after")))
