"""The functions of template expressions that need nothing but their arguments, one row each.

What needs the template, the deployment or resources (`parameters`, `reference`, `resourceId`, ...), and what
decides itself which arguments it evaluates (`if`, `map`, ...), is in `evaluation.py`.

Source of each: https://learn.microsoft.com/azure/azure-resource-manager/templates/template-functions, in the
page of its category. Where the pages are silent, comparisons are ordinal and case counts.

Invariant: a function looks at its arguments and at nothing else.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import json
import math
import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from typing import Any, Final
from urllib.parse import quote, unquote, urljoin, urlsplit

from poolwright.templates import dates
from poolwright.templates.expressions import LONG
from poolwright.templates.unique_string import unique_string

MAX_RANGE: Final = 10_000  # ARM's own limit
_MAX_DIGITS: Final = 100
# Microsoft documents guid() as a UUID of version 5 below this namespace.
_GUIDS: Final = uuid.UUID("11fb06fb-712d-4ddd-98c7-e71bbd588830")


class Unusable(Exception):
    """The arguments of a function are of the wrong type or have no result."""


@dataclass(frozen=True, slots=True)
class Function:
    """A row of the table. `most` is None where there is no limit.

    `cost` is how many bytes the result may take, from the arguments alone. Arguments that the function looks at to
    their depth, or that it sees more than once, are weighed `looks` times.
    """

    name: str
    category: str
    least: int
    most: int | None
    apply: Callable[..., Any]
    cost: Callable[..., int] = lambda *values: 0
    looks: int = 0


def type_name(value: object) -> str:
    """Return the type of a value as ARM's messages say it."""
    match value:
        case None:
            return "Null"
        case bool():
            return "Boolean"
        case int():
            return "Integer"
        case float():
            return "Float"
        case str():
            return "String"
        case list():
            return "Array"
    return "Object"


