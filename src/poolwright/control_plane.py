"""The verbs of the product, independent of HTTP.

Each changing verb runs in one write transaction: it looks at what is stored, calls the pure functions
of `domain/`, stores resource and operation, and enlists the operation. Nothing is stored when it raises.

Invariant: an operation that is accepted is stored with its resource and its workflow in one commit.
"""

from __future__ import annotations

import copy
import re
import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from sqlalchemy.engine import Connection

from poolwright import errors
from poolwright.catalog.catalog import Catalog, normalized_location
from poolwright.catalog.in_force import CatalogInForce
from poolwright.domain import change, quota
from poolwright.domain.admission import (
    error_of,
    rolled_back,
    settle,
    unsupported_version,
    with_image_of,
    with_newest_image,
)
from poolwright.domain.change import Difference
from poolwright.domain.cluster import Cluster, ClusterRequest, ProvisioningState, ResourceGroup
from poolwright.domain.deployment import Deployment, DeploymentId, PreparedDeployment
from poolwright.domain.fault import Point
from poolwright.domain.kubernetes_version import KubernetesVersion
from poolwright.domain.node_pool import NodePool, NodePoolRequest, ScaleProfile, same_again
from poolwright.domain.node_pool_kind import Mode, PoolType, PowerState
from poolwright.domain.operation import Operation, OperationKind
from poolwright.domain.pool_limits import MAX_POOLS
from poolwright.domain.profile import Profile
from poolwright.domain.resource_id import ClusterId, GroupId, MachineId, NodePoolId, SnapshotId
from poolwright.domain.restriction import refused_growth
from poolwright.domain.rollout import PresentMachine, Rollout, moments_together
from poolwright.domain.size_name import alternatives
from poolwright.domain.snapshot import Snapshot
from poolwright.domain.surroundings import Surroundings
from poolwright.domain.vm_size import VmSize
from poolwright.operations.bad_day import refused_on_demand
from poolwright.operations.context import CLUSTER_KINDS, Renderer, pools_of
from poolwright.operations.durable import DurableOperations
from poolwright.operations.faults import Faults
from poolwright.operations.waves import planned_rollout, present_machines
from poolwright.store import statements
from poolwright.store.database import Kept

# https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules
_GROUP_NAME: Final = re.compile(r"[-\w.()]{0,89}[-\w()]")
_GROUP_NAME_FORM: Final = "1 to 90 letters, digits, underscores, hyphens, parentheses and periods, no period at the end"
_CLUSTER_NAME: Final = re.compile(r"[a-zA-Z0-9]([-_a-zA-Z0-9]{0,61}[a-zA-Z0-9])?")
_CLUSTER_NAME_FORM: Final = "1 to 63 letters, digits, underscores and hyphens, a letter or digit at both ends"
_DEPLOYMENT_NAME: Final = re.compile(r"[-\w.()]{1,64}")
_DEPLOYMENT_NAME_FORM: Final = "1 to 64 letters, digits, underscores, hyphens, parentheses and periods"
# An operation of a deployment waits for others on a thread; the others need theirs (`on_dbos.MAX_AT_WORK`).
MAX_DEPLOYMENTS_UNDER_WAY: Final = 128


@dataclass(frozen=True, slots=True)
class Preconditions:
    """If-Match and If-None-Match of a request, without quotes; None when absent."""

    if_match: str | None = None
    if_none_match: str | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """What a verb needs to know of the call besides its arguments."""

    api_version: str
    correlation_id: str
    preconditions: Preconditions = Preconditions()
    header: bool | None = None


@dataclass(frozen=True, slots=True)
class Accepted:
    """What a changing verb leads to: the operation, None when there is nothing to do, and whether it creates."""

    operation: Operation | None
    created: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class WhatIf:
    """What a PUT would do: the node pool after it, the differences, and how the machines would follow.

    `surge_machines` is the most machines beyond the count at any moment, `surge_vcpus` the vCPUs beyond
    those in use now. `controllers` are the disk controllers before and after where they change.
    """

    pool: NodePool
    old: NodePool | None
    differences: tuple[Difference, ...]
    rollout: Rollout
    surge_machines: int
    surge_vcpus: int
    controllers: tuple[str, str] | None


class _Nobody:
    """Operations that nobody carries out."""

    def enlist(self, connection: Connection, operation_id: str) -> None:
        pass

    def begin(self, operation_id: str) -> None:
        pass

    def start(self) -> None:
        pass

    def await_idle(self, seconds: float) -> bool:
        return True

    def stop(self) -> None:
        pass


