"""The activity log: one entry for every change and its end, in Azure's shape, for those who may see it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest

from poolwright.arm import activity, trail
from poolwright.arm.activity import PAGE_BYTES
from poolwright.arm.http import MAX_RESOURCE_BYTES
from poolwright.domain.activity import KEPT_BYTES, Change, differing, group_of, shortened, type_of
from poolwright.domain.roles import READER
from poolwright.operations.activity import ActivityLog
from poolwright.store import activity_statements, statements
from poolwright.store.activity_statements import ActivityQuery, events, purge
from tests.support.in_process import InProcess
from tests.support.service import ArmClient

PASSWORD = "hunter2-and-more"


@pytest.fixture
def app(tmp_path: Path) -> Iterator[InProcess]:
    service = InProcess(tmp_path / "data")
    with service.database.transaction() as connection:
        # What the first start wrote is another test's.
        connection.exec_driver_sql("DELETE FROM pw_activity")
    yield service
    service.close()


def ask(client: ArmClient, wanted: str = "", **query: str) -> httpx.Response:
    path = f"{client.subscription}/providers/Microsoft.Insights/eventtypes/management/values"
    text = " and ".join(part for part in ("eventTimestamp ge '2020-01-01T00:00:00Z'", wanted) if part)
    return client.get(path, params=dict(client.params) | {"$filter": text} | query)


def log(client: ArmClient, wanted: str = "", **query: str) -> list[dict[str, Any]]:
    """The events, oldest first."""
    reply = ask(client, wanted, **query)
    assert reply.status_code == 200, reply.text
    return list(reversed(reply.json()["value"]))


def told(found: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """What was asked for, with its status; the type's provider left out."""
    return [(event["operationName"]["value"].partition("/")[2], event["status"]["value"]) for event in found]


def test_a_change_by_an_operation_has_a_beginning_and_an_end(app: InProcess) -> None:
    client = app.client
    client.make_cluster()
    correlation_id = str(uuid.uuid4())
    headers = {"x-ms-correlation-request-id": correlation_id, "x-ms-client-request-id": "mine"}

    reply = client.put(client.pool("np1"), json={"properties": {"count": 1}}, headers=headers)
    client.done(reply)

    found = log(client, f"correlationId eq '{correlation_id}'")
    assert told(found) == [
        ("managedClusters/agentPools/write", "Started"),
        ("managedClusters/agentPools/write", "Accepted"),
        ("managedClusters/agentPools/write", "Succeeded"),
    ]
    operation_id = reply.headers["Azure-AsyncOperation"].partition("?")[0].rpartition("/")[2]
    assert {event["operationId"] for event in found} == {operation_id}
    assert len({event["eventDataId"] for event in found}) == 3
    started, accepted, succeeded = found
    assert accepted["subStatus"] == {"value": "Created", "localizedValue": "Created (HTTP Status Code: 201)"}
    assert started["httpRequest"] == {"clientRequestId": "mine", "clientIpAddress": "127.0.0.1", "method": "PUT"}
    assert accepted["authorization"] == {
        "action": "Microsoft.ContainerService/managedClusters/agentPools/write",
        "scope": client.pool("np1"),
    }
    assert accepted["caller"] == accepted["claims"]["appid"] == app.credentials.client_id
    assert accepted["resourceType"]["value"] == "Microsoft.ContainerService/managedClusters/agentPools"
    assert accepted["resourceGroupName"] == "rg"
    before, after = (json.loads(accepted["properties"][name]) for name in ("before", "after"))
    assert before == {}
    assert [record["state"] for record in after.values()] == ["Creating"]
    assert [record["state"] for record in json.loads(succeeded["properties"]["after"]).values()] == ["Succeeded"]


def test_an_update_shows_what_was_and_what_became(app: InProcess) -> None:
    client = app.client
    client.make_cluster()
    client.make_pool("np1", {"count": 1})
    client.make_pool("np1", {"count": 2, "nodeLabels": {"a": "b"}})

    (accepted,) = log(client, f"resourceUri eq '{client.pool('NP1')}' and status eq 'Accepted'")[1:]

    key = client.pool("np1").lower()
    before, after = (json.loads(accepted["properties"][name])[key] for name in ("before", "after"))
    assert (before["scale"][0]["count"], after["scale"][0]["count"]) == (1, 2)
    assert accepted["subStatus"]["value"] == "OK"


