"""The JSON documents of the API, by name: what a request takes and what a reply has.

The rows of the table of operations name them, and `openapi.py` publishes them. What a request takes is the schema of
the pydantic model that reads it, wherever a model does.

Invariant: a document has one name, and a name one document.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from pydantic import BaseModel

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Document:
    """A name, and what makes the JSON schema; where another document stands in that, it is referred to by name."""

    name: str
    schema: Callable[[], Json]


TEXT: Final[Json] = {"type": "string"}
COUNT: Final[Json] = {"type": "integer", "minimum": 0}
FLAG: Final[Json] = {"type": "boolean"}
TIME: Final[Json] = {"type": "string", "format": "date-time"}
GENERATION: Final[Json] = {"enum": ["V1", "V2"]}
ANYTHING: Final[Json] = {"type": "object"}
TAGS: Final[Json] = {"type": "object", "additionalProperties": TEXT}


def an_object(required: Mapping[str, Any], optional: Mapping[str, Any] | None = None) -> Json:
    """Return the schema of an object that has these members; there may be others."""
    schema = {"type": "object", "properties": {**required, **(optional or {})}}
    return schema | ({"required": [*required]} if required else {})


def list_of(part: Any) -> Json:
    """Return the schema of a list of such."""
    return {"type": "array", "items": part}


def or_null(part: Json) -> Json:
    """Return the schema of such a value, or none."""
    return {"anyOf": [part, {"type": "null"}]}


def document(name: str, required: Mapping[str, Any], optional: Mapping[str, Any] | None = None) -> Document:
    """Return a document with these members."""
    return Document(name, lambda: an_object(required, optional))


def document_of(name: str, model: type[BaseModel], **instead: Any) -> Document:
    """Return the document that a model reads; `instead` has what is described better elsewhere, by property."""

    def schema() -> Json:
        made = model.model_json_schema()
        made["properties"] |= instead
        return made

    return Document(name, schema)


def resource(name: str, properties: Any = ANYTHING, optional: Mapping[str, Any] | None = None) -> Document:
    """Return the document of a resource as ARM shows it."""
    return document(name, {"id": TEXT, "name": TEXT, "type": TEXT, "properties": properties}, optional)


@cache
def listing(part: Document) -> Document:
    """Return the document of a list of such, as ARM lists them."""
    return document(f"{part.name}List", {"value": list_of(part)}, {"nextLink": TEXT})


ERROR_DETAIL: Final[Document] = Document(
    "ErrorDetail",
    lambda: an_object(
        {"code": TEXT, "message": TEXT},
        {
            "target": TEXT,
            "details": list_of(ERROR_DETAIL),
            "additionalInfo": list_of(an_object({"type": TEXT, "info": ANYTHING})),
        },
    ),
)
ERROR: Final = document("Error", {"error": ERROR_DETAIL})
RULE: Final = document("Rule", {"id": TEXT, "text": TEXT, "source": TEXT})
WARNING: Final = document("Warning", {"code": TEXT, "message": TEXT})
