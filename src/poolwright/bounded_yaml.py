"""YAML whose size is known before anything is made of it.

A few hundred characters of YAML can stand for billions of values: aliases repeat what an anchor holds, merges (`<<`)
copy it. The events of the parser are counted first, which builds nothing; then the nodes, as if every alias were
written out, each of them once.

Invariant: nothing walks, copies or constructs what comes back for longer than the limits allow. Sources:
https://yaml.org/spec/1.1/#id863390 (aliases), https://yaml.org/type/merge.html (merges)
"""

from __future__ import annotations

from typing import Any, Final

import yaml
from yaml.nodes import MappingNode, Node, SequenceNode

MAX_DEPTH: Final = 64
MAX_VALUES: Final = 500_000
# With libyaml where that is there.
_LOADER: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class TooMuchYaml(ValueError):
    """The YAML goes beyond a limit; `line` and `column`, which count from 1, say where."""

    def __init__(self, reason: str, mark: Any) -> None:
        super().__init__(reason)
        self.line: int = mark.line + 1
        self.column: int = mark.column + 1


def documents(text: str, *, max_values: int = MAX_VALUES) -> list[Node]:
    """Return the root of each document of a stream, as nodes. Raises `yaml.YAMLError` and `TooMuchYaml`."""
    _require_written_bounded(text, max_values)
    roots = [node for node in yaml.compose_all(text, Loader=_LOADER) if node is not None]
    left = max_values
    for root in roots:
        left -= _written_out(root, left, max_values)
    return roots


def require_bounded(root: Node, *, max_values: int = MAX_VALUES) -> None:
    """Require the limits of a document whose nodes were put together anew. Raises `TooMuchYaml`."""
    _written_out(root, max_values, max_values)


def _require_written_bounded(text: str, max_values: int) -> None:
    """Count what is written without building anything: libyaml's composer calls itself for every level."""
    depth = 0
    for number, event in enumerate(yaml.parse(text, Loader=_LOADER)):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MAX_DEPTH:
            raise TooMuchYaml(f"the YAML is nested deeper than {MAX_DEPTH} levels", event.start_mark)
        if number > max_values:
            raise TooMuchYaml(f"the YAML has more than {max_values} values", event.start_mark)


def _written_out(root: Node, left: int, max_values: int) -> int:
    """How many values the node has with its aliases written out. Looks at each node once."""
    known: dict[int, tuple[int, int]] = {}  # values and depth
    around: set[int] = set()
    waiting = [(root, False)]
    while waiting:
        node, is_after = waiting.pop()
        if id(node) in known:
            continue
        children = children_of(node)
        if not is_after:
            if id(node) in around:
                raise TooMuchYaml("the aliases of the YAML make it endless; write it out", node.start_mark)
            around.add(id(node))
            waiting.append((node, True))
            waiting += [(child, False) for child in reversed(children)]
            continue
        around.discard(id(node))
        values = 1 + sum(known[id(child)][0] for child in children)
        depth = 1 + max((known[id(child)][1] for child in children), default=0)
        if values > left:
            raise TooMuchYaml(
                f"the YAML has more than {max_values} values with its aliases written out", node.start_mark
            )
        if depth > MAX_DEPTH + 1:
            raise TooMuchYaml(
                f"the YAML is nested deeper than {MAX_DEPTH} levels with its aliases written out", node.start_mark
            )
        known[id(node)] = values, depth
    return known[id(root)][0]


def children_of(node: Node) -> list[Node]:
    """Return what stands directly in a node, keys included."""
    if isinstance(node, MappingNode):
        return [part for pair in node.value for part in pair]
    return list(node.value) if isinstance(node, SequenceNode) else []
