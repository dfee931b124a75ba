"""The sections of a seed, each a row: what may stand in it, and what comes about from it.

Invariant: sections are brought about in the order of the table.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model
from sqlalchemy.engine import Connection

from poolwright import errors
from poolwright.arm.catalog import decode_size_restrictions
from poolwright.arm.catalog_import import CatalogImport
from poolwright.arm.faults import decode_fault, fault_schema
from poolwright.arm.wire import decode_group, decode_quota_limit
from poolwright.arm.wire_clusters import decode_cluster, properties_schemas
from poolwright.arm.wire_maintenance import decode_maintenance
from poolwright.arm.wire_node_pools import decode_node_pool
from poolwright.catalog.in_force import CatalogInForce, InForce
from poolwright.catalog_keeping import CatalogKeeper, parts_of
from poolwright.control_plane.calls import Accepted, Call
from poolwright.control_plane.control_plane import ControlPlane
from poolwright.domain.profile import Profile
from poolwright.domain.resource_id import (
    CLUSTER_TYPE,
    SNAPSHOT_TYPE,
    ClusterId,
    GroupId,
    MaintenanceId,
    NodePoolId,
    SnapshotId,
)
from poolwright.domain.tags import require_tags
from poolwright.misfits import misfits
from poolwright.operations.faults import Faults
from poolwright.seed.document import (
    Headers,
    SeedCatalogImport,
    SeedCluster,
    SeedFault,
    SeedMaintenanceConfiguration,
    SeedNodePool,
    SeedQuota,
    SeedResourceGroup,
    SeedRestrictions,
    SeedSnapshot,
)
from poolwright.seed.reading import Place, SeedFile, WrongSeed, path_of
from poolwright.side_resources import SideResources
from poolwright.store import fault_statements, statements

API_VERSION: Final = "2026-06-01"
CORRELATION_ID: Final = "seed"
_CHUNK_BYTES: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a seed is applied: verbs, catalogue, faults, whose resources, by whose rules, at what time."""

    plane: ControlPlane
    catalogs: CatalogInForce
    faults: Faults
    subscription: str
    profile: Profile
    now: Callable[[], float]

    @property
    def side(self) -> SideResources:
        return SideResources(self.plane, self.now)


# A verb returns the operation it began, or the catalogue that is in force after the commit.
Verb = Callable[[Destination, Connection], Accepted | InForce | None]


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


