"""Simulated weeks, day by day, against what really happened: nothing lost, nothing twice, within the budget of calls.

Three weeks by default; a year with LISTENING_TRUTH_DAYS=365.

Daily runs call the simulator over HTTP, with faults. The window trigger's polls, and the runs it starts, read the same
list of plays without HTTP, so that a year takes a minute.
"""

from __future__ import annotations

import json
import os
import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

import psycopg
import pytest
from listening.hooks.spotify import SpotifyHook
from listening.operators.ingestion import ImportStreamingHistoryOperator

from include.demo.exports import write_extended_history
from include.demo.listeners import busy_listener, invent_listener
from include.demo.listening_history import build_history
from include.demo.recently_played import RecentlyPlayed
from include.demo.simulator import spotify_json
from include.demo.simulator.server import simulator_server
from include.ingestion import spotify_client
from include.ingestion.errors import RateLimited, SpotifyUnavailable
from include.ingestion.recently_played import ingest_recently_played
from include.ingestion.window_watch import AFTER_AN_OUTAGE, assess

DAY = timedelta(days=1)
END = datetime(2026, 10, 1, 4, tzinfo=UTC)
START = END - int(os.environ.get("LISTENING_TRUTH_DAYS", "21")) * DAY
REACTION = timedelta(seconds=45)  # from the trigger's event to the run's own look at Spotify
LISTENERS = [
    busy_listener("heavy", 11, first_day=START.date() - 30 * DAY, time_zone="Europe/Berlin"),
    invent_listener("usual", 12, first_day=START.date() - 30 * DAY, busyness=1.0, time_zone="Asia/Tokyo"),
    invent_listener("light", 13, first_day=START.date() - 30 * DAY, busyness=0.4, time_zone="America/New_York"),
]
FAULTS = [
    {"match": "/v1/me/player", "kind": "status", "status": 502},
    {"match": "/v1/me/player", "kind": "status", "status": 503, "count": 4},
    {"match": "/v1/me/player", "kind": "reset"},
    {"match": "/v1/me/player", "kind": "cut"},
    {"match": "/v1/me/player", "kind": "non_json"},
    {"match": "/v1/me/player", "kind": "rate_limit", "retry_after": 2},
    {"match": "/v1/me/player", "kind": "status", "status": 401},
    {"match": "/api/token", "kind": "status", "status": 500},
]
WATCH_FAULTS = 0.05  # the share of looks that get no answer, and of the runs they start that fail


@dataclass
class Direct:
    """The window of one life without HTTP; stands in for both account and client."""

    shown: RecentlyPlayed
    now: datetime = START
    calls: Counter[date] = field(default_factory=Counter)
    authorized_at: None = None

    def get_conn(self) -> Direct:
        return self

    def require_scope(self, scope: str) -> None:
        pass

    def recently_played(self, before_ms: int | None = None) -> dict[str, Any]:
        self.calls[self.now.date()] += 1
        page = self.shown.page(int(self.now.timestamp() * 1000), 50, None, before_ms)
        items = [
            json.loads(spotify_json.play_history_text("", play.track, play.played_at_ms, play.context)) for play in page
        ]
        return {"items": items, "next": "more" if len(items) == 50 else None}


@dataclass
class Year:
    """One listener's year, lived."""

    life: Any
    direct: Direct
    connection: psycopg.Connection
    hook: SpotifyHook
    simulator: Any
    user_id: str
    faults: random.Random = field(default_factory=lambda: random.Random(5))

    def daily_run(self, now: datetime) -> bool:
        """As Airflow runs it: tries again when the retry policy says so. Returns whether it succeeded."""
        self.simulator.set_clock(now)
        self.direct.now = now
        if self.faults.random() < 0.3:
            self.simulator.plan_faults(self.faults.choice(FAULTS))
        succeeded = False
        for _ in range(3):
            try:
                ingest_recently_played(self.connection, self.hook, self.user_id, run_id=str(now))
                succeeded = True
                break
            except (RateLimited, SpotifyUnavailable):
                continue
        self.simulator.clear_faults()
        return succeeded

    def live(self, *, watched: bool) -> None:
        next_run, next_poll = START, START if watched else END + DAY
        known: set[tuple[int, str]] = set()
        while next_run <= END:
            if next_run <= next_poll:
                if self.daily_run(next_run):
                    known = set(self.window())
                    next_poll = max(next_poll, next_run + assess([]).next_poll)
                next_run += DAY
                continue
            self.direct.now = next_poll
            self.direct.calls[next_poll.date()] += 1
            if self.faults.random() < WATCH_FAULTS:
                next_poll += AFTER_AN_OUTAGE
                continue
            seen = assess([play not in known for play in self.window()])
            next_poll += seen.next_poll
            if seen.overflows and self.faults.random() >= WATCH_FAULTS:  # else: a run that failed throughout
                self.direct.now += REACTION
                ingest_recently_played(self.connection, self.direct, self.user_id, run_id=str(self.direct.now))
                known = set(self.window())
                next_poll = max(next_poll, self.direct.now + assess([]).next_poll)

    def window(self) -> list[tuple[int, str]]:
        """What Spotify shows now, newest first."""
        shown = self.direct.shown.window(int(self.direct.now.timestamp() * 1000))
        return [(play.played_at_ms, play.track.track_id) for play in shown]

    def truth(self) -> dict[tuple[int, str], int]:
        """(played_at in ms, track id) -> place in the life, of every play that Spotify showed in time."""
        start_ms, end_ms = int(START.timestamp() * 1000), int(END.timestamp() * 1000)
        truth = {}
        for index, play in enumerate(self.life.plays):
            shown = self.direct.shown.of_play(index) if start_ms < play.ended_ms <= end_ms else None
            if shown is None or shown.shown_at_ms is None:
                continue
            if shown.played_at_ms > start_ms and shown.shown_at_ms <= end_ms:
                truth[shown.played_at_ms, shown.track.track_id] = index
        return truth

    def stored(self) -> Counter[tuple[int, str]]:
        rows = self.connection.execute(
            "select (extract(epoch from played_at) * 1000)::bigint, track_id from raw_listening_events"
            " where user_id = %s and source = 'api' and played_at > %s",
            [self.user_id, START],
        )
        return Counter((played_at, track_id) for played_at, track_id in rows)

    def calls(self) -> Counter[date]:
        calls = Counter(self.direct.calls)
        for call in self.simulator.calls(self.user_id):
            calls[date.fromisoformat(call["day"])] += call["calls"]
        return calls


