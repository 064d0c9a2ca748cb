"""The simulated histories are like real ones in every statistic, and the statistics are what their names say."""

from __future__ import annotations

import json
import zipfile
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from include.demo.history_statistics import REAL, MusicPlays, _Row, outside, statistics
from include.demo.listeners import Listener, invent_listener, listener_named
from include.demo.listening_history import build_history

UNTIL = datetime(2026, 10, 26, 4, tzinfo=UTC)
LISTENERS = [
    *(replace(listener_named(name), first_day=date(2025, 6, 1)) for name in ("ada", "bea", "carl")),
    *(invent_listener(f"listener {seed}", seed, first_day=date(2025, 6, 1)) for seed in (7, 803)),
]


@pytest.mark.parametrize("listener", LISTENERS, ids=lambda listener: listener.user_id)
def test_simulated_histories_lie_within_the_real_range(listener: Listener) -> None:
    measured = statistics(MusicPlays.of_history(build_history(listener, until=UNTIL)))
    assert set(measured) == set(REAL)
    assert outside(measured) == {}


def play(day: int, hour: float, title: str, ms_played: int = 200_000, artist: str = "One") -> _Row:
    moment = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=day, hours=hour)
    return _Row(int(moment.timestamp()), ms_played, artist, title)


def test_statistics_of_a_small_history() -> None:
    rows = [
        play(0, 10, "a"),
        play(0, 10.1, "a"),
        play(0, 10.2, "b", 5_000, artist="Two"),
        play(0, 12, "a"),
        play(1, 10, "a"),
        play(91, 10, "c"),
        play(91, 10.1, "c"),
        play(99, 10, "a", artist="Two"),
    ]
    measured = statistics(MusicPlays.of_rows("someone", rows))
    assert measured["plays a day"] == 8 / 100
    assert measured["days without plays"] == 96 / 100
    assert measured["plays under 30 s"] == 1 / 8
    assert measured["hours: quietest six"] == 0
    assert measured["hours: busiest six"] == 1
    assert measured["sessions an active day"] == 5 / 4
    assert measured["session plays: 50% quantile"] == 1
    assert measured["sessions of one play"] == 3 / 5
    assert measured["repeats in the session"] == 2 / 8
    assert measured["repeats of the play before"] == 3 / 7
    assert measured["repeats within a day"] == 4 / 8  # a at 10.1, 12 and the next day at 10: 22 hours later; c
    assert measured["first listens"] == 2 / 3  # c, and the other artist's song of the same name
    assert measured["tracks played once"] == 2 / 4
    assert measured["artists, effective number"] == pytest.approx(1 / (0.75**2 + 0.25**2))
    assert measured["return after 1 days"] == 1 / 4


def test_a_history_and_its_account_data_and_extended_history_are_measured_alike(tmp_path: Path) -> None:
    from include.demo.exports import account_data_rows

    history = build_history(invent_listener("someone", 7, first_day=date(2026, 2, 1)), until=UNTIL)
    music, _ = account_data_rows(history)
    with zipfile.ZipFile(tmp_path / "account.zip", "w") as archive:
        archive.writestr("MyData/StreamingHistory_music_0.json", json.dumps(music))
        archive.writestr("MyData/Playlist1.json", "{}")
    of_file = statistics(MusicPlays.of_file(tmp_path / "account.zip"))
    of_history = statistics(MusicPlays.of_history(history))
    assert {name for name, value in of_history.items() if of_file[name] != pytest.approx(value)} <= {
        name for name in REAL if name.startswith("hours")
    }


def test_files_without_music_are_refused(tmp_path: Path) -> None:
    (tmp_path / "StreamingHistory0.json").write_text("[]")
    with pytest.raises(ValueError, match="no music"):
        MusicPlays.of_file(tmp_path / "StreamingHistory0.json")
