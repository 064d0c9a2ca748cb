"""Every query of the dashboards: bound parameters, a read-only role, pandas frames.

All functions read the published schemas (`analytics`, `ml`) and the pipeline's health tables as `listening_reader`,
whose connection string is in LISTENING_READER_DSN. Days are the listener's local days, `ms` are milliseconds of
listening, `*_at`
are UTC timestamps. Ranges include both ends.
"""

from __future__ import annotations

import datetime as dt
import os
import threading
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd
import psycopg
from psycopg import sql
from psycopg.rows import dict_row

DSN_VARIABLE = "LISTENING_READER_DSN"
STATEMENT_TIMEOUT_MS = 15_000

Kind = Literal["artist", "track", "album"]
Measure = Literal["plays", "ms_played"]
Granularity = Literal["day", "week", "month", "quarter", "year"]

# What a kind of thing is called in the tables: its days, its totals, the columns that identify it, those that name it.
KINDS: dict[Literal["artist", "track", "album"], tuple[str, str, list[str], list[str]]] = {
    "artist": ("artist_days", "artist_totals", ["artist_name"], []),
    "track": ("track_days", "track_totals", ["track_id"], ["track_name", "artist_name"]),
    "album": ("album_days", "album_totals", ["artist_name", "album_name"], []),
}

_local = threading.local()


class DatabaseNotConfiguredError(RuntimeError):
    """LISTENING_READER_DSN is not set."""


def _connection() -> psycopg.Connection[dict[str, Any]]:
    """One read-only connection per thread: marimo runs each open page in a thread of its own."""
    dsn = os.environ.get(DSN_VARIABLE)
    if not dsn:
        raise DatabaseNotConfiguredError(
            f"{DSN_VARIABLE} is not set. Start the dashboards with `make dashboards`, or set it to the "
            f"connection string "
            "of the role listening_reader, for example 'host=/path/to/socket dbname=listening user=listening_reader'."
        )
    connection = getattr(_local, "connection", None)
    if connection is None or connection.closed or _local.dsn != dsn:
        connection = psycopg.connect(
            dsn,
            autocommit=True,
            row_factory=dict_row,
            options=f"-c default_transaction_read_only=on -c statement_timeout={STATEMENT_TIMEOUT_MS} -c TimeZone=UTC",
        )
        _local.connection, _local.dsn = connection, dsn
    return connection


def read(statement: str | sql.Composed, **parameters: Any) -> pd.DataFrame:
    """Run one statement with bound parameters; reconnect once if the server went away meanwhile."""
    for attempt in (1, 2):
        connection = _connection()
        try:
            with connection.cursor() as cursor:
                cursor.execute(statement, parameters)  # type: ignore[arg-type]
                columns = [column.name for column in cursor.description or []]
                frame = pd.DataFrame(cursor.fetchall(), columns=columns)
            # A missing text is None, not NaN, which would pass for a text that is there.
            for name in columns:
                if isinstance(frame[name].dtype, pd.StringDtype):
                    frame[name] = frame[name].astype(object).where(frame[name].notna(), None)
            return frame
        except psycopg.OperationalError:
            if attempt == 2 or not connection.closed:
                raise
    raise AssertionError("unreachable")


def _record(frame: pd.DataFrame) -> dict[str, Any]:
    """The only row as plain Python values, {} when there is none."""
    if frame.empty:
        return {}
    row = frame.astype(object).where(frame.notna(), None).iloc[0]
    return dict(row)


# Listeners and periods ----------------------------------------------------------------------------------------------


def listeners() -> pd.DataFrame:
    """user_id, display_name, time_zone, plays (0 while nothing is published), by name."""
    return read("""
        select l.user_id, l.display_name, l.time_zone, coalesce(m.plays, 0) as plays
        from listeners l
        left join analytics.analytics_user_metrics m using (user_id)
        order by l.display_name, l.user_id
    """)


