"""The body that is PUT for a resource of a template.

Invariant: one place says what of a resource is sent, whether it is evaluated before the deployment or when its turn
comes.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from poolwright.domain.deployment import DEPLOYMENT_TYPE
from poolwright.templates.evaluation import Evaluator, Frame
from poolwright.templates.nested import evaluated_outside, is_inner
from poolwright.templates.sections import Json, section

# What a resource of a template has besides what is PUT.
_NOT_SENT: Final = frozenset(
    (
        *("type", "name", "apiversion", "dependson", "condition", "copy", "comments", "scope", "metadata"),
        *("resources", "existing", "resourcegroup", "subscriptionid", "@options"),
    )
)


def sent_parts(source: Json) -> Json:
    """Return what of a resource is sent, as it is written."""
    return {name: part for name, part in source.items() if name.lower() not in _NOT_SENT}


def body_with(evaluator: Evaluator, source: Json, kind: str, place: str, frame: Frame) -> Json:
    """Return what is PUT. Raises `InvalidTemplate` and `NotKnownYet`.

    The template of a nested deployment is its own affair, unless it is evaluated in this one's.
    """
    sent = sent_parts(source)
    if kind.lower() != DEPLOYMENT_TYPE.lower():
        return dict(evaluator.value(sent, place, frame))
    properties = section(source, "properties")
    template = properties.get("template")
    body = dict(evaluator.value({**sent, "properties": {**properties, "template": None}}, place, frame))
    if isinstance(template, dict) and not is_inner(kind, source):
        outer = evaluated_outside(template)
        template = evaluator.value(outer, f"{place}.properties.template", replace(frame, raw=True))
    return {**body, "properties": {**body["properties"], "template": template}}
