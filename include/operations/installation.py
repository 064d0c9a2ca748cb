"""The installation that an operation acts on: the local one, or in the service `tools` the one in containers.

Both say by environment variables where things are.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import httpx

from include.operations.airflow_client import ADMIN, DAG_ID, AirflowClient


def airflow() -> AirflowClient | None:
    """A client of the installation's Airflow, or None while that is not running."""
    if file := os.environ.get("AIRFLOW_PASSWORD_FILE"):
        address, password = os.environ["AIRFLOW_URL"], Path(file).read_text()
    else:
        address = os.environ["AIRFLOW__API__BASE_URL"]
        password = json.loads(Path(os.environ["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE"]).read_text())[ADMIN]
    client = AirflowClient(address, password)
    return None if set(client.health().values()) == {"unreachable"} else client


def dashboards_answer(address: str) -> bool:
    """Whether the dashboards at that address answer."""
    try:
        return httpx.get(f"{address}/health", timeout=5, trust_env=False).is_success
    except httpx.HTTPError:
        return False


def exports_folder() -> Path | None:
    """The folder with the exports, or None if they are not in a local folder."""
    place = os.environ.get("LISTENING_EXPORTS", "")
    return Path(place) if place and "://" not in place else None


def logs_folder() -> Path:
    """The folder with the logs of the DAG's tasks."""
    home = Path(os.environ.get("AIRFLOW_HOME", "/opt/airflow"))
    return home / "logs" / f"dag_id={DAG_ID}"
