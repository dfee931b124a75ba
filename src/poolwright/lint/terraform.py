"""Node pools in what `terraform show -json` prints: plans, and states.

Providers: azurerm (`azurerm_kubernetes_cluster` with its `default_node_pool`, `azurerm_kubernetes_cluster_node_pool`)
and azapi (`azapi_resource`, `azapi_update_resource`, and `azapi_resource_action` for a PUT, with a body of ARM's).

Sources: https://developer.hashicorp.com/terraform/internals/json-format, and the pages of both providers' resources.

Invariant: what is known only after apply is unknown, and says so.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from poolwright.domain.resource_id import CLUSTER_TYPE, NODE_POOL_TYPE
from poolwright.lint.arm_templates import Given, in_force, spelled, spelling
from poolwright.lint.json_text import JsonText, Path
from poolwright.lint.kinds import PLAN_IN_PART
from poolwright.lint.pools import (
    AZAPI,
    AZURERM,
    Action,
    FoundCluster,
    FoundPool,
    Json,
    Mistake,
    Reading,
    header_value,
)
from poolwright.lint.properties import put
from poolwright.lint.texts import Broken, Place
from poolwright.reports.sarif import Level
from poolwright.templates.partial import Unknown

_CLUSTER: Final = "azurerm_kubernetes_cluster"
_POOL: Final = "azurerm_kubernetes_cluster_node_pool"
_AZAPI_ACTION: Final = "azapi_resource_action"
_AZAPI: Final = ("azapi_resource", "azapi_update_resource", _AZAPI_ACTION)
_AFTER_APPLY: Final = "known after apply"
_PLAN_AGAIN: Final = "plan again, all of it, and lint what `terraform show -json` prints of that"
_MAX_MODULES: Final = 64
# Of a node pool that is known to come, and no more.
_UNTOLD: Final = {"name": True, "vm_size": True}
# What azurerm changes by making the node pool anew, under another name meanwhile; of its list what is read here.
# Source: https://registry.terraform.io/providers/hashicorp/azurerm/latest/docs/resources/kubernetes_cluster_node_pool
_MADE_ANEW_FOR: Final = (
    "fips_enabled",
    "max_pods",
    "os_disk_size_gb",
    "os_disk_type",
    "snapshot_id",
    "vm_size",
    "zones",
)
# What the generation is decided anew for (docs/compatibility.md, "The wish").
_DECIDED_ANEW_FOR: Final = ("vmSize", "osSKU", "enableFIPS", "securityProfile")
# What an expression names only to tell the instances of a resource apart.
_OF_INSTANCES: Final = ("each", "count")
_INDEX: Final = re.compile(r"\[[^\]]*\]")

# azurerm's names of what decides, or can be refused, and ARM's. Of two names the second is that of version 3.
_ARGUMENTS: Final[Mapping[str, str]] = {
    "vm_size": "vmSize",
    "os_type": "osType",
    "os_sku": "osSKU",
    "orchestrator_version": "orchestratorVersion",
    "mode": "mode",
    "type": "type",
    "fips_enabled": "enableFIPS",
    "workload_runtime": "workloadRuntime",
    "gpu_driver": "gpuProfile.driver",
    "gpu_instance": "gpuInstanceProfile",
    "priority": "scaleSetPriority",
    "eviction_policy": "scaleSetEvictionPolicy",
    "node_count": "count",
    "auto_scaling_enabled": "enableAutoScaling",
    "enable_auto_scaling": "enableAutoScaling",
    "min_count": "minCount",
    "max_count": "maxCount",
    "max_pods": "maxPods",
    "os_disk_size_gb": "osDiskSizeGB",
    "os_disk_type": "osDiskType",
    "zones": "availabilityZones",
    "node_labels": "nodeLabels",
    "node_taints": "nodeTaints",
    "snapshot_id": "creationData.sourceResourceId",
    "node_image_version": "nodeImageVersion",
}


def is_terraform(value: Any) -> bool:
    """Whether the JSON is a plan or a state as `terraform show -json` prints it."""
    return (
        isinstance(value, dict)
        and "format_version" in value
        and ("terraform_version" in value or "planned_values" in value or "values" in value)
    )


@dataclass(frozen=True, slots=True)
class _Resource:
    """A resource with its values; `unknown` has true wherever a value is known only after apply.

    `before` has the values that it has now, nothing where there is no such resource or the file does not say.
    """

    address: str
    type: str
    values: Json
    unknown: Any
    action: Action
    path: Path
    before: Json


def read_terraform(document: JsonText, given: Given) -> Reading:
    """Return the node pools of a plan or a state. Raises `Broken`."""
    value = document.value
    version = str(value.get("format_version"))
    if version.partition(".")[0] not in ("0", "1"):
        raise Broken(
            document.place(("format_version",)), f"the format version {version} is not known here; 1.x is what is read"
        )
    resources = list(_of_plan(value)) if "resource_changes" in value else list(_of_values(value))
    reading = Reading()
    configuration = _configuration(value)
    clusters = {
        each.address: _cluster(document, each, configuration.of(each.address), given)
        for each in resources
        if each.type == _CLUSTER
    }
    known = _known_clusters(resources)
    for resource in resources:
        if resource.type == _CLUSTER:
            written = configuration.of(resource.address)
            _add_default_pool(reading, document, resource, clusters[resource.address], written)
        elif resource.type == _POOL:
            address = _cluster_of(resource, clusters, known, configuration)
            cluster = clusters[address] if address is not None else _unseen(given)
            written = configuration.of(resource.address)
            _add(reading, document, resource, resource.values, resource.unknown, resource.before, cluster, (), written)
        elif resource.type in _AZAPI:
            _add_azapi(reading, document, resource, configuration.of(resource.address), given)
    reading.mistakes += _about_plan(document)
    return reading


def _about_plan(document: JsonText) -> Iterator[Mistake]:
    """What is wrong with the plan as a whole: it failed, or was made of a part."""
    if document.value.get("errored") is True:
        message = "making this plan failed, and what Terraform did not come to is not in it"
        yield Mistake(document.place(("errored",)), message, _PLAN_AGAIN, PLAN_IN_PART)
    elif document.value.get("complete") is False:
        message = "this plan is of a part of the configuration (-target, or something that waits for another apply)"
        yield Mistake(document.place(("complete",)), message, _PLAN_AGAIN, PLAN_IN_PART, Level.WARNING)


def _of_plan(value: Json) -> Iterator[_Resource]:
    changes = value.get("resource_changes")
    for index, change in enumerate(_listed(changes)):
        if not isinstance(change, dict) or change.get("mode") == "data":
            continue
        what = change.get("change")
        if not isinstance(what, dict) or not isinstance(what.get("after"), dict):
            continue  # deleted
        actions = _listed(what.get("actions"))
        path = ("resource_changes", index, "change", "after")
        action = Action.CREATE if "create" in actions else Action.KEEP
        before = what.get("before")
        yield _resource(change, what["after"], what.get("after_unknown") or {}, action, path, before)


def _of_values(value: Json) -> Iterator[_Resource]:
    """The resources of a state, or of planned values alone."""
    name, action = ("planned_values", Action.CREATE) if "planned_values" in value else ("values", Action.KEEP)
    values = value.get(name)
    waiting: list[tuple[Any, Path]] = (
        [(values.get("root_module"), (name, "root_module"))] if isinstance(values, dict) else []
    )
    while waiting:
        module, path = waiting.pop()
        if not isinstance(module, dict) or len(path) > 2 * _MAX_MODULES:
            continue
        for index, each in enumerate(_listed(module.get("resources"))):
            if isinstance(each, dict) and each.get("mode") != "data" and isinstance(each.get("values"), dict):
                yield _resource(each, each["values"], {}, action, (*path, "resources", index, "values"))
        children = _listed(module.get("child_modules"))
        waiting += [(child, (*path, "child_modules", index)) for index, child in enumerate(children)]


def _resource(source: Json, values: Json, unknown: Any, action: Action, path: Path, before: Any = None) -> _Resource:
    address, kind = str(source.get("address", "")), str(source.get("type", ""))
    return _Resource(address, kind, values, unknown, action, path, before if isinstance(before, dict) else {})


def _cluster(document: JsonText, resource: _Resource, written: Json | None, given: Given) -> FoundCluster:
    location = _value(resource.values, resource.unknown, "location")
    if not isinstance(location, str):
        location = given.location or Unknown(f"{resource.address}.location, {_AFTER_APPLY}")
    version = _value(resource.values, resource.unknown, "kubernetes_version")
    if isinstance(version, Unknown) and written is not None and "kubernetes_version" not in written:
        version = None  # AKS chooses, and the plan shows that as known after apply
    return FoundCluster(
        location=location,
        version=version if isinstance(version, (str, Unknown)) else None,
        version_place=document.place((*resource.path, "kubernetes_version")),
    )


def _unseen(given: Given) -> FoundCluster:
    return FoundCluster(
        location=given.location or Unknown("the cluster's location"), version=Unknown("the cluster's version")
    )


def _known_clusters(resources: list[_Resource]) -> Mapping[str, list[str]]:
    """The addresses of clusters by their ID, and of those that have none yet by the end of it, all in lower case."""
    found: dict[str, list[str]] = {}
    for each in resources:
        if each.type == _CLUSTER:
            identifier, group, name = (each.values.get(key) for key in ("id", "resource_group_name", "name"))
            if isinstance(identifier, str):
                found.setdefault(identifier.lower(), []).append(each.address)
            elif isinstance(group, str) and isinstance(name, str):
                found.setdefault(_end_of_id(group, name), []).append(each.address)
    return found


def _end_of_id(group: str, name: str) -> str:
    return f"/resourcegroups/{group}/providers/{CLUSTER_TYPE}/{name}".lower()


@dataclass(frozen=True, slots=True)
class _Configuration:
    """What is written for each resource: its arguments by address, and its cluster. Addresses have no indices."""

    arguments: Mapping[str, Json]
    clusters: Mapping[str, str]

    def of(self, address: str) -> Json | None:
        """Return the arguments that are written for the resource; None where the file does not say."""
        return self.arguments.get(_INDEX.sub("", address))


def _configuration(value: Json) -> _Configuration:
    configuration = value.get("configuration")
    root = configuration.get("root_module") if isinstance(configuration, dict) else None
    arguments: dict[str, Json] = {}
    clusters: dict[str, str] = {}
    waiting: list[tuple[Any, str]] = [(root, "")]
    while waiting:
        module, prefix = waiting.pop()
        if not isinstance(module, dict) or prefix.count("module.") > _MAX_MODULES:
            continue
        for each in _listed(module.get("resources")):
            expressions = each.get("expressions") if isinstance(each, dict) else None
            if not isinstance(expressions, dict):
                continue
            address = f"{prefix}{each.get('address')}"
            arguments[address] = expressions
            of_cluster = expressions.get("kubernetes_cluster_id")
            referred = _listed(of_cluster.get("references")) if isinstance(of_cluster, dict) else []
            named = {
                _INDEX.sub("", ".".join(reference.split(".")[:2]))
                for reference in map(str, referred)
                if reference.partition(".")[0] not in _OF_INSTANCES
            }
            # What names anything else as well may be that.
            if len(named) == 1 and (only := named.pop()).startswith(f"{_CLUSTER}."):
                clusters[address] = f"{prefix}{only}"
        calls = module.get("module_calls")
        for name, call in calls.items() if isinstance(calls, dict) else ():
            waiting.append((call.get("module") if isinstance(call, dict) else None, f"{prefix}module.{name}."))
    return _Configuration(arguments, clusters)


def _cluster_of(
    resource: _Resource,
    clusters: Mapping[str, FoundCluster],
    known: Mapping[str, list[str]],
    configuration: _Configuration,
) -> str | None:
    """The address of the node pool's cluster, where the file has it and says so, and nothing else can be it."""
    identifier = resource.values.get("kubernetes_cluster_id")
    if isinstance(identifier, str):
        whole = identifier.rstrip("/").lower()
        found = known.get(whole, []) or known.get(whole[whole.find("/resourcegroups/") :], [])
    else:
        wanted = configuration.clusters.get(_INDEX.sub("", resource.address))
        found = [address for address in clusters if _INDEX.sub("", address) == wanted]
    return found[0] if len(found) == 1 else None


