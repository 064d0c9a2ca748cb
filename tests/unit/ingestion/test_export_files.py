"""Any bytes in the export folder give rows or a reason; here without a database."""

from __future__ import annotations

import contextlib
import io
import json
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from include.ingestion import json_rows
from include.ingestion.export_files import is_leftover
from include.ingestion.json_rows import BadElement, BrokenFile, read_rows
from include.ingestion.streaming_history import ACCOUNT, EXTENDED, Block, RowReader

LATEST = datetime(2026, 12, 1, tzinfo=UTC)
PLAY = {
    "ts": "2024-05-01T10:00:00Z",
    "ms_played": 1000,
    "spotify_track_uri": "spotify:track:4uLU6hMCjMI75M1A2tKUQC",
    "master_metadata_track_name": "},{",
    "ip_addr": "192.0.2.1",
}

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(), children, max_size=4),
    max_leaves=10,
)
fields = st.sampled_from(
    ["ts", "endTime", "ms_played", "msPlayed", "spotify_track_uri", "trackName", "artistName", "skipped", "ip_addr"]
)
rows = st.dictionaries(fields | st.text(max_size=5), json_values | st.just("2024-05-01T10:00:00Z"), max_size=8)


def read_all(data: bytes) -> list[Any]:
    return [row for block in read_rows(io.BytesIO(data)) for row in block]


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    """Block borders everywhere, also within strings and escapes."""
    monkeypatch.setattr(json_rows, "BLOCK_BYTES", 7)
    monkeypatch.setattr(json_rows, "MAX_ELEMENT_BYTES", 4096)


@given(st.lists(json_values, max_size=8), st.sampled_from([None, 2]), st.booleans())
@example([{"a": "},{"}, {"a": "]"}, {"a": '\\"},{"'}], None, False)
def test_every_element_of_an_array_comes_out(values, indent, ascii_only):
    data = json.dumps(values, indent=indent, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    read = read_all(data)
    assert len(read) == len(values)
    for value, element in zip(values, read, strict=True):
        assert (
            element == value
            or isinstance(element, BadElement)
            or max(json.dumps(value, ensure_ascii=False)) >= "\ud800"
        )


@given(st.binary(max_size=200) | st.binary(max_size=200).map(lambda tail: b"[" + tail))
def test_any_bytes_give_rows_or_a_reason(data):
    with contextlib.suppress(BrokenFile):
        read_all(data)


@given(st.lists(rows, max_size=5), st.data())
def test_a_truncated_file_is_broken_as_a_whole(values, data):
    text = json.dumps(values).encode()
    cut = data.draw(st.integers(0, len(text) - 1))
    with pytest.raises(BrokenFile):
        read_all(text[:cut])


@given(st.lists(rows, max_size=6), st.sampled_from([EXTENDED, ACCOUNT]))
def test_every_row_is_packed_or_counted_by_reason(values, source):
    reader = RowReader("ada", source, "run", LATEST)
    block = _block(reader, msgspec.json.decode(json.dumps(values).encode("utf-8", "replace")))
    assert reader.rows_read == len(values)
    assert reader.rows_good + reader.skipped.total() == len(values)
    assert bool(block.packed) == bool(block.rows) == bool(reader.rows_good)
    assert block.rows <= reader.rows_good
    assert b"ip_addr" not in block.packed


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"ts": None}, "wrong_type_ts"),
        ({"ts": 5}, "wrong_type_ts"),
        ({"ts": "yesterday"}, "bad_timestamp"),
        ({"ts": "1970-01-01T00:00:00Z"}, "timestamp_out_of_range"),
        ({"ts": "9999-12-31T23:59:59+14:00"}, "timestamp_out_of_range"),
        ({"ms_played": "1000"}, "wrong_type_ms_played"),
        ({"ms_played": True}, "wrong_type_ms_played"),
        ({"ms_played": -1}, "ms_played_out_of_range"),
        ({"ms_played": 10**30}, "ms_played_out_of_range"),
        ({"skipped": "yes"}, "wrong_type_skipped"),
        ({"spotify_track_uri": "spotify:track:../../x"}, "bad_track_uri"),
        ({"spotify_track_uri": None, "master_metadata_track_name": None}, "nothing_played"),
        ({"platform": "x" * 70_000}, "too_large"),
    ],
)
def test_a_row_that_cannot_be_trusted_has_its_reason(change, reason):
    reader = RowReader("ada", EXTENDED, "run", LATEST)
    reader.read([PLAY | change])
    assert reader.skipped == {reason: 1}


@pytest.mark.parametrize(
    ("row", "item_type"),
    [
        (PLAY, b"track"),
        (PLAY | {"ms_played": None}, b"track"),
        (PLAY | {"spotify_track_uri": None, "spotify_episode_uri": "spotify:episode:1"}, b"episode"),
        (PLAY | {"spotify_track_uri": None, "audiobook_uri": "spotify:show:1"}, b"audiobook"),
        (PLAY | {"spotify_track_uri": None}, b"local"),
        (PLAY | {"spotify_track_uri": "spotify:local:a:b:c:1"}, b"local"),
    ],
)
def test_what_was_played_is_recognised(row, item_type):
    reader = RowReader("ada", EXTENDED, "run", LATEST)
    assert _field(item_type) in _block(reader, [dict(row)]).packed
    video = RowReader("ada", EXTENDED, "run", LATEST, is_video=True)
    assert _field(b"video") in _block(video, [dict(PLAY)]).packed


