"""Types of parameters and outputs, and whether a value is of a type.

A type is a plain name with limits, or what bicep writes for its types: `$ref` to a definition, objects with
properties, tuples (`prefixItems`), unions told apart by a `discriminator`, `nullable`.

Sources: https://learn.microsoft.com/azure/azure-resource-manager/templates/parameters and
https://learn.microsoft.com/azure/azure-resource-manager/templates/definitions

Invariant: a message never shows the value of a secure parameter.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeVar

from poolwright import errors
from poolwright.templates.budget import Budget
from poolwright.templates.functions import as_text, found_name, is_equal, type_name

Json = dict[str, Any]

# ARM's name of each type, and the types of JSON it takes.
_TYPES: Final[Mapping[str, tuple[str, str]]] = {
    "string": ("String", "String"),
    "securestring": ("SecureString", "String"),
    "int": ("Int", "Integer"),
    "bool": ("Bool", "Boolean"),
    "object": ("Object", "Object"),
    "secureobject": ("SecureObject", "Object"),
    "array": ("Array", "Array"),
}
_SECURE: Final = frozenset({"securestring", "secureobject"})
_MAX_REFERENCES: Final = 32
_MAX_DEPTH: Final = 32


def resolved(definition: Mapping[str, Any], template: Mapping[str, Any], place: str, budget: Budget) -> Json:
    """Return the definition with its `$ref` replaced by what it means; what stands beside it counts more."""
    current: Json = dict(definition)
    for _ in range(_MAX_REFERENCES):
        budget.charge("steps", 1 + len(current) // 8)
        reference = current.pop("$ref", None)
        if reference is None:
            return current
        found: Any = template
        for segment in str(reference).removeprefix("#/").split("/"):
            name = segment.replace("~1", "/").replace("~0", "~")
            if isinstance(found, list) and name.isdecimal() and int(name) < len(found):
                found = found[int(name)]
            else:
                found = found.get(name) if isinstance(found, dict) else None
        if not isinstance(found, dict) or not str(reference).startswith("#/"):
            raise _invalid(f"The type reference '{reference}' at '{place}' is not valid.", place)
        current = found | current
    raise _invalid(f"The type at '{place}' refers to itself.", place)


def shown_type(definition: Mapping[str, Any], place: str) -> str:
    """Return ARM's name of a resolved type. Raises `InvalidTemplate` for an unknown one."""
    name = str(definition.get("type", "")).lower()
    if name not in _TYPES:
        known = ", ".join(kind for kind, _ in _TYPES.values())
        raise _invalid(f"The type at '{place}' is not valid. Supported types are '{known}'.", place)
    return _TYPES[name][0]


def is_secure(definition: Mapping[str, Any], template: Mapping[str, Any], place: str, budget: Budget) -> bool:
    """Whether the type, or one inside it, is secure."""
    waiting: list[tuple[Any, int]] = [(definition, 0)]
    while waiting:
        part, depth = waiting.pop()
        if not isinstance(part, Mapping) or depth > _MAX_DEPTH:
            continue
        kind = resolved(part, template, place, budget)
        if _is_secret(kind):
            return True
        inner = [kind.get("items"), kind.get("additionalProperties"), *_part(kind, "prefixItems", list, place)]
        inner += _part(kind, "properties", dict, place).values()
        inner += _part(_part(kind, "discriminator", dict, place), "mapping", dict, place).values()
        budget.charge("steps", len(inner))
        waiting += ((each, depth + 1) for each in inner)
    return False


def _is_secret(kind: Mapping[str, Any]) -> bool:
    return str(kind.get("type", "")).lower() in _SECURE


def problems(
    value: Any, definition: Mapping[str, Any], template: Mapping[str, Any], place: str, budget: Budget
) -> Iterator[str]:
    """Yield what is wrong with a value of that type, each as a sentence without the value."""
    kind = resolved(definition, template, place, budget)
    if value is None and kind.get("nullable"):
        return
    shown_type(kind, place)
    expected = _TYPES[str(kind["type"]).lower()][1]
    if type_name(value) != expected:
        yield f"'{place}' is of type '{type_name(value)}', expected '{expected}'."
        return
    allowed = kind.get("allowedValues")
    if isinstance(allowed, list):
        # Each part of an array is compared with each of them.
        budget.charge("steps", len(allowed) * (1 + len(value) if isinstance(value, list) else 1))
    if isinstance(allowed, list) and not _is_allowed(value, allowed):
        told = ": '" + ",".join(as_text(each) for each in allowed) + "'" if not _is_secret(kind) else ""
        yield f"'{place}' is not part of the allowed value(s){told}."
    yield from _limits(value, kind, place)
    if isinstance(value, list):
        yield from _element_problems(value, kind, template, place, budget)
    if isinstance(value, dict):
        yield from _property_problems(value, kind, template, place, budget)


