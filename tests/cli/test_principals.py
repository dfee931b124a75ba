"""`sp` and `subscription` beside a running service, which notices at once; `env`, `az` and `activity` follow."""

from __future__ import annotations

import json
import ssl
import stat
import uuid
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.cli.conftest import CommandLine, Ended
from tests.support.service import API_VERSION, ArmClient, ServiceProcess

SCOPE = "https://management.core.windows.net//.default"


@pytest.fixture
def running(cluster: ServiceProcess, monkeypatch: pytest.MonkeyPatch) -> ServiceProcess:
    """The module's service; the tests name what they make after themselves."""
    monkeypatch.setenv("POOLWRIGHT_DATA_DIR", str(cluster.data_dir))
    return cluster


def as_principal(service: ServiceProcess, answer: dict[str, str]) -> httpx.Client:
    """A client that is logged in with what `sp create` printed."""
    client = httpx.Client(base_url=service.url, verify=ssl.create_default_context(cafile=service.ca), timeout=30)
    form = {"grant_type": "client_credentials", "client_id": answer["appId"], "client_secret": answer["password"]}
    reply = client.post(f"/{answer['tenant']}/oauth2/v2.0/token", data=form | {"scope": SCOPE})
    assert reply.status_code == 200, reply.text
    client.headers["Authorization"] = f"Bearer {reply.json()['access_token']}"
    client.params = client.params.set("api-version", API_VERSION)
    return client


def test_a_principal_made_beside_the_service_logs_in_and_may_what_its_role_grants(
    running: ServiceProcess, alone: CommandLine
) -> None:
    made = alone.done("sp", "create", "plain", "--role", "reader", "-o", "json").json

    assert set(made) == {"appId", "displayName", "password", "tenant"}
    with closing(as_principal(running, made)) as client:
        pool = running.client.pool("sys")
        assert client.get(pool).status_code == 200
        assert client.delete(pool).json()["error"]["code"] == "AuthorizationFailed"


def test_a_principal_may_have_a_role_at_a_resource_group_alone(running: ServiceProcess, alone: CommandLine) -> None:
    group = running.client.group()
    role = "Azure Kubernetes Service Contributor Role"
    made = alone.done("sp", "create", "aks", "--role", role, "--scope", f"{group}/".upper(), "-o", "json").json

    with closing(as_principal(running, made)) as client:
        assert client.get(running.client.cluster()).status_code == 200
        assert client.get(f"{running.client.subscription}/locations").status_code == 403
    shown = alone.done("sp", "show", "AKS", "-o", "json").json
    assert shown["roleAssignments"] == [{"role": role, "scope": group}]


def test_a_deleted_principal_is_refused_at_once_with_the_token_it_has(
    running: ServiceProcess, alone: CommandLine
) -> None:
    made = alone.done("sp", "create", "leaver", "--role", "Owner", "-o", "json").json
    with closing(as_principal(running, made)) as client:
        assert client.get(running.client.pool("sys")).status_code == 200

        alone.done("sp", "delete", made["appId"], "--yes")

        refused = client.get(running.client.pool("sys"))
        assert (refused.status_code, refused.json()["error"]["code"]) == (401, "InvalidAuthenticationToken")
    assert alone("sp", "show", "leaver").code == 3


def test_principals_are_listed_with_roles_and_expiry_and_never_with_a_secret(
    running: ServiceProcess, alone: CommandLine
) -> None:
    made = alone.done("sp", "create", "ci", "--years", "2", "-o", "json").json

    shown = {each["displayName"]: each for each in alone.done("sp", "list", "-o", "json").json}
    owner, ci = shown["poolwright-owner"], shown["ci"]

    assert owner["expires"] is None
    assert {each["role"] for each in owner["roleAssignments"]} == {"Owner"}
    assert (ci["displayName"], ci["appId"], ci["roleAssignments"]) == ("ci", made["appId"], [])
    expires = datetime.fromisoformat(ci["expires"])
    assert abs(expires - datetime.now(UTC) - timedelta(days=730)) < timedelta(hours=1)
    table = alone.done("sp", "list").out
    assert table.splitlines()[0].split() == ["Name", "AppId", "ObjectId", "Expires", "Roles"]
    assert made["password"] not in table


def test_a_reset_secret_replaces_the_old_one_of_that_principal_alone(
    running: ServiceProcess, alone: CommandLine
) -> None:
    made = alone.done("sp", "create", "again", "--role", "Reader", "-o", "json").json
    before = running.credentials

    again = alone.done("sp", "reset", "again", "-o", "json").json

    assert (again["appId"], again["password"] != made["password"]) == (made["appId"], True)
    as_principal(running, again).close()
    form = {"grant_type": "client_credentials", "client_id": made["appId"], "client_secret": made["password"]}
    refused = running.client.post("/adfs/oauth2/token", data=form)
    assert refused.json()["error_codes"] == [7000215]
    assert running.credentials == before