def listener(user_id: str) -> dict[str, Any]:
    """One listener with the published totals; {} when unknown, totals None while nothing is published.

    `time_zone` is the zone in force at the last play, `home_time_zone` the registered one.
    """
    return _record(
        read(
            """
            select
                l.user_id,
                l.display_name,
                l.time_zone as home_time_zone,
                coalesce((
                    select z.time_zone from listener_time_zones z
                    where z.user_id = l.user_id and z.valid_from <= m.last_played_at
                    order by z.valid_from desc limit 1
                ), l.time_zone) as time_zone,
                l.authorized_at,
                m.as_of, m.plays, m.sessions, m.active_days, m.unique_tracks, m.unique_artists, m.skips,
                m.current_streak_days, m.longest_streak_days, m.ms_played, m.ms_played_28d, m.plays_28d,
                m.artist_diversity_28d, m.mean_session_ms, m.first_played_at, m.last_played_at,
                (select min(d.local_date) from analytics.daily_trends d where d.user_id = l.user_id) as first_date,
                (select max(d.local_date) from analytics.daily_trends d where d.user_id = l.user_id) as last_date
            from listeners l
            left join analytics.analytics_user_metrics m using (user_id)
            where l.user_id = %(user_id)s
            """,
            user_id=user_id,
        )
    )


@dataclass(frozen=True)
class Period:
    """Local days from start to end, both included; `key` is how the address spells it."""

    key: str
    label: str
    start: dt.date
    end: dt.date
    is_all: bool = False

    @property
    def days(self) -> int:
        return (self.end - self.start).days + 1

    @property
    def previous(self) -> Period | None:
        """The equally long period before; for a calendar year the year before; None for all time."""
        if self.is_all:
            return None
        if self.key.isdigit():
            year = int(self.key) - 1
            # A year still running is compared with the same days of the year before.
            end = (
                self.end.replace(year=year, day=28)
                if (self.end.month, self.end.day) == (2, 29)
                else self.end.replace(year=year)
            )
            return Period(str(year), str(year), dt.date(year, 1, 1), end)
        before = self.start - dt.timedelta(days=1)
        return Period("previous", f"the {self.days} days before", before - dt.timedelta(days=self.days - 1), before)


ROLLING_DAYS = {"7d": 7, "28d": 28, "90d": 90, "365d": 365}
DEFAULT_PERIOD = "28d"


def period_of(key: str | None, first: dt.date, last: dt.date) -> Period:
    """Read a period from the address: 7d, 28d, 90d, 365d, all, a year, or FROM..TO with ISO days.

    :param first: first local day with a play. :param last: the day "now" is for these data.
    :raises ValueError: not a period; the message says what is.
    """
    key = key or DEFAULT_PERIOD
    if key in ROLLING_DAYS:
        days = ROLLING_DAYS[key]
        return Period(key, f"Last {days} days", last - dt.timedelta(days=days - 1), last)
    if key == "all":
        return Period("all", "All time", first, last, is_all=True)
    if len(key) == 4 and key.isascii() and key.isdigit() and first.year <= int(key) <= last.year:
        return Period(key, key, dt.date(int(key), 1, 1), min(last, dt.date(int(key), 12, 31)))
    start_text, separator, end_text = key.partition("..")
    if separator:
        try:
            start, end = dt.date.fromisoformat(start_text), dt.date.fromisoformat(end_text)
        except ValueError:
            start = end = dt.date.min
        if dt.date(2000, 1, 1) <= start <= end <= dt.date(2100, 1, 1):
            return Period(f"{start}..{end}", f"{start:%-d %b %Y} – {end:%-d %b %Y}", start, end)
    raise ValueError(
        f"“{key[:40]}” is no period of these data. Use 7d, 28d, 90d, 365d, all, a year from {first.year} to "
        f"{last.year}, "
        "or two days like 2026-01-01..2026-01-31."
    )


# Key figures and rankings -------------------------------------------------------------------------------------------


