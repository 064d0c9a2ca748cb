from __future__ import annotations

from listening.operators.ingestion import IngestRecentlyPlayedOperator


def run(account, run_id="run", **kwargs):
    return IngestRecentlyPlayedOperator(task_id="ingest_recently_played", account=account, **kwargs).execute(
        {"run_id": run_id}
    )


def test_stores_what_the_window_shows_once(authorize, connection):
    account = authorize("ada")
    first, second = run(account), run(account, "later")
    assert first["plays_new"] == first["plays_shown"] == 50
    assert second["plays_new"] == 0
    (rows,) = connection.execute("select count(*) from raw_listening_events where user_id = 'ada'").fetchone()
    assert rows == 50
