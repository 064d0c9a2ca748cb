"""Periods as the address spells them."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboards.queries import period_of

FIRST, LAST = dt.date(2023, 3, 5), dt.date(2026, 6, 30)


@pytest.mark.parametrize(
    ("key", "start", "end"),
    [
        (None, dt.date(2026, 6, 3), LAST),
        ("7d", dt.date(2026, 6, 24), LAST),
        ("2025", dt.date(2025, 1, 1), dt.date(2025, 12, 31)),
        ("2026", dt.date(2026, 1, 1), LAST),
        ("all", FIRST, LAST),
        ("2026-02-01..2026-02-01", dt.date(2026, 2, 1), dt.date(2026, 2, 1)),
    ],
)
def test_period_of(key, start, end):
    period = period_of(key, FIRST, LAST)
    assert (period.start, period.end) == (start, end)


@pytest.mark.parametrize(
    "key",
    [
        "28",
        "2022",
        "2027",
        "28d;",
        "2026-02-30..2026-03-01",
        "2026-03-02..2026-03-01",
        "0001-01-01..2026-01-01",
        "٢٠٢٥",
    ],
)
def test_no_period_says_what_is_one(key):
    with pytest.raises(ValueError, match=r"2023 to 2026"):
        period_of(key, FIRST, LAST)


@given(start=st.dates(dt.date(2000, 1, 1), dt.date(2099, 12, 31)), length=st.integers(0, 20_000))
def test_the_period_before_is_as_long_and_ends_the_day_before(start, length):
    end = min(start + dt.timedelta(days=length), dt.date(2100, 1, 1))
    period = period_of(f"{start}..{end}", FIRST, LAST)
    assert period.previous.days == period.days
    assert period.previous.end == period.start - dt.timedelta(days=1)


def test_a_running_year_is_compared_with_the_same_days_of_the_year_before():
    previous = period_of("2026", FIRST, LAST).previous
    assert (previous.start, previous.end) == (dt.date(2025, 1, 1), dt.date(2025, 6, 30))
    leap = period_of("2024", FIRST, dt.date(2024, 2, 29)).previous
    assert leap.end == dt.date(2023, 2, 28)


def test_all_time_has_nothing_before():
    assert period_of("all", FIRST, LAST).previous is None
