"""The one way to the database: queries of include/sql/dashboards on a read-only connection, one a thread."""

from __future__ import annotations

import os
import threading
from typing import Any

import pandas as pd
import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from include.sql.queries import query

DSN_VARIABLE = "LISTENING_READER_DSN"
# Statements here group up to a year's plays: enough memory to do it without files, and no compiling, which takes
# longer than it saves.
SETTINGS = {
    "default_transaction_read_only": "on",
    "statement_timeout": "15s",
    "TimeZone": "UTC",
    "jit": "off",
    "work_mem": "64MB",
}

_local = threading.local()


class DatabaseNotConfiguredError(RuntimeError):
    """LISTENING_READER_DSN is not set."""


def _connection() -> psycopg.Connection[dict[str, Any]]:
    """One read-only connection per thread: marimo runs each open page in a thread of its own."""
    dsn = os.environ.get(DSN_VARIABLE)
    if not dsn:
        raise DatabaseNotConfiguredError(
            f"{DSN_VARIABLE} is not set. Start the dashboards with `make dashboards`, or set it to the "
            "connection string of the role listening_reader, for example "
            "'host=/path/to/socket dbname=listening user=listening_reader'."
        )
    connection = getattr(_local, "connection", None)
    if connection is None or connection.closed or _local.dsn != dsn:
        connection = psycopg.connect(
            dsn,
            autocommit=True,
            row_factory=dict_row,
            # A plan for any period is one for a short one: prepared, a query over all time took five times as long.
            prepare_threshold=None,
            options=" ".join(f"-c {name}={value}" for name, value in SETTINGS.items()),
        )
        _local.connection, _local.dsn = connection, dsn
    return connection


def read(statement: str | sql.Composed, **parameters: Any) -> pd.DataFrame:
    """The rows of one statement with bound parameters. Connects again, once, when the server went away meanwhile.

    :param statement: the name of a query in include/sql/dashboards, or one put together with psycopg.sql.
    """
    text = query("dashboards", statement) if isinstance(statement, str) else statement
    connection = _connection()
    try:
        return _run(connection, text, parameters)
    except psycopg.OperationalError:
        if not connection.closed:
            raise
        return _run(_connection(), text, parameters)


def _run(
    connection: psycopg.Connection[dict[str, Any]], statement: bytes | sql.Composed, parameters: dict[str, Any]
) -> pd.DataFrame:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        columns = [column.name for column in cursor.description or []]
        frame = pd.DataFrame(cursor.fetchall(), columns=columns)
    # A missing text is None, not NaN, which would pass for a text that is there.
    for name in columns:
        if isinstance(frame[name].dtype, pd.StringDtype):
            frame[name] = frame[name].astype(object).where(frame[name].notna(), None)
    return frame


def read_one(statement: str, **parameters: Any) -> dict[str, Any]:
    """The statement's only row as plain Python values, {} when there is none."""
    frame = read(statement, **parameters)
    if frame.empty:
        return {}
    return dict(frame.astype(object).where(frame.notna(), None).iloc[0])
