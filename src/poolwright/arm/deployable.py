"""The resources that a template can deploy: a row per type, each by the verbs that a PUT of it uses as well.

Also the rehearsal of a deployment, from which `validate` and `whatIf` answer: everything is really done, in a
transaction that is rolled back, with each operation taken as done. So whatever refuses a PUT refuses the
template, in the same words, and what the control plane decides (generations, images) is seen beforehand.

Invariant: a rehearsal leaves nothing behind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Final

import orjson
from sqlalchemy.engine import Connection

from poolwright import errors
from poolwright.access_control import AccessControl
from poolwright.arm.errors import error_body
from poolwright.arm.http import require_size
from poolwright.arm.linked import not_linked, sources_of
from poolwright.arm.sent import without_secrets
from poolwright.arm.wire import decode_group
from poolwright.arm.wire_clusters import decode_cluster, encode_cluster
from poolwright.arm.wire_deployments import Change, shown_deployment
from poolwright.arm.wire_maintenance import decode_maintenance, encode_maintenance
from poolwright.arm.wire_node_pools import decode_node_pool, encode_node_pool
from poolwright.arm.wire_roles import decode_role_assignment, encode_role_assignment
from poolwright.arm.wire_snapshots import decode_snapshot, encode_snapshot
from poolwright.control_plane.calls import Accepted, Call
from poolwright.control_plane.control_plane import ControlPlane
from poolwright.domain import activity, roles
from poolwright.domain.deployment import (
    DEPLOYMENT_TYPE,
    GROUP_TYPE,
    Deployment,
    DeploymentId,
    DeploymentResource,
    PreparedDeployment,
    ResourceState,
)
from poolwright.domain.profile import Profile
from poolwright.domain.resource_id import (
    CLUSTER_TYPE,
    MAINTENANCE_TYPE,
    NODE_POOL_TYPE,
    SNAPSHOT_TYPE,
    ClusterId,
    GroupId,
    MaintenanceId,
    NodePoolId,
    ResourceId,
    SnapshotId,
)
from poolwright.domain.snapshot import Snapshot
from poolwright.domain.what_if import WhatIf
from poolwright.operations.activity import ActivityLog
from poolwright.operations.deployments import concluded_deployment
from poolwright.operations.durable import DurableOperations
from poolwright.side_resources import SideResources
from poolwright.store import identity_statements, statements
from poolwright.store.identity_statements import Subscription
from poolwright.store.records import load
from poolwright.templates.budget import Budget
from poolwright.templates.deferred import body_of
from poolwright.templates.nested import deployment_id
from poolwright.templates.preparation import prepare
from poolwright.templates.requested import Requested, requested
from poolwright.templates.world import World, no_subscription

Json = dict[str, Any]
_ASSIGN: Final = "an Owner assigns a role: az role assignment create"
# The subscription by its ID in lower case, as the service knows it now.
SubscriptionOf = Callable[[str], Subscription | None]
# Who deploys: its object ID and its tenant's; None where there are no principals.
Deployer = Mapping[str, str] | None


@dataclass(frozen=True, slots=True)
class Doing:
    """What a row works with: the transaction, the verbs, the deployment's call, and `by`, its deployer's object ID.

    `budget` is the rehearsal's; None where the deployment is really done, a resource at a time.
    """

    connection: Connection
    plane: ControlPlane
    side: SideResources
    control: AccessControl
    profile: Profile
    subscription_of: SubscriptionOf
    call: Call
    by: str | None
    budget: Budget | None = None


@dataclass(frozen=True, slots=True)
class DeployableType:
    """A row: a resource type, where it goes (`group`, `subscription` or `any`), its PUT and its GET, by its ID.

    `put` returns None when there is no operation; a deployment within a deployment is prepared first, and has
    none. `what_if` says more of what a PUT would do.
    """

    name: str
    scope: str
    put: Callable[[Doing, ResourceId, Json], Accepted | None] | None
    show: Callable[[Doing, ResourceId], Json | None]
    what_if: Callable[[Doing, ResourceId, Json], WhatIf] | None = None


@dataclass(slots=True)
class Rehearsal:
    """What a rehearsal came to. Each problem is ARM's error of one resource."""

    budget: Budget = field(default_factory=Budget)
    changes: list[Change] = field(default_factory=list)
    problems: list[errors.PoolwrightError] = field(default_factory=list)
    concluded: Deployment | None = None