def test_a_cluster_s_change_shows_the_cluster_and_the_node_pools_that_differ(app: InProcess) -> None:
    client = app.client
    client.make_cluster()
    client.make_pool("np1", {"count": 1})
    profiles = [{"name": "sys", "mode": "System", "count": 2}]
    body = {"location": "eastus", "properties": {"agentPoolProfiles": profiles}}
    client.done(client.put(client.cluster(), json=body))

    accepted, ended = log(client, f"resourceId eq '{client.cluster()}'")[-2:]
    for event in (accepted, ended):
        changed = json.loads(event["properties"]["after"])
        assert set(changed) == {client.cluster().lower(), client.pool("sys").lower()}


def test_a_deletion_shows_everything_it_takes_away(app: InProcess) -> None:
    client = app.client
    client.make_cluster()
    assert client.delete(client.group()).status_code == 202

    accepted, ended = log(client, "resourceGroupName eq 'RG'")[-2:]
    assert (accepted["status"]["value"], ended["status"]["value"]) == ("Accepted", "Succeeded")
    gone = json.loads(accepted["properties"]["before"])
    assert set(gone) == {part.lower() for part in (client.group(), client.cluster(), client.pool("sys"))}
    assert json.loads(ended["properties"]["after"]) == {}


def test_changes_at_once_succeed_at_once(app: InProcess) -> None:
    client = app.client
    assert client.put(client.group(), json={"location": "eastus"}).status_code == 201
    quota = f"{client.subscription}/providers/Microsoft.Compute/locations/eastus/usages/cores"
    assert client.put(quota, json={"limit": 9}).status_code == 200
    assert client.delete(quota).status_code == 200

    found = log(client, "status eq 'Succeeded'")

    assert told(found) == [
        ("subscriptions/resourceGroups/write", "Succeeded"),
        ("locations/usages/write", "Succeeded"),
        ("locations/usages/delete", "Succeeded"),
    ]
    assert json.loads(found[1]["properties"]["after"]) == {quota.lower(): {"limit": 9}}
    assert json.loads(found[2]["properties"]["before"]) == {quota.lower(): {"limit": 9}}


def test_an_operation_that_fails_or_is_aborted_says_so(app: InProcess) -> None:
    client = app.client
    client.make_cluster()
    app.behaviour.capacity = 1
    operation = client.operation(client.put(client.pool("np1"), json={"properties": {"count": 2}}))
    assert operation["status"] == "Failed"

    ended = log(client, f"resourceUri eq '{client.pool('np1')}'")[-1]

    assert (ended["status"]["value"], ended["level"]) == ("Failed", "Error")
    message = json.loads(ended["properties"]["statusMessage"])["error"]
    assert message == {name: operation["error"][name] for name in ("code", "message")}
    assert log(client, f"operationId eq '{operation['name']}' and levels eq 'Critical,Error'") == [ended]


def test_what_a_rule_refuses_and_reads_and_what_ifs_leave_no_entry(app: InProcess) -> None:
    client = app.client
    client.make_cluster()
    before = log(client)
    assert client.put(client.pool("np1"), json={"properties": {"vmSize": "none"}}).status_code == 400
    assert client.delete(client.pool("none")).status_code == 204
    assert client.get(client.pool("sys")).status_code == 200
    assert client.post(f"{client.pool('np1')}/whatIf", json={"properties": {}}).status_code == 200
    assert log(client) == before


def test_what_the_caller_may_not_change_is_logged_with_who_tried(app: InProcess) -> None:
    client = app.client
    client.make_cluster()
    reader = app.make_principal("reader", (READER, client.subscription))
    refused = reader.delete(client.pool("sys"))
    assert refused.status_code == 403
    assert reader.get(f"{client.subscription}/nothing").status_code == 404

    (started, failed) = log(client, f"caller eq '{reader.principal.app_id if reader.principal else ''}'")

    assert told([started, failed]) == [
        ("managedClusters/agentPools/delete", "Started"),
        ("managedClusters/agentPools/delete", "Failed"),
    ]
    assert failed["subStatus"]["value"] == "Forbidden"
    said = json.loads(failed["properties"]["statusMessage"])["error"]
    assert (said["code"], said["message"]) == ("AuthorizationFailed", refused.json()["error"]["message"])


def test_refusals_do_not_fill_the_log(app: InProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trail, "MAX_REFUSALS", 3)
    now = app.now()
    app.now = lambda: now
    nobody, other = app.make_principal("nobody"), app.make_principal("other")
    path = f"{app.client.subscription}/resourceGroups/rg"

    def refused(times: int) -> int:
        for _ in range(times):
            assert nobody.delete(path).status_code == 403
        return len(log(app.client, "status eq 'Failed'"))

    assert refused(2) == 2
    assert refused(5) == 3
    assert other.delete(path).status_code == 403
    assert refused(1) == 4
    app.now = lambda: now + 61
    assert refused(1) == 5


