"""What does not fit a model, in the words of who wrote it: the place, what stands there, and what is expected.

Invariant: a kind of misfit without a row here is told in the words of the library that found it, with its place.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final, NamedTuple, get_args

from pydantic import BaseModel, ValidationError

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

Place = tuple[str | int, ...]
_LONGEST_SHOWN: Final = 60
_A_MAPPING: Final = "a mapping"

# What is expected, by what pydantic calls the misfit; the words may name its limits.
# Source: https://docs.pydantic.dev/latest/errors/validation_errors/
_EXPECTED: Final = {
    "string_type": "a text",
    "string_too_short": "a text of at least {min_length} character(s)",
    "string_too_long": "a text of at most {max_length} characters",
    "string_pattern_mismatch": "a text of the form {pattern}",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "list_type": "a list",
    "tuple_type": "a list",
    "frozen_set_type": "a list",
    "set_type": "a list",
    "too_short": "at least {min_length} of them",
    "too_long": "at most {max_length} of them",
    "dict_type": _A_MAPPING,
    "mapping_type": _A_MAPPING,
    "model_type": _A_MAPPING,
    "dataclass_type": _A_MAPPING,
    "greater_than": "a number above {gt}",
    "greater_than_equal": "a number from {ge} on",
    "less_than": "a number below {lt}",
    "less_than_equal": "a number up to {le}",
    "enum": "{expected}",
    "literal_error": "{expected}",
    "uuid_parsing": "a GUID",
    "none_required": "nothing",
}
_UNKNOWN_NAMES: Final = ("extra_forbidden", "unexpected_keyword_argument")


class Misfit(NamedTuple):
    """One value that does not fit."""

    place: Place
    what: str


def misfits(
    error: ValidationError, model: type[BaseModel] | None = None, expected: Mapping[str, str] | None = None
) -> Iterator[Misfit]:
    """Yield everything that did not fit.

    `model` is what was to be read, where its names can help; `expected` has better words for the values of some
    names: of the whole by "", of the entries of a list by `name[]`.
    """
    for each in error.errors(include_url=False):
        yield _misfit(each, model, expected or {})


def shown(value: object) -> str:
    """Return a value in a sentence; not what is inside of it."""
    match value:
        case dict():
            return _A_MAPPING
        case list() | tuple():
            return "a list"
        case None | "":
            return "nothing"
        case bool():
            return str(value).lower()
    text = repr(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[: _LONGEST_SHOWN - 3]}..."


def _misfit(error: ErrorDetails, model: type[BaseModel] | None, better: Mapping[str, str]) -> Misfit:
    place = tuple(error["loc"])
    last = str(place[-1]) if place else ""
    if error["type"] in _UNKNOWN_NAMES:
        known = _names_at(model, place[:-1])
        near = get_close_matches(last, known, n=1)
        hint = f"; did you mean {near[0]}?" if near else f"; there are {', '.join(known)}" if known else ""
        return Misfit(place, f"there is no such member{hint}")
    if error["type"] in ("missing", "missing_argument"):
        return Misfit(place, f"it is missing{f'; expected is {better[last]}' if last in better else ''}")
    if error["type"] == "value_error":
        return Misfit(place, str(error.get("ctx", {}).get("error", error["msg"])))
    words = better.get(last if not place or isinstance(place[-1], str) else f"{place[-2]}[]")
    if words is None and (row := _EXPECTED.get(error["type"])) is not None:
        words = row.format_map(error.get("ctx", {}))
        if error["type"] == "string_type" and isinstance(error["input"], int | float):
            words += ", in quotes"
    if words is None:
        return Misfit(place, f"{shown(error['input'])} stands there; {error['msg'][:1].lower()}{error['msg'][1:]}")
    return Misfit(place, f"{shown(error['input'])} stands there; expected is {words}")


def _names_at(model: type[BaseModel] | None, place: Place) -> tuple[str, ...]:
    """The names that the object at a place of the model may have; none where that is not known."""
    for part in place:
        if model is not None and isinstance(part, str):
            field = next((each for name, each in model.model_fields.items() if part in (name, each.alias)), None)
            model = _model_in(field.annotation) if field is not None else None
    return tuple(field.alias or name for name, field in model.model_fields.items()) if model is not None else ()


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The model of a value, or of the entries of a list of them."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _model_in(part)) is not None), None)
