"""Kills and starves a running demo, and compares what it ends with: `python -m tests.chaos.chaos` (`make chaos`).

The same simulated days are lived twice, each time in a stack of its own: first with a fault every few seconds, of a
kind and at a moment that the seed decides, then in peace. What was killed is started again, as a restart policy would;
a run that failed for good is triggered again, as a person would. Then both databases must hold the same raw rows and
the same tables, to the checksum.

The listening data and Airflow's metadata have a PostgreSQL server each. That of the data has a small disk of its own (a
file, mounted: needs root), which one kind of fault fills to the last byte.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from functools import partial
from inspect import GEN_CLOSED, getgeneratorstate
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg
import requests

from include import PROJECT
from include.operations.airflow_client import DAG_ID, FINISHED_RUNS
from include.operations.backup import backup
from include.operations.checksums import TableSum, checksums, differences
from include.operations.listening_database import LISTENING_DATABASE
from include.stack.demo import SimulatedClock
from include.stack.local import environment_variables, postgres
from include.stack.local.ports import DEFAULTS, choose_port
from include.stack.local.signals import stop_on_signals
from include.stack.local.stack import Stack
from include.stack.local.state_folder import StateFolder

# One import, of a year, is enough to be killed in; all other rows come from the API.
LISTENERS_WITH_EXPORT = ("carl",)
EXPORT_AGE = timedelta(days=730)
STEP = timedelta(hours=4)  # between two runs: fewer plays than Spotify's window holds, so that none may be missing
SHORTEST_CALM, LONGEST_CALM = 3.0, 20.0  # seconds between two faults
MENDED_AFTER = 8.0  # seconds that a starving database starves, or a clock is wrong
RUN_TIMEOUT = 20 * 60
TRIES = 5
DISK_BYTES = 3 << 30
DISK_FULL = "No space left on device"
SOONER = {
    # Airflow takes a task that was killed for dead after five minutes: here sooner, so that there is more to see.
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "30",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
    "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "5",
    "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "15",
    "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "10",
}
# Audio features come whenever they come, between the steps of a calm run too; without them a life has one outcome.
NO_AUDIO_FEATURES = {"RECCOBEATS_URL": "http://127.0.0.1:9"}

# When and by whom a row was written differs between two equal lives.
COMPARED_RAW = """
    select count(*), coalesce(sum(('x' || left(md5(row(
        user_id, source, event_key, played_at, item_type, track_id, payload
    )::text), 16))::bit(64)::bigint::numeric), 0)::text
    from raw_listening_events
"""


class ChaosClock(SimulatedClock):
    """Goes on by STEP after each run that succeeded, from the hours that STEP divides."""

    def advance(self) -> None:
        steps = (self.now - self.start) // STEP + 1
        self._write(self.start, self.start + steps * STEP)


class Victim:
    """A running demo stack with what is needed to hurt it and to mend it."""

    def __init__(self, stack: Stack, random_: random.Random) -> None:
        self.stack = stack
        self.servers = {"data": stack.state.postgres, "metadata": metadata_server(stack.state)}
        self.random = random_
        self.clock = stack.clock = ChaosClock(stack.state.clock)
        self.struck: Counter[str] = Counter()

    # Faults: each leaves mending to mend(), or undoes itself

    def kill_service(self, name: str) -> None:
        self.stack.services.processes[name].kill()

    def kill_task(self) -> None:
        """A process below the scheduler: an executor's worker, a task's supervisor or the task itself.

        :raises LookupError: none was busy for a while.
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
        """One session of a task; PostgreSQL then restarts every session and recovers.

        :raises LookupError: there was none for a while.
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
        """Not a byte left on PostgreSQL's disk, for tables, logs and the write-ahead log alike, until it has met that.

        :raises LookupError: it needed no more room for a while.
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
        """A database that is there and does not answer: all of it stopped for a while."""
        postmaster = self._postmaster(server)
        processes = [postmaster, *postmaster.children()]
        for process in processes:
            process.suspend()
        time.sleep(MENDED_AFTER)
        for process in processes:
            process.resume()

    def jump_clock(self) -> None:
        """Spotify's clock is two hours off for a while, slow or fast; then the tokens it gave are too old."""
        now = self.clock.now
        self.stack.simulator.set_clock(now + self.random.choice([-1, 1]) * timedelta(hours=2))
        time.sleep(MENDED_AFTER)
        self.stack.simulator.set_clock(now)
        self.stack.simulator.expire_access_tokens()

    def strike(self, name: str) -> None:
        """Commit a fault; one that finds no victim, or it down already, does not count."""
        try:
            FAULTS[name](self)
        except (OSError, LookupError, requests.RequestException, psycopg.Error, psutil.NoSuchProcess):
            return
        self.struck[name] += 1

    # Mending

    def mend(self) -> None:
        """Start again whatever has ended, without what it left: a restarted container has nothing of its past.

        The scheduler's executor forks workers that inherit its connection. One that outlives a killed scheduler keeps
        that connection's transaction, and its locks, open, and the run stands still.
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

    def live_a_step(self, faults: Iterator[str]) -> int:
        """Run the DAG in the present, hurt by `faults` meanwhile, until a run has succeeded; how many runs it took.

        :raises TimeoutError: none succeeded.
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


