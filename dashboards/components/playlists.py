"""A playlist: its head with cover and downloads, its tracks with their scores, what changed since the one before."""

from __future__ import annotations

import datetime as dt

import pandas as pd
from markupsafe import Markup

from dashboards.charts import svg_charts
from dashboards.components import playlist_files
from dashboards.components.blocks import card, cards, empty, joined
from dashboards.components.controls import download
from dashboards.components.formatting import day
from dashboards.components.templates import macros
from dashboards.components.theme import PERSONA_COLOURS
from dashboards.components.vocabularies import SCORE_PARTS

_playlists = macros("playlists.html.j2")


def downloads(playlist: pd.Series, tracks: pd.DataFrame) -> Markup:
    """The download buttons, one for each file format."""
    name = "".join(letter if letter.isalnum() else "-" for letter in f"{playlist['name']}-{playlist['as_of']}")
    name = name.strip("-").lower()
    return joined(
        [
            download("CSV", f"{name}.csv", "text/csv", playlist_files.playlist_csv(tracks)),
            download("M3U", f"{name}.m3u8", "audio/x-mpegurl", playlist_files.playlist_m3u(playlist, tracks)),
            download("XSPF", f"{name}.xspf", "application/xspf+xml", playlist_files.playlist_xspf(playlist, tracks)),
        ]
    )


def playlist_head(playlist: pd.Series, buttons: Markup) -> Markup:
    """Cover, name, what the playlist is, and what can be done with it.

    :param playlist: a row of queries.playlists().
    """
    colour = PERSONA_COLOURS[int(playlist["persona_id"]) % len(PERSONA_COLOURS)]
    cover = svg_charts.cover(playlist["playlist_id"], colour, label=f"Cover of {playlist['name']}")
    return _playlists.head(playlist, cover, buttons)


def track_list(tracks: pd.DataFrame) -> Markup:
    """Every track with its reason and the parts of its score as a stacked bar: the longer, the larger the parts in all;
    pale what counts against the track.

    :param tracks: of queries.playlist_tracks().
    """
    most = max(float(tracks[list(SCORE_PARTS)].abs().sum(axis=1).max()), 1e-9)
    rows = []
    for row in tracks.itertuples():
        values = {column: float(getattr(row, column)) for column in SCORE_PARTS}
        parts = [
            {"name": name, "colour": colour, "value": values[column], "width": abs(values[column]) / most}
            for column, (name, colour) in SCORE_PARTS.items()
        ]
        rows.append((row, playlist_files.spotify_address(row.track_id), parts))
    return _playlists.track_list(rows)


def playlist_changes(tracks: pd.DataFrame, before: pd.DataFrame | None, before_on: dt.date | None) -> Markup:
    """Which tracks were added and removed since the playlist before for the same persona.

    :param tracks: of queries.playlist_tracks(), like `before`; None for the first playlist.
    """
    if before is None:
        return card("", empty("This is the first playlist for this persona."))
    now_ids, before_ids = set(tracks["track_id"]), set(before["track_id"])
    added, removed = tracks[~tracks["track_id"].isin(before_ids)], before[~before["track_id"].isin(now_ids)]

    def names(rows: pd.DataFrame, nothing: str) -> Markup:
        return empty(nothing) if rows.empty else _playlists.names(list(rows.itertuples()))

    return cards(
        card(f"{len(added)} added", names(added, "No track was added.")),
        card(f"{len(removed)} removed", names(removed, "No track was removed.")),
        card(f"{len(now_ids & before_ids)} kept", empty(f"Compared with the playlist of {day(before_on)}.")),
    )


def score_legend() -> Markup:
    """Which colour is which part of the score."""
    return _playlists.score_legend(SCORE_PARTS.values())
