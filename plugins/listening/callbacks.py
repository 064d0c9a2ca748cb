"""Callbacks of the DAG: an alert through connection listening_alerts when a run failed or is late."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any


def run_failed(context: Any) -> None:
    """Send an alert that a run failed. For `on_failure_callback`, called in the DAG processor."""
    run = _run(context)
    _send_alert(
        run,
        f"{run.dag_id}: run failed",
        f"Run {run.run_id} failed ({context.get('reason') or 'no reason given'}).\n"
        "The DAG's page in Airflow says what each red task means and what to do.",
    )


async def deadline_missed(context: Any) -> None:
    """Send an alert that a run is late, unless it is part of a backfill, whose runs wait for each other.

    For an `AsyncCallback`, called in the triggerer, so that it works with every executor.
    """
    run = _run(context)
    if run.run_type == "backfill":
        return
    text = f"Run {run.run_id} should have ended by {context['deadline']['deadline_time']} and is {run.state}."
    await asyncio.to_thread(
        _send_alert, run, f"{run.dag_id}: run is late", f"{text}\n`make doctor` says what is wrong."
    )


def _run(context: Any) -> SimpleNamespace:
    """The run. Depending on the caller, the context has it as an object, as JSON, or only its id."""
    run = context.get("dag_run") or {}
    get = run.get if isinstance(run, dict) else lambda name: getattr(run, name, None)
    return SimpleNamespace(
        dag_id=get("dag_id") or context["dag"].dag_id,
        run_id=get("dag_run_id") or get("run_id") or context["run_id"],
        run_type=get("run_type"),
        state=get("state"),
    )


def _send_alert(run: SimpleNamespace, subject: str, text: str) -> None:
    from listening.notifiers.alerts import AlertNotifier

    AlertNotifier(subject=subject, text=text).notify({"dag_run": run})
