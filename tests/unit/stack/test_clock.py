"""The demo's days: 30 days ago at first, then one by one up to the present, never beyond."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.stack.demo import SimulatedClock

TODAY = datetime(2026, 11, 22, 20, 30, tzinfo=UTC)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("clock")


def test_starts_thirty_days_before_today(tmp_path):
    clock = SimulatedClock(tmp_path / "clock.json", lambda: TODAY)
    assert clock.now == clock.start == datetime(2026, 10, 23, 4, tzinfo=UTC)


def test_a_later_start_goes_on_where_the_last_succeeded(tmp_path):
    first = SimulatedClock(tmp_path / "clock.json", lambda: TODAY)
    first.begin_run()
    first.advance()
    later = SimulatedClock(tmp_path / "clock.json", lambda: TODAY + timedelta(days=5))
    assert later.now == datetime(2026, 10, 24, 4, tzinfo=UTC)
    assert later.start == datetime(2026, 10, 23, 4, tzinfo=UTC)


def test_a_failed_run_is_followed_by_one_of_the_same_day_but_another_moment(tmp_path):
    clock = SimulatedClock(tmp_path / "clock.json", lambda: TODAY)
    moments = [clock.begin_run() for _ in range(3)]
    assert len(set(moments)) == 3
    assert {moment.date() for moment in moments} == {clock.start.date()}


@given(days_between=st.lists(st.floats(0, 3), max_size=50))
def test_never_in_the_future_and_never_back(folder, days_between):
    file = folder / "clock.json"
    file.unlink(missing_ok=True)
    today = TODAY
    previous = SimulatedClock(file, lambda: today).now
    for days in days_between:
        today += timedelta(days=days)
        clock = SimulatedClock(file, lambda today=today: today)
        moment = clock.begin_run()
        assert previous <= moment <= today
        assert moment - previous <= timedelta(days=1)
        clock.advance()
        assert moment <= clock.now <= today
        previous = moment
