"""Looks an installation over: `python -m include.operations.doctor` (`make doctor`).

One line per finding: ok, warn (will become a problem, or something is missing) or fail (something does not work), and
for the last two what to do. Exit status 1 if anything fails, so that cron or a monitor can call it: it also notices
what no alert inside Airflow can, that Airflow itself is down.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import httpx
import psycopg
from alembic.config import Config
from alembic.script import ScriptDirectory
from packaging.requirements import Requirement

from include import PROJECT
from include.ingestion.authorization import AUTHORIZATION_LASTS, WARN_AFTER
from include.operations import installation
from include.operations.airflow_client import DAG_ID, AirflowClient
from include.sql.holding import held_listeners
from include.sql.schema import migrate

LONGEST_SILENCE = timedelta(hours=26)  # a daily run, and two hours to do it
CALLS_A_DAY = 800  # the lowest count at which a development-mode app's quota was seen to run out
LOW_DISK, NO_DISK = 5 << 30, 1 << 30  # bytes


@dataclass(frozen=True)
class Finding:
    """:param status: ok, warn or fail. :param remedy: what to do; empty when ok."""

    status: str
    subject: str
    text: str
    remedy: str = ""


Findings = Iterator[Finding]


def check_packages(lock: Path = PROJECT / "requirements.lock") -> Findings:
    """Whether what is installed is what the lock says."""
    if not (3, 11) <= sys.version_info[:2] <= (3, 13):
        yield Finding("fail", "Python", sys.version.split()[0], "use Python 3.11, 3.12 or 3.13")
    if not lock.exists():  # an image is built from it and does without
        return
    other = []
    for line in lock.read_text().splitlines():
        if line[:1].isalnum():
            package = Requirement(line)
            if package.marker is None or package.marker.evaluate():
                try:
                    if not package.specifier.contains(version(package.name), prereleases=True):
                        other.append(f"{package.name} {version(package.name)}")
                except PackageNotFoundError:
                    other.append(f"{package.name} missing")
    if other:
        yield Finding("fail", "Packages", f"not as locked: {', '.join(other[:5])}", "make install")
    else:
        yield Finding("ok", "Packages", "as locked")


def check_disk(folder: Path = PROJECT) -> Findings:
    free = shutil.disk_usage(folder).free
    status = "fail" if free < NO_DISK else "warn" if free < LOW_DISK else "ok"
    yield Finding(status, "Disk", f"{free / 2**30:.1f} GiB free", "" if status == "ok" else "delete old logs, backups")


def check_schema(connection: psycopg.Connection) -> Findings:
    config = Config()
    config.set_main_option("script_location", str(Path(migrate.__file__).parent))
    head = ScriptDirectory.from_config(config).get_current_head()
    row = connection.execute("select to_regclass('alembic_version')").fetchone()
    found = None
    if row and row[0]:
        found = (connection.execute("select version_num from alembic_version").fetchone() or [None])[0]
    if found == head:
        yield Finding("ok", "Database", f"reachable, schema revision {found}")
    else:
        yield Finding("fail", "Database", f"schema revision {found}, the code wants {head}", "trigger a run")


def check_accounts(connection: psycopg.Connection, now: datetime) -> Findings:
    """Authorizations and how each account's last reading ended."""
    accounts = connection.execute("select user_id, authorized_at from listeners order by user_id").fetchall()
    if not accounts:
        yield Finding("warn", "Accounts", "none", "make authorize, or put an export into the export folder")
    for user_id, authorized_at in accounts:
        if authorized_at is None:
            yield Finding("ok", f"Account {user_id}", "from exports only")
            continue
        left = authorized_at + AUTHORIZATION_LASTS - now
        if left < timedelta(0):
            yield Finding("fail", f"Account {user_id}", "its authorization has expired", "make authorize again")
        elif now - authorized_at >= WARN_AFTER:
            text = f"its authorization ends in {left.days} days"
            yield Finding("warn", f"Account {user_id}", text, "make authorize for this account")
        else:
            yield Finding("ok", f"Account {user_id}", f"authorized for {left.days} more days")
    troubled = connection.execute(
        "select pipeline, user_id, status, message, retry_at from ingestion_state where status <> 'ok' order by 1, 2"
    ).fetchall()
    for pipeline, user_id, status, message, retry_at in troubled:
        text = f"{status}: {message or ''}" + (f" Next try at {retry_at:%Y-%m-%d %H:%M} UTC." if retry_at else "")
        waits = retry_at is not None and retry_at > now
        remedy = "nothing: it waits by itself" if waits else "see the task's log; the next run tries again"
        yield Finding("warn" if waits else "fail", f"{pipeline} {user_id}", text, remedy)
    for user_id, calls in connection.execute(
        "select user_id, sum(calls) from spotify_api_calls where called_on = %s group by 1 having sum(calls) >= %s",
        [now.date(), CALLS_A_DAY],
    ):
        yield Finding("warn", f"Account {user_id}", f"{calls} calls to Spotify today", "the quota may run out today")


