"""What the recently-played endpoint shows of a history, moment by moment."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from include.demo.catalog import Track
from include.demo.listeners import listener_named
from include.demo.listening_history import History, HistoryBuilder, build_history
from include.demo.recently_played import SHORTEST_MS, WINDOW, RecentlyPlayed, ShownPlay

UNTIL = datetime(2026, 10, 23, tzinfo=UTC)
NOW_MS = int(UNTIL.timestamp() * 1000)
HOUR_MS = 3_600_000


@pytest.fixture(scope="module")
def history() -> History:
    return build_history(replace(listener_named("ada"), first_day=date(2026, 7, 1), busyness=2.0), until=UNTIL)


@pytest.fixture(scope="module")
def recently_played(history: History) -> RecentlyPlayed:
    return RecentlyPlayed(history)


@pytest.fixture(scope="module")
def ever_shown(history: History, recently_played: RecentlyPlayed) -> list[ShownPlay]:
    return [shown for i in range(len(history.plays)) if (shown := recently_played.of_play(i)) is not None]


def moments(step_ms: int) -> range:
    return range(NOW_MS - 60 * 24 * HOUR_MS, NOW_MS, step_ms)


def test_never_more_than_50_plays_newest_first(recently_played: RecentlyPlayed) -> None:
    for now in moments(5 * HOUR_MS):
        window = recently_played.window(now)
        played_at = [play.played_at_ms for play in window]
        assert len(window) == WINDOW
        assert played_at == sorted(set(played_at), reverse=True)
        assert played_at[0] <= now


def test_music_of_half_a_minute_outside_private_sessions(history: History, ever_shown: list[ShownPlay]) -> None:
    shown = {play.place_in_history for play in ever_shown}
    for index, play in enumerate(history.plays):
        visible = isinstance(play.item, Track) and play.ms_played >= SHORTEST_MS and not play.incognito
        assert (index in shown) == visible
    assert len(shown) < len(history.plays)


def test_played_at_is_mostly_the_end_and_sometimes_the_start(history: History, ever_shown: list[ShownPlay]) -> None:
    for shown in ever_shown:
        play = history.plays[shown.place_in_history]
        assert shown.played_at_ms == (play.started_ms if shown.is_start else play.ended_ms)
    assert 0.02 < sum(shown.is_start for shown in ever_shown) / len(ever_shown) < 0.1


def test_a_few_plays_appear_hours_later_behind_newer_ones(history: History, ever_shown: list[ShownPlay]) -> None:
    late = [
        shown
        for shown in ever_shown
        if shown.shown_at_ms is not None
        and shown.shown_at_ms - history.plays[shown.place_in_history].ended_ms > 2 * HOUR_MS
    ]
    assert 0.001 < len(late) / len(ever_shown) < 0.05
    newest = {play.place_in_history: play.played_at_ms for play in ever_shown}
    behind = [
        shown
        for shown in late
        if any(
            other.shown_at_ms is not None and other.shown_at_ms < shown.shown_at_ms  # type: ignore[operator]
            for other in ever_shown
            if newest[other.place_in_history] > shown.played_at_ms
        )
    ]
    assert behind, "a reader whose cursor is the newest played_at must be able to lose a late play"


def test_a_reader_with_overlap_and_no_more_than_35_new_plays_a_poll_sees_every_play(
    recently_played: RecentlyPlayed, ever_shown: list[ShownPlay]
) -> None:
    seen: set[int] = set()
    for now in moments(HOUR_MS // 2):
        seen.update(play.place_in_history for play in recently_played.window(now))
    start, end = moments(HOUR_MS // 2)[0], moments(HOUR_MS // 2)[-1]
    owed = {
        play.place_in_history
        for play in ever_shown
        if play.shown_at_ms is not None and play.played_at_ms > start and play.shown_at_ms <= end
    }
    assert owed <= seen


def test_one_poll_a_day_loses_plays(recently_played: RecentlyPlayed, ever_shown: list[ShownPlay]) -> None:
    seen: set[int] = set()
    for now in moments(24 * HOUR_MS):
        seen.update(play.place_in_history for play in recently_played.window(now))
    last = moments(24 * HOUR_MS)[-1]
    owed = [
        p for p in ever_shown if p.shown_at_ms and moments(24 * HOUR_MS)[0] < p.played_at_ms and p.shown_at_ms <= last
    ]
    assert sum(p.place_in_history not in seen for p in owed) / len(owed) > 0.05


def test_cursors_are_exclusive(recently_played: RecentlyPlayed) -> None:
    window = recently_played.window(NOW_MS)
    tenth = window[9].played_at_ms
    assert recently_played.page(NOW_MS, 50, after=tenth) == window[:9]
    assert recently_played.page(NOW_MS, 4, after=tenth) == window[5:9]
    assert recently_played.page(NOW_MS, 50, before=tenth) == window[10:]
    assert recently_played.page(NOW_MS, 3, before=tenth) == window[10:13]
    assert recently_played.page(NOW_MS, 50, before=window[-1].played_at_ms) == []


def test_some_recordings_are_reported_with_their_other_uri(history: History, ever_shown: list[ShownPlay]) -> None:
    other = [s for s in ever_shown if s.track is not history.plays[s.place_in_history].item]
    assert other
    for shown in other:
        played = history.plays[shown.place_in_history].item
        assert isinstance(played, Track)
        assert shown.track.isrc == played.isrc


def test_what_was_shown_does_not_depend_on_how_far_the_history_is_built() -> None:
    listener = replace(listener_named("ada"), first_day=date(2026, 8, 1))
    builder = HistoryBuilder(listener)
    growing = RecentlyPlayed(builder.history)
    complete = RecentlyPlayed(build_history(listener, until=UNTIL))
    for hours in range(24, 40 * 24, 7):
        now = datetime(2026, 8, 1, tzinfo=UTC) + timedelta(hours=hours)
        builder.build_until(now + timedelta(days=1))
        now_ms = int(now.timestamp() * 1000)
        assert growing.window(now_ms) == complete.window(now_ms)
