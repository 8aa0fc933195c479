"""Alembic's entry: runs the migrations on the connection that `NexusCore.storage.migrate` hands over."""

from __future__ import annotations

from alembic import context

from NexusCore.storage import repeatable  # noqa: F401  makes the operations repeatable
from NexusCore.storage.schema import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    render_as_batch=True,  # SQLite cannot alter a table in place
    compare_type=False,
    repeatable=True,
)
with context.begin_transaction():
    context.run_migrations()
