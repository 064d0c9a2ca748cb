"""A listener's life as the exports Spotify sends on request, quirks included: `python -m include.demo.exports`.

Extended streaming history (the newer `Streaming_History_Audio_*.json`, the older `endsong_*.json`, and that of 2020,
which has no track URIs) and account data. Every row of the extended history says in the truth which play it stands for,
and what is odd about it. Rows that stand for no play of their own (`ExportRow.play` is None) are what an importer has
to see through:

  zero_ms           a track passed over at 0 ms
  logged_twice      the row before once more, with the same start, reported some seconds later
  near_duplicate    the same without a start to know it by: both cannot have been played
  exact_duplicate   the same row again

and rows that do, oddly:

  late_report       played online, `ts` is when the client reported it: after a pause, when the app was closed, minutes
                    to weeks later; `offline_timestamp` has the true start
  late_sync         played offline, `ts` is when the device was back online, days later, the same for all it played;
                    `offline_timestamp` has the true start
  skewed_clock      played offline, `ts` is the true end, `offline_timestamp` a start by a clock that is fast
  remote_claim      remote-controlled: a whole track's length although it was on for some seconds
  nameless          nothing tells what was played
  ms_played_missing

How often each occurs follows eight public exports, 2026-11.
"""

from __future__ import annotations

import argparse
import json
import zipfile
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import IO, Any, Literal, NamedTuple

from include.demo.catalog import Chapter, Episode, LocalFile, Track
from include.demo.draws import Draws, hashed
from include.demo.life import Life, Play
from include.demo.listeners import DEMO_LISTENERS, build_life, busy_listener, listener_named
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
    """ts_s: the row's `ts` in unix seconds; play: index into Life.plays, None if the row is no play of its own."""

    ts_s: int
    row: dict[str, Any]
    play: int | None
    quirk: Quirk | None
    is_video: bool


def export_rows(life: Life, generation: Generation = "extended") -> list[ExportRow]:
    """Every row of the life's extended history as of life.until, in the order of `ts`."""
    rows: list[ExportRow] = []
    until_ms = int(life.until.timestamp() * 1000)
    for index, play in enumerate(life.plays):
        dice = hashed("export", life.seed, life.listener.user_id, play.ended_ms)
        dice, roll = divmod(dice, 10_000)
        reported_ms, quirk = _reported(life, play, dice)
        if reported_ms > until_ms:
            continue  # the device has not told yet
        ts = reported_ms // 1000
        row = _row(life, play, ts, dice, generation)
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
            odd = _odd_row(row, ts, play, roll, dice)
            if odd is not None:
                rows.append(ExportRow(odd[0], odd[1], None, odd[2], is_video))
    rows.sort(key=lambda row: row.ts_s)
    return rows


def _reported(life: Life, play: Play, dice: int) -> tuple[int, Quirk | None]:
    """When the client tells of a play, which becomes the row's `ts`."""
    if play.offline:
        if (online := synced_ms(life, play)) - play.ended_ms > DAYS_LATE_MS:
            return online, "late_sync"
        fast = hashed("clock", life.seed, life.listener.user_id, play.session) % 100 < 15
        return play.ended_ms, "skewed_clock" if fast else None
    if dice // 7 % 100 < LATE_REPORTS.get(play.reason_end, 0):
        late_ms = Draws("late report", dice).lognormal(70 * 60_000, 2.4)
        return play.ended_ms + int(min(MOST_LATE_MS, late_ms)), "late_report"
    return play.ended_ms, None


def _odd_row(
    row: dict[str, Any], ts: int, play: Play, roll: int, dice: int
) -> tuple[int, dict[str, Any], Quirk] | None:
    """The row that is no play of its own, if one follows this one."""
    if 100 <= roll < 170:
        passed = {**row, "ts": _ts(ts), "ms_played": 0, "reason_start": "fwdbtn", "reason_end": "fwdbtn"}
        return ts, passed, "zero_ms"
    if 200 <= roll < 240 and play.ms_played > 40_000:
        later = ts + 1 + dice % 8
        if roll < 210:
            row["offline_timestamp"] = 0
        if row["offline_timestamp"] not in (None, 0, 1):
            return later, {**row, "ts": _ts(later)}, "logged_twice"
        return later, {**row, "ts": _ts(later), "ms_played": row["ms_played"] - dice % 200}, "near_duplicate"
    if 300 <= roll < 320:
        return ts, dict(row), "exact_duplicate"
    return None


