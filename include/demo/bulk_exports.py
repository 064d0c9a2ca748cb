"""Exports of millions of rows, written quickly, for benchmarks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from include.demo.exports import FILE_BYTES, ExportZip, export_rows
from include.demo.listeners import busy_listener
from include.demo.listening_history import build_history


def write_bulk_history(path: Path, rows: int, *, seed: int = 1, file_bytes: int = FILE_BYTES) -> int:
    """Write an extended history of exactly `rows` rows; return the size of its JSON in bytes.

    It is half a year of a busy invented listener, quirks included, repeated back in time by whole weeks: a million rows
    are about ten years. `file_bytes` is how large a member of the zip gets; a path ending in .json is one bare file.
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
    with ExportZip(path, level=1) as archive:
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
    listener = busy_listener("bulk", seed, first_day=(_BULK_UNTIL - timedelta(weeks=weeks)).date())
    encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
    pieces = []
    for exported in export_rows(build_history(listener, seed, _BULK_UNTIL)):
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
                start = "null" if moment is None else "0"
            else:
                start = str(moment + (shift_ms if moment > 100_000_000_000 else shift_s))
            block.append(f'{{"ts":"{names[piece.day]}{piece.middle}{start}{piece.end}')
            if len(block) == 5000:
                yield ",".join(block).encode()
                block = []
        if block:
            yield ",".join(block).encode()
        skip = 0
