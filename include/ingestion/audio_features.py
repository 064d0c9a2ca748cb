"""Audio features, best effort: from Spotify where the app still may, else from ReccoBeats, else none.

A track that a source does not know is not asked for again for a month. A refusal, a rate limit or an outage says
nothing about a track and is never remembered as "none known".
"""

from __future__ import annotations

import logging
import math
import random
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import psycopg

from include.ingestion.errors import SpotifyError, SpotifyRefused
from include.ingestion.json_values import decode_answer
from include.sql.queries import query

if TYPE_CHECKING:
    from include.ingestion.spotify_client import SpotifyClient

RECCOBEATS_URL = "https://api.reccobeats.com"
SPOTIFY_BATCH = 100
RECCOBEATS_BATCH = 40
TRACKS_PER_RUN = 1_000
SPOTIFY_REFUSAL = "endpoint:audio-features"  # its place in unknown_ids
TIMEOUT = (5.0, 20.0)  # seconds to connect, and between two bytes of an answer
UNKNOWN_FOR_DAYS = (25, 35)  # spread, so that not all expire on one day
VALUES = (
    "danceability",
    "energy",
    "valence",
    "acousticness",
    "instrumentalness",
    "liveness",
    "speechiness",
    "loudness",
    "tempo",
)

log = logging.getLogger(__name__)


class SourceSilent(Exception):
    """The source did not answer, or asks to be left alone: nothing is known of what was asked."""


def fetch_audio_features(
    connection: psycopg.Connection,
    client: SpotifyClient | None,
    *,
    now: datetime,
    reccobeats_url: str = RECCOBEATS_URL,
) -> Counter[str]:
    """Ask for the features of tracks heard, the most played first; return counts by source and `unknown`.

    :param client: Spotify's, if the app may ask it for audio features; None: only ReccoBeats is asked.
    """
    rows = connection.execute(query("ingestion", "list_wanted_features"), {"now": now, "most": TRACKS_PER_RUN})
    wanted = [track_id for (track_id,) in rows]
    connection.commit()
    done: Counter[str] = Counter()
    if client is not None and wanted:
        wanted = _ask_spotify(connection, client, wanted, done, now)
    for batch in _batches(wanted, RECCOBEATS_BATCH):
        try:
            found = ask_reccobeats(batch, reccobeats_url)
        except SourceSilent as error:
            log.info("Audio features: %s. Stopping for now.", error)
            break
        for track_id in batch:
            _store(connection, track_id, "reccobeats", found.get(track_id), now)
        connection.commit()
        done["reccobeats"] += len(found)
        done["unknown"] += len(batch) - len(found)
    return done


def may_ask_spotify(connection: psycopg.Connection, *, now: datetime) -> bool:
    """Whether Spotify has not refused audio features lately: most apps are refused for good."""
    row = connection.execute(query("ingestion", "is_refused"), {"id": SPOTIFY_REFUSAL, "now": now}).fetchone()
    connection.commit()
    return row is None


def _ask_spotify(
    connection: psycopg.Connection, client: SpotifyClient, wanted: list[str], done: Counter[str], now: datetime
) -> list[str]:
    """Store what Spotify knows; return the tracks still without an answer."""
    left: list[str] = []
    batches = list(_batches(wanted, SPOTIFY_BATCH))
    for number, batch in enumerate(batches):
        try:
            answer = client.audio_features(batch)
        except SpotifyError as error:
            if isinstance(error, SpotifyRefused) and error.status == 403:
                connection.execute(
                    query("ingestion", "insert_unknown_id"),
                    {"id": SPOTIFY_REFUSAL, "expires_at": now + timedelta(days=UNKNOWN_FOR_DAYS[0])},
                )
                connection.commit()
            log.info("Audio features: %s Asking ReccoBeats instead.", error)
            return left + [track_id for rest in batches[number:] for track_id in rest]
        features = answer.get("audio_features")
        found = {
            item["id"]: item
            for item in (features if isinstance(features, list) else [])
            if isinstance(item, dict) and item.get("id") in batch
        }
        for track_id, item in found.items():
            _store(connection, track_id, "spotify", item, now)
        connection.commit()
        done["spotify"] += len(found)
        left += [track_id for track_id in batch if track_id not in found]
    return left


def ask_reccobeats(track_ids: list[str], url: str = RECCOBEATS_URL) -> dict[str, dict[str, Any]]:
    """Features by Spotify track id, of those that ReccoBeats knows.

    :param track_ids: at most 40.
    :raises SourceSilent: no proper answer, 429 among them.
    """
    import requests

    try:
        response = requests.get(
            f"{url.rstrip('/')}/v1/audio-features", params={"ids": ",".join(track_ids)}, timeout=TIMEOUT
        )
        if response.status_code != 200:
            raise SourceSilent(f"ReccoBeats answers {response.status_code}")
    except requests.RequestException as error:
        raise SourceSilent(f"ReccoBeats did not answer ({type(error).__name__})") from None
    answer = decode_answer(response.content)
    content = answer.get("content") if isinstance(answer, dict) else None
    if not isinstance(content, list):
        raise SourceSilent("ReccoBeats' answer is not what it promises")
    # Unknown tracks are left out of the answer: its order says nothing, the link does.
    by_id = {str(item.get("href", "")).rsplit("/", 1)[-1]: item for item in content if isinstance(item, dict)}
    return {track_id: by_id[track_id] for track_id in track_ids if track_id in by_id}


def _store(
    connection: psycopg.Connection, track_id: str, source: str, features: dict[str, Any] | None, now: datetime
) -> None:
    values: dict[str, Any] = {name: _number((features or {}).get(name)) for name in VALUES}
    key, mode = _number((features or {}).get("key")), _number((features or {}).get("mode"))
    expires_at = None if features else now + timedelta(days=random.uniform(*UNKNOWN_FOR_DAYS))
    connection.execute(
        query("ingestion", "store_features"),
        values
        | {
            "track_id": track_id,
            "source": source,
            "status": "found" if features else "unknown",
            "musical_key": int(key) if key is not None and 0 <= key <= 11 else None,  # -1: not detected
            "musical_mode": int(mode) if mode is not None and 0 <= mode <= 1 else None,
            "expires_at": expires_at,
        },
    )


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _batches(items: list[str], size: int) -> Iterator[list[str]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
