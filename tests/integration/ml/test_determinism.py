"""The same tables give the same output when run again, with other hash seeds and thread counts, and on other Pythons.

OTHER_PYTHONS lists further interpreters (paths, separated by spaces), of environments made from requirements.lock.
"""

import os
import subprocess
import sys
from datetime import UTC, date, datetime
from pathlib import Path

from include.demo.listeners import invent_listener
from include.demo.listening_history import build_history
from tests.integration.ml.staging import fill

PROJECT = Path(__file__).parents[3]


def test_every_interpreter_thread_count_and_hash_seed_gives_the_same_rows(connection, writer_conninfo):
    for seed in (31, 32):
        listener = invent_listener(f"listener {seed}", seed, first_day=date(2024, 6, 1))
        fill(connection, build_history(listener, until=datetime(2024, 11, 1, tzinfo=UTC)))
    connection.execute("update listeners set shares_history = true")
    connection.commit()
    runs = [(sys.executable, "1", "1"), (sys.executable, "2", "2")]
    runs += [(python, "2", "3") for python in os.environ.get("OTHER_PYTHONS", "").split()]
    digests = {}
    for python, threads, hash_seed in runs:
        environment = os.environ | {
            "PYTHONPATH": str(PROJECT),
            "PYTHONHASHSEED": hash_seed,
            "OMP_NUM_THREADS": threads,
            "OPENBLAS_NUM_THREADS": threads,
        }
        version = subprocess.run([python, "--version"], capture_output=True, text=True, check=True).stdout.strip()
        command = [python, "-m", "tests.integration.ml.layer", writer_conninfo]
        done = subprocess.run(command, env=environment, cwd=PROJECT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        digests[f"{version}, {threads} threads, hash seed {hash_seed}"] = done.stdout.strip()
    print("\n".join(f"{used}: {digest}" for used, digest in digests.items()))
    assert len(set(digests.values())) == 1