def _cluster_id(identifier: ResourceId) -> ClusterId:
    return ClusterId(identifier.group_id, identifier.names[0])


def _pool_id(identifier: ResourceId) -> NodePoolId:
    return NodePoolId(_cluster_id(identifier), identifier.names[1])


def _put_group(doing: Doing, identifier: ResourceId, body: Json) -> None:
    location, sent = decode_group(body)
    doing.plane.resource_groups.put(doing.connection, identifier.group_id, location, sent)


def _show_group(doing: Doing, identifier: ResourceId) -> Json | None:
    row = doing.connection.execute(statements.GROUP_WIRE, {"key": identifier.group_id.key}).one_or_none()
    return orjson.loads(row[0]) if row is not None else None


def _refused(connection: Connection, deployer: Deployer, verb: str, identifier: ResourceId) -> str | None:
    """Why whoever deploys may not do that to a resource, in ARM's words; None when it may.

    A template does nothing, and tells nothing, that its deployer could not do or read by itself.
    """
    if deployer is None:
        return None
    action = f"{identifier.type}/{verb}"
    held = identity_statements.assignments_of_principal(connection, deployer["objectId"])
    if roles.may(held, action, str(identifier)):
        return None
    return (
        f"The client with object id '{deployer['objectId']}' does not have permission to perform action '{action}' at "
        f"scope '{identifier}'."
    )


def _put_cluster(doing: Doing, identifier: ResourceId, body: Json) -> Accepted:
    wanted, pools = decode_cluster(body, doing.profile)
    if doing.budget is not None:
        doing.budget.charge("node pools", len(pools))
    return doing.plane.clusters.put(doing.connection, _cluster_id(identifier), wanted, pools, doing.call)


def _show_cluster(doing: Doing, identifier: ResourceId) -> Json | None:
    cluster = statements.cluster(doing.connection, _cluster_id(identifier).key)
    if cluster is None:
        return None
    pools = statements.node_pools_of_cluster(doing.connection, cluster.id.key)
    known = doing.subscription_of(cluster.id.group_id.subscription)
    assert known is not None
    shown: Json = orjson.loads(encode_cluster(cluster, pools, known.tenant_id))
    return shown


def _put_pool(doing: Doing, identifier: ResourceId, body: Json) -> Accepted:
    wanted = decode_node_pool(body, doing.profile)
    return doing.plane.node_pools.put(doing.connection, _pool_id(identifier), wanted, doing.call)


def _show_pool(doing: Doing, identifier: ResourceId) -> Json | None:
    pool = statements.node_pool(doing.connection, _pool_id(identifier).key)
    return orjson.loads(encode_node_pool(pool)) if pool is not None else None


def _what_if_pool(doing: Doing, identifier: ResourceId, body: Json) -> WhatIf:
    wanted = decode_node_pool(body, doing.profile)
    return doing.plane.node_pools.what_if(doing.connection, _pool_id(identifier), wanted, doing.call)


def _snapshot_id(identifier: ResourceId) -> SnapshotId:
    return SnapshotId(identifier.group_id, identifier.names[0])


def _put_snapshot(doing: Doing, identifier: ResourceId, body: Json) -> None:
    doing.side.put_snapshot(doing.connection, _snapshot_id(identifier), *decode_snapshot(body))


def _show_snapshot(doing: Doing, identifier: ResourceId) -> Json | None:
    snapshot = statements.snapshot(doing.connection, _snapshot_id(identifier).key)
    return orjson.loads(encode_snapshot(snapshot)) if snapshot is not None else None


def _maintenance_id(identifier: ResourceId) -> MaintenanceId:
    return MaintenanceId(_cluster_id(identifier), identifier.names[1])


