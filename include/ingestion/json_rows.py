"""Reads a JSON array that is too large for memory, one block of elements at a time.

Fast path: cut the text behind the last `}` that is followed by a comma and `{`, and decode what comes before. A cut
inside a string or a nested value leaves text that is not JSON, so decoding it fails and the cut needs no other check.
Text that does not decode goes through a scanner that knows strings and nesting, so that a bad element costs only
itself.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from typing import Any, Protocol

import msgspec

from include.ingestion import json_values

BLOCK_BYTES = 1 << 18  # decoded, it still fits into the processor's cache
MAX_ELEMENT_BYTES = 1 << 20
MAX_NESTING = 64

# UTF-32 first: its mark begins with UTF-16's.
_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32-le",
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
    codecs.BOM_UTF8: "utf-8",
}
_ZEROS: dict[tuple[bool, ...], str] = {
    (True, True, True, False): "utf-32-be",
    (False, True, True, True): "utf-32-le",
    (True, False, True, False): "utf-16-be",
    (False, True, False, True): "utf-16-le",
}
_CUT = re.compile(rb"\}[ \t\r\n]*,[ \t\r\n]*\{")
_MAX_CUTS = 32
_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|["\[\]{},]', re.DOTALL)
_decode = msgspec.json.Decoder().decode


class BrokenFile(Exception):
    """The whole file cannot be read. The message says why, for the person who put it there."""


class BadElement(str):
    """In place of an element that cannot be decoded: the reason."""


class ByteStream(Protocol):
    def read(self, size: int, /) -> bytes: ...


def read_rows(stream: ByteStream) -> Iterator[list[Any]]:
    """Blocks of decoded elements of the JSON array in `stream`; an element that cannot be decoded is a `BadElement`.

    The stream is UTF-8, UTF-16 or UTF-32, with or without a byte order mark.

    :raises BrokenFile: it is not a JSON array, or it ends early.
    """
    stream = _as_utf8(stream)
    rest = _start_of_array(stream)
    while block := stream.read(BLOCK_BYTES):
        rest += block
        cut = _last_cut(rest)
        if cut is not None:
            try:
                rows = _decode(b"[" + rest[: cut.start() + 1] + b"]")
            except (ValueError, RecursionError):
                pass
            else:
                rest = rest[cut.end() - 1 :]
                yield rows
                continue
        elif len(rest) < MAX_ELEMENT_BYTES:
            continue
        rows, rest, ended = _scan(rest)
        yield rows
        if ended:
            _expect_nothing(rest, stream)
            return
        if len(rest) > MAX_ELEMENT_BYTES:
            raise BrokenFile(f"holds an element longer than {MAX_ELEMENT_BYTES:,} bytes: no streaming history does")
    try:
        rows = _decode(b"[" + rest)
    except (ValueError, RecursionError):
        rows, rest, ended = _scan(rest)
        if not ended:
            raise BrokenFile("ends in the middle of its JSON array: an interrupted download?") from None
        _expect_nothing(rest, stream)
    yield rows


class _Utf8Stream:
    """A stream, converted to UTF-8 block by block.

    :param start: the part that was read already.
    """

    def __init__(self, stream: ByteStream, start: bytes, encoding: str) -> None:
        self._stream = stream
        self._start = start
        self._encoding = encoding
        self._decoder = codecs.getincrementaldecoder(encoding)("surrogatepass") if encoding != "utf-8" else None

    def read(self, size: int, /) -> bytes:
        block = self._start or self._stream.read(size)
        self._start = b""
        if self._decoder is None:
            return block
        while True:
            try:
                text = self._decoder.decode(block, final=not block)
            except UnicodeDecodeError:
                raise BrokenFile(f"is {self._encoding.upper()}, but not to its end: an interrupted download?") from None
            if text or not block:
                return text.encode("utf-8", "surrogatepass")
            block = self._stream.read(size)


def _as_utf8(stream: ByteStream) -> ByteStream:
    start = b""
    while len(start) < 4 and (more := stream.read(4 - len(start))):
        start += more
    for mark, encoding in _MARKS.items():
        if start.startswith(mark):
            return _Utf8Stream(stream, start[len(mark) :], encoding)
    # An array begins with two ASCII characters, so zeros tell the encoding (RFC 4627, section 3).
    zeros = tuple(byte == 0 for byte in start)
    return _Utf8Stream(stream, start, _ZEROS.get(zeros, "utf-8"))


def _start_of_array(stream: ByteStream) -> bytes:
    """Read up to the opening bracket; return what was read beyond it."""
    start = stream.read(BLOCK_BYTES).lstrip()
    if not start:
        raise BrokenFile("is empty")
    if start[:1] != b"[":
        raise BrokenFile("is not a JSON array")
    return start[1:]


def _last_cut(text: bytes) -> re.Match[bytes] | None:
    position = len(text)
    for _ in range(_MAX_CUTS):
        position = text.rfind(b"}", 0, position)
        if position < 0:
            return None
        if match := _CUT.match(text, position):
            return match
    return None


def _scan(text: bytes) -> tuple[list[Any], bytes, bool]:
    """Decode the complete elements at the start of the text, one by one.

    :return: the elements, the rest of the text, and whether the array's closing bracket was reached.
    """
    rows: list[Any] = []
    start = depth = deepest = 0
    for token in _TOKEN.finditer(text):
        kind = token.group()[:1]
        if kind == b'"':
            if len(token.group()) == 1:  # a string that goes on beyond the text
                break
        elif kind in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        elif depth == 0:
            if kind == b"}":
                raise BrokenFile(f"has an unmatched closing brace after element {len(rows) + 1:,} of its last block")
            element = text[start : token.start()].strip()
            start = token.end()
            if element:
                rows.append(BadElement("nested_too_deep") if deepest > MAX_NESTING else _decode_element(element))
            deepest = 0
            if kind == b"]":
                return rows, text[start:], True
        elif kind in b"]}":
            depth -= 1
    return rows, text[start:], False


def _decode_element(element: bytes) -> Any:
    try:
        return _decode(element)
    except RecursionError:
        return BadElement("nested_too_deep")
    except ValueError:
        pass
    try:
        # More lenient than msgspec about lone surrogates and numbers.
        return json_values.decode(element.decode("utf-8", "surrogatepass"))
    except UnicodeDecodeError:
        return BadElement("not_utf8")
    except RecursionError:
        return BadElement("nested_too_deep")
    except ValueError:
        return BadElement("not_json")


def _expect_nothing(rest: bytes, stream: ByteStream) -> None:
    while rest:
        if rest.strip():
            raise BrokenFile("goes on after the end of its JSON array")
        rest = stream.read(BLOCK_BYTES)
