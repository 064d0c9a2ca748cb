# ruff: noqa: E501
"""Databases to scan: a small one as a run leaves it before publishing, and the operators' connection to it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import psycopg2
import psycopg2.extensions
import pytest

from include.stack.local import postgres
from tests.integration.analytics.raw_rows import account, api, extended, insert
from tests.support.steps import run_models, run_steps

AS_OF = datetime(2026, 3, 1, 4, tzinfo=UTC)
DAYS = 60


def track(name: str) -> str:
    """A track id of Spotify's form that begins with `name`, and so tells `raw_rows` artist and album."""
    return f"{name:0<22}"


def history() -> list[dict]:
    """Two listening habits: eight tracks of four artists each morning, four of another two late at night."""
    rows = []
    for number in range(DAYS):
        midnight = AS_OF.replace(hour=0) - timedelta(days=DAYS - number)
        for place in range(8):
            name = "abcd"[place % 4] + str((number + place) % 12)
            rows.append(extended(midnight + timedelta(hours=8, minutes=4 * place), track(name)))
        for place in range(4):
            name = "xy"[place % 2] + str(place % 3)
            ended = midnight + timedelta(hours=22, minutes=4 * place)
            rows.append(extended(ended, track(name), ms=190_000, shuffle=True, skipped=place == 3))
    last = AS_OF.replace(hour=0) - timedelta(hours=2)
    rows += [
        api(last + timedelta(minutes=4 * place, seconds=3), track(f"{'xy'[place % 2]}{place % 3}"))
        for place in range(4)
    ]
    rows.append(account(last + timedelta(hours=1), "n1"))
    rows.append(extended(last + timedelta(hours=1, minutes=9), track("p1"), item_type="episode"))
    return rows


def fill(connection: psycopg.Connection) -> None:
    """Everything a run does before it publishes, for `ada` with two months and `dora` with 12 plays; commits."""
    connection.execute(
        "insert into listeners (user_id, display_name, time_zone, connection_id, authorized_at) values"
        " ('ada', 'Ada', 'Europe/Berlin', 'spotify_default', %(authorized_at)s),"
        " ('dora', 'Dora', 'Europe/London', 'spotify_dora', %(authorized_at)s)",
        {"authorized_at": AS_OF - timedelta(days=30)},
    )
    connection.commit()
    insert(connection, history(), "ada")
    insert(connection, [api(AS_OF - timedelta(hours=9, minutes=5 * n), track(f"d{n}")) for n in range(12)], "dora")
    connection.execute(
        "insert into ingestion_state (pipeline, user_id, last_played_at, updated_at) values ('recently_played', 'ada', %s, %s)",
        [AS_OF - timedelta(hours=5), AS_OF],
    )
    connection.execute(
        "insert into ingested_files (sha256, user_id, file_name, status, size_bytes, rows_read, rows_loaded,"
        " rows_already_known, skipped_rows, run_id) values ('f', 'ada', 'my.zip', 'loaded', 1, 10, 7, 1, '{\"nothing_played\": 2}', 'r')"
    )
    connection.execute(
        "insert into ingestion_gaps (user_id, gap_start, gap_end, run_id, closed_at) values ('ada', %s, %s, 'r', %s)",
        [AS_OF - timedelta(days=9), AS_OF - timedelta(days=8), AS_OF],
    )
    connection.commit()


def build(connection: psycopg.Connection, as_of: datetime = AS_OF) -> None:
    """The steps between the raw scan and publishing."""
    run_steps(connection, as_of=as_of.isoformat())
    run_models(connection, as_of=as_of)
    connection.commit()


@pytest.fixture(scope="session")
def built_template(pg_socket: Path, template_database: str) -> dict[str, str]:
    """Databases to copy: `raw`, ingested and nothing built; `analytics` and `ml`, all built and nothing published."""
    names = {"raw": "listening_ingested", "analytics": "listening_built", "ml": "listening_built"}
    postgres.create_database(pg_socket, names["raw"], owner="listening_owner", template=template_database)
    with psycopg.connect(postgres.conninfo(pg_socket, names["raw"], "listening_writer")) as connection:
        fill(connection)
    postgres.create_database(pg_socket, names["ml"], owner="listening_owner", template=names["raw"])
    with psycopg.connect(postgres.conninfo(pg_socket, names["ml"], "listening_writer")) as connection:
        build(connection)
    return names


@pytest.fixture
def corruptible(
    monkeypatch: pytest.MonkeyPatch, pg_socket: Path, built_template: dict[str, str], request: pytest.FixtureRequest
) -> Iterator[psycopg2.extensions.connection]:
    """The owner's connection to the database that scan `request.param` looks at. Soda scans through it, in its transaction,
    which is rolled back: no test sees what another one did."""
    database = built_template[request.param]
    connection = psycopg2.connect(postgres.conninfo(pg_socket, database, "listening_owner"))

    class Shared:
        """What Soda takes for a connection of its own, and may close."""

        def cursor(self) -> psycopg2.extensions.cursor:
            return connection.cursor()

        def rollback(self) -> None:
            connection.rollback()

        def close(self) -> None:
            pass

    with connection.cursor() as cursor:
        cursor.execute("alter table raw_listening_events disable trigger append_only")
    monkeypatch.setattr(psycopg2, "connect", lambda **_: Shared())
    yield connection
    connection.rollback()
    connection.close()


@pytest.fixture
def listening_db(monkeypatch: pytest.MonkeyPatch, pg_socket: Path, database: str) -> None:
    """Airflow connection `listening_db` to an empty database."""
    use(monkeypatch, pg_socket, database)


def use(monkeypatch: pytest.MonkeyPatch, pg_socket: Path, database: str) -> None:
    monkeypatch.setenv(
        "AIRFLOW_CONN_LISTENING_DB",
        json.dumps({"conn_type": "postgres", "host": str(pg_socket), "login": "listening_writer", "schema": database}),
    )
