"""What a track's title says beyond the song: which version it is, or that it is no song."""

from __future__ import annotations

import re
from functools import lru_cache

_VERSION = (
    r"feat\b|ft\b|featuring\b|with\b|remaster|re-?master|live\b|acoustic|remix|\bmix\b|edit\b|version|mono\b|stereo\b|demo\b"
    r"|instrumental|karaoke|deluxe|bonus|edition|sped up|slowed|nightcore|cover\b|explicit|clean\b|extended|original"
    r"|unplugged|session|orchestral|a cappella|acapella|single\b|reprise|\d{4}\b"
)
# "(Live at …)", "[feat. …]", and " - Remastered 2011", of which there may be several.
_IN_BRACKETS = re.compile(rf"\s*[(\[][^)\]]*(?:{_VERSION})[^)\]]*[)\]]", re.IGNORECASE)
_AFTER_DASH = re.compile(rf"\s+[-–—]\s+[^-–—]*(?:{_VERSION}).*$", re.IGNORECASE)
_FEATURING = re.compile(r"\s+(?:feat\.|ft\.|featuring)\s.*$", re.IGNORECASE)
_NO_SONG = re.compile(
    r"^(?:the\s+)?(?:intro|outro|skit|interlude)\b|[\s(\[:-](?:intro|outro|skit|interlude)\s*[)\]]?\s*(?:$|[(\[]feat|#?\d+$)",
    re.IGNORECASE,
)


@lru_cache(maxsize=100_000)
def song_title(title: str) -> str:
    """The title without its version: two tracks of an artist with the same one are the same song."""
    bare = _FEATURING.sub("", _AFTER_DASH.sub("", _IN_BRACKETS.sub("", title))).strip()
    return (bare or title).casefold()


def is_no_song(title: str) -> bool:
    """Whether it calls itself an intro, outro, skit or interlude."""
    return bool(_NO_SONG.search(title.strip()))
