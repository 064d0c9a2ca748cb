"""`make authorize`: adds a Spotify account, by OAuth's authorization code over a loopback address (RFC 8252, 7.3).

The result is an Airflow connection with the refresh token (encrypted by Airflow) and a row in listeners.
"""

from __future__ import annotations

import argparse
import hmac
import html
import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
import webbrowser
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit
from zoneinfo import available_timezones

import psycopg
import requests

from include.ingestion.errors import SpotifyError
from include.ingestion.json_values import decode_answer
from include.ingestion.spotify_client import API_URL, SpotifyClient
from include.ingestion.token_store import ACCOUNTS_URL, TIMEOUT, is_token
from include.listener_ids import connection_id_of, escaped, is_listener_id
from include.listening_db import connect, migrate_listening_db
from include.pipeline import DAG_ID

LOOPBACK = "127.0.0.1"  # Spotify refuses "localhost"
PORT = 8888
CALLBACK = "/callback"
SCOPES = "user-read-recently-played playlist-modify-private playlist-read-private"
WAIT_SECONDS = 300.0


class AuthorizationFailed(Exception):
    """The account was not authorized; the message says what to do."""


@dataclass(frozen=True)
class App:
    """The app at Spotify that accounts are authorized for."""

    client_id: str
    client_secret: str
    accounts_url: str = ACCOUNTS_URL
    api_url: str = API_URL


@dataclass(frozen=True)
class Account:
    """An authorized account; `authorized_at` in UTC."""

    user_id: str
    display_name: str
    refresh_token: str
    scope: str
    authorized_at: datetime


def authorize(app: App, *, port: int, show: Callable[[str], None], wait_seconds: float = WAIT_SECONDS) -> Account:
    """Let a person log in at Spotify; return the account with its tokens.

    :param port: of the loopback address that Spotify sends the browser back to; registered with the app.
    :param show: called with the address to open.
    :raises AuthorizationFailed: the person refused or took too long, or Spotify did not answer.
    """
    state = secrets.token_urlsafe(32)
    redirect_uri = f"http://{LOOPBACK}:{port}{CALLBACK}"
    query = {
        "client_id": app.client_id,
        "response_type": "code",
        "redirect_uri": redirect_uri,
        "scope": SCOPES,
        "state": state,
    }
    try:
        server = _CallbackServer(port, state)
    except OSError as error:
        raise AuthorizationFailed(f"Port {port} of {LOOPBACK} is taken ({error}): give another with --port.") from None
    with server:
        show(f"{app.accounts_url.rstrip('/')}/authorize?{urlencode(query)}")
        code = server.wait_for_code(wait_seconds)
    tokens = _redeem(app, code, redirect_uri)
    client = SpotifyClient(
        access_token=lambda refused: tokens["access_token"], count_call=lambda endpoint: None, api_url=app.api_url
    )
    try:
        me = client.me()
    except SpotifyError as error:
        raise AuthorizationFailed(f"{error} Is the person on the list of the app's users at Spotify?") from None
    user_id = me.get("account_id") or me.get("id")
    if not is_listener_id(user_id):
        raise AuthorizationFailed(f"Spotify's answer to /me names no usable account: {user_id!r}.")
    return Account(
        user_id=user_id,
        display_name=str(me.get("display_name") or user_id),
        refresh_token=tokens["refresh_token"],
        scope=tokens["scope"] if isinstance(tokens.get("scope"), str) and tokens["scope"] else SCOPES,
        authorized_at=datetime.now(UTC),
    )


class _CallbackServer(HTTPServer):
    """Waits on the loopback address for the request with the right `state`."""

    def __init__(self, port: int, state: str) -> None:
        super().__init__((LOOPBACK, port), _CallbackHandler)
        self.state = state
        self.code: str | None = None
        self.error: str | None = None

    def wait_for_code(self, seconds: float) -> str:
        deadline = time.monotonic() + seconds
        while self.code is None and self.error is None:
            left = deadline - time.monotonic()
            if left <= 0:
                raise AuthorizationFailed(f"Nobody logged in within {seconds:.0f} s: run `make authorize` again.")
            self.timeout = left
            self.handle_request()
        if self.code is None:
            raise AuthorizationFailed(f"Spotify says: {self.error}. Run `make authorize` again when that is settled.")
        return self.code


