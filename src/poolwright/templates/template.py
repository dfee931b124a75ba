"""From a template and its parameters to the resources it leads to, in the order in which they can be deployed.

`prepare` evaluates what can be evaluated before anything is deployed. What refers to another resource's
state (`reference`) is kept as it was written and evaluated by `body_of` when its turn comes; so are the
outputs, by `outputs_of`.

Sources: https://learn.microsoft.com/azure/azure-resource-manager/templates/syntax and the pages beside it on
copy loops, conditions, dependencies and linked templates; what bicep writes was read from its own test files
(https://github.com/Azure/bicep/tree/main/src/Bicep.Core.Samples/Files).

Invariant: names, types, conditions, loops and dependencies are known before the deployment begins; the value
of a secure parameter, and of what is built from one, is used here and kept nowhere but in the properties of
resources that the template gives it to.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from graphlib import CycleError, TopologicalSorter
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
from poolwright.domain.resource_id import ResourceId
from poolwright.domain.tags import require_tags
from poolwright.templates import parameters as types
from poolwright.templates.budget import Budget
from poolwright.templates.evaluation import Evaluator, Frame, Named, NotKnownYet, Reference, called, nothing_known
from poolwright.templates.expressions import Literal, is_expression
from poolwright.templates.functions import Unusable, as_text, compact, found_name
from poolwright.templates.resource_names import normal, resource_id
from poolwright.templates.unique_string import hash64

Json = dict[str, Any]

# ARM's own limits: https://learn.microsoft.com/azure/azure-resource-manager/templates/best-practices#template-limits
MAX_RESOURCES: Final = 800
MAX_PARAMETERS: Final = 256
MAX_VARIABLES: Final = 256
MAX_OUTPUTS: Final = 64
MAX_NESTING: Final = 8
_HASHED_A_STEP: Final = 16
# Ours: an operation that waits for others holds a thread, and those need some as well.
MAX_AT_ONCE: Final = 32

# What a resource of a template has besides what is PUT.
_NOT_SENT: Final = frozenset(
    (
        *("type", "name", "apiversion", "dependson", "condition", "copy", "comments", "scope", "metadata"),
        *("resources", "existing", "resourcegroup", "subscriptionid", "@options"),
    )
)
_SCOPE: Final = re.compile(r"/subscriptions/[^/]+(/resourceGroups/[^/]+)?(/providers/.+)?/?", re.IGNORECASE)
_NOT_OFFERED: Final = ("extensions", "imports", "asserts")


@dataclass(frozen=True, slots=True)
class Requested:
    """What a PUT of a deployment asks for."""

    template: Json
    parameters: Json
    location: str | None = None
    tags: Mapping[str, Any] | None = None
    checks_resources: bool = True
    only_ids: bool = False
    # The parameters that a surrounding deployment gives secure values, whatever the template calls their type.
    secure: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What is outside the template.

    `types` are the resource types on offer, in lower case, each with `group` or `subscription`, where it goes.
    `group` and `subscription` return what functions tell of them, None when they do not exist.
    `require_access` raises where the deployer may not deploy a resource, in the same way whether anything is there:
    nothing below a deployment within this one is looked at before. `cleaned` returns a body without secrets.
    """

    types: Mapping[str, tuple[str, str]]
    group: Callable[[str, str], Mapping[str, Any] | None]
    subscription: Callable[[str], Mapping[str, Any] | None]
    require_access: Callable[[DeploymentResource], object]
    facts: Mapping[str, Any]
    cleaned: Callable[[Json], Json]
    now: float
    new_id: Callable[[], str]
    correlation_id: str


