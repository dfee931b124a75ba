"""Azure's own definitions (tests/spec): what a reply of ours must be.

`check` takes whole replies, whatever their api-version: method and path name an operation of Azure, which declares
statuses and what stands in their bodies; a refusal is ARM's error document. `require_valid` takes a document and the
name of a definition.

A null is a violation, and so is a property that the definitions do not have: what is ours or newer than they
are is listed here, by name and reason.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime
from functools import cache, lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from jsonschema import Draft7Validator, FormatChecker
from jsonschema.exceptions import ValidationError

SPEC = Path(__file__).parents[1] / "spec"
FILES = (
    "common-types.json",
    "compute-skus.json",
    "containerservice.json",
    "containerservice-preview.json",
    "orchestrators.json",
    "polling.json",
)

# Later than api-version 2025-10-01, or no longer in it and still sent; AKS's pages and 2026 api-versions have them.
OTHER_VERSIONS: dict[str, tuple[str, ...]] = {
    "OSSKU": ("AzureLinuxOSGuard", "AzureContainerLinux", "Flatcar", "Windows2025", "WindowsAnnual"),
    "AgentPoolSSHAccess": ("EntraId",),
    "WorkloadRuntime": ("KataMshvVmIsolation",),
}


# What api-version 2026-08-01 (azure-mgmt-containerservice 41.8.0) has besides: clients send it, and it is kept.
LATER: dict[str, tuple[str, ...]] = {
    "AdvancedNetworking": ("performance",),
    "AdvancedNetworkingSecurity": ("transitEncryption",),
    "AgentPoolNetworkProfile": ("dranet",),
    "AgentPoolUpgradeProfileProperties": ("recentlyUsedVersions",),
    "GPUProfile": ("nvidia",),
    "IstioComponents": ("proxyRedirectionMechanism",),
    "ManagedClusterAgentPoolProfileProperties": ("artifactStreamingProfile",),
    "ManagedClusterAzureMonitorProfile": ("containerInsights", "appMonitoring"),
    "ManagedClusterAzureMonitorProfileMetrics": ("controlPlane",),
    "ManagedClusterIngressProfile": ("gatewayAPI",),
    "ManagedClusterIngressProfileWebAppRouting": ("gatewayAPIImplementations",),
    "ManagedClusterManagedOutboundIPProfile": ("countIPv6",),
    "ManagedClusterNATGatewayProfile": ("sku", "outboundIPPrefixes", "outboundIPs"),
    "ManagedClusterProperties": ("enableFIPS", "schedulerProfile", "hostedSystemProfile"),
    "ManagedClusterSecurityProfile": ("kubernetesResourceObjectEncryptionProfile",),
    "ManagedClusterSecurityProfileDefender": ("securityGating",),
    "ScaleProfile": ("autoscale",),
}


@dataclass(frozen=True)
class Further:
    """A property that replies have although no published api-version has it there, or only a preview, and why."""

    definition: str
    property: str
    why: str
    schema: Mapping[str, Any]


_OURS = "what this service says about the generation, in every reply about it (docs/compatibility.md)"
_TOLD = {"type": "object", "properties": {"poolwright": {"type": "object"}}, "additionalProperties": False}
FURTHER = (
    Further("ManagedClusterAgentPoolProfileProperties", "poolwright", _OURS, {"type": "object"}),
    Further(
        "ManagedClusterAgentPoolProfileProperties",
        "vmGeneration",
        "the stored wish (docs/compatibility.md); azure-2026 does not know it and keeps whatever was sent",
        {},
    ),
    Further(
        "ManagedClusterAgentPoolProfileProperties",
        "vpmemMiB",
        "the persistent memory asked for (docs/compatibility.md); azure-2026 keeps whatever was sent",
        {},
    ),
    Further("MachineProperties", "poolwright", _OURS, {"type": "object"}),
    Further("MachineProperties", "nodeImageVersion", "of api-version 2026-08-02-preview", {"type": "string"}),
    Further("SnapshotProperties", "poolwright", _OURS, {"type": "object"}),
    Further("OperationStatusResult", "properties", "how far an operation is, below `poolwright`", _TOLD),
    Further(
        "ResourceSkuZoneDetails",
        "Name",
        "Compute's own replies spell it so; an import keeps what Compute said",
        {"type": "array", "items": {"type": "string"}},
    ),
)


class NotAsPublished(AssertionError):
    """A reply is not one that Azure's definitions have."""


@dataclass(frozen=True)
class Operation:
    """One operation of the definitions; `responses` gives the definition of a status's body, or None for no body."""

    name: str
    method: str
    path: str
    responses: Mapping[int, str | None]


@dataclass(frozen=True)
class _Problem:
    """One place that does not fit; `unknown` are the properties that the definition does not have there."""

    place: str
    message: str
    unknown: frozenset[str] = frozenset()


def require_valid(document: Any, definition: str) -> None:
    """Fail, naming every place, unless the document fits the definition and has no null outside `poolwright`."""
    _require_none(_problems(document, definition), definition, frozenset())


