"""Azure's own definitions (tests/spec) as JSON Schema: what a reply of ours must fit.

A null is a violation. Enum values that the definitions' api-version does not know are listed here one by one.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from jsonschema import Draft7Validator, FormatChecker

SPEC = Path(__file__).parents[1] / "spec"

# Later than api-version 2025-10-01, or no longer in it and still sent; AKS's pages and 2026 api-versions have them.
OTHER_VERSIONS: dict[str, tuple[str, ...]] = {
    "OSSKU": ("AzureLinuxOSGuard", "AzureContainerLinux", "Flatcar", "Windows2025", "WindowsAnnual"),
    "AgentPoolSSHAccess": ("EntraId",),
    "WorkloadRuntime": ("KataMshvVmIsolation",),
}


def require_valid(document: Any, definition: str) -> None:
    """Fail, naming every place, unless the document fits the definition and has no null outside `poolwright`."""
    problems = [
        f"{'/'.join(str(part) for part in error.absolute_path)}: {error.message[:200]}"
        for error in _validator(definition).iter_errors(document)
    ]
    problems += [f"{place}: null" for place in _nulls(document, "")]
    assert not problems, f"not a {definition}: {problems}"


@cache
def _validator(definition: str) -> Draft7Validator:
    definitions: dict[str, Any] = {}
    for file in ("common-types.json", "compute-skus.json", "containerservice.json", "orchestrators.json"):
        definitions |= json.loads((SPEC / file).read_text())["definitions"]
    for name, values in OTHER_VERSIONS.items():
        definitions[name]["enum"] += values
    assert definition in definitions, definition
    return Draft7Validator(
        {"definitions": definitions, "$ref": f"#/definitions/{definition}"}, format_checker=_formats()
    )


def _formats() -> FormatChecker:
    checker = FormatChecker(formats=())
    checker.checks("date-time", raises=ValueError)(lambda value: datetime.fromisoformat(value).utcoffset() is not None)
    checker.checks("arm-id")(lambda value: re.fullmatch(r"(/[^/]+)+", value) is not None)
    checker.checks("uri")(lambda value: urlsplit(value).scheme != "")
    checker.checks("byte", raises=ValueError)(lambda value: base64.b64decode(value, validate=True) is not None)
    return checker


def _nulls(value: Any, place: str) -> Iterator[str]:
    if value is None:
        yield place
    elif isinstance(value, dict):
        for name, part in value.items():
            if name != "poolwright":
                yield from _nulls(part, f"{place}/{name}")
    elif isinstance(value, list):
        for index, part in enumerate(value):
            yield from _nulls(part, f"{place}/{index}")
