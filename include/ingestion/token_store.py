"""An account's tokens in table spotify_tokens: encrypted at rest, refreshed by one process at a time, safe before used.

The row is locked from before a refresh request is sent until what came back is committed. So two tasks never both spend
a refresh token that Spotify replaces on use, and no access token is used whose refresh token is not yet safe.

What comes back is committed before anything else happens. A process killed in the moment between, some milliseconds of
an hour and only when Spotify replaces the token at all, leaves the former token stored: no harm while Spotify accepts
that one too, and the end of the authorization if it does not. No client of OAuth can close that moment, since nothing
commits at Spotify and here at once. The token before the stored one is kept too, and tried when Spotify refuses that.
"""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, Protocol

import psycopg

from include.ingestion.errors import RateLimited, SpotifyUnavailable, TokenDead
from include.ingestion.json_values import decode_answer
from include.ingestion.spotify_client import retry_after
from include.sql.queries import query

log = logging.getLogger(__name__)

ACCOUNTS_URL = "https://accounts.spotify.com"
TIMEOUT = (5.0, 20.0)  # seconds to connect, and between two bytes of an answer
SAFETY_SECONDS = 60  # a token this near to its end is refreshed at once
LIFE_SECONDS = 3600.0  # of an access token, when the answer does not say, or not so that it could be meant
STORE_TRIES = 60  # a second apart


class Cipher(Protocol):
    """Airflow's Fernet (`airflow.sdk.crypto.get_fernet`), or another."""

    def encrypt(self, msg: bytes) -> bytes: ...
    def decrypt(self, msg: bytes) -> bytes: ...


@dataclass(frozen=True)
class Authorization:
    """What `make authorize` left in the account's Airflow connection."""

    connection_id: str
    client_id: str
    client_secret: str
    refresh_token: str

    def fingerprint(self) -> str:
        """Tells one authorization from the next, so that a new one replaces what is stored for the old."""
        return sha256(self.refresh_token.encode()).hexdigest()


class _InvalidGrant(TokenDead):
    """Spotify does not accept this refresh token; it may accept another."""


