"""Killed anywhere, by SIGKILL or with the database, and run again: as an undisturbed run, never half a file."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa
from listening.hooks.spotify import SpotifyHook
from listening.operators import ingestion as ingestion_operators

from include.ingestion.errors import TokenDead
from include.sql.schema.migrate import migrate
from include.stack.local import postgres
from tests.integration.ingestion import victims

KILLS = 25  # of each operator
SERVER_KILLS = 4
ROWS = 2_500

# Forked from a process that has everything imported: a kill costs milliseconds.
processes = multiprocessing.get_context("forkserver")
processes.set_forkserver_preload(
    [
        "listening.operators.ingestion",
        "listening.hooks.spotify",
        "airflow.providers.postgres.hooks.postgres",
        "include.ingestion.import_history",
        "include.ingestion.recently_played",
        "requests",
        "spotipy",
    ]
)


@pytest.fixture(autouse=True, scope="module")
def preloadable() -> Iterator[None]:
    """The fork server preloads before it learns our sys.path, so the environment has to say it."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))
        yield


def environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if "SPOTIFY" in name or "AIRFLOW" in name}


def run(operator, arguments) -> float:
    """Run an operator undisturbed; return the seconds it took."""
    started = time.monotonic()
    getattr(ingestion_operators, operator)(task_id="again", **arguments).execute({"run_id": "run"})
    return time.monotonic() - started


def run_and_kill(operator, arguments, after: float, kill=None) -> bool:
    """Run an operator in a process of its own and kill so many seconds into its work; whether it was at work still."""
    hear, tell = processes.Pipe(duplex=False)
    process = processes.Process(target=victims.run, args=(operator, arguments, environment(), tell))
    process.start()
    tell.close()
    assert hear.recv() == "begins"
    time.sleep(after)
    (kill or process.kill)()
    process.join(60)
    assert process.exitcode is not None
    return not hear.poll() or process.exitcode != 0


def export(folder: Path, user_id: str) -> None:
    (folder / user_id).mkdir(parents=True)
    rows = [
        {"ts": f"2024-05-{1 + n % 28:02}T10:{n // 28 % 60:02}:{n % 60:02}Z", "ms_played": n, "platform": "x" * 300}
        | {"spotify_track_uri": f"spotify:track:{n:022}"}
        for n in range(ROWS)
    ]
    (folder / user_id / "Streaming_History_Audio_0.json").write_text(json.dumps(rows))


def state(connection: psycopg.Connection, user_id: str) -> list[tuple]:
    """Everything a run leaves for one listener, in comparable form."""
    found = connection.execute(
        """
        select 'raw', count(*)::text, md5(string_agg(event_key::text || payload, '' order by event_key))
        from raw_listening_events where user_id = %(user_id)s
        union all select 'pending', count(*)::text, md5(string_agg(day::text, ',' order by day))
        from pending_days where user_id = %(user_id)s and step = 'listening_events'
        union all select 'state', status, last_played_at::text from ingestion_state where user_id = %(user_id)s
        union all select 'file', status, rows_loaded::text from ingested_files where user_id = %(user_id)s
        order by 1
        """,
        {"user_id": user_id},
    ).fetchall()
    connection.rollback()
    return found


def add_listeners(connection, count) -> None:
    users = [f"k{number}" for number in range(count)]
    connection.execute("insert into listeners (user_id, display_name) select u, u from unnest(%s::text[]) u", [users])
    connection.commit()


def kill_repeatedly(connection, arguments_of, operator, rows) -> None:
    """Kill runs at random moments, one listener after the other, until KILLS have met their victim alive."""
    moment = random.Random(1)
    run(operator, arguments_of("k0"))
    expected = state(connection, "k0")
    assert ("raw", str(rows)) in [row[:2] for row in expected]
    empty = state(connection, "nobody")
    usual = run(operator, arguments_of("k1"))
    killed, number = 0, 2
    while killed < KILLS:
        user_id = f"k{number}"
        killed += run_and_kill(operator, arguments_of(user_id), moment.uniform(0, usual))
        assert state(connection, user_id) in (empty, expected), "half a run is left"
        run(operator, arguments_of(user_id))
        assert state(connection, user_id) == expected
        number += 1


