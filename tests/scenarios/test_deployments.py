"""Deployments of templates over HTTP, with what bicep builds: created, validated, foreseen, read, canceled, deleted."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from poolwright.access_control import object_id_of
from poolwright.domain.profile import Profile
from poolwright.domain.resource_id import CLUSTER_TYPE
from poolwright.domain.roles import AKS_CONTRIBUTOR, CONTRIBUTOR, DEFINITION_TYPE, READER
from tests.support.everything import everything
from tests.support.in_process import InProcess, InProcessClient
from tests.support.service import ArmClient, ServiceProcess

BICEP = Path(__file__).parent.parent / "templates" / "bicep"
PASSWORD = "Pa55word-of-nobody"
POOLS: list[dict[str, Any]] = [{"name": "np1", "count": 1, "generation": "V1"}, {"name": "np2", "count": 2}]

NOBODY = "11111111-2222-3333-4444-555555555555"
A_ROLE, NO_ROLE = (f"/providers/{DEFINITION_TYPE}/{guid}" for guid in (READER.id, NOBODY))
NOT_HERS = f"/subscriptions/x/resourceGroups/y/providers/{CLUSTER_TYPE}/c1/agentPools/np1"
NO_POOL = f"[resourceId('{CLUSTER_TYPE}/agentPools', 'c1', 'none')]"


@pytest.fixture
def app(tmp_path: Path) -> Iterator[InProcess]:
    service = InProcess(tmp_path / "data")
    assert service.client.put(service.client.group(), json={"location": "eastus"}).status_code == 201
    yield service
    service.close()


@pytest.fixture
def client(app: InProcess) -> ArmClient:
    return app.client


def template(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((BICEP / f"{name}.json").read_text())
    return loaded


def body(template: Any, **parameters: Any) -> dict[str, Any]:
    sent = {name: {"value": value} for name, value in parameters.items()}
    return {"properties": {"mode": "Incremental", "template": template, "parameters": sent}}


def node_pools(**more: Any) -> dict[str, Any]:
    return body(template("node-pools"), **{"clusterName": "c1", "adminPassword": PASSWORD, "pools": POOLS, **more})


def at(client: ArmClient, name: str = "main", group: str = "rg") -> str:
    return f"{client.group(group)}/providers/Microsoft.Resources/deployments/{name}"


def below_subscription(client: ArmClient, name: str = "main") -> str:
    return f"{client.subscription}/providers/Microsoft.Resources/deployments/{name}"


def deployed(client: ArmClient, path: str, sent: dict[str, Any]) -> dict[str, Any]:
    reply = client.put(path, json=sent)
    assert reply.status_code in (200, 201), reply.text
    status = client.get(reply.headers["Azure-AsyncOperation"], params={}).json()
    assert status == {"status": "Succeeded"}, status
    shown: dict[str, Any] = client.get(path).json()
    return shown


def changes(reply: httpx.Response) -> dict[str, dict[str, Any]]:
    assert (reply.status_code, reply.json()["status"]) == (200, "Succeeded"), reply.text
    return {each["resourceId"].rpartition("/")[2]: each for each in reply.json()["properties"]["changes"]}


def test_a_template_is_deployed_and_shown_as_arm_shows_it(client: ArmClient) -> None:
    path = at(client)
    assert client.head(path).status_code == 404
    accepted = client.put(path, json=node_pools())
    assert accepted.status_code == 201
    assert accepted.json()["properties"]["provisioningState"] == "Accepted"
    assert accepted.headers["Retry-After"] == "1"
    assert f"{path}/operationStatuses/" in accepted.headers["Azure-AsyncOperation"]
    shown = client.get(path).json()
    properties = shown["properties"]
    assert (shown["id"], shown["name"], shown["type"]) == (path, "main", "Microsoft.Resources/deployments")
    assert (properties["provisioningState"], properties["mode"]) == ("Succeeded", "Incremental")
    assert properties["parameters"]["pools"] == {"type": "Array", "value": POOLS}
    assert properties["parameters"]["adminPassword"] == {"type": "SecureString"}
    assert [each["id"] for each in properties["outputResources"]] == [
        client.cluster(),
        client.pool("np1"),
        client.pool("np2"),
    ]
    assert properties["providers"] == [
        {
            "namespace": "Microsoft.ContainerService",
            "resourceTypes": [{"resourceType": "managedClusters"}, {"resourceType": "managedClusters/agentPools"}],
        }
    ]
    # Serial, in batches of one: the second pool waits for the first.
    waits = {
        each["resourceName"]: [one["resourceName"] for one in each["dependsOn"]] for each in properties["dependencies"]
    }
    assert waits == {"c1/np1": ["c1"], "c1/np2": ["c1", "c1/np1"]}
    pools = {name: client.get(client.pool(name)).json()["properties"] for name in ("np1", "np2")}
    assert {name: pool["poolwright"]["resolvedGeneration"] for name, pool in pools.items()} == {
        "np1": "V1",
        "np2": "V2",
    }
    assert pools["np1"]["tags"] == {"pool": "np1", "madeBy": "bicep"}
    assert properties["outputs"] == {
        "clusterFqdn": {"type": "String", "value": client.get(client.cluster()).json()["properties"]["fqdn"]},
        "images": {
            "type": "Array",
            "value": [{"name": f"c1/{name}", "image": pool["nodeImageVersion"]} for name, pool in pools.items()],
        },
    }
    assert client.head(path).status_code == 204
    again = client.put(path, json=node_pools())
    assert again.status_code == 200, "it is there already"


def test_group_and_deployment_may_have_letters_that_no_header_can_have(client: ArmClient) -> None:
    group, name = "%C4%B0-gruppe", "%C4%B0stanbul-%C3%BC"
    assert client.put(client.group(group), json={"location": "eastus"}).status_code == 201
    cluster = {
        "location": "eastus",
        "properties": {"agentPoolProfiles": [{"name": "sys", "mode": "System", "count": 1}]},
    }
    assert client.put(client.cluster("c1", group), json=cluster).status_code == 201
    shown = deployed(client, at(client, name, group), node_pools())
    assert (shown["name"], shown["properties"]["provisioningState"]) == ("İstanbul-ü", "Succeeded")
    again = client.put(at(client, name, group), json=node_pools())
    assert again.headers["Azure-AsyncOperation"].isascii()


def test_operations_are_listed_by_both_paths_and_one_by_one(client: ArmClient) -> None:
    deployed(client, at(client), node_pools())
    listed = client.get(f"{at(client)}/operations").json()["value"]
    assert client.get(f"{client.group()}/deployments/main/operations").json()["value"] == listed
    done = [
        (each["properties"].get("targetResource", {}).get("resourceName"), each["properties"]["provisioningState"])
        for each in listed
    ]
    assert done == [("c1", "Succeeded"), ("c1/np1", "Succeeded"), ("c1/np2", "Succeeded"), (None, "Succeeded")]
    assert listed[-1]["properties"]["provisioningOperation"] == "EvaluateDeploymentOutput"
    one = f"{at(client)}/operations/{listed[0]['operationId']}"
    assert client.get(one).json() == listed[0]
    assert client.get(f"{at(client)}/operations/none").status_code == 404


def test_a_deployment_names_the_fault_that_made_a_resource_fail(client: ArmClient) -> None:
    client.make_cluster()
    fault = {"match": {"pool": "lost", "step": "await_ready"}, "effect": {"loseMachine": 1}}
    assert client.put("/_poolwright/faults/f", json=fault).status_code == 201
    pool = {
        "type": "Microsoft.ContainerService/managedClusters/agentPools",
        "apiVersion": "2025-10-01",
        "name": "c1/lost",
        "properties": {"vmSize": "Standard_D2s_v5", "count": 1},
    }
    reply = client.put(at(client), json=body({"resources": [pool]}))
    assert reply.status_code == 201, reply.text
    status = client.get(reply.headers["Azure-AsyncOperation"], params={}).json()
    (resource,) = client.get(at(client)).json()["properties"]["error"]["details"]
    assert status["error"]["details"] == [resource]
    (cause,) = resource["details"]
    assert cause["message"].startswith("1 machine(s) vanished: ")
    assert cause["additionalInfo"][0]["info"]["fault"] == "f"


def test_deployments_are_listed_newest_first_filtered_and_deleted(client: ArmClient) -> None:
    deployed(client, at(client, "one"), body({"resources": []}))
    deployed(client, at(client, "two"), body({"resources": []}))
    listing = f"{client.group()}/providers/Microsoft.Resources/deployments/"
    assert [each["name"] for each in client.get(listing).json()["value"]] == ["two", "one"]
    assert len(client.get(listing, params={"$top": "1"}).json()["value"]) == 1
    for state, number in (("Succeeded", 2), ("Failed", 0)):
        shown = client.get(listing, params={"$filter": f"provisioningState eq '{state}'"}).json()["value"]
        assert len(shown) == number
    assert client.get(listing, params={"$filter": "name eq 'x'"}).json()["error"]["code"] == "InvalidParameter"
    assert client.get(f"{client.group('none')}/providers/Microsoft.Resources/deployments").status_code == 404
    assert [client.delete(at(client, "one")).status_code for _ in range(2)] == [204, 204]
    assert [each["name"] for each in client.get(listing).json()["value"]] == ["two"]


def test_validation_answers_as_the_put_would_and_changes_nothing(client: ArmClient) -> None:
    before = everything(client)
    valid = client.post(f"{at(client)}/validate", json=node_pools())
    assert valid.status_code == 200
    assert valid.json()["properties"]["provisioningState"] == "Succeeded"
    assert len(valid.json()["properties"]["validatedResources"]) == 3
    wrong = node_pools(pools=[{"name": "np1", "size": "Standard_Nothing", "count": 1}, {"name": "BAD", "count": 1}])
    for reply in (client.post(f"{at(client)}/validate", json=wrong), client.put(at(client), json=wrong)):
        assert reply.status_code == 400
        error = reply.json()["error"]
        assert error["code"] == "InvalidTemplateDeployment"
        assert error["message"].startswith("The template deployment 'main' is not valid according to the validation")
        # The second pool waits for the first, so that nothing is known of it.
        assert [each["code"] for each in error["details"]] == ["VMSizeNotSupported"]
        assert error["details"][0]["target"] == client.pool("np1")
    assert everything(client) == before
    assert client.head(at(client)).status_code == 404
    only_template = {"properties": {**wrong["properties"], "validationLevel": "Template"}}
    assert client.post(f"{at(client)}/validate", json=only_template).status_code == 200


def test_what_if_tells_the_generation_of_every_pool_before_there_is_a_cluster(client: ArmClient) -> None:
    before = everything(client)
    reply = client.post(f"{at(client)}/whatIf", json=node_pools())
    seen = changes(reply)
    assert {name: each["changeType"] for name, each in seen.items()} == dict.fromkeys(("c1", "np1", "np2"), "Create")
    generations = {
        name: seen[name]["after"]["properties"]["poolwright"]["resolvedGeneration"] for name in ("np1", "np2")
    }
    assert generations == {"np1": "V1", "np2": "V2"}
    assert seen["np1"]["symbolicName"] == "agentPools[0]"
    told = [each["message"] for each in reply.json()["properties"]["diagnostics"] if each["level"] == "Info"]
    assert [message.partition(" and ")[0] for message in told] == ["np1 gets generation V1", "np2 gets generation V2"]
    assert PASSWORD not in reply.text
    assert everything(client) == before


def test_what_if_tells_changes_and_what_they_do_to_machines(client: ArmClient) -> None:
    deployed(client, at(client), node_pools())
    before = everything(client)
    again = changes(client.post(f"{at(client)}/whatIf", json=node_pools()))
    assert {name: each["changeType"] for name, each in again.items()} == {
        "c1": "NoChange",
        "np1": "NoChange",
        "np2": "NoChange",
        "sys": "Ignore",
    }
    changed = node_pools(pools=[{"name": "np1", "count": 1, "generation": "V2"}, {"name": "np2", "count": 3}])
    reply = client.post(f"{at(client)}/whatIf", json=changed)
    seen = changes(reply)
    assert {name: each["changeType"] for name, each in seen.items()} == {
        "c1": "NoChange",
        "np1": "Modify",
        "np2": "Modify",
        "sys": "Ignore",
    }
    np1 = {each["path"]: (each["before"], each["after"]) for each in seen["np1"]["delta"]}
    assert np1["properties.vmGeneration"] == ("V1", "V2")
    assert np1["properties.poolwright.resolvedGeneration"] == ("V1", "V2")
    assert seen["np1"]["after"]["properties"]["poolwright"]["rollout"]["machinesReplaced"] == 1
    np2 = {each["path"]: (each["before"], each["after"]) for each in seen["np2"]["delta"]}
    assert np2 == {"properties.count": (2, 3)}
    assert everything(client) == before
    ids = {"properties": {**changed["properties"], "whatIfSettings": {"resultFormat": "ResourceIdOnly"}}}
    only = changes(client.post(f"{at(client)}/whatIf", json=ids))
    assert only["np1"] == {
        "resourceId": client.pool("np1"),
        "deploymentId": at(client),
        "symbolicName": "agentPools[0]",
        "changeType": "Deploy",
    }


def test_what_was_foreseen_comes_true(client: ArmClient) -> None:
    seen = changes(client.post(f"{at(client)}/whatIf", json=node_pools()))
    deployed(client, at(client), node_pools())
    for name in ("np1", "np2"):
        there = client.get(client.pool(name)).json()["properties"]
        foreseen = seen[name]["after"]["properties"]
        for key in ("vmSize", "count", "nodeImageVersion", "tags", "orchestratorVersion"):
            assert there[key] == foreseen[key]
        assert there["poolwright"]["resolvedGeneration"] == foreseen["poolwright"]["resolvedGeneration"]


def test_what_if_answers_a_wrong_template_with_its_error_and_success(client: ArmClient) -> None:
    for sent, code in (
        (node_pools(pools=[{"name": "np1", "size": "Standard_Nothing", "count": 1}]), "InvalidTemplateDeployment"),
        (node_pools(pools=[{"name": "np1"}]), "InvalidTemplate"),
        (body({"resources": [], "outputs": 1}), "InvalidRequestContent"),
    ):
        reply = client.post(f"{at(client)}/whatIf", json=sent)
        assert (reply.status_code, reply.json()["status"], reply.json()["error"]["code"]) == (200, "Failed", code)


def test_modules_are_deployments_of_their_own(client: ArmClient) -> None:
    client.make_cluster()
    shown = deployed(client, at(client), body(template("modules"), clusterName="c1"))
    linux = client.get(at(client, "linux-pool")).json()["properties"]
    assert linux["provisioningState"] == "Succeeded"
    assert linux["correlationId"] == shown["properties"]["correlationId"]
    pools = {name: client.get(client.pool(name)).json()["properties"] for name in ("lin", "win")}
    assert pools["win"]["tags"] == {"after": pools["lin"]["nodeImageVersion"]}
    assert pools["win"]["poolwright"]["requestedBy"] == "property"
    assert pools["win"]["poolwright"]["resolvedGeneration"] == "V2"
    outputs = {name: each["value"] for name, each in shown["properties"]["outputs"].items()}
    assert outputs["windowsImage"] == pools["win"]["nodeImageVersion"]
    assert outputs["version"] == client.get(client.cluster()).json()["properties"]["currentKubernetesVersion"]
    without = body(template("modules"), clusterName="c1", withWindows=False)
    seen = changes(client.post(f"{at(client)}/whatIf", json=without))
    assert {name: each["changeType"] for name, each in seen.items()} == {
        "lin": "NoChange",
        "c1": "Ignore",
        "sys": "Ignore",
        "win": "Ignore",
    }


def test_a_subscription_deployment_makes_a_group_and_what_is_in_it(client: ArmClient) -> None:
    sent = {**body(template("subscription"), groupName="made", adminPassword=PASSWORD), "location": "westus2"}
    path = below_subscription(client)
    seen = changes(client.post(f"{path}/whatIf", json=sent))
    assert {name: each["changeType"] for name, each in seen.items()} == {"made": "Create", "aks-made": "Create"}
    assert client.get(client.group("made")).status_code == 404
    shown = deployed(client, path, sent)
    assert shown["location"] == "westus2"
    made = client.get(client.group("made")).json()
    assert (made["location"], made["tags"]) == ("westus2", {"made": "by bicep"})
    assert shown["properties"]["outputs"]["clusterId"]["value"] == client.cluster("aks-made", "made")
    assert client.get(client.cluster("aks-made", "made")).json()["location"] == "westus2"
    listing = f"{client.subscription}/providers/Microsoft.Resources/deployments"
    assert [each["name"] for each in client.get(listing).json()["value"]] == ["main"]
    assert len(client.get(f"{path}/operations").json()["value"]) == 3
    no_location = client.put(below_subscription(client, "x"), json=body({"resources": []}))
    assert (no_location.status_code, no_location.json()["error"]["target"]) == (400, "location")


def access(principal: InProcessClient, **more: Any) -> dict[str, Any]:
    assert principal.principal is not None
    given = {"clusterName": "c1", "principalId": principal.principal.object_id, "roleId": READER.id}
    return body(template("access"), **given, **more)


def test_role_assignments_snapshots_and_maintenance_are_deployed_in_their_order(app: InProcess) -> None:
    client, reader = app.client, app.make_principal("reader")
    sent = access(reader)
    foreseen = changes(client.post(f"{at(client)}/whatIf", json=sent))
    shown = deployed(client, at(client), sent)

    outputs = {name: output["value"] for name, output in shown["properties"]["outputs"].items()}
    assert reader.principal is not None
    assert outputs["heldBy"] == reader.principal.object_id
    assert outputs["image"].startswith("AKSUbuntu-2404containerd-"), "the pool's, which is of Generation 1"
    assert outputs["days"] == [{"day": "Monday", "hourSlots": [1, 2]}]
    assert outputs["assignmentId"].startswith(f"{client.cluster()}/providers/Microsoft.Authorization/roleAssignments/")
    # The assignment holds at the cluster alone.
    assert reader.get(client.pool("np1")).status_code == 200
    assert reader.get(client.group()).status_code == 403
    assignment = client.get(outputs["assignmentId"]).json()["properties"]
    owner = object_id_of(app.credentials.tenant_id, app.credentials.client_id)
    assert (assignment["scope"], assignment["createdBy"]) == (client.cluster(), owner)
    names = {"c1", "np1", "default", "taken", outputs["assignmentId"].rpartition("/")[2]}
    assert {name: each["changeType"] for name, each in foreseen.items()} == dict.fromkeys(names, "Create")
    # The same once more is no change, and the template of another has nothing to do with them.
    again = changes(client.post(f"{at(client)}/whatIf", json=sent))
    assert {name: each["changeType"] for name, each in again.items()} == dict.fromkeys(names, "NoChange") | {
        "sys": "Ignore"
    }
    deployed(client, at(client), sent)
    empty = {"$schema": "x", "contentVersion": "1.0.0.0", "resources": []}
    others = changes(client.post(f"{at(client)}/whatIf", json=body(empty)))
    assert {name: each["changeType"] for name, each in others.items()} == dict.fromkeys(
        ("c1", "sys", "np1", "taken"), "Ignore"
    )


def test_a_changed_template_changes_what_it_may(app: InProcess) -> None:
    client, reader = app.client, app.make_principal("reader")
    sent = access(reader)
    # As bicep wrote a scope before it took to resourceId.
    scope = f"[format('{CLUSTER_TYPE}/{{0}}', parameters('clusterName'))]"
    sent["properties"]["template"]["resources"][4]["scope"] = scope
    deployed(client, at(client), sent)
    _, _, maintenance, snapshot, assignment = sent["properties"]["template"]["resources"]
    maintenance["properties"]["timeInWeek"][0]["day"] = "Friday"
    snapshot["tags"] = {"from": "elsewhere"}
    assignment["properties"]["description"] = "for the auditors"

    foreseen = changes(client.post(f"{at(client)}/whatIf", json=sent))
    deployed(client, at(client), sent)

    modified = {name: each["delta"] for name, each in foreseen.items() if each["changeType"] == "Modify"}
    assert {path for delta in modified.values() for path in [delta[0]["path"]]} == {
        "properties.timeInWeek",
        "tags.from",
        "properties.description",
    }
    taken = client.get(f"{client.group()}/providers/Microsoft.ContainerService/snapshots/taken").json()
    assert taken["tags"] == {"from": "elsewhere"}


def test_existing_snapshots_and_assignments_are_referred_to(app: InProcess) -> None:
    client, reader = app.client, app.make_principal("reader")
    first = deployed(client, at(client), access(reader))
    name = first["properties"]["outputs"]["assignmentId"]["value"].rpartition("/")[2]
    existing = {
        "$schema": "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#",
        "languageVersion": "2.0",
        "contentVersion": "1.0.0.0",
        "resources": {
            "taken": {
                "existing": True,
                "type": "Microsoft.ContainerService/snapshots",
                "apiVersion": "2025-10-01",
                "name": "taken",
            },
            "access": {
                "existing": True,
                "type": "Microsoft.Authorization/roleAssignments",
                "apiVersion": "2022-04-01",
                "scope": f"[resourceId('{CLUSTER_TYPE}', 'c1')]",
                "name": name,
            },
            "pool": {
                "type": f"{CLUSTER_TYPE}/agentPools",
                "apiVersion": "2025-10-01",
                "name": "c1/np2",
                "properties": {
                    "count": 1,
                    "vmSize": "Standard_D2s_v5",
                    "creationData": {
                        "sourceResourceId": "[resourceId('Microsoft.ContainerService/snapshots', 'taken')]"
                    },
                    "tags": {"heldBy": "[reference('access').principalId]"},
                },
                "dependsOn": ["taken", "access"],
            },
        },
    }
    deployed(client, at(client, "second"), body(existing))
    made = client.get(client.pool("np2")).json()["properties"]
    taken = client.get(f"{client.group()}/providers/Microsoft.ContainerService/snapshots/taken").json()
    assert made["nodeImageVersion"] == taken["properties"]["nodeImageVersion"]
    assert reader.principal is not None
    assert made["tags"] == {"heldBy": reader.principal.object_id}


def test_roles_are_assigned_at_the_subscription_by_whoever_may(app: InProcess) -> None:
    client, reader = app.client, app.make_principal("reader")
    assert reader.principal is not None
    sent = {
        "location": "eastus",
        **body(
            {
                "$schema": "https://schema.management.azure.com/schemas/2018-05-01/subscriptionDeploymentTemplate.json#",
                "contentVersion": "1.0.0.0",
                "resources": [
                    {
                        "type": "Microsoft.Authorization/roleAssignments",
                        "apiVersion": "2022-04-01",
                        "name": "[guid(subscription().id, 'reader')]",
                        "properties": {
                            "roleDefinitionId": f"[subscriptionResourceId('{DEFINITION_TYPE}', '{READER.id}')]",
                            "principalId": reader.principal.object_id,
                        },
                    }
                ],
            }
        ),
    }
    contributor = app.make_principal("contributor", (CONTRIBUTOR, client.subscription))
    refused = contributor.put(below_subscription(client), json=sent)
    assert refused.json()["error"]["details"][0]["code"] == "AuthorizationFailed"
    assert reader.get(client.group()).status_code == 403
    deployed(client, below_subscription(client), sent)
    assert reader.get(client.group()).status_code == 200


@pytest.mark.parametrize(
    ("place", "change", "code"),
    [
        (2, {"properties": {}}, "InvalidParameter"),
        (2, {"name": "c1/nonsense"}, "InvalidParameter"),
        (3, {"location": "westus2"}, "InvalidParameter"),
        (3, {"properties": {"creationData": {"sourceResourceId": NO_POOL}}}, "InvalidParameter"),
        (3, {"properties": {"creationData": {"sourceResourceId": NOT_HERS}}}, "LinkedAuthorizationFailed"),
        (3, {"properties": {"creationData": {"sourceResourceId": "/subscriptions/x/y"}}}, "InvalidParameter"),
        (4, {"name": "no-guid"}, "InvalidParameter"),
        (4, {"scope": "[resourceId('Microsoft.ContainerService/managedClusters', 'none')]"}, "ResourceNotFound"),
        (4, {"properties": {"roleDefinitionId": NO_ROLE, "principalId": NOBODY}}, "RoleDefinitionDoesNotExist"),
        (4, {"properties": {"roleDefinitionId": A_ROLE, "principalId": NOBODY}}, "PrincipalNotFound"),
    ],
)
def test_what_a_put_would_refuse_the_template_is_refused_for(
    app: InProcess, place: int, change: dict[str, Any], code: str
) -> None:
    client, sent = app.client, access(app.make_principal("reader"))
    sent["properties"]["template"]["resources"][place] |= change
    sent["properties"]["template"].pop("outputs")
    before = everything(client)
    refused = client.put(at(client), json=sent)
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "InvalidTemplateDeployment"), refused.text
    assert [detail["code"] for detail in refused.json()["error"]["details"]] == [code]
    assert everything(client) == before


def test_the_deletion_of_a_group_takes_its_deployments_with_it(client: ArmClient) -> None:
    deployed(client, at(client), node_pools())
    assert client.delete(client.group()).status_code == 202
    assert client.get(client.group()).status_code == 404
    client.put(client.group(), json={"location": "eastus"})
    assert client.get(at(client)).json()["error"]["code"] == "DeploymentNotFound"


def test_the_exported_template_is_the_one_sent_without_secrets(client: ArmClient) -> None:
    sent = template("node-pools")
    sent["resources"]["cluster"]["properties"]["servicePrincipalProfile"] = {"clientId": "x", "secret": "hunter2"}
    deployed(client, at(client), body(sent, clusterName="c1", adminPassword=PASSWORD, pools=POOLS))
    exported = client.post(f"{at(client)}/exportTemplate").json()["template"]
    assert "hunter2" not in json.dumps(exported)
    del sent["resources"]["cluster"]["properties"]["servicePrincipalProfile"]["secret"]
    del sent["resources"]["cluster"]["properties"]["windowsProfile"]["adminPassword"]
    assert exported == sent


def test_the_value_of_a_secure_parameter_is_in_no_file_and_no_reply(tmp_path: Path) -> None:
    service = InProcess(tmp_path / "data")
    client = service.client
    client.put(client.group(), json={"location": "eastus"})
    deployed(client, at(client), node_pools())
    sent = {**body(template("subscription"), groupName="made", adminPassword=PASSWORD), "location": "eastus"}
    deployed(client, below_subscription(client), sent)
    for path in (at(client), f"{at(client)}/operations", below_subscription(client), client.cluster()):
        assert PASSWORD not in client.get(path).text
    service.close()
    stored = [path for path in (tmp_path / "data").rglob("*") if path.is_file()]
    assert stored
    for path in stored:
        assert PASSWORD.encode() not in path.read_bytes(), path


def test_a_template_with_comments_and_long_strings_is_read_as_az_sends_it(client: ArmClient) -> None:
    text = """{"properties": {"mode": "Incremental", "parameters": {}, template:{
        // a comment with "quotes"
        "resources": [], /* another
        one */
        "outputs": {"text": {"type": "string", "value": "two
lines // no comment"}}}}}"""
    path = at(client)
    reply = client.put(path, content=text.encode(), headers={"Content-Type": "application/json"})
    assert reply.status_code == 201, reply.text
    shown = client.get(path).json()["properties"]["outputs"]
    assert shown["text"]["value"] == "two\nlines // no comment"


def test_a_resource_that_fails_is_told_with_arm_s_nested_error(tmp_path: Path) -> None:
    service = InProcess(tmp_path / "data", profile=Profile.AZURE_2026)
    client = service.client
    client.make_cluster()
    # Accepted, and then Compute refuses it (conflict C3).
    refused = {"vmSize": "Standard_D4ads_v6", "osType": "Windows", "osSKU": "Windows2022", "count": 1}
    pool = {
        "type": "Microsoft.ContainerService/managedClusters/agentPools",
        "apiVersion": "2025-10-01",
        "name": "c1/win",
        "properties": refused,
    }
    sent = body({"resources": [pool]})
    foreseen = client.post(f"{at(client)}/whatIf", json=sent).json()["properties"]["diagnostics"]
    assert any(each["message"].startswith("The operation would fail: ") for each in foreseen)
    reply = client.put(at(client), json=sent)
    status = client.get(reply.headers["Azure-AsyncOperation"], params={}).json()
    assert status["status"] == "Failed"
    error = status["error"]
    assert (error["code"], error["target"]) == ("DeploymentFailed", at(client))
    (detail,) = error["details"]
    assert (detail["code"], detail["target"]) == ("ResourceDeploymentFailure", client.pool("win"))
    assert "cannot boot Hypervisor Generation '1'" in detail["details"][0]["message"]
    (listed,) = client.get(f"{at(client)}/operations").json()["value"]
    assert listed["properties"]["provisioningState"] == "Failed"
    assert listed["properties"]["statusMessage"]["error"] == detail
    assert client.get(at(client)).json()["properties"]["error"] == error
    service.close()


NESTED = {"type": "Microsoft.Resources/deployments", "apiVersion": "2025-04-01", "name": "x"}
EMPTY: dict[str, Any] = {"template": {"resources": []}}
STRANGER = "00000000-0000-4000-8000-000000000000"
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "a type of nobody": (
        body({"resources": [{"type": "Microsoft.Web/sites", "apiVersion": "2024-04-01", "name": "x"}]}),
        "NoRegisteredProviderFound",
    ),
    "mode Complete": ({"properties": {"mode": "Complete", **EMPTY}}, "InvalidParameter"),
    "an unknown function": (
        body({"resources": [], "parameters": {"p": {"type": "string", "defaultValue": "[nothing()]"}}}),
        "InvalidTemplate",
    ),
    "no properties": ({}, "InvalidRequestContent"),
    "another subscription": (
        body({"resources": [{**NESTED, "subscriptionId": STRANGER, "resourceGroup": "rg", "properties": EMPTY}]}),
        "SubscriptionNotFound",
    ),
    "another group": (
        body({"resources": [{**NESTED, "resourceGroup": "none", "properties": EMPTY}]}),
        "ResourceGroupNotFound",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_refused_deployment_changes_nothing(client: ArmClient, name: str) -> None:
    sent, code = REFUSED[name]
    before = everything(client)
    for reply in (client.put(at(client), json=sent), client.post(f"{at(client)}/validate", json=sent)):
        assert reply.status_code in (400, 404)
        assert reply.json()["error"]["code"] == code
    assert everything(client) == before
    assert client.head(at(client)).status_code == 404


@pytest.mark.parametrize("name", ["a" * 65, "a~b", "a b"])
def test_a_deployment_s_name_has_arm_s_form(client: ArmClient, name: str) -> None:
    reply = client.put(at(client, name.replace(" ", "%20")), json=body({"resources": []}))
    assert (reply.status_code, reply.json()["error"]["target"]) == (400, "name")


def test_a_deployment_is_found_whatever_the_case_of_its_path(client: ArmClient) -> None:
    deployed(client, at(client, "Main"), body({"resources": []}))
    upper = at(client, "MAIN").upper().replace("/SUBSCRIPTIONS", "/subscriptions")
    assert client.get(upper).json()["name"] == "Main"


def plain(*resources: dict[str, Any], **more: Any) -> dict[str, Any]:
    return body({"$schema": "x", "contentVersion": "1.0.0.0", "resources": list(resources), **more})


def inner(group: str, default: str | None = None) -> dict[str, Any]:
    """A deployment within one, to another group, with a parameter whose default is evaluated there."""
    declared = {"p": {"type": "string", "defaultValue": default}} if default is not None else {}
    template = {"$schema": "x", "contentVersion": "1.0.0.0", "parameters": declared, "resources": []}
    return {
        "type": "Microsoft.Resources/deployments",
        "apiVersion": "2022-09-01",
        "name": "inner",
        "resourceGroup": group,
        "properties": {
            "mode": "Incremental",
            "expressionEvaluationOptions": {"scope": "inner"},
            "template": template,
        },
    }


@pytest.mark.parametrize("verb", ["", "/validate", "/whatIf"])
def test_a_group_that_the_deployer_may_not_deploy_to_is_refused_alike_whether_it_exists_or_not(
    app: InProcess, verb: str
) -> None:
    client = app.client
    assert client.put(client.group("rg2"), json={"location": "eastus", "tags": {"for": "nobody"}}).status_code == 201
    holder = app.make_principal("holder of rg", (CONTRIBUTOR, client.group()))

    def told(group: str, default: str | None) -> tuple[int, str]:
        sent = plain(inner(group, default))
        reply = holder.post(f"{at(client)}{verb}", json=sent) if verb else holder.put(at(client), json=sent)
        return reply.status_code, reply.text.replace(group, "")

    for default in (None, "[fail(string(resourceGroup()))]"):
        there, missing = told("rg2", default), told("nope", default)
        assert there == missing
        assert (there[0], "AuthorizationFailed" in there[1], "nobody" in there[1]) == (403, True, False)
    # Where it may, it is told all about the group.
    assert (
        "tags" in holder.post(f"{at(client)}/validate", json=plain(inner("rg", "[fail(string(resourceGroup()))]"))).text
    )


@pytest.mark.parametrize("verb", ["/validate", "/whatIf"])
def test_a_pool_that_the_deployer_may_not_write_is_refused_alike_whether_it_exists_or_not(
    app: InProcess, verb: str
) -> None:
    client = app.client
    client.make_cluster("c2", group="rg2")
    holder = app.make_principal("holder of rg", (CONTRIBUTOR, client.group()))

    def told(name: str) -> list[dict[str, Any]]:
        resource = {"type": f"{CLUSTER_TYPE}/agentPools", "apiVersion": "2025-10-01", "resourceGroup": "rg2"}
        sent = plain({**resource, "name": name, "properties": {"count": 1, "vmSize": "Standard_D2s_v5"}})
        reply = holder.post(f"{at(client)}{verb}", json=sent).json()
        found: list[dict[str, Any]] = json.loads(json.dumps(reply["error"]["details"]).replace("c9", "c2"))
        return found

    assert told("c2/sys") == told("c9/sys")
    assert [detail["code"] for detail in told("c2/sys")] == ["AuthorizationFailed"]


def test_what_the_deployer_may_not_read_reference_does_not_tell(app: InProcess) -> None:
    client = app.client
    client.make_cluster("c2", group="rg2")
    holder = app.make_principal("holder of rg", (CONTRIBUTOR, client.group()))

    def told(name: str) -> dict[str, Any]:
        secret = f"[string(reference(resourceId('rg2', '{CLUSTER_TYPE}', '{name}'), '2025-10-01'))]"
        accepted = holder.put(at(client), json=plain(outputs={"x": {"type": "string", "value": secret}}))
        assert accepted.status_code in (200, 201)
        shown: dict[str, Any] = holder.get(at(client)).json()["properties"]
        assert shown["provisioningState"] == "Failed"
        assert not shown.get("outputs")
        return shown

    message = json.dumps(told("c2")["error"])
    assert "does not have permission to perform action 'Microsoft.ContainerService/managedClusters/read'" in message
    assert client.get(client.cluster("c2", "rg2")).json()["properties"]["fqdn"] not in message
    assert message == json.dumps(told("absent")["error"]).replace("absent", "c2")


@pytest.mark.parametrize("name", ["myproviders", "providers"])
def test_a_cluster_s_name_may_be_any(app: InProcess, name: str) -> None:
    client = app.client
    client.make_cluster(name)
    properties = {"count": 1, "vmSize": "Standard_D2s_v5"}
    pool = {"type": f"{CLUSTER_TYPE}/agentPools", "apiVersion": "2025-10-01", "name": f"{name}/np3"}
    holder = app.make_principal("operator", (AKS_CONTRIBUTOR, client.group()))
    deployed(client, at(client), plain({**pool, "properties": properties}))
    assert client.get(client.pool("np3", name)).json()["properties"]["provisioningState"] == "Succeeded"
    deployed(holder, at(client), plain({**pool, "properties": properties | {"count": 2}}))


@pytest.mark.parametrize(
    "scope",
    [
        "{group}/../rg2",
        "{group}/providers",
        "{cluster}",
        "/subscriptions",
        "{group}/providers/Microsoft.Resources/resourceGroups/rg2",
    ],
)
@pytest.mark.parametrize("kind", [CLUSTER_TYPE, "Microsoft.Resources/deployments"])
def test_a_scope_that_leads_to_no_id_is_refused(app: InProcess, scope: str, kind: str) -> None:
    client = app.client
    assert client.put(client.group("rg2"), json={"location": "eastus"}).status_code == 201
    client.make_cluster("c1")
    holder = app.make_principal("holder of rg", (CONTRIBUTOR, client.group()))
    resource = {"type": kind, "apiVersion": "2025-10-01", "name": "c1", "location": "eastus"}
    resource["scope"] = scope.format(group=client.group(), cluster=client.cluster("c1"))
    if kind != CLUSTER_TYPE:
        resource = inner("rg") | {"scope": resource["scope"]}
        resource.pop("resourceGroup")
    before = everything(client)
    refused = holder.put(at(client), json=plain({"properties": {}, **resource}))
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "InvalidTemplate"), refused.text
    assert everything(client) == before


def test_a_rehearsal_makes_no_more_node_pools_than_its_limit(app: InProcess) -> None:
    """Those within clusters are no resources of the template: 400 clusters would have 40 000 of them."""
    client = app.client
    client.put(client.group(), json={"location": "eastus"})
    pools = [{"name": f"p{number}", "mode": "System", "count": 1} for number in range(100)]
    sent = plain(
        {
            "type": CLUSTER_TYPE,
            "apiVersion": "2025-10-01",
            "name": "[format('k{0}', copyIndex())]",
            "location": "eastus",
            "properties": {"agentPoolProfiles": pools},
            "copy": {"name": "many", "count": 400},
        }
    )
    begun = time.process_time()
    refused = client.post(f"{at(client)}/validate", json=sent)
    assert time.process_time() - begun < 20
    assert refused.status_code == 400, refused.text
    (problem,) = refused.json()["error"]["details"]
    assert "limit of 2000 node pools" in problem["message"]


UNENDING = "[map(range(0, 10000), lambda('x', map(range(0, 10000), lambda('y', 1))))]"
BOMB = body({"resources": [], "parameters": {"p": {"type": "array", "defaultValue": UNENDING}}})


def test_readers_are_answered_while_a_template_expands_without_end(service: ServiceProcess) -> None:
    replies: list[httpx.Response] = []
    client = service.client
    assert client.put(client.group("bombed"), json={"location": "eastus"}).status_code == 201
    bombed = at(client, group="bombed")
    bomb = threading.Thread(target=lambda: replies.append(client.post(f"{bombed}/validate", json=BOMB)))
    bomb.start()
    answered = 0
    while not replies:
        assert client.get(client.group("bombed")).is_success
        answered += 1
    bomb.join()
    # Whoever had to wait for it would be answered once.
    assert answered > 5
    assert client.put(client.group("other"), json={"location": "eastus"}).is_success
    assert [reply.status_code for reply in replies] == [400]
    assert "limit of 500000 steps" in replies[0].text


@pytest.mark.parametrize(
    "expression", ["[json('99999999999999999999999')]", "[json('9223372036854775808')]", "[json('\"\\ud800\"')]"]
)
def test_what_cannot_be_shown_is_never_stored(client: ArmClient, expression: str) -> None:
    empty: dict[str, Any] = {"resources": []}
    path = at(client)
    default = body({**empty, "parameters": {"p": {"type": "object", "defaultValue": {"v": expression}}}})
    for sent in (default, body(empty) | {"tags": {"a": 2**63}}):
        assert client.put(path, json=sent).status_code == 400
        assert client.post(f"{path}/validate", json=sent).status_code == 400
    assert client.get(path).status_code == 404
    # Outputs are evaluated when everything else has been deployed, and what needs no resource also before.
    output = body({**empty, "outputs": {"o": {"type": "object", "value": {"v": expression}}}})
    assert client.put(path, json=output).status_code == 400
    state = "[reference(resourceGroup().id, '2024-11-01')]"
    output = body({**empty, "outputs": {"o": {"type": "object", "value": {"state": state, "v": expression}}}})
    assert client.put(path, json=output).status_code == 201
    assert client.get(path).json()["properties"]["error"]["code"] == "DeploymentOutputEvaluationFailed"
    assert [each["name"] for each in client.get(path.rpartition("/")[0]).json()["value"]] == ["main"]


@pytest.mark.parametrize(
    ("output", "words"),
    [
        ({"type": "string", "value": "[shout('x')]"}, "The template function 'shout' is not valid."),
        ({"type": "string", "value": "[variables('loud')]"}, "The template function 'shout' is not valid."),
        ({"type": "string", "value": "[parameters('nobody')]"}, "The template parameter 'nobody' is not found."),
        ({"type": "int", "value": "three"}, "The template output is not valid:"),
        ({"type": "array", "copy": {"count": 2, "input": "[shout(copyIndex())]"}}, "The template function 'shout'"),
    ],
    ids=str,
)
def test_an_output_that_can_only_go_wrong_is_refused_before_anything_is_deployed(
    client: ArmClient, output: dict[str, Any], words: str
) -> None:
    cluster = {"type": CLUSTER_TYPE, "apiVersion": "2025-10-01", "name": "c9", "location": "eastus"}
    template = {
        "variables": {"loud": "[shout('x')]"},
        "resources": [
            {**cluster, "properties": {"agentPoolProfiles": [{"name": "sys", "mode": "System", "count": 1}]}}
        ],
        "outputs": {"later": {"type": "string", "value": "[reference('c9').fqdn]"}, "o": output},
    }
    replies = [client.post(f"{at(client)}/validate", json=body(template)), client.put(at(client), json=body(template))]
    for reply in replies:
        error = reply.json()["error"]
        assert (reply.status_code, error["code"]) == (400, "InvalidTemplate")
        assert words in error["message"]
        assert error["target"].startswith("outputs.o") or "variables" in error["target"]
    assert client.get(f"{client.group()}/providers/{CLUSTER_TYPE}/c9").status_code == 404


def test_an_id_that_names_nothing_is_refused(client: ArmClient) -> None:
    cluster = {"type": CLUSTER_TYPE, "apiVersion": "2025-10-01", "name": "c9", "location": "eastus", "properties": {}}
    sent = body({"resources": [{**cluster, "scope": "/resourceGroups/x"}]})
    assert client.put(at(client), json=sent).status_code == 400
    read = {"o": {"type": "object", "value": f"[reference('/providers/{CLUSTER_TYPE}/c1', '2025-10-01')]"}}
    assert client.put(at(client), json=body({"resources": [], "outputs": read})).status_code == 201
    assert client.get(at(client)).json()["properties"]["error"]["code"] == "DeploymentOutputEvaluationFailed"
