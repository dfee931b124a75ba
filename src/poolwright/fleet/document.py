"""What the fleet commands give: plain values that are JSON documents at the same time.

Invariant: a document is immutable, its JSON has ARM's kind of names (`vmSize`), and a member that is not known here is
refused, so that a plan nobody understands is never carried out in part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from functools import partial
from typing import Any, TypeVar

D = TypeVar("D", bound="Document")


def member_name(name: str) -> str:
    """Return what a field is called in JSON."""
    first, *others = name.split("_")
    return first + "".join(other.capitalize() for other in others)


class Document:
    """An object of a document: a dataclass, whose JSON pydantic reads and writes.

    Values and not models, because a plan of a large fleet has a quarter of a million of them.
    """

    __slots__ = ()
    __pydantic_config__ = {"alias_generator": member_name, "validate_by_name": True, "extra": "forbid"}  # noqa: RUF012 - pydantic reads a dict


@dataclass(frozen=True, slots=True, kw_only=True)
class Place(Document):
    """Where an export says it: the file, the line from 1 (0: the whole file), and the path in the document."""

    file: str
    line: int
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding(Document):
    """Something a rule found: what it is, what can be done about it, and where the rule is written."""

    id: str
    message: str
    remedy: str
    source: str

    @property
    def advice(self) -> str:
        """What was found and what can be done, apart also where somebody's own words end without a stop."""
        stop = "" if self.message.rstrip().endswith((".", "!", "?")) else "."
        return f"{self.message.rstrip()}{stop} {self.remedy}".strip()


def json_of(document: Document, *, indent: int | None = None) -> bytes:
    """Return the document as JSON."""
    return _written(lambda: _adapter(type(document)).dump_json(document, by_alias=True, indent=indent))


def _written(write: Callable[[], bytes]) -> bytes:
    """What it writes. Raises `KeyboardInterrupt` after Ctrl-C, of which pydantic makes a failure of its own.

    Nothing but its text tells that failure from others; what was only interrupted succeeds the second time.
    """
    from pydantic_core import PydanticSerializationError

    try:
        return write()
    except PydanticSerializationError as error:
        write()
        raise KeyboardInterrupt from error


def json_pieces(document: Document) -> Iterator[bytes]:
    """Yield the document as indented JSON, one element of its lists at a time: the whole text is never in memory."""
    from pydantic_core import to_json

    for number, part in enumerate(fields(document)):  # type: ignore[arg-type] # every document is a dataclass
        value = getattr(document, part.name)
        yield b'%s  "%s": ' % (b",\n" if number else b"{\n", member_name(part.name).encode())
        if isinstance(value, tuple) and value and isinstance(value[0], Document):
            for index, element in enumerate(value):
                # A text in JSON has no line breaks of its own.
                lines = json_of(element, indent=2).replace(b"\n", b"\n    ")
                yield b"%s    %s" % (b",\n" if index else b"[\n", lines)
            yield b"\n  ]"
        else:
            yield _written(partial(to_json, value, indent=2)).replace(b"\n", b"\n  ")
    yield b"\n}\n"


def document_of(kind: type[D], text: str | bytes) -> D:
    """Return the document that the JSON is. Raises `ValueError` for any other."""
    document: D = _adapter(kind).validate_json(text, by_alias=True, by_name=False)
    return document


def schema(kind: type[Document], title: str) -> dict[str, Any]:
    """Return the JSON schema of a document as it is written."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **_adapter(kind).json_schema(by_alias=True, mode="serialization"),
        "title": title,
    }


def _adapter(kind: type[Document]) -> Any:
    from pydantic import TypeAdapter

    if kind not in _ADAPTERS:
        _ADAPTERS[kind] = TypeAdapter(kind)
    return _ADAPTERS[kind]


_ADAPTERS: dict[type[Document], Any] = {}
