"""The real az, a home directory that is empty, and a recorder in the place of the service.

A run of all tests here fails unless every command that tools/az-commands.csv calls tried was run, and came to what it
says.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from arm_recorder import ArmRecorder
from lab import RAN, Lab

from poolwright.az import installation
from poolwright.identity.tls import TlsFiles, ensure_certificates
from tests.support.service import ServiceProcess
from tools.az_commands import untried


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "az: runs the real az, which is installed privately where it is missing")


def pytest_sessionfinish(session: pytest.Session) -> None:
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["az_commands"] = sorted(RAN)
    elif _is_whole(session) and untried(RAN):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """A worker of pytest-xdist has ended: take over what it has run."""
    RAN.update(tuple(row) for row in getattr(node, "workeroutput", {}).get("az_commands", ()))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    left = untried(RAN)
    if left and terminalreporter._session is not None and _is_whole(terminalreporter._session):
        terminalreporter.section("said to be tried with az in tools/az-commands.csv, and not seen so")
        for line in left:
            terminalreporter.line(line)


def _is_whole(session: pytest.Session) -> bool:
    """Whether all tests of this directory were run and passed."""
    config, here = session.config, Path(__file__).parent
    chosen = any(config.getoption(name) for name in ("keyword", "markexpr", "deselect", "lf", "collectonly"))
    asked = {config.invocation_params.dir / argument for argument in config.args}
    return not chosen and not session.testsfailed and bool(asked & {here, here.parent})


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
