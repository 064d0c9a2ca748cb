"""When Spotify's window of 50 plays is about to overflow, and when to look again.

A play takes at least 30 s before Spotify lists it. So a window whose oldest unknown play stands at place p (0 = newest)
cannot push it out before (50 - p) * 30 s have passed, and looking again a little before that is soon enough, however
someone listens. The more unknown plays there are, the sooner the next look; at last it is cheaper to start a run.
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
REACTION = timedelta(minutes=1)  # from the decision to the run's own look at Spotify
ENOUGH = 16  # unknown plays deep: start a run
AFTER_A_START = timedelta(minutes=10)  # by then the run has asked Spotify, or another start is wanted
AFTER_AN_OUTAGE = timedelta(minutes=3)
AFTER_A_REFUSAL = timedelta(hours=1)  # a person has to authorize the account again


@dataclass(frozen=True)
class Look:
    """What a look at the window showed.

    :ivar depth: how far down the window the oldest unknown play stands: 0 none, 50 at its very end.
    :ivar overflows: a run is to be started now.
    :ivar next_look: how long nothing can be lost without another look.
    """

    depth: int
    overflows: bool
    next_look: timedelta


def judge(unknown: Sequence[bool]) -> Look:
    """Decide by which plays of the window, newest first, are unknown to us."""
    depth = max((place + 1 for place, is_unknown in enumerate(unknown) if is_unknown), default=0)
    overflows = depth >= ENOUGH
    return Look(
        depth=depth,
        overflows=overflows,
        next_look=max((WINDOW - depth) * SHORTEST_PLAY - REACTION, AFTER_A_START if overflows else SHORTEST_PLAY),
    )


def look(connection: psycopg.Connection, client: SpotifyClient, user_id: str, *, now: datetime) -> Look:
    """One call to Spotify, and what follows from it."""
    plays = read_window(client, None, now=now).plays
    known = {
        bytes(row[0].bytes)
        for row in connection.execute(
            query("ingestion", "list_known_events"),
            {"user_id": user_id, "source": SOURCE, "event_keys": [play.event_key.hex() for play in plays]},
        )
    }
    connection.commit()
    return judge([play.event_key not in known for play in plays])


def watch(
    connection: psycopg.Connection, account: Account, user_id: str, *, now: Callable[[], datetime]
) -> tuple[bool, datetime]:
    """One account's turn: look if it is time, and keep when the next look is due, for whoever watches next.

    Returns whether a run is to be started, and when to come back. Never raises for what Spotify does.
    """
    due = _due(connection, user_id)
    if due is not None and due > now():
        return False, due
    status, message, overflows = "ok", None, False
    try:
        account.require_scope(SCOPE)
        seen = look(connection, account.get_conn(), user_id, now=now())
        overflows, wait = seen.overflows, seen.next_look
        message = f"{seen.depth} of {WINDOW} plays not stored yet"
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
    next_look = now() + wait
    with connection.transaction():
        store_state(
            connection,
            user_id,
            pipeline=WINDOW_WATCH,
            run_id=WINDOW_WATCH,
            status=status,
            message=message,
            retry_at=next_look,
        )
    return overflows, next_look


def _due(connection: psycopg.Connection, user_id: str) -> datetime | None:
    """When the next look is due: as planned, but not while the quota is used up, nor soon after a run stored all."""
    [(next_look, quota_returns_at, all_stored_at)] = connection.execute(
        query("ingestion", "read_watch"), {"user_id": user_id}
    ).fetchall()
    connection.commit()
    rested = all_stored_at and all_stored_at + judge([]).next_look
    return max(filter(None, (next_look, quota_returns_at, rested)), default=None)
