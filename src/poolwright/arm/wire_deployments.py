"""Deployments as Azure clients read them.

Source of the shapes: the models of azure-mgmt-resource-deployments (api-version 2025-04-01), which az 2.91 uses.

Invariant: the value of a secure parameter or output is not in here; there is none to show.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from poolwright.arm.wire import timestamp
from poolwright.arm.wire_node_pools import rollout_block
from poolwright.domain.deployment import (
    DEPLOYMENT_TYPE,
    Deployment,
    DeploymentResource,
    DeploymentState,
    ResourceState,
)
from poolwright.domain.what_if import WhatIf
from poolwright.templates.unique_string import hash64

Json = dict[str, Any]

# What differs from one moment to the next, or from one run to the next, and is no change.
_VOLATILE: Final = frozenset(
    (
        *("eTag", "provisioningState", "systemData", "status", "observedGenerations", "observedBy", "lastGood"),
        *("recentlyUsedVersions", "image", "createdOn", "createdBy", "updatedOn", "updatedBy"),
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What a rehearsal saw of a resource: as it was, None when it was not there, and as it would be."""

    resource_id: str
    deployment_id: str
    symbol: str | None
    before: Json | None
    after: Json
    what_if: WhatIf | None


def shown_deployment(deployment: Deployment, resources: Sequence[DeploymentResource]) -> Json:
    """Return a deployment as ARM shows it."""
    properties = _properties(deployment, resources)
    if deployment.state.is_terminal:
        properties["outputs"] = dict(deployment.outputs or {})
        properties["outputResources"] = [
            {"id": resource.id} for resource in resources if resource.state is ResourceState.SUCCEEDED
        ]
    if deployment.error is not None:
        properties["error"] = dict(deployment.error)
    shown: Json = {
        "id": str(deployment.id),
        "name": deployment.id.name,
        "type": DEPLOYMENT_TYPE,
        "properties": properties,
    }
    if deployment.id.group is None:
        shown["location"] = deployment.location
    if deployment.tags:
        shown["tags"] = dict(deployment.tags)
    return shown


def shown_validation(deployment: Deployment, resources: Sequence[DeploymentResource]) -> Json:
    """Return what `validate` answers for a deployment that would be taken."""
    shown = shown_deployment(deployment, resources)
    shown["properties"] |= {
        "provisioningState": DeploymentState.SUCCEEDED.value,
        "validatedResources": [{"id": resource.id} for resource in _deployed(resources)],
    }
    return shown


def shown_status(deployment: Deployment) -> Json:
    """Return what polling the deployment's operation answers."""
    shown: Json = {"status": deployment.state.value}
    return shown | ({"error": dict(deployment.error)} if deployment.error is not None else {})


def shown_operations(deployment: Deployment, resources: Sequence[DeploymentResource]) -> list[Json]:
    """Return the operations of a deployment: one per resource that was begun, and the outputs' at the end."""
    begun = [resource for resource in _deployed(resources) if resource.started is not None]
    shown = [_operation(deployment, resource) for resource in begun]
    if deployment.state is DeploymentState.SUCCEEDED and deployment.ended is not None:
        shown.append(
            _operation_of(
                deployment,
                "outputs",
                {
                    "provisioningOperation": "EvaluateDeploymentOutput",
                    "provisioningState": deployment.state.value,
                    "timestamp": timestamp(deployment.ended),
                    "duration": "PT0S",
                    "statusCode": "OK",
                },
            )
        )
    return shown


def what_if_result(changes: Sequence[Change], ignored: Sequence[Json], *, only_ids: bool) -> Json:
    """Return what `whatIf` answers: every resource of the template, and what stays as it is beside them."""
    shown = [_change(change, only_ids=only_ids) for change in changes]
    for document in ignored:
        unchanged = {"resourceId": document["id"], "changeType": "Ignore"}
        shown.append(unchanged if only_ids else unchanged | {"before": _steady(document), "after": _steady(document)})
    properties: Json = {"changes": shown, "potentialChanges": [], "diagnostics": list(_diagnostics(changes))}
    return {"status": "Succeeded", "properties": properties}


def _properties(deployment: Deployment, resources: Sequence[DeploymentResource]) -> Json:
    ended = deployment.ended if deployment.ended is not None else deployment.started
    return {
        "templateHash": deployment.template_hash,
        "parameters": dict(deployment.parameters),
        "mode": "Incremental",
        "provisioningState": deployment.state.value,
        "timestamp": timestamp(ended),
        "duration": _duration(ended - deployment.started),
        "correlationId": deployment.correlation_id,
        "providers": _providers(resources),
        "dependencies": _dependencies(resources),
    }


def _deployed(resources: Sequence[DeploymentResource]) -> list[DeploymentResource]:
    passed_over = (ResourceState.SKIPPED, ResourceState.NOT_DEPLOYED)
    return [each for each in resources if each.condition and not each.existing and each.state not in passed_over]


def _providers(resources: Sequence[DeploymentResource]) -> list[Json]:
    kinds: dict[str, list[str]] = {}
    for resource in _deployed(resources):
        namespace, _, kind = resource.type.partition("/")
        if kind not in kinds.setdefault(namespace, []):
            kinds[namespace].append(kind)
    return [
        {"namespace": namespace, "resourceTypes": [{"resourceType": kind} for kind in found]}
        for namespace, found in kinds.items()
    ]


