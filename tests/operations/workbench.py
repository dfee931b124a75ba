"""The real control plane over a real database and the simulated engine, with time and IDs in the test's hands."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cache
from operator import attrgetter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import sqlalchemy as sa

from poolwright.arm.deployable import Deployable
from poolwright.arm.wire_renderer import WireRenderer
from poolwright.catalog.catalog import Catalog
from poolwright.catalog.in_force import CatalogInForce
from poolwright.control_plane.acceptance import Acceptance
from poolwright.control_plane.calls import Accepted, Call
from poolwright.control_plane.control_plane import ControlPlane
from poolwright.domain.cluster import Cluster, ClusterRequest, ResourceGroup
from poolwright.domain.deployment import DeploymentId
from poolwright.domain.generation import Generation
from poolwright.domain.machine import Machine, MachineFacts, MachineSpec
from poolwright.domain.node_pool import NodePool, NodePoolRequest
from poolwright.domain.node_pool_kind import Mode
from poolwright.domain.operation import Operation, OperationKind
from poolwright.domain.profile import Profile
from poolwright.domain.resource_id import ClusterId, GroupId, NodePoolId
from poolwright.domain.upgrade_settings import UpgradeSettings
from poolwright.domain.wish import ABSENT
from poolwright.machines.simulated import Behaviour, SimulatedEngine
from poolwright.operations.crash_hook import CrashHook
from poolwright.operations.durable import DurableOperations
from poolwright.operations.faults import Faults
from poolwright.operations.in_memory import InMemoryOperations
from poolwright.operations.plans import PLANS, Context, Failure, Renderer, RunStep, run_plan
from poolwright.store import statements
from poolwright.store.database import Database, create_engine, migrate
from poolwright.store.identity_statements import Subscription
from poolwright.templates.requested import Requested
from tests.support.scripted_cluster import ScriptedCluster

GROUP = GroupId("00000000-0000-4000-8000-000000000000", "rg")
CLUSTER = ClusterId(GROUP, "c1")
TENANT = "00000000-0000-4000-8000-0000000000aa"
SIZE, OTHER_SIZE = "Standard_D2s_v5", "Standard_D4s_v5"
CALL = Call(api_version="2026-06-01", correlation_id="c0ffee00-0000-4000-8000-000000000000")
# A deployment begins other operations, which go on by themselves: test_deployments.py.
KINDS = tuple(kind for kind in PLANS if kind is not OperationKind.CREATE_DEPLOYMENT)
# Machines by node pool after an operation of each kind, as `ask` makes it, has succeeded.
WANTED = {
    OperationKind.CREATE_NODE_POOL: {"sys": 2, "np1": 3},
    OperationKind.UPDATE_NODE_POOL: {"sys": 2, "np1": 2},
    OperationKind.UPGRADE_NODE_IMAGE: {"sys": 2, "np1": 3},
    OperationKind.ROLLBACK_NODE_POOL: {"sys": 2, "np1": 3},
    OperationKind.DELETE_MACHINES: {"sys": 2, "np1": 2},
    OperationKind.REIMAGE_MACHINE: {"sys": 2, "np1": 3},
    OperationKind.STOP_CLUSTER: {"sys": 2, "np1": 3},
    OperationKind.START_CLUSTER: {"sys": 2, "np1": 3},
    OperationKind.DELETE_NODE_POOL: {"sys": 2, "np1": 0},
    OperationKind.CREATE_CLUSTER: {"sys": 2, "np1": 3},
    OperationKind.UPDATE_CLUSTER: {"sys": 4, "np1": 1},
    OperationKind.DELETE_CLUSTER: {"sys": 0, "np1": 0},
    OperationKind.DELETE_RESOURCE_GROUP: {"sys": 0, "np1": 0},
}
CATALOG = Catalog.built_in(("eastus",))


class Clock:
    """Time that passes only while something waits. `meanwhile` is called at the beginning of each wait."""

    def __init__(self) -> None:
        self.now = 1_750_000_000.0
        self.waits: list[float] = []
        self.meanwhile: Callable[[], None] = lambda: None

    def __call__(self) -> float:
        return self.now

    def wait(self, seconds: float) -> None:
        self.meanwhile()
        self.waits.append(seconds)
        self.now += seconds


@dataclass
class UnrulyEngine:
    """A machine engine that raises what it is told to, once per entry, before it does its work.

    With `turned` set its machines boot the generation they should not. `meanwhile` is called by `ensure`,
    `made` and `deleted` with the keys of machines that are there, or gone, since the call.
    """

    inner: SimulatedEngine
    raises: dict[str, list[Exception]] = field(default_factory=dict)
    turned: bool = False
    meanwhile: Callable[[], None] = lambda: None
    made: Callable[[list[str]], None] = lambda keys: None
    deleted: Callable[[list[str]], None] = lambda keys: None
    name: str = "simulated"

    def ensure(self, specs: Iterable[MachineSpec]) -> None:
        self._obey("ensure")
        self.meanwhile()
        before = self.inner.keys()
        try:
            self.inner.ensure([_turned(spec) if self.turned else spec for spec in specs])
        finally:
            self.made(sorted(self.inner.keys() - before))

    def observe(self, keys: Iterable[str]) -> Mapping[str, MachineFacts]:
        self._obey("observe")
        return self.inner.observe(list(keys))

    def delete(self, keys: Iterable[str]) -> None:
        self._obey("delete")
        gone = sorted(self.inner.keys().intersection(keys))
        self.inner.delete(gone)
        self.deleted(gone)

    def keys(self) -> set[str]:
        return self.inner.keys()

    def close(self) -> None:
        self.inner.close()

    def _obey(self, method: str) -> None:
        if self.raises.get(method):
            raise self.raises[method].pop(0)


def _turned(spec: MachineSpec) -> MachineSpec:
    return replace(spec, generation=Generation.V1 if spec.generation is Generation.V2 else Generation.V2)


class Workbench:
    """Everything below HTTP. `operations` makes the port; the default carries operations out on `begin`.

    Its Kubernetes cluster is attached once it is told so.
    """

    waits_for_the_disk = False

    def __init__(
        self,
        path: Path,
        *,
        operations: Callable[[Context], DurableOperations] = InMemoryOperations,
        render: Renderer | None = None,
        profile: Profile = Profile.DOCUMENTED,
        crash: CrashHook = lambda operation, step, moment: None,
        clock: Clock | None = None,
        new_id: Callable[[], str] | None = None,
        kubernetes: ScriptedCluster | None = None,
    ) -> None:
        self.clock = clock or Clock()
        self.group_id, self.cluster_id = GROUP, CLUSTER
        stored = path / "poolwright.sqlite"
        if not stored.exists():
            stored.write_bytes(_empty_database())
        engine = create_engine(stored)
        if not self.waits_for_the_disk:
            sa.event.listen(engine, "connect", _without_waiting_for_the_disk)
        self.database = Database(engine)
        self.simulated = SimulatedEngine(path / "machines.sqlite", self.clock)
        if not self.waits_for_the_disk:
            _without_waiting_for_the_disk(self.simulated._connection)
        self.kubernetes = kubernetes or ScriptedCluster()
        self.engine = UnrulyEngine(self.simulated, made=self.kubernetes.added, deleted=self.kubernetes.removed)
        self._ids = 0
        self.faults = Faults(self.database, self.clock, new_id or self._next_id)
        self.deployable = Deployable(profile, self.clock, new_id or self._next_id)
        self.context = Context(
            database=self.database,
            engine=self.engine,
            cluster=self.kubernetes,
            render=render or WireRenderer(),
            size_of=CATALOG.size,
            now=self.clock,
            new_id=new_id or self._next_id,
            wait=self.clock.wait,
            crash=crash,
            faults=self.faults,
            resources=self.deployable,
        )
        self.operations = operations(self.context)
        self.plane = ControlPlane(
            Acceptance(
                catalogs=CatalogInForce(CATALOG),
                operations=self.operations,
                render=self.context.render,
                profile=profile,
                engine_name="simulated",
                now=self.clock,
                new_id=self.context.new_id,
                faults=self.faults,
            )
        )
        self.deployable.attach(
            self.plane, self.operations, {GROUP.subscription: Subscription(GROUP.subscription, TENANT, "lab")}.get
        )

    @property
    def behaviour(self) -> Behaviour:
        return self.simulated.behaviour

    def close(self) -> None:
        self.simulated.close()
        self.kubernetes.close()
        self.database.close()

    def work_in(self, group: str) -> None:
        """From now on mean another resource group, with a cluster of its own."""
        self.group_id = GroupId(GROUP.subscription, group)
        self.cluster_id = ClusterId(self.group_id, CLUSTER.cluster)

    # Verbs: each accepts an operation and does not begin it.

    def put_group(self) -> None:
        with self.database.transaction() as connection:
            self.plane.resource_groups.put(connection, self.group_id, "eastus", {})

    def put_cluster(
        self,
        pools: Mapping[str, Mapping[str, Any]] | None = None,
        *,
        version: str | None = None,
        sent: Mapping[str, Any] | None = None,
    ) -> Operation:
        wanted = {"sys": {"mode": Mode.SYSTEM}} if pools is None else pools
        request = ClusterRequest(
            location="eastus",
            wanted_version=version,
            network_plugin="azure",
            has_windows_profile=True,
            sent=sent or {},
        )
        asked = [(name, pool_request(**properties)) for name, properties in wanted.items()]
        with self.database.transaction() as connection:
            return _operation(self.plane.clusters.put(connection, self.cluster_id, request, asked, CALL))

    def put_pool(self, name: str = "np1", **properties: Any) -> Operation:
        pool_id, request = NodePoolId(self.cluster_id, name), pool_request(**properties)
        with self.database.transaction() as connection:
            return _operation(self.plane.node_pools.put(connection, pool_id, request, CALL))

    def delete_pool(self, name: str = "np1") -> Operation:
        with self.database.transaction() as connection:
            return _operation(self.plane.node_pools.delete(connection, NodePoolId(self.cluster_id, name), CALL))

    def delete_cluster(self) -> Operation:
        with self.database.transaction() as connection:
            return _operation(self.plane.clusters.delete(connection, self.cluster_id, CALL))

    def delete_group(self) -> Operation:
        with self.database.transaction() as connection:
            return _operation(self.plane.resource_groups.delete(connection, self.group_id, CALL))

    def post(self, verb: str, *arguments: Any) -> Operation:
        """Accept what another verb of the control plane does, as `node_pools.rollback`."""
        with self.database.transaction() as connection:
            return _operation(attrgetter(verb)(self.plane)(connection, *arguments, CALL))

    def put_deployment(
        self, template: Mapping[str, Any], parameters: Mapping[str, Any] | None = None, *, name: str = "main"
    ) -> Operation:
        asked = Requested(dict(template), {key: {"value": value} for key, value in (parameters or {}).items()})
        identifier = DeploymentId(self.group_id.subscription, self.group_id.group, name)
        with self.database.transaction() as connection:
            prepared = self.deployable.prepare(connection, identifier, asked, {}, CALL.correlation_id)
            return _operation(self.plane.deployments.put(connection, prepared, CALL))

    # Carrying out.

    def done(self, operation: Operation) -> Operation:
        """Begin the operation and return it as it ended."""
        self.operations.begin(operation.id)
        return self.operation(operation)

    def run(self, operation: Operation, run_step: RunStep) -> Operation:
        """Carry the operation out under that runner and return it as it is then."""
        run_plan(self.context, operation.id, run_step)
        return self.operation(operation)

    # Looking.

    def operation(self, operation: Operation) -> Operation:
        with self.database.engine.connect() as connection:
            found = statements.operation(connection, operation.id)
        assert found is not None
        return found

    def pool(self, name: str = "np1") -> NodePool | None:
        with self.database.engine.connect() as connection:
            return statements.node_pool(connection, NodePoolId(self.cluster_id, name).key)

    def there(self, name: str = "np1") -> NodePool:
        """The node pool, which must exist."""
        found = self.pool(name)
        assert found is not None
        return found

    def cluster(self) -> Cluster | None:
        with self.database.engine.connect() as connection:
            return statements.cluster(connection, self.cluster_id.key)

    def group(self) -> ResourceGroup | None:
        with self.database.engine.connect() as connection:
            return statements.group(connection, self.group_id.key)

    def machines(self, name: str = "np1") -> list[Machine]:
        with self.database.engine.connect() as connection:
            return statements.machines_of_pool(connection, NodePoolId(self.cluster_id, name).key)

    def rows(self) -> set[str]:
        """The key of every machine row."""
        with self.database.engine.connect() as connection:
            return statements.machine_keys(connection)

    def everything(self) -> dict[str, object]:
        """All that is stored and all machines there are, to see whether something changed."""
        with self.database.engine.connect() as connection:
            tables = {
                table: connection.exec_driver_sql(f"SELECT * FROM {table} ORDER BY 1").fetchall()
                for table in (
                    *("pw_resource_groups", "pw_clusters", "pw_node_pools", "pw_machines", "pw_operations"),
                    *("pw_deployments", "pw_deployment_resources"),
                )
            }
        return {**tables, "machines": self.simulated.boots()}

    def _next_id(self) -> str:
        self._ids += 1
        return f"00000000-0000-4000-8000-{self._ids:012d}"


def pool_request(**properties: Any) -> NodePoolRequest:
    """A node pool's PUT: one machine of a size that boots both generations, unless said otherwise."""
    arguments: dict[str, Any] = {"sent": {}, "vm_generation": ABSENT, "vm_size": SIZE} | properties
    return NodePoolRequest(**arguments)


