"""The scan operator and what it leaves behind."""

from __future__ import annotations

import json

import pytest
from soda_operator import SodaScanOperator


@pytest.fixture
def listening_db(monkeypatch, pg_socket, database):
    monkeypatch.setenv(
        "AIRFLOW_CONN_LISTENING_DB",
        json.dumps({"conn_type": "postgres", "host": str(pg_socket), "login": "listening_writer", "schema": database}),
    )


@pytest.mark.parametrize("scan", ["raw", "analytics", "ml"])
def test_an_empty_database_passes(scan, listening_db, connection):
    operator = SodaScanOperator(task_id="scan", scan=scan, as_of="2026-03-01 04:00:00+00:00")
    for _ in range(2):
        summary = operator.execute({"run_id": "run"})
    assert summary["outcome"] == "PASS"
    assert summary["pass"] > 0
    (stored,) = connection.execute("select count(*) from qa_validation_results where run_id = 'run'").fetchone()
    assert stored == summary["pass"]
