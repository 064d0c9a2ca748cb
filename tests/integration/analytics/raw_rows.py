"""Raw rows in Spotify's three shapes, as ingestion stores them."""

from __future__ import annotations

import hashlib
import uuid
from datetime import datetime, timedelta

import psycopg
from psycopg.types.json import Jsonb

BEGIN = datetime.fromisoformat("2026-01-05T10:00:00+00:00")
AS_OF = "2026-03-01T00:00:00+00:00"


def _key(*parts: object) -> uuid.UUID:
    return uuid.UUID(hashlib.md5("|".join(map(str, parts)).encode(), usedforsecurity=False).hexdigest())


def extended(
    ended_at: datetime,
    track: str = "a",
    *,
    ms: int | None = 200_000,
    artist: str | None = None,
    title: str | None = None,
    **fields,
) -> dict:
    """A row of the Extended Streaming History. `track` is a short id; names follow from it unless given."""
    item_type = fields.pop("item_type", "track")
    without_uri = fields.pop("without_uri", False)
    payload = {
        "ts": ended_at.isoformat(),
        "ms_played": ms,
        "master_metadata_track_name": title or f"title {track}",
        "master_metadata_album_artist_name": artist or f"artist {track[0]}",
        "master_metadata_album_album_name": f"album {track[0]}",
        "spotify_track_uri": f"spotify:track:{track}",
        "reason_start": "trackdone",
        "reason_end": "trackdone",
        "shuffle": False,
        "skipped": False,
        "offline": False,
        "offline_timestamp": None,
        "incognito_mode": False,
    } | fields
    if without_uri:  # as exports of 2020
        del payload["spotify_track_uri"]
    return {
        "source": "extended_history",
        "event_key": _key(
            "extended_history", ended_at, track, ms, fields.get("offline_timestamp"), *["2020"] * without_uri
        ),
        "played_at": ended_at.replace(microsecond=0),
        "item_type": item_type,
        "track_id": track if item_type == "track" and not without_uri else None,
        "payload": payload,
    }


def api(played_at: datetime, track: str = "a", *, duration_ms: int = 200_000, isrc: str | None = None, **names) -> dict:
    """An item of recently played."""
    payload = {
        "track": {
            "id": track,
            "name": names.get("title", f"title {track}"),
            "artists": [{"name": names.get("artist", f"artist {track[0]}")}],
            "album": {"name": f"album {track[0]}"},
            "duration_ms": duration_ms,
            "external_ids": {"isrc": isrc} if isrc else {},
        },
        "played_at": played_at.isoformat(),
        "context": None,
    }
    return {
        "source": "api",
        "event_key": _key("api", played_at, track),
        "played_at": played_at,
        "item_type": "track",
        "track_id": track,
        "payload": payload,
    }


def account(ended_at: datetime, track: str = "a", *, ms: int = 200_000, **names) -> dict:
    """A row of account data: minute precision, no id."""
    minute = ended_at.replace(second=0, microsecond=0)
    artist, title = names.get("artist", f"artist {track[0]}"), names.get("title", f"title {track}")
    return {
        "source": "account_history",
        "event_key": _key("account_history", minute, artist, title, ms),
        "played_at": minute,
        "item_type": "track",
        "track_id": None,
        "payload": {
            "endTime": minute.strftime("%Y-%m-%d %H:%M"),
            "artistName": artist,
            "trackName": title,
            "msPlayed": ms,
        },
    }


def insert(
    connection: psycopg.Connection, rows: list[dict], user_id: str = "ada", ingested_at: str = "2026-04-01T00:00:00Z"
) -> None:
    """Insert rows and their marks in one transaction, known rows skipped, as ingestion does."""
    with connection.transaction(), connection.cursor() as cursor:
        cursor.executemany(
            """
            insert into raw_listening_events
                (user_id, source, event_key, played_at, item_type, track_id, payload, run_id, ingested_at)
            values (%s, %s, %s, %s, %s, %s, %s, 'test', %s)
            on conflict do nothing
            """,
            [
                (
                    user_id,
                    r["source"],
                    r["event_key"],
                    r["played_at"],
                    r["item_type"],
                    r["track_id"],
                    Jsonb(r["payload"]),
                    ingested_at,
                )
                for r in rows
            ],
        )
        days = sorted({r["played_at"].date() for r in rows})
        cursor.executemany(
            "insert into pending_days values ('listening_events', %s, %s) on conflict do nothing",
            [(user_id, d) for d in days],
        )


def minutes(n: float) -> timedelta:
    return timedelta(minutes=n)
