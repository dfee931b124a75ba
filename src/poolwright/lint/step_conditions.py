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

from poolwright.lint.shell_words import shortened
from poolwright.lint.yaml_text import handed_down

_KEYS: Final = ("if", "condition", "when", "only", "except")
# GitLab's `when` that is none.
_NONE: Final = frozenset(("on_success", "always"))
_LOOP: Final = re.compile(r"loop|with_\w+")
_AROUND: Final = re.compile(r"\$\{\{\s*(?:if|elseif|else|each)\b.*\}\}", re.DOTALL)
_OF_MEMBERS: Final[Mapping[str, str]] = {
    "rescue": "a task of its block fails",
    "handlers": "a task notifies it",
}


def conditions_in(root: Node) -> dict[int, str | None]:
    """Return the conditions of a mapping and of what is around it, by the `id` of the mapping."""
    return handed_down(root, None, _of_mapping, _of_member)


def together(*conditions: str | None) -> str | None:
    """Return conditions that all have to hold as one; None where there is none."""
    return ", and ".join(dict.fromkeys(each for each in conditions if each is not None)) or None


def _of_mapping(around: str | None, named: Mapping[str, Node]) -> str | None:
    return together(around, *_conditions(named))


def _conditions(named: Mapping[str, Node]) -> Iterator[str]:
    for name in _KEYS:
        text = _text(named.get(name))
        if text and not (name == "when" and text in _NONE):
            yield shortened(f"{name}: {text}")
    if "rules" in named and "script" in named:
        yield "its rules"
    if any(map(_LOOP.fullmatch, named)):
        yield "a loop"


def _of_member(here: str | None, key: Node) -> str | None:
    if not isinstance(key, ScalarNode):
        return here
    is_around = _AROUND.fullmatch(key.value.strip()) is not None
    return together(here, shortened(key.value) if is_around else _OF_MEMBERS.get(key.value))


def _text(node: Node | None) -> str:
    """A text, or those of a list, on one line."""
    if isinstance(node, MappingNode):
        return "..."
    nodes = node.value if isinstance(node, SequenceNode) else [node]
    return " and ".join(" ".join(each.value.split()) for each in nodes if isinstance(each, ScalarNode))
