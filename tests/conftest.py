"""Fixtures every test may use."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.service import ServiceProcess

# A shell gives its background jobs an ignored SIGINT, which every process below inherits: Ctrl-C would do nothing.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    """A running service on its own data directory, shared by the tests of a module."""
    process = ServiceProcess(tmp_path_factory.mktemp("poolwright") / "data").start()
    yield process
    if process.is_running:
        process.stop()


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[ServiceProcess]:
    """A service of its own for one test, not started yet."""
    process = ServiceProcess(tmp_path / "data")
    yield process
    if process.is_running:
        process.kill()
