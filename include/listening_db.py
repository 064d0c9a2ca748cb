"""The listening database, as Airflow's connections describe it."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    import psycopg

LISTENING_DB = "listening_db"  # the tasks' role
LISTENING_DB_OWNER = "listening_db_owner"  # owns the schema; only migrations use it


def connect(conn_id: str = LISTENING_DB) -> psycopg.Connection:
    """Open a connection. Used with `with`, it commits at the end, or rolls back after an error, and closes."""
    from airflow.providers.postgres.hooks.postgres import PostgresHook

    return cast("psycopg.Connection", PostgresHook(conn_id).get_conn())
