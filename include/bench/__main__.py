"""Runs the benchmarks, all or those named, prints a table and writes bench.json: `python -m include.bench [name …]`."""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import time
import traceback
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict

from include.bench import Figure, load, measure
from include.local.state import State


def main() -> int:
    known = load()
    parser = argparse.ArgumentParser(prog="python -m include.bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help=f"one of: {', '.join(known)}")
    names = parser.parse_args().names or known
    if unknown := set(names) - set(known):
        parser.error(f"no benchmark {', '.join(sorted(unknown))}; there are: {', '.join(known)}")

    figures: list[Figure] = []
    broken = []
    spawn = multiprocessing.get_context("spawn")
    for name in names:
        print(f"{name} …", end=" ", flush=True)
        began = time.monotonic()
        with ProcessPoolExecutor(1, mp_context=spawn) as process:
            try:
                figures += process.submit(measure, name).result()
            except Exception:  # one that breaks must not hide the others' figures
                broken.append(name)
                traceback.print_exc()
        print(f"{time.monotonic() - began:.0f} s")

    print(f"\n{'figure':32}{'value':>12}  {'unit':12}{'target':16}ok")
    for figure in figures:
        print(f"{figure.name:32}{figure.value:12.3f}  {figure.unit:12}{figure.target:16}{'yes' if figure.ok else 'NO'}")
    file = State.from_environment().folder / "bench.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps([asdict(figure) for figure in figures], indent=2) + "\n")
    if broken:
        print(f"\nBroken: {', '.join(broken)}", file=sys.stderr)
    return 1 if broken or not all(figure.ok for figure in figures) else 0


if __name__ == "__main__":
    sys.exit(main())
