"""The statements about resources, machines and operations, as functions over a connection.

Those about identity and the activity log are beside this module.

Selects that serve requests are module constants with bind parameters, for `Reader`. So is what the steps of
operations run: building such a statement takes four times as long as running it.
Invariant: SQL is only in this package.
"""

from __future__ import annotations

import zlib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from poolwright.domain.cluster import Cluster, ResourceGroup
from poolwright.domain.deployment import Deployment, DeploymentResource, PreparedDeployment
from poolwright.domain.machine import Machine
from poolwright.domain.maintenance import MaintenanceConfiguration
from poolwright.domain.node_pool import NodePool
from poolwright.domain.operation import ABORTS, Operation, OperationStatus
from poolwright.domain.resource_id import GroupId
from poolwright.domain.rollout import PlannedWaves
from poolwright.domain.snapshot import Snapshot
from poolwright.store import tables
from poolwright.store.database import insert_many
from poolwright.store.identity_statements import delete_assignments_within
from poolwright.store.records import dump, load

T = TypeVar("T")

_MOST_PARAMETERS: Final = 500  # SQLite takes 32 766 in one statement, PostgreSQL 65 535

_KEY: sa.BindParameter[str] = sa.bindparam("key")
_AFTER: sa.BindParameter[str] = sa.bindparam("after")
# SQLite has no LIMIT without an OFFSET as SQLAlchemy writes it, and `Reader` knows named parameters only.
_NONE_SKIPPED: sa.ColumnClause[int] = sa.literal_column("0", sa.Integer)
_LIMIT: sa.BindParameter[int] = sa.bindparam("limit", type_=sa.Integer)

