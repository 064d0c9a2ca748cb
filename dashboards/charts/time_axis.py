"""Axes of time: how buckets of days, weeks, months, quarters and years are placed and spelled."""

from __future__ import annotations

import altair as alt
import pandas as pd

# How an axis and a tooltip spell a bucket's first day.
_TIME_FORMATS = {
    "day": ("%-d %b", "%a %-d %b %Y"),
    "week": ("%-d %b", "week of %-d %b %Y"),
    "month": ("%b %Y", "%B %Y"),
    "quarter": ("%b %Y", "quarter from %B %Y"),
    "year": ("%Y", "%Y"),
}

_OFFSETS = {
    "day": pd.DateOffset(days=1),
    "week": pd.DateOffset(weeks=1),
    "month": pd.DateOffset(months=1),
    "quarter": pd.DateOffset(months=3),
    "year": pd.DateOffset(years=1),
}


def with_days(frame: pd.DataFrame, column: str) -> pd.DataFrame:
    """The frame with the column's dates as timestamps, which Altair needs for a time axis."""
    return frame.assign(**{column: pd.to_datetime(frame[column])})


def spans(frame: pd.DataFrame, granularity: str, column: str = "bucket") -> pd.DataFrame:
    """Adds from_ and to_, between which a bucket's bar stands: its days less a gap, so that bars do not touch each
    other."""
    end = frame[column] + _OFFSETS[granularity]
    gap = (end - frame[column]) * 0.1
    return frame.assign(from_=frame[column] + gap, to_=end - gap)


def stacked(frame: pd.DataFrame, value: str, *, normalize: bool = False) -> pd.DataFrame:
    """Adds low and high: where each row stands in the stack of its bucket (shares of 1 when normalised)."""
    stacks = frame.groupby("from_")[value]
    high = stacks.cumsum()
    total = stacks.transform("sum").where(lambda sums: sums > 0) if normalize else 1
    return frame.assign(low=(high - frame[value]) / total, high=high / total)


def time_axis(granularity: str, column: str = "bucket") -> alt.X:
    """The x axis of a column of timestamps, spelled as fits the granularity."""
    axis_format, _ = _TIME_FORMATS[granularity]
    return alt.X(f"{column}:T", title=None, axis=alt.Axis(format=axis_format, tickCount=7))


def time_tooltip(granularity: str) -> alt.Tooltip:
    """Which bucket it is, in a tooltip."""
    return alt.Tooltip("bucket:T", title="When", format=_TIME_FORMATS[granularity][1])
