"""Listening by day, hour and year; records and milestones."""

from __future__ import annotations

import datetime as dt

import pandas as pd

from dashboards.queries.periods import Granularity, Period
from dashboards.queries.reader import read


def days(user_id: str, start: dt.date, end: dt.date) -> pd.DataFrame:
    """local_date, plays, ms_played of every local day with plays."""
    return read("days", user_id=user_id, start=start, end=end)


def trend(user_id: str, period: Period, granularity: Granularity) -> pd.DataFrame:
    """Per bucket (its first day) of the period's days in it: plays, plays_30s, ms_played, sessions, skips, heard,
    new_tracks, new_artists, active_days, and effective_artists, the effective number of artists of the bucket's plays
    (SQL function effective_number)."""
    sums = read("trend", user_id=user_id, **period.bounds, granularity=granularity)
    if granularity == "day":
        return sums
    # Of more than a day neither a sum nor a mean of days would be right.
    return sums.drop(columns="effective_artists").merge(_effective_artists(user_id, period, granularity), on="bucket")


_LENGTHS = {"week": "7 days", "month": "1 month", "quarter": "3 months", "year": "1 year"}


def _effective_artists(user_id: str, period: Period, granularity: Granularity) -> pd.DataFrame:
    """bucket, effective_artists of the bucket's plays within the period."""
    # Bucket by bucket: a small group each, where one over all of them takes twice as long.
    return read(
        "effective_artists", user_id=user_id, **period.bounds, granularity=granularity, length=_LENGTHS[granularity]
    )


def clock(user_id: str, period: Period) -> pd.DataFrame:
    """weekday (1 Monday), hour, plays, ms_played: when in the listener's own week the music plays."""
    return read("clock", user_id=user_id, **period.bounds)


def records(user_id: str) -> pd.DataFrame:
    """The all-time records: record, value, unit ('plays', 'ms', 'days', 'sessions'), what, local_date."""
    return read("records", user_id=user_id)


def milestones(user_id: str) -> pd.DataFrame:
    """plays (100, 500, 1,000, …) and the local day on which that many were reached, newest first."""
    return read("milestones", user_id=user_id)


def years(user_id: str) -> pd.DataFrame:
    """One row per calendar year: plays, plays_30s, ms_played, active_days, new_artists, longest_streak_days, best_day
    and its plays, best_month (by listening time)."""
    return read("years", user_id=user_id)
