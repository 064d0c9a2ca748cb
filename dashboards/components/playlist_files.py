"""A playlist as a file: CSV for spreadsheets, M3U and XSPF for players."""

from __future__ import annotations

import csv
import io
from xml.etree import ElementTree

import pandas as pd

from dashboards.components.vocabularies import SCORE_PARTS


def spotify_address(track_id: str) -> str | None:
    """The track's page on Spotify; None for a play that no Spotify id is known for."""
    return f"https://open.spotify.com/track/{track_id}" if track_id.isalnum() else None


def playlist_csv(tracks: pd.DataFrame) -> bytes:
    """All columns of the track list, UTF-8 with a byte order mark so that spreadsheets read it right."""
    names = ["position", "track_name", "artist_name", "album_name", "track_id"]
    columns = [*names, "kind", "score", *SCORE_PARTS, "reason"]
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(columns)
    for row in tracks[columns].itertuples(index=False):
        # A cell that begins like a formula would be run by a spreadsheet.
        writer.writerow(["'" + cell if isinstance(cell, str) and cell[:1] in "=+-@\t\r" else cell for cell in row])
    return text.getvalue().encode("utf-8-sig")


def playlist_m3u(playlist: pd.Series, tracks: pd.DataFrame) -> bytes:
    """Extended M3U: length in seconds (-1 unknown), artist and title, Spotify's address."""

    def one_line(value: str) -> str:
        return " ".join(value.split())

    lines = ["#EXTM3U", f"#PLAYLIST:{one_line(playlist['name'])}"]
    for row in tracks.itertuples():
        seconds = -1 if pd.isna(row.duration_ms) else round(row.duration_ms / 1000)
        lines.append(f"#EXTINF:{seconds},{one_line(row.artist_name)} - {one_line(row.track_name)}")
        lines.append(spotify_address(row.track_id) or f"# no Spotify id: {one_line(row.track_name)}")
    return ("\n".join(lines) + "\n").encode()


def playlist_xspf(playlist: pd.Series, tracks: pd.DataFrame) -> bytes:
    """XSPF 1 (https://www.xspf.org/spec): title, creator, album, duration in ms, the reason as annotation."""
    ElementTree.register_namespace("", "http://xspf.org/ns/0/")
    root = ElementTree.Element("{http://xspf.org/ns/0/}playlist", version="1")

    def add(parent: ElementTree.Element, name: str, words: str | None = None) -> ElementTree.Element:
        child = ElementTree.SubElement(parent, f"{{http://xspf.org/ns/0/}}{name}")
        child.text = words
        return child

    add(root, "title", playlist["name"])
    add(root, "annotation", playlist["description"])
    add(root, "date", f"{playlist['as_of']}T00:00:00Z")
    track_list = add(root, "trackList")
    for row in tracks.itertuples():
        track = add(track_list, "track")
        address = spotify_address(row.track_id)
        if address:
            add(track, "location", address)
        add(track, "title", row.track_name)
        add(track, "creator", row.artist_name)
        add(track, "annotation", row.reason)
        if isinstance(row.album_name, str):
            add(track, "album", row.album_name)
        if not pd.isna(row.duration_ms):
            add(track, "duration", str(int(row.duration_ms)))
    return ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