def _add_default_pool(
    reading: Reading, document: JsonText, resource: _Resource, cluster: FoundCluster, written: Json | None
) -> None:
    blocks = resource.values.get("default_node_pool")
    unknown = resource.unknown.get("default_node_pool") if isinstance(resource.unknown, dict) else None
    of_blocks = written.get("default_node_pool") if isinstance(written, dict) else None
    before = resource.before.get("default_node_pool")
    if unknown is True:
        blocks, unknown = [{}], [_UNTOLD]
    for index, block in enumerate(_listed(blocks)):
        if isinstance(block, dict):
            arguments = _nth(of_blocks, index)
            inner, was = _nth(unknown, index) or {}, _nth(before, index) or {}
            below = ("default_node_pool", index)
            _add(reading, document, resource, {**block, "mode": "System"}, inner, was, cluster, below, arguments)


def _add(
    reading: Reading,
    document: JsonText,
    resource: _Resource,
    values: Json,
    unknown: Any,
    before: Json,
    cluster: FoundCluster,
    below: Path,
    written: Json | None,
) -> None:
    properties: Json = {}
    places: dict[str, Place] = {}
    for argument, path in _ARGUMENTS.items():
        value = _value(values, unknown, argument)
        if isinstance(value, Unknown) and isinstance(written, dict) and argument not in written:
            continue  # AKS chooses, and the plan shows that as known after apply
        if value is None or value == "" or value == []:
            continue
        put(properties, path, value)
        places[path] = document.place((*resource.path, *below, argument))
    name = _value(values, unknown, "name")
    places["name"] = document.place((*resource.path, *below, "name"))
    told = [each for each in _MADE_ANEW_FOR if before and not isinstance(_value(values, unknown, each), Unknown)]
    is_made_anew = any((values.get(each) or None) != (before.get(each) or None) for each in told)
    reading.pools.append(
        FoundPool(
            name=name if isinstance(name, str) else Unknown(f"name, {_AFTER_APPLY}"),
            address=".".join([resource.address, *map(str, below[:1])]),
            tool=AZURERM,
            action=Action.CREATE if is_made_anew else resource.action,
            place=document.place((*resource.path, *below)),
            properties=properties,
            cluster=cluster,
            places=places,
        )
    )


