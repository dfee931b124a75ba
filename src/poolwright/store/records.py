"""Domain values as the bytes a `record` column holds, and back.

Invariant: `load(kind, dump(value)) == value` for every kind listed here.
"""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import TypeAdapter

T = TypeVar("T")


_ADAPTERS: dict[type[Any], TypeAdapter[Any]] = {}


def _adapter(kind: type[Any]) -> TypeAdapter[Any]:
    if kind not in _ADAPTERS:
        _ADAPTERS[kind] = TypeAdapter(kind)
    return _ADAPTERS[kind]


def dump(value: object) -> bytes:
    """Return the value as JSON."""
    return _adapter(type(value)).dump_json(value)


def load(kind: type[T], record: bytes) -> T:
    """Return the value of that kind. Raises `pydantic.ValidationError` on a record of another kind."""
    value: T = _adapter(kind).validate_json(record)
    return value