class ControlPlane:
    """All changes to resource groups, clusters and node pools.

    Every method takes the connection of the transaction it runs in. A returned operation is to be begun
    (`DurableOperations.begin`) after the commit.
    """

    def __init__(
        self,
        *,
        catalogs: CatalogInForce,
        operations: DurableOperations,
        render: Renderer,
        profile: Profile,
        engine_name: str,
        now: Callable[[], float],
        new_id: Callable[[], str],
        faults: Faults,
    ) -> None:
        self.catalogs = catalogs
        self._faults = faults
        self._operations: DurableOperations = operations
        self._render = render
        self._profile = profile
        self._engine_name = engine_name
        self._now = now
        self._new_id = new_id

    @property
    def catalog(self) -> Catalog:
        """The present catalogue."""
        return self.catalogs.present

    def put_resource_group(
        self, connection: Connection, group_id: GroupId, location: str, sent: dict[str, object]
    ) -> tuple[ResourceGroup, bool]:
        """Store a resource group; returns it and whether it is new."""
        require_group_name(group_id.group)
        place = self.require_location(location, "location")
        old = statements.group(connection, group_id.key)
        if old is not None:
            if old.location != place:
                raise errors.InvalidResourceLocation(
                    f"Invalid resource group location '{location}'. The Resource group already exists in location "
                    f"'{old.location}'.",
                    target="location",
                    remedy="choose another name, or delete the resource group first",
                )
            if old.operation_id is not None:
                raise self._in_progress(connection, old.operation_id, f"resource group {old.id.group}")
            group = replace(old, sent=sent)
        else:
            group = ResourceGroup(id=group_id, location=place, sent=sent)
        statements.put_group(connection, group, self._render.resource_group(group))
        return group, old is None

    def put_resource_group_tags(self, connection: Connection, group_id: GroupId, tags: Mapping[str, str]) -> None:
        """Store other tags for a resource group; nothing else of it changes."""
        group = _require_group(connection, group_id)
        if group.operation_id is not None:
            raise self._in_progress(connection, group.operation_id, f"resource group {group.id.group}")
        changed = replace(group, sent={**group.sent, "tags": dict(tags)})
        statements.put_group(connection, changed, self._render.resource_group(changed))

    def delete_resource_group(self, connection: Connection, group_id: GroupId, call: Call) -> Accepted:
        """Accept the deletion of a resource group with everything in it."""
        group = _require_group(connection, group_id)
        if group.operation_id is not None:
            raise self._in_progress(connection, group.operation_id, f"resource group {group.id.group}")
        pool_keys: list[str] = []
        for cluster in statements.clusters_of_group(connection, group.id):
            pool_keys += self._require_idle_cluster(connection, cluster)
        operation = self._operation(
            connection,
            OperationKind.DELETE_RESOURCE_GROUP,
            group.id,
            group.location,
            str(group.id),
            group.id.key,
            pool_keys,
            call,
        )
        deleting = replace(group, state=ProvisioningState.DELETING, operation_id=operation.id)
        statements.put_group(connection, deleting, self._render.resource_group(deleting))
        return self._accept(connection, operation)

    def put_cluster(
        self,
        connection: Connection,
        cluster_id: ClusterId,
        request: ClusterRequest,
        pools: Sequence[tuple[str, NodePoolRequest]],
        call: Call,
    ) -> Accepted:
        """Accept the creation or change of a cluster with the node pools its body names; others stay as they are."""
        group = _require_group(connection, cluster_id.group_id)
        if group.state is ProvisioningState.DELETING:
            raise self._in_progress(connection, group.operation_id or "", f"resource group {group.id.group}")
        require_cluster_name(cluster_id.cluster)
        old = statements.cluster(connection, cluster_id.key)
        _require_preconditions(call.preconditions, old.etag if old else None)
        if old is not None:
            self._require_idle_cluster(connection, old)
            _require_running(old)
        cluster = self._settled_cluster(connection, group, cluster_id, request, old)
        existing = {pool.id.key: pool for pool in statements.node_pools_of_cluster(connection, cluster_id.key)}
        changed = self._settled_pools(connection, cluster, pools, existing, call)
        after = existing | {pool.id.key: pool for pool in changed}
        if not any(pool.mode is Mode.SYSTEM for pool in after.values()):
            raise errors.InvalidParameter(
                f"Managed cluster '{cluster_id.cluster}' needs at least one node pool of mode System.",
                target="agentPoolProfiles",
                remedy="add a Linux node pool with mode System",
            )
        _require_pool_room(len(after))
        self._require_machines(connection, cluster, changed, call)
        kind = OperationKind.UPDATE_CLUSTER if old else OperationKind.CREATE_CLUSTER
        pool_keys = [pool.id.key for pool in changed]
        operation = self._cluster_operation(connection, kind, cluster, pool_keys, call, wanted=changed)
        statements.put_cluster(connection, replace(cluster, operation_id=operation.id))
        for pool in changed:
            self._store_pool(connection, replace(pool, operation_id=operation.id))
        return self._accept(connection, operation, created=old is None)

    def delete_cluster(self, connection: Connection, cluster_id: ClusterId, call: Call) -> Accepted:
        """Accept the deletion of a cluster; nothing happens for one that does not exist."""
        _require_group(connection, cluster_id.group_id)
        cluster = statements.cluster(connection, cluster_id.key)
        _require_preconditions(call.preconditions, cluster.etag if cluster else None)
        if cluster is None:
            return Accepted(None)
        pool_keys = self._require_idle_cluster(connection, cluster)
        operation = self._cluster_operation(connection, OperationKind.DELETE_CLUSTER, cluster, pool_keys, call)
        statements.put_cluster(
            connection,
            replace(cluster, state=ProvisioningState.DELETING, operation_id=operation.id, etag=self._new_id()),
        )
        return self._accept(connection, operation)

    def put_node_pool(
        self, connection: Connection, pool_id: NodePoolId, request: NodePoolRequest, call: Call
    ) -> Accepted:
        """Accept the creation or change of a node pool."""
        cluster, old, pool = self._admitted_pool(connection, pool_id, request, call)
        kind = OperationKind.UPDATE_NODE_POOL if old else OperationKind.CREATE_NODE_POOL
        operation = self._pool_operation(connection, kind, cluster, pool, call)
        self._store_pool(connection, replace(pool, operation_id=operation.id))
        return self._accept(connection, operation, created=old is None)

    def what_if_node_pool(
        self, connection: Connection, pool_id: NodePoolId, request: NodePoolRequest, call: Call
    ) -> WhatIf:
        """Return what the same PUT would do. Changes nothing.

        Whatever refuses the PUT refuses this too, in the same words.
        """
        cluster, old, pool = self._admitted_pool(connection, pool_id, request, call)
        present, rollout = self._rollout(connection, pool)
        return WhatIf(
            pool=pool,
            old=old,
            differences=tuple(change.differences(old, pool)) if old else (),
            rollout=rollout,
            surge_machines=rollout.most_surge(present),
            surge_vcpus=self._vcpus_beyond([(present, rollout)]).get(quota.TOTAL, 0),
            controllers=change.controller_change(old, pool, self.catalog.at(cluster.location)) if old else None,
        )

    def upgrade_node_image(
        self, connection: Connection, pool_id: NodePoolId, call: Call, snapshot_id: str | None = None
    ) -> Accepted:
        """Accept the move of a node pool to the newest image of its definition, or to the snapshot's image.

        Its generation and its Kubernetes version stay.
        """
        cluster, old = self._idle_pool(connection, pool_id, call)
        surroundings = self._surroundings(cluster, call, "properties")
        if snapshot_id is None:
            pool = with_newest_image(old, surroundings, etag=self._new_id())
        else:
            snapshot = require_snapshot(connection, snapshot_id, cluster, "AKSSnapshotId")
            pool = with_image_of(old, snapshot, surroundings, etag=self._new_id())
        self._require_machines(connection, cluster, [pool], call)
        return self._accept_pool(connection, OperationKind.UPGRADE_NODE_IMAGE, cluster, pool, call)

    def scale_node_pool(
        self,
        connection: Connection,
        pool_id: NodePoolId,
        count: int | None,
        manual: Sequence[ScaleProfile] | None,
        call: Call,
    ) -> Accepted:
        """Accept another count, or other scale profiles; whatever was not given stays."""
        _, old = self._idle_pool(connection, pool_id, call)
        is_virtual_machines = old.pool_type is PoolType.VIRTUAL_MACHINES
        if (count is not None and is_virtual_machines) or (manual is not None and not is_virtual_machines):
            name = "count" if count is not None and is_virtual_machines else "virtualMachinesProfile"
            raise errors.InvalidParameter(
                f"Node pool '{old.id.pool}' is of type {old.pool_type.value}, which is not scaled by {name}.",
                target=f"properties.{name}",
                remedy="scale pools of type VirtualMachines by virtualMachinesProfile.scale, others by count",
            )
        request = replace(same_again(old), count=count, manual_scale=tuple(manual) if manual is not None else None)
        return self.put_node_pool(connection, pool_id, request, call)

    def rollback_node_pool(self, connection: Connection, pool_id: NodePoolId, call: Call) -> Accepted:
        """Accept going back to the last good state: size, OS SKU, wish, image and Kubernetes version."""
        cluster, old = self._idle_pool(connection, pool_id, call)
        pool = rolled_back(old, etag=self._new_id())
        self._require_machines(connection, cluster, [pool], call)
        return self._accept_pool(connection, OperationKind.ROLLBACK_NODE_POOL, cluster, pool, call)

    def delete_machines(
        self, connection: Connection, pool_id: NodePoolId, names: Sequence[str], call: Call
    ) -> Accepted:
        """Accept the deletion of machines by name; the node pool's count falls by as many."""
        cluster, old = self._idle_pool(connection, pool_id, call)
        machines = {m.id.machine.lower(): m for m in statements.machines_of_pool(connection, old.id.key)}
        unknown = [name for name in names if name.lower() not in machines]
        if unknown:
            raise errors.InvalidParameter(
                f"Machine(s) '{', '.join(unknown[:5])}' do not exist in agent pool '{old.id.pool}'.",
                target="machineNames",
                remedy="`az aks machine list` shows what exists",
            )
        doomed = [machines[name] for name in dict.fromkeys(name.lower() for name in names)]
        gone, there = (
            Counter(m.spec.size for m in group if not m.parked and not m.quarantined)
            for group in (doomed, machines.values())
        )
        # Machines beyond the count, which a failed change left behind, go without lowering it.
        scale = [
            replace(
                profile, count=profile.count - max(0, gone[profile.size] - max(0, there[profile.size] - profile.count))
            )
            for profile in old.scale
        ]
        pool = replace(
            old, scale=tuple(scale), promised=old.count, etag=self._new_id(), state=ProvisioningState.UPDATING
        )
        if pool.count < (1 if pool.mode is Mode.SYSTEM else 0) or (
            pool.autoscaling and pool.min_count is not None and pool.count < pool.min_count
        ):
            raise errors.InvalidParameter(
                f"Deleting {len(doomed)} machine(s) would leave {pool.count} in agent pool '{pool.id.pool}', "
                "fewer than it has to keep.",
                target="machineNames",
                remedy="delete fewer machines, or lower minCount first",
            )
        operation = replace(
            self._pool_operation(connection, OperationKind.DELETE_MACHINES, cluster, pool, call),
            machines=tuple(machine.id.machine for machine in doomed),
        )
        self._store_pool(connection, replace(pool, operation_id=operation.id))
        return self._accept(connection, operation)

    def reimage_machine(self, connection: Connection, machine_id: MachineId, call: Call) -> Accepted:
        """Accept that a machine gets another disk, made from its node image; all else of it stays.

        Whatever the node pool is still to become, as after a change that failed, it becomes first.
        """
        cluster, old = self._idle_pool(connection, machine_id.pool_id, call)
        machines = statements.machines_of_pool(connection, old.id.key)
        machine = next((machine for machine in machines if machine.id.key == machine_id.key), None)
        if machine is None:
            raise errors.MachineNotFound(
                f"The machine '{machine_id.machine}' was not found in agent pool '{old.id.pool}'.",
                remedy="`az aks machine list` shows what exists",
            )
        pool = replace(old, promised=old.count, etag=self._new_id(), state=ProvisioningState.UPDATING, error=None)
        self._require_machines(connection, cluster, [pool], call)
        operation = replace(
            self._pool_operation(connection, OperationKind.REIMAGE_MACHINE, cluster, pool, call),
            machines=(machine.id.machine,),
        )
        self._store_pool(connection, replace(pool, operation_id=operation.id))
        return self._accept(connection, operation)

    def abort_node_pool(self, connection: Connection, pool_id: NodePoolId, call: Call) -> Accepted:
        """Accept that the node pool's running operation stops at its next step; it ends Canceled."""
        cluster, pool = self._pool_and_cluster(connection, pool_id, "abort")
        pool = _require_pool(pool, pool_id)
        running = statements.operation(connection, pool.operation_id) if pool.operation_id else None
        if running is None or running.status.is_terminal or running.resource_key != pool.id.key:
            raise errors.OperationNotAllowed(
                f"There is no operation to abort on agent pool '{pool.id.pool}'"
                + (f": operation {running.id} runs on the whole cluster." if running is not None else "."),
                remedy="`az aks nodepool show` tells whether one is in progress",
            )
        if running.kind is OperationKind.DELETE_NODE_POOL:
            raise errors.OperationNotAllowed(
                f"The deletion of agent pool '{pool.id.pool}' (operation ID: {running.id}) cannot be aborted.",
                remedy="wait for it to finish and create the node pool again",
            )
        return self._stop(
            connection, running, self._pool_operation(connection, OperationKind.ABORT_NODE_POOL, cluster, pool, call)
        )

    def abort_cluster(self, connection: Connection, cluster_id: ClusterId, call: Call) -> Accepted:
        """Accept that the operation that runs on the cluster stops at its next step; it ends Canceled."""
        cluster = _require_cluster(connection, cluster_id)
        name = cluster.id.cluster
        running = statements.operation(connection, cluster.operation_id) if cluster.operation_id else None
        if running is None or running.status.is_terminal:
            raise errors.OperationNotAllowed(
                f"There is no operation to abort on managed cluster '{name}' itself.",
                remedy="`az aks show` tells whether one is in progress; "
                "`az aks nodepool operation-abort` stops one of a node pool",
            )
        if running.kind is OperationKind.DELETE_CLUSTER:
            raise errors.OperationNotAllowed(
                f"The deletion of managed cluster '{name}' (operation ID: {running.id}) cannot be aborted.",
                remedy="wait for it to finish and create the cluster again",
            )
        return self._stop(
            connection, running, self._cluster_operation(connection, OperationKind.ABORT_CLUSTER, cluster, [], call)
        )

    def put_cluster_tags(
        self, connection: Connection, cluster_id: ClusterId, tags: Mapping[str, str], call: Call
    ) -> Accepted:
        """Accept other tags for a cluster; nothing else of it changes."""
        cluster = _require_cluster(connection, cluster_id)
        _require_preconditions(call.preconditions, cluster.etag)
        self._require_idle_cluster(connection, cluster)
        _require_running(cluster)
        operation = self._cluster_operation(connection, OperationKind.UPDATE_CLUSTER, cluster, [], call)
        changed = replace(
            cluster,
            sent={**cluster.sent, "tags": dict(tags)},
            state=ProvisioningState.UPDATING,
            operation_id=operation.id,
            etag=self._new_id(),
        )
        statements.put_cluster(connection, changed)
        return self._accept(connection, operation)

    def stop_cluster(self, connection: Connection, cluster_id: ClusterId, call: Call) -> Accepted:
        """Accept that all machines of a cluster are stopped."""
        return self._power_cluster(connection, cluster_id, PowerState.STOPPED, call)

    def start_cluster(self, connection: Connection, cluster_id: ClusterId, call: Call) -> Accepted:
        """Accept that the machines of a stopped cluster run again, except those of stopped node pools."""
        return self._power_cluster(connection, cluster_id, PowerState.RUNNING, call)

    def put_deployment(self, connection: Connection, prepared: PreparedDeployment, call: Call) -> Accepted:
        """Accept a deployment in the place of the one with its name, which must have ended."""
        deployment = prepared.deployment
        wanted = deployment.id
        require_deployment_name(wanted.name)
        location = deployment.location or ""
        if wanted.group is not None:
            group = _require_group(connection, GroupId(wanted.subscription, wanted.group))
            if group.state is ProvisioningState.DELETING:
                raise self._in_progress(connection, group.operation_id or "", f"resource group {group.id.group}")
            location = group.location
            wanted = replace(wanted, group=group.id.group)
        elif not location:
            raise errors.InvalidParameter(
                "The location of a deployment to a subscription is required: it is where its record is kept.",
                target="location",
                remedy="send location (az: --location)",
            )
        else:
            location = self.require_location(location, "location")
        old = statements.deployment(connection, wanted.key)
        if old is not None:
            _require_ended(old)
        if statements.deployments_under_way(connection) >= MAX_DEPLOYMENTS_UNDER_WAY:
            raise errors.OperationNotAllowed(
                f"Operation is not allowed because {MAX_DEPLOYMENTS_UNDER_WAY} deployments, those of modules included, "
                "are under way. Please wait for one to finish before starting a new one.",
                remedy="wait for a deployment to finish",
            )
        operation = self._operation(
            connection,
            OperationKind.CREATE_DEPLOYMENT,
            GroupId(wanted.subscription, wanted.group or ""),
            location,
            str(wanted),
            wanted.key,
            [],
            call,
        )
        accepted = replace(deployment, id=wanted, operation_id=operation.id)
        statements.replace_deployment(connection, replace(prepared, deployment=accepted))
        return self._accept(connection, operation, created=old is None)

    def cancel_deployment(self, connection: Connection, deployment_id: DeploymentId) -> None:
        """Have a deployment deploy nothing more; what it has begun goes on."""
        deployment = _require_deployment(connection, deployment_id)
        if deployment.state.is_terminal:
            raise errors.DeploymentCannotBeCancelled(
                f"The deployment '{deployment.id.name}' cannot be cancelled because its provisioning state is "
                f"'{deployment.state.value}'.",
                remedy="only a deployment that is Accepted or Running can be cancelled",
            )
        statements.put_deployment(connection, replace(deployment, canceled=True))

    def delete_deployment(self, connection: Connection, deployment_id: DeploymentId) -> None:
        """Forget a deployment that has ended; its resources stay. Nothing happens for one that does not exist."""
        deployment = statements.deployment(connection, deployment_id.key)
        if deployment is not None:
            _require_ended(deployment)
            statements.delete_deployment(connection, deployment.id.key)

    def rehearsing(self) -> ControlPlane:
        """Return one whose accepted operations nobody carries out, for a transaction that is rolled back."""
        other = copy.copy(self)
        other._operations = _Nobody()
        return other

    def take_as_done(self, connection: Connection, operation: Operation) -> None:
        """Store the operation and its resources as if it had succeeded: without machines. For rehearsals."""
        ended = operation.succeeded(self._now(), {})
        statements.put_operation(connection, ended, self._render.operation(ended))
        for key in operation.pool_keys:
            pool = statements.node_pool(connection, key)
            if pool is not None:
                state = ProvisioningState.SUCCEEDED
                self._store_pool(connection, replace(pool, state=state, operation_id=None, promised=pool.count))
        if operation.kind in CLUSTER_KINDS:
            cluster = statements.cluster(connection, operation.resource_key)
            if cluster is not None:
                state = ProvisioningState.SUCCEEDED
                statements.put_cluster(connection, replace(cluster, state=state, operation_id=None))

    def quota(self, connection: Connection, subscription: str, location: str) -> tuple[dict[str, int], dict[str, int]]:
        """Return vCPUs in use and limits that were set, by family in lower case. The location is in short spelling."""
        counts = statements.machine_counts(connection, subscription, location)
        return (
            quota.used_by_family(counts, self.catalog.size),
            statements.quota_limits(connection, subscription, location),
        )

    def put_quota(
        self, connection: Connection, subscription: str, location: str, family: str, limit: int | None
    ) -> None:
        """Set a vCPU limit, or take it away with None. Raises `InvalidParameter` for a family nothing has."""
        place = self.require_location(location, "location")
        families = {quota.family_of(size) for size in self.catalog.sizes_in(place)} | {quota.TOTAL}
        if family.lower() not in families:
            raise errors.InvalidParameter(
                f"There is no quota family '{family}' in location '{place}'.",
                target="family",
                remedy=f"`az vm list-usage --location {place}` lists the families",
            )
        statements.put_quota(connection, subscription, place, family.lower(), limit)

    def delete_node_pool(self, connection: Connection, pool_id: NodePoolId, call: Call) -> Accepted:
        """Accept the deletion of a node pool; nothing happens for one that does not exist."""
        cluster, pool = self._pool_and_cluster(connection, pool_id, "delete")
        _require_preconditions(call.preconditions, pool.etag if pool else None)
        if pool is None:
            return Accepted(None)
        self._require_cluster_free(connection, cluster)
        if pool.operation_id is not None:
            raise self._in_progress(connection, pool.operation_id, f"agent pool {pool.id.pool}")
        self._require_other_system_pool(connection, cluster, pool)
        operation = self._pool_operation(connection, OperationKind.DELETE_NODE_POOL, cluster, pool, call)
        self._store_pool(
            connection,
            replace(pool, state=ProvisioningState.DELETING, operation_id=operation.id, etag=self._new_id()),
        )
        return self._accept(connection, operation)

    def _admitted_pool(
        self, connection: Connection, pool_id: NodePoolId, request: NodePoolRequest, call: Call
    ) -> tuple[Cluster, NodePool | None, NodePool]:
        """The cluster, the node pool there is, and the one the PUT leads to; raises when the PUT is refused."""
        cluster, old = self._pool_and_cluster(connection, pool_id, "write")
        _require_preconditions(call.preconditions, old.etag if old else None)
        self._require_cluster_free(connection, cluster)
        _require_running(cluster)
        if old is not None and old.operation_id is not None:
            raise self._in_progress(connection, old.operation_id, f"agent pool {old.id.pool}")
        pool = settle(
            NodePoolId(cluster.id, pool_id.pool),
            request,
            old,
            self._surroundings(cluster, call, "properties"),
            header=call.header,
            etag=self._new_id(),
            snapshot=_named_snapshot(connection, cluster, request, old),
        )
        if old is None:
            _require_pool_room(1 + len(statements.node_pools_of_cluster(connection, cluster.id.key)))
        elif old.mode is Mode.SYSTEM and pool.mode is not Mode.SYSTEM:
            self._require_other_system_pool(connection, cluster, old)
        self._require_machines(connection, cluster, [pool], call)
        return cluster, old, pool

    def _idle_pool(self, connection: Connection, pool_id: NodePoolId, call: Call) -> tuple[Cluster, NodePool]:
        """The cluster and its node pool, which exists and is in no operation."""
        cluster, pool = self._pool_and_cluster(connection, pool_id, "write")
        pool = _require_pool(pool, pool_id)
        _require_preconditions(call.preconditions, pool.etag)
        self._require_cluster_free(connection, cluster)
        _require_running(cluster)
        if pool.operation_id is not None:
            raise self._in_progress(connection, pool.operation_id, f"agent pool {pool.id.pool}")
        return cluster, pool

    def _accept_pool(
        self, connection: Connection, kind: OperationKind, cluster: Cluster, pool: NodePool, call: Call
    ) -> Accepted:
        operation = self._pool_operation(connection, kind, cluster, pool, call)
        self._store_pool(connection, replace(pool, operation_id=operation.id))
        return self._accept(connection, operation)

    def _power_cluster(self, connection: Connection, cluster_id: ClusterId, power: PowerState, call: Call) -> Accepted:
        cluster = _require_cluster(connection, cluster_id)
        self._require_idle_cluster(connection, cluster)
        # A stop or start that failed may be asked for again.
        if cluster.power is power and cluster.state is ProvisioningState.SUCCEEDED:
            words = ("running", "stopping") if power is PowerState.STOPPED else ("stopped", "starting")
            raise errors.OperationNotAllowed(
                f"managed cluster is not currently {words[0]}, {words[1]} cannot be performed",
                remedy="`az aks show --query powerState` tells whether it runs",
            )
        kind = OperationKind.STOP_CLUSTER if power is PowerState.STOPPED else OperationKind.START_CLUSTER
        pools = statements.node_pools_of_cluster(connection, cluster.id.key)
        operation = self._cluster_operation(connection, kind, cluster, [pool.id.key for pool in pools], call)
        state = ProvisioningState.UPDATING
        changed = replace(cluster, power=power, state=state, operation_id=operation.id, etag=self._new_id())
        statements.put_cluster(connection, changed)
        for pool in pools:
            self._store_pool(
                connection,
                replace(
                    pool,
                    cluster_stopped=power is PowerState.STOPPED,
                    promised=pool.count,
                    state=state,
                    operation_id=operation.id,
                    etag=self._new_id(),
                ),
            )
        return self._accept(connection, operation)

    def _rollout(self, connection: Connection, pool: NodePool) -> tuple[list[PresentMachine], Rollout]:
        """The machines there are, as far as is stored, and the waves that would make them the wanted ones."""
        machines = statements.machines_of_pool(connection, pool.id.key)
        seen = {machine.id.key: machine.facts for machine in machines if machine.facts is not None}
        return present_machines(pool, machines, seen), planned_rollout(pool, machines, seen)

    def _vcpus_beyond(self, rollouts: Sequence[tuple[Sequence[PresentMachine], Rollout]]) -> dict[str, int]:
        """The vCPUs by family that the rollouts need at their busiest moment beyond those in use now."""
        now = Counter(machine.size for present, _ in rollouts for machine in present)
        return quota.most_beyond(moments_together(rollouts), now, self.catalog.size)

    def _require_machines(
        self, connection: Connection, cluster: Cluster, pools: Sequence[NodePool], call: Call
    ) -> None:
        """Raise unless the machines of all waves, surge included, are neither restricted nor beyond the quota."""
        rollouts = [self._rollout(connection, pool) for pool in pools]
        for pool, (present, rollout) in zip(pools, rollouts, strict=True):
            now = Counter(machine.size for machine in present)
            further = {size for moment in rollout.moments(present) for size in moment - now}
            self._require_unrestricted(cluster, pool, sorted(further), call)
        needed = self._vcpus_beyond(rollouts)
        if not needed:
            return
        used, limits = self.quota(connection, cluster.id.group_id.subscription, cluster.location)
        missing = quota.shortage(
            needed, used, limits, location=cluster.location, names=quota.family_names(self.catalog.sizes)
        )
        if missing is not None:
            raise missing

    def _require_unrestricted(self, cluster: Cluster, pool: NodePool, further: Sequence[str], call: Call) -> None:
        """Raise `SkuNotAvailable` when a size of which machines are needed is restricted where they would be."""
        surroundings = self._surroundings(cluster, call, "properties")
        for name in further:
            offer = surroundings.catalog.offer(name)
            refusal = refused_growth(offer, pool.zones, pool.id.pool, surroundings) if offer is not None else None
            if refusal is not None:
                raise error_of(refusal)

    def _settled_pools(
        self,
        connection: Connection,
        cluster: Cluster,
        requests: Sequence[tuple[str, NodePoolRequest]],
        existing: Mapping[str, NodePool],
        call: Call,
    ) -> list[NodePool]:
        """The node pools that a cluster's body names. Raises one error with the problems of all of them."""
        settled: list[NodePool] = []
        problems: list[errors.PoolwrightError] = []
        named: set[str] = set()
        for index, (name, request) in enumerate(requests):
            pool_id = NodePoolId(cluster.id, name)
            target = f"agentPoolProfiles[{index}]"
            if pool_id.key in named:
                problems.append(
                    errors.InvalidParameter(
                        f"The node pool name '{name}' stands twice in agentPoolProfiles.",
                        target=f"{target}.name",
                        remedy="name each node pool once",
                    )
                )
                continue
            named.add(pool_id.key)
            try:
                settled.append(
                    settle(
                        pool_id,
                        request,
                        existing.get(pool_id.key),
                        self._surroundings(cluster, call, target),
                        header=call.header,
                        etag=self._new_id(),
                        snapshot=_named_snapshot(connection, cluster, request, existing.get(pool_id.key), target),
                    )
                )
            except errors.InvalidRequest as error:
                problems.append(error)
        if problems:
            raise errors.joined(problems)
        return settled

    def _settled_cluster(
        self,
        connection: Connection,
        group: ResourceGroup,
        cluster_id: ClusterId,
        request: ClusterRequest,
        old: Cluster | None,
    ) -> Cluster:
        location = self.require_location(request.location or (old.location if old else group.location), "location")
        if old is not None and old.location != location:
            raise errors.InvalidResourceLocation(
                f"The resource '{old.id.cluster}' already exists in location '{old.location}' in resource group "
                f"'{old.id.group_id.group}'. A resource with the same name cannot be created in location "
                f"'{location}'. Please select a new resource name.",
                target="location",
                remedy="choose another name, or delete the cluster first",
            )
        wanted, version = self._cluster_version(request, old, location)
        return Cluster(
            id=old.id if old else ClusterId(group.id, cluster_id.cluster),
            location=location,
            sent=request.sent,
            wanted_version=wanted,
            version=version,
            principal_id=old.principal_id if old else self._new_id(),
            has_windows_profile=(old.has_windows_profile if old else False)
            or request.has_windows_profile
            or request.network_plugin in (None, "azure"),
            etag=self._new_id(),
            state=ProvisioningState.UPDATING if old else ProvisioningState.CREATING,
            power=old.power if old else PowerState.RUNNING,
        )

    def _cluster_version(self, request: ClusterRequest, old: Cluster | None, location: str) -> tuple[str, str]:
        """The version as written and in full. Clusters move forward, one minor version at a time."""
        wanted, kubernetes = request.wanted_version, self.catalog.at(location).kubernetes
        if not wanted or (old is not None and wanted in (old.wanted_version, old.version)):
            if old is not None:
                return old.wanted_version, old.version
            release = kubernetes.default
            return str(release), str(kubernetes.newest_patch(release))
        target = "properties.kubernetesVersion"
        version = kubernetes.find(wanted)
        if version is None:
            raise unsupported_version(wanted, target)
        if old is not None:
            running = KubernetesVersion.parse(old.version)
            if version < running or version.release.minor - running.release.minor > 1:
                raise errors.AgentPoolUpgradeVersionNotAllowed(
                    f"Managed cluster '{old.id.cluster}' runs Kubernetes {running} and cannot move to {version}: "
                    "upgrades go forward, one minor version at a time.",
                    target=target,
                    remedy=f"choose a later patch of {running.release}, or the next minor version",
                )
        return wanted, str(version)

    def _surroundings(self, cluster: Cluster, call: Call, target: str) -> Surroundings:
        return Surroundings(
            profile=self._profile,
            engine=self._engine_name,
            catalog=self.catalog.at(cluster.location),
            cluster=cluster,
            subscription=cluster.id.group_id.subscription,
            api_version=call.api_version,
            target=target,
        )

    def require_location(self, location: str, target: str) -> str:
        """The location in ARM's short spelling (`East US` is `eastus`), if the service offers it."""
        place = normalized_location(location)
        if place not in self.catalog.locations:
            offered = ",".join(self.catalog.locations)
            raise errors.LocationNotAvailableForResourceType(
                f"The provided location '{location}' is not available for resource type "
                f"'Microsoft.ContainerService/managedClusters'. List of available regions for the resource type is "
                f"'{offered}'.",
                target=target,
                remedy=f"choose one of {offered}, or start the service with --locations",
            )
        return place

    def _pool_and_cluster(
        self, connection: Connection, pool_id: NodePoolId, action: str
    ) -> tuple[Cluster, NodePool | None]:
        _require_group(connection, pool_id.cluster_id.group_id)
        cluster = statements.cluster(connection, pool_id.cluster_id.key)
        if cluster is None:
            raise errors.ParentResourceNotFound(
                f"Failed to perform '{action}' on resource(s) of type 'managedClusters/agentPools', because the parent "
                f"resource '{pool_id.cluster_id}' could not be found.",
                remedy="create the cluster first",
            )
        return cluster, statements.node_pool(connection, pool_id.key)

    def _require_cluster_free(self, connection: Connection, cluster: Cluster) -> None:
        if cluster.operation_id is not None:
            raise self._in_progress(connection, cluster.operation_id, f"managed cluster {cluster.id.cluster}")
        group = statements.group(connection, cluster.id.group_id.key)
        if group is not None and group.operation_id is not None:
            raise self._in_progress(connection, group.operation_id, f"resource group {group.id.group}")

    def _require_idle_cluster(self, connection: Connection, cluster: Cluster) -> list[str]:
        """The keys of the cluster's node pools, when neither it nor any of them is in an operation."""
        self._require_cluster_free(connection, cluster)
        pools = statements.node_pools_of_cluster(connection, cluster.id.key)
        for pool in pools:
            if pool.operation_id is not None:
                raise self._in_progress(connection, pool.operation_id, f"agent pool {pool.id.pool}")
        return [pool.id.key for pool in pools]

    def _require_other_system_pool(self, connection: Connection, cluster: Cluster, pool: NodePool) -> None:
        others = (
            other
            for other in statements.node_pools_of_cluster(connection, cluster.id.key)
            if other.id.key != pool.id.key
            and other.mode is Mode.SYSTEM
            and other.state is not ProvisioningState.DELETING
        )
        if pool.mode is Mode.SYSTEM and next(others, None) is None:
            raise errors.OperationNotAllowed(
                f"Node pool '{pool.id.pool}' is the only System node pool of managed cluster '{cluster.id.cluster}'; "
                "a cluster keeps at least one.",
                target="properties.mode",
                remedy="add another node pool with mode System first",
            )

    def _in_progress(self, connection: Connection, operation_id: str, on: str) -> errors.OperationNotAllowed:
        operation = statements.operation(connection, operation_id)
        words = operation.kind.words if operation else "unknown"
        started = _utc(operation.started) if operation else "?"
        return errors.OperationNotAllowed(
            f"Operation is not allowed because there's an in-progress {words} operation (operation ID: {operation_id}) "
            f"on {on} started on UTC {started}. Please wait for it to finish before starting a new operation.",
            remedy="wait for the operation to finish",
        )

    def _pool_operation(
        self, connection: Connection, kind: OperationKind, cluster: Cluster, pool: NodePool, call: Call
    ) -> Operation:
        return self._operation(
            connection,
            kind,
            cluster.id.group_id,
            cluster.location,
            str(pool.id),
            pool.id.key,
            [pool.id.key],
            call,
            wanted=[pool],
        )

    def _cluster_operation(
        self,
        connection: Connection,
        kind: OperationKind,
        cluster: Cluster,
        pool_keys: Sequence[str],
        call: Call,
        *,
        wanted: Sequence[NodePool] = (),
    ) -> Operation:
        return self._operation(
            connection,
            kind,
            cluster.id.group_id,
            cluster.location,
            str(cluster.id),
            cluster.id.key,
            pool_keys,
            call,
            wanted=wanted,
        )

    def _stop(self, connection: Connection, running: Operation, abort: Operation) -> Accepted:
        """The running operation is asked to stop; the abort ends together with it. Asked again, it is the same one."""
        if running.aborted_by is not None:
            earlier = statements.operation(connection, running.aborted_by)
            if earlier is not None:
                return Accepted(earlier)
        stopping = replace(running, aborted_by=abort.id)
        statements.put_operation(connection, abort, self._render.operation(abort))
        statements.put_operation(connection, stopping, self._render.operation(stopping))
        return Accepted(abort)

    def _operation(
        self,
        connection: Connection,
        kind: OperationKind,
        group_id: GroupId,
        location: str,
        resource_id: str,
        resource_key: str,
        pool_keys: Sequence[str],
        call: Call,
        *,
        wanted: Sequence[NodePool] = (),
    ) -> Operation:
        """The operation about to be stored, unless a fault refuses it: before anything else is written."""
        operation = Operation(
            id=str(uuid.UUID(self._new_id())),
            kind=kind,
            subscription=group_id.subscription.lower(),
            location=location,
            resource_id=resource_id,
            resource_key=resource_key,
            pool_keys=tuple(pool_keys),
            started=self._now(),
            correlation_id=call.correlation_id,
        )
        if self._faults.could_fire(Point.ADMISSION):
            self._refuse_on_demand(connection, operation, wanted)
        return operation

    def _refuse_on_demand(self, connection: Connection, operation: Operation, wanted: Sequence[NodePool]) -> None:
        """Raise what a fault has for the operation; that it fired is kept, and nothing else is there to keep yet."""
        names = quota.family_names(self.catalog.sizes)
        needed: dict[str, dict[str, int]] = {}
        for pool in wanted:
            beyond = self._vcpus_beyond([self._rollout(connection, pool)])
            needed[pool.id.key] = {names.get(family, family): vcpus for family, vcpus in beyond.items()}
        error = refused_on_demand(
            connection,
            self._faults,
            operation,
            wanted or pools_of(connection, operation),
            needed,
            lambda name: self._sizes_near(name, operation.location),
        )
        if error is not None:
            raise Kept(error)

    def _sizes_near(self, name: str, location: str) -> tuple[VmSize, ...]:
        size = self.catalog.size(name)
        return alternatives(size, self.catalog.sizes_in(location)) if size is not None else ()

    def _accept(self, connection: Connection, operation: Operation, *, created: bool = False) -> Accepted:
        statements.put_operation(connection, operation, self._render.operation(operation))
        self._operations.enlist(connection, operation.id)
        return Accepted(operation, created)

    def _store_pool(self, connection: Connection, pool: NodePool) -> None:
        statements.put_node_pool(connection, pool, self._render.node_pool(pool))


