"""Tenants are apart: no request of one finds, changes or learns of anything of another."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from poolwright.arm.offered import AREAS
from poolwright.domain.roles import OWNER
from tests.support.everything import everything
from tests.support.in_process import InProcess, InProcessClient

SECRET_NAME = "mothership"


@dataclass
class TwoTenants:
    """The first tenant with a group, a cluster, a pool and an operation; the stranger is Owner of another's."""

    app: InProcess
    stranger: InProcessClient
    operation: str
    assignment: str

    @property
    def foreign(self) -> str:
        return self.app.client.subscription


@pytest.fixture(scope="module")
def tenants(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoTenants]:
    app = InProcess(tmp_path_factory.mktemp("tenants") / "data")
    client = app.client
    client.make_cluster(SECRET_NAME, group=f"rg-{SECRET_NAME}")
    reply = client.put(client.pool("np1", SECRET_NAME, f"rg-{SECRET_NAME}"), json={"properties": {"count": 1}})
    client.done(reply)
    operation = reply.headers["Azure-AsyncOperation"].partition("?")[0].rpartition("/")[2]
    (assignment,) = client.get(f"{client.subscription}/providers/Microsoft.Authorization/roleAssignments").json()[
        "value"
    ]
    other = app.make_subscription("strangers", new_tenant=True)
    stranger = app.make_principal("stranger", (OWNER, f"/subscriptions/{other.subscription_id}"), subscription=other)
    yield TwoTenants(app, stranger, operation, assignment["name"])
    app.close()


ROUTES = sorted({row.path for area in AREAS for row in object.__new__(area).offered() if "{subscription}" in row.path})
METHODS = ["GET", "HEAD", "PUT", "POST", "PATCH", "DELETE"]


def spelled(path: str, upper: list[bool], slashes: list[int]) -> str:
    """The path with other letters' cases and more slashes, which mean the same."""
    segments = path.strip("/").split("/")
    written = ""
    for index, segment in enumerate(segments):
        part = segment.upper() if upper[index % len(upper)] else segment
        written += "/" * slashes[index % len(slashes)] + part
    return written


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    template=st.sampled_from(ROUTES),
    method=st.sampled_from(METHODS),
    upper=st.lists(st.booleans(), min_size=1, max_size=8),
    slashes=st.lists(st.integers(1, 3), min_size=1, max_size=5),
    end=st.sampled_from(["", "/", "//", "/..", "/.", "/%2e%2e", "?api-version=2020-01-01"]),
)
def test_whatever_is_asked_of_a_foreign_subscription_it_is_not_found(
    tenants: TwoTenants, template: str, method: str, upper: list[bool], slashes: list[int], end: str
) -> None:
    known = {
        "subscription": tenants.foreign.rpartition("/")[2],
        "group": f"rg-{SECRET_NAME}",
        "cluster": SECRET_NAME,
        "pool": "np1",
        "machine": "x",
        "location": "eastus",
        "operation": tenants.operation,
        "namespace": "microsoft.compute",
        "family": "cores",
        "name": tenants.assignment,
    }
    names = defaultdict(lambda: SECRET_NAME, known)
    # httpx would read a path that begins with two slashes as a host.
    path = "/" + spelled(template.format_map(names), upper, slashes).lstrip("/") + end

    request = tenants.stranger.build_request(method, path, json={"location": "eastus", "limit": 1, "properties": {}})
    # httpx itself goes up where the path says so, and asks for nothing foreign then.
    assume(known["subscription"] in request.url.path.lower())
    reply = tenants.stranger.send(request)

    assert reply.status_code == 404, (method, path, reply.text)
    if method != "HEAD":
        assert reply.json()["error"]["code"] == "SubscriptionNotFound"
        assert SECRET_NAME not in reply.text


def test_nothing_of_the_first_tenant_was_changed_by_all_this(tenants: TwoTenants) -> None:
    before = everything(tenants.app.client)
    for template in ROUTES:
        path = template.replace("{subscription}", tenants.foreign.rpartition("/")[2]).replace("{", "").replace("}", "")
        for method in ("PUT", "POST", "DELETE"):
            assert tenants.stranger.request(method, path, json={}).status_code == 404
    assert everything(tenants.app.client) == before


def test_foreign_ids_in_one_s_own_subscription_are_not_found_either(tenants: TwoTenants) -> None:
    stranger = tenants.stranger
    location = f"{stranger.subscription}/providers/Microsoft.ContainerService/locations/eastus"
    for path in (
        f"{location}/operations/{tenants.operation}",
        f"{location}/operationresults/{tenants.operation}",
        f"{stranger.subscription}/operationresults/{tenants.operation}",
    ):
        assert stranger.get(path).json()["error"]["code"] == "OperationNotFound"
    assignments = f"{stranger.subscription}/providers/Microsoft.Authorization/roleAssignments"
    assert stranger.get(f"{assignments}/{tenants.assignment}").status_code == 404
    assert stranger.delete(f"{assignments}/{tenants.assignment}").status_code == 204
    assert len(stranger.get(assignments).json()["value"]) == 1
    group = f"{stranger.subscription}/resourceGroups/rg-{SECRET_NAME}"
    assert stranger.get(group).json()["error"]["code"] == "ResourceGroupNotFound"