def requested(body: Mapping[str, Any]) -> Requested:
    """Return what a deployment's body asks for. Raises `InvalidRequestContent` or `InvalidParameter`."""
    properties = _object(body.get("properties"), "properties")
    mode = properties.get("mode") or "Incremental"
    if str(mode).lower() != "incremental":
        raise errors.InvalidParameter(
            f"The deployment mode '{mode}' is not offered: Complete deletes what the template does not name.",
            target="properties.mode",
            remedy="use mode Incremental, and delete what is not wanted by name",
        )
    for name in ("templateLink", "parametersLink", "onErrorDeployment"):
        if properties.get(name) is not None:
            raise errors.InvalidParameter(
                f"The property '{name}' of a deployment is not offered: this service fetches nothing and repeats "
                "nothing by itself.",
                target=f"properties.{name}",
                remedy="send template and parameters in the request",
            )
    settings = properties.get("whatIfSettings") or {}
    level = str(properties.get("validationLevel") or "Provider")
    location = body.get("location")
    if location is not None and not isinstance(location, str):
        raise errors.InvalidRequestContent(
            "The request content was invalid and could not be deserialized: 'location' is not a string.",
            target="location",
            remedy="send a string there",
        )
    tags = _object(body.get("tags") or {}, "tags")
    require_tags(tags)
    return Requested(
        template=_object(properties.get("template"), "properties.template"),
        parameters=_object(properties.get("parameters") or {}, "properties.parameters"),
        location=location,
        tags=tags,
        checks_resources=level.lower() != "template",
        only_ids=str(_object(settings, "properties.whatIfSettings").get("resultFormat")).lower() == "resourceidonly",
    )


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
        raise _refused("It is nested too deeply", "template") from error


def _prepared(
    identifier: DeploymentId, asked: Requested, world: World, budget: Budget, depth: int
) -> PreparedDeployment:
    template = asked.template
    budget.weigh(asked.tags or {})
    _require_template(template, depth)
    facts = _facts(identifier, asked, world, budget)
    sent = _Parameters(template, asked, facts, world, budget)
    drafts = _Drafts(identifier, template, sent.evaluator, world)
    sent.require_all()
    resources = drafts.resources()
    problems = [problem for draft in resources if (problem := _not_offered(draft, world, identifier)) is not None]
    if problems:
        raise errors.joined(problems)
    nesting = _Nesting(identifier, sent, world, depth, resources)
    made = tuple(nesting.evaluated(resource) for resource in resources)
    _require_outputs_without_secrets(template, sent.secure, budget)
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
    return PreparedDeployment(deployment=deployment, resources=made)


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
    return _body(evaluator, dict(resource.source), resource.type, resource.place, Frame(copies=resource.copies))


def outputs_of(
    deployment: Deployment,
    resources: Sequence[DeploymentResource],
    reference: Reference,
    budget: Budget | None = None,
) -> tuple[Json, list[errors.InvalidTemplate]]:
    """Return the outputs as clients see them, and what went wrong with others."""
    evaluator = _later(deployment, resources, reference, budget)
    budget = evaluator.budget
    shown: Json = {}
    problems = []
    for name, output in _section(deployment.template, "outputs").items():
        place = f"outputs.{name}"
        try:
            kind = types.resolved(_object(output, place), deployment.template, place, budget)
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
    return shown, problems


def without_literal_secrets(template: Json, cleaned: Callable[[Json], Json]) -> Json:
    """Return the template without the texts under names of secrets and the values of secure parameters and outputs.

    Nothing here reads them: resources are stored without secrets.
    """
    # What cannot be looked through within it counts as secure.
    budget = Budget()

    def kept(part: Any, around: Json) -> Any:
        if isinstance(part, dict):
            inner = part.get("template")
            if isinstance(inner, dict):
                literal = _literal_secrets(part, budget)
                given = _section(part, "parameters")
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


_SECURE_VALUES: Final = ("defaultValue", "allowedValues", "value")


def _is_declared_secure(part: Json, template: Json, budget: Budget) -> bool:
    """Whether it declares a parameter or an output of a secure type."""
    if not isinstance(part.get("type"), str) and "$ref" not in part:
        return False
    try:
        return types.is_secure(part, template, "", budget)
    except errors.InvalidTemplate:
        return True


def _literal_secrets(properties: Json, budget: Budget) -> list[str]:
    """The secure parameters of a nested deployment whose values are written in the surrounding template."""
    inner, given = _section(properties, "template"), _section(properties, "parameters")
    secure = {
        name.lower()
        for name, declared in _section(inner, "parameters").items()
        if isinstance(declared, dict) and _is_declared_secure(declared, inner, budget)
    }
    return [name for name, part in given.items() if name.lower() in secure and _has_literal(part)]


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


