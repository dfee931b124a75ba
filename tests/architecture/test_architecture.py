"""What holds for the tree as a whole: imports, documents, data, names."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

from poolwright import errors

ROOT = Path(__file__).parent.parent.parent
SOURCES = sorted((ROOT / "src" / "poolwright").rglob("*.py"))
DOMAIN = sorted((ROOT / "src" / "poolwright" / "domain").glob("*.py"))
DOCUMENTS = (
    *("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "LICENSE", "docs/compatibility.md"),
    *("docs/testing.md", "docs/container.md", "docs/images.md", "docs/fleet.md", "docs/lint.md"),
)


def test_imports_go_down_only() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    run = subprocess.run([linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.parametrize("path", DOMAIN, ids=lambda path: path.stem)
def test_the_domain_knows_no_clock_no_file_no_network_and_no_logging(path: Path) -> None:
    forbidden = re.compile(
        r"^\s*(?:import|from)\s+(time|datetime|os|pathlib|io|socket|logging|random|uuid|secrets|asyncio|"
        r"pydantic|sqlalchemy|starlette|structlog|httpx|orjson)\b",
        re.MULTILINE,
    )
    assert not forbidden.findall(path.read_text())


def test_every_module_says_why_it_exists() -> None:
    packages = {path for path in SOURCES if path.name == "__init__.py" and not path.read_text().strip()}
    silent = [path for path in SOURCES if path not in packages and not path.read_text().lstrip().startswith('"""')]
    assert not silent, silent


def test_the_generated_tables_are_not_stale() -> None:
    compatibility = _tool("compatibility")
    document = compatibility.DOCUMENT.read_text()
    assert compatibility.rendered(document) == document, "run `make docs`"
    assert compatibility.rendered_schema() == compatibility.SCHEMA.read_text(), "run `make docs`"


def test_a_stale_table_would_be_noticed() -> None:
    compatibility = _tool("compatibility")
    document = compatibility.DOCUMENT.read_text()
    stale = document.replace("`gen1-windows`", "`gen1-forgotten`")
    assert stale != document
    assert compatibility.rendered(stale) == document


def test_each_error_has_one_code_of_its_own() -> None:
    codes = [leaf.code for leaf in errors.leaves()]
    assert len(codes) == len(set(codes)) > 30
    assert all(leaf.cause and leaf.advice and leaf.wording in ("azure", "ours") for leaf in errors.leaves())


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_documents_exist_and_their_links_lead_somewhere(name: str) -> None:
    text = (ROOT / name).read_text()
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
        assert (ROOT / name).parent.joinpath(target).exists(), f"{name} links to {target}"


def test_the_changelog_and_the_package_agree_on_the_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert f"## {version}" in (ROOT / "CHANGELOG.md").read_text()


def test_no_file_names_a_package_index() -> None:
    locks = [*ROOT.glob("requirements/*.lock"), *ROOT.glob("src/poolwright/az/*.lock")]
    assert len(locks) >= 4
    for lock in locks:
        text = lock.read_text()
        assert "://" not in text, lock.name
        assert "--hash=sha256:" in text
        assert not re.search(r"^--?(index|extra|find|trusted)", text, re.MULTILINE), lock.name


def _tool(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
