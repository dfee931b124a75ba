"""What a resource is made from, which its caller must be able to read: ARM's linked scopes.

Invariant: nothing that a caller may not read gets into what it makes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from poolwright import errors
from poolwright.domain.resource_id import ResourceId

SOURCE: Final = "properties.creationData.sourceResourceId"


def sources_of(body: object) -> Iterator[ResourceId]:
    """Yield the IDs of what a body says that something is made from (`creationData.sourceResourceId`), at any depth.

    What is no ID is left out: it is read by the same parser later, and refused.
    """
    if isinstance(body, list):
        for part in body:
            yield from sources_of(part)
    if isinstance(body, dict):
        for name, part in body.items():
            if name.lower() == "creationdata" and isinstance(part, dict):
                named = (value for key, value in part.items() if key.lower() == "sourceresourceid")
                found = (ResourceId.parse(value) for value in named if isinstance(value, str))
                yield from (identifier for identifier in found if identifier is not None)
            else:
                yield from sources_of(part)


def not_linked(
    object_id: str, action: str, source: ResourceId, target: str = SOURCE
) -> errors.LinkedAuthorizationFailed:
    """Return the refusal of a change that is made from something its caller may not read, in ARM's words."""
    return errors.LinkedAuthorizationFailed(
        f"The client with object id '{object_id}' has permission to perform the change; however, it does not have "
        f"permission to perform action(s) '{action}' on the linked scope(s) '{source}' (respectively) or the linked "
        "scope(s) are invalid.",
        target=target,
        remedy="an Owner assigns a role: az role assignment create",
    )
