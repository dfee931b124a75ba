"""ARM's template expressions: text to tree and back.

    [concat('np', copyIndex())]   a string in brackets is an expression
    [[not one]                    two brackets are an escaped one

    expression := primary ( '.' name | '[' expression ']' )*
    primary    := call | string | integer
    call       := name ( '.' name )? '(' ( expression ( ',' expression )* )? ')'
    string     := "'" ( any character but ' | "''" )* "'"

Source: https://learn.microsoft.com/azure/azure-resource-manager/templates/template-expressions

Invariant: `parse(f"[{render(tree)}]") == tree`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias

from poolwright import errors

MAX_CHARACTERS: Final = 24_576  # ARM's own limit
MAX_NESTING: Final = 100
# ARM's `int` is a signed 64-bit integer: https://learn.microsoft.com/azure/azure-resource-manager/templates/data-types
LONG: Final = range(-(2**63), 2**63)
_MAX_DIGITS: Final = 100


@dataclass(frozen=True, slots=True)
class Literal:
    """A string or an integer."""

    value: str | int


@dataclass(frozen=True, slots=True)
class Call:
    """A function of the language, or one of the template's own with its namespace: `__bicep.nameOf`."""

    function: str
    arguments: tuple[Expression, ...] = ()


@dataclass(frozen=True, slots=True)
class Member:
    """`target.name`."""

    target: Expression
    name: str


@dataclass(frozen=True, slots=True)
class Index:
    """`target[index]`."""

    target: Expression
    index: Expression


Expression: TypeAlias = Literal | Call | Member | Index


def is_expression(text: str) -> bool:
    """Whether the string is an expression and not text."""
    return text.startswith("[") and text.endswith("]") and not text.startswith("[[")


def unescaped(text: str) -> str:
    """Return a string that is no expression as it is meant: `[[x]` means `[x]`."""
    return text[1:] if text.startswith("[[") and text.endswith("]") else text


def escaped(text: str) -> str:
    """Return the string that means this text in a template."""
    return f"[{text}" if text.startswith("[") and text.endswith("]") else text


def parse(text: str) -> Expression:
    """Return the tree of a string in brackets. Raises `InvalidTemplate`."""
    if len(text) > MAX_CHARACTERS:
        raise errors.InvalidTemplate(
            f"The language expression length limit exceeded. Limit: '{MAX_CHARACTERS}' and actual: '{len(text)}'.",
            remedy="put parts of the expression into variables",
        )
    parser = _Parser(text[1:-1])
    tree = parser.expression(0)
    parser.end()
    return tree


def render(tree: Expression) -> str:
    """Return the expression as text, without the brackets."""
    match tree:
        case Literal(str() as value):
            return "'" + value.replace("'", "''") + "'"
        case Literal(value):
            return str(value)
        case Call(function, arguments):
            return f"{function}({', '.join(render(argument) for argument in arguments)})"
        case Member(target, name):
            return f"{render(target)}.{name}"
        case Index(target, index):
            return f"{render(target)}[{render(index)}]"


def calls(tree: Expression) -> Iterator[Call]:
    """Yield every call in the tree, the outer ones first."""
    waiting = [tree]
    while waiting:
        match waiting.pop():
            case Call(_, arguments) as call:
                yield call
                waiting += reversed(arguments)
            case Member(target, _):
                waiting.append(target)
            case Index(target, index):
                waiting += (index, target)


_TOKEN: Final = re.compile(
    r"\s*(?:(?P<string>'(?:[^']|'')*')|(?P<integer>-?[0-9]+)|(?P<name>[A-Za-z_$][\w$]*)|(?P<mark>[()\[\],.]))", re.ASCII
)


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens: list[tuple[str, str, int]] = []
        place, end = 0, len(text.rstrip())
        while place < end:
            found = _TOKEN.match(text, place)
            if found is None:
                raise self._unexpected(len(text) - len(text[place:].lstrip()))
            kind = found.lastgroup or ""
            self._tokens.append((kind, found[kind], found.start(kind)))
            place = found.end()
        self._next = 0

    def expression(self, depth: int) -> Expression:
        tree: Expression | None = None
        while True:
            # Each `.name` or `[index]` is around what stands before it.
            if depth > MAX_NESTING:
                raise errors.InvalidTemplate(
                    f"The language expression is nested deeper than {MAX_NESTING} levels.",
                    remedy="put parts of the expression into variables",
                )
            if tree is None:
                tree = self._primary(depth)
                continue
            depth += 1
            if self._take("."):
                tree = Member(tree, self._name())
            elif self._take("["):
                index = self.expression(depth + 1)
                self._require("]")
                tree = Index(tree, index)
            else:
                return tree

    def end(self) -> None:
        if self._next < len(self._tokens):
            raise self._unexpected()

    def _primary(self, depth: int) -> Expression:
        kind, text = self._kind(), self._word()
        if kind == "string":
            self._next += 1
            return Literal(text[1:-1].replace("''", "'"))
        if kind == "integer":
            self._next += 1
            if len(text) > _MAX_DIGITS or int(text) not in LONG:
                raise errors.InvalidTemplate(
                    "An integer of the language expression is outside the range of a signed 64-bit integer.",
                    remedy="write it as a string",
                )
            return Literal(int(text))
        function = self._name()
        if self._take("."):
            function = f"{function}.{self._name()}"
        self._require("(")
        arguments: list[Expression] = []
        if not self._take(")"):
            arguments.append(self.expression(depth + 1))
            while self._take(","):
                arguments.append(self.expression(depth + 1))
            self._require(")")
        return Call(function, tuple(arguments))

    def _name(self) -> str:
        if self._kind() != "name":
            raise self._unexpected()
        self._next += 1
        return self._tokens[self._next - 1][1]

    def _take(self, mark: str) -> bool:
        if self._kind() == "mark" and self._word() == mark:
            self._next += 1
            return True
        return False

    def _require(self, mark: str) -> None:
        if not self._take(mark):
            raise self._unexpected()

    def _kind(self) -> str:
        return self._tokens[self._next][0] if self._next < len(self._tokens) else ""

    def _word(self) -> str:
        return self._tokens[self._next][1] if self._next < len(self._tokens) else ""

    def _unexpected(self, place: int | None = None) -> errors.InvalidTemplate:
        if place is None:
            place = self._tokens[self._next][2] if self._next < len(self._tokens) else len(self._text)
        what = repr(self._text[place]) if place < len(self._text) else "end of the expression"
        shown = self._text if len(self._text) <= 200 else f"{self._text[:197]}..."
        return errors.InvalidTemplate(
            f"Unable to parse language expression '{shown}': unexpected {what} at character {place + 1}.",
            remedy="correct the expression; bicep build prints correct ones",
        )
