"""What each reader makes of files other than the planted ones: templates, plans, states, commands."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from poolwright.arm.wire_node_pools import decode_node_pool
from poolwright.domain.profile import Profile
from poolwright.lint.arm_templates import Given, Sent, read_template
from poolwright.lint.az_commands import read_script
from poolwright.lint.json_text import JsonText
from poolwright.lint.pools import Action, FoundPool, Reading
from poolwright.lint.terraform import read_terraform
from poolwright.lint.texts import Broken, Text
from poolwright.lint.yaml_files import read_yaml
from poolwright.templates.partial import Unknown

POOL = "Microsoft.ContainerService/managedClusters/agentPools"
CLUSTER = "Microsoft.ContainerService/managedClusters"


def of_template(
    resources: Any, location: str | None = None, given: dict[str, Any] | None = None, **rest: Any
) -> Reading:
    """The reading of a template."""
    template = {"$schema": "x/deploymentTemplate.json#", "contentVersion": "1.0.0.0", "resources": resources, **rest}
    return read_template(
        JsonText(Text("f", json.dumps(template, indent=1))),
        Given({name: Sent(name, value) for name, value in (given or {}).items()}, location),
    )


def only(reading: Reading) -> FoundPool:
    (pool,) = reading.pools
    return pool


def test_loops_are_unrolled() -> None:
    copy = {"name": "pools", "count": "[length(variables('sizes'))]"}
    reading = of_template(
        [
            {
                "type": POOL,
                "name": "[format('{0}/{1}', 'c', format('p{0}', copyIndex()))]",
                "copy": copy,
                "properties": {"vmSize": "[variables('sizes')[copyIndex()]]"},
            }
        ],
        variables={"sizes": ["Standard_D2_v2", "Standard_D4s_v5"]},
    )
    assert [(pool.name, pool.properties["vmSize"]) for pool in reading.pools] == [
        ("p0", "Standard_D2_v2"),
        ("p1", "Standard_D4s_v5"),
    ]


def test_a_loop_of_unknown_length_is_one_node_pool_of_unknown_name() -> None:
    reading = of_template(
        [
            {
                "type": POOL,
                "name": "[format('{0}/{1}', 'c', format('p{0}', copyIndex()))]",
                "copy": {"name": "pools", "count": "[parameters('n')]"},
                "properties": {"vmSize": "Standard_D2_v2"},
            }
        ],
        parameters={"n": {"type": "int"}},
    )
    pool = only(reading)
    assert isinstance(pool.name, Unknown)
    assert pool.properties["vmSize"] == "Standard_D2_v2"


def test_profiles_by_a_loop_over_properties_stand_where_the_loop_is() -> None:
    loop = {
        "name": "agentPoolProfiles",
        "count": 2,
        "input": {"name": "[format('p{0}', copyIndex('agentPoolProfiles'))]", "vmSize": "Standard_D2_v2"},
    }
    reading = of_template([{"type": CLUSTER, "name": "c", "location": "westeurope", "properties": {"copy": [loop]}}])
    assert [pool.name for pool in reading.pools] == ["p0", "p1"]
    places = {pool.place_of("vmSize") for pool in reading.pools}
    assert len(places) == 1


def test_what_is_unknown_beside_it_does_not_hide_a_value() -> None:
    reading = of_template(
        [
            {
                "type": POOL,
                "name": "c/p",
                "properties": "[union(createObject('vmSize', variables('v').size), createObject())]",
            }
        ],
        parameters={"x": {"type": "string"}},
        variables={"v": {"size": "Standard_D2_v2", "other": "[parameters('x')]"}},
    )
    assert only(reading).properties == {"vmSize": "Standard_D2_v2"}


@pytest.mark.parametrize(
    "expression",
    [
        "[parameters('x')]",
        "[concat('Standard_', parameters('x'))]",
        "[if(equals(parameters('x'), 'a'), 'Standard_D2_v2', 'Standard_D2_v2')]",
        "[reference('c').size]",
        "[utcNow()]",
        "[resourceGroup().tags.size]",
        "[listKeys('x', 'y').size]",
        "[first(createArray(parameters('x')))]",
        "[union(createObject('a', parameters('x')), createObject('a', 'b')).a]",
    ],
)
def test_what_hangs_on_something_unknown_is_unknown(expression: str) -> None:
    reading = of_template(
        [{"type": POOL, "name": "c/p", "properties": {"vmSize": expression}}], parameters={"x": {"type": "string"}}
    )
    assert only(reading).properties["vmSize"] == Unknown(expression)
    assert not reading.mistakes


CHOICE = {"env": {"type": "string", "allowedValues": ["dev", "prod"]}, "on": {"type": "bool"}}


@pytest.mark.parametrize(
    ("expression", "values"),
    [
        ("[parameters('env')]", ("dev", "prod")),
        ("[parameters('on')]", (False, True)),
        ("[variables('sizes')[parameters('env')]]", ("Standard_D2_v3", "Standard_D4_v3")),
        ("[variables('size')]", ("Standard_D2_v3", "Standard_D4_v3")),
        ("[concat(variables('name'), '-', parameters('env'))]", ("x-dev-dev", "x-prod-prod")),
        ("[if(parameters('on'), parameters('env'), 'none')]", ("none", "dev", "prod")),
        ("[first(createArray(parameters('env')))]", ("dev", "prod")),
        # What the parameter is defaulted to hangs on another one.
        ("[parameters('of')]", ("of-dev", "of-prod")),
        ("[concat(parameters('of'), parameters('x'))]", None),
        ("[reference(parameters('env')).size]", None),
    ],
)
def test_what_hangs_on_a_parameter_of_some_values_can_be_what_they_lead_to(
    expression: str, values: tuple[Any, ...] | None
) -> None:
    pools = [
        {"type": POOL, "name": f"c/p{number}", "properties": {"vmSize": each}}
        # The one that is looked at stands between two that evaluate its variables beforehand and afterwards.
        for number, each in enumerate(["[variables('size')]", expression, "[variables('name')]"])
    ]
    more = {"x": {"type": "string"}, "of": {"type": "string", "defaultValue": "[concat('of-', parameters('env'))]"}}
    reading = of_template(
        pools,
        parameters=CHOICE | more,
        variables={
            "sizes": {"dev": "Standard_D2_v3", "prod": "Standard_D4_v3"},
            "size": "[variables('sizes')[parameters('env')]]",
            "name": "[concat('x-', parameters('env'))]",
        },
    )
    first, found, last = (pool.properties["vmSize"] for pool in reading.pools)
    assert (found, found.values) == (Unknown(expression), values)
    assert (first.values, last.values) == (("Standard_D2_v3", "Standard_D4_v3"), ("x-dev", "x-prod"))
    assert not reading.mistakes


def test_what_is_the_same_for_all_values_of_a_parameter_is_known_and_what_is_refused_for_some_does_not_count() -> None:
    expressions = {
        "[if(equals(parameters('env'), 'a'), 'Standard_D4_v3', 'Standard_D2_v3')]": "Standard_D2_v3",
        "[variables('sizes')[parameters('env')]]": "Standard_D4_v3",
        "[variables('none')[parameters('env')]]": Unknown("[variables('none')[parameters('env')]]"),
    }
    for expression, expected in expressions.items():
        reading = of_template(
            [{"type": POOL, "name": "c/p", "properties": {"vmSize": expression}}],
            parameters=CHOICE,
            variables={"sizes": {"prod": "Standard_D4_v3"}, "none": {}},
        )
        assert only(reading).properties["vmSize"] == expected
        assert len(reading.mistakes) == isinstance(expected, Unknown)


def test_trying_values_leaves_enough_for_what_is_known() -> None:
    many = {f"p{n}": {"type": "string", "allowedValues": [f"{n}-{m}" for m in range(60)]} for n in range(4)}
    mapped = "[map(range(0, 5000), lambda('x', if(equals(parameters('p0'), parameters('p1')), 'a', 'b')))[0]]"
    sizes = [mapped, *["[concat('Standard_', 'D2_v3')]"] * 100]
    pools = [{"type": POOL, "name": f"c/p{n}", "properties": {"vmSize": size}} for n, size in enumerate(sizes)]
    reading = of_template(pools, parameters=many)
    assert not reading.mistakes
    assert [pool.properties["vmSize"] for pool in reading.pools[1:]] == ["Standard_D2_v3"] * 100
    assert reading.pools[0].properties["vmSize"] == Unknown(mapped)


def test_a_module_can_be_given_one_of_some_values() -> None:
    template = {
        "parameters": {"size": {"type": "string"}},
        "resources": [{"type": POOL, "name": "c/p", "properties": {"vmSize": "[concat(parameters('size'), 's')]"}}],
    }
    module = {
        "type": "Microsoft.Resources/deployments",
        "name": "m",
        "properties": {
            "expressionEvaluationOptions": {"scope": "inner"},
            "parameters": {"size": {"value": "[parameters('env')]"}},
            "template": template,
        },
    }
    assert only(of_template([module], parameters=CHOICE)).properties["vmSize"].values == ("devs", "prods")


def test_a_wrong_expression_is_a_mistake_at_its_place_and_the_others_go_on() -> None:
    reading = of_template(
        [
            {"type": POOL, "name": "c/a", "properties": {"vmSize": "[variables('none')]"}},
            {"type": POOL, "name": "c/b", "properties": {"vmSize": "Standard_D2_v2"}},
        ]
    )
    (mistake,) = reading.mistakes
    assert mistake.place == reading.pools[0].place_of("vmSize")
    assert "'none' is not found" in mistake.message
    assert [pool.name for pool in reading.pools] == ["a", "b"]


def test_conditions_children_and_symbolic_names() -> None:
    child = {"type": "agentPools", "name": "p", "properties": {"VMSIZE": "Standard_D2_v2", "osType": "Windows"}}
    reading = of_template(
        {
            "cluster": {
                "type": CLUSTER,
                "name": "c",
                "location": "[resourceGroup().location]",
                "condition": "[parameters('x')]",
                "properties": {"kubernetesVersion": "1.33"},
                "resources": [child],
            },
            "off": {"type": POOL, "name": "c/off", "condition": False, "properties": {"vmSize": "Standard_D2_v2"}},
        },
        "westeurope",
        languageVersion="2.0",
        parameters={"x": {"type": "bool"}},
    )
    pool = only(reading)
    assert (pool.address, pool.condition) == ("c/p", "[parameters('x')]")
    assert pool.properties["vmSize"] == "Standard_D2_v2"
    assert (pool.cluster.location, pool.cluster.version) == ("westeurope", "1.33")


def test_a_nested_deployment_that_is_evaluated_outside() -> None:
    inner = {"resources": [{"type": POOL, "name": "c/p", "properties": {"vmSize": "[parameters('size')]"}}]}
    reading = of_template(
        [{"type": "Microsoft.Resources/deployments", "name": "n", "properties": {"template": inner}}],
        given={"size": "Standard_D2_v2"},
        parameters={"size": {"type": "string"}},
    )
    assert only(reading).properties["vmSize"] == "Standard_D2_v2"


def test_a_template_that_expands_without_end_is_a_mistake() -> None:
    doubled = {f"v{n}": f"[concat(variables('v{n - 1}'), variables('v{n - 1}'))]" for n in range(1, 60)}
    reading = of_template(
        [{"type": POOL, "name": "c/p", "properties": {"vmSize": "[variables('v59')]"}}],
        variables={"v0": "x" * 100, **doubled},
    )
    assert "more than the limit" in reading.mistakes[0].message


def test_a_state_of_terraform_with_modules() -> None:
    state = {
        "format_version": "1.0",
        "terraform_version": "1.9.0",
        "values": {
            "root_module": {
                "child_modules": [
                    {
                        "address": "module.a",
                        "resources": [
                            {
                                "address": "module.a.azurerm_kubernetes_cluster_node_pool.p",
                                "mode": "managed",
                                "type": "azurerm_kubernetes_cluster_node_pool",
                                "values": {"name": "p", "vm_size": "Standard_D2_v2", "enable_auto_scaling": False},
                            }
                        ],
                    }
                ]
            }
        },
    }
    pool = only(read_terraform(JsonText(Text("f", json.dumps(state))), Given()))
    assert (pool.action, pool.name, pool.properties["enableAutoScaling"]) == (Action.KEEP, "p", False)


def of_change(kind: str, before: dict[str, Any] | None, after: dict[str, Any], *actions: str) -> FoundPool:
    """The node pool of a plan with one change."""
    change = {"address": "a", "type": kind, "change": {"actions": actions, "before": before, "after": after}}
    plan = {"format_version": "1.2", "terraform_version": "1", "resource_changes": [change]}
    return only(read_terraform(JsonText(Text("f", json.dumps(plan))), Given()))


@pytest.mark.parametrize(
    ("changed", "action"),
    [
        ({}, Action.KEEP),
        ({"node_count": 5}, Action.KEEP),
        ({"os_sku": "AzureLinux"}, Action.KEEP),
        ({"zones": []}, Action.KEEP),
        ({"vm_size": "Standard_D4ads_v6"}, Action.CREATE),
        ({"fips_enabled": True}, Action.CREATE),
    ],
)
def test_what_azurerm_changes_by_making_a_node_pool_anew_is_judged_as_made(
    changed: dict[str, Any], action: Action
) -> None:
    before = {"name": "p", "vm_size": "Standard_D4_v3", "node_count": 2, "zones": None, "fips_enabled": False}
    after = {**before, **changed}
    assert of_change("azurerm_kubernetes_cluster_node_pool", before, after, "update").action is action
    in_cluster = [{"default_node_pool": [each]} for each in (before, after)]
    assert of_change("azurerm_kubernetes_cluster", *in_cluster, "update").action is action


@pytest.mark.parametrize(
    ("changed", "expected"),
    [({"count": 5}, (Action.KEEP, None)), ({"VMSize": "Standard_D4ads_v6"}, (Action.UPDATE, True))],
)
def test_an_update_by_azapi_decides_anew_where_something_changes_that_decides(
    changed: dict[str, Any], expected: tuple[Action, Any]
) -> None:
    bodies = [{"properties": each} for each in ({"vmSize": "Standard_D4_v3"}, {"vmSize": "Standard_D4_v3", **changed})]
    if "VMSize" in changed:
        del bodies[1]["properties"]["vmSize"]
    headers = {"update_headers": {"UseWindowsGen2VM": "true"}}
    before, after = ({"type": f"{POOL}@2025-10-01", "name": "p", "body": body, **headers} for body in bodies)
    pool = of_change("azapi_resource", before, after, "update")
    assert (pool.action, pool.header) == expected


@pytest.mark.parametrize(
    ("kind", "after", "unknown"),
    [
        ("azurerm_kubernetes_cluster", {"name": "c"}, {"default_node_pool": True}),
        ("azapi_resource", {"type": f"{CLUSTER}@2025-10-01"}, {"body": True}),
        (
            "azapi_resource",
            {"type": f"{CLUSTER}@2025-10-01", "body": {"properties": {"kubernetesVersion": "1.34"}}},
            {"body": {"properties": {"agentPoolProfiles": True}}},
        ),
        (
            "azapi_resource",
            {"type": f"{CLUSTER}@2025-10-01", "body": {"properties": {"agentPoolProfiles": [None]}}},
            {"body": {"properties": {"agentPoolProfiles": [True]}}},
        ),
    ],
)
def test_a_node_pool_that_is_known_only_after_apply_is_an_unknown_one(
    kind: str, after: dict[str, Any], unknown: dict[str, Any]
) -> None:
    what = {"actions": ["create"], "before": None, "after": after, "after_unknown": unknown}
    plan = {
        "format_version": "1.2",
        "terraform_version": "1",
        "resource_changes": [{"address": "a", "type": kind, "change": what}],
    }
    pool = only(read_terraform(JsonText(Text("f", json.dumps(plan))), Given()))
    assert isinstance(pool.name, Unknown)
    assert isinstance(pool.properties["vmSize"], Unknown)


def of_two_clusters(pool: dict[str, Any], references: list[str], **clusters: dict[str, Any]) -> FoundPool:
    """A node pool beside the clusters `a` (of 1.31) and `b` (of 1.34)."""
    versions = {"a": "1.31", "b": "1.34"}
    changes = [
        {
            "address": f"azurerm_kubernetes_cluster.{name}",
            "type": "azurerm_kubernetes_cluster",
            "change": {"actions": ["create"], "after": {**values, "kubernetes_version": versions[name]}},
        }
        for name, values in clusters.items()
    ]
    address = "azurerm_kubernetes_cluster_node_pool.p"
    what = {"actions": ["create"], "after": {"name": "p", "vm_size": "Standard_D2_v2", **pool}}
    changes.append({"address": address, "type": "azurerm_kubernetes_cluster_node_pool", "change": what})
    expressions = {"kubernetes_cluster_id": {"references": references}}
    plan = {
        "format_version": "1.2",
        "terraform_version": "1",
        "resource_changes": changes,
        "configuration": {"root_module": {"resources": [{"address": address, "expressions": expressions}]}},
    }
    return only(read_terraform(JsonText(Text("f", json.dumps(plan))), Given()))


OF_SUBSCRIPTION = "/subscriptions/00000000-0000-4000-8000-00000000000"
OF_AKS = "providers/Microsoft.ContainerService/managedClusters/aks"


@pytest.mark.parametrize(
    ("a", "b", "cluster", "version"),
    [
        ({"resource_group_name": "rg1"}, {"resource_group_name": "rg2"}, "1/resourceGroups/RG1", "1.31"),
        ({"resource_group_name": "rg1"}, {"resource_group_name": "rg2"}, "1/resourceGroups/rg3", None),
        ({"resource_group_name": "rg1"}, {"resource_group_name": "rg1"}, "1/resourceGroups/rg1", None),
        (
            {"id": f"{OF_SUBSCRIPTION}1/resourceGroups/rg/{OF_AKS}", "resource_group_name": "rg"},
            {"id": f"{OF_SUBSCRIPTION}2/resourceGroups/rg/{OF_AKS}", "resource_group_name": "rg"},
            "2/resourceGroups/rg",
            "1.34",
        ),
    ],
)
def test_a_node_pool_of_terraform_has_the_cluster_of_its_whole_id(
    a: dict[str, Any], b: dict[str, Any], cluster: str, version: str | None
) -> None:
    identifier = {"kubernetes_cluster_id": f"{OF_SUBSCRIPTION}{cluster}/{OF_AKS}"}
    pool = of_two_clusters(identifier, [], a={"name": "aks", **a}, b={"name": "aks", **b})
    assert pool.cluster.version == (version or Unknown("the cluster's version"))


@pytest.mark.parametrize(
    ("references", "version"),
    [
        (["azurerm_kubernetes_cluster.b.id", "azurerm_kubernetes_cluster.b"], "1.34"),
        (["azurerm_kubernetes_cluster.b[0].id", "count.index"], "1.34"),
        (["var.x", "azurerm_kubernetes_cluster.a.id", "azurerm_kubernetes_cluster.b.id"], None),
        (["azurerm_kubernetes_cluster.a.id", "azurerm_kubernetes_cluster.b.id"], None),
        (["azurerm_kubernetes_cluster.b.id", "var.other"], None),
    ],
)
def test_a_node_pool_that_may_be_of_either_cluster_has_none_for_certain(
    references: list[str], version: str | None
) -> None:
    pool = of_two_clusters({}, references, a={"name": "a"}, b={"name": "b"})
    assert pool.cluster.version == (version or Unknown("the cluster's version"))


def of_azapi(after: dict[str, Any], written: dict[str, Any] | None = None, kind: str = "azapi_resource") -> FoundPool:
    """The node pool of a plan with a resource of azapi, of which that is written in the configuration."""
    change = {"address": f"{kind}.a", "type": kind, "change": {"actions": ["create"], "after": after}}
    configured = {"address": f"{kind}.a", "expressions": written or {}}
    plan = {
        "format_version": "1.2",
        "terraform_version": "1",
        "resource_changes": [change],
        "configuration": {"root_module": {"resources": [configured]}},
    }
    return only(read_terraform(JsonText(Text("f", json.dumps(plan))), Given()))


@pytest.mark.parametrize(
    ("told", "written", "expected"),
    [
        ({"properties": {"osType": "Windows"}}, {}, "Windows"),
        (None, {"sensitive_body": {"constant_value": {"properties": {"osType": "Windows"}}}}, "Windows"),
        (None, {}, "Linux"),
    ],
)
def test_the_sensitive_body_of_azapi_goes_over_its_body(told: Any, written: dict[str, Any], expected: str) -> None:
    body = {"properties": {"vmSize": "Standard_D2_v2", "osType": "Linux"}}
    pool = of_azapi({"type": f"{POOL}@2025-10-01", "name": "p", "body": body, "sensitive_body": told}, written)
    assert pool.properties == {"vmSize": "Standard_D2_v2", "osType": expected}


def test_a_sensitive_body_that_no_plan_has_may_say_anything_of_a_node_pool_and_hardly_of_those_of_a_cluster() -> None:
    written = {"sensitive_body": {"references": ["var.password"]}}
    body = {"properties": {"vmSize": "Standard_D2_v2"}}
    pool = of_azapi({"type": f"{POOL}@2025-10-01", "name": "p", "body": body}, written)
    assert pool.properties == {"vmSize": Unknown("sensitive_body (in no plan)")}
    of_cluster = {"properties": {"agentPoolProfiles": [{"name": "sys", "vmSize": "Standard_D2_v2"}]}}
    pool = of_azapi({"type": f"{CLUSTER}@2025-10-01", "name": "c", "body": of_cluster}, written)
    assert (pool.properties, pool.condition) == (
        {"vmSize": "Standard_D2_v2"},
        "sensitive_body (in no plan) says nothing of it",
    )


@pytest.mark.parametrize(
    ("sent", "pools"),
    [({"method": "PUT"}, 1), ({"method": "put", "action": ""}, 1), ({}, 0), ({"method": "PUT", "action": "abort"}, 0)],
)
def test_an_action_of_azapi_makes_a_node_pool_where_it_sends_a_put_of_one(sent: dict[str, Any], pools: int) -> None:
    after = {
        "type": f"{POOL}@2025-10-01",
        "resource_id": "/subscriptions/s/resourceGroups/g/providers/x/managedClusters/c/agentPools/np1",
        "body": {"properties": {"vmSize": "Standard_D2_v2"}},
        "headers": {"UseWindowsGen2VM": "true"},
        **sent,
    }
    change = {"address": "a", "type": "azapi_resource_action", "change": {"actions": ["create"], "after": after}}
    plan = {"format_version": "1.2", "terraform_version": "1", "resource_changes": [change]}
    found = read_terraform(JsonText(Text("f", json.dumps(plan))), Given()).pools
    assert [(pool.name, pool.header) for pool in found] == [("np1", True)] * pools


@pytest.mark.parametrize(
    ("more", "levels"),
    [
        ({"errored": True, "complete": False}, ["error"]),
        ({"complete": False}, ["warning"]),
        ({"errored": False, "complete": True}, []),
    ],
)
def test_a_plan_that_is_no_whole_one_is_told(more: dict[str, Any], levels: list[str]) -> None:
    plan = {"format_version": "1.2", "terraform_version": "1", "resource_changes": [], **more}
    mistakes = read_terraform(JsonText(Text("f", json.dumps(plan))), Given()).mistakes
    assert [(each.kind.id, each.level.value) for each in mistakes] == [("plan-in-part", level) for level in levels]


def test_a_format_of_terraform_from_the_future_is_refused() -> None:
    document = JsonText(Text("f", '{"format_version": "2.0", "terraform_version": "9", "values": {}}'))
    with pytest.raises(Broken, match=r"the format version 2\.0 is not known"):
        read_terraform(document, Given())


def test_a_body_of_azapi_as_text_and_an_update() -> None:
    after = {
        "type": f"{POOL}@2025-10-01",
        "name": "p",
        "body": json.dumps({"properties": {"vmSize": "Standard_D2_v2"}}),
        "update_headers": {"UseWindowsGen2VM": "TRUE"},
    }
    change = {"address": "a", "type": "azapi_update_resource", "change": {"actions": ["create"], "after": after}}
    plan = {"format_version": "1.2", "terraform_version": "1", "resource_changes": [change]}
    pool = only(read_terraform(JsonText(Text("f", json.dumps(plan))), Given()))
    assert (pool.action, pool.header, pool.properties["vmSize"]) == (Action.UPDATE, True, "Standard_D2_v2")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("-s Standard_D2_v2", {"vmSize": "Standard_D2_v2"}),
        ("--node-vm-size=Standard_D2_v2 --os-type Windows", {"vmSize": "Standard_D2_v2", "osType": "Windows"}),
        ("--enable-fips-image --enable-vtpm", {"enableFIPS": True, "securityProfile": {"enableVTPM": True}}),
        ("-c 3 --min-count $N", {"count": 3, "minCount": Unknown("$N")}),
        ("--vm-sizes Standard_D2_v2,Standard_D4_v3", {"vmSize": Unknown("Standard_D2_v2,Standard_D4_v3")}),
        ("--zones 1 2 --mode User", {"availabilityZones": ["1", "2"], "mode": "User"}),
        ("--vm-size $S --os-sku Ubuntu", {"vmSize": Unknown("$S"), "osSKU": "Ubuntu"}),
        ("--node-vm-size=$S", {"vmSize": Unknown("$S")}),
    ],
)
def test_arguments_of_az(arguments: str, expected: dict[str, Any]) -> None:
    reading, wrong = read_script(Text("f", f"az aks nodepool add -g g --cluster-name c -n p {arguments}"), Given())
    assert wrong == []
    assert only(reading).properties == expected


CREATE = "az aks create -g g -n c -l eastus -k 1.33\n"


@pytest.mark.parametrize(
    ("script", "location"),
    [
        (CREATE + "az aks nodepool add -g g --cluster-name c -n p", "eastus"),
        (CREATE + "az aks nodepool add --resource-group G --cluster-name C -n p", "eastus"),
        ("G=g\n" + CREATE + "az aks nodepool add -g $G --cluster-name c -n p", "eastus"),
        (CREATE + CREATE + "az aks nodepool add -g g --cluster-name c -n p", "eastus"),
        (
            CREATE
            + CREATE.replace("-g g", "-g h").replace("eastus", "w")
            + "az aks nodepool add -g h --cluster-name c",
            "w",
        ),
        (CREATE + "az aks nodepool add -g h --cluster-name c -n p", None),
        (CREATE + "az aks nodepool add -g $1 --cluster-name c -n p", None),
        (CREATE + "az aks nodepool add --cluster-name c -n p", None),
        (CREATE + "az aks nodepool add -g g --cluster-name c -n p --subscription other", None),
        (CREATE.replace("-g g", "-g $1") + "az aks nodepool add -g $1 --cluster-name c -n p", None),
        (CREATE + CREATE.replace("eastus", "westus") + "az aks nodepool add -g g --cluster-name c -n p", None),
    ],
)
def test_a_node_pool_is_where_its_cluster_was_created(script: str, location: str | None) -> None:
    reading, _ = read_script(Text("f", script), Given())
    found = reading.pools[-1].cluster
    assert found.location == location if location is not None else isinstance(found.location, Unknown)
    assert isinstance(found.version, Unknown) == (location is None)


def test_arguments_that_may_say_anything() -> None:
    reading, _ = read_script(Text("f", "az aks nodepool add --cluster-name c -n p -s Standard_D2_v2 $MORE"), Given())
    assert only(reading).open_ended == Unknown("$MORE")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("UseWindowsGen2VM=true", True),
        ("a=b,usewindowsgen2vm=FALSE", False),
        ("a=b", None),
        ("UseWindowsGen2VM=maybe", "maybe"),
        ('"$H"', Unknown("$H")),
    ],
)
def test_the_header_of_az(text: str, expected: object) -> None:
    reading, _ = read_script(Text("f", f"az aks nodepool add -n p --aks-custom-headers {text}"), Given())
    assert only(reading).header == expected


@pytest.mark.parametrize(
    "content",
    [
        "description: |\n  az aks create -s Standard_D2_v2\n",
        "name: az aks create -s Standard_D2_v2\n",
        "run: helm install\n",
    ],
)
def test_text_in_yaml_that_is_no_script(content: str) -> None:
    reading, _ = read_yaml(Text("f", content), Given())
    assert not reading.pools


@pytest.mark.parametrize(
    "content",
    [
        "script:\n  - echo\n  - az aks nodepool add -n p -s Standard_D2_v2\n",
        "steps:\n- bash: az aks nodepool add -n p -s Standard_D2_v2\n",
        "inputs:\n  inlineScript: |\n    az aks nodepool add -n p -s Standard_D2_v2\n",
        "- hosts: all\n  tasks:\n  - ansible.builtin.shell:\n      cmd: az aks nodepool add -n p -s Standard_D2_v2\n",
        "- shell: >-\n    az aks nodepool add\n    -n p -s Standard_D2_v2\n",
        "a: 1\n---\nrun: az aks nodepool add -n p -s Standard_D2_v2\n",
    ],
)
def test_scripts_in_yaml(content: str) -> None:
    reading, wrong = read_yaml(Text("f", content), Given())
    assert only(reading).properties["vmSize"] == "Standard_D2_v2"
    lines = content.splitlines()
    place = only(reading).place_of("vmSize")
    assert lines[place.line - 1][place.column - 1 :].startswith("Standard_D2_v2")
    assert not wrong


def test_the_planted_files_are_all_the_kinds_there_are() -> None:
    planted = {path.suffix for path in (Path(__file__).parent / "planted").iterdir()}
    assert planted == {".bicep", ".json", ".sh", ".yml"}


def test_a_script_that_aliases_repeat_is_read_once() -> None:
    pools = read_yaml(Text("f", "- run: &s az aks nodepool add -n p\n- run: *s\n- run: [*s, *s]\n"), Given())[0].pools
    assert [pool.name for pool in pools] == ["p"]


def test_node_pools_that_aliases_multiply_end_at_a_number() -> None:
    pools = ", ".join(f"{{name: p{number}}}" for number in range(50))
    tasks = "".join(f"- azure_rm_aks: {{name: c{number}, agent_pool_profiles: *l}}\n" for number in range(80))
    with pytest.raises(Broken, match="more than 1000 node pools in the file"):
        read_yaml(Text("f", f"- azure_rm_aks: {{name: c, agent_pool_profiles: &l [{pools}]}}\n{tasks}"), Given())


ADD = "aks nodepool add -g g --cluster-name c -n p -s Standard_D2_v2"


@pytest.mark.parametrize(
    "command",
    [
        *("az", "/usr/bin/az", "az.cmd", "az --debug", "az -o table --only-show-errors", "! az", "A=b az"),
        *("sudo az", "sudo -u x az", "sudo -Eu x az", "sudo -ulee az", "sudo --user=x A=b az", "doas -u x az"),
        *("env az", "env A=b az", "env -u A -i B=c az", "time az", "time -p az", "/usr/bin/time -f %e az"),
        *("timeout 60 az", "timeout -k 5 --signal KILL 60s az", 'timeout "$LONG" az', "nice -n 5 az", "nice -5 az"),
        *("stdbuf -oL -e 0 az", "flock -w 3 /tmp/lock az", "ionice -c2 -n 7 az", "nohup setsid az", "call az"),
        *("command -- az", "exec -a name az", "sudo -u x env A=b timeout 60 az"),
    ],
)
def test_what_runs_az_is_seen_through(command: str) -> None:
    reading, wrong = read_script(Text("f", f"{command} {ADD}\n"), Given())
    pool = only(reading)
    assert wrong == []
    assert (pool.name, pool.properties) == ("p", {"vmSize": "Standard_D2_v2"})
    assert pool.condition is None
    assert pool.open_ended is None


@pytest.mark.parametrize(
    ("script", "size", "condition", "is_open"),
    [
        (f"retry 3 az {ADD}", "Standard_D2_v2", "retry 3 runs az as it is written", True),
        (f"run() {{ \"$@\"; }}\nrun az {ADD}", "Standard_D2_v2", "run runs az as it is written", True),
        (f"$RUN az {ADD}", "Standard_D2_v2", "$RUN runs az as it is written", True),
        (f"sudo $OPTIONS az {ADD}", "Standard_D2_v2", "$OPTIONS runs az as it is written", True),
        (f"$AZ {ADD}", "Standard_D2_v2", "$AZ is az", False),
        (f"if c; then\n$AZ {ADD}; fi", "Standard_D2_v2", "if c; then, and $AZ is az", False),
        (f"az login &&\n  az {ADD}", "Standard_D2_v2", "az login &&", False),
        (f"a && b || az {ADD}", "Standard_D2_v2", "a && b ||", False),
        (f"a || {{ az {ADD}; }} && c", "Standard_D2_v2", "a ||", False),
        (f"a && retry az {ADD}", "Standard_D2_v2", "a &&, and retry runs az as it is written", True),
        (f"if c; then\na || az {ADD}; fi", "Standard_D2_v2", "if c; then", False),
        (f"az {ADD} || exit 1", "Standard_D2_v2", None, False),
        (f"find . -exec az {ADD} ';'", "Standard_D2_v2", "find . -exec runs az as it is written", True),
        (f"bash -c 'az {ADD}'", Unknown("in a text for bash"), None, True),
        (f"sudo su x -c \"az {ADD}\"", Unknown("in a text for su"), None, True),
        (f"env -S 'az {ADD}'", Unknown("in a text for az"), None, True),
        ("xargs az aks nodepool add -n p -s", Unknown("what xargs adds"), None, True),
        ("xargs -0I X az aks nodepool add -n p -s X", Unknown("X, filled in by xargs"), None, False),
        ("xargs --replace az aks nodepool add -n p -s a{}", Unknown("a{}, filled in by xargs"), None, False),
    ],
)  # fmt: skip
def test_what_may_run_az_otherwise_is_told_as_such(
    script: str, size: Any, condition: str | None, is_open: bool
) -> None:
    pool = only(read_script(Text("f", script), Given())[0])
    assert pool.properties == {"vmSize": size}
    assert pool.condition == condition
    assert (pool.open_ended is not None) is is_open


GROWING = f'args=(az {ADD})\nif a; then args+=({{}}); fi\n"${{args[@]}}"\n'


@pytest.mark.parametrize(
    ("added", "properties"),
    [
        ("--zones 1 2", {"availabilityZones": Unknown("1 2, if it is added")}),
        ("--os-type Windows", {"osType": Unknown("Windows, if it is added")}),
        ("--os-typ=Windows", {"osType": Unknown("Windows, if it is added")}),
        ("-sStandard_D4_v3", {"vmSize": Unknown("Standard_D4_v3, if it is added")}),
        ('--node-vm-size "$X"', {"vmSize": Unknown("$X, if it is added")}),
        ("--enable-fips-image", {"enableFIPS": Unknown("--enable-fips-image, if it is added")}),
        ("--tags a=b", {}),
    ],
)
def test_what_an_array_gets_under_a_condition_is_unknown_and_the_rest_known(
    added: str, properties: dict[str, Any]
) -> None:
    pool = only(read_script(Text("f", GROWING.replace("{}", added)), Given())[0])
    assert pool.properties == {"vmSize": "Standard_D2_v2"} | properties
    assert (pool.condition, pool.open_ended) == (None, None)


def test_an_array_that_gets_anything_under_a_condition_leaves_the_rest_open() -> None:
    pool = only(read_script(Text("f", GROWING.replace("{}", '"$@"')), Given())[0])
    assert pool.properties == {"vmSize": "Standard_D2_v2"}
    assert pool.open_ended == Unknown('"$@", if it is added')


@pytest.mark.parametrize(
    ("change", "run", "name"),
    [
        ('cmd="$cmd --zones 1"', "$cmd", "$cmd"),
        ('cmd="$cmd --zones 1"', "sudo $cmd", "$cmd"),
        ('cmd="$cmd --zones 1"', 'eval "$cmd"', "eval"),
        ('cmd="$cmd --zones 1"', 'bash -c "$cmd"', "bash"),
        ("cmd=(echo)", '"${cmd[@]}"', '"${cmd[@]}"'),
    ],
)
def test_a_variable_that_may_hold_a_command_of_az_is_a_node_pool_of_which_nothing_is_known(
    change: str, run: str, name: str
) -> None:
    held = f"(az {ADD})" if "[@]" in run else f"'az {ADD}'"
    pool = only(read_script(Text("f", f"cmd={held}\nif a; then {change}; fi\n{run}\n"), Given())[0])
    assert pool.properties == {"vmSize": Unknown(f"in a text for {name}")}
    assert pool.open_ended is not None


@pytest.mark.parametrize("run", ["echo $cmd", 'log "$cmd"', "$kubectl get nodes", 'ssh "$host" true'])
def test_a_variable_that_runs_no_command_of_az_is_no_node_pool(run: str) -> None:
    script = f"cmd='az {ADD}'; kubectl=k; host=h\nif a; then cmd=b; kubectl=c; host=d; fi\n{run}\n"
    assert read_script(Text("f", script), Given())[0].pools == []


def test_a_function_that_is_given_the_words_of_a_command_of_az_may_run_it() -> None:
    pool = only(read_script(Text("f", f'f() {{ az "$@"; }}\nf {ADD}\n'), Given())[0])
    assert (pool.name, pool.properties) == ("p", {"vmSize": "Standard_D2_v2"})
    assert pool.condition == "the function f runs az as it is written"
    assert pool.open_ended is not None


@pytest.mark.parametrize("command", ["echo", "printf '%s'", "grep -q", "command -v", "sudo -l", "# sudo"])
def test_what_only_shows_az_runs_nothing(command: str) -> None:
    assert read_script(Text("f", f"{command} az {ADD}"), Given())[0].pools == []


@pytest.mark.parametrize(
    "written",
    [
        *("%SIZE%", "%A%", "%AB%", "!SIZE!", "$(SIZE)", "$(Pool.Size)", "${{ parameters.size }}", "$[[ inputs.size ]]"),
        *("Standard_%SIZE%_v5", "Standard_$(SIZE)", "${{ a }}%B%"),
        *("<< parameters.size >>", "<<pipeline.parameters.size>>", "Standard_<< pipeline.number > 3 >>_v5"),
    ],
)
@pytest.mark.parametrize("quote", ["", '"', "'"])
def test_what_is_filled_in_before_a_shell_sees_it_is_unknown(written: str, quote: str) -> None:
    line = f"az aks nodepool add -g g --cluster-name c -n p -s {quote}{written}{quote} --labels a=%OTHER% b=$(OTHER)"
    reading, wrong = read_yaml(Text("f", f"- script: |\n    {line}\n"), Given())
    assert only(reading).properties["vmSize"] == Unknown(written)
    assert wrong == []


def test_a_here_document_is_not_filled_in() -> None:
    script = "    cat <<EOF >>out\n    az aks nodepool add -n a\n    EOF\n    az aks nodepool add -n b -s A\n"
    reading, wrong = read_yaml(Text("f", f"- script: |\n{script}"), Given())
    assert (only(reading).name, only(reading).properties, wrong) == ("b", {"vmSize": "A"}, [])


def test_expressions_of_one_length_keep_their_names() -> None:
    lines = "".join(f"    az aks nodepool add -g %G{n}% --cluster-name c -n $(N{n}) -s $(S{n})\n" for n in range(9))
    pools = read_yaml(Text("f", f"- script: |\n{lines}"), Given())[0].pools
    assert [pool.properties["vmSize"] for pool in pools] == [Unknown(f"$(S{n})") for n in range(9)]
    assert [pool.name for pool in pools] == [Unknown(f"$(N{n})") for n in range(9)]


def test_a_line_of_cmd_goes_on_after_its_last_sign() -> None:
    text = Text("f", "- script: |\n    call az aks nodepool add ^\n      -n p ^\n      -s Standard_D2_v2\n")
    assert only(read_yaml(text, Given())[0]).properties == {"vmSize": "Standard_D2_v2"}


def test_parameters_without_a_value_are_told_once_where_something_wants_them() -> None:
    size = {"vmSize": "[parameters('size')]", "osSKU": "[parameters('sku')]"}
    reading = of_template(
        [{"type": POOL, "name": f"c/p{number}", "properties": size} for number in range(3)],
        given={"SKU".lower(): "Ubuntu"},
        parameters={
            **{name: {"type": "string"} for name in ("Size", "sku", "unused")},
            "none": {"type": "string", "nullable": True},
        },
    )
    assert reading.parameters is not None
    assert list(reading.parameters.without_value) == ["Size"]
    assert reading.mistakes == []


@pytest.mark.parametrize(
    ("sent", "declared", "message", "line"),
    [
        ({"sizes": {"value": 1}}, {"size": {"type": "int", "defaultValue": 1}}, "The template parameters 'sizes'", 14),
        ({}, {"size": {"type": "int"}}, "The value for the template parameter 'size' is not provided", 13),
        ({"SIZE": {"value": 1}}, {"size": {"type": "int"}}, None, 0),
        ({}, {"size": {"type": "int", "nullable": True}}, None, 0),
        ({}, {"size": {"$ref": "#/definitions/x"}}, None, 0),
    ],
)
def test_a_nested_deployment_gets_what_its_template_has(
    sent: dict[str, Any], declared: dict[str, Any], message: str | None, line: int
) -> None:
    properties = {
        "mode": "Incremental",
        "expressionEvaluationOptions": {"scope": "inner"},
        "parameters": sent,
        "template": {"$schema": "x/deploymentTemplate.json#", "parameters": declared, "resources": []},
    }
    deployment = {"type": "Microsoft.Resources/deployments", "name": "d", "properties": properties}
    mistakes = of_template([deployment]).mistakes
    assert [(mistake.place.line, message in mistake.message) for mistake in mistakes if message] == (
        [(line, True)] if message else []
    )
    assert len(mistakes) == (message is not None)


@pytest.mark.parametrize(
    ("command", "address", "condition"),
    [
        ("az aks $VERB -g g -n c -s Standard_D2_v2", "?/az aks $VERB", "$VERB is create"),
        ("az aks nodepool $VERB -g g --cluster-name c -n p -s Standard_D2_v2", "c/p", "$VERB is add"),
        ('$AZ aks nodepool "$1" --cluster-name c -n p -s Standard_D2_v2', "c/p", "$AZ is az, and $1 is add"),
    ],
)
def test_a_command_whose_verb_is_unknown_may_make_a_node_pool(command: str, address: str, condition: str) -> None:
    pool = only(read_script(Text("f", command), Given())[0])
    assert (pool.address, pool.condition, pool.properties) == (address, condition, {"vmSize": "Standard_D2_v2"})
    assert pool.open_ended is not None
    assert pool.mistakes == ()


OF_SIZE = "az aks nodepool add -g rg --cluster-name c -n p --node-vm-size $SIZE"
GITLAB = {
    "own": f"""
