"""Real listeners' histories for the judge: export files through the product's own import, reconciliation and rules of
what was heard, in a Postgres of their own; and the same listener day after day, as far as the layer knew then."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
import psycopg

# When nearly nobody listens: the zone is the one that puts a listener's quietest hours here.
QUIET_HOURS = range(1, 7)
AS_OF = datetime(2100, 1, 1, tzinfo=UTC)


class History(NamedTuple):
    """One listener's files.

    :param path: an export file of any kind, or a folder of them.
    :param zone: IANA name; None: it is guessed.
    """

    path: Path
    zone: str | None

    @property
    def user_id(self) -> str:
        return self.path.name.removesuffix(self.path.suffix) if self.path.is_file() else self.path.name


def histories_of(words: Sequence[str]) -> list[History]:
    """Of words like `a.zip`, `folder/`, `b.zip@Europe/Berlin`.

    :raises FileNotFoundError: there is no such file or folder.
    :raises ValueError: no such time zone, or two listeners of one name.
    """
    histories = []
    for word in words:
        path, _, zone = word.partition("@") if not Path(word).exists() else (word, "", "")
        if not Path(path).exists():
            raise FileNotFoundError(f"{path}: there is no such file or folder")
        if zone:
            try:
                ZoneInfo(zone)
            except (KeyError, ValueError) as error:
                raise ValueError(f"{zone} is no time zone: write it like Europe/Berlin") from error
        histories.append(History(Path(path).resolve(), zone or None))
    names = [history.user_id for history in histories]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"Two listeners are called {', '.join(twice)}: a listener is one file or one folder")
    return histories


def guessed_zone(utc_hours: np.ndarray) -> str:
    """The zone without daylight saving in which a listener's quietest hours are those in which people sleep.

    :param utc_hours: hour of day in UTC of each play.
    """
    counts = np.bincount(utc_hours, minlength=24)[:24]
    offsets = sorted(range(-11, 13), key=lambda offset: (abs(offset), offset))
    offset = min(offsets, key=lambda o: sum(counts[(hour - o) % 24] for hour in QUIET_HOURS))
    # POSIX counts zones westwards.
    return f"Etc/GMT{-offset:+d}" if offset else "UTC"


@contextmanager
def imported(histories: Sequence[History]) -> Iterator[psycopg.Connection]:
    """A connection, with the rights of the tables' owner, to a new database with all their plays in
    staging.listening_events.

    :raises ValueError: files hold no music.
    """
    from airflow.sdk import ObjectStoragePath

    from include.ingestion.import_history import import_history
    from include.operations.listening_database import LISTENING_DATABASE
    from include.stack.local import postgres
    from tests.benchmarks import listening_database
    from tests.support.steps import run_step

    with tempfile.TemporaryDirectory(prefix="histories") as folder, listening_database() as socket_dir:
        for history in histories:
            target = Path(folder) / history.user_id
            if history.path.is_dir():
                shutil.copytree(history.path, target)
            else:
                target.mkdir()
                shutil.copy(history.path, target)
        address = postgres.conninfo(socket_dir, LISTENING_DATABASE)
        with psycopg.connect(address, autocommit=True) as connection:
            for history in histories:
                connection.execute(
                    "insert into listeners (user_id, display_name, time_zone) values (%s, %s, %s)",
                    [history.user_id, history.user_id, history.zone or "UTC"],
                )
            import_history(connection, ObjectStoragePath(folder), run_id="evaluation", now=AS_OF)
            for history in histories:
                if history.zone is None:
                    set_guessed_zone(connection, history.user_id)
            run_step(connection, "listening_events", as_of=AS_OF.isoformat())
            without = [
                history.path.name
                for history in histories
                if not connection.execute(
                    "select 1 from staging.listening_events where user_id = %s limit 1", [history.user_id]
                ).fetchone()
            ]
            if without:
                raise ValueError(
                    f"No music in {', '.join(without)}. Give Spotify's exports: the zip of the account data or of the"
                    " extended streaming history, their StreamingHistory*.json, or a folder of both."
                )
            connection.execute("analyze")
            yield connection


def set_guessed_zone(connection: psycopg.Connection, user_id: str) -> None:
    hours = connection.execute(
        "select extract(hour from played_at at time zone 'UTC')::int from raw_listening_events where user_id = %s",
        [user_id],
    ).fetchall()
    if hours:
        zone = guessed_zone(np.array(hours, dtype=int).ravel())
        connection.execute("update listeners set time_zone = %s where user_id = %s", [zone, user_id])


class AsOf:
    """The product's steps day after day: holds all plays back, and gives out those before a listener's next day.

    Plays are given out in order, so each listener's tables are always those of a pipeline that has run until then.
    """

    def __init__(self, connection: psycopg.Connection):
        self.connection = connection
        self.given: dict[str, date] = {}
        connection.execute("create table held_back as table staging.listening_events")
        connection.execute("create index on held_back (user_id, local_date)")
        connection.execute("truncate staging.listening_events")
        connection.execute("truncate pending_days")
        connection.execute("analyze held_back")

    def give_out(self, until: Mapping[str, date]) -> None:
        """Let each listener's plays before a day be known, and run the steps before the playlists over them."""
        from ml.features.session_features import build_session_features
        from ml.personas.personas import label_personas
        from ml.personas.session_clusters import cluster_sessions
        from ml.playlists.cooccurrence import artist_cooccurrence
        from tests.support.steps import run_step

        for user_id, day in until.items():
            parameters = {"user_id": user_id, "day": day, "from": self.given.get(user_id, date.min)}
            self.connection.execute(
                "insert into staging.listening_events select * from held_back where user_id = %(user_id)s and"
                " local_date >= %(from)s and local_date < %(day)s",
                parameters,
            )
            self.connection.execute(
                "insert into pending_days (step, user_id, day) select distinct step, user_id, local_date"
                " from held_back, unnest(array['sessions', 'artist_stats', 'track_stats']) step"
                " where user_id = %(user_id)s and local_date >= %(from)s and local_date < %(day)s"
                " on conflict do nothing",
                parameters,
            )
            self.given[user_id] = day
        self.connection.execute("analyze staging.listening_events")
        for step in ("sessions", "artist_stats", "track_stats"):
            run_step(self.connection, step, as_of=AS_OF.isoformat())
        for build in (build_session_features, cluster_sessions, label_personas, artist_cooccurrence):
            build(self.connection, as_of=AS_OF)
