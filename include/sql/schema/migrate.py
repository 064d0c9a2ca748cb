"""Brings a listening database to the newest schema: each `versions/*.sql` once, in order, in its own transaction."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import command, op
from alembic.config import Config
from alembic.runtime.migration import MigrationContext

HERE = Path(__file__).parent
MIGRATION_LOCK = 7_461_001  # any constant: two runs that migrate at once wait for each other


def run_sql_of(revision_file: str) -> None:
    """Execute the SQL file that stands beside a revision and bears its name, without parameter substitution."""
    sql = Path(revision_file).with_suffix(".sql").read_text()
    op.get_bind().execution_options(no_parameters=True).exec_driver_sql(sql)


def migrate(engine: sa.Engine) -> tuple[str | None, str | None]:
    """Apply what is missing; return the revision before and after.

    :param engine: connected as the role that owns the schema (`listening_owner`).
    :raises sqlalchemy.exc.SQLAlchemyError: a revision failed; the database is at the last one that succeeded.
    """
    config = Config()
    config.set_main_option("script_location", str(HERE))
    with engine.connect() as guard, engine.connect() as connection:
        guard.execute(sa.text("select pg_advisory_lock(:key)"), {"key": MIGRATION_LOCK})
        before = MigrationContext.configure(connection).get_current_revision()
        connection.rollback()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        connection.rollback()
        after = MigrationContext.configure(connection).get_current_revision()
    return before, after