def period_totals(user_id: str, period: Period) -> dict[str, Any]:
    """Sums over the period's days, and how many different tracks and artists they hold."""
    return _record(
        read(
            """
            with days as (
                select * from analytics.daily_trends
                where user_id = %(user_id)s and local_date between %(start)s and %(end)s
            ),
            artists as (
                select artist_name from analytics.artist_days
                where user_id = %(user_id)s and local_date between %(start)s and %(end)s and not %(is_all)s
                group by artist_name
            ),
            tracks as (
                select track_id from analytics.track_days
                where user_id = %(user_id)s and local_date between %(start)s and %(end)s and not %(is_all)s
                group by track_id
            ),
            totals as (select * from analytics.analytics_user_metrics where user_id = %(user_id)s)
            select
                coalesce(sum(plays), 0)::bigint as plays,
                coalesce(sum(ms_played), 0)::bigint as ms_played,
                coalesce(sum(sessions), 0)::bigint as sessions,
                coalesce(sum(skips), 0)::bigint as skips,
                coalesce(sum(new_tracks), 0)::bigint as new_tracks,
                coalesce(sum(new_artists), 0)::bigint as new_artists,
                count(*) filter (where plays > 0) as active_days,
                coalesce(avg(artist_diversity) filter (where plays > 0), 0) as artist_diversity,
                case when %(is_all)s then (select unique_artists from totals) else (select count(*)
                    from artists) end as artists,
                case when %(is_all)s then (select unique_tracks from totals) else (select count(*)
                    from tracks) end as tracks
            from days
            """,
            user_id=user_id,
            start=period.start,
            end=period.end,
            is_all=period.is_all,
        )
    )


def top(user_id: str, kind: Kind, period: Period, *, measure: Measure = "plays", limit: int = 10) -> pd.DataFrame:
    """The most played of a kind: rank, its names, plays, ms_played, skips, previous_rank (NaN: not there before).

    The rank before is that of the previous period; for all time, the rank 28 days ago.
    """
    days, totals, keys, names = KINDS[kind]
    key_columns = sql.SQL(", ").join(map(sql.Identifier, keys))
    parts = {
        "days": sql.Identifier("analytics", days),
        "totals": sql.Identifier("analytics", totals),
        "keys": key_columns,
        "names": sql.SQL("").join(sql.SQL("t.{}, ").format(sql.Identifier(name)) for name in names),
    }
    if period.is_all:
        statement = sql.SQL("""
            with recent as (
                select {keys}, sum(plays) as plays, sum(ms_played) as ms_played
                from {days}
                where user_id = %(user_id)s and local_date > %(end)s::date - 28
                group by {keys}
            ),
            current_ranks as (
                select {keys}, plays, ms_played, skips,
                    row_number() over (order by case %(measure)s when 'plays' then plays else ms_played end desc,
                        ms_played desc, {keys}) as rank
                from {totals}
                where user_id = %(user_id)s
                order by rank
                limit %(limit)s
            ),
            before as (
                select {keys}, case %(measure)s when 'plays' then t.plays - coalesce(r.plays, 0)
                    else t.ms_played - coalesce(r.ms_played, 0) end as amount
                from {totals} t
                left join recent r using ({keys})
                where t.user_id = %(user_id)s
            ),
            previous_ranks as (
                select {keys}, case when b.amount > 0
                    then 1 + (select count(*) from before o where o.amount > b.amount) end as previous_rank
                from before b
                join current_ranks using ({keys})
            )
            select c.rank, {keys}, {names} c.plays::bigint, c.ms_played::bigint, c.skips::bigint, p.previous_rank
            from current_ranks c
            join previous_ranks p using ({keys})
            join {totals} t using ({keys})
            where t.user_id = %(user_id)s
            order by c.rank
        """).format(**parts)
    else:
        statement = sql.SQL("""
            with current_ranks as (
                select {keys}, sum(plays) as plays, sum(ms_played) as ms_played, sum(skips) as skips,
                    row_number() over (order by case %(measure)s when 'plays'
                        then sum(plays) else sum(ms_played) end desc,
                        sum(ms_played) desc, {keys}) as rank
                from {days}
                where user_id = %(user_id)s and local_date between %(start)s and %(end)s
                group by {keys}
                order by rank
                limit %(limit)s
            ),
            previous_ranks as (
                select {keys}, row_number() over (
                    order by case %(measure)s when 'plays' then sum(plays) else sum(ms_played) end desc,
                        sum(ms_played) desc, {keys}) as previous_rank
                from {days}
                where user_id = %(user_id)s and local_date between %(previous_start)s and %(previous_end)s
                group by {keys}
            )
            select c.rank, {keys}, {names} c.plays::bigint, c.ms_played::bigint, c.skips::bigint, p.previous_rank
            from current_ranks c
            left join previous_ranks p using ({keys})
            join {totals} t using ({keys})
            where t.user_id = %(user_id)s
            order by c.rank
        """).format(**parts)
    previous = period.previous or period
    return read(
        statement,
        user_id=user_id,
        start=period.start,
        end=period.end,
        previous_start=previous.start,
        previous_end=previous.end,
        measure=measure,
        limit=limit,
    )