class _Parameters:
    """The values of a template's parameters: what was sent, else the default. Each is evaluated when first wanted."""

    def __init__(
        self, template: Json, asked: Requested, facts: Mapping[str, Any], world: World, budget: Budget
    ) -> None:
        budget.charge("steps", len(asked.parameters))
        self._template = template
        self._declared = _section(template, "parameters")
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
                kind = types.resolved(declared, self._template, f"parameters.{name}", self.budget)
                waiting[name] = _used_parameters(kind.get("defaultValue"), self._template, self.budget)
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
            kind = types.resolved(declared, self._template, f"parameters.{name}", self.budget)
            shown[name] = {"type": types.shown_type(kind, f"parameters.{name}")}
            if name not in self.secure:
                shown[name]["value"] = self(name)
        return shown

    def kept(self) -> Json:
        """The values to go on with later."""
        return {name: self(name) for name in self._declared if name not in self.secure}

    def _value(self, name: str) -> Any:
        declared = _object(self._declared[name], f"parameters.{name}")
        kind = types.resolved(declared, self._template, f"parameters.{name}", self.budget)
        sent = found_name(self._sent, name)
        given = _object(self._sent[sent], f"properties.parameters.{sent}") if sent is not None else {}
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
            raise errors.InvalidTemplate(
                f"Deployment template validation failed: 'The value for the template parameter '{name}' is not "
                "provided. Please see https://aka.ms/arm-create-parameter-file for usage details.'.",
                target=place,
                remedy=f"give it: --parameters {name}=...",
            )
        wrong = next(types.problems(value, declared, self._template, name, self.budget), None)
        if wrong is not None:
            raise errors.InvalidTemplate(
                f"Deployment template validation failed: 'The provided value for the template parameter '{name}' is "
                f"not valid. The parameter value {wrong}'.",
                target=place,
                remedy="correct the value",
            )
        return value

    def _weighed(self, value: Any, place: str) -> Any:
        try:
            return self.budget.weigh(value)
        except errors.InvalidTemplate as error:
            error.target = place
            raise

    def _require_known(self) -> None:
        known = {name.lower() for name in self._declared}
        unknown = [name for name in self._sent if name.lower() not in known]
        if unknown:
            raise errors.InvalidTemplate(
                f"Deployment template validation failed: 'The template parameters '{', '.join(unknown[:10])}' in the "
                "parameters file are not valid; they are not present in the original template and can therefore not be "
                "provided at deployment time. The only supported parameters for this template are "
                f"'{', '.join(self._declared)}'. Please see https://aka.ms/arm-pass-parameter-values for usage "
                "details.'.",
                target="properties.parameters",
                remedy="leave them out, or declare them in the template",
            )


@dataclass(slots=True)
class _Draft:
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


