"""Node pools as an endpoint shows them, held against what the plan says of them.

Invariant: everything here is decided by what is handed in; nothing is asked, and nothing changed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from poolwright.domain.node_pool_kind import PowerState
from poolwright.fleet.arm import Json, properties_of, state_of
from poolwright.fleet.formats import read_pool
from poolwright.fleet.plan import PoolFound, PoolMove, Request, Step, StepName
from poolwright.fleet.values import FleetPool, Origin


class StepFailed(Exception):
    """A step did not come to what it must; says what is there instead."""


def request_of(step: Step) -> Request:
    """Return the request of a step that has one."""
    assert step.request is not None, "every step but those of kubectl and the first has a request"
    return step.request


def replacement_of(move: PoolMove) -> str:
    """Return the ID of the node pool that takes the place of the old one."""
    return f"{move.id.rpartition('/')[0]}/{move.replacement}"


def making_again(move: PoolMove) -> tuple[str, ...]:
    """Return the lines that make the old node pool again, once it is deleted."""
    return next(step.undo for step in move.steps if step.name is StepName.DELETE_POOL)


def read(resource: Json) -> FleetPool:
    """Return the node pool that the endpoint shows. Raises `StepFailed` for what is none."""
    pool = read_pool(resource, Origin("the endpoint"), lambda path, what: None)
    if pool is None:
        raise StepFailed(f"what the endpoint answers is no node pool: {sorted(resource)}")
    return pool


def known(pool: FleetPool) -> dict[str, Any]:
    """Return the properties of a node pool that a PUT could carry, without nulls."""
    version = {"orchestratorVersion": str(pool.version)} if pool.version is not None else {}
    return {name: value for name, value in {**pool.properties, **version}.items() if value is not None}


def changed_by(properties: Mapping[str, Any], request: Request) -> dict[str, Any]:
    """Return what the properties become by a request that changes some of them."""
    changed = {**properties, **request.properties}
    return {name: value for name, value in changed.items() if value is not None}


def differing(found: PoolFound, pool: FleetPool) -> list[str]:
    """Return what differs from the export, of all it told, and what people have set since.

    An autoscaler changes the count of its node pool all the time.
    """
    shown = known(pool)
    names = [
        name
        for name, value in found.properties.items()
        # Exports have `false` where replies have nothing, and the other way round.
        if (shown.get(name) or None) != (value or None) and not (name == "count" and pool.autoscaling)
    ]
    names += [
        name
        for name in _SET_BY_PEOPLE
        if name not in found.properties and (_WITHOUT_OWN[name](pool) if name in _WITHOUT_OWN else shown.get(name))
    ]
    if found.node_image is not None and found.node_image != pool.node_image:
        names.append("nodeImageVersion")
    return names


def why_not_ready(move: PoolMove, resource: Json) -> str | None:
    """Return why the moved node pool, or the replacement, is not what the move is to come to; None where it is."""
    pool = read(resource)
    name, definition = pool.id.pool, move.image_definition.removeprefix("windows-")
    if state_of(resource) != "Succeeded":
        return f"{name} is {state_of(resource) or 'in an unknown state'}"
    if definition not in (pool.node_image or ""):
        return f"{name} has the node image {pool.node_image}, and was to have {definition}"
    missing = {size.to.size.lower() for size in move.sizes} - {size.lower() for size in pool.sizes}
    if missing:
        return f"{name} has no machines of {', '.join(sorted(missing))}"
    own = properties_of(resource).get("poolwright")
    observed = own.get("observedGenerations") if isinstance(own, dict) else None
    if isinstance(observed, dict) and observed.get("V1"):
        return f"{observed['V1']} machines of {name} show Generation 1"
    return None


def set_by_others(now: Mapping[str, Any], before: Mapping[str, Any], step: Step) -> list[str]:
    """Return what of a step's properties is neither as it was before the step, nor as the step left it."""
    assert step.undo_request is not None, "what is taken back by no request has no properties"
    ours = (before, request_of(step).properties, step.undo_request.properties)
    return [
        name
        for name in step.undo_request.properties
        if not any((now.get(name) or None) == (each.get(name) or None) for each in ours)
    ]


