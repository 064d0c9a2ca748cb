"""Brings a listening database to the newest schema: each of `versions` once, in order, in its own transaction."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import command, op
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

FOLDER = Path(__file__).parent
MIGRATION_LOCK = 7_461_001  # any constant: two runs that migrate at once wait for each other
# The last of the revisions that the baseline replaces, and what makes a database of it equal to one of the baseline.
BEFORE_BASELINE, BASELINE = "0190", "0001"
BRIDGE = FOLDER / "baseline" / "bridge" / "from_0190.sql"


class UnknownRevisionError(RuntimeError):
    """The database is at a revision that this version of the project does not know."""


def run_sql_file(file: Path) -> None:
    """Execute a file of any number of statements, without parameter substitution, in the revision's transaction."""
    _execute(op.get_bind(), file)


def run_sql_of(revision_file: str) -> None:
    """Execute the SQL file that stands beside a revision and bears its name."""
    run_sql_file(Path(revision_file).with_suffix(".sql"))


def migrate(engine: sa.Engine, to: str = "head") -> tuple[str | None, str | None]:
    """Apply what is missing.

    :param engine: connected as the role that owns the schema (`listening_owner`).
    :param to: the revision to stop at.
    :return: the revision before and after; before is None for an empty database.
    :raises UnknownRevisionError: the database is older than the baseline's predecessor, or newer than this project.
    :raises sqlalchemy.exc.SQLAlchemyError: a revision failed; the database is at the last one that succeeded.
    """
    config = alembic_config()
    with engine.connect() as guard, engine.connect() as connection:
        guard.execute(sa.text("select pg_advisory_lock(:key)"), {"key": MIGRATION_LOCK})
        before = _revision(connection)
        if before == BEFORE_BASELINE:
            with connection.begin():
                _execute(connection, BRIDGE)
                connection.execute(sa.text("update alembic_version set version_num = :new"), {"new": BASELINE})
        elif before is not None and before not in _known(config):
            raise UnknownRevisionError(
                f"The listening database is at revision {before}, which this version does not know. If that is older"
                f" than {BEFORE_BASELINE}, run `prepare_schema` once with the commit of"
                " 25 November 2026 that has revisions up to it, then with this one."
            )
        config.attributes["connection"] = connection
        command.upgrade(config, to)
        connection.rollback()
        after = _revision(connection)
    return before, after


def alembic_config() -> Config:
    """Alembic's settings: where the revisions are."""
    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    return config


def _known(config: Config) -> set[str]:
    return {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}


def _revision(connection: sa.Connection) -> str | None:
    revision = MigrationContext.configure(connection).get_current_revision()
    connection.rollback()
    return revision


def _execute(connection: sa.Connection, file: Path) -> None:
    connection.execution_options(no_parameters=True).exec_driver_sql(file.read_text())
