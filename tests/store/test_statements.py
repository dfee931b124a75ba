"""The statements that carry the durability: claims, machines on trial, and deletions with all they hold."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from poolwright.domain.cluster import Cluster, ProvisioningState, ResourceGroup
from poolwright.domain.generation import Generation
from poolwright.domain.machine import Machine, MachineSpec
from poolwright.domain.operation import Operation, OperationError, OperationKind
from poolwright.domain.resource_id import ClusterId, GroupId, MachineId, NodePoolId
from poolwright.store import statements, tables
from poolwright.store.database import Database, create_engine, migrate

GROUP = GroupId("s", "RG")
CLUSTER = ClusterId(GROUP, "C1")
POOL = NodePoolId(CLUSTER, "np1")
OPERATION = Operation(
    id="op",
    kind=OperationKind.CREATE_NODE_POOL,
    subscription="s",
    location="eastus",
    resource_id=str(POOL),
    resource_key=POOL.key,
    pool_keys=(POOL.key,),
    started=1.0,
    correlation_id="c",
)


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[Connection]:
    """A transaction on a database that holds a group, a cluster and a node pool."""
    engine = create_engine(tmp_path / "poolwright.sqlite")
    migrate(engine)
    database = Database(engine)
    with database.transaction() as made:
        statements.put_group(made, ResourceGroup(id=GROUP, location="eastus", sent={}), b"{}")
        statements.put_cluster(made, CLUSTER_RECORD)
        made.execute(
            tables.node_pools.insert().values(key=POOL.key, cluster_key=CLUSTER.key, etag="1", record=b"{}", wire=b"{}")
        )
        yield made
    database.close()


CLUSTER_RECORD = Cluster(
    id=CLUSTER,
    location="eastus",
    sent={},
    wanted_version="1.35",
    version="1.35.7",
    principal_id="p",
    has_windows_profile=False,
    etag="1",
    state=ProvisioningState.SUCCEEDED,
)


def machine(ordinal: int) -> Machine:
    machine_id = MachineId(POOL, f"m{ordinal}")
    spec = MachineSpec(machine_id.key, Generation.V2, "image", "Standard_D2s_v5", 2, 8.0, False, False, True)
    return Machine(id=machine_id, ordinal=ordinal, spec=spec)


class TestClaims:
    @pytest.fixture(autouse=True)
    def operation(self, connection: Connection) -> None:
        statements.put_operation(connection, OPERATION, b"{}")

    def test_the_first_runner_has_it_and_keeps_it(self, connection: Connection) -> None:
        assert statements.claim_operation(connection, "op", "at-once")
        assert not statements.claim_operation(connection, "op", "queued")
        assert statements.claim_operation(connection, "op", "at-once")

    def test_a_released_operation_is_for_the_next_runner(self, connection: Connection) -> None:
        statements.claim_operation(connection, "op", "at-once")
        statements.release_operation(connection, "op")
        assert statements.claim_operation(connection, "op", "again-1")
        assert not statements.claim_operation(connection, "op", "at-once")

    def test_progress_does_not_loosen_the_claim(self, connection: Connection) -> None:
        statements.claim_operation(connection, "op", "at-once")
        statements.put_operation(connection, OPERATION.advanced(step="s", percent=1, generations={}), b"{}")
        assert not statements.claim_operation(connection, "op", "queued")

    def test_an_unknown_operation_is_nobody_s(self, connection: Connection) -> None:
        assert not statements.claim_operation(connection, "unknown", "queued")

    def test_operations_in_progress_are_those_not_ended_with_their_runners(self, connection: Connection) -> None:
        for name, operation in (
            ("done", OPERATION.succeeded(2.0, {})),
            ("failed", OPERATION.failed(2.0, OperationError("c", "m"))),
            ("other", OPERATION),
        ):
            statements.put_operation(connection, replace(operation, id=name), b"{}")
        statements.claim_operation(connection, "other", "queued")
        assert statements.operations_in_progress(connection) == {"op": None, "other": "queued"}


class TestMachines:
    def test_machines_are_counted_by_what_they_showed(self, connection: Connection) -> None:
        statements.add_machines(connection, [(machine(ordinal), b"{}") for ordinal in range(3)])
        assert statements.observed_counts(connection, POOL.key) == {"V1": 0, "V2": 0, "unknown": 3}

    def test_machines_are_found_by_key_by_ordinal_however_many_are_asked_for(self, connection: Connection) -> None:
        statements.add_machines(connection, [(machine(ordinal), b"{}") for ordinal in (4, 0, 2)])
        keys = [machine(ordinal).id.key for ordinal in range(1200)]
        assert [each.ordinal for each in statements.machines_by_key(connection, keys)] == [0, 2, 4]

    def test_an_update_changes_what_is_told_and_nothing_else(self, connection: Connection) -> None:
        statements.add_machines(connection, [(machine(0), b"before"), (machine(1), b"before")])
        changed = replace(machine(1), spec=replace(machine(1).spec, node_image="newer"))
        statements.update_machines(connection, [(changed, b"after"), (machine(7), b"nobody")])
        assert statements.machines_of_pool(connection, POOL.key) == [machine(0), changed]
        wires = [row[0] for row in connection.execute(statements.MACHINE_WIRES, {"key": POOL.key})]
        assert wires == [b"before", b"after"]

    def test_machines_come_in_the_order_of_their_ordinals(self, connection: Connection) -> None:
        shuffled = [machine(ordinal) for ordinal in (11, 2, 1, 10, 0)]
        statements.add_machines(connection, [(each, b"{}") for each in shuffled])
        assert [each.ordinal for each in statements.machines_of_pool(connection, POOL.key)] == [0, 1, 2, 10, 11]

    def test_nothing_to_store_or_delete_is_fine(self, connection: Connection) -> None:
        statements.add_machines(connection, [])
        statements.update_machines(connection, [])
        statements.delete_machines(connection, [])
        assert statements.machine_keys(connection) == set()

    def test_a_deleted_node_pool_takes_its_machines_with_it_and_leaves_an_empty_cluster(
        self, connection: Connection
    ) -> None:
        statements.add_machines(connection, [(machine(0), b"{}")])
        statements.delete_node_pool(connection, POOL.key)
        statements.delete_cluster(connection, CLUSTER.key)
        assert statements.machine_keys(connection) == set()
        assert statements.cluster(connection, CLUSTER.key) is None
        statements.delete_group(connection, GROUP.key)
        assert statements.group(connection, GROUP.key) is None


@pytest.mark.parametrize(
    "statement",
    [statements.MACHINES_BY_OBSERVED.params(key=POOL.key), statements.MACHINES_BY_SIZE.params(keys=[CLUSTER.key])],
    ids=["by observed generation", "by size"],
)
def test_machines_are_counted_without_reading_their_rows(
    connection: Connection, statement: sa.Select[str, int]
) -> None:
    text = statement.compile(dialect=connection.dialect, compile_kwargs={"literal_binds": True})
    plan = [row.detail for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}")]
    assert any("pw_machines USING COVERING INDEX ix_pw_machines_counted" in detail for detail in plan), plan
