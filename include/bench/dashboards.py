"""The dashboards over a listener with a million plays, and the same page over ten thousand."""

from __future__ import annotations

import datetime as dt
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any
from unittest.mock import patch

import psycopg

from include.bench import Figure, at_most, benchmark, listening_database
from include.local import postgres

PROJECT = Path(__file__).parents[2]
AS_OF = dt.date(2026, 6, 30)
PLAYS = {"large": 1_000_000, "small": 10_000}
YEARS = 10
REPEATS = 5
CHROMIUM_FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]

# Published tables of a listener, straight from the size: heavy-tailed tracks (a power of a uniform number) of 10
# tracks an album and 30 an artist, sessions of 14 plays, the same number of years whatever the size.
LIFE = """
create temp table plays as
select
    id,
    (%(as_of)s::date - (random() * %(days)s)::int) as local_date,
    floor(power(random(), 2.5) * %(tracks)s)::int as track
from generate_series(1, %(plays)s) id;
insert into listeners (user_id, display_name) values (%(user_id)s, %(user_id)s);
insert into analytics.track_days
select %(user_id)s, local_date, 'T' || lpad(track::text, 21, '0'), count(*), count(*) / 9, count(*) * 200000,
    min(local_date), max(local_date)
from plays group by local_date, track;
insert into analytics.artist_days
select %(user_id)s, local_date, 'Artist ' || track / 30, count(*), count(*) / 9, count(*) * 200000,
    min(local_date), max(local_date)
from plays group by local_date, track / 30;
insert into analytics.album_days
select %(user_id)s, local_date, 'Artist ' || track / 30, 'Album ' || track / 10, count(*), count(*) / 9,
    count(*) * 200000, min(local_date), max(local_date)
from plays group by local_date, track / 30, track / 10;
insert into analytics.track_totals
select user_id, track_id, 'Track ' || track_id, 'Artist ' || right(track_id, 21)::bigint / 30,
    'Album ' || right(track_id, 21)::bigint / 10,
    sum(plays), sum(skips), count(*), sum(ms_played), min(first_played_at), max(last_played_at), min(local_date),
        max(local_date)
from analytics.track_days where user_id = %(user_id)s group by 1, 2;
insert into analytics.artist_totals
select user_id, artist_name, sum(plays), sum(skips), count(*), sum(ms_played), min(first_played_at),
    max(last_played_at),
    min(local_date), max(local_date)
from analytics.artist_days where user_id = %(user_id)s group by 1, 2;
insert into analytics.album_totals
select user_id, artist_name, album_name, sum(plays), sum(skips), count(*), sum(ms_played), min(first_played_at),
    max(last_played_at), min(local_date), max(local_date)
from analytics.album_days where user_id = %(user_id)s group by 1, 2, 3;
insert into analytics.listening_hours
select %(user_id)s, local_date, (id %% 24), count(*), count(*) * 200000 from plays group by local_date, id %% 24;
insert into analytics.listening_sessions select %(user_id)s, id, 14, 13, 8, 9, 1, 2800000, 2900000 + id %% 9000000,
local_date, local_date + interval '1 hour',
    local_date + (id %% 24) * interval '1 hour', local_date
from plays where id %% 14 = 0;
insert into analytics.listening_events (user_id, event_id, source, track_id, session_id, track_name, artist_name,
    time_zone, ms_played, ms_played_is_estimated, skipped, played_at, started_at, local_started_at, local_date)
select user_id, gen_random_uuid(), 'api', 'T' || session_id + place, session_id, 'Track ' || session_id + place,
    'Artist ' || place, 'UTC', 200000, false, false, started_at, started_at, local_started_at, local_date
from analytics.listening_sessions, generate_series(0, 13) place where user_id = %(user_id)s;
insert into analytics.daily_trends
select %(user_id)s, local_date, count(*), count(*) / 14 + 1, count(distinct track), count(distinct track / 30), 1,
    1, count(*) / 9,
    count(*) * 200000, 2.5, 1, 1, 1, 1, row_number() over (order by local_date)
from plays group by local_date;
insert into ml.session_clusters
select %(user_id)s, session_id, local_date, 1, session_id %% 5, session_id %% 5, random()
from analytics.listening_sessions where user_id = %(user_id)s;
insert into ml.session_features (user_id, session_id, local_date, plays, minutes, unique_artists, unique_tracks,
    artist_entropy,
    repeat_rate, discovery_rate, skip_rate, shuffle_rate, album_run_rate, start_hour, start_hour_sin,
        start_hour_cos, is_weekend,
    audio_coverage)
select user_id, session_id, local_date, 14, 46, 8, 13, 2, random(), random(), random(), random(), random(),
    session_id %% 24, random(),
    random(), 0, 0
from analytics.listening_sessions where user_id = %(user_id)s;
insert into ml.personas
select %(user_id)s, persona, 'Persona ' || persona, 'd', 'e', '[]', true, 1, 0.2, 0.2, 0.2, 1, %(as_of)s, null, 'r'
from generate_series(0, 4) persona;
insert into analytics.analytics_user_metrics
select %(user_id)s, %(as_of)s, sum(plays), sum(sessions), count(*),
    (select count(*) from analytics.track_totals where user_id = %(user_id)s),
    (select count(*) from analytics.artist_totals where user_id = %(user_id)s), sum(skips), 9, 99, sum(ms_played),
        1, 1, 2.5, 1,
    min(local_date), max(local_date)
from analytics.daily_trends where user_id = %(user_id)s;
drop table plays;
"""