def _add_azapi(reading: Reading, document: JsonText, resource: _Resource, written: Json | None, given: Given) -> None:
    kind = str(resource.values.get("type", "")).partition("@")[0].lower()
    if kind not in (CLUSTER_TYPE.lower(), NODE_POOL_TYPE.lower()):
        return
    is_action = resource.type == _AZAPI_ACTION
    if is_action and (resource.values.get("action") or str(resource.values.get("method")).upper() != "PUT"):
        return
    path: Path = (*resource.path, "body")
    try:
        body = _body(_merged(resource.values.get("body"), _part(resource.unknown, "body")))
        before = _body(resource.before.get("body"))
        sensitive = _body(_sensitive(resource, written))
    except (ValueError, RecursionError) as error:
        raise Broken(document.place(path), f"the body of {resource.address} is not JSON") from error
    is_hidden = isinstance(sensitive, Unknown)
    # The passwords of a cluster are written there; its node pools have none.
    condition = f"{sensitive.expression} says nothing of it" if is_hidden and kind == CLUSTER_TYPE.lower() else None
    body = _over(body, sensitive if condition is None else None)
    properties = body.get("properties") if isinstance(body, dict) else None
    if isinstance(body, Unknown) or isinstance(properties, Unknown):
        untold = sensitive if is_hidden and condition is None else Unknown(f"body, {_AFTER_APPLY}")
        properties = {"vmSize": untold} if kind == NODE_POOL_TYPE.lower() else {"agentPoolProfiles": untold}
    if not isinstance(properties, dict):
        return
    name = _value(resource.values, resource.unknown, "name")
    if name is None and isinstance(identifier := resource.values.get("resource_id"), str):
        name = identifier.rpartition("/")[2]
    location = _value(resource.values, resource.unknown, "location")
    here = location if isinstance(location, str) else given.location or Unknown(f"location, {_AFTER_APPLY}")
    is_update = resource.type == "azapi_update_resource" and resource.action is Action.CREATE
    found: list[tuple[Json, Path, FoundCluster, str, Any]]
    if kind == NODE_POOL_TYPE.lower():
        found = [(properties, ("properties",), _unseen(given), resource.address, name)]
    else:
        version = properties.get("kubernetesVersion")
        cluster = FoundCluster(
            location=here,
            version=version if isinstance(version, (str, Unknown)) else None,
            version_place=document.place((*path, "properties", "kubernetesVersion")),
        )
        profiles = properties.get("agentPoolProfiles")
        told = [{"name": each, "vmSize": each} if isinstance(each, Unknown) else each for each in _listed(profiles)]
        found = [
            (
                each,
                ("properties", "agentPoolProfiles", index),
                cluster,
                f"{resource.address}.{_called(each, index)}",
                each.get("name"),
            )
            for index, each in enumerate(told)
            if isinstance(each, dict)
        ]
    for pool, below, cluster, address, called in found:
        changes = resource.action is Action.KEEP and _decides_anew(pool, before, below)
        headers = "headers" if is_action else "update_headers" if is_update or changes else "create_headers"
        reading.pools.append(
            FoundPool(
                name=called if isinstance(called, str) else Unknown(f"name, {_AFTER_APPLY}"),
                address=address,
                tool=AZAPI,
                action=Action.UPDATE if is_update or changes else resource.action,
                place=document.place((*path, *below)),
                properties={key: part for key, part in spelled(pool).items() if key.lower() != "name"},
                cluster=cluster,
                places=dict(_azapi_places(document, path, below, pool))
                | {"header": document.place((*resource.path, headers))},
                header=header_value(_merged(resource.values.get(headers), _part(resource.unknown, headers))),
                condition=condition,
            )
        )


