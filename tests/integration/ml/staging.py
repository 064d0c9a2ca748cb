"""Fills staging as the analytics steps leave it, straight from plays, so that the ml steps can be tested alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import psycopg

from include.demo.catalog import Track
from include.demo.listeners import Life

EVENT_COLUMNS = (
    "user_id, event_id, source, track_id, session_id, track_name, artist_name, album_name, time_zone, ms_played,"
    " ms_played_is_estimated, skipped, shuffle, played_at, started_at, local_started_at, local_date"
)
# plays_30s, heard
COUNTS = "count(*) filter (where ms_played >= 30000), count(*) filter (where not skipped)"
AGGREGATES = {
    "listening_sessions": """
        insert into staging.listening_sessions
        select user_id, session_id, count(*), count(distinct track_id), count(distinct artist_name),
            count(distinct (artist_name, album_name)), count(*) filter (where skipped), sum(ms_played),
            extract(epoch from max(played_at) - min(started_at)) * 1000, min(started_at), max(played_at),
            min(local_started_at), min(local_date), {counts}
        from staging.listening_events where user_id = %(user_id)s group by user_id, session_id
        on conflict (user_id, session_id) do nothing""",
    "artist_days": """
        insert into staging.artist_days
        select user_id, local_date, artist_name, count(*), count(*) filter (where skipped), sum(ms_played),
            min(played_at), max(played_at), {counts}
        from staging.listening_events where user_id = %(user_id)s group by 1, 2, 3""",
    "track_days": """
        insert into staging.track_days
        select user_id, local_date, track_id, count(*), count(*) filter (where skipped), sum(ms_played), min(played_at),
            max(played_at), {counts}
        from staging.listening_events where user_id = %(user_id)s group by 1, 2, 3""",
    "track_totals": """
        insert into staging.track_totals
        select user_id, track_id, min(track_name), min(artist_name), min(album_name), count(*),
            count(*) filter (where skipped), count(distinct local_date), sum(ms_played), min(played_at), max(played_at),
            min(local_date), max(local_date), {counts}
        from staging.listening_events where user_id = %(user_id)s group by 1, 2""",
}
READERS = ("session_features", "user_features", "artist_cooccurrence", "playlists")


def fill(
    connection: psycopg.Connection, life: Life, until: datetime | None = None, since: datetime | None = None
) -> str:
    """Add the life's plays that ended after `since` and by `until`, rebuild the aggregates, mark the new days;
    commits."""
    user_id = life.listener.user_id
    connection.execute(
        "insert into listeners (user_id, display_name, time_zone) values (%s, %s, %s) on conflict do nothing",
        [user_id, life.listener.display_name, life.listener.time_zone],
    )
    rows, days = [], set()
    for number, play in enumerate(life.plays):
        ended = datetime.fromtimestamp(play.ended_ms / 1000, UTC)
        if not isinstance(play.item, Track) or (until and ended > until) or (since and ended <= since):
            continue
        started = datetime.fromtimestamp(play.started_ms / 1000, UTC)
        session = life.sessions[play.session]
        local = started.astimezone(ZoneInfo(session.time_zone)).replace(tzinfo=None)
        first = life.plays[session.first_play].started_ms
        days.add(datetime.fromtimestamp(first / 1000, ZoneInfo(session.time_zone)).date())
        track = play.item
        rows.append(
            (user_id, f"{number:032x}", "extended_history", track.track_id, first, track.name, track.artist.name,
             track.album.name, session.time_zone, play.ms_played, False, play.skipped, play.shuffle, ended, started,
             local, local.date())
        )  # fmt: skip
    with (
        connection.cursor() as cursor,
        cursor.copy(f"copy staging.listening_events ({EVENT_COLUMNS}) from stdin") as copy,
    ):
        for row in rows:
            copy.write_row(row)
    connection.execute("select staging.refresh_statistics('listening_events', %s)", [len(rows)])
    rebuild(connection, user_id)
    mark(connection, user_id, days)
    connection.commit()
    return user_id


def rebuild(connection: psycopg.Connection, user_id: str) -> None:
    for table, statement in AGGREGATES.items():
        if table != "listening_sessions":
            connection.execute(f"delete from staging.{table} where user_id = %s", [user_id])
        changed = connection.execute(statement.format(counts=COUNTS), {"user_id": user_id}).rowcount
        connection.execute("select staging.refresh_statistics(%s, %s)", [table, changed])


def mark(connection: psycopg.Connection, user_id: str, days: Iterable) -> None:
    for step in READERS:
        connection.execute(
            "insert into pending_days select %s, %s, unnest(%s::date[]) on conflict do nothing",
            [step, user_id, sorted(days)],
        )


def run_steps(connection: psycopg.Connection, as_of: datetime) -> dict[str, dict[str, int]]:
    """All ml steps in the DAG's order; step name → its summary."""
    from ml.cooccurrence import artist_cooccurrence
    from ml.personas import label_personas
    from ml.playlists import generate_playlists
    from ml.session_clusters import cluster_sessions
    from ml.session_features import build_session_features
    from ml.user_features import build_user_features

    steps: tuple[Callable, ...] = (
        build_session_features,
        build_user_features,
        cluster_sessions,
        label_personas,
        artist_cooccurrence,
        generate_playlists,
    )
    return {step.__name__: step(connection, as_of=as_of) for step in steps}


RESULTS = (
    "session_features", "user_features", "clustering_models", "session_clusters", "personas", "session_artists",
    "artist_cooccurrence", "playlists", "playlist_tracks",
)  # fmt: skip


def snapshot(
    connection: psycopg.Connection, tables: Iterable[str] = RESULTS, with_xmin: bool = False
) -> dict[str, list]:
    """Every row of the tables, in order; with_xmin also the transaction that wrote it, so that a rewrite shows."""
    columns = "t.*, t.xmin::text" if with_xmin else "t.*"
    return {
        table: connection.execute(f"select {columns} from staging.{table} t order by t::text").fetchall()
        for table in tables
    }
