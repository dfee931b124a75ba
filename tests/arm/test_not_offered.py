"""Every operation of Azure's AKS resource provider is offered, or refused by name with its reason."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest
from azure.mgmt import containerservice

from poolwright.arm.area import OfferedRoute
from poolwright.arm.not_offered import REASONS, KnownOperation, known_operations, missing, reason_of
from poolwright.arm.offered import AREAS
from tests.support.in_process import InProcess


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InProcess]:
    service = InProcess(tmp_path_factory.mktemp("offered") / "data")
    service.client.make_cluster()
    yield service
    service.close()


def offered() -> list[OfferedRoute]:
    return [row for area in AREAS for row in object.__new__(area).offered()]


def url_of(known: KnownOperation, app: InProcess) -> str:
    names = {"subscriptionId": app.credentials.subscription_id, "resourceGroupName": "rg", "resourceName": "c1"}
    return re.sub(r"\{(\w+)\}", lambda match: names.get(match[1], "x"), known.path)


def test_the_list_has_every_operation_of_the_sdk() -> None:
    source = (Path(containerservice.__file__).parent / "operations" / "_operations.py").read_text()
    requests = re.findall(r"^def build_(\w+)_request\(.*?(?=^def build_|^class )", source, re.MULTILINE | re.DOTALL)
    stable = [known for known in known_operations() if known.api_version == "2026-08-01"]
    assert len(stable) == len(requests) > 60, version("azure-mgmt-containerservice")
    snake = {
        re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|_", "_", known.operation).lower() for known in stable
    }
    assert snake == set(requests)


def test_every_operation_is_offered_or_has_one_reason() -> None:
    lacking = missing(offered())
    used = set()
    for known in lacking:
        reasons = [reason for reason in REASONS if known.operation.startswith(reason.operations)]
        assert len(reasons) == 1, known.operation
        assert reason_of(known) is reasons[0]
        used |= {prefix for prefix in reasons[0].operations if known.operation.startswith(prefix)}
    assert used == {prefix for reason in REASONS for prefix in reason.operations}


def test_a_route_that_is_named_as_azure_s_is_where_azure_has_it() -> None:
    known = {(row.operation, row.method): re.sub(r"\{\w+\}", "{}", row.path.lower()) for row in known_operations()}
    ours = {(row.operation, row.method): re.sub(r"\{\w+\}", "{}", row.path) for row in offered()}
    shared = known.keys() & ours.keys()
    assert len(shared) > 30
    assert {name: known[name] for name in shared} == {name: ours[name] for name in shared}
    # Whatever is offered below AKS and is not in Azure's list is ours, or polling, which is in none.
    below = {
        row.operation
        for row in offered()
        if "microsoft.containerservice" in row.path and "microsoft.authorization" not in row.path
    }
    assert {name for name in below - {name for name, _ in known} if "(Poolwright)" not in name} <= {
        "Operations_Get",
        "Operations_GetResult",
        # Of api-version 2019-04-01, and in no later one.
        "ContainerServices_ListOrchestrators",
    }


def test_what_is_not_offered_is_refused_by_name_with_the_reason(app: InProcess) -> None:
    for known in missing(offered()):
        reply = app.client.request(known.method, url_of(known, app), json={})
        assert reply.status_code == 400, (known.operation, reply.text)
        error = reply.json()["error"]
        assert error["code"] == "OperationNotOffered"
        assert f"{known.operation} of Microsoft.ContainerService" in error["message"]
        assert reason_of(known).why in error["message"]
        assert error["additionalInfo"][0]["info"]["remedy"] == reason_of(known).remedy


def test_what_is_offered_is_reached_by_azure_s_own_path(app: InProcess) -> None:
    lacking = missing(offered())
    for known in known_operations():
        if known not in lacking:
            reply = app.client.request(known.method, url_of(known, app), json={})
            assert reply.status_code != 405, known.operation
            assert "OperationNotOffered" not in reply.text, known.operation
            assert "is not one this service offers" not in reply.text, known.operation


def test_a_method_that_azure_has_not_is_still_a_wrong_method(app: InProcess) -> None:
    reply = app.client.post(f"{app.client.cluster()}/managedNamespaces", json={})
    assert (reply.status_code, reply.json()["error"]["code"]) == (405, "HttpMethodNotAllowed")
    unknown = app.client.get(f"{app.client.cluster()}/somethingElse")
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "InvalidResourceType")
