"""The sections of a template as they were sent: objects, and not more than ARM takes.

Invariant: everything here looks at JSON and evaluates nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from poolwright import errors

Json = dict[str, Any]

# ARM's own limits: https://learn.microsoft.com/azure/azure-resource-manager/templates/best-practices#template-limits
MAX_PARAMETERS: Final = 256
MAX_VARIABLES: Final = 256
MAX_OUTPUTS: Final = 64
MAX_NESTING: Final = 8
_NOT_OFFERED: Final = ("extensions", "imports", "asserts")


def require_template(template: Json, depth: int) -> None:
    """Raise `InvalidTemplate` for a template that lacks what all have, or has more than ARM takes.

    `depth` is how many deployments it is within.
    """
    if depth > MAX_NESTING:
        raise refused(f"Deployments are nested deeper than {MAX_NESTING} levels.", "resources")
    if "resources" not in template:
        raise refused("The template has no section 'resources'.", "resources")
    for name, most in (("parameters", MAX_PARAMETERS), ("variables", MAX_VARIABLES), ("outputs", MAX_OUTPUTS)):
        if len(required_object(template.get(name) or {}, name)) > most:
            raise refused(f"The number of template {name} exceeds the limit of {most}.", name)
    for name in ("parameters", "outputs", "definitions"):
        for each, part in section(template, name).items():
            required_object(part, f"{name}.{each}")
    for name in _NOT_OFFERED:
        if template.get(name):
            raise refused(f"The template section '{name}' is not one this service knows.", name)


def section(holder: Mapping[str, Any], name: str) -> Json:
    """Return the object of that name within another, an empty one when there is none."""
    found = holder.get(name)
    return found if isinstance(found, dict) else {}


def required_object(part: Any, place: str) -> Json:
    """Return the JSON, which is to be an object. Raises `InvalidRequestContent`."""
    if not isinstance(part, dict):
        raise errors.InvalidRequestContent(
            f"The request content was invalid and could not be deserialized: '{place}' is not an object.",
            target=place,
            remedy="send an object there",
        )
    return part


def refused(message: str, place: str) -> errors.InvalidTemplate:
    """Return the refusal of a template, in ARM's words for it."""
    return errors.InvalidTemplate(
        f"Deployment template validation failed: '{message}'.", target=place, remedy="correct the template"
    )
