"""What is evaluated when its turn comes: the bodies that refer to another resource's state, and the outputs.

Invariant: only what was kept with the deployment is used, and no secure value is among it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from poolwright import errors
from poolwright.domain.deployment import Deployment, DeploymentResource
from poolwright.templates import types
from poolwright.templates.bodies import body_with
from poolwright.templates.budget import Budget
from poolwright.templates.evaluation import Evaluator, Frame, NotKnownYet, Reference, nothing_known
from poolwright.templates.functions import Unusable, found_name
from poolwright.templates.resources import named
from poolwright.templates.sections import Json, required_object, section


def body_of(
    deployment: Deployment,
    resources: Sequence[DeploymentResource],
    resource: DeploymentResource,
    reference: Reference,
    budget: Budget | None = None,
) -> Json:
    """Return what to PUT for a resource whose turn has come. Raises `InvalidTemplate`."""
    if resource.body is not None:
        return dict(resource.body)
    assert resource.source is not None
    evaluator = _later(deployment, resources, reference, budget)
    return body_with(evaluator, dict(resource.source), resource.type, resource.place, Frame(copies=resource.copies))


def outputs_of(
    deployment: Deployment,
    resources: Sequence[DeploymentResource],
    reference: Reference,
    budget: Budget | None = None,
) -> tuple[Json, list[errors.InvalidTemplate]]:
    """Return the outputs as clients see them, and what went wrong with others.

    Those are left out of both that depend on what `reference` does not know yet.
    """
    evaluator = _later(deployment, resources, reference, budget)
    budget = evaluator.budget
    shown: Json = {}
    problems = []
    for name, output in section(deployment.template, "outputs").items():
        place = f"outputs.{name}"
        try:
            kind = types.resolved(required_object(output, place), deployment.template, place, budget)
            if not evaluator.value(kind.get("condition", True), f"{place}.condition"):
                continue
            told: Json = {"type": types.shown_type(kind, place)}
            if not types.is_secure(output, deployment.template, place, budget):
                told["value"] = _output(evaluator, kind, place)
                wrong = next(types.problems(told["value"], output, deployment.template, place, budget), None)
                if wrong is not None:
                    raise errors.InvalidTemplate(f"The template output is not valid: {wrong}", target=place)
            shown[name] = told
        except errors.InvalidTemplate as error:
            problems.append(error)
        except NotKnownYet:
            continue
    return shown, problems


def require_outputs(deployment: Deployment, resources: Sequence[DeploymentResource]) -> None:
    """Raise `InvalidTemplate` for an output that would go wrong whatever becomes of the resources."""
    _, problems = outputs_of(deployment, resources, nothing_known)
    if problems:
        raise problems[0]


def _later(
    deployment: Deployment, resources: Sequence[DeploymentResource], reference: Reference, budget: Budget | None
) -> Evaluator:
    """The evaluator of a deployment under way: with what was kept, and with sight of resources."""

    def parameter(wanted: str) -> Any:
        name = found_name(deployment.values, wanted)
        if name is None:
            raise Unusable(f"The template parameter '{wanted}' is not found.")
        return deployment.values[name]

    evaluator = Evaluator(deployment.template, parameter, deployment.facts, reference=reference, budget=budget)
    evaluator.named = [named(resource) for resource in resources]
    return evaluator


def _output(evaluator: Evaluator, output: Json, place: str) -> Any:
    loop = output.get("copy")
    if isinstance(loop, dict):
        return [
            evaluator.value(loop.get("input"), f"{place}.copy.input", frame)
            for frame in evaluator.copies({**loop, "name": ""}, f"{place}.copy")
        ]
    return evaluator.value(output.get("value"), f"{place}.value")
