"""What the simulated Spotify stores: consents, tokens, playlists and counted calls, in one SQLite file.

Every change is committed at once: a simulator that is killed still knows every token it has issued.
"""

from __future__ import annotations

import secrets
import sqlite3
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from include.ingestion.authorization import AUTHORIZATION_LASTS

ACCESS_TOKEN_MS = 3_600_000
CODE_MS = 10 * 60_000

_SCHEMA = """
create table if not exists codes (
    code text primary key, user_id text, redirect_uri text, scope text, code_challenge text, expires_ms integer);
create table if not exists refresh_tokens (
    refresh_token text primary key, user_id text, scope text, authorized_ms integer, revoked integer default 0);
create table if not exists access_tokens (
    access_token text primary key, user_id text, scope text, expires_ms integer);
create table if not exists playlists (
    playlist_id text primary key, user_id text, name text, description text, public integer, snapshot_id text,
    created_ms integer, items text default '');
create table if not exists calls (
    user_id text, day text, endpoint text, status integer, calls integer,
    primary key (user_id, day, endpoint, status));
create table if not exists settings (name text primary key, value text);
"""


class InvalidGrant(Exception):
    """The code or refresh token is unknown, used, revoked or too old."""


@dataclass(frozen=True, slots=True)
class Grant:
    """What an access token stands for."""

    user_id: str
    scope: frozenset[str]
    expires_ms: int


