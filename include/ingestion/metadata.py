"""What is known of tracks and artists: kept for good from what payloads carry, the rest read one by one on a budget."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.types.json import Jsonb

from include.ingestion.errors import SpotifyError, SpotifyRefused
from include.ingestion.spotify_ids import is_spotify_id
from include.sql.queries import query

if TYPE_CHECKING:
    from include.ingestion.spotify_client import SpotifyClient

CALLS_PER_DAY = 30  # reads of metadata an account spends a day, of a quota of some 800 that all accounts share
UNKNOWN_FOR = timedelta(days=30)

log = logging.getLogger(__name__)


def store_tracks(connection: psycopg.Connection, tracks: Iterable[dict[str, Any]]) -> int:
    """Keep Spotify's track objects that are not known yet; return how many. Commits nothing."""
    rows = {row["track_id"]: row for row in map(_track_row, tracks) if row is not None}
    if not rows:
        return 0
    columns = {
        "track_ids": "track_id",
        "track_names": "track_name",
        "artist_ids": "artist_id",
        "artist_names": "artist_name",
        "album_ids": "album_id",
        "album_names": "album_name",
        "durations_ms": "duration_ms",
        "isrcs": "isrc",
        "payloads": "payload",
    }
    return connection.execute(
        query("ingestion", "insert_tracks"),
        {name: [row[column] for row in rows.values()] for name, column in columns.items()},
    ).rowcount


def fetch_metadata(
    connection: psycopg.Connection, client: SpotifyClient, user_id: str, *, now: datetime
) -> Counter[str]:
    """Read what is missing, the most played first, within the account's daily budget; return counts by kind.

    A refusal (404) is remembered for a month; a rate limit or an outage ends the turn and is remembered as nothing.
    """
    [(calls,)] = connection.execute(
        query("ingestion", "count_metadata_calls"), {"user_id": user_id, "day": now.date()}
    ).fetchall()
    budget = max(0, CALLS_PER_DAY - calls)
    wanted = connection.execute(query("ingestion", "list_wanted_metadata"), {"most": budget, "now": now}).fetchall()
    connection.commit()
    done: Counter[str] = Counter()
    for kind, spotify_id in wanted:
        try:
            if kind == "track":
                stored = store_tracks(connection, [client.track(spotify_id)])
            else:
                stored = _store_artist(connection, client.artist(spotify_id))
            if stored:
                done[f"{kind}s"] += stored
            else:
                # An answer that says nothing of what was asked would be asked for again in every run.
                connection.execute(
                    query("ingestion", "insert_unknown_id"), {"id": spotify_id, "expires_at": now + UNKNOWN_FOR}
                )
                done["unusable"] += 1
        except SpotifyRefused as error:
            if error.status != 404:
                log.info("Metadata: %s", error)
                break
            connection.execute(
                query("ingestion", "insert_unknown_id"), {"id": spotify_id, "expires_at": now + UNKNOWN_FOR}
            )
            done["unknown"] += 1
        except SpotifyError as error:
            log.info("Metadata: %s Stopping for now.", error)
            break
        connection.commit()
    return done


def _track_row(track: Any) -> dict[str, Any] | None:
    """The columns of table tracks; None if it is no usable track object."""
    if not isinstance(track, dict) or track.get("is_local"):
        return None
    album, isrcs = _object(track.get("album")), _object(track.get("external_ids"))
    artists = track.get("artists")
    artist = _object(artists[0]) if isinstance(artists, list) and artists else {}
    duration = track.get("duration_ms")
    row = {
        "track_id": _id(track.get("id")),
        "track_name": _text(track.get("name")),
        "artist_id": _id(artist.get("id")),
        "artist_name": _text(artist.get("name")),
        "album_id": _id(album.get("id")),
        "album_name": _text(album.get("name")),
        "duration_ms": duration if type(duration) is int and 0 < duration < 2**31 else None,
        "isrc": _text(isrcs.get("isrc")),
        "payload": Jsonb(track),
    }
    if row["track_id"] is None or row["track_name"] is None or row["artist_name"] is None:
        return None
    return row


def _store_artist(connection: psycopg.Connection, artist: dict[str, Any]) -> int:
    artist_id, name, genres = _id(artist.get("id")), _text(artist.get("name")), artist.get("genres")
    if artist_id is None or name is None:
        return 0
    return connection.execute(
        query("ingestion", "insert_artist"),
        {
            "artist_id": artist_id,
            "artist_name": name,
            "genres": [genre for genre in genres if isinstance(genre, str)] if isinstance(genres, list) else None,
            "payload": Jsonb(artist),
        },
    ).rowcount


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _id(value: Any) -> str | None:
    return value if is_spotify_id(value) else None
