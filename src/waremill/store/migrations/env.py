"""Alembic's entry: runs the migrations on the connection the store hands in."""

from alembic import context

from waremill.store import (  # noqa: F401 - their tables belong to the metadata
    tables_batches,
    tables_chat,
    tables_knowledge,
    tables_people,
    tables_publishing,
    tables_schedules,
    tables_workers,
)
from waremill.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=False,
    render_as_batch=True,
)
context.run_migrations()
