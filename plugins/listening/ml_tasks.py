"""What the DAG's ml tasks call: each opens the listening database and hands over to the step of the same name in
`ml/`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from importlib import import_module
from typing import Any

from ml import STEPS

LISTENING_DB = "listening_db"


def run_step(step: str, as_of: str) -> dict[str, Any]:
    """Run a step of `ml.STEPS` on connection `listening_db`; its counts go to the log and to XCom.

    :param as_of: ISO timestamp of the run; UTC when it has no offset.
    """
    from airflow.providers.postgres.hooks.postgres import PostgresHook

    moment = datetime.fromisoformat(as_of)
    build: Callable[..., dict[str, Any]] = getattr(import_module(STEPS[step]), step)
    connection = PostgresHook(postgres_conn_id=LISTENING_DB).get_conn()
    try:
        summary = build(connection, as_of=moment if moment.tzinfo else moment.replace(tzinfo=UTC))
    finally:
        connection.close()
    print(f"{step}: {summary}")
    return summary


def build_session_features(as_of: str) -> dict[str, Any]:
    return run_step("build_session_features", as_of)


def build_user_features(as_of: str) -> dict[str, Any]:
    return run_step("build_user_features", as_of)


def cluster_sessions(as_of: str) -> dict[str, Any]:
    return run_step("cluster_sessions", as_of)


def label_personas(as_of: str) -> dict[str, Any]:
    return run_step("label_personas", as_of)


def artist_cooccurrence(as_of: str) -> dict[str, Any]:
    return run_step("artist_cooccurrence", as_of)


def generate_playlists(as_of: str) -> dict[str, Any]:
    return run_step("generate_playlists", as_of)
