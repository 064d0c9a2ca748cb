"""What all parts of the project share: the DAG's name, the session gap, how a time in a run's parameters is read."""

from __future__ import annotations

from datetime import UTC, datetime

DAG_ID = "spotify_listening"
SESSION_GAP_MINUTES = 30  # plays of a session have at most this much silence between them


def parse_time(text: str) -> datetime:
    """The time in an ISO 8601 text; UTC when it has no offset.

    :raises ValueError: it is not one.
    """
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
