"""An empty table that gets many rows is filled without its indexes, which are back in the same transaction."""

from __future__ import annotations

from datetime import timedelta

import psycopg
import pytest

from tests.integration.analytics.raw_rows import AS_OF, BEGIN, account, api, extended, insert
from tests.integration.analytics.tables import content, empty, mark_all
from tests.support.steps import run_steps, statements

MANY = 1_000_000
ROWS = [
    row
    for number in range(40)
    for row in (
        extended(BEGIN + timedelta(hours=number), "abc"[number % 3] * (1 + number % 2)),
        api(BEGIN + timedelta(hours=number, minutes=9), "b"),
        account(BEGIN + timedelta(hours=number, minutes=20), "c"),
    )
]


def indexes(connection: psycopg.Connection, table: str) -> list[str]:
    found = connection.execute(
        "select indexdef from pg_indexes where schemaname = 'staging' and tablename = %s order by 1", [table]
    )
    return [definition for (definition,) in found]


def key(connection: psycopg.Connection, table: str) -> list[tuple]:
    return connection.execute(
        "select conname, pg_get_constraintdef(oid) from pg_constraint where conrelid = %s::regclass and contype = 'p'",
        [f"staging.{table}"],
    ).fetchall()


@pytest.mark.parametrize("table", ["listening_events", "track_days", "track_totals", "album_totals"])
def test_indexes_are_gone_while_filling_and_then_as_before(connection, table):
    before = indexes(connection, table), key(connection, table)
    with connection.transaction():
        connection.execute("select staging.begin_fill(%s, %s)", [table, MANY])
        assert indexes(connection, table) == []
        connection.execute("select staging.end_fill(%s)", [table])
    assert (indexes(connection, table), key(connection, table)) == before
    assert len(before[0]) >= 2 or table == "album_totals"


def test_few_rows_or_a_table_that_has_rows_keep_the_indexes(connection):
    before = indexes(connection, "track_days")
    connection.execute("select staging.begin_fill('track_days', 10)")
    assert indexes(connection, "track_days") == before
    insert(connection, [extended(BEGIN)])
    run_steps(connection, as_of=AS_OF)
    assert connection.execute("select count(*) from staging.track_days").fetchone() == (1,)
    connection.execute("select staging.begin_fill('track_days', %s)", [MANY])
    assert indexes(connection, "track_days") == before


def test_nobody_is_waited_for(connection, writer_conninfo):
    before = indexes(connection, "track_days")
    with psycopg.connect(writer_conninfo) as reading:
        reading.execute("select from staging.track_days")
        connection.execute("set statement_timeout = '5s'")
        connection.execute("select staging.begin_fill('track_days', %s)", [MANY])
    assert indexes(connection, "track_days") == before


def test_definitions_cannot_be_slipped_in(connection):
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("insert into staging.dropped_indexes values ('track_days', 'x', false, 'drop schema ml')")


def fill_always(owner: psycopg.Connection) -> None:
    owner.execute("alter function staging.begin_fill(text, bigint) rename to begin_large_fill")
    owner.execute(
        f"create function staging.begin_fill(name text, added bigint) returns void language sql"
        f" as $$ select staging.begin_large_fill(name, {MANY}) $$"
    )
    owner.commit()


def test_a_table_known_as_empty_is_not_read_again_for_each_row_that_fills_it(owner_conninfo):
    with psycopg.connect(owner_conninfo) as owner:
        empty(owner, raw=True)
        owner.execute("analyze staging.listening_events")
        insert(owner, ROWS)
        fill_always(owner)
        reads = "select seq_scan from pg_stat_xact_user_tables where relid = 'staging.listening_events'::regclass"
        for statement in statements("listening_events"):
            owner.execute(statement, {"as_of": AS_OF, "session_gap_minutes": 30})
        assert owner.execute(reads).fetchone()[0] < len(ROWS) / 4
        assert owner.execute("select count(*) from staging.listening_events").fetchone()[0] > len(ROWS) / 4


def test_filled_tables_equal_those_inserted_row_by_row(owner_conninfo):
    with psycopg.connect(owner_conninfo) as owner:
        empty(owner, raw=True)
        insert(owner, ROWS)
        run_steps(owner, as_of=AS_OF)
        row_by_row = content(owner)
        empty(owner, raw=False)
        fill_always(owner)
        mark_all(owner)
        run_steps(owner, as_of=AS_OF)
        assert content(owner) == row_by_row