GROUP_WIRE: Final = sa.select(tables.resource_groups.c.wire).where(tables.resource_groups.c.key == _KEY)
# The parameters with which such a list is read as a whole.
WHOLE_LIST: Final[dict[str, Any]] = {"after": "", "limit": 2**31 - 1}
# Lists in pages: the rows after a key, in the order of keys, at most so many of them.
GROUP_WIRES: Final = (
    sa.select(tables.resource_groups.c.key, tables.resource_groups.c.wire)
    .where(tables.resource_groups.c.subscription_id == _KEY, tables.resource_groups.c.key > _AFTER)
    .order_by(tables.resource_groups.c.key)
    .limit(_LIMIT)
    .offset(_NONE_SKIPPED)
)
CLUSTER_RECORD: Final = sa.select(tables.clusters.c.record).where(tables.clusters.c.key == _KEY)
CLUSTER_EXISTS: Final = sa.select(tables.clusters.c.key).where(tables.clusters.c.key == _KEY)
CLUSTERS_OF_SUBSCRIPTION: Final = (
    sa.select(tables.clusters.c.key, tables.clusters.c.record)
    .where(tables.clusters.c.subscription_id == _KEY, tables.clusters.c.key > _AFTER)
    .order_by(tables.clusters.c.key)
    .limit(_LIMIT)
    .offset(_NONE_SKIPPED)
)
CLUSTERS_OF_GROUP: Final = (
    sa.select(tables.clusters.c.key, tables.clusters.c.record)
    .where(tables.clusters.c.group_key == _KEY, tables.clusters.c.key > _AFTER)
    .order_by(tables.clusters.c.key)
    .limit(_LIMIT)
    .offset(_NONE_SKIPPED)
)
POOL_WIRE: Final = sa.select(tables.node_pools.c.wire, tables.node_pools.c.etag).where(tables.node_pools.c.key == _KEY)
POOL_WIRES: Final = (
    sa.select(tables.node_pools.c.wire).where(tables.node_pools.c.cluster_key == _KEY).order_by(tables.node_pools.c.key)
)
POOL_RECORD: Final = sa.select(tables.node_pools.c.record).where(tables.node_pools.c.key == _KEY)
POOL_RECORDS: Final = (
    sa.select(tables.node_pools.c.record)
    .where(tables.node_pools.c.cluster_key == _KEY)
    .order_by(tables.node_pools.c.key)
)
POOL_EXISTS: Final = sa.select(tables.node_pools.c.key).where(tables.node_pools.c.key == _KEY)
MACHINE_RECORDS: Final = (
    sa.select(tables.machines.c.record).where(tables.machines.c.pool_key == _KEY).order_by(tables.machines.c.ordinal)
)
FIRST_MACHINE_RECORD: Final = MACHINE_RECORDS.limit(1)
MACHINE_RECORDS_BY_KEY: Final = sa.select(tables.machines.c.record).where(
    tables.machines.c.key.in_(sa.bindparam("keys", expanding=True))
)
MACHINES_BY_OBSERVED: Final = (
    sa.select(tables.machines.c.observed, sa.func.count())
    .where(tables.machines.c.pool_key == _KEY)
    .group_by(tables.machines.c.observed)
)
MACHINES_BY_SIZE: Final = (
    sa.select(tables.machines.c.size, sa.func.count())
    .join(tables.node_pools, tables.node_pools.c.key == tables.machines.c.pool_key)
    .where(tables.node_pools.c.cluster_key.in_(sa.bindparam("keys", expanding=True)))
    .group_by(tables.machines.c.size)
)
MACHINE_WIRE: Final = sa.select(tables.machines.c.wire).where(tables.machines.c.key == _KEY)
MACHINE_WIRES: Final = (
    sa.select(tables.machines.c.wire).where(tables.machines.c.pool_key == _KEY).order_by(tables.machines.c.ordinal)
)
QUOTA_LIMITS: Final = sa.select(tables.quotas.c.family, tables.quotas.c.vcpus).where(
    tables.quotas.c.subscription_id == _KEY, tables.quotas.c.location == sa.bindparam("location")
)
OPERATION_RECORD: Final = sa.select(tables.operations.c.record).where(tables.operations.c.id == _KEY)
OPERATION_RESOURCE: Final = sa.select(tables.operations.c.resource_key).where(
    tables.operations.c.id == _KEY, tables.operations.c.subscription_id == sa.bindparam("subscription")
)
OPERATION_WIRE: Final = sa.select(
    tables.operations.c.wire,
    tables.operations.c.status,
    tables.operations.c.subscription_id,
    tables.operations.c.record,
).where(tables.operations.c.id == _KEY)
DEPLOYMENT_RECORD: Final = sa.select(tables.deployments.c.record).where(tables.deployments.c.key == _KEY)
DEPLOYMENT_RECORDS: Final = (
    sa.select(tables.deployments.c.record)
    .where(tables.deployments.c.scope_key == _KEY)
    .order_by(tables.deployments.c.key)
)
DEPLOYMENT_RESOURCES: Final = (
    sa.select(tables.deployment_resources.c.record)
    .where(tables.deployment_resources.c.deployment_key == _KEY)
    .order_by(tables.deployment_resources.c.ordinal)
)
SNAPSHOT_RECORD: Final = sa.select(tables.snapshots.c.record).where(tables.snapshots.c.key == _KEY)
SNAPSHOTS_OF_SUBSCRIPTION: Final = (
    sa.select(tables.snapshots.c.record)
    .where(tables.snapshots.c.subscription_id == _KEY)
    .order_by(tables.snapshots.c.key)
)
SNAPSHOTS_OF_GROUP: Final = (
    sa.select(tables.snapshots.c.record).where(tables.snapshots.c.group_key == _KEY).order_by(tables.snapshots.c.key)
)
MAINTENANCE_RECORD: Final = sa.select(tables.maintenance_configurations.c.record).where(
    tables.maintenance_configurations.c.key == _KEY
)
MAINTENANCE_RECORDS: Final = (
    sa.select(tables.maintenance_configurations.c.record)
    .where(tables.maintenance_configurations.c.cluster_key == _KEY)
    .order_by(tables.maintenance_configurations.c.key)
)
FEATURES: Final = (
    sa.select(tables.features.c.key, tables.features.c.name, tables.features.c.state)
    .where(tables.features.c.subscription_id == _KEY)
    .order_by(tables.features.c.key)
)
OPERATIONS_OF_RESOURCE: Final = sa.select(
    tables.operations.c.id, tables.operations.c.wire, tables.operations.c.record
).where(tables.operations.c.resource_key == _KEY)
OPERATIONS_BELOW: Final = sa.select(tables.operations.c.id, tables.operations.c.wire, tables.operations.c.record).where(
    tables.operations.c.resource_key >= sa.bindparam("first"), tables.operations.c.resource_key < sa.bindparam("last")
)
OPERATIONS_BY_STATUS: Final = sa.select(tables.operations.c.status, sa.func.count()).group_by(
    tables.operations.c.status
)
WAVES_RECORD: Final = sa.select(tables.rollouts.c.record).where(tables.rollouts.c.operation_id == _KEY)
RESOURCE_COUNTS: Final = sa.select(
    sa.select(sa.func.count()).select_from(tables.clusters).scalar_subquery(),
    sa.select(sa.func.count()).select_from(tables.node_pools).scalar_subquery(),
    sa.select(sa.func.count()).select_from(tables.machines).scalar_subquery(),
)

