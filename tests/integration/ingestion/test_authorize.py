"""`make authorize` against the simulated Spotify."""

from __future__ import annotations

import json
import socket
import subprocess
import threading
from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from include.demo.simulator.simulated_spotify import CLIENT_ID, CLIENT_SECRET
from include.operations import authorize as authorizing
from include.operations.authorize import Account, App, AuthorizationFailed, ask_time_zone, authorize, store_connection

ACCOUNT = Account("ada", "Ada", "secret-refresh-token", "scope", datetime(2026, 10, 1, tzinfo=UTC))


@pytest.fixture
def port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


@pytest.fixture
def app(simulator) -> App:
    simulator.sign_in("ada")
    return App(CLIENT_ID, CLIENT_SECRET, simulator.url, simulator.api_url)


def in_browser(*visits):
    """Opens the shown address as a browser would, after other visits to the loopback address."""

    def show(address: str) -> None:
        redirect_uri = parse_qs(urlsplit(address).query)["redirect_uri"][0]

        def browse():
            for path in visits:
                requests.get(redirect_uri.replace("/callback", path), timeout=10)
            requests.get(address, timeout=10)

        threading.Thread(target=browse, daemon=True).start()

    return show


def test_adds_an_account(app, port, simulator, connection):
    account = authorize(app, port=port, show=in_browser(), wait_seconds=20)
    assert (account.user_id, account.scope) == ("ada", authorizing.SCOPES)
    assert authorizing.store_listener(connection, account, "Europe/Berlin") == "spotify_default"
    other = Account("bea", "Bea", "token", "scope", account.authorized_at)
    assert authorizing.store_listener(connection, other, "UTC") == "spotify_bea"
    assert authorizing.store_listener(connection, account, "Asia/Tokyo") == "spotify_default"
    rows = connection.execute("select user_id, time_zone, connection_id from listeners order by 1").fetchall()
    assert rows == [("ada", "Asia/Tokyo", "spotify_default"), ("bea", "UTC", "spotify_bea")]


@pytest.mark.parametrize(
    ("user_id", "connection_id"),
    [("a!b#c+d@e|f", "spotify_a:21b:23c:2Bd:40e:7Cf"), ("o'hara $HOME", "spotify_o:27hara:20:24HOME")],
)
def test_an_id_with_special_characters_is_an_account(app, port, connection, monkeypatch, user_id, connection_id):
    from airflow.models.connection import sanitize_conn_id

    monkeypatch.setattr(authorizing.SpotifyClient, "me", lambda self: {"id": user_id, "display_name": None})
    account = authorize(app, port=port, show=in_browser(), wait_seconds=20)
    assert account.user_id == user_id
    authorizing.store_listener(connection, ACCOUNT, "UTC")  # has spotify_default
    assert authorizing.store_listener(connection, account, "UTC") == connection_id
    assert sanitize_conn_id(connection_id) == connection_id
    assert connection.execute("select user_id from listeners where user_id <> 'ada'").fetchall() == [(user_id,)]


@pytest.mark.parametrize("me", [{}, {"id": 5}, {"id": ""}, {"id": "a\nb"}, {"id": "x" * 300}, {"account_id": ["a"]}])
def test_an_answer_that_names_nobody_is_told(app, port, monkeypatch, me):
    monkeypatch.setattr(authorizing.SpotifyClient, "me", lambda self: me)
    with pytest.raises(AuthorizationFailed, match="names no usable account"):
        authorize(app, port=port, show=in_browser(), wait_seconds=20)


def test_an_answer_with_another_state_is_ignored(app, port):
    forged = ["/callback?code=stolen&state=guessed", "/callback?code=stolen", "/elsewhere"]
    assert authorize(app, port=port, show=in_browser(*forged), wait_seconds=20).user_id == "ada"


def test_a_refusal_is_told(app, port, simulator):
    simulator.sign_in("ada", consents=False)
    with pytest.raises(AuthorizationFailed, match="access_denied"):
        authorize(app, port=port, show=in_browser(), wait_seconds=20)


def test_a_person_whom_the_app_may_not_serve_is_told(app, port, simulator):
    simulator.plan_faults({"match": "/v1/me", "kind": "status", "status": 403, "message": "User not registered"})
    with pytest.raises(AuthorizationFailed, match=r"User not registered.*list of the app's users"):
        authorize(app, port=port, show=in_browser(), wait_seconds=20)


def test_nobody_logs_in(app, port):
    with pytest.raises(AuthorizationFailed, match="Nobody logged in"):
        authorize(app, port=port, show=lambda address: None, wait_seconds=0.2)


def test_a_wrong_secret_is_told(app, port):
    wrong = App(CLIENT_ID, "wrong", app.accounts_url, app.api_url)
    with pytest.raises(AuthorizationFailed, match=r"invalid_client.*check client id and secret"):
        authorize(wrong, port=port, show=in_browser(), wait_seconds=20)


def test_a_taken_port_is_told(app):
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(AuthorizationFailed, match="is taken"):
        authorize(app, port=taken.getsockname()[1], show=in_browser(), wait_seconds=1)


def test_asks_until_it_is_a_time_zone(capsys):
    answers = iter(["Berlin", "CEST or so", "Europe/Berlin"])
    assert ask_time_zone(lambda question: next(answers), "UTC") == "Europe/Berlin"
    assert "Did you mean Europe/Berlin" in capsys.readouterr().out
    assert ask_time_zone(lambda question: "", "UTC") == "UTC"


def test_the_connection_goes_to_airflow_in_a_file_only_we_can_read(monkeypatch):
    seen = {}

    def run(command, **kwargs):
        from pathlib import Path

        file = Path(command[-1])
        seen["mode"] = file.parent.stat().st_mode & 0o777
        seen["content"] = json.loads(file.read_text())
        seen["command"] = command
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(authorizing.subprocess, "run", run)
    store_connection(App("id", "client-secret"), ACCOUNT, "spotify_default")
    assert seen["mode"] == 0o700
    assert seen["content"]["spotify_default"]["extra"]["refresh_token"] == "secret-refresh-token"
    assert not any("secret" in part for part in seen["command"])
