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
    counted = read("session_lengths", user_id=user_id, **period.bounds, bounds=_LENGTH_BOUNDS_MS)
    return counted.assign(length=counted["length"].map(dict(enumerate(SESSION_LENGTHS))).astype(object))


def session_totals(user_id: str, period: Period) -> dict[str, Any]:
    """sessions, median_ms, longest_ms, mean_plays of the period."""
    return read_one("session_totals", user_id=user_id, **period.bounds)