_DELETE_MACHINE: Final = sa.delete(tables.machines).where(tables.machines.c.key == sa.bindparam("gone"))


def group(connection: Connection, key: str) -> ResourceGroup | None:
    record = _record(connection, tables.resource_groups, key)
    return load(ResourceGroup, record) if record is not None else None


def put_group(connection: Connection, value: ResourceGroup, wire: bytes) -> None:
    _put(
        connection,
        tables.resource_groups,
        key=value.id.key,
        subscription_id=value.id.subscription,
        record=dump(value),
        wire=wire,
    )


def delete_group(connection: Connection, key: str) -> None:
    """Delete a resource group that has no clusters any more, with its snapshots, deployments and roles."""
    of_it = sa.select(tables.deployments.c.key).where(tables.deployments.c.scope_key == key)
    connection.execute(
        sa.delete(tables.deployment_resources).where(tables.deployment_resources.c.deployment_key.in_(of_it))
    )
    connection.execute(sa.delete(tables.deployments).where(tables.deployments.c.scope_key == key))
    delete_assignments_within(connection, key)
    connection.execute(sa.delete(tables.snapshots).where(tables.snapshots.c.group_key == key))
    connection.execute(sa.delete(tables.resource_groups).where(tables.resource_groups.c.key == key))


def cluster(connection: Connection, key: str) -> Cluster | None:
    record = _record(connection, tables.clusters, key)
    return load(Cluster, record) if record is not None else None


def clusters_of_group(connection: Connection, group_id: GroupId) -> list[Cluster]:
    rows = connection.execute(
        sa.select(tables.clusters.c.record)
        .where(tables.clusters.c.group_key == group_id.key)
        .order_by(tables.clusters.c.key)
    )
    return [load(Cluster, record) for (record,) in rows]


def put_cluster(connection: Connection, value: Cluster) -> None:
    _put(
        connection,
        tables.clusters,
        key=value.id.key,
        group_key=value.id.group_id.key,
        subscription_id=value.id.group_id.subscription,
        etag=value.etag,
        record=dump(value),
    )


def delete_cluster(connection: Connection, key: str) -> None:
    """Delete a cluster with its maintenance configurations and the node pools and machines it still has."""
    configurations = tables.maintenance_configurations
    connection.execute(sa.delete(configurations).where(configurations.c.cluster_key == key))
    delete_assignments_within(connection, key)
    for pool in node_pools_of_cluster(connection, key):
        delete_node_pool(connection, pool.id.key)
    connection.execute(sa.delete(tables.clusters).where(tables.clusters.c.key == key))


def snapshot(connection: Connection, key: str) -> Snapshot | None:
    record = _record(connection, tables.snapshots, key)
    return load(Snapshot, record) if record is not None else None


