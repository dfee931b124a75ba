"""Which resources of a template wait for which, by dependsOn, references and serial loops, and the stages of them all.

Source: https://learn.microsoft.com/azure/azure-resource-manager/templates/resource-dependency

Invariant: a resource's stage is later than that of all it waits for, and what waits for itself is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from graphlib import CycleError, TopologicalSorter
from typing import Any, Final

from poolwright.domain.deployment import DeploymentResource
from poolwright.templates.bodies import sent_parts
from poolwright.templates.drafts import Draft, known
from poolwright.templates.evaluation import Evaluator, called
from poolwright.templates.expressions import Literal
from poolwright.templates.functions import as_text
from poolwright.templates.nested import is_inner, without_template
from poolwright.templates.resource_names import normal
from poolwright.templates.sections import Json, refused

# Ours: an operation that waits for others holds a thread, and those need some as well.
MAX_AT_ONCE: Final = 32


class Dependencies:
    """What the resources of one template wait for. `drafts` and `made` are those resources, by ordinal."""

    def __init__(
        self, template: Json, evaluator: Evaluator, drafts: Sequence[Draft], made: Sequence[DeploymentResource]
    ) -> None:
        self._template = template
        self._evaluator = evaluator
        self._drafts = drafts
        self._made = made
        self._known_calls: dict[str, list[str]] = {}
        self._normals: dict[str, str] = {}

    def of(self, ordinal: int) -> set[int]:
        """Return the ordinals of what the resource waits for. Raises `InvalidTemplate`."""
        draft = self._drafts[ordinal]
        wanted = known(self._evaluator, draft.source.get("dependsOn") or [], f"{draft.place}.dependsOn", draft.frame)
        if not isinstance(wanted, list):
            raise refused(f"'{draft.place}.dependsOn' is not an array.", draft.place)
        found: set[int] = set()
        for each in wanted:
            matches = self._matching(each)
            if not matches:
                raise refused(
                    f"The resource '{as_text(each)}' is not defined in the template. Please see "
                    "https://aka.ms/arm-syntax for usage details.",
                    f"{draft.place}.dependsOn",
                )
            self._evaluator.budget.charge("steps", len(matches) // 4)
            found |= matches
        found |= self._referred(draft)
        if draft.batch is not None and draft.index >= draft.batch:
            # Each of a batch waits for all of the one before.
            first = draft.index - draft.index % draft.batch
            found |= {
                place
                for place, other in enumerate(self._drafts)
                if other.place == draft.place and first - draft.batch <= other.index < first
            }
        return found - {ordinal}

    def _matching(self, wanted: Any) -> set[int]:
        """The resources that an entry of dependsOn means: by ID, symbolic name, loop, name, or type and name."""
        if not isinstance(wanted, str):
            return set()
        key = wanted.lower()
        self._evaluator.budget.charge("steps", len(self._made) // 4)
        if wanted.startswith("/"):
            key = normal(wanted)
            return {each.ordinal for each in self._made if self._normal(each.id) == key}
        return {
            each.ordinal
            for each, draft in zip(self._made, self._drafts, strict=True)
            if key in ((each.symbol or each.name).lower(), (each.symbol or "").partition("[")[0].lower(), draft.loop)
            or (each.symbol is None and self._normal(each.id).endswith(f"/providers/{key}"))
        }

    def _referred(self, draft: Draft) -> set[int]:
        """The resources whose state it reads by a name known beforehand: they come first."""
        found: set[int] = set()
        parts = sent_parts(draft.source)
        if is_inner(draft.type, draft.source):
            parts = without_template(parts)
        # All copies of a loop have the same text.
        if draft.place not in self._known_calls:
            self._known_calls[draft.place] = [
                call.arguments[0].value
                for call in called(parts, self._template, self._evaluator.budget)
                if call.function in ("reference", "references")
                and call.arguments
                and isinstance(call.arguments[0], Literal)
                and isinstance(call.arguments[0].value, str)
            ]
        for wanted in self._known_calls[draft.place]:
            found |= self._matching(wanted)
        return found

    def _normal(self, identifier: str) -> str:
        found = self._normals.get(identifier)
        if found is None:
            found = self._normals[identifier] = normal(identifier)
        return found


def staged(resources: Sequence[DeploymentResource]) -> list[DeploymentResource]:
    """Return the resources with their stages. Raises `InvalidTemplate` for a circle."""
    stages: dict[int, int] = {}
    try:
        order = list(TopologicalSorter({each.ordinal: each.depends_on for each in resources}).static_order())
    except CycleError as error:
        circle = [resources[ordinal] for ordinal in sorted(set(error.args[1]))]
        names = ", ".join(each.name for each in circle[:5])
        raise refused(
            f"Circular dependency detected on resource(s): '{names}'. Please see "
            "https://aka.ms/arm-syntax-resources for usage details.",
            circle[0].place,
        ) from error
    for ordinal in order:
        stages[ordinal] = 1 + max((stages[place] for place in resources[ordinal].depends_on), default=-1)
    # A stage is what is deployed at once; what would be too much goes in several.
    places: dict[int, int] = {}
    number = 0
    for stage in range(max(stages.values(), default=-1) + 1):
        of_it = [each.ordinal for each in resources if stages[each.ordinal] == stage]
        for start in range(0, len(of_it), MAX_AT_ONCE):
            places |= dict.fromkeys(of_it[start : start + MAX_AT_ONCE], number)
            number += 1
    return [replace(each, stage=places[each.ordinal]) for each in resources]
