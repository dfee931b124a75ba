"""Dates as .NET, and so ARM, reads and writes them.

Sources: https://learn.microsoft.com/azure/azure-resource-manager/templates/template-functions-date,
https://learn.microsoft.com/dotnet/standard/base-types/standard-date-and-time-format-strings and the page
beside it on custom ones; durations are ISO 8601. The culture is the invariant one.

Invariant: a date without a zone means UTC.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

# What one letter stands for; `u`, `s`, `o` and `r` are the same in every culture.
_STANDARD: Final[Mapping[str, str]] = {
    "d": "MM/dd/yyyy",
    "D": "dddd, dd MMMM yyyy",
    "f": "dddd, dd MMMM yyyy HH:mm",
    "F": "dddd, dd MMMM yyyy HH:mm:ss",
    "g": "MM/dd/yyyy HH:mm",
    "G": "MM/dd/yyyy HH:mm:ss",
    "m": "MMMM dd",
    "M": "MMMM dd",
    "o": "yyyy-MM-ddTHH:mm:ss.fffffffK",
    "O": "yyyy-MM-ddTHH:mm:ss.fffffffK",
    "r": "ddd, dd MMM yyyy HH:mm:ss 'GMT'",
    "R": "ddd, dd MMM yyyy HH:mm:ss 'GMT'",
    "s": "yyyy-MM-ddTHH:mm:ss",
    "t": "HH:mm",
    "T": "HH:mm:ss",
    "u": "yyyy-MM-dd HH:mm:ssZ",
    "y": "yyyy MMMM",
    "Y": "yyyy MMMM",
}
_CUSTOM: Final[Mapping[str, Callable[[datetime], str]]] = {
    "yyyy": lambda moment: f"{moment.year:04}",
    "yy": lambda moment: f"{moment.year % 100:02}",
    "MMMM": lambda moment: calendar.month_name[moment.month],
    "MMM": lambda moment: calendar.month_abbr[moment.month],
    "MM": lambda moment: f"{moment.month:02}",
    "M": lambda moment: str(moment.month),
    "dddd": lambda moment: calendar.day_name[moment.weekday()],
    "ddd": lambda moment: calendar.day_abbr[moment.weekday()],
    "dd": lambda moment: f"{moment.day:02}",
    "d": lambda moment: str(moment.day),
    "HH": lambda moment: f"{moment.hour:02}",
    "H": lambda moment: str(moment.hour),
    "hh": lambda moment: f"{moment.hour % 12 or 12:02}",
    "h": lambda moment: str(moment.hour % 12 or 12),
    "mm": lambda moment: f"{moment.minute:02}",
    "m": lambda moment: str(moment.minute),
    "ss": lambda moment: f"{moment.second:02}",
    "s": lambda moment: str(moment.second),
    "tt": lambda moment: "AM" if moment.hour < 12 else "PM",
    "t": lambda moment: "A" if moment.hour < 12 else "P",
    "K": lambda moment: "Z",
    "zzz": lambda moment: "+00:00",
    "zz": lambda moment: "+00",
    "z": lambda moment: "+0",
}
_PART: Final = re.compile(
    r"'(?P<quoted>[^']*)'|\"(?P<double>[^\"]*)\"|\\(?P<escaped>.)|%(?P<single>[A-Za-z])"
    r"|(?P<fraction>f{1,7})|(?P<token>y{4}|y{2}|M{1,4}|d{1,4}|H{1,2}|h{1,2}|m{1,2}|s{1,2}|t{1,2}|K|z{1,3})"
    r"|(?P<letter>[A-Za-z])|(?P<other>.)",
    re.DOTALL,
)
_DURATION: Final = re.compile(
    r"(?P<sign>-)?P(?:(?P<years>\d+)Y)?(?:(?P<months>\d+)M)?(?:(?P<weeks>\d+)W)?(?:(?P<days>\d+)D)?"
    r"(?:T(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>\d+)S)?)?"
)
_COMPACT: Final = re.compile(r"(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z")
_LIKE_G: Final = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4})(?: (\d{1,2}):(\d\d):(\d\d)(?: (AM|PM))?)?")


def parsed(text: str) -> datetime:
    """Return the moment an ISO 8601 text, `yyyyMMddTHHmmssZ` or `M/d/yyyy h:mm:ss tt` means. Raises `ValueError`."""
    if compact := _COMPACT.fullmatch(text):
        return datetime(*(int(part) for part in compact.groups()), tzinfo=UTC)  # type: ignore[arg-type, misc]
    if american := _LIKE_G.fullmatch(text):
        month, day, year, hour, minute, second, half = american.groups(default="0")
        hours = int(hour) if half == "0" else int(hour) % 12 + (12 if half == "PM" else 0)
        return datetime(int(year), int(month), int(day), hours, int(minute), int(second), tzinfo=UTC)
    # Python reads six digits of a fraction, .NET writes seven.
    moment = datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text.strip()))
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def formatted(moment: datetime, form: str) -> str:
    """Return the moment in a standard (`u`) or custom (`yyyy-MM-dd`) format of .NET. Raises `ValueError`."""
    if len(form) == 1:
        if form not in _STANDARD:
            raise ValueError(f"'{form}' is no date format")
        form = _STANDARD[form]
    written = ""
    for part in _PART.finditer(form):
        kind = part.lastgroup or ""
        text = part[kind]
        if kind in ("token", "single"):
            if text not in _CUSTOM:
                raise ValueError(f"'{text}' is no date format")
            written += _CUSTOM[text](moment)
        elif kind == "fraction":
            written += f"{moment.microsecond:06}0"[: len(text)]
        else:
            written += text
    return written


def added(moment: datetime, duration: str) -> datetime:
    """Return the moment an ISO 8601 duration later. Raises `ValueError`."""
    found = _DURATION.fullmatch(duration)
    given = {name: int(text) for name, text in found.groupdict().items() if text and name != "sign"} if found else {}
    if found is None or not given:
        raise ValueError(f"'{duration}' is not a valid ISO8601 Duration string")
    sign = -1 if found["sign"] else 1
    months = moment.year * 12 + moment.month - 1 + sign * (given.pop("years", 0) * 12 + given.pop("months", 0))
    year, month = divmod(months, 12)
    if not 1 <= year <= 9999:
        raise ValueError(f"'{duration}' leads out of the calendar")
    day = min(moment.day, calendar.monthrange(year, month + 1)[1])
    try:
        return moment.replace(year=year, month=month + 1, day=day) + sign * timedelta(**given)
    except OverflowError as error:
        raise ValueError(f"'{duration}' leads out of the calendar") from error
