"""Forgetting a listener: no trace of them anywhere, nobody else touched, and only by the audited way."""

from __future__ import annotations

import psycopg
import pytest
from psycopg import sql

from tests.integration.operations.conftest import LISTENERS, listener_tables

ADA, BOB = LISTENERS


def rows_that_mention(connection: psycopg.Connection, text: str) -> dict[str, int]:
    tables = connection.execute(
        "select table_schema, table_name from information_schema.tables where table_type = 'BASE TABLE'"
        " and table_schema in ('public', 'staging', 'analytics', 'ml')"
    ).fetchall()
    found = {}
    for schema, table in tables:
        statement = sql.SQL(
            "select count(*) from {} t where position(%(text)s in t::text) > 0"
            " or position(encode(%(text)s::bytea, 'hex') in t::text) > 0"
        ).format(sql.Identifier(schema, table))
        (count,) = connection.execute(statement, {"text": text}).fetchone()
        if count:
            found[f"{schema}.{table}"] = count
    return found


def test_no_trace_of_the_forgotten_and_nothing_of_others_changed(lived_in):
    with psycopg.connect(lived_in, autocommit=True) as connection:
        tables = {f"{schema}.{table}" for schema, table in listener_tables(connection)}
        assert set(rows_that_mention(connection, ADA)) >= tables
        of_bob = rows_that_mention(connection, BOB)
        removed = connection.execute("select forget_listener(%s)", [ADA]).fetchone()[0]
        assert rows_that_mention(connection, ADA) == {}
        assert rows_that_mention(connection, BOB) == of_bob
        assert set(removed) == tables
        assert connection.execute("select track_id, plays from heard_tracks order by 1").fetchall() == [
            ("track of bob-of-test", 1),
            ("track of both", 1),
        ]
        for table in ("tracks", "audio_features"):
            tracks = connection.execute(
                sql.SQL("select track_id from {} order by 1").format(sql.Identifier(table))
            ).fetchall()
            assert tracks == [("track of bob-of-test",), ("track of both",)]


def test_the_audit_row_says_when_who_and_how_much_and_stays(lived_in):
    with psycopg.connect(lived_in, autocommit=True) as connection:
        removed = connection.execute("select forget_listener(%s)", [ADA]).fetchone()[0]
        audit = connection.execute(
            "select forgotten_by, removed_rows, now() - forgotten_at < '1 minute' from forgotten_listeners"
        ).fetchall()
        assert audit == [("listening_owner", removed, True)]
        for statement in ("update forgotten_listeners set removed_rows = '{}'", "delete from forgotten_listeners"):
            with pytest.raises(psycopg.errors.RaiseException, match="append-only"):
                connection.execute(statement)


def test_a_permit_for_one_listener_removes_nobody_else(lived_in):
    with psycopg.connect(lived_in) as connection:
        connection.execute("insert into forgotten_listeners default values")
        connection.execute("select set_config('listening.forgetting', %s, true)", [ADA])
        connection.execute("delete from raw_listening_events where user_id = %s", [ADA])
        with pytest.raises(psycopg.errors.RaiseException, match="append-only"):
            connection.execute("delete from raw_listening_events where user_id = %s", [BOB])


def test_the_setting_alone_or_an_old_audit_row_permits_nothing(lived_in):
    with psycopg.connect(lived_in, autocommit=True) as connection:
        connection.execute("select forget_listener(%s)", [ADA])
        connection.execute("select set_config('listening.forgetting', %s, false)", [BOB])
        with pytest.raises(psycopg.errors.RaiseException, match="append-only"):
            connection.execute("delete from raw_listening_events where user_id = %s", [BOB])


@pytest.mark.parametrize("role", ["writer", "reader"])
def test_only_the_owner_may_forget(lived_in, role, request):
    with (
        psycopg.connect(request.getfixturevalue(f"{role}_conninfo")) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute("select forget_listener(%s)", [ADA])


def test_a_stranger_is_an_error_and_leaves_no_audit_row(lived_in):
    with psycopg.connect(lived_in, autocommit=True) as connection:
        with pytest.raises(psycopg.errors.RaiseException, match="Nobody is known as nobody"):
            connection.execute("select forget_listener('nobody')")
        assert connection.execute("select count(*) from forgotten_listeners").fetchone() == (0,)
