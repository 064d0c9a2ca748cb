"""Every way Spotify can fail, each with its outcome in Airflow's terms and the message a person gets to read."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow.sdk.definitions.retry_policy import RetryAction
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException
from listening.operators.ingestion import IngestionFailedOperator, IngestRecentlyPlayedOperator
from listening.retry_policy import SpotifyRetryPolicy

from include.ingestion import spotify_client, token_store
from include.ingestion.errors import RateLimited, ScopeMissing, SpotifyError, SpotifyUnavailable, TokenDead

WINDOW = {"match": "/v1/me/player"}
TOKEN = {"match": "/api/token"}
ALWAYS = {"count": 9}


@dataclass(frozen=True)
class Case:
    """What Spotify does, and what becomes of it.

    :ivar raises: the error that ends the task; None: success.
    :ivar action: what SpotifyRetryPolicy makes of the error; `retry_delay` with RETRY.
    :ivar status: ingestion_state.status afterwards.
    :ivar calls: requests for recently-played, all told.
    """

    name: str
    faults: list[dict[str, Any]] = field(default_factory=list)
    authorization: dict[str, Any] = field(default_factory=dict)
    before: str | None = None
    raises: type[BaseException] | None = None
    message: str = ""
    action: RetryAction | None = None
    retry_delay: timedelta | None = None
    status: str | None = "ok"
    calls: int = 1


CASES = [
    Case("all is well"),
    Case("access token expired: one refresh, no error", faults=[{**WINDOW, "kind": "status", "status": 401}], calls=2),
    Case(
        "429, short: the retry waits as long as Spotify asks",
        faults=[{**WINDOW, "kind": "rate_limit", "retry_after": 7}],
        raises=RateLimited,
        message="asks to wait 7 s",
        action=RetryAction.RETRY,
        retry_delay=timedelta(seconds=8),
        status="rate_limited",
    ),
    Case(
        "429 without Retry-After: Spotify's rolling window",
        faults=[{**WINDOW, "kind": "status", "status": 429}],
        raises=RateLimited,
        message="asks to wait 30 s",
        action=RetryAction.RETRY,
        retry_delay=timedelta(seconds=31),
        status="rate_limited",
    ),
    Case(
        "429, quota: skipped, with the time to come back",
        faults=[{**WINDOW, "kind": "quota", "retry_after": 50_000}],
        raises=AirflowSkipException,
        message="quota for this app is used up; it answers again at",
        status="quota",
    ),
    Case(
        "429 with hours to wait, whatever its body says",
        faults=[{**WINDOW, "kind": "rate_limit", "retry_after": 50_000}],
        raises=AirflowSkipException,
        message="quota for this app is used up",
        status="quota",
    ),
    Case("5xx once", faults=[{**WINDOW, "kind": "status", "status": 502}], calls=2),
    Case(
        "5xx throughout",
        faults=[{**WINDOW, **ALWAYS, "kind": "status", "status": 503}],
        raises=SpotifyUnavailable,
        message="Spotify answers recently_played with 503",
        action=RetryAction.DEFAULT,
        status="unavailable",
        calls=3,
    ),
    Case("timeout once", faults=[{**WINDOW, "kind": "slow", "delay": 3}], calls=2),
    Case(
        "timeout throughout",
        faults=[{**WINDOW, **ALWAYS, "kind": "slow", "delay": 3}],
        raises=SpotifyUnavailable,
        message="did not answer recently_played: ReadTimeout",
        action=RetryAction.DEFAULT,
        status="unavailable",
        calls=3,
    ),
    Case("reset once", faults=[{**WINDOW, "kind": "reset"}], calls=2),
    Case(
        "reset throughout",
        faults=[{**WINDOW, **ALWAYS, "kind": "reset"}],
        raises=SpotifyUnavailable,
        message="did not answer recently_played: ConnectionError",
        action=RetryAction.DEFAULT,
        status="unavailable",
        calls=3,
    ),
    Case("an answer cut off once", faults=[{**WINDOW, "kind": "cut"}], calls=2),
    Case("a page of HTML once", faults=[{**WINDOW, "kind": "non_json"}], calls=2),
    Case(
        "a page of HTML throughout",
        faults=[{**WINDOW, **ALWAYS, "kind": "non_json"}],
        raises=SpotifyUnavailable,
        message="not a JSON object",
        action=RetryAction.DEFAULT,
        status="unavailable",
        calls=3,
    ),
    Case(
        "authorized without the scope: not asked at all",
        authorization={"scope": "playlist-read-private"},
        raises=ScopeMissing,
        message="without the scope user-read-recently-played: run `make authorize`",
        action=RetryAction.FAIL,
        status="not_authorized",
        calls=0,
    ),
    Case(
        "Spotify misses a scope",
        faults=[{**WINDOW, "kind": "status", "status": 403, "message": "Insufficient client scope"}],
        raises=ScopeMissing,
        message="run `make authorize` again",
        action=RetryAction.FAIL,
        status="not_authorized",
    ),
    Case(
        "403 for another reason",
        faults=[{**WINDOW, "kind": "status", "status": 403, "message": "User not registered in the dashboard"}],
        raises=SpotifyError,
        message="Spotify refuses recently_played: 403  User not registered in the dashboard",
        action=RetryAction.FAIL,
        status="refused",
    ),
    Case(
        "no connection",
        before="no connection",
        raises=TokenDead,
        message="There is no Airflow connection spotify_nobody: run `make authorize`",
        action=RetryAction.FAIL,
        status="not_authorized",
        calls=0,
    ),
    Case(
        "a connection without a token",
        before="no token",
        raises=TokenDead,
        message="has no refresh_token: run `make authorize`",
        action=RetryAction.FAIL,
        status="not_authorized",
        calls=0,
    ),
    Case(
        "invalid_grant: withdrawn",
        before="revoke",
        raises=TokenDead,
        message=r"no longer accepts the authorization of connection spotify_ada \(invalid_grant\).*make authorize",
        action=RetryAction.FAIL,
        status="not_authorized",
        calls=0,
    ),
    Case(
        "invalid_grant: older than six months",
        authorization={"authorized_at": "2026-03-01T00:00:00+00:00"},
        raises=TokenDead,
        message="older than six months",
        action=RetryAction.FAIL,
        status="not_authorized",
        calls=0,
    ),
    Case("a rotated refresh token", before="rotate"),
    Case(
        "the accounts server asks to wait",
        faults=[{**TOKEN, "kind": "rate_limit", "retry_after": 4}],
        raises=RateLimited,
        message="accounts server asks to wait",
        action=RetryAction.RETRY,
        retry_delay=timedelta(seconds=5),
        status="rate_limited",
        calls=0,
    ),
    Case("the accounts server fails once", faults=[{**TOKEN, "kind": "status", "status": 503}]),
    Case(
        "the accounts server fails throughout",
        faults=[{**TOKEN, **ALWAYS, "kind": "status", "status": 503}],
        raises=SpotifyUnavailable,
        message="accounts server answers 503",
        action=RetryAction.DEFAULT,
        status="unavailable",
        calls=0,
    ),
    Case("an empty page", before="nothing played yet"),
]


@pytest.fixture(autouse=True)
def patience(monkeypatch):
    """A test's time limits, in place of a worker's."""
    monkeypatch.setattr(spotify_client, "TIMEOUT", (5.0, 1.0))
    monkeypatch.setattr(spotify_client, "READ_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(token_store, "TIMEOUT", (5.0, 2.0))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_outcome(case: Case, simulator, authorize, airflow_connections, connection):
    account = authorize("ada", **case.authorization)
    match case.before:
        case "no connection":
            account["connection_id"] = "spotify_nobody"
        case "no token":
            airflow_connections("spotify_ada", {"user_id": "ada"})
        case "revoke":
            simulator.revoke("ada")
        case "rotate":
            simulator.rotate_refresh_tokens(1)
        case "nothing played yet":
            simulator.set_clock("2010-01-01T00:00:00+00:00")
            airflow_connections("spotify_ada", simulator.refresh_token("ada") | {"authorized_at": None})
    simulator.plan_faults(*case.faults)
    operator = IngestRecentlyPlayedOperator(task_id="ingest_recently_played", account=account)

    if case.raises is None:
        operator.execute({"run_id": "run"})
    else:
        with pytest.raises(case.raises, match=case.message) as caught:
            operator.execute({"run_id": "run"})
        if case.action is not None:
            decision = SpotifyRetryPolicy().evaluate(caught.value, 1, 3)
            assert (decision.action, decision.retry_delay) == (case.action, case.retry_delay)

    state = connection.execute("select status, message, retry_at from ingestion_state where user_id = 'ada'").fetchone()
    assert state[0] == case.status
    assert (state[1] is None) == (case.status == "ok")
    assert (state[2] is not None) == (case.status == "quota")
    asked = connection.execute("select sum(calls) from spotify_api_calls where endpoint = 'recently_played'").fetchone()
    assert (asked[0] or 0) == case.calls


def test_a_used_up_quota_is_honoured_without_a_call(simulator, authorize, connection):
    account = authorize("ada")
    simulator.plan_faults({**WINDOW, "kind": "quota"})
    operator = IngestRecentlyPlayedOperator(task_id="t", account=account)
    for _ in range(3):
        with pytest.raises(AirflowSkipException, match="quota"):
            operator.execute({"run_id": "run"})
    assert sum(call["calls"] for call in simulator.calls("ada") if "recently-played" in call["endpoint"]) == 1
    connection.execute("update ingestion_state set retry_at = %s", [datetime.now(UTC)])
    connection.commit()
    assert operator.execute({"run_id": "run"})["plays_new"] == 50
    assert connection.execute("select status, retry_at from ingestion_state").fetchone() == ("ok", None)


def test_one_accounts_failure_is_its_own(simulator, authorize, connection):
    accounts = [authorize("ada"), authorize("bea")]
    simulator.revoke("ada")
    with pytest.raises(TokenDead):
        IngestRecentlyPlayedOperator(task_id="t", account=accounts[0]).execute({"run_id": "run"})
    assert IngestRecentlyPlayedOperator(task_id="t", account=accounts[1]).execute({"run_id": "run"})["plays_new"] > 0


@pytest.mark.parametrize("run_id", ["first", "second"])
def test_the_runs_failure_names_the_account_and_why(simulator, authorize, connection, run_id):
    account = authorize("ada")
    simulator.revoke("ada")
    for each in ("first", "second"):
        with pytest.raises(TokenDead):
            IngestRecentlyPlayedOperator(task_id="t", account=account).execute({"run_id": each})
        if each == run_id:
            with pytest.raises(AirflowFailException, match=r"ada: Spotify no longer accepts .*make authorize"):
                IngestionFailedOperator(task_id="ingestion_failed").execute({"run_id": run_id})


def test_an_old_authorization_warns_from_the_fifth_month(simulator, authorize, connection):
    old = datetime.now(UTC) - timedelta(days=155)
    simulator.set_clock(datetime.now(UTC))
    account = authorize("ada", authorized_at=old)
    IngestRecentlyPlayedOperator(task_id="t", account=account).execute({"run_id": "run"})
    status, message = connection.execute("select status, message from ingestion_state").fetchone()
    assert status == "ok"
    assert "Spotify ends an authorization after six months" in message


def test_a_null_context_is_no_trouble(simulator, authorize, connection):
    IngestRecentlyPlayedOperator(task_id="t", account=authorize("ada")).execute({"run_id": "run"})
    contexts = connection.execute("select payload -> 'context' = 'null' from raw_listening_events").fetchall()
    assert (True,) in contexts
