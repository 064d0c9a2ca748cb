"""The demo in containers. Both commands run at every `docker compose --profile demo up`.

`python -m include.stack.compose.demo exports` writes the listeners' exports; `… day` registers listeners and accounts
and starts the run of one more simulated day. include/stack/demo.py does the work; here are addresses and passwords.
"""

from __future__ import annotations

import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path

from include.demo.simulator.client import SimulatorClient
from include.operations.airflow_client import DAG_ID, FINISHED_RUNS, AirflowClient
from include.operations.secrets import SECRETS
from include.stack.demo import SimulatedClock, authorize_accounts, register_listeners

AIRFLOW = "http://airflow-apiserver:8080"
SIMULATOR = "http://simulator:8765"
LISTENING_DB = "host=listening-db dbname=listening user=listening_writer"
CLOCK = Path("/opt/airflow/settings/clock.json")
EXPORTS = Path("/opt/airflow/exports")
SECONDS_TO_PARSE = 180


def write_exports(folder: Path, until: datetime) -> None:
    """Write the listeners' exports unless they are complete; the file `.complete` is written last."""
    complete = folder / ".complete"
    if not complete.exists():
        command = [sys.executable, "-m", "include.demo.exports", "--until", until.isoformat(), "--out", str(folder)]
        subprocess.run(command, check=True)
        complete.touch()


def wait_for_dag(airflow: AirflowClient) -> None:
    """Wait until Airflow knows the DAG.

    :raises TimeoutError: it still does not; the message holds its import errors.
    """
    deadline = time.monotonic() + SECONDS_TO_PARSE
    while not airflow.dag_exists(DAG_ID):
        if time.monotonic() > deadline:
            errors = "\n".join(error["stack_trace"] for error in airflow.import_errors())
            raise TimeoutError(f"Airflow does not know DAG {DAG_ID} after {SECONDS_TO_PARSE} s.\n{errors}")
        time.sleep(2)


def run_next_day(airflow: AirflowClient, simulator: SimulatorClient, clock: SimulatedClock) -> str | None:
    """Start a run of the day after the last successful one; return its id, or None while a run is still going on."""
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
    """Register the listeners and their accounts, and start the next day's run."""
    simulator = SimulatorClient(SIMULATOR)
    airflow = AirflowClient(AIRFLOW, (SECRETS / "admin" / "password").read_text())
    simulator.set_clock(clock.now)
    register_listeners(LISTENING_DB, clock.start)
    wait_for_dag(airflow)
    authorize_accounts(airflow, simulator, clock.start)
    run_id = run_next_day(airflow, simulator, clock)
    print(f"Run {run_id} has started" if run_id else "A run is already going on")


if __name__ == "__main__":
    main()
