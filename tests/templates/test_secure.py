"""Secure values are neither stored nor shown, whatever is built from them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from poolwright import errors
from poolwright.domain.deployment import PreparedDeployment
from poolwright.store.records import dump
from poolwright.templates.preparation import prepare
from poolwright.templates.requested import Requested
from tests.templates.builders import BICEP, HERE, WORLD, cluster, module, pool, prepared


def test_the_value_of_a_secure_parameter_is_nowhere() -> None:
    template = json.loads((BICEP / "node-pools.json").read_text())
    template["variables"] = {"literal": {"adminPassword": "hunter2"}}
    template["parameters"]["other"] = {"type": "secureString", "defaultValue": "hunter2"}
    sent = {"adminPassword": {"value": "hunter2"}, "pools": {"value": [{"name": "np1", "count": 1}]}}
    made = prepare(HERE, Requested(template, sent), WORLD)
    assert b"hunter2" not in dump(made)
    assert made.deployment.parameters["adminPassword"] == {"type": "SecureString"}
    inner = {
        "parameters": {"adminPassword": {"type": "securestring"}},
        "resources": [cluster(properties={"windowsProfile": {"adminPassword": "[parameters('adminPassword')]"}})],
    }
    nested = prepared([module("m", inner, {"adminPassword": "hunter2"})])
    assert b"hunter2" not in dump(nested)
    assert nested.resources[0].nested is not None


def test_what_would_need_a_secret_later_is_refused_beforehand() -> None:
    secure = {"pw": {"type": "securestring"}, "name": {"type": "string", "defaultValue": "x"}}
    late = pool(properties={"tags": {"a": "[reference('c1').fqdn]", "b": "[variables('v')]"}})
    with pytest.raises(errors.InvalidTemplate, match="and to the secure parameter 'pw'"):
        prepared([cluster(), late], {"pw": "x"}, parameters=secure, variables={"v": "[parameters('PW')]"})
    shown = {"shown": {"type": "string", "value": "[parameters('pw')]"}}
    with pytest.raises(errors.InvalidTemplate, match="output 'shown' shows the secure parameter 'pw'"):
        prepared([cluster()], {"pw": "x"}, parameters=secure, outputs=shown)


SECURE = {"pw": {"type": "securestring"}}
BUILT = [
    "[concat('x', parameters('pw'))]",
    "[base64(parameters('PW'))]",
    "[substring(sys.parameters('pw'), 0, 3)]",
    "[parameters(concat('p', 'w'))]",
    "[variables('built')]",
    "[sys.variables('loop')[0]]",
    "[if(equals(parameters('pw'), 'x'), 'hunter', 'none')]",
]
KEPT_TEXTS = (b"hunter", b"aHVudGVyMg", b"hun", b"none")
VARIABLES = {
    "built": {"of": "[concat('y', parameters('pw'))]"},
    "copy": [{"name": "loop", "count": 1, "input": "[parameters('pw')]"}],
}


def without_expressions(made: PreparedDeployment) -> bytes:
    """What is stored, without the text of the template: expressions name what they use and not its value."""
    return dump(replace(made, deployment=replace(made.deployment, template={})))


@pytest.mark.parametrize("built", BUILT)
def test_what_a_default_builds_from_a_secure_parameter_is_as_secure(built: str) -> None:
    kind = "object" if built == "[variables('built')]" else "string"
    parameters = SECURE | {
        "derived": {"type": kind, "defaultValue": built},
        "again": {"type": kind, "defaultValue": "[parameters('Derived')]"},
        "plain": {"type": "string", "defaultValue": "shown"},
    }
    made = prepared([cluster()], {"pw": "hunter2"}, parameters=parameters, variables=VARIABLES)
    stored = without_expressions(made)
    assert not any(text in stored for text in KEPT_TEXTS)
    assert made.deployment.values == {"plain": "shown"}
    assert "value" not in made.deployment.parameters["again"]
    shown = {"shown": {"type": kind, "value": "[parameters('again')]"}}
    with pytest.raises(errors.InvalidTemplate, match="output 'shown' shows the secure parameter 'again'"):
        prepared([], {"pw": "hunter2"}, parameters=parameters, variables=VARIABLES, outputs=shown)
    late = pool(properties={"tags": {"a": "[reference('c1').fqdn]", "b": "[string(parameters('again'))]"}})
    with pytest.raises(errors.InvalidTemplate, match="and to the secure parameter 'again'"):
        prepared([cluster(), late], {"pw": "hunter2"}, parameters=parameters, variables=VARIABLES)
    sent = {"pw": "hunter2", "derived": {} if kind == "object" else "given", "again": {} if kind == "object" else "b"}
    assert prepared([], sent, parameters=parameters, variables=VARIABLES).deployment.values.keys() == {
        "derived",
        "again",
        "plain",
    }


@pytest.mark.parametrize("built", BUILT)
def test_what_a_module_is_given_of_a_secure_parameter_is_as_secure_in_it(built: str) -> None:
    kind = "object" if built == "[variables('built')]" else "string"
    inner = {
        "parameters": {
            "given": {"type": kind},
            "derived": {"type": "string", "defaultValue": "[string(parameters('given'))]"},
            "plain": {"type": "string"},
        },
        "resources": [cluster(properties={"windowsProfile": {"adminPassword": "[parameters('derived')]"}})],
    }
    around = module("m", inner, {"Given": built, "plain": "shown"})
    made = prepared([around], {"pw": "hunter2"}, parameters=SECURE, variables=VARIABLES)
    nested = made.resources[0].nested
    assert nested is not None
    assert nested.deployment.values == {"plain": "shown"}
    assert not any(text in without_expressions(made) for text in KEPT_TEXTS)
    inner["outputs"] = {"o": {"type": "string", "value": "[parameters('derived')]"}}
    with pytest.raises(errors.InvalidTemplate, match="output 'o' shows the secure parameter 'derived'"):
        prepared([around], {"pw": "hunter2"}, parameters=SECURE, variables=VARIABLES)


def test_parameters_of_a_module_that_are_built_as_a_whole_are_all_secure() -> None:
    inner = {"parameters": {"a": {"type": "string"}, "b": {"type": "string"}}, "resources": []}
    around = module("m", inner)
    around["properties"]["parameters"] = "[variables('all')]"
    whole = {"all": {"a": {"value": "[parameters('pw')]"}, "b": {"value": "x"}}}
    nested = prepared([around], {"pw": "hunter2"}, parameters=SECURE, variables=whole).resources[0].nested
    assert nested is not None
    assert nested.deployment.values == {}


@pytest.mark.parametrize(
    "inner",
    [
        {"resources": [], "outputs": {"o": {"type": "string", "value": "[concat('x', parameters('pw'))]"}}},
        {"resources": [cluster(tags={"a": "[variables('built').of]"})]},
    ],
    ids=["outputs", "resources"],
)
def test_a_nested_template_of_outer_scope_cannot_use_a_secure_parameter(inner: dict[str, Any]) -> None:
    nested = module("m", inner)
    nested["properties"].pop("expressionEvaluationOptions")
    with pytest.raises(errors.InvalidTemplate, match="is evaluated in the scope of the outer template") as caught:
        prepared([nested], {"pw": "hunter2"}, parameters=SECURE, variables=VARIABLES)
    assert "scope to inner" in str(caught.value.remedy)


def test_a_nested_template_of_outer_scope_may_use_one_where_it_is_not_kept() -> None:
    inner = {
        "resources": [cluster(properties={"windowsProfile": {"adminPassword": "[parameters('pw')]"}})],
        "outputs": {"o": {"type": "securestring", "value": "[parameters('pw')]"}},
    }
    nested = module("m", inner)
    nested["properties"].pop("expressionEvaluationOptions")
    assert b"hunter2" not in dump(prepared([nested], {"pw": "hunter2"}, parameters=SECURE))


def test_secure_values_that_are_written_in_a_template_are_not_kept() -> None:
    inner = {
        "definitions": {"secret": {"type": "secureObject"}},
        "parameters": {
            "text": {"type": "securestring", "defaultValue": "hunter2", "allowedValues": ["hunter2", "other"]},
            "object": {"$ref": "#/definitions/secret", "defaultValue": {"a": "hunter2"}},
        },
        "resources": [],
        "outputs": {"o": {"type": "secureString", "value": "hunter2"}},
    }
    made = prepared([module("m", inner, {"Object": {"b": "hunter2"}})], outputs=inner["outputs"])
    assert b"hunter2" not in dump(made)
    assert b"hunter2" not in dump(prepare(HERE, Requested(inner, {}), WORLD))
    late = module("m", inner, {"object": {"b": "hunter2"}}, tags={"a": "[reference('c1').fqdn]"})
    with pytest.raises(errors.InvalidTemplate, match="has a value for the secure parameter 'object'"):
        prepared([cluster(), late])
