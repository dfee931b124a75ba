"""What the PUT of a deployment asks for, read off its body.

Invariant: whatever would have to be fetched, or would delete what is not named, is refused here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from poolwright import errors
from poolwright.domain.tags import require_tags
from poolwright.templates.sections import Json, required_object


@dataclass(frozen=True, slots=True)
class Requested:
    """What a PUT of a deployment asks for."""

    template: Json
    parameters: Json
    location: str | None = None
    tags: Mapping[str, Any] | None = None
    checks_resources: bool = True
    only_ids: bool = False
    # The parameters that a surrounding deployment gives secure values, whatever the template calls their type.
    secure: frozenset[str] = frozenset()


def requested(body: Mapping[str, Any]) -> Requested:
    """Return what a deployment's body asks for. Raises `InvalidRequestContent` or `InvalidParameter`."""
    properties = required_object(body.get("properties"), "properties")
    mode = properties.get("mode") or "Incremental"
    if str(mode).lower() != "incremental":
        raise errors.InvalidParameter(
            f"The deployment mode '{mode}' is not offered: Complete deletes what the template does not name.",
            target="properties.mode",
            remedy="use mode Incremental, and delete what is not wanted by name",
        )
    for name in ("templateLink", "parametersLink", "onErrorDeployment"):
        if properties.get(name) is not None:
            raise errors.InvalidParameter(
                f"The property '{name}' of a deployment is not offered: this service fetches nothing and repeats "
                "nothing by itself.",
                target=f"properties.{name}",
                remedy="send template and parameters in the request",
            )
    settings = properties.get("whatIfSettings") or {}
    level = str(properties.get("validationLevel") or "Provider")
    location = body.get("location")
    if location is not None and not isinstance(location, str):
        raise errors.InvalidRequestContent(
            "The request content was invalid and could not be deserialized: 'location' is not a string.",
            target="location",
            remedy="send a string there",
        )
    tags = required_object(body.get("tags") or {}, "tags")
    require_tags(tags)
    return Requested(
        template=required_object(properties.get("template"), "properties.template"),
        parameters=required_object(properties.get("parameters") or {}, "properties.parameters"),
        location=location,
        tags=tags,
        checks_resources=level.lower() != "template",
        only_ids=str(required_object(settings, "properties.whatIfSettings").get("resultFormat")).lower()
        == "resourceidonly",
    )
