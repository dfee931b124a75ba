"""Waves of running operations, vCPU quotas, and machines counted by size and observed generation."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_KEPT = ("key", "pool_key", "ordinal", "record", "wire")


def upgrade() -> None:
    op.create_table(
        "pw_rollouts",
        sa.Column("operation_id", sa.Text, sa.ForeignKey("pw_operations.id"), primary_key=True),
        sa.Column("record", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "pw_quotas",
        sa.Column("subscription_id", sa.Text, primary_key=True),
        sa.Column("location", sa.Text, primary_key=True),
        sa.Column("family", sa.Text, primary_key=True),
        sa.Column("vcpus", sa.Integer, nullable=False),
    )
    _rebuild_machines(
        sa.Column("size", sa.Text, nullable=False),
        sa.Column("observed", sa.Text, nullable=False),
        values=lambda record: {
            "size": record["spec"]["size"],
            "observed": (record.get("facts") or {}).get("observed") or "unknown",
        },
    )


def downgrade() -> None:
    op.drop_table("pw_quotas")
    op.drop_table("pw_rollouts")
    _rebuild_machines(
        sa.Column("settled", sa.Boolean, nullable=False),
        values=lambda record: {"settled": True},
    )


def _rebuild_machines(*columns: sa.Column[Any], values: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Replace `pw_machines` by a table with these columns beside the kept ones, and fill them from the records.

    Not Alembic's batch mode: it walks the constraints as a set, so that the text of the schema differs
    from run to run.
    """
    made = op.create_table(
        "pw_machines_new",
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("pool_key", sa.Text, sa.ForeignKey("pw_node_pools.key"), nullable=False),
        sa.Column("ordinal", sa.Integer, nullable=False),
        *columns,
        sa.Column("record", sa.LargeBinary, nullable=False),
        sa.Column("wire", sa.LargeBinary, nullable=False),
        sa.UniqueConstraint("pool_key", "ordinal"),
    )
    old = sa.table("pw_machines", *(sa.column(name) for name in _KEPT))
    connection = op.get_bind()
    for row in connection.execute(sa.select(old)).mappings().all():
        connection.execute(sa.insert(made).values(**row, **values(json.loads(row["record"]))))
    op.drop_table("pw_machines")
    op.rename_table("pw_machines_new", "pw_machines")