def test_the_activity_log_of_one_tenant_has_nothing_of_another(tenants: TwoTenants) -> None:
    stranger = tenants.stranger
    assert stranger.put(f"{stranger.subscription}/resourceGroups/own", json={"location": "eastus"}).status_code == 201
    values = f"{stranger.subscription}/providers/Microsoft.Insights/eventtypes/management/values"
    for more in ("", f" and resourceGroupName eq 'rg-{SECRET_NAME}'", f" and operationId eq '{tenants.operation}'"):
        wanted = f"eventTimestamp ge '2020-01-01'{more}"
        reply = stranger.get(values, params=dict(stranger.params) | {"$filter": wanted})
        assert reply.status_code == 200
        assert SECRET_NAME not in reply.text.replace("nextLink", "")
        assert all(event["subscriptionId"] in stranger.subscription for event in reply.json()["value"])
    foreign = f"{tenants.foreign}/providers/Microsoft.Insights/eventtypes/management/values"
    assert stranger.get(foreign).json()["error"]["code"] == "SubscriptionNotFound"


def test_a_principal_of_another_tenant_gets_no_role_and_no_token_for_it(tenants: TwoTenants) -> None:
    client, known = tenants.app.client, tenants.stranger.principal
    assert known is not None
    path = f"{client.subscription}/providers/Microsoft.Authorization"
    body = {
        "properties": {
            "roleDefinitionId": f"{path}/roleDefinitions/{OWNER.id}",
            "principalId": known.object_id,
            "principalType": "ServicePrincipal",
        }
    }
    reply = client.put(f"{path}/roleAssignments/{uuid.uuid4()}", json=body)
    assert reply.json()["error"]["code"] == "PrincipalNotFound"

    form = {"grant_type": "client_credentials", "client_id": known.app_id, "client_secret": tenants.stranger.secret}
    assert client.post(f"/{tenants.app.credentials.tenant_id}/oauth2/v2.0/token", data=form).status_code == 401
    assert client.post(f"/{known.tenant_id}/oauth2/v2.0/token", data=form).status_code == 200


def test_a_subscription_of_the_same_tenant_is_known_but_closed_without_a_role(tenants: TwoTenants) -> None:
    second = tenants.app.make_subscription("second")
    reply = tenants.app.client.get(f"/subscriptions/{second.subscription_id}/resourceGroups/rg")
    assert reply.json()["error"]["code"] == "AuthorizationFailed"
    shown = [known["subscriptionId"] for known in tenants.app.client.get("/subscriptions").json()["value"]]
    assert second.subscription_id not in shown


def nested(target: dict[str, str], default: str = "") -> dict[str, Any]:
    """A deployment with one within it that goes elsewhere, and whose parameter's default is evaluated there."""
    inner: dict[str, Any] = {"$schema": "x", "contentVersion": "1.0.0.0", "resources": []}
    if default:
        inner["parameters"] = {"p": {"type": "string", "defaultValue": default}}
    resource = {
        "type": "Microsoft.Resources/deployments",
        "apiVersion": "2022-09-01",
        "name": "inner",
        **target,
        "properties": {"mode": "Incremental", "expressionEvaluationOptions": {"scope": "inner"}, "template": inner},
    }
    template = {"$schema": "x", "contentVersion": "1.0.0.0", "resources": [resource]}
    return {"properties": {"mode": "Incremental", "template": template}}


TELL_ALL = "[fail(concat(string(resourceGroup()), string(subscription())))]"
TELL_SUBSCRIPTION = "[fail(string(subscription()))]"
UNKNOWN = "00000000-0000-4000-8000-000000000000"


@pytest.mark.parametrize("verb", ["PUT", "validate", "whatIf"])
def test_templates_are_told_of_a_foreign_subscription_what_is_told_of_an_unknown_one(
    tenants: TwoTenants, verb: str
) -> None:
    stranger, foreign = tenants.stranger, tenants.foreign.rpartition("/")[2]
    assert stranger.put(f"{stranger.subscription}/resourceGroups/own", json={"location": "eastus"}).status_code < 300
    path = f"{stranger.subscription}/resourceGroups/own/providers/Microsoft.Resources/deployments/main"

    def told(subscription: str, default: str, **target: str) -> tuple[int, str]:
        sent = nested({"subscriptionId": subscription, **target}, default)
        reply = stranger.put(path, json=sent) if verb == "PUT" else stranger.post(f"{path}/{verb}", json=sent)
        assert SECRET_NAME not in reply.text.replace(f"'rg-{SECRET_NAME}'", "")
        assert tenants.app.credentials.tenant_id not in reply.text
        return reply.status_code, reply.text.replace(subscription, "")

    for target, default in (
        ({"resourceGroup": f"rg-{SECRET_NAME}"}, TELL_ALL),
        ({"resourceGroup": f"rg-{SECRET_NAME}"}, ""),
        ({"resourceGroup": "none"}, ""),
        ({"location": "eastus"}, TELL_SUBSCRIPTION),
        ({"location": "eastus"}, ""),
    ):
        answer = told(foreign, default, **target)
        assert answer == told(UNKNOWN, default, **target)
        assert (answer[0], "SubscriptionNotFound" in answer[1]) == (404, True)
