"""The tables of the service, as SQLAlchemy Core knows them.

`record` columns hold domain values (store/records.py), `wire` columns the JSON clients get, rendered
when the row is written so that a read is one look-up. Keys are lower-case resource IDs.

Invariant: a schema change comes with a migration; tests compare the two.
"""

from __future__ import annotations

import sqlalchemy as sa

metadata = sa.MetaData()

settings = sa.Table(
    "pw_settings",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)

subscriptions = sa.Table(
    "pw_subscriptions",
    metadata,
    sa.Column("subscription_id", sa.Text, primary_key=True),
    sa.Column("tenant_id", sa.Text, nullable=False),
    sa.Column("display_name", sa.Text, nullable=False),
)

service_principals = sa.Table(
    "pw_service_principals",
    metadata,
    sa.Column("app_id", sa.Text, primary_key=True),
    sa.Column("object_id", sa.Text, nullable=False),
    sa.Column("tenant_id", sa.Text, nullable=False),
    sa.Column("display_name", sa.Text, nullable=False),
    sa.Column("secret_hash", sa.Text, nullable=False),
    # UNIX seconds from which the secret, and with it the principal, is refused; null means never.
    sa.Column("expires", sa.Float),
)

# `scope_key` is the scope in lower case, `key` the assignment's whole ID in lower case.
role_assignments = sa.Table(
    "pw_role_assignments",
    metadata,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False, index=True),
    sa.Column("subscription_id", sa.Text, nullable=False, index=True),
    sa.Column("scope_key", sa.Text, nullable=False),
    sa.Column("role_id", sa.Text, nullable=False),
    sa.Column("principal_id", sa.Text, nullable=False, index=True),
    sa.Column("record", sa.LargeBinary, nullable=False),
    sa.UniqueConstraint("scope_key", "role_id", "principal_id"),
)

resource_groups = sa.Table(
    "pw_resource_groups",
    metadata,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("subscription_id", sa.Text, nullable=False, index=True),
    sa.Column("record", sa.LargeBinary, nullable=False),
    sa.Column("wire", sa.LargeBinary, nullable=False),
)

clusters = sa.Table(
    "pw_clusters",
    metadata,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("group_key", sa.Text, sa.ForeignKey("pw_resource_groups.key"), nullable=False, index=True),
    sa.Column("subscription_id", sa.Text, nullable=False, index=True),
    sa.Column("etag", sa.Text, nullable=False),
    sa.Column("record", sa.LargeBinary, nullable=False),
)

node_pools = sa.Table(
    "pw_node_pools",
    metadata,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("cluster_key", sa.Text, sa.ForeignKey("pw_clusters.key"), nullable=False, index=True),
    sa.Column("etag", sa.Text, nullable=False),
    sa.Column("record", sa.LargeBinary, nullable=False),
    sa.Column("wire", sa.LargeBinary, nullable=False),
)

machines = sa.Table(
    "pw_machines",
    metadata,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("pool_key", sa.Text, sa.ForeignKey("pw_node_pools.key"), nullable=False),
    sa.Column("ordinal", sa.Integer, nullable=False),
    # For counting without reading the records: the size, and the generation it showed (`unknown` until then).
    sa.Column("size", sa.Text, nullable=False),
    sa.Column("observed", sa.Text, nullable=False),
    sa.Column("record", sa.LargeBinary, nullable=False),
    sa.Column("wire", sa.LargeBinary, nullable=False),
    sa.UniqueConstraint("pool_key", "ordinal"),
    # Each wave counts all machines of the subscription: from the index alone, five times as fast.
    sa.Index("ix_pw_machines_counted", "pool_key", "observed", "size"),
)

operations = sa.Table(
    "pw_operations",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("subscription_id", sa.Text, nullable=False, index=True),
    sa.Column("resource_key", sa.Text, nullable=False, index=True),
    sa.Column("status", sa.Text, nullable=False, index=True),
    sa.Column("runner", sa.Text),
    sa.Column("record", sa.LargeBinary, nullable=False),
    sa.Column("wire", sa.LargeBinary, nullable=False),
)

# The waves of a running operation, as they were planned; gone when it has ended.
rollouts = sa.Table(
    "pw_rollouts",
    metadata,
    sa.Column("operation_id", sa.Text, sa.ForeignKey("pw_operations.id"), primary_key=True),
    sa.Column("record", sa.LargeBinary, nullable=False),
)

# Limits that somebody set; `family` is in lower case.
quotas = sa.Table(
    "pw_quotas",
    metadata,
    sa.Column("subscription_id", sa.Text, primary_key=True),
    sa.Column("location", sa.Text, primary_key=True),
    sa.Column("family", sa.Text, primary_key=True),
    sa.Column("vcpus", sa.Integer, nullable=False),
)

# Faults somebody asked for, with how often each was meant and fired.
faults = sa.Table(
    "pw_faults",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("matched", sa.Integer, nullable=False),
    sa.Column("fired", sa.Integer, nullable=False),
    sa.Column("record", sa.LargeBinary, nullable=False),
)

# When faults were meant: the newest, and all of operations in progress. `broken` is the machine that one keeps from
# becoming ready.
fault_firings = sa.Table(
    "pw_fault_firings",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("fault", sa.Text, sa.ForeignKey("pw_faults.name"), nullable=False),
    sa.Column("occasion", sa.Text, nullable=False),
    sa.Column("operation_id", sa.Text),
    sa.Column("broken", sa.Text),
    sa.Column("record", sa.LargeBinary, nullable=False),
    sa.UniqueConstraint("fault", "occasion"),
)

# Deployments of templates; `scope_key` is the key of the resource group, or of the subscription.
deployments = sa.Table(
    "pw_deployments",
    metadata,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("scope_key", sa.Text, nullable=False, index=True),
    sa.Column("record", sa.LargeBinary, nullable=False),
)

deployment_resources = sa.Table(
    "pw_deployment_resources",
    metadata,
    sa.Column("deployment_key", sa.Text, sa.ForeignKey("pw_deployments.key"), primary_key=True),
    sa.Column("ordinal", sa.Integer, primary_key=True),
    sa.Column("record", sa.LargeBinary, nullable=False),
)

# The activity log, in the order in which it was written. `before` and `after` are JSON: what changed, by key.
activity = sa.Table(
    "pw_activity",
    metadata,
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

snapshots = sa.Table(
    "pw_snapshots",
    metadata,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("group_key", sa.Text, sa.ForeignKey("pw_resource_groups.key"), nullable=False, index=True),
    sa.Column("subscription_id", sa.Text, nullable=False, index=True),
    sa.Column("record", sa.LargeBinary, nullable=False),
)

maintenance_configurations = sa.Table(
    "pw_maintenance_configurations",
    metadata,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("cluster_key", sa.Text, sa.ForeignKey("pw_clusters.key"), nullable=False, index=True),
    sa.Column("record", sa.LargeBinary, nullable=False),
)

# Features somebody registered or took back; namespace and name in lower case, `name` as it was written.
features = sa.Table(
    "pw_features",
    metadata,
    sa.Column("subscription_id", sa.Text, primary_key=True),
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
)

# What stands in the place of the built-in catalogue. `location` is empty for what concerns the whole service;
# `entries` is how many the record has, for listing without reading it. Records are compressed.
catalogue = sa.Table(
    "pw_catalogue",
    metadata,
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Column("location", sa.Text, primary_key=True),
    sa.Column("entries", sa.Integer, nullable=False),
    sa.Column("record", sa.LargeBinary, nullable=False),
)