class _CallbackHandler(BaseHTTPRequestHandler):
    server: _CallbackServer
    timeout = 10  # seconds a client may take to send its request

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        answer = {name: values[0] for name, values in parse_qs(url.query).items()}
        if url.path != CALLBACK:
            self._reply(404, "Nothing here.")
        elif not hmac.compare_digest(answer.get("state", "").encode(), self.server.state.encode()):
            self._reply(400, "This answer does not belong to the log-in that was started here. It is ignored.")
        elif "code" in answer:
            self.server.code = answer["code"]
            self._reply(200, "Done. Close this window and go back to the terminal.")
        else:
            self.server.error = answer.get("error", "no code")
            self._reply(200, f"Not authorized ({self.server.error}). Go back to the terminal.")

    def _reply(self, status: int, text: str) -> None:
        body = f"<!doctype html><meta charset=utf-8><title>spotify-listening</title><p>{html.escape(text)}".encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing: the request line contains the code."""


def _redeem(app: App, code: str, redirect_uri: str) -> dict[str, Any]:
    """Exchange the code for tokens (RFC 6749, section 4.1.3)."""
    try:
        response = requests.post(
            f"{app.accounts_url.rstrip('/')}/api/token",
            data={"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri},
            auth=(app.client_id, app.client_secret),
            timeout=TIMEOUT,
        )
    except requests.RequestException as error:
        raise AuthorizationFailed(f"Spotify's accounts server gave no answer ({type(error).__name__}).") from None
    tokens = decode_answer(response.content)
    if not isinstance(tokens, dict):
        raise AuthorizationFailed(f"Spotify's accounts server gave no answer ({response.status_code}, no JSON).")
    if not (is_token(tokens.get("refresh_token")) and is_token(tokens.get("access_token"))):
        said = tokens.get("error") or response.status_code
        raise AuthorizationFailed(f"Spotify gave no token ({said}): check client id and secret.")
    return tokens


def ask_time_zone(ask: Callable[[str], str], default: str) -> str:
    """Ask for an IANA time zone until the answer is one; return it."""
    zones = available_timezones()
    while True:
        answer = ask(f"Time zone, as in Europe/Berlin [{default}]: ").strip() or default
        if answer in zones:
            return answer
        near = [zone for zone in sorted(zones) if answer.lower().replace(" ", "_") in zone.lower()][:5]
        print(f"There is no time zone {answer!r}." + (f" Did you mean {', '.join(near)}?" if near else ""))


def store_listener(connection: psycopg.Connection, account: Account, time_zone: str) -> str:
    """Add the listener or renew their authorization; return the id of the account's Airflow connection."""
    with connection.transaction():
        row = connection.execute("select connection_id from listeners where user_id = %s", [account.user_id]).fetchone()
        if row is not None and row[0] is not None:
            connection_id = row[0]
        else:
            taken = connection.execute("select 1 from listeners where connection_id = 'spotify_default'").fetchone()
            connection_id = connection_id_of(account.user_id) if taken else "spotify_default"
        connection.execute(
            "insert into listeners (user_id, display_name, time_zone, connection_id, authorized_at)"
            " values (%(user_id)s, %(display_name)s, %(time_zone)s, %(connection_id)s, %(authorized_at)s)"
            " on conflict (user_id) do update set display_name = excluded.display_name, time_zone = excluded.time_zone,"
            " connection_id = excluded.connection_id, authorized_at = excluded.authorized_at",
            {
                "user_id": account.user_id,
                "display_name": account.display_name,
                "time_zone": time_zone,
                "connection_id": connection_id,
                "authorized_at": account.authorized_at,
            },
        )
    return connection_id


