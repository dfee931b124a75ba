"""Nested deployments: what they are called, and in whose scope their template is evaluated.

Source: https://learn.microsoft.com/azure/azure-resource-manager/templates/linked-templates#expression-evaluation-scope-in-nested-templates

Invariant: a template of scope `inner` is no part of the one around it: nothing in it counts there.
"""

from __future__ import annotations

from poolwright import errors
from poolwright.domain.deployment import DEPLOYMENT_TYPE, DeploymentId
from poolwright.domain.resource_id import ResourceId
from poolwright.templates.sections import Json, section


def is_inner(kind: str, source: Json) -> bool:
    """Whether a nested deployment's template is evaluated by itself."""
    if kind.lower() != DEPLOYMENT_TYPE.lower():
        return False
    options = section(section(source, "properties"), "expressionEvaluationOptions")
    return str(options.get("scope", "Outer")).lower() == "inner"


def evaluated_outside(template: Json) -> Json:
    """Return what counts of a nested template that is evaluated in the surroundings."""
    return {name: part for name, part in template.items() if name not in ("parameters", "variables", "functions")}


def without_template(source: Json) -> Json:
    """Return a nested deployment without its template."""
    return {**source, "properties": {**section(source, "properties"), "template": None}}


def deployment_id(identifier: str) -> DeploymentId:
    """Return the parts of a deployment's ID. Raises `InvalidTemplate` for what is none."""
    found = ResourceId.parse(identifier)
    if found is None or len(found.providers) != 1 or found.type.lower() != DEPLOYMENT_TYPE.lower():
        raise errors.InvalidTemplate(
            f"'{identifier}' is not the ID of a deployment to a resource group or to a subscription.",
            remedy="correct the names and the scope in the template",
        )
    return DeploymentId(found.subscription.lower(), found.group, *found.names)
