"""Node pools in YAML: scripts in pipelines and other manifests, and tasks of Ansible.

Sources: https://docs.github.com/actions (`run`, `azure/cli` with `inlineScript`), Azure Pipelines' `script`, `bash`
and AzureCLI@2; https://docs.gitlab.com/ci/yaml/ (`script` and the `before_script` in force are one script for one
shell, `after_script` another); https://taskfile.dev/docs/faq (each of `cmds` is for a shell of its own).

Invariant: an expression that a pipeline or Ansible fills in is unknown, and shown as it is written. A command that
makes node pools is read, told as not read, or for people.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Final

from yaml.nodes import Node, ScalarNode, SequenceNode

from poolwright.lint.ansible_tasks import SCRIPTED, actions_in, defaults_in, is_for_aks, pools_of_task
from poolwright.lint.arm_templates import Given
from poolwright.lint.az_commands import is_az, read_commands, read_script
from poolwright.lint.gitlab import with_whole_jobs
from poolwright.lint.pools import FoundCluster, FoundPool, Reading
from poolwright.lint.shell import Command
from poolwright.lint.shell_words import Value, Word, run_by, shortened
from poolwright.lint.step_conditions import conditions_in, together
from poolwright.lint.step_shells import (
    OF_POWERSHELL,
    POWERSHELL,
    assumption,
    is_read,
    makes_pools,
    shells_in,
    why_not_read,
)
from poolwright.lint.texts import Broken, JoinedText, Place, Text
from poolwright.lint.yaml_keys import is_for_people, is_variable, others_in, variables_in, why_not_known
from poolwright.lint.yaml_text import documents, mappings, members, place_of, script_in
from poolwright.templates.partial import Unknown

# Aliases can make more of them than anybody writes.
MAX_POOLS: Final = 1_000

# What holds a script for a shell like bash.
_SCRIPTS: Final = frozenset(
    (
        *("run", "script", "bash", "inlineScript", "before_script", "after_script", "commands", "command"),
        *("cmd", "cmds", "args", *SCRIPTED),
    )
)
# What holds the words of a command.
_VECTORS: Final = ("argv", "command")
_JOINED: Final = re.compile(r"[\\^]\r?\n")
_AZ: Final = re.compile(r"\baks\s+(?:create|nodepool)\b")
# What is filled in before a shell sees it, and how it ends: `${{ inputs.size }}` of GitHub and Azure Pipelines,
# `{{ size }}` of Ansible, `$[[ inputs.size ]]` of GitLab, `<< parameters.size >>`, `<< pipeline.number >>` of CircleCI
# (https://circleci.com/docs/guides/orchestrate/config-templating/), `$(size)` of Azure Pipelines, which in bash is a
# command whose output nobody knows either, `%SIZE%` and `!SIZE!` of cmd.
_FILLED_IN: Final = (
    (re.compile(r"\$?\{\{.*?\}\}"), "}}"),
    (re.compile(r"\$\[\[.*?\]\]"), "]]"),
    (re.compile(r"<<\s*(?:parameters|pipeline)\..*?>>"), ">>"),
    (re.compile(r"\$\([A-Za-z_][\w.]*\)"), ")"),
    (re.compile(r"%[A-Za-z_]\w*%"), "%"),
    (re.compile(r"![A-Za-z_]\w*!"), "!"),
)
_STAND_IN: Final = re.compile(r"\$\{_\w+\}|\$_\w{1,2}")
_DIGITS: Final = string.digits + string.ascii_letters


def read_yaml(text: Text, given: Given) -> tuple[Reading, list[tuple[Place, str]]]:
    """Return the node pools of a YAML file, and what in its scripts cannot be read. Raises `Broken`."""
    reading = Reading()
    wrong: list[tuple[Place, str]] = []
    roots = [with_whole_jobs(text, root) for root in documents(text)]
    seen: set[int] = set()
    read: set[tuple[str | int | None, ...]] = set()
    held: set[int] = set()
    for root in roots:
        clusters: dict[Any, FoundCluster] = {}
        shells, conditions, defaults = shells_in(root), conditions_in(root), defaults_in(root)
        variables = variables_in(root)
        for mapping in mappings(root):
            named = members(mapping)
            before = len(reading.pools)
            for name, node in named.items():
                shell = POWERSHELL if name in OF_POWERSHELL else shells.get(id(mapping)) if name != "bash" else None
                if variables[id(mapping)] or is_variable(root, mapping, name, node):
                    _read_variable(reading, text, name, node, held, given)
                elif is_for_aks(name):
                    for pool in pools_of_task(text, name, node, named, defaults[id(mapping)], clusters, given):
                        _add(reading, pool)
                elif name in OF_POWERSHELL or (name in _SCRIPTS and shell is not None and not is_read(shell)):
                    for script in _texts(node, seen):
                        if makes_pools(script.value):
                            wrong.append((place_of(text, script), why_not_read(shell or name)))
                elif name in _VECTORS and isinstance(node, SequenceNode) and _begins_with_az(node):
                    more = named.get("args") if name == "command" else None
                    _read_words(reading, text, [node, *([more] if isinstance(more, SequenceNode) else [])], seen, given)
                elif name == "script":
                    parts = [*_scalars(named.get("before_script")), *_scalars(node)]
                    key = conditions[id(mapping)], *map(id, parts)
                    if key not in read:
                        _read_script(reading, wrong, text, parts, given)
                    read.add(key)
                    seen.update(map(id, parts))
                elif name in _SCRIPTS and (name != "before_script" or "script" not in named):
                    for script in _texts(node, seen):
                        _read_script(reading, wrong, text, [script], given)
            for module, said in actions_in(text, named):
                shell = POWERSHELL if module in OF_POWERSHELL else shells.get(id(mapping))
                if is_for_aks(module):
                    for pool in pools_of_task(text, module, said, named, defaults[id(mapping)], clusters, given):
                        _add(reading, pool)
                elif module not in _SCRIPTS and module not in OF_POWERSHELL:
                    continue
                elif isinstance(said, Text) and shell is not None and not is_read(shell):
                    wrong += [(said.place(0), why_not_read(shell))] if makes_pools(said.content) else []
                elif isinstance(said, Text) and _AZ.search(_JOINED.sub(" ", said.content)):
                    _read_text(reading, wrong, said, given)
            assumed = assumption(shells.get(id(mapping))) if "run" in named else None
            condition = together(conditions[id(mapping)], assumed)
            reading.pools[before:] = [
                replace(pool, condition=together(condition, pool.condition)) for pool in reading.pools[before:]
            ]
        for name, node in others_in(root, seen | held):
            if _holds_command(node, seen):
                wrong.append((place_of(text, node), why_not_known(name)))
    return reading, wrong


def _holds_command(node: Node, seen: set[int]) -> bool:
    """Whether a text, or the words of a list, make or change node pools."""
    if isinstance(node, SequenceNode):
        words = [part.value for part in node.value if isinstance(part, ScalarNode) and id(part) not in seen]
        return _begins_with_az(node) and makes_pools(" ".join(words))
    return makes_pools(_JOINED.sub(" ", node.value))


def _scalars(node: Node | None) -> Iterator[ScalarNode]:
    """The texts in a node, those in the lists in it as well: so GitLab takes a list that an alias stands for."""
    waiting = [node]
    while waiting:
        part = waiting.pop()
        if isinstance(part, ScalarNode):
            yield part
        elif isinstance(part, SequenceNode):
            waiting += reversed(part.value)


def _add(reading: Reading, pool: FoundPool) -> None:
    if len(reading.pools) == MAX_POOLS:
        raise Broken(pool.place, f"there are more than {MAX_POOLS} node pools in the file; split it")
    reading.pools.append(pool)


def _texts(node: Node, seen: set[int]) -> Iterator[ScalarNode]:
    """The texts in a node, except those that were `seen`: an alias repeats them."""
    parts = node.value if isinstance(node, SequenceNode) else [node]
    for part in parts:
        if id(part) in seen:
            continue
        seen.add(id(part))
        if isinstance(part, ScalarNode):
            yield part


def _begins_with_az(node: SequenceNode) -> bool:
    """Whether the sequence is a command by its words, as `[az, aks, create]` and `[sudo, az, aks, create]`."""
    return any(isinstance(part, ScalarNode) and is_az(part.value) for part in node.value[:8])


def _read_words(reading: Reading, text: Text, nodes: list[SequenceNode], seen: set[int], given: Given) -> None:
    """Read a command that no shell splits: Ansible's `argv`, the `command` and `args` of a container."""
    parts = [part for node in nodes for part in node.value]
    if id(parts[0]) in seen or not all(isinstance(part, ScalarNode) for part in parts):
        return
    seen.update(map(id, parts))
    words = [Word(_filled_in(part), place_of(text, part)) for part in parts]
    command = run_by(words)
    if command:
        for pool in read_commands([Command(tuple(command), words[0].place, None)], given).pools:
            _add(reading, pool)


