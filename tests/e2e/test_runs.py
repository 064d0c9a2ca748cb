"""Runs of the DAG through the real scheduler, in the order in which a listener's days would bring them."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import psycopg
import pytest
from psycopg import sql

from include import PROJECT
from include.pipeline import DAG_ID
from include.stack.local.run_progress import follow
from include.stack.local.stack import RUN_TIMEOUT, Stack

pytestmark = pytest.mark.e2e

LARGE_LISTENERS = ("ada", "bea", "carl")  # each has years of history in an export; dora has twelve plays
NEVER_ON_A_GREEN_RUN = {
    "raw_rejected",
    "analytics_rejected",
    "ml_rejected",
    "quality_failed",
    "ingestion_failed",
    "listeners_held",
}
SPOILED_ROWS = 500
_later = itertools.count(1)


@dataclass
class Run:
    """A DAG run that has ended. `tasks`: task id -> the states of its instances."""

    run_id: str
    state: str
    tasks: dict[str, set[str]]


def run(stack: Stack) -> Run:
    """One more run, a minute after the one before, in a world that has stood still: no clock moves."""
    run_id = stack.airflow.trigger(DAG_ID, run_after=end_of(stack) + timedelta(minutes=next(_later)))
    state = follow(stack.airflow, DAG_ID, run_id, print, stack.services.check, RUN_TIMEOUT)
    return ended(stack, run_id, state)


def ended(stack: Stack, run_id: str, state: str) -> Run:
    tasks: dict[str, set[str]] = {}
    for task in stack.airflow.task_instances(DAG_ID, run_id):
        tasks.setdefault(task["task_id"], set()).add(task["state"])
    return Run(run_id, state, tasks)


@pytest.fixture(scope="module")
def first_run(stack) -> Run:
    succeeded = stack.run_simulated_day()
    newest = stack.airflow.runs(DAG_ID)[0]
    assert succeeded == (newest["state"] == "success")
    return ended(stack, newest["dag_run_id"], newest["state"])


@pytest.fixture
def owner(stack) -> Iterator[psycopg.Connection]:
    with psycopg.connect(stack.owner_conninfo, autocommit=True) as connection:
        yield connection


def checksums(owner: psycopg.Connection, *schemas: str) -> dict[str, str]:
    """Every table of the schemas with a hash over all its rows."""
    tables = owner.execute(
        "select schemaname, tablename from pg_tables where schemaname = any(%s) order by 1, 2", [list(schemas)]
    ).fetchall()
    hashes = {}
    for name in tables:
        query = sql.SQL(
            "select count(*) || ' ' || coalesce(md5(string_agg(t::text, ' ' order by t::text)), '') from {} t"
        )
        (hashes[".".join(name)],) = owner.execute(query.format(sql.Identifier(*name))).fetchone()
    return hashes


def counts(owner: psycopg.Connection, query: str, *parameters: object) -> dict[str, int]:
    return dict(owner.execute(query, parameters).fetchall())


def test_the_first_run_is_green(first_run):
    assert first_run.state == "success"
    assert set().union(*(first_run.tasks[task] for task in NEVER_ON_A_GREEN_RUN)) == {"skipped"}
    rest = {task: states for task, states in first_run.tasks.items() if task not in NEVER_ON_A_GREEN_RUN}
    assert rest == {task: {"success"} for task in rest}


def test_raw_holds_both_sources(first_run, owner):
    listeners = counts(
        owner, "select source, array_agg(distinct user_id order by user_id) from raw_listening_events group by 1"
    )
    assert listeners == {"api": ["ada", "bea", "carl", "dora"], "extended_history": ["ada", "bea", "carl"]}


def test_no_play_is_in_the_future(first_run, stack, owner):
    assert owner.execute("select max(played_at) from raw_listening_events").fetchone()[0] <= stack.clock.start
    (last,) = owner.execute("select max(local_date) from analytics.listening_events").fetchone()
    assert last <= stack.clock.start.date() + timedelta(days=1)


def test_every_published_table_is_filled(first_run, owner):
    tables = owner.execute("select published_schema, table_name from staging.published_tables").fetchall()
    may_be_empty = {"excluded_events"}
    for schema, table in tables:
        query = sql.SQL("select count(distinct user_id) from {}").format(sql.Identifier(schema, table))
        (listeners,) = owner.execute(query).fetchone()
        assert listeners >= (0 if table in may_be_empty else 3), f"{schema}.{table}"


def test_personas_have_readable_names(first_run, owner):
    labels = counts(owner, "select user_id, array_agg(label) from ml.personas where is_active group by 1")
    for listener in LARGE_LISTENERS:
        assert len(labels[listener]) >= 3
        assert len(set(labels[listener])) == len(labels[listener])
        assert all(label[0].isupper() and len(label) >= 8 and not label[-1].isdigit() for label in labels[listener])


def test_playlists_have_tracks_with_reasons(first_run, owner):
    for listener in LARGE_LISTENERS:
        tracks = counts(
            owner,
            "select playlist_id, count(*) from ml.playlist_tracks where user_id = %s and length(reason) > 20"
            " group by 1",
            listener,
        )
        declared = counts(owner, "select playlist_id, tracks from ml.playlists where user_id = %s", listener)
        assert tracks == declared
        assert max(tracks.values()) >= 20


def test_checks_leave_their_measured_values(first_run, owner):
    passed = counts(
        owner,
        "select scan, count(*) from qa_validation_results"
        " where run_id = %s and outcome = 'PASS' and measured_value is not null group by 1",
        first_run.run_id,
    )
    assert set(passed) == {"raw", "analytics", "ml"}
    failed = counts(
        owner, "select check_id, 1 from qa_validation_results where run_id = %s and outcome = 'FAIL'", first_run.run_id
    )
    assert failed == {}


def test_the_dashboards_answer(first_run, stack):
    assert stack.services.processes["dashboards"].poll() is None


def test_commands_reach_the_running_stack(first_run, stack):
    command = [
        sys.executable,
        "-m",
        "include.stack.local",
        "exec",
        "--",
        "psql",
        "-Atc",
        "select count(*) from listeners",
    ]
    answer = subprocess.run(command, capture_output=True, text=True, cwd=PROJECT, env=dict(os.environ), check=True)
    assert answer.stdout == "4\n"
    refused = subprocess.run(
        [sys.executable, "-m", "include.stack.local", "demo-once"],
        capture_output=True,
        text=True,
        cwd=PROJECT,
        check=False,
    )
    assert refused.returncode == 1
    assert "make stop" in refused.stderr


def test_a_run_without_news_changes_no_row(first_run, stack, owner):
    # Audio features are fetched a few at a time, so the next run would find more: let no source have any.
    owner.execute(
        "insert into audio_features (track_id, source, status) select track_id, 'reccobeats', 'unknown'"
        " from heard_tracks on conflict do nothing"
    )
    if owner.execute("select exists (select from pending_days)").fetchone() == (True,):
        assert run(stack).state == "success"
    everything = ("staging", "analytics", "ml")
    before = checksums(owner, *everything)
    raw = counts(owner, "select user_id || source, count(*) from raw_listening_events group by 1")
    assert run(stack).state == "success"
    # These tables say which run was the newest and what its scans saw: they may differ.
    assert changed(before, checksums(owner, *everything)) <= {"staging.layers", "staging.newest_run"}
    assert counts(owner, "select user_id || source, count(*) from raw_listening_events group by 1") == raw


def changed(before: dict[str, str], after: dict[str, str]) -> set[str]:
    return {table for table in before.keys() | after.keys() if before.get(table) != after.get(table)}


def test_a_spoiled_day_stops_at_the_gate_and_quarantine_opens_it(first_run, stack, owner):
    data = ("analytics", "ml")
    before = checksums(owner, *data)
    events = checksums(owner, "analytics")["analytics.listening_events"]
    day = stack.clock.start - timedelta(hours=12)
    owner.execute(
        "insert into raw_listening_events (user_id, source, event_key, played_at, item_type, track_id, payload, run_id)"
        " select 'ada', 'api', gen_random_uuid(), %s - n * interval '1 second', 'track', null, '{}', 'spoiled'"
        " from generate_series(1, %s) n",
        [day, SPOILED_ROWS],
    )

    failed = run(stack)
    assert failed.state == "failed"
    assert failed.tasks["scan_raw"] == failed.tasks["raw_quality_gate"] == failed.tasks["raw_rejected"] == {"success"}
    assert failed.tasks["quality_failed"] == {"failed"}
    assert failed.tasks["build_listening_events"] == failed.tasks["publish_tables"] == {"skipped"}
    checks = owner.execute(
        "select check_name, measured_value from qa_validation_results where run_id = %s and outcome = 'FAIL'",
        [failed.run_id],
    ).fetchall()
    assert checks
    assert any(value and value > 0 for _, value in checks)
    (task,) = [t for t in stack.airflow.task_instances(DAG_ID, failed.run_id) if t["task_id"] == "quality_failed"]
    log = "\n".join(stack.airflow.log_lines(task))
    for check, _ in checks:
        assert check in log
    assert changed(before, checksums(owner, *data)) == set()

    owner.execute(
        "insert into raw_quarantine (user_id, source, event_key, reason)"
        " select user_id, source, event_key, 'no track id' from raw_listening_events where run_id = 'spoiled'"
    )
    assert run(stack).state == "success"
    assert checksums(owner, "analytics")["analytics.listening_events"] == events


def test_a_new_day_adds_only_its_plays(first_run, stack, owner):
    exports = counts(owner, "select user_id, count(*) from raw_listening_events where source <> 'api' group by 1")
    known = {row[0] for row in owner.execute("select event_key from raw_listening_events")}
    assert stack.clock.now.date() == stack.clock.start.date() + timedelta(days=1)
    assert stack.run_simulated_day()
    new = [
        played_at
        for key, source, played_at in owner.execute("select event_key, source, played_at from raw_listening_events")
        if key not in known
    ]
    assert new
    assert (
        counts(owner, "select user_id, count(*) from raw_listening_events where source <> 'api' group by 1") == exports
    )
    # Spotify shows some plays late, so the new day's plays may be a little older than the day.
    assert stack.clock.start - timedelta(days=1) < min(new) <= max(new) <= end_of(stack)


def end_of(stack: Stack) -> datetime:
    return datetime.fromisoformat(stack.simulator.clock()["now"])
