"""The operator of task publish_playlists."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowSkipException

from include.listening_db import LISTENING_DB, connect
from listening.links import PLAYLISTS

if TYPE_CHECKING:
    from airflow.sdk import Context


class PublishPlaylistsOperator(BaseOperator):
    """Writes the newest playlists to Spotify, private, for listeners who opted in (listeners.publishes_playlists).

    Best effort: what fails is noted in published_playlists and the log, and never fails the task. Skipped when
    publishing is switched off, in a replay, and in a run that is older than the playlists readers see.

    :param publish: whether to write at all; a truth value or its text. (templated)
    :param as_of: the run's time, ISO. (templated)
    :param mode: `incremental` or `replay`. (templated)
    :param postgres_conn_id: the listening database.
    """

    template_fields: Sequence[str] = ("publish", "as_of", "mode")
    ui_color = "#dfe3f3"
    operator_extra_links = (PLAYLISTS,)

    def __init__(
        self,
        *,
        publish: bool | str = True,
        as_of: str = "",
        mode: str = "incremental",
        postgres_conn_id: str = LISTENING_DB,
        **kwargs,
    ) -> None:
        super().__init__(**kwargs)
        self.publish = publish
        self.as_of = as_of
        self.mode = mode
        self.postgres_conn_id = postgres_conn_id

    def execute(self, context: Context) -> dict[str, int]:
        from include.ingestion.errors import SpotifyError
        from include.publishing.playlists import SCOPES, publish_playlists
        from include.sql.queries import query
        from listening.hooks.spotify import SpotifyHook

        if str(self.publish).strip().lower() not in ("true", "1", "yes"):
            raise AirflowSkipException("This run's parameter publish says no.")
        if self.mode == "replay":
            raise AirflowSkipException("A replay writes nothing to Spotify.")
        done: Counter[str] = Counter()
        with connect(self.postgres_conn_id) as connection:
            accounts = connection.execute(query("publishing", "list_publishing_accounts")).fetchall()
            [(newest,)] = connection.execute(query("publishing", "newest_playlist_as_of")).fetchall()
            connection.commit()
            if not accounts:
                raise AirflowSkipException("No listener has asked for playlists on Spotify.")
            if newest is not None and self.as_of and datetime.fromisoformat(self.as_of).date() < newest:
                raise AirflowSkipException(f"A newer run has made the playlists of {newest}; this one writes nothing.")
            for user_id, connection_id in accounts:
                hook = SpotifyHook(connection_id, postgres_conn_id=self.postgres_conn_id)
                try:
                    for scope in SCOPES:
                        hook.require_scope(scope)
                    done.update(publish_playlists(connection, hook.get_conn(), user_id, now=datetime.now(UTC)))
                except SpotifyError as error:
                    self.log.warning("%s: %s", user_id, error)
                    done["accounts_failed"] += 1
                except Exception:
                    # Whatever is wrong with one account, the others get their playlists.
                    self.log.warning("%s: stopped by an error", user_id, exc_info=True)
                    connection.rollback()
                    done["accounts_failed"] += 1
                finally:
                    hook.close()
        self.log.info("Playlists: %s", ", ".join(f"{count} {what}" for what, count in sorted(done.items())) or "none")
        return dict(done)
