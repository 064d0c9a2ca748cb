"""A database of the last revision before the baseline (0190) becomes the same schema that a new one has, and keeps its
rows; so does one of every revision since."""

from __future__ import annotations

import gzip
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa
from alembic import command
from alembic.script import ScriptDirectory
from psycopg import sql

from include.operations.checksums import checksums, differences
from include.operations.postgres_programs import postgres_program
from include.sql.schema.migrate import BASELINE, UnknownRevisionError, alembic_config, migrate
from include.stack.local import postgres
from tests.integration.analytics.raw_rows import AS_OF, BEGIN, account, api, extended, insert
from tests.integration.operations.conftest import LISTENERS, fill, listener_tables
from tests.support.steps import run_steps

OLD = "listening_old"
DUMP_OF_0190 = Path(__file__).with_name("revision_0190.sql.gz")  # of an empty database, by pg_dump
COMPARED = ("staging.", "analytics.")
# When something was published; changes are counted on from where the counter stood.
NOT_COMPARED = {"staging.layers", "staging.layer_changes"}


@pytest.fixture
def old_engine(pg_socket) -> Iterator[sa.Engine]:
    """An empty database of revision 0190, as its owner."""
    postgres.create_database(pg_socket, OLD, owner="listening_owner")
    psql = [
        postgres_program("psql"),
        "-qX",
        "-v",
        "ON_ERROR_STOP=1",
        postgres.conninfo(pg_socket, OLD, "listening_owner"),
    ]
    subprocess.run(psql, input=gzip.decompress(DUMP_OF_0190.read_bytes()), check=True, stdout=subprocess.DEVNULL)
    engine = sa.create_engine(postgres.sqlalchemy_url(pg_socket, OLD, "listening_owner"), poolclass=sa.NullPool)
    yield engine
    postgres.drop_database(pg_socket, OLD)


def upgrade(engine: sa.Engine, revision: str) -> None:
    if revision == BASELINE:
        migrate(engine, to=BASELINE)
        return
    with engine.connect() as connection:
        config = alembic_config()
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


def connect(pg_socket, database: str, role: str = "listening_owner") -> psycopg.Connection:
    return psycopg.connect(postgres.conninfo(pg_socket, database, role), autocommit=True)


def schema_of(pg_socket, database: str) -> str:
    dump = [postgres_program("pg_dump"), "--schema-only", postgres.conninfo(pg_socket, database, "listening_owner")]
    lines = subprocess.run(dump, check=True, capture_output=True, text=True).stdout.splitlines()
    # Where a key, new with each dump, guards against meta-commands.
    return "\n".join(line for line in lines if not line.startswith(("\\restrict", "\\unrestrict")))


def rows_of(connection: psycopg.Connection) -> dict[str, int]:
    count = "select count(*) from {} where user_id = any(%s)"
    return {
        f"{schema}.{table}": connection.execute(
            sql.SQL(count).format(sql.Identifier(schema, table)), [list(LISTENERS)]
        ).fetchone()[0]
        for schema, table in listener_tables(connection)
    }


def test_an_old_database_and_a_new_one_end_with_the_same_schema(pg_socket, old_engine, database):
    migrate(old_engine)
    assert schema_of(pg_socket, OLD).split("\n") == schema_of(pg_socket, database).split("\n")


def test_every_revision_keeps_the_rows_that_the_one_before_it_had(pg_socket, old_engine):
    newest_first = ScriptDirectory.from_config(alembic_config()).walk_revisions()
    kept: dict[str, int] = {}
    with connect(pg_socket, OLD) as connection:
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
    for name in (database, OLD):
        with connect(pg_socket, name, "listening_writer") as connection:
            connection.execute(
                "insert into listeners (user_id, display_name, time_zone) values ('ada', 'Ada', 'Asia/Tokyo')"
            )
            insert(connection, plays)
        if name == OLD:
            migrate(old_engine)
        with connect(pg_socket, name, "listening_writer") as connection:
            run_steps(connection, as_of=AS_OF)
            connection.execute("select * from staging.publish()")
        with psycopg.connect(postgres.conninfo(pg_socket, name, "listening_owner")) as connection:
            found = checksums(connection)
        sums.append({table: found[table] for table in found if table.startswith(COMPARED)})
    new, old = ({table: one[table] for table in one.keys() - NOT_COMPARED} for one in sums)
    assert new["analytics.listening_events"]["rows"] == 15
    assert differences(new, old) == []


@pytest.mark.parametrize("revision", ["0170", "9999"])
def test_a_revision_nobody_knows_is_refused_with_what_to_do(pg_socket, old_engine, revision):
    with connect(pg_socket, OLD) as connection:
        connection.execute("update alembic_version set version_num = %s", [revision])
        with pytest.raises(UnknownRevisionError, match=revision):
            migrate(old_engine)
        assert connection.execute("select version_num from alembic_version").fetchone() == (revision,)
