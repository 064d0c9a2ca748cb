"""The ml layer on a listener of a million plays in a hundred thousand sessions, against a plain script in memory."""

from __future__ import annotations

import io
import multiprocessing
import resource
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import psycopg

from include.bench import Figure, at_least, at_most, benchmark, listening_database
from include.local import postgres

if TYPE_CHECKING:
    import pandas as pd

SESSIONS = 100_000
PLAYS_PER_SESSION = 10
AS_OF = datetime(2026, 1, 1, tzinfo=UTC)

# Twenty sessions a day of four kinds that differ in hour, in what is played of 30,000 tracks, in skips and shuffle: one
# hears albums through, the others draw tracks by a power law. md5 stands for chance.
INSERT_EVENTS = """
    insert into staging.listening_events (
        user_id, event_id, source, track_id, track_name, artist_name, album_name, time_zone, ms_played,
        ms_played_is_estimated, skipped, shuffle, played_at, started_at, local_started_at, local_date
    )
    select
        'heavy', md5(session || ' ' || play)::uuid, 'extended_history', 't' || track, 'Track ' || track,
        'Artist ' || track / 12, 'Album ' || track / 6, 'UTC', 180000, false,
        chance < case kind when 1 then 0.3 else 0.05 end, kind in (1, 3),
        (started_at + interval '3 minutes') at time zone 'UTC', started_at at time zone 'UTC', started_at,
        started_at::date
    from (
        select
            session, play, kind, chance,
            began + play * interval '3 minutes' as started_at,
            case
                when kind = 2 then session * 7 %% 4900 * 6 + play %% 6
                else floor(30000 * power(('x' || left(md5(play || '/' || session), 7))::bit(28)::int / 268435456.0, 3))
            end::int as track
        from (
            select
                session, play, session %% 4 as kind,
                ('x' || left(md5(session || ':' || play), 7))::bit(28)::int / 268435456.0 as chance,
                timestamp '2026-01-01' - (%(sessions)s / 20 - session / 20) * interval '1 day'
                    + session %% 4 * interval '6 hours' + session / 4 %% 5 * interval '67 minutes' as began
            from generate_series(0, %(sessions)s - 1) session, generate_series(0, %(plays)s - 1) play
        ) numbered
    ) drawn
"""
MARK_DAYS = """
    insert into pending_days (step, user_id, day)
    select step, user_id, local_date
    from (select distinct user_id, local_date from staging.listening_events) days,
        unnest(array['sessions', 'artist_stats', 'track_stats']) step
"""


@benchmark
def ml_layer() -> list[Figure]:
    """Features to playlists: the plain script's time over ours, and our process's peak memory, imports included."""
    from include.sql.analytics import run_step

    with listening_database() as socket_dir:
        conninfo = postgres.conninfo(socket_dir, postgres.LISTENING_DATABASE, "listening_writer")
        with psycopg.connect(conninfo, autocommit=True) as writer:
            writer.execute(INSERT_EVENTS, {"sessions": SESSIONS, "plays": PLAYS_PER_SESSION})
            writer.execute(MARK_DAYS)
            writer.execute("analyze staging.listening_events")
            for step in ("sessions", "artist_stats", "track_stats"):
                run_step(writer, step, as_of=AS_OF.isoformat())
            [(sessions,)] = writer.execute("select count(*) from staging.listening_sessions")
            assert sessions == SESSIONS
        owner = postgres.conninfo(socket_dir, postgres.LISTENING_DATABASE, "listening_owner")
        with psycopg.connect(owner, autocommit=True) as connection:
            connection.execute("vacuum analyze")
        plain, plain_mb = measured(plain_script, conninfo)
        ours, ours_mb = measured(our_steps, conninfo)
    return [
        Figure("ml_seconds", ours, "s", "", True),
        Figure("ml_plain_seconds", plain, "s", "", True),
        at_least("ml_vs_plain", plain / ours, "times as fast", 1),
        at_most("ml_peak_mb", ours_mb, "MB", 500),
        Figure("ml_plain_peak_mb", plain_mb, "MB", "", True),
    ]


