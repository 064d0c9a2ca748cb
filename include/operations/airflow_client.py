"""A client of Airflow's REST API: health, connections, runs, task states, logs."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from urllib.parse import quote

import httpx

DAG_ID = "spotify_listening"
ADMIN = "admin"  # Airflow's first user
FINISHED_RUNS = ("success", "failed")
FINISHED_TASKS = ("success", "failed", "skipped", "upstream_failed", "removed")
SECONDS_TO_ANSWER = 120  # a busy two-core machine answers late, but it answers
COMPONENTS = ("metadatabase", "scheduler", "triggerer", "dag_processor")


class AlreadyExists(httpx.HTTPStatusError):
    """Airflow already has one of that name (status 409)."""


class AirflowClient:
    """Logged in as the admin; logs in again when the token has run out.

    :param address: where the API server listens, without a path.
    :raises httpx.HTTPStatusError: from every method, when Airflow refuses.
    """

    def __init__(self, address: str, password: str) -> None:
        self.password = password
        self.http = httpx.Client(base_url=address, timeout=SECONDS_TO_ANSWER, trust_env=False)

    def health(self) -> dict[str, str]:
        """The state of each component; all are 'unreachable' while the API server does not answer."""
        try:
            answer = self.http.get("/api/v2/monitor/health", timeout=5)
            answer.raise_for_status()
        except httpx.HTTPError:
            return dict.fromkeys(COMPONENTS, "unreachable")
        health = answer.json()
        return {component: (health.get(component) or {}).get("status") or "starting" for component in COMPONENTS}

    def put_connection(self, connection_id: str, **fields: Any) -> None:
        """Create the connection, or replace one of that id."""
        body = {"connection_id": connection_id, **fields}
        answer = self._request("PATCH", f"/connections/{quote(connection_id, safe='')}", json=body, accept=(404,))
        if answer.status_code == 404:
            self._request("POST", "/connections", json=body)

    def connections(self) -> list[dict[str, Any]]:
        """All connections, without their passwords."""
        return self._request("GET", "/connections").json()["connections"]

    def delete_connection(self, connection_id: str) -> None:
        """Remove the connection, if there is one."""
        self._request("DELETE", f"/connections/{quote(connection_id, safe='')}", accept=(404,))

    def dag_exists(self, dag_id: str) -> bool:
        """Whether Airflow has read the DAG."""
        return self._request("GET", f"/dags/{dag_id}", accept=(404,)).status_code == 200

    def import_errors(self) -> list[dict[str, Any]]:
        """The DAG files that could not be imported: filename, stack_trace."""
        return self._request("GET", "/importErrors").json()["import_errors"]

    def is_paused(self, dag_id: str) -> bool:
        """Whether the DAG is paused."""
        return self._request("GET", f"/dags/{dag_id}").json()["is_paused"]

    def unpause(self, dag_id: str) -> None:
        """Let the DAG run."""
        self._request("PATCH", f"/dags/{dag_id}", json={"is_paused": False})

    def trigger(self, dag_id: str, *, run_after: datetime) -> str:
        """Start a run whose time is `run_after`; return its id.

        :raises AlreadyExists: there is a run of that time already.
        """
        body = {"logical_date": None, "run_after": run_after.isoformat()}
        return self._request("POST", f"/dags/{dag_id}/dagRuns", json=body).json()["dag_run_id"]

    def runs(self, dag_id: str, *states: str) -> list[dict[str, Any]]:
        """Runs in any of the states (all without states), newest first."""
        params = {"state": list(states), "order_by": "-id", "limit": 100}
        return self._request("GET", f"/dags/{dag_id}/dagRuns", params=params).json()["dag_runs"]

    def run(self, dag_id: str, run_id: str) -> dict[str, Any]:
        """One run: state, start_date, end_date, …"""
        return self._request("GET", f"/dags/{dag_id}/dagRuns/{run_id}").json()

    def fail_run(self, dag_id: str, run_id: str, note: str) -> None:
        """Mark a run failed, with a note that says why."""
        self._request("PATCH", f"/dags/{dag_id}/dagRuns/{run_id}", json={"state": "failed", "note": note})

    def delete_run(self, dag_id: str, run_id: str) -> None:
        """Remove a run from the history, with its tasks and XComs."""
        self._request("DELETE", f"/dags/{dag_id}/dagRuns/{run_id}", accept=(404,))

    def task_instances(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """The run's task instances: task_id, map_index, state, try_number, start_date, end_date, …"""
        answer = self._request("GET", f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances", params={"limit": 100})
        return answer.json()["task_instances"]

    def log_lines(self, task: dict[str, Any]) -> list[str]:
        """The log of a task instance's last try, as text lines."""
        run = f"/dags/{task['dag_id']}/dagRuns/{task['dag_run_id']}"
        path = f"{run}/taskInstances/{task['task_id']}/logs/{task['try_number']}"
        as_json = {"Accept": "application/json"}
        answer = self._request("GET", path, params={"map_index": task["map_index"]}, headers=as_json)
        return [line for entry in answer.json()["content"] for line in _text(entry).splitlines()]

    def _request(self, method: str, path: str, *, accept: tuple[int, ...] = (), **kwargs: Any) -> httpx.Response:
        try:
            answer = self.http.request(method, f"/api/v2{path}", **kwargs)
        except httpx.TransportError as error:
            raise type(error)(f"Airflow did not answer {method} {path}: {error}") from error
        if answer.status_code == 401:
            login = self.http.post("/auth/token", json={"username": ADMIN, "password": self.password})
            login.raise_for_status()
            self.http.headers["Authorization"] = f"Bearer {login.json()['access_token']}"
            answer = self.http.request(method, f"/api/v2{path}", **kwargs)
        if answer.status_code not in accept and answer.is_error:
            refusal = AlreadyExists if answer.status_code == httpx.codes.CONFLICT else httpx.HTTPStatusError
            raise refusal(
                f"Airflow refused {method} {path} with status {answer.status_code}: {_reason(answer)}",
                request=answer.request,
                response=answer,
            )
        return answer


def _reason(answer: httpx.Response) -> str:
    """Why Airflow refused, in its own words: `detail` is a text, a list of invalid fields, or a database error."""
    try:
        detail = answer.json()["detail"]
    except (ValueError, KeyError, TypeError):
        return answer.text[:300]
    if isinstance(detail, list):
        return "; ".join(f"{'.'.join(map(str, error.get('loc', [])))}: {error.get('msg')}" for error in detail)
    if isinstance(detail, dict):
        return str(detail.get("reason") or detail)
    return str(detail)


def _text(entry: Any) -> str:
    """A structured log entry as a person reads it: the message, then errors with their text."""
    if not isinstance(entry, dict):
        return str(entry)
    details = [f"{error.get('exc_type')}: {error.get('exc_value')}" for error in entry.get("error_detail") or []]
    level = (entry.get("level") or "").upper()
    return "\n".join([f"{level:8}{entry.get('event', '')}", *details])