def _sensitive(resource: _Resource, written: Json | None) -> Any:
    """What is merged into the body and kept in no plan; unknown where it is written and not told.

    Source: azapi 2.4.0 (`sensitive_body`, a write-only attribute).
    """
    told = _merged(resource.values.get("sensitive_body"), _part(resource.unknown, "sensitive_body"))
    expression = written.get("sensitive_body") if written is not None else None
    if told is not None or not isinstance(expression, dict):
        return told
    return expression.get("constant_value", Unknown("sensitive_body (in no plan)"))


def _over(value: Any, other: Any) -> Any:
    """The value with the other's members over its own, at any depth; lists are the other's."""
    if other is None or isinstance(value, Unknown):
        return value
    if isinstance(value, dict) and isinstance(other, dict):
        return value | {name: _over(value.get(name), part) for name, part in other.items()}
    return other


def _body(value: Any) -> Any:
    """The body; version 1 of the provider takes it as a text. Raises `ValueError`."""
    return json.loads(value) if isinstance(value, str) else value


def _decides_anew(pool: Json, before: Any, below: Path) -> bool:
    """Whether the node pool differs from the one in the body before in something that decides the generation."""
    was = before
    for part in below:
        was = _nth(was, part) if isinstance(part, int) else _part(was, part)
    if not isinstance(was, dict):
        return False
    now, then = spelled(pool), spelled(was)
    return any(now.get(name) != then.get(name) for name in _DECIDED_ANEW_FOR)


