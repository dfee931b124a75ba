"""The migrations lead to the tables the code knows, from any point, and all the way or not at all."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command, op
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.engine import Engine

from poolwright.domain.roles import OWNER
from poolwright.store import identity_statements, migrations, tables
from poolwright.store.database import VERSION_TABLE, create_engine, migrate

SCRIPTS = str(Path(migrations.__file__).parent)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    made = create_engine(tmp_path / "poolwright.sqlite")
    yield made
    made.dispose()


def config(connection: sa.Connection) -> Config:
    made = Config()
    made.set_main_option("script_location", SCRIPTS)
    made.attributes["connection"] = connection
    return made


def tables_of(engine: Engine) -> set[str]:
    return set(sa.inspect(engine).get_table_names())


def test_the_migrated_schema_is_the_one_the_code_knows(engine: Engine) -> None:
    migrate(engine)
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={"version_table": VERSION_TABLE, "compare_type": True, "compare_server_default": True},
        )
        assert compare_metadata(context, tables.metadata) == []
    # compare_metadata is silent about these.
    for table in tables.metadata.sorted_tables:
        inspector = sa.inspect(engine)
        assert inspector.get_pk_constraint(table.name)["constrained_columns"] == list(table.primary_key.columns.keys())
        nullable = {column["name"]: column["nullable"] for column in inspector.get_columns(table.name)}
        assert nullable == {column.name: column.nullable for column in table.columns}


def test_every_table_of_ours_is_told_by_its_name(engine: Engine) -> None:
    migrate(engine)
    assert all(name.startswith("pw_") for name in tables_of(engine))


def test_migrating_again_changes_nothing(engine: Engine) -> None:
    migrate(engine)
    with engine.begin() as connection:
        connection.execute(sa.insert(tables.settings).values(name="kept", value="yes"))
    before = schema(engine)
    migrate(engine)
    assert schema(engine) == before
    with engine.connect() as connection:
        assert connection.execute(sa.select(tables.settings.c.value)).scalars().all() == ["yes"]


def test_a_start_with_the_newest_schema_loads_no_alembic(tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "import poolwright.serve\n"
        "from poolwright.store.database import create_engine, migrate\n"
        "engine = create_engine(Path(sys.argv[1]))\n"
        "migrate(engine)\n"
        "print('alembic' in sys.modules)"
    )
    for expected in ("True", "False"):
        ended = subprocess.run(
            [sys.executable, "-c", program, tmp_path / "db"], capture_output=True, text=True, check=True
        )
        assert ended.stdout.strip() == expected


def test_the_newest_revision_is_told_by_the_names_of_the_files(engine: Engine) -> None:
    scripts = ScriptDirectory(SCRIPTS).walk_revisions()
    assert all(Path(script.path).name.startswith(f"{script.revision}_") for script in scripts)
    migrate(engine)
    with engine.connect() as connection:
        assert (
            MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE}).get_current_revision()
            == ScriptDirectory(SCRIPTS).get_current_head()
        )


def test_what_was_migrated_can_be_taken_back_and_migrated_again(engine: Engine) -> None:
    migrate(engine)
    before = schema(engine)
    with engine.connect() as connection:
        command.downgrade(config(connection), "base")
        connection.commit()
    assert tables_of(engine) == {VERSION_TABLE}
    migrate(engine)
    assert schema(engine) == before


def test_machines_there_before_keep_their_rows_and_are_counted_by_size_and_generation(engine: Engine) -> None:
    records = {
        "ready": {"spec": {"size": "Standard_D2s_v5"}, "facts": {"observed": "V2"}},
        "unseen": {"spec": {"size": "Standard_D2_v3"}, "facts": {"observed": None}},
        "unborn": {"spec": {"size": "Standard_D2_v3"}, "facts": None},
    }
    with engine.connect() as connection:
        command.upgrade(config(connection), "0001")
        parents: list[tuple[str, dict[str, object]]] = [
            ("pw_resource_groups", {"key": "g", "subscription_id": "s", "record": b"{}", "wire": b"{}"}),
            ("pw_clusters", {"key": "c", "group_key": "g", "subscription_id": "s", "etag": "e", "record": b"{}"}),
            ("pw_node_pools", {"key": "p", "cluster_key": "c", "etag": "e", "record": b"{}", "wire": b"{}"}),
        ]
        machines: list[dict[str, object]] = [
            {
                "key": key,
                "pool_key": "p",
                "ordinal": ordinal,
                "settled": True,
                "record": json.dumps(record).encode(),
                "wire": key.encode(),
            }
            for ordinal, (key, record) in enumerate(records.items())
        ]
        for name, row in [*parents, *(("pw_machines", machine) for machine in machines)]:
            connection.execute(sa.insert(sa.table(name, *(sa.column(column) for column in row))).values(row))
        connection.commit()
        expected = [
            ("ready", "p", 0, "Standard_D2s_v5", "V2", machines[0]["record"], b"ready"),
            ("unseen", "p", 1, "Standard_D2_v3", "unknown", machines[1]["record"], b"unseen"),
            ("unborn", "p", 2, "Standard_D2_v3", "unknown", machines[2]["record"], b"unborn"),
        ]
        for _ in range(2):
            command.upgrade(config(connection), "head")
            connection.commit()
            found = connection.execute(sa.select(tables.machines).order_by(tables.machines.c.ordinal)).all()
            assert [tuple(row) for row in found] == expected
            command.downgrade(config(connection), "0001")
            connection.commit()
            before: list[sa.ColumnClause[object]] = [sa.column(name) for name in machines[0]]
            rows = connection.execute(sa.select(*before).select_from(sa.table("pw_machines")).order_by("ordinal"))
            assert [dict(row) for row in rows.mappings()] == machines


def test_who_was_let_in_before_is_owner_of_the_subscriptions_of_its_tenant(engine: Engine) -> None:
    subscriptions = {"00000000-0000-4000-8000-00000000000a": "t1", "00000000-0000-4000-8000-00000000000b": "t2"}
    with engine.connect() as connection:
        command.upgrade(config(connection), "0002")
        for subscription, tenant in subscriptions.items():
            connection.exec_driver_sql("INSERT INTO pw_subscriptions VALUES (?, ?, 'n')", (subscription, tenant))
            row = (f"app-{tenant}", f"oid-{tenant}", tenant)
            connection.exec_driver_sql("INSERT INTO pw_service_principals VALUES (?, ?, ?, 'n', 'h')", row)
        command.upgrade(config(connection), "head")
        connection.commit()
        for subscription, tenant in subscriptions.items():
            (held,) = identity_statements.assignments_of_principal(connection, f"oid-{tenant}")
            assert (held.role_id, held.scope) == (OWNER.id, f"/subscriptions/{subscription}")
            assert identity_statements.assignment(connection, held.key) == held
            assert identity_statements.assignments_of_subscription(connection, subscription) == [held]
            principal = identity_statements.service_principal(connection, f"app-{tenant}")
            assert principal is not None
            assert principal.expires is None


def test_other_tables_in_the_same_database_stay_as_they_are(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE workflow_status (workflow_uuid TEXT PRIMARY KEY)")
    migrate(engine)
    with engine.connect() as connection:
        command.downgrade(config(connection), "base")
        connection.commit()
    assert "workflow_status" in tables_of(engine)


def test_a_migration_that_breaks_off_leaves_nothing_half_done(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    create = op.create_table

    def until_the_last(name: str, *columns: Any, **options: Any) -> Any:
        if name == "pw_operations":
            raise KeyboardInterrupt
        return create(name, *columns, **options)

    with monkeypatch.context() as broken:
        broken.setattr(op, "create_table", until_the_last)
        with pytest.raises(KeyboardInterrupt):
            migrate(engine)
    assert tables_of(engine) == set()
    migrate(engine)
    assert "pw_operations" in tables_of(engine)


def schema(engine: Engine) -> list[tuple[str, ...]]:
    with engine.connect() as connection:
        rows = connection.exec_driver_sql("SELECT type, name, sql FROM sqlite_master ORDER BY type, name").fetchall()
    return [tuple(row) for row in rows]
