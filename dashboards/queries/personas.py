"""Personas, the clustering they come from, and the sessions of each."""

from __future__ import annotations

from typing import Any

import pandas as pd

from dashboards.queries.periods import Granularity, Period
from dashboards.queries.reader import read, read_one


def personas(user_id: str) -> pd.DataFrame:
    """The listener's personas, active first, then by share of time. `traits` is the JSON value of the table."""
    return read("personas", user_id=user_id)


def current_model(user_id: str) -> dict[str, Any]:
    """The clustering in force: version, k, silhouette, stability, training_sessions, trained_from, trained_to,
    reason."""
    return read_one("current_model", user_id=user_id)


def persona_time(user_id: str, period: Period, granularity: Granularity) -> pd.DataFrame:
    """bucket, persona_id, ms_played, sessions."""
    return read("persona_time", user_id=user_id, **period.bounds, granularity=granularity)


def persona_hours(user_id: str, period: Period) -> pd.DataFrame:
    """persona_id, hour (0 to 23, local), sessions that started then."""
    return read("persona_hours", user_id=user_id, **period.bounds)


def session_points(user_id: str, period: Period, *, limit: int = 1200) -> pd.DataFrame:
    """The newest clustered sessions of the period with their features, for the map."""
    return read("session_points", user_id=user_id, **period.bounds, limit=limit).drop(
        columns="user_id", errors="ignore"
    )


def typical_sessions(user_id: str, period: Period, *, per_persona: int = 2) -> pd.DataFrame:
    """The sessions nearest to the middle of their persona, with their first tracks (a list of 'track · artist')."""
    return read("typical_sessions", user_id=user_id, **period.bounds, per_persona=per_persona)
