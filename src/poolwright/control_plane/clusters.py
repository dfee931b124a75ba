"""The verbs of managed clusters, with the node pools that a cluster's body names.

Invariant: a cluster keeps a System node pool, and is in an operation only when none of its node pools is in another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from sqlalchemy.engine import Connection

from poolwright import errors
from poolwright.control_plane.acceptance import Acceptance
from poolwright.control_plane.calls import Accepted, Call
from poolwright.control_plane.names import require_cluster_name
from poolwright.control_plane.preconditions import (
    in_progress,
    named_snapshot,
    require_cluster,
    require_group,
    require_idle_cluster,
    require_pool_room,
    require_preconditions,
    require_running,
)
from poolwright.domain.admission import settle, unsupported_version
from poolwright.domain.cluster import Cluster, ClusterRequest, ProvisioningState, ResourceGroup
from poolwright.domain.kubernetes_version import KubernetesVersion
from poolwright.domain.node_pool import NodePool, NodePoolRequest
from poolwright.domain.node_pool_kind import Mode, PowerState
from poolwright.domain.operation import OperationKind
from poolwright.domain.resource_id import ClusterId, NodePoolId
from poolwright.store import statements


class Clusters:
    """All changes to managed clusters. Every method takes the connection of the transaction it runs in."""

    def __init__(self, acceptance: Acceptance) -> None:
        self._acceptance = acceptance

    def put(
        self,
        connection: Connection,
        cluster_id: ClusterId,
        request: ClusterRequest,
        pools: Sequence[tuple[str, NodePoolRequest]],
        call: Call,
    ) -> Accepted:
        """Accept the creation or change of a cluster with the node pools its body names; others stay as they are."""
        group = require_group(connection, cluster_id.group_id)
        if group.state is ProvisioningState.DELETING:
            raise in_progress(connection, group.operation_id or "", f"resource group {group.id.group}")
        require_cluster_name(cluster_id.cluster)
        old = statements.cluster(connection, cluster_id.key)
        require_preconditions(call.preconditions, old.etag if old else None)
        if old is not None:
            require_idle_cluster(connection, old)
            require_running(old)
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
        require_pool_room(len(after))
        self._acceptance.require_machines(connection, cluster, changed, call)
        kind = OperationKind.UPDATE_CLUSTER if old else OperationKind.CREATE_CLUSTER
        pool_keys = [pool.id.key for pool in changed]
        operation = self._acceptance.cluster_operation(connection, kind, cluster, pool_keys, call, wanted=changed)
        statements.put_cluster(connection, replace(cluster, operation_id=operation.id))
        for pool in changed:
            self._acceptance.store_pool(connection, replace(pool, operation_id=operation.id))
        return self._acceptance.accept(connection, operation, created=old is None)

    def put_tags(self, connection: Connection, cluster_id: ClusterId, tags: Mapping[str, str], call: Call) -> Accepted:
        """Accept other tags for a cluster; nothing else of it changes."""
        cluster = require_cluster(connection, cluster_id)
        require_preconditions(call.preconditions, cluster.etag)
        require_idle_cluster(connection, cluster)
        require_running(cluster)
        operation = self._acceptance.cluster_operation(connection, OperationKind.UPDATE_CLUSTER, cluster, [], call)
        changed = replace(
            cluster,
            sent={**cluster.sent, "tags": dict(tags)},
            state=ProvisioningState.UPDATING,
            operation_id=operation.id,
            etag=self._acceptance.new_id(),
        )
        statements.put_cluster(connection, changed)
        return self._acceptance.accept(connection, operation)

    def delete(self, connection: Connection, cluster_id: ClusterId, call: Call) -> Accepted:
        """Accept the deletion of a cluster; nothing happens for one that does not exist."""
        require_group(connection, cluster_id.group_id)
        cluster = statements.cluster(connection, cluster_id.key)
        require_preconditions(call.preconditions, cluster.etag if cluster else None)
        if cluster is None:
            return Accepted(None)
        pool_keys = require_idle_cluster(connection, cluster)
        operation = self._acceptance.cluster_operation(
            connection, OperationKind.DELETE_CLUSTER, cluster, pool_keys, call
        )
        statements.put_cluster(
            connection,
            replace(
                cluster, state=ProvisioningState.DELETING, operation_id=operation.id, etag=self._acceptance.new_id()
            ),
        )
        return self._acceptance.accept(connection, operation)

    def stop(self, connection: Connection, cluster_id: ClusterId, call: Call) -> Accepted:
        """Accept that all machines of a cluster are stopped."""
        return self._power(connection, cluster_id, PowerState.STOPPED, call)

    def start(self, connection: Connection, cluster_id: ClusterId, call: Call) -> Accepted:
        """Accept that the machines of a stopped cluster run again, except those of stopped node pools."""
        return self._power(connection, cluster_id, PowerState.RUNNING, call)

    def abort(self, connection: Connection, cluster_id: ClusterId, call: Call) -> Accepted:
        """Accept that the operation that runs on the cluster stops at its next step; it ends Canceled."""
        cluster = require_cluster(connection, cluster_id)
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
        return self._acceptance.stop(
            connection,
            running,
            self._acceptance.cluster_operation(connection, OperationKind.ABORT_CLUSTER, cluster, [], call),
        )

    def _power(self, connection: Connection, cluster_id: ClusterId, power: PowerState, call: Call) -> Accepted:
        cluster = require_cluster(connection, cluster_id)
        require_idle_cluster(connection, cluster)
        # A stop or start that failed may be asked for again.
        if cluster.power is power and cluster.state is ProvisioningState.SUCCEEDED:
            words = ("running", "stopping") if power is PowerState.STOPPED else ("stopped", "starting")
            raise errors.OperationNotAllowed(
                f"managed cluster is not currently {words[0]}, {words[1]} cannot be performed",
                remedy="`az aks show --query powerState` tells whether it runs",
            )
        kind = OperationKind.STOP_CLUSTER if power is PowerState.STOPPED else OperationKind.START_CLUSTER
        pools = statements.node_pools_of_cluster(connection, cluster.id.key)
        operation = self._acceptance.cluster_operation(connection, kind, cluster, [pool.id.key for pool in pools], call)
        state = ProvisioningState.UPDATING
        changed = replace(cluster, power=power, state=state, operation_id=operation.id, etag=self._acceptance.new_id())
        statements.put_cluster(connection, changed)
        for pool in pools:
            self._acceptance.store_pool(
                connection,
                replace(
                    pool,
                    cluster_stopped=power is PowerState.STOPPED,
                    promised=pool.count,
                    state=state,
                    operation_id=operation.id,
                    etag=self._acceptance.new_id(),
                ),
            )
        return self._acceptance.accept(connection, operation)

    def _settled_cluster(
        self,
        connection: Connection,
        group: ResourceGroup,
        cluster_id: ClusterId,
        request: ClusterRequest,
        old: Cluster | None,
    ) -> Cluster:
        location = self._acceptance.require_location(
            request.location or (old.location if old else group.location), "location"
        )
        if old is not None and old.location != location:
            raise errors.InvalidResourceLocation(
                f"The resource '{old.id.cluster}' already exists in location '{old.location}' in resource group "
                f"'{old.id.group_id.group}'. A resource with the same name cannot be created in location "
                f"'{location}'. Please select a new resource name.",
                target="location",
                remedy="choose another name, or delete the cluster first",
            )
        wanted, version = self._version(request, old, location)
        return Cluster(
            id=old.id if old else ClusterId(group.id, cluster_id.cluster),
            location=location,
            sent=request.sent,
            wanted_version=wanted,
            version=version,
            principal_id=old.principal_id if old else self._acceptance.new_id(),
            has_windows_profile=(old.has_windows_profile if old else False)
            or request.has_windows_profile
            or request.network_plugin in (None, "azure"),
            etag=self._acceptance.new_id(),
            state=ProvisioningState.UPDATING if old else ProvisioningState.CREATING,
            power=old.power if old else PowerState.RUNNING,
        )

    def _version(self, request: ClusterRequest, old: Cluster | None, location: str) -> tuple[str, str]:
        """The version as written and in full. Clusters move forward, one minor version at a time."""
        wanted, kubernetes = request.wanted_version, self._acceptance.catalog.at(location).kubernetes
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
                        self._acceptance.surroundings(cluster, call, target),
                        header=call.header,
                        etag=self._acceptance.new_id(),
                        snapshot=named_snapshot(connection, cluster, request, existing.get(pool_id.key), target),
                    )
                )
            except errors.InvalidRequest as error:
                problems.append(error)
        if problems:
            raise errors.joined(problems)
        return settled
