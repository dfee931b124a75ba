"""Evaluates a template of which not everything is known: parameters without a value, what only a deployment tells.

What depends on something unknown becomes an `Unknown` with the expression that stands there; everything beside it
is evaluated as ever. Where it is known what the unknown can be, an expression is evaluated for each of these values.

Invariant: a value that is not `Unknown` would be the same whatever the unknown ones turn out to be.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from poolwright import errors
from poolwright.templates.budget import Budget
from poolwright.templates.evaluation import SPECIAL, Evaluator, Frame, NotKnownYet
from poolwright.templates.expressions import Call, Expression, is_expression, render
from poolwright.templates.functions import FUNCTIONS, Function, Unusable

# What the deployment, the resources or the clock tell.
_TOLD_LATER: Final = frozenset(
    (
        *("utcnow", "newguid", "reference", "references", "resourceinfo", "resourceid", "subscriptionresourceid"),
        *("tenantresourceid", "extensionresourceid"),
    )
)
# Functions that look at the shape of their arguments alone, not at what is in them.
_BUILDING: Final = frozenset(("createobject", "createarray"))
_NO_FRAME: Final = Frame()
# An expression that can have more values than this is unknown.
MAX_VALUES: Final = 64
_OF_SHAPE: Final = frozenset(("length", "empty", "first", "last", "take", "skip", "tryget", "items", "objectkeys"))


@dataclass(frozen=True, slots=True)
class Unknown:
    """A value that is not known, and the expression that it is the value of.

    `values` are all that it can be, where that is known. `cause` is the unknown value that it hangs on, `is_parameter`
    says that it is a parameter that whoever deploys may give.
    """

    expression: str
    values: tuple[Any, ...] | None = field(default=None, compare=False)
    cause: Unknown | None = field(default=None, compare=False)
    is_parameter: bool = field(default=False, compare=False)

    @property
    def root(self) -> Unknown:
        """What it hangs on in the end: itself, where that is nothing else."""
        return self.cause.root if self.cause is not None else self

    def __str__(self) -> str:
        return self.expression


class _Open(NotKnownYet):
    """The value depends on something unknown."""

    def __init__(self, unknown: Unknown) -> None:
        super().__init__(unknown.expression)
        self.unknown = unknown


@dataclass(slots=True)
class Mistakes:
    """What in a template cannot be evaluated at all: where it stands, and why."""

    found: list[tuple[str, str]] = field(default_factory=list)


class PartialEvaluator(Evaluator):
    """An `Evaluator` whose values may be, or hold, `Unknown`. Wrong expressions are kept in `mistakes`."""

    def __init__(
        self,
        template: Mapping[str, Any],
        parameters: Callable[[str], Any],
        facts: Mapping[str, Any],
        *,
        budget: Budget,
        mistakes: Mistakes,
    ) -> None:
        super().__init__(template, self._untaken(parameters), facts, budget=budget)
        self._mistakes = mistakes
        # What unknown values are taken to be, while each that they can be is tried.
        self._taken: tuple[tuple[Unknown, Any], ...] = ()

    def _untaken(self, parameters: Callable[[str], Any]) -> Callable[[str], Any]:
        """The parameters' values, which are remembered and so must not depend on what is being tried."""

        def told(name: str) -> Any:
            taken, known = self._taken, self._known
            self._taken = ()
            self._known = {} if taken else known
            try:
                return parameters(name)
            finally:
                self._taken, self._known = taken, known

        return told

    def copies(self, loop: Any, place: str, frame: Frame = _NO_FRAME) -> list[Frame]:
        """Return the frames of a copy loop's iterations; of a loop of unknown length one, whose index is unknown."""
        if isinstance(loop, dict) and isinstance(self.value(loop.get("count"), f"{place}.count", frame), Unknown):
            unknown = Unknown("copyIndex()")
            name = str(loop.get("name", "")).lower()
            return [replace(frame, copies={**frame.copies, "": unknown, name: unknown})]  # type: ignore[dict-item]  # an index that nobody computes with
        return super().copies(loop, place, frame)

    def _text(self, text: str, place: str, frame: Frame) -> Any:
        evaluate = super()._text
        try:
            try:
                return evaluate(text, place, frame)
            except _Open as error:
                return self._tried(lambda: evaluate(text, place, frame), error.unknown, text)
            except NotKnownYet:
                return Unknown(text)
        except errors.InvalidTemplate as error:
            if self._taken or min(self.budget.left.values()) < 0 or not is_expression(text):
                raise
            self._mistakes.found.append((place, error.message))
            return Unknown(text)

    def _tried(self, evaluate: Callable[[], Any], unknown: Unknown, text: str) -> Any:
        """The value, where it is the same whatever the unknown is; else an `Unknown` of all that it can be."""
        values = self._values(evaluate, unknown)
        if values and len(values) == 1:
            return values[0]
        # A parameter that a module passes on as it is.
        cause = unknown.root if unknown.root.expression != text else None
        return Unknown(text, tuple(values) if values else None, cause, cause is None and unknown.root.is_parameter)

    def _values(self, evaluate: Callable[[], Any], unknown: Unknown) -> list[Any] | None:
        """All that an evaluation comes to as `unknown` is each of its values, None where that cannot be told.

        Trying never takes the half of the budget that what is known may need.
        A value for which the template is refused does not count, unless it is refused for all.
        """
        if unknown.values is None or any(each == unknown for each, _ in self._taken):
            return None
        found: list[Any] = []
        refused: errors.InvalidTemplate | Unusable | None = None
        taken, known = self._taken, self._known
        try:
            for value in unknown.values:
                if not self.budget.has_half:
                    return None
                self._taken = (*taken, (unknown, value))
                # Variables that the value may change are evaluated for it.
                self._known = {name: part for name, part in known.items() if not holds_unknown(part)}
                try:
                    values: list[Any] | None = [evaluate()]
                except _Open as error:
                    values = self._values(evaluate, error.unknown)
                except NotKnownYet:
                    return None
                except (errors.InvalidTemplate, Unusable) as error:
                    if min(self.budget.left.values()) < 0:
                        raise
                    refused = error
                    continue
                if values is None or any(map(holds_unknown, values)):
                    return None
                found += [each for each in values if each not in found]
                if len(found) > MAX_VALUES:
                    return None
        finally:
            self._taken, self._known = taken, known
        if not found and refused is not None:
            raise refused
        return found

    def _evaluate(self, tree: Expression, frame: Frame) -> Any:
        value = super()._evaluate(tree, frame)
        if isinstance(value, Unknown):
            for unknown, taken in self._taken:
                if unknown == value:
                    return taken
            raise _Open(value)
        return value

    def _call(self, function: str, arguments: Sequence[Expression], frame: Frame) -> Any:
        key = function.lower().removeprefix("sys.")
        if function.lower() not in self._functions:
            if key in _TOLD_LATER or not (key in SPECIAL or key in FUNCTIONS):
                raise NotKnownYet(function)
            if key == "copyindex" and any(isinstance(index, Unknown) for index in frame.copies.values()):
                raise NotKnownYet(function)
        return super()._call(function, arguments, frame)

    def _arguments(self, row: Function, arguments: Sequence[Expression], frame: Frame) -> list[Any]:
        key = row.name.lower()
        if key in _BUILDING:
            return [self._or_unknown(argument, frame) for argument in arguments]
        values = super()._arguments(row, arguments, frame)
        if key not in _OF_SHAPE:
            for value in values:
                unknown = unknown_in(value)
                if unknown is not None:
                    raise _Open(unknown)
        return values

    def _or_unknown(self, argument: Expression, frame: Frame) -> Any:
        text = f"[{render(argument)}]"
        try:
            return self._evaluate(argument, frame)
        except _Open as error:
            return self._tried(lambda: self._evaluate(argument, frame), error.unknown, text)
        except NotKnownYet:
            return Unknown(text)

    def parts(self, text: str, place: str, frame: Frame) -> list[Any] | None:
        """Return the values that `format('{0}/{1}', ...)` joins, or None for another expression.

        So bicep writes the name of a child; where the parent's is unknown, the child's need not be.
        """
        tree = self.budget.tree(text)
        match tree:
            case Call("format", (first, *rest)) if len(rest) > 1:
                wanted = "/".join(f"{{{index}}}" for index in range(len(rest)))
                if self._or_unknown(first, frame) == wanted:
                    return [self._or_unknown(part, frame) for part in rest]
        return None


def holds_unknown(value: Any) -> bool:
    """Whether the value is unknown, or something in it."""
    return unknown_in(value) is not None


def unknown_in(value: Any) -> Unknown | None:
    """Return something unknown in the value, None where all of it is known."""
    waiting = [value]
    while waiting:
        part = waiting.pop()
        if isinstance(part, Unknown):
            return part
        if isinstance(part, dict):
            waiting += part.values()
        elif isinstance(part, list):
            waiting += part
    return None
