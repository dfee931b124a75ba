"""Which shell runs a script in YAML, as far as the YAML says.

Sources: `shell`, `defaults.run.shell` and the runners' default of
https://docs.github.com/actions/reference/workflows-and-actions/workflow-syntax; `scriptType` of AzureCLI@2, and the
tasks PowerShell@2 and AzurePowerShell@5 of https://learn.microsoft.com/azure/devops/pipelines/tasks/reference;
`executable` of Ansible's shell modules.

Invariant: a script that another program than a shell like bash or cmd would read is told, and never read as theirs.
"""

from __future__ import annotations

import re
from typing import Final

from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from poolwright import bounded_yaml
from poolwright.lint.yaml_text import members

POWERSHELL: Final = "pwsh"
# The keys whose texts are scripts for PowerShell.
OF_POWERSHELL: Final = frozenset(("pwsh", "powershell", "Inline", "win_shell", "ansible.windows.win_shell"))
# Also `micromamba-bash` and its like.
_READ: Final = re.compile(r"(?:.*[-_])?(?:ba|da|a|z|k)?sh|cmd|batch")
# Before a runner that may be one of Windows.
_ASSUMED: Final = "bash of "
_UNIX: Final = ("ubuntu", "macos", "linux")
_SAYING: Final = ("shell", "scriptType", "executable")
_SCRIPTED: Final = ("run", "command", "cmd", "script", "inlineScript", "scriptPath", "executable")
_OF_TASK: Final = re.compile(r"(?:Azure)?PowerShell@\d+\Z", re.IGNORECASE)
_OF_ACTION: Final = re.compile(r"azure/powershell@", re.IGNORECASE)
_MAKES_POOLS: Final = re.compile(
    r"\baz(?:\.cmd|\.exe)?['\"]?\s+aks\s+(?:create\b|nodepool\s+(?:add|update|upgrade)\b|(?:nodepool\s+)?\$\w)"
    r"|\b(?:New|Set|Update)-AzAks(?:Cluster|NodePool)\b",
    re.IGNORECASE,
)
_JOINED: Final = re.compile(r"`\r?\n")


def shells_in(root: Node) -> dict[int, str]:
    """Return the shell that a mapping declares for its scripts, as it is written, by the `id` of the mapping."""
    found: dict[int, str] = {}
    seen: set[int] = set()
    waiting: list[tuple[Node, str | None]] = [(root, None)]
    while waiting:
        node, around = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, MappingNode):
            named = members(node)
            around = _default(named) or around or _of_runner(named)
            own = _declared(named) or around
            if own is not None:
                found[id(node)] = own
            inner = _of_inputs(named)
            if inner is not None:
                found[id(inner)] = POWERSHELL
                seen.add(id(inner))
        waiting += [(child, around) for child in reversed(bounded_yaml.children_of(node))]
    return found


def is_read(shell: str) -> bool:
    """Whether scripts for that shell are read: `bash`, `/bin/sh`, `bash --noprofile -e {0}`, `cmd`."""
    words = shell.split()
    name = re.split(r"[/\\]", words[0])[-1].lower() if words else ""
    return _READ.fullmatch(name.removesuffix(".exe")) is not None


def why_not_read(shell: str) -> str:
    """Return why a script for that shell is not read, and what to do."""
    return (
        f"what runs in '{shell}' is not read, only scripts for shells like bash, and for cmd: write the commands of az "
        "into a step for bash (shell: bash, bash:, scriptType: bash), or give the template"
    )


def makes_pools(script: str) -> bool:
    """Whether a script for PowerShell or another program seems to make or change node pools."""
    return _MAKES_POOLS.search(_JOINED.sub(" ", script)) is not None


def assumption(shell: str | None) -> str | None:
    """Return on what condition scripts for that shell are what they are read as; None where nothing is assumed."""
    if shell is None or not shell.startswith(_ASSUMED):
        return None
    return f"the default shell of {shell.removeprefix(_ASSUMED)} is bash"


def _declared(named: dict[str, Node]) -> str | None:
    if not any(name in named for name in _SCRIPTED):
        return _text(_member(named.get("args"), "executable"))
    return next((text for name in _SAYING if (text := _text(named.get(name))) is not None), None)


def _default(named: dict[str, Node]) -> str | None:
    """`defaults: {run: {shell: pwsh}}` of a workflow or a job."""
    return _text(_member(_member(named.get("defaults"), "run"), "shell"))


def _of_runner(named: dict[str, Node]) -> str | None:
    """The default of GitHub's runners: PowerShell on Windows, else bash, which is assumed where nothing tells."""
    runner = named.get("runs-on")
    labels = runner.value if isinstance(runner, SequenceNode) else [runner]
    texts = [each.value for each in labels if isinstance(each, ScalarNode)]
    if any(text.lower().startswith("windows") for text in texts):
        return POWERSHELL
    if runner is None or any(text.lower().startswith(_UNIX) for text in texts):
        return None
    return f"{_ASSUMED}{' '.join(texts) or 'the runner'}"


def _of_inputs(named: dict[str, Node]) -> Node | None:
    """The inputs of a task or an action that runs PowerShell whatever they say."""
    if _OF_TASK.match(_text(named.get("task")) or ""):
        return named.get("inputs")
    return named.get("with") if _OF_ACTION.match(_text(named.get("uses")) or "") else None


def _member(node: Node | None, name: str) -> Node | None:
    return members(node).get(name) if isinstance(node, MappingNode) else None


def _text(node: Node | None) -> str | None:
    """The text of a scalar on one line: longer ones are scripts."""
    return node.value if isinstance(node, ScalarNode) and node.value and "\n" not in node.value.strip() else None
