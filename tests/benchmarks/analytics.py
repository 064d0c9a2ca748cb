"""The analytics steps against a straightforward pandas pipeline, and what a day costs as the history grows."""

from __future__ import annotations

import statistics
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import psycopg
import sqlalchemy as sa

from include.operations.listening_database import LISTENING_DATABASE
from include.stack.local import postgres
from tests.benchmarks import Figure, at_least, at_most, benchmark, listening_database
from tests.support.steps import STEPS, run_stages, run_steps, statements

REBUILT_EVENTS = 1_000_000
HISTORIES = (10_000, 1_000_000, 5_000_000)
LISTENERS = 10
BEGIN = datetime(2020, 1, 1, tzinfo=UTC)
PLAYS_A_DAY = 100
DAYS_MEASURED = 9

# A listener's day: from 17:00 UTC, a play every three and a half minutes, a pause of 40 minutes after every 20. Tracks
# are drawn by a power law, 40 plays of an artist on average before the next album.
INSERT_PLAYS = """
    insert into raw_listening_events (user_id, source, event_key, played_at, item_type, track_id, payload, run_id)
    select
        user_id, 'extended_history', md5(user_id || n)::uuid, ts, 'track', 'track' || track,
        jsonb_build_object(
            'ts', ts, 'platform', 'android', 'ms_played', 180000 + n %% 30000, 'conn_country', 'DE',
            'master_metadata_track_name', 'Title ' || track,
            'master_metadata_album_artist_name', 'Artist ' || track / 40,
            'master_metadata_album_album_name', 'Album ' || track / 10,
            'spotify_track_uri', 'spotify:track:track' || track,
            'reason_start', 'trackdone', 'reason_end', case when n %% 7 = 0 then 'fwdbtn' else 'trackdone' end,
            'shuffle', n %% 3 = 0, 'skipped', n %% 7 = 0, 'offline', false, 'offline_timestamp', null,
            'incognito_mode', false
        ),
        'bench'
    from (
        select
            'listener' || listener as user_id,
            n,
            (20000 * ((hashint8(n * 7919 + listener)::bigint + 2147483648) / 4294967296.0) ^ 3)::integer as track,
            %(begin)s + interval '17 hours'
                + n / %(a_day)s * interval '1 day'
                + n %% %(a_day)s * interval '210 seconds'
                + n %% %(a_day)s / 20 * interval '40 minutes' as ts
        from generate_series(%(first_listener)s::bigint, %(last_listener)s) listener,
            generate_series(%(first_play)s::bigint, %(last_play)s) n
    ) plays
"""
MARK_PLAYS = """
    insert into pending_days (step, user_id, day)
    select distinct 'listening_events', user_id, (played_at at time zone 'UTC')::date
    from raw_listening_events
    where user_id = any(%(listeners)s) and played_at >= %(since)s
    on conflict do nothing
"""


def _connect(socket_dir: Path, role: str) -> psycopg.Connection:
    conninfo = postgres.conninfo(socket_dir, LISTENING_DATABASE, role)
    return psycopg.connect(conninfo, autocommit=True)


def _fill(connection: psycopg.Connection, events: int) -> int:
    """Insert and mark `events` plays of `LISTENERS` listeners; return how many days of each that is."""
    days = events // LISTENERS // PLAYS_A_DAY
    names = [f"listener{number}" for number in range(1, LISTENERS + 1)]
    _insert_days(connection, LISTENERS, 0, days)
    connection.execute(MARK_PLAYS, {"listeners": names, "since": BEGIN})
    connection.execute("insert into listeners (user_id, display_name) select unnest(%s::text[]), 'bench'", [names])
    return days


def _insert_days(connection: psycopg.Connection, listeners: int, first: int, end: int) -> None:
    """Insert the plays of the first `listeners` on the days from `first` up to, not including, `end`."""
    connection.execute(
        INSERT_PLAYS,
        {
            "begin": BEGIN,
            "a_day": PLAYS_A_DAY,
            "first_listener": 1,
            "last_listener": listeners,
            "first_play": first * PLAYS_A_DAY,
            "last_play": end * PLAYS_A_DAY - 1,
        },
    )


def _as_of(days: int) -> str:
    """When a run follows that finds so many days of plays."""
    return (BEGIN + timedelta(days=days, hours=4)).isoformat()


