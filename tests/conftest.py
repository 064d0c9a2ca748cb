"""Fixtures shared by all tests: a real embedded PostgreSQL, and a fresh migrated listening database per test."""

from __future__ import annotations

import itertools
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa
from hypothesis import settings

from include.local import postgres
from include.sql.schema.migrate import migrate

# How fast an example runs says something about the machine, not about the code.
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")

_numbers = itertools.count()


@pytest.fixture(scope="session")
def pg_socket() -> Iterator[Path]:
    """Socket directory of a server that lives as long as the test session, durability off for speed."""
    # Not pytest's folder: another pytest that starts closes it to all but its user, and the server runs as another.
    folder = Path(tempfile.mkdtemp(prefix="listening-tests-"))
    data_dir = folder / "data"
    socket_dir = postgres.start_server(data_dir)
    with psycopg.connect(postgres.conninfo(socket_dir), autocommit=True) as connection:
        for setting in ("fsync = off", "synchronous_commit = off", "full_page_writes = off"):
            connection.execute(f"alter system set {setting}")
        connection.execute("select pg_reload_conf()")
    postgres.create_roles(socket_dir)
    yield socket_dir
    postgres.stop_server(data_dir)
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def template_database(pg_socket: Path) -> str:
    """A migrated, empty listening database to copy."""
    name = "listening_template"
    postgres.create_database(pg_socket, name, owner="listening_owner")
    engine = sa.create_engine(postgres.sqlalchemy_url(pg_socket, name, "listening_owner"), poolclass=sa.NullPool)
    migrate(engine)
    return name


@pytest.fixture
def database(pg_socket: Path, template_database: str) -> Iterator[str]:
    """Name of a fresh listening database."""
    name = f"listening_{next(_numbers)}"
    postgres.create_database(pg_socket, name, owner="listening_owner", template=template_database)
    yield name
    postgres.drop_database(pg_socket, name)


@pytest.fixture
def owner_conninfo(pg_socket: Path, database: str) -> str:
    return postgres.conninfo(pg_socket, database, "listening_owner")


@pytest.fixture
def writer_conninfo(pg_socket: Path, database: str) -> str:
    return postgres.conninfo(pg_socket, database, "listening_writer")


@pytest.fixture
def reader_conninfo(pg_socket: Path, database: str) -> str:
    return postgres.conninfo(pg_socket, database, "listening_reader")


@pytest.fixture
def connection(writer_conninfo: str) -> Iterator[psycopg.Connection]:
    """A connection as the tasks' role."""
    with psycopg.connect(writer_conninfo) as connection:
        yield connection
