"""The resources of a deployment: their IDs, conditions and stages, and whether this service offers them.

Invariant: a resource has one ID, known before the deployment begins, and no other resource of the template has it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from poolwright import errors
from poolwright.domain.deployment import DEPLOYMENT_TYPE, DeploymentId, DeploymentResource
from poolwright.domain.resource_id import ResourceId
from poolwright.templates.dependencies import Dependencies, staged
from poolwright.templates.drafts import Draft, drafts_of, known
from poolwright.templates.evaluation import Evaluator, Named
from poolwright.templates.resource_names import normal, resource_id
from poolwright.templates.sections import Json, refused
from poolwright.templates.world import World

_SCOPE: Final = re.compile(r"/subscriptions/[^/]+(/resourceGroups/[^/]+)?(/providers/.+)?/?", re.IGNORECASE)


def resources_of(identifier: DeploymentId, template: Json, evaluator: Evaluator) -> list[DeploymentResource]:
    """Return them in the template's order, each with its stage. From now on the evaluator knows them by name.

    Raises `InvalidTemplate`.
    """
    drafts = drafts_of(template, evaluator)
    made = [_resource(identifier, evaluator, ordinal, draft) for ordinal, draft in enumerate(drafts)]
    _require_distinct(made)
    evaluator.named = [named(resource) for resource in made]
    dependencies = Dependencies(template, evaluator, drafts, made)
    return staged([replace(each, depends_on=tuple(sorted(dependencies.of(each.ordinal)))) for each in made])


def require_offered(resources: Sequence[DeploymentResource], world: World, here: DeploymentId) -> None:
    """Raise one error with all resources that this service does not offer, or not where they would go."""
    problems = [problem for each in resources if (problem := _not_offered(each, world, here)) is not None]
    if problems:
        raise errors.joined(problems)


def named(resource: DeploymentResource) -> Named:
    """Return what functions know the resource by."""
    return Named(resource.id, resource.type, resource.name, resource.api_version, resource.symbol)


def _resource(here: DeploymentId, evaluator: Evaluator, ordinal: int, draft: Draft) -> DeploymentResource:
    names, kind = draft.name.split("/"), draft.type
    version = known(evaluator, draft.source.get("apiVersion"), f"{draft.place}.apiVersion", draft.frame)
    if not isinstance(version, str) or not version:
        raise refused(f"The template resource '{draft.name}' at '{draft.place}' has no apiVersion.", draft.place)
    if draft.source.get("@options"):
        raise refused(f"The '@options' of the template resource '{draft.name}' are not offered.", draft.place)
    condition = known(evaluator, draft.source.get("condition", True), f"{draft.place}.condition", draft.frame)
    if not isinstance(condition, bool):
        raise refused(f"The condition of the template resource '{draft.name}' is not a boolean.", draft.place)
    try:
        identifier = resource_id(_scope(here, evaluator, draft), kind, names)
    except ValueError as error:
        raise refused(
            f"The template resource '{draft.name}' for type '{kind}' has incorrect segment lengths. A nested "
            "resource type must have identical number of segments as its resource name. A root resource type must "
            "have segment length one greater than its resource name. Please see "
            "https://aka.ms/arm-syntax-resources for usage details.",
            draft.place,
        ) from error
    return DeploymentResource(
        ordinal=ordinal,
        id=identifier,
        type=kind,
        name=draft.name,
        api_version=version,
        place=draft.place,
        symbol=draft.symbol,
        existing=draft.source.get("existing") is True,
        condition=condition,
        source=draft.source,
        copies=draft.frame.copies,
    )


def _scope(here: DeploymentId, evaluator: Evaluator, draft: Draft) -> str:
    """The ID below which the resource is."""
    source = draft.source
    scope = known(evaluator, source.get("scope"), f"{draft.place}.scope", draft.frame)
    if isinstance(scope, str) and scope:
        if scope.startswith("/") and not (source.get("existing") is True or _SCOPE.fullmatch(scope)):
            raise refused(
                f"The scope '{scope}' of the template resource '{draft.name}' is not valid: it is the ID of a "
                "subscription, of a resource group or of a resource.",
                f"{draft.place}.scope",
            )
        return scope if scope.startswith("/") else f"{here.scope}/providers/{scope}"
    group = known(evaluator, source.get("resourceGroup"), f"{draft.place}.resourceGroup", draft.frame)
    subscription = known(evaluator, source.get("subscriptionId"), f"{draft.place}.subscriptionId", draft.frame)
    below = f"/subscriptions/{subscription or here.subscription}"
    if group:
        return f"{below}/resourceGroups/{group}"
    # A nested deployment with a location of its own and no group goes to the subscription.
    if subscription or (draft.type.lower() == DEPLOYMENT_TYPE.lower() and source.get("location") is not None):
        return below
    return here.scope


def _require_distinct(resources: Sequence[DeploymentResource]) -> None:
    seen: set[str] = set()
    for resource in resources:
        if resource.existing or not resource.condition:
            continue
        key = normal(resource.id)
        if key in seen:
            raise refused(
                f"The resource '{resource.type}/{resource.name}' at '{resource.place}' is defined multiple times in a "
                "template. Please see https://aka.ms/arm-syntax-resources for usage details.",
                resource.place,
            )
        seen.add(key)


def _not_offered(resource: DeploymentResource, world: World, here: DeploymentId) -> errors.PoolwrightError | None:
    if resource.existing or not resource.condition:
        return None
    row = world.types.get(resource.type.lower())
    if row is None:
        offered = ", ".join(name for name, _ in world.types.values())
        return errors.NoRegisteredProviderFound(
            f"No registered resource provider found for type '{resource.type}' of resource '{resource.name}'. This "
            f"service offers {offered}.",
            target=resource.place,
            remedy="take the resource out of the template, give it a condition, or refer to it as an existing one",
        )
    found = ResourceId.parse(resource.id)
    if found is None:
        return errors.InvalidTemplate(
            f"'{resource.id}', which the name, type and scope of the template resource '{resource.name}' lead to, is "
            "not a valid resource ID.",
            target=resource.place,
            remedy="correct the name or the scope",
        )
    if row[1] == "subscription":
        is_there = here.group is None and found.group is not None and not found.providers
    elif resource.type.lower() == DEPLOYMENT_TYPE.lower():
        is_there = len(found.providers) == 1
    else:
        is_there = row[1] == "any" or found.is_in_group()
    if not is_there:
        return errors.InvalidTemplate(
            f"The resource '{resource.name}' of type '{resource.type}' cannot be deployed to a "
            f"{'resource group' if here.group is not None else 'subscription'}.",
            target=resource.place,
            remedy="deploy it in a module with another scope",
        )
    return None