# Days, hours, sessions ----------------------------------------------------------------------------------------------


def days(user_id: str, start: dt.date, end: dt.date) -> pd.DataFrame:
    """daily_trends of the range, one row per local day with a row."""
    return read(
        """
        select local_date, plays, sessions, unique_tracks, unique_artists, new_tracks, new_artists, skips, ms_played,
            artist_diversity, plays_7d_avg, plays_28d_avg, ms_played_7d_avg, ms_played_28d_avg, streak_days
        from analytics.daily_trends
        where user_id = %(user_id)s and local_date between %(start)s and %(end)s
        order by local_date
        """,
        user_id=user_id,
        start=start,
        end=end,
    )


def trend(user_id: str, period: Period, granularity: Granularity) -> pd.DataFrame:
    """Sums per bucket (its first day): plays, ms_played, sessions, skips, new_tracks, new_artists, active_days, and the
    mean daily artist diversity over active days."""
    return read(
        """
        select
            date_trunc(%(granularity)s, local_date::timestamp)::date as bucket,
            sum(plays)::bigint as plays,
            sum(ms_played)::bigint as ms_played,
            sum(sessions)::bigint as sessions,
            sum(skips)::bigint as skips,
            sum(new_tracks)::bigint as new_tracks,
            sum(new_artists)::bigint as new_artists,
            count(*) filter (where plays > 0) as active_days,
            coalesce(avg(artist_diversity) filter (where plays > 0), 0) as artist_diversity
        from analytics.daily_trends
        where user_id = %(user_id)s and local_date between %(start)s and %(end)s
        group by bucket
        order by bucket
        """,
        user_id=user_id,
        start=period.start,
        end=period.end,
        granularity=granularity,
    )


def clock(user_id: str, period: Period) -> pd.DataFrame:
    """weekday (1 Monday), hour, plays, ms_played: when in the listener's own week the music plays."""
    return read(
        """
        select extract(isodow from local_date)::int as weekday, hour::int as hour,
            sum(plays)::bigint as plays, sum(ms_played)::bigint as ms_played
        from analytics.listening_hours
        where user_id = %(user_id)s and local_date between %(start)s and %(end)s
        group by 1, 2
        order by 1, 2
        """,
        user_id=user_id,
        start=period.start,
        end=period.end,
    )


def records(user_id: str) -> pd.DataFrame:
    """The all-time records: record, value, unit ('plays', 'ms', 'days', 'sessions'), what, local_date."""
    return read(
        """
        with busiest_day as (
            select 'Busiest day' as record, plays::bigint as value, 'plays' as unit, null as what, local_date
            from analytics.daily_trends where user_id = %(user_id)s order by plays desc, local_date limit 1
        ),
        longest_day as (
            select 'Most listening in a day', ms_played, 'ms', null, local_date
            from analytics.daily_trends where user_id = %(user_id)s order by ms_played desc, local_date limit 1
        ),
        longest_session as (
            select 'Longest session', length_ms, 'ms', plays || ' plays', local_date
            from analytics.listening_sessions where user_id = %(user_id)s order by length_ms desc, session_id limit 1
        ),
        longest_streak as (
            select 'Longest streak', streak_days::bigint, 'days', null, local_date
            from analytics.daily_trends where user_id = %(user_id)s order by streak_days desc, local_date limit 1
        ),
        on_repeat as (
            select 'Most on repeat', d.plays::bigint, 'plays', t.track_name || ' · ' || t.artist_name, d.local_date
            from (
                select * from analytics.track_days where user_id = %(user_id)s order by plays desc, local_date limit 1
            ) d
            join analytics.track_totals t on t.user_id = d.user_id and t.track_id = d.track_id
        ),
        discoveries as (
            select 'Most new artists in a day', new_artists::bigint, 'artists', null, local_date
            from analytics.daily_trends
            where user_id = %(user_id)s
                and local_date > (select min(local_date) + 28 from analytics.daily_trends where user_id = %(user_id)s)
            order by new_artists desc, local_date limit 1
        )
        select * from busiest_day
        union all select * from longest_day
        union all select * from longest_session
        union all select * from longest_streak
        union all select * from on_repeat
        union all select * from discoveries
        """,
        user_id=user_id,
    )


