"""A life's plays as an export tells them, through the analytics steps that the ml steps read."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb

from include.demo.catalog import Track
from include.demo.listening_history import History
from tests.support.steps import run_step

STEPS = ("listening_events", "sessions", "artist_stats", "track_stats")


def fill(
    connection: psycopg.Connection, life: History, until: datetime | None = None, since: datetime | None = None
) -> str:
    """Add the life's plays that ended after `since` and by `until`, and build what the ml steps read; commits."""
    user_id = life.listener.user_id
    connection.execute(
        "insert into listeners (user_id, display_name, time_zone) values (%s, %s, %s) on conflict do nothing",
        [user_id, life.listener.display_name, life.listener.time_zone],
    )
    zone = life.listener.time_zone
    for session in life.sessions:
        if session.time_zone != zone:
            zone = session.time_zone
            begins = datetime.fromtimestamp(life.plays[session.first_play].started_ms / 1000, UTC)
            connection.execute(
                "insert into listener_time_zones values (%s, %s, %s) on conflict do nothing", [user_id, begins, zone]
            )
    days = set()
    newest = datetime.fromtimestamp(0, UTC)
    with (
        connection.cursor() as cursor,
        cursor.copy(
            "copy raw_listening_events (user_id, source, event_key, played_at, item_type, track_id, payload, run_id)"
            " from stdin"
        ) as copy,
    ):
        for number, play in enumerate(life.plays):
            ended = datetime.fromtimestamp(play.ended_ms / 1000, UTC)
            if not isinstance(play.item, Track) or (until and ended > until) or (since and ended <= since):
                continue
            days.add(ended.date())
            newest = max(newest, ended)
            track = play.item
            payload = {
                "ts": ended.isoformat(),
                "ms_played": play.ms_played,
                "master_metadata_track_name": track.name,
                "master_metadata_album_artist_name": track.artist.name,
                "master_metadata_album_album_name": track.album.name,
                "spotify_track_uri": f"spotify:track:{track.track_id}",
                "offline_timestamp": play.started_ms,
                "reason_end": play.reason_end,
                "skipped": play.skipped,
                "shuffle": play.shuffle,
            }
            copy.write_row(
                (user_id, "extended_history", UUID(int=number), ended, "track", track.track_id, Jsonb(payload), "test")
            )
    connection.execute(
        "insert into pending_days select 'listening_events', %s, unnest(%s::date[]) on conflict do nothing",
        [user_id, sorted(days)],
    )
    connection.execute("analyze raw_listening_events")
    connection.commit()
    for step in STEPS:
        run_step(connection, step, as_of=(until or newest).isoformat())
        connection.commit()
    return user_id


def run_steps(connection: psycopg.Connection, as_of: datetime) -> dict[str, dict[str, int]]:
    """All ml steps in the DAG's order; step name → its summary."""
    from ml.features.session_features import build_session_features
    from ml.features.user_features import build_user_features
    from ml.personas.personas import label_personas
    from ml.personas.session_clusters import cluster_sessions
    from ml.playlists.cooccurrence import artist_cooccurrence
    from ml.playlists.playlists import generate_playlists

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