job:
  before_script: [SIZE=Standard_A]
  script:
    - {OF_SIZE}
""",
    "of every job": f"""
before_script: [SIZE=Standard_A]
job:
  script: {OF_SIZE}
""",
    "by default": f"""
before_script: [SIZE=Standard_B]
default:
  before_script: [SIZE=Standard_A]
job:
  script: [{OF_SIZE}]
""",
    "instead of that of every job": f"""
before_script: [SIZE=Standard_B]
job:
  before_script:
    - &sized [SIZE=Standard_A]
  script:
    - {OF_SIZE}
again:
  script:
    - *sized
    - {OF_SIZE}
""",
    "of one script": f"""
job:
  script:
    - SIZE=Standard_B
    - |
      if true; then SIZE=Standard_A; fi
      SIZE=Standard_A
    - {OF_SIZE}
  after_script:
    - SIZE=Standard_B
""",
}


@pytest.mark.parametrize("name", GITLAB)
def test_scripts_of_gitlab_are_run_by_one_shell(name: str) -> None:
    text = Text("f", GITLAB[name])
    reading, wrong = read_yaml(text, Given())
    assert [pool.properties["vmSize"] for pool in reading.pools] == ["Standard_A"] * (1 + ("again" in GITLAB[name]))
    for pool in reading.pools:
        line = GITLAB[name].splitlines()[pool.place.line - 1]
        assert line[pool.place.column - 1 :].startswith("az aks nodepool add")
    assert not wrong


def test_what_an_after_script_and_another_step_assign_is_not_known_to_a_script() -> None:
    jobs = f"""