def _put_maintenance(doing: Doing, identifier: ResourceId, body: Json) -> None:
    maintenance_id = _maintenance_id(identifier)
    sent = decode_maintenance(body, maintenance_id.name)
    doing.side.put_maintenance_configuration(doing.connection, maintenance_id, sent)


def _show_maintenance(doing: Doing, identifier: ResourceId) -> Json | None:
    configuration = statements.maintenance_configuration(doing.connection, _maintenance_id(identifier).key)
    return orjson.loads(encode_maintenance(configuration)) if configuration is not None else None


def _put_assignment(doing: Doing, identifier: ResourceId, body: Json) -> None:
    scope, name = identifier.scope.key, identifier.names[0].lower()
    subscription = doing.subscription_of(identifier.subscription.lower())
    assert subscription is not None
    wanted = decode_role_assignment(body, subscription.subscription_id, name)
    doing.control.put_role_assignment(doing.connection, subscription, scope, name, wanted, by=doing.by)


def _show_assignment(doing: Doing, identifier: ResourceId) -> Json | None:
    held = identity_statements.assignment(doing.connection, identifier.key)
    return encode_role_assignment(held, identifier.subscription.lower()) if held is not None else None


def _show_deployment(doing: Doing, identifier: ResourceId) -> Json | None:
    deployment = statements.deployment(doing.connection, identifier.key)
    if deployment is None:
        return None
    return shown_deployment(deployment, statements.deployment_resources(doing.connection, deployment.id.key))


TYPES: Final[Mapping[str, DeployableType]] = {
    row.name.lower(): row
    for row in (
        DeployableType(CLUSTER_TYPE, "group", _put_cluster, _show_cluster),
        DeployableType(NODE_POOL_TYPE, "group", _put_pool, _show_pool, _what_if_pool),
        DeployableType(MAINTENANCE_TYPE, "group", _put_maintenance, _show_maintenance),
        DeployableType(SNAPSHOT_TYPE, "group", _put_snapshot, _show_snapshot),
        DeployableType(GROUP_TYPE, "subscription", _put_group, _show_group),
        DeployableType(roles.ASSIGNMENT_TYPE, "any", _put_assignment, _show_assignment),
        DeployableType(DEPLOYMENT_TYPE, "any", None, _show_deployment),
    )
}


