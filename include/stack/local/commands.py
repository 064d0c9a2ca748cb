"""The commands of `python -m include.stack.local`, one function each; what they return is the exit status."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial

import psutil
from dotenv import load_dotenv

from include import PROJECT
from include.operations.airflow_client import DAG_ID
from include.operations.installation import dashboards_answer
from include.operations.postgres_programs import postgres_program
from include.stack.local import environment_variables as variables
from include.stack.local import postgres
from include.stack.local.data_summary import print_data_summary
from include.stack.local.databases import prepare_listening_database, prepare_metadata_database
from include.stack.local.ports import choose_port, known_ports
from include.stack.local.services import Services, end_marked
from include.stack.local.stack import PYTHON, Stack, dashboards_command, say
from include.stack.local.stack_lock import running_stack
from include.stack.local.state_folder import SetupError, StateFolder

STOP_TIMEOUT = 90  # seconds


def run_demo(state: StateFolder, *, once: bool) -> int:
    """Start the demo and run one day; then, unless `once`, a further day whenever Enter is pressed."""
    with Stack(state, "demo") as stack:
        succeeded = stack.run_simulated_day()
        print_data_summary(stack.owner_conninfo)
        if once:
            return 0 if succeeded else 1
        while True:
            stack.print_addresses()
            say(f"The demo's time is {stack.simulator.clock()['now']}: runs you trigger in Airflow need this date.")
            say("\nPress Enter for the next simulated day, Ctrl-C to stop everything.")
            stack.wait_for_enter()
            stack.run_simulated_day()
            print_data_summary(stack.owner_conninfo)


def run_up(state: StateFolder) -> int:
    """Start the stack against the real Spotify, and unpause the DAG as soon as an account is authorized.

    :raises SetupError: there is no .env.
    """
    if not variables.ENV_FILE.exists():
        raise SetupError("There is no .env: copy .env.example and fill in your Spotify app's client id and secret.")
    load_dotenv(variables.ENV_FILE)  # the ports
    with Stack(state, "real") as stack:
        stack.print_addresses()
        say(f"Exports      put them into {stack.environment['LISTENING_EXPORTS']}/<user_id>/\n")
        if not stack.accounts():
            say("No Spotify account is authorized: run `make authorize` in another terminal. The DAG waits for it.")
            stack.wait(until=stack.accounts)
        stack.airflow.unpause(DAG_ID)
        say(f"Authorized: {', '.join(stack.accounts())}. The DAG runs on its schedule.")
        say("Everything runs until you press Ctrl-C.")
        stack.wait()
    return 0


def run_dashboards(state: StateFolder) -> int:
    """Serve only the dashboards, until a signal."""
    with postgres.server(state.postgres) as socket_dir, ExitStack() as started:
        prepare_listening_database(socket_dir)
        ports = {**known_ports(state.ports), "dashboards": choose_port("dashboards")}
        services = Services(state.logs, f"{state.folder} dashboards {os.getpid()}")
        started.callback(services.stop)
        env = variables.base_environment() | variables.dashboards_environment(socket_dir, ports)
        services.start("dashboards", dashboards_command(ports["dashboards"]), env, PROJECT)
        services.wait_until("dashboards", partial(dashboards_answer, env["DASHBOARDS_URL"]), 60)
        say(f"Dashboards   {env['DASHBOARDS_URL']}\n\nRunning until you press Ctrl-C.")
        while True:
            services.check()
            time.sleep(1)


def run_command(state: StateFolder, command: Sequence[str], *, real: bool) -> int:
    """Run a program with the stack's databases and environment variables; return its exit status.

    :param real: this state folder is for real listeners.
    """
    if real:
        state.claim("real")
        load_dotenv(variables.ENV_FILE)
    with postgres.server(state.postgres) as socket_dir:
        prepare_listening_database(socket_dir)
        program, *arguments = command
        if program == "psql":
            program = postgres_program("psql")
            env = variables.base_environment() | variables.database_environment(socket_dir)
        else:
            program = PYTHON if program == "python" else program
            env = variables.airflow_environment(state, socket_dir, known_ports(state.ports))
            env |= variables.database_environment(socket_dir)
            prepare_metadata_database(state, socket_dir, env)
        # Ctrl-C is for the program, which decides what to do; this process only waits for it.
        for number in (signal.SIGINT, signal.SIGQUIT):
            signal.signal(number, lambda *_: None)
        return subprocess.run([program, *arguments], env=env, check=False).returncode


def stop(state: StateFolder) -> int:
    """Stop a stack started elsewhere, and whatever a killed one left running."""
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
            pass  # the last process that leaves this context stops the server
    if left:
        say(f"Ended {left} processes that a killed stack had left")
    say("Nothing was running." if runner is None and not left else "Stopped.")
    return 0


def clean(state: StateFolder, *, yes: bool) -> int:
    """Stop the stack and remove its state.

    :raises SetupError: the state is a real listener's, and `yes` was not given.
    """
    if state.kind == "real" and not yes:
        raise SetupError(f"{state.folder} holds real listeners' data. `make clean YES=1` removes it for good.")
    stop(state)
    for path in state.everything:
        shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
    return 0
