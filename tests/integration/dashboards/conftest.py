"""A database of invented listeners that the dashboards read in this process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from include.local import postgres
from tests.browser.published_life import published_life_database


@pytest.fixture(scope="session")
def life_dsn(pg_socket: Path, template_database: str) -> Iterator[str]:
    with published_life_database(pg_socket, template_database, "life_in_process") as name:
        yield postgres.conninfo(pg_socket, name, "listening_reader")


@pytest.fixture(autouse=True)
def reader(life_dsn: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[psycopg.Connection]:
    """The dashboards' own role, in the environment and as a connection."""
    monkeypatch.setenv("LISTENING_READER_DSN", life_dsn)
    with psycopg.connect(life_dsn, autocommit=True) as connection:
        yield connection