def kill_session(leader: int) -> None:
    """Every process of the session that `leader` began."""
    for process in psutil.process_iter():
        with contextlib.suppress(ProcessLookupError, psutil.NoSuchProcess):
            if os.getsid(process.pid) == leader:
                process.kill()


FAULTS: dict[str, Callable[[Victim], None]] = {
    "kill -9 scheduler": lambda victim: victim.kill_service("scheduler"),
    "kill -9 triggerer": lambda victim: victim.kill_service("triggerer"),
    "kill -9 dag-processor": lambda victim: victim.kill_service("dag-processor"),
    "kill -9 api-server": lambda victim: victim.kill_service("api-server"),
    "kill -9 simulator": lambda victim: victim.kill_service("simulator"),
    "kill -9 worker or task": Victim.kill_task,
    "kill -9 Postgres (data)": lambda victim: victim.kill_postgres("data"),
    "kill -9 Postgres (metadata)": lambda victim: victim.kill_postgres("metadata"),
    "kill -9 a session of a task": Victim.kill_backend,
    "Postgres stopped for a while (data)": lambda victim: victim.stop_database("data"),
    "Postgres stopped for a while (metadata)": lambda victim: victim.stop_database("metadata"),
    "disk full": Victim.fill_disk,
    "clock jump": Victim.jump_clock,
}


def in_turn(names: list[str], random_: random.Random, rounds: int, minutes: float) -> Generator[str]:
    """Every kind before any comes again, in the order that chance wants, until rounds or minutes are over."""
    end = time.monotonic() + minutes * 60
    left = rounds
    while True:
        for name in random_.sample(names, len(names)):
            if not left or time.monotonic() > end:
                return
            left -= 1
            yield name


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """A file system of its own at `folder`, of DISK_BYTES at most."""
    image = folder.with_name(folder.name + ".img")
    folder.mkdir(parents=True)
    with image.open("wb") as file:
        file.truncate(DISK_BYTES)
    subprocess.run(["mkfs.ext4", "-q", "-F", "-m", "0", image], check=True)
    subprocess.run(["mount", "-o", "loop", image, folder], check=True)
    try:
        folder.chmod(0o755)
        yield
    finally:
        subprocess.run(["umount", folder], check=True)
        image.unlink()


def write_exports(state: StateFolder) -> None:
    """Of a few listeners only, where the stack would write everybody's."""
    state.exports.mkdir(parents=True)
    until = (SimulatedClock(state.clock).start - EXPORT_AGE).isoformat()
    command = [sys.executable, "-m", "include.demo.exports", "--until", until, "--out", str(state.exports)]
    for user_id in LISTENERS_WITH_EXPORT:
        subprocess.run([*command, "--listener", user_id], check=True, cwd=PROJECT, stdout=subprocess.DEVNULL)


