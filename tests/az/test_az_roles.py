"""The real az on a real service: roles, the activity log, several tenants, and callers who may not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from registered_az import Az

from poolwright.administration import Administration
from poolwright.az import configuration
from poolwright.installation import DataDirectory
from poolwright.store.identity_statements import ServicePrincipal
from tests.support.service import ServiceProcess

pytestmark = pytest.mark.az

AKS_CONTRIBUTOR = "Azure Kubernetes Service Contributor Role"


class Lab:
    """The service, and az logged in as its owner; further logins have a configuration of their own."""

    def __init__(self, az_path: Path, service: ServiceProcess, scratch: Path) -> None:
        self.service, self._az_path, self._scratch = service, az_path, scratch
        known = service.credentials
        self.subscription = f"/subscriptions/{known['subscriptionId']}"
        self.owner = self.logged_in("owner", known["tenantId"], known["clientId"], known["clientSecret"])

    def operator(self) -> Administration:
        return Administration(DataDirectory(self.service.data_dir))

    def make_principal(self, name: str) -> tuple[ServicePrincipal, str]:
        with self.operator() as operator:
            return operator.create_principal(name, subscription=None, role=None, scope=None, expires=None)

    def logged_in(self, name: str, tenant_id: str, app_id: str, secret: str, *others: configuration.Principal) -> Az:
        login = configuration.Service(self.service.url, self.service.ca, tenant_id, app_id, secret, others)
        directory = self._scratch / name
        directory.mkdir(exist_ok=True)
        configuration.prepare(self._az_path, directory, login)
        return Az(self._az_path, configuration.environment(directory, login))


@pytest.fixture(scope="module")
def lab(az_path: Path, service: ServiceProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    scratch = tmp_path_factory.mktemp("az")
    service.client.make_cluster()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(scratch))
        yield Lab(az_path, service, scratch)


def ok(az: Az, command: str, *more: str) -> str:
    outcome = az.run(command, *more)
    assert outcome.returncode == 0, f"az {command}: {outcome.stderr}"
    return outcome.stdout


def shown(az: Az, command: str, *more: str) -> Any:
    return json.loads(ok(az, command, *more, "--output", "json"))


def test_a_role_is_assigned_by_object_id_or_app_id_listed_and_taken_away(lab: Lab) -> None:
    made, secret = lab.make_principal("assigned")
    group = lab.service.client.group()
    by_object = ("--assignee-object-id", made.object_id, "--assignee-principal-type", "ServicePrincipal")

    first = shown(lab.owner, "role assignment create --role Reader --scope", group, *by_object)
    second = shown(
        lab.owner, "role assignment create --role", AKS_CONTRIBUTOR, "--assignee", made.app_id, "--scope", group
    )
    again = shown(lab.owner, "role assignment create --role Reader --scope", group, "--assignee", made.app_id)

    assert (first["scope"], first["principalId"], first["principalType"]) == (group, made.object_id, "ServicePrincipal")
    assert again["id"] == first["id"]
    listed = shown(lab.owner, "role assignment list --assignee", made.app_id, "--all")
    assert {(each["roleDefinitionName"], each["principalName"]) for each in listed} == {
        ("Reader", made.app_id),
        (AKS_CONTRIBUTOR, made.app_id),
    }
    at_group = shown(lab.owner, "role assignment list --resource-group rg --include-inherited")
    assert {"Owner", "Reader", AKS_CONTRIBUTOR} == {each["roleDefinitionName"] for each in at_group}
    heading = ok(lab.owner, "role assignment list --resource-group rg --output table").splitlines()[0]
    assert heading.split() == ["Principal", "Role", "Scope"]

    holder = lab.logged_in("assigned", made.tenant_id, made.app_id, secret)
    ok(holder, "aks nodepool add --resource-group rg --cluster-name c1 --name byrole --node-count 1")
    ok(lab.owner, "role assignment delete --ids", second["id"])
    ok(lab.owner, "role assignment delete --role Reader --resource-group rg --assignee", made.app_id)
    refused = holder.run("aks nodepool show --resource-group rg --cluster-name c1 --name byrole")
    assert refused.returncode == 1
    assert f"(AuthorizationFailed) The client '{made.app_id}' with object id '{made.object_id}'" in refused.stderr


def test_a_reader_reads_and_is_told_in_azure_s_words_what_it_may_not(lab: Lab) -> None:
    made, secret = lab.make_principal("reading")
    ok(lab.owner, "role assignment create --role Reader --assignee", made.app_id, "--scope", lab.subscription)
    reader = lab.logged_in("reading", made.tenant_id, made.app_id, secret)

    pools = shown(reader, "aks nodepool list --resource-group rg --cluster-name c1")
    assert "sys" in [pool["name"] for pool in pools]
    refused = reader.run("aks nodepool delete --resource-group rg --cluster-name c1 --name sys --no-wait")

    assert refused.returncode == 1
    scope = lab.service.client.pool("sys")
    assert (
        "does not have authorization to perform action 'Microsoft.ContainerService/managedClusters/agentPools/delete' "
        f"over scope '{scope}' or the scope is invalid."
    ) in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_deleted_principal_is_told_so_although_az_has_a_token(lab: Lab) -> None:
    made, secret = lab.make_principal("leaving")
    ok(lab.owner, "role assignment create --role Reader --assignee", made.app_id, "--scope", lab.subscription)
    leaver = lab.logged_in("leaving", made.tenant_id, made.app_id, secret)
    ok(leaver, "group list")

    with lab.operator() as operator:
        operator.delete_principal("leaving", None)

    refused = leaver.run("group list")
    assert refused.returncode == 1
    assert "AADSTS7000215" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_role_definitions_are_listed_and_found_by_name(lab: Lab) -> None:
    everything = shown(lab.owner, "role definition list")
    assert {role["roleName"] for role in everything} == {"Owner", "Contributor", "Reader", AKS_CONTRIBUTOR}
    (reader,) = shown(lab.owner, "role definition list --name Reader")
    assert reader["permissions"][0]["actions"] == ["*/read"]
    assert shown(lab.owner, "role definition show --id", reader["id"])["roleName"] == "Reader"


def test_the_activity_log_is_listed_by_group_resource_correlation_status_and_caller(lab: Lab) -> None:
    ok(lab.owner, "group create --name logged --location eastus --tags a=b")
    pool = lab.service.client.pool("logged")
    ok(lab.owner, "aks nodepool add --resource-group rg --cluster-name c1 --name logged --node-count 1")

    by_group = shown(lab.owner, "monitor activity-log list --resource-group logged")
    assert [event["status"]["value"] for event in by_group] == ["Succeeded", "Started"]
    by_resource = shown(lab.owner, "monitor activity-log list --resource-id", pool)
    assert [event["status"]["value"] for event in by_resource] == ["Succeeded", "Accepted", "Started"]
    action = "Microsoft.ContainerService/managedClusters/agentPools/write"
    assert {event["operationName"]["value"] for event in by_resource} == {action}
    correlation_id = by_resource[0]["correlationId"]
    assert shown(lab.owner, "monitor activity-log list --correlation-id", correlation_id) == by_resource
    caller = lab.service.credentials["clientId"]
    few = shown(
        lab.owner,
        "monitor activity-log list --namespace Microsoft.ContainerService --status Accepted --offset 1h --max-events 1",
        "--caller",
        caller,
        "--select",
        "caller",
        "status",
    )
    assert [(event["caller"], event["status"]["value"]) for event in few] == [(caller, "Accepted")]


def test_the_change_log_of_role_assignments_is_read(lab: Lab) -> None:
    made, _ = lab.make_principal("changing")
    ok(lab.owner, "role assignment create --role Contributor --assignee", made.app_id, "--scope", lab.subscription)
    ok(lab.owner, "role assignment delete --role Contributor --assignee", made.app_id)

    # Without an end, az asks for all until the second that has begun, which may leave the latest change out.
    end = f"{datetime.now(UTC) + timedelta(minutes=1):%Y-%m-%dT%H:%M:%SZ}"
    changes = shown(lab.owner, "role assignment list-changelogs --end-time", end)

    assert {(each["action"], each["roleName"]) for each in changes if each["principalName"] == made.app_id} == {
        ("Granted", "Contributor"),
        ("Revoked", "Contributor"),
    }


def test_az_knows_the_subscriptions_of_several_tenants_and_keeps_its_default(lab: Lab) -> None:
    with lab.operator() as operator:
        _, owner = operator.create_subscription("team-b", "new", local=False)
        operator.create_subscription("second", None, local=False)
    assert owner is not None
    known = lab.service.credentials
    both = lab.logged_in(
        "both",
        known["tenantId"],
        known["clientId"],
        known["clientSecret"],
        configuration.Principal(owner.tenant_id, owner.client_id, owner.client_secret),
    )

    accounts = shown(both, "account list")
    assert {account["name"] for account in accounts} == {"Poolwright", "team-b", "second"}
    assert [account["name"] for account in accounts if account["isDefault"]] == ["Poolwright"]
    ok(both, "group create --name theirs --location eastus --subscription team-b")
    assert [group["name"] for group in shown(both, "group list --subscription team-b")] == ["theirs"]
    assert "theirs" not in [group["name"] for group in shown(both, "group list")]