def store_connection(app: App, account: Account, connection_id: str) -> None:
    """Store the account's connection in Airflow, which encrypts it; an earlier one is replaced.

    :raises AuthorizationFailed: Airflow's CLI could not store it.
    """
    connection = {
        "conn_type": "spotify",
        "description": f"Spotify account of {account.display_name}",
        "login": app.client_id,
        "password": app.client_secret,
        "extra": {
            "refresh_token": account.refresh_token,
            "authorized_at": account.authorized_at.isoformat(),
            "scope": account.scope,
            "user_id": account.user_id,
        },
    }
    # In a file that only this user can read: a command line is visible to everyone.
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "connection.json"
        file.write_text(json.dumps({connection_id: connection}))
        command = [sys.executable, "-m", "airflow", "connections", "import", "--overwrite", str(file)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise AuthorizationFailed(f"Airflow could not store the connection: {done.stderr.strip()[-500:]}")


def _app_of_environment() -> App:
    client_id, client_secret = os.environ.get("SPOTIFY_CLIENT_ID"), os.environ.get("SPOTIFY_CLIENT_SECRET")
    if not client_id or not client_secret:
        raise AuthorizationFailed(
            "SPOTIFY_CLIENT_ID and SPOTIFY_CLIENT_SECRET are not set: create an app at developer.spotify.com/dashboard,"
            " copy .env.example to .env and fill them in."
        )
    return App(
        client_id,
        client_secret,
        os.environ.get("SPOTIFY_ACCOUNTS_URL") or ACCOUNTS_URL,
        os.environ.get("SPOTIFY_API_URL") or API_URL,
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="make authorize", description="Add a Spotify account, or renew one.")
    parser.add_argument("--port", type=int, default=PORT, help="of the loopback address Spotify sends you back to")
    parser.add_argument("--time-zone", help="IANA name, instead of being asked for it")
    parser.add_argument("--no-browser", action="store_true", help="only print the address")
    arguments = parser.parse_args()

    def show(address: str) -> None:
        print(f"The app at Spotify must list this redirect URI:\n  http://{LOOPBACK}:{arguments.port}{CALLBACK}\n")
        print(f"Log in at Spotify:\n  {address}\n")
        if not arguments.no_browser:
            webbrowser.open(address)

    try:
        if arguments.time_zone and arguments.time_zone not in available_timezones():
            raise AuthorizationFailed(f"There is no time zone {arguments.time_zone!r}; an example: Europe/Berlin.")
        app = _app_of_environment()
        account = authorize(app, port=arguments.port, show=show)
        print(f"Authorized: {account.display_name} ({account.user_id})")
        time_zone = arguments.time_zone or ask_time_zone(input, os.environ.get("LISTENER_TIME_ZONE", "UTC"))
        connection_id = _store(app, account, time_zone)
    except AuthorizationFailed as error:
        sys.exit(str(error))
    exports = os.environ.get("LISTENING_EXPORTS") or "<LISTENING_EXPORTS>"
    print(
        f"\nAirflow connection {connection_id} holds the authorization; Spotify ends it in six months.\n"
        f"Next:\n"
        f"  1. `make up`, and trigger the DAG {DAG_ID}: it asks Spotify for the last 50 plays.\n"
        f"  2. Ask Spotify for your extended streaming history (Account, Privacy), and put the zip into\n"
        f"     {exports}/{escaped(account.user_id)}/\n"
        f"  3. For playlists in your account, set listeners.publishes_playlists (`make psql`)."
    )


def _store(app: App, account: Account, time_zone: str) -> str:
    migrate_listening_db()
    with connect() as connection:
        connection_id = store_listener(connection, account, time_zone)
        store_connection(app, account, connection_id)
    return connection_id


if __name__ == "__main__":
    main()
