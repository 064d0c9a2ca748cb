"""The ml layer on a listener of a million plays in a hundred thousand sessions, against the plain script."""

from __future__ import annotations

import multiprocessing
import resource
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import psycopg

from include.operations.listening_database import LISTENING_DATABASE
from include.stack.local import postgres
from tests.benchmarks import Figure, at_least, at_most, benchmark, listening_database
from tests.support.plain_script import AS_OF, assert_same, fill, plain_script

SESSIONS = 100_000


@benchmark
def ml_layer() -> list[Figure]:
    """Features to playlists: the plain script's time over ours, and our process's peak memory, imports included."""
    with listening_database() as socket_dir:
        conninfo, owner = (
            postgres.conninfo(socket_dir, LISTENING_DATABASE, f"listening_{role}") for role in ("writer", "owner")
        )
        fill(conninfo, owner, SESSIONS)
        plain, plain_mb, expected = measured(plain_script, conninfo)
        ours, ours_mb, _ = measured(our_steps, conninfo)
        with psycopg.connect(conninfo) as connection:
            assert_same(connection, expected)
    return [
        Figure("ml_seconds", ours, "s", "", True),
        Figure("ml_plain_seconds", plain, "s", "", True),
        at_least("ml_vs_plain", plain / ours, "times as fast", 1),
        at_most("ml_peak_mb", ours_mb, "MB", 500),
        Figure("ml_plain_peak_mb", plain_mb, "MB", "", True),
    ]


def measured(work: Callable[[str], Any], conninfo: str) -> tuple[float, float, Any]:
    """Seconds and peak MB of a process that does nothing else, and what it returned."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
        return process.submit(measure_here, work, conninfo).result()


def measure_here(work: Callable[[str], Any], conninfo: str) -> tuple[float, float, Any]:
    began = time.perf_counter()
    result = work(conninfo)
    return time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, result


def our_steps(conninfo: str) -> None:
    from ml.features.session_features import build_session_features
    from ml.personas.personas import label_personas
    from ml.personas.session_clusters import cluster_sessions
    from ml.playlists.cooccurrence import artist_cooccurrence
    from ml.playlists.playlists import generate_playlists

    with psycopg.connect(conninfo) as connection:
        for step in (build_session_features, cluster_sessions, label_personas, artist_cooccurrence, generate_playlists):
            step(connection, as_of=AS_OF)
