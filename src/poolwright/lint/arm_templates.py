"""Node pools in ARM templates, as `bicep build` prints them.

Templates are evaluated by the evaluator behind deployments, as far as values are known; modules (nested deployments)
are followed. Values come from `--parameters`, else from the defaults in the template.

Sources: https://learn.microsoft.com/azure/azure-resource-manager/templates/syntax, and what bicep writes.

Invariant: a resource that cannot be read is a mistake with its place; the others go on.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from poolwright import errors
from poolwright.domain.deployment import DEPLOYMENT_TYPE
from poolwright.domain.resource_id import CLUSTER_TYPE, NODE_POOL_TYPE
from poolwright.lint.json_text import JsonText, Path
from poolwright.lint.kinds import ELSEWHERE, PARAMETERS
from poolwright.lint.pools import ARM, Action, FoundCluster, FoundPool, Json, Mistake, Parameters, Reading
from poolwright.lint.texts import Broken, Place
from poolwright.reports.sarif import Level
from poolwright.templates import types
from poolwright.templates.budget import Budget
from poolwright.templates.evaluation import Frame
from poolwright.templates.expressions import is_expression
from poolwright.templates.functions import found_name
from poolwright.templates.parameters import not_declared, not_taken, without_value
from poolwright.templates.partial import Mistakes, PartialEvaluator, Unknown, holds_unknown

MAX_NESTING: Final = 8  # ARM's own limit
_REMEDY: Final = "correct the template; bicep build prints correct ones"
_IS_ELSEWHERE: Final = "the template of this deployment does not stand here and was not read"
_OF_ELSEWHERE: Final = "lint it by itself, or make it a module, which `bicep build` writes into the template"
_NO_FRAME: Final = Frame()
_SCOPE: Final = ("scope", "subscriptionId", "resourceGroup")

_ClusterKey = tuple[tuple[object, ...], object]


@dataclass(frozen=True, slots=True)
class Sent:
    """A parameter that is given: its name as it is written, its value, and its place in a file.

    A value `as_text` is that of NAME=VALUE, which becomes what the parameter's type makes of it.
    """

    name: str
    value: Any
    place: Place | None = None
    as_text: bool = False


@dataclass(frozen=True, slots=True)
class Given:
    """What the command line tells about deployments: parameters by lower-case name, and the location."""

    parameters: Mapping[str, Sent] = field(default_factory=dict)
    location: str | None = None


def is_template(value: Any) -> bool:
    """Whether the JSON is an ARM template."""
    if not isinstance(value, dict):
        return False
    schema = str(value.get("$schema", "")).lower()
    return "deploymenttemplate.json" in schema or ("resources" in value and "contentVersion" in value)


def is_parameters(value: Any) -> bool:
    """Whether the JSON is a file of parameters."""
    return isinstance(value, dict) and "deploymentparameters.json" in str(value.get("$schema", "")).lower()


def parameters_in(document: JsonText) -> dict[str, Sent]:
    """Return what a file of parameters gives, by lower-case name. Raises `Broken`.

    What is in a key vault is unknown.
    """
    parameters = document.value.get("parameters") if isinstance(document.value, dict) else None
    if not isinstance(parameters, dict):
        raise Broken(document.place(()), "this is no file of parameters: it has no object 'parameters'")
    found: dict[str, Sent] = {}
    for name, part in parameters.items():
        place = document.place(("parameters", name))
        if not isinstance(part, dict) or not ({"value", "reference"} & part.keys()):
            raise Broken(place, f"the parameter '{name}' has no value; give it one, or leave it out")
        value = part["value"] if "value" in part else Unknown(f"the secret of parameter {name}")
        found[name.lower()] = Sent(name, value, place)
    return found


def read_template(document: JsonText, given: Given) -> Reading:
    """Return the node pools of a template, and what in it cannot be evaluated or stands elsewhere."""
    reading = Reading()
    declared = _section(document.value, "parameters")
    reading.parameters = Parameters(list(declared), document.place(("parameters",)))
    known = {name.lower() for name in declared}
    sent = {name: each for name, each in given.parameters.items() if name in known}
    template = _Template(document, (), document.value, sent, given, Budget(), reading, is_outer=True)
    try:
        template.read(0)
    except errors.InvalidRequest as error:
        place = document.place(_path(error.target or ""))
        reading.mistakes.append(Mistake(place, error.message, error.remedy or _REMEDY))
    return reading


@dataclass(slots=True, eq=False)
class _Resource:
    """A resource of a template, in one iteration of the loops around it."""

    source: Json
    path: Path
    place: str
    frame: Frame
    type: str
    names: list[Any]
    condition: str | None
    parent: _Resource | None
    scope: tuple[object, ...]  # what it says of where it is; nothing where that is where the template is deployed

    @property
    def cluster(self) -> _ClusterKey:
        """What names the cluster that it is, or that it belongs to."""
        return self.scope, _key(self.names[0])


class _Template:
    """One template: the outer one or a module's. `path` is where it stands in the document."""

    def __init__(
        self,
        document: JsonText,
        path: Path,
        source: Any,
        sent: Mapping[str, Sent],
        given: Given,
        budget: Budget,
        reading: Reading,
        *,
        is_outer: bool = False,
        condition: str | None = None,
        clusters: Mapping[_ClusterKey, FoundCluster] | None = None,
    ) -> None:
        self._document = document
        self._path = path
        self._source: Json = source if isinstance(source, dict) else {}
        self._sent = sent
        self._given = given
        self._budget = budget
        self._reading = reading
        self._condition = condition
        # Those of the templates around this one, by names that mean the same here.
        self._known_clusters: dict[_ClusterKey, FoundCluster] = {
            (scope, name): known
            for (scope, name), known in (clusters or {}).items()
            if not scope and isinstance(name, str)
        }
        self._mistakes = Mistakes()
        self._values: Json = {}
        self._under_way: set[str] = set()
        self._is_outer = is_outer
        self._declared: Json = _section(self._source, "parameters")
        self.evaluator = PartialEvaluator(
            self._source, self._parameter, _facts(given), budget=budget, mistakes=self._mistakes
        )

    def read(self, depth: int) -> None:
        """Add the template's node pools to the reading."""
        if depth > MAX_NESTING:
            raise errors.InvalidTemplate(
                f"Deployments are nested deeper than {MAX_NESTING} levels.", target="resources"
            )
        resources = list(self._resources(self._source.get("resources"), ("resources",), "resources", None, _NO_FRAME))
        properties = {each: self._cluster_properties(each) for each in resources if _is_own_cluster(each)}
        own = {each: self._cluster(each, told) for each, told in properties.items()}
        clusters = self._clusters(own)
        for resource in resources:
            kind = resource.type.lower()
            if resource.source.get("existing") is True:
                continue
            if kind == DEPLOYMENT_TYPE.lower():
                self._nested(resource, depth, clusters if not resource.scope else {})
            elif kind == CLUSTER_TYPE.lower():
                self._pools_of_cluster(resource, properties[resource], own[resource])
            elif kind == NODE_POOL_TYPE.lower():
                parent = resource.parent
                self._pool(resource, own[parent] if parent in own else clusters.get(resource.cluster))
        self._require_values()
        for place, message in self._mistakes.found:
            self._reading.mistakes.append(Mistake(self._document.place((*self._path, *_path(place))), message, _REMEDY))

    def _parameter(self, wanted: str) -> Any:
        name = found_name(self._declared, wanted)
        if name is None or name in self._under_way:
            raise errors.InvalidTemplate(
                f"The template parameter '{wanted}' is not found."
                if name is None
                else f"The template parameter '{name}' depends on itself."
            )
        if name not in self._values:
            self._under_way.add(name)
            try:
                self._values[name] = self._value_of(name)
            finally:
                self._under_way.discard(name)
        return self._values[name]

    def _value_of(self, name: str) -> Any:
        declared = _section(self._declared, name)
        sent = self._sent.get(name.lower())
        unknown = Unknown(f"[parameters('{name}')]", is_parameter=self._is_outer)
        try:
            kind = types.resolved(declared, self._source, f"parameters.{name}", self._budget)
            if sent is not None and not (sent.value is None and "defaultValue" in kind):
                value = _as_az_reads(sent, kind)
            elif "defaultValue" in kind:
                frame = Frame(is_default=True)
                value = self.evaluator.value(kind["defaultValue"], f"parameters.{name}.defaultValue", frame)
            elif kind.get("nullable") is True:
                value = None
            else:
                if self._is_outer and self._reading.parameters is not None:
                    place = self._document.place(("parameters", name))
                    self._reading.parameters.without_value.setdefault(name, place)
                return replace(unknown, values=_values_of(kind))
            if holds_unknown(value):
                return value
            # What a module gets may come from a parameter that is secret.
            is_secret = not self._is_outer or types.is_secure(declared, self._source, name, self._budget)
            wrong = not_taken(value, declared, self._source, name, self._budget, is_secret=is_secret)
        except errors.InvalidTemplate as error:
            if min(self._budget.left.values()) < 0:
                raise
            wrong = error
        if wrong is None:
            return value
        self._refuse(name, sent, wrong)
        return unknown

    def _refuse(self, name: str, sent: Sent | None, wrong: errors.InvalidTemplate) -> None:
        """Tell that the template does not take a value of a parameter: the one that is given, else its default."""
        place = sent.place if sent is not None else None
        if place is None:
            place = self._document.place((*self._path, "parameters", name))
        remedy = wrong.remedy or _REMEDY
        if sent is not None and self._is_outer and self._reading.parameters is not None:
            mistake = Mistake(place, f"{wrong.code}: {wrong.message}", remedy, PARAMETERS)
            self._reading.parameters.refused[name.lower()] = mistake
        else:
            self._reading.mistakes.append(Mistake(place, wrong.message, remedy))

    def _require_values(self) -> None:
        """Look at every parameter that has a value, also one that nothing wants: a deployment does so."""
        for name, declared in self._declared.items():
            if name.lower() in self._sent or (isinstance(declared, dict) and "defaultValue" in declared):
                self._parameter(name)

    def _resources(
        self, declared: Any, path: Path, place: str, parent: _Resource | None, frame: Frame
    ) -> Iterator[_Resource]:
        if isinstance(declared, dict):
            entries: list[tuple[str | int, str, Any]] = [
                (name, f"{place}.{name}", part) for name, part in declared.items()
            ]
        elif isinstance(declared, list):
            entries = [(index, f"{place}[{index}]", part) for index, part in enumerate(declared)]
        else:
            return
        for key, where, part in entries:
            if not isinstance(part, dict) or not isinstance(part.get("type"), str):
                continue
            loop = part.get("copy")
            frames = self.evaluator.copies(loop, f"{where}.copy", frame) if isinstance(loop, dict) else [frame]
            self._budget.charge("resources", len(frames))
            for each in frames:
                resource = self._resource(part, (*path, key), where, each, parent)
                if resource is not None:
                    yield resource
                    yield from self._resources(
                        part.get("resources"), (*path, key, "resources"), f"{where}.resources", resource, each
                    )

    def _resource(
        self, source: Json, path: Path, place: str, frame: Frame, parent: _Resource | None
    ) -> _Resource | None:
        condition = self.evaluator.value(source.get("condition", True), f"{place}.condition", frame)
        if condition is False:
            return None
        kind, names = source["type"], self._names(source.get("name"), f"{place}.name", frame)
        around = parent.condition if parent is not None else self._condition
        if parent is not None:
            kind, names = f"{parent.type}/{kind}", [*parent.names, *names]
        told = [self.evaluator.value(source.get(name), f"{place}.{name}", frame) for name in _SCOPE]
        scope = tuple(_key(each) for each in told) if any(told) else parent.scope if parent is not None else ()
        own = condition.expression if isinstance(condition, Unknown) else None
        return _Resource(source, path, place, frame, kind, names, own or around, parent, scope)

    def _names(self, source: Any, place: str, frame: Frame) -> list[Any]:
        name = self.evaluator.value(source, place, frame)
        if isinstance(name, Unknown) and isinstance(source, str) and is_expression(source):
            return self.evaluator.parts(source, place, frame) or [name]
        return name.split("/") if isinstance(name, str) else [name]

    def _clusters(self, own: Mapping[_Resource, FoundCluster]) -> dict[_ClusterKey, FoundCluster]:
        found = dict(self._known_clusters)
        for resource, cluster in own.items():
            known = found.get(resource.cluster, cluster)
            found[resource.cluster] = _either(known, cluster)
        return found

    def _cluster_properties(self, resource: _Resource) -> Any:
        """What is looked at of a cluster's properties, by Azure's spelling; unknown where all of them are."""
        written = resource.source.get("properties")
        if isinstance(written, dict):
            written = {name: part for name, part in written.items() if name.lower() in _OF_CLUSTER}
        properties = self.evaluator.value(written, f"{resource.place}.properties", resource.frame)
        if isinstance(properties, Unknown):
            return properties
        return spelled(properties) if isinstance(properties, dict) else {}

    def _cluster(self, resource: _Resource, properties: Any) -> FoundCluster:
        location = self.evaluator.value(resource.source.get("location"), f"{resource.place}.location", resource.frame)
        version = properties if isinstance(properties, Unknown) else properties.get("kubernetesVersion")
        if not isinstance(location, (str, Unknown)):
            location = Unknown("its location")
        if isinstance(location, Unknown) and self._given.location is not None:
            location = self._given.location
        return FoundCluster(
            location=location,
            version=version if isinstance(version, (str, Unknown)) else None,
            version_place=self._place(resource, ("properties", "kubernetesVersion")),
        )

    def _pools_of_cluster(self, resource: _Resource, properties: Any, cluster: FoundCluster) -> None:
        profiles = properties if isinstance(properties, Unknown) else properties.get("agentPoolProfiles")
        if isinstance(profiles, Unknown):
            self._add(resource, cluster, profiles, {}, ("properties", "agentPoolProfiles"))
        for index, each in enumerate(profiles if isinstance(profiles, list) else ()):
            path = ("properties", "agentPoolProfiles", index)
            if isinstance(each, Unknown):
                self._add(resource, cluster, each, {}, path)
            elif isinstance(each, dict):
                pool = {name: part for name, part in each.items() if name.lower() != "name"}
                name = next((part for key, part in each.items() if key.lower() == "name"), Unknown("its name"))
                self._add(resource, cluster, name, pool, path)

    def _pool(self, resource: _Resource, cluster: FoundCluster | None) -> None:
        properties = self.evaluator.value(
            resource.source.get("properties") or {}, f"{resource.place}.properties", resource.frame
        )
        if not isinstance(properties, (dict, Unknown)):
            properties = Unknown("properties that are no object")
        name = resource.names[-1]
        self._add(resource, cluster or _unseen(self._given), name, properties, ("properties",))

    def _add(self, resource: _Resource, cluster: FoundCluster, name: Any, properties: Any, below: Path) -> None:
        """Add a node pool whose properties stand `below` the resource."""
        named: Json = spelled(properties) if isinstance(properties, dict) else {"vmSize": properties}
        if isinstance(properties, dict) and not properties and isinstance(name, Unknown):
            named = {"vmSize": name}
        places = (
            {path: self._place(resource, (*below, *original)) for path, original in _paths(properties)}
            if isinstance(properties, dict)
            else {}
        )
        start = self._place(resource, below if len(below) > 1 else ())
        names = [str(part) for part in resource.names]
        address = "/".join(names) if len(below) == 1 else "/".join([*names, str(name)])
        self._reading.pools.append(
            FoundPool(
                name=name if isinstance(name, str) else name if isinstance(name, Unknown) else Unknown(str(name)),
                address=address,
                tool=ARM,
                action=Action.CREATE,
                place=start,
                properties=named,
                cluster=cluster,
                places={**places, "name": self._place(resource, ("name",) if len(below) == 1 else (*below, "name"))},
                condition=resource.condition,
            )
        )

    def _nested(self, resource: _Resource, depth: int, clusters: Mapping[_ClusterKey, FoundCluster]) -> None:
        properties = _section(resource.source, "properties")
        template = properties.get("template")
        if not isinstance(template, dict):
            place = self._place(resource, ("properties", "templateLink"))
            self._reading.mistakes.append(Mistake(place, _IS_ELSEWHERE, _OF_ELSEWHERE, ELSEWHERE, Level.WARNING))
            return
        path = (*self._path, *resource.path, "properties", "template")
        options = _section(properties, "expressionEvaluationOptions")
        sent: dict[str, Sent] = {}
        if str(options.get("scope", "Outer")).lower() == "inner":
            where = f"{resource.place}.properties.parameters"
            parameters = self.evaluator.value(properties.get("parameters") or {}, where, resource.frame)
            declared = _section(template, "parameters")
            if isinstance(parameters, dict):
                self._require_parameters(resource, parameters, declared)
                for name, part in parameters.items():
                    is_value = isinstance(part, dict) and "value" in part
                    value = part["value"] if is_value else Unknown(f"the parameter {name}")
                    place = self._place(resource, ("properties", "parameters", name))
                    sent[name.lower()] = Sent(name, value, place)
            else:
                sent = {name.lower(): Sent(name, parameters) for name in declared}
        else:
            outer = {
                name: part for name, part in template.items() if name not in ("parameters", "variables", "functions")
            }
            template = self.evaluator.value(
                outer, f"{resource.place}.properties.template", replace(resource.frame, raw=True)
            )
        inner = _Template(
            self._document,
            path,
            template,
            sent,
            self._given,
            self._budget,
            self._reading,
            condition=resource.condition,
            clusters=clusters,
        )
        inner.read(depth + 1)

    def _require_parameters(self, resource: _Resource, sent: Json, declared: Json) -> None:
        """Add what ARM would refuse of a nested deployment's parameters: those it lacks, and those without a value."""
        below = ("properties", "parameters")
        for name in sent:
            wrong = not_declared([name], declared)
            if wrong is not None:
                place = self._place(resource, (*below, name))
                self._reading.mistakes.append(Mistake(place, wrong.message, wrong.remedy or _REMEDY))
        for name, part in declared.items():
            # What a type of the template's own says of null and defaults is not looked at.
            has_value = isinstance(part, dict) and ({"defaultValue", "$ref"} & part.keys() or part.get("nullable"))
            if not has_value and found_name(sent, name) is None:
                message, place = without_value(name).message, self._place(resource, below)
                remedy = f"give it in properties.parameters.{name}, or a default in the nested template"
                self._reading.mistakes.append(Mistake(place, message, remedy))

    def _place(self, resource: _Resource, below: Path) -> Place:
        return self._document.place(_written(self._document, (*self._path, *resource.path), below))


