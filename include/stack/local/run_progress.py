"""Prints a DAG run's progress on the terminal, task by task, and why it failed."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

import httpx

from include.operations.airflow_client import FINISHED_RUNS, FINISHED_TASKS, AirflowClient

SIGNS = {"success": "✓", "failed": "✗", "skipped": "-", "upstream_failed": "↯", "removed": "-"}
LOG_LINES = 25


def follow(
    airflow: AirflowClient,
    dag_id: str,
    run_id: str,
    say: Callable[[str], None],
    check: Callable[[], None],
    timeout: float,
) -> str:
    """Print each task as it ends, until the run has ended; return its state.

    :param check: called every second; raises when the run cannot go on.
    :raises TimeoutError: the run has not ended after `timeout` seconds.
    """
    printed: set[tuple[str, int]] = set()
    deadline = time.monotonic() + timeout
    while True:
        check()
        try:
            state = airflow.run(dag_id, run_id)["state"]
            tasks = airflow.task_instances(dag_id, run_id)
        except httpx.TransportError:  # the API server may be busy; check() knows whether it is dead
            time.sleep(1)
            continue
        for task in sorted(tasks, key=lambda task: task["end_date"] or ""):
            key = (task["task_id"], task["map_index"])
            if task["state"] in FINISHED_TASKS and key not in printed:
                printed.add(key)
                say(_line(task))
        if state in FINISHED_RUNS:
            return state
        if time.monotonic() > deadline:
            raise TimeoutError(f"Run {run_id} is still {state} after {timeout:.0f} s")
        time.sleep(1)


def explain_failure(airflow: AirflowClient, dag_id: str, run_id: str, say: Callable[[str], None]) -> None:
    """Print, for each task that failed by itself, the end of its log."""
    for task in airflow.task_instances(dag_id, run_id):
        if task["state"] != "failed":
            continue
        say(f"Task {_name(task)} failed (try {task['try_number']}). The end of its log:")
        for line in airflow.log_lines(task)[-LOG_LINES:]:
            say(f"    {line}")


def _name(task: dict[str, Any]) -> str:
    if task["map_index"] < 0:
        return task["task_id"]
    return f"{task['task_id']}[{task.get('rendered_map_index') or task['map_index']}]"


def _line(task: dict[str, Any]) -> str:
    seconds = ""
    if task["start_date"] and task["end_date"]:
        duration = datetime.fromisoformat(task["end_date"]) - datetime.fromisoformat(task["start_date"])
        seconds = f"{duration.total_seconds():6.1f} s"
    outcome = "" if task["state"] == "success" else f"  {task['state']}"
    return f"  {SIGNS.get(task['state'], '?')} {_name(task):34}{seconds}{outcome}"
