"""The exports have Spotify's format and quirks, and every row says what it stands for."""

from __future__ import annotations

import json
import zipfile
from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import get_args

import pytest

from include.demo import exports
from include.demo.bulk_exports import write_bulk_history
from include.demo.catalog import Episode, Track
from include.demo.exports import (
    ExportRow,
    Quirk,
    export_rows,
    write_account_data,
    write_extended_history,
)
from include.demo.listeners import invent_listener, listener_named
from include.demo.listening_history import History, build_history

UNTIL = datetime(2026, 10, 23, tzinfo=UTC)
# fmt: off
EXTENDED_FIELDS = [
    "ts", "platform", "ms_played", "conn_country", "ip_addr", "master_metadata_track_name",
    "master_metadata_album_artist_name", "master_metadata_album_album_name", "spotify_track_uri", "episode_name",
    "episode_show_name", "spotify_episode_uri", "audiobook_title", "audiobook_uri", "audiobook_chapter_uri",
    "audiobook_chapter_title", "reason_start", "reason_end", "shuffle", "skipped", "offline", "offline_timestamp",
    "incognito_mode",
]
# fmt: on
NO_PLAYS = ("zero_ms", "logged_twice", "near_duplicate", "exact_duplicate")


@pytest.fixture(scope="module")
def history() -> History:
    return build_history(replace(listener_named("ada"), first_day=date(2025, 10, 1)), until=UNTIL)


@pytest.fixture(scope="module")
def rows(history: History) -> list[ExportRow]:
    return export_rows(history)


def test_fields_of_the_extended_history(rows: list[ExportRow]) -> None:
    optional = {"ms_played", "reason_start", "reason_end"}
    assert sum(list(row.row) == EXTENDED_FIELDS for row in rows) / len(rows) > 0.99
    for row in rows:
        assert set(EXTENDED_FIELDS) - set(row.row) <= optional
        assert set(row.row) <= set(EXTENDED_FIELDS)


def test_fields_of_the_older_generation(history: History) -> None:
    row = max(export_rows(history, "endsong"), key=lambda row: len(row.row)).row
    assert {"username", "ip_addr_decrypted", "user_agent_decrypted"} <= set(row)
    assert not any(name.startswith("audiobook") for name in row)
    assert "ip_addr" not in row
    assert "spotify_track_uri" in row


def test_fields_of_2020(history: History) -> None:
    rows = export_rows(history, "endsong_2020")
    assert not any("spotify_track_uri" in row.row for row in rows)
    assert {"city", "region", "metro_code", "longitude", "latitude", "username"} <= set(rows[0].row)
    later = {row.play: row.row for row in export_rows(history)}
    for row in rows:
        if row.play is not None and row.quirk is None:
            assert row.row["ts"] == later[row.play]["ts"]
            assert row.row["ms_played"] == later[row.play]["ms_played"]


def test_every_play_is_in_the_export_once(history: History, rows: list[ExportRow]) -> None:
    real = Counter(row.play for row in rows if row.play is not None)
    assert set(real.values()) == {1}
    untold = set(range(len(history.plays))) - set(real)  # what the device has not told yet
    assert len(untold) < 100


