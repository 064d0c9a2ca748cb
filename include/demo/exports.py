"""A listener's history as the exports that Spotify sends on request, quirks included: `python -m include.demo.exports`.

Extended streaming history (the newer `Streaming_History_Audio_*.json`, the older `endsong_*.json`, and that of 2020,
which has no track URIs) and account data. For every row of the extended history, `ExportRow` says which play it reports
and what is odd about it. Some rows report no play of their own (`ExportRow.play` is None), which an importer has to
notice:

  zero_ms           a track skipped at 0 ms
  logged_twice      the row before once more, with the same start, reported some seconds later
  near_duplicate    the same without a start that would show it; both cannot have been played
  exact_duplicate   the same row again

and others report one in an odd way:

  late_report       played online; `ts` is when the client reported it, minutes to weeks later, after a pause or when
                    the app was closed; `offline_timestamp` has the true start
  late_sync         played offline; `ts` is when the device was online again, days later, the same for all its plays;
                    `offline_timestamp` has the true start
  skewed_clock      played offline; `ts` is the true end, `offline_timestamp` the start by a clock that is fast
  remote_claim      remote-controlled; `ms_played` is the track's length although it played for some seconds
  nameless          neither name nor URI
  ms_played_missing

How often each occurs follows eight public exports, 2026-11.
"""

from __future__ import annotations

import argparse
import json
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Any, Literal, NamedTuple

from include.demo.catalog import Chapter, Episode, LocalFile, Track
from include.demo.listeners import DEMO_LISTENERS, listener_named
from include.demo.listening_history import History, Play, build_history
from include.demo.random_draws import RandomDraws, hashed
from include.demo.recently_played import DAYS_LATE_MS, synced_ms

Generation = Literal["extended", "endsong", "endsong_2020"]
Quirk = Literal[
    "zero_ms",
    "logged_twice",
    "near_duplicate",
    "exact_duplicate",
    "late_report",
    "late_sync",
    "skewed_clock",
    "remote_claim",
    "nameless",
    "ms_played_missing",
]

FILE_BYTES = 12_000_000
ACCOUNT_DATA_ROWS = 10_000  # in one file
SKIPPED_UNKNOWN = (
    int(datetime(2015, 4, 1, tzinfo=UTC).timestamp()),
    int(datetime(2022, 10, 1, tzinfo=UTC).timestamp()),
)
SKIPPED_FALSE_FROM = int(datetime(2020, 7, 1, tzinfo=UTC).timestamp())
# Of plays that ended so, how many are reported late, in percent.
LATE_REPORTS = {"logout": 89, "unexpected-exit-while-paused": 80, "remote": 87, None: 9, "endplay": 12, "trackdone": 4}
MOST_LATE_MS = 27 * 86_400_000
FAST_CLOCK_MS = 1_000_000
NAMES = {
    "master_metadata_track_name",
    "master_metadata_album_artist_name",
    "master_metadata_album_album_name",
}
VIDEO_SONGS = 30  # of 10,000 rows
PLATFORMS = {
    "ios": "ios",
    "macos": "OS X 14.5.0 [arm 2]",
    "web": "web_player windows 10;chrome 126.0.0.0;desktop",
    "cast": "Partner google cast_tv;Chromecast;;tpapi",
}
OLD_PLATFORMS = {
    "ios": "iOS 12.4 (iPhone9,3)",
    "macos": "OS X 10.14.6 [x86 8]",
    "web": "WebPlayer (websocket RFC6455)",
    "cast": "Partner google cast;Chromecast;;",
}


class ExportRow(NamedTuple):
    """ts_s: the row's `ts` in unix seconds; play: index into History.plays, None if it reports no play of its own."""

    ts_s: int
    row: dict[str, Any]
    play: int | None
    quirk: Quirk | None
    is_video: bool