def _azapi_places(document: JsonText, path: Path, below: Path, pool: Json) -> Iterator[tuple[str, Place]]:
    for name, part in in_force(pool):
        yield spelling(name), document.place((*path, *below, name))
        for inner, _ in in_force(part) if isinstance(part, dict) else ():
            yield f"{spelling(name)}.{spelling(inner)}", document.place((*path, *below, name, inner))


def _nth(value: Any, index: int) -> Any:
    """The value's part at an index, None where it has none there."""
    return value[index] if isinstance(value, list) and index < len(value) else None


def _called(pool: Json, index: int) -> str:
    return pool["name"] if isinstance(pool.get("name"), str) else str(index)


def _listed(value: Any) -> list[Any]:
    """The list, of something unknown one that has it, and an empty one where it is anything else."""
    return value if isinstance(value, list) else [value] if isinstance(value, Unknown) else []


def _value(values: Mapping[str, Any], unknown: Any, name: str) -> Any:
    """The value of an argument, None where nothing is given."""
    value = values.get(name)
    return Unknown(f"{name}, {_AFTER_APPLY}") if value is None and _part(unknown, name) is True else value


def _part(unknown: Any, name: str) -> Any:
    return unknown.get(name) if isinstance(unknown, dict) else unknown


def _merged(value: Any, unknown: Any) -> Any:
    """The value with `Unknown` wherever `unknown` has true."""
    if unknown is True:
        return Unknown(_AFTER_APPLY)
    if isinstance(unknown, dict) and isinstance(value, (dict, type(None))):
        known = value or {}
        names = dict.fromkeys([*known, *(name for name, part in unknown.items() if part is True)])
        return {name: _merged(known.get(name), unknown.get(name)) for name in names} if names else value
    if isinstance(unknown, list) and isinstance(value, list):
        return [_merged(part, unknown[index] if index < len(unknown) else None) for index, part in enumerate(value)]
    return value