def _catalog_import(entry: SeedCatalogImport, place: Place) -> Iterator[Item]:
    def put(destination: Destination, connection: Connection) -> InForce:
        lists = CatalogImport(entry.location)
        with open(entry.file, "rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                lists.feed(chunk)
        imported = lists.end(destination.now())
        return CatalogKeeper(destination.catalogs).import_lists(connection, imported, parts_of(imported))

    with open(entry.file, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    yield Item(
        key=_key(*place[:1], entry.file, entry.location or ""),
        resource="providers/Poolwright/catalog",
        place=place,
        content=[digest, entry.location],
        verb=put,
        place_of=lambda target: (*place, "location" if target == "location" else "file"),
    )


def _restrictions(entry: SeedRestrictions, place: Place) -> Iterator[Item]:
    def put(destination: Destination, connection: Connection) -> InForce:
        location, size, wanted = decode_size_restrictions(
            destination.plane, entry.location, entry.size, {"restrictions": entry.restrictions}
        )
        return CatalogKeeper(destination.catalogs).restrict(connection, location, size, wanted)

    yield Item(
        key=_key(*place[:1], entry.location, entry.size),
        resource=f"providers/Poolwright/locations/{entry.location}/sizes/{entry.size}",
        place=place,
        content=entry.model_dump(),
        verb=put,
        place_of=lambda target: (*place, *_parts(target)),
    )


def _quota(entry: SeedQuota, place: Place) -> Iterator[Item]:
    def put(destination: Destination, connection: Connection) -> None:
        limit = decode_quota_limit({"limit": entry.limit})
        destination.plane.quotas.put(connection, destination.subscription, entry.location, entry.family, limit)

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
        destination.plane.resource_groups.put(connection, GroupId(destination.subscription, entry.name), location, sent)

    yield Item(
        key=key,
        resource=f"resourceGroups/{entry.name}",
        place=place,
        content=entry.model_dump(exclude={"clusters", "snapshots"}),
        verb=put,
        place_of=lambda target: (*place, *_parts(target)),
    )
    for index, cluster in enumerate(entry.clusters):
        yield from _cluster(entry.name, cluster, (*place, "clusters", index), key)
    for index, snapshot in enumerate(entry.snapshots):
        yield _snapshot(entry, snapshot, (*place, "snapshots", index), key)


def _snapshot(group: SeedResourceGroup, entry: SeedSnapshot, place: Place, parent: str) -> Item:
    of_cluster, of_pool = entry.nodePool.split("/")

    def put(destination: Destination, connection: Connection) -> None:
        group_id = GroupId(destination.subscription, group.name)
        pool_id = NodePoolId(ClusterId(group_id, of_cluster), of_pool)
        require_tags(entry.tags)
        sent = _given(tags=entry.tags)
        snapshot_id = SnapshotId(group_id, entry.name)
        # In the region of its node pool, where that is known.
        cluster = statements.cluster(connection, pool_id.cluster_id.key)
        location = cluster.location if cluster is not None else None
        destination.side.put_snapshot(connection, snapshot_id, location, str(pool_id), sent)

    # After what makes its node pool, where the seed does.
    for cluster in group.clusters:
        if cluster.name.lower() == of_cluster.lower():
            parent = _key(parent, cluster.name)
            for pool in cluster.nodePools:
                if pool.name.lower() == of_pool.lower() and not _is_system(pool):
                    parent = _key(parent, pool.name)
    return Item(
        key=_key(*place[:1], group.name, "snapshots", entry.name),
        resource=f"resourceGroups/{group.name}/providers/{SNAPSHOT_TYPE}/{entry.name}",
        place=place,
        content=entry.model_dump(),
        verb=put,
        parent=parent,
        place_of=lambda target: (*place, "nodePool" if "creationData" in target else target),
    )


def _maintenance(group: str, cluster: str, entry: SeedMaintenanceConfiguration, place: Place, parent: str) -> Item:
    def put(destination: Destination, connection: Connection) -> None:
        identifier = MaintenanceId(ClusterId(GroupId(destination.subscription, group), cluster), entry.name)
        sent = decode_maintenance({"properties": entry.properties}, entry.name)
        destination.side.put_maintenance_configuration(connection, identifier, sent)

    return Item(
        key=_key(parent, "maintenanceConfigurations", entry.name),
        resource=f"{_cluster_resource(group, cluster)}/maintenanceConfigurations/{entry.name}",
        place=place,
        content=entry.model_dump(),
        verb=put,
        parent=parent,
        place_of=lambda target: (*place, *_parts(target)),
    )


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
        return destination.plane.clusters.put(connection, cluster_id, request, pools, _call(entry.headers))

    def place_of(target: str) -> Place:
        match _parts(target):
            case ["agentPoolProfiles", int(number), *rest]:
                return (*place, "nodePools", system[number][0], *(["properties", *rest] if rest != ["name"] else rest))
            case ["agentPoolProfiles"]:
                return (*place, "nodePools")
            case parts:
                return (*place, *parts)

    content = entry.model_dump(exclude={"maintenanceConfigurations"}) | {
        "nodePools": [pool.model_dump() for _, pool in system]
    }
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
    for index, configuration in enumerate(entry.maintenanceConfigurations):
        yield _maintenance(group, entry.name, configuration, (*place, "maintenanceConfigurations", index), key)


def _node_pool(group: str, cluster: str, entry: SeedNodePool, place: Place, parent: str) -> Item:
    def put(destination: Destination, connection: Connection) -> Accepted:
        request = decode_node_pool({"properties": entry.properties}, destination.profile)
        pool_id = NodePoolId(ClusterId(GroupId(destination.subscription, group), cluster), entry.name)
        return destination.plane.node_pools.put(connection, pool_id, request, _call(entry.headers))

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


# A new section is a new row. The catalogue and limits stand before what they limit; faults act when everything else
# is there.
SECTIONS: Final = (
    Section(
        "catalogImports",
        "Lists of a subscription, in the place of the built-in catalogue.",
        SeedCatalogImport,
        _catalog_import,
    ),
    Section("restrictions", "Restrictions of sizes by location.", SeedRestrictions, _restrictions),
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
        seed = Seed.model_validate(file.value, context={"directory": Path(file.name).absolute().parent})
    except ValidationError as error:
        raise WrongSeed(
            file.name,
            [file.problem(*misfit) for misfit in misfits(error, Seed)],
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