def _is_allowed(value: Any, allowed: list[Any]) -> bool:
    """One of the values; an array may also be a choice of some of them."""
    if any(is_equal(value, each) for each in allowed):
        return True
    return isinstance(value, list) and all(any(is_equal(part, each) for each in allowed) for part in value)


def _limits(value: Any, kind: Mapping[str, Any], place: str) -> Iterator[str]:
    if isinstance(value, int) and not isinstance(value, bool):
        least, most = (_limit(kind, name, place) for name in ("minValue", "maxValue"))
        if least is not None and value < least:
            yield f"'{place}' is smaller than the minimum value '{least}'."
        if most is not None and value > most:
            yield f"'{place}' is greater than the maximum value '{most}'."
    if isinstance(value, (str, list)):
        least, most = (_limit(kind, name, place) for name in ("minLength", "maxLength"))
        if least is not None and len(value) < least:
            yield f"'{place}' has length '{len(value)}', and the minimum length is '{least}'."
        if most is not None and len(value) > most:
            yield f"'{place}' has length '{len(value)}', and the maximum length is '{most}'."


def _element_problems(
    value: list[Any], kind: Mapping[str, Any], template: Mapping[str, Any], place: str, budget: Budget
) -> Iterator[str]:
    first, rest = _part(kind, "prefixItems", list, place), kind.get("items")
    if rest is False and len(value) > len(first):
        yield f"'{place}' has {len(value)} elements, and at most {len(first)} are permitted."
    if len(value) < len(first):
        yield f"'{place}' has {len(value)} elements, and at least {len(first)} are required."
    for index, part in enumerate(value):
        of_it = first[index] if index < len(first) else rest
        if isinstance(of_it, Mapping):
            yield from problems(part, of_it, template, f"{place}[{index}]", budget)


def _property_problems(
    value: Json, kind: Mapping[str, Any], template: Mapping[str, Any], place: str, budget: Budget
) -> Iterator[str]:
    known: Json = _part(kind, "properties", dict, place)
    more = kind.get("additionalProperties", True)
    choice = _part(kind, "discriminator", dict, place)
    if choice:
        name = str(choice.get("propertyName", ""))
        variants = _part(choice, "mapping", dict, place)
        chosen = variants.get(str(value.get(name)))
        if not isinstance(chosen, Mapping):
            yield f"'{place}.{name}' is not part of the allowed value(s): '{','.join(variants)}'."
            return
        variant = resolved(chosen, template, place, budget)
        known = {name: {"type": "string"}, **known, **_part(variant, "properties", dict, place)}
        more = variant.get("additionalProperties", more)
    budget.charge("steps", len(known) + sum(len(value) // 8 for name in known if name not in value))
    there = {name: found_name(value, name) for name in known}
    for name in known:
        of_it = _part(known, name, dict, f"{place}.{name}")
        actual = there[name]
        if actual is not None:
            yield from problems(value[actual], of_it, template, f"{place}.{name}", budget)
        elif not resolved(of_it, template, place, budget).get("nullable"):
            yield f"'{place}' lacks the property '{name}'."
    for name in value.keys() - set(there.values()):
        if more is False:
            yield f"'{place}' has the property '{name}', which its type does not have."
        elif isinstance(more, Mapping):
            yield from problems(value[name], more, template, f"{place}.{name}", budget)


P = TypeVar("P", list[Any], dict[str, Any])


def _part(kind: Mapping[str, Any], name: str, expected: type[P], place: str) -> P:
    """The array or object within a type, an empty one when it is not there."""
    part = kind.get(name)
    if part is None:
        return expected()
    if not isinstance(part, expected):
        raise _invalid(f"The '{name}' of the type at '{place}' is not valid: it is {type_name(part)}.", place)
    return part


def _limit(kind: Mapping[str, Any], name: str, place: str) -> int | None:
    part = kind.get(name)
    if part is not None and type_name(part) != "Integer":
        raise _invalid(f"The '{name}' of the type at '{place}' is not valid: it is {type_name(part)}.", place)
    return part


def _invalid(message: str, place: str) -> errors.InvalidTemplate:
    return errors.InvalidTemplate(message, target=place, remedy="correct the template")
