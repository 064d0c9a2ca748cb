from __future__ import annotations

from datetime import UTC, datetime

import pytest
from ingestion_operators import ImportStreamingHistoryOperator

from include.demo.exports import write_extended_history
from include.demo.listeners import build_life, listener_named


@pytest.fixture
def exports(tmp_path, airflow_connections):
    folder = tmp_path / "exports"
    folder.mkdir()
    return folder


def run(exports, run_id="run", **kwargs):
    operator = ImportStreamingHistoryOperator(task_id="import_streaming_history", exports_path=str(exports), **kwargs)
    return operator.execute({"run_id": run_id})


@pytest.fixture(scope="module")
def life():
    return build_life(listener_named("ada"), until=datetime(2026, 10, 1, tzinfo=UTC))


def test_loads_an_export_once(exports, life, add_listener, connection):
    add_listener("ada")
    (exports / "ada").mkdir()
    rows = write_extended_history(exports / "ada" / "my_spotify_data.zip", life)
    first, second = run(exports), run(exports, "later")
    assert first["rows_read"] == len(rows)
    assert second == {"files_already_loaded": 1, "gaps_closed": 0}
    (stored,) = connection.execute("select count(*) from raw_listening_events").fetchone()
    assert stored == first["rows_loaded"]
    print(first, connection.execute("select skipped_rows, members from ingested_files").fetchone())
