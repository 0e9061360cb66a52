"""Runs the migrations, from `quotepart migrate` or from the alembic command in a checkout."""

from __future__ import annotations

from alembic import context

from app.settings import Settings
from app.storage.database import Database
from app.storage.tables import metadata


def run() -> None:
    url = context.config.attributes.get("database_url") or Settings.from_environment().database_url
    database = Database.open(url)
    try:
        with database.engine.connect() as connection:
            context.configure(
                connection=connection.execution_options(writes=True),
                target_metadata=metadata,
                render_as_batch=database.is_sqlite,
            )
            with context.begin_transaction():
                context.run_migrations()
            connection.commit()
    finally:
        database.close()


run()
