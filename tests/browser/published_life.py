"""Plausible published tables for the dashboards' tests, without the pipeline: four invented listeners, deterministic.

ada has long history and everything; bea less, with a gap and a failed import; carl no audio features; dora 12 plays
and no personas. Aggregates are derived from the generated plays in SQL, so that pages can be compared with the tables.
"""

from __future__ import annotations

import datetime as dt
import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import psycopg

from include.local import postgres

AS_OF = dt.date(2026, 6, 30)
HOSTILE_TRACK = "<script>alert('x')</script> & \"Quotes\""


@dataclass(frozen=True)
class Listener:
    user_id: str
    display_name: str
    time_zone: str
    days: int
    plays_a_day: float
    audio_coverage: float


LISTENERS = [
    Listener("ada", "Ada", "Europe/Berlin", 900, 34, 0.7),
    Listener("bea", "Bea", "America/New_York", 420, 18, 0.6),
    Listener("carl", "Carl", "Australia/Sydney", 200, 14, 0.0),
    Listener("dora", "Dora", "Europe/London", 3, 4, 0.0),
]

PERSONAS = [
    # label, start hour, spread, plays, artists' part of the catalogue, weekend share
    ("Morning commuter", 8, 0.7, 9, (0, 25), 0.05),
    ("Deep-focus afternoons", 14, 1.5, 22, (20, 60), 0.1),
    ("Late-night explorer", 22.5, 1.2, 16, (40, 140), 0.5),
    ("Weekend long-player", 11, 2.0, 30, (10, 45), 0.95),
]
FIRST = [
    "Velvet",
    "Paper",
    "Silver",
    "Northern",
    "Hollow",
    "Quiet",
    "Electric",
    "Golden",
    "Distant",
    "Glass",
    "Wild",
    "Slow",
    "Crimson",
    "Lunar",
    "Salt",
    "Amber",
]
SECOND = [
    "Harbour",
    "Foxes",
    "Meridian",
    "Gardens",
    "Signal",
    "Tigers",
    "Orchard",
    "Static",
    "Rivers",
    "Parade",
    "Winter",
    "Saints",
    "Avenue",
    "Choir",
    "Machine",
]
WORDS = [
    "Light",
    "Rain",
    "Tomorrow",
    "Concrete",
    "Echo",
    "Falling",
    "Home",
    "Lantern",
    "Paper",
    "Summer",
    "Ghosts",
    "Tide",
    "Motor",
    "Honey",
    "Blue",
    "Window",
    "Ashes",
]


def artist_name(number: int) -> str:
    return f"{FIRST[number % len(FIRST)]} {SECOND[(number // len(FIRST) + number) % len(SECOND)]}"


def plays_of(listener: Listener, seed: int = 7) -> pd.DataFrame:
    """One row per play: session type, session start (local), track, artist, album, ms_played, skipped."""
    random = np.random.default_rng([seed, sum(listener.user_id.encode())])
    zone = ZoneInfo(listener.time_zone)
    rows: list[tuple] = []
    for offset in range(listener.days - 1, -1, -1):
        date = AS_OF - dt.timedelta(days=offset)
        growth = 0.75 + 0.5 * np.sin(offset / 58) ** 2
        wanted = random.poisson(listener.plays_a_day * growth) if random.random() > 0.05 else 0
        busy_until = 0.0
        while wanted > 0:
            weekend = date.weekday() >= 5
            weights = [share if weekend else 1 - share for *_, share in PERSONAS]
            kind = int(random.choice(len(PERSONAS), p=np.array(weights) / sum(weights)))
            _, hour, spread, plays, (low, high), _ = PERSONAS[kind]
            start_hour = float(random.normal(hour, spread))
            start_hour = min(max(start_hour, busy_until + 0.75), 23.4)
            if start_hour < busy_until + 0.6:
                break
            local = dt.datetime.combine(date, dt.time(), zone) + dt.timedelta(hours=start_hour)
            length = max(2, int(random.poisson(plays)))
            started = local
            for _ in range(min(length, wanted)):
                # What someone discovers grows with time: late days reach further into the catalogue.
                reach = low + 1 + (high - low) * (1 - offset / (listener.days * 1.25))
                artist = int(low + (reach - low) * random.beta(0.9, 2.4))
                album = int(random.integers(3))
                track = int(min(random.geometric(0.22), 11)) - 1
                duration = 150_000 + (artist * 7919 + album * 31 + track * 977) % 170_000
                skipped = random.random() < 0.12
                ms = int(duration * random.uniform(0.02, 0.3)) if skipped else duration
                rows.append((kind, local, started, artist, album, track, duration, ms, skipped))
                started = started + dt.timedelta(milliseconds=ms + 2000)
            wanted -= length
            busy_until = (started - dt.datetime.combine(date, dt.time(), zone)) / dt.timedelta(hours=1)
    frame = pd.DataFrame(
        rows,
        columns=["kind", "session", "started_at", "artist", "album", "track", "duration_ms", "ms_played", "skipped"],
    )
    if listener.user_id == "dora":
        frame = frame.head(12)
    return frame


