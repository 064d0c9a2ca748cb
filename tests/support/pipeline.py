"""The listening database that the pipeline makes of the demo's histories, for tests of the pages.

The builders do what the DAG's tasks do, without Airflow's scheduler: exports and a simulated Spotify are read, scanned,
made into analytics and models, scanned again, published. Nothing is written into a result table by hand.
"""

from __future__ import annotations

import fcntl
import json
import sys
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from cryptography.fernet import Fernet

from include.demo.exports import write_account_data, write_extended_history
from include.demo.listeners import DEMO_LISTENERS, Listener
from include.demo.listening_history import build_history
from include.demo.simulator.client import SimulatorClient
from include.demo.simulator.server import simulator_server
from include.sql.schema.migrate import migrate
from include.stack.local import postgres
from tests.support.generated_plays import insert_years_of_plays
from tests.support.steps import run_models, run_stages

# ada has a long history; bea a shorter one, and export files that cannot be read; carl has account data only, and an
# authorization that has ended; dora has 12 plays. UNHEARD is a listener without any data.
LISTENERS: tuple[Listener, ...] = tuple(
    replace(listener, first_day=max(listener.first_day, date(2025, 3, 1))) for listener in DEMO_LISTENERS
)
UNHEARD = "eve"
EXPORTED = datetime(2026, 10, 12, 22, tzinfo=UTC)
RUNS = tuple(datetime(2026, 10, day, 4, tzinfo=UTC) for day in (15, 22, 23))
NOW = RUNS[-1]
AS_OF = NOW.date()
HOSTILE_TRACK = "<script>alert('x')</script> & \"Quotes\""
# More than a million plays.
BULK = "max"
BULK_DAYS, BULK_A_DAY = 2_550, 400


def build_demo(socket_dir: Path, database: str, folder: Path) -> None:
    """Three daily runs over the demo's histories, into a migrated database.

    :param folder: for the export folder.
    """
    histories = {listener.user_id: build_history(listener, until=EXPORTED) for listener in LISTENERS}
    exports = folder / "exports"
    write_exports(exports, histories)
    with (
        pipeline(socket_dir, database) as run,
        simulator_server(now=RUNS[0].isoformat(), listeners=LISTENERS) as spotify,
    ):
        run.meet(spotify)
        for moment in RUNS:
            for look in (moment - timedelta(hours=hours) for hours in (40, 32, 24, 16, 8, 0)):
                spotify.set_clock(look)
                for user_id in ("ada", "bea", "carl", "dora"):
                    # One run a day is too few for ada: Spotify's list of 50 plays overflows, which leaves a gap.
                    if user_id != "ada" or look == moment:
                        run.ingest(user_id, look)
            if moment == NOW:
                spotify.revoke("carl")
                spotify.expire_access_tokens()
                run.ingest("carl", moment)
            run.import_exports(exports)
            if moment == RUNS[0]:
                run.fetch_audio_features()
            assert run.scan_build_publish(moment)
            run.publish_playlists(moment)


def build_bulk(socket_dir: Path, database: str, folder: Path) -> None:
    """One run over a listener with more than a million plays."""
    with pipeline(socket_dir, database) as run:
        run.insert_bulk()
        assert run.scan_build_publish(RUNS[0])


def fail_a_run(socket_dir: Path, database: str, folder: Path) -> datetime:
    """One more run, on a database of `build_demo`: an export of streams longer than a day, which the raw scan refuses.
    Returns when."""
    moment = NOW + timedelta(days=1)
    rows = [
        {"endTime": f"2026-10-09 12:{minute}", "artistName": "Nobody", "trackName": "Endless", "msPlayed": 90_000_000}
        for minute in range(10, 30)
    ]
    (folder / "bea").mkdir(parents=True)
    (folder / "bea" / "StreamingHistory_music_0.json").write_text(json.dumps(rows))
    with pipeline(socket_dir, database) as run:
        run.import_exports(folder)
        assert not run.scan_build_publish(moment)
    return moment