def _require_group(connection: Connection, group_id: GroupId) -> ResourceGroup:
    group = statements.group(connection, group_id.key)
    if group is None:
        raise errors.ResourceGroupNotFound(
            f"Resource group '{group_id.group}' could not be found.",
            remedy=f"create it: az group create --name {group_id.group} --location <location>",
        )
    return group


def _require_deployment(connection: Connection, deployment_id: DeploymentId) -> Deployment:
    deployment = statements.deployment(connection, deployment_id.key)
    if deployment is None:
        raise errors.DeploymentNotFound(
            f"Deployment '{deployment_id.name}' could not be found.",
            remedy="`az deployment group list` shows what exists",
        )
    return deployment


def _require_ended(deployment: Deployment) -> None:
    if not deployment.state.is_terminal:
        raise errors.DeploymentActive(
            f"Unable to edit or replace deployment '{deployment.id.name}': previous deployment from "
            f"'{_utc(deployment.started)}' is still active. Please see https://aka.ms/arm-deploy for usage details.",
            remedy=f"wait for it, or cancel it: az deployment group cancel --name {deployment.id.name}",
        )


def _require_cluster(connection: Connection, cluster_id: ClusterId) -> Cluster:
    _require_group(connection, cluster_id.group_id)
    cluster = statements.cluster(connection, cluster_id.key)
    if cluster is None:
        raise errors.ResourceNotFound(
            f"The Resource 'Microsoft.ContainerService/managedClusters/{cluster_id.cluster}' under resource group "
            f"'{cluster_id.group_id.group}' was not found.",
            remedy="`az aks list` shows what exists",
        )
    return cluster


