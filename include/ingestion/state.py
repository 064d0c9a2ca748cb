"""How each account's ingestion stands: reading and writing `ingestion_state`."""

from __future__ import annotations

from datetime import datetime

import psycopg

from include.ingestion.errors import QuotaExceeded
from include.ingestion.json_values import storable_text
from include.sql.queries import query

# Who keeps a state of its own there (column pipeline).
RECENTLY_PLAYED = "recently_played"
STREAMING_HISTORY = "streaming_history"
WINDOW_WATCH = "window_watch"


def store_state(
    connection: psycopg.Connection,
    user_id: str,
    *,
    run_id: str,
    pipeline: str = RECENTLY_PLAYED,
    last_played_at: datetime | None = None,
    status: str = "ok",
    message: str | None = None,
    retry_at: datetime | None = None,
) -> None:
    """Store how an account's ingestion ended, without committing; `last_played_at` only ever moves forward.

    :param status: `ok`, or the `status_name` of an error in include/ingestion/errors.py.
    :param message: for people to read.
    :param retry_at: before this time there is no use in trying again, UTC.
    """
    connection.execute(
        query("ingestion", "store_state"),
        {
            "pipeline": pipeline,
            "user_id": user_id,
            "last_played_at": last_played_at,
            "status": status,
            "message": message and storable_text(message),
            "retry_at": retry_at,
            "run_id": run_id,
        },
    )


def quota_returns_at(connection: psycopg.Connection, user_id: str) -> datetime | None:
    """When Spotify answers this account again, UTC; None unless its quota was used up at the last call."""
    [(_, status, retry_at)] = connection.execute(query("ingestion", "read_state"), {"user_id": user_id}).fetchall()
    return retry_at if status == QuotaExceeded.status_name else None


def newest_known(connection: psycopg.Connection, user_id: str) -> datetime | None:
    """When the newest stored play from any source happened, UTC; None without any."""
    [(newest_played_at, _, _)] = connection.execute(query("ingestion", "read_state"), {"user_id": user_id}).fetchall()
    return newest_played_at
