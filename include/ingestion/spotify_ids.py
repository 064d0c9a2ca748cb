"""What may be an id: what enters keys, paths and addresses."""

from __future__ import annotations

from typing import Any

LONGEST_ID = 64  # Spotify's own have 22 letters and digits
TRACK_URI = "spotify:track:"


def is_spotify_id(value: Any) -> bool:
    """Whether it can be the id of a track or an artist: letters and digits, in a text."""
    return isinstance(value, str) and len(value) <= LONGEST_ID and value.isascii() and value.isalnum()
