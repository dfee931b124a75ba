"""Who may do what over HTTP: every route asks, lists leave out, assignments are made and taken away."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from poolwright.arm.area import OfferedRoute, Over
from poolwright.arm.offered import AREAS
from poolwright.domain.roles import AKS_CONTRIBUTOR, CONTRIBUTOR, OWNER, READER, ROLES, Role
from tests.support.in_process import InProcess, InProcessClient
from tests.support.service import ArmClient

AUTHORIZATION = "/providers/Microsoft.Authorization"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InProcess]:
    """Clusters rg/c1 and other/c1, each with a System pool; nothing in it is changed by the tests."""
    service = InProcess(tmp_path_factory.mktemp("roles") / "data")
    service.client.make_cluster()
    service.client.make_cluster(group="other")
    yield service
    service.close()


@pytest.fixture
def app(tmp_path: Path) -> Iterator[InProcess]:
    service = InProcess(tmp_path / "data")
    service.client.make_cluster()
    yield service
    service.close()


def error_of(reply: httpx.Response) -> tuple[int, str]:
    return reply.status_code, reply.json()["error"]["code"]


def assignment(client: ArmClient, scope: str, name: str | None = None) -> str:
    return f"{scope}{AUTHORIZATION}/roleAssignments/{name or uuid.uuid4()}"


def grant(
    client: ArmClient, scope: str, role: Role, principal: InProcessClient, name: str | None = None
) -> httpx.Response:
    assert principal.principal is not None
    body = {
        "properties": {
            "roleDefinitionId": f"{client.subscription}{AUTHORIZATION}/roleDefinitions/{role.id}",
            "principalId": principal.principal.object_id,
            "principalType": "ServicePrincipal",
        }
    }
    return client.put(assignment(client, scope, name), json=body)


def rows(app: InProcess) -> list[OfferedRoute]:
    return [row for area in AREAS for row in area(app.service).offered()]


def test_without_a_role_every_operation_is_refused_and_lists_are_empty(shared: InProcess) -> None:
    nobody = shared.make_principal("nobody")
    names = defaultdict(lambda: "x")
    names |= {"location": "eastus", "namespace": "microsoft.compute", "name": str(uuid.uuid4())}
    names["subscription"] = shared.credentials.subscription_id
    asked = 0
    for row in rows(shared):
        path = row.path.format_map(names)
        time_range = {"$filter": "eventTimestamp ge '2020-01-01'"}
        further = time_range if "eventtypes" in path else {}
        reply = nobody.request(row.method, path, json={}, params=dict(nobody.params) | further)
        if row.over is Over.EACH:
            assert (reply.status_code, reply.json()) == (200, {"value": []}), row
            continue
        assert reply.status_code == 403, row
        if row.method != "HEAD":
            assert reply.json()["error"]["code"] == "AuthorizationFailed"
        asked += 1
    assert asked > 40


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_a_role_opens_exactly_the_operations_whose_action_it_grants(shared: InProcess, role: Role) -> None:
    """No request is one the service would carry out: names do not exist, bodies are empty."""
    holder = shared.make_principal(f"holder of {role.name}", (role, shared.client.subscription))
    names = defaultdict(lambda: "nowhere")
    names |= {"location": "eastus", "namespace": "microsoft.compute", "name": str(uuid.uuid4())}
    names["subscription"] = shared.credentials.subscription_id
    for row in rows(shared):
        if row.over is Over.EACH:
            continue
        reply = holder.request(row.method, row.path.format_map(names), json={})
        granted = role.grants(row.requirement.action.format_map(names))
        assert (reply.status_code != 403) is granted, (row.method, row.path, reply.text)


def test_the_refusal_is_in_azure_s_words(shared: InProcess) -> None:
    reader = shared.make_principal("reader of words", (READER, shared.client.subscription))
    known = reader.principal
    assert known is not None
    pool = reader.pool("NP1", group="RG")

    reply = reader.put(pool, json={"properties": {"count": 1}})

    assert error_of(reply) == (403, "AuthorizationFailed")
    assert reply.json()["error"]["message"] == (
        f"The client '{known.app_id}' with object id '{known.object_id}' does not have authorization to perform action "
        f"'Microsoft.ContainerService/managedClusters/agentPools/write' over scope '{pool}' or the scope is invalid. "
        "If access was recently granted, please refresh your credentials."
    )
    listed = shared.make_principal("nobody at all").get(shared.client.cluster("", "rg").rstrip("/"))
    assert f"over scope '{shared.client.group()}/providers/Microsoft.ContainerService' or" in listed.text


def test_a_role_at_a_node_pool_opens_that_pool_and_nothing_beside_or_above_it(shared: InProcess) -> None:
    client = shared.client
    holder = shared.make_principal("holder of a pool", (READER, client.pool("sys")))

    assert holder.get(client.pool("SYS", group="Rg")).status_code == 200
    assert holder.get(f"{client.pool('sys')}/machines").status_code == 200
    for elsewhere in (
        client.cluster(),
        client.group(),
        client.pool("sys", group="other"),
        f"{client.cluster()}/agentPools",
    ):
        assert error_of(holder.get(elsewhere)) == (403, "AuthorizationFailed")
    assert holder.delete(client.pool("sys")).status_code == 403


def test_lists_of_a_subscription_leave_out_what_the_caller_may_not_read(shared: InProcess) -> None:
    client = shared.client
    holder = shared.make_principal("holder of a group", (READER, client.group("other")))
    clusters = f"{client.subscription}/providers/Microsoft.ContainerService/managedClusters"

    assert [group["name"] for group in holder.get(f"{client.subscription}/resourceGroups").json()["value"]] == ["other"]
    assert [found["id"] for found in holder.get(clusters).json()["value"]] == [client.cluster(group="other")]
    assert len(client.get(clusters).json()["value"]) == 2
    assert [known["id"] for known in holder.get("/subscriptions").json()["value"]] == [client.subscription]


def test_who_begins_an_operation_in_a_resource_group_may_wait_for_it(app: InProcess) -> None:
    client = app.client
    holder = app.make_principal("ci", (AKS_CONTRIBUTOR, client.group()))
    stranger = app.make_principal("stranger", (OWNER, client.pool("sys")))

    reply = holder.put(client.pool("np1"), json={"properties": {"count": 1}})

    assert holder.operation(reply)["status"] == "Succeeded"
    assert holder.get(reply.headers["Azure-AsyncOperation"], params={}).status_code == 200
    assert error_of(stranger.get(reply.headers["Azure-AsyncOperation"], params={})) == (403, "AuthorizationFailed")


def test_an_assignment_counts_at_once_and_so_does_its_end(app: InProcess) -> None:
    client, holder = app.client, app.make_principal("somebody")
    path = assignment(client, client.group())

    assert holder.get(client.pool("sys")).status_code == 403
    made = grant(client, client.group(), READER, holder, path.rpartition("/")[2])
    assert made.status_code == 201
    assert holder.get(client.pool("sys")).status_code == 200
    assert holder.put(client.pool("np1"), json={}).status_code == 403
    assert client.get(path).json() == made.json()

    gone = client.delete(path)
    assert (gone.status_code, gone.json()) == (200, made.json())
    assert holder.get(client.pool("sys")).status_code == 403
    assert client.delete(path).status_code == 204
    assert error_of(client.get(path)) == (404, "RoleAssignmentNotFound")


def test_an_assignment_is_shown_as_arm_shows_it(app: InProcess) -> None:
    client, holder = app.client, app.make_principal("somebody")
    name = str(uuid.uuid4())

    shown = grant(client, client.group("RG"), READER, holder, name.upper()).json()

    properties = shown["properties"]
    assert shown["id"] == f"{client.group()}{AUTHORIZATION}/roleAssignments/{name}"
    assert (shown["name"], shown["type"]) == (name, "Microsoft.Authorization/roleAssignments")
    assert properties["scope"] == client.group()
    assert properties["roleDefinitionId"] == f"{client.subscription}{AUTHORIZATION}/roleDefinitions/{READER.id}"
    assert properties["principalType"] == "ServicePrincipal"
    assert "createdBy" in properties


def test_assignments_are_listed_at_above_and_below_a_scope(app: InProcess) -> None:
    client = app.client
    holders = {
        scope: app.make_principal(scope.rpartition("/")[2], (READER, scope))
        for scope in (client.subscription, client.group(), client.cluster(), client.pool("sys"))
    }
    (sub, group, cluster, pool) = (holder.principal.object_id for holder in holders.values() if holder.principal)

    def listed(scope: str, **query: str) -> set[str]:
        found = client.get(f"{scope}{AUTHORIZATION}/roleAssignments", params=dict(client.params) | query)
        assert found.status_code == 200, found.text
        return {each["properties"]["principalId"] for each in found.json()["value"]} & {sub, group, cluster, pool}

    assert listed(client.subscription) == {sub, group, cluster, pool}
    assert listed(client.subscription, **{"$filter": "atScope()"}) == {sub}
    assert listed(client.cluster()) == {sub, group, cluster, pool}
    assert listed(client.cluster(), **{"$filter": "atScope()"}) == {sub, group, cluster}
    assert listed(client.group(), **{"$filter": f"principalId eq '{pool}'"}) == {pool}
    assert listed(client.group(), **{"$filter": f"atScope() and assignedTo('{group.upper()}')"}) == {group}
    assert listed(client.group(), **{"$filter": f"atScope() and assignedTo('{pool}')"}) == set()
    wrong = client.get(
        f"{client.group()}{AUTHORIZATION}/roleAssignments", params=dict(client.params) | {"$filter": "x"}
    )
    assert error_of(wrong) == (400, "InvalidParameter")


def test_role_definitions_are_listed_found_by_name_and_got_by_guid(shared: InProcess) -> None:
    client = shared.client
    definitions = f"{client.group()}{AUTHORIZATION}/roleDefinitions"

    everything = client.get(definitions).json()["value"]
    assert [role["properties"]["roleName"] for role in everything] == [role.name for role in ROLES]
    named = client.get(definitions, params=dict(client.params) | {"$filter": "roleName eq 'Reader'"}).json()["value"]
    assert named == [client.get(f"{definitions}/{READER.id}").json()] == [everything[2]]
    assert named[0]["properties"]["permissions"][0]["actions"] == ["*/read"]
    assert named[0]["id"] == f"{client.subscription}{AUTHORIZATION}/roleDefinitions/{READER.id}"


def test_the_same_role_twice_is_a_conflict_and_the_same_name_again_an_update(app: InProcess) -> None:
    client, holder = app.client, app.make_principal("somebody")
    name = str(uuid.uuid4())

    assert grant(client, client.group(), READER, holder, name).status_code == 201
    assert grant(client, client.group(), READER, holder, name).status_code == 200
    assert error_of(grant(client, client.group(), READER, holder)) == (409, "RoleAssignmentExists")
    assert error_of(grant(client, client.group(), OWNER, holder, name)) == (409, "RoleAssignmentUpdateNotPermitted")
    assert error_of(grant(client, client.cluster(), READER, holder, name)) == (409, "RoleAssignmentUpdateNotPermitted")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"condition": "@Resource[x] StringEquals 'y'"}, "InvalidParameter"),
        ({"principalId": "nobody"}, "InvalidParameter"),
        ({"principalId": str(uuid.uuid4())}, "PrincipalNotFound"),
        ({"roleDefinitionId": "nonsense"}, "RoleDefinitionDoesNotExist"),
        (
            {"roleDefinitionId": f"/subscriptions/{uuid.uuid4()}{AUTHORIZATION}/roleDefinitions/{OWNER.id}"},
            "RoleDefinitionDoesNotExist",
        ),
    ],
)
def test_what_cannot_be_assigned_is_refused_and_nothing_is_stored(
    app: InProcess, change: dict[str, str], code: str
) -> None:
    client, holder = app.client, app.make_principal("somebody")
    assert holder.principal is not None
    wanted = {
        "roleDefinitionId": f"{AUTHORIZATION}/roleDefinitions/{OWNER.id}",
        "principalId": holder.principal.object_id,
    }

    reply = client.put(assignment(client, client.group()), json={"properties": wanted | change})

    assert reply.json()["error"]["code"] == code
    assert holder.get("/subscriptions").json() == {"value": []}


def test_a_role_is_assigned_only_at_what_exists(app: InProcess) -> None:
    client, holder = app.client, app.make_principal("somebody")
    assert error_of(grant(client, client.group("none"), READER, holder)) == (404, "ResourceGroupNotFound")
    assert error_of(grant(client, client.cluster("none"), READER, holder)) == (404, "ResourceNotFound")
    assert error_of(grant(client, client.pool("none"), READER, holder)) == (404, "ResourceNotFound")


def test_a_resource_made_again_has_none_of_the_roles_it_had(app: InProcess) -> None:
    client = app.client
    scopes = (client.group(), client.cluster(), client.pool("sys"))
    holders = [app.make_principal(str(number), (OWNER, scope)) for number, scope in enumerate(scopes)]
    assert all(holder.get(client.pool("sys")).status_code == 200 for holder in holders)

    assert client.delete(client.group()).status_code == 202
    client.make_cluster()

    assert [holder.get(client.pool("sys")).status_code for holder in holders] == [403, 403, 403]


def test_a_contributor_cannot_make_itself_owner(app: InProcess) -> None:
    client = app.client
    holder = app.make_principal("climber", (CONTRIBUTOR, client.subscription))
    reply = grant(holder, client.group(), OWNER, holder)
    assert error_of(reply) == (403, "AuthorizationFailed")
    # And an owner of a resource group not of the subscription.
    local = app.make_principal("local", (OWNER, client.group()))
    assert grant(local, client.group(), OWNER, holder).status_code == 201
    assert grant(local, client.subscription, OWNER, local).status_code == 403


def test_the_last_owner_of_a_subscription_stays(app: InProcess) -> None:
    client = app.client
    (own,) = client.get(f"{client.subscription}{AUTHORIZATION}/roleAssignments").json()["value"]
    assert error_of(client.delete(own["id"])) == (409, "LastRbacAdminAssignment")

    app.make_principal("second", (OWNER, client.subscription))
    assert client.delete(own["id"]).status_code == 200
    assert client.get(client.pool("sys")).status_code == 403


def test_a_deleted_principal_is_refused_with_the_token_it_has(app: InProcess) -> None:
    holder = app.make_principal("leaver", (READER, app.client.subscription))
    known = holder.principal
    assert known is not None
    assert holder.get(app.client.pool("sys")).status_code == 200

    with app.database.transaction() as connection:
        app.service.access_control.delete_principal(connection, known)

    reply = holder.get(app.client.pool("sys"))
    assert error_of(reply) == (401, "InvalidAuthenticationToken")
    assert "has been deleted" in reply.text
    assert "claims=" in reply.headers["WWW-Authenticate"]
    form = {"grant_type": "client_credentials", "client_id": known.app_id, "client_secret": holder.secret}
    assert holder.post("/adfs/oauth2/token", data=form).json()["error_codes"] == [7000215]


def test_an_expired_principal_is_refused_with_the_token_it_has_and_gets_no_new_one(app: InProcess) -> None:
    now = app.now()
    holder = app.make_principal("guest", (READER, app.client.subscription), expires=now + 3600)
    known = holder.principal
    assert known is not None
    assert holder.get(app.client.pool("sys")).status_code == 200

    app.now = lambda: now + 3601

    assert "has expired" in holder.get(app.client.pool("sys")).text
    form = {"grant_type": "client_credentials", "client_id": known.app_id, "client_secret": holder.secret}
    reply = holder.post("/adfs/oauth2/token", data=form)
    assert (reply.status_code, reply.json()["error_codes"]) == (401, [7000222])
    assert holder.post("/adfs/oauth2/token", data=form | {"client_secret": "x"}).json()["error_codes"] == [7000215]


class TestGraph:
    """As much of Microsoft Graph as az asks when it assigns roles."""

    def test_a_principal_is_found_by_app_id_and_by_object_ids(self, shared: InProcess) -> None:
        known = shared.make_principal("known").principal
        assert known is not None
        client = shared.client
        wanted = f"servicePrincipalNames/any(c:c eq '{known.app_id}')"
        (found,) = client.get("/msgraph/v1.0/servicePrincipals", params={"$filter": wanted}).json()["value"]
        assert (found["id"], found["displayName"]) == (known.object_id, "known")
        body = {"ids": [known.object_id, str(uuid.uuid4())], "types": ["servicePrincipal"]}
        assert client.post("/msgraph/v1.0/directoryObjects/getByIds", json=body).json() == {"value": [found]}
        assert client.get(f"/msgraph/v1.0/servicePrincipals/{known.object_id}").json() == found
        assert known.secret_hash not in str(found)

    def test_it_is_shown_to_nobody_without_a_token_and_to_no_other_tenant(self, shared: InProcess) -> None:
        assert shared.client.get("/msgraph/v1.0/servicePrincipals", headers={"Authorization": ""}).status_code == 401
        other = shared.make_subscription("elsewhere", new_tenant=True)
        stranger = shared.make_principal(
            "stranger", (OWNER, f"/subscriptions/{other.subscription_id}"), subscription=other
        )
        found = stranger.get("/msgraph/v1.0/servicePrincipals").json()["value"]
        assert [principal["displayName"] for principal in found] == ["stranger"]

    def test_az_gets_a_token_for_it(self, shared: InProcess) -> None:
        reader = shared.make_principal("grapher")
        token = reader.log_in("https://poolwright.test/msgraph//.default")
        found = reader.get("/msgraph/v1.0/servicePrincipals", headers={"Authorization": f"Bearer {token}"})
        assert found.status_code == 200
