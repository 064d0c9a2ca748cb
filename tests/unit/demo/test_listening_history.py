"""The simulated histories: the same everywhere, built day by day without changing the past, and like real listening."""

from __future__ import annotations

import hashlib
import itertools
import statistics
from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.demo.catalog import Track, catalog
from include.demo.listeners import DEMO_LISTENERS, invent_listener, listener_named
from include.demo.listening_history import SILENCE_MS, History, HistoryBuilder, build_history
from include.demo.random_draws import RandomDraws, base62

UNTIL = datetime(2026, 10, 23, 12, tzinfo=UTC)
# Change these only with the catalogue or the way histories are built, never because a Python or a machine differs.
GOLDEN_DRAWS = [11, 304, 458, 43, 169, 211]
GOLDEN_ID = "N9mcnTqUkyJ7J2VUNkodjb"
GOLDEN_HISTORY = (3143, "22f23827f707fbcd")


@pytest.fixture(scope="module")
def ada() -> History:
    return build_history(replace(listener_named("ada"), first_day=date(2025, 9, 1)), until=UNTIL)


def digest(history: History) -> str:
    told = [
        (p.started_ms, p.ended_ms, p.ms_played, p.item.name, p.skipped, p.reason_end, p.session) for p in history.plays
    ]
    return hashlib.sha256(repr(told).encode()).hexdigest()[:16]


def test_draws_are_those_of_every_supported_python() -> None:
    draws = RandomDraws("golden", 1)
    assert [draws.below(1000) for _ in range(6)] == GOLDEN_DRAWS
    assert base62("track", "golden") == GOLDEN_ID


def test_a_history_is_the_same_on_every_supported_python() -> None:
    history = build_history(
        invent_listener("golden", 5, first_day=date(2026, 1, 1)), until=datetime(2026, 3, 1, tzinfo=UTC)
    )
    assert (len(history.plays), digest(history)) == GOLDEN_HISTORY


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), first=st.integers(1, 40 * 24), more=st.integers(0, 30 * 24))
def test_building_a_history_further_never_changes_its_past(seed: int, first: int, more: int) -> None:
    listener = invent_listener("someone", seed, first_day=date(2026, 3, 1))
    start = datetime(2026, 3, 1, tzinfo=UTC)
    short = build_history(listener, until=start + timedelta(hours=first))
    long = build_history(listener, until=start + timedelta(hours=first + more))
    assert long.plays[: len(short.plays)] == short.plays
    assert all(play.ended_ms > short.until.timestamp() * 1000 for play in long.plays[len(short.plays) :])


def test_a_story_told_in_pieces_is_the_story_told_at_once() -> None:
    listener = invent_listener("someone", 3, first_day=date(2026, 3, 1))
    pieces, whole = HistoryBuilder(listener), HistoryBuilder(listener)
    for days in range(0, 60, 7):
        pieces.build_until(datetime(2026, 3, 1, tzinfo=UTC) + timedelta(days=days))
    whole.build_until(datetime(2026, 3, 1, tzinfo=UTC) + timedelta(days=56))
    assert pieces.history.plays == whole.history.plays
    assert pieces.history.sessions == whole.history.sessions


def test_another_seed_gives_another_history() -> None:
    listener = invent_listener("someone", 3, first_day=date(2026, 3, 1))
    until = datetime(2026, 3, 20, tzinfo=UTC)
    assert build_history(listener, 1, until).plays != build_history(listener, 2, until).plays


def test_plays_are_possible(ada: History) -> None:
    for before, play in zip(ada.plays, ada.plays[1:], strict=False):
        assert play.started_ms < play.ended_ms
        assert before.ended_ms // 1000 < play.ended_ms // 1000
    assert all(0 < play.ms_played <= play.ended_ms - play.started_ms for play in ada.plays)
    assert all(play.ms_played <= play.item.duration_ms for play in ada.plays)


def test_sessions_are_apart_by_more_than_half_an_hour_and_have_no_such_pause_inside(ada: History) -> None:
    for before, play in zip(ada.plays, ada.plays[1:], strict=False):
        silence = play.started_ms - before.ended_ms
        assert (silence >= SILENCE_MS) == (play.session != before.session)
    assert sum(session.plays for session in ada.sessions) == len(ada.plays)
    for number, session in enumerate(ada.sessions):
        plays = ada.plays[session.first_play : session.first_play + session.plays]
        assert {play.session for play in plays} == {number}


def test_ada_often_outgrows_the_window_of_50(ada: History) -> None:
    days = Counter(datetime.fromtimestamp(play.ended_ms / 1000, UTC).date() for play in ada.plays)
    assert sum(plays > 50 for plays in days.values()) / len(days) > 0.5
    assert max(days.values()) > 150


