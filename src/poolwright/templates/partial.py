"""Evaluates a template of which not everything is known: parameters without a value, what only a deployment tells.

What depends on something unknown becomes an `Unknown` with the expression that stands there; everything beside it
is evaluated as ever.

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
from poolwright.templates.functions import FUNCTIONS, Function

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
_OF_SHAPE: Final = frozenset(("length", "empty", "first", "last", "take", "skip", "tryget", "items", "objectkeys"))


@dataclass(frozen=True, slots=True)
class Unknown:
    """A value that is not known, and the expression that it is the value of."""

    expression: str

    def __str__(self) -> str:
        return self.expression


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
        super().__init__(template, parameters, facts, budget=budget)
        self._mistakes = mistakes

    def copies(self, loop: Any, place: str, frame: Frame = _NO_FRAME) -> list[Frame]:
        """Return the frames of a copy loop's iterations; of a loop of unknown length one, whose index is unknown."""
        if isinstance(loop, dict) and isinstance(self.value(loop.get("count"), f"{place}.count", frame), Unknown):
            unknown = Unknown("copyIndex()")
            name = str(loop.get("name", "")).lower()
            return [replace(frame, copies={**frame.copies, "": unknown, name: unknown})]  # type: ignore[dict-item]  # an index that nobody computes with
        return super().copies(loop, place, frame)

    def _text(self, text: str, place: str, frame: Frame) -> Any:
        try:
            return super()._text(text, place, frame)
        except NotKnownYet:
            return Unknown(text)
        except errors.InvalidTemplate as error:
            if min(self.budget.left.values()) < 0 or not is_expression(text):
                raise
            self._mistakes.found.append((place, error.message))
            return Unknown(text)

    def _evaluate(self, tree: Expression, frame: Frame) -> Any:
        value = super()._evaluate(tree, frame)
        if isinstance(value, Unknown):
            raise NotKnownYet(value.expression)
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
        if key not in _OF_SHAPE and any(holds_unknown(value) for value in values):
            raise NotKnownYet(key)
        return values

    def _or_unknown(self, argument: Expression, frame: Frame) -> Any:
        try:
            return self._evaluate(argument, frame)
        except NotKnownYet:
            return Unknown(f"[{render(argument)}]")

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
    waiting = [value]
    while waiting:
        part = waiting.pop()
        if isinstance(part, Unknown):
            return True
        if isinstance(part, dict):
            waiting += part.values()
        elif isinstance(part, list):
            waiting += part
    return False
