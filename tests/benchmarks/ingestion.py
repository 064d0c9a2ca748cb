"""How fast exports are loaded, against a bare COPY and what people usually write, and in how much memory."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg

from include.operations.listening_database import LISTENING_DATABASE
from include.stack.local import postgres
from tests.benchmarks import Figure, at_least, at_most, benchmark, listening_database

ROWS = 1_000_000
ROUNDS = 2  # of import and COPY; the better one counts
USUAL_ROWS = 50_000  # for what takes minutes with a million: rows a second are what count
SMALL_BYTES, LARGE_BYTES = 100_000_000, 1_000_000_000
BYTES_A_ROW = 670  # of the generated exports
NOW = datetime(2026, 11, 1, tzinfo=UTC)
COLUMNS = ("user_id", "source", "event_key", "played_at", "item_type", "track_id", "payload", "run_id")
COPY_OUT = f"copy raw_listening_events ({', '.join(COLUMNS)}) to stdout (format binary)"
COPY_IN = f"copy raw_listening_events ({', '.join(COLUMNS)}) from stdin (format binary)"


@benchmark
def import_speed() -> list[Figure]:
    """Rows a second into the same table, indexes and triggers on: our import from zip to commit, a bare COPY of the
    very rows it makes, PostgresHook.insert_rows and pandas.to_sql of the first of them.
    """
    from include.demo.bulk_exports import write_bulk_history

    with listening_database() as socket_dir, tempfile.TemporaryDirectory() as folder:
        exports, prepared = Path(folder) / "exports", Path(folder) / "rows.copy"
        write_bulk_history(exports / "bench" / "my_spotify_data.zip", ROWS)
        # Once untimed: it makes the rows to copy, and the server has all its files, as it has for the rounds.
        _empty(socket_dir)
        _import(socket_dir, exports)
        rows, first = _count(socket_dir), _first_rows(socket_dir)
        _copy_out(socket_dir, prepared)
        limit = rows / min(_timed(socket_dir, lambda: _copy_in(socket_dir, prepared)) for _ in range(ROUNDS))
        ours = rows / min(_timed(socket_dir, lambda: _import(socket_dir, exports)) for _ in range(ROUNDS))
        hook_rows = len(first) / _timed(socket_dir, lambda: _insert_rows(socket_dir, first))
        to_sql = len(first) / _timed(socket_dir, lambda: _to_sql(socket_dir, first))
    return [
        Figure("import_rows_per_s", ours, "rows/s", "–", True),
        Figure("copy_rows_per_s", limit, "rows/s", "–", True),
        Figure("insert_rows_per_s", hook_rows, "rows/s", "–", True),
        Figure("to_sql_rows_per_s", to_sql, "rows/s", "–", True),
        at_least("import_vs_copy", ours / limit, "ratio", 0.6),
        at_least("import_vs_to_sql", ours / to_sql, "ratio", 3.0),
    ]


@benchmark
def import_memory() -> list[Figure]:
    """Peak resident memory of a process that imports one JSON file of 0.1 and of 1 GB."""
    from include.demo.bulk_exports import write_bulk_history

    peaks = []
    for size in (SMALL_BYTES, LARGE_BYTES):
        with listening_database() as socket_dir, tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "bench" / "Streaming_History_Audio_0.json"
            path.parent.mkdir()
            write_bulk_history(path, size // BYTES_A_ROW)
            _empty(socket_dir)
            code = f"from tests.benchmarks.ingestion import _import_here; _import_here({str(socket_dir)!r}, {folder!r})"
            command = [sys.executable, "-c", code]
            done = subprocess.run(command, check=True, capture_output=True, text=True, env={**os.environ})
            peaks.append(json.loads(done.stdout.splitlines()[-1])["peak_mb"])
    return [
        Figure("import_peak_mb_100mb", peaks[0], "MB", "–", True),
        at_most("import_peak_mb_1gb", peaks[1], "MB", 300),
        at_most("import_peak_growth", peaks[1] / peaks[0], "ratio", 1.2),
    ]


def _import_here(socket_dir: str, folder: str) -> None:
    """In a process of its own: import and print the peak."""
    _import(Path(socket_dir), Path(folder))
    # Not getrusage: its peak begins with that of the process this one was forked from.
    (peak,) = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    print(json.dumps({"peak_mb": int(peak) / 1024}))


def _connect(socket_dir: Path, user: str = "listening_writer") -> psycopg.Connection:
    return psycopg.connect(postgres.conninfo(socket_dir, LISTENING_DATABASE, user))


def _import(socket_dir: Path, folder: Path) -> None:
    from airflow.sdk import ObjectStoragePath

    from include.ingestion.import_history import import_history

    with _connect(socket_dir) as connection:
        import_history(connection, ObjectStoragePath(str(folder)), run_id="bench", now=NOW)


def _empty(socket_dir: Path) -> None:
    """The tables as they were at first, and nothing left for the server to write."""
    with _connect(socket_dir, "postgres") as connection:
        connection.execute("alter table raw_listening_events disable trigger user")
        connection.execute("truncate raw_listening_events, pending_days, heard_tracks, ingested_files, ingestion_state")
        connection.execute("alter table raw_listening_events enable trigger user")
        connection.execute(
            "insert into listeners (user_id, display_name) values ('bench', 'Bench') on conflict do nothing"
        )
    with psycopg.connect(postgres.conninfo(socket_dir), autocommit=True) as connection:
        connection.execute("checkpoint")


def _count(socket_dir: Path) -> int:
    with _connect(socket_dir) as connection:
        row = connection.execute("select count(*) from raw_listening_events").fetchone()
        assert row is not None
        return row[0]


def _copy_out(socket_dir: Path, path: Path) -> None:
    with (
        _connect(socket_dir) as connection,
        path.open("wb") as file,
        connection.cursor().copy(COPY_OUT.encode()) as copy,
    ):
        for block in copy:
            file.write(block)


def _copy_in(socket_dir: Path, path: Path) -> None:
    with (
        _connect(socket_dir) as connection,
        path.open("rb") as file,
        connection.cursor().copy(COPY_IN.encode()) as copy,
    ):
        while block := file.read(1 << 20):
            copy.write(block)


def _first_rows(socket_dir: Path) -> list[tuple[Any, ...]]:
    query = f"select {', '.join(COLUMNS)} from raw_listening_events limit %s"
    with _connect(socket_dir) as connection:
        rows = connection.execute(query.encode(), [USUAL_ROWS]).fetchall()
    return [(*row[:6], json.dumps(row[6]), row[7]) for row in rows]


def _insert_rows(socket_dir: Path, rows: list[tuple[Any, ...]]) -> None:
    from airflow.providers.postgres.hooks.postgres import PostgresHook
    from airflow.sdk import Connection

    connection = Connection(
        conn_id="bench",
        conn_type="postgres",
        host=str(socket_dir),
        login="listening_writer",
        schema=LISTENING_DATABASE,
    )
    PostgresHook(connection=connection).insert_rows("raw_listening_events", rows, target_fields=COLUMNS)


def _to_sql(socket_dir: Path, rows: list[tuple[Any, ...]]) -> None:
    import pandas as pd
    import sqlalchemy as sa
    from sqlalchemy.dialects.postgresql import JSONB

    engine = sa.create_engine(postgres.sqlalchemy_url(socket_dir, LISTENING_DATABASE, "listening_writer"))
    frame = pd.DataFrame([(*row[:6], json.loads(row[6]), row[7]) for row in rows], columns=list(COLUMNS))
    types = {"event_key": sa.Uuid(), "payload": JSONB()}
    frame.to_sql("raw_listening_events", engine, if_exists="append", index=False, dtype=types)
    engine.dispose()


def _timed(socket_dir: Path, action: Callable[[], None]) -> float:
    """Seconds that the action takes with the tables empty."""
    _empty(socket_dir)
    started = time.perf_counter()
    action()
    return time.perf_counter() - started