def contents(stack: Stack) -> dict[str, TableSum]:
    """What two equal lives have in common: raw rows as they came, and every table of analytics and ml.

    Leaves a backup beside the stack's folder, to look differences up in.
    """
    with stack.state.folder.with_suffix(".tar").open("wb") as file:
        backup(stack.owner_conninfo, file)
    with psycopg.connect(stack.owner_conninfo) as connection, connection.transaction(force_rollback=True):
        # Tracks' lengths come with the metadata, whenever that comes; playlists add up what is known by then.
        connection.execute("update ml.playlists set ms_total = 0")
        sums = {name: table for name, table in checksums(connection).items() if name.startswith(("analytics.", "ml."))}
        rows, checksum = connection.execute(COMPARED_RAW).fetchone() or (0, "")
    return sums | {"raw_listening_events": {"rows": rows, "checksum": checksum}}


def metadata_server(state: StateFolder) -> Path:
    return state.folder / "metadata" / "data"


@contextmanager
def new_stack(folder: Path, start: datetime | None = None, *, disk: bool) -> Iterator[Stack]:
    """A demo from its first moment on (`start`: another than usual)."""
    if os.path.ismount(folder / "postgres"):  # of a run that was killed
        subprocess.run(["umount", folder / "postgres"], check=True)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    state = StateFolder(folder)
    clock = SimulatedClock(state.clock)
    if start:
        clock._write(start, start)
    write_exports(state)
    with ExitStack() as stack:
        if disk:
            stack.enter_context(small_disk(state.postgres.parent))
        metadata_dir = stack.enter_context(postgres.server(metadata_server(state)))
        settings = SOONER | NO_AUDIO_FEATURES
        yield stack.enter_context(Stack(state, "demo", settings=settings, metadata_dir=metadata_dir))


def main() -> int:
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=200, help="faults at most (default: %(default)s)")
    parser.add_argument("--minutes", type=float, default=20, help="of faults at most (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--fault", action="append", choices=list(FAULTS), help="only this kind; may be repeated")
    options = parser.parse_args()
    stop_on_signals()
    os.environ |= {f"{service.upper()}_PORT": "0" for service in DEFAULTS}
    os.environ["SIMULATOR_PORT"] = str(choose_port("simulator"))  # one for both lives: Spotify's answers name it
    names = options.fault or list(FAULTS)
    disk = os.geteuid() == 0
    if not disk:
        names = [name for name in names if name != "disk full"]
        print("Not root, so no disk of its own: 'disk full' is left out")
    folder = StateFolder.from_environment().folder / "chaos"
    with new_stack(folder / "disturbed", disk=disk) as stack:
        start = stack.clock.start
        random_ = random.Random(options.seed)
        victim = Victim(stack, random_)
        faults = in_turn(names, random_, options.rounds, options.minutes)
        for steps in count(1):
            in_peace = getgeneratorstate(faults) == GEN_CLOSED
            before, began = victim.struck.total(), time.monotonic()
            runs = victim.live_a_step(faults)
            struck = victim.struck.total() - before
            print(f"step {steps:3}  {struck:3} faults {runs} runs {time.monotonic() - began:6.0f} s", flush=True)
            if in_peace:
                break
        victim.mend()
        disturbed = contents(stack)
    with new_stack(folder / "calm", start, disk=disk) as stack:
        calm = Victim(stack, random.Random())
        for _ in range(steps):
            calm.live_a_step(iter(()))
        undisturbed = contents(stack)
    print("\n".join(f"{times:4} × {name}" for name, times in sorted(victim.struck.items())))
    total = victim.struck.total()
    if wrong := differences(undisturbed, disturbed):
        print("\n".join([f"After {total} faults not the same (backups in {folder}):", *wrong]), file=sys.stderr)
        return 1
    rows = undisturbed["raw_listening_events"]["rows"]
    print(f"After {total} faults in {steps} steps the same: {rows} raw rows, {len(undisturbed)} tables equal")
    return 0


if __name__ == "__main__":
    sys.exit(main())
