"""From a template and its parameters to the resources it leads to, in the order in which they can be deployed.

`prepare` evaluates what can be evaluated before anything is deployed. What refers to another resource's
state (`reference`) is kept as it was written, for its turn (`deferred.py`).

Sources: https://learn.microsoft.com/azure/azure-resource-manager/templates/syntax and the pages beside it on
copy loops, conditions, dependencies and linked templates; what bicep writes was read from its own test files
(https://github.com/Azure/bicep/tree/main/src/Bicep.Core.Samples/Files).

Invariant: names, types, conditions, loops and dependencies are known before the deployment begins; the value
of a secure parameter, and of what is built from one, is used here and kept nowhere but in the properties of
resources that the template gives it to.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from poolwright import errors
from poolwright.domain.deployment import (
    DEPLOYMENT_TYPE,
    GROUP_TYPE,
    Deployment,
    DeploymentId,
    DeploymentResource,
    PreparedDeployment,
)
from poolwright.templates.bodies import body_with
from poolwright.templates.budget import Budget
from poolwright.templates.deferred import require_outputs
from poolwright.templates.evaluation import Frame, NotKnownYet
from poolwright.templates.expressions import is_expression
from poolwright.templates.functions import compact
from poolwright.templates.nested import deployment_id, evaluated_outside, is_inner
from poolwright.templates.parameters import Parameters
from poolwright.templates.requested import Requested, requested
from poolwright.templates.resource_names import normal
from poolwright.templates.resources import require_offered, resources_of
from poolwright.templates.sections import Json, refused, require_template, section
from poolwright.templates.secure import (
    literal_secrets,
    require_outputs_without_secrets,
    secure_in,
    without_literal_secrets,
)
from poolwright.templates.unique_string import hash64
from poolwright.templates.world import World, no_subscription

_HASHED_A_STEP: Final = 16


def prepare(
    identifier: DeploymentId, asked: Requested, world: World, *, budget: Budget | None = None, depth: int = 0
) -> PreparedDeployment:
    """Return the deployment with its resources. Raises one error with all that is wrong with its resources.

    `budget` is what the deployments within and the rehearsal take from as well.
    """
    budget = budget if budget is not None else Budget()
    try:
        return _prepared(identifier, asked, world, budget, depth)
    except RecursionError as error:
        raise refused("It is nested too deeply", "template") from error


def _prepared(
    identifier: DeploymentId, asked: Requested, world: World, budget: Budget, depth: int
) -> PreparedDeployment:
    template = asked.template
    budget.weigh(asked.tags or {})
    require_template(template, depth)
    facts = _facts(identifier, asked, world, budget)
    sent = Parameters(template, asked, facts, world, budget)
    sent.require_all()
    resources = resources_of(identifier, template, sent.evaluator)
    require_offered(resources, world, identifier)
    nesting = _Nesting(identifier, sent, world, depth, resources)
    made = tuple(nesting.evaluated(resource) for resource in resources)
    require_outputs_without_secrets(template, sent.secure, budget)
    deployment = Deployment(
        id=identifier,
        location=asked.location,
        tags=dict(asked.tags or {}),
        template=without_literal_secrets(template, world.cleaned),
        template_hash=facts["deployment"]["properties"]["templateHash"],
        parameters=sent.shown(),
        values=sent.kept(),
        facts=facts,
        correlation_id=world.correlation_id,
        started=world.now,
    )
    require_outputs(deployment, made)
    return PreparedDeployment(deployment=deployment, resources=made)


class _Nesting:
    """Evaluates the bodies of a deployment's resources, and the deployments among them."""

    def __init__(
        self,
        identifier: DeploymentId,
        sent: Parameters,
        world: World,
        depth: int,
        resources: Sequence[DeploymentResource],
    ) -> None:
        self._identifier = identifier
        self._sent = sent
        self._world = world
        self._depth = depth
        self._planned: dict[str, Json] = {}
        # Groups first: what is deployed into a group asks for its location before the group is there.
        for resource in resources:
            if resource.type.lower() == GROUP_TYPE.lower() and resource.condition and not resource.existing:
                body = self._body(resource)
                if body is not None:
                    self._planned[normal(resource.id)] = {
                        "id": resource.id,
                        "name": resource.name,
                        "type": GROUP_TYPE,
                        "location": body.get("location"),
                        "tags": body.get("tags") or {},
                        "properties": {"provisioningState": "Succeeded"},
                    }

    def evaluated(self, resource: DeploymentResource) -> DeploymentResource:
        """Return the resource with its body, or with its source when that is not known yet."""
        if resource.existing or not resource.condition:
            return replace(resource, source=None)
        body = self._body(resource)
        if body is None:
            self._require_no_secret(resource)
            source = without_literal_secrets(dict(resource.source or {}), self._world.cleaned)
            return replace(resource, source=source)
        if resource.type.lower() != DEPLOYMENT_TYPE.lower():
            return replace(resource, body=self._world.cleaned(body), source=None)
        self._world.require_access(resource)
        world = replace(self._world, group=self._group)
        asked = replace(requested(body), secure=self._given_secure(resource, body))
        nested = prepare(deployment_id(resource.id), asked, world, budget=self._sent.budget, depth=self._depth + 1)
        return replace(resource, nested=nested, source=None)

    def _given_secure(self, resource: DeploymentResource, body: Json) -> frozenset[str]:
        """The parameters of a nested deployment that get what a secure parameter of this one is in.

        A template that is evaluated in this one's surroundings is text once it is evaluated, which would be kept.
        """
        source, template = dict(resource.source or {}), self._sent.template
        properties = section(source, "properties")
        if not is_inner(resource.type, source) and isinstance(properties.get("template"), dict):
            outer = without_literal_secrets(properties["template"], self._world.cleaned)
            used = secure_in(evaluated_outside(outer), template, self._sent.secure, self._sent.budget)
            if used:
                raise errors.InvalidTemplate(
                    f"The nested deployment '{resource.name}' is evaluated in the scope of the outer template and uses "
                    f"its secure parameter '{used}', which would show in the nested template.",
                    target=resource.place,
                    # https://learn.microsoft.com/azure/azure-resource-manager/templates/template-test-cases
                    # (use inner scope for nested deployment secure parameters)
                    remedy="set properties.expressionEvaluationOptions.scope to inner; pass it as a secure parameter",
                )
        given = properties.get("parameters")
        if not isinstance(given, dict) or any(name == "copy" or is_expression(name) for name in given):
            is_secure = secure_in(given, template, self._sent.secure, self._sent.budget) is not None
            return frozenset(section(section(body, "properties"), "parameters") if is_secure else ())
        return frozenset(
            name for name, part in given.items() if secure_in(part, template, self._sent.secure, self._sent.budget)
        )

    def _body(self, resource: DeploymentResource) -> Json | None:
        assert resource.source is not None
        frame = Frame(copies=resource.copies)
        try:
            return body_with(self._sent.evaluator, dict(resource.source), resource.type, resource.place, frame)
        except NotKnownYet:
            return None

    def _group(self, subscription: str, group: str) -> Mapping[str, Any] | None:
        planned = self._planned.get(normal(f"/subscriptions/{subscription}/resourceGroups/{group}"))
        return planned or self._world.group(subscription, group)

    def _require_no_secret(self, resource: DeploymentResource) -> None:
        used = secure_in(resource.source, self._sent.template, self._sent.secure, self._sent.budget)
        if used:
            raise errors.InvalidTemplate(
                f"The template resource '{resource.name}' refers to another resource's state and to the secure "
                f"parameter '{used}'. What refers to a state is evaluated later, and this service keeps no secrets.",
                target=resource.place,
                remedy="use the secure parameter in a resource of its own, without reference()",
            )
        literal = literal_secrets(section(resource.source or {}, "properties"), self._sent.budget)
        if literal:
            raise errors.InvalidTemplate(
                f"The nested deployment '{resource.name}' refers to another resource's state and has a value for the "
                f"secure parameter '{literal[0]}'. What refers to a state is evaluated later, and this service keeps "
                "no secrets.",
                target=resource.place,
                remedy="use the secure parameter in a nested deployment of its own, without reference()",
            )


