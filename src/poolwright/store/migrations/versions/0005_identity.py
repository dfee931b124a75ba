"""Role assignments, the activity log, and secrets that expire; who was let in before is Owner of the subscription."""

from __future__ import annotations

import json
import time
import uuid

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_OWNER = "8e3af657-a8ff-443c-a75c-2fe8c4bcb635"


def upgrade() -> None:
    op.add_column("pw_service_principals", sa.Column("expires", sa.Float))
    assignments = op.create_table(
        "pw_role_assignments",
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, nullable=False, index=True),
        sa.Column("subscription_id", sa.Text, nullable=False, index=True),
        sa.Column("scope_key", sa.Text, nullable=False),
        sa.Column("role_id", sa.Text, nullable=False),
        sa.Column("principal_id", sa.Text, nullable=False, index=True),
        sa.Column("record", sa.LargeBinary, nullable=False),
        sa.UniqueConstraint("scope_key", "role_id", "principal_id"),
    )
    op.create_table(
        "pw_activity",
        sa.Column("sequence", sa.Integer, primary_key=True),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("subscription_id", sa.Text, nullable=False),
        sa.Column("resource_key", sa.Text, nullable=False),
        sa.Column("group_name", sa.Text),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("caller", sa.Text, nullable=False),
        sa.Column("correlation_id", sa.Text, nullable=False),
        sa.Column("operation_id", sa.Text, nullable=False, index=True),
        sa.Column("record", sa.LargeBinary, nullable=False),
        sa.Column("before", sa.LargeBinary, nullable=False),
        sa.Column("after", sa.LargeBinary, nullable=False),
        sa.Index("ix_pw_activity_subscription_id_at", "subscription_id", "at"),
    )
    _make_owners(assignments)


def downgrade() -> None:
    op.drop_table("pw_activity")
    op.drop_table("pw_role_assignments")
    op.drop_column("pw_service_principals", "expires")


def _make_owners(assignments: sa.Table) -> None:
    """Every service principal becomes Owner of its tenant's subscriptions, as it was in effect until now."""
    principals = sa.table("pw_service_principals", sa.column("object_id"), sa.column("tenant_id"))
    subscriptions = sa.table("pw_subscriptions", sa.column("subscription_id"), sa.column("tenant_id"))
    connection = op.get_bind()
    pairs = connection.execute(
        sa.select(principals.c.object_id, subscriptions.c.subscription_id).where(
            principals.c.tenant_id == subscriptions.c.tenant_id
        )
    ).all()
    now = time.time()
    for principal_id, subscription_id in pairs:
        scope = f"/subscriptions/{subscription_id}"
        name = str(uuid.uuid5(uuid.UUID(subscription_id), principal_id))
        record = {
            "name": name,
            "scope": scope,
            "role_id": _OWNER,
            "principal_id": principal_id,
            "created": now,
            "updated": now,
        }
        connection.execute(
            sa.insert(assignments).values(
                key=f"{scope}/providers/microsoft.authorization/roleassignments/{name}".lower(),
                name=name,
                subscription_id=subscription_id,
                scope_key=scope.lower(),
                role_id=_OWNER,
                principal_id=principal_id,
                record=json.dumps(record).encode(),
            )
        )
