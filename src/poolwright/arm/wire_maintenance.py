"""The JSON of maintenance configurations.

They are checked as Azure's own definition says, and kept.

Source of the shapes and bounds: MaintenanceConfigurations_* of Azure/azure-rest-api-specs,
aks/stable/2025-10-01/managedClusters.json.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Final, Literal, get_args

import orjson
from pydantic import AfterValidator, BeforeValidator, Field

from poolwright.arm.sent import Json, Sent, checked, kept, spelled, wrong
from poolwright.domain.maintenance import DEFAULT, MaintenanceConfiguration
from poolwright.domain.resource_id import MAINTENANCE_TYPE


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
