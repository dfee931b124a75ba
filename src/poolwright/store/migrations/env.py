"""Alembic's entry: runs the revisions on the connection `migrate` hands over."""

from __future__ import annotations

from alembic import context

from poolwright.store.database import VERSION_TABLE
from poolwright.store.tables import metadata

# DBOS keeps its own tables in the same database; they are not ours to migrate.
context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    include_name=lambda name, kind, _parents: kind != "table" or (name or "").startswith("pw_"),
    version_table=VERSION_TABLE,
    render_as_batch=True,
    # SQLite has transactional DDL when the transaction is begun by hand, as `migrate` does.
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
