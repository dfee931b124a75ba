"""Reading what clients send, for every resource: strict about types, open for unknown properties.

Names of properties and enum values are compared without case, as Azure does; `""` means not given; secrets
and nulls are dropped.

Invariant: a wrong body is refused with one error that names every wrong value, and never repeats a secret.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Annotated, Any, Final, TypeVar

import orjson
from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError, model_validator
from pydantic_core import ErrorDetails

from poolwright import errors

MAX_DEPTH: Final = 64
MAX_PROBLEMS: Final = 100

Json = dict[str, Any]
M = TypeVar("M", bound=BaseModel)

_SECRETS: Final = frozenset({"adminpassword", "secret", "clientsecret", "serverappsecret", "password"})
HOLD_SECRETS: Final = _SECRETS | {"windowsprofile", "serviceprincipalprofile", "aadprofile"}
_KINDS: Final = {
    str: "a string",
    int: "a number",
    float: "a number",
    bool: "a boolean",
    dict: "an object",
    list: "a list",
}
# The names in these are the user's own, not Azure's.
_USERS_NAMES: Final = frozenset({"tags", "nodelabels"})
# What ARM itself says of a resource; read-only in every body.
IDENTITY: Final = ("id", "name", "type", "eTag", "systemData")


def _blank_is_none(value: object) -> object:
    return None if value == "" else value


def spelled(*choices: str) -> BeforeValidator:
    """Azure compares enum values without case; the answer has Azure's own spelling."""
    known = {choice.lower(): choice for choice in choices}

    def spell(value: object) -> object:
        if value == "":
            return None
        return known.get(value.lower(), value) if isinstance(value, str) else value

    return BeforeValidator(spell)


BLANK_IS_NONE: Final = BeforeValidator(_blank_is_none)
Text = Annotated[str | None, BLANK_IS_NONE]


class Sent(BaseModel):
    """Strict about types, open for unknown properties."""

    model_config = ConfigDict(extra="allow", strict=True)

    @model_validator(mode="before")
    @classmethod
    def _in_azure_spelling(cls, value: object) -> object:
        """`osSku` means `osSKU`; where both are sent, the exact one counts."""
        if not isinstance(value, dict):
            return value
        known = _names_without_case(cls)
        spelled = {known.get(name.lower(), name): part for name, part in value.items()}
        return spelled | {name: part for name, part in value.items() if name in cls.model_fields}


@cache
def _names_without_case(model: type[BaseModel]) -> dict[str, str]:
    return {name.lower(): name for name in model.model_fields}


def parse_body(raw: bytes) -> Json:
    """Return the JSON object of a request body. Raises `InvalidRequestContent`."""
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise errors.InvalidRequestContent(
            f"The request content was invalid and could not be deserialized: '{error}'.",
            remedy="send a JSON object in UTF-8",
        ) from error
    if not isinstance(body, dict):
        raise errors.InvalidRequestContent(
            "The request content was invalid and could not be deserialized: 'a JSON object is expected'.",
            remedy="send a JSON object",
        )
    if _depth_exceeds(body, MAX_DEPTH):
        raise errors.InvalidRequestContent(
            f"The request content is nested deeper than {MAX_DEPTH} levels.", remedy="send a flatter body"
        )
    return body


def as_sent(model: BaseModel) -> Json:
    """Return what was sent, unknown properties too, with names and enums in Azure's spelling."""
    return model.model_dump(exclude_unset=True)


def checked(model: type[M], body: Json, path: str) -> M:
    """Return the body as the model has it. Raises one `InvalidParameter` that names every wrong value below `path`."""
    try:
        return model.model_validate(body)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False)[:MAX_PROBLEMS]
        raise wrong([(_place(path, problem), _what(problem)) for problem in found]) from error


def _place(path: str, problem: ErrorDetails) -> str:
    for part in problem["loc"]:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else part
    return path


def _what(problem: ErrorDetails) -> str:
    # Where an object with a secret belongs, a text may be the secret.
    if any(str(part).lower() in HOLD_SECRETS for part in problem["loc"]):
        return f"{problem['msg']}, got {_KINDS.get(type(problem['input']), 'something else')}"
    match problem["type"]:
        case "missing":
            return "it is required"
        case "model_type" | "dict_type":
            return f"an object is expected, got {in_words(problem['input'])}"
    return f"{problem['msg']}, got {in_words(problem['input'])}"


def wrong(problems: Sequence[tuple[str, str]]) -> errors.PoolwrightError:
    """Return one error for these places and what is wrong with each."""
    made = [
        errors.InvalidParameter(
            f"The value of parameter {place} is invalid: {what}.", target=place, remedy="correct the value"
        )
        for place, what in dict(problems).items()
    ]
    return errors.joined(made)


def in_words(value: object) -> str:
    """Return the value for a message; not what is inside an object or a list, which may be a secret."""
    if isinstance(value, (dict, list)):
        return "an object" if isinstance(value, dict) else "a list"
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def without(properties: Mapping[str, Any], names: Sequence[str]) -> Json:
    """Return the properties except those, whatever their case."""
    unwanted = {name.lower() for name in names}
    return {name: value for name, value in properties.items() if name.lower() not in unwanted}


def kept(model: BaseModel, *left_out: str) -> Json:
    """Return what to keep of what was sent: no nulls, no secrets, nothing that ARM says of a resource itself."""
    cleaned: Json = clean(without(as_sent(model), (*IDENTITY, *left_out)))
    return cleaned


def without_secrets(body: Json) -> Json:
    """Return a body without what is dropped on the way in: secrets and nulls."""
    return dict(clean(body))


def clean(value: Any, *, is_named_by_user: bool = False) -> Any:
    """Return the value without nulls and secrets, at every depth."""
    if isinstance(value, dict):
        return {
            name: clean(part, is_named_by_user=name.lower() in _USERS_NAMES)
            for name, part in value.items()
            if part is not None and (is_named_by_user or name.lower() not in _SECRETS)
        }
    if isinstance(value, list):
        return [clean(part) for part in value if part is not None]
    return value


def _depth_exceeds(value: object, limit: int) -> bool:
    layer: list[object] = [value]
    for _ in range(limit):
        layer = [
            part
            for item in layer
            if isinstance(item, (dict, list))
            for part in (item.values() if isinstance(item, dict) else item)
        ]
        if not layer:
            return False
    return True
