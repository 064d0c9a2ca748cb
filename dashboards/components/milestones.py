"""All-time records, and round numbers of plays: those reached and the next one."""

from __future__ import annotations

import datetime as dt
import math

import pandas as pd
from markupsafe import Markup

from dashboards.components.formatting import count, day
from dashboards.components.templates import macros

_milestones = macros("milestones.html.j2")


def records_table(records: pd.DataFrame) -> Markup:
    """The all-time records.

    :param records: of queries.records().
    """
    return _milestones.records(list(records.itertuples()))


def milestones_table(milestones: pd.DataFrame) -> Markup:
    """The milestones reached; empty when there are none.

    :param milestones: of queries.milestones().
    """
    return _milestones.reached(list(milestones.itertuples())) if len(milestones) else Markup()


def next_milestone(plays: int, plays_28d: int, today: dt.date) -> Markup:
    """Which round number of plays comes next, and when at the pace of the last 28 days (if within ten years)."""
    power = 10 ** (len(str(plays)) - 1)
    target = next(step for step in (power, 5 * power // 2, 5 * power, 10 * power) if step > plays)
    days = math.ceil((target - plays) / (plays_28d / 28)) if plays_28d else math.inf
    when = f", about {day(today + dt.timedelta(days=days))} at the pace of the last 28 days" if days < 3650 else ""
    return _milestones.next(f"Next: {count(target)} plays{when}.")
