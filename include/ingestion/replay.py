"""Marking past days to be rebuilt from raw."""

from __future__ import annotations

import psycopg

from include.ingestion.streaming_history import EARLIEST
from include.pipeline import parse_time
from include.sql.queries import query


def mark_interval(connection: psycopg.Connection, user_ids: list[str], *, start: str, end: str) -> int:
    """Mark the days of [start, end) on which these listeners have raw rows, and commit; return how many.

    :param start: ISO timestamp, UTC unless it has an offset; empty: from the beginning.
    :param end: ISO timestamp, exclusive; a day that it divides is marked too.
    :raises ValueError: one is not a timestamp, or the end is not after the start.
    """
    first, last = (parse_time(text) if text and text != "None" else None for text in (start, end))
    first = first or EARLIEST
    if last is None or last <= first:
        raise ValueError(f"A replay needs an end after its start, not {start or 'the start'} to {end or 'nothing'}.")
    days = connection.execute(
        query("ingestion", "mark_interval"), {"user_ids": user_ids, "replay_start": first, "replay_end": last}
    ).rowcount
    connection.commit()
    return days
