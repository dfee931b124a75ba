"""YAML with the position of every value, and of every line of its texts.

The nodes of PyYAML carry their positions. Nothing in a file makes objects, and tags of other programs (`!vault`,
`!reference`) are left alone.

Invariant: what is read is bounded in depth and number before anything walks it, also what aliases repeat.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, Final, TypeVar

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from poolwright import bounded_yaml
from poolwright.lint.texts import Broken, Place, Text

MAX_CHARACTERS: Final = 4 * 1024 * 1024
_WORD: Final = re.compile(r"\S")

T = TypeVar("T")


def documents(text: Text) -> list[Node]:
    """Return the root of each document of a stream. Raises `Broken`."""
    if len(text.content) > MAX_CHARACTERS:
        raise Broken(text.place(0), f"the YAML is longer than {MAX_CHARACTERS} characters; split it")
    try:
        return bounded_yaml.documents(text.content)
    except bounded_yaml.TooMuchYaml as error:
        raise Broken(Place(text.file, error.line, error.column), f"{error}; split it") from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise Broken(_place(text, mark), f"this is not YAML: {error.problem or error}") from error
    except yaml.YAMLError as error:
        raise Broken(text.place(0), f"this is not YAML: {' '.join(str(error).split())}") from error


def mappings(root: Node) -> Iterator[MappingNode]:
    """Yield every mapping in a document, the outer ones first; one that aliases repeat, once."""
    seen: set[int] = set()
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, MappingNode):
            yield node
        waiting += reversed(bounded_yaml.children_of(node))


def handed_down(
    root: Node, nothing: T, of_mapping: Callable[[T, dict[str, Node]], T], of_member: Callable[[T, Node], T]
) -> dict[int, T]:
    """Return for each mapping, by its `id`, what its own members add to what is around it; a member may add more."""
    found: dict[int, T] = {}
    seen: set[int] = set()
    waiting: list[tuple[Node, T]] = [(root, nothing)]
    while waiting:
        node, around = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, MappingNode):
            here = found[id(node)] = of_mapping(around, members(node))
            waiting += [(value, of_member(here, key)) for key, value in reversed(node.value)]
        else:
            waiting += [(child, around) for child in reversed(bounded_yaml.children_of(node))]
    return found


def members(node: Node) -> dict[str, Node]:
    """Return the values of a mapping by name; what `<<` merges stands behind what is written."""
    found: dict[str, Node] = {}
    merged: list[Node] = []
    for key, value in node.value if isinstance(node, MappingNode) else ():
        if isinstance(key, ScalarNode) and key.value == "<<":
            merged += value.value if isinstance(value, SequenceNode) else [value]
        elif isinstance(key, ScalarNode):
            found[key.value] = value
    for each in merged:
        for key, value in each.value if isinstance(each, MappingNode) else ():
            if isinstance(key, ScalarNode) and key.value != "<<":
                found.setdefault(key.value, value)
    return found


def place_of(text: Text, node: Node) -> Place:
    """Return where a value begins."""
    return _place(text, node.start_mark)


def _place(text: Text, mark: Any) -> Place:
    return Place(text.file, mark.line + 1, mark.column + 1) if mark is not None else text.place(0)


def script_in(text: Text, node: ScalarNode) -> Text:
    """Return the text of a scalar as a script that knows its lines in the file.

    Of a block (`|`, `>`) the lines are taken as they stand, without their indentation. Where a text in quotes goes
    over several lines, all of it is on its first one.
    """
    line = node.start_mark.line
    if node.style not in ("|", ">"):
        quote = 1 if node.style in ("'", '"') else 0
        content = node.value if node.start_mark.line == node.end_mark.line else node.value.replace("\n", " ")
        return Text(text.file, content, line=line + 1, column=node.start_mark.column + 1 + quote)
    lines = text.lines(line + 1, node.end_mark.line + 1)
    first = next((each for each in lines if each.strip()), "")
    found = _WORD.search(first)
    indent = found.start() if found is not None else 0
    body = [each[indent:].rstrip("\r") for each in lines]
    while body and not body[-1].strip():
        body.pop()
    # The line on which the next value begins is not of the block.
    number = node.value.rstrip("\n").count("\n") + 1
    if node.style == ">":
        body = body[: _folded_lines(lines, indent)]
        return _FoldedText(text.file, body, line=line + 2, indent=indent)
    return Text(text.file, "\n".join(body[:number]), line=line + 2, column=indent + 1, indent=indent)


def _folded_lines(lines: list[str], indent: int) -> int:
    """How many lines belong to a folded block: up to one that stands further left."""
    for number, line in enumerate(lines):
        if line.strip() and len(line) - len(line.lstrip(" ")) < indent:
            return number
    return len(lines)


class _FoldedText(Text):
    """A block whose lines YAML joins by blanks; a blank is as long as the end of a line."""

    def __init__(self, file: str, lines: list[str], *, line: int, indent: int) -> None:
        super().__init__(file, "\n".join(lines), line=line, column=indent + 1, indent=indent)
        self.content = re.sub(r"(?<=[^\n])\n(?=[^\n ])", " ", self.content)