def once(name: str, effect: Callable[[], Failure | None]) -> Failure | None:
    """The plainest runner: no checkpoints."""
    return effect()


class Halt(Exception):
    """Ends a run from within the runner, as a kill would."""


@dataclass
class Script:
    """A runner that writes down the steps, does named ones `twice`, `fails` one, and halts `before` or `after` one.

    A failing step has its effect first unless `without_effect` is set. Every step before `at` has its checkpoint,
    as after a kill.
    """

    twice: bool = False
    fails: str | None = None
    without_effect: bool = False
    before: str | None = None
    after: str | None = None
    at: str | None = None
    steps: list[str] = field(default_factory=list)

    def __call__(self, name: str, effect: Callable[[], Failure | None]) -> Failure | None:
        if self.at not in (None, name):
            return None
        self.at = None
        self.steps.append(name)
        if name == self.before:
            raise Halt
        outcome = None
        if not (name == self.fails and self.without_effect):
            outcome = effect()
            if self.twice:
                assert effect() == outcome
        if name == self.after:
            raise Halt
        if name == self.fails:
            return {"code": "Broken", "message": "told to fail", "target": None}
        return outcome


def until_halt(bench: Workbench, operation: Operation, script: Script) -> Operation:
    with suppress(Halt):
        bench.run(operation, script)
    return bench.operation(operation)