def _dependencies(resources: Sequence[DeploymentResource]) -> list[Json]:
    return [
        {"dependsOn": [_target(resources[place]) for place in resource.depends_on], **_target(resource)}
        for resource in resources
        if resource.depends_on
    ]


def _target(resource: DeploymentResource) -> Json:
    return {"id": resource.id, "resourceType": resource.type, "resourceName": resource.name}


def _operation(deployment: Deployment, resource: DeploymentResource) -> Json:
    assert resource.started is not None
    ended = resource.ended if resource.ended is not None else resource.started
    properties: Json = {
        "provisioningOperation": "Create",
        "provisioningState": resource.state.value,
        "timestamp": timestamp(ended),
        "duration": _duration(ended - resource.started),
        "trackingId": deployment.correlation_id,
        "serviceRequestId": resource.operation_id,
        "statusCode": "Accepted" if resource.state is ResourceState.RUNNING else "OK",
        "targetResource": {
            **_target(resource),
            "apiVersion": resource.api_version,
            **({"symbolicName": resource.symbol} if resource.symbol else {}),
        },
    }
    if resource.error is not None:
        properties |= {
            "statusCode": "Conflict",
            "statusMessage": {"status": resource.state.value, "error": dict(resource.error)},
        }
    return _operation_of(deployment, resource.id, properties)


def _operation_of(deployment: Deployment, what: str, properties: Json) -> Json:
    identifier = f"{hash64(f'{deployment.operation_id}/{what}'.encode()):016X}"
    return {
        "id": f"{deployment.id}/operations/{identifier}",
        "operationId": identifier,
        "properties": properties,
    }


def _duration(seconds: float) -> str:
    return f"PT{max(0.0, seconds):.7f}S"


def _change(change: Change, *, only_ids: bool) -> Json:
    before = _steady(change.before) if change.before is not None else None
    after = _steady(change.after)
    delta = _delta(before, after, "") if before is not None else []
    kind = "Create" if before is None else "Modify" if delta else "NoChange"
    shown: Json = {"resourceId": change.resource_id, "deploymentId": change.deployment_id}
    if change.symbol is not None:
        shown["symbolicName"] = change.symbol
    if only_ids:
        return shown | {"changeType": kind if before is None else "Deploy"}
    if before is not None and change.what_if is not None:
        after["properties"]["poolwright"]["rollout"] = rollout_block(change.what_if)
    shown |= {"changeType": kind, "after": after}
    return shown | ({"before": before, "delta": delta} if before is not None else {})


def _steady(value: Any) -> Any:
    """The document without what is no part of a change."""
    if isinstance(value, dict):
        return {name: _steady(part) for name, part in value.items() if name not in _VOLATILE}
    return [_steady(part) for part in value] if isinstance(value, list) else value


def _delta(before: Mapping[str, Any], after: Mapping[str, Any], path: str) -> list[Json]:
    """The differences between two objects, each with its path."""
    found: list[Json] = []
    for name in [*before, *(name for name in after if name not in before)]:
        place = f"{path}.{name}" if path else name
        if name not in after:
            found.append({"path": place, "propertyChangeType": "Delete", "before": before[name]})
        elif name not in before:
            found.append({"path": place, "propertyChangeType": "Create", "after": after[name]})
        elif isinstance(before[name], dict) and isinstance(after[name], dict):
            found += _delta(before[name], after[name], place)
        elif isinstance(before[name], list) and isinstance(after[name], list):
            children = _array_delta(before[name], after[name])
            if children:
                found.append({"path": place, "propertyChangeType": "Array", "children": children})
        elif before[name] != after[name]:
            found.append(_modified(place, before[name], after[name]))
    return found


def _array_delta(before: list[Any], after: list[Any]) -> list[Json]:
    found: list[Json] = []
    for index in range(max(len(before), len(after))):
        if index >= len(after):
            found.append({"path": str(index), "propertyChangeType": "Delete", "before": before[index]})
        elif index >= len(before):
            found.append({"path": str(index), "propertyChangeType": "Create", "after": after[index]})
        elif isinstance(before[index], dict) and isinstance(after[index], dict):
            children = _delta(before[index], after[index], "")
            if children:
                found.append({"path": str(index), "propertyChangeType": "Modify", "children": children})
        elif before[index] != after[index]:
            found.append(_modified(str(index), before[index], after[index]))
    return found


def _modified(path: str, before: Any, after: Any) -> Json:
    return {"path": path, "propertyChangeType": "Modify", "before": before, "after": after}


def _diagnostics(changes: Sequence[Change]) -> Iterator[Json]:
    """What the rules decide for each node pool, and their warnings: az prints them below the changes."""
    for change in changes:
        if change.what_if is None:
            continue
        pool = change.what_if.pool
        yield {
            "level": "Info",
            "code": "NodePoolGeneration",
            "target": change.resource_id,
            "message": f"{pool.id.pool} gets generation {pool.generation.value} and node image {pool.node_image}: "
            f"{pool.rule.text}",
        }
        for warning in pool.warnings:
            yield {
                "level": "Warning",
                "code": warning.code,
                "target": change.resource_id,
                "message": warning.message,
            }
        if pool.late_failure is not None:
            yield {
                "level": "Warning",
                "code": pool.late_failure.code,
                "target": change.resource_id,
                "message": f"The operation would fail: {pool.late_failure.message}",
            }
