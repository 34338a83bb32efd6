"""Run by Alembic; the connection is handed over by :func:`pacs.index.migration.migrate`."""

from alembic import context

from pacs.index.models import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
