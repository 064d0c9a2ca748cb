"""The exports have Spotify's format and quirks, and every row says what it stands for."""

from __future__ import annotations

import itertools
import json
import zipfile
from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from include.demo import exports
from include.demo.catalog import Episode, Track
from include.demo.exports import ExportRow, export_rows, write_account_data, write_bulk_history, write_extended_history
from include.demo.life import Life
from include.demo.listeners import build_life, invent_listener, listener_named

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


@pytest.fixture(scope="module")
def life() -> Life:
    return build_life(replace(listener_named("ada"), born=date(2025, 10, 1)), until=UNTIL)


@pytest.fixture(scope="module")
def rows(life: Life) -> list[ExportRow]:
    return export_rows(life)


def test_fields_of_the_extended_history(rows: list[ExportRow]) -> None:
    optional = {"ms_played", "reason_start", "reason_end"}
    assert sum(list(row.row) == EXTENDED_FIELDS for row in rows) / len(rows) > 0.99
    for row in rows:
        assert set(EXTENDED_FIELDS) - set(row.row) <= optional
        assert set(row.row) <= set(EXTENDED_FIELDS)


def test_fields_of_the_older_generation(life: Life) -> None:
    row = max(export_rows(life, "endsong"), key=lambda row: len(row.row)).row
    assert {"username", "ip_addr_decrypted", "user_agent_decrypted"} <= set(row)
    assert not any(name.startswith("audiobook") for name in row)
    assert "ip_addr" not in row


def test_every_play_is_in_the_export_once(life: Life, rows: list[ExportRow]) -> None:
    real = Counter(row.play for row in rows if row.play is not None)
    assert set(real.values()) == {1}
    untold = set(range(len(life.plays))) - set(real)
    assert all(life.plays[index].offline for index in untold)
    assert len(untold) < 100


def test_a_row_is_its_play(life: Life, rows: list[ExportRow]) -> None:
    for exported in rows:
        if exported.play is None or exported.quirk is not None:
            continue
        play, row = life.plays[exported.play], exported.row
        assert row["ts"] == datetime.fromtimestamp(play.ended_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        assert row["ms_played"] == play.ms_played
        assert row["spotify_track_uri"] == (play.item.uri if isinstance(play.item, Track) else None)
        assert row["spotify_episode_uri"] == (play.item.uri if isinstance(play.item, Episode) else None)


def test_quirks_there_are_and_how_often(rows: list[ExportRow]) -> None:
    share = {quirk: plays / len(rows) for quirk, plays in Counter(row.quirk for row in rows).items()}
    assert set(share) == {None, "zero_ms", "near_duplicate", "exact_duplicate", "late_sync", "ms_played_missing"}
    assert share[None] > 0.98
    for row in rows:
        assert (row.play is None) == (row.quirk in ("zero_ms", "near_duplicate", "exact_duplicate"))
        assert ("ms_played" not in row.row) == (row.quirk == "ms_played_missing")
    kinds = Counter(type(row.row["offline_timestamp"]).__name__ for row in rows)
    assert set(kinds) == {"int", "NoneType"}
    assert any(row.row["offline_timestamp"] == 0 for row in rows)
    assert any((row.row["offline_timestamp"] or 0) > 10**12 for row in rows)
    assert any(row.row.get("reason_end") == "" for row in rows)
    assert any("reason_end" not in row.row for row in rows)
    assert any(row.row["incognito_mode"] for row in rows)
    for kind in ("spotify_episode_uri", "audiobook_uri"):
        assert any(row.row[kind] for row in rows)
    assert any(row.row["master_metadata_track_name"] and not row.row["spotify_track_uri"] for row in rows)


def test_about_one_row_in_twelve_overlaps_the_one_before(rows: list[ExportRow]) -> None:
    real = [row for row in rows if row.play is not None and "ms_played" in row.row]
    overlaps = sum(b.ts_s - b.row["ms_played"] / 1000 < a.ts_s for a, b in itertools.pairwise(real))
    assert 0.05 < overlaps / len(real) < 0.12


def test_a_near_duplicate_could_not_have_been_played(rows: list[ExportRow]) -> None:
    by_place = list(enumerate(rows))
    odd = [(place, row) for place, row in by_place if row.quirk == "near_duplicate"]
    assert odd
    for place, row in odd:
        before = [
            r for r in rows[max(0, place - 5) : place] if r.row["spotify_track_uri"] == row.row["spotify_track_uri"]
        ]
        assert before
        assert 0 < row.ts_s - before[-1].ts_s < 10 < row.row["ms_played"] / 1000


def test_offline_plays_of_days_ago_carry_the_time_of_syncing(life: Life, rows: list[ExportRow]) -> None:
    late = [row for row in rows if row.quirk == "late_sync"]
    assert late
    for row in late:
        play = life.plays[row.play or 0]
        started_s = row.row["offline_timestamp"] / (1000 if row.row["offline_timestamp"] > 10**11 else 1)
        assert row.row["offline"] is True
        assert row.ts_s * 1000 - play.ended_ms > 12 * 3_600_000
        assert abs(started_s - play.started_ms / 1000) < 1


def test_skipped_is_null_or_false_for_the_years_it_was_not_recorded() -> None:
    old = replace(invent_listener("someone", 1), born=date(2020, 5, 1))
    rows = export_rows(build_life(old, until=datetime(2020, 9, 1, tzinfo=UTC)))
    assert {row.row["skipped"] for row in rows} == {None, False}
    assert any(row.row.get("reason_end") == "fwdbtn" for row in rows)
    new = replace(old, born=date(2023, 5, 1))
    recent = export_rows(build_life(new, until=datetime(2023, 7, 1, tzinfo=UTC)))
    assert {row.row["skipped"] for row in recent} == {True, False}


def test_the_zip_is_spotifys(life: Life, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exports, "FILE_BYTES", 3_000_000)
    rows = write_extended_history(tmp_path / "ada" / "my_spotify_data.zip", life)
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


def test_the_same_life_gives_the_same_bytes(life: Life, tmp_path: Path) -> None:
    for name in ("one.zip", "two.zip"):
        write_extended_history(tmp_path / name, life)
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()


def test_a_later_export_repeats_the_earlier_one(life: Life, rows: list[ExportRow]) -> None:
    earlier = build_life(life.listener, until=UNTIL - timedelta(days=20))
    later = {json.dumps(row.row) for row in rows}
    repeated = [json.dumps(row.row) in later for row in export_rows(earlier)]
    assert all(repeated)


def test_account_data_has_minutes_and_names_only(life: Life, tmp_path: Path) -> None:
    music = write_account_data(tmp_path / "account.zip", life)
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