def write_exports(folder: Path, histories: dict[str, Any]) -> None:
    """An export folder as people fill it: good files, and each kind of bad one."""
    write_extended_history(folder / "ada" / "my_spotify_data.zip", histories["ada"])
    write_extended_history(folder / "bea" / "my_spotify_data.zip", histories["bea"])
    write_account_data(folder / "bea" / "my_account_data.zip", histories["bea"])
    write_account_data(folder / "carl" / "my_account_data.zip", histories["carl"])
    bea = folder / "bea"
    (bea / "interrupted.zip").write_bytes(b"PK\x03\x04 and then the line went dead")
    odd = [
        {
            "ts": f"2025-04-{day:02d}T{hour:02d}:30:00Z",
            "ms_played": 200_000,
            "master_metadata_track_name": HOSTILE_TRACK,
            "master_metadata_album_artist_name": "Bobby Tables",
            "master_metadata_album_album_name": "'; drop table x; --",
            "spotify_track_uri": "spotify:track:0hostile0000000000000a",
            "reason_end": "trackdone",
            "skipped": False,
        }
        for day in range(1, 29)
        for hour in (2, 3)
    ]
    bad = [
        {"ms_played": 1, "spotify_track_uri": "spotify:track:0hostile0000000000000a"},
        odd[0] | {"ts": "yesterday"},
        odd[0] | {"ts": "1999-01-01T00:00:00Z"},
        odd[0] | {"ms_played": -1},
        odd[0] | {"ms_played": "long"},
        odd[0] | {"spotify_track_uri": "spotify:track:?"},
        {"ts": "2025-04-01T02:30:00Z", "ms_played": 3},
        7,
    ]
    with zipfile.ZipFile(bea / "half.zip", "w") as archive:
        archive.writestr("Streaming_History_Audio_2025.json", json.dumps(odd + bad))
        archive.writestr("Streaming_History_Audio_2026.json", '[{"ts": "2026-01-01T00:00:00Z", "ms_pl')
    with zipfile.ZipFile(bea / "photos.zip", "w") as archive:
        archive.writestr("holiday.jpg", b"not music")


class Pipeline:
    """The DAG's tasks, one method each, on one database."""

    def __init__(self, socket_dir: Path, database: str, environment: pytest.MonkeyPatch) -> None:
        self.writer = postgres.conninfo(socket_dir, database, "listening_writer")
        self.owner = postgres.conninfo(socket_dir, database, "listening_owner")
        self.environment = environment

    def meet(self, spotify: SimulatorClient) -> None:
        """The demo's listeners are authorized at the simulated Spotify, as `make authorize` leaves them."""
        from include.demo.simulator.simulated_spotify import CLIENT_ID, CLIENT_SECRET

        self.environment.setenv("SPOTIFY_API_URL", spotify.api_url)
        self.environment.setenv("SPOTIFY_ACCOUNTS_URL", spotify.url)
        self.environment.setenv("RECCOBEATS_URL", spotify.reccobeats_url)
        with psycopg.connect(self.owner) as connection:
            connection.execute("insert into listeners (user_id, display_name) values (%s, 'Eve')", [UNHEARD])
        for days, listener in zip((40, 160, 90, 10), LISTENERS, strict=True):
            authorized_at = NOW - timedelta(days=days)
            granted = spotify.refresh_token(listener.user_id, authorized_at=authorized_at)
            extra = {name: granted[name] for name in ("refresh_token", "authorized_at", "scope", "user_id")}
            self.environment.setenv(
                f"AIRFLOW_CONN_SPOTIFY_{listener.user_id.upper()}",
                json.dumps({"conn_type": "spotify", "login": CLIENT_ID, "password": CLIENT_SECRET, "extra": extra}),
            )
            with psycopg.connect(self.owner) as connection:
                connection.execute(
                    "insert into listeners (user_id, display_name, time_zone, connection_id, authorized_at,"
                    " publishes_playlists) values (%s, %s, %s, %s, %s, %s)",
                    [listener.user_id, listener.display_name, listener.time_zone, f"spotify_{listener.user_id}",
                     authorized_at, listener.user_id != "carl"],
                )  # fmt: skip
                for since, time_zone, _ in listener.zones:
                    connection.execute(
                        "insert into listener_time_zones values (%s, %s, %s)", [listener.user_id, since, time_zone]
                    )

    def insert_bulk(self) -> None:
        with psycopg.connect(self.writer) as connection:
            connection.execute(
                "insert into listeners (user_id, display_name, time_zone) values (%s, 'Max Loud', 'UTC')", [BULK]
            )
            insert_years_of_plays(
                connection, BULK, first=RUNS[0] - BULK_DAYS * timedelta(days=1), days=BULK_DAYS, a_day=BULK_A_DAY
            )
            connection.commit()
            connection.execute("analyze raw_listening_events")

    def ingest(self, user_id: str, now: datetime) -> None:
        from listening.hooks.spotify import SpotifyHook

        from include.ingestion.errors import SpotifyError
        from include.ingestion.recently_played import ingest_recently_played

        hook = SpotifyHook(f"spotify_{user_id}", now=lambda: now)
        try:
            with psycopg.connect(self.writer) as connection:
                ingest_recently_played(connection, hook, user_id, run_id=run_id(now), now=lambda: now)
        except SpotifyError:
            pass  # noted in ingestion_state; the other accounts go on
        finally:
            hook.close()

    def import_exports(self, folder: Path) -> None:
        from listening.operators.ingestion import ImportStreamingHistoryOperator

        ImportStreamingHistoryOperator(task_id="import_streaming_history", exports_path=str(folder)).execute(
            {"run_id": "import"}
        )

    def fetch_audio_features(self) -> None:
        from listening.operators.ingestion import FetchAudioFeaturesOperator

        FetchAudioFeaturesOperator(task_id="fetch_audio_features").execute({})

    def scan_build_publish(self, moment: datetime) -> bool:
        """Everything after ingestion; False, and nothing published, when a scan fails."""
        for layer, build_layer in (("raw", self._analytics), ("analytics", self._models), ("ml", self._publish)):
            if self.scan(layer, moment)["outcome"] == "FAIL":
                return False
            build_layer(moment)
        return True

    def scan(self, layer: str, moment: datetime) -> dict[str, Any]:
        from listening.operators.soda import SodaScanOperator

        return SodaScanOperator(task_id=f"scan_{layer}", scan=layer, as_of=moment.isoformat()).execute(
            {"run_id": run_id(moment)}
        )

    def _analytics(self, moment: datetime) -> None:
        run_stages(lambda: psycopg.connect(self.writer, autocommit=True), as_of=moment.isoformat())

    def _models(self, moment: datetime) -> None:
        with psycopg.connect(self.writer) as connection:
            run_models(connection, as_of=moment)

    def _publish(self, moment: datetime) -> None:
        with psycopg.connect(self.writer) as connection:
            connection.execute("select * from staging.publish_scanned()")

    def publish_playlists(self, moment: datetime) -> None:
        from listening.operators.publishing import PublishPlaylistsOperator

        PublishPlaylistsOperator(task_id="publish_playlists", as_of=moment.isoformat()).execute({})


