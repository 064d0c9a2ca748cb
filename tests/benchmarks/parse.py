"""How much the DAG file costs the DAG processor, which reads it every 30 seconds."""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys

from include import PROJECT
from include.stack.local.environment_variables import base_environment
from tests.benchmarks import Figure, at_most, benchmark

ROUNDS = 7


@benchmark
def parse_vs_sdk_import() -> list[Figure]:
    """CPU time of a process that parses the DAG file over that of one that only imports airflow.sdk.

    The ratio of the medians, both measured in turn.
    """
    environment = base_environment()
    environment["PYTHONPATH"] = os.pathsep.join(map(str, [PROJECT, PROJECT / "plugins"]))
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    importing = [sys.executable, "-c", "import airflow.sdk"]
    parsing = [sys.executable, str(PROJECT / "dags" / "spotify_listening.py")]
    for command in (importing, parsing):
        _cpu_seconds(command, environment)  # writes the bytecode
    rounds = [(_cpu_seconds(importing, environment), _cpu_seconds(parsing, environment)) for _ in range(ROUNDS)]
    imports, parses = (statistics.median(seconds) for seconds in zip(*rounds, strict=True))
    return [at_most("parse_vs_sdk_import", parses / imports, "ratio", 1.5)]


def _cpu_seconds(command: list[str], environment: dict[str, str]) -> float:
    def used() -> float:
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime

    before = used()
    subprocess.run(command, env=environment, check=True, capture_output=True)
    return used() - before
