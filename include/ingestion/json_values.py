"""JSON values that jsonb cannot store, and what is stored instead.

| received | stored |
|---|---|
| NUL in a string | U+FFFD |
| half of a surrogate pair | ? |
| NaN, Infinity, a number beyond a double | null |
"""

from __future__ import annotations

import json
import math
from typing import Any

MAX_DIGITS = 400  # of an integer; a double has at most 309


def decode(text: str) -> Any:
    """The value of a JSON text, as jsonb can store it; more lenient than the standard about numbers and surrogates.

    :raises ValueError: it is not JSON.
    :raises RecursionError: it is nested too deeply.
    """
    return storable(json.loads(text, parse_int=_integer))


def decode_answer(content: bytes) -> Any:
    """The value of a server's JSON answer; None if it is not JSON. Bytes that are not UTF-8 are replaced."""
    try:
        return decode(content.decode("utf-8-sig", "replace"))
    except (ValueError, RecursionError):
        return None


def storable(value: Any) -> Any:
    """The same value with everything replaced that jsonb cannot store."""
    if isinstance(value, str):
        return storable_text(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, list):
        return [storable(item) for item in value]
    if isinstance(value, dict):
        return {storable_text(name): storable(item) for name, item in value.items()}
    return value


def storable_text(text: str) -> str:
    """The same text with everything replaced that Postgres cannot store."""
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) <= MAX_DIGITS else math.inf
