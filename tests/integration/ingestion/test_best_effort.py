"""What hangs off the run and must never stop it: metadata, audio features, playlists on Spotify."""

from __future__ import annotations

import psycopg
import pytest
from airflow.sdk.exceptions import AirflowSkipException
from ingestion_operators import FetchAudioFeaturesOperator, IngestRecentlyPlayedOperator
from publish_playlists import PublishPlaylistsOperator

from include.demo.listeners import listener_named
from include.demo.simulator import simulator_server
from include.ingestion.metadata import CALLS_PER_DAY


def ingest(account):
    return IngestRecentlyPlayedOperator(task_id="t", account=account).execute({"run_id": "run"})


def fetch():
    return FetchAudioFeaturesOperator(task_id="fetch_audio_features").execute({"run_id": "run"})


@pytest.fixture
def simulator(monkeypatch):
    """One of its own for each test: without anybody's playlists."""
    with simulator_server(now="2026-10-23T12:00:00+00:00", listeners=[listener_named("ada")]) as simulator:
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
def playlist(authorize, connection: psycopg.Connection, owner_conninfo):
    account = authorize("ada")
    ingest(account)
    connection.execute("update listeners set publishes_playlists = true")
    connection.commit()

    def put(playlist_id: str, as_of="2026-10-23"):
        with psycopg.connect(owner_conninfo) as owner:
            owner.execute(
                "insert into ml.playlists values ('ada', %s, 3, %s, 'Night owl', 'For late hours', 20, 1)",
                [playlist_id, as_of],
            )
            owner.execute(
                "insert into ml.playlist_tracks select 'ada', %s, row_number() over (order by track_id), track_id,"
                " track_name, artist_name, album_name, 'k', 1, 1, 0, 0, 0, 'because' from public.tracks limit 20",
                [playlist_id],
            )

    put("first")
    return put


def test_publishing_creates_once_then_replaces_in_place(playlist, simulator):
    assert publish() == {"published": 1}
    (made,) = simulator.playlists("ada")
    assert not made["public"]
    assert len(made["items"]) == 20
    assert publish() == {"unchanged": 1}
    playlist("second", as_of="2026-10-24")
    assert publish(as_of="2026-10-24 04:00:00+00:00") == {"published": 1}
    assert [again["playlist_id"] for again in simulator.playlists("ada")] == [made["playlist_id"]]


@pytest.mark.parametrize("kind", ["lost_answer", "reset", "non_json"])
def test_a_creation_whose_answer_is_lost_is_not_repeated(playlist, simulator, kind):
    simulator.plan_faults({"match": "POST /v1/me/playlists", "kind": kind})
    assert publish() == {"unavailable": 1}
    assert publish() == {"published": 1}
    assert len(simulator.playlists("ada")) == 1


def test_only_the_newest_run_publishes(playlist):
    playlist("second", as_of="2026-10-25")
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
