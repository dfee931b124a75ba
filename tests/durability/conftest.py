"""Processes of their own, which never outlive their test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.durability.operations_process import OperationsProcess


@pytest.fixture
def process(tmp_path: Path) -> Iterator[OperationsProcess]:
    """The durable port on a directory of its own, not started yet."""
    made = OperationsProcess(tmp_path / "operations")
    yield made
    made.end()