def _require_pool(pool: NodePool | None, pool_id: NodePoolId) -> NodePool:
    if pool is None:
        raise errors.AgentPoolNotFound(
            f"The agent pool '{pool_id.pool}' was not found in managed cluster '{pool_id.cluster_id.cluster}'.",
            remedy="`az aks nodepool list` shows what exists",
        )
    return pool


def _named_snapshot(
    connection: Connection, cluster: Cluster, request: NodePoolRequest, old: NodePool | None, target: str = "properties"
) -> Snapshot | None:
    """The snapshot that the request names, None when it names none or the one the node pool is from.

    That one may be gone: it is not looked at again.
    """
    wanted = request.snapshot
    if wanted is None or (old is not None and old.snapshot is not None and old.snapshot.lower() == wanted.lower()):
        return None
    return require_snapshot(connection, wanted, cluster, f"{target}.creationData.sourceResourceId")


def require_snapshot(connection: Connection, wanted: str, cluster: Cluster, target: str) -> Snapshot:
    """Return the snapshot with that ID. Raises `InvalidParameter`.

    It may be of another resource group, region or subscription (Azure/AKS#3037), but not of another tenant.
    """
    snapshot_id = SnapshotId.parse(wanted)
    if snapshot_id is None:
        raise errors.InvalidParameter(
            f"'{wanted}' is not the ID of a node pool snapshot.",
            target=target,
            remedy="use the id that `az aks nodepool snapshot show` prints",
        )
    snapshot = statements.snapshot(connection, snapshot_id.key)
    tenants = statements.tenants_of(connection, {snapshot_id.group_id.subscription, cluster.id.group_id.subscription})
    if snapshot is None or len(tenants) != 1:
        raise errors.InvalidParameter(
            f"The node pool snapshot '{wanted}' was not found.",
            target=target,
            remedy="`az aks nodepool snapshot list` shows what exists",
        )
    return snapshot