def test_no_secret_is_logged(app: InProcess) -> None:
    client = app.client
    client.put(client.group(), json={"location": "eastus"})
    body = {
        "location": "eastus",
        "properties": {
            "agentPoolProfiles": [{"name": "sys", "mode": "System", "count": 1}],
            "windowsProfile": {"adminUsername": "azureuser", "adminPassword": PASSWORD},
            "servicePrincipalProfile": {"clientId": "x", "secret": PASSWORD},
        },
    }
    client.done(client.put(client.cluster(), json=body))
    found = log(client)
    assert "azureuser" in str(found)
    assert PASSWORD not in str(found)
    assert app.credentials.client_secret not in str(found)


def test_events_are_shown_to_those_who_may_read_the_log_at_their_resource(app: InProcess) -> None:
    client = app.client
    for group in ("rg", "other"):
        assert client.put(client.group(group), json={"location": "eastus"}).status_code == 201
    nobody = app.make_principal("nobody")
    local = app.make_principal("local", (READER, client.group("other")))

    assert log(nobody) == []
    assert {event["resourceGroupName"] for event in log(local)} == {"other"}
    assert {event["resourceGroupName"] for event in log(client)} == {"rg", "other"}


@pytest.mark.parametrize("token", ["garbage", "-1", "1.5", "٣", "9" * 30])
def test_a_token_that_the_log_did_not_give_out_is_refused(app: InProcess, token: str) -> None:
    reply = ask(app.client, **{"$skipToken": token})
    assert (reply.status_code, reply.json()["error"]["target"]) == (400, "$skiptoken")


@pytest.mark.parametrize("spelled", ["$skipToken", "$skiptoken", "$SKIPTOKEN"])
def test_pages_follow_each_other_without_gap_or_repetition(
    app: InProcess, monkeypatch: pytest.MonkeyPatch, spelled: str
) -> None:
    monkeypatch.setattr(activity, "PAGE", 3)
    client = app.client
    for number in range(8):
        client.put(client.group(f"g{number}"), json={"location": "eastus"})
    page = ask(client, "status eq 'Succeeded'").json()
    found = page["value"]
    while "nextLink" in page:
        link = urlsplit(page["nextLink"])
        query = dict(parse_qsl(link.query))
        query[spelled] = query.pop("$skipToken")
        page = client.get(link.path, params=query).json()
        found += page["value"]
        assert len(found) <= 8
    assert [event["resourceGroupName"] for event in found] == [f"g{number}" for number in reversed(range(8))]


def test_the_time_range_is_honoured_as_az_writes_it(app: InProcess) -> None:
    client = app.client
    app.now = lambda: 1_900_000_000.0  # 2030-03-17T17:46:40Z
    client.headers["Authorization"] = f"Bearer {app.token()}"
    client.put(client.group(), json={"location": "eastus"})
    path = f"{client.subscription}/providers/Microsoft.Insights/eventtypes/management/values"

    def count(wanted: str) -> int:
        reply = client.get(path, params=dict(client.params) | {"$filter": wanted})
        assert reply.status_code == 200, reply.text
        return len(reply.json()["value"])

    # Without quotes and without a zone, as az 2.91 does.
    assert count("eventTimestamp ge 2030-03-17T17:46:40 and eventTimestamp le 2030-03-17T17:46:40.000001") == 2
    assert count("eventTimestamp ge 2030-03-17T17:46:40.1 and eventTimestamp le 2030-03-17T18:00:00") == 0
    assert count("eventTimestamp ge '2030-03-17T18:46:40+01:00'") == 2
    assert count("eventTimestamp ge '2020-01-01T00:00:00.1234567Z' and eventTimestamp le '2030-03-17T17:46:39Z'") == 0


@pytest.mark.parametrize(
    "wanted",
    [
        None,
        "resourceGroupName eq 'rg'",
        "eventTimestamp ge 'yesterday'",
        "eventTimestamp ge '2020-01-01' or caller eq 'x'",
        "eventTimestamp ge '2020-01-01' and nonsense eq 'x'",
        "eventTimestamp ge '2020-01-01' and caller ge 'x'",
        "eventTimestamp ge '2020-01-01' and caller eq 'x",
    ],
)
def test_a_filter_that_is_not_understood_is_refused(app: InProcess, wanted: str | None) -> None:
    path = f"{app.client.subscription}/providers/Microsoft.Insights/eventtypes/management/values"
    query = dict(app.client.params) | ({"$filter": wanted} if wanted is not None else {})
    reply = app.client.get(path, params=query)
    assert (reply.status_code, reply.json()["error"]["target"]) == (400, "$filter")