job:
  after_script: [{OF_SIZE}]
  script: [SIZE=Standard_A, az aks list]
steps:
  - script: SIZE=Standard_A
  - script: {OF_SIZE}
  - run: SIZE=Standard_A
  - run: {OF_SIZE}
"""
    reading, _ = read_yaml(Text("f", jobs), Given())
    assert [pool.properties["vmSize"] for pool in reading.pools] == [Unknown("$SIZE")] * 3


def test_a_script_that_aliases_repeat_is_one_unless_something_before_it_makes_it_another() -> None:
    jobs = f"""
one:
  before_script: [SIZE=Standard_A]
  script: &script [{OF_SIZE}]
two:
  before_script: [SIZE=Standard_A]
  script: *script
three:
  before_script: [SIZE=Standard_B]
  script: *script
"""
    reading, _ = read_yaml(Text("f", jobs), Given())
    assert [pool.properties["vmSize"] for pool in reading.pools] == ["Standard_A", "Standard_B"]


@pytest.mark.parametrize(
    ("properties", "size"),
    [
        ({"vmSize": "A", "VMSize": "B"}, "A"),
        ({"VMSize": "B", "vmSize": "A"}, "A"),
        ({"VMSIZE": "C", "VMSize": "B"}, "B"),
    ],
)
def test_of_names_that_differ_by_case_the_one_counts_that_counts_for_the_service(
    properties: dict[str, Any], size: str
) -> None:
    assert decode_node_pool({"properties": properties}, Profile.DOCUMENTED).vm_size == size
    of_arm = only(of_template([{"type": POOL, "name": "c/p", "properties": properties}]))
    after = {"type": f"{POOL}@2025-10-01", "name": "p", "body": {"properties": properties}}
    change = {"address": "a", "type": "azapi_resource", "change": {"actions": ["create"], "after": after}}
    plan = {"format_version": "1.2", "terraform_version": "1", "resource_changes": [change]}
    of_azapi = only(read_terraform(JsonText(Text("f", json.dumps(plan, indent=1))), Given()))
    for pool in (of_arm, of_azapi):
        assert pool.properties == {"vmSize": size}
    written = json.dumps(plan, indent=1).splitlines()[of_azapi.place_of("vmSize").line - 1]
    assert f'"{size}"' in written


OF_CLUSTER = {"kubernetesVersion": "1.24.0", "agentPoolProfiles": [{"name": "win", "vmSize": "Standard_D2_v2"}]}


@pytest.mark.parametrize(
    "properties",
    [
        OF_CLUSTER,
        "[variables('p')]",
        "[union(createObject('kubernetesVersion', '1.24.0'), variables('pools'))]",
        {"KubernetesVersion": "1.24.0", "AgentPoolProfiles": [{"Name": "win", "VMSize": "Standard_D2_v2"}]},
        {**OF_CLUSTER, "kubernetesversion": "1.33", "networkProfile": "[variables('none')]"},
    ],
)
def test_the_properties_of_a_cluster_count_however_they_are_written(properties: Any) -> None:
    reading = of_template(
        [
            {"type": CLUSTER, "name": "c", "location": "westeurope", "properties": properties},
            {"type": POOL, "name": "c/other", "properties": {"vmSize": "Standard_D2_v2"}},
        ],
        variables={"p": OF_CLUSTER, "pools": {"AGENTPOOLPROFILES": OF_CLUSTER["agentPoolProfiles"]}},
    )
    assert [(pool.name, pool.properties["vmSize"], pool.cluster.version) for pool in reading.pools] == [
        ("win", "Standard_D2_v2", "1.24.0"),
        ("other", "Standard_D2_v2", "1.24.0"),
    ]
    assert reading.mistakes == []


def test_of_a_cluster_with_unknown_properties_the_version_is_unknown() -> None:
    reading = of_template(
        [{"type": CLUSTER, "name": "c", "location": "westeurope", "properties": "[parameters('p')]"}],
        parameters={"p": {"type": "object"}},
    )
    assert only(reading).cluster.version == Unknown("[parameters('p')]")


def cluster(version: str, location: str = "westeurope", **rest: Any) -> dict[str, Any]:
    """The cluster c."""
    return {
        "type": CLUSTER,
        "name": "c",
        "location": location,
        "properties": {"kubernetesVersion": version, "agentPoolProfiles": [{"name": "own"}]},
        **rest,
    }


A_POOL = {"type": POOL, "name": "c/p", "properties": {"vmSize": "Standard_D2_v2"}}


@pytest.mark.parametrize(
    ("other", "location", "version"),
    [
        (cluster("1.24.0"), "westeurope", "1.24.0"),
        (cluster("1.33.0"), "westeurope", Unknown("the cluster's version")),
        (cluster("1.24.0", "eastus"), Unknown("the cluster's location"), "1.24.0"),
    ],
)
def test_of_two_clusters_of_one_name_what_differs_is_unknown(
    other: dict[str, Any], location: str | Unknown, version: str | Unknown
) -> None:
    child = {"type": "agentPools", "name": "child", "properties": {}}
    both = [
        cluster("1.24.0", condition="[parameters('old')]", resources=[child]),
        {**other, "condition": "[not(parameters('old'))]"},
    ]
    reading = of_template([*both, A_POOL], parameters={"old": {"type": "bool"}})
    first, of_first, second, pool = reading.pools
    assert (pool.cluster.location, pool.cluster.version) == (location, version)
    assert first.cluster == of_first.cluster == only(of_template([cluster("1.24.0")])).cluster
    assert second.cluster.version == other["properties"]["kubernetesVersion"]
    known = of_template([*both, A_POOL], given={"old": True}, parameters={"old": {"type": "bool"}})
    assert known.pools[-1].cluster == first.cluster


@pytest.mark.parametrize(
    ("scope", "is_known"),
    [
        ({}, True),
        ({"resourceGroup": "other"}, False),
        ({"resourceGroup": "[parameters('group')]"}, False),
        ({"subscriptionId": "00000000-0000-0000-0000-000000000001"}, False),
    ],
)
@pytest.mark.parametrize("evaluated", ["inner", "outer"])
def test_a_cluster_of_another_resource_group_is_another_cluster(
    scope: dict[str, Any], is_known: bool, evaluated: str
) -> None:
    properties = {"expressionEvaluationOptions": {"scope": evaluated}, "template": {"resources": [A_POOL]}}
    nested = {"type": "Microsoft.Resources/deployments", "name": "n", "properties": properties, **scope}
    group = {"group": {"type": "string"}}
    pool = of_template([cluster("1.33.0"), nested], parameters=group).pools[-1]
    assert isinstance(pool.cluster.version, Unknown) is not is_known
    assert isinstance(pool.cluster.location, Unknown) is not is_known


def test_what_exists_in_another_resource_group_says_nothing_of_a_cluster_here() -> None:
    elsewhere = {"type": CLUSTER, "name": "c", "existing": True, "resourceGroup": "other"}
    resources = {"elsewhere": elsewhere, "here": cluster("1.33.0"), "pool": A_POOL}
    there = {**A_POOL, "resourceGroup": "other"}
    reading = of_template({**resources, "there": there}, languageVersion="2.0")
    assert [pool.cluster.version for pool in reading.pools] == ["1.33.0", "1.33.0", Unknown("the cluster's version")]
