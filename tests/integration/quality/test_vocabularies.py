"""The words that Python stores are those that the database's constraints allow."""

from __future__ import annotations

import re

from include.ingestion.errors import SpotifyError
from include.soda.scan import OUTCOMES, SCHEMAS, SEVERITIES


def allowed(connection, table: str, column: str) -> set[str]:
    (definition,) = connection.execute(
        "select pg_get_constraintdef(oid) from pg_constraint where conrelid = %s::regclass and conname = %s",
        [table, f"known_{column}"],
    ).fetchone()
    return set(re.findall(r"[{,](\w+)(?=[,}])", definition))


def test_scans(connection):
    assert allowed(connection, "qa_validation_results", "scan") == set(SCHEMAS)
    assert allowed(connection, "qa_validation_results", "outcome") == set(OUTCOMES)
    assert allowed(connection, "qa_validation_results", "severity") == set(SEVERITIES)


def test_errors_of_spotify(connection):
    words = {"error", *(error.status_name for error in SpotifyError.__subclasses__())}
    assert allowed(connection, "ingestion_state", "status") == {"ok", *words}
    assert allowed(connection, "published_playlists", "status") == {"created", "published", *words}
