"""The environments of the clients, which are installed where they are missing."""

from __future__ import annotations

from pathlib import Path

import pytest
from environments import ANSIBLE, JAVASCRIPT, cache_directory, require


@pytest.fixture(scope="session")
def javascript() -> Path:
    return require(JAVASCRIPT, cache_directory())


@pytest.fixture(scope="session")
def ansible() -> Path:
    return require(ANSIBLE, cache_directory())
