"""Node pools in tasks of Ansible, in whatever form a task names its module and the module's options.

Sources: `azure_rm_aks` and `azure_rm_aksagentpool` of azure.azcollection; the forms are those of
lib/ansible/parsing/mod_args.py and splitter.py of https://github.com/ansible/ansible:

    azure_rm_aksagentpool: {name: a, vm_size: b}                        local_action: shell az aks ...
    azure_rm_aksagentpool: name=a vm_size=b                             action: azure_rm_aksagentpool name=a
    azure_rm_aksagentpool:    (args: {name: a, vm_size: b} beside it)   action: {module: azure_rm_aksagentpool, name: a}

Invariant: what Ansible fills in is unknown; a task for AKS of which nothing can be told is a node pool all the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from poolwright.lint.arm_templates import Given
from poolwright.lint.pools import ANSIBLE, Action, FoundCluster, FoundPool, Json
from poolwright.lint.texts import Place, Text
from poolwright.lint.yaml_text import handed_down, members, place_of, script_in
from poolwright.templates.partial import Unknown

# The modules that run a script or a command; `win_shell` is for PowerShell.
SCRIPTED: Final = (
    *("shell", "ansible.builtin.shell", "ansible.legacy.shell"),
    *("command", "ansible.builtin.command", "ansible.legacy.command"),
    *("raw", "ansible.builtin.raw", "ansible.legacy.raw", "win_command", "ansible.windows.win_command"),
)
_FOR_AKS: Final = re.compile(r"(?:azure\.azcollection\.)?(azure_rm_aks|azure_rm_aksagentpool)")
_ACTION: Final = re.compile(r"\s*(?:module=)?([\w.]+)(?=\s|\Z)")
# Blanks separate options, except in quotes and in what is filled in.
_OPTION: Final = re.compile(r"""(?:\{\{.{0,4000}?\}\}|\{%.{0,4000}?%\}|"[^"]*"|'[^']*'|\S)+""", re.DOTALL)
_GIVEN: Final = re.compile(r"(\w+)=(.*)", re.DOTALL)

# The modules' options and ARM's properties.
_POOL_OPTIONS: Final[Mapping[str, str]] = {
    "vm_size": "vmSize",
    "os_type": "osType",
    "os_sku": "osSKU",
    "orchestrator_version": "orchestratorVersion",
    "mode": "mode",
    "type": "type",
    "type_properties_type": "type",
    "count": "count",
    "enable_auto_scaling": "enableAutoScaling",
    "min_count": "minCount",
    "max_count": "maxCount",
    "max_pods": "maxPods",
    "os_disk_size_gb": "osDiskSizeGB",
    "availability_zones": "availabilityZones",
    "node_labels": "nodeLabels",
}
_WHOLE: Final = frozenset(("count", "min_count", "max_count", "max_pods", "os_disk_size_gb"))
_TRUE: Final = frozenset(("true", "yes", "on", "y", "1"))


def is_for_aks(name: str) -> bool:
    """Return whether a member of a task is a module that makes node pools."""
    return _FOR_AKS.fullmatch(name) is not None


# What `module_defaults` give modules and groups of them, by name; None is inside of them, where no task is.
Defaults: TypeAlias = Mapping[str, Node] | None


def defaults_in(root: Node) -> dict[int, Defaults]:
    """Return the `module_defaults` of a mapping and of what is around it, by the `id` of the mapping.

    Of a module the innermost ones count, those of a group behind them:
    `get_action_args_with_defaults` in lib/ansible/executor/module_common.py.
    """
    return handed_down(root, {}, _of_mapping, _of_member)


def _of_mapping(around: Defaults, named: Mapping[str, Node]) -> Defaults:
    given = named.get("module_defaults")
    return {**around, **members(given)} if around is not None and given is not None else around


def _of_member(here: Defaults, key: Node) -> Defaults:
    return None if isinstance(key, ScalarNode) and key.value == "module_defaults" else here


def actions_in(text: Text, task: Mapping[str, Node]) -> Iterator[tuple[str, Node | Text]]:
    """Yield the module that `action` or `local_action` of a task names, and what is said to it."""
    for node in (task.get("action"), task.get("local_action")):
        inner = members(node) if isinstance(node, MappingNode) else {}
        named = inner.get("module", node)
        if not isinstance(named, ScalarNode):
            continue
        said = script_in(text, named)
        module = _ACTION.match(said.content)
        if module is None:
            continue
        is_all = not said.content[module.end() :].strip()
        # In front of the rest are blanks, so that all stays where it is.
        said.content = " " * module.end() + said.content[module.end() :]
        yield module[1], node if is_all and isinstance(node, MappingNode) else said