def test_import_killed_anywhere(tmp_path, airflow_connections, connection):
    add_listeners(connection, 9 * KILLS)

    def arguments(user_id):
        folder = tmp_path / f"for_{user_id}"
        if not folder.exists():
            export(folder, user_id)
        return {"exports_path": str(folder)}

    kill_repeatedly(connection, arguments, "ImportStreamingHistoryOperator", ROWS)


def test_recently_played_killed_anywhere(simulator, authorize, connection):
    account = authorize("ada")
    add_listeners(connection, 9 * KILLS)

    def arguments(user_id):
        return {"account": account | {"user_id": user_id}}

    kill_repeatedly(connection, arguments, "IngestRecentlyPlayedOperator", 50)


@pytest.mark.parametrize("keep_former", [True, False])
def test_killed_with_a_new_refresh_token_in_hand(simulator, authorize, keep_former):
    """Between Spotify's answer and our commit: the one moment in which a replaced token can be lost (see token_store).

    Nothing is lost while Spotify still accepts the former token; else the account's next run says what to do.
    """
    account = authorize("ada")
    simulator.rotate_refresh_tokens(1, keep_former=keep_former)
    process = processes.Process(target=victims.die_with_a_new_token, args=(account["connection_id"], environment()))
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    assert [call["status"] for call in simulator.calls() if call["endpoint"] == "POST /api/token"] == [200]
    client = SpotifyHook(account["connection_id"]).get_conn()
    if keep_former:
        assert client.me()["id"] == "ada"
    else:
        with pytest.raises(TokenDead, match="make authorize"):
            client.me()


def test_the_database_killed_in_mid_transaction(tmp_path, monkeypatch, airflow_connections):
    data_dir = tmp_path / "pg" / "data"
    socket_dir = postgres.start_server(data_dir)
    try:
        postgres.create_roles(socket_dir)
        postgres.create_database(socket_dir, "kills", owner="listening_owner")
        url = postgres.sqlalchemy_url(socket_dir, "kills", "listening_owner")
        migrate(sa.create_engine(url, poolclass=sa.NullPool))
        listening_db = {
            "conn_type": "postgres",
            "host": str(socket_dir),
            "login": "listening_writer",
            "schema": "kills",
        }
        monkeypatch.setenv("AIRFLOW_CONN_LISTENING_DB", json.dumps(listening_db))
        conninfo = postgres.conninfo(socket_dir, "kills", "listening_writer")
        with psycopg.connect(conninfo) as connection:
            add_listeners(connection, SERVER_KILLS + 1)
        for number in range(SERVER_KILLS + 1):
            export(tmp_path / f"for_k{number}", f"k{number}")
        arguments = [{"exports_path": str(tmp_path / f"for_k{number}")} for number in range(SERVER_KILLS + 1)]
        usual = run("ImportStreamingHistoryOperator", arguments[0])
        with psycopg.connect(conninfo) as connection:
            expected = state(connection, "k0")

        def kill_server():
            os.kill(int((data_dir / "postmaster.pid").read_text().splitlines()[0]), signal.SIGQUIT)

        for number in range(1, SERVER_KILLS + 1):
            after = usual * number / (SERVER_KILLS + 1)
            run_and_kill("ImportStreamingHistoryOperator", arguments[number], after, kill_server)
            _wait_until_gone(data_dir)
            postgres.start_server(data_dir)
            with psycopg.connect(conninfo) as connection:
                assert state(connection, f"k{number}") in ([*state(connection, "nobody")], expected)
            run("ImportStreamingHistoryOperator", arguments[number])
            with psycopg.connect(conninfo) as connection:
                assert state(connection, f"k{number}") == expected
    finally:
        postgres.stop_server(data_dir)


def _wait_until_gone(data_dir: Path) -> None:
    deadline = time.monotonic() + 30
    while (data_dir / "postmaster.pid").exists():
        if time.monotonic() > deadline:
            pytest.fail("the server did not die")
        time.sleep(0.05)