def _read_variable(reading: Reading, text: Text, name: str, node: Node, held: set[int], given: Given) -> None:
    """Read a variable that may hold a command, of which nobody says whether and how it runs."""
    for value in _texts(node, held):
        if not is_for_people(name) and makes_pools(_JOINED.sub(" ", value.value)):
            place = place_of(text, value)
            command = Command((Word(Unknown(name), place),), place, f"'{shortened(name)}' is run", held=(value.value,))
            for pool in read_commands([command], given).pools:
                _add(reading, pool)


def _filled_in(node: ScalarNode) -> Value:
    """The word, unknown where something in it is filled in beforehand."""
    is_unknown = any(pattern.search(node.value) for pattern, _ in _FILLED_IN) or "{%" in node.value
    return Unknown(node.value) if is_unknown else str(node.value)


def _read_script(
    reading: Reading, wrong: list[tuple[Place, str]], text: Text, nodes: Sequence[ScalarNode], given: Given
) -> None:
    """Read texts that one shell reads one after the other; what aliases repeat is found once, unless it differs."""
    if not any(_AZ.search(_JOINED.sub(" ", node.value)) for node in nodes):
        return
    script = JoinedText([script_in(text, node) for node in nodes])
    _read_text(reading, wrong, script, given)


def _read_text(reading: Reading, wrong: list[tuple[Place, str]], script: Text, given: Given) -> None:
    filled = _FilledIn(script.content)
    script.content = filled.content
    found, cannot = read_script(script, given)
    pools = [filled.written(pool) for pool in found.pools]
    for pool in [pool for pool in pools if pool not in reading.pools]:
        _add(reading, pool)
    wrong += [each for each in cannot if each not in wrong]