def put_snapshot(connection: Connection, value: Snapshot) -> None:
    _put(
        connection,
        tables.snapshots,
        key=value.id.key,
        group_key=value.id.group_id.key,
        subscription_id=value.id.group_id.subscription,
        record=dump(value),
    )


def delete_snapshot(connection: Connection, key: str) -> bool:
    """Delete a snapshot; False when there is none."""
    return connection.execute(sa.delete(tables.snapshots).where(tables.snapshots.c.key == key)).rowcount > 0


def maintenance_configuration(connection: Connection, key: str) -> MaintenanceConfiguration | None:
    record = _record(connection, tables.maintenance_configurations, key)
    return load(MaintenanceConfiguration, record) if record is not None else None


def put_maintenance_configuration(connection: Connection, value: MaintenanceConfiguration) -> None:
    _put(
        connection,
        tables.maintenance_configurations,
        key=value.id.key,
        cluster_key=value.id.cluster_id.key,
        record=dump(value),
    )


def delete_maintenance_configuration(connection: Connection, key: str) -> bool:
    """Delete a maintenance configuration; False when there is none."""
    table = tables.maintenance_configurations
    return connection.execute(sa.delete(table).where(table.c.key == key)).rowcount > 0


def put_feature(connection: Connection, subscription: str, name: str, state: str) -> None:
    """Store the state of a feature, named `namespace/feature`."""
    place = (tables.features.c.subscription_id == subscription, tables.features.c.key == name.lower())
    connection.execute(sa.delete(tables.features).where(*place))
    connection.execute(
        sa.insert(tables.features).values(subscription_id=subscription, key=name.lower(), name=name, state=state)
    )


def tenants_of(connection: Connection, subscriptions: Collection[str]) -> set[str]:
    """Return the tenants of those of the subscriptions that there are."""
    rows = connection.execute(
        sa.select(tables.subscriptions.c.tenant_id).where(tables.subscriptions.c.subscription_id.in_(subscriptions))
    )
    return set(rows.scalars())


def node_pool(connection: Connection, key: str) -> NodePool | None:
    record = _record(connection, tables.node_pools, key)
    return load(NodePool, record) if record is not None else None


def node_pools_of_cluster(connection: Connection, cluster_key: str) -> list[NodePool]:
    rows = connection.execute(
        sa.select(tables.node_pools.c.record)
        .where(tables.node_pools.c.cluster_key == cluster_key)
        .order_by(tables.node_pools.c.key)
    )
    return [load(NodePool, record) for (record,) in rows]


def node_pool_count(connection: Connection, cluster_key: str) -> int:
    """Return how many node pools a cluster has, without reading them."""
    wanted = tables.node_pools.c.cluster_key == cluster_key
    return connection.execute(sa.select(sa.func.count()).select_from(tables.node_pools).where(wanted)).scalar_one()


def put_node_pool(connection: Connection, value: NodePool, wire: bytes) -> None:
    _put(
        connection,
        tables.node_pools,
        key=value.id.key,
        cluster_key=value.id.cluster_id.key,
        etag=value.etag,
        record=dump(value),
        wire=wire,
    )


def delete_node_pool(connection: Connection, key: str) -> None:
    """Delete a node pool with its machine rows."""
    delete_assignments_within(connection, key)
    connection.execute(sa.delete(tables.machines).where(tables.machines.c.pool_key == key))
    connection.execute(sa.delete(tables.node_pools).where(tables.node_pools.c.key == key))


def machines_of_pool(connection: Connection, pool_key: str) -> list[Machine]:
    """Return the machines of a node pool, by ordinal."""
    rows = connection.execute(MACHINE_RECORDS, {"key": pool_key})
    return [load(Machine, record) for (record,) in rows]


def machine_of_pool(connection: Connection, pool_key: str) -> Machine | None:
    """Return the machine with the lowest ordinal, or None."""
    record = connection.execute(FIRST_MACHINE_RECORD, {"key": pool_key}).scalar_one_or_none()
    return load(Machine, record) if record is not None else None


