"""The SQL of ingestion, one statement a file in include/sql/ingestion."""

from __future__ import annotations

from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "sql" / "ingestion"


@cache
def statement(name: str) -> bytes:
    """The statement in `include/sql/ingestion/<name>.sql`, to be executed with bound parameters."""
    return (FOLDER / f"{name}.sql").read_bytes()
