"""The identity of a raw row."""

from __future__ import annotations

from hashlib import md5


def event_key(source: str, *natural_key: str) -> bytes:
    """16 bytes (a UUID to Postgres), the same whenever the same row of the same source arrives."""
    return md5("\x1f".join((source, *natural_key)).encode(), usedforsecurity=False).digest()
