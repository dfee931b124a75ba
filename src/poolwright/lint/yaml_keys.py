"""What YAML holds under keys that are no scripts: variables, words for people, and what nobody knows.

Sources: `vars` and `environment` of
https://docs.ansible.com/ansible/latest/reference_appendices/playbooks_keywords.html, its module set_fact; `env` of
https://docs.github.com/actions/reference/workflows-and-actions/workflow-syntax; `variables` of
https://docs.gitlab.com/ci/yaml/ and https://learn.microsoft.com/azure/devops/pipelines/yaml-schema/

Invariant: a variable is never taken for a script, whatever its name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from poolwright.lint.shell_words import shortened
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
_DOCUMENTS: Final = (".md", ".rst")
# What Ansible's name of a module may begin, as `action: shell az aks ...`.
_BEGUN_BY_MODULE: Final = ("action", "local_action", "module")


def variables_in(root: Node) -> dict[int, bool]:
    """Return whether the members of a mapping are variables, by the `id` of the mapping."""
    return handed_down(root, False, _of_mapping, _of_member)


def is_variable(root: Node, mapping: MappingNode, name: str, node: Node) -> bool:
    """Return whether a member is a variable of a file that is one mapping: there is no task around it."""
    return mapping is root and name in _OF_TASK and isinstance(node, ScalarNode)


def is_for_people(name: str) -> bool:
    """Return whether what stands under the key is read by people."""
    last = name.rpartition("/")[2].lower()
    return last in _FOR_PEOPLE or last.endswith(_DOCUMENTS)


def others_in(root: Node, known: set[int]) -> Iterator[tuple[str, Node]]:
    """Yield the texts and lists that are neither `known` nor for people, each with the key above it."""
    seen: set[int] = set()
    waiting = [("", root)]
    while waiting:
        key, node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, MappingNode):
            pairs = [(name.value if isinstance(name, ScalarNode) else "", value) for name, value in node.value]
            waiting += reversed([pair for pair in pairs if not is_for_people(pair[0])])
        elif key not in _BEGUN_BY_MODULE and not (isinstance(node, ScalarNode) and id(node) in known):
            yield key, node
        if isinstance(node, SequenceNode):
            waiting += [(key, part) for part in reversed(node.value)]


def why_not_known(key: str) -> str:
    """Return why a command of az under the key is not read, and what to do."""
    return (
        f"a command that makes or changes node pools stands here in '{shortened(key)}', which is not known as a "
        "script: write it into one, such as run, script, bash, shell, cmds or command"
    )


def _of_mapping(around: bool, named: Mapping[str, Node]) -> bool:
    # A job of that name.
    return around and "steps" not in named


def _of_member(here: bool, key: Node) -> bool:
    return here or (isinstance(key, ScalarNode) and key.value in _VARIABLES)
