"""Marking past days to be built again from raw."""

from __future__ import annotations

from datetime import UTC, datetime

import psycopg

from include.sql.queries import query

EARLIEST = datetime(2006, 1, 1, tzinfo=UTC)  # no play is older than Spotify


def mark_interval(connection: psycopg.Connection, user_ids: list[str], *, start: str, end: str) -> int:
    """Mark the days of [start, end) on which these listeners have raw rows, and commit; return how many.

    :param start: ISO timestamp, UTC unless it says otherwise; empty: since the beginning.
    :param end: ISO timestamp, exclusive; a day it cuts is marked too.
    :raises ValueError: not a timestamp, or the end is not after the start.
    """
    first, last = _timestamp(start) or EARLIEST, _timestamp(end)
    if last is None or last <= first:
        raise ValueError(f"A replay needs an end after its start, not {start or 'the start'} to {end or 'nothing'}.")
    days = connection.execute(
        query("ingestion", "mark_interval"), {"user_ids": user_ids, "replay_start": first, "replay_end": last}
    ).rowcount
    connection.commit()
    return days


def _timestamp(text: str) -> datetime | None:
    if not text or text == "None":
        return None
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