def why_not_in_its_place(move: PoolMove, old: FleetPool, replacement: FleetPool, what: str) -> str | None:
    """Return why the old node pool is still needed; None where its replacement runs and has machines enough.

    `what` is what is done to the old one next.
    """
    name = replacement.id.pool
    if replacement.power is not PowerState.RUNNING:
        state = replacement.power.value if replacement.power is not None else "in an unknown power state"
        return f"{name} is {state}: start it before {move.pool} is {what}"
    # What has drained off the old node pool has to have somewhere to go; one that never had machines needs none.
    planned = as_asked(move).count or old.count
    wanted = max(replacement.min_count or 0, min(planned, 1)) if replacement.autoscaling else planned
    if replacement.count < wanted:
        return f"{name} has {replacement.count} machines, and {wanted} are needed before {move.pool} is {what}"
    return None


def as_asked(move: PoolMove) -> FleetPool:
    """Return the replacement as the plan asks for it."""
    (request,) = [request_of(step) for step in move.steps if step.name is StepName.ADD_POOL]
    return read({"id": request.pool, "properties": request.properties})


def _sizes(pool: FleetPool) -> object:
    return sorted(size.lower() for size in pool.sizes)


def _labels(pool: FleetPool) -> object:
    # AKS adds its own, to spot machines among others.
    labels = pool.properties.get("nodeLabels") or {}
    return {name: value for name, value in labels.items() if not name.startswith(_OF_AKS)}


def _taints(pool: FleetPool) -> object:
    return sorted(taint for taint in pool.properties.get("nodeTaints") or [] if not taint.startswith(_OF_AKS))


def _machines(pool: FleetPool) -> object:
    return sorted((profile.size.lower(), profile.count) for profile in pool.scale)


_OF_AKS: Final = "kubernetes.azure.com/"
_WITHOUT_OWN: Final[Mapping[str, Callable[[FleetPool], object]]] = {"nodeLabels": _labels, "nodeTaints": _taints}
# What a node pool has only where somebody asked for it: an export that does not tell it is of one that had none. AKS
# fills in all else by itself, and exports of older api-versions lack it.
# Source: AgentPool.tsp in Azure/azure-rest-api-specs, as azure-mgmt-containerservice 41.8.0 has it.
_SET_BY_PEOPLE: Final = (
    *("nodeLabels", "nodeTaints", "tags", "enableAutoScaling", "minCount", "maxCount", "availabilityZones"),
    *("enableEncryptionAtHost", "enableFIPS", "enableNodePublicIP", "enableUltraSSD", "nodePublicIPPrefixID"),
    *("capacityReservationGroupID", "hostGroupID", "proximityPlacementGroupID", "podSubnetID", "vnetSubnetID"),
    *("creationData", "gpuInstanceProfile", "kubeletConfig", "linuxOSConfig", "messageOfTheDay", "vmGeneration"),
)
# What a node pool is known by again, as its reader has it; None is what a request leaves to the service.
_KNOWN_BY: Final[Mapping[str, Callable[[FleetPool], object]]] = {
    "size": _sizes,
    "mode": lambda pool: pool.mode,
    "labels": _labels,
    "taints": _taints,
    "osType": lambda pool: pool.os_type,
    "osSKU": lambda pool: pool.os_sku,
    "count": _machines,
}


def otherwise_than_asked(asked: FleetPool, there: FleetPool) -> list[str]:
    """Return what differs from the request. An autoscaler changes the count of its node pool all the time."""
    return [
        name
        for name, of in _KNOWN_BY.items()
        if of(asked) is not None and of(asked) != of(there) and not (name == "count" and asked.autoscaling)
    ]