def write_published_life(connection: psycopg.Connection) -> None:
    """Fill the published and health tables for all listeners; commits."""
    for listener in LISTENERS:
        _write_listener(connection, listener)
    _write_health(connection)
    connection.commit()


@contextmanager
def published_life_database(socket_dir: Path, template: str, name: str) -> Iterator[str]:
    """A database with the published life of all invented listeners, while the block runs."""
    postgres.create_database(socket_dir, name, owner="listening_owner", template=template)
    with psycopg.connect(postgres.conninfo(socket_dir, name, "listening_writer")) as connection:
        write_published_life(connection)
    yield name
    postgres.drop_database(socket_dir, name)


def _write_listener(connection: psycopg.Connection, listener: Listener) -> None:
    user_id = listener.user_id
    connection.execute(
        (
            "insert into listeners (user_id, display_name, time_zone, connection_id, authorized_at) values (%s, "
            "%s, %s, %s, %s)"
        ),
        [
            user_id,
            listener.display_name,
            listener.time_zone,
            f"spotify_{user_id}",
            dt.datetime(2026, 1, 20, 9, tzinfo=dt.UTC),
        ],
    )
    plays = plays_of(listener)
    with connection.cursor().copy(
        "copy analytics.listening_events (user_id, event_id, source, track_id, session_id, track_name, "
        "artist_name, album_name,"
        " time_zone, ms_played, ms_played_is_estimated, skipped, shuffle, played_at, started_at, "
        "local_started_at, local_date)"
        " from stdin"
    ) as copy:
        for place, play in enumerate(plays.itertuples()):
            artist = artist_name(play.artist)
            track = (
                f"{WORDS[(play.artist + play.track * 3 + play.album) % len(WORDS)]} "
                f"{WORDS[(play.artist * 5 + play.track) % len(WORDS)]}"
            )
            if (play.artist, play.album, play.track) == (2, 0, 0):
                track = HOSTILE_TRACK
            copy.write_row(
                (
                    user_id,
                    str(uuid.uuid5(uuid.NAMESPACE_URL, f"{user_id}{place}")),
                    "extended_history" if place < len(plays) * 0.9 and user_id != "dora" else "api",
                    f"{play.artist:04d}{play.album}{play.track:02d}".rjust(22, "T"),
                    int(play.session.timestamp() * 1000),
                    track,
                    artist,
                    f"{WORDS[(play.artist * 3 + play.album * 5) % len(WORDS)]} {'I' * (play.album + 1)}",
                    listener.time_zone,
                    play.ms_played,
                    False,
                    play.skipped,
                    bool(place % 5 == 0),
                    play.started_at + dt.timedelta(milliseconds=play.ms_played),
                    play.started_at,
                    play.started_at.replace(tzinfo=None),
                    play.started_at.date(),
                )
            )
    for statement in AGGREGATES:
        connection.execute(statement, {"user_id": user_id, "as_of": AS_OF})
    if user_id != "dora":
        _write_ml(connection, listener, plays)