class _Drafts:
    """The resources of a template, with loops unrolled and children beside their parents."""

    def __init__(self, identifier: DeploymentId, template: Json, evaluator: Evaluator, world: World) -> None:
        self._identifier = identifier
        self._template = template
        self._evaluator = evaluator
        self._world = world
        self._known_calls: dict[str, list[str]] = {}
        self._normals: dict[str, str] = {}

    def resources(self) -> list[DeploymentResource]:
        """Return them in the template's order, each with its stage."""
        declared = self._template.get("resources")
        drafts: list[_Draft] = []
        for draft in self._expanded(declared, "resources", None, Frame()):
            drafts.append(draft)
            if len(drafts) > MAX_RESOURCES:
                raise _refused(f"The number of template resources exceeds the limit of {MAX_RESOURCES}.", "resources")
        self._evaluator.budget.charge("resources", len(drafts))
        made = [self._resource(ordinal, draft) for ordinal, draft in enumerate(drafts)]
        _require_distinct(made)
        self._evaluator.named = [_named(resource) for resource in made]
        depending = [
            replace(resource, depends_on=tuple(sorted(self._dependencies(ordinal, drafts, made))))
            for ordinal, resource in enumerate(made)
        ]
        return _staged(depending)

    def _expanded(self, declared: Any, place: str, parent: _Draft | None, frame: Frame) -> Iterator[_Draft]:
        if isinstance(declared, dict):
            entries = [(name, f"{place}.{name}", part) for name, part in declared.items()]
        elif isinstance(declared, list):
            entries = [(None, f"{place}[{index}]", part) for index, part in enumerate(declared)]
        else:
            raise _refused(f"The resources at '{place}' are not an array or an object.", place)
        for symbol, where, part in entries:
            source = _object(part, where)
            loop = source.get("copy")
            if loop is None:
                yield from self._one(source, where, parent, frame, symbol, None, 0)
                continue
            for index, each in enumerate(self._evaluator.copies(loop, f"{where}.copy", frame)):
                yield from self._one(source, where, parent, each, symbol, _object(loop, where), index)

    def _one(
        self,
        source: Json,
        place: str,
        parent: _Draft | None,
        frame: Frame,
        symbol: str | None,
        loop: Json | None,
        index: int,
    ) -> Iterator[_Draft]:
        kind, name = source.get("type"), self._known(source.get("name"), f"{place}.name", frame)
        if not isinstance(kind, str) or not kind or is_expression(kind):
            raise _refused(f"The template resource at '{place}' has no type; it is a literal string.", place)
        if not isinstance(name, str) or not name:
            raise _refused(f"The template resource at '{place}' has no name, or one that is not a string.", place)
        if parent is not None:
            kind, name = f"{parent.type}/{kind}", f"{parent.name}/{name}"
        draft = _Draft(
            source=source,
            place=place,
            frame=frame,
            type=kind,
            name=name,
            symbol=f"{symbol}[{index}]" if symbol is not None and loop is not None else symbol,
            loop=str(loop.get("name", symbol)).lower() if loop is not None else None,
            batch=self._batch(loop, place, frame),
            index=index,
        )
        yield draft
        if source.get("resources"):
            yield from self._expanded(source["resources"], f"{place}.resources", draft, frame)

    def _batch(self, loop: Json | None, place: str, frame: Frame) -> int | None:
        """How many of a serial loop go at once; None for a parallel one."""
        if loop is None or str(loop.get("mode", "Parallel")).lower() != "serial":
            return None
        size = self._known(loop.get("batchSize", 1), f"{place}.copy.batchSize", frame)
        if isinstance(size, bool) or not isinstance(size, int) or size < 1:
            raise _refused(f"The batch size at '{place}.copy' is not a positive integer.", place)
        return size

    def _resource(self, ordinal: int, draft: _Draft) -> DeploymentResource:
        names, kind = draft.name.split("/"), draft.type
        version = self._known(draft.source.get("apiVersion"), f"{draft.place}.apiVersion", draft.frame)
        if not isinstance(version, str) or not version:
            raise _refused(f"The template resource '{draft.name}' at '{draft.place}' has no apiVersion.", draft.place)
        if draft.source.get("@options"):
            raise _refused(f"The '@options' of the template resource '{draft.name}' are not offered.", draft.place)
        condition = self._known(draft.source.get("condition", True), f"{draft.place}.condition", draft.frame)
        if not isinstance(condition, bool):
            raise _refused(f"The condition of the template resource '{draft.name}' is not a boolean.", draft.place)
        try:
            identifier = resource_id(self._scope(draft), kind, names)
        except ValueError as error:
            raise _refused(
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

    def _scope(self, draft: _Draft) -> str:
        """The ID below which the resource is."""
        source, here = draft.source, self._identifier
        scope = self._known(source.get("scope"), f"{draft.place}.scope", draft.frame)
        if isinstance(scope, str) and scope:
            if scope.startswith("/") and not (source.get("existing") is True or _SCOPE.fullmatch(scope)):
                raise _refused(
                    f"The scope '{scope}' of the template resource '{draft.name}' is not valid: it is the ID of a "
                    "subscription, of a resource group or of a resource.",
                    f"{draft.place}.scope",
                )
            return scope if scope.startswith("/") else f"{here.scope}/providers/{scope}"
        group = self._known(source.get("resourceGroup"), f"{draft.place}.resourceGroup", draft.frame)
        subscription = self._known(source.get("subscriptionId"), f"{draft.place}.subscriptionId", draft.frame)
        below = f"/subscriptions/{subscription or here.subscription}"
        if group:
            return f"{below}/resourceGroups/{group}"
        # A nested deployment with a location of its own and no group goes to the subscription.
        if subscription or (draft.type.lower() == DEPLOYMENT_TYPE.lower() and source.get("location") is not None):
            return below
        return here.scope

    def _known(self, source: Any, place: str, frame: Frame) -> Any:
        """The value, which must not depend on resources."""
        try:
            return self._evaluator.value(source, place, frame)
        except NotKnownYet as error:
            raise _refused(
                f"The template function 'reference' is not expected at this location: '{place}'. Please see "
                "https://aka.ms/arm-functions for usage details.",
                place,
            ) from error

    def _dependencies(self, ordinal: int, drafts: list[_Draft], made: list[DeploymentResource]) -> set[int]:
        draft = drafts[ordinal]
        wanted = self._known(draft.source.get("dependsOn") or [], f"{draft.place}.dependsOn", draft.frame)
        if not isinstance(wanted, list):
            raise _refused(f"'{draft.place}.dependsOn' is not an array.", draft.place)
        found: set[int] = set()
        for each in wanted:
            matches = self._matching(each, drafts, made)
            if not matches:
                raise _refused(
                    f"The resource '{as_text(each)}' is not defined in the template. Please see "
                    "https://aka.ms/arm-syntax for usage details.",
                    f"{draft.place}.dependsOn",
                )
            self._evaluator.budget.charge("steps", len(matches) // 4)
            found |= matches
        found |= self._referred(draft, drafts, made)
        if draft.batch is not None and draft.index >= draft.batch:
            # Each of a batch waits for all of the one before.
            first = draft.index - draft.index % draft.batch
            found |= {
                place
                for place, other in enumerate(drafts)
                if other.place == draft.place and first - draft.batch <= other.index < first
            }
        return found - {ordinal}

    def _matching(self, wanted: Any, drafts: list[_Draft], made: list[DeploymentResource]) -> set[int]:
        """The resources that an entry of dependsOn means: by ID, symbolic name, loop, name, or type and name."""
        if not isinstance(wanted, str):
            return set()
        key = wanted.lower()
        self._evaluator.budget.charge("steps", len(made) // 4)
        if wanted.startswith("/"):
            key = normal(wanted)
            return {each.ordinal for each in made if self._normal(each.id) == key}
        return {
            each.ordinal
            for each, draft in zip(made, drafts, strict=True)
            if key in ((each.symbol or each.name).lower(), (each.symbol or "").partition("[")[0].lower(), draft.loop)
            or (each.symbol is None and self._normal(each.id).endswith(f"/providers/{key}"))
        }

    def _referred(self, draft: _Draft, drafts: list[_Draft], made: list[DeploymentResource]) -> set[int]:
        """The resources whose state it reads by a name known beforehand: they come first."""
        found: set[int] = set()
        parts = {name: part for name, part in draft.source.items() if name.lower() not in _NOT_SENT}
        if _is_inner(draft.type, draft.source):
            parts = {**parts, "properties": {**_section(draft.source, "properties"), "template": None}}
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
            found |= self._matching(wanted, drafts, made)
        return found

    def _normal(self, identifier: str) -> str:
        found = self._normals.get(identifier)
        if found is None:
            found = self._normals[identifier] = normal(identifier)
        return found


class _Nesting:
    """Evaluates the bodies of a deployment's resources, and the deployments among them."""

    def __init__(
        self,
        identifier: DeploymentId,
        sent: _Parameters,
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
        source, template = dict(resource.source or {}), self._sent._template
        properties = _section(source, "properties")
        if not _is_inner(resource.type, source) and isinstance(properties.get("template"), dict):
            outer = without_literal_secrets(properties["template"], self._world.cleaned)
            used = _secure_in(_evaluated_outside(outer), template, self._sent.secure, self._sent.budget)
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
            is_secure = _secure_in(given, template, self._sent.secure, self._sent.budget) is not None
            return frozenset(_section(_section(body, "properties"), "parameters") if is_secure else ())
        return frozenset(
            name for name, part in given.items() if _secure_in(part, template, self._sent.secure, self._sent.budget)
        )

    def _body(self, resource: DeploymentResource) -> Json | None:
        assert resource.source is not None
        frame = Frame(copies=resource.copies)
        try:
            return _body(self._sent.evaluator, dict(resource.source), resource.type, resource.place, frame)
        except NotKnownYet:
            return None

    def _group(self, subscription: str, group: str) -> Mapping[str, Any] | None:
        planned = self._planned.get(normal(f"/subscriptions/{subscription}/resourceGroups/{group}"))
        return planned or self._world.group(subscription, group)

    def _require_no_secret(self, resource: DeploymentResource) -> None:
        used = _secure_in(resource.source, self._sent._template, self._sent.secure, self._sent.budget)
        if used:
            raise errors.InvalidTemplate(
                f"The template resource '{resource.name}' refers to another resource's state and to the secure "
                f"parameter '{used}'. What refers to a state is evaluated later, and this service keeps no secrets.",
                target=resource.place,
                remedy="use the secure parameter in a resource of its own, without reference()",
            )
        literal = _literal_secrets(_section(resource.source or {}, "properties"), self._sent.budget)
        if literal:
            raise errors.InvalidTemplate(
                f"The nested deployment '{resource.name}' refers to another resource's state and has a value for the "
                f"secure parameter '{literal[0]}'. What refers to a state is evaluated later, and this service keeps "
                "no secrets.",
                target=resource.place,
                remedy="use the secure parameter in a nested deployment of its own, without reference()",
            )


def deployment_id(identifier: str) -> DeploymentId:
    """Return the parts of a deployment's ID. Raises `InvalidTemplate` for what is none."""
    found = ResourceId.parse(identifier)
    if found is None or len(found.providers) != 1 or found.type.lower() != DEPLOYMENT_TYPE.lower():
        raise errors.InvalidTemplate(
            f"'{identifier}' is not the ID of a deployment to a resource group or to a subscription.",
            remedy="correct the names and the scope in the template",
        )
    return DeploymentId(found.subscription.lower(), found.group, *found.names)


def _body(evaluator: Evaluator, source: Json, kind: str, place: str, frame: Frame) -> Json:
    """What is PUT. The template of a nested deployment is its own affair, unless it is evaluated in this one's."""
    sent = {name: part for name, part in source.items() if name.lower() not in _NOT_SENT}
    if kind.lower() != DEPLOYMENT_TYPE.lower():
        return dict(evaluator.value(sent, place, frame))
    properties = _section(source, "properties")
    template = properties.get("template")
    body = dict(evaluator.value({**sent, "properties": {**properties, "template": None}}, place, frame))
    if isinstance(template, dict) and not _is_inner(kind, source):
        outer = _evaluated_outside(template)
        template = evaluator.value(outer, f"{place}.properties.template", replace(frame, raw=True))
    return {**body, "properties": {**body["properties"], "template": template}}


def _evaluated_outside(template: Json) -> Json:
    """What counts of a nested template that is evaluated in the surroundings."""
    return {name: part for name, part in template.items() if name not in ("parameters", "variables", "functions")}


def _is_inner(kind: str, source: Json) -> bool:
    """Whether a nested deployment's template is evaluated by itself."""
    if kind.lower() != DEPLOYMENT_TYPE.lower():
        return False
    options = _section(_section(source, "properties"), "expressionEvaluationOptions")
    return str(options.get("scope", "Outer")).lower() == "inner"


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
    evaluator.named = [_named(resource) for resource in resources]
    return evaluator


def _template_hash(template: Json, budget: Budget) -> str:
    """The number that stands for the template; the many copies of a module have one."""
    # It is written, read and kept several times over.
    budget.weigh(template)
    text = compact(template)
    if text not in budget.hashes:
        budget.charge("steps", len(text) // _HASHED_A_STEP)
        budget.hashes[text] = str(hash64(text.encode()))
    return budget.hashes[text]


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


def no_subscription(subscription: str) -> errors.SubscriptionNotFound:
    """Return the refusal of a subscription that does not exist, or is none of the deployer's tenant."""
    return errors.SubscriptionNotFound(
        f"The subscription '{subscription}' could not be found.",
        remedy="use the subscription `poolwright env` prints",
    )


def _output(evaluator: Evaluator, output: Json, place: str) -> Any:
    loop = output.get("copy")
    if isinstance(loop, dict):
        return [
            evaluator.value(loop.get("input"), f"{place}.copy.input", frame)
            for frame in evaluator.copies({**loop, "name": ""}, f"{place}.copy")
        ]
    return evaluator.value(output.get("value"), f"{place}.value")


def _require_template(template: Json, depth: int) -> None:
    if depth > MAX_NESTING:
        raise _refused(f"Deployments are nested deeper than {MAX_NESTING} levels.", "resources")
    if "resources" not in template:
        raise _refused("The template has no section 'resources'.", "resources")
    for name, most in (("parameters", MAX_PARAMETERS), ("variables", MAX_VARIABLES), ("outputs", MAX_OUTPUTS)):
        if len(_object(template.get(name) or {}, name)) > most:
            raise _refused(f"The number of template {name} exceeds the limit of {most}.", name)
    for name in ("parameters", "outputs", "definitions"):
        for each, part in _section(template, name).items():
            _object(part, f"{name}.{each}")
    for name in _NOT_OFFERED:
        if template.get(name):
            raise _refused(f"The template section '{name}' is not one this service knows.", name)


def _require_distinct(resources: Sequence[DeploymentResource]) -> None:
    seen: set[str] = set()
    for resource in resources:
        if resource.existing or not resource.condition:
            continue
        key = normal(resource.id)
        if key in seen:
            raise _refused(
                f"The resource '{resource.type}/{resource.name}' at '{resource.place}' is defined multiple times in a "
                "template. Please see https://aka.ms/arm-syntax-resources for usage details.",
                resource.place,
            )
        seen.add(key)


def _staged(resources: Sequence[DeploymentResource]) -> list[DeploymentResource]:
    stages: dict[int, int] = {}
    try:
        order = list(TopologicalSorter({each.ordinal: each.depends_on for each in resources}).static_order())
    except CycleError as error:
        circle = [resources[ordinal] for ordinal in sorted(set(error.args[1]))]
        names = ", ".join(each.name for each in circle[:5])
        raise _refused(
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


def _not_offered(resource: DeploymentResource, world: World, here: DeploymentId) -> errors.PoolwrightError | None:
    if resource.existing or not resource.condition:
        return None
    known = world.types.get(resource.type.lower())
    if known is None:
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
    if known[1] == "subscription":
        is_there = here.group is None and found.group is not None and not found.providers
    elif resource.type.lower() == DEPLOYMENT_TYPE.lower():
        is_there = len(found.providers) == 1
    else:
        is_there = known[1] == "any" or found.is_in_group()
    if not is_there:
        return errors.InvalidTemplate(
            f"The resource '{resource.name}' of type '{resource.type}' cannot be deployed to a "
            f"{'resource group' if here.group is not None else 'subscription'}.",
            target=resource.place,
            remedy="deploy it in a module with another scope",
        )
    return None


def _require_outputs_without_secrets(template: Json, secure: frozenset[str], budget: Budget) -> None:
    for name, output in _section(template, "outputs").items():
        place = f"outputs.{name}"
        used = _secure_in(output, template, secure, budget)
        if used and not types.is_secure(output, template, place, budget):
            raise errors.InvalidTemplate(
                f"The template output '{name}' shows the secure parameter '{used}'.",
                target=place,
                remedy="take the output out, or make its type a secure one; such an output is not shown",
            )


def _secure_in(source: Any, template: Json, secure: frozenset[str], budget: Budget) -> str | None:
    """The first secure parameter that the JSON uses."""
    wanted = {name.lower(): name for name in secure}
    if isinstance(source, dict) and _is_inner(str(source.get("type", "")), source):
        source = {**source, "properties": {**_section(source, "properties"), "template": None}}
    used = _used_parameters(source, template, budget)
    return next((name for key, name in sorted(wanted.items()) if used is None or key in used), None)


def _used_parameters(source: Any, template: Json, budget: Budget) -> frozenset[str] | None:
    """The parameters that the JSON uses, itself or by variables, in lower case; None when it may be any of them."""
    used: set[str] = set()
    for call in called(source, template, budget):
        if call.function == "parameters" and call.arguments:
            name = call.arguments[0]
            if not isinstance(name, Literal):
                return None
            used.add(str(name.value).lower())
    return frozenset(used)


def _named(resource: DeploymentResource) -> Named:
    return Named(resource.id, resource.type, resource.name, resource.api_version, resource.symbol)


def _section(holder: Mapping[str, Any], name: str) -> Json:
    section = holder.get(name)
    return section if isinstance(section, dict) else {}


def _object(part: Any, place: str) -> Json:
    if not isinstance(part, dict):
        raise errors.InvalidRequestContent(
            f"The request content was invalid and could not be deserialized: '{place}' is not an object.",
            target=place,
            remedy="send an object there",
        )
    return part


def _refused(message: str, place: str) -> errors.InvalidTemplate:
    return errors.InvalidTemplate(
        f"Deployment template validation failed: '{message}'.", target=place, remedy="correct the template"
    )


__all__ = [
    "Requested",
    "World",
    "body_of",
    "deployment_id",
    "no_subscription",
    "nothing_known",
    "outputs_of",
    "prepare",
    "requested",
]
