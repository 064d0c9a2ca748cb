"""The steps of the pipeline outside Airflow; their statements as SQLExecuteQueryOperator runs them."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import cache
from importlib import import_module
from itertools import chain
from pathlib import Path

import psycopg

from include.pipeline import SESSION_GAP_MINUTES
from include.sql.holding import run_statements
from ml import STEPS as MODEL_STEPS

SQL_FOLDER = Path(__file__).parents[2] / "include" / "sql"

# In the DAG's order; the steps of a stage run side by side there.
STAGES = (
    ("listening_events",),
    ("sessions",),
    ("artist_stats", "track_stats", "album_stats", "listening_clock"),
    ("daily_trends",),
    ("user_metrics",),
)
STEPS = tuple(chain.from_iterable(STAGES))


@cache
def statements(step: str) -> list[str]:
    from airflow.providers.common.sql.hooks.sql import DbApiHook
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    templates = Environment(loader=FileSystemLoader(SQL_FOLDER), undefined=StrictUndefined)
    return DbApiHook.split_sql_string(templates.get_template(f"analytics/{step}.sql").render())


def run_step(
    connection: psycopg.Connection, step: str, *, as_of: str, session_gap_minutes: int = SESSION_GAP_MINUTES
) -> None:
    """Run one step's file, as run_for_everyone() does.

    :param connection: with no transaction open, else the steps' temporary tables would outlive their step.
    :param as_of: the run's time, ISO 8601 with offset.
    """
    run_statements(connection, step, statements(step), {"as_of": as_of, "session_gap_minutes": session_gap_minutes})


def run_steps(connection: psycopg.Connection, *, as_of: str, session_gap_minutes: int = SESSION_GAP_MINUTES) -> None:
    """Run all steps one after the other."""
    for step in STEPS:
        run_step(connection, step, as_of=as_of, session_gap_minutes=session_gap_minutes)


def run_stages(
    connect: Callable[[], psycopg.Connection], *, as_of: str, session_gap_minutes: int = SESSION_GAP_MINUTES
) -> None:
    """Run all steps as the DAG does: each in a connection of its own, a stage's steps at the same time.

    :param connect: opens a connection with autocommit.
    """

    def run(step: str) -> None:
        with connect() as connection:
            run_step(connection, step, as_of=as_of, session_gap_minutes=session_gap_minutes)

    with ThreadPoolExecutor() as threads:
        for stage in STAGES:
            list(threads.map(run, stage))


def run_models(connection: psycopg.Connection, *, as_of: datetime) -> None:
    """Run the steps of `ml/` one after the other, each in transactions of its own."""
    for step, module in MODEL_STEPS.items():
        getattr(import_module(module), step)(connection, as_of=as_of)
        connection.commit()
