"""Removes a listener for good: `python -m include.operations.forget USER_ID --yes` (`make forget LISTENER=… YES=1`).

Gone are the account's Airflow connection, the run history and task logs that name the listener, their export folder,
and every row about them (function forget_listener(), which leaves an audit row without personal data). Not gone, and
said so: backups made before, and playlists already in the listener's own Spotify account.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

import psycopg

from include.listener_ids import connection_id_of, escaped
from include.operations.airflow_client import DAG_ID, FINISHED_RUNS, AirflowClient
from include.operations.installation import airflow, exports_folder, logs_folder


class ForgetError(Exception):
    """What stands in the way, and what to do about it."""


def check_idle(client: AirflowClient) -> None:
    """:raises ForgetError: a run is under way; it could bring the listener back."""
    if runs := [run["dag_run_id"] for run in client.runs(DAG_ID) if run["state"] not in FINISHED_RUNS]:
        raise ForgetError(f"Run {runs[0]} is under way: wait for its end, or mark it failed. Nothing was removed.")


def forget_account(client: AirflowClient, connection_ids: set[str], logs: Path) -> None:
    """The connections, and the history of every run: mapped tasks, XComs and logs name the listener."""
    for connection_id in connection_ids:
        client.delete_connection(connection_id)
    while runs := client.runs(DAG_ID):
        for run in runs:
            client.delete_run(DAG_ID, run["dag_run_id"])
    shutil.rmtree(logs, ignore_errors=True)


def forget_exports(exports: Path, user_id: str) -> None:
    """Removes the listener's folder, whether it bears the id itself or the escaped one."""
    for name in (user_id, escaped(user_id)):
        # An id is data: as a path it could name another folder.
        if name not in ("", ".", "..") and "/" not in name:
            shutil.rmtree(exports / name, ignore_errors=True)


def forget_rows(conninfo: str, user_id: str) -> dict[str, int]:
    """Rows removed by table.

    :raises psycopg.errors.RaiseException: nobody is known by that id.
    """
    with psycopg.connect(conninfo) as connection:
        (removed,) = connection.execute("select forget_listener(%s)", [user_id]).fetchone() or ({},)
    return removed


def main() -> int:
    parser = argparse.ArgumentParser(prog="make forget", description="Remove a listener and everything about them.")
    parser.add_argument("user_id")
    parser.add_argument("--yes", action="store_true", help="do it; there is no way back")
    options = parser.parse_args()
    try:
        with psycopg.connect("") as connection:
            known = connection.execute("select user_id, display_name, connection_id from listeners").fetchall()
        found = [row for row in known if row[0] == options.user_id]
        if not found:
            raise ForgetError(
                f"No listener {options.user_id!r}. There are: {', '.join(sorted(row[0] for row in known))}"
            )
        if not options.yes:
            raise ForgetError(f"This removes {found[0][1]} ({options.user_id}) for good. Say YES=1 (--yes) to do it.")
        client = airflow()
        if client is None:
            raise ForgetError("Airflow does not run, and it holds the account's connection too: start the stack first.")
        check_idle(client)
        connection_ids = {connection_id_of(options.user_id), found[0][2] or connection_id_of(options.user_id)}
        forget_account(client, connection_ids, logs_folder())
        if exports := exports_folder():
            forget_exports(exports, options.user_id)
        # The rows last: while they are there, a forgetting that was cut off can be started again.
        removed = forget_rows("", options.user_id)
    except (ForgetError, psycopg.Error) as error:
        print(error, file=sys.stderr)
        return 1
    rows = sum(removed.values())
    print(f"Forgotten: {rows} rows of {len(removed)} tables, the connection, the exports, the run history.")
    print("Left: backups made before today, and playlists in the listener's own Spotify account.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
