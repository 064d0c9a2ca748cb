"""What was played most: sums, rankings, who rises and falls."""

from __future__ import annotations

from typing import Any, Literal

import pandas as pd
from psycopg import sql

from dashboards.queries.periods import Granularity, Period
from dashboards.queries.reader import read, read_one

Kind = Literal["artist", "track", "album"]
Measure = Literal["plays", "ms_played"]

# What a kind of thing is called in the tables: its days, its totals, the columns that identify it, those that name it.
KINDS: dict[Kind, tuple[str, str, list[str], list[str]]] = {
    "artist": ("artist_days", "artist_totals", ["artist_name"], []),
    "track": ("track_days", "track_totals", ["track_id"], ["track_name", "artist_name"]),
    "album": ("album_days", "album_totals", ["artist_name", "album_name"], []),
}


def period_totals(user_id: str, period: Period) -> dict[str, Any]:
    """Sums over the period's days, and how many different tracks and artists they hold."""
    return read_one("period_totals", user_id=user_id, **period.bounds, is_all=period.is_all)


def top(user_id: str, kind: Kind, period: Period, *, measure: Measure = "plays", limit: int = 10) -> pd.DataFrame:
    """The most played of a kind: rank, its names, plays, ms_played, skips, previous_rank (NaN: not there before).

    The rank before is that of the previous period; for all time, the rank 28 days ago.
    """
    days, totals, keys, names = KINDS[kind]
    parts = {
        "days": sql.Identifier("analytics", days),
        "totals": sql.Identifier("analytics", totals),
        "keys": sql.SQL(", ").join(map(sql.Identifier, keys)),
        "names": sql.SQL("").join(sql.SQL("t.{}, ").format(sql.Identifier(name)) for name in names),
        "asked": sql.SQL(", ").join(sql.SQL("{}::text[]").format(sql.Placeholder(f"asked_{key}")) for key in keys),
        "measure": sql.Identifier({"plays": "plays", "ms_played": "ms_played"}[measure]),
    }
    ranked = read(
        sql.SQL(_TOP_OF_ALL if period.is_all else _TOP_OF_PERIOD).format(**parts),
        user_id=user_id,
        **period.bounds,
        limit=limit,
    )
    previous = period.previous or period
    # A statement of its own: both read a period's days once.
    ranked_before = read(
        sql.SQL(_SUMS_28_DAYS_AGO if period.is_all else _SUMS_OF_PERIOD).format(**parts)
        + sql.SQL(_RANKS_OF_ASKED).format(**parts),
        user_id=user_id,
        **previous.bounds,
        **{f"asked_{key}": list(ranked[key]) for key in keys},
    )
    return ranked.merge(ranked_before, how="left", on=keys)


_TOP_OF_PERIOD = """
    with most as (
        select {keys}, sum(plays)::bigint as plays, sum(ms_played)::bigint as ms_played, sum(skips)::bigint as skips
        from {days}
        where user_id = %(user_id)s and local_date between %(start)s and %(end)s
        group by {keys}
        order by {measure} desc, ms_played desc, {keys}
        limit %(limit)s
    )
    select row_number() over (order by most.{measure} desc, most.ms_played desc, {keys}) as rank,
        {keys}, {names} most.plays, most.ms_played, most.skips
    from most
    join {totals} t using ({keys})
    where t.user_id = %(user_id)s
    order by rank
"""
_TOP_OF_ALL = """
    with most as (
        select * from {totals}
        where user_id = %(user_id)s
        order by {measure} desc, ms_played desc, {keys}
        limit %(limit)s
    )
    select row_number() over (order by {measure} desc, ms_played desc, {keys}) as rank,
        {keys}, {names} plays::bigint as plays, ms_played, skips::bigint as skips
    from most t
    order by rank
"""
_SUMS_OF_PERIOD = """
    with sums as (
        select {keys}, sum(plays) as plays, sum(ms_played) as ms_played
        from {days}
        where user_id = %(user_id)s and local_date between %(start)s and %(end)s
        group by {keys}
    ),
"""
_SUMS_28_DAYS_AGO = """
    with recent as (
        select {keys}, sum(plays) as plays, sum(ms_played) as ms_played
        from {days}
        where user_id = %(user_id)s and local_date > %(end)s::date - 28
        group by {keys}
    ),
    sums as (
        select {keys}, t.plays - coalesce(r.plays, 0) as plays, t.ms_played - coalesce(r.ms_played, 0) as ms_played
        from {totals} t
        left join recent r using ({keys})
        where t.user_id = %(user_id)s and t.plays > coalesce(r.plays, 0)
    ),
"""
_RANKS_OF_ASKED = """
    asked as (select * from unnest({asked}) asked ({keys}) join sums using ({keys})),
    ranked as (
        select {keys}, row_number() over (order by {measure} desc, ms_played desc, {keys}) as previous_rank
        from sums
        where {measure} >= (select min({measure}) from asked)
    )
    select {keys}, previous_rank from ranked join asked using ({keys})
"""


def artist_months(user_id: str, artists: list[str], period: Period, granularity: Granularity) -> pd.DataFrame:
    """bucket, artist_name, plays, ms_played of the named artists."""
    return read("artist_months", user_id=user_id, artists=artists, **period.bounds, granularity=granularity)


def movers(user_id: str, period: Period, *, limit: int = 5) -> pd.DataFrame:
    """Artists whose plays rose and fell most against the previous period: artist_name, plays, previous_plays,
    change."""
    previous = period.previous
    if previous is None:
        return pd.DataFrame(columns=["artist_name", "plays", "previous_plays", "change"])
    return read(
        "movers",
        user_id=user_id,
        **period.bounds,
        previous_start=previous.start,
        previous_end=previous.end,
        limit=limit,
    )
