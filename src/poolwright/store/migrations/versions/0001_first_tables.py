"""First tables: settings, identities, resource groups, clusters, node pools, machines, operations."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "pw_settings",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
    )
    op.create_table(
        "pw_subscriptions",
        sa.Column("subscription_id", sa.Text, primary_key=True),
        sa.Column("tenant_id", sa.Text, nullable=False),
        sa.Column("display_name", sa.Text, nullable=False),
    )
    op.create_table(
        "pw_service_principals",
        sa.Column("app_id", sa.Text, primary_key=True),
        sa.Column("object_id", sa.Text, nullable=False),
        sa.Column("tenant_id", sa.Text, nullable=False),
        sa.Column("display_name", sa.Text, nullable=False),
        sa.Column("secret_hash", sa.Text, nullable=False),
    )
    op.create_table(
        "pw_resource_groups",
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("subscription_id", sa.Text, nullable=False, index=True),
        sa.Column("record", sa.LargeBinary, nullable=False),
        sa.Column("wire", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "pw_clusters",
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("group_key", sa.Text, sa.ForeignKey("pw_resource_groups.key"), nullable=False, index=True),
        sa.Column("subscription_id", sa.Text, nullable=False, index=True),
        sa.Column("etag", sa.Text, nullable=False),
        sa.Column("record", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "pw_node_pools",
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("cluster_key", sa.Text, sa.ForeignKey("pw_clusters.key"), nullable=False, index=True),
        sa.Column("etag", sa.Text, nullable=False),
        sa.Column("record", sa.LargeBinary, nullable=False),
        sa.Column("wire", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "pw_machines",
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("pool_key", sa.Text, sa.ForeignKey("pw_node_pools.key"), nullable=False),
        sa.Column("ordinal", sa.Integer, nullable=False),
        sa.Column("settled", sa.Boolean, nullable=False),
        sa.Column("record", sa.LargeBinary, nullable=False),
        sa.Column("wire", sa.LargeBinary, nullable=False),
        sa.UniqueConstraint("pool_key", "ordinal"),
    )
    op.create_table(
        "pw_operations",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("subscription_id", sa.Text, nullable=False, index=True),
        sa.Column("resource_key", sa.Text, nullable=False, index=True),
        sa.Column("status", sa.Text, nullable=False, index=True),
        sa.Column("runner", sa.Text),
        sa.Column("record", sa.LargeBinary, nullable=False),
        sa.Column("wire", sa.LargeBinary, nullable=False),
    )


def downgrade() -> None:
    for table in (
        "pw_operations",
        "pw_machines",
        "pw_node_pools",
        "pw_clusters",
        "pw_resource_groups",
        "pw_service_principals",
        "pw_subscriptions",
        "pw_settings",
    ):
        op.drop_table(table)