def run_id(moment: datetime) -> str:
    return f"scheduled__{moment:%Y-%m-%dT%H:%M:%S}+00:00"


@contextmanager
def pipeline(socket_dir: Path, database: str) -> Iterator[Pipeline]:
    """The pipeline on `database`, with Airflow's connections in the environment."""
    from airflow.sdk.crypto import get_fernet

    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AIRFLOW__CORE__FERNET_KEY", Fernet.generate_key().decode())
        environment.setenv(
            "AIRFLOW_CONN_LISTENING_DB",
            json.dumps(
                {"conn_type": "postgres", "host": str(socket_dir), "login": "listening_writer", "schema": database}
            ),
        )
        get_fernet.cache_clear()
        yield Pipeline(socket_dir, database, environment)
    get_fernet.cache_clear()


# Sharing ----------------------------------------------------------------------------------------------------------

BUILDERS = {"demo": build_demo, "bulk": build_bulk}


@contextmanager
def shared_server(folder: Path) -> Iterator[Path]:
    """Socket directory of a server that all processes of a test session share; the last one to leave stops it."""
    folder.mkdir(mode=0o711, exist_ok=True)  # the server may run as another user
    with postgres.server(folder / "data") as socket_dir:
        with _one_at_a_time(folder, "roles"):
            prepare(socket_dir)
        yield socket_dir


def made(socket_dir: Path, folder: Path, name: str) -> str:
    """Name of the database `demo` or `bulk`, built by whichever process asks first. Only for reading."""
    with _one_at_a_time(folder, name):
        if not _exists(socket_dir, name):
            unfinished = f"{name}_unfinished"
            postgres.drop_database(socket_dir, unfinished)
            create_migrated(socket_dir, unfinished)
            BUILDERS[name](socket_dir, unfinished, folder)
            with psycopg.connect(postgres.conninfo(socket_dir), autocommit=True) as connection:
                # A database that somebody is still connected to can be neither copied nor renamed.
                connection.execute(
                    "select pg_terminate_backend(pid) from pg_stat_activity where datname = %s", [unfinished]
                )
                if name == "demo":
                    connection.execute("create database demo_template template demo_unfinished owner listening_owner")
                connection.execute(f"alter database {unfinished} rename to {name}")
    return name


def _exists(socket_dir: Path, name: str) -> bool:
    with psycopg.connect(postgres.conninfo(socket_dir)) as connection:
        return connection.execute("select from pg_database where datname = %s", [name]).fetchone() is not None


@contextmanager
def _one_at_a_time(folder: Path, name: str) -> Iterator[None]:
    with (folder / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def prepare(socket_dir: Path) -> None:
    """Roles, and no durability: speed."""
    with psycopg.connect(postgres.conninfo(socket_dir), autocommit=True) as connection:
        for setting in ("fsync = off", "synchronous_commit = off", "full_page_writes = off"):
            connection.execute(f"alter system set {setting}")
        connection.execute("select pg_reload_conf()")
    postgres.create_roles(socket_dir)


def create_migrated(socket_dir: Path, name: str) -> None:
    postgres.create_database(socket_dir, name, owner="listening_owner")
    migrate(sa.create_engine(postgres.sqlalchemy_url(socket_dir, name, "listening_owner"), poolclass=sa.NullPool))


def main() -> None:
    """`python -m tests.support.pipeline FOLDER`: build the databases there and serve them, to look at the pages."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    socket_dir = postgres.start_server(folder / "data")
    prepare(socket_dir)
    for name in sys.argv[2:] or BUILDERS:
        began = time.monotonic()
        made(socket_dir, folder, name)
        print(f"{time.monotonic() - began:.0f} s; {postgres.conninfo(socket_dir, name, 'listening_reader')}")


if __name__ == "__main__":
    main()