AGGREGATES = [
    """
    insert into tracks (track_id, track_name, artist_name, album_name, duration_ms, payload)
    select distinct on (track_id) track_id, track_name, artist_name, album_name,
        max(ms_played) over (partition by track_id), '{}'
    from analytics.listening_events where user_id = %(user_id)s
    on conflict do nothing
    """,
    """
    insert into analytics.listening_sessions
    select user_id, session_id, count(*), count(distinct track_id), count(distinct artist_name),
        count(distinct album_name),
        count(*) filter (where skipped), sum(ms_played), extract(epoch from max(played_at) - min(started_at)) * 1000,
        min(started_at), max(played_at), min(local_started_at), min(local_started_at)::date
    from analytics.listening_events where user_id = %(user_id)s group by user_id, session_id
    """,
    """
    insert into analytics.artist_days
    select user_id, local_date, artist_name, count(*), count(*) filter (where skipped), sum(ms_played),
        min(played_at), max(played_at)
    from analytics.listening_events where user_id = %(user_id)s group by 1, 2, 3
    """,
    """
    insert into analytics.artist_totals
    select user_id, artist_name, sum(plays), sum(skips), count(*), sum(ms_played), min(first_played_at),
        max(last_played_at),
        min(local_date), max(local_date)
    from analytics.artist_days where user_id = %(user_id)s group by 1, 2
    """,
    """
    insert into analytics.track_days
    select user_id, local_date, track_id, count(*), count(*) filter (where skipped), sum(ms_played),
        min(played_at), max(played_at)
    from analytics.listening_events where user_id = %(user_id)s group by 1, 2, 3
    """,
    """
    insert into analytics.track_totals
    select d.user_id, d.track_id, n.track_name, n.artist_name, n.album_name, sum(plays), sum(skips), count(*),
        sum(ms_played),
        min(first_played_at), max(last_played_at), min(local_date), max(local_date)
    from analytics.track_days d
    join (select distinct track_id, track_name, artist_name, album_name from analytics.listening_events
        where user_id = %(user_id)s) n using (track_id)
    where d.user_id = %(user_id)s group by 1, 2, 3, 4, 5
    """,
    """
    insert into analytics.album_days
    select user_id, local_date, artist_name, album_name, count(*), count(*) filter (where skipped), sum(ms_played),
        min(played_at), max(played_at)
    from analytics.listening_events where user_id = %(user_id)s group by 1, 2, 3, 4
    """,
    """
    insert into analytics.album_totals
    select user_id, artist_name, album_name, sum(plays), sum(skips), count(*), sum(ms_played), min(first_played_at),
        max(last_played_at), min(local_date), max(local_date)
    from analytics.album_days where user_id = %(user_id)s group by 1, 2, 3
    """,
    """
    insert into analytics.listening_hours
    select user_id, local_date, extract(hour from local_started_at), count(*), sum(ms_played)
    from analytics.listening_events where user_id = %(user_id)s group by 1, 2, 3
    """,
    """
    insert into analytics.daily_trends
    with days as (
        select generate_series(min(local_date), %(as_of)s::date, interval '1 day')::date as local_date
        from analytics.listening_events where user_id = %(user_id)s
    ),
    sums as (
        select local_date, count(*) as plays, count(distinct session_id) as sessions,
            count(distinct track_id) as tracks,
            count(distinct artist_name) as artists, count(*) filter (where skipped) as skips, sum(ms_played) as ms
        from analytics.listening_events where user_id = %(user_id)s group by 1
    ),
    entropy as (
        select local_date, -sum((d.plays::float8 / s.plays) * ln(d.plays::float8 / s.plays)) as nats
        from analytics.artist_days d join sums s using (local_date) where user_id = %(user_id)s group by 1
    ),
    full_days as (
        select d.local_date, coalesce(s.plays, 0) as plays, coalesce(sessions, 0) as sessions, coalesce(tracks,
            0) as tracks,
            coalesce(artists, 0) as artists, coalesce(skips, 0) as skips, coalesce(ms, 0) as ms, coalesce(nats,
                0) as nats,
            (select count(*) from analytics.track_totals t where t.user_id = %(user_id)s
                and t.first_local_date = d.local_date) as new_tracks,
            (select count(*) from analytics.artist_totals t where t.user_id = %(user_id)s
                and t.first_local_date = d.local_date) as new_artists,
            count(*) filter (where s.plays is null) over (order by d.local_date) as breaks
        from days d left join sums s using (local_date) left join entropy using (local_date)
    )
    select %(user_id)s, local_date, plays, sessions, tracks, artists, new_tracks, new_artists, skips, ms, nats,
        avg(plays) over last_7, avg(plays) over last_28, avg(ms) over last_7, avg(ms) over last_28,
        case when plays = 0 then 0 else count(*) filter (where plays > 0)
            over (partition by breaks order by local_date) end
    from full_days
    window last_7 as (order by local_date rows 6 preceding), last_28 as (order by local_date rows 27 preceding)
    """,
    """
    insert into analytics.analytics_user_metrics
    select user_id, %(as_of)s, sum(plays), sum(sessions), count(*) filter (where plays > 0),
        (select count(*) from analytics.track_totals where user_id = %(user_id)s),
        (select count(*) from analytics.artist_totals where user_id = %(user_id)s),
        sum(skips), (array_agg(streak_days order by local_date desc))[1], max(streak_days), sum(ms_played),
        sum(ms_played) filter (where local_date > %(as_of)s::date - 28),
            sum(plays) filter (where local_date > %(as_of)s::date - 28),
        avg(artist_diversity) filter (where local_date > %(as_of)s::date - 28),
        (select avg(length_ms) from analytics.listening_sessions where user_id = %(user_id)s),
        (select min(played_at) from analytics.listening_events where user_id = %(user_id)s),
        (select max(played_at) from analytics.listening_events where user_id = %(user_id)s)
    from analytics.daily_trends where user_id = %(user_id)s group by user_id
    """,
    """
    insert into analytics.excluded_events
    select user_id, 'api', gen_random_uuid(), 'same play in the export', event_id, played_at, played_at::date
    from analytics.listening_events where user_id = %(user_id)s
        and source = 'extended_history' order by event_id limit 40
    """,
]


