"""What the scheduler imports for the tasks that are forked from it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
PROGRAM = """
import sys, threading
from airflow.listeners.listener import get_listener_manager

sys.argv = ["airflow", {component!r}]
get_listener_manager().hook.on_starting(component=object())
names = ("soda.scan", "soda.sodacl.sodacl_parser", "scipy.sparse", "spotipy", "psycopg", "include.soda.scan", "ml")
print(threading.active_count(), *(name for name in names if name in sys.modules))
"""


def loaded_by(component: str, tmp_path: Path, executor: str = "LocalExecutor") -> list[str]:
    """The number of threads, then which of a few modules there are, once a component of Airflow has started."""
    environment = os.environ | {
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(PROJECT / "plugins"),
        "AIRFLOW__CORE__EXECUTOR": executor,
        "PYTHONPATH": str(PROJECT),
    }
    program = PROGRAM.format(component=component)
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    return done.stdout.split("\n")[-2].split()


def test_the_scheduler_loads_libraries_and_nothing_of_the_project_and_starts_no_thread(tmp_path):
    libraries = ["soda.scan", "soda.sodacl.sodacl_parser", "scipy.sparse", "spotipy", "psycopg"]
    assert loaded_by("scheduler", tmp_path) == ["1", *libraries]


@pytest.mark.parametrize(("component", "executor"), [("triggerer", "LocalExecutor"), ("scheduler", "CeleryExecutor")])
def test_nothing_else_loads_what_only_tasks_need(component, executor, tmp_path):
    assert "soda.scan" not in loaded_by(component, tmp_path, executor)