class Deployable:
    """Implements `Resources`. `attach` gives it the control plane, which is made after it."""

    def __init__(
        self,
        profile: Profile,
        now: Callable[[], float],
        new_id: Callable[[], str],
    ) -> None:
        self._profile = profile
        self._now = now
        self._new_id = new_id
        self._log = ActivityLog(now, new_id)
        self._plane: ControlPlane | None = None
        self._operations: DurableOperations | None = None
        self._subscription_of: SubscriptionOf = lambda subscription: None

    def attach(self, plane: ControlPlane, operations: DurableOperations, subscription_of: SubscriptionOf) -> None:
        """Work with these from now on."""
        self._plane, self._operations, self._subscription_of = plane, operations, subscription_of

    def prepare(
        self,
        connection: Connection,
        identifier: DeploymentId,
        asked: Requested,
        facts: Mapping[str, Any],
        correlation_id: str,
        budget: Budget | None = None,
    ) -> PreparedDeployment:
        """Return the deployment with its resources, evaluated as far as possible. Raises `InvalidTemplate`."""
        return prepare(identifier, asked, self._world(connection, facts, correlation_id), budget=budget)

    def put(
        self, connection: Connection, deployment: Deployment, resource: DeploymentResource, body: Mapping[str, Any]
    ) -> str | None:
        assert self._plane is not None
        doing = self._doing(connection, self._plane, _call(deployment, resource), _object_id(deployment))
        accepted = self._log.recorded(
            connection,
            _logged(connection, deployment, resource),
            lambda _: self._put(
                doing, self._authorized(connection, deployment, resource, body), deployment, resource, body
            ),
            lambda accepted: (accepted.operation if accepted is not None else None, None),
        )
        return accepted.operation.id if accepted is not None and accepted.operation is not None else None

    def show(self, connection: Connection, deployment: Deployment, identifier: str) -> Mapping[str, Any] | None:
        found = _parsed(identifier)
        refused = _refused(connection, _deployer(deployment.facts), "read", found)
        if refused is not None:
            raise errors.InvalidTemplate(refused, remedy=_ASSIGN)
        return self._shown(connection, found)

    def _shown(self, connection: Connection, identifier: ResourceId) -> Mapping[str, Any] | None:
        assert self._plane is not None
        return self._show(self._doing(connection, self._plane, Call(api_version="", correlation_id="")), identifier)

    def begin(self, operation_id: str) -> None:
        assert self._operations is not None
        self._operations.begin(operation_id)

    def refusal(self, error: errors.PoolwrightError, identifier: str) -> Mapping[str, Any]:
        return error_body(_aimed_at(error, identifier))

    def rehearse(self, connection: Connection, prepared: PreparedDeployment, budget: Budget | None = None) -> Rehearsal:
        """Return what the deployment would do, within what its preparation left of the budget."""
        assert self._plane is not None
        rehearsal = Rehearsal(budget if budget is not None else Budget())
        with _rolled_back(connection):
            self._rehearse(connection, self._plane.rehearsing(), prepared, rehearsal, is_outermost=True)
        return rehearsal

    def ignored(self, connection: Connection, group: GroupId, but: set[str]) -> list[Json]:
        """Return the clusters, node pools and snapshots of a resource group besides those with the keys."""
        assert self._plane is not None
        shown = []
        for cluster in statements.clusters_of_group(connection, group):
            pools = statements.node_pools_of_cluster(connection, cluster.id.key)
            if cluster.id.key not in but:
                shown.append(self._shown(connection, _parsed(str(cluster.id))))
            shown += [self._shown(connection, _parsed(str(pool.id))) for pool in pools if pool.id.key not in but]
        for (record,) in connection.execute(statements.SNAPSHOTS_OF_GROUP, {"key": group.key}):
            snapshot = load(Snapshot, record)
            if snapshot.id.key not in but:
                shown.append(orjson.loads(encode_snapshot(snapshot)))
        return [dict(document) for document in shown if document is not None]

    def _rehearse(
        self,
        connection: Connection,
        plane: ControlPlane,
        prepared: PreparedDeployment,
        rehearsal: Rehearsal,
        *,
        is_outermost: bool = False,
    ) -> None:
        deployment, resources = prepared.deployment, list(prepared.resources)

        def reference(identifier: str) -> Mapping[str, Any] | None:
            return self.show(connection, deployment, identifier)

        for stage in range(max((resource.stage + 1 for resource in resources), default=0)):
            accepted: list[tuple[DeploymentResource, Accepted | None, Json | None, WhatIf | None]] = []
            for resource in [each for each in resources if each.stage == stage]:
                if not all(resources[place].state.lets_others_follow for place in resource.depends_on):
                    resources[resource.ordinal] = replace(resource, state=ResourceState.NOT_DEPLOYED)
                    continue
                resources[resource.ordinal] = replace(resource, state=ResourceState.SUCCEEDED)
                if resource.existing or not resource.condition:
                    continue
                doing = self._doing(
                    connection, plane, _call(deployment, resource), _object_id(deployment), rehearsal.budget
                )
                try:
                    body: Json = {}
                    if resource.nested is None:
                        body = body_of(deployment, resources, resource, reference, rehearsal.budget)
                    # First of all: nothing that it answers tells whether what it may not touch is there.
                    identifier = self._authorized(connection, deployment, resource, body)
                    before, what_if = self._show(doing, identifier), None
                    row = TYPES[resource.type.lower()]
                    with _kept_if_taken(connection):
                        if row.what_if is not None:
                            what_if = row.what_if(doing, identifier, body)
                        taken = self._put(doing, identifier, deployment, resource, body)
                        accepted.append((resource, taken, before, what_if))
                except errors.PoolwrightError as error:
                    rehearsal.problems.append(_aimed_at(error, resource.id))
                    resources[resource.ordinal] = replace(resource, state=ResourceState.FAILED)
                    if rehearsal.budget.is_spent:
                        return
            for resource, what_came, before, what_if in accepted:
                operation = what_came.operation if what_came is not None else None
                if resource.type.lower() == DEPLOYMENT_TYPE.lower():
                    self._rehearse_nested(connection, plane, resource, rehearsal)
                if operation is not None:
                    plane.take_as_done(connection, operation)
                if resource.type.lower() == DEPLOYMENT_TYPE.lower():
                    continue
                after = self._shown(connection, _parsed(resource.id))
                assert after is not None
                rehearsal.changes.append(
                    Change(
                        resource_id=resource.id,
                        deployment_id=str(deployment.id),
                        symbol=resource.symbol,
                        before=before,
                        after=dict(after),
                        what_if=what_if,
                    )
                )
        if rehearsal.problems:
            return
        concluded = concluded_deployment(deployment, resources, reference, self._now(), rehearsal.budget)
        if is_outermost:
            rehearsal.concluded = concluded
        else:
            statements.put_deployment(connection, concluded)

    def _rehearse_nested(
        self, connection: Connection, plane: ControlPlane, resource: DeploymentResource, rehearsal: Rehearsal
    ) -> None:
        key = deployment_id(resource.id).key
        nested = statements.deployment(connection, key)
        assert nested is not None
        inner = PreparedDeployment(deployment=nested, resources=tuple(statements.deployment_resources(connection, key)))
        self._rehearse(connection, plane, inner, rehearsal)

    def _authorized(
        self, connection: Connection, deployment: Deployment, resource: DeploymentResource, body: Mapping[str, Any]
    ) -> ResourceId:
        """The resource's ID, once its deployer may write it and may read what it is made from."""
        deployer = _deployer(deployment.facts)
        identifier = self._require_access(connection, deployer, resource)
        for source in sources_of(dict(body)):
            if deployer is not None and _refused(connection, deployer, "read", source) is not None:
                raise not_linked(deployer["objectId"], f"{source.type}/read", source)
        return identifier

    def _require_access(self, connection: Connection, deployer: Deployer, resource: DeploymentResource) -> ResourceId:
        identifier = _parsed(resource.id)
        if self._known_subscription(deployer, identifier.subscription) is None:
            raise no_subscription(identifier.subscription)
        refused = _refused(connection, deployer, "write", identifier)
        if refused is not None:
            raise errors.AuthorizationFailed(
                f"Authorization failed for template resource '{resource.name}' of type '{resource.type}'. {refused}",
                remedy=_ASSIGN,
            )
        return identifier

    def _known_subscription(self, deployer: Deployer, identifier: str) -> Subscription | None:
        """The subscription, when it is of the deployer's tenant."""
        known = self._subscription_of(identifier.lower())
        is_foreign = known is not None and deployer is not None and known.tenant_id != deployer["tenantId"]
        return None if is_foreign else known

    def _put(
        self,
        doing: Doing,
        identifier: ResourceId,
        deployment: Deployment,
        resource: DeploymentResource,
        body: Mapping[str, Any],
    ) -> Accepted | None:
        put = TYPES[resource.type.lower()].put
        if put is not None:
            require_size(body)
            return put(doing, identifier, dict(body))
        nested = resource.nested
        if nested is None:
            world = self._world(doing.connection, deployment.facts, deployment.correlation_id)
            nested = prepare(deployment_id(resource.id), requested(body), world, budget=doing.budget)
        started = replace(nested.deployment, started=self._now())
        return doing.plane.deployments.put(doing.connection, replace(nested, deployment=started), doing.call)

    def _show(self, doing: Doing, identifier: ResourceId) -> Json | None:
        row = _row(identifier)
        if row is None:
            raise errors.InvalidTemplate(
                f"The resource '{identifier}' is of a type this service does not have, so that nothing is known of it.",
                remedy="refer to resources of this service only",
            )
        return row.show(doing, identifier)

    def _doing(
        self,
        connection: Connection,
        plane: ControlPlane,
        call: Call,
        by: str | None = None,
        budget: Budget | None = None,
    ) -> Doing:
        side, control = SideResources(plane, self._now), AccessControl(now=self._now, new_id=self._new_id)
        return Doing(connection, plane, side, control, self._profile, self._subscription_of, call, by, budget)

    def _world(self, connection: Connection, facts: Mapping[str, Any], correlation_id: str) -> World:
        deployer = _deployer(facts)

        def group(subscription: str, name: str) -> Mapping[str, Any] | None:
            row = connection.execute(
                statements.GROUP_WIRE, {"key": GroupId(subscription.lower(), name).key}
            ).one_or_none()
            return {"tags": {}, **orjson.loads(row[0])} if row is not None else None

        def subscription(identifier: str) -> Mapping[str, Any] | None:
            known = self._known_subscription(deployer, identifier)
            if known is None:
                return None
            return {
                "id": f"/subscriptions/{known.subscription_id}",
                "subscriptionId": known.subscription_id,
                "tenantId": known.tenant_id,
                "displayName": known.display_name,
            }

        return World(
            types={key: (row.name, row.scope) for key, row in TYPES.items()},
            group=group,
            subscription=subscription,
            require_access=lambda resource: self._require_access(connection, deployer, resource),
            facts={name: told for name, told in facts.items() if name in ("tenant", "environment", "deployer")},
            cleaned=without_secrets,
            now=self._now(),
            new_id=self._new_id,
            correlation_id=correlation_id,
        )


