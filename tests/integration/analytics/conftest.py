"""The tasks' connection, each statement or step a transaction of its own."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest


@pytest.fixture
def connection(writer_conninfo: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(writer_conninfo, autocommit=True) as connection:
        yield connection
