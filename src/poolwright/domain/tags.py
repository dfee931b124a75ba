"""What tags may be: how many, and how long and of which characters their names and values.

Invariant: these rows are about all tags, of whatever they are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from poolwright import errors
from poolwright.domain.kubernetes_version import KubernetesVersion
from poolwright.domain.refusal import RefusalRow
from poolwright.domain.rules import Rule, when

MAX_TAGS: Final = 50
MAX_NAME: Final = 512
MAX_VALUE: Final = 256
_PAGE: Final = "Use tags to organize your Azure resources (tag-resources.md, limitations)"
_RESERVED: Final = re.compile(r"[<>%&\\?/\x00-\x1f\x7f]")
# Azure's own links between resources, as its message about reserved characters says.
_HIDDEN: Final = ("hidden-", "link:")
_NO_VERSION: Final = KubernetesVersion.parse("0.0.0")  # no row looks at it

# Codes and wordings: as Azure PowerShell repeats them (Az.Migrate, which checks tags before it sends them).
TAG_TABLE: Final = (
    RefusalRow(
        Rule("tag-count", f"A resource has at most {MAX_TAGS} tags.", f"{_PAGE}; the wording is ours"),
        when(too_many=True),
        errors.InvalidParameter,
        "tags",
        f"The number of tags is {{count}}, and a resource has at most {MAX_TAGS}.",
        "join some of them: a value may be JSON",
    ),
    RefusalRow(
        Rule("tag-name-blank", "The name of a tag is not blank.", "Azure PowerShell (Az.Migrate)"),
        when(has_blank_name=True),
        errors.InvalidTagName,
        "tags",
        "The tag name must be non-null, non-empty and non-whitespace only. Please provide an actual value.",
        "give the tag a name",
    ),
    RefusalRow(
        Rule("tag-name-length", f"The name of a tag has at most {MAX_NAME} characters.", _PAGE),
        when(has_long_name=True),
        errors.InvalidTagName,
        "tags",
        "Tag key too large. Following tag name '{long_names}' exceeded the maximum length. Maximum allowed length for "
        f"tag name - '{MAX_NAME}' characters.",
        "choose a shorter name",
    ),
    RefusalRow(
        Rule("tag-name-characters", "The name of a tag has none of <>%&\\?/ and no control characters.", _PAGE),
        when(has_reserved_name=True),
        errors.InvalidTagNameCharacters,
        "tags",
        "The tag names '{reserved_names}' have reserved characters '<,>,%,&,\\,?,/' or control characters.",
        "choose a name without them",
    ),
    RefusalRow(
        Rule("tag-value-length", f"The value of a tag has at most {MAX_VALUE} characters.", _PAGE),
        when(has_long_value=True),
        errors.InvalidTagValueLength,
        "tags",
        "Tag value too large. Following tag value '{long_values}' exceeded the maximum length. Maximum allowed length "
        f"for tag value - '{MAX_VALUE}' characters.",
        "choose a shorter value",
    ),
)


@dataclass(frozen=True, slots=True)
class _TagFacts:
    too_many: bool
    has_blank_name: bool
    has_long_name: bool
    has_reserved_name: bool
    has_long_value: bool
    version: KubernetesVersion = _NO_VERSION


def require_tags(tags: Mapping[str, object] | None, target: str = "tags") -> None:
    """Raise one error with all that is wrong with the tags; `target` is the path of the property they stand in."""
    sent = tags or {}
    blank = [name for name in sent if not name.strip()]
    long = [name for name in sent if len(name) > MAX_NAME]
    reserved = [name for name in sent if _RESERVED.search(name) and not name.lower().startswith(_HIDDEN)]
    values = [value for value in sent.values() if isinstance(value, str) and len(value) > MAX_VALUE]
    facts = _TagFacts(len(sent) > MAX_TAGS, bool(blank), bool(long), bool(reserved), bool(values))
    words = {
        "count": len(sent),
        "long_names": _listed(long),
        "reserved_names": _listed(reserved),
        "long_values": _listed(values),
    }
    found = [row.filled(words) for row in TAG_TABLE if row.condition.holds(facts)]
    if found:
        raise errors.joined(
            [
                refusal.error_type(
                    refusal.message,
                    target=target,
                    remedy=refusal.remedy,
                    information={
                        "rule": {"id": refusal.rule.id, "text": refusal.rule.text, "source": refusal.rule.source}
                    },
                )
                for refusal in found
            ]
        )


def _listed(texts: list[str]) -> str:
    """The first few, each cut off where it is long."""
    return ", ".join(text if len(text) <= 60 else f"{text[:57]}..." for text in texts[:5])
