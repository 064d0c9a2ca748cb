"""Drawings that no chart grammar makes well: the streak calendar, the listening clock, playlist covers. SVG text,
coloured by
the stylesheet's custom properties; every mark carries its words as a <title>."""

from __future__ import annotations

import datetime as dt
import hashlib
import math

import pandas as pd

from dashboards import look
from dashboards.vocabularies import word

WEEKDAYS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]


def _opacity(value: float, top: float) -> float:
    """Square-root scale from 0.18 to 1: a few plays stay visible beside the busiest day."""
    return 0.18 + 0.82 * math.sqrt(min(value / top, 1.0)) if top else 0.0


def calendar(days: pd.DataFrame, end: dt.date, *, weeks: int = 53) -> str:
    """A heat map of the weeks up to `end`: one column a week, Monday on top.

    :param days: local_date, plays, ms_played.
    """
    size, gap, left, top = 11, 3, 30, 18
    first = end - dt.timedelta(days=end.weekday() + 7 * (weeks - 1))
    known = {row.local_date: row for row in days.itertuples()}
    busiest = float(days["ms_played"].quantile(0.98)) if len(days) else 0.0
    marks, month = [], None
    for week in range(weeks):
        for weekday in range(7):
            date = first + dt.timedelta(days=7 * week + weekday)
            if date > end:
                break
            x, y = left + week * (size + gap), top + weekday * (size + gap)
            row = known.get(date)
            if weekday == 0 and date.month != month:
                month = date.month
                if week < weeks - 2 and (week or date.day <= 14):
                    marks.append(f'<text x="{x}" y="11">{date:%b}</text>')
            words = (
                f"{look.count(row.plays)} plays, {look.duration(row.ms_played)}"
                if row is not None and row.plays
                else "silence"
            )
            style = (
                f'class="cell" opacity="{_opacity(row.ms_played, busiest):.2f}"'
                if row is not None and row.plays
                else 'class="empty"'
            )
            marks.append(
                f'<rect x="{x}" y="{y}" width="{size}" height="{size}" rx="2.5" {style}>'
                f"<title>{date:%a %-d %b %Y}: {words}</title></rect>"
            )
    for weekday in (0, 2, 4):
        marks.append(f'<text x="0" y="{top + weekday * (size + gap) + 10}">{WEEKDAYS[weekday]}</text>')
    width, height = left + weeks * (size + gap), top + 7 * (size + gap)
    played = sum(1 for row in known.values() if row.plays)
    label = f"Calendar of the last {weeks} weeks: music on {played} days"
    return (
        f'<div class="scroll calendar" tabindex="0" role="region" aria-label="{label}">'
        f'<svg class="drawing" style="min-width:640px" viewBox="0 0 {width} {height}" role="img" '
        f'aria-label="{label}">{"".join(marks)}</svg></div>'
    )