def milestones(user_id: str) -> pd.DataFrame:
    """plays (100, 500, 1,000, …) and the local day on which that many were reached, newest first."""
    return read(
        """
        with running as (
            select local_date, plays, sum(plays) over (order by local_date) as total
            from analytics.daily_trends
            where user_id = %(user_id)s
        ),
        marks as (
            select (base * 10 ^ power)::bigint as plays
            from unnest(array[1, 2.5, 5]) base, generate_series(1, 6) power
        )
        select marks.plays, running.local_date
        from marks
        join running on marks.plays > running.total - running.plays and marks.plays <= running.total
        order by marks.plays desc
        """,
        user_id=user_id,
    )


def session_lengths(user_id: str, period: Period) -> pd.DataFrame:
    """Sessions per start hour (local) and length class: hour, length, sessions, minutes (their mean)."""
    return read(
        """
        select
            extract(hour from local_started_at)::int as hour,
            case
                when length_ms < 15 * 60000 then 'under 15 min'
                when length_ms < 45 * 60000 then '15–45 min'
                when length_ms < 120 * 60000 then '45 min – 2 h'
                else 'over 2 h'
            end as length,
            count(*) as sessions,
            (avg(length_ms) / 60000)::double precision as minutes
        from analytics.listening_sessions
        where user_id = %(user_id)s and local_date between %(start)s and %(end)s
        group by 1, 2
        order by 1, 2
        """,
        user_id=user_id,
        start=period.start,
        end=period.end,
    )


def session_totals(user_id: str, period: Period) -> dict[str, Any]:
    """sessions, median_ms, longest_ms, mean_plays of the period."""
    return _record(
        read(
            """
            select
                count(*) as sessions,
                coalesce(percentile_cont(0.5) within group (order by length_ms), 0)::bigint as median_ms,
                coalesce(max(length_ms), 0)::bigint as longest_ms,
                coalesce(avg(plays), 0)::double precision as mean_plays
            from analytics.listening_sessions
            where user_id = %(user_id)s and local_date between %(start)s and %(end)s
            """,
            user_id=user_id,
            start=period.start,
            end=period.end,
        )
    )


def artist_months(user_id: str, artists: list[str], period: Period, granularity: Granularity) -> pd.DataFrame:
    """bucket, artist_name, plays, ms_played of the named artists."""
    return read(
        """
        select date_trunc(%(granularity)s, local_date::timestamp)::date as bucket, artist_name,
            sum(plays)::bigint as plays, sum(ms_played)::bigint as ms_played
        from analytics.artist_days
        where user_id = %(user_id)s and artist_name = any(%(artists)s) and local_date between %(start)s and %(end)s
        group by 1, 2
        order by 1, 2
        """,
        user_id=user_id,
        artists=artists,
        start=period.start,
        end=period.end,
        granularity=granularity,
    )


def movers(user_id: str, period: Period, *, limit: int = 5) -> pd.DataFrame:
    """Artists whose plays rose and fell most against the previous period: artist_name, plays, previous_plays,
    change."""
    previous = period.previous
    if previous is None:
        return pd.DataFrame(columns=["artist_name", "plays", "previous_plays", "change"])
    return read(
        """
        with changes as (
            select artist_name,
                coalesce(sum(plays) filter (where local_date >= %(start)s), 0)::bigint as plays,
                coalesce(sum(plays) filter (where local_date <= %(previous_end)s), 0)::bigint as previous_plays
            from analytics.artist_days
            where user_id = %(user_id)s
                and (local_date between %(start)s and %(end)s or local_date between %(previous_start)s
                    and %(previous_end)s)
            group by artist_name
        ),
        ranked as (
            select *, plays - previous_plays as change,
                row_number() over (order by plays - previous_plays desc, artist_name) as rise,
                row_number() over (order by plays - previous_plays, artist_name) as fall
            from changes
        )
        select artist_name, plays, previous_plays, change
        from ranked
        where (rise <= %(limit)s and change > 0) or (fall <= %(limit)s and change < 0)
        order by change desc, artist_name
        """,
        user_id=user_id,
        start=period.start,
        end=period.end,
        previous_start=previous.start,
        previous_end=previous.end,
        limit=limit,
    )


