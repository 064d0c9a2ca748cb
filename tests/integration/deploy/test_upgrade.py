"""An old database, brought to the newest schema: its rows are kept, and the steps make of them what they always do."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from psycopg import sql

from include.deploy.checksums import checksums, differences
from include.local import postgres
from include.sql.analytics import run_steps
from include.sql.schema import migrate as migration
from tests.integration.analytics.raw_rows import AS_OF, BEGIN, account, api, extended, insert
from tests.integration.deploy.conftest import LISTENERS, fill, listener_tables

FIRST = "0003"  # roles and rights are there: the first that could be used


def alembic_config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(migration.__file__).parent))
    return config


REVISIONS = [
    revision.revision
    for revision in ScriptDirectory.from_config(alembic_config()).walk_revisions()
    if revision.revision >= FIRST and not revision.is_head
]


@pytest.fixture
def old_database(pg_socket, request) -> Iterator[str]:
    """Name of a database at the revision that the test is parametrized with."""
    name = f"listening_{request.param}"
    postgres.create_database(pg_socket, name, owner="listening_owner")
    engine = sa.create_engine(postgres.sqlalchemy_url(pg_socket, name, "listening_owner"), poolclass=sa.NullPool)
    with engine.connect() as connection:
        config = alembic_config()
        config.attributes["connection"] = connection
        command.upgrade(config, request.param)
    yield name
    postgres.drop_database(pg_socket, name)


def upgrade(pg_socket, database: str) -> None:
    engine = sa.create_engine(postgres.sqlalchemy_url(pg_socket, database, "listening_owner"), poolclass=sa.NullPool)
    migration.migrate(engine)


def connect(pg_socket, database: str, role: str = "listening_owner") -> psycopg.Connection:
    return psycopg.connect(postgres.conninfo(pg_socket, database, role), autocommit=True)


def rows_of(connection: psycopg.Connection, tables: list[tuple[str, str]]) -> dict[str, int]:
    count = "select count(*) from {} where user_id = any(%s)"
    return {
        f"{schema}.{table}": connection.execute(
            sql.SQL(count).format(sql.Identifier(schema, table)), [list(LISTENERS)]
        ).fetchone()[0]
        for schema, table in tables
    }


@pytest.mark.parametrize("old_database", REVISIONS, indirect=True)
def test_from_every_revision_all_rows_are_kept(pg_socket, old_database):
    with connect(pg_socket, old_database) as connection:
        for listener in LISTENERS:
            connection.execute("insert into listeners (user_id, display_name) values (%s, 'name')", [listener])
            for schema, table in listener_tables(connection):
                fill(connection, schema, table, listener)
        tables = listener_tables(connection)
        before = rows_of(connection, tables)
        assert all(before.values())
        upgrade(pg_socket, old_database)
        assert rows_of(connection, tables) == before


@pytest.mark.parametrize("old_database", [FIRST], indirect=True)
def test_old_raw_rows_give_what_new_ones_give(pg_socket, old_database, database):
    plays = [
        make(BEGIN + timedelta(days=day, minutes=4 * number), track)
        for day in (0, 1, 40)
        for number, track in enumerate(["a", "ab", "b", "a", "c"])
        for make in (extended, api, account)
    ]
    for name in (old_database, database):
        with connect(pg_socket, name, "listening_writer") as connection:
            connection.execute(
                "insert into listeners (user_id, display_name, time_zone) values ('ada', 'Ada', 'Asia/Tokyo')"
            )
            insert(connection, plays)
        upgrade(pg_socket, name)
        with connect(pg_socket, name, "listening_writer") as connection:
            run_steps(connection, as_of=AS_OF)
            connection.execute("select * from staging.publish()")
    with connect(pg_socket, database) as new, connect(pg_socket, old_database) as old:
        expected, found = (
            {
                name: table
                for name, table in checksums(one).items()
                if name.startswith(("staging.", "analytics.")) and name != "staging.layers"
            }
            for one in (new, old)
        )
    assert expected["analytics.listening_events"]["rows"] == 15
    assert differences(expected, found) == []
