"""The trigger behind asset spotify_recently_played: starts a run when Spotify's window is about to overflow."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from include.listening_db import LISTENING_DB, connect
from include.sql.queries import query

LONGEST_SLEEP = timedelta(minutes=5)  # new accounts are met this soon
AFTER_AN_ERROR = timedelta(minutes=1)


class WindowTrigger(BaseEventTrigger):
    """Watches every account's window in the triggerer; fires with the accounts whose plays would soon be lost.

    Looks as seldom as is safe (see include/ingestion/window_watch.py). When it looks next stands in ingestion_state, so
    a restart neither forgets nor repeats a look. Nothing that Spotify or the database does ends it.

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
                full, next_look = await self._look_at_all()
                wait = min(max(next_look - datetime.now(UTC), timedelta(seconds=1)), LONGEST_SLEEP)
                if full:
                    self.log.info("About to overflow: %s", ", ".join(full))
                    yield TriggerEvent({"accounts": full})
            except Exception:
                self.log.warning("Looking at the window failed; trying again in a minute", exc_info=True)
            await asyncio.sleep(wait.total_seconds())

    async def _look_at_all(self) -> tuple[list[str], datetime]:
        """Accounts about to overflow, and when the next look at any account is due."""
        accounts = await asyncio.to_thread(self._accounts)
        looks = await asyncio.gather(
            *(asyncio.to_thread(self._look_at, *account) for account in accounts), return_exceptions=True
        )
        full: list[str] = []
        next_look = datetime.now(UTC) + LONGEST_SLEEP
        for (user_id, _), look in zip(accounts, looks, strict=True):
            if isinstance(look, BaseException):
                self.log.warning("%s: %r", user_id, look)
                next_look = min(next_look, datetime.now(UTC) + AFTER_AN_ERROR)
                continue
            if look[0]:
                full.append(user_id)
            next_look = min(next_look, look[1])
        return full, next_look

    def _accounts(self) -> list[tuple[str, str]]:
        with connect(self.postgres_conn_id) as connection:
            return connection.execute(query("ingestion", "list_accounts"), {"user_ids": []}).fetchall()

    def _look_at(self, user_id: str, connection_id: str) -> tuple[bool, datetime]:
        from include.ingestion.window_watch import watch
        from listening.hooks.spotify import SpotifyHook

        hook = SpotifyHook(connection_id, postgres_conn_id=self.postgres_conn_id)
        try:
            with connect(self.postgres_conn_id) as connection:
                return watch(connection, hook, user_id, now=lambda: datetime.now(UTC))
        finally:
            hook.close()
