"""What the doctor finds in a database, each with what to do about it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from include.ingestion.authorization import AUTHORIZATION_LASTS, WARN_AFTER
from include.operations import doctor

NOW = datetime(2026, 6, 1, tzinfo=UTC)


@pytest.fixture
def owner(owner_conninfo):
    with psycopg.connect(owner_conninfo) as connection:
        yield connection


def authorize(owner: psycopg.Connection, authorized_at: datetime | None) -> None:
    owner.execute(
        "insert into listeners (user_id, display_name, authorized_at) values ('ada', 'Ada', %s)", [authorized_at]
    )


def found(findings) -> dict[str, tuple[str, str]]:
    """Subject to status and text; whatever is not ok says what to do."""
    findings = list(findings)
    assert all(finding.remedy for finding in findings if finding.status != "ok")
    return {finding.subject: (finding.status, finding.text) for finding in findings}


@pytest.mark.parametrize(
    ("age", "status"),
    [
        (timedelta(days=1), "ok"),
        (WARN_AFTER - timedelta(days=1), "ok"),
        (WARN_AFTER, "warn"),
        (AUTHORIZATION_LASTS, "warn"),
        (AUTHORIZATION_LASTS + timedelta(seconds=1), "fail"),
    ],
)
def test_an_authorization_ends_after_six_months_and_is_announced_a_month_before(owner, age, status):
    authorize(owner, NOW - age)
    assert found(doctor.check_accounts(owner, NOW))["Account ada"][0] == status


def test_a_held_listener_is_named_with_step_and_error(owner):
    owner.execute("insert into held_listeners (user_id, step, message) values ('ada', 'artist_stats', 'too long')")
    assert found(doctor.check_data(owner))["artist_stats ada"] == ("fail", "held: too long")


def test_a_listener_of_exports_needs_no_authorization(owner):
    authorize(owner, None)
    assert found(doctor.check_accounts(owner, NOW)) == {"Account ada": ("ok", "from exports only")}


@pytest.mark.parametrize(("retry_at", "status"), [(NOW + timedelta(hours=1), "warn"), (None, "fail")])
def test_an_account_in_trouble_is_named_with_its_message(owner, retry_at, status):
    owner.execute(
        "insert into ingestion_state (pipeline, user_id, status, message, retry_at)"
        " values ('recently_played', 'ada', 'quota', 'Too many requests.', %s)",
        [retry_at],
    )
    assert found(doctor.check_accounts(owner, NOW))["recently_played ada"] == (
        status,
        "quota: Too many requests." + (" Next try at 2026-06-01 01:00 UTC." if retry_at else ""),
    )


def test_a_quota_that_may_run_out_is_announced(owner):
    owner.execute("insert into spotify_api_calls values ('ada', %s, 'recently_played', 900)", [NOW.date()])
    assert found(doctor.check_accounts(owner, NOW))["Account ada"] == ("warn", "900 calls to Spotify today")


def test_gaps_rejected_files_failed_checks_and_leftovers(owner):
    owner.execute("insert into ingestion_gaps values ('ada', %s, %s, 'run')", [NOW - timedelta(days=2), NOW])
    owner.execute(
        "insert into ingested_files (sha256, user_id, file_name, status, message, size_bytes, run_id)"
        " values ('x', 'ada', 'my.zip', 'rejected', 'not a zip', 1, 'run')"
    )
    for run, when, outcome in (("old", NOW - timedelta(days=1), "FAIL"), ("new", NOW, "WARN")):
        owner.execute(
            "insert into qa_validation_results (run_id, scan, check_id, table_name, check_name, check_text, outcome,"
            " severity, measured_value, checked_at) values (%s, 'raw', 'c', 't', %s, 'x', %s, 'major', 3, %s)",
            [run, f"check of {run}", outcome, when],
        )
    owner.execute("insert into pending_days values ('sessions', 'ada', %s)", [NOW.date()])
    assert found(doctor.check_data(owner)) == {
        "History of ada": ("warn", "1 gaps, the first on 2026-05-30: plays were lost"),
        "Export my.zip": ("warn", "of ada, rejected: not a zip"),
        "Check on t": ("warn", "WARN: check of new (measured 3.0)"),
        "Work left over": ("warn", "1 marked days"),
    }


def test_the_schema_is_the_codes(owner):
    assert found(doctor.check_schema(owner))["Database"][0] == "ok"
    owner.execute("update alembic_version set version_num = '0001'")
    assert found(doctor.check_schema(owner))["Database"][0] == "fail"


class FakeAirflow:
    """Answers as include.operations.airflow_client.AirflowClient."""

    def __init__(self, runs=(), *, paused=False, sick=None):
        self._runs, self._paused, self._sick = list(runs), paused, sick or {}

    def health(self):
        return {"scheduler": "healthy", "triggerer": "healthy"} | self._sick

    def import_errors(self):
        return []

    def dag_exists(self, dag_id):
        return True

    def is_paused(self, dag_id):
        return self._paused

    def runs(self, dag_id, *states):
        return self._runs


def run(state: str, ended: datetime) -> dict[str, str]:
    return {"dag_run_id": f"run {state}", "state": state, "end_date": ended.isoformat()}


@pytest.mark.parametrize(
    ("client", "subject", "status"),
    [
        (None, "Airflow", "fail"),
        (FakeAirflow(sick={"triggerer": "unhealthy"}), "Airflow", "fail"),
        (FakeAirflow(paused=True), "DAG", "warn"),
        (FakeAirflow(), "Last success", "warn"),
        (FakeAirflow([run("success", NOW - timedelta(hours=25))]), "Last success", "ok"),
        (FakeAirflow([run("success", NOW - timedelta(hours=27))]), "Last success", "fail"),
        (FakeAirflow([run("failed", NOW), run("success", NOW - timedelta(hours=24))]), "Last run", "fail"),
    ],
)
def test_airflow_down_sick_paused_or_silent(client, subject, status):
    assert found(doctor.check_airflow(client, NOW))[subject][0] == status


def test_packages_are_compared_with_the_lock(tmp_path):
    lock = tmp_path / "requirements.lock"
    lock.write_text(
        "psycopg==0.0.1\n    # via something\nno-such-package==1.0\nonly-elsewhere==1 ; sys_platform == 'x'\n"
    )
    (finding,) = doctor.check_packages(lock)
    assert finding.status == "fail"
    assert "psycopg" in finding.text
    assert "no-such-package missing" in finding.text
    assert "only-elsewhere" not in finding.text