class TokenStore:
    """Gives out access tokens of one account.

    :param connect: opens a connection to the listening database.
    :param mask: told every secret before it is used, to keep it out of logs.
    :param count_call: told the endpoint's name after each refresh request.
    :param sleep: waits between two tries to store a token.
    """

    def __init__(
        self,
        authorization: Authorization,
        connect: Callable[[], psycopg.Connection],
        cipher: Cipher,
        *,
        accounts_url: str = ACCOUNTS_URL,
        mask: Callable[[str], None],
        count_call: Callable[[str], None],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._authorization = authorization
        self._connect = connect
        self._cipher = cipher
        self._accounts_url = accounts_url.rstrip("/")
        self._mask = mask
        self._count_call = count_call
        self._now = now
        self._sleep = sleep
        self._tokens: dict[str, Any] = {}

    def access_token(self, refused: str | None = None) -> str:
        """A valid access token, other than `refused`.

        :raises TokenDead: Spotify no longer accepts the refresh token.
        :raises SpotifyUnavailable: the accounts server did not answer properly.
        :raises RateLimited: the accounts server asks to wait.
        """
        if not self._is_usable(self._tokens, refused):
            with self._connect() as connection:
                tokens = self._lock_tokens(connection)
                if not self._is_usable(tokens, refused):
                    tokens = self._refresh_and_store(connection, tokens)
            self._tokens = tokens
        return self._tokens["access_token"]

    def _is_usable(self, tokens: dict[str, Any], refused: str | None) -> bool:
        expires_at = tokens.get("expires_at")
        return (
            expires_at is not None
            and tokens.get("access_token") != refused
            and datetime.fromisoformat(expires_at) - self._now() > timedelta(seconds=SAFETY_SECONDS)
        )

    def _lock_tokens(self, connection: psycopg.Connection) -> dict[str, Any]:
        """What is stored for the current authorization, its row locked; tokens of an earlier one do not count."""
        first = self._encrypt({"refresh_token": self._authorization.refresh_token})
        [(encrypted,)] = connection.execute(
            query("ingestion", "lock_token"),
            {"connection_id": self._authorization.connection_id, "encrypted_token": first},
        ).fetchall()
        tokens = json.loads(self._decrypt(encrypted))
        if tokens.get("authorization") != self._authorization.fingerprint():
            tokens = {"refresh_token": self._authorization.refresh_token}
        self._mask_all(tokens)
        return tokens

    def _refresh_and_store(self, connection: psycopg.Connection, tokens: dict[str, Any]) -> dict[str, Any]:
        """Refresh with the newest token that Spotify still accepts, and commit what came back."""
        known = (tokens["refresh_token"], tokens.get("former_refresh_token"), self._authorization.refresh_token)
        refusals = []
        for refresh_token in filter(None, dict.fromkeys(known)):
            try:
                answer = self._refresh(refresh_token)
                if answer.get("refresh_token", refresh_token) != refresh_token:
                    answer["former_refresh_token"] = refresh_token
                tokens = tokens | {"refresh_token": refresh_token} | answer
                self._store(connection, tokens)
                return tokens
            except _InvalidGrant as error:
                refusals.append(error)
            finally:
                self._count_call("token")
        raise refusals[0]

    def _store(self, connection: psycopg.Connection, tokens: dict[str, Any]) -> None:
        """Commit the tokens; when the database goes away just now, wait for it: Spotify may have spent the old one."""
        parameters = {
            "connection_id": self._authorization.connection_id,
            "encrypted_token": self._encrypt(tokens),
        }
        try:
            connection.execute(query("ingestion", "store_token"), parameters)
            connection.commit()
            return
        except psycopg.OperationalError:
            log.warning("The database went away while a token was being stored; trying again")
        for tries_left in reversed(range(STORE_TRIES)):
            try:
                with self._connect() as again:
                    again.execute(query("ingestion", "store_token"), parameters)
                return
            except psycopg.OperationalError:
                if not tries_left:
                    raise
                self._sleep(1.0)

    def _refresh(self, refresh_token: str) -> dict[str, Any]:
        """Spend the refresh token (RFC 6749, section 6)."""
        import requests

        try:
            response = requests.post(
                f"{self._accounts_url}/api/token",
                data={"grant_type": "refresh_token", "refresh_token": refresh_token},
                auth=(self._authorization.client_id, self._authorization.client_secret),
                timeout=TIMEOUT,
            )
        except requests.RequestException as error:
            raise SpotifyUnavailable(f"Spotify's accounts server did not answer: {type(error).__name__}") from None
        answer = decode_answer(response.content)
        body = answer if isinstance(answer, dict) else {}
        if response.status_code == 429:
            wait = retry_after(response.headers.get("Retry-After"), self._now())
            raise RateLimited("Spotify's accounts server asks to wait.", wait)
        # Only OAuth's own words (RFC 6749, section 5.2) say that a person has to act; a proxy's page does not.
        refusal = body.get("error")
        if response.status_code in (400, 401) and refusal in ("invalid_grant", "invalid_client", "unauthorized_client"):
            raise (_InvalidGrant if refusal == "invalid_grant" else TokenDead)(self._how_to_authorize(refusal))
        if response.status_code != 200 or not is_token(body.get("access_token")):
            raise SpotifyUnavailable(f"Spotify's accounts server answers {response.status_code} without a token.")
        tokens = {
            "authorization": self._authorization.fingerprint(),
            "access_token": body["access_token"],
            "expires_at": (self._now() + timedelta(seconds=_life_seconds(body.get("expires_in")))).isoformat(),
        }
        if isinstance(body.get("scope"), str):
            tokens["scope"] = body["scope"]
        if is_token(body.get("refresh_token")):
            tokens["refresh_token"] = body["refresh_token"]
        self._mask_all(tokens)
        return tokens

    def _mask_all(self, tokens: dict[str, Any]) -> None:
        for name in ("refresh_token", "former_refresh_token", "access_token"):
            if name in tokens:
                self._mask(tokens[name])

    def _how_to_authorize(self, error: str) -> str:
        connection_id = self._authorization.connection_id
        if error == "invalid_client":
            return (
                f"Spotify does not know the client id and secret of connection {connection_id} (invalid_client): "
                f"correct them in .env, then run `make authorize` again for this account."
            )
        return (
            f"Spotify no longer accepts the authorization of connection {connection_id} ({error}): it was withdrawn "
            f"or is older than six months. Run `make authorize` again for this account, then clear this task."
        )

    def _encrypt(self, tokens: dict[str, Any]) -> bytes:
        return self._cipher.encrypt(json.dumps(tokens).encode())

    def _decrypt(self, encrypted: bytes) -> bytes:
        from cryptography.fernet import InvalidToken

        try:
            return self._cipher.decrypt(bytes(encrypted))
        except InvalidToken:
            log.warning("The stored token was encrypted with another Fernet key; using the one in the connection")
            return b"{}"


def is_token(value: Any) -> bool:
    """Whether it can stand in a header and a form."""
    return isinstance(value, str) and bool(value) and value.isascii() and value.isprintable()


def _life_seconds(expires_in: Any) -> float:
    try:
        seconds = float(expires_in)
    except (TypeError, ValueError, OverflowError):
        return LIFE_SECONDS
    return min(seconds, LIFE_SECONDS) if math.isfinite(seconds) and seconds > 0 else LIFE_SECONDS
