"""Under which conditions what stands in YAML runs, as far as the YAML says.

Sources: `if` of jobs and steps in https://docs.github.com/actions/reference/workflows-and-actions/workflow-syntax;
`condition` and the `${{ if }}`, `${{ else }}` and `${{ each }}` around steps, jobs and stages in
https://learn.microsoft.com/azure/devops/pipelines/process/template-expressions; `when`, `loop`, `with_...`, `rescue`
and `handlers` in https://docs.ansible.com/ansible/latest/reference_appendices/playbooks_keywords.html; `rules`, `only`,
`except` and `when` in https://docs.gitlab.com/ci/yaml/

Invariant: a condition is shown as it is written, and never evaluated.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from poolwright import bounded_yaml
from poolwright.lint.shell_words import shortened
from poolwright.lint.yaml_text import members

_KEYS: Final = ("if", "condition", "when", "only", "except")
# GitLab's `when` that is none.
_NONE: Final = frozenset(("on_success", "always"))
_LOOP: Final = re.compile(r"loop|with_\w+")
_AROUND: Final = re.compile(r"\$\{\{\s*(?:if|elseif|else|each)\b.*\}\}", re.DOTALL)
_OF_MEMBERS: Final[Mapping[str, str]] = {
    "rescue": "a task of its block fails",
    "handlers": "a task notifies it",
}


def conditions_in(root: Node) -> dict[int, str]:
    """Return the conditions of a mapping and of what is around it, by the `id` of the mapping."""
    found: dict[int, str] = {}
    seen: set[int] = set()
    waiting: list[tuple[Node, str | None]] = [(root, None)]
    while waiting:
        node, around = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if not isinstance(node, MappingNode):
            waiting += [(child, around) for child in reversed(bounded_yaml.children_of(node))]
            continue
        here = together(around, *_conditions(members(node)))
        if here is not None:
            found[id(node)] = here
        waiting += [(value, together(here, _of_member(key))) for key, value in reversed(node.value)]
    return found


def together(*conditions: str | None) -> str | None:
    """Return conditions that all have to hold as one; None where there is none."""
    return ", and ".join(dict.fromkeys(each for each in conditions if each is not None)) or None


def _conditions(named: Mapping[str, Node]) -> Iterator[str]:
    for name in _KEYS:
        text = _text(named.get(name))
        if text and not (name == "when" and text in _NONE):
            yield shortened(f"{name}: {text}")
    if "rules" in named and "script" in named:
        yield "its rules"
    if any(map(_LOOP.fullmatch, named)):
        yield "a loop"


def _of_member(key: Node) -> str | None:
    if not isinstance(key, ScalarNode):
        return None
    return shortened(key.value) if _AROUND.fullmatch(key.value.strip()) else _OF_MEMBERS.get(key.value)


def _text(node: Node | None) -> str:
    """A text, or those of a list, on one line."""
    if isinstance(node, MappingNode):
        return "..."
    nodes = node.value if isinstance(node, SequenceNode) else [node]
    return " and ".join(" ".join(each.value.split()) for each in nodes if isinstance(each, ScalarNode))
