"""Maintenance configurations over HTTP, and their JSON.

They are checked as Azure's own definition says, kept and returned. Nothing upgrades itself here.

Source of the shapes and bounds: MaintenanceConfigurations_* of Azure/azure-rest-api-specs,
aks/stable/2025-10-01/managedClusters.json.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Final, Literal, get_args

import orjson
from pydantic import AfterValidator, BeforeValidator, Field
from starlette.requests import Request
from starlette.responses import Response

from poolwright import errors
from poolwright.arm import paths
from poolwright.arm.area import Area, OfferedRoute, Service
from poolwright.arm.documents import ANYTHING, document_of, listing, resource
from poolwright.arm.http import json_response, listed, read_body
from poolwright.arm.sent import Json, Sent, checked, kept, spelled, wrong
from poolwright.domain.maintenance import DEFAULT, MaintenanceConfiguration
from poolwright.domain.resource_id import MAINTENANCE_TYPE, MaintenanceId
from poolwright.side_resources import SideResources
from poolwright.store import statements
from poolwright.store.records import load

CONFIGURATIONS = paths.CLUSTER + "/maintenanceconfigurations"
CONFIGURATION = CONFIGURATIONS + "/{configuration}"


class Maintenance(Area):
    """Handlers of `maintenanceConfigurations`."""

    def __init__(self, service: Service) -> None:
        super().__init__(service)
        self._side = SideResources(service.control_plane, service.now)

    def offered(self) -> tuple[OfferedRoute, ...]:
        return (
            OfferedRoute(
                "MaintenanceConfigurations_Get", "GET", CONFIGURATION, self.get_configuration, answers={200: _SHOWN}
            ),
            OfferedRoute(
                "MaintenanceConfigurations_CreateOrUpdate",
                "PUT",
                CONFIGURATION,
                self.put_configuration,
                takes=_PUT,
                answers={200: _SHOWN, 201: _SHOWN},
            ),
            OfferedRoute(
                "MaintenanceConfigurations_Delete",
                "DELETE",
                CONFIGURATION,
                self.delete_configuration,
                answers={200: None, 204: None},
            ),
            OfferedRoute(
                "MaintenanceConfigurations_ListByManagedCluster",
                "GET",
                CONFIGURATIONS,
                self.list_configurations,
                answers={200: listing(_SHOWN)},
            ),
        )

    async def get_configuration(self, request: Request) -> Response:
        return json_response(self._configuration(request, paths.maintenance_id(request)))

    async def put_configuration(self, request: Request) -> Response:
        maintenance_id = paths.maintenance_id(request)
        sent = decode_maintenance(await read_body(request), maintenance_id.name)
        created = await self._changed(
            request,
            lambda connection: self._side.put_maintenance_configuration(connection, maintenance_id, sent),
            lambda created: 201 if created else 200,
        )
        return json_response(self._configuration(request, maintenance_id), 201 if created else 200)

    async def delete_configuration(self, request: Request) -> Response:
        maintenance_id = paths.maintenance_id(request)
        self._require_cluster(maintenance_id.cluster_id.key, request)
        existed = await self._changed(
            request,
            lambda connection: self._side.delete_maintenance_configuration(connection, maintenance_id),
            lambda existed: 200 if existed else 204,
        )
        return Response(status_code=200 if existed else 204)

    async def list_configurations(self, request: Request) -> Response:
        cluster_id = paths.cluster_id(request)
        self._require_cluster(cluster_id.key, request)
        rows = self._reader.rows(statements.MAINTENANCE_RECORDS, key=cluster_id.key)
        return listed(encode_maintenance(load(MaintenanceConfiguration, record)) for (record,) in rows)

    def _configuration(self, request: Request, maintenance_id: MaintenanceId) -> bytes:
        row = self._reader.row(statements.MAINTENANCE_RECORD, key=maintenance_id.key)
        if row is None:
            self._require_cluster(maintenance_id.cluster_id.key, request)
            raise errors.ResourceNotFound(
                f"The maintenance configuration '{maintenance_id.name}' of managed cluster "
                f"'{maintenance_id.cluster_id.cluster}' was not found.",
                remedy="`az aks maintenanceconfiguration list` shows what exists",
            )
        return encode_maintenance(load(MaintenanceConfiguration, row[0]))


def _number(value: object) -> object:
    """az 2.91 sends `--day-of-month 15` as a text."""
    return int(value) if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 9 else value


def _is_date(text: str) -> str:
    date.fromisoformat(text)
    return text


def _is_time_with_offset(text: str) -> str:
    if datetime.fromisoformat(text).utcoffset() is None:
        raise ValueError("a date and time with its offset is expected, such as 2026-12-24T13:00:00Z")
    return text


_WeekDays = Literal["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"]
_WeekIndexes = Literal["First", "Second", "Third", "Fourth", "Last"]
_WeekDay = Annotated[_WeekDays, spelled(*get_args(_WeekDays))]
_Date = Annotated[str, AfterValidator(_is_date)]
_Time = Annotated[str, AfterValidator(_is_time_with_offset)]


class _Daily(Sent):
    intervalDays: Annotated[int, Field(ge=1, le=7)]


class _Weekly(Sent):
    intervalWeeks: Annotated[int, Field(ge=1, le=4)]
    dayOfWeek: _WeekDay


class _AbsoluteMonthly(Sent):
    intervalMonths: Annotated[int, Field(ge=1, le=6)]
    dayOfMonth: Annotated[int, BeforeValidator(_number), Field(ge=1, le=31)]


class _RelativeMonthly(Sent):
    intervalMonths: Annotated[int, Field(ge=1, le=6)]
    weekIndex: Annotated[_WeekIndexes, spelled(*get_args(_WeekIndexes))]
    dayOfWeek: _WeekDay


class _Schedule(Sent):
    daily: _Daily | None = None
    weekly: _Weekly | None = None
    absoluteMonthly: _AbsoluteMonthly | None = None
    relativeMonthly: _RelativeMonthly | None = None


class _DateSpan(Sent):
    start: _Date
    end: _Date


class _Window(Sent):
    schedule: _Schedule
    durationHours: Annotated[int, Field(ge=4, le=24)]
    startTime: Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]
    utcOffset: Annotated[str | None, Field(pattern=r"^[+-]\d{2}:\d{2}$")] = None
    startDate: _Date | None = None
    notAllowedDates: list[_DateSpan] | None = None


class _TimeInWeek(Sent):
    day: _WeekDay | None = None
    hourSlots: list[Annotated[int, Field(ge=0, le=23)]] | None = None


class _TimeSpan(Sent):
    start: _Time | None = None
    end: _Time | None = None


class _Properties(Sent):
    timeInWeek: list[_TimeInWeek] | None = None
    notAllowedTime: list[_TimeSpan] | None = None
    maintenanceWindow: _Window | None = None


class MaintenanceBody(Sent):
    properties: _Properties | None = None


_PUT = document_of("PutMaintenanceConfiguration", MaintenanceBody)
_SHOWN = resource("MaintenanceConfiguration", ANYTHING)


_WINDOW: Final = "properties.maintenanceWindow"
_SCHEDULES: Final = tuple(_Schedule.model_fields)


def decode_maintenance(body: Json, name: str) -> Json:
    """Return the kept content of a maintenance configuration's PUT. Raises `InvalidParameter`."""
    model = checked(MaintenanceBody, body, "")
    properties = model.properties or _Properties()
    window = properties.maintenanceWindow
    problems: list[tuple[str, str]] = []
    if window is not None and sum(getattr(window.schedule, kind) is not None for kind in _SCHEDULES) != 1:
        problems.append((f"{_WINDOW}.schedule", f"one and only one of {', '.join(_SCHEDULES)} is expected"))
    for index, span in enumerate(window.notAllowedDates or () if window is not None else ()):
        if span.end < span.start:
            problems.append((f"{_WINDOW}.notAllowedDates[{index}].end", f"it is before the start {span.start}"))
    # planned-maintenance.md: the dedicated configurations are maintenance windows; only the default one has timeInWeek.
    if window is None and name.lower() != DEFAULT:
        problems.append((_WINDOW, f"configuration {name} needs it"))
    if window is None and not properties.timeInWeek and name.lower() == DEFAULT:
        problems.append(("properties.timeInWeek", "it or maintenanceWindow is required"))
    if properties.timeInWeek and name.lower() != DEFAULT:
        problems.append(("properties.timeInWeek", f"only configuration {DEFAULT} has it"))
    if problems:
        raise wrong(problems)
    return kept(model)


def encode_maintenance(configuration: MaintenanceConfiguration) -> bytes:
    """Return a maintenance configuration as AKS shows it."""
    return orjson.dumps(
        {
            **configuration.sent,
            "id": str(configuration.id),
            "name": configuration.id.name,
            "type": MAINTENANCE_TYPE,
        }
    )
