"""The watch over Spotify's window: when it starts a run, how seldom it looks, and that nothing ends it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from airflow.sdk._shared.module_loading import import_string
from hypothesis import given
from hypothesis import strategies as st
from listening.hooks.spotify import SpotifyHook
from listening.operators.ingestion import IngestRecentlyPlayedOperator
from listening.triggers.window import WindowTrigger

from include.ingestion.window_watch import ENOUGH, REACTION, SHORTEST_PLAY, judge, watch


@given(st.lists(st.booleans(), max_size=50))
def test_no_unknown_play_can_leave_the_window_before_the_next_look(unknown):
    look = judge(unknown)
    depth = max((place + 1 for place, is_unknown in enumerate(unknown) if is_unknown), default=0)
    assert look.depth == depth
    assert look.overflows == (depth >= ENOUGH)
    if not look.overflows:
        plays_until_then = (look.next_look + REACTION) / SHORTEST_PLAY
        assert depth + plays_until_then <= 50


def test_idle_listeners_cost_sixty_looks_a_day():
    assert timedelta(days=1) / judge([]).next_look <= 60


def first_event(trigger: WindowTrigger, seconds: float):
    async def wait():
        async with asyncio.timeout(seconds):
            async for event in trigger.run():
                return event.payload

    try:
        return asyncio.run(wait())
    except TimeoutError:
        return None


def looks(simulator) -> int:
    return sum(call["calls"] for call in simulator.calls() if "recently-played" in call["endpoint"])


def test_fires_for_accounts_about_to_overflow_and_rests_once_they_are_stored(authorize, simulator, connection):
    accounts = [authorize("ada"), authorize("bea")]
    IngestRecentlyPlayedOperator(task_id="t", account=accounts[1]).execute({"run_id": "run"})
    simulator.forget_calls()
    # Whose plays were all stored just now needs no look.
    assert first_event(WindowTrigger(), 30) == {"accounts": ["ada"]}
    assert looks(simulator) == 1
    IngestRecentlyPlayedOperator(task_id="t", account=accounts[0]).execute({"run_id": "run"})
    simulator.forget_calls()
    # A restarted trigger knows when the next look is due, and does not look before.
    assert first_event(WindowTrigger(), 3) is None
    assert looks(simulator) == 0
    state = dict(connection.execute("select user_id, message from ingestion_state where pipeline = 'window_watch'"))
    assert state == {"ada": "50 of 50 plays not stored yet"}


def test_after_a_run_the_whole_window_is_free(authorize, simulator, connection):
    account = authorize("ada")
    IngestRecentlyPlayedOperator(task_id="t", account=account).execute({"run_id": "run"})
    begun = datetime.now(UTC)
    overflows, next_look = watch(connection, SpotifyHook(account["connection_id"]), "ada", now=lambda: begun)
    assert not overflows
    assert abs(next_look - begun - judge([]).next_look) < timedelta(seconds=10)
    assert looks(simulator) == 1
    later = next_look + timedelta(seconds=1)
    watch(connection, SpotifyHook(account["connection_id"]), "ada", now=lambda: later)
    assert looks(simulator) == 2


@pytest.mark.parametrize(
    ("fault", "status", "rest"),
    [
        ({"kind": "rate_limit", "retry_after": 40}, "rate_limited", timedelta(seconds=40)),
        ({"kind": "quota", "retry_after": 50_000}, "quota", timedelta(seconds=50_000)),
        ({"kind": "status", "status": 503, "count": 3}, "unavailable", timedelta(minutes=3)),
        ({"kind": "status", "status": 403}, "refused", timedelta(hours=1)),
    ],
)
def test_a_fault_puts_off_the_next_look_and_nothing_else(authorize, simulator, connection, fault, status, rest):
    account = authorize("ada")
    simulator.plan_faults({"match": "/v1/me/player", **fault})
    now = datetime.now(UTC)
    overflows, next_look = watch(connection, SpotifyHook(account["connection_id"]), "ada", now=lambda: now)
    assert not overflows
    assert abs(next_look - now - rest) < timedelta(seconds=10)
    stored = connection.execute("select status from ingestion_state where pipeline = 'window_watch'").fetchone()
    assert stored == (status,)
    later = next_look + timedelta(seconds=1)
    assert watch(connection, SpotifyHook(account["connection_id"]), "ada", now=lambda: later)[0]


def test_one_accounts_trouble_does_not_silence_the_others(authorize, simulator, connection):
    authorize("ada"), authorize("bea")
    simulator.revoke("ada")
    assert first_event(WindowTrigger(), 30) == {"accounts": ["bea"]}


def test_survives_a_database_that_is_away(monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_LISTENING_DB", '{"conn_type": "postgres", "host": "/nowhere"}')
    assert first_event(WindowTrigger(), 3) is None


def test_is_rebuilt_from_what_it_serializes():
    path, arguments = WindowTrigger("other_db").serialize()
    assert import_string(path) is WindowTrigger
    assert WindowTrigger(**arguments).postgres_conn_id == "other_db"
