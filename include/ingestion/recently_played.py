"""The account's newest plays: reading Spotify's window, and storing it with its state, gaps and marks at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

import psycopg
from psycopg.types.json import Jsonb

from include.ingestion.authorization import AUTHORIZATION_LASTS, WARN_AFTER
from include.ingestion.errors import QuotaExceeded, SpotifyError, SpotifyUnavailable
from include.ingestion.event_key import event_key
from include.ingestion.metadata import store_tracks
from include.ingestion.spotify_client import WINDOW
from include.ingestion.spotify_ids import TRACK_URI, is_spotify_id
from include.ingestion.state import newest_known, quota_returns_at, store_state
from include.ingestion.streaming_history import CLOCKS_DIFFER, EARLIEST
from include.sql.queries import query

if TYPE_CHECKING:
    from include.ingestion.spotify_client import SpotifyClient

SOURCE = "api"
MOST_PAGES = 5
SETTLED_PLAYS = 12
SCOPE = "user-read-recently-played"


@dataclass(frozen=True)
class Play:
    """One item of the window, ready to be stored."""

    played_at: datetime
    event_key: bytes
    item_type: str
    track_id: str | None
    payload: dict[str, Any]


@dataclass
class Window:
    """What one look at Spotify showed.

    :ivar plays: newest first.
    :ivar is_full: Spotify showed as much as it ever does, so older plays may have fallen out.
    :ivar unreadable: reason -> items that are no play.
    """

    plays: list[Play] = field(default_factory=list)
    is_full: bool = False
    unreadable: Counter[str] = field(default_factory=Counter)


def read_window(client: SpotifyClient, known_until: datetime | None, *, now: datetime) -> Window:
    """All plays that Spotify still shows, in 50s, until they reach back to the newest known one.

    The first page carries no cursor and is the whole window: an overlap as wide as there can be, so that plays Spotify
    fills in late are met however late they come. What is wrong with one item, or with a later page, costs only that.

    :param now: a play that claims to be more than a day later is not believed.
    """
    window = Window()
    before_ms: int | None = None
    shown = 0
    for _ in range(MOST_PAGES):
        try:
            page = client.recently_played(before_ms)
        except SpotifyUnavailable:
            if before_ms is None:
                raise
            break
        shown += len(page["items"])
        for item in page["items"]:
            play = read_item(item, latest=now + CLOCKS_DIFFER)
            if isinstance(play, str):
                window.unreadable[play] += 1
            else:
                window.plays.append(play)
        if not page["items"] or not page.get("next") or not window.plays:
            break
        oldest = min(play.played_at for play in window.plays)
        if known_until is None or oldest <= known_until:
            break
        before_ms = int(oldest.timestamp() * 1000)
    window.is_full = shown >= WINDOW
    return window


def read_item(item: Any, *, latest: datetime) -> Play | str:
    """A play, or the reason why the item is none.

    :param latest: no play can be later.
    """
    if not isinstance(item, dict) or not isinstance(item.get("track"), dict):
        return "no_track"
    track = item["track"]
    try:
        played_at = datetime.fromisoformat(item["played_at"])
    except (KeyError, TypeError, ValueError):
        return "no_played_at"
    if played_at.tzinfo is None:
        return "no_played_at"
    if not EARLIEST <= played_at <= latest:
        return "played_at_out_of_range"
    uri = track.get("uri")
    if not isinstance(uri, str) or not uri:
        return "no_uri"
    item_type, track_id = "local" if track.get("is_local") is True else track.get("type", "track"), None
    if uri.startswith(TRACK_URI) and item_type != "local":
        # The address says the same as type and id, which may be missing or be of another type than they should.
        item_type, track_id = "track", next(filter(is_spotify_id, (track.get("id"), uri[len(TRACK_URI) :])), None)
        if track_id is None:
            return "bad_track_id"
    elif item_type not in ("local", "episode"):
        return "unknown_type"
    return Play(
        played_at=played_at,
        event_key=event_key(SOURCE, played_at.astimezone(UTC).isoformat(timespec="milliseconds"), uri),
        item_type=item_type,
        track_id=track_id,
        payload=item,
    )


@dataclass(frozen=True)
class Stored:
    """What storing a window changed; times are UTC."""

    plays_shown: int
    plays_new: int
    newest_played_at: datetime | None
    gap: tuple[datetime, datetime] | None


def store_window(
    connection: psycopg.Connection, user_id: str, window: Window, *, run_id: str, message: str | None = None
) -> Stored:
    """Store the window's new plays, the state, the marks and a gap if there is one, and commit: all or nothing.

    A gap: Spotify showed a full window that does not reach back to the plays stored before, so what happened in between
    is lost here, until an export covers it. "Reach back" means by SETTLED_PLAYS: plays that Spotify shows late stand
    behind newer ones, so with less in common some may have come and gone unseen. The gap then starts at the oldest play
    that they may stand behind.
    """
    plays = window.plays
    with connection.transaction():
        settled_until = _settled_until(connection, user_id)
        [(plays_new,)] = connection.execute(
            query("ingestion", "insert_raw_events"),
            {
                "user_id": user_id,
                "source": SOURCE,
                "run_id": run_id,
                "event_keys": [play.event_key.hex() for play in plays],
                "played_ats": [play.played_at for play in plays],
                "item_types": [play.item_type for play in plays],
                "track_ids": [play.track_id for play in plays],
                "payloads": [Jsonb(play.payload) for play in plays],
            },
        ).fetchall()
        store_tracks(connection, (play.payload["track"] for play in plays))
        newest = max((play.played_at for play in plays), default=None)
        oldest = min((play.played_at for play in plays), default=None)
        gap = None
        in_common = len(plays) - plays_new
        if window.is_full and in_common < SETTLED_PLAYS and settled_until and oldest and oldest > settled_until:
            gap = (settled_until, oldest)
            connection.execute(
                query("ingestion", "record_gap"),
                {"user_id": user_id, "gap_start": gap[0], "gap_end": gap[1], "run_id": run_id},
            )
        store_state(connection, user_id, run_id=run_id, last_played_at=newest, message=message)
    return Stored(plays_shown=len(plays), plays_new=plays_new, newest_played_at=newest, gap=gap)


class Account(Protocol):
    """What gives access to an account's client; SpotifyHook is one."""

    def get_conn(self) -> SpotifyClient: ...
    def require_scope(self, scope: str) -> None: ...
    @property
    def authorized_at(self) -> datetime | None: ...


