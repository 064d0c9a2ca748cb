"""The environment variables of each process of the stack. Airflow is configured by them alone, without a file."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from cryptography.fernet import Fernet
from dotenv import dotenv_values

from include import PROJECT
from include.operations.airflow_client import ADMIN
from include.operations.listening_database import LISTENING_DATABASE
from include.stack.local import postgres
from include.stack.local.ports import LOOPBACK
from include.stack.local.state_folder import StateFolder, write_private

METADATA_DATABASE = "airflow"
ENV_FILE = PROJECT / ".env"


def admin_password(state: StateFolder) -> str:
    """The password of Airflow's user `admin`, from the file its SimpleAuthManager reads; generated at first use."""
    file = passwords_file(state)
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_private(file, json.dumps({ADMIN: os.urandom(9).hex()}) + "\n")
    return json.loads(file.read_text())[ADMIN]


def passwords_file(state: StateFolder) -> Path:
    """The file with the passwords of Airflow's users."""
    return state.folder / "secrets" / "airflow_passwords.json"


def address(port: int) -> str:
    """The URL of a port on 127.0.0.1."""
    return f"http://{LOOPBACK}:{port}"


def base_environment() -> dict[str, str]:
    """For every process: the caller's variables without Airflow's, and the import path."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    no_proxy = ",".join(filter(None, [os.environ.get("NO_PROXY") or os.environ.get("no_proxy"), LOOPBACK, "localhost"]))
    path = os.pathsep.join(filter(None, [str(Path(sys.executable).parent), os.environ.get("PATH")]))
    return {
        **inherited,
        "PATH": path,
        "PYTHONPATH": os.pathsep.join([str(PROJECT), str(PROJECT / "plugins")]),
        "NO_PROXY": no_proxy,
        "no_proxy": no_proxy,
        "TZ": "UTC",
    }


def dashboards_environment(socket_dir: Path, ports: dict[str, int]) -> dict[str, str]:
    """For the dashboards: the database as its reader, and their own address, to which Airflow links too."""
    return {
        "LISTENING_READER_DSN": postgres.conninfo(socket_dir, LISTENING_DATABASE, "listening_reader"),
        "DASHBOARDS_URL": address(ports["dashboards"]),
    }


def database_environment(socket_dir: Path) -> dict[str, str]:
    """For psql, pg_dump and the like: the listening database, as its owner."""
    return {"PGHOST": str(socket_dir), "PGDATABASE": LISTENING_DATABASE, "PGUSER": "listening_owner"}


def metadata_environment(socket_dir: Path) -> dict[str, str]:
    """For Airflow: where its metadata database is."""
    url = postgres.sqlalchemy_url(socket_dir, METADATA_DATABASE, METADATA_DATABASE, "psycopg2")
    return {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": url.render_as_string(hide_password=False)}


def airflow_environment(state: StateFolder, socket_dir: Path, ports: dict[str, int]) -> dict[str, str]:
    """For Airflow and its tasks; for the demo with the simulated Spotify and no schedule, else with `.env`."""

    def connection(role: str) -> str:
        return json.dumps(
            {"conn_type": "postgres", "host": str(socket_dir), "login": role, "schema": LISTENING_DATABASE}
        )

    environment = {
        **base_environment(),
        "AIRFLOW_HOME": str(state.airflow_home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(PROJECT / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(PROJECT / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__PARALLELISM": "4",
        "AIRFLOW__CORE__FERNET_KEY": state.secret("fernet_key", lambda: Fernet.generate_key().decode()),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{ADMIN}:admin",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords_file(state)),
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{address(ports['airflow'])}/execution/",
        "AIRFLOW__API__HOST": LOOPBACK,
        "AIRFLOW__API__PORT": str(ports["airflow"]),
        "AIRFLOW__API__BASE_URL": address(ports["airflow"]),
        "AIRFLOW__API__SECRET_KEY": state.secret("api_secret_key"),
        "AIRFLOW__API_AUTH__JWT_SECRET": state.secret("jwt_secret"),
        "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "60",  # a busy two-core machine answers late
        "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.5",
        "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "30",
        "AIRFLOW__DAG_PROCESSOR__PARSING_PROCESSES": "1",
        "AIRFLOW__LOGGING__COLORED_CONSOLE_LOG": "False",
        "AIRFLOW_CONN_LISTENING_DB": connection("listening_writer"),
        "AIRFLOW_CONN_LISTENING_DB_OWNER": connection("listening_owner"),
        "LISTENING_EXPORTS": str(state.exports),
        **metadata_environment(socket_dir),
        **dashboards_environment(socket_dir, ports),
    }
    if state.kind == "real":
        environment |= {name: value for name, value in dotenv_values(ENV_FILE).items() if value}
    else:
        simulator = address(ports["simulator"])
        environment |= {
            # Each simulated day's run is triggered by hand; the schedule would add runs of the real today.
            "AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE": "False",
            "SPOTIFY_API_URL": f"{simulator}/v1/",
            "SPOTIFY_ACCOUNTS_URL": simulator,
            "RECCOBEATS_URL": f"{simulator}/reccobeats",
        }
    admin_password(state)
    return environment
