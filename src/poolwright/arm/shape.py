"""Reads parts of JSON documents that somebody else wrote.

Invariant: a part is of the kind asked for, or absent (as is a null), or `Misshapen` names its place.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class Misshapen(ValueError):
    """A part of a document is not of the kind it must be; `place` is its path."""

    def __init__(self, place: str, expected: str) -> None:
        super().__init__(expected)
        self.place = place
        self.expected = expected


def text_in(document: Mapping[str, Any], name: str, place: str = "", *, default: str | None = None) -> str:
    """Return a text; `default`, where there is one, for an absent one."""
    value = document.get(name)
    if value is None and default is not None:
        return default
    if not isinstance(value, str) or (not value and default is None):
        raise Misshapen(_at(place, name), "it is no text" if value is not None else "it is missing")
    return _unicode(value, _at(place, name))


def object_in(document: Mapping[str, Any], name: str, place: str = "") -> Mapping[str, Any]:
    """Return an object, empty for an absent one."""
    value = document.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Misshapen(_at(place, name), "it is no object")
    return value


def listed_in(document: Mapping[str, Any], name: str, place: str = "") -> list[tuple[Mapping[str, Any], str]]:
    """Return the objects of a list, none for an absent one, each with its place."""
    value = document.get(name)
    if value is None:
        return []
    here = _at(place, name)
    if not isinstance(value, list):
        raise Misshapen(here, "it is no list")
    for index, part in enumerate(value):
        if not isinstance(part, dict):
            raise Misshapen(f"{here}[{index}]", "it is no object")
    return [(part, f"{here}[{index}]") for index, part in enumerate(value)]


def texts_in(document: Mapping[str, Any], name: str, place: str = "") -> list[str]:
    """Return the texts of a list, none for an absent one."""
    value = document.get(name)
    if value is None:
        return []
    here = _at(place, name)
    if not isinstance(value, list):
        raise Misshapen(here, "it is no list")
    for index, part in enumerate(value):
        if not isinstance(part, str):
            raise Misshapen(f"{here}[{index}]", "it is no text")
        _unicode(part, f"{here}[{index}]")
    return value


def _unicode(text: str, place: str) -> str:
    """The text, unless it has half of a character: JSON can escape what UTF-8 cannot say."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise Misshapen(place, "it has half of a surrogate pair") from error
    return text


def _at(place: str, name: str) -> str:
    return f"{place}.{name}" if place else name
