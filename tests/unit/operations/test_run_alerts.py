"""What people are told of a run that failed or is late, whichever component of Airflow calls."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest
from listening import callbacks
from listening.notifiers.alerts import AlertNotifier

RUN = {"dag_id": "spotify_listening", "dag_run_id": "scheduled__1", "run_type": "scheduled", "state": "running"}
DEADLINE = {"id": "1", "deadline_time": "2026-11-01 07:00:00+00:00"}


@pytest.fixture
def told(monkeypatch):
    """What was sent, as (subject, text, run id of the context)."""
    sent = []

    def notify(self, context):
        sent.append((self.subject, self.text, context["dag_run"].run_id))

    monkeypatch.setattr(AlertNotifier, "notify", notify)
    return sent


@pytest.mark.parametrize(
    "context",
    [
        {"dag": SimpleNamespace(dag_id="spotify_listening"), "run_id": "scheduled__1", "reason": "task_failure"},
        {"dag_run": SimpleNamespace(dag_id="spotify_listening", run_id="scheduled__1"), "reason": "task_failure"},
    ],
    ids=["before any task", "after a task"],
)
def test_a_failed_run_is_named_with_its_reason(told, context):
    callbacks.run_failed(context)
    ((subject, text, run_id),) = told
    assert subject == "spotify_listening: run failed"
    assert "Run scheduled__1 failed (task_failure)" in text
    assert run_id == "scheduled__1"


def test_a_late_run_is_named_with_its_deadline_and_state(told):
    asyncio.run(callbacks.deadline_missed({"dag_run": RUN, "deadline": DEADLINE}))
    ((subject, text, run_id),) = told
    assert subject == "spotify_listening: run is late"
    assert "scheduled__1 should have ended by 2026-11-01 07:00:00+00:00 and is running" in text
    assert run_id == "scheduled__1"


def test_a_backfill_that_waits_its_turn_is_no_news(told):
    asyncio.run(callbacks.deadline_missed({"dag_run": RUN | {"run_type": "backfill"}, "deadline": DEADLINE}))
    assert told == []
