"""Run the migrations on the connection, and in the transaction, that Alembic was given."""

from alembic import context

from invitereg.store.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
