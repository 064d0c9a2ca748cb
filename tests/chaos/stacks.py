"""The demo stacks that are compared, each with a small disk and two PostgreSQL servers of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from pathlib import Path

from include import PROJECT
from include.stack.demo import SimulatedClock
from include.stack.local import postgres
from include.stack.local.stack import Stack
from include.stack.local.state_folder import StateFolder

# One import, of a year, is long enough to be killed in; all other rows come from the API.
LISTENERS_WITH_EXPORT = ("carl",)
EXPORT_AGE = timedelta(days=730)
STEP = timedelta(hours=4)  # between two runs: few enough plays for Spotify's window, so that none may be missing
DISK_BYTES = 3 << 30
NOTICE_DEATHS_SOONER = {
    # Airflow notices a killed task after five minutes; here sooner, so that more faults fit into the time.
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "30",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
    "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "5",
    "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "15",
    "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "10",
}
# Audio features arrive at any time, in an undisturbed run too; without them there is only one right outcome.
NO_AUDIO_FEATURES = {"RECCOBEATS_URL": "http://127.0.0.1:9"}


class ChaosClock(SimulatedClock):
    """Moves on by STEP after each run that succeeded."""

    def advance(self) -> None:
        steps = (self.now - self.start) // STEP + 1
        self._write(self.start, self.start + steps * STEP)


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """Mount a file system of DISK_BYTES at `folder`."""
    image = folder.with_name(folder.name + ".img")
    folder.mkdir(parents=True)
    with image.open("wb") as file:
        file.truncate(DISK_BYTES)
    subprocess.run(["mkfs.ext4", "-q", "-F", "-m", "0", image], check=True)
    subprocess.run(["mount", "-o", "loop", image, folder], check=True)
    try:
        folder.chmod(0o755)
        yield
    finally:
        subprocess.run(["umount", folder], check=True)
        image.unlink()


def write_exports(state: StateFolder) -> None:
    """Write the exports of a few listeners; the stack itself would write everyone's."""
    state.exports.mkdir(parents=True)
    until = (SimulatedClock(state.clock).start - EXPORT_AGE).isoformat()
    command = [sys.executable, "-m", "include.demo.exports", "--until", until, "--out", str(state.exports)]
    for user_id in LISTENERS_WITH_EXPORT:
        subprocess.run([*command, "--listener", user_id], check=True, cwd=PROJECT, stdout=subprocess.DEVNULL)


def metadata_server(state: StateFolder) -> Path:
    """The data directory of the server for Airflow's metadata."""
    return state.folder / "metadata" / "data"


@contextmanager
def new_stack(folder: Path, start: datetime | None = None, *, disk: bool) -> Iterator[Stack]:
    """Start a new demo, at its usual first moment or at `start`."""
    if os.path.ismount(folder / "postgres"):  # left by a run that was killed
        subprocess.run(["umount", folder / "postgres"], check=True)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    state = StateFolder(folder)
    clock = SimulatedClock(state.clock)
    if start:
        clock._write(start, start)
    write_exports(state)
    with ExitStack() as stack:
        if disk:
            stack.enter_context(small_disk(state.postgres.parent))
        metadata_dir = stack.enter_context(postgres.server(metadata_server(state)))
        settings = NOTICE_DEATHS_SOONER | NO_AUDIO_FEATURES
        yield stack.enter_context(Stack(state, "demo", settings=settings, metadata_dir=metadata_dir))
