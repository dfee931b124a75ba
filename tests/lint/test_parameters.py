"""Values of parameters are looked at as a deployment looks at them, and told where they are given."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from poolwright.lint.catalogs import Catalogs
from poolwright.lint.findings import Finding, LintReport
from poolwright.lint.linting import lint, settings_of

POOL = "Microsoft.ContainerService/managedClusters/agentPools"
DECLARED: dict[str, Any] = {
    "env": {"type": "string", "allowedValues": ["dev", "prod"], "defaultValue": "dev"},
    "n": {"type": "int", "minValue": 1, "maxValue": 5, "defaultValue": 1},
    "short": {"type": "string", "minLength": 2, "maxLength": 4, "defaultValue": "abc"},
    "flag": {"type": "bool", "defaultValue": False},
    "list": {"type": "array", "maxLength": 1, "defaultValue": []},
    "pool": {"$ref": "#/definitions/pool", "defaultValue": {"name": "a"}},
    "version": {"type": "string", "defaultValue": "1.33"},
}


def template(path: Path, declared: dict[str, Any] | None = None) -> Path:
    """A template with those parameters, of which a node pool uses one."""
    pool = {
        "type": POOL,
        "name": "c/p",
        "properties": {"vmSize": "Standard_D4s_v5", "orchestratorVersion": "[parameters('version')]"},
    }
    document = {
        "$schema": "deploymentTemplate.json#",
        "contentVersion": "1",
        "definitions": {"pool": {"type": "object", "properties": {"name": {"type": "string"}}}},
        "parameters": declared if declared is not None else DECLARED,
        "resources": [pool],
    }
    path.write_text(json.dumps(document, indent=1))
    return path


def linted(paths: list[Path], *parameters: str) -> LintReport:
    """The report of templates with these parameters."""
    return lint(paths, settings_of("documented", parameters, None), Catalogs(), date(2026, 11, 26))


def errors_of(report: LintReport) -> list[Finding]:
    return [finding for finding in report.findings if finding.level.value == "error"]


REFUSED = [
    ("env", "staging", "is not part of the allowed value(s): 'dev,prod'"),
    ("n", 7, "is greater than the maximum value '5'"),
    ("n", 0, "is smaller than the minimum value '1'"),
    ("n", "many", "is of type 'String', expected 'Integer'"),
    ("short", "a", "the minimum length is '2'"),
    ("short", "abcde", "the maximum length is '4'"),
    ("list", [1, 2], "the maximum length is '1'"),
    ("pool", {"name": 1}, "is of type 'Integer', expected 'String'"),
    ("pool", {}, "lacks the property 'name'"),
]


@pytest.mark.parametrize(("name", "value", "message"), REFUSED)
def test_a_value_that_the_template_does_not_take(tmp_path: Path, name: str, value: Any, message: str) -> None:
    path = template(tmp_path / "t.json")
    given = tmp_path / "p.json"
    given.write_text(f'{{"$schema": "x/deploymentParameters.json#", "parameters": {{\n "{name.upper()}":\n')
    given.write_text(given.read_text() + f'{{"value": {json.dumps(value)}}}}}}}')
    text = value if isinstance(value, str) else json.dumps(value)
    for parameters, place in ((str(given), f"{given}:3:1"), (f"{name}={text}", str(path))):
        (finding,) = errors_of(linted([path], parameters))
        assert finding.kind.id == "template-parameters"
        assert message in finding.message
        shown = f" '{value}'" if isinstance(value, (str, int)) else ""
        assert f"'The provided value{shown} for the template parameter '{name}' is not valid." in finding.message
        assert str(finding.place).startswith(place)
    line = path.read_text().splitlines()[finding.place.line - 1]
    assert f'"{name}": {{' in line


@pytest.mark.parametrize(
    "parameter",
    ["env=prod", "n= 5", "short=1.30", "flag=TRUE", "flag=no", "list=[1]", 'pool={"name": "b"}', "version=1.30"],
)
def test_a_value_is_what_az_makes_of_it_by_its_type(tmp_path: Path, parameter: str) -> None:
    report = linted([template(tmp_path / "t.json")], parameter)
    assert errors_of(report) == []
    expected = "1.30" if parameter.startswith("version") else "1.33"
    assert report.pools[0].pool.properties["orchestratorVersion"] == expected


def test_of_several_templates_each_has_to_refuse_it(tmp_path: Path) -> None:
    other = {**DECLARED, "env": {"type": "string"}}
    mine, taking = template(tmp_path / "a.json"), template(tmp_path / "b.json", other)
    without = template(tmp_path / "c.json", {"version": DECLARED["version"]})
    assert errors_of(linted([mine, taking], "env=staging")) == []
    assert len(errors_of(linted([mine, without], "env=staging"))) == 1


def test_a_default_that_its_own_type_does_not_take_is_a_mistake_also_where_nothing_wants_it(tmp_path: Path) -> None:
    declared = {**DECLARED, "env": {"type": "string", "allowedValues": ["a"], "defaultValue": "b"}}
    (finding,) = errors_of(linted([template(tmp_path / "t.json", declared)]))
    assert (finding.kind.id, "allowed value" in finding.message) == ("template", True)
    assert errors_of(linted([template(tmp_path / "t.json", declared)], "env=a")) == []


def test_what_is_refused_is_unknown_to_the_node_pools(tmp_path: Path) -> None:
    declared = {"version": {"type": "string", "allowedValues": ["1.33"]}}
    report = linted([template(tmp_path / "t.json", declared)], "version=1.99")
    assert str(report.pools[0].pool.properties["orchestratorVersion"]) == "[parameters('version')]"
    assert [finding.kind.id for finding in errors_of(report)] == ["template-parameters"]


@pytest.mark.parametrize(("value", "count"), [("prod", 0), ("staging", 1), ("[parameters('unknown')]", 0)])
def test_a_nested_deployment_is_given_what_its_template_takes(tmp_path: Path, value: str, count: int) -> None:
    inner = {"$schema": "deploymentTemplate.json#", "parameters": {"env": DECLARED["env"]}, "resources": []}
    properties = {
        "expressionEvaluationOptions": {"scope": "inner"},
        "parameters": {"env": {"value": value}},
        "template": inner,
    }
    deployment = {"type": "Microsoft.Resources/deployments", "name": "d", "properties": properties}
    document = {
        "$schema": "deploymentTemplate.json#",
        "contentVersion": "1",
        "parameters": {"unknown": {"type": "string"}},
        "resources": [deployment],
    }
    (tmp_path / "t.json").write_text(json.dumps(document, indent=1))
    found = errors_of(linted([tmp_path / "t.json"]))
    assert len(found) == count
    for finding in found:
        line = (tmp_path / "t.json").read_text().splitlines()[finding.place.line - 1]
        assert '"env": {' in line
        assert "allowed value" in finding.message


def test_a_type_that_is_none_is_a_mistake_of_the_template(tmp_path: Path) -> None:
    declared = {"version": DECLARED["version"], "x": {"type": "strin", "defaultValue": "a"}}
    (finding,) = errors_of(linted([template(tmp_path / "t.json", declared)]))
    assert "The type at 'x' is not valid" in finding.message


@pytest.mark.parametrize(
    ("sent", "said", "is_given"),
    [
        ("[reference('aks').agentPoolProfiles[0].vmSize]", "[reference('aks').agentPoolProfiles[0].vmSize]", False),
        ("[parameters('size')]", "[parameters('size')]", True),
        ("[concat('Standard_', parameters('size'))]", "[parameters('size')]", True),
    ],
)
def test_what_is_unknown_in_a_module_is_told_by_what_its_call_gives(
    tmp_path: Path, sent: str, said: str, is_given: bool
) -> None:
    pool = {
        "type": POOL,
        "name": "c/p",
        "properties": {"vmSize": "[parameters('of')]"},
    }
    properties = {
        "expressionEvaluationOptions": {"scope": "inner"},
        "parameters": {"of": {"value": sent}},
        "template": {"parameters": {"of": {"type": "string"}}, "resources": [pool]},
    }
    template = {
        "$schema": "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#",
        "contentVersion": "1.0.0.0",
        "parameters": {"size": {"type": "string", "minLength": 1}},
        "resources": [{"type": "Microsoft.Resources/deployments", "name": "m", "properties": properties}],
    }
    (tmp_path / "main.json").write_text(json.dumps(template))
    report = lint([tmp_path / "main.json"], settings_of("documented", [], None), Catalogs(), date(2026, 11, 26))
    (finding,) = (each for each in report.findings if each.kind.id == "unknown")
    assert finding.message == f"the generation is unknown: the size is [parameters('of')], which hangs on {said}"
    assert ("--parameters" in finding.remedy) is is_given