def accept(bench: Workbench, kind: OperationKind) -> Operation:
    """Accept an operation of that kind on what `prepare` makes for it."""
    prepare(bench, kind)
    return ask(bench, kind)


def prepare(bench: Workbench, kind: OperationKind) -> None:
    """Make what an operation of that kind needs: nothing, a cluster, or a cluster with node pools sys and np1."""
    bench.put_group()
    if kind is not OperationKind.CREATE_CLUSTER:
        bench.done(bench.put_cluster(pools={"sys": {"mode": Mode.SYSTEM, "count": 2}}))
        if kind is not OperationKind.CREATE_NODE_POOL:
            bench.done(bench.put_pool(count=3))
    if kind is OperationKind.ROLLBACK_NODE_POOL:
        bench.done(bench.put_pool(count=3, vm_size=OTHER_SIZE))
    if kind is OperationKind.START_CLUSTER:
        bench.done(bench.post("clusters.stop", bench.cluster_id))


def ask(bench: Workbench, kind: OperationKind) -> Operation:
    """Accept an operation that has something to do at each of its steps.

    A changing node pool gets another size and loses a machine; a changing cluster has one pool that grows and
    one that shrinks.
    """
    match kind:
        case OperationKind.CREATE_CLUSTER:
            return bench.put_cluster(pools={"sys": {"mode": Mode.SYSTEM, "count": 2}, "np1": {"count": 3}})
        case OperationKind.CREATE_NODE_POOL:
            return bench.put_pool(count=3)
        case OperationKind.UPDATE_NODE_POOL:
            return bench.put_pool(count=2, vm_size=OTHER_SIZE, upgrade=UpgradeSettings("2"))
        case OperationKind.UPGRADE_NODE_IMAGE:
            return bench.post("node_pools.upgrade_node_image", NodePoolId(bench.cluster_id, "np1"))
        case OperationKind.ROLLBACK_NODE_POOL:
            return bench.post("node_pools.rollback", NodePoolId(bench.cluster_id, "np1"))
        case OperationKind.DELETE_MACHINES:
            names = [bench.machines()[-1].id.machine]
            return bench.post("machines.delete", NodePoolId(bench.cluster_id, "np1"), names)
        case OperationKind.REIMAGE_MACHINE:
            return bench.post("machines.reimage", bench.machines()[0].id)
        case OperationKind.STOP_CLUSTER:
            return bench.post("clusters.stop", bench.cluster_id)
        case OperationKind.START_CLUSTER:
            return bench.post("clusters.start", bench.cluster_id)
        case OperationKind.UPDATE_CLUSTER:
            return bench.put_cluster(pools={"sys": {"mode": Mode.SYSTEM, "count": 4}, "np1": {"count": 1}})
        case OperationKind.DELETE_NODE_POOL:
            return bench.delete_pool()
        case OperationKind.DELETE_CLUSTER:
            return bench.delete_cluster()
        case OperationKind.DELETE_RESOURCE_GROUP:
            return bench.delete_group()
        case OperationKind.ABORT_NODE_POOL | OperationKind.ABORT_CLUSTER | OperationKind.CREATE_DEPLOYMENT:
            raise ValueError(f"{kind} is not one of KINDS")


@cache
def steps_of(kind: OperationKind) -> tuple[str, ...]:
    """The steps that an operation of that kind, as `ask` makes it, takes."""
    with TemporaryDirectory() as directory:
        bench = Workbench(Path(directory))
        script = Script()
        bench.run(accept(bench, kind), script)
        bench.close()
        return tuple(script.steps)


@cache
def _empty_database() -> bytes:
    """A migrated database: copying it is much faster than migrating each."""
    with TemporaryDirectory() as directory:
        path = Path(directory) / "poolwright.sqlite"
        engine = create_engine(path)
        migrate(engine)
        engine.dispose()
        return path.read_bytes()


def _without_waiting_for_the_disk(connection: sqlite3.Connection, _record: object = None) -> None:
    """No power is cut here; tests/store and tests/durability check what the service itself waits for."""
    connection.execute("PRAGMA synchronous=OFF")


def _operation(accepted: Accepted) -> Operation:
    assert accepted.operation is not None
    return accepted.operation
