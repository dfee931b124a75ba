"""az deployment ... with templates as bicep builds them: the real az against a real service process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from test_az_scenario import Lab

from tests.support.service import ServiceProcess

BICEP = Path(__file__).parent.parent / "templates" / "bicep"
PASSWORD = "Pa55word-of-nobody"
POOLS = [{"name": "np1", "count": 1, "generation": "V1"}, {"name": "np2", "count": 2}]
DEPLOYMENT_COLUMNS = ["Name", "State", "Timestamp", "Mode", "ResourceGroup"]

pytestmark = pytest.mark.az


@pytest.fixture(scope="module")
def lab(az_path: Path, service: ServiceProcess, tmp_path_factory: pytest.TempPathFactory) -> Lab:
    made = Lab(az_path, service, tmp_path_factory.mktemp("home"))
    made.ok("group create --name rg --location eastus")
    return made


@pytest.fixture(scope="module")
def parameters(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A parameters file as Azure's documents have it."""
    path = tmp_path_factory.mktemp("parameters") / "p.json"
    schema = "https://schema.management.azure.com/schemas/2019-04-01/deploymentParameters.json#"
    sent = {"$schema": schema, "contentVersion": "1.0.0.0", "parameters": {"pools": {"value": POOLS}}}
    path.write_text(json.dumps(sent))
    return path


def arguments(parameters: Path) -> tuple[str, ...]:
    return (
        *("--resource-group", "rg", "--name", "main", "--template-file", str(BICEP / "node-pools.json")),
        *("--parameters", f"@{parameters}", "clusterName=c1", f"adminPassword={PASSWORD}"),
    )


@pytest.fixture(scope="module")
def created(lab: Lab, parameters: Path) -> dict[str, Any]:
    """What az prints for the deployment main, which makes cluster c1 with node pools np1 and np2."""
    printed: dict[str, Any] = lab.json("deployment group create", *arguments(parameters))
    return printed


def test_a_template_is_validated_and_foreseen_before_there_is_anything(lab: Lab, parameters: Path) -> None:
    others = [argument.replace("clusterName=c1", "clusterName=c2") for argument in arguments(parameters)]
    validated = lab.json("deployment group validate", *others)
    assert (validated["error"], validated["properties"]["provisioningState"]) == (None, "Succeeded")
    foreseen = lab.ok("deployment group what-if", *others)
    assert "+ Microsoft.ContainerService/managedClusters/c2/agentPools/np1" in foreseen
    assert "3 to create" in foreseen
    assert "np1 gets generation V1 and node image AKSUbuntu-2404containerd-" in foreseen
    assert PASSWORD not in foreseen
    client = lab.service.client
    assert client.get(client.cluster("c2")).status_code == 404


def test_a_template_is_deployed_with_parameters_from_a_file_and_from_the_command(
    lab: Lab, created: dict[str, Any]
) -> None:
    assert created["properties"]["provisioningState"] == "Succeeded"
    assert created["properties"]["parameters"]["adminPassword"] == {"type": "SecureString"}
    assert [each["name"] for each in created["properties"]["outputs"]["images"]["value"]] == ["c1/np1", "c1/np2"]
    shown = {name: lab.pool(name) for name in ("np1", "np2")}
    assert {name: pool["poolwright"]["resolvedGeneration"] for name, pool in shown.items()} == {
        "np1": "V1",
        "np2": "V2",
    }
    assert shown["np2"]["count"] == 2


def test_a_deployment_is_shown_listed_and_its_operations_as_well(lab: Lab, created: dict[str, Any]) -> None:
    of_it = "--resource-group rg --name main"
    shown, table, listed, operations, exported = lab.together(
        [
            f"deployment group show {of_it}",
            f"deployment group show {of_it} --output table",
            "deployment group list --resource-group rg --output table",
            f"deployment operation group list {of_it}",
            f"deployment group export {of_it}",
        ]
    )
    assert json.loads(shown.stdout) == created
    assert table.stdout.splitlines()[0].split() == DEPLOYMENT_COLUMNS
    assert listed.stdout.splitlines()[2].split()[:2] == ["main", "Succeeded"]
    done = [
        (each["properties"]["provisioningOperation"], each["properties"]["provisioningState"])
        for each in json.loads(operations.stdout)
    ]
    assert done == [("Create", "Succeeded")] * 3 + [("EvaluateDeploymentOutput", "Succeeded")]
    assert json.loads(exported.stdout)["languageVersion"] == "2.0"


