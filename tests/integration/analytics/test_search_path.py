"""Marks and scans use the tables of schema public, whatever the session's search_path and temporary tables are."""

from __future__ import annotations

from tests.integration.analytics.raw_rows import BEGIN, extended, insert


def test_marks_and_scans_look_past_tables_of_the_same_name(connection):
    insert(connection, [extended(BEGIN)])
    connection.execute("delete from pending_days")
    connection.execute("create temp table raw_listening_events (like public.raw_listening_events)")
    connection.execute("create temp table pending_days (like public.pending_days)")
    connection.execute("set search_path = staging")
    connection.execute("insert into public.listeners values ('ada', 'Ada', 'Europe/Berlin')")
    connection.execute("update public.listeners set time_zone = 'Asia/Tokyo'")
    connection.execute("insert into public.listener_time_zones values ('ada', '2026-01-01', 'Europe/Paris')")
    connection.execute(
        "insert into public.raw_quarantine (user_id, source, event_key, reason)"
        " select user_id, source, event_key, 'test' from public.raw_listening_events"
    )
    connection.execute("delete from public.raw_quarantine")
    marks = connection.execute("select count(*), count(distinct day) from public.pending_days").fetchone()
    assert marks[0] >= 1
    assert connection.execute("select count(*) from pg_temp.pending_days").fetchone() == (0,)
    assert connection.execute("select count(*) from public.pending_raw_events").fetchone() == (1,)
    connection.execute("delete from public.pending_days")
    assert connection.execute("select count(*) from public.pending_raw_events").fetchone() == (1,)