def years(user_id: str) -> pd.DataFrame:
    """One row per calendar year: plays, ms_played, sessions, active_days, new_artists, new_tracks, longest_streak_days,
    best_day and its plays, best_month."""
    return read(
        """
        with days as (
            select extract(year from local_date)::int as year, *
            from analytics.daily_trends
            where user_id = %(user_id)s
        ),
        best_days as (
            select distinct on (year) year, local_date as best_day, plays as best_day_plays
            from days order by year, plays desc, local_date
        ),
        months as (
            select year, date_trunc('month', local_date::timestamp)::date as best_month, sum(ms_played) as ms
            from days group by 1, 2
        ),
        best_months as (select distinct on (year) year, best_month from months order by year, ms desc, best_month)
        select
            year,
            sum(plays)::bigint as plays,
            sum(ms_played)::bigint as ms_played,
            sum(sessions)::bigint as sessions,
            count(*) filter (where plays > 0) as active_days,
            sum(new_artists)::bigint as new_artists,
            sum(new_tracks)::bigint as new_tracks,
            max(least(streak_days, extract(doy from local_date)))::int as longest_streak_days,
            best_day, best_day_plays, best_month
        from days
        join best_days using (year)
        join best_months using (year)
        group by year, best_day, best_day_plays, best_month
        order by year desc
        """,
        user_id=user_id,
    )


# Personas -----------------------------------------------------------------------------------------------------------


def personas(user_id: str) -> pd.DataFrame:
    """The listener's personas, active first, then by share of time. `traits` is the JSON value of the table."""
    return read(
        """
        select persona_id, label, description, explanation, traits, is_active, sessions, share_of_sessions,
            share_of_time,
            recent_share_of_time, model_version, labelled_on, previous_label, label_reason
        from ml.personas
        where user_id = %(user_id)s
        order by is_active desc, share_of_time desc, persona_id
        """,
        user_id=user_id,
    )


def current_model(user_id: str) -> dict[str, Any]:
    """The clustering in force: version, k, silhouette, stability, training_sessions, trained_from, trained_to,
    reason."""
    return _record(
        read(
            """
            select version, k, silhouette, stability, training_sessions, trained_from, trained_to, as_of, reason
            from ml.clustering_models
            where user_id = %(user_id)s and is_current
            order by version desc
            limit 1
            """,
            user_id=user_id,
        )
    )


def persona_time(user_id: str, period: Period, granularity: Granularity) -> pd.DataFrame:
    """bucket, persona_id, ms_played, sessions."""
    return read(
        """
        select date_trunc(%(granularity)s, c.local_date::timestamp)::date as bucket, c.persona_id,
            sum(s.ms_played)::bigint as ms_played, count(*) as sessions
        from ml.session_clusters c
        join analytics.listening_sessions s using (user_id, session_id)
        where c.user_id = %(user_id)s and c.local_date between %(start)s and %(end)s
            and s.local_date between %(start)s and %(end)s
        group by 1, 2
        order by 1, 2
        """,
        user_id=user_id,
        start=period.start,
        end=period.end,
        granularity=granularity,
    )


def persona_hours(user_id: str, period: Period) -> pd.DataFrame:
    """persona_id, hour (0 to 23, local), sessions that started then."""
    return read(
        """
        select c.persona_id, (floor(f.start_hour)::int %% 24) as hour, count(*) as sessions
        from ml.session_clusters c
        join ml.session_features f using (user_id, session_id)
        where c.user_id = %(user_id)s and c.local_date between %(start)s and %(end)s
            and f.local_date between %(start)s and %(end)s
        group by 1, 2
        order by 1, 2
        """,
        user_id=user_id,
        start=period.start,
        end=period.end,
    )


def session_points(user_id: str, period: Period, *, limit: int = 1200) -> pd.DataFrame:
    """The newest clustered sessions of the period with their features, for the map."""
    return read(
        """
        with newest as (
            select user_id, session_id, persona_id, distance
            from ml.session_clusters
            where user_id = %(user_id)s and local_date between %(start)s and %(end)s
            order by local_date desc, session_id desc
            limit %(limit)s
        )
        select n.persona_id, n.distance, f.*
        from newest n
        join ml.session_features f using (user_id, session_id)
        order by f.session_id desc
        """,
        user_id=user_id,
        start=period.start,
        end=period.end,
        limit=limit,
    ).drop(columns="user_id", errors="ignore")