def _facts(identifier: DeploymentId, asked: Requested, world: World, budget: Budget) -> Json:
    subscription = world.subscription(identifier.subscription)
    if subscription is None:
        raise no_subscription(identifier.subscription)
    told: Json = {
        **world.facts,
        "subscription": subscription,
        "deployment": {
            "name": identifier.name,
            **({"location": asked.location} if identifier.group is None else {}),
            "properties": {
                "template": {
                    name: part for name, part in asked.template.items() if name in ("$schema", "contentVersion")
                },
                "templateHash": _template_hash(asked.template, budget),
                "mode": "Incremental",
                "provisioningState": "Accepted",
            },
        },
    }
    if identifier.group is not None:
        group = world.group(identifier.subscription, identifier.group)
        if group is None:
            raise errors.ResourceGroupNotFound(
                f"Resource group '{identifier.group}' could not be found.",
                remedy=f"create it: az group create --name {identifier.group} --location <location>",
            )
        told["resourceGroup"] = group
    return told


def _template_hash(template: Json, budget: Budget) -> str:
    """The number that stands for the template; the many copies of a module have one."""
    # It is written, read and kept several times over.
    budget.weigh(template)
    text = compact(template)
    if text not in budget.hashes:
        budget.charge("steps", len(text) // _HASHED_A_STEP)
        budget.hashes[text] = str(hash64(text.encode()))
    return budget.hashes[text]
