"""Machines are counted by size and by observed generation without reading their rows."""

from __future__ import annotations

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_pw_machines_counted", "pw_machines", ["pool_key", "observed", "size"])


def downgrade() -> None:
    op.drop_index("ix_pw_machines_counted", "pw_machines")
