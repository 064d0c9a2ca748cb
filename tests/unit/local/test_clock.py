"""The demo's days: 30 days ago at first, then one by one up to the present, never beyond."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.local.demo import SimulatedClock

TODAY = datetime(2026, 11, 22, 20, 30, tzinfo=UTC)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("clock")


def test_starts_thirty_days_before_today(tmp_path):
    clock = SimulatedClock(tmp_path / "clock.json", TODAY)
    assert clock.now == clock.start == datetime(2026, 10, 23, 4, tzinfo=UTC)


def test_a_later_start_goes_on_where_the_last_succeeded(tmp_path):
    SimulatedClock(tmp_path / "clock.json", TODAY).advance()
    later = SimulatedClock(tmp_path / "clock.json", TODAY + timedelta(days=5))
    assert later.now == datetime(2026, 10, 24, 4, tzinfo=UTC)
    assert later.start == datetime(2026, 10, 23, 4, tzinfo=UTC)


@given(days_between=st.lists(st.floats(0, 3), max_size=50))
def test_never_in_the_future_and_never_back(folder, days_between):
    file = folder / "clock.json"
    file.unlink(missing_ok=True)
    today = TODAY
    previous = SimulatedClock(file, today).now
    for days in days_between:
        today += timedelta(days=days)
        clock = SimulatedClock(file, today)
        clock.advance()
        assert previous <= clock.now <= today
        assert clock.now - previous <= timedelta(days=1)
        previous = clock.now
