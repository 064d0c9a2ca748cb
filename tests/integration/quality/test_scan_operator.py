"""The scan operator and what it leaves behind."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partial

import pytest
from listening.operators.soda import SodaScanOperator

from include import PROJECT
from include.soda import scan as soda_scan
from include.soda.scan import ScanError

AS_OF = "2026-03-01 04:00:00+00:00"


@pytest.mark.parametrize(("scan", "outcome"), [("raw", "WARN"), ("analytics", "PASS"), ("ml", "PASS")])
def test_an_empty_database_does_not_fail(scan, outcome, listening_db, connection):
    operator = SodaScanOperator(task_id="scan", scan=scan, as_of=AS_OF)
    for _ in range(2):
        summary = operator.execute({"run_id": "run"})
    assert summary["outcome"] == outcome
    assert summary["pass"] > 0
    (stored,) = connection.execute("select count(*) from qa_validation_results where run_id = 'run'").fetchone()
    assert stored == summary["pass"] + summary["warn"]


@pytest.fixture
def scanning(tmp_path, monkeypatch, listening_db):
    """Run an operator on the empty database with these checks of the raw layer instead of the project's."""

    def execute(checks: str) -> dict:
        (tmp_path / "raw").mkdir()
        (tmp_path / "raw" / "listeners.yml").write_text(checks)
        monkeypatch.setattr(soda_scan, "run_scan", partial(soda_scan.run_scan, folder=tmp_path))
        return SodaScanOperator(task_id="scan", scan="raw", as_of=AS_OF).execute({"run_id": "run"})

    return execute


@pytest.mark.parametrize(
    ("checks", "told"),
    [
        pytest.param("# nothing yet", "has no checks", id="none"),
        pytest.param("checks for listeners:", "could not be run", id="none for a table"),
        pytest.param(
            "checks for listeners:\n  - avg_length(display_name) > 1:\n      name: Names of nobody",
            "did not evaluate: Names of nobody",
            id="not evaluated",
        ),
        pytest.param(
            "checks for listeners:\n  - row_count < 10:\n      name: Few\n  - row_count < 10:\n      name: Also few",
            "the same check twice: listeners.row_count < 10",
            id="twice",
        ),
        pytest.param("checks for nobody:\n  - row_count > 0", "could not be run", id="no such table"),
        pytest.param(
            "checks for listeners:\n  - missing_count(no_such_column) = 0", "could not be run", id="no such column"
        ),
        pytest.param(
            "checks for listeners:\n  - n:\n      n query: select 1 from\n      fail: when > 0",
            "could not be run",
            id="no SQL",
        ),
        pytest.param(
            "checks for listeners:\n  - row_count < 10:\n      name: Few\n      attributes: {severity: dire}",
            "severity 'dire'",
            id="unknown severity",
        ),
    ],
)
def test_what_was_not_checked_raises_and_vouches_for_nothing(scanning, connection, checks, told):
    before = connection.execute("select passed from staging.layers where layer = 'raw'").fetchone()
    with pytest.raises(ScanError, match=told):
        scanning(checks)
    assert connection.execute("select count(*) from qa_validation_results").fetchone() == (0,)
    assert connection.execute("select passed from staging.layers where layer = 'raw'").fetchone() == before


def test_an_unknown_layer_is_named(listening_db):
    with pytest.raises(ScanError, match="Unknown scan 'gold': expected one of raw, analytics, ml"):
        SodaScanOperator(task_id="scan", scan="gold", as_of=AS_OF).execute({"run_id": "run"})


def test_an_environment_that_would_redirect_soda_is_refused(listening_db, monkeypatch):
    monkeypatch.setenv("listening_db_host", "elsewhere")
    with pytest.raises(ScanError, match="Unset the environment variables listening_db_host"):
        SodaScanOperator(task_id="scan", scan="raw", as_of=AS_OF).execute({"run_id": "run"})


SCAN_ALONE = """
import os
from datetime import UTC, datetime
from include.soda.scan import DatabaseAddress, run_scan

address = DatabaseAddress(os.environ["DATABASE_HOST"], os.environ["DATABASE"], "listening_writer")
assert run_scan("raw", address, datetime(2026, 3, 1, tzinfo=UTC))
assert os.environ["KEPT"] == "as it was" and "STRAY" not in os.environ
from opentelemetry import trace
assert type(trace.get_tracer_provider()).__name__ == "ProxyTracerProvider", trace.get_tracer_provider()
"""


def test_soda_sends_nothing_writes_nothing_and_reads_no_stray_env_file(pg_socket, database, tmp_path):
    """In a process of its own: Soda sets its telemetry up when it is imported."""
    (tmp_path / ".env").write_text("KEPT=overridden\nSTRAY=1\n")
    environment = {
        **os.environ,
        "HOME": str(tmp_path),
        "KEPT": "as it was",
        "PYTHONPATH": str(PROJECT),
        "DATABASE_HOST": str(pg_socket),
        "DATABASE": database,
    }
    # With -c, .env is looked for in the working directory; else from Soda's own folder upwards.
    done = subprocess.run(
        [sys.executable, "-c", SCAN_ALONE], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / ".soda").exists()
