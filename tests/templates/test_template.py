"""From a template to its resources: what is evaluated when, what depends on what, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from poolwright import errors
from poolwright.domain.deployment import DeploymentId, DeploymentResource, PreparedDeployment
from poolwright.store.records import dump, load
from poolwright.templates.template import Requested, World, body_of, outputs_of, prepare, requested

SUBSCRIPTION = "00000000-0000-4000-8000-000000000000"
GROUP = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg"
CLUSTERS, POOLS = "Microsoft.ContainerService/managedClusters", "Microsoft.ContainerService/managedClusters/agentPools"
NAMES = (CLUSTERS, POOLS, "Microsoft.Resources/deployments", "Microsoft.Resources/resourceGroups")
SCOPES = ("group", "group", "any", "subscription")
HERE = DeploymentId(SUBSCRIPTION, "rg", "main")
BELOW_SUBSCRIPTION = DeploymentId(SUBSCRIPTION, None, "main")
BICEP = Path(__file__).parent / "bicep"


def cleaned(body: dict[str, Any]) -> dict[str, Any]:
    def clean(part: Any) -> Any:
        if isinstance(part, dict):
            return {name: clean(each) for name, each in part.items() if name.lower() != "adminpassword"}
        return [clean(each) for each in part] if isinstance(part, list) else part

    return dict(clean(body))


WORLD = World(
    require_access=lambda resource: None,
    types={name.lower(): (name, scope) for name, scope in zip(NAMES, SCOPES, strict=True)},
    group=lambda subscription, group: (
        {"id": f"/subscriptions/{subscription}/resourceGroups/{group}", "location": "eastus"} if group == "rg" else None
    ),
    subscription=lambda identifier: (
        {"id": f"/subscriptions/{identifier}", "subscriptionId": identifier} if identifier == SUBSCRIPTION else None
    ),
    facts={},
    cleaned=cleaned,
    now=1_750_000_000.0,
    new_id=lambda: "made",
    correlation_id="c0ffee00-0000-4000-8000-000000000000",
)


def cluster(name: str = "c1", **more: Any) -> dict[str, Any]:
    return {"type": CLUSTERS, "apiVersion": "2025-10-01", "name": name, "location": "eastus", "properties": {}, **more}


def pool(name: str = "c1/np1", **more: Any) -> dict[str, Any]:
    return {"type": POOLS, "apiVersion": "2025-10-01", "name": name, "properties": {"count": 1}, **more}


def module(name: str, template: Mapping[str, Any], parameters: Mapping[str, Any] | None = None, **more: Any) -> Any:
    return {
        "type": "Microsoft.Resources/deployments",
        "apiVersion": "2025-04-01",
        "name": name,
        "properties": {
            "mode": "Incremental",
            "expressionEvaluationOptions": {"scope": "inner"},
            "template": template,
            "parameters": {key: {"value": value} for key, value in (parameters or {}).items()},
        },
        **more,
    }


def prepared(
    resources: Any, given: Mapping[str, Any] | None = None, *, at: DeploymentId = HERE, **sections: Any
) -> PreparedDeployment:
    sent = {name: {"value": value} for name, value in (given or {}).items()}
    location = None if at.group else "eastus"
    return prepare(at, Requested({"resources": resources, **sections}, sent, location), WORLD)


def names_by_stage(made: PreparedDeployment) -> list[list[str]]:
    number = max(resource.stage for resource in made.resources) + 1
    return [[each.name for each in made.resources if each.stage == stage] for stage in range(number)]


# Order.


def test_resources_are_staged_by_what_they_depend_on() -> None:
    made = prepared(
        [
            pool("c1/a", dependsOn=[f"[resourceId('{CLUSTERS}', 'c1')]"]),
            pool("c1/b", dependsOn=["c1/a", f"{CLUSTERS}/c1"]),
            cluster(),
            cluster("c2"),
        ]
    )
    assert names_by_stage(made) == [["c1", "c2"], ["c1/a"], ["c1/b"]]
    assert [each.id for each in made.resources][:1] == [f"{GROUP}/providers/{CLUSTERS}/c1/agentPools/a"]


def test_what_is_referred_to_by_name_comes_first_and_a_child_does_not_wait_for_its_parent() -> None:
    made = prepared(
        {
            "cluster": cluster(resources=[{"type": "agentPools", "apiVersion": "2025-10-01", "name": "child"}]),
            "np1": pool(properties={"tags": {"fqdn": "[reference('cluster').fqdn]"}}),
        }
    )
    assert names_by_stage(made) == [["c1", "c1/child"], ["c1/np1"]]
    assert made.resources[1].type == POOLS


def test_a_serial_loop_goes_in_batches() -> None:
    loop = {"name": "pools", "count": 5, "mode": "Serial", "batchSize": 2}
    made = prepared([pool("[format('c1/np{0}', copyIndex())]", copy=loop), cluster("last", dependsOn=["pools"])])
    stages = [["c1/np0", "c1/np1"], ["c1/np2", "c1/np3"], ["c1/np4"], ["last"]]
    assert names_by_stage(made) == stages


def test_what_would_be_too_much_at_once_goes_in_several_stages() -> None:
    made = prepared(
        [cluster("[format('c{0}', copyIndex())]", copy={"name": "many", "count": 70}), cluster("x", dependsOn=["many"])]
    )
    assert [len(names) for names in names_by_stage(made)] == [32, 32, 6, 1]


def test_symbolic_names_mean_resources_loops_and_single_copies() -> None:
    made = prepared(
        {
            "pools": pool("[format('c1/np{0}', copyIndex())]", copy={"name": "pools", "count": 2}),
            "after": cluster("all", dependsOn=["pools"]),
            "second": cluster("second", dependsOn=["[format('pools[{0}]', 1)]"]),
        }
    )
    depends = {each.name: [made.resources[place].name for place in each.depends_on] for each in made.resources}
    assert depends["all"] == ["c1/np0", "c1/np1"]
    assert depends["second"] == ["c1/np1"]


# What is evaluated when.


def test_what_needs_no_other_resource_is_evaluated_beforehand() -> None:
    made = prepared(
        [
            pool(
                properties={
                    "count": "[parameters('n')]",
                    "copy": [
                        {"name": "nodeTaints", "count": 2, "input": "[format('k{0}=v', copyIndex('nodeTaints'))]"}
                    ],
                    "nodeLabels": {"[format('{0}-key', 'my')]": "[[not an expression]"},
                },
                comments="left out",
                tags={"a": "b"},
            )
        ],
        {"n": 3},
        parameters={"n": {"type": "int"}},
    )
    (resource,) = made.resources
    assert resource.body == {
        "properties": {
            "count": 3,
            "nodeTaints": ["k0=v", "k1=v"],
            "nodeLabels": {"my-key": "[not an expression]"},
        },
        "tags": {"a": "b"},
    }
    assert resource.source is None


def test_what_refers_to_a_state_is_evaluated_when_its_turn_comes() -> None:
    made = prepared(
        {
            "cluster": cluster(),
            "np": pool(
                "[format('c1/np{0}', copyIndex())]",
                copy={"name": "np", "count": 2},
                properties={"tags": {"fqdn": "[reference('cluster').fqdn]", "index": "[string(copyIndex())]"}},
            ),
        }
    )
    second = made.resources[2]
    assert second.body is None
    seen: list[str] = []

    def reference(identifier: str) -> Mapping[str, Any]:
        seen.append(identifier)
        return {"properties": {"fqdn": "c1.invalid"}}

    body = body_of(made.deployment, made.resources, second, reference)
    assert body == {"properties": {"tags": {"fqdn": "c1.invalid", "index": "1"}}}
    assert seen == [f"{GROUP}/providers/{CLUSTERS}/c1"]


def test_a_false_condition_and_an_existing_resource_deploy_nothing() -> None:
    unknown = {"type": "Microsoft.Network/virtualNetworks", "apiVersion": "2024-05-01", "name": "v"}
    made = prepared(
        {
            "off": {**unknown, "condition": "[equals(parameters('env'), 'prod')]"},
            "there": {**unknown, "existing": True, "name": "w"},
            "np": pool(
                properties={"vnetSubnetID": "[format('{0}/subnets/s', resourceInfo('there').id)]"}, dependsOn=["off"]
            ),
        },
        {"env": "test"},
        parameters={"env": {"type": "string"}},
    )
    off, there, np = made.resources
    assert (off.condition, there.existing, np.condition) == (False, True, True)
    assert np.body is not None
    assert np.body["properties"]["vnetSubnetID"] == f"{GROUP}/providers/Microsoft.Network/virtualNetworks/w/subnets/s"


def test_outputs_are_evaluated_in_the_end_and_secure_ones_not_shown() -> None:
    made = prepared(
        {"cluster": cluster()},
        {"pw": "hunter2"},
        parameters={"pw": {"type": "secureString"}},
        outputs={
            "fqdn": {"type": "string", "value": "[reference('cluster').fqdn]"},
            "all": {"type": "array", "copy": {"count": 2, "input": "[copyIndex()]"}},
            "secret": {"type": "secureString", "value": "[parameters('pw')]"},
            "off": {"type": "string", "condition": False, "value": "[fail('not evaluated')]"},
        },
    )
    shown, wrong = outputs_of(made.deployment, made.resources, lambda identifier: {"properties": {"fqdn": "x"}})
    assert wrong == []
    assert shown == {
        "fqdn": {"type": "String", "value": "x"},
        "all": {"type": "Array", "value": [0, 1]},
        "secret": {"type": "SecureString"},
    }
    shown, wrong = outputs_of(made.deployment, made.resources, lambda identifier: None)
    assert [problem.target for problem in wrong] == ["outputs.fqdn.value"]
    assert shown.keys() == {"all", "secret"}


# Modules.


def test_a_module_is_evaluated_by_itself() -> None:
    inner = {
        "parameters": {
            "name": {"type": "string"},
            "where": {"type": "string", "defaultValue": "[resourceGroup().location]"},
        },
        "variables": {"x": "inner"},
        "resources": [
            cluster("[parameters('name')]", location="[parameters('where')]", tags={"x": "[variables('x')]"})
        ],
    }
    made = prepared([module("m", inner, {"name": "[variables('x')]"})], variables={"x": "outer"})
    nested = made.resources[0].nested
    assert nested is not None
    assert nested.deployment.id == DeploymentId(SUBSCRIPTION, "rg", "m")
    assert nested.resources[0].name == "outer"
    assert nested.resources[0].body == {"location": "eastus", "tags": {"x": "inner"}, "properties": {}}


def test_a_nested_template_of_outer_scope_is_evaluated_with_its_surroundings() -> None:
    inner = {"resources": [cluster("[variables('x')]", tags={"text": "[[kept]"})], "outputs": {}}
    nested = module("m", inner)
    nested["properties"]["expressionEvaluationOptions"] = {"scope": "outer"}
    made = prepared([nested], variables={"x": "outer"}).resources[0].nested
    assert made is not None
    assert made.resources[0].name == "outer"
    assert made.resources[0].body == {"location": "eastus", "tags": {"text": "[kept]"}, "properties": {}}


def test_a_module_goes_into_a_group_that_the_deployment_makes() -> None:
    group = {
        "type": "Microsoft.Resources/resourceGroups",
        "apiVersion": "2024-11-01",
        "name": "new",
        "location": "westus2",
    }
    inner = {"resources": [cluster(location="[resourceGroup().location]")]}
    made = prepared([group, module("m", inner, resourceGroup="new", dependsOn=["new"])], at=BELOW_SUBSCRIPTION)
    assert [each.id.rpartition("/providers/")[0] or each.id for each in made.resources] == [
        f"/subscriptions/{SUBSCRIPTION}/resourceGroups/new",
        f"/subscriptions/{SUBSCRIPTION}/resourceGroups/new",
    ]
    nested = made.resources[1].nested
    assert nested is not None
    assert nested.resources[0].body == {"location": "westus2", "properties": {}}


def test_a_module_that_takes_another_one_s_output_waits_for_it() -> None:
    image = "[reference(resourceId('Microsoft.Resources/deployments', 'one')).outputs.image.value]"
    made = prepared(
        [
            module("one", {"resources": []}),
            module(
                "two",
                {"parameters": {"image": {"type": "string"}}, "resources": []},
                {"image": image},
                dependsOn=["one"],
            ),
        ]
    )
    assert made.resources[0].nested is not None
    assert made.resources[1].nested is None
    assert made.resources[1].body is None
    told = {"properties": {"outputs": {"image": {"value": "AKS"}}}}
    body = body_of(made.deployment, made.resources, made.resources[1], lambda identifier: told)
    assert requested(body).parameters == {"image": {"value": "AKS"}}


# Secrets.


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


# Records.


@pytest.mark.parametrize("name", ["node-pools", "modules", "subscription"])
def test_a_prepared_deployment_comes_back_from_its_record(name: str) -> None:
    template = json.loads((BICEP / f"{name}.json").read_text())
    given: dict[str, Any] = {
        "adminPassword": "hunter2",
        "pools": [{"name": "np1", "count": 1, "generation": "V1"}],
        "clusterName": "c1",
        "groupName": "made",
    }
    sent = {key: {"value": value} for key, value in given.items() if key in template["parameters"]}
    at = BELOW_SUBSCRIPTION if name == "subscription" else HERE
    made = prepare(at, Requested(template, sent, "eastus"), WORLD)
    assert load(PreparedDeployment, dump(made)) == made
    assert made.resources
    for resource in made.resources:
        assert load(DeploymentResource, dump(resource)) == resource


def test_preparing_is_a_function_of_what_it_is_given() -> None:
    def once() -> PreparedDeployment:
        return prepared([cluster("[uniqueString(resourceGroup().id)]"), cluster("[toLower('X')]")])

    assert once() == once()
    assert once().deployment.template_hash == once().deployment.template_hash
    assert replace(once().deployment, template_hash="") != once().deployment


# Parameters.

DEFINITIONS = {
    "pool": {
        "type": "object",
        "properties": {
            "name": {"type": "string", "maxLength": 12},
            "generation": {"type": "string", "allowedValues": ["V1", "V2"], "nullable": True},
        },
        "additionalProperties": False,
    },
    "again": {"$ref": "#/definitions/again"},
    "either": {
        "type": "object",
        "discriminator": {
            "propertyName": "kind",
            "mapping": {
                "one": {"type": "object", "properties": {"kind": {"type": "string"}, "x": {"type": "int"}}},
                "two": {"type": "object", "properties": {"kind": {"type": "string"}, "y": {"type": "bool"}}},
            },
        },
    },
}
TAKEN: list[tuple[dict[str, Any], Any]] = [
    ({"type": "string"}, "x"),
    ({"type": "String", "allowedValues": ["a", "b"]}, "b"),
    ({"type": "array", "allowedValues": ["a", "b"]}, ["a"]),
    ({"type": "int", "minValue": 1, "maxValue": 3}, 3),
    ({"type": "string", "minLength": 1, "maxLength": 3}, "abc"),
    ({"type": "string", "nullable": True}, None),
    ({"type": "bool"}, True),
    ({"type": "secureObject"}, {"a": 1}),
    ({"type": "array", "items": {"$ref": "#/definitions/pool"}}, [{"name": "np1", "generation": "V1"}, {"NAME": "b"}]),
    ({"type": "array", "prefixItems": [{"type": "int"}], "items": False}, [1]),
    ({"type": "object", "additionalProperties": {"type": "int"}}, {"a": 1}),
    ({"$ref": "#/definitions/either"}, {"kind": "two", "y": True}),
    ({"$ref": "#/definitions/pool", "nullable": True}, None),
]
NOT_TAKEN: list[tuple[dict[str, Any], Any, str]] = [
    ({"type": "string"}, 1, "'p' is of type 'Integer', expected 'String'"),
    ({"type": "int"}, True, "'p' is of type 'Boolean', expected 'Integer'"),
    ({"type": "int"}, 1.5, "'p' is of type 'Float', expected 'Integer'"),
    ({"type": "string"}, None, "'p' is of type 'Null', expected 'String'"),
    ({"type": "string", "allowedValues": ["a", "b"]}, "c", "is not part of the allowed value(s): 'a,b'"),
    ({"type": "int", "minValue": 1}, 0, "'p' is smaller than the minimum value '1'"),
    ({"type": "int", "maxValue": 1}, 2, "'p' is greater than the maximum value '1'"),
    ({"type": "string", "minLength": 2}, "a", "has length '1', and the minimum length is '2'"),
    ({"type": "array", "maxLength": 1}, [1, 2], "has length '2', and the maximum length is '1'"),
    ({"$ref": "#/definitions/pool"}, {}, "'p' lacks the property 'name'"),
    (
        {"$ref": "#/definitions/pool"},
        {"name": "a", "size": "b"},
        "has the property 'size', which its type does not have",
    ),
    ({"type": "array", "items": {"$ref": "#/definitions/pool"}}, [{"name": 1}], "'p[0].name' is of type 'Integer'"),
    ({"type": "object", "additionalProperties": {"type": "int"}}, {"a": "b"}, "'p.a' is of type 'String'"),
    ({"type": "array", "prefixItems": [{"type": "int"}], "items": False}, [1, 2], "at most 1 are permitted"),
    ({"type": "array", "prefixItems": [{"type": "int"}]}, [], "at least 1 are required"),
    ({"$ref": "#/definitions/either"}, {"kind": "three"}, "'p.kind' is not part of the allowed value(s): 'one,two'"),
    ({"$ref": "#/definitions/either"}, {"kind": "one"}, "'p' lacks the property 'x'"),
    ({"type": "number"}, 1, "Supported types are 'String, SecureString, Int, Bool, Object, SecureObject, Array'"),
    ({"$ref": "#/definitions/none"}, 1, "The type reference '#/definitions/none' at 'parameters.p' is not valid"),
    ({"$ref": "#/definitions/again"}, 1, "refers to itself"),
]


@pytest.mark.parametrize(("definition", "value"), TAKEN, ids=lambda part: str(part)[:60])
def test_a_value_of_its_type_is_taken(definition: dict[str, Any], value: Any) -> None:
    made = prepared([], {"p": value}, parameters={"p": definition}, definitions=DEFINITIONS)
    secure = "secure" in str(definition).lower()
    assert made.deployment.values == ({} if secure else {"p": value})


@pytest.mark.parametrize(("definition", "value", "wrong"), NOT_TAKEN, ids=lambda part: str(part)[:60])
def test_a_value_of_another_type_is_refused(definition: dict[str, Any], value: Any, wrong: str) -> None:
    with pytest.raises(errors.InvalidTemplate) as caught:
        prepared([], {"p": value}, parameters={"p": definition}, definitions=DEFINITIONS)
    assert wrong in caught.value.message


def test_the_value_of_a_secure_parameter_is_in_no_message() -> None:
    for kind in ({"type": "securestring", "minLength": 20}, {"type": "securestring", "allowedValues": ["hunter23"]}):
        with pytest.raises(errors.InvalidTemplate) as caught:
            prepared([], {"p": "hunter2"}, parameters={"p": kind})
        assert "hunter2" not in caught.value.message


def test_defaults_may_use_other_parameters_and_time() -> None:
    made = prepared(
        [],
        {"b": "x"},
        parameters={
            "a": {"type": "string", "defaultValue": "[concat(parameters('b'), utcNow('yyyy'))]"},
            "b": {"type": "string"},
            "c": {"type": "string", "defaultValue": "[newGuid()]"},
            "d": {"type": "string", "nullable": True},
        },
    )
    assert made.deployment.values == {"a": "x2025", "b": "x", "c": "made", "d": None}


# Refusals.

REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "no resources": ({}, "The template has no section 'resources'"),
    "resources of the wrong kind": ({"resources": 1}, "are not an array or an object"),
    "a parameter without a value": (
        {"resources": [], "parameters": {"p": {"type": "string"}}},
        "The value for the template parameter 'p' is not provided. Please see https://aka.ms/arm-create-parameter-file",
    ),
    "a parameter that depends on itself": (
        {"resources": [], "parameters": {"p": {"type": "string", "defaultValue": "[parameters('p')]"}}},
        "depends on itself",
    ),
    "no type": ({"resources": [{"name": "x", "apiVersion": "1"}]}, "has no type"),
    "a computed type": ({"resources": [cluster(type="[concat('a', 'b')]")]}, "it is a literal string"),
    "no name": ({"resources": [cluster(name=1)]}, "has no name, or one that is not a string"),
    "no apiVersion": ({"resources": [{"type": CLUSTERS, "name": "c1"}]}, "has no apiVersion"),
    "a condition that is no boolean": ({"resources": [cluster(condition="yes")]}, "is not a boolean"),
    "segments that do not fit": (
        {"resources": [pool("np1")]},
        f"The template resource 'np1' for type '{POOLS}' has incorrect segment lengths",
    ),
    "the same resource twice": ({"resources": [cluster(), cluster("C1")]}, "is defined multiple times in a template"),
    "a dependency that is not there": (
        {"resources": [cluster(dependsOn=["c2"])]},
        "The resource 'c2' is not defined in the template. Please see https://aka.ms/arm-syntax for usage details.",
    ),
    "a circle": (
        {"resources": [cluster("a", dependsOn=["b"]), cluster("b", dependsOn=["a"])]},
        "Circular dependency detected on resource(s): 'a, b'",
    ),
    "a name that depends on a state": (
        {"resources": [cluster("[reference('x', '2025-10-01').y]")]},
        "resource is not defined in the template",
    ),
    "a condition that depends on a state": (
        {"resources": {"a": cluster(), "b": cluster("b", condition="[reference('/subscriptions/s').x]")}},
        "The template function 'reference' is not expected at this location: 'resources.b.condition'",
    ),
    "a loop without a count": ({"resources": [cluster(copy={"name": "x"})]}, "it has a name and a count"),
    "a loop that is too long": ({"resources": [cluster(copy={"name": "x", "count": 801})]}, "from 0 to 800"),
    "too many resources": (
        {"resources": [cluster("[concat('a', copyIndex())]", copy={"name": "x", "count": 800}), cluster()]},
        "The number of template resources exceeds the limit of 800",
    ),
    "too many outputs": (
        {"resources": [], "outputs": {f"o{number}": {"type": "int", "value": 1} for number in range(65)}},
        "The number of template outputs exceeds the limit of 64",
    ),
    "options": (
        {"resources": [cluster(**{"@options": {"onlyIfNotExists": True}})]},
        "'@options' of the template resource",
    ),
    "extensions": ({"resources": [], "extensions": {"k8s": {}}}, "The template section 'extensions' is not one"),
    "a resource group in a group": (
        {"resources": [{"type": "Microsoft.Resources/resourceGroups", "apiVersion": "1", "name": "g"}]},
        "cannot be deployed to a resource group",
    ),
    "deployments nested without end": (
        {"resources": [module("m", {"resources": [{"$same": True}]})]},
        "Deployments are nested deeper than 8 levels",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_wrong_template_is_refused_in_arm_s_words(name: str) -> None:
    template, wrong = REFUSED[name]
    if name == "deployments nested without end":
        template = {"resources": []}
        for _ in range(10):
            template = {"resources": [module("m", template)]}
    with pytest.raises(errors.InvalidTemplate) as caught:
        prepare(HERE, Requested(template, {}), WORLD)
    assert wrong in caught.value.message


def test_an_unknown_parameter_is_refused_with_those_there_are() -> None:
    with pytest.raises(errors.InvalidTemplate, match="only supported parameters for this template are 'a, b'"):
        prepared([], {"c": 1}, parameters={"a": {"type": "int"}, "b": {"type": "int"}})


def test_every_type_that_is_not_offered_is_named_with_its_place() -> None:
    other = {"type": "Microsoft.Storage/storageAccounts", "apiVersion": "2023-01-01", "name": "s"}
    with pytest.raises(errors.NoRegisteredProviderFound) as caught:
        prepared([cluster(), other, {**other, "name": "t"}])
    assert "type 'Microsoft.Storage/storageAccounts' of resource 's'" in caught.value.message
    assert CLUSTERS in caught.value.message
    assert [(each.target) for each in (caught.value, *caught.value.details)] == ["resources[1]", "resources[2]"]


def test_a_cluster_cannot_be_deployed_to_a_subscription() -> None:
    with pytest.raises(errors.InvalidTemplate, match="cannot be deployed to a subscription"):
        prepared([cluster()], at=BELOW_SUBSCRIPTION)


@pytest.mark.parametrize(
    ("properties", "error", "wrong"),
    [
        ({"mode": "Complete", "template": {}}, errors.InvalidParameter, "'Complete' is not offered"),
        ({"template": {}, "templateLink": {"uri": "https://x"}}, errors.InvalidParameter, "'templateLink'"),
        ({"template": {}, "onErrorDeployment": {}}, errors.InvalidParameter, "'onErrorDeployment'"),
        ({}, errors.InvalidRequestContent, "'properties.template' is not an object"),
        ({"template": []}, errors.InvalidRequestContent, "'properties.template' is not an object"),
        ({"template": {}, "parameters": 1}, errors.InvalidRequestContent, "'properties.parameters' is not an object"),
    ],
)
def test_a_body_that_asks_for_what_is_not_offered_is_refused(
    properties: dict[str, Any], error: type[errors.PoolwrightError], wrong: str
) -> None:
    with pytest.raises(error) as caught:
        requested({"properties": properties})
    assert wrong in caught.value.message
