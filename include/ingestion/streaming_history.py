"""Rows of Spotify's two exports as raw events.

The extended streaming history has the second a play ended (`ts`, UTC) and its URI; the account data has only the minute
and the names. Both are stored as received, without what is personal and of no use (IP addresses, places) and without
what jsonb cannot store (NUL).
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import msgspec

from include.ingestion.event_key import event_key
from include.ingestion.json_rows import BadElement
from include.ingestion.json_values import storable
from include.ingestion.spotify_ids import TRACK_URI, is_spotify_id

EXTENDED, ACCOUNT = "extended_history", "account_history"
# Exports of 2020 also have the place.
PERSONAL_FIELDS = ("ip_addr", "ip_addr_decrypted", "city", "region", "metro_code", "longitude", "latitude")
EARLIEST = datetime(2006, 1, 1, tzinfo=UTC)  # no play is older than Spotify
CLOCK_TOLERANCE = timedelta(days=1)  # a play may be this much later than now
MAX_PAYLOAD_BYTES = 64 * 1024
MAX_MS_PLAYED = 2**31 - 1
MAX_SHAPES = 1_000
REPEATED_WITHIN = 2_000  # rows
# The times of a device that are believed, in seconds; larger values are milliseconds. As in SQL's clock_seconds().
EARLIEST_CLOCK_SECONDS, LATEST_CLOCK_SECONDS = 1_200_000_000, 99_999_999_999
LATE_SECONDS = 60
MICROSECOND = timedelta(microseconds=1)
POSTGRES_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)

_TEXT = (str, type(None))
_FLAG = (bool, type(None))
_NUMBER = (int, float, type(None))
FIELD_TYPES: dict[str, tuple[type, ...]] = {
    "ts": (str,),
    "endTime": (str,),
    "ms_played": (int, type(None)),
    "msPlayed": (int, type(None)),
    "offline_timestamp": _NUMBER,
    **dict.fromkeys(("shuffle", "skipped", "offline", "incognito_mode"), _FLAG),
    **dict.fromkeys(
        (
            "platform",
            "conn_country",
            "master_metadata_track_name",
            "master_metadata_album_artist_name",
            "master_metadata_album_album_name",
            "spotify_track_uri",
            "episode_name",
            "episode_show_name",
            "spotify_episode_uri",
            "audiobook_title",
            "audiobook_uri",
            "audiobook_chapter_uri",
            "audiobook_chapter_title",
            "reason_start",
            "reason_end",
            "username",
            "user_agent_decrypted",
            "artistName",
            "trackName",
            "podcastName",
            "episodeName",
            "audiobookName",
            "chapterName",
            "authorName",
        ),
        _TEXT,
    ),
}

_encode = msgspec.json.Encoder().encode
_int32 = struct.Struct("!i").pack
_field_count = struct.Struct("!h").pack
_moment = struct.Struct("!iq").pack
_jsonb = struct.Struct("!ib").pack
_JSONB_VERSION = 1
_NULL = _int32(-1)
_MICROSECONDS_A_DAY = 86_400_000_000


def _microseconds(moment: datetime) -> int:
    """Microseconds since 2000-01-01, as Postgres counts them."""
    since = moment - POSTGRES_EPOCH
    return since.days * _MICROSECONDS_A_DAY + since.seconds * 1_000_000 + since.microseconds


_EARLIEST = _microseconds(EARLIEST)
_SECONDS_TO_POSTGRES_EPOCH = int(POSTGRES_EPOCH.timestamp())


def _text(value: str) -> bytes:
    encoded = value.encode()
    return _int32(len(encoded)) + encoded


_ITEM_TYPES = {name: _text(name) for name in ("track", "episode", "audiobook", "video", "local")}


class Block(NamedTuple):
    """Rows ready to be stored.

    :ivar packed: rows of raw_listening_events in Postgres' binary COPY format, without its header.
    :ivar rows: their number.
    :ivar days: their UTC days, counted from 2000-01-01.
    :ivar tracks: track id -> number of rows.
    """

    packed: bytes
    rows: int
    days: set[int]
    tracks: Counter[str]


def source_of(row: Any) -> str | None:
    """Which export the row belongs to; None: neither."""
    if not isinstance(row, dict):
        return None
    if "ts" in row:
        return EXTENDED
    return ACCOUNT if "endTime" in row else None


@dataclass
class RowReader:
    """Packs the rows of one file in Postgres' binary COPY format (PostgreSQL's documentation of COPY, "Binary Format").

    Fields of a packed row: user_id, source, event_key, played_at, item_type, track_id, payload, run_id.

    :param latest: no play can be later, UTC.
    :param is_video: the rows come from a Video file.
    :param keep_ip_addresses: whether they, and the places in exports of 2020, stay in the payload.
    :ivar skipped: reason -> number of rows that are not plays or have impossible values.
    :ivar bytes_packed: of the payloads not taken yet.
    """

    user_id: str
    source: str
    run_id: str
    latest: datetime
    is_video: bool = False
    keep_ip_addresses: bool = False
    rows_read: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    bytes_packed: int = 0
    _packed: list[bytes] = field(default_factory=list)
    _rows: int = 0
    _days: set[int] = field(default_factory=set)
    _tracks: list[str] = field(default_factory=list)
    _reasons: dict[Any, str | None] = field(default_factory=dict)
    _keys: set[bytes] = field(default_factory=set)
    _keys_before: set[bytes] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._start = _field_count(8) + _text(self.user_id) + _text(self.source) + _int32(16)
        self._end = _text(self.run_id)
        self._timestamp, self._ms_played = ("ts", "ms_played") if self.source == EXTENDED else ("endTime", "msPlayed")
        self._latest = _microseconds(self.latest)
        # Of the good music rows; the first is after the last while there are none.
        self._first, self._last = self._latest, _EARLIEST

    @property
    def played_at(self) -> tuple[datetime, datetime] | None:
        """Times of the first and last good music row, UTC; None without any."""
        if self._first > self._last:
            return None
        return POSTGRES_EPOCH + self._first * MICROSECOND, POSTGRES_EPOCH + self._last * MICROSECOND

    @property
    def rows_good(self) -> int:
        """Rows that are plays, including repeated ones."""
        return self.rows_read - self.skipped.total()

    def read(self, rows: Iterable[Any]) -> None:
        """Pack the good rows, except repeated ones; count the others by reason."""
        for row in rows:
            self.rows_read += 1
            reason = self._pack(row) if type(row) is dict else _why_no_row(row)
            if reason is not None:
                self.skipped[reason] += 1
        # A repetition usually follows soon; a later one is left to the database.
        if len(self._keys) >= REPEATED_WITHIN:
            self._keys, self._keys_before = set(), self._keys

    def take(self) -> Block:
        """The rows packed since the last call."""
        block = Block(b"".join(self._packed), self._rows, self._days, Counter(self._tracks))
        self._packed, self._rows, self._days, self._tracks, self.bytes_packed = [], 0, set(), [], 0
        return block

    def _pack(self, row: dict[str, Any]) -> str | None:
        if not self.keep_ip_addresses:
            for name in PERSONAL_FIELDS:
                row.pop(name, None)
        reason = self._wrong_type(row)
        if reason is not None:
            return reason
        item = _extended_item(row, self.is_video) if self.source == EXTENDED else _account_item(row)
        if isinstance(item, str):
            return item
        item_type, track_id, natural_key = item

        timestamp = row.get(self._timestamp)
        if timestamp is None:
            return "no_timestamp"
        try:
            played_at = datetime.fromisoformat(timestamp)
        except ValueError:
            return "bad_timestamp"
        if played_at.tzinfo is None:
            played_at = played_at.replace(tzinfo=UTC)
        microseconds = _microseconds(played_at)
        if not _EARLIEST <= microseconds <= self._latest:
            return "timestamp_out_of_range"
        ms_played = row.get(self._ms_played)
        if ms_played is not None and not 0 <= ms_played <= MAX_MS_PLAYED:
            return "ms_played_out_of_range"

        payload = _encode(row)
        # jsonb cannot store NUL. Looking for a backslash first is fast.
        if b"\\" in payload and b"\\u0000" in payload:
            payload = _encode(storable(row))
        if len(payload) > MAX_PAYLOAD_BYTES:
            return "too_large"
        if self.source == EXTENDED:
            natural_key = (*natural_key, str(ms_played), *_late_start(row, microseconds, ms_played))
        else:
            natural_key = (*natural_key, str(ms_played))
        key = event_key(self.source, str(microseconds), *natural_key)
        if key in self._keys or key in self._keys_before:
            return None
        self._keys.add(key)
        self.bytes_packed += len(payload)
        self._packed += (
            self._start,
            key,
            _moment(8, microseconds),
            _ITEM_TYPES[item_type],
            _NULL if track_id is None else _text(track_id),
            _jsonb(len(payload) + 1, _JSONB_VERSION),
            payload,
            self._end,
        )
        self._rows += 1
        self._days.add(microseconds // _MICROSECONDS_A_DAY)
        if track_id is not None:
            self._tracks.append(track_id)
        if item_type == "track":
            if microseconds < self._first:
                self._first = microseconds
            if microseconds > self._last:
                self._last = microseconds
        return None

    def _wrong_type(self, row: dict[str, Any]) -> str | None:
        """A reason if a field has a wrong type, else None; found once for all rows with the same fields and types."""
        shape = (*row, *map(type, row.values()))
        try:
            return self._reasons[shape]
        except KeyError:
            pass
        verdict = next(
            (
                f"wrong_type_{name}"
                for name, value in row.items()
                if name in FIELD_TYPES and type(value) not in FIELD_TYPES[name]
            ),
            None,
        )
        if len(self._reasons) < MAX_SHAPES:
            self._reasons[shape] = verdict
        return verdict


def _extended_item(row: dict[str, Any], is_video: bool) -> tuple[str, str | None, tuple[str, ...]] | str:
    """Item type, track id, and the part of the key that says what was played; or the reason why it is not a play."""
    get = row.get
    uri = get("spotify_track_uri")
    if uri and uri.startswith(TRACK_URI):
        track_id = uri[len(TRACK_URI) :]
        if not is_spotify_id(track_id):
            return "bad_track_uri"
        return ("video", None, (uri,)) if is_video else ("track", track_id, (uri,))
    episode = get("spotify_episode_uri") or get("episode_name")
    if episode:
        return "episode", None, (episode,)
    chapter = get("audiobook_chapter_uri") or get("audiobook_uri") or get("audiobook_title")
    if chapter:
        return "audiobook", None, (chapter,)
    name = uri or get("master_metadata_track_name")
    if not name:
        return "nothing_played"
    names = (name, get("master_metadata_album_artist_name") or "")
    if is_video:
        return "video", None, names
    # Exports of 2020 have no URIs: a name there means a track, as in the account data.
    return "local" if "spotify_track_uri" in row else "track", None, names


def _late_start(row: dict[str, Any], microseconds: int, ms_played: int | None) -> tuple[str, ...]:
    """For a play that was reported late, the second it began; it tells apart plays that are equal otherwise.

    Newer exports have seconds where older ones have milliseconds; both give the same. Empty for other plays: they began
    as their end and length say.
    """
    start = row.get("offline_timestamp")
    if ms_played is None or not start:
        return ()
    seconds = int(start if start <= LATEST_CLOCK_SECONDS else start // 1000)
    if not EARLIEST_CLOCK_SECONDS <= seconds <= LATEST_CLOCK_SECONDS:
        return ()
    ended = _SECONDS_TO_POSTGRES_EPOCH + microseconds // 1_000_000
    return (str(seconds),) if ended - seconds - ms_played // 1000 > LATE_SECONDS else ()


def _account_item(row: dict[str, Any]) -> tuple[str, str | None, tuple[str, ...]] | str:
    get = row.get
    if get("trackName"):
        return "track", None, (get("artistName") or "", row["trackName"])
    if get("episodeName"):
        return "episode", None, (get("podcastName") or "", row["episodeName"])
    if get("audiobookName") or get("chapterName"):
        return "audiobook", None, (get("audiobookName") or "", get("chapterName") or "")
    return "nothing_played"


def _why_no_row(row: Any) -> str:
    return str(row) if isinstance(row, BadElement) else "not_an_object"
