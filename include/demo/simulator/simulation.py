"""The simulated listeners at a moment: the clock, their histories, and everything about each play."""

from __future__ import annotations

import bisect
import threading
import time
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from typing import Any

from include.demo.catalog import Chapter, Episode, LocalFile, Track
from include.demo.listening_history import History, HistoryBuilder, Play
from include.demo.recently_played import RecentlyPlayed, ShownPlay
from include.demo.session_types import Listener
from include.demo.simulator.spotify_json import iso_ms


class Clock:
    """The simulated now, in unix milliseconds: frozen at a moment, or running from it as fast as real time."""

    def __init__(self, now_ms: int | None = None, *, running: bool = True) -> None:
        self.set(int(time.time() * 1000) if now_ms is None else now_ms, running=running)

    def set(self, now_ms: int, *, running: bool) -> None:
        self.running = running
        self._set_to_ms = now_ms
        self._set_at = time.monotonic()

    def now_ms(self) -> int:
        if not self.running:
            return self._set_to_ms
        return self._set_to_ms + int((time.monotonic() - self._set_at) * 1000)


class Simulation:
    """Listeners' histories, built when they are first needed and continued as the clock goes on."""

    AHEAD = timedelta(days=3)

    def __init__(self, listeners: tuple[Listener, ...], clock: Clock) -> None:
        self.listeners = {listener.user_id: listener for listener in listeners}
        self.clock = clock
        self._locks = {user_id: threading.Lock() for user_id in self.listeners}
        self._builders: dict[str, tuple[HistoryBuilder, RecentlyPlayed]] = {}

    def recently_played(self, user_id: str) -> RecentlyPlayed:
        now = datetime.fromtimestamp(self.clock.now_ms() / 1000, UTC)
        with self._locks[user_id]:
            if user_id not in self._builders:
                builder = HistoryBuilder(self.listeners[user_id])
                self._builders[user_id] = (builder, RecentlyPlayed(builder.history))
            builder, recently_played = self._builders[user_id]
            if builder.history.until < now + timedelta(days=1):
                builder.build_until(now + self.AHEAD)
            return recently_played

    def build_all(self) -> None:
        """Build every history up to now, so that the first request need not wait for it."""
        for user_id in self.listeners:
            self.recently_played(user_id)

    def history(self, user_id: str) -> History:
        """The history as far as it is built: some days beyond the clock."""
        self.recently_played(user_id)
        return self._builders[user_id][0].history

    def truth(self, user_id: str, from_ms: int | None = None, to_ms: int | None = None) -> list[dict[str, Any]]:
        """The plays that ended in [from, to) and not after now, as `describe_play` returns them."""
        history, recently_played = self.history(user_id), self._builders[user_id][1]
        now_ms = self.clock.now_ms()
        end_of = attrgetter("ended_ms")
        first = 0 if from_ms is None else bisect.bisect_left(history.plays, from_ms, key=end_of)
        until_ms = now_ms + 1 if to_ms is None else min(to_ms, now_ms + 1)
        last = bisect.bisect_left(history.plays, until_ms, key=end_of)
        return [describe_play(history, i, recently_played.of_play(i)) for i in range(first, last)]


def describe_play(history: History, index: int, shown: ShownPlay | None) -> dict[str, Any]:
    """One true play as JSON. in_api: the API shows it, from shown_at on, with that played_at and track."""
    play = history.plays[index]
    in_api = shown is not None and shown.shown_at_ms is not None
    return {
        "index": index,
        "started_at": iso_ms(play.started_ms),
        "ended_at": iso_ms(play.ended_ms),
        "ms_played": play.ms_played,
        **_describe_item(play),
        "context": play.context,
        "reason_start": play.reason_start,
        "reason_end": play.reason_end,
        "skipped": play.skipped,
        "shuffle": play.shuffle,
        "offline": play.offline,
        "incognito": play.incognito,
        "session": play.session,
        "session_type": history.session_type(play),
        "time_zone": history.sessions[play.session].time_zone,
        "in_api": in_api,
        "played_at": iso_ms(shown.played_at_ms) if shown is not None and in_api else None,
        "played_at_is_start": shown.is_start if shown is not None and in_api else None,
        "shown_at": iso_ms(shown.shown_at_ms) if shown is not None and shown.shown_at_ms is not None else None,
        "api_track_id": shown.track.track_id if shown is not None and in_api else None,
    }


def _describe_item(play: Play) -> dict[str, Any]:
    item = play.item
    known: dict[str, Any] = {"item_type": "track", "track_id": None, "isrc": None, "name": item.name}
    if isinstance(item, Track):
        known |= {"uri": item.uri, "track_id": item.track_id, "isrc": item.isrc}
        known |= {"artist": item.artist.name, "album": item.album.name}
    elif isinstance(item, Episode):
        known |= {"item_type": "video" if item.is_video else "episode", "uri": item.uri, "show": item.show}
    elif isinstance(item, Chapter):
        known |= {"item_type": "audiobook", "uri": item.uri, "audiobook": item.audiobook}
    elif isinstance(item, LocalFile):
        known |= {"item_type": "local", "uri": None, "artist": item.artist, "album": item.album}
    return {**known, "duration_ms": item.duration_ms}
