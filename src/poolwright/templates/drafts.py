"""The resources that a template leads to, as they stand in it: loops unrolled, children beside their parents.

Sources: https://learn.microsoft.com/azure/azure-resource-manager/templates/copy-resources and
https://learn.microsoft.com/azure/azure-resource-manager/templates/child-resource-name-type

Invariant: how many there are, their types and names are known before the deployment begins.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from poolwright.templates.evaluation import Evaluator, Frame, NotKnownYet
from poolwright.templates.expressions import is_expression
from poolwright.templates.sections import Json, refused, required_object

# https://learn.microsoft.com/azure/azure-resource-manager/templates/best-practices#template-limits
MAX_RESOURCES: Final = 800


@dataclass(slots=True)
class Draft:
    """A resource as it stands in the template, with the loops around it."""

    source: Json
    place: str
    frame: Frame
    type: str
    name: str
    symbol: str | None
    loop: str | None
    batch: int | None
    index: int


def drafts_of(template: Json, evaluator: Evaluator) -> list[Draft]:
    """Return the template's resources in its order. Raises `InvalidTemplate`, also when there are too many."""
    drafts: list[Draft] = []
    for draft in _expanded(evaluator, template.get("resources"), "resources", None, Frame()):
        drafts.append(draft)
        if len(drafts) > MAX_RESOURCES:
            raise refused(f"The number of template resources exceeds the limit of {MAX_RESOURCES}.", "resources")
    evaluator.budget.charge("resources", len(drafts))
    return drafts


def known(evaluator: Evaluator, source: Any, place: str, frame: Frame) -> Any:
    """Return the value. Raises `InvalidTemplate` when it depends on resources."""
    try:
        return evaluator.value(source, place, frame)
    except NotKnownYet as error:
        raise refused(
            f"The template function 'reference' is not expected at this location: '{place}'. Please see "
            "https://aka.ms/arm-functions for usage details.",
            place,
        ) from error


def _expanded(evaluator: Evaluator, declared: Any, place: str, parent: Draft | None, frame: Frame) -> Iterator[Draft]:
    if isinstance(declared, dict):
        entries = [(name, f"{place}.{name}", part) for name, part in declared.items()]
    elif isinstance(declared, list):
        entries = [(None, f"{place}[{index}]", part) for index, part in enumerate(declared)]
    else:
        raise refused(f"The resources at '{place}' are not an array or an object.", place)
    for symbol, where, part in entries:
        source = required_object(part, where)
        loop = source.get("copy")
        if loop is None:
            yield from _one(evaluator, source, where, parent, frame, symbol, None, 0)
            continue
        for index, each in enumerate(evaluator.copies(loop, f"{where}.copy", frame)):
            yield from _one(evaluator, source, where, parent, each, symbol, required_object(loop, where), index)


def _one(
    evaluator: Evaluator,
    source: Json,
    place: str,
    parent: Draft | None,
    frame: Frame,
    symbol: str | None,
    loop: Json | None,
    index: int,
) -> Iterator[Draft]:
    kind, name = source.get("type"), known(evaluator, source.get("name"), f"{place}.name", frame)
    if not isinstance(kind, str) or not kind or is_expression(kind):
        raise refused(f"The template resource at '{place}' has no type; it is a literal string.", place)
    if not isinstance(name, str) or not name:
        raise refused(f"The template resource at '{place}' has no name, or one that is not a string.", place)
    if parent is not None:
        kind, name = f"{parent.type}/{kind}", f"{parent.name}/{name}"
    draft = Draft(
        source=source,
        place=place,
        frame=frame,
        type=kind,
        name=name,
        symbol=f"{symbol}[{index}]" if symbol is not None and loop is not None else symbol,
        loop=str(loop.get("name", symbol)).lower() if loop is not None else None,
        batch=_batch(evaluator, loop, place, frame),
        index=index,
    )
    yield draft
    if source.get("resources"):
        yield from _expanded(evaluator, source["resources"], f"{place}.resources", draft, frame)


def _batch(evaluator: Evaluator, loop: Json | None, place: str, frame: Frame) -> int | None:
    """How many of a serial loop go at once; None for a parallel one."""
    if loop is None or str(loop.get("mode", "Parallel")).lower() != "serial":
        return None
    size = known(evaluator, loop.get("batchSize", 1), f"{place}.copy.batchSize", frame)
    if isinstance(size, bool) or not isinstance(size, int) or size < 1:
        raise refused(f"The batch size at '{place}.copy' is not a positive integer.", place)
    return size