@pytest.mark.parametrize(
    ("command", "code", "words"),
    [
        (("sp", "create", "poolwright-OWNER"), 1, "in the tenant already"),
        (("sp", "create", "x", "--role", "King"), 3, "RoleDefinitionDoesNotExist"),
        (("sp", "create", "x", "--role", "Reader", "--scope", "/nowhere"), 3, "ResourceNotFound"),
        (("sp", "create", "x", "--scope", "/subscriptions/x"), 2, "--role"),
        (("sp", "create", "x", "--subscription", "none"), 3, "there is no subscription 'none'"),
        (("sp", "delete", "none", "--yes"), 3, "there is no service principal 'none'"),
        (("sp", "delete", "poolwright-owner", "--yes"), 1, "owner of its tenant"),
        (("subscription", "create", "poolwright"), 1, "there is a subscription"),
        (("subscription", "create", "x", "--tenant", "none"), 3, "there is no tenant 'none'"),
        (("env", "--subscription", "none"), 3, "there is no subscription 'none'"),
    ],
)
def test_what_cannot_be_done_is_said_and_changes_nothing(
    running: ServiceProcess, alone: CommandLine, command: tuple[str, ...], code: int, words: str
) -> None:
    before = alone.done("sp", "list", "-o", "json").json, alone.done("subscription", "list", "-o", "json").json

    ended = alone(*command)

    assert (ended.code, words in ended.err) == (code, True), ended
    after = alone.done("sp", "list", "-o", "json").json, alone.done("subscription", "list", "-o", "json").json
    assert after == before


def test_a_subscription_made_beside_the_service_is_there_at_once(running: ServiceProcess, alone: CommandLine) -> None:
    client = running.client
    made = alone.done("subscription", "create", "second", "-o", "json").json

    assert set(made) == {"displayName", "subscriptionId", "tenantId"}
    assert made["tenantId"] == running.credentials["tenantId"]
    shown = {known["displayName"] for known in client.get("/subscriptions").json()["value"]}
    assert {"Poolwright", "second"} <= shown
    group = f"/subscriptions/{made['subscriptionId']}/resourceGroups/rg"
    assert client.get(group).status_code == 404
    assert client.put(group, json={"location": "eastus"}).status_code == 201


def test_a_subscription_can_have_the_id_of_one_in_azure(running: ServiceProcess, alone: CommandLine) -> None:
    identity = "00000000-1111-2222-3333-44444444AAAA"
    made = alone.done("subscription", "create", "as-there", "--id", identity, "-o", "json").json
    assert made["subscriptionId"] == identity.lower()
    assert running.client.get(f"/subscriptions/{identity}").json()["displayName"] == "as-there"

    again = alone("subscription", "create", "other", "--id", identity)
    assert (again.code, f"there is a subscription {identity.lower()} already: 'as-there'" in again.err) == (1, True)
    wrong = alone("subscription", "create", "other", "--id", "shop")
    assert (wrong.code, "'shop' is no ID of a subscription: those are GUIDs" in wrong.err) == (1, True)