def machine_keys(connection: Connection) -> set[str]:
    """Return the key of every machine the service keeps."""
    return set(connection.execute(sa.select(tables.machines.c.key)).scalars())


def machines_by_key(connection: Connection, keys: Sequence[str]) -> list[Machine]:
    """Return those of the machines that are there, by ordinal."""
    found: list[Machine] = []
    for start in range(0, len(keys), _MOST_PARAMETERS):
        rows = connection.execute(MACHINE_RECORDS_BY_KEY, {"keys": keys[start : start + _MOST_PARAMETERS]})
        found += [load(Machine, record) for (record,) in rows]
    return sorted(found, key=lambda machine: machine.ordinal)


def add_machines(connection: Connection, values: Sequence[tuple[Machine, bytes]]) -> None:
    """Store new machines with their wire form. One statement, however many."""
    insert_many(
        connection,
        tables.machines,
        [
            {
                "key": machine.id.key,
                "pool_key": machine.id.pool_id.key,
                "ordinal": machine.ordinal,
                "size": machine.spec.size,
                "observed": _observed(machine),
                "record": dump(machine),
                "wire": wire,
            }
            for machine, wire in values
        ],
    )


def update_machines(connection: Connection, values: Sequence[tuple[Machine, bytes]]) -> None:
    """Replace the record and wire form of machines that are there. One statement, however many."""
    rows = [
        {
            "changed": machine.id.key,
            "size": machine.spec.size,
            "observed": _observed(machine),
            "record": dump(machine),
            "wire": wire,
        }
        for machine, wire in values
    ]
    if rows:
        connection.execute(_update(tables.machines.c.key), rows)


def observed_counts(connection: Connection, pool_key: str) -> dict[str, int]:
    """Return the node pool's machines counted by observed generation: `V1`, `V2`, `unknown`."""
    rows = connection.execute(MACHINES_BY_OBSERVED, {"key": pool_key})
    return {"V1": 0, "V2": 0, "unknown": 0} | {row[0]: row[1] for row in rows}


def machine_counts(connection: Connection, subscription: str, location: str) -> dict[str, int]:
    """Return the number of machines by size, of every cluster of the subscription in the location."""
    rows = connection.execute(CLUSTERS_OF_SUBSCRIPTION, {"key": subscription, **WHOLE_LIST})
    there = [key for key, record in rows if load(Cluster, record).location == location]
    counted = connection.execute(MACHINES_BY_SIZE, {"keys": there})
    return {row[0]: row[1] for row in counted}


def quota_limits(connection: Connection, subscription: str, location: str) -> dict[str, int]:
    """Return the vCPU limits that were set there, by family in lower case."""
    rows = connection.execute(QUOTA_LIMITS, {"key": subscription, "location": location})
    return {row.family: row.vcpus for row in rows}


def put_quota(connection: Connection, subscription: str, location: str, family: str, vcpus: int | None) -> None:
    """Store a vCPU limit; None takes it away."""
    place = {"subscription_id": subscription, "location": location, "family": family}
    connection.execute(
        sa.delete(tables.quotas).where(*(tables.quotas.c[name] == value for name, value in place.items()))
    )
    if vcpus is not None:
        connection.execute(sa.insert(tables.quotas).values(**place, vcpus=vcpus))


def catalogue_parts(connection: Connection, kind: str, part: type[T], locations: Sequence[str]) -> dict[str, T]:
    """Return what replaces that kind of the built-in catalogue, by location, of those locations."""
    rows = connection.execute(
        sa.select(tables.catalogue.c.location, tables.catalogue.c.record)
        .where(tables.catalogue.c.kind == kind, tables.catalogue.c.location.in_(locations))
        .order_by(tables.catalogue.c.location)
    )
    return {row.location: load(part, zlib.decompress(row.record)) for row in rows}


def catalogue_entries(connection: Connection) -> dict[tuple[str, str], int]:
    """Return how many entries each replacement of the built-in catalogue has, by kind and location."""
    rows = connection.execute(
        sa.select(tables.catalogue.c.kind, tables.catalogue.c.location, tables.catalogue.c.entries).order_by(
            tables.catalogue.c.kind, tables.catalogue.c.location
        )
    )
    return {(row.kind, row.location): row.entries for row in rows}


