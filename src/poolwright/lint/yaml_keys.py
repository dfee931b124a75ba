"""What YAML holds under keys that are no scripts: variables, and words for people.

Sources: `vars` and `environment` of
https://docs.ansible.com/ansible/latest/reference_appendices/playbooks_keywords.html, its module set_fact; `env` of
https://docs.github.com/actions/reference/workflows-and-actions/workflow-syntax; `variables` of
https://docs.gitlab.com/ci/yaml/ and https://learn.microsoft.com/azure/devops/pipelines/yaml-schema/

Invariant: a variable is never taken for a script, whatever its name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from yaml.nodes import MappingNode, Node, ScalarNode

from poolwright.lint.yaml_text import handed_down

_VARIABLES: Final = frozenset(
    (
        *("vars", "set_fact", "ansible.builtin.set_fact", "ansible.legacy.set_fact"),
        *("environment", "env", "variables"),
    )
)
# The parts of a task, which a document that is one mapping cannot be: a file of variables is.
_OF_TASK: Final = ("cmd", "command", "args")
_FOR_PEOPLE: Final = frozenset(
    (
        *("name", "displayname", "title", "label", "description", "desc", "summary", "help", "usage"),
        *("comment", "comments", "note", "notes", "message", "msg", "fail_msg", "success_msg", "prompt", "body"),
        *("example", "examples"),
    )
)


def variables_in(root: Node) -> dict[int, bool]:
    """Return whether the members of a mapping are variables, by the `id` of the mapping."""
    return handed_down(root, False, _of_mapping, _of_member)


def is_variable(root: Node, mapping: MappingNode, name: str, node: Node) -> bool:
    """Return whether a member is a variable of a file that is one mapping: there is no task around it."""
    return mapping is root and name in _OF_TASK and isinstance(node, ScalarNode)


def is_for_people(name: str) -> bool:
    """Return whether what stands under the key is read by people."""
    return name.rpartition("/")[2].lower() in _FOR_PEOPLE


def _of_mapping(around: bool, named: Mapping[str, Node]) -> bool:
    # A job of that name.
    return around and "steps" not in named


def _of_member(here: bool, key: Node) -> bool:
    return here or (isinstance(key, ScalarNode) and key.value in _VARIABLES)
