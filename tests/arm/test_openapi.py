"""The description has every offered operation and no other, and is served as it is published."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import schemathesis
from starlette.requests import Request
from starlette.responses import Response

from poolwright.arm.area import OfferedRoute
from poolwright.arm.documents import TEXT, document
from poolwright.arm.not_offered import refusing_routes
from poolwright.arm.offered import AREAS, LOCAL_AREAS, rows_of
from poolwright.arm.openapi import description
from tests.support.in_process import InProcess

PUBLISHED = Path(__file__).parents[2] / "docs" / "openapi.json"
ROWS = rows_of((*AREAS, *LOCAL_AREAS))
# It is offered so that clients hear why there is no such thing.
ALWAYS_REFUSED = {"Providers_Unregister"}


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InProcess]:
    service = InProcess(tmp_path_factory.mktemp("openapi") / "data")
    yield service
    service.close()


@pytest.fixture(scope="module")
def published() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(PUBLISHED.read_text())
    return document


def described(document: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    return {
        (method.upper(), path.lower()): operation
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    }


def test_it_is_a_valid_openapi_document(published: dict[str, Any]) -> None:
    assert published["openapi"].startswith("3.1.")
    schemathesis.openapi.from_dict(published).validate()


def test_one_that_is_not_would_be_noticed(published: dict[str, Any]) -> None:
    broken = json.loads(json.dumps(published))
    del broken["components"]["parameters"]["path.pool"]["in"]
    with pytest.raises(jsonschema_rs.ValidationError):
        schemathesis.openapi.from_dict(broken).validate()


def test_every_row_is_described_and_nothing_else(published: dict[str, Any]) -> None:
    assert described(published).keys() == {(row.method, row.path) for row in ROWS}


def test_what_is_refused_by_name_is_not_described(published: dict[str, Any]) -> None:
    refused = {(row.method, row.path) for row in refusing_routes(ROWS)}
    assert len(refused) > 50
    assert not refused & described(published).keys()


def test_names_of_operations_are_unique_and_can_be_names_in_a_program(published: dict[str, Any]) -> None:
    names = [operation["operationId"] for operation in described(published).values()]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[A-Z]\w+_\w+", name) for name in names)


def test_the_same_operation_at_another_scope_has_the_scope_in_its_name(published: dict[str, Any]) -> None:
    names = {operation["operationId"] for operation in described(published).values()}
    assert {f"RoleAssignments_Get{scope}" for scope in ("", "AtGroup", "AtCluster", "AtPool")} <= names


def test_a_summary_is_the_name_in_words(published: dict[str, Any]) -> None:
    summaries = {operation["operationId"]: operation["summary"] for operation in described(published).values()}
    assert summaries["ManagedClusters_ListByResourceGroup"] == "Managed clusters: list by resource group"
    assert summaries["AgentPools_WhatIf"] == "Agent pools: what if"


def test_every_row_says_what_it_answers_with() -> None:
    assert {row.operation for row in ROWS if not row.answers} == ALWAYS_REFUSED


def test_what_puts_or_patches_says_what_it_takes() -> None:
    assert [row.operation for row in ROWS if row.method in ("PUT", "PATCH") and row.takes is None] == []


def test_every_operation_of_azure_s_needs_an_api_version_and_ours_do_not(published: dict[str, Any]) -> None:
    wanted = {"$ref": "#/components/parameters/query.api-version"}
    for (_, path), operation in described(published).items():
        assert (wanted in operation["parameters"]) == path.startswith("/subscriptions")


def test_every_reference_leads_somewhere(published: dict[str, Any]) -> None:
    references = set(re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(published)))
    assert len(references) > 100
    for reference in references:
        part = published
        for name in reference.split("/"):
            part = part[name]


def test_a_name_that_two_documents_have_is_refused() -> None:
    async def handler(request: Request) -> Response:
        return Response()

    rows = [
        OfferedRoute(
            f"Things_{name}", "GET", f"/_poolwright/{name}", handler, answers={200: document("Same", {name: TEXT})}
        )
        for name in ("One", "Other")
    ]
    with pytest.raises(ValueError, match="two documents are called Same"):
        description(rows, "1")


def test_clients_get_what_is_published(app: InProcess, published: dict[str, Any]) -> None:
    reply = app.client.get("/_poolwright/openapi.json")
    assert (reply.status_code, reply.json()) == (200, published)
