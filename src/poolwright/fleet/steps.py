"""The steps of a move, each as it is typed and as it is sent, with what shows that it worked and what takes it back.

Invariant: a node pool is taken away only after its replacement is ready.
"""

from __future__ import annotations

from typing import Any, Final

from poolwright.domain.generation import Generation
from poolwright.domain.node_pool_kind import Mode, PoolType, Priority
from poolwright.domain.os_sku import OsSku
from poolwright.domain.resource_id import NodePoolId
from poolwright.fleet import commands
from poolwright.fleet.commands import az_show
from poolwright.fleet.draft import Draft, as_made, upgrade_settings
from poolwright.fleet.plan import Check, Request, Step, StepName
from poolwright.fleet.remarks import machines_of, nodes_of

# OS SKUs that get Generation 2 only by the header, where the size offers both (rules 16 and 19).
_NEEDS_HEADER: Final = frozenset({OsSku.WINDOWS_2022, OsSku.WINDOWS_ANNUAL})


def new_pool_steps(
    draft: Draft,
    replacement: NodePoolId,
    properties: dict[str, Any],
    added: tuple[str, ...],
    again: tuple[str, ...],
) -> tuple[tuple[Step, ...], tuple[str, ...]]:
    """Return the steps by a node pool beside the old one, and the way back.

    `added` are the lines that add the new node pool, `again` those that make the old one once more.
    """
    pool, old, new = draft.pool, draft.pool.id.pool, replacement.pool
    headers, timeout = headers_of(draft), upgrade_settings(draft.pool).drain_timeout_minutes
    uncordon = commands.kubectl_uncordon(old)
    steps = [
        _confirm(draft),
        Step(
            name=StepName.ADD_POOL,
            what=f"Add node pool {new} of Generation 2 beside {old}.",
            az=added,
            sdk=commands.sdk_create(replacement, properties, headers),
            request=Request(method="PUT", pool=str(replacement), properties=properties, headers=headers),
            checks=(
                Check(run=az_show(replacement, "provisioningState"), expect="Succeeded"),
                Check(run=az_show(replacement, "nodeImageVersion"), expect=_image(draft)),
                Check(run=commands.kubectl("get nodes", new), expect=nodes_of(pool)),
            ),
            undo=(commands.az("aks nodepool delete", replacement),),
            undo_request=Request(method="DELETE", pool=str(replacement)),
        ),
    ]
    if pool.autoscaling:
        bounds = ("--min-count", str(pool.min_count or 0)), ("--max-count", str(pool.max_count or pool.count))
        held = {"enableAutoScaling": False, "minCount": None, "maxCount": None}
        former = {
            "enableAutoScaling": True,
            "minCount": pool.min_count or 0,
            "maxCount": pool.max_count or pool.count,
        }
        steps.append(
            Step(
                name=StepName.HOLD_AUTOSCALER,
                what=f"Keep the autoscaler from giving {old} new machines while it is drained.",
                az=(commands.az("aks nodepool update", pool.id, ("--disable-cluster-autoscaler",)),),
                sdk=commands.sdk_change(pool.id, held, {}),
                request=Request(method="PUT", pool=str(pool.id), on="current", properties=held),
                checks=(Check(run=az_show(pool.id, "enableAutoScaling"), expect="false"),),
                undo=(commands.az("aks nodepool update", pool.id, ("--enable-cluster-autoscaler",), *bounds),),
                undo_request=Request(method="PUT", pool=str(pool.id), on="current", properties=former),
            )
        )
    # A cluster keeps at least one system node pool (rule 56).
    systems = commands.az_system_pools(pool.id.cluster_id)
    steps += [
        Step(
            name=StepName.CORDON,
            what=f"Let no further pods come to the nodes of {old}.",
            kubectl=(commands.kubectl_cordon(old),),
            checks=(Check(run=commands.kubectl("get nodes", old), expect="SchedulingDisabled on every node"),),
            undo=(uncordon,),
        ),
        Step(
            name=StepName.DRAIN,
            what=f"Have the pods leave the nodes of {old}, as their disruption budgets allow.",
            kubectl=(commands.kubectl_drain(old, timeout),),
            checks=(
                Check(
                    run=commands.kubectl_unfinished_pods(),
                    expect=f"on the nodes of {old} only pods of daemon sets; no pod elsewhere is Pending because of it",
                ),
            ),
            undo=(uncordon,),
        ),
        Step(
            name=StepName.DELETE_POOL,
            what=f"Delete node pool {old}.",
            az=(commands.az("aks nodepool delete", pool.id),),
            sdk=commands.sdk_delete(pool.id),
            request=Request(method="DELETE", pool=str(pool.id)),
            checks=(Check(run=systems, expect=f"{new} is among them"),) if pool.role is Mode.SYSTEM else (),
            undo=again,
        ),
    ]
    until = [line for step in reversed(steps[:-1]) for line in step.undo]
    back = tuple(dict.fromkeys(until))
    return tuple(steps), ("Until the old node pool is deleted:", *back, "After that:", *again)


