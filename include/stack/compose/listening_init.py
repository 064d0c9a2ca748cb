"""Prepares the listening database of a server with passwords: roles, database, rights to connect, newest schema.

`python -m include.stack.compose.listening_init` runs before every start. Running it again changes only the passwords,
which are set to those of the secrets. For a server of your own, set PGHOST, PGPORT and PGUSER (a superuser).
"""

from __future__ import annotations

import os

import psycopg
import sqlalchemy as sa
from psycopg import sql

from include.operations.listening_database import LISTENING_DATABASE, ROLES, ROLES_SQL
from include.operations.secrets import LISTENING_HOST, SECRETS
from include.sql.schema.migrate import migrate


def prepare(
    server: str, passwords: dict[str, str], database: str = LISTENING_DATABASE
) -> tuple[str | None, str | None]:
    """Create what is missing and migrate the schema; return its revision before and after.

    :param server: libpq conninfo of a superuser, without a database.
    :param passwords: by role, for each of the three.
    :raises psycopg.Error, sqlalchemy.exc.SQLAlchemyError: the server refused.
    """
    with psycopg.connect(server, dbname="postgres", autocommit=True) as connection:
        connection.execute(ROLES_SQL.read_text())
        for role, password in passwords.items():
            # Hashed here, so that no log of the server ever holds the password.
            hashed = connection.pgconn.encrypt_password(password.encode(), role.encode(), b"scram-sha-256").decode()
            connection.execute(sql.SQL("alter role {} password {}").format(sql.Identifier(role), sql.Literal(hashed)))
        exists = connection.execute("select from pg_database where datname = %s", [database]).fetchone()
        if exists is None:
            connection.execute(sql.SQL("create database {} owner listening_owner").format(sql.Identifier(database)))
        for statement in (
            "revoke all on database {} from public",
            "grant connect, temporary on database {} to listening_writer",
            "grant connect on database {} to listening_reader",
        ):
            connection.execute(sql.SQL(statement).format(sql.Identifier(database)))

    def connect_as_owner() -> psycopg.Connection:
        return psycopg.connect(server, dbname=database, user="listening_owner", password=passwords["listening_owner"])

    engine = sa.create_engine("postgresql+psycopg://", creator=connect_as_owner, poolclass=sa.NullPool)
    return migrate(engine)


def main() -> None:
    folder = SECRETS / "listening-init"
    server = psycopg.conninfo.make_conninfo(
        host=os.environ.get("PGHOST", LISTENING_HOST),
        port=os.environ.get("PGPORT", "5432"),
        user=os.environ.get("PGUSER", "postgres"),
        password=(folder / "postgres_password").read_text(),
    )
    before, after = prepare(server, {role: (folder / f"{role}_password").read_text() for role in ROLES})
    print(f"Listening database ready, schema revision: {before or 'none'} -> {after}")


if __name__ == "__main__":
    main()
