"""What the DAG calls when a run failed or is not done in time: people are told through connection listening_alerts."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any


def run_failed(context: Any) -> None:
    """For `on_failure_callback`, called in the DAG processor."""
    run = _run(context)
    _tell(
        run,
        f"{run.dag_id}: run failed",
        f"Run {run.run_id} failed ({context.get('reason') or 'no reason given'}).\n"
        "The DAG's page in Airflow says what each red task means and what to do.",
    )


async def deadline_missed(context: Any) -> None:
    """For an `AsyncCallback`, called in the triggerer, so that it works with every executor.

    The runs of a backfill wait for each other, which is no news.
    """
    run = _run(context)
    if run.run_type == "backfill":
        return
    text = f"Run {run.run_id} was to be done by {context['deadline']['deadline_time']} and is {run.state}."
    await asyncio.to_thread(_tell, run, f"{run.dag_id}: run is late", f"{text}\n`make doctor` says what does not work.")


def _run(context: Any) -> SimpleNamespace:
    """The run, which a context holds as an object, as JSON, or by its id alone, depending on who calls."""
    run = context.get("dag_run") or {}
    get = run.get if isinstance(run, dict) else lambda name: getattr(run, name, None)
    return SimpleNamespace(
        dag_id=get("dag_id") or context["dag"].dag_id,
        run_id=get("dag_run_id") or get("run_id") or context["run_id"],
        run_type=get("run_type"),
        state=get("state"),
    )


def _tell(run: SimpleNamespace, subject: str, text: str) -> None:
    from listening.notifiers.alerts import AlertNotifier

    AlertNotifier(subject=subject, text=text).notify({"dag_run": run})
