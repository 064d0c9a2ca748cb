"""The year in review."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
from markupsafe import Markup

from dashboards.components.blocks import Figure
from dashboards.components.formatting import count, duration, of_30s
from dashboards.components.rankings import ranking
from dashboards.components.templates import macros


def year_in_review(year: Any, tops: Mapping[Any, pd.DataFrame], *, is_open: bool) -> Markup:
    """One calendar year behind its summary: key figures and its most played.

    :param year: a row of queries.years(). :param tops: kind → queries.top() of the year.
    """
    items = [
        Figure("Listening", duration(year.ms_played)),
        Figure("Plays", count(year.plays), of_30s(year.plays_30s)),
        Figure("New artists", count(year.new_artists)),
        Figure("Longest streak", f"{year.longest_streak_days} days"),
        Figure("Busiest day", f"{year.best_day:%-d %b}", f"{count(year.best_day_plays)} plays"),
        Figure("Busiest month", f"{year.best_month:%B}"),
    ]
    rankings = [
        (f"{kind.capitalize()}s", ranking(rows, kind, label=f"Top {kind}s of {year.year}"))
        for kind, rows in tops.items()
    ]
    return macros("years.html.j2").year_in_review(year, items, rankings, is_open)
