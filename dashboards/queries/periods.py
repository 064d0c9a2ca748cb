"""Stretches of local days that pages are about, as the address spells them."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Period:
    """Local days from start to end, both included; `key` is how the address spells it."""

    key: str
    label: str
    start: dt.date
    end: dt.date
    is_all: bool = False

    @property
    def days(self) -> int:
        return (self.end - self.start).days + 1

    @property
    def bounds(self) -> dict[str, dt.date]:
        """start and end, as the queries call them."""
        return {"start": self.start, "end": self.end}

    @property
    def previous(self) -> Period | None:
        """The equally long period before; for a calendar year the year before; None for all time."""
        if self.is_all:
            return None
        if self.key.isdigit():
            year = int(self.key) - 1
            # A year still running is compared with the same days of the year before.
            end = (
                self.end.replace(year=year, day=28)
                if (self.end.month, self.end.day) == (2, 29)
                else self.end.replace(year=year)
            )
            return Period(str(year), str(year), dt.date(year, 1, 1), end)
        before = self.start - dt.timedelta(days=1)
        return Period("previous", f"the {self.days} days before", before - dt.timedelta(days=self.days - 1), before)


Granularity = Literal["day", "week", "month", "quarter", "year"]
ROLLING_DAYS = {"7d": 7, "28d": 28, "90d": 90, "365d": 365}
DEFAULT_PERIOD = "28d"


def period_of(key: str | None, first: dt.date, last: dt.date) -> Period:
    """Read a period from the address: 7d, 28d, 90d, 365d, all, a year, or FROM..TO with ISO days.

    :param first: first local day with a play. :param last: the day "now" is for these data.
    :raises ValueError: not a period; the message says what is.
    """
    key = key or DEFAULT_PERIOD
    if key in ROLLING_DAYS:
        days = ROLLING_DAYS[key]
        return Period(key, f"Last {days} days", last - dt.timedelta(days=days - 1), last)
    if key == "all":
        return Period("all", "All time", first, last, is_all=True)
    if len(key) == 4 and key.isascii() and key.isdigit() and first.year <= int(key) <= last.year:
        return Period(key, key, dt.date(int(key), 1, 1), min(last, dt.date(int(key), 12, 31)))
    start_text, separator, end_text = key.partition("..")
    if separator:
        try:
            start, end = dt.date.fromisoformat(start_text), dt.date.fromisoformat(end_text)
        except ValueError:
            start = end = dt.date.min
        if dt.date(2000, 1, 1) <= start <= end <= dt.date(2100, 1, 1):
            return Period(f"{start}..{end}", f"{start:%-d %b %Y} – {end:%-d %b %Y}", start, end)
    raise ValueError(
        f"“{key[:40]}” is no period of these data. Use 7d, 28d, 90d, 365d, all, a year from {first.year} to "
        f"{last.year}, "
        "or two days like 2026-01-01..2026-01-31."
    )
