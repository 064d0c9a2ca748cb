"""Personas, the clustering they come from, and the sessions of each."""

from __future__ import annotations

from typing import Any

import pandas as pd

from dashboards.queries.periods import Granularity, Period
from dashboards.queries.reader import read, read_one


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
    return read_one(
        """
        select version, k, silhouette, stability, training_sessions, trained_from, trained_to, as_of, reason
        from ml.clustering_models
        where user_id = %(user_id)s and is_current
        order by version desc
        limit 1
        """,
        user_id=user_id,
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
        select n.persona_id, n.distance, to_char(s.local_started_at, 'HH24:MI') as starts, f.*
        from newest n
        join ml.session_features f using (user_id, session_id)
        join analytics.listening_sessions s using (user_id, session_id)
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
            select n.*
            from ml.personas p
            cross join lateral (
                select c.*, row_number() over (order by c.distance, c.session_id desc) as place
                from ml.session_clusters c
                where c.user_id = p.user_id and c.persona_id = p.persona_id
                    and c.local_date between %(start)s and %(end)s
                order by c.distance, c.session_id desc
                limit %(per_persona)s
            ) n
            where p.user_id = %(user_id)s
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
        order by n.persona_id, n.place
        """,
        user_id=user_id,
        start=period.start,
        end=period.end,
        per_persona=per_persona,
    )
