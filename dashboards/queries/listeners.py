"""Who listens."""

from __future__ import annotations

from typing import Any

import pandas as pd

from dashboards.queries.reader import read, read_one


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

    `time_zone` is the zone in force at the last play.
    """
    return read_one(
        """
        select
            l.user_id,
            l.display_name,
            coalesce((
                select z.time_zone from listener_time_zones z
                where z.user_id = l.user_id and z.valid_from <= m.last_played_at
                order by z.valid_from desc limit 1
            ), l.time_zone) as time_zone,
            l.authorized_at,
            m.as_of, m.plays, m.plays_30s, m.current_streak_days, m.longest_streak_days, m.ms_played_28d,
            m.plays_28d, m.last_played_at,
            (select min(d.local_date) from analytics.daily_trends d where d.user_id = l.user_id) as first_date,
            (select max(d.local_date) from analytics.daily_trends d where d.user_id = l.user_id) as last_date
        from listeners l
        left join analytics.analytics_user_metrics m using (user_id)
        where l.user_id = %(user_id)s
        """,
        user_id=user_id,
    )
