"""Operators of the task group `ingest`: what is new at Spotify and in the export folder, into raw."""

from __future__ import annotations

import ast
import os
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from include.listening_db import LISTENING_DB, connect

if TYPE_CHECKING:
    import psycopg
    from airflow.sdk import Context


class ListAccountsOperator(BaseOperator):
    """Returns the accounts to ask Spotify for: `[{"user_id": …, "connection_id": …}, …]`.

    :param accounts: user ids, as a list or as its text (`"['ada', 'bea']"`, `"ada, bea"`); empty: all. (templated)
    :param postgres_conn_id: the listening database.
    """

    template_fields: Sequence[str] = ("accounts",)
    ui_color = "#cfe8d5"

    def __init__(self, *, accounts: str | list[str] = "", postgres_conn_id: str = LISTENING_DB, **kwargs) -> None:
        super().__init__(**kwargs)
        self.accounts = accounts
        self.postgres_conn_id = postgres_conn_id

    def execute(self, context: Context) -> list[dict[str, str]]:
        from include.sql.queries import query

        wanted = _user_ids(self.accounts)
        with connect(self.postgres_conn_id) as connection:
            rows = connection.execute(query("ingestion", "list_accounts"), {"user_ids": wanted}).fetchall()
        accounts = [{"user_id": user_id, "connection_id": connection_id} for user_id, connection_id in rows]
        unknown = sorted(set(wanted) - {account["user_id"] for account in accounts})
        if unknown:
            raise AirflowFailException(
                f"No account for {', '.join(unknown)}: listeners has no such user_id with a connection."
            )
        self.log.info("Accounts to ask: %s", ", ".join(account["user_id"] for account in accounts) or "none")
        return accounts


class IngestRecentlyPlayedOperator(BaseOperator):
    """Stores what Spotify's window shows for one account, with its state, gaps and marks, in one transaction.

    Outcomes: success (a summary of counts is returned); skipped while the app's quota is used up, with the time to come
    back in ingestion_state (later runs honour it without a call); failed for everything else, with a typed error that
    SpotifyRetryPolicy knows what to do about and that ingestion_state keeps for people to read.

    In a replay nothing is asked of Spotify, which no longer has those days: the interval's days are marked to be built
    again from raw.

    :param account: one item of ListAccountsOperator's list; map over it.
    :param mode: `incremental` or `replay`. (templated)
    :param start: replay from, any ISO timestamp. (templated)
    :param end: replay until, exclusive. (templated)
    :param as_of: the run's time, ISO; the end of a replay that names none. (templated)
    :param postgres_conn_id: the listening database.
    """

    template_fields: Sequence[str] = ("account", "mode", "start", "end", "as_of")
    ui_color = "#cfe8d5"

    def __init__(
        self,
        *,
        account: dict[str, str],
        mode: str = "incremental",
        start: str = "",
        end: str = "",
        as_of: str = "",
        postgres_conn_id: str = LISTENING_DB,
        **kwargs,
    ) -> None:
        super().__init__(**kwargs)
        self.account = account
        self.mode = mode
        self.start = start
        self.end = end
        self.as_of = as_of
        self.postgres_conn_id = postgres_conn_id

    def execute(self, context: Context) -> dict[str, Any]:
        from include.ingestion.recently_played import ingest_recently_played
        from include.ingestion.replay import mark_interval
        from listening.hooks.spotify import SpotifyHook

        user_id = self.account["user_id"]
        with connect(self.postgres_conn_id) as connection:
            if self.mode == "replay":
                days = mark_interval(connection, [user_id], start=self.start, end=self.end or self.as_of)
                self.log.info("%s: %d days marked to be built again from raw; Spotify is not asked.", user_id, days)
                return {"user_id": user_id, "days_marked": days}
            hook = SpotifyHook(self.account["connection_id"], postgres_conn_id=self.postgres_conn_id)
            try:
                outcome = ingest_recently_played(connection, hook, user_id, run_id=context["run_id"])
            finally:
                hook.close()
        if outcome.retry_at is not None:
            raise AirflowSkipException(f"{user_id}: {outcome.message}")
        self.log.info("%s: %s", user_id, outcome.message)
        return outcome.summary()