def test_what_if_prints_what_would_change(lab: Lab, created: dict[str, Any], parameters: Path) -> None:
    unchanged = lab.ok("deployment group what-if", *arguments(parameters))
    assert "Resource changes: 3 no change, 1 to ignore." in unchanged
    changed = [{**POOLS[0], "generation": "V2"}, {**POOLS[1], "count": 3}]
    printed = lab.ok("deployment group what-if", *arguments(parameters), f"pools={json.dumps(changed)}")
    assert "2 to modify" in printed
    assert "~ properties.vmGeneration:" in printed
    assert '"V1" => "V2"' in printed
    assert "2 => 3" in printed


def test_modules_are_deployed_and_a_deployment_is_deleted_without_its_resources(
    lab: Lab, created: dict[str, Any]
) -> None:
    template = str(BICEP / "modules.json")
    of_it = ("--resource-group", "rg", "--name", "mod")
    outputs = lab.json(
        "deployment group create",
        *of_it,
        *("--template-file", template, "--parameters", "clusterName=c1", "--query", "properties.outputs"),
    )
    assert "gen2" in outputs["windowsImage"]["value"]
    names = lab.json("deployment group list --resource-group rg --query [].name")
    assert set(names) == {"main", "mod", "linux-pool", "windows-pool"}
    lab.ok("deployment group delete", *of_it)
    assert "(DeploymentNotFound)" in lab.refused("deployment group show", *of_it, code=3)
    assert lab.pool("win")["provisioningState"] == "Succeeded"


def test_a_group_is_made_and_filled_at_subscription_scope(lab: Lab) -> None:
    given = ("--parameters", "groupName=made", f"adminPassword={PASSWORD}")
    template = ("--name", "all", "--location", "westus2", "--template-file", str(BICEP / "subscription.json"))
    foreseen = lab.ok("deployment sub what-if", *template, *given)
    assert "+ resourceGroups/made" in foreseen
    assert lab.json("deployment sub validate", *template, *given)["error"] is None
    printed = lab.json("deployment sub create", *template, *given)
    assert (printed["location"], printed["properties"]["provisioningState"]) == ("westus2", "Succeeded")
    client = lab.service.client
    assert client.get(client.cluster("aks-made", "made")).json()["location"] == "westus2"
    shown, listed, operations = lab.together(
        [
            "deployment sub show --name all --query properties.outputs.fqdn.value --output tsv",
            "deployment sub list --output table",
            "deployment operation sub list --name all --query [].properties.targetResource.resourceName --output tsv",
        ]
    )
    assert shown.stdout.strip() == client.get(client.cluster("aks-made", "made")).json()["properties"]["fqdn"]
    assert listed.stdout.splitlines()[2].split()[:2] == ["all", "Succeeded"]
    assert operations.stdout.split() == ["made", "aks"]


def test_refusals_and_failures_are_printed_in_arm_s_words(lab: Lab, created: dict[str, Any], parameters: Path) -> None:
    wrong = [{"name": "np9", "size": "Standard_Nothing", "count": 1}]
    refused = lab.refused("deployment group create", *arguments(parameters), f"pools={json.dumps(wrong)}")
    assert "InvalidTemplateDeployment" in refused
    assert "Virtual Machine size: 'Standard_Nothing' is not supported" in refused
    foreseen = lab.refused("deployment group what-if", *arguments(parameters), f"pools={json.dumps(wrong)}")
    assert "VMSizeNotSupported" in foreseen
    not_given = lab.refused(
        "deployment group validate --resource-group rg --no-prompt true --template-file", str(BICEP / "modules.json")
    )
    assert "The value for the template parameter 'clusterName' is not provided" in not_given
    complete = lab.refused("deployment group create", *arguments(parameters), "--mode", "Complete")
    assert "The deployment mode 'Complete' is not offered" in complete
    client = lab.service.client
    assert client.get(client.pool("np9")).status_code == 404


def test_a_deployment_goes_on_without_az_and_can_be_waited_for(lab: Lab, created: dict[str, Any]) -> None:
    template = ("--template-file", str(BICEP / "modules.json"), "--parameters", "clusterName=c1", "withWindows=false")
    assert lab.ok("deployment group create --resource-group rg --name later --no-wait", *template) == ""
    lab.ok("deployment group wait --resource-group rg --name later --created --interval 1")
    canceled = lab.refused("deployment group cancel --resource-group rg --name later")
    assert "(DeploymentCannotBeCancelled)" in canceled
