"""The example's script that calls az, tested by the example's own test."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.example import run_example


@pytest.mark.az
def test_the_script_on_az_is_tested_as_shown(az_path: Path, tmp_path: Path) -> None:
    assert "1 passed, 1 deselected" in run_example("script", tmp_path, POOLWRIGHT_AZ=str(az_path))
