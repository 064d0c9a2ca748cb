"""What the pipeline made of the demo's lives, read by the dashboards in this process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from include.stack.local import postgres


@pytest.fixture(scope="session")
def demo_dsn(pipeline_socket: Path, demo_database: str) -> str:
    return postgres.conninfo(pipeline_socket, demo_database, "listening_reader")


@pytest.fixture(autouse=True)
def reader(demo_dsn: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[psycopg.Connection]:
    """The dashboards' own role, in the environment and as a connection."""
    monkeypatch.setenv("LISTENING_READER_DSN", demo_dsn)
    with psycopg.connect(demo_dsn, autocommit=True) as connection:
        yield connection
