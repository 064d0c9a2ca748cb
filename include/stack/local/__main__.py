"""The whole product on one machine, without Docker: `python -m include.stack.local demo|demo-once|up|stop|…`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

import httpx

from include.stack.local import commands
from include.stack.local.services import ServiceError
from include.stack.local.signals import stop_on_signals
from include.stack.local.state_folder import SetupError, StateFolder


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m include.stack.local", description=__doc__)
    subparsers = parser.add_subparsers(dest="command", required=True)
    subparsers.add_parser("demo", help="the demo, until Ctrl-C")
    subparsers.add_parser("demo-once", help="the demo, one run; exit status 0 only if it succeeded")
    subparsers.add_parser("up", help="the stack against the real Spotify, until Ctrl-C")
    subparsers.add_parser("dashboards", help="only the dashboards, until Ctrl-C")
    subparsers.add_parser("stop", help="stop a stack started elsewhere, and whatever a killed one left running")
    cleaning = subparsers.add_parser("clean", help="remove all state")
    cleaning.add_argument("--yes", action="store_true", help="also real listeners' data")
    execution = subparsers.add_parser("exec", help="run a program (psql, python, …) in the stack's environment")
    execution.add_argument("--real", action="store_true", help="this state is for real listeners")
    execution.add_argument("program", nargs="+")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(arguments)
    state = StateFolder.from_environment()
    stop_on_signals()
    chosen: dict[str, Callable[[], int]] = {
        "demo": lambda: commands.run_demo(state, once=False),
        "demo-once": lambda: commands.run_demo(state, once=True),
        "up": lambda: commands.run_up(state),
        "dashboards": lambda: commands.run_dashboards(state),
        "stop": lambda: commands.stop(state),
        "clean": lambda: commands.clean(state, yes=options.yes),
        "exec": lambda: commands.run_command(state, options.program, real=options.real),
    }
    try:
        return chosen[options.command]()
    except KeyboardInterrupt:
        return 0 if options.command in ("demo", "up", "dashboards") else 130
    except (SetupError, ServiceError, RuntimeError, TimeoutError, httpx.HTTPError) as error:
        print(f"\n{error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