def typical_sessions(user_id: str, period: Period, *, per_persona: int = 2) -> pd.DataFrame:
    """The sessions nearest to the middle of their persona, with their first tracks (a list of 'track · artist')."""
    return read(
        """
        with nearest as (
            select *, row_number() over (partition by persona_id order by distance, session_id desc) as place
            from ml.session_clusters
            where user_id = %(user_id)s and local_date between %(start)s and %(end)s
        )
        select n.persona_id, s.session_id, s.local_started_at, s.length_ms, s.plays, s.unique_artists, s.skips,
            (
                select array_agg(e.track_name || ' · ' || e.artist_name order by e.played_at)
                from (
                    select * from analytics.listening_events e
                    where e.user_id = n.user_id and e.local_date between n.local_date and n.local_date + 1
                        and e.session_id = n.session_id
                    order by e.played_at
                    limit 4
                ) e
            ) as first_tracks
        from nearest n
        join analytics.listening_sessions s using (user_id, session_id)
        where n.place <= %(per_persona)s
        order by n.persona_id, n.place
        """,
        user_id=user_id,
        start=period.start,
        end=period.end,
        per_persona=per_persona,
    )


# Playlists ----------------------------------------------------------------------------------------------------------


def playlists(user_id: str) -> pd.DataFrame:
    """Every generated playlist, newest first, with its persona's label and what became of it on Spotify."""
    return read(
        """
        select p.playlist_id, p.persona_id, p.as_of, p.name, p.description, p.tracks, p.ms_total, r.label as persona,
            case when o.playlist_id = p.playlist_id then o.status end as published_status,
            case when o.playlist_id = p.playlist_id then o.spotify_playlist_id end as spotify_playlist_id,
            case when o.playlist_id = p.playlist_id then o.message end as published_message
        from ml.playlists p
        left join ml.personas r using (user_id, persona_id)
        left join published_playlists o using (user_id, persona_id)
        where p.user_id = %(user_id)s
        order by p.as_of desc, p.persona_id
        """,
        user_id=user_id,
    )


def playlist_tracks(user_id: str, playlist_id: str) -> pd.DataFrame:
    """The tracks in order with reason, score parts and duration_ms (NaN where the catalogue does not know it)."""
    return read(
        """
        select p.position, p.track_id, p.track_name, p.artist_name, p.album_name, p.kind, p.score, p.score_persona,
            p.score_history, p.score_cooccurrence, p.score_freshness, p.reason, t.duration_ms
        from ml.playlist_tracks p
        left join tracks t using (track_id)
        where p.user_id = %(user_id)s and p.playlist_id = %(playlist_id)s
        order by p.position
        """,
        user_id=user_id,
        playlist_id=playlist_id,
    )


# The pipeline's health ----------------------------------------------------------------------------------------------


def data_state() -> dict[str, Any]:
    """Whether the newest run's checks passed, and when data were last found good.

    :return: last_run_id, last_checked_at, failed_checks (of the newest run), last_good_at (the newest run without
    FAIL);
        {} before the first scan.
    """
    return _record(
        read("""
            with runs as (
                select run_id, max(checked_at) as checked_at,
                    count(*) filter (where outcome = 'FAIL') as failed
                from qa_validation_results
                group by run_id
            )
            select
                newest.run_id as last_run_id,
                newest.checked_at as last_checked_at,
                newest.failed as failed_checks,
                (select max(checked_at) from runs where failed = 0) as last_good_at
            from runs newest
            order by newest.checked_at desc
            limit 1
        """)
    )


def runs(*, limit: int = 30) -> pd.DataFrame:
    """The newest scanned runs: run_id, checked_at, passed, warned, failed, seconds the checks took."""
    return read(
        """
        select run_id, max(checked_at) as checked_at,
            count(*) filter (where outcome = 'PASS') as passed,
            count(*) filter (where outcome = 'WARN') as warned,
            count(*) filter (where outcome = 'FAIL') as failed,
            (coalesce(sum(duration_ms), 0) / 1000.0)::double precision as seconds
        from qa_validation_results
        group by run_id
        order by checked_at desc
        limit %(limit)s
        """,
        limit=limit,
    )


