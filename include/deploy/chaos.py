"""Kills and starves a running demo, and compares what it ends with: `python -m include.deploy.chaos` (`make chaos`).

The same simulated days are lived twice, each in a stack of its own: once in peace, and once with a fault in every day's
run, at a moment and of a kind that the seed decides. What was killed is started again, as a restart policy would; a run
that failed for good is triggered again, as a person would. Then both databases must hold the same raw rows and the same
tables, to the checksum.
"""

from __future__ import annotations

import argparse
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg
import requests

from include.deploy.checksums import TableSum, checksums, differences
from include.local import environment, postgres
from include.local.airflow_client import FINISHED_RUNS
from include.local.demo import SimulatedClock
from include.local.stack import DAG_ID, PROJECT, Stack
from include.local.state import State

LISTENERS_WITH_EXPORT = ("carl",)  # one import is enough, and the other listeners' rows come from the API
LONGEST_CALM = 30.0  # seconds into a run at which the fault strikes at the latest
MENDED_AFTER = 8.0  # seconds that a starving database starves, or a clock is wrong
RUN_TIMEOUT = 20 * 60
TRIES = 4

# When and by whom a row was written differs between two equal lives.
COMPARED_RAW = """
    select count(*), coalesce(sum(('x' || left(md5(row(
        user_id, source, event_key, played_at, item_type, track_id, payload
    )::text), 16))::bit(64)::bigint::numeric), 0)::text
    from raw_listening_events
"""


class Victim:
    """A running demo stack with what is needed to hurt it and to mend it."""

    def __init__(self, stack: Stack, random_: random.Random) -> None:
        self.stack = stack
        self.random = random_

    # Faults: each leaves mending to mend(), or undoes itself

    def kill_service(self, name: str) -> None:
        self.stack.services.processes[name].kill()

    def kill_task(self) -> None:
        """A process below the scheduler: an executor's worker, a task's supervisor or the task itself."""
        scheduler = psutil.Process(self.stack.services.processes["scheduler"].pid)
        deadline = time.monotonic() + LONGEST_CALM
        while time.monotonic() < deadline:
            executors = scheduler.children()
            tasks = [task for executor in executors for task in executor.children(recursive=True)]
            if tasks:
                self.random.choice(tasks).kill()
                return
            time.sleep(0.2)

    def kill_postgres(self) -> None:
        pid = int((self.stack.state.postgres / "postmaster.pid").read_text().split()[0])
        psutil.Process(pid).kill()

    def kill_backend(self) -> None:
        """One session of a task; PostgreSQL then restarts every session and recovers."""
        with self._superuser() as connection:
            rows = connection.execute(
                "select pid from pg_stat_activity where usename = 'listening_writer' and pid <> pg_backend_pid()"
            ).fetchall()
        if rows:
            psutil.Process(self.random.choice(rows)[0]).kill()

    def fill_disk(self) -> None:
        """No room for what a statement has to put aside, as on a full disk: it fails and must leave nothing."""
        with self._superuser() as connection:
            connection.execute("alter role listening_writer set temp_file_limit = 0")
            connection.execute("alter role listening_writer set work_mem = '64kB'")
        time.sleep(MENDED_AFTER)
        with self._superuser() as connection:
            connection.execute("alter role listening_writer reset temp_file_limit")
            connection.execute("alter role listening_writer reset work_mem")

    def stop_database(self) -> None:
        """A database that is there and does not answer: all of it stopped for a while."""
        pid = int((self.stack.state.postgres / "postmaster.pid").read_text().split()[0])
        processes = [psutil.Process(pid), *psutil.Process(pid).children()]
        for process in processes:
            process.suspend()
        time.sleep(MENDED_AFTER)
        for process in processes:
            process.resume()

    def jump_clock(self) -> None:
        """Spotify's clock is two hours slow for a while: the newest plays are missing; then tokens are too old."""
        now = self.stack.clock.now
        self.stack.simulator.set_clock(now - timedelta(hours=2))
        time.sleep(MENDED_AFTER)
        self.stack.simulator.set_clock(now)
        self.stack.simulator.expire_access_tokens()

    # Mending

    def mend(self) -> None:
        """Start again whatever has ended."""
        postgres.start_server(self.stack.state.postgres)
        for name, process in list(self.stack.services.processes.items()):
            if process.poll() is not None:
                env = environment.base_environment() if name == "simulator" else self.stack.environment
                self.stack.services.start(name, process.args, env, PROJECT)  # type: ignore[arg-type]

    def _superuser(self) -> psycopg.Connection:
        return psycopg.connect(postgres.conninfo(self.stack.socket_dir, postgres.LISTENING_DATABASE), autocommit=True)

    # A day

    def live_a_day(self, fault: Callable[[Victim], None] | None) -> int:
        """Run the DAG in the present day, hurt meanwhile, until a run has succeeded; how many runs it took.

        :raises TimeoutError: none succeeded.
        """
        now = self.stack.clock.now
        self._patiently(lambda: self.stack.airflow.unpause(DAG_ID))
        for attempt in range(1, TRIES + 1):
            run_id = self._patiently(self.stack.trigger)
            if fault is not None and attempt == 1:
                time.sleep(self.random.uniform(1, LONGEST_CALM))
                fault(self)
            deadline = time.monotonic() + RUN_TIMEOUT
            while (state := self._patiently(partial(self._state_of, run_id))) not in FINISHED_RUNS:
                if time.monotonic() > deadline:
                    raise TimeoutError(f"Run {run_id} is still {state}")
                time.sleep(2)
            if state == "success":
                self.stack.clock.advance()
                return attempt
        raise TimeoutError(f"No run of {now:%Y-%m-%d} succeeded in {TRIES} tries")

    def _state_of(self, run_id: str) -> str:
        return self.stack.airflow.run(DAG_ID, run_id)["state"]

    def _patiently(self, act: Callable[[], Any], timeout: float = 300) -> Any:
        """Mend and try again while something is down."""
        deadline = time.monotonic() + timeout
        while True:
            self.mend()
            try:
                return act()
            except (httpx.HTTPError, requests.RequestException, psycopg.Error):
                if time.monotonic() > deadline:
                    raise
                time.sleep(1)


