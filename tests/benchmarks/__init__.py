"""Benchmarks: `make bench` runs every function marked `@benchmark` in the modules of this package, each in a process of
its own, so that one's memory and imports do not count for another.

A benchmark takes nothing, generates its data, measures, and returns its figures (`at_most`, `at_least`).
"""

from __future__ import annotations

import importlib
import os
import pkgutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Figure:
    """One measured figure: `target` in words, `ok` whether it is met."""

    name: str
    value: float
    unit: str
    target: str
    ok: bool


Benchmark = Callable[[], list[Figure]]
registered: dict[str, Benchmark] = {}


def benchmark(function: Benchmark) -> Benchmark:
    """Register a module-level function under its name."""
    registered[function.__name__] = function
    return function


def at_most(name: str, value: float, unit: str, limit: float) -> Figure:
    return Figure(name, value, unit, f"at most {limit:g}", value <= limit)


def at_least(name: str, value: float, unit: str, limit: float) -> Figure:
    return Figure(name, value, unit, f"at least {limit:g}", value >= limit)


def load() -> list[str]:
    """Import every module of the package; return the names of the benchmarks, in a fixed order."""
    for module in sorted(module.name for module in pkgutil.iter_modules(__path__)):
        if module != "__main__":
            importlib.import_module(f"tests.benchmarks.{module}")
    return list(registered)


def measure(name: str) -> list[Figure]:
    """Run one benchmark; for a fresh process, which has loaded none."""
    load()
    return registered[name]()


def write_to(log: Path) -> None:
    """Everything that this process and those it starts print goes to the log."""
    with log.open("a") as file:
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)


@contextmanager
def listening_database() -> Iterator[Path]:
    """Socket directory of a new server, set up as the product's own, with an empty, migrated listening database."""
    from include.stack.local import postgres
    from include.stack.local.databases import prepare_listening_database

    with tempfile.TemporaryDirectory(prefix="bench") as folder, postgres.server(Path(folder) / "data") as socket_dir:
        prepare_listening_database(socket_dir)
        yield socket_dir