def clock(hours: pd.DataFrame) -> str:
    """The week as a record: seven grooves (Monday innermost), 24 hours around, midnight on top.

    :param hours: weekday (1 Monday), hour, plays, ms_played.
    """
    inner, groove = 46.0, 17.0
    amounts = {(int(row.weekday), int(row.hour)): row for row in hours.itertuples()}
    busiest = float(hours["ms_played"].max()) if len(hours) else 0.0
    marks = []
    for weekday in range(1, 8):
        low, high = inner + (weekday - 1) * groove, inner + weekday * groove - 2
        for hour in range(24):
            start, end = (math.radians(15 * place - 90) for place in (hour + 0.04, hour + 0.96))
            points = [
                (high * math.cos(start), high * math.sin(start)),
                (high * math.cos(end), high * math.sin(end)),
                (low * math.cos(end), low * math.sin(end)),
                (low * math.cos(start), low * math.sin(start)),
            ]
            (ax, ay), (bx, by), (cx, cy), (dx, dy) = points
            path = (
                f"M{ax:.1f} {ay:.1f}A{high:.1f} {high:.1f} 0 0 1 {bx:.1f} {by:.1f}L{cx:.1f} "
                f"{cy:.1f}A{low:.1f} {low:.1f} 0 0 0 {dx:.1f} {dy:.1f}Z"
            )
            row = amounts.get((weekday, hour))
            words = f"{look.duration(row.ms_played)}, {look.count(row.plays)} plays" if row is not None else "silence"
            style = (
                f'class="cell" opacity="{_opacity(row.ms_played, busiest):.2f}"' if row is not None else 'class="empty"'
            )
            marks.append(
                f'<path d="{path}" {style}><title>{WEEKDAYS[weekday - 1]} {hour:02d}:00–{hour:02d}:59: '
                f"{words}</title></path>"
            )
    outer = inner + 7 * groove + 12
    for hour in range(0, 24, 3):
        angle = math.radians(15 * hour - 90)
        marks.append(
            f'<text x="{outer * math.cos(angle):.1f}" y="{outer * math.sin(angle) + 4:.1f}" '
            f'text-anchor="middle">{hour:02d}</text>'
        )
    peak = ""
    if busiest:
        best = hours.groupby("hour")["ms_played"].sum()
        top = int(best.idxmax())
        peak = (
            f'<text text-anchor="middle" y="-4" style="font-size:10.5px">busiest hour</text>'
            f'<text text-anchor="middle" y="18" '
            f'style="font-size:22px;fill:var(--tone-ink);font-family:var(--tone-display)">{top:02d}:00</text>'
        )
    label = "Listening clock: hours of the day around, weekdays from Monday inside to Sunday outside"
    return (
        f'<svg class="drawing" style="max-width:27rem;margin-inline:auto" viewBox="-190 -190 380 380" '
        f'role="img" aria-label="{label}">{"".join(marks)}{peak}</svg>'
    )


def hours(amounts: pd.DataFrame) -> str:
    """Hours listened by hour of the day: a bar an hour, weekends stacked on Monday to Friday.

    :param amounts: weekday (1 Monday), hour, plays, ms_played.
    """
    parts = {"Monday to Friday": range(1, 6), "Weekend": range(6, 8)}
    sums = {
        name: amounts[amounts["weekday"].isin(weekdays)].groupby("hour")["ms_played"].sum()
        for name, weekdays in parts.items()
    }
    top = _round_up(
        max((sum(part.get(hour, 0) for part in sums.values()) for hour in range(24)), default=0) / 3_600_000
    )
    left, width, height, bar = 34, 486, 372, 17
    scale = height / top
    marks = []
    for step in range(5):
        value = top * step / 4
        y = 10 + height - value * scale
        marks.append(
            f'<line x1="{left}" x2="{left + width}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text x="{left - 8}" y="{y + 4:.1f}" text-anchor="end">{value:,.4g}</text>'
        )
    for hour in range(24):
        x, y = left + (hour + 0.5) * width / 24 - bar / 2, 10.0 + height
        for place, (name, part) in enumerate(sums.items()):
            ms = float(part.get(hour, 0))
            tall = ms / 3_600_000 * scale
            y -= tall
            marks.append(
                f'<rect x="{x:.1f}" y="{y:.1f}" width="{bar}" height="{tall:.1f}" fill="{look.PERSONA_COLOURS[place]}">'
                f"<title>{hour:02d}:00–{hour:02d}:59, {name}: {look.duration(ms)}</title></rect>"
            )
        if hour % 3 == 0:
            marks.append(f'<text x="{x + bar / 2:.1f}" y="{height + 28}" text-anchor="middle">{hour:02d}</text>')
    legend = "".join(
        f'<span style="--dot:{look.PERSONA_COLOURS[place]}"><span class="dot"></span>{name}</span>'
        for place, name in enumerate(parts)
    )
    return (
        f'<div class="legend">{legend}</div><svg class="drawing hours" viewBox="0 0 {left + width + 8} {height + 36}" '
        f'role="img" aria-label="Hours listened by hour of the day">{"".join(marks)}</svg>'
    )


