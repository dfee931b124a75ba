"""SARIF: what OASIS's schema takes, with places that exist."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from poolwright.reports.sarif import Level, SarifNotification, SarifPlace, SarifResult, SarifRule, sarif, uri_of

SCHEMA = json.loads((Path(__file__).parents[1] / "spec" / "sarif-2.1.0.json").read_text())
RULES = [
    SarifRule("zeta", "Something is old.", "Make it new.", Level.WARNING),
    SarifRule("alpha", "Something is wrong.", "Set it right.", Level.ERROR),
]


def valid(log: dict[str, Any]) -> dict[str, Any]:
    """The run of a log that the schema takes."""
    jsonschema.Draft4Validator(SCHEMA, format_checker=jsonschema.FormatChecker()).validate(log)
    (run,) = log["runs"]
    assert isinstance(run, dict)
    return run


def test_an_empty_run_is_a_log() -> None:
    run = valid(sarif("1.0", [], []))
    assert run["results"] == []
    assert run["invocations"] == [{"executionSuccessful": True, "toolExecutionNotifications": []}]


def test_results_name_their_rules_by_id_and_by_place() -> None:
    place = SarifPlace("main.tf", 3, 5, name="azurerm_kubernetes_cluster_node_pool.x")
    run = valid(sarif("1.0", RULES, [SarifResult("zeta", "m", place), SarifResult("zeta", "n", place, Level.NOTE)]))
    rules = run["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == ["alpha", "zeta"]
    assert [(result["ruleIndex"], result["level"]) for result in run["results"]] == [(1, "warning"), (1, "note")]
    assert run["results"][0]["locations"] == [
        {
            "physicalLocation": {
                "artifactLocation": {"uri": "main.tf"},
                "region": {"startLine": 3, "startColumn": 5},
            },
            "logicalLocations": [{"fullyQualifiedName": "azurerm_kubernetes_cluster_node_pool.x", "kind": "resource"}],
        }
    ]


def test_an_unknown_line_is_no_region_and_no_file_is_no_physical_place() -> None:
    places = [SarifPlace("a.json"), SarifPlace(name="/subscriptions/s")]
    run = valid(sarif("1.0", RULES, [SarifResult("zeta", "m", place) for place in places]))
    first, second = (result["locations"][0] for result in run["results"])
    assert "region" not in first["physicalLocation"]
    assert "physicalLocation" not in second


def test_what_could_not_be_read_makes_the_run_unsuccessful() -> None:
    run = valid(sarif("1.0", RULES, [], [SarifNotification("no JSON", SarifPlace("a.json", 2))]))
    (invocation,) = run["invocations"]
    assert invocation["executionSuccessful"] is False
    assert invocation["toolExecutionNotifications"][0]["message"] == {"text": "no JSON"}


def test_a_result_of_no_rule_is_a_mistake() -> None:
    with pytest.raises(KeyError):
        sarif("1.0", RULES, [SarifResult("nobody", "m", SarifPlace("a"))])


@pytest.mark.parametrize(
    ("file", "uri"),
    [("a b/c#d.json", "a%20b/c%23d.json"), ("/tmp/a b.json", "file:///tmp/a%20b.json"), ("ä.json", "%C3%A4.json")],
)
def test_files_are_uris(file: str, uri: str) -> None:
    assert uri_of(file) == uri
