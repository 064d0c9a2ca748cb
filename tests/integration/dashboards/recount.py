"""The pages' figures counted again with pandas, from the plays alone: no statistics table, no query of the pages.

Sessions, days, streaks, discoveries, rankings and buckets are computed here a second time, in another way.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import pandas as pd
import psycopg

from dashboards.queries import Period

SESSION_GAP = pd.Timedelta(minutes=30)
KEYS = {"artist": ["artist_name"], "track": ["track_id"], "album": ["artist_name", "album_name"]}


def query(connection: psycopg.Connection, statement: str, *parameters: Any) -> pd.DataFrame:
    cursor = connection.execute(statement, parameters)
    assert cursor.description
    return pd.DataFrame(cursor.fetchall(), columns=[column.name for column in cursor.description])


@dataclass(frozen=True)
class Recount:
    """One listener's plays, and what follows from them."""

    plays: pd.DataFrame

    @classmethod
    def of(cls, connection: psycopg.Connection, user_id: str) -> Recount:
        plays = query(
            connection,
            "select event_id, track_id, track_name, artist_name, album_name, ms_played, skipped, played_at, started_at,"
            " local_started_at, local_date from analytics.analytics_listening_events where user_id = %s",
            user_id,
        )
        plays = plays.sort_values(["played_at", "event_id"], ignore_index=True)
        silence = plays["started_at"] - plays["played_at"].shift()
        return cls(plays.assign(session=(~(silence <= SESSION_GAP)).cumsum()))

    def between(self, period: Period) -> pd.DataFrame:
        return self.plays[(self.plays["local_date"] >= period.start) & (self.plays["local_date"] <= period.end)]

    @cached_property
    def sessions(self) -> pd.DataFrame:
        """local_started_at, local_date, length_ms, plays, artists, by session."""
        grouped = self.plays.groupby("session")
        found = grouped.agg(
            started_at=("started_at", "first"),
            ended_at=("played_at", "max"),
            local_started_at=("local_started_at", "first"),
            local_date=("local_date", "first"),
            plays=("event_id", "size"),
            artists=("artist_name", "nunique"),
            ms_played=("ms_played", "sum"),
        )
        length = (found["ended_at"] - found["started_at"]) / pd.Timedelta(milliseconds=1)
        return found.assign(
            length_ms=length.round().astype(int),
            session_id=[round(moment.timestamp() * 1000) for moment in found["started_at"]],
        )

    def sessions_between(self, period: Period) -> pd.DataFrame:
        return self.sessions[
            (self.sessions["local_date"] >= period.start) & (self.sessions["local_date"] <= period.end)
        ]

    @cached_property
    def days(self) -> list[dt.date]:
        return sorted(set(self.plays["local_date"]))

    @cached_property
    def streaks(self) -> dict[dt.date, int]:
        """Day with plays → how many days in a row with plays it ends."""
        streaks = {self.days[0]: 1}
        for before, day in pairwise(self.days):
            streaks[day] = streaks[before] + 1 if day - before == dt.timedelta(days=1) else 1
        return streaks

    def first_days(self, kind: str) -> pd.Series:
        """Key → the first day ever."""
        return self.plays.groupby(KEYS[kind])["local_date"].min()

    def discovered(self, kind: str, period: Period) -> int:
        return sum(period.start <= day <= period.end for day in self.first_days(kind))

    def ranked(self, kind: str, plays: pd.DataFrame, measure: str) -> pd.DataFrame:
        """plays and ms_played by key, the most played first."""
        keys = KEYS[kind]
        sums = plays.dropna(subset=keys).groupby(keys, as_index=False).agg(
            plays=("event_id", "size"), ms_played=("ms_played", "sum")
        )  # fmt: skip
        return sums.sort_values([measure, "ms_played", *keys], ascending=[False, False, *[True] * len(keys)]).assign(
            rank=range(1, len(sums) + 1)
        )

    def before(self, period: Period) -> pd.DataFrame:
        """The plays that ranks are compared with: of the period before, for all time those up to 28 days ago."""
        if period.previous is None:
            return self.plays[self.plays["local_date"] <= period.end - dt.timedelta(days=28)]
        return self.between(period.previous)

    def track_name(self, track_id: str) -> str:
        """A track is called what it was called when last heard."""
        named = self.plays[self.plays["track_id"] == track_id]
        last = named[named["played_at"] == named["played_at"].max()]
        return last.sort_values("event_id")["track_name"].iloc[0]

    def track_artist(self, track_id: str) -> str:
        named = self.plays[self.plays["track_id"] == track_id]
        last = named[named["played_at"] == named["played_at"].max()]
        return last.sort_values("event_id")["artist_name"].iloc[0]

    def reached(self, plays: int) -> dt.date:
        """The local day on which so many plays were reached."""
        return sorted(self.plays["local_date"])[plays - 1]


def bucket_of(day: dt.date, granularity: str) -> dt.date:
    """First day of the bucket that the day lies in."""
    return {
        "day": day,
        "week": day - dt.timedelta(days=day.weekday()),  # weeks begin on Monday
        "month": day.replace(day=1),
        "quarter": day.replace(month=(day.month - 1) // 3 * 3 + 1, day=1),
        "year": day.replace(month=1, day=1),
    }[granularity]


def effective_number(counts: pd.Series) -> float:
    """Hill number of order 2, from shares: how many equally frequent kinds would be as diverse."""
    shares = counts / counts.sum()
    return 1 / float((shares**2).sum())