def test_a_row_is_its_play(history: History, rows: list[ExportRow]) -> None:
    for exported in rows:
        if exported.play is None or exported.quirk is not None:
            continue
        play, row = history.plays[exported.play], exported.row
        assert row["ts"] == datetime.fromtimestamp(play.ended_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        assert row["ms_played"] == play.ms_played
        assert row["spotify_track_uri"] == (play.item.uri if isinstance(play.item, Track) else None)
        assert row["spotify_episode_uri"] == (play.item.uri if isinstance(play.item, Episode) else None)


def test_quirks_there_are_and_how_often(rows: list[ExportRow]) -> None:
    share = {quirk: plays / len(rows) for quirk, plays in Counter(row.quirk for row in rows).items()}
    assert set(share) == {None, *get_args(Quirk)}
    assert share[None] > 0.9
    for row in rows:
        assert (row.play is None) == (row.quirk in NO_PLAYS)
        assert ("ms_played" not in row.row) == (row.quirk == "ms_played_missing")
        named = row.row["master_metadata_track_name"] or row.row["episode_name"] or row.row["audiobook_title"]
        assert (not named) == (row.quirk == "nameless")
    kinds = Counter(type(row.row["offline_timestamp"]).__name__ for row in rows)
    assert set(kinds) == {"int", "NoneType"}
    assert {0, 1} <= {row.row["offline_timestamp"] for row in rows}
    assert max(row.row["offline_timestamp"] or 0 for row in rows) < 10**11
    assert any(row.is_video and row.row["spotify_track_uri"] for row in rows)
    assert any(row.row.get("reason_end") == "" for row in rows)
    assert any("reason_end" not in row.row for row in rows)
    assert any(row.row["incognito_mode"] for row in rows)
    for kind in ("spotify_episode_uri", "audiobook_uri"):
        assert any(row.row[kind] for row in rows)
    assert any(row.row["master_metadata_track_name"] and not row.row["spotify_track_uri"] for row in rows)


def start_ms(row: ExportRow) -> int:
    start = row.row["offline_timestamp"]
    return start if start > 10**11 else start * 1000


def test_online_rows_are_late_as_often_as_real_ones_and_tell_the_true_start(
    history: History, rows: list[ExportRow]
) -> None:
    late = [row for row in rows if row.quirk == "late_report"]
    for row in late:
        play = history.plays[row.play or 0]
        assert not play.offline
        assert 0 <= play.started_ms - start_ms(row) < 1000
        assert row.ts_s >= play.ended_ms // 1000
    lags = [
        row.ts_s - history.plays[row.play].ended_ms // 1000
        for row in rows
        if row.play is not None and not row.row["offline"] and history.plays[row.play].ms_played >= 10_000
    ]
    assert 0.05 < sum(lag > 600 for lag in lags) / len(lags) < 0.1
    assert sum(lag > 86_400 for lag in lags) > 20
    assert max(lags) <= 28 * 86_400
    most = Counter(row.row.get("reason_end") for row in late).most_common(1)
    assert most[0][0] == "logout"


def test_ends_are_those_of_real_clients(history: History, rows: list[ExportRow]) -> None:
    """`endplay` is 22 % of `reason_end`; beside an explicit false 85 % were played to 90 % or more."""
    ends = Counter(row.row.get("reason_end") for row in rows)
    assert 0.17 < ends["endplay"] / len(rows) < 0.25
    heard = [
        history.plays[row.play].ms_played / history.plays[row.play].item.duration_ms
        for row in rows
        if row.play is not None and row.row.get("reason_end") == "endplay" and row.row["skipped"] is False
    ]
    assert 0.8 < sum(share >= 0.9 for share in heard) / len(heard) < 0.95


def test_a_play_logged_twice_has_the_same_start_in_every_generation(history: History) -> None:
    for generation, least in (("extended", 10**9), ("endsong", 10**12)):
        rows = export_rows(history, generation)
        twins = [row for row in rows if row.quirk == "logged_twice"]
        assert twins
        for twin in twins:
            other = [
                row
                for row in rows
                if row.play is not None
                and row.row["offline_timestamp"] == twin.row["offline_timestamp"]
                and row.row["spotify_track_uri"] == twin.row["spotify_track_uri"]
            ]
            assert len(other) == 1
            assert least < twin.row["offline_timestamp"]
            assert other[0].row["ms_played"] == twin.row["ms_played"]
            assert 0 < twin.ts_s - other[0].ts_s < 10


def test_a_near_duplicate_could_not_have_been_played(rows: list[ExportRow]) -> None:
    odd = [(place, row) for place, row in enumerate(rows) if row.quirk == "near_duplicate"]
    assert odd
    for place, row in odd:
        before = [
            r for r in rows[max(0, place - 5) : place] if r.row["spotify_track_uri"] == row.row["spotify_track_uri"]
        ]
        assert before
        assert row.row["offline_timestamp"] in (None, 0, 1)
        assert 0 < row.ts_s - before[-1].ts_s < 10 < row.row["ms_played"] / 1000


def test_offline_plays_of_days_ago_carry_the_time_of_syncing(history: History, rows: list[ExportRow]) -> None:
    late = [row for row in rows if row.quirk == "late_sync"]
    assert late
    for row in late:
        play = history.plays[row.play or 0]
        assert row.row["offline"] is True
        assert row.ts_s * 1000 - play.ended_ms > 12 * 3_600_000
        assert 0 <= play.started_ms - start_ms(row) < 1000
    together = Counter(row.ts_s for row in late)
    assert max(together.values()) > 5


def test_a_fast_clock_starts_plays_after_their_end(history: History, rows: list[ExportRow]) -> None:
    skewed = [row for row in rows if row.quirk == "skewed_clock"]
    assert skewed
    for row in skewed:
        assert row.row["offline"] is True
        assert row.ts_s == history.plays[row.play or 0].ended_ms // 1000
        assert start_ms(row) + row.row["ms_played"] > row.ts_s * 1000 + 60_000


def test_skipped_is_null_or_false_for_the_years_it_was_not_recorded() -> None:
    old = replace(invent_listener("someone", 1), first_day=date(2020, 5, 1))
    rows = export_rows(build_history(old, until=datetime(2020, 9, 1, tzinfo=UTC)))
    assert {row.row["skipped"] for row in rows} == {None, False}
    assert any(row.row.get("reason_end") == "fwdbtn" for row in rows)
    new = replace(old, first_day=date(2023, 5, 1))
    recent = export_rows(build_history(new, until=datetime(2023, 7, 1, tzinfo=UTC)))
    assert {row.row["skipped"] for row in recent} == {True, False}


def test_the_zip_is_spotifys(history: History, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exports, "FILE_BYTES", 3_000_000)
    rows = write_extended_history(tmp_path / "ada" / "my_spotify_data.zip", history)
    with zipfile.ZipFile(tmp_path / "ada" / "my_spotify_data.zip") as archive:
        names = archive.namelist()
        folder = "Spotify Extended Streaming History/"
        assert names[:2] == [
            f"{folder}Streaming_History_Audio_{years}_{number}.json"
            for number, years in enumerate(("2025", "2025-2026"))
        ]
        assert f"{folder}Streaming_History_Video_2025-2026.json" in names
        assert f"{folder}ReadMeFirst_ExtendedStreamingHistory.pdf" in names
        audio = [row for name in names if "Audio" in name for row in json.loads(archive.read(name))]
        video = [row for name in names if "Video" in name for row in json.loads(archive.read(name))]
    assert audio == [row.row for row in rows if not row.is_video]
    assert video == [row.row for row in rows if row.is_video]
    assert [path.name for path in (tmp_path / "ada").iterdir()] == ["my_spotify_data.zip"]


def test_the_same_history_gives_the_same_bytes(history: History, tmp_path: Path) -> None:
    for name in ("one.zip", "two.zip"):
        write_extended_history(tmp_path / name, history)
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()


def test_a_later_export_repeats_the_earlier_one(history: History, rows: list[ExportRow]) -> None:
    earlier = build_history(history.listener, until=UNTIL - timedelta(days=20))
    later = {json.dumps(row.row) for row in rows}
    repeated = [json.dumps(row.row) in later for row in export_rows(earlier)]
    assert all(repeated)


def test_account_data_has_minutes_and_names_only(history: History, tmp_path: Path) -> None:
    music = write_account_data(tmp_path / "account.zip", history)
    with zipfile.ZipFile(tmp_path / "account.zip") as archive:
        names = [name for name in archive.namelist() if "music" in name]
        rows = [row for name in names for row in json.loads(archive.read(name))]
        podcasts = json.loads(archive.read("Spotify Account Data/StreamingHistory_podcast_0.json"))
    assert names[0].endswith("StreamingHistory_music_0.json")
    assert len(rows) == music
    assert {tuple(row) for row in rows} == {("endTime", "artistName", "trackName", "msPlayed")}
    assert {tuple(row) for row in podcasts} == {("endTime", "podcastName", "episodeName", "msPlayed")}
    assert datetime.strptime(rows[0]["endTime"], "%Y-%m-%d %H:%M").replace(tzinfo=UTC) > UNTIL - timedelta(days=366)


@pytest.mark.parametrize("suffix", [".zip", ".json"])
def test_bulk_has_exactly_the_rows_asked_for(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"bulk{suffix}"
    size = write_bulk_history(path, 30_000, file_bytes=2_000_000)
    if suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            members = [archive.read(name) for name in archive.namelist()]
        assert len(members) > 5
    else:
        members = [path.read_bytes()]
    rows = [row for member in members for row in json.loads(member)]
    assert len(rows) == 30_000
    assert sum(map(len, members)) == size
    assert list(rows[100]) == EXTENDED_FIELDS
    stamps = [row["ts"] for row in rows]
    assert stamps == sorted(stamps)
    assert len(set(stamps)) > 0.98 * len(stamps)
