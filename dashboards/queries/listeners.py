"""Who listens."""

from __future__ import annotations

from typing import Any

import pandas as pd

from dashboards.queries.reader import read, read_one


def listeners() -> pd.DataFrame:
    """user_id, display_name, time_zone, plays (0 while nothing is published), by name."""
    return read("listeners")


def listener(user_id: str) -> dict[str, Any]:
    """One listener with the published totals; {} when unknown, totals None while nothing is published.

    `time_zone` is the zone in force at the last play.
    """
    return read_one("listener", user_id=user_id)
