"""What the recently-played endpoint shows of a listening history: at most the last 50 plays, some of them late.

It shows music plays of at least 30 s, outside private sessions. How late Spotify shows them is not known exactly. Here
most plays appear seconds after their end; about one in thirty appears up to hours later, with its old played_at;
offline plays appear when the device is online again. A late play appears before LATE_BEHIND newer ones have ended, or
never (offline plays of days ago), so a reader whose pages overlap enough can see every play that ever appears.
"""

from __future__ import annotations

import bisect
from typing import NamedTuple

from include.demo.catalog import Track
from include.demo.listening_history import History, Play
from include.demo.random_draws import RandomDraws, hashed

WINDOW = 50
SHORTEST_MS = 30_000
LATE_BEHIND = 12  # a late play appears before this many newer ones have ended, or never
DAYS_LATE_MS = 20 * 3_600_000


class ShownPlay(NamedTuple):
    """A play as the API reports it. place_in_history indexes History.plays; shown_at_ms is None if it never appears."""

    played_at_ms: int
    shown_at_ms: int | None
    is_start: bool
    track: Track
    context: str | None
    place_in_history: int


class RecentlyPlayed:
    """The endpoint's view of one history, at any moment that the history covers."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._tracks: list[Track] = []  # of the plays that may be shown
        self._indexes: list[int] = []  # into History.plays
        self._ends_ms: list[int] = []
        self._looked_at = 0

    def _catch_up(self) -> None:
        plays = self._history.plays
        for index in range(self._looked_at, len(plays)):
            play = plays[index]
            if isinstance(play.item, Track) and play.ms_played >= SHORTEST_MS and not play.incognito:
                self._tracks.append(play.item)
                self._indexes.append(index)
                self._ends_ms.append(play.ended_ms)
        self._looked_at = len(plays)

    def window(self, now_ms: int) -> list[ShownPlay]:
        """The plays the endpoint knows at a moment, newest first."""
        self._catch_up()
        place = bisect.bisect_right(self._ends_ms, now_ms)
        window: list[ShownPlay] = []
        while place > 0 and len(window) < WINDOW:
            place -= 1
            play = self._shown(place)
            if play.shown_at_ms is not None and play.shown_at_ms <= now_ms:
                window.append(play)
        return window

    def page(self, now_ms: int, limit: int, after: int | None = None, before: int | None = None) -> list[ShownPlay]:
        """Newest first: the newest ones older than `before`, or the oldest ones newer than `after` (both exclusive)."""
        window = self.window(now_ms)
        if after is not None:
            newer = [play for play in window if play.played_at_ms > after]
            return newer[max(0, len(newer) - limit) :]
        return [play for play in window if before is None or play.played_at_ms < before][:limit]

    def of_play(self, index: int) -> ShownPlay | None:
        """How the play at History.plays[index] is shown; None if it is of a kind that never is."""
        self._catch_up()
        place = bisect.bisect_left(self._indexes, index)
        if place < len(self._indexes) and self._indexes[place] == index:
            return self._shown(place)
        return None

    def _shown(self, place: int) -> ShownPlay:
        index = self._indexes[place]
        history, play, ends = self._history, self._history.plays[index], self._ends_ms
        bits = hashed("shown", history.seed, history.listener.user_id, play.ended_ms)
        bits, start_roll = divmod(bits, 100)
        is_start = start_roll < 7 and (place == 0 or play.started_ms > ends[place - 1])
        bits, lag_ms = divmod(bits, 23_000)
        appears_ms = play.ended_ms + 2_000 + lag_ms
        bits, late_roll = divmod(bits, 100)
        if play.offline:
            appears_ms = synced_ms(history, play)
        elif late_roll < 3:
            appears_ms = play.ended_ms + int(RandomDraws("late", bits).lognormal(40, 1.2) * 60_000)
        shown_at_ms: int | None = appears_ms
        if place + LATE_BEHIND < len(ends) and appears_ms > ends[place + LATE_BEHIND]:
            too_late = appears_ms - play.ended_ms > DAYS_LATE_MS
            shown_at_ms = None if too_late else ends[place + LATE_BEHIND]
        bits, release_roll = divmod(bits, 10)
        track = self._tracks[place]
        if track.other_release is not None and release_roll < 3:
            track = track.other_release
        context = None if bits % 20 == 0 else play.context
        return ShownPlay(play.started_ms if is_start else play.ended_ms, shown_at_ms, is_start, track, context, index)


def synced_ms(history: History, play: Play) -> int:
    """When the device that played a session offline was online again: soon after it, rarely days later."""
    session = history.sessions[play.session]
    draws = RandomDraws("synced", history.seed, history.listener.user_id, session.local_date, session.session_type)
    minutes = draws.between(5, 90) if draws.chance(0.9) else draws.between(1, 5) * 1440
    return history.plays[session.first_play + session.plays - 1].ended_ms + int(minutes * 60_000)
