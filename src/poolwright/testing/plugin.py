"""Fixtures for pytest: one service per worker, reset between tests, its log beside a failure.

Invariant: nothing is started, and nothing slow imported, until a test asks for a fixture of these.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from poolwright.testing.process import Service, service

if TYPE_CHECKING:
    from poolwright.testing.client import Client

_SERVICE = pytest.StashKey[Service]()
_LOG_BEGINS = pytest.StashKey[int]()


@pytest.fixture(scope="session")
def poolwright_settings() -> Mapping[str, Any]:
    """How the service of the session is started: override it to return arguments of `poolwright.testing.service`."""
    return {}


@pytest.fixture(scope="session")
def poolwright_service(
    poolwright_settings: Mapping[str, Any], tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config
) -> Iterator[Service]:
    """A running service, shared by the tests of a session; each worker of pytest-xdist has its own."""
    directory: Path = tmp_path_factory.mktemp("poolwright")
    with service(directory=directory, **poolwright_settings) as running:
        pytestconfig.stash[_SERVICE] = running
        yield running
        del pytestconfig.stash[_SERVICE]


@pytest.fixture
def poolwright_reset(poolwright_service: Service) -> Service:
    """The service, with everything thrown away that earlier tests made, and the seed brought about anew."""
    poolwright_service.reset()
    return poolwright_service


@pytest.fixture
def poolwright_client(poolwright_service: Service) -> Client:
    """An `httpx.Client` with a valid token."""
    return poolwright_service.client


@pytest.fixture
def poolwright_environment(poolwright_service: Service, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The variables that the Azure SDKs read, set in this process for one test."""
    variables = poolwright_service.environment
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return variables


@pytest.fixture(scope="session")
def poolwright_az(poolwright_service: Service) -> dict[str, str]:
    """The environment for scripts in which `az` is the real az, logged in to the service."""
    return poolwright_service.az_environment()


def pytest_runtest_setup(item: pytest.Item) -> None:
    running = item.config.stash.get(_SERVICE, None)
    item.stash[_LOG_BEGINS] = running.logged() if running is not None and _uses_service(item) else 0


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Put what the service has logged during a failed test beside the failure."""
    report = yield
    running = item.config.stash.get(_SERVICE, None)
    if report.failed and running is not None and _uses_service(item):
        logged = running.log(item.stash.get(_LOG_BEGINS, 0)).rstrip()
        report.sections.append(("Poolwright service log", logged or "nothing was logged during this test"))
    return report


def _uses_service(item: pytest.Item) -> bool:
    return "poolwright_service" in getattr(item, "fixturenames", ())
