"""The ml layer once more, as a plain pandas and scikit-learn script that works in memory.

The test of the layer compares its tables with the script's; the benchmark compares the time and memory both take.
"""

from __future__ import annotations

import hashlib
import io
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

import psycopg

from tests.support.steps import run_step

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from ml.personas.personas import Leader

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


def fill(writer_conninfo: str, owner_conninfo: str, sessions: int) -> None:
    """Give an empty listening database one listener's plays, and staging's analytics tables of them."""
    with psycopg.connect(writer_conninfo, autocommit=True) as writer:
        writer.execute(INSERT_EVENTS, {"sessions": sessions, "plays": PLAYS_PER_SESSION})
        writer.execute(MARK_DAYS)
        writer.execute("analyze staging.listening_events")
        for step in ("sessions", "artist_stats", "track_stats"):
            run_step(writer, step, as_of=AS_OF.isoformat())
        [(built,)] = writer.execute("select count(*) from staging.listening_sessions")
        assert built == sessions
    with psycopg.connect(owner_conninfo, autocommit=True) as owner:
        owner.execute("vacuum analyze")


class Results(NamedTuple):
    """What the layer makes of the listener, as frames; columns are named like the tables' own.

    :param features: of session_features, and the session's persona_id.
    :param pairs: of artist_cooccurrence.
    :param playlist_tracks: of playlist_tracks, all personas.
    """

    features: pd.DataFrame
    pairs: pd.DataFrame
    playlist_tracks: pd.DataFrame


def plain_script(conninfo: str) -> Results:
    """The same in memory: tables are data frames. What needs no table is the product's own: the estimators, the names,
    the choice of tracks, the reasons. It stores nothing."""
    events = read_events(conninfo)
    features, heard = session_features(events)
    features["persona_id"] = cluster(features, heard)
    pairs = artist_pairs(events, features)
    return Results(features.reset_index().drop(columns="start"), pairs, playlist_tracks(events, features, heard, pairs))


def read_events(conninfo: str) -> pd.DataFrame:
    import pandas as pd

    query = (
        "copy (select session_id, track_id, track_name, artist_name, album_name, skipped::int, shuffle::int, ms_played,"
        " local_started_at from staging.listening_events order by played_at)"
        " to stdout with (format csv, header)"
    )
    buffer = io.BytesIO()
    with psycopg.connect(conninfo) as connection, connection.cursor() as cursor, cursor.copy(query) as copy:
        for data in copy:
            buffer.write(data)
    buffer.seek(0)
    events = pd.read_csv(buffer, parse_dates=["local_started_at"])
    return events.assign(day=events.local_started_at.dt.normalize())


