"""The listening database, as Airflow's connections describe it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    import psycopg

LISTENING_DB = "listening_db"  # connects as the tasks' role
LISTENING_DB_OWNER = "listening_db_owner"  # connects as the schema's owner; only migrations use it


def connect(conn_id: str = LISTENING_DB) -> psycopg.Connection:
    """Open a connection. Used with `with`, it commits at the end, or rolls back after an error, and closes."""
    from airflow.providers.postgres.hooks.postgres import PostgresHook

    return cast("psycopg.Connection", PostgresHook(conn_id).get_conn())


def migrate_listening_db(conn_id: str = LISTENING_DB_OWNER) -> dict[str, str | None]:
    """Migrate the listening database to the newest schema; return the revision before and after."""
    import sqlalchemy as sa

    from include.sql.schema.migrate import migrate

    # A creator, because the hook's own URL cannot say that the host is a socket's folder.
    engine = sa.create_engine("postgresql+psycopg://", creator=partial(connect, conn_id))
    try:
        before, after = migrate(engine)
    finally:
        engine.dispose()
    return {"before": before, "after": after}