@contextmanager
def published_lives() -> Iterator[str]:
    """Both listeners in a database of their own; yields the reader's connection string."""
    with listening_database() as socket_dir:
        owner = postgres.conninfo(socket_dir, postgres.LISTENING_DATABASE, "listening_owner")
        with psycopg.connect(owner, autocommit=True) as connection:
            connection.execute("select setseed(0.42)")
            for user_id, plays in PLAYS.items():
                values = {
                    "user_id": user_id,
                    "plays": plays,
                    "tracks": plays // 25,
                    "days": 365 * YEARS,
                    "as_of": AS_OF,
                }
                with psycopg.ClientCursor(connection) as cursor:
                    cursor.execute(LIFE, values)
            connection.execute("vacuum analyze")
        yield postgres.conninfo(socket_dir, postgres.LISTENING_DATABASE, "listening_reader")


def queries(user_id: str) -> dict[str, Callable[[], object]]:
    """Every query of the pages, at the widest the controls allow."""
    from dashboards import listening_data as data

    first = AS_OF - dt.timedelta(days=365 * YEARS)
    found: dict[str, Callable[[], object]] = {}
    for key in ("28d", "365d", "2025", "all"):
        period = data.period_of(key, first, AS_OF)
        for kind in data.KINDS:
            found[f"top {kind} {key}"] = partial(data.top, user_id, kind, period)
        for name in (
            "period_totals",
            "clock",
            "session_lengths",
            "session_totals",
            "movers",
            "persona_hours",
            "session_points",
            "typical_sessions",
        ):
            found[f"{name} {key}"] = partial(getattr(data, name), user_id, period)
        for name in ("trend", "persona_time"):
            found[f"{name} {key}"] = partial(getattr(data, name), user_id, period, "month")
        artists = [f"Artist {number}" for number in range(6)]
        found[f"artist_months {key}"] = partial(data.artist_months, user_id, artists, period, "month")
    for name in (
        "listener",
        "records",
        "milestones",
        "years",
        "personas",
        "playlists",
        "gaps",
        "files",
        "excluded",
        "audio_feature_coverage",
    ):
        found[name] = partial(getattr(data, name), user_id)
    for name in ("listeners", "data_state", "runs", "check_history", "accounts"):
        found[name] = getattr(data, name)
    found["days"] = partial(data.days, user_id, AS_OF - dt.timedelta(days=371), AS_OF)
    return found


