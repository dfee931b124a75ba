"""Requests made from the OpenAPI description get the replies that it describes; `make fuzz` sends more of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from poolwright.arm.offered import AREAS, LOCAL_AREAS, rows_of
from tests.fuzzing.run import run
from tests.fuzzing.world import World
from tests.support.service import ServiceProcess

SECONDS = 90


@pytest.fixture(scope="module")
def world(service: ServiceProcess) -> Iterator[World]:
    populated = World(service)
    yield populated
    populated.close()


@pytest.fixture
def description(world: World) -> Any:
    return world.client.get("/_poolwright/openapi.json").json()


def test_requests_of_every_operation_are_answered_as_described_and_refused_ones_change_nothing(world: World) -> None:
    report = run(world, 1_500, SECONDS)
    assert report.findings == {}, "\n".join(report.lines())
    # A busy machine may send fewer, which is no defect of the service; else every operation had its turn.
    assert report.seconds >= SECONDS or len(report.sent) == len(rows_of((*AREAS, *LOCAL_AREAS)))
    assert report.requests >= 100


def test_a_reply_that_the_description_does_not_fit_is_found(world: World, description: Any) -> None:
    description["components"]["schemas"]["Location"]["required"].append("nobody")
    report = run(world, 20, 30, only="Subscriptions_ListLocations", description=description)
    ((operation, what),) = report.findings
    assert (operation, what) == ("Subscriptions_ListLocations", "JsonSchemaError")
    assert "nobody" in report.findings[operation, what]


def test_a_success_that_is_not_described_is_found(world: World, description: Any) -> None:
    del description["paths"]["/subscriptions"]["get"]["responses"]["200"]
    report = run(world, 20, 30, only="Subscriptions_List", description=description)
    assert ("Subscriptions_List", "a success that is not described") in report.findings


def test_a_look_that_changes_something_is_found(world: World, description: Any) -> None:
    # As if it only looked: what is registered is stored.
    place = (
        "/subscriptions/{subscription}/providers/Microsoft.Features/providers/{namespace}/features/{feature}/register"
    )
    description["paths"][place]["post"]["operationId"] = "Features_WhatIf"
    world.make_whole()
    report = run(world, 40, 30, only="Features_WhatIf", description=description)
    assert ("Features_WhatIf", "the state changed") in report.findings


def test_the_state_is_another_after_a_change_and_the_same_after_a_refusal_or_a_look(world: World) -> None:
    client, state = world.client, world.state
    assert world.wait_quiet()
    before = state.digest
    client.expect(200, client.get(client.pool("np1")))
    client.expect(404, client.delete(client.pool("nobody", "nowhere")))
    client.expect(400, client.put(client.group("new"), json={}))
    assert state.digest == before
    client.expect(200, client.patch(client.group(), json={"tags": {"digest": "other"}}))
    assert state.digest != before


def test_what_was_thrown_away_is_brought_back(world: World) -> None:
    world.client.expect(202, world.client.delete(world.client.group()))
    assert world.wait_quiet()
    assert not world.is_whole()
    world.make_whole()
    assert world.is_whole()


def test_the_log_has_no_traceback_after_all_this(service: ServiceProcess) -> None:
    assert "Traceback" not in service.log()
