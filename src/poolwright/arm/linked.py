"""What a resource is made from, which its caller must be able to read: ARM's linked scopes.

Invariant: nothing that a caller may not read gets into what it makes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from poolwright import errors

# Anything else is no resource ID, and is refused as such.
_RESOURCE: Final = "/subscriptions/"


def sources_of(body: object) -> Iterator[str]:
    """Yield the IDs of what a body says that something is made from (`creationData.sourceResourceId`), at any depth."""
    if isinstance(body, list):
        for part in body:
            yield from sources_of(part)
    if isinstance(body, dict):
        for name, part in body.items():
            if name.lower() == "creationdata" and isinstance(part, dict):
                found = (value for key, value in part.items() if key.lower() == "sourceresourceid")
                yield from (value for value in found if isinstance(value, str) and value.lower().startswith(_RESOURCE))
            else:
                yield from sources_of(part)


def not_linked(object_id: str, action: str, source: str) -> errors.LinkedAuthorizationFailed:
    """Return the refusal of a change that is made from something its caller may not read, in ARM's words."""
    return errors.LinkedAuthorizationFailed(
        f"The client with object id '{object_id}' has permission to perform the change; however, it does not have "
        f"permission to perform action(s) '{action}' on the linked scope(s) '{source}' (respectively) or the linked "
        "scope(s) are invalid.",
        target="properties.creationData.sourceResourceId",
        remedy="an Owner assigns a role: az role assignment create",
    )
