"""Fixtures shared by all tests: a real embedded PostgreSQL, and a fresh migrated listening database per test."""

from __future__ import annotations

import itertools
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import settings

from include.stack.local import postgres
from tests.support import pipeline

# No deadline: how long an example takes depends on the machine, not on the code.
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")

_numbers = itertools.count()

# The folder that all processes of a test session share. xdist's workers get it from the process that started them.
SHARED = pytest.StashKey[Path]()


def pytest_configure(config: pytest.Config) -> None:
    told = getattr(config, "workerinput", {}).get("shared")
    config.stash[SHARED] = Path(told or tempfile.mkdtemp(prefix="listening-shared-")) / "pipeline"


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    node.workerinput["shared"] = str(node.config.stash[SHARED].parent)


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        shutil.rmtree(config.stash[SHARED].parent, ignore_errors=True)


@pytest.fixture(scope="session")
def pg_socket() -> Iterator[Path]:
    """Socket directory of a server that lives as long as the test session, durability off for speed."""
    # Not pytest's folder: any other pytest that starts makes it private to its user, and the server runs as another.
    folder = Path(tempfile.mkdtemp(prefix="listening-tests-"))
    data_dir = folder / "data"
    socket_dir = postgres.start_server(data_dir)
    pipeline.prepare(socket_dir)
    yield socket_dir
    postgres.stop_server(data_dir)
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def template_database(pg_socket: Path) -> str:
    """A migrated, empty listening database to copy."""
    name = "listening_template"
    pipeline.create_migrated(pg_socket, name)
    return name


@pytest.fixture(scope="session")
def pipeline_folder(request: pytest.FixtureRequest) -> Path:
    return request.config.stash[SHARED]


@pytest.fixture(scope="session")
def pipeline_socket(pipeline_folder: Path) -> Iterator[Path]:
    """Socket directory of the server with what the pipeline made, which all processes of the session share."""
    with pipeline.shared_server(pipeline_folder) as socket_dir:
        yield socket_dir


@pytest.fixture(scope="session")
def demo_database(pipeline_socket: Path, pipeline_folder: Path) -> str:
    """What the pipeline made of the demo's lives. Only for reading."""
    return pipeline.made(pipeline_socket, pipeline_folder, "demo")


@pytest.fixture(scope="session")
def bulk_database(pipeline_socket: Path, pipeline_folder: Path) -> str:
    """What the pipeline made of a listener with more than a million plays. Only for reading."""
    return pipeline.made(pipeline_socket, pipeline_folder, "bulk")


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