def test_dora_is_new() -> None:
    dora = listener_named("dora")
    history = build_history(dora, until=UNTIL)
    assert len(history.plays) == 12
    assert not dora.has_export
    assert len(build_history(dora, until=UNTIL + timedelta(days=400)).plays) == 12


def test_a_few_artists_get_most_plays_and_most_tracks_few(ada: History) -> None:
    tracks = [play.item for play in ada.plays if isinstance(play.item, Track)]
    artists = sorted(Counter(track.artist.name for track in tracks).values(), reverse=True)
    assert sum(artists[: len(artists) // 10]) / len(tracks) > 0.3
    recordings = Counter(track.recording for track in tracks)
    assert statistics.median(recordings.values()) < 0.5 * statistics.mean(recordings.values())
    assert max(recordings.values()) > 100


def test_what_was_played_lately_and_often_returns_most(ada: History) -> None:
    heard = [play.item.recording for play in ada.plays if isinstance(play.item, Track)]
    then, lately, next_days = heard[:-4000], Counter(heard[-4000:-1000]), set(heard[-1000:])
    returned = {
        "often lately": [r in next_days for r, plays in lately.items() if plays >= 8],
        "once lately": [r in next_days for r, plays in lately.items() if plays == 1],
        "once long ago": [r in next_days for r, plays in Counter(then).items() if plays == 1 and r not in lately],
    }
    shares = [sum(yes) / len(yes) for yes in returned.values()]
    assert shares[0] > 2 * shares[1] > 2 * shares[2] > 0


def test_albums_are_played_in_order(ada: History) -> None:
    evenings = [s for s in ada.sessions if s.session_type == "evening album"]
    in_order = total = 0
    for session in evenings:
        plays = [p.item for p in ada.plays[session.first_play : session.first_play + session.plays]]
        for before, track in itertools.pairwise(plays):
            if isinstance(before, Track) and isinstance(track, Track):
                in_order += track.album is before.album and track.number == before.number + 1
                total += 1
    assert in_order / total > 0.7


def test_artists_of_a_circle_are_heard_together(ada: History) -> None:
    neighbours = [
        (a.item.artist.circle, b.item.artist.circle)
        for a, b in zip(ada.plays, ada.plays[1:], strict=False)
        if a.session == b.session and isinstance(a.item, Track) and isinstance(b.item, Track)
    ]
    circles = Counter(circle for circle, _ in neighbours)
    by_chance = sum((plays / len(neighbours)) ** 2 for plays in circles.values())
    assert sum(a == b for a, b in neighbours) / len(neighbours) > 4 * by_chance


def test_bea_lives_by_the_clock_of_where_she_is() -> None:
    bea = replace(listener_named("bea"), first_day=date(2025, 9, 1))
    history = build_history(bea, until=datetime(2026, 2, 1, tzinfo=UTC))
    in_tokyo = [play for play in history.plays if play.country == "JP"]
    assert {history.sessions[play.session].time_zone for play in in_tokyo} == {"Asia/Tokyo"}
    lunches = [
        datetime.fromtimestamp(history.plays[s.first_play].started_ms / 1000, ZoneInfo(s.time_zone)).hour
        for s in history.sessions
        if s.session_type == "lunch break"
    ]
    assert sum(11 <= hour <= 14 for hour in lunches) / len(lunches) > 0.95


@pytest.mark.parametrize("listener", DEMO_LISTENERS[:3], ids=lambda listener: listener.user_id)
def test_every_habit_is_lived(listener) -> None:
    history = build_history(replace(listener, first_day=date(2026, 6, 1)), until=UNTIL)
    lived = Counter(session.session_type for session in history.sessions)
    assert set(lived) == {session_type.name for session_type in listener.session_types}
    assert 4 <= len(lived) <= 6
    assert min(lived.values()) >= 5


def test_the_catalogue_has_recordings_with_several_uris() -> None:
    music = catalog()
    assert len({track.track_id for track in music.tracks.values()}) == len(music.tracks) > 10_000
    assert all(len(track_id) == 22 and track_id.isalnum() for track_id in music.tracks)
    twice = [track for track in music.tracks.values() if track.other_release is not None]
    assert len(twice) > 500
    assert all(t.isrc == t.other_release.isrc and len(t.isrc) == 12 for t in twice if t.other_release)
    assert len({artist.name for artist in music.artists}) == len(music.artists)
    isrcs = Counter(track.isrc for track in music.tracks.values())
    assert set(isrcs.values()) == {1, 2}
