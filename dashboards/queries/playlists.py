"""Generated playlists."""

from __future__ import annotations

import pandas as pd

from dashboards.queries.reader import read


def playlists(user_id: str) -> pd.DataFrame:
    """Every generated playlist, newest first, with its persona's label and what became of it on Spotify."""
    return read("playlists", user_id=user_id)


def playlist_tracks(user_id: str, playlist_id: str) -> pd.DataFrame:
    """The tracks in order with reason, score parts and duration_ms (NaN where the catalogue does not know it)."""
    return read("playlist_tracks", user_id=user_id, playlist_id=playlist_id)