def check(method: str, url: str, status: int, content: bytes, sent: Set[str] | None = frozenset()) -> str | None:
    """Return the operation that a reply is of, None where the definitions have none. Raises `NotAsPublished`.

    `sent` are the names of all properties that clients ever sent, None where that is not known: those that nobody knows
    are kept and come back.
    """
    path = urlsplit(url).path
    operation = operation_of(method, path)
    try:
        if status >= 400:
            if method != "HEAD" and re.match("/+(subscriptions|_poolwright)", path, re.IGNORECASE):
                _require_body(content, "ErrorResponse", frozenset())
        elif operation is not None:
            if status not in operation.responses:
                raise NotAsPublished(f"the status is none of {sorted(operation.responses)}")
            _require_body(content, operation.responses[status], sent)
    except NotAsPublished as problem:
        name = operation.name if operation is not None else "any operation"
        raise NotAsPublished(f"{method} {url} ({name}) answered {status}: {problem}") from None
    return operation.name if operation is not None else None


@cache
def operations() -> tuple[Operation, ...]:
    """Every operation of the definitions."""
    return tuple(
        Operation(
            described["operationId"],
            method.upper(),
            path,
            {
                int(status): response.get("schema", {}).get("$ref", "").rpartition("/")[2] or None
                for status, response in described["responses"].items()
                if status != "default"
            },
        )
        for file in FILES
        for path, methods in json.loads((SPEC / file).read_text()).get("paths", {}).items()
        for method, described in methods.items()
    )


@lru_cache(maxsize=4096)
def operation_of(method: str, path: str) -> Operation | None:
    """Return the operation at a path, in whatever case it is written, None where there is none."""
    folded = re.sub("/+", "/", unquote(path)).lower()
    return next((found for pattern, found in _patterns() if found.method == method and pattern.fullmatch(folded)), None)


@cache
def _patterns() -> list[tuple[re.Pattern[str], Operation]]:
    return [(re.compile(re.sub(r"\{\w+\}", "[^/]+", found.path.lower())), found) for found in operations()]


def _require_body(content: bytes, definition: str | None, sent: Set[str] | None) -> None:
    if definition is not None:
        _require_none(_problems_of(content, definition), definition, sent)
    elif content:
        raise NotAsPublished(f"it has a body: {content[:200]!r}")


def _require_none(problems: Sequence[_Problem], definition: str, sent: Set[str] | None) -> None:
    left = [
        f"{found.place}: {found.message}"
        for found in problems
        if not found.unknown or (sent is not None and found.unknown - sent)
    ]
    if left:
        raise NotAsPublished(f"not a {definition}: {left}")


# Most replies of a test are ones it had before: a poll, a list of sizes.
@lru_cache(maxsize=1024)
def _problems_of(content: bytes, definition: str) -> tuple[_Problem, ...]:
    try:
        document = json.loads(content)
    except ValueError:
        return (_Problem("", f"no JSON: {content[:200]!r}"),)
    return _problems(document, definition)


def _problems(document: Any, definition: str) -> tuple[_Problem, ...]:
    return (
        *map(_problem, _validator(definition).iter_errors(document)),
        *(_Problem(place, "null") for place in _nulls(document, "")),
    )


def _problem(error: ValidationError) -> _Problem:
    unknown: frozenset[str] = frozenset()
    if error.validator == "additionalProperties" and error.validator_value is False:
        unknown = frozenset(error.instance) - frozenset(error.schema["properties"])
    return _Problem("/".join(str(part) for part in error.absolute_path), error.message[:200], unknown)


@cache
def _validator(definition: str) -> Draft7Validator:
    definitions = _closed_definitions()
    assert definition in definitions, definition
    return Draft7Validator(
        {"definitions": definitions, "$ref": f"#/definitions/{definition}"}, format_checker=_formats()
    )


@cache
def _closed_definitions() -> dict[str, Any]:
    """The definitions, each with all its inherited properties and no others, except where it says what others are."""
    raw: dict[str, Any] = {}
    for file in FILES:
        for name, definition in json.loads((SPEC / file).read_text()).get("definitions", {}).items():
            assert name not in raw, name
            raw[name] = definition
    for name, values in OTHER_VERSIONS.items():
        raw[name]["enum"] += values
    for name, later in LATER.items():
        assert not raw[name]["properties"].keys() & set(later), name
        raw[name]["properties"] |= {property: {} for property in later}
    for further in FURTHER:
        properties = raw[further.definition]["properties"]
        assert further.property not in properties, further
        properties[further.property] = further.schema
    return {name: _closed(definition, raw) for name, definition in raw.items()}


def _closed(definition: dict[str, Any], raw: Mapping[str, Any]) -> dict[str, Any]:
    whole = {name: value for name, value in definition.items() if name != "allOf"}
    for part in definition.get("allOf", ()):
        inherited = _closed(raw[part["$ref"].rpartition("/")[2]], raw)
        whole["properties"] = inherited["properties"] | whole.get("properties", {})
        whole["required"] = [*inherited.get("required", ()), *whole.get("required", ())]
    if whole.get("properties"):
        whole.setdefault("additionalProperties", False)
    return whole


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
