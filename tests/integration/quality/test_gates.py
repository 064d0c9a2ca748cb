"""What happens after a scan: the branch, the alert by webhook and mail, the run that fails and says why."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException
from listening.operators.soda import QualityFailedOperator, SodaScanOperator, choose_branch

from include.soda.scan import DatabaseAddress, ScanError

FAILED = {
    "scan": "analytics",
    "outcome": "FAIL",
    "failed": [{"check": "Plays of impossible length or time", "table": "listening_events", "value": 3.0}],
}
PASSED = {"scan": "raw", "outcome": "PASS", "failed": []}
TOLD = "analytics: listening_events: Plays of impossible length or time = 3"


def context(**left: Any) -> Any:
    """A task's context, in which other tasks have left these XComs."""
    return {
        "ti": SimpleNamespace(xcom_pull=lambda task_ids: left.get(task_ids)),
        "dag_run": SimpleNamespace(dag_id="spotify_listening", run_id="manual__1"),
    }


@pytest.fixture
def webhook() -> Iterator[tuple[str, list[dict]]]:
    """Address of a web server, and what was posted to it."""
    posted: list[dict] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            posted.append({"path": self.path, "authorization": self.headers["Authorization"], **json.loads(body)})
            self.send_response(500 if self.path == "/broken" else 200)
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", posted
        server.shutdown()


@pytest.fixture
def mail_server() -> Iterator[tuple[int, list[str]]]:
    """Port of a server that speaks enough SMTP to take a mail, and the mails it took."""
    mails: list[str] = []

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.wfile.write(b"220 here\r\n")
            while line := self.rfile.readline():
                if line.upper().startswith(b"DATA"):
                    self.wfile.write(b"354 go on\r\n")
                    lines = iter(self.rfile.readline, b".\r\n")
                    mails.append(b"".join(lines).decode())
                self.wfile.write(b"250 fine\r\n")

    with socketserver.TCPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1], mails
        server.shutdown()


@pytest.mark.parametrize(("outcome", "task"), [("PASS", "go_on"), ("WARN", "go_on"), ("FAIL", "rejected")])
def test_the_branch_follows_the_outcome(outcome, task):
    assert choose_branch("scan_raw", "go_on", "rejected", **context(scan_raw={"outcome": outcome})) == task


@pytest.mark.parametrize("left", [None, {}, {"outcome": "green"}])
def test_a_scan_without_outcome_lets_nothing_through(left):
    with pytest.raises(AirflowFailException, match="scan_raw left no outcome"):
        choose_branch("scan_raw", "go_on", "rejected", **context(scan_raw=left))


def fail(**left: Any) -> str:
    operator = QualityFailedOperator(task_id="quality_failed", scans=["raw", "analytics", "ml"])
    with pytest.raises(AirflowFailException) as error:
        operator.execute(context(**left))
    return str(error.value)


def test_failing_posts_to_a_webhook_and_names_the_check(webhook, monkeypatch):
    url, posted = webhook
    connection = {"conn_type": "http", "host": f"{url}/hook", "password": "secret"}
    monkeypatch.setenv("AIRFLOW_CONN_LISTENING_ALERTS", json.dumps(connection))
    assert TOLD in fail(scan_raw=PASSED, scan_analytics=FAILED)
    (post,) = posted
    assert (post["path"], post["authorization"]) == ("/hook", "Bearer secret")
    assert TOLD in post["text"]
    assert (post["dag_id"], post["run_id"]) == ("spotify_listening", "manual__1")


def test_failing_mails(mail_server, monkeypatch):
    port, mails = mail_server
    extra = {
        "from_email": "listening@example.com",
        "to_emails": "ada@example.com",
        "disable_tls": True,
        "disable_ssl": True,
    }
    connection = {"conn_type": "smtp", "host": "127.0.0.1", "port": port, "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_LISTENING_ALERTS", json.dumps(connection))
    assert TOLD in fail(scan_raw=PASSED, scan_analytics=FAILED)
    (mail,) = mails
    assert "To: ada@example.com" in mail
    assert "quality gate failed (analytics)" in mail


@pytest.mark.parametrize(
    "connection", [{"conn_type": "http", "path": "/broken"}, {"conn_type": "ftp"}, {"conn_type": "smtp"}]
)
def test_an_alert_that_cannot_be_sent_does_not_hide_the_failure(connection, webhook, monkeypatch):
    connection = {"conn_type": connection["conn_type"], "host": webhook[0] + connection.get("path", "")}
    monkeypatch.setenv("AIRFLOW_CONN_LISTENING_ALERTS", json.dumps(connection))
    assert TOLD in fail(scan_raw=PASSED, scan_analytics=FAILED)


def test_what_an_earlier_attempt_left_behind_is_not_told():
    stale = {"outcome": "FAIL", "failed": [{"check": "stale", "table": "personas", "value": 1.0}]}
    assert "stale" not in fail(scan_raw=PASSED, scan_analytics=FAILED, scan_ml=stale)


def test_a_database_that_is_not_there_is_an_error_with_its_reason(listening_db, monkeypatch):
    monkeypatch.setattr(DatabaseAddress, "of", lambda _: DatabaseAddress(host="/nowhere", database="x", username="y"))
    operator = SodaScanOperator(task_id="scan", scan="raw", as_of="2026-03-01 04:00:00+00:00")
    with pytest.raises(ScanError, match="Could not connect to data source"):
        operator.execute({"run_id": "run"})
