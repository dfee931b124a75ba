"""What the fleet commands give: values that are JSON documents at the same time.

Invariant: a document is immutable, its JSON has ARM's kind of names (`vmSize`), and a member that is not known here is
refused, so that a plan nobody understands is never carried out in part.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class Document(BaseModel):
    """An object of a document."""

    model_config = ConfigDict(
        alias_generator=to_camel, validate_by_name=True, serialize_by_alias=True, frozen=True, extra="forbid"
    )


def schema(kind: type[Document], title: str) -> dict[str, Any]:
    """Return the JSON schema of a document as it is written."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **kind.model_json_schema(by_alias=True, mode="serialization"),
        "title": title,
    }


class Place(Document):
    """Where an export says it: the file, the line from 1 (0: the whole file), and the path in the document."""

    file: str
    line: int
    path: str


class Finding(Document):
    """Something a rule found: what it is, what can be done about it, and where the rule is written."""

    id: str
    message: str
    remedy: str
    source: str
