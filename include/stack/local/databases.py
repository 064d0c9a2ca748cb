"""Prepares the two databases of a local stack: the listening data's and Airflow's metadata."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import psycopg
import sqlalchemy as sa

from include import PROJECT
from include.operations.listening_database import LISTENING_DATABASE
from include.sql.schema.migrate import migrate
from include.stack.local import environment_variables, postgres
from include.stack.local.services import ServiceError
from include.stack.local.state_folder import StateFolder


def prepare_listening_database(socket_dir: Path) -> None:
    """Create the roles and the listening database if they are missing, and migrate it to the newest schema."""
    postgres.create_roles(socket_dir)
    postgres.create_database(socket_dir, LISTENING_DATABASE, owner="listening_owner")
    url = postgres.sqlalchemy_url(socket_dir, LISTENING_DATABASE, "listening_owner")
    migrate(sa.create_engine(url, poolclass=sa.NullPool))


def prepare_metadata_database(state: StateFolder, socket_dir: Path, env: dict[str, str]) -> None:
    """Create Airflow's metadata database if it is missing, and migrate it unless this version of Airflow already did.

    :raises ServiceError: the migration failed.
    """
    name = environment_variables.METADATA_DATABASE
    with psycopg.connect(postgres.conninfo(socket_dir), autocommit=True) as connection:
        if not connection.execute("select 1 from pg_roles where rolname = %s", [name]).fetchone():
            connection.execute("create role airflow login")
    postgres.create_database(socket_dir, name, owner=name)
    migrated = f"Airflow {version('apache-airflow')}"
    comment = "select shobj_description(oid, 'pg_database') from pg_database where datname = %s"
    with psycopg.connect(postgres.conninfo(socket_dir), autocommit=True) as connection:
        if connection.execute(comment, [name]).fetchone() == (migrated,):
            return
        # Losing the last second of task states costs one retry; waiting for the disk at each would slow every run.
        connection.execute("alter database airflow set synchronous_commit = off")
        state.logs.mkdir(parents=True, exist_ok=True)
        log_file = state.logs / "db-migrate.log"
        with log_file.open("wb") as log:
            command = [sys.executable, "-m", "airflow", "db", "migrate"]
            status = subprocess.run(command, env=env, cwd=PROJECT, stdout=log, stderr=log, check=False).returncode
        if status:
            raise ServiceError(f"Airflow's metadata database could not be migrated: see {log_file}")
        connection.execute(f"comment on database airflow is '{migrated}'")
