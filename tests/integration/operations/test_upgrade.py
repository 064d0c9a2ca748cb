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

from include.operations.checksums import checksums, differences
from include.sql.schema import migrate as migration
from include.stack.local import postgres
from tests.integration.analytics.raw_rows import AS_OF, BEGIN, account, api, extended, insert
from tests.integration.operations.conftest import LISTENERS, fill, listener_tables
from tests.support.steps import run_steps

FIRST = "0003"  # with roles and rights: the first revision that could be used
COMPARED = ("staging.", "analytics.")
NOT_COMPARED = {"staging.layers"}  # when something was published


@pytest.fixture
def old_engine(pg_socket) -> Iterator[sa.Engine]:
    """A database at the first revision, as its owner."""
    postgres.create_database(pg_socket, "listening_old", owner="listening_owner")
    url = postgres.sqlalchemy_url(pg_socket, "listening_old", "listening_owner")
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    upgrade(engine, FIRST)
    yield engine
    postgres.drop_database(pg_socket, "listening_old")


def alembic_config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(migration.__file__).parent))
    return config


def upgrade(engine: sa.Engine, revision: str) -> None:
    with engine.connect() as connection:
        config = alembic_config()
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


def connect(pg_socket, database: str, role: str = "listening_owner") -> psycopg.Connection:
    return psycopg.connect(postgres.conninfo(pg_socket, database, role), autocommit=True)


def rows_of(connection: psycopg.Connection) -> dict[str, int]:
    count = "select count(*) from {} where user_id = any(%s)"
    return {
        f"{schema}.{table}": connection.execute(
            sql.SQL(count).format(sql.Identifier(schema, table)), [list(LISTENERS)]
        ).fetchone()[0]
        for schema, table in listener_tables(connection)
    }


def test_every_revision_keeps_the_rows_that_the_one_before_it_had(pg_socket, old_engine):
    newest_first = ScriptDirectory.from_config(alembic_config()).iterate_revisions("head", FIRST)
    kept: dict[str, int] = {}
    with connect(pg_socket, "listening_old") as connection:
        for listener in LISTENERS:
            connection.execute("insert into listeners (user_id, display_name) values (%s, 'name')", [listener])
        for revision in reversed(list(newest_first)):
            for listener in LISTENERS:
                for schema, table in listener_tables(connection):
                    fill(connection, schema, table, listener)
            before = rows_of(connection)
            assert all(before.values())
            upgrade(old_engine, revision.revision)
            after = rows_of(connection)
            # a revision may ask for work
            assert after["public.pending_days"] >= before.pop("public.pending_days")
            assert {table: after.get(table) for table in before} == before, revision.revision
            kept |= after
    assert len(kept) > 30


def test_old_raw_rows_give_what_new_ones_give(pg_socket, old_engine, database):
    plays = [
        make(BEGIN + timedelta(days=day, minutes=4 * number), track)
        for day in (0, 1, 40)
        for number, track in enumerate(["a", "ab", "b", "a", "c"])
        for make in (extended, api, account)
    ]
    sums = []
    for name in (database, "listening_old"):
        with connect(pg_socket, name, "listening_writer") as connection:
            connection.execute(
                "insert into listeners (user_id, display_name, time_zone) values ('ada', 'Ada', 'Asia/Tokyo')"
            )
            insert(connection, plays)
        if name == "listening_old":
            migration.migrate(old_engine)
        with connect(pg_socket, name, "listening_writer") as connection:
            run_steps(connection, as_of=AS_OF)
            connection.execute("select * from staging.publish()")
        with psycopg.connect(postgres.conninfo(pg_socket, name, "listening_owner")) as connection:
            found = checksums(connection)
        sums.append({table: found[table] for table in found if table.startswith(COMPARED)})
    new, old = ({table: one[table] for table in one.keys() - NOT_COMPARED} for one in sums)
    assert new["analytics.listening_events"]["rows"] == 15
    assert differences(new, old) == []