def measured(work: Callable[[str], None], conninfo: str) -> tuple[float, float]:
    """Seconds and peak MB of a process that does nothing else."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
        return process.submit(measure_here, work, conninfo).result()


def measure_here(work: Callable[[str], None], conninfo: str) -> tuple[float, float]:
    began = time.perf_counter()
    work(conninfo)
    return time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def our_steps(conninfo: str) -> None:
    from ml.cooccurrence import artist_cooccurrence
    from ml.personas import label_personas
    from ml.playlists import generate_playlists
    from ml.session_clusters import cluster_sessions
    from ml.session_features import build_session_features

    with psycopg.connect(conninfo) as connection:
        for step in (build_session_features, cluster_sessions, label_personas, artist_cooccurrence, generate_playlists):
            step(connection, as_of=AS_OF)


def plain_script(conninfo: str) -> None:
    """What one would write in an afternoon: the same results from a data frame of all plays, without the database's
    part of the work, which is to store them row by row and to say why each track is there."""
    events = read_events(conninfo)
    features = session_features(events)
    features["persona"] = cluster(features)
    features.groupby("persona").median(numeric_only=True)
    artist_pairs(events, features)
    for _ in playlists(events, features):
        pass


def read_events(conninfo: str) -> pd.DataFrame:
    import pandas as pd

    query = (
        "copy (select session_id, track_id, artist_name, album_name, skipped::int, shuffle::int, ms_played, started_at"
        " from staging.listening_events order by started_at) to stdout with (format csv, header)"
    )
    buffer = io.BytesIO()
    with psycopg.connect(conninfo) as connection, connection.cursor() as cursor, cursor.copy(query) as copy:
        for data in copy:
            buffer.write(data)
    buffer.seek(0)
    return pd.read_csv(buffer, parse_dates=["started_at"])


def session_features(events: pd.DataFrame) -> pd.DataFrame:
    import numpy as np

    events["is_new"] = ~events.duplicated("track_id")
    previous = events.groupby("session_id")[["artist_name", "album_name"]].shift()
    events["on_album"] = (events.artist_name == previous.artist_name) & (events.album_name == previous.album_name)
    features = events.groupby("session_id").agg(
        plays=("track_id", "size"),
        minutes=("ms_played", "sum"),
        artists=("artist_name", "nunique"),
        tracks=("track_id", "nunique"),
        discovery=("is_new", "mean"),
        skip=("skipped", "mean"),
        shuffle=("shuffle", "mean"),
        album=("on_album", "mean"),
        start=("started_at", "min"),
    )
    by_artist = events.groupby(["session_id", "artist_name"]).size()
    share = by_artist / by_artist.groupby("session_id").transform("sum")
    features["entropy"] = (-share * np.log2(share)).groupby("session_id").sum()
    features["repeat"] = 1 - features.tracks / features.plays
    angle = 2 * np.pi * (features.start.dt.hour + features.start.dt.minute / 60) / 24
    features["hour_sin"], features["hour_cos"] = np.sin(angle), np.cos(angle)
    features["weekend"] = features.start.dt.weekday >= 5
    return features


def cluster(features: pd.DataFrame) -> object:
    """KMeans with k by silhouette and stability, on as many sessions and with as many repetitions as ours."""
    import numpy as np
    from sklearn.cluster import KMeans
    from sklearn.metrics import adjusted_rand_score, silhouette_score
    from sklearn.preprocessing import RobustScaler

    from ml import clustering, session_clusters

    X = RobustScaler(quantile_range=(2, 98)).fit_transform(features.drop(columns="start").astype(float))
    random = np.random.RandomState(0)
    sample = X[random.permutation(len(X))[: clustering.CHOICE_SIZE]]
    best = (-1.0, 2)
    for k in range(2, clustering.MAX_CLUSTERS + 1):
        labels = KMeans(k, n_init=clustering.INITS, random_state=0).fit_predict(sample)
        agreements = []
        for _ in range(clustering.SPLITS):
            halves = np.array_split(random.permutation(len(sample)), 2)
            model = KMeans(k, n_init=clustering.INITS, random_state=0)
            agreements.append(adjusted_rand_score(*(model.fit(sample[half]).predict(sample) for half in halves)))
        size = clustering.SILHOUETTE_SIZE
        best = max(best, (silhouette_score(sample[:size], labels[:size]) * np.mean(agreements) ** 2, k))
    training = X[random.permutation(len(X))[: session_clusters.SAMPLE_SIZE]]
    return KMeans(best[1], n_init=clustering.INITS, random_state=0).fit(training).predict(X)


def artist_pairs(events: pd.DataFrame, features: pd.DataFrame) -> pd.Series:
    import numpy as np

    heard = events[["session_id", "artist_name"]].drop_duplicates()
    age = (features.start.max() - features.start).dt.days
    heard["weight"] = heard.session_id.map(0.5 ** (age / 365))
    total = heard.groupby("artist_name").weight.sum()
    pairs = heard.merge(heard[["session_id", "artist_name"]], on="session_id", suffixes=("", "_other"))
    pairs = pairs[pairs.artist_name != pairs.artist_name_other]
    together = pairs.groupby(["artist_name", "artist_name_other"]).weight.agg(["sum", "size"])
    together = together[together["size"] >= 2].reset_index()
    scale = np.sqrt(together.artist_name.map(total) * together.artist_name_other.map(total))
    return together["sum"] / scale * together["size"] / (together["size"] + 5)


def playlists(events: pd.DataFrame, features: pd.DataFrame) -> list[pd.Series]:
    import numpy as np

    age = (events.started_at.max() - events.started_at).dt.days + 1
    activation = np.log((1 / age).groupby(events.track_id).sum())
    persona = events.session_id.map(features.persona)
    inside = events.groupby(["track_id", persona]).size().unstack(fill_value=0)
    fit = np.log((inside.T / inside.sum(axis=1)).T + 0.01)
    return [(activation + fit[each]).nlargest(30) for each in fit]
