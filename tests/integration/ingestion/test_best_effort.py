"""What hangs off the run and must never stop it: metadata, audio features, playlists on Spotify."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from airflow.sdk.exceptions import AirflowSkipException
from listening.operators.ingestion import FetchAudioFeaturesOperator, IngestRecentlyPlayedOperator
from listening.operators.publishing import PublishPlaylistsOperator

from include.demo.listeners import listener_named
from include.demo.simulator.server import simulator_server
from include.ingestion.metadata import CALLS_PER_DAY
from tests.support.steps import run_models, run_steps

NOW = datetime(2026, 10, 23, 12, tzinfo=UTC)


def ingest(account):
    return IngestRecentlyPlayedOperator(task_id="t", account=account).execute({"run_id": "run"})


def fetch():
    return FetchAudioFeaturesOperator(task_id="fetch_audio_features").execute({"run_id": "run"})


@pytest.fixture
def simulator(monkeypatch):
    """One of its own for each test: without anybody's playlists."""
    with simulator_server(now=NOW.isoformat(), listeners=[listener_named("ada")]) as simulator:
        monkeypatch.setenv("SPOTIFY_API_URL", simulator.api_url)
        monkeypatch.setenv("SPOTIFY_ACCOUNTS_URL", simulator.url)
        monkeypatch.setenv("RECCOBEATS_URL", simulator.reccobeats_url)
        yield simulator


def publish(**kwargs):
    kwargs = {"as_of": "2026-10-23 12:00:00+00:00", **kwargs}
    return PublishPlaylistsOperator(task_id="publish_playlists", **kwargs).execute({})


def count(connection, table, where="true"):
    return connection.execute(f"select count(*) from {table} where {where}").fetchone()[0]


def test_payloads_fill_the_catalogue_and_single_reads_the_rest(authorize, connection, simulator):
    ingest(authorize("ada"))
    tracks = count(connection, "tracks")
    assert tracks == count(connection, "heard_tracks")
    fetch()
    assert count(connection, "artists") == min(
        CALLS_PER_DAY, count(connection, "(select distinct artist_id from tracks)")
    )
    connection.rollback()
    fetch()
    calls = [call for call in simulator.calls("ada") if call["endpoint"].startswith("GET /v1/artists")]
    assert sum(call["calls"] for call in calls) <= CALLS_PER_DAY


def test_audio_features_come_from_reccobeats_when_spotify_refuses(authorize, connection, simulator):
    ingest(authorize("ada"))
    done = fetch()
    assert done["reccobeats"] > 0
    assert done["unknown"] > 0
    assert done["reccobeats"] + done["unknown"] == count(connection, "heard_tracks")
    assert count(connection, "audio_features", "source = 'reccobeats' and status = 'found' and energy is not null")
    assert count(connection, "audio_features", "status = 'unknown' and expires_at > now() + interval '20 days'")
    connection.rollback()
    fetch()
    refusals = [call for call in simulator.calls() if call["endpoint"] == "GET /v1/audio-features"]
    assert sum(call["calls"] for call in refusals) == 1


def test_audio_features_come_from_spotify_where_it_still_gives_them(authorize, connection, simulator):
    ingest(authorize("ada"))
    simulator.set_limits(extended_quota=True)
    done = fetch()
    assert done["spotify"] == count(connection, "heard_tracks")
    assert "reccobeats" not in done


def test_a_rate_limit_is_not_remembered_as_none_known(authorize, connection, simulator):
    ingest(authorize("ada"))
    simulator.plan_faults({"match": "/reccobeats", "kind": "rate_limit"})
    assert "unknown" not in fetch()
    assert count(connection, "audio_features") == 0
    connection.rollback()
    assert fetch()["reccobeats"] > 0


def test_fetching_never_fails(authorize, connection, simulator, monkeypatch):
    ingest(authorize("ada"))
    simulator.revoke("ada")
    monkeypatch.setenv("RECCOBEATS_URL", "http://127.0.0.1:9")
    assert fetch() == {}


@pytest.fixture
def playlist(authorize, connection: psycopg.Connection, simulator, writer_conninfo):
    """Has the pipeline make a playlist of what Spotify showed up to the simulator's now; called, of a later moment."""
    account = authorize("ada")
    connection.execute("update listeners set publishes_playlists = true")
    connection.commit()

    def make(now: datetime = NOW) -> None:
        simulator.set_clock(now)
        ingest(account)
        with psycopg.connect(writer_conninfo, autocommit=True) as writer:
            run_steps(writer, as_of=now.isoformat())
        with psycopg.connect(writer_conninfo) as writer:
            run_models(writer, as_of=now)
        connection.execute("select * from staging.publish()")
        connection.commit()

    make()
    return make


def test_publishing_creates_once_then_replaces_in_place(playlist, simulator, connection):
    assert publish() == {"published": 1}
    (made,) = simulator.playlists("ada")
    assert not made["public"]
    (tracks,) = connection.execute("select tracks from ml.playlists").fetchone()
    assert len(made["items"]) == tracks > 0
    assert publish() == {"unchanged": 1}
    playlist(NOW + timedelta(days=2))
    assert publish(as_of="2026-10-25 12:00:00+00:00") == {"published": 1}
    assert [again["playlist_id"] for again in simulator.playlists("ada")] == [made["playlist_id"]]


@pytest.mark.parametrize("kind", ["lost_answer", "reset", "non_json"])
def test_a_creation_whose_answer_is_lost_is_not_repeated(playlist, simulator, kind):
    simulator.plan_faults({"match": "POST /v1/me/playlists", "kind": kind})
    assert publish() == {"unavailable": 1}
    assert publish() == {"published": 1}
    assert len(simulator.playlists("ada")) == 1


def test_only_the_newest_run_publishes(playlist):
    playlist(NOW + timedelta(days=2))
    with pytest.raises(AirflowSkipException, match="newer run"):
        publish()
    with pytest.raises(AirflowSkipException, match="replay"):
        publish(mode="replay")
    with pytest.raises(AirflowSkipException, match="parameter"):
        publish(publish="False")


def test_without_the_scope_nothing_is_written(authorize, connection, simulator):
    authorize("ada", scope="user-read-recently-played")
    connection.execute("update listeners set publishes_playlists = true")
    connection.commit()
    assert publish() == {"accounts_failed": 1}
    assert simulator.playlists("ada") == []
