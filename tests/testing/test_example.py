"""The example of docs/testing.md runs as it stands there; tests/az runs the part with az."""

from __future__ import annotations

from pathlib import Path

from tests.support.example import EXAMPLE, run_example

DOCUMENT = Path(__file__).parents[2] / "docs" / "testing.md"


def test_the_document_shows_the_files_of_the_example() -> None:
    for name in ("seed.yaml", "double.sh", "fleet.py", "conftest.py", "test_node_pools.py"):
        assert f"\n{(EXAMPLE / name).read_text()}```\n" in DOCUMENT.read_text(), name


def test_the_function_on_the_sdk_is_tested_as_shown(tmp_path: Path) -> None:
    assert "1 passed, 1 deselected" in run_example("function", tmp_path)