def is_equal(one: object, other: object) -> bool:
    """Whether two JSON values are the same; `true` is not 1."""
    if type(one) is not type(other):
        numbers = (int, float)
        return type(one) in numbers and type(other) in numbers and one == other
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(is_equal, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(is_equal(part, other[name]) for name, part in one.items())
    return one == other


def found_name(container: Mapping[str, Any], name: str) -> str | None:
    """Return the property's name as the object has it: names are compared without case."""
    if name in container:
        return name
    return next((known for known in container if known.lower() == name.lower()), None)


def compact(value: object) -> str:
    """Return the value as JSON without blanks."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def as_text(value: object) -> str:
    """Return a value as `string`, `concat` and `format` write it: .NET's `True`, JSON for objects and arrays."""
    match value:
        case None:
            return ""
        case bool():
            return "True" if value else "False"
        case str():
            return value
        case list() | dict():
            return compact(value)
    return str(value)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise Unusable(f"a string is expected, got {type_name(value)}")
    return value


def _number(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise Unusable(f"an integer is expected, got {type_name(value)}")
    return value


def _long(value: int) -> int:
    if value not in LONG:
        raise Unusable("the result is outside the range of a 64-bit integer")
    return value


def _bool(value: object) -> bool:
    if not isinstance(value, bool):
        raise Unusable(f"a boolean is expected, got {type_name(value)}")
    return value


def _list(value: object) -> list[Any]:
    if not isinstance(value, list):
        raise Unusable(f"an array is expected, got {type_name(value)}")
    return value


def _object(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Unusable(f"an object is expected, got {type_name(value)}")
    return value


def _read_json(text: str) -> Any:
    # ARM's reader also takes strings in single quotes; its own examples are written so.
    for form in (text, re.sub(r"'([^'\"]*)'", r'"\1"', text)):
        try:
            value = _JSON.decode(form)
            # A lone half of a surrogate pair is in no UTF-8.
            compact(value).encode()
        except (ValueError, RecursionError):
            continue
        return value
    raise Unusable("the text is not JSON")


def _integer(digits: str) -> int:
    if len(digits) > _MAX_DIGITS:
        raise Unusable("the result is outside the range of a 64-bit integer")
    return _long(int(digits))


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise Unusable("the number is not finite")
    return value


def _no_number(word: str) -> None:
    raise Unusable(f"'{word}' is not JSON")


_JSON: Final = json.JSONDecoder(
    parse_int=_integer, parse_float=lambda digits: _finite(float(digits)), parse_constant=_no_number
)


# Arrays and objects.


def _concat(*values: Any) -> Any:
    if all(isinstance(value, list) for value in values):
        return list(chain(*values))
    if any(isinstance(value, (list, dict)) for value in values):
        raise Unusable("either strings or arrays are expected, not both")
    return "".join(as_text(value) for value in values)


def _contains(container: Any, item: Any) -> bool:
    match container:
        case list():
            return any(is_equal(part, item) for part in container)
        case dict():
            return found_name(container, as_text(item)) is not None
        case str():
            return as_text(item) in container
    raise Unusable(f"an array, an object or a string is expected, got {type_name(container)}")


def _create_object(*pairs: Any) -> dict[str, Any]:
    if len(pairs) % 2:
        raise Unusable("an even number of arguments is expected: each name and its value")
    return {_text(name): value for name, value in zip(pairs[::2], pairs[1::2], strict=True)}


def _empty(value: Any) -> bool:
    if value is None or isinstance(value, (list, dict, str)):
        return not value
    raise Unusable(f"an object, an array, or a string is expected, got {type_name(value)}")


def _first(value: Any) -> Any:
    if isinstance(value, str):
        return value[:1]
    return _list(value)[0] if _list(value) else None


def _last(value: Any) -> Any:
    if isinstance(value, str):
        return value[-1:]
    return _list(value)[-1] if _list(value) else None


def _flatten(value: Any) -> list[Any]:
    return list(chain(*(_list(part) for part in _list(value))))


def _index_of(container: Any, item: Any) -> int:
    if isinstance(container, list):
        return next((place for place, part in enumerate(container) if is_equal(part, item)), -1)
    return _text(container).lower().find(_text(item).lower())


def _last_index_of(container: Any, item: Any) -> int:
    if isinstance(container, list):
        return next((place for place in reversed(range(len(container))) if is_equal(container[place], item)), -1)
    return _text(container).lower().rfind(_text(item).lower())


def _intersection(first: Any, *others: Any) -> Any:
    if isinstance(first, dict):
        return {
            name: value
            for name, value in first.items()
            if all(name in _object(other) and is_equal(other[name], value) for other in others)
        }
    common: dict[Any, Any] = {}
    for item in _list(first):
        common.setdefault(_key(item), item)
    for other in others:
        known = set(map(_key, _list(other)))
        common = {key: item for key, item in common.items() if key in known}
    return list(common.values())


def _items(value: Any) -> list[dict[str, Any]]:
    """The properties, sorted by name as ARM does."""
    return [{"key": name, "value": part} for name, part in sorted(_object(value).items())]


def _length(value: Any) -> int:
    if isinstance(value, (list, dict, str)):
        return len(value)
    raise Unusable(f"an array, an object or a string is expected, got {type_name(value)}")


def _extreme(choose: Callable[[Sequence[int]], int]) -> Callable[..., int]:
    def apply(*values: Any) -> int:
        numbers = [_number(value) for value in (_list(values[0]) if len(values) == 1 else values)]
        if not numbers:
            raise Unusable("at least one integer is expected")
        return choose(numbers)

    return apply


def _range(start: Any, count: Any) -> list[int]:
    if not 0 <= _number(count) <= MAX_RANGE:
        raise Unusable(f"the count is 0 to {MAX_RANGE}, got {count}")
    _long(_number(start) + count)
    return list(range(start, start + count))


def _shallow_merge(values: Any) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for part in _list(values):
        merged |= _object(part)
    return merged


def _skip(value: Any, count: Any) -> Any:
    part = value if isinstance(value, str) else _list(value)
    return part[max(0, _number(count)) :]


def _take(value: Any, count: Any) -> Any:
    part = value if isinstance(value, str) else _list(value)
    return part[: max(0, _number(count))]


def _union(*values: Any) -> Any:
    if isinstance(values[0], dict):
        merged: dict[str, Any] = {}
        for value in values:
            _merge(merged, _object(value))
        return merged
    united: dict[Any, Any] = {}
    for item in chain(*(_list(value) for value in values)):
        united.setdefault(_key(item), item)
    return list(united.values())


def _merge(merged: dict[str, Any], other: dict[str, Any]) -> None:
    """Objects are merged at every depth, everything else is replaced. The objects in `merged` are its own."""
    for name, value in other.items():
        if isinstance(value, dict):
            if not isinstance(merged.get(name), dict):
                merged[name] = {}
            _merge(merged[name], value)
        else:
            merged[name] = value


def _key(value: Any) -> Any:
    """What is the same for two values exactly where `is_equal` says so, to find one among many."""
    match value:
        case bool():
            return bool, value
        case list():
            return tuple, tuple(map(_key, value))
        case dict():
            return dict, frozenset((name, _key(part)) for name, part in value.items())
    return value


def _at_from_end(value: Any, place: Any) -> Any:
    part = _list(value)
    if not 1 <= _number(place) <= len(part):
        raise Unusable(f"the index {place} from the end is outside the bounds of the array of {len(part)}")
    return part[-place]


def _try_at_from_end(value: Any, place: Any) -> Any:
    return value[-place] if isinstance(value, list) and 1 <= _number(place) <= len(value) else None


def _try_get(value: Any, *path: Any) -> Any:
    """The value at the path, None when the first name or index on it is missing; the rest must be there."""
    first, *rest = path
    if isinstance(value, dict) and isinstance(first, str):
        name = found_name(value, first)
        value = value[name] if name is not None else None
        if name is None:
            return None
    elif isinstance(value, list) and not isinstance(first, str):
        if not 0 <= _number(first) < len(value):
            return None
        value = value[first]
    else:
        return None
    for part in rest:
        value = at(value, part)
    return value


def at(value: Any, key: Any) -> Any:
    """Return `value[key]` or `value.key`. Raises `Unusable`."""
    if isinstance(value, dict) and isinstance(key, str):
        name = found_name(value, key)
        if name is None:
            raise Unusable(
                f"The language expression property '{key}' doesn't exist, available properties are "
                f"'{', '.join(list(value)[:50])}'."
            )
        return value[name]
    if isinstance(value, (list, str)) and isinstance(key, int) and not isinstance(key, bool):
        if not 0 <= key < len(value):
            raise Unusable(f"The language expression property array index '{key}' is out of bounds.")
        return value[key]
    raise Unusable(
        f"The language expression property '{as_text(key)}' can't be evaluated: its target is of type "
        f"'{type_name(value)}'."
    )


# Comparison, logic, numbers.


def _compared(choose: Callable[[int], bool]) -> Callable[[Any, Any], bool]:
    def apply(one: Any, other: Any) -> bool:
        if isinstance(one, str) and isinstance(other, str):
            return choose((one > other) - (one < other))
        return choose((_number(one) > _number(other)) - (one < other))

    return apply


def _to_bool(value: Any) -> bool:
    match value:
        case bool():
            return value
        case int():
            return value != 0
        case str() if value.lower() in ("true", "false", "1", "0"):
            return value.lower() in ("true", "1")
    raise Unusable(f"a boolean, an integer, or 'true' or 'false' is expected, got {type_name(value)}")


def _to_int(value: Any) -> int:
    if isinstance(value, str):
        try:
            return _integer(value.strip())
        except ValueError as error:
            raise Unusable("the text is not an integer") from error
    return _long(int(_finite(value))) if isinstance(value, float) else _number(value)


def _to_float(value: Any) -> float:
    if isinstance(value, (str, int, float)) and not isinstance(value, bool):
        try:
            return _finite(float(value))
        except ValueError as error:
            raise Unusable("the text is not a number") from error
    raise Unusable(f"a string or a number is expected, got {type_name(value)}")


def _divided(one: Any, other: Any) -> int:
    """Towards zero, as .NET divides."""
    if _number(other) == 0:
        raise Unusable("the divisor is zero")
    quotient = abs(_number(one)) // abs(other)
    return _long(quotient if (one < 0) == (other < 0) else -quotient)


def _modulo(one: Any, other: Any) -> int:
    return _number(one) - _divided(one, other) * _number(other)


# Strings.


def _decoded(text: Any) -> str:
    try:
        return base64.b64decode(_text(text), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise Unusable("the text is not base64 of UTF-8") from error


def _data_uri(value: Any) -> str:
    return f"data:text/plain;charset=utf8;base64,{base64.b64encode(_text(value).encode()).decode()}"


def _from_data_uri(value: Any) -> str:
    head, comma, data = _text(value).partition(",")
    if not head.startswith("data:") or not comma:
        raise Unusable("the text is not a data URI")
    return _decoded(data) if head.endswith(";base64") else unquote(data)


_HOLE: Final = re.compile(r"\{\{|\}\}|\{(\d{1,3})(?:,(-?\d{1,4}))?(?::([^{}]*))?\}|[{}]")


def _format(form: Any, *values: Any) -> str:
    def filled(hole: re.Match[str]) -> str:
        if hole[0] in ("{{", "}}"):
            return hole[0][0]
        if hole[1] is None or int(hole[1]) >= len(values):
            raise Unusable(f"the format string has '{hole[0]}', and there are {len(values)} values to fill in")
        written = _number_format(values[int(hole[1])], hole[3]) if hole[3] else as_text(values[int(hole[1])])
        width = int(hole[2] or 0)
        return written.ljust(-width) if width < 0 else written.rjust(width)

    return _HOLE.sub(filled, _text(form))


def _number_format(value: Any, form: str) -> str:
    """An integer in one of .NET's standard formats D, F, N, X, or in zeros; other values ignore the format."""
    if isinstance(value, bool) or not isinstance(value, int):
        return as_text(value)
    sign, size = ("-" if value < 0 else ""), abs(value)
    if re.fullmatch("0+", form):
        return f"{sign}{size:0{len(form)}}"
    kind, digits = form[0].upper(), form[1:]
    if kind in "DFNX" and (not digits or (digits.isdecimal() and int(digits) < 100)):
        decimals = int(digits or 2)
        match kind:
            case "D":
                return f"{sign}{size:0{int(digits or 0)}}"
            case "X":
                written = f"{value & (2**64 - 1):0{int(digits or 0)}x}"
                return written.upper() if form[0] == "X" else written
            case "F":
                return f"{value:.{decimals}f}"
        return f"{value:,.{decimals}f}"
    raise Unusable(f"the number format '{form}' is not one this service knows: D, F, N, X and zeros are")


def _guid(*values: Any) -> str:
    return str(uuid.uuid5(_GUIDS, "-".join(as_text(value) for value in values)))


def _unique_string(*values: Any) -> str:
    return unique_string([_text(value) for value in values])


def _pad_left(value: Any, width: Any, filler: Any = " ") -> str:
    if len(_text(filler)) != 1:
        raise Unusable("the filler is one character")
    if not 0 <= _number(width) <= MAX_RANGE:
        raise Unusable(f"the total length is 0 to {MAX_RANGE}")
    return as_text(value).rjust(width, filler)


def _replace(value: Any, old: Any, new: Any) -> str:
    if not _text(old):
        raise Unusable("the text to replace is empty")
    return _text(value).replace(old, _text(new))


def _split(value: Any, delimiter: Any) -> list[str]:
    delimiters = [_text(part) for part in (delimiter if isinstance(delimiter, list) else [delimiter])]
    wanted = [re.escape(part) for part in sorted(delimiters, key=len, reverse=True) if part]
    return re.split("|".join(wanted), _text(value)) if wanted else [_text(value)]


def _join(values: Any, delimiter: Any) -> str:
    return _text(delimiter).join(as_text(value) for value in _list(values))


def _substring(value: Any, start: Any, length: Any = None) -> str:
    end = len(_text(value)) if length is None else _number(start) + _number(length)
    if not 0 <= _number(start) <= end <= len(value):
        raise Unusable(
            "the index and length must refer to a location within the string of length "
            f"{len(value)}, got index {start} and length {length}"
        )
    return str(value[start:end])


def _uri(base: Any, relative: Any) -> str:
    try:
        if not urlsplit(_text(base)).scheme:
            raise Unusable("the base is no absolute URI")
        return str(urljoin(_text(base), _text(relative)))
    except ValueError as error:
        raise Unusable("the parts are no URI") from error


# Dates.


def _moment(text: Any) -> datetime:
    try:
        return dates.parsed(_text(text))
    except (ValueError, OverflowError) as error:
        raise Unusable("the text is not a date") from error


def _written(moment: datetime, form: Any) -> str:
    try:
        return dates.formatted(moment, _text(form))
    except ValueError as error:
        raise Unusable(str(error)) from error


def _date_add(base: Any, duration: Any, form: Any = "M/d/yyyy h:mm:ss tt") -> str:
    try:
        return _written(dates.added(_moment(base), _text(duration)), form)
    except ValueError as error:
        raise Unusable(str(error)) from error


def _from_epoch(seconds: Any) -> str:
    try:
        return _written(datetime.fromtimestamp(_number(seconds), UTC), "yyyy-MM-ddTHH:mm:ssZ")
    except (ValueError, OverflowError, OSError) as error:
        raise Unusable("the number of seconds leads out of the calendar") from error


# Networks.


def _network(text: Any) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    try:
        return ipaddress.ip_network(_text(text), strict=False)
    except ValueError as error:
        raise Unusable(f"'{text}' is not an IP address range in CIDR notation") from error


def _parse_cidr(text: Any) -> dict[str, Any]:
    network = _network(text)
    has_broadcast = network.version == 4 and network.prefixlen < 31
    described: dict[str, Any] = {
        "network": str(network.network_address),
        "netmask": str(network.netmask),
        "firstUsable": str(network.network_address + (1 if has_broadcast else 0)),
        "lastUsable": str(network.broadcast_address - (1 if has_broadcast else 0)),
        "cidr": network.prefixlen,
    }
    return described | ({"broadcast": str(network.broadcast_address)} if has_broadcast else {})


def _cidr_subnet(text: Any, prefix: Any, index: Any) -> str:
    network = _network(text)
    if not network.prefixlen <= _number(prefix) <= network.max_prefixlen:
        raise Unusable(f"the new prefix is {network.prefixlen} to {network.max_prefixlen}, got {prefix}")
    if not 0 <= _number(index) < 2 ** (prefix - network.prefixlen):
        raise Unusable(f"there is no subnet {index} of /{prefix} in {text}")
    address = network.network_address + index * 2 ** (network.max_prefixlen - prefix)
    return f"{address}/{prefix}"


def _cidr_host(text: Any, index: Any) -> str:
    network = _network(text)
    first = 1 if network.version == 4 and network.prefixlen < 31 else 0
    if not 0 <= _number(index) < network.num_addresses - 2 * first:
        raise Unusable(f"there is no host {index} in {text}")
    return str(network.network_address + first + index)


def _fail(message: Any) -> None:
    raise Unusable(_text(message))


# What they cost, in bytes.

_CHARACTER: Final = 4  # the widest that Python stores
_POINTER: Final = 8
_SMALL: Final = 64  # a short string or an empty array
_PROPERTIES: Final = 400  # an object with two


def _texts(*values: Any, times: int = 1) -> int:
    return _CHARACTER * times * sum(len(value) for value in values if isinstance(value, str))


def _wide(times: int) -> Callable[..., int]:
    """For each character of the texts so many."""
    return lambda *values: _texts(*values, times=times)


def _concat_cost(*values: Any) -> int:
    return _texts(*values) + _POINTER * sum(len(value) for value in values if isinstance(value, list))


def _walked(value: Any, *path: Any) -> int:
    """Names are looked for without case, which takes longer where there are many."""
    return _POINTER * len(value) if isinstance(value, (dict, list, str)) else 0


def _format_cost(form: Any, *values: Any) -> int:
    lengths = [len(as_text(value)) for value in values]
    return _CHARACTER * (
        len(form if isinstance(form, str) else "")
        + sum(
            max(abs(int(hole[2] or 0)), lengths[int(hole[1])], 150)
            for hole in _HOLE.finditer(form if isinstance(form, str) else "")
            if hole[1] is not None and int(hole[1]) < len(lengths)
        )
    )


def _join_cost(values: Any, delimiter: Any) -> int:
    return _CHARACTER * len(values) * len(delimiter) if isinstance(values, list) and isinstance(delimiter, str) else 0


def _replace_cost(value: Any, old: Any, new: Any) -> int:
    if not (isinstance(value, str) and isinstance(old, str) and isinstance(new, str)) or not old:
        return 0
    return _CHARACTER * (len(value) + value.count(old) * len(new))


def _split_cost(value: Any, delimiter: Any) -> int:
    if not isinstance(value, str):
        return 0
    if isinstance(delimiter, str):
        return _CHARACTER * len(value) + _SMALL * (value.count(delimiter) if delimiter else 0)
    # Each delimiter is tried at each place, and takes time to compile.
    number = len(delimiter) if isinstance(delimiter, list) else 0
    return (_SMALL + number) * len(value) + 50 * _SMALL * number


def _flatten_cost(values: Any) -> int:
    return _POINTER * sum(len(part) for part in values if isinstance(part, list)) if isinstance(values, list) else 0


_COSTS: Final[Mapping[str, Callable[..., int]]] = {
    "concat": _concat_cost,
    "contains": _walked,
    "flatten": _flatten_cost,
    "items": lambda value: _PROPERTIES * len(value) if isinstance(value, dict) else 0,
    "tryget": _walked,
    "max": _concat_cost,
    "min": _concat_cost,
    "objectkeys": _walked,
    "range": lambda start, count: 5 * _POINTER * count if isinstance(count, int) and count < MAX_RANGE else 0,
    "shallowmerge": _flatten_cost,
    # An empty array is three characters of JSON.
    "json": _wide(8),
    "base64tojson": _wide(8),
    "format": _format_cost,
    "join": _join_cost,
    "replace": _replace_cost,
    "split": _split_cost,
    # Python computes it, eight characters at a time.
    "uniquestring": _wide(10),
    # %F0%9F%98%80 is one character.
    "uricomponent": _wide(12),
    # A letter of the format may be the name of a month.
    "datetimeadd": _wide(25),
}
# How often the bytes of what is in the arguments are charged; six characters write a control character in JSON.
_LOOKS: Final[Mapping[str, int]] = {
    **dict.fromkeys(("equals", "indexof", "lastindexof", "contains"), 1),
    **dict.fromkeys(("union", "intersection"), 3),
    **dict.fromkeys(("concat", "string", "join", "format", "guid"), 6),
}


def _rows(category: str, *rows: tuple[str, int, int | None, Callable[..., Any]]) -> list[Function]:
    return [
        Function(name, category, least, most, apply, _COSTS.get(name.lower(), _texts), _LOOKS.get(name.lower(), 0))
        for name, least, most, apply in rows
    ]


FUNCTIONS: Final[Mapping[str, Function]] = {
    row.name.lower(): row
    for row in (
        *_rows(
            "array",
            ("array", 1, 1, lambda value: value if isinstance(value, list) else [value]),
            ("concat", 1, None, _concat),
            ("contains", 2, 2, _contains),
            ("createArray", 0, None, lambda *values: list(values)),
            ("empty", 1, 1, _empty),
            ("first", 1, 1, _first),
            ("flatten", 1, 1, _flatten),
            ("indexFromEnd", 2, 2, _at_from_end),
            ("indexOf", 2, 2, _index_of),
            ("intersection", 2, None, _intersection),
            ("last", 1, 1, _last),
            ("lastIndexOf", 2, 2, _last_index_of),
            ("length", 1, 1, _length),
            ("max", 1, None, _extreme(max)),
            ("min", 1, None, _extreme(min)),
            ("range", 2, 2, _range),
            ("skip", 2, 2, _skip),
            ("take", 2, 2, _take),
            ("tryIndexFromEnd", 2, 2, _try_at_from_end),
            ("union", 1, None, _union),
        ),
        *_rows(
            "object",
            ("createObject", 0, None, _create_object),
            ("items", 1, 1, _items),
            ("json", 1, 1, lambda text: _read_json(_text(text))),
            ("null", 0, 0, lambda: None),
            ("objectKeys", 1, 1, lambda value: sorted(_object(value))),
            ("shallowMerge", 1, 1, _shallow_merge),
            ("tryGet", 2, None, _try_get),
        ),
        *_rows(
            "comparison",
            ("equals", 2, 2, is_equal),
            ("greater", 2, 2, _compared(lambda order: order > 0)),
            ("greaterOrEquals", 2, 2, _compared(lambda order: order >= 0)),
            ("less", 2, 2, _compared(lambda order: order < 0)),
            ("lessOrEquals", 2, 2, _compared(lambda order: order <= 0)),
        ),
        *_rows(
            "logical",
            ("bool", 1, 1, _to_bool),
            ("false", 0, 0, lambda: False),
            ("not", 1, 1, lambda value: not _bool(value)),
            ("true", 0, 0, lambda: True),
        ),
        *_rows(
            "numeric",
            ("add", 2, 2, lambda one, other: _long(_number(one) + _number(other))),
            ("div", 2, 2, _divided),
            ("float", 1, 1, _to_float),
            ("int", 1, 1, _to_int),
            ("mod", 2, 2, _modulo),
            ("mul", 2, 2, lambda one, other: _long(_number(one) * _number(other))),
            ("sub", 2, 2, lambda one, other: _long(_number(one) - _number(other))),
        ),
        *_rows(
            "string",
            ("base64", 1, 1, lambda value: base64.b64encode(_text(value).encode()).decode()),
            ("base64ToJson", 1, 1, lambda value: _read_json(_decoded(value))),
            ("base64ToString", 1, 1, _decoded),
            ("dataUri", 1, 1, _data_uri),
            ("dataUriToString", 1, 1, _from_data_uri),
            ("endsWith", 2, 2, lambda value, end: _text(value).lower().endswith(_text(end).lower())),
            ("format", 1, None, _format),
            ("guid", 1, None, _guid),
            ("join", 2, 2, _join),
            ("padLeft", 2, 3, _pad_left),
            ("replace", 3, 3, _replace),
            ("split", 2, 2, _split),
            ("startsWith", 2, 2, lambda value, start: _text(value).lower().startswith(_text(start).lower())),
            ("string", 1, 1, as_text),
            ("substring", 2, 3, _substring),
            ("toLower", 1, 1, lambda value: _text(value).lower()),
            ("toUpper", 1, 1, lambda value: _text(value).upper()),
            ("trim", 1, 1, lambda value: _text(value).strip()),
            ("uniqueString", 1, None, _unique_string),
            ("uri", 2, 2, _uri),
            ("uriComponent", 1, 1, lambda value: quote(_text(value), safe="-_.~")),
            ("uriComponentToString", 1, 1, lambda value: unquote(_text(value))),
        ),
        *_rows(
            "date",
            ("dateTimeAdd", 2, 3, _date_add),
            ("dateTimeFromEpoch", 1, 1, _from_epoch),
            ("dateTimeToEpoch", 1, 1, lambda text: int(_moment(text).timestamp())),
        ),
        *_rows(
            "CIDR",
            ("cidrHost", 2, 2, _cidr_host),
            ("cidrSubnet", 3, 3, _cidr_subnet),
            ("parseCidr", 1, 1, _parse_cidr),
        ),
        *_rows("flow", ("fail", 1, 1, _fail)),
    )
}
