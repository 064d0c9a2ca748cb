"""The trigger of asset spotify_recently_played: starts a run when Spotify's window is about to overflow."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from include.listening_db import LISTENING_DB, connect
from include.sql.queries import query

MAX_SLEEP = timedelta(minutes=5)  # a new account is polled after at most this long
AFTER_AN_ERROR = timedelta(minutes=1)


class WindowTrigger(BaseEventTrigger):
    """Polls every account's window in the triggerer; fires with the accounts whose plays would soon be lost.

    It polls as rarely as is safe (see include/ingestion/window_watch.py). The time of the next poll is stored in
    ingestion_state, so a restart neither skips nor repeats one. No error of Spotify or the database ends the trigger.

    :param postgres_conn_id: the listening database.
    """

    def __init__(self, postgres_conn_id: str = LISTENING_DB) -> None:
        super().__init__()
        self.postgres_conn_id = postgres_conn_id

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return f"{__name__}.WindowTrigger", {"postgres_conn_id": self.postgres_conn_id}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        while True:
            wait = AFTER_AN_ERROR
            try:
                full, next_poll = await self._poll_all()
                wait = min(max(next_poll - datetime.now(UTC), timedelta(seconds=1)), MAX_SLEEP)
                if full:
                    self.log.info("About to overflow: %s", ", ".join(full))
                    yield TriggerEvent({"accounts": full})
            except Exception:
                self.log.warning("Polling the windows failed; trying again in a minute", exc_info=True)
            await asyncio.sleep(wait.total_seconds())

    async def _poll_all(self) -> tuple[list[str], datetime]:
        """Accounts about to overflow, and when the next poll of any account is due."""
        accounts = await asyncio.to_thread(self._accounts)
        polls = await asyncio.gather(
            *(asyncio.to_thread(self._poll, *account) for account in accounts), return_exceptions=True
        )
        full: list[str] = []
        next_poll = datetime.now(UTC) + MAX_SLEEP
        for (user_id, _), poll in zip(accounts, polls, strict=True):
            if isinstance(poll, BaseException):
                self.log.warning("%s: %r", user_id, poll)
                next_poll = min(next_poll, datetime.now(UTC) + AFTER_AN_ERROR)
                continue
            overflows, due = poll
            if overflows:
                full.append(user_id)
            next_poll = min(next_poll, due)
        return full, next_poll

    def _accounts(self) -> list[tuple[str, str]]:
        """User id and connection id of every account."""
        with connect(self.postgres_conn_id) as connection:
            return connection.execute(query("ingestion", "list_accounts"), {"user_ids": []}).fetchall()

    def _poll(self, user_id: str, connection_id: str) -> tuple[bool, datetime]:
        """Whether the account's window is about to overflow, and when its next poll is due."""
        from include.ingestion.window_watch import watch
        from listening.hooks.spotify import SpotifyHook

        hook = SpotifyHook(connection_id, postgres_conn_id=self.postgres_conn_id)
        try:
            with connect(self.postgres_conn_id) as connection:
                return watch(connection, hook, user_id, now=lambda: datetime.now(UTC))
        finally:
            hook.close()
