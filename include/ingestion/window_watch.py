"""When Spotify's window of 50 plays is about to overflow, and when to poll it next.

Spotify lists a play after at least 30 s of it. So if the oldest play that is not stored yet is at place p of the window
(0 = newest), it cannot drop out before (50 - p) * 30 s have passed, however someone listens; the next poll is due a
little earlier. The more plays are not stored, the sooner that is; from some number on it is cheaper to start a run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import psycopg

from include.ingestion.errors import QuotaExceeded, RateLimited, SpotifyError, SpotifyUnavailable
from include.ingestion.recently_played import SCOPE, SOURCE, Account, read_window
from include.ingestion.spotify_client import WINDOW
from include.ingestion.state import WINDOW_WATCH, store_state
from include.sql.queries import query

if TYPE_CHECKING:
    from include.ingestion.spotify_client import SpotifyClient

SHORTEST_PLAY = timedelta(seconds=30)
REACTION = timedelta(minutes=1)  # from the decision until the run calls Spotify
RUN_DEPTH = 16  # start a run when a play at this place of the window, or a later one, is not stored
AFTER_A_START = timedelta(minutes=10)  # by then the run has called Spotify, or another one is needed
AFTER_AN_OUTAGE = timedelta(minutes=3)
AFTER_A_REFUSAL = timedelta(hours=1)  # a person has to authorize the account again


@dataclass(frozen=True)
class Assessment:
    """What follows from a poll.

    :ivar depth: place in the window of the oldest play that is not stored: 1 to 50, 0 if there is none.
    :ivar overflows: a run should start now.
    :ivar next_poll: how long nothing can be lost without another poll.
    """

    depth: int
    overflows: bool
    next_poll: timedelta


def assess(unknown: Sequence[bool]) -> Assessment:
    """Decide from which plays of the window, newest first, are not stored."""
    depth = max((place + 1 for place, is_unknown in enumerate(unknown) if is_unknown), default=0)
    overflows = depth >= RUN_DEPTH
    return Assessment(
        depth=depth,
        overflows=overflows,
        next_poll=max((WINDOW - depth) * SHORTEST_PLAY - REACTION, AFTER_A_START if overflows else SHORTEST_PLAY),
    )


def poll(connection: psycopg.Connection, client: SpotifyClient, user_id: str, *, now: datetime) -> Assessment:
    """Read the account's window, in one call to Spotify, and assess it.

    :raises SpotifyError: the call failed.
    """
    plays = read_window(client, None, now=now).plays
    known = {
        bytes(row[0].bytes)
        for row in connection.execute(
            query("ingestion", "list_known_events"),
            {"user_id": user_id, "source": SOURCE, "event_keys": [play.event_key.hex() for play in plays]},
        )
    }
    connection.commit()
    return assess([play.event_key not in known for play in plays])


def watch(
    connection: psycopg.Connection, account: Account, user_id: str, *, now: Callable[[], datetime]
) -> tuple[bool, datetime]:
    """Poll an account if that is due, and store when the next poll is. Raises no SpotifyError.

    :return: whether a run should start, and when the next poll is due, UTC.
    """
    due = _due(connection, user_id)
    if due is not None and due > now():
        return False, due
    status, message, overflows = "ok", None, False
    try:
        account.require_scope(SCOPE)
        assessment = poll(connection, account.get_conn(), user_id, now=now())
        overflows, wait = assessment.overflows, assessment.next_poll
        message = f"{assessment.depth} of {WINDOW} plays not stored yet"
    except QuotaExceeded as error:
        with connection.transaction():
            store_state(
                connection,
                user_id,
                run_id=WINDOW_WATCH,
                status=error.status_name,
                message=str(error),
                retry_at=error.retry_at,
            )
        status, message, wait = error.status_name, str(error), error.retry_at - now()
    except RateLimited as error:
        status, message, wait = error.status_name, str(error), timedelta(seconds=error.retry_after)
    except SpotifyUnavailable as error:
        status, message, wait = error.status_name, str(error), AFTER_AN_OUTAGE
    except SpotifyError as error:
        status, message, wait = error.status_name, str(error), AFTER_A_REFUSAL
    next_poll = now() + wait
    with connection.transaction():
        store_state(
            connection,
            user_id,
            pipeline=WINDOW_WATCH,
            run_id=WINDOW_WATCH,
            status=status,
            message=message,
            retry_at=next_poll,
        )
    return overflows, next_poll


def _due(connection: psycopg.Connection, user_id: str) -> datetime | None:
    """When the next poll is due: as stored, not while the quota is used up, nor soon after a run stored everything."""
    [(next_poll, quota_returns_at, all_stored_at)] = connection.execute(
        query("ingestion", "read_watch"), {"user_id": user_id}
    ).fetchall()
    connection.commit()
    rested = all_stored_at and all_stored_at + assess([]).next_poll
    return max(filter(None, (next_poll, quota_returns_at, rested)), default=None)
