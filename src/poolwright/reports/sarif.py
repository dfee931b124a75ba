"""SARIF 2.1.0: what was found, for programs that show findings beside the file they are about.

Knows nothing of what is found: commands bring rules, results, and notes about their input.

Invariant: every result names a rule of the run, and a place that exists: a file with a line, a logical name, or both.
Source: https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePath
from typing import Any, Final
from urllib.parse import quote

VERSION: Final = "2.1.0"
SCHEMA: Final = "https://json.schemastore.org/sarif-2.1.0.json"

Json = dict[str, Any]


class Level(StrEnum):
    """How bad it is, in SARIF's words, worst first."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class SarifRule:
    """What is looked for: a stable ID, one sentence, what to do about it, and where it is written."""

    id: str
    text: str
    help: str
    level: Level


@dataclass(frozen=True, slots=True)
class SarifPlace:
    """Where something was found. Lines and columns count from 1, 0 is unknown; `name` is a name that is no file."""

    file: str | None = None
    line: int = 0
    column: int = 0
    name: str | None = None


@dataclass(frozen=True, slots=True)
class SarifResult:
    """One finding. `level` is the rule's where it is None."""

    rule: str
    message: str
    place: SarifPlace
    level: Level | None = None


@dataclass(frozen=True, slots=True)
class SarifNotification:
    """Something about the run itself: a file that could not be read."""

    message: str
    place: SarifPlace
    level: Level = Level.ERROR


def sarif(
    tool_version: str,
    rules: Iterable[SarifRule],
    results: Iterable[SarifResult],
    notifications: Iterable[SarifNotification] = (),
) -> Json:
    """Return the log of one run. Raises `KeyError` for a result whose rule is not among the rules."""
    listed = sorted(rules, key=lambda rule: rule.id)
    index = {rule.id: number for number, rule in enumerate(listed)}
    by_id = {rule.id: rule for rule in listed}
    notes = [_notification(notification) for notification in notifications]
    run: Json = {
        "tool": {
            "driver": {
                "name": "Poolwright",
                "version": tool_version,
                "rules": [_rule(rule) for rule in listed],
            }
        },
        "columnKind": "unicodeCodePoints",
        "invocations": [{"executionSuccessful": not notes, "toolExecutionNotifications": notes}],
        "results": [
            {
                "ruleId": result.rule,
                "ruleIndex": index[result.rule],
                "level": (result.level or by_id[result.rule].level).value,
                "message": {"text": result.message},
                "locations": [_location(result.place)],
            }
            for result in results
        ],
    }
    return {"$schema": SCHEMA, "version": VERSION, "runs": [run]}


def _rule(rule: SarifRule) -> Json:
    return {
        "id": rule.id,
        "shortDescription": {"text": rule.text},
        "help": {"text": rule.help},
        "defaultConfiguration": {"level": rule.level.value},
    }


def _notification(notification: SarifNotification) -> Json:
    return {
        "level": notification.level.value,
        "message": {"text": notification.message},
        "locations": [_location(notification.place)],
    }


def _location(place: SarifPlace) -> Json:
    location: Json = {}
    if place.file is not None:
        physical: Json = {"artifactLocation": {"uri": uri_of(place.file)}}
        if place.line > 0:
            physical["region"] = {"startLine": place.line} | ({"startColumn": place.column} if place.column > 0 else {})
        location["physicalLocation"] = physical
    if place.name is not None:
        location["logicalLocations"] = [{"fullyQualifiedName": place.name, "kind": "resource"}]
    return location


def uri_of(file: str) -> str:
    """Return the URI of a file: of an absolute path one with `file:`, of a relative one itself."""
    path = PurePath(file)
    return path.as_uri() if path.is_absolute() else quote(path.as_posix())
