"""The installation a tool is run in: `stack exec` for the local one, service `tools` for the one in containers."""

from __future__ import annotations

import json
import os
from pathlib import Path

import httpx

from include.stack.local.airflow_client import AirflowClient
from include.stack.local.environment import ADMIN

DAG_ID = "spotify_listening"


def airflow() -> AirflowClient | None:
    """Its Airflow, or None while that does not run."""
    if file := os.environ.get("AIRFLOW_PASSWORD_FILE"):
        address, password = os.environ["AIRFLOW_URL"], Path(file).read_text()
    else:
        address = os.environ["AIRFLOW__API__BASE_URL"]
        password = json.loads(Path(os.environ["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE"]).read_text())[ADMIN]
    client = AirflowClient(address, password)
    return None if set(client.health().values()) == {"unreachable"} else client


def answers(address: str) -> bool:
    """Whether the dashboards at `address` do."""
    try:
        return httpx.get(f"{address}/health", timeout=5, trust_env=False).is_success
    except httpx.HTTPError:
        return False


def exports_folder() -> Path | None:
    """Where exports lie, if that is a local folder."""
    place = os.environ.get("LISTENING_EXPORTS", "")
    return Path(place) if place and "://" not in place else None


def logs_folder() -> Path:
    """Where Airflow keeps the logs of the DAG's tasks."""
    home = Path(os.environ.get("AIRFLOW_HOME", "/opt/airflow"))
    return home / "logs" / f"dag_id={DAG_ID}"
