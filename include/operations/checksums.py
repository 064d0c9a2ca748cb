"""Row counts and checksums of a listening database, by which two databases can be compared."""

from __future__ import annotations

from typing import TypedDict

import psycopg
from psycopg import sql

SCHEMAS = ("public", "staging", "analytics", "ml")


class TableSum(TypedDict):
    """A table's row count, and the sum of its rows' md5 (upper 64 bits), which does not depend on their order."""

    rows: int
    checksum: str


def checksums(connection: psycopg.Connection) -> dict[str, TableSum]:
    """Return the sums of every table, by `schema.table`, as the connection's transaction sees it."""
    # A row's text depends on these settings.
    connection.execute("set local timezone to 'UTC'")
    connection.execute("set local datestyle to 'ISO'")
    connection.execute("set local extra_float_digits to 1")
    tables = connection.execute(
        "select table_schema, table_name from information_schema.tables"
        " where table_type = 'BASE TABLE' and table_schema = any(%s) order by 1, 2",
        [list(SCHEMAS)],
    ).fetchall()
    sums: dict[str, TableSum] = {}
    for schema, table in tables:
        statement = sql.SQL(
            "select count(*), coalesce(sum(('x' || left(md5(t::text), 16))::bit(64)::bigint::numeric), 0)::text"
            " from {} t"
        ).format(sql.Identifier(schema, table))
        rows, checksum = connection.execute(statement).fetchone() or (0, "0")
        sums[f"{schema}.{table}"] = {"rows": rows, "checksum": checksum}
    return sums


def differences(expected: dict[str, TableSum], found: dict[str, TableSum]) -> list[str]:
    """Return one line for each table that differs."""
    lines = []
    for table in sorted(expected.keys() | found.keys()):
        if expected.get(table) != found.get(table):
            before, after = (sums[table]["rows"] if table in sums else "no" for sums in (expected, found))
            other = ", other ones" if before == after else ""
            lines.append(f"{table}: {before} rows expected, {after} found{other}")
    return lines