def export_rows(history: History, generation: Generation = "extended") -> list[ExportRow]:
    """The rows of an extended streaming history requested at history.until, in the order of `ts`."""
    rows: list[ExportRow] = []
    until_ms = int(history.until.timestamp() * 1000)
    for index, play in enumerate(history.plays):
        bits = hashed("export", history.seed, history.listener.user_id, play.ended_ms)
        bits, roll = divmod(bits, 10_000)
        reported_ms, quirk = _reported(history, play, bits)
        if reported_ms > until_ms:
            continue  # not reported yet
        ts = reported_ms // 1000
        row = _row(history, play, ts, bits, generation)
        is_song = isinstance(play.item, Track)
        if quirk is None and roll < 6:
            del row["ms_played"]
            quirk = "ms_played_missing"
        elif quirk is None and 6 <= roll < 36 and is_song:
            row.update(dict.fromkeys(NAMES | {"spotify_track_uri"} & row.keys()))
            quirk = "nameless"
        elif quirk is None and play.reason_end == "remote":
            row["ms_played"] = play.item.duration_ms
            quirk = "remote_claim"
        is_video = generation == "extended" and (
            play.item.is_video if isinstance(play.item, Episode) else is_song and roll >= 10_000 - VIDEO_SONGS
        )
        if quirk in ("late_report", "late_sync", "skewed_clock") and row["offline_timestamp"] in (None, 0, 1):
            row["offline_timestamp"] = play.started_ms // 1000
        if quirk == "skewed_clock":
            row["offline_timestamp"] = (play.started_ms + FAST_CLOCK_MS) // 1000
        rows.append(ExportRow(ts, row, index, quirk, is_video))
        if quirk is None and is_song:
            odd = _odd_row(row, ts, play, roll, bits)
            if odd is not None:
                rows.append(ExportRow(odd[0], odd[1], None, odd[2], is_video))
    rows.sort(key=lambda row: row.ts_s)
    return rows


def _reported(history: History, play: Play, bits: int) -> tuple[int, Quirk | None]:
    """When the client reports a play, which is the row's `ts`."""
    if play.offline:
        if (online := synced_ms(history, play)) - play.ended_ms > DAYS_LATE_MS:
            return online, "late_sync"
        fast = hashed("clock", history.seed, history.listener.user_id, play.session) % 100 < 15
        return play.ended_ms, "skewed_clock" if fast else None
    if bits // 7 % 100 < LATE_REPORTS.get(play.reason_end, 0):
        late_ms = RandomDraws("late report", bits).lognormal(70 * 60_000, 2.4)
        return play.ended_ms + int(min(MOST_LATE_MS, late_ms)), "late_report"
    return play.ended_ms, None


def _odd_row(
    row: dict[str, Any], ts: int, play: Play, roll: int, bits: int
) -> tuple[int, dict[str, Any], Quirk] | None:
    """The row without a play of its own that follows this one, or None."""
    if 100 <= roll < 170:
        passed = {**row, "ts": _ts(ts), "ms_played": 0, "reason_start": "fwdbtn", "reason_end": "fwdbtn"}
        return ts, passed, "zero_ms"
    if 200 <= roll < 240 and play.ms_played > 40_000:
        later = ts + 1 + bits % 8
        if roll < 210:
            row["offline_timestamp"] = 0
        if row["offline_timestamp"] not in (None, 0, 1):
            return later, {**row, "ts": _ts(later)}, "logged_twice"
        return later, {**row, "ts": _ts(later), "ms_played": row["ms_played"] - bits % 200}, "near_duplicate"
    if 300 <= roll < 320:
        return ts, dict(row), "exact_duplicate"
    return None


