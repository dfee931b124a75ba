"""Whatever a file holds, lint ends with a report: planted files with any one thing in them changed."""

from __future__ import annotations

import json
import tempfile
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poolwright.domain.profile import Profile
from poolwright.lint.catalogs import Catalogs
from poolwright.lint.findings import LintReport
from poolwright.lint.linting import Settings, lint
from poolwright.lint.rendering import counts_of, json_of, sarif_of, text_of
from tests.lint.test_positions import VALUES, paths

PLANTED = Path(__file__).parent / "planted"
CATALOGS = Catalogs()


def linted(name: str, content: str) -> LintReport:
    """The report of a file with that content, which every form can show."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_text(content, "utf-8", "replace")
        report = lint([path], Settings(profile=Profile.AZURE_2026), CATALOGS, date(2026, 11, 26))
    text_of(report)
    json.dumps(json_of(report))
    json.dumps(sarif_of(report, "0"))
    return report


def changed(value: Any, path: tuple[str | int, ...], new: Any) -> Any:
    """The value with another one at the path."""
    if not path:
        return new
    first, *rest = path
    if isinstance(value, dict):
        return {name: changed(part, tuple(rest), new) if name == first else part for name, part in value.items()}
    return [changed(part, tuple(rest), new) if index == first else part for index, part in enumerate(value)]


@pytest.mark.parametrize("name", ["main.json", "plan.json"])
@settings(max_examples=30, deadline=None)
@given(st.data())
def test_any_one_value_of_a_json_file_changed(name: str, data: st.DataObject) -> None:
    whole = json.loads((PLANTED / name).read_text())
    path, _ = data.draw(st.sampled_from(paths(whole)))
    wrong = st.sampled_from(
        ["[parameters('x')]", "[[", "[concat(", "[copyIndex()]", 10**30, -1, True, {}, [], [{}], [[]]]
    )
    report = linted(name, json.dumps(changed(whole, path, data.draw(VALUES | wrong)), ensure_ascii=True))
    assert report.files == 1 or report.broken  # where it is no template any more, that is told


@pytest.mark.parametrize("name", sorted(path.name for path in PLANTED.iterdir() if path.suffix != ".bicep"))
@settings(max_examples=15, deadline=None)
@given(st.data())
def test_any_part_of_a_file_gone_or_something_else(name: str, data: st.DataObject) -> None:
    whole = (PLANTED / name).read_text()
    start = data.draw(st.integers(0, len(whole)))
    end = min(len(whole), start + data.draw(st.integers(0, 60)))
    put = data.draw(st.text(st.sampled_from("{}[]()\"'\\$\n :-|>&*#az"), max_size=6))
    linted(name, whole[:start] + put + whole[end:])


@pytest.mark.parametrize(
    "properties",
    [
        {"templateLink": {"uri": "https://x/aks.json"}},
        {"templateLink": {"id": "[parameters('spec')]"}, "parameters": {}},
        {"template": "[variables('t')]"},
        "[variables('p')]",
    ],
)
def test_a_template_that_stands_elsewhere_is_told_as_not_read(properties: Any) -> None:
    deployment = {"type": "Microsoft.Resources/deployments", "name": "m", "properties": properties}
    off = {**deployment, "condition": False}
    template = {"$schema": "x/deploymentTemplate.json#", "contentVersion": "1.0.0.0", "resources": [deployment, off]}
    report = linted("main.json", json.dumps(template, indent=1))
    (finding,) = report.findings
    assert (report.files, report.pools, report.broken) == (1, [], [])
    assert "does not stand here and was not read" in finding.message
    assert (finding.kind.id, finding.level.value) == ("template-elsewhere", "warning")
    assert finding.place.line == 8 + ("templateLink" in properties)
    assert counts_of(report)["elsewhere"] == 1
