"""Playlists as files: CSV, M3U, XSPF."""

import csv
import datetime as dt
import io
from xml.etree import ElementTree

import pandas as pd

from dashboards.components import playlist_files

PLAYLIST = pd.Series({"name": "Night & day\n<mix>", "description": "d", "as_of": dt.date(2026, 6, 30)})
TRACKS = pd.DataFrame(
    {
        "position": [1, 2],
        "track_id": ["4uLU6hMCjMI75M1A2tKUQC", "name:0cc175b9"],
        "track_name": ["=HYPERLINK(1)", "Line\nbreak"],
        "artist_name": ["A, “B” & C", "D"],
        "album_name": ["E", None],
        "kind": ["favourite", "discovery"],
        "score": [0.9, 0.5],
        "score_persona": [0.4, 0.2],
        "score_history": [0.3, 0.1],
        "score_cooccurrence": [0.1, 0.1],
        "score_freshness": [0.1, 0.1],
        "reason": ["r1", "r2"],
        "duration_ms": [187_400.0, float("nan")],
    }
)


def test_csv_runs_no_formula():
    rows = list(csv.DictReader(io.StringIO(playlist_files.playlist_csv(TRACKS).decode("utf-8-sig"))))
    assert [row["track_name"] for row in rows] == ["'=HYPERLINK(1)", "Line\nbreak"]
    assert [float(row["score"]) for row in rows] == [0.9, 0.5]


def test_m3u_keeps_one_line_an_entry():
    assert playlist_files.playlist_m3u(PLAYLIST, TRACKS).decode().splitlines() == [
        "#EXTM3U",
        "#PLAYLIST:Night & day <mix>",
        "#EXTINF:187,A, “B” & C - =HYPERLINK(1)",
        "https://open.spotify.com/track/4uLU6hMCjMI75M1A2tKUQC",
        "#EXTINF:-1,D - Line break",
        "# no Spotify id: Line break",
    ]


def test_xspf_is_xml_with_locations_where_known():
    root = ElementTree.fromstring(playlist_files.playlist_xspf(PLAYLIST, TRACKS))
    space = {"x": "http://xspf.org/ns/0/"}
    assert root.findtext("x:title", None, space) == PLAYLIST["name"]
    assert [len(track.findall("x:location", space)) for track in root.findall(".//x:track", space)] == [1, 0]
    assert root.findtext(".//x:duration", None, space) == "187400"
