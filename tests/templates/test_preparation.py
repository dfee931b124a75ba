"""From a template to its resources: what is evaluated beforehand, modules, records, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from poolwright import errors
from poolwright.domain.deployment import DeploymentId, DeploymentResource, PreparedDeployment
from poolwright.store.records import dump, load
from poolwright.templates.deferred import body_of
from poolwright.templates.preparation import prepare
from poolwright.templates.requested import Requested, requested
from tests.templates.builders import (
    BELOW_SUBSCRIPTION,
    BICEP,
    CLUSTERS,
    GROUP,
    HERE,
    POOLS,
    SUBSCRIPTION,
    WORLD,
    cluster,
    module,
    pool,
    prepared,
)


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