def _write_ml(connection: psycopg.Connection, listener: Listener, plays: pd.DataFrame) -> None:
    user_id = listener.user_id
    random = np.random.default_rng(len(plays))
    sessions = plays.groupby("session").agg(
        kind=("kind", "first"),
        plays=("track", "size"),
        ms=("ms_played", "sum"),
        artists=("artist", "nunique"),
        skips=("skipped", "mean"),
    )
    feature_rows, cluster_rows = [], []
    for start, row in sessions.iterrows():
        hour = start.hour + start.minute / 60
        session_id = int(start.timestamp() * 1000)
        features = [
            row["plays"],
            row["ms"] / 60_000,
            row["artists"],
            row["plays"] * 0.9,
            np.log(row["artists"]),
            0.1,
            0.2,
            row["skips"],
            0.2,
            0.3,
        ]
        clock = [
            hour,
            np.sin(hour / 24 * 2 * np.pi),
            np.cos(hour / 24 * 2 * np.pi),
            float(start.weekday() >= 5),
            listener.audio_coverage,
        ]
        audio = (
            [*(float(random.normal(0.4 + 0.1 * row["kind"], 0.06)) for _ in range(4)), 120.0]
            if listener.audio_coverage
            else [None] * 5
        )
        feature_rows.append((user_id, session_id, start.date(), *map(float, features), *map(float, clock), *audio))
        cluster_rows.append(
            (user_id, session_id, start.date(), 1, int(row["kind"]), int(row["kind"]), float(random.gamma(2, 0.4)))
        )
    with connection.cursor() as cursor:
        with cursor.copy("copy ml.session_features from stdin") as copy:
            for feature_row in feature_rows:
                copy.write_row(feature_row)
        with cursor.copy("copy ml.session_clusters from stdin") as copy:
            for cluster_row in cluster_rows:
                copy.write_row(cluster_row)
    connection.execute(
        """
        insert into ml.clustering_models (user_id, version, is_current, k, seed, feature_names, center, scale,
            centroids, persona_ids,
            silhouette, stability, candidates, training_sessions, trained_from, trained_to, as_of, reason,
                training_distance)
        values (%(user_id)s, 1, true, 4, 42, array['plays', 'start_hour_sin'], '{0,0}', '{1,1}',
            '{0,0,0,0}', '{0,1,2,3}', 0.41, 0.93, '[]', %(sessions)s, '2024-01-12', %(as_of)s, %(as_of)s,
                'first model', 0.8)
        """,
        {"user_id": user_id, "sessions": len(sessions), "as_of": AS_OF},
    )
    time = plays.groupby("kind")["ms_played"].sum() / plays["ms_played"].sum()
    recent = plays[plays["started_at"].map(lambda at: at.date() > AS_OF - dt.timedelta(days=28))]
    recent_time = recent.groupby("kind")["ms_played"].sum() / max(recent["ms_played"].sum(), 1)
    for kind, (label, hour, _, length, _, weekend) in enumerate(PERSONAS):
        traits = {
            "words": [f"around {int(hour)} o'clock", "long" if length > 20 else "short"],
            "active": True,
            "measures": {"minutes": [length * 3.5, 60.0], "weekend": [weekend, 0.3], "skip": [0.1, None]},
        }
        connection.execute(
            "insert into ml.personas values (%s, %s, %s, %s, %s, %s, true, %s, %s, %s, %s, 1, %s, %s, %s)",
            [
                user_id,
                kind,
                label,
                f"Sessions of about {length} plays that start near {int(hour)} o'clock.",
                f"Start hour is far from the listener's mean; {length} plays a session; {weekend:.0%} on weekends.",
                json.dumps(traits),
                int((sessions["kind"] == kind).sum()),
                float((sessions["kind"] == kind).mean()),
                float(time.get(kind, 0)),
                float(recent_time.get(kind, 0)),
                AS_OF - dt.timedelta(days=40),
                "Night owl" if kind == 2 else None,
                "nearest to the last model's persona of this label",
            ],
        )
    for week, as_of in enumerate((AS_OF - dt.timedelta(days=7), AS_OF)):
        for kind, (label, *_rest) in enumerate(PERSONAS):
            playlist_id = f"{user_id}-{kind}-{as_of}"
            tracks = connection.execute(
                """
                select track_id, track_name, artist_name, album_name, plays, last_local_date
                from analytics.track_totals where user_id = %s
                order by md5(track_id || %s) limit 25
                """,
                [user_id, f"{kind}{week // 2}"],
            ).fetchall()
            tracks = tracks[week:] + tracks[:0]
            connection.execute(
                "insert into ml.playlists values (%s, %s, %s, %s, %s, %s, %s, %s)",
                [
                    user_id,
                    playlist_id,
                    kind,
                    as_of,
                    f"{label} mix",
                    f"For sessions like {label.lower()}",
                    len(tracks),
                    210_000 * len(tracks),
                ],
            )
            for position, (track_id, track_name, artist, album, n, last) in enumerate(tracks, 1):
                parts = [round(float(part), 4) for part in random.dirichlet([4, 3, 2, 1]) * (1.6 - position * 0.03)]
                connection.execute(
                    "insert into ml.playlist_tracks values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
                    [
                        user_id,
                        playlist_id,
                        position,
                        track_id,
                        track_name,
                        artist,
                        album,
                        ("familiar", "rediscovered", "new")[position % 3],
                        sum(parts),
                        *parts,
                        f"Played {n} times in sessions like this one, last on {last:%-d %b %Y}.",
                    ],
                )
    if listener.audio_coverage:
        connection.execute(
            """
            insert into audio_features (track_id, source, status, energy, valence)
            select track_id, 'reccobeats', case when random() < %s then 'found' else 'unknown' end, 0.5, 0.5
            from analytics.track_totals where user_id = %s on conflict do nothing
            """,
            [listener.audio_coverage, user_id],
        )


