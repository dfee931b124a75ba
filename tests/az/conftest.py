"""The real az, a home directory that is empty, and a recorder in the place of the service."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from arm_recorder import ArmRecorder
from lab import Lab

from poolwright.az import installation
from poolwright.identity.tls import TlsFiles, ensure_certificates
from tests.support.service import ServiceProcess


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "az: runs the real az, which is installed privately where it is missing")


@pytest.fixture(scope="session")
def az_path() -> Path:
    return installation.ensure_az()


@pytest.fixture(scope="session")
def tls(tmp_path_factory: pytest.TempPathFactory) -> TlsFiles:
    return ensure_certificates(tmp_path_factory.mktemp("tls"), (), datetime.now(UTC))


@pytest.fixture(autouse=True)
def empty_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    return home


@pytest.fixture
def recorder(tls: TlsFiles) -> Iterator[ArmRecorder]:
    with ArmRecorder(tls) as running:
        yield running


@pytest.fixture(scope="module")
def lab(az_path: Path, service: ServiceProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    home = tmp_path_factory.mktemp("home")
    yield Lab(az_path, service, home)
    assert list(home.iterdir()) == []
