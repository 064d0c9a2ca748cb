"""The environment of every process: Airflow configured by variables alone, connections, addresses, secrets."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from cryptography.fernet import Fernet
from dotenv import dotenv_values

from include.stack.local import postgres
from include.stack.local.ports import LOOPBACK
from include.stack.local.state import PROJECT, State, write_private

METADATA_DATABASE = "airflow"
ADMIN = "admin"
ENV_FILE = PROJECT / ".env"


def admin_password(state: State) -> str:
    """The password of Airflow's user `admin`, in the file its SimpleAuthManager reads; generated at first use."""
    file = passwords_file(state)
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_private(file, json.dumps({ADMIN: os.urandom(9).hex()}) + "\n")
    return json.loads(file.read_text())[ADMIN]


def passwords_file(state: State) -> Path:
    return state.folder / "secrets" / "airflow_passwords.json"


def address(port: int) -> str:
    return f"http://{LOOPBACK}:{port}"


def base_environment() -> dict[str, str]:
    """What every process inherits: the caller's variables but Airflow's, and the import path."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    no_proxy = ",".join(filter(None, [os.environ.get("NO_PROXY") or os.environ.get("no_proxy"), LOOPBACK, "localhost"]))
    path = os.pathsep.join(filter(None, [str(Path(sys.executable).parent), os.environ.get("PATH")]))
    return {
        **inherited,
        "PATH": path,
        "PYTHONPATH": str(PROJECT),
        "NO_PROXY": no_proxy,
        "no_proxy": no_proxy,
        "TZ": "UTC",
    }


def dashboards_environment(socket_dir: Path, ports: dict[str, int]) -> dict[str, str]:
    return {
        "LISTENING_READER_DSN": postgres.conninfo(socket_dir, postgres.LISTENING_DATABASE, "listening_reader"),
        "DASHBOARDS_URL": address(ports["dashboards"]),
    }


def database_environment(socket_dir: Path) -> dict[str, str]:
    """For psql and its kin: the listening database as its owner."""
    return {"PGHOST": str(socket_dir), "PGDATABASE": postgres.LISTENING_DATABASE, "PGUSER": "listening_owner"}


def metadata_environment(socket_dir: Path) -> dict[str, str]:
    url = postgres.sqlalchemy_url(socket_dir, METADATA_DATABASE, METADATA_DATABASE, "psycopg2")
    return {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": url.render_as_string(hide_password=False)}


def airflow_environment(state: State, socket_dir: Path, ports: dict[str, int]) -> dict[str, str]:
    """What Airflow and its tasks need, for the demo (simulated Spotify, no schedule) or the real thing (`.env`)."""

    def connection(role: str) -> str:
        return json.dumps(
            {"conn_type": "postgres", "host": str(socket_dir), "login": role, "schema": postgres.LISTENING_DATABASE}
        )

    environment = {
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
            # The simulated days are asked for by hand; the schedule would add runs of today.
            "AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE": "False",
            "SPOTIFY_API_URL": f"{simulator}/v1/",
            "SPOTIFY_ACCOUNTS_URL": simulator,
            "RECCOBEATS_URL": f"{simulator}/reccobeats",
        }
    admin_password(state)
    return environment
