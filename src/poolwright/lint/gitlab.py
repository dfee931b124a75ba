"""Jobs of GitLab as GitLab makes them of a file: `!reference`, then `extends`, then what `default` gives every job.

Sources: `extends` (the nearest wins, lists replace each other, eleven levels), `inherit`, `default` and `include` in
https://docs.gitlab.com/ci/yaml/; `!reference` and hidden jobs in https://docs.gitlab.com/ci/yaml/yaml_optimization/.

Invariant: a script stands behind the `before_script` that is in force; where this file does not say which that is, it
stands behind none, so that what only another file may assign is unknown.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from itertools import count
from typing import Final

from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from poolwright import bounded_yaml
from poolwright.lint.texts import Broken, Place, Text
from poolwright.lint.yaml_text import members

_SCRIPTS: Final = ("before_script", "script", "after_script")
_CONDITIONS: Final = ("rules", "only", "except", "when")
_REFERENCE: Final = "!reference"
_NULL: Final = "tag:yaml.org,2002:null"
_TEXT: Final = "tag:yaml.org,2002:str"
# As GitLab's own limits, beyond which it refuses the file.
_MAX_LEVELS: Final = 11

# What a job gets of what it extends; None is what another file says.
_Given = Mapping[str, Node | None]


def with_whole_jobs(text: Text, root: Node) -> Node:
    """Return the document with every job whole, other documents as they are. Raises `Broken`.

    What a hidden job only holds for others stands in those.
    """
    referred = set(_follow_references(root))
    if not isinstance(root, MappingNode):
        return root
    jobs = _Jobs(root)
    if not referred and not jobs.names:
        return root
    whole = jobs.whole(referred)
    try:
        bounded_yaml.require_bounded(whole)
    except bounded_yaml.TooMuchYaml as error:
        raise Broken(Place(text.file, error.line, error.column), f"{error}; split it") from error
    return whole


def _follow_references(root: Node) -> Iterator[int]:
    """Put in the place of each `!reference` what it refers to; yields the `id` of that."""
    places: list[tuple[Node, int, Node]] = []
    seen: set[int] = set()
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, (MappingNode, SequenceNode)):
            values = [part[1] if isinstance(part, tuple) else part for part in node.value]
            places += [(node, at, value) for at, value in enumerate(values) if value.tag == _REFERENCE]
        waiting += bounded_yaml.children_of(node)
    # All are looked up before any is replaced.
    targets = [_referred(root, reference) for _, _, reference in places]
    for (around, at, _), target in zip(places, targets, strict=True):
        part = around.value[at]
        around.value[at] = (part[0], target) if isinstance(part, tuple) else target
        yield id(target)


def _referred(root: Node, reference: Node) -> Node:
    node = reference
    for level in count():
        if node.tag != _REFERENCE:
            return node
        path = node.value if isinstance(node, SequenceNode) else []
        found: Node | None = root if path and level < _MAX_LEVELS else None
        for part in path:
            found = members(found).get(part.value) if found is not None and isinstance(part, ScalarNode) else None
        if found is None:
            break
        node = found
    # What is not in this file may assign anything, as what bash reads with `.` does.
    written = f"{_REFERENCE} [{', '.join(_names(reference))}]"
    return ScalarNode(_TEXT, f". {shlex.quote(written)}", reference.start_mark, reference.start_mark)


class _Jobs:
    """The jobs of a document, by name."""

    def __init__(self, root: MappingNode) -> None:
        self._root = root
        named = members(root)
        self._own = {name: members(node) for name, node in named.items() if isinstance(node, MappingNode)}
        of_default = self._own.get("default", {})
        self._of_every_job = of_default.get("before_script", named.get("before_script"))
        self._is_whole_file = "include" not in named
        self._given: dict[str, _Given] = {}
        self.names = [name for name, own in self._own.items() if "script" in own or "extends" in own]

    def whole(self, referred: set[int]) -> MappingNode:
        given = {name: self._given_to(name, 0) for name in self.names}
        taken = referred | {
            id(each[part]) for name, each in given.items() if not _is_hidden(name) for part in _SCRIPTS if part in each
        }
        pairs: list[tuple[Node, Node]] = []
        for key, node in self._root.value:
            name = key.value if isinstance(key, ScalarNode) else None
            pairs.append((key, self._job(name, node, given[name], taken) if name in given else node))
        return MappingNode(self._root.tag, pairs, self._root.start_mark, self._root.end_mark)

    def _given_to(self, name: str, level: int) -> _Given:
        """The scripts and conditions of a job, those of what it extends behind its own."""
        if name in self._given:
            return self._given[name]
        own = self._own.get(name)
        if own is None or level > _MAX_LEVELS:
            return dict.fromkeys((*_SCRIPTS, "inherit"))
        # Also for what extends itself.
        self._given[name] = dict.fromkeys((*_SCRIPTS, "inherit"))
        given: dict[str, Node | None] = {}
        for parent in _names(own.get("extends")):
            given.update(self._given_to(parent, level + 1))
        given |= {part: _unless_null(own[part]) for part in (*_SCRIPTS, *_CONDITIONS) if part in own}
        inherited = members(own["inherit"]) if "inherit" in own else {}
        given |= {"inherit": inherited["default"]} if "default" in inherited else {}
        self._given[name] = given
        return given

    def _job(self, name: str, node: Node, given: _Given, taken: set[int]) -> MappingNode:
        own = self._own[name]
        parts = {**own, **{part: value for part, value in given.items() if part not in own and value is not None}}
        if "before_script" not in own:
            parts.pop("before_script", None)
            before = given.get("before_script") if "before_script" in given else self._by_default(name, given)
            # Another file may give a job of this name another one.
            if before is not None and self._is_whole_file:
                parts["before_script"] = before
        if _is_hidden(name):
            parts = {part: value for part, value in parts.items() if part not in _SCRIPTS or id(value) not in taken}
        pairs = [(ScalarNode(_TEXT, part, value.start_mark, value.start_mark), value) for part, value in parts.items()]
        return MappingNode(node.tag, pairs, node.start_mark, node.end_mark)

    def _by_default(self, name: str, given: _Given) -> Node | None:
        """What runs before a job that has nothing of its own; of a hidden one nobody here says."""
        if _is_hidden(name) or ("inherit" in given and not _takes_before_script(given["inherit"])):
            return None
        return self._of_every_job


def _takes_before_script(inherit: Node | None) -> bool:
    """`inherit: {default: true}`, or a list of what is inherited."""
    if isinstance(inherit, SequenceNode):
        return any(each.value == "before_script" for each in inherit.value)
    return isinstance(inherit, ScalarNode) and inherit.value.lower() == "true"


def _is_hidden(name: str) -> bool:
    return name.startswith(".")


def _names(node: Node | None) -> list[str]:
    parts = node.value if isinstance(node, SequenceNode) else [node]
    return [part.value if isinstance(part, ScalarNode) else "" for part in parts if part is not None]


def _unless_null(node: Node) -> Node | None:
    return None if node.tag == _NULL else node