def _values_of(kind: Json) -> tuple[Any, ...] | None:
    """All that a parameter of the type can be, None where there is no saying."""
    allowed, name = kind.get("allowedValues"), str(kind.get("type")).lower()
    if name in ("string", "int", "bool") and isinstance(allowed, list) and allowed:
        return tuple(allowed)
    return (False, True) if name == "bool" else None


def _as_az_reads(sent: Sent, kind: Json) -> Any:
    """The value; of NAME=VALUE what az makes of the text, by the type of the parameter."""
    if not sent.as_text:
        return sent.value
    text = str(sent.value)
    match str(kind.get("type")).lower():
        case "bool":
            return text.lower() == "true"
        case "int":
            return int(text) if re.fullmatch(r"\s*[-+]?[0-9]{1,18}\s*", text) else text
        case "object" | "secureobject" | "array":
            try:
                return json.loads(text)
            except (ValueError, RecursionError):
                return text
    return text


def _written(document: JsonText, base: Path, below: Path) -> Path:
    """The path at which a value is written that evaluation puts `below` the base: loops, expressions and case."""
    value: Any = document.value
    for part in base:
        value = value[part]
    path = base
    index = 0
    while index < len(below):
        part = below[index]
        if isinstance(value, dict) and isinstance(part, str):
            name = found_name(value, part)
            loops = value.get("copy")
            if name is None and isinstance(loops, list):
                for number, loop in enumerate(loops):
                    if isinstance(loop, dict) and str(loop.get("name")) == part and "input" in loop:
                        path, value = (*path, "copy", number, "input"), loop["input"]
                        index += 1  # the iteration is not written
                        break
                else:
                    return path
            elif name is None:
                return path
            else:
                path, value = (*path, name), value[name]
        elif isinstance(value, list) and isinstance(part, int) and part < len(value):
            path, value = (*path, part), value[part]
        else:
            return path
        index += 1
    return path


