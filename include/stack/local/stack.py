"""Everything that runs on one machine: databases, Airflow, dashboards and, for the demo, a simulated Spotify."""

from __future__ import annotations

import select
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import requests

from include import PROJECT
from include.demo.simulator.client import SimulatorClient
from include.operations.airflow_client import ADMIN, DAG_ID, AirflowClient, AlreadyExists
from include.operations.installation import dashboards_answer
from include.operations.listening_database import LISTENING_DATABASE
from include.stack import demo
from include.stack.local import environment_variables as variables
from include.stack.local import postgres
from include.stack.local.databases import prepare_listening_database, prepare_metadata_database
from include.stack.local.ports import LOOPBACK, choose_ports
from include.stack.local.run_progress import explain_failure, follow
from include.stack.local.services import ServiceError, Services, end_marked
from include.stack.local.stack_lock import only_stack
from include.stack.local.state_folder import StateFolder

RUN_TIMEOUT = 30 * 60  # seconds
PYTHON = sys.executable


def say(text: str = "") -> None:
    """Print a line at once, even into a pipe."""
    print(text, flush=True)


class Stack:
    """A context: inside it everything runs and is healthy, after it nothing runs any more.

    :param state: the folder with its databases, logs and secrets.
    :param kind: `demo` (simulated Spotify) or `real`.
    :param say: prints a line of progress.
    :param settings: environment variables for Airflow beyond those of every stack.
    :param metadata_dir: the socket directory of a server for Airflow's metadata; by default the listening data's.
    :raises SetupError, ServiceError, RuntimeError: it could not start, with the reason; nothing is left running.
    """

    def __init__(
        self,
        state: StateFolder,
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
            variables.airflow_environment(self.state, self.socket_dir, self.ports)
            | variables.metadata_environment(metadata_dir)
            | dict(self.settings)
        )
        for folder in (self.state.exports, self.state.airflow_home):
            folder.mkdir(parents=True, exist_ok=True)
        if self.kind == "demo":
            self._start_simulator()
        prepare_metadata_database(self.state, metadata_dir, self.environment)
        done("Airflow's metadata database is ready")

        airflow = [PYTHON, "-m", "airflow"]
        self.services.start("api-server", [*airflow, "api-server"], self.environment, PROJECT)
        self.services.start("dag-processor", [*airflow, "dag-processor"], self.environment, PROJECT)
        self.services.start("triggerer", [*airflow, "triggerer", "--skip-serve-logs"], self.environment, PROJECT)
        self.services.start("scheduler", [*airflow, "scheduler", "--skip-serve-logs"], self.environment, PROJECT)
        if self.kind == "demo":
            self._prepare_demo()
            done("The simulated Spotify is up, the exports are written")

        self.airflow = AirflowClient(variables.address(self.ports["airflow"]), variables.admin_password(self.state))
        self.services.wait_until("api-server", lambda: set(self.airflow.health().values()) == {"healthy"}, 180)
        done("Airflow is healthy")
        self.services.wait_until("dag-processor", self._dag_is_there, 120)
        if self.kind == "demo":
            demo.authorize_accounts(self.airflow, self.simulator, self.clock.start)
        self.services.start(
            "dashboards",
            dashboards_command(self.ports["dashboards"]),
            variables.base_environment() | variables.dashboards_environment(self.socket_dir, self.ports),
            PROJECT,
        )
        self.services.wait_until("dashboards", partial(dashboards_answer, self.dashboards_address), 60)
        done("The dashboards are up")

    @property
    def airflow_address(self) -> str:
        return variables.address(self.ports["airflow"])

    @property
    def dashboards_address(self) -> str:
        return variables.address(self.ports["dashboards"])

    def _start_simulator(self) -> None:
        self.clock = demo.SimulatedClock(self.state.clock)
        self.simulator = SimulatorClient(variables.address(self.ports["simulator"]))
        self.state.simulator.mkdir(parents=True, exist_ok=True)
        command = [PYTHON, "-m", "include.demo.simulator", "--port", str(self.ports["simulator"])]
        base = variables.base_environment()
        self.services.start("simulator", [*command, "--state", str(self.state.simulator)], base, PROJECT)
        if not any(self.state.exports.iterdir()):
            # Written to another folder and moved when complete: a start that is killed leaves no half export.
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
        return postgres.conninfo(self.socket_dir, LISTENING_DATABASE, "listening_owner")

    def _dag_is_there(self) -> bool:
        for error in self.airflow.import_errors():
            raise ServiceError(f"{error['filename']} cannot be imported:\n{error['stack_trace']}")
        return self.airflow.dag_exists(DAG_ID)

    def run_simulated_day(self) -> bool:
        """Run the DAG on the demo's current day and print its progress; return whether it succeeded.

        After a success the demo's clock moves to the next day.
        """
        for unfinished in self.airflow.runs(DAG_ID, "queued", "running"):
            self.say(
                f"Run {unfinished['dag_run_id']} was interrupted when the stack stopped: it is marked failed and redone"
            )
            self.airflow.fail_run(DAG_ID, unfinished["dag_run_id"], "Interrupted when the stack stopped")
        self.airflow.unpause(DAG_ID)
        run_id = self.trigger()
        self.say(f"\nRun {run_id}, on the simulated day {self.clock.now:%Y-%m-%d}")
        succeeded = self.follow(run_id)
        if succeeded:
            self.clock.advance()
        return succeeded

    def trigger(self) -> str:
        """Start a run at the demo's current moment; return its id."""
        while True:
            now = self.clock.begin_run()
            self.simulator.set_clock(now)
            try:
                return self.airflow.trigger(DAG_ID, run_after=now)
            except AlreadyExists:
                continue  # the next moment is a minute later

    def follow(self, run_id: str) -> bool:
        """Print a run's progress until it ends; return whether it succeeded."""
        began = time.monotonic()
        state = follow(self.airflow, DAG_ID, run_id, self.say, self.services.check, RUN_TIMEOUT)
        self.say(f"The run took {time.monotonic() - began:.0f} s: {state}\n")
        if state != "success":
            explain_failure(self.airflow, DAG_ID, run_id, self.say)
        return state == "success"

    def print_addresses(self) -> None:
        self.say(f"Airflow      {self.airflow_address}  (user {ADMIN}, password {self.airflow.password})")
        self.say(f"Dashboards   {self.dashboards_address}")
        self.say(f"Logs         {self.state.logs}")

    def accounts(self) -> list[str]:
        """The ids of the Spotify connections in Airflow."""
        return [c["connection_id"] for c in self.airflow.connections() if c["conn_type"] == "spotify"]

    def wait(self, until: Callable[[], object] = lambda: False) -> None:
        """Wait until `until()` is true; by default until a signal stops the program.

        :raises ServiceError: a service has died.
        """
        while not until():
            self.services.check()
            time.sleep(2)

    def wait_for_enter(self) -> None:
        """Wait until someone presses Enter; without a terminal, until a signal stops the program.

        :raises ServiceError: a service has died.
        """
        if not sys.stdin.isatty():
            self.wait()
        while not select.select([sys.stdin], [], [], 1)[0]:
            self.services.check()
        if not sys.stdin.readline():  # the terminal is gone
            self.wait()


def dashboards_command(port: int) -> list[str]:
    """The command that serves the dashboards on that port of 127.0.0.1."""
    return [PYTHON, "-m", "dashboards", "--host", LOOPBACK, "--port", str(port)]
