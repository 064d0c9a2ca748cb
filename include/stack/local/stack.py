"""Starts and stops the whole product on one machine: `python -m include.stack.local.stack demo|demo-once|up|stop|…`."""

from __future__ import annotations

import argparse
import fcntl
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from importlib.metadata import version
from pathlib import Path
from types import FrameType

import httpx
import psutil
import psycopg
import requests
import sqlalchemy as sa
from dotenv import load_dotenv

from include.demo.client import SimulatorClient
from include.sql.schema.migrate import migrate
from include.stack.local import demo, environment, postgres
from include.stack.local.airflow_client import AirflowClient, AlreadyExists
from include.stack.local.ports import LOOPBACK, choose_port, choose_ports, known_ports
from include.stack.local.run import explain_failure, follow
from include.stack.local.services import ServiceError, Services, end_marked
from include.stack.local.state import PROJECT, State, StateError
from include.stack.local.summary import print_summary

DAG_ID = "spotify_listening"
RUN_TIMEOUT = 30 * 60
STOP_TIMEOUT = 90
PYTHON = sys.executable


def say(text: str = "") -> None:
    print(text, flush=True)


class Stack:
    """Everything that runs, as a context: entered when all is healthy, nothing of it left when left.

    :param state: whose folder, databases and ports.
    :param kind: `demo` (simulated Spotify) or `real`.
    :param say: prints a line of progress.
    :param settings: environment variables for Airflow beyond those of every stack.
    :param metadata_dir: the socket directory of a server for Airflow's metadata; by default the listening data's.
    :raises StateError, ServiceError, RuntimeError: on entering, what stands in the way; nothing is left running.
    """

    def __init__(
        self,
        state: State,
        kind: str,
        say: Callable[[str], None] = say,
        settings: Mapping[str, str] | None = None,
        metadata_dir: Path | None = None,
    ) -> None:
        self.state = state
        self.kind = kind
        self.say = say
        self.settings = settings or {}
        self.metadata_dir = metadata_dir
        self.services = Services(state.logs, str(state.folder))
        self._open = ExitStack()

    def __enter__(self) -> Stack:
        with ExitStack() as started:
            started.enter_context(only_stack(self.state))
            self.state.claim(self.kind)
            if left := end_marked(str(self.state.folder)):
                self.say(f"Ended {left} processes of an earlier start that was killed")
            started.callback(self.services.stop)
            self._start(started)
            self._open = started.pop_all()
        return self

    def __exit__(self, *exception: object) -> None:
        self._open.close()

    def _start(self, started: ExitStack) -> None:
        begin = time.monotonic()

        def done(text: str) -> None:
            self.say(f"{time.monotonic() - begin:6.1f} s  {text}")

        self.ports = choose_ports(self.state.ports)
        self.socket_dir = started.enter_context(postgres.server(self.state.postgres))
        prepare_listening_database(self.socket_dir)
        done("PostgreSQL is up, the listening database has the newest schema")
        metadata_dir = self.metadata_dir or self.socket_dir
        self.environment = (
            full_environment(self.state, self.socket_dir, self.ports)
            | environment.metadata_environment(metadata_dir)
            | dict(self.settings)
        )
        for folder in (self.state.exports, self.state.airflow_home):
            folder.mkdir(parents=True, exist_ok=True)
        if self.kind == "demo":
            self._start_simulator()
        prepare_metadata(self.state, metadata_dir, self.environment)
        done("Airflow's metadata database is ready")

        airflow = [PYTHON, "-m", "airflow"]
        self.services.start("api-server", [*airflow, "api-server"], self.environment, PROJECT)
        self.services.start("dag-processor", [*airflow, "dag-processor"], self.environment, PROJECT)
        self.services.start("triggerer", [*airflow, "triggerer", "--skip-serve-logs"], self.environment, PROJECT)
        self.services.start("scheduler", [*airflow, "scheduler", "--skip-serve-logs"], self.environment, PROJECT)
        if self.kind == "demo":
            self._prepare_demo()
            done("The simulated Spotify is up, the exports are written")

        self.airflow = AirflowClient(environment.address(self.ports["airflow"]), environment.admin_password(self.state))
        self.services.wait_until("api-server", lambda: set(self.airflow.health().values()) == {"healthy"}, 180)
        done("Airflow is healthy")
        self.services.wait_until("dag-processor", self._dag_is_there, 120)
        if self.kind == "demo":
            demo.authorize_accounts(self.airflow, self.simulator, self.clock.start)
        self.services.start(
            "dashboards",
            dashboards_command(self.ports["dashboards"]),
            environment.base_environment() | environment.dashboards_environment(self.socket_dir, self.ports),
            PROJECT,
        )
        self.services.wait_until("dashboards", partial(answers, self.dashboards_address), 60)
        done("The dashboards are up")

    @property
    def airflow_address(self) -> str:
        return environment.address(self.ports["airflow"])

    @property
    def dashboards_address(self) -> str:
        return environment.address(self.ports["dashboards"])

    def _start_simulator(self) -> None:
        self.clock = demo.SimulatedClock(self.state.clock)
        self.simulator = SimulatorClient(environment.address(self.ports["simulator"]))
        self.state.simulator.mkdir(parents=True, exist_ok=True)
        command = [PYTHON, "-m", "include.demo.simulator", "--port", str(self.ports["simulator"])]
        base = environment.base_environment()
        self.services.start("simulator", [*command, "--state", str(self.state.simulator)], base, PROJECT)
        if not any(self.state.exports.iterdir()):
            # Written beside and moved, so that a killed start leaves no half export.
            self._unfinished_exports = self.state.exports.with_name("exports.new")
            shutil.rmtree(self._unfinished_exports, ignore_errors=True)
            command = [PYTHON, "-m", "include.demo.exports", "--until", self.clock.start.isoformat()]
            self.services.start("exports", [*command, "--out", str(self._unfinished_exports)], base, PROJECT)

    def _prepare_demo(self) -> None:
        if "exports" in self.services.processes:
            self.services.finish("exports", 300)
            self.state.exports.rmdir()
            self._unfinished_exports.rename(self.state.exports)
        self.services.wait_until("simulator", self._simulator_answers, 60)
        self.simulator.set_clock(self.clock.now)
        demo.register_listeners(self.owner_conninfo, self.clock.start)

    def _simulator_answers(self) -> bool:
        try:
            return bool(self.simulator.clock())
        except requests.RequestException:
            return False

    @property
    def owner_conninfo(self) -> str:
        return postgres.conninfo(self.socket_dir, postgres.LISTENING_DATABASE, "listening_owner")

    def _dag_is_there(self) -> bool:
        for error in self.airflow.import_errors():
            raise ServiceError(f"{error['filename']} cannot be imported:\n{error['stack_trace']}")
        return self.airflow.dag_exists(DAG_ID)

    def run_simulated_day(self) -> bool:
        """Run the DAG in the demo's present day and show how it goes; whether it succeeded. If so, a day has passed."""
        for unfinished in self.airflow.runs(DAG_ID, "queued", "running"):
            self.say(
                f"Run {unfinished['dag_run_id']} was cut off by an earlier stop: marked failed, its work is done again"
            )
            self.airflow.fail_run(DAG_ID, unfinished["dag_run_id"], "Cut off by a stop of the stack")
        self.airflow.unpause(DAG_ID)
        run_id = self.trigger()
        self.say(f"\nRun {run_id}, on the simulated day {self.clock.now:%Y-%m-%d}")
        succeeded = self.follow(run_id)
        if succeeded:
            self.clock.advance()
        return succeeded

    def trigger(self) -> str:
        """Start a run in the demo's present; return its id."""
        while True:
            now = self.clock.begin_run()
            self.simulator.set_clock(now)
            try:
                return self.airflow.trigger(DAG_ID, run_after=now)
            except AlreadyExists:
                continue  # the next moment is a minute later

    def follow(self, run_id: str) -> bool:
        """Show a run until it has ended; whether it succeeded."""
        began = time.monotonic()
        state = follow(self.airflow, DAG_ID, run_id, self.say, self.services.check, RUN_TIMEOUT)
        self.say(f"The run took {time.monotonic() - began:.0f} s: {state}\n")
        if state != "success":
            explain_failure(self.airflow, DAG_ID, run_id, self.say)
        return state == "success"

    def print_addresses(self) -> None:
        self.say(f"Airflow      {self.airflow_address}  (user {environment.ADMIN}, password {self.airflow.password})")
        self.say(f"Dashboards   {self.dashboards_address}")
        self.say(f"Logs         {self.state.logs}")

    def accounts(self) -> list[str]:
        """The ids of the Spotify connections that Airflow knows."""
        return [c["connection_id"] for c in self.airflow.connections() if c["conn_type"] == "spotify"]

    def wait(self, until: Callable[[], object] = lambda: False) -> None:
        """Wait until something is so, by default until a signal stops the program.

        :raises ServiceError: a service ended by itself.
        """
        while not until():
            self.services.check()
            time.sleep(2)

    def wait_for_enter(self) -> None:
        """Until someone presses Enter; for good when nobody can.

        :raises ServiceError: a service ended by itself.
        """
        if not sys.stdin.isatty():
            self.wait()
        while not select.select([sys.stdin], [], [], 1)[0]:
            self.services.check()
        if not sys.stdin.readline():  # the terminal is gone
            self.wait()


