"""The values of a template's parameters: what was sent, else the default.

Invariant: each is evaluated when it is first wanted, once, and is of its type; those that are secure are neither shown
nor kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from poolwright import errors
from poolwright.templates import types
from poolwright.templates.budget import Budget
from poolwright.templates.evaluation import Evaluator, Frame
from poolwright.templates.functions import Unusable, as_text, found_name
from poolwright.templates.requested import Requested
from poolwright.templates.sections import Json, required_object, section
from poolwright.templates.secure import used_parameters
from poolwright.templates.world import World

_LONGEST_SHOWN: Final = 100


class Parameters:
    """The values of a template's parameters: what was sent, else the default. Each is evaluated when first wanted."""

    def __init__(
        self, template: Json, asked: Requested, facts: Mapping[str, Any], world: World, budget: Budget
    ) -> None:
        budget.charge("steps", len(asked.parameters))
        self.template = template
        self._declared = section(template, "parameters")
        self._sent = dict(asked.parameters)
        self._values: Json = {}
        self._under_way: list[str] = []
        told = {**facts, "now": datetime.fromtimestamp(world.now, UTC).isoformat()}
        self.budget = budget
        self.evaluator = Evaluator(template, self, told, new_id=world.new_id, budget=budget)
        self._require_known()
        given = {name.lower() for name in asked.secure}
        self.secure = self._with_derived(
            {
                name
                for name, declared in self._declared.items()
                if name.lower() in given or types.is_secure(declared, template, f"parameters.{name}", budget)
            }
        )

    def __call__(self, wanted: str) -> Any:
        name = found_name(self._declared, wanted)
        if name is None:
            raise Unusable(
                f"The template parameter '{wanted}' is not found. Please see https://aka.ms/arm-syntax-parameters for "
                "usage details."
            )
        if name not in self._values:
            if name in self._under_way:
                raise Unusable(f"The template parameter '{name}' depends on itself.")
            self._under_way.append(name)
            try:
                self._values[name] = self._value(name)
            finally:
                self._under_way.pop()
        return self._values[name]

    def _with_derived(self, secure: set[str]) -> frozenset[str]:
        """Those and the parameters whose values are built from them by default."""
        waiting = {}
        for name, declared in self._declared.items():
            sent = found_name(self._sent, name)
            given = self._sent[sent] if sent is not None else None
            if name not in secure and (not isinstance(given, dict) or given.get("value") is None):
                kind = types.resolved(declared, self.template, f"parameters.{name}", self.budget)
                waiting[name] = used_parameters(kind.get("defaultValue"), self.template, self.budget)
        found = secure
        while found:
            known = {name.lower() for name in secure}
            found = {name for name, used in waiting.items() if used is None or used & known} - secure
            secure = secure | found
        return frozenset(secure)

    def require_all(self) -> None:
        """Raise one error with all that is wrong with the parameters."""
        found: list[errors.PoolwrightError] = []
        for name in self._declared:
            try:
                self(name)
            except errors.InvalidTemplate as error:
                found.append(error)
        if found:
            raise errors.joined(found)

    def shown(self) -> Json:
        """The parameters as clients see them."""
        shown: Json = {}
        for name, declared in self._declared.items():
            kind = types.resolved(declared, self.template, f"parameters.{name}", self.budget)
            shown[name] = {"type": types.shown_type(kind, f"parameters.{name}")}
            if name not in self.secure:
                shown[name]["value"] = self(name)
        return shown

    def kept(self) -> Json:
        """The values to go on with later."""
        return {name: self(name) for name in self._declared if name not in self.secure}

    def _value(self, name: str) -> Any:
        declared = required_object(self._declared[name], f"parameters.{name}")
        kind = types.resolved(declared, self.template, f"parameters.{name}", self.budget)
        sent = found_name(self._sent, name)
        given = required_object(self._sent[sent], f"properties.parameters.{sent}") if sent is not None else {}
        place = f"parameters.{name}"
        if "value" in given and not (given["value"] is None and "defaultValue" in kind):
            value = self._weighed(given["value"], place)
        elif given and "value" not in given:
            raise errors.InvalidTemplate(
                f"The template parameter '{name}' is given by {' and '.join(sorted(given))}, and this service only "
                "takes values.",
                target=place,
                remedy="send the value itself; there is no key vault to read it from",
            )
        elif "defaultValue" in kind:
            value = self.evaluator.value(kind["defaultValue"], f"{place}.defaultValue", Frame(is_default=True))
        elif kind.get("nullable"):
            value = None
        else:
            raise without_value(name)
        wrong = not_taken(value, declared, self.template, name, self.budget, is_secret=name in self.secure)
        if wrong is not None:
            raise wrong
        return value

    def _weighed(self, value: Any, place: str) -> Any:
        try:
            return self.budget.weigh(value)
        except errors.InvalidTemplate as error:
            error.target = place
            raise

    def _require_known(self) -> None:
        wrong = not_declared(self._sent, self._declared)
        if wrong is not None:
            raise wrong


def not_declared(sent: Iterable[str], declared: Iterable[str]) -> errors.InvalidTemplate | None:
    """Return the refusal of parameters that a template does not have, None where it has all of them."""
    names = list(declared)
    known = {name.lower() for name in names}
    unknown = [name for name in sent if name.lower() not in known]
    if not unknown:
        return None
    return errors.InvalidTemplate(
        f"Deployment template validation failed: 'The template parameters '{', '.join(unknown[:10])}' in the "
        "parameters file are not valid; they are not present in the original template and can therefore not be "
        "provided at deployment time. The only supported parameters for this template are "
        f"'{', '.join(names)}'. Please see https://aka.ms/arm-pass-parameter-values for usage "
        "details.'.",
        target="properties.parameters",
        remedy="leave them out, or declare them in the template",
    )


def not_taken(
    value: Any, declared: Mapping[str, Any], template: Json, name: str, budget: Budget, *, is_secret: bool
) -> errors.InvalidTemplate | None:
    """Return the refusal of a value that the parameter's type does not take, None where it takes it.

    In ARM's words, without line and column, which nobody knows here, and without a value that is secret or long.
    Source: articles/azure-resource-manager/templates/deploy-cli.md of MicrosoftDocs/azure-docs (10/09/2019), "Test a
    template deployment". Raises `InvalidTemplate` for a type that is none.
    """
    wrong = next(types.problems(value, declared, template, name, budget), None)
    if wrong is None:
        return None
    is_shown = not is_secret and isinstance(value, (str, int)) and len(str(value)) <= _LONGEST_SHOWN
    shown = f" '{as_text(value)}'" if is_shown else ""
    itself = f"'{name}' "
    what = wrong.removeprefix(itself) if wrong.startswith(itself) else f"at {wrong}"
    return errors.InvalidTemplate(
        f"Deployment template validation failed: 'The provided value{shown} for the template parameter '{name}' is "
        f"not valid. The parameter value {what}'.",
        target=f"parameters.{name}",
        remedy="correct the value",
    )


def without_value(name: str) -> errors.InvalidTemplate:
    """Return the refusal of a template whose parameter has neither a value nor a default."""
    return errors.InvalidTemplate(
        f"Deployment template validation failed: 'The value for the template parameter '{name}' is not "
        "provided. Please see https://aka.ms/arm-create-parameter-file for usage details.'.",
        target=f"parameters.{name}",
        remedy=f"give it: --parameters {name}=...",
    )
