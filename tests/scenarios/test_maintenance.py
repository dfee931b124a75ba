"""Maintenance configurations over HTTP: checked as Azure's definition says, kept, returned, gone with their cluster."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from poolwright.store import statements
from tests.support.in_process import InProcess
from tests.support.service import ArmClient

DEFAULT, AUTO, NODE_OS = "default", "aksManagedAutoUpgradeSchedule", "aksManagedNodeOSUpgradeSchedule"
WEEKLY: dict[str, Any] = {"weekly": {"intervalWeeks": 2, "dayOfWeek": "Friday"}}
WINDOW: dict[str, Any] = {"schedule": WEEKLY, "durationHours": 8, "startTime": "23:30"}


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InProcess]:
    service = InProcess(tmp_path_factory.mktemp("maintenance") / "data")
    service.client.make_cluster()
    yield service
    service.close()


@pytest.fixture
def client(app: InProcess) -> ArmClient:
    return app.client


def path(client: ArmClient, name: str, cluster: str = "c1") -> str:
    return f"{client.cluster(cluster)}/maintenanceConfigurations/{name}"


def put(client: ArmClient, name: str, properties: dict[str, Any], cluster: str = "c1") -> httpx.Response:
    return client.put(path(client, name, cluster), json={"properties": properties})


@pytest.mark.parametrize(
    ("name", "properties"),
    [
        (DEFAULT, {"timeInWeek": [{"day": "Monday", "hourSlots": [0, 23]}], "notAllowedTime": []}),
        (
            DEFAULT,
            {
                "timeInWeek": [{"day": "Sunday", "hourSlots": [1]}],
                "notAllowedTime": [{"start": "2026-12-24T00:00:00Z", "end": "2027-01-02T12:00:00+01:00"}],
            },
        ),
        (
            DEFAULT,
            {"maintenanceWindow": WINDOW | {"schedule": {"weekly": {"intervalWeeks": 1, "dayOfWeek": "Friday"}}}},
        ),
        (AUTO, {"maintenanceWindow": WINDOW}),
        (AUTO, {"maintenanceWindow": WINDOW | {"schedule": {"daily": {"intervalDays": 7}}}}),
        (
            NODE_OS,
            {
                "maintenanceWindow": {
                    "schedule": {"absoluteMonthly": {"intervalMonths": 6, "dayOfMonth": 31}},
                    "durationHours": 4,
                    "startTime": "00:00",
                    "utcOffset": "-07:00",
                    "startDate": "2026-12-01",
                    "notAllowedDates": [{"start": "2026-12-23", "end": "2027-01-05"}],
                }
            },
        ),
        (
            NODE_OS,
            {
                "maintenanceWindow": {
                    "schedule": {"relativeMonthly": {"intervalMonths": 1, "weekIndex": "Last", "dayOfWeek": "Tuesday"}},
                    "durationHours": 24,
                    "startTime": "12:00",
                }
            },
        ),
    ],
)
def test_a_configuration_comes_back_as_it_was_sent(client: ArmClient, name: str, properties: dict[str, Any]) -> None:
    client.delete(path(client, name))
    created = put(client, name.upper(), properties)
    assert created.status_code == 201, created.text
    document = created.json()
    assert document["properties"] == properties
    assert (document["name"], document["id"]) == (name, path(client, name))
    assert put(client, name, properties).status_code == 200
    assert client.get(path(client, name)).json() == document
    listed = client.get(f"{client.cluster()}/maintenanceConfigurations").json()
    assert document in listed["value"]
    assert client.delete(path(client, name)).status_code == 200
    assert client.delete(path(client, name)).status_code == 204
    assert client.get(path(client, name)).json()["error"]["code"] == "ResourceNotFound"


def test_the_day_of_a_month_may_be_a_text_as_az_sends_it(client: ArmClient) -> None:
    def window(day: object) -> dict[str, Any]:
        return {
            "maintenanceWindow": WINDOW | {"schedule": {"absoluteMonthly": {"intervalMonths": 1, "dayOfMonth": day}}}
        }

    assert put(client, AUTO, window("15")).json()["properties"] == window(15)
    for wrong in ("", "x", "32", "²", "1.0", "9" * 5000):
        assert put(client, AUTO, window(wrong)).status_code == 400
    client.delete(path(client, AUTO))


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in WINDOW.items() if key != name}


@pytest.mark.parametrize(
    ("name", "properties", "target"),
    [
        ("weekend", {"maintenanceWindow": WINDOW}, "name"),
        (DEFAULT, {}, "properties.timeInWeek"),
        (DEFAULT, {"timeInWeek": [{"day": "Someday"}]}, "properties.timeInWeek[0].day"),
        (DEFAULT, {"timeInWeek": [{"hourSlots": [24]}]}, "properties.timeInWeek[0].hourSlots[0]"),
        (
            DEFAULT,
            {"timeInWeek": [{"day": "Monday"}], "notAllowedTime": [{"start": "tomorrow"}]},
            "properties.notAllowedTime[0].start",
        ),
        (
            DEFAULT,
            {"timeInWeek": [{"day": "Monday"}], "notAllowedTime": [{"end": "2026-12-24T00:00:00"}]},
            "properties.notAllowedTime[0].end",
        ),
        (AUTO, {}, "properties.maintenanceWindow"),
        (
            AUTO,
            {"maintenanceWindow": WINDOW, "timeInWeek": [{"day": "Monday", "hourSlots": [1]}]},
            "properties.timeInWeek",
        ),
        (AUTO, {"maintenanceWindow": without("schedule")}, "properties.maintenanceWindow.schedule"),
        (AUTO, {"maintenanceWindow": without("durationHours")}, "properties.maintenanceWindow.durationHours"),
        (AUTO, {"maintenanceWindow": without("startTime")}, "properties.maintenanceWindow.startTime"),
        (AUTO, {"maintenanceWindow": WINDOW | {"durationHours": 3}}, "properties.maintenanceWindow.durationHours"),
        (AUTO, {"maintenanceWindow": WINDOW | {"durationHours": 25}}, "properties.maintenanceWindow.durationHours"),
        (AUTO, {"maintenanceWindow": WINDOW | {"startTime": "24:00"}}, "properties.maintenanceWindow.startTime"),
        (AUTO, {"maintenanceWindow": WINDOW | {"startTime": "7:00"}}, "properties.maintenanceWindow.startTime"),
        (AUTO, {"maintenanceWindow": WINDOW | {"utcOffset": "2"}}, "properties.maintenanceWindow.utcOffset"),
        (AUTO, {"maintenanceWindow": WINDOW | {"startDate": "2026-02-30"}}, "properties.maintenanceWindow.startDate"),
        (AUTO, {"maintenanceWindow": WINDOW | {"schedule": {}}}, "properties.maintenanceWindow.schedule"),
        (
            AUTO,
            {"maintenanceWindow": WINDOW | {"schedule": WEEKLY | {"daily": {"intervalDays": 1}}}},
            "properties.maintenanceWindow.schedule",
        ),
        (
            AUTO,
            {"maintenanceWindow": WINDOW | {"schedule": {"daily": {"intervalDays": 8}}}},
            "properties.maintenanceWindow.schedule.daily.intervalDays",
        ),
        (
            AUTO,
            {"maintenanceWindow": WINDOW | {"schedule": {"weekly": {"intervalWeeks": 5, "dayOfWeek": "Friday"}}}},
            "properties.maintenanceWindow.schedule.weekly.intervalWeeks",
        ),
        (
            AUTO,
            {"maintenanceWindow": WINDOW | {"schedule": {"absoluteMonthly": {"intervalMonths": 1, "dayOfMonth": 32}}}},
            "properties.maintenanceWindow.schedule.absoluteMonthly.dayOfMonth",
        ),
        (
            AUTO,
            {"maintenanceWindow": WINDOW | {"notAllowedDates": [{"start": "2026-12-24", "end": "2026-12-23"}]}},
            "properties.maintenanceWindow.notAllowedDates[0].end",
        ),
    ],
)
def test_what_does_not_fit_the_definition_is_refused_with_its_place(
    client: ArmClient, name: str, properties: dict[str, Any], target: str
) -> None:
    before = client.get(f"{client.cluster()}/maintenanceConfigurations").json()
    reply = put(client, name, properties)
    assert reply.status_code == 400, reply.text
    error = reply.json()["error"]
    assert (error["code"], error["target"]) == ("InvalidParameter", target)
    assert client.get(f"{client.cluster()}/maintenanceConfigurations").json() == before


def test_every_problem_is_named(client: ArmClient) -> None:
    window = {"schedule": {"daily": {"intervalDays": 0}}, "durationHours": 0, "startTime": "x"}
    error = put(client, AUTO, {"maintenanceWindow": window}).json()["error"]
    assert {error["target"], *(detail["target"] for detail in error["details"])} == {
        "properties.maintenanceWindow.schedule.daily.intervalDays",
        "properties.maintenanceWindow.durationHours",
        "properties.maintenanceWindow.startTime",
    }


def test_a_configuration_needs_its_cluster_and_goes_with_it(app: InProcess) -> None:
    client = app.client
    assert put(client, AUTO, {"maintenanceWindow": WINDOW}, "c9").json()["error"]["code"] == "ParentResourceNotFound"
    assert client.get(path(client, AUTO, "c9")).json()["error"]["code"] == "ResourceNotFound"
    assert client.get(f"{client.cluster('c9')}/maintenanceConfigurations").status_code == 404
    assert client.delete(path(client, AUTO, "c9")).status_code == 404
    client.make_cluster("brief")
    assert put(client, AUTO, {"maintenanceWindow": WINDOW}, "brief").status_code == 201
    client.done(client.delete(client.cluster("brief")))
    rows = app.database.reader.rows(statements.MAINTENANCE_RECORDS, key=client.cluster("brief").lower())
    assert rows == []
    client.make_cluster("brief")
    assert client.get(f"{client.cluster('brief')}/maintenanceConfigurations").json() == {"value": []}