@pytest.fixture(scope="module")
def lives() -> dict[str, Any]:
    return {listener.user_id: build_history(listener, until=END + DAY) for listener in LISTENERS}


@pytest.fixture
def year(
    monkeypatch, airflow_connections: Callable[..., None], add_listener, writer_conninfo: str, lives
) -> Iterator[Callable[[str], Year]]:
    monkeypatch.setattr(spotify_client, "READ_PAUSE_SECONDS", 0.0)
    with (
        simulator_server(now=START.isoformat(), listeners=LISTENERS) as simulator,
        psycopg.connect(writer_conninfo, autocommit=True) as connection,
    ):
        monkeypatch.setenv("SPOTIFY_API_URL", simulator.api_url)
        monkeypatch.setenv("SPOTIFY_ACCOUNTS_URL", simulator.url)

        def begin(user_id: str) -> Year:
            # Authorized again before six months are over, as a person would.
            airflow_connections(
                f"spotify_{user_id}", simulator.refresh_token(user_id, authorized_at=END - timedelta(days=170))
            )
            add_listener(user_id, connection_id=f"spotify_{user_id}")
            direct = Direct(RecentlyPlayed(lives[user_id]))
            hook = SpotifyHook(f"spotify_{user_id}", now=lambda: direct.now)
            return Year(lives[user_id], direct, connection, hook, simulator, user_id)

        yield begin


@pytest.mark.parametrize("user_id", [listener.user_id for listener in LISTENERS])
def test_with_the_watch_everything_is_stored_as_it_happened(year, user_id, record_property):
    lived = year(user_id)
    lived.live(watched=True)
    truth, stored, calls = lived.truth(), lived.stored(), lived.calls()
    lost = [key for key in truth if key not in stored]
    doubled = [key for key, times in stored.items() if times > 1]
    busy_days = sum(plays >= 200 for plays in Counter(ms // 86_400_000 for ms, _ in truth).values())
    for name, value in {
        "plays": len(truth),
        "days of 200 plays and more": busy_days,
        "lost": len(lost),
        "doubled": len(doubled),
        "most calls a day": max(calls.values()),
        "calls a day": round(sum(calls.values()) / len(calls), 1),
    }.items():
        record_property(name, value)
        print(f"{user_id}: {name}: {value}")
    assert lost == []
    assert doubled == []
    assert stored.keys() <= truth.keys()
    assert max(calls.values()) <= 100


def test_without_the_watch_every_loss_is_in_a_gap_that_an_export_closes(year, tmp_path):
    lived = year("heavy")
    lived.live(watched=False)
    truth, stored = lived.truth(), lived.stored()
    lost = [key for key in truth if key not in stored]
    gaps = [
        (start.timestamp() * 1000, end.timestamp() * 1000)
        for start, end in lived.connection.execute("select gap_start, gap_end from ingestion_gaps order by gap_start")
    ]
    print(f"{len(truth)} plays, {len(lost)} lost with one run a day, {len(gaps)} gaps")
    assert lost
    outside = [ms for ms, _ in lost if not any(start <= ms <= end for start, end in gaps)]
    assert outside == []

    (tmp_path / "heavy").mkdir()
    rows = write_extended_history(tmp_path / "heavy" / "my_spotify_data.zip", lived.life)
    done = ImportStreamingHistoryOperator(task_id="t", exports_path=str(tmp_path)).execute({"run_id": "import"})
    assert done["gaps_closed"] == len(gaps)
    assert lived.connection.execute("select count(*) from ingestion_gaps where closed_at is null").fetchone() == (0,)
    imported = {
        (int(played_at.timestamp()), uri)
        for played_at, uri in lived.connection.execute(
            "select played_at, payload ->> 'spotify_track_uri' from raw_listening_events"
            " where source = 'extended_history'"
        )
    }
    # No export made today has plays that the app has not reported yet, or says what was played in rows without a name.
    row_of = {row.play: (row.ts_s, row.row["spotify_track_uri"]) for row in rows if row.quirk != "nameless"}
    in_the_export = [key for key in lost if truth[key] in row_of]
    assert len(in_the_export) > 0.95 * len(lost)
    assert [key for key in in_the_export if row_of[truth[key]] not in imported] == []
