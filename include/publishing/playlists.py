"""Writing a listener's playlists to Spotify: created once, private, then replaced in place.

Spotify has no idempotent "create". So a playlist carries a marker in its description, and whenever we do not know our
playlist's id (also because the answer to a creation was lost) we look for the marker before we create.
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from datetime import datetime
from typing import TYPE_CHECKING, Any

import psycopg

from include.ingestion.errors import SpotifyError, SpotifyRefused, SpotifyUnavailable
from include.ingestion.json_values import storable_text
from include.sql.queries import query

if TYPE_CHECKING:
    from include.ingestion.spotify_client import SpotifyClient

SCOPES = ("playlist-modify-private", "playlist-read-private")
MOST_TRACKS = 100  # Spotify replaces at most so many at once
LONGEST_DESCRIPTION = 300

log = logging.getLogger(__name__)


def publish_playlists(
    connection: psycopg.Connection, client: SpotifyClient, user_id: str, *, now: datetime
) -> Counter[str]:
    """Bring the listener's newest playlists to Spotify; return counts by outcome.

    What Spotify already has is not written again. A write whose answer is lost is not repeated here; the next run looks
    what became of it.

    :raises SpotifyError: the account cannot be written to at all; noted in published_playlists.
    """
    done: Counter[str] = Counter()
    newest = connection.execute(query("publishing", "list_newest_playlists"), {"user_id": user_id}).fetchall()
    connection.commit()
    marked: dict[int, str] | None = None
    for persona_id, playlist_id, name, description, track_ids, spotify_id, published_id, status in newest:
        if status == "published" and published_id == playlist_id:
            done["unchanged"] += 1
            continue
        if not track_ids:
            done["without_tracks"] += 1
            continue
        state = {"user_id": user_id, "persona_id": persona_id, "playlist_id": playlist_id, "now": now}
        try:
            described = f"{_shortened(description, persona_id)} {_marker(persona_id)}"
            if spotify_id is None:
                marked = _marked_playlists(client) if marked is None else marked
                spotify_id = marked.get(persona_id)
            if spotify_id is None:
                spotify_id = client.create_playlist(name, described)["id"]
                _note(connection, state, spotify_id, "created", None)
            else:
                client.describe_playlist(spotify_id, name, described)
            client.replace_playlist_items(spotify_id, track_ids[:MOST_TRACKS])
        except SpotifyUnavailable as error:
            _note(connection, state, spotify_id, "unavailable", str(error))
            log.warning("%s, %s: %s", user_id, name, error)
            done["unavailable"] += 1
        except SpotifyRefused as error:
            # Gone at Spotify: forget it, so that the next run makes a new one.
            _note(connection, state, None if error.status == 404 else spotify_id, "refused", str(error))
            log.warning("%s, %s: %s", user_id, name, error)
            done["refused"] += 1
        except SpotifyError as error:
            _note(connection, state, spotify_id, error.status_name, str(error))
            raise
        else:
            _note(connection, state, spotify_id, "published", None)
            done["published"] += 1
    return done


def _marker(persona_id: int) -> str:
    return f"(spotify-listening persona {persona_id})"


def _shortened(description: str, persona_id: int) -> str:
    room = LONGEST_DESCRIPTION - len(_marker(persona_id)) - 1
    text = " ".join(description.split())
    return text if len(text) <= room else text[: room - 1] + "…"


def _marked_playlists(client: SpotifyClient) -> dict[int, str]:
    """Spotify ids of the account's playlists that carry our marker, by persona."""
    found: dict[int, str] = {}
    for playlist in client.my_playlists():
        match = re.search(r"\(spotify-listening persona ([0-9]{1,9})\)", str(playlist.get("description") or ""))
        if match and isinstance(playlist.get("id"), str) and playlist["id"]:
            found.setdefault(int(match.group(1)), playlist["id"])
    return found


def _note(
    connection: psycopg.Connection, state: dict[str, Any], spotify_id: str | None, status: str, message: str | None
) -> None:
    connection.execute(
        query("publishing", "store_published_playlist"),
        state | {"spotify_playlist_id": spotify_id, "status": status, "message": message and storable_text(message)},
    )
    connection.commit()
