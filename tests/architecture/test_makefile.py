"""`make TARGET` installs what the target needs, also in a fresh clone."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("target", ["test", "check", "bench", "soak", "fuzz", "docs"])
def test_a_target_that_imports_the_tests_installs_their_libraries(target: str, tmp_path: Path) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    shutil.copytree(ROOT / "requirements", tmp_path / "requirements")

    told = subprocess.run(["make", "--dry-run", target], cwd=tmp_path, capture_output=True, text=True, check=True)

    installed, _, ran = told.stdout.rpartition("requirements/dev.lock")
    assert "requirements/runtime.lock" in installed
    assert ".venv/bin/python " in ran