def _paths(properties: Json) -> Iterator[tuple[str, Path]]:
    """Each property and each one in it, by the path rules name it by and the one it is written at."""
    for name, part in in_force(properties):
        yield spelling(name), (name,)
        if isinstance(part, dict):
            for inner, _ in in_force(part):
                yield f"{spelling(name)}.{spelling(inner)}", (name, inner)


# What decides of a cluster's properties, and the loops that may make it.
_OF_CLUSTER: Final = frozenset(("kubernetesversion", "agentpoolprofiles", "copy"))

# Azure compares names without case; these are the ones that something is looked up by.
_SPELLING: Final = {
    name.lower(): name
    for name in (
        *(
            "vmSize",
            "osType",
            "osSKU",
            "enableFIPS",
            "securityProfile",
            "enableVTPM",
            "enableSecureBoot",
            "mode",
            "type",
        ),
        *("workloadRuntime", "gpuProfile", "driver", "orchestratorVersion", "vmGeneration", "creationData", "count"),
        *("kubernetesVersion", "agentPoolProfiles"),
        *("virtualMachinesProfile", "enableAutoScaling", "minCount", "maxCount", "upgradeSettings"),
    )
}


def spelling(name: str) -> str:
    """Return the name of a property as rules look it up."""
    return _SPELLING.get(name.lower(), name)


