"""The analytics steps outside Airflow, for tests and benchmarks; statements as SQLExecuteQueryOperator runs them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any

import psycopg

from include.sql.holding import run_for_everyone

FOLDER = Path(__file__).parent

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

    return DbApiHook.split_sql_string((FOLDER / f"{step}.sql").read_text())


def run_step(connection: psycopg.Connection, step: str, *, as_of: str, session_gap_minutes: int = 30) -> None:
    """Run one step's file, as run_for_everyone() does.

    :param connection: with no transaction open, else the steps' temporary tables would outlive their step.
    :param as_of: the run's time, ISO 8601 with offset.
    """
    run_statements(connection, step, statements(step), {"as_of": as_of, "session_gap_minutes": session_gap_minutes})


def run_statements(
    connection: psycopg.Connection, step: str, statements: Sequence[str], parameters: Mapping[str, Any]
) -> None:
    """Run a step's statements for all listeners at once or, when they fail at somebody's data, one by one."""

    def run() -> None:
        for statement in statements:
            connection.execute(statement, parameters)

    run_for_everyone(connection, step, run)


def run_steps(connection: psycopg.Connection, *, as_of: str, session_gap_minutes: int = 30) -> None:
    """Run all steps one after the other."""
    for step in STEPS:
        run_step(connection, step, as_of=as_of, session_gap_minutes=session_gap_minutes)


def run_stages(connect: Callable[[], psycopg.Connection], *, as_of: str, session_gap_minutes: int = 30) -> None:
    """Run all steps as the DAG does: each in a connection of its own, a stage's steps at the same time.

    :param connect: opens a connection with autocommit.
    """

    def run(step: str) -> None:
        with connect() as connection:
            run_step(connection, step, as_of=as_of, session_gap_minutes=session_gap_minutes)

    with ThreadPoolExecutor() as threads:
        for stage in STAGES:
            list(threads.map(run, stage))