@benchmark
def rebuild_vs_pandas() -> list[Figure]:
    """Full rebuild of analytics and sessions from raw: our steps' speed, as the DAG runs them, over pandas'."""
    import pandas  # noqa: F401  (importing is not measured, nor is reading our steps' files)

    _read_steps()
    with listening_database() as socket_dir:
        with _connect(socket_dir, "listening_owner") as owner:
            days = _fill(owner, REBUILT_EVENTS)
            owner.execute("vacuum analyze raw_listening_events")
        _settle(socket_dir)
        started = time.perf_counter()
        run_stages(lambda: _connect(socket_dir, "listening_writer"), as_of=_as_of(days))
        ours = time.perf_counter() - started
        engine = sa.create_engine(
            postgres.sqlalchemy_url(socket_dir, LISTENING_DATABASE, "listening_owner"), poolclass=sa.NullPool
        )
        _settle(socket_dir)
        started = time.perf_counter()
        tables = _rebuild_with_pandas(engine)
        pandas_took = time.perf_counter() - started
        with _connect(socket_dir, "listening_owner") as owner:
            for table in tables:
                rows = [
                    owner.execute(f"select count(*) from {schema}.{table}").fetchone()
                    for schema in ("staging", "with_pandas")
                ]
                if rows[0] != rows[1]:
                    raise RuntimeError(f"{table}: {rows[0]} rows of ours, {rows[1]} of pandas")
    return [
        Figure("rebuild_seconds", ours, "s", "", True),
        Figure("rebuild_pandas_seconds", pandas_took, "s", "", True),
        at_least("rebuild_vs_pandas", pandas_took / ours, "times as fast", 3),
    ]


def _read_steps() -> None:
    for step in STEPS:
        statements(step)


def _settle(socket_dir: Path) -> None:
    """Nothing is left for the server to write when a measurement begins."""
    with psycopg.connect(postgres.conninfo(socket_dir), autocommit=True) as connection:
        connection.execute("checkpoint")


def _rebuild_with_pandas(engine: sa.Engine) -> list[str]:
    """The same tables as one would write them with read_sql, groupby and to_sql, without keys and indexes; their names.

    to_sql as it is by default over psycopg 3: faster than with method="multi", and than over psycopg2.
    """
    import pandas as pd

    raw = pd.read_sql(
        "select user_id, event_key, source, played_at, track_id, payload from raw_listening_events", engine
    )
    payload = pd.DataFrame(raw.pop("payload").tolist())
    events = pd.concat([raw, payload.drop(columns=["ts", "conn_country", "spotify_track_uri"])], axis=1).rename(
        columns={
            "master_metadata_track_name": "track_name",
            "master_metadata_album_artist_name": "artist_name",
            "master_metadata_album_album_name": "album_name",
            "event_key": "event_id",
            "incognito_mode": "incognito",
        }
    )
    events = events.sort_values(["user_id", "played_at", "event_id"], ignore_index=True)
    events["skipped"] |= events["reason_end"].isin(["backbtn", "fwdbtn", "unknown"])
    events["started_at"] = events["played_at"] - pd.to_timedelta(events["ms_played"], unit="ms")
    events["local_started_at"] = events["started_at"].dt.tz_convert("UTC").dt.tz_localize(None)
    events["local_date"] = events["local_started_at"].dt.date
    silence = events["started_at"] - events.groupby("user_id")["played_at"].shift()
    events["session_id"] = (~(silence <= pd.Timedelta(minutes=30))).cumsum()

    events["heard"] = ~events["skipped"]
    events["is_of_30s"] = events["ms_played"] >= 30_000
    sums = {
        "plays": ("event_id", "size"),
        "skips": ("skipped", "sum"),
        "heard": ("heard", "sum"),
        "plays_30s": ("is_of_30s", "sum"),
        "ms_played": ("ms_played", "sum"),
        "first_played_at": ("played_at", "min"),
        "last_played_at": ("played_at", "max"),
    }
    tables = {
        "listening_events": events,
        "listening_sessions": events.groupby(["user_id", "session_id"], as_index=False).agg(
            **sums,
            unique_tracks=("track_id", "nunique"),
            unique_artists=("artist_name", "nunique"),
            unique_albums=("album_name", "nunique"),
            local_date=("local_date", "first"),
        ),
        "listening_hours": events.groupby(
            ["user_id", "local_date", events["local_started_at"].dt.hour.rename("hour")], as_index=False
        ).agg(plays=("event_id", "size"), ms_played=("ms_played", "sum")),
    }
    for noun, key in (("artist", ["artist_name"]), ("track", ["track_id"]), ("album", ["artist_name", "album_name"])):
        tables[f"{noun}_days"] = events.groupby(["user_id", "local_date", *key], as_index=False).agg(**sums)
        totals = events.groupby(["user_id", *key], as_index=False).agg(
            **sums, first_local_date=("local_date", "min"), last_local_date=("local_date", "max")
        )
        totals["rank"] = totals.groupby("user_id")["plays"].rank(ascending=False, method="min")
        tables[f"{noun}_totals"] = totals
    daily = events.groupby(["user_id", "local_date"], as_index=False).agg(
        **sums, unique_tracks=("track_id", "nunique"), unique_artists=("artist_name", "nunique")
    )
    squares = tables["artist_days"].assign(squares=tables["artist_days"]["plays"] ** 2)
    squares = squares.groupby(["user_id", "local_date"], as_index=False)["squares"].sum()
    daily = daily.merge(squares, on=["user_id", "local_date"])
    daily["effective_artists"] = daily["plays"] ** 2 / daily.pop("squares")
    for noun in ("artist", "track"):
        discovered = tables[f"{noun}_totals"].groupby(["user_id", "first_local_date"]).size().rename(f"new_{noun}s")
        daily = daily.merge(discovered, left_on=["user_id", "local_date"], right_index=True, how="left")
    by_day = daily.set_index(pd.to_datetime(daily["local_date"])).groupby("user_id")
    for measure in ("plays", "ms_played"):
        for days in (7, 28):
            daily[f"{measure}_{days}d_avg"] = (by_day[measure].rolling(f"{days}D").sum() / days).to_numpy()
    tables["daily_trends"] = daily
    tables["analytics_user_metrics"] = daily.groupby("user_id", as_index=False).agg(
        plays=("plays", "sum"),
        heard=("heard", "sum"),
        plays_30s=("plays_30s", "sum"),
        ms_played=("ms_played", "sum"),
        active_days=("local_date", "size"),
    )
    with engine.begin() as connection:
        connection.execute(sa.text("create schema with_pandas"))
    for name, table in tables.items():
        table.to_sql(name, engine, schema="with_pandas", index=False, chunksize=10_000)
    return list(tables)


