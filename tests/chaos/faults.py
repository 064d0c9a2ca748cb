"""What can happen to a stack: processes killed, databases stopped, a full disk, a wrong clock. And its repair."""

from __future__ import annotations

import contextlib
import os
import random
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from datetime import timedelta
from functools import partial
from typing import Any

import httpx
import psutil
import psycopg
import requests

from include import PROJECT
from include.operations.airflow_client import DAG_ID, FINISHED_RUNS
from include.operations.listening_database import LISTENING_DATABASE
from include.stack.local import environment_variables, postgres
from include.stack.local.stack import Stack
from tests.chaos.stacks import ChaosClock, metadata_server

SHORTEST_CALM, LONGEST_CALM = 3.0, 20.0  # seconds between two faults
MENDED_AFTER = 8.0  # seconds that a starving database starves, or a clock is wrong
RUN_TIMEOUT = 20 * 60
TRIES = 5
DISK_FULL = "No space left on device"


class DisturbedStack:
    """A running demo stack, the faults it can suffer, and their repair.

    :param random_: chooses among processes and moments.
    """

    def __init__(self, stack: Stack, random_: random.Random) -> None:
        self.stack = stack
        self.servers = {"data": stack.state.postgres, "metadata": metadata_server(stack.state)}
        self.random = random_
        self.clock = stack.clock = ChaosClock(stack.state.clock)
        self.struck: Counter[str] = Counter()

    # Faults: mend() repairs what they do, unless they undo it themselves

    def kill_service(self, name: str) -> None:
        self.stack.services.processes[name].kill()

    def kill_task(self) -> None:
        """Kill a process below the scheduler: an executor's worker, a task's supervisor or the task itself.

        :raises LookupError: no task was running.
        """
        deadline = time.monotonic() + LONGEST_CALM
        while time.monotonic() < deadline:
            try:
                workers = psutil.Process(self.stack.services.processes["scheduler"].pid).children()
                if busy := [(worker, *tasks) for worker in workers if (tasks := worker.children(recursive=True))]:
                    self.random.choice(self.random.choice(busy)).kill()
                    return
            except psutil.NoSuchProcess:
                pass  # ended meanwhile
            time.sleep(0.2)
        raise LookupError("no task runs")

    def kill_postgres(self, server: str) -> None:
        self._postmaster(server).kill()

    def kill_backend(self) -> None:
        """Kill one task's session; PostgreSQL then ends all sessions and recovers.

        :raises LookupError: no task had a session.
        """
        sessions = "select pid from pg_stat_activity where usename = 'listening_writer'"
        deadline = time.monotonic() + LONGEST_CALM
        with self._superuser() as connection:
            while time.monotonic() < deadline:
                if rows := connection.execute(sessions).fetchall():
                    psutil.Process(self.random.choice(rows)[0]).kill()
                    return
                time.sleep(0.05)
        raise LookupError("no task has a session")

    def fill_disk(self) -> None:
        """Fill PostgreSQL's disk to the last byte, until PostgreSQL has reported it.

        :raises LookupError: PostgreSQL wrote nothing.
        """
        log = self.stack.state.postgres / "log"
        already = log.read_text(errors="replace").count(DISK_FULL)
        filler = self.stack.state.postgres.with_name("filler")
        with filler.open("wb") as file:
            for size in (1 << 26, 1 << 20, 1 << 12):  # ever smaller, until not even a block fits
                with contextlib.suppress(OSError):
                    while True:
                        os.posix_fallocate(file.fileno(), file.seek(0, os.SEEK_END), size)
        try:
            deadline = time.monotonic() + LONGEST_CALM
            while log.read_text(errors="replace").count(DISK_FULL) == already:
                if time.monotonic() > deadline:
                    raise LookupError("nothing was written")
                time.sleep(0.2)
            time.sleep(MENDED_AFTER)
        finally:
            filler.unlink()

    def stop_database(self, server: str) -> None:
        """Suspend all processes of a database for a while, so that it is there but does not answer."""
        postmaster = self._postmaster(server)
        processes = [postmaster, *postmaster.children()]
        for process in processes:
            process.suspend()
        time.sleep(MENDED_AFTER)
        for process in processes:
            process.resume()

    def jump_clock(self) -> None:
        """Set Spotify's clock two hours back or forward for a while, then expire the access tokens."""
        now = self.clock.now
        self.stack.simulator.set_clock(now + self.random.choice([-1, 1]) * timedelta(hours=2))
        time.sleep(MENDED_AFTER)
        self.stack.simulator.set_clock(now)
        self.stack.simulator.expire_access_tokens()

    def strike(self, name: str) -> None:
        """Commit a fault; one without a target, or whose target is already down, does not count."""
        try:
            FAULTS[name](self)
        except (OSError, LookupError, requests.RequestException, psycopg.Error, psutil.NoSuchProcess):
            return
        self.struck[name] += 1

    # Repair

    def mend(self) -> None:
        """Restart whatever has died, after killing what it left: as with a restarted container, nothing survives.

        The scheduler's executor forks workers that inherit its connection. A worker that survives a killed scheduler
        keeps the connection's transaction and locks open, and the run hangs.
        """
        for data_dir in self.servers.values():
            postgres.start_server(data_dir)
        for name, process in list(self.stack.services.processes.items()):
            if process.poll() is not None:
                assert isinstance(process.args, list)
                kill_session(process.pid)
                env = environment_variables.base_environment() if name == "simulator" else self.stack.environment
                self.stack.services.start(name, process.args, env, PROJECT)

    def _postmaster(self, server: str) -> psutil.Process:
        return psutil.Process(int((self.servers[server] / "postmaster.pid").read_text().split()[0]))

    def _superuser(self) -> psycopg.Connection:
        return psycopg.connect(
            postgres.conninfo(self.stack.socket_dir, LISTENING_DATABASE), autocommit=True, connect_timeout=5
        )

    # A run

    def run_a_step(self, faults: Iterator[str]) -> int:
        """Run the DAG under `faults` until a run succeeds; return how many runs it took.

        :raises TimeoutError: no run succeeded.
        """
        self._patiently(lambda: self.stack.airflow.unpause(DAG_ID))
        for attempt in range(1, TRIES + 1):
            run_id = self._patiently(self.stack.trigger)
            deadline = time.monotonic() + RUN_TIMEOUT
            next_fault = time.monotonic() + self.random.uniform(SHORTEST_CALM, LONGEST_CALM)
            while (state := self._patiently(partial(self._state_of, run_id))) not in FINISHED_RUNS:
                if time.monotonic() > deadline:
                    raise TimeoutError(f"Run {run_id} is still {state}")
                if time.monotonic() > next_fault and attempt < TRIES and (name := next(faults, None)):
                    self.strike(name)
                    next_fault = time.monotonic() + self.random.uniform(SHORTEST_CALM, LONGEST_CALM)
                time.sleep(1)
            if state == "success":
                self.clock.advance()
                return attempt
        raise TimeoutError(f"No run of {self.clock.now:%Y-%m-%d %H:%M} succeeded in {TRIES} tries")

    def _state_of(self, run_id: str) -> str:
        return self.stack.airflow.run(DAG_ID, run_id)["state"]

    def _patiently(self, act: Callable[[], Any], timeout: float = 300) -> Any:
        """Call `act`; while something is down, mend and try again."""
        deadline = time.monotonic() + timeout
        while True:
            self.mend()
            try:
                return act()
            except (httpx.HTTPError, requests.RequestException, psycopg.Error):
                if time.monotonic() > deadline:
                    raise
                time.sleep(1)


