"""Waves of running operations, vCPU quotas, and machines counted by size and observed generation."""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


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
    with op.batch_alter_table("pw_machines") as machines:
        machines.add_column(sa.Column("size", sa.Text, nullable=False, server_default=""))
        machines.add_column(sa.Column("observed", sa.Text, nullable=False, server_default="unknown"))
        machines.drop_column("settled")
    rows = sa.table("pw_machines", sa.column("key"), sa.column("record"), sa.column("size"), sa.column("observed"))
    connection = op.get_bind()
    for key, record in connection.execute(sa.select(rows.c.key, rows.c.record)).all():
        machine = json.loads(record)
        observed = (machine.get("facts") or {}).get("observed") or "unknown"
        connection.execute(
            sa.update(rows).where(rows.c.key == key).values(size=machine["spec"]["size"], observed=observed)
        )
    with op.batch_alter_table("pw_machines") as machines:
        machines.alter_column("size", server_default=None)
        machines.alter_column("observed", server_default=None)


def downgrade() -> None:
    op.drop_table("pw_quotas")
    op.drop_table("pw_rollouts")
    with op.batch_alter_table("pw_machines") as machines:
        machines.drop_column("observed")
        machines.drop_column("size")
        machines.add_column(sa.Column("settled", sa.Boolean, nullable=False, server_default=sa.true()))
