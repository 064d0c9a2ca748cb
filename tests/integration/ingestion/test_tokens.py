"""The refresh token is never lost, never spent twice, never seen."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor

import pytest
from cryptography.fernet import Fernet
from spotify_hook import SpotifyHook


@pytest.fixture
def seen(caplog):
    """Everything logged, at the chattiest level."""
    caplog.set_level(logging.DEBUG)
    logging.getLogger("urllib3").setLevel(logging.DEBUG)
    return caplog


def refreshes(simulator) -> int:
    return sum(call["calls"] for call in simulator.calls() if call["endpoint"] == "POST /api/token")


def test_many_tasks_at_once_spend_a_rotating_token_once(authorize, simulator):
    account = authorize("ada")
    simulator.rotate_refresh_tokens(-1)
    hooks = [SpotifyHook(account["connection_id"]) for _ in range(6)]
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda hook: hook.get_conn().me()["id"], hooks))
    assert answers == ["ada"] * 6
    assert refreshes(simulator) == 1
    simulator.expire_access_tokens()
    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(lambda hook: hook.get_conn().me()["id"], hooks)) == ["ada"] * 6
    assert refreshes(simulator) == 2


def test_a_rotated_token_is_committed_before_the_access_token_is_used(authorize, simulator, monkeypatch):
    account = authorize("ada")
    simulator.rotate_refresh_tokens(-1)
    client = SpotifyHook(account["connection_id"]).get_conn()

    def die(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(client, "_send", die)
    with pytest.raises(KeyboardInterrupt):
        client.me()
    simulator.expire_access_tokens()
    assert SpotifyHook(account["connection_id"]).get_conn().me()["id"] == "ada"


def test_the_database_gone_just_after_a_rotation_loses_nothing(authorize, simulator, connection, owner_conninfo):
    import psycopg

    account = authorize("ada")
    simulator.rotate_refresh_tokens(-1)
    hook = SpotifyHook(account["connection_id"])
    connect, opened = hook._connect, []

    def remember():
        opened.append(connect())
        return opened[-1]

    def cut(endpoint):
        with psycopg.connect(owner_conninfo.replace("listening_owner", "postgres"), autocommit=True) as admin:
            pids = [each.info.backend_pid for each in opened if not each.closed]
            admin.execute("select pg_terminate_backend(pid) from unnest(%s::int[]) pid", [pids])

    hook._connect, hook.count_call = remember, cut
    assert hook.get_conn().me()["id"] == "ada"
    assert len(opened) == 2
    simulator.expire_access_tokens()
    assert SpotifyHook(account["connection_id"]).get_conn().me()["id"] == "ada"


def test_a_new_authorization_replaces_what_is_stored(authorize, simulator, airflow_connections):
    account = authorize("ada")
    SpotifyHook(account["connection_id"]).get_conn().me()
    simulator.revoke("ada")
    airflow_connections(account["connection_id"], simulator.refresh_token("ada"))
    assert SpotifyHook(account["connection_id"]).get_conn().me()["id"] == "ada"


def test_tokens_are_encrypted_at_rest_and_never_logged(authorize, simulator, connection, seen, fernet_key):
    account = authorize("ada")
    simulator.rotate_refresh_tokens(-1)
    hook = SpotifyHook(account["connection_id"])
    hook.get_conn().recently_played()
    stored = bytes(connection.execute("select encrypted_token from spotify_tokens").fetchone()[0])
    clear = Fernet(fernet_key).decrypt(stored).decode()
    import json

    tokens = json.loads(clear)
    secrets = [tokens["access_token"], tokens["refresh_token"], hook.connection.extra_dejson["refresh_token"]]
    for secret in [*secrets, hook.connection.password]:
        assert secret.encode() not in stored
        assert secret not in seen.text


def test_a_lost_fernet_key_falls_back_to_the_connection(authorize, simulator, monkeypatch):
    from airflow.sdk.crypto import get_fernet

    account = authorize("ada")
    SpotifyHook(account["connection_id"]).get_conn().me()
    monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", Fernet.generate_key().decode())
    get_fernet.cache_clear()
    assert SpotifyHook(account["connection_id"]).get_conn().me()["id"] == "ada"


def test_without_a_fernet_key_nothing_is_stored(authorize, simulator, monkeypatch):
    from airflow.sdk.crypto import get_fernet

    account = authorize("ada")
    monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", "")
    get_fernet.cache_clear()
    with pytest.raises(ValueError, match="fernet_key is empty"):
        SpotifyHook(account["connection_id"]).get_conn()