def statement_ms(call: Callable[[], object]) -> float:
    """Milliseconds of the slowest statement that a query function runs."""
    taken: list[float] = []
    execute = psycopg.Cursor.execute

    def timed(*args: Any, **kwargs: Any) -> Any:
        began = time.perf_counter()
        result = execute(*args, **kwargs)
        taken.append((time.perf_counter() - began) * 1000)
        return result

    with patch.object(psycopg.Cursor, "execute", timed):
        call()
    return max(taken, default=0.0)


@contextmanager
def site(dsn: str) -> Iterator[str]:
    """The dashboards' address, served in a process of their own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**os.environ, "LISTENING_READER_DSN": dsn, "PYTHONPATH": str(PROJECT)}
    with subprocess.Popen(
        [sys.executable, "-m", "dashboards", "--port", str(port)], env=environment, cwd=PROJECT
    ) as server:
        try:
            address = f"http://127.0.0.1:{port}"
            for _ in range(240):
                try:
                    urllib.request.urlopen(f"{address}/health", timeout=2).close()
                    break
                except OSError:
                    time.sleep(0.25)
            yield address
        finally:
            server.terminate()


# The first paint holds every number and drawing of the page, and controls that work: ten rows in each of the three
# rankings, calendar, clock and hours, the tables, the last line.
COMPLETE = """() => {
    const page = document.querySelector('#first') ?? document.querySelector('#root');
    return page && page.querySelectorAll('.ranking li').length == 30 && page.querySelectorAll('svg.drawing').length == 3
        && page.querySelectorAll('tbody tr').length >= 6 && page.querySelector('.colophon')?.checkVisibility();
}"""
PAINTED = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"


def page_seconds(address: str, user_ids: list[str]) -> dict[str, tuple[float, float]]:
    """Median seconds from asking for the overview of all time to the complete page on the screen, and to marimo's live
    page in its place, in a browser that has been here before."""
    from playwright.sync_api import sync_playwright

    taken: dict[str, list[tuple[float, float]]] = {user_id: [] for user_id in user_ids}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=CHROMIUM_FLAGS)
        context = browser.new_context(viewport={"width": 1440, "height": 900})
        for turn in range(REPEATS + 1):
            for user_id in user_ids:
                page = context.new_page()
                began = time.perf_counter()
                page.goto(f"{address}/overview/?listener={user_id}&period=all", wait_until="commit")
                page.wait_for_function(COMPLETE)
                page.evaluate(PAINTED)
                complete = time.perf_counter() - began
                page.wait_for_selector("body:not(:has(#first)) #root .colophon")
                if turn:  # the first visit fills the browser's cache
                    taken[user_id].append((complete, time.perf_counter() - began))
                page.close()
        browser.close()
    return {
        user_id: (median(times[0] for times in all_), median(times[1] for times in all_))
        for user_id, all_ in taken.items()
    }


@benchmark
def dashboards() -> list[Figure]:
    """page_seconds_1m, page_growth (against 10 thousand plays), page_live_seconds_1m, query_ms_max_1m."""
    with published_lives() as dsn:
        os.environ["LISTENING_READER_DSN"] = dsn
        slowest = {}
        for name, query in queries("large").items():
            query()
            slowest[name] = median(statement_ms(query) for _ in range(5))
        for name in sorted(slowest, key=lambda name: -slowest[name])[:8]:
            print(f"  {slowest[name]:6.1f} ms  {name}", flush=True)
        with site(dsn) as address:
            seconds = page_seconds(address, ["large", "small"])
    return [
        at_most("page_seconds_1m", seconds["large"][0], "s", 2),
        at_most("page_growth", seconds["large"][0] / seconds["small"][0], "ratio", 1.5),
        # marimo's kernel takes the page over; what it shows was there before.
        Figure("page_live_seconds_1m", seconds["large"][1], "s", "–", True),
        at_most("query_ms_max_1m", max(slowest.values()), "ms", 100),
    ]
