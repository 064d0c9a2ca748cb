"""A database with life in it: two listeners in every table that knows listeners."""

from __future__ import annotations

import psycopg
import pytest
from psycopg import sql

LISTENERS = ("ada-of-test", "bob-of-test")

# A value for every not-null column, by type; text columns get the listener's name: a trace of it would be found.
VALUES = {
    "integer": "1",
    "bigint": "1",
    "smallint": "1",
    "double precision": "1",
    "boolean": "false",
    "date": "date '2026-01-01'",
    "uuid": "md5({listener})::uuid",
    "timestamp with time zone": "timestamptz '2026-01-01T12:00:00Z'",
    "timestamp without time zone": "timestamp '2026-01-01T12:00:00'",
    "jsonb": "jsonb_build_object('who', {listener})",
    "text[]": "array[{listener}]",
    "double precision[]": "array[1.0]",
    "integer[]": "array[1]",
    "bytea": "{listener}::bytea",
}


# Where a constraint names the words there are.
WORDS = {
    ("ingested_files", "status"): "loaded",
    ("published_playlists", "status"): "published",
    ("excluded_events", "reason"): "quarantined",
    ("playlist_tracks", "kind"): "familiar",
    "source": "api",
    "item_type": "track",
    "pipeline": "recently_played",
    "time_zone": "Europe/Berlin",
}


def listener_tables(connection: psycopg.Connection) -> list[tuple[str, str]]:
    return connection.execute(
        "select table_schema, table_name from information_schema.columns join information_schema.tables"
        " using (table_schema, table_name) where column_name = 'user_id' and table_type = 'BASE TABLE'"
        " and table_schema in ('public', 'staging', 'analytics', 'ml') order by 1, 2"
    ).fetchall()


def fill(connection: psycopg.Connection, schema: str, table: str, listener: str) -> None:
    """One row about the listener, whatever the table's columns are."""
    columns = connection.execute(
        "select attname, format_type(atttypid, atttypmod) from pg_attribute where attrelid = %s::regclass"
        " and attnum > 0 and not attisdropped and (attnotnull and not atthasdef or attname = 'user_id')",
        [f"{schema}.{table}"],
    ).fetchall()
    who = sql.Literal(listener)
    values = [
        sql.Literal(WORDS.get((table, name)) or WORDS.get(name, listener))
        if kind == "text"
        else sql.SQL(VALUES[kind]).format(listener=who)
        for name, kind in columns
    ]
    connection.execute(
        sql.SQL("insert into {} ({}) values ({}) on conflict do nothing").format(
            sql.Identifier(schema, table),
            sql.SQL(", ").join(sql.Identifier(name) for name, _ in columns),
            sql.SQL(", ").join(values),
        )
    )


@pytest.fixture
def lived_in(owner_conninfo: str) -> str:
    """Conninfo of the owner, of a database where both LISTENERS are in every table."""
    with psycopg.connect(owner_conninfo) as connection:
        for listener in LISTENERS:
            connection.execute(
                "insert into listeners (user_id, display_name, connection_id) values (%s, %s, %s)",
                [listener, f"Display {listener}", f"connection of {listener}"],
            )
            connection.execute(
                "insert into spotify_tokens values (%s, %s)", [f"connection of {listener}", listener.encode()]
            )
            for track_id in (f"track of {listener}", "track of both"):
                connection.execute(
                    "insert into raw_listening_events (user_id, source, event_key, played_at, item_type, track_id,"
                    " payload, run_id) values (%s, 'api', gen_random_uuid(), '2026-01-01T12:00:00Z', 'track', %s,"
                    " jsonb_build_object('who', %s::text), 'run')",
                    [listener, track_id, listener],
                )
                connection.execute(
                    "insert into tracks (track_id, track_name, artist_id, artist_name, payload)"
                    " values (%s, 'name', %s, 'artist', '{}') on conflict do nothing",
                    [track_id, f"artist of {track_id}"],
                )
                connection.execute(
                    "insert into artists (artist_id, artist_name, payload) values (%s, 'artist', '{}')"
                    " on conflict do nothing",
                    [f"artist of {track_id}"],
                )
                connection.execute(
                    "insert into audio_features (track_id, source, status) values (%s, 'spotify', 'found')"
                    " on conflict do nothing",
                    [track_id],
                )
                connection.execute(
                    "insert into heard_tracks values (%s, 1) on conflict (track_id) do update"
                    " set plays = heard_tracks.plays + 1",
                    [track_id],
                )
            for schema, table in listener_tables(connection):
                fill(connection, schema, table, listener)
        connection.execute(
            "insert into qa_validation_results (run_id, scan, check_id, table_name, check_name, check_text, outcome,"
            " severity, message) values ('run', 'raw', 'c', 't', 'n', 'x', 'FAIL', 'critical', %s)",
            [f"{LISTENERS[0]} has a row of the future"],
        )
    return owner_conninfo