@benchmark
def daily_cost_growth() -> list[Figure]:
    """Seconds and CPU seconds (ours and the server's) that a daily run with 100 new plays spends in analytics and
    publishing, by length of the history."""
    _read_steps()
    costs = {events: _daily_cost(events) for events in HISTORIES}
    figures = []
    for events, (seconds, cpu_seconds) in costs.items():
        figures += [
            Figure(f"daily_seconds_{events}", seconds, "s", "", True),
            Figure(f"daily_cpu_seconds_{events}", cpu_seconds, "s", "", True),
        ]
    first, last = costs[HISTORIES[0]], costs[HISTORIES[-1]]
    return [
        *figures,
        at_most("daily_cost_growth", last[0] / first[0], "times", 1.5),
        at_most("daily_cpu_growth", last[1] / first[1], "times", 1.5),
    ]


def _daily_cost(events: int) -> tuple[float, float]:
    """Medians of seconds and CPU seconds over some days, each adding a day of one listener's plays to `events`."""
    with listening_database() as socket_dir, _connect(socket_dir, "listening_owner") as owner:
        days = _fill(owner, events)
        owner.execute("vacuum analyze raw_listening_events")
        with _connect(socket_dir, "listening_writer") as writer:
            run_steps(writer, as_of=_as_of(days))
            writer.execute("select * from staging.publish()")
            owner.execute("vacuum analyze")
            _settle(socket_dir)
            processes = psutil.Process(), psutil.Process(writer.info.backend_pid)
            taken = []
            for day in range(days, days + DAYS_MEASURED):
                _insert_days(writer, 1, day, day + 1)
                writer.execute(MARK_PLAYS, {"listeners": ["listener1"], "since": BEGIN + timedelta(days=day)})
                started, used = time.perf_counter(), _cpu_seconds(*processes)
                run_steps(writer, as_of=_as_of(day + 1))
                writer.execute("select * from staging.publish()")
                taken.append((time.perf_counter() - started, _cpu_seconds(*processes) - used))
    seconds, cpu_seconds = (statistics.median(measured) for measured in zip(*taken, strict=True))
    return seconds, cpu_seconds


def _cpu_seconds(*processes: psutil.Process) -> float:
    return sum(sum(process.cpu_times()[:2]) for process in processes)
