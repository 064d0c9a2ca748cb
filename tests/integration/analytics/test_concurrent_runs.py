"""Runs at the same time, and steps in any order, end with the tables of one full rebuild."""

from __future__ import annotations

import random
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import psycopg
import pytest

from tests.integration.analytics.raw_rows import AS_OF, BEGIN, account, api, extended, insert
from tests.integration.analytics.tables import content, empty, mark_all
from tests.support.steps import STEPS, run_stages, run_step, run_steps

RUNS = ("backfill one", "backfill two", "scheduled")
DAYS = 12
PORTIONS = 3  # of each run


def history(chance: random.Random) -> list[dict]:
    """Three sources that tell of the same plays, sessions over midnight, an offline stream heard days before."""
    rows = []
    for number in range(DAYS * 14):
        ended_at = BEGIN + timedelta(days=number // 14, minutes=number % 14 * 65 + chance.choice([0, 20, 40]))
        track = chance.choice(["a", "ab", "b", "c", "cd"])
        rows.append(extended(ended_at, track, skipped=chance.random() < 0.2))
        if chance.random() < 0.4:
            rows.append(api(ended_at + timedelta(seconds=chance.randint(-50, 50)), track))
        if chance.random() < 0.3:
            rows.append(account(ended_at, track))
    heard = BEGIN + timedelta(days=1, seconds=7)
    rows.append(extended(BEGIN + timedelta(days=9), "b", offline=True, offline_timestamp=int(heard.timestamp()) - 200))
    return rows


def scan_and_publish(connection: psycopg.Connection, run: str) -> None:
    """As the tasks do it: publishing is tried again while another run is between its steps and its scans."""
    for layer in ("raw", "analytics", "ml"):
        (seen,) = connection.execute("select staging.begin_scan(%s)", [layer]).fetchone()
        connection.execute("select staging.pass_scan(%s, %s, %s)", [layer, seen, run])
    deadline = time.monotonic() + 60
    while True:
        try:
            connection.execute("select * from staging.publish_scanned()")
        except psycopg.errors.RaiseException:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return


@pytest.mark.parametrize("in_order", [True, False], ids=["steps in order", "steps shuffled and repeated"])
def test_runs_at_the_same_time_end_as_one_full_rebuild(owner_conninfo, writer_conninfo, in_order):
    with psycopg.connect(owner_conninfo) as owner:
        empty(owner, raw=True)
    chance = random.Random(8)
    rows = history(chance)
    chance.shuffle(rows)
    portions = [rows[number :: len(RUNS) * PORTIONS] for number in range(len(RUNS) * PORTIONS)]
    start = Barrier(len(RUNS))

    def run(number: int) -> None:
        own_chance = random.Random(number)
        with psycopg.connect(writer_conninfo, autocommit=True) as connection:
            start.wait(60)
            for portion in portions[number :: len(RUNS)]:
                insert(connection, portion)
                if not in_order:
                    for step in own_chance.choices(STEPS, k=10):
                        run_step(connection, step, as_of=AS_OF)
                run_stages(lambda: psycopg.connect(writer_conninfo, autocommit=True), as_of=AS_OF)
                scan_and_publish(connection, RUNS[number])

    with ThreadPoolExecutor(len(RUNS)) as threads:
        for finished in [threads.submit(run, number) for number in range(len(RUNS))]:
            finished.result(timeout=120)

    with psycopg.connect(owner_conninfo) as owner:
        left = "select count(*) from pending_days where step = any(%s)"
        assert owner.execute(left, [list(STEPS)]).fetchone() == (0,)
        at_once, published = content(owner), content(owner, "analytics")
        empty(owner, raw=False)
        mark_all(owner)
        run_steps(owner, as_of=AS_OF)
        rebuilt = content(owner)
    assert at_once == rebuilt
    assert published == {table: found for table, found in rebuilt.items() if table != "track_names"}