def _call(deployment: Deployment, resource: DeploymentResource) -> Call:
    return Call(api_version=resource.api_version, correlation_id=deployment.correlation_id)


def _deployer(facts: Mapping[str, Any]) -> Deployer:
    deployer: Deployer = facts.get("deployer")
    return deployer


def _object_id(deployment: Deployment) -> str | None:
    """The object ID of who deploys."""
    deployer = _deployer(deployment.facts)
    return deployer["objectId"] if deployer is not None else None


def _logged(connection: Connection, deployment: Deployment, resource: DeploymentResource) -> activity.Change:
    """The change as the activity log has it: the deployer's, as if it had sent the PUT."""
    deployer = deployment.facts.get("deployer", {})
    tenant, object_id = deployer.get("tenantId", ""), deployer.get("objectId")
    known = identity_statements.service_principals(connection, tenant)
    return activity.Change(
        subscription=_parsed(resource.id).subscription.lower(),
        tenant=tenant,
        caller=next((one.app_id for one in known if one.object_id == object_id), object_id or activity.SERVICE),
        object_id=object_id,
        action=f"{resource.type}/write",
        resource_id=resource.id,
        correlation_id=deployment.correlation_id,
    )


def _aimed_at(error: errors.PoolwrightError, identifier: str) -> errors.PoolwrightError:
    """The error of a PUT as a deployment tells it: its target is the resource, and the property stands beside it."""
    if error.target is not None:
        error.information.setdefault("property", error.target)
    error.target = identifier
    return error


@contextmanager
def _rolled_back(connection: Connection) -> Iterator[None]:
    """What happens within is undone."""
    savepoint = connection.begin_nested()
    try:
        yield
    finally:
        savepoint.rollback()


@contextmanager
def _kept_if_taken(connection: Connection) -> Iterator[None]:
    """What happens within is undone when it raises."""
    savepoint = connection.begin_nested()
    try:
        yield
    except BaseException:
        savepoint.rollback()
        raise
    savepoint.commit()


def _parsed(identifier: str) -> ResourceId:
    """The parts of an ID. Raises `InvalidTemplate` for what is none."""
    found = ResourceId.parse(identifier)
    if found is None:
        raise errors.InvalidTemplate(
            f"'{identifier}' is not a valid resource ID.",
            remedy="send the ID of a resource, a resource group or a subscription",
        )
    return found


def _row(identifier: ResourceId) -> DeployableType | None:
    """The row of what an ID names; None for a type this service does not have there."""
    if not identifier.providers:
        return TYPES[GROUP_TYPE.lower()] if identifier.group is not None else None
    row = TYPES.get(identifier.type.lower())
    if row is None or row.scope == "subscription" or (row.scope == "group" and not identifier.is_in_group()):
        return None
    return row