class ImportStreamingHistoryOperator(BaseOperator):
    """Loads the exports that lie in the export folder, each file in one transaction of its own.

    Layout: `<exports_path>/<user_id>/…` with zips and loose JSON at any depth; the folder's name says whose history it
    is. A file that cannot be read is set aside with its reason in `ingested_files` and the log; the task goes on.

    :param exports_path: folder or URL (whatever Airflow's ObjectStoragePath opens); empty: nothing to do. (templated)
    :param mode: in a `replay`, the interval's days of all listeners are marked, account or not. (templated)
    :param start: replay from, any ISO timestamp. (templated)
    :param end: replay until, exclusive. (templated)
    :param as_of: the run's time, ISO; the end of a replay that names none. (templated)
    :param keep_ip_addresses: keep IP addresses and places in the payload instead of dropping them while parsing.
    :param postgres_conn_id: the listening database.
    """

    template_fields: Sequence[str] = ("exports_path", "mode", "start", "end", "as_of")
    ui_color = "#cfe8d5"

    def __init__(
        self,
        *,
        exports_path: str,
        mode: str = "incremental",
        start: str = "",
        end: str = "",
        as_of: str = "",
        keep_ip_addresses: bool = False,
        postgres_conn_id: str = LISTENING_DB,
        **kwargs,
    ) -> None:
        super().__init__(**kwargs)
        self.exports_path = exports_path
        self.mode = mode
        self.start = start
        self.end = end
        self.as_of = as_of
        self.keep_ip_addresses = keep_ip_addresses
        self.postgres_conn_id = postgres_conn_id

    def execute(self, context: Context) -> dict[str, Any]:
        from airflow.sdk import ObjectStoragePath

        from include.ingestion.import_history import import_history
        from include.ingestion.replay import mark_interval
        from include.sql.queries import query

        with connect(self.postgres_conn_id) as connection:
            if self.mode == "replay":
                users = [row[0] for row in connection.execute(query("ingestion", "list_listeners"))]
                days = mark_interval(connection, users, start=self.start, end=self.end or self.as_of)
                self.log.info("%d days of %d listeners marked to be built again from raw", days, len(users))
            if not self.exports_path:
                raise AirflowSkipException("LISTENING_EXPORTS names no export folder: nothing to import.")
            return import_history(
                connection,
                ObjectStoragePath(self.exports_path),
                run_id=context["run_id"],
                now=datetime.now(UTC),
                keep_ip_addresses=self.keep_ip_addresses,
            )


class FetchAudioFeaturesOperator(BaseOperator):
    """Fills metadata of tracks and artists and their audio features, best effort: it never fails, whatever happens.

    Metadata: single reads within a daily budget an account. Audio features: Spotify where the app still may, else
    ReccoBeats. Returns counts by kind.

    :param postgres_conn_id: the listening database.
    """

    ui_color = "#dfe3f3"

    def __init__(self, *, postgres_conn_id: str = LISTENING_DB, **kwargs) -> None:
        super().__init__(**kwargs)
        self.postgres_conn_id = postgres_conn_id

    def execute(self, context: Context) -> dict[str, int]:
        done: Counter[str] = Counter()
        try:
            with connect(self.postgres_conn_id) as connection:
                self._fetch(connection, done)
        except Exception:
            self.log.warning("Metadata and audio features: stopped by an error; the next run goes on", exc_info=True)
        self.log.info("Fetched: %s", ", ".join(f"{count} {kind}" for kind, count in sorted(done.items())) or "nothing")
        return dict(done)

    def _fetch(self, connection: psycopg.Connection, done: Counter[str]) -> None:
        from include.ingestion.audio_features import RECCOBEATS_URL, fetch_audio_features, may_ask_spotify
        from include.ingestion.errors import SpotifyError
        from include.ingestion.metadata import fetch_metadata
        from include.ingestion.state import quota_returns_at
        from include.sql.queries import query
        from listening.hooks.spotify import SpotifyHook

        now = datetime.now(UTC)
        accounts = connection.execute(query("ingestion", "list_accounts"), {"user_ids": []}).fetchall()
        client = None
        for user_id, connection_id in accounts:
            retry_at = quota_returns_at(connection, user_id)
            if retry_at is not None and retry_at > now:
                continue
            hook = SpotifyHook(connection_id, postgres_conn_id=self.postgres_conn_id)
            try:
                client = hook.get_conn()
                done.update(fetch_metadata(connection, client, user_id, now=now))
            except SpotifyError as error:
                self.log.info("%s: %s", user_id, error)
            except Exception:
                # Whatever is wrong with one account's answers, the others' are still wanted.
                self.log.warning("%s: metadata stopped by an error", user_id, exc_info=True)
                connection.rollback()
            finally:
                hook.close()
        done.update(
            fetch_audio_features(
                connection,
                client if may_ask_spotify(connection, now=now) else None,
                now=now,
                reccobeats_url=os.environ.get("RECCOBEATS_URL") or RECCOBEATS_URL,
            )
        )


class IngestionFailedOperator(BaseOperator):
    """Turns a run red whose ingestion failed in part, after the rest of it was published.

    Runs when a task before it failed, and names what failed and why, from ingestion_state.

    :param postgres_conn_id: the listening database.
    """

    ui_color = "#f4c7c3"

    def __init__(self, *, postgres_conn_id: str = LISTENING_DB, **kwargs) -> None:
        super().__init__(**kwargs)
        self.postgres_conn_id = postgres_conn_id

    def execute(self, context: Context) -> None:
        from include.sql.queries import query

        with connect(self.postgres_conn_id) as connection:
            rows = connection.execute(query("ingestion", "list_failures"), {"run_id": context["run_id"]}).fetchall()
        reasons = "; ".join(f"{user_id}: {message}" for user_id, message in rows)
        raise AirflowFailException(f"Ingestion failed in part. {reasons or 'See the red task of this run.'}")


def _user_ids(accounts: str | list[str]) -> list[str]:
    """A list as Jinja, JSON or a person writes it."""
    if isinstance(accounts, str):
        try:
            accounts = ast.literal_eval(accounts.strip()) if accounts.strip().startswith("[") else accounts.split(",")
        except (ValueError, SyntaxError):
            raise AirflowFailException(f"accounts is no list of user ids: {accounts!r}") from None
    return [str(account).strip() for account in accounts if str(account).strip()]