def session_features(events: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """One row a session, by session_id; and one a session and artist, in order, with its plays of 30 s or more."""
    import numpy as np

    events["is_new"] = ~events.duplicated("track_id")
    previous = events.groupby("session_id")[["artist_name", "album_name", "track_id"]].shift()
    events["on_album"] = (
        (events.artist_name == previous.artist_name)
        & (events.album_name == previous.album_name)
        & (events.track_id != previous.track_id)
    )
    features = events.groupby("session_id").agg(
        plays=("track_id", "size"),
        minutes=("ms_played", "sum"),
        unique_artists=("artist_name", "nunique"),
        unique_tracks=("track_id", "nunique"),
        discovery_rate=("is_new", "mean"),
        skip_rate=("skipped", "mean"),
        shuffle_rate=("shuffle", "mean"),
        album_run_rate=("on_album", "mean"),
        start=("local_started_at", "min"),
    )
    features["minutes"] /= 60_000
    by_artist = events.groupby(["session_id", "artist_name"]).size()
    share = by_artist / by_artist.groupby("session_id").transform("sum")
    features["artist_entropy"] = (-share * np.log2(share)).groupby("session_id").sum().round(9)
    features["repeat_rate"] = 1 - features.unique_tracks / features.plays
    start = features.start.dt
    features["start_hour"] = start.hour + start.minute / 60 + start.second / 3600
    angle = 2 * np.pi * features.start_hour / 24
    features["start_hour_sin"], features["start_hour_cos"] = np.sin(angle).round(9), np.cos(angle).round(9)
    features["is_weekend"] = (start.day_of_week >= 5).astype(int)
    heard = (events.ms_played >= 30_000).groupby([events.session_id, events.artist_name]).sum().rename("plays")
    return features, heard.reset_index()


def cluster(features: pd.DataFrame, heard: pd.DataFrame) -> np.ndarray:
    """Each session's persona, by a model of a sample of them."""
    from ml.personas.centroids import FEATURES, Heard, transform
    from ml.personas.clustering import SessionClusterer
    from ml.personas.session_clusters import SAMPLE_SIZE, SETTLING_DAYS

    def heard_in(sessions: pd.Index) -> Heard:
        rows = heard[heard.session_id.isin(sessions)]
        lengths = rows.session_id.value_counts(sort=False).reindex(sessions, fill_value=0)
        return Heard(rows.artist_name.tolist(), rows.plays.to_numpy(dtype=float), lengths.to_numpy())

    days = (features.start.dt.normalize() - features.start.min().normalize()).dt.days
    known = features.assign(discovery_rate=features.discovery_rate.where(days >= SETTLING_DAYS))
    X = transform(known[list(FEATURES)].to_numpy(dtype=float))
    digests = [hashlib.md5(str(session).encode()).hexdigest() for session in features.index]
    sample = sorted(sorted(range(len(digests)), key=digests.__getitem__)[:SAMPLE_SIZE])
    clusterer = SessionClusterer().fit(X[sample], heard_in(features.index[sample]))
    return clusterer.predict(X, heard_in(features.index)) + 1


def artist_pairs(events: pd.DataFrame, features: pd.DataFrame) -> pd.DataFrame:
    import numpy as np

    from ml.playlists.cooccurrence import MIN_SCORE, MIN_SESSIONS, pair_scores

    heard = events[["session_id", "artist_name"]].drop_duplicates()
    years = (features.start.dt.normalize() - np.datetime64("2010-01-01")).dt.days / 365
    heard["session_weight"] = heard.session_id.map((16 * 2.0**years).round().clip(lower=1))
    total = heard.groupby("artist_name").session_weight.sum()
    others = (heard.session_id.map(features.unique_artists) - 1).clip(lower=1)
    heard["weight"] = np.maximum(heard.session_weight // others, 1)
    pairs = heard.merge(
        heard[["session_id", "artist_name"]].add_prefix("other_"), left_on="session_id", right_on="other_session_id"
    )
    pairs = pairs[pairs.artist_name != pairs.other_artist_name]
    pairs = pairs.groupby(["artist_name", "other_artist_name"]).weight.agg(["size", "sum"]).reset_index()
    pairs.columns = ["artist_name", "other_artist_name", "sessions_together", "weight"]
    pairs = pairs[pairs.sessions_together >= MIN_SESSIONS]
    left, right = pairs.artist_name.map(total), pairs.other_artist_name.map(total)
    pairs["score"] = pair_scores(pairs.weight, left, right, pairs.sessions_together)
    return pairs[pairs.score >= MIN_SCORE]


def playlist_tracks(
    events: pd.DataFrame, features: pd.DataFrame, heard: pd.DataFrame, pairs: pd.DataFrame
) -> pd.DataFrame:
    import pandas as pd

    from ml.personas.personas import choose_names, describe
    from ml.playlists.playlists import TRACK_COLUMNS, Library, TrackDays, playlists_from
    from ml.playlists.recommender import LIKE_SESSIONS

    today = features.start.max().normalize()
    was_heard = events.skipped == 0
    by_day = events.assign(heard=was_heard).groupby(["track_id", "day"])
    days = by_day.agg(plays=("heard", "size"), heard=("heard", "sum")).reset_index()
    days["days_ago"] = (today - days.day).dt.days
    by_track = events.groupby("track_id")
    tracks = by_track.agg(
        track_name=("track_name", "first"),
        artist_name=("artist_name", "first"),
        album_name=("album_name", "first"),
        plays=("skipped", "size"),
        skips=("skipped", "sum"),
        heard=("skipped", lambda skipped: (skipped == 0).sum()),
        first_day=("day", "min"),
        last_day=("day", "max"),
        ms_played=("ms_played", "sum"),
    )
    tracks["duration_ms"] = tracks.ms_played // tracks.plays
    tracks["known_ms"] = None
    tracks["first_day"], tracks["last_day"] = tracks.first_day.dt.date, tracks.last_day.dt.date
    for recent in (7, 28):
        tracks[f"plays_{recent}d"] = days[days.days_ago < recent].groupby("track_id").plays.sum()
    tracks = tracks.fillna({"plays_7d": 0, "plays_28d": 0}).astype({"plays_7d": int, "plays_28d": int})

    persona = events.session_id.map(features.persona_id)
    by_persona = events.groupby(["track_id", persona.rename("persona_id")])
    persona_plays = by_persona.agg(plays=("ms_played", "size"), longest_ms=("ms_played", "max")).reset_index()
    is_last = events.session_id.isin(features.index.sort_values()[-LIKE_SESSIONS:])
    # a session in which nothing was heard counts as one of the last ones, too
    tracks_heard = events.track_id.where(was_heard)[is_last]
    last_sessions = (
        tracks_heard.groupby([events.session_id, tracks_heard], dropna=False).count().reset_index(name="plays")
    )
    neighbours = pairs.groupby("artist_name")[["other_artist_name", "score", "sessions_together"]].agg(list)
    library = Library(
        list(tracks.reset_index().itertuples(index=False, name="Track")),
        [],
        TrackDays(
            tracks.index.get_indexer(days.track_id), *(days[name].to_numpy() for name in ("days_ago", "plays", "heard"))
        ),
        [persona_plays[column].tolist() for column in persona_plays],
        [last_sessions[column].tolist() for column in last_sessions],
        [neighbours.index.tolist(), *(neighbours[column].tolist() for column in neighbours)],
        today.date(),
    )
    profiles = {persona_id: persona_profile(rows, features) for persona_id, rows in features.groupby("persona_id")}
    others = {
        persona_id: persona_profile(features[features.persona_id != persona_id], features) for persona_id in profiles
    }
    leaders = persona_leaders(heard, features)
    names = choose_names(profiles, others, leaders, {})
    personas = [
        (persona_id, names[persona_id][0].label, describe(profile, others[persona_id], leaders.get(persona_id, [])))
        for persona_id, profile in profiles.items()
    ]
    _, rows = playlists_from(library, "heavy", personas, dict.fromkeys(profiles, ()))
    return pd.DataFrame(rows, columns=list(TRACK_COLUMNS))


def persona_leaders(heard: pd.DataFrame, features: pd.DataFrame) -> dict[int, list[Leader]]:
    """What persona_artists.sql says."""
    import numpy as np

    from ml.personas.personas import PLACES, Leader

    rows = heard[heard.plays > 0].assign(persona_id=heard.session_id.map(features.persona_id))
    rows = rows.groupby(["persona_id", "artist_name"]).plays.agg(["size", "sum"]).reset_index()
    rows.columns = ["persona_id", "artist_name", "sessions", "plays"]
    rows["persona_plays"] = rows.groupby("persona_id").plays.transform("sum")
    rows["artist_plays"] = rows.groupby("artist_name").plays.transform("sum")
    rows["all_plays"] = rows.plays.sum()
    share, usual = rows.plays / rows.persona_plays, rows.artist_plays / rows.all_plays
    rows["telling"] = (share * np.log2(share / usual)).round(9)
    rows = rows.sort_values(["telling", "plays", "artist_name"], ascending=[False, False, True])
    return {
        persona_id: [Leader(*row) for row in of_persona[list(Leader._fields)].head(PLACES).itertuples(index=False)]
        for persona_id, of_persona in rows.groupby("persona_id")
    }


def persona_profile(sessions: pd.DataFrame, every: pd.DataFrame) -> dict[str, float]:
    """What its name and description look at, as persona_profiles.sql has it."""
    from ml.personas.session_clusters import SETTLING_DAYS

    hour = sessions.start_hour
    settled = sessions[(sessions.start.dt.normalize() - every.start.min().normalize()).dt.days >= SETTLING_DAYS]
    spans = {"morning": (5, 10), "midday": (10, 14), "afternoon": (14, 18), "evening": (18, 22)}
    rates = {"skip": "skip_rate", "shuffle": "shuffle_rate", "repeat": "repeat_rate",
             "album": "album_run_rate", "weekend": "is_weekend"}  # fmt: skip
    return {
        **{name: sessions[name].quantile(0.5, interpolation="lower") for name in ("minutes", "unique_artists")},
        **{name: sessions[column].mean() for name, column in rates.items()},
        "discovery": settled.discovery_rate.mean() if len(settled) else None,
        "ms_played": sessions.minutes.sum(),
        **{name: hour.between(start, end, inclusive="left").mean() for name, (start, end) in spans.items()},
        "night": ((hour >= 22) | (hour < 5)).mean(),
    }


def assert_same(connection: psycopg.Connection, expected: Results) -> None:
    """The tables say what the script says: whoever is faster did not do less."""
    import pandas as pd
    from pandas.testing import assert_frame_equal

    features = (
        "select f.*, c.persona_id from staging.session_features f join staging.session_clusters c"
        " using (user_id, session_id)"
    )
    for rows, plain, key in (
        (features, expected.features, ["session_id"]),
        ("table staging.artist_cooccurrence", expected.pairs, ["artist_name", "other_artist_name"]),
        ("table staging.playlist_tracks", expected.playlist_tracks, ["playlist_id", "position"]),
    ):
        cursor = connection.execute(rows)
        assert cursor.description
        stored = pd.DataFrame(cursor.fetchall(), columns=[column.name for column in cursor.description])
        assert_frame_equal(
            stored[plain.columns].sort_values(key, ignore_index=True),
            plain.sort_values(key, ignore_index=True),
            check_dtype=False,
            rtol=0,
            atol=1e-5,
        )