def _ts(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _row(life: Life, play: Play, ts: int, dice: int, generation: Generation) -> dict[str, Any]:
    item = play.item
    old = generation != "extended"
    user_id = life.listener.user_id
    ip_addr = f"203.0.113.{(life.seed + play.session) % 254 + 1}"
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
    row["offline_timestamp"] = _offline_timestamp(play, dice, in_ms=old)
    row["incognito_mode"] = play.incognito
    oddity = dice // 10 % 1000
    if oddity < 3:
        row["reason_start"] = row["reason_end"] = ""
    elif oddity < 5:
        del row["reason_start"], row["reason_end"]
    return row


def _skipped(play: Play, ts: int) -> bool | None:
    """For some years Spotify left `skipped` null, then false whatever happened."""
    since, until = SKIPPED_UNKNOWN
    if since <= ts < until:
        return None if ts < SKIPPED_FALSE_FROM else False
    return play.skipped


def _offline_timestamp(play: Play, dice: int, *, in_ms: bool) -> int | None:
    """The play's start, in milliseconds once and in seconds now; for some rows 0, 1 or null."""
    roll = dice // 11 % 1000
    if roll < 25 and not play.offline:
        return 0 if roll < 18 else 1 if roll < 21 else None
    return play.started_ms if in_ms else play.started_ms // 1000


# Writing -------------------------------------------------------------------------------------------------------------


class _Archive:
    """A zip written under another name and moved into place when it is whole; the same content gives the same bytes."""

    def __init__(self, path: Path, level: int = 6) -> None:
        self._path = path
        self._level = level
        path.parent.mkdir(parents=True, exist_ok=True)
        self._part = path.with_name(path.name + ".part")
        self._zip = zipfile.ZipFile(self._part, "w", zipfile.ZIP_DEFLATED, compresslevel=level)

    def __enter__(self) -> _Archive:
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


def write_extended_history(path: Path, life: Life, generation: Generation = "extended") -> list[ExportRow]:
    """Write the zip Spotify sends for an extended streaming history; returns its rows and what they stand for."""
    rows = export_rows(life, generation)
    with _Archive(path) as archive:
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


def account_data_rows(life: Life) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """(music rows, podcast rows) of the last year of the life, with `endTime` cut to the minute."""
    since_ms = int((life.until - timedelta(days=365)).timestamp() * 1000)
    music, podcasts = [], []
    for play in life.plays:
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


def write_account_data(path: Path, life: Life, *, older: bool = False) -> int:
    """Write the account data zip (about one year, no ids); `older`: StreamingHistory0.json with everything in it.

    Returns the number of music rows.
    """
    music, podcasts = account_data_rows(life)
    folder = "MyData" if older else "Spotify Account Data"
    families = {"StreamingHistory": sorted(music + podcasts, key=lambda row: row["endTime"])} if older else {}
    if older:
        families["StreamingHistory"] = [row for row in families["StreamingHistory"] if "trackName" in row]
    else:
        families = {"StreamingHistory_music_": music, "StreamingHistory_podcast_": podcasts}
    with _Archive(path) as archive:
        for family, rows in families.items():
            for number, first in enumerate(range(0, len(rows), ACCOUNT_DATA_ROWS)):
                page = rows[first : first + ACCOUNT_DATA_ROWS]
                archive.add(f"{folder}/{family}{number}.json", json.dumps(page, indent=2, ensure_ascii=False))
        archive.add(
            f"{folder}/Userdata.json", json.dumps({"username": life.listener.user_id, "country": life.listener.country})
        )
        archive.add(f"{folder}/Follow.json", json.dumps({"userIsFollowing": [], "userIsFollowedBy": []}))
        archive.add(f"{folder}/Read_Me_First.pdf", _READ_ME)
    return len(music)


# Benchmarks ----------------------------------------------------------------------------------------------------------


def write_bulk_history(path: Path, rows: int, *, seed: int = 1, file_bytes: int = FILE_BYTES) -> int:
    """Write an extended history of exactly `rows` rows quickly; returns the size of its JSON in bytes.

    Half a year of a busy invented life, with its quirks, repeated back in time by whole weeks: a million rows are about
    ten years. `file_bytes` is how large a member of the zip gets; a path ending in .json is one bare file.
    """
    pieces, days = _bulk_pieces(rows, seed)
    tiles = -(-rows // len(pieces))
    json_bytes = 0
    if path.suffix == ".json":
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            for text in _bulk_members(pieces, days, tiles, rows, 1 << 62):
                for block in text:
                    json_bytes += file.write(block)
        return json_bytes
    with _Archive(path, level=1) as archive:
        for number, member in enumerate(_bulk_members(pieces, days, tiles, rows, file_bytes)):
            name = f"Spotify Extended Streaming History/Streaming_History_Audio_2015-2026_{number}.json"
            with archive.open(name) as file:
                for block in member:
                    json_bytes += file.write(block)
    return json_bytes


class _Piece(NamedTuple):
    """A rendered row with its moments cut out: `{"ts":"` day `T…","platform"…` offline_timestamp `…}`."""

    day: int
    middle: str
    offline_timestamp: int | None
    end: str


_BULK_UNTIL = datetime(2026, 1, 1, tzinfo=UTC)
_EPOCH = date(1970, 1, 1)


def _bulk_pieces(rows: int, seed: int) -> tuple[list[_Piece], int]:
    weeks = min(26, 2 + rows // 4000)
    listener = busy_listener("bulk", seed, born=(_BULK_UNTIL - timedelta(weeks=weeks)).date())
    encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
    pieces = []
    for exported in export_rows(build_life(listener, seed, _BULK_UNTIL)):
        offline_timestamp = exported.row.get("offline_timestamp")
        text = encode(exported.row | {"offline_timestamp": "@"})
        before, after = text[17:].split('"@"')
        pieces.append(_Piece(exported.ts_s // 86_400, before, offline_timestamp, after))
    return pieces[-rows:], weeks * 7


def _bulk_members(pieces: list[_Piece], days: int, tiles: int, rows: int, file_bytes: int) -> Iterator[Iterator[bytes]]:
    """The JSON arrays of about file_bytes each, each as blocks of bytes, oldest rows first."""
    blocks = _bulk_blocks(pieces, days, tiles, rows)
    pending = next(blocks, None)

    def member() -> Iterator[bytes]:
        nonlocal pending
        size, opening = 0, b"["
        while pending is not None and size < file_bytes:
            yield opening
            yield pending
            size, opening = size + len(pending), b","
            pending = next(blocks, None)
        yield b"]"

    while pending is not None:
        yield member()


def _bulk_blocks(pieces: list[_Piece], days: int, tiles: int, rows: int) -> Iterator[bytes]:
    """Rows joined by commas, some thousands at a time."""
    skip = tiles * len(pieces) - rows
    for tile in range(tiles - 1, -1, -1):
        shift = -tile * days
        names = {day: (_EPOCH + timedelta(days=day + shift)).isoformat() for day in {piece.day for piece in pieces}}
        shift_s, shift_ms = shift * 86_400, shift * 86_400_000
        block = []
        for piece in pieces[skip:]:
            moment = piece.offline_timestamp
            if not moment:
                told = "null" if moment is None else "0"
            else:
                told = str(moment + (shift_ms if moment > 100_000_000_000 else shift_s))
            block.append(f'{{"ts":"{names[piece.day]}{piece.middle}{told}{piece.end}')
            if len(block) == 5000:
                yield ",".join(block).encode()
                block = []
        if block:
            yield ",".join(block).encode()
        skip = 0


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
        life = build_life(listener, until=until)
        folder = arguments.out / listener.user_id
        rows = write_extended_history(folder / "my_spotify_data.zip", life, arguments.generation)
        plays = sum(row.play is not None for row in rows)
        print(f"{listener.user_id}: {len(rows)} rows for {plays} plays in {folder / 'my_spotify_data.zip'}")
        if arguments.account_data:
            music = write_account_data(folder / "my_account_data.zip", life)
            print(f"{listener.user_id}: {music} music rows in {folder / 'my_account_data.zip'}")


if __name__ == "__main__":
    main()
