"""Entry point of Alembic: runs on the connection it is given (see ``service.db.migrate``)."""

from alembic import context

from service.db.tables import Row

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Row.metadata,
    render_as_batch=True,
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()
