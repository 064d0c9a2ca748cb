"""A run whose raw scan fails: nothing of it is published, and every page says so with the last good day."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from dashboards.components import formatting
from dashboards.prerender import render
from include.stack.local import postgres
from tests.integration.dashboards.elements import figures, of_class, parse, table, words
from tests.support import pipeline


@pytest.fixture(scope="module")
def failed_database(pipeline_socket: Path, demo_database: str, tmp_path_factory) -> Iterator[str]:
    name = "demo_failed"
    postgres.drop_database(pipeline_socket, name)
    postgres.create_database(pipeline_socket, name, owner="listening_owner", template="demo_template")
    pipeline.fail_a_run(pipeline_socket, name, tmp_path_factory.mktemp("exports") / "exports")
    yield name
    postgres.drop_database(pipeline_socket, name)


def test_every_page_tells_of_the_failure_and_shows_what_was_good(reader, pipeline_socket, failed_database, monkeypatch):
    def plays() -> str:
        return figures(parse(render("overview", {"listener": "bea", "period": "all"}, "file")))["Plays"]

    before = plays()
    dsn = postgres.conninfo(pipeline_socket, failed_database, "listening_reader")
    monkeypatch.setenv("LISTENING_READER_DSN", dsn)
    with psycopg.connect(dsn) as connection:
        failures = connection.execute(
            "select check_name, measured_value from qa_validation_results where outcome = 'FAIL'"
        ).fetchall()
        (good_at,) = connection.execute(
            "select max(checked_at) from qa_validation_results where run_id <> all (select run_id from"
            " qa_validation_results where outcome = 'FAIL')"
        ).fetchone()
    assert failures
    for page in ("overview", "trends", "personas", "playlists"):
        shown = parse(render(page, {"listener": "bea"}, "prerender"))
        (notice,) = [each for each in of_class(shown, "notice") if each.get("role") == "alert"]
        assert f"The newest run failed {len(failures)} of its checks" in words(notice)
        assert formatting.moment(good_at, "Asia/Tokyo") in words(notice)
        assert notice.find("a").get("href") == "../quality/?listener=bea&period=28d"
    quality = parse(render("quality", {"listener": "bea"}, "file"))
    rows = table(quality, "Failed checks first")
    assert [row[0] for row in rows[: len(failures)]] == ["✕ failed"] * len(failures)
    for name, value in failures:
        assert any(row[1].startswith(name) and row[2] == f"{value:,.4g}" for row in rows)
    assert plays() == before
