"""Readers see what a passing scan has seen, also when two runs work in staging at once."""

from __future__ import annotations

from contextlib import ExitStack

import psycopg
import pytest

from tests.integration.analytics.raw_rows import AS_OF, BEGIN, extended, insert, minutes
from tests.support.steps import STAGES, run_step, run_steps, statements

LAYERS = ("raw", "analytics", "ml")


def scan(connection, layer: str) -> None:
    (seen,) = connection.execute("select staging.begin_scan(%s)", [layer]).fetchone()
    connection.execute("select staging.pass_scan(%s, %s, 'test')", [layer, seen])


def publish(connection) -> int:
    connection.execute("select * from staging.publish_scanned()")
    return connection.execute("select count(*) from analytics.listening_events").fetchone()[0]


def test_what_passed_is_published(connection):
    insert(connection, [extended(BEGIN)])
    scan(connection, "raw")
    run_steps(connection, as_of=AS_OF)
    scan(connection, "analytics")
    assert publish(connection) == 1


@pytest.mark.parametrize("skipped", ["raw", "analytics"])
def test_what_no_scan_passed_is_not_published(connection, skipped):
    insert(connection, [extended(BEGIN)])
    if skipped != "raw":
        scan(connection, "raw")
    run_steps(connection, as_of=AS_OF)
    if skipped != "analytics":
        scan(connection, "analytics")
    with pytest.raises(psycopg.errors.RaiseException, match=f"Nothing published: {skipped} changed"):
        publish(connection)
    assert connection.execute("select count(*) from analytics.listening_events").fetchone() == (0,)


def test_a_run_does_not_publish_what_another_run_built_after_its_scan(connection):
    insert(connection, [extended(BEGIN)])
    scan(connection, "raw")
    run_steps(connection, as_of=AS_OF)
    scan(connection, "analytics")
    # another run, between this one's scan and its publishing
    insert(connection, [extended(BEGIN + minutes(10), "b")])
    scan(connection, "raw")
    run_steps(connection, as_of=AS_OF)
    with pytest.raises(psycopg.errors.RaiseException, match="analytics changed"):
        publish(connection)
    scan(connection, "analytics")
    assert publish(connection) == 2


def test_a_run_does_not_publish_raw_rows_that_another_run_brought_unscanned(connection):
    insert(connection, [extended(BEGIN)])
    scan(connection, "raw")
    insert(connection, [extended(BEGIN + minutes(10), "b")])
    run_steps(connection, as_of=AS_OF)
    scan(connection, "analytics")
    with pytest.raises(psycopg.errors.RaiseException, match="raw changed"):
        publish(connection)


def test_numbers_that_a_rollback_or_a_crash_skipped_are_no_change(connection):
    insert(connection, [extended(BEGIN)])
    scan(connection, "raw")
    with connection.transaction(force_rollback=True):
        insert(connection, [extended(BEGIN + minutes(10), "b")])
    run_steps(connection, as_of=AS_OF)
    scan(connection, "analytics")
    assert publish(connection) == 1


def test_a_step_waits_for_whoever_is_marking(connection, writer_conninfo):
    """Else it could take a mark whose rows it does not see, and the rows would never be built."""
    with psycopg.connect(writer_conninfo) as ingesting:
        ingesting.execute("insert into pending_days values ('listening_events', 'ada', '2026-01-05')")
        connection.execute("set lock_timeout = '300ms'")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            run_step(connection, "listening_events", as_of=AS_OF)


def test_statistics_do_not_wait_for_each_other(connection, writer_conninfo):
    insert(connection, [extended(BEGIN)])
    for step in STAGES[0] + STAGES[1]:
        run_step(connection, step, as_of=AS_OF)
    with ExitStack() as side_by_side:
        for step in STAGES[2]:
            other = side_by_side.enter_context(psycopg.connect(writer_conninfo))
            other.execute("set lock_timeout = '5s'")
            for statement in statements(step):
                other.execute(statement, {"as_of": AS_OF, "session_gap_minutes": 30})
        # none has committed, so whoever takes or scans what they write has to wait
        connection.execute("set lock_timeout = '300ms'")
        for waiting in ("select lock_marks()", "select staging.begin_scan('analytics')", "delete from pending_days"):
            with pytest.raises(psycopg.errors.LockNotAvailable):
                connection.execute(waiting)
            connection.rollback()
        with pytest.raises(psycopg.errors.LockNotAvailable):
            run_step(connection, "artist_stats", as_of=AS_OF)
    connection.rollback()
    for table in ("artist_days", "track_days", "album_days", "listening_hours"):
        assert connection.execute(f"select count(*) from staging.{table}").fetchone() == (1,)