@contextmanager
def only_stack(state: State) -> Iterator[None]:
    """Hold the lock that says a stack of this state runs, and who. A kill releases it.

    :raises StateError: another one runs.
    """
    state.folder.mkdir(parents=True, exist_ok=True)
    with state.run_lock.open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise StateError(
                f"A stack runs already in {state.folder} (process {lock.read()}): `make stop` stops it."
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield
        lock.truncate(0)


def running_stack(state: State) -> psutil.Process | None:
    """The process that holds the lock."""
    if not state.run_lock.exists():
        return None
    with state.run_lock.open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            return psutil.Process(int(lock.read()))
    return None


def prepare_listening_database(socket_dir: Path) -> None:
    postgres.create_roles(socket_dir)
    postgres.create_database(socket_dir, postgres.LISTENING_DATABASE, owner="listening_owner")
    url = postgres.sqlalchemy_url(socket_dir, postgres.LISTENING_DATABASE, "listening_owner")
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    migrate(engine)


def prepare_metadata(state: State, socket_dir: Path, env: dict[str, str]) -> None:
    """Airflow's metadata database, migrated unless this version of Airflow migrated it before.

    :raises ServiceError: the migration failed.
    """
    name = environment.METADATA_DATABASE
    with psycopg.connect(postgres.conninfo(socket_dir), autocommit=True) as connection:
        if not connection.execute("select 1 from pg_roles where rolname = %s", [name]).fetchone():
            connection.execute("create role airflow login")
    postgres.create_database(socket_dir, name, owner=name)
    migrated = f"Airflow {version('apache-airflow')}"
    comment = "select shobj_description(oid, 'pg_database') from pg_database where datname = %s"
    with psycopg.connect(postgres.conninfo(socket_dir), autocommit=True) as connection:
        if connection.execute(comment, [name]).fetchone() == (migrated,):
            return
        # A lost second of task states costs a retry; waiting for the disk at each costs every run.
        connection.execute("alter database airflow set synchronous_commit = off")
        state.logs.mkdir(parents=True, exist_ok=True)
        log_file = state.logs / "db-migrate.log"
        with log_file.open("wb") as log:
            command = [PYTHON, "-m", "airflow", "db", "migrate"]
            status = subprocess.run(command, env=env, cwd=PROJECT, stdout=log, stderr=log, check=False).returncode
        if status:
            raise ServiceError(f"Airflow's metadata database could not be migrated: see {log_file}")
        connection.execute(f"comment on database airflow is '{migrated}'")


def full_environment(state: State, socket_dir: Path, ports: dict[str, int]) -> dict[str, str]:
    return environment.base_environment() | environment.airflow_environment(state, socket_dir, ports)


def dashboards_command(port: int) -> list[str]:
    return [PYTHON, "-m", "dashboards", "--host", LOOPBACK, "--port", str(port)]


def answers(address: str) -> bool:
    try:
        return httpx.get(f"{address}/health", timeout=5, trust_env=False).is_success
    except httpx.HTTPError:
        return False


def run_demo(state: State, *, once: bool) -> int:
    with Stack(state, "demo") as stack:
        succeeded = stack.run_simulated_day()
        print_summary(stack.owner_conninfo)
        if once:
            return 0 if succeeded else 1
        while True:
            stack.print_addresses()
            say(f"Today is {stack.simulator.clock()['now']} there: the logical date for runs you trigger in Airflow.")
            say("\nPress Enter for the next simulated day, Ctrl-C to stop everything.")
            stack.wait_for_enter()
            stack.run_simulated_day()
            print_summary(stack.owner_conninfo)


def run_up(state: State) -> int:
    if not environment.ENV_FILE.exists():
        raise StateError("There is no .env: copy .env.example and fill in your Spotify app's client id and secret.")
    load_dotenv(environment.ENV_FILE)  # the ports
    with Stack(state, "real") as stack:
        stack.print_addresses()
        say(f"Exports      put them into {stack.environment['LISTENING_EXPORTS']}/<user_id>/\n")
        if not stack.accounts():
            say("No Spotify account is authorized: run `make authorize` in another terminal; until then the DAG rests.")
            stack.wait(until=stack.accounts)
        stack.airflow.unpause(DAG_ID)
        say(f"Authorized: {', '.join(stack.accounts())}. The DAG runs on its schedule.")
        say("All of it runs until you press Ctrl-C.")
        stack.wait()
    return 0


def run_dashboards(state: State) -> int:
    with postgres.server(state.postgres) as socket_dir, ExitStack() as started:
        prepare_listening_database(socket_dir)
        ports = {**known_ports(state.ports), "dashboards": choose_port("dashboards")}
        services = Services(state.logs, f"{state.folder} dashboards {os.getpid()}")
        started.callback(services.stop)
        env = environment.base_environment() | environment.dashboards_environment(socket_dir, ports)
        services.start("dashboards", dashboards_command(ports["dashboards"]), env, PROJECT)
        services.wait_until("dashboards", partial(answers, env["DASHBOARDS_URL"]), 60)
        say(f"Dashboards   {env['DASHBOARDS_URL']}\n\nThey run until you press Ctrl-C.")
        while True:
            services.check()
            time.sleep(1)


def run_command(state: State, command: Sequence[str], *, real: bool) -> int:
    """Run a program with the whole environment: databases up and migrated, connections, Airflow's settings."""
    if real:
        state.claim("real")
        load_dotenv(environment.ENV_FILE)
    with postgres.server(state.postgres) as socket_dir:
        prepare_listening_database(socket_dir)
        program, *arguments = command
        if program == "psql":
            program = postgres.psql_command()
            env = environment.base_environment() | environment.database_environment(socket_dir)
        else:
            program = PYTHON if program == "python" else program
            env = full_environment(state, socket_dir, known_ports(state.ports)) | environment.database_environment(
                socket_dir
            )
            prepare_metadata(state, socket_dir, env)
        # A Ctrl-C belongs to the program; this one waits for it, whatever it does.
        for number in (signal.SIGINT, signal.SIGQUIT):
            signal.signal(number, lambda *_: None)
        return subprocess.run([program, *arguments], env=env, check=False).returncode


def stop(state: State) -> int:
    runner = running_stack(state)
    if runner is not None:
        say(f"Stopping the stack (process {runner.pid})")
        runner.terminate()
        try:
            runner.wait(STOP_TIMEOUT)
        except psutil.TimeoutExpired:
            runner.kill()
    left = end_marked(str(state.folder))
    if state.postgres.exists():
        with postgres.server(state.postgres):
            pass  # the last to leave stops it
    if left:
        say(f"Ended {left} processes of a start that was killed")
    say("Nothing runs." if runner is None and not left else "Stopped.")
    return 0


def clean(state: State, *, yes: bool) -> int:
    if state.kind == "real" and not yes:
        raise StateError(f"{state.folder} holds real listeners' data. `make clean YES=1` removes it for good.")
    stop(state)
    for path in state.everything:
        shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
    return 0


def stop_on_signals() -> None:
    """Ctrl-C, a kill and a closed terminal all leave through the same door; once on the way out, nothing interrupts."""

    def leave(number: int, frame: FrameType | None) -> None:
        for signal_number in numbers:
            signal.signal(signal_number, signal.SIG_IGN)
        say("\nStopping …")
        raise KeyboardInterrupt

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    for number in numbers:
        signal.signal(number, leave)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m include.stack.local.stack", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("demo", help="the demo, until Ctrl-C")
    commands.add_parser("demo-once", help="the demo, one run; exit status 0 only if it succeeded")
    commands.add_parser("up", help="the stack against the real Spotify, until Ctrl-C")
    commands.add_parser("dashboards", help="only the dashboards, until Ctrl-C")
    commands.add_parser("stop", help="stop a stack started elsewhere, and what a killed one left")
    cleaning = commands.add_parser("clean", help="remove all state")
    cleaning.add_argument("--yes", action="store_true", help="also real listeners' data")
    execution = commands.add_parser("exec", help="run a program (psql, python, …) in the stack's environment")
    execution.add_argument("--real", action="store_true", help="this state is for real listeners")
    execution.add_argument("program", nargs="+")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(arguments)
    state = State.from_environment()
    stop_on_signals()
    commands: dict[str, Callable[[], int]] = {
        "demo": lambda: run_demo(state, once=False),
        "demo-once": lambda: run_demo(state, once=True),
        "up": lambda: run_up(state),
        "dashboards": lambda: run_dashboards(state),
        "stop": lambda: stop(state),
        "clean": lambda: clean(state, yes=options.yes),
        "exec": lambda: run_command(state, options.program, real=options.real),
    }
    try:
        return commands[options.command]()
    except KeyboardInterrupt:
        return 0 if options.command in ("demo", "up", "dashboards") else 130
    except (StateError, ServiceError, RuntimeError, TimeoutError, httpx.HTTPError) as error:
        print(f"\n{error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
