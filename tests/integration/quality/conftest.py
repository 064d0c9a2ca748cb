"""Databases to scan: a small one as the pipeline leaves it before publishing, and the operators' connection to it."""

from __future__ import annotations

import json
from typing import Any

import pytest


@pytest.fixture
def listening_db(monkeypatch: pytest.MonkeyPatch, pg_socket: Any, database: str) -> None:
    """Airflow connection `listening_db`."""
    monkeypatch.setenv(
        "AIRFLOW_CONN_LISTENING_DB",
        json.dumps({"conn_type": "postgres", "host": str(pg_socket), "login": "listening_writer", "schema": database}),
    )