def _ts(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _row(history: History, play: Play, ts: int, bits: int, generation: Generation) -> dict[str, Any]:
    item = play.item
    old = generation != "extended"
    user_id = history.listener.user_id
    ip_addr = f"203.0.113.{(history.seed + play.session) % 254 + 1}"
    row: dict[str, Any] = {"ts": _ts(ts)}
    if old:
        row["username"] = user_id
    row["platform"] = (OLD_PLATFORMS if old else PLATFORMS)[play.platform]
    row["ms_played"] = play.ms_played
    row["conn_country"] = play.country
    if old:
        row["ip_addr_decrypted"] = ip_addr
        row["user_agent_decrypted"] = "unknown"
        if generation == "endsong_2020":
            row.update(city="Springfield", region=play.country, metro_code=1, longitude=12.5, latitude=34.25)
    else:
        row["ip_addr"] = ip_addr
    track, episode, chapter = None, None, None
    names: tuple[str | None, str | None, str | None] = (None, None, None)
    if isinstance(item, Track):
        track, names = item, (item.name, item.artist.name, item.album.name)
    elif isinstance(item, LocalFile):
        names = (item.name, item.artist, item.album)
    elif isinstance(item, Episode):
        episode = item
    else:
        chapter = item
    (
        row["master_metadata_track_name"],
        row["master_metadata_album_artist_name"],
        row["master_metadata_album_album_name"],
    ) = names
    if generation != "endsong_2020":
        row["spotify_track_uri"] = track and track.uri
    row["episode_name"] = episode and episode.name
    row["episode_show_name"] = episode and episode.show
    row["spotify_episode_uri"] = episode and episode.uri
    if not old:
        row["audiobook_title"] = chapter and chapter.audiobook
        row["audiobook_uri"] = chapter and chapter.audiobook_uri
        row["audiobook_chapter_uri"] = chapter and chapter.uri
        row["audiobook_chapter_title"] = chapter and chapter.name
    row["reason_start"], row["reason_end"] = play.reason_start, play.reason_end
    row["shuffle"] = play.shuffle
    row["skipped"] = _skipped(play, ts)
    row["offline"] = play.offline
    row["offline_timestamp"] = _offline_timestamp(play, bits, in_ms=old)
    row["incognito_mode"] = play.incognito
    oddity = bits // 10 % 1000
    if oddity < 3:
        row["reason_start"] = row["reason_end"] = ""
    elif oddity < 5:
        del row["reason_start"], row["reason_end"]
    return row


def _skipped(play: Play, ts: int) -> bool | None:
    """For some years Spotify left `skipped` null, then always false."""
    since, until = SKIPPED_UNKNOWN
    if since <= ts < until:
        return None if ts < SKIPPED_FALSE_FROM else False
    return play.skipped


def _offline_timestamp(play: Play, bits: int, *, in_ms: bool) -> int | None:
    """The play's start, in milliseconds once and in seconds now; for some rows 0, 1 or null."""
    roll = bits // 11 % 1000
    if roll < 25 and not play.offline:
        return 0 if roll < 18 else 1 if roll < 21 else None
    return play.started_ms if in_ms else play.started_ms // 1000


# Writing -------------------------------------------------------------------------------------------------------------


class ExportZip:
    """A zip file, moved into place when it is complete. The same content always gives the same bytes."""

    def __init__(self, path: Path, level: int = 6) -> None:
        self._path = path
        self._level = level
        path.parent.mkdir(parents=True, exist_ok=True)
        self._part = path.with_name(path.name + ".part")
        self._zip = zipfile.ZipFile(self._part, "w", zipfile.ZIP_DEFLATED, compresslevel=level)

    def __enter__(self) -> ExportZip:
        return self

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        self._zip.close()
        if error is None:
            self._part.replace(self._path)
        else:
            self._part.unlink()

    def _info(self, name: str) -> zipfile.ZipInfo:
        info = zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0))
        info.compress_type = zipfile.ZIP_DEFLATED
        info.external_attr = 0o644 << 16
        return info

    def add(self, name: str, content: str | bytes) -> None:
        self._zip.writestr(self._info(name), content, compresslevel=self._level)

    def open(self, name: str) -> IO[bytes]:
        return self._zip.open(name, "w", force_zip64=True)


def write_extended_history(path: Path, history: History, generation: Generation = "extended") -> list[ExportRow]:
    """Write the zip Spotify sends for an extended streaming history; return its rows and what they report."""
    rows = export_rows(history, generation)
    with ExportZip(path) as archive:
        if generation != "extended":
            folder = "MyData"
            for number, text, _ in _chunks(rows):
                archive.add(f"{folder}/endsong_{number}.json", text)
        else:
            folder = "Spotify Extended Streaming History"
            for number, text, years in _chunks([row for row in rows if not row.is_video]):
                archive.add(f"{folder}/Streaming_History_Audio_{years}_{number}.json", text)
            for number, text, years in _chunks([row for row in rows if row.is_video]):
                suffix = f"_{number}" if number else ""
                archive.add(f"{folder}/Streaming_History_Video_{years}{suffix}.json", text)
        archive.add(f"{folder}/ReadMeFirst_ExtendedStreamingHistory.pdf", _READ_ME)
    return rows


_READ_ME = b"%PDF-1.4\n% What the fields of an extended streaming history mean.\n%%EOF\n"


