"""JSON as others write it, made such that jsonb can hold it: the one place that says what becomes of the rest.

| what arrives | what is kept |
|---|---|
| NUL in a string | U+FFFD |
| half of a surrogate pair | ? |
| NaN, Infinity, a number too large for any | null |
"""

from __future__ import annotations

import json
import math
from typing import Any

LONGEST_INTEGER = 400  # digits; a double ends at 309


def decode(text: str) -> Any:
    """Any JSON, as jsonb can hold it; more lenient than the standard about numbers and surrogates.

    :raises ValueError: it is no JSON.
    :raises RecursionError: it is nested too deep.
    """
    return storable(json.loads(text, parse_int=_integer))


def decode_answer(content: bytes) -> Any:
    """What a server answered; None if it is no JSON. A byte that is not UTF-8 costs only itself."""
    try:
        return decode(content.decode("utf-8-sig", "replace"))
    except (ValueError, RecursionError):
        return None


def storable(value: Any) -> Any:
    """The same value with everything replaced that jsonb cannot hold."""
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
    """The same text with everything replaced that Postgres cannot hold."""
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) <= LONGEST_INTEGER else math.inf