def test_a_new_tenant_has_an_owner_of_its_own_that_env_chooses(
    running: ServiceProcess, alone: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = alone.done("subscription", "create", "team-b", "--tenant", "new", "-o", "json").json

    file = running.data_dir / "tenants" / f"{made['tenantId']}.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert json.loads(file.read_text())["clientSecret"] == made["password"]
    variables = alone.done("env", "--json", "--subscription", "TEAM-B").json
    assert (variables["AZURE_TENANT_ID"], variables["AZURE_SUBSCRIPTION_ID"]) == (
        made["tenantId"],
        made["subscriptionId"],
    )
    assert variables["AZURE_CLIENT_ID"] == made["appId"] != running.credentials["clientId"]
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("POOLWRIGHT_DATA_DIR")
    alone.done("group", "create", "-n", "theirs", "-l", "eastus")
    assert [group["name"] for group in alone.done("group", "list", "-o", "json").json["value"]] == ["theirs"]
    foreign = {"headers": {"Authorization": running.client.headers["Authorization"]}}
    reply = running.client.get(f"/subscriptions/{made['subscriptionId']}/resourceGroups", **foreign)  # type: ignore[arg-type]  # headers
    assert reply.json()["error"]["code"] == "SubscriptionNotFound"


def test_a_new_tenant_s_secret_can_be_kept_out_of_the_data_directory_and_made_anew(
    running: ServiceProcess, alone: CommandLine
) -> None:
    made = alone.done("subscription", "create", "b", "--tenant", "new", "--no-local-credentials", "-o", "json").json
    assert not (running.data_dir / "tenants" / f"{made['tenantId']}.json").exists()
    assert alone("env", "--subscription", "b").code == 3

    again = alone.done("sp", "reset", "--subscription", "b", "-o", "json").json

    assert (again["appId"], again["tenant"]) == (made["appId"], made["tenantId"])
    assert alone.done("env", "--json", "--subscription", "b").json["AZURE_CLIENT_SECRET"] == again["password"]


def test_everything_is_there_after_a_restart(
    fresh: ServiceProcess, alone: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = fresh.start()
    running.client.make_cluster()
    monkeypatch.setenv("POOLWRIGHT_DATA_DIR", str(running.data_dir))
    reader = alone.done("sp", "create", "ci", "--role", "Reader", "-o", "json").json
    alone.done("subscription", "create", "team-b", "--tenant", "new")
    running.kill()
    running.start()

    with closing(as_principal(running, reader)) as client:
        assert client.get(running.client.pool("sys")).status_code == 200
        assert client.put(running.client.pool("np1"), json={}).status_code == 403
    assert len(alone.done("subscription", "list", "-o", "json").json) == 2


def test_a_start_mends_what_a_kill_left_of_tenants_files(fresh: ServiceProcess, alone: CommandLine) -> None:
    fresh.start()
    where = ("--data-dir", str(fresh.data_dir))
    made = alone.done("subscription", "create", "b", "--tenant", "new", *where, "-o", "json").json
    fresh.stop()
    tenants = fresh.data_dir / "tenants"
    file, orphan = tenants / f"{made['tenantId']}.json", tenants / f"{uuid.uuid4()}.json"
    orphan.write_text(file.read_text())
    file.write_text(file.read_text().replace(made["password"], "of-a-reset-that-was-not-committed"))

    fresh.start()

    assert list(tenants.iterdir()) == [file]
    mended = json.loads(file.read_text())
    as_principal(
        fresh, {"appId": mended["clientId"], "password": mended["clientSecret"], "tenant": made["tenantId"]}
    ).close()
    fresh.stop()
    fresh.start(local_credentials=False)
    assert list(tenants.iterdir()) == []


class TestActivity:
    """`poolwright activity`."""

    def events(self, ended: Ended) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = ended.json["value"]
        return found

    def test_it_shows_who_changed_what_and_how_it_ended(self, running: ServiceProcess, alone: CommandLine) -> None:
        running.client.make_pool("np1", {"count": 1})
        place = ("-g", "rg", "--cluster-name", "c1", "--pool", "np1")

        table = alone.done("activity", *place, "--since", "1h").out.splitlines()
        found = self.events(alone.done("activity", *place, "-o", "json"))

        assert table[0].split() == ["Time", "Caller", "Operation", "Resource", "Status", "CorrelationId"]
        assert [line.split()[4] for line in table[2:]] == ["Succeeded", "Accepted"]
        assert all("rg/c1/np1" in line for line in table[2:])
        assert [event["status"]["value"] for event in found] == ["Succeeded", "Accepted"]
        assert {event["caller"] for event in found} == {running.credentials["clientId"]}

    def test_it_shows_what_the_local_operator_did_without_the_secret(
        self, running: ServiceProcess, alone: CommandLine
    ) -> None:
        made = alone.done("sp", "create", "logged", "--role", "Reader", "-o", "json").json
        again = alone.done("sp", "reset", "logged", "-o", "json").json
        alone.done("sp", "delete", "logged", "--yes")

        ended = alone.done("activity", "--caller", "local operator", "-o", "json")

        assert [event["operationName"]["value"] for event in self.events(ended)[:5]] == [
            "Poolwright/servicePrincipals/delete",
            "Microsoft.Authorization/roleAssignments/delete",
            "Poolwright/servicePrincipals/resetSecret/action",
            "Microsoft.Authorization/roleAssignments/write",
            "Poolwright/servicePrincipals/write",
        ]
        assert made["password"] not in ended.out
        assert again["password"] not in ended.out

    def test_it_follows_pages(self, running: ServiceProcess, alone: CommandLine) -> None:
        client: ArmClient = running.client
        for number in range(205):
            assert client.put(client.group("many"), json={"location": "eastus", "tags": {"n": str(number)}}).is_success
        found = self.events(alone.done("activity", "-g", "many", "-o", "json"))
        assert len({event["eventDataId"] for event in found}) == len(found) == 205

    @pytest.mark.parametrize("since", ["90s", "1.5h", "2020-01-01T00:00:00+02:00", "2020-01-01"])
    def test_it_begins_so_long_ago_or_at_a_time(self, running: ServiceProcess, alone: CommandLine, since: str) -> None:
        assert running.client.put(running.client.group("late"), json={"location": "eastus"}).is_success
        assert self.events(alone.done("activity", "-g", "late", "--since", since, "-o", "json"))

    def test_a_node_pool_is_named_with_its_cluster_and_group(self, running: ServiceProcess, alone: CommandLine) -> None:
        assert alone("activity", "--pool", "np1").code == 2
        assert alone("activity", "-g", "rg", "--pool", "np1").code == 2
