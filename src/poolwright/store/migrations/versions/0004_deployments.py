"""Deployments of templates, and the resources each leads to."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "pw_deployments",
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("scope_key", sa.Text, nullable=False),
        sa.Column("record", sa.LargeBinary, nullable=False),
    )
    op.create_index("ix_pw_deployments_scope_key", "pw_deployments", ["scope_key"])
    op.create_table(
        "pw_deployment_resources",
        sa.Column("deployment_key", sa.Text, sa.ForeignKey("pw_deployments.key"), primary_key=True),
        sa.Column("ordinal", sa.Integer, primary_key=True),
        sa.Column("record", sa.LargeBinary, nullable=False),
    )


def downgrade() -> None:
    op.drop_table("pw_deployment_resources")
    op.drop_table("pw_deployments")
