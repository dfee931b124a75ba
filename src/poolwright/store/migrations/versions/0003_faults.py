"""Faults, and when they fired."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "pw_faults",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("matched", sa.Integer, nullable=False),
        sa.Column("fired", sa.Integer, nullable=False),
        sa.Column("record", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "pw_fault_firings",
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("fault", sa.Text, sa.ForeignKey("pw_faults.name"), nullable=False),
        sa.Column("occasion", sa.Text, nullable=False),
        sa.Column("operation_id", sa.Text),
        sa.Column("broken", sa.Text),
        sa.Column("record", sa.LargeBinary, nullable=False),
        sa.UniqueConstraint("fault", "occasion"),
    )


def downgrade() -> None:
    op.drop_table("pw_fault_firings")
    op.drop_table("pw_faults")