def _require_running(cluster: Cluster) -> None:
    """A stopped cluster can only be started or deleted (start-stop-cluster.md)."""
    if cluster.power is PowerState.STOPPED:
        raise errors.OperationNotAllowed(
            f"Managed cluster '{cluster.id.cluster}' is stopped; it can only be started or deleted.",
            remedy=f"start it first: az aks start --name {cluster.id.cluster}",
        )


def require_group_name(name: str) -> None:
    """Raise `InvalidParameter` for a name that no resource group can have."""
    _require_name(_GROUP_NAME, name, "resource group", _GROUP_NAME_FORM)


def require_cluster_name(name: str) -> None:
    """Raise `InvalidParameter` for a name that no managed cluster can have."""
    _require_name(_CLUSTER_NAME, name, "managed cluster", _CLUSTER_NAME_FORM)


def require_deployment_name(name: str) -> None:
    """Raise `InvalidParameter` for a name that no deployment can have."""
    _require_name(_DEPLOYMENT_NAME, name, "deployment", _DEPLOYMENT_NAME_FORM)


def _require_name(pattern: re.Pattern[str], name: str, what: str, form: str) -> None:
    if pattern.fullmatch(name) is None:
        raise errors.InvalidParameter(
            f"The {what} name '{name}' is invalid: it has {form}. "
            "See https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules",
            target="name",
            remedy="choose another name",
        )


def _require_pool_room(count: int) -> None:
    if count > MAX_POOLS:
        raise errors.InvalidParameter(
            f"A managed cluster has at most {MAX_POOLS} node pools; this would be {count}.",
            target="agentPoolProfiles",
            remedy="delete a node pool, or use another cluster",
        )


def _require_preconditions(preconditions: Preconditions, etag: str | None) -> None:
    """Raise `PreconditionFailed` unless If-Match and If-None-Match hold for the ETag there is (None: no resource)."""
    wanted, unwanted = preconditions.if_match, preconditions.if_none_match
    if wanted is not None and (etag is None or (wanted not in ("*", etag))):
        raise errors.PreconditionFailed(
            f"The ETag in If-Match is '{wanted}', and the resource "
            + (f"has '{etag}'." if etag is not None else "does not exist."),
            remedy="read the resource again and repeat the change with its ETag",
        )
    if unwanted is not None and etag is not None and unwanted in ("*", etag):
        raise errors.PreconditionFailed(
            f"If-None-Match is '{unwanted}', and the resource exists with ETag '{etag}'.",
            remedy="leave If-None-Match out to change an existing resource",
        )


def _utc(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")
