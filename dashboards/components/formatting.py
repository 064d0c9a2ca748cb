"""Numbers, dates and durations as words. Every function returns plain text, "–" for a missing value."""

from __future__ import annotations

import datetime as dt
from typing import Any
from zoneinfo import ZoneInfo

MISSING = "–"


def missing(value: Any) -> bool:
    """Whether it is None, NaN or NaT."""
    return value is None or value != value


def count(number: float | None) -> str:
    """'1,234'."""
    return MISSING if missing(number) else f"{number:,.0f}"


def of_30s(plays_30s: float) -> str:
    """How many plays lasted 30 s or more, from where Spotify counts a stream; stands beside the number of all plays."""
    return f"{count(plays_30s)} of 30 s or more"


def percent(share: float | None) -> str:
    """A share of 1 as '12%'."""
    return MISSING if missing(share) else f"{share:.0%}"


def measured(value: float | None) -> str:
    """A check's value to four digits."""
    return MISSING if missing(value) else f"{value:,.4g}"


def duration(ms: float | None) -> str:
    """Milliseconds in the units people say: '48 s', '37 min', '3 h 12 min', from a day on '63 h'."""
    if ms is None or missing(ms):
        return MISSING
    minutes = round(ms / 60_000)
    if ms < 60_000:
        return f"{round(ms / 1000)} s"
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 24 * 60:
        return f"{minutes // 60} h {minutes % 60:02d} min"
    return f"{minutes / 60:,.0f} h"


def track_length(ms: float | None) -> str:
    """Milliseconds as '3:07'; empty when unknown."""
    if ms is None or missing(ms):
        return ""
    seconds = round(ms / 1000)
    return f"{seconds // 60}:{seconds % 60:02d}"


def day(value: dt.date | None) -> str:
    """'30 Jun 2026'."""
    return MISSING if missing(value) else f"{value:%-d %b %Y}"


def moment(value: dt.datetime | None, time_zone: str) -> str:
    """A UTC time in the time zone, '1 Jul 2026, 00:30'."""
    return MISSING if value is None or missing(value) else f"{value.astimezone(ZoneInfo(time_zone)):%-d %b %Y, %H:%M}"
