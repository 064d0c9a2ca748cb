"""The demo in containers: `python -m include.stack.compose.demo exports` writes the listeners' exports, `… day`
registers listeners and accounts and runs one more simulated day. Both run at every `docker compose --profile demo up`.

It is the local demo's world (include/stack/local/demo.py); only addresses and passwords come from elsewhere.
"""

from __future__ import annotations

import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path

from include.demo.client import SimulatorClient
from include.operations.secrets import SECRETS
from include.stack.local.airflow_client import FINISHED_RUNS, AirflowClient
from include.stack.local.demo import SimulatedClock, authorize_accounts, register_listeners

DAG_ID = "spotify_listening"
AIRFLOW = "http://airflow-apiserver:8080"
SIMULATOR = "http://simulator:8765"
LISTENING_DB = "host=listening-db dbname=listening user=listening_writer"
CLOCK = Path("/opt/airflow/settings/clock.json")
EXPORTS = Path("/opt/airflow/exports")
SECONDS_TO_PARSE = 180


def write_exports(folder: Path, until: datetime) -> None:
    """The listeners' exports, once; a mark is written last, so that a killed start writes them again."""
    mark = folder / ".complete"
    if not mark.exists():
        command = [sys.executable, "-m", "include.demo.exports", "--until", until.isoformat(), "--out", str(folder)]
        subprocess.run(command, check=True)
        mark.touch()


def wait_for_dag(airflow: AirflowClient) -> None:
    """:raises TimeoutError: the DAG processor has not read it; with what it could not import."""
    deadline = time.monotonic() + SECONDS_TO_PARSE
    while not airflow.dag_exists(DAG_ID):
        if time.monotonic() > deadline:
            errors = "\n".join(error["stack_trace"] for error in airflow.import_errors())
            raise TimeoutError(f"Airflow does not know DAG {DAG_ID} after {SECONDS_TO_PARSE} s.\n{errors}")
        time.sleep(2)


def run_next_day(airflow: AirflowClient, simulator: SimulatorClient, clock: SimulatedClock) -> str | None:
    """Trigger a run of the day after the last that succeeded; its id, or None while an earlier one still runs."""
    runs = airflow.runs(DAG_ID)
    if any(run["state"] not in FINISHED_RUNS for run in runs):
        return None
    day = clock.now.date()
    if any(run["state"] == "success" and datetime.fromisoformat(run["run_after"]).date() == day for run in runs):
        clock.advance()
    moment = clock.begin_run()
    simulator.set_clock(moment)
    airflow.unpause(DAG_ID)
    return airflow.trigger(DAG_ID, run_after=moment)


def main() -> None:
    clock = SimulatedClock(CLOCK)
    if sys.argv[1:] == ["exports"]:
        write_exports(EXPORTS, clock.start)
    else:
        start_day(clock)


def start_day(clock: SimulatedClock) -> None:
    simulator = SimulatorClient(SIMULATOR)
    airflow = AirflowClient(AIRFLOW, (SECRETS / "admin" / "password").read_text())
    simulator.set_clock(clock.now)
    register_listeners(LISTENING_DB, clock.start)
    wait_for_dag(airflow)
    authorize_accounts(airflow, simulator, clock.start)
    run_id = run_next_day(airflow, simulator, clock)
    print(f"Run {run_id} is under way" if run_id else "A run is already under way")


if __name__ == "__main__":
    main()
