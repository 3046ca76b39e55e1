"""Alembic runs this file for every migration, of every schema: the connection and the names come from `migrate`."""

from alembic import context

attributes = context.config.attributes
context.configure(connection=attributes["connection"], version_table=attributes["version_table"])
with context.begin_transaction():
    context.run_migrations()
