"""A scan that FAILs leaves every table that people see exactly as it was, whichever layer it scans."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from listening.operators.soda import SodaScanOperator, choose_branch

from include.stack.local import postgres
from ml import STEPS
from tests.integration.analytics.raw_rows import extended, insert
from tests.integration.quality.conftest import AS_OF, build, track, use
from tests.integration.quality.test_gates import context
from tests.support.steps import run_steps

NEXT_DAY = AS_OF + timedelta(days=1)


@pytest.fixture
def published(
    monkeypatch: pytest.MonkeyPatch, pg_socket: Path, built_template: dict[str, str]
) -> Iterator[Callable[[str], psycopg.Connection]]:
    """Connections by role to a database in which a first run was scanned and published."""
    name = "listening_published"
    postgres.create_database(pg_socket, name, owner="listening_owner", template=built_template["ml"])
    use(monkeypatch, pg_socket, name)
    connections = {
        role: psycopg.connect(postgres.conninfo(pg_socket, name, role), autocommit=True)
        for role in ("listening_owner", "listening_writer")
    }
    for layer in ("raw", "analytics", "ml"):
        assert scan(layer, "first")["outcome"] != "FAIL"
    connections["listening_writer"].execute("select * from staging.publish_scanned()")
    yield connections.__getitem__
    for connection in connections.values():
        connection.close()
    postgres.drop_database(pg_socket, name)


def scan(layer: str, run_id: str) -> dict:
    return SodaScanOperator(task_id="scan", scan=layer, as_of=NEXT_DAY.isoformat()).execute({"run_id": run_id})


def checksums(owner: psycopg.Connection) -> dict[str, str | None]:
    """A hash over all rows of every published table; None of an empty one."""
    tables = owner.execute("select published_schema || '.' || table_name from staging.published_tables").fetchall()
    return {
        table: owner.execute(
            f"select md5(string_agg(md5(t::text), '' order by md5(t::text))) from {table} t"
        ).fetchone()[0]
        for (table,) in tables
    }


def corrupt_raw(owner: psycopg.Connection, writer: psycopg.Connection) -> None:
    insert(writer, [{**extended(NEXT_DAY, track("z1")), "payload": [1]}], "ada")


def corrupt_analytics(owner: psycopg.Connection, writer: psycopg.Connection) -> None:
    run_steps(writer, as_of=NEXT_DAY.isoformat())
    owner.execute(
        "update staging.listening_events set ms_played = -1"
        " where played_at = (select max(played_at) from staging.listening_events)"
    )


def corrupt_ml(owner: psycopg.Connection, writer: psycopg.Connection) -> None:
    build(writer)
    owner.execute("update staging.playlist_tracks set reason = ''")


@pytest.mark.parametrize(
    ("layer", "corrupt"),
    [("raw", corrupt_raw), ("analytics", corrupt_analytics), ("ml", corrupt_ml)],
    ids=lambda value: value,
)
def test_a_failing_scan_leaves_every_published_table_as_it_was(layer, corrupt, published):
    owner, writer = published("listening_owner"), published("listening_writer")
    before = checksums(owner)
    assert len([table for table, checksum in before.items() if checksum]) >= 12 + len(STEPS)

    insert(writer, [extended(NEXT_DAY - timedelta(hours=n), track(f"z{n}")) for n in range(1, 9)], "ada")
    corrupt(owner, writer)
    summary = scan(layer, "second")
    assert (summary["outcome"], choose_branch("scan", "publish", "rejected", **context(scan=summary))) == (
        "FAIL",
        "rejected",
    )
    assert checksums(owner) == before
    # Nor does anybody get it out by hand, or another run by accident.
    if layer != "raw":  # a raw scan that fails is followed by nothing that could be published
        with pytest.raises(psycopg.errors.RaiseException, match="Nothing published"):
            writer.execute("select * from staging.publish_scanned()")
    assert checksums(owner) == before
