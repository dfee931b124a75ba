"""An audit as CSV, SARIF and HTML, a plan as Markdown and HTML."""

from __future__ import annotations

import csv
import io
import json
import re
from typing import Any

import pytest

from poolwright.fleet.audit import OBSTACLES, Audit, audit
from poolwright.fleet.audit_reports import COLUMNS, RULES, csv_text, sarif_log
from poolwright.fleet.html_pages import audit_page, plan_page
from poolwright.fleet.plan import Plan
from poolwright.fleet.plan_report import outline
from poolwright.fleet.planning import plan
from poolwright.fleet.reading import read
from poolwright.reports.blocks import markdown
from tests.fleet.fleets import audited, cluster, exported, fleet_of, pool, targets_for
from tests.reports.test_sarif import valid

NASTY = "</script><script>alert(1)</script><img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def found() -> Audit:
    return audited(exported())


@pytest.fixture(scope="module")
def made() -> Plan:
    fleet = exported()
    targets = targets_for(fleet)
    return plan(fleet, audit(fleet, targets), targets)


def test_csv_has_every_pool_and_every_column(found: Audit) -> None:
    rows = list(csv.DictReader(io.StringIO(csv_text(found))))
    assert [row["id"] for row in rows] == [each.id for each in found.pools]
    batch = next(row for row in rows if row["pool"] == "batch")
    assert batch["sizes"] == "Standard_D4_v3"
    assert batch["firstEndOf"] == "Ubuntu 22.04: unsupported"
    assert set(batch) == set(COLUMNS)


def test_csv_gives_spreadsheets_no_formula() -> None:
    found = audited(fleet_of(cluster(pool(vmSize="=HYPERLINK(1)"))))
    (row,) = csv.DictReader(io.StringIO(csv_text(found)))
    assert row["sizes"] == "'=HYPERLINK(1)"


@pytest.mark.parametrize(
    ("written", "cell"),
    [
        ("@SUM(A1)", "'@SUM(A1)"),
        (" =1", "' =1"),
        ("\uff1d1", "'\uff1d1"),
        ("\t=1", "\\t=1"),
        ("\r\n-1", "\\r\\n-1"),
        ("a\x1b[2J\u202e", "a\\x1b[2J\\u202e"),
        ("a-b=c", "a-b=c"),
    ],
)
def test_a_cell_of_csv_is_no_formula_and_steers_nothing(written: str, cell: str) -> None:
    found = audited(fleet_of(cluster(pool(vmSize=written, provisioningState=written))))
    (row,) = csv.DictReader(io.StringIO(csv_text(found)))
    assert row["sizes"] == row["provisioningState"] == cell


def test_sarif_is_valid_and_says_what_the_audit_says(found: Audit) -> None:
    run = valid(sarif_log(found))
    counted: dict[str, int] = {}
    for result in run["results"]:
        counted[result["ruleId"]] = counted.get(result["ruleId"], 0) + 1
    assert counted == {
        "fleet-gen1": 10,
        "fleet-ends-soon": 8,
        "fleet-ended": 3,
        "fleet-windows-2019": 1,
        "fleet-cluster-stopped": 1,
        "fleet-no-mode": 2,
    }
    gen1 = next(result for result in run["results"] if result["ruleId"] == "fleet-gen1")
    place = gen1["locations"][0]
    assert place["physicalLocation"]["artifactLocation"]["uri"] == "az-aks-nodepool-list.json"
    assert place["physicalLocation"]["region"] == {"startLine": 2}
    assert place["logicalLocations"][0]["fullyQualifiedName"].endswith("/agentPools/extra")


def test_csv_and_sarif_name_the_line_of_the_node_pool_and_not_of_its_cluster() -> None:
    text = json.dumps([cluster(pool("np1"), pool("np2"))], indent=1)
    wanted = [number - 1 for number, line in enumerate(text.splitlines(), 1) if '"name": "np' in line]
    found = audited(read([("fleet.json", text)]))
    assert [int(row["line"]) for row in csv.DictReader(io.StringIO(csv_text(found)))] == wanted
    places = [result["locations"][0]["physicalLocation"] for result in valid(sarif_log(found))["results"]]
    assert {place["region"]["startLine"] for place in places} == set(wanted)


