"""Secure parameters: where their values could show, and what is kept of a template without them.

Invariant: what cannot be looked through counts as secure.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from poolwright import errors
from poolwright.templates import types
from poolwright.templates.budget import Budget
from poolwright.templates.evaluation import called
from poolwright.templates.expressions import Literal, is_expression
from poolwright.templates.nested import is_inner, without_template
from poolwright.templates.sections import Json, section

_SECURE_VALUES: Final = ("defaultValue", "allowedValues", "value")


def without_literal_secrets(template: Json, cleaned: Callable[[Json], Json]) -> Json:
    """Return the template without the texts under names of secrets and the values of secure parameters and outputs.

    Nothing here reads them: resources are stored without secrets.
    """
    # What is beyond it counts as secure.
    budget = Budget()

    def kept(part: Any, around: Json) -> Any:
        if isinstance(part, dict):
            inner = part.get("template")
            if isinstance(inner, dict):
                literal = literal_secrets(part, budget)
                given = section(part, "parameters")
                part = {**part, "parameters": {k: v for k, v in given.items() if k not in literal}} if literal else part
            around = part if "resources" in part or "$schema" in part else around
            secret = _SECURE_VALUES if _is_declared_secure(part, around, budget) else ()
            texts = {name: value for name, value in part.items() if _is_text(value)}
            named = cleaned(texts)
            return {
                name: kept(value, around)
                for name, value in part.items()
                if (name not in texts or name in named) and name not in secret
            }
        return [kept(each, around) for each in part] if isinstance(part, list) else part

    return dict(kept(template, template))


def literal_secrets(properties: Json, budget: Budget) -> list[str]:
    """Return the secure parameters of a nested deployment whose values are written in the surrounding template."""
    inner, given = section(properties, "template"), section(properties, "parameters")
    secure = {
        name.lower()
        for name, declared in section(inner, "parameters").items()
        if isinstance(declared, dict) and _is_declared_secure(declared, inner, budget)
    }
    return [name for name, part in given.items() if name.lower() in secure and _has_literal(part)]


def secure_in(source: Any, template: Json, secure: frozenset[str], budget: Budget) -> str | None:
    """Return the first secure parameter that the JSON uses, None when it uses none."""
    wanted = {name.lower(): name for name in secure}
    if isinstance(source, dict) and is_inner(str(source.get("type", "")), source):
        source = without_template(source)
    used = used_parameters(source, template, budget)
    return next((name for key, name in sorted(wanted.items()) if used is None or key in used), None)


def used_parameters(source: Any, template: Json, budget: Budget) -> frozenset[str] | None:
    """Return the parameters that the JSON uses, itself or by variables, in lower case; None for any of them."""
    used: set[str] = set()
    for call in called(source, template, budget):
        if call.function == "parameters" and call.arguments:
            name = call.arguments[0]
            if not isinstance(name, Literal):
                return None
            used.add(str(name.value).lower())
    return frozenset(used)


def require_outputs_without_secrets(template: Json, secure: frozenset[str], budget: Budget) -> None:
    """Raise `InvalidTemplate` for an output that shows a secure parameter and is not of a secure type."""
    for name, output in section(template, "outputs").items():
        place = f"outputs.{name}"
        used = secure_in(output, template, secure, budget)
        if used and not types.is_secure(output, template, place, budget):
            raise errors.InvalidTemplate(
                f"The template output '{name}' shows the secure parameter '{used}'.",
                target=place,
                remedy="take the output out, or make its type a secure one; such an output is not shown",
            )


def _is_declared_secure(part: Json, template: Json, budget: Budget) -> bool:
    """Whether it declares a parameter or an output of a secure type."""
    if not isinstance(part.get("type"), str) and "$ref" not in part:
        return False
    try:
        return types.is_secure(part, template, "", budget)
    except errors.InvalidTemplate:
        return True


def _has_literal(part: Any) -> bool:
    if isinstance(part, (dict, list)):
        return any(map(_has_literal, part.values() if isinstance(part, dict) else part))
    return part is not None and not (isinstance(part, str) and (part == "" or is_expression(part)))


def _is_text(part: Any) -> bool:
    """Whether it is a text, or one given to a parameter of a nested deployment."""
    if isinstance(part, dict) and part.keys() == {"value"}:
        part = part["value"]
        return isinstance(part, str) and not is_expression(part)
    return isinstance(part, str)