def _chunks(rows: list[ExportRow]) -> Iterator[tuple[int, str, str]]:
    """(number, JSON array of about FILE_BYTES, years such as 2022 or 2022-2023)"""
    number, size, texts, first = 0, 0, list[str](), 0
    encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
    for place, row in enumerate(rows):
        text = encode(row.row)
        texts.append(text)
        size += len(text) + 1
        if size >= FILE_BYTES or place == len(rows) - 1:
            years = sorted({rows[first].row["ts"][:4], row.row["ts"][:4]})
            yield number, "[" + ",".join(texts) + "]", "-".join(years)
            number, size, texts, first = number + 1, 0, [], place + 1


def account_data_rows(history: History) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the music rows and the podcast rows of the last year, with `endTime` cut to the minute."""
    since_ms = int((history.until - timedelta(days=365)).timestamp() * 1000)
    music, podcasts = [], []
    for play in history.plays:
        if play.ended_ms < since_ms or isinstance(play.item, Chapter):
            continue
        end_time = datetime.fromtimestamp(play.ended_ms // 1000, UTC).strftime("%Y-%m-%d %H:%M")
        item, row = play.item, {"endTime": end_time}
        if isinstance(item, Episode):
            podcasts.append(row | {"podcastName": item.show, "episodeName": item.name, "msPlayed": play.ms_played})
        else:
            artist = item.artist.name if isinstance(item, Track) else item.artist
            music.append(row | {"artistName": artist, "trackName": item.name, "msPlayed": play.ms_played})
    return music, podcasts


def write_account_data(path: Path, history: History, *, older: bool = False) -> int:
    """Write the account data zip (about one year, no ids); `older`: StreamingHistory0.json with everything in it.

    Returns the number of music rows.
    """
    music, podcasts = account_data_rows(history)
    folder = "MyData" if older else "Spotify Account Data"
    families = {"StreamingHistory": sorted(music + podcasts, key=lambda row: row["endTime"])} if older else {}
    if older:
        families["StreamingHistory"] = [row for row in families["StreamingHistory"] if "trackName" in row]
    else:
        families = {"StreamingHistory_music_": music, "StreamingHistory_podcast_": podcasts}
    with ExportZip(path) as archive:
        for family, rows in families.items():
            for number, first in enumerate(range(0, len(rows), ACCOUNT_DATA_ROWS)):
                page = rows[first : first + ACCOUNT_DATA_ROWS]
                archive.add(f"{folder}/{family}{number}.json", json.dumps(page, indent=2, ensure_ascii=False))
        archive.add(
            f"{folder}/Userdata.json",
            json.dumps({"username": history.listener.user_id, "country": history.listener.country}),
        )
        archive.add(f"{folder}/Follow.json", json.dumps({"userIsFollowing": [], "userIsFollowedBy": []}))
        archive.add(f"{folder}/Read_Me_First.pdf", _READ_ME)
    return len(music)


def main() -> None:
    parser = argparse.ArgumentParser(description="Write the exports of the demo's listeners.")
    parser.add_argument("--out", type=Path, required=True, help="folder to write <user_id>/my_spotify_data.zip under")
    parser.add_argument("--until", required=True, help="ISO moment the exports were made at")
    parser.add_argument(
        "--listener", action="append", help="user_id; may be given several times; default: all with an export"
    )
    parser.add_argument("--generation", choices=("extended", "endsong"), default="extended")
    parser.add_argument("--account-data", action="store_true", help="write my_account_data.zip as well")
    arguments = parser.parse_args()
    until = datetime.fromisoformat(arguments.until)
    until = until if until.tzinfo else until.replace(tzinfo=UTC)
    listeners = [listener_named(name) for name in arguments.listener or []] or DEMO_LISTENERS
    for listener in listeners:
        if not listener.has_export:
            print(f"{listener.user_id}: has not asked for an export")
            continue
        history = build_history(listener, until=until)
        folder = arguments.out / listener.user_id
        rows = write_extended_history(folder / "my_spotify_data.zip", history, arguments.generation)
        plays = sum(row.play is not None for row in rows)
        print(f"{listener.user_id}: {len(rows)} rows for {plays} plays in {folder / 'my_spotify_data.zip'}")
        if arguments.account_data:
            music = write_account_data(folder / "my_account_data.zip", history)
            print(f"{listener.user_id}: {music} music rows in {folder / 'my_account_data.zip'}")


if __name__ == "__main__":
    main()
