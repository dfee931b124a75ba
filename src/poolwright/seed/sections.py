"""The sections of a seed, each a row: what may stand in it, and what comes about from it.

Invariant: sections are brought about in the order of the table.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Final

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model
from sqlalchemy.engine import Connection

from poolwright import errors
from poolwright.arm.faults import decode_fault, fault_schema
from poolwright.arm.wire import decode_cluster, decode_group, decode_node_pool, decode_quota_limit, properties_schemas
from poolwright.control_plane import Accepted, Call, ControlPlane
from poolwright.domain.profile import Profile
from poolwright.domain.resource_id import CLUSTER_TYPE, ClusterId, GroupId, NodePoolId
from poolwright.operations.faults import Faults
from poolwright.seed.document import Headers, SeedCluster, SeedFault, SeedNodePool, SeedQuota, SeedResourceGroup
from poolwright.seed.reading import Place, SeedFile, WrongSeed, path_of
from poolwright.store import fault_statements

API_VERSION: Final = "2026-06-01"
CORRELATION_ID: Final = "seed"


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a seed is applied: verbs, faults, whose resources, by whose rules."""

    plane: ControlPlane
    faults: Faults
    subscription: str
    profile: Profile


Verb = Callable[[Destination, Connection], Accepted | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One thing that comes about: by a verb, in one transaction and at most one operation.

    `content` is what makes it another one when it changes. `parent` is the key of the item that must be there
    first. `place_of` says where in the seed stands what an error calls its target. `resource` is the resource's ID
    without its subscription.
    """

    key: str
    resource: str
    place: Place
    content: Any
    verb: Verb
    parent: str | None = None
    place_of: Callable[[str], Place]


@dataclass(frozen=True, slots=True)
class Section:
    """A row of the table. `items` yields what comes about from an entry at a place."""

    name: str
    description: str
    entry: type[BaseModel]
    items: Callable[[Any, Place], Iterator[Item]]


def _quota(entry: SeedQuota, place: Place) -> Iterator[Item]:
    def put(destination: Destination, connection: Connection) -> None:
        limit = decode_quota_limit({"limit": entry.limit})
        destination.plane.put_quota(connection, destination.subscription, entry.location, entry.family, limit)

    yield Item(
        key=_key(*place[:1], entry.location, entry.family),
        resource=f"providers/Microsoft.Compute/locations/{entry.location}/usages/{entry.family}",
        place=place,
        content=entry.model_dump(),
        verb=put,
        place_of=lambda target: (*place, target),
    )


def _resource_group(entry: SeedResourceGroup, place: Place) -> Iterator[Item]:
    key = _key(*place[:1], entry.name)

    def put(destination: Destination, connection: Connection) -> None:
        location, sent = decode_group(_given(location=entry.location, tags=entry.tags))
        destination.plane.put_resource_group(connection, GroupId(destination.subscription, entry.name), location, sent)

    yield Item(
        key=key,
        resource=f"resourceGroups/{entry.name}",
        place=place,
        content=entry.model_dump(exclude={"clusters"}),
        verb=put,
        place_of=lambda target: (*place, *_parts(target)),
    )
    for index, cluster in enumerate(entry.clusters):
        yield from _cluster(entry.name, cluster, (*place, "clusters", index), key)


def _cluster(group: str, entry: SeedCluster, place: Place, parent: str) -> Iterator[Item]:
    key = _key(parent, entry.name)
    system = [(index, pool) for index, pool in enumerate(entry.nodePools) if _is_system(pool)]

    def put(destination: Destination, connection: Connection) -> Accepted:
        if "agentpoolprofiles" in map(str.lower, entry.properties):
            raise errors.InvalidParameter(
                "Node pools stand in nodePools.", target="properties.agentPoolProfiles", remedy="move them there"
            )
        profiles = [{**pool.properties, "name": pool.name} for _, pool in system]
        body = _given(location=entry.location, tags=entry.tags, sku=entry.sku, identity=entry.identity)
        body["properties"] = {**entry.properties, "agentPoolProfiles": profiles}
        request, pools = decode_cluster(body, destination.profile)
        cluster_id = ClusterId(GroupId(destination.subscription, group), entry.name)
        return destination.plane.put_cluster(connection, cluster_id, request, pools, _call(entry.headers))

    def place_of(target: str) -> Place:
        match _parts(target):
            case ["agentPoolProfiles", int(number), *rest]:
                return (*place, "nodePools", system[number][0], *(["properties", *rest] if rest != ["name"] else rest))
            case ["agentPoolProfiles"]:
                return (*place, "nodePools")
            case parts:
                return (*place, *parts)

    content = entry.model_dump() | {"nodePools": [pool.model_dump() for _, pool in system]}
    yield Item(
        key=key,
        resource=_cluster_resource(group, entry.name),
        place=place,
        content=content,
        verb=put,
        parent=parent,
        place_of=place_of,
    )
    for index, pool in enumerate(entry.nodePools):
        if not _is_system(pool):
            yield _node_pool(group, entry.name, pool, (*place, "nodePools", index), key)


def _node_pool(group: str, cluster: str, entry: SeedNodePool, place: Place, parent: str) -> Item:
    def put(destination: Destination, connection: Connection) -> Accepted:
        request = decode_node_pool({"properties": entry.properties}, destination.profile)
        pool_id = NodePoolId(ClusterId(GroupId(destination.subscription, group), cluster), entry.name)
        return destination.plane.put_node_pool(connection, pool_id, request, _call(entry.headers))

    return Item(
        key=_key(parent, entry.name),
        resource=f"{_cluster_resource(group, cluster)}/agentPools/{entry.name}",
        place=place,
        content=entry.model_dump(),
        verb=put,
        parent=parent,
        place_of=lambda target: (*place, *_parts(target)),
    )


def _fault(entry: SeedFault, place: Place) -> Iterator[Item]:
    def put(destination: Destination, connection: Connection) -> None:
        document = {"match": entry.match, "effect": entry.effect, "count": entry.count}
        fault_statements.put_fault(connection, decode_fault(entry.name, _given(**document)))

    yield Item(
        key=_key(*place[:1], entry.name),
        resource=f"providers/Poolwright/faults/{entry.name}",
        place=place,
        content=entry.model_dump(),
        verb=put,
        place_of=lambda target: (*place, *_parts(target)),
    )


# A new section is a new row. Limits stand before what they limit; faults act when everything else is there.
SECTIONS: Final = (
    Section("quotas", "vCPU limits by location and family.", SeedQuota, _quota),
    Section("resourceGroups", "Resource groups, their clusters and node pools.", SeedResourceGroup, _resource_group),
    Section("faults", "Bad days on demand, as `poolwright faults add` takes them.", SeedFault, _fault),
)

Seed: Final[type[BaseModel]] = create_model(
    "Seed",
    __config__=ConfigDict(extra="forbid", strict=True, frozen=True),
    __doc__="What a service starts with: poolwright up --seed FILE.",
    **{  # type: ignore[call-overload]  # the fields of the model are the rows of the table
        section.name: (Annotated[list[section.entry], Field(description=section.description)], [])  # type: ignore[name-defined]
        for section in SECTIONS
    },
)


def schema() -> dict[str, Any]:
    """Return the JSON schema of a seed; docs/seed.schema.json has it."""
    document = Seed.model_json_schema()
    for entry, typed in zip((SeedCluster, SeedNodePool), properties_schemas(), strict=True):
        # Node pools have a place of their own in a seed.
        typed["properties"].pop("agentPoolProfiles", None)
        document["$defs"] |= typed.get("$defs", {})
        document["$defs"][entry.__name__]["properties"]["properties"] |= {
            "description": "As Azure Resource Manager names them; others are kept as they are.",
            "properties": typed["properties"],
        }
    faults = fault_schema()
    document["$defs"] |= faults["$defs"]
    for name in ("match", "effect", "count"):
        document["$defs"][SeedFault.__name__]["properties"][name] = faults["properties"][name]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **document}


def items_of(file: SeedFile) -> list[Item]:
    """Return what comes about from the seed, in order. Raises `WrongSeed` with everything that is not as it must be."""
    try:
        seed = Seed.model_validate(file.value)
    except ValidationError as error:
        raise WrongSeed(
            file.name,
            [
                file.problem(problem["loc"], f"{problem['msg'][0].lower()}{problem['msg'][1:]}")
                for problem in error.errors(include_url=False, include_context=False, include_input=False)
            ],
        ) from error
    items = [
        item
        for section in SECTIONS
        for index, entry in enumerate(getattr(seed, section.name))
        for item in section.items(entry, (section.name, index))
    ]
    problems = []
    first: dict[str, Item] = {}
    for item in items:
        if first.setdefault(item.key, item) is not item:
            problems.append(file.problem(item.place, f"it stands there twice: {path_of(first[item.key].place)}"))
    if problems:
        raise WrongSeed(file.name, problems)
    return items


def _key(*parts: str | int) -> str:
    return orjson.dumps([str(part).lower() for part in parts]).decode()


def _cluster_resource(group: str, cluster: str) -> str:
    return f"resourceGroups/{group}/providers/{CLUSTER_TYPE}/{cluster}"


def _is_system(pool: SeedNodePool) -> bool:
    return any(name.lower() == "mode" and str(mode).lower() == "system" for name, mode in pool.properties.items())


def _given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _call(headers: Headers) -> Call:
    return Call(api_version=API_VERSION, correlation_id=CORRELATION_ID, header=headers.wish)


def _parts(target: str) -> list[str | int]:
    """The parts of an error's target: `properties.scale[1].size`."""
    return [int(part) if part.isdecimal() else part for part in re.findall(r"[^.\[\]]+", target)]
