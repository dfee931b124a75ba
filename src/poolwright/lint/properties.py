"""Properties of a node pool by their paths, with what is unknown in them.

Invariant: nothing is decided here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from poolwright.lint.pools import Json
from poolwright.templates.partial import Unknown, holds_unknown

ABSENT: Final = object()
# Properties that are only right or wrong together: where one is unknown, the others say nothing.
_TOGETHER: Final = (("enableAutoScaling", "count", "minCount", "maxCount"), ("upgradeSettings",))


def without(properties: Json, name: str) -> Json:
    """Return the properties without one."""
    return {key: value for key, value in properties.items() if key != name}


def known_part(value: Any) -> Any:
    """Return the value without what is unknown; of properties that belong together none, where one is unknown."""
    if isinstance(value, dict):
        left_out = {
            name for group in _TOGETHER if any(holds_unknown(value.get(each)) for each in group) for name in group
        }
        return {
            name: known_part(part)
            for name, part in value.items()
            if not isinstance(part, Unknown) and name not in left_out
        }
    if isinstance(value, list):
        return [] if holds_unknown(value) else value
    return value


def value_at(properties: Mapping[str, Any], path: str) -> Any:
    """Return what stands at a path (`securityProfile.enableVTPM`): `Unknown` below one, `ABSENT` where nothing is."""
    value: Any = properties
    for name in path.split("."):
        if isinstance(value, Unknown):
            return value
        if not isinstance(value, Mapping) or value.get(name) is None:
            return ABSENT
        value = value[name]
    return value


def put(properties: Json, path: str, value: Any) -> None:
    """Let the value stand at a path; `ABSENT` takes away what is there."""
    *around, name = path.split(".")
    for part in around:
        if not isinstance(properties.get(part), dict):
            properties[part] = {}
        properties = properties[part]
    if value is ABSENT:
        properties.pop(name, None)
    else:
        properties[name] = value


def sizes_of(properties: Json) -> list[str]:
    """Return the sizes that are known, each once."""
    profiles = value_at(properties, "virtualMachinesProfile.scale.manual")
    manual = [part.get("size") for part in profiles if isinstance(part, dict)] if isinstance(profiles, list) else []
    named = [name for name in (properties.get("vmSize"), *manual) if isinstance(name, str) and name]
    return list(dict.fromkeys(named))
