"""What clients really sent: kept within bounds, without secrets, and shown as they sent it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from poolwright.arm.app import ArmApp
from poolwright.arm.request_log import MAX_BODY_BYTES, RequestLog
from tests.support.in_process import InProcess

REQUESTS = "/_poolwright/requests"
SECRET = "Hunter2-and-nobody-else"


@pytest.fixture
def app(tmp_path: Path) -> Iterator[InProcess]:
    service = InProcess(tmp_path / "data")
    service.client.make_cluster()
    service.client.delete(REQUESTS)
    yield service
    service.close()


def shown(app: InProcess, **filters: Any) -> list[dict[str, Any]]:
    reply = app.client.get(REQUESTS, params=filters)
    assert reply.status_code == 200, reply.text
    found: list[dict[str, Any]] = reply.json()["value"]
    return found


def add(log: RequestLog, path: str, *, headers: tuple[tuple[bytes, bytes], ...] = ()) -> None:
    scope = {"type": "http", "method": "GET", "path": path, "headers": headers, "query_string": b""}
    log.add(scope, path, None, 200, 0.5, "x", None)


def test_a_request_is_shown_as_it_was_sent(app: InProcess) -> None:
    headers = {
        "UseWindowsGen2VM": "true",
        "If-None-Match": "*",
        "User-Agent": "AZURECLI/2.91.0",
        "CommandName": "aks nodepool add",
        "ParameterSetName": "--name --resource-group",
        "x-ms-client-request-id": "5d0e6f0a-0000-4000-8000-000000000000",
    }
    properties = {"count": 1, "osType": "Windows", "vmSize": "Standard_D2s_v5"}
    path = app.client.pool("win1").replace("agentPools", "AgentPools")
    accepted = app.client.put(path, json={"properties": properties}, headers=headers)

    (entry,) = shown(app, pool="WIN1", method="put")

    assert (entry["method"], entry["path"], entry["apiVersion"]) == ("PUT", path, "2026-06-01")
    assert entry["headers"] == {name.lower(): value for name, value in headers.items()} | {
        "content-type": "application/json"
    }
    assert entry["body"] == {"properties": properties}
    assert entry["status"] == accepted.status_code == 201
    assert (
        entry["correlationId"] == accepted.headers["x-ms-correlation-request-id"] == headers["x-ms-client-request-id"]
    )
    assert entry["operation"] == app.client.operation(accepted)["name"]
    assert entry["milliseconds"] > 0
    assert entry["time"].endswith("Z")


def test_a_refused_request_is_shown_too(app: InProcess) -> None:
    app.client.put(app.client.pool("np1"), json={"properties": {"vmSize": "nonsense"}})
    (entry,) = shown(app)
    assert (entry["status"], entry["operation"]) == (400, None)
    assert entry["body"] == {"properties": {"vmSize": "nonsense"}}


def test_secrets_are_nowhere_in_it(app: InProcess) -> None:
    body = {"properties": {"windowsProfile": {"adminPassword": SECRET}, "x": [{"y": {"clientSecret": [SECRET]}}]}}
    app.client.put(app.client.pool("np1"), json=body, headers={"x-secret": SECRET, "Cookie": SECRET})
    app.client.put(app.client.pool("np1"), content=f'{{"adminPassword": "{SECRET}"')
    app.client.post("/adfs/oauth2/token", data={"grant_type": "client_credentials", "client_secret": SECRET})
    app.client.get(app.client.pool("np1"), params={"access_token": SECRET})

    kept = repr(list(app.service.requests.entries()))
    told = json.dumps(shown(app))

    assert len(shown(app)) == 4
    for text in (kept, told):
        assert SECRET not in text
        assert app.client.headers["Authorization"].split()[1] not in text
        assert "uthorization" not in text
    assert [entry.get("bodyOmitted", "") for entry in shown(app)] == [
        "",
        f"its {len(SECRET) + 20} bytes are no JSON, so secrets in it cannot be told",
        "it may hold credentials",
        "",
    ]


def test_a_body_that_is_too_large_is_said_to_be(app: InProcess) -> None:
    body = json.dumps({"properties": {"x": "y" * MAX_BODY_BYTES}})
    app.client.put(app.client.pool("np1"), content=body)
    (entry,) = shown(app)
    assert (entry["body"], entry["bodyOmitted"]) == (None, f"it has {len(body)} bytes")


def test_what_watches_the_service_is_not_shown(app: InProcess) -> None:
    for path in ("/healthz", "/metrics", REQUESTS):
        assert app.client.get(path).status_code == 200
    assert shown(app) == []


def test_filters_narrow_it_down(app: InProcess) -> None:
    client = app.client
    client.get(client.pool("sys"))
    app.now = lambda: 2_000_000_000.0
    client.headers["Authorization"] = f"Bearer {app.token()}"
    client.get(client.pool("other"))
    client.delete(client.pool("other"))

    assert [entry["status"] for entry in shown(app)] == [200, 404, 204]
    assert [entry["status"] for entry in shown(app, pool="other", method="GET")] == [404]
    assert [entry["status"] for entry in shown(app, since="1999999999")] == [404, 204]
    assert [entry["status"] for entry in shown(app, since="2033-05-18T03:33:00Z")] == [404, 204]
    assert [entry["status"] for entry in shown(app, after=shown(app)[1]["sequence"])] == [204]


@pytest.mark.parametrize(
    ("name", "value"), [("since", "yesterday"), ("after", "x"), ("since", "nan"), ("after", "inf")]
)
def test_a_filter_that_makes_no_sense_is_refused(app: InProcess, name: str, value: str) -> None:
    reply = app.client.get(REQUESTS, params={name: value})
    assert (reply.status_code, reply.json()["error"]["target"]) == (400, name)


def test_no_more_are_kept_than_the_setting_says() -> None:
    log = RequestLog(3, lambda: 10.0)
    for number in range(5):
        add(log, f"/subscriptions/{number}")
    assert [entry.path[-1] for entry in log.entries()] == ["2", "3", "4"]
    assert (log.last, [entry.sequence for entry in log.entries()]) == (5, [3, 4, 5])
    assert {entry.began for entry in log.entries()} == {9.5}


def test_nor_more_bytes_than_there_may_be() -> None:
    log = RequestLog(1000, lambda: 0.0, max_bytes=10_000)
    for number in range(100):
        add(log, f"/subscriptions/{number:050}")
    assert 1 < sum(entry.size for entry in log.entries()) <= 10_000
    add(log, "/" + "x" * 20_000)
    assert [len(entry.path) for entry in log.entries()] == [20_001], "the newest stays, whatever its size"
    add(log, "/short")
    assert [entry.path for entry in log.entries()] == ["/short"]


def test_zero_keeps_none(app: InProcess) -> None:
    application = ArmApp(replace(app.service, requests=RequestLog(0, lambda: 0.0)))
    app.app = application
    app.client.put(app.client.pool("np1"), json={"properties": {"count": 1}})
    assert shown(app) == []
