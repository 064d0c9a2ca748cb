"""Runs the benchmarks, all or those named, prints a table and writes bench.json: `python -m tests.benchmarks [name …]`.

What servers and steps say goes to bench.log beside it.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import time
import traceback
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict

from include.stack.local.state_folder import StateFolder
from tests.benchmarks import Figure, load, measure, write_to


def main() -> int:
    known = load()
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help=f"one of: {', '.join(known)}")
    names = parser.parse_args().names or known
    if unknown := set(names) - set(known):
        parser.error(f"no benchmark {', '.join(sorted(unknown))}; there are: {', '.join(known)}")

    folder = StateFolder.from_environment().folder
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "bench.log"
    log.write_text("")
    figures: list[Figure] = []
    broken = []
    spawn = multiprocessing.get_context("spawn")
    for name in names:
        began = time.monotonic()
        if sys.stderr.isatty():
            print(f"{name} …", end=" ", file=sys.stderr, flush=True)
        with ProcessPoolExecutor(1, mp_context=spawn, initializer=write_to, initargs=(log,)) as process:
            try:
                figures += process.submit(measure, name).result()
            except Exception:  # one that breaks must not hide the others' figures
                broken.append(name)
                with log.open("a") as file:
                    traceback.print_exc(file=file)
        if sys.stderr.isatty():
            print(f"{time.monotonic() - began:.0f} s", file=sys.stderr)

    print(f"{'figure':32}{'value':>12}  {'unit':12}{'target':16}ok")
    for figure in figures:
        print(f"{figure.name:32}{figure.value:12.3f}  {figure.unit:12}{figure.target:16}{'yes' if figure.ok else 'NO'}")
    print(f"\nWhat servers and steps said: {log}")
    (folder / "bench.json").write_text(json.dumps([asdict(figure) for figure in figures], indent=2) + "\n")
    if broken:
        print(f"Broken, see there: {', '.join(broken)}", file=sys.stderr)
    return 1 if broken or not all(figure.ok for figure in figures) else 0


if __name__ == "__main__":
    sys.exit(main())