def check_data(connection: psycopg.Connection) -> Findings:
    """Lost plays, files not loaded, checks that failed, work left over."""
    for user_id, gaps, since in connection.execute(
        "select user_id, count(*), min(gap_start) from ingestion_gaps where closed_at is null group by 1 order by 1"
    ):
        text = f"{gaps} gaps, the first on {since:%Y-%m-%d}: plays were lost"
        yield Finding("warn", f"History of {user_id}", text, "ask Spotify for the full export, import it")
    for user_id, file_name, message in connection.execute(
        "select user_id, file_name, message from ingested_files where status = 'rejected' order by 1, 2"
    ):
        yield Finding("warn", f"Export {file_name}", f"of {user_id}, rejected: {message}", "replace the file")
    for outcome, table, check, value in connection.execute(
        "select outcome, table_name, check_name, measured_value from qa_validation_results"
        " where outcome <> 'PASS'"
        " and run_id = (select run_id from qa_validation_results order by checked_at desc limit 1)"
        " order by outcome, 2, 3"
    ):
        status = "fail" if outcome == "FAIL" else "warn"
        yield Finding(status, f"Check on {table}", f"{outcome}: {check} (measured {value})", "see dashboard `quality`")
    for user_id, step, message in held_listeners(connection):
        remedy = "put the raw rows at fault into raw_quarantine, or mend the step; each run tries again"
        yield Finding("fail", f"{step} {user_id}", f"held: {message}", remedy)
    (days,) = connection.execute("select count(*) from pending_days").fetchone() or (0,)
    if days:
        yield Finding("warn", "Work left over", f"{days} marked days", "the next run does them; trigger one")


def check_airflow(client: AirflowClient | None, now: datetime) -> Findings:
    if client is None:
        yield Finding("fail", "Airflow", "does not answer", "make up (or make demo, or docker compose up -d --wait)")
        return
    sick = {name: state for name, state in client.health().items() if state != "healthy"}
    if sick:
        states = ", ".join(f"{name} {state}" for name, state in sick.items())
        yield Finding("fail", "Airflow", states, "see the component's log and restart it")
    else:
        yield Finding("ok", "Airflow", "all components healthy")
    for error in client.import_errors():
        yield Finding("fail", "DAG", f"{error['filename']} cannot be imported", error["stack_trace"].splitlines()[-1])
    if not client.dag_exists(DAG_ID):
        yield Finding("fail", "DAG", f"{DAG_ID} is unknown to Airflow", "see the DAG processor's log")
        return
    if client.is_paused(DAG_ID):
        yield Finding("warn", "DAG", "is paused: nothing runs by itself", "unpause it in Airflow")
    runs = client.runs(DAG_ID, "success", "failed")
    if runs and runs[0]["state"] == "failed":
        remedy = "open it in Airflow; the DAG's page says what each red task means"
        yield Finding("fail", "Last run", f"{runs[0]['dag_run_id']} failed", remedy)
    succeeded = [run for run in runs if run["state"] == "success"]
    if not succeeded:
        yield Finding("warn", "Last success", "no run has succeeded yet", "trigger one")
        return
    age = now - datetime.fromisoformat(succeeded[0]["end_date"])
    hours = age.total_seconds() / 3600
    if age > LONGEST_SILENCE:
        yield Finding("fail", "Last success", f"{hours:.0f} hours ago: a daily run was missed", "trigger a run")
    else:
        yield Finding("ok", "Last success", f"{hours:.1f} hours ago")


def check_dashboards(address: str) -> Findings:
    if installation.dashboards_answer(address):
        yield Finding("ok", "Dashboards", f"answer at {address}")
    else:
        yield Finding("fail", "Dashboards", f"no answer at {address}", "make dashboards, or restart the service")


def examine() -> Findings:
    """Every check, each on its own: one that cannot be done is a finding, not the end."""
    now = datetime.now(UTC)

    def with_database(check: Callable[[psycopg.Connection], Findings]) -> Findings:
        with psycopg.connect("", connect_timeout=10) as connection:
            yield from check(connection)

    checks: dict[str, Callable[[], Findings]] = {
        "Packages": check_packages,
        "Disk": check_disk,
        "Database": lambda: with_database(check_schema),
        "Accounts": lambda: with_database(lambda connection: check_accounts(connection, now)),
        "Data": lambda: with_database(check_data),
        "Airflow": lambda: check_airflow(installation.airflow(), now),
        "Dashboards": lambda: check_dashboards(os.environ["DASHBOARDS_URL"]),
    }
    for subject, check in checks.items():
        try:
            yield from check()
        except (psycopg.Error, httpx.HTTPError, OSError, KeyError) as error:
            reason = str(error).strip() or type(error).__name__
            yield Finding("fail", subject, f"cannot be looked at: {reason.splitlines()[0]}", "is it running?")


def main() -> int:
    failed = False
    for finding in examine():
        failed = failed or finding.status == "fail"
        print(f"{finding.status:5} {finding.subject}: {finding.text}")
        if finding.remedy:
            print(f"      → {finding.remedy}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