@dataclass(frozen=True, slots=True)
class CataloguePart:
    """A replacement of a part of the built-in catalogue, ready to be stored: making it so takes longer than that."""

    kind: str
    location: str
    entries: int
    record: bytes

    @classmethod
    def of(cls, kind: str, location: str, part: object, entries: int) -> CataloguePart:
        return cls(kind, location, entries, zlib.compress(dump(part), level=3))


def put_catalogue_part(connection: Connection, part: CataloguePart) -> None:
    """Store a part in the place of the one there was."""
    delete_catalogue_parts(connection, part.kind, part.location)
    connection.execute(
        sa.insert(tables.catalogue).values(
            kind=part.kind, location=part.location, entries=part.entries, record=part.record
        )
    )


def delete_catalogue_parts(connection: Connection, kind: str | None = None, location: str | None = None) -> None:
    """Delete replacements of the built-in catalogue: of a kind, of a location, or all."""
    chosen = {tables.catalogue.c.kind: kind, tables.catalogue.c.location: location}
    connection.execute(
        sa.delete(tables.catalogue).where(*(column == value for column, value in chosen.items() if value is not None))
    )


def sizes_in_use(connection: Connection) -> set[str]:
    """Return the sizes that node pools have or had when they were last well, and those of machines."""
    found = set(connection.execute(sa.select(tables.machines.c.size).distinct()).scalars())
    for record in connection.execute(sa.select(tables.node_pools.c.record)).scalars():
        pool = load(NodePool, record)
        scales = (pool.scale, *(state.scale for state in (pool.good, pool.before) if state is not None))
        found |= {profile.size for scale in scales for profile in scale}
    return found


def delete_machines(connection: Connection, keys: Iterable[str]) -> None:
    """Delete machine rows by key."""
    rows = [{"gone": key} for key in keys]
    if rows:
        connection.execute(_DELETE_MACHINE, rows)


def waves(connection: Connection, operation_id: str) -> PlannedWaves | None:
    """Return the waves planned for an operation, or None when they are not planned yet or not needed any more."""
    record = connection.execute(WAVES_RECORD, {"key": operation_id}).scalar_one_or_none()
    return load(PlannedWaves, record) if record is not None else None


def add_waves(connection: Connection, operation_id: str, planned: PlannedWaves) -> None:
    connection.execute(sa.insert(tables.rollouts).values(operation_id=operation_id, record=dump(planned)))


def delete_waves(connection: Connection, operation_id: str) -> None:
    connection.execute(sa.delete(tables.rollouts).where(tables.rollouts.c.operation_id == operation_id))


def deployment(connection: Connection, key: str) -> Deployment | None:
    record = _record(connection, tables.deployments, key)
    return load(Deployment, record) if record is not None else None


def deployment_resources(connection: Connection, key: str) -> list[DeploymentResource]:
    """Return the resources of a deployment, in the template's order."""
    return [load(DeploymentResource, record) for (record,) in connection.execute(DEPLOYMENT_RESOURCES, {"key": key})]


def put_deployment(connection: Connection, value: Deployment) -> None:
    """Store a deployment; its resources stay as they are."""
    _put(connection, tables.deployments, key=value.id.key, scope_key=value.id.scope.lower(), record=dump(value))


def replace_deployment(connection: Connection, prepared: PreparedDeployment) -> None:
    """Store a deployment in the place of the one with its ID."""
    key = prepared.deployment.id.key
    connection.execute(
        sa.delete(tables.deployment_resources).where(tables.deployment_resources.c.deployment_key == key)
    )
    put_deployment(connection, prepared.deployment)
    insert_many(
        connection,
        tables.deployment_resources,
        [
            {"deployment_key": key, "ordinal": resource.ordinal, "record": dump(resource)}
            for resource in prepared.resources
        ],
    )


