"""SpotifyHook: one account's access to Spotify, as Airflow keeps it."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseHook

from include.listening_db import LISTENING_DB, connect

if TYPE_CHECKING:
    import psycopg

    from include.ingestion.spotify_client import SpotifyClient


class SpotifyHook(BaseHook):
    """Calls Spotify for the account of one Airflow connection (conn_type `spotify`).

    The connection: login = client id, password = client secret, extra = `{"refresh_token", "authorized_at", "scope",
    "user_id"}`, as `make authorize` writes it. Later tokens are kept encrypted in table spotify_tokens. Calls are
    counted in spotify_api_calls. Never prompts.

    :param spotify_conn_id: the account's connection.
    :param postgres_conn_id: the listening database, where tokens and call counts are kept.
    :param now: the clock that tokens and quotas are reckoned by.
    """

    conn_name_attr = "spotify_conn_id"
    default_conn_name = "spotify_default"
    conn_type = "spotify"
    hook_name = "Spotify"

    def __init__(
        self,
        spotify_conn_id: str = default_conn_name,
        *,
        postgres_conn_id: str = LISTENING_DB,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        super().__init__()
        self.spotify_conn_id = spotify_conn_id
        self.postgres_conn_id = postgres_conn_id
        self._now = now
        self._bookkeeping: psycopg.Connection | None = None

    @cached_property
    def connection(self) -> Any:
        """The account's Airflow connection.

        :raises TokenDead: it does not exist, or holds no refresh token.
        """
        from airflow.sdk.exceptions import AirflowNotFoundException

        from include.ingestion.errors import TokenDead

        try:
            connection = self.get_connection(self.spotify_conn_id)
        except AirflowNotFoundException:
            raise TokenDead(
                f"There is no Airflow connection {self.spotify_conn_id}: run `make authorize` for this account."
            ) from None
        if not connection.extra_dejson.get("refresh_token"):
            raise TokenDead(
                f"Connection {self.spotify_conn_id} has no refresh_token: run `make authorize` for this account."
            )
        return connection

    @property
    def user_id(self) -> str:
        """The listener that the account belongs to."""
        return self.connection.extra_dejson.get("user_id") or self.spotify_conn_id

    @property
    def authorized_at(self) -> datetime | None:
        """When the account was authorized; Spotify ends an authorization after six months."""
        text = self.connection.extra_dejson.get("authorized_at")
        if not text:
            return None
        moment = datetime.fromisoformat(text)
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)

    def require_scope(self, scope: str) -> None:
        """
        :raises ScopeMissing: the account was authorized without this scope.
        """
        from include.ingestion.errors import ScopeMissing

        granted = self.connection.extra_dejson.get("scope")
        if granted is not None and scope not in granted.split():
            raise ScopeMissing(
                f"Connection {self.spotify_conn_id} was authorized without the scope {scope}: run `make authorize` "
                f"again for this account."
            )

    def get_conn(self) -> SpotifyClient:
        """The account's client. Asks Spotify for nothing yet."""
        from airflow.sdk.crypto import get_fernet
        from airflow.sdk.log import mask_secret

        from include.ingestion.spotify_client import API_URL, SpotifyClient
        from include.ingestion.token_store import ACCOUNTS_URL, Authorization, TokenStore

        cipher = get_fernet()
        if not cipher.is_encrypted:
            raise ValueError("Airflow's core.fernet_key is empty: set one, tokens are not stored in clear text.")
        connection = self.connection
        extra = connection.extra_dejson
        mask_secret(extra["refresh_token"])
        mask_secret(connection.password)
        tokens = TokenStore(
            Authorization(
                connection_id=self.spotify_conn_id,
                client_id=connection.login or "",
                client_secret=connection.password or "",
                refresh_token=extra["refresh_token"],
            ),
            self._connect,
            cipher,
            accounts_url=os.environ.get("SPOTIFY_ACCOUNTS_URL") or ACCOUNTS_URL,
            mask=mask_secret,
            count_call=self.count_call,
            now=self._now,
        )
        return SpotifyClient(
            access_token=tokens.access_token,
            count_call=self.count_call,
            api_url=os.environ.get("SPOTIFY_API_URL") or API_URL,
            now=self._now,
        )

    def count_call(self, endpoint: str) -> None:
        """Count one request of this account, today."""
        from include.sql.queries import query

        if self._bookkeeping is None or self._bookkeeping.closed:
            self._bookkeeping = self._connect()
            self._bookkeeping.autocommit = True
        self._bookkeeping.execute(
            query("ingestion", "count_call"),
            {"user_id": self.user_id, "called_on": self._now().date(), "endpoint": endpoint},
        )

    def close(self) -> None:
        """Give back the database connection that counted calls."""
        if self._bookkeeping is not None:
            self._bookkeeping.close()
            self._bookkeeping = None

    def _connect(self) -> psycopg.Connection:
        return connect(self.postgres_conn_id)
