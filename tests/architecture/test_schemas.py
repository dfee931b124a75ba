"""The published schemas are those of the code."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

TOOL = Path(__file__).parents[2] / "tools" / "schemas.py"


@pytest.fixture(scope="module")
def schemas() -> ModuleType:
    spec = importlib.util.spec_from_file_location("schemas", TOOL)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_no_schema_is_stale(schemas: ModuleType) -> None:
    assert schemas.stale() == [], "run `make docs`"


def test_a_stale_schema_would_be_noticed(schemas: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schemas, "DOCS", tmp_path)
    (tmp_path / "seed.schema.json").write_text(schemas.rendered("seed.schema.json").replace("cores", "forgotten"))
    assert schemas.stale() == list(schemas.SCHEMAS)