def put_deployment_resource(connection: Connection, key: str, value: DeploymentResource) -> None:
    """Store a resource of a deployment that is there."""
    connection.execute(
        sa.update(tables.deployment_resources)
        .where(
            tables.deployment_resources.c.deployment_key == key,
            tables.deployment_resources.c.ordinal == value.ordinal,
        )
        .values(record=dump(value))
    )


def delete_deployment(connection: Connection, key: str) -> None:
    connection.execute(
        sa.delete(tables.deployment_resources).where(tables.deployment_resources.c.deployment_key == key)
    )
    connection.execute(sa.delete(tables.deployments).where(tables.deployments.c.key == key))


def operation(connection: Connection, operation_id: str) -> Operation | None:
    record = connection.execute(OPERATION_RECORD, {"key": operation_id}).scalar_one_or_none()
    return load(Operation, record) if record is not None else None


def put_operation(connection: Connection, value: Operation, wire: bytes) -> None:
    """Store an operation, keeping which runner claimed it."""
    values = {
        "subscription_id": value.subscription,
        "resource_key": value.resource_key,
        "status": value.status.value,
        "record": dump(value),
        "wire": wire,
    }
    changed = connection.execute(_update(tables.operations.c.id), {"changed": value.id, **values})
    if changed.rowcount == 0:
        connection.execute(sa.insert(tables.operations).values(id=value.id, **values))


def claim_operation(connection: Connection, operation_id: str, runner: str) -> bool:
    """Make the runner the one that carries out the operation; False when another has it."""
    connection.execute(
        sa.update(tables.operations)
        .where(tables.operations.c.id == operation_id, tables.operations.c.runner.is_(None))
        .values(runner=runner)
    )
    holder = connection.execute(
        sa.select(tables.operations.c.runner).where(tables.operations.c.id == operation_id)
    ).scalar_one_or_none()
    return holder == runner


def release_operation(connection: Connection, operation_id: str) -> None:
    """Let another runner claim the operation."""
    connection.execute(sa.update(tables.operations).where(tables.operations.c.id == operation_id).values(runner=None))


def operations_in_progress(connection: Connection) -> dict[str, str | None]:
    """Return the ID of every operation that has not ended, with the runner that claimed it.

    Aborts are left out: they end together with the operation they stop.
    """
    rows = connection.execute(
        sa.select(tables.operations.c.id, tables.operations.c.runner, tables.operations.c.record)
        .where(tables.operations.c.status == OperationStatus.IN_PROGRESS.value)
        .order_by(tables.operations.c.id)
    )
    return {row.id: row.runner for row in rows if load(Operation, row.record).kind not in ABORTS}


def deployments_under_way(connection: Connection) -> int:
    """Return how many operations of deployments have not ended."""
    found = connection.execute(
        sa.select(sa.func.count())
        .select_from(tables.operations)
        .join(tables.deployments, tables.deployments.c.key == tables.operations.c.resource_key)
        .where(tables.operations.c.status == OperationStatus.IN_PROGRESS.value)
    )
    return int(found.scalar_one())


def _observed(machine: Machine) -> str:
    observed = machine.facts.observed if machine.facts is not None else None
    return observed.value if observed is not None else "unknown"


def _record(connection: Connection, table: sa.Table, key: str) -> bytes | None:
    record: bytes | None = connection.execute(_record_of(table), {"key": key}).scalar_one_or_none()
    return record


@cache
def _record_of(table: sa.Table) -> sa.Select[bytes]:
    return sa.select(table.c.record).where(table.c.key == _KEY)


@cache
def _update(key: sa.Column[str]) -> sa.Update:
    """Return the update of the rows whose key is `changed`, of the columns it gets values for."""
    return sa.update(key.table).where(key == sa.bindparam("changed"))


def _put(connection: Connection, table: sa.Table, *, key: str, **values: object) -> None:
    changed = connection.execute(_update(table.c.key), {"changed": key, **values})
    if changed.rowcount == 0:
        connection.execute(sa.insert(table).values(key=key, **values))
