"""YAML and JSON as values, with the line and column of each.

YAML is read by the rules of version 1.2's core schema, as JSON values: `no` is a text, `1.30` a number, and there
are no dates and no objects of Python.

Invariant: whatever the file holds, the outcome is a value or a list of problems with their positions.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from poolwright.bounded_files import TooLarge, content

MAX_BYTES: Final = 16 * 1024 * 1024
# Aliases make little text mean much.
MAX_VALUES: Final = 1_000_000
MAX_DEPTH: Final = 64

Place = tuple[str | int, ...]
N = TypeVar("N", int, float)


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong, where: a line and column from 1 (0 is the file as a whole), and the path of the value."""

    line: int
    column: int
    place: str
    what: str


class WrongSeed(ValueError):
    """The seed cannot be used; says every problem."""

    def __init__(self, file: str, problems: Sequence[Problem]) -> None:
        self.problems = tuple(sorted(problems, key=lambda problem: (problem.line, problem.column)))
        shown = "\n".join(
            f"  {file}:{problem.line}:{problem.column}: {problem.place + ': ' if problem.place else ''}{problem.what}"
            for problem in self.problems
        )
        number = len(self.problems)
        super().__init__(f"the seed cannot be used, {number} problem{'s' if number > 1 else ''}:\n{shown}")


@dataclass(frozen=True, slots=True)
class SeedFile:
    """A seed as read: its name, its value, and where everything stands."""

    name: str
    value: Any
    positions: dict[Place, tuple[int, int]]

    def problem(self, place: Place, what: str) -> Problem:
        """Return the problem with the position of the value, or of the nearest one around it that the file has."""
        known = place
        while known and known not in self.positions:
            known = known[:-1]
        line, column = self.positions.get(known, (1, 1))
        return Problem(line, column, path_of(place), what)


def path_of(place: Place) -> str:
    """Return the place as people write it: `clusters[0].nodePools[1].name`."""
    text = ""
    for part in place:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def read(path: Path) -> SeedFile:
    """Return what the file holds. Raises `WrongSeed`; `OSError` when it cannot be read."""
    name = str(path)
    try:
        raw = content(path, MAX_BYTES)
    except TooLarge as error:
        raise WrongSeed(name, [Problem(0, 0, "", f"the file is larger than {MAX_BYTES} bytes")]) from error
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise WrongSeed(name, [Problem(line, 1, "", "the file is not UTF-8")]) from error
    # JSON is YAML, except that YAML takes no tabs between values; inside of its texts JSON has none.
    return parse(name, text.replace("\t", " ") if _is_json(text) else text)


def parse(name: str, text: str) -> SeedFile:
    """Return what the text holds. Raises `WrongSeed`."""
    try:
        root = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        raise WrongSeed(name, [Problem(line, column, "", str(error.problem or error))]) from error
    except yaml.YAMLError as error:
        raise WrongSeed(name, [Problem(1, 1, "", " ".join(str(error).split()))]) from error
    except RecursionError as error:
        raise WrongSeed(name, [Problem(1, 1, "", f"it is nested deeper than {MAX_DEPTH} levels")]) from error
    positions: dict[Place, tuple[int, int]] = {}
    problems: list[Problem] = []
    value = _Reader(positions, problems).value(root, ()) if root is not None else {}
    if problems:
        raise WrongSeed(name, problems)
    return SeedFile(name, value, positions)


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


class _Loader(yaml.SafeLoader):
    """Knows JSON's values and no others; see `_SCALARS`."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - PyYAML's own form


# YAML 1.2, 10.3.2 (https://yaml.org/spec/1.2.2/#1032-tag-resolution), without infinity, which JSON does not have.
_SCALARS: Final = (
    ("tag:yaml.org,2002:null", r"null|Null|NULL|~|", ["n", "N", "~", ""]),
    ("tag:yaml.org,2002:bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("tag:yaml.org,2002:int", r"[-+]?[0-9]+", list("-+0123456789")),
    ("tag:yaml.org,2002:float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", list("-+.0123456789")),
)
for _tag, _pattern, _first in _SCALARS:
    _Loader.add_implicit_resolver(_tag, re.compile(rf"(?:{_pattern})\Z"), _first)


def _joined_surrogates(text: str) -> str:
    """The text with characters that JSON wrote as two `\\u` in one. Raises `ValueError` for half of one."""
    return text if text.isascii() else text.encode("utf-16-le", "surrogatepass").decode("utf-16-le")


def _bounded(number: N) -> N:
    """The number, which JSON and its readers can carry. Raises `ValueError`."""
    if not abs(number) < 2**63:
        raise ValueError(number)
    return number


_SCALAR_VALUES: Final[dict[str, Callable[[str], Any]]] = {
    "tag:yaml.org,2002:null": lambda text: None,
    "tag:yaml.org,2002:bool": lambda text: text.lower() == "true",
    "tag:yaml.org,2002:int": lambda text: _bounded(int(text)),
    "tag:yaml.org,2002:float": lambda text: _bounded(float(text)),
    "tag:yaml.org,2002:str": _joined_surrogates,
}


def _name_of(key: Node) -> str | None:
    try:
        return _joined_surrogates(key.value) if isinstance(key, ScalarNode) else None
    except ValueError:
        return None


class _Reader:
    """Turns YAML's nodes into JSON values, noting where each stands and what cannot be one."""

    def __init__(self, positions: dict[Place, tuple[int, int]], problems: list[Problem]) -> None:
        self._positions = positions
        self._problems = problems
        self._left = MAX_VALUES

    def value(self, node: Node, place: Place) -> Any:
        self._positions[place] = (node.start_mark.line + 1, node.start_mark.column + 1)
        self._left -= 1
        if len(place) > MAX_DEPTH:
            return self._refuse(node, place[:-1], f"it is nested deeper than {MAX_DEPTH} levels")
        if self._left == 0:
            self._refuse(node, place, f"the file holds more than {MAX_VALUES} values")
        if self._left <= 0:
            return None
        match node:
            case MappingNode(tag="tag:yaml.org,2002:map"):
                return self._mapping(node, place)
            case SequenceNode(tag="tag:yaml.org,2002:seq"):
                return [self.value(part, (*place, index)) for index, part in enumerate(node.value)]
            case ScalarNode():
                return self._scalar(node, place)
        return self._refuse(node, place, f"it is no JSON value ({node.tag})")

    def _mapping(self, node: MappingNode, place: Place) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, part in node.value:
            # Azure's names are texts, also where they look like numbers.
            name = _name_of(key)
            if name is None:
                self._refuse(key, place, "a name must be a text")
            elif name in found:
                self._refuse(key, (*place, name), "it stands there twice")
            else:
                found[name] = self.value(part, (*place, name))
        return found

    def _scalar(self, node: ScalarNode, place: Place) -> Any:
        try:
            return _SCALAR_VALUES[node.tag](node.value)
        except (LookupError, ValueError):
            return self._refuse(node, place, f"it is no JSON value ({node.tag})")

    def _refuse(self, node: Node, place: Place, what: str) -> None:
        mark = node.start_mark
        self._problems.append(Problem(mark.line + 1, mark.column + 1, path_of(place), what))
