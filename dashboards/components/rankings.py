"""What was played most, as an ordered list with a bar each."""

from __future__ import annotations

import pandas as pd
from markupsafe import Markup

from dashboards.components.formatting import count, duration, missing
from dashboards.components.templates import macros

_NAMES = {"artist": "artist_name", "track": "track_name", "album": "album_name"}


def ranking(rows: pd.DataFrame, kind: str, *, label: str, measure: str = "plays", since: str = "") -> Markup:
    """A ranking of artists, tracks or albums.

    :param rows: of queries.top(). :param measure: what the bars show, 'plays' or 'ms_played'.
    :param since: what the ranks before belong to, in words; without it neither the change
        of rank nor the unit is shown.
    """
    unit = " plays" if since else ""
    most = max(rows[measure].max(), 1)
    items = [
        {
            "rank": row.rank,
            "name": getattr(row, _NAMES[kind]),
            "by": "" if kind == "artist" else row.artist_name,
            "amount": duration(row.ms_played) if measure == "ms_played" else f"{count(row.plays)}{unit}",
            "share": getattr(row, measure) / most,
            "previous_rank": None if missing(row.previous_rank) else int(row.previous_rank),
        }
        for row in rows.itertuples()
    ]
    return macros("rankings.html.j2").ranking(items, label, since)
