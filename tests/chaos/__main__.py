"""Kills and starves a running demo, and compares what it ends with: `python -m tests.chaos` (`make chaos`).

The same simulated days run twice, each time in a new stack: first with a fault every few seconds, of a kind and at a
moment that the seed decides, then without. What was killed is restarted, as a restart policy would; a run that failed
for good is triggered again, as a person would. At the end both databases must hold the same raw rows and tables, by
their checksums.

The listening data and Airflow's metadata have a PostgreSQL server each. The listening data's server has a small disk of
its own (a file, mounted: needs root), which one kind of fault fills.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import time
from inspect import GEN_CLOSED, getgeneratorstate
from itertools import count

import psycopg

from include.operations.backup import backup
from include.operations.checksums import TableSum, checksums, differences
from include.stack.local.ports import DEFAULTS, choose_port
from include.stack.local.signals import stop_on_signals
from include.stack.local.stack import Stack
from include.stack.local.state_folder import StateFolder
from tests.chaos.faults import FAULTS, DisturbedStack, in_turn
from tests.chaos.stacks import new_stack

# Two equal stacks differ in when a row was written, and by which run.
COMPARED_RAW = """
    select count(*), coalesce(sum(('x' || left(md5(row(
        user_id, source, event_key, played_at, item_type, track_id, payload
    )::text), 16))::bit(64)::bigint::numeric), 0)::text
    from raw_listening_events
"""


def contents(stack: Stack) -> dict[str, TableSum]:
    """Return the sums of what must be equal: the raw rows, and every table of analytics and ml.

    Writes a backup beside the stack's folder, in which to look up differences.
    """
    with stack.state.folder.with_suffix(".tar").open("wb") as file:
        backup(stack.owner_conninfo, file)
    with psycopg.connect(stack.owner_conninfo) as connection, connection.transaction(force_rollback=True):
        # Track lengths arrive with the metadata, at any time; a playlist's length is the sum of those known by then.
        connection.execute("update ml.playlists set ms_total = 0")
        sums = {name: table for name, table in checksums(connection).items() if name.startswith(("analytics.", "ml."))}
        rows, checksum = connection.execute(COMPARED_RAW).fetchone() or (0, "")
    return sums | {"raw_listening_events": {"rows": rows, "checksum": checksum}}


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="make chaos", description="Kill and starve a demo; compare it with an undisturbed one."
    )
    parser.add_argument("--rounds", type=int, default=200, help="faults at most (default: %(default)s)")
    parser.add_argument("--minutes", type=float, default=20, help="of faults at most (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--fault", action="append", choices=list(FAULTS), help="only this kind; may be repeated")
    options = parser.parse_args()
    stop_on_signals()
    os.environ |= {f"{service.upper()}_PORT": "0" for service in DEFAULTS}
    os.environ["SIMULATOR_PORT"] = str(choose_port("simulator"))  # one for both stacks: it is part of Spotify's answers
    names = options.fault or list(FAULTS)
    disk = os.geteuid() == 0
    if not disk:
        names = [name for name in names if name != "disk full"]
        print("Not root, so there is no disk to fill: 'disk full' is left out")
    folder = StateFolder.from_environment().folder / "chaos"
    with new_stack(folder / "disturbed", disk=disk) as stack:
        start = stack.clock.start
        random_ = random.Random(options.seed)
        disturbed_stack = DisturbedStack(stack, random_)
        faults = in_turn(names, random_, options.rounds, options.minutes)
        for steps in count(1):
            in_peace = getgeneratorstate(faults) == GEN_CLOSED
            before, began = disturbed_stack.struck.total(), time.monotonic()
            runs = disturbed_stack.run_a_step(faults)
            struck = disturbed_stack.struck.total() - before
            print(f"step {steps:3}  {struck:3} faults {runs} runs {time.monotonic() - began:6.0f} s", flush=True)
            if in_peace:
                break
        disturbed_stack.mend()
        disturbed = contents(stack)
    with new_stack(folder / "calm", start, disk=disk) as stack:
        undisturbed_stack = DisturbedStack(stack, random.Random())
        for _ in range(steps):
            undisturbed_stack.run_a_step(iter(()))
        undisturbed = contents(stack)
    print("\n".join(f"{times:4} × {name}" for name, times in sorted(disturbed_stack.struck.items())))
    total = disturbed_stack.struck.total()
    if wrong := differences(undisturbed, disturbed):
        print("\n".join([f"After {total} faults the tables differ (backups in {folder}):", *wrong]), file=sys.stderr)
        return 1
    rows = undisturbed["raw_listening_events"]["rows"]
    print(f"After {total} faults in {steps} steps all is the same: {rows} raw rows, {len(undisturbed)} tables equal")
    return 0


if __name__ == "__main__":
    sys.exit(main())
