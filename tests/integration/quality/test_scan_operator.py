"""The scan operator and what it leaves behind."""

from __future__ import annotations

import pytest
from soda_operator import SodaScanOperator

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
