"""What Alembic runs for each upgrade: the steps in ``versions/``, inside the transaction of whoever asked."""

from __future__ import annotations

from alembic import context
from sqlalchemy import Connection


def upgrade(connection: Connection) -> None:
    """Apply the missing steps. The caller holds the write lock, commits, and rolls back on failure."""
    context.configure(connection=connection, transactional_ddl=False)
    context.run_migrations()


# Alembic runs this file under this name; whatever else imports it (a doctest, a checker) migrates nothing.
if __name__ == "env_py":
    upgrade(context.config.attributes["connection"])