def test_sarif_tells_of_broken_input() -> None:
    run = valid(sarif_log(audited(read([("a.json", "[\n{"), ("<stdin>", "[7]")]))))
    notes = run["invocations"][0]["toolExecutionNotifications"]
    assert [note["message"]["text"].partition(":")[0] for note in notes] == ["unknown", "broken"]
    assert "physicalLocation" not in notes[0]["locations"][0], "standard input is no file"
    assert notes[1]["locations"][0]["physicalLocation"]["region"] == {"startLine": 2}


def test_every_obstacle_is_a_rule_of_sarif() -> None:
    assert {f"fleet-{row.rule.id}" for row in OBSTACLES} <= {rule.id for rule in RULES}


def data_of(page: str) -> dict[str, Any]:
    (text,) = re.findall(r'<script id="data" type="application/json">(.*?)</script>', page, re.DOTALL)
    document = json.loads(text)
    assert isinstance(document, dict)
    return document


def test_the_page_carries_every_pool_as_json(found: Audit) -> None:
    data = data_of(audit_page(found))
    place = data["columns"].index("id")
    assert [row[place] for row in data["rows"]] == [each.id for each in found.pools]


def test_nothing_of_the_fleet_steers_who_reads_a_page_or_a_plan() -> None:
    steering = "\x1b]0;x\x07\u202e\n"
    export = cluster(pool(vmSize="Standard_D4_v3", eTag=steering, tags={"a": steering}), pool("np2", vmSize=steering))
    fleet = fleet_of(export)
    found = audited(fleet)
    made = plan(fleet, found, targets_for(fleet))
    assert len(made.moves) == 1
    for text in (audit_page(found), plan_page(made), markdown(outline(made))):
        assert text.replace("\n", "").isprintable()
    sizes = data_of(audit_page(found))["columns"].index("sizes")
    assert {row[sizes] for row in data_of(audit_page(found))["rows"]} == {"Standard_D4_v3", r"\x1b]0;x\x07\u202e\n"}


def test_nothing_of_the_fleet_becomes_markup() -> None:
    found = audited(fleet_of(cluster(pool(vmSize=NASTY), name="c&<b>")))
    page = audit_page(found)
    assert "<img" not in page
    assert page.count("<script") == 2
    data = data_of(page)
    assert data["rows"][0][data["columns"].index("sizes")] == NASTY


@pytest.mark.parametrize("kind", ["audit", "plan"])
def test_a_page_names_no_other_place(kind: str, found: Audit, made: Plan) -> None:
    page = audit_page(found) if kind == "audit" else plan_page(made)
    outside = re.findall(r"""(?:src|href|action|url)\s*[=(]\s*["']?([^"'\s>)]+)""", page)
    assert all(each.startswith(("#", "data:")) for each in outside), outside
    assert "default-src &#x27;none&#x27;" in page


def test_a_plan_says_everything_in_both_forms(made: Plan) -> None:
    text, page = markdown(outline(made)), plan_page(made)
    for move in made.moves:
        for step in move.steps:
            for line in (*step.az, *step.kubectl, *(check.run for check in step.checks)):
                assert line in text
                assert line.replace("&", "&amp;").replace("'", "&#x27;").replace('"', "&quot;") in page
    for row in made.quota:
        assert f"\n{row.check}\n" in text, "a line of its own, so that it can be copied"
    for stay in made.stays:
        assert stay.move == "done" or stay.because[0].message in text
    assert "| `start it: az aks start -g shop -n shop-test` |" in text
    assert "node image 2204gen2containerd; 1 more machine while it runs." in text
    assert [line for line in text.splitlines() if line.startswith("## ")][:4] == [
        *("## Moves", "## Quota", "## What stays", "## Cluster data/lake (eastus)"),
    ]


def test_a_plan_says_what_it_assumes(made: Plan) -> None:
    choices = [choice for move in made.moves for size in move.sizes for choice in (size.to, *size.alternatives)]
    assert any(choice.assumed for choice in choices)
    for text in (markdown(outline(made)), plan_page(made)):
        assert "Assumed" in text
        assert "that it is offered there; that it is in zones 1, 2 and 3" in text