def in_force(properties: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the properties with their written names, those that count last: the exact ones, as for the service."""
    yield from sorted(properties.items(), key=lambda each: spelling(each[0]) == each[0])


def spelled(properties: Mapping[str, Any]) -> Json:
    """Return the properties with the names that rules look up in Azure's spelling."""
    return {spelling(name): spelled(part) if isinstance(part, dict) else part for name, part in in_force(properties)}


def _facts(given: Given) -> Json:
    """What functions without arguments tell before anybody deploys."""
    group = {"location": given.location} if given.location is not None else {}
    told = ("subscription", "tenant", "deployment", "deployer", "environment")
    names = ("id", "name", "location", "tags", "properties", "type", "managedBy")
    return {
        **{name: Unknown(f"{name}()") for name in told},
        "resourceGroup": {name: Unknown(f"resourceGroup().{name}") for name in names} | group,
    }


def _is_own_cluster(resource: _Resource) -> bool:
    """Whether the template deploys it as a cluster."""
    return resource.type.lower() == CLUSTER_TYPE.lower() and resource.source.get("existing") is not True


def _unseen(given: Given) -> FoundCluster:
    location = given.location if given.location is not None else Unknown("the cluster's location")
    return FoundCluster(location=location, version=Unknown("the cluster's version"))


def _either(one: FoundCluster, other: FoundCluster) -> FoundCluster:
    """What is certain of a cluster that is the one or the other: conditions decide which of them is deployed."""
    return FoundCluster(
        location=one.location if one.location == other.location else Unknown("the cluster's location"),
        version=one.version if one.version == other.version else Unknown("the cluster's version"),
        version_place=one.version_place,
    )


def _key(name: Any) -> object:
    return name.lower() if isinstance(name, str) else name if isinstance(name, Unknown) else repr(name)


def _section(holder: Mapping[str, Any], name: str) -> Json:
    section = holder.get(name)
    return section if isinstance(section, dict) else {}


def _path(place: str) -> Path:
    """The path of a place as evaluation names it: `resources[0].properties.vmSize`."""
    path: list[str | int] = []
    for part in place.replace("[", ".[").split("."):
        if part.startswith("[") and part.endswith("]") and part[1:-1].isdecimal():
            path.append(int(part[1:-1]))
        elif part:
            path.append(part)
    return tuple(path)
