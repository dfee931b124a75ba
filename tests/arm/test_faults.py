"""Faults over HTTP: documents, who may send them, and what requests meet."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from poolwright import errors
from poolwright.access_control import object_id_of
from poolwright.arm.faults import CODES, decode_fault, encode_fault, fault_schema
from poolwright.cli import faults as command
from poolwright.domain.fault import CAPACITY_CODES, Tally
from poolwright.domain.operation import OperationKind
from poolwright.domain.roles import CONTRIBUTOR, OWNER, READER
from poolwright.operations.plans import STEPS
from tests.support.everything import everything
from tests.support.in_process import InProcess
from tests.support.service import ArmClient

FAULTS = "/_poolwright/faults"
SCHEMA = Draft202012Validator(fault_schema())

EFFECTS: dict[str, Any] = {
    "delaySeconds": 2.5,
    "refuse": {"code": "InvalidParameter", "message": "no"},
    "throttle": 3,
    "failAtStep": "no space left",
    "loseMachine": 2,
    "retiredSize": True,
    "noCapacity": "AllocationFailed",
    "quotaShort": True,
    "unsignedDriver": "nvidia.ko",
    "failDrain": "a pod stays",
}
MATCHES: dict[str, dict[str, Any]] = {
    "delaySeconds": {"step": "await_ready"},
    "failAtStep": {"step": "wave_2.drain", "operation": "update_node_pool"},
    "loseMachine": {"step": "drain", "zone": "1", "pool": "np*"},
    "retiredSize": {"size": "Standard_D2*", "location": "eastus"},
    "throttle": {"method": "GET", "path": "*/agentPools/*", "nth": 2},
}


@pytest.fixture
def app(tmp_path: Path) -> Iterator[InProcess]:
    service = InProcess(tmp_path / "data")
    service.client.make_cluster()
    yield service
    service.close()


@pytest.fixture
def client(app: InProcess) -> ArmClient:
    return app.client


def put(client: ArmClient, name: str = "f", **document: Any) -> dict[str, Any]:
    reply = client.put(f"{FAULTS}/{name}", json=document)
    assert reply.status_code in (200, 201), reply.text
    stored: dict[str, Any] = reply.json()
    return stored


def problems(reply: httpx.Response) -> dict[str, str]:
    """Place -> what is said of it."""
    assert reply.status_code == 400, reply.text
    error = reply.json()["error"]
    return {part["target"]: part["message"] for part in (error, *error.get("details", ()))}


# Documents.


@pytest.mark.parametrize("effect", EFFECTS)
def test_a_document_comes_back_as_it_was_sent_and_may_be_sent_again(client: ArmClient, effect: str) -> None:
    document = {"match": MATCHES.get(effect, {}), "effect": {effect: EFFECTS[effect]}, "count": 3}
    assert not list(SCHEMA.iter_errors(document))
    stored = put(client, **document)
    assert {name: stored[name] for name in document} == document
    assert stored["state"]["fired"] == 0
    assert client.get(f"{FAULTS}/f").json() == stored
    again = client.put(f"{FAULTS}/f", json=stored)
    assert (again.status_code, again.json()) == (200, stored)


def test_short_forms_mean_the_long_ones(client: ArmClient) -> None:
    assert put(client, effect={"refuse": "InvalidParameter"})["effect"] == {"refuse": {"code": "InvalidParameter"}}
    assert put(client, effect={"unsignedDriver": True})["effect"] == {"unsignedDriver": True}


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({}, {"effect": "it is required"}),
        ({"effect": {}}, {"effect": "exactly one effect is needed, got none"}),
        (
            {"effect": {"quotaShort": True, "throttle": 1}},
            {"effect": "exactly one effect is needed"},
        ),
        ({"effect": {"quotaShort": False}}, {"effect.quotaShort": "input should be True"}),
        ({"effect": {"quotaShort": None}}, {"effect.quotaShort": "null is no value"}),
        ({"effect": {"refuze": "x"}}, {"effect.refuze": "there is no such field; did you mean refuse?"}),
        ({"effect": {"refuse": "AllocationFaild"}}, {"effect.refuse.code": "did you mean AllocationFailed?"}),
        ({"effect": {"refuse": "AllocationFailed"}}, {"effect.refuse": "name match.step as well"}),
        ({"effect": {"refuse": {"code": "InvalidParameter", "x": 1}}}, {"effect.refuse.x": "code, message"}),
        ({"effect": {"failAtStep": "x"}}, {"effect.failAtStep": "it needs match.step"}),
        ({"effect": {"delaySeconds": 5}}, {"effect.delaySeconds": "match.method or match.path, or match.step"}),
        (
            {
                "match": {"poool": "x", "operation": "create", "nth": 0, "method": "FETCH", "zone": 2},
                "effect": {"loseMachine": "2"},
                "count": -1,
                "counts": 1,
            },
            {
                "match.poool": "did you mean pool?",
                "match.operation": "did you mean create_cluster?",
                "match.nth": "greater than or equal to 1",
                "match.method": "'GET', 'HEAD'",
                "match.zone": "valid string",
                "effect.loseMachine": "valid integer",
                "count": "greater than or equal to 1",
                "counts": "did you mean count?",
            },
        ),
        (
            {"match": {"step": "nap", "method": "GET"}, "effect": {"failAtStep": "x"}},
            {
                "match.step": "there is no such step; there are plan_waves",
                "match.method": "it is not known before a step",
            },
        ),
    ],
    ids=str,
)
def test_a_wrong_document_is_told_every_wrong_place_and_changes_nothing(
    client: ArmClient, document: dict[str, Any], said: dict[str, str]
) -> None:
    put(client, effect={"throttle": 1}, match={"path": "/nowhere"})
    before = client.get(FAULTS).json()
    found = problems(client.put(f"{FAULTS}/f", json=document))
    assert found.keys() == said.keys()
    for place, words in said.items():
        assert words in found[place]
    assert client.get(FAULTS).json() == before


@pytest.mark.parametrize("name", ["-f", "f-", "a" * 64, "a.b", "a%20b", "ä"])
def test_a_fault_has_a_plain_name(client: ArmClient, name: str) -> None:
    assert (
        "a fault's name has" in problems(client.put(f"{FAULTS}/{name}", json={"effect": {"quotaShort": True}}))["name"]
    )


WORDS = st.text("az*/é ", max_size=6)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 4000) | st.floats(allow_nan=False, allow_infinity=False) | WORDS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(WORDS, inner, max_size=2),
    max_leaves=4,
)
VALUES = JSON | st.sampled_from([*EFFECTS.values(), "drain", "np*", "create_node_pool", "GET", 1, "", *CODES[:3]])
MATCH_FIELDS = ("operation", "pool", "cluster", "size", "location", "zone", "step", "nth", "method", "path", "other")


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "match": st.dictionaries(st.sampled_from(MATCH_FIELDS), VALUES, max_size=3) | JSON,
            "effect": st.dictionaries(st.sampled_from([*EFFECTS, "other"]), VALUES, max_size=2) | JSON,
            "count": VALUES,
            "other": VALUES,
        },
    )
)
def test_whatever_is_taken_fits_the_published_schema_and_comes_back(document: dict[str, Any]) -> None:
    try:
        fault = decode_fault("f", document)
    except errors.InvalidParameter:
        return
    assert not list(SCHEMA.iter_errors(document))
    assert decode_fault("f", encode_fault(fault, Tally(), (), ())) == fault


@given(
    st.dictionaries(st.sampled_from(MATCH_FIELDS), VALUES, max_size=3),
    st.dictionaries(st.sampled_from([*EFFECTS, "other"]), VALUES, max_size=2),
)
def test_whatever_the_schema_refuses_is_refused(match: dict[str, Any], effect: dict[str, Any]) -> None:
    document = {"match": match, "effect": effect}
    if not SCHEMA.is_valid(document):
        with pytest.raises(errors.InvalidParameter):
            decode_fault("f", document)


def test_the_command_line_knows_the_same_words() -> None:
    assert [kind.value for kind in command.Operation] == [kind.value for kind in OperationKind]
    assert tuple(code.value for code in command.Capacity) == CAPACITY_CODES
    assert command.STEPS == STEPS


# Keeping them.


def test_faults_are_listed_by_name_deleted_and_cleared(client: ArmClient) -> None:
    for name in ("b", "a", "c"):
        put(client, name, effect={"quotaShort": True})
    assert [fault["name"] for fault in client.get(FAULTS).json()["value"]] == ["a", "b", "c"]
    assert client.delete(f"{FAULTS}/b").status_code == 204
    for method in ("GET", "DELETE"):
        missing = client.request(method, f"{FAULTS}/b")
        assert (missing.status_code, missing.json()["error"]["code"]) == (404, "ResourceNotFound")
    assert client.delete(FAULTS).json() == {"cleared": 2}
    assert client.get(FAULTS).json() == {"value": []}
    assert client.put(client.pool("np1"), json={"properties": {"count": 1}}).status_code == 201


def test_a_drain_without_a_cluster_is_warned_of(app: InProcess) -> None:
    (warning,) = put(app.client, effect={"failDrain": "no"})["state"]["warnings"]
    assert warning.startswith("No Kubernetes cluster is attached")
    app.cluster.attach()
    assert app.client.get(f"{FAULTS}/f").json()["state"]["warnings"] == []
    assert put(app.client, effect={"failDrain": "no"}, match={"cluster": "other"})["state"]["warnings"] == [warning]


def test_the_published_schema_is_served(client: ArmClient) -> None:
    assert client.get("/_poolwright/fault-schema").json() == fault_schema()


# Who may.

ROUTES = [
    ("GET", FAULTS),
    ("DELETE", FAULTS),
    ("GET", f"{FAULTS}/f"),
    ("PUT", f"{FAULTS}/f"),
    ("DELETE", f"{FAULTS}/f"),
    ("GET", "/_poolwright/fault-schema"),
]


@pytest.mark.parametrize(("method", "path"), ROUTES)
@pytest.mark.parametrize("address", ["192.0.2.7", "::ffff:192.0.2.7", "2001:db8::1", "localhost", ""])
def test_nobody_gets_at_faults_from_elsewhere(app: InProcess, method: str, path: str, address: str) -> None:
    app.address = address
    reply = app.client.request(method, path, json={"effect": {"quotaShort": True}})
    assert (reply.status_code, reply.json()["error"]["code"]) == (403, "AuthorizationFailed")
    app.address = "::1"
    assert app.client.get(FAULTS).json() == {"value": []}


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_nobody_gets_at_faults_without_a_token(app: InProcess, method: str, path: str) -> None:
    for authorization in ("", "Bearer x", f"Bearer {app.token(lifetime_seconds=-10)}"):
        reply = app.client.request(method, path, json={}, headers={"Authorization": authorization})
        assert reply.status_code == 401
        assert "claims" in reply.headers["WWW-Authenticate"]


def test_only_owners_of_the_service_get_at_faults(app: InProcess) -> None:
    other = app.make_subscription("other", new_tenant=True)
    for caller in (
        app.make_principal("contributor", (CONTRIBUTOR, app.client.subscription)),
        app.make_principal("owner of a group", (OWNER, app.client.group())),
        app.make_principal("stranger", (OWNER, f"/subscriptions/{other.subscription_id}"), subscription=other),
    ):
        reply = caller.get(FAULTS)
        assert (reply.status_code, reply.json()["error"]["code"]) == (403, "AuthorizationFailed")
        assert "is not an owner" in reply.json()["error"]["message"]
    assert app.make_principal("second", (OWNER, app.client.subscription)).get(FAULTS).status_code == 200


# What requests meet.


@pytest.mark.parametrize(
    ("match", "path", "meant"),
    [
        ({"method": "GET"}, "{pool}", True),
        ({"method": "PUT"}, "{pool}", False),
        ({"path": "*/agentpools/SYS"}, "{pool}", True),
        ({"path": "*/agentpools"}, "{pool}", False),
        ({"pool": "sys", "method": "GET"}, "{pool}/machines", True),
        ({"pool": "sys", "method": "GET"}, "{cluster}", False),
        ({"cluster": "c1", "method": "GET"}, "{cluster}", True),
        ({"cluster": "c2", "method": "GET"}, "{cluster}", False),
    ],
    ids=str,
)
def test_a_request_is_refused_where_it_is_meant(
    client: ArmClient, match: dict[str, Any], path: str, meant: bool
) -> None:
    put(client, effect={"refuse": {"code": "ResourceNotFound", "message": "gone"}}, match=match, count=1)
    reply = client.get(path.format(pool=client.pool("sys"), cluster=client.cluster()))
    assert reply.status_code == (404 if meant else 200)
    if meant:
        error = reply.json()["error"]
        assert (error["code"], error["message"]) == ("ResourceNotFound", "gone")
        assert error["additionalInfo"][0]["info"]["fault"] == "f"
        (firing,) = client.get(f"{FAULTS}/f").json()["state"]["firings"]
        assert firing["on"].startswith("GET /subscriptions/")
    assert client.get(path.format(pool=client.pool("sys"), cluster=client.cluster())).status_code == 200


def test_a_throttled_request_is_told_how_long_to_wait(client: ArmClient) -> None:
    put(client, effect={"throttle": 7}, match={"method": "PUT", "path": "*/managedClusters/*/agentPools/*"}, count=1)
    reply = client.put(client.pool("np1"), json={"properties": {"count": 1}})
    assert (reply.status_code, reply.headers["Retry-After"]) == (429, "7")
    subscription = client.subscription.rpartition("/")[2]
    assert reply.json()["error"]["message"] == (
        f"The PutAgentPoolHandler.PUT request limit has been exceeded for SubID='{subscription}', please retry again "
        "in 7 seconds. For more information, please visit aka.ms/aks/throttling"
    )
    client.done(client.put(client.pool("np1"), json={"properties": {"count": 1}}))


def test_a_request_without_a_token_is_not_counted(client: ArmClient) -> None:
    put(client, effect={"throttle": 7}, match={"method": "GET"})
    assert client.get(client.pool("sys"), headers={"Authorization": ""}).status_code == 401
    assert client.get(f"{FAULTS}/f").json()["state"]["matched"] == 0


def test_a_request_of_somebody_who_may_not_is_not_counted(app: InProcess) -> None:
    client, reader = app.client, app.make_principal("reader", (READER, app.client.group()))
    put(client, effect={"throttle": 7}, match={"pool": "np1", "method": "PUT"}, count=1)
    assert reader.put(client.pool("np1"), json={}).status_code == 403
    assert client.get(f"{FAULTS}/f").json()["state"]["matched"] == 0
    assert client.put(client.pool("np1"), json={}).status_code == 429


def test_a_fault_refuses_in_the_words_and_with_the_log_of_a_missing_role(app: InProcess) -> None:
    client, owner = app.client, app.credentials.client_id
    object_id = object_id_of(app.credentials.tenant_id, owner)
    put(client, effect={"refuse": "AuthorizationFailed"}, match={"path": "*/agentPools/np1"})
    refused = client.put(client.pool("np1"), json={"properties": {"count": 1}})
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "AuthorizationFailed")
    assert refused.json()["error"]["message"].startswith(
        f"The client '{owner}' with object id '{object_id}' does not have authorization to perform action "
        f"'Microsoft.ContainerService/managedClusters/agentPools/write' over scope '{client.pool('np1')}' or "
    )
    assert client.get(client.pool("np1")).status_code == 403, "a read is refused, and not logged"
    path = f"{client.subscription}/providers/Microsoft.Insights/eventtypes/management/values"
    wanted = f"eventTimestamp ge '2020-01-01' and resourceUri eq '{client.pool('np1')}' and status eq 'Failed'"
    (event,) = client.get(path, params=dict(client.params) | {"$filter": wanted}).json()["value"]
    assert (event["caller"], event["authorization"]["scope"]) == (owner, client.pool("np1"))
    assert event["authorization"]["action"] == "Microsoft.ContainerService/managedClusters/agentPools/write"


def test_what_if_knows_no_faults_at_admission(client: ArmClient) -> None:
    put(client, effect={"refuse": "SystemPoolSkuTooLow"})
    before = everything(client)
    told = client.post(f"{client.pool('np1')}/whatIf", json={"properties": {"count": 1}})
    refused = client.put(client.pool("np1"), json={"properties": {"count": 1}})
    assert (told.status_code, refused.status_code) == (200, 400)
    assert refused.json()["error"]["message"].endswith("Nodepool name: np1.")
    assert everything(client) == before


def test_on_a_good_day_and_where_no_fault_is_meant_nothing_is_asked_of_the_database(app: InProcess) -> None:
    asked: list[str] = []
    reader = app.database.reader
    rows = reader.rows
    reader.rows = lambda statement, **more: asked.append("read") or rows(statement, **more)  # type: ignore[method-assign,func-returns-value]
    sa.event.listen(app.database.engine, "before_cursor_execute", lambda *_: asked.append("statement"))
    path = app.client.pool("sys")
    # Whether identities have changed is asked after a change, and every few hundredths of a second.
    app.monotonic = lambda: 0.0
    assert app.client.get(path).status_code == 200
    asked.clear()
    assert app.client.get(path).status_code == 200
    assert asked == ["read"]
    put(app.client, effect={"throttle": 1}, match={"path": "*/nowhere"})
    put(app.client, "g", effect={"quotaShort": True})
    assert app.client.get(path).status_code == 200
    asked.clear()
    assert app.client.get(path).status_code == 200
    assert asked == ["read"]