class _FilledIn:
    """A script with a variable that nobody assigns in the place of each expression that is filled in beforehand.

    Each is as long as its expression, so that all stays where it is, and no two expressions have the same.
    """

    def __init__(self, content: str) -> None:
        self._expressions: dict[str, str] = {}
        self._stand_ins: dict[str, str] = {}
        self._of_length: Counter[int] = Counter()
        lines = content.split("\n")
        # In scripts for cmd a line goes on after `^`, which means nothing at the end of a line of bash.
        lines = [f"{line[:-1]}\\" if line.endswith(" ^") else line for line in lines]
        self.content = "\n".join(map(self._replaced, lines))

    def _replaced(self, line: str) -> str:
        for pattern, end in _FILLED_IN:
            # After the last end nothing is filled in, and looking for one from every beginning takes its time.
            at = line.rfind(end) + len(end) if end in line else 0
            line = pattern.sub(self._stand_in, line[:at]) + line[at:]
        return line

    def _stand_in(self, found: re.Match[str]) -> str:
        expression = self.restored(found[0])
        if expression not in self._stand_ins:
            length = len(found[0])
            before, after = ("${_", "}") if length > 4 else ("$_", "")
            code = _code(self._of_length[length]).rjust(length - len(before) - len(after), "_")
            self._of_length[length] += 1
            self._stand_ins[expression] = f"{before}{code}{after}"
            self._expressions[self._stand_ins[expression]] = expression
        return self._stand_ins[expression]

    def restored(self, text: str) -> str:
        """The text as it is written."""
        return _STAND_IN.sub(self._expression, text)

    def _expression(self, found: re.Match[str]) -> str:
        text = found[0]
        short = self._expressions.get(text[:3])
        return self._expressions.get(text) or (short + text[3:] if short is not None else text)

    def _value(self, value: Any) -> Any:
        if isinstance(value, Unknown):
            return Unknown(self.restored(value.expression))
        if isinstance(value, str):
            # Also in quotes, where the shell takes it as it is.
            restored = self.restored(value)
            return Unknown(restored) if restored != value else value
        if isinstance(value, dict):
            return {name: self._value(part) for name, part in value.items()}
        if isinstance(value, list):
            return [self._value(part) for part in value]
        return value

    def written(self, pool: FoundPool) -> FoundPool:
        """The node pool with what is filled in as it is written."""
        cluster = replace(
            pool.cluster, location=self._value(pool.cluster.location), version=self._value(pool.cluster.version)
        )
        return replace(
            pool,
            name=self._value(pool.name),
            address=self.restored(pool.address),
            condition=self.restored(pool.condition) if pool.condition is not None else None,
            properties=self._value(pool.properties),
            header=self._value(pool.header),
            open_ended=self._value(pool.open_ended),
            cluster=cluster,
        )


def _code(number: int) -> str:
    """The number in letters and digits."""
    code = ""
    while True:
        number, rest = divmod(number, len(_DIGITS))
        code = _DIGITS[rest] + code
        if not number:
            return code