def _block(reader: RowReader, rows: list[Any]) -> Block:
    reader.read(rows)
    return reader.take()


def _field(value: bytes) -> bytes:
    """As binary COPY writes it: its length, then itself."""
    return len(value).to_bytes(4, "big") + value


def test_a_repetition_nearby_is_left_out_but_counted_as_good():
    reader = RowReader("ada", EXTENDED, "run", LATEST)
    assert _block(reader, [dict(PLAY)] * 2).rows == 1
    assert _block(reader, [dict(PLAY), PLAY | {"ms_played": 5}]).rows == 1
    assert reader.rows_good == 4


def test_ip_addresses_stay_only_when_asked_for():
    assert b"192.0.2.1" not in _block(RowReader("ada", EXTENDED, "run", LATEST), [dict(PLAY)]).packed
    assert (
        b"192.0.2.1" in _block(RowReader("ada", EXTENDED, "run", LATEST, keep_ip_addresses=True), [dict(PLAY)]).packed
    )


def test_the_same_play_is_the_same_key_in_both_generations():
    old = PLAY | {"username": "ada", "ip_addr_decrypted": "192.0.2.1", "ts": "2024-05-01T10:00:00+00:00"}
    assert _key(PLAY) == _key(old)
    assert _key(PLAY) != _key(PLAY | {"ms_played": 1001})


def _key(row: dict[str, Any]) -> bytes:
    packed = _block(RowReader("ada", EXTENDED, "run", LATEST), [dict(row)]).packed
    before = _field(EXTENDED.encode()) + (16).to_bytes(4, "big")
    start = packed.index(before) + len(before)
    return packed[start : start + 16]


def test_nul_and_lone_surrogates_become_what_jsonb_can_hold():
    (row,) = read_all(b'[{"ts":"2024-05-01T10:00:00Z","trackName":"a\\u0000b","x":"\\ud800","spotify_track_uri":"u"}]')
    packed = _block(RowReader("ada", EXTENDED, "run", LATEST), [row]).packed
    assert b"u0000" not in packed
    assert packed.decode("utf-8", "surrogateescape")
    assert b"ud800" not in packed


def test_deep_nesting_and_endless_elements_have_a_reason(monkeypatch):
    monkeypatch.setattr(json_rows, "MAX_ELEMENT_BYTES", 1 << 20)
    monkeypatch.setattr(json_rows, "BLOCK_BYTES", 1 << 20)
    deep = b"[" * 100_000 + b"]" * 100_000
    assert read_all(b"[" + deep + b',{"ts":1}]') == ["nested_too_deep", {"ts": 1}]
    with pytest.raises(BrokenFile, match="longer than"):
        read_all(b'["' + b"x" * (5 << 20))


@given(st.lists(rows, max_size=5), st.sampled_from(["utf-8", "utf-16", "utf-32"]), st.sampled_from(["", "-le", "-be"]))
@example([{"trackName": "漢😀\ud800"}], "utf-16", "-le")
def test_every_encoding_of_json_is_read(values, encoding, order):
    text = json.dumps(values, ensure_ascii=False)
    marked = ("\ufeff" if order == "" else "") + text
    data = marked.encode(encoding + (order or "-le") if encoding != "utf-8" else encoding, "surrogatepass")
    assert read_all(data) == read_all(text.encode("utf-8", "surrogatepass"))


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_a_file_that_ends_within_a_character_says_what_it_is(encoding):
    data = json.dumps([{"ts": "2024"}] * 9).encode(encoding)
    with pytest.raises(BrokenFile, match=f"is {encoding.upper()}, but not to its end"):
        read_all(data[:-1])


def test_memory_stays_bounded_whatever_the_encoding(monkeypatch):
    monkeypatch.setattr(json_rows, "BLOCK_BYTES", 1 << 12)
    asked = []

    class Endless:
        def read(self, size):
            asked.append(size)
            return ("[" if len(asked) == 1 else '{"ts":1},').encode("utf-16-le")[:size] or b""

    for _, _ in zip(range(50), read_rows(Endless()), strict=False):
        pass
    assert max(asked) <= 1 << 12


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        ("__MACOSX/Spotify/._Streaming_History_Audio_2024_1.json", True),
        ("Spotify/__MACOSX/._a.json", True),
        ("._Streaming_History_Audio_2024_1.json", True),
        ("Spotify\\._a.json", True),
        (".DS_Store", True),
        ("Spotify/Thumbs.db", True),
        ("Spotify\\desktop.ini", True),
        ("Spotify/Streaming_History_Audio_2024_1.json", False),
        ("Spotify\\Streaming_History_Audio_2024_1 (1).JSON", False),
        ("my.folder/.hidden/Streaming_History_Audio.json", False),
    ],
)
def test_what_systems_leave_beside_files_is_known(name, is_one):
    assert is_leftover(name) is is_one
