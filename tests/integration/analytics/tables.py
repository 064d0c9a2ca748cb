"""The tables that the analytics steps build, and how to compare and to empty them."""

from __future__ import annotations

import psycopg

TABLES = {
    "listening_events": "user_id, event_id",
    "excluded_events": "user_id, source, event_key",
    "listening_sessions": "user_id, session_id",
    "artist_days": "user_id, local_date, artist_name",
    "artist_totals": "user_id, artist_name",
    "track_days": "user_id, local_date, track_id",
    "track_totals": "user_id, track_id",
    "album_days": "user_id, local_date, artist_name, album_name",
    "album_totals": "user_id, artist_name, album_name",
    "listening_hours": "user_id, local_date, hour",
    "daily_trends": "user_id, local_date",
    "analytics_user_metrics": "user_id",
    "track_names": "user_id, name_id, track_id",
}


def content(connection: psycopg.Connection, schema: str = "staging") -> dict[str, list[tuple]]:
    """Rows of every table in the order of its key; track_names is not published."""
    return {
        table: connection.execute(f"select * from {schema}.{table} order by {key}").fetchall()
        for table, key in TABLES.items()
        if schema == "staging" or table != "track_names"
    }


def empty(owner: psycopg.Connection, *, raw: bool) -> None:
    """Empty what the steps build; with `raw` also what they build it from, and register `ada` in Europe/Berlin."""
    staging = owner.execute("select string_agg(format('staging.%I', table_name), ', ') from staging.published_tables")
    owner.execute(f"truncate {staging.fetchone()[0]}, staging.track_names, pending_days")
    if raw:
        owner.execute("alter table raw_listening_events disable trigger append_only")
        owner.execute(
            "truncate raw_listening_events, raw_quarantine, tracks, listeners, listener_time_zones, pending_days"
        )
        owner.execute("alter table raw_listening_events enable trigger append_only")
        owner.execute("update staging.newest_run set as_of = '-infinity'")
        owner.execute("insert into listeners (user_id, display_name, time_zone) values ('ada', 'Ada', 'Europe/Berlin')")
    owner.commit()


def mark_all(owner: psycopg.Connection) -> None:
    """Everything is to be built again."""
    owner.execute(
        "insert into pending_days select distinct 'listening_events', user_id, (played_at at time zone 'UTC')::date"
        " from raw_listening_events"
    )
    owner.commit()