CHECKS = [
    ("raw", "raw_listening_events", "row_count > 0", "FAIL"),
    ("raw", "raw_listening_events", "missing_percent(track_id) < 5 %", "FAIL"),
    ("raw", "raw_listening_events", "duplicate_count(event_key) = 0", "FAIL"),
    ("analytics", "listening_events", "invalid_count(ms_played) = 0", "FAIL"),
    ("analytics", "listening_sessions", "sum(plays) = listening_events", "FAIL"),
    ("analytics", "daily_trends", "freshness(local_date) < 2d", "WARN"),
    ("ml", "session_clusters", "every session has a cluster", "FAIL"),
    ("ml", "playlist_tracks", "tracks per playlist >= 20", "WARN"),
]


def _write_health(connection: psycopg.Connection) -> None:
    for number in range(20):
        at = dt.datetime.combine(AS_OF - dt.timedelta(days=19 - number), dt.time(4, 5), dt.UTC)
        for place, (scan, table, name, severity) in enumerate(CHECKS):
            outcome = "WARN" if severity == "WARN" and number % 6 == 4 else "PASS"
            connection.execute(
                "insert into qa_validation_results values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
                [
                    f"scheduled__{at:%Y-%m-%dT%H:%M:%S}+00:00",
                    scan,
                    f"check{place}",
                    table,
                    name,
                    name,
                    outcome,
                    severity,
                    float(place * 3 + number % 4),
                    None,
                    40 + place,
                    at,
                ],
            )
    for listener in LISTENERS:
        for pipeline, status in (
            ("recently_played", "ok"),
            ("audio_features", "ok" if listener.audio_coverage else "failed"),
        ):
            connection.execute(
                "insert into ingestion_state (pipeline, user_id, last_played_at, status, message, run_id, updated_at)"
                " values (%s, %s, %s, %s, %s, 'r', %s)",
                [
                    pipeline,
                    listener.user_id,
                    dt.datetime(2026, 6, 30, 20, tzinfo=dt.UTC),
                    status,
                    None if status == "ok" else "the service answered 503",
                    dt.datetime(2026, 7, 1, 4, tzinfo=dt.UTC),
                ],
            )
        for offset in range(28):
            for endpoint, calls in (
                ("me/player/recently-played", 24 + offset % 5),
                ("tracks/{id}", offset % 7),
                ("token", 2),
            ):
                connection.execute(
                    "insert into spotify_api_calls values (%s, %s, %s, %s)",
                    [listener.user_id, AS_OF - dt.timedelta(days=offset), endpoint, calls],
                )
    connection.execute(
        """
        insert into ingestion_gaps values
            ('bea', '2026-05-02 13:00+00', '2026-05-02 19:30+00', 'r1', '2026-05-03 04:00+00',
                '2026-05-20 04:00+00', 'my_spotify_data.zip'),
            ('bea', '2026-06-21 09:10+00', '2026-06-21 12:40+00', 'r2', '2026-06-21 13:00+00', null, null)
        """
    )
    connection.execute(
        """
        insert into ingested_files (sha256, user_id, file_name, status, message, size_bytes, rows_read,
            rows_loaded, rows_already_known,
            skipped_rows, first_played_at, last_played_at, run_id, ingested_at) values
        ('a', 'ada', 'my_spotify_data.zip', 'loaded', null, 8400123, 31000, 29500, 120,
            '{"no track name": 12, "bad timestamp": 3, "zero ms played": 1365}', '2024-01-12 10:00+00',
                '2026-04-01 10:00+00', 'r', '2026-04-02 04:00+00'),
        ('b', 'bea', 'broken.zip', 'failed', 'not a zip file: ask Spotify for the export again', 812, 0, 0, 0,
            '{}', null, null, 'r', '2026-06-02 04:00+00')
        """
    )
