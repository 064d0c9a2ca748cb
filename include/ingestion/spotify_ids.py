"""Which texts may be Spotify ids, and so go into keys, paths and addresses."""

from __future__ import annotations

from typing import Any

MAX_LENGTH = 64  # Spotify's own have 22 letters and digits
TRACK_URI = "spotify:track:"


def is_spotify_id(value: Any) -> bool:
    """Whether it can be the id of a track or an artist: a string of ASCII letters and digits."""
    return isinstance(value, str) and len(value) <= MAX_LENGTH and value.isascii() and value.isalnum()