def kill_session(leader: int) -> None:
    """Kill every process of the session that `leader` started."""
    for process in psutil.process_iter():
        with contextlib.suppress(ProcessLookupError, psutil.NoSuchProcess):
            if os.getsid(process.pid) == leader:
                process.kill()


FAULTS: dict[str, Callable[[DisturbedStack], None]] = {
    "kill -9 scheduler": lambda disturbed: disturbed.kill_service("scheduler"),
    "kill -9 triggerer": lambda disturbed: disturbed.kill_service("triggerer"),
    "kill -9 dag-processor": lambda disturbed: disturbed.kill_service("dag-processor"),
    "kill -9 api-server": lambda disturbed: disturbed.kill_service("api-server"),
    "kill -9 simulator": lambda disturbed: disturbed.kill_service("simulator"),
    "kill -9 worker or task": DisturbedStack.kill_task,
    "kill -9 Postgres (data)": lambda disturbed: disturbed.kill_postgres("data"),
    "kill -9 Postgres (metadata)": lambda disturbed: disturbed.kill_postgres("metadata"),
    "kill -9 a session of a task": DisturbedStack.kill_backend,
    "Postgres stopped for a while (data)": lambda disturbed: disturbed.stop_database("data"),
    "Postgres stopped for a while (metadata)": lambda disturbed: disturbed.stop_database("metadata"),
    "disk full": DisturbedStack.fill_disk,
    "clock jump": DisturbedStack.jump_clock,
}


def in_turn(names: list[str], random_: random.Random, rounds: int, minutes: float) -> Generator[str]:
    """Yield every kind once in random order, then again, until the rounds or the minutes are over."""
    end = time.monotonic() + minutes * 60
    left = rounds
    while True:
        for name in random_.sample(names, len(names)):
            if not left or time.monotonic() > end:
                return
            left -= 1
            yield name
