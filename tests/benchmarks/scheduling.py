"""What the pipeline's work adds to what Airflow's scheduling costs anyway."""

from __future__ import annotations

import json
import os
import statistics
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg

from include import PROJECT
from tests.benchmarks import Figure, at_most, benchmark

if TYPE_CHECKING:
    from include.stack.local.stack import Stack

DAYS = 3
LOCAL_BUNDLE = "airflow.dag_processing.bundles.local.LocalDagBundle"
NOOP = "noop"
NOOP_FOLDER = Path(__file__).parent / "dags"


@benchmark
def dag_wall_vs_noop() -> list[Figure]:
    """Wall time of a daily run over that of a no-op DAG of the same shape, on the same scheduler.

    The daily runs are the demo's: four listeners with years of history, one new day each, as any later day's: all
    audio features are fetched, and the history was not stored within the last hour. Both in turn; medians' ratio.
    """
    from include.stack.local.ports import DEFAULTS
    from include.stack.local.stack import Stack
    from include.stack.local.state_folder import StateFolder

    os.environ |= {f"{service.upper()}_PORT": "0" for service in DEFAULTS}
    bundles = [
        {"name": name, "classpath": LOCAL_BUNDLE, "kwargs": {"path": str(path)}}
        for name, path in (("dags-folder", PROJECT / "dags"), (NOOP, NOOP_FOLDER))
    ]
    settings = {"AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps(bundles)}
    with (
        tempfile.TemporaryDirectory(prefix="bench") as folder,
        Stack(StateFolder(Path(folder)), "demo", settings=settings) as stack,
    ):
        stack.services.wait_until("dag-processor", lambda: stack.airflow.dag_exists(NOOP), 120)
        stack.airflow.unpause(NOOP)
        _noop_run(stack)  # the first run of each loads what later ones have
        _daily_run(stack)
        _settle(stack)
        _daily_run(stack)  # works off what settling marked
        rounds = [(_noop_run(stack), _daily_run(stack)) for _ in range(DAYS)]
    noop, daily = (statistics.median(seconds) for seconds in zip(*rounds, strict=True))
    return [at_most("dag_wall_vs_noop", daily / noop, "ratio", 1.5)]


def _settle(stack: Stack) -> None:
    """What else takes a demo's first days: the audio features, a part a run, and scans that look back an hour."""
    from include.ingestion.audio_features import fetch_audio_features

    with psycopg.connect(stack.owner_conninfo) as connection:
        now = datetime.now(UTC)
        while fetch_audio_features(connection, None, now=now, reccobeats_url=stack.environment["RECCOBEATS_URL"]):
            pass
        connection.execute("alter table raw_listening_events disable trigger user")
        connection.execute("update raw_listening_events set ingested_at = ingested_at - interval '2 hours'")
        connection.execute("alter table raw_listening_events enable trigger user")


def _noop_run(stack: Stack) -> float:
    from include.stack.local.run_progress import follow
    from include.stack.local.stack import RUN_TIMEOUT

    run_id = stack.airflow.trigger(NOOP, run_after=stack.clock.begin_run())
    follow(stack.airflow, NOOP, run_id, lambda _: None, stack.services.check, RUN_TIMEOUT)
    return _seconds(stack, NOOP, run_id)


def _daily_run(stack: Stack) -> float:
    from include.operations.airflow_client import DAG_ID

    stack.run_simulated_day()
    return _seconds(stack, DAG_ID, stack.airflow.runs(DAG_ID)[0]["dag_run_id"])


def _seconds(stack: Stack, dag_id: str, run_id: str) -> float:
    run = stack.airflow.run(dag_id, run_id)
    if run["state"] != "success":
        raise RuntimeError(f"Run {run_id} of {dag_id} ended as {run['state']}")
    return (datetime.fromisoformat(run["end_date"]) - datetime.fromisoformat(run["start_date"])).total_seconds()