FAULTS: dict[str, Callable[[Victim], None]] = {
    "kill -9 scheduler": lambda victim: victim.kill_service("scheduler"),
    "kill -9 triggerer": lambda victim: victim.kill_service("triggerer"),
    "kill -9 dag-processor": lambda victim: victim.kill_service("dag-processor"),
    "kill -9 api-server": lambda victim: victim.kill_service("api-server"),
    "kill -9 simulator": lambda victim: victim.kill_service("simulator"),
    "kill -9 a task": Victim.kill_task,
    "kill -9 Postgres": Victim.kill_postgres,
    "kill -9 a session of a task": Victim.kill_backend,
    "no room for temporary files": Victim.fill_disk,
    "Postgres stopped for a while": Victim.stop_database,
    "clock jump": Victim.jump_clock,
}


def write_exports(state: State) -> None:
    """Of a few listeners only, where the stack would write everybody's."""
    state.exports.mkdir(parents=True)
    until = SimulatedClock(state.clock).start.isoformat()
    command = [sys.executable, "-m", "include.demo.exports", "--until", until, "--out", str(state.exports)]
    for user_id in LISTENERS_WITH_EXPORT:
        subprocess.run([*command, "--listener", user_id], check=True, cwd=PROJECT, stdout=subprocess.DEVNULL)


def contents(stack: Stack) -> dict[str, TableSum]:
    """What two equal lives have in common: raw rows as they came, and every table of analytics and ml."""
    with psycopg.connect(stack.owner_conninfo) as connection:
        sums = {name: table for name, table in checksums(connection).items() if name.startswith(("analytics.", "ml."))}
        rows, checksum = connection.execute(COMPARED_RAW).fetchone() or (0, "")
    return sums | {"raw_listening_events": {"rows": rows, "checksum": checksum}}


def live(folder: Path, days: int, seed: int, faults: list[str] | None) -> dict[str, TableSum]:
    """Live so many days in a new stack, with a fault in each (None: in peace); what the database holds then."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    state = State(folder)
    write_exports(state)
    random_ = random.Random(seed)
    with Stack(state, "demo") as stack:
        victim = Victim(stack, random_)
        for day in range(days):
            name = None
            if faults:
                # Every kind in turn, in the seed's order, before any comes again.
                order = random.Random(f"{seed} {day // len(faults)}").sample(faults, len(faults))
                name = order[day % len(faults)]
            began = time.monotonic()
            runs = victim.live_a_day(FAULTS[name] if name else None)
            print(f"day {day + 1:3}  {name or 'calm':32}{runs} runs {time.monotonic() - began:6.0f} s", flush=True)
        victim.mend()
        return contents(stack)


def main() -> int:
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=20, help="days, each with one fault")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--fault", action="append", help="only this kind; may be given several times")
    options = parser.parse_args()
    folder = State.from_environment().folder / "chaos"
    undisturbed = live(folder / "calm", options.rounds, options.seed, None)
    disturbed = live(folder / "chaos", options.rounds, options.seed, options.fault or list(FAULTS))
    if wrong := differences(undisturbed, disturbed):
        print("\n".join([f"After {options.rounds} faults not the same:", *wrong]), file=sys.stderr)
        return 1
    rows = undisturbed["raw_listening_events"]["rows"]
    print(f"After {options.rounds} faults the same: {rows} raw rows, {len(undisturbed)} tables equal")
    return 0


if __name__ == "__main__":
    sys.exit(main())
