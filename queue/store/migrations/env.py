"""Run by Alembic: upgrades over the connection that `queue/store/schema.py` hands in."""

from __future__ import annotations

from alembic import context

# SQLite cannot alter most things in place: batch mode copies the table instead.
context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=context.config.attributes["metadata"],
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
