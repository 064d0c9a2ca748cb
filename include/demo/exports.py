"""A listener's life as the exports Spotify sends on request, quirks included: `python -m include.demo.exports`.

Extended streaming history (the newer `Streaming_History_Audio_*.json` and the older `endsong_*.json`) and account data.
Every row of the extended history says in the truth which play it stands for, and what is odd about it. Rows that stand
for no play of their own (`ExportRow.play` is None) are what an importer has to see through:

  zero_ms           a track passed over at 0 ms
  near_duplicate    the row before once more, its end a few seconds off: both cannot have been played
  exact_duplicate   the same row again

and rows that do, oddly: `late_sync` (played offline, `ts` is when the device was back online, days later;
`offline_timestamp` has the true start) and `ms_played_missing`.
"""

from __future__ import annotations

import argparse
import json
import zipfile
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import IO, Any, Literal, NamedTuple

from include.demo.catalog import Chapter, Episode, LocalFile, Track
from include.demo.draws import hashed
from include.demo.life import Life, Play
from include.demo.listeners import DEMO_LISTENERS, build_life, busy_listener, listener_named
from include.demo.recently_played import DAYS_LATE_MS, synced_ms

Generation = Literal["extended", "endsong"]
Quirk = Literal["zero_ms", "near_duplicate", "exact_duplicate", "late_sync", "ms_played_missing"]

FILE_BYTES = 12_000_000
ACCOUNT_DATA_ROWS = 10_000  # in one file
SKIPPED_UNKNOWN = (
    int(datetime(2015, 4, 1, tzinfo=UTC).timestamp()),
    int(datetime(2022, 10, 1, tzinfo=UTC).timestamp()),
)
SKIPPED_FALSE_FROM = int(datetime(2020, 7, 1, tzinfo=UTC).timestamp())
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
    synced: Counter[int] = Counter()  # rows of an offline session that came late have ts a second apart
    until_s = int(life.until.timestamp())
    for index, play in enumerate(life.plays):
        dice = hashed("export", life.seed, life.listener.user_id, play.ended_ms)
        dice, roll = divmod(dice, 10_000)
        ts = play.ended_ms // 1000
        quirk: Quirk | None = None
        if play.offline and (online := synced_ms(life, play)) - play.ended_ms > DAYS_LATE_MS:
            ts, quirk = online // 1000 + synced[play.session], "late_sync"
            synced[play.session] += 1
            if ts > until_s:
                continue  # the device has not told yet
        row = _row(life, play, ts, dice, generation)
        if roll < 6 and quirk is None:
            del row["ms_played"]
            quirk = "ms_played_missing"
        is_video = isinstance(play.item, Episode) and play.item.is_video
        rows.append(ExportRow(ts, row, index, quirk, is_video))
        if quirk is None and isinstance(play.item, Track):
            odd = _odd_row(row, ts, play, roll, dice)
            if odd is not None:
                rows.append(ExportRow(odd[0], odd[1], None, odd[2], False))
    rows.sort(key=lambda row: row.ts_s)
    return rows


def _odd_row(
    row: dict[str, Any], ts: int, play: Play, roll: int, dice: int
) -> tuple[int, dict[str, Any], Quirk] | None:
    """The row that is no play of its own, if one follows this one."""
    if 100 <= roll < 170:
        passed = {**row, "ts": _ts(ts), "ms_played": 0, "reason_start": "fwdbtn", "reason_end": "fwdbtn"}
        return ts, passed, "zero_ms"
    if 200 <= roll < 240 and play.ms_played > 40_000:
        later = ts + 1 + dice % 8
        return later, {**row, "ts": _ts(later), "ms_played": row["ms_played"] - dice % 200}, "near_duplicate"
    if 300 <= roll < 320:
        return ts, dict(row), "exact_duplicate"
    return None


def _ts(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _row(life: Life, play: Play, ts: int, dice: int, generation: Generation) -> dict[str, Any]:
    item = play.item
    old = generation == "endsong"
    user_id = life.listener.user_id
    ip_addr = f"203.0.113.{hashed('ip', user_id, play.session) % 254 + 1}"
    row: dict[str, Any] = {"ts": _ts(ts)}
    if old:
        row["username"] = user_id
    row["platform"] = (OLD_PLATFORMS if old else PLATFORMS)[play.platform]
    row["ms_played"] = play.ms_played
    row["conn_country"] = play.country
    if old:
        row["ip_addr_decrypted"] = ip_addr
        row["user_agent_decrypted"] = "unknown"
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
    row["offline_timestamp"] = _offline_timestamp(life, play)
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


def _offline_timestamp(life: Life, play: Play) -> int | None:
    """The play's start in seconds or milliseconds, or 0, or null; always there for plays made offline."""
    roll = hashed("offline timestamp", life.seed, life.listener.user_id, play.session) % 100
    if roll < 7:
        return play.started_ms
    if roll < 60 or play.offline:
        return play.started_ms // 1000
    return 0 if roll < 68 else None


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
        if generation == "endsong":
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