def in_place_steps(draft: Draft) -> tuple[tuple[Step, ...], tuple[str, ...]]:
    """Return the steps that change the node pool itself, and the way back."""
    pool, target = draft.pool, draft.chosen[0][2].size
    headers = headers_of(draft)
    properties: dict[str, Any] = {}
    former: dict[str, Any] = {}
    if draft.resizes:
        properties["vmSize"], former["vmSize"] = target.name, draft.chosen[0][0].name
    # What is of Generation 1 although its size does both was asked to be, and the wish is kept until another is made.
    if not headers and (not draft.resizes or draft.found.gen2_size == "yes" or "vmGeneration" in pool.properties):
        properties["vmGeneration"], former["vmGeneration"] = Generation.V2.value, Generation.V1.value
    former_headers = {commands.WINDOWS_GEN2_HEADER: "false"} if headers else {}
    line = commands.az_change(pool.id, properties, headers)
    back = commands.az_change(pool.id, former, former_headers)
    counted = "{V1: poolwright.observedGenerations.V1, V2: poolwright.observedGenerations.V2}"
    step = Step(
        name=StepName.CHANGE,
        what="Replace the machines by ones of Generation 2, wave by wave.",
        az=(line,),
        sdk=commands.sdk_change(pool.id, properties, headers),
        request=Request(method="PUT", pool=str(pool.id), on="current", properties=properties, headers=headers),
        checks=(
            Check(run=az_show(pool.id, "provisioningState"), expect="Succeeded"),
            Check(run=az_show(pool.id, "nodeImageVersion"), expect=_image(draft)),
            Check(run=az_show(pool.id, counted), expect=f"0 of V1 and {machines_of(pool)} of V2"),
        ),
        undo=(back,),
        undo_request=Request(method="PUT", pool=str(pool.id), on="current", properties=former, headers=former_headers),
    )
    return (_confirm(draft), step), ("The same change the other way:", back)


def new_properties(draft: Draft) -> dict[str, Any]:
    """Return what the new node pool is asked to be: the old one, on its new sizes."""
    pool = draft.pool
    properties = {
        name: value
        for name, value in as_made(pool).items()
        # A snapshot holds the old image, and the wish is of the old generation.
        if name not in ("creationData", "vmGeneration")
    }
    properties["osSKU"] = draft.os_sku.value
    if draft.os_sku is OsSku.WINDOWS_2025:
        # It has no other way (rule 39).
        properties["enableFIPS"] = True
    if pool.pool_type is PoolType.VIRTUAL_MACHINES:
        counted: dict[str, int] = {}
        for _, count, target, _ in draft.chosen:
            counted[target.size.name] = counted.get(target.size.name, 0) + count
        manual = [{"size": size, "count": count} for size, count in counted.items()]
        properties["virtualMachinesProfile"] = {"scale": {"manual": manual}}
        properties.pop("count", None)
    else:
        properties["vmSize"] = draft.chosen[0][2].size.name
        properties["count"] = pool.count
    if properties.get("scaleSetPriority") != Priority.SPOT.value:
        for name in ("scaleSetEvictionPolicy", "spotMaxPrice"):
            properties.pop(name, None)
    return dict(sorted(properties.items()))


def headers_of(draft: Draft) -> dict[str, str]:
    """Return the headers that ask for Generation 2, where only they do."""
    return {commands.WINDOWS_GEN2_HEADER: "true"} if draft.os_sku in _NEEDS_HEADER else {}


def _confirm(draft: Draft) -> Step:
    pool = draft.pool
    checks = [Check(run=az_show(pool.id, "provisioningState"), expect="Succeeded")]
    if pool.etag is not None:
        checks.append(Check(run=az_show(pool.id, "eTag"), expect=f"{pool.etag}, or the node pool changed since"))
    if draft.found.confidence != "certain":
        checks.append(
            Check(
                run=az_show(pool.id, "nodeImageVersion"),
                expect="no gen2 in it; its generation is only likely V1",
            )
        )
    return Step(
        name=StepName.CONFIRM, what="See that the node pool is as it was when this was planned.", checks=tuple(checks)
    )


def _image(draft: Draft) -> str:
    definition = draft.chosen[0][2].definition.removeprefix("windows-")
    return f"it contains {definition}"