def pools_of_task(
    text: Text,
    module: str,
    said: Node | Text,
    task: Mapping[str, Node],
    defaults: Defaults,
    clusters: dict[Any, FoundCluster],
    given: Given,
) -> Iterator[FoundPool]:
    """Yield the node pools of a task whose module is for AKS; a cluster of its own joins `clusters`."""
    if defaults is None:
        return
    of_groups = (node for name, node in defaults.items() if name.startswith("group/"))
    of_module = (node for name, node in defaults.items() if _plain(name) == _plain(module))
    options, open_ended = _options(text, [*of_groups, *of_module, task.get("args"), said])
    state = _value(options["state"]) if "state" in options else "present"
    if state == "absent" or not (options or open_ended):
        return
    place = said.place(0) if isinstance(said, Text) else place_of(text, said)
    condition = f"{state} is present" if isinstance(state, Unknown) else None
    if _plain(module) == "azure_rm_aksagentpool":
        of_cluster = _value(options["cluster_name"]) if "cluster_name" in options else None
        cluster = clusters.get(of_cluster) or FoundCluster(
            location=given.location or Unknown("the cluster's location"), version=Unknown("the cluster's version")
        )
        address = f"{'?' if of_cluster is None and open_ended else of_cluster}/{_text(options.get('name'))}"
        yield _pool(text, place, options, cluster, address, condition, open_ended)
        return
    location = _value(options["location"]) if "location" in options else None
    version = _value(options["kubernetes_version"]) if "kubernetes_version" in options else open_ended
    cluster = FoundCluster(
        location=location if isinstance(location, str) else given.location or Unknown("the resource group's location"),
        version=version if isinstance(version, (str, Unknown)) else None,
        version_place=place_of(text, options["kubernetes_version"]) if "kubernetes_version" in options else None,
    )
    called = _value(options["name"]) if "name" in options else None
    clusters[called] = cluster
    pools = options.get("agent_pool_profiles")
    if pools is None and open_ended is not None:
        yield _pool(text, place, {}, cluster, f"{_text(options.get('name'))}/?", condition, open_ended)
    for each in pools.value if isinstance(pools, SequenceNode) else [pools]:
        if isinstance(each, MappingNode):
            inner = members(each)
            address = f"{called}/{_text(inner.get('name'))}"
            yield _pool(text, place_of(text, each), inner, cluster, address, condition, None)
        elif isinstance(each, ScalarNode) and _value(each):
            yield _pool(text, place_of(text, each), {}, cluster, f"{called}/?", condition, Unknown(each.value.strip()))


def _plain(module: str) -> str:
    return module.rpartition(".")[2]


def _options(text: Text, parts: Sequence[Node | Text | None]) -> tuple[dict[str, Node], Unknown | None]:
    """The options of a module, of which the last of a name counts, and what may give others."""
    inner = members(parts[-1]).get("args") if isinstance(parts[-1], MappingNode) else None
    options: dict[str, Node] = {}
    open_ended: Unknown | None = None
    for part in (*parts, inner):
        own, others = _own_options(text, part)
        # What may give any option may give those before it anew.
        options = {**options, **own} if others is None else own
        open_ended = others or open_ended
    return options, open_ended


def _own_options(text: Text, part: Node | Text | None) -> tuple[dict[str, Node], Unknown | None]:
    """The options that are written in one place, and what in it may give others."""
    if isinstance(part, MappingNode):
        return members(part), None
    if isinstance(part, SequenceNode):
        return {}, Unknown("a list in the place of options")
    if isinstance(part, ScalarNode) and _value(part) is not None:
        part = script_in(text, part)
    if not isinstance(part, Text):
        return {}, None
    options: dict[str, Node] = {}
    others: Unknown | None = None
    for found in _OPTION.finditer(part.content):
        option = _GIVEN.fullmatch(found[0])
        if option is None:
            others = Unknown(found[0])
        else:
            options[option[1]] = _scalar(option[2], part.place(found.start() + option.start(2)))
    return options, others


def _scalar(written: str, place: Place) -> ScalarNode:
    """A text that stands at a place of a file, without its quotes."""
    is_quoted = len(written) > 1 and written[0] == written[-1] and written[0] in "'\""
    mark = yaml.Mark(place.file, 0, place.line - 1, place.column - 1, None, 0)
    return ScalarNode("tag:yaml.org,2002:str", written[1:-1] if is_quoted else written, mark, mark)


def _pool(
    text: Text,
    place: Place,
    options: Mapping[str, Node],
    cluster: FoundCluster,
    address: str,
    condition: str | None,
    open_ended: Unknown | None,
) -> FoundPool:
    properties: Json = {}
    places: dict[str, Place] = {}
    for option, path in _POOL_OPTIONS.items():
        if option not in options:
            continue
        value = _typed(option, options[option])
        if value is None or value == "":
            continue
        properties[path] = value
        places[path] = place_of(text, options[option])
    name = _value(options["name"]) if "name" in options else Unknown("name")
    if "name" in options:
        places["name"] = place_of(text, options["name"])
    return FoundPool(
        name=name if isinstance(name, (str, Unknown)) else Unknown(str(name)),
        address=address,
        tool=ANSIBLE,
        action=Action.CREATE,
        place=place,
        properties=properties,
        cluster=cluster,
        places=places,
        condition=condition,
        open_ended=open_ended,
    )


def _typed(option: str, node: Node) -> Any:
    """The value in the type the module gives it, unknown where that is not possible."""
    value = _value(node)
    if isinstance(value, str) and option in _WHOLE:
        return int(value) if value.isdecimal() and len(value) < 10 else Unknown(value)
    if isinstance(value, str) and option == "enable_auto_scaling":
        return value.lower() in _TRUE
    return value


def _value(node: Node) -> Any:
    """The value of a node: a text, a list or an object of texts, with `Unknown` for what Ansible fills in."""
    if isinstance(node, ScalarNode):
        if node.tag == "tag:yaml.org,2002:null":
            return None
        is_unknown = "{{" in node.value or "{%" in node.value or not node.tag.startswith("tag:yaml.org,2002:")
        return Unknown(node.value.strip()) if is_unknown else node.value
    if isinstance(node, SequenceNode):
        return [_value(part) for part in node.value if isinstance(part, ScalarNode)]
    return {name: _value(part) for name, part in members(node).items() if isinstance(part, ScalarNode)}


def _text(node: Node | None) -> str:
    return str(_value(node)) if node is not None else "?"
