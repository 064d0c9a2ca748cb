"""Listening sessions by length and start hour."""

from __future__ import annotations

from typing import Any

import pandas as pd

from dashboards.queries.periods import Period
from dashboards.queries.reader import read, read_one

SESSION_LENGTHS = ["under 15 min", "15–45 min", "45 min – 2 h", "over 2 h"]
_LENGTH_BOUNDS_MS = [minutes * 60_000 for minutes in (15, 45, 120)]


def session_lengths(user_id: str, period: Period) -> pd.DataFrame:
    """Sessions per start hour (local) and length class: hour, length (of SESSION_LENGTHS), sessions, minutes (their
    mean)."""
    counted = read(
        """
        select
            date_part('hour', local_started_at)::int as hour,
            width_bucket(length_ms, %(bounds)s::bigint[]) as length,
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
        bounds=_LENGTH_BOUNDS_MS,
    )
    return counted.assign(length=counted["length"].map(dict(enumerate(SESSION_LENGTHS))).astype(object))


def session_totals(user_id: str, period: Period) -> dict[str, Any]:
    """sessions, median_ms, longest_ms, mean_plays of the period."""
    return read_one(
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