def checks(run_id: str) -> pd.DataFrame:
    """Every check of one run, the failed ones first."""
    return read(
        """
        select scan, table_name, check_name, check_text, outcome, severity, measured_value, message, duration_ms,
            checked_at
        from qa_validation_results
        where run_id = %(run_id)s
        order by array_position(array['FAIL', 'WARN', 'PASS'], outcome) nulls first, scan, table_name, check_name
        """,
        run_id=run_id,
    )


def check_history(*, runs: int = 30) -> pd.DataFrame:
    """run_id, checked_at, check (table and name), outcome, measured_value over the newest runs."""
    return read(
        """
        with newest as (
            select run_id, max(checked_at) as run_checked_at
            from qa_validation_results group by run_id order by run_checked_at desc limit %(runs)s
        )
        select run_id, newest.run_checked_at as checked_at, scan, table_name, check_name, outcome, measured_value
        from qa_validation_results
        join newest using (run_id)
        order by checked_at, scan, table_name, check_name
        """,
        runs=runs,
    )


def accounts() -> pd.DataFrame:
    """Every listener's account: authorized_at, last play known, newest ingestion status of each pipeline, open gaps."""
    return read("""
        with gaps as (
            select user_id, count(*) filter (where closed_at is null) as open_gaps, count(*) as gaps
            from ingestion_gaps group by user_id
        ),
        states as (
            select user_id,
                string_agg(pipeline || ': ' || status || coalesce(' (' || message || ')', ''),
                    '; ' order by pipeline) as states,
                bool_and(status = 'ok') as ok,
                max(updated_at) as updated_at,
                max(last_played_at) as last_played_at
            from ingestion_state group by user_id
        )
        select l.user_id, l.display_name, l.connection_id, l.authorized_at, s.states, s.ok, s.updated_at,
            s.last_played_at,
            m.as_of, m.plays, coalesce(g.open_gaps, 0) as open_gaps, coalesce(g.gaps, 0) as gaps
        from listeners l
        left join states s using (user_id)
        left join gaps g using (user_id)
        left join analytics.analytics_user_metrics m using (user_id)
        order by l.display_name, l.user_id
    """)


def gaps(user_id: str) -> pd.DataFrame:
    """Times whose plays the 50-play window lost, newest first; closed_at is set once an export covered them."""
    return read(
        """
        select gap_start, gap_end, detected_at, closed_at, closed_by
        from ingestion_gaps where user_id = %(user_id)s order by gap_start desc
        """,
        user_id=user_id,
    )


def files(user_id: str) -> pd.DataFrame:
    """The listener's imported export files with counts; skipped_rows maps reason to rows."""
    return read(
        """
        select file_name, status, message, rows_read, rows_loaded, rows_already_known, skipped_rows,
            first_played_at, last_played_at, ingested_at
        from ingested_files where user_id = %(user_id)s order by ingested_at desc, file_name
        """,
        user_id=user_id,
    )


def excluded(user_id: str) -> pd.DataFrame:
    """Raw rows that are no play of their own, counted by source and reason."""
    return read(
        """
        select source, reason, count(*) as rows
        from analytics.excluded_events where user_id = %(user_id)s group by 1, 2 order by 3 desc, 1, 2
        """,
        user_id=user_id,
    )


def api_calls(user_id: str, start: dt.date, end: dt.date) -> pd.DataFrame:
    """called_on, endpoint, calls."""
    return read(
        """
        select called_on, endpoint, calls
        from spotify_api_calls
        where user_id = %(user_id)s and called_on between %(start)s and %(end)s
        order by called_on, endpoint
        """,
        user_id=user_id,
        start=start,
        end=end,
    )


def audio_feature_coverage(user_id: str) -> dict[str, Any]:
    """sessions, and the mean share of their plays with known audio features (None without sessions)."""
    return _record(
        read(
            """
            select count(*) as sessions, avg(audio_coverage) as coverage
            from ml.session_features where user_id = %(user_id)s
            """,
            user_id=user_id,
        )
    )