def test_chosen_properties_alone_are_returned(app: InProcess) -> None:
    app.client.put(app.client.group(), json={"location": "eastus"})
    (first, _) = log(app.client, **{"$select": "caller, operationName"})
    assert set(first) == {"caller", "operationName"}


def test_an_operation_nobody_asked_for_ends_in_the_log_as_the_service_s_own(app: InProcess) -> None:
    client = app.client
    client.make_cluster()
    reply = client.put(client.pool("np1"), json={"properties": {"count": 1}})
    operation_id = reply.headers["Azure-AsyncOperation"].partition("?")[0].rpartition("/")[2]
    with app.database.transaction() as connection:
        connection.exec_driver_sql("DELETE FROM pw_activity")
        operation = statements.operation(connection, operation_id)
        assert operation is not None
        ActivityLog(app.now, lambda: str(uuid.uuid4())).ended(connection, operation)

    (event,) = log(client)

    assert (event["caller"], event["status"]["value"]) == ("Poolwright", "Succeeded")
    assert event["operationName"]["value"] == (
        "Microsoft.ContainerService/managedClusters/agentPools/create_node_pool/action"
    )
    assert event["claims"] == {}


def test_an_entry_is_not_there_without_its_change_nor_the_change_without_it(
    app: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = app.client
    client.make_cluster()
    before = log(client)

    def fail(*_: object) -> None:
        raise RuntimeError("the disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(activity_statements, "add_event", fail)
        assert client.put(client.pool("np1"), json={"properties": {"count": 1}}).status_code == 500
    assert client.get(client.pool("np1")).status_code == 404
    assert log(client) == before


def test_old_entries_are_deleted_in_batches_and_young_ones_stay(
    app: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(activity_statements, "PURGED_AT_ONCE", 4)
    clock = iter(float(at) for at in range(1000, 1010))
    writing = ActivityLog(lambda: next(clock), lambda: str(uuid.uuid4()))
    change = Change(subscription="s", tenant="t", caller="c", action="a/write", resource_id="/x", correlation_id="y")
    with app.database.transaction() as connection:
        for _ in range(10):
            writing.done(connection, change)
        assert [purge(connection, 1006.0, 1000) for _ in range(3)] == [4, 2, 0]
        left, _ = events(connection, ActivityQuery(subscription="s"), 100)
    assert [recorded.event.at for recorded in left] == [1009.0, 1008.0, 1007.0, 1006.0]


def test_what_is_too_much_goes_oldest_first_in_batches(app: InProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(activity_statements, "PURGED_AT_ONCE", 4)
    # The clock was set back in between: an old entry stands behind a young one.
    clock = iter([1000.0, 2000.0, 900.0, *(float(at) for at in range(2001, 2008))])
    writing = ActivityLog(lambda: next(clock), lambda: str(uuid.uuid4()))
    change = Change(subscription="s", tenant="t", caller="c", action="a/write", resource_id="/x", correlation_id="y")
    with app.database.transaction() as connection:
        for _ in range(10):
            writing.done(connection, change)
        assert purge(connection, 1500.0, 10) == 2, "the young entry in between stays"
        assert [purge(connection, 0.0, 3) for _ in range(3)] == [4, 1, 0]
        left, _ = events(connection, ActivityQuery(subscription="s"), 100)
    assert [recorded.event.at for recorded in left] == [2007.0, 2006.0, 2005.0]


def test_role_assignments_are_logged_as_az_s_change_log_reads_them(app: InProcess) -> None:
    client = app.client
    holder = app.make_principal("holder").principal
    assert holder is not None
    authorization = f"{client.subscription}/providers/Microsoft.Authorization"
    body = {
        "properties": {
            "roleDefinitionId": f"{authorization}/roleDefinitions/{READER.id}",
            "principalId": holder.object_id,
        }
    }
    path = f"{authorization}/roleAssignments/{uuid.uuid4()}"
    assert client.put(path, json=body).status_code == 201
    assert client.delete(path).status_code == 200

    granted, _, _, revoked = log(client, "resourceProvider eq 'Microsoft.Authorization'")

    assert json.loads(granted["properties"]["requestbody"])["properties"]["principalId"] == holder.object_id
    assert json.loads(revoked["properties"]["responseBody"])["properties"]["principalId"] == holder.object_id
    assert revoked["operationName"]["value"] == "Microsoft.Authorization/roleAssignments/delete"


@pytest.mark.parametrize(
    ("resource_id", "kind", "group"),
    [
        ("/subscriptions/s", "Microsoft.Resources/subscriptions", None),
        ("/subscriptions/s/resourceGroups/rg", "Microsoft.Resources/subscriptions/resourceGroups", "rg"),
        ("/subscriptions/s/resourceGroups/providers", "Microsoft.Resources/subscriptions/resourceGroups", "providers"),
        ("/subscriptions/s/resourcegroups/rg/providers/A.B/cs/c/ps/p", "A.B/cs/ps", "rg"),
        ("/subscriptions/s/resourcegroups/rg/providers/A.B/cs/c/providers/C.D/rs/r", "C.D/rs", "rg"),
    ],
)
def test_type_and_group_follow_from_an_id(resource_id: str, kind: str, group: str | None) -> None:
    assert (type_of(resource_id), group_of(resource_id.lower())) == (kind, group)


def test_what_is_the_same_in_two_snapshots_is_left_out() -> None:
    before, after = {"a": b"1", "b": b"2", "c": b"3"}, {"b": b"2", "c": b"4", "d": b"5"}
    assert differing(before, after) == ({"a": b"1", "c": b"3"}, {"c": b"4", "d": b"5"})


def test_an_entry_keeps_no_more_than_64_kib_before_and_after() -> None:
    few = {"/a": b"{}", "/b": b'{"x":"' + b"y" * 1000 + b'"}'}
    assert shortened(few) == few
    huge = b'"' + b"z" * 1_000_000 + b'"'
    assert shortened({"/a": huge, "/b": b"{}"}) == {"/a": b'{"omittedBytes":1000002}', "/b": b"{}"}
    many = {f"/{number:06}": b'{"x":"' + b"y" * 30 + b'"}' for number in range(10_000)}
    told = shortened(many)
    assert sum(len(key) + len(record) for key, record in told.items()) <= KEPT_BYTES + 100
    assert json.loads(told["..."]) == {"omittedResources": 10_000 - len(told) + 1}


def test_a_page_of_the_log_is_bounded_by_bytes(app: InProcess) -> None:
    """What changed is shown once; what does not fit on a page is on the next one, and none is lost."""
    client = app.client
    writing = ActivityLog(lambda: 1_750_000_000.0, lambda: str(uuid.uuid4()))
    change = Change(
        subscription=client.subscription.split("/")[-1],
        tenant="t",
        caller="c",
        action="a/write",
        resource_id=f"{client.subscription}/resourceGroups/x",
        correlation_id="y",
    )
    record = json.dumps({"x": "y" * 60_000}).encode()
    with app.database.transaction() as connection:
        for _ in range(60):
            writing.done(connection, change, {"/x": record}, {"/x": record})
    seen: list[str] = []
    pages, reply = 0, ask(client, "correlationId eq 'y'")
    while True:
        assert reply.status_code == 200, reply.text
        assert len(reply.content) < PAGE_BYTES + 500_000
        seen += [event["eventDataId"] for event in reply.json()["value"] if event["eventName"]["value"] == "EndRequest"]
        pages += 1
        if "nextLink" not in reply.json():
            break
        link = urlsplit(reply.json()["nextLink"])
        reply = client.get(link.path, params=dict(parse_qsl(link.query)))
    assert (len(set(seen)), len(seen)) == (60, 60)
    assert pages == 4


def test_a_body_of_a_megabyte_does_not_fill_the_log(app: InProcess) -> None:
    client = app.client
    client.make_cluster()
    for mark in "abc":
        body = {"properties": {"count": 0, "x9": mark * 900_000}}
        client.done(client.put(client.pool("large"), json=body))
    with app.database.transaction() as connection:
        sizes = connection.exec_driver_sql(
            'SELECT max(length("before") + length("after")) FROM pw_activity'
        ).scalar_one()
    assert sizes <= 2 * KEPT_BYTES
    too_large = {"properties": {"count": 0, "x9": "a" * MAX_RESOURCE_BYTES}}
    assert client.put(client.pool("large"), json=too_large).status_code == 413
    template = {
        "resources": [
            {
                "type": "Microsoft.ContainerService/managedClusters/agentPools",
                "apiVersion": "2025-10-01",
                "name": "c1/np1",
                "properties": {"count": 0, "x9": "a" * MAX_RESOURCE_BYTES},
            }
        ]
    }
    path = f"{client.group()}/providers/Microsoft.Resources/deployments/main"
    reply = client.put(path, json={"properties": {"mode": "Incremental", "template": template}})
    assert reply.status_code == 400
    assert "RequestEntityTooLarge" in reply.text