class SimulatorDatabase:
    def __init__(self, path: Path | str) -> None:
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._db.row_factory = sqlite3.Row
        self._db.execute("pragma journal_mode = wal")
        self._db.execute("pragma synchronous = off")
        self._db.executescript(_SCHEMA)

    def close(self) -> None:
        self._db.close()

    def setting(self, name: str) -> str | None:
        row = self._db.execute("select value from settings where name = ?", (name,)).fetchone()
        return None if row is None else row["value"]

    def set_setting(self, name: str, value: str) -> None:
        self._db.execute("insert or replace into settings values (?, ?)", (name, value))

    # Consents and tokens -------------------------------------------------------------------------------------------

    def issue_code(self, user_id: str, redirect_uri: str, scope: str, challenge: str | None, now_ms: int) -> str:
        code = "AQ" + secrets.token_urlsafe(48)
        self._db.execute(
            "insert into codes values (?, ?, ?, ?, ?, ?)",
            (code, user_id, redirect_uri, scope, challenge, now_ms + CODE_MS),
        )
        return code

    def redeem_code(self, code: str, redirect_uri: str, challenge: str | None, now_ms: int) -> tuple[str, str, str]:
        """(user_id, scope, new refresh token); a code works once. Raises InvalidGrant."""
        row = self._db.execute("delete from codes where code = ? returning *", (code,)).fetchone()
        if row is None or row["expires_ms"] < now_ms:
            raise InvalidGrant("Invalid authorization code")
        if row["redirect_uri"] != redirect_uri:
            raise InvalidGrant("Invalid redirect URI")
        if row["code_challenge"] is not None and row["code_challenge"] != challenge:
            raise InvalidGrant("code_verifier was incorrect")
        return row["user_id"], row["scope"], self.issue_refresh_token(row["user_id"], row["scope"], now_ms)

    def issue_refresh_token(self, user_id: str, scope: str, authorized_ms: int) -> str:
        token = "AQ" + secrets.token_urlsafe(72)
        self._db.execute("insert into refresh_tokens values (?, ?, ?, ?, 0)", (token, user_id, scope, authorized_ms))
        return token

    def refresh(self, refresh_token: str, now_ms: int, rotate: bool, keep_former: bool) -> tuple[str, str, str | None]:
        """(user_id, scope, new refresh token when rotated). The former is dead at once or kept. Raises InvalidGrant."""
        row = self._db.execute("select * from refresh_tokens where refresh_token = ?", (refresh_token,)).fetchone()
        if row is None:
            raise InvalidGrant("Invalid refresh token")
        if row["revoked"]:
            raise InvalidGrant("Refresh token revoked")
        if timedelta(milliseconds=now_ms - row["authorized_ms"]) > AUTHORIZATION_LASTS:
            raise InvalidGrant("Refresh token expired")
        successor = None
        if rotate:
            successor = self.issue_refresh_token(row["user_id"], row["scope"], row["authorized_ms"])
            if not keep_former:
                self._db.execute("update refresh_tokens set revoked = 1 where refresh_token = ?", (refresh_token,))
        return row["user_id"], row["scope"], successor

    def revoke(self, user_id: str) -> None:
        """As when the listener removes the app from their account: every token of theirs is dead."""
        self._db.execute("update refresh_tokens set revoked = 1 where user_id = ?", (user_id,))
        self._db.execute("delete from access_tokens where user_id = ?", (user_id,))

    def issue_access_token(self, user_id: str, scope: str, now_ms: int) -> str:
        token = "BQ" + secrets.token_urlsafe(48)
        self._db.execute(
            "insert into access_tokens values (?, ?, ?, ?)", (token, user_id, scope, now_ms + ACCESS_TOKEN_MS)
        )
        return token

    def grant(self, access_token: str) -> Grant | None:
        row = self._db.execute("select * from access_tokens where access_token = ?", (access_token,)).fetchone()
        return None if row is None else Grant(row["user_id"], frozenset(row["scope"].split()), row["expires_ms"])

    def expire_access_tokens(self) -> None:
        self._db.execute("update access_tokens set expires_ms = 0")

    # Playlists -----------------------------------------------------------------------------------------------------

    def create_playlist(self, user_id: str, name: str, description: str, public: bool, now_ms: int) -> dict[str, Any]:
        playlist_id = "".join(
            secrets.choice("0123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz") for _ in range(22)
        )
        row = self._db.execute(
            "insert into playlists values (?, ?, ?, ?, ?, ?, ?, '') returning *",
            (playlist_id, user_id, name, description, public, secrets.token_urlsafe(24), now_ms),
        ).fetchone()
        return _with_items(row)

    def playlist(self, playlist_id: str) -> dict[str, Any] | None:
        row = self._db.execute("select * from playlists where playlist_id = ?", (playlist_id,)).fetchone()
        return None if row is None else _with_items(row)

    def playlists(self, user_id: str | None = None) -> list[dict[str, Any]]:
        """Newest first."""
        rows = self._db.execute(
            "select * from playlists where ? is null or user_id = ? order by created_ms desc, rowid desc",
            (user_id, user_id),
        )
        return [_with_items(row) for row in rows]

    def set_playlist_items(self, playlist_id: str, uris: list[str]) -> str:
        """Replaces the items; the new snapshot id."""
        snapshot = secrets.token_urlsafe(24)
        self._db.execute(
            "update playlists set items = ?, snapshot_id = ? where playlist_id = ?",
            (" ".join(uris), snapshot, playlist_id),
        )
        return snapshot

    def change_playlist(self, playlist_id: str, changes: dict[str, Any]) -> None:
        for column in ("name", "description", "public"):
            if column in changes:
                self._db.execute(
                    f"update playlists set {column} = ? where playlist_id = ?",  # noqa: S608 (a fixed list of columns)
                    (changes[column], playlist_id),
                )

    def delete_playlist(self, playlist_id: str) -> None:
        self._db.execute("delete from playlists where playlist_id = ?", (playlist_id,))

    # Calls ---------------------------------------------------------------------------------------------------------

    def count_call(self, user_id: str, day: str, endpoint: str, status: int) -> None:
        self._db.execute(
            "insert into calls values (?, ?, ?, ?, 1) on conflict do update set calls = calls + 1",
            (user_id, day, endpoint, status),
        )

    def calls(self) -> list[dict[str, Any]]:
        return [dict(row) for row in self._db.execute("select * from calls order by day, user_id, endpoint, status")]

    def forget_calls(self) -> None:
        self._db.execute("delete from calls")


def _with_items(row: sqlite3.Row) -> dict[str, Any]:
    return {**dict(row), "items": row["items"].split()}
