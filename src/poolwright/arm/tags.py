"""The body of a PATCH that changes tags, which is the same for clusters, snapshots and resource groups.

Invariant: a PATCH of tags refuses what it would not do.
"""

from __future__ import annotations

from poolwright import errors
from poolwright.arm.sent import Json, Sent, checked, without
from poolwright.domain.tags import require_tags


class TagsBody(Sent):
    tags: dict[str, str | None] | None = None


def decode_tags(body: Json) -> dict[str, str]:
    """Return the tags of a PATCH, which replace those there are. Raises `InvalidParameter` for anything else in it."""
    model = checked(TagsBody, body, "")
    require_tags(model.tags)
    others = without(model.model_extra or {}, ("id", "name", "type", "properties"))
    if others:
        raise errors.InvalidParameter(
            f"A PATCH changes tags only; it has {', '.join(sorted(others)[:5])} as well.",
            target=min(others),
            remedy="send the whole resource in a PUT to change something else",
        )
    return {name: value for name, value in (model.tags or {}).items() if value is not None}