@dataclass(frozen=True)
class Outcome:
    """How one account's turn ended, when it did not end in an error.

    :ivar unreadable: reason -> items that are no play.
    :ivar retry_at: set when the quota is used up: nothing was asked or stored, come back then.
    """

    message: str
    stored: Stored | None = None
    unreadable: Counter[str] = field(default_factory=Counter)
    retry_at: datetime | None = None

    def summary(self) -> dict[str, Any]:
        if self.stored is None:
            return {}
        gap = self.stored.gap
        return {
            "plays_shown": self.stored.plays_shown,
            "plays_new": self.stored.plays_new,
            "unreadable": dict(self.unreadable),
            "gap": [moment.isoformat() for moment in gap] if gap else None,
        }


def ingest_recently_played(
    connection: psycopg.Connection,
    account: Account,
    user_id: str,
    *,
    run_id: str,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Outcome:
    """One account's turn: ask, store, keep the state for people to read.

    :raises SpotifyError: what went wrong, after it was noted in ingestion_state.
    """
    retry_at = quota_returns_at(connection, user_id)
    connection.rollback()
    if retry_at is not None and retry_at > now():
        return Outcome(f"quota used up; not asked before {retry_at:%Y-%m-%d %H:%M} UTC", retry_at=retry_at)
    try:
        account.require_scope(SCOPE)
        known_until = newest_known(connection, user_id)
        connection.rollback()
        window = read_window(account.get_conn(), known_until, now=now())
    except QuotaExceeded as error:
        with connection.transaction():
            store_state(
                connection,
                user_id,
                run_id=run_id,
                status=error.status_name,
                message=str(error),
                retry_at=error.retry_at,
            )
        return Outcome(str(error), retry_at=error.retry_at)
    except SpotifyError as error:
        with connection.transaction():
            store_state(connection, user_id, run_id=run_id, status=error.status_name, message=str(error))
        raise
    stored = store_window(
        connection, user_id, window, run_id=run_id, message=authorization_warning(account.authorized_at, now())
    )
    return Outcome(_told(stored, window), stored, window.unreadable)


def _settled_until(connection: psycopg.Connection, user_id: str) -> datetime | None:
    """Up to when nothing can be missing any more: an export's end, or SETTLED_PLAYS before the newest stored play."""
    [(settled_until,)] = connection.execute(
        query("ingestion", "read_settled_until"),
        {"user_id": user_id, "source": SOURCE, "settled_plays": SETTLED_PLAYS},
    ).fetchall()
    return settled_until


def authorization_warning(authorized_at: datetime | None, now: datetime) -> str | None:
    """A message from the fifth month of an authorization on: Spotify ends it after six."""
    if authorized_at is None or now - authorized_at < WARN_AFTER:
        return None
    return (
        f"authorized {authorized_at:%Y-%m-%d}: Spotify ends an authorization after six months, about "
        f"{authorized_at + AUTHORIZATION_LASTS:%Y-%m-%d}. Run `make authorize` for this account before."
    )


def _told(stored: Stored, window: Window) -> str:
    message = f"{stored.plays_shown} plays shown, {stored.plays_new} new"
    if window.unreadable:
        message += ", not readable: " + ", ".join(f"{n} {reason}" for reason, n in sorted(window.unreadable.items()))
    if stored.gap:
        message += (
            f"; plays between {stored.gap[0]:%Y-%m-%d %H:%M} and {stored.gap[1]:%Y-%m-%d %H:%M} UTC have fallen out of "
            f"Spotify's window: the next export fills this gap"
        )
    return message