def _round_up(value: float) -> float:
    """The next number that divides into four readable steps; 1 for nothing."""
    if value <= 0:
        return 1.0
    power = 10 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 1.2, 1.6, 2, 2.4, 3.2, 4, 6, 8, 10) if step * power >= value)


def cover(name: str, colour: str, *, label: str) -> str:
    """A sleeve for a playlist: grooves around a seeded centre on its persona's colour. The same name gives the same
    sleeve."""
    seed = hashlib.sha256(name.encode()).digest()
    cx, cy = 30 + seed[0] % 100, 30 + seed[1] % 100
    turn = seed[2] * 360 // 256
    key = seed.hex()[:8]
    rings = "".join(
        f'<circle cx="{cx}" cy="{cy}" r="{12 + 9 * ring + seed[3 + ring % 8] % 6}" '
        f'stroke-width="{0.6 + (seed[4 + ring % 9] % 5) * 0.7:.1f}" '
        f'stroke-opacity="{0.16 + (seed[5 + ring % 7] % 6) / 12:.2f}"/>'
        for ring in range(16)
    )
    return (
        f'<svg viewBox="0 0 160 160" role="img" aria-label="{look.text(label)}"><defs>'
        f'<linearGradient id="g{key}" gradientTransform="rotate({turn % 90} .5 .5)"><stop offset="0" '
        f'style="stop-color:{colour}"/>'
        f'<stop offset="1" style="stop-color:color-mix(in oklab, {colour} 45%, #10231d)"/></linearGradient></defs>'
        f'<rect width="160" height="160" fill="url(#g{key})"/><g fill="none" stroke="#fff">{rings}</g>'
        f'<circle cx="{cx}" cy="{cy}" r="7" fill="#fff" fill-opacity=".9"/></svg>'
    )


def check_history(history: pd.DataFrame) -> str:
    """One line a check, one mark a run, the oldest left; colour and shape both tell the outcome. Checks that always
    passed are folded away.

    :param history: run_id, checked_at, table_name, check_name, outcome, measured_value.
    """
    runs = list(history.sort_values("checked_at")["run_id"].drop_duplicates())
    noticed: list[str] = []
    quiet: list[str] = []
    for (table, check), rows in history.groupby(["table_name", "check_name"], sort=False):
        by_run = {row.run_id: row for row in rows.itertuples()}
        marks = []
        for run in runs:
            row = by_run.get(run)
            if row is None:
                marks.append('<span class="mark" aria-hidden="true">·</span>')
                continue
            outcome, shape, tone = word("qa_validation_results", "outcome", row.outcome)
            measured = "" if pd.isna(row.measured_value) else f", measured {row.measured_value:,.4g}"
            marks.append(
                f'<span class="mark {tone}" title="{row.checked_at:%-d %b %Y %H:%M} UTC: '
                f'{outcome}{measured}" '
                f'aria-hidden="true">{shape}</span>'
            )
        outcomes = rows["outcome"].value_counts()
        words = ", ".join(
            f"{number} {word('qa_validation_results', 'outcome', outcome).label}"
            for outcome, number in outcomes.items()
        )
        lines = quiet if set(outcomes.index) == {"PASS"} else noticed
        lines.append(
            f'<li><span class="check"><strong>{look.text(check)}</strong> <span '
            f'class="by">{look.text(table)}</span></span>'
            f'<span class="marks">{"".join(marks)}<span class="visually-hidden">{words}</span></span></li>'
        )
    always = f'<ul class="checks">{"".join(quiet)}</ul>'
    if not noticed:
        return f'<p class="quiet">Every check passed in every run.</p>{look.folded(f"{len(quiet)} checks", always)}'
    return f'<ul class="checks">{"".join(noticed)}</ul>' + (
        look.folded(f"{len(quiet)} checks that always passed", always) if quiet else ""
    )
