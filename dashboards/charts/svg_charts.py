"""Charts that Altair cannot draw well, as SVG: the calendar, the listening clock, hours of the day, playlist covers.

Every mark carries its words as a <title>.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import math

import pandas as pd
from markupsafe import Markup

from dashboards.components.formatting import count, duration
from dashboards.components.templates import macros
from dashboards.components.theme import PERSONA_COLOURS

_svg = macros("svg_charts.html.j2")
_WEEKDAYS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]


def _opacity(value: float, top: float) -> str:
    """Square-root scale from 0.18 to 1: a few plays stay visible beside the busiest day."""
    return f"{0.18 + 0.82 * math.sqrt(min(value / top, 1.0)) if top else 0.0:.2f}"


def calendar(days: pd.DataFrame, end: dt.date, *, weeks: int = 53) -> Markup:
    """A heat map of the weeks up to `end`: one column a week, Monday on top.

    :param days: local_date, plays, ms_played.
    """
    size, step, left, top = 11, 14, 30, 18
    first = end - dt.timedelta(days=end.weekday() + 7 * (weeks - 1))
    played = {row.local_date: row for row in days.itertuples() if row.plays}
    busiest = float(days["ms_played"].quantile(0.98)) if len(days) else 0.0
    cells, months, month = [], [], None
    for offset in range((end - first).days + 1):
        date = first + dt.timedelta(days=offset)
        week, weekday = divmod(offset, 7)
        x = left + week * step
        if weekday == 0 and date.month != month:
            month = date.month
            if week < weeks - 2 and (week or date.day <= 14):
                months.append((x, f"{date:%b}"))
        row = played.get(date)
        opacity = None if row is None else _opacity(row.ms_played, busiest)
        words = "no plays" if row is None else f"{count(row.plays)} plays, {duration(row.ms_played)}"
        cells.append((x, top + weekday * step, opacity, f"{date:%a %-d %b %Y}: {words}"))
    weekdays = [(top + weekday * step + 10, _WEEKDAYS[weekday]) for weekday in (0, 2, 4)]
    label = f"Calendar of the last {weeks} weeks: music on {len(played)} days"
    return _svg.calendar(cells, months, weekdays, size, left + weeks * step, top + 7 * step, label)


def clock(hours: pd.DataFrame) -> Markup:
    """The week as rings: seven rings (Monday innermost), 24 hours around, midnight on top.

    :param hours: weekday (1 Monday), hour, plays, ms_played.
    """
    inner, ring = 46.0, 17.0
    amounts = {(int(row.weekday), int(row.hour)): row for row in hours.itertuples()}
    busiest = float(hours["ms_played"].max()) if len(hours) else 0.0
    cells = []
    for weekday in range(1, 8):
        low, high = inner + (weekday - 1) * ring, inner + weekday * ring - 2
        for hour in range(24):
            start, end = (math.radians(15 * place - 90) for place in (hour + 0.04, hour + 0.96))
            corners = [
                f"{radius * math.cos(angle):.1f} {radius * math.sin(angle):.1f}"
                for radius, angle in ((high, start), (high, end), (low, end), (low, start))
            ]
            row = amounts.get((weekday, hour))
            path = (
                f"M{corners[0]}A{high:.1f} {high:.1f} 0 0 1 {corners[1]}"
                f"L{corners[2]}A{low:.1f} {low:.1f} 0 0 0 {corners[3]}Z"
            )
            opacity = None if row is None else _opacity(row.ms_played, busiest)
            words = "no plays" if row is None else f"{duration(row.ms_played)}, {count(row.plays)} plays"
            cells.append((path, opacity, f"{_WEEKDAYS[weekday - 1]} {hour:02d}:00–{hour:02d}:59: {words}"))
    outer = inner + 7 * ring + 12
    angles = [(hour, math.radians(15 * hour - 90)) for hour in range(0, 24, 3)]
    labels = [(outer * math.cos(angle), outer * math.sin(angle) + 4, hour) for hour, angle in angles]
    return _svg.clock(
        cells,
        labels,
        int(hours.groupby("hour")["ms_played"].sum().idxmax()) if busiest else None,
        "Listening clock: hours of the day run around the circle, weekdays from Monday inside to Sunday outside",
    )


def hours(amounts: pd.DataFrame) -> Markup:
    """Hours listened by hour of the day: a bar an hour, weekends stacked on Monday to Friday.

    :param amounts: weekday (1 Monday), hour, plays, ms_played.
    """
    parts = {"Monday to Friday": range(1, 6), "Weekend": range(6, 8)}
    sums = {
        name: amounts[amounts["weekday"].isin(weekdays)].groupby("hour")["ms_played"].sum()
        for name, weekdays in parts.items()
    }
    busiest = max((sum(part.get(hour, 0) for part in sums.values()) for hour in range(24)), default=0)
    top = _round_up(busiest / 3_600_000)
    left, width, height, bar = 34, 486, 372, 17
    scale = height / top
    bars, labels = [], []
    for hour in range(24):
        x, y = left + (hour + 0.5) * width / 24 - bar / 2, 10.0 + height
        for (name, part), colour in zip(sums.items(), PERSONA_COLOURS, strict=False):
            ms = float(part.get(hour, 0))
            tall = ms / 3_600_000 * scale
            y -= tall
            title = f"{hour:02d}:00–{hour:02d}:59, {name}: {duration(ms)}"
            bars.append({"x": x, "y": y, "width": bar, "height": tall, "colour": colour, "title": title})
        if hour % 3 == 0:
            labels.append((x + bar / 2, hour))
    lines = [(10 + height - value * scale, value) for value in (top * step / 4 for step in range(5))]
    legend = list(zip(parts, PERSONA_COLOURS, strict=False))
    return _svg.hours(lines, bars, labels, legend, left, left + width, left + width + 8, height + 36)


def _round_up(value: float) -> float:
    """The next number that divides into four readable steps; 1 for nothing."""
    if value <= 0:
        return 1.0
    power = 10 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 1.2, 1.6, 2, 2.4, 3.2, 4, 6, 8, 10) if step * power >= value)


def cover(name: str, colour: str, *, label: str) -> Markup:
    """A playlist's cover: rings around a centre on its persona's colour. The same name gives the same cover."""
    seed = hashlib.sha256(name.encode()).digest()
    rings = [
        (
            12 + 9 * ring + seed[3 + ring % 8] % 6,
            0.6 + (seed[4 + ring % 9] % 5) * 0.7,
            0.16 + (seed[5 + ring % 7] % 6) / 12,
        )
        for ring in range(16)
    ]
    angle = seed[2] * 360 // 256 % 90
    return _svg.cover(seed.hex()[:8], angle, colour, 30 + seed[0] % 100, 30 + seed[1] % 100, rings, label)
