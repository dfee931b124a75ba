"""Node pool snapshots, maintenance configurations and registered features."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "pw_snapshots",
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("group_key", sa.Text, sa.ForeignKey("pw_resource_groups.key"), nullable=False, index=True),
        sa.Column("subscription_id", sa.Text, nullable=False, index=True),
        sa.Column("record", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "pw_maintenance_configurations",
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("cluster_key", sa.Text, sa.ForeignKey("pw_clusters.key"), nullable=False, index=True),
        sa.Column("record", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "pw_features",
        sa.Column("subscription_id", sa.Text, primary_key=True),
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
    )


def downgrade() -> None:
    op.drop_table("pw_features")
    op.drop_table("pw_maintenance_configurations")
    op.drop_table("pw_snapshots")
