"""Evaluates the expressions of a template, wherever in its JSON they stand.

Functions that need more than their arguments are here: they read the template's parameters and variables,
tell about the deployment, build resource IDs, look at resources, or choose which arguments to evaluate.

Invariant: an evaluation has no effect, and comes to an end: variables and functions do not call themselves,
and all that it does is within a `Budget`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cmp_to_key
from typing import Any, Final

from poolwright import errors
from poolwright.templates import dates
from poolwright.templates.budget import Budget
from poolwright.templates.expressions import (
    Call,
    Expression,
    Index,
    Literal,
    Member,
    calls,
    escaped,
    is_expression,
    unescaped,
)
from poolwright.templates.functions import FUNCTIONS, Function, Unusable, as_text, at, found_name, is_equal, type_name
from poolwright.templates.resource_names import normal, resource_id

MAX_COPIES: Final = 800  # ARM's own limit
_MAX_DETAIL: Final = 2_000

Json = dict[str, Any]
Reference = Callable[[str], Mapping[str, Any] | None]


class NotKnownYet(Exception):
    """The value depends on a resource that has to be there first."""


def nothing_known(identifier: str) -> None:
    """The `Reference` of an evaluation before the deployment begins."""
    raise NotKnownYet(identifier)


@dataclass(frozen=True, slots=True)
class Named:
    """What `resourceInfo` and `reference` know a resource of the template by."""

    id: str
    type: str
    name: str
    api_version: str
    symbol: str | None = None


@dataclass(frozen=True, slots=True)
class Frame:
    """What surrounds an expression: loops, lambda variables, and the arguments of a user-defined function.

    `raw` leaves text as it is written in templates, for a template within a template.
    """

    copies: Mapping[str, int] = field(default_factory=dict)
    variables: Mapping[str, Any] = field(default_factory=dict)
    arguments: Mapping[str, Any] | None = None
    is_default: bool = False
    raw: bool = False


class Evaluator:
    """Evaluates what stands in one template.

    `parameters` returns a parameter's value; `facts` are what functions without arguments tell, by name;
    `reference` returns a resource as clients see it, None when it does not exist.
    """

    def __init__(
        self,
        template: Mapping[str, Any],
        parameters: Callable[[str], Any],
        facts: Mapping[str, Any],
        *,
        reference: Reference = nothing_known,
        new_id: Callable[[], str] | None = None,
        budget: Budget | None = None,
    ) -> None:
        self._parameters = parameters
        self._facts = facts
        self._reference = reference
        self._new_id = new_id
        self._variables = _section(template, "variables")
        self._known: Json = {}
        self._under_way: list[str] = []
        self._functions = dict(_user_functions(template))
        self.budget = budget if budget is not None else Budget()
        self.named: Sequence[Named] = ()

    def value(self, source: Any, place: str, frame: Frame = Frame()) -> Any:
        """Return the JSON with its expressions and copy loops evaluated. Raises `InvalidTemplate`, `NotKnownYet`."""
        self.budget.charge("steps")
        match source:
            case str():
                return self._text(source, place, frame)
            case list():
                return [self.value(part, f"{place}[{index}]", frame) for index, part in enumerate(source)]
            case dict():
                return self._object(source, place, frame)
        return source

    def copies(self, loop: Any, place: str, frame: Frame = Frame()) -> list[Frame]:
        """Return the frames of a copy loop's iterations. `name` defaults to that of the loop without one."""
        if not isinstance(loop, dict) or "count" not in loop:
            raise _invalid(f"The template copy definition at '{place}' is not valid: it has a name and a count.", place)
        count = self.value(loop["count"], f"{place}.count", frame)
        if isinstance(count, bool) or not isinstance(count, int) or not 0 <= count <= MAX_COPIES:
            raise _invalid(
                f"The template resource copy count at '{place}.count' is not valid: it is an integer from 0 to "
                f"{MAX_COPIES}.",
                place,
            )
        self.budget.charge("steps", count * (1 + len(frame.copies)))
        name = str(loop.get("name", ""))
        return [
            replace(frame, copies={**frame.copies, "": index, **({name.lower(): index} if name else {})})
            for index in range(count)
        ]

    def _text(self, text: str, place: str, frame: Frame) -> Any:
        try:
            if not is_expression(text):
                return self.budget.weigh(text if frame.raw else unescaped(text))
            value = self.budget.weigh(self._evaluate(self.budget.tree(text), frame))
        except Unusable as error:
            raise _unprocessable(text, place, str(error)) from error
        except errors.InvalidTemplate as error:
            if error.target is not None:
                raise
            raise _unprocessable(text, place, error.message, error.remedy) from error
        except RecursionError as error:
            raise _unprocessable(text, place, "it is nested too deeply") from error
        return _escaped(value) if frame.raw else value

    def _object(self, source: Mapping[str, Any], place: str, frame: Frame) -> Json:
        result: Json = {}
        for name, part in source.items():
            if name == "copy" and _is_copy(part):
                for index, loop in enumerate(part):
                    result[str(loop["name"])] = self._copied(loop, f"{place}.copy[{index}]", frame)
                continue
            key = self._text(name, f"{place}.{name}", frame) if name.startswith("[") else name
            if not isinstance(key, str):
                raise _invalid(f"The name of the property at '{place}' is not a string.", place)
            result[key] = self.value(part, f"{place}.{name}", frame)
        return result

    def _copied(self, loop: Mapping[str, Any], place: str, frame: Frame) -> list[Any]:
        return [self.value(loop["input"], f"{place}.input", each) for each in self.copies(loop, place, frame)]

    def _evaluate(self, tree: Expression, frame: Frame) -> Any:
        self.budget.charge("steps")
        match tree:
            case Literal(value):
                return value
            case Member(target, name):
                return self._at(self._evaluate(target, frame), name)
            case Index(target, index):
                return self._at(self._evaluate(target, frame), self._evaluate(index, frame))
            case Call(function, arguments):
                return self._call(function, arguments, frame)

    def _at(self, value: Any, key: Any) -> Any:
        if isinstance(value, dict) and key not in value:
            self.budget.charge("bytes", 8 * len(value))
        return at(value, key)

    def _call(self, function: str, arguments: Sequence[Expression], frame: Frame) -> Any:
        key = function.lower()
        if key in self._functions:
            return self._call_own(key, arguments, frame)
        key = key.removeprefix("sys.")
        special = SPECIAL.get(key)
        if special is not None:
            _require_arity(function, len(arguments), special.least, special.most)
            value = special.apply(self, arguments, frame)
            return self.budget.weigh(value) if special.category == "lambda" else value
        row = FUNCTIONS.get(key)
        if row is None:
            raise errors.InvalidTemplate(
                f"The template function '{function}' is not valid. Please see https://aka.ms/arm-functions for usage "
                "details.",
                remedy="docs/compatibility.md lists the functions this service knows",
            )
        _require_arity(function, len(arguments), row.least, row.most)
        values = self._arguments(row, arguments, frame)
        if row.looks:
            self.budget.weigh(values, row.looks)
        try:
            self.budget.charge("bytes", row.cost(*values))
            return self.budget.weigh(row.apply(*values))
        except Unusable as error:
            if key == "fail":
                raise
            raise Unusable(f"The template function '{row.name}' has an invalid parameter: {error}.") from error

    def _arguments(self, row: Function, arguments: Sequence[Expression], frame: Frame) -> list[Any]:
        return [self._evaluate(argument, frame) for argument in arguments]

    def _call_own(self, key: str, arguments: Sequence[Expression], frame: Frame) -> Any:
        member = self._functions[key]
        names = [str(parameter.get("name", "")).lower() for parameter in member.get("parameters") or ()]
        if len(names) != len(arguments):
            raise Unusable(f"The function '{key}' takes {len(names)} argument(s), got {len(arguments)}.")
        if key in self._under_way:
            raise Unusable(f"The function '{key}' calls itself.")
        values = [self._evaluate(argument, frame) for argument in arguments]
        self._under_way.append(key)
        try:
            inner = Frame(arguments=dict(zip(names, values, strict=True)))
            return self.value(_section(member, "output").get("value"), f"functions.{key}.output.value", inner)
        finally:
            self._under_way.pop()

    # Functions that read the template.

    def _parameter(self, arguments: Sequence[Expression], frame: Frame) -> Any:
        name = self._string(arguments[0], frame)
        if frame.arguments is None:
            return self._parameters(name)
        if name.lower() not in frame.arguments:
            raise Unusable(f"The function's parameter '{name}' is not found.")
        return frame.arguments[name.lower()]

    def _variable(self, arguments: Sequence[Expression], frame: Frame) -> Any:
        wanted = self._string(arguments[0], frame)
        if frame.arguments is not None:
            raise Unusable("The template function 'variables' is not valid in a user-defined function.")
        loops = _loops(self._variables)
        loop = next((loop for loop in loops if str(loop["name"]).lower() == wanted.lower()), None)
        name = str(loop["name"]) if loop is not None else found_name(self._variables, wanted)
        if name is None:
            raise Unusable(
                f"The template variable '{wanted}' is not found. Please see https://aka.ms/arm-syntax-variables "
                "for usage details."
            )
        if name not in self._known:
            place = f"variables.{name}"
            if place in self._under_way:
                raise Unusable(f"The template variable '{name}' depends on itself.")
            self._under_way.append(place)
            try:
                self._known[name] = (
                    self._copied(loop, place, Frame())
                    if loop is not None
                    else self.value(self._variables[name], place, Frame())
                )
            finally:
                self._under_way.pop()
        return self._known[name]

    def _copy_index(self, arguments: Sequence[Expression], frame: Frame) -> int:
        values = [self._evaluate(argument, frame) for argument in arguments]
        name = values.pop(0) if values and isinstance(values[0], str) else ""
        offset = values[0] if values else 0
        if name.lower() not in frame.copies:
            raise Unusable(
                "The template function 'copyIndex' is not expected at this location. The function can only be used in "
                "a resource with copy specified. Please see https://aka.ms/arm-copy for usage details."
            )
        if isinstance(offset, bool) or not isinstance(offset, int):
            raise Unusable("The offset of the template function 'copyIndex' is an integer.")
        return int(self.budget.weigh(frame.copies[name.lower()] + offset))

    # Functions that choose what they evaluate.

    def _if(self, arguments: Sequence[Expression], frame: Frame) -> Any:
        return self._evaluate(arguments[1 if self._boolean(arguments[0], frame) else 2], frame)

    def _and(self, arguments: Sequence[Expression], frame: Frame) -> bool:
        return all(self._boolean(argument, frame) for argument in arguments)

    def _or(self, arguments: Sequence[Expression], frame: Frame) -> bool:
        return any(self._boolean(argument, frame) for argument in arguments)

    def _coalesce(self, arguments: Sequence[Expression], frame: Frame) -> Any:
        values = (self._evaluate(argument, frame) for argument in arguments)
        return next((value for value in values if value is not None), None)

    def _lambda_variable(self, arguments: Sequence[Expression], frame: Frame) -> Any:
        name = self._string(arguments[0], frame)
        if name.lower() not in frame.variables:
            raise Unusable(f"The lambda variable '{name}' is not found.")
        return frame.variables[name.lower()]

    def _filter(self, arguments: Sequence[Expression], frame: Frame) -> list[Any]:
        keep = self._lambda(arguments[1], frame, 1, 2)
        return [item for index, item in enumerate(self._array(arguments[0], frame)) if _true(keep(item, index))]

    def _map(self, arguments: Sequence[Expression], frame: Frame) -> list[Any]:
        change = self._lambda(arguments[1], frame, 1, 2)
        return [change(item, index) for index, item in enumerate(self._array(arguments[0], frame))]

    def _map_values(self, arguments: Sequence[Expression], frame: Frame) -> Json:
        change = self._lambda(arguments[1], frame, 1, 1)
        return {name: change(value) for name, value in self._dictionary(arguments[0], frame).items()}

    def _reduce(self, arguments: Sequence[Expression], frame: Frame) -> Any:
        combine = self._lambda(arguments[2], frame, 2, 3)
        result = self._evaluate(arguments[1], frame)
        for index, item in enumerate(self._array(arguments[0], frame)):
            result = combine(result, item, index)
        return result

    def _sort(self, arguments: Sequence[Expression], frame: Frame) -> list[Any]:
        precedes = self._lambda(arguments[1], frame, 2, 2)

        def compared(one: Any, other: Any) -> int:
            return -1 if _true(precedes(one, other)) else 1 if _true(precedes(other, one)) else 0

        return sorted(self._array(arguments[0], frame), key=cmp_to_key(compared))

    def _to_object(self, arguments: Sequence[Expression], frame: Frame) -> Json:
        name = self._lambda(arguments[1], frame, 1, 1)
        change = self._lambda(arguments[2], frame, 1, 1) if len(arguments) == 3 else None
        return {
            _name_of(name(item)): change(item) if change is not None else item
            for item in self._array(arguments[0], frame)
        }

    def _group_by(self, arguments: Sequence[Expression], frame: Frame) -> Json:
        name = self._lambda(arguments[1], frame, 1, 1)
        groups: dict[str, list[Any]] = {}
        for item in self._array(arguments[0], frame):
            groups.setdefault(_name_of(name(item)), []).append(item)
        return groups

    def _lambda(self, tree: Expression, frame: Frame, least: int, most: int) -> Callable[..., Any]:
        """The function a `lambda(...)` stands for. It takes as many of the values as it has variables."""
        if not isinstance(tree, Call) or tree.function.lower() != "lambda" or not tree.arguments:
            raise Unusable("A lambda expression is expected.")
        *variables, body = tree.arguments
        names = [self._string(variable, frame).lower() for variable in variables]
        if not least <= len(names) <= most:
            raise Unusable(f"The lambda expression takes {least} to {most} variable(s), got {len(names)}.")

        def apply(*values: Any) -> Any:
            self.budget.charge("steps", 1 + len(frame.variables))
            inner = replace(frame, variables={**frame.variables, **dict(zip(names, values, strict=False))})
            return self._evaluate(body, inner)

        return apply

    # Functions that tell about the deployment.

    def _fact(self, name: str) -> Any:
        if self._facts.get(name) is None:
            raise Unusable(
                f"The template function '{name}' is not expected at this location. Please see "
                "https://aka.ms/arm-functions for usage details."
            )
        return self._facts[name]

    def _utc_now(self, arguments: Sequence[Expression], frame: Frame) -> str:
        form = self._string(arguments[0], frame) if arguments else "yyyyMMddTHHmmssZ"
        self.budget.charge("bytes", FUNCTIONS["datetimeadd"].cost(form))
        self._require_default("utcNow", frame)
        try:
            return dates.formatted(dates.parsed(self._facts["now"]), form)
        except ValueError as error:
            raise Unusable(str(error)) from error

    def _make_guid(self, arguments: Sequence[Expression], frame: Frame) -> str:
        self._require_default("newGuid", frame)
        assert self._new_id is not None
        return self._new_id()

    def _require_default(self, name: str, frame: Frame) -> None:
        if not frame.is_default:
            raise Unusable(
                f"The template function '{name}' is not expected at this location: it can only be used in the default "
                "value of a parameter."
            )

    # Functions that name resources and look at them.

    def _resource_id(self, arguments: Sequence[Expression], frame: Frame) -> str:
        texts = [self._string(argument, frame) for argument in arguments]
        # The type is the first argument with a slash; up to two scopes stand before it.
        place = next((index for index, text in enumerate(texts[:3]) if "/" in text), None)
        if place is None:
            raise Unusable("Unable to evaluate template function 'resourceId': no argument is a resource type.")
        before, kind, names = texts[:place], texts[place], texts[place + 1 :]
        group = self._facts.get("resourceGroup")
        scope = str((group or self._fact("subscription"))["id"])
        here = scope.strip("/").split("/")
        if len(before) == 2:
            scope = f"/subscriptions/{before[0]}/resourceGroups/{before[1]}"
        elif before and group is not None:
            scope = f"/subscriptions/{here[1]}/resourceGroups/{before[0]}"
        elif before:
            scope = f"/subscriptions/{before[0]}"
        return _identified("resourceId", scope, kind, names)

    def _subscription_resource_id(self, arguments: Sequence[Expression], frame: Frame) -> str:
        texts = [self._string(argument, frame) for argument in arguments]
        subscription = str(self._fact("subscription")["id"])
        if "/" not in texts[0]:
            subscription = f"/subscriptions/{texts.pop(0)}"
        return _identified("subscriptionResourceId", subscription, texts[0] if texts else "", texts[1:])

    def _tenant_resource_id(self, arguments: Sequence[Expression], frame: Frame) -> str:
        kind, *names = (self._string(argument, frame) for argument in arguments)
        return _identified("tenantResourceId", "", kind, names)

    def _extension_resource_id(self, arguments: Sequence[Expression], frame: Frame) -> str:
        scope, kind, *names = (self._string(argument, frame) for argument in arguments)
        return _identified("extensionResourceId", scope, kind, names)

    def _resource_info(self, arguments: Sequence[Expression], frame: Frame) -> Json:
        found = self._by_symbol(self._string(arguments[0], frame))
        return {"id": found.id, "name": found.name, "type": found.type, "apiVersion": found.api_version}

    def _refer(self, arguments: Sequence[Expression], frame: Frame) -> Any:
        wanted = self._string(arguments[0], frame)
        found = self.named_by(wanted)
        if not found and not wanted.startswith("/"):
            raise Unusable(
                f"The resource reference '{wanted}' is not valid: resource is not defined in the template. Please see "
                "https://aka.ms/arm-functions for usage details."
            )
        is_full = len(arguments) == 3 and self._string(arguments[2], frame).lower() == "full"
        return self._looked_up(found[0].id if found else wanted, is_full=is_full)

    def _refer_all(self, arguments: Sequence[Expression], frame: Frame) -> list[Any]:
        symbol = self._string(arguments[0], frame).lower()
        is_full = len(arguments) > 1 and self._string(arguments[-1], frame).lower() == "full"
        prefix = f"{symbol}["
        found = [known for known in self.named if known.symbol and known.symbol.lower().startswith(prefix)]
        return [self._looked_up(known.id, is_full=is_full) for known in found]

    def named_by(self, text: str) -> list[Named]:
        """Return the resources of the template that a symbolic name, an ID or a name means."""
        self.budget.charge("steps", len(self.named) // 4)
        if text.startswith("/"):
            return [known for known in self.named if normal(known.id) == normal(text)]
        wanted = text.lower()
        symbols = [known for known in self.named if known.symbol is not None and known.symbol.lower() == wanted]
        return symbols or [known for known in self.named if known.symbol is None and known.name.lower() == wanted]

    def _by_symbol(self, symbol: str) -> Named:
        found = [known for known in self.named if known.symbol is not None and known.symbol.lower() == symbol.lower()]
        if not found:
            raise Unusable(f"The resource reference '{symbol}' is not valid: it is not defined in the template.")
        return found[0]

    def _looked_up(self, identifier: str, *, is_full: bool) -> Any:
        document = self._reference(identifier)
        if document is None:
            name = identifier.rpartition("/providers/")[2]
            raise Unusable(
                f"The Resource '{name}' was not found. For more details please go to "
                "https://aka.ms/ARMResourceNotFoundFix"
            )
        return self.budget.weigh(dict(document) if is_full else document.get("properties", {}))

    # Arguments of a certain type.

    def _typed(self, tree: Expression, frame: Frame, kind: type, expected: str) -> Any:
        value = self._evaluate(tree, frame)
        if type(value) is not kind:
            raise Unusable(f"{expected} is expected, got {type_name(value)}.")
        return value

    def _string(self, tree: Expression, frame: Frame) -> str:
        return str(self._typed(tree, frame, str, "A string"))

    def _boolean(self, tree: Expression, frame: Frame) -> bool:
        return bool(self._typed(tree, frame, bool, "A boolean"))

    def _array(self, tree: Expression, frame: Frame) -> list[Any]:
        return list(self._typed(tree, frame, list, "An array"))

    def _dictionary(self, tree: Expression, frame: Frame) -> Json:
        return dict(self._typed(tree, frame, dict, "An object"))


@dataclass(frozen=True, slots=True)
class Special:
    """A row of the functions that need the evaluator."""

    name: str
    category: str
    least: int
    most: int | None
    apply: Callable[[Evaluator, Sequence[Expression], Frame], Any]


def _told(name: str) -> Callable[[Evaluator, Sequence[Expression], Frame], Any]:
    return lambda evaluator, arguments, frame: evaluator._fact(name)


def _misplaced(evaluator: Evaluator, arguments: Sequence[Expression], frame: Frame) -> Any:
    raise Unusable("The template function 'lambda' is not expected at this location.")


SPECIAL: Final[Mapping[str, Special]] = {
    row.name.lower(): row
    for row in (
        Special("parameters", "deployment", 1, 1, Evaluator._parameter),
        Special("variables", "deployment", 1, 1, Evaluator._variable),
        Special("deployment", "deployment", 0, 0, _told("deployment")),
        Special("deployer", "deployment", 0, 0, _told("deployer")),
        Special("environment", "deployment", 0, 0, _told("environment")),
        Special("copyIndex", "numeric", 0, 2, Evaluator._copy_index),
        Special("if", "logical", 3, 3, Evaluator._if),
        Special("and", "logical", 2, None, Evaluator._and),
        Special("or", "logical", 2, None, Evaluator._or),
        Special("coalesce", "comparison", 1, None, Evaluator._coalesce),
        Special("lambda", "lambda", 1, None, _misplaced),
        Special("lambdaVariables", "lambda", 1, 1, Evaluator._lambda_variable),
        Special("filter", "lambda", 2, 2, Evaluator._filter),
        Special("groupBy", "lambda", 2, 2, Evaluator._group_by),
        Special("map", "lambda", 2, 2, Evaluator._map),
        Special("mapValues", "lambda", 2, 2, Evaluator._map_values),
        Special("reduce", "lambda", 3, 3, Evaluator._reduce),
        Special("sort", "lambda", 2, 2, Evaluator._sort),
        Special("toObject", "lambda", 2, 3, Evaluator._to_object),
        Special("resourceGroup", "scope", 0, 0, _told("resourceGroup")),
        Special("subscription", "scope", 0, 0, _told("subscription")),
        Special("tenant", "scope", 0, 0, _told("tenant")),
        Special("newGuid", "string", 0, 0, Evaluator._make_guid),
        Special("utcNow", "date", 0, 1, Evaluator._utc_now),
        Special("extensionResourceId", "resource", 3, None, Evaluator._extension_resource_id),
        Special("reference", "resource", 1, 3, Evaluator._refer),
        Special("references", "resource", 1, 3, Evaluator._refer_all),
        Special("resourceId", "resource", 2, None, Evaluator._resource_id),
        Special("resourceInfo", "resource", 1, 1, Evaluator._resource_info),
        Special("subscriptionResourceId", "resource", 2, None, Evaluator._subscription_resource_id),
        Special("tenantResourceId", "resource", 2, None, Evaluator._tenant_resource_id),
    )
}


def called(source: Any, template: Mapping[str, Any], budget: Budget) -> Iterator[Call]:
    """Yield every call in the JSON's expressions, and in the variables that they name; functions in lower case."""
    variables = _section(template, "variables")
    loops = _loops(variables)
    seen: set[str] = set()
    waiting: list[Any] = [source]
    while waiting:
        part = waiting.pop()
        budget.charge("bytes", 100)
        if isinstance(part, dict):
            waiting += part.values()
            waiting += [name for name in part if is_expression(name)]
        elif isinstance(part, list):
            waiting += part
        elif isinstance(part, str) and is_expression(part):
            for each in calls(budget.tree(part)):
                budget.charge("bytes", 100)
                call = Call(each.function.lower().removeprefix("sys."), each.arguments)
                yield call
                if call.function == "variables" and call.arguments:
                    wanted = call.arguments[0]
                    # A name that is computed may be any variable's.
                    names = [str(wanted.value).lower()] if isinstance(wanted, Literal) else None
                    budget.charge("bytes", 8 * len(variables))
                    for name, value in variables.items():
                        if name not in seen and (names is None or name.lower() in names):
                            seen.add(name)
                            waiting.append(value)
                    for loop in loops:
                        if f"copy {loop['name']}" not in seen:
                            seen.add(f"copy {loop['name']}")
                            waiting.append(loop)


def _section(template: Mapping[str, Any], name: str) -> Json:
    section = template.get(name)
    return section if isinstance(section, dict) else {}


def _user_functions(template: Mapping[str, Any]) -> Iterator[tuple[str, Json]]:
    groups = template.get("functions") or []
    if not isinstance(groups, list):
        raise _invalid("The template section 'functions' is not an array.", "functions")
    for group in groups:
        if not isinstance(group, dict):
            raise _invalid("A part of the template section 'functions' is not an object.", "functions")
        for name, member in _section(group, "members").items():
            parameters = member.get("parameters") or [] if isinstance(member, dict) else None
            if not isinstance(parameters, list) or not all(isinstance(each, dict) for each in parameters):
                raise _invalid(f"The function '{name}' is not one: it has parameters and an output.", "functions")
            yield f"{group.get('namespace', '')}.{name}".lower(), member


def _is_copy(part: Any) -> bool:
    """Whether a property called `copy` is a loop over properties and not a property of the user's."""
    return isinstance(part, list) and all(
        isinstance(loop, dict) and {"name", "count", "input"} <= loop.keys() for loop in part
    )


def _loops(variables: Json) -> list[Json]:
    """The loops among the variables."""
    loops = variables.get("copy")
    return loops if _is_copy(loops) and isinstance(loops, list) else []


def _escaped(value: Any) -> Any:
    """The value written so that a template means it."""
    match value:
        case str():
            return escaped(value)
        case list():
            return [_escaped(part) for part in value]
        case dict():
            return {name: _escaped(part) for name, part in value.items()}
    return value


def _true(value: Any) -> bool:
    if not isinstance(value, bool):
        raise Unusable(f"The lambda expression returns a boolean, got {type_name(value)}.")
    return value


def _name_of(value: Any) -> str:
    if not isinstance(value, str):
        raise Unusable(f"The lambda expression returns a string for a key, got {type_name(value)}.")
    return value


def _identified(function: str, scope: str, kind: str, names: Sequence[str]) -> str:
    try:
        return resource_id(scope, kind, names)
    except ValueError as error:
        raise Unusable(f"Unable to evaluate template function '{function}': {error}.") from error


def _require_arity(function: str, given: int, least: int, most: int | None) -> None:
    if given < least or (most is not None and given > most):
        expected = str(least) if most == least else f"{least} or more" if most is None else f"{least} to {most}"
        raise Unusable(
            f"The template function '{function}' takes {expected} parameter(s), got {given}. Please see "
            "https://aka.ms/arm-functions for usage details."
        )


def _invalid(message: str, place: str) -> errors.InvalidTemplate:
    return errors.InvalidTemplate(message, target=place, remedy="correct the template")


def _unprocessable(text: str, place: str, detail: str, remedy: str | None = None) -> errors.InvalidTemplate:
    shown = text if len(text) <= 200 else f"{text[:197]}..."
    detail = detail if len(detail) <= _MAX_DETAIL else f"{detail[:_MAX_DETAIL]}..."
    return errors.InvalidTemplate(
        f"Unable to process template language expressions at '{place}': '{shown}'. '{detail}'",
        target=place,
        remedy=remedy or "correct the expression",
    )


__all__ = ["SPECIAL", "Evaluator", "Frame", "Named", "NotKnownYet", "as_text", "called", "is_equal"]
